"""Recorded graphs, and single nodes of them, as subjects: computed again at other values."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_bp.check.adapters import Ours, pull_all
from tinygrad_bp.check.subject import Arrays, Pull
from tinygrad_bp.errors import GraphError, describe
from tinygrad_bp.graph import Node, walk
from tinygrad_bp.op import Op
from tinygrad_bp.record import record
from tinygrad_bp.tensor import Tensor


def replay(nodes: Sequence[Node], root: Node, given: dict[Node, Any]) -> Any:
    """Compute a graph again, with other values for the given nodes; return the root.

    What does not depend on them is taken from the recording.
    """
    found = dict(given)
    for node in nodes:
        if node not in found and any(x in found for x in node.inputs):
            inputs = [found.get(x, value) for x, value in zip(node.inputs, node.saved, strict=True)]
            found[node] = compute(node, inputs)
    return found.get(root, root)


def replay_from(
    nodes: Sequence[Node], root: Node, leaves: Sequence[Node], values: Sequence[Any]
) -> list[Any]:
    """Compute a graph again from other leaves."""
    return [replay(nodes, root, dict(zip(leaves, values, strict=True)))]


def compute(node: Node, inputs: Sequence[Any]) -> Any:
    """Compute the op of a node at other inputs; Tensors are recorded."""
    assert isinstance(node.op, Op)
    if any(isinstance(x, Tensor) for x in inputs):
        return record(node.op, inputs, node.params)
    return node.op.forward(*inputs, **node.params)


class Recorded(Ours):
    """A recorded graph as a function of its leaves. At the point, its own gradients are asked."""

    def __init__(self, root: Tensor, kind: str) -> None:
        nodes = list(walk(root))
        places = {x: i for i, x in enumerate(nodes) if x.op is None and x.requires_grad}
        seen = {x: v for n in nodes for x, v in zip(n.inputs, n.saved, strict=True)}
        inputs = [np.array(seen.get(x, x.value)) for x in places]
        labels = [x.name or f"leaf#{i}" for x, i in places.items()]
        self.root, self.leaves = root, list(places)
        call = partial(replay_from, nodes, root, self.leaves)
        super().__init__(call, inputs, labels, root.name or f"the graph of {kind}")

    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        same = all(
            x.dtype == y.dtype and np.array_equal(x, y)
            for x, y in zip(inputs, self.inputs, strict=True)
        )
        if not same:
            return super().linearize(inputs)
        return [np.asarray(self.root.value)], partial(pull_all, [self.root], self.leaves)

    def again(self, call: Any) -> Ours:
        return Ours(call, self.inputs, self.labels, f"the gradient of {self.name}")


def recorded(root: Any) -> Recorded:
    """Return the graph below a tensor as a subject; raise `GraphError` if there is none."""
    if not isinstance(root, Tensor) or root.op is None or not root.requires_grad:
        raise GraphError(
            describe(root),
            where="gradcheck_graph",
            expected="a tensor that was computed from one that requires a gradient",
            repair="Pass the result of a computation with Tensors, such as the loss.",
        )
    return Recorded(root, root.op.name)


def differentiable_slots(node: Node) -> list[int]:
    """Return the positions of the inputs of a node that get a share of its cotangent."""
    op = node.op
    skipped = op.skipped if isinstance(op, Op) else ()
    return [i for i, x in enumerate(node.inputs) if x.requires_grad and i not in skipped]


def local_subject(node: Node, name: str) -> Ours:
    """Return the op of one node, at the values that it saw, as a function of its inputs."""
    slots = differentiable_slots(node)

    def call(leaves: Sequence[Any]) -> list[Any]:
        inputs = list(node.saved)
        for slot, leaf in zip(slots, leaves, strict=True):
            inputs[slot] = leaf
        return [compute(node, inputs)]

    inputs = [np.array(node.saved[i], copy=True) for i in slots]
    inputs = [x if x.dtype.kind == "f" else x.astype(np.float64) for x in inputs]
    return Ours(call, inputs, [f"input {i}" for i in slots], name)
