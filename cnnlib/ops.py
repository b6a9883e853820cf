"""The layers of a convolutional network in NumPy: forward and backward, losses and update rules.

Letters for axes: N images, C channels, H and W input pixels, F filters, K and L kernel, H' and W' output pixels.
Names and meanings are those of torch.nn.functional. Nothing here changes the arrays it is given, except the running
statistics of batch_norm2d. float32 gives float32, float64 gives float64.
"""

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
    x, w = np.asarray(x), np.asarray(w)
    output_size(len(x), len(w))
    return sliding_window_view(x, len(w)) @ w  # (W', L) @ (L,)


def correlate2d(x, w):
    """Slide the kernel w over the image x; at each stop multiply and add.

    x: (H, W)    w: (K, L)    Returns (H - K + 1, W - L + 1).
    Raises ValueError if x or w is not a matrix, or the kernel is larger than the image.
    Built in chapter 02.
    """
    x, w = np.asarray(x), np.asarray(w)
    if x.ndim != 2 or w.ndim != 2:
        raise ValueError(f"x has shape {x.shape} and w {w.shape}: want (H, W) and (K, L). Try one channel: x[..., 0]")
    output_size(x.shape[0], w.shape[0]), output_size(x.shape[1], w.shape[1])
    windows = sliding_window_view(x, w.shape)  # (H', W', K, L)
    return np.einsum("hwkl,kl->hw", windows, w)


# Chapter 03: convolution in full


def output_size(size, kernel, stride=1, padding=0, dilation=1):
    """Count the stops of a window along one axis.

    All are numbers of pixels along that axis; the floor drops a window that would hang over the edge.
    Raises ValueError if not even one window fits, or an option is out of range.
    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016).
    Built in chapter 03.
    """
    if kernel < 1 or stride < 1 or dilation < 1 or padding < 0:
        raise ValueError(
            f"kernel {kernel}, stride {stride} and dilation {dilation} must be at least 1, padding {padding} at least 0"
        )
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
    _check_images(x)
    windows = _windows(_pad(x, padding), kernel_size, stride, dilation)
    N, C, K, L, H, W = windows.shape
    return windows.copy().reshape(N, C * K * L, H * W)


def conv2d(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlate a batch of images with a bank of kernels.

    x: (N, C, H, W)    w: (F, C/groups, K, L)    b: (F,) or None
    Returns (N, F, H', W') with H' = output_size(H, K, stride, padding, dilation).
    Raises ValueError if the channels of x and w, or the groups, do not fit.
    Built in chapter 03.
    """
    _check_conv2d(x, w, b, groups)
    if _suits_winograd(x, w, stride, dilation, groups):
        y = _conv2d_winograd(x, w, padding)
    else:
        pad = _pad_channels_last if _has_long_runs(w, groups) else _pad
        windows = _windows(pad(x, padding), w.shape[2:], stride, dilation)  # (N, C, K, L, H', W')
        y = _conv2d_blocks(windows, w, groups)
    if b is not None:
        y = y.astype(np.result_type(y, b), copy=False)
        y += b[:, None, None]
    return y


def _conv2d_blocks(windows, w, groups):
    """One matrix product for each block of windows, so that the columns never leave the cache."""
    (N, C, K, L, H, W), F = windows.shape, len(w)
    w = _rows(w, groups)  # (G, F/G, K*L*C/G)
    y = np.empty((N, groups, F // groups, H * W), np.result_type(windows, w))
    for n, h in _blocks(N, H, C * K * L * W):
        cols = _columns(windows[n, ..., h, :], groups)  # (n, G, K*L*C/G, h*W')
        np.matmul(w, cols, out=y[n, ..., h.start * W : h.stop * W])
    return y.reshape(N, F, H, W)


def _rows(w, groups):
    """Each kernel as a row, channels last: (F, C/G, K, L) -> (G, F/G, K*L*C/G)."""
    return w.transpose(0, 2, 3, 1).reshape(groups, len(w) // groups, -1)


def _columns(windows, groups):
    """Each window as a column, copied in the order of memory: (N, C, K, L, H', W') -> (N, G, K*L*C/G, H'*W')."""
    N, _, K, L, H, W = windows.shape
    if groups == 1 and windows.strides[1] == windows.itemsize:  # channels last: L*C numbers are one run
        return windows.transpose(0, 4, 5, 2, 3, 1).reshape(N, 1, H * W, -1).swapaxes(2, 3)
    windows = windows.reshape(N, groups, -1, K, L, H, W)
    return windows.transpose(0, 1, 3, 4, 2, 5, 6).reshape(N, groups, -1, H * W)


def _blocks(N, H, row):
    """Cut N images of H rows of `row` numbers into blocks of about BLOCK numbers: whole images, or rows of one."""
    rows = min(H, max(1, BLOCK // row))
    images = max(1, BLOCK // (row * H))
    for n in range(0, N, images):
        for h in range(0, H, rows):
            yield slice(n, n + images), slice(h, min(H, h + rows))


def _pad(x, padding, value=0):
    """Surround every image with `padding` rows and columns of value; without padding, x itself."""
    ph, pw = _pair(padding)
    if ph < 0 or pw < 0:
        raise ValueError(f"padding {padding} must be at least 0. To cut pixels off, slice x: x[:, :, 1:-1, 1:-1]")
    if ph == pw == 0:
        return x
    return np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=value)


def _pad_channels_last(x, padding, extra=(0, 0)):
    """_pad, and `extra` zeros more below and right; the axes stay, but in memory a pixel's channels are neighbors."""
    (N, C, H, W), (ph, pw) = x.shape, _pair(padding)
    padded = np.zeros((N, H + 2 * ph + extra[0], W + 2 * pw + extra[1], C), x.dtype)
    padded[:, ph : ph + H, pw : pw + W] = x.transpose(0, 2, 3, 1)
    return padded.transpose(0, 3, 1, 2)  # (N, C, H, W)


def _has_long_runs(w, groups):
    """Channels last is worth a copy of x where each window then has long runs of numbers, and windows overlap."""
    return groups == 1 and w.shape[1] >= 16 and w.shape[2:] != (1, 1)


def _windows(x, kernel_size, stride, dilation):
    """Every window of x as a view, without a copy: (N, C, K, L, H', W')."""
    (K, L), (sh, sw), (dh, dw) = _pair(kernel_size), _pair(stride), _pair(dilation)
    output_size(x.shape[2], K, sh, 0, dh), output_size(x.shape[3], L, sw, 0, dw)
    spans = (dh * (K - 1) + 1, dw * (L - 1) + 1)
    windows = sliding_window_view(x, spans, axis=(2, 3), writeable=True)  # (N, C, stops, stops, span, span)
    return windows[:, :, ::sh, ::sw, ::dh, ::dw].transpose(0, 1, 4, 5, 2, 3)


def _pair(value):
    """A number for both axes, or one for each."""
    return (value, value) if np.ndim(value) == 0 else tuple(value)


def _suits_winograd(x, w, stride, dilation, groups):
    """Wide 3x3 layers with stride 1: there the saved products outweigh the transforms."""
    plain = w.shape[2:] == (3, 3) and _pair(stride) == _pair(dilation) == (1, 1) and groups == 1
    return plain and min(w.shape[:2]) >= 48 and np.result_type(x, w).kind == "f"


def _conv2d_winograd(x, w, padding):
    """3x3 convolution with 36 multiplications for 16 outputs instead of 144.

    A row of the kernel and a row of the image are polynomials, and convolution multiplies them: evaluate both at six
    points, multiply there, go back. Done along both axes for tiles of 4x4 outputs, each seen from 6x6 pixels.
    Source: Lavin and Gray, Fast algorithms for convolutional neural networks (2016).
    """
    (ph, pw), F = _pair(padding), len(w)
    H, W = output_size(x.shape[2], 3, 1, ph), output_size(x.shape[3], 3, 1, pw)
    th, tw = -(-H // 4), -(-W // 4)  # tiles along each axis, the last ones perhaps beyond the edge
    x = _pad_channels_last(x, padding, (4 * th - H, 4 * tw - W))
    tiles = sliding_window_view(x, (6, 6), axis=(2, 3))[:, :, ::4, ::4]  # (N, C, th, tw, 6, 6)
    A, B, G = _winograd_matrices(np.result_type(x, w))  # (16, 36), (36, 36), (36, 9)
    w = (G @ w.transpose(2, 3, 1, 0).reshape(9, -1)).reshape(36, -1, F)  # (36, C, F)
    y = np.empty((len(x), F, th, 4, tw, 4), w.dtype)
    for n, h in _blocks(len(x), th, 36 * max(w.shape[1:]) * tw):
        block = tiles[n, :, h].transpose(4, 5, 0, 2, 3, 1)  # (6, 6, n, h, tw, C)
        points = (B @ block.reshape(36, -1)).reshape(36, -1, len(w[0]))
        out = (A @ (points @ w).reshape(36, -1)).reshape(4, 4, *block.shape[2:5], F)
        y[n, :, h] = out.transpose(2, 5, 3, 0, 4, 1)
    return np.ascontiguousarray(y.reshape(len(x), F, 4 * th, 4 * tw)[:, :, :H, :W])


def _winograd_matrices(dtype):
    """Matrices from six points back to a tile, from an image tile to six points, from a kernel to six points.

    0, 1, -1, 1/2, -2 and infinity are points with a small rounding error (Barabasz and others, 2020).
    """

    def evaluate(n):  # a polynomial of n coefficients at the six points
        return np.vstack([np.vander([0, 1, -1, 0.5, -2], n, increasing=True), np.eye(n)[-1]])

    back, image, kernel = evaluate(4).T, np.linalg.inv(evaluate(6)).T, evaluate(3)
    return (np.kron(m, m).astype(dtype) for m in (back, image, kernel))


# Chapter 04: pooling


def max_pool2d(x, kernel_size, *, stride=None, padding=0, dilation=1):
    """Keep the largest number of each window.

    x: (N, C, H, W)    Returns (N, C, H', W'). stride None means kernel_size; the padding is -inf and never wins.
    Raises ValueError if no window fits, or the padding is more than half a window.
    Built in chapter 04.
    """
    windows = _pool_windows(x, kernel_size, stride, padding, dilation, _lowest(x))  # (N, C, K, L, H', W')
    return _slide(np.maximum, windows)


def avg_pool2d(x, kernel_size, *, stride=None, padding=0):
    """Average each window; the zeros of the padding count, as in torch.

    x: (N, C, H, W)    Returns (N, C, H', W'). stride None means kernel_size.
    Raises ValueError if no window fits, or the padding is more than half a window.
    Built in chapter 04.
    """
    _check_sums(x)
    windows = _pool_windows(x, kernel_size, stride, padding, 1, 0)
    K, L = windows.shape[2:4]
    return _slide(np.add, windows) / (K * L)


def _slide(combine, windows):
    """Combine the numbers of each window, one kernel offset at a time: (N, C, K, L, H', W') -> (N, C, H', W')."""
    first, *others = np.ndindex(windows.shape[2:4])
    y = windows[:, :, *first].copy()
    for i, j in others:
        combine(y, windows[:, :, i, j], out=y)
    return y


def _pool_windows(x, kernel_size, stride, padding, dilation, value):
    """The padded windows of a pooling layer: (N, C, K, L, H', W')."""
    _check_images(x)
    for k, p, d in zip(*map(_pair, (kernel_size, padding, dilation)), strict=True):
        if p > (d * (k - 1) + 1) // 2:
            raise ValueError(f"padding {p} is more than half the window ({k}, dilation {d}). Try padding={k // 2}")
    return _windows(_pad(x, padding, value), kernel_size, _stride(stride, kernel_size), dilation)


def _stride(stride, kernel_size):
    """Pooling's windows lie side by side unless told otherwise."""
    return kernel_size if stride is None else stride


def _lowest(x):
    return -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min


# Chapter 05: gradients


def relu(x):
    """Replace negative numbers by 0. x: any shape.

    Built in chapter 05.
    """
    return np.maximum(x, 0)


def relu_backward(dy, x):
    """Pass the gradient on where x was positive.

    dy, x: the same shape    Returns dx, that shape. At exactly 0 the slope is taken as 0.
    Built in chapter 05.
    """
    return dy * (x > 0)


def linear(x, w, b=None):
    """Weigh and add all features, once for each output.

    x: (N, D)    w: (F, D)    b: (F,) or None    Returns (N, F) = x @ w.T + b.
    Raises ValueError if x and w differ in their number of features.
    Built in chapter 05.
    """
    _check_linear(x, w, b)
    y = x @ w.T
    return y if b is None else y + b


def linear_backward(dy, x, w):
    """Gradients of linear.

    dy: (N, F)    x: (N, D)    w: (F, D)    Returns dx (N, D), dw (F, D), db (F,), the last two summed over the batch.
    Raises ValueError if dy does not have the shape of linear's output.
    Built in chapter 05.
    """
    _check_linear(x, w, None)
    _check_dy(dy, (len(x), len(w)))
    return dy @ w, dy.T @ x, dy.sum(axis=0)


def softmax(x):
    """Turn logits into probabilities that sum to 1 along the last axis.

    x: (..., classes)    Returns the same shape. The largest logit is subtracted first, so that exp never overflows.
    Built in chapter 05.
    """
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dy, x):
    """Gradient of softmax: each probability moves against the average of all.

    dy, x: (..., classes)    Returns dx, the same shape.
    Built in chapter 05.
    """
    p = softmax(x)
    return p * (dy - (dy * p).sum(axis=-1, keepdims=True))


def cross_entropy(logits, labels):
    """Average over the batch of -log(probability of the right class), in nats.

    logits: (N, classes)    labels: (N,) integers    Returns one number.
    Raises ValueError if labels are not N integers from 0 to classes - 1.
    Built in chapter 05.
    """
    _check_labels(logits, labels)
    logits = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(logits).sum(axis=1))  # (N,)
    return (log_sum - logits[np.arange(len(labels)), labels]).mean()


def cross_entropy_backward(logits, labels):
    """Gradient of cross_entropy with respect to the logits: (softmax - one_hot) / N.

    logits: (N, classes)    labels: (N,) integers    Returns dlogits (N, classes).
    Raises ValueError if labels are not N integers from 0 to classes - 1.
    Built in chapter 05.
    """
    _check_labels(logits, labels)
    dlogits = softmax(logits)
    dlogits[np.arange(len(labels)), labels] -= 1
    return dlogits / len(labels)


def col2im(cols, size, kernel_size, *, stride=1, padding=0, dilation=1):
    """Add every column back to the pixels its window came from: the adjoint of im2col.

    cols: (N, C*K*L, H'*W')    size: (H, W)    Returns (N, C, H, W), as torch.nn.functional.fold does.
    Raises ValueError if cols does not have the shape that im2col gives for images of this size.
    Built in chapter 05.
    """
    (H, W), (K, L), (ph, pw) = _pair(size), _pair(kernel_size), _pair(padding)
    x = np.zeros((len(cols), cols.shape[1] // (K * L), H + 2 * ph, W + 2 * pw), cols.dtype)
    windows = _windows(x, kernel_size, stride, dilation)  # (N, C, K, L, H', W'), a view to add to
    N, C, K, L, h, w = windows.shape
    if cols.shape != (N, C * K * L, h * w):
        want = (N, f"C*{K * L}", h * w)
        raise ValueError(
            f"cols has shape {cols.shape}, but size {(H, W)} wants {want}. Are the options those of im2col?"
        )
    _add_windows(windows, cols.reshape(windows.shape))
    return _crop(x, padding)


def _add_windows(windows, values):
    """Add to windows that overlap, one kernel offset at a time: within one offset no pixel is met twice."""
    for i, j in np.ndindex(windows.shape[2:4]):
        windows[:, :, i, j] += values[:, :, i, j]


def _crop(x, padding):
    """Undo _pad."""
    (H, W), (ph, pw) = x.shape[2:], _pair(padding)
    return np.ascontiguousarray(x[:, :, ph : H - ph, pw : W - pw])


def conv2d_backward(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1):
    """Gradients of conv2d.

    dy: (N, F, H', W')    x: (N, C, H, W)    w: (F, C/groups, K, L)
    Returns dx, dw, db with the shapes of x, w and b: (F,). dw and db are summed over the batch and all positions.
    Raises ValueError if dy does not have the shape of conv2d's output.
    Built in chapter 05.
    """
    _check_conv2d(x, w, None, groups)
    pad = _pad_channels_last if _has_long_runs(w, groups) else _pad
    windows = _windows(pad(x, padding), w.shape[2:], stride, dilation)  # (N, C, K, L, H', W')
    _check_dy(dy, (len(x), len(w), *windows.shape[4:]))
    dx = _conv2d_dx(dy, w, x.shape[2:], stride, padding, dilation, groups)
    return dx, _conv2d_dw(dy, windows, groups), dy.sum(axis=(0, 2, 3))


def _conv2d_dw(dy, windows, groups):
    """Each weight collects dy times the pixel it met, over all images and positions: (F, C/G, K, L)."""
    (N, F, H, W), (C, K, L) = dy.shape, windows.shape[1:4]
    dw = np.zeros((groups, F // groups, K * L * C // groups), np.result_type(dy, windows))
    for n, h in _blocks(N, H, C * K * L * W):
        cols = _columns(windows[n, ..., h, :], groups).transpose(1, 2, 0, 3).reshape(groups, dw.shape[2], -1)
        rows = dy[n, :, h].transpose(1, 0, 2, 3).reshape(groups, F // groups, -1)  # (G, F/G, n*h*W')
        dw += rows @ cols.swapaxes(1, 2)
    return np.ascontiguousarray(dw.reshape(F, K, L, C // groups).transpose(0, 3, 1, 2))


def _conv2d_dx(dy, w, size, stride, padding, dilation, groups):
    """Each pixel collects from every window that used it: dy times a kernel is added there.

    Where windows move by 1 that is a convolution of dy with turned kernels, which is faster unless filters are many.
    """
    (H, W), (ph, pw), (N, F, h, w_), C = size, _pair(padding), dy.shape, w.shape[1]
    border = [d * (k - 1) - p for d, k, p in zip(_pair(dilation), w.shape[2:], (ph, pw), strict=True)]
    moves_by_1 = _pair(stride) == (1, 1) and min(border) >= 0 and [H - h + ph, W - w_ + pw] == border
    if moves_by_1 and F // groups < 4 * C:
        return conv2d(dy, _turn(w, groups), padding=border, dilation=dilation, groups=groups)
    dx = np.zeros((N, C * groups, H + 2 * ph, W + 2 * pw), np.result_type(dy, w))
    windows = _windows(dx, w.shape[2:], stride, dilation)[..., :h, :w_]  # (N, C, K, L, H', W'), a view to add to
    wt = w.reshape(groups, F // groups, -1).swapaxes(1, 2)  # (G, C/G*K*L, F/G)
    for n, _ in _blocks(N, 1, windows[0].size):
        cols = wt @ dy[n].reshape(-1, groups, F // groups, h * w_)  # (n, G, C/G*K*L, H'*W')
        _add_windows(windows[n], cols.reshape(windows[n].shape))
    return _crop(dx, padding)


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
    windows = _pool_windows(x, kernel_size, stride, padding, dilation, _lowest(x))  # (N, C, K, L, H', W')
    y = _slide(np.maximum, windows)
    _check_dy(dy, y.shape)
    dx = _pad(np.zeros(x.shape, dy.dtype), padding)
    dx_windows = _windows(dx, kernel_size, _stride(stride, kernel_size), dilation)
    waiting = np.ones(y.shape, bool)  # windows whose largest number has not been met yet
    for i, j in np.ndindex(windows.shape[2:4]):
        hit = waiting & (windows[:, :, i, j] == y)
        waiting ^= hit
        dx_windows[:, :, i, j] += dy * hit
    return _crop(dx, padding)


def avg_pool2d_backward(dy, x, kernel_size, *, stride=None, padding=0):
    """Give each pixel of a window the same share of its dy.

    dy: (N, C, H', W')    x: (N, C, H, W)    Returns dx (N, C, H, W).
    Raises ValueError if dy does not have the shape of avg_pool2d's output.
    Built in chapter 05.
    """
    N, C, K, L, H, W = _pool_windows(x, kernel_size, stride, padding, 1, 0).shape
    _check_dy(dy, (N, C, H, W))
    dx = _pad(np.zeros(x.shape, dy.dtype), padding)
    share = (dy / (K * L))[:, :, None, None]  # (N, C, 1, 1, H', W')
    _add_windows(_windows(dx, kernel_size, _stride(stride, kernel_size), 1), np.broadcast_to(share, (N, C, K, L, H, W)))
    return _crop(dx, padding)


def sgd_step(w, dw, v=None, *, lr, momentum=0.0, weight_decay=0.0):
    """One step of gradient descent with momentum, as torch.optim.SGD takes it.

    w, dw: the same shape    v: what the last step returned, None before the first    Returns the new w and v.
    Built in chapter 05.
    """
    dw = dw + weight_decay * w
    v = dw if v is None else momentum * v + dw
    return w - lr * v, v


def adam_step(w, dw, state=None, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """One step of Adam, as torch.optim.Adam takes it.

    w, dw: the same shape    state: what the last step returned, None before the first
    Returns the new w and the new state: the averages m of dw and v of dw**2, and the number of steps t.
    Source: Kingma and Ba, Adam: a method for stochastic optimization (2015).
    Built in chapter 05.
    """
    m, v, t = (0.0, 0.0, 0) if state is None else state
    dw, t = dw + weight_decay * w, t + 1
    m = betas[0] * m + (1 - betas[0]) * dw
    v = betas[1] * v + (1 - betas[1]) * dw**2
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)  # both began at 0: undo that bias
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), (m, v, t)


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
    _check_batch_norm(x, w, b, running_mean, running_var, training)
    if not training:
        return w[:, None, None] * _standardize(x, running_mean, running_var, eps)[0] + b[:, None, None]
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    if running_mean is not None:
        M = x[:, 0].size
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * M / (M - 1) - running_var)
    return w[:, None, None] * _standardize(x, mean, var, eps)[0] + b[:, None, None]


def batch_norm2d_backward(dy, x, w, running_mean=None, running_var=None, *, training=False, eps=1e-5):
    """Gradients of batch_norm2d. In training, mean and variance depend on x too, so every pixel moves its channel.

    dy, x: (N, C, H, W)    w: (C,)    Returns dx, dw, db with the shapes of x, w and b.
    Raises ValueError if shapes differ, or the statistics cannot be had.
    Built in chapter 10.
    """
    _check_batch_norm(x, w, w, running_mean, running_var, training)
    _check_dy(dy, x.shape)
    if training:
        running_mean, running_var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    x_hat, std = _standardize(x, running_mean, running_var, eps)
    dw, db = (dy * x_hat).sum(axis=(0, 2, 3)), dy.sum(axis=(0, 2, 3))
    if training:
        M = x[:, 0].size  # numbers in a channel
        dy = dy - (db[:, None, None] + x_hat * dw[:, None, None]) / M
    return (w / std)[:, None, None] * dy, dw, db


def _standardize(x, mean, var, eps):
    std = np.sqrt(var + eps)  # (C,)
    return (x - mean[:, None, None]) / std[:, None, None], std


# Chapter 15: transposed convolution


def conv_transpose2d(x, w, b=None, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """Paint a scaled kernel at every pixel and add where they overlap: conv2d's gradient with respect to its input.

    x: (N, C, H, W)    w: (C, F/groups, K, L)    b: (F,) or None
    Returns (N, F, H', W') with H' = (H - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1.
    Raises ValueError if channels or groups do not fit, or output_padding is not below stride or dilation.
    Built in chapter 15.
    """
    _check_conv_transpose2d(x, w, b, groups)
    size = _transposed_size(x, w, stride, padding, output_padding, dilation)
    y = _conv2d_dx(x, w, size, stride, padding, dilation, groups)
    return y if b is None else y + b[:, None, None]


def conv_transpose2d_backward(dy, x, w, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """Gradients of conv_transpose2d: dx is a plain convolution of dy.

    dy: (N, F, H', W')    x: (N, C, H, W)    w: (C, F/groups, K, L)
    Returns dx, dw, db with the shapes of x, w and b: (F,).
    Raises ValueError if dy does not have the shape of conv_transpose2d's output.
    Built in chapter 15.
    """
    _check_conv_transpose2d(x, w, None, groups)
    size = _transposed_size(x, w, stride, padding, output_padding, dilation)
    _check_dy(dy, (len(x), w.shape[1] * groups, *size))
    H, W = x.shape[2:]
    dx = conv2d(dy, w, stride=stride, padding=padding, dilation=dilation, groups=groups)[:, :, :H, :W]
    windows = _windows(_pad(dy, padding), w.shape[2:], stride, dilation)[..., :H, :W]  # (N, F, K, L, H, W)
    return dx, _conv2d_dw(x, windows, groups), dy.sum(axis=(0, 2, 3))


def _transposed_size(x, w, stride, padding, output_padding, dilation):
    """Height and width of conv_transpose2d's output."""
    options = map(_pair, (w.shape[2:], stride, padding, output_padding, dilation))
    return [_transposed_axis(*numbers) for numbers in zip(x.shape[2:], *options, strict=True)]


def _transposed_axis(size, kernel, stride, padding, extra, dilation):
    if not 0 <= extra < max(stride, dilation):
        raise ValueError(f"output_padding {extra} must be below stride {stride} or dilation {dilation}. Try 0")
    result = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1
    if result < 1:
        raise ValueError(f"padding {padding} on both sides leaves {result} of {result + 2 * padding} pixels. Try less")
    output_size(result, kernel, stride, padding, dilation)  # raises if an option is out of range
    return result


# Checks: the numbers that do not fit, and what to try


def _check_images(x):
    if x.ndim != 4:
        hint = "x[None] for one image, x[:, None] for gray ones" if x.ndim == 3 else "x[None, None]"
        raise ValueError(f"x has {_count(x.ndim, 'axis')} {x.shape}, want 4: (N, C, H, W). Try {hint}")


def _check_sums(x):
    if x.dtype.kind not in "fi":
        raise ValueError(
            f"x holds {x.dtype}, and sums of {x.dtype} wrap around or overflow. Try x.astype(np.float32) / 255"
        )


def _check_kernels(w):
    if w.ndim != 4:
        raise ValueError(
            f"w has {_count(w.ndim, 'axis')} {w.shape}, want 4: (F, C, K, L). Try w[None, None] for one kernel"
        )


def _check_conv2d(x, w, b, groups):
    _check_images(x)
    _check_sums(x)
    _check_kernels(w)
    C, F, expected = x.shape[1], len(w), w.shape[1] * groups
    if expected != C:
        hint = "Did you pass gray images to a network for RGB?" if C == 1 else "Was w made for other images?"
        if x.shape[3] == expected:
            hint = "Are the channels last? Try x.transpose(0, 3, 1, 2)"
        raise ValueError(f"x has {_count(C, 'channel')} but w expects {expected} {_shapes(x, w)}. {hint}")
    if F % groups:
        raise ValueError(f"{F} filters cannot be split into {groups} groups {_shapes(x, w)}. Try a divisor of {F}")
    _check_bias(b, F)


def _check_conv_transpose2d(x, w, b, groups):
    _check_images(x)
    _check_sums(x)
    _check_kernels(w)
    C, expected = x.shape[1], len(w)
    if expected != C:
        hint = "Kernels of conv_transpose2d are (C, F/groups, K, L): try w.swapaxes(0, 1)"
        raise ValueError(f"x has {_count(C, 'channel')} but w expects {expected} {_shapes(x, w)}. {hint}")
    if C % groups:
        raise ValueError(f"{C} channels cannot be split into {groups} groups {_shapes(x, w)}. Try a divisor of {C}")
    _check_bias(b, w.shape[1] * groups)


def _check_bias(b, F):
    if b is not None and b.shape != (F,):
        raise ValueError(f"b has shape {b.shape} but there are {F} filters. Try b.reshape({F})")


def _check_linear(x, w, b):
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


def _check_batch_norm(x, w, b, mean, var, training):
    _check_images(x)
    _check_sums(x)
    for name, array in {"w": w, "b": b, "running_mean": mean, "running_var": var}.items():
        if array is not None and array.shape != (x.shape[1],):
            raise ValueError(f"{name} has shape {array.shape} but x has {_count(x.shape[1], 'channel')} {x.shape}")
    if training and x[:, 0].size < 2:
        raise ValueError(f"one number a channel {x.shape} has no variance. Try a larger batch")
    if not training and (mean is None or var is None):
        raise ValueError("running_mean and running_var are missing. Try training=True, or pass both")


def _count(n, noun):
    """1 channel, 3 channels; 2 axes."""
    return f"{n} {noun if n == 1 else {'axis': 'axes'}.get(noun, noun + 's')}"


def _shapes(x, w):
    return f"(x: {x.shape}, w: {w.shape})"
