"""How far the rounding of a function moves its values, measured.

A smooth function vanishes from its high differences over tiny steps; what is left is rounding
(Hamming's difference table, as in J. Moré and S. Wild, "Estimating Computational Noise", 2011).
"""

from collections.abc import Callable, Sequence
from math import factorial, hypot, isfinite, sqrt

EPSILON = 2.0**-52
FINE = 2.0**-33  # of the size of the inputs: many roundings of float64
COARSE = 2.0**-24  # about one rounding of float32, which sees nothing of finer steps
WIDE = 2.0**-12  # moves what is added to a number much larger than itself


def noise_at(
    function: Callable[[float], float],
    center: float,
    spacing: float,
    points: int,
    orders: Sequence[int],
) -> float:
    """Return the noise of a function at points `spacing` apart, the first 0: there, `center`."""
    values = [center, *(function(k * spacing) for k in range(1, points))]
    return difference_noise(values, orders)


def difference_noise(values: Sequence[float], orders: Sequence[int]) -> float:
    """Return the noise that a table of differences shows: of all orders, the least.

    >>> difference_noise([1.0, 2.0, 3.0, 4.0, 5.0], (2, 3))
    0.0
    """
    levels, row = [], [value for value in values if isfinite(value)]
    for order in range(1, min(max(orders) + 1, len(row))):
        row = [after - before for before, after in zip(row, row[1:], strict=False)]
        if order in orders and row:
            scale = factorial(order) ** 2 / factorial(2 * order)
            levels.append(sqrt(scale / len(row)) * hypot(*row))
    return min(levels, default=0.0)
