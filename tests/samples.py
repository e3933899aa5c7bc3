"""What the tests of the registry share: its entries, and samples of them with any memory layout."""

from collections.abc import Sequence
from typing import Any

import pytest

from tinygrad_bp.check.samples import LAYOUTS, Entry, Sample, differentiable, every_case, make
from tinygrad_bp.check.strategies import ops
from tinygrad_bp.facts import OPS
from tinygrad_bp.op import Elementwise, Op

DIFFERENTIABLE = differentiable()
PRIMITIVE = [entry for entry in DIFFERENTIABLE if isinstance(entry, Op)]
samples = ops


def each(entries: Sequence[Entry]) -> Any:
    """Parametrise a test by entries of the registry; its ids are their names."""
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.facts.name)


__all__ = ["DIFFERENTIABLE", "LAYOUTS", "OPS", "PRIMITIVE", "Elementwise", "Sample", "each",
           "every_case", "make", "samples"]  # fmt: skip
