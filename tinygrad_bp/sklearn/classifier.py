"""The classifier: labels of any kind in, labels and probabilities out."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from tinygrad_bp.errors import describe
from tinygrad_bp.ops.activation import sigmoid, softplus
from tinygrad_bp.ops.network import log_softmax, softmax
from tinygrad_bp.sklearn.base import NetworkEstimator
from tinygrad_bp.sklearn.columns import refuse_mixed
from tinygrad_bp.validate import refuse


class NeuralNetworkClassifier(ClassifierMixin, NetworkEstimator):
    """A neural network that tells classes apart.

    ``hidden``: the hidden layers, each a number of units or a layer of `tg.nn`. ``activation``: a
    name or a function, or a list with one for each number in `hidden`. ``dropout``: the share that
    is dropped after each of them. ``input_shape``: the shape of a sample, such as (1, 28, 28), for
    layers that look at images; None for flat rows. ``standardize``: shift and scale every column to
    mean 0 and variance 1 of the rows in `fit`. ``loss``: "auto" for cross-entropy, or what
    `tg.nn.Sequential` takes. ``optimizer``: a name, with ``learning_rate`` and ``weight_decay``
    (None for 0.3 with "adamw", else 0), or an object of `tg.nn` that brings its own. ``schedule``:
    "cosine" lets the rate fall to zero, or "constant". ``epochs``: None for 40, and for at least
    1,000 steps. ``early_stopping``: keep ``validation_fraction`` of the rows, stop when their loss
    did not fall for ``patience`` epochs and restore the best weights. ``callbacks``, ``engine``:
    see `tg.nn.Sequential.fit`. ``class_weight``: {class: weight} or "balanced". ``warm_start``:
    `fit` goes on from the weights that are there.

    X: rows of numbers, as an array, a list, a pandas frame or a sparse matrix, which becomes an
    array. In a frame all columns must be numbers; the error names one that is not.

    After `fit`: ``classes_``, ``network_`` (the `tg.nn.Sequential`, for standardized rows),
    ``history_`` (one number per epoch and quantity), ``n_iter_``, ``loss_``, ``n_features_in_``,
    ``feature_names_in_`` if the columns have names. The dtype is that of X: float32 or float64.
    y may hold labels of any type, or one column of zeros and ones for each label of several.

    Raises `ValueError` (`InputError` is one) for data and parameters that make no sense.

    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["same", "different", "different", "same"]
    >>> model = NeuralNetworkClassifier(hidden=(8,), random_state=0).fit(X, y)
    >>> model.predict(X)
    array(['same', 'different', 'different', 'same'], dtype='<U9')
    """

    def __init__(
        self, hidden: Any = (128,), *, activation: Any = "gelu", dropout: float = 0.0,
        input_shape: Any = None, standardize: bool = True, loss: Any = "auto",
        optimizer: Any = "adamw", learning_rate: float = 0.01, schedule: str = "cosine",
        weight_decay: float | None = None, epochs: int | None = None, batch_size: int = 32,
        early_stopping: bool = False, validation_fraction: float = 0.1, patience: int = 10,
        class_weight: Any = None, callbacks: Any = (), warm_start: bool = False,
        random_state: Any = None, verbose: bool = False, engine: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__(
            hidden, activation=activation, dropout=dropout, input_shape=input_shape,
            standardize=standardize, loss=loss, optimizer=optimizer, learning_rate=learning_rate,
            schedule=schedule, weight_decay=weight_decay, epochs=epochs, batch_size=batch_size,
            early_stopping=early_stopping, validation_fraction=validation_fraction,
            patience=patience, callbacks=callbacks, warm_start=warm_start,
            random_state=random_state, verbose=verbose, engine=engine,
        )  # fmt: skip
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    # ------------------------------------------------------------------------------ training

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "NeuralNetworkClassifier":
        """Train on X (rows, columns) and the labels of its rows."""
        going_on = self._going_on()
        X, y = self._labelled(X, y, reset=not going_on)
        weights = self._weights(sample_weight, X) * self._class_weights(y, X.dtype)
        if not going_on:
            self._start(X, y, weights)
        targets = self._encode(y, X.dtype)
        self._train(X, targets, weights, None if y.ndim == 2 else y)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> "NeuralNetworkClassifier":
        """Train for one epoch on more rows, at a constant rate.

        The first call names all ``classes``, and standardizes columns by its rows.
        """
        first = not hasattr(self, "network_")
        if first and classes is None:
            expected = "all classes in the first call of partial_fit"
            refuse("classes", "None", expected, "Pass classes=np.unique(y).")
        X, y = self._labelled(X, y, reset=first)
        if isinstance(self.class_weight, str):
            expected = "a dict, as later rows are not known"
            refuse("class_weight", describe(self.class_weight), expected, "Count the classes.")
        weights = self._weights(sample_weight, X) * self._class_weights(y, X.dtype)
        if first:
            self._start(X, classes if y.ndim == 1 else y, weights)
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            refuse("classes", describe(classes), f"{self.classes_}, as before", "Leave it out.")
        self._train_once(X, self._encode(y, X.dtype), weights)
        return self

    def _labelled(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return checked rows and labels."""
        try:
            X, y = self._rows(X, y, reset=reset, multi_output=True)
            check_classification_targets(y)
        except (ValueError, TypeError):
            refuse_mixed(y)
            raise
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if type_of_target(y) == "multiclass-multioutput":
            expected = "one label per row, or columns of zeros and ones"
            refuse("y", describe(y), expected, "Use sklearn.multioutput.MultiOutputClassifier.")
        return X, y

    def _class_weights(self, y: np.ndarray, dtype: Any) -> Any:
        """Return the weight that each row has by its class."""
        if self.class_weight is None:
            return dtype.type(1)
        return compute_sample_weight(self.class_weight, y).astype(dtype)

    def _start(self, X: np.ndarray, labels: Any, weights: np.ndarray) -> None:
        """Learn the classes and the scaling, and make the network."""
        self._labels = LabelBinarizer().fit(labels)
        self.classes_ = self._labels.classes_
        self.input_scaling_ = self._scaling(X, weights)
        count, multilabel = len(self.classes_), self._labels.y_type_.startswith("multilabel")
        single = count <= 2 and not multilabel
        loss = "binary_cross_entropy" if single or multilabel else "categorical_cross_entropy"
        self._build(X, 1 if single else count, loss)

    def _encode(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        """Return the targets of the network: zeros and ones."""
        multilabel = self._labels.y_type_.startswith("multilabel")
        if multilabel != (y.ndim == 2) or (multilabel and y.shape[1] != len(self.classes_)):
            expected = f"labels as before, of {len(self.classes_)} classes"
            refuse("y", f"shape {y.shape}", expected, "Make a new classifier.")
        strange: Any = [] if multilabel else np.setdiff1d(y, self.classes_)
        if len(strange):
            expected = f"one of the classes of the first call, {self.classes_}"
            refuse("y", f"the class {strange[0]}", expected, "Name all classes at first.")
        return np.asarray(self._labels.transform(y), dtype)

    # ------------------------------------------------------------------------------ using

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the raw outputs: (rows,) for two classes, else (rows, classes)."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 and len(self.classes_) <= 2 else outputs

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class: (rows, classes)."""
        z = self._outputs(X)
        if self._labels.y_type_.startswith("multilabel"):
            return np.asarray(sigmoid(z))
        if len(self.classes_) == 1:
            return np.ones_like(z)
        return np.hstack([sigmoid(-z), sigmoid(z)]) if z.shape[1] == 1 else np.asarray(softmax(z))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of every probability, finite where the probability is 0."""
        z = self._outputs(X)
        if self._labels.y_type_.startswith("multilabel"):
            return np.asarray(-softplus(-z))
        if len(self.classes_) == 1:
            return np.zeros_like(z)
        if z.shape[1] == 1:
            return np.hstack([-softplus(z), -softplus(-z)])
        return np.asarray(log_softmax(z))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of every row."""
        z = self._outputs(X)
        if self._labels.y_type_.startswith("multilabel"):
            return (z > 0).astype(int)
        if z.shape[1] == 1:
            second = (z[:, 0] > 0) & (len(self.classes_) > 1)
            return self.classes_[second.astype(int)]
        return self.classes_[z.argmax(1)]
