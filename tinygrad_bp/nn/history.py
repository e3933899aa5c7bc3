"""What happened while a network was trained: one number per epoch and quantity."""

from collections.abc import Iterator, Mapping

import numpy as np

from tinygrad_bp.errors import describe
from tinygrad_bp.summary import number
from tinygrad_bp.validate import refuse


class History(Mapping[str, list[float]]):
    """A list of numbers for every quantity: "loss", "rate", "val_loss", …, one for each epoch.

    >>> history = History()
    >>> history.append({"loss": 2.0})
    >>> history.append({"loss": 1.0})
    >>> history["loss"], history.best("loss"), len(history["loss"])
    ([2.0, 1.0], 2, 2)
    """

    def __init__(self, series: Mapping[str, list[float]] | None = None) -> None:
        self._series = {name: list(values) for name, values in (series or {}).items()}

    def __getitem__(self, name: str) -> list[float]:
        if name not in self._series:
            expected = f"one of {', '.join(self._series) or 'none, as nothing was trained yet'}"
            repair = "Pass validation_data to fit for the val_ quantities."
            raise KeyError(f"history: got {describe(name)}; expected {expected}. {repair}")
        return list(self._series[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={number(self._series[name][-1], 4)}" for name in self._series)
        return f"History({self.epochs} epochs, {last})" if self._series else "History(0 epochs)"

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return max(map(len, self._series.values()), default=0)

    def append(self, row: Mapping[str, float]) -> None:
        """Add an epoch; a quantity that was not measured before (or is not now) is NaN there."""
        epochs = self.epochs
        for name in row:
            self._series.setdefault(name, [np.nan] * epochs)
        for name, values in self._series.items():
            values.append(float(row.get(name, np.nan)))

    def best(self, name: str) -> int:
        """Return the number (from 1) of the first epoch with the smallest value, or with the
        largest if it is an accuracy.

        Raises `InputError` if there is none.
        """
        values = np.array(self.costs(name))
        if np.isnan(values).all():
            refuse("history", f"no value of {name}", "at least one epoch", "Train first.")
        return int(np.nanargmin(values)) + 1

    def costs(self, name: str) -> list[float]:
        """Return a quantity such that smaller is better: accuracies with the other sign."""
        sign = -1 if name.endswith("accuracy") else 1
        return [sign * value for value in self[name]]

    def rows(self) -> Iterator[dict[str, float]]:
        """Yield the epochs, each as {quantity: number}."""
        for values in zip(*self._series.values(), strict=True):
            yield dict(zip(self._series, values, strict=True))
