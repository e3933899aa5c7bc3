"""Every format holds any text, and a file is there completely or not at all."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.render import graphviz_dot
from tinygrad_bp.render.graphviz_place import placed_by_dot
from tinygrad_bp.render.svg import card_size, laid_out

NASTY = [
    'say "hi"', "<script>alert(1)</script>", "{a|b}", "nul\0here", "\u202eright to left",
    "back\\slash\\", "\\N \\G \\l", "line\nbreak", "]]>", "&amp;", "<b>bold</b>", "\ud800", "'",
    "%s {0}", "-->", "tab\there", "é ∂ 你好 😀", "\x7f\x85\ufffe", "n0:port", "a" * 500,
]  # fmt: skip
has_dot = pytest.mark.skipif(
    not graphviz_dot.is_there() and not os.environ.get("TINYGRAD_BP_CI"),
    reason="Graphviz's dot is missing: https://graphviz.org/download/",
)


def drawing(name="w"):
    w = tg.Tensor(2.0, name=name)
    with tg.scope(name or "w"):
        return tg.draw(tg.sigmoid(w * w + 1.0), names={"y": w})


def named(name):
    """A drawing with a text wherever a user can put one."""
    w = tg.Tensor(2.0, name=name)
    with tg.scope(name):
        y = tg.exp(tg.sin(tg.tanh(w)))
    return tg.draw(y * w, names={name: y}, max_nodes=4)


# ---------------------------------------------------------------------------------- any text

anything = st.one_of(st.sampled_from(NASTY), st.text(min_size=1))


@has_dot
@settings(max_examples=15)
@given(anything)
def test_any_name_gives_dot_text_that_dot_accepts_and_shows_as_it_is(name):
    svg = subprocess.run(
        ["dot", "-Tsvg"], input=named(name).dot().encode(), capture_output=True, check=True
    )
    assert svg.stderr == b""
    shown = [text.text or "" for text in ElementTree.fromstring(svg.stdout).iter() if text.text]
    (title,) = [c.title for c in named(name).picture.cards if c.kind == "leaf"]
    plain = " ".join(title.split())
    assert any(plain in " ".join(text.split()) for text in shown), (plain, shown)


@given(anything)
def test_any_name_gives_svg_that_is_valid_xml_without_scripts(name):
    tree = ElementTree.fromstring(named(name).svg())
    assert not [e for e in tree.iter() if e.tag.endswith("script")]
    assert not [k for e in tree.iter() for k in e.attrib if k.lower().startswith("on")]


@given(anything)
def test_any_name_stays_on_its_line_of_text(name):
    text = named(name).text()
    assert text.count("\n") == named("w").text().count("\n")
    text.encode()


@pytest.mark.parametrize("name", NASTY)
def test_any_name_stays_data_in_the_page(name):
    page = named(name).html()
    assert page.count("<script") == named("w").html().count("<script")
    assert "alert(1)" not in page


# ---------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("suffix", ["dot", "html", "svg", "txt", "SVG"])
def test_the_suffix_says_what_is_written(suffix, tmp_path):
    path = tmp_path / f"graph.{suffix}"
    assert drawing().save(path) == path
    formats = {
        "dot": drawing().dot, "html": drawing().html, "svg": drawing().svg, "txt": drawing().text,
    }  # fmt: skip
    assert path.read_text("utf-8") == formats[suffix.lower()]()


@has_dot
@pytest.mark.parametrize(("suffix", "begin"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_png_and_pdf_come_from_graphviz(suffix, begin, tmp_path):
    path = drawing().save(str(tmp_path / f"graph.{suffix}"))
    assert path.read_bytes().startswith(begin)


def test_a_notebook_gets_svg_and_text():
    bundle = drawing()._repr_mimebundle_()
    assert bundle == {"image/svg+xml": drawing().svg(), "text/plain": drawing().text()}
    assert set(drawing()._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert set(drawing()._repr_mimebundle_(exclude={"text/plain"})) == {"image/svg+xml"}


def test_the_repr_is_one_line():
    assert repr(drawing()) == "<Drawing of sigmoid#4: 5 nodes: 1 leaf, 1 constant, 3 ops.>"


PROGRAM = """
import hashlib, sys
import numpy as np, tinygrad_bp as tg

rng = np.random.default_rng(0)
x = tg.Tensor(rng.normal(size=(4, 3)), name="x")
for i in range(40):
    with tg.scope(f"layer {i % 3}"):
        x = tg.tanh(x @ tg.Tensor(rng.normal(size=(3, 3))) + x)
for drawing in (tg.draw(x.sum(), max_nodes=30), tg.draw(x[0, 0] * x[1, 1], backward=True)):
    for text in (drawing.dot(), drawing.text(), drawing.svg(), drawing.html()):
        print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_two_processes_write_the_same_bytes():
    outputs = set()
    for seed in ("0", "1", "random"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROGRAM]
        result = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=True
        )
        outputs.add(result.stdout)
    assert len(outputs) == 1


# ---------------------------------------------------------------------------------- places


def widest(svg):
    return float(ElementTree.fromstring(svg).attrib["width"])


@has_dot
def test_graphviz_and_the_library_draw_the_same_cards():
    def texts(engine):
        return sorted(e.text for e in ElementTree.fromstring(drawing().svg(engine=engine)).iter()
                      if e.text and e.text.strip())  # fmt: skip

    assert drawing().svg(engine="dot") != drawing().svg(engine="own")
    assert texts("dot") == texts("own")
    assert drawing().svg() == drawing().svg(engine="dot")


@has_dot
def test_cards_that_graphviz_places_do_not_overlap_and_arrows_meet_them():
    picture = tg.draw(tg.sigmoid(tg.Tensor(2.0, name="w") * 3.0 + 1.0), backward=True).picture
    made = placed_by_dot(picture, "dot")
    size = np.array([card_size(card) for card in picture.cards])
    low, high = made.centres - size / 2, made.centres + size / 2
    for i in range(len(size)):
        for j in range(i):
            assert (low[i] >= high[j]).any() or (low[j] >= high[i]).any()
    for i, ends in enumerate(laid_out(picture)):
        for end, card in zip(made.route(i)[[0, -1]], ends, strict=True):
            assert np.maximum(low[card] - end, end - high[card]).max() < 2, picture.arrows[i]


@pytest.mark.parametrize("engine", [pytest.param("dot", marks=has_dot), "own"])
def test_a_gradient_runs_back_beside_its_graph(engine):
    w = tg.Tensor(2.0, name="w")
    y = tg.exp(tg.sin(tg.tanh(w)))
    svg = tg.draw(y, names={"y": y}, backward=True).svg(engine=engine)
    texts = [e for e in ElementTree.fromstring(svg).iter() if e.attrib.get("class") == "t"]
    x = {text.text: float(text.attrib["x"]) for text in texts}
    assert x["w"] < x["tanh#1"] < x["sin#2"] < x["y"]
    assert x["∂y/∂w"] < x["∂y/∂tanh#1"] < x["∂y/∂sin#2"]


def test_a_long_graph_is_set_in_rows_that_fit_a_screen():
    x = tg.Tensor(0.5, name="x")
    for _ in range(30):
        x = tg.exp(tg.sin(x))
    assert widest(tg.draw(x, max_nodes=100).svg()) < 2000


def test_another_engine_is_refused():
    with pytest.raises(tg.InputError) as error:
        drawing().svg(engine="neato")
    assert str(error.value) == (
        'Drawing.svg, argument engine: got str \'neato\'; expected "auto", "dot" or "own". '
        "Leave it out if in doubt."
    )


# ---------------------------------------------------------------------------------- files


def test_a_file_that_was_there_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "graph.txt"
    path.write_text("old")
    drawing().save(path)
    assert path.read_text("utf-8") == drawing().text()
    assert os.listdir(tmp_path) == ["graph.txt"]


def test_a_new_file_has_the_rights_of_any_new_file(tmp_path):
    (tmp_path / "other.txt").write_text("")
    path = drawing().save(tmp_path / "graph.txt")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(
        (tmp_path / "other.txt").stat().st_mode
    )


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "graph.txt"
    link.symlink_to(tmp_path / "there/real.txt")
    drawing().save(link)
    assert link.is_symlink()
    assert link.read_text("utf-8") == drawing().text()


def test_what_fails_while_writing_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "graph.txt"
    path.write_text("old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(tg.StoreError, match="No space left on device"):
        drawing().save(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["graph.txt"]


BAD_PATHS = {
    "suffix": (
        "graph.jpg",
        tg.InputError,
        "Drawing.save: got the path 'graph.jpg'; expected one that ends in .dot, .html, .pdf, "
        ".png, .svg or .txt. The suffix says what is written.",
    ),
    "no suffix": (
        "graph",
        tg.InputError,
        "Drawing.save: got the path 'graph'; expected one that ends in .dot, .html, .pdf, .png, "
        ".svg or .txt. The suffix says what is written.",
    ),
    "no path": (
        3,
        tg.InputError,
        "Drawing.save: got int 3; expected a path that ends in .dot, .html, .pdf, .png, .svg or "
        '.txt. Write e.g. save("graph.svg").',
    ),
    "no folder": (
        "nowhere/graph.txt",
        tg.StoreError,
        "Drawing.save: got the path 'nowhere/graph.txt'; expected a file that can be written. The "
        "system says: No such file or directory.",
    ),
    "a folder": (
        "folder.txt",
        tg.StoreError,
        "Drawing.save: got the path 'folder.txt'; expected a file that can be written. The system "
        "says: Is a directory.",
    ),
    "NUL": (
        "a\0.txt",
        tg.StoreError,
        "Drawing.save: got the path 'a\\x00.txt'; expected a file that can be written. The system "
        "says: embedded null byte.",
    ),
}


@pytest.mark.parametrize(("path", "kind", "text"), BAD_PATHS.values(), ids=BAD_PATHS)
def test_a_bad_path_is_one_clear_error_and_leaves_no_file(path, kind, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(kind) as error:
        drawing().save(path)
    assert str(error.value) == text
    assert os.listdir(tmp_path) == ["folder.txt"]


# ---------------------------------------------------------------------------------- without dot


@pytest.fixture
def dot_is(tmp_path, monkeypatch):
    """A function that makes a shell script the only `dot` there is."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def install(script):
        if script:
            (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
            (folder / "dot").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setattr(graphviz_dot, "PATIENCE", 0.5)

    return install


BROKEN = {
    "missing": (
        "",
        "Drawing.save as .png: got no `dot` program on the PATH; expected Graphviz, which draws "
        "this. Install Graphviz (https://graphviz.org/download/), or save as .svg or .html.",
    ),
    "hangs": (
        "exec /bin/sleep 60",
        "Drawing.save as .png: got no answer from `dot` within 0.5 seconds; expected Graphviz, "
        "which draws this. Lower max_nodes, or save as .svg or .html.",
    ),
    "crashes": (
        "echo 'out of memory' >&2; exit 3",
        "Drawing.save as .png: got a failure of `dot` (status 3: out of memory); expected "
        "Graphviz, which draws this. Install Graphviz (https://graphviz.org/download/), or save "
        "as .svg or .html.",
    ),
    "says nothing": (
        "exit 0",
        "Drawing.save as .png: got no answer from `dot`, and no complaint; expected Graphviz, "
        "which draws this. Install Graphviz (https://graphviz.org/download/), or save as .svg or "
        ".html.",
    ),
}


@pytest.mark.parametrize(("script", "text"), BROKEN.values(), ids=BROKEN)
def test_without_a_working_dot_png_is_one_clear_error(script, text, dot_is, tmp_path):
    dot_is(script)
    with pytest.raises(tg.StoreError) as error:
        drawing().save(tmp_path / "graph.png")
    assert str(error.value) == text
    assert not (tmp_path / "graph.png").exists()
    assert os.listdir(tmp_path) == ["bin"]


@pytest.mark.parametrize("script", [script for script, _ in BROKEN.values()], ids=BROKEN)
def test_without_a_working_dot_svg_and_html_are_drawn_all_the_same(script, dot_is, tmp_path):
    dot_is(script)
    svg = drawing().save(tmp_path / "graph.svg").read_text("utf-8")
    texts = " ".join(e.text or "" for e in ElementTree.fromstring(svg).iter())
    assert re.search(r"\bw\b", texts)
    assert drawing().save(tmp_path / "graph.html").stat().st_size > 1000


NO_LAYOUT = "Drawing.svg: got an answer of `dot` that is no layout ("


@pytest.mark.parametrize("answer", ["hello", "{}", '{"bb": "0,0,1,1", "objects": []}'])
def test_a_dot_that_answers_nonsense_is_not_believed(answer, dot_is):
    dot_is(f"echo '{answer}'")
    assert "<svg" in drawing().svg()
    with pytest.raises(tg.StoreError) as error:
        drawing().svg(engine="dot")
    assert str(error.value).startswith(NO_LAYOUT)


def test_a_picture_of_an_array_does_not_touch_it():
    data = np.ones(3)
    w = tg.Tensor(data, name="w")
    tg.draw((w * data).sum()).svg()
    np.testing.assert_array_equal(data, 1)
