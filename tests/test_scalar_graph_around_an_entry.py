"""What expand shows: every number once, the paths from one entry, and always the totals."""

import gc
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.graph import walk
from tinygrad_bp.scalar.expand import Scalars, expand
from tinygrad_bp.tensor import Tensor


def network(*layers, seed=0):
    """Record the loss of a network with sigmoids on one sample, and return its weights as well."""
    rng = np.random.default_rng(seed)
    x = Tensor(rng.normal(size=(1, layers[0])), name="x", requires_grad=False)
    weights, activations = [], x
    for i, (m, n) in enumerate(zip(layers, layers[1:], strict=False)):
        weights.append(Tensor(rng.normal(size=(m, n)) / m, name=f"W{i}"))
        activations = tg.sigmoid(activations @ weights[-1])
    loss = 0.5 * ((activations - 1) ** 2).sum()
    loss.name = "E"
    return loss, weights


def names_of(scalars):
    return [node.name or (node.op.name if node.op else "constant") for node in walk(scalars.root)]


# ---------------------------------------------------------------------------------- the whole


def test_every_entry_of_a_leaf_is_one_named_node():
    w = Tensor([[1.0, 2.0], [3.0, 4.0]], name="w")
    scalars = expand((w * w).sum())
    assert names_of(scalars).count("w[1, 0]") == 1
    assert scalars.entries[w].shape == (2, 2)
    assert [entry.item() for entry in scalars.entries[w].ravel()] == [1, 2, 3, 4]
    assert scalars.entries[w][1, 0].name == "w[1, 0]"


def test_every_node_is_a_recorded_number():
    loss, _ = network(4, 3, 2)
    for node in walk(expand(loss).root):
        assert type(node) is Tensor
        assert node.shape == ()


def test_entries_of_named_tensors_are_named_and_a_single_entry_has_the_plain_name():
    x = Tensor([[0.5, 0.2]], name="x")
    h = tg.tanh(x)
    h.name = "h"
    loss = h.sum(keepdims=True)
    loss.name = "E"
    assert names_of(expand(loss)) == ["x[0, 0]", "h[0, 0]", "x[0, 1]", "h[0, 1]", "E"]


def test_variables_without_a_name_are_told_apart():
    a, b = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    assert names_of(expand(a @ b))[:2] == ["leaf#0[0]", "leaf#1[0]"]


def test_only_what_the_root_depends_on_is_shown():
    x = Tensor([1.0, 2.0, 3.0], name="x")
    scalars = expand(tg.exp(x)[1])
    assert names_of(scalars) == ["x[1]", "exp"]
    assert [entry is not None for entry in scalars.entries[x]] == [False, True, False]


def test_routing_makes_no_nodes():
    x = Tensor(np.arange(6.0).reshape(2, 3), name="x")
    moved = tg.flip(tg.transpose(x).reshape(3, 2), 0)
    y = tg.concatenate([moved, tg.pad(moved, 1)[1:-1, 1:-1]])
    scalars = expand(y, focus=(y, (3, 1)))
    assert names_of(scalars) == ["x[1, 2]"]
    assert scalars.root is scalars.entries[x][1, 2]


def test_with_a_root_of_several_elements_the_focus_chooses_one():
    w = Tensor([[1.0, 2.0], [3.0, 4.0]], name="w")
    y = w @ np.array([1.0, 10.0])
    assert names_of(expand(y, focus=(y, 1)))[0] == "w[1, 0]"
    assert expand(y, focus=(y, 1)).root.item() == 43.0


def test_the_digits_network_on_one_sample():
    loss, weights = network(65, 33, 17, 10)
    scalars = expand(loss)
    assert sum(w.size for w in weights) == 2876
    assert scalars.notes == ("8,726 scalar nodes",)
    assert sum(1 for _ in walk(scalars.root)) == 8726
    scalars.root.backward()
    for w in weights:
        found = [entry.grad for entry in scalars.entries[w].ravel()]
        np.testing.assert_allclose(found, loss.gradient(w).ravel(), rtol=1e-10, atol=1e-16)


def test_the_number_of_nodes_is_that_of_products_sums_and_functions():
    """m inputs, n outputs: m + mn leaves, mn products, (m − 1)n sums, n sigmoids; then the loss."""
    for m, n in [(1, 1), (3, 1), (4, 5)]:
        loss, _ = network(m, n)
        layer = m + m * n + m * n + (m - 1) * n + n
        the_loss = 3 + n + n + (n - 1) + 1  # 1, 2 and ½; differences, powers, their sum, the half
        assert expand(loss).notes == (f"{layer + the_loss:,} scalar nodes",)
        assert sum(1 for _ in walk(expand(loss).root)) == layer + the_loss


def test_a_scope_and_a_source_line_come_along():
    w = Tensor([1.0, 2.0])
    with tg.scope("loss"):
        y = tg.mean(w * w)
    nodes = [node for node in walk(expand(y).root) if node.op]
    assert {node.origin.scope for node in nodes} == {("loss",)}


# ---------------------------------------------------------------------------------- around an entry


def test_the_paths_of_an_entry_and_one_constant_for_the_rest_of_every_sum():
    loss, (w0, _) = network(3, 2, 1)
    scalars = expand(loss, focus=(w0, (1, 0)))
    assert names_of(scalars) == [
        "constant", "x[0, 1]", "W0[1, 0]", "multiply", "+ 2 more", "add", "sigmoid",
        "W1[0, 0]", "multiply", "+ 1 more", "add", "sigmoid", "constant", "subtract",
        "constant", "power", "E",
    ]  # fmt: skip


def test_what_is_gathered_has_the_right_value():
    loss, (w0, w1) = network(3, 2, 1)
    scalars = expand(loss, focus=(w0, (1, 0)))
    rest = {node.name: node.item() for node in walk(scalars.root)}
    x = next(node for node in walk(loss) if node.name == "x").data
    terms = x[0] * w0.data[:, 0]
    np.testing.assert_allclose(rest["+ 2 more"], terms[0] + terms[2], rtol=1e-15)
    hidden = 1 / (1 + np.exp(-(x[0] @ w0.data)))
    np.testing.assert_allclose(rest["+ 1 more"], hidden[1] * w1.data[1, 0], rtol=1e-15)


def test_everything_shown_lies_on_a_path_or_beside_one():
    loss, (w0, _, _) = network(5, 4, 3, 2)
    scalars = expand(loss, focus=(w0, (3, 2)))
    entry = scalars.entries[w0][3, 2]
    on_a_path = set()
    for node in walk(scalars.root):
        if node is entry or any(x in on_a_path for x in node.inputs):
            on_a_path.add(node)
        else:
            assert node.op is None
            assert not node.requires_grad
    assert sum(e is not None for e in scalars.entries[w0].ravel()) == 1


@given(st.integers(0, 64), st.integers(0, 32))
def test_totals_are_always_stated(i, j):
    loss, (w0, _, _) = network(65, 33, 17, 10)
    scalars = expand(loss, focus=(w0, (i, j)))
    shown = sum(1 for _ in walk(scalars.root))
    paths, gathered = scalars.notes
    assert paths == f"{shown:,} of 8,726 scalar nodes: the paths from W0[{i}, {j}] to E"
    assert gathered == f"{64 + 17 * 32} other terms of sums, in 18 constants"
    np.testing.assert_allclose(
        scalars.root.gradient(scalars.entries[w0][i, j]), loss.gradient(w0)[i, j], rtol=1e-9
    )


def test_a_way_without_a_gradient_is_no_path():
    x = Tensor([1.0, 2.0], name="x")
    loss = (x[0] * tg.stop_gradient(x[1])).sum()
    assert "x[1]" not in names_of(expand(loss, focus=(x, 0)))
    with pytest.raises(tg.GraphError, match=r"got x\[1\], from which no gradient leads"):
        expand(loss, focus=(x, 1))


def test_an_interior_tensor_can_be_in_focus():
    x = Tensor([0.5, 0.2], name="x")
    h = tg.tanh(x)
    scalars = expand((h * h).sum(), focus=(h, 1))
    assert names_of(scalars) == ["tanh#1[1]", "multiply", "+ 1 more", "add"]


def test_an_op_that_is_known_as_a_whole_is_named():
    a = Tensor([[2.0, 1.0], [1.0, 3.0]], name="a")
    scalars = expand(tg.inv(a)[0, 1])
    assert scalars.notes[-1] == "inv is one node over all its entries"
    assert names_of(scalars)[-4:] == ["stack", "reshape", "inv", "getitem"]
    assert scalars.notes[0] == "8 scalar nodes"
    picked = expand(a.sum() * tg.argmax(a))
    assert picked.notes[-1] == "argmax gives constants"


# ---------------------------------------------------------------------------------- manners


def test_nothing_about_the_original_graph_changes():
    loss, weights = network(3, 2, 1)
    loss.backward()
    before = [(n, n.value, n.name, n.inputs, n._grad) for n in walk(loss)]
    scalars = expand(loss, focus=(weights[0], (0, 0)))
    scalars.root.backward()
    after = [(n, n.value, n.name, n.inputs, n._grad) for n in walk(loss)]
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert all(a is b for a, b in zip(old, new, strict=True))


def test_it_is_recorded_inside_no_grad_too_and_no_listener_hears_of_it():
    loss, _ = network(3, 2, 1)
    with tg.no_grad():
        assert expand(loss).root.requires_grad


def test_a_deep_graph_needs_no_recursion():
    x = Tensor(0.5, name="x")
    y = x
    for _ in range(5000):
        y = tg.sin(y)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        scalars = expand(y)
        assert scalars.root.gradient(scalars.entries[x][()]) == y.gradient(x)
    finally:
        sys.setrecursionlimit(limit)


def test_no_cycle_is_left_behind():
    loss, weights = network(4, 3, 2)
    expand(loss)
    gc.collect()
    gc.disable()
    try:
        expand(loss, focus=(weights[0], (0, 0)))
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_the_order_is_the_same_in_every_process():
    program = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_scalar_graph_around_an_entry import *\n"
        "loss, (w0, _) = network(5, 4, 2)\n"
        "print([(n.name, n.op and n.op.name, n.value.hex()) for n in "
        "walk(expand(loss, focus=(w0, (1, 2))).root) if hasattr(n.value, 'hex')])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True,
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1


# ---------------------------------------------------------------------------------- bad questions

w = Tensor([[1.0, 2.0], [3.0, 4.0]], name="w")
loss_of_w = (w * w).sum()


@pytest.mark.parametrize(
    ("root", "options", "error", "text"),
    [
        (3.0, {}, tg.GraphError,
         "the root of the graph: got float 3.0; expected a Tensor. Pass the result of a"),
        (w, {}, tg.ShapeError,
         "expand, argument focus: got no index for a tensor of shape (2, 2); expected the index "
         "of one entry. Pass one number for each axis, such as (0, 0)."),
        (loss_of_w, {"focus": w}, tg.InputError,
         "expand, argument focus: got float64 of shape (2, 2); expected a Tensor and the index of "
         "one of its entries. Write focus=(W, (3, 4))."),
        (loss_of_w, {"focus": (w, (2, 0))}, tg.ShapeError,
         "got index (2, 0); expected an entry of a tensor of shape (2, 2)."),
        (loss_of_w, {"focus": (w, 1)}, tg.ShapeError, "got index (1,); expected an entry of"),
        (loss_of_w, {"focus": (w, "a")}, tg.InputError, "got str 'a'; expected whole numbers"),
        (loss_of_w, {"focus": (Tensor(1.0, name="v"), None)}, tg.GraphError,
         "got v; expected a tensor that the root was computed from. Pass the very tensor"),
        (loss_of_w, {"budget": 10}, tg.GraphError,
         "the scalar graph: got 11 scalar nodes; expected at most 10. Look around one entry"),
        (loss_of_w, {"budget": 2, "focus": (w, (0, 0))}, tg.GraphError,
         "the scalar graph: got more than 2 scalar nodes; expected at most 2."),
        (loss_of_w, {"budget": 0}, tg.InputError, "expand, argument budget: got int 0"),
    ],
)  # fmt: skip
def test_a_bad_question_gets_one_clear_error(root, options, error, text):
    with pytest.raises(error) as caught:
        expand(root, **options)
    assert text in str(caught.value)


def test_a_rebound_leaf_is_refused():
    v = Tensor([1.0, 2.0], name="v")
    y = (v * v).sum()
    v.data = [3.0, 4.0]
    with pytest.raises(tg.GraphError, match="rebound after it was recorded"):
        expand(y)


def test_a_constant_cannot_be_in_focus():
    c = Tensor([1.0, 2.0], name="c", requires_grad=False)
    with pytest.raises(tg.GraphError, match=r"got c\[0\], from which no gradient leads"):
        expand((c * Tensor([1.0, 1.0])).sum(), focus=(c, 0))


def test_the_result_says_what_it_holds():
    assert {"root", "entries", "notes"} <= set(Scalars.__dataclass_fields__)
