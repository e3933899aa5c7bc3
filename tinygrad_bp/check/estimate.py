"""The slope of a function of one number, from its values alone, with a bound on its own error.

Difference quotients on a ladder of steps are extrapolated to step 0 (Richardson). How far
neighbouring entries of the table differ says how much error is left; the rounding of the function,
divided by the step, is added. An entry counts only if all finer steps agree with it, so that no
oscillation, pole or kink between two steps is overlooked.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf, isfinite, nan
from typing import Literal, NamedTuple

FIRST_STEP = 0.25
SHRINK = 4.0
RUNGS = 13
MORE = 4  # rungs that are added at the end of the ladder that promises a better bound
SAFETY = 6.0  # how many estimated errors make a bound
VAGUE = 1e-2  # relative; a bound above this says nothing
ROUNDING = 2.0  # roundings in a difference of two values
COLUMNS = 6
NEAR = 2.0**-10  # the least step that is asked about a kink close by
RATHER = 2.0  # times more noise are another hypothesis
INSIDE = 1e-4  # relative; more noise than this is no rounding inside, but an oscillation
WILD = 1e-2  # relative; more than this is no rounding at all: a pole between the finest steps
SLIGHT = 1e-7  # relative; a smaller jump of the slope is an error and no kink
DIVERGING = 0.7  # times the last change or more: quotients of a slope change by a half at most
STILL = 0.5  # of a jump: by how much less it may be on the finest step
CLEAR = 1e-3  # how much the slopes on both sides of it must differ

CENTRAL = tuple(range(2, 2 * COLUMNS + 2, 2))  # powers of the step in the error of a quotient
ONE_SIDED = tuple(range(1, COLUMNS + 1))
JUMP = tuple(range(1, 2 * COLUMNS + 1, 2))

Kind = Literal["smooth", "kink", "unresolved"]


class Noise(NamedTuple):
    """How far rounding moves a value: as seen on very fine steps, on less fine ones, on wide ones.

    If a ladder settles to within the first, that is the noise. The others also tell of a number
    inside that finer steps do not move (a float32, or 1 + something tiny), but they overestimate
    a fast oscillation.
    """

    fine: float
    coarse: float
    wide: float = 0.0

    def at_least(self, level: float) -> "Noise":
        """Return the noise where this much is certain."""
        return Noise(*(max(own, level) for own in self))

    def and_also(self, other: "Noise") -> "Noise":
        """Return the larger noise of two, each wider one at least that of the finer."""
        fine, coarse, wide = (max(pair) for pair in zip(self, other, strict=True))
        return Noise(fine, max(fine, coarse), max(fine, coarse, wide))


class Slope(NamedTuple):
    """What is known of a slope: it lies between `low` and `high`, known to within `error`."""

    kind: Kind
    low: float
    high: float
    error: float
    coarse: bool = False  # it settles only to within the coarse noise
    bow: float = 0.0  # how fast the slope changes: at a minimum it is what rounding makes of that
    bend: int = 0  # at a kink: 1 if the slope ahead is the larger one, else -1
    near: bool = False  # is the kink close by, and others between the steps that show it?
    reason: str = ""

    @property
    def middle(self) -> float:
        """The slope of a smooth function; at a kink the centre between both sides."""
        return (self.low + self.high) / 2

    @property
    def bound(self) -> float:
        """What the error is surely below."""
        return SAFETY * self.error

    def distance(self, slope: float) -> float:
        """Return how far outside of [low, high] another slope is."""
        return max(self.low - slope, slope - self.high, 0.0)


UNSETTLED = Slope(
    "unresolved", nan, nan, inf,
    reason="the difference quotients do not settle: an oscillation, a pole or a wall nearby",
)  # fmt: skip
NOT_FINITE = Slope(
    "unresolved", nan, nan, inf, reason="the function is not finite around the point"
)


class Entry(NamedTuple):
    """An entry of an extrapolation table, from the quotients down to step number `rung`."""

    value: float
    error: float
    rung: int
    rounding: float  # the part of the error that is due to rounding


Choose = Callable[[Sequence[float], Sequence[float], Sequence[int]], Entry | None]


class Row(NamedTuple):
    """The difference quotients of one step."""

    step: float
    ahead: float
    behind: float


class Ladder:
    """The values of a function of one number at steps around 0, from coarse to fine."""

    def __init__(
        self, function: Callable[[float], float], center: float, size: float = 0.0
    ) -> None:
        self.function, self.center, self.size = function, center, max(size, abs(center))
        self.values: dict[float, tuple[float, float]] = {}  # step: (ahead, behind)
        self.climb(FIRST_STEP / SHRINK**rung for rung in range(RUNGS))

    def climb(self, steps: Iterable[float]) -> None:
        """Evaluate at more steps."""
        self.values |= {h: (self.function(h), self.function(-h)) for h in steps}
        self.values = dict(sorted(self.values.items(), reverse=True))

    def rows(self, sides: tuple[int, int] = (1, -1)) -> list[Row]:
        """Return (step, slope ahead, slope behind) from the last finite one to the finest."""
        found: list[Row] = []
        for h, (ahead, behind) in self.values.items():
            slopes = {1: (ahead - self.center) / h, -1: (self.center - behind) / h}
            row = Row(h, slopes[sides[0]], slopes[sides[1]])
            found = [*found, row] if isfinite(row.ahead + row.behind) else []
        return found


def slope_of(
    function: Callable[[float], float],
    center: float,
    noise: Noise,
    enough: float = 0.0,
    size: float = 0.0,
) -> Slope:
    """Return the slope of a function at 0, where its value is `center`.

    ``noise``: how far off values may be; ``size``: of what they are added up from. An error of
    ``enough`` is small enough; otherwise up to `MORE` coarser or finer steps are tried.
    """
    ladder = Ladder(function, center, size)
    slope, entry = read(ladder, noise)
    return climbed(ladder, slope, entry, noise, enough)._replace(bow=bow_of(ladder.rows()))


def climbed(
    ladder: Ladder, slope: Slope, entry: Entry | None, noise: Noise, enough: float
) -> Slope:
    """Return a slope, or a better one if it is not good enough and more steps help."""
    if entry is None or slope.bound <= enough:
        return slope
    steps = list(ladder.values)
    if entry.rung <= MORE:
        ladder.climb(steps[0] * SHRINK**k for k in range(1, MORE + 1))
    elif entry.rung >= RUNGS - 3:
        ladder.climb(steps[-1] / SHRINK**k for k in range(1, MORE + 1))
    again, _ = read(ladder, noise)
    if again.kind != slope.kind or again.error >= slope.error:
        again = slope
    near = near_kink(ladder.rows(), noise.fine)
    use_near = again.bound > 10 * enough and again.bound > near.bound
    return near if use_near else again


def bow_of(rows: Sequence[Row]) -> float:
    """Return how fast the slope changes, per unit of the step."""
    row = next((row for row in rows if row.step <= NEAR), None)
    return abs(row.ahead - row.behind) / row.step if row else 0.0


def read(ladder: Ladder, noise: Noise) -> tuple[Slope, Entry | None]:
    """Read a slope off a ladder, with the entry of the table that it came from."""
    rows = ladder.rows()
    if len(rows) < 2:
        return one_sided(ladder, noise)
    size = max(abs(value) for pair in ladder.values.values() for value in pair)
    if noise.fine > WILD * max(size, ladder.size):
        return UNSETTLED, None
    found, near = two_sided(rows, noise.fine), near_kink(rows, noise.fine)
    for level in (noise.coarse, noise.wide):
        if level <= RATHER * noise.fine or (level > INSIDE * size and not is_flat(rows)):
            continue
        other = two_sided(rows, level)
        trusted = is_flat(rows) or level == noise.coarse
        lost = found is None and near.kind != "kink"
        if other is not None and (lost or (found and better(other[0], found[0], trusted))):
            found = (other[0]._replace(coarse=True), other[1])
    if found is None or (found[0].kind != "smooth" and near.error < found[0].error):
        return near, None
    return found


def better(other: Slope, found: Slope, trusted: bool) -> bool:
    """Ask whether a larger noise is the true one.

    The finest steps may not even move a number of low precision inside: what settles there then
    contradicts the wider steps, or is known less well than by them.
    """
    if other.kind != "smooth":
        return False
    apart = other.distance(found.middle) > found.bound + other.bound
    return (apart and trusted) or (found.kind == "smooth" and other.error < found.error)


def is_flat(rows: Sequence[Row]) -> bool:
    """Ask whether the finest steps change nothing at all."""
    return all(row.ahead == row.behind == 0 for row in rows[-2:])


def two_sided(rows: Sequence[Row], level: float) -> tuple[Slope, Entry | None] | None:
    """Return the slope if everything settles to within a level of noise."""
    noise = [ROUNDING * level / row.step for row in rows]
    jump = settle([row.ahead - row.behind for row in rows], [2 * e for e in noise], JUMP)
    size = max(abs(rows[-1].ahead), abs(rows[-1].behind))
    apart = abs(jump.value) if jump is not None else 0.0
    if jump is not None and apart > max(SAFETY * jump.error, SLIGHT * size):
        slope = kink(rows, level, settle)
        return None if slope.kind == "unresolved" else (slope, None)
    centers = [(row.ahead + row.behind) / 2 for row in rows]
    smooth = settle(centers, noise, CENTRAL) or settle(centers, noise, ONE_SIDED)
    if smooth is None or not closes(rows, smooth, noise):
        return None
    error = smooth.error + unseen(rows, smooth) + hidden(rows, smooth.rung)
    error += apart if jump is not None and apart > SAFETY * jump.error else 0.0
    return Slope("smooth", smooth.value, smooth.value, error), smooth


def closes(rows: Sequence[Row], entry: Entry, noise: Sequence[float]) -> bool:
    """Ask whether the slopes ahead and behind approach each other on steps finer than an entry."""
    gaps = [row.ahead - row.behind for row in rows]
    return is_plateau(entry._replace(value=0.0), gaps, [2 * e for e in noise], 1)


def hidden(rows: Sequence[Row], rung: int) -> float:
    """Return what is hidden where fine steps change nothing: the slope of the last that did.

    But if coarse steps change the value on one side only, they have crossed a kink, and the
    function is flat on the other.
    """
    moving = [row for row in rows if row.ahead or row.behind]
    if not is_flat(rows) or not moving or not (moving[0].ahead and moving[0].behind):
        return 0.0
    return max(abs(moving[-1].ahead), abs(moving[-1].behind)) if rung >= len(moving) - 1 else 0.0


def unseen(rows: Sequence[Row], entry: Entry) -> float:
    """Return what a kink of the slope itself, closer than the finest step, may hide.

    There the error of a central quotient shrinks with the step, not with its square.
    """
    before, at = (rows[i] for i in (entry.rung - 1, entry.rung))
    wide, narrow = (abs((row.ahead + row.behind) / 2 - entry.value) for row in (before, at))
    if narrow <= 5 * entry.rounding + entry.error or wide > SHRINK * SHRINK / 2 * narrow:
        return 0.0
    return narrow * rows[-1].step / at.step


def near_kink(rows: Sequence[Row], level: float) -> Slope:
    """Return the slopes on both sides of a kink that lies closer than the finest steps.

    What they say is not asked, since they may see one side only; the coarse ones have to say it
    clearly.
    """
    slope = kink([row for row in rows if row.step >= NEAR], level, surest)
    clear = slope.high - slope.low > CLEAR * max(abs(slope.low), abs(slope.high))
    return slope._replace(near=not lasts(slope, rows[-1], level)) if clear else UNSETTLED


def lasts(slope: Slope, finest: Row, level: float) -> bool:
    """Ask whether the finest step still shows a kink: then no other is in between."""
    ahead, behind = (slope.high, slope.low)[:: slope.bend or 1]
    allowed = STILL * (slope.high - slope.low) + 5 * ROUNDING * level / finest.step
    return max(abs(finest.ahead - ahead), abs(finest.behind - behind)) <= allowed


def kink(rows: Sequence[Row], level: float, choose: Choose) -> Slope:
    """Return the slopes on both sides if they differ clearly; else nothing is known."""
    noise = [ROUNDING * level / row.step for row in rows]
    ahead = choose([row.ahead for row in rows], noise, ONE_SIDED)
    behind = choose([row.behind for row in rows], noise, ONE_SIDED)
    if ahead is None or behind is None:
        return UNSETTLED
    low, high = sorted((ahead.value, behind.value))
    error = max(ahead.error, behind.error)
    if not isfinite(error) or error > 0.01 * (high - low):
        return UNSETTLED
    return Slope("kink", low, high, error, bend=1 if ahead.value > behind.value else -1)


def one_sided(ladder: Ladder, noise: Noise) -> tuple[Slope, Entry | None]:
    """Read a slope off the one side on which the function is finite."""
    for side in (1, -1):
        rows = ladder.rows((side, side))
        for level in noise:
            quotients = [row.ahead for row in rows]
            entry = settle(quotients, [ROUNDING * level / row.step for row in rows], ONE_SIDED)
            if entry is not None:
                coarse = level > noise.fine
                return Slope("smooth", entry.value, entry.value, entry.error, coarse), entry
    return NOT_FINITE, None


# ---------------------------------------------------------------------------------- the table


def settle(
    quotients: Sequence[float], noise: Sequence[float], powers: Sequence[int]
) -> Entry | None:
    """Return the most certain entry with which all finer quotients agree."""
    for entry in sorted(entries(quotients, noise, powers), key=lambda entry: entry.error):
        if is_plateau(entry, quotients, noise, powers[0]) and converges(entry, quotients):
            return entry
    return None


def converges(entry: Entry, quotients: Sequence[float]) -> bool:
    """Ask whether the last quotients approach each other.

    Beside a pole or a logarithm that is nearer than all steps they keep their distance, and any
    extrapolation is far from the slope.
    """
    last, *before = [
        abs(quotients[rung] - quotients[rung - 1])
        for rung in range(entry.rung, max(entry.rung - 3, 0), -1)
    ]
    return not before or last <= max(DIVERGING * max(before), 5 * entry.rounding)


def surest(
    quotients: Sequence[float], noise: Sequence[float], powers: Sequence[int]
) -> Entry | None:
    """Return the most certain entry, whatever finer quotients say."""
    return min(entries(quotients, noise, powers), key=lambda entry: entry.error, default=None)


def entries(
    quotients: Sequence[float], noise: Sequence[float], powers: Sequence[int]
) -> Iterator[Entry]:
    """Yield the entries of the extrapolation table that have neighbours to tell their error."""
    above: list[float] = []
    for rung, (quotient, rounding) in enumerate(zip(quotients, noise, strict=True)):
        row = [quotient]
        for power, higher in zip(powers, above, strict=False):
            value = row[-1] + (row[-1] - higher) / (SHRINK**power - 1)
            error = max(abs(value - row[-1]), abs(value - higher))
            row.append(value)
            yield Entry(value, error + rounding, rung, rounding)
        above = row


def is_plateau(
    entry: Entry, quotients: Sequence[float], noise: Sequence[float], power: int
) -> bool:
    """Ask whether the quotients of all finer steps approach an entry as they should."""
    at, shrinks = entry.rung, SHRINK**power
    expected = max(abs(quotients[at] - entry.value), abs(quotients[at - 1] - entry.value) / shrinks)
    for quotient, rounding in zip(quotients[at + 1 :], noise[at + 1 :], strict=True):
        expected /= shrinks
        if abs(quotient - entry.value) > 3 * expected + 5 * rounding + entry.error:
            return False
    return True
