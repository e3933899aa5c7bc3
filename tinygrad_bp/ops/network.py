"""What neural networks add: softmax, cross-entropy, convolution and pooling of images."""

import numpy as np

from tinygrad_bp.declare import derived, structural
from tinygrad_bp.errors import InputError, ShapeError
from tinygrad_bp.ops.choice import where
from tinygrad_bp.ops.einsum import einsum
from tinygrad_bp.ops.elementwise import exp, log
from tinygrad_bp.ops.join import pad_constant, stack
from tinygrad_bp.ops.linalg import cases
from tinygrad_bp.ops.reduce import (
    AXES,
    max,
    mean,
    nonempty_axis_cases,
    sum,
    tuple_of,
    with_axes,
)
from tinygrad_bp.ops.shape import astensor, getitem, reshape
from tinygrad_bp.validate import as_count


def _axis_cases(shape):
    shape = tuple(n or 1 for n in shape) or (3,)
    return [((shape,), {"axis": axis}) for axis in range(-1, len(shape))]


@structural("logΣexp", numpy=(), cases=nonempty_axis_cases, expects=AXES)
def logsumexp(x, axis=None, keepdims=False):
    """Return ln Σ eˣ along `axis` (None: of all) without overflow; its gradient is the softmax.

    >>> tg.logsumexp(tg.Tensor([1000.0, 1000.0]))
    Tensor(1000.69314718)
    """
    axes = tuple_of(axis)
    largest = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(divide="ignore"):
        total = np.log(np.sum(np.exp(x - shift), axis=axes, keepdims=True)) + shift
    return total if keepdims else np.reshape(total, np.sum(x, axis=axes).shape)


@logsumexp.vjp
def _(g, y, x, axis, keepdims):
    return with_axes(g, x, axis) * exp(x - with_axes(y, x, axis))


@logsumexp.definition
def _(x, axis, keepdims):
    largest = np.max(x.data, axis=tuple_of(axis), keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0).astype(x.dtype)
    total = log(sum(exp(x - shift), axis, True)) + shift
    return total if keepdims else reshape(total, sum.forward(x.data, axis).shape)


@structural("softmax", numpy=(), cases=_axis_cases, expects="an axis that the input has")
def softmax(x, axis=-1):
    """Turn scores into probabilities along `axis`: yᵢ = e^xᵢ / Σ e^xⱼ, without overflow.

    >>> tg.softmax(tg.Tensor([1000.0, 1000.0]))
    Tensor([0.5, 0.5])
    """
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@softmax.vjp
def _(g, y, x, axis):
    return y * (g - sum(g * y, axis, True))


@softmax.definition
def _(x, axis):
    e = exp(x - np.max(x.data, axis=axis, keepdims=True))
    return e / sum(e, axis, True)


@structural("log softmax", numpy=(), cases=_axis_cases, expects="an axis that the input has")
def log_softmax(x, axis=-1):
    """Return the logarithm of the softmax: yᵢ = xᵢ − ln Σ e^xⱼ, without overflow.

    >>> tg.log_softmax(tg.Tensor([1000.0, 0.0]))
    Tensor([    0., -1000.])
    """
    return x - logsumexp.forward(x, axis, True)


@log_softmax.vjp
def _(g, y, x, axis):
    return g - exp(y) * sum(g, axis, True)


@log_softmax.definition
def _(x, axis):
    return x - logsumexp(x, axis, True)


@derived(method=False, cases=cases(((4, 3),), targets=np.array([0, 2, 1, 1])))
def cross_entropy(logits, targets, axis=-1):
    """Return the mean over samples of −Σ target · ln softmax(logits).

    ``logits``: scores, classes along `axis`. ``targets``: class numbers of the remaining shape
    (integers from 0), or probabilities of the shape of the logits. Raises `ShapeError` if the
    targets have another shape, `InputError` for a class that does not exist.

    >>> tg.cross_entropy(tg.Tensor([[0.0, 0.0]]), [1])
    Tensor(0.69314718)
    """
    logits, targets = astensor(logits), astensor(targets)
    remaining = list(logits.shape)
    classes = remaining.pop(axis)
    if targets.shape == tuple(remaining) and targets.dtype.kind in "iu":
        targets = one_hot(targets, classes, axis)
    if targets.shape != logits.shape:
        raise ShapeError(
            f"targets of {targets.dtype} and shape {targets.shape}",
            where="cross_entropy",
            expected=f"integers of shape {tuple(remaining)} or floats of shape {logits.shape}",
            repair="Pass one class number, or one probability per class, for every sample.",
        )
    surprise = where(targets == 0, 0, targets * log_softmax(logits, axis))
    return mean(-sum(surprise, axis))


@structural(
    "1-hot",
    inputs=1,
    constant=True,
    method=False,
    numpy=(),
    cases=cases(((0,),), classes=3),
)
def one_hot(labels, classes, axis=-1):
    """Return 1 where a class is the label and 0 elsewhere; the classes are the new axis `axis`.

    >>> tg.one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    whole = labels.astype(int)
    if not np.array_equal(whole, labels) or np.any((whole < 0) | (whole >= classes)):
        raise InputError(
            f"class numbers from {labels.min()} to {labels.max()}",
            expected=f"whole numbers from 0 to {classes - 1}",
            repair="Count the classes from 0, and say how many there are.",
        )
    return np.moveaxis(np.eye(classes)[whole], -1, axis)


# ---------------------------------------------------------------------------------- images


@derived(
    symbol="∗",
    method=False,
    cases=lambda _: [
        (((2, 3, 5, 4), (2, 3, 2, 3)), {}),
        (((1, 2, 5, 5), (3, 2, 3, 3)), {"stride": 2, "padding": 1}),
    ],
)
def conv2d(x, kernel, stride=1, padding=0):
    """Slide kernels over images: y[n, o, i, j] = Σ x[n, c, i·s + p, j·s + q] · kernel[o, c, p, q].

    ``x``: (samples, channels, height, width). ``kernel``: (outputs, channels, height, width).
    ``stride`` and ``padding`` (zeros on all sides): whole numbers. As in every neural network
    library the kernel is not mirrored. Raises `ShapeError` if the shapes do not fit.

    >>> x, kernel = tg.Tensor(np.ones((1, 1, 3, 3))), np.ones((1, 1, 2, 2))
    >>> tg.conv2d(x, kernel)
    Tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    x, kernel = astensor(x), astensor(kernel)
    if x.ndim != 4 or kernel.ndim != 4 or x.shape[1] != kernel.shape[1]:
        raise ShapeError(
            f"x {x.shape}, kernel {kernel.shape}",
            where="conv2d",
            expected="(samples, channels, height, width) and (outputs, channels, height, width)",
            repair="Add the missing axes; both need the same number of channels.",
        )
    padding = as_count(padding, "conv2d, argument padding", least=0)
    x = pad_constant(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return einsum("ncpijq,ocpq->noij", _patches(x, kernel.shape[2:], stride, "conv2d"), kernel)


@derived(
    symbol="max pool",
    method=False,
    cases=lambda _: [
        (((2, 2, 4, 6),), {"size": 2}),
        (((1, 2, 5, 5),), {"size": 3, "stride": 1}),
    ],
)
def max_pool2d(x, size, stride=None):
    """Keep the largest element of every window of `size` × `size`, `stride` (None: `size`) apart.

    ``x``: (samples, channels, height, width). Equal maxima of a window share its gradient.
    Raises `ShapeError` if no window fits.

    >>> tg.max_pool2d(tg.Tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2)
    Tensor([[[[4.]]]])
    """
    x = astensor(x)
    if x.ndim != 4:
        raise ShapeError(
            f"x {x.shape}",
            where="max_pool2d",
            expected="(samples, channels, height, width)",
            repair="Add the missing axes with expand_dims.",
        )
    size = as_count(size, "max_pool2d, argument size")
    windows = _patches(x, (size, size), size if stride is None else stride, "max_pool2d")
    return max(windows, (2, 5))


def _patches(x, size, stride, name):
    """Return the windows of images as an array (samples, channels, p, rows, columns, q)."""
    stride = as_count(stride, f"{name}, argument stride")
    rows, columns = (n - k + 1 for n, k in zip(x.shape[2:], size, strict=True))
    if rows < 1 or columns < 1:
        raise ShapeError(
            f"images of {x.shape[2:]} and windows of {tuple(size)}",
            where=name,
            expected="windows that fit into the (padded) images",
            repair="Pad the images, or use a smaller window.",
        )

    def window(p, q):
        return getitem(x, (..., slice(p, p + rows, stride), slice(q, q + columns, stride)))

    lines = [stack([window(p, q) for q in range(size[1])], -1) for p in range(size[0])]
    return stack(lines, 2)
