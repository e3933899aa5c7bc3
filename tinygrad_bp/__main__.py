"""The command line: ``tinygrad-bp`` and ``python -m tinygrad_bp``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tinygrad_bp.cli.commands import make_parser
from tinygrad_bp.errors import TinygradError

MISTAKE = 2  # as argparse has it
INTERRUPTED, CUT_OFF = 130, 141  # as a shell reports them: 128 + SIGINT, 128 + SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit status."""
    installed = Path(sys.argv[0]).stem == "tinygrad-bp"
    prog = "tinygrad-bp" if installed else "python -m tinygrad_bp"
    options = make_parser(prog).parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except TinygradError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CUT_OFF


if __name__ == "__main__":
    sys.exit(main())
