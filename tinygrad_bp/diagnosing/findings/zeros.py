"""Gradients that are exactly 0, and activations that are flat."""

from collections.abc import Iterator, Sequence

import numpy as np

from tinygrad_bp.diagnosing import badges
from tinygrad_bp.diagnosing.findings.report import Finding, Reader, op_name
from tinygrad_bp.diagnosing.vitals import Vitals
from tinygrad_bp.graph import Node
from tinygrad_bp.summary import number

ALWAYS_FLAT = ("sign", "heaviside")


def dead_leaves(reader: Reader) -> Iterator[Finding]:
    """Explain where the gradients of leaves that get exactly 0 end."""
    groups: dict[Node, list[Node]] = {}
    for leaf, ends in reader.ends.items() if reader.vitals.error else ():
        if not _is_excused(reader.vitals, ends):
            groups.setdefault(ends[0], []).append(leaf)
    for node, leaves in groups.items():
        text, remedy = _why_it_is_dead(reader, node)
        yield reader.finding("dead", node, f"{text}; {reader.listed(leaves)} gets 0", remedy)


def _is_excused(vitals: Vitals, ends: Sequence[Node]) -> bool:
    """Tell whether a gradient of 0 is no sign of death, or was found to have vanished."""
    vanished = any(badges.has_vanished(vitals, node) for node in ends)
    return vanished or _by_chance(ends) or any(waits(vitals, node) for node in ends)


def _by_chance(ends: Sequence[Node]) -> bool:
    """Tell whether a few elements are all on one side, as they may be in a healthy network."""
    few = sum(np.size(node.value) for node in ends) < badges.MANY
    return few and not any(op_name(node) in ALWAYS_FLAT for node in ends)


def waits(vitals: Vitals, node: Node) -> bool:
    """Tell whether a gradient is 0 only because data are, or a parameter that will be changed."""
    return any(
        x.op is None and not vitals.value[x] and (not x.requires_grad or vitals.strength[x] > 0)
        for x in node.inputs
        if np.size(x.value)
    )


def _why_it_is_dead(reader: Reader, node: Node) -> tuple[str, str]:
    """Say why a node sends on only zeros."""
    name = op_name(node)
    if name == "relu":
        return (
            "100% of its elements are off, whatever the sample",
            "Lower the learning rate, start with a bias of 0 or more, or use leaky_relu.",
        )
    if name in ALWAYS_FLAT:
        return (
            f"the derivative of {name} is 0 everywhere",
            "Use a smooth function (tanh, sigmoid) in training.",
        )
    if name in ("maximum", "minimum", "where"):
        return "every element takes the other branch", "Check the limits, or the condition."
    if name in badges.SQUASHING:
        return "all of its elements are so flat that the slope is 0", "Start with smaller weights."
    zero = [x for x, value in zip(node.inputs, node.saved, strict=True) if not np.any(value)]
    if zero and zero[0].op is not None:
        factor = reader.label(zero[0])
        return f"the factor {factor} is 0", f"Find out why {factor} is 0."
    if zero:
        return "the factor that it multiplies by is 0", "Start with random weights, not with 0."
    return "its derivative is exactly 0 at these inputs", "Move the inputs, or use another op."


def half_dead_layers(reader: Reader) -> Iterator[Finding]:
    """Find relus of which nearly all units are off for every sample of a batch."""
    for node in reader.flow.nodes:
        off = units_off(node)
        if badges.MOSTLY <= off < 1 and reader.vitals.strength[node]:
            text = f"{number(100 * off, 3)}% of its units are off for every sample"
            remedy = "Lower the learning rate, or use leaky_relu."
            yield reader.finding("dead", node, text, remedy)


def units_off(node: Node) -> float:
    """Return the share of units of a relu that are off in all of at least 8 samples."""
    y = np.asarray(node.value)
    many = y.ndim > 1 and y.shape[-1] and y.size // y.shape[-1] >= badges.MANY
    if op_name(node) != "relu" or not many:
        return 0.0
    return float(np.mean(~np.any(y > 0, axis=tuple(range(y.ndim - 1)))))


def saturated_activations(reader: Reader) -> Iterator[Finding]:
    """Say how much of an activation is flat."""
    for layer in badges.saturated(reader.vitals):
        node = layer[0]
        flat = sum(map(badges.saturation, layer)) / len(layer)
        text = (
            f"{number(100 * flat, 3)}% of its elements are flat (slope under 1% of the steepest); "
            f"its input has rms {number(reader.vitals.value[node.inputs[0]], 2)}"
        )
        if len(layer) > 1:
            text += f"; {len(layer)} nodes like this one are counted together"
        yield reader.finding(
            "saturated", node, text, "Start with smaller weights, or normalise what goes in."
        )
