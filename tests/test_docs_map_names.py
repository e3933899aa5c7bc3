"""The page for those who come from elsewhere leaves no name out, and invents none."""

import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import require

import tinygrad_bp as tg

require("sklearn", "sklearn")

from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402

from tinygrad_bp.sklearn import NeuralNetworkClassifier, NeuralNetworkRegressor  # noqa: E402

PAGE = Path(__file__).parent.parent / "docs/from_mlpclassifier_or_pytorch.md"
TABLES = re.findall(r"^\| [^\n]*\n\| --- [^\n]*\n((?:\|[^\n]*\n)+)", PAGE.read_text(), re.MULTILINE)


def cells(table, column):
    """Return all code in a column of a table."""
    rows = [row.strip("|\n").split(" | ")[column] for row in table.splitlines()]
    return re.findall(r"`([^`]+)`", " ".join(rows))


def words(codes):
    return set(re.findall(r"\w+", " ".join(codes)))


def public_names(estimator):
    """Name everything that a fitted estimator shows."""
    import pandas

    X = pandas.DataFrame(np.linspace(0, 1, 40).reshape(20, 2), columns=["a", "b"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = estimator.fit(X, [0, 1] * 10)
    return {name for name in dir(fitted) if not name.startswith("_")}


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_every_name_of_scikit_learn_has_its_counterpart(kind):
    there = public_names(kind(early_stopping=True, max_iter=2))
    assert there - words(cells(TABLES[0], 0)) == set()


@pytest.mark.parametrize("kind", [NeuralNetworkClassifier, NeuralNetworkRegressor])
def test_every_name_of_ours_is_on_the_page(kind):
    names = public_names(kind((2,), epochs=1))
    known = words(cells(TABLES[0], 1)) | words(cells(TABLES[0], 0))
    assert names - known == set()


IDIOMS = """Module DataLoader TensorDataset backward step zero_grad no_grad detach state_dict
load_state_dict to cuda CrossEntropyLoss BCEWithLogitsLoss MSELoss StepLR ExponentialLR
CosineAnnealingLR ReduceLROnPlateau LambdaLR clip_grad_norm_ train eval save load manual_seed Linear
Conv2d MaxPool2d Dropout LayerNorm Flatten SGD AdamW RMSprop compile gradcheck"""


def test_the_idioms_of_pytorch_have_their_counterparts():
    assert set(IDIOMS.split()) - words(cells(TABLES[1], 0)) == set()


@pytest.mark.parametrize("table", [0, 1])
def test_every_name_on_our_side_exists(table):
    found = re.findall(r"\b(tg|nn)\.(\w+)(?:\(([^()]*)\))?", " ".join(cells(TABLES[table], 1)))
    assert len(found) > 3
    for room, name, arguments in found:
        thing = getattr(tg if room == "tg" else tg.nn, name)
        for argument in re.findall(r"(\w+)=", arguments):
            assert argument in inspect.signature(thing).parameters, (name, argument)
