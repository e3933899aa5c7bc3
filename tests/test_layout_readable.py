"""Few edges cross: beside Graphviz, counted by the same code on the same graphs."""

import os
import shutil

import numpy as np
import pytest
from crossings import crossings, dot
from hypothesis import given
from hypothesis import strategies as st
from reference_graphs import REFERENCE, chain, tensor_network

from tinygrad_bp.render.layout import layout
from tinygrad_bp.render.layout_switch import inversions

WIDTH, HEIGHT = 110.0, 54.0


def lay_out(count, edges):
    return layout(np.full(count, WIDTH), np.full(count, HEIGHT), edges)


@pytest.fixture
def graphviz():
    if shutil.which("dot") is None:
        reason = "the `dot` program is missing: install Graphviz (https://graphviz.org/download)"
        pytest.fail(reason) if os.environ.get("TINYGRAD_BP_CI") else pytest.skip(reason)


def test_there_are_twenty_reference_graphs_of_at_most_500_nodes():
    graphs = [make() for make in REFERENCE.values()]
    assert len(graphs) == 20
    for count, edges in graphs:
        assert count <= 500
        assert (edges[:, 0] < edges[:, 1]).all()


@pytest.mark.usefixtures("graphviz")
@pytest.mark.parametrize("name", REFERENCE)
def test_edges_cross_at_most_half_as_often_again_as_in_graphviz(name):
    count, edges = REFERENCE[name]()
    made, theirs = lay_out(count, edges), dot(count, edges, WIDTH, HEIGHT)
    ours = crossings([made.route(i) for i in range(len(edges))])
    assert ours <= 1.5 * crossings(theirs.routes)


@pytest.mark.usefixtures("graphviz")
def test_the_pictures_take_little_more_room_than_those_of_graphviz():
    ratios = []
    for make in REFERENCE.values():
        count, edges = make()
        made = lay_out(count, edges)
        ratios.append(made.width * made.height / dot(count, edges, WIDTH, HEIGHT).area)
    assert np.median(ratios) < 1.5
    assert max(ratios) < 2.5


def test_the_counting_counts():
    def line(*ends):
        begin, end = np.array(ends, float).reshape(2, 2)
        return np.linspace(begin, end, 4)

    assert crossings([line(0, 0, 10, 10), line(0, 10, 10, 0)]) == 1
    assert crossings([line(0, 0, 10, 10), line(0, 0, 10, 0)]) == 0
    assert crossings([line(0, 0, 10, 10), line(20, 0, 30, 10)]) == 0
    fan = [line(0, 10 * a, 10, 10 * b + 0.01 * a) for a in range(3) for b in range(3)]
    assert crossings(fan) == 9


@given(st.lists(st.integers(0, 40), max_size=50))
def test_inversions_are_the_pairs_out_of_order(values):
    slow = sum(a > b for i, a in enumerate(values) for b in values[i + 1 :])
    assert inversions(np.array(values, np.int64)) == slow


def test_a_long_chain_is_set_in_rows_like_text():
    made = lay_out(*chain(1000))
    assert made.width < 3 * made.height
    assert made.height < 3 * made.width
    x, y = made.centres.T
    new_row = np.diff(y) > HEIGHT
    assert (np.diff(x)[~new_row] > 0).all()
    assert (np.diff(x)[new_row] < 0).all()


def test_the_main_line_of_a_network_is_straight():
    """Its leaves give way: those who follow the values do not go up and down."""
    count, edges = tensor_network(3)
    made = layout(np.full(count, 30.0), np.full(count, 40.0), edges, gap=20.0)
    main = edges[np.isin(edges[:, 0], edges[:, 1])]
    assert len(main) > 10
    assert np.ptp(made.centres[main, 1]) < 1.0


def test_a_leaf_stands_next_to_its_consumer():
    made = lay_out(5, [(0, 1), (1, 2), (2, 4), (3, 4)])
    assert made.rank.tolist() == [0, 1, 2, 2, 3]


def test_two_edges_between_the_same_cards_are_two_lines():
    made = lay_out(2, [(0, 1), (0, 1)])
    assert (made.route(0)[-1] != made.route(1)[-1]).any()
