"""`fit` trains alike with every engine: same weights, same lines, same manners when it stops."""

import numpy as np
import pytest
from conftest import require

import tinygrad_bp as tg
from tinygrad_bp import NeuralNetwork
from tinygrad_bp.compiler import schedule
from tinygrad_bp.compiler.loops import CompiledLoop
from tinygrad_bp.nn import training

COMPILED = ["native", "numpy"]
ENGINES = ["eager", *COMPILED, "auto"]
XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])


def network(engine, layers=(2, 3, 1), alpha=0.5):
    if engine == "native":
        require("llvmlite", "fast")
    return NeuralNetwork(list(layers), alpha=alpha, seed=3)


def weights_after(engine, layers=(2, 3, 1), data=XOR, **options):
    net = network(engine, layers)
    net.fit(*data, engine=engine, **options)
    return net.W


def assert_close(first, second, rtol=1e-10):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


@pytest.mark.parametrize("engine", COMPILED)
@pytest.mark.parametrize("layers", [(2, 1), (2, 3, 1), (2, 5, 4, 1)])
def test_compiled_training_ends_where_recorded_training_ends(engine, layers):
    expected = weights_after("eager", layers, epochs=50)
    assert_close(weights_after(engine, layers, epochs=50), expected)


@pytest.mark.parametrize("engine", COMPILED)
def test_wider_networks_and_several_outputs_too(engine):
    rng = np.random.default_rng(0)
    data = rng.random((30, 20)), rng.random((30, 7))
    expected = weights_after("eager", (20, 33, 17, 7), data, epochs=4)
    assert_close(weights_after(engine, (20, 33, 17, 7), data, epochs=4), expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_lines_are_printed(engine, capsys):
    weights_after(engine, epochs=1200, displayUpdate=500)
    printed = capsys.readouterr().out
    weights_after("eager", epochs=1200, displayUpdate=500)
    assert printed == capsys.readouterr().out
    assert [line.split(",")[0] for line in printed.splitlines()] == [
        "[INFO] epoch=1", "[INFO] epoch=500", "[INFO] epoch=1000",
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_every_epoch_is_announced_with_its_weights(engine):
    net, seen = network(engine), []
    net.fit(*XOR, epochs=5, engine=engine, on_epoch=lambda n: seen.append((n, net.W[0].copy())))
    assert [n for n, _ in seen] == [1, 2, 3, 4, 5]
    for n, first in seen:
        assert_close([first], weights_after("eager", epochs=n)[:1])


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_and_learning_rate_may_be_changed_after_an_epoch(engine):
    def train(engine):
        net = network(engine)

        def change(n):
            net.alpha /= 2
            net.W[0] = net.W[0] * 0.9

        net.fit(*XOR, epochs=6, engine=engine, on_epoch=change)
        return net.W

    assert_close(train(engine), train("eager"))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_interruption_leaves_the_weights_of_a_whole_epoch(engine):
    net = network(engine)

    def interrupt(n):
        if n == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        net.fit(*XOR, epochs=100, engine=engine, on_epoch=interrupt)
    assert_close(net.W, weights_after("eager", epochs=7))


@pytest.mark.parametrize("engine", COMPILED)
def test_an_interruption_between_two_calls_loses_only_the_epoch_it_is_in(engine, monkeypatch):
    net, original, calls = network(engine), CompiledLoop.run, []
    monkeypatch.setattr(training, "CHUNK", 1e-9)  # every epoch in parts of one row

    def run(loop, data, first, last, rounds=1):
        calls.append((first, last))
        if len(calls) == 11:  # four calls for each epoch
            raise KeyboardInterrupt
        original(loop, data, first, last, rounds)

    monkeypatch.setattr(CompiledLoop, "run", run)
    with pytest.raises(KeyboardInterrupt):
        net.fit(*XOR, epochs=100, engine=engine, displayUpdate=1000)
    assert calls[-1] == (2, 3)
    monkeypatch.undo()
    assert_close(net.W, weights_after("eager", epochs=2))


@pytest.mark.parametrize("engine", ENGINES)
def test_divergence_is_told_with_its_epoch_and_keeps_the_last_finite_weights(engine):
    net, first = network(engine, alpha=1e-6), []

    def explode(epoch):
        first[:] = [w.copy() for w in net.W]
        net.alpha = 1e308

    with pytest.raises(tg.GraphError, match="weights that are not finite in epoch 2"):
        net.fit(XOR[0], np.full(4, 1e3), epochs=2500, on_epoch=explode, engine=engine)
    assert_close(net.W, first, rtol=0)


@pytest.mark.parametrize("engine", COMPILED)
def test_the_epoch_is_found_that_made_a_weight_infinite(engine):
    if engine == "native":
        require("llvmlite", "fast")
    loop = CompiledLoop(lambda s, x: [s[0] * x], [np.zeros(())], [np.zeros(())], engine)
    loop.state = [np.array(1.0)]
    *_, before, last = training.run_epochs(loop, [np.full(1, 2.0)], 0, 5000)
    assert before == (1023, [2.0**1023])
    assert last == (1024, [np.inf])


def test_short_training_is_not_compiled(monkeypatch):
    monkeypatch.setattr(training, "CompiledLoop", None)  # would fail if it were called
    weights_after("auto", epochs=100)


@pytest.mark.parametrize("engine", ["fast", None, 3])
def test_other_engines_are_refused(engine):
    with pytest.raises(tg.InputError, match="one of auto, native, numpy, eager"):
        network("eager").fit(*XOR, engine=engine)


# ------------------------------------------------------------------------------ the loop itself


@pytest.mark.parametrize("engine", COMPILED)
def test_a_loop_goes_over_rows_and_rounds(engine):
    if engine == "native":
        require("llvmlite", "fast")
    loop = CompiledLoop(
        lambda state, x: [state[1], state[0] * 2 + x],
        [np.zeros(3), np.zeros(3)],
        [np.zeros(3)],
        engine,
    )
    rows = np.arange(12.0).reshape(4, 3)
    loop.state = [np.ones(3), np.zeros(3)]
    loop.run([rows], 1, 4, 2)
    a, b = np.ones(3), np.zeros(3)
    for row in [*rows[1:], *rows[1:]]:
        a, b = b, a * 2 + row
    np.testing.assert_array_equal(loop.state, [a, b])


@pytest.mark.parametrize("engine", COMPILED)
def test_states_may_change_places(engine):
    if engine == "native":
        require("llvmlite", "fast")
    start = [np.arange(9.0).reshape(3, 3), np.ones((3, 3)), np.full((3, 3), 5.0)]
    steps = [
        lambda s, x: [s[1], s[2], s[0]],
        lambda s, x: [s[1].T, s[0].T, s[2]],
        lambda s, x: [s[0].T, s[0][::-1], s[1] + s[0]],
        lambda s, x: [(s[0] + 1).T.reshape(-1).reshape((3, 3)), s[1], s[2]],
        lambda s, x: [s[1] * 2, s[0].reshape(-1)[::-1].reshape((3, 3)), s[0] + s[1].T],
    ]
    for step in steps:
        loop = CompiledLoop(step, start, [np.zeros(1)], engine)
        loop.state = start
        loop.run([np.zeros((5, 1))], 0, 5)
        expected = [tg.Tensor(a) for a in start]
        for _ in range(5):
            expected = step(expected, None)
        for a, b in zip(loop.state, expected, strict=True):
            np.testing.assert_array_equal(a, b.data)


@pytest.mark.parametrize("product", [schedule.PRODUCT, 1 << 10])
@pytest.mark.parametrize("engine", COMPILED)
def test_minibatches_train_alike_whoever_multiplies_matrices(engine, product, monkeypatch):
    if engine == "native":
        require("llvmlite", "fast")
    monkeypatch.setattr(schedule, "PRODUCT", product)  # from there on it is NumPy's task
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(s).astype(np.float32) / 8 for s in ((64, 48), (48, 10))]
    x = rng.random((3, 32, 64), np.float32)
    y = np.eye(10, dtype=np.float32)[rng.integers(0, 10, (3, 32))]

    def step(weights, x, y):
        scores = tg.sigmoid(x @ weights[0]) @ weights[1]
        error = -(y * tg.log_softmax(scores)).sum() / 32
        slopes = error.gradient(*weights, differentiable=True)
        return [w - 0.5 * s for w, s in zip(weights, slopes, strict=True)]

    loop = CompiledLoop(step, weights, [x[0], y[0]], engine)
    loop.state = weights
    loop.run([x, y], 0, 3, 2)
    expected = weights
    for i in (0, 1, 2, 0, 1, 2):
        expected = [w.data for w in step([tg.Tensor(w) for w in expected], x[i], y[i])]
    for a, b in zip(loop.state, expected, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((4, 2)),
        np.zeros((4, 3), np.float32),
        np.zeros((4, 6))[:, ::2],
        np.zeros((2, 3)),
    ],
)
def test_rows_that_do_not_fit_never_reach_machine_code(data):
    require("llvmlite", "fast")
    loop = CompiledLoop(lambda s, x: [s[0] + x], [np.zeros(3)], [np.zeros(3)], "native")
    with pytest.raises(tg.CompileError, match="contiguous rows of float64 and shape"):
        loop.run([data], 0, 4)
    np.testing.assert_array_equal(loop.state, [np.zeros(3)])


def test_a_step_that_changes_shapes_is_refused():
    with pytest.raises(tg.CompileError, match="the next state, of the same shapes"):
        CompiledLoop(lambda s, x: [s[0].sum()], [np.zeros(3)], [np.zeros(3)], "numpy")
