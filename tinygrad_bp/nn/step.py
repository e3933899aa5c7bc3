"""One step of training as one recorded function, and the loops that run it over batches.

Forward, loss, gradient, optimizer: `Step` is an expression of Tensors from end to end. The same
function is called step by step, or compiled into a loop; nothing is written twice for speed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tinygrad_bp.errors import CompileError
from tinygrad_bp.nn.layers import Layer
from tinygrad_bp.nn.losses import Loss
from tinygrad_bp.nn.optimizers import Optimizer
from tinygrad_bp.ops.choice import maximum
from tinygrad_bp.ops.reduce import sum
from tinygrad_bp.tensor import Tensor

ENGINES = ("auto", "native", "numpy", "eager")
ORDER = {"auto": ("native", "numpy", "eager"), "short": ("numpy", "eager")}  # the first that works


def forward(
    layers: Sequence[Layer],
    x: Any,
    parameters: Mapping[str, Any],
    drawn: Mapping[int, Any] | None = None,
) -> Any:
    """Let a batch run through all layers; `drawn` is what they drew for it, in training."""
    for i, layer in enumerate(layers):
        prefix = f"layers.{i}."
        own = {k.removeprefix(prefix): p for k, p in parameters.items() if k.startswith(prefix)}
        x = layer(x, own, None if drawn is None else drawn.get(i))
    return x


class Step:
    """``step(state, x, y, weights, rate, *drawn)`` returns the next state.

    The state is a flat list: parameters, what the optimizer keeps of each, and the sums of w·l and
    of w since it was last set to zero. ``random``: the numbers of the layers that draw.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Loss,
        optimizer: Optimizer,
        names: Sequence[str],
        random: Sequence[int],
    ) -> None:
        self.layers, self.loss, self.optimizer = layers, loss, optimizer
        self.names, self.random = names, random
        self.kept = (*optimizer.arrays, *optimizer.counts)

    def __call__(
        self, state: Sequence[Any], x: Any, y: Any, weights: Any, rate: Any, *drawn: Any
    ) -> list[Any]:
        """Return the next state."""
        count = len(self.names)
        parameters, kept, (total, weight) = state[:count], state[count:-2], state[-2:]
        named = dict(zip(self.names, parameters, strict=True))
        outputs = forward(self.layers, x, named, dict(zip(self.random, drawn, strict=True)))
        weighted, batch = sum(weights * self.loss(outputs, y)), sum(weights)
        mean = weighted / maximum(batch, 1e-30)  # a batch of weight 0 has gradient 0
        found = mean.gradient(*parameters, differentiable=True)
        gradients = found if count > 1 else (found,)
        parameters, states = self.optimizer.step(parameters, gradients, self._states(kept), rate)
        kept = [s[name] for s in states for name in self.kept]
        return [*parameters, *kept, total + weighted, weight + batch]

    def _states(self, kept: Sequence[Any]) -> list[dict[str, Any]]:
        """Give each parameter what the optimizer keeps of it."""
        width = len(self.kept)
        rows = [kept[i * width : (i + 1) * width] for i in range(len(self.names))]
        return [dict(zip(self.kept, row, strict=True)) for row in rows]


class Loop(Protocol):
    """A step, run over batches: the state goes in, batches go by, the state comes out."""

    state: Any

    def run(self, data: Sequence[np.ndarray], first: int, last: int) -> None:
        """Make a step with each of the batches from `first` to `last`."""


class RecordedLoop:
    """The loop that calls the step itself and so records it anew for every batch."""

    def __init__(self, step: Callable[..., Sequence[Any]], state: Sequence[np.ndarray]) -> None:
        self.step, self.state = step, list(state)

    def run(self, data: Sequence[np.ndarray], first: int, last: int) -> None:
        """Make a step with each of the batches from `first` to `last`."""
        with np.errstate(all="ignore"):  # divergence is told by an error, in words
            for i in range(first, last):
                batch = [Tensor(rows[i], requires_grad=False) for rows in data]
                made = self.step([Tensor(x) for x in self.state], *batch)
                self.state = [np.asarray(y.value) for y in made]


def make_loop(
    step: Step, state: Sequence[np.ndarray], data: Sequence[np.ndarray], engine: str
) -> Loop:
    """Return the loop of an engine for batches like those in `data`."""
    *better, last = ORDER.get(engine, (engine,))
    for name in better:
        try:
            return _loop(step, state, data, name)
        except CompileError:  # without llvmlite, or for a function that looks at numbers
            continue
    return _loop(step, state, data, last)


def _loop(step: Step, state: Sequence[np.ndarray], data: Sequence[np.ndarray], engine: str) -> Loop:
    if engine == "eager":
        return RecordedLoop(step, state)
    from tinygrad_bp.compiler.loops import CompiledLoop  # not needed before

    return CompiledLoop(step, state, [array[0] for array in data], engine)
