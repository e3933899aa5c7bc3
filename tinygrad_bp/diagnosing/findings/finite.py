"""Where a value or a gradient first is not finite."""

from collections.abc import Iterator

from tinygrad_bp.diagnosing import badges
from tinygrad_bp.diagnosing.findings.report import Finding, Reader
from tinygrad_bp.diagnosing.nonfinite import cause_of_gradient, cause_of_value, first_non_finite
from tinygrad_bp.graph import Node


def non_finite_values(reader: Reader) -> Iterator[Finding]:
    """Explain where the forward pass first went wrong."""
    for node in badges.forward_origins(reader.flow):
        cause = cause_of_value(node)
        kind = badges.non_finite(node.value)
        source = f" (from {cause.inputs})" if cause.inputs else ""
        text = f"its value is {cause.what}: {cause.pattern}{source}"
        yield reader.finding(kind, node, text, cause.remedy, cause.index)


def non_finite_gradients(reader: Reader) -> Iterator[Finding]:
    """Explain where the backward pass first went wrong."""
    flow = reader.flow
    seen: set[Node] = set()
    for node, slot in badges.backward_origins(flow):
        if node in seen:
            continue
        seen.add(node)
        share = flow.shares(node)[slot]
        beside = _beside_where(reader, node)
        cause = cause_of_gradient(node, slot, flow.gradient(node), share, not_taken=beside)
        target = reader.label(node.inputs[slot])
        text = f"sends {cause.what} to {target}: {cause.pattern} (from {cause.inputs})"
        yield reader.finding(badges.non_finite(share), node, text, cause.remedy, cause.index)

    for node in badges.overflowing_sums(flow):
        kind, index = badges.non_finite(flow.gradient(node)), first_non_finite(flow.gradient(node))
        text = "the gradients that arrive are finite, and their sum is not"
        yield reader.finding(kind, node, text, "Scale the loss down.", index or None)


def _beside_where(reader: Reader, node: Node) -> bool:
    """Tell whether what a node computes goes through a `where`, which may not take it."""
    return any(getattr(consumer.op, "selects", False) for consumer in reader.vitals.path(node))
