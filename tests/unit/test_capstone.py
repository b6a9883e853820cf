"""The capstone's contest: what a recipe costs, what is refused, and training under the meter. On a tiny set."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from cnnlib import capstone, data
from cnnlib.capstone import BUDGET, costs, retrain
from cnnlib.data import Images
from cnnlib.ledger import ledger
from cnnlib.train import Config

N = 110  # training images: 100 to learn from
CONFIG = Config(epochs=2, batch_size=50, lr=0.01)
SEEDS = (3, 4)
NOISE = np.random.default_rng(5).integers(0, 256, (300, 32, 32, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def tiny_set(monkeypatch):
    """In the place of CIFAR-10: a bright stripe tells the class. Returns more such images, and their labels."""

    def make(n, seed):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 10, n).astype(np.uint8)
        images = rng.integers(0, 100, (n, 32, 32, 3)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[:, 3 * label : 3 * label + 3] += 100
        return images, labels

    monkeypatch.setattr(data, "load", lambda name, split: Images(*make(N, 0), tuple("0123456789"), "stand-in: tiny"))
    return make(300, 1)


def build():
    """A recipe's network."""
    return nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(128, 10))


def of_exercise_17_1():
    """The network that exercise 17.1 counts on paper, but for its ReLUs."""
    layers = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def test_costs_are_those_counted_by_hand():
    small_first = replace(CONFIG, epochs=5, small_epochs=3, small_size=24)
    found = costs(of_exercise_17_1, small_first)
    assert costs(of_exercise_17_1, replace(small_first, small_size=(24, 24, 24))) == found
    assert found == {"parameters": 5_418, "macs": 1_622_336, "work": 10_000 * (2 * 1_622_336 + 3 * 912_704)}


def test_training_is_counted_and_measured_and_each_seed_is_another_run(tiny_set):
    images, labels = tiny_set
    told = retrain(build, replace(CONFIG, epochs=15), None, images, SEEDS)
    macs = ledger(build(), (3, 32, 32)).macs
    assert told["parameters"] == sum(p.numel() for p in build().parameters())
    assert told["macs"] == macs
    assert (told["work"] == macs * 15 * 100).all()
    assert told["labels"].shape == (2, 300)
    assert told["curve"].shape == (2, 15)
    assert (told["seconds"] > 0).all()
    one, other = retrain(build, CONFIG, None, NOISE, SEEDS)["labels"]
    assert (one != other).any()
    assert (told["labels"] == labels).mean() > 0.5  # it has learned the stripes


def test_what_augmentation_multiplies_is_work_too(tiny_set):
    kernel = torch.ones(3, 1, 3, 3) / 9

    def blur(x, draw):
        return nn.functional.conv2d(x, kernel, padding=1, groups=3)

    plain, blurred = (retrain(build, CONFIG, augment, tiny_set[0], SEEDS[:1])["work"][0] for augment in (None, blur))
    assert blurred - plain >= 200 * 27 * 1024


class Growing(nn.Module):
    """Does little until it has been called some times."""

    def __init__(self):
        super().__init__()
        self.net, self.calls = build(), 0

    def forward(self, x):
        self.calls += 1
        return sum(self.net(x) for _ in range(self.calls))


def one_network():
    """The same weights for every seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def pretrained():
    """Nearly the same weights for every seed."""
    net, fixed = build(), torch.linspace(-1, 1, 1280).view(10, 128)
    net[3].weight.data = fixed + 0.1 * net[3].weight.data
    return net


def company():
    """A network that normalizes by the batch in evaluation mode, too."""
    return nn.Sequential(build()[0], nn.BatchNorm2d(8, track_running_stats=False), *build()[2:])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget": replace(BUDGET, parameters=1_000)}, r"over budget: 2,850 parameters, and 1,000 are allowed"),
        ({"budget": replace(BUDGET, macs=1_000)}, r"over budget: 25,856 MACs for one image"),
        ({"budget": replace(BUDGET, work=10**8)}, r"over budget: 517,120,000 MACs in the forward passes of a run"),
        ({"build": Growing, "budget": replace(BUDGET, work=10**9), "config": replace(CONFIG, batch_size=1)}, "over"),
        ({"budget": replace(BUDGET, seconds=0)}, "too slow: one run took more than 0 seconds of processor time"),
        ({"build": one_network}, "the same weights, or nearly, for two seeds"),
        ({"build": pretrained}, r"build gives 3\.weight the same weights"),
        ({"build": company, "images": NOISE}, "depends on the rest of its batch"),
        ({"build": build()}, "it must be a function that makes the network"),
        ({"build": lambda: 1}, "it must be a network"),
        ({"config": {"epochs": 1}}, "CONFIG is a dict"),
        ({"config": Config(epochs=0)}, "epochs is 0"),
        ({"augment": 1}, "augment is a int"),
    ],
)
def test_what_is_refused_and_why(change, says, tiny_set):
    recipe = {"build": build, "config": CONFIG, "augment": None, "images": tiny_set[0], "seeds": SEEDS, **change}
    with pytest.raises(ValueError, match=says):
        retrain(**recipe)


def test_weights_that_are_all_zero_or_one_may_be_the_same_for_all_seeds(tiny_set):
    def zero():
        net = build()
        net[3].weight.data.zero_()
        return net

    assert retrain(zero, CONFIG, None, tiny_set[0], SEEDS[:1])["labels"].shape == (1, 300)


def test_a_tenth_and_more_is_held_out_of_a_small_set():
    assert [capstone.count(n) for n in (50_000, 11_000, 2_000, 110)] == [10_000, 10_000, 1_818, 100]
