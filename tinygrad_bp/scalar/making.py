"""Making scalar nodes: one for every entry that is shown, in the order of the graph."""

from typing import Any

import numpy as np

from tinygrad_bp.errors import GraphError
from tinygrad_bp.graph import Node
from tinygrad_bp.listeners import recording
from tinygrad_bp.record import WEAK
from tinygrad_bp.scalar.lowering import Step
from tinygrad_bp.scalar.meanings import Leaf, Mask
from tinygrad_bp.scalar.places import entry_name
from tinygrad_bp.tensor import Tensor


class Making:
    """The scalar nodes made so far, and how an op gets those that it reads."""

    def __init__(self, shown: dict[Node, Mask], names: dict[Node, str], budget: int) -> None:
        self._shown, self._names, self._budget = shown, names, budget
        self.entries: dict[Node, dict[int, Tensor]] = {}
        self.made = 0
        self.gathered: list[int] = []  # how many terms each constant "+ n more" stands for
        self._flat: dict[Node, np.ndarray] = {}  # values of which entries were read

    def make(self, step: Step, *, leaf: bool) -> None:
        """Make what is shown of a node; as leaves if it is one or stands for one."""
        self._step = step
        positions = np.flatnonzero(self._shown[step.node])
        if leaf or isinstance(step.meaning, Leaf):
            for position in positions.tolist():
                self._leaf(step.node, position, step.node.requires_grad)
            return
        with recording(self._note):
            scalars = step.meaning.make(positions, self)
        entries = self.entries.setdefault(step.node, {})
        for position, scalar in zip(positions.tolist(), scalars, strict=True):
            entries[position] = scalar
            if scalar.name is None:
                scalar.name = self._name(step.node, position)

    def entry(self, slot: int, position: int) -> Tensor:
        """Return the scalar node of an entry of an input: a constant if it is not shown."""
        node = self._step.inputs[slot]
        found = self.entries.get(node, {}).get(position)
        return self._leaf(node, position, requires_grad=False) if found is None else found

    def constant(self, value: Any, name: str | None = None, gathered: int = 0) -> Tensor:
        """Make a constant; ``gathered``: how many terms of a sum it stands for."""
        if gathered:
            self.gathered.append(gathered)
        return self._new(value, name, requires_grad=False)

    def shown(self, slot: int) -> Mask:
        """Return which entries of an input are more than constants."""
        node = self._step.inputs[slot]
        mask = self._shown.get(node)
        return np.zeros(np.shape(node.value), bool) if mask is None else mask

    def _leaf(self, node: Node, position: int, requires_grad: bool) -> Tensor:
        value = node.value
        if type(value) not in WEAK:  # a Python number stays one: it has no dtype of its own
            if node not in self._flat:
                self._flat[node] = np.ravel(value)
            value = self._flat[node][position]
        leaf = self._new(value, self._name(node, position), requires_grad)
        self.entries.setdefault(node, {})[position] = leaf
        return leaf

    def _new(self, value: Any, name: str | None, requires_grad: bool) -> Tensor:
        leaf = Tensor.__new__(Tensor)
        leaf._restore(value, requires_grad, name)
        self._count()
        return leaf

    def _name(self, node: Node, position: int) -> str | None:
        name = self._names.get(node)
        return None if name is None else entry_name(name, np.shape(node.value), position)

    def _note(self, scalar: Node) -> None:
        """Hear of a recorded node: it comes from where its tensor came from."""
        origin = getattr(self._step.node, "origin", None)
        if origin is not None:
            scalar.origin = origin  # type: ignore[attr-defined]
        self._count()

    def _count(self) -> None:
        self.made += 1
        repair = "Compute on fewer samples; tg.explain also takes a larger budget."
        refuse_beyond(self.made, self._budget, f"more than {self._budget:,}", repair)


def refuse_beyond(count: int, budget: int, given: str, repair: str) -> None:
    """Raise `GraphError` for more nodes than anyone asked for."""
    if count > budget:
        raise GraphError(
            f"{given} scalar nodes",
            where="the scalar graph",
            expected=f"at most {budget:,}",
            repair=repair,
        )
