"""The local check of rules: right rules pass wherever they are used, wrong ones are named."""

import numpy as np
import pytest
from samples import PRIMITIVE, Elementwise, each, every_case

import tinygrad_bp as tg
from tinygrad_bp.diagnosing.local_rules import wrong_rules
from tinygrad_bp.graph import walk

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

EXTREMES = np.array([0.0, -0.0, 1e-300, 1e-30, 1e-8, 0.3, 1.0, 7.0, 30.0, 1e3, 1e9, 1e150])


def named(entry):
    """List what the check says about an op in all of its cases."""
    found = []
    for sample in every_case(entry):
        inputs = [x if x.dtype == bool else tg.Tensor(x) for x in sample.inputs]
        found += wrong_rules(list(walk(sample.call(inputs))))
    return found


@each(PRIMITIVE)
def test_a_right_rule_is_never_called_wrong(entry):
    assert named(entry) == []


@each([op for op in PRIMITIVE if isinstance(op, Elementwise)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_not_even_at_extreme_numbers(entry, dtype):
    x = np.concatenate([EXTREMES, -EXTREMES]).astype(dtype)
    x = x[np.isfinite(x)]
    grid = np.meshgrid(*[x] * entry.arity)
    with np.errstate(all="ignore"):
        root = entry(*(tg.Tensor(values) for values in grid))
    assert wrong_rules(list(walk(root))) == []


BUGS = {
    "negated": lambda share: -1 * share,
    "twice": lambda share: 2 * share,
    "a thousandth more": lambda share: 1.001 * share,
    "dropped": lambda share: 0 * share,
}
FLAT = ("sign", "heaviside")  # their derivative is 0, and so is any multiple of it
MASKS = ("where",)  # its rules choose elements, so they have no factor


def spoilt(rule, bug):
    """Return a rule that is wrong in what it returns, for one input or for any number."""

    def wrong(*args, **params):
        found = rule(*args, **params)
        return [bug(share) for share in found] if isinstance(found, list) else bug(found)

    return wrong


@each([op for op in PRIMITIVE if op.name not in FLAT + MASKS])
@pytest.mark.parametrize("name", BUGS)
def test_a_wrong_rule_is_named(entry, name, monkeypatch):
    for slot, right in enumerate(entry.rules):
        if slot not in entry.skipped:
            rules = list(entry.rules)
            rules[slot] = spoilt(right, BUGS[name])
            monkeypatch.setattr(entry, "rules", rules)
            assert {wrong.node.op for wrong in named(entry)} == {entry}
            monkeypatch.undo()


@pytest.mark.parametrize("mask", [np.logical_not, np.ones_like, np.zeros_like])
def test_a_wrong_choice_is_named(mask, monkeypatch):
    for slot in (0, 1):
        right = list(tg.where.rules)
        right[slot + 1] = spoilt(right[slot + 1], mask)
        monkeypatch.setattr(tg.where, "rules", right)
        assert {wrong.node.op for wrong in named(tg.where)} == {tg.where}
        monkeypatch.undo()


def test_the_element_at_which_a_rule_is_wrong_is_named(monkeypatch):
    right = tg.tanh.rules[0]
    monkeypatch.setattr(tg.tanh, "rules", [lambda y, x: right(y, x) + 0.1 * (x > 2)])
    x = tg.Tensor([[0.0, 1.0], [3.0, -3.0]])
    (wrong,) = wrong_rules(list(walk(tg.tanh(x))))
    assert wrong.index == (1, 0)
    assert wrong.rule - wrong.measured == pytest.approx(0.1)


def test_kinks_are_left_alone():
    x = tg.Tensor([0.0, 0.0, 1.0])
    for root in (tg.relu(x), tg.abs(x), tg.max(x[:2]), tg.maximum(x, 0.0), tg.norm(x * 0.0)):
        assert wrong_rules(list(walk(root))) == []


def test_an_op_that_draws_random_numbers_is_left_alone():
    random = np.random.default_rng(0)

    @tg.elementwise("noise", method=False, numpy=())
    def noise_for_this_test(x):
        return x * random.uniform(size=x.shape)

    @noise_for_this_test.derivative
    def _(y, x):
        return 1

    try:
        root = noise_for_this_test(tg.Tensor(np.ones(5)))
        assert wrong_rules(list(walk(root))) == []
    finally:
        from tinygrad_bp.facts import OPS

        del OPS["noise_for_this_test"]
