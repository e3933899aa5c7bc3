"""Compiled programs give the numbers of the recorded graph: every op, random programs, all engines.

+ − × ÷ √ max and where are equal to the last bit; exp, log and tanh within 4 units in the last
place over their whole domain; sums within n times the rounding of one addition.
"""

import numpy as np
import pytest
from conftest import require
from hypothesis import given
from hypothesis import strategies as st
from programs import EXACT, EXTREME, MOVING, SMOOTH, draw
from samples import DIFFERENTIABLE, PRIMITIVE, Sample, make, samples

import tinygrad_bp as tg
from tinygrad_bp.facts import OPS
from tinygrad_bp.nested import flatten

seeds = st.integers(0, 2**32 - 1)
COMPILED = [e for e in DIFFERENTIABLE if e.facts.name != "det"]  # it asks whether it is zero


engines = pytest.mark.parametrize("engine", ["native", "numpy"])


def compiled(function, engine):
    if engine == "native":
        require("llvmlite", "fast")
    return tg.compile(function, engine)


def arrays(tree):
    return [np.asarray(y) for y in flatten(tree)[0]]


def recorded(function, inputs):
    return arrays(function(*(tg.Tensor(x, dtype=x.dtype) for x in inputs)))


@pytest.fixture(autouse=True, scope="module")
def quietly():
    with np.errstate(all="ignore"):  # overflow and NaN are wanted here
        yield


# ------------------------------------------------------------------------------ every op


@engines
@pytest.mark.parametrize("name", OPS)
def test_every_op_has_the_same_value(name, engine):
    entry, rng = OPS[name], np.random.default_rng(0)
    every = (
        list(entry.facts.cases((2, 3))) if entry.facts.cases else [(((2, 3),) * entry.arity, {})]
    )
    for shapes, params in every[:3]:
        sample = make(entry, shapes, params, rng)
        expected = recorded(lambda *xs, s=sample: s.call(xs), sample.inputs)
        found = arrays(compiled(lambda *xs, s=sample: s.call(xs), engine)(*sample.inputs))
        for a, b in zip(found, expected, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


@engines
@pytest.mark.parametrize("entry", COMPILED, ids=lambda e: e.facts.name)
def test_every_op_has_the_same_gradient(entry, engine):
    every = (
        list(entry.facts.cases((2, 3))) if entry.facts.cases else [(((2, 3),) * entry.arity, {})]
    )
    sample = make(entry, *every[0], np.random.default_rng(1))

    def weighed(*xs):
        parts = [y * np.cos(np.arange(y.size)).reshape(y.shape) for y in flatten(sample(*xs))[0]]
        return sum(p.sum() for p in parts)

    slopes = tg.grad(weighed, tuple(range(len(sample.varied))))
    found = compiled(slopes, engine)(*sample.varied)
    for a, b in zip(found, slopes(*sample.varied), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@given(data=st.data())
def test_any_layout_in_memory_gives_the_same_values(data):
    entry = data.draw(st.sampled_from([e for e in PRIMITIVE if e.facts.name != "cholesky"]))
    sample: Sample = data.draw(samples(entry))
    expected = recorded(lambda *xs: sample.call(xs), sample.inputs)
    found = arrays(compiled(lambda *xs: sample.call(xs), "numpy")(*sample.inputs))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


# ------------------------------------------------------------------------------ random programs


def assert_same_bits(a, b):
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    nan = np.isnan(a) & np.isnan(b)
    assert np.array_equal(np.where(nan, 0, a), np.where(nan, 0, b))
    assert np.array_equal(np.signbit(a) & ~nan, np.signbit(b) & ~nan)


@engines
@given(seed=seeds)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("special", [False, True])
def test_exact_ops_agree_to_the_last_bit(seed, dtype, special, engine):
    function, inputs = draw(seed, EXACT + MOVING, dtype=dtype, special=special)
    expected = recorded(function, inputs)
    for a, b in zip(arrays(compiled(function, engine)(*inputs)), expected, strict=True):
        assert_same_bits(a, b)


@engines
@given(seed=seeds)
def test_extremes_agree_but_for_the_sign_of_zero(seed, engine):
    function, inputs = draw(seed, EXACT[:3] + EXTREME + MOVING, special=True)
    expected = recorded(function, inputs)
    for a, b in zip(arrays(compiled(function, engine)(*inputs)), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@engines
@given(seed=seeds)
def test_smooth_ops_and_their_gradients_agree(seed, engine):
    function, inputs = draw(seed, SMOOTH + MOVING + ("add", "multiply"), length=5)

    def total(*xs):
        return sum(tg.tanh(y).sum() for y in function(*xs)) + sum(0 * x.sum() for x in xs)

    both = tg.value_and_grad(total, (0, 1, 2))
    expected = arrays(both(*inputs))
    for a, b in zip(arrays(compiled(both, engine)(*inputs)), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


# ------------------------------------------------------------------------------ exp, log, tanh

LIMIT = 4  # units in the last place


def whole_domain(dtype, count=1 << 16):
    """Take all exponents and signs, the neighbourhoods of limits, subnormals, infinities, NaN."""
    rng = np.random.default_rng(2)
    bits = np.dtype(f"u{np.dtype(dtype).itemsize}")
    spread = rng.integers(0, np.iinfo(bits).max, count, dtype=bits, endpoint=True).view(dtype)
    near = [rng.uniform(-a, a, count // 8).astype(dtype) for a in (1e-3, 1, 30, 110, 750)]
    edges = [0, 1, 88.722839, 103.9721, 709.782712893384, 745.1332191019411, np.inf, np.nan]
    edges += [np.finfo(dtype).max, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal]
    edges = np.array([*edges, *(-x for x in edges)], dtype)
    around = [np.nextafter(edges, dtype(s)) for s in (-np.inf, np.inf)]
    return np.concatenate([spread, *near, edges, *around])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
def test_own_functions_are_right_over_their_whole_domain(name, dtype):
    x = whole_domain(dtype)
    found = compiled(getattr(tg, name), "native")(x)
    exact = getattr(np, name)(x.astype(np.longdouble))
    expected = exact.astype(dtype)
    finite = np.isfinite(expected) & np.isfinite(found)
    assert np.array_equal(found[~finite], expected[~finite], equal_nan=True)
    unit = np.spacing(np.abs(expected[finite])).astype(np.longdouble)
    assert (np.abs(found[finite] - exact[finite]) / unit).max() <= LIMIT


@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
def test_an_element_does_not_depend_on_its_neighbours(name):
    x = np.abs(np.random.default_rng(3).standard_normal(23)) * 5
    fast = compiled(getattr(tg, name), "native")
    assert np.array_equal(fast(x), [fast(x[i : i + 1])[0] for i in range(len(x))])


# ------------------------------------------------------------------------------ sums


@engines
@given(seed=seeds, n=st.integers(1, 300), dtype=st.sampled_from([np.float64, np.float32]))
def test_sums_are_within_n_roundings(seed, n, dtype, engine):
    x = (np.random.default_rng(seed).standard_normal((3, n, 2)) * 100).astype(dtype)
    for axis in (None, 0, 1, 2, (0, 2)):
        found = compiled(lambda x, axis=axis: x.sum(axis), engine)(x)
        exact = x.astype(np.longdouble).sum(axis)
        bound = 3 * n * 2 * np.finfo(dtype).eps * np.abs(x).astype(np.longdouble).sum(axis)
        assert np.all(np.abs(found - exact) <= bound)


@engines
@given(seed=seeds, sizes=st.tuples(*[st.integers(1, 70)] * 3))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_products_of_matrices_are_within_n_roundings(seed, sizes, dtype, engine):
    rng = np.random.default_rng(seed)
    m, k, n = sizes
    for left, right in (((m, k), (k, n)), ((k, m), (k, n)), ((m, k), (n, k)), ((k, m), (n, k))):
        a, b = rng.standard_normal(left).astype(dtype), rng.standard_normal(right).astype(dtype)

        def product(a, b, flip_a=left != (m, k), flip_b=right != (k, n)):
            return (a.T if flip_a else a) @ (b.T if flip_b else b)

        found = compiled(product, engine)(a, b)
        exact = product(a.astype(np.longdouble), b.astype(np.longdouble))
        bound = 2 * (k + 1) * np.finfo(dtype).eps * (product(np.abs(a), np.abs(b)) + 1)
        assert np.all(np.abs(found - exact) <= bound)


@engines
def test_the_order_of_nan_and_infinity_is_kept(engine):
    a = np.array([[1.0, np.nan, 2.0], [np.inf, 1.0, 0.0], [0.0, 0.0, -np.inf]])
    found = compiled(lambda a: (a @ a, a.sum(0), a.max(1), a.argmax(1), a.min()), engine)(a)
    for x, y in zip(found, (a @ a, a.sum(0), a.max(1), a.argmax(1), a.min()), strict=True):
        np.testing.assert_array_equal(x, y)
