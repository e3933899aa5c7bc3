"""How fast recording and back-propagating is, beside the peers.

Run from the project root, after `pip install ".[bench]"`:

    python -m benchmarks.eager [--rounds 15]

Three questions, one run, everything on one thread:

1. One recorded training step of the digits network (64-32-16-10, bias trick, sigmoid, one sample,
   float64): forward, backward, update.
2. One operation in a chain of recorded scalars: forward and backward.
3. How much `import tinygrad_bp` adds to `import numpy`.

Before anything is timed, all contestants must agree on the numbers. Then they take turns, so that
a machine that slows down slows everyone. A time is the median over the rounds, a ratio the median
over the rounds of ours / theirs. Leaves with status 1 when a bar is missed.
"""

import os

for library in ("OMP", "OPENBLAS", "MKL"):  # read once, while NumPy is imported
    os.environ[f"{library}_NUM_THREADS"] = "1"

import argparse
import gc
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import tinygrad_bp as tg

ALPHA = 0.1
SAMPLES = 200
LINKS = 100  # of three operations each; micrograd recurses once per operation
CHAINS = 20
IMPORT_BAR = 50  # milliseconds

Arrays = list[np.ndarray]
Sample = tuple[np.ndarray, np.ndarray]
Run = Callable[[], Arrays]


class Contestant(NamedTuple):
    name: str
    package: str  # as pip calls it
    prepare: Callable[..., Run]
    bar: float | None = None  # ours / theirs, at most


# ------------------------------------------------------------------ one training step, six ways
# Each contestant prepares its own kind of arrays, then returns a function that makes one pass of
# stochastic gradient descent over the samples and gives the weights it arrived at.


def step_ours(weights: Arrays, samples: Sequence[Sample]) -> Run:
    w = [tg.Tensor(start) for start in weights]
    rows = [[tg.Tensor(array, requires_grad=False) for array in sample] for sample in samples]

    def train() -> Arrays:
        for x, y in rows:
            a = x
            for layer in w:
                a = tg.sigmoid(a @ layer)
            loss = 0.5 * ((a - y) ** 2).sum()
            loss.backward()
            with tg.no_grad():
                for layer in w:
                    layer.data = layer - ALPHA * layer.grad
                    layer.zero_grad()
        return [layer.numpy() for layer in w]

    return train


def step_numpy(weights: Arrays, samples: Sequence[Sample]) -> Run:
    """The backward pass by hand: what all the others compute from the recorded graph."""
    w = [start.copy() for start in weights]

    def train() -> Arrays:
        for x, y in samples:
            activations = [x]
            for layer in w:
                activations.append(1.0 / (1 + np.exp(-activations[-1].dot(layer))))
            out = activations[-1]
            deltas = [(out - y) * (out * (1 - out))]
            for layer, a in zip(w[:0:-1], activations[-2:0:-1], strict=True):
                deltas.append(deltas[-1].dot(layer.T) * (a * (1 - a)))
            for layer, a, delta in zip(w, activations[:-1], deltas[::-1], strict=True):
                layer += -ALPHA * a.T.dot(delta)
        return w

    return train


def step_torch(weights: Arrays, samples: Sequence[Sample]) -> Run:
    import torch

    torch.set_num_threads(1)
    w = [torch.tensor(start, requires_grad=True) for start in weights]
    rows = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in samples]

    def train() -> Arrays:
        for x, y in rows:
            a = x
            for layer in w:
                a = torch.sigmoid(a @ layer)
            loss = 0.5 * ((a - y) ** 2).sum()
            loss.backward()
            with torch.no_grad():
                for layer in w:
                    layer.sub_(layer.grad, alpha=ALPHA)
                    layer.grad = None
        return [layer.detach().numpy() for layer in w]

    return train


def step_hips(weights: Arrays, samples: Sequence[Sample]) -> Run:
    import autograd.numpy as anp
    from autograd import grad
    from autograd.scipy.special import expit as sigmoid

    def loss(w: Arrays, x: np.ndarray, y: np.ndarray) -> Any:
        a = x
        for layer in w:
            a = sigmoid(anp.dot(a, layer))
        return 0.5 * anp.sum((a - y) ** 2)

    gradient = grad(loss)
    w = [start.copy() for start in weights]

    def train() -> Arrays:
        for x, y in samples:
            for layer, slope in zip(w, gradient(w, x, y), strict=True):
                layer -= ALPHA * slope
        return w

    return train


def step_mygrad(weights: Arrays, samples: Sequence[Sample]) -> Run:
    import mygrad as mg
    from mygrad.nnet.activations import sigmoid

    w = [mg.tensor(start) for start in weights]

    def train() -> Arrays:
        for x, y in samples:
            a = x
            for layer in w:
                a = sigmoid(a @ layer)
            loss = 0.5 * ((a - y) ** 2).sum()
            loss.backward()
            for layer in w:
                layer.data -= ALPHA * layer.grad
                layer.null_grad()
        return [layer.data for layer in w]

    return train


def step_mygrad_unguarded(weights: Arrays, samples: Sequence[Sample]) -> Run:
    """MyGrad without its protection against changed arrays, which tinygrad_bp never gives up."""
    import mygrad as mg

    train = step_mygrad(weights, samples)

    def train_unguarded() -> Arrays:
        with mg.mem_guard_off:
            return train()

    return train_unguarded


STEPS = (
    Contestant("tinygrad_bp", "tinygrad_bp", step_ours),
    Contestant("NumPy, by hand", "numpy", step_numpy),
    Contestant("PyTorch", "torch", step_torch, bar=0.45),
    Contestant("HIPS autograd", "autograd", step_hips, bar=0.3),
    Contestant("MyGrad", "mygrad", step_mygrad, bar=0.4),
    Contestant("MyGrad, no guard", "mygrad", step_mygrad_unguarded),
)


def digits_job() -> tuple[Arrays, list[Sample]]:
    """Weights and samples with the shapes and ranges of the digits; their values do not matter."""
    rng = np.random.default_rng(0)
    shapes = (65, 33), (33, 17), (17, 10)
    weights = [rng.standard_normal(shape) / np.sqrt(shape[0] - 1) for shape in shapes]
    pixels = rng.integers(0, 17, (SAMPLES, 64)) / 16
    inputs = np.column_stack([pixels, np.ones(SAMPLES)])
    targets = np.eye(10)[rng.integers(0, 10, SAMPLES)]
    return weights, [(inputs[i : i + 1], targets[i : i + 1]) for i in range(SAMPLES)]


# ------------------------------------------------------------------ a chain of scalars, two ways


def chain_ours() -> Run:
    def run() -> Arrays:
        for _ in range(CHAINS):
            x, w, b = leaves = tg.Tensor(0.5), tg.Tensor(0.99), tg.Tensor(0.01)
            for _ in range(LINKS):
                x = (x * w + b).relu()
            x.backward()
        return [np.asarray(leaf.grad) for leaf in leaves]

    return run


def chain_micrograd() -> Run:
    from micrograd.engine import Value

    def run() -> Arrays:
        for _ in range(CHAINS):
            x, w, b = leaves = Value(0.5), Value(0.99), Value(0.01)
            for _ in range(LINKS):
                x = (x * w + b).relu()
            x.backward()
        return [np.asarray(leaf.grad) for leaf in leaves]

    return run


CHAIN = (
    Contestant("tinygrad_bp", "tinygrad_bp", chain_ours),
    Contestant("micrograd", "micrograd", chain_micrograd, bar=1.0),
)


# ------------------------------------------------------------------ the race


def make_ready(contestants: Sequence[Contestant], *job: Any) -> dict[Contestant, Run]:
    """Prepare every contestant that is installed; see to it that all compute the same numbers."""
    runs = {}
    for contestant in contestants:
        try:
            runs[contestant] = contestant.prepare(*job)
        except ModuleNotFoundError:
            continue
    expected, *others = ([np.array(array) for array in run()] for run in runs.values())
    for arrays in others:
        for array, wanted in zip(arrays, expected, strict=True):
            np.testing.assert_allclose(array, wanted, rtol=1e-9, atol=1e-12)
    return runs


def take_turns(runs: dict[Contestant, Run], rounds: int) -> dict[Contestant, list[float]]:
    """Seconds of each contestant in each round."""
    seconds: dict[Contestant, list[float]] = {contestant: [] for contestant in runs}
    for _ in range(rounds):
        for contestant, run in runs.items():
            gc.collect()  # nobody pays for the cycles that another one left
            start = perf_counter()
            run()
            seconds[contestant].append(perf_counter() - start)
    return seconds


def compare(
    title: str, contestants: Sequence[Contestant], *job: Any, operations: int, rounds: int
) -> bool:
    """Race the contestants against the first of them, print a table, tell whether all bars held."""
    seconds = take_turns(make_ready(contestants, *job), rounds)
    ours = seconds[contestants[0]]
    print(f"\n{title}\n{'':26}{'µs':>10}{'ours / theirs':>16}{'bar':>10}")
    all_held = True
    for contestant in contestants:
        if contestant not in seconds:
            print(f"  {contestant.name:24}  not installed: pip install '.[bench]'")
            continue
        theirs = seconds[contestant]
        line = f"  {label(contestant):24}{median(theirs) / operations * 1e6:10.2f}"
        if theirs is not ours:
            ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
            held, bar_text = judge(ratio, contestant.bar, "×")
            line += f"{ratio:15.2f}×{bar_text}"
            all_held &= held
        print(line)
    return all_held


def label(contestant: Contestant) -> str:
    try:
        return f"{contestant.name} {version(contestant.package)}"
    except PackageNotFoundError:  # ours, when run from a folder that is not installed
        return contestant.name


def judge(measured: float, bar: float | None, unit: str) -> tuple[bool, str]:
    if bar is None:
        return True, ""
    held = measured <= bar
    return held, f"{f'≤ {bar:g}{unit}':>10}  {'holds' if held else 'MISSED'}"


def import_milliseconds() -> float:
    """What importing the package costs in a fresh process where NumPy is imported already."""
    program = (
        "import numpy, time; start = time.perf_counter(); import tinygrad_bp; "
        "print(time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", program]
    return float(subprocess.run(command, check=True, capture_output=True).stdout) * 1e3


def compare_import(rounds: int) -> bool:
    import_milliseconds()  # writes the byte code, when nobody has yet
    milliseconds = median(import_milliseconds() for _ in range(rounds))
    held, bar_text = judge(milliseconds, IMPORT_BAR, " ms")
    print(f"\nimport tinygrad_bp, beyond import numpy\n{'':26}{'ms':>10}{'':16}{'bar':>10}")
    print(f"  {label(STEPS[0]):24}{milliseconds:10.1f}{'':16}{bar_text}")
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print(f"Python {platform.python_version()}, {platform.machine()}, one thread, {rounds} rounds")
    held = [
        compare(
            "One training step of the digits network: forward, backward, update",
            STEPS,
            *digits_job(),
            operations=SAMPLES,
            rounds=rounds,
        ),
        compare(
            "One operation in a chain of scalars: forward, backward",
            CHAIN,
            operations=3 * LINKS * CHAINS,
            rounds=rounds,
        ),
        compare_import(rounds),
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
