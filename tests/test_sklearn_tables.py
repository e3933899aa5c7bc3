"""Frames of pandas and sparse matrices: a documented result, or an error that names the column."""

import numpy as np
import pytest
from conftest import require

import tinygrad_bp as tg

require("sklearn", "sklearn")
pandas = require("pandas", "test")

from scipy import sparse  # noqa: E402
from sklearn.compose import make_column_transformer  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder  # noqa: E402

from tinygrad_bp.sklearn import NeuralNetworkClassifier, NeuralNetworkRegressor  # noqa: E402

FAST = {"hidden": (8,), "epochs": 2, "random_state": 0}
ROWS = 1000
GENERATOR = np.random.default_rng(0)
SIZE, COLOUR = GENERATOR.normal(size=ROWS), GENERATOR.choice(["red", "blue"], ROWS)
KIND = np.where((SIZE > 0) ^ (COLOUR == "red"), "yes", "no")
TURNS = [0, 1] * (ROWS // 2)


def frame(column):
    return pandas.DataFrame({"size": SIZE}).assign(extra=column)


def series(values, dtype=None):
    return pandas.Series(values, dtype=dtype)


# ---------------------------------------------------------------------------------- columns

NUMBERS = {
    "bool": series(TURNS, bool),
    "boolean": series(TURNS, "boolean"),
    "int8": series(TURNS, "int8"),
    "Int64": series(TURNS, "Int64"),
    "Float64": series(TURNS, "Float64"),
    "object": series(TURNS, object),
    "texts of numbers": series([str(n) for n in TURNS], object),
    "categories of numbers": series(TURNS, "category"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_column_of_numbers_of_any_type_counts_as_these_numbers(name):
    data = frame(NUMBERS[name])
    model = NeuralNetworkClassifier(**FAST).fit(data, KIND)
    assert model.feature_names_in_.tolist() == ["size", "extra"]
    plain = NeuralNetworkClassifier(**FAST).fit(np.column_stack([SIZE, TURNS]), KIND)
    found = model.predict_proba(data)
    np.testing.assert_array_equal(found, plain.predict_proba(np.column_stack([SIZE, TURNS])))


HALF = [1, None] * (ROWS // 2)
ENCODE = r"make_column_transformer\(\(OneHotEncoder\(\), \['extra'\]\), remainder='passthrough'\)"
TEXT = r"got str '(red|blue)'; expected numbers. Encode it first, such as with " + ENCODE
MISSING = "got 500 of 1000 values missing; expected no missing values. Fill or drop them"
DATES = "got datetime64.* of shape .1000,.; expected numbers. Subtract a date"
REFUSED = {
    "category": (series(COLOUR, "category"), TEXT),
    "object": (series(COLOUR, object), TEXT),
    "string": (series(COLOUR, "string"), TEXT),
    "mixed": (series([1, "red"] * 500, object), TEXT),
    "mixed categories": (series([1, "red"] * 500, "category"), TEXT),
    "boolean, missing": (series([True, None] * 500, "boolean"), MISSING),
    "Int64, missing": (series(HALF, "Int64"), MISSING),
    "Float64, missing": (series(HALF, "Float64"), MISSING),
    "float, missing": (series(HALF, float), MISSING),
    "object, missing": (series(HALF, object), MISSING),
    "category, missing": (series(["red", None] * 500, "category"), MISSING),
    "datetime": (series(pandas.date_range("2020", periods=ROWS)), DATES),
    "datetime with a zone": (series(pandas.date_range("2020", periods=ROWS, tz="UTC")), DATES),
    "timedelta": (series(pandas.to_timedelta(np.arange(ROWS), unit="s")), "Subtract a date"),
    "period": (series(pandas.period_range("2020", periods=ROWS)), "got Period .*expected numbers"),
    "interval": (series(pandas.cut(SIZE, 3)), "got Interval .*expected numbers"),
    "complex": (series(SIZE + 1j), "got complex .*expected numbers"),
}


@pytest.mark.parametrize("estimator", [NeuralNetworkClassifier, NeuralNetworkRegressor])
@pytest.mark.parametrize("name", REFUSED)
def test_any_other_column_is_refused_by_its_name_at_fit_and_at_predict(name, estimator):
    column, text = REFUSED[name]
    target = KIND if estimator is NeuralNetworkClassifier else SIZE
    with pytest.raises(tg.InputError, match=f"^X, column 'extra': .*{text}"):
        estimator(**FAST).fit(frame(column), target)
    model = estimator(**FAST).fit(frame(TURNS), target)
    with pytest.raises(tg.InputError, match=f"^X, column 'extra': .*{text}"):
        model.predict(frame(column))


def test_dates_are_refused_where_numpy_takes_them_for_nanoseconds():
    days = np.arange(ROWS).astype("datetime64[D]")
    with pytest.raises(tg.InputError, match="^X: got datetime64.*Subtract a date"):
        NeuralNetworkClassifier(**FAST).fit(days[:, None], KIND)
    with pytest.raises(tg.InputError, match="^y: got datetime64.*Subtract a date"):
        NeuralNetworkRegressor(**FAST).fit(frame(TURNS), series(days))


def test_columns_in_another_order_missing_or_new_are_refused():
    data = frame(TURNS)
    model = NeuralNetworkClassifier(**FAST).fit(data, KIND)
    for other, text in (
        (data[["extra", "size"]], "must be in the same order"),
        (data[["size"]], "yet now missing:\n- extra"),
        (data.assign(more=1), "unseen at fit time:\n- more"),
    ):
        with pytest.raises(ValueError, match=text):
            model.predict(other)


@pytest.mark.parametrize("dense", [False, True])
def test_categories_are_learned_in_a_pipeline_in_any_order_of_columns_new_ones_too(dense):
    data = pandas.DataFrame({"size": SIZE, "colour": series(COLOUR, "category"), "turn": TURNS})
    encode = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer(
        (encode, ["colour", "turn"]), remainder="passthrough", sparse_threshold=0 if dense else 1
    )
    model = make_pipeline(columns, NeuralNetworkClassifier(hidden=(8,), random_state=0))
    model.fit(data[:800], KIND[:800])
    assert model.score(data[800:], KIND[800:]) > 0.95
    assert sparse.issparse(columns.transform(data)) != dense
    shuffled = data[["turn", "colour", "size"]]
    np.testing.assert_array_equal(model.predict_proba(shuffled), model.predict_proba(data))
    assert set(model.predict(data.assign(colour="green"))) <= {"yes", "no"}


# ---------------------------------------------------------------------------------- labels

LABELS = {
    "series": series(KIND),
    "category": series(KIND, "category"),
    "string": series(KIND, "string"),
    "Categorical": pandas.Categorical(KIND),
    "another index": pandas.Series(KIND, index=GENERATOR.permutation(ROWS)),
    "list": list(KIND),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_any_type_are_told_as_they_are(name):
    data = frame(TURNS)
    plain = NeuralNetworkClassifier(**FAST).fit(data, KIND)
    model = NeuralNetworkClassifier(**FAST).fit(data, LABELS[name])
    assert list(model.classes_) == ["no", "yes"]
    np.testing.assert_array_equal(model.predict(data), plain.predict(data))


@pytest.mark.parametrize("dtype", [bool, "boolean", "Int64", "category"])
def test_labels_of_zeros_and_ones_are_zeros_and_ones(dtype):
    model = NeuralNetworkClassifier(**FAST).fit(frame(SIZE), series(TURNS, dtype))
    assert list(model.classes_) == [0, 1]


NO_LABELS = {
    "missing": (["yes", None] * 500, None),
    "category": (["yes", None] * 500, "category"),
    "string": (["yes", None] * 500, "string"),
    "Int64": (HALF, "Int64"),
}


@pytest.mark.parametrize("name", NO_LABELS)
def test_labels_that_are_missing_are_counted(name):
    text = "^y: got 500 of 1000 labels missing; expected a label for every row. Drop those rows"
    with pytest.raises(tg.InputError, match=text):
        NeuralNetworkClassifier(**FAST).fit(frame(TURNS), series(*NO_LABELS[name]))


def test_labels_of_several_types_and_labels_for_numbers_are_refused_in_words():
    with pytest.raises(tg.InputError, match="^y: got labels of the types int, str; expected lab"):
        NeuralNetworkClassifier(**FAST).fit(frame(TURNS), series([1, "one"] * 500))
    with pytest.raises(tg.InputError, match="^y: got str 'yes'.*are for NeuralNetworkClassifier"):
        NeuralNetworkRegressor(**FAST).fit(frame(TURNS), series(["yes", "no"] * 500))
    with pytest.raises(tg.InputError, match="^y: got 500 of 1000 values missing.*Drop those rows"):
        NeuralNetworkRegressor(**FAST).fit(frame(TURNS), series(HALF, "Float64"))


# ---------------------------------------------------------------------------------- sparse rows

FEW = sparse.random(200, 12, 0.3, "csr", random_state=0)
MANY = np.asarray(FEW.sum(1)).ravel()
FORMATS = ("csr", "csc", "coo", "lil", "dok", "bsr")


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, *FORMATS], ids=str)
def test_sparse_rows_are_learned_like_dense_ones_to_the_last_bit(kind):
    rows = FEW.asformat(kind) if isinstance(kind, str) else kind(FEW)
    y, before = MANY > 1.5, FEW.toarray()
    dense = NeuralNetworkClassifier(**FAST).fit(before, y).predict_proba(before)
    model = NeuralNetworkClassifier(**FAST).fit(rows, y)
    np.testing.assert_array_equal(model.predict_proba(rows), dense)
    np.testing.assert_array_equal(model.predict_proba(before), dense)
    np.testing.assert_array_equal(rows.toarray(), before)
    number = NeuralNetworkRegressor(**FAST).fit(rows, MANY).predict(rows)
    np.testing.assert_array_equal(
        number, NeuralNetworkRegressor(**FAST).fit(before, MANY).predict(before)
    )


def test_sparse_rows_come_in_parts_in_float32_and_with_sparse_labels():
    model = NeuralNetworkClassifier(**FAST)
    single = FEW.astype(np.float32)
    for _ in range(3):
        model.partial_fit(single[:100], MANY[:100] > 1.5, classes=[False, True])
    assert model.predict_proba(single).dtype == np.float32
    labels = np.column_stack([MANY > 1.5, MANY < 1]).astype(int)
    found = [NeuralNetworkClassifier(**FAST).fit(FEW, kind(labels)).predict_proba(FEW)
             for kind in (sparse.csr_array, np.asarray)]  # fmt: skip
    np.testing.assert_array_equal(*found)
    with pytest.raises(ValueError, match="contains NaN"):
        NeuralNetworkClassifier(**FAST).fit(FEW * np.nan, MANY > 1.5)
