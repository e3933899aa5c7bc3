"""Callbacks: what may watch, steer and stop training.

A callback that decides from `run.history` alone needs no memory of its own, so training that is
resumed from a checkpoint decides as if it had never stopped.
"""

import csv
import io
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from tinygrad_bp.errors import describe
from tinygrad_bp.store.files import append, as_path, check_place, write
from tinygrad_bp.summary import number
from tinygrad_bp.validate import as_count, as_number, refuse

if TYPE_CHECKING:
    from tinygrad_bp.nn.run import Run


class Callback:
    """What `fit` tells of: override what you want to hear. All get the run (see `tg.nn.Run`)."""

    def start(self, run: "Run") -> None:
        """Hear that training starts, or goes on from a checkpoint."""

    def before_epoch(self, run: "Run") -> None:
        """Hear that an epoch starts."""

    def after_epoch(self, run: "Run") -> None:
        """Hear that an epoch is done, kept and measured."""

    def finish(self, run: "Run") -> None:
        """Hear that training has come to its end."""

    def close(self) -> None:
        """Give back what `start` has taken, also after an exception."""


class Each(Callback):
    """A function that is called with the run after every epoch."""

    def __init__(self, function: Callable[["Run"], Any]) -> None:
        self.function = function

    def after_epoch(self, run: "Run") -> None:
        """Call the function."""
        self.function(run)


class EarlyStopping(Callback):
    """Stop when a quantity was not better for `patience` epochs; restore the best weights.

    ``monitor``: a quantity of the history: an accuracy is better when it is larger, everything else
    when it is smaller. ``least``: by how much it has to become better to count.
    Raises `InputError`, before anything is trained, if it is not measured.
    """

    def __init__(self, monitor: str = "val_loss", patience: int = 10, least: float = 0.0) -> None:
        self.monitor, self.patience = monitor, as_count(patience, "patience")
        self.least = as_number(least, "least")

    def start(self, run: "Run") -> None:
        """Decide about the epochs before a checkpoint again."""
        held = {} if run.validation is None else run.model.measure(run.validation)
        measured = {"loss", "rate", *(f"val_{name}" for name in held)}
        if self.monitor not in measured:
            repair = "Pass validation_data to fit, or another monitor."
            expected = f"one of {', '.join(sorted(measured))}"
            refuse("EarlyStopping, argument monitor", describe(self.monitor), expected, repair)
        run.stop = run.stop or (run.epoch > 0 and self._waited(run) >= self.patience)

    def after_epoch(self, run: "Run") -> None:
        """Keep the weights if they are the best so far, and stop if they no longer get better."""
        waited = self._waited(run)
        if waited == 0:
            run.best = run.model.parameters
        run.stop = run.stop or waited >= self.patience

    def finish(self, run: "Run") -> None:
        """Restore the best weights."""
        if run.best is not None:
            run.model.parameters = run.best

    def _waited(self, run: "Run") -> int:
        """Return how many epochs ago the quantity was best."""
        best, at = np.inf, 0
        values = np.nan_to_num(run.history.costs(self.monitor), nan=np.inf)
        for i, value in enumerate(values):
            if value < best - self.least or i == 0:
                best, at = value, i
        return len(values) - 1 - at


class LearningRate(Callback):
    """Set the learning rate of every epoch: a function of the epochs that are done.

    It must depend on nothing else, so that training can be resumed. For rates within an epoch give
    the optimizer a schedule.
    """

    def __init__(self, function: Callable[[int], float]) -> None:
        if not callable(function):
            refuse("LearningRate", describe(function), "a function", "Pass e.g. lambda n: 0.1.")
        self.function = function

    def before_epoch(self, run: "Run") -> None:
        """Set the rate."""
        run.rate = as_number(self.function(run.epoch), "LearningRate, its result", positive=True)


class Checkpoint(Callback):
    """Write all that training needs to go on to a file, after every `every` epochs.

    The file is replaced as a whole: at any instant it holds the old or the new state. It is also a
    model that `tg.load` reads. Raises `StoreError` if it cannot be written.
    """

    def __init__(self, path: Any, every: int = 1) -> None:
        self.path, self.every = as_path(path, "checkpoint"), as_count(every, "every")

    def start(self, run: "Run") -> None:
        """Refuse a place for the file before the first epoch, not after it."""
        check_place(self.path)

    def after_epoch(self, run: "Run") -> None:
        """Write the file if it is time, or the end."""
        if run.epoch % self.every == 0 or run.epoch == run.epochs or run.stop:
            from tinygrad_bp.nn.checkpoints import save_run

            save_run(run, self.path)


class CSVLog(Callback):
    """Write the history as a table, a line after every epoch; raise `StoreError` if that fails."""

    def __init__(self, path: Any) -> None:
        self.path = as_path(path, "CSVLog, argument path")

    def start(self, run: "Run") -> None:
        """Begin the table again, with the epochs before a checkpoint in it."""
        check_place(self.path)
        self.columns: list[str] = []

    def after_epoch(self, run: "Run") -> None:
        """Add a line, or write the whole table where it gets its columns."""
        columns, rows = list(run.history), list(enumerate(run.history.rows(), 1))
        if columns != self.columns:
            lines: list[list[Any]] = [["epoch", *columns], *([i, *row.values()] for i, row in rows)]
            write(self.path, [_csv(lines)])
            self.columns = columns
        else:
            i, row = rows[-1]
            append(self.path, _csv([[i, *row.values()]]))


def _csv(lines: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()


class Progress(Callback):
    """Show a bar with tqdm if it is there, else a line for about every tenth of the epochs."""

    def __init__(self, file: TextIO | None = None) -> None:
        self.file = file
        self.bar: Any = None

    def start(self, run: "Run") -> None:
        """Show an empty bar."""
        try:
            from tqdm import tqdm
        except ImportError:
            return
        self.bar = tqdm(total=run.epochs, initial=run.epoch, unit="epoch", file=self.file)

    def after_epoch(self, run: "Run") -> None:
        """Move on by an epoch."""
        row = {name: number(run.history[name][-1], 4) for name in run.history}
        if self.bar is not None:
            self.bar.set_postfix(row, refresh=False)
            self.bar.update()
        elif run.epoch % max(run.epochs // 10, 1) == 0 or run.epoch in (1, run.epochs):
            text = ", ".join(f"{name}={value}" for name, value in row.items())
            print(f"[INFO] epoch={run.epoch}, {text}", file=self.file or sys.stderr)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
