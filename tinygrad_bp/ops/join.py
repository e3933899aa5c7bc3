"""Joining tensors, cutting them up again, and padding their edges."""

import operator

import numpy as np

from tinygrad_bp.declare import derived, structural
from tinygrad_bp.errors import InputError
from tinygrad_bp.ops.shape import astensor, getitem, reshape, take


def _join_cases(shape):
    shape = shape or (2,)
    return [((shape, shape, shape), {"axis": axis}) for axis in range(-1, len(shape))]


@structural(
    "join",
    routes=True,
    sequence=True,
    method=False,
    cases=_join_cases,
    expects="a sequence of inputs that differ in length along one axis only",
)
def concatenate(*arrays, axis=0):
    """Join a sequence of tensors end to end along an existing axis (None: flattened).

    >>> tg.concatenate([tg.Tensor([1.0, 2.0]), [3.0]])
    Tensor([1., 2., 3.])
    """
    return np.concatenate(arrays, axis=axis)


@concatenate.vjp
def _(g, y, *arrays, axis):
    lengths = [x.size if axis is None else x.shape[axis] for x in arrays]
    parts = split(g, np.cumsum(lengths)[:-1].tolist(), 0 if axis is None else axis)
    return [reshape(part, x.shape) for part, x in zip(parts, arrays, strict=True)]


@structural(
    "stack",
    routes=True,
    sequence=True,
    method=False,
    cases=_join_cases,
    expects="a sequence of inputs of one shape",
)
def stack(*arrays, axis=0):
    """Join a sequence of tensors of one shape along a new axis.

    >>> tg.stack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]])
    Tensor([[1., 2.],
            [3., 4.]])
    """
    return np.stack(arrays, axis=axis)


@stack.vjp
def _(g, y, *arrays, axis):
    return [take(g, axis, i) for i in range(len(arrays))]


@derived(
    method=False, cases=lambda s: [(((4, *s),), {"indices_or_sections": n}) for n in (2, [1, 3])]
)
def split(x, indices_or_sections, axis=0):
    """Cut along `axis` into a list: so many equal parts, or at the listed positions.

    Raises `InputError` if equal parts are not possible.

    >>> tg.split(tg.Tensor([1.0, 2.0, 3.0, 4.0]), 2)
    [Tensor([1., 2.]), Tensor([3., 4.])]
    """
    x = astensor(x)
    cuts, length = indices_or_sections, x.shape[axis]
    if np.ndim(cuts) == 0:
        parts = operator.index(cuts)
        if parts < 1 or length % parts:
            raise InputError(
                f"{parts} parts of an axis of length {length}",
                where="split",
                expected="a number of parts that divides the length",
                repair="List the positions of the cuts instead.",
            )
        cuts = range(length // parts, length, length // parts) if length else [0] * (parts - 1)
    edges = [0, *cuts, length]
    return [take(x, axis, slice(a, b)) for a, b in zip(edges, edges[1:], strict=False)]


# ---------------------------------------------------------------------------------- padding


@structural(
    "pad",
    inputs=1,
    routes=True,
    method=False,
    numpy=(),
    expects="a pair of widths for every axis",
    cases=lambda s: [((s,), {"widths": ((1, 2),) * len(s)})],
)
def pad_constant(x, widths, value=0):
    """Surround with a constant: `widths` has a pair (before, after) for every axis.

    >>> tg.pad_constant(tg.Tensor([1.0]), ((1, 2),))
    Tensor([0., 1., 0., 0.])
    """
    return np.pad(x, widths or 0, constant_values=value)  # NumPy takes no () for 0 axes


@pad_constant.vjp
def _(g, y, x, widths, value):
    pairs = zip(widths, x.shape, strict=True)
    return getitem(g, tuple(slice(before, before + n) for (before, _), n in pairs))


@derived(
    method=False,
    cases=lambda s: [
        ((tuple(n + 2 for n in s),), {"pad_width": 1, "mode": m})
        for m in ("constant", "reflect", "wrap", "edge")
    ],
)
def pad(x, pad_width, mode="constant", constant_values=0):
    """Surround with `pad_width` elements (a number, a pair, or a pair for each axis).

    ``mode``: "constant" (with the number `constant_values`), or NumPy's modes that repeat
    elements: "edge", "reflect", "symmetric", "wrap". Raises `InputError` for other modes.

    >>> tg.pad(tg.Tensor([1.0, 2.0]), 1, mode="edge")
    Tensor([1., 1., 2., 2.])
    """
    x = astensor(x)
    widths = tuple(tuple(w) for w in np.broadcast_to(pad_width, (x.ndim, 2)).tolist())
    if mode == "constant":
        return pad_constant(x, widths, constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise InputError(
            f"mode={mode!r}",
            where="pad",
            expected="constant, edge, reflect, symmetric or wrap",
            repair="Compute other paddings with concatenate.",
        )
    for axis, pair in enumerate(widths):
        x = take(x, axis, np.pad(np.arange(x.shape[axis]), pair, mode=mode))
    return x
