"""Recording a function once, for given shapes and dtypes, into a program."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.compiler.primitives import Value, constant
from tinygrad_bp.compiler.program import Program, needed, program
from tinygrad_bp.compiler.randomness import Randomness
from tinygrad_bp.compiler.recorder import Recorder
from tinygrad_bp.compiler.rewrite import remake
from tinygrad_bp.compiler.symbol import Symbol
from tinygrad_bp.errors import CompileError, describe
from tinygrad_bp.facts import Shape
from tinygrad_bp.nested import Rebuild, flatten
from tinygrad_bp.tensor import Tensor


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


def trace(function: Callable[..., Any], arguments: Sequence[Argument], rebuild: Rebuild) -> Traced:
    """Record `function`, called with what `rebuild` makes of one Tensor for each argument.

    Raises `CompileError` where Python asks for a number, for a change of what stems from outside,
    and for random numbers that are drawn from what the function finds outside.
    """
    inputs = [_input(a) for a in arguments]
    tensors = [_tensor(v, a) for v, a in zip(inputs, arguments, strict=True)]
    recorder, random = Recorder(), Randomness(function)
    with recorder.at_work():
        args, options = rebuild(iter(tensors))
        result, put_together = flatten(function(*args, **options))
        outputs = [_output(recorder, y) for y in result]
    del result, args, options, tensors
    random.check()
    captured = []
    for reference, symbol, data in recorder.release():
        tensor = reference()
        if tensor is None:  # made and dropped inside the function: nobody can change it
            outputs = _substitute(outputs, symbol.value, constant(data))
        else:
            captured.append(tensor)
            inputs.append(symbol.value)
    return Traced(program(inputs, outputs), captured, put_together)


def _input(argument: Argument) -> Value:
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
