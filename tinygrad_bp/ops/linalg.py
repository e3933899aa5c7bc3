"""Linear algebra on float matrices; leading axes of matmul, solve, inv, det, … are batches."""

import string

import numpy as np

from tinygrad_bp.declare import derived, structural
from tinygrad_bp.errors import InputError
from tinygrad_bp.ops.einsum import contract
from tinygrad_bp.ops.elementwise import multiply
from tinygrad_bp.ops.reduce import sum
from tinygrad_bp.ops.shape import (
    expand_dims,
    moveaxis,
    ravel,
    reshape,
)

SQUARE = "square matrices in the last two axes"


def cases(*shapes, **params):
    """Make a `cases` function from fixed shapes of the inputs."""
    return lambda _: [(each, params) for each in shapes]


# ---------------------------------------------------------------------------------- products


@structural(
    "·",
    expects="the last axis of a as long as the last but one of b (or its only one)",
    cases=cases(
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((), (2,)),
        ((2, 2, 3), (3,)),
        ((3,), (2, 3, 2)),
        ((4, 3), (2, 3, 2)),
        ((2, 0), (0, 3)),
        ((1, 3), (3, 1)),
        ((3, 3), (3, 3)),
    ),
)
def dot(a, b):
    """Multiply and add up along the last axis of a and the last but one of b, as np.dot does.

    Two vectors give a number; matrices their product; a single number scales.

    >>> tg.dot(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), [1.0, 10.0])
    Tensor([21., 43.])
    """
    return np.dot(a, b)


@dot.vjp
def _(g, y, a, b):
    if a.ndim == 2 == b.ndim:
        return g.dot(b.T)
    if a.ndim == 0 or b.ndim == 0:
        return sum(g * b) if a.ndim == 0 else g * b
    rows, columns = _matrices(g, a, b)[0], _matrices(g, a, b)[2]
    return reshape(dot(rows, columns.T), a.shape)


@dot.vjp
def _(g, y, a, b):
    if a.ndim == 2 == b.ndim:
        return a.T.dot(g)
    if a.ndim == 0 or b.ndim == 0:
        return sum(g * a) if b.ndim == 0 else g * a
    rows, inner, _ = _matrices(g, a, b)
    product = dot(inner.T, rows)
    if b.ndim == 1:
        return reshape(product, b.shape)
    return moveaxis(reshape(product, (b.shape[-2], *b.shape[:-2], b.shape[-1])), 0, -2)


@dot.definition
def _(a, b):
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    letters = iter(string.ascii_lowercase)
    left = "".join(next(letters) for _ in range(a.ndim))
    rest = "".join(next(letters) for _ in range(b.ndim - 1))
    right = rest[:-1] + left[-1] + rest[-1:]
    return contract(a, b, subscripts=f"{left},{right}->{left[:-1]}{rest}")


def _matrices(g, a, b):
    """Flatten g, a, b to matrices G (rows, columns), A (rows, inner), B (inner, columns)."""
    inner = a.shape[-1]
    rows = a.size // inner if inner else int(np.prod(a.shape[:-1]))
    columns = b.size // inner if inner else int(np.prod(b.shape[:-2])) * b.shape[-1]
    last_first = b if b.ndim == 1 else moveaxis(b, -2, 0)
    return (
        reshape(g, (rows, columns)),
        reshape(a, (rows, inner)),
        reshape(last_first, (inner, columns)),
    )


@structural(
    "@",
    operator="matmul",
    expects="the last axis of a as long as the last but one of b",
    cases=cases(
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (4, 3, 2)),
        ((4, 2, 3), (3,)),
        ((3,), (4, 3, 2)),
        ((2, 0), (0, 3)),
        ((3, 3), (3, 3)),
        ((3, 3, 3), (3, 3)),
    ),
)
def matmul(a, b):
    """Multiply matrices; leading axes are batches and broadcast; a vector is a row or column.

    >>> tg.matmul(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), [1.0, 10.0])
    Tensor([21., 43.])
    """
    return np.dot(a, b) if a.ndim == 2 == b.ndim else np.matmul(a, b)  # twice as fast when small


@matmul.vjp
def _(g, y, a, b):
    if a.ndim == 2 == b.ndim:
        return g.dot(b.T)
    if b.ndim == 1:
        return expand_dims(g, -1) * b if a.ndim > 1 else g * b
    if a.ndim == 1:
        product = matmul(b, expand_dims(g, -1))
        return reshape(product, product.shape[:-1])
    return matmul(g, b.mT)


@matmul.vjp
def _(g, y, a, b):
    if a.ndim == 2 == b.ndim:
        return a.T.dot(g)
    if a.ndim == 1:
        return expand_dims(a, -1) * expand_dims(g, -2) if b.ndim > 1 else g * a
    if b.ndim == 1:
        product = matmul(a.mT, expand_dims(g, -1))
        return reshape(product, product.shape[:-1])
    return matmul(a.mT, g)


@matmul.definition
def _(a, b):
    row, column = "R"[: a.ndim - 1], "C"[: b.ndim - 1]
    batch = string.ascii_lowercase[: max(a.ndim, b.ndim, 2) - 2]
    left, right = (batch[len(batch) - max(x.ndim - 2, 0) :] for x in (a, b))
    return contract(a, b, subscripts=f"{left}{row}K,{right}K{column}->{batch}{row}{column}")


@derived(symbol="⊗", method=False, cases=cases(((3,), (2,)), ((2, 2), (3,)), ((), (2,))))
def outer(a, b):
    """Multiply every element of a with every one of b: y[i, j] = a[i] · b[j] (both flattened).

    >>> tg.outer(tg.Tensor([1.0, 2.0]), [1.0, 10.0])
    Tensor([[ 1., 10.],
            [ 2., 20.]])
    """
    return multiply(reshape(a, (-1, 1)), ravel(b))


# ---------------------------------------------------------------------------------- systems


def _square_cases(*more):
    return cases(((3, 3), *more), ((2, 4, 4), *more), ((1, 1), *more))


@structural(
    "solve",
    method=False,
    numpy=np.linalg.solve,
    expects=f"a: {SQUARE}, not singular; b: as many rows",
    cases=cases(((3, 3), (3,)), ((3, 3), (3, 2)), ((3, 3), (3, 3)), ((2, 3, 3), (2, 3, 1))),
)
def solve(a, b):
    """Solve a · y = b for y; b is one vector or has columns in its last axis.

    >>> tg.solve(tg.Tensor([[2.0, 0.0], [0.0, 4.0]]), [2.0, 2.0])
    Tensor([1. , 0.5])
    """
    return np.linalg.solve(a, b)


@solve.vjp
def _(g, y, a, b):
    share = solve(a.mT, g)
    if b.ndim == 1:
        return -expand_dims(share, -1) * expand_dims(y, -2)
    return -matmul(share, y.mT)


@solve.vjp
def _(g, y, a, b):
    return solve(a.mT, g)


@structural(
    "⁻¹",
    method=False,
    numpy=np.linalg.inv,
    expects=f"{SQUARE}, not singular",
    cases=_square_cases(),
)
def inv(a):
    """Invert matrices: a · y = 1; the cotangent g becomes −yᵀ g yᵀ.

    >>> tg.inv(tg.Tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return np.linalg.inv(a)


@inv.vjp
def _(g, y, a):
    transposed = y.mT
    return -matmul(matmul(transposed, g), transposed)


@structural("det", method=False, numpy=np.linalg.det, expects=SQUARE, cases=_square_cases())
def det(a):
    """Return the determinant; its gradient is the matrix of cofactors, also where it is 0.

    >>> tg.det(tg.Tensor([[1.0, 2.0], [3.0, 5.0]]))
    Tensor(-1.)
    """
    return np.linalg.det(a)


@det.vjp
def _(g, y, a):
    return expand_dims(g, (-1, -2)) * cofactors(a)


@structural(
    "cof",
    method=False,
    numpy=(),
    expects=SQUARE,
    cases=cases(((3, 3),), ((3, 3), (3, 3)), ((2, 4, 4), (2, 4, 4))),
)
def cofactors(*matrices):
    """Return the gradient of det a, for any matrix a; given directions too, its derivative there.

    ⟨cofactors(a, x₁, …, xₖ), z⟩ is the derivative of det a along x₁, …, xₖ and z. So the rule
    below needs no other function, to any order, and a may be singular.

    >>> tg.cofactors(tg.Tensor([[1.0, 2.0], [2.0, 4.0]]))
    Tensor([[ 4., -2.],
            [-2.,  1.]])
    """
    a, *along = matrices
    return (_by_inverse if _is_regular(a, len(along)) else _by_minors)(a, *along)


@cofactors.vjp
def _(g, y, a, *along):
    others = [along[:i] + along[i + 1 :] for i in range(len(along))]
    return [cofactors(a, *along, g), *(cofactors(a, *rest, g) for rest in others)]


def _is_regular(a, order):
    """Ask whether an inverse serves: along k directions it loses conditionᵏ of the digits."""
    if np.any(np.linalg.det(a) == 0):
        return False
    norms = [np.linalg.norm(x, axis=(-2, -1)) for x in (a, np.linalg.inv(a))] if order else [1, 1]
    return not np.any((norms[0] * norms[1]) ** order > np.finfo(a.dtype).eps ** -0.5)


def _by_inverse(a, *along):
    """Compute det a · a⁻ᵀ at a + ε₁x₁ + … + εₖxₖ, where ε² = 0, and return what ε₁ ⋯ εₖ has.

    A number of this kind is a list: entry s belongs to the product of those εᵢ whose bit is in s.
    """
    inverse, determinant = [np.linalg.inv(a)], [np.linalg.det(a)[..., None, None]]
    for x in along:
        step = [t @ x for t in inverse]
        traces = [np.trace(t, axis1=-2, axis2=-1)[..., None, None] for t in step]
        determinant += _products(np.multiply, determinant, traces)
        inverse += [-t for t in _products(np.matmul, step, inverse)]
    return np.swapaxes(_products(np.multiply, determinant, inverse)[-1], -1, -2)


def _products(multiply, first, second):
    """Multiply two numbers whose entries belong to products of εᵢ."""
    return [
        np.sum([multiply(first[r], second[s - r]) for r in range(s + 1) if r & s == r], axis=0)
        for s in range(len(first))
    ]


def _by_minors(*matrices):
    """Compute the same without dividing by anything, from smaller determinants."""
    y = np.empty(matrices[0].shape, matrices[0].dtype)
    for i, j in np.ndindex(y.shape[-2:]):
        a, *along = [np.delete(np.delete(x, i, -2), j, -1) for x in matrices]
        minor = np.linalg.det(a)
        if along:
            minor = np.sum(cofactors.forward(a, *along[:-1]) * along[-1], axis=(-2, -1))
        y[..., i, j] = (-1) ** (i + j) * minor
    return y


@structural(
    "ln|det|", method=False, numpy=(), expects=f"{SQUARE}, not singular", cases=_square_cases()
)
def logabsdet(a):
    """Return ln |det a|, which does not overflow; its gradient is the transposed inverse.

    >>> tg.logabsdet(tg.Tensor([[1.0, 2.0], [3.0, 5.0]])).item() < 1e-15
    True
    """
    return np.linalg.slogdet(a)[1]


@logabsdet.vjp
def _(g, y, a):
    return expand_dims(g, (-1, -2)) * inv(a).mT


@derived(method=False, numpy=np.linalg.slogdet, cases=_square_cases())
def slogdet(a):
    """Return (sign, ln |det|) of matrices, so that det = sign · e^ln|det|.

    >>> s, ln = tg.slogdet(tg.Tensor([[2.0, 0.0], [0.0, -1.0]]))
    >>> s.item(), round(ln.item(), 4)
    (-1.0, 0.6931)
    """
    return det_sign(a), logabsdet(a)


@structural(
    "sign det", constant=True, method=False, numpy=(), expects=SQUARE, cases=_square_cases()
)
def det_sign(a):
    """Return the sign of the determinant, computed without overflow.

    >>> tg.det_sign(tg.Tensor([[2.0, 0.0], [0.0, -1.0]]))
    Tensor(-1.)
    """
    return np.linalg.slogdet(a)[0]


@structural(
    "chol",
    method=False,
    numpy=np.linalg.cholesky,
    expects="symmetric positive definite matrices in the last two axes",
    cases=cases(((3, 3),), ((2, 2, 2),), ((1, 1),)),
    positive_definite=True,
)
def cholesky(a):
    """Return the lower triangle y with y · yᵀ = a, for symmetric positive definite a.

    The gradient is symmetric, as a is (Murray, Differentiation of the Cholesky decomposition,
    2016).

    >>> tg.cholesky(tg.Tensor([[4.0, 2.0], [2.0, 5.0]]))
    Tensor([[2., 0.],
            [1., 2.]])
    """
    if not np.allclose(a, a.mT, rtol=1e-8, atol=0):
        raise InputError(
            "a matrix that is not symmetric",
            expected="a symmetric, positive definite one",
            repair="Take (a + a.mT) / 2 if it should be symmetric.",
        )
    return np.linalg.cholesky(a)


@cholesky.vjp
def _(g, y, a):
    transposed = y.mT
    lower = np.tril(np.ones(y.shape)) - np.eye(y.shape[-1]) / 2
    middle = matmul(transposed, g) * lower
    share = solve(transposed, solve(transposed, middle.mT).mT)
    return (share + share.mT) / 2
