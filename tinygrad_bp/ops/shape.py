"""Ops that move elements without computing: reshape, transpose, index, join, repeat, pad."""

import math
import operator

import numpy as np

from tinygrad_bp.declare import derived, structural
from tinygrad_bp.errors import InputError
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import as_array

AXES = "axes that the input has"  # for errors


def with_params(**params):
    """Make a `cases` function: any shape, with these parameters."""
    return lambda shape: [((shape,), params)]


def of_rank(least, **params):
    """Make a `cases` function for shapes of at least `least` axes."""
    return lambda shape: [((shape + (2,) * (least - len(shape)),), params)]


def astensor(x):
    """Return a Tensor as it is, and anything else as an array; derived functions name the error."""
    return x if isinstance(x, Tensor | np.ndarray) else as_array(x, "")


def take(x, axis, index):
    """Index one axis and leave the others whole."""
    axis = operator.index(axis) % x.ndim
    return getitem(x, (slice(None),) * axis + (index,))


# ---------------------------------------------------------------------------------- views


@structural(
    "reshape",
    inputs=1,
    routes=True,
    unpacked="shape",
    expects="as many elements as before",
    cases=lambda s: [((s,), {"shape": t}) for t in (-1, s[::-1], (1, *s)) if math.prod(s)],
)
def reshape(x, shape):
    """Give the same elements, in the same order, another shape (one length may be −1).

    >>> tg.reshape(tg.Tensor([1.0, 2.0, 3.0, 4.0]), (2, 2))
    Tensor([[1., 2.],
            [3., 4.]])
    """
    return np.reshape(x, shape)


@reshape.vjp
def _(g, y, x, shape):
    return reshape(g, x.shape)


@derived(symbol="ravel", cases=with_params())
def ravel(x):
    """Flatten to one axis.

    >>> tg.ravel(tg.Tensor([[1.0, 2.0]]))
    Tensor([1., 2.])
    """
    return reshape(x, (-1,)) if astensor(x).size else reshape(x, (0,))


@derived(expects="axes of the result", cases=lambda s: [((s,), {"axis": a}) for a in (0, -1)])
def expand_dims(x, axis):
    """Insert axes of length 1 at the positions `axis` of the result.

    >>> tg.expand_dims(tg.Tensor([1.0, 2.0]), 0).shape
    (1, 2)
    """
    return reshape(x, np.expand_dims(np.empty(astensor(x).shape, bool), axis).shape)


@derived(
    expects="axes of length 1",
    cases=lambda shape: [(((1, *shape, 1),), {"axis": a}) for a in (None, 0, -1)],
)
def squeeze(x, axis=None):
    """Remove axes of length 1: those named, or all.

    >>> tg.squeeze(tg.Tensor([[1.0, 2.0]])).shape
    (2,)
    """
    return reshape(x, np.squeeze(np.empty(astensor(x).shape, bool), axis).shape)


@structural(
    "ᵀ",
    routes=True,
    unpacked="axes",
    expects="every axis of the input once",
    cases=lambda s: [((s,), {"axes": a}) for a in (None, tuple(np.roll(range(len(s)), 1)))],
)
def transpose(x, axes=None):
    """Reorder the axes: reversed, or as `axes` lists them.

    >>> tg.transpose(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[1., 3.],
            [2., 4.]])
    """
    return np.transpose(x, axes)


@transpose.vjp
def _(g, y, x, axes):
    return transpose(g, None if axes is None else tuple(np.argsort([a % g.ndim for a in axes])))


@derived(expects=AXES, cases=of_rank(2, axis1=0, axis2=-1))
def swapaxes(x, axis1, axis2):
    """Exchange two axes.

    >>> tg.swapaxes(tg.Tensor([[1.0, 2.0]]), 0, 1).shape
    (2, 1)
    """
    axes = np.arange(astensor(x).ndim)
    axes[[axis1, axis2]] = axes[[axis2, axis1]]
    return transpose(x, tuple(axes.tolist()))


@derived(expects=f"{AXES}, as many to as from", cases=of_rank(2, source=0, destination=-1))
def moveaxis(x, source, destination):
    """Move axes to other positions; the rest keep their order.

    >>> tg.moveaxis(tg.Tensor([[[1.0, 2.0]]]), -1, 0).shape
    (2, 1, 1)
    """
    ndim = astensor(x).ndim
    normal = np.lib.array_utils.normalize_axis_tuple
    source, destination = normal(source, ndim), normal(destination, ndim)
    axes = [axis for axis in range(ndim) if axis not in source]
    for where, axis in sorted(zip(destination, source, strict=True)):
        axes.insert(where, axis)
    return transpose(x, tuple(axes))


@structural(
    "broadcast",
    inputs=1,
    routes=True,
    expects="a shape that the input broadcasts to",
    cases=lambda shape: [((shape,), {"shape": (n, *shape)}) for n in (2, 3)],
)
def broadcast_to(x, shape):
    """Repeat along new or single axes until the shape is `shape`.

    >>> tg.broadcast_to(tg.Tensor([1.0, 2.0]), (2, 2))
    Tensor([[1., 2.],
            [1., 2.]])
    """
    if type(x) is np.float64:  # five times faster, and what every total sum asks for
        y = np.empty(shape)
        y.fill(x)
        return y
    return np.broadcast_to(x, shape)


@broadcast_to.vjp
def _(g, y, x, shape):
    return g  # the engine sums what was broadcast, for every op


@structural(
    "dtype",
    inputs=1,
    method=False,
    numpy=(),
    routes=True,
    each=True,
    cases=with_params(dtype=np.float64),
)
def cast(x, dtype):
    """Convert to another floating-point dtype; gradients are converted back.

    >>> tg.cast(tg.Tensor([1.0, 2.0]), np.float32).dtype
    dtype('float32')
    """
    return (x if hasattr(x, "astype") else np.asarray(x)).astype(dtype)[()]


@cast.vjp
def _(g, y, x, dtype):
    return cast(g, x.dtype)


@structural(
    "dtype",
    inputs=1,
    constant=True,
    method=False,
    numpy=(),
    each=True,
    cases=with_params(dtype=np.int64),
)
def truncate(x, dtype):
    """Convert to an integer or boolean dtype, which has no gradient.

    >>> tg.truncate(tg.Tensor([1.5, -1.5]), np.int64)
    Tensor([ 1, -1], dtype=int64)
    """
    return (x if hasattr(x, "astype") else np.asarray(x)).astype(dtype)[()]


@derived(symbol="dtype", numpy=np.astype, cases=with_params(dtype=np.float64))
def astype(x, dtype):
    """Convert to another dtype: floating point with a gradient, integers and booleans without.

    >>> tg.Tensor([1.5, -1.5]).astype(int)
    Tensor([ 1, -1], dtype=int64)
    """
    dtype = np.dtype(dtype)
    if dtype.kind not in "fiub":
        raise InputError(
            f"dtype {dtype}", where="astype", expected="a real dtype", repair="Use np.float64."
        )
    return (cast if dtype.kind == "f" else truncate)(x, dtype)


# ---------------------------------------------------------------------------------- indexing


def _index_cases(shape):
    shape = tuple(max(n, 1) for n in shape) or (3,)
    mask = np.arange(math.prod(shape)).reshape(shape) % 2 == 0
    pick = np.array([0, -1, 0])  # twice the same: gradients must add
    indices = [0, -1, slice(None, None, -2), ..., None, (..., 0), mask, pick, (pick, None, ...)]
    return [((shape,), {"index": index}) for index in indices]


@structural(
    "[ ]",
    inputs=1,
    routes=True,
    operator="getitem",
    method=False,
    numpy=(),
    cases=_index_cases,
    expects="an index inside the shape",
)
def getitem(x, index):
    """Pick elements with any NumPy index: numbers, slices, None, …, arrays of integers or masks.

    An element that is picked twice gets both gradients.

    >>> tg.Tensor([1.0, 2.0, 3.0])[[0, 0, 2]]
    Tensor([1., 1., 3.])
    """
    return x[index]


@getitem.vjp
def _(g, y, x, index):
    return scatter(g, index, x.shape)


@structural(
    "scatter",
    inputs=1,
    routes=True,
    method=False,
    numpy=(),
    expects="an index inside the shape",
    cases=lambda s: (
        [((s,), {"index": (np.array([1]), ...), "shape": (2, *s[1:])})]
        if s[:1] == (1,)
        else [
            (((3,),), {"index": np.array([0, 2, 0]), "shape": (4,)}),
            (((3, 3),), {"index": np.array([2, 0, 2]), "shape": (4, 3)}),
        ]
    ),
)
def scatter(x, index, shape):
    """Add the elements of x into zeros of `shape` at `index`: the adjoint of indexing.

    >>> tg.scatter(tg.Tensor([1.0, 2.0, 3.0]), np.array([0, 0, 2]), (3,))
    Tensor([3., 0., 3.])
    """
    if hasattr(x, "scatter"):  # a value that is not known yet
        return x.scatter(index, shape)
    y = np.zeros(shape, np.asarray(x).dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(isinstance(p, int | slice) or p is None or p is ... for p in parts):
        y[index] = x  # no element is named twice
    else:
        np.add.at(y, index, x)
    return y


@scatter.vjp
def _(g, y, x, index, shape):
    return getitem(g, index)


@derived(
    expects=AXES,
    cases=lambda s: [((s,), {"axis": a}) for a in (None, *range(-len(s), len(s)))],
)
def flip(x, axis=None):
    """Reverse the order along `axis` (None: along all).

    >>> tg.flip(tg.Tensor([1.0, 2.0, 3.0]))
    Tensor([3., 2., 1.])
    """
    x = astensor(x)
    axes = range(x.ndim) if axis is None else axis
    named = np.lib.array_utils.normalize_axis_tuple(axes, x.ndim)
    backwards = slice(None, None, -1)
    return getitem(x, tuple(backwards if i in named else slice(None) for i in range(x.ndim)))


@derived(
    expects=f"whole numbers, and {AXES}",
    cases=lambda s: [((s,), {"shift": 1}), *([((s,), {"shift": -2, "axis": 0})] if s else [])],
)
def roll(x, shift, axis=None):
    """Move every element `shift` places along `axis` (None: in the flat order), in a circle.

    >>> tg.roll(tg.Tensor([1.0, 2.0, 3.0]), 1)
    Tensor([3., 1., 2.])
    """
    x = astensor(x)
    if axis is None:
        return reshape(take(ravel(x), 0, np.roll(np.arange(x.size), shift)), x.shape)
    shifts = np.broadcast_to(shift, np.shape(axis) or (1,)).tolist()
    for places, along in zip(shifts, np.atleast_1d(axis).tolist(), strict=True):
        x = take(x, along, np.roll(np.arange(x.shape[along]), places))
    return x


@derived(
    expects=f"whole numbers of at least 0, and {AXES}",
    cases=lambda s: [((s,), {"repeats": 2}), *([((s,), {"repeats": 3, "axis": -1})] if s else [])],
)
def repeat(x, repeats, axis=None):
    """Repeat every element `repeats` times along `axis` (None: of the flat order).

    >>> tg.repeat(tg.Tensor([1.0, 2.0]), 2)
    Tensor([1., 1., 2., 2.])
    """
    x = ravel(x) if axis is None else astensor(x)
    axis = 0 if axis is None else axis
    return take(x, axis, np.repeat(np.arange(x.shape[axis]), repeats))


@derived(cases=with_params(reps=(2, 1, 3)))
def tile(x, reps):
    """Lay copies of the whole side by side: `reps` along each axis.

    >>> tg.tile(tg.Tensor([1.0, 2.0]), 2)
    Tensor([1., 2., 1., 2.])
    """
    x, reps = astensor(x), tuple(np.atleast_1d(reps).tolist())
    ndim = max(x.ndim, len(reps))
    shape = (1,) * (ndim - x.ndim) + x.shape
    reps = (1,) * (ndim - len(reps)) + reps
    copies = tuple(n for pair in zip(reps, shape, strict=True) for n in pair)
    single = tuple(n for length in shape for n in (1, length))
    whole = tuple(r * n for r, n in zip(reps, shape, strict=True))
    return reshape(broadcast_to(reshape(x, single), copies), whole)


@derived(cases=of_rank(2, offset=0))
def diagonal(x, offset=0, axis1=0, axis2=1):
    """Return the elements x[i, i + offset] of the two axes, as a new last axis.

    >>> tg.diagonal(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 4.])
    """
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows = np.arange(max(0, min(x.shape[-2] - max(0, -offset), x.shape[-1] - max(0, offset))))
    return getitem(x, (..., rows + max(0, -offset), rows + max(0, offset)))
