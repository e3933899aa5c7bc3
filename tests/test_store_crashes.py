"""A file that is written is the old one or the new one, whatever fails at whatever instant."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.store import files

PROGRAM = Path(__file__).parent / "killed_training.py"


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot fork")
def test_killed_training_goes_on_and_ends_with_the_same_bytes(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(PROGRAM.parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, PROGRAM, tmp_path, "20"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["killed"] >= 20
    assert len(found["epochs"]) > 3  # killed at many stages
    assert found["left"] == []


# ---------------------------------------------------------------------------------- failures

CALLS = ("stat", "open", "write", "fsync", "close", "replace", "listdir")


class Failing:
    """`os` for the module that writes files, in which the k-th call fails, once and for all."""

    def __init__(self, k, error, part=100):
        self.k, self.error, self.part, self.calls = k, error, part, []

    def __getattr__(self, name):
        function = getattr(os, name)
        return function if name not in CALLS else lambda *args: self.call(function, *args)

    def call(self, function, *args):
        self.calls.append(function.__name__)
        if len(self.calls) == self.k:
            raise self.error
        if function is os.write:
            return os.write(args[0], bytes(args[1])[: self.part])  # never more than a part
        return function(*args)


def networks():
    old, new = (tg.NeuralNetwork([3, 4, 2], seed=seed) for seed in (0, 1))
    return old, new


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_failure_of_any_call_leaves_the_old_or_the_new_file(tmp_path, monkeypatch, error):
    path = tmp_path / "m.safetensors"
    old, new = networks()
    for k in range(1, 100):
        monkeypatch.undo()
        tg.save(old, path)
        failing = Failing(k, error)
        monkeypatch.setattr(files, "os", failing)
        try:
            tg.save(new, path)
        except (tg.StoreError, KeyboardInterrupt) as raised:
            refused = raised
        else:
            break
        monkeypatch.undo()
        in_place = "replace" in failing.calls[: k - 1]
        kept = new if in_place else old
        np.testing.assert_array_equal(tg.load(path).W[0], kept.W[0])
        assert os.listdir(tmp_path) == ["m.safetensors"]
        if isinstance(refused, tg.StoreError):
            state = "may not survive a crash" if in_place else "The file is as it was before."
            assert state in str(refused)
            assert str(path) in str(refused)
    assert {"open", "write", "fsync", "replace"} <= set(failing.calls)
    assert failing.calls.count("write") > 5
    assert failing.calls.count("fsync") == 2  # the file, and then its name
    last_write = len(failing.calls) - 1 - failing.calls[::-1].index("write")
    assert last_write < failing.calls.index("fsync") < failing.calls.index("replace")
    np.testing.assert_array_equal(tg.load(path).W[0], new.W[0])


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_training_in_which_any_single_call_fails_goes_on_to_the_same_bytes(
    tmp_path, monkeypatch, error
):
    """For every k, from the first call of the first checkpoint to the last call of the last one."""
    X, path = np.linspace(0, 1, 12).reshape(6, 2), tmp_path / "c"

    def fit(checkpoint):
        layers = [tg.nn.Dense(2, "tanh"), tg.nn.Dropout(0.3), tg.nn.Dense(1)]
        model = tg.nn.Sequential(layers, optimizer="momentum", seed=2)
        options = {"batch_size": 4, "validation_data": (X, X[:, 0]), "engine": "numpy"}
        stop = [tg.nn.EarlyStopping(patience=9)]
        model.fit(X, X[:, 0], 3, callbacks=stop, checkpoint=checkpoint, resume=True, **options)
        return Path(checkpoint).read_bytes()

    expected, failures = fit(tmp_path / "whole"), []
    for k in range(1, 1000):
        failing = Failing(k, error, part=800)
        monkeypatch.setattr(files, "os", failing)
        try:
            fit(path)
        except (tg.StoreError, KeyboardInterrupt):
            failures.append(failing.calls[k - 1])
        else:
            break
        finally:
            monkeypatch.undo()
        epochs = failing.calls[: k - 1].count("replace")  # whatever happened, these are there
        assert (tg.load(path).state.epochs if path.exists() else 0) == epochs
        assert sorted(os.listdir(tmp_path)) == ["c"] * path.exists() + ["whole"]
        assert fit(path) == expected
        path.unlink()
    assert path.read_bytes() == expected
    assert failing.calls.count("replace") == 3
    assert failures == failing.calls  # each of them has failed once
    assert failures.count("write") > 50


def test_what_a_killed_process_has_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    numbers = child.pid, os.getpid(), os.getppid()  # killed, killed long ago, alive
    *dead, alive = (tmp_path / f".m.{n}-0123abcd.tmp" for n in numbers)
    others = [tmp_path / ".m.1.tmp", tmp_path / f".other.{child.pid}-0123abcd.tmp"]
    for path in (*dead, alive, *others):
        path.touch()
    tg.save(networks()[0], tmp_path / "m")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "m", alive, *others])


def test_many_threads_may_write_one_file(tmp_path):
    networks = [tg.NeuralNetwork([3, 40, 2], seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: [tg.save(n, tmp_path / "m") for _ in range(5)], networks))
    kept = tg.load(tmp_path / "m")
    assert any(np.array_equal(kept.W[0], network.W[0]) for network in networks)
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_file_that_nobody_else_may_read_stays_so(tmp_path):
    (tmp_path / "m").touch(0o600)
    tg.save(networks()[0], tmp_path / "m")
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("path", ["missing/m", "folder", "folder\0m"])
def test_a_place_that_cannot_be_written_is_an_error_with_the_path(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(tg.StoreError, match=path.split("\0")[0]):
        tg.save(networks()[0], tmp_path / path)
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such links")
def test_a_link_stays_a_link_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "latest").symlink_to(tmp_path / "kept" / "m")
    for network in networks():
        tg.save(network, tmp_path / "latest")
        assert (tmp_path / "latest").is_symlink()
        np.testing.assert_array_equal(tg.load(tmp_path / "kept" / "m").W[0], network.W[0])
    assert os.listdir(tmp_path / "kept") == ["m"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with names")
def test_what_is_no_file_is_not_replaced_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(tg.StoreError, match="got a device or a pipe; expected a file that can be"):
        tg.save(networks()[0], tmp_path / "pipe")
    with pytest.raises(tg.StoreError, match="got a device or a pipe; expected a file to read"):
        tg.load(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]
