"""tinygrad_bp: see backpropagation, trust every gradient, run it fast.

A `Tensor` records what is computed with it into a graph. The graph is evaluated, differentiated
and trained: ``x.backward()``, ``grad(f)``, ``NeuralNetwork([2, 2, 1]).fit(X, y)``.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from tinygrad_bp import numpy_protocol as _numpy_protocol  # noqa: F401  (NumPy finds it)
from tinygrad_bp.checkpoint import checkpoint
from tinygrad_bp.declare import elementwise, structural
from tinygrad_bp.errors import (
    CompileError,
    GradientError,
    GraphError,
    InputError,
    ShapeError,
    StoreError,
    TinygradError,
)
from tinygrad_bp.facts import OPS as _OPS
from tinygrad_bp.facts import Derived as _Derived
from tinygrad_bp.listeners import no_grad
from tinygrad_bp.nn import NeuralNetwork
from tinygrad_bp.origin import scope
from tinygrad_bp.tensor import Tensor
from tinygrad_bp.transforms import (
    elementwise_grad,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)

__version__ = "0.1.0"

# The ops are named where they are declared, and nowhere else.
globals().update({k: op.function if isinstance(op, _Derived) else op for k, op in _OPS.items()})

# Readers of a graph: the module of each public name, imported when it is first used.
_READERS: dict[str, str] = {
    "compile": "tinygrad_bp.compiler.compiled",
    "debug": "tinygrad_bp.diagnosing.debugging",
    "diagnose": "tinygrad_bp.diagnosing.diagnosis",
    "draw": "tinygrad_bp.render.draw",
    "explain": "tinygrad_bp.explaining.explain",
    "check": "tinygrad_bp.check",
    "gradcheck": "tinygrad_bp.check",
    "gradcheck_graph": "tinygrad_bp.check",
    "load": "tinygrad_bp.keeping",
    "save": "tinygrad_bp.keeping",
}

# Modules that stand on optional packages.
_ROOMS = ("plot", "sklearn")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"tinygrad_bp.{name}")
    if name not in _READERS:
        text = f"module 'tinygrad_bp' has no attribute {name!r}"
        raise AttributeError(text, name=name, obj=sys.modules[__name__])  # so Python says what is
    module = importlib.import_module(_READERS[name])
    value = module if module.__name__ == f"tinygrad_bp.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})  # also what was not used yet


if TYPE_CHECKING:
    from tinygrad_bp import check as check
    from tinygrad_bp.check import gradcheck as gradcheck
    from tinygrad_bp.check import gradcheck_graph as gradcheck_graph
    from tinygrad_bp.compiler.compiled import compile as compile
    from tinygrad_bp.diagnosing.debugging import debug as debug
    from tinygrad_bp.diagnosing.diagnosis import diagnose as diagnose
    from tinygrad_bp.explaining.explain import explain as explain
    from tinygrad_bp.keeping import load as load
    from tinygrad_bp.keeping import save as save
    from tinygrad_bp.ops.activation import *
    from tinygrad_bp.ops.angle import *
    from tinygrad_bp.ops.choice import *
    from tinygrad_bp.ops.compare import *
    from tinygrad_bp.ops.einsum import *
    from tinygrad_bp.ops.elementwise import *
    from tinygrad_bp.ops.join import *
    from tinygrad_bp.ops.linalg import *
    from tinygrad_bp.ops.network import *
    from tinygrad_bp.ops.reduce import *
    from tinygrad_bp.ops.shape import *
    from tinygrad_bp.render.draw import draw as draw

__all__ = [
    "CompileError", "GradientError", "GraphError", "InputError", "NeuralNetwork", "ShapeError",
    "StoreError", "Tensor", "TinygradError", "checkpoint", "elementwise", "elementwise_grad",
    "grad", "hessian", "hvp", "jacobian", "jvp", "no_grad", "scope", "structural",
    "value_and_grad", "vjp", *_READERS, *_OPS,
]  # fmt: skip
