"""Read handwritten digits with a modern recipe: 98 of 100 right, in less than a second a fit.

The same 1,797 images of 8 x 8 pixels as in nn_mnist.py. What differs: rectifiers, dropout,
cross-entropy on the raw outputs, AdamW with a learning rate that falls, and batches instead of
single samples. With a folder as argument pictures are kept there.
"""

import sys
from pathlib import Path
from time import perf_counter

import matplotlib

matplotlib.use("Agg")

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import tinygrad_bp as tg
from tinygrad_bp.nn import AdamW, Cosine, Dense, Dropout, Sequential

SPLITS, EPOCHS = 5, 50


def network(seed):
    layers = [
        Dropout(0.15),
        Dense(256, "relu"),
        Dropout(0.4),
        Dense(128, "relu"),
        Dropout(0.3),
        Dense(10),
    ]
    optimizer = AdamW(Cosine(0.005, EPOCHS), weight_decay=0.02)
    return Sequential(layers, loss="categorical_cross_entropy", optimizer=optimizer, seed=seed)


def main():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    accuracies = []
    for split in range(SPLITS):
        parts = train_test_split(X, y, test_size=0.25, random_state=split)
        trainX, testX, trainY, testY = parts
        model = network(seed=split)
        start = perf_counter()
        history = model.fit(trainX, trainY, EPOCHS, batch_size=32)
        seconds = perf_counter() - start
        accuracies.append(model.evaluate(testX, testY)["accuracy"])
        print(
            f"[INFO] split={split}, seconds={seconds:.2f}, "
            f"loss={history['loss'][-1]:.4f}, accuracy={accuracies[-1]:.4f}"
        )
    print(f"[INFO] mean accuracy={np.mean(accuracies):.4f}")
    if len(sys.argv) > 1:
        save(Path(sys.argv[1]), model, history, testX, testY)


def save(folder, model, history, X, y):
    curves = tg.plot.LearningCurvesDisplay.from_history(history, log=True)
    curves.figure_.savefig(folder / "digits_curves.png")
    matrix = tg.plot.ConfusionMatrixDisplay.from_predictions(y, model.predict(X).argmax(1))
    matrix.figure_.savefig(folder / "digits_confusion.png")
    weights = tg.plot.WeightsDisplay.from_model(model, layer=1, shape=(8, 8))
    weights.figure_.savefig(folder / "digits_weights.png")


if __name__ == "__main__":
    main()
