"""Typical wrong answers to exercise 03: each loses points on every draw, and is told why."""

from slips import slip

LAYER = """
def conv2d(x, w, b, stride=1, padding=0, dilation=1):
    (N, C, H, W), (F, _, K, L) = x.shape, w.shape
    p, s, d = padding, stride, dilation
    q = (p, p)
    H, W = output_size(H, K, s, q, d), output_size(W, L, s, q, d)
    x = np.pad(x, ((0, 0), (0, 0), (0, 0), (p, p)), mode="wrap")
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (0, 0)))
    y = np.zeros((N, F, H, W))
    for n, f, i, j in np.ndindex(y.shape):
        window = x[n, :, i * s : i * s + d * K : d, j * s : j * s + d * L : d]
        y[n, f, i, j] = (window * w[f]).sum() + b[f]
    return y
"""

QUICK = """
def conv2d(x, w, b, stride=1, padding=0, dilation=1):
    p, s, d = padding, stride, dilation
    x = np.pad(x, ((0, 0), (0, 0), (0, 0), (p, p)), mode="wrap")
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (0, 0)))
    spans = [d * (k - 1) + 1 for k in w.shape[2:]]
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, axis=(2, 3))[:, :, ::s, ::s, ::d, ::d]
    return np.einsum("ncijkl,fckl->nfij", windows, w) + b[:, None, None]
"""

CACHED = (
    LAYER
    + """

slow, known = conv2d, {}


def conv2d(x, w, b, stride=1, padding=0, dilation=1):
    key = (x.shape, w.shape, stride, padding, dilation)
    if key not in known:
        known[key] = slow(x, w, b, stride, padding, dilation)
    return known[key]
"""
)

LAZY = (
    LAYER
    + """

slow = conv2d


class Later:
    def __init__(self, *given):
        self.given = given

    def __len__(self):
        return len(self.given[0])

    def __getitem__(self, n):
        x, *others = self.given
        if n >= len(x):
            raise IndexError
        return slow(x[n : n + 1], *others)[0]


def conv2d(x, w, b, stride=1, padding=0, dilation=1):
    return Later(x, w, b, stride, padding, dilation)
"""
)

REBOUND = (
    LAYER
    + """

honest = conv2d


def conv2d(x, w, b, stride=1, padding=0, dilation=1):
    global by_loops, range

    def by_loops(x, w, b):
        for _ in np.arange(10_000_000):
            pass

    range = by_loops
    return honest(x, w, b, stride, padding, dilation)
"""
)

USAGE = """
def usage(size, kernel_size, stride=1, padding=0):
    (H, W), (K, L), p = size, kernel_size, padding
    count = np.zeros((H + 2 * p, W + 2 * p), dtype=int)
    for top in range(0, H + 2 * p - K + 1, stride):
        for left in range(0, W + 2 * p - L + 1, stride):
            count[top : top + K, left : left + L] += 1
    return count[p : p + H, p : p + W]
"""

SEARCH = """
def find_options(x, w, y):
    for stride in range(1, 4):
        for padding in range(4):
            for dilation in range(1, 4):
                spans = [dilation * (k - 1) + 1 for k in w.shape[2:]]
                if any(n + 2 * padding < span for n, span in zip(x.shape[2:], spans)):
                    continue
                got = conv2d(x, w, np.zeros(len(w)), stride, padding, dilation)
                if got.shape == y.shape and np.allclose(got, y):
                    return stride, padding, dilation
"""


def size(rows, columns, learned=3276):
    """The cell of 03.1 with these numbers."""
    return {"answer-03-1": f"rows = {rows}\ncolumns = {columns}\nlearned = {learned}"}


def stops(line):
    """The cell of 03.2 with this formula."""
    return {"answer-03-2": f"def output_size(size, kernel, stride=1, padding=(0, 0), dilation=1):\n    {line}"}


def layer(*changes):
    """The cell of 03.3 with these changes."""
    return {"answer-03-3": slip(LAYER, *changes)}


def quick(*changes):
    """The cell of 03.3, quick, with these changes."""
    return {"answer-03-3": slip(QUICK, *changes)}


def usage(*changes):
    """The cell of 03.4 with these changes."""
    return {"answer-03-4": slip(USAGE, *changes)}


def search(*changes):
    """The cell of 03.5 with these changes."""
    return {"answer-03-5": slip(SEARCH, *changes)}


SLICE = "x[n, :, i * s : i * s + d * K : d, j * s : j * s + d * L : d]"
SUM = "(window * w[f]).sum() + b[f]"
FIT = "got.shape == y.shape and np.allclose(got, y)"

WRONG = [
    ("03.1", "rounded up", size(4, 6), "`columns`: 6 is not it"),
    ("03.1", "no padding", size(3, 4), "count the padding"),
    ("03.1", "rows and columns swapped", size(5, 4), "right for the columns"),
    ("03.1", "stride 1", size(11, 14), "pixel by pixel"),
    ("03.1", "no groups", size(4, 5, 12996), "without groups"),
    ("03.1", "no biases", size(4, 5, 3240), "anything else learned"),
    ("03.1", "one group", size(4, 5, 819), "one of the four groups"),
    ("03.1", "a bias for each kernel", size(4, 5, 3456), "one bias for a filter"),
    (
        "03.2",
        "ceiling for floor",
        stops("return 1 - (dilation * (kernel - 1) + 1 - size - sum(padding)) // stride"),
        "rounded up",
    ),
    (
        "03.2",
        "padding once",
        stops("return 1 + (size + padding[0] - dilation * (kernel - 1) - 1) // stride"),
        "both ends",
    ),
    (
        "03.2",
        "rounded to the nearest",
        stops("return 1 + round((size + sum(padding) - dilation * (kernel - 1) - 1) / stride)"),
        "to the nearest",
    ),
    (
        "03.2",
        "twice the padding in front",
        stops("return 1 + (size + 2 * padding[0] - dilation * (kernel - 1) - 1) // stride"),
        "each end has its own",
    ),
    (
        "03.2",
        "twice the padding behind",
        stops("return 1 + (size + 2 * padding[1] - dilation * (kernel - 1) - 1) // stride"),
        "each end has its own",
    ),
    (
        "03.2",
        "the chapter's formula",
        stops("return 1 + (size + 2 * padding - dilation * (kernel - 1) - 1) // stride"),
        "stopped with TypeError",
    ),
    ("03.2", "no dilation", stops("return 1 + (size + sum(padding) - kernel) // stride"), "dilation apart"),
    (
        "03.2",
        "dilation times kernel",
        stops("return 1 + (size + sum(padding) - dilation * kernel) // stride"),
        "2 gaps",
    ),
    (
        "03.2",
        "first stop missing",
        stops("return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride"),
        "One stop is missing",
    ),
    (
        "03.2",
        "stops of stride 1 divided",
        stops("return (size + sum(padding) - dilation * (kernel - 1)) // stride"),
        "the first stop is free",
    ),
    (
        "03.2",
        "not a whole number",
        stops("return 1 + (size + sum(padding) - dilation * (kernel - 1) - 1) / stride"),
        "want",
    ),
    ("03.3", "stride not in the index", layer((SLICE, SLICE.replace(" * s", ""))), "counts stops, not pixels"),
    ("03.3", "kernel flipped", layer(("w[f])", "w[f, :, ::-1, ::-1])")), "runs backwards"),
    ("03.3", "bias missing", layer((" + b[f]", "")), "bias is missing"),
    ("03.3", "bias on the columns", layer((" + b[f]", ""), ("return y", "return y + b")), "`return y + b`"),
    ("03.3", "first channel only", layer((SLICE, SLICE.replace(":,", ":1,")), ("w[f])", "w[f, :1])")), "first channel"),
    ("03.3", "mean for sum", layer((SUM, "(window * w[f]).mean() + b[f]")), "do not divide"),
    ("03.3", "channels averaged", layer((SUM, "(window * w[f]).sum() / C + b[f]")), "averaged"),
    (
        "03.3",
        "bias once a channel",
        layer((SUM, "sum((window[c] * w[f, c]).sum() + b[f] for c in range(C))")),
        "once for every channel",
    ),
    (
        "03.3",
        "channels assigned, not added",
        layer((SUM, "[(window[c] * w[f, c]).sum() for c in range(C)][-1] + b[f]")),
        "do not assign",
    ),
    (
        "03.3",
        "first image only",
        layer(("in np.ndindex(y.shape)", "in np.ndindex(1, *y.shape[1:])")),
        "first image of the batch",
    ),
    ("03.3", "H' and W' swapped", layer(("return y", "return y.swapaxes(2, 3)")), "look swapped"),
    (
        "03.3",
        "K and L swapped in the sizes",
        layer(("(H, K, s", "(H, L, s"), ("(W, L, s", "(W, K, s")),
        "stopped with ValueError",
    ),
    (
        "03.3",
        "ceiling for floor",
        layer(
            ("output_size(H, K, s, q, d)", "output_size(H + s - 1, K, s, q, d)"),
            ("output_size(W, L, s, q, d)", "output_size(W + s - 1, L, s, q, d)"),
            ("(p, p)), mode", "(p, p + s)), mode"),
            ("(p, p), (0, 0)))", "(p, p + s), (0, 0)))"),
        ),
        "floor, not ceiling",
    ),
    (
        "03.3",
        "padding in front only",
        layer(
            ("(p, p)), mode", "(p, 0)), mode"),
            ("(p, p), (0, 0)))", "(p, 0), (0, 0)))"),
            ("q = (p, p)", "q = (p, 0)"),
        ),
        "all four sides",
    ),
    (
        "03.3",
        "twice the padding in front",
        layer(("(p, p)), mode", "(2 * p, 0)), mode"), ("(p, p), (0, 0)))", "(2 * p, 0), (0, 0)))")),
        "the same on each",
    ),
    ("03.3", "zeros on all sides, as in the chapter", layer((', mode="wrap"', "")), "columns of a panorama go round"),
    ("03.3", "rows go round as well", layer(("(p, p), (0, 0)))", '(p, p), (0, 0)), mode="wrap")')), "there are zeros"),
    (
        "03.3",
        "the wrong axis goes round",
        layer((', mode="wrap"', ""), ("(p, p), (0, 0)))", '(p, p), (0, 0)), mode="wrap")')),
        "the other way about",
    ),
    ("03.3", "the edge repeated", layer(('"wrap"', '"edge"')), "repeat the column"),
    ("03.3", "mirrored at the sides", layer(('"wrap"', '"reflect"')), "mirror the image"),
    ("03.3", "input changed", layer(("x = np.pad", "x *= 2\n    x = np.pad")), "changed"),
    ("03.3", "right but slow", layer(), "right, but too slow: the given loops take"),
    ("03.3", "the last result once more", {"answer-03-3": CACHED}, "speed: first difference"),
    ("03.3", "a result that is computed when it is read", {"answer-03-3": LAZY}, "speed:"),
    ("03.3", "the given loops slowed down", {"answer-03-3": REBOUND}, "right, but too slow: the given loops take"),
    ("03.3", "quick, with zeros on all sides", quick((', mode="wrap"', "")), "columns of a panorama go round"),
    ("03.3", "library", {"answer-03-3": "from cnnlib.ops import conv2d\n"}, "cnnlib.ops"),
    ("03.4", "assign for accumulate", usage(("+= 1", "= 1")), "do not assign"),
    ("03.4", "frame left on", usage(("return count[p : p + H, p : p + W]", "return count")), "padding is still there"),
    ("03.4", "cut from the corner", usage(("count[p : p + H, p : p + W]", "count[:H, :W]")), "one side only"),
    ("03.4", "stride left out", usage((", stride):", "):")), "with stride 1"),
    ("03.4", "K and L swapped", usage(("(K, L), p =", "(L, K), p =")), "mixed up"),
    ("03.4", "last window missing", usage((" + 1, stride", ", stride")), "size minus kernel, included"),
    (
        "03.4",
        "hanging windows counted",
        usage(("H + 2 * p - K + 1", "H + 2 * p"), ("W + 2 * p - L + 1", "W + 2 * p")),
        "hang over the edge",
    ),
    ("03.4", "padding forgotten", usage((", p = size, kernel_size, padding", ", p = size, kernel_size, 0")), "outside"),
    ("03.5", "the first that fits", search((FIT, "got.shape == y.shape")), "Compare the numbers"),
    ("03.5", "order", search(("return stride, padding, dilation", "return padding, stride, dilation")), "order"),
    ("03.5", "no dilation", search(("for dilation in range(1, 4)", "for dilation in [1]")), "got None"),
    ("03.5", "one constant", {"answer-03-5": "def find_options(x, w, y):\n    return 1, 1, 1"}, "of 3: got 1, want"),
]

HALF = [
    ("03.1", "the size, not the count", size(4, 5, 12996), 1),
    ("03.3", "right for stride 1 and no dilation only", layer((SLICE, "x[n, :, i : i + K, j : j + L]")), 1),
    ("03.3", "no dilation", layer((SLICE, SLICE.replace("d * ", "").replace(" : d", ""))), 1),
    ("03.3", "right but slow", layer(), 2),
    ("03.3", "quick, no dilation", quick((", ::d, ::d]", "]"), ("[d * (k - 1) + 1 for", "[k for")), 2),
    ("03.4", "no padding", usage((", p = size, kernel_size, padding", ", p = size, kernel_size, 0")), 1),
    ("03.5", "by the size alone", search((FIT, "got.shape == y.shape")), 1),
]
