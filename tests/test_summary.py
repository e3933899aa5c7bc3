"""What is said of an array is true of it, however large or small its numbers are."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tinygrad_bp.render.words import brief, clean, read
from tinygrad_bp.summary import rms, summarize, summary_line

any_array = arrays(
    np.float64, array_shapes(min_dims=0, max_dims=3, min_side=0), elements=st.floats(width=64)
)


@given(any_array)
def test_a_summary_counts_and_measures_every_number(array):
    s = summarize(array)
    finite = array[np.isfinite(array)].astype(np.longdouble)
    assert s.size == array.size
    assert math.isclose(s.nans * max(s.size, 1), np.isnan(array).sum(), abs_tol=1e-9)
    assert math.isclose(s.infinities * max(s.size, 1), np.isinf(array).sum(), abs_tol=1e-9)
    assert math.isclose(s.zeros * max(s.size, 1), (array == 0).sum(), abs_tol=1e-9)
    if finite.size:
        assert (s.low, s.high) == (finite.min(), finite.max())
        largest = np.abs(finite).max() or np.longdouble(1)
        expected = largest * np.sqrt(np.mean((finite / largest) ** 2))
        assert math.isclose(s.rms, float(expected), rel_tol=1e-12)
    else:
        assert s.rms == 0


@given(any_array)
def test_a_size_is_that_of_all_numbers_and_not_finite_if_one_is_not(array):
    if array.ndim:
        size = rms(array)
        assert math.isnan(size) == bool(np.isnan(array).any())
        if not np.isnan(array).any():
            assert math.isinf(size) == bool(np.isinf(array).any())
        if np.isfinite(array).all():
            assert math.isclose(size, summarize(array).rms, rel_tol=1e-12)


@given(any_array)
def test_what_is_written_is_one_short_line(array):
    for text in (read(array).short, read(array).full, brief(array), summary_line(summarize(array))):
        assert "\n" not in text
        assert text == clean(text, 250)


@given(st.text())
def test_clean_text_is_one_line_that_utf8_and_xml_can_hold(text):
    line = clean(text)
    assert len(line) <= 60
    assert len(line.splitlines()) <= 1
    line.encode("utf-8")
    assert not any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in line)
    assert clean(line) == line
