"""Twenty graphs of the kinds that people draw: (number of nodes, edges from input to consumer).

Every node is numbered after its inputs, as in a recorded graph.
"""

from collections.abc import Callable, Sequence

import numpy as np

Graph = tuple[int, np.ndarray]


class Builder:
    """Counts nodes and remembers edges."""

    def __init__(self) -> None:
        self.count = 0
        self.edges: list[tuple[int, int]] = []

    def node(self, *inputs: int) -> int:
        self.edges += [(source, self.count) for source in inputs]
        self.count += 1
        return self.count - 1

    def nodes(self, count: int) -> list[int]:
        return [self.node() for _ in range(count)]

    def fold(self, values: Sequence[int]) -> int:
        """Add values up one after the other."""
        total = values[0]
        for value in values[1:]:
            total = self.node(total, value)
        return total

    def graph(self) -> Graph:
        return self.count, np.array(self.edges, np.int64).reshape(-1, 2)


def tensor_network(layers: int) -> Graph:
    """Matrix product, bias, activation; then a squared error."""
    b = Builder()
    a = b.node()
    for _ in range(layers):
        a = b.node(b.node(b.node(a, b.node()), b.node()))
    b.node(b.node(b.node(b.node(a, b.node()), b.node())), b.node())
    return b.graph()


def scalar_network(*sizes: int, samples: int = 1) -> Graph:
    """Every weight a node, each neuron a sum of products, as in a network of scalars."""
    b = Builder()
    weights = [[b.nodes(m + 1) for _ in range(n)] for m, n in zip(sizes, sizes[1:], strict=False)]
    losses = []
    for _ in range(samples):
        a = b.nodes(sizes[0])
        for layer in weights:
            a = [
                b.node(b.fold([bias, *(b.node(w, x) for w, x in zip(row, a, strict=True))]))
                for bias, *row in layer
            ]
        losses += [b.node(b.node(out, b.node()), b.node()) for out in a]
    b.fold(losses)
    return b.graph()


def dense_network(*sizes: int) -> Graph:
    """Neurons only, every one connected to all of the next layer."""
    b = Builder()
    a = b.nodes(sizes[0])
    for size in sizes[1:]:
        a = [b.node(*a) for _ in range(size)]
    return b.graph()


def chain(length: int) -> Graph:
    b = Builder()
    x = b.node()
    for _ in range(length - 1):
        x = b.node(x)
    return b.graph()


def residual(blocks: int) -> Graph:
    """Two weighted layers beside a shortcut, many times."""
    b = Builder()
    x = b.node()
    for _ in range(blocks):
        inner = b.node(b.node(x, b.node()))
        x = b.node(b.node(b.node(inner, b.node()), x))
    return b.graph()


def recurrent(steps: int) -> Graph:
    """Weights that are used at every step, a loss that hears from every step."""
    b = Builder()
    w, u, bias, v = b.nodes(4)
    h, outs = b.node(), []
    for _ in range(steps):
        mixed = b.node(b.node(b.node(), w), b.node(h, u))
        h = b.node(b.node(mixed, bias))
        outs.append(b.node(b.node(b.node(h, v), b.node())))
    b.fold(outs)
    return b.graph()


def attention(heads: int) -> Graph:
    b = Builder()
    x = b.node()
    joined = []
    for _ in range(heads):
        query, key, value = (b.node(x, b.node()) for _ in range(3))
        scores = b.node(b.node(query, b.node(key)), b.node())
        joined.append(b.node(b.node(scores), value))
    mixed = b.node(b.node(b.node(*joined), b.node()), x)
    hidden = b.node(b.node(mixed, b.node()))
    b.node(b.node(b.node(hidden, b.node()), mixed))
    return b.graph()


def doublings(count: int) -> Graph:
    b = Builder()
    x = b.node()
    for _ in range(count):
        x = b.node(x, x)
    return b.graph()


def diamonds(count: int) -> Graph:
    b = Builder()
    x = b.node()
    for _ in range(count):
        x = b.node(b.node(x), b.node(x))
    return b.graph()


def fan(width: int) -> Graph:
    """One node used by many, and many used by one."""
    b = Builder()
    x = b.node()
    b.node(*(b.node(x, b.node()) for _ in range(width)))
    return b.graph()


def tree(depth: int) -> Graph:
    b = Builder()
    level = b.nodes(2**depth)
    while len(level) > 1:
        level = [b.node(*pair) for pair in zip(level[::2], level[1::2], strict=True)]
    return b.graph()


def random_graph(count: int, inputs: int, reach: int, seed: int) -> Graph:
    """Each node takes a few of the nodes that were made shortly before it."""
    rng = np.random.default_rng(seed)
    b = Builder()
    b.nodes(inputs)
    while b.count < count:
        near = np.arange(max(0, b.count - reach), b.count)
        b.node(*rng.choice(near, size=min(len(near), int(rng.integers(1, 4)))).tolist())
    return b.graph()


REFERENCE: dict[str, Callable[[], Graph]] = {
    "one neuron": lambda: scalar_network(2, 1),
    "tensor network, 3 layers": lambda: tensor_network(3),
    "tensor network, 30 layers": lambda: tensor_network(30),
    "scalar network 3-3-1": lambda: scalar_network(3, 3, 1),
    "scalar network 2-4-4-1": lambda: scalar_network(2, 4, 4, 1),
    "scalar network 2-2-1, 4 samples": lambda: scalar_network(2, 2, 1, samples=4),
    "scalar network 3-8-8-1": lambda: scalar_network(3, 8, 8, 1),
    "neurons 8-16-16-4": lambda: dense_network(8, 16, 16, 4),
    "residual, 4 blocks": lambda: residual(4),
    "residual, 40 blocks": lambda: residual(40),
    "recurrent, 6 steps": lambda: recurrent(6),
    "recurrent, 20 steps": lambda: recurrent(20),
    "attention, 4 heads": lambda: attention(4),
    "30 doublings": lambda: doublings(30),
    "diamonds": lambda: diamonds(25),
    "fan of 60": lambda: fan(60),
    "tree of 128 leaves": lambda: tree(7),
    "chain of 300": lambda: chain(300),
    "random, 150 nodes": lambda: random_graph(150, 8, 20, seed=1),
    "random, 500 nodes": lambda: random_graph(500, 20, 30, seed=2),
}
