"""Typical wrong answers to exercise 04: each loses points on every draw, and is told why."""

MAX = """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), FRAME, FRAME), constant_values=VALUE)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].max(axis=(2, 3))
    return y
"""
FARTHEST = """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    views = np.lib.stride_tricks.sliding_window_view(x, (K, K), axis=(2, 3))[:, :, ::s, ::s]
    views = views.reshape(*views.shape[:4], -1)
    return np.take_along_axis(views, np.abs(views).argmax(-1)[..., None], -1)[..., 0]
"""
AVERAGE = """
def avg_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    there = np.pad(np.ones_like(x), ((0, 0), (0, 0), FRAME, FRAME))
    x = np.pad(x, ((0, 0), (0, 0), FRAME, FRAME))
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            spot = np.s_[:, :, i * s : i * s + K, j * s : j * s + K]
            y[:, :, i, j] = x[spot].sum(axis=(2, 3)) / COUNT
    return y
"""
SEEN = """
def pixels_seen(layers, i):
    first = last = i
    for kernel, stride, padding, dilation in reversed(layers):
        first = first * stride - padding
        last = last * stride - padding + dilation * (kernel - 1)
    return max(first, 0), last
"""


def largest(value="-np.inf", frame="(p, p)"):
    """The cell of 04.2 with another padding."""
    return {"answer-04-2": MAX.replace("VALUE", value).replace("FRAME", frame)}


def average(count="there[spot].sum(axis=(2, 3))", frame="(p, p)"):
    """The cell of 04.3 with another count or padding."""
    return {"answer-04-3": AVERAGE.replace("COUNT", count).replace("FRAME", frame)}


WRONG = [
    ("04.2", "-100 in the padding", largest("-100"), "below every other"),
    ("04.2", "the smallest whole number in the padding", largest("np.iinfo(np.int64).min"), "below every other"),
    ("04.2", "padding in front only", largest(frame="(p, 0)"), "on all four sides"),
    ("04.2", "twice the padding in front", largest(frame="(2 * p, 0)"), "the same on each"),
    ("04.2", "farthest from zero", {"answer-04-2": FARTHEST}, "-1 beats -5"),
    (
        "04.3",
        "zeros left out",
        average("np.maximum((x[spot] != 0).sum(axis=(2, 3)), 1)"),
        "A pixel that is 0 is a pixel",
    ),
    ("04.3", "padding in front only", average(frame="(p, 0)"), "on all four sides"),
    ("04.3", "twice the padding in front", average(frame="(2 * p, 0)"), "the same on each"),
    ("04.4", "cut off at the image", {"answer-04-4": SEEN}, "leave it negative"),
    (
        "04.1",
        "the other corner, and kernels added up",
        {"answer-04-1": "corner_average = 11\nfield = 11"},
        "Rows run downwards",
    ),
    (
        "04.1",
        "the largest, and no jump",
        {"answer-04-1": "corner_average = 33\nfield = 9"},
        "Average pooling was asked for",
    ),
    (
        "04.1",
        "stride too early",
        {"answer-04-1": "corner_average = 26\nfield = 21"},
        "only for the layers after it",
    ),
    (
        "04.1",
        "the jump for the field",
        {"answer-04-1": "corner_average = 26\nfield = 3"},
        "how far neighbors are apart",
    ),
    (
        "04.1",
        "dots left",
        {"answer-04-1": "corner_average = 26\nfield = ..."},
        "Not answered yet",
    ),
    (
        "04.2",
        "zeros in the padding",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=0)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].max(axis=(2, 3))
    return y
"""
        },
        "Which number never wins",
    ),
    (
        "04.2",
        "stride ignored in the indices",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i : i + K, j : j + K].max(axis=(2, 3))
    return y
"""
        },
        "window i starts at i * stride",
    ),
    (
        "04.2",
        "stride ignored altogether",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    stride = 1
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].max(axis=(2, 3))
    return y
"""
        },
        "moves by one pixel",
    ),
    (
        "04.2",
        "always side by side",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    stride = kernel_size
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].max(axis=(2, 3))
    return y
"""
        },
        "side by side whatever",
    ),
    (
        "04.2",
        "ceil for floor",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = -(-(x.shape[2] - K) // s) + 1, -(-(x.shape[3] - K) // s) + 1
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].max(axis=(2, 3))
    return y
"""
        },
        "hangs over the edge",
    ),
    (
        "04.2",
        "H and W swapped",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = 1 + (x.shape[3] - K) // s, 1 + (x.shape[2] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, j * s : j * s + K, i * s : i * s + K].max(axis=(2, 3))
    return y
"""
        },
        "swapped",
    ),
    (
        "04.2",
        "mean for maximum",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=0)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].mean(axis=(2, 3))
    return y
"""
        },
        "These are averages",
    ),
    (
        "04.2",
        "maximum without the sign",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=0)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = np.abs(x[:, :, i * s : i * s + K, j * s : j * s + K]).max(axis=(2, 3))
    return y
"""
        },
        "without the sign",
    ),
    (
        "04.2",
        "smallest for largest",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=np.inf)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].min(axis=(2, 3))
    return y
"""
        },
        "smallest numbers",
    ),
    (
        "04.2",
        "padding left out",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    padding = 0
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].max(axis=(2, 3))
    return y
"""
        },
        "padding is left out",
    ),
    (
        "04.2",
        "channels pooled too",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].max(axis=(1, 2, 3))[:, None]
    return y
"""
        },
        "Each channel is pooled by itself",
    ),
    (
        "04.2",
        "first image for the whole batch",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:1, :, i * s : i * s + K, j * s : j * s + K].max(axis=(2, 3))
    return y
"""
        },
        "first difference",
    ),
    (
        "04.2",
        "starts from zeros",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = np.maximum(0, x[:, :, i * s : i * s + K, j * s : j * s + K].max(axis=(2, 3)))
    return y
"""
        },
        "start from zeros",
    ),
    (
        "04.2",
        "nothing returned",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].max(axis=(2, 3))
    y
"""
        },
        "does your function return its result",
    ),
    (
        "04.2",
        "writes into its input",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    x -= x.min()
    p = padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    views = np.lib.stride_tricks.sliding_window_view(x, (kernel_size, kernel_size), axis=(2, 3))
    return views[:, :, ::stride, ::stride].max(axis=(4, 5))
"""
        },
        "changed its input x",
    ),
    (
        "04.2",
        "taken from PyTorch",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    import torch

    return torch.nn.functional.max_pool2d(torch.from_numpy(x), kernel_size, stride, padding).numpy()
"""
        },
        "does not allow",
    ),
    (
        "04.3",
        "zeros of the padding counted",
        {
            "answer-04-3": """
def avg_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    count = np.pad(np.ones_like(x), ((0, 0), (0, 0), (p, p), (p, p)))
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            window = x[:, :, i * s : i * s + K, j * s : j * s + K]
            y[:, :, i, j] = window.mean(axis=(2, 3))
    return y
"""
        },
        "How many of its numbers are pixels",
    ),
    (
        "04.3",
        "sum for mean",
        {
            "answer-04-3": """
def avg_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    count = np.pad(np.ones_like(x), ((0, 0), (0, 0), (p, p), (p, p)))
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            window = x[:, :, i * s : i * s + K, j * s : j * s + K]
            y[:, :, i, j] = window.sum(axis=(2, 3))
    return y
"""
        },
        "These are sums",
    ),
    (
        "04.3",
        "divided by K",
        {
            "answer-04-3": """
def avg_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    count = np.pad(np.ones_like(x), ((0, 0), (0, 0), (p, p), (p, p)))
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            window = x[:, :, i * s : i * s + K, j * s : j * s + K]
            y[:, :, i, j] = window.sum(axis=(2, 3)) / K
    return y
"""
        },
        "K * K pixels",
    ),
    (
        "04.3",
        "maximum for mean",
        {
            "answer-04-3": """
def avg_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    count = np.pad(np.ones_like(x), ((0, 0), (0, 0), (p, p), (p, p)))
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            window = x[:, :, i * s : i * s + K, j * s : j * s + K]
            y[:, :, i, j] = window.max(axis=(2, 3))
    return y
"""
        },
        "largest numbers",
    ),
    (
        "04.3",
        "stride ignored",
        {
            "answer-04-3": """
def avg_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, 1, padding
    count = np.pad(np.ones_like(x), ((0, 0), (0, 0), (p, p), (p, p)))
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            window = x[:, :, i * s : i * s + K, j * s : j * s + K]
            y[:, :, i, j] = window.sum(axis=(2, 3)) / count[:, :, i * s : i * s + K, j * s : j * s + K].sum(axis=(2, 3))
    return y
"""
        },
        "moves by one pixel",
    ),
    (
        "04.3",
        "padding left out",
        {
            "answer-04-3": """
def avg_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, 0
    count = np.pad(np.ones_like(x), ((0, 0), (0, 0), (p, p), (p, p)))
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            window = x[:, :, i * s : i * s + K, j * s : j * s + K]
            y[:, :, i, j] = window.mean(axis=(2, 3))
    return y
"""
        },
        "stand elsewhere",
    ),
    (
        "04.4",
        "stride too early",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    jump, field, start = 1, 1, 0
    for kernel, stride, padding, dilation in layers:
        jump *= stride
        field += dilation * (kernel - 1) * jump
        start -= padding * jump // stride
    first = start + i * jump
    return first, first + field - 1
"""
        },
        "only for the layers after it",
    ),
    (
        "04.4",
        "no jump",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    first = i - sum(p for k, s, p, d in layers)
    return first, first + sum(d * (k - 1) for k, s, p, d in layers)
"""
        },
        "every step as one pixel",
    ),
    (
        "04.4",
        "strides added",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    jump, field, start = 1, 1, 0
    for kernel, stride, padding, dilation in layers:
        field += dilation * (kernel - 1) * jump
        start -= padding * jump
        jump += stride
    first = start + i * jump
    return first, first + field - 1
"""
        },
        "Strides multiply",
    ),
    (
        "04.4",
        "number 0 always",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    jump, field, start = 1, 1, 0
    for kernel, stride, padding, dilation in layers:
        field += dilation * (kernel - 1) * jump
        start -= padding * jump
        jump *= stride
    first = start
    return first, first + field - 1
"""
        },
        "Where does `i` come in",
    ),
    (
        "04.4",
        "end excluded",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    first = last = i
    for kernel, stride, padding, dilation in reversed(layers):
        first = first * stride - padding
        last = last * stride - padding + dilation * (kernel - 1)
    return first, last + 1
"""
        },
        "one too far",
    ),
    (
        "04.4",
        "first and field",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    first = last = i
    for kernel, stride, padding, dilation in reversed(layers):
        first = first * stride - padding
        last = last * stride - padding + dilation * (kernel - 1)
    return first, last - first + 1
"""
        },
        "not how many there are",
    ),
    (
        "04.4",
        "padding left out",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    first = last = i
    for kernel, stride, padding, dilation in reversed(layers):
        first = first * stride
        last = last * stride + dilation * (kernel - 1)
    return first, last
"""
        },
        "padding is left out",
    ),
    (
        "04.4",
        "padding in pixels",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    jump, field, start = 1, 1, 0
    for kernel, stride, padding, dilation in layers:
        field += dilation * (kernel - 1) * jump
        start -= padding
        jump *= stride
    first = start + i * jump
    return first, first + field - 1
"""
        },
        "worth a jump",
    ),
    (
        "04.4",
        "dilation left out",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    first = last = i
    for kernel, stride, padding, dilation in reversed(layers):
        first = first * stride - padding
        last = last * stride - padding + kernel - 1
    return first, last
"""
        },
        "reaches further",
    ),
    (
        "04.4",
        "layers walked in the wrong order",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    first = last = i
    for kernel, stride, padding, dilation in layers:
        first = first * stride - padding
        last = last * stride - padding + dilation * (kernel - 1)
    return first, last
"""
        },
        "Walk back from the last",
    ),
    (
        "04.4",
        "from the course's own ledger",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    from cnnlib.ledger import receptive_field

    row = receptive_field(layers)[-1]
    first = row["start"] + i * row["jump"]
    return first, first + row["field"] - 1
"""
        },
        "does not allow",
    ),
    (
        "04.5",
        "the average everywhere",
        {
            "answer-04-5": """
def image_for(largest, average):
    return average.repeat(2, axis=0).repeat(2, axis=1)
"""
        },
        "max pooling of your image",
    ),
    (
        "04.5",
        "the largest everywhere",
        {
            "answer-04-5": """
def image_for(largest, average):
    return largest.repeat(2, axis=0).repeat(2, axis=1)
"""
        },
        "average pooling of your image",
    ),
    (
        "04.5",
        "the rest left at the average",
        {
            "answer-04-5": """
def image_for(largest, average):
    x = average.repeat(2, axis=0).repeat(2, axis=1)
    x[::2, ::2] = largest
    return x
"""
        },
        "average pooling of your image",
    ),
    (
        "04.5",
        "all that is missing in one pixel",
        {
            "answer-04-5": """
def image_for(largest, average):
    x = np.zeros((2 * len(largest), 2 * largest.shape[1]))
    x[::2, ::2] = largest
    x[1::2, 1::2] = 4 * average - largest
    return x
"""
        },
        "max pooling of your image",
    ),
    (
        "04.5",
        "the maps side by side",
        {
            "answer-04-5": """
def image_for(largest, average):
    return np.hstack([largest, average])
"""
        },
        "twice as many rows",
    ),
    (
        "04.5",
        "text",
        {
            "answer-04-5": """
def image_for(largest, average):
    return "impossible"
"""
        },
        "array of numbers",
    ),
]

HALF = [
    (
        "04.1",
        "the average only",
        {"answer-04-1": "corner_average = 26\nfield = 11"},
        1,
    ),
    (
        "04.2",
        "without stride and padding",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K = kernel_size
    N, C, H, W = x.shape
    x = x[:, :, : H // K * K, : W // K * K]
    return x.reshape(N, C, H // K, K, W // K, K).max(axis=(3, 5))
"""
        },
        1,
    ),
    (
        "04.2",
        "zeros in the padding",
        {
            "answer-04-2": """
def max_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=0)
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            y[:, :, i, j] = x[:, :, i * s : i * s + K, j * s : j * s + K].max(axis=(2, 3))
    return y
"""
        },
        1,
    ),
    (
        "04.3",
        "zeros of the padding counted",
        {
            "answer-04-3": """
def avg_pool2d(x, kernel_size, stride, padding):
    K, s, p = kernel_size, stride, padding
    count = np.pad(np.ones_like(x), ((0, 0), (0, 0), (p, p), (p, p)))
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    H, W = 1 + (x.shape[2] - K) // s, 1 + (x.shape[3] - K) // s
    y = np.zeros((*x.shape[:2], H, W))
    for i in range(H):
        for j in range(W):
            window = x[:, :, i * s : i * s + K, j * s : j * s + K]
            y[:, :, i, j] = window.mean(axis=(2, 3))
    return y
"""
        },
        1,
    ),
    (
        "04.4",
        "without padding",
        {
            "answer-04-4": """
def pixels_seen(layers, i):
    first = last = i
    for kernel, stride, padding, dilation in reversed(layers):
        first = first * stride
        last = last * stride + dilation * (kernel - 1)
    return first, last
"""
        },
        1,
    ),
]
