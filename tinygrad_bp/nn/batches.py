"""From samples to batches: a new order for every epoch, and what the layers draw for each batch."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tinygrad_bp.nn.initializers import Shape

if TYPE_CHECKING:
    from tinygrad_bp.nn.run import Run

CHUNK = 1 << 20  # bytes of batches that are prepared at once; between them Ctrl-C is heard


class Chunk(NamedTuple):
    """A few batches: inputs, targets, weights, rates, and what layers draw, one row of each."""

    first: int
    arrays: list[np.ndarray]


def chunks(run: "Run", generator: np.random.Generator, rates: np.ndarray) -> Iterator[Chunk]:
    """Yield the batches of an epoch, in an order and with drawings from the generator.

    The last batch is filled up with samples of weight 0: all batches are alike, and it counts as if
    it were short.
    """
    n, batch = len(run.samples.inputs), run.batch
    order = generator.permutation(n) if run.plan.shuffle else np.arange(n)
    order = np.resize(order, run.batches * batch)
    drawing = drawing_layers(run)
    size = batch * sum(a[0].nbytes for a in run.samples) + sum(
        8 * batch * int(np.prod(shape)) for _, shape in drawing
    )
    step = max(1, CHUNK // size)
    for first in range(0, run.batches, step):
        last = min(first + step, run.batches)
        rows = order[first * batch : last * batch]
        arrays = [a[rows].reshape(last - first, batch, *a.shape[1:]) for a in run.samples]
        if last == run.batches:
            arrays[2].reshape(-1)[n - first * batch :] = 0
        drawn = _draw(run, generator, drawing, last - first)
        yield Chunk(first, [*arrays, rates[first:last], *drawn])


def drawing_layers(run: "Run") -> list[tuple[int, Shape]]:
    """List the numbers of the layers that draw, and the shapes of the samples that they get."""
    found, shape, probe = [], run.samples.inputs.shape[1:], np.random.default_rng(0)
    for i, layer in enumerate(run.model.layers):
        if layer.draw(probe, (1, *shape)) is not None:
            found.append((i, shape))
        shape = layer.output_shape(shape)
    return found


def _draw(
    run: "Run", generator: np.random.Generator, drawing: Sequence[tuple[int, Shape]], count: int
) -> list[np.ndarray]:
    """Draw for all layers, batch after batch, so that the size of chunks changes nothing."""
    layers = [(run.model.layers[i], (run.batch, *shape)) for i, shape in drawing]
    drawn = [np.empty((count, *shape), run.samples.inputs.dtype) for _, shape in layers]
    for row in range(count):
        for (layer, shape), array in zip(layers, drawn, strict=True):
            array[row] = layer.draw(generator, shape)
    return drawn
