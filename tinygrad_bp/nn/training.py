"""The compiled loop of training: whole epochs in one call, in chunks of a fifth of a second."""

import logging
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

import numpy as np

from tinygrad_bp.compiler.engines import ENGINES, check_engine
from tinygrad_bp.compiler.loops import CompiledLoop
from tinygrad_bp.errors import CompileError
from tinygrad_bp.tensor import Tensor

CHUNK = 0.2  # seconds after which Python may look up: for Ctrl-C, for what is printed
SHORT = 2000  # steps that are over before anything would be compiled
LONG = 100_000  # steps from which a hint at more speed is welcome

Step = Callable[..., Sequence[Tensor]]


def compiled_loop(
    step: Step, state: Sequence[np.ndarray], data: Sequence[np.ndarray], steps: int, engine: str
) -> CompiledLoop | None:
    """Return the loop for an engine; None where the recorded graph itself is the better choice."""
    check_engine(engine, (*ENGINES, "eager"))
    if engine == "eager" or (engine == "auto" and steps < SHORT):
        return None
    rows = [array[0] for array in data]
    if engine == "auto":
        try:
            return CompiledLoop(step, state, rows, "native")
        except CompileError as error:
            if steps >= LONG:
                logging.getLogger("tinygrad_bp").warning("fit runs on NumPy: %s", error)
            engine = "numpy"
    return CompiledLoop(step, state, rows, engine)


def run_epochs(
    loop: CompiledLoop, data: Sequence[np.ndarray], done: int, stop: int
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Train from epoch `done` to epoch `stop`; after each chunk yield the epoch and the state.

    What is yielded is finite, except at the end: the first epoch with a weight that is not ends
    the training.
    """
    while done < stop:
        seconds = loop.seconds  # of one epoch, as far as known
        count = min(stop - done, max(1, int(CHUNK / seconds))) if seconds else 1
        before, start = loop.state, perf_counter()
        _run_rounds(loop, data, count)
        loop.seconds = max((perf_counter() - start) / count, 1e-9)
        state = loop.state
        if not are_finite(state):
            yield from _replay(loop, data, done, before)
            return
        done += count
        yield done, state


def _run_rounds(loop: CompiledLoop, data: Sequence[np.ndarray], count: int) -> None:
    """Run epochs in one call; a long epoch, or one of unknown length, in parts that grow."""
    rows = len(data[0])
    if 0 < loop.seconds <= CHUNK:
        loop.run(data, 0, rows, count)
        return
    first, part = 0, 1
    while first < rows:
        start = perf_counter()
        loop.run(data, first, min(first + part, rows))
        first += part
        part = max(1, min(2 * part, int(part * CHUNK / max(perf_counter() - start, 1e-9))))


def _replay(
    loop: CompiledLoop, data: Sequence[np.ndarray], done: int, weights: list[np.ndarray]
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Go through a chunk again, epoch by epoch, up to the first weight that is not finite."""
    loop.state = weights
    while are_finite(weights):
        loop.run(data, 0, len(data[0]))
        done, weights = done + 1, loop.state
        yield done, weights


def are_finite(weights: Sequence[np.ndarray]) -> bool:
    """Tell whether all numbers are finite."""
    return all(np.isfinite(w).all() for w in weights)
