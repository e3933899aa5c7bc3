"""What people call wrongly: each call with what becomes of it."""

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_bp as tg
from tinygrad_bp import NeuralNetwork, Tensor
from tinygrad_bp.nested import flatten

LINE = r" \(at bad_calls\.py:\d+\)"


def network() -> NeuralNetwork:
    return NeuralNetwork([3, 2, 1], seed=0)


# ------------------------------------------------------------------------------ where data come in

X = Tensor([1.0, 2.0, 4.0])
ROWS, BIASED, TARGETS = np.eye(3), np.eye(3, 4), np.ones((3, 1))
U = np.array([1.0, 2.0, 3.0])


def total(tree: Any) -> Any:
    return sum((leaf * leaf).sum() for leaf in flatten(tree)[0])


def squares(x: Any) -> Any:
    return x * x


def rebind(data: Any) -> None:
    Tensor(U).data = data


DOORS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "Tensor": (Tensor, "Tensor, argument data"),
    "Tensor of a dtype": (lambda v: Tensor(v, dtype="f4"), "Tensor, argument data"),
    "Tensor.data": (rebind, r"Tensor\.data"),
    "x + v": (lambda v: X + v, "add, argument b" + LINE),
    "x * v": (lambda v: X * v, "multiply, argument b" + LINE),
    "x ** v": (lambda v: X**v, "power, argument exponent" + LINE),
    "x < v": (lambda v: tg.less(X, v), "less, argument b" + LINE),
    "x @ v": (lambda v: X @ v, "matmul, argument b" + LINE),
    "maximum": (lambda v: tg.maximum(v, X), "maximum, argument a" + LINE),
    "where": (lambda v: tg.where(X > 2, X, v), "where, argument b" + LINE),
    "where, condition": (lambda v: tg.where(v, X, 0), "where, argument condition" + LINE),
    "dot": (lambda v: tg.dot(X, v), "dot, argument b" + LINE),
    "solve": (lambda v: tg.solve(Tensor(np.eye(3)), v), "solve, argument b" + LINE),
    "concatenate": (lambda v: tg.concatenate([X, v]), "concatenate, argument input 1" + LINE),
    "stack": (lambda v: tg.stack([X, v]), "stack, argument input 1" + LINE),
    "backward": (lambda v: (X * 2).backward(v), r"the cotangent of Tensor\.backward"),
    "gradient": (
        lambda v: (X * 2).gradient(X, cotangent=v),
        r"the cotangent of Tensor\.gradient",
    ),
    "fit, X": (lambda v: network().fit(v, TARGETS), "X"),
    "fit, y": (lambda v: network().fit(ROWS, v), "y"),
    "fit_partial, x": (lambda v: network().fit_partial(v, [1]), "x"),
    "fit_partial, y": (lambda v: network().fit_partial(BIASED[0], v), "y"),
    "predict": (lambda v: network().predict(v), "X"),
    "predict without bias": (lambda v: network().predict(v, addBias=False), "X"),
    "calculate_loss, X": (lambda v: network().calculate_loss(v, TARGETS), "X"),
    "calculate_loss, targets": (lambda v: network().calculate_loss(BIASED, v), "targets"),
    "sigmoid": (lambda v: network().sigmoid(v), "x"),
    "sigmoid_deriv": (lambda v: network().sigmoid_deriv(v), "x"),
}
TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "grad": lambda v: tg.grad(total)(v),
    "value_and_grad": lambda v: tg.value_and_grad(total)(v),
    "elementwise_grad": lambda v: tg.elementwise_grad(squares)(v),
    "jacobian": lambda v: tg.jacobian(total)(v),
    "hessian": lambda v: tg.hessian(total)(v),
    "vjp": lambda v: tg.vjp(total, v),
    "jvp": lambda v: tg.jvp(total, (v,), (v,)),
    "jvp, tangents": lambda v: tg.jvp(squares, (U,), (v,)),
    "hvp, vectors": lambda v: tg.hvp(total, (U,), (v,)),
    "pullback": lambda v: tg.vjp(squares, U)[1](v),
}


# ------------------------------------------------------------------------------ settings

AT_LEAST_0 = "a whole number of at least 0. Pass an int, such as 1."
AT_LEAST_1 = "a whole number of at least 1. Pass an int, such as 1."
TWO_COUNTS = "a sequence of at least two whole numbers. Write e.g. [2, 2, 1]."
POSITIVE = "a positive, finite number. Pass a float, such as 0.1."
REAL_DTYPE = "a real NumPy dtype. Use e.g. np.float64."


def can_hold(dtype):
    return f"values that {dtype} can hold. Round or scale them first, or choose another dtype."


# The call, what it got and where, what was expected and how to repair it.
SETTINGS = {
    "layers, 0": (lambda: NeuralNetwork([2, 0, 1]), "layers[1]: got int 0", AT_LEAST_1),
    "layers, negative": (lambda: NeuralNetwork([-2, 1]), "layers[0]: got int -2", AT_LEAST_1),
    "layers, fraction": (lambda: NeuralNetwork([2, 1.5]), "layers[1]: got float 1.5", AT_LEAST_1),
    "layers, bool": (lambda: NeuralNetwork([2, True]), "layers[1]: got bool True", AT_LEAST_1),
    "layers, None": (lambda: NeuralNetwork([2, None]), "layers[1]: got None", AT_LEAST_1),
    "layers, floats": (
        lambda: NeuralNetwork(np.array([2.0, 1.0])),
        "layers[0]: got float64 2.0",
        AT_LEAST_1,
    ),
    "layers, one": (lambda: NeuralNetwork([2]), "layers: got list [2]", TWO_COUNTS),
    "layers, none": (lambda: NeuralNetwork([]), "layers: got list []", TWO_COUNTS),
    "layers, text": (lambda: NeuralNetwork("2-2-1"), "layers: got str '2-2-1'", TWO_COUNTS),
    "layers, a number": (lambda: NeuralNetwork(3), "layers: got int 3", TWO_COUNTS),
    "layers, set": (lambda: NeuralNetwork({2, 1}), "layers: got set {1, 2}", TWO_COUNTS),
    "alpha, nan": (
        lambda: NeuralNetwork([2, 1], alpha=float("nan")),
        "alpha: got float nan",
        POSITIVE,
    ),
    "alpha, inf": (lambda: NeuralNetwork([2, 1], alpha=np.inf), "alpha: got float inf", POSITIVE),
    "alpha, 0": (lambda: NeuralNetwork([2, 1], alpha=0), "alpha: got int 0", POSITIVE),
    "alpha, -1": (lambda: NeuralNetwork([2, 1], alpha=-1), "alpha: got int -1", POSITIVE),
    "alpha, text": (lambda: NeuralNetwork([2, 1], alpha="x"), "alpha: got str 'x'", POSITIVE),
    "alpha, None": (lambda: NeuralNetwork([2, 1], alpha=None), "alpha: got None", POSITIVE),
    "alpha, bool": (lambda: NeuralNetwork([2, 1], alpha=True), "alpha: got bool True", POSITIVE),
    "alpha, two": (
        lambda: NeuralNetwork([2, 1], alpha=[0.1, 0.2]),
        "alpha: got list [0.1, 0.2]",
        POSITIVE,
    ),
    "alpha, huge": (
        lambda: NeuralNetwork([2, 1], alpha=10**400),
        "alpha: got int 100000000000000000...0000000000000000000",
        POSITIVE,
    ),
    "epochs, -1": (
        lambda: network().fit(ROWS, TARGETS, epochs=-1),
        "epochs: got int -1",
        AT_LEAST_0,
    ),
    "epochs, 1.5": (
        lambda: network().fit(ROWS, TARGETS, epochs=1.5),
        "epochs: got float 1.5",
        AT_LEAST_0,
    ),
    "epochs, text": (
        lambda: network().fit(ROWS, TARGETS, epochs="3"),
        "epochs: got str '3'",
        AT_LEAST_0,
    ),
    "epochs, True": (
        lambda: network().fit(ROWS, TARGETS, epochs=True),
        "epochs: got bool True",
        AT_LEAST_0,
    ),
    "displayUpdate, 0": (
        lambda: network().fit(ROWS, TARGETS, displayUpdate=0),
        "displayUpdate: got int 0",
        AT_LEAST_1,
    ),
    "displayUpdate, None": (
        lambda: network().fit(ROWS, TARGETS, displayUpdate=None),
        "displayUpdate: got None",
        AT_LEAST_1,
    ),
    "on_epoch": (
        lambda: network().fit(ROWS, TARGETS, on_epoch=3),
        "on_epoch: got int 3",
        "a function or None. Pass a function.",
    ),
    "seed, -1": (lambda: NeuralNetwork([2, 1], seed=-1), "seed: got int -1", AT_LEAST_0),
    "seed, text": (lambda: NeuralNetwork([2, 1], seed="a"), "seed: got str 'a'", AT_LEAST_0),
    "seed, 1.5": (lambda: NeuralNetwork([2, 1], seed=1.5), "seed: got float 1.5", AT_LEAST_0),
    "seed, bool": (lambda: NeuralNetwork([2, 1], seed=True), "seed: got bool True", AT_LEAST_0),
    "dtype, unknown": (
        lambda: Tensor([1.0], dtype="zz"),
        "Tensor, argument dtype: got str 'zz'",
        REAL_DTYPE,
    ),
    "dtype, complex": (
        lambda: Tensor([1.0], dtype=complex),
        "Tensor, argument dtype: got type <class 'complex'>",
        REAL_DTYPE,
    ),
    "dtype, too narrow": (
        lambda: Tensor([1.0, 1e300], dtype="f4"),
        "Tensor, argument data: got 1e+300 at index (1,)",
        can_hold("float32"),
    ),
    "dtype, fractions": (
        lambda: Tensor([[1.0, 1.5]], dtype=int),
        "Tensor, argument data: got 1.5 at index (0, 1)",
        can_hold("int64"),
    ),
    "dtype, nan": (
        lambda: Tensor(np.nan, dtype=int),
        "Tensor, argument data: got nan at index ()",
        can_hold("int64"),
    ),
    "dtype, too large": (
        lambda: Tensor([300], dtype="u1"),
        "Tensor, argument data: got 300 at index (0,)",
        can_hold("uint8"),
    ),
}


# ------------------------------------------------------------------------------ shapes

COUNTS = "one row of each for every sample. Check how the two were split or filtered."
ONE_EACH = "Pass one array for each, nested alike and of the same shape."


def rows(width, owner_adds=""):
    owner = f"NeuralNetwork: 3-2-1{owner_adds}"
    repair = "Give one row per sample, and in it one number per unit."
    return f"(samples, {width}), at least one sample, for {owner}. {repair}"


def targets(width, layers="3-2-1"):
    return rows(width).replace("NeuralNetwork: 3-2-1", f"the outputs of NeuralNetwork: {layers}")


SHAPES = {
    "predict, too narrow": (lambda: network().predict([1, 2]), "X: got shape (2,)", rows(3)),
    "predict, too wide": (lambda: network().predict(BIASED), "X: got shape (3, 4)", rows(3)),
    "predict, no bias": (
        lambda: network().predict(ROWS, addBias=False),
        "X: got shape (3, 3)",
        rows(4, " and the bias column"),
    ),
    "predict, 3-D": (
        lambda: network().predict(np.ones((1, 1, 3))),
        "X: got shape (1, 1, 3)",
        rows(3),
    ),
    "predict, nobody": (lambda: network().predict(np.ones((0, 3))), "X: got shape (0, 3)", rows(3)),
    "fit, a number": (lambda: network().fit(1.0, 1.0), "X: got shape ()", rows(3)),
    "fit, fewer targets": (
        lambda: network().fit(ROWS, [1, 0]),
        "y: got 2 rows, but X has 3",
        COUNTS,
    ),
    "fit, more targets": (
        lambda: network().fit(ROWS, np.ones((4, 1))),
        "y: got 4 rows, but X has 3",
        COUNTS,
    ),
    "fit, two columns": (
        lambda: network().fit(ROWS, np.ones((3, 2))),
        "y: got shape (3, 2)",
        targets(1),
    ),
    "fit, a row": (lambda: network().fit(ROWS, np.ones((1, 3))), "y: got shape (1, 3)", targets(1)),
    "fit, 3-D targets": (
        lambda: network().fit(ROWS, np.ones((3, 1, 1))),
        "y: got shape (3, 1, 1)",
        targets(1),
    ),
    "fit, class numbers": (
        lambda: NeuralNetwork([3, 4]).fit(ROWS, [0, 1, 2]),
        "y: got shape (3,)",
        targets(4, "3-4"),
    ),
    "calculate_loss": (
        lambda: network().calculate_loss(BIASED, [1]),
        "targets: got 1 rows, but X has 3",
        COUNTS,
    ),
    "fit_partial": (
        lambda: network().fit_partial(BIASED, [1]),
        "y: got 1 rows, but x has 3",
        COUNTS,
    ),
    "rebind": (
        lambda: rebind([1.0]),
        "Tensor.data: got shape (1,)",
        "shape (3,), as before. Make a new Tensor for another shape.",
    ),
    "seed": (
        lambda: (X * 2).backward([1.0]),
        "Tensor.backward: got a cotangent of shape (1,)",
        "shape (3,), that of the tensor. Pass one number for every element.",
    ),
    "no seed": (
        lambda: (X * 2).backward(),
        "Tensor.backward: got a tensor of shape (3,) and no cotangent",
        "a single element, or a cotangent of the same shape. "
        "Reduce it first, e.g. with .sum(), or pass the cotangent.",
    ),
    "not a number": (
        lambda: tg.grad(squares)(U),
        "the gradient of squares: got a result of shape (3,)",
        "a single number. Reduce it, e.g. with .sum(), or use jacobian or elementwise_grad.",
    ),
    "pullback": (
        lambda: tg.vjp(squares, U)[1]([1.0]),
        "the pullback of squares: got shapes [()]",
        "shapes [(3,)]. " + ONE_EACH,
    ),
    "tangents": (
        lambda: tg.jvp(squares, (U,), (U[:2],)),
        "the tangents of squares: got shapes [(2,)]",
        "shapes [(3,)]. " + ONE_EACH,
    ),
}
