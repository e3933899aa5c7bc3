"""What the shapes and lines of a picture mean, and its notes: the foot of the SVG."""

from tinygrad_bp.render.picture import Picture
from tinygrad_bp.render.svg_card import LINE, gauge
from tinygrad_bp.render.svg_text import width, wrap, xml

ROW = 20
NARROWEST = 420.0  # of the foot, so that its lines stay readable
SAMPLE = 34  # width of a sample and the space after it
BETWEEN = 18.0

_KINDS = (
    ("leaf", "leaf", '<rect class="l" x="{x}" y="{y}" width="26" height="14" rx="7"/>'),
    ("constant", "constant", '<rect class="c" x="{x}" y="{y}" width="26" height="14" rx="1"/>'),
    ("op", "operation", '<rect class="o" x="{x}" y="{y}" width="26" height="14" rx="4"/>'),
    ("fold", "fold of several", '<rect class="f" x="{u}" y="{v}" width="24" height="13" rx="4"/>'
     '<rect class="f" x="{x}" y="{y}" width="24" height="13" rx="4"/>'),
)  # fmt: skip
_LINE = '<g class="{kind}"><path d="M{x} {m}h18"{more}/></g>'


def foot(picture: Picture, room: float) -> tuple[str, float, float]:
    """Draw the legend and the notes from (0, 0) down; return it with its width and height."""
    room = max(room, NARROWEST)
    parts: list[str] = []
    x, y, widest = 0.0, 0, 0.0
    for sample, words in _entries(picture):
        wide = SAMPLE + width(words, LINE)
        if x and x + wide > room:
            x, y = 0.0, y + ROW
        parts.append(_drawn(sample, int(x), y))
        parts.append(f'<text x="{int(x) + SAMPLE}" y="{y + 12}">{words}</text>')
        widest = max(widest, x + wide)
        x += wide + BETWEEN
    y += ROW + 6 if parts else 0
    for note in picture.notes:
        for line in wrap(note, room, LINE):
            parts.append(f'<text x="0" y="{y + 12}">{xml(line)}</text>')
            widest = max(widest, width(line, LINE))
            y += 16
    return "".join(parts), widest, float(y)


def _drawn(sample: str, x: int, y: int) -> str:
    return sample.format(x=x, y=y, u=x + 3, v=y + 3, m=y + 8, w=x + 13)


def _entries(picture: Picture) -> list[tuple[str, str]]:
    """Explain what is in this picture, and nothing else."""
    kinds = {card.kind for card in picture.cards if not card.backward}
    entries = [(sample, words) for kind, words, sample in _KINDS if kind in kinds]
    if any(card.backward for card in picture.cards):
        box = '<rect class="b" x="{x}" y="{y}" width="26" height="14" rx="4"/>'
        entries.append((box, "of the gradient graph"))
    arrows = picture.arrows
    plain = [arrow for arrow in arrows if not arrow.dashed and not arrow.gradient]
    if any(arrow.label for arrow in plain):
        entries.append((_line("a", ' stroke-width="1.2"'), "its number: the local derivative"))
    if any(arrow.share not in (None, 1.0) for arrow in plain):
        entries.append(
            (_line("a", ' stroke-width="2.8"'), "the wider, the more of the gradient comes by it")
        )
    if any(arrow.marked for arrow in arrows):
        entries.append((_line("p", ""), "on the explained path"))
    if any(arrow.dashed for arrow in arrows):
        entries.append((_line("d", ""), "no gradient passes"))
    if any(card.shade is not None for card in picture.cards):
        for shade, side in ((-3.0, "smaller"), (3.0, "larger")):
            (_, _), (colour, bar) = gauge(shade, 0, 0, 13)
            line = '<path class="q" d="M{x} {m}h26"/>'
            bar = f'{line}<path class="{colour}" d="M{{w}} {{m}}{bar.removeprefix("M0 0")}"/>'
            entries.append((bar, f"gradient {side} than the median"))
    return entries


def _line(kind: str, more: str) -> str:
    return _LINE.replace("{kind}", kind).replace("{more}", more)
