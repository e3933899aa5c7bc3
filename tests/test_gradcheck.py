"""gradcheck is right where a tolerance set by hand is not, and says what it could have seen."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.check import gradcheck
from tinygrad_bp.check.directions import mixed
from tinygrad_bp.check.estimate import Noise, slope_of
from tinygrad_bp.check.noise import difference_noise

X = np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]])
seeds = st.integers(0, 2**32 - 1)


def verdict(f, inputs, **options):
    return gradcheck(f, inputs, raise_exception=False, **options).verdict


def network(x, w, v):
    return 0.5 * ((tg.sigmoid(tg.tanh(x @ w) @ v) - 0.3) ** 2).sum()


WEIGHTS = (X, np.linspace(-1, 1, 12).reshape(3, 4), np.linspace(-0.7, 0.9, 8).reshape(4, 2))


# ---------------------------------------------------------------------------------- passing


def test_a_right_gradient_passes_with_a_certificate():
    report = gradcheck(network, WEIGHTS)
    assert report
    assert report.verdict == "PASS"
    assert re.fullmatch(r"agrees to \S+, would have caught \S+", report.certificate)
    assert all(finding.resolution < 1e-6 for finding in report.findings)
    assert str(report).startswith("PASS  network  (seed 0, ")


def test_the_table_lists_every_comparison():
    lines = gradcheck(network, WEIGHTS).table().splitlines()
    assert lines[0].split() == ["what", "analytic", "numeric", "±", "relative", "verdict"]
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "all inputs", "all inputs, balanced", "small gradients",
    ]  # fmt: skip


@pytest.mark.parametrize("output", [(), (1,), (3,), (2, 3)])
def test_outputs_of_any_shape_get_random_cotangents(output):
    assert gradcheck(lambda x: tg.broadcast_to(tg.exp(x[0, 0]), output), X)


def test_inputs_and_outputs_may_be_nested():
    report = gradcheck(
        lambda p: {"a": p["w"] @ p["v"][0], "b": [p["w"] ** 2]}, {"w": X, "v": [X.T]}
    )
    assert report


def test_the_same_seed_gives_the_same_report():
    assert str(gradcheck(network, WEIGHTS, seed=5)) == str(gradcheck(network, WEIGHTS, seed=5))
    assert str(gradcheck(network, WEIGHTS, seed=5)) != str(gradcheck(network, WEIGHTS, seed=6))


@given(seeds)
def test_no_seed_accuses_a_right_gradient(seed):
    assert gradcheck(network, WEIGHTS, seed=seed)


@pytest.mark.parametrize("exponent", [-100, -30, -8, 8, 30, 100])
def test_the_size_of_the_numbers_does_not_matter(exponent):
    scale = 10.0**exponent
    assert gradcheck(lambda x: (x * x).sum(), X * scale)
    assert gradcheck(lambda x: scale * tg.sin(x).sum(), X)
    assert verdict(lambda x: np.sum(x * x), X * scale, grad=lambda x: 2.001 * x) == "FAIL"
    assert verdict(lambda x: scale * np.sum(np.sin(x)), X, grad=lambda x: 0 * x) == "FAIL"


def test_a_gradient_that_is_small_beside_the_value_is_really_checked():
    assert verdict(lambda x: 1 + 1e-8 * np.sum(np.sin(x)), X, grad=lambda x: 0 * x) == "FAIL"


def test_numbers_of_many_sizes_in_one_array_all_count():
    x = np.array([1e-8, 1.0, 1e8])
    assert verdict(lambda x: x * x, x, grad=lambda x: 2 * x) == "PASS"
    assert verdict(lambda x: x * x, x, grad=lambda x: 2 * x + [0, 1, 0]) == "FAIL"
    assert verdict(lambda x: x * x, x, grad=lambda x: x * [4, 2, 2]) == "FAIL"


@pytest.mark.parametrize("speed", [1e2, 1e4, 1e6])
def test_fast_oscillations_do_not_alias(speed):
    assert gradcheck(lambda x: tg.sin(speed * x), X)


def test_a_constant_function_passes_and_says_so():
    report = gradcheck(lambda x: 0 * x + 3, X)
    assert report
    assert report.certificate == "the gradient is zero to rounding"


def test_second_derivatives_are_checked_as_well():
    assert gradcheck(network, WEIGHTS, order=2)
    report = gradcheck(lambda x: x**3, X, order=2)
    assert any(finding.what.startswith("second order") for finding in report.findings)


def test_a_wrong_second_derivative_is_found(monkeypatch):
    rules = tg.tanh.rules  # right values; what is recorded of them is not
    wrong = [lambda y, x: 1 - y * getattr(y, "detach", lambda: y)()]
    monkeypatch.setattr(tg.tanh, "rules", wrong)
    assert gradcheck(tg.tanh, X)
    assert verdict(tg.tanh, X, order=2) == "FAIL"
    monkeypatch.setattr(tg.tanh, "rules", rules)
    assert gradcheck(tg.tanh, X, order=2)


# ---------------------------------------------------------------------------------- kinks

KINKS = {
    "relu": (tg.relu, 0.0), "abs": (abs, 0.0), "leaky_relu": (tg.leaky_relu, 0.0),
    "clip": (lambda x: np.clip(x, -1, 1), 1.0), "maximum": (lambda x: np.maximum(x, 2), 2.0),
}  # fmt: skip


@pytest.mark.parametrize("distance", [0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("name", KINKS)
def test_at_and_beside_a_kink_any_slope_between_both_sides_passes(name, distance):
    function, place = KINKS[name]
    x = place + distance * np.array([1.0, -1.0, 0.0]) + np.array([0, 0, 0.3])
    assert gradcheck(function, x)


def relu_with(slope):
    """Return a gradient of relu that has the given slope at 0."""
    return lambda x: np.where(x > 0, 1.0, np.where(x == 0, slope, 0.0))


@pytest.mark.parametrize(("slope", "expected"), [(0, "PASS"), (0.5, "PASS"), (1, "PASS"),
                                                 (2, "FAIL"), (-0.5, "FAIL")])  # fmt: skip
@pytest.mark.parametrize("reduce", [lambda y: y, np.sum])
def test_a_slope_at_a_kink_must_lie_between_both_sides(slope, expected, reduce):
    x = np.array([1.0, 0.0, -1.0, 0.0])
    found = gradcheck(lambda x: reduce(np.maximum(x, 0)), x, grad=relu_with(slope),
                      raise_exception=False)  # fmt: skip
    assert found.verdict == expected
    if expected == "FAIL":
        assert found.worst.index in {(1,), (3,)}


@pytest.mark.parametrize(("share", "expected"), [
    (lambda tied: tied / tied.sum(), "PASS"),
    (lambda tied: np.arange(len(tied)) == np.argmax(tied), "PASS"),
    (lambda tied: 1.0 * tied, "FAIL"),
    (lambda tied: 0.5 * tied / tied.sum(), "FAIL"),
])  # fmt: skip
@given(seed=st.integers(0, 20))
def test_tied_maxima_may_share_in_any_way_that_adds_up_to_one(share, expected, seed):
    x = np.array([2.0, 1.0, 2.0, 2.0])
    assert verdict(np.max, x, grad=lambda x: share(x == x.max()), seed=seed) == expected


def test_beside_a_kink_the_gradient_is_checked_exactly():
    x = np.array([0.0, 1.0, 2.0])
    right = relu_with(0.0)
    assert verdict(lambda x: np.maximum(x, 0), x, grad=lambda x: right(x) * 1.001) == "FAIL"


def test_where_kinks_meet_our_own_graphs_are_not_accused():
    # relu(x) - relu(-x) is x, whose slope is 1; the chain rule gives 0 at 0
    assert verdict(lambda x: tg.relu(x) - tg.relu(-x), np.zeros(2)) == "INCONCLUSIVE"


# ---------------------------------------------------------------------------------- failing


def test_a_failure_raises_and_names_the_element():
    def gradient(x):
        g = np.cos(x)
        g[1, 2] *= 3
        return g

    with pytest.raises(
        tg.GradientError, match=r"argument 0 'x' index \(1, 2\): analytic"
    ) as caught:
        gradcheck(lambda x: np.sum(np.sin(x)), X, grad=gradient)
    assert isinstance(caught.value, AssertionError)
    report = gradcheck(lambda x: np.sum(np.sin(x)), X, grad=gradient, raise_exception=False)
    assert not report
    assert (report.worst.argument, report.worst.index) == (0, (1, 2))
    assert report.worst.analytic == pytest.approx(3 * np.cos(-0.75), rel=1e-12)
    assert abs(report.worst.numeric - np.cos(-0.75)) <= report.worst.bound < 1e-8


@given(st.integers(0, 9_999), seeds)
def test_one_wrong_element_of_ten_thousand_is_found(position, seed):
    x = np.random.default_rng(seed).uniform(0.5, 2, 10_000)

    def gradient(x):
        g = np.cos(x)
        g[position] += 1e-2
        return g

    report = gradcheck(lambda x: np.sum(np.sin(x)), x, grad=gradient, raise_exception=False)
    assert report.verdict == "FAIL"
    assert report.worst.index == (position,)
    assert report.evaluations < 3_000  # not 20,000; a third of it to say what it looks like


@pytest.mark.parametrize(("factor", "expected"), [
    (1 + 1e-3, "FAIL"), (1 + 1e-5, "FAIL"), (1 + 1e-6, "FAIL"), (1 + 3e-8, "IMPRECISE"),
    (1, "PASS"), (1 + 1e-15, "PASS"),
])  # fmt: skip
def test_relative_errors_are_told_by_their_size(factor, expected):
    assert verdict(lambda x: np.sum(np.sin(x)), X, grad=lambda x: factor * np.cos(x)) == expected


def test_a_nan_in_the_gradient_is_a_failure_at_its_index():
    gradient = np.where(X == 2, np.nan, 2 * X)
    report = gradcheck(lambda x: np.sum(x * x), X, grad=lambda x: gradient, raise_exception=False)
    assert report.verdict == "FAIL"
    assert report.worst.index == (0, 2)
    assert "NaN" in report.diagnosis


def test_an_infinite_slope_that_the_function_has_is_not_accused():
    assert verdict(lambda x: tg.sqrt(x).sum(), np.array([0.0, 1.0])) == "INCONCLUSIVE"


@pytest.mark.parametrize("spoil", [
    lambda x, u: 2 * x * np.ones_like(u), lambda x, u: 2 * x * u.mean(), lambda x, u: 2 * x * u**2,
])  # fmt: skip
def test_a_backward_pass_must_be_linear_in_the_cotangent(spoil):
    report = gradcheck(lambda x: x * x, X, vjp=spoil, raise_exception=False)
    assert report.verdict == "FAIL"


def test_a_pullback_that_is_right_only_for_ones_is_told_so():
    report = gradcheck(lambda x: x * x, X, vjp=lambda x, u: 2 * x, raise_exception=False)
    assert report.verdict == "FAIL"
    assert "right only for a seed of ones" in str(report)


def test_a_backward_pass_must_give_the_same_twice():
    calls = []

    def stale(x, u):
        calls.append(1)
        return 2 * x * u * (1 + (len(calls) > 3))

    report = gradcheck(lambda x: x * x, X, vjp=stale, raise_exception=False)
    assert report.verdict == "FAIL"
    assert "two calls at the same point differ" in report.reason


RANDOM = "the gradient is random, or keeps state: two calls at the same point differ"


@pytest.mark.parametrize("size", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("by", ["grad", "vjp"])
@pytest.mark.parametrize("reduce", [np.sum, np.asarray])
def test_a_random_gradient_is_told_to_be_random(by, size, reduce):
    rng = np.random.default_rng(0)

    def gradient(x, u=1.0):
        return 2 * x * u * (1 + size * rng.normal())

    report = gradcheck(lambda x: reduce(x * x), X, **{by: gradient}, raise_exception=False)
    assert report.reason == RANDOM
    assert report.diagnosis == ""
    assert report.gradient_calls <= 12


@given(st.integers(2, 4))
def test_a_gradient_that_differs_now_and_then_is_told_to_keep_state(period):
    calls = []

    def gradient(x, u):
        calls.append(1)
        return 2 * x * u * (1 + (len(calls) % period == 0))

    assert gradcheck(lambda x: x * x, X, vjp=gradient, raise_exception=False).reason == RANDOM


def test_a_buffer_that_is_added_to_and_returned_is_told_to_keep_state():
    buffer = np.zeros_like(X)

    def accumulating(x, u):
        nonlocal buffer
        buffer += 2 * x * u
        return buffer

    assert gradcheck(lambda x: x * x, X, vjp=accumulating, raise_exception=False).reason == RANDOM


def test_a_gradient_whose_shape_changes_is_told_to_keep_state():
    calls = []

    def growing(x, u):
        calls.append(1)
        return 2 * x * u if len(calls) == 1 else np.zeros(len(calls))

    assert gradcheck(lambda x: x * x, X, vjp=growing, raise_exception=False).reason == RANDOM


@pytest.mark.parametrize(("shape", "text"), [
    ((3, 2), "transposed"), ((6,), "reshaped"),
    ((4, 2, 3), "the sum over a broadcast axis is missing"),
])  # fmt: skip
def test_a_gradient_of_a_wrong_shape_fails_with_a_guess_why(shape, text):
    report = gradcheck(
        lambda x: np.sum(x), X, vjp=lambda x, u: np.ones(shape), raise_exception=False
    )
    assert report.verdict == "FAIL"
    assert f"has shape {shape}, not (2, 3)" in report.reason
    assert text in report.diagnosis


def test_coordinates_check_every_element_on_its_own():
    report = gradcheck(lambda x: np.sin(x), X, grad=np.cos, coordinates=True)
    assert {f"x[{i}, {j}]" for i in range(2) for j in range(3)} <= {f.what for f in report.findings}


# ---------------------------------------------------------------------------------- precision


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_low_precision_is_compared_with_a_float64_run_of_the_same_graph(dtype):
    report = gradcheck(network, tuple(w.astype(dtype) for w in WEIGHTS))
    assert report
    exact, rounded = report.findings[:-1], report.findings[-1]
    assert all(f.resolution < 1e-6 for f in exact)
    assert np.dtype(dtype).name in rounded.what


@pytest.mark.parametrize("seed", [27, 53, 201, 347, 358, 748, 891])  # cotangents that cancel
def test_a_sum_that_cancels_in_float32_is_as_precise_as_its_terms(seed):
    x = np.float32([0.7])
    assert gradcheck(lambda x: tg.broadcast_to(x, (20,)), x, seed=seed, strict=True)


def test_a_bug_in_float32_alone_is_found(monkeypatch):
    def slope(y, x):
        return (1 - y * y) * (1.01 if getattr(x, "dtype", None) == np.float32 else 1)

    monkeypatch.setattr(tg.tanh, "rules", [slope])
    assert gradcheck(tg.tanh, X)
    assert verdict(tg.tanh, X.astype(np.float32)) == "FAIL"


@pytest.mark.parametrize("leftover", [1e-2, 1e-3, 1e-4])
def test_a_float32_gradient_whose_terms_cancel_is_no_failure(leftover):
    for seed in range(25):
        rng = np.random.default_rng(seed)
        terms = rng.uniform(1, 3, 4)
        terms[-1] = -terms[:-1].sum() * (1 - leftover)
        terms = terms.astype(np.float32)  # these no input moves

        x = np.array(rng.uniform(0.5, 2), np.float32)
        assert verdict(lambda x, terms=terms: (x * terms).sum(), x) in ("PASS", "INCONCLUSIVE")


@pytest.mark.parametrize("leftover", [1e-2, 1e-3, 1e-4])
def test_where_a_random_cotangent_makes_float32_terms_cancel_is_no_failure(leftover):
    for seed in range(25):
        u = mixed(2, np.random.default_rng(seed))  # as the check draws it
        a, b = np.random.default_rng(seed + 1).uniform(1, 3, 2)
        terms = np.array([b, -u[0] * b / u[1] * (1 - leftover)], np.float32)
        report = tg.gradcheck(tg.outer, (np.array(a, np.float32), terms), seed=seed)
        assert report.verdict in ("PASS", "INCONCLUSIVE")


@pytest.mark.parametrize("excess", [1e-3, -1e-4])
def test_a_small_bug_in_float32_alone_is_found(monkeypatch, excess):
    def rule(y, x):
        return (1 - y * y) * (1 + excess * (getattr(x, "dtype", None) == np.float32))

    monkeypatch.setattr(tg.tanh, "rules", [rule])
    assert verdict(tg.tanh, X.astype(np.float32)) == "FAIL"


def low(change):
    """The gradient of sum(exp(x)), changed where x is less precise than float64."""

    def gradient(x):
        right = np.exp(x)
        return right if x.dtype == np.float64 else change(right).astype(x.dtype)

    return gradient


LOW = {
    "a factor": (lambda g: 2 * g, "a factor of 2: accumulated twice?, on every element"),
    "another factor": (lambda g: 1.5 * g, "a constant factor of 1.5"),
    "the sign": (lambda g: -g, "the sign is reversed"),
    "transposed": (lambda g: g.T.copy(), "transposed"),
    "rolled": (lambda g: np.roll(g, 1), "the right numbers at wrong places"),
    "NaN": (lambda g: np.nan * g, "9 of 9 elements are NaN or infinite"),
    "infinite": (lambda g: np.inf * g, "9 of 9 elements are NaN or infinite"),
    "anything": (lambda g: g + 3 * np.sin(7 * g**2), ": something depends on the precision"),
}
SQUARE = np.random.default_rng(1).uniform(-2, 2, (3, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", LOW)
def test_a_gradient_that_is_wrong_in_low_precision_alone_is_diagnosed_there(name, dtype):
    change, text = LOW[name]
    report = gradcheck(
        lambda x: np.sum(np.exp(x)), dtype(SQUARE), grad=low(change), raise_exception=False
    )
    assert report.verdict == "FAIL"
    assert report.diagnosis.startswith("right in float64")
    assert text in report.diagnosis


@given(factor=st.sampled_from([-3.0, -1.0, 0.0, 0.5, 2.0, 3.0]), seed=seeds)
def test_a_symmetric_input_is_not_what_makes_a_low_gradient_wrong(factor, seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (3, 3)).astype(np.float32)
    report = gradcheck(
        lambda x: np.sum(np.exp(x)), x + x.T, grad=low(lambda g: factor * g), raise_exception=False
    )
    assert report.verdict == "FAIL"
    assert "transposed" not in report.diagnosis
    assert "right numbers" not in report.diagnosis
    assert "on every element (9/9)" in report.diagnosis


def test_derivatives_in_low_precision_are_told_without_the_cotangent():
    report = gradcheck(lambda x: np.sum(np.exp(x)), np.float32([0.5, -1.0]),
                       grad=low(lambda g: 2 * g), raise_exception=False)  # fmt: skip
    assert report.worst.numeric == pytest.approx(np.exp(0.5), rel=1e-6)
    assert report.worst.analytic == pytest.approx(2 * np.exp(0.5), rel=1e-6)
    assert "in float64 1.648721" in str(report)


def test_a_kink_elsewhere_does_not_excuse_a_bug_in_float32_alone(monkeypatch):
    def rule(y, x):
        return (1 - y * y) * (2 if getattr(x, "dtype", None) == np.float32 else 1)

    monkeypatch.setattr(tg.tanh, "rules", [rule])
    at = np.float32([0.0, 1.0, 2.0])
    assert verdict(lambda x: (tg.tanh(x) + tg.relu(x)).sum(), at) == "FAIL"


def test_a_structure_that_is_wrong_in_float32_alone_names_the_element():
    def vjp(x, u):
        return np.ones_like(x) * (u if x.dtype == np.float64 else np.float32(1))

    report = gradcheck(lambda x: x.sum(), np.float32(X), vjp=vjp, raise_exception=False)
    assert report.reason == "in float32: the gradient is not linear in the cotangent"
    assert report.worst.label == "x"


def test_a_float32_inside_is_imprecise_and_no_failure():
    def rounded(x):
        return np.sin(np.float32(x)).astype(float)

    found = gradcheck(rounded, X, grad=np.cos, raise_exception=False)
    assert found.verdict == "IMPRECISE"
    assert not found
    assert verdict(rounded, X, grad=lambda x: 1.01 * np.cos(x)) == "FAIL"


def test_strict_raises_for_everything_but_a_pass():
    def rounded(x):
        return np.sin(np.float32(x)).astype(float)

    with pytest.raises(tg.GradientError, match="IMPRECISE"):
        gradcheck(rounded, X, grad=np.cos, strict=True)
    assert gradcheck(rounded, X, grad=np.cos).verdict == "IMPRECISE"


# ---------------------------------------------------------------------------------- cost


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_a_pass_costs_the_same_for_any_number_of_inputs(size):
    calls = {"f": 0, "vjp": 0}

    def f(x):
        calls["f"] += 1
        return np.sum(np.sin(x))

    def vjp(x, u):
        calls["vjp"] += 1
        return u * np.cos(x)

    report = gradcheck(f, np.linspace(0.5, 3, size), vjp=vjp)
    directions = len(report.findings)
    assert report.verdict == "PASS"
    assert calls["f"] <= 60 * directions + 10  # and a few, to ask for the shape and the state
    assert calls["vjp"] == report.gradient_calls <= 12 * directions


# ---------------------------------------------------------------------------------- the estimator

SMOOTH = {
    "sin": (np.sin, np.cos), "exp": (np.exp, np.exp), "square": (np.square, lambda x: 2 * x),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "wave": (lambda x: np.sin(1000 * x), lambda x: 1000 * np.cos(1000 * x)),
    "pole": (lambda x: 1 / (x - 4.0001), lambda x: -((x - 4.0001) ** -2)),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
@given(x=st.floats(0.01, 4))
def test_the_error_of_a_slope_is_within_its_bound(name, x):
    function, slope = SMOOTH[name]
    noise = 2**-51 * (abs(function(x)) + abs(x * slope(x)))
    found = slope_of(lambda t: function(x + t), function(x), Noise(noise, noise, noise))
    assert found.kind in ("smooth", "unresolved")
    if found.kind == "smooth":
        assert abs(found.middle - slope(x)) <= found.bound + 1e-13 * abs(slope(x))


@given(st.floats(1e-12, 1.0), seeds)
def test_noise_is_measured_to_within_a_factor(size, seed):
    noise = np.random.default_rng(seed).normal(size=40) * size
    values = [3 + 0.1 * t + n for t, n in enumerate(noise)]
    assert size / 5 < difference_noise(values, (4, 5, 6)) < 5 * size
