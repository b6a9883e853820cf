"""Typical wrong answers to exercise 16: each loses points on every draw, and is told why."""

from slips import changed


def paper(**numbers):
    """An answer to 16.1."""
    numbers = {"answers": (5, 9), "unseen": 3, "runs": 36, "side_3": 11, "side_7": 33} | numbers
    return {"answer-16-1": "\n".join(f"{name} = {number}" for name, number in numbers.items())}


def slide(*pairs):
    """An answer to 16.2."""
    return changed("answer-16-2", *pairs)


def stack(*pairs):
    """An answer to 16.3."""
    return changed("answer-16-3", *pairs)


def heads(*pairs):
    """An answer to 16.4."""
    return changed("answer-16-4", *pairs)


def peaks(*pairs):
    """An answer to 16.5."""
    return changed("answer-16-5", *pairs)


DENSE_IN_CHAPTER = """def as_conv(w, maps, order):
    return w.reshape(len(w), *maps)


def everywhere(slid, x, window, stride):
    return slid(x)
"""
CROPS = """def everywhere(slid, x, window, stride):
    crops = np.lib.stride_tricks.sliding_window_view(x, window, axis=(2, 3))
    rows = [[slid(crops[:, :, i, j]) for j in range(crops.shape[3])] for i in range(crops.shape[2])]
    return np.array(rows)[..., 0, 0].transpose(2, 3, 0, 1)
"""
LAYER_BY_LAYER = """def causal(x, layers):
    for i, (w, b, d) in enumerate(layers):
        x = np.pad(x, ((0, 0), (0, 0), ((w.shape[2] - 1) * d, 0)))
        x = conv2d(x[:, :, None], w[:, :, None], b, dilation=(1, d))[:, :, 0]
        x = np.maximum(x, 0) if i < len(layers) - 1 else x
    return x


def plan(field, K):
    dilations = [1]
    while 1 + (K - 1) * sum(dilations) < field:
        dilations.append(2 * dilations[-1])
    return dilations
"""
HEAD_IN_CHAPTER = """def places(height, width):
    return np.indices((height, width)).reshape(2, -1).T


def look(height, width, shift):
    wanted = places(height, width) + np.array(shift)
    off = wanted[:, None] - places(height + 2, width + 2)
    logits = -40.0 * (off**2).sum(2)
    return logits, np.eye(len(logits))


def as_heads(w, dilation, height, width):
    return [
        (*look(height, width, (k, l)), w[:, :, k, l].T) for k in range(w.shape[2]) for l in range(w.shape[3])
    ]
"""
PEAKS_IN_CHAPTER = """def pick(score, window, stride, least, share, radius=3):
    score, found = score.copy(), []
    while score.max() >= least:
        i, j = np.unravel_index(score.argmax(), score.shape)
        found.append((i * stride[0], j * stride[1]))
        top, left = max(0, i - radius), max(0, j - radius)
        score[top : i + radius + 1, left : j + radius + 1] = -np.inf
    return np.array(found)


def missed(found, corners, window, share):
    left = set(range(len(corners)))
    for one in found:
        off = np.abs(corners - one).max(1)
        k = min(left, key=lambda k: off[k], default=None)
        if k is not None and off[k] <= 6:
            left.discard(k)
    return np.array(sorted(left))
"""
LOCAL = """def pick(score, window, stride, least, share):
    places = np.indices(score.shape).transpose(1, 2, 0) * stride
    found = [
        (i, j)
        for i, j in np.ndindex(score.shape)
        if score[i, j] >= least and score[i, j] >= score[shared(places[i, j], places, window) > share].max()
    ]
    found.sort(key=lambda at: -score[at])
    return np.array(found) * np.array(stride)


"""
AXES = '(1 + order.index(axis) for axis in "chw")'
BESIDE = """    answers = np.concatenate([answers[:, :, a::s] for a in range(s)], 2)
    return np.concatenate([answers[:, :, :, b::t] for b in range(t)], 3)
"""
RUN = "found = slid(x[:, :, a:, b:])"
WEAVE = "answers[:, :, a::s, b::t] = found"
MADE = "heads.append((*look(height, width, shift), w[:, :, k, l].T))"
SHIFT = "((k - K // 2) * d, (l - L // 2) * e)"
Q = "np.column_stack([2 * z, -np.ones(len(z))])"
BOTH = "both / (2 * window[0] * window[1] - both)"
LOOP = "while left.max() >= least:"
FITS = "fits = np.where(free, shared(one, corners, window), -1)"

WRONG = [
    ("16.1", "a window at each pixel", paper(answers=(29, 52)), "poolings stride"),
    ("16.1", "strides added", paper(answers=(6, 11)), "do not add up"),
    ("16.1", "the first window not counted", paper(answers=(4, 8)), "starts at 0 counts"),
    ("16.1", "half a window counted", paper(answers=(6, 10)), "fit whole"),
    ("16.1", "rest of the page's width", paper(unseen=5), "last step"),
    ("16.1", "rows only", paper(runs=6), "independently"),
    ("16.1", "offsets added", paper(runs=12), "each of the columns"),
    ("16.1", "products only", paper(side_3=15, side_7=35), "four dense layers"),
    ("16.1", "one product", paper(side_3=16, side_7=47), "two products"),
    ("16.1", "heads multiplied", paper(side_3=6, side_7=17), "cost nothing extra"),
    ("16.1", "last dense layer forgotten", paper(side_3=13, side_7=34), "behind the heads"),
    ("16.1", "tokens for the side", paper(side_3=121, side_7=1081), "number of tokens"),
    ("16.2", "pasted from the chapter", {"answer-16-2": DENSE_IN_CHAPTER}, "as `order` says"),
    ("16.2", "axes moved back", slide((AXES, '(1 + "chw".index(axis) for axis in order)')), "wrong way"),
    ("16.2", "kernels turned around", slide((AXES + ")", AXES + ")[:, :, ::-1, ::-1]")), "does not flip"),
    ("16.2", "one run only", slide((RUN, "return slid(x)")), "multiples of the stride"),
    (
        "16.2",
        "one run, repeated",
        slide(
            ("found = slid(x[:, :, a:, b:])", "found = slid(x)"),
            (WEAVE, f"h, w = answers[:, :, a::s, b::t].shape[2:]; {WEAVE}[:, :, :h, :w]"),
        ),
        "the page must move",
    ),
    (
        "16.2",
        "same offset for rows and columns",
        slide(("    for a, b in np.ndindex(s, t):", "    for a, b in [(k, k) for k in range(min(s, t))]:")),
        "",
    ),
    ("16.2", "offsets exchanged", slide((WEAVE, WEAVE.replace("a::s, b::t", "b::s, a::t"))), ""),
    ("16.2", "runs laid side by side", slide(("    return answers\n", BESIDE)), "weave them"),
    (
        "16.2",
        "each window cut out",
        {"answer-16-2": DENSE_IN_CHAPTER[: DENSE_IN_CHAPTER.index("def everywhere")] + CROPS},
        "too many pixels",
    ),
    ("16.3", "pasted from the chapter", {"answer-16-3": LAYER_BY_LAYER}, "Pad once"),
    ("16.3", "looks ahead", stack(("(room, 0)", "(room - room // 2, room // 2)")), "later input"),
    ("16.3", "kernel turned around", stack(("w[:, :, None]  #", "w[:, :, None, ::-1]  #")), "newest number"),
    (
        "16.3",
        "no dilation",
        stack(
            ("dilation=(1, d))[:, :, 0]", "dilation=1)[:, :, -1, -L:]"),
            ("room = sum", "L = x.shape[2]\n    room = sum"),
        ),
        "numbers apart",
    ),
    ("16.3", "ReLU at the end", stack(("    return x\n", "    return np.maximum(x, 0)\n")), "behind the last"),
    ("16.3", "no ReLU", stack(("if i:", "if not i < 9:")), ""),
    ("16.3", "strictly before", stack(("(room, 0)))", "(room + 1, 0)))[:, :, :-1]")), "its own time"),
    ("16.3", "no silence in front", stack(("(room, 0)", "(0, 0)")), "silence"),
    ("16.3", "dilation 1 throughout", stack(("min(K ** len(dilations), left)", "1")), "many layers"),
    ("16.3", "doubled, with a rest", stack(("K ** len", "2 ** len")), "Doubling"),
    (
        "16.3",
        "powers without a rest",
        stack(("min(K ** len(dilations), left)", "K ** len(dilations)"), ("while left:", "while left > 0:")),
        "what is left",
    ),
    ("16.3", "one large dilation", stack(("min(K ** len(dilations), left)", "left")), "skips"),
    ("16.4", "pasted from the chapter", {"answer-16-4": HEAD_IN_CHAPTER}, "at most 3 numbers"),
    ("16.4", "looks the other way", heads(("grid + np.array(shift)", "grid - np.array(shift)")), "p - shift"),
    ("16.4", "rows and columns exchanged", heads(("np.array(shift)", "np.array(shift[::-1])")), "rows come first"),
    (
        "16.4",
        "wraps around",
        heads(("grid + np.array(shift)", "(grid + np.array(shift)) % (height, width)")),
        "not across",
    ),
    (
        "16.4",
        "places by columns",
        heads(("np.indices((height, width)).reshape", "np.indices((width, height))[::-1].reshape")),
        "row by row",
    ),
    ("16.4", "product of places", heads((Q, Q.replace("-np.ones", "np.zeros"))), "by its length"),
    ("16.4", "the 2 forgotten", heads((Q, Q.replace("2 * z", "z"))), "mind the 2"),
    ("16.4", "not sharp", heads(("alpha = 60 *", "alpha = 6 *")), "logits larger"),
    (
        "16.4",
        "four numbers",
        heads(
            (Q, Q.replace("len(z))", "len(z)), 0 * z[:, 0]")),
            ("(grid**2).sum(1)]", "(grid**2).sum(1), 0 * grid[:, 0]]"),
        ),
        "at most 3",
    ),
    ("16.4", "true convolution", heads((SHIFT, "((K // 2 - k) * d, (L // 2 - l) * e)")), "turned around"),
    ("16.4", "shifts from the corner", heads((SHIFT, "(k * d, l * e)")), "middle weight"),
    ("16.4", "no dilation", heads((SHIFT, "(k - K // 2, l - L // 2)")), "places apart"),
    ("16.4", "only the columns dilated", heads(("(k - K // 2) * d", "k - K // 2")), "first difference"),
    ("16.4", "shift in PyTorch", heads(("grid = np.indices", "import torch\n    grid = np.indices")), "does not allow"),
    ("16.5", "pasted from the chapter", {"answer-16-5": PEAKS_IN_CHAPTER}, "not by distance"),
    ("16.5", "local maxima", peaks(("def pick(", LOCAL + "def other(")), "reported strikes"),
    ("16.5", "more than least", peaks((LOOP, LOOP.replace(">=", ">"))), "exactly `least`"),
    (
        "16.5",
        "last of equals",
        peaks(("left.argmax(), left.shape", "left.size - 1 - left[::-1, ::-1].argmax(), left.shape")),
        "first in reading order",
    ),
    ("16.5", "shared pixels of one frame", peaks((BOTH, "both / (window[0] * window[1])")), "union"),
    (
        "16.5",
        "stride exchanged",
        peaks(("transpose(1, 2, 0) * stride", "transpose(1, 2, 0) * stride[::-1]")),
        "for rows",
    ),
    (
        "16.5",
        "numbers of windows",
        peaks(("np.array(found, int).reshape(-1, 2)", "np.array(found, int).reshape(-1, 2) // stride")),
        "pixels of the page",
    ),
    ("16.5", "scores struck out in place", peaks(("score.astype(float)", "score")), "changed its input"),
    (
        "16.5",
        "claimed and claimed again",
        peaks(
            (FITS, "fits = shared(one, corners, window)"),
            ("free[fits.argmax()] = False", "free[fits >= share] = False"),
        ),
        "one digit and no more",
    ),
    ("16.5", "best digit, free or not", peaks((FITS, "fits = shared(one, corners, window)")), "that are *left*"),
    (
        "16.5",
        "nearest digit",
        peaks(
            (FITS, f"{FITS}\n        near = np.where(free, abs(corners - one).max(1), 99).argmin()"),
            ("if fits.max()", "if fits[near]"),
            ("fits.argmax()", "near"),
        ),
        "smallest distance",
    ),
    ("16.5", "however small", peaks(("if fits.max() >= share", "if fits.max() >= 0")), "claims nothing"),
    ("16.5", "how many", peaks(("np.flatnonzero(free)", "free.sum()")), ""),
]

HALF = [
    ("16.1", "sliding right, heads multiplied", paper(side_3=6, side_7=17), 1),
    ("16.1", "attention right, offsets added", paper(runs=12), 1),
    ("16.2", "every offset right, axes moved back", slide((AXES, '(1 + "chw".index(axis) for axis in order)')), 1),
    ("16.3", "the plan right, looks ahead", stack(("(room, 0)", "(room - room // 2, room // 2)")), 1),
    ("16.3", "the start right, many layers", stack(("min(K ** len(dilations), left)", "1")), 1),
    ("16.4", "one head right, no dilation", heads((SHIFT, "(k - K // 2, l - L // 2)")), 1),
    ("16.5", "peaks right, however small", peaks(("if fits.max() >= share", "if fits.max() >= 0")), 1),
    ("16.5", "missed right, last of equals", peaks((LOOP, LOOP.replace(">=", ">"))), 1),
]
