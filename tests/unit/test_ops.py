"""Dense layers, losses, batch normalization and update rules; and what holds for every function of cnnlib.ops."""

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
    public = {name for name in vars(ops) if name[0] in "abcdefghijklmnopqrstuvwxyz"} - {"np", "sliding_window_view"}
    assert public == {*CALLS, "output_size"}


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


# Dense layers


def test_relu_passes_positive_numbers_and_their_gradients():
    x = np.array([-2.0, 0, 3])
    np.testing.assert_array_equal(ops.relu(x), [0, 0, 3])
    np.testing.assert_array_equal(ops.relu_backward(np.array([5.0, 6, 7]), x), [0, 0, 7])


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
