"""What training cannot use is refused before anything has changed, with what, why and a remedy."""

import numpy as np
import pytest

import tinygrad_bp as tg
from tinygrad_bp import nn

X, Y, CLASSES = np.ones((4, 3)), np.ones((4, 1)), np.array([0, 1, 1, 0])


def fit(X=X, y=Y, loss="mean_squared", units=1, layers=None, **options):
    model = nn.Sequential(layers or [nn.Dense(units)], loss=loss, seed=0)
    try:
        model.fit(X, y, **({"epochs": 1} | options))
    except tg.TinygradError:
        assert model.state.parameters == {}  # not even built
        raise


def classify(y=CLASSES, **options):
    fit(y=y, loss="categorical_cross_entropy", units=2, **options)


REFUSED = [
    (lambda: nn.Sequential([]), "argument layers: got list []; expected a list of at least one"),
    (lambda: nn.Sequential([nn.Dense]), "layers[0]: got type <class 'tinygrad_bp.nn.layers.Dense'"),
    (lambda: nn.Sequential([3]), "layers[0]: got int 3; expected a layer. See tg.nn.Layer."),
    (lambda: nn.Sequential([nn.Dense(1)], loss="mse"), "loss: got str 'mse'; expected one of mean"),
    (lambda: nn.Sequential([nn.Dense(1)], optimizer="x"), "optimizer: got str 'x'; expected one o"),
    (lambda: nn.Sequential([nn.Dense(1)], seed=-1), "seed: got int -1; expected a whole number"),
    (lambda: nn.Dense(0), "Dense, argument units: got int 0; expected a whole number of at least"),
    (lambda: nn.Dense(2**60), "units: got int 1152921504606846976; expected fewer than 2**48"),
    (lambda: nn.Dense(1, "rely"), "argument activation: got str 'rely'; expected one of linear, r"),
    (lambda: nn.Dense(1, bias=1), "argument bias: got int 1; expected True or False"),
    (lambda: nn.Dropout(1.0), "argument rate: got float 1.0; expected a number of at least 0 and"),
    (lambda: nn.Adam(-1), "Adam, argument rate: got int -1; expected a positive, finite number"),
    (lambda: nn.Adam(nn.Cosine), "Adam, argument rate: got Cosine; expected a number or a schedul"),
    (lambda: nn.Adam(beta1=1.0), "argument beta1: got float 1.0"),
    (lambda: nn.SGD(clip_norm=0), "argument clip_norm: got int 0; expected a positive"),
    (lambda: fit(X=X[0]), "X: got shape (3,); expected (samples, inputs), at least one of each"),
    (lambda: fit(X=X[:0], y=Y[:0]), "X: got shape (0, 3)"),
    (lambda: fit(X=X * np.nan), "X: got 12 NaN and 0 infinite values, the first at index (0, 0)"),
    (lambda: fit(X=[["a"]]), "X: got list [['a']]; expected real numbers"),
    (lambda: fit(y=Y[:3]), "y: got shape (3, 1), and 4 rows of inputs; expected one target for ev"),
    (lambda: fit(y=np.ones((4, 2))), "y: got shape (4, 2); expected (samples, 1), one number for"),
    (lambda: fit(y=1.0), "y: got shape ()"),
    (lambda: fit(y=Y * np.inf), "y: got 0 NaN and 4 infinite values"),
    (lambda: fit(X=np.ones((4, 2, 2))), "samples of shape (2, 2); expected flat samples. Put Flat"),
    (lambda: fit(layers=[nn.Conv2D(1)]), "expected images (channels, height, width)"),
    (lambda: fit(layers=[nn.Activation("relu")], y=X), "got no parameters; expected something to"),
    (lambda: fit(X=np.ones((4, 1, 2, 2)), layers=[nn.Conv2D(1)]), "expected images that a window"),
    (lambda: classify(y=CLASSES + 1), "y: got 2; expected class numbers from 0 to 1. Number the c"),
    (lambda: classify(y=CLASSES / 2), "y: got 0.5; expected class numbers from 0 to 1"),
    (lambda: classify(y=np.ones((4, 2))), "y: got rows that do not add up to 1"),
    (lambda: classify(y=["a", "b", "a", "b"]), "y: got list ['a', 'b', 'a', 'b']; expected real n"),
    (lambda: fit(y=Y * 2, loss="binary_cross_entropy"), "y: got numbers from 2 to 2; expected num"),
    (lambda: fit(epochs=-1), "epochs: got int -1; expected a whole number of at least 0"),
    (lambda: fit(batch_size=0), "batch_size: got int 0; expected a whole number of at least 1"),
    (lambda: fit(shuffle="no"), "shuffle: got str 'no'; expected True or False"),
    (lambda: fit(engine="gpu"), "engine: got str 'gpu'; expected one of auto, native, numpy, eage"),
    (lambda: fit(resume=True), "checkpoint: got None, and resume=True; expected the file to go on"),
    (lambda: fit(sample_weight=[1, 2]), "sample_weight: got shape (2,); expected shape (4,)"),
    (lambda: fit(sample_weight=[0] * 4), "sample_weight: got only weights that are zero; expected"),
    (lambda: fit(sample_weight=[1, 1, 1, -1]), "sample_weight: got the weight -1; expected weight"),
    (lambda: fit(class_weight={0: 1}, y=Y * 0.5), "class_weight: got dict {0: 1}; expected None,"),
    (lambda: classify(class_weight={2: 1}), "class_weight: got int 2; expected classes from 0 to"),
    (lambda: classify(class_weight={0: -1}), "class_weight[0]: got -1; expected a weight of at le"),
    (lambda: classify(class_weight=[1, 1]), 'class_weight: got list [1, 1]; expected "balanced",'),
    (lambda: fit(validation_data=X), "validation_data: got float64 of shape (4, 3); expected (X,"),
    (lambda: fit(validation_data=(X[:, :2], Y)), "validation_data, X: got samples of shape (2,)"),
    (lambda: fit(validation_data=(X, Y[:2])), "validation_data, y: got shape (2, 1)"),
    (lambda: fit(callbacks=print), "callbacks: got builtin_function_or_method <built-in function"),
    (lambda: fit(callbacks=[nn.EarlyStopping]), "callbacks[0]: got type <class 'tinygrad_bp.nn.ca"),
    (lambda: nn.Sequential([nn.Dense(1)]).build(3), "shape: got int 3; expected the shape of a"),
    (lambda: nn.Sequential([nn.Dense(1)]).build((0,)), "shape[0]: got int 0; expected a whole"),
    (lambda: nn.Sequential([nn.Dense(1)]).build((1,), int), "expected float32 or float64"),
    (lambda: fit(layers=[nn.Dense(1, initializer=lambda g, shape, n, m: 1.0)]), "shape (3, 1)"),
    (lambda: fit(checkpoint=3), "checkpoint: got int 3; expected the path of a file"),
    (lambda: nn.EarlyStopping(patience=0), "patience: got int 0"),
    (lambda: nn.LearningRate(0.1), "LearningRate: got float 0.1; expected a function"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), REFUSED, ids=[text[:50] for _, text in REFUSED])
def test_it_is_refused_in_words(call, text):
    with pytest.raises((tg.InputError, tg.ShapeError)) as caught:
        call()
    assert text in str(caught.value)


def test_early_stopping_needs_what_it_watches():
    with pytest.raises(tg.InputError, match="got str 'val_loss'; expected one of loss, rate. Pass"):
        nn.Sequential([nn.Dense(1)]).fit(X, Y, callbacks=[nn.EarlyStopping()])
    model = nn.Sequential([nn.Dense(1)], seed=0).build((3,))
    before = model.parameters
    stopping, text = nn.EarlyStopping("val_accuracy"), "got str 'val_accuracy'; expected one of lo"
    with pytest.raises(tg.InputError, match=text):
        model.fit(X, Y, validation_data=(X, Y), callbacks=[stopping])
    assert all(np.array_equal(p, before[name]) for name, p in model.parameters.items())


def test_a_network_without_parameters_says_how_it_gets_some():
    model = nn.Sequential([nn.Dense(1)])
    for call in (lambda: model.predict(X), lambda: model.evaluate(X, Y), lambda: model(X)):
        with pytest.raises(tg.GraphError, match=r"Call fit\(X, y\) or build\(shape\) first"):
            call()


def test_a_trained_network_asks_for_the_samples_that_it_knows():
    model = nn.Sequential([nn.Dense(1)], seed=0)
    model.fit(X, Y, epochs=1)
    text = r"X: got shape \(4, 2\); expected \(samples, 3\), as in fit"
    for call in (model.predict, lambda x: model.fit(x, Y), lambda x: model.evaluate(x, Y)):
        with pytest.raises(tg.ShapeError, match=text):
            call(X[:, :2])


def test_parameters_of_other_names_or_shapes_are_refused():
    model = nn.Sequential([nn.Dense(1)], seed=0).build((3,))
    before = model.parameters
    with pytest.raises(tg.InputError, match="expected .'layers.0.bias', 'layers.0.weight'."):
        model.parameters = {}
    with pytest.raises(tg.ShapeError, match=r"layers.0.weight'\]: got shape \(1, 3\); expected"):
        model.parameters = before | {"layers.0.weight": np.ones((1, 3))}
    for name, p in model.parameters.items():
        np.testing.assert_array_equal(p, before[name])


def test_the_history_names_what_it_has():
    history = nn.Sequential([nn.Dense(1)], seed=0).fit(X, Y, epochs=1)
    with pytest.raises(KeyError, match="expected one of loss, rate. Pass validation_data"):
        history["val_loss"]
    assert repr(history).startswith("History(1 epochs, loss=")
