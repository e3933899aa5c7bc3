"""Training does what it says, epoch by epoch, whatever the engine, and can be repeated."""

import copy
import csv
import pickle
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.nn import (
    Adam,
    Dense,
    Dropout,
    EarlyStopping,
    LayerNorm,
    LearningRate,
    Sequential,
    batches,
    callbacks,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
HELD = (RNG.normal(size=(20, 4)), RNG.integers(0, 2, 20))
OPTIONS = {"epochs": 4, "batch_size": 8, "engine": "numpy"}


def network(seed=1, loss="categorical_cross_entropy", optimizer=None, outputs=2):
    layers = [Dense(8, "tanh"), LayerNorm(), Dropout(0.2), Dense(outputs)]
    return Sequential(layers, loss=loss, optimizer=optimizer or Adam(0.02), seed=seed)


def trained(X=X, y=Y, seed=1, **options):
    model = network(seed)
    model.fit(X, y, **(OPTIONS | options))
    return model


def assert_equal(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, p in one.items():
        np.testing.assert_allclose(p, other[name], err_msg=name, **({"rtol": 0} | tolerance))


# ---------------------------------------------------------------------------------- engines


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_compiled_training_is_recorded_training_up_to_rounding(engine, dtype, require):
    if engine == "native":
        require("llvmlite", "fast")
    recorded, compiled = (trained(X.astype(dtype), engine=e) for e in ("eager", engine))
    tolerance = {"rtol": 1e3 * np.finfo(dtype).eps, "atol": 1e3 * np.finfo(dtype).eps}
    assert_equal(compiled.parameters, recorded.parameters, **tolerance)
    assert compiled.history["loss"] == pytest.approx(recorded.history["loss"], rel=1e-5)


def test_images_are_trained_alike_by_every_engine(require):
    require("llvmlite", "fast")
    nn, images = tg.nn, RNG.normal(size=(10, 1, 6, 6))
    found = []
    for engine in ("eager", "numpy", "native"):
        layers = [nn.Conv2D(3, 3, "relu"), nn.MaxPool2D(2), nn.Flatten(), Dense(2)]
        model = Sequential(layers, loss="categorical_cross_entropy", seed=0)
        model.fit(images, Y[:10], epochs=2, batch_size=4, engine=engine)
        found.append(model.parameters)
    for other in found[1:]:
        assert_equal(other, found[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_computes_in_the_dtype_of_its_data(dtype):
    model = trained(X.astype(dtype))
    assert model.dtype == dtype
    assert {p.dtype for p in model.parameters.values()} == {np.dtype(dtype)}
    assert model.predict(X).dtype == model.outputs(X.astype(np.float32)).dtype == dtype


def test_a_loss_that_looks_at_numbers_is_trained_without_compilation():
    def moody(outputs, targets):
        return abs(outputs - targets) if float(outputs.sum()) > 0 else (outputs - targets) ** 2

    model = Sequential([Dense(1)], loss=moody, seed=0)
    assert len(model.fit(X, Y, epochs=2)["loss"]) == 2
    with pytest.raises(tg.CompileError):
        Sequential([Dense(1)], loss=moody, seed=0).fit(X, Y, epochs=2, engine="numpy")


# ---------------------------------------------------------------------------------- repeatable


def test_a_seed_repeats_everything_and_another_gives_another_network():
    first, again, other = trained(), trained(), trained(seed=2)
    assert_equal(first.parameters, again.parameters)
    assert first.history == again.history
    assert first.history != other.history
    generators = [np.random.default_rng(7) for _ in range(2)]
    one, two = (trained(seed=g) for g in generators)
    assert_equal(one.parameters, two.parameters)


def test_how_much_is_prepared_at_once_changes_nothing(monkeypatch):
    whole = trained().parameters
    monkeypatch.setattr(batches, "CHUNK", 1)
    assert_equal(trained().parameters, whole)


def test_training_never_touches_the_global_generator_or_the_data():
    before, state = X.copy(), np.random.get_state()[1].copy()
    trained(sample_weight=np.ones(50))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    np.testing.assert_array_equal(X, before)


def test_two_trainings_are_one_long_one():
    twice = trained(epochs=2)
    twice.fit(X, Y, **(OPTIONS | {"epochs": 2}))
    assert_equal(twice.parameters, trained().parameters)


def test_another_optimizer_takes_over_with_a_start_of_its_own():
    model = trained(epochs=2)
    model.optimizer = tg.nn.Momentum(0.05)
    assert model.fit(X, Y, **OPTIONS)["loss"][-1] < 1
    assert {name.split(".")[-1] for name in model.state.kept} == {"velocity"}


def test_a_copy_goes_on_like_the_original():
    model = trained()
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    model.fit(X, Y, **OPTIONS)
    for twin in copies:
        twin.fit(X, Y, **OPTIONS)
        assert_equal(twin.parameters, model.parameters)


def test_a_short_last_batch_counts_as_what_is_in_it():
    X, y = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 1))
    model = Sequential([Dense(1)], optimizer=tg.nn.SGD(0.1), seed=0).build((2,))
    w, b = model.parameters.values()
    for first, last in ((0, 3), (3, 5)):
        error = X[first:last] @ w + b - y[first:last]
        w = w - 0.1 * 2 * X[first:last].T @ error / (last - first)
        b = b - 0.1 * 2 * error.mean(0)
    model.fit(X, y, 1, batch_size=3, shuffle=False)
    for found, expected in zip(model.parameters.values(), (w, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_shuffling_shows_every_sample_once_in_every_epoch():
    seen = []
    X = np.arange(10.0)[:, None]

    class Spy(tg.nn.Layer):
        def __call__(self, x, parameters, drawn=None):
            if drawn is not None:
                seen.append(x.data.ravel().tolist())
            return x

        def draw(self, generator, shape):
            return np.zeros(shape)

    Sequential([Spy(), Dense(1)], seed=0).fit(X, X, 2, batch_size=5, engine="eager")
    epochs = [sum(seen[i : i + 2], []) for i in (0, 2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])


# ---------------------------------------------------------------------------------- whole epochs


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interruption_leaves_the_weights_of_the_last_whole_epoch(error, monkeypatch):
    monkeypatch.setattr(batches, "CHUNK", 1)
    model, calls = network(), []
    original = batches._draw

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 16:  # in the middle of the third epoch of seven batches
            raise error
        return original(*args)

    monkeypatch.setattr(batches, "_draw", interrupted)
    with pytest.raises(error):
        model.fit(X, Y, **OPTIONS)
    monkeypatch.undo()
    assert_equal(model.parameters, trained(epochs=2).parameters)
    assert model.history.epochs == 2
    model.fit(X, Y, **(OPTIONS | {"epochs": 2}))
    assert_equal(model.parameters, trained().parameters)


def test_weights_that_overflow_end_the_training_with_the_last_finite_ones():
    model = network(optimizer=tg.nn.SGD(1e200), loss="mean_squared", outputs=1)
    with pytest.raises(tg.GraphError, match=r"not finite in layers.* in epoch 1; .*Lower the rate"):
        model.fit(X, Y, **OPTIONS)
    assert_equal(model.parameters, network(loss="mean_squared", outputs=1).build((4,)).parameters)


# ---------------------------------------------------------------------------------- measuring


def test_validation_is_what_evaluate_says_after_every_epoch():
    model, found = network(), []
    history = model.fit(
        X, Y, validation_data=HELD, **OPTIONS,
        callbacks=[lambda run: found.append(run.model.evaluate(*HELD))],
    )  # fmt: skip
    assert history["val_loss"] == [row["loss"] for row in found]
    assert history["val_accuracy"] == [row["accuracy"] for row in found]
    assert list(history) == ["loss", "rate", "val_loss", "val_accuracy"]
    assert model.history is history


def test_evaluate_is_the_weighted_mean_of_losses_and_hits():
    model, weights = trained(), RNG.random(50)
    p = model.predict(X)
    np.testing.assert_allclose(p.sum(1), 1)
    losses, hits = -np.log(p[range(50), Y]), p.argmax(1) == Y
    found = model.evaluate(X, Y, sample_weight=weights)
    assert found["loss"] == pytest.approx(np.average(losses, weights=weights))
    assert found["accuracy"] == pytest.approx(np.average(hits, weights=weights))


def test_only_classes_that_exclude_each_other_have_an_accuracy():
    labels = np.stack([Y, 1 - Y], 1)
    for loss, y, measured in (
        ("categorical_cross_entropy", labels, {"loss", "accuracy"}),
        ("binary_cross_entropy", labels, {"loss"}),
        ("binary_cross_entropy", Y, {"loss", "accuracy"}),
        ("mean_squared", Y, {"loss"}),
    ):
        model = network(loss=loss, outputs=y.ndim).build((4,))
        assert model.evaluate(X, y).keys() == measured


def test_predictions_for_a_part_are_a_part_of_the_predictions():
    model, many = trained(), RNG.normal(size=(1100, 4))
    whole = model.predict(many)
    for part in (slice(0, 1), slice(500, 600), slice(0, None, 7)):
        np.testing.assert_allclose(model.predict(many[part]), whole[part], rtol=1e-12)


def test_a_network_can_be_looked_into():
    model = trained()
    y = model(X[:2])
    np.testing.assert_array_equal(y.data, model.outputs(X[:2]))
    y.sum().backward()
    named = {x.name: x for x in tg.graph.walk(y) if x.name}
    assert named.keys() == model.parameters.keys()
    assert all(x.grad is not None for x in named.values())


# ---------------------------------------------------------------------------------- callbacks


def test_early_stopping_restores_the_weights_of_the_best_epoch():
    kept = []
    model = network()
    history = model.fit(
        X, Y, 200, batch_size=8, validation_data=HELD, engine="numpy",
        callbacks=[lambda run: kept.append(run.model.parameters), EarlyStopping(patience=5)],
    )  # fmt: skip
    best = history.best("val_loss")
    assert history.epochs == best + 5 < 200
    assert_equal(model.parameters, kept[best - 1])
    assert model.evaluate(*HELD)["loss"] == min(history["val_loss"])


def test_an_accuracy_is_better_when_it_is_larger():
    kept, model = [], network()
    stopping = EarlyStopping("val_accuracy", patience=6)
    keep = [lambda run: kept.append(run.model.parameters), stopping]
    history = model.fit(
        X, Y, 60, batch_size=8, validation_data=HELD, engine="numpy", callbacks=keep
    )
    best = history.best("val_accuracy")
    assert history["val_accuracy"][best - 1] == max(history["val_accuracy"])
    assert history.epochs in (best + 6, 60)
    assert model.evaluate(*HELD)["accuracy"] == max(history["val_accuracy"])
    assert_equal(model.parameters, kept[best - 1])


def test_an_improvement_must_be_large_enough_to_count():
    options = {"epochs": 50, "batch_size": 50, "engine": "numpy"}
    model = network()
    stopping = EarlyStopping("loss", patience=3, least=10.0)
    assert model.fit(X, Y, **options, callbacks=[stopping]).epochs == 4


def test_learning_rates_are_set_and_told():
    rates = [0.1, 0.05, 0.01, 0.3]
    model = network(optimizer=tg.nn.SGD())
    history = model.fit(X, Y, **OPTIONS, callbacks=[LearningRate(lambda n: rates[n])])
    assert history["rate"] == rates


def test_callbacks_hear_everything_in_order_and_are_closed_after_an_exception():
    heard = []

    class Listener(callbacks.Callback):
        def start(self, run):
            heard.append("start")

        def before_epoch(self, run):
            heard.append(f"before {run.epoch}")

        def after_epoch(self, run):
            heard.append(f"after {run.epoch}")

        def finish(self, run):
            heard.append("finish")

        def close(self):
            heard.append("close")

    model = network()
    model.fit(X, Y, **(OPTIONS | {"epochs": 2}), callbacks=[Listener()])
    expected = ["start", "before 0", "after 1", "before 1", "after 2", "finish", "close"]
    assert heard == expected
    with pytest.raises(ZeroDivisionError):
        model.fit(X, Y, **OPTIONS, callbacks=[Listener(), lambda run: 1 / 0])
    assert heard[-1] == "close"


def test_any_function_may_stop_the_training():
    def enough(run):
        run.stop = run.epoch == 3

    assert network().fit(X, Y, epochs=100, engine="numpy", callbacks=[enough]).epochs == 3


def test_the_log_is_the_history_as_a_table(tmp_path):
    model = network()
    log = callbacks.CSVLog(tmp_path / "log.csv")
    history = model.fit(X, Y, **OPTIONS, validation_data=HELD, callbacks=[log])
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    for name in history:
        assert [float(row[name]) for row in rows] == history[name]


def test_the_log_of_a_resumed_run_has_all_epochs(tmp_path):
    path, log = tmp_path / "c", tmp_path / "log.csv"
    for epochs in (2, 5):
        options = OPTIONS | {"epochs": epochs, "checkpoint": path, "resume": True}
        network().fit(X, Y, **options, callbacks=[callbacks.CSVLog(log)])
    assert [line.split(",")[0] for line in log.read_text().split()] == ["epoch", *"12345"]


def test_a_log_that_cannot_be_written_is_an_error_with_its_path(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(tg.StoreError, match="folder"):
        network().fit(X, Y, **OPTIONS, callbacks=[callbacks.CSVLog(tmp_path / "folder")])
    log = callbacks.CSVLog(tmp_path / "log.csv")

    def replaced_by_a_folder(run):
        (tmp_path / "log.csv").unlink()
        (tmp_path / "log.csv").mkdir()

    with pytest.raises(tg.StoreError, match="log.csv"):
        network().fit(X, Y, **OPTIONS, callbacks=[log, replaced_by_a_folder])


def test_importing_the_library_does_not_load_what_only_training_needs():
    program = "import sys, tinygrad_bp; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    parts = {name for name in loaded.stdout.split() if name.startswith("tinygrad_bp.nn")}
    assert parts == {"tinygrad_bp.nn", "tinygrad_bp.nn.network"}
    assert "tinygrad_bp.store" not in loaded.stdout


def test_progress_is_told_with_tqdm_and_without_and_nothing_is_without_asking(
    capsys, monkeypatch, require
):
    require("tqdm")
    network().fit(X, Y, **OPTIONS)
    assert capsys.readouterr() == ("", "")
    network().fit(X, Y, **OPTIONS, progress=True)
    assert "4/4" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm", None)
    network().fit(X, Y, **OPTIONS, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"[INFO] epoch={n}" for n in (1, 2, 3, 4)]


def test_parameters_are_read_only_and_can_be_replaced():
    model = trained()
    with pytest.raises(ValueError, match="read-only"):
        model.parameters["layers.0.weight"][0] = 0
    zero = {name: np.zeros_like(p) for name, p in model.parameters.items()}
    model.parameters = zero
    np.testing.assert_allclose(model.predict(X), 0.5)
