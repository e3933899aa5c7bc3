"""Sums of products as LLVM: along rows that lie side by side, or as dot products.

Only these accumulations may be reordered (`reassoc contract`); NaN and infinity travel as ever.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tinygrad_bp.compiler.expression import access
from tinygrad_bp.compiler.llvm_kernels import Memory, fold
from tinygrad_bp.compiler.llvm_text import Carried, Code, literal, type_of
from tinygrad_bp.compiler.loopnest import VECTOR, pieces, row_major
from tinygrad_bp.compiler.primitives import Value, is_view

ROWS = 4  # of the first matrix that share what is loaded of the second
BLOCKED = 1 << 15  # multiplications from which a product is cut into tiles for the cache
Index = dict[int, str]  # from labels to the names of their indices
Step = Callable[[Index, list[str], int], None]  # one product for every total of a strand
Cut = list[tuple[int, int]]  # start and width of each vector in a tile


class Operand(NamedTuple):
    """Where the elements of an operand (or of the result) lie."""

    pointer: str
    offset: int
    strides: dict[int, int]  # from labels

    def terms(self, index: Index) -> list[tuple[str, int]]:
        """Return the terms of the address of one element."""
        return [(index[c], s) for c, s in self.strides.items()]


class Contraction:
    """One contraction, ready to be written."""

    def __init__(self, code: Code, memory: Memory, value: Value) -> None:
        left, right, to = value.params
        self.code, self.value, self.dtype = code, value, value.dtype
        a, b = value.inputs
        self.lengths = dict(zip(left, a.shape, strict=True)) | dict(
            zip(right, b.shape, strict=True)
        )
        self.a, self.b = _operand(memory, a, left), _operand(memory, b, right)
        strides = dict(zip(to, row_major(value.shape), strict=True))
        self.result = Operand(memory.pointer(value), 0, strides)
        self.summed = [c for c in self.lengths if c not in to]
        self.free = list(to)

    def load(self, x: Operand, index: Index, width: int = 1) -> str:
        """Read elements of an operand."""
        at = self.code.affine(x.offset, x.terms(index))
        return self.code.load(self.code.address(x.pointer, self.dtype, at), self.dtype, width)

    def store(self, x: str, index: Index, width: int = 1) -> None:
        """Write elements of the result."""
        at = self.code.affine(0, self.result.terms(index))
        address = self.code.address(self.result.pointer, self.dtype, at)
        self.code.store(x, address, self.dtype, width)

    def multiply_add(self, total: str, x: str, y: str, width: int) -> str:
        """Add a product to a running total."""
        kind = type_of(self.dtype, width)
        if self.dtype.kind != "f":
            product = self.code.put(f"mul {kind} {x}, {y}")
            return self.code.put(f"add {kind} {total}, {product}")
        product = self.code.put(f"fmul contract {kind} {x}, {y}")
        return self.code.put(f"fadd reassoc contract {kind} {total}, {product}")

    def zero(self, width: int = 1) -> tuple[str, str]:
        """Return the type and the text of zero."""
        return type_of(self.dtype, width), literal(0, self.dtype, width)

    def write(self) -> None:
        """Choose the loops by what lies side by side in memory."""
        for label in reversed(self.free):
            if self.lengths[label] > 1 and self.result.strides[label] == 1:
                for x, other in ((self.b, self.a), (self.a, self.b)):
                    if x.strides.get(label) == 1 and label not in other.strides:
                        self.a, self.b = other, x
                        return self._along(label)
        for label in self.summed:
            if self.lengths[label] > 1 and self.a.strides[label] == 1 == self.b.strides[label]:
                return _as_dots(self, label)
        return _one_by_one(self)

    def _along(self, across: int) -> None:
        """Take the loops for rows that lie side by side, few or many."""
        rows = [x for x in self.free if x not in self.b.strides and self.lengths[x] >= ROWS]
        work = math.prod(self.lengths.values())
        if rows and work >= BLOCKED and self.dtype.kind == "f":
            _apart(self, lambda: _in_tiles(self, across, rows[-1]))
        else:
            _along_rows(self, across)


def contract_kernel(code: Code, memory: Memory, value: Value) -> None:
    """Write the loops of a contraction."""
    Contraction(code, memory, value).write()
    if not value.shape:
        x = code.load(code.address(memory.pointer(value), value.dtype, "0"), value.dtype)
        memory.registers[value] = x


def _operand(memory: Memory, x: Value, labels: Sequence[int]) -> Operand:
    path: tuple[Value, ...] = ()
    while is_view(x) and x not in memory.stored:
        x, path = x.inputs[0], (x, *path)
    offset, strides = access(x, path)
    return Operand(memory.pointer(x), offset, dict(zip(labels, strides, strict=True)))


def _over(
    c: Contraction, labels: Sequence[int], body: Callable[[Index], None], index: Index
) -> None:
    """Loop over labels; call the body with the index."""
    c.code.loops(
        [c.lengths[label] for label in labels],
        lambda names: body(index | dict(zip(labels, names, strict=True))),
    )


# ---------------------------------------------------------------------------------- along rows


def _along_rows(c: Contraction, across: int) -> None:
    """result[m, across] += a[m, k] · b[k, across]: rows of b times numbers of a."""
    others = [x for x in c.free if x != across]
    rows = [x for x in others if x not in c.b.strides and c.lengths[x] >= ROWS]
    if not rows:
        _over(c, others, lambda index: _columns(c, across, index, [{}]), {})
        return
    row = rows[-1]
    others.remove(row)
    full, left = divmod(c.lengths[row], ROWS)

    def at(index: Index) -> None:
        def block(name: str, _: list[str]) -> list[str]:
            starts = [c.code.affine(i, [(name, ROWS)]) for i in range(ROWS)]
            _columns(c, across, index, [{row: s} for s in starts])
            return []

        c.code.loop(full, [], block)
        if left:
            _columns(c, across, index, [{row: str(full * ROWS + i)} for i in range(left)])

    _over(c, others, at, {})


def _apart(c: Contraction, write: Callable[[], None]) -> None:
    """Write loops as a function of their own, which may use the widest vectors there are."""
    outside = c.code
    name = f"product{len(outside.module.functions)}"
    pointers = [c.a.pointer, c.b.pointer, c.result.pointer]
    c.code = Code(outside.module)
    c.a, c.b = c.a._replace(pointer="%a"), c.b._replace(pointer="%b")
    c.result = c.result._replace(pointer="%y")
    write()
    head = f"define internal void @{name}(ptr noalias %a, ptr noalias %b, ptr noalias %y)"
    body = ["entry:", *c.code.lines, "  ret void"]
    outside.module.function(name, f"{head} noinline #1", body)
    outside.do(f"call void @{name}({', '.join(f'ptr {p}' for p in pointers)})")


def _in_tiles(c: Contraction, across: int, row: int) -> None:
    """Keep one tile of columns of b in the cache while all rows of a pass by."""
    height, width = c.code.module.tile
    tile = width // c.dtype.itemsize
    full, left = divmod(c.lengths[row], height)
    others = [x for x in c.free if x not in (across, row)]

    def columns(index: Index, start: str, cut: Cut) -> None:
        def block(name: str, _: list[str]) -> list[str]:
            places = [c.code.affine(i, [(name, height)]) for i in range(height)]
            _tile(c, across, index, [{row: p} for p in places], start, cut)
            return []

        c.code.loop(full, [], block)
        if left:
            rows = [{row: str(full * height + i)} for i in range(left)]
            _tile(c, across, index, rows, start, cut)

    def at(index: Index) -> None:
        for start, repetitions, w in pieces(c.lengths[across], tile):

            def block(name: str, _: list[str], start: int = start, w: int = w) -> list[str]:
                columns(index, c.code.affine(start, [(name, w)]), [(0, w)])
                return []

            c.code.loop(repetitions, [], block)

    _over(c, others, at, {})


def _columns(c: Contraction, across: int, index: Index, rows: list[Index]) -> None:
    """Cut the columns into tiles of what fits into registers."""
    tile = 4 * VECTOR // c.dtype.itemsize // (1 if len(rows) == 1 else 2)
    full, left = divmod(c.lengths[across], tile)
    if full and left:
        full -= 1  # the rest is done together with the last tile

    def block(name: str, _: list[str]) -> list[str]:
        _tile(c, across, index, rows, c.code.affine(0, [(name, tile)]), [(0, tile)])
        return []

    c.code.loop(full, [], block)
    rest = c.lengths[across] - full * tile
    if rest:
        cut = [(start, w) for start, _, w in pieces(rest, tile)]
        _tile(c, across, index, rows, str(full * tile), cut)


def _tile(
    c: Contraction, across: int, index: Index, rows: list[Index], start: str, cut: Cut
) -> None:
    """Sum one tile in registers, in several strands if they are few, and store it."""
    registers = len(rows) * sum(math.ceil(w * c.dtype.itemsize / 32) for _, w in cut)
    last = c.summed[-1:]
    strands = max(1, min(4, 10 // registers, *(c.lengths[k] for k in last)))
    kinds = [c.zero(w) for _ in range(strands) for _ in rows for _, w in cut]

    def step(inner: Index, totals: list[str], strand: int) -> None:
        at = index | inner
        size = len(rows) * len(cut)
        numbers = [c.load(c.a, at | row) for row in rows]
        for j, (offset, w) in enumerate(cut):
            y = c.load(c.b, at | {across: c.code.affine(offset, [(start, 1)])}, w)
            for i, number in enumerate(numbers):
                slot = strand * size + i * len(cut) + j
                x = c.code.splat(number, type_of(c.dtype), w)
                totals[slot] = c.multiply_add(totals[slot], x, y, w)

    totals = _strands(c, kinds, strands, step)
    for i, row in enumerate(rows):
        for j, (offset, w) in enumerate(cut):
            slots = range(i * len(cut) + j, len(totals), len(rows) * len(cut))
            x = _sum(c, [totals[s] for s in slots], w)
            c.store(x, index | row | {across: c.code.affine(offset, [(start, 1)])}, w)


def _strands(c: Contraction, kinds: Carried, strands: int, step: Step) -> list[str]:
    """Loop over what is summed, `strands` elements of the last label at a time."""
    types = [t for t, _ in kinds]
    if not c.summed:
        totals = [x for _, x in kinds]
        step({}, totals, 0)
        return totals

    *outer, label = c.summed
    full, left = divmod(c.lengths[label], strands)

    def row(indices: list[str], totals: list[str]) -> list[str]:
        index = dict(zip(outer, indices, strict=True))

        def block(name: str, given: list[str]) -> list[str]:
            given = list(given)
            for s in range(strands):
                step(index | {label: c.code.affine(s, [(name, strands)])}, given, s)
            return given

        totals = c.code.loop(full, list(zip(types, totals, strict=True)), block)
        totals = list(totals)
        for s in range(left):
            step(index | {label: str(full * strands + s)}, totals, s)
        return totals

    return c.code.nest([c.lengths[x] for x in outer], kinds, row)


def _sum(c: Contraction, totals: list[str], width: int) -> str:
    """Add up the strands in pairs."""
    kind = type_of(c.dtype, width)
    operation = "fadd reassoc" if c.dtype.kind == "f" else "add"
    while len(totals) > 1:
        pairs = zip(totals[::2], totals[1::2], strict=False)
        rest = totals[len(totals) // 2 * 2 :]
        totals = [c.code.put(f"{operation} {kind} {x}, {y}") for x, y in pairs] + rest
    return totals[0]


# ---------------------------------------------------------------------------------- dot products


def _as_dots(c: Contraction, along: int) -> None:
    """Multiply vectors along the summed label and fold what they add up to."""
    c.summed.remove(along)
    c.summed.append(along)
    _over(c, c.free, lambda index: c.store(_dot(c, along, index), index), {})


def _dot(c: Contraction, along: int, index: Index) -> str:
    """Compute one element of the result."""
    width = 2 * VECTOR // c.dtype.itemsize
    cut = list(pieces(c.lengths[along], width))
    kinds = [c.zero(w) for _, _, w in cut]

    outer = [label for label in c.summed if label != along]

    def row(indices: list[str], totals: list[str]) -> list[str]:
        at = index | dict(zip(outer, indices, strict=True))
        return [
            _strip(c, at, along, piece, total) for piece, total in zip(cut, totals, strict=True)
        ]

    totals = c.code.nest([c.lengths[x] for x in outer], kinds, row)
    parts = [_fold(c, x, w) for x, (_, _, w) in zip(totals, cut, strict=True)]
    return _sum(c, parts, 1) if parts else c.zero()[1]


def _strip(
    c: Contraction, index: Index, along: int, piece: tuple[int, int, int], total: str
) -> str:
    start, repetitions, w = piece

    def block(name: str, given: list[str]) -> list[str]:
        at = index | {along: c.code.affine(start, [(name, w)])}
        return [c.multiply_add(given[0], c.load(c.a, at, w), c.load(c.b, at, w), w)]

    return c.code.loop(repetitions, [(type_of(c.dtype, w), total)], block)[0]


def _fold(c: Contraction, x: str, width: int) -> str:
    return x if width == 1 else fold(c.code, "sum", c.dtype, x, width)


def _one_by_one(c: Contraction) -> None:
    """Do without any order in memory."""

    def element(index: Index) -> None:
        def step(inner: Index, totals: list[str], _: int) -> None:
            x, y = c.load(c.a, index | inner), c.load(c.b, index | inner)
            totals[0] = c.multiply_add(totals[0], x, y, 1)

        c.store(_strands(c, [c.zero()], 1, step)[0], index)

    _over(c, c.free, element, {})
