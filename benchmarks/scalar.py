"""A network of single numbers, as micrograd builds it: 2-4-4-1, tanh, trained on XOR.

python -m benchmarks.scalar
"""

import numpy as np

import tinygrad_bp as tg
from benchmarks.side_by_side import Bar, Run, installed, report, take_turns
from tinygrad_bp.compiler.loops import CompiledLoop

ALPHA = 0.1
LAYERS = (2, 4, 4, 1)
DATA = [((0.0, 0.0), 0.0), ((0.0, 1.0), 1.0), ((1.0, 0.0), 1.0), ((1.0, 1.0), 0.0)]
COUNT = sum((n + 1) * m for n, m in zip(LAYERS, LAYERS[1:], strict=False))
START = np.random.default_rng(0).uniform(-1, 1, COUNT)
STEPS = {"ours native": 200_000, "ours eager": 20, "micrograd": 20}


def output(parameters, x, activate):
    """Compute the network, number by number."""
    numbers = iter(parameters)
    for width in LAYERS[1:]:
        x = [activate(sum((next(numbers) * a for a in x), next(numbers))) for _ in range(width)]
    return x[0]


def error(parameters, activate):
    """Add up the squared errors of the four samples."""
    return sum(
        (d := output(parameters, x, activate) - y) * d for x, y in DATA
    )  # fmt: skip


def ours_native() -> Run:
    def step(parameters, _):
        slopes = error(parameters, tg.tanh).gradient(*parameters, differentiable=True)
        return [p - ALPHA * s for p, s in zip(parameters, slopes, strict=True)]

    start = [np.float64(p) for p in START]
    loop = CompiledLoop(step, [np.array(p) for p in start], [np.zeros(())], "native")
    loop.state = [np.array(p) for p in start]
    none = np.zeros(1)

    def run(steps=STEPS["ours native"]):
        loop.run([none], 0, 1, steps)
        return np.array(loop.state)

    return run


def ours_eager() -> Run:
    parameters = [tg.Tensor(p) for p in START]

    def run(steps=STEPS["ours eager"]):
        for _ in range(steps):
            error(parameters, tg.tanh).backward()
            with tg.no_grad():
                for p in parameters:
                    p.data = p - ALPHA * p.grad
                    p.zero_grad()
        return np.array([p.item() for p in parameters])

    return run


def micrograd() -> Run:
    from micrograd.engine import Value

    def tanh(x):
        out = Value(np.tanh(x.data), (x,), "tanh")

        def backward():
            x.grad += (1 - out.data**2) * out.grad

        out._backward = backward
        return out

    parameters = [Value(float(p)) for p in START]

    def run(steps=STEPS["micrograd"]):
        for _ in range(steps):
            for p in parameters:
                p.grad = 0
            error(parameters, tanh).backward()
            for p in parameters:
                p.data -= ALPHA * p.grad
        return np.array([p.data for p in parameters])

    return run


def main() -> None:
    """Race them; after ten steps they must agree."""
    runs = installed({"ours native": ours_native, "ours eager": ours_eager, "micrograd": micrograd})
    first = {name: run(10) for name, run in runs.items()}  # type: ignore[call-arg]
    for name, found in first.items():
        np.testing.assert_allclose(found, first["ours eager"], rtol=1e-9, err_msg=name)
    bars = [Bar("ours native", "micrograd", 1 / 1000)]
    report("XOR, every number a node", take_turns(runs), STEPS, bars, "step")


if __name__ == "__main__":
    main()
