"""Training that is killed at random instants, again and again, until it is done.

Run as a program it prints, as JSON, how often it was killed and whether the file was ever bad.
The process imports everything once and forks itself, so that a trial takes milliseconds.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

import tinygrad_bp as tg
from tinygrad_bp.nn import Adam, Cosine, Dense, Dropout, EarlyStopping, Sequential

EPOCHS = 30
X = np.random.default_rng(0).normal(size=(60, 5))
Y = np.tanh(X[:, :2])


def train(path, epochs=EPOCHS):
    """Train with everything that is random about training, and save the result."""
    layers = [Dense(8, "tanh"), Dropout(0.2), Dense(2)]
    model = Sequential(layers, optimizer=Adam(Cosine(0.02, EPOCHS), clip_norm=1.0), seed=1)
    model.fit(
        X, Y, epochs, batch_size=16, validation_data=(X[:9], Y[:9]), engine="numpy",
        callbacks=[EarlyStopping(patience=EPOCHS)], checkpoint=path, resume=True,
    )  # fmt: skip
    tg.save(model, f"{path}.result")


def fork(path):
    """Train in another process."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            train(path)
            status = 0
        finally:
            os._exit(status)
    return child


def main(folder, kills):
    reference, path = folder / "reference", folder / "killed"
    train(reference)
    start = time.perf_counter()
    os.waitpid(fork(folder / "timed"), 0)
    duration = time.perf_counter() - start
    chance, killed, epochs = random.Random(0), 0, []
    while killed < kills:
        path.unlink(missing_ok=True)
        while True:
            child = fork(path)
            time.sleep(chance.uniform(0, duration / 2))
            os.kill(child, signal.SIGKILL)
            if os.waitpid(child, 0)[1] != signal.SIGKILL:
                break  # it was done before
            killed += 1
            if path.exists():
                tg.load(path)  # whole, whenever it was
                epochs.append(tg.load(path).state.epochs)
        for suffix in ("", ".result"):
            content = Path(f"{path}{suffix}").read_bytes()
            assert content == Path(f"{reference}{suffix}").read_bytes(), "another result"
    left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    print(json.dumps({"killed": killed, "epochs": sorted(set(epochs)), "left": left}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
