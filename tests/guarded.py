"""Compiled programs on arrays that stand between pages that nobody may touch.

python guarded.py SEEDS          # run as a program, since a fault ends the process
python guarded.py SEEDS planted  # with loops that go one element too far: must not survive
"""

import ctypes
import math
import mmap
import os
import sys

import numpy as np
from programs import EXACT, EXTREME, MOVING, SMOOTH, draw

import tinygrad_bp as tg
from tinygrad_bp.compiler import llvm_emit, llvm_kernels, native
from tinygrad_bp.compiler.loops import CompiledLoop

LIBC, PAGE, CANARY = ctypes.CDLL(None), mmap.PAGESIZE, 0xA5
SIZES = [(1, 65, 33), (5, 7, 3), (4, 16, 31), (9, 1, 2), (3, 40, 10), (0, 3, 2), (2, 0, 3)]


class Guard:
    """Hands out arrays that begin, or end, at a page that may not be touched."""

    def __init__(self):
        self.at_end, self.count, self.rims = False, 0, []

    def __call__(self, shape, dtype):
        size = math.prod(shape) * dtype.itemsize
        pages = max(1, -(-size // PAGE))
        memory = mmap.mmap(-1, (pages + 2) * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for guard in (start, start + (pages + 1) * PAGE):
            assert LIBC.mprotect(ctypes.c_void_p(guard), PAGE, 0) == 0
        middle = np.ndarray(pages * PAGE, np.uint8, memory, PAGE)
        middle[...] = CANARY
        offset = pages * PAGE - size if self.at_end else 0
        array = np.ndarray(shape, dtype, memory, PAGE + offset)
        array[...] = 0
        self.rims += [middle[:offset], middle[offset + size :]]
        self.count += 1
        return array

    def copy(self, values):
        array = self(values.shape, values.dtype)
        array[...] = values
        return array

    def check(self):
        """The rest of the first and last page is as it was; then forget all arrays."""
        for rim in self.rims:
            assert np.all(rim == CANARY), "an element outside of an array was written"
        self.rims.clear()


def products(a, b):
    return (
        tg.tanh(a @ b), (a @ b).sum(0), (a @ b).sum(1), (b.T @ a.T).sum(), a.T + 1, a > 0,
        tg.concatenate([a, a[::-1]]), a[:, ::-1].sum(), tg.einsum("ij,jk->ik", a, b).T,
        tg.grad(lambda a: tg.square(a @ b).sum())(a),
    )  # fmt: skip


def tables(a, b):
    rows = np.array([0, -1, 0])
    picked = tg.grad(lambda a: (a[rows] * a[rows]).sum())(a)
    return a[rows], picked, tg.cumsum(a, 1), a.max(1), tg.argmax(a, 1), b.min(0), tg.cumsum(b, 0)


def solved(a, b):
    square = a @ a.T + 2 * np.eye(a.shape[0])
    return tg.cholesky(square) @ tg.sigmoid(a)


def run_fixed(dtype):
    for m, k, n in SIZES:
        a, b = np.ones((m, k), dtype), np.ones((k, n), dtype)
        tg.compile(products, "native")(a, b)
        if a.size and b.size:
            tg.compile(tables, "native")(a, b)
            tg.compile(solved, "native")(a.astype(float), b)


def run_random(seed, dtype):
    function, inputs = draw(seed, EXACT + EXTREME + MOVING + SMOOTH, 8, dtype, seed % 2)

    def total(*xs):
        return sum(tg.tanh(y).sum() for y in function(*xs)) + sum(0 * x.sum() for x in xs)

    tg.compile(function, "native")(*inputs)
    tg.compile(tg.value_and_grad(total, (0, 1, 2)), "native")(*inputs)


def run_loop(guard, dtype):
    """Only the rows that are asked for are read: the others are cut off."""
    state, rows = np.ones((5, 3), dtype), np.ones((7, 5), dtype)

    def step(s, x):
        return [s[0] - 0.1 * tg.grad(lambda w: tg.tanh(x @ w).sum())(s[0])]

    loop = CompiledLoop(step, [state], [rows[0]], "native")
    loop.state = [state]
    loop.run([guard.copy(rows)], 0, 7, 2)
    loop.run([guard.copy(rows)], 3, 7)


def main(seeds, planted):
    guard = native._aligned = Guard()
    if planted:
        llvm_kernels.pieces = lambda count, width: [(0, count + 1, 1)]
    np.seterr(all="ignore")
    for guard.at_end in (True, False):
        for llvm_emit.STACK in (0, 1 << 16):  # intermediate results in guarded memory; or not
            for dtype in (np.dtype(np.float64), np.dtype(np.float32)):
                run_fixed(dtype)
                run_loop(guard, dtype)
                guard.check()
        for seed in range(seeds):
            llvm_emit.STACK = 0 if seed % 3 else 1 << 16
            run_random(seed, np.dtype((np.float64, np.float32)[seed // 2 % 2]))
            guard.check()
    print(f"{guard.count} arrays, nothing outside of them touched", flush=True)
    os._exit(0)  # without waiting for what NumPy still holds


if __name__ == "__main__":
    main(int(sys.argv[1]), "planted" in sys.argv)
