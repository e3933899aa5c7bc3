"""No right gradient is accused where digits are lost, or where a wall or a pole is near."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.check import gradcheck, gradcheck_graph
from tinygrad_bp.check.adapters import Ours
from tinygrad_bp.check.estimate import Noise, slope_of
from tinygrad_bp.check.second_opinion import confirms
from tinygrad_bp.check.subject import Probe

seeds = st.integers(0, 2**32 - 1)
exponents = st.integers(-30, 0)

# what is left of a 1 inside: the function in NumPy, and its gradient
LEFT_OVER = {
    "1 - cos": (lambda x: np.sum(1 - np.cos(x)), np.sin),
    "log(1 + x²)": (lambda x: np.sum(np.log(1 + x * x)), lambda x: 2 * x / (1 + x * x)),
    "√(1 + x²) - 1": (lambda x: np.sum(np.sqrt(1 + x * x) - 1), lambda x: x / np.sqrt(1 + x * x)),
    "1 - exp(-x²)": (lambda x: np.sum(1 - np.exp(-x * x)), lambda x: 2 * x * np.exp(-x * x)),
    "log cosh": (lambda x: np.sum(np.log(np.cosh(x))), np.tanh),
}
# beside a wall or a pole at 0
BESIDE_A_WALL = {
    "log": lambda x: tg.log(x).sum(),
    "log, elements": tg.log,
    "x log x": lambda x: -(x * tg.log(x)).sum(),
    "square root": lambda x: tg.sqrt(x).sum(),
    "reciprocal": lambda x: 1 / x,
    "quotient": lambda x: (tg.sin(x) / x).sum(),
}


def verdict(f, x, **options):
    return gradcheck(f, x, raise_exception=False, **options).verdict


@pytest.mark.parametrize("name", LEFT_OVER)
@given(exponent=exponents, seed=seeds)
def test_where_nothing_is_left_of_a_number_no_gradient_is_accused(name, exponent, seed):
    function, gradient = LEFT_OVER[name]
    x = np.array([1.0, -2.0, 3.0]) * 10.0**exponent
    assert verdict(function, x, grad=gradient, seed=seed) != "FAIL"


@pytest.mark.parametrize("name", BESIDE_A_WALL)
@given(exponent=st.integers(-290, 0), seed=seeds)
def test_a_tiny_element_beside_an_ordinary_one_moves_by_its_own_size(name, exponent, seed):
    found = verdict(BESIDE_A_WALL[name], np.array([10.0**exponent, 1.0]), seed=seed)
    assert found == "PASS" or (name in ("reciprocal", "quotient") and found != "FAIL")


@pytest.mark.parametrize(
    "name", sorted(BESIDE_A_WALL.keys() - {"quotient"})
)  # whose slope vanishes
@given(exponent=st.integers(-150, 0), seed=seeds)
def test_and_a_factor_there_is_found_or_said_to_be_out_of_sight(name, exponent, seed):
    function = BESIDE_A_WALL[name]

    def doubled(x, u):
        leaf = tg.Tensor(x)
        function(leaf).backward(u)
        return leaf.grad * np.array([2, 1])

    x = np.array([10.0**exponent, 1.0])
    report = gradcheck(
        lambda x: function(tg.Tensor(x)).data, x, vjp=doubled, seed=seed, raise_exception=False
    )
    blind = name in ("x log x", "square root") and exponent < -5
    told = report.verdict != "PASS" or any(
        "not seen" in n or "not resolved" in n for n in report.notes
    )
    assert report.verdict == "FAIL" or (blind and told)


@given(scale=st.floats(0.1, 20), seed=st.integers(0, 1000))
def test_every_node_of_a_confident_classifier_passes(scale, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(7, 6)), tg.Tensor(rng.normal(size=(6, 5)))
    loss = -tg.log(tg.softmax(scale * (x @ w), axis=1))[:, 0].mean()
    assert gradcheck_graph(loss, raise_exception=False).verdict != "FAIL"


@pytest.mark.parametrize("curvature", [1e13, 1e14, 1e15])
@given(seed=seeds)
def test_a_slope_that_is_small_beside_a_curvature_is_no_zero_that_passes(curvature, seed):
    found = verdict(
        lambda x: x[0] + curvature * x[1] ** 2, np.array([8192.0, 0]), seed=seed,
        grad=lambda x: 2 * np.array([1, 2 * curvature * x[1]]),
    )  # fmt: skip
    assert found in ("FAIL", "INCONCLUSIVE")


def test_values_that_cancel_under_the_cotangent_are_no_noise():
    ones = Noise(1e-16, 1e-16, 1e-16)
    assert slope_of(lambda t: 0.0, 0.0, ones, size=1.0).kind == "smooth"
    assert slope_of(lambda t: 0.0, 0.0, ones).kind == "unresolved"


# ------------------------------------------------------------------------------ a second opinion

LOST_BETWEEN_NODES = {
    "entropy": lambda z: -(tg.softmax(z) * tg.log(tg.softmax(z))).sum(),
    "entropy of logs": lambda z: -(tg.softmax(z) * tg.log_softmax(z)).sum(),
    "1 - cos": lambda z: (1 - tg.cos(z / 1e11)).sum(),
    "(exp(x) - 1) / x": lambda z: ((tg.exp(z / 1e11) - 1) / (z / 1e11)).sum(),
}


@pytest.mark.parametrize("name", LOST_BETWEEN_NODES)
@given(gap=st.floats(20, 700), seed=seeds)
def test_a_graph_whose_nodes_are_right_and_add_up_is_not_accused(name, gap, seed):
    assert verdict(LOST_BETWEEN_NODES[name], np.array([0.1, gap, 1.0]), seed=seed) != "FAIL"


def test_but_one_that_is_not_the_whole_function_is():
    report = gradcheck(lambda x: x * x.detach(), np.array([0.5, -1.0]), raise_exception=False)
    assert report.verdict == "FAIL"
    assert report.culprit is None


def test_nor_is_one_of_several_outputs_with_a_part_that_is_not_recorded():
    report = gradcheck(
        lambda x: (tg.sin(x), x * x.detach()), np.array([0.5, -1.0]), raise_exception=False
    )
    assert report.verdict == "FAIL"


def test_a_graph_that_cannot_be_compared_with_its_function_confirms_nothing():
    point = np.array([0.5, -1.0])

    def only_here(x):
        if np.abs(x.data - point).max() > 1e-7:
            raise ValueError("elsewhere")
        return x * x.detach()

    probe = Probe(Ours(lambda leaves: [only_here(*leaves)], [point], ["x"], "only_here"))
    probe.start()
    leaf = tg.Tensor(point)
    assert not confirms(only_here(leaf), [leaf], probe, point, np.ones(2))


def test_an_infinite_slope_is_blamed_on_its_node():
    report = gradcheck(lambda x: tg.sqrt((x * x).sum()), np.zeros(3), raise_exception=False)
    assert report.culprit.op == "sqrt"
    assert "not finite at the value that it saw" in report.diagnosis


def test_a_slope_beyond_all_floats_is_not_accused():
    assert verdict(lambda x: 1 / x, np.array([1e-300, 1.0])) == "INCONCLUSIVE"


@pytest.mark.parametrize("function", [
    lambda x: np.sin(np.float32(x)), lambda x: np.sum(np.sin(np.float32(x))),
    lambda x: np.sin(np.float32(x)).astype(float),
])  # fmt: skip
def test_a_function_that_computes_in_float32_is_imprecise(function):
    x = np.array([0.5, -1.0, 2.0])
    right = [verdict(function, x, grad=np.cos, seed=seed) for seed in range(30)]
    wrong = [verdict(function, x, grad=lambda x: 2 * np.cos(x), seed=seed) for seed in range(30)]
    assert set(right) <= {"IMPRECISE", "INCONCLUSIVE"}
    assert set(wrong) <= {"FAIL", "INCONCLUSIVE"}
    assert right.count("IMPRECISE") >= 27
    assert wrong.count("FAIL") >= 27


# ------------------------------------------------------------------------------ what is told


@pytest.mark.parametrize("x", [2.0, np.array([2.0]), np.array([[2.0]])])
@given(seed=seeds)
def test_of_a_single_element_the_derivative_is_told(x, seed):
    report = gradcheck(
        lambda x: np.sum(x**3), x, grad=lambda x: 2 * x**2, seed=seed, raise_exception=False
    )
    assert (report.worst.analytic, report.worst.numeric) == pytest.approx((8, 12))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("function", [tg.sin, tg.tanh, tg.exp, lambda x: x * x])
def test_the_nodes_of_a_graph_in_low_precision_pass(function, dtype):
    x = tg.Tensor(np.array([0.5, -1.0, 2.0], dtype))
    assert gradcheck_graph(function(x).sum()).verdict == "PASS"


def test_a_graph_says_which_node_could_not_be_checked():
    x = tg.Tensor(np.array([0.0, 1.0]))
    root = tg.where(np.array([False, True]), tg.sqrt(x), x)
    report = gradcheck_graph(root, raise_exception=False)
    assert report.verdict == "INCONCLUSIVE"
    assert report.reason.startswith("sqrt#2: ")


@settings(max_examples=10)
@given(seed=seeds)
def test_an_element_that_the_values_do_not_show_is_noted_also_with_coordinates(seed):
    report = gradcheck(
        lambda a: np.sum(a**2), np.array([1e9, 1e-9]), grad=lambda a: 2 * a * [1, 2],
        coordinates=True, seed=seed,
    )  # fmt: skip
    assert any("not seen" in note or "not resolved" in note for note in report.notes)
