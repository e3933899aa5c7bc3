"""Files that no model ever wrote: cut off, with a bit turned, and built by grammar to do harm.

Run as a program it reads thousands of them in little memory, and prints what came of it as JSON.
"""

import copy
import hashlib
import json
import os
import random
import sys
import time
from pathlib import Path

import numpy as np

import tinygrad_bp as tg
from tinygrad_bp.keeping import pack
from tinygrad_bp.nn.scaling import Scaling
from tinygrad_bp.store.container import BLANK, DIGEST, load_arrays
from tinygrad_bp.tables.encoding import Column
from tinygrad_bp.tables.model import TableModel

MEMORY = 512 << 20
NUMBERS = (
    *(
        0,
        1,
        -1,
        2,
        3,
        7,
        2**31,
        2**32,
        2**47,
        2**48,
        2**63,
        2**64,
        -(2**63),
        10**30,
        10**400,
        10**4299,
    ),
    *(0.5, 1e308, -0.0, 1e-320, True, False, None),
)
TEXTS = (
    *("", "F64", "F32", "BF16", "../x", "/etc/passwd", "a\0b", "x" * 100_000, "\u202e", "\ud800"),
    *("os.system", "__import__", "Dense", "Sequential", "NeuralNetwork", "adam", "1", "F64 "),
)


def models():
    """Yield small models of every kind that a file can hold."""
    nn = tg.nn
    yield tg.NeuralNetwork([1, 1], seed=0)
    X = np.linspace(0, 1, 4)[:, None]
    flat = nn.Sequential([nn.Dense(1, "tanh")], optimizer=nn.SGD(nn.Cosine(0.1, 5)), seed=0)
    flat.fit(X, X, epochs=1)
    yield flat
    layers = [nn.Conv2D(1, 2), nn.MaxPool2D(1), nn.Flatten(), nn.LayerNorm(), nn.Dropout(0.5)]
    image = nn.Sequential([*layers, nn.Dense(2)], loss="categorical_cross_entropy", seed=0)
    image.fit(np.ones((2, 1, 2, 2), np.float32), [0, 1], epochs=1)
    yield image
    columns = [Column("a", None, 0.5), Column("b", ("", "x"))]
    network = nn.Sequential([nn.Dense(2)], optimizer="sgd", seed=0).build((3,))
    target = Column("y", ("no", "yes"))
    yield TableModel(columns, target, Scaling.none(3), Scaling.none(2), network)


def seal(header, data):
    """Return a file with the right lengths and the right digest, whatever is in it."""
    header += b" " * (-len(header) % 8)
    if header[DIGEST] == BLANK:
        digest = hashlib.sha256(header + data).hexdigest().encode()
        header = header[: DIGEST.start] + digest + header[DIGEST.stop :]
    return len(header).to_bytes(8, "little") + header + data


def split(content):
    """Return the header, without the digest, as JSON, and the data of a good file."""
    end = 8 + int.from_bytes(content[:8], "little")
    tree = json.loads(content[8:end])
    tree["__metadata__"]["content_sha256"] = BLANK.decode()
    return tree, content[end:]


def dump(tree):
    return json.dumps(tree, separators=(",", ":")).encode()


def truncated(content):
    """Cut a file off at every byte."""
    return (content[:i] for i in range(len(content)))


def flipped(content):
    """Turn every single bit of a file."""
    for i in range(len(content)):
        for bit in range(8):
            yield content[:i] + bytes([content[i] ^ 1 << bit]) + content[i + 1 :]


def bombs(content):
    """List what is built by hand: lengths, depths, holes, overlaps, what is there twice."""
    tree, data = split(content)
    head = dump(tree)[:-1]  # without the closing brace
    for length in (0, 1, 8, 2**20, 2**20 + 1, 2**24, 2**31, 2**32, 2**63, 2**64 - 1):
        yield length.to_bytes(8, "little") + content[8:]
        yield length.to_bytes(8, "little")
    for middle in (
        b"[" * 900_000, b'{"a":' * 100_000, b"[" * 400 + b"]" * 400, b"[],[]," * 100_000,
        b"1" * 500_000, b"1e999", b"NaN", b"-Infinity", b'"\\ud800"', b"", b"null", b"0.1",
    ):  # fmt: skip
        yield seal(head + b',"w":' + middle + b"}", data)
        yield seal(head + b',"w":{"data_offsets":' + middle + b',"dtype":"F64","shape":[]}}', data)
        nested = copy.deepcopy(tree)
        nested["__metadata__"]["model"] = middle.decode()
        yield seal(dump(nested), data)
    name, entry = next((k, v) for k, v in tree.items() if k != "__metadata__")
    yield seal(head + b"," + dump({name: entry})[1:], data)
    yield seal(head + b"," + dump({"__metadata__": tree["__metadata__"]})[1:], data)
    for shape in ([0, 2**47], [0] * 33, [2**24, 2**24], [0, 2**47, 2**47, 2**47], [1] * 32):
        empty = {"data_offsets": [len(data), len(data)], "dtype": "F64", "shape": shape}
        yield seal(dump(tree | {"~": empty}), data)
    for first, last in ((1, 8), (0, 7), (8, 0), (0, 2**40), (2**40, 2**40 + 8), (-8, 0)):
        moved = copy.deepcopy(tree)
        moved[name]["data_offsets"] = [first, last]
        yield seal(dump(moved), data)
    for wrong in (data[:-1], data + b"\0", data + content, b"", data[8:], data * 2):
        yield seal(dump(tree), wrong)
    for spelled in (dump(tree).replace(b",", b", ", 5), b" " + dump(tree), dump(tree) + b" " * 8):
        yield seal(spelled, data)
    yield from (b"", b"\0" * 8, b"\xff" * 64, b"PK\x03\x04" + content, b"\x80\x04" + content)


def grown(content, count, seed):
    """Grow mutants of the header and of the description in it, each with the right digest."""
    chance = random.Random(seed)
    for _ in range(count):
        tree, data = split(content)
        description = json.loads(tree["__metadata__"]["model"])
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            mutate(description if chance.random() < 0.7 else tree, chance)
        if isinstance(tree.get("__metadata__"), dict) and chance.random() < 0.95:
            tree["__metadata__"]["model"] = dump(description).decode()
        yield seal(dump(tree), data)


def mutate(tree, chance):
    """Change, add or remove one thing somewhere in a tree of JSON."""
    places = [tree]
    for place in places:
        values = place.values() if isinstance(place, dict) else place
        places += [value for value in values if isinstance(value, dict | list)]
    place = chance.choice(places)
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    junk = chance.choice((*NUMBERS, *TEXTS, [], {}, [1], {"kind": "Dense"}, [[]] * 50, [9] * 40))
    action = chance.random()
    if not keys or action < 0.1:
        if isinstance(place, dict):
            place[chance.choice(TEXTS[:10])] = junk
        else:
            place.append(junk)
    elif action < 0.2:
        del place[chance.choice(keys)]
    elif action < 0.3:
        place[chance.choice(keys)] = copy.deepcopy(place[chance.choice(keys)])
    elif action < 0.4 and type(place[key := chance.choice(keys)]) is int:
        place[key] += chance.choice((-1, 1, 8))
    else:
        place[chance.choice(keys)] = junk


def corpus(folder, mutants):
    """Yield (what it is, content) for all files."""
    for i, model in enumerate(models()):
        tg.save(model, folder / "good")
        content = (folder / "good").read_bytes()
        kinds = {"truncated": truncated(content), "bomb": bombs(content)}
        if i == 0:
            kinds["flipped"] = flipped(content)
        kinds["grown"] = grown(content, mutants, seed=i)
        for kind, files in kinds.items():
            for file in files:
                yield kind, file


def read(path):
    """Read a file: return the text of the error, or None for a model that is saved alike."""
    try:
        model = tg.load(path)
    except tg.StoreError as error:
        refusal = error
    else:
        check_the_same_is_saved(model, path)
        return None
    text = str(refusal)
    assert type(refusal) is tg.StoreError
    assert str(path) in text, text
    assert "; expected " in text, text
    assert len(text) < 2000, len(text)
    return text


def check_the_same_is_saved(model, path):
    """Hold what was accepted against what would be saved of it."""
    (arrays, description), (again, twin) = load_arrays(path), pack(model)
    assert description == twin, (description, twin)
    assert arrays.keys() == again.keys()
    assert all(np.array_equal(arrays[k], again[k], equal_nan=True) for k in arrays)


def main(folder, mutants):
    import resource  # Windows has none

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts, accepted, slowest = {}, {}, 0.0
    for kind, content in corpus(folder, mutants):
        (folder / "hostile").unlink(missing_ok=True)  # some disks wait for a file that is rewritten
        (folder / "hostile").write_bytes(content)
        start = time.perf_counter()
        text = read(folder / "hostile")
        slowest = max(slowest, time.perf_counter() - start)
        counts[kind] = counts.get(kind, 0) + 1
        accepted[kind] = accepted.get(kind, 0) + (text is None)
    print(json.dumps({"counts": counts, "accepted": accepted, "slowest": slowest}))


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main(Path(sys.argv[1]), int(sys.argv[2]))
