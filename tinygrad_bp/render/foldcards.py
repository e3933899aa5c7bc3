"""What is said on the card of a fold: how many, how large, and the worst that is inside."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from tinygrad_bp.diagnosing.badges import SEVERITY
from tinygrad_bp.render.picture import Card
from tinygrad_bp.render.words import Reading, figure
from tinygrad_bp.summary import many


class Readings(NamedTuple):
    """The numbers of every card, by its number."""

    values: Sequence[Reading]
    gradients: Sequence[Reading | None]

    def only(self, numbers: Sequence[int]) -> "Readings":
        """Return the readings of some cards."""
        return Readings([self.values[i] for i in numbers], [self.gradients[i] for i in numbers])


def fold_card(
    number: int, title: str, inside: Sequence[Card], heads: Sequence[Card], readings: Readings
) -> Card:
    """Make the card of a fold. ``heads``: the cards that speak for it, one for each repetition."""
    made = [card for card in inside if card.kind == "op"] or inside
    common = [*zip(*(card.scope for card in made), strict=False)]
    scope = [names[0] for names in common if len(set(names)) == 1]
    values = [readings.values[card.number].typical for card in heads]
    found = (readings.gradients[card.number] for card in heads)
    gradients = [g.typical for g in found if g is not None]
    shades = [card.shade for card in inside if card.shade is not None]
    lines = [many(len(inside), "node")]
    lines += [f"value {spread(values)}"] if values else []
    lines += [f"grad {spread(gradients)}"] if gradients else []
    return Card(
        number=number,
        kind="fold",
        title=title,
        lines=tuple(lines),
        badges=worst(inside),
        scope=tuple(scope),
        shade=round(median(shades), 3) if shades else None,
        backward=all(card.backward for card in inside),
        details=(("inside", contents(inside)), *_named(inside)),
    )


def contents(cards: Sequence[Card]) -> str:
    """Count what is inside.

    >>> contents([Card(0, "leaf", "w"), Card(1, "op", "y"), Card(2, "op", "z")])
    '3 nodes: 1 leaf, 2 ops'
    """
    kinds = Counter(card.kind for card in cards)
    parts = [many(kinds[kind], kind) for kind in ("leaf", "constant", "op") if kinds[kind]]
    return f"{many(len(cards), 'node')}: {', '.join(parts)}"


def spread(values: Sequence[float]) -> str:
    """Say where numbers lie: minimum, median and maximum; those that are NaN are counted.

    >>> spread([3.0, 1.0, 2.0]), spread([1.0, float("nan")])
    ('1 … 2 … 3', '1, 1 NaN')
    """
    known = sorted(x for x in values if x == x)
    nans = f"{len(values) - len(known):,} NaN" if len(known) < len(values) else ""
    if not known:
        return nans
    low, middle, high = figure(known[0]), figure(median(known)), figure(known[-1])
    line = low if low == high else f"{low} … {middle} … {high}"
    return f"{line}, {nans}" if nans else line


def worst(cards: Sequence[Card]) -> tuple[str, ...]:
    """Return every badge inside, worst first."""
    badges = dict.fromkeys(badge for card in cards for badge in card.badges)
    rank = {badge: i for i, badge in enumerate(SEVERITY)}
    return tuple(sorted(badges, key=lambda badge: rank.get(badge, len(rank))))


def _named(cards: Sequence[Card]) -> tuple[tuple[str, str], ...]:
    leaves = [card.title for card in cards if card.kind == "leaf"]
    more = f" and {len(leaves) - 12:,} more" if len(leaves) > 12 else ""
    return (("leaves", ", ".join(leaves[:12]) + more),) if leaves else ()


# ---------------------------------------------------------------------------------- titles


def stem(title: str) -> str:
    """Return a name without what tells it from its neighbours.

    >>> stem("neuron[0]"), stem("block12 (3 of 4)"), stem("tanh ×33"), stem("tanh 1 of 33")
    ('neuron', 'block', 'tanh', 'tanh')
    """
    return re.sub(r"( ×[\d,]+| [\d,]+ of [\d,]+|[\d\W_]*( \(\d+ of \d+\))?)$", "", title)


def common_stem(titles: Iterable[str]) -> str:
    """Return the stem that all have in common and that a user has chosen, or nothing.

    >>> common_stem(["h[0]", "h[1]"]), common_stem(["h[0]", "x"]), common_stem(["add#3", "add#7"])
    ('h', '', '')
    """
    titles = list(titles)
    stems = {stem(title) for title in titles}
    return stems.pop() if len(stems) == 1 and not any("#" in title for title in titles) else ""


def listing(names: Iterable[str]) -> str:
    """Name a few different things, in their order.

    >>> listing(["add", "tanh", "add"])
    'add, tanh'
    """
    different = list(dict.fromkeys(names))
    return ", ".join(different[:3]) + (", …" if len(different) > 3 else "")


def what_it_is(card: Card) -> str:
    """Name a card of a block: the op of an op, the stem of a fold, nothing for a leaf.

    >>> what_it_is(Card(3, "op", "loss", details=(("add", "…"),))), what_it_is(Card(0, "leaf", "w"))
    ('add', '')
    """
    if card.kind == "fold":
        return stem(card.title)
    return card.details[0][0] if card.kind == "op" and card.details else ""
