"""One card of a picture, as SVG."""

from collections.abc import Sequence
from typing import NamedTuple

from tinygrad_bp.render.picture import Card
from tinygrad_bp.render.svg_badge import badge_row, total_width
from tinygrad_bp.render.svg_text import clean, fit, width, xml

TITLE, SYMBOL, LINE = 12.0, 15.0, 11.0  # sizes of text
WIDEST, NARROWEST = 250.0, 44.0
PAD = 10.0
HEAD = 26.0  # height of the part with the name
STEP = 14.0  # from line to line
BADGES = 19.0
SPAN = 4.0  # powers of ten that the gauge shows on either side
CORNER = {"op": 6, "leaf": 13, "constant": 2, "fold": 6}


def card_size(card: Card) -> tuple[float, float]:
    """Return the width and height of a card, in pixels.

    >>> card_size(Card(0, "leaf", "w", lines=("value 1", "grad 2")))
    (64.0, 64.0)
    """
    title = width(clean(card.title), TITLE, bold=True)
    if card.symbol:
        title += width(clean(card.symbol), SYMBOL) + PAD
    lines = (width(clean(line), LINE) for line in card.lines)
    badges = total_width(card.badges)
    widest = min(max(NARROWEST, title + 2 * PAD, *(x + 2 * PAD for x in lines), 0.0), WIDEST)
    widest = max(widest, badges + 2 * PAD)
    height = HEAD + STEP * len(card.lines) + BADGES * bool(card.badges)
    return float(2 * -(-widest // 2)), height + (10.0 if card.lines else 6.0 * bool(card.badges))


class Box(NamedTuple):
    """Where a card stands, in whole pixels."""

    x: int
    y: int
    width: int
    height: int


def draw_card(card: Card, place: Box, *, tooltip: bool) -> str:
    """Draw a card in its box; with a tooltip that says all details, if wanted."""
    x, y, wide, high = place
    kind = "b" if card.backward else card.kind[0]
    box = f'width="{wide}" height="{high}" rx="{CORNER[card.kind]}"'
    parts = [f'<rect class="{kind}" x="{x}" y="{y}" {box}/>']
    if card.kind == "fold":
        parts.insert(0, f'<rect class="{kind}" x="{x + 4}" y="{y + 4}" {box}/>')
    parts += _texts(card, x, y, wide)
    parts += badge_row(card.badges, x + PAD, y + high - BADGES - 3)
    title = f"<title>{xml(_tooltip(card))}</title>" if tooltip and card.details else ""
    return f"<g>{title}{''.join(parts)}</g>" if title else "".join(parts)


def _texts(card: Card, x: int, y: int, wide: int) -> list[str]:
    room = wide - 2 * PAD
    parts = []
    if card.symbol:
        symbol = fit(card.symbol, room / 2, SYMBOL)
        room -= width(symbol, SYMBOL) + PAD
        parts.append(f'<text class="y" x="{x + wide - 10}" y="{y + 18}">{xml(symbol)}</text>')
    title = fit(card.title, room + 0.5, TITLE, bold=True)
    parts.append(f'<text class="t" x="{x + 10}" y="{y + 17}">{xml(title)}</text>')
    for i, line in enumerate(card.lines):
        text = fit(line, wide - 2 * PAD + 0.5, LINE)
        parts.append(f'<text x="{x + 10}" y="{y + 40 + 14 * i}">{xml(text)}</text>')
    return parts


def draw_gauges(cards: Sequence[Card], places: Sequence[Box]) -> str:
    """Draw below each name how large the gradient is, beside the median of the graph."""
    bars: dict[str, list[str]] = {}
    for card, (x, y, wide, _) in zip(cards, places, strict=True):
        if card.shade is not None:
            middle, half = x + wide // 2, wide // 2 - int(PAD)
            for colour, bar in gauge(card.shade, middle, y + int(HEAD) - 2, half):
                bars.setdefault(colour, []).append(bar)
    return "".join(f'<path class="{name}" d="{"".join(bars[name])}"/>' for name in sorted(bars))


def gauge(shade: float, x: int, y: int, half: int) -> list[tuple[str, str]]:
    """Return a line and on it a bar: to the left for a small gradient, to the right for a large.

    Each is the name of its colour and path data.

    >>> gauge(-3.0, 50, 24, 40)
    [('q', 'M10 24h80'), ('s3', 'M50 24h-30')]
    """
    part = max(-1.0, min(1.0, shade / SPAN))
    length = round(part * half)
    strength = min(3, 1 + int(abs(part) * 3)) if length else 0
    colour = "s" if length <= 0 else "r"
    return [
        ("q", f"M{x - half} {y}h{2 * half}"),
        (f"{colour}{strength}", f"M{x} {y}h{length or 1}"),
    ]


def _tooltip(card: Card) -> str:
    return "; ".join(f"{heading}: {text}" for heading, text in card.details)
