"""What users do with models and tables, heard by an audit hook from the first import on.

Run as a program it does all of it twice in a folder, and prints as JSON what Python has told the
hook: what was written, run, connected to, and by which file. The second time nothing is imported.
"""

import contextlib
import io
import json
import os
import sys

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = (
    "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
    "os.symlink", "os.truncate", "os.utime", "shutil.", "tempfile.",
)  # fmt: skip
OTHERS = (
    "socket.", "urllib.", "http.", "ftplib.", "smtplib.", "poplib.", "imaplib.", "webbrowser.",
    "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.",
    "pickle.", "marshal.load", "compile", "exec", "code.__new__", "import",
)  # fmt: skip
heard = []


def hear(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, int) or not (set(mode or "") & set("wax+") or (flags or 0) & WRITING):
            return
        places = [path]
    elif event.startswith(CHANGES):
        places = [a for a in arguments if isinstance(a, str | bytes)]
    elif event.startswith(OTHERS):
        places = []
    else:
        return
    about = [] if event == "marshal.loads" else [str(a)[:200] for a in arguments]
    by = sys._getframe(1).f_code.co_filename
    heard.append([event, about, [os.fsdecode(p) for p in places], by])


def work(folder):
    """Train, keep, ask and draw, in programs and through the command line."""
    import numpy as np

    import tinygrad_bp as tg
    from tinygrad_bp import nn
    from tinygrad_bp.__main__ import main

    def place(name):
        return os.path.join(folder, name)

    X = np.linspace(-1, 1, 40).reshape(20, 2)
    for engine in sys.argv[2].split(","):
        if os.path.exists(place(f"{engine}.run")):
            os.remove(place(f"{engine}.run"))
        layers = [nn.Dense(3, "tanh"), nn.LayerNorm(), nn.Dropout(0.1), nn.Dense(1)]
        model = nn.Sequential(layers, optimizer=nn.Adam(nn.Cosine(0.01, 3)), seed=0)
        callbacks = [nn.EarlyStopping(), nn.CSVLog(place("log.csv"))]
        model.fit(
            X, X[:, 0], 3, validation_data=(X, X[:, 1]), callbacks=callbacks, engine=engine,
            checkpoint=place(f"{engine}.run"), resume=True,
        )  # fmt: skip
        tg.save(model, place("m"))
        tg.load(place("m")).predict(X)
        network = tg.NeuralNetwork([2, 2, 1], seed=0)
        network.fit(X, X[:, :1], epochs=3, engine=engine)
        tg.save(network, place("n"))
        tg.load(place("n")).predict(X)
    x = tg.Tensor(2.0, name="x")
    tg.draw(x * x).save(place("x.svg"))
    tg.gradcheck(tg.tanh, (X,))
    with open(place("t.csv"), "w", encoding="utf-8") as file:
        print("a,b,y", *(f"{a},{'uv'[a % 2]},{a % 3}" for a in range(30)), sep="\n", file=file)
    table, out = place("t.csv"), place("table")
    for command in (
        ["train", table, "--target", "y", "--out", out, "--epochs", "2"],
        ["predict", out, table, "--out", place("answers.csv")],
        ["info", out],
        ["info"],
        ["draw", out, "--out", place("table.html")],
        ["check", "tinygrad_bp:tanh"],
    ):
        assert main(command) == 0, command
    if "sklearn" in sys.argv[3:]:
        import pickle

        from tinygrad_bp.sklearn import NeuralNetworkClassifier

        model = NeuralNetworkClassifier((3,), epochs=2, random_state=0)
        assert len(model.fit(X, X[:, 0] > 0).predict(X)) == 20
        pickle.dumps(model)  # what users do themselves; only reading one would be heard


if __name__ == "__main__":
    sys.addaudithook(hear)
    with contextlib.redirect_stdout(io.StringIO()):
        work(sys.argv[1])
        first = len(heard)
        work(sys.argv[1])
    print(json.dumps([heard[:first], heard[first:]]))
