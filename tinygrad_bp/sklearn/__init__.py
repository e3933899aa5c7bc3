"""Networks as scikit-learn estimators (the extra `sklearn`).

``NeuralNetworkClassifier`` and ``NeuralNetworkRegressor`` work wherever scikit-learn's own
estimators do: in pipelines and searches, with pandas, cloned, pickled, run in parallel.
"""

try:
    import sklearn  # the library itself: imports are absolute
except ImportError as error:
    raise ImportError(
        "tinygrad_bp.sklearn needs scikit-learn: pip install 'tinygrad_bp[sklearn]'"
    ) from error

from tinygrad_bp.sklearn.classifier import NeuralNetworkClassifier
from tinygrad_bp.sklearn.regressor import NeuralNetworkRegressor

del sklearn

__all__ = ["NeuralNetworkClassifier", "NeuralNetworkRegressor"]
