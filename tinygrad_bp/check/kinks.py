"""The kinks at one point: which way they bend, and the slopes of the pieces that meet there."""

from collections.abc import Callable

import numpy as np

from tinygrad_bp.check.estimate import SAFETY, VAGUE, Slope
from tinygrad_bp.check.nearby import FEW, MANY, Pieces, Values, bends_beside, pieces_beside

BENT = 1e-4  # relative; the resolution at a kink, beside which the gradient is checked as well


class Kinks:
    """What is known of the kinks at a point, more with every direction that was asked.

    ``known``: do several pieces meet? None if nobody asked, False also where nobody should.
    ``bends``: 1 if one bends upwards, -1 if one bends downwards. ``unseen``: by how much less the
    slopes of pieces may differ. ``crowded``: are there kinks close by that are not at the point?
    ``refuted``: has a slope been measured that no piece close by has?
    """

    def __init__(self, known: bool | None = None) -> None:
        self.known = known
        self.bends: set[int] = set()
        self.unseen = 0.0
        self.crowded = self.refuted = False

    @property
    def both_ways(self) -> bool:
        """Whether some bend upwards and some downwards: then a line may not show any."""
        return len(self.bends) == 2

    def widen(
        self,
        slope: Slope,
        function: Values,
        direction: np.ndarray,
        moves: np.ndarray,
        noise: float,
        passes: Callable[[Slope], bool],
    ) -> Slope:
        """Widen a slope to those of all pieces of the function that meet at the point.

        Pieces that let it pass are enough; only without these all are looked for.
        """

        def enough(pieces: Pieces) -> bool:
            return passes(self.widened(slope, pieces))

        pieces = pieces_beside(function, direction, moves, noise, FEW, enough)
        explained = enough(pieces)
        if pieces.differ and not self.known and not explained:
            self.bends |= bends_beside(function, moves, noise)
        if pieces.differ and self.both_ways and not explained:  # some hide in narrow corners
            pieces = pieces_beside(function, direction, moves, noise, MANY, enough)
        self.known = pieces.differ or bool(self.known)
        self.unseen = pieces.unseen
        wider = self.widened(slope, pieces)
        if wider is not slope:
            self.bends |= {1, -1}
        if not enough(pieces):
            self.take_note(slope, pieces)
        return wider

    def widened(self, slope: Slope, pieces: Pieces) -> Slope:
        """Return a slope between those of all pieces, if these are known, and bend both ways."""
        low, high = min(slope.low, pieces.low), max(slope.high, pieces.high)
        wider = (high - low) - (slope.high - slope.low) > BENT * (high - low)
        hidden = pieces.several and self.both_ways
        vague = pieces.error > VAGUE * (high - low)
        if not pieces.differ or not (wider or hidden) or vague:
            return slope
        error = max(slope.error, pieces.error)
        return slope._replace(kind="kink", low=low, high=high, error=error, bend=0)

    def take_note(self, slope: Slope, pieces: Pieces) -> None:
        """Remember what makes pieces doubtful: all of them were looked at, and explain nothing."""
        low, high = min(slope.low, pieces.low), max(slope.high, pieces.high)
        least = SAFETY * (pieces.error + slope.error) + BENT * max(abs(low), abs(high))
        self.refuted |= max(pieces.low - slope.low, slope.high - pieces.high) > least
        self.crowded |= pieces.differ and pieces.error > VAGUE * (high - low)
