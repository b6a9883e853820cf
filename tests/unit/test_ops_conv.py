"""Convolution and transposed convolution, forward and backward: hand cases, loops, torch, adjoints, properties."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from cnnlib import ops
from cnnlib.check import numerical_gradient

STABLE = settings(max_examples=80, deadline=None, derandomize=True, database=None)
TOLERANCE = {np.float64: 1e-10, np.float32: 2e-5}
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
RAMP = np.arange(25.0).reshape(5, 5)
EDGE = np.array([[1.0, 0, -1]] * 3)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Arrays here are tiny: a second thread in torch would only wait for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def assert_close(got, want, dtype=np.float64):
    """Same shape, same dtype, and differences small against the largest number."""
    want = want.detach().numpy() if isinstance(want, torch.Tensor) else np.asarray(want)
    assert got.shape == want.shape
    assert got.dtype == dtype
    scale = max(1.0, np.abs(want).max(initial=0))
    assert np.abs(got - want).max(initial=0) <= TOLERANCE[dtype] * scale


def random(*shapes, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def tensors(*arrays):
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def torch_gradients(y, inputs, dy):
    return torch.autograd.grad(y, inputs, torch.from_numpy(dy))


@st.composite
def number_or_pair(draw, low, high):
    """An option as a number, or as a pair for the two axes."""
    number = st.integers(low, high)
    return draw(st.one_of(number, st.tuples(number, number)))


def pair(value):
    return (value, value) if isinstance(value, int) else value


@st.composite
def layers(draw, channels=(1, 2, 3, 16, 19)):
    """Shapes of x and w for which at least one window fits, and the options; H and W, K and L are drawn apart."""
    options = {
        "stride": draw(number_or_pair(1, 3)),
        "padding": draw(number_or_pair(0, 3)),
        "dilation": draw(number_or_pair(1, 3)),
        "groups": draw(st.sampled_from([1, 1, 2, 3])),
    }
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    size = []
    for k, p, d in zip(kernel, pair(options["padding"]), pair(options["dilation"]), strict=True):
        smallest = max(1, d * (k - 1) + 1 - 2 * p)
        size.append(draw(st.integers(smallest, smallest + 6)))
    C, F = draw(st.sampled_from(channels)), draw(st.integers(1, 4))
    x_shape = (draw(st.integers(1, 3)), C * options["groups"], *size)
    return x_shape, (F * options["groups"], C, *kernel), options


def loops(x, w, b, stride, padding, dilation):
    """Convolution by its definition, one output number at a time."""
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    (N, _, H, W), (F, _, K, L) = x.shape, w.shape
    H = 1 + (H - dilation[0] * (K - 1) - 1) // stride[0]
    W = 1 + (W - dilation[1] * (L - 1) - 1) // stride[1]
    y = np.zeros((N, F, H, W))
    for n, f, i, j in np.ndindex(y.shape):
        rows = i * stride[0] + dilation[0] * np.arange(K)
        columns = j * stride[1] + dilation[1] * np.arange(L)
        y[n, f, i, j] = (x[n][:, rows][:, :, columns] * w[f]).sum() + b[f]
    return y


# Hand cases


def test_correlate1d_slides_without_flipping():
    np.testing.assert_array_equal(ops.correlate1d(np.array([1, 2, 4, 8]), np.array([1, 10])), [21, 42, 84])


def test_the_edge_kernel_on_the_ramp_is_minus_six_everywhere():
    np.testing.assert_array_equal(ops.correlate2d(RAMP, EDGE), np.full((3, 3), -6.0))
    np.testing.assert_array_equal(ops.correlate2d(RAMP, EDGE[:, ::-1]), np.full((3, 3), 6.0))
    np.testing.assert_array_equal(ops.conv2d(RAMP[None, None], EDGE[None, None]), np.full((1, 1, 3, 3), -6.0))


def test_correlate2d_keeps_rows_and_columns_apart():
    got = ops.correlate2d(np.arange(12).reshape(3, 4), np.array([[1, 10, 100]]))
    np.testing.assert_array_equal(got, [[210, 321], [654, 765], [1098, 1209]])


@pytest.mark.parametrize(
    ("arguments", "want"),
    [((28, 3), 26), ((28, 3, 1, 1), 28), ((28, 2, 2), 14), ((13, 2, 2), 6), ((10, 3, 3), 3), ((7, 3, 1, 0, 3), 1)],
)
def test_output_size_counts_the_stops(arguments, want):
    assert ops.output_size(*arguments) == want


def test_im2col_writes_each_window_as_a_column():
    got = ops.im2col(np.arange(6.0).reshape(1, 1, 2, 3), (2, 2))
    np.testing.assert_array_equal(got, [[[0, 1], [1, 2], [3, 4], [4, 5]]])


def test_im2col_of_single_pixels_is_a_copy_that_may_be_changed():
    x = np.ones((1, 2, 3, 4))
    cols = ops.im2col(x, 1)
    cols += 1
    np.testing.assert_array_equal(x, np.ones((1, 2, 3, 4)))


def test_col2im_adds_each_column_back_so_it_counts_how_often_a_pixel_is_used():
    cols = ops.im2col(np.ones((1, 1, 4, 4)), 3)
    np.testing.assert_array_equal(ops.col2im(cols, (4, 4), 3)[0, 0], np.outer([1, 2, 2, 1], [1, 2, 2, 1]))


def test_conv_transpose2d_paints_overlapping_kernels():
    got = ops.conv_transpose2d(np.array([[[[1.0, 10]]]]), np.ones((1, 1, 1, 3)), stride=(1, 2))
    np.testing.assert_array_equal(got, [[[[1, 1, 11, 10, 10]]]])


# Loops and torch


@STABLE
@given(layers())
def test_conv2d_does_what_six_loops_do(layer):
    x_shape, w_shape, options = layer
    x, w, b = random(x_shape, w_shape, w_shape[:1])
    pairs = [pair(options[name]) for name in ("stride", "padding", "dilation")]
    G = options["groups"]
    parts = zip(np.split(x, G, axis=1), np.split(w, G), np.split(b, G), strict=True)
    want = np.concatenate([loops(*part, *pairs) for part in parts], axis=1)
    assert_close(ops.conv2d(x, w, b, **options), want)


@DTYPES
@STABLE
@given(layers())
def test_conv2d_and_its_gradients_equal_those_of_torch(dtype, layer):
    x_shape, w_shape, options = layer
    x, w, b = random(x_shape, w_shape, w_shape[:1], dtype=dtype)
    inputs = tensors(x, w, b)
    y = functional.conv2d(*inputs, **options)
    assert_close(ops.conv2d(x, w, b, **options), y, dtype)
    (dy,) = random(y.shape, seed=1, dtype=dtype)
    for got, want in zip(ops.conv2d_backward(dy, x, w, **options), torch_gradients(y, inputs, dy), strict=True):
        assert_close(got, want, dtype)


@DTYPES
@settings(STABLE, max_examples=25)
@given(st.integers(48, 50), st.integers(48, 50), st.integers(3, 11), st.integers(3, 11), number_or_pair(0, 3))
def test_wide_3x3_layers_equal_those_of_torch(dtype, C, F, H, W, padding):
    x, w, b = random((2, C, H, W), (F, C, 3, 3), (F,), dtype=dtype)
    inputs = tensors(x, w, b)
    y = functional.conv2d(*inputs, padding=padding)
    assert_close(ops.conv2d(x, w, b, padding=padding), y, dtype)
    (dy,) = random(y.shape, seed=1, dtype=dtype)
    got = ops.conv2d_backward(dy, x, w, padding=padding)
    for gradient, want in zip(got, torch_gradients(y, inputs, dy), strict=True):
        assert_close(gradient, want, dtype)


@DTYPES
@STABLE
@given(layers(channels=(1, 2, 3)), st.data())
def test_conv_transpose2d_and_its_gradients_equal_those_of_torch(dtype, layer, data):
    (N, _, H, W), (C, F, *kernel), options = layer
    limits = [max(s, d) - 1 for s, d in zip(pair(options["stride"]), pair(options["dilation"]), strict=True)]
    options["output_padding"] = tuple(data.draw(st.integers(0, limit)) for limit in limits)
    pairs = [pair(options[name]) for name in ("padding", "stride", "dilation")]
    axes = zip((H, W), kernel, *pairs, strict=True)
    options["padding"] = tuple(min(p, ((n - 1) * s + d * (k - 1)) // 2) for n, k, p, s, d in axes)  # something is left
    x, w, b = random((N, C, H, W), (C, F, *kernel), (F * options["groups"],), dtype=dtype)
    inputs = tensors(x, w, b)
    y = functional.conv_transpose2d(*inputs, **options)
    assert_close(ops.conv_transpose2d(x, w, b, **options), y, dtype)
    (dy,) = random(y.shape, seed=1, dtype=dtype)
    got = ops.conv_transpose2d_backward(dy, x, w, **options)
    for gradient, want in zip(got, torch_gradients(y, inputs, dy), strict=True):
        assert_close(gradient, want, dtype)


@STABLE
@given(layers())
def test_im2col_is_unfold_and_col2im_is_fold(layer):
    x_shape, w_shape, options = layer
    del options["groups"]
    (x,) = random(x_shape)
    cols = ops.im2col(x, w_shape[2:], **options)
    assert_close(cols, functional.unfold(torch.from_numpy(x), w_shape[2:], **options))
    got = ops.col2im(cols, x_shape[2:], w_shape[2:], **options)
    assert_close(got, functional.fold(torch.from_numpy(cols), x_shape[2:], w_shape[2:], **options))


def test_large_images_are_computed_in_blocks_of_rows_with_the_same_result():
    x, w = random((2, 3, 150, 170), (4, 3, 5, 5), dtype=np.float32)
    assert 2 * ops.BLOCK < 3 * 25 * 146 * 166
    assert_close(ops.conv2d(x, w), functional.conv2d(*tensors(x, w)), np.float32)
    inputs = tensors(x, w)
    y = functional.conv2d(*inputs)
    (dy,) = random(y.shape, seed=1, dtype=np.float32)
    for got, want in zip(ops.conv2d_backward(dy, x, w), torch_gradients(y, inputs, dy), strict=False):
        assert_close(got, want, np.float32)


# What must hold without torch


@STABLE
@given(layers())
def test_the_gradient_passes_the_dot_product_test(layer):
    x_shape, w_shape, options = layer
    x, w = random(x_shape, w_shape)
    y = ops.conv2d(x, w, **options)
    (dy,) = random(y.shape, seed=1)
    dx, dw, _ = ops.conv2d_backward(dy, x, w, **options)
    assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, y), abs=1e-9)
    assert np.vdot(dw, w) == pytest.approx(np.vdot(dy, y), abs=1e-9)


@STABLE
@given(layers())
def test_col2im_is_the_adjoint_of_im2col(layer):
    x_shape, w_shape, options = layer
    del options["groups"]
    (x,) = random(x_shape)
    cols = ops.im2col(x, w_shape[2:], **options)
    (dcols,) = random(cols.shape, seed=1)
    dx = ops.col2im(dcols, x_shape[2:], w_shape[2:], **options)
    assert np.vdot(dx, x) == pytest.approx(np.vdot(dcols, cols), abs=1e-9)


@STABLE
@given(layers())
def test_conv_transpose2d_is_the_adjoint_of_conv2d(layer):
    x_shape, w_shape, options = layer
    x, w = random(x_shape, w_shape)
    y = ops.conv2d(x, w, **options)
    (dy,) = random(y.shape, seed=1)
    pairs = [pair(options[name]) for name in ("stride", "padding", "dilation")]
    axes = zip(x_shape[2:], w_shape[2:], *pairs, strict=True)
    rest = tuple((n + 2 * p - d * (k - 1) - 1) % s for n, k, s, p, d in axes)  # the pixels that the floor dropped
    back = ops.conv_transpose2d(dy, w, **options, output_padding=rest)
    assert np.vdot(back, x) == pytest.approx(np.vdot(dy, y), abs=1e-9)


OPTIONS = [
    {},
    {"stride": (2, 1), "padding": (1, 2)},
    {"dilation": (1, 2), "padding": 1},
    {"stride": 3, "padding": 1, "dilation": 2, "groups": 2},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_conv2d_backward_equals_numerical_slopes(options):
    x, w, b = random((2, 2, 6, 7), (4, 2 // options.get("groups", 1), 3, 2), (4,))
    (dy,) = random(ops.conv2d(x, w, b, **options).shape, seed=1)
    dx, dw, db = ops.conv2d_backward(dy, x, w, **options)

    def loss(x, w, b):
        return np.vdot(dy, ops.conv2d(x, w, b, **options))

    np.testing.assert_allclose(dx, numerical_gradient(lambda v: loss(v, w, b), x), atol=1e-7)
    np.testing.assert_allclose(dw, numerical_gradient(lambda v: loss(x, v, b), w), atol=1e-7)
    np.testing.assert_allclose(db, numerical_gradient(lambda v: loss(x, w, v), b), atol=1e-7)


@pytest.mark.parametrize("options", OPTIONS)
def test_conv_transpose2d_backward_equals_numerical_slopes(options):
    x, w, b = random((2, 4, 3, 4), (4, 2 // options.get("groups", 1), 3, 2), (2,))
    (dy,) = random(ops.conv_transpose2d(x, w, b, **options).shape, seed=1)
    dx, dw, db = ops.conv_transpose2d_backward(dy, x, w, **options)

    def loss(x, w, b):
        return np.vdot(dy, ops.conv_transpose2d(x, w, b, **options))

    np.testing.assert_allclose(dx, numerical_gradient(lambda v: loss(v, w, b), x), atol=1e-7)
    np.testing.assert_allclose(dw, numerical_gradient(lambda v: loss(x, v, b), w), atol=1e-7)
    np.testing.assert_allclose(db, numerical_gradient(lambda v: loss(x, w, v), b), atol=1e-7)


@STABLE
@given(layers())
def test_conv2d_is_linear_in_the_image(layer):
    x_shape, w_shape, options = layer
    x, other, w = random(x_shape, x_shape, w_shape)
    want = 2 * ops.conv2d(x, w, **options) - 3 * ops.conv2d(other, w, **options)
    assert_close(ops.conv2d(2 * x - 3 * other, w, **options), want)


@pytest.mark.parametrize("channels", [2, 16, 48])  # one of each way to compute it
def test_a_shifted_image_gives_a_shifted_answer(channels):
    x, w = random((2, channels, 12, 14), (channels, channels, 3, 3))
    shifted = np.roll(x, (2, 1), axis=(2, 3))
    assert_close(ops.conv2d(shifted, w)[:, :, 2:, 1:], ops.conv2d(x, w)[:, :, :-2, :-1])


def test_stride_keeps_every_second_answer():
    x, w = random((2, 3, 9, 11), (4, 3, 3, 2))
    assert_close(ops.conv2d(x, w, stride=(2, 3)), ops.conv2d(x, w)[:, :, ::2, ::3])


def test_dilation_is_a_kernel_with_holes():
    x, w = random((2, 3, 9, 11), (4, 3, 3, 2))
    holes = np.zeros((4, 3, 5, 4))
    holes[:, :, ::2, ::3] = w
    assert_close(ops.conv2d(x, w, dilation=(2, 3)), ops.conv2d(x, holes))


def test_each_image_is_computed_alone():
    x, w, b = random((3, 2, 6, 7), (4, 2, 3, 3), (4,))
    want = np.concatenate([ops.conv2d(x[n : n + 1], w, b) for n in range(3)])
    assert_close(ops.conv2d(x, w, b), want)


def test_conv2d_of_correlate2d_sums_over_channels():
    x, w = random((1, 2, 6, 7), (1, 2, 3, 2))
    assert_close(ops.conv2d(x, w)[0, 0], sum(ops.correlate2d(x[0, c], w[0, c]) for c in range(2)))


def test_a_bias_of_wider_numbers_widens_the_output():
    got = ops.conv2d(np.ones((1, 1, 2, 2), int), np.ones((1, 1, 2, 2), int), np.array([0.5]))
    np.testing.assert_array_equal(got, [[[[4.5]]]], strict=True)


def test_whole_numbers_give_exact_whole_numbers():
    got = ops.conv2d(np.arange(50).reshape(1, 2, 5, 5), np.ones((3, 2, 2, 2), int))
    assert got.dtype.kind == "i"
    assert got[0, 0, 0, 0] == 0 + 1 + 5 + 6 + 25 + 26 + 30 + 31


# What is not finite, and what is much larger, stays where it is seen


@pytest.mark.parametrize("channels", [1, 3, 48])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_pixel_that_is_not_finite_reaches_the_outputs_that_see_it_and_no_others(channels, bad):
    x, w = random((2, channels, 9, 9), (channels, channels, 3, 3), dtype=np.float32)
    x[1, 0, 4, 2] = bad
    with np.errstate(invalid="ignore"):
        y = ops.conv2d(x, w, padding=1)
    want = np.zeros((2, channels, 9, 9), bool)
    want[1, :, 3:6, 1:4] = True
    np.testing.assert_array_equal(~np.isfinite(y), want)


@pytest.mark.parametrize("channels", [1, 3, 48])
def test_a_gradient_that_is_not_finite_reaches_the_pixels_of_its_window_and_no_others(channels):
    dy, x, w = random((1, channels, 7, 7), (1, channels, 9, 9), (channels, channels, 3, 3), dtype=np.float32)
    dy[0, 0, 3, 1] = np.inf
    with np.errstate(invalid="ignore"):
        dx, dw, db = ops.conv2d_backward(dy, x, w)
    want = np.zeros(x.shape, bool)
    want[0, :, 3:6, 1:4] = True
    np.testing.assert_array_equal(~np.isfinite(dx), want)
    assert np.isfinite(dw[1:]).all()
    assert not np.isfinite(dw[0]).any()
    assert np.isfinite(db[1:]).all()
    assert not np.isfinite(db[0]).any()


def test_a_weight_that_is_not_finite_reaches_only_the_pixels_it_met():
    dy, x, w = random((1, 1, 3, 3), (1, 1, 5, 5), (1, 1, 3, 3))
    w[0, 0, 2, 2] = np.inf
    dx, _, _ = ops.conv2d_backward(dy, x, w)
    want = np.zeros((5, 5), bool)
    want[2:, 2:] = True
    np.testing.assert_array_equal(~np.isfinite(dx[0, 0]), want)


@pytest.mark.parametrize("channels", [1, 3, 48])
def test_a_pixel_of_a_million_among_ones_costs_its_neighbors_no_digits(channels):
    x, w = random((1, channels, 9, 9), (channels, channels, 3, 3), dtype=np.float32)
    without = ops.conv2d(x, w)[:, :, 3:]
    x[0, :, 0, 0] = 1e6
    np.testing.assert_allclose(ops.conv2d(x, w)[:, :, 3:], without, rtol=0, atol=1e-4)


def test_half_floats_are_summed_in_single_ones():
    x, w = np.full((1, 1, 50, 50), 0.1, np.float16), np.ones((1, 1, 50, 50), np.float16)
    y = ops.conv2d(x, w)
    assert y.dtype == np.float16
    assert float(y[0, 0, 0, 0]) == pytest.approx(2500 * float(x[0, 0, 0, 0]), rel=1e-3)


# No images, no channels


@pytest.mark.parametrize("options", OPTIONS)
def test_no_images_give_no_answers_and_gradients_of_0(options):
    x, w = random((0, 2, 6, 7), (4, 2 // options.get("groups", 1), 3, 2))
    y = ops.conv2d(x, w, **options)
    assert y.shape == (0, *ops.conv2d(np.ones((1, 2, 6, 7)), w, **options).shape[1:])
    for got, like in zip(ops.conv2d_backward(y, x, w, **options), (x, w, np.ones(4)), strict=True):
        np.testing.assert_array_equal(got, np.zeros(like.shape), strict=True)
    assert ops.im2col(x, 2).shape == (0, 8, 30)
    assert ops.col2im(ops.im2col(x, 2), (6, 7), 2).shape == x.shape


@pytest.mark.parametrize("options", OPTIONS)
def test_no_images_go_through_a_transposed_convolution_and_back(options):
    x, w = random((0, 4, 6, 7), (4, 2 // options.get("groups", 1), 3, 2))
    y = ops.conv_transpose2d(x, w, **options)
    assert y.shape == (0, *ops.conv_transpose2d(np.ones((1, 4, 6, 7)), w, **options).shape[1:])
    for got, like in zip(ops.conv_transpose2d_backward(y, x, w, **options), (x, w, np.ones(2)), strict=True):
        np.testing.assert_array_equal(got, np.zeros(like.shape), strict=True)


def test_no_channels_leave_the_bias():
    x, w = np.zeros((2, 0, 5, 6)), np.zeros((3, 0, 2, 2))
    y = ops.conv2d(x, w, np.arange(3.0))
    np.testing.assert_array_equal(y, np.arange(3.0)[:, None, None] * np.ones((2, 3, 4, 5)), strict=True)
    dx, dw, db = ops.conv2d_backward(np.ones_like(y), x, w)
    assert (dx.shape, dw.shape) == (x.shape, w.shape)
    np.testing.assert_array_equal(db, [40, 40, 40])


# Memory

WIDE = [
    ((2, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    ((16, 16, 28, 28), (16, 16, 5, 5), {"padding": 2}),
    ((4, 3, 112, 112), (64, 3, 7, 7), {"padding": 3, "stride": 2}),
    ((8, 32, 28, 28), (32, 1, 3, 3), {"padding": 1, "groups": 32}),
]


@pytest.mark.parametrize(("x_shape", "w_shape", "options"), WIDE)
def test_conv2d_takes_at_most_ten_times_the_memory_of_input_and_output(x_shape, w_shape, options):
    x, w = random(x_shape, w_shape, dtype=np.float32)
    y, peak = peak_memory(lambda: ops.conv2d(x, w, **options))
    assert peak <= 10 * (x.nbytes + y.nbytes)
    _, peak = peak_memory(lambda: ops.conv2d_backward(y, x, w, **options))
    assert peak <= 10 * (x.nbytes + y.nbytes)


def peak_memory(run):
    tracemalloc.start()
    result = run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, peak


# Errors: both numbers, and what to try


def test_gray_images_for_rgb_kernels_are_an_error_that_says_so():
    with pytest.raises(
        ValueError, match=r"x has 1 channel but w expects 3 \(x: \(8, 1, 28, 28\), w: \(16, 3, 3, 3\)\)\. Did"
    ):
        ops.conv2d(*random((8, 1, 28, 28), (16, 3, 3, 3)))


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options", "message"),
    [
        ((8, 28, 28, 3), (16, 3, 3, 3), {}, r"channels last\? Try x.transpose\(0, 3, 1, 2\)"),
        ((3, 28, 28), (16, 3, 3, 3), {}, r"x has 3 axes \(3, 28, 28\), want 4.*Try x\[None\]"),
        ((28, 28), (1, 1, 3, 3), {}, r"x has 2 axes.*Try x\[None, None\]"),
        ((1, 1, 5, 5), (3, 3), {}, r"w has 2 axes \(3, 3\), want 4"),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"groups": 2}, r"x has 4 channels but w expects 8"),
        ((2, 4, 5, 5), (5, 2, 3, 3), {"groups": 2}, "5 filters cannot be split into 2 groups"),
        ((2, 4, 5, 5), (6, 4, 7, 3), {}, "spans 7 pixels .* has only 5"),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"dilation": (1, 3)}, "spans 7 pixels .* has only 5"),
        ((2, 4, 5, 5), (0, 4, 3, 3), {}, r"w has no filters \(0, 4, 3, 3\), want .* Try w\[:1\]"),
        ((2, 4, 0, 5), (6, 4, 3, 3), {"padding": 2}, "its images have no pixels. Was it cut too small"),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"stride": 0}, "stride 0"),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"padding": -1}, "padding -1"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_what_to_try(x_shape, w_shape, options, message):
    with pytest.raises(ValueError, match=message):
        ops.conv2d(*random(x_shape, w_shape), **options)


def test_images_of_bytes_are_an_error_because_their_sums_wrap_around():
    with pytest.raises(ValueError, match=r"x holds uint8.*Try x.astype\(np.float32\) / 255"):
        ops.conv2d(np.zeros((1, 1, 5, 5), np.uint8), np.ones((1, 1, 3, 3)))


def test_a_bias_for_other_filters_is_an_error():
    with pytest.raises(ValueError, match=r"b has shape \(3,\) but there are 4 filters"):
        ops.conv2d(*random((1, 2, 5, 5), (4, 2, 3, 3), (3,)))


def test_a_gradient_of_another_shape_is_an_error():
    x, w = random((1, 2, 5, 5), (4, 2, 3, 3))
    with pytest.raises(ValueError, match=r"dy has shape \(1, 4, 5, 5\) but the output has \(1, 4, 3, 3\)"):
        ops.conv2d_backward(np.zeros((1, 4, 5, 5)), x, w)


def test_columns_of_other_images_are_an_error():
    with pytest.raises(ValueError, match=r"cols has shape \(1, 9, 9\)"):
        ops.col2im(np.zeros((1, 9, 9)), (6, 6), 3)


def test_correlate2d_of_a_color_image_is_an_error():
    with pytest.raises(ValueError, match="Try one channel"):
        ops.correlate2d(np.zeros((5, 5, 3)), np.ones((3, 3)))


def test_a_kernel_larger_than_the_image_is_an_error():
    with pytest.raises(ValueError, match="spans 3 pixels"):
        ops.correlate2d(np.zeros((5, 2)), np.ones((3, 3)))
    with pytest.raises(ValueError, match="spans 3 pixels"):
        ops.correlate1d(np.zeros(2), np.ones(3))


def test_kernels_of_conv2d_in_conv_transpose2d_are_an_error():
    with pytest.raises(ValueError, match=r"x has 3 channels but w expects 8.*swapaxes\(0, 1\)"):
        ops.conv_transpose2d(*random((1, 3, 5, 5), (8, 3, 3, 3)))


def test_channels_that_cannot_be_split_in_conv_transpose2d_are_an_error():
    with pytest.raises(ValueError, match="3 channels cannot be split into 2 groups"):
        ops.conv_transpose2d(*random((1, 3, 5, 5), (3, 4, 3, 3)), groups=2)


def test_padding_that_leaves_nothing_is_an_error():
    with pytest.raises(ValueError, match="padding 3 on both sides leaves 0 of 6 pixels"):
        ops.conv_transpose2d(*random((1, 3, 4, 4), (3, 2, 3, 3)), padding=3)


def test_output_padding_of_a_whole_stride_is_an_error():
    with pytest.raises(ValueError, match="output_padding 2 must be below stride 2"):
        ops.conv_transpose2d(*random((1, 3, 5, 5), (3, 3, 3, 3)), stride=2, output_padding=2)
