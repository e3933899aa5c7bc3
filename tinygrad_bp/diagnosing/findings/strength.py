"""Gradients that vanish or explode, and the node at which most is lost or gained."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from tinygrad_bp.diagnosing import badges
from tinygrad_bp.diagnosing.findings.report import MOST, Finding, Reader, op_name
from tinygrad_bp.graph import Node
from tinygrad_bp.summary import number


def vanished_gradients(reader: Reader) -> Iterator[Finding]:
    """Name the node at which most is lost on the way to each leaf that has vanished.

    Of a gradient that has become too small for any number the last node that had one is asked.
    """
    vitals = reader.vitals
    last: dict[Node, Node] = {x: x for x in reader.leaves if badges.has_vanished(vitals, x)}
    for leaf, ends in reader.ends.items():
        if ends and badges.has_vanished(vitals, ends[0]):
            last[leaf] = ends[0]
    worst = sorted(last, key=vitals.sensitivity)
    for culprit, behind, story in _culprits(reader, last, worst[:MOST], vitals.sensitivity, -1):
        text = (
            f"{_listed(reader, behind, worst)}: changed by its own size, it would change the root "
            f"by {number(vitals.sensitivity(behind[0]), 2)} of itself; {story}"
        )
        yield reader.finding("vanished", culprit, text, _why_it_shrinks(reader, culprit))


def exploded_gradients(reader: Reader) -> Iterator[Finding]:
    """Name the node at which most is gained on the way to each leaf that has exploded."""
    vitals = reader.vitals
    last: dict[Node, Node] = {x: x for x in reader.leaves if badges.has_exploded(vitals, x)}
    worst = sorted(last, key=vitals.growth, reverse=True)
    size = vitals.strength.__getitem__
    for culprit, behind, story in _culprits(reader, last, worst[:MOST], size, 1):
        text = (
            f"{_listed(reader, behind, worst)}: gradient rms {number(size(behind[0]), 2)}, "
            f"{number(vitals.growth(behind[0]), 2)} times the least on its way; {story}"
        )
        yield reader.finding("exploded", culprit, text, _why_it_grows(reader, culprit))


def _listed(reader: Reader, behind: Sequence[Node], worst: Sequence[Node]) -> str:
    """Name some leaves; where only the worst were worked out, say of how many."""
    more = f" (of {len(worst)} leaves)" if len(worst) > MOST else ""
    return reader.listed(behind) + more


def _culprits(
    reader: Reader, last: dict[Node, Node], leaves: Sequence[Node], size: Any, sign: int
) -> Iterator[tuple[Node, list[Node], str]]:
    """Group leaves by the op that gains most (sign 1) or loses most (−1) on their way.

    With each group the node at which it is worst for most of the leaves, and the story of that way.
    """
    groups: dict[str, dict[Node, list[tuple[Node, str]]]] = {}
    for leaf in leaves:
        op, node, story = _worst_step(_steps(reader, last[leaf], size, sign), sign)
        groups.setdefault(op, {}).setdefault(node, []).append((leaf, story))
    for nodes in groups.values():
        node = max(nodes, key=lambda n: len(nodes[n]))
        behind = {leaf for told in nodes.values() for leaf, _ in told}
        yield node, [leaf for leaf in leaves if leaf in behind], nodes[node][0][1]


def _worst_step(steps: Sequence[tuple[Node, float]], sign: int) -> tuple[str, Node, str]:
    """Return the op that changes most in all, its node that changes most, and words about both."""
    total: dict[str, float] = {}
    for node, change in steps:
        total[op_name(node)] = total.get(op_name(node), 0.0) + max(change, 0.0)
    op = max(total, key=total.__getitem__)
    same = [(node, change) for node, change in steps if op_name(node) == op and change > 0]
    most = max(change for _, change in same)
    node, change = next(step for step in same if step[1] > 0.9 * most)  # of equals, the first
    story = f"a factor {number(math.exp(sign * change), 2)} here"
    if len(same) > 1:
        factor = number(math.exp(sign * total[op]), 2)
        story += f", {factor} in all {len(same)} {op} on the way"
    return op, node, story


def _steps(reader: Reader, last: Node, size: Any, sign: int) -> list[tuple[Node, float]]:
    """List the nodes on the heaviest way to the last one, each with what its edge adds to ln(size).

    Growth is counted from where the gradient was least.
    """
    way = reader.vitals.path(last)
    if sign > 0:
        strength, low = reader.vitals.strength, reader.vitals.low[last]
        least = [i for i, node in enumerate(way) if strength[node] <= 1.001 * low]
        way = way[least[-1] :] if least else way
    sizes = [math.log(size(node)) for node in (*way, last)]
    return [
        (node, sign * (after - before))
        for node, before, after in zip(way, sizes, sizes[1:], strict=False)
    ]


def _why_it_shrinks(reader: Reader, node: Node) -> str:
    if op_name(node) in badges.SQUASHING:
        flat = badges.saturation(node)
        why = f"{number(100 * flat, 3)}% of its elements are flat. " if flat else ""
        return f"{why}Use relu or a residual connection, or start with smaller weights."
    sizes = _sizes(reader, node)
    return f"{sizes}Start with larger weights (variance 1/inputs), or normalise."


def _why_it_grows(reader: Reader, node: Node) -> str:
    return (
        f"{_sizes(reader, node)}Start with smaller weights (variance 1/inputs), normalise, or clip "
        "the gradient."
    )


def _sizes(reader: Reader, node: Node) -> str:
    """Write the sizes of the inputs of a node: one of them usually is the reason."""
    sizes = [f"{reader.label(x)} has rms {number(reader.vitals.value[x], 2)}" for x in node.inputs]
    return f"{', '.join(sizes)}. " if 0 < len(sizes) <= 2 else ""
