"""Tensor: a node that holds an array. Its operators and methods are attached by its ops."""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_bp.errors import GraphError, InputError, ShapeError, describe
from tinygrad_bp.graph import Node, pull_back, walk
from tinygrad_bp.listeners import CHANGING, changing, watched
from tinygrad_bp.selected import Selected, settle
from tinygrad_bp.validate import as_array

_NO_PARAMS: dict[str, Any] = {}


class Tensor(Node):
    """An array that remembers what made it, so that it can be differentiated.

    ``data``: a number, a (nested) list, an array or anything NumPy can read as real numbers, of
    any shape. It is copied once. Integers and booleans become float64 unless ``dtype`` says
    otherwise; an integer or boolean ``dtype`` makes a constant. ``name`` appears in pictures and
    errors; ``requires_grad=False`` makes a constant.

    Raises `InputError` for data that is not an array of real numbers.

    >>> w = Tensor([1.0, 2.0], name="w")
    >>> loss = (w * w).sum()
    >>> loss.backward()
    >>> w.grad
    array([2., 4.])
    """

    __slots__ = ("__weakref__", "_grad", "name", "origin")  # origin: only where it was asked for
    __hash__ = Node.__hash__
    __pandas_priority__ = 5000  # a Series leaves series * tensor to the tensor, which records it

    name: str | None
    _grad: Any

    def __init__(
        self,
        data: Any,
        *,
        name: str | None = None,
        dtype: Any = None,
        requires_grad: bool = True,
    ) -> None:
        if isinstance(data, Tensor):
            data = data.value
        value = as_array(data, "Tensor, argument data", dtype=dtype)
        if dtype is None and value.dtype.kind != "f":
            value = as_array(value, "Tensor, argument data", dtype=np.float64)
        self.value = value if value.ndim else value[()]
        self.op = None
        self.inputs = ()
        self.saved = ()
        self.params = _NO_PARAMS
        self.requires_grad = bool(requires_grad) and value.dtype.kind == "f"
        self.name = name
        self._grad = None

    # ------------------------------------------------------------------------------ reading

    @property
    def data(self) -> np.ndarray:
        """The value as a read-only array. Assigning rebinds a leaf: ``w.data = new_array``.

        What was recorded before keeps the old value, so no gradient can change.
        Raises `ShapeError` if the new shape differs, `GraphError` if this is no leaf.
        """
        return _read_only(self.value)

    @data.setter
    def data(self, data: Any) -> None:
        if self.op is not None:
            raise GraphError(
                f"a tensor made by {self.op.name}",
                where="Tensor.data",
                expected="a leaf, whose data nothing else determines",
                repair="Rebind the leaves instead, or start a new one with Tensor(x.data).",
            )
        if isinstance(data, Tensor) and data.dtype is self.dtype:
            value = data.value  # values never change, so two tensors may share one
        else:
            value = as_array(_plain(data), "Tensor.data", dtype=self.dtype)
        shape = getattr(value, "shape", ())
        if shape != self.shape:
            raise ShapeError(
                f"shape {shape}",
                where="Tensor.data",
                expected=f"shape {self.shape}, as before",
                repair="Make a new Tensor for another shape.",
            )
        changing(self)
        self.value = value if shape else value[()]

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient of the last backward pass (leaves: the sum of all), or None."""
        unread = self._grad is None or isinstance(self._grad, Tensor)  # Tensor: while compiling
        return self._grad if unread else _read_only(self._grad, self)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        return getattr(self.value, "shape", ())  # a Python number has none

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return np.ndim(self.value)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.size(self.value))

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype of the elements."""
        return getattr(self.value, "dtype", None) or np.asarray(self.value).dtype

    def item(self) -> Any:
        """Return the only element as a Python number; raise `InputError` if there are others."""
        if self.size != 1:
            raise InputError(
                describe(self),
                where="Tensor.item",
                expected="exactly one element",
                repair="Reduce it first, e.g. with .sum() or .mean().",
            )
        return np.asarray(self.value).item()

    def numpy(self) -> np.ndarray:
        """Return the value as a new, writable array."""
        return np.array(self.value)

    def tolist(self) -> Any:
        """Return the value as a number or nested lists of numbers."""
        return np.asarray(self.value).tolist()

    def detach(self) -> "Tensor":
        """Return a constant leaf with the same value, free of the graph that made it."""
        leaf = Tensor.__new__(Tensor)
        leaf._restore(self.value, requires_grad=False)
        return leaf

    @property
    def T(self) -> "Tensor":
        """The tensor with its axes reversed."""
        return self.transpose()

    @property
    def mT(self) -> "Tensor":
        """The tensor with its last two axes exchanged: a batch of transposed matrices."""
        return self.swapaxes(-1, -2)

    # ------------------------------------------------------------------------------ gradients

    def backward(self, gradient: Any = None) -> None:
        """Write ∂self/∂x into ``x.grad`` for every tensor x that this one depends on.

        Leaves add to the gradient they already have (`zero_grad` clears it); tensors between
        get the gradient of this call. ``gradient`` is the cotangent of this tensor, of its
        shape; it may be left out for a single element, where it is 1.

        Raises `GraphError` if nothing here requires a gradient, `ShapeError` if ``gradient`` is
        missing or of another shape.
        """
        tell = CHANGING.get()  # whoever compiles: then cotangents are Tensors, as in `gradient`
        seed = self._seed(gradient, "Tensor.backward", tell is not None)
        leaves = []
        with np.errstate(all="ignore"):
            for node, g in watched(pull_back(self, seed, differentiable=tell is not None)):
                if tell is not None:
                    tell(node)
                    g = settle(g).detach()
                if node.op is None:
                    leaves.append((node, settle(g)))  # they add up: only once all went well
                else:
                    node._grad = g.values if type(g) is Selected else g
        for leaf, g in leaves:
            leaf._grad = g if leaf._grad is None else leaf._grad + g

    def gradient(
        self, *targets: "Tensor", differentiable: bool = False, cotangent: Any = None
    ) -> Any:
        """Return ∂self/∂target for each target (one: the array itself) and leave ``.grad`` alone.

        With ``differentiable=True`` the results are Tensors, recorded like any other
        expression, so they can be differentiated again. ``cotangent`` weighs the elements of a
        tensor that has several.

        Raises `GraphError` for a target that this tensor does not depend on.

        >>> x = Tensor(3.0)
        >>> dy = (x * x * x).gradient(x, differentiable=True)
        >>> dy.item(), float(dy.gradient(x))
        (27.0, 18.0)
        """
        found = self._gradients(targets, differentiable, cotangent)
        for position, target in enumerate(targets):
            if not isinstance(target, Tensor) or target not in found:
                raise GraphError(
                    f"target {position} ({getattr(target, 'name', None) or describe(target)})",
                    where="Tensor.gradient",
                    expected="a tensor that this one depends on and that requires a gradient",
                    repair="Use the very tensor that the expression was computed from.",
                )
        results = tuple(found[target] for target in targets)
        if not differentiable:
            results = tuple(g.detach() if isinstance(g, Tensor) else np.array(g) for g in results)
        return results[0] if len(results) == 1 else results

    def _gradients(
        self,
        targets: Iterable[Node],
        differentiable: bool,
        cotangent: Any = None,
        stop: Collection[Node] = (),
    ) -> dict[Node, Any]:
        """Map each reached target to its gradient, without asking that all are reached."""
        differentiable = differentiable or CHANGING.get() is not None
        seed = self._seed(cotangent, "Tensor.gradient", differentiable)
        wanted = set(targets)
        with np.errstate(all="ignore"):
            pulled = pull_back(self, seed, differentiable=differentiable, stop=stop)
            return {node: settle(g) for node, g in watched(pulled) if node in wanted}

    def _seed(self, gradient: Any, where: str, differentiable: bool = False) -> Any:
        """Return the cotangent to start from, checked."""
        if gradient is None and type(self.value) is np.float64 and self.requires_grad:
            return Tensor(1.0, requires_grad=False) if differentiable else np.float64(1)
        if not self.requires_grad:
            raise GraphError(
                f"a constant {describe(self)}",
                where=where,
                expected="a tensor that depends on one that requires a gradient",
                repair="Make a leaf with Tensor(data), and compute outside of no_grad().",
            )
        if gradient is None:
            if self.size != 1:
                raise ShapeError(
                    f"a tensor of shape {self.shape} and no cotangent",
                    where=where,
                    expected="a single element, or a cotangent of the same shape",
                    repair="Reduce it first, e.g. with .sum(), or pass the cotangent.",
                )
            seed = self.value.dtype.type(1) if self.value.ndim == 0 else np.ones_like(self.value)
        elif differentiable and isinstance(gradient, Tensor):
            seed = gradient
        else:
            seed = as_array(_plain(gradient), f"the cotangent of {where}", dtype=self.dtype)
        if seed.shape != self.shape:
            raise ShapeError(
                f"a cotangent of shape {seed.shape}",
                where=where,
                expected=f"shape {self.shape}, that of the tensor",
                repair="Pass one number for every element.",
            )
        if differentiable:
            return seed if isinstance(seed, Tensor) else Tensor(seed, requires_grad=False)
        return seed if self.shape else seed[()]

    def zero_grad(self) -> None:
        """Forget the gradient."""
        changing(self)
        self._grad = None

    # ------------------------------------------------------------------------------ manners

    def __repr__(self) -> str:
        text = np.array2string(np.asarray(self.value), separator=", ", prefix="Tensor(")
        extras = f", name={self.name!r}" if self.name is not None else ""
        if self.dtype != np.float64:
            extras += f", dtype={self.dtype}"
        return f"Tensor({text}{extras})"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a Tensor with a single number has no len()")
        return self.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        for i in range(len(self)):
            yield self[i]

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy:
            return np.array(self.value, dtype=dtype)
        return self.data if dtype in (None, self.dtype) else self.data.astype(dtype)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise GraphError(
            "an assignment to elements",
            where=f"Tensor of shape {self.shape}",
            expected="an expression that makes a new tensor, since recorded values never change",
            repair="Use where(mask, new, old), or build it with stack or concatenate.",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Describe the whole graph as a flat list, so copying and pickling never recurse."""
        nodes = list(walk(self))
        number = {node: i for i, node in enumerate(nodes)}
        rows = [
            (
                node.value, node.requires_grad, node.name, node._grad, node.op,
                [number[x] for x in node.inputs], node.saved, node.params,
            )
            for node in nodes
        ]  # fmt: skip
        return _rebuild, (rows,)

    def __copy__(self) -> "Tensor":
        twin = Tensor.__new__(Tensor)
        twin._restore(self.value, self.requires_grad, self.name, self._grad, self.op)
        twin.inputs, twin.saved, twin.params = self.inputs, self.saved, self.params
        return twin

    def _restore(
        self,
        value: Any,
        requires_grad: bool,
        name: str | None = None,
        grad: Any = None,
        op: Any = None,
    ) -> None:
        self.value, self.requires_grad, self.name, self._grad = value, requires_grad, name, grad
        self.op, self.inputs, self.saved, self.params = op, (), (), _NO_PARAMS

    if TYPE_CHECKING:  # attached from the registry by tinygrad_bp.ops

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> "Tensor": ...
        def __neg__(self) -> "Tensor": ...
        def __abs__(self) -> "Tensor": ...
        def __add__(self, other: Any) -> "Tensor": ...
        def __radd__(self, other: Any) -> "Tensor": ...
        def __sub__(self, other: Any) -> "Tensor": ...
        def __rsub__(self, other: Any) -> "Tensor": ...
        def __mul__(self, other: Any) -> "Tensor": ...
        def __rmul__(self, other: Any) -> "Tensor": ...
        def __truediv__(self, other: Any) -> "Tensor": ...
        def __rtruediv__(self, other: Any) -> "Tensor": ...
        def __pow__(self, other: Any) -> "Tensor": ...
        def __rpow__(self, other: Any) -> "Tensor": ...
        def __matmul__(self, other: Any) -> "Tensor": ...
        def __rmatmul__(self, other: Any) -> "Tensor": ...
        def __lt__(self, other: Any) -> "Tensor": ...
        def __le__(self, other: Any) -> "Tensor": ...
        def __gt__(self, other: Any) -> "Tensor": ...
        def __ge__(self, other: Any) -> "Tensor": ...


def _plain(data: Any) -> Any:
    return data.value if isinstance(data, Tensor) else data


def _read_only(value: Any, like: Any = None) -> np.ndarray:
    if type(value) is not np.ndarray:  # a number, perhaps of more precision than its tensor
        value = np.array(value, None if like is None else like.dtype)
    owner = value.base if isinstance(value.base, np.ndarray) else value
    owner.setflags(write=False)  # not only the view: nobody can unlock it again
    view: np.ndarray = value.view()
    view.setflags(write=False)
    return view


def _rebuild(rows: list[tuple[Any, ...]]) -> Tensor:
    nodes: list[Tensor] = []
    for value, requires_grad, name, grad, op, inputs, saved, params in rows:
        node = Tensor.__new__(Tensor)
        node._restore(value, requires_grad, name, grad, op)
        node.inputs, node.saved, node.params = tuple(nodes[i] for i in inputs), saved, params
        nodes.append(node)
    return nodes[-1]
