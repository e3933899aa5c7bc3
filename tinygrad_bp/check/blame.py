"""Which node of a recorded graph is to blame for a wrong gradient.

The rule of every op is checked on its own, at the values that it saw. If all are right and the
whole is wrong, the gradients of the nodes are measured from the root down: the first wrong one is
where what the consumers passed back was added up wrongly.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.check.diagnosis import diagnose
from tinygrad_bp.check.engine import Outcome
from tinygrad_bp.check.judge import Judge
from tinygrad_bp.check.precision import check_in_all_precisions
from tinygrad_bp.check.recorded import differentiable_slots, local_subject, replay
from tinygrad_bp.check.report import Culprit, Finding
from tinygrad_bp.check.subject import Probe, Subject
from tinygrad_bp.flow import Flow
from tinygrad_bp.graph import Node
from tinygrad_bp.origin import origin_of
from tinygrad_bp.summary import is_finite
from tinygrad_bp.tensor import Tensor

MANY = 400  # nodes; of larger graphs each kind of node is checked once


def check_nodes(
    flow: Flow, resolution: float, seed: int, order: int = 1
) -> Iterator[tuple[Node, Outcome]]:
    """Check the rule of every node on its own; of a large graph, of every kind of node."""
    seen = set()
    for node in reversed(flow.nodes):
        if not (node.requires_grad and differentiable_slots(node)):
            continue
        kind = (node.op, tuple((np.shape(v), np.result_type(v)) for v in node.saved))
        if len(flow.nodes) > MANY and kind in seen and not node.params:
            continue
        seen.add(kind)
        outcome = check_in_all_precisions(local_subject(node, flow.label(node)), resolution, seed)
        if order == 2 and outcome.verdict == "PASS" and outcome.findings:
            outcome = check_in_all_precisions(second(outcome), resolution, seed)
        yield node, outcome


def second(outcome: Outcome) -> Subject:
    """Return the gradient of what was checked, as a function to be checked itself."""
    probe, cotangent = outcome.probe, outcome.cotangent
    assert probe is not None
    assert cotangent is not None
    return probe.subject.derivative(probe.cotangents(cotangent))


def finding_of(label: str, outcome: Outcome) -> Finding:
    """Return one line on a node: its worst finding."""
    if not outcome.findings:
        return Finding(outcome.verdict, label, np.nan, np.nan, np.nan, 0.0, outcome.problem)
    found = next((f for f in outcome.findings if f.verdict == outcome.verdict), outcome.findings[0])
    return found._replace(what=label, reason=outcome.problem)


def faulty_rule(
    root: Tensor, resolution: float, seed: int, order: int = 1
) -> tuple[Culprit | None, bool]:
    """Find the node whose own rule is wrong, or None; and whether a node sits at a kink."""
    flow, checked, kinked = Flow(root), 0, False
    suspects = []
    for node, outcome in check_nodes(flow, resolution, seed, order):
        kinked |= any(f.kinked for f in outcome.findings)
        if outcome.verdict == "FAIL":
            suspects.append((node, outcome))
        checked += 1
    if not suspects:
        return None, kinked
    node, outcome = suspects[0]
    return culprit_of(flow, node, outcome, checked - len(suspects)), kinked


def infinite_slope(root: Tensor) -> Culprit | None:
    """Find the node that makes a gradient infinite, or NaN, of one that is finite; or None."""
    flow = Flow(root)
    for node in reversed(flow.nodes):
        arrived = flow.gradient(node)
        if arrived is None or not is_finite(arrived):
            continue
        for slot, share in enumerate(flow.shares(node)):
            if share is not None and not is_finite(share):
                name, line = node.op.name if node.op else "", origin_of(node).line
                text = "its derivative is not finite at the value that it saw"
                return Culprit(flow.label(node), name, slot, line, None, text, 0)
    return None


def faulty_sum(root: Tensor, resolution: float, seed: int) -> Culprit | None:
    """Find the node at which shares are added up wrongly, if all rules are right; or None."""
    flow = Flow(root)
    wrong = first_wrong_adjoint(flow, resolution, seed)
    if wrong is None:
        return None
    rules = sum(n.requires_grad and bool(differentiable_slots(n)) for n in flow.nodes)
    text = "every rule passes, and what the consumers of this node pass back is added up wrongly"
    return Culprit(
        flow.label(wrong), wrong.op.name if wrong.op else "leaf", None, origin_of(wrong).line,
        None, text, rules,
    )  # fmt: skip


def culprit_of(flow: Flow, node: Node, outcome: Outcome, others: int) -> Culprit:
    """Describe a node whose own rule is wrong."""
    slots = differentiable_slots(node)
    argument = slots[outcome.worst.argument if outcome.worst else outcome.argument]
    name = node.op.name if node.op else ""
    return Culprit(
        flow.label(node), name, argument, origin_of(node).line, outcome.worst,
        diagnose(outcome) or outcome.problem, others,
    )  # fmt: skip


def first_wrong_adjoint(flow: Flow, resolution: float, seed: int) -> Node | None:
    """Return the node nearest to the root whose gradient is wrong although all rules are right."""
    consumers: dict[Node, int] = {}
    for node in flow.nodes:
        for x in node.inputs:
            consumers[x] = consumers.get(x, 0) + 1
    rng = np.random.default_rng(seed)
    u = 0.5 + rng.random(np.shape(flow.root.value))
    weighted = Flow(flow.root, u)
    for node in reversed(flow.nodes[:-1]):
        shared = consumers.get(node, 0) > 1
        if node.requires_grad and (shared or len(flow.nodes) <= MANY):
            outcome = adjoint(weighted, node, u, resolution, rng)
            if outcome == "FAIL":
                return node
    return None


@np.errstate(all="ignore")
def adjoint(
    flow: Flow, node: Node, u: np.ndarray, resolution: float, rng: np.random.Generator
) -> str:
    """Return the verdict on the gradient of the root with respect to one node."""
    found = flow.gradient(node)
    value = np.asarray(node.value, dtype=np.float64)
    if found is None or not value.size:
        return "PASS"
    if np.shape(found) != value.shape:
        return "FAIL"
    probe = Probe(Above(flow, node, np.array(value)))
    outputs = probe.start()
    judge = Judge(probe, np.ravel(u), outputs, resolution)
    judge.elsewhere = False  # the gradient of a node is known at this point alone
    direction = np.maximum(np.abs(value.ravel()), 1e-2 * (np.abs(value).max() or 1.0))
    direction = direction * (0.5 + rng.random(value.size))
    judge.listen(direction)
    gradient = np.ravel(np.asarray(found, dtype=np.float64))
    return judge.compare(direction, gradient, flow.label(node)).verdict


class Above(Subject):
    """The root as a function of one node between it and the leaves; values only."""

    def __init__(self, flow: Flow, node: Node, value: np.ndarray) -> None:
        self.flow, self.node = flow, node
        super().__init__(self.root_at, [value], ["node"], flow.label(node))

    def root_at(self, values: Sequence[Any]) -> list[Any]:
        """Compute the root again from another value of the node."""
        value = values[0] if values[0].ndim else values[0][()]
        return [replay(self.flow.nodes, self.flow.root, {self.node: value})]

    def value(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(y) for y in self.root_at(inputs)]

    def linearize(self, inputs: list[np.ndarray]) -> Any:
        raise NotImplementedError

    def derivative(self, cotangents: list[np.ndarray]) -> Subject:
        raise NotImplementedError
