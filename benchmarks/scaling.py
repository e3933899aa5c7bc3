"""Time per training step against width, depth and batch, as log-log plots beside JAX and the C.

python -m benchmarks.scaling [chart.svg]
"""

import ctypes
import os
import sys
from statistics import median

import numpy as np

import tinygrad_bp as tg
from benchmarks.side_by_side import ROUNDS, Run, take_turns
from benchmarks.training import build_c, jax_epoch
from tinygrad_bp.compiler.loops import CompiledLoop

ALPHA, ROWS, REPEATS = 0.01, 16, 40
DEEPER = (1, 4, 16, 64, 128)
WIDTHS, DEPTHS, BATCHES = (4, 8, 16, 32, 64, 128, 256), (1, 2, 4, 8, 16, 32), (1, 4, 16, 64, 256)


def job(width: int, depth: int, batch: int):
    """Return weights and data of a network of `depth` square layers."""
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((width, width)) / np.sqrt(width) for _ in range(depth)]
    return weights, rng.random((ROWS, batch, width)), rng.random((ROWS, batch, width))


def ours(weights, x, y) -> Run:
    def step(state, x, y):
        a = x
        for w in state:
            a = tg.sigmoid(a @ w)
        slopes = (tg.square(a - y).sum() * 0.5).gradient(*state, differentiable=True)
        slopes = slopes if len(state) > 1 else (slopes,)
        return [w - ALPHA * s for w, s in zip(state, slopes, strict=True)]

    loop = CompiledLoop(step, weights, [x[0], y[0]], "native")
    loop.state = weights
    return lambda: loop.run([x, y], 0, ROWS, REPEATS)


def jax_scan(weights, x, y) -> Run:
    epoch = jax_epoch(ALPHA)
    import jax.numpy as jnp

    state = [[jnp.asarray(w) for w in weights]]
    x, y = jnp.asarray(x), jnp.asarray(y)

    def run():
        for _ in range(REPEATS):
            state[0] = epoch(state[0], x, y)
        state[0][-1].block_until_ready()

    return run


def by_hand(weights, x, y) -> Run:
    """The C program has three layers and takes one sample per step."""
    library = build_c((len(weights[0]),) * 4)
    arrays = [w.copy() for w in weights] + [x, y]

    def run():
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in arrays]
        library.train(
            *pointers, ctypes.c_double(ALPHA), ctypes.c_long(ROWS), ctypes.c_long(REPEATS)
        )

    return run


def sweep(axis: str, sizes, make) -> dict[str, list[tuple[int, float]]]:
    """Measure µs per step along one axis and print a table."""
    lines: dict[str, list[tuple[int, float]]] = {}
    print(f"\n## Time per step against {axis}, float64, µs\n")
    for size in sizes:
        arrays = job(*make(size))
        runs = {"ours native": ours(*arrays)}
        for name, program in (("JAX", jax_scan), ("C", by_hand)):
            if name != "C" or axis == "width":
                try:
                    runs[name] = program(*arrays)
                except ImportError as error:
                    print(f"{name} is left out: {error}", file=sys.stderr)
        for name, times in take_turns(runs, min(ROUNDS, 5)).items():
            lines.setdefault(name, []).append((size, median(times) / ROWS / REPEATS * 1e6))
    print(f"| {axis} | " + " | ".join(str(n) for n in sizes) + " |")
    print("| --- |" + " ---: |" * len(sizes))
    for name, points in lines.items():
        print(f"| {name} | " + " | ".join(f"{us:.3g}" for _, us in points) + " |")
    sys.stdout.flush()
    return lines


def get_ready() -> None:
    """Measure how long it takes to record and to compile a step, without the cache."""
    os.environ["TINYGRAD_BP_CACHE"] = ""
    print("\n## Time to record and compile a step against depth\n")
    times = []
    for depth in DEEPER:
        arrays = job(32, depth, 1)
        seconds = take_turns({"ours": lambda arrays=arrays: ours(*arrays)}, min(ROUNDS, 3))
        times.append(median(seconds["ours"]) * 1e3)
    print(f"| depth | {' | '.join(map(str, DEEPER))} |\n| --- |{' ---: |' * len(DEEPER)}")
    print(f"| ms | {' | '.join(f'{ms:.3g}' for ms in times)} |")
    each = [ms / depth for ms, depth in zip(times, DEEPER, strict=True)]
    print(f"| ms for a layer | {' | '.join(f'{ms:.3g}' for ms in each)} |")


def draw(charts, path: str) -> None:
    """Draw the three sweeps side by side."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "tinygrad_bp"  # the same numbers, the same bytes
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for (title, lines), plot in zip(charts.items(), axes, strict=True):
        for name, points in lines.items():
            plot.loglog(*zip(*points, strict=True), marker="o", label=name)
        plot.set(xlabel=title, ylabel="µs per step")
        plot.grid(True, which="both", alpha=0.3)
        plot.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure all three, and draw them if a path is given."""
    charts = {
        "width": sweep("width", WIDTHS, lambda n: (n, 3, 1)),
        "depth": sweep("depth", DEPTHS, lambda n: (32, n, 1)),
        "batch": sweep("batch", BATCHES, lambda n: (64, 2, n)),
    }
    if len(sys.argv) > 1:
        draw(charts, sys.argv[1])
    get_ready()


if __name__ == "__main__":
    main()
