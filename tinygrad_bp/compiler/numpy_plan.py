"""The NumPy engine: a program as a list of calls that write into arrays allocated in advance."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_bp.compiler.primitives import (
    REDUCTIONS,
    SEARCHES,
    Value,
    evaluate,
    is_elementwise,
    is_view,
    slices,
    subscripts_of,
    view_of,
)
from tinygrad_bp.compiler.program import Program

Step = tuple[Callable[..., Any], tuple[Any, ...]]


class NumpyPlan:
    """A program, ready to run.

    ``inputs`` and ``outputs`` are the arrays to write to and to read from. ``state`` maps numbers
    of outputs to numbers of inputs: what one run computes is what the next one is given. ``rows``
    are inputs of which each round of a loop is given the next row of its data.
    """

    def __init__(
        self,
        program: Program,
        state: Mapping[int, int] | None = None,
        rows: Sequence[int] = (),
    ) -> None:
        self.program, self.steps, self.rows = program, list[Step](), tuple(rows)
        self.arrays: dict[Value, np.ndarray] = {}
        self._pool: dict[Any, list[np.ndarray]] = {}
        self._owner: dict[Value, Value] = {}  # whose memory a value lives in
        self._last: dict[Value, int] = {}
        self._home: dict[Value, np.ndarray] = {}
        self._state = state or {}
        self.inputs = [np.zeros(x.shape, x.dtype) for x in program.inputs]
        self.arrays.update(zip(program.inputs, self.inputs, strict=True))
        self._owner.update((x, x) for x in program.inputs)
        self._plan_lifetimes()
        self._plan_state(state or {})
        for number, value in enumerate(program.values):
            self._plan(number, value)
        self.outputs = [self.arrays[y] for y in program.outputs]
        for output, given in (state or {}).items():
            if self.outputs[output] is not self.inputs[given]:
                self.steps.append((np.copyto, (self.inputs[given], self.outputs[output])))

    def run(self) -> None:
        """Compute the outputs from the inputs."""
        for function, arguments in self.steps:
            function(*arguments)

    def loop(self, data: Sequence[np.ndarray], first: int, last: int, rounds: int = 1) -> None:
        """Run over the rows of `data` from `first` to `last`, `rounds` times."""
        places = [self.inputs[i] for i in self.rows]
        pairs = list(zip(places, data, strict=True))
        steps = self.steps
        for _ in range(rounds):
            for row in range(first, last):
                for place, array in pairs:
                    place[...] = array[row]
                for function, arguments in steps:
                    function(*arguments)

    # ------------------------------------------------------------------------------ memory

    def _plan_lifetimes(self) -> None:
        """Find out after which value each piece of memory is not needed any more."""
        for number, value in enumerate(self.program.values):
            single = value.inputs[0] if is_view(value) else value
            self._owner[value] = self._owner.get(single, value)
            for x in value.inputs:
                self._last[self._owner[x]] = number
        for y in self.program.outputs:
            self._last[self._owner[y]] = len(self.program.values)

    def _plan_state(self, state: Mapping[int, int]) -> None:
        """Let the last elementwise use of a state write the next one in its place."""
        number = {value: i for i, value in enumerate(self.program.values)}
        for output, given in state.items():
            y, x = self.program.outputs[output], self.program.inputs[given]
            free = self._last.get(x, -1) <= number[y] and self.program.outputs.count(y) == 1
            if free and _is_ufunc(y) and x not in self.program.outputs:
                self._home[y] = self.arrays[x]

    def _new(self, number: int, value: Value) -> np.ndarray:
        if value in self._home:
            return self._home[value]
        if _is_ufunc(value):
            self._release(number, value)
        free = self._pool.get((value.shape, value.dtype))
        array: np.ndarray = free.pop() if free else np.empty(value.shape, value.dtype)
        if not _is_ufunc(value):
            self._release(number, value)
        return array

    def _release(self, number: int, value: Value) -> None:
        """Give back the memory of inputs that were used for the last time."""
        for owner in dict.fromkeys(self._owner[x] for x in value.inputs):
            made_here = owner.primitive not in ("input", "constant") and owner not in self._home
            if self._last[owner] == number and made_here:
                self._pool.setdefault((owner.shape, owner.dtype), []).append(self.arrays[owner])

    # ------------------------------------------------------------------------------ steps

    def _plan(self, number: int, value: Value) -> None:
        if value.primitive == "input":
            return
        if value.primitive == "constant":
            self.arrays[value] = value.params[0]
            return
        narrow = value.inputs if not _is_ufunc(value) else map(_before_broadcast, value.inputs)
        inputs = [self.arrays[x] for x in narrow]
        if is_view(value):
            view = view_of(value, inputs[0])
            self.arrays[value] = self._plan_view(value, view, inputs[0])
            return
        self.arrays[value] = out = self._new(number, value)
        self.steps.extend(steps_of(value, inputs, out))

    def _plan_view(self, value: Value, view: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return a view of the array x, or memory for a copy where there has to be one."""
        if value.size and not np.may_share_memory(view, x):  # a reshape that has to copy
            out = np.empty(value.shape, value.dtype)
            self.steps.append((np.copyto, (out.reshape(x.shape), x)))
            return out
        if self._state and value in self.program.outputs:  # a next state is not one of now
            out = np.empty(value.shape, value.dtype)
            self.steps.append((np.copyto, (out, view)))
            return out
        return view


def _before_broadcast(x: Value) -> Value:
    """Return what a ufunc broadcasts by itself, which is faster for single numbers."""
    return x.inputs[0] if x.primitive == "broadcast" else x


def _is_ufunc(value: Value) -> bool:
    return is_elementwise(value) and value.primitive not in ("select", "cast")


def steps_of(value: Value, inputs: Sequence[np.ndarray], out: np.ndarray) -> list[Step]:
    """Return the calls that compute one value into `out`."""
    if _is_ufunc(value):
        ufunc = getattr(np, value.primitive)
        if value.primitive in ("maximum", "minimum"):  # NumPy wants their `out` by name
            return [(partial(ufunc, out=out), tuple(inputs))]
        return [(ufunc, (*inputs, out))]
    match value.primitive:
        case "cast":
            return [(partial(np.copyto, casting="unsafe"), (out, inputs[0]))]
        case "select":
            chosen = partial(np.copyto, where=inputs[0])
            return [(np.copyto, (out, inputs[2])), (chosen, (out, inputs[1]))]
        case "join":
            return [(partial(np.concatenate, axis=value.params[0], out=out), (inputs,))]
        case "place":
            starts, steps, fill = value.params
            inner = out[slices(starts, steps, inputs[0].shape)]
            return [(out.fill, (fill,)), (np.copyto, (inner, inputs[0]))]
        case "contract":
            return [_product(value, inputs[0], inputs[1], out)]
    functions = REDUCTIONS | SEARCHES | {"cumsum": np.cumsum}
    if value.primitive in functions:
        function = partial(functions[value.primitive], axis=value.params[0], out=out)
        return [(function, (inputs[0],))]
    return [(_assign, (out, value, inputs))]


def _assign(out: np.ndarray, value: Value, inputs: Sequence[np.ndarray]) -> None:
    out[...] = evaluate(value, *inputs)


def _product(value: Value, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Step:
    """Use the product of matrices where a contraction is one."""
    left, right, to = value.params
    batch = [c for c in to if c in left and c in right]
    rows = [c for c in left if c not in right]
    inner = [c for c in left if c not in to]
    columns = [c for c in right if c not in left]
    matrices = max(len(rows), len(inner), len(columns)) <= 1 and value.dtype.kind == "f"
    if not matrices or a.size == 0 or b.size == 0:
        return partial(np.einsum, out=out), (subscripts_of(value), a, b)
    a = _as_matrices(a, left, batch, rows, inner)
    b = _as_matrices(b, right, batch, inner, columns)
    out = _as_matrices(out, to, batch, rows, columns)
    plain = not batch and out.flags.c_contiguous
    return (np.dot if plain else np.matmul), (a, b, out)


def _as_matrices(
    x: np.ndarray, labels: Sequence[int], batch: list[int], rows: list[int], columns: list[int]
) -> np.ndarray:
    """View an array as matrices: batch axes first; a vector gets an axis of length 1."""
    x = np.transpose(x, [list(labels).index(c) for c in (*batch, *rows, *columns)])
    if not columns:
        x = x[..., None]
    return x if rows else x[..., None, :]
