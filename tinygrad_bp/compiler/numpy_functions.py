"""What NumPy's functions mean to a symbol: one row for each that the ops are written with."""

import functools
from typing import Any

import numpy as np

from tinygrad_bp.compiler import build
from tinygrad_bp.compiler.primitives import Value
from tinygrad_bp.compiler.symbol import (
    Symbol,
    as_value,
    as_values,
    axes_of,
    common_dtype,
    kind_of,
    reduce_with,
)


def _where(condition: Any, a: Any, b: Any) -> Any:
    kinds = [kind_of(x) for x in (a, b)]
    weak = all(isinstance(k, type) for k in kinds)
    dtype = np.result_type(*map(np.dtype, kinds)) if weak else common_dtype(a, b)
    return Symbol(build.select(as_value(condition), as_value(a, dtype), as_value(b, dtype)))


def _mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    count = np.prod([x.shape[i] for i in axes_of(x, axis)], dtype=int).item()
    half = x.dtype == np.float16  # NumPy adds these up in float32, where they do not overflow
    wide = x.astype(np.float32) if half else x if x.dtype.kind == "f" else x.astype(float)
    mean = reduce_with("sum", wide, axis, keepdims) / count
    return mean.astype(x.dtype) if half else mean


def _cumsum(x: Any, axis: Any = None) -> Any:
    value = x.value if axis is not None else build.reshape(x.value, (x.size,))
    axis = 0 if axis is None else axis
    axis = range(len(value.shape))[axis]
    if value.dtype.kind in "bui":
        value = build.cast(value, np.add.reduce(np.zeros(1, value.dtype)).dtype)
    return Symbol(Value("cumsum", (value,), value.shape, value.dtype, (axis,)))


def _search(name: str, x: Any, axis: Any = None) -> Any:
    value = x.value if axis is not None else build.reshape(x.value, (x.size,))
    axis = range(len(value.shape))[0 if axis is None else axis]
    if not value.shape[axis]:
        raise ValueError(f"attempt to get {name} of an empty sequence")
    return Symbol(build.search(name, value, axis))


def _reshape(x: Any, shape: Any) -> Any:
    return Symbol(build.reshape(x.value, np.empty(x.shape, bool).reshape(shape).shape))


def _transpose(x: Any, axes: Any = None) -> Any:
    axes = range(x.ndim)[::-1] if axes is None else axes
    normal = np.lib.array_utils.normalize_axis_tuple(tuple(axes), x.ndim)
    if len(normal) != x.ndim:
        raise ValueError("axes don't match array")
    return Symbol(build.transpose(x.value, normal))


def _broadcast_to(x: Any, shape: Any) -> Any:
    shape = np.broadcast_to(np.empty(x.shape, bool), shape).shape
    return Symbol(build.broadcast(x.value, shape))


def _concatenate(arrays: Any, axis: Any = 0) -> Any:
    if axis is None:
        arrays, axis = [np.reshape(x, -1) for x in arrays], 0
    parts, _ = as_values(arrays)
    np.concatenate([np.empty(x.shape, bool) for x in parts], axis)  # refuses what does not fit
    return Symbol(build.join(parts, range(len(parts[0].shape))[axis]))


def _stack(arrays: Any, axis: int = 0) -> Any:
    parts, _ = as_values(arrays)
    shape = np.stack([np.empty(x.shape, bool) for x in parts], axis).shape
    axis = range(len(shape))[axis]
    single = (*shape[:axis], 1, *shape[axis + 1 :])
    return Symbol(build.join([build.reshape(x, single) for x in parts], axis))


def _pad(x: Any, widths: Any, constant_values: Any = 0) -> Any:
    pairs = widths or ()
    shape = tuple(a + n + b for (a, b), n in zip(pairs, x.shape, strict=True))
    starts = tuple(a for a, _ in pairs)
    return Symbol(build.place(x.value, shape, starts, (1,) * x.ndim, constant_values))


def _dot(a: Any, b: Any) -> Any:
    (left, right), _ = as_values((a, b))
    if not left.shape or not right.shape:
        return np.multiply(Symbol(left), Symbol(right))
    if len(right.shape) < 3:
        return Symbol(build.matmul(left, right)) if len(left.shape) < 3 else _rows(left, right)
    return _rows(left, right)


def _rows(a: Value, b: Value) -> Any:
    """Contract the last axis of a with the last but one of b, and keep all others."""
    first = tuple(range(len(a.shape)))
    second = list(range(len(first), len(first) + len(b.shape)))
    second[-2 if len(b.shape) > 1 else -1] = first[-1]
    to = (*first[:-1], *(c for c in second if c != first[-1]))
    return Symbol(build.contract(a, b, first, second, to))


def _einsum(subscripts: str, *operands: Any, optimize: Any = False) -> Any:
    values, _ = as_values(operands)
    left, result = subscripts.split("->")
    names = [tuple(map(ord, term)) for term in left.split(",")]
    total, labels = values[0], names[0]
    for i in range(1, len(values)):
        later = {c for term in (*names[i + 1 :], tuple(map(ord, result))) for c in term}
        total, labels = _only(total, labels, {*later, *names[i]})
        other, right = _only(values[i], names[i], {*later, *labels})
        to = tuple(c for c in dict.fromkeys((*labels, *right)) if c in later)
        total, labels = build.contract(total, other, labels, right, to), to
    total, labels = _only(total, labels, set(map(ord, result)))
    return Symbol(build.transpose(total, [labels.index(ord(c)) for c in result]))


def _only(x: Value, labels: tuple[int, ...], wanted: Any) -> tuple[Value, tuple[int, ...]]:
    """Sum over the labels that nobody asks for any more."""
    axes = [i for i, c in enumerate(labels) if c not in wanted]
    return build.reduce("sum", x, axes), tuple(c for c in labels if c in wanted)


def _full_like(number: int, x: Any) -> Any:
    return np.full(x.shape, number, x.dtype)


FUNCTIONS: dict[Any, Any] = {
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
    np.size: lambda x: x.size,
    np.zeros_like: functools.partial(_full_like, 0),
    np.ones_like: functools.partial(_full_like, 1),
    np.where: _where,
    np.sum: functools.partial(reduce_with, "sum"),
    np.prod: functools.partial(reduce_with, "prod"),
    np.max: functools.partial(reduce_with, "max"),
    np.min: functools.partial(reduce_with, "min"),
    np.any: functools.partial(reduce_with, "any"),
    np.all: functools.partial(reduce_with, "all"),
    np.mean: _mean,
    np.cumsum: _cumsum,
    np.argmax: functools.partial(_search, "argmax"),
    np.argmin: functools.partial(_search, "argmin"),
    np.reshape: _reshape,
    np.transpose: _transpose,
    np.broadcast_to: _broadcast_to,
    np.concatenate: _concatenate,
    np.stack: _stack,
    np.pad: _pad,
    np.dot: _dot,
    np.einsum: _einsum,
}
