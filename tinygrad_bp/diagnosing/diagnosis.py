"""What is wrong with a graph, worst first: `diagnose` finds it, a `Diagnosis` tells it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tinygrad_bp.diagnosing.findings import Finding, Reader, all_findings
from tinygrad_bp.diagnosing.vitals import Vitals
from tinygrad_bp.errors import GraphError, describe
from tinygrad_bp.flow import Flow
from tinygrad_bp.graph import Node
from tinygrad_bp.listeners import recording, unwatched
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.validate import refuse

SHOWN = 10  # findings that are printed


class Diagnosis(Sequence[Finding]):
    """The findings of `diagnose`, worst first. It is true if there are any.

    Each has ``kind``, ``node``, ``label``, ``index``, ``line``, ``text`` and ``remedy``.
    """

    def __init__(self, findings: Sequence[Finding], summary: str) -> None:
        self.findings, self.summary = tuple(findings), summary

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: Any) -> Any:
        return self.findings[index]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        shown = [str(finding) for finding in self.findings[:SHOWN]]
        if len(self) > SHOWN:
            shown.append(f"and {len(self) - SHOWN} more")
        return "\n".join(shown or [self.summary])

    __repr__ = __str__


def diagnose(
    E: Tensor,
    *,
    names: Mapping[str, Any] | None = None,
    parameters: Sequence[Tensor] | Mapping[str, Tensor] | None = None,
) -> Diagnosis:
    """Find what is wrong with a graph: where NaN begins, where gradients vanish, explode or end.

    It reads the graph of ``E`` (a sum is meant if it has several elements), runs a backward pass of
    its own, checks the rule of every op that was used by finite differences, and changes nothing.
    ``names`` gives nodes names in the report; ``locals()`` will do. ``parameters`` must get a
    gradient: those that get none are findings, even if ``E`` does not lead to them.

    Raises `GraphError` if ``E`` is no Tensor or nothing made it, `InputError` if ``names`` or
    ``parameters`` are of another kind.

    >>> x = tg.Tensor([4.0, 1.0], name="x")
    >>> print(diagnose(tg.sum(tg.sqrt(tg.sqrt(x) - 1.0))))
    sqrt#4: Inf origin, index (1,)
        sends inf to subtract#3: the slope of the square root at 0 is ∞ (from x = 0, gradient = 1)
        Use tg.norm, or sqrt(x + 1e-12), or change the input: sqrt(where(x > 0, x, 1)).
    >>> len(diagnose(tg.sum(x * x)))
    0
    """
    with recording(True), unwatched():  # a diagnosis inside debug() must not be stopped by it
        return _diagnose(Flow(E), names, parameters)


def _diagnose(flow: Flow, names: Any, parameters: Any) -> Diagnosis:
    """Do what `diagnose` says."""
    E = flow.root
    if E.op is None:
        raise GraphError(
            f"{describe(E.value)}, which nothing made",
            where="diagnose",
            expected="a Tensor computed from Tensors, such as the loss",
            repair="Compute it outside of no_grad(), and without float(x) or x.data on the way.",
        )
    wanted = _named(parameters, "parameters")
    labels = {node: name for name, node in (_named(names, "names") | wanted).items()}
    reader = Reader(Vitals(flow), labels)
    findings = [*all_findings(reader), *_missing(reader, wanted)]
    return Diagnosis(findings, f"nothing wrong with {len(flow.nodes)} nodes")


def _named(given: Any, argument: str) -> dict[str, Node]:
    """Read names (where what is no Tensor is left out) or parameters (where nothing may be)."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        pairs = dict(given)
    elif argument == "parameters" and isinstance(given, list | tuple):
        pairs = {getattr(x, "name", None) or f"parameter {i}": x for i, x in enumerate(given)}
    else:
        refuse(
            f"diagnose, argument {argument}",
            describe(given),
            "a dict from names to Tensors" + (", or a list" if argument == "parameters" else ""),
            "Write names=locals()." if argument == "names" else "Write parameters=[w, b].",
        )
    for name, value in pairs.items():
        if argument == "parameters" and not isinstance(value, Tensor):
            refuse(
                f"diagnose, argument parameters, {name}",
                describe(value),
                "a Tensor",
                "Leave out what is no Tensor.",
            )
    return {str(name): value for name, value in pairs.items() if isinstance(value, Tensor)}


def _missing(reader: Reader, wanted: Mapping[str, Node]) -> Iterator[Finding]:
    """Find the parameters that no gradient can reach: constants, and what is not in the graph."""
    for node in wanted.values():
        if not node.requires_grad and node.op is None:
            text = "it is a constant, so it gets no gradient"
            remedy = "Make it with Tensor(data), of a float dtype and without requires_grad=False."
        elif node not in reader.flow.number:
            text = "the root does not depend on it"
            remedy = "Compute with the Tensor itself, without x.data, x.detach() or no_grad()."
        else:
            continue
        yield reader.finding("unreached", node, text, remedy)
