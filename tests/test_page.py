"""The page is one small file: no request, a strict policy, every text packed, the same bytes."""

import base64
import fnmatch
import gzip
import hashlib
import json
import math
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures_by_hand import layered, small

import tinygrad_bp
from tinygrad_bp.render.page import html
from tinygrad_bp.render.picture import Arrow, Card, Picture

BROWSER = Path(tinygrad_bp.__file__).parent / "render" / "browser"


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text inside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.inside = [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, text):
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        self.inside.setdefault((tag, attributes.get("id")), text)


@pytest.fixture(scope="module")
def elements():
    return Elements(html(small()))


def unpacked(page):
    """Read the packed head and columns, as the script does."""
    packed = Elements(page).inside["script", "data"]
    data = gzip.decompress(base64.b64decode(packed, validate=True))
    end = 4 + int.from_bytes(data[:4], "little")
    head, columns = json.loads(data[4:end]), {}
    for name, length in head.pop("columns"):
        planes = np.frombuffer(data, np.uint8, 4 * length, end).reshape(4, length)
        folded = np.ascontiguousarray(planes.T).view("<u4").ravel()
        step = (folded >> 1).astype(np.int64) ^ -(folded & 1).astype(np.int64)
        columns[name] = np.cumsum(step).astype(np.int32).tolist()
        end += 4 * length
    assert end == len(data)
    return head, columns


# ---------------------------------------------------------------------------------- one file


def test_its_own_code_is_at_most_100_kilobytes():
    packed = Elements(html(small())).inside["script", "data"]
    assert len(html(small()).encode()) - len(packed) <= 100_000


def test_a_node_takes_about_25_bytes():
    nothing = len(html(layered(0)))
    assert (len(html(layered(20_000, width=100))) - nothing) / 20_000 <= 30


def test_its_policy_admits_its_own_script_and_style_and_nothing_else(elements):
    [policy] = [a["content"] for tag, a in elements.tags if "http-equiv" in a]
    found = dict(rule.split(" ", 1) for rule in re.split(r";\s+", policy))
    assert found["default-src"] == "'none'"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        digest = hashlib.sha256(elements.inside[tag, None].encode()).digest()
        assert found[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert "unsafe" not in policy


def test_nothing_in_it_names_another_place(elements):
    for tag, attributes in elements.tags:
        assert not {"src", "href", "action", "style"} & set(attributes), tag
        assert not any(name.startswith("on") for name in attributes), tag
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\bfetch\(|XMLHttp", html(small()))


def test_its_script_writes_no_html_and_runs_no_text():
    source = "".join(path.read_text() for path in BROWSER.glob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", source)
    assert not re.search(r"new Function|setTimeout\(['\"`]|srcdoc", source)


def test_two_processes_give_the_same_bytes():
    program = (
        "import sys, hashlib; sys.path[:0] = ['tests', '.'];"
        "from pictures_by_hand import layered; from tinygrad_bp.render.page import html;"
        "print(hashlib.sha256(html(layered(300, fold_every=3)).encode()).hexdigest())"
    )
    root = Path(__file__).parent.parent
    runs = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=root, env={"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    own = hashlib.sha256(html(layered(300, fold_every=3)).encode()).hexdigest()
    assert runs == {f"{own}\n"}


def test_an_installed_package_has_every_file_of_it():
    pyproject = BROWSER.parents[2] / "pyproject.toml"
    if not pyproject.exists():  # run against an installed package: the files are there or not
        return
    patterns = tomllib.loads(pyproject.read_text())["tool"]["setuptools"]["package-data"]
    names = [f"render/browser/{path.name}" for path in BROWSER.iterdir()]
    assert len(names) > 5
    for name in names:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns["tinygrad_bp"]), name


# ---------------------------------------------------------------------------------- what is in it


def test_every_card_arrow_and_fold_is_in_it():
    picture = small()
    head, columns = unpacked(html(picture))
    strings = head["strings"]
    cards = [*picture.cards, *(fold.card for fold in picture.folds)]
    assert columns["number"] == [card.number for card in cards]
    titles = [
        strings[text] + (str(number) if short else "")
        for text, number, short in zip(
            columns["title_ids"], columns["number"], columns["numbered"], strict=True
        )
    ]
    assert titles == [card.title for card in cards]
    assert [strings[text] for text in columns["lines1"][:5]] == [c.lines[1] for c in picture.cards]
    assert columns["source"] == [arrow.source for arrow in picture.arrows]
    assert columns["target"] == [arrow.target for arrow in picture.arrows]
    flags = [a.dashed + 2 * a.gradient + 4 * a.marked for a in picture.arrows]
    assert columns["flags"] == flags == [1, 0, 0, 0, 0]
    assert columns["parent"] == [-1, -1, 5, 6, -1, 6, -1]
    assert head["notes"] == list(picture.notes)
    assert head["root"] == 4


def test_what_an_explanation_marked_is_said_in_a_note():
    picture = small()
    first, *others = picture.arrows
    marked = replace(picture, arrows=(replace(first, marked=True), *others))
    head, columns = unpacked(html(marked))
    assert columns["flags"][0] & 4
    assert head["notes"] == [*picture.notes, "Thick orange arrows: the explained path."]


def test_sizes_and_shares_that_are_no_numbers_are_left_out():
    shades = (None, math.nan, 1e300, -1e300, 0.25)
    cards = tuple(Card(i, "leaf", f"w{i}", shade=shade) for i, shade in enumerate(shades))
    arrows = tuple(Arrow(0, 1, i, share=x) for i, x in enumerate((None, math.nan, 7.0, 0.5)))
    _, columns = unpacked(html(Picture("odd", cards, arrows)))
    assert columns["shade"] == [0, 0, 990, 10, 502]
    assert columns["share"] == [0, 0, 201, 101]


def test_the_worst_badge_comes_first():
    _, columns = unpacked(html(small()))
    assert columns["worst"] == [2, 1, 4]  # NaN origin, vanished, dead


def test_positions_are_those_of_what_is_seen():
    picture = replace(small(), closed=frozenset({6}))
    _, columns = unpacked(html(picture))
    assert len(columns["route_sizes"]) == 3  # x → fold, w → fold, fold → E
    assert len(columns["flat_route_sizes"]) == 5
    assert columns["x"][0] == columns["x"][1] < columns["x"][6] < columns["x"][4]


any_text = st.text() | st.sampled_from(["\ud800", "</script>", "\0", "x#7", "\u202e{data}"])


@given(any_text, any_text, st.lists(any_text, max_size=3))
def test_any_text_comes_back_and_stays_inside(title, label, lines):
    card = Card(7, "leaf", label, lines=tuple(lines), details=((label, title),))
    page = html(Picture(title, (card,), (), notes=(label,)))
    head, columns = unpacked(page)
    strings = head["strings"]
    assert head["title_text"] == title
    assert head["notes"] == [label]
    name = strings[columns["title_ids"][0]]
    assert (f"{name}7" if columns["numbered"][0] else name) == label
    assert [strings[columns[f"lines{i}"][0]] for i in range(len(lines))] == lines
    assert [tag for tag, _ in Elements(page).tags] == [t for t, _ in Elements(html(small())).tags]
    page.encode("utf-8")
