"""What backward adds up, what it leaves alone, and what it refuses: the written convention."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.op import Elementwise

SEED = np.array([0.5, -2.0])


def graph():
    x, c = tg.Tensor([1.0, 2.0], name="x"), tg.Tensor([3.0, 4.0], requires_grad=False)
    inner = x * c
    return x, c, inner, inner * inner + x


def test_leaves_add_up_until_they_are_cleared():
    x, _, _, y = graph()
    y.backward(SEED)
    once = x.grad
    y.backward(SEED)
    np.testing.assert_array_equal(x.grad, 2 * once)
    x.zero_grad()
    assert x.grad is None
    y.backward(SEED)
    np.testing.assert_array_equal(x.grad, once)


def test_tensors_between_have_the_gradient_of_the_last_call():
    _, _, inner, y = graph()
    y.backward(SEED)
    y.backward(10 * SEED)
    np.testing.assert_array_equal(inner.grad, 10 * SEED * 2 * inner.data)
    np.testing.assert_array_equal(y.grad, 10 * SEED)


def test_a_shared_part_gets_the_sum_over_all_its_consumers():
    x = tg.Tensor(3.0)
    shared = x * x
    (shared * shared + 2 * shared).backward()
    assert x.grad == (2 * 9 + 2) * 2 * 3


def test_constants_get_no_gradient():
    _, c, _, y = graph()
    y.backward(SEED)
    assert c.grad is None


def test_backward_on_a_leaf_gives_it_the_seed():
    x = tg.Tensor([1.0, 2.0])
    x.backward(SEED)
    np.testing.assert_array_equal(x.grad, SEED)


def test_gradient_answers_and_leaves_grad_alone():
    x, _, inner, y = graph()
    by_x, by_inner = y.gradient(x, inner, cotangent=SEED)
    assert (x.grad, inner.grad, y.grad) == (None, None, None)
    np.testing.assert_array_equal(by_inner, SEED * 2 * inner.data)
    np.testing.assert_array_equal(by_x, by_inner * [3.0, 4.0] + SEED)


@pytest.mark.parametrize("other", [tg.Tensor([1.0, 2.0]), tg.Tensor(1.0, requires_grad=False), 3.0])
def test_a_target_that_was_not_reached_is_an_error(other):
    *_, y = graph()
    with pytest.raises(tg.GraphError, match=r"expected a tensor that this one depends on"):
        y.gradient(other, cotangent=SEED)


def test_several_elements_need_a_cotangent_of_their_shape():
    x, _, _, y = graph()
    with pytest.raises(tg.ShapeError, match="a cotangent of the same shape"):
        y.backward()
    with pytest.raises(tg.ShapeError, match=r"got a cotangent of shape \(3,\)"):
        y.backward(np.ones(3))
    assert x.grad is None


@pytest.mark.parametrize("constant", [tg.Tensor(1.0, dtype=int), tg.Tensor(2.0).detach()])
def test_a_constant_has_nothing_to_propagate(constant):
    with pytest.raises(tg.GraphError, match="depends on one that requires a gradient"):
        constant.backward()


def test_a_pass_that_fails_half_way_adds_to_no_leaf(monkeypatch):
    x, _, _, y = graph()
    y.backward(SEED)
    before = x.grad
    monkeypatch.setattr(Elementwise, "pull", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        y.backward(SEED)
    np.testing.assert_array_equal(x.grad, before)


def test_stop_gradient_detach_and_no_grad_each_cut_the_path():
    x = tg.Tensor(3.0)
    with tg.no_grad():
        unrecorded = x * x
    for cut in (tg.stop_gradient(x), x.detach(), unrecorded):
        x.zero_grad()
        (x * cut).backward()
        assert x.grad == cut.item()
        assert not cut.requires_grad


def test_stop_gradient_stays_visible_in_the_graph_and_detach_does_not():
    x = tg.Tensor(3.0)
    assert tg.stop_gradient(x).inputs == (x,)
    assert x.detach().inputs == ()


def test_gradients_of_gradients_are_right_to_third_order():
    x = tg.Tensor(2.0)
    y = x**4 * tg.exp(x)
    first = y.gradient(x, differentiable=True)
    second = first.gradient(x, differentiable=True)
    third = second.gradient(x)
    e = np.exp(2.0)
    np.testing.assert_allclose(first.item(), (2**4 + 4 * 2**3) * e, rtol=1e-14)
    np.testing.assert_allclose(second.item(), (16 + 8 * 8 + 12 * 4) * e, rtol=1e-14)
    np.testing.assert_allclose(third, (16 + 12 * 8 + 36 * 4 + 24 * 2) * e, rtol=1e-14)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copied_graph_is_a_graph_of_its_own(again):
    x, _, _, y = graph()
    twin = again(y)
    (twin_x,) = {node for node in ancestors(twin) if node.name == "x"}
    twin.backward(SEED)
    y.backward(SEED)
    assert twin_x is not x
    np.testing.assert_array_equal(twin_x.grad, x.grad)


def ancestors(tensor):
    found, stack = set(), [tensor]
    while stack:
        node = stack.pop()
        found.add(node)
        stack.extend(node.inputs)
    return found


def test_a_shallow_copy_leads_to_the_same_leaves():
    x, _, _, y = graph()
    copy.copy(y).backward(SEED)
    shallow = x.grad
    x.zero_grad()
    y.backward(SEED)
    np.testing.assert_array_equal(x.grad, shallow)
