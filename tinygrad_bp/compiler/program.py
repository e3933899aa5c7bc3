"""A program: values in an order in which each comes after its inputs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinygrad_bp.compiler.primitives import Value


@dataclass(frozen=True)
class Program:
    """What is given, what is wanted, and every value between, in the order of recording."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    values: tuple[Value, ...]


def program(inputs: Sequence[Value], outputs: Sequence[Value]) -> Program:
    """Collect the values that the outputs need."""
    return Program(tuple(inputs), tuple(outputs), tuple(needed(outputs)))


def needed(outputs: Iterable[Value]) -> list[Value]:
    """List the values that others are made from, and themselves, in the order of recording."""
    found = dict.fromkeys(outputs)
    stack = list(found)
    while stack:
        for x in stack.pop().inputs:
            if x not in found:
                found[x] = None
                stack.append(x)
    return sorted(found, key=lambda value: value.order)
