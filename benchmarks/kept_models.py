"""What a kept model stands: 200 kills while it is trained, and more than 10,000 hostile files.

python -m benchmarks.kept_models          # KILLS and MUTANTS change the numbers
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SLOWEST = 0.050  # seconds for a file


def found(program: str, count: str) -> dict:
    """Run a program of the tests in an empty folder, and return what it prints."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, ROOT / "tests" / program, folder, count]
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        raise SystemExit(f"{program}: {result.stderr}")
    return json.loads(result.stdout)


def main() -> int:
    """Print both results; return 1 if a file took too long."""
    killed = found("killed_training.py", os.environ.get("KILLS", "200"))
    stages = len(killed["epochs"])
    print(f"killed {killed['killed']} times, at {stages} different epochs: never a bad file,")
    print("and every resumed run ended with the bytes of the uninterrupted one")
    files = found("hostile_files.py", os.environ.get("MUTANTS", "1200"))
    for kind, count in files["counts"].items():
        print(f"{kind:>10}: {count:6} files, {files['accepted'][kind]:4} of them whole models")
    print(f"slowest: {1000 * files['slowest']:.1f} ms (bar: {1000 * SLOWEST:.0f})")
    return int(files["slowest"] > SLOWEST)


if __name__ == "__main__":
    sys.exit(main())
