"""Recording a function once, for given shapes and dtypes, into a program."""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.compiler.primitives import Value, constant
from tinygrad_bp.compiler.program import Program, needed, program
from tinygrad_bp.compiler.rewrite import remake
from tinygrad_bp.compiler.symbol import Symbol
from tinygrad_bp.errors import CompileError, describe, user_line
from tinygrad_bp.facts import Shape
from tinygrad_bp.graph import recording
from tinygrad_bp.nested import Rebuild, flatten
from tinygrad_bp.tensor import Tensor

NATIVE_KINDS = {np.dtype(t) for t in "?bhilqBHILQfd"}


class Argument(NamedTuple):
    """What is known of an argument: its shape and dtype, and whether it is a Python float."""

    shape: Shape
    dtype: np.dtype
    weak: bool = False
    gradient: bool = True
    name: str = ""


@dataclass
class Traced:
    """A recorded function: its program, the Tensors that it found outside, and its result."""

    program: Program
    captured: list[Tensor]
    rebuild: Rebuild


class Recorder:
    """A listener of the recording that turns Tensors found outside of the function into inputs."""

    def __init__(self) -> None:
        self.found: dict[Tensor, Symbol] = {}

    def __call__(self, node: Any) -> None:
        values = [self.symbol_of(x) for x in node.inputs]
        if not hasattr(node.op, "forward"):
            return  # a checkpoint: what is inside of it was heard already
        if any(v is not x.value for v, x in zip(values, node.inputs, strict=True)):
            node.value = node.op.forward(*values, **node.params)

    def muted(self, node: Any) -> None:
        """Do the same inside no_grad()."""
        self(node)
        node.requires_grad = False

    def symbol_of(self, x: Any) -> Any:
        """Return the symbol of a leaf that needs a gradient and stems from outside."""
        if isinstance(x.value, Symbol) or not x.requires_grad:
            return x.value
        if x.op is not None:
            raise CompileError(
                f"a tensor that {x.op.name} computed before",
                where=f"compile (at {user_line()})",
                expected="arguments, constants and leaves such as Tensor(data)",
                repair="Pass it as an argument, or compute it inside the compiled function.",
            )
        if x not in self.found:
            self.found[x] = Symbol(Value("input", (), x.shape, x.dtype, (), x.name or ""))
        return self.found[x]


def trace(function: Callable[..., Any], arguments: Sequence[Argument], rebuild: Rebuild) -> Traced:
    """Record `function`, called with what `rebuild` makes of one Tensor for each argument.

    Raises `CompileError` where Python asks for a number, and for dtypes that are not compiled.
    """
    inputs = [_input(a) for a in arguments]
    tensors = [_tensor(v, a) for v, a in zip(inputs, arguments, strict=True)]
    recorder = Recorder()
    with recording(recorder), np.errstate(all="ignore"):
        args, options = rebuild(iter(tensors))
        result, put_together = flatten(function(*args, **options))
        outputs = [_output(recorder, y) for y in result]
    del result, args, options, tensors
    captured = []
    found = [(weakref.ref(x), x.value, symbol) for x, symbol in recorder.found.items()]
    recorder.found.clear()
    for reference, data, symbol in found:
        tensor = reference()
        if tensor is None:  # made and dropped inside the function: nobody can change it
            outputs = _substitute(outputs, symbol.value, constant(data))
        else:
            captured.append(tensor)
            inputs.append(symbol.value)
    return Traced(program(inputs, outputs), captured, put_together)


def _input(argument: Argument) -> Value:
    if argument.dtype not in NATIVE_KINDS:
        raise CompileError(
            f"an argument of {argument.dtype}",
            where="compile",
            expected="float64, float32, integers or booleans",
            repair="Convert it first, e.g. with .astype(float).",
        )
    return Value("input", (), argument.shape, argument.dtype, (), argument.name)


def _tensor(value: Value, argument: Argument) -> Tensor:
    tensor = Tensor.__new__(Tensor)
    gradient = argument.gradient and value.dtype.kind == "f"
    tensor._restore(Symbol(value, argument.weak), gradient, argument.name or None)
    return tensor


def _output(recorder: Recorder, y: Any) -> Value:
    if isinstance(y, Tensor):
        y = recorder.symbol_of(y)
    if isinstance(y, Symbol):
        return y.value
    if not isinstance(y, int | float | np.ndarray | np.generic):
        raise CompileError(
            describe(y),
            where="the result of a compiled function",
            expected="Tensors, arrays or numbers, nested in lists, tuples and dicts",
            repair="Return the Tensors that were computed.",
        )
    return constant(y)


def _substitute(outputs: list[Value], old: Value, new: Value) -> list[Value]:
    """Replace one value in the programs of others."""
    made = {old: new}
    for value in needed(outputs):
        if value not in made:
            made[value] = remake(value, [made[x] for x in value.inputs])
    return [made[y] for y in outputs]
