"""The model: layers one after the other, and all that training has made of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.errors import GraphError, InputError, ShapeError, describe
from tinygrad_bp.listeners import CHANGING, recording
from tinygrad_bp.nn import fitting
from tinygrad_bp.nn.history import History
from tinygrad_bp.nn.initializers import Shape
from tinygrad_bp.nn.layers import Layer
from tinygrad_bp.nn.losses import Loss, as_loss
from tinygrad_bp.nn.optimizers import KINDS as OPTIMIZERS
from tinygrad_bp.nn.optimizers import Optimizer
from tinygrad_bp.nn.run import Plan
from tinygrad_bp.nn.samples import Samples, as_inputs, as_targets, as_weights, labels_of
from tinygrad_bp.nn.settings import choose
from tinygrad_bp.nn.state import (
    State,
    declare,
    generator_of,
    generator_state,
    output_shape,
    start_optimizer,
)
from tinygrad_bp.nn.step import forward
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import as_array, as_count, refuse

ROWS = 512  # that run through the network at once when it is used


class Sequential:
    """A network of layers, one after the other.

    ``layers``: at least one. ``loss``: a name ("mean_squared", "mean_absolute", "huber",
    "binary_cross_entropy", "categorical_cross_entropy"), a loss such as ``Huber(2.0)``, or a
    function of the Tensors (outputs, targets) with one element per sample. ``optimizer``: a name
    ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw") or one such as ``Adam(0.01)``.
    ``seed``: a whole number or a `numpy.random.Generator`, for the first weights, the order of
    samples, and dropout; None for another network every time.

    Shapes and dtype come from the data: `fit` (or `build`) makes the parameters. Raises
    `InputError` for settings that make no sense.

    >>> import numpy as np
    >>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    >>> from tinygrad_bp.nn import Adam, Dense
    >>> layers = [Dense(8, "tanh"), Dense(1)]
    >>> model = Sequential(layers, loss="binary_cross_entropy", optimizer=Adam(0.1), seed=0)
    >>> history = model.fit(X, y, epochs=100)
    >>> model.predict(X).round().ravel()
    array([0., 1., 1., 0.])
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        loss: str | Loss | Callable[[Any, Any], Any] = "mean_squared",
        optimizer: str | Optimizer = "adam",
        seed: Any = None,
    ) -> None:
        self.layers = _as_layers(layers)
        self.loss = as_loss(loss, "Sequential, argument loss")
        self.optimizer = choose(OPTIMIZERS, Optimizer, optimizer, "Sequential, argument optimizer")
        self.input_shape: Shape | None = None
        self.history = History()
        self._leaves: dict[str, Tensor] = {}  # the parameters that compiled functions read
        self.state = State({}, {}, generator_state(_as_generator(seed)), 0)
        self.loop: Any = None  # of the last training: (what it was made for, the loop)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the compiled loop: it is made again when it is needed."""
        return self.__dict__ | {"loop": None, "_leaves": {}}

    # ------------------------------------------------------------------------------ parameters

    def build(self, shape: Shape, dtype: Any = np.float64) -> "Sequential":
        """Make the parameters for samples of a shape, once; `fit` does it if nobody did.

        ``dtype``: float64 or float32. Raises `ShapeError` if a layer cannot take what the one
        before it makes.
        """
        if self.input_shape is not None:
            self._restart_another_optimizer()
            return self
        shape, dtype = _as_shape(shape), _as_dtype(dtype)
        generator = generator_of(self.state.generator)
        declared = declare(self.layers, shape)
        parameters = {k: _frozen(p.start(generator), dtype) for k, p in declared.items()}
        if not parameters:
            refuse(repr(self), "no parameters", "something to train", "Add a Dense layer.")
        kept = start_optimizer(self.optimizer, parameters)
        self.state = State(parameters, kept, generator_state(generator), 0)
        self.input_shape = shape
        return self

    def _restart_another_optimizer(self) -> None:
        """Let an optimizer that was put in place of another one start at its own zero."""
        kept = start_optimizer(self.optimizer, self.state.parameters)
        if kept.keys() != self.state.kept.keys():
            self.state = self.state._replace(kept=kept)

    @property
    def state(self) -> State:
        """Everything that training changes; it is replaced as a whole."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state
        for name, leaf in self._leaves.items():
            leaf.data = state.parameters[name]

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The parameters by name, such as "layers.0.weight", as read-only arrays.

        Assign a dictionary with the same names and shapes to replace them.
        """
        return dict(self.state.parameters)

    @parameters.setter
    def parameters(self, given: Mapping[str, Any]) -> None:
        old = self._built("parameters").parameters
        if given.keys() != old.keys():
            repair = "Assign {**model.parameters, name: array}."
            refuse("parameters", f"{sorted(given)}", f"{sorted(old)}", repair)
        new = {k: as_array(given[k], f"parameters[{k!r}]", dtype=p.dtype) for k, p in old.items()}
        for name, p in new.items():
            if p.shape != old[name].shape:
                where, expected = f"parameters[{name!r}]", f"shape {old[name].shape}"
                refuse(where, f"shape {p.shape}", expected, "Transpose it?", ShapeError)
        self.state = self.state._replace(parameters=new)

    @property
    def dtype(self) -> np.dtype:
        """The dtype in which the network computes: float32 or float64, as the data of `fit`."""
        return next(iter(self._built("dtype").parameters.values())).dtype

    def _built(self, what: str) -> State:
        if self.input_shape is None:
            expected = "a network that knows the shape of its samples"
            repair = "Call fit(X, y) or build(shape) first."
            refuse(
                f"Sequential.{what}", "a network without parameters", expected, repair, GraphError
            )
        return self.state

    # ------------------------------------------------------------------------------ training

    def fit(
        self,
        X: Any,
        y: Any,
        epochs: int = 100,
        *,
        batch_size: int = 32,
        validation_data: Sequence[Any] | None = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        class_weight: Any = None,
        callbacks: Sequence[Any] = (),
        checkpoint: Any = None,
        resume: bool = False,
        progress: bool = False,
        engine: str = "auto",
    ) -> History:
        """Train for `epochs` more epochs, and return what happened: one number per epoch.

        ``X``: (samples, ...) finite numbers. ``y``: class numbers from 0 for categorical
        cross-entropy, else (samples, outputs), or one number per sample if there is one output.
        ``validation_data``: (X, y) or (X, y, sample_weight), measured after every epoch.
        ``shuffle``: a new order of samples in every epoch. ``sample_weight``: (samples,) numbers
        of at least 0. ``class_weight``: {class: weight}, or "balanced". ``callbacks``: see
        `tg.nn.Callback`; a function is called with the run after every epoch. ``checkpoint``: the
        file that is written after every epoch (or ``Checkpoint(path, every)``); with
        ``resume=True`` training goes on from it, if it is there, up to `epochs`, as if it had
        never stopped. ``progress``: show a bar. ``engine``:
        "eager" records every step anew; "native" and "numpy" record it once and compile it.

        An interruption leaves the weights of the last whole epoch. Raises `InputError` or
        `ShapeError` for data that do not fit, before anything has changed, and `GraphError` if the
        weights overflow.
        """
        data = fitting.Data(X, y, validation_data, sample_weight, class_weight)
        plan = Plan(epochs, batch_size, shuffle, engine, checkpoint, resume)
        return fitting.fit(self, data, plan.checked(), callbacks, progress)

    def samples(
        self, X: Any, y: Any, sample_weight: Any = None, class_weight: Any = None,
        names: Sequence[str] = ("X", "y", "sample_weight"),
    ) -> Samples:  # fmt: skip
        """Return data as the network takes them, checked, or raise the error that says why not."""
        inputs = as_inputs(X, names[0], shape=self.input_shape)
        if self.input_shape is not None:
            inputs = inputs.astype(self.dtype, copy=False)
        outputs = output_shape(self.layers, inputs.shape[1:])
        targets = as_targets(y, self.loss, outputs, inputs, names[1])
        return Samples(inputs, targets, as_weights(sample_weight, class_weight, targets, names[2]))

    # ------------------------------------------------------------------------------ using

    def __call__(self, X: Any) -> Tensor:
        """Return the raw outputs for a batch as a recorded Tensor: draw or differentiate it."""
        state = self._built("__call__")
        named = {k: Tensor(p, name=k, dtype=p.dtype) for k, p in state.parameters.items()}
        if CHANGING.get() is not None:  # a compiled function reads them anew at every call
            named = self._leaves = named | self._leaves
        x = X if isinstance(X, Tensor) else as_inputs(X, shape=self.input_shape)
        return forward(self.layers, x if isinstance(x, Tensor) else _constant(x), named)

    def outputs(self, X: Any) -> np.ndarray:
        """Return the raw outputs of the last layer for every sample."""
        state = self._built("predict")
        inputs = as_inputs(X, shape=self.input_shape).astype(self.dtype, copy=False)
        return self._outputs(inputs, state)

    def _outputs(self, inputs: np.ndarray, state: State) -> np.ndarray:
        parts = []
        with recording(False), np.errstate(all="ignore"):
            for first in range(0, len(inputs), ROWS):
                x = _constant(inputs[first : first + ROWS])
                parts.append(np.asarray(forward(self.layers, x, state.parameters).value))
        return np.concatenate(parts)

    def predict(self, X: Any) -> np.ndarray:
        """Return what the network says of each sample: probabilities if the loss is a
        cross-entropy, else the outputs.

        Raises `GraphError` for a network that has no parameters yet, `ShapeError` for other samples
        than in `fit`.
        """
        outputs = self.outputs(X)
        with np.errstate(all="ignore"):
            return np.asarray(self.loss.link(outputs))

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """Return {"loss": Σ w·l / Σ w}, and for classes the "accuracy"; errors as in `fit`."""
        self._built("evaluate")
        return self.measure(self.samples(X, y, sample_weight))

    def measure(self, samples: Samples) -> dict[str, float]:
        """Return what `evaluate` does, for samples that are checked."""
        outputs = self._outputs(samples.inputs, self.state)
        with recording(False), np.errstate(all="ignore"):
            losses = self.loss(_constant(outputs), _constant(samples.targets))
            measured = {"loss": _average(np.asarray(losses.value), samples.weights)}
        labels = self._labels(samples.targets)
        if labels is not None:
            found = outputs[:, 0] > 0 if outputs.shape[1] == 1 else outputs.argmax(1)
            measured["accuracy"] = _average(found == labels, samples.weights)
        return measured

    def _labels(self, targets: np.ndarray) -> np.ndarray | None:
        """Return class numbers where an accuracy makes sense: for one class per sample."""
        one = targets.ndim == 2 and targets.shape[1] == 1
        classes = self.loss.targets == "classes" or (self.loss.targets == "probabilities" and one)
        return labels_of(targets) if classes else None


# ---------------------------------------------------------------------------------- arguments


def _as_generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        seed = seed.integers(2**63)
    return np.random.default_rng(None if seed is None else as_count(seed, "seed", least=0))


def _as_layers(layers: Any) -> tuple[Layer, ...]:
    where = "Sequential, argument layers"
    if not isinstance(layers, list | tuple) or not layers:
        repair = 'Write e.g. [Dense(32, "relu"), Dense(1)].'
        refuse(where, describe(layers), "a list of at least one layer", repair)
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            repair = "Make one: Dense(32)." if isinstance(layer, type) else "See tg.nn.Layer."
            refuse(f"{where}[{i}]", describe(layer), "a layer", repair, InputError)
    return tuple(layers)


def _as_shape(shape: Any) -> Shape:
    if not isinstance(shape, list | tuple) or not shape:
        refuse("shape", describe(shape), "the shape of a sample", "Write e.g. (64,).")
    return tuple(as_count(n, f"shape[{i}]") for i, n in enumerate(shape))


def _as_dtype(dtype: Any) -> Any:
    if dtype not in (np.float32, np.float64):
        refuse("dtype", describe(dtype), "float32 or float64", "Leave it out.")
    return dtype


def _frozen(array: np.ndarray, dtype: Any) -> np.ndarray:
    array = array.astype(dtype)
    array.flags.writeable = False
    return array


def _constant(array: np.ndarray) -> Tensor:
    return Tensor(array, dtype=array.dtype, requires_grad=False)


def _average(values: np.ndarray, weights: np.ndarray) -> float:
    return float(np.sum(values * weights, dtype=float) / np.sum(weights, dtype=float))
