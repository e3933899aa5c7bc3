"""Predict how a disease goes on: 442 patients, ten measurements each, in a few seconds.

The network is compared with a straight line over the same splits, and looked into: how the loss
fell, and which errors are left. With a folder as argument the pictures are kept there.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import PredictionErrorDisplay, mean_absolute_error
from sklearn.model_selection import train_test_split

import tinygrad_bp as tg

SPLITS = 5


def network(seed):
    return tg.sklearn.NeuralNetworkRegressor(
        hidden=(16,), loss="huber", weight_decay=1.0, early_stopping=True, patience=20,
        validation_fraction=0.2, random_state=seed,
    )  # fmt: skip


def main():
    X, y = load_diabetes(return_X_y=True)
    print(f"[INFO] patients: {len(X)}, progression: {y.min():.0f} to {y.max():.0f}")
    errors = []
    for split in range(SPLITS):
        trainX, testX, trainY, testY = train_test_split(X, y, test_size=0.25, random_state=split)
        models = [network(split), LinearRegression()]
        found = [model.fit(trainX, trainY).predict(testX) for model in models]
        errors.append(
            [mean_absolute_error(testY, f) for f in [*found, np.median(trainY) + 0 * testY]]
        )
        print(f"[INFO] split={split}, epochs={models[0].n_iter_}, error={errors[-1][0]:.1f}")
    for name, error in zip(("network", "straight line", "median"), np.mean(errors, 0), strict=True):
        print(f"[INFO] mean absolute error of the {name}: {error:.2f}")
    if len(sys.argv) > 1:
        save(Path(sys.argv[1]), models[0], testX, testY)


def save(folder, model, X, y):
    curves = tg.plot.LearningCurvesDisplay.from_history(model.history_)
    curves.figure_.savefig(folder / "diabetes_curves.png")
    errors = PredictionErrorDisplay.from_estimator(model, X, y, kind="actual_vs_predicted")
    errors.figure_.savefig(folder / "diabetes_errors.png")


if __name__ == "__main__":
    main()
