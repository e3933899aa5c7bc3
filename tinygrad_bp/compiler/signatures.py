"""What each primitive makes of its inputs: the shape and the dtype, told without computing.

A rule raises `RuleError` for parameters that lead out of an array or make no sense. Machine code
relies on nothing else: what passes here touches only its own memory.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_bp.compiler.primitives import REDUCTIONS, SEARCHES, Value
from tinygrad_bp.facts import Shape

Signature = tuple[Shape, np.dtype]


class RuleError(Exception):
    """What a rule expected instead, in words."""


def expect(holds: Any, expected: str) -> None:
    """Go on, or refuse with what was expected."""
    if not holds:
        raise RuleError(expected)


def _broadcast(y: Value, x: Value) -> Signature:
    expect(len(x.shape) <= len(y.shape), "as many axes as its input, or more")
    ends = y.shape[len(y.shape) - len(x.shape) :]
    expect(all(m in (1, n) for m, n in zip(x.shape, ends, strict=True)), "axes that are repeated")
    return y.shape, x.dtype


def _reshape(y: Value, x: Value) -> Signature:
    expect(x.size == y.size, f"{x.size} elements, as its input has")
    return y.shape, x.dtype


def _transpose(y: Value, x: Value) -> Signature:
    (axes,) = y.params
    expect(sorted(axes) == list(range(len(x.shape))), "each axis once")
    return tuple(x.shape[i] for i in axes), x.dtype


def _slice(y: Value, x: Value) -> Signature:
    _expect_inside(x.shape, y.shape, *y.params)
    return y.shape, x.dtype


def _place(y: Value, x: Value) -> Signature:
    starts, steps, _ = y.params
    _expect_inside(y.shape, x.shape, starts, steps)
    return y.shape, x.dtype


def _expect_inside(whole: Shape, part: Shape, starts: Sequence[int], steps: Sequence[int]) -> None:
    """Expect every element of a regular part to lie in the whole, at a place of its own."""
    expect(len(whole) == len(part) == len(starts) == len(steps), "a start and a step for each axis")
    expect(all(steps), "steps that move")
    for size, length, start, step in zip(whole, part, starts, steps, strict=True):
        ends = (start, start + step * (length - 1))
        expect(length == 0 or all(0 <= at < size for at in ends), "a part inside of the whole")


def _gather(y: Value, x: Value) -> Signature:
    (table,) = y.params
    _expect_places(table, x.size)
    return table.shape, x.dtype


def _scatter(y: Value, x: Value) -> Signature:
    (table,) = y.params
    _expect_places(table, y.size)
    expect(table.shape == x.shape, f"a place for each of {list(x.shape)}")
    return y.shape, x.dtype


def _expect_places(table: np.ndarray, size: int) -> None:
    expect(table.dtype.kind in "iu", "a table of integers")
    inside = not table.size or 0 <= table.min() <= table.max() < size
    expect(inside, f"places from 0 to {size - 1}")


def _join(y: Value, *parts: Value) -> Signature:
    axis = _axis(y, parts[0])
    for a, b in pairwise(parts):
        same = [m == n or i == axis for i, (m, n) in enumerate(zip(a.shape, b.shape, strict=True))]
        expect(a.dtype == b.dtype and all(same), "parts of one dtype that fit together")
    shape = list(parts[0].shape)
    shape[axis] = sum(x.shape[axis] for x in parts)
    return tuple(shape), parts[0].dtype


def _axis(y: Value, x: Value) -> int:
    (axis,) = y.params
    expect(0 <= axis < len(x.shape), "an axis of its input")
    return int(axis)


def _cumsum(y: Value, x: Value) -> Signature:
    _axis(y, x)
    return x.shape, x.dtype


def _search(y: Value, x: Value) -> Signature:
    axis = _axis(y, x)
    expect(x.shape[axis], "an axis with elements")
    return x.shape[:axis] + x.shape[axis + 1 :], np.dtype(np.intp)


def _reduce(y: Value, x: Value) -> Signature:
    (axes,) = y.params
    distinct = sorted(set(axes)) == sorted(axes)
    expect(distinct and all(0 <= i < len(x.shape) for i in axes), "distinct axes of its input")
    empty = any(x.shape[i] == 0 for i in axes)
    expect(not (empty and y.size and y.primitive in ("max", "min")), "axes with elements")
    expect(y.primitive not in ("any", "all") or x.dtype.kind == "b", "booleans")
    return tuple(n for i, n in enumerate(x.shape) if i not in axes), x.dtype


def _contract(y: Value, a: Value, b: Value) -> Signature:
    left, right, result = y.params
    expect((len(left), len(right)) == (len(a.shape), len(b.shape)), "a label for each axis")
    lengths: dict[int, int] = {}
    for label, n in (*zip(left, a.shape, strict=True), *zip(right, b.shape, strict=True)):
        expect(lengths.setdefault(label, n) == n, f"axes of one length for label {label}")
    expect(all(c in lengths for c in result), "labels that its inputs have")
    expect(len(set(result)) == len(result), "each label of the result once")
    expect(a.dtype == b.dtype, "factors of one dtype")
    return tuple(lengths[c] for c in result), a.dtype


RULES: dict[str, tuple[int | None, Callable[..., Signature]]] = {  # how many inputs, and the rule
    "broadcast": (1, _broadcast),
    "reshape": (1, _reshape),
    "transpose": (1, _transpose),
    "slice": (1, _slice),
    "place": (1, _place),
    "gather": (1, _gather),
    "scatter": (1, _scatter),
    "join": (None, _join),
    "cumsum": (1, _cumsum),
    "contract": (2, _contract),
    **dict.fromkeys(SEARCHES, (1, _search)),
    **dict.fromkeys(REDUCTIONS, (1, _reduce)),
}


def signature_of(value: Value) -> Signature:
    """Return the shape and the dtype that a value has by its rule, or raise `RuleError`."""
    count, rule = RULES[value.primitive]
    given = len(value.inputs)
    expect(given == count if count else given, f"{count or 'one or more'} inputs")
    try:
        return rule(value, *value.inputs)
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise RuleError(f"parameters of its kind ({error})") from error
