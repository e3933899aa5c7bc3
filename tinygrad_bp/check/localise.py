"""A failure along a direction is confirmed at an element, found by halving: about log2 n ladders.

At kinks no such element need exist. There the outputs are separated as well, because only for a
function that bends the same way everywhere a gradient has to lie between both one-sided slopes.
"""

from typing import NamedTuple

import numpy as np

from tinygrad_bp.check.judge import Judge
from tinygrad_bp.check.kinks import BENT, Kinks
from tinygrad_bp.check.report import Finding
from tinygrad_bp.check.subject import Probe, place

SHORT = 2.0**-4  # of a step: an element that is smaller is asked at its own size as well


class Confirmed(NamedTuple):
    """What became of a suspicion."""

    finding: Finding
    position: int | None  # in the vector of all inputs


def element_name(probe: Probe, position: int) -> str:
    """Write an element as ``w[2, 1]``."""
    argument, index = place(position, probe.shapes)
    label = probe.subject.labels[argument]
    return f"{label}[{', '.join(map(str, index))}]" if index else label


def confirm(
    judge: Judge, direction: np.ndarray, gradient: np.ndarray, suspicion: Finding
) -> Confirmed:
    """Confirm a failure at one element, or explain why it cannot be confirmed."""
    found = halve_inputs(judge, direction, gradient, suspicion)
    if found is not None and not found.finding.kinked:
        return found
    if judge.cotangent.size > 1:
        apart = separate_outputs(judge, direction, found)
        certain = not judge.kinks.crowded and is_certain(judge, suspicion)
        certain = certain and apart.finding.verdict != "FAIL"
        return Confirmed(suspicion, None) if certain else apart
    return found or joint(judge, suspicion)


def halve_inputs(
    judge: Judge, direction: np.ndarray, gradient: np.ndarray, finding: Finding
) -> Confirmed | None:
    """Follow a failure into the half of the elements that shows it, down to one; or None."""
    support = np.flatnonzero(direction)
    if support.size == 1:
        finding = finding._replace(step=float(direction[support[0]]))
    if not np.isfinite(gradient).all():
        support = support[~np.isfinite(gradient[support])][:1]
        finding = compare_at(judge, support, direction, gradient)
    while support.size > 1:
        half = support.size // 2
        worse = Finding("PASS", "", 0.0, 0.0, 0.0, 0.0)
        for part in (support[:half], support[half:]):
            found = compare_at(judge, part, direction, gradient)
            if found.verdict == "FAIL" or (found.suspicious and not worse.suspicious):
                worse, chosen = found, part
            if worse.verdict == "FAIL":
                break
        if not worse.suspicious:
            return None
        support, finding = chosen, worse
    both_ways = finding.kinked and not finding.bend  # then the chain rule itself may be outside
    return Confirmed(finding, int(support[0])) if finding.suspicious and not both_ways else None


def compare_at(
    judge: Judge, support: np.ndarray, direction: np.ndarray, gradient: np.ndarray
) -> Finding:
    """Compare along a direction in which only some elements move."""
    part = np.zeros_like(direction)
    part[support] = direction[support]
    name = f"{element_name(judge.probe, int(support[0]))}"
    if support.size == 1:
        part[support] = np.abs(part[support])
    else:
        name += f" … {element_name(judge.probe, int(support[-1]))}"
    local = np.zeros_like(gradient)
    local[support] = gradient[support]
    found = judge.compare(part, local, name)
    if support.size > 1:
        return found
    own = float(np.abs(judge.origin[support[0]]))
    if found.suspicious and 0 < own < SHORT * part[support[0]]:
        shorter = np.where(part != 0, own, 0.0)
        again = judge.compare(shorter, local, name)
        part, found = (part, found) if again.suspicious else (shorter, again)
    step = float(part[support[0]])
    with np.errstate(all="ignore"):
        beyond = np.isinf(found.analytic) and np.isinf(np.divide(found.numeric, step))
    if beyond and np.sign(found.analytic) == np.sign(found.numeric):
        found = found._replace(verdict="INCONCLUSIVE", reason="the slope is beyond all floats")
    return found._replace(step=step)


def separate_outputs(judge: Judge, direction: np.ndarray, found: Confirmed | None) -> Confirmed:
    """Look for one output whose gradient fails on its own."""
    if found is not None and found.position is not None:
        direction = np.where(np.arange(direction.size) == found.position, direction, 0.0)
    support = np.flatnonzero(judge.cotangent)
    while True:
        parts = (
            (support[: support.size // 2], support[support.size // 2 :])
            if support.size > 1
            else (support,)
        )
        for part in parts:
            one = for_outputs(judge, part)
            gradient = judge.probe.gradient(judge.origin, one.cotangent)
            finding = one.compare(direction, gradient, "all inputs")
            if finding.suspicious:
                break
        else:
            return Confirmed(accepted(judge, finding), None)
        support = part
        if support.size == 1:
            return halve_inputs(one, direction, gradient, finding) or joint(one, finding)


def for_outputs(judge: Judge, support: np.ndarray) -> Judge:
    """Return a judge of some of the outputs."""
    cotangent = np.zeros_like(judge.cotangent)
    cotangent[support] = judge.cotangent[support]
    one = Judge(judge.probe, cotangent, judge.outputs, judge.resolution)
    one.hear(judge.noise)
    one.gradient_noise = judge.gradient_noise
    one.origin = judge.origin
    one.kinks = Kinks(None if judge.kinks.known else judge.kinks.known)
    return one


def accepted(judge: Judge, finding: Finding) -> Finding:
    """Return the verdict on a failure of several outputs, each of which is right on its own."""
    if not judge.kinks.bends:
        reason = "a difference that no single output shows"
    elif finding.verdict == "PASS":
        return finding  # between the slopes of kinks that bend in different ways
    else:
        reason = "kinks of several outputs meet"
    return finding._replace(verdict="INCONCLUSIVE", reason=reason)


def joint(judge: Judge, suspicion: Finding) -> Confirmed:
    """Judge a failure that no single element shows."""
    if suspicion.verdict == "IMPRECISE":
        return Confirmed(suspicion, None)
    if is_certain(judge, suspicion):
        return Confirmed(suspicion, None)
    reason = (
        "several kinks meet at the point, and bend both ways"
        if judge.kinks.bends
        else "a difference along one direction that no single element shows"
    )
    return Confirmed(suspicion._replace(verdict="INCONCLUSIVE", reason=reason), None)


def is_certain(judge: Judge, suspicion: Finding) -> bool:
    """Ask whether no generalised gradient explains a difference that no single element shows.

    If all pieces that meet at the point have the same slope along the direction, or the function
    bends one way only, what was measured at the point leaves nothing open. Further away there may
    be kinks between the steps.
    """
    if suspicion.far:
        return False
    gross = abs(suspicion.analytic - suspicion.numeric) > BENT * suspicion.scale
    same_slope = bool(judge.kinks.known) and not suspicion.kinked and not judge.kinks.crowded
    return gross and not judge.kinks.refuted and (same_slope or len(judge.kinks.bends) == 1)
