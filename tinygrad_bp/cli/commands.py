"""The commands and their options."""

import argparse
from typing import NoReturn, TypeAlias

import tinygrad_bp
from tinygrad_bp import demo


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try {self.prog} --help.\n")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def make_parser(prog: str) -> Parser:
    """Return the parser; each command sets `run`, a function of the options."""
    parser = Parser(
        prog=prog, description="See backpropagation, trust every gradient, run it fast."
    )
    version = f"tinygrad_bp {tinygrad_bp.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)
    for add in (_add_demo, _add_train, _add_predict, _add_draw, _add_check, _add_info):
        add(commands)
    return parser


def _add_demo(commands: Commands) -> None:
    parser = commands.add_parser(
        "demo",
        help="train the documented networks on XOR and on handwritten digits",
        description="Train the documented networks: 2-2-1 on XOR for 20,000 epochs, then "
        "64-32-16-10 on scikit-learn's digits for 1,000 epochs. It takes about two minutes. A "
        "picture and a page of the backward pass through the first are written as well.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="only a few epochs: a look around, not a result"
    )
    parser.add_argument(
        "--folder", default=".", help="where the picture of the network goes (default: here)"
    )
    parser.set_defaults(run=lambda options: demo.run(quick=options.quick, folder=options.folder))


def _add_train(commands: Commands) -> None:
    parser = commands.add_parser("train", help="train a network on a table and keep it in a file")
    parser.add_argument("data", help="a file of comma-separated values")
    parser.add_argument("--target", required=True, help="the column to learn")
    parser.add_argument("--out", required=True, help="the file for the model, *.safetensors")
    parser.add_argument("--layers", default="32", help='hidden units, such as 32,16; "" for none')
    parser.add_argument("--task", default="auto", choices=("auto", "classification", "regression"))
    parser.add_argument("--missing", default="refuse", choices=("refuse", "drop", "fill"),
                        help="what to do with missing values")  # fmt: skip
    parser.add_argument("--ignore", action="append", default=[], help="a column to leave out")
    parser.add_argument("--epochs", type=_count, help="default: 40, and at least 1,000 steps")
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--validation", type=_share, default=0.2, help="share that is held out")
    parser.add_argument("--seed", type=_seed, default=0)
    _add_table(parser)
    parser.set_defaults(run=_run_train)


def _add_predict(commands: Commands) -> None:
    parser = commands.add_parser("predict", help="answer for the rows of a table")
    parser.add_argument("model", help="the file that train wrote")
    parser.add_argument("data", help="a file of comma-separated values with the same columns")
    parser.add_argument("--out", help="the file for the answers (default: print them)")
    parser.add_argument("--probabilities", action="store_true", help="of every class, as well")
    _add_table(parser)
    parser.set_defaults(run=_run_predict)


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--encoding", help="of the text (default: utf-8)")
    parser.add_argument("--delimiter", help="between values (default: what the first line has)")
    parser.add_argument("--no-header", dest="header", action="store_false",
                        help="the first line is a row; columns are column1, …")  # fmt: skip


def _add_draw(commands: Commands) -> None:
    parser = commands.add_parser("draw", help="draw the graph of a model or a function")
    parser.add_argument("subject", help="a model in a file, or module:function without arguments")
    parser.add_argument("--out", help=".svg, .html, .dot, .txt, .png or .pdf (default: print text)")
    parser.add_argument("--level", default="tensor", choices=("tensor", "scalar"))
    parser.set_defaults(run=_run_draw)


def _add_check(commands: Commands) -> None:
    parser = commands.add_parser("check", help="check the gradient of a function of Tensors")
    parser.add_argument("function", help="module:function")
    parser.add_argument("--shape", action="append", help="of one input, such as 3,4; repeat it")
    parser.add_argument("--seed", type=_seed, default=0, help="of the inputs")
    parser.set_defaults(run=_run_check)


def _add_info(commands: Commands) -> None:
    parser = commands.add_parser("info", help="describe a model, or what is installed")
    parser.add_argument("model", nargs="?", help="a model in a file")
    parser.set_defaults(run=_run_info)


# What a command needs is imported when it runs: --help is quick.


def _run_train(options: argparse.Namespace) -> int:
    from tinygrad_bp.cli.train import train

    return train(options)


def _run_predict(options: argparse.Namespace) -> int:
    from tinygrad_bp.cli.train import predict

    return predict(options)


def _run_draw(options: argparse.Namespace) -> int:
    from tinygrad_bp.cli.look import draw

    return draw(options)


def _run_check(options: argparse.Namespace) -> int:
    from tinygrad_bp.cli.look import check

    return check(options)


def _run_info(options: argparse.Namespace) -> int:
    from tinygrad_bp.cli.look import info

    return info(options)


# ---------------------------------------------------------------------------------- values


def _count(text: str) -> int:
    return _whole(text, 1)


def _seed(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number from {least}")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number from 0 to below 1")
    return share
