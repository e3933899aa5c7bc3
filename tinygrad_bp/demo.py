"""The demonstration: the documented networks learn XOR and the handwritten digits."""

import io
import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from tinygrad_bp.errors import StoreError
from tinygrad_bp.nn import NeuralNetwork
from tinygrad_bp.nn.network import forward, loss
from tinygrad_bp.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_bp.render.drawing import Drawing

SEED = 0  # of NumPy's global generator, which the documented network and its split use
DIGITS_MISSING = (
    "The digits need scikit-learn, which is not installed. To train them too:\n"
    "    pip install 'tinygrad_bp[examples]'"
)


def run(*, quick: bool = False, folder: str = ".") -> int:
    """Train both networks, print what they have learned, and return the exit status.

    That is 2 if there is no `folder`, and 1, after XOR, if its picture cannot be written into it or
    scikit-learn is missing: part of what was asked for was not done.
    """
    if not Path(folder).is_dir():  # told before the two minutes, not after
        print(f"There is no folder {folder!r} for the picture of the network.", file=sys.stderr)
        return 2
    network, xor = train_xor(epochs=200 if quick else 20000)
    try:
        xor += f"\n\n{save_picture(network, Path(folder))}"
    except StoreError as error:
        print(f"\n{xor}\n", flush=True)
        print(f"The picture of the network was not written. {error}", file=sys.stderr)
        return 1
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


def train_xor(epochs: int) -> tuple[NeuralNetwork, str]:
    """Train 2-2-1 on XOR and return it with the table of its predictions."""
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
    return network, "\n".join(lines)


def xor_drawing(network: NeuralNetwork) -> "Drawing":
    """Draw the error of one sample and its gradient, number by number."""
    from tinygrad_bp.render.draw import draw

    x = Tensor([[1.0, 1.0, 1.0]], name="x", requires_grad=False)  # both inputs, and the bias
    target = Tensor([[0.0]], name="target", requires_grad=False)
    weights = [Tensor(W, name=f"W{i}") for i, W in enumerate(network.W)]
    output = forward(x, weights)
    error = loss(output, target)
    return draw(error, level="scalar", names={"output": output, "error": error})


def save_picture(network: NeuralNetwork, folder: Path) -> str:
    """Write the picture and the page of a network, and say where they are."""
    from tinygrad_bp.render.save import write

    drawing = xor_drawing(network)
    contents = {".svg": drawing.svg(engine="own"), ".html": drawing.html()}
    path = free_path(folder, "xor", contents)
    for suffix, text in contents.items():
        write(path.with_suffix(suffix), text.encode(), "demo")
    return (
        "How the error of [1 1] flows back to every weight, as a picture and as a page to explore:"
        f"\n  {path}.svg\n  {path}.html"
    )


def free_path(folder: Path, name: str, contents: dict[str, str]) -> Path:
    """Return a path without suffix under which nothing is lost: no other file has that name."""
    for number in itertools.count(1):
        path = folder / (name if number == 1 else f"{name}-{number}")
        files = {path.with_suffix(suffix): text for suffix, text in contents.items()}
        if not any(os.path.lexists(file) and not holds(file, files[file]) for file in files):
            return path
    raise AssertionError("unreachable: there is always a next number")


def holds(file: Path, text: str) -> bool:
    """Tell whether a file holds just this text, because an earlier run has written it."""
    try:
        return file.is_file() and file.read_bytes() == text.encode()
    except OSError:
        return False


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
