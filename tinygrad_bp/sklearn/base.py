"""What classifier and regressor share: from checked rows to a trained network."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from tinygrad_bp.errors import describe
from tinygrad_bp.nn import specification
from tinygrad_bp.nn.callbacks import EarlyStopping, LearningRate
from tinygrad_bp.nn.history import History
from tinygrad_bp.nn.scaling import Scaling
from tinygrad_bp.nn.sequential import Sequential
from tinygrad_bp.sklearn.columns import explain, refuse_dates
from tinygrad_bp.validate import as_count, as_number, refuse

SPARSE = ("csr", "csc")  # others become the first
FLOATS = (np.float64, np.float32)  # X keeps its dtype if it is one of them


class NetworkEstimator(BaseEstimator):
    """A network that is built from parameters when it is fitted."""

    def __init__(
        self, hidden: Any = (128,), *, activation: Any = "gelu", dropout: float = 0.0,
        input_shape: Any = None, standardize: bool = True, loss: Any = "auto",
        optimizer: Any = "adamw", learning_rate: float = 0.01, schedule: str = "cosine",
        weight_decay: float | None = None, epochs: int | None = None, batch_size: int = 32,
        early_stopping: bool = False, validation_fraction: float = 0.1, patience: int = 10,
        callbacks: Any = (), warm_start: bool = False, random_state: Any = None,
        verbose: bool = False, engine: str = "auto",
    ) -> None:  # fmt: skip
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.input_shape = input_shape
        self.standardize = standardize
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.engine = engine

    # ------------------------------------------------------------------------------ rows

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _rows(self, X: Any, *y: Any, reset: bool, **how: Any) -> Any:
        """Return checked rows as an array, and y if it is given; say which column is no numbers."""
        refuse_dates(X, "X")
        how |= {"reset": reset, "dtype": FLOATS, "accept_sparse": SPARSE, "order": "C"}
        try:
            checked = validate_data(self, X, *y, **how)
        except (ValueError, TypeError):
            explain(X, "X")
            raise
        return (_dense(checked[0]), checked[1]) if y else _dense(checked)

    def _going_on(self) -> bool:
        """Tell whether `fit` starts from the weights that are there."""
        return bool(self.warm_start) and hasattr(self, "network_")

    def _weights(self, sample_weight: Any, X: np.ndarray) -> np.ndarray:
        """Return the weight of every row."""
        return _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the raw outputs of the network for rows as `fit` takes them."""
        check_is_fitted(self)
        return self.network_.outputs(self._inputs(self._rows(X, reset=False)))

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        shape = self.network_.input_shape or ()
        return self.input_scaling_.apply(rows).reshape((len(rows), *shape))

    # ------------------------------------------------------------------------------ training

    def _build(self, X: np.ndarray, outputs: int, loss: Any) -> None:
        """Make the network, and forget what was."""
        layers = specification.layers_of(self.hidden, self.activation, self.dropout, outputs)
        optimizer = specification.optimizer_of(
            self.optimizer, self.learning_rate, self.weight_decay
        )
        shape = specification.input_shape_of(self.input_shape, X.shape[1])
        self._random = check_random_state(self.random_state)
        seed = int(self._random.randint(np.iinfo(np.int32).max))
        loss = loss if isinstance(self.loss, str) and self.loss == "auto" else self.loss
        network = Sequential(layers, loss=loss, optimizer=optimizer, seed=seed)
        self.network_ = network.build(shape, X.dtype)
        self.history_ = History()

    def _scaling(self, rows: np.ndarray, weights: np.ndarray) -> Scaling:
        if self.standardize not in (True, False):
            refuse("standardize", describe(self.standardize), "True or False", "Leave True.")
        return Scaling.of(rows, weights) if self.standardize else Scaling.none(rows.shape[1])

    def _train(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray, strata: Any) -> None:
        """Train as the parameters say; rows of weight zero are left out."""
        X, targets, weights, strata = _weighty(X, targets, weights, strata)
        callbacks, validation = list(self.callbacks), None
        if self.early_stopping:
            X, validation, targets, weights = self._split(X, targets, weights, strata)
            callbacks.append(EarlyStopping("val_loss", self.patience))
        epochs = specification.epochs_of(self.epochs, len(X), self.batch_size)
        rates = specification.rates_of(self.schedule, self.optimizer, self.learning_rate, epochs)
        if rates is not None:
            callbacks.insert(0, LearningRate(rates))
        self._run(X, targets, weights, epochs, callbacks, validation)

    def _train_once(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> None:
        """Train for one epoch, at a constant rate."""
        if self.early_stopping:
            expected = "early_stopping=False, as partial_fit decides when to stop"
            refuse("partial_fit", "early_stopping=True", expected, "Use fit, or leave it out.")
        X, targets, weights, _ = _weighty(X, targets, weights, None)
        self._run(X, targets, weights, 1, list(self.callbacks), None)

    def _run(
        self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray, epochs: int,
        callbacks: list[Any], validation: Any,
    ) -> None:  # fmt: skip
        history = self.network_.fit(
            self._inputs(X), targets, epochs, sample_weight=weights, validation_data=validation,
            batch_size=as_count(self.batch_size, "batch_size"), callbacks=callbacks,
            progress=bool(self.verbose), engine=self.engine,
        )  # fmt: skip
        for row in history.rows():
            self.history_.append(row)
        self.n_iter_ = self.history_.epochs
        self.loss_ = self.history_["loss"][-1]

    def _split(
        self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray, strata: Any
    ) -> tuple[Any, ...]:
        """Keep a share of the rows for validation."""
        share = as_number(self.validation_fraction, "validation_fraction", positive=True)
        if share >= 1:
            refuse("validation_fraction", f"{share}", "a share below 1", "Leave 0.1.")
        parts = train_test_split(
            X, targets, weights, test_size=share, stratify=strata, random_state=self._random
        )
        held = (self._inputs(parts[1]), parts[3], parts[5])
        return parts[0], held, parts[2], parts[4]


def _dense(rows: Any) -> Any:
    """Return sparse rows as an array: standard columns have no zeros to save anyway."""
    return rows.toarray(order="C") if issparse(rows) else rows


def _weighty(
    X: np.ndarray, targets: np.ndarray, weights: np.ndarray, strata: Any
) -> tuple[Any, ...]:
    """Leave out rows of weight zero: they count as if they were not there, to the last bit."""
    kept = weights > 0
    if not kept.any():
        expected = "a weight above zero"
        refuse("sample_weight", "only weights that are zero", expected, "Leave a row in.")
    if kept.all():
        return X, targets, weights, strata
    return X[kept], targets[kept], weights[kept], None if strata is None else strata[kept]
