"""Is a gradient right? A checker that measures its own error and says what it would have caught.

>>> report = gradcheck(lambda x: tg.exp(x) / x, np.array([1.0, 2.0]))
>>> report.verdict
'PASS'
"""

import importlib
from typing import Any

from tinygrad_bp.check.gradcheck import gradcheck, gradcheck_graph
from tinygrad_bp.check.report import Report

__all__ = ["Report", "gradcheck", "gradcheck_graph"]

_ROOMS = ("mutants", "programs", "strategies")  # for test suites: imported when first asked for


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'tinygrad_bp.check' has no attribute {name!r}")
    return importlib.import_module(f"tinygrad_bp.check.{name}")
