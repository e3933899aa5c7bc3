"""How fast, how clear and how small pictures are, beside the peers.

Run from the project root, after `pip install ".[bench]"`, with Graphviz and Node.js at hand:

    python -m benchmarks.render [--rounds 5]

Four questions, one run, everything but the browser on one thread:

1. How long a layout takes, for 1,000, 10,000 and 100,000 nodes of five kinds of networks.
2. How often edges cross, and how large the picture is, beside `dot` on the reference graphs of the
   tests; every program's curves are counted by the same code.
3. How long it takes from a graph of 1,000 nodes to SVG, and how large that is, beside torchviz,
   micrograd's drawing and Graphviz; and how long only the layout takes in dagre.
4. How fast the page opens and moves in a browser: what `python -m benchmarks.page` prints.

Times are processor time, of a program and those that it starts, so that a busy machine changes
them little; each is the median over the rounds, in which all take turns. A peer that is missing is
said to be missing. Leaves with status 1 when a bar is missed.
"""

import os

for library in ("OMP", "OPENBLAS", "MKL"):  # read once, while NumPy is imported
    os.environ[f"{library}_NUM_THREADS"] = "1"

import argparse
import gc
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import numpy as np

from benchmarks import page
from tests.crossings import crossings, dot
from tests.reference_graphs import (
    REFERENCE,
    Graph,
    chain,
    dense_network,
    recurrent,
    residual,
    scalar_network,
)
from tinygrad_bp.render.layout import layout
from tinygrad_bp.render.picture import Arrow, Card, Picture
from tinygrad_bp.render.svg import svg

WIDTH, HEIGHT = 110.0, 54.0  # of a card
BARS = {1_000: 0.05, 10_000: 0.3, 100_000: 2.0}  # seconds
SHAPES: dict[str, Callable[[int], Graph]] = {
    "chain": chain,
    "residual": lambda size: residual(size // 7),
    "recurrent": lambda size: recurrent(size // 11),
    "network of scalars": lambda size: scalar_network(*[int((size / 9) ** 0.5)] * 4, 1),
    "layers of 10 neurons": lambda size: dense_network(*[10] * (size // 10)),
}
CROSSINGS_BAR, BYTES_BAR = 1.5, 350
PATIENCE = 120  # seconds of a peer


class MissingError(Exception):
    """A peer that is not there, and how to get it."""


def seconds(run: Callable[[], Any]) -> float:
    """Processor time of this process and of those that it waits for."""
    gc.collect()
    before = process_time(), *os.times()[2:4]
    run()
    after = process_time(), *os.times()[2:4]
    return sum(after) - sum(before)


def judge(measured: float, bar: float, unit: str = "") -> tuple[bool, str]:
    held = measured <= bar
    return held, f"≤ {bar:g}{unit}  {'holds' if held else 'MISSED'}"


# ------------------------------------------------------------------ layout


def lay_out(graph: Graph) -> Any:
    count, edges = graph
    return layout(np.full(count, WIDTH), np.full(count, HEIGHT), edges)


def compare_sizes(rounds: int) -> bool:
    print(f"\nLayout\n{'':26}{'nodes':>10}{'edges':>10}{'seconds':>10}{'bar':>20}")
    all_held = True
    for size, bar in BARS.items():
        for name, make in SHAPES.items():
            graph = make(size)
            lay_out(graph)
            spent = median(seconds(lambda graph=graph: lay_out(graph)) for _ in range(rounds))
            held, text = judge(spent, bar, " s")
            all_held &= held
            print(f"  {name:24}{graph[0]:10,}{len(graph[1]):10,}{spent:10.4f}{text:>20}")
    return all_held


def compare_clarity() -> bool:
    """Beside `dot`: crossings of the whole ways of all edges, and of what is drawn."""
    print("\nCrossings, and area, beside dot (shared trunks of edges: counted for each edge)")
    if shutil.which("dot") is None:
        print("  dot is missing: install Graphviz")
        return True
    print(f"{'':36}{'ours':>8}{'drawn':>8}{'dot':>8}{'ours / dot':>12}{'area':>8}")
    worst, areas = 0.0, []
    for name, make in REFERENCE.items():
        count, edges = make()
        made, theirs = lay_out((count, edges)), dot(count, edges, WIDTH, HEIGHT)
        ours = crossings([made.route(i) for i in range(len(edges))])
        parts = zip(made.starts[:-1], made.starts[1:], strict=True)
        drawn = crossings([made.points[a:b] for a, b in parts])
        other = crossings(theirs.routes)
        ratio = ours / other if other else float(ours > 0) * np.inf
        worst = max(worst, ratio)
        areas.append(made.width * made.height / theirs.area)
        shown = f"{ratio:.2f}×" if ours or other else "none"
        print(f"  {name:34}{ours:8,}{drawn:8,}{other:8,}{shown:>12}{areas[-1]:7.2f}×")
    held, text = judge(worst, CROSSINGS_BAR, "×")
    print(f"  worst {worst:.2f}×, {text}; median area {median(areas):.2f}×, most {max(areas):.2f}×")
    return held


# ------------------------------------------------------------------ from a graph to SVG
# Each contestant prepares a graph of its own kind with the same nodes and edges, sums of inputs,
# then returns a function that makes a complete SVG of it.


class Contestant(NamedTuple):
    name: str
    prepare: Callable[[Graph], Callable[[], str]]


def inputs_of(graph: Graph) -> list[list[int]]:
    inputs: list[list[int]] = [[] for _ in range(graph[0])]
    for source, target in graph[1].tolist():
        inputs[target].append(source)
    return inputs


def draw_ours(graph: Graph) -> Callable[[], str]:
    """Cards with the same texts as micrograd's: name, value and gradient."""
    cards = tuple(
        Card(i, "op" if x else "leaf", f"add#{i}" if x else f"w{i}", symbol="+" if x else "",
             lines=("value 0.5000", "grad 0.2500"), shade=0.1)
        for i, x in enumerate(inputs_of(graph))
    )  # fmt: skip
    arrows = tuple(Arrow(a, b, 0, "1", 1.0) for a, b in graph[1].tolist())
    picture = Picture("network", cards, arrows)
    return lambda: svg(picture)


def run_dot(text: str) -> str:
    command = [shutil.which("dot") or "dot", "-Tsvg"]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    return done.stdout


def need_dot() -> None:
    if shutil.which("dot") is None:
        raise MissingError("dot is missing: install Graphviz")


def draw_dot_only(graph: Graph) -> Callable[[], str]:
    """The least that Graphviz can be asked for: one box with a name for each node."""
    need_dot()
    nodes = [f'{i}[label="add#{i}"]' for i in range(graph[0])]
    edges = [f"{a}->{b}" for a, b in graph[1].tolist()]
    text = f"digraph{{rankdir=LR;node[shape=box]{';'.join([*nodes, *edges])}}}"
    return lambda: run_dot(text)


def draw_micrograd(graph: Graph) -> Callable[[], str]:
    """As in micrograd's notebook: a record for each value, a circle for each operation."""
    need_dot()
    from micrograd.engine import Value

    values: list[Any] = []
    for inputs in inputs_of(graph):
        total = values[inputs[0]] + 0.0 if inputs else Value(0.5)
        for x in inputs[1:]:
            total = total + values[x]
        values.append(total)

    def draw() -> str:
        lines, seen, stack = [], set(), [values[-1]]
        while stack:  # the notebook recurses here, and fails on long chains
            value = stack.pop()
            if value in seen:
                continue
            seen.add(value)
            name = id(value)
            record = f"{{ data {value.data:.4f} | grad {value.grad:.4f} }}"
            lines.append(f'{name}[label="{record}" shape=record]')
            if value._op:
                lines.append(f'{name}1[label="{value._op}"];{name}1->{name}')
            for child in value._prev:
                lines.append(f"{id(child)}->{name}1")
                stack.append(child)
        return run_dot(f"digraph{{rankdir=LR;{';'.join(lines)}}}")

    return draw


def draw_torchviz(graph: Graph) -> Callable[[], str]:
    need_dot()
    import torch
    from torchviz import make_dot

    values: list[Any] = []
    for inputs in inputs_of(graph):
        total = values[inputs[0]] * 1.0 if inputs else torch.tensor(0.5, requires_grad=True)
        for x in inputs[1:]:
            total = total + values[x]
        values.append(total)
    return lambda: run_dot(make_dot(values[-1]).source)


CONTESTANTS = (
    Contestant("tinygrad_bp", draw_ours),
    Contestant("Graphviz, names only", draw_dot_only),
    Contestant("micrograd's drawing", draw_micrograd),
    Contestant("torchviz", draw_torchviz),
)


def compare_svg(rounds: int) -> bool:
    all_held = True
    for name in ("chain", "residual", "network of scalars"):
        graph = SHAPES[name](1_000)
        print(f"\nSVG: {name}, {graph[0]:,} nodes, {len(graph[1]):,} edges")
        print(f"{'':26}{'seconds':>10}{'bytes / node':>14}{'time, theirs / ours':>22}")
        ours = None
        for contestant in CONTESTANTS:
            try:
                run = contestant.prepare(graph)
                size = len(run().encode()) / graph[0]
                spent = median(seconds(run) for _ in range(rounds))
            except (MissingError, ModuleNotFoundError) as error:
                print(f"  {contestant.name:24}  missing: {error}")
                continue
            except (RecursionError, subprocess.SubprocessError) as error:
                print(f"  {contestant.name:24}  fails: {type(error).__name__}")
                continue
            line = f"  {contestant.name:24}{spent:10.3f}{size:14.0f}"
            if ours is None:
                ours = spent
                held, text = judge(size, BYTES_BAR, " bytes")
                all_held &= held
                print(f"{line}{text:>22}")
            else:
                print(f"{line}{spent / ours:21.1f}×")
    return all_held


# ------------------------------------------------------------------ dagre

DAGRE = """
const dagre = require("@dagrejs/dagre");
const {count, edges} = JSON.parse(require("fs").readFileSync(0, "utf8"));
const g = new dagre.graphlib.Graph({multigraph: true});
g.setGraph({rankdir: "LR"});
g.setDefaultEdgeLabel(() => ({}));
for (let i = 0; i < count; i++) g.setNode(i, {width: 110, height: 54});
edges.forEach(([a, b], i) => g.setEdge(a, b, {}, String(i)));
const start = process.cpuUsage();
dagre.layout(g);
const spent = process.cpuUsage(start);
console.log((spent.user + spent.system) / 1e6);
"""


def install_dagre(folder: str) -> str:
    """Fetch dagre with npm; return its version."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise MissingError("Node.js is missing: https://nodejs.org")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "@dagrejs/dagre"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
    except subprocess.SubprocessError as error:
        raise MissingError(f"npm could not fetch it ({type(error).__name__})") from error
    about = Path(folder, "node_modules", "@dagrejs", "dagre", "package.json")
    return str(json.loads(about.read_text())["version"])


def compare_dagre(rounds: int) -> None:
    print(
        f"\nLayout only, beside dagre\n{'':26}{'ours, s':>10}{'dagre, s':>10}{'theirs / ours':>16}"
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            print(f"  dagre {install_dagre(folder)}")
        except MissingError as error:
            print(f"  dagre is missing: {error}")
            return
        Path(folder, "run.js").write_text(DAGRE)
        for name in ("chain", "residual", "network of scalars"):
            graph = SHAPES[name](1_000)
            ours = median(seconds(lambda graph=graph: lay_out(graph)) for _ in range(rounds))
            job = json.dumps({"count": graph[0], "edges": graph[1].tolist()})
            command = ["node", "--stack-size=20000", "run.js"]
            try:
                done = subprocess.run(
                    command, input=job, cwd=folder, capture_output=True, text=True, check=True,
                    timeout=PATIENCE,
                )  # fmt: skip
            except subprocess.SubprocessError as error:
                print(f"  {name:24}{ours:10.4f}  fails: {type(error).__name__}")
                continue
            theirs = float(done.stdout)
            print(f"  {name:24}{ours:10.4f}{theirs:10.3f}{theirs / ours:15.0f}×")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    machine = f"Python {platform.python_version()}, NumPy {version('numpy')}, {platform.machine()}"
    print(f"{machine}, one thread, {rounds} rounds")
    held = [compare_sizes(rounds), compare_clarity(), compare_svg(rounds)]
    compare_dagre(rounds)
    print("\nThe page, in a browser")
    held.append(page.run(min(rounds, 3)) == 0)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
