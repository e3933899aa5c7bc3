"""explain: every path of the chain rule in numbers, the largest of many, and a checked sum."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics import random_like
from samples import DIFFERENTIABLE, OPS, each, every_case

import tinygrad_bp as tg
from tinygrad_bp.explaining.paths import edges_to, find_paths
from tinygrad_bp.graph import walk
from tinygrad_bp.nested import flatten
from tinygrad_bp.scalar.expand import expand
from tinygrad_bp.tensor import Tensor

W0 = [[0.351, -0.097, 0.457], [1.076, -0.165, -0.165], [1.116, 0.542, -0.331]]
W1 = [[0.383], [-0.327], [-0.329]]
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def worked_example(*named):
    """Record the 3-3-1 network of the lecture on (0, 1, 1) with target 1."""
    t = {"x": np.array([[0.0, 1.0, 1.0]])}
    t["W0"], t["W1"] = Tensor(W0, name="W0"), Tensor(W1, name="W1")
    t["n"] = t["x"] @ t["W0"]
    t["h"] = tg.sigmoid(t["n"])
    t["net"] = t["h"] @ t["W1"]
    t["o"] = tg.sigmoid(t["net"])
    t["E"] = 0.5 * (t["o"] - 1) ** 2
    for key in named:
        t[key].name = key
    return t


# ---------------------------------------------------------------------------------- the lecture


def test_the_worked_example_reads_like_the_lecture():
    t = worked_example()
    explanation = tg.explain(t["E"], t["W1"], (0, 0), names=t)
    assert str(explanation) == (
        "∂E/∂W1[0, 0] = −0.1110, by 1 path\n"
        "\n"
        "∂E/∂o · ∂o/∂net · ∂net/∂W1[0, 0]\n"
        "−0.4935 · 0.2500 · 0.8995 = −0.1110\n"
        "\n"
        "The product is the gradient, −0.1110."
    )


LOSSES = {
    "½(o − 1)²": lambda o: 0.5 * (o - 1) ** 2,
    "(o − 1)² / 2": lambda o: (o - 1) ** 2 / 2,
    "square": lambda o: tg.square(o - 1) / 2,
    "sum": lambda o: 0.5 * np.sum((o - 1) ** 2),
    "mean": lambda o: ((o - np.array([[1.0]])) ** 2).mean() * 0.5,
    "a product": lambda o: (o - 1) * (o - 1) * 0.5,
    "a variable as the target": lambda o: 0.5 * ((o - Tensor([[1.0]], name="y")) ** 2).sum(),
    "the target first": lambda o: 0.5 * (1 - o) ** 2,
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("named", [True, False])
def test_however_the_loss_is_written_the_factors_are_those_of_the_lecture(loss, named):
    t = worked_example()
    error = LOSSES[loss](t["o"])
    explanation = tg.explain(error, t["W1"], (0, 0), names={"o": t["o"]} if named else None)
    if loss == "a product":  # o is used twice: two paths, each with half of ∂E/∂o
        assert [path.product for path in explanation.paths] == [explanation.gradient / 2] * 2
    else:
        assert "\n−0.4935 · 0.2500 · 0.8995 = −0.1110\n" in str(explanation)
        assert len(explanation.paths) == 1
        assert not named or "∂E/∂o · ∂o/∂matmul#" in str(explanation)


def test_a_hidden_weight_has_five_factors():
    t = worked_example("o", "net", "h", "n")
    (path,) = tg.explain(t["E"], t["W0"], (1, 0)).paths
    assert path.symbols == (
        "∂E/∂o", "∂o/∂net", "∂net/∂h[0, 0]", "∂h[0, 0]/∂n[0, 0]", "∂n[0, 0]/∂W0[1, 0]",
    )  # fmt: skip
    expected = [-0.493490517035, 0.249957626632, 0.383, 0.090376734461, 1.0]
    np.testing.assert_allclose([f.value for f in path.factors], expected, rtol=1e-10)
    assert path.product == pytest.approx(-0.004269732066, rel=1e-9)


def test_an_input_has_a_path_by_every_hidden_unit():
    t = worked_example("o", "net", "h", "n")
    x = Tensor(t["x"], name="x")
    error = 0.5 * (tg.sigmoid(tg.sigmoid(x @ t["W0"]) @ t["W1"]) - 1) ** 2
    explanation = tg.explain(error, x, (0, 1))
    assert explanation.count == 3
    assert explanation.gradient == pytest.approx(-0.007775500375, rel=1e-9)
    sizes = [abs(path.product) for path in explanation.paths]
    assert sizes == sorted(sizes, reverse=True)


def test_weights_that_are_single_numbers_read_the_same():
    weights = [Tensor(w, name=f"w{i}") for i, (w,) in enumerate(W1)]
    hidden = [0.899528804392, 0.593149336129, 0.378481143072]
    net = sum(w * h for w, h in zip(weights, hidden, strict=True))
    text = str(tg.explain(0.5 * (tg.sigmoid(net) - 1) ** 2, weights[0], names={"net": net}))
    assert "∂sigmoid#14/∂net · ∂net/∂w0" in text
    assert "−0.4935 · 0.2500 · 0.8995 = −0.1110" in text


def test_a_bias_belongs_to_the_sum_that_it_is_part_of():
    x, w, b = (
        Tensor(v, name=n) for v, n in [([[2.0, 3.0]], "x"), ([[0.1], [0.2]], "w"), (0.5, "b")]
    )
    h = tg.tanh(x @ w + b)
    assert tg.explain(h, w, (0, 0)).paths[0].symbols == ("∂E/∂add#4", "∂add#4/∂w[0, 0]")
    assert tg.explain(h, b).paths[0].symbols == ("∂E/∂b",)


def test_names_come_from_tensors_then_from_the_dict_then_from_ops():
    t = worked_example("o")
    other = {"output": t["o"], "net": t["net"], "_": t["net"], "x": t["x"], "n": 3}
    symbols = tg.explain(t["E"], t["W0"], (1, 0), names=other).paths[0].symbols
    assert symbols[:3] == ("∂E/∂o", "∂o/∂net", "∂net/∂sigmoid#4[0, 0]")
    loss = (t["o"] * 2).sum()
    loss.name = "L"
    explanation = tg.explain(loss, t["h"], (0, 0))
    assert (explanation.root, explanation.entry) == ("L", "w[0, 0]")


# ---------------------------------------------------------------------------------- all paths


def enumerated(root, leaf):
    """List the products of all paths, one by one."""
    found, stack = [], [(root, 1.0)]
    while stack:
        node, product = stack.pop()
        if node is leaf:
            found.append(product)
        stack.extend((edge.lower, product * edge.factor) for edge in edges_to(node, {}))
    return found


@st.composite
def tangles(draw):
    """Draw a small graph of numbers in which nodes are used again and again."""
    rng = draw(seeds)
    nodes = [Tensor(rng.uniform(-1.5, 1.5), name="x")]
    for _ in range(draw(st.integers(1, 9))):
        a, b = (nodes[draw(st.integers(0, len(nodes) - 1))] for _ in range(2))
        made = draw(st.sampled_from(["add", "multiply", "subtract", "tanh", "square", "maximum"]))
        nodes.append(OPS[made](a) if OPS[made].arity == 1 else OPS[made](a, b))
    return nodes[0], nodes[-1]


@given(tangles(), st.integers(1, 12))
def test_number_sum_and_largest_are_those_of_all_paths_one_by_one(tangle, most):
    x, y = tangle
    if all(node is not x for node in walk(y)) or y is x:
        return
    scalars = expand(y, focus=(x, ()))
    leaf = scalars.entries[x][()]
    products = enumerated(scalars.root, leaf)
    found = find_paths(scalars.root, leaf, {}, most)
    assert found.number == len(products)
    size = sum(map(abs, products))
    assert found.total == pytest.approx(math.fsum(products), abs=1e-12 * (1 + size))
    assert found.size == pytest.approx(size, rel=1e-12)
    largest = sorted(map(abs, products), reverse=True)[:most]
    ours = [math.prod(edge.factor for edge in path) for path in found.largest]
    np.testing.assert_allclose(np.abs(ours), largest, rtol=1e-12, atol=0)
    assert len({tuple((id(e.upper), e.slot) for e in path) for path in found.largest}) == len(ours)


def test_the_paths_of_a_network_are_the_products_of_its_layers():
    rng = np.random.default_rng(4)
    sizes = (3, 4, 5, 2)
    w = [Tensor(rng.normal(size=s), name=f"W{i}") for i, s in enumerate(itertools.pairwise(sizes))]
    x = rng.normal(size=(1, 3))
    h1 = tg.tanh(x @ w[0])
    h2 = tg.tanh(h1 @ w[1])
    loss = ((h2 @ w[2]) ** 2).sum()
    explanation = tg.explain(loss, w[0], (2, 1), paths=1000)
    assert explanation.count == 5 * 2
    assert explanation.rest is None
    d1, d2 = 1 - h1.data[0, 1] ** 2, 1 - h2.data[0] ** 2
    error = 2 * (h2.data @ w[2].data)[0]
    expected = [
        error[k] * w[2].data[j, k] * d2[j] * w[1].data[1, j] * d1 * x[0, 2]
        for j in range(5) for k in range(2)
    ]  # fmt: skip
    found = sorted(path.product for path in explanation.paths)
    np.testing.assert_allclose(found, sorted(expected), rtol=1e-9)


def test_thirty_doublings_have_two_to_the_thirty_paths():
    x = Tensor(1 + 1e-8, name="x")
    y = x
    for _ in range(30):
        y = y * y
    explanation = tg.explain(y, x)
    assert explanation.count == 2**30
    assert explanation.rest.count == 2**30 - 8
    assert "rest: 1,073,741,816 paths, sum" in str(explanation)
    assert "by 1,073,741,824 paths" in str(explanation)
    shown = math.fsum(path.product for path in explanation.paths)
    assert explanation.rest.sum == explanation.gradient - shown
    assert explanation.total == pytest.approx(explanation.gradient, rel=1e-12)


def test_the_number_of_paths_is_exact_beyond_any_float():
    x = Tensor(1.0, name="x")
    y = x
    for _ in range(200):
        y = 0.5 * (y + y)
    assert tg.explain(y, x).count == 2**200


def test_the_largest_are_found_where_products_leave_the_range_of_floats():
    """Two ways, of size 10⁻⁴⁰⁰ and 2 · 10⁻⁴⁰⁰, and one that is 0."""
    x = Tensor(1.0, name="x")
    a, b = (x * k for k in (1e-200, 2e-200))
    y = (a * 1e-200) + (b * 1e-200) + x * 0.0
    first, second = tg.explain(y, x, paths=2).paths
    assert [edge.factor for edge in first.edges if edge.factor != 1] == [1e-200, 2e-200]
    assert [edge.factor for edge in second.edges if edge.factor != 1] == [1e-200, 1e-200]


def test_a_branch_that_was_not_taken_is_no_path():
    x = Tensor([4.0, 0.0], name="x")
    y = tg.where(x > 0, tg.sqrt(x), 0.0).sum()
    assert tg.explain(y, x, 0).count == 1
    explanation = tg.explain(y, x, 1)
    assert (explanation.count, explanation.gradient, explanation.paths) == (0, 0.0, ())
    assert str(explanation) == (
        "∂E/∂x[1] = 0.000, by 0 paths\n\n"
        "Every path goes by a branch that was not taken: nothing is passed on."
    )


def test_paths_that_read_alike_are_told_apart_if_they_can_be():
    z = Tensor([0.2, 0.5, -1.0], name="z")
    direct, around = tg.explain(-tg.log_softmax(z)[0], z, 0).paths
    assert direct.symbols == ("∂E/∂log_softmax#1[0]", "∂log_softmax#1[0]/∂z[0]")
    assert around.symbols[1:] == ("∂log_softmax#1[0]/∂log", "∂log/∂exp", "∂exp/∂z[0]")
    for paths in (tg.explain(f(z)[0], z, 0).paths for f in (tg.softmax, tg.log_softmax)):
        assert len({path.symbols for path in paths}) == len(paths)


def test_paths_that_end_in_a_sum_inside_of_an_op_are_told_apart():
    x = Tensor([3.0, 4.0], name="x")
    first, second = tg.explain(tg.checkpoint(lambda x: (x * x).sum())(x), x, 0).paths
    assert first.product == second.product == 3
    assert first.symbols == second.symbols == ("∂E/∂x[0]",)  # two arguments of one product


def test_an_op_that_is_known_as_a_whole_is_one_factor():
    a = Tensor([[2.0, 1.0], [1.0, 3.0]], name="a")
    (path,) = tg.explain(tg.exp(tg.inv(a)[0, 1] + 1), a, (1, 1)).paths
    assert path.symbols == ("∂E/∂inv#1[0, 1]", "∂inv#1[0, 1]/∂a[1, 1]")
    np.testing.assert_allclose([f.value for f in path.factors], [np.exp(0.8), 0.08])


# ---------------------------------------------------------------------------------- the sum


@each(DIFFERENTIABLE)
def test_the_products_sum_to_the_gradient_for_every_op(entry):
    """`explain` raises if they do not; here the sum is taken again, and compared."""
    rng = np.random.default_rng(6)
    for sample in itertools.islice(every_case(entry), 12):
        inputs = [Tensor(x) for x in sample.varied]
        outputs = flatten(sample(*inputs))[0]
        root = sum((y * random_like(y.data, rng)).sum() for y in outputs)
        for x in inputs:
            if not x.size or not root.requires_grad:
                continue
            index = tuple(int(rng.integers(n)) for n in x.shape)
            try:
                explanation = tg.explain(root, x, index, paths=10_000)
            except tg.GraphError as error:
                assert "no gradient leads" in str(error)  # noqa: PT017
                continue
            products = [path.product for path in explanation.paths]
            assert explanation.count == len(products)
            size = 1 + sum(map(abs, products))
            assert math.fsum(products) == pytest.approx(explanation.gradient, abs=1e-12 * size)
            assert explanation.total == pytest.approx(explanation.gradient, abs=1e-12 * size)
            assert explanation.gradient == root.gradient(x)[index]


def test_the_factors_are_those_of_the_arrays_where_the_order_of_a_sum_matters():
    """After cancellation the scalar graph, which adds in another order, has other last digits."""
    rng = np.random.default_rng(2)
    w = Tensor(rng.normal(size=(400, 1)), name="w")
    x = rng.normal(size=(1, 400))
    x[0, -1] -= (x @ w.data).item() / w.data[-1, 0]  # the net input is 0 but for rounding
    net = 1e12 * (x @ w)
    assert expand(net).root.item() != net.item() != 0
    explanation = tg.explain(net**2, w, (3, 0))
    assert explanation.total == pytest.approx(explanation.gradient, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_low_precision_is_no_reason_to_refuse(dtype):
    rng = np.random.default_rng(2)
    w = Tensor(rng.normal(size=(9, 1)), name="w", dtype=dtype)
    x = rng.normal(size=(3, 9)).astype(dtype)
    tg.explain(tg.mean(tg.tanh(x @ w) ** 2), w, (3, 0))


def test_mixed_precision_is_judged_by_the_coarsest():
    rng = np.random.default_rng(2)
    w = Tensor(rng.normal(size=(9, 1)), name="w", dtype=np.float32)
    v = Tensor(rng.normal(size=(9, 1)), name="v")
    loss = tg.tanh(rng.normal(size=(3, 9)) @ (w * v)).astype(np.float32).sum() * np.float64(0.1)
    for tensor in (w, v):
        explanation = tg.explain(loss, tensor, (3, 0))
        assert explanation.total == pytest.approx(explanation.gradient, rel=1e-5)


@pytest.mark.parametrize(("value", "word"), [(0.0, "inf"), (-1.0, "nan")])
def test_a_gradient_that_is_not_finite_is_told_as_it_is(value, word):
    x = Tensor([1.0, value], name="x")
    with np.errstate(all="ignore"):
        explanation = tg.explain(tg.sqrt(x).sum(), x, 1)
    assert f"∂E/∂x[1] = {word}, by 1 path" in str(explanation)
    assert f"The products sum to {word}; the gradient is {word}." in str(explanation)


def test_a_wrong_definition_is_an_error_and_not_an_explanation(monkeypatch):
    monkeypatch.setattr(OPS["mean"].facts, "definition", lambda x, axis, keepdims: x.sum())
    x = Tensor([1.0, 2.0], name="x")
    with pytest.raises(tg.GradientError) as caught:
        tg.explain(tg.mean(x * x), x, 1)
    assert str(caught.value).startswith(
        "explain, ∂E/∂x[1]: got a gradient of 2.0 and 2 products that sum to 4.0; expected the "
        "same, up to rounding by "
    )
    assert str(caught.value).endswith(
        "Check the rules and the definition of each op on the way, e.g. with gradcheck."
    )


def test_explaining_changes_no_gradient():
    t = worked_example()
    t["E"].backward()
    before = t["W1"].grad.copy()
    tg.explain(t["E"], t["W1"], (0, 0))
    np.testing.assert_array_equal(t["W1"].grad, before)


def test_deep_graphs_are_explained():
    x = Tensor(0.5, name="x")
    y = x
    for _ in range(3000):
        y = tg.sin(y) * 1.0005
    explanation = tg.explain(y, x)
    assert explanation.count == 1
    assert len(explanation.paths[0].factors) == 3000
    assert str(explanation).count(" · … · ") == 2


# ---------------------------------------------------------------------------------- bad questions

u = Tensor([[1.0, 2.0], [3.0, 4.0]], name="u")
constant = Tensor([1.0, 2.0], name="c", requires_grad=False)
error_of_u = (u * u * constant).sum()


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ((3.0, u), tg.GraphError, "explain, argument E: got float 3.0; expected a Tensor. Pass"),
        ((u * 1, u, (0, 0)), tg.ShapeError,
         "explain, argument E: got shape (2, 2); expected a single element. Explain one entry, "
         "such as E[0], or E.sum()."),
        ((error_of_u, np.ones(3)), tg.GraphError,
         "explain, argument w: got float64 of shape (3,); expected a Tensor."),
        ((error_of_u, u), tg.ShapeError,
         "explain, argument index: got no index for a tensor of shape (2, 2); expected the index "
         "of one entry. Pass one number for each axis, such as (0, 0)."),
        ((error_of_u, u, (2, 0)), tg.ShapeError,
         "argument index: got index (2, 0); expected an entry of a tensor of shape (2, 2)."),
        ((error_of_u, u, 1), tg.ShapeError, "got index (1,); expected an entry of"),
        ((error_of_u, u, (0.5, 0)), tg.InputError, "expected whole numbers, 2 of them"),
        ((error_of_u, Tensor([1.0], name="v")), tg.GraphError,
         "explain, argument w: got v, outside the graph of E; expected a tensor that E was "
         "computed from. Pass the very tensor, not a copy of it."),
        ((error_of_u, constant, 0), tg.GraphError,
         "explain, argument w: got c, a constant; expected a tensor with a gradient."),
        ((error_of_u, error_of_u), tg.GraphError, "got E itself; expected a tensor that E was"),
        ((u[0, 0] + tg.stop_gradient(u[0, 1]), u, (0, 1)), tg.GraphError,
         "the paths of a gradient: got u[0, 1], from which no gradient leads to the root;"),
    ],
)  # fmt: skip
def test_a_bad_question_gets_one_clear_error(arguments, kind, text):
    with pytest.raises(kind) as caught:
        tg.explain(*arguments)
    assert text in str(caught.value)


@pytest.mark.parametrize("paths", [0, -1, 1.5, "all", None])
def test_the_number_of_paths_to_show_is_a_whole_number(paths):
    with pytest.raises(tg.InputError, match="explain, argument paths: got"):
        tg.explain(error_of_u, u, (0, 0), paths=paths)


def test_names_are_a_dict():
    with pytest.raises(tg.InputError, match="names: got str 'u'; expected a dict of names"):
        tg.explain(error_of_u, u, (0, 0), names="u")


def test_two_explanations_of_the_same_gradient_are_equal():
    a, b = (tg.explain(error_of_u, u, (0, 1)) for _ in range(2))
    assert a == b
    assert hash(a) == hash(b)
    assert a != tg.explain(error_of_u, u, (1, 1))


def test_a_graph_beyond_the_budget_is_refused():
    with pytest.raises(tg.GraphError, match="more than 3 scalar nodes; expected at most 3"):
        tg.explain(error_of_u, u, (0, 0), budget=3)
