"""What is seen of a picture while some of its folds are closed: a pure function of the two."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tinygrad_bp.render.picture import Arrow, Card, Fold, Picture
from tinygrad_bp.summary import many

PART = 12  # a repetition is opened if it takes no more than this part of the budget
NAMED = 8  # folds that are named in a note


def visible(picture: Picture) -> Picture:
    """Return the picture with each outermost closed fold as one card, and nothing left to fold.

    Arrows between the same two are one where an end is a fold; inside a fold there are none.
    """
    shown = _shown(picture)
    faces = {card.number: card for card in picture.cards}
    faces |= {fold.card.number: fold.card for fold in picture.folds}
    arrows = _merged(picture.arrows, shown, faces)
    cards = _in_order(dict.fromkeys(shown[card.number] for card in picture.cards), arrows)
    seen = tuple(faces[number] for number in cards)
    notes = (*picture.notes, *_what_is_folded(picture, seen))
    return Picture(picture.title, seen, tuple(arrows), notes=notes)


def _what_is_folded(picture: Picture, seen: Sequence[Card]) -> list[str]:
    """Say how much is not seen, and in which folds it is."""
    folds = [card for card in seen if card.kind == "fold"]
    if not folds:
        return []
    inside = len(picture.cards) - (len(seen) - len(folds))
    named = [f"{card.title} ({card.lines[0]})" for card in folds[:NAMED]]
    more = f" and {many(len(folds) - NAMED, 'more fold')}" if len(folds) > NAMED else ""
    shown = f"{many(len(seen), 'card')} shown: {many(len(seen) - len(folds), 'node')}"
    return [
        f"{shown} and {many(len(folds), 'fold')} of {many(inside, 'node')}.",
        f"Folded: {', '.join(named)}{more}.",
    ]


def _shown(picture: Picture) -> dict[int, int]:
    """Map every card and fold to what is seen of it: itself, or the outermost closed fold."""
    shown: dict[int, int] = {}
    for fold in reversed(picture.folds):  # outer ones first
        own = fold.card.number
        face = shown.setdefault(own, own)
        hidden = face != own or own in picture.closed
        for member in fold.members:
            shown[member] = face if hidden else member
    for card in picture.cards:
        shown.setdefault(card.number, card.number)
    return shown


def _merged(arrows: Iterable[Arrow], shown: dict[int, int], faces: dict[int, Card]) -> list[Arrow]:
    """Move arrows to what is seen, and make one of those that only a fold can tell apart."""
    single: list[Arrow] = []
    bundles: defaultdict[tuple[int, int, bool], list[Arrow]] = defaultdict(list)
    for arrow in arrows:
        source, target = shown[arrow.source], shown[arrow.target]
        if source == target:
            continue
        if faces[source].kind == "fold" or faces[target].kind == "fold":
            bundles[source, target, arrow.gradient].append(arrow)
        else:
            single.append(arrow)
    for (source, target, _), bundle in bundles.items():
        single.append(_bundled(bundle, source, target, faces[source].kind == "fold"))
    return sorted(single, key=lambda arrow: (arrow.target, arrow.slot, arrow.source))


def _bundled(bundle: Sequence[Arrow], source: int, target: int, many_sources: bool) -> Arrow:
    first = bundle[0]
    if len(bundle) == 1:
        return replace(first, source=source, target=target)
    shares = [arrow.share for arrow in bundle if arrow.share is not None]
    share = round(min(sum(shares), 1.0), 4) if shares and not many_sources else None
    labels = {arrow.label for arrow in bundle}
    each = len(labels) == 1 and first.label
    label = f"{first.label} each" if each else many(len(bundle), "arrow")
    dashed = all(arrow.dashed for arrow in bundle)
    marked = any(arrow.marked for arrow in bundle)
    return Arrow(source, target, first.slot, label, share, dashed, first.gradient, marked)


def _in_order(numbers: Iterable[int], arrows: Sequence[Arrow]) -> list[int]:
    """Put inputs before consumers, and otherwise keep the order."""
    place = {number: i for i, number in enumerate(numbers)}
    names = list(place)
    after: list[list[int]] = [[] for _ in names]
    waiting = [0] * len(names)
    for arrow in arrows:
        after[place[arrow.source]].append(place[arrow.target])
        waiting[place[arrow.target]] += 1
    ready = [i for i, count in enumerate(waiting) if not count]
    order = []
    while ready:
        i = heapq.heappop(ready)
        order.append(names[i])
        for j in after[i]:
            waiting[j] -= 1
            if not waiting[j]:
                heapq.heappush(ready, j)
    return order


def closed_to_fit(picture: Picture, max_nodes: int) -> frozenset[int]:
    """Choose which folds are closed, so that at most `max_nodes` cards are seen.

    Small folds are opened first, and what is repeated often only if everything can be seen.
    """
    if len(picture.cards) <= max_nodes:
        return frozenset()
    folds = {fold.card.number: fold for fold in picture.folds}
    inner = {member for fold in picture.folds for member in fold.members}
    outermost = [item for item in (*range(len(picture.cards)), *folds) if item not in inner]
    closed, seen = set(folds), len(outermost)
    ready = [_size(folds[item]) for item in outermost if item in folds]
    heapq.heapify(ready)
    while ready and seen + ready[0][1] - 1 <= max_nodes:
        repeats, more, number = heapq.heappop(ready)
        if repeats and more * PART > max_nodes:
            break
        closed.remove(number)
        seen += more - 1
        for item in folds[number].members:
            if item in folds:
                heapq.heappush(ready, _size(folds[item]))
    return frozenset(closed)


def _size(fold: Fold) -> tuple[bool, int, int]:
    return fold.why == "repeat", len(fold.members), fold.card.number
