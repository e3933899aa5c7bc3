"""The SVG is valid, complete, safe and small, whatever text a picture holds."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_graphs import scalar_network

from tinygrad_bp.render.picture import Arrow, Card, Picture
from tinygrad_bp.render.svg import card_size, svg
from tinygrad_bp.render.svg_arrow import LABEL, path
from tinygrad_bp.render.svg_card import LINE, PAD, SYMBOL, TITLE
from tinygrad_bp.render.svg_text import BOLD, clean, fit, width, wrap, xml

NAME = "{http://www.w3.org/2000/svg}"
SAMPLES = [
    "<script>alert(1)</script>", "a]]>b", "&amp;", '"\' onload="x', "{|}<>", "\0\x0b\ud800\ufffe",
    "\u202eabc\u2066", "\u202a\u202b\u202c\u202d\u2067\u2068\u2069", "שלום", "مرحبا 12", "x" * 5000,
    "", " ", "a\r\n\tb", "漢字" * 90, "e\u0301" * 40, "\U0001f600", "\x85\u2028",
]  # fmt: skip
NASTY = st.text() | st.text(st.characters(codec=None), max_size=20) | st.sampled_from(SAMPLES)
NUMBERS = st.none() | st.floats(allow_nan=False)


@st.composite
def cards(draw, number):
    return Card(
        number,
        draw(st.sampled_from(["leaf", "constant", "op", "fold"])),
        draw(NASTY),
        symbol=draw(NASTY | st.just("×")),
        lines=tuple(draw(st.lists(NASTY, max_size=4))),
        badges=tuple(draw(st.lists(NASTY | st.sampled_from(["dead", "NaN origin"]), max_size=3))),
        shade=draw(NUMBERS),
        details=tuple(draw(st.lists(st.tuples(NASTY, NASTY), max_size=2))),
    )


@st.composite
def pictures(draw):
    numbers = draw(st.lists(st.integers(0, 99), unique=True, max_size=6))
    some = st.sampled_from(numbers) if numbers else st.nothing()
    arrow = st.builds(
        Arrow, some, some, st.integers(0, 3), NASTY, st.none() | st.floats(0, 1), st.booleans(),
        st.booleans(),
    )  # fmt: skip
    arrows = draw(st.lists(arrow, max_size=8)) if numbers else []
    made = tuple(draw(cards(number)) for number in numbers)
    notes = tuple(draw(st.lists(NASTY, max_size=2)))
    return Picture(draw(NASTY), made, tuple(arrows), notes=notes)


def parsed(picture, **options):
    return ElementTree.fromstring(svg(picture, **options).encode("utf-8"))


def words(tree):
    return ["".join(node.itertext()) for node in tree.iter(f"{NAME}text")]


ALLOWED = {"svg", "title", "style", "defs", "marker", "path", "rect", "g", "text"}


@given(pictures(), st.sampled_from(["LR", "TB"]))
def test_any_text_makes_valid_xml_in_which_nothing_runs(picture, direction):
    tree = parsed(picture, direction=direction)
    for node in tree.iter():
        assert node.tag.removeprefix(NAME) in ALLOWED
        assert not [key for key in node.attrib if key.startswith("on") or "href" in key]
    style = tree.find(f"{NAME}style").text
    assert style == parsed(Picture("", (), ())).find(f"{NAME}style").text


def check_text(text):
    node = ElementTree.fromstring(f"<a b='{xml(text)}'>{xml(text)}</a>".encode())
    assert (node.text or "") == node.attrib["b"]
    shown = (node.text or "").strip("\u2068\u2069")
    assert shown == clean(text)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\ud800-\udfff\0-\x1f]", shown)


@given(NASTY)
def test_text_that_xml_can_hold_arrives_as_it_is(text):
    check_text(text)


@pytest.mark.parametrize("text", SAMPLES, ids=range(len(SAMPLES)))
def test_nasty_text_is_harmless_wherever_it_stands(text):
    check_text(text)
    card = Card(0, "op", text, text, (text,), (text,), (text,), details=((text, text),))
    picture = Picture(text, (card,), (Arrow(0, 0, label=text),), notes=(text,))
    assert {node.tag.removeprefix(NAME) for node in parsed(picture).iter()} <= ALLOWED


def test_what_runs_from_right_to_left_keeps_to_itself():
    assert xml("שלום") == "\u2068שלום\u2069"
    assert xml("abc") == "abc"


@given(NASTY, st.floats(0, 400), st.booleans())
def test_shortened_text_fits(text, room, bold):
    short = fit(text, room, 11.0, bold=bold)
    assert width(short, 11.0, bold=bold) <= max(room, width("…", 11.0, bold=bold)) + 1e-6
    assert short == clean(text) or short.endswith("…")
    assert all(width(line, 11.0) <= max(room, 11.0 * 1.1) for line in wrap(text, room, 11.0))


@given(cards(0))
def test_no_text_is_wider_than_its_card(card):
    wide, high = card_size(card)
    tree = parsed(Picture("", (card,), ()))
    box = [r for r in tree.iter(f"{NAME}rect") if r.get("height") == f"{high:.0f}"][-1]
    left, right = float(box.get("x")), float(box.get("x")) + wide
    sizes = {"t": (TITLE, True), "y": (SYMBOL, False), None: (LINE, False)}
    bottom = float(box.get("y")) + high
    ends = {}
    for node in tree.iter(f"{NAME}text"):
        x, y = float(node.get("x")), float(node.get("y"))
        if node.get("class") is None and (x != left + PAD or y > bottom):
            continue  # words of a badge, or below the card
        size, bold = sizes[node.get("class")]
        long = width(clean("".join(node.itertext()).strip("\u2068\u2069")), size, bold=bold)
        begin = x - long if node.get("class") == "y" else x
        assert begin >= left + PAD - 0.01
        assert begin + long <= right - PAD + 1.0
        ends[node.get("class")] = (begin, begin + long)
        assert y < bottom
    assert "y" not in ends or ends["t"][1] < ends["y"][0]


def test_the_table_of_widths_holds_for_the_usual_fonts(require):
    matplotlib = require("matplotlib", "examples")
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    del matplotlib
    measure = TextToPath().get_text_width_height_descent
    text = (
        "value -0.4935 rms 3.1e-2 in [-.12, .11] (64, 128) float64 W[0, 1] × matmul#12 model.py:41"
    )
    for weight, size in (("normal", 11.0), ("bold", 12.0)):
        font = FontProperties(family="DejaVu Sans", weight=weight, size=size)
        real, _, _ = measure(text, font, False)
        assert real <= width(text, size, bold=weight == "bold") <= 1.2 * real
    assert 1.0 < BOLD < 1.2


def node(number, **more):
    return Card(number, "op" if number else "leaf", f"node {number}", **more)


def test_all_is_there():
    picture = Picture(
        "a title",
        (
            node(0, lines=("(3, 4) float64", "value 0.5"), badges=("dead", "saturated")),
            node(1, symbol="×", shade=-2.0, details=(("multiply", "y = a · b"),)),
            Card(2, "fold", "neuron ×33", lines=("min 1",)),
        ),
        (Arrow(0, 1, 0, "0.25", 0.5), Arrow(0, 1, 1, "-3", 0.5), Arrow(1, 2, dashed=True)),
        notes=("3 nodes shown: 1 fold of 33.",),
    )
    tree = parsed(picture)
    expected = {
        "node 0", "(3, 4) float64", "value 0.5", "dead", "saturated", "node 1", "×", "neuron ×33",
        "min 1", "0.25", "-3", "3 nodes shown: 1 fold of 33.", "leaf", "operation",
        "fold of several", "no gradient passes", "its number: the local derivative",
    }  # fmt: skip
    assert expected <= set(words(tree))
    titles = ["".join(found.itertext()) for found in tree.iter(f"{NAME}title")]
    assert titles[0] == "a title"
    assert "multiply: y = a · b" in titles
    assert "node 0 → node 1, input 1; local derivative -3; 50 % of the gradient of node 0" in titles


def arrows_of(tree):
    """Return path data of all arrows, by the class of their group."""
    groups = {}
    for group in tree.findall(f"{NAME}g"):
        paths = [path.get("d") for path in group.findall(f"{NAME}path")]
        groups.setdefault(group.get("class"), []).extend(
            (float(group.get("stroke-width", 1)), path) for path in paths
        )
    return groups


def test_a_value_used_twice_has_two_arrows():
    tree = parsed(Picture("", (node(0), node(1)), (Arrow(0, 1, 0), Arrow(0, 1, 1))))
    drawn = arrows_of(tree)["a"]
    assert len(drawn) == len(set(drawn)) == 2


def test_a_marked_arrow_is_drawn_from_its_card_also_where_it_shares_a_trunk():
    """Node 0 is used by all others of a chain; to the last but one its way is marked."""
    chain = [Arrow(i, i + 1) for i in range(5)]
    used = [Arrow(0, 4, 1, marked=True), Arrow(0, 5, 1)]
    tree = parsed(Picture("", tuple(node(i) for i in range(6)), (*chain, *used)))
    groups = arrows_of(tree)
    ((_, marked),) = groups["p"]
    start = re.match(r"M\d+ \d+", marked).group()
    assert sum(drawn.startswith(start) for _, drawn in groups["a"]) == 2  # 0 to 1, and 0 to 5


def test_the_more_of_the_gradient_comes_by_an_arrow_the_wider_it_is():
    shares = np.linspace(0, 1, 6)
    picture = Picture(
        "",
        tuple(node(i) for i in range(7)),
        tuple(Arrow(i, 6, i, share=share) for i, share in enumerate(shares)),
    )
    widths = [wide for wide, _ in arrows_of(parsed(picture))["a"]]
    assert sorted(widths) == widths
    assert len(set(widths)) == 6


def test_each_state_has_a_shape_or_a_word_and_not_only_a_colour():
    kinds = ("leaf", "constant", "op")
    corners = set()
    for kind in kinds:
        tree = parsed(Picture("", (Card(0, kind, "x", lines=("a",)),), ()))
        corners.add(next(r.get("rx") for r in tree.iter(f"{NAME}rect") if r.get("rx")))
    assert len(corners) == 3
    fold = parsed(Picture("", (Card(0, "fold", "x"),), ()))
    assert len([r for r in fold.iter(f"{NAME}rect") if r.get("class") == "f"]) == 4  # + legend
    seen = set()
    for badge in ("NaN origin", "exploded", "vanished", "dead", "saturated", "detached"):
        tree = parsed(Picture("", (node(0, badges=(badge,)),), ()))
        assert badge in words(tree)
        seen.add(next(p.get("d") for p in tree.iter(f"{NAME}path") if p.get("transform")))
    assert len(seen) == 6
    small, large = (svg(Picture("", (node(0, shade=s),), ())) for s in (-3.0, 3.0))
    assert re.search(r'class="s3" d="M\d+ \d+h-\d+"', small)
    assert re.search(r'class="r3" d="M\d+ \d+h\d+"', large)


def test_it_needs_nothing_from_elsewhere():
    text = svg(Picture("", (node(0, badges=("dead",), shade=1.0), node(1)), (Arrow(0, 1),)))
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert set(re.findall(r"url\(([^)]*)\)", text)) == {"#h", "#i", "#j", "#p"}
    assert "prefers-color-scheme:dark" in text


def network():
    count, edges = scalar_network(10, 10, 10, 10, 1)
    inner = set(edges[:, 1].tolist())
    return Picture(
        "",
        tuple(
            Card(
                i,
                "op" if i in inner else "leaf",
                f"add#{i}" if i in inner else f"W[{i % 7}, {i % 5}]",
                symbol="+" if i in inner else "",
                lines=(f"value {0.0123 * i:.3g}", f"grad {-0.00123 * i:.3g}"),
                shade=0.5,
            )
            for i in range(count)
        ),
        tuple(Arrow(a, b, 0, "0.25", 1.0) for a, b in edges.tolist()),
    )


def test_a_simple_node_takes_at_most_350_bytes():
    picture = network()
    assert len(svg(picture).encode()) <= 350 * len(picture.cards)


def test_labels_do_not_cover_each_other():
    tree = parsed(network())
    group = next(g for g in tree.findall(f"{NAME}g") if g.get("class") == "n")
    places = sorted((float(t.get("x")), float(t.get("y")), t.text) for t in group)
    assert len(places) > 1000
    for (x, y, _), (other_x, other_y, _) in zip(places, places[1:], strict=False):
        assert x != other_x or other_y - y >= LABEL - 1


def test_every_process_writes_the_same():
    program = (
        "from tinygrad_bp.render.picture import *; from tinygrad_bp.render.svg import svg;"
        "cards = tuple(Card(i, 'op', str(i), badges=('dead',), shade=i / 5) for i in range(9));"
        "arrows = tuple(Arrow(i // 2, i, i % 2, str(i), 1 / (i + 1)) for i in range(1, 9));"
        "import sys; sys.stdout.buffer.write(svg(Picture('', cards, arrows)).encode())"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert made[0] == made[1]


def test_an_arrow_points_at_its_card_however_short_the_last_piece_is():
    way = np.array([[0, 0], [20, 0], [20, 30], [40, 30], [41, 30], [42, 30], [43, 30]], float)
    assert path(way, down=False) == "M0 0c20 0 20 30 36 30"
    assert path(way[:, ::-1], down=True) == "M0 0c0 20 30 20 30 36"


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_an_arrow_ends_before_its_card_pointing_at_it(direction):
    """The head takes the last pixels; what precedes it goes on in the same direction."""
    tree = parsed(network(), direction=direction)
    step = "h" if direction == "LR" else "v"
    for _, drawn in arrows_of(tree)["a"]:
        last = re.findall(r"([hvc])([-\d. ]+)", drawn)[-1]
        numbers = [int(x) for x in last[1].split()]
        if last[0] == "c":
            ahead = numbers[4:] if direction == "LR" else numbers[:3:-1]
            before = numbers[2:4] if direction == "LR" else numbers[3:1:-1]
            assert ahead[0] >= before[0]
            assert ahead[1] == before[1]
        else:
            assert last[0] == step
            assert numbers[0] > 0
