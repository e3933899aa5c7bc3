"""The command line: ``python -m tinygrad_bp demo``."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import tinygrad_bp
from tinygrad_bp import demo

INTERRUPTED, CUT_OFF = 130, 141  # as a shell reports them: 128 + SIGINT, 128 + SIGPIPE


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CUT_OFF


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m tinygrad_bp",
        description="See backpropagation, trust every gradient, run it fast.",
    )
    version = f"tinygrad_bp {tinygrad_bp.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)
    _add_demo(commands)
    return parser


def _add_demo(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser(
        "demo",
        help="train the documented networks on XOR and on handwritten digits",
        description="Train the documented networks: 2-2-1 on XOR for 20,000 epochs, then "
        "64-32-16-10 on scikit-learn's digits for 1,000 epochs. It takes about two minutes.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="only a few epochs: a look around, not a result"
    )
    parser.set_defaults(run=lambda options: demo.run(quick=options.quick))


if __name__ == "__main__":
    sys.exit(main())
