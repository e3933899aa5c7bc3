"""Making values: each function states the shape and dtype of what it makes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_bp.compiler.primitives import SEARCHES, Value, constant
from tinygrad_bp.facts import Shape

BOOL, INTEGER = np.dtype(bool), np.dtype(np.int64)


def elementwise(name: str, *inputs: Value, dtype: Any = None) -> Value:
    """Apply a ufunc to values of one shape (numbers are broadcast) and of its own dtypes."""
    shape = np.broadcast_shapes(*(x.shape for x in inputs))
    spread = tuple(broadcast(x, shape) for x in inputs)
    return Value(name, spread, shape, np.dtype(dtype or inputs[-1].dtype))


def select(condition: Value, a: Value, b: Value) -> Value:
    """Choose elements of a or b."""
    return elementwise("select", cast(condition, BOOL), a, b, dtype=a.dtype)


def cast(x: Value, dtype: Any) -> Value:
    """Convert to a dtype."""
    dtype = np.dtype(dtype)
    return x if x.dtype == dtype else Value("cast", (x,), x.shape, dtype)


# ---------------------------------------------------------------------------------- views


def broadcast(x: Value, shape: Shape) -> Value:
    """Repeat along new or single axes."""
    return x if x.shape == shape else Value("broadcast", (x,), shape, x.dtype)


def reshape(x: Value, shape: Shape) -> Value:
    """Give the same elements another shape."""
    return x if x.shape == shape else Value("reshape", (x,), shape, x.dtype)


def transpose(x: Value, axes: Sequence[int]) -> Value:
    """Reorder the axes."""
    axes = tuple(axes)
    if axes == tuple(range(len(axes))):
        return x
    return Value("transpose", (x,), tuple(x.shape[a] for a in axes), x.dtype, (axes,))


def index(x: Value, key: Any) -> Value:
    """Pick elements with a NumPy index that is known."""
    parts = key if isinstance(key, tuple) else (key,)
    if all(isinstance(p, int | np.integer | slice) or p is None or p is ... for p in parts):
        return basic_index(x, parts)
    table = np.arange(x.size).reshape(x.shape)[key]
    return Value("gather", (x,), table.shape, x.dtype, (table,))


def basic_index(x: Value, parts: tuple[Any, ...]) -> Value:
    """Take a regular part: a slice of every axis, then a reshape for what numbers and None do."""
    starts, steps, lengths = bounds(x.shape, parts)
    shape = np.empty(x.shape, bool)[parts].shape
    if lengths != x.shape or any(s != 1 for s in steps):
        x = Value("slice", (x,), lengths, x.dtype, (starts, steps))
    return reshape(x, shape)


def bounds(shape: Shape, parts: tuple[Any, ...]) -> tuple[Shape, Shape, Shape]:
    """Return where a basic index starts, how it steps, and how many elements it takes."""
    named = [p for p in parts if p is not None]
    if not any(p is ... for p in named):
        named.append(...)
    at = next(i for i, p in enumerate(named) if p is ...)
    named[at : at + 1] = [slice(None)] * (len(shape) - len(named) + 1)
    ranges = [
        range(*p.indices(n)) if isinstance(p, slice) else range(p % n, p % n + 1)
        for p, n in zip(named, shape, strict=True)
    ]
    return (
        tuple(r.start if len(r) else 0 for r in ranges),
        tuple(r.step if len(r) > 1 else 1 for r in ranges),
        tuple(len(r) for r in ranges),
    )


# ---------------------------------------------------------------------------------- the rest


def scatter(x: Value, key: Any, shape: Shape) -> Value:
    """Add elements into zeros of `shape` at a NumPy index."""
    parts = key if isinstance(key, tuple) else (key,)
    if all(isinstance(p, int | np.integer | slice) or p is None or p is ... for p in parts):
        starts, steps, lengths = bounds(shape, parts)
        picked = np.empty(shape, bool)[parts].shape
        return place(reshape(broadcast(x, picked), lengths), shape, starts, steps)
    table = np.arange(math.prod(shape)).reshape(shape)[key]
    return Value("scatter", (broadcast(x, table.shape),), shape, x.dtype, (table,))


def place(x: Value, shape: Shape, starts: Shape, steps: Shape, fill: Any = 0) -> Value:
    """Put elements at regular places of an array that is `fill` elsewhere."""
    if x.shape == shape and all(s == 1 for s in steps):
        return x
    return Value("place", (x,), shape, x.dtype, (starts, steps, x.dtype.type(fill).item()))


def join(parts: Sequence[Value], axis: int) -> Value:
    """Join values of one dtype end to end."""
    shape = list(parts[0].shape)
    shape[axis] = sum(x.shape[axis] for x in parts)
    return Value("join", tuple(parts), tuple(shape), parts[0].dtype, (axis,))


def reduce(name: str, x: Value, axes: Sequence[int], keepdims: bool = False) -> Value:
    """Reduce over axes."""
    axes = tuple(sorted(axes))
    if name == "sum" and x.dtype.kind in "bui":
        x = cast(x, np.add.reduce(np.zeros(1, x.dtype)).dtype)
    elif name in ("any", "all"):
        x = cast(x, BOOL)
    kept = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    single = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    if name in ("max", "min") and 0 in x.shape and x.size < math.prod(kept):
        raise ValueError("zero-size array to a reduction which has no identity")
    y = Value(name, (x,), kept, x.dtype, (axes,)) if axes else x
    return reshape(y, single) if keepdims else y


def search(name: str, x: Value, axis: int) -> Value:
    """Find where an extreme stands along an axis."""
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    dtype = SEARCHES[name](np.zeros(1)).dtype
    return Value(name, (x,), shape, dtype, (axis,))


def contract(a: Value, b: Value, left: Sequence[int], right: Sequence[int], to: Any) -> Value:
    """Sum products over the labels that the result does not have."""
    lengths = dict(zip(left, a.shape, strict=True)) | dict(zip(right, b.shape, strict=True))
    for labels, x in ((left, a), (right, b)):
        if any(lengths[c] != n for c, n in zip(labels, x.shape, strict=True)):
            raise ValueError(f"shapes {a.shape} and {b.shape} do not fit together")
    shape = tuple(lengths[c] for c in to)
    number = {c: i for i, c in enumerate(lengths)}
    params = tuple(tuple(number[c] for c in labels) for labels in (left, right, to))
    return Value("contract", (a, b), shape, a.dtype, params)


def matmul(a: Value, b: Value) -> Value:
    """Multiply matrices as np.matmul does."""
    if not a.shape or not b.shape:
        raise ValueError("matmul needs at least one axis")
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    single = max(len(a.shape), len(b.shape)) > 2
    if single and len(a.shape) > 2:
        a = _with_batch(a, batch)
    if single and len(b.shape) > 2:
        b = _with_batch(b, batch)
    names = tuple(range(3, 3 + len(batch)))
    left = (*names, 0, 1) if len(a.shape) > 2 else ((0, 1) if len(a.shape) == 2 else (1,))
    right = (*names, 1, 2) if len(b.shape) > 2 else ((1, 2) if len(b.shape) == 2 else (1,))
    to = (*names, *(c for c in left if c == 0), *(c for c in right if c == 2))
    return contract(a, b, left, right, to)


def _with_batch(x: Value, batch: Shape) -> Value:
    return broadcast(x, batch + x.shape[-2:])


def fill(shape: Shape, number: Any, dtype: Any) -> Value:
    """Make a constant that is the same everywhere."""
    return broadcast(constant(number, dtype), tuple(shape))
