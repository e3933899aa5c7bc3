"""From a schedule to the text of a module: segments of loop nests, and how they are entered.

Products of large matrices and linear algebra stay with NumPy, so a schedule is cut into segments
between them; most schedules are one segment. A table of pointers holds all memory that is seen
from outside of a segment.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tinygrad_bp.compiler.llvm_contract import contract_kernel
from tinygrad_bp.compiler.llvm_kernels import Memory, map_kernel, reduce_kernel
from tinygrad_bp.compiler.llvm_move import (
    gather_kernel,
    join_kernel,
    place_kernel,
    scan_kernel,
    scatter_kernel,
)
from tinygrad_bp.compiler.llvm_ops import supported
from tinygrad_bp.compiler.llvm_text import TYPES, Code, Module
from tinygrad_bp.compiler.primitives import Value, is_elementwise
from tinygrad_bp.compiler.schedule import Kernel, Schedule
from tinygrad_bp.errors import CompileError

FOREIGN = ("product", "call")  # kernels that NumPy computes
PIECE = 32  # kernels of one function: LLVM takes far more than twice the time for twice the length
STACK = 1 << 16  # bytes of intermediate results that a call keeps on the stack
ATTRIBUTES = (  # rows of 33 doubles straddle the lines of the cache in wider vectors
    'nounwind "prefer-vector-width"="256"',
    'nounwind "prefer-vector-width"="512"',
)

WRITERS = {
    "reduce": reduce_kernel,
    "contract": contract_kernel,
    "join": join_kernel,
    "place": place_kernel,
    "gather": gather_kernel,
    "scatter": scatter_kernel,
    "scan": scan_kernel,
}
REDUCE, SCAN = ("sum", "prod", "max", "min", "any", "all"), ("argmax", "argmin", "cumsum")


@dataclass
class Layout:
    """Where everything is: numbers of pointers in the table, or places on the stack."""

    schedule: Schedule
    parts: list[list[Kernel]]  # native segments and, alone, the kernels between them
    slots: dict[Value, int] = field(default_factory=dict)
    tables: dict[Value, int] = field(default_factory=dict)
    local: set[Value] = field(default_factory=set)
    returned: list[tuple[Value, Value]] = field(default_factory=list)  # states to copy: to, from
    size: int = 0  # of the table; values may share memory one after the other

    def new(self) -> int:
        """Return the number of a new entry of the table."""
        self.size += 1
        return self.size - 1


def layout(schedule: Schedule) -> Layout:
    """Cut a schedule into parts, and give everything its place."""
    _refuse_unsupported(schedule)
    plan = Layout(schedule, _parts(schedule))
    program = schedule.program
    for value in (*program.inputs, *map(schedule.place_of, program.outputs)):
        if value not in plan.slots:
            plan.slots[value] = plan.new()
    for output, given in schedule.state.items():
        y, x = program.outputs[output], program.inputs[given]
        if schedule.place_of(y) is not x:
            plan.returned.append((x, y))
    _place_intermediate(plan)
    for kernels in plan.parts:
        for kernel in kernels:
            if kernel.kind in ("gather", "scatter"):
                plan.tables[kernel.value] = plan.new()
    return plan


def _place_intermediate(plan: Layout) -> None:
    """Put intermediate results on the stack, or into memory that is used again after their time."""
    room, busy, free = STACK, list[tuple[int, int, int]](), dict[int, list[int]]()
    for value, span in _spans(plan).items():
        if value in plan.slots:
            continue
        size = value.size * value.dtype.itemsize
        if value.primitive == "constant":
            plan.slots[value] = plan.new()
        elif span.parts == 1 and size <= room:
            plan.local.add(value)
            room -= size
        else:
            for last, slot, bytes_there in [b for b in busy if b[0] < span.first]:
                free.setdefault(bytes_there, []).append(slot)
                busy.remove((last, slot, bytes_there))
            plan.slots[value] = free[size].pop() if free.get(size) else plan.new()
            busy.append((span.last, plan.slots[value], size))


def _refuse_unsupported(schedule: Schedule) -> None:
    for value in (*schedule.program.inputs, *schedule.program.values):
        known = value.dtype.char in TYPES
        if not known or (is_elementwise(value) and not supported(value)):
            raise CompileError(
                f"{value.primitive} of {value.inputs[0].dtype if known else value.dtype}",
                where="the native engine",
                expected="operations that have machine code",
                repair='Use engine="numpy", or "auto", which chooses it by itself.',
            )


def _parts(schedule: Schedule) -> list[list[Kernel]]:
    parts: list[list[Kernel]] = []
    for kernel in schedule.kernels:
        foreign = kernel.kind in FOREIGN
        if foreign or not parts or parts[-1][0].kind in FOREIGN:
            parts.append([])
        parts[-1].append(kernel)
    return parts


class Span(NamedTuple):
    """The first and the last kernel that touches a piece of memory, and in how many parts."""

    first: int
    last: int
    parts: int


def _spans(plan: Layout) -> dict[Value, Span]:
    """Find out when every piece of memory is used, in the order of first use."""
    touched: dict[Value, list[tuple[int, int]]] = {}  # numbers of kernels and of their parts
    number = 0
    for part, kernels in enumerate(plan.parts):
        for kernel in kernels:
            for value in (*kernel.values, *(x for x, _ in kernel.reads)):
                touched.setdefault(plan.schedule.place_of(value), []).append((number, part))
            number += 1
    return {
        value: Span(uses[0][0], uses[-1][0], len({part for _, part in uses}))
        for value, uses in touched.items()
    }


# ---------------------------------------------------------------------------------- text


def module_text(
    plan: Layout, rows: Sequence[int], header: Sequence[str], tile: tuple[int, int]
) -> str:
    """Write the module. `rows` are the inputs of which each round is given the next row."""
    module = Module(tile)
    natives = [p for p in plan.parts if p[0].kind not in FOREIGN]
    for number, kernels in enumerate(natives):
        last = kernels is plan.parts[-1] if plan.parts else False
        _write_segment(module, plan, number, kernels, last)
        _write_entry(module, plan, number, rows)
    return module.text(header, ATTRIBUTES)


def _write_segment(
    module: Module, plan: Layout, number: int, kernels: Sequence[Kernel], last: bool
) -> None:
    """Write the kernels of one segment as a function of all pointers of the table."""
    code = Code(module)
    pointers = {value: f"%p{slot}" for value, slot in plan.slots.items()}
    for i, value in enumerate(_locals_of(plan, kernels)):
        kind = f"[{max(value.size, 1) * value.dtype.itemsize} x i8]"
        pointers[value] = f"%l{i}"
        code.do(f"%l{i} = alloca {kind}, align 64")
    memory = Memory(pointers, plan.schedule.stored, plan.schedule.home)
    memory.tables = {value: f"%p{slot}" for value, slot in plan.tables.items()}
    if len(kernels) <= PIECE:
        _write_kernels(code, memory, kernels)
    else:
        for start in range(0, len(kernels), PIECE):
            name = f"segment{number}from{start}"
            _write_piece(code, memory, kernels[start : start + PIECE], name)
    for x, y in plan.returned if last else ():
        _copy_back(code, memory, x, y)
    given = ", ".join(f"ptr noalias %p{i}" for i in range(plan.size))
    head = f"define internal void @segment{number}({given}) #0"
    module.function(f"segment{number}", head, ["entry:", *code.lines, "  ret void"])


def _write_piece(code: Code, memory: Memory, kernels: Sequence[Kernel], name: str) -> None:
    """Write kernels as a function of the memory that they use, and its call."""
    inner = Code(code.module)
    memory.registers.clear()  # a function knows its own
    _write_kernels(inner, memory, kernels)
    used = dict.fromkeys(re.findall(r"%[pl]\d+", "\n".join(inner.lines)))
    given = ", ".join(f"ptr noalias {pointer}" for pointer in used)
    head = f"define internal void @{name}({given}) #0"
    code.module.function(name, head, ["entry:", *inner.lines, "  ret void"])
    code.do(f"call void @{name}({', '.join(f'ptr {pointer}' for pointer in used)})")


def _write_kernels(code: Code, memory: Memory, kernels: Sequence[Kernel]) -> None:
    for kernel in kernels:
        code.comment(f"{kernel.kind} {list(kernel.shape)}")
        _write_kernel(code, memory, kernel)


def _locals_of(plan: Layout, kernels: Sequence[Kernel]) -> list[Value]:
    values = [value for kernel in kernels for value in kernel.values]
    return [value for value in values if value in plan.local]


def _write_kernel(code: Code, memory: Memory, kernel: Kernel) -> None:
    kind = kernel.kind
    if kind == "map":
        map_kernel(code, memory, list(kernel.values))
        return
    kind = "reduce" if kind in REDUCE else "scan" if kind in SCAN else kind
    WRITERS[kind](code, memory, kernel.value)


def _copy_back(code: Code, memory: Memory, x: Value, y: Value) -> None:
    """Make the computed state the next one."""
    size = x.size * x.dtype.itemsize
    name = "llvm.memcpy.p0.p0.i64"
    code.module.declare(f"declare void @{name}(ptr, ptr, i64, i1)", name)
    to, source = memory.pointer(x), memory.pointer(y)
    code.do(f"call void @{name}(ptr {to}, ptr {source}, i64 {size}, i1 false)")


def _write_entry(module: Module, plan: Layout, number: int, rows: Sequence[int]) -> None:
    """Write the function that is called: `rounds` times over the rows from `first` to `last`."""
    code = Code(module)
    count = plan.size
    pointers = []
    for slot in range(count):
        at = code.put(f"getelementptr inbounds ptr, ptr %table, i64 {slot}")
        pointers.append(code.put(f"load ptr, ptr {at}, align 8"))
    inputs = plan.schedule.program.inputs

    def row(index: str, _: list[str]) -> list[str]:
        place = code.put(f"add i64 %first, {index}")
        here = list(pointers)
        for i in rows:
            slot, size = plan.slots[inputs[i]], inputs[i].size * inputs[i].dtype.itemsize
            at = code.put(f"mul i64 {place}, {size}")
            here[slot] = code.put(f"getelementptr inbounds i8, ptr {pointers[slot]}, i64 {at}")
        given = ", ".join(f"ptr {p}" for p in here)
        code.do(f"call void @segment{number}({given})")
        return []

    def one_round(_: str, __: list[str]) -> list[str]:
        length = code.put("sub i64 %last, %first")
        code.loop(length, [], row)
        return []

    code.loop("%rounds", [], one_round)
    head = f"define void @run{number}(ptr %table, i64 %first, i64 %last, i64 %rounds) #0"
    module.function(f"run{number}", head, ["entry:", *code.lines, "  ret void"])
