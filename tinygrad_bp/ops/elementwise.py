"""Arithmetic, powers and exponentials: one block per op, its derivative as mathematics.

In every rule y is the value of the op and the other names are its inputs.
"""

import numpy as np

from tinygrad_bp.declare import elementwise
from tinygrad_bp.facts import REALS, Domain

POSITIVE = Domain(0.2, 4.0)
NONZERO = Domain(-3.0, 3.0, kinks=(0.0,))


# ---------------------------------------------------------------------------------- arithmetic


@elementwise("+", operator="add")
def add(a, b):
    """Add two tensors: y = a + b.

    >>> tg.add(tg.Tensor([1.0, 2.0]), 3.0)
    Tensor([4., 5.])
    """
    return a + b


@add.derivative
def _(y, a, b):
    return 1


@add.derivative
def _(y, a, b):
    return 1


@elementwise("−", operator="sub")
def subtract(a, b):
    """Subtract the second from the first: y = a − b.

    >>> tg.subtract(tg.Tensor([1.0, 2.0]), 3.0)
    Tensor([-2., -1.])
    """
    return a - b


@subtract.derivative
def _(y, a, b):
    return 1


@subtract.derivative
def _(y, a, b):
    return -1


@elementwise("×", operator="mul")
def multiply(a, b):
    """Multiply two tensors: y = a · b.

    >>> tg.multiply(tg.Tensor([1.0, 2.0]), 3.0)
    Tensor([3., 6.])
    """
    return a * b


@multiply.derivative
def _(y, a, b):
    return b


@multiply.derivative
def _(y, a, b):
    return a


@elementwise("÷", operator="truediv", domain=(REALS, NONZERO))
def divide(a, b):
    """Divide the first by the second: y = a / b.

    >>> tg.divide(tg.Tensor([1.0, 2.0]), 4.0)
    Tensor([0.25, 0.5 ])
    """
    return a / b


@divide.derivative
def _(y, a, b):
    return 1 / b


@divide.derivative
def _(y, a, b):
    return -y / b


@elementwise("−", operator="neg")
def negative(x):
    """Change the sign: y = −x.

    >>> tg.negative(tg.Tensor([1.0, -2.0]))
    Tensor([-1.,  2.])
    """
    return -x


@negative.derivative
def _(y, x):
    return -1


@elementwise("+", operator="pos")
def positive(x):
    """Return the same value as a new node: y = x.

    >>> tg.positive(tg.Tensor([1.0, -2.0]))
    Tensor([ 1., -2.])
    """
    return x


@positive.derivative
def _(y, x):
    return 1


@elementwise("stop", constant=True, method=False)
def stop_gradient(x):
    """Return the same value as a constant: no gradient passes, though pictures show the edge.

    >>> x = tg.Tensor(3.0)
    >>> (x * tg.stop_gradient(x)).backward()
    >>> x.grad
    array(3.)
    """
    return x


@elementwise("^", operator="pow", domain=(POSITIVE, REALS))
def power(x, exponent):
    """Raise to a power: y = xᵖ; ∂y/∂x = p·xᵖ⁻¹, ∂y/∂p = y·ln x.

    The derivatives are 0 where the power is constant: ∂y/∂x for p = 0, ∂y/∂p for x = 0 < p.

    >>> tg.power(tg.Tensor([1.0, 2.0]), 3)
    Tensor([1., 8.])
    """
    return x**exponent


@power.derivative
def _(y, x, p):
    return p * x ** (p - 1 + (p == 0))  # p = 0 would make 0 · x⁻¹, NaN at x = 0


@power.derivative
def _(y, x, p):
    return y * log(x + (x == 0))  # x = 0 would make 0 · ln 0 = NaN


@elementwise("x²")
def square(x):
    """Square: y = x².

    >>> tg.square(tg.Tensor([1.0, -2.0]))
    Tensor([1., 4.])
    """
    return x * x


@square.derivative
def _(y, x):
    return 2 * x


@elementwise("√", domain=POSITIVE)
def sqrt(x):
    """Take the square root: y = √x; dy/dx = 1 / (2y), which is +∞ at 0.

    >>> tg.sqrt(tg.Tensor([4.0, 9.0]))
    Tensor([2., 3.])
    """
    return np.sqrt(x)


@sqrt.derivative
def _(y, x):
    return 1 / (2 * y)


# ---------------------------------------------------------------------------------- exponentials


@elementwise("exp")
def exp(x):
    """Exponentiate: y = eˣ = dy/dx.

    >>> tg.exp(tg.Tensor([0.0, 1.0]))
    Tensor([1.        , 2.71828183])
    """
    return np.exp(x)


@exp.derivative
def _(y, x):
    return y


@elementwise("expm1")
def expm1(x):
    """Exponentiate less one, accurate near 0: y = eˣ − 1.

    >>> tg.expm1(tg.Tensor(1e-20))
    Tensor(1.e-20)
    """
    return np.expm1(x)


@expm1.derivative
def _(y, x):
    return exp(x)


@elementwise("log", domain=POSITIVE)
def log(x):
    """Take the natural logarithm: y = ln x; dy/dx = 1/x.

    >>> tg.log(tg.Tensor([1.0, 2.0]))
    Tensor([0.        , 0.69314718])
    """
    return np.log(x)


@log.derivative
def _(y, x):
    return 1 / x


@elementwise("log1p", domain=Domain(-0.8, 3.0))
def log1p(x):
    """Take the logarithm of one more, accurate near 0: y = ln(1 + x).

    >>> tg.log1p(tg.Tensor(1e-20))
    Tensor(1.e-20)
    """
    return np.log1p(x)


@log1p.derivative
def _(y, x):
    return 1 / (1 + x)
