"""The engine contains no float: on fractions its gradients equal those of dual numbers exactly."""

import random
from fractions import Fraction

from samples import OPS

from tinygrad_bp.graph import pull_back
from tinygrad_bp.tensor import Tensor

PROGRAMS = 10_000
SECOND_ORDER = 500
BINARY = ("add", "subtract", "multiply", "divide")
UNARY = ("negative", "square")


class Dual:
    """A number and its derivatives: forward mode, written out."""

    def __init__(self, value, slopes):
        self.value, self.slopes = value, slopes

    def join(self, other, value, rule):
        slopes = zip(self.slopes, other.slopes, strict=True)
        return Dual(value, [rule(a, b) for a, b in slopes])

    def __add__(self, other):
        return self.join(other, self.value + other.value, lambda a, b: a + b)

    def __sub__(self, other):
        return self.join(other, self.value - other.value, lambda a, b: a - b)

    def __mul__(self, other):
        x, y = self.value, other.value
        return self.join(other, x * y, lambda a, b: a * y + x * b)

    def __truediv__(self, other):
        y, ratio = other.value, self.value / other.value
        return self.join(other, ratio, lambda a, b: (a - ratio * b) / y)

    def __neg__(self):
        return Dual(-self.value, [-slope for slope in self.slopes])


FORWARD = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negative": lambda a: -a,
    "square": lambda a: a * a,
}


def leaf(value):
    """Make a node by hand that holds a value which is no array."""
    node = Tensor.__new__(Tensor)
    node._restore(value, requires_grad=True)
    return node


def random_fraction(rng):
    return Fraction(rng.randint(-9, 9), rng.randint(1, 9))


def random_program(rng):
    """Return the values of some leaves and the steps (op, positions of its inputs) after them."""
    leaves = [random_fraction(rng) for _ in range(rng.randint(1, 3))]
    values, steps = list(leaves), []
    for _ in range(rng.randint(1, 8)):
        name = rng.choice(BINARY * 2 + UNARY)
        positions = [rng.randrange(len(values)) for _ in range(1 + (name in BINARY))]
        if name == "divide" and values[positions[1]] == 0:
            name = "multiply"
        values.append(FORWARD[name](*(values[i] for i in positions)))
        steps.append((name, positions))
    return leaves, steps


def run(start, steps, functions):
    """Run a program on numbers, duals or nodes."""
    values = list(start)
    for name, positions in steps:
        values.append(functions[name](*(values[i] for i in positions)))
    return values[-1]


def gradient(root, leaves, cotangent):
    """Collect from the engine the gradient with respect to the leaves, 0 where none arrives."""
    found = dict(pull_back(root, cotangent))
    return [found.get(node, 0) for node in leaves]


def hessian(root, leaves):
    """Differentiate the recorded gradient; it does not reach a leaf that was not used."""
    first = dict(pull_back(root, leaf(Fraction(1)), differentiable=True))
    zero = leaf(Fraction(0))
    return [gradient(first.get(x, zero), leaves, Fraction(1)) for x in leaves]


def duals(values):
    """Give every value its own direction."""
    return [Dual(v, [Fraction(i == j) for j in range(len(values))]) for i, v in enumerate(values)]


def nested_duals(values):
    """Give every value its own direction twice: dual numbers whose parts are dual numbers."""
    zeros = [Fraction(0)] * len(values)
    return [Dual(inner, [Dual(slope, zeros) for slope in inner.slopes]) for inner in duals(values)]


def test_ten_thousand_random_programs_have_exactly_the_gradient_of_dual_numbers():
    rng = random.Random(1)
    shared = 0
    for _ in range(PROGRAMS):
        start, steps = random_program(rng)
        leaves, cotangent = [leaf(v) for v in start], random_fraction(rng)
        root, dual = run(leaves, steps, OPS), run(duals(start), steps, FORWARD)
        assert root.value == dual.value
        assert gradient(root, leaves, cotangent) == [cotangent * s for s in dual.slopes]
        used = [i for _, positions in steps for i in positions]
        shared += len(used) > len(set(used))
    assert shared > PROGRAMS // 2  # most programs use a value more than once


def test_second_derivatives_are_exactly_those_of_nested_dual_numbers():
    rng = random.Random(2)
    curved = 0
    for _ in range(SECOND_ORDER):
        start, steps = random_program(rng)
        leaves = [leaf(v) for v in start]
        second = hessian(run(leaves, steps, OPS), leaves)
        nested = run(nested_duals(start), steps, FORWARD)
        assert second == [slope.slopes for slope in nested.slopes]
        curved += any(any(row) for row in second)
    assert curved > SECOND_ORDER // 3  # the others are linear
