"""Races beside the peers. Whoever runs here runs on one core, and so does every pool of threads."""

import os

_THREADS = int(os.environ.setdefault("BENCH_THREADS", "1"))
for _pool in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM"):
    os.environ[f"{_pool}_NUM_THREADS"] = str(_THREADS)  # read once, while NumPy is imported
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-_THREADS:])
