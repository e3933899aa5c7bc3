"""Losses: one number per sample, as a Tensor expression of outputs and targets.

Training minimises Σ w·l / Σ w, where w are the weights of the samples: a sample of weight 2 counts
like two, a sample of weight 0 like none. Cross-entropies take the raw outputs ("logits"), which is
exact where probabilities would round to 0 or 1; `link` turns outputs into what users want to see.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tinygrad_bp.errors import GraphError, ShapeError, describe
from tinygrad_bp.nn.settings import Settings, above_zero, checked, choose
from tinygrad_bp.ops.activation import sigmoid, softplus
from tinygrad_bp.ops.choice import abs, minimum
from tinygrad_bp.ops.elementwise import square
from tinygrad_bp.ops.network import log_softmax, softmax
from tinygrad_bp.ops.reduce import mean, sum
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import refuse


class Loss(Settings):
    """A loss: ``loss(outputs, targets)`` has one element per sample."""

    # "numbers", "probabilities" of each output, "classes" (their numbers, or probabilities that add
    # up to 1), or "any"thing that the loss itself understands
    targets: ClassVar[str] = "numbers"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        """Return the loss of every sample."""
        raise NotImplementedError

    def link(self, outputs: Any) -> Any:
        """Turn raw outputs into predictions."""
        return outputs


@dataclass(frozen=True, repr=False)
class MeanSquared(Loss):
    """The mean of (output − target)² over the outputs of a sample.

    >>> import numpy as np
    >>> MeanSquared()(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]]))
    array([2.5])
    """

    def __call__(self, outputs: Any, targets: Any) -> Any:
        """Return the loss of every sample."""
        return _over_outputs(square(outputs - targets))


@dataclass(frozen=True, repr=False)
class MeanAbsolute(Loss):
    """The mean of |output − target| over the outputs of a sample."""

    def __call__(self, outputs: Any, targets: Any) -> Any:
        """Return the loss of every sample."""
        return _over_outputs(abs(outputs - targets))


@dataclass(frozen=True, repr=False)
class Huber(Loss):
    """Squared for errors up to `delta`, linear beyond: ½e² or δ(|e| − ½δ). Huber, 1964.

    >>> import numpy as np
    >>> Huber()(np.array([[0.5], [3.0]]), np.zeros((2, 1)))
    array([0.125, 2.5  ])
    """

    delta: float = above_zero(1.0)

    def __call__(self, outputs: Any, targets: Any) -> Any:
        """Return the loss of every sample."""
        error = abs(outputs - targets)
        near = minimum(error, self.delta)
        return _over_outputs(near * (error - near / 2))


@dataclass(frozen=True, repr=False)
class BinaryCrossEntropy(Loss):
    """−ln p(target), where every output z says p(1) = sigmoid(z): softplus(z) − target · z."""

    targets = "probabilities"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        """Return the loss of every sample."""
        return _over_outputs(softplus(outputs) - targets * outputs)

    def link(self, outputs: Any) -> Any:
        """Turn raw outputs into probabilities."""
        return sigmoid(outputs)


@dataclass(frozen=True, repr=False)
class CategoricalCrossEntropy(Loss):
    """−Σ target · ln softmax(outputs): how surprising the right class is."""

    targets = "classes"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        """Return the loss of every sample."""
        return -sum(targets * log_softmax(outputs, -1), -1)

    def link(self, outputs: Any) -> Any:
        """Turn raw outputs into probabilities that add up to 1."""
        return softmax(outputs, -1)


def _function(value: Any, name: str) -> Any:
    return value if callable(value) else refuse(name, describe(value), "a function", "Pass one.")


@dataclass(frozen=True, repr=False)
class Custom(Loss):
    """Any function of the Tensors (outputs, targets) that has one element (or more) per sample."""

    function: Callable[[Any, Any], Any] = checked(_function)

    targets = "any"

    def __call__(self, outputs: Any, targets: Any) -> Any:
        """Return the loss of every sample, the mean over what the function leaves of it."""
        losses = self.function(outputs, targets)
        where = f"the loss {getattr(self.function, '__name__', 'function')}"
        if not isinstance(losses, Tensor):
            repair = "Compute with the Tensors themselves."
            refuse(where, describe(losses), "a Tensor", repair, GraphError)
        if losses.shape[:1] != outputs.shape[:1]:
            given, expected = f"shape {losses.shape}", f"({outputs.shape[0]}, ...), one per sample"
            repair = "Leave the mean over samples to fit, which weighs them."
            refuse(where, given, expected, repair, ShapeError)
        return _over_outputs(losses)


def _over_outputs(losses: Any) -> Any:
    """Take the mean over all axes but that of the samples."""
    axes = tuple(range(1, losses.ndim))
    return mean(losses, axes) if axes else losses


KINDS: Mapping[str, type[Loss]] = {
    kind.__name__: kind
    for kind in (MeanSquared, MeanAbsolute, Huber, BinaryCrossEntropy, CategoricalCrossEntropy)
}


def as_loss(given: Any, where: str = "loss") -> Loss:
    """Return a loss that is given by name, as such, or as a function.

    >>> as_loss("huber")
    Huber()
    """
    by_name = isinstance(given, str | type | Loss)
    return Custom(given) if callable(given) and not by_name else choose(KINDS, Loss, given, where)
