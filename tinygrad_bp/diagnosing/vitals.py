"""How strong the signal is at every node of a graph: the measures behind badges and diagnoses.

Sizes are root mean squares, so an array is as large as its elements, however many there are.
A gradient is measured *as if nothing cancelled*: what arrives over an edge is found by sending the
consumer's gradient with random signs and weights. At a minimum the gradients of all samples cancel
in a weight, which is success; the sizes of what cancels show whether the weight is connected.
"""

import math
from typing import Any

import numpy as np

from tinygrad_bp.flow import Flow
from tinygrad_bp.graph import Node
from tinygrad_bp.op import Elementwise
from tinygrad_bp.record import NUMBERS
from tinygrad_bp.selected import Selected, settle
from tinygrad_bp.summary import rms


class Vitals:
    """What was measured of every node of a `Flow`.

    ``value``: rms of its value. ``strength``: rms of its gradient, as if nothing cancelled; 0
    where none arrives. ``heaviest``: the consumer that sends most. ``error``: the size of the root.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.value: dict[Node, float] = {node: rms(node.value) for node in flow.nodes}
        self.strength: dict[Node, float] = dict.fromkeys(flow.nodes, 0.0)
        self.heaviest: dict[Node, Node] = {}
        self.low: dict[Node, float] = {}
        self.error = flow.root.size * self.value[flow.root]
        self.last_parameter = last_parameter(flow)
        with np.errstate(all="ignore"):
            self._measure()

    def _measure(self) -> None:
        """Follow the gradient from the root, each node after all of its consumers."""
        random, strength = np.random.default_rng(0), self.strength
        best: dict[Node, float] = {}
        for node in reversed(self.flow.nodes):
            arrived = self.flow.arrived(node)
            if arrived is None:
                continue
            strength[node] = max(strength[node], rms(settle(arrived)))  # what does arrive counts
            self._note_low(node)
            if node.op is None:
                continue
            sent = _shaken(arrived, random) if _adds_up(node) else arrived
            shares = node.op.pull(node, sent, node.value, node.saved)
            for x, share in zip(node.inputs, shares, strict=True):
                if share is not None and x.requires_grad:
                    size = rms(settle(share))
                    strength[x] = math.hypot(strength[x], size)
                    if size > best.get(x, 0.0):
                        best[x], self.heaviest[x] = size, node

    def _note_low(self, node: Node) -> None:
        """Remember the least gradient on the heaviest path from the last parameter to the node.

        After the last parameter only the error is made. There the factor o − t of a squared error
        is no sign of anything, and a gradient counts as large only beside the error itself.
        """
        above = self.heaviest.get(node)
        if above is None or self.flow.number[node] > self.last_parameter:
            self.low[node] = max(1.0, self.error) / max(np.size(node.value), 1)
        else:
            self.low[node] = min(self.strength[node], self.low[above])

    def size(self, node: Node) -> float:
        """Return the rms of a value; a 0, such as a bias at the start, is as large as its sum."""
        joined = self.heaviest.get(node, node)
        return self.value[node] or self.value[joined]

    def sensitivity(self, node: Node) -> float:
        """Return by which factor of itself the root changes if all of the node changes by its size.

        n · rms(gradient) · max(1, size) / |root|: the same for any scale of the error and of the
        values, for a sum or a mean over any number of samples. Near the minimum of an error that
        can reach 0, gradient and error shrink together and it stays about 1.
        """
        if not self.error or not self.strength[node]:
            return math.inf if self.strength[node] else 0.0
        size = max(1.0, self.size(node)) * np.size(node.value)
        return float(size * self.strength[node] / self.error)

    def growth(self, node: Node) -> float:
        """Return the gradient of a node, as a multiple of the least on its way there.

        A value below 1, such as 5e-12 farads, counts in its own unit.
        """
        low = self.low.get(node)
        return self.strength[node] * min(1.0, self.value[node]) / low if low else 0.0

    def path(self, node: Node) -> list[Node]:
        """Return the heaviest way from the root to a node: all nodes before it."""
        way = []
        while node in self.heaviest:
            node = self.heaviest[node]
            way.append(node)
        return way[::-1]


def last_parameter(flow: Flow) -> int:
    """Return the position of the last node that a leaf enters: after it only the error is made."""
    return max(
        (flow.number[n] for n in flow.nodes for x in n.inputs if x.requires_grad and x.op is None),
        default=0,
    )


def _adds_up(node: Node) -> bool:
    """Tell whether the rule of a node adds numbers up, so that some may cancel."""
    if type(node.value) in NUMBERS:
        return False
    shape = np.shape(node.value)
    return not isinstance(node.op, Elementwise) or any(np.shape(x) != shape for x in node.saved)


def _shaken(cotangent: Any, random: np.random.Generator) -> Any:
    """Return a gradient with random signs and weights of mean square 1, so that no sum cancels.

    A number stays as it is: it has nothing to cancel with.
    """
    if type(cotangent) is Selected:
        return Selected(_shaken(cotangent.values, random), cotangent.taken)
    if not isinstance(cotangent, np.ndarray) or not cotangent.ndim:
        return cotangent
    weights = random.uniform(0.5, 1.5, cotangent.shape) * math.sqrt(12 / 13)
    signs = 2 * random.integers(0, 2, cotangent.shape) - 1
    return (cotangent * (weights * signs)).astype(cotangent.dtype)
