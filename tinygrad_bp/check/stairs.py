"""The stairs of a function: how far its values jump where a smooth function would hardly move.

Beside a large number a small one loses digits: ln(1 + 10⁻¹²) has 12 fewer than a float64, and moves
in stairs. Where these are wider than the steps of a table of differences, no noise is seen there.
Halving an interval, always towards the side that changes more, ends at a stair.
"""

from collections.abc import Callable, Sequence
from math import ceil, log2

import numpy as np

from tinygrad_bp.check.subject import Probe

SPANS = (2.0**-2, 2.0**-6)  # the first step of a ladder, and a nearer one if much grows in it
SMALL = 1e-6  # of 1 or of the inputs: a smaller value may be what is left of them
FAR = 16.0  # times 1 or the inputs: there, a 1 inside that was hidden has moved
FURTHER = 2.0**12  # times the span before, which the halvings still resolve
HALVINGS = 40
LAST = 6  # of these halvings are asked whether they still make the change smaller
ROUNDED = 1e-6  # of the numbers around it: what jumps by more is no rounding
FINE = 1e-10  # of a value: less is rounding of its own, or a slope over the last interval
STEEP = 1000.0  # times the jump of a function is what its gradient jumps by; a kink, by more

Values = Callable[[float], np.ndarray]


class Stairs:
    """The stairs of <cotangent, f>, output by output, and those of the gradient."""

    def __init__(
        self, probe: Probe, cotangent: np.ndarray, outputs: np.ndarray, origin: np.ndarray
    ) -> None:
        self.probe, self.cotangent, self.origin = probe, cotangent, origin
        self.epsilon = max((float(np.finfo(d).eps) for d in probe.output_dtypes), default=0.0)
        self.largest = float(np.abs(outputs).max(initial=0.0))

    def jump(self, path: np.ndarray, gradient: np.ndarray) -> float:
        """Return how far the function jumps at a stair along a path.

        A value that does not move at all may be lost beside any of the numbers that are known.
        """
        numbers = max(self.largest, float(np.abs(path).max(initial=0.0)))
        share = np.abs(path * gradient).max(initial=0.0)
        sizes = np.maximum(np.abs(self.cotangent) * numbers, share)

        def values(t: float) -> np.ndarray:
            outputs = self.probe.values(self.origin + t * path)
            return self.cotangent * outputs if outputs.size == sizes.size else outputs

        lost = self.epsilon * sizes[still(values, SPANS[-1])].max(initial=0.0)
        found = max(float(lost), highest(values, ROUNDED * sizes))
        if self.largest > SMALL * max(1.0, numbers):
            return found
        sizes = np.maximum(sizes, np.abs(self.cotangent))
        return max(found, highest(values, ROUNDED * sizes, further(path)))

    def jump_of_slope(self, path: np.ndarray, direction: np.ndarray, jump: float) -> float:
        """Return how far the slope that the gradient claims jumps where the function does."""

        def parts(t: float) -> np.ndarray:
            return self.probe.contributions(self.origin + t * path, self.cotangent, direction)

        return highest(parts, np.full(direction.size, STEEP * jump))


def highest(function: Values, limits: np.ndarray, spans: Sequence[float] = SPANS) -> float:
    """Return the largest of the jumps on both sides of 0."""
    return max(stair(function, limits, side * span) for span in spans for side in (1, -1))


def further(path: np.ndarray) -> list[float]:
    """Return spans of a path that are longer and longer, until all that is moved has gone far."""
    largest = float(np.abs(path).max(initial=0.0)) or 1.0
    powers = min(max(0.0, -log2(largest)), 900.0) / log2(FURTHER)  # within the range of floats
    return [FAR * FURTHER**power for power in range(1 + ceil(powers))]


def stair(function: Values, limits: np.ndarray, span: float) -> float:
    """Return the sum of the jumps of several values at a stair between 0 and a span.

    ``limits``: of each value; what jumps further is discontinuous, which is no matter of rounding.
    What the last halvings still make smaller is a slope; what is very little beside the value
    itself is seen by a table of differences.

    >>> jump = stair(lambda t: np.log(1 + np.array([1e-9 * (1 + t)])), np.ones(1), 0.25)
    >>> 0.9 * 2**-52 < jump < 1.1 * 2**-52
    True
    """
    low, high = 0.0, span
    below, above = function(low), function(high)
    before = np.zeros_like(limits)
    for number in range(HALVINGS):
        if not below.shape == above.shape == limits.shape:
            return 0.0
        if number == HALVINGS - LAST:
            before = np.abs(above - below)
        middle = (low + high) / 2
        at = function(middle)
        if at.shape == limits.shape and variation(at - below) > variation(above - at):
            high, above = middle, at
        else:
            low, below = middle, at
    jumps = np.abs(above - below)
    jumps = np.where(jumps > np.maximum(before / 2, FINE * np.abs(above)), jumps, 0.0)
    return float(jumps.sum()) if (jumps <= limits).all() else 0.0


def variation(changes: np.ndarray) -> float:
    """Return the sum of the squares: what moves alike in both halves of an interval cancels."""
    return float(changes @ changes)


def still(function: Values, span: float) -> np.ndarray:
    """Return which values do not move at all between three points."""
    before, at, after = (function(t) for t in (-span, 0.0, span))
    if not before.shape == at.shape == after.shape:
        return np.zeros(at.shape, dtype=bool)
    return np.asarray((before == at) & (at == after))
