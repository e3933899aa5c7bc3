"""What a finding is, and what all that make one share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinygrad_bp.diagnosing.nonfinite import Index
from tinygrad_bp.diagnosing.vitals import Vitals
from tinygrad_bp.graph import Node
from tinygrad_bp.origin import origin_of

MOST = 20  # leaves and places of a kind that are worked out in full: each costs a walk


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing that is wrong: at which node, what, why, and what helps."""

    kind: str  # a badge, or "wrong rule"
    node: Node
    label: str
    text: str
    remedy: str
    index: Index | None = None  # of the first bad element, if the node has several
    line: str = ""  # "net.py:41", if it was recorded

    def __str__(self) -> str:
        index = f", index {self.index}" if self.index else ""
        place = f"{index}, {self.line}" if self.line else index
        return f"{self.label}: {self.kind}{place}\n    {self.text}\n    {self.remedy}"


class Reader:
    """What the functions below share: the measures, and names for nodes."""

    def __init__(self, vitals: Vitals, names: dict[Node, str]) -> None:
        self.vitals, self.flow, self.names = vitals, vitals.flow, names
        self.leaves: list[Node] = [n for n in self.flow.nodes if n.op is None and n.requires_grad]

    def label(self, node: Node) -> str:
        """Name a node for people."""
        return self.names.get(node) or self.flow.label(node)

    def finding(
        self, kind: str, node: Node, text: str, remedy: str, index: Index | None = None
    ) -> Finding:
        """Make a finding, with the label and the line of its node."""
        line = origin_of(node).line
        return Finding(kind, node, self.label(node), text, remedy, index, line)

    def listed(self, nodes: Sequence[Node], most: int = 3) -> str:
        """Name some nodes, and say how many more there are."""
        names = ", ".join(self.label(node) for node in nodes[:most])
        return f"{names} and {len(nodes) - most} more" if len(nodes) > most else names

    @cached_property
    def ends(self) -> dict[Node, list[Node]]:
        """Map each leaf whose gradient is 0 to the nodes at which it becomes 0, first ones first.

        In a graph of millions of scalars it gives up after a while.
        """
        strength, number = self.vitals.strength, self.flow.number
        consumers: dict[Node, list[Node]] = {}
        for consumer in self.flow.nodes:
            for x in consumer.inputs:
                consumers.setdefault(x, []).append(consumer)
        patience = 10 * len(number)
        found: dict[Node, list[Node]] = {}
        for leaf in self.leaves:
            if strength[leaf] or self.flow.gradient(leaf) is None or not np.size(leaf.value):
                continue
            stack, seen = [leaf], {leaf}
            while stack and patience:
                patience -= 1
                new = [node for node in consumers.get(stack.pop(), []) if node not in seen]
                seen.update(new)
                stack.extend(node for node in new if not strength[node])
            if not stack:
                ends = [node for node in seen if strength[node]]
                found[leaf] = sorted(ends, key=number.__getitem__)
        return found


def op_name(node: Node) -> str:
    """Return the name of the op that made a node, or nothing for a leaf."""
    return node.op.name if node.op else ""
