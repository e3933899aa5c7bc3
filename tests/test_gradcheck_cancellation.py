"""Where digits cancel inside a function, gradcheck accuses no right gradient and finds wrong ones.

A log-probability of −10⁻¹² is what is left of much larger numbers: it moves in stairs of 10⁻¹⁶.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.check import gradcheck
from tinygrad_bp.check.directions import leveled
from tinygrad_bp.check.stairs import stair

SIX = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).uniform(-1, 1, 6))
SPREADS = (6.0, 50.0, 300.0)
TARGETS = np.array([0, 2])
seeds = st.integers(0, 2**32 - 1)


def near(x):
    """Return numbers that differ from others in their ninth digit."""
    return x * (1 + 1e-8)


# Every output is told by the values of the function, at any spread.
RESOLVED = {
    "log_softmax": lambda x: tg.log_softmax(x),
    "log_softmax, scaled": lambda x: 3.3 * tg.log_softmax(x),
    "logsumexp - x": lambda x: tg.logsumexp(x) - x,
    "log of softmax": lambda x: tg.log(tg.softmax(x)),
    "log of a sum of exp": lambda x: tg.log(tg.exp(x - 30).sum()) - (x - 30),
}
# Some are rounded to nothing: there nobody can tell.
LOST = {
    "logsumexp - max": lambda x: tg.logsumexp(x) - tg.max(x),
    "cross_entropy": lambda x: tg.cross_entropy(tg.reshape(x, (2, 3)), TARGETS),
    "log(1 + exp)": lambda x: tg.log(1 + tg.exp(x)),
    "log(1 + exp(-x²))": lambda x: tg.log(1 + tg.exp(-x * x / 10)),
    "1 - tanh": lambda x: 1 - tg.tanh(x),
    "1 - sigmoid": lambda x: 1 - tg.sigmoid(x),
    "exp - 1": lambda x: tg.exp(1e-12 * x) - 1,
    "norm of small differences": lambda x: tg.sqrt(((near(x) - x) ** 2).sum()),
}
CANCELLING = RESOLVED | LOST


def verdict(function, x, **options):
    return gradcheck(function, x, raise_exception=False, **options).verdict


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("name", CANCELLING)
@given(x=SIX, seed=seeds)
def test_no_right_gradient_is_accused(name, spread, x, seed):
    assert verdict(CANCELLING[name], spread * x, seed=seed) != "FAIL"


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("name", RESOLVED)
def test_nearly_all_pass(name, spread):
    rng = np.random.default_rng(1)
    points = [rng.uniform(-spread, spread, 6) for _ in range(40)]
    found = [verdict(RESOLVED[name], x, seed=i) for i, x in enumerate(points)]
    assert found.count("PASS") >= 39


@pytest.mark.parametrize("name", ["log_softmax", "logsumexp - x", "log of softmax"])
@given(x=SIX, seed=seeds)
def test_the_gradient_of_the_gradient_is_not_accused(name, x, seed):
    assert verdict(CANCELLING[name], 50 * x, order=2, seed=seed) != "FAIL"


# ---------------------------------------------------------------------------------- wrong ones

BUGS = {
    "a factor 2": lambda g: 2 * g, "the sign": lambda g: -g, "nothing": lambda g: 0 * g,
    "a hundredth": lambda g: 1.01 * g, "one element": lambda g: np.where(g == g[2], 2 * g, g),
}  # fmt: skip


def spoiled(function, change):
    """Return the values of a function, and a wrong backward pass."""

    def backward(x, u):
        leaf = tg.Tensor(x)
        function(leaf).backward(u)
        return change(leaf.grad)

    return lambda x: function(tg.Tensor(x)).data, backward


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("name", RESOLVED)
@settings(max_examples=8)
@given(x=SIX, spread=st.sampled_from(SPREADS), seed=seeds)
def test_a_wrong_gradient_still_fails(name, bug, x, spread, seed):
    value, backward = spoiled(RESOLVED[name], BUGS[bug])
    assert verdict(value, spread * x, vjp=backward, seed=seed) == "FAIL"


@pytest.mark.parametrize("rule", [
    lambda g, y: g, lambda g, y: -np.exp(y) * g.sum(), lambda g, y: g - np.exp(y) * g,
], ids=["without the sum", "without the cotangent", "not summed"])  # fmt: skip
@pytest.mark.parametrize("spread", SPREADS)
@given(x=SIX, seed=seeds)
def test_a_lost_term_in_the_rule_of_log_softmax_fails(rule, spread, x, seed):
    def value(x):
        return x - x.max() - np.log(np.exp(x - x.max()).sum())

    assert verdict(value, spread * x, vjp=lambda x, u: rule(u, value(x)), seed=seed) == "FAIL"


@pytest.mark.parametrize("function", [np.exp, np.square], ids=["exp", "square"])
@pytest.mark.parametrize("share", [1e-3, 1e-9, 1e-12])
@given(seed=seeds)
def test_an_output_that_is_small_beside_the_largest_counts(function, share, seed):
    largest = np.array([2.0, 1.5, -1.0])
    small = np.log(share) if function is np.exp else np.sqrt(share)
    x = np.append(largest, small)
    slope = np.exp if function is np.exp else lambda x: 2 * x

    def backward(x, u):
        return u * slope(x) * np.array([1, 1, 1, 2.0])

    assert verdict(function, x, vjp=backward, seed=seed) == "FAIL"
    assert verdict(function, x, vjp=lambda x, u: u * slope(x), seed=seed) == "PASS"


@settings(max_examples=10)
@given(seed=seeds)
def test_an_output_of_any_size_counts(seed):
    x = np.random.default_rng(seed).uniform(-100, 100, 6)
    doubled = np.where(np.arange(6) == seed % 6, 2, 1)
    assert verdict(np.exp, x, vjp=lambda x, u: u * np.exp(x), seed=seed) == "PASS"
    assert verdict(np.exp, x, vjp=lambda x, u: doubled * u * np.exp(x), seed=seed) == "FAIL"


@pytest.mark.parametrize("seed", [4, 8, 34])
def test_a_gradient_far_below_those_nearby_is_not_taken_for_zero(seed):
    x = np.random.default_rng(seed).uniform(-100, 100, 6)  # steps of x / 4 multiply exp(x)
    report = gradcheck(np.exp, x, vjp=lambda x, u: u * np.exp(x), seed=seed)
    assert not any(finding.zero for finding in report.findings)


@pytest.mark.parametrize("bug", ["a factor 2", "the sign"])
@pytest.mark.parametrize("spread", SPREADS)
@given(x=SIX, seed=seeds)
def test_what_the_values_have_lost_is_never_passed(spread, bug, x, seed):
    value, backward = spoiled(lambda x: tg.logsumexp(x) - tg.max(x), BUGS[bug])
    assert verdict(value, spread * x, vjp=backward, seed=seed) != "PASS"


def test_elements_that_hardly_move_the_values_are_named():
    x = np.array([1.0, 2.0, -80.0])
    report = gradcheck(lambda x: tg.exp(x).sum(), x)
    assert "not seen: 1 of 3 elements hardly move the values beside the others (one: x[2])" in (
        report.notes
    )
    assert not any("not seen" in note for note in gradcheck(tg.exp, x).notes)
    assert not any("not seen" in note for note in gradcheck(lambda x: tg.exp(x).sum(), x[:2]).notes)


def test_outputs_too_different_for_one_cotangent_are_weighted_in_groups():
    sizes = np.array([1e-200, 1.0, 1e5, 1e200, 0.0])
    groups = list(leveled(sizes, sizes, np.dtype(float), np.random.default_rng(0)))
    assert [list(np.flatnonzero(u)) for u in groups] == [[3, 4], [1, 2], [0]]
    for u in groups:
        weighted = np.abs(u * sizes)[(u != 0) & (sizes != 0)]
        assert weighted.max() < 3.01 * weighted.min()


# ---------------------------------------------------------------------------------- the stairs


@pytest.mark.parametrize("exponent", [-12, -9, -6])
@pytest.mark.parametrize("side", [1, -1])
def test_the_height_of_a_stair_is_measured(exponent, side):
    found = stair(lambda t: 1 + np.array([10.0**exponent * (1 + t)]) - 1, np.ones(1), side / 4)
    assert found == 2**-52


def test_a_smooth_function_has_no_stairs_and_a_jump_is_none():
    assert stair(lambda t: np.exp(np.array([t])), np.ones(1), 0.25) == 0
    assert stair(lambda t: 1 / np.array([1e-6 + t]), np.full(1, 1e6), 0.25) == 0
    assert stair(lambda t: np.floor(np.array([0.9 + t])), np.array([1e-6]), 0.25) == 0
