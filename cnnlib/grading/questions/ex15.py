"""The questions of exercise 15, Transposed convolution and U-Net."""

import itertools

import numpy as np

from cnnlib.grading.question import Case, Cause, Question


def draw_predictions(rng):
    """The numbers of 15.1; nothing is drawn. Provided."""
    rows = [Case("rows", call=name) for name in ("three_three", "three_four", "four_three")]
    return rows + [Case("images and sizes", call=name) for name in ("ratio", "heights")]


def draw_mirrors(rng):
    """Maps of unequal sides, with rows that no window reached, and no padding along one axis now and then. Provided."""
    cases = []
    for part, size, kernel, padding, stride, dilation in (
        ("stride 1", (5, 8), (3, 2), (1, 3), (1, 1), (1, 1)),
        ("stride 1", (7, 4), (2, 4), (3, 0), (1, 1), (1, 1)),
        ("stride 1", (6, 9), (1, 3), (0, 4), (1, 1), (1, 1)),
        ("all options", (8, 11), (3, 2), (2, 1), (3, 2), (1, 1)),
        ("all options", (9, 6), (2, 3), (1, 3), (1, 2), (3, 2)),
        ("all options", (7, 10), (3, 3), (0, 2), (2, 3), (2, 1)),
        ("all options", (10, 5), (2, 2), (4, 2), (4, 1), (1, 3)),
    ):
        w = rng.standard_normal((int(rng.integers(2, 5)), int(rng.integers(2, 5)), *kernel))
        out = [
            1 + (n + 2 * p - d * (k - 1) - 1) // s
            for n, p, d, k, s in zip(size, padding, dilation, kernel, stride, strict=True)
        ]
        inputs = {"dy": rng.standard_normal((2, len(w), *out)), "w": w, "size": size}
        cases.append(Case(part, inputs | {"stride": stride, "padding": padding, "dilation": dilation}))
    return cases


def painted(dy, w, size, stride, padding, dilation, *, mode="reflect", once=False, turned=False, square=False):
    """The adjoint of 15.2, with the usual slips built in: another border, repeats lost, the kernel turned. Provided."""
    (H, W), (p, q), (s, t) = size, padding, stride
    d, e = (1, 1) if square else dilation
    w = w[:, :, ::-1, ::-1] if turned else w
    rows, columns = (
        np.r_[np.full(a, n), np.arange(n), np.full(a, n)] if mode == "none" else np.pad(np.arange(n), a, mode=mode)
        for n, a in ((H, p), (W, q))
    )
    dx = np.zeros((len(dy), w.shape[1], H + 1, W + 1))  # the last row and column take what is thrown away
    for k, l in np.ndindex(w.shape[2:]):
        i = rows[k * d + s * np.arange(dy.shape[2])][:, None]
        j = columns[l * e + t * np.arange(dy.shape[3])]
        paint = np.einsum("nfhw,fc->nchw", dy, w[:, :, k, l])
        if once:
            dx[:, :, i, j] += paint
        else:
            np.add.at(dx, (slice(None), slice(None), i, j), paint)
    return dx[:, :, :H, :W]


def mirrors(**slips):
    """A cause's function for 15.2 with these slips. Provided."""
    return lambda dy, w, size, stride, padding, dilation: painted(dy, w, size, stride, padding, dilation, **slips)


def unfolded(dy, w, size, stride, padding, dilation):
    """The shape of what is painted on the padded map, by the windows that fit: for the message only. Provided."""
    return np.full((len(dy), w.shape[1], *(n + 2 * p for n, p in zip(size, padding, strict=True))), np.nan)


def reached(dy, w, size, stride, padding, dilation):
    """The shape of a plain transposed convolution, without output_padding: for the message only. Provided."""
    sides = zip(dy.shape[2:], w.shape[2:], stride, padding, dilation, strict=True)
    return np.full((len(dy), w.shape[1], *((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in sides)), np.nan)


def draw_kernels(rng):
    """Kernels of one stride and of several, with unequal strides, multiples and numbers of groups. Provided."""
    cases = []
    for part, stride, multiples, groups in (
        ("as large as the stride", (2, 3), (1, 1), 3),
        ("as large as the stride", (3, 2), (1, 1), 1),
        ("as large as the stride", (1, 4), (1, 1), 2),
        ("larger", (2, 3), (2, 2), 1),
        ("larger", (3, 2), (2, 3), 3),
        ("larger", (2, 1), (3, 2), 2),
    ):
        K, L = (s * m for s, m in zip(stride, multiples, strict=True))
        w = rng.standard_normal((groups * int(rng.integers(2, 4)), int(rng.integers(2, 5)), K, L))
        cases.append(Case(part, {"w": w, "stride": stride, "groups": groups}))
    return cases


def moved(w, stride, groups, *, turn=True, blocks=False, order="gfstcmn", mixed=False):
    """The kernels of 15.3, with the usual slips built in. Provided."""
    (C, F, K, L), (s, t) = w.shape, stride
    m, n = K // s, L // t
    if blocks:  # weight a * m + u in place of a + s * u
        v = w.reshape(groups, C // groups, F, s, m, t, n).transpose(0, 1, 2, 4, 3, 6, 5)
    elif mixed:  # channel c in group c % groups
        v = w.reshape(C // groups, groups, F, m, s, n, t).swapaxes(0, 1)
    else:
        v = w.reshape(groups, C // groups, F, m, s, n, t)
    v = v[:, :, :, ::-1, :, ::-1] if turn else v
    v = v.transpose(["gcfmsnt".index(axis) for axis in order])
    return v.reshape(groups * F * s * t, C // groups, m, n)


def places(**slips):
    """A cause's function for 15.3 with these slips. Provided."""
    return lambda w, stride, groups: moved(w, stride, groups, **slips)


def one_group(w, stride, groups):
    """The kernels of 15.3 as if there were one group: (F / groups * s * t, C, m, n). Provided."""
    return moved(w, stride, 1)


def draw_scenes(rng):
    """Labels and predictions of six classes, of which 4 is only predicted, 5 nowhere, and one never found. Provided.

    `ignore` is a class now and then; images have different classes; of one no pixel counts.
    """
    cases = []
    for part, call in (("IoU", "iou"), ("Dice", "dice")):
        for ignore in (255, -1, 1, 0):
            H, W = int(rng.integers(5, 8)), int(rng.integers(8, 12))
            shown = [k for k in range(4) if k != ignore]
            labels = np.stack([rng.choice(rng.permutation(shown)[:size], (H, W)) for size in (3, 2, 2, 2, 1)])
            predicted = np.where(rng.random(labels.shape) < 0.7, labels, rng.choice(shown, labels.shape))
            predicted[predicted == shown[-1]] = shown[0]
            labels[0, 0], labels[1, 0], labels[2, 0] = shown[-1], shown[0], shown[1]
            predicted[1, 0] = 4
            predicted[2, 0, : W // 2] = ignore if ignore in (0, 1) else 4
            hidden = rng.random(labels.shape) < 0.2
            hidden[:, 0] = False
            hidden[3] |= ignore == -1 and part == "Dice"
            labels[hidden] = ignore
            predicted[hidden] = rng.integers(0, 6, hidden.sum())
            inputs = {"predicted": predicted, "labels": labels, "classes": 6, "ignore": ignore}
            cases.append(Case(part, inputs, call=f"{call}(predicted, labels, classes, ignore)"))
    return cases


def counts(predicted, labels, classes, ignore, *, leave=True, half=False):
    """Pixels of each class in both, in the prediction, in the labels: each (N, classes). Provided."""
    valid = (labels != ignore)[..., None] if leave else np.ones((*labels.shape, 1), bool)
    said, true = (maps[..., None] == np.arange(classes) for maps in (predicted, labels))
    said, true = said & (valid if not half else True), true & valid
    return np.stack([mask.sum((1, 2)) for mask in (said & true, said, true)]).astype(float)


def by_class(predicted, labels, classes, ignore, *, dice=False, absent=np.nan, there=0, images=False, **slips):
    """The IoU of 15.4, with slips: Dice, absent classes as a number, mean over images. Provided."""
    found = counts(predicted, labels, classes, ignore, **slips)
    found = found if images else found.sum(1)
    score = of_counts(*found, dice=dice, absent=absent, there=there)
    with np.errstate(all="ignore"):
        return np.nansum(score, 0) / (~np.isnan(score)).sum(0) if images else score


def by_image(predicted, labels, classes, ignore, *, dice=True, absent=np.nan, there=0, pixels=False, **slips):
    """The Dice of 15.4, with slips: IoU, absent classes as a number, all classes' pixels together. Provided."""
    both, said, true = counts(predicted, labels, classes, ignore, **slips)
    with np.errstate(all="ignore"):
        if pixels:
            return 2 * both.sum(1) / (said + true).sum(1)
        score = of_counts(both, said, true, dice=dice, absent=absent, there=there)
        return np.nansum(score, 1) / (~np.isnan(score)).sum(1)


def of_counts(both, said, true, *, dice, absent, there):
    """IoU or Dice of counts; a class is there if it is in either (0), predicted (1), in the labels (2). Provided."""
    with np.errstate(all="ignore"):
        score = 2 * both / (said + true) if dice else both / (said + true - both)
    return np.where((said + true, said, true)[there] > 0, score, absent)


def scores(function, **slips):
    """A cause's function for 15.4 with these slips. Provided."""
    return lambda **inputs: function(**inputs, **slips)


def draw_networks(rng):
    """Weights of one to three levels; sizes that halve at each level, then some from 17 to 40 that do not. Provided."""
    cases = []
    for part, levels, size in (
        ("sizes that halve", 1, (18, 22)),
        ("sizes that halve", 2, (20, 36)),
        ("sizes that halve", 3, (40, 24)),
        (ODD, 1, (17, 30)),
        (ODD, 2, (22, 35)),
        (ODD, 3, (39, 28)),
        (ODD, 3, (23, 37)),
    ):
        C, width = int(rng.integers(1, 4)), int(rng.integers(2, 4))
        widths = [width + k for k in range(levels + 1)]
        pairs = list(itertools.pairwise(widths))
        p = {
            "down": [kernels(rng, f, c, 3) for c, f in zip([C, *widths], widths[:-1], strict=False)],
            "bottom": kernels(rng, widths[-1], widths[-2], 3),
            "up": [kernels(rng, below, here, 2) for here, below in pairs],
            "join": [kernels(rng, here, 2 * here, 3) for here, _ in pairs],
            "head": kernels(rng, 4, width, 1),
        }
        cases.append(Case(part, {"x": rng.standard_normal((2, C, *size)), "p": p}))
    return cases


def kernels(rng, F, C, K):
    """Weights (F, C, K, K) that keep numbers near 1, with a mean above 0, so that no map goes dark. Provided."""
    return rng.normal(0.2, 1, (F, C, K, K)) / np.sqrt(C * K * K)


def conv(x, w):
    """Convolution of odd kernels that keeps the size. Provided."""
    p = w.shape[2] // 2
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))), w.shape[2:], axis=(2, 3)
    )
    return np.einsum("nchwkl,fckl->nfhw", windows, w, optimize=True)


def blocks(x):
    """The 2x2 blocks of a map: (N, C, H // 2, 2, W // 2, 2). Provided."""
    N, C, H, W = x.shape
    return x[:, :, : H // 2 * 2, : W // 2 * 2].reshape(N, C, H // 2, 2, W // 2, 2)


def enlarged(x, size):
    """A map made larger by its nearest pixels. Provided."""
    return x[:, :, np.arange(size[0]) * x.shape[2] // size[0]][:, :, :, np.arange(size[1]) * x.shape[3] // size[1]]


def fitted(up, size, how):
    """A map made as large as its skip. Provided."""
    gap = [n - k for n, k in zip(size, up.shape[2:], strict=True)]
    if how == "nearest":
        return enlarged(up, size)
    if how == "edge":
        return np.pad(up, ((0, 0), (0, 0), (0, gap[0]), (0, gap[1])), mode="edge")
    if how == "before":
        return np.pad(up, ((0, 0), (0, 0), (gap[0], 0), (gap[1], 0)))
    return np.pad(up, ((0, 0), (0, 0), (0, gap[0]), (0, gap[1])))


def network(x, p, *, fit="after", skip=1, first=True, pool="max", relu_up=False, relu_head=False, logits=False):
    """The U-Net of 15.5, with the usual slips built in. Provided."""
    size, skips = x.shape[2:], []
    for w in p["down"]:
        x = np.maximum(conv(x, w), 0)
        skips.append(skip * x)
        x = blocks(x).max((3, 5)) if pool == "max" else blocks(x).mean((3, 5))
    x = np.maximum(conv(x, p["bottom"]), 0)
    for up, join, kept in zip(p["up"][::-1], p["join"][::-1], skips[::-1], strict=True):
        N, _, H, W = x.shape
        x = np.einsum("nchw,cfkl->nfhkwl", x, up).reshape(N, up.shape[1], 2 * H, 2 * W)
        x = np.maximum(x, 0) if relu_up else x
        if logits:  # the skip is cut to fit, and only the logits get the right size
            kept = kept[:, :, : 2 * H, : 2 * W]
        else:
            x = fitted(x, kept.shape[2:], fit)
        x = np.maximum(conv(np.concatenate([kept, x] if first else [x, kept], 1), join), 0)
    x = conv(x, p["head"])
    x = enlarged(x, size) if logits == "enlarged" else x
    return np.maximum(x, 0) if relu_head else x


def nets(**slips):
    """A cause's function for 15.5 with these slips. Provided."""
    return lambda x, p: network(x, p, **slips)


IGNORED = "Pixels whose label is `ignore` do not count, and what is predicted there does not count either."
ODD = "any size"  # the part of 15.5 in which rows or columns are left over
QUESTIONS = [
    Question(
        id="15.1",
        kind="predict",
        call="ratio",
        parts={"rows": 1, "images and sizes": 1},
        draw=draw_predictions,
        causes=(
            Cause("one layer", "That is what one layer leaves. The second paints with these numbers.", (2, 1, 2, 1)),
            Cause("one layer, shifted", "Which outputs does input 4 paint with 3 weights?", (1, 2, 1, 2)),
            Cause("multiplied", "The second layer adds what its neighbors left; it does not square.", (4, 1, 4, 1)),
            Cause("shifted", "These four numbers come in turn, but which comes at output 8?", (2, 3, 1, 3)),
            Cause("shifted back", "These four numbers come in turn, but which comes at output 8?", (1, 3, 2, 3)),
            Cause("shifted by two", "These four numbers come in turn, but which comes at output 8?", (3, 1, 3, 2)),
            Cause("one layer of 4", "That is what one layer of 4 weights leaves.", (2, 2, 2, 2)),
            Cause("exchanged", "How many inputs paint an output if the last layer has 4 weights?", (4, 2, 4, 2)),
            Cause("leveled", "How many inputs paint an output if the last layer has 3 weights?", (3, 3, 3, 3)),
            Cause(
                "two patterns", "Behind 4 weights the row is level: only the last layer's pattern shows.", (3, 2, 3, 1)
            ),
            Cause("one dimension", "That is the ratio along a row. In an image rows and columns multiply.", 3),
            Cause("one layer's ratio", "That is the ratio behind one layer.", 4),
            Cause("each layer's ratio", "Ratios of layers do not multiply: look at the numbers.", 16),
            Cause("twice", "Rows and columns multiply.", 6),
            Cause("one height", "The floor forgives a remainder: other heights leave 7 rows, too.", (21,)),
            Cause("largest height", "The floor forgives a remainder: other heights leave 7 rows, too.", (23,)),
            Cause("two heights", "How many remainders does a division by 3 have?", (21, 22)),
            Cause("no padding", "Padding 1 adds two rows: 1 + (H + 2 - 5) // 3.", (23, 24, 25)),
            Cause("padding on one side", "Padding 1 adds two rows: 1 + (H + 2 - 5) // 3.", (22, 23, 24)),
            Cause("too small", "A map of 21 rows leaves 1 + (21 + 2 - 5) // 3. And one of 20?", (19, 20, 21)),
            Cause("too small by one", "What does a map of 20 rows leave?", (20, 21, 22)),
            Cause("no 1 +", "How many windows fit if the first starts at row 0? 1 + (H + 2 - 5) // 3.", (24, 25, 26)),
        ),
    ),
    Question(
        id="15.2",
        kind="complete",
        call="reflect_adjoint(dy, w, size, stride=stride, padding=padding, dilation=dilation)",
        parts={"stride 1": 1, "all options": 1},
        draw=draw_mirrors,
        forbid=("torch", "torchvision"),
        causes=(
            Cause(
                "border thrown away",
                "What lands on the border belongs to the pixels that the border shows: add it to them.",
                mirrors(mode="none"),
            ),
            Cause(
                "repeats lost",
                "A row that comes twice, as itself and in the mirror, must be added twice: np.add.at, not +=.",
                mirrors(once=True),
            ),
            Cause("wrapped", "The border shows the mirrored image, not its other side.", mirrors(mode="wrap")),
            Cause("edge", "The border shows the image mirrored, not its last row.", mirrors(mode="edge")),
            Cause(
                "border pixel twice",
                'The mirror stands on the last row: mode="reflect" does not repeat it.',
                mirrors(mode="symmetric"),
            ),
            Cause(
                "turned",
                "The kernel is turned around. What was read with a weight is painted with the same weight.",
                mirrors(turned=True),
            ),
            Cause("no dilation", "The weights stand `dilation` pixels apart.", mirrors(square=True), "all options"),
            Cause("padded map", "You return the padded map: fold its border back into the image.", unfolded),
            Cause(
                "plain",
                "That is a plain transposed convolution: fold back what lands on the border, and fill up to `size`.",
                reached,
            ),
        ),
    ),
    Question(
        id="15.3",
        kind="complete",
        call="rearrange(w, stride, groups)",
        parts={"as large as the stride": 1, "larger": 1},
        draw=draw_kernels,
        causes=(
            Cause("not turned", "Turn the blocks around: a later weight meets an earlier input.", places(turn=False)),
            Cause(
                "blocks",
                "Weights of the same pixel of a block stand s apart, not next to each other.",
                places(blocks=True),
            ),
            Cause(
                "not turned, blocks",
                "Weights of the same pixel of a block stand s apart, not next to each other.",
                places(blocks=True, turn=False),
            ),
            Cause(
                "columns first",
                "Within a block, rows come before columns: f, then s, then t.",
                places(order="gftscmn"),
            ),
            Cause("pixels first", "The output channel comes before the pixels of its block.", places(order="gstfcmn")),
            Cause(
                "pixels before groups",
                "The output channel comes before the pixels of its block.",
                places(order="stgfcmn"),
            ),
            Cause("groups second", "All filters of the first group come first.", places(order="fgstcmn")),
            Cause("groups last", "All filters of the first group come first.", places(order="fstgcmn")),
            Cause("mixed", "The first C / groups channels are the first group.", places(mixed=True)),
            Cause("one group", "Each group has filters of its own, for its own channels.", one_group),
        ),
    ),
    Question(
        id="15.4",
        kind="complete",
        call="iou(predicted, labels, classes, ignore)",
        parts={"IoU": 1, "Dice": 1},
        draw=draw_scenes,
        forbid=("torch", "torchvision", "sklearn", "scipy"),
        causes=tuple(
            Cause(f"{name}, {part}", says, scores(function, **slips), part)
            for part, function in (("IoU", by_class), ("Dice", by_image))
            for name, says, slips in (
                ("nothing left out", IGNORED, {"leave": False}),
                ("left out of the labels only", IGNORED, {"half": True}),
                ("absent is 0", "A class that is in neither has no score: it is not 0.", {"absent": 0}),
                ("absent is 1", "A class that is in neither has no score: it is not 1.", {"absent": 1}),
                ("predicted only", "A class that is predicted, but not there, scores 0.", {"there": 2}),
                ("missed", "A class that is there, but never predicted, scores 0.", {"there": 1}),
                *(
                    [
                        ("Dice", "That is Dice. IoU divides by the pixels that are in at least one.", {"dice": True}),
                        ("images", "Add the pixels of all images first, then divide.", {"images": True}),
                    ]
                    if part == "IoU"
                    else [
                        ("IoU", "That is IoU. Dice is 2 both / (said + true).", {"dice": False}),
                        ("pixels", "First a score for each class, then their mean.", {"pixels": True}),
                    ]
                ),
            )
        ),
    ),
    Question(
        id="15.5",
        kind="complete",
        call="asked(unet, x, p)",
        parts={"sizes that halve": 1, ODD: 1},
        draw=draw_networks,
        forbid=("cnnlib.models", "torchvision"),
        causes=(
            Cause("no skips", "The skips do not reach the output: join the maps themselves.", nets(skip=0)),
            Cause("up first", "The skip comes in front of the map from below.", nets(first=False)),
            Cause("average", "Pool the largest of four, not their mean.", nets(pool="average")),
            Cause("ReLU up", "No ReLU right behind the transposed convolution.", nets(relu_up=True)),
            Cause(
                "ReLU at the end",
                "Nothing stands behind the last convolution: logits may be negative.",
                nets(relu_head=True),
            ),
            Cause(
                "nearest",
                "output_padding adds a row or a column; it does not stretch the map.",
                nets(fit="nearest"),
                ODD,
            ),
            Cause(
                "edge", "output_padding adds a row that nothing paints, so it is 0 here.", nets(fit="edge"), "any size"
            ),
            Cause(
                "before",
                "output_padding adds at the bottom and on the right.",
                nets(fit="before"),
                ODD,
            ),
            Cause(
                "only the logits",
                "You cut the skips, and make only the logits larger: give each level its size with output_padding.",
                nets(logits="enlarged"),
                ODD,
            ),
            Cause(
                "too small",
                "Odd rows and columns were dropped by the pool: output_padding brings them back.",
                nets(logits="cut"),
                ODD,
            ),
        ),
    ),
]
