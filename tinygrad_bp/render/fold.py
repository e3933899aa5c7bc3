"""Which parts of a picture can be shown as one card, so that any graph becomes a readable picture.

Parts are found from the inside out: the scopes that the user named, then what is repeated side by
side or in a row, then chains, and if that is not enough, stretches of the graph in its order. Each
step works on the graph that the steps before have left, so folds nest and never make a cycle.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from tinygrad_bp.render.foldcards import Readings, common_stem, fold_card, listing, what_it_is
from tinygrad_bp.render.picture import Arrow, Card, Fold
from tinygrad_bp.render.quotient import Quotient, acyclic_parts
from tinygrad_bp.render.repeats import Parts, chains, in_a_row, side_by_side

STRETCH = 24  # items of a fold that has no better reason
ROUNDS = 4  # of looking for repeats of repeats


def find_folds(
    cards: Sequence[Card],
    arrows: Sequence[Arrow],
    token: Sequence[Hashable],
    readings: Readings,
    max_nodes: int,
) -> tuple[Fold, ...]:
    """Find all folds, inner ones before outer ones; with all closed at most `max_nodes` are seen.

    ``token``: for each card what kind of node it is; equal kinds may be folded together.
    """
    folding = Folding(cards, arrows, token, readings)
    for depth in range(folding.depth, 0, -1):
        folding.repeats()
        folding.scopes(depth)
    folding.repeats()
    if len(folding.graph.order) > max_nodes:
        folding.chains()
    while len(folding.graph.order) > max_nodes:
        folding.stretches(max_nodes)
    return tuple(folding.folds)


class Folding:
    """A graph while its folds are found, one step after the other."""

    def __init__(
        self,
        cards: Sequence[Card],
        arrows: Sequence[Arrow],
        token: Sequence[Hashable],
        readings: Readings,
    ) -> None:
        self.cards, self.readings = cards, readings
        self.folds: list[Fold] = []
        self.inside = {card.number: [card] for card in cards}  # of each item, all of its cards
        inputs: dict[int, list[int]] = {card.number: [] for card in cards}
        for arrow in arrows:  # in the order of the slots
            inputs[arrow.target].append(arrow.source)
        self.graph = Quotient(
            {item: tuple(sources) for item, sources in inputs.items()}, dict(enumerate(token))
        )
        self.scope = self._scope_of_each()  # of each item that is not yet inside a fold
        self.ops_in = Counter(self.scope[card.number] for card in cards if card.kind == "op")
        self.depth = max(map(len, self.scope.values()), default=0)

    def _scope_of_each(self) -> dict[int, tuple[str, ...]]:
        """Return the scope of every card; leaves, which no op made, belong where they are used."""
        scope = {item: self.inside[item][0].scope for item in self.graph.order}
        for item in self.graph.order:
            if not self.graph.inputs[item] and not scope[item]:
                scope[item] = _common([scope[c] for c in self.graph.consumers[item]])
        return scope

    def _fold(self, items: Sequence[int], why: str, title: str, heads: Sequence[Card]) -> int:
        """Make a fold of items and return its number."""
        inside = [card for item in items for card in self.inside[item]]
        fold = len(self.cards) + len(self.folds)
        card = fold_card(fold, title, inside, heads or inside, self.readings)
        self.folds.append(Fold(card, tuple(items), why))
        self.inside[fold] = inside
        self.scope[fold] = self.scope[items[0]]
        return fold

    # ------------------------------------------------------------------------------ steps

    def repeats(self) -> None:
        """Fold parts of one scope that look alike, and what then looks alike."""
        for _ in range(ROUNDS):
            before = len(self.graph.order)
            self._families(side_by_side(self.graph, self.scope))
            self._families(in_a_row(self.graph, self.scope))
            if len(self.graph.order) == before:
                return

    def _families(self, families: Iterable[Parts]) -> None:
        """Fold parts that look alike, and within that fold each of them that has several items."""
        parts: dict[int, Sequence[int]] = {}
        for family in families:
            heads = [self.inside[part[-1]][-1] for part in family]
            name, times = self._name(family), f"{len(family):,}"
            items = [item for part in family for item in part]
            members = items
            if len(family[0]) > 2:
                members = [
                    self._fold(part, "repeat", f"{name} {i:,} of {times}", (head,))
                    for i, (part, head) in enumerate(zip(family, heads, strict=True), 1)
                ]
            parts[self._fold(members, "repeat", f"{name} ×{times}", heads)] = items
        self.graph = self.graph.contract(parts)

    def _name(self, family: Parts) -> str:
        """Name what is repeated: as the user has, if that is plain, else by its ops."""
        scope = self.scope[family[0][-1]]
        inside = [card for part in family for item in part for card in self.inside[item]]
        if scope and sum(card.kind == "op" for card in inside) == self.ops_in[scope]:
            return scope[-1]
        ends = [self._face(part[-1]) for part in family]
        if len(family[0]) == 1 or ends[0].kind != "fold":
            chosen = common_stem(card.title for card in ends)
            return chosen or self._ops(family[0])
        return self._ops(family[0])

    def _ops(self, items: Sequence[int]) -> str:
        faces = [self._face(item) for item in items]
        return listing(filter(None, map(what_it_is, faces))) or faces[-1].kind

    def _face(self, item: int) -> Card:
        """Return the card of an item: its own, or that of the fold that it is."""
        n = len(self.cards)
        return self.cards[item] if item < n else self.folds[item - n].card

    def scopes(self, depth: int) -> None:
        """Fold what was recorded in each scope of this depth."""
        path = {item: self.scope[item] for item in self.graph.order}
        within = {item: name for item, name in path.items() if len(name) == depth}
        found = acyclic_parts(self.graph, within)
        times = Counter(within[part[0]] for part in found)
        number: Counter[tuple[str, ...]] = Counter()
        parts: dict[int, Sequence[int]] = {}
        for part in found:
            name = within[part[0]]
            number[name] += 1
            place = f" ({number[name]} of {times[name]})" if times[name] > 1 else ""
            fold = part[0]
            if len(part) > 1:
                fold = self._fold(part, "scope", name[-1] + place, ())
                parts[fold] = part
            self.scope[fold] = name[:-1]
        self.graph = self.graph.contract(parts)

    def chains(self) -> None:
        """Fold lines in which each item is needed by the next alone."""
        parts: dict[int, Sequence[int]] = {}
        for line in chains(self.graph):
            parts[self._fold(line, "chain", f"chain: {self._ops(line)}", ())] = line
        self.graph = self.graph.contract(parts)

    def stretches(self, max_nodes: int) -> None:
        """Fold what stands together in the order of the graph, so that fewer items remain."""
        order = self.graph.order
        length = min(STRETCH, -(-len(order) // max_nodes))
        parts: dict[int, Sequence[int]] = {}
        for start in range(0, len(order), length):
            items = order[start : start + length]
            if len(items) > 1:
                parts[self._fold(items, "part", f"part: {self._ops(items)}", ())] = items
        self.graph = self.graph.contract(parts)


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return how far all paths go together."""
    common = paths[0] if paths else ()
    for path in paths[1:]:
        while common != path[: len(common)]:
            common = common[:-1]
    return common
