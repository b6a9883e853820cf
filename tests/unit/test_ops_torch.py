"""Every layer beside torch, forward and backward, on thousands of layers that nobody would think of.

Dtypes, mixed ones too; every order in memory; axes of length 0; nan, both infinities, ties, numbers of very different
sizes, huge and denormal ones; every option in every form it may have. torch computes in float64 on the same numbers.
A sum may be wrong by a few roundings of the numbers that this one sum adds, so that an error which comes from
elsewhere, from a neighbor's larger numbers say, is seen. What is not finite must be so in the same places.
"""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from cnnlib import ops

FLOATS = [np.float16, np.float32, np.float64]
WHOLE = [np.int8, np.int16, np.int32, np.int64]
CASES = 250  # layers of each kind


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Arrays here are tiny: a second thread in torch would only wait for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def quiet():
    """NumPy warns of nan and of overflow, which are wanted here."""
    with np.errstate(all="ignore"):
        yield


# What is drawn


def numbers(rng, shape, dtype, huge=False):
    """Numbers of one of five kinds, as a float64 array of values that dtype can hold."""
    x, kind = rng.standard_normal(shape), rng.choice(["plain", "ties", "sizes", "special", "mostly 0"])
    if kind == "ties":
        x = rng.integers(-1, 2, shape).astype(float)
    if kind == "sizes":
        x = x * 10.0 ** rng.integers(-2, 3 if dtype == np.float16 else 6, shape)
    if kind == "mostly 0":
        x = x * (rng.random(shape) < 0.2)
    if np.dtype(dtype).kind == "i":
        limit = min(np.iinfo(dtype).max, 1 << 20)
        return np.clip(np.round(x * 100), -limit, limit)
    if kind == "special" and x.size:
        special = [np.nan, np.inf, -np.inf, -0.0, 0.0, float(np.finfo(dtype).smallest_subnormal)]
        special += [math.sqrt(np.finfo(dtype).max), -math.sqrt(np.finfo(dtype).max)] if huge else []
        places = rng.integers(x.size, size=rng.integers(1, 4))
        x.reshape(-1)[places] = rng.choice(special, len(places))
    return x.astype(dtype).astype(float)


def arranged(rng, x, dtype):
    """The same numbers as dtype, in one of many orders in memory; sometimes they may not be written to."""
    x, order = np.array(x, dtype), rng.choice(["C", "F", "reversed", "gaps", "axes", "bytes", "unaligned"])
    room = np.empty_like(x)
    if order == "F":
        room = np.empty_like(x, order="F")
    elif order == "reversed":
        room = x.copy()[(..., *[slice(None, None, -1)] * x.ndim)]
    elif order == "gaps":
        room = np.full([2 * n + 1 for n in x.shape], np.array(77, dtype))[(..., *[slice(1, None, 2)] * x.ndim)]
    elif order == "axes":
        axes = rng.permutation(x.ndim)
        room = x.transpose(axes).copy().transpose(np.argsort(axes))
    elif order == "bytes":
        room = x.astype(x.dtype.newbyteorder())
    elif order == "unaligned":
        room = np.empty(x.nbytes + 1, np.uint8)[1:].view(dtype).reshape(x.shape)
    room[...] = x
    room.flags.writeable = bool(rng.integers(2))
    return room


def spread(rng, x):
    """Sometimes repeat the first numbers along an axis, as a broadcast view does."""
    if x.ndim == 0 or x.size == 0 or rng.random() < 0.8:
        return x
    return np.broadcast_to(np.take(x, [0], axis=rng.integers(x.ndim)), x.shape)


def arrays(rng, shapes, whole=False):
    """Arrays for a layer, and the same numbers in float64; mostly of one dtype. Only the first holds huge numbers."""
    dtypes = [rng.choice(WHOLE if whole else FLOATS)] * len(shapes)
    if rng.random() < 0.2:
        dtypes = rng.choice(WHOLE if whole else FLOATS, len(shapes))
    values = [numbers(rng, shape, dtype, i == 0) for i, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))]
    views = [spread(rng, x) for x in values]
    return [
        np.broadcast_to(x[tuple(slice(0, 1) if s == 0 else slice(None) for s in x.strides)].astype(dtype), x.shape)
        if 0 in x.strides and x.size
        else arranged(rng, x, dtype)
        for x, dtype in zip(views, dtypes, strict=True)
    ], [np.array(x) for x in views]


def pair(rng, low, high):
    return tuple(int(n) for n in rng.integers(low, high + 1, 2))


def form(rng, option):
    """A pair in one of the forms that an option may have."""
    forms = [option, list(option), np.array(option), tuple(map(np.int8, option)), tuple(map(np.array, option))]
    forms += [option[0], np.uint8(option[0]), np.array(option[0])] * 2 if option[0] == option[1] else []
    return forms[rng.integers(len(forms))]


def sizes(rng, kernel, padding, dilation, most=6):
    """H and W for which a window fits."""
    smallest = [max(1, d * (k - 1) + 1 - 2 * p) for k, p, d in zip(kernel, padding, dilation, strict=True)]
    return tuple(int(n + rng.integers(most)) for n in smallest)


def conv_layer(rng):
    """Shapes of x, w and b, and options."""
    wide = rng.random() < 0.05
    kernel = (3, 3) if wide else pair(rng, 1, 4)
    options = {"stride": pair(rng, 1, 1 if wide else 3), "padding": pair(rng, 0, 3), "dilation": pair(rng, 1, 3)}
    groups = 1 if wide else int(rng.choice([1, 1, 2, 3]))
    C, F, N = int(rng.choice([0, 1, 2, 3, 17])), int(rng.integers(1, 4)), int(rng.choice([0, 1, 2, 3]))
    if wide:
        C, F, options["dilation"] = 48, 48, (1, 1)
    size = sizes(rng, kernel, options["padding"], options["dilation"])
    return [(N, C * groups, *size), (F * groups, C, *kernel), (F * groups,)], options | {"groups": groups}


def conv_transpose_layer(rng):
    shapes, options = conv_layer(rng)
    (N, C, H, W), (F, _, *kernel), _ = shapes
    C, groups = max(C, options["groups"]), options["groups"]
    steps = list(zip(options["stride"], options["dilation"], strict=True))
    options["output_padding"] = tuple(int(rng.integers(max(step))) for step in steps)
    most = [((n - 1) * s + d * (k - 1)) // 2 for n, k, (s, d) in zip((H, W), kernel, steps, strict=True)]
    options["padding"] = tuple(map(min, options["padding"], most))
    return [(N, C, H, W), (C, F // groups, *kernel), (F,)], options


def pool_layer(rng, dilations=3):
    """Each window sees a pixel: torch crashes where one sees only padding."""
    kernel, dilation = pair(rng, 1, 4), pair(rng, 1, dilations)
    padding = tuple(int(rng.integers(k // 2 + 1)) for k in kernel)
    size = tuple(map(max, sizes(rng, kernel, padding, dilation), dilation))
    options = {"kernel_size": kernel, "stride": pair(rng, 1, 4), "padding": padding, "dilation": dilation}
    if dilations == 1:
        del options["dilation"]
    return (int(rng.integers(4)), int(rng.integers(1, 4)), *size), options


def formed(rng, options):
    return {name: form(rng, value) if isinstance(value, tuple) else value for name, value in options.items()}


# How it is compared


def torch_gradients(function, inputs, dy):
    """Output and gradients in float64; dy is a function of the output's shape."""
    inputs = [torch.tensor(x, requires_grad=True) for x in inputs]
    y = function(*inputs)
    dy = torch.tensor(dy(tuple(y.shape)))
    return [array.detach().numpy() for array in (y, *torch.autograd.grad(y, inputs, dy))]


def assert_same(got, want, scale, terms, dtype, added_in=None):
    """got is want up to the roundings, in dtype or added_in, of `terms` numbers whose sizes add up to scale."""
    assert got.dtype == dtype
    assert got.dtype.isnative
    assert got.shape == want.shape
    if np.dtype(dtype).kind == "i":
        np.testing.assert_array_equal(got, want)
        return
    rounded, info = want.astype(dtype), np.finfo(dtype)
    there = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~there], rounded[~there])
    added_in = np.finfo(np.promote_types(added_in or dtype, np.float32))
    allowed = (terms + 8) * added_in.eps * scale[there] + info.eps * np.abs(want[there])
    error = np.abs(got[there].astype(float) - want[there])
    assert (error <= allowed + (terms + 1) * float(info.smallest_subnormal)).all()


def sum_type(*arrays):
    dtype = np.result_type(*(array.dtype for array in arrays)).newbyteorder("=")
    return np.dtype(np.int64) if dtype.kind == "i" else dtype


def check_layer(rng, forward, backward, function, shapes):
    """A layer that is linear in x, in w and in b."""
    whole = rng.random() < 0.15
    (x, w, b), values = arrays(rng, shapes, whole)
    if rng.random() < 0.3:
        b, values[2] = None, np.zeros_like(values[2])
    got = forward(x, w, b)
    (dy,), (dy_values,) = arrays(rng, [got.shape], whole)
    want = torch_gradients(function, values, lambda shape: dy_values)
    scale = torch_gradients(function, map(np.abs, values), lambda shape: np.abs(dy_values))
    all_got = [got, *backward(dy, x, w)]
    dtypes = [sum_type(x, w, *([] if b is None else [b])), sum_type(dy, w), sum_type(dy, x), sum_type(dy)]
    added_in = [sum_type(x, w), *dtypes[1:]]
    for *part, dtype, precision in zip(all_got, want, scale, dtypes, added_in, strict=True):
        assert_same(*part, max(w.size, dy.size), dtype, precision)


def run(check, *arguments, cases=CASES):
    """Many seeds; the one that fails is named, so that it can be tried alone."""
    for seed in range(cases):
        try:
            check(np.random.default_rng(seed), *arguments)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


# Sums of products


def check_conv2d(rng):
    shapes, options = conv_layer(rng)
    ours = formed(rng, options)

    def function(x, w, b):
        if x.shape[1]:
            return functional.conv2d(x, w, b, **options)
        y = functional.conv2d(x.new_zeros(len(x), 1, *x.shape[2:]), w.new_zeros(1, 1, *w.shape[2:]), **options | ONE)
        return y + b[:, None, None] + 0 * x.sum() + 0 * w.sum()  # torch forgets the filters where there is no channel

    check_layer(rng, lambda *a: ops.conv2d(*a, **ours), lambda *a: ops.conv2d_backward(*a, **ours), function, shapes)


ONE = {"groups": 1}


def check_conv_transpose2d(rng):
    shapes, options = conv_transpose_layer(rng)
    ours = formed(rng, options)
    check_layer(
        rng,
        lambda *a: ops.conv_transpose2d(*a, **ours),
        lambda *a: ops.conv_transpose2d_backward(*a, **ours),
        lambda *a: functional.conv_transpose2d(*a, **options),
        shapes,
    )


def check_linear(rng):
    N, D, F = (int(n) for n in rng.integers(0, 6, 3))
    check_layer(rng, ops.linear, ops.linear_backward, functional.linear, [(N, D), (F, D), (F,)])


@pytest.mark.parametrize("check", [check_conv2d, check_conv_transpose2d, check_linear])
def test_layers_of_weights_and_their_gradients_are_those_of_torch(check):
    run(check, cases=2 * CASES)


def check_columns(rng):
    (shape, *_), options = conv_layer(rng)
    options.pop("groups")
    kernel = pair(rng, 1, 4)
    shape = (*shape[:1], max(1, shape[1]), *sizes(rng, kernel, options["padding"], options["dilation"]))
    whole = rng.random() < 0.2
    (x,), (x_values,) = arrays(rng, [shape], whole)
    ours = formed(rng, options | {"kernel_size": kernel})
    cols = ops.im2col(x, **ours)
    want = functional.unfold(torch.tensor(x_values), kernel, **options).numpy()
    np.testing.assert_array_equal(cols, want)
    assert cols.dtype == x.dtype
    (dcols,), (dcols_values,) = arrays(rng, [cols.shape], whole)
    want, scale = (
        functional.fold(torch.tensor(v), shape[2:], kernel, **options).numpy()
        for v in (dcols_values, np.abs(dcols_values))
    )
    got = ops.col2im(dcols, form(rng, shape[2:]), **ours)
    assert_same(got, want, scale, math.prod(kernel), sum_type(dcols))


def test_im2col_is_unfold_and_col2im_is_fold():
    run(check_columns)


def check_correlations(rng):
    kernel = pair(rng, 1, 4)
    (x, w), values = arrays(rng, [sizes(rng, kernel, (0, 0), (1, 1)), kernel], rng.random() < 0.2)
    want, scale = (
        functional.conv2d(*(torch.tensor(f(v))[None, None] for v in values))[0, 0].numpy() for f in (np.array, np.abs)
    )
    assert_same(ops.correlate2d(x, w), want, scale, w.size, sum_type(x, w))
    if len(w) == len(x) == 1:
        assert_same(ops.correlate1d(x[0], w[0]), want[0], scale[0], w.size, sum_type(x, w))


def test_correlations_are_those_of_torch():
    run(check_correlations)


# Pooling


def check_max_pool2d(rng):
    shape, options = pool_layer(rng)
    ours, dtype = formed(rng, options), rng.choice([*FLOATS, *WHOLE, np.uint8])
    values = np.abs(numbers(rng, shape, np.int8)) if dtype == np.uint8 else numbers(rng, shape, dtype)
    x = arranged(rng, values, dtype)
    y = ops.max_pool2d(x, **ours)
    (dy,), (dy_values,) = arrays(rng, [y.shape], rng.random() < 0.2)

    def gradients(dy):
        return torch_gradients(lambda x: functional.max_pool2d(x, **options), [values], lambda shape: dy)

    want, want_dx = gradients(dy_values)
    np.testing.assert_array_equal(y, want)
    assert y.dtype == x.dtype
    dx = ops.max_pool2d_backward(dy, x, **ours)
    assert_same(dx, want_dx, gradients(np.abs(dy_values))[1], math.prod(options["kernel_size"]), sum_type(dy))


def check_avg_pool2d(rng):
    shape, options = pool_layer(rng, dilations=1)
    ours = formed(rng, options)
    (x,), (x_values,) = arrays(rng, [shape], rng.random() < 0.2)
    got = ops.avg_pool2d(x, **ours)
    (dy,), (dy_values,) = arrays(rng, [got.shape], rng.random() < 0.2)

    def gradients(x, dy):
        return torch_gradients(lambda x: functional.avg_pool2d(x, **options), [x], lambda shape: dy)

    want, scale = gradients(x_values, dy_values), gradients(np.abs(x_values), np.abs(dy_values))
    for ours_, theirs, size, source in zip(
        [got, ops.avg_pool2d_backward(dy, x, **ours)], want, scale, [x, dy], strict=True
    ):
        dtype = np.dtype(np.float64) if source.dtype.kind == "i" else source.dtype.newbyteorder("=")
        assert_same(ours_, theirs, size, math.prod(options["kernel_size"]), dtype)


@pytest.mark.parametrize("check", [check_max_pool2d, check_avg_pool2d])
def test_pooling_and_its_gradients_are_those_of_torch(check):
    run(check, cases=2 * CASES)


# One number at a time, and one row


def check_relu(rng):
    shape = tuple(int(n) for n in rng.integers(0, 4, rng.integers(4)))
    (dy, x), values = arrays(rng, [shape, shape], rng.random() < 0.2)
    y, dx = torch_gradients(functional.relu, values[1:], lambda shape: values[0])
    np.testing.assert_array_equal(ops.relu(x), y)
    np.testing.assert_array_equal(ops.relu_backward(dy, x), dx)


def test_relu_and_its_gradient_are_those_of_torch():
    run(check_relu)


def relative(got, want, dtype, scale):
    """got is want up to a few roundings of numbers of about scale."""
    rounded = want.astype(dtype)
    there = np.isfinite(rounded)
    assert got.shape == want.shape
    assert got.dtype == dtype
    np.testing.assert_array_equal(got[~there], rounded[~there])
    np.testing.assert_allclose(got[there], want[there], rtol=20 * np.finfo(dtype).eps, atol=scale)


def float_type(*arrays):
    dtype = sum_type(*arrays)
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def check_softmax(rng):
    shape = tuple(int(n) for n in rng.integers(0, 5, rng.integers(1, 4)))
    (x, dy), values = arrays(rng, [shape, shape], rng.random() < 0.2)
    p, dx = torch_gradients(lambda x: functional.softmax(x, -1), values[:1], lambda shape: values[1])
    eps = 50 * max(np.finfo(float_type(array)).eps for array in (x, dy))
    relative(ops.softmax(x), p, float_type(x), eps)
    finite = np.abs(values[1][np.isfinite(values[1])]).max(initial=1)
    relative(ops.softmax_backward(dy, x), dx, float_type(dy, x), eps * finite)


def check_cross_entropy(rng):
    N, classes = int(rng.integers(5)), int(rng.integers(1, 6))
    (x,), values = arrays(rng, [(N, classes)], rng.random() < 0.2)
    labels = rng.integers(0, classes, N)
    kind = rng.choice([np.int8, np.uint8, np.int64, np.uint64])
    y, dx = torch_gradients(
        lambda x: functional.cross_entropy(x, torch.tensor(labels)), values, lambda shape: np.float64(1)
    )
    labels, eps = arranged(rng, labels, kind), 50 * np.finfo(float_type(x)).eps
    finite = np.abs(values[0][np.isfinite(values[0])]).max(initial=1)
    relative(np.asarray(ops.cross_entropy(x, labels)), y, float_type(x), eps * finite)
    relative(ops.cross_entropy_backward(x, labels), dx, float_type(x), eps)


@pytest.mark.parametrize("check", [check_softmax, check_cross_entropy])
def test_losses_and_their_gradients_are_those_of_torch(check):
    run(check)


def check_batch_norm2d(rng):
    shape = (int(rng.choice([0, 2, 3])), int(rng.integers(1, 4)), *pair(rng, 1, 4))
    (x, w, b, mean, dy), values = arrays(rng, [shape, *[shape[1:2]] * 3, shape])
    training, eps, momentum = bool(rng.integers(2)), rng.choice([1e-5, 0.1]), float(rng.random())
    mean, var = np.array(mean), (np.abs(rng.standard_normal(shape[1])) + 0.1).astype(mean.dtype)
    statistics = [torch.tensor(values[3]), torch.tensor(var.astype(float))]
    scale = max(np.abs(v[np.isfinite(v)]).max(initial=1) for v in values)

    def function(x, w, b):
        return functional.batch_norm(x, *statistics, w, b, training, momentum, eps)

    dtype, before = sum_type(x, w, b), (mean.copy(), var.copy())
    got = ops.batch_norm2d(x, w, b, mean, var, training=training, momentum=momentum, eps=eps)
    want = torch_gradients(function, values[:3], lambda shape: values[4])
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want[0].astype(dtype)))
    relative(mean, statistics[0].numpy(), mean.dtype, 50 * np.finfo(mean.dtype).eps * scale)
    relative(var, statistics[1].numpy(), var.dtype, 50 * np.finfo(var.dtype).eps * scale**2)
    if scale < 100 and all(np.isfinite(v).all() for v in values):
        back = ops.batch_norm2d_backward(dy, x, w, *before, training=training, eps=eps)
        tolerance = 3e3 * max(np.finfo(a.dtype).eps for a in (x, w, b, dy, mean)) * scale**3
        relative(got, want[0], dtype, tolerance)
        for ours, theirs in zip(back, want[1:], strict=True):
            relative(ours, theirs, sum_type(dy, x, w), 1e3 * tolerance)


def test_batch_norm_its_statistics_and_gradients_are_those_of_torch():
    run(check_batch_norm2d)


def check_steps(rng):
    shape = tuple(int(n) for n in rng.integers(0, 4, rng.integers(4)))
    (w, *gradients), (w_values, *values) = arrays(rng, [shape] * 4)
    adam, lr, decay = bool(rng.integers(2)), float(rng.random()), float(rng.choice([0, 0.1]))
    dtype, eps = sum_type(w, *gradients), 1e3 * max(np.finfo(a.dtype).eps for a in (w, *gradients))
    options = {"betas": (0.8, 0.9), "eps": 1e-3} if adam else {"momentum": float(rng.choice([0, 0.9]))}
    options |= {"lr": lr, "weight_decay": decay}
    theirs = torch.tensor(w_values, requires_grad=True)
    optimizer = (torch.optim.Adam if adam else torch.optim.SGD)([theirs], foreach=False, **options)
    state, step = None, ops.adam_step if adam else ops.sgd_step
    for dw, dw_values in zip(gradients, values, strict=True):
        theirs.grad = torch.tensor(dw_values)
        optimizer.step()
        w, state = step(w, dw, state, **options)
    scale = max(np.abs(v[np.isfinite(v)]).max(initial=1) for v in (w_values, *values))
    relative(w, theirs.detach().numpy(), dtype, eps * scale)


def test_update_rules_take_the_steps_of_torch():
    run(check_steps)
