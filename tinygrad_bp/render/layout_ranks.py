"""Which column a card stands in: inputs left of their consumers, no edge longer than it must be."""

import numpy as np


def topological(count: int, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Number nodes so that edges go up; in a cycle, which folding may leave, one edge goes down.

    >>> topological(3, np.array([2, 1]), np.array([1, 0])).tolist()
    [2, 1, 0]
    """
    if (source < target).all():
        return np.arange(count)
    by_source = np.argsort(source, kind="stable")
    first = np.searchsorted(source[by_source], np.arange(count + 1)).tolist()
    consumers = target[by_source].tolist()
    waiting = np.bincount(target, minlength=count).tolist()
    placed, position = [False] * count, np.empty(count, np.int64)
    order: list[int] = []
    for start in range(count + 1):  # after the nodes without inputs: whatever a cycle holds back
        ready = [v for v in range(count) if not waiting[v]] if start == 0 else [start - 1]
        while ready:
            node = ready.pop()
            if placed[node]:
                continue
            placed[node] = True
            order.append(node)
            for consumer in consumers[first[node] : first[node + 1]]:
                waiting[consumer] -= 1
                if waiting[consumer] == 0:
                    ready.append(consumer)
    position[order] = np.arange(count)
    return position


def ranks(count: int, source: np.ndarray, target: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Rank nodes by their longest path, then pull loose ones next to their first consumer.

    A node is loose when moving it right, with all that hangs on it alone, stretches no more edges
    than it shortens: leaves always are. Edges must go up in `number`.

    >>> ranks(4, np.array([0, 2, 1]), np.array([2, 3, 3]), np.arange(4)).tolist()
    [0, 1, 1, 2]
    """
    by_number = np.argsort(number[source], kind="stable")
    sources, targets = source[by_number].tolist(), target[by_number].tolist()
    outgoing = np.bincount(source, minlength=count)
    follows = (outgoing == 1).tolist()
    rank, drag = [0] * count, [0] * count  # drag: edges that stretch when the node moves right
    for u, v in zip(sources, targets, strict=True):
        if rank[u] >= rank[v]:
            rank[v] = rank[u] + 1
        drag[v] += min(drag[u], 1) if follows[u] else 1
    shared = (np.bincount(target, minlength=count) == 0) & (outgoing > 1)
    leaves = np.bincount(target[shared[source]], minlength=count)
    loose = (outgoing > 0) & (np.array(drag, np.int64) - leaves <= outgoing)
    return np.array(_pulled(rank, loose, sources, targets), np.int64)


def _pulled(
    rank: list[int], loose: np.ndarray, sources: list[int], targets: list[int]
) -> list[int]:
    """Move every loose node to the rank before its first consumer, last nodes first."""
    far = max(rank, default=0) + 1
    settled = np.where(loose, far, rank).tolist()
    is_loose = loose.tolist()
    for u, v in zip(reversed(sources), reversed(targets), strict=True):
        if is_loose[u] and settled[v] <= settled[u]:
            settled[u] = settled[v] - 1
    return settled
