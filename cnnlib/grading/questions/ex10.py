"""The questions of exercise 10, Train well."""

import math
from itertools import combinations

import numpy as np

from cnnlib.grading.question import Case, Cause, Question

OURS = ("cnnlib.ops", "cnnlib.augment", "torch", "torchvision", "scipy", "skimage", "cv2")


def draw_predictions(rng):
    """The numbers of 10.1; nothing is drawn. Provided."""
    return [
        Case("forward", call="out"),
        Case("forward", call="running_mean"),
        Case("forward", call="alone"),
        Case("backward", call="(dx_sum, dx_sum_alone)"),
    ]


def draw_groups(rng):
    """Odd, unequal sizes; one group, as many groups as channels, and between. Provided."""
    cases = []
    for shape, groups in (
        ((3, 4, 5, 7), 2),
        ((2, 6, 4, 3), 3),
        ((2, 6, 3, 5), 2),
        ((4, 3, 2, 5), 1),
        ((3, 4, 3, 4), 4),
    ):
        x = rng.normal(rng.uniform(1, 3), rng.uniform(0.5, 2), shape)
        x += rng.normal(0, 2, (*shape[:2], 1, 1))  # each map has a level of its own
        w, b, dy = rng.normal(1, 0.5, shape[1]), rng.normal(size=shape[1]), rng.normal(0.3, 1, shape)
        back = f"group_norm_backward(dy, x, w, {groups})"
        inputs = {"dy": dy, "x": x, "w": w, "groups": groups}
        cases += [
            Case("forward", {"x": x, "w": w, "b": b, "groups": groups}, call="group_norm(x, w, b, groups)"),
            Case("dx", inputs, call=f"{back}[0]"),
            Case("dw and db", inputs, call=f"{back}[1:]"),
        ]
    return cases


def standard(x, groups=1, *, over="group", ddof=0, eps=1e-5, root=True):
    """x with mean 0 and variance 1 over a group of an image's channels, and the divisor; with the usual slips.

    over: "group", "batch" (all images of a channel), "mixed" (every groups-th channel), "channels" (of a group, at each
    pixel)
    Provided.
    """
    N, C, H, W = x.shape
    parts = x.reshape(N, groups, C // groups, H, W)
    axes = (2, 3, 4)
    if over == "mixed":
        parts = x.reshape(N, C // groups, groups, H, W)
        axes = (1, 3, 4)
    if over == "channels":
        axes = (2,)
    if over == "batch":
        parts, axes = x[:, :, None], (0, 2, 3, 4)
    mean, var = parts.mean(axes, keepdims=True), parts.var(axes, keepdims=True, ddof=ddof)
    divisor = np.broadcast_to(np.sqrt(var + eps) if root else var + eps, parts.shape).reshape(x.shape)
    return (x - np.broadcast_to(mean, parts.shape).reshape(x.shape)) / divisor, divisor


def forward(x, w, b, groups, **slip):
    """Group normalization, with a slip. Provided."""
    return w[:, None, None] * standard(x, groups, **slip)[0] + b[:, None, None]


def backward(dy, x, w, groups, *, mean=True, spread=True, outside=False, sums="group", unscaled=False):
    """dx of group normalization; slips: ways left out, w outside the means, the batch's means, no w. Provided."""
    x_hat, divisor = standard(x, groups)
    weight = np.ones_like(w) if unscaled else w
    g = dy if outside else weight[:, None, None] * dy

    def middle(values):
        parts = values.reshape(len(x), groups, -1)
        if sums == "batch":
            return values.mean((0, 2, 3), keepdims=True)
        return np.broadcast_to(parts.mean(2, keepdims=True), parts.shape).reshape(x.shape)

    dx = g - mean * middle(g) - spread * x_hat * middle(g * x_hat)
    return (weight[:, None, None] if outside else 1) * dx / divisor


def sums(dy, x, groups, *, of=np.sum, axes=(0, 2, 3), over="group", raw=False):
    """dw and db, with a slip. Provided."""
    x_hat = x if raw else standard(x, groups, over=over)[0]
    return of(dy * x_hat, axis=axes), of(dy, axis=axes)


def chance(a, b, *, two_sided=True):
    """The share of all ways to deal out the runs whose difference of means is as large as the real one. Provided."""
    both, n = np.array([*a, *b]), len(a)
    real = np.mean(a) - np.mean(b)
    apart = []
    for chosen in combinations(range(len(both)), n):
        first = both[list(chosen)]
        apart.append(first.mean() - (both.sum() - first.sum()) / (len(both) - n))
    apart = np.array(apart)
    if two_sided:
        return np.mean(np.abs(apart) >= abs(real) - 1e-9)
    return np.mean(apart * np.sign(real) >= abs(real) - 1e-9)


def named(a, b, sure):
    """The verdict, if one is sure. Provided."""
    return "cannot tell" if not sure else "a" if np.mean(a) > np.mean(b) else "b"


def verdict(a, b, *, level=0.05, two_sided=True):
    """The verdict of a permutation test. Provided."""
    return named(a, b, chance(a, b, two_sided=two_sided) <= level)


def draw_runs(rng):
    """Few runs, for which no difference is enough; more runs, far apart and near each other. Provided."""
    cases = []
    for sizes in ((3, 3), (2, 4), (1, 1), (3, 3)):
        a, b = (rng.normal(level, 0.3, n) for level, n in zip(rng.permutation([70.0, 73.0]), sizes, strict=True))
        cases.append(("few runs", a, b))
    for gap, sizes in ((1.6, (5, 5)), (-1.6, (4, 6)), (0.1, (6, 5)), (0.0, (5, 5)), (None, (5, 5)), (None, (6, 6))):
        cases.append(("more runs", *far_from_the_level(rng, gap, sizes)))
    return [Case(part, {"runs_a": a.round(2).tolist(), "runs_b": b.round(2).tolist()}) for part, a, b in cases]


def far_from_the_level(rng, gap, sizes):
    """Runs whose p-value is not near 0.05; without a gap it is one that a one-sided test would let pass. Provided."""
    while True:
        a, b = rng.normal(70 + (gap or 0.62), 0.45, sizes[0]), rng.normal(70, 0.45, sizes[1])
        a, b = a.round(2), b.round(2)
        p, one = chance(a, b), chance(a, b, two_sided=False)
        if gap is None and p > 0.055 and one < 0.045:
            return (a, b) if rng.random() < 0.5 else (b, a)
        if gap is not None and ((abs(gap) > 1 and p < 0.03) or (abs(gap) < 1 and p > 0.2)):
            return a, b


def draw_leaks(rng):
    """Small test sets in which some images were seen in training, and others only look like it. Provided."""
    cases = []
    for part in ("copies", "copies", "mirrored", "mirrored"):
        size = (5, 7, 3) if len(cases) % 2 else (6, 4, 3)
        train = rng.integers(0, 256, (12, *size)).astype(np.uint8)
        test = rng.integers(0, 256, (9, *size)).astype(np.uint8)
        test[1] = train[4]
        test[6] = train[9] if part == "copies" else train[9][:, ::-1]
        if part == "mirrored":
            test[0] = train[2][:, ::-1]
        test[3] = train[7][::-1]  # upside down: another image
        test[4] = train[1].reshape(-1, 3)[rng.permutation(size[0] * size[1])].reshape(size)  # the same pixels, mixed
        train[3][0, :2, 0] = 100
        test[2] = train[3]
        test[2][0, :2, 0] = 99, 101  # the same sum
        near = train[5].copy()
        near[2, 1, 0] ^= 1  # one gray level, in one pixel
        test[7] = near
        cases.append(Case(part, {"train": train, "test": test}))
    return cases


def seen(train, test, *, turns=(1, -1), rows=(1,), same=np.array_equal):
    """For each test image, whether a training image is the same, as it is or turned. Provided."""
    return np.array([any(same(t[::r, ::c], k) for t in train for r in rows for c in turns) for k in test])


def near(a, b):
    """Whether no pixel differs by more than a few gray levels. Provided."""
    return np.abs(a.astype(int) - b).max() <= 3


def same_sum(a, b):
    """Whether the pixels of two images have the same sum. Provided."""
    return a.astype(int).sum() == b.astype(int).sum()


def same_pixels(a, b):
    """Whether two images have the same pixels, in any order. Provided."""
    return np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None))


def draw_steps(rng):
    """The steps of some four cycles, each twice as long as the one before. Provided."""
    cases = []
    for first, peak in ((10, 0.4), (7, 1.5), (1, 0.1)):
        steps = list(range(15 * first if first > 1 else 20))
        cases.append(Case("", {"steps": steps, "first": first, "peak": float(peak * rng.uniform(0.5, 2))}))
    return cases


def restarts(steps, first, peak, *, double=True, shape="cosine", end=0, smaller=False):
    """The rates of a schedule with restarts, with the usual slips built in. Provided."""
    rates = []
    for step in steps:
        length, top = first, peak
        while step >= length:
            step -= length
            length *= 2 if double else 1
            top *= 0.5 if smaller else 1
        done = step / max(length - end, 1)
        rates.append(top * ((1 + math.cos(math.pi * done)) / 2 if shape == "cosine" else 1 - done))
    return rates


def once(steps, first, peak):
    """A single cosine over all steps. Provided."""
    return [peak * (1 + math.cos(math.pi * step / len(steps))) / 2 for step in steps]


QUESTIONS = [
    Question(
        id="10.1",
        kind="predict",
        call="out",
        parts={"forward": 1, "backward": 1},
        draw=draw_predictions,
        causes=(
            Cause(
                "one above", "That is one standard deviation above the mean. The mean of which pixels?", 13, "forward"
            ),
            Cause("own image", "You normalized the image by itself. Mean and variance are the batch's.", 10, "forward"),
            Cause("not scaled", "Normalized, yes. Then come the scale w and the shift b.", -1, "forward"),
            Cause("variance for root", "Divide by the root of the variance, not by the variance.", 8.5, "forward"),
            Cause(
                "n - 1",
                "In training the variance is divided by M, the number of pixels.",
                10 - 6 / math.sqrt(16 / 3),
                "forward",
            ),
            Cause("all the way", "The running mean moves a tenth of the way, not all of it.", 3, "forward"),
            Cause("nine tenths", "Momentum 0.1 is the share of the new mean, not of the old one.", 2.7, "forward"),
            Cause("no shift", "The shift b comes last.", 9, "forward"),
            Cause(
                "as if constant",
                "In training the mean depends on x, too: all pixels up changes nothing.",
                (15, 15),
                "backward",
            ),
            Cause("always zero", "In evaluation mode mean and variance are constants.", (0, 0), "backward"),
            Cause("exchanged", "These two are exchanged.", (15, 0), "backward"),
            Cause("no scale", "The gradient passes the scale w and the divisor.", (0, 10), "backward"),
            Cause("no divisor", "The gradient is divided by the root of the variance.", (0, 30), "backward"),
        ),
    ),
    Question(
        id="10.2",
        kind="complete",
        call="group_norm(x, w, b, groups)",
        parts={"forward": 1, "dx": 1, "dw and db": 1},
        draw=draw_groups,
        forbid=OURS,
        causes=(
            Cause(
                "batch norm",
                "That is batch normalization: you take mean and variance over all images of a channel.",
                lambda x, w, b, groups: forward(x, w, b, groups, over="batch"),
                "forward",
            ),
            Cause(
                "mixed channels",
                "A group is made of neighboring channels: 0 and 1, not 0 and 2.",
                lambda x, w, b, groups: forward(x, w, b, groups, over="mixed"),
                "forward",
            ),
            Cause(
                "at each pixel",
                "Mean and variance run over the pixels of the group, too, not over its channels alone.",
                lambda x, w, b, groups: forward(x, w, b, groups, over="channels"),
                "forward",
            ),
            Cause(
                "one group",
                "You take all channels of an image as one group.",
                lambda x, w, b, groups: forward(x, w, b, 1),
                "forward",
            ),
            Cause(
                "each channel",
                "You take each channel of an image for itself.",
                lambda x, w, b, groups: forward(x, w, b, x.shape[1]),
                "forward",
            ),
            Cause(
                "n - 1",
                "Divide by the number of pixels, not by one less.",
                lambda x, w, b, groups: forward(x, w, b, groups, ddof=1),
                "forward",
            ),
            Cause(
                "no root",
                "You divide by the variance. Its root is wanted.",
                lambda x, w, b, groups: forward(x, w, b, groups, root=False),
                "forward",
            ),
            Cause(
                "no eps",
                "Add eps to the variance.",
                lambda x, w, b, groups: forward(x, w, b, groups, eps=0),
                "forward",
            ),
            Cause(
                "no scale and shift",
                "Scale and shift are missing.",
                lambda x, w, b, groups: standard(x, groups)[0],
                "forward",
            ),
            Cause(
                "w outside",
                "The channels of a group have different scales: multiply dy by w before you take the means.",
                lambda dy, x, w, groups: backward(dy, x, w, groups, outside=True),
                "dx",
            ),
            Cause(
                "directly only",
                "That treats mean and variance as constants. They depend on x.",
                lambda dy, x, w, groups: backward(dy, x, w, groups, mean=False, spread=False),
                "dx",
            ),
            Cause(
                "no variance",
                "The way through the variance is missing.",
                lambda dy, x, w, groups: backward(dy, x, w, groups, spread=False),
                "dx",
            ),
            Cause(
                "no mean",
                "The way through the mean is missing.",
                lambda dy, x, w, groups: backward(dy, x, w, groups, mean=False),
                "dx",
            ),
            Cause(
                "batch means",
                "The means run over the pixels of a group of one image, not over the batch.",
                lambda dy, x, w, groups: backward(dy, x, w, groups, sums="batch"),
                "dx",
            ),
            Cause(
                "no w",
                "On its way to x the gradient passes the scale w.",
                lambda dy, x, w, groups: backward(dy, x, w, groups, unscaled=True),
                "dx",
            ),
            Cause(
                "means for sums",
                "w and b are used at every pixel, and their gradients are sums.",
                lambda dy, x, w, groups: sums(dy, x, groups, of=np.mean),
                "dw and db",
            ),
            Cause(
                "one image",
                "The images share w and b: sum over them, too.",
                lambda dy, x, w, groups: sums(dy, x, groups, axes=(2, 3)),
                "dw and db",
            ),
            Cause(
                "x for x_hat",
                "w multiplies the normalized x, so its gradient does, too.",
                lambda dy, x, w, groups: sums(dy, x, groups, raw=True),
                "dw and db",
            ),
            Cause(
                "batch statistics",
                "x is normalized over the batch there. Use the statistics of the forward pass.",
                lambda dy, x, w, groups: sums(dy, x, groups, over="batch"),
                "dw and db",
            ),
        ),
    ),
    Question(
        id="10.3",
        kind="complete",
        call="winner(runs_a, runs_b)",
        parts={"few runs": 1, "more runs": 1},
        draw=draw_runs,
        forbid=(*OURS, "numpy.random"),
        seconds=30,
        causes=(
            Cause(
                "a winner always",
                "Dealt out by chance, the names would give as large a difference too often.",
                lambda runs_a, runs_b, want: named(runs_a, runs_b, True) if want == "cannot tell" else np.nan,
            ),
            Cause(
                "never sure",
                "Here chance alone hardly ever gives as large a difference: name the better recipe.",
                lambda want, **_: "cannot tell" if want != "cannot tell" else np.nan,
            ),
            Cause(
                "exchanged",
                "You named the recipe with the lower mean.",
                lambda want, **_: {"a": "b", "b": "a"}.get(want, np.nan),
            ),
        ),
    ),
    Question(
        id="10.4",
        kind="complete",
        call="leaked(train, test)",
        parts={"copies": 1, "mirrored": 1},
        draw=draw_leaks,
        forbid=OURS,
        dtype="any",
        causes=(
            Cause(
                "copies only",
                "An image that was mirrored was seen in training, too.",
                lambda train, test: seen(train, test, turns=(1,)),
                "mirrored",
            ),
            Cause(
                "upside down",
                "Upside down is not what training did: it mirrors from left to right.",
                lambda train, test: seen(train, test, turns=(1,), rows=(1, -1)),
            ),
            Cause(
                "any turn",
                "You also accept images that stand upside down.",
                lambda train, test: seen(train, test, rows=(1, -1)),
            ),
            Cause(
                "near",
                "An image that differs in one pixel is another image: compare exactly.",
                lambda train, test: seen(train, test, same=near),
            ),
            Cause(
                "pixels in any order",
                "The same pixels in another order are another image.",
                lambda train, test: seen(train, test, same=same_pixels),
            ),
            Cause("sums", "Two images can have the same sum.", lambda train, test: seen(train, test, same=same_sum)),
            Cause(
                "the other way",
                "One answer for each *test* image.",
                lambda train, test: seen(test, train),
            ),
            Cause("clean", "Not one is found.", lambda train, test: np.zeros(len(test), dtype=bool)),
        ),
    ),
    Question(
        id="10.5",
        kind="complete",
        call="[rate(step, first, peak) for step in steps]",
        parts={"": 1},
        draw=draw_steps,
        forbid=OURS,
        causes=(
            Cause(
                "equal cycles",
                "Each cycle is twice as long as the one before.",
                lambda steps, first, peak: restarts(steps, first, peak, double=False),
            ),
            Cause(
                "straight",
                "The rate falls along half a cosine, not in a straight line.",
                lambda steps, first, peak: restarts(steps, first, peak, shape="line"),
            ),
            Cause(
                "down to zero",
                "The last step of a cycle is not quite at 0: the fall takes all of the cycle's length.",
                lambda steps, first, peak: restarts(steps, first, peak, end=1),
            ),
            Cause(
                "smaller peaks",
                "Each cycle starts at the same peak.",
                lambda steps, first, peak: restarts(steps, first, peak, smaller=True),
            ),
            Cause("no restart", "The rate never jumps back to the peak.", once),
        ),
    ),
]
