"""The questions of exercise 07, SimpleCNN."""

import numpy as np

from cnnlib.grading.question import Case, Cause, Question

LIBRARY = ("cnnlib.models", "cnnlib.recipes", "cnnlib.train", "torchvision")
USUAL = ("none", "the one before", "exchanged axes", "the mean")  # changing the first image is enough for these
HIDDEN = ("none", "all after it", "the last", "one pair", "the mean")


def draw_predictions(rng):
    """The words and the number of 07.1; nothing is drawn. Provided."""
    return [Case("rows", call="tuple(rows)"), Case("slope", call="slope")]


def but(place, word):
    """A cause's function for 07.1: all words right but one. Provided."""
    return lambda want, **_: (*want[:place], word, *want[place + 1 :])


def draw_images(rng):
    """Weights and images: H, W and K, L differ, and pooling drops a row or a column of the odd maps. Provided."""
    sizes = [
        ("even maps", 5, (1, 9, 12), (3, 2, 3), 4),
        ("even maps", 3, (2, 8, 14), (4, 3, 5), 6),
        ("odd maps", 5, (2, 9, 11), (3, 3, 2), 4),
        ("odd maps", 4, (3, 10, 7), (2, 2, 3), 5),
        ("odd maps", 1, (1, 13, 8), (3, 2, 2), 7),
    ]
    cases = []
    for part, n, (C, H, W), (filters, K, L), classes in sizes:
        inputs = filters * ((H - K + 1) // 2) * ((W - L + 1) // 2)
        shapes = {"conv_w": (filters, C, K, L), "conv_b": filters, "fc_w": (classes, inputs), "fc_b": classes}
        arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        cases.append(Case(part, arrays | {"x": rng.standard_normal((n, C, H, W))}))
    return cases


def small(conv_w, conv_b, fc_w, fc_b, x, *, relu=True, pool="max", flatten="images"):
    """The logits of 07.2 with some slips built in. Provided."""
    windows = np.lib.stride_tricks.sliding_window_view(x, conv_w.shape[2:], (2, 3))  # (N, C, H', W', K, L)
    maps = np.einsum("nchwkl,fckl->nfhw", windows, conv_w) + conv_b[:, None, None]
    maps = np.maximum(maps, 0) if relu else maps
    N, filters, H, W = maps.shape
    blocks = maps[:, :, : H // 2 * 2, : W // 2 * 2].reshape(N, filters, H // 2, 2, W // 2, 2)
    maps = blocks.max((3, 5)) if pool == "max" else blocks.mean((3, 5))
    if flatten == "stirred":
        flat = maps.reshape(-1, N).T
    elif flatten == "channels last":
        flat = maps.transpose(0, 2, 3, 1).reshape(N, -1)
    else:
        flat = (maps.swapaxes(0, 1) if flatten == "exchanged" else maps).reshape(N, -1)
    return flat @ fc_w.T + fc_b


def slip(**slips):
    """A cause's function for `small` with these slips. Provided."""
    return lambda **inputs: small(**inputs, **slips)


def softmax(z):
    """Softmax over the last axis. Provided."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def losses(logits, y):
    """Cross-entropy of each example. Provided."""
    return -np.log(softmax(logits)[np.arange(len(y)), y])


def draw_batches(rng):
    """Batches of unequal sizes for a network that is in evaluation mode; then equal ones in both modes. Provided."""
    cases = []
    for part, sizes, training in (
        ("averages", (4, 4, 4), False),  # as many examples as classes: an argmax over the wrong axis fits
        ("averages", (8, 8, 5), False),
        ("averages", (11, 2), False),
        ("modes", (8, 8), True),
        ("modes", (8, 8), False),
    ):
        n, mean, var = sum(sizes), rng.standard_normal(6), rng.uniform(0.5, 2, 6)
        w, x = rng.standard_normal((4, 6)), 2 * rng.standard_normal((n, 6)) + 1
        z = ((x - mean) / np.sqrt(var + 1e-5)) @ w.T
        share = 1 if sizes[0] == 4 else 0.7  # so many right answers that the wrong axis never gives as many
        y = np.where(rng.random(n) < share, z.argmax(1), rng.integers(0, 4, n))
        y[0], y[-2:] = z[0].argmax(), z[-2:].argmin(1)  # the short last batch is unlike the others
        arrays = {"w": w, "mean": mean, "var": var, "x": x, "y": y}
        cases.append(Case(part, arrays | {"sizes": sizes, "training": training}))
    return cases


def evaluated(
    w, mean, var, x, y, sizes, training, *, batch_statistics=False, twice=False, columns=False, drop=False, full=False
):
    """The losses and hits of each batch of 07.3, with some slips built in. Provided."""
    found = []
    ends = np.cumsum(sizes)[:-1]
    for a, b in list(zip(np.split(x, ends), np.split(y, ends), strict=True))[: -1 if drop else None]:
        m, v = (a.mean(0), a.var(0)) if batch_statistics else (mean, var)
        z = ((a - m) / np.sqrt(v + 1e-5)) @ w.T
        weight = sizes[0] / len(a) if full else 1  # every batch counted as if it were as long as the first
        found.append((weight * losses(softmax(z) if twice else z, b), weight * (z.argmax(0 if columns else 1) == b)))
    return found


def told(found, mean, training, *, of_means=False):
    """A result of `measured` from the losses and hits of each batch. Provided."""
    together = np.mean if of_means else np.concatenate
    loss, hits = (together([part.mean() if of_means else part for part in v]) for v in zip(*found, strict=True))
    state = {"training mode afterwards": training, "remembered mean": mean}
    return {"loss": float(np.mean(loss)), "accuracy": float(np.mean(hits))} | state


def mistaken(*, of_means=False, **slips):
    """A cause's function for 07.3 with these slips. Provided."""
    return lambda mean, training, **rest: told(
        evaluated(mean=mean, training=training, **rest, **slips), mean, training, of_means=of_means
    )


def moving(mean, training, x, sizes, **rest):
    """07.3 in training mode, where the remembered mean moves with each batch. Provided."""
    moved = mean
    for part in np.split(x, np.cumsum(sizes)[:-1]):
        moved = 0.9 * moved + 0.1 * part.mean(0)
    found = evaluated(mean=mean, training=training, x=x, sizes=sizes, **rest, batch_statistics=True)
    return told(found, moved, training)


def draw_suspects(rng):
    """A batch for networks that changing its first image gives away; others, a blank image and a weak one. Provided."""
    cases = []
    for part, kinds, strength, blank in (
        ("first image", USUAL, 0.7, None),
        ("first image", USUAL, 0.4, None),
        ("any image", HIDDEN, 0.5, None),
        ("any image", HIDDEN, 0.5, 5),
        ("any image", HIDDEN, 1e-4, None),
    ):
        x, w = rng.standard_normal((6, 5)), rng.standard_normal((4, 5))
        if blank is not None:
            x[blank] = 0
        order = rng.permutation(len(kinds))
        inputs = {"kinds": tuple(kinds[k] for k in order), "w": w, "x": x, "strength": strength}
        cases.append(Case(part, inputs))
    return cases


def verdicts(rule):
    """What 07.4 gives if `stirs` goes by this rule of kind, strength and x. Provided."""
    return lambda kinds, strength, x, **_: {kind: bool(rule(kind, strength, x)) for kind in kinds}


def first_only(kind, strength, x):
    """What changing the first image finds. Provided."""
    return kind not in ("none", "all after it", "the last", "one pair")


def both_ends(kind, strength, x):
    """What changing the first and the last image finds, or looking at their logits alone. Provided."""
    return kind not in ("none", "one pair")


def no_blank(kind, strength, x):
    """What turning the sign of each image finds. Provided."""
    return kind != "none" and not (kind == "the last" and not x[-1].any())


def draw_steps(rng):
    """A dense layer, and one batch; then several, the last one shorter. Provided."""
    cases = []
    for part, n, batch_size in (("one step", 6, 6), ("one step", 9, 9), ("many steps", 32, 8), ("many steps", 21, 6)):
        w, x = rng.standard_normal((3, 5)), rng.standard_normal((n, 5))
        arrays = {"w": w, "x": x, "y": rng.integers(0, 3, n)}
        cases.append(Case(part, arrays | {"lr": float(rng.uniform(0.3, 0.6)), "batch_size": batch_size}))
    return cases


def descend(w, x, y, lr, batch_size, *, keep=0.0, factor=None, twice=False, after=False, move=True, training=True):
    """The steps of 07.5 with some slips built in; keep: share of the old gradient that stays. Provided."""
    w, g, seen = w.copy(), np.zeros_like(w), []
    for k in range(0, len(x), batch_size):
        a, b = x[k : k + batch_size], y[k : k + batch_size]
        p, truth = softmax(a @ w.T), np.eye(len(w))[b]
        dz = softmax(p) - truth if twice else p - truth
        dz = p * (dz - (dz * p).sum(1, keepdims=True)) if twice else dz
        size = 1 if factor is None else factor(len(a))
        g = keep * g + size * dz.T @ a / len(a)
        before = losses(p if twice else a @ w.T, b).mean() * size
        w = w - lr * g if move else w
        seen.append(losses(a @ w.T, b).mean() if after else before)
    return {"losses": np.array(seen), "weights": w, "training mode in use": training}


def stepped(**slips):
    """A cause's function for `descend` with these slips. Provided."""
    return lambda **inputs: descend(**inputs, **slips)


QUESTIONS = [
    Question(
        id="07.1",
        kind="predict",
        call="slope",
        parts={"rows": 1, "slope": 1},
        draw=draw_predictions,
        causes=(
            Cause(
                "A possible", "A: a filter looks at all three channels of a color image.", but(0, "possible"), "rows"
            ),
            Cause("A dense", "A: the dense layer fits the row above it.", but(0, "dense"), "rows"),
            Cause("B possible", "B: how many maps does flatten keep?", but(1, "possible"), "rows"),
            Cause("B conv", "B: which kernel leaves 18 of 20 rows and 26 of 30 columns?", but(1, "conv"), "rows"),
            Cause("B dense", "B: the dense layer fits the row above it, and that row?", but(1, "dense"), "rows"),
            Cause("C conv", "C: which kernel leaves 17 of 20 rows and 27 of 30 columns?", but(2, "conv"), "rows"),
            Cause("C pool", "C: 2x2 pooling drops an odd row and an odd column.", but(2, "pool"), "rows"),
            Cause("D possible", "D: 2x2 pooling drops an odd row and an odd column.", but(3, "possible"), "rows"),
            Cause("D conv", "D: which kernel leaves 15 of 20 rows and 27 of 30 columns?", but(3, "conv"), "rows"),
            Cause("D dense", "D: the dense layer fits the row above it.", but(3, "dense"), "rows"),
            Cause("E possible", "E: a filter has a bias, too.", but(4, "possible"), "rows"),
            Cause("E dense", "E: a dense output has a bias, and here it is counted.", but(4, "dense"), "rows"),
            Cause("never cleared", "The gradient was cleared after two calls. Only later ones count.", 60, "slope"),
            Cause("assigned", "That is the slope of one call. `backward` adds, it does not replace.", 12, "slope"),
            Cause("before clearing", "That was there before the clearing.", 24, "slope"),
            Cause("without w", "The slope depends on `w`, and `w` is 2.", 18, "slope"),
        ),
    ),
    Question(
        id="07.2",
        kind="complete",
        call="logits_of(SmallCNN, conv_w, conv_b, fc_w, fc_b, x)",
        parts={"even maps": 1, "odd maps": 1},
        draw=draw_images,
        rtol=1e-8,
        atol=1e-8,
        causes=(
            Cause("no ReLU", "The ReLU after the convolution is missing.", slip(relu=False)),
            Cause(
                "ReLU on the logits",
                "Your logits are never negative: a ReLU stands after the dense layer. Logits must be able to say no.",
                lambda want, **_: np.maximum(want, 0),
            ),
            Cause(
                "softmax",
                "You return probabilities. The network returns logits, softmax belongs to the loss.",
                lambda want, **_: softmax(want),
            ),
            Cause(
                "log softmax",
                "You return logarithms of probabilities. The network returns logits, the loss does the rest.",
                lambda want, **_: np.log(softmax(want)),
            ),
            Cause("average", "Average pooling? Here the largest of each block is kept.", slip(pool="mean")),
            Cause(
                "stirred by view",
                "The images of the batch are stirred: each row holds numbers of all images. Flatten from axis 1 on.",
                slip(flatten="stirred"),
            ),
            Cause(
                "stirred by exchange",
                "The images of the batch are stirred: axes were exchanged before flattening. Flatten from axis 1 on.",
                slip(flatten="exchanged"),
            ),
            Cause(
                "channels last",
                "Each image is flattened channels last. PyTorch keeps each map together, channels first.",
                slip(flatten="channels last"),
            ),
        ),
        forbid=LIBRARY,
    ),
    Question(
        id="07.3",
        kind="complete",
        call="measured(evaluate, w, mean, var, x, y, sizes, training)",
        parts={"averages": 1, "modes": 1},
        draw=draw_batches,
        rtol=1e-6,
        atol=1e-8,
        causes=(
            Cause(
                "mean of means",
                "You average the batches, so an example of a short batch counts more than one of a long batch.",
                mistaken(of_means=True),
            ),
            Cause(
                "axis",
                "The largest of each *column*? Ask each example for its best class: a maximum along axis 1.",
                mistaken(columns=True),
            ),
            Cause(
                "all as long as the first",
                "The last batch weighs too much: multiply its mean by its own length, not by that of a full one.",
                mistaken(full=True),
            ),
            Cause("last dropped", "The last batch is never seen.", mistaken(drop=True)),
            Cause("softmax twice", "The loss gets probabilities. It wants logits.", mistaken(twice=True)),
            Cause(
                "training mode",
                "The network is measured in training mode: it takes mean and spread of the batch, and remembers them.",
                moving,
            ),
            Cause(
                "not put back",
                "The network came in training mode and leaves in evaluation mode: put it back.",
                lambda want, **_: {**want, "training mode afterwards": False},
            ),
            Cause(
                "left training",
                "The network came in evaluation mode and leaves in training mode: put back what was there.",
                lambda want, **_: {**want, "training mode afterwards": True},
            ),
            Cause(
                "percent",
                "The accuracy is meant to run from 0 to 1.",
                lambda want, **_: {**want, "accuracy": 100 * want["accuracy"]},
            ),
            Cause(
                "sum",
                "The loss is a sum. Divide it by the number of examples.",
                lambda want, x, **_: {**want, "loss": want["loss"] * len(x)},
            ),
        ),
        forbid=LIBRARY,
    ),
    Question(
        id="07.4",
        kind="explore",
        call="{kind: bool(stirs(Suspect(kind, w, strength), torch.as_tensor(x))) for kind in kinds}",
        parts={"first image": 1, "any image": 1},
        draw=draw_suspects,
        causes=(
            Cause(
                "too coarse",
                "A network that stirs weakly slips through: your tolerance is too wide.",
                verdicts(lambda kind, strength, x: kind != "none" and strength > 1e-3),
            ),
            Cause("all sound", "You call every network sound.", verdicts(lambda kind, strength, x: False)),
            Cause("all stirred", "You call every network stirred, the sound one too.", verdicts(lambda *_: True)),
            Cause(
                "first image only",
                "You change the first image only. In some networks nobody looks at that one.",
                verdicts(first_only),
            ),
            Cause(
                "both ends only",
                "In one of these networks an image in the middle sees its neighbor, and nothing else happens. "
                "Change every image, and look at all the others.",
                verdicts(both_ends),
            ),
            Cause(
                "blank image",
                "One image of the batch is blank. Does your change change it?",
                verdicts(no_blank),
            ),
        ),
        forbid=(*LIBRARY, "Suspect.kind", "Suspect.strength"),
    ),
    Question(
        id="07.5",
        kind="complete",
        call="steps_of(train_step, w, x, y, lr, batch_size)",
        parts={"one step": 1, "many steps": 1},
        draw=draw_steps,
        causes=(
            Cause(
                "not cleared",
                "From the second step on the old gradients are still there, and `backward` adds to them.",
                stepped(keep=1.0),
            ),
            Cause(
                "nothing moves",
                "The weights have not moved. Is there a step, and are the gradients still there when it comes?",
                stepped(move=False),
            ),
            Cause(
                "softmax twice",
                "The loss gets probabilities. It wants logits: softmax is inside it.",
                stepped(twice=True),
            ),
            Cause(
                "sum",
                "The loss is the sum over the batch. It should be the mean, else a longer batch takes a longer step.",
                stepped(factor=lambda n: n),
            ),
            Cause(
                "measured after",
                "The weights are right, but the loss was measured after the step.",
                stepped(after=True),
            ),
            Cause(
                "evaluation mode",
                "The network came in evaluation mode, and was used in it. A step is taken in training mode.",
                stepped(training=False),
            ),
        ),
        forbid=LIBRARY,
    ),
]
