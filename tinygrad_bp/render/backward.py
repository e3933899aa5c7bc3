"""The gradient of a graph as a graph: what the rules compute, recorded."""

from typing import Any

import numpy as np

from tinygrad_bp.flow import Flow
from tinygrad_bp.graph import pull_back, walk
from tinygrad_bp.listeners import recording
from tinygrad_bp.selected import settle
from tinygrad_bp.tensor import Tensor


class GradientGraph:
    """The nodes that a differentiable backward pass makes, and what each is the gradient of."""

    def __init__(self, flow: Flow, cotangent: Any = None) -> None:
        root = flow.root
        seed = np.ones(root.shape, root.dtype)[()] if cotangent is None else cotangent
        with recording(True), np.errstate(all="ignore"):
            started = root._seed(seed, "the root", differentiable=True)
            found = [
                (node, settle(gradient))
                for node, gradient in pull_back(root, started, differentiable=True)
            ]
        self.gradients: list[tuple[Tensor, Tensor]] = found
        ends = [gradient for node, gradient in found if node.op is None]
        self.nodes = [node for node in walk(*ends) if node not in flow.number]

    def names(self, flow: Flow, label: dict[Tensor, str]) -> dict[Tensor, str]:
        """Name what is a finished gradient; one Tensor may be the gradient of several nodes."""
        of = {node: label.get(node) or flow.label(node) for node, _ in self.gradients}
        root = of[flow.root]
        names: dict[Tensor, str] = {}
        for node, gradient in sorted(self.gradients, key=lambda pair: _rank(pair[0], label)):
            names.setdefault(gradient, f"∂{root}/∂{of[node]}")
        return names


def _rank(node: Tensor, label: dict[Tensor, str]) -> int:
    """Prefer leaves, then what the user has named."""
    return 0 if node.op is None else 1 if node.name or node in label else 2
