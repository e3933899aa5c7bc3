"""What is wrong with a node, in one or two words. Pictures show it, diagnoses explain it.

| badge       | the node                                                                        |
|-------------|---------------------------------------------------------------------------------|
| NaN origin  | makes NaN out of finite numbers, in its value or in a gradient that it sends on |
| Inf origin  | the same, for infinity                                                          |
| exploded    | has a gradient 10⁶ times the least one on its way there from the error          |
| vanished    | could change by its own size, and the root would change by less than 10⁻⁶       |
| dead        | has a gradient of exactly 0, or sends 0 to an input that has no other gradient  |
| saturated   | is a sigmoid or tanh with 9 of 10 elements where the slope is under 1 %         |
| detached    | cuts the only way between the root and a leaf                                   |
| unreached   | is a leaf that asks for a gradient and gets none                                |
| broadcast   | is larger than each of its inputs, such as (n, 1) − (n,)                        |
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_bp.diagnosing.vitals import Vitals
from tinygrad_bp.flow import Flow
from tinygrad_bp.graph import Node
from tinygrad_bp.op import Elementwise
from tinygrad_bp.summary import is_finite

SEVERITY = (
    "NaN origin", "Inf origin", "exploded", "vanished", "dead", "saturated", "detached",
    "unreached", "broadcast",
)  # fmt: skip

MILLION = 1e6  # what one step does in one place takes a million of them in another
SATURATED = 0.01  # a slope, as a part of the steepest one
MOSTLY = 0.9  # a share of elements
MANY = 8  # elements that are all on one side by chance once in 256 times


def badges(flow: Flow) -> dict[Node, tuple[str, ...]]:
    """Return what is wrong with each node of a graph, worst first; healthy nodes are left out.

    >>> flow = Flow((tg.relu(tg.Tensor(-1.0, name="w") * 2.0) - 1.0) ** 2)
    >>> {flow.label(node): names for node, names in badges(flow).items()}
    {'w': ('dead',), 'multiply#2': ('dead',), 'relu#3': ('dead',)}
    """
    return badges_of(Vitals(flow))


def badges_of(vitals: Vitals) -> dict[Node, tuple[str, ...]]:
    """Return the badges of a graph that has been measured."""
    found: dict[Node, set[str]] = {}
    for judge in JUDGES:
        for node, name in judge(vitals):
            found.setdefault(node, set()).add(name)
    return {
        node: tuple(name for name in SEVERITY if name in found[node])
        for node in vitals.flow.nodes
        if node in found
    }


Judge = Callable[[Vitals], Iterator[tuple[Node, str]]]


# ---------------------------------------------------------------------------------- non-finite


def forward_origins(flow: Flow) -> list[Node]:
    """List the nodes that first became non-finite and spoilt the root or a gradient.

    A mask of −∞, or a branch that `where` did not take, spoils nothing. NaN comes first.
    """
    spoilt = _spoilt(flow)
    origins = [
        node
        for node in flow.nodes
        if node in spoilt and all(is_finite(value) for value in _sources(node))
    ]
    return sorted(origins, key=lambda node: SEVERITY.index(non_finite(node.value)))


def _spoilt(flow: Flow) -> set[Node]:
    """Collect the nodes whose non-finite values lead to the root or to a gradient."""
    suspects = [flow.root, *(x for node, _ in _turns(flow) for x in (node, *node.inputs))]
    stack = [node for node in suspects if not is_finite(node.value)]
    spoilt: set[Node] = set()
    while stack:
        node = stack.pop()
        if node not in spoilt:
            spoilt.add(node)
            sources = list(zip(node.inputs, _sources(node), strict=True))
            bad = [(x, value) for x, value in sources if not is_finite(value)]
            with_nan = [x for x, value in bad if np.isnan(value).any()]
            stack.extend(with_nan or [x for x, _ in bad])  # NaN beside ∞ came from the NaN
    return spoilt


def _sources(node: Node) -> list[Any]:
    """Return the values that an op used: of a branch that was not taken, nothing."""
    if not getattr(node.op, "selects", False):
        return list(node.saved)
    condition, a, b = node.saved
    return [condition, np.where(condition, a, 0), np.where(condition, 0, b)]


def backward_origins(flow: Flow) -> list[tuple[Node, int]]:
    """List the nodes, from the root on, that turn a finite gradient into a non-finite one.

    With each the slot of the input that gets it. A node that saw non-finite numbers is none: what
    it sends on is the fault of the forward pass.
    """
    return [
        (node, slot)
        for node, slot in _turns(flow)
        if all(map(is_finite, (node.value, *node.saved)))
    ]


def _turns(flow: Flow) -> list[tuple[Node, int]]:
    """List where a finite gradient arrives and a non-finite one goes on, from the root on."""
    spoilt = set(flow.spoilt)
    return [
        (node, slot)
        for node in (reversed(flow.nodes) if spoilt else ())
        if node not in spoilt
        for slot, share in enumerate(flow.shares(node))
        if share is not None and not is_finite(share)
    ]


def overflowing_sums(flow: Flow) -> list[Node]:
    """List the nodes whose gradient is not finite although all that arrives is."""
    reached = {
        x
        for node in (flow.nodes if flow.spoilt else ())
        for x, share in zip(node.inputs, flow.shares(node), strict=True)
        if share is not None and not is_finite(share)
    }
    return [node for node in flow.spoilt if node not in reached]


def _of_non_finite(vitals: Vitals) -> Iterator[tuple[Node, str]]:
    flow = vitals.flow
    for node in forward_origins(flow):
        yield node, non_finite(node.value)
    for node, slot in backward_origins(flow):
        yield node, non_finite(flow.shares(node)[slot])
    for node in overflowing_sums(flow):
        yield node, non_finite(flow.gradient(node))


def non_finite(array: Any) -> str:
    """Name the badge of an array that is not finite."""
    return "NaN origin" if bool(np.isnan(np.asarray(array)).any()) else "Inf origin"


# ---------------------------------------------------------------------------------- strength


def _of_strength(vitals: Vitals) -> Iterator[tuple[Node, str]]:
    for node, strength in vitals.strength.items():
        if not strength:
            continue
        if has_exploded(vitals, node):
            yield node, "exploded"
        if has_vanished(vitals, node):
            yield node, "vanished"


def has_exploded(vitals: Vitals, node: Node) -> bool:
    """Tell whether a gradient grew a million times on its way."""
    return MILLION < vitals.growth(node) < np.inf


def has_vanished(vitals: Vitals, node: Node) -> bool:
    """Tell whether the root would not notice if all of a node changed."""
    return 0 < vitals.sensitivity(node) < max(1 / MILLION, precision(node))


def precision(node: Node) -> float:
    """Return the relative distance of neighbouring numbers in the dtype of a node."""
    dtype = getattr(node.value, "dtype", None)
    return float(np.finfo(dtype).eps) if dtype is not None and dtype.kind == "f" else 0.0


def _of_zeros(vitals: Vitals) -> Iterator[tuple[Node, str]]:
    flow = vitals.flow
    if not vitals.error:
        return  # nothing is left to learn
    for node in flow.nodes:
        if flow.gradient(node) is None or node is flow.root:
            continue
        if not vitals.strength[node] or kills(vitals, node):
            yield node, "dead"


def kills(vitals: Vitals, node: Node) -> bool:
    """Tell whether a gradient arrives, and nothing goes on to an input that has no other."""
    return vitals.strength[node] > 0 and any(
        not vitals.strength[x] and vitals.flow.gradient(x) is not None for x in node.inputs
    )


# ---------------------------------------------------------------------------------- activations

SQUASHING = {"sigmoid": 4.0, "tanh": 1.0}  # what makes the steepest slope 1


def saturation(node: Node) -> float:
    """Return the share of elements at which a sigmoid or tanh is flat; 0 for other ops."""
    scale = SQUASHING.get(node.op.name) if node.op else None
    if scale is None or not np.size(node.value):
        return 0.0
    y = np.asarray(node.value)
    slope = 1 - y * y if scale == 1 else y * (1 - y)
    return float(np.mean(slope * scale < SATURATED))


def _of_saturation(vitals: Vitals) -> Iterator[tuple[Node, str]]:
    for layer in saturated(vitals):
        for node in layer:
            yield node, "saturated"


def saturated(vitals: Vitals) -> list[list[Node]]:
    """List the layers of activations that are flat nearly everywhere, and should not be.

    Small nodes, as a scalar graph has them, are one layer per op: each alone says nothing.
    """
    layers: dict[Any, list[Node]] = {}
    for node in vitals.flow.nodes:
        if node.op and node.op.name in SQUASHING and vitals.strength[node]:
            inside = vitals.flow.number[node] < vitals.last_parameter
            alone = np.size(node.value) >= MANY
            layers.setdefault(node if alone else (node.op.name, inside), []).append(node)
    return [layer for layer in layers.values() if _is_saturated(vitals, layer)]


def _is_saturated(vitals: Vitals, layer: list[Node]) -> bool:
    """Judge a layer: inside the network by its share of flat elements, at the end also by success.

    An output at its limit is wrong there if the error is much larger than the gradient.
    """
    sizes = [np.size(node.value) for node in layer]
    flat = sum(size * saturation(node) for size, node in zip(sizes, layer, strict=True))
    if flat < MOSTLY * sum(sizes):
        return False
    if vitals.flow.number[layer[0]] < vitals.last_parameter:
        return sum(sizes) >= MANY
    passed = sum(np.size(x.value) * vitals.strength[x] for node in layer for x in node.inputs)
    return bool(passed < SATURATED * vitals.error)


# ---------------------------------------------------------------------------------- connections


def unreached(flow: Flow) -> list[Node]:
    """List the leaves that ask for a gradient and get none."""
    return [
        node
        for node in flow.nodes
        if node.op is None and node.requires_grad and flow.gradient(node) is None
    ]


def cuts(flow: Flow) -> list[Node]:
    """List the nodes at which gradients end though an unreached leaf is behind them."""
    behind: set[Node] = set(unreached(flow))
    found: list[Node] = []
    for node in flow.nodes if behind else ():
        if any(x in behind for x in node.inputs):
            if flow.gradient(node) is not None or not node.requires_grad:
                found.append(node)
            else:
                behind.add(node)
    return found


def _of_connections(vitals: Vitals) -> Iterator[tuple[Node, str]]:
    for node in cuts(vitals.flow):
        yield node, "detached"
    for leaf in unreached(vitals.flow):
        yield leaf, "unreached"


def _of_shapes(vitals: Vitals) -> Iterator[tuple[Node, str]]:
    for node in vitals.flow.nodes:
        if grows_by_broadcasting(node):
            yield node, "broadcast"


def grows_by_broadcasting(node: Node) -> bool:
    """Tell whether an elementwise op stretched each of several arrays."""
    size = np.size(node.value)
    if size == 1 or len(node.saved) < 2 or not isinstance(node.op, Elementwise):
        return False
    sizes = [np.size(value) for value in node.saved if np.size(value) > 1]
    return len(sizes) > 1 and max(sizes) < size


JUDGES: tuple[Judge, ...] = (
    _of_non_finite, _of_strength, _of_zeros, _of_saturation, _of_connections, _of_shapes,
)  # fmt: skip
