"""`debug` stops at the first number that is not finite, says where, and leaves no trace."""

import threading

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.listeners import RECORDING, WATCHING
from tinygrad_bp.origin import origin_of

pytestmark = pytest.mark.filterwarnings("error")  # NumPy's warnings would come before the error

ZERO_ONE = np.array([0.0, 1.0])


def line_here(offset=0):
    import inspect

    return f"test_debug.py:{inspect.currentframe().f_back.f_lineno + offset}"


def stopped(program, match=None):
    """Return the error with which debug stops a program."""
    with pytest.raises(tg.InputError, match=match) as caught, tg.debug():
        program()
    return caught.value


def settings():
    return RECORDING.get(), WATCHING.get(), np.geterr()


# ---------------------------------------------------------------------------------- where it stops


def test_the_forward_pass_stops_at_the_guilty_line():
    lines = []

    def program():
        y = tg.Tensor([1.0, 3.0]) - 2.0
        lines.append(line_here(+1))
        z = tg.sqrt(y)
        lines.append("reached")
        tg.sqrt(z)

    error = stopped(program)
    assert len(lines) == 1
    assert str(error) == (
        f"sqrt ({lines[0]}): got NaN for its value at index (0,): the square root of a negative "
        "number (from x = -1); expected a finite number. Keep the argument at 0 or above: "
        "maximum(x, 0), or square it."
    )


def test_the_backward_pass_names_the_line_of_the_forward_pass():
    x, lines = tg.Tensor(ZERO_ONE), []

    def program():
        lines.append(line_here(+1))
        root = tg.sqrt(x)
        (root * [0.0, 1.0]).sum().backward()

    assert str(stopped(program)) == (
        f"sqrt ({lines[0]}): got NaN for the gradient that it sends on at index (0,): 0·∞: the "
        "slope of the square root at 0 is ∞ (from x = 0, gradient = 0); expected a finite number. "
        "Use tg.norm, or sqrt(x + 1e-12), or change the input: sqrt(where(x > 0, x, 1))."
    )
    assert x.grad is None


def test_a_graph_from_before_has_no_lines_and_is_watched_all_the_same():
    loss = tg.sqrt(tg.Tensor(ZERO_ONE)).sum()
    stopped(loss.backward, r"sqrt \(its line was not recorded\)")


def test_every_node_gets_its_line():
    with tg.debug():
        y = tg.Tensor(1.0) * 2.0
    assert origin_of(y).line == line_here(-1)


@pytest.mark.parametrize(
    "program",
    [
        lambda x: tg.sqrt(x).sum().backward(),
        lambda x: tg.sqrt(x).sum().gradient(x),
        lambda x: tg.sqrt(x).sum().gradient(x, differentiable=True),
        lambda x: tg.grad(lambda x: tg.sqrt(x).sum())(ZERO_ONE),
        lambda x: tg.value_and_grad(lambda x: np.sum(np.sqrt(x)))(ZERO_ONE),
        lambda x: tg.jacobian(tg.sqrt)(ZERO_ONE),
        lambda x: tg.hessian(lambda x: tg.sqrt(x).sum())(ZERO_ONE),
        lambda x: tg.jvp(tg.sqrt, (ZERO_ONE,), (ZERO_ONE + 1.0,)),
        lambda x: tg.checkpoint(lambda x: tg.sqrt(x).sum())(x).backward(),
        lambda x: tg.checkpoint(tg.checkpoint(lambda x: tg.sqrt(x).sum()))(x).backward(),
    ],
)
def test_every_kind_of_backward_pass_is_watched(program):
    error = stopped(lambda: program(tg.Tensor(ZERO_ONE)))
    assert error.where.startswith("sqrt (test_debug.py:")
    assert "the slope of the square root at 0" in error.given


def test_inside_a_checkpoint_the_forward_pass_stops_at_the_op_itself():
    error = stopped(lambda: tg.checkpoint(lambda x: tg.log(x).sum())(tg.Tensor(ZERO_ONE)))
    assert error.where.startswith("log (test_debug.py:")


def test_nan_that_was_there_before_is_named_as_such():
    w = tg.Tensor([1.0, np.nan], name="w")
    assert "NaN for an input (w) at index (1,): given as it is" in stopped(lambda: w * 2.0).given


def test_a_cotangent_that_is_not_finite_is_named_as_such():
    y = tg.Tensor(ZERO_ONE) * 2.0
    error = stopped(lambda: y.backward([np.nan, 1.0]))
    assert "Check the cotangent that was passed to backward()" in error.repair


# ---------------------------------------------------------------------------------- where not


def test_infinite_constants_and_what_the_gradient_leaves_out_are_allowed():
    x = tg.Tensor([1.0, 2.0, 3.0])
    with tg.debug():
        scores = tg.where([True, True, False], x, -np.inf)
        loss = (tg.softmax(scores) * [1.0, 2.0, 3.0]).sum()
        loss.backward()
        tg.softmax(x + [0.0, 0.0, -np.inf]).sum().backward()
        tg.where(x > 2.0, tg.sqrt(tg.where(x > 2.0, x, 1.0)), 0.0).sum().backward()
    assert np.all(np.isfinite(x.grad))


def test_infinity_minus_infinity_is_not():
    error = stopped(lambda: tg.Tensor([1.0]) * -np.inf + np.inf)
    assert "∞ − ∞" in error.given


def test_results_are_the_same_with_and_without():
    def gradients():
        w = tg.Tensor(np.linspace(-1.0, 1.0, 6).reshape(2, 3))
        tg.cross_entropy(tg.tanh(w), [0, 1]).backward()
        return w.grad.tobytes()

    plain = gradients()
    with tg.debug():
        assert gradients() == plain


# ---------------------------------------------------------------------------------- no trace


@pytest.mark.parametrize(
    "program",
    [
        lambda x: tg.log(x),
        lambda x: tg.sqrt(x).sum().backward(),
        lambda x: tg.sqrt(x).sum().gradient(x, differentiable=True),
        lambda x: tg.checkpoint(lambda x: tg.sqrt(x).sum())(x).backward(),
        lambda x: tg.hessian(lambda x: tg.sqrt(x).sum())(ZERO_ONE),
    ],
)
def test_an_error_leaves_no_trace(program):
    before = settings()
    stopped(lambda: program(tg.Tensor(ZERO_ONE)))
    assert settings() == before
    with np.errstate(all="ignore"):
        y = tg.log(tg.Tensor(ZERO_ONE))
        y.sum().backward()
    assert not hasattr(y, "origin")


def test_after_an_error_the_same_debugger_works_again():
    debugger = tg.debug()
    for _ in range(2):
        with pytest.raises(tg.InputError), debugger:
            tg.sqrt(tg.Tensor(ZERO_ONE)).sum().backward()
        with pytest.raises(tg.InputError), debugger:
            tg.log(tg.Tensor(ZERO_ONE))
    with debugger, debugger:
        assert (tg.Tensor(2.0) * 3.0).item() == 6.0


def test_a_caught_error_inside_the_block_does_not_blind_it():
    x = tg.Tensor(ZERO_ONE)
    with tg.debug():
        with pytest.raises(tg.InputError):
            tg.sqrt(x).sum().backward()
        with pytest.raises(tg.InputError):
            tg.log(x)


def test_it_decorates_functions():
    @tg.debug()
    def program():
        return tg.log(tg.Tensor(ZERO_ONE))

    with pytest.raises(tg.InputError, match=r"^log \(test_debug.py:"):
        program()
    assert RECORDING.get() is True


def test_threads_do_not_see_each_others_debug():
    inside, done = threading.Event(), threading.Event()
    found = []

    def other():
        inside.wait(10)
        with np.errstate(all="ignore"):
            y = tg.sqrt(tg.Tensor(ZERO_ONE) - 1.0).sum()
            y.backward()
        found.append((np.isnan(y.data).item(), hasattr(y, "origin"), RECORDING.get()))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with tg.debug():
        inside.set()
        done.wait(10)
        with pytest.raises(tg.InputError):
            tg.log(tg.Tensor(ZERO_ONE))
    thread.join()
    assert found == [(True, False, True)]


def test_it_nests_with_scopes_no_grad_transforms_and_itself():
    with tg.debug(), tg.scope("layer"), tg.debug():
        y = tg.Tensor(1.0) * 2.0
        with tg.no_grad(), np.errstate(all="ignore"):
            assert np.isneginf(tg.log(tg.Tensor(0.0)).item())  # nothing is recorded, nothing heard
        assert tg.grad(lambda x: x * x)(3.0) == 6.0
        with pytest.raises(tg.InputError):
            tg.log(tg.Tensor(0.0))
    assert origin_of(y) == (("layer",), line_here(-6))


def test_it_is_freed_by_reference_counting():
    import weakref

    debugger = tg.debug()
    with debugger:
        tg.Tensor(1.0) * 2.0
    gone = weakref.ref(debugger.watch)
    del debugger
    assert gone() is None


def test_unused_it_costs_no_node_a_thing():
    y = tg.Tensor(1.0) * 2.0
    assert RECORDING.get() is True  # the fast recorders are in use
    assert WATCHING.get() is None
    assert not hasattr(y, "origin")
