"""Losses are those of the books, sample by sample, and weights count samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_bp as tg
from tinygrad_bp.nn import losses
from tinygrad_bp.nn.optimizers import SGD

MATRICES = arrays(np.float64, (4, 3), elements=st.floats(-30, 30))


def plain(name, z, t):
    """Return the loss of one output, written once more with NumPy alone."""
    e = z - t
    if name == "huber":
        return np.where(np.abs(e) <= 1, e**2 / 2, np.abs(e) - 0.5)
    if name == "binary_cross_entropy":
        return -t * np.log(1 / (1 + np.exp(-z))) - (1 - t) * np.log(1 / (1 + np.exp(z)))
    return {"mean_squared": e**2, "mean_absolute": np.abs(e)}[name]


@pytest.mark.parametrize("name", ["mean_squared", "mean_absolute", "huber", "binary_cross_entropy"])
@given(z=MATRICES, t=arrays(np.float64, (4, 3), elements=st.floats(0, 1)))
def test_a_loss_is_the_mean_over_the_outputs_of_a_sample(name, z, t):
    found = losses.as_loss(name)(tg.Tensor(z), tg.Tensor(t)).data
    np.testing.assert_allclose(found, plain(name, z, t).mean(1), rtol=1e-9, atol=1e-12)


@given(z=MATRICES, labels=arrays(np.int64, 4, elements=st.integers(0, 2)))
def test_categorical_cross_entropy_is_the_surprise_at_the_right_class(z, labels):
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = losses.CategoricalCrossEntropy()
    found = loss(tg.Tensor(z), tg.Tensor(np.eye(3)[labels])).data
    np.testing.assert_allclose(found, -np.log(p[range(4), labels]), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.asarray(loss.link(z)), p, rtol=1e-12)


def test_cross_entropies_are_finite_where_probabilities_round_to_zero():
    z = tg.Tensor([[1e4, -1e4]])
    for loss in (losses.CategoricalCrossEntropy(), losses.BinaryCrossEntropy()):
        y = loss(z, tg.Tensor([[0.0, 1.0]]))
        y.backward()
        assert y.data == pytest.approx(2e4 if loss.targets == "classes" else 1e4)
        assert np.isfinite(z.grad).all()


# ---------------------------------------------------------------------------------- weights

X = np.random.default_rng(0).normal(size=(6, 2))
Y = np.array([0, 1, 2, 2, 1, 0])


def after_a_step(X, y, loss="categorical_cross_entropy", **weights):
    layers = [tg.nn.Dense(5, "tanh"), tg.nn.Dense(3 if loss != "binary_cross_entropy" else 1)]
    model = tg.nn.Sequential(layers, loss=loss, optimizer=SGD(0.5), seed=0)
    history = model.fit(X, y, 1, batch_size=100, shuffle=False, engine="eager", **weights)
    return history["loss"], model.parameters


def assert_same(one, other):
    assert one[0] == pytest.approx(other[0], rel=1e-13)
    for name, p in one[1].items():
        np.testing.assert_allclose(p, other[1][name], rtol=1e-12, atol=1e-14)


def test_a_whole_weight_is_a_sample_that_is_there_so_many_times():
    counts = np.array([2, 1, 0, 3, 1, 1])
    weighted = after_a_step(X, Y, sample_weight=counts)
    assert_same(weighted, after_a_step(np.repeat(X, counts, 0), np.repeat(Y, counts)))


def test_only_the_proportions_of_weights_matter():
    weights = np.arange(1.0, 7.0)
    expected = after_a_step(X, Y, sample_weight=weights)
    for scale in (10, 1e-40, 1e300):
        assert_same(after_a_step(X, Y, sample_weight=scale * weights), expected)


def test_class_weights_are_weights_of_the_samples_of_a_class():
    weights = np.array([1.0, 5.0, 0.5])
    expected = after_a_step(X, Y, sample_weight=weights[Y])
    assert_same(after_a_step(X, Y, class_weight={1: 5, 2: 0.5}), expected)
    assert_same(after_a_step(X, np.eye(3)[Y], class_weight={1: 5, 2: 0.5}), expected)


def test_balanced_classes_have_equal_shares():
    y = np.array([0, 0, 0, 0, 1, 2])
    expected = after_a_step(X, y, sample_weight=np.array([0.5, 2, 2])[y])
    assert_same(after_a_step(X, y, class_weight="balanced"), expected)


def test_class_and_sample_weights_multiply_also_for_two_classes():
    y, w = np.array([0, 1, 0, 1, 1, 1]), np.arange(1.0, 7.0)
    options = {"loss": "binary_cross_entropy"}
    found = after_a_step(X, y, sample_weight=w, class_weight={0: 3.0}, **options)
    assert_same(found, after_a_step(X, y, sample_weight=w * np.where(y == 0, 3, 1), **options))


def test_a_function_of_tensors_is_a_loss():
    def cube(outputs, targets):
        return tg.abs(outputs - targets) ** 3

    def squared(outputs, targets):
        return (outputs - targets) ** 2

    y = X[:, :1] + np.zeros((1, 3))
    assert_same(after_a_step(X, y, loss=squared), after_a_step(X, y, loss="mean_squared"))
    model = tg.nn.Sequential([tg.nn.Dense(1)], loss=cube, seed=0).build((2,))
    expected = np.mean(np.abs(model.outputs(X) - Y[:, None]) ** 3)
    assert model.evaluate(X, Y)["loss"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (lambda y, t: ((y - t) ** 2).sum(), "expected .6, ...., one per sample"),
        (lambda y, t: 0.0, "expected a Tensor"),
    ],
)
def test_a_loss_that_is_no_number_per_sample_is_refused(loss, text):
    with pytest.raises(tg.TinygradError, match=text):
        after_a_step(X, np.eye(3)[Y], loss=loss)
