"""What the gradient checkers are compared on: right functions, nasty points, planted bugs.

Every case is a function of NumPy arrays and a point. Its right gradient is that of the recorded
graph, or is written beside it where a graph does not compute what the case is about. The position
of a case in the list decides its half: even for tuning, odd for reporting. That rule was fixed
before anything was tuned. A first report on the odd half found faults, which were mended; so there
is a second edition, the same functions at other points, scales, speeds and distances, for a report
on points that no one has looked at.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinygrad_bp as tg

Arrays = tuple[np.ndarray, ...]
Vjp = Callable[..., Any]  # of the inputs and the cotangent


class Case(NamedTuple):
    """A function, a point, and its right backward pass."""

    name: str
    function: Callable[..., Any]
    point: Arrays
    nasty: str = ""  # why it is hard; "" for smooth and well scaled
    backward: Vjp | None = None  # None: that of the recorded graph

    def vjp(self, *arguments: Any) -> Arrays:
        """Return the right gradients, from the inputs and the cotangent."""
        inputs, cotangent = arguments[:-1], arguments[-1]
        if self.backward is not None:
            found = self.backward(*inputs, cotangent)
            return found if isinstance(found, tuple) else (found,)
        pulled = tg.vjp(self.function, *inputs)[1](cotangent)
        return tuple(np.asarray(g, dtype=float) for g in pulled)


class Edition(NamedTuple):
    """Which points the functions are tried at."""

    seed: int  # is added to all others
    factor: float  # stretches distances from kinks and poles, and speeds
    size: int  # large numbers are near 10 to this power


EDITIONS = (Edition(0, 1.0, 8), Edition(1000, 3.7, 7))


def draws(seed: int) -> Callable[..., np.ndarray]:
    """Return a function that draws arrays of a shape, between two bounds."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
        return rng.uniform(low, high, shape)

    return draw


# ------------------------------------------------------------------ smooth and well scaled

UNARY: tuple[tuple[str, float, float], ...] = (
    ("exp", -2, 2), ("expm1", -2, 2), ("log", 0.2, 3), ("log1p", -0.6, 2), ("sqrt", 0.2, 3),
    ("square", -2, 2), ("sin", -3, 3), ("cos", -3, 3), ("tan", -1.2, 1.2), ("tanh", -2, 2),
    ("sinh", -2, 2), ("cosh", -2, 2), ("arcsin", -0.8, 0.8), ("arccos", -0.8, 0.8),
    ("arctan", -3, 3), ("sigmoid", -4, 4), ("softplus", -4, 4), ("gelu", -3, 3), ("silu", -3, 3),
)  # fmt: skip


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def mlp(x: Any, w: Any, b: Any, v: Any) -> Any:
    return 0.5 * ((tg.sigmoid(tg.tanh(x @ w + b) @ v) - 0.3) ** 2).sum()


def cross_entropy(x: Any) -> Any:
    return -np.mean(tg.log_softmax(x, axis=-1)[np.arange(3), np.array([1, 0, 3])])


def layer_norm(x: Any, gain: Any, shift: Any) -> Any:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    spread = np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5)
    return gain * centred / spread + shift


def attention(q: Any, k: Any, v: Any) -> Any:
    return tg.softmax(q @ np.transpose(k) / 2.0, axis=-1) @ v


def gaussian(x: Any, mean: Any, spread: Any) -> Any:
    return np.sum(0.5 * ((x - mean) / spread) ** 2 + np.log(spread))


def pendulum(state: Any) -> Any:
    for _ in range(12):
        angle, speed = state[0] + 0.05 * state[1], state[1] - 0.05 * np.sin(state[0])
        state = np.stack([angle, speed])
    return state


def normalised(x: Any) -> Any:
    return x / np.sqrt(np.sum(x * x))


def recurrent(x: Any, w: Any, u: Any) -> Any:
    h = np.zeros(w.shape[0])
    for t in range(4):
        h = tg.tanh(w @ h + u @ x[t])
    return np.sum(h * h)


SEVERAL: tuple[tuple[str, Callable[..., Any], tuple[tuple[int, ...], ...], dict[str, float]], ...]
SEVERAL = (
    ("product", lambda a, b: a * b, ((3, 4), (4,)), {}),
    ("quotient", lambda a, b: a / b, ((3, 4), (3, 1)), {"low": 0.5}),
    ("power", lambda a, b: a**b, ((5,), (5,)), {"low": 0.5}),
    ("difference of squares", lambda a, b: (a - b) * (a + b), ((2, 3), (2, 3)), {}),
    ("matmul", lambda a, b: a @ b, ((3, 4), (4, 2)), {}),
    ("square matmul", lambda a, b: a @ b, ((3, 3), (3, 3)), {}),
    ("outer", lambda a, b: np.outer(a, b), ((3,), (4,)), {}),
    ("bilinear", lambda a, b: np.einsum("ij,jk,i->k", a, b, a[:, 0]), ((3, 4), (4, 2)), {}),
    ("sum of an axis", lambda a: np.sum(a * a, axis=0), ((3, 4),), {}),
    ("mean", lambda a: np.mean(a**3), ((3, 4),), {}),
    ("variance", lambda a: np.var(a, axis=1), ((3, 4),), {}),
    ("standard deviation", lambda a: np.std(a), ((7,),), {}),
    ("product of all", lambda a: np.prod(a), ((5,),), {"low": 0.5}),
    ("logsumexp", lambda a: tg.logsumexp(a, axis=-1), ((3, 4),), {}),
    ("norm", lambda a: np.sqrt(np.sum(a * a)), ((6,),), {}),
    ("cumulative sum", lambda a: np.cumsum(a) * a, ((5,),), {}),
    ("softmax", lambda a: tg.softmax(a, axis=-1), ((3, 4),), {}),
    ("log softmax", lambda a: tg.log_softmax(a, axis=-1), ((2, 5),), {}),
    ("cross entropy", cross_entropy, ((3, 4),), {}),
    ("layer norm", layer_norm, ((3, 5), (5,), (5,)), {}),
    ("attention", attention, ((3, 4), (5, 4), (5, 2)), {}),
    ("network", mlp, ((3, 4), (4, 5), (5,), (5, 2)), {}),
    ("recurrent network", recurrent, ((4, 2), (3, 3), (3, 2)), {}),
    ("rosenbrock", rosenbrock, ((5,),), {}),
    ("gaussian", gaussian, ((6,), (6,), (6,)), {"low": 0.5}),
    ("pendulum", pendulum, ((2,),), {}),
    ("normalised", normalised, ((5,),), {}),
    ("transpose", lambda a: np.transpose(a) @ np.sin(a), ((3, 3),), {}),
    ("gather", lambda a: np.exp(a)[np.array([0, 2, 2, 1])], ((4,),), {}),
    ("concatenation", lambda a, b: np.concatenate([a * a, b]) ** 2, ((3,), (2,)), {}),
    ("reversal", lambda a: np.flip(a) * np.exp(a), ((6,),), {}),
    ("reuse", lambda a: a * a * a + np.sin(a) * a, ((4,),), {}),
    ("scalar", lambda a: np.exp(np.sin(a)) * a, ((),), {}),
    ("solve", lambda a, b: np.linalg.solve(a + 4 * np.eye(3), b), ((3, 3), (3,)), {}),
    ("determinant", lambda a: np.linalg.det(a + 3 * np.eye(3)), ((3, 3),), {}),
    ("inverse", lambda a: np.linalg.inv(a + 4 * np.eye(3)), ((3, 3),), {}),
    ("trace", lambda a: np.trace(a @ a @ a), ((3, 3),), {}),
    ("polynomial", lambda a: 1 + a * (2 - a * (3 - a * a)), ((5,),), {}),
    ("rational", lambda a: (1 + a * a) / (3 + a), ((5,),), {}),
    ("wave", lambda a: np.sin(7 * a) * np.exp(-a * a), ((5,),), {}),
)  # fmt: skip


def smooth(edition: Edition) -> Iterator[Case]:
    """Yield the functions that every checker should find easy, each at two points."""
    for seed in (1, 2):
        for name, low, high in UNARY:
            point = draws(seed + edition.seed)(5, low=low, high=high)
            function = getattr(tg, name)
            yield Case(f"{name}, point {seed}", function, (point,))
        for name, function, shapes, bounds in SEVERAL:
            draw = draws(10 + seed + edition.seed)
            yield Case(f"{name}, point {seed}", function, tuple(draw(*s, **bounds) for s in shapes))


# ------------------------------------------------------------------ nasty


def huber(x: Any) -> Any:
    return np.where(abs(x) <= 1, 0.5 * x * x, abs(x) - 0.5)


def pool(x: Any) -> Any:
    return np.max(np.reshape(x, (-1, 2)), axis=1)


def leaky(x: Any) -> Any:
    return tg.leaky_relu(x)


KINKED: tuple[tuple[str, Callable[..., Any], float], ...] = (
    ("relu", tg.relu, 0.0), ("abs", abs, 0.0), ("leaky relu", leaky, 0.0),
    ("clip", lambda x: np.clip(x, -1, 1), 1.0), ("huber", huber, 1.0),
    ("elu", lambda x: tg.elu(x), 0.0), ("maximum", lambda x: np.maximum(x, 0.5 * x + 0.25), 0.5),
    ("sum of relu", lambda x: np.sum(tg.relu(x) * np.arange(1.0, 6.0)), 0.0),
)  # fmt: skip


def kinks(edition: Edition) -> Iterator[Case]:
    """Yield kinks: the point at, and beside, the place where the slope jumps."""
    distances = [edition.factor * d for d in (0.0, 1e-12, 1e-8, 1e-5, 1e-2)]
    for name, function, place in KINKED:
        for distance in distances:
            x = np.array([place, place + distance, place - distance, 1.7, -0.6])
            yield Case(f"{name} {distance:g} from its kink", function, (x,), "kink")
    tied = np.array([2.0, 2.0, 1.0, 2.0, -1.0, -1.0])
    yield Case("max of a tie", np.max, (tied,), "kink")
    yield Case("min of a tie", np.min, (tied,), "kink")
    yield Case("max pooling of ties", pool, (tied,), "kink")
    yield Case("max beside a tie", np.max, (tied + np.arange(6) * 1e-9 * edition.factor,), "kink")


SCALED: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("square", lambda x: x * x), ("cube", lambda x: x**3), ("log", np.log),
    ("norm", lambda x: np.sqrt(np.sum(x * x))), ("ratio", lambda x: x[1:] / x[:-1]),
)  # fmt: skip


def sizes(edition: Edition) -> Iterator[Case]:
    """Yield very small, very large and very different numbers."""
    for name, function in SCALED:
        for exponent in (-edition.size, edition.size):
            x = draws(3 + edition.seed)(4, low=1, high=3) * 10.0**exponent
            yield Case(f"{name} of numbers near 1e{exponent}", function, (x,), "scale")
    mixed = 10.0 ** (edition.size * np.array([-1, 0, 1, -0.5, 0.5]))
    yield Case("squares of mixed sizes", lambda x: x * x, (mixed,), "scale")
    yield Case("logarithm of mixed sizes", np.log, (mixed,), "scale")
    yield Case(
        "a gradient of 1e-9", lambda x: 1e-9 * np.sin(x), (draws(4 + edition.seed)(4),), "scale"
    )
    yield Case(
        "a gradient of 1e9", lambda x: 1e9 * np.sin(x), (draws(4 + edition.seed)(4),), "scale"
    )
    yield Case("weights of mixed sizes", lambda x: np.sum(x * 10.0 ** np.arange(-4, 4)),
               (draws(5 + edition.seed)(8, low=0.5),), "scale")  # fmt: skip
    yield Case(
        "small beside large", lambda x: 1e6 + np.sin(x), (draws(6 + edition.seed)(3),), "scale"
    )


def in_float32(function: Callable[..., Any], slope: Callable[..., Any], x: np.ndarray) -> Case:
    """Return a case that rounds to float32 inside, in both directions."""
    single = np.float32

    def forward(x: Any) -> Any:
        return function(np.asarray(x, single)).astype(float)

    def backward(x: Any, u: Any) -> Any:
        return (slope(np.asarray(x, single)) * np.asarray(u, single)).astype(float)

    return Case(f"{function.__name__} in float32", forward, (x,), "float32 inside", backward)


def rounding(edition: Edition) -> Iterator[Case]:
    """Yield functions whose value, or whose gradient, has lost digits."""
    near = np.array([1e-4, -2e-4, 3e-4]) * edition.factor
    yield Case("1 - cos near 0", lambda x: 1 - np.cos(x), (near,), "cancellation")
    yield Case("exp - 1 near 0", lambda x: np.exp(x) - 1, (near,), "cancellation")
    yield Case("log(1 + x) near 0", lambda x: np.log(1 + x), (near,), "cancellation")
    yield Case("sum of a softmax", lambda x: np.sum(tg.softmax(x)) + x[0],
               (draws(7 + edition.seed)(5),), "cancellation")  # fmt: skip
    yield Case("difference of large numbers", lambda x: (1e5 + x) ** 2 - 1e10,
               (draws(8 + edition.seed)(4),), "cancellation")  # fmt: skip
    yield Case("logsumexp of large numbers", lambda x: tg.logsumexp(x + 700),
               (draws(9 + edition.seed)(4),), "cancellation")  # fmt: skip
    yield in_float32(np.sin, np.cos, draws(10 + edition.seed)(4))
    yield in_float32(np.exp, np.exp, draws(11 + edition.seed)(4))
    yield in_float32(np.square, lambda x: 2 * x, draws(12 + edition.seed)(4, low=0.5))
    yield in_float32(np.sqrt, lambda x: 0.5 / np.sqrt(x), draws(13 + edition.seed)(4, low=0.5))


def wild(edition: Edition) -> Iterator[Case]:
    """Yield fast oscillations, poles nearby, flat parts, minima, and long vectors."""
    for speed in (1e2, 1e3, 1e4, 1e5):
        x = draws(14 + edition.seed)(3, low=0.5, high=2)
        yield Case(
            f"sin({edition.factor * speed:g} x)",
            partial(wave, edition.factor * speed),
            (x,),
            "oscillation",
        )
    yield Case("chirp", lambda x: np.sin(50 * x * x), (draws(15 + edition.seed)(4),), "oscillation")
    for gap in (1e-2, 1e-4, 1e-6):
        x = 1 + edition.factor * gap * np.array([1.0, -2.0, 3.0])
        yield Case(f"1 / (x - 1) at {gap:g}", lambda x: 1 / (x - 1), (x,), "pole")
    yield Case(
        "tan near its pole", np.tan, (np.pi / 2 - np.array([1e-3, 1e-2]) * edition.factor,), "pole"
    )
    yield Case("log near 0", np.log, (np.array([1e-6, 1.0, 2.0]),), "pole")
    yield Case("sqrt near 0", np.sqrt, (np.array([1e-6, 1.0, 2.0]),), "pole")
    yield Case("x² at 0", lambda x: np.sum(x * x), (np.zeros(3),), "minimum")
    yield Case("cos at 0", np.cos, (np.zeros(2),), "minimum")
    yield Case("rosenbrock at its minimum", rosenbrock, (np.ones(4),), "minimum")
    yield Case("a constant", lambda x: 0 * x + 3, (draws(16 + edition.seed)(3),), "flat")
    yield Case("sigmoid far out", tg.sigmoid, (np.array([12.0, -12.0, 9.0]),), "flat")
    yield Case("tanh far out", np.tanh, (np.array([5.0, -6.0]),), "flat")
    yield Case(
        "1,000 numbers", lambda x: np.sum(np.sin(x) * x), (draws(17 + edition.seed)(1_000),), "long"
    )


def wave(speed: float, x: Any) -> Any:
    return np.sin(speed * x)


def cases(edition: int = 0) -> list[Case]:
    """Return the catalogue."""
    chosen = EDITIONS[edition]
    return [case for part in (smooth, kinks, sizes, rounding, wild) for case in part(chosen)]


# ------------------------------------------------------------------ planted bugs

Mutate = Callable[[Sequence[np.ndarray], Sequence[np.ndarray], np.ndarray], list[np.ndarray]]


class Bug(NamedTuple):
    """A way to get a gradient wrong: what it makes of (gradients, inputs, cotangent)."""

    name: str
    mutate: Mutate


def each(change: Callable[[np.ndarray], np.ndarray]) -> Mutate:
    """Change every gradient."""
    return lambda gs, xs, u: [change(g) for g in gs]


def beside(change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Mutate:
    """Change every gradient by what its input is."""
    return lambda gs, xs, u: [change(g, x) for g, x in zip(gs, xs, strict=True)]


def one_element(factor: float, where: float) -> Mutate:
    """Spoil a single element."""

    def mutate(gs: Any, xs: Any, u: Any) -> list[np.ndarray]:
        gs = [np.array(g) for g in gs]
        flat = gs[-1].reshape(-1)
        position = int(where * (flat.size - 1))
        flat[position] = flat[position] * factor + (factor == 0.5) * 0.1
        return gs

    return mutate


def transposed(g: np.ndarray) -> np.ndarray:
    return g.T if g.ndim == 2 and g.shape[0] == g.shape[1] else g


def averaged(g: np.ndarray) -> np.ndarray:
    return np.broadcast_to(g.mean(axis=0, keepdims=True), g.shape).copy() if g.ndim else g


BUGS = (
    Bug("sign", each(lambda g: -g)),
    Bug("twice", each(lambda g: 2 * g)),
    Bug("half", each(lambda g: 0.5 * g)),
    Bug("1/n", each(lambda g: g / max(g.size, 2))),
    Bug("dropped", each(lambda g: 0 * g)),
    Bug("one input dropped", lambda gs, xs, u: [*gs[:-1], 0 * gs[-1]]),
    Bug("a hundredth more", each(lambda g: 1.01 * g)),
    Bug("a thousandth more", each(lambda g: 1.001 * g)),
    Bug("one more", each(lambda g: g + 1)),
    Bug("transposed", each(transposed)),
    Bug("reversed", each(lambda g: np.flip(g).copy())),
    Bug("rolled", each(lambda g: np.roll(g, 1))),
    Bug("averaged", each(averaged)),
    Bug("first element twice", one_element(2.0, 0.0)),
    Bug("last element lost", one_element(0.0, 1.0)),
    Bug("middle element shifted", one_element(0.5, 0.5)),
    Bug("wrong where x < 0", beside(lambda g, x: np.where(x < 0, -g, g))),
    Bug("wrong where x > 0", beside(lambda g, x: np.where(x > 0, 3 * g, g))),
    Bug("times the input", beside(lambda g, x: g * x)),
)  # fmt: skip


def ignoring(case: Case) -> Vjp:
    """Take ones for the cotangent."""
    return lambda *arguments: case.vjp(*arguments[:-1], np.ones_like(arguments[-1]))


def summed(case: Case) -> Vjp:
    """Take the mean of the cotangent for every element: right only for a constant one."""

    def backward(*arguments: Any) -> Arrays:
        u = np.asarray(arguments[-1])
        return case.vjp(*arguments[:-1], np.full_like(u, u.mean()))

    return backward


def mutants(case: Case) -> Iterator[tuple[str, Vjp]]:
    """Yield every planted bug that changes the gradient of a case by a thousandth or more."""
    y = np.asarray(case.function(*case.point))
    u = np.asarray(np.random.default_rng(0).uniform(0.5, 1.5, y.shape))
    right = case.vjp(*case.point, u)
    planted = [(bug.name, partial(spoiled, case, bug)) for bug in BUGS]
    if y.size > 1:
        planted += [("cotangent ignored", ignoring(case)), ("cotangent averaged", summed(case))]
    for name, vjp in planted:
        if is_gross(right, vjp(*case.point, u), case.nasty == "cancellation"):
            yield name, vjp


def spoiled(case: Case, bug: Bug, *arguments: Any) -> Arrays:
    """Return gradients with a bug."""
    inputs, cotangent = arguments[:-1], arguments[-1]
    return tuple(bug.mutate(case.vjp(*arguments), inputs, np.asarray(cotangent)))


def is_gross(right: Sequence[np.ndarray], wrong: Sequence[np.ndarray], rounded: bool) -> bool:
    """Ask whether an element differs by at least a thousandth of itself.

    ``rounded``: what is left of elements that cancel is rounding, in which no bug can be planted.
    """
    least = [1e-12 * np.abs(r).max(initial=0.0) if rounded else 1e-300 for r in right]
    return any(
        bool(np.any(np.abs(w - r) >= 0.999e-3 * np.abs(r) + z))
        for r, w, z in zip(right, wrong, least, strict=True)
    )
