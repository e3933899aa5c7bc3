"""The demonstration: the documented networks learn XOR and the handwritten digits."""

import io
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

import numpy as np

from tinygrad_bp.nn import NeuralNetwork

SEED = 0  # of NumPy's global generator, which the documented network and its split use
DIGITS_MISSING = (
    "The digits need scikit-learn, which is not installed. To train them too:\n"
    "    pip install 'tinygrad_bp[examples]'"
)


def run(*, quick: bool = False) -> int:
    """Train both networks, print what they have learned, and return the exit status.

    That is 1, after XOR, if scikit-learn is missing: half of what was asked for was not done.
    """
    xor = train_xor(epochs=200 if quick else 20000)
    try:
        report = train_digits(epochs=5 if quick else 1000)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        print(f"\n{xor}\n", flush=True)
        print(DIGITS_MISSING, file=sys.stderr)
        return 1
    print(f"\n{xor}\n\nThe digits that the network had not seen:\n{report}")
    return 0


def train_xor(epochs: int) -> str:
    """Train 2-2-1 on XOR and return the table of its predictions."""
    np.random.seed(SEED)
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.array([[0], [1], [1], [0]])
    network = NeuralNetwork([2, 2, 1], alpha=0.5)
    print(f"[INFO] training {network} on XOR...")
    fit(network, X, y, epochs, "XOR")
    lines = ["XOR:", "", "  data   ground truth   prediction   step"]
    for x, target, prediction in zip(X, y[:, 0], network.predict(X)[:, 0], strict=True):
        step = int(prediction > 0.5)
        lines.append(f"{x!s:>6}{target:>15}{prediction:>13.4f}{step:>7}")
    return "\n".join(lines)


def train_digits(epochs: int) -> str:
    """Train 64-32-16-10 on three quarters of the digits and return the report on the others."""
    from sklearn.datasets import load_digits
    from sklearn.metrics import classification_report
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import LabelBinarizer

    print("[INFO] loading MNIST (sample) dataset...")
    np.random.seed(SEED)
    digits = load_digits()
    data = (digits.data - digits.data.min()) / (digits.data.max() - digits.data.min())
    print(f"[INFO] samples: {data.shape[0]}, dim: {data.shape[1]}")
    trainX, testX, trainY, testY = train_test_split(data, digits.target, test_size=0.25)

    print("[INFO] training network...")
    network = NeuralNetwork([data.shape[1], 32, 16, 10])
    print(f"[INFO] {network}")
    fit(network, trainX, LabelBinarizer().fit_transform(trainY), epochs, "digits")

    print("[INFO] evaluating network...")
    predictions = network.predict(testX).argmax(axis=1)
    return str(classification_report(testY, predictions, zero_division=0))


def fit(network: NeuralNetwork, X: Any, y: Any, epochs: int, name: str) -> None:
    """Train and print the loss about ten times, above a progress bar if a person is watching."""
    with progress(name, epochs) as on_epoch:
        network.fit(X, y, epochs=epochs, displayUpdate=max(1, epochs // 10), on_epoch=on_epoch)


# ---------------------------------------------------------------------------------- progress


@contextmanager
def progress(name: str, epochs: int) -> Iterator[Callable[[int], Any] | None]:
    """Show a progress bar on stderr and yield what to call after each epoch.

    Without a terminal, or without tqdm, there is no bar and nothing to call.
    """
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        tqdm = None
    if tqdm is None or not sys.stderr.isatty():
        yield None
        return
    columns, rows = shutil.get_terminal_size()  # sensible also where a terminal says 0 x 0
    with (
        tqdm(total=epochs, desc=name, unit=" epochs", ncols=columns, nrows=rows) as bar,
        redirect_stdout(_AboveBar(sys.stdout, bar)),
    ):
        yield lambda epoch: bar.update()


class _AboveBar(io.TextIOBase):
    """A stream that takes the bar away before it writes a line, and puts it back after."""

    def __init__(self, stream: TextIO, bar: Any) -> None:
        self.stream, self.bar = stream, bar

    def write(self, text: str) -> int:
        self.bar.clear()
        written = self.stream.write(text)
        if text.endswith("\n"):
            self.stream.flush()
            self.bar.refresh()
        return written
