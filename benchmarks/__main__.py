"""The scoreboard: everything side by side, written to benchmarks/RESULTS.md and scaling.svg.

python -m benchmarks          # BENCH_ROUNDS=3 for a quick look, BENCH_THREADS for more cores
"""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = ("numpy", "llvmlite", "jax", "torch", "micrograd")


def machine() -> str:
    """Name the processor and the versions that were raced."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    found.append(f"NumPy's products by {blas()}")
    return f"{model}, {os.environ.get('BENCH_THREADS', '1')} core. {', '.join(found)}."


def blas() -> str:
    """Name the library behind NumPy's products, and which of its kernels it chose."""
    import numpy  # noqa: F401 (loads the library)

    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "an unknown library"
    loaded = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(f"{p['internal_api']} ({p.get('architecture')})" for p in loaded)


def main() -> int:
    """Run every benchmark in a process of its own and collect what they print."""
    parts = [
        "# Results\n\n`python -m benchmarks` wrote this page. Programs took turns on one core. "
        "Times are processor time, so that other programs on the machine do not count: medians "
        "over the rounds, and ratios are medians of the ratios within a round.\n\n" + machine()
    ]
    status = 0
    for name, *options in (
        ["training"], ["minibatch"], ["scalar"], ["engines"], ["memory"],
        ["scaling", str(HERE / "scaling.svg")],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *options],
            stdout=subprocess.PIPE, text=True, cwd=HERE.parent,
        )  # fmt: skip
        print(done.stdout)
        parts.append(done.stdout.strip())
        status |= done.returncode | ("**missed**" in done.stdout)
    parts.append("![time per step against width, depth and batch](scaling.svg)")
    (HERE / "RESULTS.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
