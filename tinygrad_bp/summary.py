"""Numbers as people read them: three digits wherever the point is, and what is in a large array."""

import math
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.record import NUMBERS

FEW = 4  # numbers that are written out; more are summarised


class Summary(NamedTuple):
    """What is in an array: finite numbers by size and range, the others by their share."""

    size: int
    rms: float  # of the finite numbers
    low: float
    high: float
    zeros: float  # share of all numbers, 0 to 1
    nans: float
    infinities: float


def summarize(array: Any) -> Summary:
    """Summarise an array or a number; an empty one has rms 0 and range [nan, nan].

    >>> summarize([3.0, 4.0, 0.0, np.nan]).high
    4.0
    """
    values = np.asarray(array, dtype=np.float64).ravel()
    n = values.size
    if not n:
        return Summary(0, 0.0, math.nan, math.nan, 0.0, 0.0, 0.0)
    low, high = float(np.minimum.reduce(values)), float(np.maximum.reduce(values))
    largest = max(-low, high)
    if not largest < math.inf:  # NaN as well
        return _summarize_the_finite(values)
    unit = 1.0 if 1e-140 < largest < 1e140 else largest or 1.0  # squares of 1e200 overflow
    scaled = values if unit == 1 else values / unit
    size = unit * math.sqrt(float(np.add.reduce(scaled * scaled)) / n)
    return Summary(n, size, low, high, (n - int(np.count_nonzero(values))) / n, 0.0, 0.0)


def _summarize_the_finite(values: np.ndarray) -> Summary:
    """Summarise the finite numbers among others, of which the shares are told."""
    n, finite = len(values), summarize(values[np.isfinite(values)])
    zeros, nans, infinities = (
        int(np.count_nonzero(which)) / n
        for which in (values == 0, np.isnan(values), np.isinf(values))
    )
    return Summary(n, *finite[1:4], zeros, nans, infinities)


def rms(array: Any) -> float:
    """Return the root mean square: 0 for an empty array, NaN or ∞ if an element is.

    >>> rms([3e200, -3e200])
    3e+200
    """
    if type(array) in NUMBERS:
        return abs(float(array))
    values = np.asarray(array, dtype=np.float64)
    with np.errstate(all="ignore"):
        squares = float(np.add.reduce(values * values, axis=None))
    if 1e-280 < squares < math.inf:
        return math.sqrt(squares / values.size)
    s = summarize(values)
    return math.nan if s.nans else math.inf if s.infinities else s.rms


def is_finite(array: Any) -> bool:
    """Tell whether an array (or number) holds no NaN and no infinity."""
    if type(array) in NUMBERS:
        return math.isfinite(array)
    return bool(np.isfinite(array).all())


# ---------------------------------------------------------------------------------- in words


def number(x: Any, digits: int = 3) -> str:
    """Write a number with a few significant digits, so that 1e-9 never shows as 0.

    >>> number(0.25, 4), number(-1e-9), number(3.0)
    ('0.2500', '-1e-09', '3')
    """
    x = float(x)
    return f"{x:#.{digits}g}".rstrip(".") if digits > 3 else f"{x:.{digits}g}"


def numbers(array: Any, digits: int = 3) -> str:
    """Write a few numbers out and summarise many.

    >>> numbers([0.5, -1e-9])
    '[0.5, -1e-09]'
    >>> numbers(np.arange(10.0))
    'rms 5.34 in [0, 9], 10% zero'
    """
    array = np.asarray(array)
    if array.ndim == 0:
        return number(array, digits)
    if array.size <= FEW:
        return np.array2string(
            array, separator=", ", formatter={"all": lambda x: number(x, digits)}
        ).replace("\n", "")
    return summary_line(summarize(array), digits)


def summary_line(s: Summary, digits: int = 3) -> str:
    """Write a summary in one line.

    >>> summary_line(summarize([3.0, -4.0, 0.0, np.nan]))
    'rms 2.89 in [-4, 3], 25% zero, 25% NaN'
    """
    parts = [f"rms {number(s.rms, digits)} in [{number(s.low, digits)}, {number(s.high, digits)}]"]
    for share, what in ((s.zeros, "zero"), (s.nans, "NaN"), (s.infinities, "infinite")):
        if share:
            parts.append(f"{number(100 * share)}% {what}")
    return ", ".join(parts)


def many(count: int, what: str) -> str:
    """Count things: ``1 node``, ``2,000 nodes``.

    >>> many(1, "node"), many(2000, "leaf")
    ('1 node', '2,000 leaves')
    """
    plural = {"leaf": "leaves"}.get(what, what + "s")
    return f"{count:,} {what if count == 1 else plural}"
