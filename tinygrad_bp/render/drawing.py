"""`Drawing`: a finished picture, in every format."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tinygrad_bp.errors import describe
from tinygrad_bp.render.diff import Difference, Record, difference
from tinygrad_bp.render.dot import dot
from tinygrad_bp.render.graphviz_dot import run_dot
from tinygrad_bp.render.graphviz_place import placed_by_dot
from tinygrad_bp.render.picture import Picture
from tinygrad_bp.render.save import as_path, write
from tinygrad_bp.render.svg import svg
from tinygrad_bp.render.text import text
from tinygrad_bp.render.visible import visible
from tinygrad_bp.validate import refuse

ENGINES = ("auto", "dot", "own")
SUFFIXES = (".dot", ".html", ".pdf", ".png", ".svg", ".txt")


class Drawing:
    """A picture of a graph. It keeps numbers and words, not the graph.

    ``picture`` is the plain data: cards, arrows, folds, notes. In a notebook it shows itself.
    """

    def __init__(self, picture: Picture, records: Sequence[Record] = ()) -> None:
        self.picture, self._records = picture, records

    def dot(self) -> str:
        """Return the picture in DOT, the language of Graphviz."""
        return dot(visible(self.picture))

    def text(self) -> str:
        """Return the picture as plain text: a line for each card, and its arrows below it."""
        return text(visible(self.picture))

    def svg(self, *, engine: str = "auto") -> str:
        """Return the picture as SVG.

        ``engine``: who finds the places of the cards. "dot" asks Graphviz; "own" needs no other
        program, for any size; "auto" asks Graphviz for small pictures if it is there. All drawing
        is our own, so pictures look alike.
        """
        if engine not in ENGINES:
            refuse("Drawing.svg, argument engine", describe(engine), '"auto", "dot" or "own"',
                   "Leave it out if in doubt.")  # fmt: skip
        seen = visible(self.picture)
        return svg(seen, made=None if engine == "own" else placed_by_dot(seen, engine))

    def html(self) -> str:
        """Return a page, in one file and without any network, to explore the whole graph."""
        from tinygrad_bp.render.page import html  # its data are for those who ask for a page

        return html(self.picture)

    def save(self, path: Any) -> Path:
        """Write the picture to a file and return its path; its suffix says in which format.

        Known are .svg, .html, .dot and .txt, and through Graphviz .png and .pdf. The file is
        complete or it is not written. Raises `InputError` for another suffix and `StoreError` if
        the file cannot be written or there is no Graphviz.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     drawing = tg.draw(tg.Tensor(2.0, name="w") ** 2)
        ...     drawing.save(f"{folder}/graph.dot").name
        'graph.dot'
        """
        target = as_path(path, SUFFIXES, "Drawing.save")
        return write(target, self._bytes(target.suffix.lower()), "Drawing.save")

    def _bytes(self, suffix: str) -> bytes:
        if suffix in (".png", ".pdf"):
            return run_dot(self.dot(), suffix[1:], f"Drawing.save as {suffix}")
        writers = {".dot": self.dot, ".html": self.html, ".svg": self.svg, ".txt": self.text}
        return writers[suffix]().encode("utf-8")

    def diff(self, other: "Drawing", *, rtol: float = 0.0) -> Difference:
        """Find the first node at which another drawing is different; false if there is none.

        Nodes are compared in the order of the graph: what they are, then their values, then,
        from the root back, their gradients. With ``rtol`` numbers may differ a little, relative
        to the largest; of arrays with more than 16 numbers, only their size is then compared.

        >>> a, b = (tg.draw(tg.Tensor(x, name="w") * 3.0) for x in (1.0, 2.0))
        >>> print(a.diff(b))
        The first value that differs is that of w:
            1
            2
        Of 3 nodes, 2 values and 0 gradients differ.
        """
        if not isinstance(other, Drawing):
            refuse("Drawing.diff", describe(other), "a Drawing", "Pass what tg.draw returned.")
        return difference(self._records, other._records, rtol)

    def __repr__(self) -> str:
        return f"<Drawing of {self.picture.title}: {self.picture.notes[0]}>"

    def _repr_mimebundle_(
        self,
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
        **_: Any,
    ) -> dict[str, str]:
        """Show the picture in a notebook."""
        makers = {"image/svg+xml": self.svg, "text/plain": self.text}
        wanted = set(include) if include else set(makers)
        wanted -= set(exclude or ())
        return {kind: make() for kind, make in makers.items() if kind in wanted}
