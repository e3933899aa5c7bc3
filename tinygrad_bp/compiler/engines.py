"""Choosing an engine: machine code where it can be made and pays, NumPy everywhere."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from tinygrad_bp.compiler.native import NativePlan
from tinygrad_bp.compiler.numpy_plan import NumpyPlan
from tinygrad_bp.compiler.primitives import Value, base_of
from tinygrad_bp.compiler.program import Program
from tinygrad_bp.compiler.program import program as program_of
from tinygrad_bp.compiler.simplify import simplify
from tinygrad_bp.compiler.symbol import harmless
from tinygrad_bp.compiler.verify import verify
from tinygrad_bp.errors import CompileError, TinygradError, describe
from tinygrad_bp.validate import refuse

ENGINES = ("auto", "native", "numpy")
RACE = 1 << 16  # from so many elements on, NumPy's loops may win: both are tried
HEATS = 3


class Plan(Protocol):
    """A program that is ready to run."""

    program: Program
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]

    def run(self) -> None:
        """Compute the outputs from the inputs."""

    def loop(self, data: Sequence[np.ndarray], first: int, last: int, rounds: int = 1) -> None:
        """Run over rows of data."""


def check_engine(engine: Any, allowed: Sequence[str] = ENGINES) -> str:
    """Return the name of an engine, or raise `InputError`."""
    if engine not in allowed:
        refuse("engine", describe(engine), f"one of {', '.join(allowed)}", 'Leave "auto".')
    return str(engine)


def plan(
    program: Program,
    engine: str,
    state: Mapping[int, int] | None = None,
    rows: Sequence[int] = (),
) -> Plan:
    """Simplify a program and make it ready to run with an engine, "native" or "numpy"."""
    verify(program, "recording")
    simple = simplify(program, products=engine == "numpy")
    program = verify(apart(simple, state or {}), "simplification")
    if engine == "numpy":
        return NumpyPlan(program, state, rows)
    return NativePlan(program, state, rows)


def apart(given: Program, state: Mapping[int, int]) -> Program:
    """Copy next states that are other states of now, so that none is overwritten too early."""
    outputs = list(given.outputs)
    for output, number in state.items():
        y = outputs[output]
        if base_of(y).primitive == "input" and y is not given.inputs[number]:
            outputs[output] = Value("broadcast", (y,), y.shape, y.dtype)  # a view, stored as such
    return program_of(given.inputs, outputs)


def best_plan(
    program: Program, state: Mapping[int, int] | None = None, rows: Sequence[int] = ()
) -> Plan:
    """Return the native plan; NumPy's if there is none, or if that wins a race."""
    try:
        native = plan(program, "native", state, rows)
    except CompileError:
        return plan(program, "numpy", state, rows)
    if sum(value.size for value in program.values) < RACE:
        return native
    other = plan(program, "numpy", state, rows)
    for numbers in (_one, _harmless):  # not every op takes ones: a matrix of ones is singular
        with suppress(TinygradError):
            return native if _seconds(native, numbers) <= _seconds(other, numbers) else other
    return native


def _one(x: Value) -> Any:
    return 1


def _harmless(x: Value) -> Any:
    return harmless(x, index=x.dtype.kind in "iu")


def _seconds(candidate: Plan, numbers: Callable[[Value], Any]) -> float:
    """Measure the fastest of a few runs on such numbers."""
    for array, x in zip(candidate.inputs, candidate.program.inputs, strict=True):
        array[...] = numbers(x)
    times = []
    with np.errstate(all="ignore"):
        for _ in range(HEATS):
            start = perf_counter()
            candidate.run()
            times.append(perf_counter() - start)
    return min(times)
