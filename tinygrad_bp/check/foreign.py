"""Functions of other libraries' values as subjects. Only what the caller has imported is used."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from tinygrad_bp.check.subject import Arrays, Pull, Subject
from tinygrad_bp.validate import refuse


class Torch(Subject):
    """A function of PyTorch tensors."""

    def tensors(self, arrays: Arrays, *, grad: bool = False) -> list[Any]:
        torch = sys.modules["torch"]
        return [torch.from_numpy(np.array(x)).requires_grad_(grad) for x in arrays]

    def value(self, inputs: Arrays) -> Arrays:
        with sys.modules["torch"].no_grad():
            return [y.detach().numpy() for y in self.call(self.tensors(inputs))]

    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        leaves = self.tensors(inputs, grad=True)
        outputs = self.call(leaves)
        values = [y.detach().numpy().copy() for y in outputs]
        return values, lambda cotangents: [
            g.detach().numpy() for g in self.pulled(outputs, leaves, cotangents, retain_graph=True)
        ]

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
            with sys.modules["torch"].enable_grad():
                tracked = [x if x.requires_grad else x.requires_grad_() for x in leaves]
                outputs = self.call(tracked)
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

    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        jax = sys.modules["jax"]
        with self.precise(inputs):
            values = [jax.numpy.asarray(x) for x in inputs]
            outputs, pullback = jax.vjp(lambda *xs: list(self.call(xs)), *values)

        def pull(cotangents: Arrays) -> list[Any]:
            with self.precise(inputs):
                return [np.array(g) for g in pullback([jax.numpy.asarray(u) for u in cotangents])]

        return [np.array(y) for y in outputs], pull

    def derivative(self, cotangents: Arrays) -> Subject:
        def gradients(leaves: Sequence[Any]) -> list[Any]:
            jax = sys.modules["jax"]
            pullback = jax.vjp(lambda *xs: list(self.call(xs)), *leaves)[1]
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
            return [np.array(y) for y in self.call([mygrad.tensor(x) for x in inputs])]

    def linearize(self, inputs: Arrays) -> tuple[Arrays, Pull]:
        mygrad = sys.modules["mygrad"]

        def pull(cotangents: Arrays) -> list[Any]:
            leaves = [mygrad.tensor(x, copy=True) for x in inputs]
            outputs = self.call(leaves)
            total = sum((y * u).sum() for y, u in zip(outputs, cotangents, strict=True))
            total.backward()
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


def library_of(function: Any, leaves: Sequence[Any]) -> str:
    """Name the library whose values the inputs are, or whose NumPy a function is written with.

    HIPS autograd takes plain arrays, so its functions are told by the names that they mention.
    """
    for leaf in leaves:
        root = type(leaf).__module__.split(".")[0]
        if root in FOREIGN:
            return root
    code = getattr(function, "__code__", None)
    names = getattr(function, "__globals__", {})
    if code is not None and "autograd" in sys.modules:
        for name in code.co_names:
            thing = names.get(name)
            module = getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
            if str(module).split(".")[0] == "autograd":
                return "autograd"
    return ""


def array_of(leaf: Any) -> Any:
    """Return a value of another library as an array; anything else as it is."""
    root = type(leaf).__module__.split(".")[0]
    if root == "torch":
        return leaf.detach().cpu().numpy()
    return np.array(leaf) if root in FOREIGN else leaf
