"""Kinks, ties, zeros, infinities and branches not taken: one documented rule each, in one table."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_bp as tg

INF, NAN = math.inf, math.nan


def gradient(function, *args, argnums=0):
    """Differentiate the sum of a function; its forward pass may warn as NumPy does."""
    with np.errstate(all="ignore"):
        return tg.elementwise_grad(function, argnums)(*map(np.asarray, args))


def quietly(function, *args):
    with np.errstate(all="ignore"):
        return function(*args)


# What the slope is where there is none, or several.
KINKS = [
    # function, x, dy/dx
    (tg.abs, 0.0, 0.0),
    (tg.abs, -0.0, 0.0),
    (tg.sign, 0.0, 0.0),
    (tg.heaviside, 0.0, 0.0),
    (tg.relu, 0.0, 0.0),
    (tg.relu, -0.0, 0.0),
    (tg.relu, NAN, 0.0),
    (tg.leaky_relu, 0.0, 0.01),
    (tg.elu, 0.0, 1.0),
    (tg.sqrt, 0.0, INF),
    (tg.log, 0.0, INF),
    (tg.log1p, -1.0, INF),
    (tg.arcsin, 1.0, INF),
    (tg.arcsin, -1.0, INF),
    (tg.arccos, 1.0, -INF),
    (tg.norm, [0.0, 0.0], [0.0, 0.0]),
    (lambda x: tg.norm(x, ord=1), [0.0, 0.0], [0.0, 0.0]),
    (lambda x: tg.norm(x, ord=3), [0.0, 0.0], [0.0, 0.0]),
    (lambda x: tg.norm(x, axis=1), [[3.0, 4.0], [0.0, 0.0]], [[0.6, 0.8], [0.0, 0.0]]),
    (tg.std, [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
    (tg.var, [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
    (tg.max, [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
    (tg.min, [1.0, 1.0, 3.0, 1.0], [1 / 3, 1 / 3, 0.0, 1 / 3]),
    (lambda x: tg.max(x, axis=0), [[1.0, 2.0], [1.0, 0.0]], [[0.5, 1.0], [0.5, 0.0]]),
    (lambda x: tg.max(x, axis=1), [[1.0, 2.0], [0.0, 0.0]], [[0.0, 1.0], [0.5, 0.5]]),
    (lambda x: tg.min(x, axis=(0, 1)), [[1.0, 1.0], [1.0, 1.0]], [[0.25] * 2] * 2),
    (lambda x: tg.max_pool2d(x, 2), [[[[1.0, 1.0], [0.0, 1.0]]]], [[[[1 / 3] * 2, [0.0, 1 / 3]]]]),
    (lambda x: tg.clip(x, -1.0, 2.0), [-2.0, -1.0, 0.0, 2.0, 3.0], [0.0, 0.5, 1.0, 0.5, 0.0]),
    (lambda x: tg.clip(x, 1.0, None), [0.0, 1.0, 5.0], [0.0, 0.5, 1.0]),
    (lambda x: tg.clip(x, None, 1.0), [0.0, 1.0, 5.0], [1.0, 0.5, 0.0]),
    (lambda x: tg.maximum(x, x), [1.0, 2.0], [1.0, 1.0]),
    (lambda x: tg.minimum(x, x), [1.0, 2.0], [1.0, 1.0]),
    (lambda x: tg.maximum(x, 0.0), [-1.0, 0.0, 1.0], [0.0, 0.5, 1.0]),
    (lambda x: tg.minimum(0.0, x), [-1.0, 0.0, 1.0], [1.0, 0.5, 0.0]),
]

# xᵖ where 0, 1 or a negative base makes the general formula fail: x, p, value, ∂/∂x, ∂/∂p.
POWERS = [
    (0.0, 0.0, 1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 1.0, 0.0),
    (0.0, 2.0, 0.0, 0.0, 0.0),
    (0.0, 0.5, 0.0, INF, 0.0),
    (2.0, 0.0, 1.0, 0.0, math.log(2.0)),
    (-2.0, 0.0, 1.0, 0.0, NAN),
    (-2.0, 3.0, -8.0, 12.0, NAN),
    (-2.0, -1.0, -0.5, -0.25, NAN),
    (1.0, 5.0, 1.0, 5.0, 0.0),
    (INF, 0.0, 1.0, 0.0, INF),
]

# Far outside: function, x, value, slope, and no warning in either direction.
EXTREMES = [
    (tg.sigmoid, [-1000.0, 0.0, 1000.0], [0.0, 0.5, 1.0], [0.0, 0.25, 0.0]),
    (tg.sigmoid, [-INF, INF], [0.0, 1.0], [0.0, 0.0]),
    (tg.softplus, [-1000.0, 0.0, 1000.0], [0.0, math.log(2), 1000.0], [0.0, 0.5, 1.0]),
    (tg.softplus, [-INF, INF], [0.0, INF], [0.0, 1.0]),
    (tg.silu, [-1000.0, 0.0, 1000.0], [0.0, 0.0, 1000.0], [0.0, 0.5, 1.0]),
    (tg.gelu, [-1000.0, 0.0, 1000.0], [0.0, 0.0, 1000.0], [0.0, 0.5, 1.0]),
    (tg.elu, [-1000.0, 1000.0], [-1.0, 1000.0], [0.0, 1.0]),
    (tg.relu, [-INF, INF], [0.0, INF], [0.0, 1.0]),
    (tg.leaky_relu, [-1000.0, 1000.0], [-10.0, 1000.0], [0.01, 1.0]),
    (tg.tanh, [-1000.0, 1000.0], [-1.0, 1.0], [0.0, 0.0]),
    (tg.exp, [-1000.0, -INF], [0.0, 0.0], [0.0, 0.0]),
    (tg.arctan, [-INF, INF], [-math.pi / 2, math.pi / 2], [0.0, 0.0]),
    (tg.abs, [-INF, INF], [INF, INF], [-1.0, 1.0]),
    (lambda x: tg.maximum(x, 0.0), [-INF, INF], [0.0, INF], [0.0, 1.0]),
    (lambda x: tg.clip(x, 0.0, 1.0), [-INF, INF], [0.0, 1.0], [0.0, 0.0]),
    (tg.logsumexp, [1000.0, 1000.0], 1000 + math.log(2), [0.5, 0.5]),
    (tg.logsumexp, [-1000.0, -1000.0], -1000 + math.log(2), [0.5, 0.5]),
    (tg.logsumexp, [1.0, -INF], 1.0, [1.0, 0.0]),
    (tg.norm, [3e200, 4e200], 5e200, [0.6, 0.8]),
    (tg.norm, [3e-200, 4e-200], 5e-200, [0.6, 0.8]),
    (tg.norm, [3e-310, 4e-310], 5e-310, [0.6, 0.8]),
    (lambda x: tg.cross_entropy(x, [0]), [[1000.0, -1000.0]], 0.0, [[0.0, 0.0]]),
    (lambda x: tg.cross_entropy(x, [1]), [[1000.0, -1000.0]], 2000.0, [[1.0, -1.0]]),
    (lambda x: tg.log_softmax(x)[0], [1000.0, 0.0], 0.0, [0.0, 0.0]),
    (lambda x: tg.softmax(x)[0], [1000.0, 1000.0], 0.5, [0.25, -0.25]),
    (lambda x: tg.softmax(x)[0], [1000.0, 0.0], 1.0, [0.0, 0.0]),
    (lambda x: tg.softmax(x)[0], [0.0, -INF], 1.0, [0.0, 0.0]),
]

# The root, logarithm or quotient is not taken at the bad element: f, x, gradient.
BRANCHES = [
    (lambda x: tg.where(x > 0, tg.sqrt(x), 0.0), [4.0, 0.0], [0.25, 0.0]),
    (lambda x: tg.where(x > 0, tg.sqrt(x), 0.0), [4.0, -1.0], [0.25, 0.0]),
    (lambda x: tg.where(x > 0, tg.log(x), x), [2.0, 0.0, -1.0], [0.5, 1.0, 1.0]),
    (lambda x: tg.where(x == 0, 1.0, 1 / x), [2.0, 0.0], [-0.25, 0.0]),
    (lambda x: tg.where(x == 0, 1.0, tg.sin(x) / x), [math.pi, 0.0], [-1 / math.pi, 0.0]),
    (lambda x: tg.where(x > 0, x * tg.log(x), 0.0), [1.0, 0.0], [1.0, 0.0]),
    (lambda x: tg.where(x > 0, tg.exp(1 / x), 0.0), [1.0, 0.0], [-math.e, 0.0]),
    (lambda x: tg.where(x > 0, tg.sqrt(tg.sqrt(x)), 0.0), [1.0, 0.0], [0.25, 0.0]),
    (lambda x: tg.where(x > 0, tg.log(tg.abs(x)) ** 2, 0.0), [1.0, 0.0], [0.0, 0.0]),
    (lambda x: tg.where(x > 0, x**0.5, 0.0), [4.0, 0.0], [0.25, 0.0]),
    (
        lambda x: tg.where(x > 1, tg.where(x > 2, tg.log(x - 2), tg.sqrt(x - 1)), x),
        [3.0, 2.0, 1.0, 0.0],
        [1.0, 0.5, 1.0, 1.0],
    ),
    (lambda x: tg.where(x > 0, tg.sqrt(x).reshape((1, 2))[0], 0.0), [4.0, 0.0], [0.25, 0.0]),
    (lambda x: tg.where([[1], [0]], tg.sqrt(x).T, 0.0), [[4.0, 0.0]], [[0.25, 0.0]]),
    (lambda x: tg.where([True, False], tg.sqrt(x)[[0, 1]], 0.0), [4.0, 0.0], [0.25, 0.0]),
    (lambda x: tg.where(x > 0, tg.concatenate([tg.sqrt(x)]), 0.0), [4.0, 0.0], [0.25, 0.0]),
    (lambda x: tg.where(False, tg.sum(tg.sqrt(x)), x), [4.0, 0.0], [1.0, 1.0]),
    (lambda x: tg.where(False, tg.mean(tg.sqrt(x)), x), [4.0, 0.0], [1.0, 1.0]),
    (lambda x: tg.where([True, False], tg.sqrt(x), 0.0), 4.0, 0.25),
    (lambda x: tg.where([False, False], tg.sqrt(x), 2.0), 0.0, 0.0),
    (lambda x: tg.where([False, False], tg.log(x) * [1.0, 2.0], 2.0), 0.0, 0.0),
    (lambda x: tg.where(x > 0, tg.sqrt(x) * [1.0, 2.0], 0.0) * 3, [4.0, 0.0], [0.75, 0.0]),
    (lambda x: tg.where(x < INF, x * 2, x - x), [1.0, INF], [2.0, 0.0]),
    (lambda x: tg.where(tg.isnan(x), 0.0, x * x), [3.0, NAN], [6.0, 0.0]),
]


def named(rows):
    """Give every row an id that says which one it is."""
    ids = [f"{i}-{getattr(row[0], '__name__', row[0])}-{row[1]}" for i, row in enumerate(rows)]
    return {"argvalues": rows, "ids": ids}


# ---------------------------------------------------------------------------------- the tables


@pytest.mark.parametrize(("function", "x", "slope"), **named(KINKS))
def test_the_slope_at_a_kink_or_tie_is_the_documented_one(function, x, slope):
    np.testing.assert_array_equal(gradient(function, x), slope)


@pytest.mark.parametrize(("x", "p", "value", "by_x", "by_p"), POWERS)
@pytest.mark.parametrize("shape", [(), (2,)])
def test_a_power_has_its_limits_as_derivatives(x, p, value, by_x, by_p, shape):
    x, p = np.full(shape, x), np.full(shape, p)
    np.testing.assert_array_equal(quietly(tg.power, x, p), np.full(shape, value))
    np.testing.assert_array_equal(gradient(tg.power, x, p), np.full(shape, by_x))
    np.testing.assert_array_equal(gradient(tg.power, x, p, argnums=1), np.full(shape, by_p))
    constant = float(p.flat[0])
    np.testing.assert_array_equal(gradient(lambda t: t**constant, x), np.full(shape, by_x))


@pytest.mark.parametrize(("function", "x", "value", "slope"), **named(EXTREMES))
def test_far_outside_values_and_slopes_are_right_and_nothing_warns(function, x, value, slope):
    t = tg.Tensor(x)
    y = function(t)
    y.backward(np.ones(y.shape))
    np.testing.assert_allclose(y.data, value, rtol=1e-12)
    np.testing.assert_allclose(t.grad, slope, rtol=1e-12)


@pytest.mark.parametrize(("function", "x", "slope"), **named(BRANCHES))
def test_a_branch_not_taken_leaks_nothing(function, x, slope):
    np.testing.assert_allclose(gradient(function, x), slope, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("function", "x", "slope"), **named(BRANCHES))
def test_a_branch_not_taken_leaks_nothing_when_the_gradient_is_recorded(function, x, slope):
    t = tg.Tensor(x)
    y = quietly(function, t)
    found = quietly(lambda: y.gradient(t, differentiable=True, cotangent=np.ones(y.shape)))
    np.testing.assert_allclose(found.data, slope, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("swap", [False, True])
def test_a_branch_and_another_consumer_of_the_same_array_add_up(swap):
    x = tg.Tensor([1.0, -2.0])
    h = 1 * x
    both = [tg.where(h > 0, h, 0), 3 * h]
    (both[swap] + both[not swap]).backward(np.array([5.0, 7.0]))
    np.testing.assert_array_equal(x.grad, [20.0, 21.0])


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_a_choice_of_branches_is_the_gradient_of_the_branch_taken(x, y):
    a, b = tg.Tensor(x), tg.Tensor(y)
    quietly(lambda: tg.where(a > 0, tg.sqrt(a) * b, a - tg.log(b))).backward()
    with np.errstate(all="ignore"):
        right = (np.divide(y, 2 * np.sqrt(x)), np.sqrt(x)) if x > 0 else (1.0, np.divide(-1.0, y))
    np.testing.assert_allclose((a.grad, b.grad), right, rtol=1e-12)


# ---------------------------------------------------------------------------------- ties


@pytest.mark.parametrize("op", [tg.maximum, tg.minimum])
def test_both_inputs_of_a_tie_get_half_of_the_cotangent(op):
    a, b = tg.Tensor([1.0, 2.0]), tg.Tensor([1.0, 5.0])
    op(a, b).backward([3.0, 7.0])
    larger, smaller = ([1.5, 0.0], [1.5, 7.0])
    expected = (larger, smaller) if op is tg.maximum else ([1.5, 7.0], [1.5, 0.0])
    np.testing.assert_array_equal((a.grad, b.grad), expected)


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=1), st.floats(-9, 9))
@pytest.mark.parametrize("name", ["max", "min"])
def test_k_equal_extremes_get_an_equal_share_and_nothing_is_lost(name, values, cotangent):
    x = tg.Tensor(values)
    getattr(x, name)().backward(cotangent)
    extreme = np.array(values) == getattr(np, name)(values)
    np.testing.assert_allclose(x.grad, cotangent * extreme / extreme.sum(), rtol=1e-15)


# ---------------------------------------------------------------------------------- zeros


@given(st.lists(st.sampled_from([0.0, 0.0, 2.0, -3.0]), min_size=1, max_size=6))
def test_a_product_with_zeros_is_right_to_second_order(values):
    x = np.array(values)

    def without(*positions):
        return np.prod(np.delete(x, positions))

    n = range(len(x))
    np.testing.assert_array_equal(tg.grad(tg.prod)(x), [without(i) for i in n])
    second = [[0.0 if i == j else without(i, j) for j in n] for i in n]
    np.testing.assert_array_equal(tg.hessian(tg.prod)(x), second)


def cofactors(a):
    """Compute them by their definition, in whole numbers."""
    n = range(len(a))
    minor = [[np.delete(np.delete(a, i, 0), j, 1) for j in n] for i in n]
    return [[(-1) ** (i + j) * leibniz(minor[i][j]) for j in n] for i in n]


def leibniz(a):
    if len(a) == 0:
        return 1
    rest = [leibniz(np.delete(a[1:], j, 1)) for j in range(len(a))]
    return sum((-1) ** j * int(a[0][j]) * minor for j, minor in enumerate(rest))


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_the_gradient_of_a_determinant_is_its_cofactors_where_it_is_singular(size, seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(-3, 4, (size, size))
    a[-1] = a[0] * rng.integers(-2, 3) if size > 1 else 0
    found = tg.grad(tg.det)(a.astype(float))
    np.testing.assert_allclose(found, cofactors(a), rtol=0, atol=1e-11)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_a_determinant_is_differentiated_twice_where_it_is_singular(rank):
    a = np.diag([1.0, 1.0, 1.0][:rank] + [0.0] * (3 - rank))
    epsilon = {
        (0, 1, 2): 1,
        (1, 2, 0): 1,
        (2, 0, 1): 1,
        (0, 2, 1): -1,
        (2, 1, 0): -1,
        (1, 0, 2): -1,
    }
    expected = np.zeros((3, 3, 3, 3))  # ∂² det / ∂a_ij ∂a_kl = Σ ε_ikm ε_jln a_mn
    for (i, k, m), s in epsilon.items():
        for (j, l, n), t in epsilon.items():  # noqa: E741
            expected[i, j, k, l] += s * t * a[m, n]
    np.testing.assert_allclose(tg.hessian(tg.det)(a), expected, atol=1e-12)


def test_a_singular_matrix_in_a_batch_does_not_disturb_the_others():
    a = np.array([[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    found = tg.elementwise_grad(tg.det)(a)
    np.testing.assert_allclose(found, [cofactors(each) for each in a], rtol=1e-12, atol=1e-15)


def test_the_gradient_of_a_cholesky_factor_is_symmetric():
    a = np.array([[4.0, 2.0], [2.0, 5.0]])
    _, pullback = tg.vjp(tg.cholesky, a)
    (g,) = pullback(np.array([[1.0, 0.0], [-2.0, 3.0]]))
    np.testing.assert_array_equal(g, g.T)


# ---------------------------------------------------------------------------------- infinities


def test_infinities_in_the_logarithm_of_a_sum_have_their_limits_without_a_warning():
    assert tg.logsumexp(tg.Tensor([-INF, -INF])).item() == -INF
    assert tg.logsumexp(np.array([INF, 0.0])) == INF
    assert np.isnan(tg.logsumexp(np.array([NAN, 0.0])))


@pytest.mark.parametrize("name", ["add", "multiply", "sum", "exp", "tanh", "matmul", "max"])
def test_nan_in_is_nan_out_and_never_hidden(name):
    op = getattr(tg, name)
    x = tg.Tensor([[NAN, 1.0], [1.0, 1.0]])
    y = op(x, x) if name in ("add", "multiply", "matmul") else op(x)
    assert np.isnan(y.data).any()


# ---------------------------------------------------------------------------------- tails


@pytest.mark.parametrize("x", [-5.0, -7.0, -10.0, -14.0])
def test_gelu_keeps_its_digits_where_it_is_almost_zero(x):
    scale, cubic = math.sqrt(2 / math.pi), 0.044715
    twice = 2 * scale * (x + cubic * x**3)
    tail = math.exp(twice) / (1 + math.exp(twice))
    slope = tail * (1 + x * (1 - tail) * 2 * scale * (1 + 3 * cubic * x * x))
    assert tg.gelu(x) == pytest.approx(x * tail, rel=1e-12)
    assert tg.grad(tg.gelu)(x) == pytest.approx(slope, rel=1e-12)


# ---------------------------------------------------------------------------------- sharing


@given(st.floats(0.1, 3))
def test_a_tensor_used_twice_gets_both_shares(value):
    cases = [
        (lambda x: x * x, 2 * value),
        (lambda x: x**x, value**value * (math.log(value) + 1)),
        (lambda x: x / x, 0.0),
        (lambda x: x - x, 0.0),
        (lambda x: x + x + x, 3.0),
    ]
    for function, slope in cases:
        assert tg.grad(function)(value) == pytest.approx(slope, rel=1e-12, abs=1e-15)


def masked(x):
    return tg.where([True, False], x, 0.0)


@pytest.mark.parametrize(
    ("function", "slope", "bend"),
    [
        (lambda x: masked(x) * x, [2.0, 0.0], [2.0, 0.0]),
        (lambda x: x * masked(x), [2.0, 0.0], [2.0, 0.0]),
        (lambda x: masked(x) + x, [2.0, 1.0], [0.0, 0.0]),
        (lambda x: masked(x) * masked(x) * x, [3.0, 0.0], [6.0, 0.0]),
        (lambda x: x[0] * masked(x) * x, [3.0, 0.0], [6.0, 0.0]),
    ],
)
@pytest.mark.parametrize("inner", [lambda x: x, lambda x: x * 1], ids=["leaf", "interior"])
def test_what_is_used_behind_a_mask_and_beside_it_gets_both_shares(function, slope, bend, inner):
    x = tg.Tensor([1.0, 2.0])
    y = function(inner(x)).sum()
    np.testing.assert_array_equal(y.gradient(x), slope)
    recorded = y.gradient(x, differentiable=True)
    np.testing.assert_array_equal(recorded.data, slope)
    np.testing.assert_array_equal(recorded.sum().gradient(x) if any(bend) else [0.0, 0.0], bend)


@given(st.integers(0, 2**32 - 1))
def test_a_matrix_times_itself_gets_both_shares(seed):
    rng = np.random.default_rng(seed)
    a, u = rng.normal(size=(2, 3, 3))
    x = tg.Tensor(a)
    (x @ x).backward(u)
    np.testing.assert_allclose(x.grad, u @ a.T + a.T @ u, rtol=1e-12, atol=1e-12)


def test_ten_thousand_diamonds_in_a_row_are_exact_although_they_have_two_to_that_many_paths():
    x = tg.Tensor([1.0, -3.0])
    y = x
    for _ in range(10_000):
        y = (y + y) * 0.5
    y.backward([2.0, 5.0])
    np.testing.assert_array_equal(y.data, x.data)
    np.testing.assert_array_equal(x.grad, [2.0, 5.0])


def test_ten_thousand_diamonds_of_unlike_branches_are_exact():
    x = tg.Tensor(3.0)
    y = x
    for _ in range(10_000):
        y = y * 2.0 - y
    y.backward()
    assert (y.item(), float(x.grad)) == (3.0, 1.0)
