"""Functions of other libraries' values as subjects. Only what the caller has imported is used."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from traceback import walk_tb
from types import CodeType
from typing import Any, NoReturn

import numpy as np

from tinygrad_bp.check.subject import Arrays, Pull, Subject
from tinygrad_bp.errors import describe
from tinygrad_bp.validate import refuse


@contextmanager
def tracking() -> Iterator[None]:
    """Let PyTorch record, whatever the caller has set."""
    torch = sys.modules["torch"]
    with torch.inference_mode(False), torch.enable_grad():
        yield


class Torch(Subject):
    """A function of PyTorch tensors."""

    remedy = "Let it work on a copy: x = x.clone()."

    def tensors(self, arrays: Arrays, *, grad: bool = False) -> list[Any]:
        torch = sys.modules["torch"]
        return [torch.from_numpy(np.array(x)).requires_grad_(grad) for x in arrays]

    def value(self, inputs: Arrays) -> Arrays:
        torch = sys.modules["torch"]
        with torch.inference_mode(False), torch.no_grad():
            leaves = [torch.from_numpy(x) for x in inputs]  # no copies: who changes one is told so
            outputs = self.outputs(leaves)
        return [detached(y, f"the result of {self.name}") for y in outputs]

    def outputs(self, leaves: Sequence[Any]) -> list[Any]:
        """Call the function, whose results have to be tensors of PyTorch."""
        outputs = self.call(leaves)
        for y in outputs:
            if not isinstance(y, sys.modules["torch"].Tensor):
                expected = "a torch tensor, computed from the arguments"
                repair = "Compute with torch, not with float(x) or x.numpy()."
                refuse(f"the result of {self.name}", describe(y), expected, repair)
        return outputs

    @tracking()
    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        leaves = self.tensors(inputs, grad=True)
        outputs = self.outputs(leaves)
        values = [y.detach().numpy().copy() for y in outputs]
        return values, lambda cotangents: [
            g.detach().numpy() for g in self.pulled(outputs, leaves, cotangents, retain_graph=True)
        ]

    @tracking()
    def pulled(
        self, outputs: Sequence[Any], leaves: Sequence[Any], cotangents: Arrays, **options: Any
    ) -> list[Any]:
        torch = sys.modules["torch"]
        pairs = [
            (y, u)
            for y, u in zip(outputs, self.tensors(cotangents), strict=True)
            if y.requires_grad
        ]
        if not pairs:
            return [torch.zeros_like(x) for x in leaves]
        ys, us = zip(*pairs, strict=True)
        found = torch.autograd.grad(ys, leaves, us, allow_unused=True, **options)
        return [torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True)]

    def derivative(self, cotangents: Arrays) -> Subject:
        def gradients(leaves: Sequence[Any]) -> list[Any]:
            with tracking():
                tracked = [x if x.requires_grad else x.requires_grad_() for x in leaves]
                outputs = self.outputs(tracked)
                return self.pulled(outputs, tracked, cotangents, create_graph=True)

        return self.again(gradients)


class Jax(Subject):
    """A function of JAX arrays."""

    def precise(self, arrays: Arrays) -> AbstractContextManager[Any]:
        """Let JAX compute in float64 if the arrays are float64."""
        jax = sys.modules["jax"]
        context: AbstractContextManager[Any] = jax.enable_x64(
            jax.config.jax_enable_x64 or any(x.dtype == np.float64 for x in arrays)
        )
        return context

    def value(self, inputs: Arrays) -> Arrays:
        with self.precise(inputs):
            values = [sys.modules["jax"].numpy.asarray(x) for x in inputs]
            return [np.array(y) for y in self.call(values)]

    def floats(self, leaves: Sequence[Any]) -> list[Any]:
        """Call the function; JAX takes no cotangents of whole numbers, so make floats of them."""
        outputs = map(sys.modules["jax"].numpy.asarray, self.call(leaves))
        return [y.astype(float) if y.dtype.kind in "iub" else y for y in outputs]

    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        jax = sys.modules["jax"]
        with self.precise(inputs):
            values = [jax.numpy.asarray(x) for x in inputs]
            outputs, pullback = jax.vjp(lambda *xs: self.floats(xs), *values)

        def pull(cotangents: Arrays) -> list[Any]:
            with self.precise(inputs):
                return [np.array(g) for g in pullback([jax.numpy.asarray(u) for u in cotangents])]

        return [np.array(y) for y in outputs], pull

    def derivative(self, cotangents: Arrays) -> Subject:
        def gradients(leaves: Sequence[Any]) -> list[Any]:
            jax = sys.modules["jax"]
            pullback = jax.vjp(lambda *xs: self.floats(xs), *leaves)[1]
            return list(pullback([jax.numpy.asarray(u) for u in cotangents]))

        return self.again(gradients)


class Autograd(Subject):
    """A function written with HIPS autograd's NumPy."""

    def value(self, inputs: Arrays) -> Arrays:
        return [np.asarray(y) for y in self.call([x[()] for x in inputs])]

    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        outputs = self.value([x.copy() for x in inputs])
        return outputs, lambda cotangents: [
            np.asarray(g) for g in self.pulled([x[()] for x in inputs], cotangents)
        ]

    def pulled(self, leaves: Sequence[Any], cotangents: Arrays) -> Sequence[Any]:
        """Return the gradient of <cotangents, outputs>."""
        autograd = sys.modules["autograd"]

        def weighted(xs: Sequence[Any]) -> Any:
            outputs = self.call([xs[i] for i in range(len(leaves))])
            products = [y * u[()] for y, u in zip(outputs, cotangents, strict=True)]
            return sum(sys.modules["autograd.numpy"].sum(product) for product in products)

        found: Sequence[Any] = autograd.grad(weighted)(tuple(leaves))
        return found

    def derivative(self, cotangents: Arrays) -> Subject:
        return self.again(lambda leaves: list(self.pulled(leaves, cotangents)))


class MyGrad(Subject):
    """A function of MyGrad tensors."""

    def value(self, inputs: Arrays) -> Arrays:
        mygrad = sys.modules["mygrad"]
        with mygrad.no_autodiff:
            leaves = [mygrad.tensor(x, copy=False) for x in inputs]  # so that changes are seen
            return [np.array(y) for y in self.call(leaves)]

    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        mygrad = sys.modules["mygrad"]

        def pull(cotangents: Arrays) -> list[Any]:
            leaves = [mygrad.tensor(x, copy=True) for x in inputs]
            outputs = self.call(leaves)
            total = sum((y * u).sum() for y, u in zip(outputs, cotangents, strict=True))
            mygrad.astensor(total).backward()  # whole numbers are no tensors of MyGrad
            return [np.zeros_like(x.data) if x.grad is None else x.grad.copy() for x in leaves]

        return self.value(inputs), pull

    def derivative(self, cotangents: Arrays) -> Subject:
        refuse(
            f"gradcheck of {self.name}, argument order",
            "2, and a function of MyGrad tensors",
            "order 1, since MyGrad does not differentiate its gradients",
            "Leave out order=2.",
        )


FOREIGN: dict[str, type[Subject]] = {
    "torch": Torch, "jax": Jax, "jaxlib": Jax, "autograd": Autograd, "mygrad": MyGrad,
}  # fmt: skip
MADE_BY = {"torch": "torch.tensor", "jax": "jax.numpy.asarray", "mygrad": "mygrad.tensor"}


def library_of(function: Any, leaves: Sequence[Any]) -> str:
    """Name the library whose values the inputs are, or whose NumPy a function is written with.

    HIPS autograd takes plain arrays, so its functions are told by the names that they mention.
    """
    roots = (root_of(type(leaf)) for leaf in leaves)
    found = next((root for root in roots if root in FOREIGN), "")
    return found or ("autograd" if "autograd" in mentioned(function) else "")


def tell_inputs(function: Any, error: Exception) -> None:
    """Note with an error that a function written with another library takes its values."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    called = [root for frame in frames for root in roots_of(frame.f_code, frame.f_globals)]
    library = next((root for root in (*mentioned(function), *called) if root in MADE_BY), None)
    if library:
        error.add_note(
            "gradcheck called it with Tensors, since its inputs are plain arrays; for a function "
            f"of {library} values write gradcheck(f, {MADE_BY[library]}(x))"
        )


def mentioned(function: Any) -> list[str]:
    """List the packages of a function, and of the global things that it names."""
    code, names = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    own = [root_of(function), root_of(type(function))]
    return [*own, *roots_of(code, names)] if code else own


def roots_of(code: CodeType, names: Mapping[str, Any]) -> list[str]:
    """List the packages of a piece of code, and of the global things that it names."""
    module = str(names.get("__name__")).split(".")[0]
    return [module, *(root_of(names.get(name)) for name in code.co_names)]


def root_of(thing: Any) -> str:
    """Name the package that a module, a class or a function belongs to, "" if it tells none."""
    name = getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
    return str(name).split(".")[0]


def array_of(leaf: Any, label: str) -> Any:
    """Return a value of another library as an array; anything else as it is."""
    root = root_of(type(leaf))
    if root == "torch":
        return detached(leaf, label)
    if root not in FOREIGN:
        return leaf
    array = np.array(leaf)
    return refuse_dtype(leaf, label) if array.dtype.kind == "V" else array


def detached(tensor: Any, label: str) -> Any:
    """Return a tensor of PyTorch as an array."""
    try:
        return tensor.detach().cpu().numpy()
    except TypeError:
        refuse_dtype(tensor, label)


def refuse_dtype(array: Any, label: str) -> NoReturn:
    """Raise the error for a dtype that NumPy does not have, such as bfloat16."""
    given = f"{array.dtype} of shape {tuple(array.shape)}"
    repair = "Convert it to float32 or float64 first."
    refuse(label, given, "a dtype that NumPy has as well", repair)
