"""Settings as data: frozen, checked when they are made, written as JSON over closed dictionaries.

A layer, a loss, an optimizer, a schedule is a few settings and a pure function of them. What is
read from a file is one of the kinds listed here in the library, or an error: a name in a file is
never looked up anywhere else.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn, TypeVar

from tinygrad_bp.errors import describe
from tinygrad_bp.validate import as_count, as_number, refuse

Check = Callable[[Any, str], Any]
_REQUIRED: Any = object()
LARGEST = 1 << 48


@dataclass(frozen=True)
class Settings:
    """A few checked values; two with equal values are equal."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            given, name = getattr(self, setting.name), f"{self.kind()}, argument {setting.name}"
            object.__setattr__(self, setting.name, setting.metadata["check"](given, name))

    @classmethod
    def kind(cls) -> str:
        """Return the name under which it is written."""
        return cls.__name__

    def __repr__(self) -> str:
        changed = (s for s in fields(self) if getattr(self, s.name) != s.default)
        texts = (f"{s.name}={getattr(self, s.name)!r}" for s in changed)
        return f"{self.kind()}({', '.join(texts)})"

    def as_json(self) -> dict[str, Any]:
        """Return what JSON can hold; raise `InputError` for a function, which it cannot."""
        values = {s.name: getattr(self, s.name) for s in fields(self)}
        return {"kind": self.kind()} | {k: self._plain(k, v) for k, v in values.items()}

    def _plain(self, name: str, value: Any) -> Any:
        if isinstance(value, Settings):
            return value.as_json()
        if callable(value):
            expected = "a name that the library knows, for a model that is kept in a file"
            refuse(f"{self.kind()}, argument {name}", describe(value), expected,
                   "Keep model.parameters, and build the model again in your program.")  # fmt: skip
        return value


S = TypeVar("S", bound=Settings)


def read(kinds: Mapping[str, type[S]], data: Any, where: str) -> S:
    """Make settings of what `as_json` returned; raise `InputError` for anything else."""
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        refuse(where, describe(data), "an object with a kind", "Save the model again.")
    kind, values = kinds.get(data["kind"]), {k: v for k, v in data.items() if k != "kind"}
    if kind is None:
        expected = f"one of {', '.join(kinds)}"
        refuse(where, describe(data["kind"]), expected, "Only these are ever made from a file.")
    names = {s.name for s in fields(kind)}
    if values.keys() != names:
        given = f"the settings {describe(sorted(values))} for {kind.kind()}"
        refuse(where, given, f"{sorted(names)}", "Save the model again with this version.")
    return kind(**values)


def choose(kinds: Mapping[str, type[S]], family: type[S], given: Any, where: str) -> S:
    """Return settings that are given as such, or by the name of their kind: "adam" is Adam()."""
    if isinstance(given, family):
        return given
    for kind in kinds.values():
        if given in (kind, name_of(kind)):
            return kind()
    names = ", ".join(map(name_of, kinds.values()))
    return refuse(
        where, describe(given), f"one of {names}, or an object", f"See tg.nn.{family.__name__}."
    )


def name_of(kind: type[Settings]) -> str:
    """Return the name of a kind in plain text.

    >>> from tinygrad_bp.nn import AdamW, MeanSquared, RMSProp
    >>> name_of(AdamW), name_of(MeanSquared), name_of(RMSProp)
    ('adamw', 'mean_squared', 'rmsprop')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", kind.kind()).lower()


# ---------------------------------------------------------------------------------- kinds of values


def checked(check: Check, default: Any = _REQUIRED) -> Any:
    """Declare a setting: how it is checked, and its default if it has one."""
    if default is _REQUIRED:
        return field(metadata={"check": check})
    return field(default=default, metadata={"check": check})


def count(default: Any = _REQUIRED, *, least: int = 1) -> Any:
    """Declare a whole number below 2⁴⁸, more than there is memory for."""

    def check(value: Any, name: str) -> int:
        n = as_count(value, name, least=least)
        return n if n < LARGEST else refuse(name, describe(n), "fewer than 2**48", "Try less.")

    return checked(check, default)


def number(default: Any = _REQUIRED, *, low: float = 0.0, high: float = float("inf")) -> Any:
    """Declare a number from `low` up to, but not including, `high`."""

    def check(value: Any, name: str) -> float:
        x = as_number(value, name)
        if not low <= x < high:
            bound = "" if high == float("inf") else f" and below {high:g}"
            refuse(name, describe(value), f"a number of at least {low:g}{bound}", "Change it.")
        return x

    return checked(check, default)


def above_zero(default: Any = _REQUIRED) -> Any:
    """Declare a number above zero."""
    return checked(lambda value, name: as_number(value, name, positive=True), default)


def flag(default: bool) -> Any:
    """Declare a setting that is True or False."""

    def check(value: Any, name: str) -> bool:
        if value is not True and value is not False:
            refuse(name, describe(value), "True or False", f"Leave it out for {default}.")
        return value

    return checked(check, default)


def choice(names: Mapping[str, Any], default: Any = _REQUIRED) -> Any:
    """Declare a setting that is one of some names, or a function of the user's own."""

    def check(value: Any, name: str) -> Any:
        if isinstance(value, str) and value in names or callable(value):
            return value
        _refuse_choice(value, name, names)

    return checked(check, default)


def optional(setting: Any) -> Any:
    """Declare a setting that may also be None, its default."""
    check = setting.metadata["check"]
    return checked(lambda value, name: None if value is None else check(value, name), None)


def _refuse_choice(value: Any, name: str, names: Mapping[str, Any]) -> NoReturn:
    expected = f"one of {', '.join(names)}, or a function"
    refuse(name, describe(value), expected, f'Write e.g. "{next(iter(names))}".')
