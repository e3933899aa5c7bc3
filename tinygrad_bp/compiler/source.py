"""The schedule as text for people: loops, and what is computed in them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tinygrad_bp.compiler.expression import Place, access, expression, inputs_of
from tinygrad_bp.compiler.loopnest import row_major
from tinygrad_bp.compiler.primitives import Value, is_view, known
from tinygrad_bp.compiler.program import Program
from tinygrad_bp.compiler.schedule import Kernel, Schedule, schedule
from tinygrad_bp.compiler.simplify import simplify
from tinygrad_bp.facts import Shape

SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "less": "<",
    "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=",
    "logical_and": "and", "logical_or": "or",
}  # fmt: skip
UPDATES = {"sum": "+=", "prod": "*=", "max": "max=", "min": "min=", "any": "or=", "all": "and="}
LETTERS = "ijklmnpqrstuvw"


def source_of(program: Program) -> str:
    """Write the schedule of a program as pseudo-code."""
    plan = schedule(simplify(program))
    names = _names(plan)
    given = ", ".join(f"{names[x]}: {x.dtype}{list(x.shape)}" for x in plan.program.inputs)
    lines = [f"def program({given}):"]
    for kernel in plan.kernels:
        lines += _kernel(plan, kernel, names)
    lines.append(f"    return {', '.join(names[y] for y in plan.program.outputs)}")
    return "\n".join(lines)


def _names(plan: Schedule) -> dict[Value, str]:
    """Name all memory: as people did, or by number."""
    names: dict[Value, str] = {}
    taken: set[str] = set()
    for value in (*plan.program.inputs, *plan.stored):
        if value not in names:
            wanted = value.label or f"t{len(names)}"
            names[value] = wanted if wanted not in taken else f"{wanted}_{len(names)}"
            taken.add(names[value])
    return names


def _kernel(plan: Schedule, kernel: Kernel, names: Mapping[Value, str]) -> list[str]:
    """Write one loop nest."""
    value = kernel.value
    if kernel.kind == "map":
        writer = Writer(plan, names, LETTERS[: len(kernel.shape)])
        for root in kernel.values:
            place = names[root] + writer.index(root)
            writer.lines.append(f"{place} = {writer.formula(root, compute=True)}")
            writer.texts[(root, ())] = place
        return _nest(writer.letters, kernel.shape, writer.lines)
    if kernel.kind in UPDATES:
        (x,), (axes,) = value.inputs, value.params
        writer = Writer(plan, names, LETTERS[: len(x.shape)])
        kept = "".join(c for i, c in enumerate(writer.letters) if i not in axes)
        place = Writer(plan, names, kept).index(value)
        end = f"{names[value]}{place} {UPDATES[kernel.kind]} {_bare(writer.formula(x))}"
        return _nest(writer.letters, x.shape, [*writer.lines, end])
    if kernel.kind in ("contract", "product"):
        letters = LETTERS[: len(kernel.shape)]
        place = Writer(plan, names, letters).index(value)
        end = f"{names[value]}{place} = {_contraction(plan, value, names)}"
        return _nest(letters, kernel.shape, [end])
    writers = [Writer(plan, names, LETTERS[: len(x.shape)]) for x in value.inputs]
    given = [w.formula(x) for w, x in zip(writers, value.inputs, strict=True)]
    given += [str(p) for p in value.params if isinstance(p, tuple | int)]
    shared = [line for w in writers for line in w.lines]
    return _nest("", (), [*shared, f"{names[value]} = {kernel.kind}({', '.join(given)})"])


def _nest(letters: str, shape: Shape, lines: Sequence[str]) -> list[str]:
    """Put lines into loops."""
    loops = [f"{c} < {n}" for c, n in zip(letters, shape, strict=True) if n > 1]
    if not loops:
        return [f"    {line}" for line in lines]
    return [f"    for {', '.join(loops)}:", *(f"        {line}" for line in lines)]


def _contraction(plan: Schedule, value: Value, names: Mapping[Value, str]) -> str:
    left, right, to = value.params
    letter = dict(zip((*to, *(c for c in left if c not in to)), LETTERS, strict=False))
    lengths = dict(zip(left, value.inputs[0].shape, strict=True))
    factors = [
        Writer(plan, names, "".join(letter[c] for c in labels)).formula(x)
        for x, labels in zip(value.inputs, (left, right), strict=True)
    ]
    summed = ", ".join(f"{letter[c]} < {lengths[c]}" for c in left if c not in to)
    return f"sum({' * '.join(factors)} for {summed})"


class Writer:
    """Formulas over the indices of some loops; what is used twice gets a line of its own."""

    def __init__(self, plan: Schedule, names: Mapping[Value, str], letters: str) -> None:
        self.plan, self.names, self.letters = plan, names, letters
        self.lines: list[str] = []
        self.texts: dict[Place, str] = {}
        self.shared = 0

    def index(self, value: Value) -> str:
        """Write the index of a value over all loops."""
        return _index(value, row_major(value.shape), 0, self.letters, value.shape)

    def formula(self, root: Value, compute: bool = False) -> str:
        """Write what is computed for one element."""
        places = expression(root, self.plan.stored, compute)
        used = Counter(x for place in places for x in inputs_of(place))
        for place in places:
            if place not in self.texts:
                text = self._text(place, compute and place[0] is root)
                if used[place] > 1 and " " in text:
                    name = f"u{self.shared}"
                    self.shared += 1
                    self.lines.append(f"{name} = {_bare(text)}")
                    text = name
                self.texts[place] = text
        return _bare(self.texts[(root, ())]) if compute else self.texts[(root, ())]

    def _text(self, place: Place, compute: bool) -> str:
        value, path = place
        number = known(value)
        if number is not None:
            return f"{number:g}" if isinstance(number, float) else str(number)
        if value in self.plan.stored and not compute:
            offset, strides = access(value, path)
            shape = path[-1].shape if path else value.shape
            return self.names[value] + _index(value, strides, offset, self.letters, shape)
        inputs = [self.texts[p] for p in inputs_of(place)]
        return inputs[0] if is_view(value) else _operation(value, inputs)


def _bare(text: str) -> str:
    """Take off the outermost parentheses, if they belong together."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return text[1:-1] if i == len(text) - 1 and text.startswith("(") else text
    return text


def _operation(value: Value, inputs: Sequence[str]) -> str:
    if value.primitive in SIGNS:
        return f"({inputs[0]} {SIGNS[value.primitive]} {inputs[1]})"
    if value.primitive == "select":
        return f"({inputs[1]} if {inputs[0]} else {inputs[2]})"
    name = str(value.dtype) if value.primitive == "cast" else value.primitive
    return f"-{inputs[0]}" if name == "negative" else f"{name}({', '.join(inputs)})"


def _index(value: Value, strides: Shape, offset: int, letters: str, shape: Shape) -> str:
    """Write an index, axis by axis where strides tell them apart, else into the flat memory."""
    if not value.shape:
        return ""
    own = row_major(value.shape)
    moving = {s: (c, n) for s, c, n in zip(strides, letters, shape, strict=True) if s and n > 1}
    axes = {s: n for s, n in zip(own, value.shape, strict=True) if n > 1}
    if offset == 0 and all(n <= axes.get(s, 0) for s, (_, n) in moving.items()):
        parts = [
            moving[s][0] if n > 1 and s in moving else "0"
            for s, n in zip(own, value.shape, strict=True)
        ]
        return f"[{', '.join(parts)}]"
    terms = [c if s == 1 else f"{s}*{c}" for s, (c, _) in moving.items()]
    terms += [str(offset)] * (offset != 0 or not terms)
    return f".flat[{' + '.join(terms)}]"
