"""A picture as plain text: one line a card, its inputs before it, and what each arrow carries."""

from collections import defaultdict
from collections.abc import Iterator

from tinygrad_bp.render.picture import Arrow, Card, Picture


def text(picture: Picture) -> str:
    """Return the visible part of a picture as lines of text."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield picture.title
    titles = {card.number: card.title for card in picture.cards}
    arrows: defaultdict[int, list[Arrow]] = defaultdict(list)
    for arrow in picture.arrows:
        arrows[arrow.target].append(arrow)
    for card in picture.cards:
        yield _card(card)
        for arrow in arrows[card.number]:
            yield _arrow(arrow, titles[arrow.source])
    yield from picture.notes


def _card(card: Card) -> str:
    badges = "".join(f"  [{badge}]" for badge in card.badges)
    heading = f"{card.title} {card.symbol}".rstrip()
    return f"{': '.join(filter(None, (heading, ', '.join(card.lines))))}{badges}"


def _arrow(arrow: Arrow, source: str) -> str:
    said = [arrow.label] if arrow.label else []
    if arrow.share not in (None, 1):
        said.append(f"{100 * arrow.share:.3g}% of its gradient")
    said += ["no gradient"] if arrow.dashed else []
    said += ["on the path"] if arrow.marked else []
    return f"    ← {source}" + (f": {', '.join(said)}" if said else "")
