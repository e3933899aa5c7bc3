"""The planted-bug kit is safe: what it plants is seen where it should be, and always taken out."""

import threading

import numpy as np
import pytest
from samples import PRIMITIVE, each

import tinygrad_bp as tg
from tinygrad_bp import cotangents, flow, graph, op, tensor
from tinygrad_bp.check import mutants
from tinygrad_bp.check.planting import planted
from tinygrad_bp.facts import OPS

X = np.array([0.5, -1.0, 2.0])


def named(entry, name):
    return next(m for m in mutants.of(entry) if m.name == name)


def slope(function=tg.tanh):
    return tg.elementwise_grad(function)(X)


def everything():
    """Return all functions that the kit may replace."""
    modules = [vars(module).copy() for module in (cotangents, flow, graph, op, tensor)]
    return modules, [vars(entry).copy() for entry in PRIMITIVE]


# ---------------------------------------------------------------------------------- planting


def test_a_planted_bug_is_there_inside_the_block_and_gone_after_it():
    right = slope()
    with named(tg.tanh, "twice").planted() as mutant:
        assert mutant.number == 2
        np.testing.assert_array_equal(slope(), 2 * right)
    np.testing.assert_array_equal(slope(), right)


def test_a_planted_bug_is_gone_after_an_exception():
    right, before = slope(), everything()
    with pytest.raises(KeyError), named(tg.tanh, "sign").planted():
        raise KeyError
    np.testing.assert_array_equal(slope(), right)
    assert everything() == before


@each(PRIMITIVE)
def test_nothing_is_left_behind_by_any_mutant_of_an_op(entry):
    before = everything()
    for mutant in mutants.of(entry):
        with mutant.planted():
            pass
    assert everything() == before


def test_nothing_is_left_behind_by_any_mutant_of_the_engine():
    before = everything()
    for mutant in mutants.engine():
        with mutant.planted():
            assert everything() != before
    assert everything() == before


def test_another_thread_goes_on_with_the_right_rule():
    right, found = slope(), []
    for mutant in (named(tg.tanh, "sign"), mutants.engine()[0]):
        with mutant.planted():
            thread = threading.Thread(target=lambda: found.append(slope()))
            thread.start()
            thread.join()
    np.testing.assert_array_equal(found, [right, right])


def test_threads_that_plant_bugs_wait_for_each_other():
    wrong, before = [], everything()

    def plant(name, factor):
        for _ in range(50):
            with named(tg.sinh, name).planted():
                if not np.allclose(slope(tg.sinh), factor * np.cosh(X)):
                    wrong.append(name)

    threads = [threading.Thread(target=plant, args=a) for a in (("sign", -1), ("twice", 2)) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert everything() == before


def test_bugs_can_be_planted_together():
    with named(tg.tanh, "twice").planted(), named(tg.sin, "sign").planted():
        np.testing.assert_array_equal(slope(tg.sin), -np.cos(X))
    with named(tg.sin, "twice").planted(), named(tg.sin, "sign").planted():
        np.testing.assert_array_equal(slope(tg.sin), -2 * np.cos(X))
    np.testing.assert_array_equal(slope(tg.sin), np.cos(X))


def test_a_bug_that_cannot_be_planted_leaves_nothing():
    before = everything()
    patches = [(tg.tanh, "pull", lambda *args: None), (tg.tanh, "no such function", None)]
    with pytest.raises(AttributeError), planted(patches):
        """Never reached."""
    assert everything() == before


# ---------------------------------------------------------------------------------- the kit


def test_the_rooms_for_test_suites_are_found_by_name():
    assert tg.check.mutants is mutants
    assert tg.check.strategies.__name__ == "tinygrad_bp.check.strategies"
    with pytest.raises(AttributeError, match="no attribute 'mutant'"):
        tg.check.mutant  # noqa: B018


def test_a_mutant_says_what_it_is():
    mutant = named(tg.multiply, "twice")
    assert repr(mutant) == "<mutant of multiply, input 0: twice (class 2)>"
    assert mutant.description == mutants.CLASSES[2] == "a factor 2"
    assert mutant.op is tg.multiply


def test_each_sum_in_a_rule_gives_mutants_without_one_of_its_terms():
    terms = [m.name for m in mutants.of(tg.tanh) if m.name.startswith("sum ")]
    assert terms == [f"sum 0 of the rule without its {side} term" for side in ("first", "second")]
    with named(tg.tanh, terms[0]).planted():  # 1 − y² without the 1
        np.testing.assert_allclose(slope(), -(np.tanh(X) ** 2))
    with named(tg.tanh, terms[1]).planted():
        np.testing.assert_array_equal(slope(), np.ones(3))


def test_a_weak_check_leaves_survivors_and_a_good_one_none():
    def at_one_point():
        assert tg.grad(tg.sinh)(0.0) == 1

    def with_ones():
        x = tg.Tensor(X)
        tg.sinh(x).backward(np.ones(3))
        np.testing.assert_allclose(x.grad, np.cosh(X))

    assert len(mutants.survivors(tg.sinh, at_one_point)) > 5
    ignored = {m.number for m in mutants.survivors("sinh", with_ones)}
    assert {10, 11} <= ignored  # a cotangent of ones cannot tell
    assert mutants.survivors("sinh") == []


def test_a_check_may_answer_instead_of_raising():
    assert mutants.survivors([named(tg.sin, "sign")], lambda: slope(tg.sin)[0] > 0) == []
    assert len(mutants.survivors([named(tg.sin, "sign")], lambda: True)) == 1


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: mutants.of(tg.var), "got var; expected an op with a derivative rule"),
        (lambda: mutants.of(tg.floor), "got floor; expected an op with a derivative rule"),
        (lambda: mutants.of("tan_h"), "str 'tan_h'; expected an op, or the name of one"),
        (lambda: mutants.survivors(tg.sin, lambda: False), "a check that fails without any bug"),
    ],
)
def test_what_cannot_be_mutated_is_refused_with_a_repair(call, text):
    with pytest.raises(tg.InputError, match=text):
        call()


# ---------------------------------------------------------------------------------- users' ops


@pytest.fixture
def own_op():
    """An op as a user declares it, here with a rule that lacks a term."""

    @tg.elementwise("x·eˣ", method=False, numpy=())
    def x_exp_x(x):
        return x * np.exp(x)

    @x_exp_x.derivative
    def _(y, x):
        return y + tg.exp(x)

    yield x_exp_x
    del OPS["x_exp_x"]


def test_the_op_of_a_user_has_mutants_and_a_trial(own_op):
    assert mutants.survivors(own_op) == []
    assert len(mutants.of(own_op)) > 20


def test_a_trial_catches_a_real_bug_in_the_op_of_a_user(own_op):
    own_op.rules[0] = lambda y, x: y  # + eˣ is forgotten
    with pytest.raises(tg.GradientError):
        mutants.trial(own_op)
