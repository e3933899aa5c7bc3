"""How fast the page opens and moves, and how large it is, in a real browser.

Run from the project root, after `pip install ".[test]"`, with Chromium installed:

    python -m benchmarks.page [--rounds 3]

For layered networks of 1,000, 10,000 and 100,000 scalar nodes, each with value, gradient and
local derivatives:

1. How large the file is; beyond the page of an empty picture, in bytes a node.
2. How long Python takes to write it, in processor time.
3. How long it takes from the start of the navigation until everything is painted, and until the
   browser has shown it (the page leaves a mark; the next frame follows).
4. How many frames a second it shows while it is dragged for two seconds: of everything, of dots, of
   names and of cards. A frame counts when the canvas was painted in it.

Medians over the rounds. Nothing else should run: the browser needs both processors. Leaves with
status 1 when a bar is missed.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import numpy as np

from tinygrad_bp.render.page import html
from tinygrad_bp.render.picture import Arrow, Card, Picture

SIZES = (1_000, 10_000, 100_000)
OPENING = {1_000: 1.0, 10_000: 1.0, 100_000: 3.0}  # seconds
FRAMES = 30.0  # a second
OWN_CODE, NODE = 100_000, 25.0  # bytes
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ZOOMS = {"everything": 0.0, "dots": 0.1, "names": 0.4, "cards": 1.0}  # scales; 0 is as it opens

DRAG = """
([seconds, scale]) => new Promise((done) => {
  const graph = document.getElementById("graph");
  const move = (x, y) => graph.dispatchEvent(new PointerEvent(
    "pointermove", { pointerId: 1, clientX: x, clientY: y, bubbles: true }));
  const [begin, painted] = [performance.now(), tinygrad.painted];
  const frame = (now) => {
    const t = (now - begin) / 1000;
    move(640 + 420 * Math.sin(3 * t), 400 + 220 * Math.sin(4.3 * t));
    if (t < seconds) requestAnimationFrame(frame);
    else done((tinygrad.painted - painted) / t);
  };
  requestAnimationFrame(frame);
})
"""


class Measured(NamedTuple):
    painted: float  # seconds
    shown: float
    frames: dict[str, float]  # a second


def layered(count: int) -> Picture:
    """Products and sums of neighbours in the layer before, with random numbers on every card."""
    rng, width = np.random.default_rng(0), max(10, int(count**0.5) // 2)
    cards, arrows = [], []
    numbers = rng.normal(size=(count, 4))
    for i in range(count):
        value, gradient = (f"{x:.4g}" for x in numbers[i, :2])
        leaf, op = i < width, ("multiply", "add")[i % 2]
        texts = ("scalar float64", f"value {value}", f"grad {gradient}")
        facts = ("shape", texts[0]), ("value", value), ("gradient", gradient)
        title, symbol = (f"x[{i}]", "") if leaf else (f"{op}#{i}", "×+"[i % 2])
        shade = float(np.log10(abs(numbers[i, 1])))
        kind: Any = "leaf" if leaf else "op"
        cards.append(Card(i, kind, title, symbol, texts, shade=shade, details=facts))
        for slot in range(2 * (not leaf)):
            near = (i + int(rng.integers(-3, 4))) % width
            source = (i // width - 1) * width + near
            arrows.append(Arrow(source, i, slot, f"{numbers[i, 2 + slot]:.4g}", rng.random()))
    return Picture(f"{count:,} nodes", tuple(cards), tuple(arrows), notes=(f"{count:,} nodes.",))


def measure(browser: Any, path: Path) -> Measured:
    """Open a page once in a fresh context, and drag it at every scale."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(path.as_uri())
    while not page.evaluate("'tinygrad' in window"):
        page.wait_for_timeout(20)
    painted, shown = page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done("
        "[performance.getEntriesByName('tinygrad-painted')[0].startTime, performance.now()]))))"
    )
    page.wait_for_timeout(300)
    page.mouse.move(640, 400)
    frames = {}
    for name, scale in ZOOMS.items():
        while page.evaluate("tinygrad.camera.scale") < scale:
            page.keyboard.press("+")
        page.wait_for_timeout(400)
        page.mouse.down()
        frames[name] = page.evaluate(DRAG, [2.0, scale])
        page.mouse.up()
    context.close()
    return Measured(painted / 1000, shown / 1000, frames)


def written(count: int, folder: Path) -> tuple[Path, int, float]:
    """Write a page; return it, its size and the seconds it took."""
    picture, path = layered(count), folder / f"{count}.html"
    begin = process_time()
    text = html(picture)
    seconds = process_time() - begin
    path.write_text(text, encoding="utf-8")
    return path, path.stat().st_size, seconds


def check(what: str, value: float, bar: float, least: bool = False) -> bool:
    """Print a number beside its bar; tell whether it is missed."""
    missed = value < bar if least else value > bar
    sign = "at least" if least else "at most"
    print(f"  {what:<44} {value:>10,.2f}   {sign} {bar:g}{'   MISSED' if missed else ''}")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    return run(parser.parse_args().rounds)


def run(rounds: int) -> int:
    """Measure all sizes and print them; return 1 if a bar is missed."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        program = None
    if program is None:
        print("the page: not measured; it needs Chromium and pip install '.[test]'")
        return 0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        print(f"Chromium {browser.version}, {os.cpu_count()} processors, median of {rounds}")
        _, empty, _ = written(0, Path(folder))
        missed = check("own code, bytes", empty, OWN_CODE)
        for count in SIZES:
            path, size, seconds = written(count, Path(folder))
            print(f"{count:,} nodes: {size:,} bytes, written in {seconds:.2f} s of processor time")
            runs = [measure(browser, path) for _ in range(rounds)]
            if count >= 10_000:
                missed |= check("bytes a node beyond that", (size - empty) / count, NODE)
            painted = median(run.painted for run in runs)
            missed |= check("seconds until all is painted", painted, OPENING[count])
            shown = median(run.shown for run in runs)
            missed |= check("seconds until that is shown", shown, OPENING[count])
            for name in ZOOMS:
                speed = median(run.frames[name] for run in runs)
                missed |= check(f"frames a second, dragging {name}", speed, FRAMES, least=True)
        browser.close()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
