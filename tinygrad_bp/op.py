"""What an op is: how it computes and how a cotangent passes through it.

An *elementwise* op states dy/dx as mathematics; a *structural* op says what happens to the
cotangent g of a whole array. Rules use the library's own ops and integer constants, so the same
rule computes with arrays, records with Tensors and stays exact with fractions.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from numpy import bool_, float64

from tinygrad_bp.arguments import Signature
from tinygrad_bp.cotangents import match, promote, select, times
from tinygrad_bp.errors import InputError
from tinygrad_bp.facts import Facts, find_op
from tinygrad_bp.graph import Node
from tinygrad_bp.record import (
    PLAIN,
    REFUSALS,
    WEAK,
    binary_recorder,
    numbers,
    record,
    unary_recorder,
)
from tinygrad_bp.selected import Selected
from tinygrad_bp.tensor import Tensor


class Op(Signature):
    """One primitive operation. Calling it computes; if a Tensor is involved it also records."""

    kind: ClassVar[str]

    def __init__(
        self,
        forward: Callable[..., Any],
        facts: Facts,
        *,
        constant: bool = False,
        inputs: int | None = None,
        skip: tuple[int, ...] = (),
        sequence: bool = False,
    ) -> None:
        super().__init__(facts, forward, inputs, sequence)
        self.differentiable = not constant
        self.weak = self.kind == "elementwise"  # Python numbers stay what they are
        self.selects = False  # its derivatives are masks: which elements a branch gave
        self.routes = False  # its rule only moves and adds cotangents, so it moves masks as well
        self.skipped = skip  # positions of inputs that have no derivative
        slots = range(0 if constant else max(self.arity, 1))  # with any number of inputs: one
        self.rules: list[Callable[..., Any]] = [
            _nothing if i in skip else Undeclared(self.name, i) for i in slots
        ]
        self.quick: Callable[..., Tensor] = (
            unary_recorder(self) if self.arity == 1 else binary_recorder(self)
        )
        self.__doc__, self.__name__ = facts.doc, self.name

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        if len(inputs) == 1 == self.arity and not params and type(inputs[0]) is Tensor:
            return self.quick(inputs[0])
        if self.sequence:
            inputs, params = self.unpack(inputs, params)
        arity = len(inputs) if self.variadic else self.arity
        for x in inputs[:arity]:
            kind = type(x)
            if kind not in PLAIN or (kind in WEAK and not self.weak):
                return self._record(inputs, params)
        try:
            return self.forward(*inputs, **params)
        except REFUSALS as error:
            inputs, params = self.sort(inputs, params)
            raise self.explain(inputs, params, error) from error

    def _record(self, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Take the slower way: sort the arguments, read lists, record if there is a Tensor."""
        if len(inputs) != self.arity and not self.variadic:
            inputs, params = self.sort_quickly(inputs, params)
        params = self.complete(params) if params else self.defaults
        for x in inputs:
            if isinstance(x, Tensor):
                return record(self, inputs, params)
        values = [numbers(self, i, x) for i, x in enumerate(inputs)]
        try:
            return self.forward(*values, **params)
        except REFUSALS as error:
            raise self.explain(values, params, error) from error

    def pull(self, node: Node, cotangent: Any, y: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Return for each input its share of the cotangent."""
        raise InputError(f"the derivative of {self.name}", expected="an op that has one")

    def definition(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register the same value in terms of simpler ops: a function of (*inputs, *params).

        Readers that do not know the op by itself read its definition instead.
        """
        self.facts.definition = function
        return function

    def _rule(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Take a rule for the first input that has none."""
        slot = next((i for i, rule in enumerate(self.rules) if type(rule) is Undeclared), None)
        if slot is None:
            raise InputError(
                "one rule more",
                where=f"the derivative of {self.name}",
                expected="one for each input, in their order",
                repair="To replace a rule, declare the op again and then its rules.",
            )
        self.rules[slot] = function
        return function

    def __repr__(self) -> str:
        return f"<{self.kind} op {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return find_op, (self.name,)


class Undeclared:
    """What stands for a rule until it is declared."""

    def __init__(self, name: str, slot: int) -> None:
        self.name, self.slot = name, slot

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise InputError(
            f"no rule for input {self.slot}",
            where=f"the derivative of {self.name}",
            expected="a rule for each input",
            repair=f"Declare it below the op, after @{self.name}.derivative or @{self.name}.vjp.",
        )


class Elementwise(Op):
    """An op on single numbers, applied to every element of inputs that broadcast together."""

    kind = "elementwise"

    def derivative(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register dy/dx, a function of (y, *inputs); once for each input, in their order."""
        return self._rule(function)

    def pull(self, node: Node, cotangent: Any, y: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        if type(cotangent) is Selected or self.selects or node.params or self.arity > 2:
            return self._pull_any(node, cotangent, y, inputs)
        rules, number = self.rules, type(cotangent) is float64
        if self.arity == 1:
            factor = rules[0](y, inputs[0])
            if number:  # a scalar graph: nothing to broadcast, and NumPy is slow with bools
                return (cotangent * (bool(factor) if type(factor) is bool_ else factor),)
            return (match(times(cotangent, factor), inputs[0]),)
        a, b = inputs
        left, right = node.inputs
        if number and (type(a) is type(b) or type(a) in WEAK or type(b) in WEAK):
            return (
                cotangent * rules[0](y, a, b) if left.requires_grad else None,
                cotangent * rules[1](y, a, b) if right.requires_grad else None,
            )
        p, q = promote(inputs, y)
        return (
            match(times(cotangent, rules[0](y, p, q)), a) if left.requires_grad else None,
            match(times(cotangent, rules[1](y, p, q)), b) if right.requires_grad else None,
        )

    def _pull_any(self, node: Node, cotangent: Any, y: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Do what `pull` does for any number of inputs, parameters and branches not taken."""
        taken = None
        if type(cotangent) is Selected:
            cotangent, taken = cotangent.values, cotangent.taken
        seen = promote(inputs, y)
        return [
            self._share(rule(y, *seen, **node.params), cotangent, taken, value)
            if x.requires_grad
            else None
            for x, value, rule in zip(node.inputs, inputs, self.rules, strict=True)
        ]

    def _share(self, factor: Any, cotangent: Any, taken: Any, like: Any) -> Any:
        """Multiply the cotangent by a local derivative, or select by it, for one input."""
        if self.selects:
            return select(cotangent, factor if taken is None else factor & taken, like)
        share = times(cotangent, factor)
        return match(share, like) if taken is None else select(share, taken, like)


class Structural(Op):
    """An op on whole arrays."""

    kind = "structural"

    def vjp(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register what becomes of the cotangent: a function of (g, y, *inputs).

        Once for each input, in their order; for an op with any number of inputs once, returning
        a sequence with one share for each.
        """
        return self._rule(function)

    def pull(self, node: Node, cotangent: Any, y: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        if type(cotangent) is Selected:
            if self.routes:
                return self._pull_selected(node, cotangent, y, inputs)
            cotangent = cotangent.values
        params, rules = node.params, self.rules
        if self.arity == 2 and not params:  # spelled out for the products of matrices
            (a, b), (left, right) = inputs, node.inputs
            return (
                match(rules[0](cotangent, y, a, b), a) if left.requires_grad else None,
                match(rules[1](cotangent, y, a, b), b) if right.requires_grad else None,
            )
        if self.variadic:
            shares = rules[0](cotangent, y, *inputs, **params)
            return [match(s, value) for s, value in zip(shares, inputs, strict=True)]
        return [
            match(rule(cotangent, y, *inputs, **params), value) if x.requires_grad else None
            for x, value, rule in zip(node.inputs, inputs, rules, strict=True)
        ]

    def _pull_selected(
        self, node: Node, cotangent: Selected, y: Any, inputs: Sequence[Any]
    ) -> Sequence[Any]:
        values = self.pull(node, cotangent.values, y, inputs)
        taken = self.pull(node, 1 * cotangent.taken, y, inputs)
        return [
            None if v is None else Selected(v, t != 0) for v, t in zip(values, taken, strict=True)
        ]


def _nothing(*_: Any, **__: Any) -> None:
    return None
