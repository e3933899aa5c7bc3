"""A layer with a hand-written backward pass, and a bug in it, found and named."""

import numpy as np

import tinygrad_bp as tg


def forward(x, w, b):
    """A dense layer: every row of x becomes tanh(row @ w + b)."""
    return np.tanh(x @ w + b)


def backward(x, w, b, upstream):
    """Its backward pass, as many tutorials write it."""
    d_net = upstream * (1 - forward(x, w, b) ** 2)
    return d_net @ w.T, x.T @ d_net, d_net.mean(axis=0)  # the bug: b was added to every row


def corrected(x, w, b, upstream):
    d_net = upstream * (1 - forward(x, w, b) ** 2)
    return d_net @ w.T, x.T @ d_net, d_net.sum(axis=0)


def careless(x, w, b, upstream):
    """Right as long as nothing comes after the layer but a sum."""
    return corrected(x, w, b, np.ones_like(upstream))


def show(title, report):
    print(title)
    print("  " + str(report).replace("±", "+-").replace("\n", "\n  ") + "\n")


def main():
    rng = np.random.default_rng(1)
    point = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)

    for title, vjp in (
        ("The first backward pass", backward),
        ("One that was only ever tried with ones", careless),
        ("The corrected one", corrected),
    ):
        show(title, tg.gradcheck(forward, point, vjp=vjp, raise_exception=False))

    def layer(x, w, b):
        return np.tanh(x @ w + b)  # the same line, recorded: no backward pass to get wrong

    show("The recorded graph", tg.gradcheck(layer, point, order=2))


if __name__ == "__main__":
    main()
