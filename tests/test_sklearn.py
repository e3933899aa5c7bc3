"""The estimators keep scikit-learn's manners, all of them, and learn."""

import io
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from conftest import require

import tinygrad_bp as tg
from tinygrad_bp import nn

require("sklearn", "sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_diabetes, load_digits, make_blobs  # noqa: E402
from sklearn.model_selection import GridSearchCV, train_test_split  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from tinygrad_bp.sklearn import NeuralNetworkClassifier, NeuralNetworkRegressor  # noqa: E402

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
SAME = np.array(["same", "different", "different", "same"])
FAST = {"hidden": (8,), "epochs": 5, "random_state": 0}


@parametrize_with_checks([NeuralNetworkClassifier(), NeuralNetworkRegressor()])
def test_scikit_learn_finds_nothing_to_complain_about(estimator, check):
    check(estimator)


def test_what_is_skipped_without_array_libraries_passes_with_them():
    program = (
        "from sklearn.utils.estimator_checks import estimator_checks_generator as checks\n"
        "from tinygrad_bp.sklearn import NeuralNetworkClassifier, NeuralNetworkRegressor\n"
        "for model in (NeuralNetworkClassifier(), NeuralNetworkRegressor()):\n"
        "    found = [pair for pair in checks(model) if 'array_api' in str(pair[1])]\n"
        "    assert found\n"
        "    for estimator, check in found:\n"
        "        check(estimator)"
    )
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(120, centers=3, random_state=0)
    return X, np.array(["ada", "bob", "eve"])[y]


@pytest.fixture(scope="module")
def targets():
    X = np.random.default_rng(0).normal(size=(60, 3))
    return X, np.column_stack([X.sum(1), 1000 + 100 * X[:, 0]])


# ---------------------------------------------------------------------------------- learning


def test_xor_is_learned_for_every_seed():
    for seed in range(10):
        model = NeuralNetworkClassifier(hidden=(8,), random_state=seed).fit(XOR, SAME)
        assert (model.predict(XOR) == SAME).all()


def test_the_defaults_read_digits_and_predict_diabetes():
    X, y = load_digits(return_X_y=True)
    split = train_test_split(X, y, random_state=0)
    digits = NeuralNetworkClassifier(random_state=0).fit(split[0], split[2])
    assert digits.score(split[1], split[3]) > 0.97
    X, y = load_diabetes(return_X_y=True)
    split = train_test_split(X, y, random_state=0)
    model = NeuralNetworkRegressor(hidden=(16,), early_stopping=True, random_state=0)
    assert model.fit(split[0], split[2]).score(split[1], split[3]) > 0.3


def test_targets_of_any_size_are_learned_together(targets):
    X, Y = targets
    model = NeuralNetworkRegressor(hidden=(16,), random_state=0).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.98
    assert model.fit(X, Y[:, 0]).predict(X).shape == (60,)


def test_labels_that_do_not_exclude_each_other_each_have_a_probability(blobs):
    X, _ = blobs
    Y = np.column_stack([X[:, 0] > 0, X[:, 1] > 1, X[:, 0] > X[:, 1]]).astype(int)
    model = NeuralNetworkClassifier(hidden=(16,), random_state=0).fit(X, Y)
    assert model.score(X, Y) > 0.9
    assert model.predict_proba(X).shape == model.decision_function(X).shape == (120, 3)


@pytest.mark.parametrize("classes", [1, 2, 3, "several"])
def test_the_logarithm_of_a_probability_is_finite_where_the_probability_is_zero(blobs, classes):
    X = blobs[0]
    y = (
        np.arange(120) % classes
        if classes != "several"
        else np.stack([X[:, 0] > 0, X[:, 1] > 0], 1)
    )
    model = NeuralNetworkClassifier(**FAST).fit(X, y.astype(int))
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)))
    far = model.predict_log_proba(1e6 * X)
    assert np.isfinite(far).all()
    assert classes == 1 or far.min() < -1000  # its exp is 0


def test_images_go_through_layers_that_look_at_images():
    X, y = load_digits(n_class=3, return_X_y=True)
    hidden = (nn.Conv2D(4, 3, "relu"), nn.MaxPool2D(), nn.Flatten(), 16)
    model = NeuralNetworkClassifier(hidden, input_shape=(1, 8, 8), epochs=20, random_state=0)
    assert model.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.95


def test_an_activation_for_each_layer_dropout_and_a_loss_of_ones_own(blobs):
    X, y = blobs
    model = NeuralNetworkClassifier(
        (8, 4), activation=["tanh", "relu"], dropout=0.1, loss=_brier, optimizer=nn.Adam(0.02),
        random_state=0,
    )  # fmt: skip
    assert model.fit(X, y).score(X, y) > 0.8
    assert model.network_.layers[0] == nn.Dense(8, "tanh")
    assert model.network_.layers[1] == nn.Dropout(0.1)


def _brier(outputs, targets):
    return tg.square(tg.softmax(outputs) - targets)


# ---------------------------------------------------------------------------------- weights


def test_class_weights_and_sample_weights_multiply(blobs):
    X, y = blobs
    weight = {"ada": 2.0, "bob": 0.5, "eve": 1.0}
    by_class = NeuralNetworkClassifier(class_weight=weight, **FAST).fit(X, y, np.full(120, 3.0))
    rows = [3 * weight[label] for label in y]
    by_row = NeuralNetworkClassifier(**FAST).fit(X, y, rows)
    for name, array in by_class.network_.parameters.items():
        np.testing.assert_array_equal(array, by_row.network_.parameters[name])


def test_a_row_of_weight_zero_is_no_row_to_the_last_bit(blobs):
    X, y = blobs
    weights = np.arange(120) % 3.0
    kept = weights > 0
    whole = NeuralNetworkClassifier(**FAST).fit(X, y, weights)
    part = NeuralNetworkClassifier(**FAST).fit(X[kept], y[kept], weights[kept])
    np.testing.assert_allclose(whole.predict_proba(X), part.predict_proba(X), rtol=1e-12)


# ---------------------------------------------------------------------------------- going on


def test_partial_fit_needs_all_classes_and_refuses_others(blobs):
    X, y = blobs
    model = NeuralNetworkClassifier(**FAST)
    with pytest.raises(tg.InputError, match=r"classes: got None; expected all classes"):
        model.partial_fit(X, y)
    for _ in range(40):
        model.partial_fit(X, y, classes=["ada", "bob", "eve", "zoe"])
    assert model.score(X, y) > 0.9
    assert model.n_iter_ == 40
    assert model.predict_proba(X).shape == (120, 4)
    with pytest.raises(tg.InputError, match=r"y: got the class .*mia.*; expected one of"):
        model.partial_fit(X[:1], ["mia"])


def test_a_warm_start_goes_on_and_a_cold_one_starts_again(blobs):
    X, y = blobs
    warm = NeuralNetworkClassifier(warm_start=True, **FAST).fit(X, y)
    first = warm.loss_
    assert warm.fit(X, y).loss_ < first
    assert warm.n_iter_ == 10
    cold = NeuralNetworkClassifier(**FAST).fit(X, y)
    assert cold.fit(X, y).loss_ == first


def test_early_stopping_measures_rows_that_were_kept_apart(blobs):
    X, y = blobs
    model = NeuralNetworkClassifier(early_stopping=True, epochs=300, random_state=0).fit(X, y)
    assert model.n_iter_ < 300
    assert len(model.history_["val_loss"]) == model.n_iter_
    with pytest.raises(tg.InputError, match="partial_fit: got early_stopping=True"):
        model.partial_fit(X, y)


# ---------------------------------------------------------------------------------- company


def test_a_search_over_a_pipeline_runs_in_processes_and_with_names(blobs):
    pandas = require("pandas", "test")
    X, y = blobs
    frame = pandas.DataFrame(X, columns=["width", "height"])
    pipeline = make_pipeline(MinMaxScaler(), NeuralNetworkClassifier(**FAST))
    grid = {"neuralnetworkclassifier__learning_rate": [0.001, 0.05]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(frame, pandas.Series(y))
    assert search.best_params_ == {"neuralnetworkclassifier__learning_rate": 0.05}
    model = NeuralNetworkClassifier(**FAST).fit(frame, y)
    assert model.feature_names_in_.tolist() == ["width", "height"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"width": "depth"}))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_that_of_the_data(blobs, targets, dtype):
    model = NeuralNetworkClassifier(**FAST).fit(blobs[0].astype(dtype), blobs[1])
    assert model.predict_proba(blobs[0].astype(dtype)).dtype == dtype
    X, Y = (array.astype(dtype) for array in targets)
    assert NeuralNetworkRegressor(**FAST).fit(X, Y).predict(X).dtype == dtype


def test_copies_predict_alike(blobs):
    joblib = require("joblib", "sklearn")
    X, y = blobs
    model = NeuralNetworkClassifier(callbacks=[nn.EarlyStopping("loss")], **FAST).fit(X, y)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(file), clone(model).fit(X, y)):
        np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))


# ---------------------------------------------------------------------------------- bad parameters

BAD = [
    ({"hidden": 8}, r"hidden: got int 8; expected a tuple of numbers of units"),
    ({"hidden": (0,)}, r"hidden\[0\]: got int 0; expected a whole number of at least 1"),
    ({"activation": "rely"}, r"activation: got str 'rely'; expected one of linear, relu"),
    ({"activation": ["relu"] * 2}, r"activation: got 2 of them; expected one, or one for"),
    ({"dropout": 1.5}, r"Dropout, argument rate: got float 1.5"),
    ({"optimizer": "lbfgs"}, r"optimizer: got str 'lbfgs'; expected one of sgd, momentum"),
    ({"learning_rate": -1}, r"learning_rate: got int -1; expected a positive"),
    ({"schedule": "linear"}, r'schedule: got str \'linear\'; expected "cosine" or "constant"'),
    ({"epochs": 0}, r"epochs: got int 0; expected a whole number of at least 1"),
    ({"batch_size": None}, r"batch_size: got None; expected a whole number"),
    ({"standardize": "yes"}, r"standardize: got str 'yes'; expected True or False"),
    ({"input_shape": (1, 3)}, r"input_shape: got tuple \(1, 3\); expected a shape of 2 elements"),
    ({"early_stopping": True, "validation_fraction": 2}, r"validation_fraction: got 2"),
    ({"loss": "hinge"}, r"loss: got str 'hinge'; expected one of mean_squared"),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "text"), BAD, ids=[str(p) for p, _ in BAD])
def test_a_parameter_that_makes_no_sense_is_refused_in_words(blobs, parameters, text):
    with pytest.raises(tg.InputError, match=text):
        NeuralNetworkClassifier(**parameters).fit(*blobs)


def test_several_classes_per_row_are_sent_to_scikit_learn(blobs):
    with pytest.raises(tg.InputError, match="MultiOutputClassifier"):
        NeuralNetworkClassifier().fit(blobs[0], np.arange(240).reshape(120, 2) % 3)


def test_the_public_name_leads_here():
    assert tg.sklearn.NeuralNetworkClassifier is NeuralNetworkClassifier
