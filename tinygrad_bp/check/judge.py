"""From two slopes to a verdict: the gradient's, and the measured one with its bound."""

from collections.abc import Callable
from functools import cache
from math import isfinite, nan

import numpy as np

from tinygrad_bp.check.directions import scales
from tinygrad_bp.check.estimate import SAFETY, VAGUE, Noise, Slope, slope_of
from tinygrad_bp.check.kinks import BENT, Kinks
from tinygrad_bp.check.noise import COARSE, EPSILON, FINE, WIDE, noise_at
from tinygrad_bp.check.report import Finding, Verdict
from tinygrad_bp.check.stairs import Stairs
from tinygrad_bp.check.subject import Probe

TRUST = 1e-9  # relative; finer claims than this are never made
ROUNDED = 2e-7  # a smaller relative difference is the rounding of some float32, not a bug
LOST = 100.0  # times the relative noise inside is how far a gradient may be off by it
TINY = 2.0**-1000
JUMPY = 1e-10  # of the size of the function: a gradient with more noise may jump at a kink
FAR = 2.0**-9  # away from kinks close by
FAST = 0.1  # of a difference: a gradient that varies by more within noise follows an oscillation
NEXT = 2.0**-32  # of the steps: there the gradient is asked whether it jumps
PLACES = 8
BLURRED = "pieces meet at the point, or close by, that the values do not tell apart"
NOT_FINITE = "neither the gradient nor the measured slope is finite"
PASSED: tuple[Verdict, str] = ("PASS", "")
DROWNED: tuple[Verdict, str] = (
    "INCONCLUSIVE",
    "the gradient is small beside the rounding of values",
)
FLOOR = 256 * EPSILON  # roundings of the value, and of the point: smaller slopes drown in them


class Judge:
    """Compares the gradient of <cotangent, f> with slopes of f, along any direction."""

    def __init__(
        self, probe: Probe, cotangent: np.ndarray, outputs: np.ndarray, resolution: float
    ) -> None:
        self.probe, self.cotangent, self.resolution = probe, cotangent, resolution
        self.outputs = outputs
        self.origin = probe.point
        self.center = float(cotangent @ outputs)
        self.size = float(np.abs(cotangent) @ np.abs(outputs))
        self.epsilon = max((float(np.finfo(d).eps) for d in probe.output_dtypes), default=EPSILON)
        floor = self.epsilon / 2 * length(cotangent * outputs)
        self.noise = Noise(floor, floor, floor)
        self.gradient_noise, self.heard_coarse = 0.0, False
        self.lost = 0.0  # how far the gradient may be off by digits that it loses by itself
        self.elsewhere = True  # can the gradient be asked beside the point?
        self.doubted = False  # have stairs been looked for?
        self.kinks = Kinks()

    def listen(self, direction: np.ndarray) -> None:
        """Measure how far rounding moves the function along a direction."""
        along = self.probe.along(direction, self.cotangent, self.origin)
        levels = (noise_at(along, self.center, h, 8, (4, 5, 6)) for h in (FINE, COARSE, WIDE))
        self.hear(Noise(*levels))

    def hear(self, noise: Noise) -> None:
        """Take note of noise that was measured."""
        self.noise = self.noise.and_also(noise)

    def listen_to_gradient(self, direction: np.ndarray, *, coarse: bool = False) -> None:
        """Measure how far rounding moves the slope that the gradient claims.

        A kink looks like noise, so both sides are asked, and the point itself is not.
        """

        spacings = (COARSE, FINE) if coarse else (FINE, -FINE)
        found = [self.noise_of_gradient(direction, h) for h in spacings]
        if not coarse and min(found) > JUMPY * self.size:  # kinks close by, on both sides?
            found = [*found, self.noise_of_gradient(direction, FINE, FAR)]
        self.gradient_noise, self.heard_coarse = max(found) if coarse else min(found), coarse

    def noise_of_gradient(self, direction: np.ndarray, spacing: float, start: float = 0.0) -> float:
        """Return the noise of the slope that the gradient claims, at four points in a row."""

        def claimed(t: float) -> float:
            at = self.origin + (start + t) * direction
            return float(self.probe.contributions(at, self.cotangent, direction).sum())

        return noise_at(claimed, nan, spacing, 5, (2, 3))

    def listen_to_gradient_along(self, direction: np.ndarray) -> None:
        """Measure the noise of the gradient along a direction in which it is to be accused.

        Elements that lose digits may be too small to be heard along any other.
        """
        sides = [self.noise_of_gradient(direction, h) for h in (COARSE, -COARSE)]
        self.lost = max(self.lost, SAFETY * min(sides))

    def is_blurred(self, slope: Slope, finding: Finding, direction: np.ndarray) -> bool:
        """Ask whether pieces may meet at the point, or close by, that rounding hides.

        These are known from the gradient, if it jumps beside the point by as much as it is
        accused of.
        """
        accused = slope.distance(finding.analytic)
        if slope.coarse and self.lost > FAST * accused:  # what was taken for noise is none
            return True
        if not self.elsewhere or slope.kind == "kink" or not accused <= self.kinks.unseen:
            return False
        return self.spread(direction) >= accused / 2

    def spread(self, direction: np.ndarray) -> float:
        """Return by how much the slopes differ that the gradient claims around the point."""
        rng = np.random.default_rng(2)
        moves = NEXT * self.probe.steps * rng.normal(size=(PLACES, direction.size))
        claims = [self.probe.contributions(self.origin + move, self.cotangent, direction).sum()
                  for move in moves]  # fmt: skip
        return float(np.max(claims) - np.min(claims))

    def look_for_stairs(self, direction: np.ndarray, gradient: np.ndarray) -> None:
        """Measure what rounding does in stairs that are too wide for a table of differences.

        All inputs move by their own size: a shortened direction may not reach the first stair.
        """
        self.doubted = True
        path = np.copysign(scales(self.probe.subject.inputs, 0.0), direction)
        stairs = Stairs(self.probe, self.cotangent, self.outputs, self.origin)
        jump = stairs.jump(path, gradient)
        self.hear(Noise(jump, jump, jump))
        if self.elsewhere and jump:
            own = stairs.jump_of_slope(path, direction, jump)
            self.gradient_noise = max(self.gradient_noise, own)

    def compare(self, direction: np.ndarray, gradient: np.ndarray, what: str) -> Finding:
        """Measure the slope along a direction and judge the one that the gradient claims."""
        with np.errstate(all="ignore"):
            parts = gradient * direction
            claimed, size = float(parts.sum()), length(parts)
            along = cache(self.probe.along(direction, self.cotangent, self.origin))

            def judged(slope: Slope) -> Finding:
                return self.judge(claimed, slope, size, what)

            slope = self.measure(along, direction, gradient)
            finding = judged(slope)
            if finding.suspicious and isfinite(claimed) and not self.doubted:
                self.look_for_stairs(direction, gradient)
                slope = self.measure(along, direction, gradient)
                finding = judged(slope)
            if finding.suspicious and isfinite(claimed) and self.kinks.known is not False:
                slope = self.with_other_pieces(slope, direction, judged)
                finding = judged(slope)
            if finding.suspicious and isfinite(claimed) and self.elsewhere:
                self.listen_to_gradient_along(direction)
                finding = judged(slope)
            if finding.verdict == "FAIL" and self.is_blurred(slope, finding, direction):
                finding = finding._replace(verdict="INCONCLUSIVE", reason=BLURRED)
            return finding

    def measure(
        self, along: Callable[[float], float], direction: np.ndarray, gradient: np.ndarray
    ) -> Slope:
        """Measure the slope along a direction."""
        parts = gradient * direction
        noise = self.with_rounded_inputs(direction, gradient)
        enough = self.resolution * length(parts) / 10
        slope = slope_of(along, self.center, noise, enough, self.size)
        if slope.bend:
            self.kinks.bends.add(slope.bend)
        if slope.coarse and self.elsewhere and not self.heard_coarse and isfinite(parts.sum()):
            self.listen_to_gradient(direction, coarse=True)
        return slope

    def with_other_pieces(
        self, slope: Slope, direction: np.ndarray, judged: Callable[[Slope], Finding]
    ) -> Slope:
        """Widen a slope to those of all pieces of the function that meet at the point."""

        def function(distance: np.ndarray) -> float:
            return float(self.probe.along(distance, self.cotangent, self.origin)(1.0))

        def passes(wider: Slope) -> bool:
            return judged(wider).verdict == "PASS"

        moves, noise = self.probe.steps, self.noise.fine
        return self.kinks.widen(slope, function, direction, moves, noise, passes)

    def with_rounded_inputs(self, direction: np.ndarray, gradient: np.ndarray) -> Noise:
        """Add what rounding the moved inputs does, which a table of differences may not show."""
        moved = np.where(direction, self.origin * gradient, 0.0)
        rounding = self.probe.epsilon * length(moved)
        return self.noise.at_least(rounding) if isfinite(rounding) else self.noise

    def judge(self, claimed: float, slope: Slope, size: float, what: str) -> Finding:
        """Return the verdict on a slope."""
        if slope.kind == "unresolved":
            return Finding("INCONCLUSIVE", what, claimed, slope.middle, slope.bound, size,
                           slope.reason)  # fmt: skip
        scale = max(abs(slope.low), abs(slope.high))
        if not isfinite(claimed):
            clear = slope.bound <= VAGUE * scale
            return Finding("FAIL" if clear else "INCONCLUSIVE", what, claimed, slope.middle,
                           slope.bound, scale, "" if clear else NOT_FINITE)  # fmt: skip
        scale = max(scale, size)
        own = SAFETY * self.gradient_noise + 8 * self.epsilon * size
        bound = slope.bound + own
        distance = slope.distance(claimed)
        least = FLOOR * max(self.size, slope.bow)
        zero = scale == 0 or max(bound, scale) <= least
        if zero:
            told_apart = distance > bound and abs(slope.middle) > slope.bound
            bound = max(bound, FLOOR * self.size)
            verdict, reason = DROWNED if told_apart else PASSED
        else:
            rounded = LOST * self.noise.wide / max(self.size, TINY) if slope.coarse else 0.0
            enough = max(self.resolution, BENT) if slope.kind == "kink" else self.resolution
            verdict, reason = self.verdict(
                distance / scale, bound / scale, enough, rounded, self.lost / scale
            )
        nearest = min(max(claimed, slope.low), slope.high)
        return Finding(verdict, what, claimed, nearest, bound, scale, reason,
                       slope.kind == "kink", zero, slope.bend,
                       slope.coarse or slope.near)  # fmt: skip

    def verdict(
        self, distance: float, bound: float, enough: float, rounded: float, lost: float
    ) -> tuple[Verdict, str]:
        """Return the verdict on a difference that ought to be below a bound, and the reason.

        All are relative; ``rounded``: the rounding of a function that is coarse, else 0; ``lost``:
        that of the gradient itself.
        """
        if not distance <= max(bound, TRUST):
            if distance <= max(ROUNDED, min(rounded, VAGUE)):
                return "IMPRECISE", "differs by the rounding of a lower precision"
            if distance <= bound + lost:
                few = bound + lost > VAGUE
                return "INCONCLUSIVE" if few else "IMPRECISE", "the gradient itself loses digits"
            return "FAIL", ""
        if bound <= enough:
            return PASSED
        if (rounded or self.epsilon > EPSILON) and bound <= VAGUE:
            return "IMPRECISE", "digits are lost inside: a lower precision, or a cancellation"
        return "INCONCLUSIVE", "the rounding of the function hides its gradient"


def length(vector: np.ndarray) -> float:
    """Return the Euclidean length of a vector, whose squares may be beyond the range."""
    largest = float(np.abs(vector).max(initial=0.0))
    if not largest or not isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(vector / largest))
