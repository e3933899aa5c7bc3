"""The network is the documented one: the same bits at the start, the same numbers at the end.

The reference was computed by a plain NumPy implementation of the documents, without this library.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_bp as tg
from tinygrad_bp import NeuralNetwork, Tensor

FOLDER = Path(__file__).parent / "reference"
REFERENCE = np.load(FOLDER / "documented_network.npz")
PRINTED = json.loads((FOLDER / "documented_network_log.json").read_text())

XOR_X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
XOR_Y = np.array([[0], [1], [1], [0]])
XOR_ROWS = np.column_stack([XOR_X, np.ones(4)])


@pytest.fixture(autouse=True)
def restore_the_global_generator():
    state = np.random.get_state()
    yield
    np.random.set_state(state)


def weights(network):
    return [W.copy() for W in network.W]


def assert_same_bits(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.tobytes() == b.tobytes()


# ------------------------------------------------------------------------------ the twelve runs


def assert_is_the_reference_run(name, network, run, data, capsys):
    count = len(network.W)
    assert_same_bits(network.W, [REFERENCE[f"{name}_initial_W{i}"] for i in range(count)])
    run()
    for i, W in enumerate(network.W):
        assert_allclose(W, REFERENCE[f"{name}_final_W{i}"], rtol=1e-9, atol=0)
    assert_allclose(network.predict(data), REFERENCE[f"{name}_pred"], rtol=1e-9, atol=0)
    assert capsys.readouterr().out.splitlines() == PRINTED[name]


@pytest.mark.parametrize("seed", range(10))
def test_xor_ends_where_the_reference_ends(seed, capsys):
    np.random.seed(seed)
    network = NeuralNetwork([2, 2, 1], alpha=0.5)

    def run():
        network.fit(XOR_X, XOR_Y, epochs=20000, displayUpdate=5000)

    assert_is_the_reference_run(f"xor_seed{seed}", network, run, XOR_X, capsys)


@pytest.mark.parametrize(("seed", "epochs"), [(0, 20), (1, 200)])
def test_the_digits_end_where_the_reference_ends(seed, epochs, capsys, require):
    require("sklearn")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import LabelBinarizer

    np.random.seed(seed)
    digits = load_digits()
    data = digits.data.astype("float")
    data = (data - data.min()) / (data.max() - data.min())
    train_x, test_x, train_y, _ = train_test_split(data, digits.target, test_size=0.25)
    train_y = LabelBinarizer().fit_transform(train_y)
    network = NeuralNetwork([64, 32, 16, 10])

    def run():
        network.fit(train_x, train_y, epochs=epochs, displayUpdate=epochs // 4)

    assert_is_the_reference_run(f"digits_seed{seed}", network, run, test_x, capsys)


# ------------------------------------------------------------------------------ the worked example

W0 = np.array([[0.351, -0.097, 0.457], [1.076, -0.165, -0.165], [1.116, 0.542, -0.331]])
W1 = np.array([[0.383], [-0.327], [-0.329]])
NUMBERS = {
    "net_hidden": [2.192, 0.377, -0.496],
    "hidden": [0.899528804392, 0.593149336129, 0.378481143072],
    "net": [0.026039403097],
    "o": [0.506509482965],
    "E": 0.12176644520157733,
    "dE/do": [-0.493490517035],
    "dE/dnet": [-0.123351718403],
    "dE/dW1": [-0.110958423775, -0.073165989881, -0.046686299381],
    "dE/dhidden": [-0.047243708148, 0.040336011918, 0.040582715355],
    "dE/dnet_hidden": [-0.004269732066, 0.009734015519, 0.009546400675],
    "dE/dW0": [
        [0, 0, 0],
        [-0.004269732066, 0.009734015519, 0.009546400675],
        [-0.004269732066, 0.009734015519, 0.009546400675],
    ],
    "dE/dx": [0.001919829648, -0.007775500375, -0.002649043198],
}


def worked_network(alpha=0.1):
    network = NeuralNetwork([2, 2, 1], alpha=alpha, seed=0)
    network.W[:] = [W0.copy(), W1.copy()]
    return network


def test_every_number_of_the_worked_example_is_in_the_recorded_graph():
    x, w0, w1 = Tensor([0, 1, 1], name="x"), Tensor(W0), Tensor(W1)
    net_hidden = x @ w0
    hidden = tg.sigmoid(net_hidden)
    net = hidden @ w1
    o = tg.sigmoid(net)
    error = ((o - 1) ** 2).sum() / 2
    error.backward()
    values = {"net_hidden": net_hidden, "hidden": hidden, "net": net, "o": o, "E": error}
    slopes = {"o": o, "net": net, "W1": w1, "hidden": hidden, "net_hidden": net_hidden}
    found = {name: t.data for name, t in values.items()}
    found |= {f"dE/d{name}": t.grad for name, t in (slopes | {"W0": w0, "x": x}).items()}
    for name, expected in NUMBERS.items():
        actual = found[name]
        assert_allclose(np.squeeze(actual), np.squeeze(expected), atol=1e-11, rtol=0, err_msg=name)
    assert_allclose(tg.elementwise_grad(tg.sigmoid)(net.data), [0.249957626632], atol=1e-11)
    assert_allclose(
        tg.elementwise_grad(tg.sigmoid)(net_hidden.data),
        [0.090376734461, 0.241323201179, 0.235233167411],
        atol=1e-11,
    )
    assert tg.heaviside(o).item() == 1


@pytest.mark.parametrize(
    ("alpha", "updated", "prediction"),
    [
        (0.1, [0.394095842377, -0.319683401012, -0.324331370062], 0.510611783982),
        (0.5, [0.438479211887, -0.290417005059, -0.305656850309], 0.526977773671),
    ],
)
def test_one_step_moves_all_weights_as_the_worked_example_says(alpha, updated, prediction):
    network = worked_network(alpha)
    assert network.fit_partial([0, 1, 1], [1]) is None
    assert_allclose(network.W[1].ravel(), updated, atol=1e-11, rtol=0)
    assert_allclose(network.W[0], W0 - alpha * np.array(NUMBERS["dE/dW0"]), atol=1e-11, rtol=0)
    assert_allclose(network.predict([0, 1])[0][0], prediction, atol=1e-11, rtol=0)


def test_the_error_after_one_step_is_that_of_the_worked_example():
    network = worked_network(0.5)
    network.fit_partial([0, 1, 1], [1])
    loss = network.calculate_loss([[0, 1, 1]], [[1]])
    assert_allclose(loss, 0.11187501330060518, atol=1e-11, rtol=0)


def test_the_worked_weights_predict_the_documented_outputs():
    expected = [[0.486057950405], [0.506509482965], [0.484276756486], [0.501886424158]]
    network = worked_network()
    assert_allclose(network.predict(XOR_X), expected, atol=1e-11, rtol=0)
    assert_same_bits([network.predict(XOR_X)], [network.predict(XOR_ROWS, addBias=False)])


@pytest.mark.parametrize("targets", [XOR_Y, XOR_Y.ravel(), [0, 1, 1, 0], XOR_Y.astype("uint8")])
def test_the_loss_takes_flat_targets_as_a_column(targets):
    loss = worked_network().calculate_loss(XOR_ROWS, targets)
    assert isinstance(loss, float)
    assert_allclose(loss, 0.4988228341053712, rtol=1e-12)


def test_one_step_on_several_rows_is_a_step_on_the_sum_of_their_errors():
    network = worked_network(0.3)
    network.fit_partial(XOR_ROWS, XOR_Y)
    expected = [W0.copy(), W1.copy()]
    for row, target in zip(XOR_ROWS, XOR_Y, strict=True):
        single = worked_network(0.3)
        single.fit_partial(row, target)
        for total, W, before in zip(expected, single.W, [W0, W1], strict=True):
            total += W - before
    for W, total in zip(network.W, expected, strict=True):
        assert_allclose(W, total, rtol=1e-13, atol=1e-15)


# ------------------------------------------------------------------------------ the interface


def test_the_attributes_are_the_documented_ones():
    network = NeuralNetwork((2, 2, 1))
    assert repr(network) == "NeuralNetwork: 2-2-1"
    assert network.layers == [2, 2, 1]
    assert network.alpha == 0.1
    assert [W.shape for W in network.W] == [(3, 3), (3, 1)]
    assert [W.shape for W in NeuralNetwork([64, 32, 16, 10]).W] == [(65, 33), (33, 17), (17, 10)]


def test_the_sigmoid_and_its_derivative_are_the_documented_ones():
    network = NeuralNetwork([2, 1])
    x = np.linspace(-30, 30, 101)
    assert_allclose(network.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-15)
    assert_array_equal(network.sigmoid_deriv(x), x * (1 - x))
    assert_array_equal(network.sigmoid([1000, -1000]), [1, 0])
    assert_array_equal(network.sigmoid(np.array([1], "uint8")), network.sigmoid([1.0]))
    assert_array_equal(network.sigmoid_deriv(np.array([3], "uint8")), [-6])
    t = Tensor([0.5])
    assert_array_equal(network.sigmoid_deriv(t).gradient(t), [0])


def test_the_weights_are_plain_writable_arrays_that_users_may_assign():
    network = NeuralNetwork([2, 2, 1], seed=1)
    for W in network.W:
        assert type(W) is np.ndarray
        assert W.dtype == np.float64
        assert W.flags.writeable
    network.fit(XOR_X, XOR_Y, epochs=1)
    assert all(type(W) is np.ndarray and W.flags.writeable for W in network.W)
    network.W[0][...] = W0
    network.W[1] = W1.tolist()
    assert_allclose(network.predict([0, 1]), [[0.506509482965]], atol=1e-11)
    kept = network.W[1]
    network.fit(XOR_X, XOR_Y, epochs=1)
    assert kept == W1.tolist()


def test_what_on_epoch_assigns_is_what_the_next_epoch_starts_from():
    network = NeuralNetwork([2, 2, 1], seed=1)

    def restart(epoch):
        network.W[0][...] = W0
        network.W[1] = W1.copy()

    network.fit(XOR_X, XOR_Y, epochs=2, on_epoch=restart)
    restart(0)
    expected = worked_network()
    expected.fit(XOR_X, XOR_Y, epochs=1)
    network.fit(XOR_X, XOR_Y, epochs=1)
    assert_same_bits(network.W, expected.W)

    network = NeuralNetwork([2, 2, 1], seed=1)
    network.fit(XOR_X, XOR_Y, epochs=2, on_epoch=lambda epoch: epoch == 1 and restart(epoch))
    assert_same_bits(network.W, expected.W)


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (XOR_X.tolist(), XOR_Y.tolist()),
        (XOR_X.astype(float), XOR_Y.astype(float)),
        (XOR_X.astype("uint8"), XOR_Y.astype(bool)),
        (XOR_X, [0, 1, 1, 0]),
        (tuple(map(tuple, XOR_X)), np.asfortranarray(XOR_Y)),
        (Tensor(XOR_X), Tensor(XOR_Y)),
    ],
)
def test_lists_and_integers_train_like_arrays_of_floats(X, y):
    network, twin = NeuralNetwork([2, 2, 1], seed=3), NeuralNetwork([2, 2, 1], seed=3)
    network.fit(X, y, epochs=3)
    twin.fit(XOR_X.astype(float), XOR_Y.astype(float), epochs=3)
    assert_same_bits(network.W, twin.W)


def test_lines_are_printed_after_the_first_epoch_and_every_display_update(capsys):
    network = NeuralNetwork([2, 2, 1], seed=0)
    losses = []
    network.fit(
        XOR_X,
        XOR_Y,
        epochs=7,
        displayUpdate=3,
        on_epoch=lambda epoch: losses.append(network.calculate_loss(XOR_ROWS, XOR_Y)),
    )
    expected = [f"[INFO] epoch={epoch}, loss={losses[epoch - 1]:.7f}" for epoch in (1, 3, 6)]
    assert capsys.readouterr().out.splitlines() == expected
    network.fit(XOR_X, XOR_Y, epochs=0)
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------------ seeds


def test_without_a_seed_the_weights_come_from_the_global_generator():
    np.random.seed(5)
    network = NeuralNetwork([2, 3, 1])
    np.random.seed(5)
    assert_same_bits(
        network.W, [np.random.randn(3, 4) / np.sqrt(2), np.random.randn(4, 1) / 3**0.5]
    )


@pytest.mark.parametrize("seed", [0, 7, np.int64(7), 2**70])
def test_a_whole_number_makes_the_weights_independent_of_the_global_generator(seed):
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    first = NeuralNetwork([3, 2, 2], seed=seed)
    assert np.random.get_state()[1].tolist() == before
    np.random.seed(99)
    assert_same_bits(first.W, NeuralNetwork([3, 2, 2], seed=seed).W)


def test_a_generator_is_drawn_from():
    generator, twin = np.random.default_rng(4), np.random.default_rng(4)
    first, second = (NeuralNetwork([2, 1], seed=generator) for _ in range(2))
    assert_same_bits(first.W, NeuralNetwork([2, 1], seed=4).W)
    twin.standard_normal((3, 1))
    assert_same_bits(second.W, [twin.standard_normal((3, 1)) / np.sqrt(2)])


def test_two_runs_with_one_seed_are_equal_to_the_bit(capsys):
    runs = []
    for _ in range(2):
        network = NeuralNetwork([2, 3, 1], alpha=0.5, seed=11)
        network.fit(XOR_X, XOR_Y, epochs=50, displayUpdate=10)
        runs.append((network.W, capsys.readouterr().out))
    assert_same_bits(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]


# ------------------------------------------------------------------------------ interruptions


def after(epochs):
    network = NeuralNetwork([2, 2, 1], alpha=0.5, seed=2)
    network.fit(XOR_X, XOR_Y, epochs=epochs)
    return network.W


def test_an_interruption_between_epochs_leaves_the_weights_of_the_last_one():
    network = NeuralNetwork([2, 2, 1], alpha=0.5, seed=2)

    def interrupt(epoch):
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        network.fit(XOR_X, XOR_Y, epochs=10, on_epoch=interrupt)
    assert_same_bits(network.W, after(3))


@pytest.mark.parametrize("place", ["backward", "zero_grad"])
@pytest.mark.parametrize("call", [9, 11, 12])
def test_an_interruption_inside_a_step_leaves_the_weights_of_the_last_whole_epoch(
    place, call, monkeypatch
):
    expected = {n: after(n) for n in (1, 2)}
    network = NeuralNetwork([2, 2, 1], alpha=0.5, seed=2)
    real, calls = getattr(Tensor, place), []

    def interrupting(*args):
        calls.append(place)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(Tensor, place, interrupting)
    with pytest.raises(KeyboardInterrupt):
        network.fit(XOR_X, XOR_Y, epochs=10)
    per_epoch = 4 if place == "backward" else 8
    assert_same_bits(network.W, expected[(call - 1) // per_epoch])
    monkeypatch.undo()
    network.fit(XOR_X, XOR_Y, epochs=2 - (call - 1) // per_epoch)
    assert_same_bits(network.W, expected[2])


def test_divergence_is_an_error_and_keeps_the_last_finite_weights(capsys):
    network = NeuralNetwork([2, 2, 1], alpha=1e-6, seed=2)

    def explode(epoch):
        network.alpha = 1e308

    with pytest.raises(tg.GraphError) as error:
        network.fit(XOR_X, [1e3, 1e3, 1e3, 1e3], epochs=5, on_epoch=explode)
    assert str(error.value) == (
        "NeuralNetwork: 2-2-1: got weights that are not finite in epoch 2; expected training that "
        "converges. Lower alpha=1e+308; the network keeps its last finite weights."
    )
    expected = NeuralNetwork([2, 2, 1], alpha=1e-6, seed=2)
    expected.fit(XOR_X, [1e3, 1e3, 1e3, 1e3], epochs=1)
    assert_same_bits(network.W, expected.W)


def test_a_step_that_diverges_keeps_the_weights_and_the_very_arrays():
    network = NeuralNetwork([2, 2, 1], alpha=1e308, seed=2)
    arrays, bits = list(network.W), weights(network)
    with pytest.raises(tg.GraphError, match="not finite after this step"):
        network.fit_partial([0, 1, 1], [1e10])
    assert all(W is array for W, array in zip(network.W, arrays, strict=True))
    assert_same_bits(network.W, bits)


# ------------------------------------------------------------------------------ what it can learn


@pytest.mark.parametrize("seed", range(3))
def test_without_a_hidden_layer_it_cannot_learn_xor(seed):
    network = NeuralNetwork([2, 1], alpha=0.1, seed=seed)
    network.fit(XOR_X, XOR_Y, epochs=1000)
    steps = network.predict(XOR_X) > 0.5
    assert (steps != XOR_Y).any()
    assert network.calculate_loss(XOR_ROWS, XOR_Y) > 0.49
