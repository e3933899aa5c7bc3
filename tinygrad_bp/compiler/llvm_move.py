"""Kernels that move elements or look at them in order: join, place, gather, scatter, scans."""

from collections.abc import Callable

import numpy as np

from tinygrad_bp.compiler.llvm_kernels import Body, Memory, Target, map_kernel
from tinygrad_bp.compiler.llvm_ops import combine, compare
from tinygrad_bp.compiler.llvm_text import Code, literal, type_of
from tinygrad_bp.compiler.loopnest import lanes, pieces, row_major
from tinygrad_bp.compiler.primitives import Value

INDEX = np.dtype(np.int64)


def join_kernel(code: Code, memory: Memory, value: Value) -> None:
    """Compute every part where it belongs."""
    (axis,) = value.params
    strides, offset = row_major(value.shape), 0
    for part in value.inputs:
        _copy(code, memory, part, Target(memory.pointer(value), offset, strides))
        offset += part.shape[axis] * strides[axis]


def _copy(code: Code, memory: Memory, part: Value, target: Target) -> None:
    """Compute a value that has no memory of its own, or copy one that has, to a target."""
    map_kernel(code, memory, [part], [target], compute=part not in memory.stored)


def place_kernel(code: Code, memory: Memory, value: Value) -> None:
    """Fill the result, then compute the input at its regular places."""
    starts, steps, number = value.params
    pointer, dtype = memory.pointer(value), value.dtype
    for start, repetitions, w in pieces(value.size, lanes([dtype.itemsize])):

        def block(index: str, _: list[str], start: int = start, w: int = w) -> list[str]:
            at = code.address(pointer, dtype, code.affine(start, [(index, w)]))
            code.store(literal(number, dtype, w), at, dtype, w)
            return []

        code.loop(repetitions, [], block)
    strides = row_major(value.shape)
    offset = sum(a * s for a, s in zip(starts, strides, strict=True))
    inner = tuple(a * s for a, s in zip(steps, strides, strict=True))
    _copy(code, memory, value.inputs[0], Target(pointer, offset, inner))


def gather_kernel(code: Code, memory: Memory, value: Value) -> None:
    """Read elements at the places of a table."""
    (x,) = value.inputs
    table = memory.tables[value]
    dtype = value.dtype

    def block(index: str, _: list[str]) -> list[str]:
        at = code.load(code.address(table, INDEX, index), INDEX)
        y = code.load(code.address(memory.pointer(x), dtype, at), dtype)
        code.store(y, code.address(memory.pointer(value), dtype, index), dtype)
        return []

    code.loop(value.size, [], block)


def scatter_kernel(code: Code, memory: Memory, value: Value) -> None:
    """Add elements at the places of a table, in order."""
    (x,) = value.inputs
    dtype, pointer, table = value.dtype, memory.pointer(value), memory.tables[value]

    def clear(index: str, _: list[str]) -> list[str]:
        code.store(literal(0, dtype), code.address(pointer, dtype, index), dtype)
        return []

    code.loop(value.size, [], clear)

    def add(position: str, element: str) -> None:
        place = code.load(code.address(table, INDEX, position), INDEX)
        at = code.address(pointer, dtype, place)
        code.store(combine(code, "add", dtype, code.load(at, dtype), element, 1), at, dtype)

    _each(code, memory, x, add)


def _each(code: Code, memory: Memory, x: Value, visit: Callable[[str, str], None]) -> None:
    """Compute the elements of x in their order; visit each with its number."""
    body = Body(code, memory, [x], compute=x not in memory.stored)
    order = row_major(x.shape)

    def at(indices: list[str]) -> None:
        terms = [list(zip(indices, a.strides, strict=True)) for a in body.accesses]
        position = code.affine(0, list(zip(indices, order, strict=True)))
        (element,) = body.write(terms, 1)
        visit(position, element)

    code.loops(x.shape, at)


def scan_kernel(code: Code, memory: Memory, value: Value) -> None:
    """Walk along one axis of every row: running sums, or where the extreme stands."""
    (axis,) = value.params
    (x,) = value.inputs
    body = Body(code, memory, [x], compute=x not in memory.stored)
    others = [i for i in range(len(x.shape)) if i != axis]
    running = value.primitive == "cumsum"
    strides = row_major(value.shape)
    kept = [strides[i] for i in others] if running else list(strides)

    def row(indices: list[str]) -> None:
        def element(index: str) -> str:
            full = [*indices[:axis], index, *indices[axis:]]
            terms = [list(zip(full, a.strides, strict=True)) for a in body.accesses]
            return body.write(terms, 1)[0]

        outer = list(zip(indices, kept, strict=True))
        if running:
            _running(code, memory, value, element, [*outer], strides[axis])
        else:
            _search(code, memory, value, element, outer)

    code.loops([x.shape[i] for i in others], row)


def _running(
    code: Code,
    memory: Memory,
    value: Value,
    element: Callable[[str], str],
    outer: list[tuple[str, int]],
    stride: int,
) -> None:
    dtype = value.dtype

    def step(index: str, totals: list[str]) -> list[str]:
        total = combine(code, "add", dtype, totals[0], element(index), 1)
        at = code.affine(0, [*outer, (index, stride)])
        code.store(total, code.address(memory.pointer(value), dtype, at), dtype)
        return [total]

    code.loop(value.shape[value.params[0]], [(type_of(dtype), literal(0, dtype))], step)


def _search(
    code: Code,
    memory: Memory,
    value: Value,
    element: Callable[[str], str],
    outer: list[tuple[str, int]],
) -> None:
    """Keep the first extreme; the first NaN wins, and nothing after it."""
    (x,) = value.inputs
    order = "gt" if value.primitive == "argmax" else "lt"
    kind = type_of(x.dtype)

    def step(index: str, best: list[str]) -> list[str]:
        y = element(index)
        better = compare(code, order, x.dtype, [y, best[0]], 1)
        if x.dtype.kind == "f":
            known = code.put(f"fcmp ord {kind} {best[0]}, {best[0]}")
            nan = code.put(f"fcmp uno {kind} {y}, {y}")
            better = code.put(f"or i1 {better}, {nan}")
            better = code.put(f"and i1 {better}, {known}")
        return [
            code.put(f"select i1 {better}, {kind} {y}, {kind} {best[0]}"),
            code.put(f"select i1 {better}, i64 {index}, i64 {best[1]}"),
        ]

    start = [(kind, element("0")), ("i64", "0")]
    _, place = code.loop(x.shape[value.params[0]], start, step)
    at = code.address(memory.pointer(value), value.dtype, code.affine(0, outer))
    code.store(place, at, value.dtype)
