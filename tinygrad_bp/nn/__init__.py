"""Neural networks made of Tensor expressions: the documented one, and a set of parts for others.

model = Sequential([Dense(32, "relu"), Dense(10)], loss="categorical_cross_entropy")
history = model.fit(X, y, epochs=20)
"""

import importlib
from typing import TYPE_CHECKING, Any

from tinygrad_bp.nn.network import NeuralNetwork

if TYPE_CHECKING:
    from tinygrad_bp.nn.callbacks import (
        Callback,
        Checkpoint,
        CSVLog,
        EarlyStopping,
        LearningRate,
        Progress,
    )
    from tinygrad_bp.nn.history import History
    from tinygrad_bp.nn.initializers import INITIALIZERS
    from tinygrad_bp.nn.layers import (
        ACTIVATIONS,
        Activation,
        Conv2D,
        Dense,
        Dropout,
        Flatten,
        Layer,
        LayerNorm,
        MaxPool2D,
    )
    from tinygrad_bp.nn.losses import (
        BinaryCrossEntropy,
        CategoricalCrossEntropy,
        Huber,
        Loss,
        MeanAbsolute,
        MeanSquared,
    )
    from tinygrad_bp.nn.optimizers import SGD, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSProp
    from tinygrad_bp.nn.run import Run
    from tinygrad_bp.nn.schedules import Cosine, Exponential, Schedule, Steps
    from tinygrad_bp.nn.sequential import Sequential

# Imported when they are first used: a program that only differentiates needs none of them.
_PARTS = {
    "callbacks": "CSVLog Callback Checkpoint EarlyStopping LearningRate Progress",
    "run": "Run",
    "history": "History",
    "initializers": "INITIALIZERS",
    "layers": "ACTIVATIONS Activation Conv2D Dense Dropout Flatten Layer LayerNorm MaxPool2D",
    "losses": "BinaryCrossEntropy CategoricalCrossEntropy Huber Loss MeanAbsolute MeanSquared",
    "optimizers": "SGD Adam AdamW Momentum Nesterov Optimizer RMSProp",
    "schedules": "Cosine Exponential Schedule Steps",
    "sequential": "Sequential",
}
_MODULE_OF = {name: module for module, names in _PARTS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tinygrad_bp.nn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"tinygrad_bp.nn.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


__all__ = [
    "ACTIVATIONS", "INITIALIZERS", "SGD", "Activation", "Adam", "AdamW", "BinaryCrossEntropy",
    "CSVLog", "Callback", "CategoricalCrossEntropy", "Checkpoint", "Conv2D", "Cosine", "Dense",
    "Dropout", "EarlyStopping", "Exponential", "Flatten", "History", "Huber", "Layer", "LayerNorm",
    "LearningRate", "Loss", "MaxPool2D", "MeanAbsolute", "MeanSquared", "Momentum", "Nesterov",
    "NeuralNetwork", "Optimizer", "Progress", "RMSProp", "Run", "Schedule", "Sequential", "Steps",
]  # fmt: skip
