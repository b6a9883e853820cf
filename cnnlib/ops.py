"""The layers of a convolutional network in NumPy: forward and backward, losses and update rules.

Letters for axes: N images, C channels, H and W input pixels, F filters, K and L kernel, H' and W' output pixels.
Names and meanings are those of torch.nn.functional. Nothing here changes the arrays it is given, except the running
statistics of batch_norm2d. float32 gives float32, float64 gives float64; sums of float16 are taken in float32, and
sums of whole numbers in int64, where they are exact. Every function raises ValueError for an array that is not
NumPy's, numbers it cannot add, shapes that do not fit and options out of range, before it computes anything.
"""

import itertools
import math
import numbers
import operator
import reprlib

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

BLOCK = 1 << 19  # numbers worked on at once: two megabytes in float32, so that they stay in the processor's cache


# Chapter 02: slide a kernel


def correlate1d(x, w):
    """Slide the kernel w over the row x; at each stop multiply and add.

    x: (W,)    w: (L,)    Returns (W - L + 1,).
    Raises ValueError if the kernel is longer than the row.
    Built in chapter 02.
    """
    _check_arrays("fiub", x=x, w=w)
    if x.ndim != 1 or w.ndim != 1:
        raise ValueError(f"x has shape {x.shape} and w {w.shape}: want (W,) and (L,). Try one row: x[0]")
    output_size(len(x), len(w))
    _check_sums(len(w), x, w)
    y = sliding_window_view(_wide(x), len(w)) @ _wide(w)  # (W', L) @ (L,)
    return y.astype(_sum_type(x, w), copy=False)


def correlate2d(x, w):
    """Slide the kernel w over the image x; at each stop multiply and add.

    x: (H, W)    w: (K, L)    Returns (H - K + 1, W - L + 1).
    Raises ValueError if x or w is not a matrix, or the kernel is larger than the image.
    Built in chapter 02.
    """
    _check_arrays("fiub", x=x, w=w)
    if x.ndim != 2 or w.ndim != 2:
        raise ValueError(f"x has shape {x.shape} and w {w.shape}: want (H, W) and (K, L). Try one channel: x[..., 0]")
    _output_sizes(x.shape, w.shape)
    _check_sums(w.size, x, w)
    windows = sliding_window_view(_wide(x), w.shape)  # (H', W', K, L)
    return np.einsum("hwkl,kl->hw", windows, _wide(w)).astype(_sum_type(x, w), copy=False)


# Chapter 03: convolution in full


def output_size(size, kernel, stride=1, padding=0, dilation=1):
    """Count the stops of a window along one axis.

    All are numbers of pixels along that axis; the floor drops a window that would hang over the edge.
    Raises ValueError if not even one window fits, or an option is out of range.
    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016).
    Built in chapter 03.
    """
    size, kernel, stride = _whole("size", size, 0), _whole("kernel", kernel, 1), _whole("stride", stride, 1)
    padding, dilation = _whole("padding", padding, 0), _whole("dilation", dilation, 1)
    span = dilation * (kernel - 1) + 1
    if size + 2 * padding < span:
        raise ValueError(
            f"the window spans {span} pixels (kernel {kernel}, dilation {dilation}), but the padded input has "
            f"only {size + 2 * padding}. Try a smaller kernel or more padding"
        )
    return 1 + (size + 2 * padding - span) // stride


def im2col(x, kernel_size, *, stride=1, padding=0, dilation=1):
    """Write every window of x as one column of a matrix.

    x: (N, C, H, W)    Returns (N, C*K*L, H'*W'), as torch.nn.functional.unfold does.
    Raises ValueError if x is not (N, C, H, W) or no window fits.
    Source: Chellapilla, Puri and Simard, High performance convolutional neural networks (2006).
    Built in chapter 03.
    """
    _check_images(x, "fiub")
    kernel_size, stride, padding, dilation = _pairs(
        kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
    )
    (N, C), (K, L) = x.shape[:2], kernel_size
    H, W = _output_sizes(x.shape[2:], kernel_size, stride, padding, dilation)
    cols = np.zeros((N, C, K, L, H, W), x.dtype)
    for (i, j), windows, pixels in _meetings(x.shape[2:], (H, W), kernel_size, stride, padding, dilation):
        cols[:, :, i, j, *windows] = x[:, :, *pixels]
    return cols.reshape(N, C * K * L, H * W)


def conv2d(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlate a batch of images with a bank of kernels.

    x: (N, C, H, W)    w: (F, C/groups, K, L)    b: (F,) or None
    Returns (N, F, H', W') with H' = output_size(H, K, stride, padding, dilation).
    Raises ValueError if the channels of x and w, or the groups, do not fit.
    Built in chapter 03.
    """
    stride, padding, dilation = _pairs(stride=stride, padding=padding, dilation=dilation)
    groups = _check_conv2d(x, w, b, groups)
    size = _output_sizes(x.shape[2:], w.shape[2:], stride, padding, dilation)
    _check_sums(math.prod(w.shape[1:]), x, w, b)
    y = _convolve(_wide(x), _wide(w), size, stride, padding, dilation, groups)
    return _add_bias(y, b).astype(_sum_type(x, w, b), copy=False)


def _convolve(x, w, size, stride, padding, dilation, groups):
    """One matrix product for each row of the kernels, and for each block of images that stays in the cache."""
    (N, C), (F, _, K, L), (H, W) = x.shape[:2], w.shape, size
    w = w.reshape(groups, F // groups, C // groups, K, L).transpose(3, 0, 1, 4, 2)  # (K, G, F/G, L, C/G)
    w = np.ascontiguousarray(w.reshape(K, groups, F // groups, L * C // groups))  # turned kernels run backward
    y = np.empty((N, groups, F // groups, H * W), np.result_type(x, w))
    for n, h, columns in _columns(_pad(x, padding), size, (K, L), stride, dilation, groups):
        out = y[n, ..., h.start * W : h.stop * W]
        np.matmul(w[0], columns[0], out=out)
        for k in range(1, K):
            out += w[k] @ columns[k]
    return y.reshape(N, F, H, W)


def _columns(x, size, kernel_size, stride, dilation, groups):
    """Blocks of images n and output rows h, with K matrices: what each row of the kernel meets, window by window.

    x: padded (N, C, H, W)    Yields n, h, and a list of K arrays (n, G, L*C/G, h*W').
    Two rows of the kernel meet almost the same pixels, only whole rows apart: they look at one copy from two places.
    """
    (N, C), (H, W), (K, L), (s, _), (d, _) = x.shape[:2], size, kernel_size, stride, dilation
    for n, h in _blocks(N, H, L * C * W):
        start, rows, copies = h.start * s, h.stop - h.start, {}
        for first in {k * d % s for k in range(K)}:  # with a stride, those whole strides apart
            block = x[n, :, start + first :: s][:, :, : rows + (K - 1) * d // s]
            copies[first] = _shifted(block, W, L, stride[1], dilation[1], groups)
        where = [slice(k * d // s * W, (k * d // s + rows) * W) for k in range(K)]
        yield n, h, [copies[k * d % s][..., where[k]] for k in range(K)]


def _shifted(x, W, L, stride, dilation, groups):
    """For each column of the kernel, the pixels it meets: (n, C, H, W) -> (n, G, L*C/G, H*W')."""
    n, C, H, _ = x.shape
    x = x.reshape(n, groups, C // groups, H, x.shape[3])
    parts = [x[..., j * dilation :: stride][..., :W] for j in range(L)]
    x = parts[0] if L == 1 else np.stack(parts, axis=2)
    return x.reshape(n, groups, L * C // groups, H * W)


def _blocks(N, H, row):
    """Cut N images of H rows of `row` numbers into blocks of about BLOCK numbers: whole images, or rows of one."""
    row = max(1, row)
    rows = min(H, max(1, BLOCK // row))
    images = max(1, BLOCK // (row * H))
    for n in range(0, N, images):
        for h in range(0, H, rows):
            yield slice(n, n + images), slice(h, min(H, h + rows))


def _add_bias(y, b):
    """Add one number to each map; y, which is ours, may be used again."""
    if b is None:
        return y
    y = y.astype(np.result_type(y, b), copy=False)
    y += b[:, None, None]
    return y


def _pad(x, padding):
    """Surround every image with rows and columns of zeros; without padding, x itself."""
    (N, C, H, W), (ph, pw) = x.shape, padding
    if ph == pw == 0:
        return x
    padded = np.zeros((N, C, H + 2 * ph, W + 2 * pw), x.dtype)
    padded[:, :, ph : ph + H, pw : pw + W] = x
    return padded


def _output_sizes(size, kernel_size, stride=(1, 1), padding=(0, 0), dilation=(1, 1)):
    """output_size for both axes: (H', W')."""
    return tuple(map(output_size, size, kernel_size, stride, padding, dilation))


def _meetings(size, stops, kernel_size, stride, padding, dilation):
    """Which windows meet which pixels of the image, for one place (i, j) of the kernel after the other.

    size: (H, W)    stops: (H', W')    Yields (i, j), slices of the windows, slices of their pixels.
    The padding is not there at all: a window that hangs over the edge meets no pixel, and no padding can win or take.
    """
    rows, columns = map(_meetings_along, size, stops, kernel_size, stride, padding, dilation)
    for (i, (h, y)), (j, (w, x)) in itertools.product(enumerate(rows), enumerate(columns)):
        yield (i, j), (h, w), (y, x)


def _meetings_along(size, stops, kernel, stride, padding, dilation):
    """The same along one axis: for each place of the kernel, a slice of the windows and one of the pixels."""
    meetings = []
    for k in range(kernel):
        shift = k * dilation - padding  # window t meets pixel t * stride + shift
        first, last = max(0, -(shift // stride)), min(stops, (size - 1 - shift) // stride + 1)
        count, pixel = max(0, last - first), first * stride + shift
        meetings.append((slice(first, first + count), slice(pixel, pixel + count * stride, stride)))
    return meetings


# Chapter 04: pooling


def max_pool2d(x, kernel_size, *, stride=None, padding=0, dilation=1):
    """Keep the largest number of each window.

    x: (N, C, H, W)    Returns (N, C, H', W'). stride None means kernel_size; the padding is -inf and never wins.
    Raises ValueError if no window fits, or the padding is more than half a window.
    Built in chapter 04.
    """
    _check_images(x, "fiu")
    size, meetings = _pool(x, kernel_size, stride, padding, dilation)
    return _maxima(x, size, meetings)


def _maxima(x, size, meetings):
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    y = np.full((*x.shape[:2], *size), lowest, x.dtype)
    for _, windows, pixels in meetings:
        np.maximum(y[:, :, *windows], x[:, :, *pixels], out=y[:, :, *windows])
    return y


def avg_pool2d(x, kernel_size, *, stride=None, padding=0):
    """Average each window; the zeros of the padding count, as in torch.

    x: (N, C, H, W)    Returns (N, C, H', W'). stride None means kernel_size.
    Raises ValueError if no window fits, or the padding is more than half a window.
    Built in chapter 04.
    """
    _check_images(x)
    size, meetings = _pool(x, kernel_size, stride, padding, 1)
    _check_sums(len(meetings), x)
    y = np.zeros((*x.shape[:2], *size), _wide(x).dtype)
    for _, windows, pixels in meetings:
        y[:, :, *windows] += x[:, :, *pixels]
    return (y / len(meetings)).astype(_float_type(x), copy=False)


def _pool(x, kernel_size, stride, padding, dilation):
    """Check the options of a pooling layer. Returns (H', W') and the list of its meetings."""
    stride = kernel_size if stride is None else stride  # windows side by side
    options = _pairs(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    for k, _, p, d in zip(*options, strict=True):
        if p > (d * (k - 1) + 1) // 2:
            raise ValueError(f"padding {p} is more than half the window ({k}, dilation {d}). Try padding={k // 2}")
    size = _output_sizes(x.shape[2:], *options)
    return size, list(_meetings(x.shape[2:], size, *options))


# Chapter 05: gradients


def relu(x):
    """Replace negative numbers by 0. x: any shape.

    Built in chapter 05.
    """
    _check_arrays("fiu", x=x)
    return np.maximum(x, 0)


def relu_backward(dy, x):
    """Pass the gradient on where x was positive.

    dy, x: the same shape    Returns dx, that shape. At exactly 0 the slope is taken as 0.
    Raises ValueError if dy and x differ in shape.
    Built in chapter 05.
    """
    _check_arrays("fiu", dy=dy, x=x)
    _check_dy(dy, x.shape)
    return np.where(x <= 0, 0, dy)[()]


def linear(x, w, b=None):
    """Weigh and add all features, once for each output.

    x: (N, D)    w: (F, D)    b: (F,) or None    Returns (N, F) = x @ w.T + b.
    Raises ValueError if x and w differ in their number of features.
    Built in chapter 05.
    """
    _check_linear(x, w, b)
    _check_sums(x.shape[1], x, w, b)
    y = _wide(x) @ _wide(w).T
    y = y if b is None else y + b
    return y.astype(_sum_type(x, w, b), copy=False)


def linear_backward(dy, x, w):
    """Gradients of linear.

    dy: (N, F)    x: (N, D)    w: (F, D)    Returns dx (N, D), dw (F, D), db (F,), the last two summed over the batch.
    Raises ValueError if dy does not have the shape of linear's output.
    Built in chapter 05.
    """
    _check_linear(x, w, None)
    _check_arrays(dy=dy)
    _check_dy(dy, (len(x), len(w)))
    for terms, other in ((len(w), w), (len(x), x), (len(x), None)):
        _check_sums(terms, dy, other)
    return _gradients(dy, x, w, _wide(dy) @ _wide(w), _wide(dy).T @ _wide(x), _wide(dy).sum(axis=0))


def softmax(x):
    """Turn logits into probabilities that sum to 1 along the last axis.

    x: (..., classes)    Returns the same shape. The largest logit is subtracted first, so that exp never overflows.
    Built in chapter 05.
    """
    _check_arrays(x=x)
    return _softmax(_float(x)).astype(_float_type(x), copy=False)


def _softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dy, x):
    """Gradient of softmax: each probability moves against the average of all.

    dy, x: (..., classes)    Returns dx, the same shape.
    Raises ValueError if dy and x differ in shape.
    Built in chapter 05.
    """
    _check_arrays(dy=dy, x=x)
    _check_dy(dy, x.shape)
    p, wide = _softmax(_float(x)), _float(dy)
    dx = p * (wide - (wide * p).sum(axis=-1, keepdims=True))
    return dx.astype(_float_type(dy, x), copy=False)


def cross_entropy(logits, labels):
    """Average over the batch of -log(probability of the right class), in nats.

    logits: (N, classes)    labels: (N,) integers    Returns one number, nan if there are no images.
    Raises ValueError if labels are not N integers from 0 to classes - 1.
    Built in chapter 05.
    """
    _check_labels(logits, labels)
    z = _float(logits)
    z = z - z.max(axis=1, keepdims=True, initial=-np.inf)
    losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels]  # (N,)
    return _float_type(logits).type(losses.mean() if len(labels) else np.nan)


def cross_entropy_backward(logits, labels):
    """Gradient of cross_entropy with respect to the logits: (softmax - one_hot) / N.

    logits: (N, classes)    labels: (N,) integers    Returns dlogits (N, classes).
    Raises ValueError if labels are not N integers from 0 to classes - 1.
    Built in chapter 05.
    """
    _check_labels(logits, labels)
    dlogits = _softmax(_float(logits))
    dlogits[np.arange(len(labels)), labels] -= 1
    return (dlogits / len(labels)).astype(_float_type(logits), copy=False)


def col2im(cols, size, kernel_size, *, stride=1, padding=0, dilation=1):
    """Add every column back to the pixels its window came from: the adjoint of im2col.

    cols: (N, C*K*L, H'*W')    size: (H, W)    Returns (N, C, H, W), as torch.nn.functional.fold does.
    Raises ValueError if cols does not have the shape that im2col gives for images of this size.
    Built in chapter 05.
    """
    _check_arrays("fiub", cols=cols)
    size, kernel_size, stride, padding, dilation = _pairs(
        size=size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
    )
    (K, L), (h, w) = kernel_size, _output_sizes(size, kernel_size, stride, padding, dilation)
    if cols.ndim != 3 or cols.shape[1] % (K * L) or cols.shape[2] != h * w:
        raise ValueError(
            f"cols has shape {cols.shape}, but size {size} wants (N, C*{K * L}, {h * w}). "
            "Are the options those of im2col?"
        )
    _check_sums(K * L, cols)
    N, C = len(cols), cols.shape[1] // (K * L)
    cols, dtype = cols.reshape(N, C, K, L, h, w), _sum_type(cols)
    x = np.zeros((N, C, *size), _wide(cols).dtype)
    for (i, j), windows, pixels in _meetings(size, (h, w), kernel_size, stride, padding, dilation):
        x[:, :, *pixels] += cols[:, :, i, j, *windows]  # for one place of the kernel no pixel is met twice
    return x.astype(dtype, copy=False)


def conv2d_backward(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1):
    """Gradients of conv2d.

    dy: (N, F, H', W')    x: (N, C, H, W)    w: (F, C/groups, K, L)
    Returns dx, dw, db with the shapes of x, w and b: (F,). dw and db are summed over the batch and all positions.
    Raises ValueError if dy does not have the shape of conv2d's output.
    Built in chapter 05.
    """
    stride, padding, dilation = _pairs(stride=stride, padding=padding, dilation=dilation)
    groups = _check_conv2d(x, w, None, groups)
    size = _output_sizes(x.shape[2:], w.shape[2:], stride, padding, dilation)
    _check_arrays(dy=dy)
    _check_dy(dy, (len(x), len(w), *size))
    windows = len(x) * math.prod(size)
    for terms, other in ((len(w) // groups * math.prod(w.shape[2:]), w), (windows, x), (windows, None)):
        _check_sums(terms, dy, other)
    dx = _conv2d_dx(_wide(dy), _wide(w), x.shape[2:], stride, padding, dilation, groups)
    dw = _conv2d_dw(_wide(dy), _wide(x), w.shape[2:], stride, padding, dilation, groups)
    return _gradients(dy, x, w, dx, dw, _wide(dy).sum(axis=(0, 2, 3)))


def _conv2d_dw(dy, x, kernel_size, stride, padding, dilation, groups):
    """Each weight collects dy times the pixel it met, over all images and positions: (F, C/G, K, L)."""
    (N, F, H, W), C, (K, L) = dy.shape, x.shape[1] // groups, kernel_size
    dy = dy.reshape(N, groups, F // groups, H * W)
    dw = np.zeros((K, groups, F // groups, L * C), np.result_type(dy, x))
    for n, h, columns in _columns(_pad(x, padding), (H, W), kernel_size, stride, dilation, groups):
        part = dy[n, ..., h.start * W : h.stop * W]
        for k in range(K):
            dw[k] += (part @ columns[k].swapaxes(2, 3)).sum(axis=0)
    dw = dw.reshape(K, groups, F // groups, L, C).transpose(1, 2, 4, 0, 3)  # (G, F/G, C/G, K, L)
    return dw.reshape(F, C, K, L)


def _conv2d_dx(dy, w, size, stride, padding, dilation, groups):
    """Each pixel collects from every window that used it: dy times a kernel is added there.

    Where windows move by 1 that is a convolution of dy with turned kernels. It meets zeros around dy, which are
    nothing only as long as the kernels are finite.
    """
    (N, F, h, v), (_, C, K, L), (H, W) = dy.shape, w.shape, size
    border = [d * (k - 1) - p for d, k, p in zip(dilation, (K, L), padding, strict=True)]
    moves_by_1 = stride == (1, 1) and min(border) >= 0 and [H - h + padding[0], W - v + padding[1]] == border
    if moves_by_1 and F // groups < 4 * C and np.isfinite(w).all():
        return _convolve(dy, _turn(w, groups), size, stride, border, dilation, groups)
    dx = np.zeros((N, C * groups, H, W), np.result_type(dy, w))
    meetings = list(_meetings(size, (h, v), (K, L), stride, padding, dilation))
    wt = w.reshape(groups, F // groups, C * K * L).swapaxes(1, 2)  # (G, C/G*K*L, F/G)
    for n, _ in _blocks(N, 1, C * groups * K * L * h * v):
        part = dy[n].reshape(len(dy[n]), groups, F // groups, h * v)
        cols = (wt @ part).reshape(len(part), C * groups, K, L, h, v)
        for (i, j), windows, pixels in meetings:
            dx[n, :, *pixels] += cols[:, :, i, j, *windows]
    return dx


def _turn(w, groups):
    """Rotate the kernels by half a turn, exchange filters and channels: (F, C/G, K, L) -> (C, F/G, K, L)."""
    F, C, K, L = w.shape
    w = w.reshape(groups, F // groups, C, K, L).swapaxes(1, 2)  # (G, C/G, F/G, K, L)
    return w.reshape(groups * C, F // groups, K, L)[:, :, ::-1, ::-1]


def max_pool2d_backward(dy, x, kernel_size, *, stride=None, padding=0, dilation=1):
    """Route each dy to the pixel that was the largest of its window; of equal ones, to the first.

    dy: (N, C, H', W')    x: (N, C, H, W)    Returns dx (N, C, H, W).
    Raises ValueError if dy does not have the shape of max_pool2d's output.
    Built in chapter 05.
    """
    _check_images(x, "fiu")
    size, meetings = _pool(x, kernel_size, stride, padding, dilation)
    _check_arrays(dy=dy)
    _check_dy(dy, (*x.shape[:2], *size))
    _check_sums(len(meetings), dy)
    dx = np.zeros(x.shape, _wide(dy).dtype)
    winner, seen = _winners(x, size, meetings)
    np.add.at(dx.reshape(-1), winner[seen], dy[seen])
    return dx.astype(_sum_type(dy), copy=False)


def _winners(x, size, meetings):
    """Where each window's largest pixel stands in x.ravel(), and whether it sees any pixel, both (N, C, H', W').

    Of equal ones the first, of several nan the last, as in torch.
    """
    y = _maxima(x, size, meetings)
    place = np.zeros(y.shape, np.min_scalar_type(len(meetings)))  # in the kernel, counted from its end; 0: none yet
    for k, (_, windows, pixels) in enumerate(reversed(meetings), start=1):
        hit = x[:, :, *pixels] == y[:, :, *windows]
        np.maximum(place[:, :, *windows], hit * place.dtype.type(k), out=place[:, :, *windows])
    if np.isnan(y).any():
        for k, (_, windows, pixels) in zip(range(len(meetings), 0, -1), meetings, strict=True):
            place[:, :, *windows][np.isnan(x[:, :, *pixels])] = k
    (N, C, H, W), (_, _, (i, j)) = x.shape, meetings[0]
    images = np.arange(0, N * C * H * W, H * W).reshape(N, C, 1, 1)
    corners = i.step * W * np.arange(size[0])[:, None] + j.step * np.arange(size[1])  # (H', W')
    shifts = [(i.start - h.start * i.step) * W + j.start - w.start * j.step for _, (h, w), (i, j) in meetings]
    return images + corners + np.take([0, *reversed(shifts)], place), place > 0


def avg_pool2d_backward(dy, x, kernel_size, *, stride=None, padding=0):
    """Give each pixel of a window the same share of its dy.

    dy: (N, C, H', W')    x: (N, C, H, W)    Returns dx (N, C, H, W).
    Raises ValueError if dy does not have the shape of avg_pool2d's output.
    Built in chapter 05.
    """
    _check_images(x)
    size, meetings = _pool(x, kernel_size, stride, padding, 1)
    _check_arrays(dy=dy)
    _check_dy(dy, (*x.shape[:2], *size))
    share = _float(dy) / len(meetings)
    dx = np.zeros(x.shape, share.dtype)
    for _, windows, pixels in meetings:
        dx[:, :, *pixels] += share[:, :, *windows]
    return dx.astype(_float_type(dy), copy=False)


def sgd_step(w, dw, v=None, *, lr, momentum=0.0, weight_decay=0.0):
    """One step of gradient descent with momentum, as torch.optim.SGD takes it.

    w, dw: the same shape    v: what the last step returned, None before the first    Returns the new w and v.
    Raises ValueError if shapes differ, or an option is negative.
    Built in chapter 05.
    """
    lr, momentum, weight_decay = _reals(lr=lr, momentum=momentum, weight_decay=weight_decay)
    _check_step(w, dw, v=v)
    dtype, w, dw = _float_type(w, dw), _float(w), _float(dw)
    dw = dw + weight_decay * w if weight_decay else dw
    v = dw + momentum * v if momentum and v is not None else 1 * dw
    return (w - lr * v).astype(dtype), v.astype(dtype)


def adam_step(w, dw, state=None, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """One step of Adam, as torch.optim.Adam takes it.

    w, dw: the same shape    state: what the last step returned, None before the first
    Returns the new w and the new state: the averages m of dw and v of dw**2, and the number of steps t.
    Raises ValueError if shapes differ, or an option is out of range.
    Source: Kingma and Ba, Adam: a method for stochastic optimization (2015).
    Built in chapter 05.
    """
    lr, eps, weight_decay = _reals(lr=lr, eps=eps, weight_decay=weight_decay)
    m, v, t, beta1, beta2 = _check_adam(w, dw, state, betas)
    dtype, w, dw, t = _float_type(w, dw), _float(w), _float(dw), t + 1
    dw = dw + weight_decay * w if weight_decay else dw
    m = beta1 * m + (1 - beta1) * dw
    v = beta2 * v + (1 - beta2) * dw**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)  # both began at 0: undo that bias
    w = w - lr * m_hat / (np.sqrt(v_hat) + eps)
    return w.astype(dtype), (m.astype(dtype), v.astype(dtype), t)


# Chapter 10: batch normalization


def batch_norm2d(x, w, b, running_mean=None, running_var=None, *, training=False, momentum=0.1, eps=1e-5):
    """Shift and scale each channel to mean 0 and variance 1, then by w and b.

    x: (N, C, H, W)    w, b, running_mean, running_var: (C,)    Returns (N, C, H, W).
    training: use this batch's statistics and move the running ones, if given, by `momentum` towards them, in place, as
    torch does (its running variance is the unbiased one). Otherwise: use the running ones.
    Raises ValueError if the channels differ, or the statistics cannot be had.
    Source: Ioffe and Szegedy, Batch normalization (2015).
    Built in chapter 10.
    """
    momentum = _real("momentum", momentum, -np.inf)
    eps = _check_batch_norm(x, w, b, running_mean, running_var, training, eps)
    mean, var = _moments(x) if training else (running_mean, running_var)
    M = math.prod(x.shape) // max(1, x.shape[1])  # numbers in a channel
    if training and running_mean is not None and M:
        running_mean[...] = (1 - momentum) * running_mean + momentum * mean
        running_var[...] = (1 - momentum) * running_var + momentum * var * M / (M - 1)
    y = w[:, None, None] * _standardize(x, mean, var, eps)[0] + b[:, None, None]
    return y.astype(_float_type(x, w, b), copy=False)


def batch_norm2d_backward(dy, x, w, running_mean=None, running_var=None, *, training=False, eps=1e-5):
    """Gradients of batch_norm2d. In training, mean and variance depend on x too, so every pixel moves its channel.

    dy, x: (N, C, H, W)    w: (C,)    Returns dx, dw, db with the shapes of x, w and b.
    Raises ValueError if shapes differ, or the statistics cannot be had.
    Built in chapter 10.
    """
    eps = _check_batch_norm(x, w, w, running_mean, running_var, training, eps)
    _check_arrays(dy=dy)
    _check_dy(dy, x.shape)
    mean, var = _moments(x) if training else (running_mean, running_var)
    x_hat, std = _standardize(x, mean, var, eps)
    dtype, dy = _float_type(dy, x, w), _float(dy)
    dw, db = (dy * x_hat).sum(axis=(0, 2, 3)), dy.sum(axis=(0, 2, 3))
    if training and x.size:
        M = x.size // x.shape[1]  # numbers in a channel
        dy = dy - (db[:, None, None] + x_hat * dw[:, None, None]) / M
    dx = (w / std)[:, None, None] * dy
    return dx.astype(dtype, copy=False), dw.astype(dtype, copy=False), db.astype(dtype, copy=False)


def _moments(x):
    """Mean and variance of each channel, summed in float64; of no numbers, 0 and 1."""
    if not x.size:
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    return x.mean(axis=(0, 2, 3), dtype=np.float64), x.var(axis=(0, 2, 3), dtype=np.float64)


def _standardize(x, mean, var, eps):
    """x with mean 0 and variance 1, and the standard deviation that made it so, both in x's own precision."""
    x = _float(x)
    std = np.sqrt(var + eps).astype(x.dtype)  # (C,)
    return (x - mean.astype(x.dtype)[:, None, None]) / std[:, None, None], std


# Chapter 15: transposed convolution


def conv_transpose2d(x, w, b=None, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """Paint a scaled kernel at every pixel and add where they overlap: conv2d's gradient with respect to its input.

    x: (N, C, H, W)    w: (C, F/groups, K, L)    b: (F,) or None
    Returns (N, F, H', W') with H' = (H - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1.
    Raises ValueError if channels or groups do not fit, or output_padding is not below stride or dilation.
    Built in chapter 15.
    """
    size, stride, padding, dilation, groups = _check_conv_transpose2d(
        x, w, b, stride, padding, output_padding, dilation, groups
    )
    _check_sums(len(w) // groups * math.prod(w.shape[2:]), x, w, b)
    y = _conv2d_dx(_wide(x), _wide(w), size, stride, padding, dilation, groups)
    return _add_bias(y, b).astype(_sum_type(x, w, b), copy=False)


def conv_transpose2d_backward(dy, x, w, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """Gradients of conv_transpose2d: dx is a plain convolution of dy.

    dy: (N, F, H', W')    x: (N, C, H, W)    w: (C, F/groups, K, L)
    Returns dx, dw, db with the shapes of x, w and b: (F,).
    Raises ValueError if dy does not have the shape of conv_transpose2d's output.
    Built in chapter 15.
    """
    size, stride, padding, dilation, groups = _check_conv_transpose2d(
        x, w, None, stride, padding, output_padding, dilation, groups
    )
    _check_arrays(dy=dy)
    _check_dy(dy, (len(x), w.shape[1] * groups, *size))
    for terms, other in ((w[0].size, w), (x.size // len(w), x), (len(x) * math.prod(size), None)):
        _check_sums(terms, dy, other)
    dx = _convolve(_wide(dy), _wide(w), x.shape[2:], stride, padding, dilation, groups)
    dw = _conv2d_dw(_wide(x), _wide(dy), w.shape[2:], stride, padding, dilation, groups)
    return _gradients(dy, x, w, dx, dw, _wide(dy).sum(axis=(0, 2, 3)))


def _transposed_axis(size, kernel, stride, padding, extra, dilation):
    """Height or width of conv_transpose2d's output."""
    if extra >= max(stride, dilation):
        raise ValueError(f"output_padding {extra} must be below stride {stride} or dilation {dilation}. Try 0")
    result = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1
    if result < 1:
        raise ValueError(f"padding {padding} on both sides leaves {result} of {result + 2 * padding} pixels. Try less")
    return result


# Numbers: in what they are added


def _wide(x):
    """x in numbers that can be added: float16 as float32, whole numbers as int64."""
    if x.dtype.kind in "iub":
        return x.astype(np.int64, copy=False)
    return x.astype(np.promote_types(x.dtype, np.float32), copy=False)


def _float(x):
    """x in numbers that can be divided: whole numbers as float64, float16 as float32."""
    return x.astype(np.float64) if x.dtype.kind == "i" else _wide(x)


def _sum_type(*arrays):
    """The dtype of their sums and products: int64 for whole numbers."""
    dtypes = [array.dtype for array in arrays if array is not None]
    if any(dtype.kind == "f" for dtype in dtypes):
        return np.result_type(*dtypes)
    return np.dtype(np.int64)


def _float_type(*arrays):
    """The dtype of their averages: float64 for whole numbers."""
    dtype = _sum_type(*arrays)
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def _gradients(dy, x, w, dx, dw, db):
    """The gradients of a layer, each in the dtype of the sums that made it."""
    dtypes = _sum_type(dy, w), _sum_type(dy, x), _sum_type(dy)
    return tuple(array.astype(dtype, copy=False) for array, dtype in zip((dx, dw, db), dtypes, strict=True))


# Checks: what was expected, what came, what to try

NUMBERS = {"f": "floats", "i": "signed integers", "u": "unsigned integers", "b": "booleans"}


def _whole(name, value, least):
    """An option as an integer: whatever Python takes for an index."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is {_short(value)}, want a whole number. {_hint(name, value, least)}") from None
    if number < least:
        hint = "To cut pixels off, slice x: x[:, :, 1:-1, 1:-1]" if name == "padding" else f"Try {name}={least}"
        raise ValueError(f"{name} {number} must be at least {least}. {hint}")
    return number


def _hint(name, value, least):
    if isinstance(value, float):
        return "Try // instead of /, or int(...)"
    return "To keep the size, try (kernel - 1) // 2" if name == "padding" else f"Try {name}={least}"


def _short(value):
    """What came, on one line and not too long."""
    return " ".join(reprlib.repr(value).split())


def _pair(name, value, least):
    """A number for both axes, or one for each, as two integers."""
    axes = tuple(value) if isinstance(value, tuple | list) or np.ndim(value) == 1 else (value, value)
    if len(axes) != 2:
        raise ValueError(f"{name} {_short(value)} has {len(axes)} numbers, want one or two. Try {name}={least}")
    return _whole(name, axes[0], least), _whole(name, axes[1], least)


def _pairs(**options):
    """Each option as a pair of integers; paddings may be 0, all others are at least 1."""
    return [_pair(name, value, 0 if "padding" in name else 1) for name, value in options.items()]


def _real(name, value, least=0):
    """An option as a float."""
    if not isinstance(value, numbers.Real):
        raise ValueError(f"{name} is {_short(value)}, want a number. Try {name}=0.1")
    if not value >= least:
        raise ValueError(f"{name} {value} must be at least {least}. Try {name}=0.1")
    return float(value)


def _reals(**options):
    return [_real(name, value) for name, value in options.items()]


def _check_arrays(kinds="fi", **arrays):
    """Each is NumPy's and holds floats (f), whole numbers (i), or what else `kinds` allows."""
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray | np.generic) or isinstance(array, np.matrix | np.ma.MaskedArray):
            hint = f"{name}.detach().numpy()" if hasattr(array, "detach") else f"np.array({name})"
            raise ValueError(f"{name} is a {type(array).__name__}, want an array of NumPy's. Try {hint}")
        if array.dtype.kind not in kinds:
            hint = f"{name}.astype(np.float32)" + " / 255" * (name == "x" and array.dtype == np.uint8)
            want = " or ".join(NUMBERS[kind] for kind in kinds)
            raise ValueError(f"{name} holds {array.dtype}, want {want}. Try {hint}")


def _check_sums(terms, *arrays):
    """Whole numbers are added in int64: the largest sum of products of two arrays, with a bias, must fit in."""
    arrays = [array for array in arrays if array is not None]
    sizes = [max(-int(a.min(initial=0)), int(a.max(initial=0))) for a in arrays if a.dtype.kind != "f"]
    largest = max(sizes, default=0)  # among floats each whole number stands alone
    if len(sizes) == len(arrays):
        largest = terms * math.prod(sizes[:2]) + sum(sizes[2:])
    if largest > np.iinfo(np.int64).max:
        raise ValueError(f"sums of these whole numbers may reach {largest:.0e}, int64 ends at 9e18. Try astype(float)")


def _check_images(x, kinds="fi"):
    _check_arrays(kinds, x=x)
    if x.ndim != 4:
        hint = "x[None] for one image, x[:, None] for gray ones" if x.ndim == 3 else "x[None, None]"
        raise ValueError(f"x has {_count(x.ndim, 'axis')} {x.shape}, want 4: (N, C, H, W). Try {hint}")
    if 0 in x.shape[2:]:
        raise ValueError(f"x has shape {x.shape}: its images have no pixels. Was it cut too small?")


def _check_kernels(w):
    _check_arrays(w=w)
    if w.ndim != 4:
        raise ValueError(
            f"w has {_count(w.ndim, 'axis')} {w.shape}, want 4: (F, C, K, L). Try w[None, None] for one kernel"
        )


def _check_conv2d(x, w, b, groups):
    """Returns groups as an integer."""
    _check_images(x)
    _check_kernels(w)
    groups = _whole("groups", groups, 1)
    C, F, expected = x.shape[1], len(w), w.shape[1] * groups
    if F == 0:
        raise ValueError(f"w has no filters {w.shape}, want (F, C, K, L) with F of at least 1. Try w[:1]")
    if expected != C:
        hint = "Did you pass gray images to a network for RGB?" if C == 1 else "Was w made for other images?"
        if x.shape[3] == expected:
            hint = "Are the channels last? Try x.transpose(0, 3, 1, 2)"
        raise ValueError(f"x has {_count(C, 'channel')} but w expects {expected} {_shapes(x, w)}. {hint}")
    if F % groups:
        raise ValueError(f"{F} filters cannot be split into {groups} groups {_shapes(x, w)}. Try a divisor of {F}")
    _check_bias(b, F)
    return groups


def _check_conv_transpose2d(x, w, b, stride, padding, output_padding, dilation, groups):
    """Returns the output's (H', W'), and the options as integers."""
    stride, padding, output_padding, dilation = _pairs(
        stride=stride, padding=padding, output_padding=output_padding, dilation=dilation
    )
    _check_images(x)
    _check_kernels(w)
    groups = _whole("groups", groups, 1)
    C, expected = x.shape[1], len(w)
    if 0 in w.shape:
        raise ValueError(f"w is empty {w.shape}, want (C, F/groups, K, L), each at least 1. Try np.ones(...)")
    if expected != C:
        hint = "Kernels of conv_transpose2d are (C, F/groups, K, L): try w.swapaxes(0, 1)"
        raise ValueError(f"x has {_count(C, 'channel')} but w expects {expected} {_shapes(x, w)}. {hint}")
    if C % groups:
        raise ValueError(f"{C} channels cannot be split into {groups} groups {_shapes(x, w)}. Try a divisor of {C}")
    _check_bias(b, w.shape[1] * groups)
    size = tuple(map(_transposed_axis, x.shape[2:], w.shape[2:], stride, padding, output_padding, dilation))
    return size, stride, padding, dilation, groups


def _check_bias(b, F):
    if b is None:
        return
    _check_arrays(b=b)
    if b.shape != (F,):
        raise ValueError(f"b has shape {b.shape} but there are {F} filters. Try b.reshape({F})")


def _check_linear(x, w, b):
    _check_arrays(x=x, w=w)
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(
            f"x {x.shape} and w {w.shape} do not fit: want (N, D) and (F, D). Try x.reshape(len(x), -1) or w.T"
        )
    _check_bias(b, len(w))


def _check_dy(dy, shape):
    if dy.shape != shape:
        raise ValueError(
            f"dy has shape {dy.shape} but the output has {shape}. Are the options those of the forward pass?"
        )


def _check_labels(logits, labels):
    _check_arrays(logits=logits)
    _check_arrays("fiub", labels=labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        hint = "One-hot labels? Try labels.argmax(axis=1)" if labels.shape == logits.shape else "One label an image"
        raise ValueError(
            f"logits {logits.shape} and labels {labels.shape} do not fit: want (N, classes) and (N,). {hint}"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels hold {labels.dtype}, want integers. Try labels.astype(int)")
    if labels.size and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        raise ValueError(
            f"labels go from {labels.min()} to {labels.max()}, but classes from 0 to {logits.shape[1] - 1}"
        )


def _check_batch_norm(x, w, b, mean, var, training, eps):
    """Returns eps as a float."""
    _check_images(x)
    if not isinstance(training, bool | np.bool_):
        raise ValueError(f"training is {_short(training)}, want True or False")
    if (mean is None) != (var is None) or not (training or mean is not None):
        raise ValueError("running_mean and running_var are missing. Try training=True, or pass both")
    statistics = {} if mean is None else {"running_mean": mean, "running_var": var}
    _check_arrays(w=w, b=b)
    _check_arrays("f", **statistics)
    for name, array in {"w": w, "b": b, **statistics}.items():
        if array.shape != (x.shape[1],):
            raise ValueError(
                f"{name} has shape {array.shape} but x has {_count(x.shape[1], 'channel')} {x.shape}. "
                "Is it that of another layer?"
            )
        if training and name in statistics and not array.flags.writeable:
            raise ValueError(f"{name} is read-only, and training moves it. Try {name}.copy()")
    if training and len(x) * math.prod(x.shape[2:]) == 1:
        raise ValueError(f"one number a channel {x.shape} has no variance. Try a larger batch")
    eps = _real("eps", eps)
    if training and eps == 0:
        raise ValueError("eps 0.0 must be positive in training: a channel may have no variance. Try eps=1e-5")
    return eps


def _check_step(w, dw, **state):
    """w and what moves it have one shape; a state that is None has not begun yet."""
    _check_arrays(w=w, dw=dw)
    for name, array in {"dw": dw, **state}.items():
        if array is not None:
            _check_arrays(**{name: array})
            if array.shape != w.shape:
                raise ValueError(f"{name} has shape {array.shape} but w has {w.shape}. Is it that of another w?")


def _check_adam(w, dw, state, betas):
    """Returns the three parts of the state, and both betas as floats."""
    _check_step(w, dw)
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ValueError(f"betas is {_short(betas)}, want two numbers. Try betas=(0.9, 0.999)")
    betas = [_real("betas", beta) for beta in betas]
    if max(betas) >= 1:
        raise ValueError(f"betas {tuple(betas)} must be below 1. Try betas=(0.9, 0.999)")
    if state is None:
        return 0.0, 0.0, 0, *betas
    if not isinstance(state, tuple) or len(state) != 3:
        raise ValueError(f"state is {_short(state)}, want what adam_step returned: (m, v, t), or None. Try None")
    _check_step(w, dw, m=state[0], v=state[1])
    return *state[:2], _whole("t", state[2], 0), *betas


def _count(n, noun):
    """1 channel, 3 channels; 2 axes."""
    return f"{n} {noun if n == 1 else {'axis': 'axes'}.get(noun, noun + 's')}"


def _shapes(x, w):
    return f"(x: {x.shape}, w: {w.shape})"
