"""The regressor: numbers in, numbers out, one or several for each row."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from tinygrad_bp.sklearn.base import NetworkEstimator
from tinygrad_bp.sklearn.columns import explain, refuse_dates
from tinygrad_bp.validate import refuse


class NeuralNetworkRegressor(RegressorMixin, NetworkEstimator):
    """A neural network that predicts numbers.

    The parameters are those of `NeuralNetworkClassifier`, without ``class_weight``. ``standardize``
    concerns the columns of y as well, so that losses are those of standard numbers. ``loss``:
    "auto" for mean squared, or what `tg.nn.Sequential` takes: "huber", a function of Tensors, ….
    y: (rows,) or (rows, outputs). Attributes and errors as for `NeuralNetworkClassifier`.

    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = NeuralNetworkRegressor(random_state=0).fit(X, 100 * X[:, 0] ** 2)
    >>> model.predict([[0.5]]).round(-1)
    array([30.])
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "NeuralNetworkRegressor":
        """Train on X (rows, columns) and the numbers that belong to its rows."""
        going_on = self._going_on()
        X, y = self._numbered(X, y, reset=not going_on)
        weights = self._weights(sample_weight, X)
        if not going_on:
            self._start(X, y, weights)
        self._train(X, self._encode(y), weights, None)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "NeuralNetworkRegressor":
        """Train for one epoch on more rows, at a constant rate.

        The first call standardizes columns by its rows.
        """
        first = not hasattr(self, "network_")
        X, y = self._numbered(X, y, reset=first)
        weights = self._weights(sample_weight, X)
        if first:
            self._start(X, y, weights)
        self._train_once(X, self._encode(y), weights)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return (rows,) or (rows, outputs), like the y of `fit`."""
        outputs = self._outputs(X)
        found = self.target_scaling_.undo(outputs)
        return found[:, 0] if self._flat else found

    def _numbered(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return checked rows and targets."""
        refuse_dates(y, "y")
        try:
            X, y = self._rows(X, y, reset=reset, multi_output=True, y_numeric=True)
        except (ValueError, TypeError):
            explain(y, "y")
            raise
        return X, y.astype(X.dtype)

    def _start(self, X: np.ndarray, y: np.ndarray, weights: np.ndarray) -> None:
        """Learn the scalings, and make the network."""
        self._flat = y.ndim == 1
        columns = y.reshape(len(y), -1)
        self.input_scaling_ = self._scaling(X, weights)
        self.target_scaling_ = self._scaling(columns, weights)
        self._build(X, columns.shape[1], "mean_squared")

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Return the targets of the network."""
        columns = y.reshape(len(y), -1)
        if columns.shape[1] != len(self.target_scaling_.mean) or self._flat != (y.ndim == 1):
            expected = f"{len(self.target_scaling_.mean)} columns, shaped as before"
            refuse("y", f"shape {y.shape}", expected, "Make a new regressor.")
        return self.target_scaling_.apply(columns)
