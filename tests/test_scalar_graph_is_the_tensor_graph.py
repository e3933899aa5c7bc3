"""The scalar graph specifies the tensor graph: the same values, the same gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numerics import random_like
from samples import DIFFERENTIABLE, OPS, each, every_case, make, samples

import tinygrad_bp as tg
from tinygrad_bp.graph import walk
from tinygrad_bp.nested import flatten
from tinygrad_bp.op import Op
from tinygrad_bp.scalar.expand import expand
from tinygrad_bp.tensor import Tensor

few = settings(max_examples=4)  # for each of some hundred ops
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
CLOSE = 64 * np.finfo(float).eps  # the same sums in another order

# Ops that stay one node over all their entries, and why.
WHOLE = {
    "inv": "its entries are quotients of determinants: n! terms each",
    "det": "n! products",
    "cofactors": "determinants of all minors",
    "logabsdet": "the logarithm of a determinant",
    "solve": "an elimination, whose steps depend on the pivots",
    "cholesky": "one recurrence through all entries",
    "scatter": "adds what is sent to one place; it occurs in gradients of `getitem` alone",
}
# Ops without a derivative, whose results are constants in the scalar graph.
CONSTANT = {
    "any": "an answer", "all": "an answer", "argmax": "a position", "argmin": "a position",
    "det_sign": "a sign",
}  # fmt: skip


def weighted(sample, rng):
    """Record an op on tensors, and weigh its results by random cotangents into one number."""
    inputs = [Tensor(x) for x in sample.varied]
    outputs = flatten(sample(*inputs))[0]
    return inputs, sum((y * random_like(y.data, rng)).sum() for y in outputs)


def scale_of(root, inputs, expected):
    """Say how large the numbers are from whose rounding two results may differ."""
    numbers = [root.data, *(x.data for x in inputs), *expected.values()]
    return 1 + sum(float(np.sum(np.abs(x))) for x in numbers)


def gradients(root, inputs):
    return root._gradients(inputs, False) if root.requires_grad else {}


def assert_same(found, expected, scale):
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE * scale)


def around(root, x, index):
    """Expand around an entry; None if no gradient comes from there."""
    try:
        return expand(root, focus=(x, index))
    except tg.GraphError as error:
        if "no gradient leads to the root" not in str(error):
            raise
        return None


def check_whole(sample, rng):
    """Compare value and gradients of a sample with those of its whole scalar graph."""
    inputs, root = weighted(sample, rng)
    scalars = expand(root)
    expected = gradients(root, inputs)
    scale = scale_of(root, inputs, expected)
    assert scalars.root.shape == ()
    assert_same(scalars.root.data, root.data, scale)
    if scalars.root.requires_grad:  # not the sum of nothing
        scalars.root.backward()
    for x in inputs:
        entries = scalars.entries.get(x, np.full(x.shape, None))
        found = np.zeros(x.shape)
        for index, entry in np.ndenumerate(entries):
            if entry is not None and entry.grad is not None:
                found[index] = entry.grad
        assert_same(found, expected.get(x, 0.0), scale)


@each(DIFFERENTIABLE)
def test_every_declared_case_has_the_same_values_and_gradients(entry):
    rng = np.random.default_rng(3)
    for sample in every_case(entry):
        check_whole(sample, rng)


@each(DIFFERENTIABLE)
@few
@given(data=st.data(), rng=seeds)
def test_any_sample_has_the_same_value_and_gradients(entry, data, rng):
    check_whole(data.draw(samples(entry)), rng)


@each(DIFFERENTIABLE)
@few
@given(data=st.data(), rng=seeds)
def test_around_one_entry_value_and_gradient_are_the_same(entry, data, rng):
    inputs, root = weighted(data.draw(samples(entry)), rng)
    expected = gradients(root, inputs)
    candidates = [(x, i) for x in inputs for i in range(x.size) if x in expected]
    if not candidates:
        return
    x, position = candidates[rng.integers(len(candidates))]
    index = np.unravel_index(position, x.shape)
    scalars = around(root, x, index)
    if scalars is None:
        assert expected[x][index] == 0
        return
    scale = scale_of(root, inputs, expected)
    assert_same(scalars.root.data, root.data, scale)
    found = scalars.root.gradient(scalars.entries[x][index])
    assert_same(found, expected[x][index], scale)


@pytest.mark.parametrize("name", ["max", "min", "max_pool2d", "maximum", "norm"])
def test_ties_are_shared_as_in_the_tensor_graph(name):
    """Where no two numbers differ, in every declared case."""
    rng = np.random.default_rng(5)
    for sample in every_case(OPS[name]):
        check_whole(sample._replace(inputs=[np.ones(x.shape) for x in sample.inputs]), rng)


@pytest.mark.parametrize("name", ["norm", "euclidean_norm", "std", "prod", "cumsum"])
def test_zeros_have_the_same_gradients(name):
    rng = np.random.default_rng(5)
    for sample in every_case(OPS[name]):
        if sample.params.get("ord") != 3:
            check_whole(sample._replace(inputs=[np.zeros(x.shape) for x in sample.inputs]), rng)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_a_norm_neither_overflows_nor_vanishes(size):
    x = Tensor([3 * size, 4 * size])
    scalars = expand(tg.norm(x))
    np.testing.assert_allclose(scalars.root.data, 5 * size)
    g = scalars.root.gradient(*scalars.entries[x])
    np.testing.assert_allclose(g, [0.6, 0.8])


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_a_softmax_does_not_overflow(name):
    x = Tensor([1000.0, 999.0, -1000.0])
    y = OPS[name](x)
    u = np.array([0.3, -0.5, 0.7]) if y.ndim else np.float64(1)
    root = (y * u).sum()
    scalars = expand(root)
    np.testing.assert_allclose(scalars.root.data, root.data)
    found = [scalars.root.gradient(entry) for entry in scalars.entries[x]]
    np.testing.assert_allclose(found, root.gradient(x), atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_numbers_keep_their_dtype(dtype):
    x = Tensor(np.array([0.5, 1.5]), dtype=dtype)
    root = (2 * tg.exp(x) / x).sum()
    scalars = expand(root)
    assert {node.dtype for node in walk(scalars.root) if node.requires_grad} == {np.dtype(dtype)}
    np.testing.assert_allclose(scalars.root.data, root.data, rtol=2 * np.finfo(dtype).eps)


def test_a_change_of_dtype_rounds_every_number():
    x = Tensor([0.1, 0.2])
    scalars = expand((x.astype(np.float32) * 3).sum())
    y = scalars.entries[x]
    assert scalars.root.dtype == np.float32
    np.testing.assert_allclose([scalars.root.gradient(e) for e in y], [3, 3])


# ---------------------------------------------------------------------------------- which have one


def opaque(entry):
    """Ask whether an op stays one node over all entries, or a constant, in some declared case."""
    names = set()
    for sample in every_case(entry):
        inputs = [Tensor(x) for x in sample.varied]
        for y in flatten(sample(*inputs))[0]:
            if y.size and any(x.size for x in inputs):
                notes = expand(y, focus=(y, (0,) * y.ndim)).notes
                names |= {note.split()[0] for note in notes[1:]}
    return names


@each([entry for entry in OPS.values() if isinstance(entry, Op)])
def test_every_op_has_a_scalar_meaning_or_is_listed_with_the_reason(entry):
    expected = {entry.name} if entry.name in WHOLE | CONSTANT else set()
    assert opaque(entry) == expected


def test_only_ops_without_a_derivative_become_constants():
    assert not any(OPS[name].differentiable for name in CONSTANT)
    assert all(OPS[name].differentiable for name in WHOLE)


def test_an_op_without_a_derivative_is_a_constant_with_the_right_value():
    x = Tensor([1.0, 5.0, 2.0])
    root = x.sum() * tg.argmax(x)
    scalars = expand(root)
    assert scalars.root.item() == 8.0
    assert scalars.root.gradient(scalars.entries[x][0]) == 1.0


def test_a_scatter_to_different_places_only_routes():
    x = Tensor([1.0, 2.0])
    y = tg.scatter(x, (np.array([2, 0]),), (3,))
    scalars = expand(y, focus=(y, 2))
    assert scalars.root is scalars.entries[x][0]


# ---------------------------------------------------------------------------------- new ops


def test_a_new_op_needs_no_word_about_scalars(monkeypatch):
    """One that acts on each element, one that routes elements, one that is something else."""

    @tg.elementwise("x⁴", method=False, numpy=())
    def fourth(x):
        return x * x * x * x

    @fourth.derivative
    def _(y, x):
        return 4 * x * x * x

    @tg.structural("◣", routes=True, method=False, numpy=())
    def lower_triangle(x):
        return np.tril(x)

    @lower_triangle.vjp
    def _(g, y, x):
        return lower_triangle(g)

    @tg.structural("a×b", method=False, numpy=())
    def crossed(a, b):
        return np.cross(a, b)

    @crossed.vjp
    def _(g, y, a, b):
        return crossed(b, g)

    @crossed.vjp
    def _(g, y, a, b):
        return crossed(g, a)

    for op in (fourth, lower_triangle, crossed):
        monkeypatch.delitem(OPS, op.name)  # what is declared in a test ends with it
    rng = np.random.default_rng(8)
    check_whole(make(fourth, [(3,)], {}, rng), rng)
    check_whole(make(lower_triangle, [(3, 3)], {}, rng), rng)
    check_whole(make(crossed, [(3,), (3,)], {}, rng), rng)
    x = Tensor(rng.normal(size=(2, 2)))
    triangle = lower_triangle(x)
    assert expand(triangle, focus=(triangle, (1, 0))).root.name == "leaf#0[1, 0]"
    assert expand(triangle, focus=(triangle, (0, 1))).root.item() == 0


def test_what_a_definition_says_is_what_is_expanded(monkeypatch):
    @tg.structural("Σx²", method=False, numpy=())
    def power_of(x):
        return np.sum(x * x)

    @power_of.vjp
    def _(g, y, x):
        return 2 * g * x

    @power_of.definition
    def _(x):
        return (x * x).sum()

    monkeypatch.delitem(OPS, power_of.name)
    rng = np.random.default_rng(8)
    check_whole(make(power_of, [(2, 3)], {}, rng), rng)
    y = power_of(Tensor([1.0, 2.0]))
    assert [n.op.name for n in walk(expand(y).root) if n.op] == ["multiply", "multiply", "add"]


def test_a_checkpoint_is_expanded_into_what_it_records():
    w = Tensor([0.3, -0.2], name="w")
    plain = tg.tanh(w * w).sum()
    kept = tg.checkpoint(lambda x: tg.tanh(x * w).sum())(w)
    for root in (plain, kept):
        scalars = expand(root)
        assert sum(node.op is not None for node in walk(scalars.root)) == 5
        found = [scalars.root.gradient(entry) for entry in scalars.entries[w]]
        np.testing.assert_allclose(found, plain.gradient(w), rtol=1e-15)


def test_a_gradient_is_a_graph_and_has_a_scalar_graph_too():
    x = Tensor([0.3, 0.7], name="x")
    (slope,) = (tg.sigmoid(x).prod().gradient(x, differentiable=True),)
    root = (slope * np.array([2.0, -1.0])).sum()
    scalars = expand(root)
    np.testing.assert_allclose(scalars.root.data, root.data, rtol=1e-14)
    found = [scalars.root.gradient(entry) for entry in scalars.entries[x]]
    np.testing.assert_allclose(found, root.gradient(x), rtol=1e-13)
