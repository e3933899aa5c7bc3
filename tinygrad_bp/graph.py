"""The engine: nodes, the order of a graph, and the chain rule. It knows no arrays.

A `Node` remembers the value it holds and, if an op made it, that op, its input nodes and the
input *values* that the op saw. Nothing here depends on what a value is: floats, arrays and
`fractions.Fraction` all work, as long as cotangents can be added.

Nothing recurses and nothing is ordered by address, so a graph may be a million nodes deep and
gives the same bits in every process.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

from tinygrad_bp.errors import GraphError


class Rule(Protocol):
    """What the engine asks of an op: its name and how a cotangent passes through it."""

    name: str

    def pull(self, node: "Node", cotangent: Any, y: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Return, for each input of `node`, its share of the cotangent (or None)."""


class Node:
    """One value in a graph, and what made it."""

    __slots__ = ("inputs", "op", "params", "requires_grad", "saved", "value")

    value: Any
    op: Rule | None  # None: a leaf
    inputs: tuple["Node", ...]
    saved: Sequence[Any]  # the values of the inputs when the op ran: rebinding a leaf is harmless
    params: dict[str, Any]
    requires_grad: bool


# ---------------------------------------------------------------------------------- reading


def walk(*roots: Node, stop: Collection[Node] = ()) -> Iterator[Any]:
    """Yield every node that the roots depend on, once, each after all of its inputs.

    Nodes in ``stop``, and what only they depend on, are left out.
    """
    seen: set[Node] = set(stop)  # asked for membership only, never iterated
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((x, False) for x in reversed(node.inputs) if x not in seen)


# ---------------------------------------------------------------------------------- chain rule


def refuse_rebound(node: Node) -> None:
    """Raise `GraphError` if an input of `node` no longer holds the value that was recorded."""
    for position, (x, value) in enumerate(zip(node.inputs, node.saved, strict=True)):
        if x.value is not value:
            raise GraphError(
                "an input whose data was rebound after it was recorded",
                where=f"{node.op and node.op.name}, input {position}",
                expected="the value it had then, on which the gradient depends",
                repair="Evaluate the expression again, or take the gradient before rebinding.",
            )


def pull_back(
    root: Node,
    cotangent: Any,
    *,
    differentiable: bool = False,
    stop: Collection[Node] = (),
) -> Iterator[tuple[Any, Any]]:
    """Yield every differentiable node with its complete cotangent, from `root` to the leaves.

    A node is visited when all of its consumers have been, so its cotangent is the finished sum
    over every path to the root:

        cotangent(x) = Σ over consumers y of x:  cotangent(y) · ∂y/∂x

    With ``differentiable=True`` the rules see nodes instead of values: what they compute is
    recorded, and the gradient is a graph like any other. Nodes in ``stop`` are taken for leaves.
    """
    arrivals = expected_arrivals(root, stop)
    leaves: dict[Node, Any] = {}
    ready = [(root, cotangent)]
    while ready:
        finished = ready.pop()
        yield finished
        node, cotangent = finished
        if node.op is None:
            break  # the root itself is a leaf
        if differentiable:
            refuse_rebound(node)
            shares = node.op.pull(node, cotangent, node, node.inputs)
        else:
            shares = node.op.pull(node, cotangent, node.value, node.saved)
        for x, share in zip(node.inputs, shares):  # noqa: B905 (the hot loop; pull returns one each)
            if x.requires_grad:
                arrival = arrivals.get(x)
                if arrival is None:
                    leaves[x] = leaves[x] + share if x in leaves else share
                    continue
                if arrival[1] is not None:
                    share = arrival[1] + share
                if arrival[0] == 1:
                    ready.append((x, share))
                else:
                    arrival[0] -= 1
                    arrival[1] = share
    yield from leaves.items()


def expected_arrivals(root: Node, stop: Collection[Node] = ()) -> dict[Node, list[Any]]:
    """Map each node below `root` that passes cotangents on to [shares to come, their sum]."""
    arrivals: dict[Node, list[Any]] = {}
    stack = [root]
    while stack:
        for x in stack.pop().inputs:
            if x.requires_grad and x.op is not None:
                arrival = arrivals.get(x)
                if arrival is not None:
                    arrival[0] += 1
                elif not stop or x not in stop:
                    arrivals[x] = [1, None]
                    stack.append(x)
    return arrivals
