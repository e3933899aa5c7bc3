"""Cards and wires, rank by rank: every long edge becomes short segments through waypoints."""

from dataclasses import dataclass

import numpy as np

WAYPOINTS = 3  # at most, for each card and edge: what keeps the layout linear
WIRE = 3.0  # the height of a waypoint
BETWEEN, BESIDE_WIRE = 18.0, 7.0  # what cards and waypoints of one rank keep free around them


@dataclass(frozen=True)
class Layers:
    """Items (cards first, then waypoints) and the segments between items of adjacent ranks.

    Long edges from one card share a trunk of waypoints and leave it one rank before they arrive.
    """

    rank: np.ndarray  # of each item
    height: np.ndarray  # of each item
    space: np.ndarray  # that each item keeps free around it
    alone: np.ndarray  # tells of each item whether it has no input and one consumer
    origin: np.ndarray  # of each item: the card it is, or that its trunk comes from
    lower: np.ndarray  # of each segment: the item it starts from
    upper: np.ndarray  # the item one rank on
    source: np.ndarray  # of each edge
    target: np.ndarray
    trunk: np.ndarray  # the first waypoint of each edge's trunk, or -1
    last: np.ndarray  # the item from which each edge arrives at its target, or -1: a lane


def layers(
    rank: np.ndarray, heights: np.ndarray, source: np.ndarray, target: np.ndarray, own: np.ndarray
) -> Layers:
    """Lay waypoints along the edges, all of which go up in rank; ``own``: shares no trunk."""
    count, wires = len(rank), len(source)
    key = np.where(own, count + np.arange(wires), source)
    keys, trunk_of = np.unique(key, return_inverse=True)
    start = np.zeros(len(keys), np.int64)
    start[trunk_of] = rank[source]
    reach = start + 1
    by_end = np.argsort(rank[target], kind="stable")
    reach[trunk_of[by_end]] = rank[target][by_end]  # the last assignment is the farthest
    length = reach - start - 1
    length[~_affordable(length, WAYPOINTS * (count + wires))] = 0
    first = count + np.cumsum(length) - length
    step = np.arange(length.sum()) - np.repeat(first - count, length)
    tail = np.zeros(len(keys), np.int64)
    tail[trunk_of] = source
    span = rank[target] - rank[source]
    arrives = np.where(span == 1, source, first[trunk_of] + span - 2)
    arrives[(span > 1) & (length[trunk_of] == 0)] = -1
    waypoint = count + np.arange(length.sum())
    short = arrives >= 0
    before = np.where(step, waypoint - 1, np.repeat(tail, length))
    lower, upper = np.append(before, arrives[short]), np.append(waypoint, target[short])
    alone = np.bincount(lower, minlength=count + len(waypoint)) == 1
    alone[upper] = False
    return Layers(
        rank=np.append(rank, np.repeat(start, length) + 1 + step),
        height=np.append(heights, np.full(len(waypoint), WIRE)),
        space=np.repeat([BETWEEN, BESIDE_WIRE], [count, len(waypoint)]),
        alone=alone,
        origin=np.append(np.arange(count), np.repeat(tail, length)),
        lower=lower,
        upper=upper,
        source=source,
        target=target,
        trunk=np.where(length > 0, first, -1)[trunk_of],
        last=arrives,
    )


def _affordable(length: np.ndarray, budget: int) -> np.ndarray:
    """Tell which trunks, shortest first, can be had for so many waypoints in all."""
    order = np.argsort(length, kind="stable")
    affordable = np.empty(len(length), bool)
    affordable[order] = np.cumsum(length[order]) <= budget
    return affordable
