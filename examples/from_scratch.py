"""A neural network and its training loop, written with Tensors alone: learn one wave of a sine."""

import numpy as np

import tinygrad_bp as tg

EPOCHS, ALPHA = 5000, 0.05


def main():
    normal = np.random.default_rng(0).standard_normal
    x = np.linspace(-np.pi, np.pi, 50).reshape(-1, 1)
    y = np.sin(x)
    parameters = [
        tg.Tensor(normal((1, 16)), name="W0"),
        tg.Tensor(normal(16), name="b0"),
        tg.Tensor(normal((16, 1)) / 4, name="W1"),
        tg.Tensor(np.zeros(1), name="b1"),
    ]
    for epoch in range(1, EPOCHS + 1):
        loss = ((network(x, *parameters) - y) ** 2).mean()
        loss.backward()
        for parameter in parameters:
            parameter.data = parameter.data - ALPHA * parameter.grad
            parameter.zero_grad()
        if epoch == 1 or epoch % 1000 == 0:
            print(f"epoch {epoch:4}: loss {loss.item():.6f}")

    print("\n     x   sin x   network")
    for angle in np.linspace(-3, 3, 7):
        print(f"{angle:6.2f}  {np.sin(angle):6.3f}   {network([[angle]], *parameters).item():7.3f}")


def network(x, w0, b0, w1, b1):
    return tg.tanh(x @ w0 + b0) @ w1 + b1


if __name__ == "__main__":
    main()
