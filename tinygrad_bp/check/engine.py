"""One check, from the first call to the verdict: the order of the questions."""

from dataclasses import dataclass, field, replace
from textwrap import shorten

import numpy as np

from tinygrad_bp.check.directions import balanced, leveled, mixed, quantile, scales
from tinygrad_bp.check.judge import DROWNED, Judge
from tinygrad_bp.check.kinks import BENT, Kinks
from tinygrad_bp.check.localise import confirm, element_name
from tinygrad_bp.check.report import Finding, Mismatch, Verdict, worst_of
from tinygrad_bp.check.structure import examine
from tinygrad_bp.check.subject import Probe, Subject, place

BESIDE = 2.0**-9  # how far from a kink the gradient is checked as well
MOST = 3  # elements that are measured on their own at a kink
TOGETHER = "all inputs, tied"  # ties stay ties along it, and what they share has to add up
LITTLE = 2.0**-10  # the step over which outputs are asked how much they change
OPEN = ("PASS", "IMPRECISE")  # verdicts that another direction may still overthrow
VISIBLE = 6e9  # roundings of the function: smaller contributions cannot be resolved


@dataclass
class Outcome:
    """What one check has found."""

    findings: list[Finding] = field(default_factory=list)
    problem: str = ""  # with the structure, or why nothing could be compared
    verdict: Verdict = "PASS"
    diagnosis: str = ""
    worst: Mismatch | None = None
    notes: list[str] = field(default_factory=list)
    probe: Probe | None = None
    cotangent: np.ndarray | None = None
    gradient: np.ndarray | None = None
    origin: np.ndarray | None = None  # where it fails: the point, or beside it
    first: "Outcome | None" = None  # if this is the gradient of the gradient
    seen: np.ndarray | None = None  # which elements move the values enough to be told from none
    argument: int = 0  # of which the structure is wrong

    def see(self, contributions: np.ndarray, finding: Finding) -> None:
        """Note which elements would have been missed if they were not there."""
        if finding.verdict in OPEN:
            seen = np.abs(contributions) > 2 * finding.bound  # of a doubled one half is wrong
            self.seen = seen if self.seen is None else self.seen | seen

    def tell_unseen(self) -> None:
        """Note which elements of the gradient no comparison that passed depended on."""
        assert self.probe is not None
        assert self.gradient is not None
        if self.verdict == "PASS" and self.seen is not None:
            unseen = np.flatnonzero((self.gradient != 0) & ~self.seen)
            if unseen.size:
                count = f"{unseen.size} of {self.seen.size} elements"
                first = element_name(self.probe, int(unseen[0]))
                self.notes.append(
                    f"not seen: {count} hardly move the values beside the others (one: {first})"
                )

    def start_again(self) -> None:
        """Forget what was compared."""
        self.findings, self.notes, self.seen = [], [], None
        self.verdict, self.problem = "PASS", ""

    def stop(self, verdict: Verdict, problem: str, diagnosis: str = "") -> "Outcome":
        """Return this outcome with its last word."""
        self.verdict, self.problem, self.diagnosis = verdict, problem, diagnosis
        return self


@np.errstate(all="ignore")  # numbers out of range are judged, not warned about
def check(
    subject: Subject,
    resolution: float,
    seed: int,
    *,
    lifted: bool = False,
    coordinates: bool = False,
) -> Outcome:
    """Check the gradient of a subject at its point."""
    probe = Probe(subject, lifted=lifted)
    rng = np.random.default_rng(seed)
    outcome = Outcome(probe=probe, origin=probe.point)
    outputs = probe.start()
    if not np.isfinite(outputs).all():
        bad = "NaN" if np.isnan(outputs).any() else "infinite"
        return outcome.stop("INCONCLUSIVE", f"the value of the function is {bad} at the point")
    if not np.array_equal(outputs, probe.start()):
        return outcome.stop(
            "INCONCLUSIVE", "the function is random: two calls at the same point differ"
        )
    u = outcome.cotangent = probe.representable(mixed(outputs.size, rng))
    structure = examine(probe, u, outputs, rng)
    if structure.problem:
        outcome.argument = structure.argument
        if structure.worst:
            found = mismatch(probe, structure.worst[0], u, *structure.worst[1:])
            outcome.worst = replace(found, other="expected")
        return outcome.stop("FAIL", structure.problem, structure.diagnosis)
    outcome.gradient = structure.gradient
    if not probe.point.size or not outputs.size:
        return outcome
    probe.stay_inside()
    ask_all(outcome, Judge(probe, u, outputs, resolution), rng, coordinates=coordinates)
    while outcome.verdict == "INCONCLUSIVE" and probe.shorten():  # past a pole or an edge, maybe
        outcome.start_again()
        ask_all(outcome, Judge(probe, u, outputs, resolution), rng, coordinates=coordinates)
    if not outcome.findings:
        outcome.stop("INCONCLUSIVE", DROWNED[1])
    outcome.tell_unseen()
    return outcome


def ask_all(outcome: Outcome, judge: Judge, rng: np.random.Generator, *, coordinates: bool) -> None:
    """Measure the noise, then compare along one direction after the other."""
    gradient, steps = outcome.gradient, judge.probe.steps
    assert gradient is not None
    direction = steps * mixed(steps.size, rng)
    judge.listen(direction)
    if np.isfinite(gradient).all():
        judge.listen_to_gradient(direction)
    ask(outcome, judge, direction, gradient, "all inputs")
    if outcome.verdict in OPEN:
        ask_balanced(outcome, judge, steps, gradient, rng)
    if coordinates and outcome.verdict in OPEN:
        ask_each(outcome, judge, steps, gradient)


def ask(
    outcome: Outcome,
    judge: Judge,
    direction: np.ndarray,
    gradient: np.ndarray,
    what: str,
    *,
    extra: bool = False,
) -> None:
    """Compare along a direction; at a kink, ask more."""
    kinked = compare(outcome, judge, direction, gradient, what, extra=extra)
    if not kinked or outcome.verdict not in OPEN:
        return
    outcome.notes.append(f"at a kink: any slope between both sides is accepted ({what})")
    beside(outcome, judge, direction, extra)
    if outcome.verdict in OPEN:
        same = judge.probe.steps * (direction != 0)
        if compare(outcome, judge, same, gradient, TOGETHER, extra=True):
            beside(outcome, judge, same, extra)
    if outcome.verdict in OPEN and np.isfinite(gradient).all():
        parts = judge.probe.steps * gradient * (direction != 0)
        largest = float(np.abs(parts).max(initial=0.0))
        if largest:
            steepest = judge.probe.steps * (parts / largest)
            compare(outcome, judge, steepest, gradient, "along the gradient", extra=True)
    for position in outliers(judge, direction, gradient):
        if outcome.verdict in OPEN:
            one = np.where(np.arange(direction.size) == position, judge.probe.steps, 0.0)
            compare(outcome, judge, one, gradient, element_name(judge.probe, position), extra=True)


def compare(
    outcome: Outcome,
    judge: Judge,
    direction: np.ndarray,
    gradient: np.ndarray,
    what: str,
    *,
    extra: bool,
) -> bool:
    """Compare along a direction, and confirm a failure; return whether it is at a kink."""
    finding, position = judge.compare(direction, gradient, what), None
    if finding.suspicious:
        finding, position = confirm(judge, direction, gradient, finding)
    resolved = finding.differs and not np.isnan(finding.numeric)  # then it is a contradiction
    drowned = finding.zero and finding.verdict == "INCONCLUSIVE"  # other directions see more
    if drowned or (extra and finding.verdict in ("INCONCLUSIVE", "IMPRECISE") and not resolved):
        outcome.notes.append(f"not resolved: {what} ({finding.reason})")
        return False
    outcome.findings.append(finding)
    outcome.verdict = worst_of(outcome.findings)
    outcome.see(direction * gradient, finding)
    if finding.verdict == "FAIL":
        blame(outcome, judge, finding, position)
    elif finding.verdict != "PASS":
        failure = judge.probe.failure
        told = f"; beside the point it raises {told_shortly(failure)}" if failure else ""
        outcome.problem = outcome.problem or finding.reason + told
    return finding.kinked


def told_shortly(failure: Exception) -> str:
    """Say in a few words what was raised."""
    text = shorten(str(failure), 60, placeholder=" …")
    return type(failure).__name__ + (f": {text}" if text else "")


def outliers(judge: Judge, direction: np.ndarray, gradient: np.ndarray) -> list[int]:
    """Return the elements whose gradient is furthest from what it is on both sides of a kink.

    One wrong element among many kinks may hide in what these leave open.
    """
    point, u = judge.probe.point, judge.cotangent
    sides = [judge.probe.contributions(point + t * direction, u, direction)
             for t in (BESIDE, -BESIDE)]  # fmt: skip
    claimed = direction * gradient
    excess = np.maximum(np.min(sides, axis=0) - claimed, claimed - np.max(sides, axis=0))
    excess = np.where(np.isfinite(excess), excess, 0.0)
    worst = np.argsort(-excess, kind="stable")[:MOST]
    return [int(i) for i in worst if excess[i] > BENT * np.abs(claimed).max()]


def blame(outcome: Outcome, judge: Judge, finding: Finding, position: int | None) -> None:
    """Note the element at which a gradient is wrong."""
    outcome.problem = "the gradient differs from the measured slope"
    outcome.origin = judge.origin
    if position is None:
        outcome.problem += ", at a kink, where it is not between the slopes on both sides"
        return
    length = finding.step or float(judge.probe.steps[position])
    numbers = (finding.analytic / length, finding.numeric / length, finding.bound / abs(length))
    outcome.worst = mismatch(judge.probe, position, judge.cotangent, *numbers)


def mismatch(
    probe: Probe,
    position: int,
    cotangent: np.ndarray,
    analytic: float,
    numeric: float,
    bound: float,
) -> Mismatch:
    """Describe the element at a position in the vector of all inputs.

    For a function with one output its derivatives are told, without the cotangent.
    """
    u = float(cotangent[0]) if cotangent.size == 1 else 1.0
    argument, index = place(position, probe.shapes)
    label = probe.subject.labels[argument]
    return Mismatch(argument, label, index, analytic / u, numeric / u, bound / abs(u))


def beside(outcome: Outcome, judge: Judge, direction: np.ndarray, extra: bool) -> None:
    """Check the gradient where the function is smooth, close to a kink."""
    origin = judge.probe.point + BESIDE * direction
    outputs = judge.probe.values(origin)
    if outputs.size != judge.cotangent.size or not np.isfinite(outputs).all():
        return
    near = Judge(judge.probe, judge.cotangent, outputs, judge.resolution)
    near.origin, near.gradient_noise = origin, judge.gradient_noise
    near.hear(judge.noise)
    near.kinks = Kinks(known=False)  # there, none is to be found
    gradient = judge.probe.gradient(origin, judge.cotangent)
    compare(outcome, near, direction, gradient, "beside the kink", extra=extra)


def ask_balanced(
    outcome: Outcome,
    judge: Judge,
    steps: np.ndarray,
    gradient: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Compare along directions in which small gradients, and small outputs, count as well.

    These see more than the first direction, or nothing: what they cannot resolve is only noted.
    """
    direction = scales(judge.probe.subject.inputs, judge.probe.floor) * mixed(steps.size, rng)
    ask_leveled(outcome, judge, direction, rng)
    if outcome.verdict in OPEN:
        direction = steps * mixed(steps.size, rng)
        share = max(quantile(direction * gradient, 0.0), VISIBLE * judge.noise.fine)
        direction = balanced(direction, gradient, share)
        ask(outcome, judge, direction, gradient, "small gradients", extra=True)


def ask_leveled(
    outcome: Outcome,
    judge: Judge,
    direction: np.ndarray,
    rng: np.random.Generator,
    what: str = "all inputs, balanced",
) -> None:
    """Compare with every output given the same weight, and no input more than the median.

    Outputs too different in size for one cotangent are asked one group after the other.
    """
    probe = judge.probe
    changed = probe.values(probe.point + LITTLE * direction)
    if changed.size != judge.outputs.size:
        return
    dtype = min(probe.output_dtypes, key=lambda dtype: dtype.itemsize)
    for u in leveled(judge.outputs, changed - judge.outputs, dtype, rng):
        if outcome.verdict not in OPEN:
            return
        level = Judge(probe, u, judge.outputs, judge.resolution)
        level.listen(direction)
        gradient = probe.gradient(probe.point, u)
        share = max(quantile(direction * gradient, 0.5), VISIBLE * level.noise.fine)
        ask(outcome, level, balanced(direction, gradient, share), gradient, what, extra=True)


def ask_each(outcome: Outcome, judge: Judge, steps: np.ndarray, gradient: np.ndarray) -> None:
    """Compare at every element on its own, with all outputs and with those that it moves."""
    rng = np.random.default_rng(0)
    for position in range(steps.size):
        name = element_name(judge.probe, position)
        direction = np.zeros_like(steps)
        direction[position] = steps[position]
        if outcome.verdict in OPEN:
            ask(outcome, judge, direction, gradient, name, extra=True)
        if outcome.verdict in OPEN:
            ask_leveled(outcome, judge, direction, rng, f"{name}, balanced")
