"""How well the networks learn, beside scikit-learn's, over many splits and seeds.

python -m benchmarks.quality [--splits 30] [--seeds 1000] [--documented 30] [--mnist 1]

1. Digits (8 x 8): our classifier and MLPClassifier, each with its defaults, the same splits, taking
   turns. Bars: a mean accuracy of at least 0.980, in at most half of the other's time.
2. XOR with one hidden layer of 8: for how many seeds the classifiers solve it. Bar: all of ours.
3. MNIST, 4,000 images to learn from, by examples/mnist_convnet.py. Bars: an accuracy of at least
   0.975 on 1,000 others, in at most a minute on one core.
4. Digits by the documented recipe, `NeuralNetwork([64, 32, 16, 10])` for 1,000 epochs. Bar: a mean
   of 0.970 within 0.003.

Times are processor time of `fit` on one thread; machine code is made anew in the first split and
kept for the others, as in a program. Leaves with status 1 when a bar is missed.
"""

import os

for library in ("OMP", "OPENBLAS", "MKL"):  # read once, while NumPy is imported
    os.environ[f"{library}_NUM_THREADS"] = "1"

import argparse
import io
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import tinygrad_bp as tg
from tinygrad_bp.sklearn import NeuralNetworkClassifier

Make = Callable[[int], Any]
SQUARE = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
XOR = np.array([0, 1, 1, 0])


def digits(splits: int) -> bool:
    """Compare the defaults on digits."""
    X, y = load_digits(return_X_y=True)
    makers: dict[str, Make] = {
        "tinygrad_bp": lambda seed: NeuralNetworkClassifier(random_state=seed),
        "MLPClassifier": lambda seed: MLPClassifier(random_state=seed),
    }
    scores: dict[str, list[float]] = {name: [] for name in makers}
    times: dict[str, list[float]] = {name: [] for name in makers}
    for split in range(splits):
        parts = train_test_split(X, y, test_size=0.25, random_state=split)
        for name, make in makers.items():
            start = process_time()
            model = make(split).fit(parts[0], parts[2])
            times[name].append(process_time() - start)
            scores[name].append(model.score(parts[1], parts[3]))
    ratios = [a / b for a, b in zip(*times.values(), strict=True)]
    print(f"Digits, defaults, {splits} splits\n")
    for name in makers:
        mean, error = np.mean(scores[name]), np.std(scores[name]) / np.sqrt(splits)
        print(f"  {name:15} accuracy {mean:.4f} ± {error:.4f}, {median(times[name]):.2f} s a fit")
    return bar("accuracy", np.mean(scores["tinygrad_bp"]), 0.980, np.inf) & bar(
        "time / MLPClassifier's", median(ratios), 0, 0.5
    )


def xor(seeds: int) -> bool:
    """Count the seeds for which XOR is solved."""
    print(f"\nXOR, one hidden layer of 8, {seeds} seeds\n")
    ours = solved(lambda seed: NeuralNetworkClassifier((8,), random_state=seed), seeds)
    few = min(seeds, 50)
    other = solved(lambda seed: MLPClassifier((8,), random_state=seed), few)
    print(f"  tinygrad_bp {ours} of {seeds}, MLPClassifier {other} of {few}")
    return bar("solved", ours / seeds, 1, 1)


def solved(make: Make, seeds: int) -> int:
    """Count the seeds for which all four rows are answered right."""
    return sum((make(seed).fit(SQUARE, XOR).predict(SQUARE) == XOR).all() for seed in range(seeds))


def mnist() -> bool:
    """Train the convolutional network of the example."""
    print("\nMNIST, convolutional network\n")
    sys.path.append(str(Path(__file__).parent.parent / "examples"))
    import mnist_convnet

    with redirect_stdout(io.StringIO()):
        model, X, y, seconds = mnist_convnet.learn()
    accuracy = model.evaluate(X, y)["accuracy"]
    return bar("accuracy", accuracy, 0.975, 1) & bar("seconds", seconds, 0, 60)


def documented(splits: int) -> bool:
    """Reproduce the documented network on digits."""
    print(f"\nDigits, documented recipe, {splits} splits\n")
    X, y = load_digits(return_X_y=True)
    X = (X - X.min()) / (X.max() - X.min())
    scores = []
    for split in range(splits):
        parts = train_test_split(X, y, test_size=0.25, random_state=split)
        network = tg.NeuralNetwork([64, 32, 16, 10], seed=split)
        with redirect_stdout(io.StringIO()):  # what the documented network prints
            network.fit(parts[0], np.eye(10)[parts[2]], epochs=1000)
        scores.append((network.predict(parts[1]).argmax(1) == parts[3]).mean())
    print(f"  accuracy {np.mean(scores):.4f} ± {np.std(scores) / np.sqrt(splits):.4f}")
    return bar("accuracy", np.mean(scores), 0.967, 0.973)


def bar(name: str, value: float, low: float, high: float) -> bool:
    """Print a value beside its bar, and tell whether it is met."""
    met = low <= value <= high
    verdict = "met" if met else "**missed**"
    print(f"  {name} {value:.4f}, bar {low:g} to {high:g}: {verdict}", flush=True)
    return met


def main() -> int:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--splits", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--documented", type=int, default=30, help="splits; 0 leaves it out")
    parser.add_argument("--mnist", type=int, default=1, help="0 leaves it out")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    parts = [digits(options.splits), xor(options.seeds)]
    if options.mnist:
        parts.append(mnist())
    if options.documented:
        parts.append(documented(options.documented))
    return 0 if all(parts) else 1


if __name__ == "__main__":
    sys.exit(main())
