"""Low precision: a float32 or float16 gradient is compared with the float64 run of the same graph.

The rules are checked in float64, to full resolution. What float32 then adds is rounding, and how
much of it there may be is measured like any other noise.
"""

from dataclasses import replace

import numpy as np

from tinygrad_bp.check.diagnosis import CLOSE, explain_precision
from tinygrad_bp.check.directions import mixed, scales
from tinygrad_bp.check.engine import Outcome, check, mismatch
from tinygrad_bp.check.estimate import SAFETY
from tinygrad_bp.check.localise import element_name
from tinygrad_bp.check.noise import difference_noise
from tinygrad_bp.check.report import Finding, Verdict, worst_of
from tinygrad_bp.check.structure import examine
from tinygrad_bp.check.subject import Probe, Subject

ROUNDINGS = 32.0  # of the low precision that are always allowed
LOW = 2.0**8  # roundings: the resolution where nothing can be run in float64
HIGHEST = 0.25  # relative; agreement that is worse than this is no pass in any precision
COTANGENTS = 2  # more of them tell how large the terms of a gradient are
SPACING = 4.0  # roundings between the points at which noise is measured
UNKNOWN = ": something depends on the precision"
FACTORS = 0.5 + np.arange(1, 9) * 0.6180339887498949 % 1.0  # of cotangents: none a power of two


def check_in_all_precisions(
    subject: Subject, resolution: float, seed: int, *, coordinates: bool = False
) -> Outcome:
    """Check a subject; if its inputs are less precise than float64, also in float64."""
    epsilon = max((float(np.finfo(x.dtype).eps) for x in subject.inputs), default=0.0)
    if epsilon <= np.finfo(np.float64).eps:
        return check(subject, resolution, seed, coordinates=coordinates)
    if not runs_in_float64(subject):
        coarser = min(max(resolution, LOW * epsilon), HIGHEST)
        return check(subject, coarser, seed, coordinates=coordinates)
    outcome = check(subject, resolution, seed, lifted=True, coordinates=coordinates)
    if outcome.verdict == "PASS" and outcome.gradient is not None and outcome.findings:
        compare_precisions(outcome, subject, epsilon, seed)
    return outcome


def runs_in_float64(subject: Subject) -> bool:
    """Ask whether a function computes in float64 if its inputs are float64."""
    probe = Probe(subject, lifted=True)
    try:
        probe.start()
    except Exception:  # whatever a framework raises at mixed dtypes: then it is not asked
        return False
    return all(dtype.itemsize >= 8 for dtype in probe.output_dtypes)


@np.errstate(all="ignore")
def compare_precisions(outcome: Outcome, subject: Subject, epsilon: float, seed: int) -> None:
    """Compare the gradient in low precision with the one in float64, where they differ most."""
    low, exact = Probe(subject), outcome.gradient
    assert outcome.probe is not None
    assert outcome.cotangent is not None
    assert exact is not None
    name = " and ".join(dict.fromkeys(str(x.dtype) for x in subject.inputs))
    outputs = low.start()
    if not np.isfinite(outputs).all():
        outcome.stop("INCONCLUSIVE", f"the function is not finite in {name}")
        return
    structure = examine(low, outcome.cotangent, outputs, np.random.default_rng(seed))
    if structure.problem:
        outcome.argument = structure.argument
        if structure.worst:
            found = mismatch(low, structure.worst[0], outcome.cotangent, *structure.worst[1:])
            outcome.worst = replace(found, other="expected")
        outcome.stop("FAIL", f"in {name}: {structure.problem}", structure.diagnosis)
        return
    sizes = natural_sizes(outcome.probe, outcome.cotangent, exact, seed)
    distance = np.abs(structure.gradient - exact)
    relative = np.divide(distance, sizes, out=distance.copy(), where=sizes > 0)
    worst = int(np.argmax(np.where(np.isfinite(relative), relative, np.inf)))
    finding = judge_element(low, outcome, structure.gradient, worst, float(sizes[worst]), epsilon)
    outcome.findings.append(finding._replace(what=f"{name}, {finding.what}"))
    outcome.verdict = worst_of(outcome.findings)
    if finding.verdict != "PASS":
        tell(outcome, low, structure.gradient, worst, finding, name)
    outcome.probe.evaluations += low.evaluations
    outcome.probe.gradient_calls += low.gradient_calls


def tell(
    outcome: Outcome, low: Probe, gradient: np.ndarray, worst: int, finding: Finding, name: str
) -> None:
    """Note where a gradient in low precision is wrong, and what it looks like beside the other."""
    u, exact = outcome.cotangent, outcome.gradient
    assert u is not None
    assert exact is not None
    outcome.problem = f"the {name} gradient differs from the one in float64"
    found = mismatch(low, worst, u, finding.analytic, finding.numeric, finding.bound)
    outcome.worst = replace(found, other="in float64")
    unit = float(u[0]) if u.size == 1 else 1.0
    close = min(max(CLOSE, finding.resolution), HIGHEST)
    numbers = gradient / unit, exact / unit, finding.bound / abs(unit)
    looks = explain_precision(low, outcome.worst.argument, *numbers, close)
    outcome.diagnosis = "right in float64" + (f"; in {name} {looks}" if looks else UNKNOWN)


def natural_sizes(probe: Probe, u: np.ndarray, exact: np.ndarray, seed: int) -> np.ndarray:
    """Return for every element the size of what its gradient is added up from.

    For one cotangent the terms of a sum may cancel, which makes the result small and leaves its
    rounding as it is. They do not for other cotangents as well, so the largest element counts of
    the gradients of several.
    """
    rng, pull = np.random.default_rng(seed), probe.linearize(probe.point.copy())
    others = [probe.joined(pull(mixed(u.size, rng) * u)) for _ in range(COTANGENTS)]
    found = np.abs([exact, *others])
    return np.concatenate(
        [np.full(found[:, part].shape[1], found[:, part].max(initial=0.0)) for part in probe.parts]
    )


def judge_element(
    low: Probe, outcome: Outcome, gradient: np.ndarray, position: int, size: float, epsilon: float
) -> Finding:
    """Judge one element of a gradient in low precision by the one in float64."""
    assert outcome.gradient is not None
    assert outcome.cotangent is not None
    steps, u = scales(low.subject.inputs) * SPACING * epsilon, outcome.cotangent
    near = [float(low.gradient(low.point + k * steps, u)[position]) for k in range(5)]
    claimed, exact = float(gradient[position]), float(outcome.gradient[position])
    heard = difference_noise(near, (2, 3)), scatter(low, u, position)
    noise = max(filter(np.isfinite, heard), default=0.0)  # beside NaN there is none
    bound = ROUNDINGS * epsilon * size + SAFETY * noise
    distance = abs(claimed - exact)
    what = element_name(low, position)
    verdict: Verdict = "FAIL"
    if distance <= bound and bound <= HIGHEST * size:
        verdict = "PASS"
    elif distance <= max(bound, LOW * epsilon * size):
        verdict = "IMPRECISE"
    return Finding(verdict, what, claimed, exact, bound, size)


def scatter(low: Probe, u: np.ndarray, position: int) -> float:
    """Return the rounding of an element of a gradient, from cotangents that differ by a factor.

    The gradient differs by the same factor, and each time everything is rounded in another way,
    also what does not depend on any input.
    """
    pull = low.linearize(low.point.copy())
    return float(np.std([low.joined(pull(k * u))[position] / k for k in FACTORS]))
