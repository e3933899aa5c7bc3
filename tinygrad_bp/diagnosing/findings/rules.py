"""Derivative rules that disagree with what is measured."""

from collections.abc import Iterator
from typing import Any

from tinygrad_bp.diagnosing.findings.report import Finding, Reader
from tinygrad_bp.diagnosing.local_rules import wrong_rules
from tinygrad_bp.summary import number


def wrong_derivatives(reader: Reader) -> Iterator[Finding]:
    """Compare every rule that was used with what is measured."""
    for wrong in wrong_rules([n for n in reader.flow.nodes if reader.flow.gradient(n) is not None]):
        op: Any = wrong.node.op
        name = "the inputs" if op.variadic else op.input_names[wrong.slot]
        where = " along a random direction" if wrong.along_a_direction else ""
        text = (
            f"the rule of {op.name} for {name} gives {number(wrong.rule, 6)}{where}; "
            f"measured {number(wrong.measured, 6)} ± {number(wrong.error, 1)}"
        )
        yield reader.finding(
            "wrong rule", wrong.node, text, f"Correct the derivative of {op.name}.", wrong.index
        )
