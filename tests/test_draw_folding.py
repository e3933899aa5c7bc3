"""Whatever the graph, its picture is readable: parts are folded, and nothing is lost by it."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.render.visible import visible


@st.composite
def graphs(draw):
    """Any graph of scalars, with scopes that are left and entered again."""
    nodes = [tg.Tensor(float(i + 1)) for i in range(draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(0, 60))):
        a, b = (nodes[draw(st.integers(0, len(nodes) - 1))] for _ in "ab")
        op = draw(st.sampled_from([tg.add, tg.maximum, lambda a, b: tg.tanh(a)]))
        scopes = draw(st.lists(st.sampled_from("ab"), max_size=2))
        for name in scopes:
            op = tg.scope(name)(op)
        nodes.append(op(a, b))
    return tg.add(nodes[-1], sum(nodes))


def members(picture, number):
    """List the cards in a fold, however deep."""
    folds = {fold.card.number: fold.members for fold in picture.folds}
    found, stack = [], [number]
    while stack:
        item = stack.pop()
        found += [] if item in folds else [item]
        stack += folds.get(item, ())
    return found


def titles(picture):
    return [card.title for card in picture.cards]


# ---------------------------------------------------------------------------------- in general


@given(graphs(), st.integers(1, 40))
def test_at_most_max_nodes_cards_are_seen_and_they_stand_for_every_node_once(root, max_nodes):
    picture = tg.draw(root, max_nodes=max_nodes).picture
    seen = visible(picture)
    assert len(seen.cards) <= max_nodes
    stood_for = [n for card in seen.cards for n in members(picture, card.number)]
    assert sorted(stood_for) == [card.number for card in picture.cards]


@given(graphs(), st.integers(1, 10), st.data())
def test_folds_make_no_cycle_whichever_are_closed(root, max_nodes, data):
    picture = tg.draw(root, max_nodes=max_nodes).picture
    folds = [fold.card.number for fold in picture.folds]
    closed = data.draw(st.sets(st.sampled_from(folds))) if folds else set()
    seen = visible(replace(picture, closed=frozenset(closed)))
    place = {card.number: i for i, card in enumerate(seen.cards)}
    assert all(place[arrow.source] < place[arrow.target] for arrow in seen.arrows)
    stood_for = sum(len(members(picture, number)) for number in place if number in closed)
    assert stood_for + sum(number not in closed for number in place) == len(picture.cards)


@given(graphs(), st.integers(1, 10))
def test_folds_nest(root, max_nodes):
    picture = tg.draw(root, max_nodes=max_nodes).picture
    held = [member for fold in picture.folds for member in fold.members]
    assert len(held) == len(set(held))
    assert all(member < fold.card.number for fold in picture.folds for member in fold.members)


@given(graphs())
def test_with_no_fold_closed_everything_is_seen(root):
    picture = tg.draw(root, max_nodes=1).picture
    opened = visible(replace(picture, closed=frozenset()))
    assert opened.cards == picture.cards
    assert set(opened.arrows) == set(picture.arrows)
    assert len(opened.arrows) == len(picture.arrows)


@given(graphs(), st.integers(1, 20))
def test_a_gradient_passes_over_the_arrows_of_a_fold_if_it_does_inside(root, max_nodes):
    picture = tg.draw(root, max_nodes=max_nodes).picture
    for arrow in visible(picture).arrows:
        sources, targets = members(picture, arrow.source), members(picture, arrow.target)
        inside = [a for a in picture.arrows if a.source in sources and a.target in targets]
        assert inside
        assert arrow.dashed == all(a.dashed for a in inside)


def test_the_notes_state_all_totals():
    x = tg.Tensor(1.0, name="x")
    for _ in range(200):
        x = tg.tanh(x)
    assert tg.draw(x).picture.notes == ("201 nodes: 1 leaf, 200 ops.",)
    assert visible(tg.draw(x).picture).notes == (
        "201 nodes: 1 leaf, 200 ops.",
        "3 cards shown: 2 nodes and 1 fold of 199 nodes.",
        "Folded: tanh ×199 (199 nodes).",
    )


# ---------------------------------------------------------------------------------- scopes


def test_a_scope_becomes_one_card_with_the_leaves_that_only_it_uses():
    x = tg.Tensor([1.0, 2.0], name="x")
    w, b = tg.Tensor(np.eye(2), name="w"), tg.Tensor([0.5, 0.5], name="b")
    with tg.scope("hidden"):
        h = tg.tanh(x @ w + b)
    picture = tg.draw((h * x).sum(), max_nodes=4).picture
    (fold,) = [fold for fold in picture.folds if fold.why == "scope"]
    assert fold.card.title == "hidden"
    held = {picture.cards[number].title for number in members(picture, fold.card.number)}
    assert held == {"w", "b", "matmul#2", "add#4", "tanh#5"}
    assert ("leaves", "w, b") in fold.card.details


def test_scopes_nest():
    x = tg.Tensor(1.0)
    with tg.scope("network"), tg.scope("layer"):
        y = tg.tanh(tg.exp(x))
    with tg.scope("network"):
        y = tg.sin(y) * 2
    folds = tg.draw(y * y, max_nodes=2).picture.folds
    assert [(fold.card.title, fold.card.scope) for fold in folds[:2]] == [
        ("layer", ("network", "layer")),
        ("network", ("network",)),
    ]


def test_a_scope_that_is_left_and_entered_again_is_divided():
    x = tg.Tensor(1.0)
    for _ in range(2):
        with tg.scope("inside"):
            x = tg.tanh(tg.sin(x))
        x = tg.exp(x)
    folds = tg.draw(x, max_nodes=6).picture.folds
    assert [fold.card.title for fold in folds] == ["inside (1 of 2)", "inside (2 of 2)"]


def test_layers_with_scopes_become_a_card_each_with_their_own_leaves():
    z = start = tg.Tensor(np.ones((2, 3)), name="z", requires_grad=False)
    for _ in range(4):
        with tg.scope("attention"):
            z = z + tg.softmax(z @ tg.Tensor(np.eye(3)))
        with tg.scope("mlp"):
            z = z + tg.tanh(z @ tg.Tensor(np.eye(3)))
    folds = tg.draw((z * start).sum(), max_nodes=12).picture.folds
    scopes = [(fold.card.title, len(fold.members)) for fold in folds if fold.why == "scope"]
    assert scopes == [
        (f"{name} ({i} of 4)", 4) for i in range(1, 5) for name in ("attention", "mlp")
    ]
    assert folds[-1].card.title == "attention, mlp ×4"


def test_blocks_with_numbers_in_their_scopes_are_called_by_what_is_common():
    z = start = tg.Tensor(np.ones((2, 3)), name="z")
    for i in range(9):
        with tg.scope(f"block{i}"):
            z = z + tg.tanh(z @ tg.Tensor(np.eye(3)))
    folds = tg.draw((z * start).sum(), max_nodes=6).picture.folds
    assert "block ×9" in [fold.card.title for fold in folds]


# ---------------------------------------------------------------------------------- repeats


def neuron(weights, inputs):
    return tg.tanh(sum(w * x for w, x in zip(weights, inputs, strict=True)))


def test_neurons_side_by_side_become_one_card_with_their_smallest_median_and_largest():
    inputs = [tg.Tensor(float(i), name=f"x{i}") for i in range(4)]
    with tg.scope("neuron"):
        layer = [neuron([tg.Tensor(0.01 * j)] * 4, inputs) for j in range(33)]
    picture = visible(tg.draw(tg.maximum(sum(layer), 0.0), max_nodes=30).picture)
    (card,) = [card for card in picture.cards if card.title == "neuron ×33"]
    values = np.sort(np.tanh([0.01 * j * 6 for j in range(33)]))
    low, middle, high = (f"{values[i]:.4g}" for i in (0, 16, -1))
    assert f"value {low} … {middle} … {high}" in card.lines


def test_neurons_with_names_are_called_by_them():
    x = [tg.Tensor(1.0, name="x"), tg.Tensor(2.0, name="y")]
    layer = [neuron([tg.Tensor(0.1), tg.Tensor(0.2)], x) for _ in range(40)]
    names = {"unit": layer}
    assert "unit ×40" in titles(visible(tg.draw(sum(layer), names=names, max_nodes=20).picture))


def test_layers_in_a_row_become_one_card_and_inside_it_one_each():
    h = tg.Tensor(np.ones((2, 3)), name="x")
    for _ in range(12):
        h = tg.tanh(h @ tg.Tensor(np.eye(3)) + tg.Tensor(np.zeros(3)))
    picture = tg.draw(h.sum(), max_nodes=20).picture
    assert [c.title for c in visible(picture).cards] == ["x", "matmul, add, tanh ×12", "sum#61"]
    outer = picture.folds[-1]
    assert len(outer.members) == 12
    assert [fold.card.title for fold in picture.folds[:2]] == [
        "matmul, add, tanh 1 of 12",
        "matmul, add, tanh 2 of 12",
    ]


def test_a_recurrent_network_becomes_its_step():
    w, h = tg.Tensor(0.5, name="w"), tg.Tensor(0.1, name="h")
    for t in range(100):
        h = tg.tanh(w * h + float(t))
    assert "multiply, add, tanh ×100" in titles(visible(tg.draw(h * h).picture))


def test_ops_with_other_settings_are_not_the_same():
    x = tg.Tensor(np.ones((4, 4)), name="x")
    parts = [tg.sum(tg.exp(x), axis=axis) for axis in (0, 1)] + [tg.sum(tg.exp(x), axis=0)]
    repeats = [f for f in tg.draw(sum(parts), max_nodes=3).picture.folds if f.why == "repeat"]
    assert any(f.card.title.endswith("×2") for f in repeats)
    assert not any(f.card.title.endswith("×3") for f in repeats)


def test_chains_become_one_card_where_that_is_needed():
    x = tg.Tensor(0.5, name="x")
    y = tg.exp(tg.sin(tg.tanh(x * x)))
    picture = tg.draw(y * tg.log(x + 2), max_nodes=5).picture
    chains = [fold.card.title for fold in picture.folds if fold.why == "chain"]
    assert "chain: multiply, tanh, sin, …" in chains
    assert not tg.draw(y).picture.folds


def test_the_root_is_no_part_of_a_repeat():
    x = tg.Tensor(0.5, name="x")
    for _ in range(100):
        x = tg.tanh(x)
    assert titles(visible(tg.draw(x, names={"E": x}).picture)) == ["x", "tanh ×99", "E"]


# ---------------------------------------------------------------------------------- what is inside


def test_a_fold_shows_the_worst_that_is_inside():
    with np.errstate(all="ignore"), tg.scope("inside"):
        y = tg.sqrt(tg.Tensor(0.0, name="w") - 1.0) * 2.0
    picture = visible(tg.draw(y + 1.0, max_nodes=3).picture)
    (card,) = [card for card in picture.cards if card.title == "inside"]
    inner = [c for c in tg.draw(y + 1.0).picture.cards if "NaN origin" in c.badges]
    assert inner
    assert card.badges[0] == "NaN origin"


# ---------------------------------------------------------------------------------- large graphs


def deep(n):
    x = tg.Tensor(0.5, name="x")
    for _ in range(n):
        x = tg.sin(x)
    return x


def doubled(n):
    x = tg.Tensor(1.0, name="x")
    for _ in range(n):
        x = x * x
    return x


def layered(n):
    h = tg.Tensor(np.ones((1, 2)), name="x")
    for _ in range(n // 5):
        h = tg.tanh(h @ tg.Tensor(np.eye(2)) + tg.Tensor([0.1, 0.2]))
    return h.sum()


def tangled(n):
    random = np.random.default_rng(0)
    nodes = [tg.Tensor(1.0, name="x")]
    for i in range(n):
        a, b = (nodes[max(0, i - int(k))] for k in random.integers(0, 50, 2))
        nodes.append(tg.minimum(a, tg.tanh(b)))
    return sum(nodes[-50:])


@pytest.mark.parametrize(
    ("graph", "size"), [(deep, 100_000), (doubled, 30), (layered, 20_000), (tangled, 10_000)]
)
def test_a_large_graph_is_drawn_whole_and_without_recursion(graph, size):
    root = graph(size)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(150)
    try:
        drawing = tg.draw(root)
        text = drawing.text()
    finally:
        sys.setrecursionlimit(limit)
    assert len(visible(drawing.picture).cards) <= 80
    assert f"{len(drawing.picture.cards):,} nodes" in text
