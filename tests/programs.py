"""Random programs: expressions over a few arrays, drawn from the ops with exact results or all."""

import numpy as np

import tinygrad_bp as tg

EXACT = ("add", "subtract", "multiply", "divide", "sqrt", "where", "negative", "abs", "relu")
EXTREME = ("maximum", "minimum")
SMOOTH = ("exp", "log", "tanh", "sigmoid", "softplus", "sin", "expm1")
MOVING = ("transpose", "getitem", "reshape", "concatenate", "broadcast_to", "flip")
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1e-310, 1e308, -1e308, 1.0, -1.0, 2.0]


def draw(seed, ops, length=8, dtype=np.float64, special=False):
    """Return a function of three arrays, and the arrays; the seed decides everything."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(0 if rng.random() < 0.1 else 1, 6, rng.integers(0, 4)).tolist())
    inputs = [_array(rng, shape, dtype, special) for _ in range(3)]
    plan = [(str(rng.choice(ops)), rng.integers(0, 1 << 30, 4).tolist()) for _ in range(length)]

    def program(*arrays):
        values = list(arrays)
        for name, picks in plan:
            values.append(_apply(name, picks, values))
        return values[-1], values[-2], values[-3]

    return program, inputs


def _array(rng, shape, dtype, special):
    kept = tuple(1 if rng.random() < 0.2 else n for n in shape)[int(rng.integers(0, 2)) :]
    x = rng.standard_normal(kept) * 3
    if special and x.size:
        mask = rng.random(kept) < 0.5
        x = np.where(mask, rng.choice(SPECIAL, kept), x)
    return x.astype(dtype)


def _apply(name, picks, values):
    a = values[picks[0] % len(values)]
    partners = [v for v in values if _fits(a, v)]
    b, c = partners[picks[1] % len(partners)], partners[picks[2] % len(partners)]
    if name in ("add", "subtract", "multiply", "divide", "maximum", "minimum"):
        return getattr(tg, name)(a, b)
    if name == "where":
        both = np.broadcast_shapes(a.shape, b.shape)
        c = c if _fits_shape(both, c.shape) else a
        return tg.where(a > b, b, c)
    if name in MOVING:
        return _move(name, picks[3], a)
    return getattr(tg, name)(tg.abs(a) + 0.5 if name == "log" else a)


def _fits(a, b):
    return _fits_shape(a.shape, b.shape)


def _fits_shape(first, second):
    try:
        return len(np.broadcast_shapes(first, second)) <= 4
    except ValueError:
        return False


def _move(name, pick, a):
    if name == "transpose":
        return tg.transpose(a)
    if name == "reshape":
        return tg.reshape(a, a.shape[::-1])
    if name == "broadcast_to":
        return tg.broadcast_to(a, (2, *a.shape)) if a.ndim < 3 else a * 1
    if not a.ndim:
        return tg.reshape(a, (1,))
    if name == "flip":
        return tg.flip(a, pick % a.ndim)
    if name == "concatenate":
        return tg.concatenate([a, a], axis=pick % a.ndim)
    return a[..., :: 2 if pick % 2 else -1]
