"""A picture shows the recorded graph as it is, with the gradient, and changes nothing."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.graph import walk
from tinygrad_bp.origin import listening, note_line


def neuron():
    """The neuron of the README: E = ½(σ(w·x) − 1)²."""
    w = tg.Tensor([0.351, 1.076, 1.116], name="w")
    o = tg.sigmoid(np.dot(w, np.array([0.0, 1.0, 1.0])))
    E = (o - 1) ** 2 / 2
    return w, o, E


def by_title(picture):
    return {card.title: card for card in picture.cards}


def arrows_to(picture, title):
    number = by_title(picture)[title].number
    return [arrow for arrow in picture.arrows if arrow.target == number]


# ---------------------------------------------------------------------------------- cards


def test_there_is_one_card_a_node_with_its_inputs_before_it():
    w, o, E = neuron()
    picture = tg.draw(E).picture
    number = {node: i for i, node in enumerate(walk(E))}
    assert [card.number for card in picture.cards] == list(number.values())
    assert all(arrow.source < arrow.target for arrow in picture.arrows)
    assert [(a.source, a.target, a.slot) for a in picture.arrows] == [
        (number[x], i, slot) for node, i in number.items() for slot, x in enumerate(node.inputs)
    ]


def test_a_card_shows_name_symbol_shape_dtype_value_and_gradient():
    w, o, E = neuron()
    cards = by_title(tg.draw(E, names={"output": o, "E": E}).picture)
    assert cards["w"].kind == "leaf"
    assert cards["w"].lines == (
        "(3,) float64",
        "value [0.351, 1.076, 1.116]",
        "grad [0, -0.00908, -0.00908]",
    )
    assert cards["output"].symbol == "σ"
    assert cards["output"].lines == ("scalar float64", "value 0.8995", "grad -0.1005")
    assert cards["E"].lines[-1] == "grad 1"
    assert cards["1"].kind == "constant"


def test_many_numbers_are_summarised_and_small_ones_are_never_zero():
    w = tg.Tensor(np.full(100, 1e-9), name="w")
    loss = tg.draw((w * np.r_[0, np.ones(99)]).sum()).picture
    assert by_title(loss)["w"].lines[1:] == (
        "value rms 1e-09 in [1e-09, 1e-09]",
        "grad rms 0.995 in [0, 1], 1% zero",
    )


def test_a_name_of_the_tensor_itself_comes_before_that_of_a_variable():
    a, b = tg.Tensor(1.0, name="a"), [tg.Tensor(2.0), tg.Tensor(3.0)]
    c = a * b[0] * b[1]
    cards = by_title(tg.draw(c, names={"_": c, "alias": a, "b": b, "c": c, "d": c, 3: a}).picture)
    assert {"a", "b[0]", "b[1]", "c"} < set(cards)
    assert a.name == "a"
    assert b[0].name is None


def test_the_users_line_is_shown_where_it_was_recorded():
    w = tg.Tensor(2.0, name="w")
    with listening(note_line):
        y = w * w
    card = tg.draw(y).picture.cards[-1]
    assert card.lines[-1].startswith("test_draw.py:")
    assert ("line", card.lines[-1]) in card.details


def test_the_details_say_what_the_op_is_and_its_derivative():
    assert ("tanh", "Squash each element into (−1, 1): y = tanh x; dy/dx = 1 − y².") in tg.draw(
        tg.tanh(tg.Tensor(1.0))
    ).picture.cards[-1].details


def test_badges_are_those_of_the_diagnosis():
    with np.errstate(divide="ignore"):
        loss = tg.log(tg.Tensor(0.0, name="w")) * 2
    card = tg.draw(loss).picture.cards[1]
    assert card.badges[0] == "Inf origin"


def test_a_node_is_shaded_by_its_gradient_beside_the_median():
    w = tg.Tensor(1.0, name="w")
    cards = tg.draw(w * 2.0 * 50.0).picture.cards
    assert [card.shade for card in cards if card.shade is not None] == [0.301, 0.0, -1.699]


# ---------------------------------------------------------------------------------- arrows


def test_an_arrow_carries_the_local_derivative():
    w, o, E = neuron()
    picture = tg.draw(E, names={"o": o, "E": E}).picture
    assert [a.label for a in picture.arrows if not a.dashed] == [
        "[0, 1, 1]", "0.09038", "1", "-0.2009", "0.5",
    ]  # fmt: skip


def test_the_product_of_the_labels_along_a_chain_is_the_gradient():
    x = tg.Tensor(0.3, name="x")
    picture = tg.draw(tg.exp(tg.sin(tg.tanh(x)))).picture
    product = np.prod([float(arrow.label) for arrow in picture.arrows])
    assert product == pytest.approx(float(tg.exp(tg.sin(tg.tanh(x))).gradient(x)), rel=1e-3)


def test_x_times_x_has_two_arrows_each_with_half_of_the_gradient():
    x = tg.Tensor(3.0, name="x")
    arrows = tg.draw(x * x).picture.arrows
    assert [(a.source, a.target, a.slot, a.label, a.share) for a in arrows] == [
        (0, 1, 0, "3", 0.5),
        (0, 1, 1, "3", 0.5),
    ]


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_the_shares_of_a_gradient_are_what_each_arrow_brings(a, b):
    x = tg.Tensor(1.0, name="x")
    shares = [arrow.share for arrow in tg.draw(x * a + x * b).picture.arrows if arrow.source == 0]
    total = abs(a) + abs(b)
    expected = [abs(a) / total, abs(b) / total] if total else [None, None]
    assert shares == [pytest.approx(e, abs=1e-4) if total else None for e in expected]


def test_an_op_on_whole_arrays_says_how_much_of_the_gradient_passes():
    A, x = tg.Tensor(2 * np.eye(3), name="A"), tg.Tensor(np.ones((3, 3)), name="x")
    picture = tg.draw((A @ x).sum()).picture
    assert [a.label for a in picture.arrows] == ["gain 3", "gain 2", "1"]


def test_no_gradient_passes_over_a_dashed_arrow():
    w, x = tg.Tensor(2.0, name="w"), tg.Tensor(3.0, name="x", requires_grad=False)
    arrows = tg.draw(w * x).picture.arrows
    assert [a.dashed for a in arrows] == [False, True]
    assert all(a.share is None and not a.label for a in arrows if a.dashed)


# ---------------------------------------------------------------------------------- its own pass


def test_drawing_changes_nothing_and_needs_no_backward_pass():
    w, o, E = neuron()
    tg.draw(E, names={"o": o}, backward=True)
    assert w.grad is None
    assert E.grad is None
    assert o.name is None
    E.backward()
    before = w.grad.copy()
    tg.draw(E, backward=True)
    np.testing.assert_array_equal(w.grad, before)


def test_a_drawing_keeps_nothing_of_the_graph():
    w, o, E = neuron()
    drawings = [tg.draw(E, backward=True), tg.draw(E, focus=o)]
    watched = [weakref.ref(node) for node in walk(E)]
    gc.disable()
    try:
        del w, o, E
        assert not any(watch() for watch in watched)
    finally:
        gc.enable()
    assert drawings[0].text()


def test_drawing_inside_no_grad_shows_the_gradient_as_well():
    w, o, E = neuron()
    with tg.no_grad():
        inside = tg.draw(E, backward=True).text()
    assert inside == tg.draw(E, backward=True).text()


def test_a_root_with_several_elements_has_the_gradient_of_its_sum_and_says_so():
    w = tg.Tensor([1.0, 2.0], name="w")
    drawing = tg.draw(w * 3)
    assert by_title(drawing.picture)["w"].lines[-1] == "grad [3, 3]"
    assert "The root has shape (2,): gradients of its sum." in drawing.text()
    weighed = tg.draw(w * 3, cotangent=[1.0, 10.0])
    assert by_title(weighed.picture)["w"].lines[-1] == "grad [3, 30]"
    assert "weighed by a cotangent" in weighed.text()


def test_a_graph_without_gradients_is_drawn_and_says_so():
    w = tg.Tensor(2.0, name="w", requires_grad=False)
    drawing = tg.draw(tg.Tensor(3.0).detach() * w)
    assert "Nothing here requires a gradient." in drawing.text()
    assert "grad" not in drawing.picture.cards[0].lines
    assert tg.draw(w, backward=True).picture.cards[0].kind == "constant"


def test_a_leaf_alone_is_a_picture():
    assert tg.draw(tg.Tensor(2.0, name="w")).text() == (
        "w\nw: scalar float64, value 2, grad 1\n1 node: 1 leaf.\n"
    )


def test_an_empty_array_is_drawn():
    assert "(0,) float64" in tg.draw(tg.Tensor(np.zeros(0), name="w").sum()).text()


# ---------------------------------------------------------------------------------- the gradient


def test_the_gradient_is_drawn_as_a_graph_beside_the_forward_one():
    w, o, E = neuron()
    picture = tg.draw(E, names={"o": o, "E": E}, backward=True).picture
    forward = len(list(walk(E)))
    assert not any(card.backward for card in picture.cards[:forward])
    assert all(card.backward for card in picture.cards[forward:])
    assert all(a.gradient == (a.target >= forward) for a in picture.arrows)
    cards = by_title(picture)
    assert cards["∂E/∂w"].lines[-1] == f"value {cards['w'].lines[-1].removeprefix('grad ')}"
    assert cards["∂E/∂o"].lines[-1] == "value -0.1005"


# ---------------------------------------------------------------------------------- focus


def test_a_focus_keeps_what_is_between_a_tensor_and_the_root_and_states_the_total():
    w, o, E = neuron()
    drawing = tg.draw(E, names={"o": o, "E": E}, focus=o)
    titles = [card.title for card in drawing.picture.cards]
    assert titles == ["o", "1", "subtract#5", "2", "power#7", "2", "E"]
    assert [card.number for card in drawing.picture.cards] == list(range(7))
    assert "10 nodes: 1 leaf, 4 constants, 5 ops." in drawing.text()
    assert "Shown: what is between o and E." in drawing.text()


# ---------------------------------------------------------------------------------- scalars


def worked_example():
    """The 3-3-1 network of the lecture, that sees (0, 1, 1) and should say 1."""
    x = tg.Tensor([[0.0, 1.0, 1.0]], name="x", requires_grad=False)
    W0 = [[0.351, -0.097, 0.457], [1.076, -0.165, -0.165], [1.116, 0.542, -0.331]]
    w0, w1 = tg.Tensor(W0), tg.Tensor([[0.383], [-0.327], [-0.329]])
    o = tg.sigmoid(tg.sigmoid(x @ w0) @ w1)
    return w0, w1, o, (o - 1) ** 2 / 2


def test_number_by_number_every_weight_has_a_card_with_its_name_value_and_gradient():
    w0, w1, o, E = worked_example()
    picture = tg.draw(E, level="scalar", names={"W0": w0, "W1": w1, "o": o, "E": E}).picture
    cards = by_title(picture)
    gradients = E.gradient(w0), E.gradient(w1)
    for name, w, gradient in zip(("W0", "W1"), (w0, w1), gradients, strict=True):
        for index in np.ndindex(w.shape):
            card = cards[f"{name}[{index[0]}, {index[1]}]"]
            value, grad = w.data[index], gradient[index] + 0.0
            assert card.lines == (f"value {value:.4g}", f"grad {grad:.4g}")
    assert cards["o"].lines == ("value 0.5065", "grad -0.4935")
    assert picture.notes == ("45 nodes: 12 leaves, 6 constants, 27 ops.",)


def test_around_one_weight_the_labels_multiply_to_its_gradient():
    w0, w1, o, E = worked_example()
    drawing = tg.draw(E, level="scalar", names={"W1": w1}, focus=(w1, (0, 0)))
    labels = [float(arrow.label) for arrow in drawing.picture.arrows if arrow.label]
    assert np.prod(labels) == pytest.approx(-0.1110, abs=5e-5)
    assert "12 of 45 scalar nodes: the paths from W1[0, 0] to the root." in drawing.text()


def test_several_elements_are_drawn_number_by_number_as_their_weighed_sum():
    w = tg.Tensor([2.0, 3.0], name="w")
    picture = tg.draw(w * w, level="scalar", cotangent=[1.0, 10.0]).picture
    cards = by_title(picture)
    assert cards["w[0]"].lines == ("value 2", "grad 4")
    assert cards["w[1]"].lines == ("value 3", "grad 60")


def test_the_gradient_can_be_drawn_number_by_number():
    w0, w1, o, E = worked_example()
    names = {"W1": w1, "E": E}
    picture = tg.draw(E, level="scalar", names=names, focus=(w1, (0, 0)), backward=True).picture
    assert by_title(picture)["∂E/∂W1[0, 0]"].lines == ("value -0.111",)


def test_a_checkpoint_is_drawn_as_one_card():
    part = tg.checkpoint(lambda x: tg.sin(tg.exp(x)))
    x = tg.Tensor(0.5, name="x")
    picture = tg.draw(part(x) * 2.0).picture
    expected = np.cos(np.exp(0.5)) * np.exp(0.5) * 2
    assert by_title(picture)["x"].lines[-1] == f"grad {expected:.4g}"


# ---------------------------------------------------------------------------------- bad input

W = tg.Tensor(np.ones((2, 3)), name="W")
BAD = {
    "no Tensor": (
        lambda: tg.draw(3.0),
        tg.GraphError,
        "the root of the graph: got float 3.0; expected a Tensor. Pass the result of a computation "
        "with Tensors, such as the loss.",
    ),
    "level": (
        lambda: tg.draw(W, level="neuron"),
        tg.InputError,
        'draw, argument level: got str \'neuron\'; expected "tensor" or "scalar". Choose one.',
    ),
    "max_nodes": (
        lambda: tg.draw(W, max_nodes=0),
        tg.InputError,
        "draw, argument max_nodes: got int 0; expected a whole number of at least 1. Pass an int, "
        "such as 1.",
    ),
    "max_nodes no number": (
        lambda: tg.draw(W, max_nodes="many"),
        tg.InputError,
        "draw, argument max_nodes: got str 'many'; expected a whole number of at least 1. Pass an "
        "int, such as 1.",
    ),
    "names": (
        lambda: tg.draw(W, names=["W"]),
        tg.InputError,
        "draw, argument names: got list ['W']; expected a dict of names and Tensors. "
        "Pass names=locals().",
    ),
    "focus no Tensor": (
        lambda: tg.draw(W, focus="W"),
        tg.InputError,
        "draw, argument focus: got str 'W'; expected a Tensor, or a pair of a Tensor and an index. "
        "Write focus=w, or focus=(w, (3, 4)) for one entry.",
    ),
    "focus elsewhere": (
        lambda: tg.draw(W, focus=tg.Tensor(1.0, name="v")),
        tg.GraphError,
        "draw, argument focus: got v, which the root does not depend on; expected a tensor of the "
        "graph. Use the very tensor that the root was computed from.",
    ),
    "focus outside": (
        lambda: tg.draw(W, focus=(W, (1, 3))),
        tg.ShapeError,
        "draw, argument focus: got index (1, 3); expected an entry of a tensor of shape (2, 3). "
        "Pass one number for each axis, counted from 0.",
    ),
    "focus too short": (
        lambda: tg.draw(W, focus=(W, 1)),
        tg.ShapeError,
        "draw, argument focus: got index (1,); expected an entry of a tensor of shape (2, 3). "
        "Pass one number for each axis, counted from 0.",
    ),
    "cotangent": (
        lambda: tg.draw(W, cotangent=[1.0, 2.0]),
        tg.ShapeError,
        "the root: got a cotangent of shape (2,); expected shape (2, 3), that of the tensor. "
        "Pass one number for every element.",
    ),
}


@pytest.mark.parametrize(("call", "kind", "text"), BAD.values(), ids=BAD)
def test_bad_arguments_are_refused_in_words(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text
