"""An explanation in documents: LaTeX that is valid, HTML in which nothing executes."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.tensor import Tensor


def explained(name="W1", inner="o", paths=8):
    """Explain a weight that reaches the error by two units, with any names."""
    w = Tensor([[0.3, -0.2]], name=name)
    h = tg.tanh(w * 1.5)
    h.name = inner
    loss = (h * h).sum() * 1e-8
    return tg.explain(loss, w, (0, 1), paths=paths)


def many(k=3):
    x = Tensor(1.1, name="x")
    y = x
    for _ in range(12):
        y = y * y
    return tg.explain(y, x, paths=k)


# ---------------------------------------------------------------------------------- LaTeX


def test_the_worked_example_in_latex():
    h, w = Tensor([[0.9, 0.6]], name="h"), Tensor([[0.4], [-0.3]], name="W1")
    net = h @ w
    net.name = "net"
    o = tg.sigmoid(net)
    o.name = "o"
    assert tg.explain(0.5 * (o - 1) ** 2, w, (0, 0)).to_latex() == (
        r"""\begin{aligned}
\frac{\partial E}{\partial W_{1}[0,0]}
&= \frac{\partial E}{\partial o} \cdot \frac{\partial o}{\partial \mathrm{net}} """
        r"""\cdot \frac{\partial \mathrm{net}}{\partial W_{1}[0,0]} \\
&= (-0.4551) \cdot 0.2480 \cdot 0.9000 \\
&= -0.1016
\end{aligned}"""
    )


def lines_of(latex):
    """Return the lines of an aligned block."""
    assert latex.startswith("\\begin{aligned}\n")
    assert latex.endswith("\n\\end{aligned}")
    return latex.split("\n")[1:-1]


def parse(latex, require):
    """Let matplotlib's TeX parser read every line, which raises where it is not valid."""
    mathtext = require("matplotlib.mathtext", "examples")
    parser = mathtext.MathTextParser("path")
    for line in lines_of(latex):
        content = line.removesuffix("\\\\").removeprefix("&").replace(r"\&", "+")  # it lacks \&
        parser.parse(f"${content}$")


NAMES = [
    "w",
    "W1",
    "net_1",
    "a b",
    "50%",
    "x^2",
    "a{b}",
    "c\\d",
    "#3",
    "~",
    "$5$",
    "R&D",
    "σ",
    "w[i]",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_gives_valid_latex(name, require):
    parse(explained(name, name + "2").to_latex(), require)


def test_many_paths_give_valid_latex(require):
    latex = many().to_latex()
    parse(latex, require)
    assert r"\mathrm{rest}_{4093}" in latex
    assert latex.count(r"\frac") > 30


@given(st.text(min_size=1))
def test_braces_balance_whatever_the_name(name):
    latex = explained(name).to_latex()
    bare = latex.replace("\\\\", "").replace("\\{", "").replace("\\}", "")
    depth = 0
    for c in bare:
        depth += (c == "{") - (c == "}")
        assert depth >= 0
    assert depth == 0
    assert len(lines_of(latex)) == 6


def test_numbers_in_latex():
    latex = explained().to_latex()
    assert re.search(r"= \d\.\d+ \\times 10\^\{-9\}|= -\d\.\d+ \\times 10\^\{-9\}", latex)
    x = Tensor(0.0, name="x")
    assert latex_ends(tg.explain(tg.sqrt(x), x)) == r"\infty"
    assert latex_ends(tg.explain(tg.sqrt(x) * 0.0, x)) == r"\mathrm{NaN}"


def latex_ends(explanation):
    return lines_of(explanation.to_latex())[-1].removeprefix("&= ")


# ---------------------------------------------------------------------------------- HTML


class Reader(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not attributes

    def handle_data(self, data):
        self.text.append(data)


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def test_a_notebook_shows_a_row_for_every_path_and_one_for_the_rest():
    reader = read(many(3)._repr_html_())
    assert reader.tags.count("tr") == 1 + 3 + 1
    assert "rest: 4,093 paths" in reader.text
    assert reader.text[0].startswith("∂E/∂x = ")
    assert reader.text[-1].startswith("The products of the 4,096 paths sum to the gradient")


ALLOWED = {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}


@given(st.text(min_size=1))
def test_a_name_stays_text(name):
    for hostile in (name, f"<script>alert({name!r})</script>", f'"><img src=x onerror="{name}'):
        reader = read(explained(hostile, hostile)._repr_html_())
        assert set(reader.tags) <= ALLOWED
