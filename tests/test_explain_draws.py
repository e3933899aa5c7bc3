"""An explanation as a drawing: the paths that are written out are marked, and nothing else."""

import re

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.tensor import Tensor


def example():
    """Record a network with two hidden units, each of which is a path from the input."""
    x, w = Tensor([0.5], name="x"), Tensor([[0.3, -0.2]], name="W0")
    h = tg.tanh(x @ w)
    h.name = "h"
    loss = (h @ np.array([1.0, 2.0])) ** 2
    loss.name = "E"
    return loss, x, w


def marked(drawing):
    """Name the ends of the arrows that are marked."""
    titles = {card.number: card.title for card in drawing.picture.cards}
    return [(titles[a.source], titles[a.target]) for a in drawing.picture.arrows if a.marked]


def test_the_arrows_of_the_only_path_are_marked():
    loss, _, w = example()
    explanation = tg.explain(loss, w, (0, 1))
    ends = marked(explanation.draw())
    assert ends[0][0] == "W0[0, 1]"
    assert ends[-1][1] == "E"
    assert [end for _, end in ends[:-1]] == [start for start, _ in ends[1:]]  # one unbroken way
    assert len(ends) == len(explanation.paths[0].edges)


def test_one_of_several_paths_can_be_chosen():
    loss, x, _ = example()
    explanation = tg.explain(loss, x, 0)
    first, second = (marked(explanation.draw(path)) for path in (1, 2))
    assert {"h[0]", "h[1]"} == {t for t, _ in [*first, *second] if t.startswith("h")}
    assert len({t for t, _ in first if t.startswith("h")}) == 1
    assert set(marked(explanation.draw())) == {*first, *second}


def test_of_two_arrows_between_the_same_nodes_the_right_one_is_marked():
    x = Tensor(3.0, name="x")
    explanation = tg.explain(x * x, x)
    slots = [
        [arrow.slot for arrow in explanation.draw(i).picture.arrows if arrow.marked] for i in (1, 2)
    ]
    assert sorted(slots) == [[0], [1]]


def test_a_path_through_a_whole_op_is_marked_all_along():
    a = Tensor([[2.0, 1.0], [1.0, 3.0]], name="a")
    ends = marked(tg.explain(tg.inv(a)[0, 1], a, (1, 1)).draw())
    kinds = [re.sub("#.*", "", target) for _, target in ends]
    assert kinds == ["stack", "reshape", "inv", "getitem"]
    assert ends[0][0] == "a[1, 1]"


def test_the_mark_is_seen_in_every_format():
    loss, _, w = example()
    explanation = tg.explain(loss, w, (0, 1))
    drawing, plain = explanation.draw(), tg.draw(loss, level="scalar", focus=(w, (0, 1)))
    assert drawing.text().count("on the path") == len(explanation.paths[0].edges)
    assert drawing.dot().count("penwidth=5") == len(explanation.paths[0].edges)
    svg = drawing.svg(engine="own")
    assert svg.count('class="p"') == 2  # the arrows, and the sample in the legend
    assert "on the explained path" in svg
    for text in (plain.text(), plain.dot(), plain.svg(engine="own")):
        assert "path is" not in text
        assert 'class="p"' not in text
        assert "on the path" not in text
        assert "penwidth=5" not in text


def test_a_fold_keeps_the_mark_of_what_is_inside():
    x = Tensor(0.5, name="x")
    y = x
    for _ in range(100):
        y = tg.sin(y)
    text = tg.explain(y, x).draw(max_nodes=10).text()
    assert "on the path" in text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            3,
            "Explanation.draw, argument path: got path 3; expected a number from 1 to 2. Write",
        ),
        (0, "Explanation.draw, argument path: got int 0; expected a whole number of at least 1"),
        ("a", "Explanation.draw, argument path: got str 'a'"),
    ],
)
def test_a_path_that_is_not_written_out_is_an_error(path, text):
    loss, x, _ = example()
    with pytest.raises(tg.InputError) as caught:
        tg.explain(loss, x, 0).draw(path)
    assert text in str(caught.value)
