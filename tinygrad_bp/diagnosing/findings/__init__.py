"""From what was measured of a graph to sentences: one file for each kind of finding."""

from collections.abc import Iterator

from tinygrad_bp.diagnosing.findings.finite import non_finite_gradients, non_finite_values
from tinygrad_bp.diagnosing.findings.links import lost_leaves, stretched_shapes
from tinygrad_bp.diagnosing.findings.report import Finding, Reader
from tinygrad_bp.diagnosing.findings.rules import wrong_derivatives
from tinygrad_bp.diagnosing.findings.strength import exploded_gradients, vanished_gradients
from tinygrad_bp.diagnosing.findings.zeros import (
    dead_leaves,
    half_dead_layers,
    saturated_activations,
)
from tinygrad_bp.summary import is_finite

__all__ = ["Finding", "Reader", "all_findings"]


def all_findings(reader: Reader) -> Iterator[Finding]:
    """Yield everything that is wrong, worst first."""
    yield from non_finite_values(reader)
    if not is_finite(reader.flow.root.value):
        return  # all else would be a consequence
    yield from wrong_derivatives(reader)
    backward = list(non_finite_gradients(reader))
    yield from backward
    if not backward:
        yield from exploded_gradients(reader)
        yield from vanished_gradients(reader)
    yield from dead_leaves(reader)
    yield from half_dead_layers(reader)
    yield from saturated_activations(reader)
    yield from lost_leaves(reader)
    yield from stretched_shapes(reader)
