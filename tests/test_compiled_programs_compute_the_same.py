"""Compiled programs give the numbers of the recorded graph: every op, random programs, all engines.

+ − × ÷ √ maximum, minimum and where are equal to the last bit; exp, log and tanh within 4 units in
the last place over their whole domain; sums within n times the rounding of one addition.
"""

import itertools

import numpy as np
import pytest
from conftest import require
from hypothesis import given
from hypothesis import strategies as st
from programs import EXACT, EXTREME, MOVING, SMOOTH, draw
from samples import DIFFERENTIABLE, PRIMITIVE, Sample, make, samples

import tinygrad_bp as tg
from tinygrad_bp.check.samples import cases_of
from tinygrad_bp.compiler import llvm_emit
from tinygrad_bp.facts import OPS
from tinygrad_bp.nested import flatten

seeds = st.integers(0, 2**32 - 1)


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


def questions(sample, rng):
    """Yield what may be asked about an entry at a sample: a function, and its arguments."""
    inputs, count = sample.varied, len(sample.varied)
    yield "value", sample, inputs
    if sample.entry not in DIFFERENTIABLE:
        return
    cotangents = [rng.standard_normal(y.shape) for y in recorded(sample, inputs)]
    tangents = tuple(rng.standard_normal(x.shape) for x in inputs)

    def weighed(*xs):
        ys = flatten(sample(*xs[:count]))[0]
        return sum((y * u).sum() for y, u in zip(ys, xs[count:], strict=True))

    def pushed(*xs):
        return tg.jvp(sample, xs[:count], xs[count:])

    def curved(*xs):
        return tg.hvp(lambda *xs: weighed(*xs, *cotangents), xs[:count], xs[count:])

    yield "vjp", tg.grad(weighed, tuple(range(count))), [*inputs, *cotangents]
    yield "jvp", pushed, [*inputs, *tangents]
    yield "hvp", curved, [*inputs, *tangents]


def refusals(name, engine, shapes, asked=("value", "vjp", "jvp", "hvp")):
    """List what an engine does not compile of an entry; compare the numbers of all the rest."""
    entry, rng, found = OPS[name], np.random.default_rng(0), []
    for shapes_of_inputs, params in (case for shape in shapes for case in cases_of(entry, shape)):
        sample = make(entry, shapes_of_inputs, params, rng)
        for what, function, inputs in questions(sample, rng):
            if what not in asked:
                continue
            expected = arrays(function(*inputs)) if what != "value" else recorded(sample, inputs)
            try:
                results = arrays(compiled(function, engine)(*inputs))
            except tg.CompileError as error:
                found.append((what, params, str(error)))
                continue
            for a, b in zip(results, expected, strict=True):
                assert (a.shape, a.dtype) == (b.shape, b.dtype)
                np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12, err_msg=f"{sample} {what}")
    return found


@pytest.mark.parametrize("name", OPS)
def test_everything_that_is_recorded_is_compiled(name):
    """Each op in each declared case: its value, its vjp, its jvp, a Hessian-vector product."""
    assert refusals(name, "numpy", [(2, 3), (3, 3), ()]) == []
    require("llvmlite", "fast")
    assert refusals(name, "native", [(2, 3)], ("value", "hvp")) == []  # which makes a vjp too


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
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_maximum_and_minimum_agree_to_the_last_bit(seed, dtype, engine):
    function, inputs = draw(seed, EXACT + EXTREME + MOVING, dtype=dtype, special=True)
    expected = recorded(function, inputs)
    for a, b in zip(arrays(compiled(function, engine)(*inputs)), expected, strict=True):
        assert_same_bits(a, b)


def unusual(dtype):
    """Zeros of both signs, numbers, infinities, and NaN of several payloads, one signalling."""
    bits = np.dtype(f"u{np.dtype(dtype).itemsize}")
    quiet = np.array(np.nan, dtype).view(bits) + np.arange(1, 3, dtype=bits)
    signalling = np.array(np.inf, dtype).view(bits) + bits.type(1)
    negative = quiet[:1] | bits.type(1 << (8 * bits.itemsize - 1))
    nan = np.concatenate([quiet, [signalling], negative]).view(dtype)
    return np.concatenate([np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, 5e-324], dtype), nan])


@engines
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", EXTREME)
def test_of_two_zeros_and_of_two_nan_the_same_one_is_taken(name, dtype, engine):
    """At every place of a vector, of what is left over after it, and of single numbers."""
    x = unusual(dtype)
    a, b = np.repeat(x, x.size), np.tile(x, x.size)
    fast, slow = compiled(getattr(tg, name), engine), getattr(np, name)
    bits = f"u{np.dtype(dtype).itemsize}"
    for size in (1, 2, 3, 5, 8, 13, 16, 19, 33, a.size):
        for start in range(0, a.size - size + 1, size):
            part = slice(start, start + size)
            found, expected = fast(a[part], b[part]), slow(a[part], b[part])
            np.testing.assert_array_equal(found.view(bits), expected.view(bits))
    grid, columns = fast(x[:, None], x), fast(np.repeat(x[:, None], 9, 1).T, x)
    np.testing.assert_array_equal(grid.view(bits), slow(x[:, None], x).view(bits))
    np.testing.assert_array_equal(columns.view(bits), slow(np.tile(x, (9, 1)), x).view(bits))


@engines
@pytest.mark.parametrize("name", ["max", "min"])
def test_reductions_to_an_extreme_agree_but_for_the_sign_of_zero(name, engine):
    rng = np.random.default_rng(0)
    fast = compiled(lambda x: [getattr(tg, name)(x, axis) for axis in (None, 0, 1)], engine)
    for shape in [(1, 1), (3, 5), (7, 16), (33, 9)]:
        for _ in range(20):
            x = rng.choice(
                [0.0, -0.0, -1.0, 1.0, np.nan, np.inf], shape, p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.05]
            )
            for found, axis in zip(fast(x), (None, 0, 1), strict=True):
                np.testing.assert_array_equal(found, getattr(np, name)(x, axis))


def test_the_native_engine_calls_a_positive_zero_the_larger_one():
    """In whatever order they come; NumPy's choice depends on how they lie in memory."""
    fast = compiled(lambda x: (x.max(1), x.max(0), x.min(1), x.min(0)), "native")
    for size in (2, 3, 8, 17, 40):
        for at in range(size):
            x = np.full((size, size), -0.0)
            x[at, :] = x[:, at] = 0.0
            rows, columns, low, down = fast(x)
            assert not np.signbit(rows).any()
            assert not np.signbit(columns).any()
            assert np.signbit(low).sum() == np.signbit(down).sum() == size - 1


def with_gradients(seed):
    """Return a random program with its gradients, and arguments."""
    function, inputs = draw(seed, SMOOTH + MOVING + ("add", "multiply"), length=5)

    def total(*xs):
        return sum(tg.tanh(y).sum() for y in function(*xs)) + sum(0 * x.sum() for x in xs)

    return tg.value_and_grad(total, (0, 1, 2)), inputs


@engines
@given(seed=seeds)
def test_smooth_ops_and_their_gradients_agree(seed, engine):
    both, inputs = with_gradients(seed)
    expected = arrays(both(*inputs))
    for a, b in zip(arrays(compiled(both, engine)(*inputs)), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@given(seed=seeds, piece=st.integers(1, 4))
def test_a_program_in_many_functions_gives_the_same_bits(seed, piece):
    both, inputs = with_gradients(seed)
    expected = arrays(compiled(both, "native")(*inputs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llvm_emit, "PIECE", piece)
        found = arrays(compiled(both, "native")(*inputs))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@given(seed=seeds)
@pytest.mark.parametrize("engine", ["numpy", "auto"])
@pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
def test_dtypes_without_machine_code_agree_to_the_last_bit(seed, dtype, engine):
    function, inputs = draw(seed, EXACT + MOVING, dtype=dtype)
    expected = recorded(function, inputs)
    for a, b in zip(arrays(tg.compile(function, engine)(*inputs)), expected, strict=True):
        assert_same_bits(a, b)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("name", OPS)
def test_every_op_keeps_the_dtype(name, dtype):
    entry = OPS[name]
    sample = make(entry, *cases_of(entry, (2, 3))[0], np.random.default_rng(0))
    inputs = [x if x.dtype == bool else x.astype(dtype) for x in sample.inputs]
    try:
        expected = recorded(lambda *xs: sample.call(xs), inputs)
    except tg.InputError as refused:  # linear algebra knows float32 and float64 alone
        assert "array type" in str(refused)  # noqa: PT017
        return
    for a, b in zip(
        arrays(tg.compile(lambda *xs: sample.call(xs), "numpy")(*inputs)), expected, strict=True
    ):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(
            a, b, rtol=64 * np.finfo(dtype).eps if b.dtype.kind == "f" else 0
        )


def test_a_mean_of_float16_does_not_overflow():
    x = np.full(4000, 100, np.float16)
    assert tg.compile(tg.mean, "numpy")(x) == tg.mean(tg.Tensor(x, dtype=x.dtype)).item() == 100


# ------------------------------------------------------------------------------ indices

lengths = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


def draw_index(rng, shape):
    """Return integers for some of the axes, and how an index is made from them."""
    count = int(rng.integers(1, len(shape) + 1))
    picked = [(), (3,), (2, 1), (2, 3)][: int(rng.integers(1, 5))]
    numbers = [
        np.asarray(rng.integers(-n, n, picked[int(rng.integers(len(picked)))]))
        for n in shape[:count]
    ]
    extra = [(), (...,), (..., None)][int(rng.integers(3))]
    return numbers, lambda *found: (*found, *extra)


@engines
@given(seed=seeds, shape=lengths)
def test_computed_indices_pick_and_add_as_ever(seed, shape, engine):
    rng = np.random.default_rng(seed)
    x, (numbers, index) = rng.standard_normal(shape), draw_index(rng, shape)

    def weighed(x, u, *numbers):
        return (tg.tanh(x[index(*numbers)]) * u).sum()

    def every(x, u, v, *numbers):
        slope = tg.grad(weighed)
        curved = tg.hvp(lambda x: weighed(x, u, *numbers), (x,), (v,))
        return x[index(*numbers)], slope(x, u, *numbers), curved

    u, v = rng.standard_normal(x[index(*numbers)].shape), rng.standard_normal(shape)
    expected = arrays(every(tg.Tensor(x), u, v, *numbers))
    for a, b in zip(arrays(compiled(every, engine)(x, u, v, *numbers)), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


@engines
@given(seed=seeds)
def test_extremes_are_found_and_read_where_they_stand(seed, engine):
    x = np.random.default_rng(seed).standard_normal((4, 5))

    def largest(x):
        return tg.square(x[x.argmax(0), np.arange(5)]).sum() + x[0][x[1].argmin()]

    both = tg.value_and_grad(largest)
    for a, b in zip(compiled(both, engine)(x), both(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@engines
@given(labels=st.lists(st.integers(-2, 4), min_size=3, max_size=3))
def test_labels_are_arguments_like_any_other(labels, engine):
    logits = np.random.default_rng(0).standard_normal((3, 3))
    both = tg.value_and_grad(tg.cross_entropy)
    fast = compiled(both, engine)
    if 0 <= min(labels) <= max(labels) < 3:
        for a, b in zip(fast(logits, np.array(labels)), both(logits, labels), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)
    else:
        with pytest.raises(tg.InputError, match=r"one_hot.*class numbers from .* to"):
            fast(logits, np.array(labels))


# ------------------------------------------------------------------------------ determinants


@engines
@given(seed=seeds, size=st.integers(1, 4), rank=st.integers(0, 4))
def test_determinants_have_derivatives_wherever_they_vanish(seed, size, rank, engine):
    rng = np.random.default_rng(seed)
    x, u, v = rng.integers(-3, 4, (3, size, size)).astype(float)
    x[rank:] = 0  # integers: then the determinants of singular matrices are zero, not almost

    def every(x, u, v):
        slope = tg.grad(tg.det)
        second = tg.jvp(slope, (x,), (u,))[1]
        return slope(x), second, tg.jvp(lambda x: tg.jvp(slope, (x,), (u,))[1], (x,), (v,))[1]

    expected = every(x, u, v)
    for a, b in zip(compiled(every, engine)(x, u, v), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    steps = np.arange(size + 1)  # det(x + t·u) is a polynomial in t
    values = [by_permutations(x + t * u) for t in steps]
    coefficients = np.polynomial.polynomial.polyfit(steps, values, size)
    np.testing.assert_allclose((expected[0] * u).sum(), coefficients[1], atol=1e-7)
    twice = 2 * coefficients[2] if size > 1 else 0
    np.testing.assert_allclose((expected[1] * u).sum(), twice, atol=1e-7)


def test_second_derivatives_of_determinants_are_right_close_to_zero():
    a, x = np.diag([1e-13, 1.0, 2.0]), np.arange(9.0).reshape(3, 3)
    found = tg.cofactors(a, x)  # from a[1, 1] a[2, 2] = 2, and what multiplies x in the minors
    exact = tg.cofactors(np.diag([0.0, 1.0, 2.0]), x)
    np.testing.assert_allclose(found, exact, atol=1e-11)


def by_permutations(x):
    """Compute a determinant as Leibniz wrote it."""
    total = 0
    for order in itertools.permutations(range(len(x))):
        sign = np.linalg.det(np.eye(len(x))[list(order)])
        total += sign * np.prod([x[i, j] for i, j in enumerate(order)])
    return total


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
