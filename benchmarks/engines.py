"""Does `engine="auto"` ever lose to the NumPy engine? Programs of all kinds, in sizes of all kinds.

python -m benchmarks.engines
"""

import sys
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import tinygrad_bp as tg
from benchmarks.side_by_side import ROUNDS, Run, ratio, take_turns

SIZES = [1 << k for k in range(4, 23, 3)]  # elements
BAR = 1.1  # times of the NumPy engine; less is noise
LEAST = 2e-3  # seconds of a turn: a call is repeated


def square(n: int) -> np.ndarray:
    """Return about n random numbers as a square matrix."""
    side = max(2, int(n**0.5))
    return np.random.default_rng(0).normal(size=(side, side))


def layer(x: Any) -> Any:
    return tg.grad(lambda w: tg.tanh(x[:32] @ w).sum())(x)


def shuffled(x: Any) -> Any:
    rows = np.random.default_rng(1).permutation(len(x))
    return x[rows] + x[:, rows]


PROGRAMS: dict[str, Callable[..., Any]] = {
    "elementwise": lambda x: tg.tanh(x) * x + tg.exp(-x * x),
    "a copy": lambda x: x + 1,
    "softmax": tg.softmax,
    "a layer and its gradient": layer,
    "sums of columns": lambda x: x.sum(0),
    "a transpose": lambda x: x + x.T,
    "cumsum": lambda x: tg.cumsum(x, 0),
    "rows picked by number": shuffled,
    "a convolution": lambda x: tg.conv2d(x[None, None], np.ones((1, 1, 2, 2))),
    "inv": lambda x: tg.inv(x + 10 * np.eye(len(x))),
}


def race(function: Callable[..., Any], x: np.ndarray) -> float:
    """Return the time of "auto" as a multiple of that of "numpy"."""
    runs: dict[str, Run] = {}
    for engine in ("auto", "numpy"):
        fast = tg.compile(function, engine)
        fast(x)
        runs[engine] = lambda fast=fast: fast(x)
    times = take_turns(runs, 1)["numpy"][0]
    calls = max(1, round(LEAST / max(times, 1e-6)))
    many = {name: lambda run=run: [run() for _ in range(calls)] for name, run in runs.items()}
    return ratio(take_turns(many), "auto", "numpy")


def main() -> int:
    print("\n## The time of `auto`, as a multiple of the NumPy engine's\n")
    print(f"| elements | {' | '.join(str(n) for n in SIZES)} |")
    print(f"| --- {'| ---: ' * len(SIZES)}|")
    found = []
    for name, function in PROGRAMS.items():
        row = []
        for n in SIZES:
            large = name in ("inv", "a layer and its gradient") and n > 1 << 19
            row.append(None if large else race(function, square(n)))
        cells = " | ".join("" if r is None else f"{r:.2f}" for r in row)
        print(f"| {name} | {cells} |", flush=True)
        found += [r for r in row if r is not None]
    held = max(found) <= BAR
    print(f"\nAt most {max(found):.2f}, in the middle {median(found):.2f}, over {ROUNDS} rounds")
    print(f"(bar {BAR}): {'holds' if held else '**missed**'}.")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
