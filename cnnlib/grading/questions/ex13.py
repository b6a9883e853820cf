"""The questions of exercise 13, ResNet-18 on CIFAR-10."""

import numpy as np

from cnnlib.grading.question import Case, Cause, Question

LIBRARY = (
    *("cnnlib.models", "cnnlib.recipes", "cnnlib.train", "cnnlib.data", "cnnlib.augment"),
    *("torchvision", "cnnlib.torchvision"),
)


def draw_predictions(rng):
    """The numbers of 13.1; nothing is drawn. Provided."""
    return [Case("ledger", call="strides"), Case("ledger", call="projections")]


def draw_verdicts(rng):
    """The six words of 13.5, three by three; nothing is drawn. Provided."""
    return [Case("A to C", call="tuple(verdicts)[:3]"), Case("D to F", call="tuple(verdicts)[3:]")]


def norm_of(rng, filters):
    """Scale, shift, mean and variance of each map, none of them neutral. Provided."""
    return np.stack([rng.uniform(0.5, 2, filters), *rng.standard_normal((2, filters)), rng.uniform(0.3, 3, filters)])


def draw_blocks(rng):
    """Blocks of both kinds on odd, unequal sizes; inputs of both signs. Provided."""
    sizes = [
        ("identity", (3, 4, 7, 10), 4, 1),
        ("identity", (2, 5, 6, 3), 5, 1),
        ("projection", (3, 3, 7, 10), 5, 2),
        ("projection", (2, 4, 9, 5), 4, 2),
        ("projection", (2, 3, 5, 8), 4, 1),
        ("projection", (2, 2, 10, 13), 3, 3),
    ]
    cases = []
    for part, shape, filters, stride in sizes:
        channels = shape[1]
        p = {
            "conv1": rng.standard_normal((filters, channels, 3, 3)) / 3,
            "norm1": norm_of(rng, filters),
            "conv2": rng.standard_normal((filters, filters, 3, 3)) / 3,
            "norm2": norm_of(rng, filters),
        }
        if part == "projection":
            p |= {"projection": rng.standard_normal((filters, channels, 1, 1)), "norm_p": norm_of(rng, filters)}
        cases.append(Case(part, {"x": rng.standard_normal(shape), "p": p, "stride": stride}))
    return cases


def draw_plans(rng):
    """Networks that double the channels stage by stage; then all sorts. Provided."""
    counts = rng.integers(1, 5, (6, 4)).tolist()
    stem = 8 * int(rng.integers(1, 9))
    usual = [(64, (64, 128, 256, 512), (2, 2, 2, 2)), (16, (16, 32, 64), tuple(counts[0][:3]))]
    usual += [(stem, (stem, 2 * stem, 4 * stem, 8 * stem), tuple(counts[1]))]
    other = [(stem, (2 * stem, 4 * stem), tuple(counts[2][:2])), (16, (16, 16, 32), (2, 3, 2))]
    other += [(24, (16, 16, 16, 40), tuple(counts[3])), (8, (12,), (3,)), (stem, (stem, stem), (1, 1))]
    return [
        Case(part, {"stem": first, "widths": widths, "blocks": blocks})
        for part, plans in (("doubling", usual), ("any", other))
        for first, widths, blocks in plans
    ]


def draw_batches(rng):
    """Batches with a place for each image; first none is mirrored, then some are. Provided."""
    cases = []
    for part, shape, padding in (
        ("moved", (5, 2, 6, 9), 2),
        ("moved", (4, 3, 8, 5), 3),
        ("moved and mirrored", (6, 3, 7, 10), 3),
        ("moved and mirrored", (5, 1, 9, 6), 4),
    ):
        n = shape[0]
        top, left = (rng.permutation(2 * padding + 1)[:n] for _ in range(2))  # no two images alike
        mirror = rng.permutation(np.arange(n) % 2 == 0) & (part != "moved")
        inputs = {"x": rng.standard_normal(shape), "top": top, "left": left, "mirror": mirror, "padding": padding}
        cases.append(Case(part, inputs))
    return cases


def conv(x, w, stride, padding):
    """Convolution, without bias. Provided."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwkl,fckl->nfhw", windows, w)


def norm(x, n, *, own=False, root=True, eps=1e-5):
    """Batch normalization with given means and variances, or with those of the batch. Provided."""
    scale, shift, mean, variance = (v[:, None, None] for v in n)
    if own:
        mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    spread = np.sqrt(variance + eps) if root else variance + eps
    return scale * (x - mean) / spread + shift


def relu(x):
    """The larger of x and 0. Provided."""
    return np.maximum(x, 0)


def thin(x, stride, shape):
    """Every stride-th pixel, and channels of zeros at the end. Provided."""
    x = x[:, :, ::stride, ::stride]
    return np.pad(x, ((0, 0), (0, max(0, shape[1] - x.shape[1])), (0, 0), (0, 0)))


def block(x, p, stride, *, late=False, inner=True, join="sum, relu", road="usual", **norms):
    """A BasicBlock with the usual slips built in. Provided."""
    first, second = (1, stride) if late else (stride, 1)
    middle = norm(conv(x, p["conv1"], first, 1), p["norm1"], **norms)
    middle = relu(middle) if inner else middle
    out = norm(conv(middle, p["conv2"], second, 1), p["norm2"], **norms)
    if road == "middle":
        x = middle
    elif road == "thin":
        x = thin(x, stride, out.shape)
    elif "projection" in p and road == "corner":  # the projection without the stride, its upper left part
        x = norm(conv(x, p["projection"], 1, 0), p["norm_p"], **norms)[:, :, : out.shape[2], : out.shape[3]]
    elif "projection" in p:
        x = conv(x, p["projection"], stride, 0)
        x = x if road == "bare" else norm(x, p["norm_p"], **norms)
        x = relu(x) if road == "relu" else x
    return {
        "sum, relu": lambda: relu(out + x),
        "sum": lambda: out + x,
        "relu, sum": lambda: relu(out) + x,
        "relu, sum, relu": lambda: relu(relu(out) + x),
        "no sum": lambda: relu(out),
        "product": lambda: relu(out * x),
    }[join]()


def slips(**options):
    """A cause's function for `block` with these slips. Provided."""
    return lambda x, p, stride, **_: block(x, p, stride, **options)


def planned(stem, widths, blocks, *, stride=None, projection=None, follow=True):
    """The plan of a ResNet, with other rules for strides or projections. Provided."""
    stride = stride or (lambda stage, k, count: 2 if stage and not k else 1)
    projection = projection or (lambda c, f, s, stage, k: s != 1 or c != f)
    rows, channels = [], stem
    for stage, (filters, count) in enumerate(zip(widths, blocks, strict=True)):
        before = channels
        for k in range(count):
            s = stride(stage, k, count)
            c = channels if follow else before
            rows.append((c, filters, s, projection(c, filters, s, stage, k)))
            channels = filters
    return np.array(rows, dtype=np.int64)


def rules(**options):
    """A cause's function for `planned` with other rules. Provided."""
    return lambda stem, widths, blocks, **_: planned(stem, widths, blocks, **options)


def moved(x, top, left, mirror, padding, *, mode="reflect", axis=2, first=False):
    """Crop and mirror, with the usual slips built in. Provided."""
    H, W = x.shape[2:]
    if first:
        x = np.where(mirror[:, None, None, None], x[:, :, :, ::-1], x)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=mode)
    windows = [v[:, i : i + H, j : j + W] for v, i, j in zip(padded, top, left, strict=True)]
    return np.stack([np.flip(v, axis) if m and not first else v for v, m in zip(windows, mirror, strict=True)])


def batches(change=None, **options):
    """A cause's function for `moved`, its places changed first. Provided."""

    def wrong(x, top, left, mirror, padding, **_):
        if change:
            top, left, mirror = change(top, left, mirror, padding)
        return moved(x, top, left, mirror, padding, **options)

    return wrong


def but(place, word):
    """A cause's function: all words right but one. Provided."""
    return lambda want, **_: (*want[:place], word, *want[place + 1 :])


QUESTIONS = [
    Question(
        id="13.1",
        kind="predict",
        call="strides",
        parts={"ledger": 1},
        draw=draw_predictions,
        causes=(
            Cause(
                "by channels",
                "Block 2: MACs over parameters say how many pixels its map has. Is that fewer than in block 1?",
                (1, 2, 1, 1, 2),
            ),
            Cause(
                "wherever there is a projection",
                "Block 2: MACs over parameters say how many pixels its map has. Is that fewer than in block 1?",
                (1, 2, 2, 1, 2),
            ),
            Cause("a block late", "Block 4 has as many pixels as block 3: who halved them?", (1, 1, 1, 2, 2)),
            Cause("kept too long", "Block 4 has as many pixels as block 3: is it halved again?", (1, 1, 2, 2, 2)),
            Cause("block 3 missed", "Block 3: its MACs fell to a third, though it has more weights.", (1, 1, 1, 1, 2)),
            Cause("block 5 missed", "Block 5: three times the weights, and fewer MACs.", (1, 1, 2, 1, 1)),
            Cause("pixels along an axis", "A stride of 2 halves both axes: a quarter of the pixels.", (1, 1, 4, 1, 4)),
            Cause("by channels", "Block 3 has 1,088 parameters more than block 4: what are they?", (2, 5)),
            Cause("by stride", "Block 2: its channels change, so the input cannot be added.", (3, 5)),
            Cause("block 5 alone", "Blocks 2 and 3: which numbers are left over from the two convolutions?", (5,)),
            Cause("block 3 alone", "Blocks 2 and 5: their channels change.", (3,)),
            Cause(
                "one too many", "Block 4: two convolutions and two normalizations, and nothing is left.", (2, 3, 4, 5)
            ),
            Cause(
                "all", "Blocks 1 and 4: two convolutions and two normalizations, and nothing is left.", (1, 2, 3, 4, 5)
            ),
        ),
    ),
    Question(
        id="13.2",
        kind="complete",
        call="block_forward(torch.from_numpy(x), {k: torch.from_numpy(v) for k, v in p.items()}, stride)",
        parts={"identity": 1, "projection": 2},
        draw=draw_blocks,
        forbid=LIBRARY,
        causes=(
            Cause("no skip", "The shortcut is missing: nothing is added.", slips(join="no sum")),
            Cause(
                "ReLU first",
                "The ReLU comes after the sum, so that a correction can be negative.",
                slips(join="relu, sum"),
            ),
            Cause(
                "ReLU twice",
                "No ReLU on the second road before the sum: a correction can be negative.",
                slips(join="relu, sum, relu"),
            ),
            Cause("no last ReLU", "A ReLU is missing after the sum.", slips(join="sum")),
            Cause("no inner ReLU", "A ReLU is missing between the two convolutions.", slips(inner=False)),
            Cause("product", "The two roads are added, not multiplied.", slips(join="product")),
            Cause(
                "batch statistics",
                "You normalize by the batch, as in training. Use the given means and variances.",
                slips(own=True),
            ),
            Cause(
                "late stride",
                "The stride belongs to the first convolution, not to the second.",
                slips(late=True),
                "projection",
            ),
            Cause(
                "middle",
                "The shortcut starts at the block's input, not between the convolutions.",
                slips(road="middle"),
            ),
            Cause("thin", "Where a projection is given, it belongs on the shortcut.", slips(road="thin"), "projection"),
            Cause(
                "corner",
                "The projection has the stride, too: yours is the upper left part of a map without it.",
                slips(road="corner"),
                "projection",
            ),
            Cause("bare", "The projection has a normalization of its own.", slips(road="bare"), "projection"),
            Cause("ReLU on the road", "No ReLU on the shortcut.", slips(road="relu"), "projection"),
            Cause("variance", "Divide by the root of the variance.", slips(root=False)),
            Cause("no eps", "Add 1e-5 to the variance.", slips(eps=0)),
            Cause(
                "scale and shift swapped",
                "The rows are scale, shift, mean, variance, in this order.",
                lambda x, p, stride, **_: block(
                    x, {k: v[[1, 0, 2, 3]] if k.startswith("norm") else v for k, v in p.items()}, stride
                ),
            ),
        ),
    ),
    Question(
        id="13.3",
        kind="complete",
        call="torch.tensor([[int(v) for v in row] for row in plan(stem, widths, blocks)])",
        parts={"doubling": 1, "any": 1},
        draw=draw_plans,
        forbid=LIBRARY,
        causes=(
            Cause(
                "first stage too",
                "The first stage keeps the size of the map: no stride of 2 there.",
                rules(stride=lambda stage, k, count: 1 if k else 2),
            ),
            Cause(
                "every block",
                "Only the first block of a stage has stride 2.",
                rules(stride=lambda stage, k, count: 2 if stage else 1),
            ),
            Cause(
                "last block",
                "The first block of a stage has the stride, not the last.",
                rules(stride=lambda stage, k, count: 2 if stage and k == count - 1 else 1),
            ),
            Cause("no stride", "Nothing halves the map.", rules(stride=lambda stage, k, count: 1)),
            Cause(
                "projection everywhere",
                "Where the shape stays, the shortcut is the input itself.",
                rules(projection=lambda c, f, s, stage, k: True),
            ),
            Cause(
                "projection nowhere",
                "Where the shape changes, the input cannot be added.",
                rules(projection=lambda c, f, s, stage, k: False),
            ),
            Cause(
                "projection in each first block",
                "The first block of the first stage keeps its shape where the stem has as many maps.",
                rules(projection=lambda c, f, s, stage, k: k == 0),
            ),
            Cause(
                "projection by channels",
                "A block that halves the map needs a projection, too, if its channels stay.",
                rules(projection=lambda c, f, s, stage, k: c != f),
            ),
            Cause(
                "projection by stride",
                "A block that changes the channels needs a projection, too, if its stride is 1.",
                rules(projection=lambda c, f, s, stage, k: s != 1),
            ),
            Cause(
                "channels stay behind",
                "What one block returns the next one reads: follow the channels within a stage.",
                rules(follow=False),
            ),
        ),
    ),
    Question(
        id="13.4",
        kind="complete",
        call="move_and_mirror(*(torch.from_numpy(v) for v in (x, top, left, mirror)), padding)",
        parts={"moved": 1, "moved and mirrored": 1},
        draw=draw_batches,
        forbid=LIBRARY,
        causes=(
            Cause("zeros", "What comes in at the border is a reflection, not zeros.", batches(mode="constant")),
            Cause("edge", "You repeat the border pixel; a reflection shows those behind it.", batches(mode="edge")),
            Cause(
                "border pixel twice",
                "The reflection leaves out the border pixel itself: it comes only once.",
                batches(mode="symmetric"),
            ),
            Cause("wrapped", "What leaves on one side comes in on the other: reflect instead.", batches(mode="wrap")),
            Cause(
                "one place for all",
                "All images are moved alike: each has its own place.",
                batches(lambda t, l, m, p: (np.full_like(t, t[0]), np.full_like(l, l[0]), m)),
            ),
            Cause("top for left", "`top` counts rows, `left` columns.", batches(lambda t, l, m, p: (l, t, m))),
            Cause(
                "other way",
                "You move the other way: `top` and `left` say where the window begins.",
                batches(lambda t, l, m, p: (2 * p - t, 2 * p - l, m)),
            ),
            Cause("not moved", "Nothing was moved.", batches(lambda t, l, m, p: (0 * t + p, 0 * l + p, m))),
            Cause("upside down", "You turn upside down: left and right is the last axis.", batches(axis=1)),
            Cause("mirrored first", "First the window, then the mirror.", batches(first=True)),
            Cause("all mirrored", "Every image is mirrored.", batches(lambda t, l, m, p: (t, l, m | True))),
            Cause("none mirrored", "No image is mirrored.", batches(lambda t, l, m, p: (t, l, m & False))),
            Cause("others mirrored", "You mirror those that should stay.", batches(lambda t, l, m, p: (t, l, ~m))),
        ),
    ),
    Question(
        id="13.5",
        kind="predict",
        call="tuple(verdicts)",
        parts={"A to C": 1, "D to F": 1},
        draw=draw_verdicts,
        causes=(
            Cause("A sound", "A: how many decimals can a percentage of 10,000 images have?", but(0, "sound"), "A to C"),
            Cause("B sound", "B: who chose the epoch?", but(1, "sound"), "A to C"),
            Cause(
                "B impossible",
                "B: 9,547 of 10,000 can be right. What is wrong is something else.",
                but(1, "impossible"),
                "A to C",
            ),
            Cause("C selected", "C: the choice was made by other images than the test.", but(2, "selected"), "A to C"),
            Cause("D sound", "D: what is the least loss if the targets are 0.91 and 0.01?", but(0, "sound"), "D to F"),
            Cause("E sound", "E: who chose the learning rate?", but(1, "sound"), "D to F"),
            Cause("F impossible", "F: half precision is two bytes a number.", but(2, "impossible"), "D to F"),
        ),
    ),
]
