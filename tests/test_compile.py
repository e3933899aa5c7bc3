"""`compile` keeps its promises: what it takes and gives, what it refuses, and in which words."""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import require
from hypothesis import given
from hypothesis import strategies as st
from programs import MOVING, SMOOTH, draw

import tinygrad_bp as tg
from tinygrad_bp.compiler import cache
from tinygrad_bp.compiler.build import elementwise
from tinygrad_bp.compiler.primitives import Value, constant
from tinygrad_bp.compiler.program import Program, program
from tinygrad_bp.compiler.verify import verify
from tinygrad_bp.nn import Dense, Dropout, Sequential

engines = pytest.mark.parametrize("engine", ["native", "numpy"])
X = np.arange(6.0).reshape(2, 3)


def compiled(function, engine):
    if engine == "native":
        require("llvmlite", "fast")
    return tg.compile(function, engine)


def squares(x):
    return (x * x).sum()


# ------------------------------------------------------------------------------ what it gives


@engines
def test_plain_arguments_give_plain_results(engine):
    fast = compiled(lambda x: {"sum": x.sum(), "both": [x + 1, (x > 2).sum()]}, engine)
    found = fast(X)
    assert type(found["sum"]) is float
    assert type(found["both"][0]) is np.ndarray
    assert found["sum"] == 15.0
    assert found["both"][1] == 3
    np.testing.assert_array_equal(found["both"][0], X + 1)


@engines
def test_constant_tensors_give_constant_tensors(engine):
    y = compiled(squares, engine)(tg.Tensor(X, requires_grad=False))
    assert isinstance(y, tg.Tensor)
    assert not y.requires_grad
    assert y.item() == 55.0


@engines
def test_a_call_that_needs_a_gradient_is_recorded(engine):
    x = tg.Tensor(X)
    compiled(squares, engine)(x).backward()
    np.testing.assert_array_equal(x.grad, 2 * X)
    np.testing.assert_array_equal(tg.grad(compiled(squares, engine))(X), 2 * X)


@engines
def test_a_compiled_function_can_be_compiled_into_another(engine):
    inner = compiled(squares, engine)
    assert compiled(lambda x: inner(x) + inner(2 * x), engine)(X) == 275.0


@engines
def test_leaves_are_found_inside_of_a_compiled_function_as_well(engine):
    w = tg.Tensor([1.0, 2.0, 3.0])
    inner = compiled(lambda x: (x * w).sum(), engine)
    outer = compiled(lambda x: x * inner(np.ones(3)), engine)
    assert outer(2.0) == 12.0
    w.data = [0.0, 0.0, 1.0]
    assert outer(2.0) == 2.0


@engines
def test_backward_reaches_through_checkpoints_and_compiled_functions(engine):
    inner = compiled(tg.checkpoint(lambda x: tg.tanh(x * x).sum()), engine)

    def slope(x):
        inner(x).backward()
        return x.grad

    np.testing.assert_allclose(compiled(slope, engine)(X / 3), slope(tg.Tensor(X / 3)), rtol=1e-13)


@engines
def test_transforms_are_compiled_to_any_order(engine):
    def cubic(x):
        return (x**3).sum() + x[0] * x[1]

    x, v = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, -1.0])
    hessian = tg.hessian(cubic)
    np.testing.assert_allclose(compiled(hessian, engine)(x), hessian(x), rtol=1e-14)
    for product in (lambda x, v: tg.hvp(cubic, (x,), (v,)), lambda x, v: tg.jvp(cubic, (x,), (v,))):
        for a, b in zip(compiled(product, engine)(x, v), product(x, v), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)


@engines
def test_a_checkpoint_is_compiled_like_any_function(engine):
    slope = tg.grad(tg.checkpoint(lambda x: tg.tanh(x * x).sum()))
    np.testing.assert_allclose(compiled(slope, engine)(X / 3), slope(X / 3), rtol=1e-13)


@engines
def test_an_op_that_looks_at_numbers_waits_for_them(engine):
    a = X.T @ X + np.eye(3)

    def half(a):
        return tg.cholesky(a).sum()  # it refuses matrices that are not symmetric

    np.testing.assert_allclose(compiled(half, engine)(a), half(a), rtol=1e-14)
    np.testing.assert_allclose(
        compiled(tg.grad(half), engine)(a), tg.grad(half)(a), rtol=1e-12, atol=1e-14
    )
    with pytest.raises(ValueError, match="not symmetric"):
        compiled(half, engine)(a + np.triu(np.ones((3, 3))))


@engines
def test_leaves_are_found_inside_a_checkpoint_and_others_may_come_and_go(engine):
    w = tg.Tensor([1.0, 2.0, 3.0])

    def function(x):
        total = tg.checkpoint(lambda x: tg.tanh(x * w).sum())(x)
        for i in range(20):  # leaves that nobody keeps, often at the same address
            total = total + (x * tg.Tensor(np.full(3, i))).sum()
        return total

    with tg.no_grad():
        fast = compiled(function, engine)
        assert fast(X) == pytest.approx(function(tg.Tensor(X)).item(), rel=1e-13)
        w.data = [0.0, 0.5, 0.0]
        assert fast(X) == pytest.approx(function(tg.Tensor(X)).item(), rel=1e-13)


@engines
def test_gradients_reach_leaves_from_outside(engine):
    w, b = tg.Tensor([1.0, 2.0, 3.0], name="w"), tg.Tensor(0.5, name="b")

    def step(x):
        error = tg.square(tg.sigmoid((x * w).sum() + b) - 1).sum()
        slopes = error.gradient(w, b, differentiable=True)
        return [p - 0.1 * s for p, s in zip((w, b), slopes, strict=True)]

    fast = compiled(step, engine)
    for _ in range(3):
        expected = step(tg.Tensor([0.1, 0.2, 0.3]))
        for p, found, y in zip((w, b), fast(np.array([0.1, 0.2, 0.3])), expected, strict=True):
            np.testing.assert_allclose(found, y.data, rtol=1e-14)
            p.data = found


@engines
def test_a_training_step_is_one_program(engine):
    def step(weights, x, y):
        error = tg.square(tg.sigmoid(x @ weights["w"] + weights["b"]) - y).sum()
        slopes = error.gradient(weights["w"], weights["b"], differentiable=True)
        new = [weights[k] - 0.1 * s for k, s in zip("wb", slopes, strict=True)]
        return {"w": new[0], "b": new[1]}

    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((3, 2)), "b": np.zeros(2)}
    x, y = rng.standard_normal((4, 3)), rng.random((4, 2))
    fast = compiled(step, engine)
    expected = step({k: tg.Tensor(w) for k, w in weights.items()}, x, y)
    for key, found in fast(weights, x, y).items():
        np.testing.assert_allclose(found, expected[key].data, rtol=1e-13)


@engines
def test_python_floats_adopt_the_dtype_of_arrays(engine):
    fast = compiled(lambda x, rate: x * rate, engine)
    assert fast(np.float32([1, 2]), 0.1).dtype == np.float32
    assert fast(np.float32([1, 2]), np.float64(0.1)).dtype == np.float64


@engines
def test_integers_and_texts_are_part_of_the_program(engine):
    fast = compiled(lambda x, n, axis=None: tg.sum(x**n, axis), engine)
    assert fast(X, 2) == 55.0
    assert fast(X, 3) == (X**3).sum()
    np.testing.assert_array_equal(fast(X, 2, axis=0), (X**2).sum(0))


@engines
def test_leaves_from_outside_are_read_at_every_call(engine):
    w = tg.Tensor([1.0, 2.0, 3.0], name="w")
    fast = compiled(lambda x: (x * w).sum() + muted(x * w), engine)

    def muted(y):
        with tg.no_grad():
            return (y * w).sum()

    with tg.no_grad():
        assert fast(X) == (X * w.data).sum() + (X * w.data**2).sum()
        w.data = [0.0, 0.0, 1.0]
        assert fast(X) == 2 * 7.0


@engines
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,)])
def test_empty_and_single_numbers_are_arrays_too(shape, engine):
    x = np.ones(shape)
    found = compiled(lambda x: (x + 1, x.sum(), x * x), engine)(x)
    for a, b in zip(found, (x + 1, x.sum(), x * x), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.shape(a) == np.shape(b)


@engines
def test_any_memory_may_be_passed_and_none_is_changed(engine):
    fast = compiled(lambda a, b: (a + b, a - b), engine)
    base = np.arange(24.0).reshape(4, 6)
    read_only = base[:, :3].copy()
    read_only.flags.writeable = False
    swapped = base[:, :3].astype(">f8")
    for x in (base[:, :3], base[:, 5:2:-1], base[::2][:, ::2], read_only, swapped, base[:, :3].T):
        for y in (x, x[::-1]):
            before = base.copy()
            plus, minus = fast(x, y)
            np.testing.assert_array_equal(plus, x + y)
            np.testing.assert_array_equal(minus, x - y)
            np.testing.assert_array_equal(base, before)


@engines
def test_results_of_one_call_are_not_changed_by_the_next(engine):
    fast = compiled(lambda x: x * 2, engine)
    first = fast(X)
    fast(X + 1)
    np.testing.assert_array_equal(first, X * 2)
    first[...] = 0
    np.testing.assert_array_equal(fast(X), X * 2)


# ------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * float(x.sum()),
        lambda x: x * int(x.sum()),
        lambda x: x * x.sum().item(),
        lambda x: x * x.data,
        lambda x: x * x.numpy(),
        lambda x: x * np.array(x),
        lambda x: x * x.tolist()[0][0],
        lambda x: max(x[0, 0], x[0, 1]),
        lambda x: x[x > 1],
        lambda x: x[0, x[0] > 1].sum(),
    ],
)
def test_what_depends_on_a_number_is_refused_with_the_line_and_the_remedy(function):
    with pytest.raises(tg.CompileError) as caught:
        tg.compile(function, "numpy")(X + 1)
    assert Path(__file__).name in str(caught.value)
    assert "where(condition, a, b)" in str(caught.value)
    assert "not known yet" in str(caught.value)


def test_a_tensor_computed_outside_is_refused():
    w = tg.Tensor(2.0) * 3
    with pytest.raises(tg.CompileError, match="multiply computed before.*Pass it as an argument"):
        tg.compile(lambda x: x * w, "numpy")(X)


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
def test_dtypes_without_machine_code_are_refused_by_it_alone(dtype):
    assert tg.compile(squares)(X.astype(dtype)) == squares(X)
    assert tg.compile(squares)(X.astype(dtype)).dtype == dtype
    for function in (squares, lambda x: x.astype(dtype).sum()):
        with pytest.raises(tg.CompileError, match=r'of float.*Use engine="numpy", or "auto"'):
            compiled(function, "native")(X.astype(dtype))


@engines
def test_an_index_out_of_range_is_the_error_that_it_always_is(engine):
    def pick(x, i):
        return tg.square(x[i]).sum()

    fast, i = compiled(pick, engine), np.array([0, 1])
    before = fast(X, i)
    with pytest.raises(tg.InputError) as recorded:
        pick(tg.Tensor(X), np.array([0, 2]))
    with pytest.raises(tg.InputError) as found:
        fast(X, np.array([0, 2]))
    assert str(found.value).split("): ")[1] == str(recorded.value).split("): ")[1]
    assert fast(X, i) == before


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (tg.inv, [2 * np.eye(300)]),
        (tg.inv, [2 * np.eye(300, dtype=int)]),
        (lambda x, i: x[i], [np.ones((1, 70000)), np.array([0, 0])]),
        (lambda x: tg.inv(x - 1), [np.eye(300) + 1]),
    ],
)
def test_large_programs_are_measured_whatever_numbers_they_take(function, inputs):
    np.testing.assert_array_equal(tg.compile(function)(*inputs), function(*inputs))


# ------------------------------------------------------------------------------ backward


@engines
@given(seed=st.integers(0, 2**32 - 1))
def test_backward_gives_the_gradients_that_it_always_gives(seed, engine):
    function, inputs = draw(seed, SMOOTH + MOVING + ("add", "multiply"), length=5)

    def slopes(*xs):
        total = sum(tg.tanh(y).sum() for y in function(*xs)) + sum(0 * x.sum() for x in xs)
        total.backward()
        total.backward()  # leaves add up
        return [x.grad for x in xs], total

    with np.errstate(all="ignore"):
        expected, value = slopes(*map(tg.Tensor, inputs))
    found, total = compiled(slopes, engine)(*inputs)
    np.testing.assert_allclose(total, value.item(), rtol=1e-9, atol=1e-9)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@engines
def test_steps_of_descent_may_be_written_with_backward(engine):
    def fitted(w, x, y):
        for _ in range(3):
            w.zero_grad()
            assert w.grad is None
            tg.square(x @ w - y).sum().backward()
            with tg.no_grad():
                w.data = w - 0.01 * w.grad
        return w

    def fitted_from_zero(x, y):
        w = tg.Tensor(np.zeros(3))
        return fitted(w, x, y)

    y = np.array([1.0, 2.0])
    expected = fitted_from_zero(X, y).data
    np.testing.assert_allclose(compiled(fitted_from_zero, engine)(X, y), expected, rtol=1e-13)
    given = np.zeros(3)
    np.testing.assert_allclose(compiled(fitted, engine)(given, X, y), expected, rtol=1e-13)
    np.testing.assert_array_equal(given, 0)


@engines
def test_gradients_that_are_plain_arrays_elsewhere_are_values_here(engine):
    w = tg.Tensor([1.0, 2.0, 3.0])

    def several(x):
        slope = (x * w * w).sum().gradient(w)
        return slope * slope, tg.grad(lambda q: (q * x * x).sum())(np.ones(3))

    for a, b in zip(compiled(several, engine)(X), several(tg.Tensor(X)), strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-14)


@engines
def test_a_leaf_made_inside_may_get_other_data(engine):
    def both(x):
        w = tg.Tensor(np.ones(3))
        first = (x * w).sum()
        w.data = np.full(3, 5.0)
        return first, (x * w).sum()

    assert compiled(both, engine)(X) == (15.0, 75.0)


def changes_of_what_is_outside(w, y):
    def descend(x):
        (x * w).sum().backward()
        return w.grad

    def rebind(x):
        w.data = w * 2
        return x * w

    def rebind_to_numbers(x):
        w.data = np.zeros(3)
        return x * w

    def forget(x):
        w.zero_grad()
        return x * w

    def other_graph(x):
        y.backward()
        return x

    return [descend, rebind, rebind_to_numbers, forget, other_graph]


@pytest.mark.parametrize("number", range(5))
def test_what_is_outside_is_not_changed_and_the_change_is_refused(number):
    w = tg.Tensor([1.0, 2.0, 3.0], name="w")
    y = (w * w).sum()
    y.backward()
    function = changes_of_what_is_outside(w, y)[number]
    before = [(x, x.value, x._grad) for x in (w, y)]
    with pytest.raises(tg.CompileError) as refused:
        tg.compile(function, "numpy")(X)
    assert "a change of the data or the gradient of a Tensor from outside" in str(refused.value)
    assert Path(__file__).name in str(refused.value)
    assert "Pass the Tensor as an argument" in str(refused.value)
    for x, value, gradient in before:
        assert x.value is value
        assert x._grad is gradient


def test_nothing_is_changed_by_a_function_that_fails():
    w = tg.Tensor([1.0, 2.0, 3.0])

    def failing(x):
        (x * w).sum().backward()
        w.data = w * 2
        raise KeyError("the fault of the function")

    with pytest.raises(KeyError):
        tg.compile(failing, "numpy")(X)
    assert w.grad is None
    np.testing.assert_array_equal(w.data, [1.0, 2.0, 3.0])


@engines
def test_leaves_are_found_however_deep_inside_no_grad(engine):
    w = tg.Tensor([1.0, 2.0, 3.0])

    def muted(x):
        with tg.no_grad(), tg.no_grad(), tg.scope("deep"), tg.no_grad():
            return (x * w).sum()

    fast = compiled(muted, engine)
    assert fast(X) == (X * w.data).sum()
    w.data = [0.0, 0.0, 1.0]
    assert fast(X) == 7.0


# ------------------------------------------------------------------------------ what may vary

GENERATOR = np.random.default_rng(0)


class Noisy:
    def __init__(self):
        self.generator = np.random.RandomState(0)

    def loss(self, x):
        return (x * self.generator.rand(3)).sum()


def noise():
    generator, noisy = np.random.default_rng(0), Noisy()
    yield lambda x: x * generator.random(3)
    yield lambda x: x * GENERATOR.random(3)
    yield lambda x: x * np.random.rand(3)
    yield lambda x: x * random.random()
    yield lambda x, g=generator: x * g.random(3)
    yield noisy.loss
    yield lambda x: noisy.loss(x)
    yield tg.grad(lambda x: (x * generator.random(3)).sum())


@pytest.mark.parametrize("function", list(noise()))
def test_random_numbers_are_not_drawn_once_and_for_all(function):
    with pytest.raises(tg.CompileError, match=r"random numbers.*pass them as an argument"):
        tg.compile(function, "numpy")(X)


def test_random_numbers_with_a_seed_inside_are_constants():
    def function(x):
        return x * np.random.default_rng(0).random(3)

    np.testing.assert_array_equal(tg.compile(function, "numpy")(X), function(X))


@engines
def test_the_parameters_of_a_network_are_read_at_every_call(engine):
    y = np.array([[0.0], [1.0]])
    model = Sequential([Dense(4, "tanh"), Dropout(0.5), Dense(1)], seed=0).build((3,))
    fast, slope = compiled(model, engine), compiled(tg.grad(lambda x: model(x).sum()), engine)
    for _ in range(2):
        np.testing.assert_allclose(fast(X), model.outputs(X), rtol=1e-13)
        np.testing.assert_allclose(slope(X), tg.grad(lambda x: model(x).sum())(X), rtol=1e-12)
        model.fit(X, y, epochs=2)
    model.parameters = {name: 0 * p for name, p in model.parameters.items()}
    np.testing.assert_array_equal(fast(X), 0)


# ------------------------------------------------------------------------------ wrong calls


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tg.compile(3), "expected a function"),
        (lambda: tg.compile(squares, engine="fast"), "one of auto, native, numpy"),
        (lambda: tg.compile(lambda x: {1, 2}, "numpy")(X), "Tensors, arrays or numbers"),
        (lambda: tg.compile(squares, "numpy")(X + 1j), "real numbers"),
        (lambda: tg.compile(squares).source, "was not called yet.*Call it first"),
        (lambda: tg.compile(lambda x: np.fft.fft(x), "numpy")(X), "fft"),
    ],
)
def test_wrong_calls_are_told_in_words(call, text):
    with pytest.raises((tg.TinygradError, TypeError), match=text):
        call()


def test_errors_of_ops_keep_their_words():
    with pytest.raises(tg.ShapeError, match=r"matmul.*the last axis of a"):
        tg.compile(lambda x: x @ x, "numpy")(X)


# ------------------------------------------------------------------------------ the checker


def broken_programs():
    x = Value("input", (), (2, 3), np.dtype(float))
    y = Value("input", (), (3,), np.dtype(float))
    yield Value("add", (x, y), (2, 3), x.dtype)
    yield Value("add", (x, x), (2, 3), np.dtype(np.float32))
    yield Value("less", (x, x), (2, 3), x.dtype)
    yield Value("sum", (x,), (2,), x.dtype, ((0,),))
    yield Value("contract", (x, y), (3,), x.dtype, ((0, 1), (1,), (0,)))
    yield Value("reshape", (x,), (7,), x.dtype)
    yield Value("conjure", (x,), (2, 3), x.dtype)
    yield Value("select", (x, x, x), (2, 3), x.dtype)
    yield Value("slice", (x,), (2, 9), x.dtype, ((0, 0), (1, 1)))


@pytest.mark.parametrize("value", list(broken_programs()), ids=repr)
def test_a_corrupted_program_is_refused(value):
    with pytest.raises(tg.CompileError, match="the program after a test"):
        verify(program([], [value]), "a test")


def test_a_value_before_its_inputs_is_refused():
    x = constant(1.0)
    y = elementwise("add", x, x)
    with pytest.raises(tg.CompileError, match="inputs that come before it"):
        verify(Program((), (y,), (y, x)), "a test")


# ------------------------------------------------------------------------------ what it shows


def test_the_program_can_be_read():
    fast = tg.compile(lambda x, w: tg.sigmoid(x @ w), "numpy")
    fast(X, np.ones((3, 2)))
    assert fast.source.splitlines() == [
        "def program(x: float64[2, 3], w: float64[3, 2]):",
        "    for i < 2, j < 2:",
        "        t2[i, j] = sum(x[i, k] * w[k, j] for k < 3)",
        "    for i < 2, j < 2:",
        "        t3[i, j] = 1 / (1 + exp(-t2[i, j]))",
        "    return t3",
    ]
    with pytest.raises(tg.CompileError, match="a program of NumPy calls"):
        _ = fast.ir


def test_the_machine_code_can_be_read():
    fast = compiled(lambda x: x + 1, "native")
    fast(X)
    assert "fadd <" in fast.ir
    assert "run0" in fast.asm


def deep(layers):
    """The step of a network of so many layers, and its arguments."""

    def step(x, *weights):
        a, sizes = x, []
        for w in weights:
            a = tg.sigmoid(a @ w)
            sizes.append((a * a).sum())  # single numbers stay in registers
        return sum(size * size for size in sizes).gradient(*weights, differentiable=True)

    rng = np.random.default_rng(0)
    return step, [rng.normal(size=(1, 8)), *rng.normal(size=(layers, 8, 8))]


def test_code_grows_with_depth_and_its_functions_do_not():
    """LLVM takes far more than twice the time for a function of twice the length."""
    lines, longest = [], []
    for layers in (32, 64, 128):
        step, arguments = deep(layers)
        fast = compiled(step, "native")
        found = fast(*arguments)
        for a, b in zip(found, step(*map(tg.Tensor, arguments)), strict=True):
            np.testing.assert_allclose(a, b.data, rtol=0, atol=1e-12 * np.abs(b.data).max())
        functions = fast.ir.split("\ndefine ")[1:]
        lines.append(fast.ir.count("\n"))
        pieces = [f for f in functions if "segment0from" in f.partition("(")[0]]
        longest.append(max(f.count("\n") for f in pieces))
    assert longest[0] == longest[1] == longest[2]
    assert lines[2] - lines[1] < 2.1 * (lines[1] - lines[0])


@engines
def test_memory_of_intermediate_results_is_used_again(engine):
    def chain(x):
        for _ in range(40):
            x = tg.tanh(x.T @ x) + 1
        return x

    x = np.random.default_rng(0).standard_normal((100, 100)) / 10
    fast = compiled(chain, engine)
    np.testing.assert_allclose(fast(x), chain(tg.Tensor(x)).data, rtol=1e-9)
    plan = fast._latest().plan
    memory = {(a.ctypes.data, a.size) for a in plan.arrays.values() if a.size > 1}
    assert len(memory) < 10


# ------------------------------------------------------------------------------ safety


@engines
def test_two_threads_compile_and_run_at_once(engine):
    shared = compiled(lambda x: tg.tanh(x @ x.T).sum(), engine)
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        own = compiled(lambda x: tg.exp(-x * seed), engine)
        for n in range(1, 30):
            x = rng.standard_normal((n % 7 + 1, 5))
            if not np.isclose(shared(x), np.tanh(x @ x.T).sum(), rtol=1e-12):
                wrong.append(("shared", n))
            if not np.allclose(own(x), np.exp(-x * seed), rtol=1e-13):
                wrong.append(("own", n))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@engines
def test_a_fork_after_compiling_works(engine):
    if engine == "native":
        require("llvmlite", "fast")
    program = (
        "import os, numpy as np, tinygrad_bp as tg\n"
        f"fast = tg.compile(lambda x: tg.exp(x).sum(), {engine!r})\n"
        "assert fast(np.zeros(3)) == 3\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    fine = fast(np.zeros(3)) == 3 and fast(np.zeros(5)) == 5\n"
        "    os._exit(0 if fine else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork on this system")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "0", done.stderr


WITHOUT = "import sys; sys.modules['llvmlite'] = None\nimport numpy as np, tinygrad_bp as tg\n"


def test_without_llvmlite_numpy_computes_and_one_line_names_the_remedy():
    program = WITHOUT + (
        "print(tg.compile(lambda x: (x * x).sum())(np.ones(3)))\n"
        "network = tg.NeuralNetwork([2, 2, 1], seed=0)\n"
        "network.fit(np.zeros((40, 2)), np.zeros((40, 1)), epochs=2600, displayUpdate=9999)\n"
        "try: tg.compile(lambda x: x, engine='native')(np.ones(3))\n"
        "except tg.CompileError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    value, info, refused = done.stdout.splitlines()
    assert value == "3.0"
    assert info.startswith("[INFO] epoch=1, loss=")
    assert "pip install 'tinygrad_bp[fast]'" in refused
    assert done.stderr.count("pip install 'tinygrad_bp[fast]'") == 1
    assert len(done.stderr.splitlines()) == 1


# ------------------------------------------------------------------------------ the cache


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_BP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entry(place):
    (path,) = place.glob("*.o")
    return path


def make(content):
    made = []

    def maker():
        made.append(content)
        return content

    maker.made = made
    return maker


def test_object_code_is_made_once(place):
    first, second = make(b"code"), make(b"other")
    assert cache.fetch("key", first) == b"code"
    assert cache.fetch("key", second) == b"code"
    assert not second.made
    assert cache.fetch("another key", second) == b"other"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: b"",
        lambda data: b"\x7fELF" + data,
    ],
)
def test_a_damaged_entry_is_rebuilt_and_never_used(place, damage):
    cache.fetch("key", make(b"code"))
    path = entry(place)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.fetch("key", make(b"code again")) == b"code again"
    assert cache.fetch("key", make(b"third")) == b"code again"


def test_an_entry_of_another_program_is_not_used(place):
    cache.fetch("key", make(b"code"))
    path = entry(place)
    foreign = path.read_bytes()
    path.unlink()
    cache.fetch("another", make(b"right"))
    entry(place).write_bytes(foreign)
    assert cache.fetch("another", make(b"right")) == b"right"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="the system has no such permissions")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_an_entry_that_others_may_have_written_is_not_used(place, what):
    cache.fetch("key", make(b"code"))
    (place if what == "folder" else entry(place)).chmod(0o777)
    maker = make(b"fresh")
    assert cache.fetch("key", maker) == b"fresh"
    assert maker.made


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TINYGRAD_BP_CACHE", str(tmp_path / "file" / "cache"))
    assert cache.fetch("key", make(b"code")) == b"code"
    monkeypatch.setenv("TINYGRAD_BP_CACHE", "")
    assert cache.folder() is None
    assert cache.fetch("key", make(b"code")) == b"code"


def test_a_damaged_entry_of_a_real_program_is_harmless(place):
    assert compiled(squares, "native")(X) == 55.0
    path = entry(place)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert compiled(squares, "native")(X) == 55.0
    assert compiled(squares, "native")(X) == 55.0


def test_machine_code_is_freed_with_its_function():
    fast = compiled(squares, "native")
    fast(X)
    before = resident()
    for i in range(60):
        assert compiled(lambda x, i=i: (x * x).sum() + i, "native")(X) == 55.0 + i
    assert resident() - before < 30e6


def resident():
    """Bytes of memory that this process uses."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pytest.skip("the system does not tell how much memory is used")
