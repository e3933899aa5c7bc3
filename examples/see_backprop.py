"""See backpropagation: the worked example as pictures, from one neuron to every single number.

    python examples/see_backprop.py [folder]

writes its pictures into the folder (see_backprop, unless named) and says what to look for.
"""

import sys
from pathlib import Path

import tinygrad_bp as tg

W0 = [[0.351, -0.097, 0.457], [1.076, -0.165, -0.165], [1.116, 0.542, -0.331]]
W1 = [[0.383], [-0.327], [-0.329]]


def main(folder="see_backprop"):
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    x = tg.Tensor([[0.0, 1.0, 1.0]], name="x", requires_grad=False)
    w0, w1 = tg.Tensor(W0, name="W0"), tg.Tensor(W1, name="W1")
    with tg.scope("hidden layer"):
        h = tg.sigmoid(x @ w0)
    with tg.scope("output layer"):
        net = h @ w1
        o = tg.sigmoid(net)
    E = ((o - 1) ** 2 / 2).reshape(())
    names = {"h": h, "net": net, "o": o, "E": E}

    print("The graph that the program recorded, arrays as they are:")
    network = tg.draw(E, names=names)
    print(f"  {network.save(folder / 'network.svg')}")

    print("The same graph number by number, and as a page: click, search, play both passes.")
    numbers = tg.draw(E, names=names, level="scalar")
    print(f"  {numbers.save(folder / 'numbers.svg')}")
    print(f"  {numbers.save(folder / 'numbers.html')}")

    print("One weight only. The labels on its way to E multiply to its gradient:")
    weight = tg.draw(E, names=names, level="scalar", focus=(w1, (0, 0)))
    print(f"  {weight.save(folder / 'weight.svg')}")
    way = [float(arrow.label) for arrow in weight.picture.arrows if arrow.label]
    print("  " + " * ".join(f"{label:g}" for label in way), f"= {product(way):.4f}")
    print(f"  dE/dW1[0, 0] from the graph: {E.gradient(w1)[0, 0]:.4f}")

    print("The backward pass, drawn as the graph that it is:")
    print(f"  {tg.draw(E, names=names, backward=True).save(folder / 'backward.svg')}")


def product(factors):
    result = 1.0
    for factor in factors:
        result *= factor
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
