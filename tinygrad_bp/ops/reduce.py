"""Reductions: sums, means, extremes, norms, running sums. `axis` is None, a number or several."""

import math
import string
from itertools import accumulate

import numpy as np

from tinygrad_bp.declare import derived, structural
from tinygrad_bp.errors import InputError
from tinygrad_bp.facts import Domain
from tinygrad_bp.ops.choice import abs, maximum, minimum, where
from tinygrad_bp.ops.einsum import contract
from tinygrad_bp.ops.elementwise import add, multiply, power, sqrt, square
from tinygrad_bp.ops.join import concatenate, stack
from tinygrad_bp.ops.shape import (
    AXES,
    astensor,
    broadcast_to,
    diagonal,
    flip,
    getitem,
    moveaxis,
    of_rank,
    reshape,
    take,
    truncate,
)

ONE_AXIS = "at least one element and an axis that the input has"


def axes_of(x, axis):
    """Return the axes that `axis` names, as a tuple of numbers from 0 to ndim − 1."""
    if axis is None:
        return tuple(range(x.ndim))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    return np.lib.array_utils.normalize_axis_tuple(axes, x.ndim)


def with_axes(reduced, x, axis, keepdims=True):
    """Reshape a reduction of x so that it broadcasts against x."""
    if axis is None and reduced.ndim == 0 and not keepdims:
        return reduced
    axes = axes_of(x, axis)
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return reshape(reduced, shape) if keepdims else reduced


def count_along(x, axis):
    """Count how many elements are reduced to one."""
    return math.prod(x.shape[i] for i in axes_of(x, axis))


def axis_cases(shape):
    """Try every way to name axes of `shape`."""
    axes = [None, *range(-len(shape), len(shape))]
    if len(shape) > 1:
        axes.append((0, -1))
    return [((shape,), {"axis": a, "keepdims": k}) for a in axes for k in (False, True)]


def nonempty_axis_cases(shape):
    """The same, for reductions that need at least two elements."""
    shape = tuple(n if n > 1 else 2 for n in shape) or (3,)  # max is an op here
    return axis_cases(shape)


def nonempty_flat_cases(shape):
    """The same, over all elements."""
    return [((tuple(n or 1 for n in shape),), {"axis": None})]


# ---------------------------------------------------------------------------------- sums


@structural("Σ", routes=True, cases=axis_cases, expects=AXES)
def sum(x, axis=None, keepdims=False):
    """Add up the elements along `axis` (None: all).

    >>> tg.sum(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([4., 6.])
    """
    return np.add.reduce(x, axis=tuple_of(axis), keepdims=keepdims)


@sum.vjp
def _(g, y, x, axis, keepdims):
    return broadcast_to(g if axis is None else with_axes(g, x, axis), x.shape)


@sum.definition
def _(x, axis, keepdims):
    letters, axes = string.ascii_letters[: x.ndim], axes_of(x, axis)
    kept = "".join(letter for i, letter in enumerate(letters) if i not in axes)
    if x.dtype.kind != "f":
        x = truncate(x, np.add.reduce(np.zeros(0, x.dtype)).dtype)
    return with_axes(contract(x, subscripts=f"{letters}->{kept}"), x, axis, keepdims)


@structural("mean", routes=True, cases=nonempty_axis_cases, expects=AXES)
def mean(x, axis=None, keepdims=False):
    """Average the elements along `axis` (None: all).

    >>> tg.mean(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([2., 3.])
    """
    return np.mean(x, axis=tuple_of(axis), keepdims=keepdims)


@mean.vjp
def _(g, y, x, axis, keepdims):
    return broadcast_to(with_axes(g, x, axis) / count_along(x, axis), x.shape)


@mean.definition
def _(x, axis, keepdims):
    return sum(x, axis, keepdims) / count_along(x, axis)


@structural(
    "cumsum",
    routes=True,
    cases=lambda s: [((s,), {"axis": a}) for a in (None, *range(-len(s), len(s)))],
    expects=AXES,
)
def cumsum(x, axis=None):
    """Return running sums along `axis` (None: of all elements, flattened).

    >>> tg.cumsum(tg.Tensor([1.0, 2.0, 3.0]))
    Tensor([1., 3., 6.])
    """
    return np.cumsum(x, axis=axis)


@cumsum.vjp
def _(g, y, x, axis):
    along = 0 if axis is None else axis
    return reshape(flip(cumsum(flip(g, along), along), along), x.shape)


@cumsum.definition
def _(x, axis):
    along, x = (0, reshape(x, (-1,))) if axis is None else (axis, x)
    running = list(accumulate((take(x, along, i) for i in range(x.shape[along])), add))
    return stack(running, along) if running else x


@derived(symbol="Π", cases=axis_cases, numpy=np.prod)
def prod(x, axis=None, keepdims=False):
    """Multiply the elements along `axis` (None: all), in pairs.

    Pairing costs as many products as a plain loop and is differentiable to any order by the
    product rule alone, whatever is zero.

    >>> x = tg.Tensor([2.0, 0.0, 3.0])
    >>> tg.prod(x).backward()
    >>> x.grad
    array([0., 6., 0.])
    """
    x = astensor(x)
    if count_along(x, axis) == 0:
        return sum(x, axis, keepdims) + 1
    return in_pairs(multiply, x, axis, keepdims)


def in_pairs(combine, x, axis, keepdims):
    """Combine the elements along `axis` in pairs, then the results in pairs, and so on."""
    axes = axes_of(x, axis)
    parts = moveaxis(x, axes, range(len(axes)))
    parts = reshape(parts, (count_along(x, axis), *parts.shape[len(axes) :]))
    while len(parts) > 1:
        half = len(parts) // 2
        pairs = combine(parts[:half], parts[half : 2 * half])
        parts = concatenate([pairs, parts[2 * half :]]) if len(parts) % 2 else pairs
    return with_axes(getitem(parts, 0), x, axis, keepdims)


@derived(cases=of_rank(2, offset=0))
def trace(x, offset=0, axis1=0, axis2=1):
    """Add up the elements x[i, i + offset] of the two axes.

    >>> tg.trace(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor(5.)
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)


# ---------------------------------------------------------------------------------- extremes


@structural("max", cases=nonempty_axis_cases, expects=f"at least one element and {AXES}")
def max(x, axis=None, keepdims=False):
    """Return the largest element along `axis` (None: of all); k maxima share the gradient, 1/k.

    >>> tg.max(tg.Tensor([[1.0, 2.0], [3.0, 0.0]]), axis=0)
    Tensor([3., 2.])
    """
    return np.max(x, axis=tuple_of(axis), keepdims=keepdims)


@max.vjp
def _(g, y, x, axis, keepdims):
    return share_among_extremes(g, y, x, axis)


@structural("min", cases=nonempty_axis_cases, expects=f"at least one element and {AXES}")
def min(x, axis=None, keepdims=False):
    """Return the smallest element along `axis` (None: of all); k minima share the gradient, 1/k.

    >>> tg.min(tg.Tensor([[1.0, 2.0], [3.0, 0.0]]), axis=0)
    Tensor([1., 0.])
    """
    return np.min(x, axis=tuple_of(axis), keepdims=keepdims)


@min.vjp
def _(g, y, x, axis, keepdims):
    return share_among_extremes(g, y, x, axis)


@max.definition
def _(x, axis, keepdims):
    return extreme_in_pairs(maximum, max.forward, x, axis, keepdims)


@min.definition
def _(x, axis, keepdims):
    return extreme_in_pairs(minimum, min.forward, x, axis, keepdims)


def extreme_in_pairs(combine, forward, x, axis, keepdims):
    """Compare in pairs; where extremes are equal, pairs would share unequally, so average them."""
    tied = np.asarray(x.data == forward(x.data, axis, True))
    count = tied.sum(tuple_of(axis), keepdims=True)
    if np.all(count == 1):
        return in_pairs(combine, x, axis, keepdims)
    total = sum(where(tied, x, 0), axis, True) / count
    return total if keepdims else reshape(total, sum.forward(x.data, axis).shape)


def share_among_extremes(g, y, x, axis):
    """Divide a cotangent equally among the elements that equal the extreme."""
    extreme = 1 * (x == with_axes(y, x, axis))
    return with_axes(g, x, axis) * extreme / sum(extreme, axis, True)


@structural("argmax", constant=True, cases=nonempty_flat_cases, expects=ONE_AXIS)
def argmax(x, axis=None):
    """Return where the first largest element along `axis` stands (None: in the flat order).

    >>> tg.argmax(tg.Tensor([1.0, 5.0, 2.0])).item()
    1
    """
    return np.argmax(x, axis=axis)


@structural("argmin", constant=True, cases=nonempty_flat_cases, expects=ONE_AXIS)
def argmin(x, axis=None):
    """Return where the first smallest element along `axis` stands (None: in the flat order).

    >>> tg.argmin(tg.Tensor([1.0, 5.0, 0.0])).item()
    2
    """
    return np.argmin(x, axis=axis)


@structural("any", constant=True, cases=axis_cases)
def any(x, axis=None, keepdims=False):
    """Ask whether any element along `axis` (None: at all) is true.

    >>> bool(tg.any(tg.Tensor([1.0, 5.0]) > 3.0))
    True
    """
    return np.any(x, axis=tuple_of(axis), keepdims=keepdims)


@structural("all", constant=True, cases=axis_cases)
def all(x, axis=None, keepdims=False):
    """Ask whether every element along `axis` (None: at all) is true.

    >>> bool(tg.all(tg.Tensor([1.0, 5.0]) > 3.0))
    False
    """
    return np.all(x, axis=tuple_of(axis), keepdims=keepdims)


# ---------------------------------------------------------------------------------- spread


@derived(cases=nonempty_axis_cases)
def var(x, axis=None, ddof=0, keepdims=False):
    """Return the variance along `axis` (None: of all): Σ(x − mean)² / (n − ddof).

    >>> tg.var(tg.Tensor([1.0, 2.0, 3.0]), ddof=1)
    Tensor(1.)
    """
    x = astensor(x)
    deviations = square(x - mean(x, axis, True))
    return sum(deviations, axis, keepdims) / _freedom(x, axis, ddof)


@derived(cases=nonempty_axis_cases)
def std(x, axis=None, ddof=0, keepdims=False):
    """Return the standard deviation along `axis`, the root of `var`; constant data: gradient 0.

    >>> tg.std(tg.Tensor([1.0, 2.0, 3.0]), ddof=1)
    Tensor(1.)
    """
    x = astensor(x)
    deviations = x - mean(x, axis, True)
    return euclidean_norm(deviations, axis, keepdims) / math.sqrt(_freedom(x, axis, ddof))


def _freedom(x, axis, ddof):
    freedom = count_along(x, axis) - ddof
    if freedom <= 0:
        raise InputError(
            f"{count_along(x, axis)} elements and ddof={ddof}",
            expected="more elements than ddof",
            repair="Reduce along another axis, or lower ddof.",
        )
    return freedom


@structural("‖x‖", method=False, numpy=(), cases=axis_cases, expects=AXES)
def euclidean_norm(x, axis=None, keepdims=False):
    """Return √Σx² along `axis` (None: of all elements); its gradient x/‖x‖ is 0 at x = 0.

    >>> tg.euclidean_norm(tg.Tensor([3.0, 4.0]))
    Tensor(5.)
    """
    largest = np.max(np.abs(x), axis=tuple_of(axis), keepdims=True, initial=0)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1)  # x² must not overflow
    total = np.sqrt(np.sum(np.square(x / scale), axis=tuple_of(axis), keepdims=True)) * scale
    return total if keepdims else np.reshape(total, np.sum(x, axis=tuple_of(axis)).shape)


@euclidean_norm.vjp
def _(g, y, x, axis, keepdims):
    y = with_axes(y, x, axis)
    return with_axes(g, x, axis) * where(y == 0, 0, x / y)


def _norm_cases(shape):
    return [
        ((shape or (3,),), {"ord": order, "axis": axis})
        for order in (None, 1, 3)
        for axis in range(-1, len(shape[1:]))
    ]


@derived(numpy=np.linalg.norm, domain=Domain(-3.0, 3.0, kinks=(0.0,)), cases=_norm_cases)
def norm(x, ord=None, axis=None, keepdims=False):
    """Return the norm (Σ|x|ᵖ)^(1/p) with p = `ord` (None: 2; also ±∞) along `axis`.

    Without `axis` all elements count, which for a matrix is the Frobenius norm. At x = 0 the
    gradient is 0. Raises `InputError` for the operator norms of a matrix.

    >>> x = tg.Tensor([0.0, 0.0])
    >>> tg.norm(x).backward()
    >>> x.grad
    array([0., 0.])
    """
    x = astensor(x)
    if ord is None or ord == "fro" or (ord == 2 and len(axes_of(x, axis)) == 1):
        return euclidean_norm(x, axis, keepdims)
    if not isinstance(ord, int | float) or len(axes_of(x, axis)) != 1:
        raise InputError(
            f"ord={ord!r} over {len(axes_of(x, axis))} axes",
            where="norm",
            expected="a number over one axis, or None",
            repair="Name one axis, or leave ord out.",
        )
    if ord in (math.inf, -math.inf):
        return (max if ord > 0 else min)(abs(x), axis, keepdims)
    if ord == 1:
        return sum(abs(x), axis, keepdims)
    total = sum(power(abs(x), ord), axis, keepdims)
    return where(total == 0, 0, power(total, 1 / ord))  # the slope of the root at 0 is infinite


@euclidean_norm.definition
def _(x, axis, keepdims):
    largest = np.max(np.abs(x.data), initial=0)
    scale = largest if np.isfinite(largest) and not 1e-15 < largest < 1e15 and largest else 1
    total = sum(square(x / scale if scale != 1 else x), axis, keepdims)
    root = sqrt(total) if np.all(total.data) else where(total == 0, 0, sqrt(total))
    return root * scale if scale != 1 else root


def tuple_of(axis):
    """Return `axis` as NumPy takes it."""
    return tuple(axis) if isinstance(axis, list) else axis
