"""Optimizers follow their published rules, whatever the engine."""

import math

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.nn import optimizers, schedules
from tinygrad_bp.tensor import Tensor

RATE, STEPS = 0.1, 12
RNG = np.random.default_rng(3)
START = RNG.normal(size=(2, 3))
SLOPES = RNG.normal(size=(STEPS, 2, 3))


def published(optimizer, p):
    """Train with plain NumPy, as the papers write it."""
    v, s = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(SLOPES, 1):
        match optimizer:
            case "SGD":
                p = p - RATE * g
            case "Momentum":
                v = 0.9 * v + g
                p = p - RATE * v
            case "Nesterov":
                v = 0.9 * v + g
                p = p - RATE * (g + 0.9 * v)
            case "RMSProp":
                s = 0.9 * s + 0.1 * g**2
                p = p - RATE * g / (np.sqrt(s) + 1e-8)
            case "Adam" | "AdamW":
                p = p * (1 - RATE * 0.01) if optimizer == "AdamW" else p
                v, s = 0.9 * v + 0.1 * g, 0.999 * s + 0.001 * g**2
                ahead = RATE * (v / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)
                p = p - ahead
    return p


def stepped(optimizer, p, slopes):
    states = [{k: Tensor(a) for k, a in optimizer.start(p).items()}]
    parameters = [Tensor(p)]
    for g in slopes:
        parameters, states = optimizer.step(parameters, [Tensor(g)], states, Tensor(RATE))
    return parameters[0].data


@pytest.mark.parametrize("name", optimizers.KINDS)
def test_an_optimizer_follows_its_published_rule(name):
    found = stepped(optimizers.KINDS[name](), START, SLOPES)
    np.testing.assert_allclose(found, published(name, START), rtol=1e-10)


@pytest.mark.parametrize("name", [n for n in optimizers.KINDS if n != "AdamW"])
def test_weights_decay_as_if_half_their_square_was_part_of_the_loss(name):
    decayed = stepped(optimizers.KINDS[name](weight_decay=0.3), START, SLOPES[:1])
    expected = stepped(optimizers.KINDS[name](), START, SLOPES[:1] + 0.3 * START)
    np.testing.assert_allclose(decayed, expected, rtol=1e-13)


def test_biases_do_not_decay():
    p, g = START[0], SLOPES[:1, 0]
    for name in ("SGD", "AdamW"):
        kind = optimizers.KINDS[name]
        plain, decayed = (stepped(kind(weight_decay=w), p, g) for w in (0.0, 0.5))
        np.testing.assert_array_equal(plain, decayed)


def test_clipping_shortens_all_gradients_together_to_the_norm_and_leaves_short_ones():
    gradients = [Tensor(3 * SLOPES[0]), Tensor(SLOPES[1][0])]
    length = math.sqrt(sum(float((g.data**2).sum()) for g in gradients))
    for norm in (0.5, 2 * length):
        clipped = optimizers.clip(gradients, norm)
        for g, c in zip(gradients, clipped, strict=True):
            np.testing.assert_allclose(c.data, g.data * min(1, norm / length), rtol=1e-14)


def test_a_gradient_of_zero_is_clipped_to_zero():
    (clipped,) = optimizers.clip([Tensor(np.zeros(3))], 1.0)
    np.testing.assert_array_equal(clipped.data, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_step_of_adam_is_the_rate_in_either_precision(dtype):
    adam, p = optimizers.Adam(epsilon=1e-30), np.zeros((1, 2), dtype)
    states = [{k: Tensor(a, dtype=dtype) for k, a in adam.start(p).items()}]
    g = Tensor(np.array([[3.0, -1e-3]], dtype), dtype=dtype)
    (found,), _ = adam.step([Tensor(p, dtype=dtype)], [g], states, Tensor(dtype(RATE), dtype=dtype))
    np.testing.assert_allclose(found.data, [[-RATE, RATE]], rtol=4 * np.finfo(dtype).eps)


# ---------------------------------------------------------------------------------- schedules


def test_schedules_follow_their_formula():
    steps, falls = schedules.Steps(0.8, every=10), schedules.Exponential(0.8, 0.5)
    assert [steps(n) for n in (0, 9.9, 10, 25)] == pytest.approx([0.8, 0.8, 0.08, 0.008])
    assert [falls(n) for n in (0, 1, 2.5)] == pytest.approx([0.8, 0.4, 0.8 * 0.5**2.5])
    cosine = schedules.Cosine(0.8, epochs=12, final=0.2, warmup=2)
    assert [cosine(n) for n in (0, 1, 2, 7, 12, 99)] == pytest.approx([0, 0.4, 0.8, 0.5, 0.2, 0.2])


def test_a_schedule_reaches_the_weights_step_by_step():
    X, y, schedule = np.ones((4, 1)), np.zeros((4, 1)), schedules.Exponential(0.3, 0.5)
    layer = tg.nn.Dense(1, bias=False, initializer="ones")
    optimizer = optimizers.SGD(schedule)
    model = tg.nn.Sequential([layer], optimizer=optimizer, seed=0)
    history = model.fit(X, y, 3, batch_size=2)
    w = 1.0
    for step in range(6):
        w -= schedule(step / 2) * 2 * w
    assert model.parameters["layers.0.weight"].item() == pytest.approx(w)
    assert history["rate"] == pytest.approx([schedule(n + 0.5) for n in range(3)])
