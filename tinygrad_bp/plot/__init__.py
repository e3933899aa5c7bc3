"""Pictures of training (the extra `plot`), in scikit-learn's Display convention.

A display is made with ``from_…``, holds the numbers that it shows, and draws them with
``plot(ax=None)``, which sets ``ax_`` and ``figure_``. `ConfusionMatrixDisplay` is scikit-learn's.
"""

from typing import TYPE_CHECKING, Any

from tinygrad_bp.plot.boundary import DecisionBoundaryDisplay
from tinygrad_bp.plot.curves import LearningCurvesDisplay
from tinygrad_bp.plot.landscape import LossLandscapeDisplay
from tinygrad_bp.plot.rates import LearningRateDisplay
from tinygrad_bp.plot.weights import WeightsDisplay

if TYPE_CHECKING:
    from sklearn.metrics import ConfusionMatrixDisplay as ConfusionMatrixDisplay


def __getattr__(name: str) -> Any:
    if name != "ConfusionMatrixDisplay":
        raise AttributeError(f"module 'tinygrad_bp.plot' has no attribute {name!r}")
    try:
        from sklearn.metrics import ConfusionMatrixDisplay
    except ImportError as error:
        text = "ConfusionMatrixDisplay needs scikit-learn: pip install 'tinygrad_bp[sklearn,plot]'"
        raise ImportError(text) from error
    return ConfusionMatrixDisplay


__all__ = [
    "DecisionBoundaryDisplay",
    "LearningCurvesDisplay",
    "LearningRateDisplay",
    "LossLandscapeDisplay",
    "WeightsDisplay",
]
