"""Every input is either read right or refused by an error that says what, where, and what to do."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from bad_calls import (
    BIASED,
    DOORS,
    LINE,
    ROWS,
    SETTINGS,
    SHAPES,
    TARGETS,
    TRANSFORMS,
    network,
    squares,
    total,
)
from bad_inputs import BAD, GOOD, NUMBERS
from misused_ops import MISUSES
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bp as tg
from tinygrad_bp import NeuralNetwork, Tensor
from tinygrad_bp.facts import OPS
from tinygrad_bp.nested import flatten

VOICE = re.compile(
    r"(?P<where>.+?): got (?P<given>.+); expected (?P<expected>.+?)\. (?P<repair>.+\.)"
)


def assert_speaks(error: tg.TinygradError) -> None:
    """Fail unless the text says where, what was given and expected, and how to repair it."""
    assert isinstance(error, tg.TinygradError)
    assert VOICE.fullmatch(str(error)), str(error)
    assert " 0x" not in str(error)


def snapshot(x: Any) -> Any:
    """Return everything about an input that must not change."""
    if isinstance(x, np.ndarray):
        mask = np.ma.getmaskarray(x).tobytes() if isinstance(x, np.ma.MaskedArray) else b""
        return x.tobytes(), mask, x.dtype, x.shape, x.strides, x.flags.writeable
    if isinstance(x, pd.DataFrame | pd.Series | pd.Index):
        return x.to_numpy().tolist().__repr__(), str(
            getattr(x, "dtypes", x.dtype if x.ndim == 1 else None)
        )
    if scipy.sparse.issparse(x):
        return x.toarray().tobytes()
    if isinstance(x, list | tuple):
        return type(x), [snapshot(entry) for entry in x]
    return None


# ------------------------------------------------------------------------------ where data come in


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_array_of_numbers_is_refused_in_these_words(name, door):
    if (name, door) in {("None", "backward"), ("None", "gradient")}:
        return  # there None asks for the cotangent 1
    call, where = DOORS[door]
    bad = BAD[name]
    given = bad.make()
    before = snapshot(given)
    with pytest.raises(tg.InputError) as error:
        call(given)
    expected = re.escape(f": got {bad.given}; expected {bad.expected}. {bad.repair}")
    if not (isinstance(given, int) and where.endswith(LINE)):  # there NumPy finds out
        assert re.fullmatch(where + expected, str(error.value)), str(error.value)
    assert_speaks(error.value)
    assert snapshot(given) == before


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", BAD)
def test_transforms_refuse_what_is_no_array_of_numbers(name, transform):
    given = BAD[name].make()
    if isinstance(given, list | tuple | dict):
        leaves = flatten(given)[0]
        if all(isinstance(x, int | float | Tensor) for x in leaves):
            return  # for a transform this is a nest of numbers
    before = snapshot(given)
    with pytest.raises(tg.TinygradError) as error:
        TRANSFORMS[transform](given)
    assert_speaks(error.value)
    assert snapshot(given) == before


# ------------------------------------------------------------------------------ what is read


@pytest.mark.parametrize("name", GOOD)
def test_what_is_read_has_the_value_it_stands_for(name):
    given, value = GOOD[name].make(), np.asarray(GOOD[name].value, dtype=float)
    before = snapshot(given)
    t = Tensor(given)
    assert_array_equal(t.data, value)
    assert_array_equal(np.signbit(t.data), np.signbit(value))
    assert t.data.flags.c_contiguous
    assert t.dtype.isnative
    assert t.requires_grad
    assert_array_equal(Tensor(given, dtype=np.float64).data, value)
    assert snapshot(given) == before
    if isinstance(given, np.ndarray) and given.flags.writeable and given.size:
        given[...] = 7
        assert_array_equal(t.data, value)


@pytest.mark.parametrize("name", GOOD)
def test_what_is_read_computes_like_the_floats_it_stands_for(name):
    value = np.asarray(GOOD[name].value, dtype=float)
    x = Tensor(np.full(np.broadcast_shapes(value.shape, (1,)), 1.5))
    for call in (
        lambda v: x * v - v,
        lambda v: tg.maximum(v, x) / (x + abs(x)),
        lambda v: tg.concatenate([x, tg.reshape(x + v, x.shape)]),
        lambda v: v + x,
        lambda v: v * x,
    ):
        given = GOOD[name].make()
        before = snapshot(given)
        with np.errstate(all="ignore"):
            found, expected = call(given), call(value)
        if not isinstance(given, np.ma.MaskedArray):  # it takes every array for its own
            assert isinstance(found, Tensor)
        rtol = 1e-3 if getattr(given, "dtype", None) == np.float16 else 1e-12
        assert_allclose(np.asarray(found), expected.data, rtol=rtol)
        assert snapshot(given) == before


@pytest.mark.parametrize("name", GOOD)
def test_what_is_read_is_differentiated_like_the_floats_it_stands_for(name):
    given, value = GOOD[name].make(), np.asarray(GOOD[name].value, dtype=float)
    before = snapshot(given)
    with np.errstate(all="ignore"):
        gradients = tg.grad(total)(given) if np.size(value) else []
    assert_array_equal(np.reshape(flatten(gradients)[0], value.shape), 2 * value)
    if not isinstance(given, list | tuple):  # those are nests of numbers
        assert_array_equal(tg.elementwise_grad(squares)(given), 2 * value)
    assert snapshot(given) == before


ROWS_OF_THREE = {
    name: good
    for name, good in GOOD.items()
    if np.shape(good.value)[-1:] == (3,) and np.size(good.value) and np.isfinite(good.value).all()
}


@pytest.mark.parametrize("name", ROWS_OF_THREE)
def test_a_network_trains_on_what_is_read_as_on_the_floats_it_stands_for(name):
    given, value = GOOD[name].make(), np.asarray(GOOD[name].value, dtype=float)
    before = snapshot(given)
    targets = [1.0] * (len(value) if value.ndim == 2 else 1)
    trained, twin = network(), network()
    trained.fit(given, targets, epochs=2)
    twin.fit(value, targets, epochs=2)
    for W, expected in zip(trained.W, twin.W, strict=True):
        assert_array_equal(W, expected)
    assert_array_equal(trained.predict(given), twin.predict(value))
    assert snapshot(given) == before


@pytest.mark.parametrize("name", [name for name in GOOD if name not in ROWS_OF_THREE])
def test_a_network_says_what_is_wrong_with_numbers_that_do_not_fit(name):
    given = GOOD[name].make()
    before, trained = snapshot(given), network()
    arrays, bits = list(trained.W), [W.tobytes() for W in trained.W]
    calls = (
        lambda: trained.fit(given, TARGETS),
        lambda: trained.predict(given),
        lambda: trained.fit_partial(given, [1]),
        lambda: trained.calculate_loss(given, TARGETS),
    )
    for call in calls:
        with pytest.raises((tg.ShapeError, tg.InputError)) as error:
            call()
        assert_speaks(error.value)
    assert all(W is array for W, array in zip(trained.W, arrays, strict=True))
    assert [W.tobytes() for W in trained.W] == bits
    assert snapshot(given) == before


@pytest.mark.parametrize("name", BAD)
def test_a_refused_input_leaves_the_network_its_very_weights(name):
    trained = network()
    trained.fit(ROWS, TARGETS, epochs=1)
    arrays, bits = list(trained.W), [W.tobytes() for W in trained.W]
    for call in (trained.fit, trained.fit_partial, trained.calculate_loss):
        for arguments in ((BAD[name].make(), TARGETS), (ROWS, BAD[name].make())):
            with pytest.raises(tg.TinygradError):
                call(*arguments)
    assert all(W is array for W, array in zip(trained.W, arrays, strict=True))
    assert [W.tobytes() for W in trained.W] == bits


def test_bytes_wide_integers_do_not_overflow():
    bright = np.array([200, 250, 255], "uint8")
    x = Tensor([1.0, 1.0, 1.0])
    assert_array_equal((x * bright + bright - 300).data, [100, 200, 210])
    assert_array_equal(Tensor(bright).sum().item(), 705)
    assert_array_equal((-Tensor(bright)).data, [-200, -250, -255])
    assert_array_equal((Tensor(bright) ** 2).data, [40000, 62500, 65025])
    assert_array_equal(tg.grad(total)(bright), [400, 500, 510])


@pytest.mark.parametrize(
    "activation", [tg.sigmoid, tg.softplus, tg.silu, tg.gelu, tg.elu, tg.relu, tg.leaky_relu]
)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", bool])
def test_activations_of_plain_integers_are_those_of_floats(activation, dtype):
    x = np.array([0, 1, 100]).astype(dtype)
    assert_allclose(activation(x), activation(x.astype(float)), rtol=1e-15)


# ------------------------------------------------------------------------------ numbers that fail


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_makes_no_sense_is_refused_in_these_words(name):
    call, given, expected = SETTINGS[name]
    with pytest.raises(tg.InputError) as error:
        call()
    assert str(error.value) == f"{given}; expected {expected}"
    assert_speaks(error.value)


def test_layers_that_do_not_fit_into_memory_are_refused():
    with pytest.raises(
        tg.InputError, match=r"layers: got list \[2, 10+, 1\] \(.*\); expected"
    ) as e:
        NeuralNetwork([2, 10**18, 1])
    assert_speaks(e.value)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_do_not_fit_are_refused_in_these_words(name):
    call, given, expected = SHAPES[name]
    with pytest.raises(tg.ShapeError) as error:
        call()
    assert str(error.value) == f"{given}; expected {expected}"
    assert_speaks(error.value)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ([1.0, np.nan, np.inf], "1 NaN and 1 infinite values, the first at index (0, 1)"),
        ([np.inf, -np.inf, 0.0], "0 NaN and 2 infinite values, the first at index (0, 0)"),
    ],
)
def test_a_network_counts_what_is_not_finite(bad, text):
    trained = network()
    for call, name in (
        (lambda: trained.fit([bad], [1]), "X"),
        (lambda: trained.fit_partial([[*bad, 1.0]], [1]), "x"),
        (lambda: trained.predict([bad]), "X"),
        (lambda: NeuralNetwork([3, 3]).fit([[1.0, 2.0, 3.0]], [bad]), "y"),
    ):
        with pytest.raises(tg.InputError) as error:
            call()
        assert (
            str(error.value)
            == f"{name}: got {text}; expected finite numbers. Fill or drop them first."
        )


@pytest.mark.parametrize(
    ("W", "error", "text"),
    [
        ([np.ones((4, 3))], tg.ShapeError,
         "W: got shapes [(4, 3)]; expected shapes [(4, 3), (3, 1)], for NeuralNetwork: 3-2-1. "
         "Assign arrays of these shapes."),
        ([np.ones((4, 3)), np.ones(3)], tg.ShapeError,
         "W: got shapes [(4, 3), (3,)]; expected shapes [(4, 3), (3, 1)], for NeuralNetwork: 3-2-1."
         " Assign arrays of these shapes."),
        ([np.ones((4, 3)), np.array([[1.0], [np.nan], [0.0]])], tg.InputError,
         "W[1]: got 1 NaN and 0 infinite values, the first at index (1, 0); expected finite "
         "numbers. Fill or drop them first."),
        ([np.ones((4, 3)), "abc"], tg.InputError,
         f"W[1]: got str 'abc'; expected {NUMBERS}. Encode text as numbers first."),
    ],
)  # fmt: skip
def test_weights_that_were_assigned_wrongly_are_refused(W, error, text):
    trained = network()
    trained.W = W
    for call in (
        lambda: trained.fit(ROWS, TARGETS),
        lambda: trained.fit_partial(BIASED, TARGETS),
        lambda: trained.predict(ROWS),
    ):
        with pytest.raises(error) as refused:
            call()
        assert str(refused.value) == text


# ------------------------------------------------------------------------------ ops


@pytest.mark.parametrize("name", MISUSES)
def test_a_misused_op_or_transform_says_where_what_and_how_to_repair_it(name):
    with pytest.raises(tg.TinygradError) as error:
        MISUSES[name]()
    assert_speaks(error.value)
    called = name.partition(",")[0]
    if called in OPS:  # whatever op inside refuses, what the user called is named first
        assert re.match(rf"{called}\b", error.value.where)


OWN_WORDS = {
    "var": lambda x: tg.var("abc"),
    "std": lambda x: tg.std(x, ddof=9),
    "norm": lambda x: tg.norm(x, "nuc"),
    "split": lambda x: tg.split(x, 2),
    "astype": lambda x: x.astype(object),
    "conv2d": lambda x: tg.conv2d(x, x),
    "max_pool2d": lambda x: tg.max_pool2d(x, 2),
    "one_hot": lambda x: tg.one_hot([9], 3),
    "cross_entropy, in one_hot": lambda x: tg.cross_entropy(x, 9),
}


@pytest.mark.parametrize("name", OWN_WORDS)
def test_what_a_function_refuses_in_its_own_words_names_it_and_the_line_as_well(name):
    with pytest.raises(tg.TinygradError) as error:
        OWN_WORDS[name](Tensor([1.0, 2.0, 3.0]))
    assert_speaks(error.value)
    assert re.fullmatch(re.escape(name) + r" \(at test_bad_input\.py:\d+\)", error.value.where)
    assert str(error.value).startswith(error.value.where)


def half_declared(x, y):
    return x * y


@pytest.mark.parametrize("kind", [tg.elementwise, tg.structural])
def test_a_rule_that_is_missing_or_too_many_is_told_by_its_op(kind):
    op = kind("½", method=False, numpy=())(half_declared)
    declare = op.derivative if kind is tg.elementwise else op.vjp
    a, b = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    try:
        declare(lambda *seen: 0 * seen[0])
        with pytest.raises(tg.InputError, match="of half_declared: got no rule for input 1"):
            op(a, b).sum().backward()
        declare(lambda *seen: 0 * seen[0])
        op(a, b).sum().backward()
        with pytest.raises(tg.InputError, match="of half_declared: got one rule more") as error:
            declare(lambda *seen: 0 * seen[0])
        assert_speaks(error.value)
    finally:
        del OPS["half_declared"]


ONES = np.ones(2)
WRONG_CALLS = {
    "nothing": (lambda x: tg.sin(), "sin: missing a required argument: 'x'"),
    "one of two": (lambda x: tg.add(x), "add: missing a required argument: 'b'"),
    "no parameter": (lambda x: tg.reshape(x), "reshape: missing a required argument: 'shape'"),
    "no parameter of a method": (lambda x: Tensor(x).reshape(), "reshape: missing a required"),
    "no axis": (lambda x: tg.expand_dims(x), "expand_dims: missing a required argument: 'axis'"),
    "too many": (lambda x: tg.add(x, x, x), "add: too many positional arguments"),
    "too many for a sequence": (lambda x: tg.stack([x], 0, 1), "stack: too many positional"),
    "twice": (lambda x: tg.sum(x, 0, axis=0), "sum: multiple values for argument 'axis'"),
    "twice in a sequence": (lambda x: tg.stack([x], 0, axis=0), "stack: multiple values for"),
    "unknown name": (lambda x: tg.sum(x, axes=0), "sum: got an unexpected keyword argument 'axes'"),
}


@pytest.mark.parametrize("x", [Tensor(ONES), ONES], ids=["a tensor", "an array"])
@pytest.mark.parametrize("name", WRONG_CALLS)
def test_a_wrong_call_is_the_type_error_of_python(name, x):
    call, text = WRONG_CALLS[name]
    with pytest.raises(TypeError, match=re.escape(text)) as error:
        call(x)
    assert not isinstance(error.value, tg.TinygradError)


def test_the_whole_matrix_is_as_large_as_promised():
    assert len(GOOD) + len(BAD) >= 60
    assert len(DOORS) + len(TRANSFORMS) >= 30
