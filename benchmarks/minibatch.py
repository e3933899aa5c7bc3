"""Minibatches in float32: sigmoid layer, softmax cross-entropy, gradient descent.

python -m benchmarks.minibatch
"""

import numpy as np

import tinygrad_bp as tg
from benchmarks.side_by_side import THREADS, Bar, Run, installed, report, take_turns
from tinygrad_bp.compiler.loops import CompiledLoop

ALPHA = np.float32(0.1)
JOBS = ((784, 128, 10, 1, 200), (784, 128, 10, 32, 40), (784, 512, 10, 128, 8))  # …, batch, steps


class Job:
    """Weights and batches of one size."""

    def __init__(self, inputs: int, hidden: int, outputs: int, batch: int, steps: int) -> None:
        rng = np.random.default_rng(0)
        shapes = (inputs, hidden), (hidden,), (hidden, outputs), (outputs,)
        self.weights = [
            (rng.standard_normal(s) / np.sqrt(s[0])).astype(np.float32) if len(s) > 1
            else np.zeros(s, np.float32)
            for s in shapes
        ]  # fmt: skip
        self.x = rng.random((steps, batch, inputs), np.float32)
        self.y = np.eye(outputs, dtype=np.float32)[rng.integers(0, outputs, (steps, batch))]
        self.batch = batch

    def ours(self, engine: str) -> Run:
        def step(state, x, y):
            w, b, v, c = state
            scores = tg.sigmoid(x @ w + b) @ v + c
            error = -(y * tg.log_softmax(scores)).sum() / self.batch
            slopes = error.gradient(*state, differentiable=True)
            return [p - ALPHA * s for p, s in zip(state, slopes, strict=True)]

        loop = CompiledLoop(step, self.weights, [self.x[0], self.y[0]], engine)
        loop.state = self.weights

        def run():
            loop.run([self.x, self.y], 0, len(self.x))
            return loop.state

        return run

    def numpy(self) -> Run:
        w, b, v, c = (p.copy() for p in self.weights)

        def run():
            for x, y in zip(self.x, self.y, strict=True):
                hidden = 1 / (1 + np.exp(-(x @ w + b)))
                scores = hidden @ v + c
                scores -= scores.max(1, keepdims=True)
                likely = np.exp(scores)
                likely /= likely.sum(1, keepdims=True)
                d = (likely - y) / np.float32(self.batch)
                e = (d @ v.T) * hidden * (1 - hidden)
                v[...] -= ALPHA * (hidden.T @ d)
                c[...] -= ALPHA * d.sum(0)
                w[...] -= ALPHA * (x.T @ e)
                b[...] -= ALPHA * e.sum(0)
            return [w, b, v, c]

        return run

    def torch(self) -> Run:
        import torch

        torch.set_num_threads(THREADS)
        state = [torch.tensor(p, requires_grad=True) for p in self.weights]
        pairs = zip(self.x, self.y, strict=True)
        batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in pairs]

        def run():
            for x, y in batches:
                w, b, v, c = state
                scores = torch.sigmoid(x @ w + b) @ v + c
                error = -(y * torch.log_softmax(scores, 1)).sum() / self.batch
                error.backward()
                with torch.no_grad():
                    for p in state:
                        p.sub_(p.grad, alpha=float(ALPHA))
                        p.grad = None
            return [p.detach().numpy().copy() for p in state]

        return run

    def jax(self) -> Run:
        import jax
        import jax.numpy as jnp

        def loss(state, x, y):
            w, b, v, c = state
            scores = jax.nn.sigmoid(x @ w + b) @ v + c
            return -(y * jax.nn.log_softmax(scores)).sum() / self.batch

        def step(state, sample):
            slopes = jax.grad(loss)(state, *sample)
            return [p - ALPHA * s for p, s in zip(state, slopes, strict=True)], None

        epoch = jax.jit(lambda state, x, y: jax.lax.scan(step, state, (x, y))[0])
        x, y = jnp.asarray(self.x), jnp.asarray(self.y)
        state = [[jnp.asarray(p) for p in self.weights]]

        def run():
            state[0] = epoch(state[0], x, y)
            return [np.asarray(p.block_until_ready()) for p in state[0]]

        return run


def main() -> None:
    """Race all programs on every job; they must arrive at the same weights."""
    bars = [Bar("ours native", "JAX", 1.0), Bar("ours native", "torch", 0.6)]
    for job in JOBS:
        here = Job(*job)
        runs = installed({
            "ours native": lambda: here.ours("native"),  # noqa: B023 (called at once)
            "ours numpy": lambda: here.ours("numpy"),  # noqa: B023
            "NumPy by hand": here.numpy,
            "JAX": here.jax,
            "torch": here.torch,
        })  # fmt: skip
        first = {name: [np.array(p) for p in run()] for name, run in runs.items()}
        for name, state in first.items():
            for a, b in zip(state, first["NumPy by hand"], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=name)
        inputs, hidden, outputs, batch, steps = job
        title = f"{inputs}-{hidden}-{outputs}, batch {batch}, float32"
        report(title, take_turns(runs), dict.fromkeys(runs, steps), bars, "step")


if __name__ == "__main__":
    main()
