"""Forty programs with one planted fault each, and forty that are healthy.

A fault knows the nodes of which one should be named first. The programs are small versions of what
people write: regressions, classifiers, deep and recurrent networks, attention, scalar graphs.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np

import tinygrad_bp as tg
from tinygrad_bp.facts import OPS
from tinygrad_bp.graph import walk


class Planted(NamedTuple):
    """A graph with a fault: its root, the nodes that are to blame, parameters if any were named."""

    root: tg.Tensor
    guilty: tuple[tg.Tensor, ...]
    parameters: dict[str, tg.Tensor] | None = None


class Fault(NamedTuple):
    family: str
    name: str
    build: Callable[[], Planted]
    plant: Callable[[], AbstractContextManager[Any]] = nullcontext

    def __repr__(self) -> str:
        return f"{self.family}: {self.name}"


FAULTS: list[Fault] = []
HEALTHY: list[tuple[str, Callable[[], tg.Tensor]]] = []


def fault(family: str, plant: Any = nullcontext) -> Callable[[Any], Any]:
    """Add a program to the faults."""

    def add(build: Callable[[], Planted]) -> Callable[[], Planted]:
        FAULTS.append(Fault(family, build.__name__.replace("_", " "), build, plant))
        return build

    return add


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def weights(*sizes: int, seed: int = 0, scale: float = 1.0, dtype: Any = None) -> list[tg.Tensor]:
    """Make the weights of a network, of variance scale²/inputs."""
    rng = random(seed)
    return [
        tg.Tensor(rng.normal(size=(n, m)) * scale / np.sqrt(n), name=f"W{i}", dtype=dtype)
        for i, (n, m) in enumerate(zip(sizes, sizes[1:], strict=False), 1)
    ]


def data(samples: int, features: int, seed: int = 7) -> np.ndarray:
    return random(seed).normal(size=(samples, features))


def square_error(output: tg.Tensor, target: Any) -> tg.Tensor:
    return ((output - target) ** 2).mean()


# ---------------------------------------------------------------------------------- non-finite

NON_FINITE = "NaN or Inf"


@fault(NON_FINITE)
def the_inner_root_of_two() -> Planted:
    x = tg.Tensor([1.0, 3.0, 6.0])
    inner = tg.sqrt(x - 2.0)
    return Planted(tg.sqrt(inner).sum(), (inner,))


@fault(NON_FINITE)
def the_loss_itself_is_nan() -> Planted:
    w = weights(3, 1)[0]
    output = data(4, 3) @ w - 10.0
    loss = tg.log(output).mean()  # NaN in the value and none in the gradient
    return Planted(loss, (loss.inputs[0],))


@fault(NON_FINITE)
def softmax_by_hand_overflows() -> Planted:
    (w,) = weights(4, 3)
    e = tg.exp(data(5, 4) @ w * 3000.0)
    return Planted(-tg.log(e / e.sum(1, True)).mean(), (e,))


@fault(NON_FINITE)
def sigmoid_by_hand_overflows() -> Planted:
    x = tg.Tensor([0.5, -1000.0])
    e = tg.exp(-x)
    y = 1.0 / (1.0 + e)  # the value is right, its gradient 0·∞
    return Planted(square_error(y, 1.0), (e,))


@fault(NON_FINITE)
def the_slope_of_a_norm_at_zero() -> Planted:
    a = tg.Tensor([[3.0, 4.0], [0.0, 0.0]])
    length = tg.sqrt((a * a).sum(1))
    return Planted((length * [1.0, 2.0]).sum(), (length,))


@fault(NON_FINITE)
def a_branch_that_where_does_not_take_behind_a_product() -> Planted:
    x = tg.Tensor([[4.0, 0.0], [1.0, 9.0]])
    root = tg.sqrt(x)
    rows = root @ np.ones((2, 1))  # a product of matrices does not know about branches
    return Planted(tg.where(np.array([[False], [True]]), rows, 0.0).sum(), (root,))


@fault(NON_FINITE)
def a_mask_as_a_factor() -> Planted:
    x = tg.Tensor([0.0, 4.0])
    root = tg.sqrt(x)
    return Planted((root * [0.0, 1.0]).sum(), (root,))


@fault(NON_FINITE)
def a_normalisation_by_a_spread_of_zero() -> Planted:
    (w,) = weights(3, 2)
    h = data(6, 3) @ w * [1.0, 0.0]  # a constant feature
    spread = ((h - h.mean(0)) ** 2).mean(0) ** 0.5
    normal = (h - h.mean(0)) / spread
    return Planted(square_error(tg.tanh(normal), 1.0), (normal,))


@fault(NON_FINITE)
def a_negative_base() -> Planted:
    (w,) = weights(3, 2)
    power = (data(5, 3) @ w - 1.0) ** 1.5
    return Planted(power.mean(), (power,))


@fault(NON_FINITE)
def float32_overflows_in_a_deep_network() -> Planted:
    ws = weights(*[16] * 40, scale=30.0, dtype=np.float32)
    h = tg.Tensor(data(4, 16), dtype=np.float32, requires_grad=False)
    first = None
    for w in ws:
        h = tg.relu(h @ w)
        if first is None and not np.isfinite(h.data).all():
            first = h.inputs[0]
    return Planted(h.mean(), (first,))


# ---------------------------------------------------------------------------------- strength

STRENGTH = "vanishing or exploding"


def deep(activation: Any, ws: list[tg.Tensor], samples: int = 16) -> tuple[tg.Tensor, list[Any]]:
    """Run a deep network; return the loss and what each layer was before its activation."""
    h: Any = tg.Tensor(data(samples, ws[0].shape[0]), requires_grad=False)
    nets = []
    for w in ws[:-1]:
        nets.append(h @ w)
        h = activation(nets[-1])
    return square_error(h @ ws[-1], 1.0), nets


def activations(nets: list[Any], root: tg.Tensor) -> tuple[tg.Tensor, ...]:
    """Find the nodes that take one of `nets` as their only input."""
    return tuple(
        n for n in walk(root) if len(n.inputs) == 1 and any(n.inputs[0] is x for x in nets)
    )


@fault(STRENGTH)
def a_deep_network_of_sigmoids() -> Planted:
    loss, nets = deep(tg.sigmoid, weights(8, *[12] * 14, 1))
    return Planted(loss, activations(nets, loss))


@fault(STRENGTH)
def one_layer_starts_almost_at_zero() -> Planted:
    ws = weights(8, 16, 16, 16, 16, 1)
    ws[2].data = ws[2].data * 1e-8
    loss, nets = deep(tg.tanh, ws)
    return Planted(loss, (nets[2],))


@fault(STRENGTH)
def one_layer_of_tanh_is_driven_into_saturation() -> Planted:
    ws = weights(8, 16, 16, 16, 1)
    ws[1].data = np.abs(ws[1].data) * 60.0
    h: Any = tg.tanh(np.abs(data(16, 8)) @ tg.abs(ws[0]))
    guilty = tg.tanh(h @ ws[1])
    return Planted(square_error(tg.tanh(guilty @ ws[2]) @ ws[3], 1.0), (guilty,))


@fault(STRENGTH)
def a_long_memory_fades() -> Planted:
    state: Any = tg.Tensor(np.ones(6), name="start")
    (w,) = weights(6, 6, scale=0.5)
    products = []
    for x in data(60, 6):
        products.append(state @ w)
        state = tg.tanh(products[-1] + 0.1 * x)
    return Planted(square_error(state, 1.0), tuple(products))


@fault(STRENGTH)
def a_scalar_chain_of_sigmoids() -> Planted:
    h: Any = tg.Tensor(0.3, name="w")
    chain = []
    for _ in range(25):
        h = tg.sigmoid(h)
        chain.append(h)
    return Planted((h - 1.0) ** 2 / 2, tuple(chain))


@fault(STRENGTH)
def a_recurrence_with_large_weights_explodes() -> Planted:
    (w,) = weights(8, 8, scale=4.0)
    state: Any = tg.Tensor(np.full(8, 0.1), name="start")
    products = []
    for _ in range(30):
        products.append(state @ w)
        state = tg.sin(products[-1])
    return Planted(square_error(state, 1.0), tuple(products))


@fault(STRENGTH)
def a_deep_relu_network_with_weights_ten_times_too_large() -> Planted:
    ws = weights(8, *[16] * 12, 1, scale=14.0)
    loss, nets = deep(tg.relu, ws)
    last = loss.inputs[0].inputs[0].inputs[0]
    return Planted(loss, (*nets, last))


@fault(STRENGTH)
def one_layer_is_a_hundred_million_times_too_large() -> Planted:
    ws = weights(8, 16, 16, 16, 16, 1)
    ws[3].data = ws[3].data * 1e8
    ws[4].data = ws[4].data * 1e-8
    loss, nets = deep(lambda x: x, ws)
    return Planted(loss, (nets[3],))


@fault(STRENGTH)
def a_division_by_almost_zero() -> Planted:
    (w,) = weights(4, 3)
    h = tg.tanh(data(8, 4) @ w)
    gap = tg.Tensor(1e-9, name="gap")
    ratio = tg.sin(h / gap)
    return Planted(square_error(ratio, 1.0), (ratio.inputs[0],))


@fault(STRENGTH)
def a_scalar_recurrence_is_chaotic() -> Planted:
    x: Any = tg.Tensor(0.3, name="start")
    nodes = []
    for _ in range(60):
        x = 3.99 * x * (1.0 - x)
        nodes += [x, x.inputs[0]]
    return Planted((x - 0.5) ** 2, tuple(nodes))


# ---------------------------------------------------------------------------------- connections

CONNECTION = "dead, detached or unreached"


@fault(CONNECTION)
def a_bias_far_below_zero_switches_a_layer_off() -> Planted:
    w1, w2 = weights(4, 8, 1)
    b = tg.Tensor(np.full(8, -50.0), name="b")
    hidden = tg.relu(data(16, 4) @ w1 + b)
    return Planted(square_error(hidden @ w2, 1.0), (hidden,))


@fault(CONNECTION)
def a_step_function_in_the_middle() -> Planted:
    w1, w2 = weights(4, 8, 1)
    hidden = tg.heaviside(data(16, 4) @ w1)
    return Planted(square_error(hidden @ w2, 1.0), (hidden,))


@fault(CONNECTION)
def the_sign_of_the_output() -> Planted:
    (w,) = weights(4, 1)
    output = tg.sign(data(16, 4) @ w)
    return Planted(square_error(output, 0.5), (output,))


@fault(CONNECTION)
def stop_gradient_on_the_only_way() -> Planted:
    w1, w2 = weights(4, 8, 1)
    cut = tg.stop_gradient(tg.tanh(data(16, 4) @ w1))
    return Planted(square_error(cut @ w2, 1.0), (cut,))


@fault(CONNECTION)
def a_layer_used_through_detach() -> Planted:
    w1, w2 = weights(4, 8, 1)
    hidden = tg.tanh(data(16, 4) @ w1.detach())
    return Planted(square_error(hidden @ w2, 1.0), (w1,), {"W1": w1, "W2": w2})


@fault(CONNECTION)
def a_weight_that_is_a_constant() -> Planted:
    w1 = tg.Tensor(data(4, 8), requires_grad=False)
    (w2,) = weights(8, 1)
    return Planted(square_error(tg.tanh(data(16, 4) @ w1) @ w2, 1.0), (w1,), {"W1": w1, "W2": w2})


@fault(CONNECTION)
def a_weight_that_is_never_used() -> Planted:
    w1, w2 = weights(4, 4, 4)
    return Planted(square_error(tg.tanh(data(16, 4) @ w1), 1.0), (w2,), {"W1": w1, "W2": w2})


@fault(CONNECTION)
def everything_is_clipped() -> Planted:
    (w,) = weights(4, 3)
    output = tg.minimum(data(16, 4) @ w + 100.0, 1.0)
    return Planted(square_error(output, 0.5), (output,))


@fault(CONNECTION)
def the_most_likely_class_by_argmax() -> Planted:
    w1, w2 = weights(4, 3, 1)
    choice = tg.argmax(data(16, 4) @ w1, 1)
    output = choice.reshape((16, 1)) * w2[:1]
    return Planted(square_error(output, 1.0), (choice,))


@fault(CONNECTION)
def an_output_stuck_at_the_wrong_limit() -> Planted:
    w = tg.Tensor(np.ones((4, 1)), name="W")
    output = tg.sigmoid((np.abs(data(16, 4)) + 5.0) @ w)
    return Planted(square_error(output, 0.0), (output,))


# ---------------------------------------------------------------------------------- wrong rules

RULE = "wrong rule"


@contextmanager
def rule(name: str, slot: int, wrong: Callable[..., Any]) -> Iterator[None]:
    """Replace a derivative rule of a registered op inside a block; `wrong` gets the right one."""
    op = OPS[name]
    right = op.rules[slot]
    op.rules[slot] = lambda *args, **params: wrong(right, *args, **params)
    try:
        yield
    finally:
        op.rules[slot] = right


def classifier(activation: Any = tg.tanh, **options: Any) -> list[Any]:
    """Run a classifier; return its loss and the nodes on the way."""
    w1, w2 = weights(4, 8, 3, **options)
    net = data(12, 4) @ w1
    hidden = activation(net)
    scores = hidden @ w2
    return [tg.cross_entropy(scores, np.arange(12) % 3), net, hidden, scores]


def wrong(op: str, slot: int, change: Callable[..., Any]) -> Any:
    return lambda: rule(op, slot, change)


@fault(RULE, wrong("tanh", 0, lambda right, y, x: 1 - y))
def tanh_forgets_a_square() -> Planted:
    loss, _, hidden, _ = classifier()
    return Planted(loss, (hidden,))


@fault(RULE, wrong("sigmoid", 0, lambda right, y, x: -right(y, x)))
def sigmoid_has_the_wrong_sign() -> Planted:
    loss, _, hidden, _ = classifier(tg.sigmoid)
    return Planted(loss, (hidden,))


@fault(RULE, wrong("softplus", 0, lambda right, y, x: 1.001 * right(y, x)))
def softplus_is_a_thousandth_too_steep() -> Planted:
    loss, _, hidden, _ = classifier(tg.softplus)
    return Planted(loss, (hidden,))


@fault(RULE, wrong("relu", 0, lambda right, y, x: x < 0))
def relu_is_turned_round() -> Planted:
    loss, _, hidden, _ = classifier(tg.relu)
    return Planted(loss, (hidden,))


@fault(RULE, wrong("silu", 0, lambda right, y, x: tg.sigmoid(x)))
def silu_forgets_the_product_rule() -> Planted:
    loss, _, hidden, _ = classifier(tg.silu)
    return Planted(loss, (hidden,))


@fault(RULE, wrong("matmul", 1, lambda right, g, y, a, b: 2 * right(g, y, a, b)))
def matmul_counts_the_second_input_twice() -> Planted:
    loss, net, _, scores = classifier()
    return Planted(loss, (net, scores))


@fault(RULE, wrong("divide", 1, lambda right, y, a, b: -1 * y))
def divide_forgets_the_divisor() -> Planted:
    a, b = tg.Tensor(data(5, 3)), tg.Tensor(np.abs(data(5, 3, 1)) + 1.0)
    ratio = a / b
    return Planted(square_error(tg.tanh(ratio), 0.5), (ratio,))


@fault(RULE, wrong("log_softmax", 0, lambda right, g, y, x, axis: g - tg.exp(y)))
def log_softmax_forgets_a_sum() -> Planted:
    loss, _, _, scores = classifier()
    return Planted(loss, tuple(n for n in walk(loss) if n.inputs and n.inputs[0] is scores))


@fault(RULE, wrong("mean", 0, lambda right, g, y, x, **p: 12 * right(g, y, x, **p)))
def mean_forgets_to_divide() -> Planted:
    loss = classifier()[0]
    return Planted(loss, (loss,))


@fault(RULE, wrong("power", 0, lambda right, y, x, p: x ** (p - 1)))
def power_forgets_the_exponent() -> Planted:
    h: Any = tg.Tensor(1.3, name="w")
    for _ in range(4):
        h = tg.sin(h) + 0.5
    power = h**3.0
    return Planted(power * 2.0 + h, (power,))


# ---------------------------------------------------------------------------------- healthy


def healthy(build: Callable[[], tg.Tensor]) -> Callable[[], tg.Tensor]:
    """Add a program to the healthy ones."""
    HEALTHY.append((build.__name__.replace("_", " "), build))
    return build


def trained(loss_of: Callable[[], tg.Tensor], parameters: list[tg.Tensor], steps: int = 300,
            rate: float = 0.5) -> tg.Tensor:  # fmt: skip
    """Train by plain gradient descent and return the loss at the end."""
    for _ in range(steps):
        for parameter, gradient in zip(parameters, _gradients(loss_of(), parameters), strict=True):
            parameter.data = parameter.data - rate * gradient
    return loss_of()


def _gradients(loss: tg.Tensor, parameters: list[tg.Tensor]) -> list[Any]:
    found = loss.gradient(*parameters)
    return list(found) if len(parameters) > 1 else [found]


def perceptron(
    activation: Any,
    sizes: tuple[int, ...],
    *,
    samples: int = 32,
    steps: int = 0,
    scale: float = 1.0,
    dtype: Any = None,
    seed: int = 0,
) -> tg.Tensor:
    """Fit a smooth function with a network of biases and weights, trained for some steps."""
    ws = weights(*sizes, scale=scale, dtype=dtype, seed=seed)
    bs = [tg.Tensor(np.zeros(n), dtype=dtype) for n in sizes[1:]]
    x = data(samples, sizes[0]).astype(dtype or np.float64)
    target = np.sin(x.sum(1, keepdims=True)).astype(x.dtype)

    def loss() -> tg.Tensor:
        h: Any = x
        for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
            h = h @ w + b
            if i < len(ws) - 1:
                h = activation(h)
        return square_error(h, target)

    return trained(loss, [*ws, *bs], steps, 0.05)


@healthy
def tanh_untrained() -> tg.Tensor:
    return perceptron(tg.tanh, (3, 8, 1))


@healthy
def tanh_trained() -> tg.Tensor:
    return perceptron(tg.tanh, (3, 8, 1), steps=300)


@healthy
def tanh_deep() -> tg.Tensor:
    return perceptron(tg.tanh, (3, 16, 16, 16, 16, 16, 1))


@healthy
def sigmoid_untrained() -> tg.Tensor:
    return perceptron(tg.sigmoid, (3, 8, 1))


@healthy
def sigmoid_three_hidden_layers() -> tg.Tensor:
    return perceptron(tg.sigmoid, (3, 16, 16, 16, 1), steps=50)


@healthy
def relu_untrained() -> tg.Tensor:
    return perceptron(tg.relu, (3, 32, 32, 1), scale=2**0.5)


@healthy
def relu_trained() -> tg.Tensor:
    return perceptron(tg.relu, (3, 32, 32, 1), scale=2**0.5, steps=300)


@healthy
def relu_very_deep_with_he_initialisation() -> tg.Tensor:
    return perceptron(tg.relu, (3, *[64] * 20, 1), scale=2**0.5)


@healthy
def relu_of_a_single_sample() -> tg.Tensor:
    return perceptron(tg.relu, (3, 16, 1), samples=1)


@healthy
def relu_in_float32() -> tg.Tensor:
    return perceptron(tg.relu, (3, 32, 32, 1), steps=100, dtype=np.float32)


@healthy
def tanh_in_float32() -> tg.Tensor:
    return perceptron(tg.tanh, (3, 16, 16, 1), steps=100, dtype=np.float32)


@healthy
def gelu() -> tg.Tensor:
    return perceptron(tg.gelu, (3, 16, 16, 1), steps=50)


@healthy
def silu_and_many_samples() -> tg.Tensor:
    return perceptron(tg.silu, (3, 16, 1), samples=2000)


@healthy
def elu() -> tg.Tensor:
    return perceptron(tg.elu, (3, 16, 16, 1), steps=50)


@healthy
def leaky_relu() -> tg.Tensor:
    return perceptron(tg.leaky_relu, (3, 16, 16, 1), steps=50)


@healthy
def softplus_wide() -> tg.Tensor:
    return perceptron(tg.softplus, (3, 256, 1))


@healthy
def small_weights() -> tg.Tensor:
    return perceptron(tg.tanh, (3, 16, 16, 1), scale=0.05)


@healthy
def large_weights() -> tg.Tensor:
    return perceptron(tg.tanh, (3, 16, 16, 1), scale=3.0)


@healthy
def linear_regression_at_its_minimum() -> tg.Tensor:
    x, y = data(50, 4), random(3).normal(size=50)
    return square_error(x @ tg.Tensor(np.linalg.lstsq(x, y)[0]), y)


@healthy
def linear_regression_without_an_error() -> tg.Tensor:
    w = tg.Tensor([1.0, -2.0])
    x = np.array([[1.0, 0.0], [3.0, 2.0]])
    return square_error(x @ w, x @ w.data)


@healthy
def linear_regression_trained_to_twelve_digits() -> tg.Tensor:
    w, x = tg.Tensor(np.zeros(3)), data(20, 3)
    return trained(lambda: square_error(x @ w, x @ [1.0, 2.0, 3.0]), [w], 400, 0.2)


@healthy
def house_prices_in_pounds() -> tg.Tensor:
    w, b = tg.Tensor(np.ones(3)), tg.Tensor(0.0)
    size = np.abs(data(30, 3)) * [100.0, 2000.0, 3.0]
    return square_error(size @ w + b, 3e5 + size @ [1e3, 10.0, 1e4])


@healthy
def logistic_regression_trained_on_separable_data() -> tg.Tensor:
    w, x = tg.Tensor(np.zeros((2, 1))), data(40, 2)
    y = (x[:, :1] > 0) * 1.0

    def loss() -> tg.Tensor:
        net = x @ w
        return (tg.softplus(net) - y * net).mean()

    return trained(loss, [w], 500, 20.0)


@healthy
def cross_entropy_of_sigmoids_by_hand() -> tg.Tensor:
    w, x = tg.Tensor(np.zeros((2, 1))), data(40, 2)
    y = (x[:, :1] + x[:, 1:] > 0) * 1.0

    def loss() -> tg.Tensor:
        p = tg.sigmoid(x @ w)
        return -(y * tg.log(p) + (1.0 - y) * tg.log(1.0 - p)).mean()

    return trained(loss, [w], 200, 2.0)


@healthy
def a_classifier() -> tg.Tensor:
    return classifier()[0]


@healthy
def a_classifier_trained_until_it_is_sure() -> tg.Tensor:
    w1, w2 = weights(4, 16, 3)
    x, y = data(12, 4), np.arange(12) % 3
    return trained(lambda: tg.cross_entropy(tg.tanh(x @ w1) @ w2, y), [w1, w2], 1500)


@healthy
def the_documented_network_on_xor() -> tg.Tensor:
    x = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    y = np.array([[0.0], [1], [1], [0]])
    w1, w2 = weights(3, 3, 1, seed=4, scale=3.0)
    return trained(
        lambda: ((tg.sigmoid(tg.sigmoid(x @ w1) @ w2) - y) ** 2).sum() / 2, [w1, w2], 4000, 1.0
    )


@healthy
def one_neuron_of_scalars() -> tg.Tensor:
    w = [tg.Tensor(v) for v in (0.351, 1.076, 1.116)]
    net = w[0] * 0.0 + w[1] * 1.0 + w[2] * 1.0
    return (tg.sigmoid(net) - 1.0) ** 2 / 2


@healthy
def a_network_of_scalars() -> tg.Tensor:
    rng, total = random(5), tg.Tensor(0.0, requires_grad=False)
    w = [[tg.Tensor(v) for v in row] for row in rng.normal(size=(4, 3))]
    out = [tg.Tensor(v) for v in rng.normal(size=4)]
    for x in data(6, 3):
        hidden = [tg.tanh(sum(a * b for a, b in zip(row, x, strict=True))) for row in w]
        y = sum(a * h for a, h in zip(out, hidden, strict=True))
        total = total + (y - np.sin(x[0])) ** 2
    return total


@healthy
def a_recurrent_network() -> tg.Tensor:
    w, u = weights(8, 8)[0], weights(3, 8, seed=1)[0]
    state: Any = np.zeros((5, 8))
    for x in random(2).normal(size=(20, 5, 3)):
        state = tg.tanh(state @ w + x @ u)
    return square_error(state, 0.5)


@healthy
def a_gated_recurrent_network() -> tg.Tensor:
    gate, new = weights(11, 8)[0], weights(11, 8, seed=1)[0]
    state: Any = tg.Tensor(np.zeros((5, 8)), requires_grad=False)
    for x in random(2).normal(size=(20, 5, 3)):
        both = tg.concatenate([state, x], 1)
        keep = tg.sigmoid(both @ gate + 2.0)
        state = keep * state + (1.0 - keep) * tg.tanh(both @ new)
    return square_error(state, 0.5)


@healthy
def thirty_residual_blocks() -> tg.Tensor:
    h: Any = data(16, 8)
    for w in weights(*[8] * 31, scale=0.3):
        h = h + tg.relu(h @ w)
    return square_error(h, 0.5)


@healthy
def residual_blocks_that_start_at_zero() -> tg.Tensor:
    h: Any = data(16, 8)
    for w in weights(*[8] * 6):
        h = h + tg.Tensor(0.0) * tg.tanh(h @ w)
    return square_error(h, 0.5)


def normalised(x: Any, axis: int) -> Any:
    centred = x - x.mean(axis, True)
    return centred / ((centred**2).mean(axis, True) + 1e-5) ** 0.5


@healthy
def batch_normalisation_behind_a_bias() -> tg.Tensor:
    w1, w2 = weights(4, 16, 1)
    b, gain = tg.Tensor(np.full(16, 0.5)), tg.Tensor(np.ones(16))
    return square_error(tg.relu(normalised(data(32, 4) @ w1 + b, 0) * gain) @ w2, 0.5)


@healthy
def attention_with_a_causal_mask() -> tg.Tensor:
    q, k, v, out = (weights(8, 8, seed=i)[0] for i in range(4))
    bias = tg.Tensor(np.zeros(8))
    x = normalised(tg.Tensor(data(6, 8), requires_grad=False), -1)
    mask = np.where(np.tri(6) > 0, 0.0, -np.inf)
    scores = (x @ q) @ (x @ k + bias).T / 8**0.5 + mask
    return square_error(tg.softmax(scores) @ (x @ v) @ out, 0.5)


@healthy
def a_convolution_with_pooling() -> tg.Tensor:
    kernel = tg.Tensor(random(1).normal(size=(4, 1, 3, 3)) / 3)
    images = random(2).normal(size=(5, 1, 8, 8))
    maps = tg.max_pool2d(tg.relu(tg.conv2d(images, kernel)), 2)
    (w,) = weights(36, 3)
    return tg.cross_entropy(maps.reshape((5, 36)) @ w, np.arange(5) % 3)


@healthy
def an_embedding_with_rows_that_are_not_used() -> tg.Tensor:
    table, (w,) = tg.Tensor(data(1000, 8)), weights(8, 3)
    return tg.cross_entropy(table[np.array([3, 17, 3, 512])] @ w, np.array([0, 1, 2, 0]))


@healthy
def branches_that_where_does_not_take() -> tg.Tensor:
    x = tg.Tensor(np.linspace(-2.0, 2.0, 9))
    return tg.where(x > 0, tg.sqrt(x), x * x).sum() + tg.where(x > 0.1, tg.log(x), 0.0).sum()


@healthy
def a_variational_autoencoder() -> tg.Tensor:
    encode, decode = weights(6, 4)[0], weights(2, 6, seed=1)[0]
    x = data(20, 6)
    code = x @ encode
    mean, log_variance = code[:, :2], code[:, 2:]
    sample = mean + tg.exp(0.5 * log_variance) * random(4).normal(size=(20, 2))
    divergence = 0.5 * (tg.exp(log_variance) + mean**2 - 1.0 - log_variance).sum(1).mean()
    return square_error(sample @ decode, x) + 0.1 * divergence


@healthy
def a_physical_constant_in_its_own_unit() -> tg.Tensor:
    stiffness, farads = tg.Tensor(2.1e11), tg.Tensor(4.7e-12)
    strain = np.array([1e-4, 2e-4])
    stress = stiffness * strain / 1e7
    return square_error(stress, [2.0, 4.1]) + (farads * 1e12 - 5.0) ** 2


def scalar_network(activation: Any, samples: int) -> tuple[Callable[[], tg.Tensor], list[Any]]:
    """Make a 2-6-1 network of scalars on XOR; return its loss as a function, and its weights."""
    rng = random(8)
    rows = [[tg.Tensor(v) for v in row] for row in rng.normal(size=(6, 3))]
    out = [tg.Tensor(v) for v in rng.normal(size=6)]
    cases = [(0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)][:samples]

    def loss() -> tg.Tensor:
        total: Any = 0.0
        for *x, target in cases:
            hidden = [activation(r[0] * x[0] + r[1] * x[1] + r[2]) for r in rows]
            y = sum(a * h for a, h in zip(out, hidden, strict=True))
            total = total + (tg.sigmoid(y) - target) ** 2
        return total

    return loss, [*out, *(w for row in rows for w in row)]


@healthy
def a_scalar_relu_network_on_one_sample() -> tg.Tensor:
    return scalar_network(tg.relu, 1)[0]()


@healthy
def a_scalar_sigmoid_network_trained_on_xor() -> tg.Tensor:
    return trained(*scalar_network(tg.sigmoid, 4), 800, 2.0)


@healthy
def distances_of_all_pairs() -> tg.Tensor:
    x = tg.Tensor(random(6).normal(size=5))
    outer, again = x[:, None] - x, x - tg.expand_dims(x, 1)
    return tg.exp(-(outer**2)).sum() + tg.exp(-(again**2)).sum()


@healthy
def a_bag_of_small_losses_on_a_large_offset() -> tg.Tensor:
    w = weights(4, 3)[0]
    return 1000.0 + tg.cross_entropy(data(12, 4) @ w, np.arange(12) % 3)
