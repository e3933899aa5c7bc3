"""An explanation in words: as text, as LaTeX, as HTML."""

import html
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tinygrad_bp.explaining.steps import Factor, Path
from tinygrad_bp.summary import many, number

if TYPE_CHECKING:
    from tinygrad_bp.explaining.explain import Explanation

DIGITS = 4
LONG = 12  # factors of a chain that are written out; of more, the first and the last


def figure(x: float) -> str:
    """Write a number with four digits and a real minus sign.

    >>> figure(-0.25), figure(1e-9)
    ('−0.2500', '1.000e−09')
    """
    return number(x, DIGITS).replace("-", "−")


def counted(count: int) -> str:
    """Say how many paths.

    >>> counted(1), counted(2**30)
    ('1 path', '1,073,741,824 paths')
    """
    return many(count, "path")


# ---------------------------------------------------------------------------------- text


def as_text(explanation: "Explanation") -> str:
    """Write an explanation for a terminal."""
    e = explanation
    single = len(e.paths) == 1
    lines = [f"∂{e.root}/∂{e.entry} = {figure(e.gradient)}, by {counted(e.count)}", ""]
    for i, path in enumerate(e.paths, 1):
        mark = "" if single else f"{i}. "
        lines.append(mark + _symbols(path))
        result = f" = {figure(path.product)}" if len(path.factors) > 1 else ""
        lines.append(" " * len(mark) + _figures(path) + result)
    if e.rest is not None:
        lines.append(f"rest: {counted(e.rest.count)}, sum {figure(e.rest.sum)}")
    return "\n".join([*lines, *([""] if e.count else []), statement(e)])


def _symbols(path: Path) -> str:
    return " · ".join(_shortened(path.symbols, "…"))


def _figures(path: Path) -> str:
    return " · ".join(_shortened((figure(f.value) for f in path.factors), "…"))


def _shortened(factors: Iterable[str], dots: str) -> list[str]:
    """Leave out the middle of a long chain."""
    every = list(factors)
    return every if len(every) <= LONG else [*every[: LONG // 2], dots, *every[-LONG // 2 :]]


def statement(explanation: "Explanation") -> str:
    """Say what was checked: that the products sum to the gradient."""
    e = explanation
    if e.count == 0:
        return "Every path goes by a branch that was not taken: nothing is passed on."
    if e.total - e.total != 0:
        return f"The products sum to {figure(e.total)}; the gradient is {figure(e.gradient)}."
    if e.count == 1:
        return f"The product is the gradient, {figure(e.gradient)}."
    return f"The products of the {counted(e.count)} sum to the gradient, {figure(e.gradient)}."


# ---------------------------------------------------------------------------------- LaTeX


def as_latex(explanation: "Explanation") -> str:
    """Write an explanation for math mode, with amsmath."""
    e = explanation
    symbols = [r" \cdot ".join(_shortened(map(fraction, p.factors), r"\cdots")) for p in e.paths]
    figures = [
        r" \cdot ".join(_shortened((_bracketed(f.value) for f in p.factors), r"\cdots"))
        for p in e.paths
    ]
    if e.rest is not None:
        symbols.append(rf"\mathrm{{rest}}_{{{e.rest.count}}}")
        figures.append(latex_figure(e.rest.sum))
    sums = [_added(symbols), _added(figures)] if symbols else []
    lines = [fraction(Factor(e.root, e.entry, e.gradient))]
    lines += [f"&= {line}" for line in (*sums, latex_figure(e.gradient))]
    body = lines[0] + "\n" + " \\\\\n".join(lines[1:])
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _added(terms: list[str]) -> str:
    return " \\\\\n&\\quad + ".join(terms)


def fraction(factor: Factor) -> str:
    r"""Write a derivative as a fraction.

    >>> print(fraction(Factor("o", "W1[0, 2]", 0.5)))
    \frac{\partial o}{\partial W_{1}[0,2]}
    """
    upper, lower = latex_name(factor.upper), latex_name(factor.lower)
    return rf"\frac{{\partial {upper}}}{{\partial {lower}}}"


def latex_name(name: str) -> str:
    r"""Write a name: a letter and a number as a subscript, anything else upright.

    >>> print(latex_name("W1[0, 2]"), latex_name("net_1"), latex_name("E"))
    W_{1}[0,2] \mathrm{net\_1} E
    """
    base, bracket, index = name.partition("[")
    if bracket and not re.fullmatch(r"[\d, ]+\]", index):
        base, bracket, index = name, "", ""
    letter = re.fullmatch(r"([A-Za-z])(\d*)", base)
    if letter:
        text = letter[1] + (f"_{{{letter[2]}}}" if letter[2] else "")
    else:
        text = rf"\mathrm{{{''.join(map(_escaped, base))}}}"
    return text + bracket + index.replace(" ", "")


_ESCAPED = {c: f"\\{c}" for c in "{}$&#_% "} | {
    "\\": r"\backslash{}", "^": r"\wedge{}", "~": r"\sim{}",
}  # fmt: skip


def _escaped(c: str) -> str:
    return _ESCAPED.get(c, c) if c.isprintable() else r"\ "


def latex_figure(x: float) -> str:
    r"""Write a number.

    >>> print(latex_figure(-0.25), latex_figure(1e-9), latex_figure(float("inf")))
    -0.2500 1.000 \times 10^{-9} \infty
    """
    if x != x:
        return r"\mathrm{NaN}"
    mantissa, _, exponent = number(x, DIGITS).replace("inf", r"\infty").partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa


def _bracketed(x: float) -> str:
    text = latex_figure(x)
    return f"({text})" if text.startswith("-") or "times" in text else text


# ---------------------------------------------------------------------------------- HTML


def as_html(explanation: "Explanation") -> str:
    """Write an explanation as a table for a notebook."""
    e = explanation
    rows = [
        (
            str(i),
            _symbols(path),
            _figures(path),
            figure(path.product),
        )
        for i, path in enumerate(e.paths, 1)
    ]
    if e.rest is not None:
        rows.append(("", f"rest: {counted(e.rest.count)}", "", figure(e.rest.sum)))
    cells = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    title = f"∂{e.root}/∂{e.entry} = {figure(e.gradient)}, by {counted(e.count)}"
    head = "<tr><th>path</th><th>factors</th><th>in numbers</th><th>product</th></tr>"
    return (
        f"<table><caption>{html.escape(title)}</caption><thead>{head}</thead>"
        f"<tbody>{cells}</tbody></table><p>{html.escape(statement(e))}</p>"
    )
