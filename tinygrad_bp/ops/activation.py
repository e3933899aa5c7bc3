"""The activation functions of neural networks, each stable over the whole range of floats."""

import math

import numpy as np

from tinygrad_bp.declare import elementwise
from tinygrad_bp.facts import Domain
from tinygrad_bp.ops.choice import where
from tinygrad_bp.ops.elementwise import exp

_ZERO = np.float64(0)
KINK_AT_ZERO = Domain(-3.0, 3.0, kinks=(0.0,))


@elementwise("σ")
def sigmoid(x):
    """Squash each element into (0, 1): y = 1 / (1 + e⁻ˣ); dy/dx = y(1 − y).

    >>> tg.sigmoid(tg.Tensor([0.0, 1000.0, -1000.0]))
    Tensor([0.5, 1. , 0. ])
    """
    with np.errstate(over="ignore"):  # e¹⁰⁰⁰ = ∞ gives the right 0
        return 1.0 / (1.0 + np.exp(-1.0 * x))  # −x would wrap around in uint8


@sigmoid.derivative
def _(y, x):
    return y * (1 - y)


@elementwise("softplus")
def softplus(x):
    """Rise smoothly from 0 to x: y = ln(1 + eˣ); dy/dx = sigmoid x.

    >>> tg.softplus(tg.Tensor([0.0, 1000.0]))
    Tensor([6.93147181e-01, 1.00000000e+03])
    """
    return np.logaddexp(1.0 * x, 0)


@softplus.derivative
def _(y, x):
    return sigmoid(x)


@elementwise("relu", domain=KINK_AT_ZERO)
def relu(x):
    """Cut off what is negative: y = max(x, 0); dy/dx = 1 for x > 0, else 0.

    >>> tg.relu(tg.Tensor([1.0, -2.0]))
    Tensor([1., 0.])
    """
    if type(x) is np.float64:  # one number: seven times faster than the ufunc
        return x if x > 0 or x != x else _ZERO
    return np.maximum(x, 0)


@relu.derivative
def _(y, x):
    return x > 0


@elementwise("leaky_relu", domain=KINK_AT_ZERO)
def leaky_relu(x, slope=0.01):
    """Shrink what is negative: y = x for x > 0, else slope · x.

    >>> tg.leaky_relu(tg.Tensor([1.0, -2.0]))
    Tensor([ 1.  , -0.02])
    """
    return np.where(x > 0, x, slope * x)[()]


@leaky_relu.derivative
def _(y, x, slope):
    return slope + (1 - slope) * (x > 0)


@elementwise("elu", domain=KINK_AT_ZERO)
def elu(x, alpha=1.0):
    """Bend what is negative: y = x for x > 0, else α(eˣ − 1).

    >>> tg.elu(tg.Tensor([1.0, -1000.0]))
    Tensor([ 1., -1.])
    """
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))[()]


@elu.derivative
def _(y, x, alpha):
    return where(x > 0, 1, alpha * exp(x))


@elementwise("silu")
def silu(x):
    """Weigh x by its own sigmoid: y = x · sigmoid x.

    >>> tg.silu(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.73105858])
    """
    return x * sigmoid.forward(x)


@silu.derivative
def _(y, x):
    s = sigmoid(x)
    return s + y * (1 - s)


@elementwise("gelu")
def gelu(x):
    """Weigh x by about its normal distribution: y = ½x(1 + tanh(√(2/π)(x + 0.044715x³))).

    Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.

    >>> tg.gelu(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.84119199])
    """
    return x * sigmoid.forward(2 * _inner(x))  # 1 + tanh would lose all digits for x < −5


@gelu.derivative
def _(y, x):
    s = sigmoid(2 * _inner(x))
    return s + y * (1 - s) * 2 * _SCALE * (1 + 3 * _CUBIC * x * x)


_SCALE, _CUBIC = math.sqrt(2 / math.pi), 0.044715


def _inner(x):
    return _SCALE * (x + _CUBIC * x * x * x)
