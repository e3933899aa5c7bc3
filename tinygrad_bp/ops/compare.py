"""Questions about numbers: comparisons, logic, rounding. Recorded, but without a gradient."""

import numpy as np

from tinygrad_bp.declare import elementwise


@elementwise(">", operator="gt", constant=True)
def greater(a, b):
    """Ask whether a > b, element by element.

    >>> tg.Tensor([1.0, 5.0]) > 3.0
    Tensor([False,  True], dtype=bool)
    """
    return np.greater(a, b)


@elementwise("≥", operator="ge", constant=True)
def greater_equal(a, b):
    """Ask whether a ≥ b, element by element.

    >>> tg.Tensor([1.0, 5.0]) >= 5.0
    Tensor([False,  True], dtype=bool)
    """
    return np.greater_equal(a, b)


@elementwise("<", operator="lt", constant=True)
def less(a, b):
    """Ask whether a < b, element by element.

    >>> tg.Tensor([1.0, 5.0]) < 3.0
    Tensor([ True, False], dtype=bool)
    """
    return np.less(a, b)


@elementwise("≤", operator="le", constant=True)
def less_equal(a, b):
    """Ask whether a ≤ b, element by element.

    >>> tg.Tensor([1.0, 5.0]) <= 1.0
    Tensor([ True, False], dtype=bool)
    """
    return np.less_equal(a, b)


@elementwise("=", operator="eq", constant=True)
def equal(a, b):
    """Ask whether a = b, element by element.

    >>> tg.Tensor([1.0, 5.0]) == 5.0
    Tensor([False,  True], dtype=bool)
    """
    return np.equal(a, b)


@elementwise("≠", operator="ne", constant=True)
def not_equal(a, b):
    """Ask whether a ≠ b, element by element.

    >>> tg.Tensor([1.0, 5.0]) != 5.0
    Tensor([ True, False], dtype=bool)
    """
    return np.not_equal(a, b)


@elementwise("and", operator="and", constant=True)
def logical_and(a, b):
    """Ask whether both hold.

    >>> tg.logical_and(tg.Tensor([1.0, 0.0]), True)
    Tensor([ True, False], dtype=bool)
    """
    return np.logical_and(a, b)


@elementwise("or", operator="or", constant=True)
def logical_or(a, b):
    """Ask whether at least one holds.

    >>> tg.logical_or(tg.Tensor([1.0, 0.0]), False)
    Tensor([ True, False], dtype=bool)
    """
    return np.logical_or(a, b)


@elementwise("not", operator="invert", constant=True)
def logical_not(x):
    """Ask whether it does not hold.

    >>> ~(tg.Tensor([1.0, 5.0]) > 3.0)
    Tensor([ True, False], dtype=bool)
    """
    return np.logical_not(x)


@elementwise("isnan", constant=True)
def isnan(x):
    """Ask whether an element is not a number.

    >>> tg.isnan(tg.Tensor([1.0, float("nan")]))
    Tensor([False,  True], dtype=bool)
    """
    return np.isnan(x)


@elementwise("isfinite", constant=True)
def isfinite(x):
    """Ask whether an element is neither NaN nor infinite.

    >>> tg.isfinite(tg.Tensor([1.0, float("inf")]))
    Tensor([ True, False], dtype=bool)
    """
    return np.isfinite(x)


@elementwise("⌊x⌋", constant=True)
def floor(x):
    """Round down to a whole number.

    >>> tg.floor(tg.Tensor([1.5, -1.5]))
    Tensor([ 1., -2.])
    """
    return np.floor(x)


@elementwise("⌈x⌉", constant=True)
def ceil(x):
    """Round up to a whole number.

    >>> tg.ceil(tg.Tensor([1.5, -1.5]))
    Tensor([ 2., -1.])
    """
    return np.ceil(x)
