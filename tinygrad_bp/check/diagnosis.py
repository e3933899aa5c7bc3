"""What a wrong gradient looks like: simple causes, tried on a sample of its elements."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinygrad_bp.check.engine import Outcome
from tinygrad_bp.check.judge import Judge
from tinygrad_bp.check.localise import compare_at
from tinygrad_bp.summary import number

SAMPLE = 32  # elements that are measured
CLOSE = 1e-5  # relative


class Sample(NamedTuple):
    """Elements of one argument: what the gradient says there, and what was measured."""

    positions: np.ndarray  # within the argument
    analytic: np.ndarray
    numeric: np.ndarray
    wrong: np.ndarray
    values: np.ndarray  # of the argument itself, at these positions
    shape: tuple[int, ...]
    sizes: tuple[int, ...]  # lengths that a mean could have divided by

    @property
    def complete(self) -> bool:
        """Whether the sample is the whole argument."""
        return len(self.positions) == int(np.prod(self.shape))


def diagnose(outcome: Outcome) -> str:
    """Return what a wrong gradient looks like, or "" if nothing simple fits."""
    if outcome.diagnosis or outcome.worst is None:
        return outcome.diagnosis
    sample = measure(outcome)
    if sample is None:
        return ""
    return next((text for hypothesis in HYPOTHESES if (text := hypothesis(sample))), "")


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
        (*shape, size, *(n for s in probe.output_shapes for n in (*s, int(np.prod(s))))),
    )


# ---------------------------------------------------------------------------------- hypotheses


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Ask whether two arrays are equal but for the precision of the measurement."""
    largest = float(np.max(np.abs(b), initial=0.0))
    return bool(np.all(np.abs(a - b) <= CLOSE * largest)) and largest > 0


def not_finite(s: Sample) -> str:
    """NaN or infinity."""
    bad = int(np.sum(~np.isfinite(s.analytic)))
    return f"{bad} of {len(s.analytic)} elements are NaN or infinite: 0 · ∞?" if bad else ""


def constant_factor(s: Sample) -> str:
    """The same factor wherever it is wrong."""
    a, n = s.analytic[s.wrong], s.numeric[s.wrong]
    if not a.size or not np.any(n):
        return ""
    ratio = float(a @ n / (n @ n))
    if not same(a, ratio * n) and not (ratio == 0 and not a.any()):
        return ""
    if a.size == 1 < len(s.analytic):
        return f"one element only, by a factor of {number(ratio, 4)}"
    return factor_text(ratio, s) + where_wrong(s)


def factor_text(ratio: float, s: Sample) -> str:
    """Say what a factor is known for."""
    if abs(ratio) < CLOSE:
        return "the gradient is dropped: zero"
    if abs(ratio + 1) < CLOSE:
        return "the sign is reversed"
    if abs(ratio - 2) < CLOSE:
        return "a factor of 2: accumulated twice?"
    for size in s.sizes:
        if size > 1 and abs(ratio * size - 1) < CLOSE:
            return f"a factor of 1/{size}: a mean in place of a sum?"
        if size > 1 and abs(ratio / size - 1) < CLOSE:
            return f"a factor of {size}: a sum in place of a mean?"
    return f"a constant factor of {number(ratio, 7)}"


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
    if s.shape[0] == s.shape[1] and same(a, n.T):
        return "transposed"
    return "transposed, then reshaped" if same(a.ravel(), n.T.ravel()) else ""


def permuted(s: Sample) -> str:
    """The right numbers at wrong places."""
    if not s.complete:
        return ""
    if same(s.analytic, s.numeric[::-1]):
        return "the right numbers in reverse order"
    right = same(np.sort(s.analytic), np.sort(s.numeric))
    return "the right numbers at wrong places: a permutation that was not undone?" if right else ""


def averaged(s: Sample) -> str:
    """The same number everywhere, or along an axis."""
    if s.complete and len(s.shape) >= 1 and len(s.analytic) > 1:
        a, n = s.analytic.reshape(s.shape), s.numeric.reshape(s.shape)
        for axis in range(len(s.shape)):
            summed = np.broadcast_to(n.sum(axis=axis, keepdims=True), s.shape)
            if s.shape[axis] > 1 and same(a, summed):
                return f"summed over axis {axis}, which the input has"
    return ""


def shifted(s: Sample) -> str:
    """A constant added to the right numbers."""
    a, n = s.analytic[s.wrong], s.numeric[s.wrong]
    difference = a - n
    if a.size > 1 and same(difference, np.full_like(difference, difference.mean())):
        return f"a constant is added: {number(float(difference.mean()), 4)}" + where_wrong(s)
    return ""


def single(s: Sample) -> str:
    """One element, or one side of zero."""
    if int(s.wrong.sum()) == 1 < len(s.wrong):
        return f"one element only ({1}/{len(s.wrong)})"
    return (side(s) + f" ({int(s.wrong.sum())}/{len(s.wrong)})") if side(s) else ""


HYPOTHESES: tuple[Callable[[Sample], str], ...] = (
    not_finite, transposed, constant_factor, permuted, averaged, shifted, single,
)  # fmt: skip
