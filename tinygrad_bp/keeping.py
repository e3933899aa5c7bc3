"""Keeping what was trained: one format of files, and one reader for all of them."""

from typing import Any

from tinygrad_bp.nn import keeping as networks
from tinygrad_bp.nn.network import NeuralNetwork
from tinygrad_bp.nn.sequential import Sequential
from tinygrad_bp.store.container import Arrays, load_arrays, save_arrays
from tinygrad_bp.store.files import as_path
from tinygrad_bp.tables import model as tables
from tinygrad_bp.tables.model import TableModel


def save(model: Sequential | NeuralNetwork | TableModel, path: Any) -> None:
    """Write a model to one file that `load`, and everything that reads safetensors, can read.

    It holds layers, loss, optimizer, parameters, what the optimizer keeps and the state of the
    generator, so training can go on. The same model gives the same bytes. The file is replaced as
    a whole, or stays as it was. Raises `InputError` for what is no model or has functions of your
    own in it, and `StoreError` if the file cannot be written.

    >>> import tempfile, os, numpy as np, tinygrad_bp as tg
    >>> network = tg.NeuralNetwork([2, 2, 1], seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tg.save(network, os.path.join(folder, "xor.safetensors"))
    ...     again = tg.load(os.path.join(folder, "xor.safetensors"))
    >>> again, np.array_equal(again.W[0], network.W[0])
    (NeuralNetwork: 2-2-1, True)
    """
    save_arrays(as_path(path, "argument path"), *pack(model))


def load(path: Any) -> Any:
    """Return the model that `save`, a checkpoint or ``tinygrad-bp train`` wrote to a file.

    The last is a model of a table: it knows columns by name, and has the network as ``network``.

    Raises `StoreError`, and nothing else, for a file that is not there, damaged in a single bit,
    cut off, or made to do harm.

    >>> import tinygrad_bp as tg
    >>> try:
    ...     tg.load("/nowhere")
    ... except tg.StoreError as error:
    ...     print(error)
    /nowhere: got No such file or directory; expected a file to read. Check the path.
    """
    path = as_path(path, "argument path")
    arrays, description = load_arrays(path)
    table = description.get("kind") == tables.KIND
    return (tables.model_of if table else networks.model_of)(path, arrays, description)


def pack(model: Any) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and the description of a model."""
    return tables.pack(model) if isinstance(model, TableModel) else networks.pack(model)
