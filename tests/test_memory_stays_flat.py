"""Compiled functions leave nothing behind when they are dropped: counted, not timed."""

import ctypes
import gc
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import require
from test_graphs_are_freed_by_reference_counting import garbage_after

import tinygrad_bp as tg
from tinygrad_bp.compiler import machine

ROUNDS = 300
LEFT = 150  # bytes of malloc for a compilation; llvmlite itself keeps about 50
SLACK = ROUNDS  # a leak takes a block each time; the tables of the interpreter fill up more slowly
X = np.arange(6.0).reshape(2, 3)
Y = np.ones((3, 4))

engines = pytest.mark.parametrize("engine", ["native", "numpy"])


class Heap(ctypes.Structure):
    """What mallinfo2 tells."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost",
        )
    ]  # fmt: skip


def allocated():
    """Bytes in pieces that malloc has handed out; whole pages of large ones are counted apart."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, TypeError, OSError):
        pytest.skip("the C library does not count what it hands out")
    mallinfo2.restype = Heap
    return mallinfo2().uordblks


def regions():
    """The mapped regions that may be executed."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        pytest.skip("the system does not tell what is mapped")
    return [line for line in lines if "x" in line.split()[1]]


def program(number):
    """A function with sums, products and tables, in which a number stands."""

    def function(x, y):
        z = (x @ y * number).sum(0) + number
        return z, x[:, [0, 2]].max(1), tg.cumsum(x, 1) + number

    return function


def compile_and_drop(number, engine):
    if engine == "native":
        require("llvmlite", "fast")
    tg.compile(program(number), engine)(X, Y)


@pytest.fixture
def cold(monkeypatch):
    """Machine code is made, never found."""
    monkeypatch.setenv("TINYGRAD_BP_CACHE", "")


def growth(counts, action):
    """Count before and after 300 rounds of other programs, and return by how much each grew."""
    for i in range(-130, 0):
        action(1.5 + i)
    gc.collect()
    before = [count() for count in counts]
    for i in range(ROUNDS):
        action(1.5 + i)
    gc.collect()
    return [count() - first for count, first in zip(counts, before, strict=True)]


@pytest.mark.usefixtures("cold")
@engines
def test_a_compilation_leaves_no_memory_behind(engine):
    counts = [
        allocated,
        lambda: len(regions()),
        sys.getallocatedblocks,
        lambda: len(gc.get_objects()),
    ]
    heap, mapped, blocks, objects = growth(counts, lambda n: compile_and_drop(n, engine))
    assert heap < LEFT * ROUNDS
    assert mapped <= 2
    assert blocks < SLACK
    assert objects < SLACK


def test_machine_code_from_the_disk_leaves_no_memory_behind():
    def found(number):
        compile_and_drop(number % 10, "native")

    heap, mapped = growth([allocated, lambda: len(regions())], found)
    assert heap < LEFT * ROUNDS
    assert mapped <= 2


@pytest.mark.usefixtures("cold")
def test_the_count_sees_a_pass_manager_that_is_kept():
    """What llvmlite does with each: the bound notices it."""
    binding = require("llvmlite.binding", "fast")

    def leak(number):
        manager = binding.create_new_module_pass_manager()
        for name in machine.PASSES:
            getattr(manager, f"add_{name}_pass")()

    (heap,) = growth([allocated], leak)
    assert heap > LEFT * ROUNDS


@pytest.mark.usefixtures("cold")
@engines
def test_a_dropped_function_leaves_no_cycles(engine):
    def several():
        for i in range(40):
            compile_and_drop(i, engine)

    assert garbage_after(several) < 40  # a few types of ctypes, however many rounds


def test_machine_code_is_unmapped_the_moment_its_function_is_dropped():
    require("llvmlite", "fast")
    compile_and_drop(0.5, "native")
    gc.disable()
    try:
        before = set(regions())
        kept = [tg.compile(program(0.5 + i), "native") for i in range(20)]
        for fast in kept:
            fast(X, Y)
        assert len(set(regions()) - before) > 0
        entries = [fast._latest().plan.code.entries[0] for fast in kept]
        addresses = [ctypes.cast(entry, ctypes.c_void_p).value for entry in entries]
        assert all(executable(at) for at in addresses)
        del kept, fast, entries
        assert not any(executable(at) for at in addresses)
    finally:
        gc.enable()


def executable(address):
    """Tell whether code at an address may be run."""
    spans = (line.split()[0].split("-") for line in regions())
    return any(int(start, 16) <= address < int(stop, 16) for start, stop in spans)


def test_no_run_of_the_passes_calls_what_hundreds_of_earlier_ones_left_behind():
    """Each run leaves a callback in the builder; a new builder begins without."""
    require("llvmlite", "fast")
    passes = machine.Machine.get().passes
    used = []
    for i in range(2 * passes.RUNS):
        machine.Machine.get().optimized(f"define double @f() {{ ret double {i}.0 }}")
        used.append(passes._builder)
    runs = [sum(other is builder for other in used) for builder in used]
    assert max(runs) <= passes.RUNS <= 500
