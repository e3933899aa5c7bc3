"""Why a number is not finite: where exactly, from which inputs, by which pattern, what helps.

One table says what can go wrong in the value of an op, another what can go wrong in its slope.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.flow import local_derivative
from tinygrad_bp.graph import Node
from tinygrad_bp.op import Elementwise
from tinygrad_bp.summary import is_finite, number, numbers

Index = tuple[int, ...]


@dataclass(frozen=True)
class Cause:
    """What is known of the first non-finite number of a node."""

    index: Index | None  # in the output of the op; None where there is only one element
    what: str  # "NaN", "inf"
    inputs: str  # "a = 0, b = 0"
    pattern: str  # "0/0"
    remedy: str


class Case(NamedTuple):
    """One row of a table: the ops and the inputs that it is about, and what to say."""

    ops: tuple[str, ...]
    applies: Callable[..., Any]
    pattern: str
    remedy: str


# ---------------------------------------------------------------------------------- the tables

_DIVISOR = "Keep the divisor away from 0: where(b == 0, 1, b), or add a small constant to it."
_STABLE = (
    "Use an op that cannot overflow: softmax, log_softmax, logsumexp, cross_entropy, sigmoid or "
    "softplus; or limit its input with clip; or lower the learning rate."
)
_SCALE = "Scale the inputs or the weights down, or lower the learning rate."
_INSIDE = "Change the input where it is outside: where(mask, x, 1) before the op, not after it."
_CLIP = "Keep the argument positive: clip it to a small number from below, or use a stable op."
_IN_A_CHECKPOINT = ("inside the checkpoint", "Call the function without checkpoint to see where.")
_LOG_OF = {  # what made the argument of a logarithm, and the op that does both
    "softmax": "Use log_softmax(x), or cross_entropy, instead of log(softmax(x)).",
    "sigmoid": "Use -softplus(-x) instead of log(sigmoid(x)).",
    "exp": "The logarithm of exp(x) is x.",
    "sum": "Use logsumexp(x) instead of log(sum(exp(x))).",
    "divide": "Use log_softmax(x), or subtract two logarithms.",
}

VALUES = (
    Case(("divide",), lambda a, b: a == 0 == b, "0/0", _DIVISOR),
    Case(("divide",), lambda a, b: b == 0, "x/0", _DIVISOR),
    Case(("divide",), lambda a, b: np.isinf(a) and np.isinf(b), "∞/∞", _STABLE),
    Case(("multiply",), lambda a, b: 0 in (a, b), "0·∞", "Remove the ∞, or choose with where."),
    Case(("add", "subtract"), lambda a, b: np.isinf(a) and np.isinf(b), "∞ − ∞",
         "Use a large finite number, such as -1e9, in masks."),
    Case(("log", "log10", "log2"), lambda x: x == 0, "the logarithm of 0", _CLIP),
    Case(("log", "log10", "log2"), lambda x: x < 0, "the logarithm of a negative number", _CLIP),
    Case(("log1p",), lambda x: x <= -1, "the logarithm of 1 + x ≤ 0", _CLIP),
    Case(("sqrt",), lambda x: x < 0, "the square root of a negative number",
         "Keep the argument at 0 or above: maximum(x, 0), or square it."),
    Case(("power",), lambda x, p: x == 0 and p < 0, "0 to a negative power", _DIVISOR),
    Case(("power",), lambda x, p: x < 0 and p != np.floor(p),
         "a negative base to a power that is no whole number",
         "Take the power of abs(x), or use a whole exponent."),
    Case(("arcsin", "arccos"), lambda x: np.abs(x) > 1, "an angle whose sine is beyond ±1",
         "Limit the argument: clip(x, -1, 1)."),
    Case(("exp", "expm1", "sinh", "cosh"), np.isfinite, "overflow of the exponential", _STABLE),
)  # fmt: skip

SLOPES = (
    Case(("sqrt",), lambda x: x == 0, "the slope of the square root at 0 is ∞",
         "Use tg.norm, or sqrt(x + 1e-12), or change the input: sqrt(where(x > 0, x, 1))."),
    Case(("power",), lambda x, p: x == 0 and p < 1, "the slope of a power below 1 at 0 is ∞",
         "Add a small constant to the base; for a norm use tg.norm."),
    Case(("arcsin", "arccos"), lambda x: np.abs(x) == 1, "the slope at ±1 is ∞",
         "Limit the argument a little more: clip(x, -1 + 1e-7, 1 - 1e-7)."),
    Case(("divide",), lambda a, b: True, "overflow of the slope: the divisor is almost 0",
         _DIVISOR),
    Case(("log",), lambda x: True, "overflow of the slope: the argument is almost 0", _CLIP),
)  # fmt: skip


def _look_up(table: Sequence[Case], name: str, inputs: Sequence[Any]) -> tuple[str, str] | None:
    for case in table:
        if name in case.ops and case.applies(*inputs):
            return case.pattern, case.remedy
    return None


# ---------------------------------------------------------------------------------- forward


def cause_of_value(node: Node) -> Cause:
    """Explain the first non-finite number in the value of a node."""
    index = first_non_finite(node.value)
    y = np.asarray(node.value)[index]
    if node.op is None:
        given = "Check the data, or the last update of the weights."
        return Cause(_shown(index), _kind(y), "", "given as it is", given)
    inputs = _inputs_at(node, index)
    found = _look_up(VALUES, node.op.name, inputs) if inputs else None
    pattern, remedy = found or _general(node, bool(np.isinf(y)))
    if node.op.name == "log":
        remedy = _LOG_OF.get(_name(node.inputs[0]), remedy)
    return Cause(_shown(index), _kind(y), _written(node, inputs), pattern, remedy)


def _general(node: Node, infinite: bool) -> tuple[str, str]:
    """Say what can be said of an op that the table does not know at these inputs."""
    if _name(node) == "checkpoint":
        return _IN_A_CHECKPOINT
    if any(np.size(value) == 0 for value in node.saved):
        return "no elements to reduce", "Check that the batch, or the mask, is not empty."
    if not all(is_finite(value) for value in node.saved):
        return "a non-finite input", "Look at the inputs: they were not finite before."
    if infinite:
        dtype = np.asarray(node.value).dtype
        limit = f" beyond {number(np.finfo(dtype).max)}" if dtype.kind == "f" else ""
        return f"overflow of {dtype}{limit}", _SCALE
    return "inputs outside the domain of the op", _INSIDE


# ---------------------------------------------------------------------------------- backward


def cause_of_gradient(
    node: Node, slot: int, cotangent: Any, share: Any, *, not_taken: bool = False
) -> Cause:
    """Explain the first non-finite number in what a node sends to an input.

    ``cotangent``: the gradient that arrived; ``share``: what goes on; ``not_taken``: whether a
    `where` further on may have left the element out.
    """
    factor = local_derivative(node, slot)
    if factor is None:
        index = first_non_finite(share)
        what = _kind(np.asarray(share)[index])
        found = ("overflow in its rule", _SCALE)
        if _name(node) == "checkpoint":
            found = _IN_A_CHECKPOINT
        return Cause(_shown(index), what, _written(node, []), *found)
    shape = np.shape(node.value)
    factors = np.broadcast_to(np.asarray(factor, dtype=np.asarray(node.value).dtype), shape)
    with np.errstate(all="ignore"):
        product = np.broadcast_to(cotangent, shape) * factors
    index = first_non_finite(product)
    arrived, slope = np.broadcast_to(cotangent, shape)[index], factors[index]
    pattern, remedy = _slope(node, index, float(slope))
    if arrived == 0 and not np.isfinite(slope):
        pattern = f"0·∞: {pattern}"
        if not_taken:
            pattern += ", in a branch that where did not take"
            remedy = "Change the input, too: op(where(mask, x, 1)), and then choose with where."
    inputs = f"{_written(node, _inputs_at(node, index))}, gradient = {number(arrived)}"
    return Cause(_shown(index), _kind(product[index]), inputs, pattern, remedy)


def _slope(node: Node, index: Index, slope: float) -> tuple[str, str]:
    if np.isfinite(slope) or node.op is None:
        return "overflow of gradient times slope", _SCALE
    found = _look_up(SLOPES, node.op.name, _inputs_at(node, index))
    return found or (f"the slope of {node.op.name} is not finite there", _INSIDE)


# ---------------------------------------------------------------------------------- places


def first_non_finite(array: Any) -> Index:
    """Return the index of the first NaN or infinity, or of the first element if there is none."""
    bad = ~np.isfinite(np.asarray(array))
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))


def _shown(index: Index) -> Index | None:
    return index or None


def _kind(x: Any) -> str:
    return number(x) if np.isinf(x) else "NaN"


def _name(node: Node) -> str:
    return node.op.name if node.op else ""


def _inputs_at(node: Node, index: Index) -> list[Any]:
    """Return the inputs that one element of an elementwise op was made of; [] for other ops."""
    if not isinstance(node.op, Elementwise):
        return []
    shape = np.shape(node.value)
    return [np.broadcast_to(np.asarray(value), shape)[index] for value in node.saved]


def _written(node: Node, inputs: Sequence[Any]) -> str:
    """Write down the inputs of an op: the ones at an element, or a summary of all."""
    names = getattr(node.op, "input_names", [])
    if len(names) != len(node.saved):
        names = [f"input {i}" for i in range(len(node.saved))]
    texts = map(number, inputs) if inputs else map(numbers, node.saved)
    return ", ".join(f"{name} = {text}" for name, text in zip(names, texts, strict=False))
