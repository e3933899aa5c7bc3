"""Arguments may be nested: lists, tuples and dicts of arrays are taken apart and put together."""

from collections.abc import Callable, Iterator
from typing import Any

Rebuild = Callable[[Iterator[Any]], Any]
CONTAINERS = (dict, list, tuple)


def flatten(tree: Any) -> tuple[list[Any], Rebuild]:
    """Return the leaves of nested containers in order, and a function that puts others in place.

    >>> leaves, rebuild = flatten({"a": 1, "b": [2, 3]})
    >>> leaves, rebuild(iter("xyz"))
    ([1, 2, 3], {'a': 'x', 'b': ['y', 'z']})
    """
    if not isinstance(tree, CONTAINERS):
        return [tree], next
    if isinstance(tree, dict):
        leaves, rebuild = flatten(list(tree.values()))
        keys = list(tree)
        return leaves, lambda values: dict(zip(keys, rebuild(values), strict=True))
    parts = [flatten(part) for part in tree]
    make = tree._make if hasattr(tree, "_make") else type(tree)  # a namedtuple, or not
    leaves = [leaf for part, _ in parts for leaf in part]
    inner = [rebuild for _, rebuild in parts]  # which know no leaves, so these may go
    return leaves, lambda values: make([rebuild(values) for rebuild in inner])


def transform(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply a function to the leaves of trees of one structure, and keep the structure."""
    if not others and not isinstance(tree, CONTAINERS):
        return function(tree)
    leaves, rebuild = flatten(tree)
    columns = [flatten(other)[0] for other in others]
    return rebuild(iter([function(*row) for row in zip(leaves, *columns, strict=True)]))
