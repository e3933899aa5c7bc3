"""From one written-down backward pass to cards and arrows."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.flow import Flow, local_derivative
from tinygrad_bp.graph import Node
from tinygrad_bp.op import Elementwise
from tinygrad_bp.origin import origin_of
from tinygrad_bp.render.diff import Record, trace
from tinygrad_bp.render.foldcards import Readings
from tinygrad_bp.render.picture import Arrow, Card
from tinygrad_bp.render.words import Reading, brief, clean, figure, read
from tinygrad_bp.selected import settle
from tinygrad_bp.summary import rms
from tinygrad_bp.tensor import Tensor

GRADIENT = ("gradient",)  # the scope of what is not recorded by the user


class Sheet:
    """Everything that is said of every node, read off a graph once.

    ``nodes``: those of the backward pass, and after them, if there are, those of the gradient
    graph. A node of the gradient graph has no gradient of its own. ``shapes``: say them on the
    cards; single numbers have none.
    """

    def __init__(
        self,
        flow: Flow,
        names: Mapping[Tensor, str],
        badges: Mapping[Node, tuple[str, ...]],
        beyond: Sequence[Tensor] = (),
        *,
        shapes: bool = True,
    ) -> None:
        self.flow, self.names, self.badges, self.shapes = flow, names, badges, shapes
        self.nodes = [*flow.nodes, *beyond]
        self.number: dict[Node, int] = {node: i for i, node in enumerate(self.nodes)}
        found = map(flow.gradient, self.nodes)
        gradients = [None if g is None else read(g) for g in found]
        self.readings = Readings([read(node.value) for node in self.nodes], gradients)
        self.typical = _median([g.size for g in gradients if g is not None])
        self._types: dict[np.dtype, str] = {}  # NumPy takes its time to name a dtype

    def label(self, node: Tensor) -> str:
        """Name a node: as it is told, else by its own name, else by its op and number."""
        if node in self.names or node.name:
            return clean(self.names.get(node, node.name))
        kind = node.op.name if node.op else "leaf" if node.requires_grad else "constant"
        return f"{kind}#{self.number[node]}"

    # ------------------------------------------------------------------------------ cards

    def cards(self) -> tuple[Card, ...]:
        """Make a card of every node, in the order of the graph."""
        return tuple(self._card(i, node) for i, node in enumerate(self.nodes))

    def _card(self, i: int, node: Tensor) -> Card:
        op, origin = node.op, origin_of(node)
        value, gradient = self.readings.values[i], self.readings.gradients[i]
        line = clean(origin.line)
        shape, title = self._shape_and_type(node), self.label(node)
        lines = [shape] * self.shapes + [f"value {value.short}"]
        if title.startswith("constant#") and not node.shape:
            title, lines = value.short, []  # a number in an expression needs no other name
        details = [] if op is None else [(op.name, _first_sentence(op))]
        details += [("shape", shape), ("value", value.full)]
        if gradient is not None:
            lines.append(f"grad {gradient.short}")
            details.append(("gradient", gradient.full))
        if line:
            lines.append(line)
            details.append(("line", line))
        return Card(
            number=i,
            kind="op" if op is not None else "leaf" if node.requires_grad else "constant",
            title=title,
            symbol=_symbol(op),
            lines=tuple(lines),
            badges=self.badges.get(node, ()),
            scope=tuple(map(clean, origin.scope)) if i < len(self.flow.nodes) else GRADIENT,
            shade=self._shade(gradient),
            backward=i >= len(self.flow.nodes),
            details=tuple(details),
        )

    def _shape_and_type(self, node: Tensor) -> str:
        return f"{node.shape or 'scalar'} {self._type(node)}"

    def _type(self, node: Tensor) -> str:
        dtype = node.dtype
        return self._types.get(dtype) or self._types.setdefault(dtype, str(dtype))

    def _shade(self, gradient: Reading | None) -> float | None:
        """Compare a gradient with the median of the graph; zero and NaN are told by badges."""
        if gradient is None or not self.typical or not 0 < gradient.size < math.inf:
            return None
        return round(math.log10(gradient.size) - math.log10(self.typical), 3)

    def tokens(self) -> list[Hashable]:
        """Say for each node what kind it is; nodes of one kind may be folded together.

        The root is one of its own: it is what the picture is about.
        """
        found: list[Hashable] = [
            (node.op.name, node.shape, settings(node.params))
            if node.op
            else (node.requires_grad, node.shape)
            for node in self.nodes
        ]
        found[self.number[self.flow.root]] = "root"
        return found

    def records(self) -> list[Record]:
        """Keep of every node what it takes to compare two graphs."""
        values, gradients = self.readings
        lines = self._lines()
        found = []
        for i, node in enumerate(self.nodes):
            op, reading = node.op, gradients[i]
            name = op.name if op else "leaf" if node.requires_grad else "constant"
            look = (name, node.shape, self._type(node), settings(node.params, exact=True))
            gradient = reading and trace(self.flow.gradient(node), reading)
            inputs = tuple(self.number[x] for x in node.inputs)
            value = trace(node.value, values[i])
            found.append(Record(self.label(node), look, inputs, value, gradient, lines[i]))
        return found

    def _lines(self) -> list[str]:
        """Return the user's line of each node; what no op made has that of its first use."""
        lines = [clean(origin_of(node).line) for node in self.nodes]
        for i, node in reversed([*enumerate(self.nodes)]):
            for x in node.inputs:
                if x.op is None and lines[i]:
                    lines[self.number[x]] = f"used at {lines[i]}"
        return lines

    # ------------------------------------------------------------------------------ arrows

    def arrows(self) -> tuple[Arrow, ...]:
        """Make an arrow of every input of every node, in the order of the graph and its slots."""
        found: list[tuple[int, int, int, str, float | None]] = []
        total = [0.0] * len(self.nodes)  # of what arrives at a node, by all of its arrows
        with np.errstate(all="ignore"):
            for target, node in enumerate(self.flow.nodes):
                shares = self.flow.shares(node)
                for slot, (x, share) in enumerate(zip(node.inputs, shares, strict=True)):
                    source, arrived = self.number[x], None if share is None else rms(share)
                    label = "" if arrived is None else self._label(target, slot, arrived)
                    total[source] += arrived or 0.0
                    found.append((source, target, slot, label, arrived))
        forward = (
            Arrow(source, target, slot, label, _part(arrived, total[source]), arrived is None)
            for source, target, slot, label, arrived in found
        )
        return (*forward, *self._arrows_of_the_gradient())

    def _arrows_of_the_gradient(self) -> list[Arrow]:
        start = len(self.flow.nodes)
        return [
            Arrow(self.number[x], target, slot, gradient=True)
            for target, node in enumerate(self.nodes[start:], start)
            for slot, x in enumerate(node.inputs)
        ]

    def _label(self, target: int, slot: int, arrived: float) -> str:
        """Write the local derivative, or for arrays how much of the gradient's size passes."""
        factor = derivative(self.nodes[target], slot)
        if factor is not None:
            return brief(factor)
        passed_on = self.readings.gradients[target]
        gain = arrived / passed_on.size if passed_on and passed_on.size else math.nan
        return f"gain {figure(gain, 3)}" if math.isfinite(gain) else ""


def derivative(node: Tensor, slot: int) -> Any:
    """Return ∂node/∂input where that is one number for each element of either; else None."""
    if isinstance(node.op, Elementwise):
        return local_derivative(node, slot)
    if node.op is None or node.size != 1:
        return None
    one = np.ones(node.shape, node.dtype)[()]
    share = node.op.pull(node, one, node.value, node.saved)[slot]
    return None if share is None else settle(share)


def settings(params: Mapping[str, Any], *, exact: bool = False) -> tuple[tuple[str, str], ...]:
    """Return the parameters of an op in words; unless `exact`, not which row it takes."""
    if not params:
        return ()
    return tuple((key, repr(x)) for key, x in params.items() if exact or key != "index")


def _part(arrived: float | None, total: float) -> float | None:
    """Return the share of a gradient that one arrow brings, where that means something."""
    if arrived is None or not 0 < total < math.inf:
        return None
    return round(arrived / total, 4)


def _median(sizes: Sequence[float]) -> float:
    usual = [s for s in sizes if 0 < s < math.inf]
    return float(np.median(usual)) if usual else 0.0


def _symbol(op: Any) -> str:
    """Return the sign of an op; one that has no facts is told by its name."""
    return "" if op is None else op.facts.symbol or op.name if hasattr(op, "facts") else op.name


def _first_sentence(op: Any) -> str:
    return str(op.facts.doc).partition("\n")[0] if hasattr(op, "facts") else str(op.name)
