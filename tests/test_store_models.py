"""What is saved is what is loaded: every kind of layer, loss and optimizer, to the last bit."""

import ast
import copy
import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.__main__ import main
from tinygrad_bp.nn import layers, losses, optimizers, schedules
from tinygrad_bp.store import container

PACKAGE = Path(tg.__file__).parent
IMAGES = np.random.default_rng(0).normal(size=(6, 2, 6, 6))
PARTS = [
    layers.Conv2D(3, 3, "relu", stride=1, padding=1),
    layers.MaxPool2D(2),
    layers.Flatten(),
    layers.LayerNorm(1e-4),
    layers.Dense(4, bias=False, initializer="lecun_normal"),
    layers.Activation("tanh"),
    layers.Dropout(0.25),
    layers.Dense(3),
]


def trained(optimizer="adam", loss="categorical_cross_entropy", dtype=np.float64):
    model = tg.nn.Sequential(PARTS, loss=loss, optimizer=optimizer, seed=4)
    y = [0, 1, 2, 0, 1, 2] if loss == "categorical_cross_entropy" else np.eye(3)[[0, 1, 2] * 2]
    model.fit(IMAGES.astype(dtype), y, epochs=2, batch_size=4, engine="numpy")
    return model


def go_on(model):
    """Train a bit more, which needs everything that was kept."""
    y = [0, 1, 2, 0, 1, 2] if model.loss.targets == "classes" else np.eye(3)[[0, 1, 2] * 2]
    return model.fit(IMAGES, y, epochs=2, batch_size=4, engine="numpy")["loss"]


@pytest.mark.parametrize("optimizer", optimizers.KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_goes_on_from_a_file_as_if_it_had_not_stopped(tmp_path, optimizer, dtype):
    model = trained(optimizers.KINDS[optimizer](schedules.Cosine(0.01, 9)), dtype=dtype)
    tg.save(model, tmp_path / "m")
    again = tg.load(tmp_path / "m")
    assert repr(again) == repr(model)
    assert again.optimizer == model.optimizer
    np.testing.assert_array_equal(again.predict(IMAGES), model.predict(IMAGES))
    assert again.predict(IMAGES).dtype == dtype
    assert go_on(again) == go_on(model)


@pytest.mark.parametrize("loss", losses.KINDS.values())
def test_every_loss_is_kept(tmp_path, loss):
    name = "categorical_cross_entropy" if loss is losses.CategoricalCrossEntropy else loss()
    model = trained(loss=name)
    tg.save(model, tmp_path / "m")
    again = tg.load(tmp_path / "m")
    assert again.loss == loss()
    assert go_on(again) == go_on(model)


def test_every_kind_of_layer_is_among_those_that_are_tested():
    assert {type(part) for part in PARTS} == set(layers.KINDS.values())


def test_the_same_model_gives_the_same_bytes_in_any_process(tmp_path):
    program = (
        "import sys, numpy as np; sys.path[:0] = sys.argv[2:]; import tinygrad_bp as tg;"
        "from test_store_models import trained; tg.save(trained(), sys.argv[1])"
    )
    for name in "ab":
        arguments = [tmp_path / name, PACKAGE.parent, Path(__file__).parent]
        subprocess.run([sys.executable, "-c", program, *map(str, arguments)], check=True)
    tg.save(tg.load(tmp_path / "a"), tmp_path / "c")
    digests = {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in "abc"}
    assert len(digests) == 1


def test_everyone_else_can_read_every_kind_of_file(tmp_path, require):
    safetensors = require("safetensors.numpy")
    tg.save(tg.NeuralNetwork([2, 3, 1], seed=0), tmp_path / "documented")
    checkpointed(tmp_path / "checkpoint")
    rows = "".join(f"{i},{'uv'[i % 2]}\n" for i in range(20))
    (tmp_path / "t.csv").write_text(f"a,y\n{rows}")
    table = ["train", f"{tmp_path}/t.csv", "--target", "y", "--out", f"{tmp_path}/table"]
    assert main([*table, "--epochs", "1"]) == 0
    for name in ("documented", "checkpoint", "table"):
        arrays, _ = container.load_arrays(str(tmp_path / name))
        read = safetensors.load_file(tmp_path / name)
        assert read.keys() == arrays.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(read[key], array)
            assert (read[key].dtype, read[key].shape) == (array.dtype, array.shape)


LAYOUTS = {
    "columns first": np.asfortranarray,
    "big-endian": lambda a: a.astype(">f8"),
    "backwards": lambda a: a[::-1].copy()[::-1],
    "with gaps": lambda a: np.repeat(a, 2, -1)[..., ::2],
    "read-only": lambda a: np.frombuffer(a.tobytes()).reshape(a.shape),
    "a list": lambda a: a.tolist(),
    "extended": lambda a: a.astype(np.longdouble),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_how_arrays_lie_in_memory_changes_no_byte(tmp_path, layout):
    network, model = tg.NeuralNetwork([3, 4, 2], seed=0), trained()
    tg.save(network, tmp_path / "n")
    tg.save(model, tmp_path / "m")
    network.W = [layout(w) for w in network.W]
    given = {name: layout(p) for name, p in reversed(model.parameters.items())}
    model.parameters = given
    tg.save(network, tmp_path / "n2")
    tg.save(model, tmp_path / "m2")
    for name in "nm":
        assert (tmp_path / name).read_bytes() == (tmp_path / f"{name}2").read_bytes()


def test_a_copy_of_a_model_gives_the_same_bytes(tmp_path):
    model = trained()
    tg.save(model, tmp_path / "m")
    for twin in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        tg.save(twin, tmp_path / "twin")
        assert (tmp_path / "twin").read_bytes() == (tmp_path / "m").read_bytes()


def test_the_documented_network_is_kept(tmp_path):
    network = tg.NeuralNetwork([2, 3, 1], alpha=0.25, seed=0)
    tg.save(network, tmp_path / "m")
    again = tg.load(tmp_path / "m")
    assert (again.layers, again.alpha) == (network.layers, network.alpha)
    for kept, w in zip(again.W, network.W, strict=True):
        np.testing.assert_array_equal(kept, w)
        assert kept.flags.writeable
    again.fit(np.ones((1, 2)), [1], epochs=1, displayUpdate=10)


def test_everyone_else_can_read_the_arrays(tmp_path, require):
    safetensors = require("safetensors.numpy")
    model = trained()
    tg.save(model, tmp_path / "m.safetensors")
    read = safetensors.load_file(tmp_path / "m.safetensors")
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(read[name], array)
    assert len(read) == len(model.state.parameters) + len(model.state.kept)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(20.0)[::-3],
        np.broadcast_to(np.float32(3), (2, 2)),
        np.array(2.5),
        np.zeros((0, 3)),
        np.arange(3, dtype=">f8"),
        np.arange(4),
    ],
    ids=repr,
)
def test_arrays_of_any_layout_in_memory_arrive_as_they_are(tmp_path, require, array):
    container.save_arrays(tmp_path / "a", {"x": array, "W": np.ones(3, np.float32)}, {})
    read, description = container.load_arrays(tmp_path / "a")
    assert description == {}
    safetensors = require("safetensors.numpy")
    for found in (read["x"], safetensors.load_file(tmp_path / "a")["x"]):
        np.testing.assert_array_equal(found, array)
        assert found.shape == array.shape
        assert found.dtype == array.dtype.newbyteorder("=")


def test_arrays_begin_where_a_processor_likes_them(tmp_path):
    arrays = {"a": np.ones(1, np.float32), "b": np.ones(3), "c": np.ones(3, np.float32)}
    container.save_arrays(tmp_path / "a", arrays, {})
    content = (tmp_path / "a").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    assert list(header)[0] == "__metadata__"
    for name, array in arrays.items():
        assert header[name]["data_offsets"][0] % array.itemsize == 0


@dataclass(frozen=True, repr=False)
class Twice(layers.Layer):
    def __call__(self, x, parameters, drawn=None):
        return 2 * x


@pytest.mark.parametrize(
    "model",
    [
        tg.nn.Sequential([Twice(), layers.Dense(2)], seed=0),
        tg.nn.Sequential([layers.Dense(2, tg.tanh)], seed=0),
        tg.nn.Sequential([layers.Dense(2)], loss=lambda y, t: tg.abs(y - t), seed=0),
    ],
    ids=["layer", "activation", "loss"],
)
def test_functions_of_the_users_own_train_and_are_not_saved(tmp_path, model):
    model.fit(np.ones((3, 2)), np.ones((3, 2)), epochs=1)
    with pytest.raises(tg.InputError, match="Keep model.parameters, and build the model again"):
        tg.save(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_what_is_no_model_and_what_has_no_parameters_yet_is_refused(tmp_path):
    with pytest.raises(tg.InputError, match="got int 3; expected a Sequential or a NeuralNetwork"):
        tg.save(3, tmp_path / "m")
    with pytest.raises(tg.GraphError, match="Call fit"):
        tg.save(tg.nn.Sequential([layers.Dense(1)]), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_loading_imports_nothing_by_name_connects_to_nothing_and_writes_nowhere(tmp_path):
    tg.save(trained(), tmp_path / "m")
    program = (
        "import sys, tinygrad_bp as tg; tg.save(tg.load(sys.argv[1]), sys.argv[2]); seen = [];"
        "watched = ('socket', 'exec', 'compile', 'import', 'pickle', 'subprocess', 'marshal');"
        "sys.addaudithook(lambda e, a: seen.append((e, *map(str, a)))"
        " if e.startswith(watched) or e == 'open' else None);"
        "tg.save(tg.load(sys.argv[1]), sys.argv[2]); print(*seen, sep='\\n')"
    )
    paths = [tmp_path / "m", tmp_path / "n"]
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, paths)],
        capture_output=True, text=True, check=True, cwd=PACKAGE.parent,
    )  # fmt: skip
    events = [ast.literal_eval(line) for line in result.stdout.splitlines()]
    assert {event[0] for event in events} == {"open"}
    for _, path, *_ in events:
        assert Path(path).parent == tmp_path or Path(path) == tmp_path


def test_nothing_that_runs_what_a_file_says_is_imported_anywhere():
    banned = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "yaml", "socket",
              "urllib", "http", "requests", "ftplib", "ssl"}  # fmt: skip
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            module = [node.module] if isinstance(node, ast.ImportFrom) and node.module else names
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not {name.split(".")[0] for name in module} & banned, path


# ---------------------------------------------------------------------------------- resuming


def checkpointed(path, epochs=4, **changes):
    model = tg.nn.Sequential(changes.pop("layers", PARTS), loss="categorical_cross_entropy", seed=4)
    options = {"batch_size": 4, "engine": "numpy", "checkpoint": path, "resume": True} | changes
    X = options.pop("X", IMAGES)
    return model, model.fit(X, [0, 1, 2, 0, 1, 2], epochs, **options)


@pytest.mark.parametrize("engine", ["eager", "numpy", "native"])
def test_training_in_two_halves_is_training_in_one(tmp_path, engine, require):
    if engine == "native":
        require("llvmlite", "fast")
    whole, history = checkpointed(tmp_path / "whole", engine=engine)
    checkpointed(tmp_path / "half", epochs=2, engine=engine)
    resumed, again = checkpointed(tmp_path / "half", engine=engine)
    assert dict(again) == dict(history)
    assert (tmp_path / "half").read_bytes() == (tmp_path / "whole").read_bytes()
    np.testing.assert_array_equal(resumed.predict(IMAGES), whole.predict(IMAGES))
    done = checkpointed(tmp_path / "half", engine=engine)  # nothing is left to do
    assert done[1]["loss"] == history["loss"]


def slower(run):
    """Lower the rate, from what it was: a callback whose memory is the run."""
    run.rate = 0.01 if run.rate is None else run.rate / 2


@pytest.mark.parametrize("cut", [1, 3, 5, 9])
@pytest.mark.parametrize(
    "callbacks",
    [
        lambda: [tg.nn.EarlyStopping(patience=2, least=0.05)],
        lambda: [tg.nn.EarlyStopping("loss", patience=30), slower],
        lambda: [tg.nn.LearningRate(lambda epoch: 0.02 / (1 + epoch))],
    ],
    ids=["stops", "slower", "rates"],
)
def test_callbacks_decide_as_if_training_had_not_stopped(tmp_path, callbacks, cut):
    options = {"validation_data": (IMAGES + 0.1, [0, 1, 2, 0, 1, 2])}
    whole, history = checkpointed(tmp_path / "w", 12, callbacks=callbacks(), **options)
    checkpointed(tmp_path / "h", min(cut, history.epochs), callbacks=callbacks(), **options)
    resumed, again = checkpointed(tmp_path / "h", 12, callbacks=callbacks(), **options)
    assert dict(again) == dict(history)
    for name, p in whole.parameters.items():
        np.testing.assert_array_equal(resumed.parameters[name], p)


def test_a_checkpoint_may_be_written_now_and_then(tmp_path):
    written = []

    class Watched(tg.nn.Checkpoint):
        def after_epoch(self, run):
            super().after_epoch(run)
            written.append(tg.load(self.path).state.epochs if Path(self.path).exists() else 0)

    checkpointed(Watched(tmp_path / "c", every=3), 8)
    assert written == [0, 0, 3, 3, 3, 6, 6, 8]
    assert checkpointed(tmp_path / "c", 9)[1].epochs == 9


def test_a_checkpoint_is_a_model(tmp_path):
    model, _ = checkpointed(tmp_path / "c")
    np.testing.assert_array_equal(tg.load(tmp_path / "c").predict(IMAGES), model.predict(IMAGES))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"batch_size": 3}, "batch_size: got 4; expected 3"),
        ({"shuffle": False}, "shuffle: got True; expected False"),
        ({"X": IMAGES + 1}, "data: got "),
        ({"layers": PARTS[:-1] + [layers.Dense(3, "tanh")]}, "layers: got "),
    ],
)
def test_the_checkpoint_of_another_training_is_refused_and_nothing_changes(tmp_path, changes, text):
    checkpointed(tmp_path / "c")
    before = (tmp_path / "c").read_bytes()
    with pytest.raises(tg.StoreError, match=text):
        checkpointed(tmp_path / "c", **changes)
    assert (tmp_path / "c").read_bytes() == before


@pytest.mark.parametrize("kind", [tg.nn.Checkpoint, tg.nn.CSVLog])
def test_a_place_that_cannot_be_written_is_told_before_training(tmp_path, kind):
    model = tg.nn.Sequential([layers.Dense(1)], seed=0)
    for place in (tmp_path, tmp_path / "nowhere" / "c"):
        with pytest.raises(tg.StoreError, match="expected a place for a file"):
            model.fit(np.ones((2, 2)), [0, 1], 1, callbacks=[kind(place)])
    assert model.state.epochs == 0
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_an_error_and_no_new_start(tmp_path):
    checkpointed(tmp_path / "c")
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:-1])
    with pytest.raises(tg.StoreError):
        checkpointed(tmp_path / "c")
    tg.save(trained(), tmp_path / "c")
    with pytest.raises(tg.StoreError, match="a model that was saved after training"):
        checkpointed(tmp_path / "c")
