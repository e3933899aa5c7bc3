"""The documented job (digits, one sample per step, float64), XOR, and getting ready.

python -m benchmarks.training
"""

import ctypes
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import tinygrad_bp as tg
from benchmarks.side_by_side import ROUNDS, Bar, Run, installed, report, take_turns
from tinygrad_bp.compiler.loops import CompiledLoop

ALPHA, SAMPLES = 0.1, 1347
LAYERS = (64, 32, 16, 10)
EPOCHS = {"ours native": 40, "C": 40, "JAX": 10}  # of one run; one for all others

rng = np.random.default_rng(0)
SHAPES = tg.NeuralNetwork(list(LAYERS), seed=0)._shapes()
WEIGHTS = [rng.standard_normal(s) / np.sqrt(s[0] - 1) for s in SHAPES]
X = np.column_stack([rng.integers(0, 17, (SAMPLES, LAYERS[0])) / 16, np.ones(SAMPLES)])
Y = np.eye(LAYERS[-1])[rng.integers(0, LAYERS[-1], SAMPLES)]
Train = Callable[[int], list[np.ndarray]]  # so many epochs, from where it stands


def listing() -> Train:
    """Train as every tutorial does it, with NumPy."""
    weights = [w.copy() for w in WEIGHTS]

    def train(epochs: int) -> list[np.ndarray]:
        for _ in range(epochs):
            for x, target in zip(X, Y, strict=True):
                a = [np.atleast_2d(x)]
                for w in weights:
                    a.append(1.0 / (1 + np.exp(-a[-1].dot(w))))
                deltas = [(a[-1] - target) * (a[-1] * (1 - a[-1]))]
                for layer in range(len(a) - 2, 0, -1):
                    deltas.append(deltas[-1].dot(weights[layer].T) * (a[layer] * (1 - a[layer])))
                deltas = deltas[::-1]
                for layer in range(len(weights)):
                    weights[layer] += -ALPHA * a[layer].T.dot(deltas[layer])
        return weights

    return train


def ours(engine: str) -> Train:
    """Train with the recorded step, compiled."""
    network = tg.NeuralNetwork(list(LAYERS), alpha=ALPHA, seed=0)
    network.W[:] = [w.copy() for w in WEIGHTS]
    if engine == "eager":

        def eager(epochs: int) -> list[np.ndarray]:
            network._epochs((X[:, None], Y[:, None]), 0, epochs)
            return network.W

        return eager
    data = X[:, None], Y[:, None]
    loop = CompiledLoop(network._next_state, network._state(), [d[0] for d in data], engine)
    loop.state = network._state()

    def train(epochs: int) -> list[np.ndarray]:
        loop.run(data, 0, SAMPLES, epochs)
        return loop.state[:-1]

    return train


def build_c(lengths: tuple[int, ...], flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """Compile the hand-written program."""
    folder = tempfile.mkdtemp()
    library = os.path.join(folder, "training.so")
    sizes = [f"-DL{i}={n}" for i, n in enumerate(lengths)]
    source = str(Path(__file__).with_name("training.c"))
    command = ["gcc", "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", *flags, *sizes]
    try:
        subprocess.run([*command, source, "-o", library, "-lm"], check=True)
    except OSError as error:
        raise ImportError(f"gcc is missing: {error}") from error
    return ctypes.CDLL(library)


def by_hand() -> Train:
    """Train with C."""
    library = build_c((SHAPES[0][0], *(s[1] for s in SHAPES)))
    weights = [w.copy() for w in WEIGHTS]

    def pointer(array: np.ndarray) -> ctypes.c_void_p:
        return ctypes.c_void_p(array.ctypes.data)

    def train(epochs: int) -> list[np.ndarray]:
        library.train(
            *map(pointer, (*weights, X, Y)),
            ctypes.c_double(ALPHA), ctypes.c_long(SAMPLES), ctypes.c_long(epochs),
        )  # fmt: skip
        return weights

    return train


def jax_epoch(alpha: float) -> Callable[..., list[Any]]:
    """Return a function (weights, X, y) -> weights: jit, grad and scan, one call for an epoch."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def loss(weights, x, y):
        a = x
        for w in weights:
            a = jax.nn.sigmoid(a @ w)
        return 0.5 * jnp.sum((a - y) ** 2)

    def step(weights, sample):
        slopes = jax.grad(loss)(weights, *sample)
        return [w - alpha * g for w, g in zip(weights, slopes, strict=True)], None

    return jax.jit(lambda weights, x, y: jax.lax.scan(step, weights, (x, y))[0])


def jax_scan() -> Train:
    """Train with JAX."""
    epoch = jax_epoch(ALPHA)
    import jax.numpy as jnp

    state = [[jnp.asarray(w) for w in WEIGHTS]]
    x, y = jnp.asarray(X), jnp.asarray(Y)

    def train(epochs: int) -> list[np.ndarray]:
        for _ in range(epochs):
            state[0] = epoch(state[0], x, y)
        return [np.asarray(w.block_until_ready()) for w in state[0]]

    return train


def torch_eager() -> Train:
    """Train with plain tensors."""
    import torch

    torch.set_num_threads(1)
    weights = [torch.tensor(w, requires_grad=True) for w in WEIGHTS]
    rows = [
        (torch.from_numpy(X[i : i + 1]), torch.from_numpy(Y[i : i + 1])) for i in range(SAMPLES)
    ]

    def train(epochs: int) -> list[np.ndarray]:
        for _ in range(epochs):
            for x, y in rows:
                a = x
                for w in weights:
                    a = torch.sigmoid(a @ w)
                (0.5 * ((a - y) ** 2).sum()).backward()
                with torch.no_grad():
                    for w in weights:
                        w.sub_(w.grad, alpha=ALPHA)
                        w.grad = None
        return [w.detach().numpy().copy() for w in weights]

    return train


PROGRAMS: dict[str, Callable[[], Train]] = {
    "ours native": lambda: ours("native"),
    "ours numpy": lambda: ours("numpy"),
    "ours eager": lambda: ours("eager"),
    "C": by_hand,
    "listing": listing,
    "JAX": jax_scan,
    "torch": torch_eager,
}
BARS = [
    Bar("ours native", "C", 1.25),
    Bar("ours native", "listing", 1 / 22),
    Bar("ours native", "JAX", 1 / 2),
    Bar("ours native", "torch", 1 / 100),
    Bar("ours numpy", "listing", 0.8),
]


def digits() -> None:
    """Race all programs; they must arrive at the same weights."""
    trains: dict[str, Train] = installed(PROGRAMS)  # type: ignore[arg-type, assignment]
    first = {name: [w.copy() for w in train(1)] for name, train in trains.items()}
    for name, weights in first.items():
        for a, b in zip(weights, first["listing"], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=name)
    epochs = {name: EPOCHS.get(name, 1) for name in trains}
    runs: dict[str, Run] = {n: (lambda t=t, n=n: t(epochs[n])) for n, t in trains.items()}
    steps = {name: SAMPLES * n for name, n in epochs.items()}
    report("Digits, one sample per step", take_turns(runs), steps, BARS, "step")


# ------------------------------------------------------------------ whole processes

BYTECODE = tempfile.mkdtemp()
READY = """
import time; start = time.process_time()
import numpy as np, tinygrad_bp as tg
network = tg.NeuralNetwork([64, 32, 16, 10], seed=0)
network.fit(np.zeros((1, 64)), np.zeros((1, 10)), epochs=2, displayUpdate=9, engine="native")
print(time.process_time() - start)
"""
XOR = """
import numpy as np, tinygrad_bp as tg
X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
network = tg.NeuralNetwork([2, 2, 1], alpha=0.5, seed=1)
network.fit(X, y, epochs=20000, displayUpdate=20000)
"""


def process(program: str, cache: str) -> float:
    """Run a program in a process of its own; return its processor time.

    READY tells its own, without what Python itself needs to start.
    """
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": BYTECODE}  # as installed
    environment = {**os.environ, **compiled, "TINYGRAD_BP_CACHE": cache}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if program is READY:
        return float(done.stdout.split()[-1])
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def processes() -> None:
    """Measure what a person waits for."""
    print("\n## Whole processes\n\n| what | seconds | bar |\n| --- | ---: | --- |")
    warm = tempfile.mkdtemp()
    for name, program, cache, most in (
        ("ready to train digits, cold", READY, "", 0.4),
        ("ready to train digits, warm cache", READY, warm, 0.2),
        ("XOR, 20,000 epochs, cold", XOR, "", 0.6),
    ):
        process(program, cache)
        seconds = median(process(program, cache) for _ in range(ROUNDS))
        verdict = "holds" if seconds <= most else "**missed**"
        print(f"| {name} | {seconds:.3f} | at most {most}, {verdict} |")
    sys.stdout.flush()


if __name__ == "__main__":
    digits()
    processes()
