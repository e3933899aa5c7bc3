"""What the strategies draw is what they promise, over the whole range they promise."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from samples import DIFFERENTIABLE

import tinygrad_bp as tg
from tinygrad_bp.check import strategies
from tinygrad_bp.check.samples import LAYOUTS

more = settings(max_examples=60)
SHAPED = [(), (1,), (4,), (2, 3), (2, 0), (2, 1, 3)]


def reaches(strategy, condition):
    """Ask whether the strategy draws something that meets the condition."""
    find(strategy, condition, settings=settings(max_examples=2000, database=None))
    return True


# ---------------------------------------------------------------------------------- numbers


@more
@given(strategies.well_scaled(), strategies.well_scaled(-2, 3))
def test_well_scaled_numbers_keep_to_their_decades_and_are_never_zero(wide, narrow):
    assert 1e-8 * (1 - 1e-12) <= abs(wide) <= 1e8 * (1 + 1e-12)
    assert 1e-2 * (1 - 1e-12) <= abs(narrow) <= 1e3 * (1 + 1e-12)


@pytest.mark.parametrize("decade", range(-8, 8))
def test_every_one_of_the_sixteen_decades_is_drawn_with_both_signs(decade):
    within = (10.0**decade, 10.0 ** (decade + 1))
    for sign in (1, -1):
        assert reaches(strategies.well_scaled(), lambda x, s=sign: within[0] <= s * x <= within[1])


@more
@given(strategies.away_from((0.0, 1.0, 1.1), margin=0.2, low=-1.0, high=2.0))
def test_numbers_away_from_kinks_keep_the_margin(x):
    assert -1 <= x <= 2
    assert min(abs(x), abs(x - 1), abs(x - 1.1)) >= 0.2 * (1 - 1e-12)


def test_numbers_away_from_kinks_lie_in_every_gap():
    strategy = strategies.away_from((-1.0, 1.0))
    for low, high in ((-3, -1), (-1, 1), (1, 3)):
        assert reaches(strategy, lambda x, a=low, b=high: a < x < b)


@more
@given(strategies.at_kink((0.0, 2.0)), strategies.beside_kink((0.0, 2.0)))
def test_kinks_are_hit_exactly_and_passed_closely(at, beside):
    assert at in (0.0, 2.0)
    distance = min(abs(beside), abs(beside - 2))
    assert 0 < distance <= 1e-2 * (1 + 1e-9)


KINKS = st.lists(st.one_of(st.floats(-1e9, 1e9), st.integers(-3, 3)), min_size=1, max_size=3)


@more
@given(st.data(), KINKS, st.integers(-12, -2))
def test_what_is_beside_a_kink_is_no_kink_and_as_close_as_floats_allow(data, kinks, exponent):
    x = data.draw(strategies.beside_kink(kinks, exponent, exponent))
    assert type(x) is float
    assert x not in kinks
    reach = [1.01 * 10.0**exponent + 2 * np.spacing(abs(float(kink))) for kink in kinks]
    assert any(abs(x - kink) <= r for kink, r in zip(kinks, reach, strict=True))


@pytest.mark.parametrize("kinks", [1e6, (1e6,), 3, (0, 2), np.array([1, 2]), -1e16])
def test_a_number_beside_a_kink_is_another_number_whatever_the_kinks_are_given_as(kinks):
    @more
    @given(strategies.beside_kink(kinks), strategies.at_kink(kinks))
    def draw(beside, at):
        assert beside not in np.atleast_1d(kinks)
        assert at in np.atleast_1d(kinks)

    draw()


@pytest.mark.parametrize("make", [strategies.tensors, strategies.arrays, strategies.cotangents])
def test_a_shape_may_be_one_number_as_for_numpy(make):
    @more
    @given(make(shape=3), make(shape=np.int64(2)), make(shape=[1, 2]), make(shape=st.just(4)))
    def draw(x, y, z, drawn):
        assert [a.shape for a in (x, y, z, drawn)] == [(3,), (2,), (1, 2), (4,)]

    draw()


@pytest.mark.parametrize("shape", [-1, (2, -1), 1.5, "ab", (2, None), True])
def test_what_is_no_shape_is_refused(shape):
    @settings(max_examples=1, database=None)
    @given(strategies.tensors(shape=shape))
    def draw(x):
        """Never reached."""

    with pytest.raises(tg.InputError, match="argument shape: got .* whole number of at least 0"):
        draw()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: strategies.at_kink(()), "argument kinks: got none; expected at least one number"),
        (lambda: strategies.beside_kink("a"), "beside_kink, argument kinks: got str 'a'"),
        (lambda: strategies.away_from((np.nan,)), "away_from, argument kinks: got 1 NaN"),
        (lambda: strategies.well_scaled(3, 2), "min_exp=3, max_exp=2; expected -300 ≤ min_exp"),
        (lambda: strategies.away_from((0.0,), margin=9.0), "a gap between the kinks"),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(call, text):
    with pytest.raises(tg.InputError, match=text):
        call()


@pytest.mark.parametrize("strategy", [strategies.ties, strategies.noncontiguous])
def test_shapes_that_cannot_be_meant_are_refused(strategy):
    @settings(max_examples=1, database=None)
    @given(strategy(shape=(1,)))
    def draw(x):
        """Never reached."""

    with pytest.raises(tg.InputError, match="at least two elements"):
        draw()


# ---------------------------------------------------------------------------------- arrays


@more
@given(st.data(), st.sampled_from([np.float64, np.float32]), st.sampled_from(SHAPED), st.booleans())
def test_tensors_have_the_dtype_the_shape_the_elements_and_the_wish_asked_for(
    data, dtype, shape, wish
):
    elements = strategies.well_scaled(0, 1)
    x = data.draw(strategies.tensors(dtype, shape, elements, requires_grad=wish))
    assert (type(x), x.dtype, x.shape, x.requires_grad) == (tg.Tensor, dtype, shape, wish)
    assert x.op is None
    assert np.all((np.abs(x.data) >= 0.99) & (np.abs(x.data) <= 10.01))


@more
@given(strategies.ties())
def test_ties_are_at_an_extreme(x):
    assert np.sum(x == x.max()) > 1 or np.sum(x == x.min()) > 1


@more
@given(strategies.noncontiguous())
def test_a_noncontiguous_array_is_not_contiguous_and_floats(x):
    assert not x.flags.c_contiguous
    assert x.dtype == np.float64


@more
@given(st.data(), st.sampled_from(SHAPED))
def test_a_cotangent_is_never_constant_and_no_element_is_zero_or_one(data, shape):
    u = data.draw(strategies.cotangents(shape))
    assert u.shape == shape
    assert not np.any(np.isin(u, (0, 1, -1)))
    assert len(np.unique(np.abs(u))) == u.size


@more
@given(st.data(), st.sampled_from(SHAPED), st.integers(1, 4))
def test_broadcastable_shapes_give_the_shape(data, shape, n):
    shapes = data.draw(strategies.broadcastable(n, shape))
    assert len(shapes) == n
    assert np.broadcast_shapes(*shapes) == shape


def test_broadcasting_goes_both_ways_at_once():
    both = strategies.broadcastable(2, (2, 3))
    assert reaches(both, lambda shapes: set(shapes) == {(2, 1), (1, 3)})
    assert reaches(both, lambda shapes: set(shapes) == {(), (2, 3)})


@more
@given(strategies.matmul_operands())
def test_operands_of_matmul_fit(operands):
    a, b = operands
    tg.matmul(tg.Tensor(a), tg.Tensor(b))


@pytest.mark.parametrize(
    "condition",
    [
        lambda a, b: a.ndim == b.ndim == 1,
        lambda a, b: a.ndim == 1 and b.ndim == 2,
        lambda a, b: a.ndim == 3 and b.ndim == 2,
        lambda a, b: a.ndim == b.ndim == 3 and a.shape[0] != b.shape[0],
        lambda a, b: a.shape[-1] == 0,
    ],
    ids=["vectors", "row", "batch", "broadcast batch", "empty"],
)
def test_operands_of_matmul_come_in_every_form(condition):
    assert reaches(strategies.matmul_operands(), lambda pair: condition(*pair))


# ---------------------------------------------------------------------------------- ops


@more
@given(strategies.ops())
def test_an_op_is_drawn_with_arguments_that_it_takes(sample):
    outputs = sample(*map(tg.Tensor, sample.varied))
    for y in outputs if isinstance(outputs, list | tuple) else [outputs]:
        assert np.all(np.isfinite(y.data))


def test_all_ops_with_a_gradient_are_drawn():
    found = set()

    @settings(max_examples=1500, database=None)
    @given(strategies.ops())
    def collect(sample):
        found.add(sample.entry.facts.name)

    collect()
    assert len(found) > 0.9 * len(DIFFERENTIABLE)


@pytest.mark.parametrize("op", [tg.sqrt, "sqrt", tg.clip], ids=["op", "name", "derived"])
@given(data=st.data())
def test_one_op_can_be_asked_for(op, data):
    sample = data.draw(strategies.ops(op))
    assert sample.entry.facts.name == getattr(op, "__name__", op)


@pytest.mark.parametrize(
    "condition",
    [
        lambda x: x.flags.c_contiguous and x.flags.writeable,
        lambda x: x.flags.f_contiguous,
        lambda x: max(x.strides) < 0,
        lambda x: min(x.strides) > 8 and not x.flags.f_contiguous,
        lambda x: not x.flags.writeable,
    ],
    ids=LAYOUTS,
)
def test_the_samples_of_an_op_have_all_layouts(condition):
    def is_found(sample):
        x = sample.inputs[0]
        return x.ndim == 2 and min(x.shape) > 1 and condition(x)

    assert reaches(strategies.ops("sin"), is_found)


def test_what_is_no_op_is_refused_with_a_repair():
    @given(strategies.ops("tan_h"))
    def draw(sample):
        """Never reached."""

    with pytest.raises(tg.InputError, match=r"str 'tan_h'.*name of one\. Declare it with"):
        draw()


def test_without_hypothesis_the_error_names_what_to_install():
    program = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import tinygrad_bp as tg; tg.check.mutants\n"
        "try: tg.check.strategies\n"
        "except ImportError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "needs hypothesis: pip install 'tinygrad_bp[test]'" in found.stdout, found.stderr
