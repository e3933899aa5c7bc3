"""The native engine: memory for a module, checked pointers, and calls."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from tinygrad_bp.compiler.llvm_emit import FOREIGN, Layout, layout, module_text
from tinygrad_bp.compiler.machine import Machine
from tinygrad_bp.compiler.numpy_plan import steps_of
from tinygrad_bp.compiler.primitives import Value, view_of
from tinygrad_bp.compiler.program import Program
from tinygrad_bp.compiler.schedule import Schedule, schedule
from tinygrad_bp.errors import CompileError


class NativePlan:
    """A program as machine code.

    ``inputs`` and ``outputs`` are the arrays to write to and to read from. ``state`` maps numbers
    of outputs to numbers of inputs: what one run computes is what the next one is given. ``rows``
    are inputs of which each round of a loop is given the next row of `data`.
    """

    def __init__(
        self,
        program: Program,
        state: Mapping[int, int] | None = None,
        rows: Sequence[int] = (),
    ) -> None:
        self.program = program
        self.schedule: Schedule = schedule(program, state)
        self.layout: Layout = layout(self.schedule)
        self.rows = tuple(rows)
        machine = Machine.get()
        self.ir = module_text(self.layout, self.rows, machine.header, machine.tile)
        natives = [p for p in self.layout.parts if p[0].kind not in FOREIGN]
        self.code = machine.compile(self.ir, [f"run{i}" for i in range(len(natives))])
        self.arrays: dict[Value, np.ndarray] = {}
        self._allocate(program)
        self.table = _aligned((max(1, self.layout.size),), np.dtype(np.uintp))
        self._fill_table()
        self.steps = self._plan_steps()
        self.single = len(self.steps) == 1 and bool(natives)

    @property
    def asm(self) -> str:
        """The program in the language of the processor."""
        return Machine.get().assembly(self.ir)

    def run(self) -> None:
        """Compute the outputs from the inputs."""
        for step in self.steps:
            step(0, 1, 1)

    def loop(self, data: Sequence[np.ndarray], first: int, last: int, rounds: int = 1) -> None:
        """Run over the rows of `data` from `first` to `last`, `rounds` times."""
        self._check_rows(data, first, last)
        if rounds < 1 or last <= first:
            return
        if self.single:
            self._point_to(data)
            try:
                self.steps[0](first, last, rounds)
            finally:
                self._point_to(self.inputs[i] for i in self.rows)
            return
        for _ in range(rounds):
            for row in range(first, last):
                for i, array in zip(self.rows, data, strict=True):
                    self.inputs[i][...] = array[row]  # what NumPy computes reads it there
                self.run()

    # ------------------------------------------------------------------------------ memory

    def _allocate(self, program: Program) -> None:
        """Allocate all memory that is seen from outside of a segment."""
        memory: dict[int, np.ndarray] = {}
        for value, slot in self.layout.slots.items():
            if slot not in memory:
                memory[slot] = _aligned(value.shape, value.dtype)
            self.arrays[value] = memory[slot].reshape(-1).view(value.dtype).reshape(value.shape)
            if value.primitive == "constant":
                self.arrays[value][...] = value.params[0]
        self._tables = [_table(value) for value in self.layout.tables]
        self.inputs = [self.arrays[x] for x in program.inputs]
        self.outputs = [self.arrays[self.schedule.place_of(y)] for y in program.outputs]

    def _fill_table(self) -> None:
        for value, slot in self.layout.slots.items():
            self.table[slot] = self.arrays[value].ctypes.data
        for slot, table in zip(self.layout.tables.values(), self._tables, strict=True):
            self.table[slot] = table.ctypes.data

    def _check_rows(self, data: Sequence[np.ndarray], first: int, last: int) -> None:
        """Refuse rows that are not what machine code reads."""
        for i, array in zip(self.rows, data, strict=True):
            x = self.schedule.program.inputs[i]
            whole = array.shape[1:] == x.shape and 0 <= first <= last <= len(array)
            if not whole or array.dtype != x.dtype or not _is_plain(array):
                raise CompileError(
                    f"{array.dtype} of shape {array.shape}, rows {first} to {last}",
                    where="a compiled loop",
                    expected=f"contiguous rows of {x.dtype} and shape {x.shape}",
                    repair="Pass np.ascontiguousarray(data).",
                )

    def _point_to(self, data: Iterable[np.ndarray]) -> None:
        """Let the table point to the rows of some data."""
        for i, array in zip(self.rows, data, strict=True):
            self.table[self.layout.slots[self.schedule.program.inputs[i]]] = array.ctypes.data

    # ------------------------------------------------------------------------------ steps

    def _plan_steps(self) -> list[Callable[[int, int, int], None]]:
        """List the calls of one run: segments, and between them what NumPy computes."""
        steps: list[Callable[[int, int, int], None]] = []
        entries = iter(self.code.entries)
        pointer = self.table.ctypes.data
        for kernels in self.layout.parts:
            if kernels[0].kind in FOREIGN:
                steps.append(self._foreign(kernels[0].value))
            else:
                steps.append(_segment(next(entries), pointer))
        if self.layout.parts and self.layout.parts[-1][0].kind in FOREIGN:
            for x, y in self.layout.returned:
                steps.append(_copy(self.arrays[x], self.arrays[y]))
        return steps

    def _foreign(self, value: Value) -> Callable[[int, int, int], None]:
        """Return the step that lets NumPy compute a value."""
        inputs = [self._view(x) for x in value.inputs]
        calls = steps_of(value, inputs, self.arrays[value])

        def step(first: int, last: int, rounds: int) -> None:
            for function, arguments in calls:
                function(*arguments)

        return step

    def _view(self, x: Value) -> np.ndarray:
        path: list[Value] = []
        while x not in self.schedule.stored:
            path.append(x)
            (x,) = x.inputs
        array = self.arrays[self.schedule.place_of(x)]
        for step in reversed(path):
            array = view_of(step, array)
        return array


def _segment(entry: Callable[..., None], table: int) -> Callable[[int, int, int], None]:
    return lambda first, last, rounds: entry(table, first, last, rounds)


def _copy(to: np.ndarray, source: np.ndarray) -> Callable[[int, int, int], None]:
    return lambda first, last, rounds: np.copyto(to, source)


def _table(value: Value) -> np.ndarray:
    places = _aligned(value.params[0].shape, np.dtype(np.int64))
    places[...] = value.params[0]
    size = (value.inputs[0] if value.primitive == "gather" else value).size
    if places.size and not 0 <= places.min() <= places.max() < size:
        raise CompileError("a table that leads out of its array", where="the native engine")
    return places


def _is_plain(array: np.ndarray) -> bool:
    return array.flags.c_contiguous and array.flags.aligned


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Allocate zeros on a boundary of 64 bytes."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    array: np.ndarray = raw[start : start + size].view(dtype).reshape(shape)
    return array
