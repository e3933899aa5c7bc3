"""Pictures with known contents, made without a graph: what the page is tested on."""

import numpy as np

from tinygrad_bp.render.picture import Arrow, Card, Fold, Picture


def card(number, kind="op", title=None, **facts):
    """A card with the lines that `draw` writes."""
    title = title or f"multiply#{number}"
    facts = {"symbol": "×" if kind == "op" else "", "scope": (), "badges": (), **facts}
    lines = ("scalar float64", f"value {number / 4}", f"grad {number / 8}")
    details = (("shape", "scalar float64"), ("value", f"{number / 4}"), ("rule", f"y = {title}"))
    return Card(number, kind, title, lines=lines, details=details, shade=number / 5 - 1, **facts)


def small():
    """E = (x·w)·(x·w): a constant, a leaf, one product used twice, one badge, two nested folds.

    x#0 ┐
        ├ multiply#2 ══ multiply#3 ── E
    w#1 ┘
    """
    cards = (
        card(0, "constant", "x"),
        card(1, "leaf", "w", badges=("vanished",)),
        card(2, scope=("hidden", "neuron"), badges=("NaN origin", "broadcast")),
        card(3, scope=("hidden",)),
        card(4, title="E", badges=("dead",)),
    )
    arrows = (
        Arrow(0, 2, 0, "", None, dashed=True),
        Arrow(1, 2, 1, "0.5", 1.0),
        Arrow(2, 3, 0, "0.25", 0.5),
        Arrow(2, 3, 1, "0.75", 0.5),
        Arrow(3, 4, 0, "1", 1.0),
    )
    inside = {"badges": ("NaN origin", "broadcast")}
    folds = (
        Fold(Card(5, "fold", "neuron", lines=("1 node: 1 op",), **inside), (2,), "scope"),
        Fold(Card(6, "fold", "hidden", lines=("2 nodes: 2 ops",), **inside), (5, 3), "scope"),
    )
    return Picture("E", cards, arrows, folds, notes=("5 nodes: 1 leaf, 1 constant, 3 ops.",))


def layered(count, width=10, seed=0, fold_every=0):
    """Layers of `width` cards, each fed by two of the layer before; folds of whole layers."""
    rng = np.random.default_rng(seed)
    cards, arrows = [], []
    for i in range(count):
        layer = i // width
        cards.append(card(i, "op" if layer else "leaf", scope=(f"layer {layer}",)))
        for slot in range(2 * bool(layer)):
            source = (layer - 1) * width + int(rng.integers(width))
            label = f"{rng.normal():.3g}"
            arrows.append(Arrow(source, i, slot, label, float(rng.random()), rng.random() < 0.1))
    folds = [
        Fold(
            Card(count + k, "fold", f"layers {k}", lines=(f"{len(members)} nodes",)),
            tuple(members),
            "scope",
        )
        for k, members in enumerate(_stretches(count, width * fold_every))
    ]
    notes = (f"{count:,} nodes.",)
    return Picture(f"layered {count}", tuple(cards), tuple(arrows), tuple(folds), notes=notes)


def _stretches(count, length):
    return [range(i, min(i + length, count)) for i in range(0, count, length)] if length else []


def chain(count):
    """Each card feeds the next."""
    cards = tuple(card(i, "op" if i else "leaf") for i in range(count))
    return Picture("chain", cards, tuple(Arrow(i, i + 1, 0, "1", 1.0) for i in range(count - 1)))


def to_root(picture, start):
    """Numbers of the cards on every path from a card to the root, by plain search."""
    root = max(arrow.target for arrow in picture.arrows)
    return reached(picture, [start], "source", "target") & reached(
        picture, [root], "target", "source"
    )


def reached(picture, start, here, there):
    """Numbers of all cards that can be reached from some, along `here` → `there`."""
    found, waiting = set(start), list(start)
    while waiting:
        at = waiting.pop()
        for arrow in picture.arrows:
            if getattr(arrow, here) == at and getattr(arrow, there) not in found:
                found.add(getattr(arrow, there))
                waiting.append(getattr(arrow, there))
    return found
