"""A graph in which parts have become single items: what folding works on.

Every function here is linear in nodes and edges, and none recurses.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence


class Quotient:
    """Items (cards, or folds of them), their inputs by slot, and what kind of thing each is.

    ``order``: items, inputs before consumers, depth first from the left as an expression is
    read. ``token``: equal for items of the same kind.
    """

    def __init__(
        self, inputs: Mapping[int, tuple[int, ...]], token: Mapping[int, Hashable]
    ) -> None:
        self.inputs, self.token = inputs, token
        self.consumers: dict[int, list[int]] = {item: [] for item in inputs}
        for item, sources in inputs.items():
            for source in sources:
                self.consumers[source].append(item)
        self.order = self._depth_first()

    def _depth_first(self) -> list[int]:
        order: list[int] = []
        seen: set[int] = set()  # asked for membership only
        stack = [(item, False) for item in self.inputs if not self.consumers[item]][::-1]
        while stack:
            item, inputs_done = stack.pop()
            if inputs_done:
                order.append(item)
            elif item not in seen:
                seen.add(item)
                stack.append((item, True))
                stack += [(x, False) for x in reversed(self.inputs[item]) if x not in seen]
        return order

    def contract(self, parts: Mapping[int, Sequence[int]]) -> "Quotient":
        """Return the graph in which each part, by the number of its fold, is one item."""
        owner = {item: item for item in self.order}
        owner.update((item, fold) for fold, part in parts.items() for item in part)
        outside: dict[int, dict[int, None]] = {fold: {} for fold in parts}  # in order, each once
        inputs: dict[int, tuple[int, ...]] = {}
        for item in self.order:
            own = owner[item]
            sources = tuple(owner[x] for x in self.inputs[item])
            inputs[own] = () if own in outside else sources
            if own in outside:
                outside[own].update((x, None) for x in sources if x != own)
        token = {item: self.token[item] for item in inputs if item not in parts}
        for fold, part in parts.items():
            inputs[fold] = tuple(outside[fold])
            token[fold] = hash_of(self.token[item] for item in part)
        return Quotient(inputs, token)


def hash_of(tokens: Iterable[Hashable]) -> Hashable:
    """Return one token for a sequence of them; only ever compared within one process."""
    return hash(tuple(tokens))


def acyclic_parts(graph: Quotient, name: Mapping[int, Hashable]) -> list[list[int]]:
    """Gather items of the same name into parts that leave the graph without a cycle.

    Where items of one name cannot all be one part, because a path leaves the part and comes
    back, they are divided by how many borders the longest path to them has crossed.
    """
    own = {item: ("part", name[item]) if item in name else ("item", item) for item in graph.order}
    knotted = _on_cycles(graph, own)
    crossed: dict[int, int] = {}
    for item in graph.order:
        crossed[item] = max(
            (crossed[x] + (own[x] != own[item]) for x in graph.inputs[item]), default=0
        )
    for item in graph.order:  # what has no inputs goes with the first that uses it
        users = graph.consumers[item]
        if users and not graph.inputs[item] and all(own[user] == own[item] for user in users):
            crossed[item] = min(crossed[user] for user in users)
    parts: dict[Hashable, list[int]] = {}
    for item in graph.order:
        if item in name:
            key = own[item], crossed[item] if own[item] in knotted else 0
            parts.setdefault(key, []).append(item)
    return list(parts.values())


def _on_cycles(graph: Quotient, own: Mapping[int, Hashable]) -> set[Hashable]:
    """Return the parts that would lie on a cycle, or between two: what no peeling reaches."""
    below: dict[Hashable, list[Hashable]] = {own[item]: [] for item in graph.order}
    above: dict[Hashable, list[Hashable]] = {part: [] for part in below}
    for item in graph.order:
        for x in graph.inputs[item]:
            if own[x] != own[item]:
                below[own[item]].append(own[x])
                above[own[x]].append(own[item])
    rest = _peel(below, above, set(below))
    return _peel(above, below, rest)


def _peel(
    before: Mapping[Hashable, Sequence[Hashable]],
    after: Mapping[Hashable, Sequence[Hashable]],
    within: set[Hashable],
) -> set[Hashable]:
    """Take away, again and again, what has nothing before it; return what remains."""
    waiting = {part: sum(x in within for x in before[part]) for part in before if part in within}
    ready = [part for part, count in waiting.items() if not count]
    while ready:
        part = ready.pop()
        del waiting[part]
        for consumer in after[part]:
            if consumer in waiting:
                waiting[consumer] -= 1
                if not waiting[consumer]:
                    ready.append(consumer)
    return set(waiting)
