"""Does memory stay flat, however many functions are compiled and dropped?

Run from the project root:

    python -m benchmarks.memory [--rounds 10000] [--cold 10000]

Three loops compile a small function, call it and drop it: every round another program as NumPy
calls, every round another program as machine code, and machine code that the disk cache holds.
After a warm-up it prints the resident memory eleven times, and what a compilation left behind:
bytes that malloc has handed out (mallinfo2), resident bytes, objects that only the collector of
cycles frees, and mapped regions. Last comes llvmlite alone, without this library: what one run of
an empty list of passes leaves, since a pass builder keeps a callback for every run and frees none.

Leaves with status 1 when a compilation leaves more than 100 bytes. Linux, with glibc.
"""

import argparse
import ctypes
import gc
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import tinygrad_bp as tg

BAR = 100.0  # bytes for a compilation
WARM = 300
X = np.arange(6.0).reshape(2, 3)
Round = Callable[[int], None]


class Heap(ctypes.Structure):
    """What mallinfo2 tells."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost",
        )
    ]  # fmt: skip


def allocated() -> int:
    """Return the bytes that malloc has handed out."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Heap
    heap = libc.mallinfo2()
    return int(heap.uordblks + heap.hblkhd)


def resident() -> int:
    """Return the bytes of memory that this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def regions() -> int:
    """Return the number of mapped regions."""
    return len(Path("/proc/self/maps").read_text().splitlines())


def compile_and_drop(number: float, engine: str) -> None:
    """Compile a program in which `number` stands, call it, and drop it."""
    fast = tg.compile(lambda x: tg.tanh(x * number).sum() + number, engine)
    assert np.isclose(fast(X), np.tanh(X * number).sum() + number)


def empty_passes() -> Round:
    """Return a round of llvmlite alone: parse an empty module, run no pass, drop everything.

    As in the library, a new pass builder is made for every 128 runs, and the old one closed.
    """
    from llvmlite import binding

    binding.initialize_native_target()
    target = binding.Target.from_default_triple().create_target_machine()
    options = binding.create_pipeline_tuning_options()
    passes = binding.create_new_module_pass_manager()
    builders = [binding.create_pass_builder(target, options)]

    def run(number: int) -> None:
        if number % 128 == 0:
            builders.pop().close()
            builders.append(binding.create_pass_builder(target, options))
        passes.run(binding.parse_assembly("", binding.create_context()), builders[0])

    return run


def measure(name: str, one: Round, rounds: int) -> float:
    """Run the rounds and print a row; return the bytes that each left behind.

    Counted is the second half: in the first, tables of the interpreter may still double, once.
    """
    for i in range(WARM):
        one(-1 - i)
    gc.collect()
    maps, cycles, seen = regions(), 0, [(resident(), allocated())]
    gc.disable()
    for part in range(10):
        for i in range(part * rounds // 10, (part + 1) * rounds // 10):
            one(i)
        cycles += gc.collect()
        seen.append((resident(), allocated()))
    gc.enable()
    memory, heap = ((seen[10][k] - seen[5][k]) / (rounds - rounds // 2) for k in (0, 1))
    sizes = " ".join(f"{r / 1e6:.2f}" for r, _ in seen)
    counts = f"{heap:.0f} | {memory:.0f} | {cycles / rounds:.2f} | {regions() - maps}"
    print(f"| {name} | {rounds:,} | {counts} | {sizes} |", flush=True)
    return max(heap, memory)


HEAD = """## Memory

Functions are compiled, called and dropped, each with another program. What one of them leaves, over
the second half of the rounds: bytes that malloc has handed out, resident bytes, objects in cycles;
mapped regions are counted over all. Last, llvmlite alone running no pass over an empty module:
pass builders keep a callback for every run, and it frees neither those nor what they hang on.

| each round | rounds | malloc | resident | in cycles | regions | resident MB, from start to end |
| --- | ---: | ---: | ---: | ---: | ---: | --- |"""


def main() -> int:
    """Run the loops; return 1 if a compilation leaves memory behind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10000)
    parser.add_argument("--cold", type=int, help="rounds that make machine code")
    given = parser.parse_args()
    print(HEAD)
    loops = [
        ("NumPy calls", lambda i: compile_and_drop(1.5 + i, "numpy"), given.rounds),
        ("machine code", lambda i: compile_and_drop(1.5 + i, "native"), given.cold or given.rounds),
        ("from the cache", lambda i: compile_and_drop(1.5 + i % 10, "native"), given.rounds),
    ]
    left = []
    with tempfile.TemporaryDirectory() as folder:
        for name, one, rounds in loops:
            os.environ["TINYGRAD_BP_CACHE"] = folder if name == "from the cache" else ""
            left.append(measure(name, one, rounds))
    measure("llvmlite alone", empty_passes(), 4000)
    flat = max(left) <= BAR
    verdict = "met" if flat else "**missed**"
    print(f"\nAt most {BAR:.0f} bytes for a compilation: {max(left):.0f}, {verdict}")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
