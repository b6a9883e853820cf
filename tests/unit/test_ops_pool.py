"""Max and average pooling, forward and backward: hand cases, torch, numerical slopes, errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from cnnlib import ops
from cnnlib.check import numerical_gradient

STABLE = settings(max_examples=80, deadline=None, derandomize=True, database=None)
MATRIX = np.arange(1.0, 17).reshape(1, 1, 4, 4)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Arrays here are tiny: a second thread in torch would only wait for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random(*shapes, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def number_or_pair(low, high):
    return st.one_of(st.integers(low, high), st.tuples(st.integers(low, high), st.integers(low, high)))


def pair(value):
    return (value, value) if isinstance(value, int) else value


@st.composite
def pools(draw, dilations=3):
    """A shape for which a window fits, and the options of a pooling layer; padding at most half a kernel."""
    kernel = draw(number_or_pair(1, 4))
    padding = tuple(draw(st.integers(0, k // 2)) for k in pair(kernel))
    options = {"stride": draw(st.one_of(st.none(), number_or_pair(1, 4))), "padding": padding}
    if dilations > 1:
        options["dilation"] = draw(number_or_pair(1, dilations))
    size = []
    for k, p, d in zip(pair(kernel), padding, pair(options.get("dilation", 1)), strict=True):
        smallest = max(d, d * (k - 1) + 1 - 2 * p)  # below d a window may see only padding: torch then crashes
        size.append(draw(st.integers(smallest, smallest + 6)))
    return (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *size), kernel, options


def gradient(pool, x, dy, kernel, options):
    """Output and input gradient in torch."""
    x = torch.tensor(x, requires_grad=True)
    y = pool(x, kernel, **options)
    y.backward(torch.from_numpy(dy))
    return y.detach().numpy(), x.grad.numpy()


def test_max_pooling_of_1_to_16_keeps_6_8_14_16():
    np.testing.assert_array_equal(ops.max_pool2d(MATRIX, 2)[0, 0], [[6, 8], [14, 16]])


def test_average_pooling_of_1_to_16_gives_the_middles():
    np.testing.assert_array_equal(ops.avg_pool2d(MATRIX, 2)[0, 0], [[3.5, 5.5], [11.5, 13.5]])


def test_overlapping_windows_share_their_largest_pixel():
    np.testing.assert_array_equal(ops.max_pool2d(MATRIX, 3, stride=1)[0, 0], [[11, 12], [15, 16]])


def test_the_floor_drops_the_window_that_would_hang_over_the_edge():
    assert ops.max_pool2d(np.zeros((1, 1, 5, 7)), 2).shape == (1, 1, 2, 3)


def test_the_padding_never_wins_a_maximum():
    np.testing.assert_array_equal(ops.max_pool2d(-MATRIX, 3, stride=3, padding=1)[0, 0], [[-1, -3], [-9, -11]])


def test_whole_numbers_stay_whole_in_max_pooling():
    got = ops.max_pool2d(-MATRIX.astype(int), 3, stride=3, padding=1)
    assert got.dtype.kind == "i"
    np.testing.assert_array_equal(got[0, 0], [[-1, -3], [-9, -11]])


def test_the_zeros_of_the_padding_count_in_an_average():
    np.testing.assert_array_equal(ops.avg_pool2d(np.ones((1, 1, 2, 2)), 2, padding=1)[0, 0], np.full((2, 2), 0.25))


def test_the_gradient_goes_to_the_first_of_equal_maxima():
    got = ops.max_pool2d_backward(np.full((1, 1, 1, 2), 5.0), np.ones((1, 1, 2, 4)), 2)
    np.testing.assert_array_equal(got[0, 0], [[5, 0, 5, 0], [0, 0, 0, 0]])


def test_a_pixel_that_wins_in_two_windows_collects_from_both():
    x = np.array([[[[0.0, 9, 0]]]])
    np.testing.assert_array_equal(
        ops.max_pool2d_backward(np.array([[[[2.0, 3]]]]), x, (1, 2), stride=1), [[[[0, 5, 0]]]]
    )


def test_average_pooling_spreads_the_gradient_evenly():
    got = ops.avg_pool2d_backward(np.full((1, 1, 1, 1), 8.0), np.zeros((1, 1, 2, 2)), 2)
    np.testing.assert_array_equal(got[0, 0], [[2, 2], [2, 2]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@STABLE
@given(pools())
def test_max_pooling_and_its_gradient_equal_those_of_torch(dtype, layer):
    shape, kernel, options = layer
    (x,) = random(shape, dtype=dtype)
    got = ops.max_pool2d(x, kernel, **options)
    (dy,) = random(got.shape, seed=1, dtype=dtype)
    want, want_dx = gradient(functional.max_pool2d, x, dy, kernel, options)
    np.testing.assert_array_equal(got, want, strict=True)
    dx = ops.max_pool2d_backward(dy, x, kernel, **options)
    np.testing.assert_allclose(dx, want_dx, atol=1e-10 if dtype == np.float64 else 1e-5, strict=True)


@STABLE
@given(pools())
def test_ties_are_broken_as_in_torch(layer):
    shape, kernel, options = layer
    x = np.random.default_rng(0).integers(0, 3, shape).astype(float)
    (dy,) = random(ops.max_pool2d(x, kernel, **options).shape, seed=1)
    _, want = gradient(functional.max_pool2d, x, dy, kernel, options)
    np.testing.assert_allclose(ops.max_pool2d_backward(dy, x, kernel, **options), want, atol=1e-10, strict=True)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@STABLE
@given(pools(dilations=1))
def test_average_pooling_and_its_gradient_equal_those_of_torch(dtype, layer):
    shape, kernel, options = layer
    (x,) = random(shape, dtype=dtype)
    got = ops.avg_pool2d(x, kernel, **options)
    (dy,) = random(got.shape, seed=1, dtype=dtype)
    want, want_dx = gradient(functional.avg_pool2d, x, dy, kernel, options)
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(got, want, atol=tolerance, strict=True)
    np.testing.assert_allclose(ops.avg_pool2d_backward(dy, x, kernel, **options), want_dx, atol=tolerance, strict=True)


@STABLE
@given(pools(dilations=1))
def test_average_pooling_passes_the_dot_product_test(layer):
    shape, kernel, options = layer
    (x,) = random(shape)
    y = ops.avg_pool2d(x, kernel, **options)
    (dy,) = random(y.shape, seed=1)
    dx = ops.avg_pool2d_backward(dy, x, kernel, **options)
    assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, y), abs=1e-9)


@pytest.mark.parametrize("options", [{}, {"stride": (1, 2), "padding": (1, 0)}])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pooling_gradients_equal_numerical_slopes(kind, options):
    pool, backward = getattr(ops, f"{kind}_pool2d"), getattr(ops, f"{kind}_pool2d_backward")
    (x,) = random((2, 2, 5, 6))
    (dy,) = random(pool(x, (3, 2), **options).shape, seed=1)
    want = numerical_gradient(lambda x: np.vdot(dy, pool(x, (3, 2), **options)), x)
    np.testing.assert_allclose(backward(dy, x, (3, 2), **options), want, atol=1e-7)


def test_a_pixel_that_is_not_a_number_wins_its_window_and_takes_its_gradient():
    x = MATRIX.copy()
    x[0, 0, 0, 0] = np.nan
    np.testing.assert_array_equal(ops.max_pool2d(x, 2)[0, 0], [[np.nan, 8], [14, 16]])
    dx = ops.max_pool2d_backward(np.array([[[[5.0, 6], [7, 8]]]]), x, 2)
    np.testing.assert_array_equal(dx[0, 0], [[5, 0, 0, 0], [0, 0, 0, 6], [0, 0, 0, 0], [0, 7, 0, 8]])


def test_of_two_that_are_not_numbers_the_last_takes_the_gradient_as_in_torch():
    x = np.array([[[[np.nan, 1, np.nan, 2]]]])
    np.testing.assert_array_equal(ops.max_pool2d_backward(np.ones((1, 1, 1, 1)), x, (1, 4)), [[[[0, 0, 1, 0]]]])


@pytest.mark.parametrize(
    ("value", "dtype"), [(-np.inf, np.float16), (-np.inf, np.float64), (0, np.uint8), (-128, np.int8), (-(2**63), int)]
)
def test_the_padding_takes_no_gradient_where_the_largest_pixel_is_as_small_as_can_be(value, dtype):
    x, dy = np.full((1, 1, 2, 2), value, dtype), np.arange(1.0, 5).reshape(1, 1, 2, 2)
    np.testing.assert_array_equal(ops.max_pool2d_backward(dy, x, 2, padding=1), dy)


def test_a_gradient_that_is_not_finite_stays_with_the_winner():
    dx = ops.max_pool2d_backward(np.array([[[[np.inf, np.nan]]]]), np.ones((1, 1, 2, 4)), 2)
    np.testing.assert_array_equal(dx[0, 0], [[np.inf, 0, np.nan, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_no_images_go_through_pooling_and_back(kind):
    x = np.zeros((0, 3, 5, 6))
    y = getattr(ops, f"{kind}_pool2d")(x, 2, padding=1)
    assert y.shape == (0, 3, 3, 4)
    assert getattr(ops, f"{kind}_pool2d_backward")(y, x, 2, padding=1).shape == x.shape


def test_a_window_that_sees_only_padding_is_minus_infinity_and_keeps_its_gradient():
    x = np.ones((1, 1, 1, 2))
    y = ops.max_pool2d(x, (1, 2), padding=(0, 1), dilation=3)  # pixels -1 and 2 of 0 and 1
    np.testing.assert_array_equal(y, [[[[-np.inf]]]])
    dx = ops.max_pool2d_backward(np.ones_like(y), x, (1, 2), padding=(0, 1), dilation=3)
    np.testing.assert_array_equal(dx, np.zeros_like(x))


def test_images_of_bytes_can_be_max_pooled_but_not_averaged_because_their_sums_wrap_around():
    x = MATRIX.astype(np.uint8)
    np.testing.assert_array_equal(ops.max_pool2d(x, 3, stride=3, padding=1)[0, 0], [[6, 8], [14, 16]])
    with pytest.raises(ValueError, match="x holds uint8"):
        ops.avg_pool2d(x, 2)


def test_an_average_of_whole_numbers_is_exact_and_no_whole_number():
    x = np.array([[100, 100], [100, 101]], np.int8)[None, None]
    np.testing.assert_array_equal(ops.avg_pool2d(x, 2), [[[[100.25]]]], strict=True)
    dx = ops.avg_pool2d_backward(np.ones((1, 1, 1, 1), int), x, 2)
    np.testing.assert_array_equal(dx, np.full((1, 1, 2, 2), 0.25), strict=True)


def test_a_sum_of_half_floats_does_not_overflow_on_the_way_to_their_average():
    x = np.full((1, 1, 2, 2), 6e4, np.float16)
    np.testing.assert_array_equal(ops.avg_pool2d(x, 2), x[:, :, :1, :1], strict=True)


def test_too_much_padding_is_an_error():
    with pytest.raises(ValueError, match=r"padding 2 is more than half the window.*Try padding=1"):
        ops.max_pool2d(MATRIX, 3, padding=2)


def test_a_window_larger_than_the_image_is_an_error():
    with pytest.raises(ValueError, match="spans 5 pixels"):
        ops.avg_pool2d(MATRIX, 5)


def test_an_image_without_a_batch_is_an_error():
    with pytest.raises(ValueError, match=r"x has 3 axes \(1, 4, 4\), want 4"):
        ops.max_pool2d(MATRIX[0], 2)


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_a_gradient_of_another_shape_is_an_error(kind):
    with pytest.raises(ValueError, match=r"dy has shape \(1, 1, 4, 4\) but the output has \(1, 1, 2, 2\)"):
        getattr(ops, f"{kind}_pool2d_backward")(MATRIX, MATRIX, 2)
