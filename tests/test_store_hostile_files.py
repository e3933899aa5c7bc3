"""Whatever is in a file, it is a model that was saved, or one kind of error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import hostile_files
import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp.store.container import load_arrays, save_arrays

PROGRAM = Path(__file__).parent / "hostile_files.py"


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot limit the memory of a process")
def test_no_file_out_of_ten_thousand_is_read_wrong_or_kills_a_process_with_little_memory(tmp_path):
    environment = os.environ | {
        "PYTHONPATH": str(PROGRAM.parent.parent),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",  # a thread reserves memory, of which there is little
    }
    command = [sys.executable, PROGRAM, tmp_path, "1200"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert sum(found["counts"].values()) >= 10_000
    assert {kind: found["accepted"][kind] for kind in ("truncated", "bomb", "flipped")} == {
        "truncated": 0,
        "bomb": 0,
        "flipped": 0,
    }
    assert 0 < found["accepted"]["grown"] < found["counts"]["grown"] / 5  # other numbers, sealed


@pytest.fixture
def good(tmp_path):
    tg.save(tg.NeuralNetwork([2, 1], seed=0), tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_an_error_names_the_file_the_byte_and_the_reason(good):
    content = good.read_bytes()
    good.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(tg.StoreError) as caught:
        tg.load(good)
    assert str(caught.value) == (
        f"{good}, byte 43: got content that has changed; expected the content that was written, "
        "by its SHA-256. The file is damaged or was not written by tinygrad_bp; take another copy."
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c[:5], "byte 0: got 5 bytes; expected at least 8"),
        (lambda c: b"\xff" * 8 + c[8:], "got a header of 18446744073709551615 bytes; expected at"),
        (lambda c: c + b"\0", "got content that has changed"),
        (lambda c: c[:8] + b"[" + c[9:], "byte 8: got a header without one"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(good, change, text):
    good.write_bytes(change(good.read_bytes()))
    with pytest.raises(tg.StoreError, match=text):
        tg.load(good)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda a: {"W.0": a["W.0"].T}, "array W.0: got float64 of shape .1, 3.; expected float64"),
        (lambda a: {"W.0": a["W.0"].astype(np.float32)}, "array W.0: got float32 of shape .3, 1."),
        (lambda a: {"V.0": a["W.0"]}, "arrays: got an array 'V.0' too many; expected those of"),
        (lambda a: {}, "arrays: got none with the name 'W.0'|layers: got list"),
        (lambda a: a | {"W.1": a["W.0"]}, "arrays: got an array 'W.1' too many"),
        (lambda a: {"W.0": a["W.0"] * np.nan}, "W.0.: got 3 NaN"),
    ],
)
def test_arrays_must_be_those_that_the_description_asks_for(good, change, text):
    arrays, description = load_arrays(good)
    save_arrays(good, change(arrays), description)
    with pytest.raises(tg.StoreError, match=text):
        tg.load(good)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda h, d: (h[:-1] + b',"W.0":{}}', d), "a key that is there twice"),
        (lambda h, d: (h.replace(b",", b", ", 3), d), "got another order or spelling"),
        (lambda h, d: (h, d + b"\0"), "got 25 bytes of data; expected 24, all arrays together"),
        (lambda h, d: (h, d[:-8]), "got 16 bytes of data; expected 24"),
        (lambda h, d: (h.replace(b"[0,24]", b"[8,32]"), d + d), "got bytes 8 to 32 for 'W.0'"),
        (lambda h, d: (h.replace(b"[3,1]", b"[3,2]"), d), "expected 48 bytes from 0 on"),
        (lambda h, d: (h.replace(b'"F64"', b'"F16"'), d), "expected dtype F64, F32 or I64"),
        (
            lambda h, d: (h.replace(b'"format_version":"1"', b'"format_version":"2"'), d),
            "or a newer one",
        ),
    ],
)
def test_a_sealed_file_is_refused_with_the_reason(good, change, text):
    tree, data = hostile_files.split(good.read_bytes())
    good.write_bytes(hostile_files.seal(*change(hostile_files.dump(tree), data)))
    with pytest.raises(tg.StoreError, match=text):
        tg.load(good)


@pytest.mark.parametrize("name", ["layers.0.weight", "optimizer.layers.0.weight.mean"])
def test_the_arrays_of_layers_and_of_the_optimizer_have_the_shape_of_the_layers(tmp_path, name):
    model = tg.nn.Sequential([tg.nn.Dense(2)], seed=0).build((3,))
    tg.save(model, tmp_path / "m")
    arrays, description = load_arrays(tmp_path / "m")
    for wrong in (arrays[name].T, arrays[name][:, :1], arrays[name].astype(np.int64)):
        save_arrays(tmp_path / "m", arrays | {name: wrong}, description)
        with pytest.raises(tg.StoreError, match="shape|float64"):
            tg.load(tmp_path / "m")


def test_files_of_others_are_refused_and_not_misread(tmp_path, require):
    safetensors = require("safetensors.numpy")
    safetensors.save_file({"w": np.ones(3)}, tmp_path / "other")
    with pytest.raises(tg.StoreError, match="expected a header that begins with the digest"):
        tg.load(tmp_path / "other")


@pytest.mark.parametrize("path", ["missing", ".", "a\0b"])
def test_a_path_that_is_no_file_is_the_same_error(tmp_path, path):
    with pytest.raises(tg.StoreError):
        tg.load(os.path.join(tmp_path, path))
    with pytest.raises(tg.InputError, match="argument path: got int 3; expected the path"):
        tg.load(3)
