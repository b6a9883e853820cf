"""Typical wrong answers to exercise 02: each loses points on every draw, and is told why."""

from slips import slip

RING = """
def correlate1d(x, w):
    W, L = len(x), len(w)
    ring = np.concatenate([x, x[: L - 1]])
    return np.array([(ring[i : i + L] * w).sum() for i in range(W)])
"""
IN_CHAPTER = """
def correlate1d(x, w):
    L = len(w)
    y = np.zeros(len(x) - L + 1)
    for i in range(len(y)):
        y[i] = (x[i : i + L] * w).sum()
    return y
"""


def ring(*pairs):
    """An answer to 02.2, with slips."""
    return {"answer-02-2": slip(RING, *pairs)}


WRONG = [
    ("02.1", "sign", {"answer-02-1": "ramp_answer = 30\nbrighter_answer = 60"}, "Which row does the kernel subtract"),
    ("02.1", "the other axis", {"answer-02-1": "ramp_answer = -6\nbrighter_answer = -12"}, "turned by 90 degrees"),
    (
        "02.1",
        "offset counted",
        {"answer-02-1": "ramp_answer = -30\nbrighter_answer = 40"},
        "Does the 100 reach the sum",
    ),
    ("02.1", "not scaled", {"answer-02-1": "ramp_answer = -30\nbrighter_answer = -30"}, "twice the contrast"),
    ("02.1", "text", {"answer-02-1": "ramp_answer = '-30'\nbrighter_answer = '-60'"}, "want a number"),
    ("02.1", "dots left", {"answer-02-1": "ramp_answer = -30\nbrighter_answer = ..."}, "Not answered yet"),
    ("02.2", "pasted from the chapter", {"answer-02-2": IN_CHAPTER}, "stops at the end of the row"),
    ("02.2", "one window too few", ring(("range(W)", "range(W - 1)")), "One window is missing"),
    ("02.2", "one window too many", ring(("x[: L - 1]", "x[:L]"), ("range(W)", "range(W + 1)")), "as many windows"),
    ("02.2", "kernel flipped", ring(("] * w)", "] * w[::-1])")), "runs backwards"),
    (
        "02.2",
        "true convolution",
        {
            "answer-02-2": """
def correlate1d(x, w):
    return np.array([sum(w[j] * x[i - j] for j in range(len(w))) for i in range(len(x))])
"""
        },
        "walk backwards",
    ),
    ("02.2", "zeros behind the end", ring(("x[: L - 1]", "np.zeros(L - 1)")), "not zeros"),
    (
        "02.2",
        "zeros beyond both ends",
        ring(("[x, x[: L - 1]]", "[np.zeros((L - 1) // 2), x, np.zeros(L // 2)]")),
        "not zeros",
    ),
    ("02.2", "last number repeated", ring(("x[: L - 1]", "[x[-1]] * (L - 1)")), "yours is repeated"),
    ("02.2", "mirrored at the end", ring(("x[: L - 1]", "x[::-1][: L - 1]")), "first difference"),
    ("02.2", "centered", ring(("[x, x[: L - 1]]", "[x[W - L // 2 :], x, x[: L - 1]]")), "centered"),
    ("02.2", "window that ends there", ring(("[x, x[: L - 1]]", "[x[W - L + 1 :], x]")), "ends there"),
    ("02.2", "mean for sum", ring((".sum()", ".mean()")), "divide by their number"),
    (
        "02.2",
        "right for kernels of 3 only",
        {
            "answer-02-2": """
def correlate1d(x, w):
    W = len(x)
    return np.array([x[i] * w[0] + x[(i + 1) % W] * w[1] + x[(i + 2) % W] * w[2] for i in range(W)])
"""
        },
        "first difference",
    ),
    ("02.2", "whole numbers", ring(("range(W)])", "range(W)], dtype=int)")), "Fractions were cut off"),
    ("02.2", "nothing returned", ring(("return np", "y = np")), "does your function return its result"),
    (
        "02.2",
        "writes into its input",
        {
            "answer-02-2": """
def correlate1d(x, w):
    for i in range(len(x)):
        x[i] = sum(w[j] * x[(i + j) % len(x)] for j in range(len(w)))
    return x
"""
        },
        "changed its input x",
    ),
    ("02.2", "the window does not move", ring(("ring[i : i + L]", "ring[:L]")), "does the window move"),
    (
        "02.2",
        "taken from NumPy",
        {"answer-02-2": "def correlate1d(x, w):\n    return np.correlate(np.append(x, x[: len(w) - 1]), w, 'valid')\n"},
        "does not allow",
    ),
    (
        "02.3",
        "K and L swapped in the counts",
        {
            "answer-02-3": """
def correlate2d(x, w):
    K, L = w.shape
    H, W = x.shape
    y = np.zeros((H - L + 1, W - K + 1))
    for i in range(H - L + 1):
        for j in range(W - K + 1):
            window = x[i : i + K, j : j + L]
            y[i, j] = ((window - window.mean()) * w[: window.shape[0], : window.shape[1]]).sum()
    return y
"""
        },
        "Rows are counted by H and K",
    ),
    (
        "02.3",
        "square images only",
        {
            "answer-02-3": """
def off_mean(window):
    return window - window.mean()

def correlate2d(x, w):
    n = x.shape[0] - w.shape[0] + 1
    y = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            y[i, j] = (off_mean(x[i : i + len(w), j : j + w.shape[1]]) * w).sum()
    return y
"""
        },
        "Parts right: 1 of 2",
    ),
    (
        "02.3",
        "kernel flipped",
        {
            "answer-02-3": """
def off_mean(window):
    return window - window.mean()

def correlate2d(x, w):
    K, L = w.shape
    rows, columns = x.shape[0] - K + 1, x.shape[1] - L + 1
    return np.array(
        [[(off_mean(x[i : i + K, j : j + L]) * w[::-1, ::-1]).sum() for j in range(columns)] for i in range(rows)]
    )
"""
        },
        "runs backwards",
    ),
    (
        "02.3",
        "result transposed",
        {
            "answer-02-3": """
def off_mean(window):
    return window - window.mean()

def correlate2d(x, w):
    K, L = w.shape
    rows, columns = x.shape[0] - K + 1, x.shape[1] - L + 1
    return np.array([[(off_mean(x[i : i + K, j : j + L]) * w).sum() for i in range(rows)] for j in range(columns)])
"""
        },
        "Rows and columns are swapped",
    ),
    (
        "02.3",
        "window moves by its own size",
        {
            "answer-02-3": """
def off_mean(window):
    return window - window.mean()

def correlate2d(x, w):
    K, L = w.shape
    return np.array(
        [
            [(off_mean(x[i : i + K, j : j + L]) * w).sum() for j in range(0, x.shape[1] - L + 1, L)]
            for i in range(0, x.shape[0] - K + 1, K)
        ]
    )
"""
        },
        "jumps by its own width",
    ),
    (
        "02.3",
        "zeros",
        {
            "answer-02-3": """
def correlate2d(x, w):
    return np.zeros((x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1))
"""
        },
        "All zeros",
    ),
    (
        "02.3",
        "index out of range",
        {
            "answer-02-3": """
def correlate2d(x, w):
    K, L = w.shape
    y = np.zeros((x.shape[0] - K + 1, x.shape[1] - L + 1))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = (x[i : i + K, j : j + L] * w[: x.shape[0] - i, : x.shape[1] - j]).sum()
    return y
"""
        },
        "stopped with IndexError",
    ),
    (
        "02.3",
        "an object equal to everything",
        {
            "answer-02-3": """
class Equal:
    def __eq__(self, other):
        return True

def correlate2d(x, w):
    return Equal()
"""
        },
        "an object of type Equal",
    ),
    (
        "02.3",
        "the chapter's own",
        {
            "answer-02-3": """
from numpy.lib.stride_tricks import sliding_window_view

def correlate2d(x, w):
    windows = sliding_window_view(x, w.shape)
    return np.einsum("ijkl,kl->ij", windows, w)
"""
        },
        "the plain correlation",
    ),
    (
        "02.3",
        "mean of the whole image",
        {
            "answer-02-3": """
def correlate2d(x, w):
    K, L = w.shape
    rows, columns = x.shape[0] - K + 1, x.shape[1] - L + 1
    x = x - x.mean()
    return np.array([[(x[i : i + K, j : j + L] * w).sum() for j in range(columns)] for i in range(rows)])
"""
        },
        "a mean of its own",
    ),
    (
        "02.4",
        "not flipped",
        {"answer-02-4": "def convolve2d(x, w):\n    return correlate2d(x, w)\n"},
        "has not been turned yet",
    ),
    (
        "02.4",
        "rows flipped only",
        {"answer-02-4": "def convolve2d(x, w):\n    return correlate2d(x, w[::-1])\n"},
        "its columns do not yet",
    ),
    (
        "02.4",
        "transposed kernel",
        {"answer-02-4": "def convolve2d(x, w):\n    return correlate2d(x, w.T)\n"},
        "got shape",
    ),
    (
        "02.4",
        "negated",
        {"answer-02-4": "def convolve2d(x, w):\n    return -correlate2d(x, w)\n"},
        "The signs are turned, not the kernel",
    ),
    (
        "02.5",
        "flipped",
        {
            "answer-02-5": """
def find_kernel(x, y, kernel_size):
    K, L = kernel_size
    windows = [x[i : i + K, j : j + L].ravel()[::-1] for i in range(y.shape[0]) for j in range(y.shape[1])]
    return np.linalg.lstsq(np.array(windows), y.ravel(), rcond=None)[0].reshape(K, L)
"""
        },
        "turned by half a turn",
    ),
    (
        "02.5",
        "3x3 whatever is asked",
        {
            "answer-02-5": """
def find_kernel(x, y, kernel_size):
    K, L = 3, 3
    windows = [x[i : i + K, j : j + L].ravel() for i in range(y.shape[0] - 3) for j in range(y.shape[1] - 3)]
    return np.linalg.lstsq(np.array(windows), y[:-3, :-3].ravel(), rcond=None)[0].reshape(K, L)
"""
        },
        "any kernel",
    ),
    (
        "02.5",
        "descent stopped after three steps",
        {
            "answer-02-5": """
def find_kernel(x, y, kernel_size):
    K, L = kernel_size
    w = np.zeros(kernel_size)
    for _ in range(3):
        error = correlate2d(x, w) - y
        w -= 0.2 * correlate2d(x, error) / error.size
    return w
"""
        },
        "first difference",
    ),
]

HALF = [
    ("02.1", "the ramp only", {"answer-02-1": "ramp_answer = -30\nbrighter_answer = 40"}, 1),
    (
        "02.2",
        "nothing for a kernel of one",
        ring(("range(W)", "range(len(ring[: 1 - L]))")),
        1,
    ),
    ("02.2", "odd kernels only", ring(("ring[i : i + L]", "ring[i : i + L // 2 * 2 + 1]"), ("L - 1]]", "L]]")), 1),
    (
        "02.3",
        "square images only",
        {
            "answer-02-3": """
def correlate2d(x, w):
    n, k = len(x), len(w)
    y = np.zeros((n - k + 1, n - k + 1))
    for i, j in np.ndindex(y.shape):
        window = x[i : i + k, j : j + k]
        y[i, j] = ((window - window.mean()) * w).sum()
    return y
"""
        },
        1,
    ),
    (
        "02.5",
        "3x3 kernels only",
        {
            "answer-02-5": """
def find_kernel(x, y, kernel_size):
    windows = [x[i : i + 3, j : j + 3].ravel() for i in range(len(x) - 2) for j in range(x.shape[1] - 2)]
    return np.linalg.lstsq(np.array(windows), y.ravel(), rcond=None)[0].reshape(3, 3)
"""
        },
        1,
    ),
]
