"""Low precision: a float32 or float16 gradient is compared with the float64 run of the same graph.

The rules are checked in float64, to full resolution. What float32 then adds is rounding, and how
much of it there may be is measured like any other noise.
"""

import numpy as np

from tinygrad_bp.check.directions import scales
from tinygrad_bp.check.engine import Outcome, check
from tinygrad_bp.check.estimate import SAFETY
from tinygrad_bp.check.localise import element_name
from tinygrad_bp.check.noise import difference_noise
from tinygrad_bp.check.report import Finding, Mismatch, Verdict, worst_of
from tinygrad_bp.check.structure import examine
from tinygrad_bp.check.subject import Probe, Subject, place

ROUNDINGS = 32.0  # of the low precision that are always allowed
LOW = 2.0**8  # roundings: the resolution where nothing can be run in float64
HIGHEST = 0.25  # relative; agreement that is worse than this is no pass in any precision
SPACING = 4.0  # roundings between the points at which noise is measured


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
        outcome.stop("FAIL", f"in {name}: {structure.problem}", structure.diagnosis)
        return
    sizes = np.concatenate(
        [np.full(x.size, np.abs(g).max(initial=0.0)) for x, g in pairs(subject, exact)]
    )
    with np.errstate(invalid="ignore"):
        distance = np.abs(structure.gradient - exact)
    relative = np.divide(distance, sizes, out=distance.copy(), where=sizes > 0)
    worst = int(np.argmax(np.where(np.isfinite(relative), relative, np.inf)))
    finding = judge_element(low, outcome, structure.gradient, worst, float(sizes[worst]), epsilon)
    outcome.findings.append(finding._replace(what=f"{name}, {finding.what}"))
    outcome.verdict = worst_of(outcome.findings)
    if finding.verdict != "PASS":
        outcome.problem = f"the {name} gradient differs from the one in float64"
        argument, index = place(worst, low.shapes)
        outcome.worst = Mismatch(argument, subject.labels[argument], index, finding.analytic,
                                 finding.numeric, finding.bound)  # fmt: skip
    outcome.probe.evaluations += low.evaluations
    outcome.probe.gradient_calls += low.gradient_calls


def pairs(subject: Subject, vector: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pair every input with its part of a vector."""
    cuts = np.cumsum([x.size for x in subject.inputs])[:-1]
    return list(zip(subject.inputs, np.split(vector, cuts), strict=True))


def judge_element(
    low: Probe, outcome: Outcome, gradient: np.ndarray, position: int, size: float, epsilon: float
) -> Finding:
    """Judge one element of a gradient in low precision by the one in float64."""
    assert outcome.gradient is not None
    assert outcome.cotangent is not None
    steps = scales(low.subject.inputs) * SPACING * epsilon
    near = [
        float(low.gradient(low.point + k * steps, outcome.cotangent)[position]) for k in range(5)
    ]
    noise = difference_noise(near, (2, 3))
    claimed, exact = float(gradient[position]), float(outcome.gradient[position])
    bound = ROUNDINGS * epsilon * size + SAFETY * noise
    distance = abs(claimed - exact)
    what = element_name(low, position)
    verdict: Verdict = "FAIL"
    if distance <= bound and bound <= HIGHEST * size:
        verdict = "PASS"
    elif distance <= max(bound, LOW * epsilon * size):
        verdict = "IMPRECISE"
    return Finding(verdict, what, claimed, exact, bound, size)
