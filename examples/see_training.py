"""See a network learn: six pictures of one training, in a few seconds.

Two half moons of points, a network of two hidden layers. The picture is kept in the folder that is
given, by default here, as training.png.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from sklearn.datasets import make_moons

from tinygrad_bp import plot
from tinygrad_bp.nn import Adam, Dense, Sequential


def network():
    layers = [Dense(16, "tanh"), Dense(16, "tanh"), Dense(1)]
    return Sequential(layers, loss="binary_cross_entropy", optimizer=Adam(0.01), seed=0)


def main():
    X, y = make_moons(400, noise=0.2, random_state=0)
    train, test = slice(300), slice(300, None)
    model = network().build((2,))
    figure = pyplot.figure(figsize=(14, 8), layout="constrained")
    axes = [figure.add_subplot(2, 3, i + 1) for i in range(5)]
    axes.append(figure.add_subplot(2, 3, 6, projection="3d"))

    rates = plot.LearningRateDisplay.from_model(model, X[train], y[train], ax=axes[0])
    print(f"[INFO] the learning rate finder suggests {rates.suggestion:.2g}")

    path = [model.parameters]
    history = model.fit(
        X[train], y[train], 60, validation_data=(X[test], y[test]),
        callbacks=[lambda run: path.append(run.model.parameters)],
    )  # fmt: skip
    print(f"[INFO] {history}")

    plot.LearningCurvesDisplay.from_history(history, ax=axes[1])
    plot.DecisionBoundaryDisplay.from_estimator(model, X[test], y[test], ax=axes[2])
    predicted = model.predict(X[test])[:, 0].round().astype(int)
    plot.ConfusionMatrixDisplay.from_predictions(y[test], predicted, ax=axes[3])
    plot.LossLandscapeDisplay.from_model(model, X[train], y[train], path=path, ax=axes[4])
    plot.LossLandscapeDisplay.from_model(model, X[train], y[train], ax=axes[5], surface=True)
    titles = "learning rate finder,learning curves,decision boundary,confusion matrix,"
    titles += "path of training,loss landscape"
    for ax, title in zip(axes, titles.split(","), strict=True):
        ax.set_title(title)
    figure.savefig(Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "training.png", dpi=80)


if __name__ == "__main__":
    main()
