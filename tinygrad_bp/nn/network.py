"""The documented network: layers of sigmoids with the bias trick, trained one sample at a time.

There is no backward pass in this file. `loss` is a Tensor expression, so the graph has it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.errors import GraphError, ShapeError, describe
from tinygrad_bp.listeners import no_grad
from tinygrad_bp.ops.activation import sigmoid
from tinygrad_bp.ops.elementwise import square
from tinygrad_bp.ops.linalg import dot
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import as_count, as_counts, as_floats, as_number, as_rows, refuse


class NeuralNetwork:
    """A feedforward network of sigmoid units, as in the lecture on backpropagation.

    ``layers``: the number of units of each layer, from input to output, at least two. ``alpha``:
    the learning rate, positive. ``seed``: None takes the weights from NumPy's global generator
    (so ``np.random.seed(1)`` repeats a lecture), a whole number or a `numpy.random.Generator`
    makes them independent of it. ``W`` holds one writable float64 array per layer, of shape
    (units + 1, next units + 1), the last one (units + 1, outputs): the extra row is the bias.

    Raises `InputError` for layers or a learning rate that make no sense.

    >>> import numpy as np
    >>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
    >>> network = NeuralNetwork([2, 2, 1], alpha=0.5, seed=0)
    >>> network
    NeuralNetwork: 2-2-1
    >>> network.fit(X, y, epochs=2, displayUpdate=2)
    [INFO] epoch=1, loss=0.5741291
    [INFO] epoch=2, loss=0.5599802
    """

    def __init__(self, layers: Sequence[int], alpha: float = 0.1, *, seed: Any = None) -> None:
        self.layers = as_counts(layers, "layers", example="[2, 2, 1]")
        self.alpha = as_number(alpha, "alpha", positive=True)
        normal = _normal(seed)
        try:
            self.W = [normal(n, m) / np.sqrt(n - 1) for n, m in self._shapes()]
        except (MemoryError, ValueError, OverflowError) as error:
            given = f"{describe(layers)} ({error})"
            refuse("layers", given, "weights that fit into memory", "Make the layers smaller.")

    def _shapes(self) -> list[tuple[int, int]]:
        """Return the shapes of the weights: each has a bias row, hidden layers a bias unit."""
        widths = [*(n + 1 for n in self.layers[1:-1]), self.layers[-1]]
        return [(n + 1, width) for n, width in zip(self.layers, widths, strict=False)]

    def __repr__(self) -> str:
        return "NeuralNetwork: " + "-".join(map(str, self.layers))

    def sigmoid(self, x: Any) -> Any:
        """Return 1 / (1 + e⁻ˣ), element by element."""
        return sigmoid(x if isinstance(x, Tensor) else as_floats(x, "x", finite=False))

    def sigmoid_deriv(self, x: Any) -> Any:
        """Return the derivative x(1 − x) of the sigmoid, where x already is its value."""
        x = x if isinstance(x, Tensor) else as_floats(x, "x", finite=False)
        return x * (1 - x)

    # ------------------------------------------------------------------------------ training

    def fit(
        self,
        X: Any,
        y: Any,
        epochs: int = 1000,
        displayUpdate: int = 100,
        *,
        on_epoch: Callable[[int], Any] | None = None,
        engine: str = "auto",
    ) -> None:
        """Train on the samples in order, `epochs` times, and print the loss now and then.

        ``X``: (samples, inputs) finite numbers. ``y``: (samples, outputs), or one number per
        sample if there is one output. The loss ½Σ(prediction − y)² over all samples is printed
        after the first epoch and after every `displayUpdate`. ``on_epoch`` is called with the
        number of every finished epoch. ``engine``: "eager" trains with the recorded graph itself,
        "native" and "numpy" with the same graph compiled (equal up to rounding); "auto" compiles
        where it pays, natively if llvmlite is there.

        An interruption leaves the weights of the last whole epoch. Raises `InputError` or
        `ShapeError` for data that do not fit, before anything has changed, and `GraphError` if
        the weights overflow.
        """
        X, y = self._samples(X, y, ("X", "y"), bias=0)
        X = with_bias(X)
        epochs = as_count(epochs, "epochs", least=0)
        displayUpdate = as_count(displayUpdate, "displayUpdate")
        if on_epoch is not None and not callable(on_epoch):
            refuse("on_epoch", describe(on_epoch), "a function or None", "Pass a function.")
        stops = range(1, epochs + 1) if on_epoch else _stops(epochs, displayUpdate)
        for epoch in self._train((X[:, None], y[:, None]), stops, engine):
            if epoch == 1 or epoch % displayUpdate == 0:
                print(f"[INFO] epoch={epoch}, loss={self.calculate_loss(X, y):.7f}")
            if on_epoch is not None:
                on_epoch(epoch)  # it may assign to W

    def _train(
        self, data: Sequence[np.ndarray], stops: Sequence[int], engine: str
    ) -> Iterator[int]:
        """Train up to the last stop, with an engine; yield the number of every stop."""
        from tinygrad_bp.nn import training  # not needed before, and neither is the compiler

        steps = len(data[0]) * (stops[-1] if stops else 0)
        loop = training.compiled_loop(self._next_state, self._state(), data, steps, engine)
        last = 0
        for stop in stops:
            if loop is None:
                self._epochs(data, last, stop)
            else:
                loop.state = self._state()
                for epoch, state in training.run_epochs(loop, data, last, stop):
                    self._keep(state[:-1], f"in epoch {epoch}")
            last = stop
            yield stop

    def _epochs(self, data: Sequence[np.ndarray], last: int, stop: int) -> None:
        """Train with the recorded graph itself, up to an epoch."""
        samples = [_constants(*sample) for sample in zip(*data, strict=True)]
        weights = self._weights()
        for epoch in range(last + 1, stop + 1):
            with np.errstate(all="ignore"):  # divergence is told by an error, in words
                for x, target in samples:
                    self._step(weights, x, target)
            self._keep([w.data for w in weights], f"in epoch {epoch}")

    def fit_partial(self, x: Any, y: Any) -> None:
        """Make one step of gradient descent on one sample (or the sum over several).

        ``x``: (inputs + 1) numbers or rows of them, the bias column included. ``y``: as in `fit`.
        """
        x, y = self._samples(x, y, ("x", "y"))
        weights = self._weights()
        with np.errstate(all="ignore"):
            self._step(weights, *_constants(x, y))
        self._keep([w.data for w in weights], "after this step")

    def _step(self, weights: list[Tensor], x: Tensor, target: Tensor) -> None:
        """Forward, backward, update: w ← w − α ∂E/∂w."""
        loss(forward(x, weights), target).backward()
        with no_grad():
            for w in weights:
                w.data = w - self.alpha * w.grad  # type: ignore[operator]  # backward() set it
                w.zero_grad()

    def _state(self) -> list[np.ndarray]:
        """Return what a compiled step is given: weights and learning rate, as they are now."""
        return [*(w.data for w in self._weights()), np.array(self.alpha, float)]

    def _next_state(self, state: list[Tensor], x: Tensor, target: Tensor) -> list[Tensor]:
        """Return w − α ∂E/∂w for all weights: `_step` as one expression, to be compiled."""
        *weights, alpha = state
        error = loss(forward(x, weights), target)
        slopes = error.gradient(*weights, differentiable=True)
        slopes = slopes if len(weights) > 1 else (slopes,)
        return [*(w - alpha * s for w, s in zip(weights, slopes, strict=True)), alpha]

    def _keep(self, weights: list[np.ndarray], when: str) -> None:
        """Make the weights of a whole epoch those of the network, all at once."""
        if not all(np.isfinite(w).all() for w in weights):
            given = f"weights that are not finite {when}"
            repair = f"Lower alpha={self.alpha}; the network keeps its last finite weights."
            refuse(repr(self), given, "training that converges", repair, GraphError)
        self.W[:] = [w.copy() for w in weights]

    def _weights(self) -> list[Tensor]:
        """Return the weights, which the user may have assigned, as new leaves."""
        arrays = [as_floats(W, f"W[{i}]") for i, W in enumerate(self.W)]
        shapes = [W.shape for W in arrays]
        if shapes != self._shapes():
            expected = f"shapes {self._shapes()}, for {self!r}"
            refuse("W", f"shapes {shapes}", expected, "Assign arrays of these shapes.", ShapeError)
        return [Tensor(W, name=f"W[{i}]") for i, W in enumerate(arrays)]

    # ------------------------------------------------------------------------------ using

    def predict(self, X: Any, addBias: bool = True) -> np.ndarray:
        """Return the outputs for each row of X, of shape (samples, outputs).

        ``addBias=False``: X already has the column of ones.
        """
        X = self._inputs(X, "X", bias=0 if addBias else 1)
        X = with_bias(X) if addBias else X
        with np.errstate(all="ignore"):
            return np.asarray(forward(X, [w.value for w in self._weights()]))

    def calculate_loss(self, X: Any, targets: Any) -> float:
        """Return ½Σ(prediction − target)² over all samples; X already has the bias column."""
        X, targets = self._samples(X, targets, ("X", "targets"))
        with np.errstate(over="ignore"):
            return float(loss(self.predict(X, addBias=False), targets))

    def _inputs(self, X: Any, name: str, bias: int) -> np.ndarray:
        owner = f"{self!r} and the bias column" if bias else repr(self)
        return as_rows(X, name, self.layers[0] + bias, owner)

    def _samples(self, X: Any, y: Any, names: tuple[str, str], bias: int = 1) -> Any:
        outputs, owner = self.layers[-1], f"the outputs of {self!r}"
        X = self._inputs(X, names[0], bias)
        return X, as_rows(y, names[1], outputs, owner, column=outputs == 1, beside=(names[0], X))


def forward(a: Any, weights: Sequence[Any]) -> Any:
    """Let a signal of shape (samples, inputs + 1) run through all layers."""
    for w in weights:
        a = sigmoid(dot(a, w))
    return a


def loss(prediction: Any, target: Any) -> Any:
    """Return ½Σ(prediction − target)²."""
    return square(prediction - target).sum() * 0.5


def with_bias(X: np.ndarray) -> np.ndarray:
    """Append the column of ones whose weights are the biases."""
    return np.column_stack([X, np.ones(len(X))])


def _constants(*arrays: np.ndarray) -> list[Tensor]:
    return [Tensor(np.atleast_2d(x), requires_grad=False) for x in arrays]


def _normal(seed: Any) -> Callable[..., np.ndarray]:
    if seed is None:
        return np.random.randn
    if not hasattr(seed, "standard_normal"):  # a Generator or a RandomState has it
        seed = np.random.default_rng(as_count(seed, "seed", least=0))
    return lambda *shape: seed.standard_normal(shape)


def _stops(epochs: int, every: int) -> list[int]:
    """List the epochs after which something is printed, and the last one."""
    return sorted({*range(every, epochs + 1, every), *([1, epochs] if epochs else [])})
