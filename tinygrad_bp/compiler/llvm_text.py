"""Writing LLVM's assembly language: fresh names, types, constants, loops that carry values."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

TYPES = {
    "?": "i1", "b": "i8", "B": "i8", "h": "i16", "H": "i16", "i": "i32", "I": "i32", "l": "i64",
    "L": "i64", "q": "i64", "Q": "i64", "f": "float", "d": "double",
}  # fmt: skip

Carried = list[tuple[str, str]]  # type and name of every value that a loop hands on


def type_of(dtype: np.dtype, width: int = 1) -> str:
    """Name the type of `width` elements."""
    single = TYPES[dtype.char]
    return single if width == 1 else f"<{width} x {single}>"


def memory_type(dtype: np.dtype, width: int = 1) -> str:
    """Name the type that `width` elements have in memory, where a boolean is a byte."""
    single = "i8" if dtype.kind == "b" else TYPES[dtype.char]
    return single if width == 1 else f"<{width} x {single}>"


def literal(number: Any, dtype: np.dtype, width: int = 1) -> str:
    """Write a constant, `width` times."""
    if dtype.kind == "f":
        (bits,) = struct.unpack("<Q", struct.pack("<d", float(dtype.type(number))))
        text = f"0x{bits:016X}"
    elif dtype.kind == "b":
        text = "true" if number else "false"
    else:
        text = str(int(number))
    single = TYPES[dtype.char]
    return text if width == 1 else "<" + ", ".join([f"{single} {text}"] * width) + ">"


class Code:
    """The body of a function, written line by line."""

    def __init__(self, module: "Module") -> None:
        self.module = module
        self.lines: list[str] = []
        self.label = "entry"
        self.count = 0

    def name(self) -> str:
        """Return a name that nothing has."""
        self.count += 1
        return f"%v{self.count}"

    def put(self, text: str) -> str:
        """Write an instruction and return the name of its result."""
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """Write an instruction without a result."""
        self.lines.append(f"  {text}")

    def call(self, function: str, result: str, *arguments: tuple[str, str]) -> str:
        """Call a function of the module or a declared one."""
        types = ", ".join(t for t, _ in arguments)
        self.module.declare(f"declare {result} @{function}({types})", function)
        given = ", ".join(f"{t} {x}" for t, x in arguments)
        return self.put(f"call {result} @{function}({given})")

    def comment(self, text: str) -> None:
        """Write a comment."""
        self.lines.append(f"  ; {text}")

    def start(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.label = label

    def loop(
        self, count: int | str, carried: Carried, body: Callable[[str, list[str]], list[str]]
    ) -> list[str]:
        """Write a loop from 0 to `count`; the body returns what the next round is given."""
        if count == 0:
            return [x for _, x in carried]
        if count == 1:
            return body("0", [x for _, x in carried])
        self.count += 1
        head, done = f"loop{self.count}", f"done{self.count}"
        index, before = self.name(), self.label
        phis = [(t, self.name(), x) for t, x in carried]
        self.do(f"br label %{head}")
        self.start(head)
        hole = len(self.lines)
        following = body(index, [name for _, name, _ in phis])
        advanced = self.put(f"add nuw nsw i64 {index}, 1")
        more = self.put(f"icmp ult i64 {advanced}, {count}")
        latch = self.label
        self.do(f"br i1 {more}, label %{head}, label %{done}")
        self.start(done)
        rows = [("i64", index, "0", advanced)]
        rows += [(t, n, x, y) for (t, n, x), y in zip(phis, following, strict=True)]
        self.lines[hole:hole] = [
            f"  {n} = phi {t} [ {x}, %{before} ], [ {y}, %{latch} ]" for t, n, x, y in rows
        ]
        return following

    def loops(self, counts: Sequence[int], body: Callable[[list[str]], None]) -> None:
        """Write nested loops that carry nothing."""

        def inside(indices: list[str], _: list[str]) -> list[str]:
            body(indices)
            return []

        self.nest(counts, [], inside)

    def nest(
        self,
        counts: Sequence[int],
        carried: Carried,
        body: Callable[[list[str], list[str]], list[str]],
        outer: Sequence[str] = (),
    ) -> list[str]:
        """Write nested loops; the body is given all indices and what is carried through them."""
        if not counts:
            return body([*outer], [x for _, x in carried])
        types = [t for t, _ in carried]

        def inside(index: str, given: list[str]) -> list[str]:
            following = list(zip(types, given, strict=True))
            return self.nest(counts[1:], following, body, [*outer, index])

        return self.loop(counts[0], carried, inside)

    # ------------------------------------------------------------------------------ memory

    def affine(self, offset: int, terms: Sequence[tuple[str, int]]) -> str:
        """Compute offset + Σ index · stride."""
        total = str(offset)
        for index, stride in terms:
            if stride == 0 or index == "0":
                continue
            scaled = index if stride == 1 else self.put(f"mul nsw i64 {index}, {stride}")
            total = scaled if total == "0" else self.put(f"add nsw i64 {total}, {scaled}")
        return total

    def address(self, pointer: str, dtype: np.dtype, index: str) -> str:
        """Compute where an element lies."""
        kind = memory_type(dtype)
        return self.put(f"getelementptr inbounds {kind}, ptr {pointer}, i64 {index}")

    def load(self, address: str, dtype: np.dtype, width: int = 1) -> str:
        """Read neighbouring elements."""
        kind = memory_type(dtype, width)
        x = self.put(f"load {kind}, ptr {address}, align {dtype.itemsize}")
        if dtype.kind != "b":
            return x
        zero = "0" if width == 1 else "zeroinitializer"
        return self.put(f"icmp ne {kind} {x}, {zero}")

    def store(self, x: str, address: str, dtype: np.dtype, width: int = 1) -> None:
        """Write neighbouring elements."""
        kind = memory_type(dtype, width)
        if dtype.kind == "b":
            x = self.put(f"zext {type_of(dtype, width)} {x} to {kind}")
        self.do(f"store {kind} {x}, ptr {address}, align {dtype.itemsize}")

    def splat(self, x: str, kind: str, width: int) -> str:
        """Repeat one element."""
        if width == 1:
            return x
        vector = f"<{width} x {kind}>"
        first = self.put(f"insertelement {vector} poison, {kind} {x}, i64 0")
        return self.put(
            f"shufflevector {vector} {first}, {vector} poison, <{width} x i32> zeroinitializer"
        )


class Module:
    """Functions and declarations."""

    def __init__(self, tile: tuple[int, int] = (6, 64)) -> None:
        self.tile = tile  # rows, and bytes of columns, whose sums fit into registers
        self.declarations: dict[str, str] = {}
        self.functions: dict[str, list[str]] = {}

    def declare(self, text: str, name: str) -> None:
        """Declare a function that lives elsewhere, unless it is written here."""
        if name not in self.functions:
            self.declarations.setdefault(name, text)

    def function(self, name: str, head: str, body: Sequence[str]) -> None:
        """Add a function."""
        self.functions[name] = [f"{head} {{", *body, "}"]

    def text(self, header: Sequence[str], attributes: Sequence[str]) -> str:
        """Return everything, deterministic in every process."""
        lines = list(header)
        for name, function in self.functions.items():
            self.declarations.pop(name, None)
            lines += ["", *function]
        lines += ["", *self.declarations.values(), ""]
        lines += [f"attributes #{i} = {{ {text} }}" for i, text in enumerate(attributes)]
        return "\n".join(lines) + "\n"
