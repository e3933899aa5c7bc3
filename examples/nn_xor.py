"""Learn XOR, the smallest problem that needs a hidden layer, and fail to learn it without one."""

import numpy as np

import tinygrad_bp as tg

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([[0], [1], [1], [0]])

WHY = """
Why the second network cannot do it: 2-1 computes sigmoid(w1*x1 + w2*x2 + b), and its step is 1 on
one side of the line w1*x1 + w2*x2 + b = 0. XOR asks for

    b < 0,    w2 + b > 0,    w1 + b > 0,    w1 + w2 + b < 0.

Adding the second and the third gives w1 + w2 + 2b > 0, adding the other two gives
w1 + w2 + 2b < 0: no weights do both. XOR is not linearly separable, so the best that the 2-1
network can do is to answer 0.5 everywhere. The hidden layer of 2-2-1 bends the plane first, after
which one line is enough."""


def main():
    # About one start in six stalls in a local minimum; this one does not.
    np.random.seed(0)
    for layers in ([2, 2, 1], [2, 1]):
        train(layers)
    print(WHY)


def train(layers):
    network = tg.NeuralNetwork(layers, alpha=0.5)
    print(f"\n[INFO] training {network}...")
    network.fit(X, y, epochs=20000, displayUpdate=5000)
    for x, target in zip(X, y, strict=True):
        pred = network.predict(x)[0][0]
        step = 1 if pred > 0.5 else 0
        print(f"[INFO] data={x}, ground-truth={target[0]}, pred={pred:.4f}, step={step}")


if __name__ == "__main__":
    main()
