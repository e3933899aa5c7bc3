"""Layers do what their formula says, have the shapes they promise, and start as they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_bp as tg
from tinygrad_bp.nn import layers
from tinygrad_bp.nn.initializers import INITIALIZERS, Parameter
from tinygrad_bp.nn.layers import ACTIVATIONS

RNG = np.random.default_rng(5)
SAMPLES = {
    layers.Dense(4, "tanh"): (3,),
    layers.Dense(2, bias=False): (3,),
    layers.Activation("softmax"): (4,),
    layers.Dropout(0.4): (3, 2),
    layers.LayerNorm(): (5,),
    layers.Conv2D(3, 2, "tanh", padding=1): (2, 4, 5),
    layers.Conv2D(2, 3, stride=2): (1, 5, 6),
    layers.MaxPool2D(2): (2, 4, 5),
    layers.MaxPool2D(3, stride=1): (1, 5, 4),
    layers.Flatten(): (2, 3, 2),
}


def started(layer, shape):
    declared = layer.parameters(shape)
    return {name: p.start(RNG) + 0.1 * RNG.normal(size=p.shape) for name, p in declared.items()}


@pytest.mark.parametrize("layer", SAMPLES, ids=repr)
def test_the_output_has_the_promised_shape(layer):
    shape = SAMPLES[layer]
    y = layer(tg.Tensor(RNG.normal(size=(7, *shape))), started(layer, shape))
    assert y.shape == (7, *layer.output_shape(shape))


@pytest.mark.parametrize("layer", SAMPLES, ids=repr)
def test_gradients_of_inputs_and_parameters_agree_with_differences(layer):
    shape = SAMPLES[layer]
    x, parameters = RNG.normal(size=(3, *shape)), started(layer, shape)
    drawn = layer.draw(np.random.default_rng(0), x.shape)
    cotangent = RNG.normal(size=(3, *layer.output_shape(shape)))

    def total(x, parameters):
        return (layer(x, parameters, drawn) * cotangent).sum()

    found = tg.grad(total, argnums=(0, 1))(x, parameters)
    for array, slope in [(x, found[0]), *((parameters[k], found[1][k]) for k in parameters)]:
        for index in list(np.ndindex(array.shape))[::3]:
            step = np.zeros_like(array)
            step[index] = 1e-6
            ends = [
                total(
                    tg.Tensor(x + sign * step if array is x else x),
                    {k: p + sign * step if p is array else p for k, p in parameters.items()},
                ).item()
                for sign in (1, -1)
            ]
            assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope[index], rel=1e-5, abs=1e-8)


def test_dense_is_the_product_with_its_weights():
    x, w, b = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=2)
    y = layers.Dense(2, "tanh")(x, {"weight": w, "bias": b})
    np.testing.assert_allclose(y, np.tanh(x @ w + b), rtol=1e-14)


def test_layer_norm_has_mean_zero_and_variance_one_for_every_sample():
    x = RNG.normal(3, 5, size=(4, 50))
    y = layers.LayerNorm(1e-12)(tg.Tensor(x), {"scale": np.ones(50), "shift": np.zeros(50)}).data
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(1), 1, rtol=1e-9)


@given(st.floats(0, 0.95), st.integers(0, 100))
def test_dropout_drops_its_share_and_keeps_the_expectation(rate, seed):
    layer = layers.Dropout(rate)
    drawn = layer.draw(np.random.default_rng(seed), (200, 200))
    assert np.mean(drawn == 0) == pytest.approx(rate, abs=0.02)
    assert drawn[drawn > 0] == pytest.approx(1 / (1 - rate))
    x = RNG.normal(size=(5, 5))
    np.testing.assert_array_equal(layer(x, {}), x)  # the network is used, not trained


@pytest.mark.parametrize("name", [n for n in INITIALIZERS if n not in ("zeros", "ones")])
def test_initializers_have_the_variance_of_their_formula(name):
    fan_in, fan_out = 300, 100
    w = Parameter((fan_in, fan_out), name, fan_in, fan_out).start(np.random.default_rng(0))
    expected = {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in, "lecun": 1 / fan_in}
    assert w.var() == pytest.approx(expected[name.split("_")[0]], rel=0.03)
    assert w.mean() == pytest.approx(0, abs=4 * w.std() / np.sqrt(w.size))
    kurtosis = np.mean(w**4) / w.var() ** 2
    assert kurtosis == pytest.approx(1.8 if "uniform" in name else 3.0, rel=0.03)


def test_signals_neither_die_out_nor_explode_through_twenty_layers():
    for activation in ("relu", "tanh"):
        stack = [layers.Dense(200, activation) for _ in range(20)]
        model = tg.nn.Sequential(stack, seed=0).build((200,))
        assert 0.05 < model.outputs(RNG.normal(size=(50, 200))).std() < 5


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_a_layer_and_the_end_of_a_layer(name):
    x = RNG.normal(size=(3, 4))
    parameters = {"weight": np.eye(4), "bias": np.zeros(4)}
    alone = layers.Activation(name)(tg.Tensor(x), {})
    joined = layers.Dense(4, name)(tg.Tensor(x), parameters)
    np.testing.assert_array_equal(alone.data, joined.data)


def test_layers_are_values():
    assert layers.Dense(3, "relu") == layers.Dense(3, "relu") != layers.Dense(3)
    assert repr(layers.Dense(3, "relu")) == "Dense(units=3, activation='relu')"
    with pytest.raises(AttributeError):
        layers.Dense(3).units = 4
