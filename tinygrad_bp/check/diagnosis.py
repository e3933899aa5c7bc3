"""What a wrong gradient looks like: simple causes, tried on a sample of its elements."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_bp.check.engine import Outcome
from tinygrad_bp.check.judge import Judge
from tinygrad_bp.check.localise import compare_at
from tinygrad_bp.check.subject import Probe
from tinygrad_bp.summary import number

SAMPLE = 32  # elements that are measured
CLOSE = 1e-5  # relative
PART = 0.2  # of an error: what a cause may leave unexplained
HUGE = 1e5  # a factor above this is that of a number which ought to be zero
DIGITS = 7  # that are known of a factor


class Sample(NamedTuple):
    """Elements of one argument: what the gradient says there, and what was measured."""

    positions: np.ndarray  # within the argument
    analytic: np.ndarray
    numeric: np.ndarray
    wrong: np.ndarray
    values: np.ndarray  # of the argument itself, at these positions
    shape: tuple[int, ...]
    sizes: tuple[int, ...]  # lengths that a mean could have divided by
    close: float = CLOSE  # relative; how well the numbers are known

    @property
    def complete(self) -> bool:
        """Whether the sample is the whole argument."""
        return len(self.positions) == int(np.prod(self.shape))


@np.errstate(all="ignore")
def diagnose(outcome: Outcome) -> str:
    """Return what a wrong gradient looks like, or "" if nothing simple fits."""
    if outcome.diagnosis or outcome.worst is None:
        return outcome.diagnosis
    sample = measure(outcome)
    return "" if sample is None else explain(sample)


def explain(s: Sample) -> str:
    """Return the first of the simple causes that fits, or "" if none does, or nothing is wrong."""
    if not s.wrong.any() and np.isfinite(s.analytic).all():
        return ""
    return next((text for hypothesis in HYPOTHESES if (text := hypothesis(s))), "")


def explain_precision(
    probe: Probe, argument: int, analytic: np.ndarray, exact: np.ndarray, bound: float, close: float
) -> str:
    """Say what the gradient of an argument looks like that is right in float64 alone."""
    part, shape = probe.parts[argument], probe.shapes[argument]
    a, n = analytic[part], exact[part]
    within = np.arange(a.size)
    wrong = ~(np.abs(a - n) <= bound)
    sizes = lengths(shape, probe.output_shapes)
    return explain(Sample(within, a, n, wrong, probe.point[part], shape, sizes, close))


def lengths(shape: tuple[int, ...], outputs: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return what a mean over the axes of an input or of an output divides by."""
    return tuple(n for s in (shape, *outputs) for n in (*s, int(np.prod(s))))


def measure(outcome: Outcome) -> Sample | None:
    """Measure elements of the argument that is wrong."""
    probe, gradient, worst = outcome.probe, outcome.gradient, outcome.worst
    if probe is None or gradient is None or outcome.cotangent is None or worst is None:
        return None
    start = int(sum(np.prod(shape) for shape in probe.shapes[: worst.argument]))
    shape = probe.shapes[worst.argument]
    size = int(np.prod(shape))
    rng = np.random.default_rng(0)
    within = np.arange(size)
    if size > SAMPLE:
        named = int(np.ravel_multi_index(worst.index, shape)) if worst.index else 0
        within = np.unique([named, *rng.permutation(size)[:SAMPLE]])
    judge = Judge(probe, outcome.cotangent, probe.start(), 1e-6)
    steps = probe.steps
    judge.listen(steps)
    found = [compare_at(judge, np.array([start + i]), steps, gradient) for i in within]
    step = steps[start + within] * (outcome.cotangent[0] if outcome.cotangent.size == 1 else 1.0)
    return Sample(
        within,
        np.array([f.analytic for f in found]) / step,
        np.array([f.numeric for f in found]) / step,
        np.array([f.verdict == "FAIL" for f in found]),
        probe.point[start + within],
        shape,
        lengths(shape, probe.output_shapes),
    )


# ---------------------------------------------------------------------------------- hypotheses


def same(a: np.ndarray, b: np.ndarray, close: float = CLOSE) -> bool:
    """Ask whether two arrays are equal but for the precision of the measurement."""
    largest = float(np.max(np.abs(b), initial=0.0))
    return bool(np.all(np.abs(a - b) <= close * largest)) and largest > 0


def explains(a: np.ndarray, n: np.ndarray, guess: np.ndarray, close: float) -> bool:
    """Ask whether a guess is what was claimed, and also leaves little of a small error."""
    error = float(np.max(np.abs(a - n), initial=0.0))
    return same(a, guess, close) and bool(np.all(np.abs(a - guess) <= PART * error))


def leaves_little(a: np.ndarray, n: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Ask where a guess explains an error, element by element."""
    return np.asarray((np.abs(a - guess) <= PART * np.abs(a - n)) & (a != n))


def not_finite(s: Sample) -> str:
    """NaN or infinity."""
    bad = int(np.sum(~np.isfinite(s.analytic)))
    return f"{bad} of {len(s.analytic)} elements are NaN or infinite: 0 · ∞?" if bad else ""


def constant_factor(s: Sample) -> str:
    """The same factor wherever it is wrong."""
    a, n = s.analytic[s.wrong], s.numeric[s.wrong]
    ratio = ratio_of(a, n)
    fits = same(a, ratio * n, s.close) and leaves_little(a, n, ratio * n).all()
    if not (fits or (ratio == 0 and not a.any())):
        return ""
    everywhere = leaves_little(s.analytic, s.numeric, ratio * s.numeric)
    s = s._replace(wrong=s.wrong | everywhere)  # also where it is too little to be told
    if s.wrong.sum() == 1 < len(s.wrong):
        told = abs(ratio) < HUGE
        return f"one element only, by a factor of {factor(ratio, 4)}" if told else ""
    return factor_text(ratio, s) + where_wrong(s)


def ratio_of(a: np.ndarray, n: np.ndarray) -> float:
    """Return the factor between two arrays, NaN if there is none; squares may be out of range."""
    largest = float(np.max(np.abs(n), initial=0.0))
    if not largest:
        return np.nan
    a, n = a / largest, n / largest
    ratio = float(a @ n / (n @ n))
    return ratio if np.isfinite(ratio) else np.nan


def factor(ratio: float, digits: int) -> str:
    """Write a factor, by its distance from 1 if it hardly differs from that.

    >>> factor(1.25, 7), factor(1 + 3e-7, 7), factor(0.9996, 4)
    ('1.250000', '1 + 3e-07', '1 - 0.0004')
    """
    excess = ratio - 1
    if abs(excess) >= 10.0 ** (2 - digits):
        return number(ratio, digits)
    return f"1 {'-' if excess < 0 else '+'} {number(abs(excess), 2)}"


def factor_text(ratio: float, s: Sample) -> str:
    """Say what a factor is known for."""
    if abs(ratio) < s.close:
        return "the gradient is dropped: zero"
    if abs(ratio + 1) < s.close:
        return "the sign is reversed"
    if abs(ratio - 2) < s.close:
        return "a factor of 2: accumulated twice?"
    for size in s.sizes:
        if size > 1 and abs(ratio * size - 1) < s.close:
            return f"a factor of 1/{size}: a mean in place of a sum?"
        if size > 1 and abs(ratio / size - 1) < s.close:
            return f"a factor of {size}: a sum in place of a mean?"
    known = DIGITS - round(np.log10(s.close / CLOSE))
    return f"a constant factor of {factor(ratio, known)}"


def where_wrong(s: Sample) -> str:
    """Say on which elements it is wrong."""
    wrong, count = int(s.wrong.sum()), len(s.wrong)
    if wrong == count:
        return f", on every element ({wrong}/{count})" if count > 1 else ""
    return f", {side(s) or 'on some elements'} ({wrong}/{count})"


def side(s: Sample) -> str:
    """Say if it is wrong exactly on one side of zero."""
    if not s.wrong.any() or s.wrong.all():
        return ""
    if np.array_equal(s.wrong, s.values < 0):
        return "only where the input is negative"
    return "only where the input is positive" if np.array_equal(s.wrong, s.values > 0) else ""


def transposed(s: Sample) -> str:
    """The numbers of the transpose."""
    if not s.complete or len(s.shape) != 2:
        return ""
    a, n = s.analytic.reshape(s.shape), s.numeric.reshape(s.shape)
    if s.shape[0] == s.shape[1] and explains(a, n, n.T, s.close):
        return "transposed"
    moved = explains(a.ravel(), n.ravel(), n.T.ravel(), s.close)
    return "transposed, then reshaped" if moved else ""


def permuted(s: Sample) -> str:
    """The right numbers at wrong places."""
    if not s.complete:
        return ""
    a, n = s.analytic, s.numeric
    if explains(a, n, n[::-1], s.close):
        return "the right numbers in reverse order"
    right = explains(a, n, n[np.argsort(n)][np.argsort(np.argsort(a))], s.close)
    return "the right numbers at wrong places: a permutation that was not undone?" if right else ""


def averaged(s: Sample) -> str:
    """The same number everywhere, or along an axis."""
    if s.complete and len(s.shape) >= 1 and len(s.analytic) > 1:
        a, n = s.analytic.reshape(s.shape), s.numeric.reshape(s.shape)
        for axis in range(len(s.shape)):
            summed = np.broadcast_to(n.sum(axis=axis, keepdims=True), s.shape)
            if s.shape[axis] > 1 and explains(a, n, summed, s.close):
                return f"summed over axis {axis}, which the input has"
    return ""


def shifted(s: Sample) -> str:
    """A constant added to the right numbers."""
    a, n = s.analytic[s.wrong], s.numeric[s.wrong]
    difference = a - n
    if a.size > 1 and same(difference, np.full_like(difference, difference[0]), s.close):
        return f"a constant is added: {number(float(difference[0]), 4)}" + where_wrong(s)
    return ""


def single(s: Sample) -> str:
    """One element, or one side of zero."""
    if int(s.wrong.sum()) == 1 < len(s.wrong):
        return f"one element only ({1}/{len(s.wrong)})"
    return (side(s) + f" ({int(s.wrong.sum())}/{len(s.wrong)})") if side(s) else ""


HYPOTHESES: tuple[Callable[[Sample], str], ...] = (
    not_finite, transposed, constant_factor, permuted, averaged, shifted, single,
)  # fmt: skip
