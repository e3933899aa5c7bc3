"""Large and deep graphs: time and memory grow with nodes and edges, and with nothing else."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from reference_graphs import chain, dense_network, doublings, recurrent, residual, scalar_network

import tinygrad_bp as tg
from tinygrad_bp.render import layout_order, layout_place
from tinygrad_bp.render.layout import layout

GRAPHS = {
    "chain": lambda size: chain(size),
    "residual": lambda size: residual(size // 7),
    "recurrent": lambda size: recurrent(size // 11),
    "scalar network": lambda size: scalar_network(*[int((size / 9) ** 0.5)] * 4, 1),
    "neurons": lambda size: dense_network(*[10] * (size // 10)),
}


def lay_out(count, edges):
    return layout(np.full(count, 110.0), np.full(count, 54.0), edges)


def nested(count):
    """Every one of the first half feeds one of the second half, the first the last."""
    line = [(i, i + 1) for i in range(count - 1)]
    return count, np.array(line + [(i, count - 1 - i) for i in range(count // 2 - 1)])


@pytest.mark.parametrize("name", GRAPHS)
def test_no_depth_makes_an_error(name):
    count, edges = GRAPHS[name](20_000)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(150)
    try:
        made = lay_out(count, edges)
    finally:
        sys.setrecursionlimit(limit)
    assert made.centres.shape == (count, 2)


def test_a_chain_of_100_000_and_30_doublings_are_laid_out():
    assert len(lay_out(*chain(100_000)).centres) == 100_000
    assert len(lay_out(*doublings(30)).starts) == 61


@pytest.mark.parametrize("name", GRAPHS)
def test_sweeps_take_as_many_steps_as_a_row_has_ranks(name, monkeypatch):
    """Ten times as many nodes: the loops over columns grow with the square root at most."""
    steps = []
    for module, loop in ((layout_order, "sweep"), (layout_place, "settle")):
        original = getattr(module, loop)

        def counting(*arguments, original=original):
            columns = list(arguments[-1])
            steps[-1] += len(columns)
            return original(*arguments[:-1], columns)

        monkeypatch.setattr(module, loop, counting)
    for size in (1_000, 10_000):
        steps.append(0)
        lay_out(*GRAPHS[name](size))
    assert steps[1] < 4.5 * steps[0]


@pytest.mark.parametrize("name", [*GRAPHS, "nested"])
def test_the_routes_grow_with_the_edges(name):
    """Edges that share a trunk share its points; those too long for one take a lane."""
    points = []
    for size in (500, 2_000, 8_000):
        count, edges = nested(size) if name == "nested" else GRAPHS[name](size)
        points.append(len(lay_out(count, edges).points) / (count + len(edges)))
    for small, large in pairwise(points):
        assert large < 2 * small
    assert max(points) < 50


def test_every_process_draws_the_same():
    program = (
        "import sys, hashlib; import numpy as np; sys.path.insert(0, 'tests');"
        "from reference_graphs import random_graph;"
        "from tinygrad_bp.render.layout import layout;"
        "count, edges = random_graph(300, 10, 20, seed=3);"
        "made = layout(np.full(count, 90.0), np.full(count, 50.0), edges);"
        "print(hashlib.sha256(made.points.tobytes() + made.centres.tobytes()).hexdigest())"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(prints) == 1


def test_from_top_to_bottom_is_the_same_turned():
    count, edges = residual(3)
    widths, heights = np.linspace(40, 90, count), np.linspace(30, 60, count)
    right = layout(widths, heights, edges)
    down = layout(heights, widths, edges, direction="TB")
    np.testing.assert_array_equal(right.centres, down.centres[:, ::-1])
    np.testing.assert_array_equal(right.points, down.points[:, ::-1])


def test_nothing_to_lay_out_is_a_small_empty_picture():
    made = layout([], [], [])
    assert made.centres.shape == (0, 2)
    assert made.width > 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"widths": [1.0]}, "heights: got 2 lengths; expected as many as there are widths, 1."),
        ({"widths": [1.0, -1.0]}, "expected one finite, non-negative length for each card"),
        ({"heights": [1.0, np.nan]}, "expected one finite, non-negative length for each card"),
        (
            {"edges": [(0, 2)]},
            "edges: got a card that is not among 2; expected numbers from 0 to 1",
        ),
        ({"edges": [(0, 1, 1)]}, "edges: got shape (1, 3); expected shape (m, 2)"),
        ({"edges": [(0, 0.5)]}, "edges: got float64 of shape (1, 2); expected whole numbers"),
        ({"groups": [1]}, "groups: got shape (1,); expected one number for each of 2 cards"),
        ({"direction": "up"}, "direction: got 'up'; expected 'LR' or 'TB'"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, text):
    arguments = {"widths": [1.0, 1.0], "heights": [1.0, 1.0], "edges": [(0, 1)]} | change
    with pytest.raises(tg.InputError) as caught:
        layout(**arguments)
    assert text in str(caught.value)
