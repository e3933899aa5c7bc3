"""No card covers another, and no edge runs through a card that it does not belong to."""

import numpy as np
import pytest
from crossings import sampled
from hypothesis import given
from hypothesis import strategies as st
from reference_graphs import REFERENCE

from tinygrad_bp.render import layout_layers
from tinygrad_bp.render.layout import Layout, layout


def boxes(made: Layout, widths, heights):
    half = np.stack([widths, heights], axis=1) / 2
    return made.centres - half, made.centres + half


def overlaps(low, high):
    """Count the pairs of boxes that share more than an edge."""
    order = np.argsort(low[:, 0], kind="stable")
    low, high = low[order], high[order]
    until = np.searchsorted(low[:, 0], high[:, 0] - 1e-6)
    pairs = 0
    for i, stop in enumerate(until):
        others = slice(i + 1, stop)
        over = (low[others, 1] < high[i, 1] - 1e-6) & (high[others, 1] > low[i, 1] + 1e-6)
        pairs += int(over.sum())
    return pairs


def hits(made: Layout, edges, low, high):
    """List the cards that an edge runs through, loops and ends aside."""
    found = []
    for i, (source, target) in enumerate(np.asarray(edges).tolist()):
        x, y = sampled(made.route(i))[:, :, None].transpose(1, 0, 2)
        inside = (x > low[:, 0] + 1) & (x < high[:, 0] - 1) & (y > low[:, 1] + 1)
        inside &= y < high[:, 1] - 1
        met = set(np.flatnonzero(inside.any(axis=0)).tolist()) - {source, target}
        found += [(i, card) for card in sorted(met)] if source != target else []
    return found


def check(count, edges, widths, heights, **options):
    made = layout(widths, heights, edges, **options)
    low, high = boxes(made, widths, heights)
    assert overlaps(low, high) == 0
    assert hits(made, edges, low, high) == []
    assert (low >= 0).all()
    assert (high <= [made.width, made.height]).all()
    if len(made.points):
        assert (made.points >= -1e-9).all()
        assert (made.points <= [made.width, made.height]).all()
    return made


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_graphs_are_laid_out_without_overlap(name, direction):
    count, edges = REFERENCE[name]()
    rng = np.random.default_rng(0)
    widths, heights = rng.uniform(40, 250, count), rng.uniform(26, 100, count)
    check(count, edges, widths, heights, direction=direction)


@st.composite
def graphs(draw):
    """Any graph: parallel edges, loops, cycles, parts that hang together with nothing."""
    count = draw(st.integers(1, 30))
    number = st.integers(0, count - 1)
    edges = draw(st.lists(st.tuples(number, number), max_size=60))
    lengths = st.lists(st.floats(0, 300), min_size=count, max_size=count)
    return count, edges, draw(lengths), draw(lengths)


@given(graphs(), st.sampled_from(["LR", "TB"]), st.sampled_from([0, 1, 3]))
def test_any_graph_is_laid_out_without_overlap(graph, direction, waypoints):
    count, edges, widths, heights = graph
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout_layers, "WAYPOINTS", waypoints)  # 0: every long edge takes a lane
        made = check(count, edges, widths, heights, direction=direction)
    assert len(made.starts) == len(edges) + 1


@given(graphs(), st.lists(st.integers(-1, 2), min_size=30, max_size=30))
def test_groups_stay_together_in_their_rank(graph, groups):
    count, edges, widths, heights = graph
    groups = np.array(groups[:count])
    made = check(count, edges, widths, heights, groups=groups)
    for rank in set(made.rank.tolist()):
        cards = np.flatnonzero(made.rank == rank)
        in_order = groups[cards[np.argsort(made.centres[cards, 1], kind="stable")]].tolist()
        for group in set(in_order) - {-1}:
            first, number = in_order.index(group), in_order.count(group)
            assert in_order[first : first + number] == [group] * number


@given(graphs())
def test_every_edge_begins_and_ends_at_its_cards(graph):
    count, edges, widths, heights = graph
    made = layout(widths, heights, edges)
    low, high = boxes(made, np.array(widths), np.array(heights))
    for i, (source, target) in enumerate(edges):
        route = made.route(i)
        assert len(route) % 3 == 1
        for card, end in ((source, route[0]), (target, route[-1])):
            assert (end >= low[card] - 1e-6).all()
            assert (end <= high[card] + 1e-6).all()


@given(graphs())
def test_inputs_stand_before_their_consumers_unless_there_is_a_cycle(graph):
    count, edges, widths, heights = graph
    made = layout(widths, heights, [(min(e), max(e)) for e in edges])
    for source, target in edges:
        assert source == target or made.rank[min(source, target)] < made.rank[max(source, target)]
