"""Sums of products over named indices, in Einstein's notation."""

import string

import numpy as np

from tinygrad_bp.declare import derived, structural
from tinygrad_bp.errors import InputError, describe
from tinygrad_bp.ops.shape import astensor, broadcast_to, reshape


def _einsum_cases(*with_subscripts):
    return lambda _: [(shapes, {"subscripts": text}) for text, *shapes in with_subscripts]


@structural(
    "Σ",
    method=False,
    numpy=(),
    expects="operands that fit the subscripts",
    cases=_einsum_cases(
        ("ij,jk->ik", (3, 3), (3, 3)),
        ("ij,jk->ik", (2, 3), (3, 4)),
        ("ij->j", (2, 3)),
        ("ij,ki,i->jk", (2, 3), (4, 2), (2,)),
    ),
)
def contract(*operands, subscripts):
    """Sum products over indices: explicit subscripts, no index twice in one operand.

    This is the primitive behind `einsum`, which takes every form.

    >>> tg.contract(tg.Tensor([1.0, 2.0]), [3.0, 4.0], subscripts="i,i->")
    Tensor(11.)
    """
    return np.einsum(subscripts, *operands, optimize=len(operands) > 2)


@contract.vjp
def _(g, y, *operands, subscripts):
    terms, result = _terms(subscripts)
    shares = []
    for i, (x, term) in enumerate(zip(operands, terms, strict=True)):
        others = [g, *operands[:i], *operands[i + 1 :]]
        names = [result, *terms[:i], *terms[i + 1 :]]
        known = "".join(c for c in term if any(c in name for name in names))
        share = contract(*others, subscripts=f"{','.join(names)}->{known}")
        lengths = dict(zip(term, x.shape, strict=True))
        single = tuple(lengths[c] if c in known else 1 for c in term)
        shares.append(broadcast_to(reshape(share, single), x.shape))
    return shares


def _terms(subscripts):
    left, result = subscripts.split("->")
    return left.split(","), result


@derived(
    method=False,
    cases=_einsum_cases(
        ("ij,jk", (2, 3), (3, 4)),
        ("ii", (3, 3)),
        ("ii->i", (3, 3)),
        ("ij->ji", (2, 3)),
        ("...ij,ji->...", (5, 2, 3), (3, 2)),
        ("i,i,i", (3,), (3,), (3,)),
    ),
)
def einsum(*operands, subscripts=None):
    """Sum products over named indices, in Einstein's notation: einsum("ij,j->i", a, b).

    Takes every subscript string that np.einsum takes. Raises `InputError` for subscripts that
    are no text or do not fit the operands.

    >>> tg.einsum("ij,j->i", tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), [1.0, 10.0])
    Tensor([21., 43.])
    """
    if subscripts is None:
        subscripts, operands = operands[0], operands[1:]
    factors = [astensor(x) for x in operands]
    names, result = _explicit(subscripts, factors)
    for i in range(len(factors)):
        for c in sorted(c for c in set(names[i]) if names[i].count(c) > 1):
            while names[i].count(c) > 1:  # x_cc = Σ_d x_cd · δ_cd
                fresh = _unused("".join(names) + result)
                names[i] = names[i][::-1].replace(c, fresh, 1)[::-1]
                names.append(c + fresh)
                factors.append(np.eye(factors[i].shape[names[i].index(c)]))
    return contract(*factors, subscripts=f"{','.join(names)}->{result}")


def _explicit(subscripts, operands):
    """Return a name for every axis of every operand, and of the result, without ellipses."""
    if not isinstance(subscripts, str):
        raise InputError(
            describe(subscripts),
            where="einsum",
            expected='subscripts as text first, such as "ij,jk->ik"',
            repair="Write the indices as letters.",
        )
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise InputError(
            f"{len(operands)} operands for {subscripts!r}",
            where="einsum",
            expected=f"{len(terms)}, one for each term",
            repair="Separate the terms by commas.",
        )
    if not arrow:
        once = sorted(c for c in set(left) - set(",.") if left.count(c) == 1)
        result = ("..." if "..." in left else "") + "".join(once)
    extra = [x.ndim - len(t) + 3 for t, x in zip(terms, operands, strict=True) if "..." in t]
    batch = ""
    for _ in range(max(extra, default=0)):
        batch += _unused(left + result + batch)
    terms = [
        t.replace("...", batch[len(batch) - (x.ndim - len(t) + 3) :])
        for t, x in zip(terms, operands, strict=True)
    ]
    return terms, result.replace("...", batch)


def _unused(taken):
    return next(c for c in string.ascii_letters if c not in taken)
