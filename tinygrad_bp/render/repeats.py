"""Which parts of a graph look alike: side by side (neurons), in a row (layers), or as a chain."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping

import numpy as np

from tinygrad_bp.render.quotient import Quotient, hash_of

Parts = list[list[int]]  # parts that look alike, each with its last item last
LONGEST_BLOCK = 256  # items of a block that is repeated in a row
FEWEST = 3  # repetitions, or links of a chain, that are worth a fold


def side_by_side(graph: Quotient, scope: Mapping[int, Hashable]) -> Iterator[Parts]:
    """Yield families of parts of one scope with the same structure below their last item.

    The part of an item is all of its scope that only this item needs. What several parts need
    (the inputs of a layer) belongs to none of them.
    """
    structure = _structure(graph)
    owner = _owners(graph, structure, scope)
    cones: dict[int, list[int]] = {}
    for item in graph.order:
        if owner[item] is not None:
            cones.setdefault(owner[item], []).append(item)  # type: ignore[arg-type]
    families: dict[Hashable, Parts] = {}
    for head, cone in cones.items():
        look = structure[head], scope[head], hash_of(graph.token[item] for item in cone)
        families.setdefault(look, []).append(cone)
    yield from (parts for parts in families.values() if len(parts) >= 2)


def _structure(graph: Quotient) -> dict[int, Hashable]:
    """Return a token for everything that is below an item, to any depth."""
    number: dict[Hashable, int] = {}
    structure: dict[int, Hashable] = {}
    for item in graph.order:
        look = graph.token[item], tuple(structure[x] for x in graph.inputs[item])
        structure[item] = number.setdefault(look, len(number))
    return structure


def _owners(
    graph: Quotient, structure: Mapping[int, Hashable], scope: Mapping[int, Hashable]
) -> dict[int, int | None]:
    """Find for each item the last item of the part that it belongs to, if any."""
    twins = Counter(structure[item] for item in graph.order if graph.inputs[item])
    owner: dict[int, int | None] = {}
    for item in reversed(graph.order):
        owners = {owner[c] for c in graph.consumers[item]}
        only = owners.pop() if len(owners) == 1 else None
        if only is not None and scope[only] == scope[item]:
            owner[item] = only
        else:
            owner[item] = item if twins[structure[item]] >= 2 else None
    return owner


def in_a_row(graph: Quotient, scope: Mapping[int, Hashable]) -> Iterator[Parts]:
    """Yield runs of blocks of one scope, each like the one before and connected in the same way."""
    look, slots = _layout(graph)
    region = _numbered(scope[item] for item in graph.order)
    covered = np.zeros(len(look), bool)
    for start, period, repetitions in _runs(look, slots):
        end = start + period * repetitions
        if not covered[start:end].any() and (region[start:end] == region[start]).all():
            covered[start:end] = True
            items = graph.order[start:end]
            yield [items[i : i + period] for i in range(0, len(items), period)]


def _layout(graph: Quotient) -> tuple[np.ndarray, np.ndarray]:
    """Return what each item in the order is, and where in the order its inputs are.

    Items with the same row of inputs, or one shifted along with them, are connected alike.
    """
    position = {item: i for i, item in enumerate(graph.order)}
    arity = min(max((len(x) for x in graph.inputs.values()), default=0), 4)
    look = _numbered((graph.token[item], len(graph.inputs[item])) for item in graph.order)
    slots = np.full((arity, len(graph.order)), -1, np.int64)
    for i, item in enumerate(graph.order):
        for slot, x in enumerate(graph.inputs[item][:arity]):
            slots[slot, i] = position[x]
    return look, slots


def _numbered(things: Iterable[Hashable]) -> np.ndarray:
    """Give equal things equal numbers."""
    number: dict[Hashable, int] = {}
    return np.array([number.setdefault(thing, len(number)) for thing in things], np.int64)


def _runs(look: np.ndarray, slots: np.ndarray) -> list[tuple[int, int, int]]:
    """List (start, period, repetitions), those that cover most first, short periods first."""
    found = []
    for period in range(1, min(LONGEST_BLOCK, len(look) // FEWEST) + 1):
        alike = look[period:] == look[:-period]
        for row in slots:
            step = row[period:] - row[:-period]
            alike &= (step == period) | (step == 0)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], alike.view(np.int8), [0]))))
        for start, end in edges.reshape(-1, 2).tolist():
            repetitions = (end - start + period) // period
            if repetitions >= FEWEST:
                found.append((-repetitions * period, period, start, repetitions))
    return [(start, period, repetitions) for _, period, start, repetitions in sorted(found)]


def chains(graph: Quotient) -> Iterator[list[int]]:
    """Yield lines of items in which each is needed by the next alone, with what only it needs."""
    consumers = graph.consumers
    only_its = {x for x in graph.order if not graph.inputs[x] and len(consumers[x]) == 1}
    line: dict[int, list[int]] = {}  # by its last item
    for item in graph.order:
        if graph.inputs[item]:
            others = [x for x in graph.inputs[item] if x not in only_its]
            alone = len(others) == 1 == len(consumers[others[0]])
            line[item] = line.pop(others[0], []) if alone else []
            line[item] += [*(x for x in graph.inputs[item] if x in only_its), item]
    for items in line.values():
        if sum(x not in only_its for x in items) >= FEWEST:
            yield items
