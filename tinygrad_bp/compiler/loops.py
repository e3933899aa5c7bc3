"""Compiled loops: a step that makes the next state from the last one, over rows of data.

This is the one seam through which training reaches speed. A step is recorded like any function;
states stay inside, in place, and the loop over rows and rounds is part of the machine code.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.compiler.engines import best_plan, plan
from tinygrad_bp.compiler.trace import Argument, trace
from tinygrad_bp.errors import CompileError


class CompiledLoop:
    """``state = step(state, *row)`` for every row of the data.

    ``step`` takes a list of Tensors (the state) and one Tensor for each array of data, and returns
    the next state. ``state`` and ``rows`` are arrays that tell shapes and dtypes.
    """

    def __init__(
        self,
        step: Callable[..., Sequence[Any]],
        state: Sequence[np.ndarray],
        rows: Sequence[np.ndarray],
        engine: str = "auto",
    ) -> None:
        count = len(state)
        arguments = [Argument(x.shape, x.dtype, name=f"W[{i}]") for i, x in enumerate(state)]
        arguments += [Argument(x.shape, x.dtype, gradient=False) for x in rows]

        def rebuild(tensors: Any) -> Any:
            every = list(tensors)
            return (every[:count], *every[count:]), {}

        traced = trace(step, arguments, rebuild)
        program = traced.program
        kept = [(y.shape, y.dtype) for y in program.outputs]
        if traced.captured or kept != [(x.shape, x.dtype) for x in state]:
            raise CompileError(
                f"a step that returns {kept}",
                where="a compiled loop",
                expected="the next state, of the same shapes and dtypes",
                repair="Pass everything that it needs as state or data.",
            )
        states = {i: i for i in range(count)}
        numbers = range(count, count + len(rows))
        self.plan = (
            best_plan(program, states, numbers)
            if engine == "auto"
            else plan(program, engine, states, numbers)
        )
        self._states = self.plan.inputs[:count]
        self.seconds = 0.0  # that one round over the data took, as whoever runs it measured

    @property
    def state(self) -> list[np.ndarray]:
        """A copy of the state; assign to set it."""
        return [x.copy() for x in self._states]

    @state.setter
    def state(self, arrays: Sequence[np.ndarray]) -> None:
        for place, array in zip(self._states, arrays, strict=True):
            np.copyto(place, array)

    def run(self, data: Sequence[np.ndarray], first: int, last: int, rounds: int = 1) -> None:
        """Go over the rows from `first` to `last`, `rounds` times."""
        with np.errstate(all="ignore"):
            self.plan.loop(data, first, last, rounds)
