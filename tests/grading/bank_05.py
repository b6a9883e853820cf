"""Typical wrong answers to exercise 05: each loses points on every draw, and is told why."""

from slips import slip

CONV = """
def depthwise_backward(dy, x, w, *, stride=1, padding=0):
    (H, W), (K, L), s, p = x.shape[2:], w.shape[1:], stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for n, c, i, j in np.ndindex(dy.shape):
        top, left = i * s, j * s
        window = np.s_[n, c, top : top + K, left : left + L]
        dx[window] += dy[n, c, i, j] * w[c]
        dw[c] += dy[n, c, i, j] * x[window]
    return dx[:, :, p : p + H, p : p + W], dw
"""

POOL = """
def one_side(dy, x, K, s):
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dy.shape):
        spot = np.s_[n, c, i * s : i * s + K, j * s : j * s + K]
        route = np.zeros(K * K)
        route[x[spot].argmax()] = 1
        dx[spot] += dy[n, c, i, j] * route.reshape(K, K)
    return dx

def range_pool2d_backward(dy, x, kernel_size, stride):
    return one_side(dy, x, kernel_size, stride) - one_side(dy, -x, kernel_size, stride)
"""

LOSS = """
def smoothed_backward(logits, labels, smoothing):
    z = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1 - smoothing
    p -= smoothing / p.shape[1]
    return p / len(labels)
"""

IN_CHAPTER = """
def depthwise_backward(dy, x, w, *, stride=1, padding=0):
    K, L, p = *w.shape[2:], padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dy.shape):
        top, left, d = i * stride, j * stride, dy[n, f, i, j]
        window = np.s_[n, :, top : top + K, left : left + L]
        dx[window] += d * w[f]
        dw[f] += d * x[window]
    H, W = x.shape[2:]
    dx = dx[:, :, p : H - p, p : W - p]  # the padding is no pixel
    return dx, dw, dy.sum(axis=(0, 2, 3))
"""

RETURN = "one_side(dy, x, kernel_size, stride) - one_side(dy, -x, kernel_size, stride)"
WINNER = "        route = np.zeros(K * K)\n        route[x[spot].argmax()] = 1\n"
SPLIT = "        route = (x[spot] == x[spot].max()) / (x[spot] == x[spot].max()).sum()\n"
ALL = "        route = 1.0 * (x[spot] == x[spot].max())\n"
PASSED = """        route = np.zeros(K * K)
        won = np.flatnonzero((x[spot] == x[spot].max()) & (dx[spot] == 0))
        route[won[0] if len(won) else x[spot].argmax()] = 1
"""
LAST = "[K * K - 1 - x[spot].ravel()[::-1].argmax()]"
OVERWRITE = ("dx[spot] += dy[n, c, i, j] * route.reshape(K, K)", "dx[spot][route.reshape(K, K) > 0] = dy[n, c, i, j]")
PLAIN = "s, p = x.shape[2:], w.shape[1:], 1, 0"
QUIET = ("def smoothed", '@np.errstate(all="ignore")\ndef smoothed')
SHIFT = "z = logits - logits.max(axis=1, keepdims=True)"
TRUTH = "    p[np.arange(len(labels)), labels] -= 1 - smoothing\n    p -= smoothing / p.shape[1]\n"
OTHERS = """    truth = np.full(p.shape, smoothing / (p.shape[1] - 1))
    truth[np.arange(len(labels)), labels] = 1 - smoothing
    p -= truth
"""


def numbers(dx, dw, db):
    """The cell of 05.1. Provided."""
    return {"answer-05-1": f"dx_middle = {dx}\ndw_right = {dw}\ndb = {db}"}


def conv(*pairs):
    """The cell of 05.2, with slips. Provided."""
    return {"answer-05-2": slip(CONV, *pairs)}


def pool(*pairs):
    """The cell of 05.3, with slips. Provided."""
    return {"answer-05-3": slip(POOL, *pairs)}


def loss(*pairs):
    """The cell of 05.4, with slips. Provided."""
    return {"answer-05-4": slip(LOSS, *pairs)}


WRONG = [
    ("05.1", "kernel not turned", numbers(36, 47, 10), "Which weight lay on the middle pixel"),
    ("05.1", "means for sums", numbers(7.5, 11.75, 2.5), "collects the sum"),
    ("05.1", "db the mean of dy", numbers(30, 47, 2.5), "mean of dy"),
    ("05.1", "db not summed over positions", numbers(30, 47, "np.array([[2, 0], [1, 7]])"), "one bias, one number"),
    ("05.1", "dw with dy turned, db of one position", numbers(30, 31, 7), "turned dy"),
    ("05.1", "the other corner of dw", numbers(30, 15, 10), "lower left weight"),
    ("05.1", "dots left", numbers(30, 47, "..."), "Not answered yet"),
    ("05.2", "the chapter's loops", {"answer-05-2": IN_CHAPTER}, "stopped with"),
    ("05.2", "kernel not turned", conv(("* w[c]\n", "* w[c, ::-1, ::-1]\n")), "wrong way round"),
    ("05.2", "stride ignored", conv(("i * s, j * s", "i, j")), "window i starts at i * stride"),
    ("05.2", "padding not cropped", conv(("dx[:, :, p : p + H, p : p + W]", "dx")), "frame of the padding"),
    ("05.2", "cropped at one side", conv(("p : p + H, p : p + W", ":H, :W")), "lower right only"),
    (
        "05.2",
        "cropped by -p, nothing left without padding",
        conv(("p : p + H, p : p + W", "p:-p, p:-p")),
        "is empty where p is 0",
    ),
    ("05.2", "= for +=", conv(("dx[window] +=", "dx[window] =")), "overwrites"),
    (
        "05.2",
        "dw of the last image only",
        conv(("dw[c] += dy", "dw[c] += (n == len(x) - 1) * dy")),
        "last image alone",
    ),
    ("05.2", "dw averaged over the images", conv(("W], dw", "W], dw / len(x)")), "average over the images"),
    ("05.2", "dx with H and W swapped", conv(("p : p + W], dw", "p : p + W].swapaxes(2, 3), dw")), "swapped"),
    ("05.2", "dw with K and L swapped", conv(("W], dw", "W], dw.swapaxes(1, 2)")), "swapped"),
    ("05.2", "dw before dx", conv(("return dx[:, :, p : p + H, p : p + W], dw", "return dw, dx")), "First dx, then dw"),
    (
        "05.2",
        "dx added over the channels",
        conv(("return dx", "dx[:] = dx.sum(axis=1, keepdims=True)\n    return dx")),
        "in output channel c only",
    ),
    (
        "05.2",
        "dw added over the channels",
        conv(("W], dw", "W], dw.sum(axis=0) * np.ones_like(dw)")),
        "a kernel of its own",
    ),
    ("05.2", "dw for each image", conv(("W], dw", "W], np.stack([dw] * len(x))")), "collects from all of them"),
    ("05.3", "max pooling", pool((RETURN, RETURN.split(" - ")[0])), "smallest pixel of a window has a slope too"),
    ("05.3", "min pooling", pool((RETURN, "-" + RETURN.split(" - ")[1])), "largest pixel of a window has a slope too"),
    ("05.3", "sum for difference", pool((" - one_side", " + one_side")), "its slope is -1"),
    ("05.3", "sign turned", pool((RETURN, f"-({RETURN})")), "plus for the largest"),
    ("05.3", "= for +=", pool(OVERWRITE), "collects from all"),
    ("05.3", "ties split", pool((WINNER, SPLIT)), "share dy among equal"),
    ("05.3", "ties paid to all", pool((WINNER, ALL)), "more goes back than came"),
    ("05.3", "last of the equal", pool(("[x[spot].argmax()]", LAST)), "the last of the equal"),
    ("05.3", "first by columns", pool(("x[spot].argmax", "x[spot].T.argmax"), ("(K, K)", "(K, K).T")), "row by row"),
    ("05.3", "paid once, then passed over", pool((WINNER, PASSED)), "first difference"),
    ("05.3", "stride ignored", pool(("x, K, s):", "x, K, s):\n    s = 1")), "i * stride"),
    ("05.3", "H and W swapped", pool((RETURN, f"({RETURN}).swapaxes(2, 3)")), "swapped"),
    ("05.4", "not smoothed", loss((TRUTH, "    p[np.arange(len(labels)), labels] -= 1\n")), "spread over all classes"),
    ("05.4", "spread over the other classes", loss((TRUTH, OTHERS)), "the label included"),
    ("05.4", "spread, but not taken from the label", loss((" -= 1 - smoothing", " -= 1")), "more than 1"),
    ("05.4", "taken from the label, not spread", loss(("    p -= smoothing / p.shape[1]\n", "")), "less than 1"),
    ("05.4", "no 1/N", loss(("p / len(labels)", "p")), "average over the batch"),
    ("05.4", "mean of all entries", loss(("p / len(labels)", "p / p.size")), "over the batch alone"),
    ("05.4", "naive exp", loss((SHIFT, "z = logits"), QUIET), "nan"),
    ("05.4", "clipped", loss((SHIFT, "z = np.clip(logits, -700, 700)")), "all large logits equal"),
    ("05.4", "sign turned", loss(("p / len(labels)", "-p / len(labels)")), "probability minus truth"),
    ("05.4", "edits the logits in place", loss(("z = logits -", "z = logits; z -=")), "changed"),
    ("05.4", "softmax over the batch", loss(("axis=1", "axis=0")), "along the classes"),
    ("05.4", "truth left out", loss((TRUTH, "")), "Where does the truth"),
]

HALF = [
    ("05.1", "dx only", numbers(30, 15, 10), 1),
    ("05.2", "stride and padding ignored", conv(("s, p = x.shape[2:], w.shape[1:], stride, padding", PLAIN)), 2),
    ("05.2", "dw alone", conv(("* w[c]\n", "* w[c, ::-1, ::-1]\n")), 2),
    ("05.2", "dx alone", conv(("W], dw", "W], dw / len(x)")), 2),
    ("05.2", "all but dx with padding", conv(("p : p + H, p : p + W", ":H, :W")), 3),
    ("05.3", "ties split", pool((WINNER, SPLIT)), 1),
    ("05.4", "naive exp", loss((SHIFT, "z = logits"), QUIET), 1),
]
