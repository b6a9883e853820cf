"""Dense layers, losses, batch normalization and update rules; and what holds for every function of cnnlib.ops."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from cnnlib import ops
from cnnlib.check import numerical_gradient

STABLE = settings(max_examples=60, deadline=None, derandomize=True, database=None)


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


def tensors(*arrays):
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def assert_close(got, want, atol=1e-10):
    want = want.detach().numpy() if isinstance(want, torch.Tensor) else want
    np.testing.assert_allclose(got, want, rtol=atol, atol=atol, strict=True)


# What holds for every function


LABELS = np.array([0, 4, 2, 1])
CALLS = {  # name: shapes of the arrays, and a call with them
    "correlate1d": (((9,), (3,)), ops.correlate1d),
    "correlate2d": (((7, 9), (3, 2)), ops.correlate2d),
    "im2col": (((2, 4, 7, 9),), lambda x: ops.im2col(x, (3, 2))),
    "col2im": (((2, 24, 40),), lambda cols: ops.col2im(cols, (7, 9), (3, 2))),
    "conv2d": (((2, 4, 7, 9), (6, 4, 3, 2), (6,)), ops.conv2d),
    "conv2d_backward": (((2, 6, 5, 8), (2, 4, 7, 9), (6, 4, 3, 2)), ops.conv2d_backward),
    "conv_transpose2d": (((2, 6, 5, 8), (6, 4, 3, 2), (4,)), ops.conv_transpose2d),
    "conv_transpose2d_backward": (((2, 4, 7, 9), (2, 6, 5, 8), (6, 4, 3, 2)), ops.conv_transpose2d_backward),
    "max_pool2d": (((2, 4, 7, 9),), lambda x: ops.max_pool2d(x, 2)),
    "max_pool2d_backward": (((2, 4, 3, 4), (2, 4, 7, 9)), lambda dy, x: ops.max_pool2d_backward(dy, x, 2)),
    "avg_pool2d": (((2, 4, 7, 9),), lambda x: ops.avg_pool2d(x, 2)),
    "avg_pool2d_backward": (((2, 4, 3, 4), (2, 4, 7, 9)), lambda dy, x: ops.avg_pool2d_backward(dy, x, 2)),
    "relu": (((4, 5),), ops.relu),
    "relu_backward": (((4, 5), (4, 5)), ops.relu_backward),
    "linear": (((4, 5), (3, 5), (3,)), ops.linear),
    "linear_backward": (((4, 3), (4, 5), (3, 5)), ops.linear_backward),
    "softmax": (((4, 5),), ops.softmax),
    "softmax_backward": (((4, 5), (4, 5)), ops.softmax_backward),
    "cross_entropy": (((4, 5),), lambda z: ops.cross_entropy(z, LABELS)),
    "cross_entropy_backward": (((4, 5),), lambda z: ops.cross_entropy_backward(z, LABELS)),
    "batch_norm2d": (((2, 4, 7, 9), (4,), (4,)), lambda *a: ops.batch_norm2d(*a, training=True)),
    "batch_norm2d_backward": (((2, 4, 7, 9),) * 2 + ((4,),), lambda *a: ops.batch_norm2d_backward(*a, training=True)),
    "sgd_step": (((4, 5), (4, 5), (4, 5)), lambda *a: ops.sgd_step(*a, lr=0.1, momentum=0.9)),
    "adam_step": (((4, 5), (4, 5)), ops.adam_step),
}
EVERY = pytest.mark.parametrize(("shapes", "run"), CALLS.values(), ids=CALLS)


def outputs(result):
    """The arrays in a result, however it is nested; numbers of steps left out."""
    if isinstance(result, tuple):
        return [array for part in result for array in outputs(part)]
    return [] if isinstance(result, int) else [result]


def test_the_list_of_calls_is_complete():
    public = {name for name, value in vars(ops).items() if getattr(value, "__module__", "") == ops.__name__}
    assert {name for name in public if name[0] != "_"} == {*CALLS, "output_size"}


@EVERY
def test_no_function_changes_its_inputs_or_hands_them_back(shapes, run):
    arrays = random(*shapes)
    before = [array.copy() for array in arrays]
    results = outputs(run(*arrays))
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
        assert not any(np.shares_memory(array, result) for result in results)


@EVERY
def test_inputs_may_be_read_only(shapes, run):
    arrays = random(*shapes)
    for array in arrays:
        array.flags.writeable = False
    run(*arrays)


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_function_keeps_the_dtype(shapes, run, dtype):
    results = outputs(run(*random(*shapes, dtype=dtype)))
    assert [result.dtype for result in results] == [dtype] * len(results)


@EVERY
def test_inputs_need_not_be_contiguous(shapes, run):
    arrays = random(*shapes)
    strided = []
    for array in arrays:
        room = np.zeros([2 * n for n in array.shape][::-1])
        view = room.T[(slice(None, None, -2),) * array.ndim]  # other order, reversed, every second
        view[...] = array
        strided.append(view)
    for got, want in zip(outputs(run(*strided)), outputs(run(*arrays)), strict=True):
        assert_close(got, want, 1e-12)


# What every function refuses, in one sentence: what was expected, what came, what to try

NO_ARRAYS = [[1.0, 2.0], 3.0, None, "x", torch.ones(2, 2), np.ones((1, 1)).view(np.matrix), np.ma.masked_array([1.0])]
NO_NUMBERS = [complex, object, "U3", "datetime64[s]", "f4,f4"]


@EVERY
def test_what_is_no_array_is_an_error_that_names_it(shapes, run):
    arrays = random(*shapes)
    for i, bad in itertools.product(range(len(arrays)), NO_ARRAYS):
        if i < 2 or bad is not None:  # b and the states of update rules may be None
            with pytest.raises(ValueError, match=r"^\w+ is a \w+, want an array of NumPy's\. Try "):
                run(*arrays[:i], bad, *arrays[i + 1 :])


@EVERY
def test_what_holds_no_numbers_is_an_error_that_names_it(shapes, run):
    arrays = random(*shapes)
    for i, dtype in itertools.product(range(len(arrays)), NO_NUMBERS):
        bad = np.zeros(arrays[i].shape, dtype)
        with pytest.raises(ValueError, match=r"^\w+ holds .*, want floats.*\. Try \w+.astype\(np.float32\)$"):
            run(*arrays[:i], bad, *arrays[i + 1 :])


@EVERY
def test_an_axis_more_or_less_is_an_error(shapes, run):
    if run in (ops.relu, ops.softmax):
        return
    arrays = random(*shapes)
    for i, array in enumerate(arrays):
        for bad in (array[None], array[0]):
            with pytest.raises(ValueError, match=r"(want|but|fit).*[.?] (Try|Are|Is|One|Did|Was) "):
                run(*arrays[:i], bad, *arrays[i + 1 :])


def test_logits_without_labels_that_are_arrays_are_an_error():
    for function, labels in itertools.product((ops.cross_entropy, ops.cross_entropy_backward), ([0, 1], None, 1)):
        with pytest.raises(ValueError, match=r"labels is a .*, want an array of NumPy's"):
            function(np.zeros((2, 3)), labels)


IMAGES, MAPS, KERNELS = np.ones((2, 4, 6, 7)), np.ones((2, 6, 6, 7)), np.ones((6, 4, 1, 1))
CONV, POOL = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}, {"kernel_size": 1, "stride": 1, "padding": 0}
OPTIONS = {  # name: options that are whole numbers, and a call with them
    "output_size": ({"size": 9, "kernel": 3, "stride": 1, "padding": 1, "dilation": 1}, ops.output_size),
    "im2col": (POOL | {"dilation": 1}, lambda **o: ops.im2col(IMAGES, **o)),
    "col2im": (POOL | {"dilation": 1, "size": (6, 7)}, lambda **o: ops.col2im(np.ones((2, 4, 42)), **o)),
    "conv2d": (CONV, lambda **o: ops.conv2d(IMAGES, KERNELS, **o)),
    "conv2d_backward": (CONV, lambda **o: ops.conv2d_backward(MAPS, IMAGES, KERNELS, **o)),
    "conv_transpose2d": (CONV | {"output_padding": 0}, lambda **o: ops.conv_transpose2d(MAPS, KERNELS, **o)),
    "conv_transpose2d_backward": (
        CONV | {"output_padding": 0},
        lambda **o: ops.conv_transpose2d_backward(IMAGES, MAPS, KERNELS, **o),
    ),
    "max_pool2d": (POOL | {"dilation": 1}, lambda **o: ops.max_pool2d(IMAGES, **o)),
    "max_pool2d_backward": (POOL | {"dilation": 1}, lambda **o: ops.max_pool2d_backward(IMAGES, IMAGES, **o)),
    "avg_pool2d": (POOL, lambda **o: ops.avg_pool2d(IMAGES, **o)),
    "avg_pool2d_backward": (POOL, lambda **o: ops.avg_pool2d_backward(IMAGES, IMAGES, **o)),
}
NO_INDEX = [1.0, 0.5, np.nan, np.float32(1), "same", "1", b"1", None, 1j, (1.0, 1), [1, None], (1, 2, 3), (), {}, ...]
NO_INDEX += [torch.tensor(1.5), torch.ones(2), np.array([1.5, 1]), np.array(1.0), np.ones((2, 2), int), -1, (1, -1)]


@pytest.mark.parametrize("function", OPTIONS)
def test_an_option_that_is_no_whole_number_is_an_error_that_names_it(function):
    options, run = OPTIONS[function]
    run(**options)
    for name, bad in itertools.product(options, NO_INDEX):
        if not (name == "stride" and bad is None and "pool" in function):  # there it means windows side by side
            with pytest.raises(ValueError, match=rf"^{name} .*(want|must be at least).*\. (Try|To) "):
                run(**options | {name: bad})


@pytest.mark.parametrize(("options", "run"), OPTIONS.values(), ids=OPTIONS)
def test_only_padding_may_be_0(options, run):
    for name in options:
        if "padding" in name:
            run(**options | {name: 0})
        elif (name, run) != ("size", ops.output_size):
            with pytest.raises(ValueError, match=f"^{name} 0 must be at least 1. Try {name}=1$"):
                run(**options | {name: 0})


def test_a_division_that_should_have_been_whole_is_told_so():
    with pytest.raises(ValueError, match=r"^padding is 1.0, want a whole number. Try // instead of /, or int"):
        ops.conv2d(IMAGES, KERNELS, padding=(3 - 1) / 2)


def test_the_padding_that_keeps_the_size_is_told_to_who_asks_for_same():
    with pytest.raises(ValueError, match=r"^padding is 'same', want .*To keep the size, try \(kernel - 1\) // 2"):
        ops.conv2d(IMAGES, KERNELS, padding="same")


RATES = {  # name: options that are numbers, and a call with them
    "sgd_step": (["lr", "momentum", "weight_decay"], lambda **o: ops.sgd_step(*[np.ones(3)] * 3, **{"lr": 0.1} | o)),
    "adam_step": (["lr", "eps", "weight_decay"], lambda **o: ops.adam_step(*[np.ones(3)] * 2, **o)),
    "batch_norm2d": (["eps"], lambda **o: ops.batch_norm2d(IMAGES, *[np.ones(4)] * 4, **o)),
    "batch_norm2d_backward": (["eps"], lambda **o: ops.batch_norm2d_backward(*[IMAGES] * 2, *[np.ones(4)] * 3, **o)),
}


@pytest.mark.parametrize(("options", "run"), RATES.values(), ids=RATES)
def test_a_rate_that_is_no_number_or_negative_is_an_error_that_names_it(options, run):
    for name, bad in itertools.product(options, [-0.1, np.nan, "0.1", None, 1j, [0.1], torch.tensor(0.1)]):
        with pytest.raises(ValueError, match=rf"^{name} .*(want a number|must be at least 0)\. Try {name}=0.1$"):
            run(**{name: bad})


@pytest.mark.parametrize("betas", [0.9, (0.9,), (1.0, 0.9), (0.9, -0.1), ("a", "b"), None])
def test_betas_that_are_not_two_numbers_below_1_are_an_error(betas):
    with pytest.raises(ValueError, match=r"^betas .*Try betas="):
        ops.adam_step(np.ones(3), np.ones(3), betas=betas)


@pytest.mark.parametrize("state", [0, (1, 2), [np.ones(3), np.ones(3), 1], (np.ones(3), np.ones(3), 0.5)])
def test_a_state_that_adam_did_not_return_is_an_error(state):
    with pytest.raises(ValueError, match=r"^(state|t) is .*, want .*Try"):
        ops.adam_step(np.ones(3), np.ones(3), state)


def test_a_state_of_another_weight_is_an_error():
    with pytest.raises(ValueError, match=r"^v has shape \(2,\) but w has \(3,\)"):
        ops.sgd_step(np.ones(3), np.ones(3), np.ones(2), lr=0.1)
    with pytest.raises(ValueError, match=r"^m has shape \(2,\) but w has \(3,\)"):
        ops.adam_step(np.ones(3), np.ones(3), (np.ones(2), np.ones(3), 1))


# Whole numbers: summed rightly, or refused

BIG = np.iinfo(np.int64).max


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_sums_of_whole_numbers_are_exact_where_their_own_type_would_wrap_around(dtype):
    n = min(int(np.iinfo(dtype).max), 2**28)
    x, w, b = np.full((2, 1, 4, 4), n, dtype), np.full((1, 1, 3, 3), n, dtype), np.full(1, n, dtype)
    dy, ones = np.full((2, 1, 2, 2), n, dtype), np.full((2, 1, 3, 3), n, dtype)
    assert np.unique(ops.correlate1d(x[0, 0, 0], w[0, 0, 0])) == 3 * n * n
    assert np.unique(ops.correlate2d(x[0, 0], w[0, 0])) == 9 * n * n
    assert np.unique(ops.conv2d(x, w, b)) == 9 * n * n + n
    assert ops.conv_transpose2d(x, w, b).max() == 9 * n * n + n
    dx, dw, db = ops.conv2d_backward(dy, x, w)
    assert (dx.max(), *dw[0, 0, 0], *db) == (4 * n * n, *[8 * n * n] * 3, 8 * n)
    dx, dw, db = ops.conv_transpose2d_backward(x, dy, w)
    assert (dx.max(), *dw[0, 0, 0], *db) == (9 * n * n, *[8 * n * n] * 3, 32 * n)
    assert ops.linear(x[:, 0, 0], w[0, 0].repeat(2, 1)[:, :4], None)[0, 0] == 4 * n * n
    dx, dw, db = ops.linear_backward(dy[:, 0, 0], x[:, 0, 0], w[0, 0, :2].repeat(2, 1)[:, :4])
    assert (dx[0, 0], dw[0, 0], db[0]) == (2 * n * n, 2 * n * n, 2 * n)
    assert ops.col2im(ops.im2col(x, 3), (4, 4), 3).max() == 4 * n
    assert np.unique(ops.avg_pool2d(x, 2)) == n
    assert ops.avg_pool2d_backward(ones, x, 2, stride=1).max() == n
    assert ops.max_pool2d_backward(ones, np.zeros((2, 1, 4, 4)), 2, stride=1).max() == n


def test_bytes_are_summed_rightly_in_chapter_2_where_images_are_still_bytes():
    bright = np.full((3, 3), 255, np.uint8)
    assert ops.correlate2d(bright, bright)[0, 0] == 9 * 255**2
    assert ops.correlate1d(bright[0], np.ones(3, bool))[0] == 3 * 255
    assert ops.col2im(ops.im2col(bright[None, None], 2), (3, 3), 2).max() == 4 * 255


@pytest.mark.parametrize("bad", [BIG, -BIG - 1, 2**62])
def test_sums_that_64_bits_cannot_hold_are_refused(bad):
    x, w, two = np.full((2, 2, 2, 2), bad), np.full((2, 2, 1, 1), 2), np.full((2, 2, 2, 2), 2)
    column, row = np.full((1, 2), bad), np.full((3, 2), 2)
    for run in (
        lambda: ops.correlate1d(x[0, 0, 0], two[0, 0, 0]),
        lambda: ops.correlate2d(x[0, 0], two[0, 0]),
        lambda: ops.correlate2d(x[0, 0].astype(np.uint64), two[0, 0].astype(np.uint64)),
        lambda: ops.conv2d(x, w),
        lambda: ops.conv2d(two, w, np.full(2, BIG)),
        lambda: ops.conv2d_backward(two, x, w),
        lambda: ops.conv2d_backward(x, two, w),
        lambda: ops.conv_transpose2d(x, w),
        lambda: ops.conv_transpose2d_backward(two, x, w),
        lambda: ops.conv_transpose2d_backward(x, two, w),
        lambda: ops.linear(column, row),
        lambda: ops.linear_backward(row[:, :1].T, column, row),
        lambda: ops.col2im(np.full((1, 4, 4), bad), (3, 3), 2),
        lambda: ops.avg_pool2d(x, 2),
        lambda: ops.max_pool2d_backward(np.full((1, 1, 2, 2), bad), np.ones((1, 1, 3, 3)), 2, stride=1),
    ):
        with pytest.raises(ValueError, match=r"sums of these whole numbers may reach .*int64 ends at 9e18. Try astype"):
            run()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64, bool])
def test_unsigned_numbers_are_no_input_of_a_layer(dtype):
    for name, (shapes, run) in CALLS.items():
        arrays = random(*shapes)
        if name not in ("correlate1d", "correlate2d", "im2col", "col2im", "relu", "relu_backward", "max_pool2d"):
            bad = arrays[0].astype(dtype)
            with pytest.raises(ValueError, match=r"^\w+ holds (u?int\d+|bool), want floats or signed integers"):
                run(bad, *arrays[1:])


def test_whole_numbers_in_losses_and_batch_norm_are_taken_as_float64():
    z = np.array([[-100, 100, 0]], np.int8)
    np.testing.assert_array_equal(ops.softmax(z), ops.softmax(z.astype(float)))
    assert ops.cross_entropy(z, np.array([0])) == ops.cross_entropy(z.astype(float), np.array([0])) == 200
    x, one = np.arange(-128, 128, 8).reshape(2, 1, 4, 4).astype(np.int8), np.ones(1)
    for got, want in zip(
        (ops.batch_norm2d(x, one, one, training=True), *ops.batch_norm2d_backward(x, x, one, training=True)),
        (
            ops.batch_norm2d(x.astype(float), one, one, training=True),
            *ops.batch_norm2d_backward(x.astype(float), x.astype(float), one, training=True),
        ),
        strict=True,
    ):
        np.testing.assert_array_equal(got, want)


# Dense layers


def test_relu_passes_positive_numbers_and_their_gradients():
    x = np.array([-2.0, 0, 3])
    np.testing.assert_array_equal(ops.relu(x), [0, 0, 3])
    np.testing.assert_array_equal(ops.relu_backward(np.array([5.0, 6, 7]), x), [0, 0, 7])


def test_the_gradient_passes_where_relu_passed_a_nan_and_a_closed_gate_passes_nothing():
    x, dy = np.array([np.nan, -1, 0]), np.array([2.0, np.inf, np.nan])
    np.testing.assert_array_equal(ops.relu_backward(dy, x), [2, 0, 0])


def test_linear_by_hand():
    x, w, b = np.array([[1.0, 2]]), np.array([[3.0, 4], [5, 6], [7, 8]]), np.array([0.0, 1, 2])
    np.testing.assert_array_equal(ops.linear(x, w, b), [[11, 18, 25]])


@STABLE
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4))
def test_linear_and_its_gradients_equal_those_of_torch(N, D, F):
    x, w, b, dy = random((N, D), (F, D), (F,), (N, F))
    inputs = tensors(x, w, b)
    y = functional.linear(*inputs)
    assert_close(ops.linear(x, w, b), y)
    for got, want in zip(
        ops.linear_backward(dy, x, w), torch.autograd.grad(y, inputs, torch.from_numpy(dy)), strict=True
    ):
        assert_close(got, want)


def test_images_in_a_linear_layer_are_an_error_that_says_to_flatten():
    with pytest.raises(ValueError, match=r"Try x.reshape\(len\(x\), -1\)"):
        ops.linear(*random((2, 3, 4, 4), (10, 48)))


def test_weights_that_lie_the_other_way_are_an_error():
    with pytest.raises(ValueError, match=r"x \(2, 48\) and w \(48, 10\) do not fit.*or w.T"):
        ops.linear(*random((2, 48), (48, 10)))


# Softmax and cross-entropy


def test_equal_logits_give_equal_probabilities_and_the_loss_of_a_guess():
    np.testing.assert_allclose(ops.softmax(np.zeros((2, 10))), 0.1)
    assert ops.cross_entropy(np.zeros((2, 10)), np.array([3, 7])) == pytest.approx(math.log(10))


@STABLE
@given(st.integers(1, 5), st.integers(1, 6), st.sampled_from([1.0, 100.0, 1e4]))
def test_losses_and_their_gradients_equal_those_of_torch(N, classes, scale):
    logits, dy = random((N, classes), (N, classes))
    logits *= scale
    labels = np.random.default_rng(1).integers(0, classes, N)
    (z,) = tensors(logits)
    p, loss = functional.softmax(z, dim=1), functional.cross_entropy(z, torch.from_numpy(labels))
    assert_close(ops.softmax(logits), p)
    assert_close(ops.softmax_backward(dy, logits), torch.autograd.grad(p, z, torch.from_numpy(dy))[0])
    assert float(ops.cross_entropy(logits, labels)) == pytest.approx(loss.item(), rel=1e-12, abs=1e-12)
    assert_close(ops.cross_entropy_backward(logits, labels), torch.autograd.grad(loss, z)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_ten_thousand_neither_overflow_nor_lose_the_loss(dtype):
    logits, labels = np.array([[1e4, 0, -1e4], [0, 1e4, 1e4]], dtype), np.array([2, 1])
    assert ops.cross_entropy(logits, labels) == pytest.approx((2e4 + math.log(2)) / 2)
    np.testing.assert_allclose(ops.softmax(logits), [[1, 0, 0], [0, 0.5, 0.5]])
    np.testing.assert_allclose(ops.cross_entropy_backward(logits, labels), [[0.5, 0, -0.5], [0, -0.25, 0.25]])


def test_softmax_works_along_the_last_axis_of_any_shape():
    (x,) = random((2, 3, 4))
    assert_close(ops.softmax(x), functional.softmax(torch.from_numpy(x), dim=-1))


def test_the_gradient_of_the_loss_is_the_chain_of_its_parts():
    logits, labels = *random((4, 5)), np.array([0, 4, 2, 1])
    p = ops.softmax(logits)
    dp = -np.eye(5)[labels] / p / 4  # of the mean of -log(p of the right class)
    assert_close(ops.softmax_backward(dp, logits), ops.cross_entropy_backward(logits, labels))


def test_cross_entropy_backward_equals_numerical_slopes():
    logits, labels = *random((4, 5)), np.array([0, 4, 2, 1])
    want = numerical_gradient(lambda z: ops.cross_entropy(z, labels), logits)
    np.testing.assert_allclose(ops.cross_entropy_backward(logits, labels), want, atol=1e-8)


def test_labels_of_bytes_are_fine():
    (logits,) = random((3, 5))
    want = ops.cross_entropy(logits, np.array([0, 4, 2]))
    assert ops.cross_entropy(logits, np.array([0, 4, 2], np.uint8)) == want


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(3), r"One-hot labels\? Try labels.argmax\(axis=1\)"),
        (np.array([0, 1]), r"logits \(3, 3\) and labels \(2,\) do not fit"),
        (np.array([0.0, 1, 2]), r"labels hold float64.*Try labels.astype\(int\)"),
        (np.array([1, 2, 3]), "labels go from 1 to 3, but classes from 0 to 2"),
        (np.array([0, -1, 2]), "labels go from -1 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_an_error_that_says_what_to_try(labels, message):
    for function in (ops.cross_entropy, ops.cross_entropy_backward):
        with pytest.raises(ValueError, match=message):
            function(np.zeros((3, 3)), labels)


def test_the_loss_of_no_images_is_nan_and_its_gradient_empty():
    logits, labels = np.zeros((0, 5), np.float32), np.zeros(0, int)
    loss = ops.cross_entropy(logits, labels)
    assert math.isnan(loss)
    assert loss.dtype == np.float32
    assert ops.cross_entropy_backward(logits, labels).shape == (0, 5)


# Batch normalization


@STABLE
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(2, 5), st.booleans())
def test_batch_norm_its_statistics_and_gradients_equal_those_of_torch(N, C, H, W, training):
    x, w, b, mean, dy = random((N, C, H, W), (C,), (C,), (C,), (N, C, H, W))
    var = np.linspace(0.5, 2, C)
    inputs, statistics = tensors(3 * x + 1, w, b), [torch.tensor(mean), torch.tensor(var)]
    y = functional.batch_norm(inputs[0], *statistics, *inputs[1:], training=training, momentum=0.3)
    want = torch.autograd.grad(y, inputs, torch.from_numpy(dy))
    back = ops.batch_norm2d_backward(dy, 3 * x + 1, w, mean, var, training=training)
    got = ops.batch_norm2d(3 * x + 1, w, b, mean, var, training=training, momentum=0.3)
    for ours, theirs in zip([got, mean, var, *back], [y, *statistics, *want], strict=True):
        assert_close(ours, theirs, 1e-9)


def test_batch_norm_in_training_gives_mean_b_and_spread_w():
    x, w, b = random((8, 3, 5, 6), (3,), (3,))
    y = ops.batch_norm2d(7 * x + 4, w, b, training=True)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), b, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), np.abs(w), rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_backward_equals_numerical_slopes(training):
    x, w, b, mean, dy = random((2, 2, 3, 4), (2,), (2,), (2,), (2, 2, 3, 4))
    var = np.array([0.5, 2.0])

    def loss(x, w, b):
        return np.vdot(dy, ops.batch_norm2d(x, w, b, mean.copy(), var.copy(), training=training))

    dx, dw, db = ops.batch_norm2d_backward(dy, x, w, mean, var, training=training)
    np.testing.assert_allclose(dx, numerical_gradient(lambda v: loss(v, w, b), x), atol=1e-7)
    np.testing.assert_allclose(dw, numerical_gradient(lambda v: loss(x, v, b), w), atol=1e-7)
    np.testing.assert_allclose(db, numerical_gradient(lambda v: loss(x, w, v), b), atol=1e-7)


def test_batch_norm_leaves_its_statistics_alone_in_evaluation():
    x, w, b, mean = random((2, 3, 4, 5), (3,), (3,), (3,))
    var, before = np.ones(3), mean.copy()
    ops.batch_norm2d(x, w, b, mean, var)
    np.testing.assert_array_equal(mean, before)
    np.testing.assert_array_equal(var, np.ones(3))


def test_batch_norm_says_what_is_missing_or_does_not_fit():
    x, w, b = random((2, 3, 4, 5), (3,), (3,))
    with pytest.raises(ValueError, match=r"running_mean and running_var are missing. Try training=True"):
        ops.batch_norm2d(x, w, b)
    with pytest.raises(ValueError, match=r"w has shape \(4,\) but x has 3 channels"):
        ops.batch_norm2d(x, np.ones(4), b, training=True)
    with pytest.raises(ValueError, match="one number a channel"):
        ops.batch_norm2d(x[:1, :, :1, :1], w, b, training=True)


def test_batch_norm_of_no_images_is_empty_and_leaves_its_statistics_alone():
    x, w, mean, var = np.zeros((0, 3, 4, 5)), np.ones(3), np.arange(3.0), np.ones(3)
    for training in (True, False):
        assert ops.batch_norm2d(x, w, w, mean, var, training=training).shape == x.shape
        dx, dw, db = ops.batch_norm2d_backward(x, x, w, mean, var, training=training)
        assert dx.shape == x.shape
        np.testing.assert_array_equal([mean, var, dw, db], [np.arange(3.0), np.ones(3), np.zeros(3), np.zeros(3)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"running_var": None}, "running_mean and running_var are missing"),
        ({"running_var": np.ones(2)}, r"running_var has shape \(2,\) but x has 3 channels"),
        ({"running_var": np.ones(3, int)}, "running_var holds int64, want floats"),
        ({"running_var": np.broadcast_to(1.0, 3)}, "running_var is read-only"),
        ({"eps": 0}, "eps 0.0 must be positive in training"),
        ({"momentum": None}, "momentum is None, want a number"),
        ({"training": "yes"}, "training is 'yes', want True or False"),
        ({"training": 1}, "training is 1, want True or False"),
        ({"w": None}, "w is a NoneType"),
    ],
)
def test_batch_norm_changes_no_statistics_before_it_refuses(change, message):
    x, w, mean = *random((2, 3, 4, 5), (3,)), np.zeros(3)
    options = {"w": w, "b": w, "running_mean": mean, "running_var": np.ones(3), "training": True} | change
    with pytest.raises(ValueError, match=message):
        ops.batch_norm2d(x, **options)
    np.testing.assert_array_equal(mean, np.zeros(3))


# Update rules


def follow(optimizer, step, **options):
    """Five steps on the same gradients in torch and in NumPy."""
    w, *gradients = random(*[(3, 4)] * 6)
    (parameter,) = tensors(w)
    torch_optimizer, state = optimizer([parameter], **options), None
    for dw in gradients:
        parameter.grad = torch.from_numpy(dw)
        torch_optimizer.step()
        w, state = step(w, dw, state, **options)
        assert_close(w, parameter)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_sgd_takes_the_steps_of_torch(momentum, weight_decay):
    follow(torch.optim.SGD, ops.sgd_step, lr=0.1, momentum=momentum, weight_decay=weight_decay)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.8)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_takes_the_steps_of_torch(betas, weight_decay):
    follow(torch.optim.Adam, ops.adam_step, lr=0.1, betas=betas, eps=1e-3, weight_decay=weight_decay)


def test_the_first_step_of_adam_is_as_long_as_the_learning_rate():
    w, _ = ops.adam_step(np.zeros(3), np.array([1e-3, -5.0, 700]), lr=0.01)
    np.testing.assert_allclose(w, [-0.01, 0.01, -0.01], rtol=1e-4)


def test_momentum_gathers_speed_on_a_slope():
    w, v = 0.0, None
    for _ in range(100):
        w, v = ops.sgd_step(np.array(w), np.array(1.0), v, lr=0.1, momentum=0.9)
    assert v == pytest.approx(10, rel=1e-3)


def test_what_is_0_takes_no_part_in_a_step_even_of_what_is_not_finite():
    w, v = ops.sgd_step(np.array([np.inf]), np.ones(1), np.array([np.inf]), lr=0.1)
    np.testing.assert_array_equal([w, v], [[np.inf], [1.0]])
    np.testing.assert_array_equal(ops.adam_step(np.array([np.inf]), np.ones(1))[0], [np.inf])


def test_a_rate_of_numpy_does_not_widen_float32():
    w = np.ones(3, np.float32)
    assert [a.dtype for a in ops.sgd_step(w, w, w, lr=np.float64(0.1), momentum=np.float64(0.9))] == [np.float32] * 2
    assert ops.adam_step(w, w, lr=np.float64(0.1))[0].dtype == np.float32
