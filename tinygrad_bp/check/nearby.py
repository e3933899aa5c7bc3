"""The slopes of a function beside a point where kinks meet: what every generalised gradient obeys.

Along one line through such a point only two of the pieces that meet there are seen, or one. Beside
it the function is smooth, and the slopes there, in the limit, are those of all pieces. Along any
direction a generalised gradient lies between the least and the greatest of them (F. Clarke,
"Optimization and Nonsmooth Analysis", 1983, section 2.1).
"""

from collections.abc import Callable
from math import inf, nan
from typing import NamedTuple

import numpy as np

FEW, MANY = 16, 200  # places on each of two opposite sides
LINES = 160
LENGTHS = 4  # of lines, each half of the one before
AWAY = 2.0**-18  # how far away: kinks beyond are not at the point
CLOSER = 16.0  # times: the second distance, to extrapolate to none
DISTANCES = (AWAY, AWAY / CLOSER)
STEP = 2.0**-7  # of the distance
LEAST = 2.0**-14  # of what an input moves at most: the sizes of inputs say little about kinks
CERTAIN = 6.0  # times the error is how far slopes of different pieces are apart
ENOUGH = 0.9  # of the places need a slope: kinks cross the short step at few
SLIGHT = 1e-4  # relative; a smaller difference is none

Values = Callable[[np.ndarray], float]  # of the distance from the point, as a vector


class Pieces(NamedTuple):
    """The slopes along a direction of the pieces that meet at a point."""

    low: float
    high: float
    error: float
    several: bool = False  # is there any between the least and the greatest?
    missing: bool = True  # may there be more, where no slope could be measured?

    @property
    def unseen(self) -> float:
        """By how much less the slopes of pieces may differ without being told apart."""
        return inf if self.missing else significant(self.error, self.low, self.high)

    @property
    def differ(self) -> bool:
        """Whether there is more than one: a smooth function has one slope in the limit."""
        return self.high - self.low > significant(self.error, self.low, self.high)


def never(_: Pieces) -> bool:
    """Look at all places."""
    return False


def pieces_beside(
    function: Values,
    direction: np.ndarray,
    moves: np.ndarray,
    noise: float,
    count: int = FEW,
    enough: Callable[[Pieces], bool] = never,
) -> Pieces:
    """Find the slopes along a direction at random places around 0, and opposite of them.

    ``moves``: how far each input goes; ``noise`` of the values; ``enough``: whether to stop.

    >>> median = lambda t: float(np.sort(t)[1])  # linear on every line through 0
    >>> pieces = pieces_beside(median, np.array([1.0, 0, 0]), np.ones(3), 1e-16)
    >>> pieces.differ, round(pieces.low, 9), round(pieces.high, 9)
    (True, 0.0, 1.0)
    """
    halves = scattered((count, moves.size), np.random.default_rng(0)) * moves
    seen: list[float] = []
    for place in (side for half in halves for side in (half, -half)):
        seen += [slope(function, direction, place, d, noise) for d in DISTANCES]
        pieces = summary(seen, noise)
        if enough(pieces):
            break
    return pieces


def summary(seen: list[float], noise: float) -> Pieces:
    """Return what slopes at two distances say of the pieces at no distance."""
    slopes, error = limits(seen)
    if not slopes.size:
        return Pieces(nan, nan, inf)
    low, high = float(slopes.min()), float(slopes.max())
    error += noise / (STEP * DISTANCES[1])
    least = significant(error, low, high)
    inside = (slopes > low + least) & (slopes < high - least)
    missing = slopes.size < ENOUGH * len(seen) / len(DISTANCES)
    return Pieces(low, high, error, bool(inside.any()), missing)


def bends_beside(function: Values, moves: np.ndarray, noise: float) -> set[int]:
    """Find out which ways a function bends around 0: 1 if upwards somewhere, -1 if downwards.

    Long lines cross many kinks, of which the largest counts, and short ones few.

    >>> sorted(bends_beside(lambda t: abs(t[0]) - 0.1 * abs(t[1]), np.ones(2), 1e-16))
    [-1, 1]
    """
    places = scattered((LINES, 2, moves.size), np.random.default_rng(1)) * moves
    jumps, error = limits(
        [
            bend(function, place, half / 2.0 ** (number % LENGTHS), d)
            for number, (place, half) in enumerate(places)
            for d in DISTANCES
        ]
    )
    largest = float(np.abs(jumps).max(initial=0.0))
    clear = np.abs(jumps) > significant(error + noise / DISTANCES[1], largest, largest)
    return {int(sign) for sign in np.sign(jumps[clear])}


def scattered(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return random vectors: the elements of the first are of one size, of the last, of many."""
    spread = np.linspace(0, 1, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return rng.normal(size=shape) * LEAST ** (spread * rng.random(shape))


def limits(values: list[float]) -> tuple[np.ndarray, float]:
    """Extrapolate values at two distances to none; return the finite ones and their error."""
    pairs = np.array(values).reshape(-1, 2)
    far, near = pairs[np.isfinite(pairs).all(axis=1)].T
    change = (near - far) / (CLOSER - 1)
    return near + change, float(np.abs(change).max(initial=0.0))


def slope(
    function: Values, direction: np.ndarray, place: np.ndarray, distance: float, noise: float
) -> float:
    """Return the slope at one place, over a step much shorter than its distance; NaN at a kink."""
    step = STEP * distance
    below, at, above = (function(distance * place + t * direction) for t in (-step, 0.0, step))
    ahead, behind = (above - at) / step, (at - below) / step
    straight = abs(ahead - behind) <= significant(noise / step, ahead, behind)
    return (ahead + behind) / 2 if straight else nan


def bend(function: Values, place: np.ndarray, half: np.ndarray, distance: float) -> float:
    """Return how much a function bends along a line beside the point: 0 if it is straight."""
    below, at, above = (function(distance * (place + t * half)) for t in (-1, 0, 1))
    return (above - 2 * at + below) / distance


def significant(error: float, low: float, high: float) -> float:
    """Return how far apart slopes have to be, to be told from each other."""
    return max(CERTAIN * error, SLIGHT * max(abs(low), abs(high)))
