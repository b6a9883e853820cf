"""The questions of exercise 17, the capstone."""

from dataclasses import asdict
from itertools import combinations

import numpy as np

from cnnlib import capstone
from cnnlib.data import load
from cnnlib.grading.question import Case, Cause, Question, unlabeled

IMAGES = 4_000  # of the test set: one network's accuracy of 60 % is then known to 0.8 points
RUNS = 5  # for each recipe: the fewest with which a permutation test can fall below 0.01
LEVEL = 0.01
UNMETERED = (  # what would train, or multiply, without being counted; and what was trained before
    "cnnlib.data",
    "cnnlib.ops",
    "cnnlib.recipes",
    "cnnlib.train.Muon",
    "cnnlib.train.fit",
    "cnnlib.train.load_weights",
    "cnnlib.train.make_optimizer",
    "cnnlib.train.train_epoch",
    "numpy.linalg",
    "scipy",
    "torch.Tensor.backward",
    "torch.autograd",
    "torch.cdist",
    "torch.einsum",
    "torch.linalg",
    "torch.nn.GRU",
    "torch.nn.LSTM",
    "torch.nn.RNN",
    "torch.optim",
    "torch.tensordot",
    "torch.vmap",
)


def draw_predictions(rng):
    """The numbers of 17.1; nothing is drawn. Provided."""
    calls = {"parameters": "network", "macs": "network", "epochs": "epochs", "epochs_small": "epochs"}
    return [Case(part, call=name) for name, part in calls.items()]


def draw_boards(rng):
    """Classes of recipes: two of them far apart, close or of one accuracy; then more, with chains and equal means.

    Provided.
    """
    steady = np.arange(5) * 0.3  # runs of one recipe, in percent
    low, high = rng.uniform(55, 58), rng.uniform(60, 63)
    far = {"runs": (low + steady, high + steady)}
    near = {"runs": (low + steady, low + 0.2 + steady)}
    unsure = {"runs": (low + steady, low + 0.8 + steady)}  # p is between 0.02 and 0.05
    touching = {"runs": (low + steady[::-1], np.append(low + 1.3 + steady[:4], low + 1.1))}  # one run lies among others
    few = {"runs": (low + steady[:3], high + steady[:3])}  # whatever three runs say
    two = [
        Case("two recipes", {"runs": tuple(mixed(rng, case["runs"]))}) for case in (far, near, unsure, touching, few)
    ]
    chain = [low + 0.9 * k + steady for k in range(5)]  # each close to the next, the ends far apart
    groups = [high + steady, low + steady, high + 0.1 + steady, low - 4 + steady, low - 4.1 + steady[:4]]
    return two + [Case("a class", {"runs": tuple(mixed(rng, runs))}) for runs in (groups, chain, chain[:3])]


def mixed(rng, runs):
    """Recipes in a random order, the runs of each rounded and in a random order too. Provided.

    In such an order that ranks which are sorted are neither the right ones nor those of the worst first, where
    there is one.
    """
    for _ in range(50):
        found = [np.round(rng.permutation(runs[k]), 2) for k in rng.permutation(len(runs))]
        right, worst = ranked()(found), ranked(worst=True)(found)
        if len(set(right)) == 1 or not any(np.array_equal(np.sort(right), other) for other in (right, worst)):
            break
    return found


def p_value(a, b, one_sided=False):
    """The share of all ways to deal out the names whose difference is at least the real one. Provided."""
    both, n = np.array([*a, *b]), len(a)
    picks = [list(chosen) for chosen in combinations(range(len(both)), n)]
    first = np.array([both[chosen].mean() for chosen in picks])
    rest = np.array([np.delete(both, chosen).mean() for chosen in picks])
    real, apart = np.mean(a) - np.mean(b), first - rest
    return ((apart * np.sign(real) if one_sided else abs(apart)) >= abs(real) - 1e-9).mean()


def differ(a, b):
    """The rule of the leaderboard. Provided."""
    return p_value(a, b) < LEVEL


def ranked(differ=differ, against="first", step="place", worst=False):
    """17.2 with some of its mistakes left in, as a function of the runs. Provided."""

    def ranks(runs):
        order = sorted(range(len(runs)), key=lambda k: np.mean(runs[k]) * (1 if worst else -1))
        found, rank, head = np.zeros(len(runs), int), 0, None
        for place, k in enumerate(order, 1):
            if head is None or differ(runs[head], runs[k]):
                rank, head = place if step == "place" else rank + 1, k
            elif against == "neighbor":
                head = k
            found[k] = rank
        return found

    return ranks


def draw_recipe(rng, split="test"):
    """Images whose labels stay here, and the seeds of the runs; for a check one seed and images held out. Provided."""
    seeds = rng.integers(0, 2**31, RUNS)
    case = unlabeled("cifar10", IMAGES, rng, split=split)
    if split == "train":
        images = load("cifar10", split)
        rest = rng.permutation(np.arange(capstone.count(len(images.labels)), len(images.labels)))[:1_000]
        inputs = {"images": images.images[rest], "seeds": seeds[:1]}
        return [Case(case.part, inputs, secret=images.labels[rest], source=images.source)]
    return [Case(case.part, {"images": case.inputs["x"], "seeds": seeds}, secret=case.secret, source=case.source)]


QUESTIONS = [
    Question(
        id="17.1",
        kind="predict",
        call="parameters",
        parts={"network": 1, "epochs": 1},
        draw=draw_predictions,
        causes=(
            Cause("no biases", "Every filter and every unit has a bias as well.", 432 + 4_608 + 320, "network"),
            Cause("gray", "The images have 3 channels: a filter of the first layer has 27 weights.", 5_130, "network"),
            Cause(
                "flattened", "The mean of each map is taken first: 32 numbers reach the dense layer.", 87_018, "network"
            ),
            Cause("first only", "The second convolution works, too.", 442_368, "network"),
            Cause("no stride", "The second convolution has stride 2: its map has 16x16 pixels.", 5_161_280, "network"),
            Cause("images", "So many images could be seen. How often is that each of the 10,000?", 36_983, "epochs"),
            Cause(
                "rounded up",
                "One epoch more would be over the budget: round down.",
                lambda want: want + 1,
                "epochs",
            ),
            Cause("by the side", "Three quarters of the side leave nine sixteenths of the pixels.", 4, "epochs"),
        ),
    ),
    Question(
        id="17.2",
        kind="complete",
        call="ranks(runs)",
        parts={"two recipes": 1, "a class": 1},
        draw=draw_boards,
        forbid=("numpy.random", "random"),
        seconds=30,
        causes=(
            Cause(
                "one-sided",
                "Count differences in either direction.",
                ranked(lambda a, b: p_value(a, b, one_sided=True) < LEVEL),
            ),
            Cause("5 %", "p must be below 0.01, not 0.05.", ranked(lambda a, b: p_value(a, b) < 0.05)),
            Cause(
                "neighbors",
                "Compare each recipe with the first of the rank, not with the one just above it.",
                ranked(against="neighbor"),
                "a class",
            ),
            Cause("dense", "After three recipes of rank 1 comes rank 4.", ranked(step="dense"), "a class"),
            Cause("worst first", "Rank 1 is for the highest mean.", ranked(worst=True)),
            Cause(
                "in order",
                "The ranks are right, but sorted: give them in the order of the recipes.",
                lambda runs: np.sort(ranked()(runs)),
            ),
            Cause("means", "The means alone decide. Could chance give the difference?", ranked(lambda a, b: True)),
            Cause("one rank", "All share a rank: some differences are significant.", ranked(lambda a, b: False)),
        ),
    ),
    Question(
        id="17.3",
        kind="train",
        call="capstone.retrain(build, CONFIG, augment, images, seeds)",
        parts={"40 %": 1, "50 %": 1, "55 %": 1, "58 %": 1, "60 %": 1, "63 %": 1},
        thresholds={"40 %": 0.40, "50 %": 0.50, "55 %": 0.55, "58 %": 0.58, "60 %": 0.60, "63 %": 0.63},
        standin_thresholds={"40 %": 0.40, "50 %": 0.50, "55 %": 0.55, "58 %": 0.58, "60 %": 0.60, "63 %": 0.63},
        draw=draw_recipe,
        forbid=UNMETERED,
        changes=("images",),
        seconds=900,
        needs=("cifar10",),
        images=capstone.IMAGES + capstone.HELD_OUT,
        budget=asdict(capstone.BUDGET),
        longest=8_000,
    ),
]
