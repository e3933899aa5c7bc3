"""How an op is called: its inputs, which may be Tensors, and its parameters, which are settings."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_bp.errors import InputError, ShapeError, TinygradError, describe, user_line
from tinygrad_bp.facts import Facts
from tinygrad_bp.record import freeze
from tinygrad_bp.tensor import Tensor

Inputs = tuple[Any, ...]
Params = dict[str, Any]


class Signature:
    """Which arguments an op takes, read off the function that computes it."""

    def __init__(
        self, facts: Facts, forward: Callable[..., Any], inputs: int | None, sequence: bool
    ) -> None:
        self.facts, self.name, self.forward = facts, facts.name, forward
        self.sequence = sequence  # called with one sequence of inputs, as np.concatenate is
        parameters = list(inspect.signature(forward).parameters.values())
        self.variadic = parameters[0].kind is inspect.Parameter.VAR_POSITIONAL
        required = [p.name for p in parameters if p.default is p.empty]
        self.arity = 0 if self.variadic else len(required) if inputs is None else inputs
        names = [p.name for p in parameters]
        self.input_names = names[: self.arity]
        self.params = names[self.arity + self.variadic :]
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}

    def sort_quickly(self, arguments: Inputs, params: Params) -> tuple[Inputs, Params]:
        """Sort arguments into inputs and parameters, fast where all inputs come by position."""
        if len(arguments) < self.arity:
            return self.sort(arguments, params)
        return arguments[: self.arity], self._named(arguments[self.arity :], params)

    def sort(self, arguments: Inputs, params: Params) -> tuple[Inputs, Params]:
        """Sort arguments into inputs and parameters as Python would."""
        bound = bind(self.name, self.forward, arguments, params)
        if self.variadic:
            return arguments, params
        return tuple(bound.pop(name) for name in self.input_names), bound

    def _named(self, extra: Inputs, params: Params) -> Params:
        """Name the parameters that came by position, and add the others."""
        if len(extra) > len(self.params):
            raise TypeError(f"{self.name}: too many positional arguments")
        for name, _ in zip(self.params, extra, strict=False):
            if name in params:
                raise TypeError(f"{self.name}: multiple values for argument {name!r}")
        return dict(zip(self.params, extra, strict=False), **params)

    def unpack(self, arguments: Inputs, params: Params) -> tuple[Inputs, Params]:
        """Take the inputs out of the one sequence that they were given in."""
        sequence = arguments[0] if arguments else None
        whole = isinstance(sequence, Tensor | str) or not np.iterable(sequence)
        inputs = () if sequence is None or whole else tuple(sequence)
        if not inputs:
            raise InputError(
                describe(sequence) if arguments else "nothing",
                where=f"{self.name} (at {user_line()})",
                expected="a sequence of at least one tensor or array",
                repair=f"Write {self.name}([a, b]).",
            )
        return inputs, self._named(arguments[1:], params)

    def complete(self, params: Params) -> Params:
        """Add the defaults, and freeze what the caller could change before the backward pass."""
        complete = dict(self.defaults)
        for key, value in params.items():
            if key not in self.params:
                raise TypeError(f"{self.name}: got an unexpected keyword argument '{key}'")
            complete[key] = freeze(value, lists_are_arrays=key == "index")
        return complete

    def explain(self, values: Sequence[Any], params: Params, error: Exception) -> Exception:
        """Say in one voice what was wrong with the inputs or parameters."""
        missing = [name for name in self.params if name not in self.defaults | params]
        if missing:
            return TypeError(f"{self.name}: missing a required argument: {missing[0]!r}")
        given = ", ".join(
            f"{name} {np.shape(v)}" for name, v in zip(self._names(values), values, strict=True)
        )
        changed = {k: v for k, v in params.items() if v is not self.defaults.get(k)}
        given += "".join(f", {k}={v!r}" for k, v in changed.items())
        where = f"{self.name} (at {user_line()})"
        if isinstance(error, TinygradError):  # the op itself knows better than NumPy
            return type(error)(
                f"{given}: {error.given}", where=where, expected=error.expected, repair=error.repair
            )
        shapes = isinstance(error, ValueError) and not isinstance(error, np.linalg.LinAlgError)
        return (ShapeError if shapes else InputError)(
            given,
            where=where,
            expected=self.facts.expects or "inputs that NumPy accepts",
            repair=f"NumPy says: {str(error).rstrip(' .')}.",
        )

    def _names(self, values: Sequence[Any]) -> list[str]:
        return [f"input {i}" for i in range(len(values))] if self.variadic else self.input_names


def bind(name: str, function: Callable[..., Any], arguments: Inputs, params: Params) -> Params:
    """Return arguments by name, or raise the `TypeError` that Python gives to a wrong call."""
    try:
        return inspect.signature(function).bind(*arguments, **params).arguments
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
