"""Where kinks meet, no generalised gradient is accused, whatever convention chose it.

Of several pieces that meet at a point a line through it shows two at most, and functions such as
the median are straight on every line. Elsewhere the gradients are those of the library.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.check import gradcheck
from tinygrad_bp.check.nearby import bends_beside, pieces_beside

seeds = st.integers(0, 2**32 - 1)
NORMALS = np.random.default_rng(0).normal(size=(4, 3))
WEIGHTS = np.array([1.0, -2.0, 3.0, -1.0])


def numbers(*values):
    return np.array(values, dtype=float)


def ordered(x):
    return x[np.argsort(x.data if isinstance(x, tg.Tensor) else x, kind="stable")]


def by_the_library(function):
    """Return the gradient of a function of Tensors, for any cotangent."""

    def backward(x, u):
        leaf = tg.Tensor(x)
        function(leaf).backward(u)
        return leaf.grad

    return backward


def verdict(*arguments):
    """Return the verdict on a gradient, as it is or as it is chosen at the point."""
    return report(*arguments).verdict


def report(function, x, seed, at_the_point=None):
    """Check the values of a function of Tensors, which no graph tells of.

    The gradient is that of the library, but for the one point, where it may be chosen.
    """
    elsewhere = by_the_library(function)

    def backward(y, u):
        if at_the_point is not None and np.array_equal(y, x):
            return np.asarray(at_the_point(u), dtype=float)
        return elsewhere(y, u)

    return gradcheck(lambda y: function(tg.Tensor(y)).data, x, vjp=backward, seed=seed,
                     raise_exception=False)  # fmt: skip


def relus(x):
    return tg.relu(x)


def weighted(x):
    return (WEIGHTS * tg.relu(x)).sum()


def hinges(x):
    return tg.relu(NORMALS @ x).sum()


def variation(x):
    return tg.abs(x[1:] - x[:-1]).sum()


def median(x):
    return ordered(x)[2]


def pooled(x):
    return tg.stack([tg.max(x[:3]), tg.max(x[2:])])


ZEROS, TIES = np.zeros(4), numbers(1, 2, 2, 2, 5)
# name: the function, the point, and the conventions: what each passes back for a cotangent
VALID = {
    "relu": (relus, ZEROS, {
        "0": lambda u: 0 * u, "1": lambda u: u, "1/2": lambda u: u / 2,
        "mixed": lambda u: u * [0, 1, 0.3, 0.5]}),
    "weighted relu": (weighted, ZEROS, {
        "0": lambda u: u * ZEROS, "1": lambda u: u * WEIGHTS, "1/2": lambda u: u * WEIGHTS / 2,
        "mixed": lambda u: u * WEIGHTS * [0, 1, 0.3, 0.5]}),
    "abs": (lambda x: tg.abs(x).sum(), ZEROS, {
        "0": lambda u: u * ZEROS, "1": lambda u: u * np.ones(4), "-1": lambda u: -u * np.ones(4),
        "mixed": lambda u: u * numbers(-1, 1, 0.5, 0)}),
    "max": (tg.max, numbers(2, 2, 2, 1), {
        "first": lambda u: u * numbers(1, 0, 0, 0), "last": lambda u: u * numbers(0, 0, 1, 0),
        "split": lambda u: u * numbers(1, 1, 1, 0) / 3,
        "uneven": lambda u: u * numbers(0.5, 0.2, 0.3, 0)}),
    "max pooling": (pooled, np.ones(5), {
        "first": lambda u: numbers(u[0], 0, u[1], 0, 0),
        "last": lambda u: numbers(0, 0, u[0], 0, u[1]),
        "split": lambda u: numbers(u[0], u[0], u[0] + u[1], u[1], u[1]) / 3}),
    "largest size": (lambda x: tg.max(tg.abs(x)), np.zeros(3), {
        "0": lambda u: u * np.zeros(3), "first": lambda u: u * numbers(1, 0, 0),
        "split": lambda u: u * numbers(1, -1, 1) / 3}),
    "median": (median, TIES, {
        "first": lambda u: u * numbers(0, 1, 0, 0, 0),
        "middle": lambda u: u * numbers(0, 0, 1, 0, 0),
        "split": lambda u: u * numbers(0, 1, 1, 1, 0) / 3}),
    "sort": (ordered, TIES, {
        "stable": lambda u: u, "reversed": lambda u: u[[0, 3, 2, 1, 4]],
        "split": lambda u: np.concatenate([u[:1], np.full(3, u[1:4].mean()), u[4:]])}),
    "variation": (variation, np.ones(4), {
        "0": lambda u: u * ZEROS, "1": lambda u: u * numbers(-1, 0, 0, 1),
        "mixed": lambda u: u * numbers(-1, 2, -1.5, 0.5)}),
    "hinges": (hinges, np.zeros(3), {
        "1/2": lambda u: u * NORMALS.sum(0) / 2}),
}  # fmt: skip
WRONG = {
    "relu, 2": (relus, ZEROS, lambda u: 2 * u),
    "relu, one of 3/2": (relus, ZEROS, lambda u: u * [0, 1, 0.5, 1.5]),
    "weighted relu, one of 3/2": (weighted, ZEROS, lambda u: u * WEIGHTS * [0, 1, 0.5, 1.5]),
    "weighted relu, one of -1/2": (weighted, ZEROS, lambda u: u * WEIGHTS * [0, 1, -0.5, 1]),
    "abs, one of 3/2": (lambda x: tg.abs(x).sum(), ZEROS, lambda u: u * numbers(0, 1.5, 0, 0)),
    "max, all": (tg.max, numbers(2, 2, 2, 1), lambda u: u * numbers(1, 1, 1, 0)),
    "max, none": (tg.max, numbers(2, 2, 2, 1), lambda u: u * numbers(0, 0, 0, 0)),
    "max, 3/2 and -1/2": (tg.max, numbers(2, 2, 2, 1), lambda u: u * numbers(1.5, -0.5, 0, 0)),
    "max pooling, all": (pooled, np.ones(5), lambda u: numbers(u[0], u[0], u.sum(), u[1], u[1])),
    "sort, permuted": (ordered, TIES, lambda u: np.roll(u, 1)),
}  # fmt: skip


@pytest.mark.parametrize(("name", "convention"), [(n, c) for n in VALID for c in VALID[n][2]])
@settings(max_examples=2)
@given(seed=seeds)
def test_no_convention_is_accused(name, convention, seed):
    function, x, conventions = VALID[name]
    assert verdict(function, x, seed, conventions[convention]) in ("PASS", "INCONCLUSIVE")


@pytest.mark.parametrize("name", VALID)
def test_nearly_all_conventions_pass(name):
    function, x, conventions = VALID[name]
    found = [verdict(function, x, seed, rule) for rule in conventions.values() for seed in range(2)]
    assert found.count("PASS") >= 0.9 * len(found)


def test_pieces_are_looked_for_only_until_they_explain_the_gradient():
    reports = [
        report(function, x, seed, rule)
        for function, x, conventions in VALID.values()
        for rule in conventions.values()
        for seed in range(3)
    ]
    costs = [r.evaluations / len(r.findings) for r in reports if r.verdict == "PASS"]
    assert np.median(costs) <= 60  # as for a smooth function; all pieces would be 3,000
    assert max(costs) <= 200
    assert all(r.gradient_calls <= 12 * len(r.findings) for r in reports)


@pytest.mark.parametrize("name", WRONG)
@settings(max_examples=3)
@given(seed=seeds)
def test_what_no_generalised_gradient_is_fails(name, seed):
    function, x, at_the_point = WRONG[name]
    assert verdict(function, x, seed, at_the_point) == "FAIL"


@settings(max_examples=10)
@given(seed=seeds)
def test_a_mean_of_gradients_beside_the_point_is_not_accused(seed):
    rng = np.random.default_rng(seed)
    inputs, units, outputs = rng.integers(1, 5, 3)
    normals, weights = rng.normal(size=(units, inputs)), rng.normal(size=(units, outputs))
    curve = rng.normal(size=inputs)
    kinked = [tg.relu, tg.abs, ordered][seed % 3]
    x = np.round(rng.normal(size=inputs), 1)

    def function(x):
        return kinked(normals @ x - offset) @ weights + tg.sin(x @ curve)

    def mean(u):
        return sum(s * beside(place, u) for s, place in zip(shares, places, strict=True))

    offset, beside = normals @ x, by_the_library(function)
    places = x + 1e-10 * rng.normal(size=(3, inputs))
    shares = rng.dirichlet(np.ones(3))
    assert verdict(function, x, seed, mean) != "FAIL"


# ------------------------------------------------------------------------------ what hides pieces


def middle(x):
    """The gradient of the middle element, which a stable sort chooses among ties."""
    return 1.0 * (np.arange(x.size) == np.argsort(x, kind="stable")[x.size // 2])


HIDDEN = {
    "in float32": (lambda x: float(np.sort(np.float32(x))[x.size // 2]), middle),
    "in coarse steps": (lambda x: np.round(np.sort(x)[x.size // 2] * 1e9) / 1e9, middle),
    "beside 1,000 times as much": (
        lambda x: 1e3 * x.sum() + np.sort(x)[x.size // 2], lambda x: 1e3 + middle(x)),
    "beside a million times as much": (
        lambda x: 1e6 * x.sum() + np.sort(x)[x.size // 2], lambda x: 1e6 + middle(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("x", [np.ones(3), TIES], ids=["all tied", "three tied"])
@settings(max_examples=5)
@given(seed=seeds)
def test_pieces_that_rounding_hides_accuse_nobody(name, x, seed):
    function, gradient = HIDDEN[name]
    assert gradcheck(function, x, grad=gradient, seed=seed, raise_exception=False).verdict != "FAIL"


@pytest.mark.parametrize("factor", [0.999, 1.01, -1])
def test_but_what_is_wrong_by_more_than_any_piece_fails(factor):
    function, gradient = HIDDEN["beside 1,000 times as much"]
    found = [
        gradcheck(
            function, TIES, grad=lambda x: factor * gradient(x), seed=seed, raise_exception=False
        ).verdict
        for seed in range(20)
    ]
    assert set(found) <= {"FAIL", "INCONCLUSIVE"}
    assert found.count("FAIL") >= 0.9 * len(found)


@settings(max_examples=10)
@given(count=st.integers(2, 12), factor=st.floats(0, 3), seed=seeds)
def test_of_a_norm_at_zero_every_vector_of_the_unit_ball_passes_and_no_longer_one(
    count, factor, seed
):
    rng = np.random.default_rng(seed)
    unit = rng.normal(size=count)
    unit /= np.linalg.norm(unit)

    def gradient(x):
        return x / np.linalg.norm(x) if x.any() else factor * unit

    found = gradcheck(
        np.linalg.norm, np.zeros(count), grad=gradient, seed=seed, raise_exception=False
    )
    if factor <= 1:
        assert found.verdict == "PASS"
    elif factor > 1.05:
        assert found.verdict in ("FAIL", "INCONCLUSIVE")


@settings(max_examples=10)
@given(small=st.integers(-26, 0), seed=seeds)
def test_kinks_at_the_scale_of_a_tiny_element_are_judged_at_that_scale(small, seed):
    sizes = np.array([2.0**small, 2.0**15])

    def function(z):
        return np.sum(np.abs(np.abs(z / sizes) - 1) + np.sin(z / sizes))

    def gradient(z):
        t = z / sizes
        return (np.sign(np.abs(t) - 1) * np.sign(t) + np.cos(t)) / sizes

    def check(factor):
        return gradcheck(
            function, sizes, grad=lambda z: factor * gradient(z), seed=seed, raise_exception=False
        ).verdict

    assert check(1) in ("PASS", "INCONCLUSIVE")
    assert check(5) == "FAIL"


# ---------------------------------------------------------------------------------- beside a point


def corner(t):
    return float(abs(t[0]) - 0.1 * abs(t[1]))


def test_the_pieces_that_meet_are_found():
    found = pieces_beside(lambda t: float(np.sort(t)[1]), numbers(1, 0, 0), np.ones(3), 1e-16)
    assert found.differ
    assert (found.low, found.high) == pytest.approx((0, 1), abs=1e-6)
    assert bends_beside(corner, np.ones(2), 1e-16) == {1, -1}


@pytest.mark.parametrize("function", [
    lambda t: float(np.sin(3 * t).sum()), lambda t: float(np.exp(t).sum()), lambda t: float(t @ t),
])  # fmt: skip
def test_a_smooth_function_is_one_piece(function):
    assert not pieces_beside(function, numbers(1, -2), np.ones(2), 1e-16).differ


def test_noise_is_no_kink():
    rng = np.random.default_rng(0)
    found = pieces_beside(lambda t: float(t[0] + 1e-6 * rng.normal()), numbers(1, 1), np.ones(2),
                          1e-6)  # fmt: skip
    assert not found.differ


def clipped(x):
    return tg.clip(x, -1.0, 1.0)


CLOSE = {tg.relu: 0.0, tg.abs: 0.0, clipped: 1.0}


@pytest.mark.parametrize("function", CLOSE)
@settings(max_examples=40)
@given(
    distance=st.floats(-13, -3).map(lambda power: 10.0**power),
    places=st.lists(st.integers(-3, 3), min_size=2, max_size=6),
    seed=seeds,
)
def test_a_gradient_is_not_accused_where_other_kinks_are_close_by(function, distance, places, seed):
    x = numbers(*(CLOSE[function] + distance * place for place in places), 1.7)
    assert verdict(function, x, seed) in ("PASS", "INCONCLUSIVE")


@pytest.mark.parametrize("function", [tg.relu, tg.leaky_relu, tg.abs, clipped])
@settings(max_examples=40)
@given(
    x=st.lists(st.floats(-16, 0).map(lambda power: 10.0**power), min_size=2, max_size=5),
    signs=st.lists(st.sampled_from([1, -1]), min_size=5, max_size=5),
    seed=seeds,
)
def test_nor_where_kinks_are_at_all_distances(function, x, signs, seed):
    assert verdict(function, numbers(*x) * signs[: len(x)], seed) in ("PASS", "INCONCLUSIVE")


def test_nor_where_two_kinks_are_between_the_steps():
    x = numbers(2.64164832e-12, -1e-07, 1e-03)
    assert verdict(tg.leaky_relu, x, 0) in ("PASS", "INCONCLUSIVE")


@pytest.mark.parametrize("seed", [16, 37, 54])
def test_nor_where_its_slope_is_measured_badly_because_of_them(seed):
    x = numbers(1.0, 1.0 + 3.7e-8, 1.0 - 3.7e-8, 1.7, -0.6)
    assert verdict(clipped, x, seed) in ("PASS", "INCONCLUSIVE")
