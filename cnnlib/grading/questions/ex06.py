"""The questions of exercise 06, Build a whole CNN."""

import numpy as np

from cnnlib.grading.question import Case, Cause, Question

KEYS = {"dense": ("w3", "b3"), "second convolution": ("w2", "b2"), "first convolution": ("w1", "b1")}
LEARN, FLAT = "the runs that learn", "the other runs"


def draw_counts(rng):
    """The four numbers of 06.1; nothing is drawn. Provided."""
    calls = {"classes": "count", "filters": "count", "spot_first": "places", "spot_last": "places"}
    return [Case(part, call=name) for name, part in calls.items()]


def count(number, says):
    """A known mistake in the two counts of 06.1. Provided."""
    return Cause(says.split(".")[0], says, number, "count")


def place(spot, says):
    """A known mistake in the two places of 06.1. Provided."""
    return Cause(says.split(".")[0], says, spot, "places")


def draw_runs(rng):
    """The five runs of 06.2; nothing is drawn. Provided."""
    return [Case(LEARN if run in "ad" else FLAT, call=f"run_{run}", secret=run) for run in "adbce"]


BLAME = [  # fault, the runs that cannot have it, why not
    (1, "ad", "it learns. What would a wrong sign do to the loss?"),
    (1, "bce", "with a wrong sign `ours / nudged` would be -1, and the loss would rise."),
    (2, "ad", "it reads new digits. Could it, with shuffled labels?"),
    (2, "c", "shuffled labels can be learned by heart. It cannot learn even 64."),
    (2, "e", "the labels cannot raise the first loss so far: look there first."),
    (3, "ad", "it learns in 100 batches. Could it, at a thousandth of the rate?"),
    (3, "b", "it learns 64 images by heart. Could it, at a thousandth of the rate?"),
    (3, "e", "the rate plays no part in the first loss: look there first."),
    (4, "abcd", "weights that begin too large show in the first loss. Here it is near ln 10."),
    (5, "d", "the batch would show as one factor in every array. Which arrays are wrong here?"),
    (5, "bce", "its gradient is right: `ours / nudged` is 1."),
    (6, "a", "a pass that ends too early leaves some gradients at 0. Here all are too large."),
    (6, "bce", "its gradient is right: `ours / nudged` is 1."),
]


def judge_run(got, case, want):
    """None if the fault of this run is named, else what speaks against the one that was. Provided."""
    if np.ndim(got) == 0 and got == want:
        return None
    for fault, runs, says in BLAME:
        if np.ndim(got) == 0 and got == fault and case.secret in runs:
            return f"Run {case.secret.upper()} is not fault {fault}: {says}"
    return f"Run {case.secret.upper()}: the fault is one number, from 1 to 6."


def draw_network(rng):
    """Two networks with a shortcut, of odd and unequal sizes; logits so large that nudging them shows. Provided."""
    cases = []
    for (N, C, H, W), (F, K, L), classes in [((3, 3, 9, 13), (4, 2, 3), 5), ((5, 1, 11, 8), (2, 3, 2), 3)]:
        rows, columns = ((1 + (n + 2 - k) // 2) // 2 for n, k in ((H, K), (W, L)))
        shapes = {"1": (F, C, K, L), "2": (F, F, 3, 3), "3": (classes, F * rows * columns)}
        p = {f"w{i}": rng.standard_normal(s) for i, s in shapes.items()}
        p |= {f"b{i}": rng.standard_normal(s[0]) for i, s in shapes.items()}
        p["b3"] *= 1e9
        given = {"p": p, "x": rng.standard_normal((N, C, H, W)), "dlogits": rng.standard_normal((N, classes))}
        for part, keys in KEYS.items():
            call = f"{{k: backward(p, forward(p, x)[1], dlogits)[k] for k in {keys}}}"
            cases.append(Case(part, given, call=call))
    return cases


def draw_carried(rng):
    """Kernels and dense weights of channels last, all sizes different. Provided."""
    cases = [
        Case("kernels", {"w": rng.standard_normal(shape)}, call="carry_kernels(w)")
        for shape in ((2, 5, 3, 4), (3, 2, 1, 6))
    ]
    for size, outputs in (((3, 4, 5), 2), ((5, 2, 3), 7)):
        w = rng.standard_normal((np.prod(size), outputs))
        cases.append(Case("dense", {"w": w, "size": size}, call="carry_dense(w, size)"))
    return cases


def walk(x, w, stride):
    """The windows of an image with a frame of one: (row, column, slice of the framed image). Provided."""
    (H, W), (K, L) = x.shape[2:], w.shape[2:]
    for i, j in np.ndindex(1 + (H + 2 - K) // stride, 1 + (W + 2 - L) // stride):
        yield i, j, np.s_[:, :, i * stride : i * stride + K, j * stride : j * stride + L]


def convolve(x, w, b, stride):
    """A convolution with padding 1. Provided."""
    framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    values = {(i, j): np.tensordot(framed[spot], w, axes=((1, 2, 3), (1, 2, 3))) for i, j, spot in walk(x, w, stride)}
    y = np.stack(list(values.values()), axis=-1)
    return y.reshape(*y.shape[:2], *(1 + n for n in max(values))) + b[:, None, None]


def convolve_back(dy, x, w, stride):
    """Its gradients: dx, dw, db. Provided."""
    framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dx, dw = np.zeros_like(framed), np.zeros_like(w)
    for i, j, spot in walk(x, w, stride):
        dx[spot] += np.tensordot(dy[:, :, i, j], w, axes=1)
        dw += np.tensordot(dy[:, :, i, j].T, framed[spot], axes=1)
    return dx[:, :, 1:-1, 1:-1], dw, dy.sum(axis=(0, 2, 3))


def spread(d, x, pool):
    """2x2 average pooling backward; "sum" forgets the fourth, "max" pays the winner. Provided."""
    rows, columns = d.shape[2:]
    wide = np.zeros_like(x)
    wide[:, :, : 2 * rows, : 2 * columns] = d.repeat(2, axis=2).repeat(2, axis=3)
    if pool == "max":
        top = x[:, :, : 2 * rows, : 2 * columns].reshape(*x.shape[:2], rows, 2, columns, 2).max(axis=(3, 5))
        won = x[:, :, : 2 * rows, : 2 * columns] == top.repeat(2, axis=2).repeat(2, axis=3)
        wide[:, :, : 2 * rows, : 2 * columns] *= won
    return wide if pool in ("sum", "max") else wide / 4


def slips(*, pool="mean", relus="12", roads="cs", shortcut="after", kept="r1", order="first"):
    """A cause's function: the backward pass of 06.3 with one slip, cut down to what the case asks for. Provided."""

    def wrong(p, x, dlogits, want):
        c1 = convolve(x, p["w1"], p["b1"], 2)
        r1 = np.maximum(c1, 0)
        both = convolve(r1, p["w2"], p["b2"], 1) + r1
        rows, columns = (n // 2 for n in both.shape[2:])
        shape = (len(x), both.shape[1], rows, columns)
        flat = np.maximum(both, 0)[:, :, : 2 * rows, : 2 * columns]
        flat = flat.reshape(*shape[:3], 2, columns, 2).mean(axis=(3, 5)).reshape(len(x), -1)
        d = dlogits @ p["w3"]
        if order == "last":
            d = d.reshape(len(x), rows, columns, -1).transpose(0, 3, 1, 2)
        before = spread(d.reshape(shape), np.maximum(both, 0), pool)
        after = before * (both > 0) if "2" in relus else before
        back, dw2, db2 = convolve_back(after, r1 if kept == "r1" else c1, p["w2"], 1)
        d = ("c" in roads) * back + ("s" in roads) * (after if shortcut == "after" else before)
        _, dw1, db1 = convolve_back(d * (c1 > 0) if "1" in relus else d, x, p["w1"], 2)
        g = {"w1": dw1, "b1": db1, "w2": dw2, "b2": db2, "w3": dlogits.T @ flat, "b3": dlogits.sum(axis=0)}
        return {k: g[k] for k in want}

    return wrong


def scaled(factor):
    """A cause's function: every gradient times factor(N). Provided."""
    return lambda x, want, **_: {k: g * factor(len(x)) for k, g in want.items()}


def nearly(want, got, **_):
    """The result itself if it is near the right one: exact it is not. Provided."""
    close = [np.allclose(got[k], v, rtol=0.05, atol=0.05 * np.abs(v).max()) for k, v in want.items()]
    return got if all(close) else None


def only(part, says, wrong):
    """A known mistake of one part of 06.4. Provided."""
    return Cause(says.split(".")[0], says, wrong, part)


def dense(axes, order=(0, 1, 2)):
    """A cause's function: dense weights named in another order, then turned by these axes. Provided."""

    def wrong(w, size):
        return w.reshape(*(size[i] for i in order), -1).transpose(axes).reshape(w.shape[1], -1)

    return wrong


QUESTIONS = [
    Question(
        id="06.1",
        kind="predict",
        call="classes",
        parts={"count": 1, "places": 1},
        draw=draw_counts,
        atol=0.005,
        causes=(
            count(10, "A fresh network with ten classes begins at ln 10 = 2.303. This log says 1.946."),
            count(4, "That is a power of 2. The loss takes the natural logarithm."),
            count(88, "That is a power of 10. The loss takes the natural logarithm."),
            count(3, "You flattened before pooling. How many numbers does pooling leave of a map?"),
            count(8, "Your convolution kept 20 x 28. Without padding it loses a border."),
            count(9, "Your convolution kept 20 x 28, or you counted ten classes. Without padding it loses a border."),
            count(13, "The filters have weights of their own, one for each of 5 x 5 pixels in *three* channels."),
            count(1152, "That is the length of the flattened row. How many filters make it?"),
            count(96, "A filter's pooled map has so many numbers. How many filters are there?"),
            place((5, 4, 2), "The two orders are exchanged. What comes first, the map or the pixel?"),
            place((6, 2, 5), "The two orders are exchanged. What comes first, the map or the pixel?"),
            place((6, 3, 5), "You passed rows of 8. A row is as long as there are columns."),
            place((5, 6, 2), "You passed rows of 8. A row is as long as there are columns."),
            place((6, 5, 2), "Row and column are exchanged: the row comes first."),
            place((5, 2, 4), "Row and column are exchanged: the row comes first."),
            place((7, 3, 6), "That counts from 1. The first place is 0."),
            place((6, 5, 3), "That counts from 1. The first place is 0."),
            place((4, 2, 5), "The right numbers in the order row, column, channel. Write the channel first."),
            place((1, 9, 5), "You used the maps before pooling."),
        ),
    ),
    Question(
        id="06.2",
        kind="predict",
        call="run_a",
        parts={LEARN: 1, FLAT: 1},
        draw=draw_runs,
        judge=judge_run,
    ),
    Question(
        id="06.3",
        kind="complete",
        call="backward(p, forward(p, x)[1], dlogits)",
        parts={"dense": 1, "second convolution": 1, "first convolution": 2},
        draw=draw_network,
        forbid=("torch", "scipy", "cnnlib.check"),
        causes=(
            Cause(
                "shortcut forgotten",
                "What came back through the shortcut is missing: r1 was used in two places.",
                slips(roads="c"),
            ),
            Cause(
                "shortcut only",
                "Only the shortcut is there. What conv2d_backward returns for its input is missing.",
                slips(roads="s"),
            ),
            Cause(
                "shortcut before the ReLU",
                "The shortcut carries the gradient of `both`: yours was taken before the ReLU had cut it.",
                slips(shortcut="before"),
            ),
            Cause(
                "no ReLU behind the sum",
                "The ReLU behind the sum is missing: where `both` was negative, nothing goes back.",
                slips(relus="1"),
            ),
            Cause(
                "no ReLU behind the first convolution",
                "The ReLU behind the first convolution is missing: where c1 was negative, nothing goes back.",
                slips(relus="2"),
            ),
            Cause(
                "mean for sum",
                "Four times too large: each of a window's four pixels gets a fourth.",
                slips(pool="sum"),
            ),
            Cause(
                "max pooling",
                "You paid the largest of each window. This network pools by averages.",
                slips(pool="max"),
            ),
            Cause(
                "wrong input kept",
                "The second convolution saw r1, not c1.",
                slips(kept="c1"),
            ),
            Cause(
                "channels last",
                "You took the flattened row for (H, W, C). It was flattened from (C, H, W).",
                slips(order="last"),
            ),
            Cause(
                "divided by the batch",
                "Every number is N times too small, N being the batch: what a loss divides by is in `dlogits` already.",
                scaled(lambda n: 1 / n),
            ),
            Cause(
                "mean for sum in the biases",
                "Your biases collect averages. A bias is in every output of every image: sum.",
                lambda x, want, **_: {k: g / len(x) if k[0] == "b" else g for k, g in want.items()},
            ),
            Cause("times the batch", "N times too large.", scaled(lambda n: n)),
            Cause(
                "nudged",
                "Near, but not exact. A numerical gradient looks like this; here each line of `forward` goes back.",
                nearly,
            ),
        ),
    ),
    Question(
        id="06.4",
        kind="complete",
        call="carry_kernels(w)",
        parts={"kernels": 1, "dense": 1},
        draw=draw_carried,
        forbid=("torch", "scipy"),
        causes=(
            only("kernels", "Rows and columns of each kernel are exchanged. Did you use .T?", lambda w: w.T),
            only(
                "kernels",
                "A reshape moves no number, it only puts other names to the axes.",
                lambda w: w.reshape(w.shape[3], w.shape[2], *w.shape[:2]),
            ),
            only(
                "kernels",
                "Filters and channels are exchanged: the filters come first.",
                lambda w: w.transpose(2, 3, 0, 1),
            ),
            only(
                "kernels",
                "The kernels are turned by half a turn. Both libraries slide them as they are.",
                lambda w: w[::-1, ::-1].transpose(3, 2, 0, 1),
            ),
            only("kernels", "These are the kernels as they came.", lambda w: w),
            only(
                "dense",
                "The outputs are in the right place, the inputs are still in the old order: channels last.",
                lambda w, size: w.T,
            ),
            only("dense", "These are the weights as they came.", lambda w, size: w),
            only(
                "dense",
                "The inputs are in the right order. Outputs come first.",
                lambda want, **_: want.T,
            ),
            only("dense", "Within each map, rows and columns are exchanged.", dense((3, 2, 1, 0))),
            only(
                "dense",
                "You read the old row as (C, H, W). It was flattened from (H, W, C).",
                dense((3, 1, 2, 0), (2, 0, 1)),
            ),
            only(
                "dense",
                "A reshape of the whole matrix mixes inputs and outputs.",
                lambda w, size: w.reshape(w.shape[1], -1),
            ),
        ),
    ),
]
