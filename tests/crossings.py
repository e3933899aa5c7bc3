"""Count where the curves of a drawing cross, the same way for every program that made one."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PARTS = np.linspace(0, 1, 8)[1:, None]  # an odd number of pieces: symmetric curves meet between
TOUCH = 1e-6  # curves that only touch, such as those that leave one card together, do not cross


class Drawn(NamedTuple):
    routes: list[np.ndarray]  # of each edge: a start and three control points for each Bézier
    area: float


def dot(count: int, edges: np.ndarray, width: float, height: float) -> Drawn:
    """Let Graphviz lay out cards of one size, from left to right."""
    size = f"shape=box,fixedsize=true,width={width / 72},height={height / 72}"
    lines = [f"{i};" for i in range(count)] + [f"{a}->{b};" for a, b in edges.tolist()]
    text = f'digraph{{rankdir=LR;node[{size},label=""];{"".join(lines)}}}'
    command = [shutil.which("dot") or "dot", "-Tjson"]
    made = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    found = json.loads(made.stdout)
    left, bottom, right, top = map(float, found["bb"].split(","))
    routes = [points(edge["pos"]) for edge in found.get("edges", [])]
    return Drawn(routes, (right - left) * (top - bottom))


def points(position: str) -> np.ndarray:
    """Read the spline of an edge; `e,x,y` and `s,x,y` are the tips of arrowheads."""
    pairs = [pair for pair in position.split() if pair[0] not in "es"]
    return np.array([[float(x) for x in pair.split(",")] for pair in pairs])


def sampled(route: np.ndarray) -> np.ndarray:
    """Return points along a chain of Béziers."""
    a, b, c, d = (route[i : len(route) - 3 + i : 3][:, None] for i in range(4))
    t, s = PARTS, 1 - PARTS
    curve = s**3 * a + 3 * s * s * t * b + 3 * s * t * t * c + t**3 * d
    return np.concatenate([route[:1], curve.reshape(-1, 2)])


def crossings(routes: Sequence[np.ndarray]) -> int:
    """Count the crossings of different routes."""
    lines = [sampled(route) for route in routes]
    if not lines:
        return 0
    begin = np.concatenate([line[:-1] for line in lines])
    end = np.concatenate([line[1:] for line in lines])
    route = np.repeat(np.arange(len(lines)), [len(line) - 1 for line in lines])
    moves = np.abs(end - begin).max(axis=1) > TOUCH
    order = np.argsort(np.minimum(begin, end)[:, 0], kind="stable")
    order = order[moves[order]]
    begin, end, route = begin[order], end[order], route[order]
    low, high = np.minimum(begin, end), np.maximum(begin, end)
    until = np.searchsorted(low[:, 0], high[:, 0], side="right")
    total = 0
    for i, stop in enumerate(until):
        near = slice(i + 1, stop)
        meets = (high[near, 1] >= low[i, 1]) & (low[near, 1] <= high[i, 1])
        others = np.flatnonzero(meets & (route[near] != route[i])) + i + 1
        total += int(_cross(begin[i], end[i], begin[others], end[others]).sum())
    return total


def _cross(p: np.ndarray, q: np.ndarray, others_p: np.ndarray, others_q: np.ndarray) -> np.ndarray:
    """Tell which straight pieces lie on both sides of p-q, and p-q on both sides of them."""
    step, steps = q - p, others_q - others_p
    sides = (
        _side(step, others_p - p) * _side(step, others_q - p),
        _side(steps, p - others_p) * _side(steps, q - others_p),
    )
    return (sides[0] < 0) & (sides[1] < 0)


def _side(step: np.ndarray, point: np.ndarray) -> np.ndarray:
    turn = step[..., 0] * point[..., 1] - step[..., 1] * point[..., 0]
    return np.where(np.abs(turn) < TOUCH, 0, np.sign(turn))
