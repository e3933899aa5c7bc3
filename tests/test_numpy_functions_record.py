"""NumPy's own functions, handed Tensors, compute what they always do and record it."""

import difflib
import operator

import numpy as np
import pytest
from numerics import check_gradient, flat
from numpy.testing import assert_allclose, assert_array_equal
from samples import every_case

import tinygrad_bp as tg
from tinygrad_bp import Tensor
from tinygrad_bp.facts import OPS
from tinygrad_bp.nested import flatten
from tinygrad_bp.numpy_protocol import PLAIN_ANSWERS, supported

ANOTHER_FORM = {  # where NumPy takes the same arguments in another form
    "heaviside": lambda f, inputs, params: f(*inputs, params.get("at_zero", 0.0)),
    "astype": lambda f, inputs, params: f(*inputs, params["dtype"]),
    "einsum": lambda f, inputs, params: f(params["subscripts"], *inputs),
    "concatenate": lambda f, inputs, params: f(inputs, **params),
    "stack": lambda f, inputs, params: f(inputs, **params),
}
RECORDED = supported()


def dotted(function):
    in_linalg = getattr(function, "__module__", "").startswith("numpy.linalg")
    return ("linalg." if in_linalg else "") + function.__name__


each_function = pytest.mark.parametrize("function", RECORDED, ids=dotted)


def call(function, name, sample, inputs):
    if name in ANOTHER_FORM:
        return ANOTHER_FORM[name](function, inputs, sample.params)
    return function(*inputs, **sample.params)


def leaves(results):
    return flatten(list(results) if isinstance(results, tuple) else results)[0]


# ------------------------------------------------------------------------------ every function


@each_function
def test_a_function_of_tensors_has_the_value_that_numpy_gives(function):
    name = RECORDED[function]
    for sample in every_case(OPS[name]):
        expected = leaves(call(function, name, sample, sample.inputs))
        actual = leaves(call(function, name, sample, [Tensor(x) for x in sample.inputs]))
        assert len(actual) == len(expected)
        for value, wanted in zip(actual, expected, strict=True):
            assert isinstance(value, Tensor)
            assert value.dtype == np.asarray(wanted).dtype
            assert_allclose(value.data, wanted, rtol=1e-12, atol=1e-14)


@each_function
def test_a_function_of_tensors_has_the_gradient_of_what_numpy_computes(function):
    name = RECORDED[function]
    rng = np.random.default_rng(3)
    entry = OPS[name]
    for sample in every_case(entry):

        def in_numpy(*varied, sample=sample):
            values = iter(varied)
            inputs = [x if x.dtype == bool else next(values) for x in sample.inputs]
            if sample.entry.facts.positive_definite:
                inputs = [(x + x.mT) / 2 for x in inputs]
            return call(function, name, sample, inputs)

        if getattr(entry, "differentiable", True):
            check_gradient(in_numpy, sample.varied, rng)
        else:
            results = leaves(in_numpy(*[Tensor(x) for x in sample.varied]))
            assert not any(y.requires_grad for y in results)


@pytest.mark.parametrize("function", PLAIN_ANSWERS, ids=dotted)
def test_questions_about_values_are_answered_without_a_tensor(function):
    t = Tensor([[1.0, 2.0], [0.0, 4.0]])
    pairs = (np.array_equal, np.array_equiv, np.allclose, np.isclose, np.searchsorted,
             np.may_share_memory, np.shares_memory, np.full_like, np.can_cast)  # fmt: skip
    sorted_first = t.data.ravel() if function is np.searchsorted else t
    more = {np.full_like: (7.0,), np.can_cast: (np.float32,)}.get(function, (t,))
    tensors = (sorted_first, *more) if function in pairs else (t,)
    plain = [x.data if isinstance(x, Tensor) else x for x in tensors]
    if function is np.can_cast:
        tensors = plain = [t.dtype, np.float32]
    answer, expected = function(*tensors), function(*plain)
    assert not any(isinstance(x, Tensor) for x in leaves(answer))
    if function is np.empty_like:
        answer, expected = answer.shape, expected.shape
    for one, other in zip(leaves(answer), leaves(expected), strict=True):
        assert_array_equal(one, other)


# ------------------------------------------------------------------------------ operators

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
PARTNERS = [
    np.array([0.5, 2.0, 3.0]),
    np.array([[0.5], [2.0]]),
    np.array(1.5),
    np.float64(1.5),
    np.float32(1.5),
    np.int64(2),
    np.uint8(200),
    np.array([1, 200, 3], "uint8"),
    np.array([2, 1, 3]),
    [0.5, 2.0, 3.0],
    (1, 2, 3),
    2,
    True,
]


@pytest.mark.parametrize("partner", PARTNERS, ids=repr)
@pytest.mark.parametrize("how", OPERATORS + COMPARISONS, ids=lambda f: f.__name__)
def test_arrays_and_tensors_meet_in_every_operator_and_order(how, partner):
    t = Tensor([1.25, 0.75, 2.5])
    plain = np.asarray(partner, dtype=float)
    with np.errstate(over="ignore"):
        for result, expected in (
            (how(t, partner), how(t.data, plain)),
            (how(partner, t), how(plain, t.data)),
        ):
            assert isinstance(result, Tensor)
            assert_allclose(result.data, expected, rtol=1e-15)


@pytest.mark.parametrize("partner", PARTNERS, ids=repr)
@pytest.mark.parametrize("how", OPERATORS, ids=lambda f: f.__name__)
def test_the_gradient_does_not_depend_on_the_dtype_of_the_constant_partner(how, partner):
    rng = np.random.default_rng(0)
    x = np.array([1.0625, 0.875, 1.125])
    plain = np.asarray(partner, dtype=float)
    if how is operator.pow:  # 200 ** 200 is out of reach
        partner, plain = (
            np.minimum(partner, 3).astype(np.asarray(partner).dtype),
            np.minimum(plain, 3),
        )
    for function, twin in (
        (lambda t: how(t, partner), lambda t: how(t, plain)),
        (lambda t: how(partner, t), lambda t: how(plain, t)),
    ):
        u = rng.normal(size=np.shape(twin(x)))
        found, expected = (tg.vjp(f, x)[1](u)[0] for f in (function, twin))
        assert_allclose(found, expected, rtol=1e-14)


def test_matrices_multiply_in_either_order():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(3, 2))
    for result in (a @ Tensor(b), Tensor(a) @ b, np.matmul(a, Tensor(b)), np.dot(Tensor(a), b)):
        assert isinstance(result, Tensor)
        assert_allclose(result.data, a @ b, rtol=1e-14)
    check_gradient(lambda x: a @ x, [b], rng)
    check_gradient(lambda x: x @ b, [a], rng)


@pytest.mark.parametrize(
    "join",
    [
        lambda t, a: np.where(a > 1, t, a),
        lambda t, a: np.where(t > 1, a, t),
        lambda t, a: np.concatenate([a, t, a]),
        lambda t, a: np.concatenate((t, a), axis=0),
        lambda t, a: np.stack([a, t], axis=1),
        lambda t, a: np.maximum(a, t),
        lambda t, a: np.einsum("i,j->ij", a, t),
        lambda t, a: np.outer(a, t),
        lambda t, a: np.linalg.solve(np.diag(a), t),
        lambda t, a: np.clip(t, a - 1, a + 0.3),
    ],
)
def test_functions_of_several_arrays_take_a_mixture(join):
    rng = np.random.default_rng(5)
    a = np.array([0.5, 2.0, 3.0])
    x = np.array([1.25, 0.75, 2.5])
    assert isinstance(join(Tensor(x), a), Tensor)
    assert_allclose(join(Tensor(x), a).data, join(x, a), rtol=1e-14)
    check_gradient(lambda t: join(t, a), [x], rng)


@pytest.mark.parametrize(
    ("reduce", "same"),
    [
        (np.add.reduce, np.sum),
        (np.multiply.reduce, np.prod),
        (np.maximum.reduce, np.max),
        (np.minimum.reduce, np.min),
    ],
)
def test_reductions_by_a_ufunc_record_and_reduce_the_first_axis_unless_told(reduce, same):
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3, 4))
    assert_allclose(reduce(Tensor(x)).data, reduce(x), rtol=1e-14)
    for axis in (0, 1, (0, 1), None, -1):
        assert_allclose(reduce(Tensor(x), axis=axis).data, same(x, axis=axis), rtol=1e-14)
        assert reduce(Tensor(x), axis=axis, keepdims=True).ndim == 2
    check_gradient(reduce, [x], rng)


# ------------------------------------------------------------------------------ the plain value


def test_asarray_gives_the_value_which_is_read_only():
    t = Tensor([1.0, 2.0])
    array = np.asarray(t)
    assert type(array) is np.ndarray
    assert_array_equal(array, [1.0, 2.0])
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 5
    copy = np.array(t)
    copy[0] = 5
    assert_array_equal(t.data, [1.0, 2.0])
    assert np.asarray(t, dtype=np.float32).dtype == np.float32


# ------------------------------------------------------------------------------ refusals

UNSUPPORTED = {
    np.sort_complex: "sort_complex",
    np.linalg.svd: "linalg.svd",
    np.linalg.eigvalsh: "linalg.eigvalsh",
    np.histogram: "histogram",
    np.spacing: "spacing",
    np.add.accumulate: "add.accumulate",
    np.subtract.reduce: "subtract.reduce",
    np.fft.fft: "fft.fft",
}


@pytest.mark.parametrize(("function", "name"), UNSUPPORTED.items(), ids=UNSUPPORTED.values())
def test_an_unsupported_function_names_itself_and_the_nearest_that_records(function, name):
    with pytest.raises(TypeError) as error:
        function(Tensor([[2.0, 1.0], [1.0, 3.0]]))
    nearest = difflib.get_close_matches(name, sorted(map(dotted, RECORDED)), n=1, cutoff=0.0)[0]
    assert str(error.value) == (
        f"numpy.{name}: got a Tensor; expected one of the functions that record. The nearest is "
        f"numpy.{nearest}; for the plain value, without a gradient, use tensor.data."
    )


REFUSED = {
    "out": (
        lambda t: np.exp(t, out=np.zeros(3)),
        "numpy.exp: got out=",
        "Recorded values never change: use the result that is returned.",
    ),
    "out of a sum": (
        lambda t: np.sum(t, out=np.zeros(())),
        "numpy.sum: got out=",
        "Recorded values never change: use the result that is returned.",
    ),
    "dtype": (
        lambda t: np.add(t, 1, dtype=np.float32),
        "numpy.add: got dtype=",
        "Convert with tensor.astype(dtype).",
    ),
    "dtype of a mean": (
        lambda t: np.mean(t, dtype=np.float32),
        "numpy.mean: got dtype=",
        "Convert with tensor.astype(dtype).",
    ),
    "where": (
        lambda t: np.sum(t, where=np.array([True, False, True])),
        "numpy.sum: got where=",
        "Use tg.where(mask, tensor, 0).",
    ),
    "where of a ufunc": (
        lambda t: np.log(t, where=np.array([True, False, True])),
        "numpy.log: got where=",
        "Use tg.where(mask, tensor, 0).",
    ),
    "casting": (
        lambda t: np.add(t, 1, casting="unsafe"),
        "numpy.add: got casting=",
        "Leave it out.",
    ),
}


@pytest.mark.parametrize(("function", "start", "remedy"), REFUSED.values(), ids=REFUSED)
def test_arguments_that_a_tensor_cannot_honour_are_refused_with_the_remedy(function, start, remedy):
    with pytest.raises(TypeError) as error:
        function(Tensor([1.0, 2.0, 3.0]))
    text = str(error.value)
    assert text.startswith(start)
    assert "; expected no such argument with a Tensor. " in text
    assert text.endswith(remedy)


def test_an_array_cannot_be_changed_in_place_by_a_tensor():
    array = np.ones(3)
    with pytest.raises(TypeError, match=r"numpy\.add: got out="):
        np.add(array, Tensor([1.0, 2.0, 3.0]), out=array)
    assert_array_equal(array, np.ones(3))


# ------------------------------------------------------------------------------ existing programs

RNG = np.random.default_rng(8)
DATA, CLASSES = RNG.normal(size=(12, 4)), RNG.integers(0, 3, 12)
ONE_HOT = np.eye(3)[CLASSES]


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def softmax_regression(w):
    scores = DATA @ np.reshape(w, (4, 3))
    scores = scores - np.max(scores, axis=1, keepdims=True)
    log_sum = np.log(np.sum(np.exp(scores), axis=1))
    return np.mean(log_sum - scores[np.arange(12), CLASSES]) + 0.01 * np.dot(w, w)


def small_network(w):
    w1, w2 = np.split(w, [20])
    hidden = np.tanh(DATA @ w1.reshape(4, 5))
    output = 1 / (1 + np.exp(-(hidden @ w2.reshape(5, 3))))
    return np.sum(np.square(output - ONE_HOT)) / 2


def log_determinant(w):
    m = w.reshape(3, 3)
    covariance = m @ m.T + np.eye(3)
    residual = np.linalg.solve(covariance, np.array([1.0, -2.0, 0.5]))
    return np.log(np.linalg.det(covariance)) + np.linalg.norm(residual) ** 2


PROGRAMS = [(rosenbrock, 5), (softmax_regression, 12), (small_network, 35), (log_determinant, 9)]
each_program = pytest.mark.parametrize(
    ("program", "size"), PROGRAMS, ids=[program.__name__ for program, _ in PROGRAMS]
)


@each_program
def test_an_existing_numpy_function_is_differentiated_unchanged(program, size):
    x = RNG.normal(size=size)
    value, gradient = tg.value_and_grad(program)(x)
    assert isinstance(value, float)
    assert_allclose(value, program(x), rtol=1e-13)
    assert type(gradient) is np.ndarray
    assert gradient.shape == x.shape
    check_gradient(program, [x], np.random.default_rng(9))


@each_program
def test_scipy_minimises_an_existing_numpy_function_with_its_gradient(program, size, require):
    require("scipy")
    from scipy.optimize import minimize

    start = np.linspace(-0.5, 0.8, size)
    result = minimize(tg.value_and_grad(program), start, jac=True, method="BFGS", tol=1e-6)
    assert result.fun < program(start)
    assert np.max(np.abs(flat(tg.grad(program)(result.x)))) < 1e-4
    if program is rosenbrock:
        assert_allclose(result.x, np.ones(size), rtol=1e-5)
