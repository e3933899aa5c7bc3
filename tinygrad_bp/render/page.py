"""The page: a picture as one HTML file that asks nobody for anything.

Its script and style are readable files beside this one, in `browser`; they enter the page whole,
and its content security policy admits exactly them, by their hashes. What they show is packed into
base64, so no text of the user's is ever parsed as HTML or as code.
"""

import base64
import hashlib
import html as escaping
import re
from functools import cache
from importlib.resources import files

from tinygrad_bp.render.page_data import data
from tinygrad_bp.render.picture import Picture

SCRIPTS = (
    "graph", "arrange", "nearby", "paint", "view", "pointers", "minimap", "play", "player", "panel",
    "search", "keys", "state", "main",
)  # fmt: skip


def html(picture: Picture) -> str:
    """Return a self-contained page: pan, zoom, search, fold, trace paths, play both passes.

    It opens from disk and needs no network. The same picture gives the same bytes.

    >>> from tinygrad_bp.render.picture import Card
    >>> page = html(Picture("<E>", (Card(0, "leaf", "</script>"),), ()))
    >>> "<title>&lt;E&gt;</title>" in page, page.count("</script>")
    (True, 2)
    """
    style, script = _sources()
    title = picture.title.encode("utf-8", "replace").decode("utf-8")
    printable = "".join(letter if letter.isprintable() else " " for letter in title)
    fields = {
        "title": escaping.escape(printable),
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "data": data(picture),
    }
    parts = re.split(r"\{(\w+)\}", _read("page.html"))  # text, name, text, name, …, text
    parts[1::2] = [fields[name] for name in parts[1::2]]
    return "".join(parts)


@cache
def _sources() -> tuple[str, str]:
    """Return the style, and all scripts as one, in a scope of their own."""
    scripts = "\n".join(_read(f"{name}.js") for name in SCRIPTS)
    return _lean(_read("page.css")), _lean(f'"use strict";\n{{\n{scripts}\n}}\n')


def _read(name: str) -> str:
    return files("tinygrad_bp.render").joinpath("browser", name).read_text(encoding="utf-8")


def _lean(source: str) -> str:
    """Leave out indentation, and lines that are only a comment: a fifth of every page."""
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _hash(source: str) -> str:
    """Name a source as a content security policy does."""
    digest = hashlib.sha256(source.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")
