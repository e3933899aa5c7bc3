"""Functions of our Tensors, and plain functions with a gradient written by hand, as subjects."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_bp.check.subject import Arrays, Call, Pull, Subject, as_real, refuse_change
from tinygrad_bp.errors import InputError, ShapeError, describe
from tinygrad_bp.listeners import no_grad
from tinygrad_bp.nested import Rebuild, flatten
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.tracing import as_constant, name_of, no_tensor
from tinygrad_bp.transforms import vjp
from tinygrad_bp.validate import refuse


def flat_call(function: Callable[..., Any], rebuild: Rebuild) -> Call:
    """Return the function as one of a flat list of inputs, with a flat list of outputs."""
    name = name_of(function)

    def call(leaves: Sequence[Any]) -> list[Any]:
        result = function(*rebuild(iter(leaves)))
        if result is None:
            raise InputError(
                "None",
                where=f"the result of {name}",
                expected="a number or an array",
                repair="End the function with return.",
            )
        outputs: list[Any] = flatten(result)[0]
        if not outputs:
            expected = "at least one number or array"
            refuse(f"the result of {name}", describe(result), expected, "Return one of them.")
        return outputs

    return call


class Ours(Subject):
    """A function of Tensors."""

    remedy = "Compute new values instead, e.g. with where(mask, new, x)."

    def outputs(self, leaves: Sequence[Any]) -> list[Tensor]:
        """Call the function, whose results have to be Tensors."""
        try:
            outputs = self.call(leaves)
        except ValueError as error:
            if "read-only" in str(error) and not isinstance(error, InputError):  # NumPy's words
                refuse_change(self, "an array that is read-only, such as the data of a Tensor,")
            raise
        for y in outputs:
            if not isinstance(y, Tensor):
                raise no_tensor(y, self.name)
        return outputs

    def value(self, inputs: Arrays) -> Arrays:
        leaves = [Tensor(x) for x in inputs]
        before = [leaf.value for leaf in leaves]
        with no_grad():
            outputs = [np.asarray(y.value) for y in self.outputs(leaves)]
        for label, leaf, value in zip(self.labels, leaves, before, strict=True):
            if leaf.value is not value:
                refuse_change(self, f"its {label}")
        return outputs

    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        leaves = [Tensor(x) for x in inputs]
        outputs = self.outputs(leaves)
        return [np.asarray(y.value) for y in outputs], partial(pull_all, outputs, leaves)

    def derivative(self, cotangents: Arrays) -> Subject:
        def gradients(leaves: Sequence[Any]) -> list[Any]:
            pullback = vjp(lambda *xs: tuple(self.outputs(xs)), *leaves)[1]
            return [as_constant(g) for g in pullback(tuple(cotangents))]

        return self.again(gradients)


def pull_all(outputs: Sequence[Tensor], leaves: Sequence[Tensor], cotangents: Arrays) -> list[Any]:
    """Return the sum over the outputs of what each passes to each leaf; zeros where nothing."""
    totals: list[Any] = [None] * len(leaves)
    for y, u in zip(outputs, cotangents, strict=True):
        found = y._gradients(leaves, False, u) if y.requires_grad else {}
        for i, leaf in enumerate(leaves):
            if leaf in found:
                totals[i] = found[leaf] if totals[i] is None else totals[i] + found[leaf]
    return [
        np.zeros(x.shape, x.dtype) if g is None else g for g, x in zip(totals, leaves, strict=True)
    ]


# ---------------------------------------------------------------------------------- by hand

BY_ELEMENT = (
    "grad= was read as the derivative of each element, since value, input and gradient have one "
    "shape; for any other function give its backward pass as vjp="
)


class Plain(Subject):
    """A function of plain arrays, and a function that returns its gradient."""

    by_hand = True

    def __init__(
        self, call: Call, inputs: Arrays, labels: list[str], name: str, gradient: Call
    ) -> None:
        super().__init__(call, inputs, labels, name)
        self.gradient = gradient

    def value(self, inputs: Arrays) -> Arrays:
        return [as_output(y, self.name) for y in self.call(numbers(inputs))]

    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        outputs = self.value([x.copy() for x in inputs])
        gradients = self.gradient(numbers(inputs))
        if len(gradients) != len(inputs):
            raise ShapeError(
                f"{len(gradients)} arrays",
                where=f"the hand-written gradient of {self.name}",
                expected=f"{len(inputs)}, one for each input",
                repair="Return a tuple with one array for each argument.",
            )
        found = [as_output(g, f"the gradient of {self.name}") for g in gradients]
        if any(by_element(g, x, y) for y in outputs for g, x in zip(found, inputs, strict=True)):
            self.hint = BY_ELEMENT
        return outputs, lambda cotangents: list(contracted(found, inputs, outputs, cotangents))

    def derivative(self, cotangents: Arrays) -> Subject:
        refuse(
            f"gradcheck of {self.name}, argument order",
            "2, and a gradient written by hand",
            "a gradient that can be differentiated itself",
            "Check the gradient as a function of its own: gradcheck(gradient, x, grad=hessian).",
        )


class PlainPullback(Plain):
    """A function of plain arrays, and one that also takes the cotangent: a backward pass."""

    by_hand = False

    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        outputs = self.value([x.copy() for x in inputs])
        return outputs, lambda cotangents: self.gradient(numbers([*inputs, *cotangents]))


def numbers(arrays: Sequence[np.ndarray]) -> list[Any]:
    """Return arrays, and numbers for those without axes."""
    return [x if x.ndim else x[()] for x in arrays]


def as_output(y: Any, name: str) -> np.ndarray:
    """Return what a plain function returned as an array of real numbers."""
    if isinstance(y, Tensor):
        y = y.value
    array = as_real(np.asarray(y), name, y)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def by_element(gradient: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    """Ask whether a gradient is understood as the derivative of each element by its own input."""
    return y.size != 1 and gradient.shape == x.shape == y.shape


def contracted(
    gradients: Arrays, inputs: Arrays, outputs: Arrays, cotangents: Arrays
) -> Iterator[np.ndarray]:
    """Yield cotangentᵀ · Jacobian for every input.

    For one number the gradient has the shape of the input. For an array y it is the Jacobian, of
    shape y.shape + x.shape, or, of the shape that x and y share, the derivative of each element.
    """
    if len(outputs) != 1:
        refuse(
            "the function with a hand-written gradient",
            f"{len(outputs)} outputs",
            "one output",
            "Check one at a time, or pass the backward pass as vjp=.",
        )
    y, u = outputs[0], cotangents[0]
    for g, x in zip(gradients, inputs, strict=True):
        if y.size == 1 and g.shape != y.shape + x.shape:
            yield g * u.reshape(())
        elif g.shape == y.shape + x.shape:
            yield np.tensordot(u, g, axes=y.ndim)
        elif by_element(g, x, y):
            yield g * u
        else:
            raise ShapeError(
                f"shape {g.shape} for a value of shape {y.shape} and an input of shape {x.shape}",
                where="the hand-written gradient",
                expected=f"a Jacobian of shape {y.shape + x.shape}",
                repair="Reduce the function to one number, e.g. with a weighted sum, or return "
                "its Jacobian.",
            )
