"""Elementwise kernels and reductions as LLVM: loops around vectors of elements."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_bp.compiler.expression import Place, access, expression, inputs_of
from tinygrad_bp.compiler.llvm_ops import combine, emit, suffix_of
from tinygrad_bp.compiler.llvm_text import Code, literal, type_of
from tinygrad_bp.compiler.loopnest import coalesce, lanes, pieces, row_major
from tinygrad_bp.compiler.primitives import Value, is_view, known
from tinygrad_bp.facts import Shape

COMBINE = {
    "sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum",
    "any": "logical_or", "all": "logical_and",
}  # fmt: skip


class Memory:
    """Where values are: in memory behind pointers, or, single numbers, in registers."""

    def __init__(
        self, pointers: Mapping[Value, str], stored: Collection[Value], home: Mapping[Value, Value]
    ) -> None:
        self.pointers, self.stored, self.home = pointers, stored, home
        self.tables: dict[Value, str] = {}
        self.registers: dict[Value, str] = {}

    def pointer(self, value: Value) -> str:
        """Return the pointer to a stored value."""
        return self.pointers[self.home.get(value, value)]


class Target(NamedTuple):
    """Where a kernel writes: an offset and strides over its shape, in elements."""

    pointer: str
    offset: int
    strides: Shape


class Body:
    """The elementwise work of some values over one shape, ready to be written at any index."""

    def __init__(self, code: Code, memory: Memory, roots: Sequence[Value], compute: bool) -> None:
        self.code, self.memory, self.roots = code, memory, dict.fromkeys(roots)
        self.places: dict[Place, None] = {}
        for root in roots:
            self.places.update((p, None) for p in expression(root, memory.stored, compute))
        self.compute = compute
        self.leaves = [p for p in self.places if self._is_leaf(p)]
        self.accesses = [access(*p) for p in self.leaves]
        self.shape = roots[0].shape

    def _is_leaf(self, place: Place) -> bool:
        value = place[0]
        if value in self.memory.registers or known(value) is not None:
            return False
        return value in self.memory.stored and not (self.compute and value in self.roots)

    def itemsizes(self) -> list[int]:
        """List the sizes of all elements that are worked on."""
        return [value.dtype.itemsize for value, _ in self.places]

    def write(self, terms: Sequence[Sequence[tuple[str, int]]], width: int) -> list[str]:
        """Compute `width` neighbours of every root; `terms` tell the index of each leaf."""
        names: dict[Place, str] = {}
        index = dict(zip(self.leaves, range(len(self.leaves)), strict=True))
        for place in self.places:
            value = place[0]
            if place in index:
                i = index[place]
                names[place] = self._load(value, self.accesses[i].offset, terms[i], width)
            elif known(value) is not None:
                names[place] = literal(known(value), value.dtype, width)
            elif value in self.memory.registers:
                single = self.memory.registers[value]
                names[place] = self.code.splat(single, type_of(value.dtype), width)
            elif is_view(value):
                names[place] = names[inputs_of(place)[0]]
            else:
                inputs = [names[p] for p in inputs_of(place)]
                names[place] = emit(self.code, value, inputs, width)
        return [names[(root, ())] for root in self.roots]

    def _load(self, value: Value, offset: int, terms: Sequence[tuple[str, int]], width: int) -> str:
        """Read neighbours along the last axis: side by side, the same one, or one by one."""
        code, dtype = self.code, value.dtype
        stride = terms[-1][1] if terms else 0
        start = code.affine(offset, terms)
        pointer = self.memory.pointer(value)
        if width == 1 or stride == 1:
            return code.load(code.address(pointer, dtype, start), dtype, width)
        if stride == 0:
            x = code.load(code.address(pointer, dtype, start), dtype)
            return code.splat(x, type_of(dtype), width)
        result, kind = "poison", type_of(dtype, width)
        for lane in range(width):
            at = code.affine(lane * stride, [(start, 1)]) if start != "0" else str(lane * stride)
            x = code.load(code.address(pointer, dtype, at), dtype)
            result = code.put(f"insertelement {kind} {result}, {type_of(dtype)} {x}, i64 {lane}")
        return result


def walk_pieces(
    code: Code,
    shape: Shape,
    strides: Sequence[Shape],
    width: int,
    visit: Callable[[list[list[tuple[str, int]]], int], None],
) -> None:
    """Loop over a shape; visit vectors along the last axis with the terms of every array.

    Where an array is read across, the loop over the axis before runs inside: what was loaded into
    the cache for one row then serves the next ones.
    """
    across = len(shape) > 1 and any(s[-1] not in (0, 1) for s in strides)
    ahead = shape[: -2 if across else -1]
    between = shape[-2:-1] if across else ()

    def at(indices: list[str]) -> None:
        for start, repetitions, lanes_here in pieces(shape[-1], width):

            def inside(index: str, _: list[str], start: int = start, w: int = lanes_here) -> list:
                last = code.affine(start, [(index, w)])

                def row(middle: list[str]) -> None:
                    full = [*indices, *middle, last]
                    visit([list(zip(full, s, strict=True)) for s in strides], w)

                code.loops(between, row)
                return []

            code.loop(repetitions, [], inside)

    code.loops(ahead, at)


def map_kernel(
    code: Code,
    memory: Memory,
    roots: Sequence[Value],
    targets: Sequence[Target] | None = None,
    compute: bool = True,
) -> None:
    """Compute values of one shape, element by element, and store them."""
    body = Body(code, memory, roots, compute)
    if not body.shape and targets is None:
        for root, x in zip(roots, body.write([[] for _ in body.leaves], 1), strict=True):
            _keep(code, memory, root, x)
        return
    if targets is None:
        contiguous = row_major(body.shape)
        targets = [Target(memory.pointer(root), 0, contiguous) for root in roots]
    given = [a.strides for a in body.accesses] + [t.strides for t in targets]
    shape, strides = coalesce(body.shape, given)
    if not shape:
        shape, strides = (1,), [(0,)] * len(given)
    count = len(body.accesses)
    straight = all(s[-1] == 1 for s in strides[count:])

    def visit(terms: list[list[tuple[str, int]]], width: int) -> None:
        results = body.write(terms[:count], width)
        for root, target, term, x in zip(roots, targets, terms[count:], results, strict=True):
            at = code.affine(target.offset, term)
            code.store(x, code.address(target.pointer, root.dtype, at), root.dtype, width)

    walk_pieces(code, shape, strides, lanes(body.itemsizes()) if straight else 1, visit)


def _keep(code: Code, memory: Memory, root: Value, x: str) -> None:
    """Keep a single number in a register, and in memory if others look for it there."""
    memory.registers[root] = x
    if memory.home.get(root, root) in memory.pointers:
        code.store(x, code.address(memory.pointer(root), root.dtype, "0"), root.dtype)


# ---------------------------------------------------------------------------------- reductions


def neutral(name: str, dtype: np.dtype) -> str:
    """Return the number that a reduction starts from."""
    if name in ("max", "min"):
        if dtype.kind == "f":
            return literal(-np.inf if name == "max" else np.inf, dtype)
        limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        return literal(limits[name == "min"], dtype)
    return literal(1 if name in ("prod", "all") else 0, dtype)


def reduce_kernel(code: Code, memory: Memory, value: Value) -> None:
    """Reduce what is computed on the fly, along the last axis in registers, else in memory."""
    body = Body(code, memory, value.inputs, compute=False)
    (axes,) = value.params
    kept = [i for i in range(len(body.shape)) if i not in axes]
    if kept[-1:] == [len(body.shape) - 1] and body.shape[-1] != 1:
        _reduce_columns(code, memory, value, body, kept)
    else:
        _reduce_rows(code, memory, value, body, kept)


def _pick(sequence: Sequence[int], axes: Sequence[int]) -> Shape:
    return tuple(sequence[i] for i in axes)


def _reduce_rows(code: Code, memory: Memory, value: Value, body: Body, kept: list[int]) -> None:
    (axes,) = value.params
    outer = _pick(body.shape, kept)
    shape, inner = coalesce(
        _pick(body.shape, axes), [_pick(a.strides, axes) for a in body.accesses]
    )
    if not shape:
        shape, inner = (1,), [(0,)] * len(body.accesses)

    def at(indices: list[str]) -> None:
        ahead = [list(zip(indices, _pick(a.strides, kept), strict=True)) for a in body.accesses]
        x = _accumulate(code, value, body, shape, inner, ahead)
        if not value.shape:
            _keep(code, memory, value, x)
            return
        place = code.affine(0, list(zip(indices, row_major(value.shape), strict=True)))
        code.store(x, code.address(memory.pointer(value), value.dtype, place), value.dtype)

    code.loops(outer, at)


def _accumulate(
    code: Code,
    value: Value,
    body: Body,
    shape: Shape,
    inner: Sequence[Shape],
    ahead: Sequence[list[tuple[str, int]]],
) -> str:
    """Combine all elements of the reduced axes: vectors first, what is left one by one."""
    name, dtype = value.primitive, value.dtype
    width = lanes(body.itemsizes())
    start = neutral(name, dtype)
    wide = shape[-1] >= width
    carried = [(type_of(dtype), start)]
    if wide:
        carried.append((type_of(dtype, width), code.splat(start, type_of(dtype), width)))

    def row(indices: list[str], totals: list[str]) -> list[str]:
        return _accumulate_row(code, value, body, shape[-1], width, indices, inner, ahead, totals)

    totals = code.nest(shape[:-1], carried, row)
    if not wide:
        return totals[0]
    return combine(
        code, COMBINE[name], dtype, totals[0], fold(code, name, dtype, totals[1], width), 1
    )


def _accumulate_row(
    code: Code,
    value: Value,
    body: Body,
    count: int,
    width: int,
    indices: list[str],
    inner: Sequence[Shape],
    ahead: Sequence[list[tuple[str, int]]],
    totals: list[str],
) -> list[str]:
    """Combine one row of the reduced axes with the totals so far."""
    name, dtype = value.primitive, value.dtype
    for first, repetitions, w in pieces(count, width):
        slot = 1 if w == width and width > 1 else 0

        def inside(index: str, given: list[str], first: int = first, w: int = w) -> list[str]:
            full = [*indices, code.affine(first, [(index, w)])]
            terms = [[*a, *zip(full, s, strict=True)] for a, s in zip(ahead, inner, strict=True)]
            (x,) = body.write(terms, w)
            if w not in (1, width):
                x = fold(code, name, dtype, x, w)
            total_width = w if w == width else 1
            return [combine(code, COMBINE[name], dtype, given[0], x, total_width)]

        kind = type_of(dtype, width if slot else 1)
        totals = list(totals)
        (totals[slot],) = code.loop(repetitions, [(kind, totals[slot])], inside)
    return totals


def fold(code: Code, name: str, dtype: np.dtype, x: str, width: int) -> str:
    """Combine the elements of one vector; a sum in any order."""
    kind, suffix = type_of(dtype, width), suffix_of(dtype, width)
    if dtype.kind == "f" and name in ("sum", "prod"):
        operation = "fadd" if name == "sum" else "fmul"
        single = type_of(dtype)
        function = f"llvm.vector.reduce.{operation}.{suffix}"
        code.module.declare(f"declare {single} @{function}({single}, {kind})", function)
        start = literal(-0.0 if name == "sum" else 1, dtype)
        return code.put(f"call reassoc {single} @{function}({single} {start}, {kind} {x})")
    letter = "f" if dtype.kind == "f" else "s" if dtype.kind == "i" else "u"
    extremes = {"max": "imum", "min": "imum"} if letter == "f" else {"max": "", "min": ""}
    operation = {"sum": "add", "prod": "mul", "any": "or", "all": "and"}.get(
        name, letter + name + extremes.get(name, "")
    )
    if dtype.kind == "b":
        operation = "or" if name in ("any", "max") else "and"
    return code.call(f"llvm.vector.reduce.{operation}.{suffix}", type_of(dtype), (kind, x))


def _reduce_columns(code: Code, memory: Memory, value: Value, body: Body, kept: list[int]) -> None:
    """Add whole rows to the result, which stays in memory: no row waits for itself."""
    (axes,) = value.params
    pointer, dtype = memory.pointer(value), value.dtype
    start = neutral(value.primitive, dtype)
    width = lanes(body.itemsizes())

    def clear(terms: list[list[tuple[str, int]]], w: int) -> None:
        at = code.address(pointer, dtype, code.affine(0, terms[0]))
        code.store(code.splat(start, type_of(dtype), w), at, dtype, w)

    walk_pieces(code, (value.size,), [(1,)], width, clear)
    order = [*axes, *kept]
    result = (0,) * len(axes) + row_major(value.shape)
    given = [_pick(a.strides, order) for a in body.accesses] + [result]
    shape, strides = coalesce(_pick(body.shape, order), given)

    def visit(terms: list[list[tuple[str, int]]], w: int) -> None:
        (x,) = body.write(terms[:-1], w)
        at = code.address(pointer, dtype, code.affine(0, terms[-1]))
        total = combine(code, COMBINE[value.primitive], dtype, code.load(at, dtype, w), x, w)
        code.store(total, at, dtype, w)

    walk_pieces(code, shape, strides, width, visit)
