"""Is the derivative rule of an op right, where it was used? Measured by finite differences.

The step, and the error of what is measured, come from the values themselves: central differences
with two steps must agree, at kinks (where the two sides differ) and outside the domain nothing is
said, and a rule is called wrong only where it is off by far more than the error.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.graph import Node
from tinygrad_bp.op import Elementwise, Op, Structural
from tinygrad_bp.selected import settle

EPSILON = float(np.finfo(np.float64).eps)
SMALLEST = float(np.finfo(np.float64).smallest_normal)  # below, digits are lost
STEP = EPSILON ** (1 / 3)  # balances the error of the difference against that of rounding
LEAST = 4096 * EPSILON  # of x: a step that is still a difference
TOO_LONG = 0.01  # where even the least step is this long, a sine would have turned
SAFETY = 30.0  # how many estimated errors a rule must be off
TOLERANCE = 1e-6  # and how much, relative to the derivative
SAMPLES = 4  # of the nodes that have one op and inputs of the same shapes

Function = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class WrongRule:
    """A node at which the rule of its op disagrees with what is measured."""

    node: Node
    slot: int
    index: tuple[int, ...] | None  # None: there is one element, or a random direction was taken
    rule: float
    measured: float
    error: float  # of what is measured

    @property
    def along_a_direction(self) -> bool:
        """Whether the numbers are about a random direction, and not about one element."""
        return isinstance(self.node.op, Structural)


class Measured(NamedTuple):
    """Derivatives, and how far they can be off: ∞ where nothing can be said."""

    value: np.ndarray
    error: np.ndarray


def wrong_rules(nodes: Sequence[Node]) -> list[WrongRule]:
    """Check the rule of every differentiable op among `nodes` at its recorded inputs.

    At most one finding for each op and input, where the rule is furthest off.
    """
    groups: dict[tuple[Any, ...], list[Node]] = {}
    for node in nodes:
        if isinstance(node.op, Op) and node.requires_grad:
            shapes = () if isinstance(node.op, Elementwise) else tuple(map(np.shape, node.saved))
            key = (node.op.name, len(node.saved), repr(node.params), shapes)
            groups.setdefault(key, []).append(node)
    found: dict[tuple[str, int], WrongRule] = {}
    with np.errstate(all="ignore"):
        for group in groups.values():
            for wrong in _check(group):
                found.setdefault((group[0].op.name, wrong.slot), wrong)  # type: ignore[union-attr]
    return list(found.values())


def _check(group: list[Node]) -> Iterator[WrongRule]:
    op = group[0].op
    if isinstance(op, Elementwise):
        yield from _check_elements(op, group)
    elif isinstance(op, Structural):
        for node in group[:SAMPLES]:
            yield from _check_directions(op, node)


# ---------------------------------------------------------------------------------- elementwise


def _check_elements(op: Elementwise, group: list[Node]) -> Iterator[WrongRule]:
    """Check every element of every node that a rule has seen, all at once."""
    shapes = [np.shape(node.value) for node in group]
    inputs = [
        np.concatenate(
            [np.broadcast_to(_wide(n.saved[i]), s).ravel() for n, s in zip(group, shapes)]  # noqa: B905
        )
        for i in range(op.arity)
    ]
    y = op.forward(*inputs, **group[0].params)
    recorded = np.concatenate([np.ravel(node.value) for node in group])
    for slot in range(op.arity):
        if slot in op.skipped or inputs[slot].dtype.kind != "f":
            continue

        def f(x: Any, slot: int = slot) -> Any:
            return op.forward(*inputs[:slot], x, *inputs[slot + 1 :], **group[0].params)

        factor = op.rules[slot](y, *inputs, **group[0].params)
        rule = np.broadcast_to(np.asarray(factor, dtype=np.float64), y.shape)
        measured = measure(f, inputs[slot], np.ones_like(inputs[slot]))
        bad = _disagreement(rule, measured) * _is_repeatable(y, recorded)
        if bad.size and bad.max() > 0:
            place = int(bad.argmax())
            node, index = _locate(place, group, shapes)
            at = (float(a[place]) for a in (rule, measured.value, measured.error))
            yield WrongRule(node, slot, index or None, *at)


def _wide(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array if array.dtype.kind == "b" else array.astype(np.float64)


def _is_repeatable(again: Any, recorded: Any) -> Any:
    """Tell where an op gives what it gave: one that draws random numbers cannot be measured."""
    tolerance = 1e-3 if recorded.dtype.itemsize < 8 else 1e-9
    return np.isclose(again, recorded, rtol=tolerance, atol=tolerance)


def _locate(place: int, group: list[Node], shapes: list[Any]) -> tuple[Node, tuple[int, ...]]:
    """Find the node and the index in it of a position in all elements of a group."""
    for node, shape in zip(group, shapes, strict=True):
        size = int(np.prod(shape))
        if place < size:
            return node, tuple(int(i) for i in np.unravel_index(place, shape))
        place -= size
    raise AssertionError("a position beyond the last node")


# ---------------------------------------------------------------------------------- structural


def _check_directions(op: Structural, node: Node) -> Iterator[WrongRule]:
    """Check ⟨u, J·v⟩ = ⟨Jᵀ·u, v⟩ for random u and v, one input after the other."""
    random = np.random.default_rng(0)
    inputs = [_as_floats(value) for value in node.saved]
    y = op.forward(*inputs, **node.params)
    if not np.all(_is_repeatable(y, np.asarray(node.value))):
        return
    u = random.normal(size=np.shape(y))
    shares = op.pull(node, u if np.ndim(y) else u[()], y, inputs)
    for slot, (x, share) in enumerate(zip(node.inputs, shares, strict=True)):
        if share is None or not x.requires_grad:
            continue
        v = random.normal(size=np.shape(inputs[slot]))
        if op.facts.positive_definite:  # only their symmetric part counts
            v = (v + v.swapaxes(-1, -2)) / 2
        scale = np.max(np.abs(inputs[slot]), initial=0) or 1.0

        def f(t: Any, slot: int = slot, v: Any = v * scale) -> Any:
            moved = [*inputs[:slot], inputs[slot] + t * v, *inputs[slot + 1 :]]
            return np.sum(u * op.forward(*moved, **node.params))

        rule = np.sum(np.asarray(settle(share)) * v * scale)
        measured = measure(f, np.float64(0), np.float64(1))
        if _disagreement(rule, measured) > 0:
            at = (float(a) for a in (rule, measured.value, measured.error))
            yield WrongRule(node, slot, None, *at)


def _as_floats(value: Any) -> Any:
    array = np.asarray(value)
    return array.astype(np.float64)[()] if array.dtype.kind == "f" else array[()]


# ---------------------------------------------------------------------------------- measuring


def measure(f: Function, x: Any, direction: Any) -> Measured:
    """Return the derivative of each element of f by the same element of x, and its error.

    A step relative to x suits x near a singularity, an absolute one x near 0: the better counts.
    """
    best = _central(f, x, direction, STEP * np.maximum(np.abs(x), 1.0))
    other = _central(f, x, direction, STEP * np.abs(x) + (x == 0) * STEP)
    better = other.error < best.error
    return Measured(
        np.where(better, other.value, best.value), np.where(better, other.error, best.error)
    )


def _central(f: Function, x: Any, direction: Any, step: Any) -> Measured:
    """Compare central differences with a step, with half of it and with the least that resolves.

    The last is coarse, but it sees what a long step passes over: kinks, and whole periods.
    """
    middle = f(x)
    wide, bend, largest = _difference(f, x, direction, step, middle)
    narrow, half_bend, _ = _difference(f, x, direction, step / 2, middle)
    # What is rounded is f, x, and what f computes on its way, which may be as large as x.
    rounding = 4 * EPSILON * (largest + np.abs(x) * np.maximum(np.abs(narrow), 1)) + SMALLEST
    kink = (half_bend > 0.75 * bend) & (half_bend > SAFETY * rounding / step)
    least = np.minimum(LEAST * np.maximum(np.abs(x), step / STEP), step)
    close = _difference(f, x, direction, least, middle)[0]
    passed_over = np.abs(close - narrow) > SAFETY * rounding / least + 0.01 * np.abs(narrow)
    error = np.abs(wide - narrow) + rounding / step
    unknown = kink | passed_over | (least > TOO_LONG) | ~np.isfinite(error)
    error = np.where(unknown, np.inf, error)
    return Measured(np.asarray(narrow), error)


def _difference(f: Function, x: Any, direction: Any, step: Any, middle: Any) -> tuple[Any, ...]:
    """Return the slope across a step, how much its halves differ, and how large f is."""
    above, below = f(x + step * direction), f(x - step * direction)
    largest = np.maximum(np.maximum(np.abs(above), np.abs(below)), np.abs(middle))
    return (above - below) / (2 * step), np.abs(above - 2 * middle + below) / step, largest


def _disagreement(rule: Any, measured: Measured) -> Any:
    """Return by how many times what is allowed a rule is off, or 0 where it may be right."""
    size = np.abs(measured.value)
    ratio = np.abs(rule - measured.value) / (SAFETY * measured.error + TOLERANCE * size)
    known = np.isfinite(measured.error) & np.isfinite(measured.value)
    precise = known & (measured.error < TOLERANCE + TOLERANCE * size)
    wrong = np.where(np.isfinite(rule), known & (ratio > 1), precise)
    return np.where(wrong, np.nan_to_num(ratio, nan=np.inf), 0)
