"""One backward pass, written down: what gradient reached every node, and by which edges.

Readers of a graph (pictures, explanations, diagnoses) ask here; nothing they read is changed.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_bp.cotangents import promote
from tinygrad_bp.errors import GraphError, describe
from tinygrad_bp.graph import Node, pull_back, walk
from tinygrad_bp.op import Elementwise
from tinygrad_bp.selected import Selected, settle
from tinygrad_bp.summary import is_finite
from tinygrad_bp.tensor import Tensor


class Flow:
    """The gradient of `root` with respect to every node that it depends on.

    ``nodes``: inputs before their consumers, the root last; ``number``: their positions there.
    A root with several elements gets a `cotangent` of ones unless told: the gradient of its sum.
    """

    def __init__(self, root: Tensor, cotangent: Any = None) -> None:
        self.root = as_root(root)
        self.nodes: list[Tensor] = list(walk(root))
        self.number: dict[Node, int] = {node: i for i, node in enumerate(self.nodes)}
        self._cotangents: dict[Node, Any] = {}
        if root.requires_grad:
            seed = np.ones(root.shape, root.dtype)[()] if cotangent is None else cotangent
            with np.errstate(all="ignore"):
                self._cotangents.update(pull_back(root, root._seed(seed, "the root")))

    def gradient(self, node: Node) -> Any:
        """Return ∂root/∂node, or None where no gradient arrives."""
        found = self._cotangents.get(node)
        return None if found is None else settle(found)

    @cached_property
    def spoilt(self) -> list[Tensor]:
        """The nodes whose gradient is not finite, from the root on."""
        arrived = ((node, self.gradient(node)) for node in reversed(self.nodes))
        return [node for node, g in arrived if g is not None and not is_finite(g)]

    def arrived(self, node: Node) -> Any:
        """Return the gradient as it travels: a `Selected` where a branch was not taken."""
        return self._cotangents.get(node)

    def shares(self, node: Node) -> Sequence[Any]:
        """Return what a node passes on to each of its inputs; None where it passes nothing."""
        cotangent = self._cotangents.get(node)
        if cotangent is None or node.op is None:
            return [None] * len(node.inputs)
        with np.errstate(all="ignore"):
            shares = node.op.pull(node, cotangent, node.value, node.saved)
        return [
            settle(share) if x.requires_grad and share is not None else None
            for x, share in zip(node.inputs, shares, strict=True)
        ]

    def label(self, node: Node) -> str:
        """Name a node for people: its own name, or its op and position, as ``multiply#12``."""
        name = getattr(node, "name", None)
        if name:
            return str(name)
        kind = node.op.name if node.op else "leaf" if node.requires_grad else "constant"
        return f"{kind}#{self.number[node]}"


def as_root(root: Any) -> Tensor:
    """Return the root of a graph; raise `GraphError` for anything but a Tensor."""
    if isinstance(root, Tensor):
        return root
    raise GraphError(
        describe(root),
        where="the root of the graph",
        expected="a Tensor",
        repair="Pass the result of a computation with Tensors, such as the loss.",
    )


def local_derivative(node: Node, slot: int) -> Any:
    """Return ∂node/∂input, element by element, or None where it is not one factor an element."""
    op = node.op
    if not isinstance(op, Elementwise) or not node.inputs[slot].requires_grad:
        return None
    with np.errstate(all="ignore"):
        seen = promote(node.saved, node.value)
        factor = op.rules[slot](node.value, *seen, **node.params)
    return 1 * np.asarray(factor) if not isinstance(factor, Selected) else None
