"""A picture as DOT, the language of Graphviz."""

from collections.abc import Container, Iterator

from tinygrad_bp.render.picture import Arrow, Card, Picture

# Fill, line and shape of each kind of card, in the colours of the SVG.
LOOKS = {
    "leaf": ("#fffbeb", "#d97706", "box"),
    "constant": ("#f4f4f5", "#a1a1aa", "box"),
    "op": ("#f8fafc", "#64748b", "box"),
    "fold": ("#eef2ff", "#6366f1", "box3d"),
    "backward": ("#faf5ff", "#9333ea", "box"),
}
ALARM = "#dc2626"
LEFT = "\\l"  # ends a line that stands on the left


def dot(picture: Picture) -> str:
    """Return the DOT text of the visible part of a picture."""
    return "\n".join(_lines(picture)) + "\n"


def quote(text: str, line_end: str = "\\n") -> str:
    """Write any text as a DOT string that shows exactly that text; its lines are centred.

    >>> print(quote('say "hi" & \\\\N'))
    "say \\"hi\\" &amp; \\\\N"
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return '"' + escaped.replace("\n", line_end) + '"'


def _lines(picture: Picture) -> Iterator[str]:
    yield "digraph {"
    caption = "".join(f"{line}\n" for line in (picture.title, *picture.notes))
    yield f"  graph [rankdir=LR, label={quote(caption, LEFT)}, labelloc=b, labeljust=l]"
    yield '  graph [fontname="Helvetica", fontsize=11, bgcolor="white"]'
    yield '  node [fontname="Helvetica", fontsize=11, style="filled,rounded"]'
    yield '  edge [fontname="Helvetica", fontsize=9, color="#64748b"]'
    yield from map(_node, picture.cards)
    backward = {card.number for card in picture.cards if card.backward}
    yield from (_edge(arrow, backward) for arrow in picture.arrows)
    yield "}"


def _node(card: Card) -> str:
    badges = " ".join(f"[{badge}]" for badge in card.badges)
    heading = f"{card.symbol}  {card.title}" if card.symbol else card.title
    label = "\n".join(filter(None, (heading, badges, *card.lines)))
    fill, line, shape = LOOKS["backward" if card.backward else card.kind]
    pen = f'"{ALARM}", penwidth=2' if card.badges else f'"{line}"'
    return (
        f'  n{card.number} [label={quote(label)}, shape={shape}, fillcolor="{fill}", color={pen}]'
    )


def _edge(arrow: Arrow, backward: Container[int]) -> str:
    """Write an arrow; inside the gradient graph as its mirror image, which then runs from right
    to left below the graph that it is the gradient of.
    """
    source, target = arrow.source, arrow.target
    looks = [f"label={quote(arrow.label)}"] if arrow.label else []
    if arrow.marked:
        looks += ["penwidth=5", 'color="#ea580c"']
    elif arrow.share is not None:
        looks.append(f"penwidth={1 + 3 * arrow.share:.2f}")
    looks += ["style=dashed"] if arrow.dashed else []
    looks += ['color="#9333ea"'] if arrow.gradient else []
    if target in backward and source in backward:
        source, target = target, source
        looks.append("dir=back")
    elif target in backward:
        looks.append("constraint=false")
    return f"  n{source} -> n{target} [{', '.join(looks)}]"
