"""Every registered function is differentiated right: both modes, two orders, all shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numerics import (
    check_complex_step,
    check_forward_mode,
    check_gradient,
    check_second_order,
    flat,
    random_like,
)
from samples import DIFFERENTIABLE, PRIMITIVE, each, every_case, samples

import tinygrad_bp as tg
from tinygrad_bp.facts import OPS
from tinygrad_bp.nested import flatten, transform
from tinygrad_bp.tensor import Tensor

few = settings(max_examples=8)  # for each of some thousand pairs of a statement and an op
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)

NOT_ANALYTIC = {
    "abs": "its value is real", "sign": "piecewise constant", "heaviside": "piecewise constant",
    "maximum": "compares", "minimum": "compares", "relu": "compares", "leaky_relu": "compares",
    "elu": "compares", "max": "compares", "min": "compares", "euclidean_norm": "contains |x|",
    "softplus": "np.logaddexp takes real numbers only", "cast": "the target dtype is real",
    "logabsdet": "contains |det|", "cholesky": "takes a complex matrix for a Hermitian one",
}  # fmt: skip
ANALYTIC = [entry for entry in PRIMITIVE if entry.facts.name not in NOT_ANALYTIC]

NUMPY_CALLS = {  # where NumPy takes the same arguments in another form
    "heaviside": lambda f, inputs, params: f(*inputs, params.get("at_zero", 0.0)),
    "astype": lambda f, inputs, params: f(*inputs, params["dtype"]),
    "einsum": lambda f, inputs, params: f(params["subscripts"], *inputs),
    "concatenate": lambda f, inputs, params: f(inputs, **params),
    "stack": lambda f, inputs, params: f(inputs, **params),
}
IN_NUMPY = [(entry, f) for entry in OPS.values() for f in entry.facts.numpy]


def by_numpy(sample, function, inputs):
    call = NUMPY_CALLS.get(sample.entry.facts.name)
    if call:
        return call(function, inputs, sample.params)
    return function(*inputs, **sample.params)


def leaves(tree):
    return flatten(list(tree) if isinstance(tree, tuple) else tree)[0]


# ---------------------------------------------------------------------------------- derivatives


@each(DIFFERENTIABLE)
@pytest.mark.parametrize("check", [check_gradient, check_second_order, check_forward_mode])
def test_every_declared_case_is_differentiated_right(entry, check):
    rng = np.random.default_rng(1)
    for sample in every_case(entry):
        check(sample, sample.varied, rng)


@each(DIFFERENTIABLE)
@few
@given(data=st.data(), rng=seeds)
def test_the_gradient_is_that_of_central_differences(entry, data, rng):
    sample = data.draw(samples(entry))
    check_gradient(sample, sample.varied, rng)


@each(DIFFERENTIABLE)
@few
@given(data=st.data(), rng=seeds)
def test_the_second_derivative_is_that_of_central_differences(entry, data, rng):
    sample = data.draw(samples(entry))
    check_second_order(sample, sample.varied, rng)


@each(DIFFERENTIABLE)
@few
@given(data=st.data(), rng=seeds)
def test_forward_mode_is_right_and_the_adjoint_of_reverse_mode(entry, data, rng):
    sample = data.draw(samples(entry))
    check_forward_mode(sample, sample.varied, rng)


@each(ANALYTIC)
@few
@given(data=st.data(), rng=seeds)
def test_the_gradient_is_that_of_the_complex_step(entry, data, rng):
    sample = data.draw(samples(entry))
    check_complex_step(lambda *xs: forward(sample, xs), sample.varied, rng)


def forward(sample, xs):
    """Call the function, or for complex numbers, which users may not pass, what is behind it."""
    if isinstance(xs[0], Tensor):
        return sample(*xs)
    values = iter(xs)
    inputs = [x if x.dtype == bool else next(values) for x in sample.inputs]
    params = {**sample.entry.defaults, **sample.params}
    return sample.entry.forward(*inputs, **params)


def test_only_registered_functions_are_excused_from_the_complex_step():
    assert NOT_ANALYTIC.keys() <= {entry.name for entry in PRIMITIVE}


@each(DIFFERENTIABLE)
@few
@given(data=st.data(), rng=seeds)
def test_backward_gives_leaves_and_gradient_the_same_arrays(entry, data, rng):
    sample = data.draw(samples(entry))
    xs = [Tensor(x) for x in sample.varied]
    outputs = [y for y in flatten(sample(*xs))[0] if y.requires_grad]
    u = [random_like(y.data, rng) for y in outputs]
    pulled = tg.vjp(sample, *sample.varied)[1]
    full = transform(lambda y: np.zeros(y.shape), sample(*xs))
    for y, cotangent in zip(outputs, u, strict=True):
        y.backward(cotangent)
        apart = y.gradient(*xs, differentiable=True, cotangent=cotangent)
        for x, g in zip(xs, apart if len(xs) > 1 else [apart], strict=True):
            np.testing.assert_allclose(g.data, y.gradient(x, cotangent=cotangent), rtol=1e-12)
    cotangents = iter(u)
    seeds_ = iter([next(cotangents) if y.requires_grad else np.zeros(y.shape)
                   for y in flatten(sample(*xs))[0]])  # fmt: skip
    for x, g in zip(xs, pulled(transform(lambda _: next(seeds_), full)), strict=True):
        np.testing.assert_allclose(x.grad, g, rtol=1e-12, atol=1e-12)


@each(DIFFERENTIABLE)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@few
@given(data=st.data(), rng=seeds)
def test_a_gradient_has_the_dtype_and_shape_of_its_input(entry, dtype, data, rng):
    sample = data.draw(samples(entry))
    xs = [Tensor(x, dtype=dtype) for x in sample.varied]
    for y in flatten(sample(*xs))[0]:
        if y.requires_grad:
            y.backward(random_like(y.data, rng))
    for x in xs:
        assert (x.grad.dtype, x.grad.shape) == (x.dtype, x.shape) == (dtype, x.data.shape)


@each(DIFFERENTIABLE)
@few
@given(data=st.data(), rng=seeds)
def test_a_float32_gradient_is_the_float64_gradient_rounded(entry, data, rng):
    """It is that of numbers nearby, rounded: where its terms cancel, these differ more."""
    sample = data.draw(samples(entry))
    single = [x.astype(np.float32) for x in sample.varied]
    value, pullback = tg.vjp(sample, *single)
    u = transform(np.float32, random_like(value, rng))
    exact = tg.vjp(sample, *(x.astype(np.float64) for x in single))[1](u)
    moved = tg.vjp(sample, *((1 - 2e-5) * x.astype(np.float64) for x in single))[1]
    signs = [*[lambda n: rng.choice([-1.0, 1.0], n)] * 3, lambda n: (-1.0) ** np.arange(n)]
    near = [moved(transform(lambda leaf, s=s: nearby(leaf, s), u)) for s in signs]
    for found, right, *beside in zip(pullback(u), exact, *near, strict=True):
        size = np.max(np.abs(flat(right)), initial=0)
        apart = max(np.max(np.abs(flat(right) - flat(g)), initial=0) for g in beside)
        np.testing.assert_allclose(found, right, rtol=2e-5, atol=2e-5 * size + apart)


def nearby(x, signs):
    """Move every number by a little, up or down."""
    return x * (1 + 2e-5 * signs(np.size(x)).reshape(np.shape(x)))


# ---------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("entry", "function"), IN_NUMPY, ids=[entry.facts.name for entry, _ in IN_NUMPY]
)
@few
@given(data=st.data())
def test_the_value_is_that_of_the_numpy_function(entry, function, data):
    sample = data.draw(samples(entry))
    expected = leaves(by_numpy(sample, function, sample.inputs))
    found = leaves(sample.call(sample.inputs))
    for y, right in zip(found, expected, strict=True):
        assert np.shape(y) == np.shape(right)
        np.testing.assert_allclose(y, right, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("entry", "function"), IN_NUMPY, ids=[entry.facts.name for entry, _ in IN_NUMPY]
)
@few
@given(data=st.data())
def test_the_numpy_function_of_tensors_records_the_op(entry, function, data):
    sample = data.draw(samples(entry))
    tensors = [Tensor(x, requires_grad=x.dtype != bool) for x in sample.inputs]
    found = leaves(by_numpy(sample, function, tensors))
    for y, right in zip(found, leaves(sample.call(tensors)), strict=True):
        assert type(y) is Tensor
        assert y.requires_grad == right.requires_grad
        np.testing.assert_array_equal(y.data, right.data)


@each(list(OPS.values()))
@few
@given(data=st.data())
def test_plain_arrays_give_plain_arrays_with_the_bits_that_are_recorded(entry, data):
    sample = data.draw(samples(entry))
    plain = sample.call([np.array(x, order="C")[()] for x in sample.inputs])
    recorded = sample.call([Tensor(x, requires_grad=x.dtype != bool) for x in sample.inputs])
    for y, tensor in zip(leaves(plain), leaves(recorded), strict=True):
        assert isinstance(y, np.ndarray | np.generic)
        assert type(tensor) is Tensor
        assert y.dtype == tensor.dtype
        assert np.array_equal(y, tensor.data, equal_nan=True)
        assert y.shape == tensor.shape


@each(list(OPS.values()))
@few
@given(data=st.data())
def test_the_memory_layout_changes_neither_the_value_nor_the_input(entry, data):
    sample = data.draw(samples(entry))
    before = [x.copy() for x in sample.inputs]
    found, expected = leaves(sample.call(sample.inputs)), leaves(sample.call(before))
    for y, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(y, right, rtol=1e-12, atol=1e-12)
    for x, copy in zip(sample.inputs, before, strict=True):
        np.testing.assert_array_equal(x, copy)


@each([entry for entry in OPS.values() if entry not in DIFFERENTIABLE])
@few
@given(data=st.data())
def test_a_function_without_derivative_passes_no_gradient(entry, data):
    sample = data.draw(samples(entry))
    y = sample.call([Tensor(x) for x in sample.inputs])
    assert not y.requires_grad
    with pytest.raises(tg.GraphError, match="constant"):
        y.backward(np.ones(y.shape))
