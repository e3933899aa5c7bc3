"""exp, log and tanh without branches, so that they compute on vectors; all others from libm.

Each argument is reduced with ln 2 in two parts (the first one exact in every product), then a
series whose remainder is below the last bit is summed. NaN travels through the arithmetic itself:
no comparison with it holds, and it is never converted to an integer.
"""

import math
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tinygrad_bp.compiler.llvm_text import Code, Module, literal, type_of

_LN2 = Fraction(Decimal(2).ln(Context(prec=60)))


class Format(NamedTuple):
    """What differs between the two floating-point types."""

    dtype: np.dtype
    integer: np.dtype
    mantissa: int  # bits behind the point
    bias: int
    high_bits: int  # of the first part of ln 2, so that n times it is exact
    exp_terms: int  # of Σ rᵏ/k! for |r| ≤ ½ ln 2
    log_terms: int  # of Σ 2zᵏ/(2k+1) for z ≤ (√2−1)²/(√2+1)²

    @property
    def magic(self) -> float:
        """Adding it to a number rounds that to an integer, found in its last bits."""
        return 1.5 * 2.0**self.mantissa

    @property
    def ln2(self) -> tuple[float, float]:
        """ln 2 in two parts."""
        scale = 2**self.high_bits
        high = Fraction(math.floor(_LN2 * scale), scale)
        return float(high), float(_LN2 - high)


FORMATS = {
    "d": Format(np.dtype("d"), np.dtype(np.int64), 52, 1023, 40, 14, 11),
    "f": Format(np.dtype("f"), np.dtype(np.int32), 23, 127, 15, 8, 6),
}


class Arithmetic:
    """Instructions on vectors of one floating-point type."""

    def __init__(self, code: Code, form: Format, width: int) -> None:
        self.code, self.form, self.width = code, form, width
        self.kind, self.integers = type_of(form.dtype, width), type_of(form.integer, width)
        self.suffix = f"v{width}" * (width > 1) + f"f{form.dtype.itemsize * 8}"

    def number(self, x: float) -> str:
        """Write a constant."""
        return literal(x, self.form.dtype, self.width)

    def bits(self, x: int) -> str:
        """Write an integer constant."""
        return literal(x, self.form.integer, self.width)

    def do(self, operation: str, a: str, b: str) -> str:
        """Write fadd, fsub, fmul or fdiv."""
        return self.code.put(f"{operation} {self.kind} {a}, {b}")

    def whole(self, operation: str, a: str, b: str) -> str:
        """Write an instruction on integers."""
        return self.code.put(f"{operation} {self.integers} {a}, {b}")

    def fused(self, a: str, b: str, c: str) -> str:
        """Compute a · b + c, rounded once where the machine can."""
        arguments = [(self.kind, x) for x in (a, b, c)]
        return self.code.call(f"llvm.fmuladd.{self.suffix}", self.kind, *arguments)

    def as_bits(self, x: str) -> str:
        """Look at the bits of floats."""
        return self.code.put(f"bitcast {self.kind} {x} to {self.integers}")

    def as_floats(self, x: str) -> str:
        """Read bits as floats."""
        return self.code.put(f"bitcast {self.integers} {x} to {self.kind}")

    def choose(self, comparison: str, a: str, b: str, yes: str, no: str) -> str:
        """Select by a comparison."""
        holds = self.code.put(f"fcmp {comparison} {self.kind} {a}, {b}")
        mask = "i1" if self.width == 1 else f"<{self.width} x i1>"
        return self.code.put(f"select {mask} {holds}, {self.kind} {yes}, {self.kind} {no}")

    def polynomial(self, x: str, coefficients: list[float]) -> str:
        """Sum c₀ + c₁x + c₂x² + …, in pairs, so that the steps need not wait for each other."""
        terms = [self.number(c) for c in coefficients]
        while len(terms) > 1:
            pairs = [
                self.fused(terms[i + 1], x, terms[i]) if i + 1 < len(terms) else terms[i]
                for i in range(0, len(terms), 2)
            ]
            terms = pairs
            if len(terms) > 1:
                x = self.do("fmul", x, x)
        return terms[0]

    def power_of_two(self, n: str) -> str:
        """Make 2ⁿ from an integer in the range of exponents."""
        biased = self.whole("add", n, self.bits(self.form.bias))
        return self.as_floats(self.whole("shl", biased, self.bits(self.form.mantissa)))

    def reduced(self, x: str) -> tuple[str, str]:
        """Return (n, eʳ − 1) with x = n ln 2 + r."""
        magic, (high, low) = self.number(self.form.magic), self.form.ln2
        shifted = self.fused(x, self.number(float(1 / _LN2)), magic)
        n = self.do("fsub", shifted, magic)
        r = self.fused(n, self.number(-high), x)
        r = self.fused(n, self.number(-low), r)
        tail = [1 / math.factorial(k) for k in range(2, self.form.exp_terms)]
        squared = self.do("fmul", r, r)
        exponential = self.fused(squared, self.polynomial(r, tail), r)
        return self.whole("sub", self.as_bits(shifted), self.as_bits(magic)), exponential


def _exp(m: Arithmetic, x: str) -> str:
    """eˣ = 2ⁿ eʳ; 2ⁿ in two factors, since n reaches beyond the exponents of normal numbers."""
    form = m.form
    top, bottom = (form.bias + 2) * math.log(2), -(form.bias + form.mantissa + 2) * math.log(2)
    x = m.choose("ogt", x, m.number(top), m.number(top), x)
    x = m.choose("olt", x, m.number(bottom), m.number(bottom), x)
    n, tail = m.reduced(x)
    half = m.whole("ashr", n, m.bits(1))
    y = m.do("fmul", m.do("fadd", tail, m.number(1)), m.power_of_two(half))
    return m.do("fmul", y, m.power_of_two(m.whole("sub", n, half)))


def _tanh(m: Arithmetic, x: str) -> str:
    """tanh |x| = t / (t + 2) with t = e²|ˣ| − 1, which is 1 long before t overflows."""
    size = m.code.call(f"llvm.fabs.{m.suffix}", m.kind, (m.kind, x))
    limit = m.number((m.form.mantissa + 4) * math.log(2))
    double = m.do("fadd", size, size)
    double = m.choose("ogt", double, limit, limit, double)
    n, tail = m.reduced(double)
    scale = m.power_of_two(n)
    t = m.fused(scale, tail, m.do("fsub", scale, m.number(1)))
    y = m.do("fdiv", t, m.do("fadd", t, m.number(2)))
    return m.code.call(f"llvm.copysign.{m.suffix}", m.kind, (m.kind, y), (m.kind, x))


def _log(m: Arithmetic, x: str) -> str:
    """ln x = n ln 2 + ln(1 + f) with 1 + f in [√½, √2].

    With s = f / (2 + f), z = s² and h = f²/2: ln(1 + f) = 2 artanh s, which is
    f − (h − s (h + Σ 2zᵏ/(2k+1))): what is rounded most, s, is multiplied by the least.
    """
    form = m.form
    least = 2.0 ** (1 - form.bias)
    lift = form.mantissa + 2
    scaled = m.do("fmul", x, m.number(2.0**lift))
    y = m.choose("olt", x, m.number(least), scaled, x)
    y, n = _split(m, y)
    n = m.choose("olt", x, m.number(least), m.do("fsub", n, m.number(lift)), n)
    f = m.do("fsub", y, m.number(1))
    s = m.do("fdiv", f, m.do("fadd", f, m.number(2)))
    z = m.do("fmul", s, s)
    tail = m.do("fmul", z, m.polynomial(z, [2 / (2 * k + 1) for k in range(1, form.log_terms)]))
    h = m.do("fmul", m.number(0.5), m.do("fmul", f, f))
    high, low = form.ln2
    inner = m.do("fsub", h, m.fused(s, m.do("fadd", h, tail), m.do("fmul", n, m.number(low))))
    result = m.fused(n, m.number(high), m.do("fsub", f, inner))
    result = m.choose("oeq", x, m.number(0), m.number(-math.inf), result)
    result = m.choose("olt", x, m.number(0), m.number(math.nan), result)
    result = m.choose("oeq", x, m.number(math.inf), x, result)
    return m.choose("uno", x, x, x, result)


def _split(m: Arithmetic, x: str) -> tuple[str, str]:
    """Return (y, n) with x = y · 2ⁿ and y in [√½, √2]: the bits from √½ on count the exponent."""
    form = m.form
    root = int(np.array(math.sqrt(0.5), form.dtype).view(form.integer))
    bits = m.as_bits(x)
    n = m.whole("ashr", m.whole("sub", bits, m.bits(root)), m.bits(form.mantissa))
    y = m.as_floats(m.whole("sub", bits, m.whole("shl", n, m.bits(form.mantissa))))
    magic = m.number(form.magic)
    return y, m.do("fsub", m.as_floats(m.whole("add", n, m.as_bits(magic))), magic)


OWN: dict[str, Callable[[Arithmetic, str], str]] = {"exp": _exp, "log": _log, "tanh": _tanh}
LIBM = {
    "expm1": "expm1", "log1p": "log1p", "exp2": "exp2", "log2": "log2", "log10": "log10",
    "cbrt": "cbrt", "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos",
    "arctan": "atan", "sinh": "sinh", "cosh": "cosh", "arcsinh": "asinh", "arccosh": "acosh",
    "arctanh": "atanh", "power": "pow", "hypot": "hypot", "arctan2": "atan2",
}  # fmt: skip
OF_TWO = ("power", "hypot", "arctan2")


def function_of(module: Module, primitive: str, dtype: np.dtype, width: int) -> str:
    """Return the name of a function on vectors; write it if this is its first use."""
    kind = type_of(dtype, width)
    name = f"{primitive}.{width}x{TYPE_NAMES[dtype.char]}"
    if name in module.functions:
        return name
    code = Code(module)
    arity = 2 if primitive in OF_TWO else 1
    if primitive in OWN:
        result = OWN[primitive](Arithmetic(code, FORMATS[dtype.char], width), "%x0")
    else:
        result = _one_by_one(code, LIBM[primitive], dtype, width, arity)
    given = ", ".join(f"{kind} %x{i}" for i in range(arity))
    inlined = "alwaysinline " * (width > 1)  # single numbers may be many: see them call instead
    head = f"define internal {kind} @{name}({given}) {inlined}#0"
    module.function(name, head, ["entry:", *code.lines, f"  ret {kind} {result}"])
    return name


TYPE_NAMES = {"d": "f64", "f": "f32"}


def _one_by_one(code: Code, name: str, dtype: np.dtype, width: int, arity: int) -> str:
    """Call the function of the C library for every element."""
    single, kind = type_of(dtype), type_of(dtype, width)
    symbol = name + ("f" if dtype.char == "f" else "")
    if width == 1:
        return code.call(symbol, single, *((single, f"%x{i}") for i in range(arity)))
    result = "poison"
    for lane in range(width):
        given = [
            (single, code.put(f"extractelement {kind} %x{i}, i64 {lane}")) for i in range(arity)
        ]
        y = code.call(symbol, single, *given)
        result = code.put(f"insertelement {kind} {result}, {single} {y}, i64 {lane}")
    return result
