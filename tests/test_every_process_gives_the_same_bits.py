"""One program, one result: neither hash seeds nor addresses decide in which order sums are made."""

import os
import random
import subprocess
import sys

PROGRAM = """
import contextlib, hashlib, io
import numpy as np
import tinygrad_bp as tg

digest = hashlib.sha256()
network = tg.NeuralNetwork([2, 3, 1], alpha=0.5, seed=3)
with contextlib.redirect_stdout(io.StringIO()):
    network.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], epochs=100)
for w in network.W:
    digest.update(w.tobytes())

def shared(p):
    terms = [p["w"] * 0.1 ** k + tg.tanh(p["b"] * k) for k in range(12)]
    total = sum(t * u for t in terms for u in terms[::3])
    return (total * p["w"] / 3).sum()

for g in tg.grad(shared)({"w": np.linspace(0.1, 0.7, 5), "b": np.linspace(-1, 1, 5)}).values():
    digest.update(g.tobytes())
print(digest.hexdigest())
"""


def test_twenty_processes_with_random_hash_seeds_agree_on_every_bit():
    digests = set()
    for _ in range(20):
        environment = os.environ | {"PYTHONHASHSEED": str(random.randrange(2**32))}
        command = [sys.executable, "-c", PROGRAM]
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        )
        digests.add(result.stdout)
    assert len(digests) == 1
