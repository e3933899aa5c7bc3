"""A run of training: how it was told to go, and where it stands, as callbacks see it."""

import functools
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_bp.errors import describe
from tinygrad_bp.nn.callbacks import Checkpoint
from tinygrad_bp.nn.history import History
from tinygrad_bp.nn.samples import Samples
from tinygrad_bp.nn.step import ENGINES
from tinygrad_bp.validate import as_count, refuse

if TYPE_CHECKING:
    from tinygrad_bp.nn.sequential import Sequential

PER_STEP = 20_000  # elements that a step could compute in the time that its calls take
WORTH = 50_000_000  # elements from which on machine code is made faster than it is missed


class Plan(NamedTuple):
    """How `fit` was told to train."""

    epochs: int
    batch_size: int
    shuffle: bool
    engine: str
    checkpoint: Any
    resume: bool

    def checked(self) -> "Plan":
        """Return the plan, or raise the `InputError` that says what is wrong with it."""
        epochs = as_count(self.epochs, "epochs", least=0)
        batch_size = as_count(self.batch_size, "batch_size")
        for name in ("shuffle", "resume"):
            if getattr(self, name) not in (True, False):
                refuse(name, describe(getattr(self, name)), "True or False", "Leave it out.")
        if self.engine not in ENGINES:
            expected = f"one of {', '.join(ENGINES)}"
            refuse("engine", describe(self.engine), expected, 'Leave "auto".')
        if self.resume and self.checkpoint is None:
            expected = "the file to go on from"
            refuse("checkpoint", "None, and resume=True", expected, "Pass checkpoint=path.")
        checkpoint = self.checkpoint
        if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
            checkpoint = Checkpoint(checkpoint)
        return self._replace(epochs=epochs, batch_size=batch_size, checkpoint=checkpoint)


class Run:
    """One call of `fit`, as callbacks see it.

    ``model``, ``history``; ``epoch``: the number of epochs that are done, of ``epochs``. A callback
    may set ``stop = True``, and ``rate``: the learning rate from then on (None: the optimizer's).
    ``best``: the parameters that `EarlyStopping` has kept.
    """

    def __init__(self, model: "Sequential", plan: Plan, samples: Samples, validation: Any) -> None:
        self.model, self.plan, self.samples, self.validation = model, plan, samples, validation
        self.epoch, self.epochs = 0, plan.epochs
        self.history, self.stop = History(), False
        self.rate: float | None = None
        self.best: dict[str, np.ndarray] | None = None
        self.batch = min(plan.batch_size, len(samples.inputs))
        self.batches = -(-len(samples.inputs) // self.batch)
        self.engine = self._engine()

    def _engine(self) -> str:
        """Return the engine: always the same for the same training, so that it can be resumed."""
        if self.plan.engine != "auto":
            return self.plan.engine
        shape, outputs = self.samples.inputs.shape[1:], 0
        for layer in self.model.layers:
            shape = layer.output_shape(shape)
            outputs += int(np.prod(shape))
        size = sum(p.size for p in self.model.state.parameters.values())
        work = self.epochs * self.batches * (PER_STEP + self.batch * outputs + size)
        return "auto" if work >= WORTH else "short"

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """What must be the same for a run that is resumed."""
        digest = hashlib.sha256()
        for array in self.samples:
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        shuffle = bool(self.plan.shuffle)
        return {"batch_size": self.batch, "shuffle": shuffle, "data": digest.hexdigest()}
