"""The command line: ``tinygrad-bp`` and ``python -m tinygrad_bp``."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tinygrad_bp.cli.commands import make_parser
from tinygrad_bp.errors import TinygradError

MISTAKE = 2  # as argparse has it
INTERRUPTED, CUT_OFF = 130, 141  # as a shell reports them: 128 + SIGINT, 128 + SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit status."""
    installed = Path(sys.argv[0]).stem == "tinygrad-bp"
    prog = "tinygrad-bp" if installed else "python -m tinygrad_bp"
    try:
        return _run(prog, arguments)
    except TinygradError as error:
        return _mistake(prog, " ".join(str(error).split()))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `demo | head`
        _forget_output()
        return CUT_OFF
    except UnicodeEncodeError as error:
        text = f"the output: got {error.object[error.start]!a}; expected text in {error.encoding}."
        return _mistake(prog, f"{text} Pass --out, or set PYTHONIOENCODING=utf-8.")
    except OSError as error:  # of files the commands speak themselves
        _forget_output()
        return _mistake(prog, f"the output cannot be written: {error.strerror or error}.")
    except MemoryError:
        return _mistake(prog, "there is not enough memory. Take fewer units, or a smaller table.")


def _run(prog: str, arguments: Sequence[str] | None) -> int:
    """Run a command, and write its output to the end."""
    if sys.stdout is None:
        raise OSError("it is closed")
    try:
        options = make_parser(prog).parse_args(arguments)
    except SystemExit:
        sys.stdout.flush()  # of --help
        raise
    status = int(options.run(options))
    sys.stdout.flush()
    return status


def _mistake(prog: str, text: str) -> int:
    with suppress(OSError):  # there is no other place to say it
        print(f"{prog}: {text}", file=sys.stderr)
    return MISTAKE


def _forget_output() -> None:
    """Let what is left of the output go nowhere, so that its end raises nothing again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
