"""Numbers as people read them: three digits wherever the point is, and what is in a large array."""

import math
from typing import Any, NamedTuple

import numpy as np

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
        return _summarize_any(values)
    low, high = float(np.minimum.reduce(values)), float(np.maximum.reduce(values))
    if not 1e-140 < max(-low, high) < 1e140 and (low or high):  # also NaN; squares must be finite
        return _summarize_any(values)
    rms = math.sqrt(float(np.add.reduce(values * values)) / n)
    return Summary(n, rms, low, high, (n - int(np.count_nonzero(values))) / n, 0.0, 0.0)


def _summarize_any(values: np.ndarray) -> Summary:
    """Do what `summarize` does where something is not finite, or its square is not."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        rms, low, high = 0.0, np.nan, np.nan
    else:
        largest = float(np.max(np.abs(finite)))  # squares of 1e200 must not overflow
        scaled = finite / largest if largest else finite
        rms = largest * float(np.sqrt(np.mean(scaled * scaled)))
        low, high = float(finite.min()), float(finite.max())
    n = max(values.size, 1)
    zeros, nans = float(np.sum(values == 0)) / n, float(np.sum(np.isnan(values))) / n
    return Summary(values.size, rms, low, high, zeros, nans, float(np.sum(np.isinf(values))) / n)


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
