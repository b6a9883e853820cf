"""The capstone's report card and a class's leaderboard: what a recipe reaches, how sure that is, and what it costs.

Two recipes get different ranks only if two tests both find p < 0.01. The first looks at the runs, and asks whether
other seeds could give as large a difference: the permutation test of chapter 10 on the accuracies of the runs, over
every way to deal out the names. With five runs each that takes all five of the one above all five of the other (2 of
252 ways, p = 0.008). The second looks at the images, and asks whether other test images could: for each image, how many
more runs of the one recipe were right on it than of the other. The mean of these differences over its standard error is
held against the normal distribution, in both directions. With one run each that is nearly McNemar's test.
"""

import csv
import json
import math
from itertools import combinations

import numpy as np

from cnnlib.capstone import SLACK

LEVEL = 0.01  # p below which two recipes have different ranks
COSTS = {"parameters": "parameters", "macs": "MACs for one image", "work": "MACs in the forward passes of a run"}
RULE = (
    "Two recipes have different ranks only if p < 0.01 in two tests: a permutation test over the runs (other seeds?) "
    "and a paired test over the test images (other images?). Recipes that share a rank cannot be told apart. Behind ± "
    "stands the standard error of the accuracy over images and seeds."
)


def report_card(output, case):
    """The report card of one recipe, from what `cnnlib.capstone.retrain` gave on a Case.

    Returns a dict of plain numbers, lists and texts; the teachers' page describes it.
    Raises ValueError, in a sentence, if the output is not of that form.
    Provided.
    """
    if not isinstance(output, dict) or not {"labels", "curve", "seconds", *COSTS} <= set(output):
        raise ValueError("what came back is not what `retrain` gives")
    labels = np.asarray(output["labels"])
    if labels.shape != (len(case.inputs["seeds"]), len(case.secret)) or labels.dtype.kind not in "iu":
        raise ValueError(f"want a class index for each run and image, got an array {labels.shape} of {labels.dtype}")
    right = labels == case.secret
    runs = right.mean(axis=1)
    return {
        "source": case.source,
        "images": right.shape[1],
        "runs": [float(share) for share in runs],
        "accuracy": float(right.mean()),
        "over_images": float(math.sqrt(right.mean() * (1 - right.mean()) / right.shape[1])),
        "over_seeds": float(runs.std(ddof=1)) if len(runs) > 1 else None,
        **{key: float(np.max(output[key])) for key in COSTS},
        "seconds": float(np.mean(output["seconds"])),
        "curve": np.asarray(output["curve"], float).mean(axis=0).tolist(),
        "right": "".join(map(str, right.sum(axis=0))),
    }


def over(card, budget):
    """What to say of a card whose recipe costs more than the budget allows, or None. Provided."""
    for key, name in COSTS.items():
        if not card[key] <= budget[key] * (SLACK if key == "work" else 1):
            return f"over budget: {card[key]:,.0f} {name}, and {budget[key]:,} are allowed."
    return None


def curve_of(card):
    """The learning curve of a card in words. Provided."""
    return ", ".join(f"{100 * share:.0f}" for share in card["curve"]) + " % of the images held out, after each epoch"


def described(card):
    """A card as [(what, text), ...]. Provided."""
    runs = ", ".join(f"{100 * share:.1f}" for share in card["runs"])
    seeds = "" if card["over_seeds"] is None else f"; standard deviation over seeds {100 * card['over_seeds']:.1f}"
    costs = f"{card['parameters']:,.0f} parameters; {card['macs'] / 1e6:.2f} million MACs for one image; "
    costs += f"{card['work'] / 1e9:.1f} billion MACs in the forward passes of a run"
    return [
        ("Accuracy", f"{100 * card['accuracy']:.1f} % of {card['images']:,} test images ({card['source']})"),
        ("Runs", f"{runs} %"),
        ("Uncertainty", f"standard error over images {100 * card['over_images']:.1f}{seeds} (in percentage points)"),
        ("Costs", costs),
        ("Time", f"{card['seconds']:.0f} seconds of processor time for a run, on the machine that graded it"),
        ("Learning curve", curve_of(card)),
    ]


def lines(card):
    """A card as lines of text. Provided."""
    return [f"{term + ':':16}{text}" for term, text in described(card)]


def p_of_runs(a, b):
    """The share of all ways to deal out the names of runs that give as large a difference of the means as the real one.

    a, b: accuracies, one a run    Provided.
    """
    both, n = np.array([*a, *b]), len(a)
    total, real = both.sum(), abs(np.mean(a) - np.mean(b))
    sums = np.array([both[list(chosen)].sum() for chosen in combinations(range(len(both)), n)])
    apart = abs(sums / n - (total - sums) / (len(both) - n))
    return float((apart >= real - 1e-9).mean())


def p_of_images(a, b):
    """How probable as large a difference would be if on average as many runs of both were right on an image.

    a, b: for each image, the share of runs that were right, in the same order of images    Provided.
    """
    differences = np.asarray(a) - np.asarray(b)
    spread = differences.std() / math.sqrt(len(differences))
    if spread == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    return math.erfc(abs(differences.mean()) / spread / math.sqrt(2))


def p_value(one, other):
    """The larger of the two p-values for two cards: small only if neither seeds nor images explain the difference.

    Provided.
    """
    shares = [np.array([int(digit) for digit in card["right"]]) / len(card["runs"]) for card in (one, other)]
    return max(p_of_runs(one["runs"], other["runs"]), p_of_images(*shares))


def leaderboard(cards):
    """The ranks of a class, best first: a list of (rank, name, card).

    cards: [(name, card), ...], all of the same test images. An entry opens a new rank only if p < 0.01 between it and
    the first of the rank above; otherwise it shares that rank.
    Provided.
    """
    board, first = [], None
    for place, (name, card) in enumerate(sorted(cards, key=lambda entry: (-entry[1]["accuracy"], entry[0])), 1):
        if first is None or p_value(first, card) < LEVEL:
            rank, first = place, card
        board.append((rank, name, card))
    return board


def cards_of(results):
    """[(notebook, card), ...] of the Results that have one. Provided."""
    return [(result.notebook, q.card) for result in results for q in result.questions if q.card and q.score]


def read_cards(paths):
    """The cards in records that `grade --record` wrote with one seed: [(notebook, card), ...].

    Raises ValueError, in a sentence, for what is no such record, or if their seeds differ.
    Provided.
    """
    cards, seeds = {}, {}
    for path in paths:
        try:
            whole = json.loads(path.read_text(encoding="utf-8"))
            seeds[whole["seed"]] = path
            asked = [(entry["notebook"], q) for entry in whole["notebooks"] for q in entry["questions"]]
            cards |= {name: q["card"] for name, q in asked if q.get("card") and q["score"]}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(f"{path} is no record of `python -m cnnlib grade --record`.") from None
    if len(seeds) > 1:
        raise ValueError(f"{' and '.join(map(str, seeds.values()))} have different seeds: grade all with one --seed.")
    if not cards:
        raise ValueError("there is no report card in it: was the capstone graded, and did anybody score?")
    return list(cards.items())


def row(entry):
    """An entry of a leaderboard as texts. Provided."""
    rank, name, card = entry
    seeds = (card["over_seeds"] or 0) / math.sqrt(len(card["runs"]))
    sure = f"{100 * card['accuracy']:.1f} % ± {100 * math.hypot(card['over_images'], seeds):.1f}"
    millions = f"{card['macs'] / 1e6:.2f} million"
    return [str(rank), name, sure, f"{card['parameters']:,.0f}", millions, f"{card['work'] / 1e9:.1f} billion"]


HEAD = ("Rank", "Notebook", "Accuracy", "Parameters", "MACs for one image", "MACs in training")


def write_csv(board, path):
    """Write a leaderboard as a table. Provided."""
    from cnnlib.grading.report import quoted

    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(HEAD)
        rows.writerows([quoted(text) for text in row(entry)] for entry in board)
