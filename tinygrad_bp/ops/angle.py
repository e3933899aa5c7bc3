"""Trigonometry and its hyperbolic twin: angles in radians."""

import numpy as np

from tinygrad_bp.declare import elementwise
from tinygrad_bp.facts import Domain
from tinygrad_bp.ops.elementwise import sqrt


@elementwise("sin")
def sin(x):
    """Take the sine of an angle in radians; dy/dx = cos x.

    >>> tg.sin(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.84147098])
    """
    return np.sin(x)


@sin.derivative
def _(y, x):
    return cos(x)


@elementwise("cos")
def cos(x):
    """Take the cosine of an angle in radians; dy/dx = −sin x.

    >>> tg.cos(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 0.54030231])
    """
    return np.cos(x)


@cos.derivative
def _(y, x):
    return -sin(x)


@elementwise("tan", domain=Domain(-1.3, 1.3))
def tan(x):
    """Take the tangent of an angle in radians; dy/dx = 1 + y².

    >>> tg.tan(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 1.55740772])
    """
    return np.tan(x)


@tan.derivative
def _(y, x):
    return 1 + y * y


@elementwise("arcsin", domain=Domain(-0.9, 0.9))
def arcsin(x):
    """Return the angle in [−π/2, π/2] whose sine is x; dy/dx = 1/√(1 − x²).

    >>> tg.arcsin(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 1.57079633])
    """
    return np.arcsin(x)


@arcsin.derivative
def _(y, x):
    return 1 / sqrt((1 - x) * (1 + x))


@elementwise("arccos", domain=Domain(-0.9, 0.9))
def arccos(x):
    """Return the angle in [0, π] whose cosine is x; dy/dx = −1/√(1 − x²).

    >>> tg.arccos(tg.Tensor([0.0, 1.0]))
    Tensor([1.57079633, 0.        ])
    """
    return np.arccos(x)


@arccos.derivative
def _(y, x):
    return -1 / sqrt((1 - x) * (1 + x))


@elementwise("arctan")
def arctan(x):
    """Return the angle in (−π/2, π/2) whose tangent is x; dy/dx = 1/(1 + x²).

    >>> tg.arctan(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.78539816])
    """
    return np.arctan(x)


@arctan.derivative
def _(y, x):
    return 1 / (1 + x * x)


# ---------------------------------------------------------------------------------- hyperbolic


@elementwise("tanh")
def tanh(x):
    """Squash each element into (−1, 1): y = tanh x; dy/dx = 1 − y².

    >>> tg.tanh(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 0.76159416])
    """
    return np.tanh(x)


@tanh.derivative
def _(y, x):
    return 1 - y * y


@elementwise("sinh")
def sinh(x):
    """Take the hyperbolic sine: y = (eˣ − e⁻ˣ) / 2; dy/dx = cosh x.

    >>> tg.sinh(tg.Tensor([0.0, 1.0]))
    Tensor([0.        , 1.17520119])
    """
    return np.sinh(x)


@sinh.derivative
def _(y, x):
    return cosh(x)


@elementwise("cosh")
def cosh(x):
    """Take the hyperbolic cosine: y = (eˣ + e⁻ˣ) / 2; dy/dx = sinh x.

    >>> tg.cosh(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 1.54308063])
    """
    return np.cosh(x)


@cosh.derivative
def _(y, x):
    return sinh(x)
