"""Ops that choose between numbers, so their derivatives have kinks: the rule for each is stated."""

import operator

import numpy as np

from tinygrad_bp.declare import derived, elementwise
from tinygrad_bp.facts import Domain
from tinygrad_bp.ops.elementwise import NONZERO


@elementwise("|x|", operator="abs", domain=NONZERO)
def abs(x):
    """Take the absolute value: y = |x|; dy/dx = sign x, which is 0 at 0.

    >>> tg.abs(tg.Tensor([1.0, -2.0]))
    Tensor([1., 2.])
    """
    return operator.abs(x)


@abs.derivative
def _(y, x):
    return sign(x)


@elementwise("sign", domain=NONZERO)
def sign(x):
    """Return −1, 0 or 1, as x is negative, zero or positive; dy/dx = 0.

    >>> tg.sign(tg.Tensor([3.0, 0.0, -2.0]))
    Tensor([ 1.,  0., -1.])
    """
    return np.sign(x)


@sign.derivative
def _(y, x):
    return 0


@elementwise("step", domain=NONZERO)
def heaviside(x, at_zero=0):
    """Step from 0 to 1: y = 1 if x > 0 else 0, and `at_zero` at x = 0; dy/dx = 0.

    >>> tg.heaviside(tg.Tensor([0.506, 0.0, -2.0]))
    Tensor([1., 0., 0.])
    """
    return np.heaviside(x, at_zero)


@heaviside.derivative
def _(y, x, at_zero):
    return 0


@elementwise("max")
def maximum(a, b):
    """Return the larger of two, element by element; a tie shares the gradient, ½ each.

    >>> tg.maximum(tg.Tensor([1.0, 5.0]), 3.0)
    Tensor([3., 5.])
    """
    return np.maximum(a, b)


@maximum.derivative
def _(y, a, b):
    return (1 * (a > b) + (a >= b)) / 2


@maximum.derivative
def _(y, a, b):
    return (1 * (b > a) + (b >= a)) / 2


@elementwise("min")
def minimum(a, b):
    """Return the smaller of two, element by element; a tie shares the gradient, ½ each.

    >>> tg.minimum(tg.Tensor([1.0, 5.0]), 3.0)
    Tensor([1., 3.])
    """
    return np.minimum(a, b)


@minimum.derivative
def _(y, a, b):
    return (1 * (a < b) + (a <= b)) / 2


@minimum.derivative
def _(y, a, b):
    return (1 * (b < a) + (b <= a)) / 2


@elementwise("where", skip=(0,), method=False)
def where(condition, a, b):
    """Choose: y = a where the condition holds, else b.

    The branch that was not taken contributes nothing at all, even if its derivative is not
    finite there.

    >>> x = tg.Tensor([4.0, 0.0])
    >>> tg.where(x > 0, tg.sqrt(x), 0.0).sum().backward()
    >>> x.grad
    array([0.25, 0.  ])
    """
    return np.where(condition, a, b)[()]


where.selects = True


@where.derivative
def _(y, condition, a, b):
    return condition != 0


@where.derivative
def _(y, condition, a, b):
    return condition == 0


@derived(
    domain=Domain(-3.0, 3.0, kinks=(-1.0, 2.0)),
    cases=lambda shape: [((shape,), {"a_min": -1.0, "a_max": 2.0})],
)
def clip(x, a_min=None, a_max=None, *, min=None, max=None):
    """Limit to [a_min, a_max] (either may be None); outside dy/dx is 0, at a bound ½.

    >>> tg.clip(tg.Tensor([-1.0, 0.5, 7.0]), 0.0, 1.0)
    Tensor([0. , 0.5, 1. ])
    """
    low, high = a_min if min is None else min, a_max if max is None else max
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)
