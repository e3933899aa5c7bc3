"""What cannot be checked gets its own clear error or verdict; nothing of the caller's changes."""

import functools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.check import gradcheck, gradcheck_graph, strategies
from tinygrad_bp.check.directions import scales

X = np.array([0.5, -1.5, 2.0])


def changing(x):
    x *= 2
    return np.sum(x)


def writing(x):
    x.data[0] = 3.0
    return x.sum()


def rebinding(x):
    x.data = 2 * x.data
    return x.sum()


def spoiling(x):
    g = 3 * x**2
    x[:] = 0
    return g


def cubes(x):
    return x**3


def scaling(x, u):
    u *= 3 * x**2
    return u


def spoiling_both(x, u):
    return u * spoiling(x)


REFUSED = {
    "a gradient that changes its input": (
        lambda: gradcheck(lambda x: np.sum(cubes(x)), X, grad=spoiling),
        "got the gradient of <lambda>, which changes its x in place; expected a function that",
    ),
    "a float32 gradient that changes its input": (
        lambda: gradcheck(lambda x: np.sum(cubes(x)), np.float32(X), grad=spoiling),
        "got the gradient of <lambda>, which changes its x in place",
    ),
    "a pullback that changes its cotangent": (
        lambda: gradcheck(cubes, X, vjp=scaling),
        "got the gradient of cubes, which changes its cotangent in place; expected a function that",
    ),
    "a pullback that changes one cotangent of two": (
        lambda: gradcheck(lambda x: (x, cubes(x)), X, vjp=lambda x, u, v: u + scaling(x, v)),
        "which changes its cotangent 1 in place",
    ),
    "a pullback that changes its input": (
        lambda: gradcheck(cubes, X, vjp=spoiling_both),
        "got the gradient of cubes, which changes its x in place",
    ),
    "a result that is None": (
        lambda: gradcheck(lambda x: None, X),
        "the result of <lambda>: got None; expected a number or an array. End the function with",
    ),
    "a result that is no Tensor": (
        lambda: gradcheck(lambda x: 3.0, X),
        "got float 3.0; expected a Tensor, computed from the arguments",
    ),
    "a result that is text": (
        lambda: gradcheck(lambda x: "abc", X, grad=lambda x: x),
        "the result of <lambda>: got str 'abc'; expected a number or an array",
    ),
    "a function that changes its input": (
        lambda: gradcheck(changing, X, grad=np.ones_like),
        "got changing, which changes its x in place; expected a function that leaves its arguments",
    ),
    "a recorded function that writes into its input": (
        lambda: gradcheck(writing, X),
        "got writing, which changes an array that is read-only, such as the data of a Tensor, in",
    ),
    "a recorded function that rebinds its input": (
        lambda: gradcheck(rebinding, X),
        "got rebinding, which changes its x in place; expected a function that leaves its arg",
    ),
    "a complex result": (
        lambda: gradcheck(lambda x: 1j * x, X, grad=np.ones_like),
        r"got complex128 of shape \(3,\); expected a number or an array, of real numbers. Return y",
    ),
    "a complex gradient": (
        lambda: gradcheck(np.sin, X, grad=lambda x: 1j * x),
        r"the gradient of sin: got complex128 of shape \(3,\); .* of real numbers. Return y.real",
    ),
    "an empty tuple": (
        lambda: gradcheck(lambda x: (), X),
        r"the result of <lambda>: got tuple \(\); expected at least one number or array",
    ),
    "an empty list, by hand": (
        lambda: gradcheck(lambda x: [], X, grad=np.ones_like),
        r"the result of <lambda>: got list \[\]; expected at least one number or array",
    ),
    "a gradient and a backward pass": (
        lambda: gradcheck(np.sin, X, grad=np.cos, vjp=lambda x, u: u * np.cos(x)),
        "arguments grad and vjp: got both; expected one of them",
    ),
    "a gradient that is no function": (
        lambda: gradcheck(np.sin, X, grad=np.cos(X)),
        r"argument grad: got float64 of shape \(3,\); expected a function. Pass grad itself, not",
    ),
    "a pullback that is no function": (
        lambda: gradcheck(np.sin, X, vjp=3),
        "argument vjp: got int 3; expected a function",
    ),
    "integers": (
        lambda: gradcheck(lambda x: x, np.arange(3)),
        r"input 'x': got int64 of shape \(3,\); expected floats, since whole numbers have no",
    ),
    "a whole number": (lambda: gradcheck(np.sin, 3, grad=np.cos), "expected floats"),
    "text": (lambda: gradcheck(np.sin, "abc", grad=np.cos), "expected real numbers"),
    "no inputs": (
        lambda: gradcheck(lambda: tg.Tensor(1.0), ()),
        "argument inputs: got no array; expected at least one",
    ),
    "NaN at the point": (
        lambda: gradcheck(lambda x: x, np.array([1.0, np.nan])),
        "input 'x': got 1 values that are NaN or infinite; expected finite numbers",
    ),
    "infinity at the point": (lambda: gradcheck(lambda x: x, np.inf), "NaN or infinite"),
    "no function": (lambda: gradcheck(X, X), r"argument f: got float64 of shape \(3,\)"),
    "order 3": (lambda: gradcheck(tg.sin, X, order=3), "argument order: got 3; expected 1 or 2"),
    "order 0": (lambda: gradcheck(tg.sin, X, order=0), "argument order: got int 0"),
    "no resolution": (lambda: gradcheck(tg.sin, X, resolution=0), "argument resolution"),
    "a seed that is no number": (lambda: gradcheck(tg.sin, X, seed="a"), "argument seed"),
    "a second order by hand": (
        lambda: gradcheck(lambda x: np.sum(x * x), X, grad=lambda x: 2 * x, order=2),
        "argument order: got 2, and a gradient written by hand",
    ),
    "a gradient that is None": (
        lambda: gradcheck(lambda x: np.sum(x), X, grad=lambda x: None),
        "the hand-written gradient: got None; expected an array",
    ),
    "too few gradients": (
        lambda: gradcheck(lambda x, y: np.sum(x * y), (X, X), grad=lambda x, y: y),
        "got 1 arrays; expected 2, one for each input",
    ),
    "a gradient that is no Jacobian": (
        lambda: gradcheck(lambda x: x[:2] * 1.0, X, grad=lambda x: np.ones(4)),
        r"got shape \(4,\) for a value of shape \(2,\) and an input of shape \(3,\)",
    ),
    "a graph that is none": (
        lambda: gradcheck_graph(tg.Tensor(1.0)),
        "gradcheck_graph: got float64 1.0; expected a tensor that was computed from one",
    ),
    "a graph that is an array": (lambda: gradcheck_graph(X), "gradcheck_graph: got float64"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_checked_is_refused_in_words(name):
    call, text = REFUSED[name]
    with pytest.raises(tg.TinygradError, match=text):
        call()


def test_a_random_function_is_inconclusive_and_told_so():
    rng = np.random.default_rng(0)
    report = gradcheck(lambda x: np.sum(x) + rng.normal(), X, grad=np.ones_like)
    assert report.verdict == "INCONCLUSIVE"
    assert "the function is random" in report.reason


def test_a_random_gradient_fails():
    rng = np.random.default_rng(0)
    report = gradcheck(lambda x: x * x, X, vjp=lambda x, u: 2 * x * u * rng.normal(),
                       raise_exception=False)  # fmt: skip
    assert report.verdict == "FAIL"


def test_a_value_that_is_nan_at_the_point_is_inconclusive():
    report = gradcheck(lambda x: tg.log(x).sum(), -abs(X))
    assert report.verdict == "INCONCLUSIVE"
    assert report.reason == "the value of the function is NaN at the point"
    report = gradcheck(lambda x: tg.log(x).sum(), 0 * X)
    assert report.reason == "the value of the function is infinite at the point"


def test_an_error_of_the_function_comes_through_with_a_note():
    def broken(x):
        raise KeyError("w")

    with pytest.raises(KeyError, match="w") as caught:
        gradcheck(broken, X)
    assert caught.value.__notes__ == ["raised by broken at the point where gradcheck looks"]


def test_an_error_half_way_comes_through_with_a_note():
    calls = []

    def tired(x):
        calls.append(1)
        if len(calls) == 9:
            raise RuntimeError("enough")
        return np.sum(x * x)

    with pytest.raises(RuntimeError, match="enough") as caught:
        gradcheck(tired, X, grad=lambda x: 2 * x)
    assert caught.value.__notes__ == ["raised by tired beside the point, in gradcheck"]


def test_a_domain_that_ends_beside_the_point_does_not_matter():
    def root(x):
        if np.min(x) < 0:
            raise ValueError("negative")
        return np.sum(np.sqrt(x))

    near = np.array([1e-4, 1.0, 2.0])
    assert gradcheck(root, near, grad=lambda x: 0.5 / np.sqrt(x))
    at = np.array([0.0, 1.0])
    report = gradcheck(lambda x: root(x) * x[0], at, grad=lambda x: np.array([1.0, 0.0]))
    assert report.verdict in ("PASS", "INCONCLUSIVE")


def test_a_function_that_fails_everywhere_else_is_inconclusive():
    def only(x):
        if not np.array_equal(x, X):
            raise ValueError("elsewhere")
        return np.sum(x)

    report = gradcheck(only, X, grad=np.ones_like)
    assert report.verdict == "INCONCLUSIVE"
    assert report.reason == (
        "the function is not finite around the point; "
        "beside the point it raises ValueError: elsewhere"
    )


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_empty_inputs_have_nothing_to_compare(shape):
    report = gradcheck(lambda x: tg.exp(x), np.zeros(shape))
    assert report
    assert report.certificate == "there is nothing to compare"
    with pytest.raises(tg.GradientError, match="has shape"):
        gradcheck(lambda x: np.sum(x), np.zeros(shape), vjp=lambda x, u: np.zeros(5))


def test_nothing_of_the_caller_is_changed():
    x, w = X.copy(), tg.Tensor(X)
    loss = (w * w).sum()
    loss.backward()
    before = w.grad.copy()
    gradcheck(lambda a, b: (a * b).sum(), (x, w))
    gradcheck_graph(loss)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(w.data, X)
    np.testing.assert_array_equal(w.grad, before)


def test_warnings_of_the_function_beside_the_point_are_not_told():
    assert gradcheck(lambda x: np.sum(np.log(x)), np.array([1e-3, 1.0]), grad=lambda x: 1 / x)


LITTLE = st.floats(-0.05, 0.05)
WHOLE = {
    "a count": lambda x: np.sum(x > 0),
    "a comparison": lambda x: x > 0,
    "a position": np.argmax,
    "rounded": lambda x: (x / 100 + 0.5).astype(int),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(half=st.permutations((-1.5, 0.5, 1.5)), off=strategies.arrays(shape=3, elements=LITTLE))
def test_results_that_are_whole_numbers_count_as_floats_recorded_or_by_hand(name, dtype, half, off):
    point = (half + off).astype(dtype)
    recorded = gradcheck(WHOLE[name], point)
    by_hand = gradcheck(WHOLE[name], point, vjp=lambda x, u: np.zeros_like(x))
    floats = gradcheck(lambda x: 1.0 * WHOLE[name](x), point, vjp=lambda x, u: np.zeros_like(x))
    assert recorded.verdict == by_hand.verdict == floats.verdict
    assert recorded.certificate == "the gradient is zero to rounding"


def test_whole_numbers_at_a_jump_are_no_pass_recorded_or_by_hand():
    at = np.array([0.5, -1.0, 2.0])
    assert gradcheck(lambda x: x.astype(int), at).verdict == "INCONCLUSIVE"
    by_hand = gradcheck(lambda x: x.astype(int), at, vjp=lambda x, u: np.zeros_like(x))
    assert by_hand.verdict == "INCONCLUSIVE"


def test_a_wrong_gradient_of_whole_numbers_fails():
    wrong = gradcheck(lambda x: x > 0, X, vjp=lambda x, u: u, raise_exception=False)
    assert wrong.verdict == "FAIL"


def test_how_grad_was_read_is_told_where_that_may_be_the_fault():
    def weights(x):
        return np.array([3.0, 2.0, 1.0])  # the gradient of the sum

    note = "grad= was read as the derivative of each element"
    report = gradcheck(np.cumsum, X, grad=weights, raise_exception=False)
    assert report.verdict == "FAIL"
    assert note in str(report)
    assert gradcheck(lambda x: np.sum(np.cumsum(x)), X, grad=weights)
    assert note not in str(gradcheck(np.sin, X, grad=np.cos))
    jacobian = gradcheck(np.cumsum, X, grad=lambda x: np.eye(3), raise_exception=False)
    assert jacobian.verdict == "FAIL"
    assert note not in str(jacobian)


def test_gradients_are_recorded_also_where_the_caller_records_nothing():
    loss = (tg.Tensor(X) ** 2).sum()
    with tg.no_grad():
        assert gradcheck(lambda x: (x * x).sum(), X, order=2)
        assert gradcheck_graph(loss)
        assert not tg.exp(tg.Tensor(X)).requires_grad  # and afterwards all is as it was


class Layer:
    def forward(self, x):
        return 2 * x

    def backward(self, x, u):
        return 3 * u

    __call__ = forward

    @classmethod
    def of_the_class(cls, x):
        return 2 * x

    @staticmethod
    def of_nothing(x):
        return 2 * x


CALLED = {
    "a method": (Layer().forward, "x"),
    "an object that is called": (Layer(), "x"),
    "a method of a class": (Layer.of_the_class, "x"),
    "a static method": (Layer.of_nothing, "x"),
    "a partial function": (functools.partial(lambda k, x: k * x, 2), "x"),
    "a partial method": (functools.partial(Layer.forward, Layer()), "x"),
    "a partial keyword": (functools.partial(lambda x, k: k * x, k=2), "x"),
    "a wrapped function": (functools.wraps(Layer.of_nothing)(lambda *xs: 2 * xs[0]), "x"),
    "a keyword-only parameter": (lambda x, *, k=2: k * x, "x"),
    "any number of arguments": (lambda *xs: 2 * xs[0], "input"),
    "keywords only": (lambda *xs, k=2: k * xs[0], "input"),
    "a function of NumPy": (np.positive, "x"),
}


@pytest.mark.parametrize("name", CALLED)
def test_an_input_is_called_as_the_parameter_that_it_is_given_for(name):
    f, label = CALLED[name]
    report = gradcheck(f, X, vjp=Layer().backward, raise_exception=False)
    assert report.verdict == "FAIL"
    assert report.worst.label == label


def test_with_several_inputs_every_one_has_the_name_of_its_parameter():
    class Product:
        def forward(self, a, b):
            return a * b

        def backward(self, a, b, u):
            return u * b, 2 * u * a

    product = Product()
    report = gradcheck(product.forward, (X, X), vjp=product.backward, raise_exception=False)
    assert (report.worst.argument, report.worst.label) == (1, "b")


EXTREME = [0.0, 5e-324, 1e-310, 1e-300, 1e-154, 1.0, 700.0, 1e155, 1e300, 1e308, -1e308]
points = st.lists(st.sampled_from(EXTREME), min_size=1, max_size=3).map(np.array)
claims = st.sampled_from([*EXTREME, np.inf, -np.inf, np.nan])


def told_without_warnings(check, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = check(*arguments, **options, raise_exception=False)
        text = str(report) + report.table()
    assert "by a factor of inf" not in text
    assert "added: inf" not in text


@given(f=st.sampled_from([tg.exp, tg.log, tg.sqrt, tg.tanh, tg.softmax, tg.square]), x=points,
       order=st.integers(1, 2))  # fmt: skip
def test_numbers_out_of_range_are_not_warned_about(f, x, order):
    told_without_warnings(gradcheck, f, x, order=order)
    told_without_warnings(gradcheck, lambda x: f(x).sum(), x, order=order)


@given(x=points, claim=claims, other=claims, f=st.sampled_from([np.sum, np.square, np.asarray]))
def test_gradients_out_of_range_are_not_warned_about(x, claim, other, f):
    def gradient(x):
        return np.resize([claim, other], x.shape)

    told_without_warnings(gradcheck, f, x, grad=gradient)
    told_without_warnings(gradcheck, f, x, vjp=lambda x, u: gradient(x) * np.mean(u))


@pytest.mark.parametrize("claim", [np.nan, np.inf, 0.0, 1e300, 2.0])
@pytest.mark.parametrize("size", [1e-300, 1.0, 1e155, 1e308])
def test_wrong_rules_out_of_range_are_not_warned_about(claim, size, monkeypatch):
    right = tg.tanh.rules[0]
    monkeypatch.setattr(tg.tanh, "rules", [lambda *args: claim * right(*args)])
    w = tg.Tensor(np.array([size, 0.5]))
    with np.errstate(all="ignore"):
        root = (tg.tanh(w) * w).sum()
    told_without_warnings(gradcheck_graph, root)
    told_without_warnings(gradcheck, lambda w: tg.tanh(w) * w, w)


@given(x=points, other=st.floats(-1e300, 1e300), share=st.floats(0.5, 1.0))
def test_every_element_can_be_moved_however_small(x, other, share):
    moved = scales([x, np.array([other])])
    assert np.all(moved * share > 0)
    assert np.isfinite(moved).all()
