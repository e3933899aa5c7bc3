"""Running Graphviz's `dot`: to place small graphs well, and for PNG and PDF."""

import shutil
import subprocess

from tinygrad_bp.errors import StoreError

PATIENCE = 10.0  # seconds
HOW_TO_GET_IT = "Install Graphviz (https://graphviz.org/download/), or save as .svg or .html."


def is_there() -> bool:
    """Tell whether a `dot` program is on the PATH."""
    from graphviz.backend import DOT_BINARY

    return shutil.which(DOT_BINARY) is not None


def run_dot(source: str, format: str, where: str) -> bytes:
    """Let `dot` turn DOT text into another format.

    Raises `StoreError` if there is no `dot`, or if it fails or takes longer than its patience.
    """
    from graphviz import CalledProcessError, ExecutableNotFound
    from graphviz.backend.dot_command import command
    from graphviz.backend.execute import run_check  # unlike graphviz.pipe it can be impatient

    options = {"input": source.encode(), "capture_output": True, "timeout": PATIENCE}
    try:
        answer: bytes = run_check(command("dot", format), quiet=True, **options).stdout
    except ExecutableNotFound:
        raise _error(where, "no `dot` program on the PATH", HOW_TO_GET_IT) from None
    except subprocess.TimeoutExpired:
        given = f"no answer from `dot` within {PATIENCE:g} seconds"
        raise _error(where, given, "Lower max_nodes, or save as .svg or .html.") from None
    except CalledProcessError as error:
        said = " ".join(error.stderr.decode("utf-8", "replace").split())[:200]
        given = f"a failure of `dot` (status {error.returncode}{': ' + said if said else ''})"
        raise _error(where, given, HOW_TO_GET_IT) from None
    except OSError as error:
        raise _error(
            where, f"a `dot` program that cannot be run ({error})", HOW_TO_GET_IT
        ) from None
    if not answer:
        raise _error(where, "no answer from `dot`, and no complaint", HOW_TO_GET_IT)
    return answer


def _error(where: str, given: str, repair: str) -> StoreError:
    return StoreError(given, where=where, expected="Graphviz, which draws this", repair=repair)
