"""A badge says what is wrong with a node: the right ones are given, and no others."""

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.diagnosing.badges import SEVERITY, badges
from tinygrad_bp.flow import Flow

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def named(root):
    """Map the labels of nodes to their badges."""
    flow = Flow(root)
    return {flow.label(node): found for node, found in badges(flow).items()}


def having(root, badge):
    return [label for label, found in named(root).items() if badge in found]


def test_the_first_non_finite_node_is_the_origin_and_what_follows_is_not():
    x = tg.Tensor([1.0, 3.0])
    assert having(tg.sqrt(tg.sqrt(x - 2.0)).sum(), "NaN origin") == ["sqrt#3"]


def test_infinity_has_a_badge_of_its_own():
    x = tg.Tensor([0.0, 1.0])
    assert having(tg.log(x).sum(), "Inf origin") == ["log#1"]


def test_a_gradient_can_be_the_origin():
    x = tg.Tensor([0.0, 3.0])
    assert named(tg.sqrt(x).sum()) == {"sqrt#1": ("Inf origin",)}
    assert "NaN origin" in named((tg.sqrt(x) * 0.0).sum())["sqrt#1"]


def test_what_reaches_neither_the_root_nor_a_gradient_is_no_origin():
    x = tg.Tensor([0.0, 3.0, 1.0])
    assert named(tg.where(x > 0, tg.log(x), 0.0).sum()) == {}
    scores = tg.where(np.array([True, True, False]), x + [1.0, 2.0, 3.0], -np.inf)
    assert named((tg.softmax(scores) * [1.0, 2.0, 3.0]).sum()) == {}


def test_a_chain_of_sigmoids_vanishes_and_a_short_one_does_not():
    short = deep = tg.Tensor(0.5, name="w")
    for _ in range(3):
        short = tg.sigmoid(short)
    for _ in range(40):
        deep = tg.sigmoid(deep)
    assert named(short) == {}
    assert "w" in having(deep, "vanished")
    assert "sigmoid#40" not in having(deep, "vanished")


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("samples", [1, 4, 4096])
@pytest.mark.parametrize("reduce", [tg.sum, tg.mean])
def test_neither_the_scale_of_the_error_nor_the_number_of_samples_matters(scale, samples, reduce):
    random = np.random.default_rng(0)
    w = tg.Tensor(random.normal(size=(3, 2)))
    hidden = tg.tanh(random.normal(size=(samples, 3)) @ w)
    assert named(scale * reduce((hidden - 1.0) ** 2)) == {}


def test_a_recurrence_that_grows_explodes():
    state = tg.Tensor(1.0, name="state")
    for _ in range(40):
        state = tg.sin(7.0 * state)
    assert "state" in having(state, "exploded")


def test_a_gradient_as_large_as_its_error_has_not_exploded():
    w = tg.Tensor([2.0, 1.0])
    prices = np.array([5e5, 3e5])
    assert named(((w - prices) ** 2).sum()) == {}


def test_a_weight_whose_gradients_cancel_at_the_minimum_has_not_vanished():
    random = np.random.default_rng(1)
    x, y = random.normal(size=(50, 3)), random.normal(size=50)
    best = tg.Tensor(np.linalg.lstsq(x, y)[0])
    error = ((x @ best - y) ** 2).mean()
    assert np.max(np.abs(error.gradient(best))) < 1e-15
    assert named(error) == {}


def test_a_layer_of_relus_that_are_all_off_is_dead():
    w, x = tg.Tensor([[1.0, 2.0]], name="w"), np.array([[-1.0], [-2.0]])
    hidden = tg.relu(x @ w)
    found = named(((hidden - 1.0) ** 2).sum())
    assert found == {"w": ("dead",), "matmul#2": ("dead",), "relu#3": ("dead",)}


def test_without_an_error_nothing_is_left_to_learn():
    w = tg.Tensor([1.0, 2.0])
    assert named(tg.relu(1.0 - 10.0 * w).sum()) == {}


def test_saturated_means_at_least_nine_of_ten_elements():
    far, near = np.full(9, 20.0), np.zeros(2)
    w = tg.Tensor(1.0)

    def error(x):
        return ((tg.tanh(w * x) * tg.Tensor(np.ones(x.size)) - 1.0) ** 2).sum()

    assert having(error(np.append(far, 0.0)), "saturated") == ["tanh#3"]
    assert having(error(np.append(far, near)), "saturated") == []


def test_a_right_output_may_be_at_its_limit_and_a_wrong_one_may_not():
    w = tg.Tensor(12.0)
    assert having((tg.sigmoid(w) - 1.0) ** 2 / 2, "saturated") == []
    assert having((tg.sigmoid(w) - 0.0) ** 2 / 2, "saturated") == ["sigmoid#1"]


def test_a_leaf_without_a_way_is_unreached_and_the_cut_is_detached():
    w, v = tg.Tensor(1.0, name="w"), tg.Tensor(2.0)
    cut = tg.stop_gradient(w * 3.0)
    assert named(cut * v) == {
        "w": ("unreached",),
        "stop_gradient#3": ("detached",),
    }


def test_a_cut_beside_an_open_way_is_none():
    x = tg.Tensor([1.0, -2.0])
    assert named(tg.where(x > 0, x, 0.1 * x).sum()) == {}
    assert named((x * tg.stop_gradient(x)).sum()) == {}


def test_an_accidental_outer_difference_has_a_badge_and_a_bias_has_none():
    y, t = tg.Tensor(np.ones((4, 1))), np.zeros(4)
    assert having(((y - t) ** 2).sum(), "broadcast") == ["subtract#2"]
    assert named((tg.Tensor(np.ones((4, 3))) + tg.Tensor(np.ones(3))).sum()) == {}


def test_badges_come_worst_first():
    assert len(set(SEVERITY)) == 9
    for found in named((tg.sqrt(tg.Tensor([0.0])) * 0.0).sum()).values():
        assert list(found) == sorted(found, key=SEVERITY.index)
