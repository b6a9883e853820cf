"""Typical wrong answers to exercise 14: each loses points on every draw, and is told why."""

from slips import changed

PAPER = {"random_share": "1 - (3 / 4) ** 4", "turn_share": "3 / 4", "one_way": "500", "epochs": "11"}
TURNS = """
def turns(first, joined, epoch):
    turn = (first + epoch - joined) % 4
    return np.where(joined <= epoch, turn, -1)
"""


def views(*, code=TURNS, **numbers):
    """An answer to 14.1."""
    return {"answer-14-1": "\n".join(f"{name} = {value}" for name, value in (PAPER | numbers).items()) + code}


def turns(old, new):
    """An answer to 14.1 whose function has a slip."""
    assert old in TURNS
    return views(code=TURNS.replace(old, new))


def whiten(*pairs):
    """An answer to 14.2."""
    return changed("answer-14-2", *pairs)


def orthogonal(*pairs):
    """An answer to 14.3."""
    return changed("answer-14-3", *pairs)


def shards(*pairs):
    """An answer to 14.4."""
    return changed("answer-14-4", *pairs)


def records(*pairs):
    """An answer to 14.5."""
    return changed("answer-14-5", *pairs)


TURN = "(first + epoch - joined) % 4"
ROOT = "(values + eps * values.max()).rsqrt()"
KERNELS = "(vectors * scale).T"
EIGH = "torch.linalg.eigh(off.T @ off / len(off))"
WHITEN_IN_CHAPTER = """def whiten(images, size, eps):
    K, L = size
    patches = images.unfold(2, K, 1).unfold(3, L, 1).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    w = (vectors / torch.sqrt(values + eps)).T.reshape(-1, images.shape[1], K, L)
    return torch.cat([w, -w]), torch.zeros(2 * len(w))
"""
NORM = "x / (x**2).sum(dim=(1, 2), keepdim=True).sqrt()"
NEAREST = "orthogonalize(x, (1.5, -0.5), 40)"
IN_CHAPTER = """def orthogonalize(update, coefficients, steps):
    x = update.flatten(1)
    x = x / (x.norm() + 1e-7)
    x = x.T if (tall := x.shape[0] > x.shape[1]) else x
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.T if tall else x).reshape(update.shape)


def nearest(x):
    return torch.stack([orthogonalize(one, None, 3) for one in x])
"""
BY_SVD = """

def nearest(x):
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    return u @ v
"""
SHARE = "sum(s * g for s, g in pairs if s > 0) / sum(sums)"
SUMS = "sums = [w.sum() for w in weights]"
SEEN = "np.stack(parts, axis=1).ravel()[: len(order)]"
PLACED = "losses[order] = seen"
RULES = "n < 5 or not n == len(seconds) == len(seeds) == len(set(seeds))"
TEST = "passes(accuracies, target) and passes(-seconds, -standing)"
PASSES = "bool((values.mean() - beyond) / error > T99[len(values) - 1])"
CRASHED = """    if not np.isfinite(accuracies).all():
        return False
"""
DROPPED = """    kept = np.isfinite(accuracies)
    accuracies, seconds = accuracies[kept], seconds[kept]
"""
SHOWN = "margin * math.sqrt(n) / spread > T99[n - 1]"

WRONG = [
    ("14.1", "two views for four", views(random_share="1 - (1 / 2) ** 4"), "It has four here"),
    ("14.1", "what is missed for what is seen", views(random_share="(3 / 4) ** 4"), "has not been seen"),
    ("14.1", "all seen after four epochs", views(random_share="1"), "Not all views"),
    ("14.1", "all four in one photo", views(random_share="24 / 256"), "a photo shows all four"),
    ("14.1", "random for in turn", views(turn_share="1 - (3 / 4) ** 3"), "random turns and three epochs"),
    ("14.1", "two views in turn", views(turn_share="1"), "Not all views"),
    ("14.1", "all plain only", views(one_way="4000 / 2 ** 4"), "mirrored way only"),
    ("14.1", "seen both ways", views(one_way="3500"), "in both ways"),
    ("14.1", "one way in three epochs", views(one_way="1000"), "three epochs"),
    ("14.1", "an epoch too few", views(epochs="10"), "5.6 %"),
    ("14.1", "epochs for mirroring", views(epochs="5"), "shrinks by a quarter"),
    ("14.1", "epochs in turn", views(epochs="4"), "In turn 4 epochs"),
    ("14.1", "chapter's flips", turns(TURN, "(first + epoch) % 2"), "rule for two views"),
    ("14.1", "mirror's period, own start", turns(TURN, "(first + epoch - joined) % 2"), "not two"),
    ("14.1", "counted from the first epoch of all", turns(TURN, "(first + epoch - 1) % 4"), "in which a photo joined"),
    ("14.1", "counted from the epoch's number", turns(TURN, "(first + epoch) % 4"), "in which a photo joined"),
    ("14.1", "a turn too early", turns(TURN, "(first + epoch - joined + 1) % 4"), "own first epoch"),
    ("14.1", "the other way round", turns(TURN, "(first - epoch + joined) % 4"), "other way round"),
    ("14.1", "no remainder", turns(TURN, "first + epoch - joined"), "Four quarter turns"),
    ("14.1", "absent photos turned", turns("np.where(joined <= epoch, turn, -1)", "turn"), "to be -1"),
    ("14.1", "absent in their first epoch", turns("joined <= epoch", "joined < epoch"), "epoch in which it joins"),
    ("14.1", "the same in every epoch", turns(TURN, "first % 4"), "same orientation"),
    (
        "14.1",
        "random in every epoch",
        turns(TURN, "np.random.default_rng(epoch).integers(0, 4, len(first))"),
        "not right",
    ),
    ("14.1", "absent photos left out", turns("np.where(joined <= epoch, turn, -1)", "turn[joined <= epoch]"), "got an"),
    ("14.2", "made for the chapter's network", {"answer-14-2": WHITEN_IN_CHAPTER}, "One sign of each"),
    ("14.2", "mean left in the covariance", whiten(("off = patches - mean", "off = patches")), "was not subtracted"),
    (
        "14.2",
        "one mean for all places",
        whiten(("off = patches - mean", "off = patches - patches.mean()")),
        "one mean was subtracted",
    ),
    ("14.2", "eps as it is", whiten(("eps * values.max()", "eps")), "share of the largest"),
    ("14.2", "eps times the smallest", whiten(("values.max()", "values[0]")), "smallest first"),
    ("14.2", "eps times the mean", whiten(("values.max()", "values.mean()")), "mean eigenvalue"),
    ("14.2", "no eps", whiten((" + eps * values.max()", "")), "eps is missing"),
    (
        "14.2",
        "eps behind the root",
        whiten((ROOT, "1 / (values.sqrt() + eps * values.max())")),
        "under the root",
    ),
    ("14.2", "no root", whiten((ROOT, "1 / (values + eps * values.max())")), "a root is missing"),
    ("14.2", "times for divided by", whiten((".rsqrt()", ".sqrt()")), "do not multiply"),
    ("14.2", "not scaled", whiten((KERNELS, "vectors.T")), "not scaled"),
    ("14.2", "sum for mean", whiten(("off.T @ off / len(off)", "off.T @ off")), "not a sum"),
    ("14.2", "rows for columns", whiten((KERNELS, "vectors * scale")), "along which axis you divide"),
    (
        "14.2",
        "rows for columns, rows scaled",
        whiten((KERNELS, "vectors * scale[:, None]")),
        "along which axis you divide",
    ),
    ("14.2", "turned back", whiten((KERNELS, "vectors * scale @ vectors.T")), "not a mixture"),
    (
        "14.2",
        "patches side by side",
        whiten(("F.unfold(images, size)", "F.unfold(images, size, stride=size)")),
        "overlap",
    ),
    ("14.2", "roots along the wrong axis", whiten((KERNELS, "vectors.T * scale")), "along which axis you divide"),
    (
        "14.2",
        "patches torn apart",
        whiten((".transpose(1, 2).flatten(0, 1)", ".reshape(-1, images.shape[1] * size[0] * size[1])")),
        "torn apart",
    ),
    (
        "14.2",
        "rows and columns of patches swapped",
        whiten(("F.unfold(images, size)", "F.unfold(images, size[::-1])")),
        "Rows come first",
    ),
    (
        "14.2",
        "kernels with channels last",
        whiten(("w.reshape(len(w), images.shape[1], *size)", "w.reshape(len(w), *size, images.shape[1])")),
        "got kernels of shape",
    ),
    (
        "14.2",
        "variance of each place alone",
        whiten((EIGH, "off.var(dim=0), torch.eye(off.shape[1]).double()")),
        "want",
    ),
    ("14.2", "kernels alone", whiten(("*size), b", "*size)")), "return w, b"),
    ("14.2", "no bias", whiten(("b = -w @ mean", "b = torch.zeros(len(w))")), "0 throughout"),
    ("14.2", "bias with the other sign", whiten(("b = -w @ mean", "b = w @ mean")), "sign is turned"),
    ("14.2", "the mean itself", whiten(("b = -w @ mean", "b = -mean")), "through the kernels first"),
    ("14.2", "one mean for the bias", whiten(("b = -w @ mean", "b = -w.sum(dim=1) * mean.mean()")), "each of the"),
    ("14.2", "one bias", whiten(("b = -w @ mean", "b = -(w @ mean).mean()")), "a number for each kernel"),
    ("14.3", "the chapter's function, pasted", {"answer-14-3": IN_CHAPTER}, "taken for the rows"),
    ("14.3", "one norm for the batch", orthogonal((NORM, "x / x.norm()")), "yours is the batch's"),
    ("14.3", "no norm", orthogonal((NORM, "1 * x")), "not divided by their norms"),
    ("14.3", "a norm for each row", orthogonal(("dim=(1, 2)", "dim=2")), "not one for each row"),
    ("14.3", "a norm for each column", orthogonal(("dim=(1, 2)", "dim=1")), "not one a column"),
    ("14.3", "divided by the largest entry", orthogonal((NORM, "x / x.abs().amax((1, 2), True)")), "sum of squares"),
    ("14.3", "sum of squares for its root", orthogonal((".sqrt()", "")), "got"),
    ("14.3", "powers of entries", orthogonal(("power = gram @ power", "power = power * x**2")), "Entries were raised"),
    ("14.3", "coefficients back to front", orthogonal(("in coefficients:", "in coefficients[::-1]:")), "belongs to x"),
    ("14.3", "a step too many", orthogonal(("range(steps)", "range(steps + 1)")), "One step too many"),
    ("14.3", "a step too few", orthogonal(("range(steps)", "range(1, steps)")), "One step is missing"),
    (
        "14.3",
        "chapter's coefficients",
        orthogonal(("in coefficients:", "in (3.4445, -4.7750, 2.0315):")),
        "not the given",
    ),
    ("14.3", "three coefficients", orthogonal(("in coefficients:", "in coefficients[:3]:")), "more than three"),
    ("14.3", "two coefficients", orthogonal(("in coefficients:", "in coefficients[:2]:")), "more than two"),
    ("14.3", "every second power", orthogonal(("gram = x @ x.mT", "gram = x @ x.mT @ x @ x.mT")), "not four"),
    (
        "14.3",
        "norm in each step",
        orthogonal(("        x = total", "        x = total / (total**2).sum(dim=(1, 2), keepdim=True).sqrt()")),
        "before the first step",
    ),
    ("14.3", "transpose not undone", orthogonal(("    return x\n", "    return x.mT\n")), "got shape"),
    ("14.3", "nearest in three steps", orthogonal((NEAREST, "orthogonalize(x, (1.5, -0.5), 3)")), "more steps"),
    ("14.3", "nearest in ten steps", orthogonal((NEAREST, "orthogonalize(x, (1.5, -0.5), 10)")), "more steps"),
    (
        "14.3",
        "nearest with the chapter's coefficients",
        orthogonal((NEAREST, "orthogonalize(x, (3.4445, -4.7750, 2.0315), 40)")),
        "do not settle",
    ),
    ("14.3", "nearest by torch.linalg", orthogonal((f"    return {NEAREST}", BY_SVD)), "`torch.linalg`"),
    ("14.4", "nan takes part", shards((" if s > 0", "")), "0 * nan is nan"),
    ("14.4", "mean of all processes", shards((SHARE, "sum(gradients) / len(gradients)")), "0 * nan is nan"),
    (
        "14.4",
        "mean of processes with weights",
        shards((SUMS, "sums = [float(w.sum() > 0) for w in weights]")),
        "small shard",
    ),
    ("14.4", "nan to 0, then the mean", shards((SHARE, "np.nan_to_num(gradients).mean(axis=0)")), "no mean over all"),
    (
        "14.4",
        "examples counted",
        shards((SUMS, "sums = [len(w) * (w.sum() > 0) for w in weights]")),
        "sum their weights",
    ),
    ("14.4", "mean weights", shards((SUMS, "sums = [w.sum() / max(1, len(w)) for w in weights]")), "A mean weight"),
    ("14.4", "squared weights", shards((SUMS, "sums = [(w**2).sum() for w in weights]")), "not squared"),
    (
        "14.4",
        "divided by the number of examples",
        shards(("/ sum(sums)", "/ sum(map(len, weights))")),
        "sum of all weights",
    ),
    ("14.4", "divided by the processes", shards(("/ sum(sums)", "/ len(sums)")), "sum of all weights"),
    ("14.4", "not divided", shards((" / sum(sums)", "")), "has to be divided"),
    ("14.4", "losses block by block", shards((SEEN, "np.concatenate(parts)[: len(order)]")), "take turns"),
    (
        "14.4",
        "block by block and in the epoch's order",
        shards((SEEN, "np.concatenate(parts)[: len(order)]"), (PLACED, "losses[:] = seen")),
        "take turns",
    ),
    ("14.4", "order not undone", shards((PLACED, "losses[:] = seen")), "order of the epoch"),
    ("14.4", "read for written", shards((PLACED, "losses[:] = seen[order]")), "do not read"),
    ("14.4", "repeats cut off in front", shards(("[: len(order)]", "[-len(order) :]")), "at the end"),
    ("14.4", "repeats kept", shards(("[: len(order)]", ""), (PLACED, "losses = seen")), "still there"),
    ("14.5", "spread over n", records(("ddof=1", "ddof=0")), "divides by n - 1"),
    ("14.5", "degrees of freedom n", records(("T99[len(values) - 1]", "T99[len(values)]")), "n - 1 degrees"),
    ("14.5", "standard deviation for the error", records((" / math.sqrt(len(values))", "")), "by the root of n"),
    ("14.5", "means alone", records((PASSES, "bool(values.mean() > beyond)")), "may be luck"),
    (
        "14.5",
        "best accuracy",
        records((TEST, "bool(accuracies.max() > target) and passes(-seconds, -standing)")),
        "best run",
    ),
    (
        "14.5",
        "every accuracy",
        records((TEST, "bool(accuracies.min() > target) and passes(-seconds, -standing)")),
        "Not every run",
    ),
    (
        "14.5",
        "mean accuracy alone",
        records((TEST, "bool(accuracies.mean() > target) and passes(-seconds, -standing)")),
        "mean accuracy",
    ),
    (
        "14.5",
        "mean seconds alone",
        records((TEST, "passes(accuracies, target) and bool(seconds.mean() < standing)")),
        "The seconds are tested",
    ),
    ("14.5", "seconds left out", records((TEST, "passes(accuracies, target)")), "seconds do not enter"),
    ("14.5", "more seconds are better", records(("passes(-seconds, -standing)", "passes(seconds, standing)")), "Fewer"),
    ("14.5", "any number of runs", records(("n < 5", "n < 2")), "Five runs at least"),
    ("14.5", "more than five runs", records(("n < 5", "n <= 5")), "are enough"),
    ("14.5", "a seed twice", records((" == len(set(seeds))", "")), "comes twice"),
    (
        "14.5",
        "a seed without a run",
        records((RULES, "n < 5 or len(set(seeds)) < len(seeds)")),
        "Each seed",
    ),
    (
        "14.5",
        "crashed runs left out",
        records((CRASHED, DROPPED)),
        "may not be left out",
    ),
    ("14.5", "two of five rules", records((RULES, "n < 3")), "got True, want False"),
    ("14.5", "from two runs on", records(("range(5, 32)", "range(2, 32)")), "Five runs at least"),
    ("14.5", "quantile of n", records((SHOWN, SHOWN.replace("T99[n - 1]", "T99[min(n, 30)]"))), "n - 1 degrees"),
    ("14.5", "2.326 for any number", records((SHOWN, SHOWN.replace("T99[n - 1]", "2.326"))), "depends on the number"),
    ("14.5", "margin without the root", records((SHOWN, SHOWN.replace("math.sqrt(n)", "n"))), "root of n"),
    ("14.5", "one run more", records(("            return n\n", "            return n + 1\n")), "One run less"),
    (
        "14.5",
        "31 if there is none",
        records(("            return n\n    return None", "            return n\n    return 31")),
        "return None",
    ),
]

HALF = [
    ("14.1", "an epoch too few", views(epochs="10"), 1),
    ("14.1", "absent photos turned", turns("np.where(joined <= epoch, turn, -1)", "turn"), 1),
    ("14.2", "no bias", whiten(("b = -w @ mean", "b = torch.zeros(len(w))")), 1),
    ("14.2", "eps as it is, centered all the same", whiten(("eps * values.max()", "eps")), 1),
    ("14.2", "turned back, and centered", whiten((KERNELS, "vectors * scale @ vectors.T")), 1),
    ("14.3", "nearest in ten steps", orthogonal((NEAREST, "orthogonalize(x, (1.5, -0.5), 10)")), 1),
    ("14.3", "three coefficients, enough for nearest", orthogonal(("in coefficients:", "in coefficients[:3]:")), 1),
    ("14.4", "nan takes part", shards((" if s > 0", "")), 1),
    ("14.4", "repeats kept", shards(("[: len(order)]", ""), (PLACED, "losses = seen")), 1),
    ("14.5", "seconds left out", records((TEST, "passes(accuracies, target)")), 1),
    ("14.5", "2.326 for any number", records((SHOWN, SHOWN.replace("T99[n - 1]", "2.326"))), 1),
]
