"""Pictures of training show the numbers that they are made of."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import require

import tinygrad_bp as tg
from tinygrad_bp import nn

require("matplotlib", "plot").use("Agg")

from matplotlib import pyplot  # noqa: E402

from tinygrad_bp import plot  # noqa: E402

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(90, 2))
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def trained():
    """A model, its history, and the path of its training."""
    layers = [nn.Dense(8, "tanh"), nn.Dense(3)]
    model = nn.Sequential(
        layers, loss="categorical_cross_entropy", optimizer=nn.Adam(0.05), seed=0
    ).build((2,))
    path = [model.parameters]
    history = model.fit(
        X, Y, 15, validation_data=(X, Y), callbacks=[lambda run: path.append(run.model.parameters)]
    )
    return model, history, path


def drawn(display):
    """Render what a display has drawn."""
    display.figure_.canvas.draw()
    assert display.ax_.figure is display.figure_
    return display


def test_learning_curves_are_those_of_the_history(trained):
    history = trained[1]
    display = drawn(plot.LearningCurvesDisplay.from_history(history, log=True))
    for line, name in zip(display.lines_, ("loss", "val_loss"), strict=True):
        assert list(line.get_ydata()) == history[name]
        assert list(line.get_xdata()) == list(range(1, 16))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["training", "validation", f"best, epoch {history.best('val_loss')}"]


def test_a_display_draws_on_axes_that_are_given(trained):
    axes = pyplot.figure().add_subplot()
    assert plot.LearningCurvesDisplay.from_history(trained[1], names=["rate"], ax=axes).ax_ is axes


def test_the_boundary_lies_where_the_answer_changes(trained):
    display = drawn(plot.DecisionBoundaryDisplay.from_estimator(trained[0], X, Y, resolution=40))
    grid = np.stack(np.meshgrid(display.x, display.y), -1).reshape(-1, 2)
    np.testing.assert_array_equal(
        display.probabilities.reshape(-1, 3).argmax(1), trained[0].predict(grid).argmax(1)
    )
    assert display.x[0] < X[:, 0].min()
    assert display.y[-1] > X[:, 1].max()


@pytest.mark.parametrize("labels", [np.array(["no", "yes"]), np.array([3, 7])])
def test_an_estimator_of_two_classes_has_one_boundary_and_its_labels(labels):
    sklearn = require("tinygrad_bp.sklearn", "sklearn")
    y = labels[Y // 2]
    model = sklearn.NeuralNetworkClassifier(hidden=(4,), epochs=5, random_state=0).fit(X, y)
    display = drawn(plot.DecisionBoundaryDisplay.from_estimator(model, X, y, resolution=20))
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == [str(x) for x in labels]
    np.testing.assert_array_equal(labels[display.labels], y)


def test_weights_are_shown_unit_by_unit_on_one_scale(trained):
    model = trained[0]
    weight = model.parameters["layers.0.weight"]
    display = drawn(plot.WeightsDisplay.from_model(model, shape=(1, 2)))
    np.testing.assert_array_equal(display.images.reshape(8, 2), weight.T)
    largest = np.abs(weight).max()
    assert display.axes_[0].images[0].get_clim() == (-largest, largest)
    assert drawn(plot.WeightsDisplay.from_model(model, layer=1)).images.shape == (1, 8, 3)
    few = drawn(plot.WeightsDisplay.from_model(model, shape=(2, 1), most=3))
    assert few.ax_.get_title() == "3 of 8 units"
    documented = tg.NeuralNetwork([4, 3, 1], seed=0)
    images = plot.WeightsDisplay.from_model(documented, shape=(2, 2)).images
    np.testing.assert_array_equal(images.reshape(len(images), 4), documented.W[0][:4].T)
    kernels = nn.Sequential([nn.Conv2D(5, 3)]).build((2, 6, 6))
    assert drawn(plot.WeightsDisplay.from_model(kernels)).images.shape == (10, 3, 3)


def test_the_landscape_has_the_losses_of_the_weights_at_each_point(trained):
    model, _, path = trained
    before = model.parameters
    display = drawn(plot.LossLandscapeDisplay.from_model(model, X, Y, resolution=3))
    assert display.losses[1, 1] == pytest.approx(model.evaluate(X, Y)["loss"])
    assert display.losses.shape == (3, 3)
    assert display.losses.max() > display.losses[1, 1]
    display = drawn(plot.LossLandscapeDisplay.from_model(model, X, Y, path=path, resolution=3))
    np.testing.assert_allclose(display.path[-1], 0, atol=1e-12)
    assert len(display.path) == 16
    assert all(model.parameters[name] is array for name, array in before.items())


def test_the_directions_have_the_length_of_each_unit(trained):
    from tinygrad_bp.plot.landscape import _filter_normalised

    weights = trained[0].parameters | {"kernel": GENERATOR.normal(size=(4, 2, 3, 3))}
    direction = _filter_normalised(weights, np.random.default_rng(1))
    assert not direction["layers.0.bias"].any()
    for name, axes in (("layers.0.weight", 0), ("kernel", (1, 2, 3))):
        lengths = [np.sqrt((a[name] ** 2).sum(axes)) for a in (weights, direction)]
        np.testing.assert_allclose(lengths[0], lengths[1])


def test_a_path_in_a_plane_is_found_and_keeps_its_distances():
    from tinygrad_bp.plot.landscape import _principal_plane

    plane = np.linalg.qr(GENERATOR.normal(size=(6, 2)))[0].T
    places = GENERATOR.normal(size=(5, 2))
    places[-1] = 0
    path = [{"w": (p @ plane + 1).reshape(2, 3)} for p in places]
    found, points = _principal_plane(path[-1], path)
    for point, weights in zip(points, path, strict=True):
        rebuilt = path[-1]["w"] + point[0] * found[0]["w"] + point[1] * found[1]["w"]
        np.testing.assert_allclose(rebuilt, weights["w"])


def test_the_path_of_training_runs_on_the_surface(trained):
    from tinygrad_bp.plot.landscape import _between

    model, _, path = trained
    display = drawn(
        plot.LossLandscapeDisplay.from_model(model, X, Y, path=path, resolution=9, surface=True)
    )
    line = display.ax_.get_lines()[0]
    x, y, z = line.get_data_3d()
    np.testing.assert_array_equal(np.column_stack([x, y]), display.path)
    height = np.log10(display.losses)
    assert height.min() <= z[-1] < z[0] <= height.max()
    grid = np.stack(np.meshgrid(display.x, display.y), -1).reshape(-1, 2)
    np.testing.assert_allclose(_between(display.x, display.y, height, grid), height.ravel())
    plane = 3 * grid[:, 0] - 2 * grid[:, 1] + 1
    inside = display.path
    found = _between(display.x, display.y, plane.reshape(9, 9), inside)
    np.testing.assert_allclose(found, 3 * inside[:, 0] - 2 * inside[:, 1] + 1)


def test_the_boundary_of_an_estimator_that_knows_names_is_drawn_with_them():
    pandas = require("pandas", "test")
    from tinygrad_bp.sklearn import NeuralNetworkClassifier

    frame = pandas.DataFrame(X, columns=["width", "height"])
    model = NeuralNetworkClassifier((4,), epochs=2, random_state=0).fit(frame, Y)
    display = drawn(plot.DecisionBoundaryDisplay.from_estimator(model, frame, Y, resolution=5))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("width", "height")


@pytest.mark.parametrize("kind", ["rates", "curves", "boundary", "weights", "landscape"])
def test_every_display_draws_on_axes_that_are_given_and_again_elsewhere(trained, kind):
    model, history, _ = trained
    makers = {
        "rates": lambda ax: plot.LearningRateDisplay.from_model(model, X, Y, steps=9, ax=ax),
        "curves": lambda ax: plot.LearningCurvesDisplay.from_history(history, ax=ax),
        "boundary": lambda ax: plot.DecisionBoundaryDisplay.from_estimator(
            model, X, Y, resolution=5, ax=ax
        ),
        "weights": lambda ax: plot.WeightsDisplay.from_model(model, shape=(2, 1), ax=ax),
        "landscape": lambda ax: plot.LossLandscapeDisplay.from_model(
            model, X, Y, resolution=3, ax=ax
        ),
    }
    figure, axes = pyplot.subplots(1, 2, layout="constrained")
    display = drawn(makers[kind](axes[0]))
    assert (display.ax_, display.figure_) == (axes[0], figure)
    assert display.plot(ax=axes[1]) is display
    assert drawn(display).ax_ is axes[1]
    assert drawn(display.plot()).figure_ is not figure
    assert pyplot.get_fignums() == [figure.number, display.figure_.number]


def test_a_surface_is_drawn_too(trained):
    display = plot.LossLandscapeDisplay.from_model(trained[0], X, Y, resolution=3, surface=True)
    assert drawn(display).ax_.name == "3d"


def test_the_rate_that_is_suggested_trains_and_the_model_stays_as_it_was():
    layers = [nn.Dense(8, "tanh"), nn.Dense(3)]
    model = nn.Sequential(layers, loss="categorical_cross_entropy", seed=0).build((2,))
    before = model.state
    display = drawn(plot.LearningRateDisplay.from_model(model, X, Y, steps=60))
    assert model.state is before
    assert 1e-3 < display.suggestion < 1
    assert len(display.rates) == len(display.losses) <= 60
    assert display.line_.get_xdata()[0] == display.suggestion
    sgd = nn.Sequential([nn.Dense(1)], optimizer="sgd", seed=0)
    diverged = plot.LearningRateDisplay.from_model(sgd, 1e3 * X, X[:, 0], steps=80)
    assert len(diverged.rates) < 80


def test_the_confusion_matrix_is_that_of_scikit_learn():
    metrics = require("sklearn.metrics", "sklearn")
    assert plot.ConfusionMatrixDisplay is metrics.ConfusionMatrixDisplay


REFUSED = [
    (lambda m: plot.LearningCurvesDisplay.from_history(nn.History()), "history: got no losses"),
    (lambda m: plot.DecisionBoundaryDisplay.from_estimator(m, np.ones((3, 3)), [0, 1, 2]),
     r"X: got shape \(3, 3\); expected \(rows, 2\)"),
    (lambda m: plot.WeightsDisplay.from_model(m, layer=7), "layer: got int 7; expected one of"),
    (lambda m: plot.WeightsDisplay.from_model(m, shape=(3, 3)), r"shape: got tuple \(3, 3\)"),
    (lambda m: plot.LossLandscapeDisplay.from_model(m, X, Y, path=[]), "path: got 0 points"),
    (lambda m: plot.LossLandscapeDisplay.from_model(1, X, Y), "model: got int 1; expected a tg.nn"),
    (lambda m: plot.LearningRateDisplay.from_model(m, X, Y, low=1, high=0.1), "low: got 1, and"),
    (lambda m: plot.LearningRateDisplay.from_model(1, X, Y), "model: got int 1; expected a tg.nn"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_cannot_be_drawn_is_refused_in_words(trained, call, text):
    with pytest.raises(tg.InputError, match=text):
        call(trained[0])


def test_without_matplotlib_the_error_says_what_to_install():
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from tinygrad_bp import plot\n"
        "plot.LearningCurvesDisplay.from_history({'loss': [1.0]})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    last = result.stderr.strip().splitlines()[-1]
    assert last.endswith("pictures of training need matplotlib: pip install 'tinygrad_bp[plot]'")
