"""The questions of exercise 14, Train fast."""

import numpy as np

from cnnlib.grading.question import Case, Cause, Question

ALL = "of all examples"
COMBINE = "{" + repr(ALL) + ": combine(gradients, weights)}"  # in a dict: an array of nan alone stands for its shape
JORDAN = (3.4445, -4.7750, 2.0315)
CUBIC = (1.5, -0.5)
LEAST_RUNS = 5
# One-sided 1 % points of Student's t, by degrees of freedom from 1 to 30, and one-sided 0.5 % points.
T99 = (
    *(31.821, 6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821, 2.764),
    *(2.718, 2.681, 2.650, 2.624, 2.602, 2.583, 2.567, 2.552, 2.539, 2.528),
    *(2.518, 2.508, 2.500, 2.492, 2.485, 2.479, 2.473, 2.467, 2.462, 2.457),
)
T995 = (
    *(63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169),
    *(3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845),
    *(2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763, 2.756, 2.750),
)


def distinct(rng, draw, function, slips):
    """Inputs on which the function and each of its slips give results of which no two are the same. Provided."""
    while True:
        inputs = draw(rng)
        results = [repr(function(**inputs, **slip)) for slip in ({}, *slips)]
        if len(set(results)) == len(results):
            return inputs


# 14.1


def draw_turns(rng):
    """Four numbers of which nothing is drawn, and photos that joined in different epochs. Provided."""
    cases = [Case("on paper", call=name) for name in ("random_share", "turn_share", "one_way", "epochs")]
    slips = [{name: True} for name in TURNS]
    for epoch in (6, 7, 12):

        def photos(rng, epoch=epoch):
            n = int(rng.integers(11, 15))
            return {"first": rng.integers(0, 4, n), "joined": rng.integers(1, epoch + 4, n), "epoch": epoch}

        cases.append(Case("in turn", distinct(rng, photos, turned, slips), call="turns(first, joined, epoch)"))
    return cases


def turned(
    first,
    joined,
    epoch,
    *,
    shared=False,
    early=False,
    back=False,
    endless=False,
    absent=False,
    mirror=False,
    same=False,
    late=False,
):
    """The quarter turns of 14.1, with the usual slips built in. Provided."""
    seen = epoch - (1 if shared else joined) + early
    turn = first + (0 if same else -seen if back else seen)
    turn = turn if endless else turn % (2 if mirror else 4)
    return turn if absent else np.where(joined + late <= epoch, turn, -1)


TURNS = ("shared", "early", "back", "endless", "absent", "mirror", "same", "late")


def turning(**slips):
    """A cause's function for the second part of 14.1 with these slips. Provided."""
    return lambda **inputs: turned(**inputs, **slips)


# 14.2


def draw_images(rng):
    """Images whose neighboring pixels are alike, with a mean of its own in each channel; unequal sides. Provided."""
    cases = []
    for channels, size in ((2, (3, 2)), (3, (1, 2)), (1, (2, 4))):
        images = rng.standard_normal((6, channels, 14, 12))
        images += np.roll(images, 1, 2) + np.roll(images, 1, 3) + 0.5 * images[:, :1]
        images = 0.15 * images + np.linspace(0.3, 0.9, channels)[:, None, None] + 0.01 * np.arange(12)
        inputs = {"images": images, "size": size, "eps": rng.uniform(0.1, 0.3)}
        cases += [
            Case(part, inputs, call="whiten(torch.from_numpy(images), size, eps)") for part in ("kernels", "bias")
        ]
    return cases


def patches_of(images, size, *, apart=False, swap=False, last=False, torn=False):
    """All patches, (patches, C K L), with the usual slips built in. Provided."""
    size = tuple(size[::-1] if swap else size)
    windows = np.lib.stride_tricks.sliding_window_view(images, size, axis=(2, 3))
    windows = windows[:, :, :: size[0], :: size[1]] if apart else windows
    order = (0, 1, 4, 5, 2, 3) if torn else (0, 2, 3, 4, 5, 1) if last else (0, 2, 3, 1, 4, 5)
    return windows.transpose(order).reshape(-1, images.shape[1] * size[0] * size[1])


def spectrum(images, size, *, center="each", **slips):
    """Eigenvalues, rising, and eigenvectors, as columns, of the covariance of patches. Provided."""
    patches = patches_of(images, size, **slips)
    middle = {"each": patches.mean(0), "one": patches.mean(), "none": 0}[center]
    return np.linalg.eigh((patches - middle).T @ (patches - middle) / len(patches))


def squares(images, size, eps, *, scale="root", relative=-1, rows=None, **slips):
    """The sum over kernels of each kernel times itself, (D, D): order and signs of kernels do not matter to it.

    Provided.
    """
    values, vectors = spectrum(images, size, **slips)
    e = eps * {"one": 1, "mean": values.mean(), "none": 0}.get(relative, values[-1 if relative == -1 else 0])
    factors = {
        "root": (values + e) ** -0.5,
        "outside": 1 / (np.sqrt(values) + e),
        "no root": 1 / (values + e),
        "times": (values + e) ** 0.5,
        "none": np.ones_like(values),
        "sum": (len(patches_of(images, size)) * (values + e)) ** -0.5,
    }[scale]
    if rows == "plain":  # vectors * factors, whose rows are no eigenvectors
        return np.diag(factors**2)
    if rows == "rows":
        return vectors.T @ np.diag(factors**2) @ vectors
    return vectors @ np.diag(factors**2) @ vectors.T


AXES = (
    "the rows are not eigenvectors, each divided by its own root. eigh returns eigenvectors as columns: look where you "
    "transpose, and along which axis you divide."
)
WHITE = (
    ("the mean of the patches was not subtracted before their covariance was taken.", {"center": "none"}),
    ("one mean was subtracted from all numbers. Each of the C * K * L places has its own.", {"center": "one"}),
    ("eps was added as it is. Here it is a share of the largest eigenvalue.", {"relative": "one"}),
    ("eps was taken times the smallest eigenvalue. eigh sorts them, smallest first.", {"relative": 0}),
    ("eps was taken times the mean eigenvalue, not the largest.", {"relative": "mean"}),
    ("eps is missing: weak directions become noise.", {"relative": "none"}),
    ("eps belongs under the root, added to the eigenvalue.", {"scale": "outside"}),
    ("a root is missing: divide by the root of an eigenvalue, which is a variance.", {"scale": "no root"}),
    ("strong directions became stronger: divide by the root, do not multiply.", {"scale": "times"}),
    ("the directions are right, but not scaled: divide each by a root.", {"scale": "none"}),
    ("a covariance is a mean over patches, not a sum.", {"scale": "sum"}),
    (AXES, {"rows": "plain"}),
    (AXES, {"rows": "rows"}),
    ("the patches overlap: there is one at every place, not one in every K rows and L columns.", {"apart": True}),
    ("the patches are L rows high and K columns wide. Rows come first in size.", {"swap": True}),
    ("the numbers of a patch lie in another order than those of a kernel, (C, K, L).", {"last": True}),
    (
        "the patches were torn apart: unfold returns (N, C * K * L, places), so transpose before you reshape.",
        {"torn": True},
    ),
)


def is_white(got, case, want):
    """Whether kernels whiten patches, in any order and with any signs, or whether the bias centers them. Provided."""
    if not isinstance(got, list) or len(got) != 2 or not all(isinstance(a, np.ndarray) for a in got):
        return "want kernels and bias: `return w, b`."
    images, size = case.inputs["images"], case.inputs["size"]
    w, b = got
    shape = (images.shape[1] * size[0] * size[1], images.shape[1], *size)
    if w.shape != shape:
        twice = " One sign of each is enough here." if w.shape == (2 * shape[0], *shape[1:]) else ""
        return f"got kernels of shape {w.shape}, want {shape}: C * K * L of (C, K, L).{twice}"
    if b.shape != shape[:1]:
        return f"got a bias of shape {b.shape}, want {shape[:1]}: a number for each kernel."
    if not np.isfinite(w).all() or not np.isfinite(b).all():
        return "the result holds nan or inf: was a negative number under a root?"
    kernels = w.reshape(len(w), -1).astype(float)
    if case.part == "bias":
        return off_center(kernels, b, patches_of(images, size))
    return not_white(kernels, case.inputs)


def not_white(kernels, inputs):
    """What is wrong with kernels (D, D), or None. Provided."""
    made = kernels.T @ kernels
    patches = patches_of(inputs["images"], inputs["size"])

    def alike(a, b):
        return np.abs(a - b).max() < (2 / len(patches) + 1e-4) * np.abs(b).max()

    between = kernels @ np.cov(patches.T, bias=True) @ kernels.T
    rest = np.abs(between - np.diag(np.diag(between)))
    if alike(made, squares(**inputs)):
        i, j = np.unravel_index(rest.argmax(), rest.shape)
        if rest.max() < 1e-3:
            return None
        return (
            f"the outputs of kernels {i} and {j} still have covariance {between[i, j]:.3g}, want 0: a kernel is one "
            "eigenvector, scaled, and not a mixture of several."
        )
    for says, slip in WHITE:
        wrong = squares(**inputs, **slip)
        if alike(made, wrong) or (slip.get("rows") == "rows" and alike(np.abs(made), np.abs(wrong))):
            return says
    values = spectrum(inputs["images"], inputs["size"])[0]
    target = np.sort(values / (values + inputs["eps"] * values[-1]))
    found = np.sort(np.diag(between))
    k = np.abs(found - target).argmax()
    return (
        f"sorted, smallest first, the outputs' variance number {k} is {found[k]:.3g}, want {target[k]:.3g}; the "
        f"largest covariance between two kernels' outputs is {rest.max():.3g}, want 0."
    )


def off_center(kernels, b, patches):
    """What is wrong with a bias (D,) for kernels (D, D), or None. Provided."""
    if np.linalg.matrix_rank(kernels) < len(kernels):
        return "some kernels are 0 or add up to others: the bias is looked at once they are not."
    mean = patches.mean(0)
    through, size = kernels @ mean, max(1, np.abs(kernels @ patches.std(0)).max())
    left = through + b
    k = np.abs(left).argmax()
    if abs(left[k]) < 1e-3 * size:
        return None
    known = (
        ("it is 0 throughout: the mean of the patches passes through the kernels.", 0 * b),
        ("its sign is turned around: it has to take the mean away.", through),
        ("it is the mean of the patches, which has to pass through the kernels first.", -mean),
        ("it is the mean of the patches, which has to pass through the kernels first.", mean),
        ("one mean is not enough: each of the C * K * L places has its own.", -kernels.sum(1) * mean.mean()),
        ("the mean passes through the kernels, not through their transpose.", -kernels.T @ mean),
    )
    for says, wrong in known:
        if np.allclose(b, wrong, rtol=1e-3, atol=1e-4):
            return says
    return f"over all patches, kernel {k} gives a mean of {left[k]:.3g}, want 0."


# 14.3


def draw_matrices(rng):
    """Batches of wide, tall and square matrices of unequal sizes; singular values over four powers of ten. Provided."""
    cases = []
    for shape, coefficients, steps in (
        ((4, 3, 5), (2.0, -1.5, 0.5), 3),
        ((3, 6, 2), (2.2, -2.2, 1.3, -0.3), 2),
        ((2, 4, 4), (1.5, -0.5), 4),
    ):
        x = rng.standard_normal(shape) * rng.uniform(0.5, 2, (shape[0], 1, 1))
        coefficients = tuple(c + rng.uniform(-0.1, 0.1) for c in coefficients)
        inputs = {"x": x, "coefficients": coefficients, "steps": steps}
        cases.append(Case("polynomial", inputs, call="orthogonalize(torch.from_numpy(x), coefficients, steps)"))
    for shape in ((3, 4, 7), (2, 6, 3)):
        u, _, v = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
        s = np.geomspace(1, rng.uniform(1e-4, 2e-4), u.shape[2]) * 10 ** rng.uniform(-2, 2, (shape[0], 1))
        cases.append(Case("nearest", {"x": (u * s[:, None]) @ v}, call="nearest(torch.from_numpy(x))"))
    return cases


def iterated(
    x, coefficients, steps, *, norm="each", again=False, entries=False, back=False, extra=0, skip=False, flat=False
):
    """The polynomial of 14.3, applied so many times, with the usual slips built in. Provided."""
    shape = x.shape
    x = x.reshape(1, len(x), -1) if flat else x
    axes = {"each": (1, 2), "all": None, "rows": 2, "columns": 1}

    def scaled(x):
        if norm in ("none", "largest"):
            return x / (np.abs(x).max(axis=(1, 2), keepdims=True) if norm == "largest" else 1)
        return x / np.sqrt((x**2).sum(axis=axes[norm], keepdims=True))

    x = scaled(x)
    for _ in range(steps + extra):
        gram = x @ x.swapaxes(1, 2)
        gram = gram @ gram if skip else gram
        power, total = x, 0
        for c in coefficients[::-1] if back else coefficients:
            total = total + c * power
            power = power * x * x if entries else gram @ power
        x = scaled(total) if again else total
    return x.reshape(shape)


def iterations(change=lambda coefficients: coefficients, **slips):
    """A cause's function for the first part of 14.3 with these slips. Provided."""
    return lambda x, coefficients, steps: iterated(x, change(coefficients), steps, **slips)


def along(want, got, fits):
    """got, if it has the directions of want and singular values (B, n) that fit; else None. Provided."""
    if not isinstance(got, np.ndarray) or got.shape != want.shape:
        return None
    tall = want.shape[1] > want.shape[2]
    want, mine = (want, got) if tall else (want.swapaxes(1, 2), got.swapaxes(1, 2))
    inner = want.swapaxes(1, 2) @ mine
    same = np.allclose(want @ inner, mine, atol=1e-3) and np.allclose(inner, inner.swapaxes(1, 2), atol=1e-3)
    return got if same and fits(np.linalg.eigvalsh((inner + inner.swapaxes(1, 2)) / 2)) else None


def is_weak(values):
    """Whether all singular values are at most 1, and some are less. Provided."""
    return values.max() < 1 + 1e-3 and values.min() < 1 - 1e-3


def is_restless(values):
    """Whether some singular values are above 1. Provided."""
    return values.max() >= 1 + 1e-3


# 14.4


def draw_shards(rng):
    """Processes of which one has no examples, and one none that count; images that do not divide evenly. Provided."""
    cases = []
    for counts, ignored in (((6, 1, 0, 3), ()), ((5, 2, 4), (1,)), ((1, 0, 7, 2, 3), (0,))):
        weights = [rng.uniform(0.2, 3, n) * (p not in ignored) for p, n in enumerate(counts)]
        gradients = [rng.standard_normal(5) + (0 if w.sum() else np.nan) for w in weights]
        inputs = {"gradients": gradients, "weights": weights}
        cases.append(Case("gradient", inputs, call=COMBINE))
    for n, processes in ((13, 4), (11, 3), (3, 5)):
        order, losses = rng.permutation(n), rng.uniform(0.1, 4, n)
        padded = np.resize(order, -(-n // processes) * processes)
        parts = [losses[padded[p::processes]] for p in range(processes)]
        cases.append(Case("losses", {"parts": parts, "order": order}, call="gather(parts, order)"))
    return cases


def combined(gradients, weights, *, shares="weights", over="total"):
    """The gradient of all examples of 14.4, with the usual slips built in. Provided."""
    each = {
        "weights": [w.sum() for w in weights],
        "counts": [len(w) for w in weights],
        "counted": [np.count_nonzero(w) for w in weights],
        "equal": [float(w.sum() > 0) for w in weights],
        "means": [w.mean() if len(w) else 0 for w in weights],
        "squares": [(w**2).sum() for w in weights],
    }[shares]
    total = sum(s * g for s, g, w in zip(each, gradients, weights, strict=True) if w.sum() > 0)
    divisor = {"total": sum(each), "examples": sum(len(w) for w in weights), "processes": len(weights), "none": 1}
    return total / divisor[over]


def combination(**slips):
    """A cause's function for the first part of 14.4 with these slips. Provided."""
    return lambda **inputs: {ALL: combined(**inputs, **slips)}


def poisoned(gradients, weights):
    """What is left if a process without examples takes part. Provided."""
    return {ALL: np.full_like(gradients[0], np.nan)}


def gathered(parts, order, *, blocks=False, unsorted=False, inverse=False, repeats=False, final=False):
    """A loss for each image, with the usual slips built in. Provided."""
    seen = np.concatenate(parts) if blocks else np.stack(parts, 1).ravel()
    if repeats:
        return seen
    seen = seen[-len(order) :] if final else seen[: len(order)]
    if unsorted:
        return seen
    return seen[order] if inverse else seen[np.argsort(order)]


def gathering(**slips):
    """A cause's function for the second part of 14.4 with these slips. Provided."""
    return lambda **inputs: gathered(**inputs, **slips)


# 14.5


def draw_entries(rng):
    """Entries of which each breaks one rule at most, and pairs of a margin and a spread. Provided."""
    target, standing = 94.0, round(rng.uniform(200, 400), 1)
    plans = (  # runs, t of the accuracy, t of the seconds saved, what is odd
        (7, 6.0, 7.0, ""),
        (5, 7.0, 8.0, ""),
        (6, 3.10, 7.0, ""),  # passes with the spread over n, not n - 1
        (6, 3.25, 7.0, ""),  # passes with the quantile for n degrees of freedom
        (6, 3.80, 7.0, ""),  # fails in a two-sided test
        (8, 1.0, 7.0, ""),
        (9, -2.0, 7.0, ""),
        (9, 3.3, 7.0, ""),
        (8, 7.0, 1.0, ""),
        (8, 7.0, -7.0, ""),
        (6, 7.0, 3.80, ""),
        (4, 20.0, 20.0, ""),
        (7, 8.0, 9.0, "twice"),
        (7, 9.0, 8.0, "crashed"),
        (6, 10.0, 9.0, "left out"),
    )
    entries = {}
    for k in rng.permutation(len(plans)):
        name, entry = make_entry(rng, *plans[k], target, standing)
        entries[name] = entry
    inputs = {"entries": entries, "target": target, "standing": standing}
    record = "{name: is_record(*entry, target, standing) for name, entry in entries.items()}"
    pairs = distinct(rng, draw_pairs, needed, [{name: True} for name in NEEDED])
    seeds = "[seeds_needed(*pair) for pair in pairs]"
    return [Case("record", inputs, call=record), Case("seeds", pairs, call=seeds)]


def make_entry(rng, n, t_accuracy, t_seconds, odd, target, standing):
    """(what it is, (accuracies, seconds, seeds)) with just these t statistics. Provided."""
    accuracies = target + rng.uniform(0.05, 0.15) * spread_out(rng, n, t_accuracy)
    seconds = standing - rng.uniform(2, 5) * spread_out(rng, n, t_seconds)
    seeds = rng.permutation(40)[:n]
    name = f"{n} runs, t = {t_accuracy:.2f} for accuracy and {t_seconds:.2f} for seconds saved"
    if odd == "twice":
        seeds[-1] = seeds[0]
        name = f"{n} runs, two of them from one seed"
    elif odd == "crashed":
        accuracies[2] = np.nan
        name = f"{n} runs, one of which has accuracy nan"
    elif odd == "left out":
        seeds = np.append(seeds, 40 + int(rng.integers(9)))
        name = f"{n} accuracies and {n} times, but {n + 1} seeds"
    return name, (accuracies, seconds, seeds)


def spread_out(rng, n, t):
    """n numbers of standard deviation 1 whose t statistic against 0 is t, some of them on the other side. Provided."""
    while True:
        z = rng.standard_normal(n)
        z = (z - z.mean()) / z.std(ddof=1) + t / np.sqrt(n)
        if z.max() > 0 > z.min() or abs(t) > 3.5 or abs(t) == 0:
            return z


def statistic(values, beyond, ddof=1, root=True):
    """The t statistic of a sample against a number. Provided."""
    return (values.mean() - beyond) / (values.std(ddof=ddof) / (np.sqrt(len(values)) if root else 1))


def judged(
    accuracies,
    seconds,
    seeds,
    target,
    standing,
    *,
    ddof=1,
    late=0,
    table=T99,
    root=True,
    accuracy="test",
    time="test",
    least=LEAST_RUNS,
    twice=False,
    drop=False,
    lengths=True,
    strict=False,
):
    """Whether an entry is a record, with the usual slips built in. Provided."""
    n, wanted = len(accuracies), len(seeds) == len(accuracies)
    if drop:
        seconds, accuracies = seconds[np.isfinite(accuracies)], accuracies[np.isfinite(accuracies)]
        n = len(accuracies)
    if n < least + strict or (lengths and not wanted) or (not twice and len(set(seeds)) < len(seeds)):
        return False
    limit = table[n - 2 + late]

    def passes(values, beyond, how):
        if how in ("mean", "best", "all", "ignored"):
            return {"mean": values.mean(), "best": values.max(), "all": values.min(), "ignored": np.inf}[how] > beyond
        return statistic(values, beyond, ddof, root) > limit

    sign = 1 if time == "turned" else -1
    return bool(passes(accuracies, target, accuracy) and passes(sign * seconds, sign * standing, time))


def verdicts(**slips):
    """A cause's function for the first part of 14.5 with these slips. Provided."""

    def found(entries, target, standing):
        return {name: judged(*entry, target, standing, **slips) for name, entry in entries.items()}

    return found


def draw_pairs(rng):
    """Margins and spreads, of which one needs more than the table has. Provided."""
    ratios = [rng.uniform(1.9, 2.6), rng.uniform(0.9, 1.3), rng.uniform(0.55, 0.8), rng.uniform(0.2, 0.35)]
    spreads = rng.uniform(0.08, 0.2, len(ratios))
    return {"pairs": [(float(r * s), float(s)) for r, s in zip(ratios, spreads, strict=True)]}


def needed(pairs, *, few=False, late=False, two_sided=False, normal=False, linear=False, spare=False, endless=False):
    """How many runs show each margin, with the usual slips built in. Provided."""
    found = []
    for margin, spread in pairs:
        table = T995 if two_sided else (2.326,) * 31 if normal else T99

        def shows(n, margin=margin, spread=spread, table=table):
            root = n if linear else np.sqrt(n)
            return margin * root / spread > table[min(n - 2 + late, 29)]

        runs = next((n for n in range(2 if few else LEAST_RUNS, 32) if shows(n)), 31 if endless else None)
        found.append(runs + 1 if spare and runs else runs)
    return found


NEEDED = ("few", "late", "two_sided", "normal", "linear", "spare", "endless")


def needs(**slips):
    """A cause's function for the second part of 14.5 with these slips. Provided."""
    return lambda pairs: needed(pairs, **slips)


def causes(*known):
    """Causes, each from (part, name, what to say, what it gives). Provided."""
    return tuple(Cause(name, says, wrong, part) for part, name, says, wrong in known)


POLYNOMIAL, NEAREST = "polynomial", "nearest"
QUESTIONS = [
    Question(
        id="14.1",
        kind="predict",
        call="turns(first, joined, epoch)",
        parts={"on paper": 1, "in turn": 1},
        draw=draw_turns,
        rtol=1e-3,
        causes=causes(
            ("on paper", "mirrored", "That would be a photo with two views. It has four here.", 15 / 16),
            ("on paper", "unseen", "That share has not been seen. What share has?", (3 / 4) ** 4),
            ("on paper", "as if in turn", "Not all views have been seen yet.", 1),
            ("on paper", "one photo's all", "That is the chance that a photo shows all four.", 3 / 32),
            ("on paper", "random, in turn", "That is for random turns and three epochs.", 37 / 64),
            ("on paper", "two views", "There are four orientations, and three epochs.", 3 / 2),
            ("on paper", "only plain", "A photo can also have been seen in the mirrored way only.", 250),
            ("on paper", "three epochs", "That would be for three epochs.", 1000),
            ("on paper", "both ways", "So many have been seen in both ways. How many in one only?", 3500),
            ("on paper", "four views", "Mirroring has two views.", 4000 * (3 / 4) ** 4),
            ("on paper", "one less", "After 10 epochs 5.6 % are still missing.", 10),
            ("on paper", "mirror", "With two views 5 epochs would do. Here the share missing shrinks by a quarter.", 5),
            ("on paper", "in turn, all", "In turn 4 epochs do. Here each epoch turns at random.", 4),
            ("in turn", "shared", "The turn counts from the epoch in which a photo joined.", turning(shared=True)),
            ("in turn", "early", "In its own first epoch a photo is turned by `first`.", turning(early=True)),
            (
                "in turn",
                "shared, early",
                "Count from the epoch in which a photo joined.",
                turning(shared=True, early=True),
            ),
            (
                "in turn",
                "back",
                "It turns the other way round: one quarter turn *more* each epoch.",
                turning(back=True),
            ),
            ("in turn", "endless", "Four quarter turns are none.", turning(endless=True)),
            ("in turn", "absent", "Photos that are not there yet are to be -1.", turning(absent=True)),
            ("in turn", "mirror", "There are four orientations, not two.", turning(mirror=True)),
            (
                "in turn",
                "chapter's",
                "That is chapter 14's rule for two views, from a first epoch that all share.",
                turning(shared=True, early=True, mirror=True),
            ),
            ("in turn", "late", "A photo is there from the epoch in which it joins.", turning(late=True)),
            ("in turn", "same", "That is the same orientation in every epoch.", turning(same=True)),
        ),
    ),
    Question(
        id="14.2",
        kind="complete",
        call="whiten(torch.from_numpy(images), size, eps)",
        parts={"kernels": 1, "bias": 1},
        draw=draw_images,
        judge=is_white,
        forbid=("cnnlib.models", "cnnlib.train"),
    ),
    Question(
        id="14.3",
        kind="complete",
        call="orthogonalize(torch.from_numpy(x), coefficients, steps)",
        parts={POLYNOMIAL: 1, NEAREST: 1},
        draw=draw_matrices,
        rtol=1e-4,
        atol=1e-4,
        forbid=(
            *("cnnlib.train", "cnnlib.models", "torch.linalg", "torch.svd", "torch.inverse", "numpy.linalg"),
            *("scipy", "torch.nn.init"),
        ),
        causes=causes(
            (POLYNOMIAL, "whole batch", "Each matrix has its own norm: yours is the batch's.", iterations(norm="all")),
            (POLYNOMIAL, "no norm", "The matrices were not divided by their norms.", iterations(norm="none")),
            (POLYNOMIAL, "norms of rows", "One norm for a matrix, not one for each row.", iterations(norm="rows")),
            (POLYNOMIAL, "norms of columns", "One norm for a matrix, not one a column.", iterations(norm="columns")),
            (POLYNOMIAL, "largest entry", "The norm is the root of the sum of squares.", iterations(norm="largest")),
            (POLYNOMIAL, "norm each step", "Divide by the norm once, before the first step.", iterations(again=True)),
            (
                POLYNOMIAL,
                "entries",
                "Entries were raised to powers. x x^T x is a product of matrices.",
                iterations(entries=True),
            ),
            (POLYNOMIAL, "reversed", "The first coefficient belongs to x itself.", iterations(back=True)),
            (POLYNOMIAL, "one more", "One step too many.", iterations(extra=1)),
            (POLYNOMIAL, "one less", "One step is missing.", iterations(extra=-1)),
            (
                POLYNOMIAL,
                "even powers left out",
                "The next power has two more factors, x^T and x, not four.",
                iterations(skip=True),
            ),
            (
                POLYNOMIAL,
                "flattened",
                "The batch was taken for the rows of one matrix, as chapter 14 takes filters.",
                iterations(flat=True),
            ),
            (
                POLYNOMIAL,
                "flattened, Jordan's",
                "The batch was taken for the rows of one matrix, and the coefficients are not the given ones.",
                iterations(lambda c: JORDAN, flat=True),
            ),
            (POLYNOMIAL, "Jordan's", "The coefficients are not the given ones.", iterations(lambda c: JORDAN)),
            (POLYNOMIAL, "three of them", "There may be more than three coefficients.", iterations(lambda c: c[:3])),
            (POLYNOMIAL, "two of them", "There may be more than two coefficients.", iterations(lambda c: c[:2])),
            (
                NEAREST,
                "weak",
                "The directions are right, and the weak ones have not arrived at 1: they need more steps.",
                lambda want, got, **_: along(want, got, is_weak),
            ),
            (
                NEAREST,
                "restless",
                "The directions are right, but the lengths do not settle at 1: does the polynomial give 1 at 1?",
                lambda want, got, **_: along(want, got, is_restless),
            ),
        ),
    ),
    Question(
        id="14.4",
        kind="complete",
        call="combine(gradients, weights)",
        parts={"gradient": 1, "losses": 1},
        draw=draw_shards,
        causes=causes(
            (
                "gradient",
                "nan",
                "The gradient of a process without weights is nan, and 0 * nan is nan: leave it out.",
                poisoned,
            ),
            (
                "gradient",
                "mean of processes",
                "An example in a small shard counts for more: weigh each process.",
                combination(shares="equal"),
            ),
            (
                "gradient",
                "over all processes",
                "An example in a small shard counts for more: weigh each process. And it is no mean over all.",
                combination(shares="equal", over="processes"),
            ),
            ("gradient", "counts", "Examples do not count alike: sum their weights.", combination(shares="counts")),
            ("gradient", "counted", "Examples do not count alike: sum their weights.", combination(shares="counted")),
            ("gradient", "means", "A mean weight forgets how many examples there are.", combination(shares="means")),
            ("gradient", "squares", "The weights enter once, not squared.", combination(shares="squares")),
            ("gradient", "over examples", "Divide by the sum of all weights.", combination(over="examples")),
            ("gradient", "over processes", "Divide by the sum of all weights.", combination(over="processes")),
            ("gradient", "sum", "The sum has to be divided by the sum of all weights.", combination(over="none")),
            (
                "losses",
                "blocks",
                "The processes take turns: image by image, not block by block.",
                gathering(blocks=True),
            ),
            (
                "losses",
                "blocks, unsorted",
                "The processes take turns: image by image, not block by block.",
                gathering(blocks=True, unsorted=True),
            ),
            (
                "losses",
                "unsorted",
                "These stand in the order of the epoch, not of the images.",
                gathering(unsorted=True),
            ),
            ("losses", "inverse", "Write to place order[k], do not read from there.", gathering(inverse=True)),
            ("losses", "final", "The repeats stand at the end, not at the beginning.", gathering(final=True)),
            ("losses", "repeats", "The repeats are still there: one loss for each image.", gathering(repeats=True)),
        ),
    ),
    Question(
        id="14.5",
        kind="explore",
        call="is_record(*entry, target, standing)",
        parts={"record": 1, "seeds": 1},
        draw=draw_entries,
        causes=causes(
            ("record", "spread over n", "The spread of a sample divides by n - 1.", verdicts(ddof=0)),
            ("record", "quantile of n", "n runs have n - 1 degrees of freedom.", verdicts(late=1)),
            ("record", "two-sided", "The test is one-sided: only better counts.", verdicts(table=T995)),
            (
                "record",
                "no root",
                "A mean of n runs spreads less than one run: by the root of n.",
                verdicts(root=False),
            ),
            (
                "record",
                "means",
                "A mean on the right side may be luck: test it.",
                verdicts(accuracy="mean", time="mean"),
            ),
            ("record", "mean accuracy", "A mean accuracy above the target may be luck.", verdicts(accuracy="mean")),
            ("record", "best", "The best run says nothing of the recipe: test the mean.", verdicts(accuracy="best")),
            ("record", "all above", "Not every run has to beat the target.", verdicts(accuracy="all")),
            ("record", "mean seconds", "The seconds are tested as the accuracies are.", verdicts(time="mean")),
            ("record", "no seconds", "The seconds do not enter.", verdicts(time="ignored")),
            ("record", "slower", "Fewer seconds are better: that test goes the other way.", verdicts(time="turned")),
            ("record", "few", "Five runs at least.", verdicts(least=2)),
            ("record", "more than five", "Five runs are enough.", verdicts(strict=True)),
            ("record", "twice", "A seed that comes twice is one run, counted twice.", verdicts(twice=True)),
            ("record", "dropped", "A run that crashed may not be left out.", verdicts(drop=True)),
            ("record", "lengths", "Each seed needs its accuracy and its seconds.", verdicts(lengths=False)),
            ("seeds", "few", "Five runs at least.", needs(few=True)),
            ("seeds", "quantile of n", "n runs have n - 1 degrees of freedom.", needs(late=True)),
            ("seeds", "two-sided", "The test is one-sided.", needs(two_sided=True)),
            ("seeds", "normal", "The quantile depends on the number of runs, too.", needs(normal=True)),
            ("seeds", "linear", "A mean gets surer with the root of n, not with n.", needs(linear=True)),
            ("seeds", "one more", "One run less would do.", needs(spare=True)),
            ("seeds", "endless", "If 31 runs are too few, return None.", needs(endless=True)),
        ),
    ),
]
