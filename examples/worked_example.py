"""The worked example: a 3-3-1 network (2-2-1 and its biases) sees (0, 1, 1) and should say 1.

Every number of the forward pass, every gradient of the backward pass, and one update. Nothing is
derived by hand: the numbers are read from the recorded graph.
"""

import numpy as np

import tinygrad_bp as tg

W0 = [[0.351, -0.097, 0.457], [1.076, -0.165, -0.165], [1.116, 0.542, -0.331]]
W1 = [[0.383], [-0.327], [-0.329]]
TARGET = 1


def main():
    np.set_printoptions(precision=6, suppress=True)
    x = tg.Tensor([[0.0, 1.0, 1.0]], name="x")
    weights = tg.Tensor(W0, name="W0"), tg.Tensor(W1, name="W1")
    net_hidden, hidden, net_output, output = forward(x, *weights)
    error = (output - TARGET) ** 2 / 2
    error.backward()

    print("Forward: the inputs, weighed and added up, then squashed by the sigmoid")
    show("into the hidden layer", net_hidden.data)
    show("hidden", hidden.data)
    show("into the output", net_output.data)
    show("output", output.data)
    show("step: output > 0.5", tg.heaviside(output - 0.5).data)
    show("error E = (output - 1)^2 / 2", error.data)

    print("\nBackward: how E changes with each of them, by the chain rule")
    show("dE/d output", output.grad)
    show("d output/d net = o (1 - o)", output.data * (1 - output.data))
    show("dE/d net of the output", net_output.grad)
    show("dE/dW1", weights[1].grad)
    show("dE/d hidden", hidden.grad)
    show("d hidden/d net = h (1 - h)", hidden.data * (1 - hidden.data))
    show("dE/d net of the hidden layer", net_hidden.grad)
    show("dE/dW0", weights[0].grad)
    show("dE/dx", x.grad)

    for alpha in (0.1, 0.5):
        update(x, weights, alpha)


def forward(x, w0, w1):
    net_hidden = x @ w0
    hidden = tg.sigmoid(net_hidden)
    net_output = hidden @ w1
    return net_hidden, hidden, net_output, tg.sigmoid(net_output)


def update(x, weights, alpha):
    print(f"\nUpdate: one step downhill, w - {alpha} * dE/dw")
    w0, w1 = (w.data - alpha * w.grad for w in weights)
    output = forward(x.data, w0, w1)[-1]
    show("new W0", w0)
    show("new W1", w1)
    show("new output", output)
    show("new error", (output - TARGET) ** 2 / 2)


def show(name, array):
    rows = str(np.atleast_2d(array)).replace("[[", " [").replace("]]", "]")
    print(f"  {name:30}" + rows.strip().replace("\n", "\n" + " " * 31))


if __name__ == "__main__":
    main()
