"""From a recorded graph to one of few meanings: definitions take the place of what they define.

An op that is declared with a `definition` is replaced by it, a checkpoint by what it records.
What is left acts element by element, routes elements, sums products, or is opaque.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tinygrad_bp.checkpoint import Segment
from tinygrad_bp.graph import Node, refuse_rebound, walk
from tinygrad_bp.listeners import recording
from tinygrad_bp.op import Elementwise, Op
from tinygrad_bp.ops.einsum import contract
from tinygrad_bp.scalar.meanings import Each, Leaf, Meaning, Picks, Whole, picked
from tinygrad_bp.scalar.products import Products
from tinygrad_bp.tensor import Tensor


class Step(NamedTuple):
    """A node of the lowered graph: what it means, and the nodes that it reads."""

    node: Tensor
    meaning: Meaning
    inputs: list[Node]
    carries: list[bool]  # for each input: whether a gradient passes


class Lowered(NamedTuple):
    """A graph of few meanings, inputs before consumers, and where the nodes of the other went."""

    steps: list[Step]
    place: dict[Node, Node]

    def find(self, node: Node) -> Node:
        """Return the node of a step that stands for `node`."""
        while node in self.place:
            node = self.place[node]
        return node


def lower(root: Tensor) -> Lowered:
    """Replace every node that has a definition by the definition's own nodes."""
    lowered = Lowered([], {})
    todo: list[Tensor] = list(walk(root))[::-1]
    while todo:
        node = todo.pop()
        refuse_rebound(node)
        stand_ins, value = unfold(node)
        if value is None:
            lowered.steps.append(_step(node, [lowered.find(x) for x in node.inputs]))
            continue
        for stand_in, x in zip(stand_ins, node.inputs, strict=True):
            if stand_in is not x:
                lowered.place[stand_in] = lowered.find(x)
        lowered.place[node] = value
        inner: list[Tensor] = list(walk(value, stop=stand_ins))
        for made in inner:
            if hasattr(node, "origin"):
                made.origin = node.origin  # type: ignore[attr-defined]
        todo.extend(reversed(inner))
    return lowered


def unfold(node: Tensor) -> tuple[Sequence[Node], Tensor | None]:
    """Evaluate what defines a node; return what stood for its inputs, and the result or None."""
    op = node.op
    with recording(True):
        if isinstance(op, Segment):
            return op.captured, op.evaluate()[0]
        if not isinstance(op, Op) or op.facts.definition is None:
            return (), None
        stand_ins = [_stand_in(value) for value in node.saved]
        return stand_ins, op.facts.definition(*stand_ins, **node.params)


def _stand_in(value: object) -> Tensor:
    """Make a variable, also of a condition, so that whatever is computed with it is recorded."""
    leaf = Tensor.__new__(Tensor)
    leaf._restore(value, requires_grad=True)
    return leaf


def _step(node: Tensor, inputs: list[Node]) -> Step:
    skipped = getattr(node.op, "skipped", ())
    carries = [
        node.requires_grad and x.requires_grad and slot not in skipped
        for slot, x in enumerate(node.inputs)
    ]
    return Step(node, _meaning(node), inputs, carries)


def _meaning(node: Tensor) -> Meaning:
    op = node.op
    if not isinstance(op, Op):
        return Leaf(node)
    if isinstance(op, Elementwise) or op.facts.each:
        return Each(node)
    if op is contract:
        return Products(node)
    sources = picked(node) if op.routes else None
    return Whole(node) if sources is None else Picks(node, sources)
