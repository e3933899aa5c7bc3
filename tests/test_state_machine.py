"""No sequence of what users do tells the engine, its values and gradients, from a naive twin."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import tinygrad_bp as tg

# ---------------------------------------------------------------------------------- the twin


class Twin:
    """A node as naive as can be: a value, its parents, and how a cotangent reaches each."""

    born = 0

    def __init__(self, value, edges=(), wants=True):
        Twin.born += 1
        self.age, self.value, self.edges, self.wants = Twin.born, np.array(value), edges, wants
        self.grad, self.is_leaf = None, not edges

    def gradients(self, cotangent):
        """Map every node that wants one to its gradient, youngest first."""
        found, waiting = {}, {self: cotangent}
        while waiting:
            node = max(waiting, key=lambda n: n.age)
            found[node] = waiting.pop(node)
            for parent, factor in node.edges:
                if parent.wants:
                    share = shrink(found[node] * factor, parent.value.shape)
                    waiting[parent] = waiting.get(parent, 0) + share
        return found

    def backward(self, cotangent):
        for node, gradient in self.gradients(cotangent).items():
            again = node.is_leaf and node.grad is not None
            node.grad = node.grad + gradient if again else gradient


def shrink(array, shape):
    """Sum over the axes that were broadcast."""
    array = np.sum(array, axis=tuple(range(array.ndim - len(shape))))
    for axis, n in enumerate(shape):
        if n == 1:
            array = np.sum(array, axis=axis, keepdims=True)
    return array


# Each keeps numbers below 1, with slopes of at most 1: (the library, the value, the slopes).
OPS = {
    "average": (
        lambda a, b: (a + b) / 2,
        lambda a, b: (a + b) / 2,
        lambda a, b: (np.float64(0.5), np.float64(0.5)),
    ),
    "difference": (
        lambda a, b: (a - b) / 2,
        lambda a, b: (a - b) / 2,
        lambda a, b: (np.float64(0.5), np.float64(-0.5)),
    ),
    "product": (lambda a, b: a * b, lambda a, b: a * b, lambda a, b: (b, a)),
    "larger": (
        tg.maximum,
        np.maximum,
        lambda a, b: ((1.0 * (a > b) + (a >= b)) / 2, (1.0 * (b > a) + (b >= a)) / 2),
    ),
    "sine": (lambda a, b: tg.sin(a), lambda a, b: np.sin(a), lambda a, b: (np.cos(a),)),
}

shapes = st.sampled_from([(), (1,), (2,), (2, 1)])
seeds = st.integers(0, 2**32 - 1)
picks = st.integers(0, 10**6)


def numbers(shape, seed):
    """Draw numbers with few digits, so that ties occur."""
    return np.random.default_rng(seed).integers(-8, 9, shape) / 8


# ---------------------------------------------------------------------------------- the machine


class EngineAndTwin(RuleBasedStateMachine):
    """Does the same to tensors and to their twins."""

    def __init__(self):
        super().__init__()
        self.pairs, self.blocks = [], []

    def teardown(self):
        while self.blocks:
            self.leave_no_grad()

    def pick(self, number):
        return self.pairs[number % len(self.pairs)]

    @initialize(seed=seeds)
    def start(self, seed):
        self.new_leaf((2,), seed, True)

    @rule(shape=shapes, seed=seeds, wants=st.booleans())
    def new_leaf(self, shape, seed, wants):
        value = numbers(shape, seed)
        self.pairs.append((tg.Tensor(value, requires_grad=wants), Twin(value, wants=wants)))

    @rule(name=st.sampled_from(sorted(OPS)), first=picks, second=picks)
    def apply(self, name, first, second):
        (a, twin_a), (b, twin_b) = self.pick(first), self.pick(second)
        library, value, slopes = OPS[name]
        factors = slopes(twin_a.value, twin_b.value)
        edges = tuple(zip((twin_a, twin_b), factors, strict=False))
        y = Twin(value(twin_a.value, twin_b.value))
        if not self.blocks:
            y.edges = edges if any(n.wants or not n.is_leaf for n, _ in edges) else ()
        y.is_leaf, y.wants = not y.edges, any(n.wants for n, _ in y.edges)
        self.pairs.append((library(a, b), y))

    @rule(number=picks, seed=seeds)
    def backward(self, number, seed):
        x, twin = self.pick(number)
        cotangent = numbers(x.shape, seed)
        if twin.wants:
            x.backward(cotangent)
            twin.backward(cotangent)
        else:
            with pytest.raises(tg.GraphError, match="constant"):
                x.backward(cotangent)

    @rule(number=picks, other=picks, seed=seeds)
    def ask_for_a_gradient(self, number, other, seed):
        (y, twin), (x, twin_x) = self.pick(number), self.pick(other)
        cotangent = numbers(y.shape, seed)
        found = twin.gradients(cotangent) if twin.wants else {}
        if twin_x in found:
            gradient = y.gradient(x, cotangent=cotangent)
            np.testing.assert_allclose(gradient, found[twin_x], rtol=1e-12, atol=1e-12)
        else:
            with pytest.raises(tg.GraphError):
                y.gradient(x, cotangent=cotangent)

    @rule(number=picks)
    def zero_grad(self, number):
        x, twin = self.pick(number)
        x.zero_grad()
        twin.grad = None

    @rule(number=picks, seed=seeds)
    def rebind(self, number, seed):
        x, twin = self.pick(number)
        value = numbers(x.shape, seed)
        if twin.is_leaf:
            x.data = value
            twin.value = value
        else:
            with pytest.raises(tg.GraphError, match="leaf"):
                x.data = value

    @rule(number=picks)
    def detach(self, number):
        x, twin = self.pick(number)
        self.pairs.append((x.detach(), Twin(twin.value, wants=False)))

    @rule(number=picks)
    def stop_gradient(self, number):
        x, twin = self.pick(number)
        stopped = Twin(twin.value, wants=False)
        if not self.blocks and (twin.wants or not twin.is_leaf):
            stopped.edges, stopped.is_leaf = ((twin, np.float64(0)),), False
        self.pairs.append((tg.stop_gradient(x), stopped))

    @precondition(lambda self: len(self.blocks) < 3)
    @rule()
    def enter_no_grad(self):
        self.blocks.append(tg.no_grad())
        self.blocks[-1].__enter__()

    @precondition(lambda self: self.blocks)
    @rule()
    def leave_no_grad(self):
        self.blocks.pop().__exit__(None, None, None)

    @precondition(lambda self: len(self.pairs) > 1)
    @rule(number=picks)
    def free(self, number):
        x, twin = self.pairs.pop(number % len(self.pairs))
        watched = weakref.ref(x), weakref.ref(twin)
        gc.disable()
        del x, twin
        gone = [watch() is None for watch in watched]
        gc.enable()
        assert gone[0] == gone[1], "a tensor lives exactly as long as something depends on it"

    @invariant()
    def values_and_gradients_agree(self):
        for x, twin in self.pairs:
            assert x.requires_grad == twin.wants
            assert (x.op is None) == twin.is_leaf
            np.testing.assert_allclose(x.data, twin.value, rtol=1e-12, atol=1e-12)
            assert (x.grad is None) == (twin.grad is None)
            if x.grad is not None:
                assert x.grad.shape == x.shape
                np.testing.assert_allclose(x.grad, twin.grad, rtol=1e-12, atol=1e-12)


def test_no_sequence_of_steps_tells_the_engine_from_its_naive_twin():
    run_state_machine_as_test(
        EngineAndTwin, settings=settings(max_examples=150, stateful_step_count=40)
    )
