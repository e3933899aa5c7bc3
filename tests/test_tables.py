"""A model of a table is a model: one format, one reader, and columns that are known by name."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import require

import tinygrad_bp as tg
from tinygrad_bp.__main__ import main
from tinygrad_bp.store.container import load_arrays, save_arrays
from tinygrad_bp.tables.model import TableModel

SIZES = np.random.default_rng(0).uniform(0, 10, 60).round(2)
ROWS = [f"{s},{'red' if s % 2 > 1 else 'blue'},{s > 5},{3 * s:.2f}" for s in SIZES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table, and with a model that tells classes and one that tells numbers."""
    place = tmp_path_factory.mktemp("tables")
    (place / "things.csv").write_text("\n".join(["size,colour,large,price", *ROWS, ""]))
    for target, epochs in (("large", "40"), ("price", "40")):
        command = ["train", f"{place}/things.csv", "--target", target, "--epochs", epochs]
        command += ["--out", f"{place}/{target}", "--layers", "8", "--missing", "fill"]
        assert main(command) == 0
    return place


def test_what_the_command_line_trains_is_loaded_as_a_model(folder, capsys):
    model = tg.load(folder / "large")
    assert isinstance(model, TableModel)
    assert isinstance(model.network, tg.nn.Sequential)
    assert [column.name for column in model.columns] == ["size", "colour", "price"]
    assert model.columns[1].categories == ("blue", "red")
    assert (model.target.name, model.target.categories) == ("large", ("False", "True"))
    assert repr(model).startswith("TableModel(size, colour, price -> large, Sequential(")
    for name in ("large", "price"):
        assert main(["predict", str(folder / name), str(folder / "things.csv")]) == 0
        header, *answers = capsys.readouterr().out.split()
        found = tg.load(folder / name).predict(folder / "things.csv")
        assert (header, len(answers)) == (name, 60)
        same = [a == (str(b) if name == "large" else f"{b:.10g}")
                for a, b in zip(answers, found, strict=True)]  # fmt: skip
        assert all(same)


def test_columns_in_memory_are_answered_like_those_in_a_file(folder):
    pandas = require("pandas", "test")
    model, path = tg.load(folder / "large"), folder / "things.csv"
    expected = model.predict_proba(path)
    assert expected.shape == (60, 2)
    np.testing.assert_allclose(expected.sum(1), 1)
    frame = pandas.read_csv(path)
    shuffled = frame[["price", "large", "colour", "size"]].astype({"colour": "category"})
    columns = {name: list(frame[name]) for name in frame}
    for data in (frame, shuffled, columns, {k: np.array(v) for k, v in columns.items()}):
        np.testing.assert_array_equal(model.predict_proba(data), expected)
    labels = np.array(["False", "True"])[expected.argmax(1)]
    np.testing.assert_array_equal(model.predict(frame), labels)


def test_the_network_of_a_table_answers_for_encoded_rows(folder):
    model = tg.load(folder / "price")
    rows = model.encode({"size": [1.0], "colour": ["red"], "large": [False]})
    assert rows.shape == (1, 5)
    found = model.targets.undo(model.network.predict(rows))
    np.testing.assert_array_equal(
        found[:, 0], model.predict({"size": [1], "colour": ["red"], "large": ["False"]})
    )
    filled = model.predict({"size": [np.nan, SIZES.mean()], "colour": ["red"] * 2,
                            "large": [True] * 2})  # fmt: skip
    np.testing.assert_allclose(filled[0], filled[1])


def test_a_model_of_a_table_is_saved_as_it_was_loaded_byte_for_byte_and_by_any_process(folder):
    tg.save(tg.load(folder / "large"), folder / "again")
    program = "import sys, tinygrad_bp as tg; tg.save(tg.load(sys.argv[1]), sys.argv[2])"
    paths = [str(folder / "large"), str(folder / "other")]
    root = Path(tg.__file__).parent.parent
    subprocess.run([sys.executable, "-c", program, *paths], check=True, cwd=root)
    assert len({(folder / name).read_bytes() for name in ("large", "again", "other")}) == 1


BAD = [
    ({"size": [1], "colour": ["green"], "price": [1]},
     "data: got 'green' in row 0, column 'colour'; expected one of blue, red"),
    ({"size": [1], "price": [1]}, "data: got no column 'colour'; expected one of size, price"),
    ({"size": [1], "colour": ["red"], "price": ["x"]}, "got 'x' in row 0, column 'price'"),
    ({"size": [1, 2], "colour": ["red", None], "price": [1, 1]}, "got nothing in row 1, column"),
    ({"size": [1, 2], "colour": ["red"], "price": [1]}, "data: got columns of "),
    ({"size": [], "colour": [], "price": []}, "data: got columns of "),
    ({}, "data: got columns of "),
    ([[1, 2, 3]], "data: got list .*; expected a table: {name: values}, a frame, or the path"),
    (3, "data: got int 3; expected a table"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "text"), BAD, ids=[str(data) for data, _ in BAD])
def test_data_that_make_no_sense_are_refused_in_words(folder, data, text):
    with pytest.raises(tg.InputError, match=text):
        tg.load(folder / "large").predict(data)


def test_numbers_have_no_probabilities(folder):
    with pytest.raises(tg.InputError, match="predict_proba: got price, a column of numbers"):
        tg.load(folder / "price").predict_proba({"size": [1]})


def mutated(description):
    """Yield descriptions in which one thing is another, is missing, or is too much."""
    for junk in (None, 0, -1, 10**30, 0.5, True, "x", [], {}, [[]], {"kind": "Table"}):
        for place, key in list(places(description)):
            copy = json.loads(json.dumps(description))
            find(copy, place)[key] = junk
            yield copy
    for place, key in list(places(description)):
        copy = json.loads(json.dumps(description))
        del find(copy, place)[key]
        yield copy
    yield description | {"more": 1}


def places(tree, path=()):
    for key in tree if isinstance(tree, dict) else range(len(tree)):
        yield path, key
        if isinstance(tree[key], dict | list):
            yield from places(tree[key], (*path, key))


def find(tree, path):
    for key in path:
        tree = tree[key]
    return tree


def test_a_description_that_was_changed_is_refused_or_is_another_model(folder):
    arrays, description = load_arrays(folder / "large")
    refusals = []
    for changed in mutated(description):
        save_arrays(folder / "bad", arrays, changed)
        try:
            model = tg.load(folder / "bad")
        except tg.StoreError as error:
            refusals.append(str(error))
        else:
            tg.save(model, folder / "same")
            assert (folder / "same").read_bytes() == (folder / "bad").read_bytes()
    assert len(refusals) > 400
    assert all(f"{folder / 'bad'}: got " in text and "; expected " in text for text in refusals)


@pytest.mark.parametrize("name", ["inputs.scale", "inputs.mean", "targets.scale"])
def test_arrays_that_cannot_scale_are_refused(folder, name):
    arrays, description = load_arrays(folder / "large")
    array = arrays[name]
    wrong = [array[:-1], array.astype(np.float32), array * np.nan]
    for given in [*wrong, 0 * array, -array] if name.endswith("scale") else wrong:
        save_arrays(folder / "bad", arrays | {name: given}, description)
        with pytest.raises(tg.StoreError, match=name.partition(".")[0]):
            tg.load(folder / "bad")
    save_arrays(folder / "bad", arrays | {"inputs.more": array}, description)
    with pytest.raises(tg.StoreError, match="an array 'inputs.more' too many"):
        tg.load(folder / "bad")
    save_arrays(folder / "bad", {k: a for k, a in arrays.items() if k != name}, description)
    with pytest.raises(tg.StoreError, match=f"no '{name}'"):
        tg.load(folder / "bad")
