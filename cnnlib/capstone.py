"""The capstone: every recipe is trained by this module, from seeds that its author has not seen, under one budget."""

import time
from collections import Counter
from dataclasses import dataclass, fields, replace

IMAGES = 10_000  # a recipe learns from the first so many of the train split
HELD_OUT = 1_000  # the next so many are measured after each epoch, for the curve
SLACK = 1.001  # of the work in a run: fit looks at two images of each size before it begins
SAME = 0.5  # correlation of the weights from two seeds from which on they count as the same
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of CIFAR-10's training pixels, on the scale 0 to 1


@dataclass(frozen=True)
class Budget:
    """What a recipe may cost.

    Provided.
    """

    parameters: int = 200_000
    macs: int = 5_000_000  # multiply-adds for one image of 32x32, as cnnlib.ledger counts them
    work: int = 60_000_000_000  # multiply-adds of all forward passes of one training run
    seconds: float = 120  # of one run, all processor cores together: a generous stop, for what MACs do not show


BUDGET = Budget()


def count(n):
    """How many of n training images a recipe learns from: 10,000 of CIFAR-10's, ten elevenths of fewer.

    Provided.
    """
    return min(IMAGES, n * IMAGES // (IMAGES + HELD_OUT))


def costs(build, config):
    """What a recipe costs, found without training it.

    build: a function without arguments that makes the network    config: train.Config
    Returns {"parameters", "macs": for one image of 32x32 in evaluation mode, "work": MACs of all forward passes of a
    training run on 10,000 images, each in training mode and at the size that its images have then}.
    Raises ValueError if build makes no network for such images, or the settings are none.
    Provided.
    """
    import torch

    from cnnlib.ledger import Meter, ledger
    from cnnlib.train import seeded, small_sides

    config, net = settings(config), network(build, 0)
    book, work = ledger(net, (3, 32, 32)), 0
    for side, epochs in Counter(side or 32 for side in small_sides(config)).items():
        with Meter() as meter, torch.no_grad():
            seeded(lambda side=side: net(torch.zeros(2, 3, side, side)), 0)
        work += meter.macs // 2 * epochs * IMAGES
    return {"parameters": book.parameters, "macs": book.macs, "work": work}


def retrain(build, config, augment, images, seeds, budget=BUDGET):
    """Train a recipe from each of several seeds and let each network name the classes of images.

    build: a function without arguments that makes the network; its weights are drawn anew for each seed
    config: train.Config; everything is computed in float32    augment: see train.fit, or None
    images: (N, 32, 32, 3) uint8    seeds: whole numbers
    Returns what `costs` returns, with "work" as it was counted in each run, (S,), and besides "seconds" of processor
    time (S,), "curve" (S, epochs), the accuracy on training images held out, 0 to 1, and "labels" (S, N).
    Raises ValueError, before anything is trained, if the recipe is over the budget or draws its weights from no seed;
    afterwards if a run does more work than the budget allows or takes longer, or if what the network says of an image
    depends on the other images of its batch.
    Provided.
    """
    import numpy as np

    from cnnlib import train

    config, found = settings(config), costs(build, config)
    check_budget(found, budget)
    check_seeds(build, int(seeds[0]))
    x, y, held_out = examples()
    told = {**found, "work": [], "seconds": [], "curve": [], "labels": []}
    for seed in map(int, seeds):
        net, start = network(build, seed), time.process_time()
        model, meter, metered_augment = metered(net, augment, budget)
        history = train.fit(model, x, y, config, seed=seed, augment=metered_augment, validation=held_out)
        told["work"].append(meter.macs)
        told["seconds"].append(time.process_time() - start)
        told["curve"].append([entry["val_accuracy"] for entry in history])
        told["labels"].append(classes(net, images))
    return {key: np.array(value) for key, value in told.items()}


def settings(config):
    """The settings of a recipe, checked, in float32 and in Python's own numbers.

    Raises ValueError if they are no train.Config or one of them cannot be.
    Provided.
    """
    from cnnlib.checks import check_config, plain_sides
    from cnnlib.train import Config

    if type(config) is not Config:
        raise ValueError(f"CONFIG is a {type(config).__name__}: settings are made by Config(epochs=3, ...).")
    check_config(config)
    kinds = {field.name: field.type for field in fields(Config)} | {"small_size": plain_sides}
    plain = {name: kind(getattr(config, name)) for name, kind in kinds.items()}
    return replace(Config(**plain), precision="float32")


def network(build, seed):
    """The network that a recipe begins with when torch's generator is set to a seed.

    Raises ValueError if build makes none.
    Provided.
    """
    import torch

    from cnnlib.checks import check_network
    from cnnlib.train import seeded

    if isinstance(build, torch.nn.Module) or not callable(build):
        raise ValueError(f"build is a {type(build).__name__}: it must be a function that makes the network.")
    net = seeded(build, seed)
    check_network(net)
    return net


def check_budget(found, budget):
    """Raise ValueError, with both numbers, if a recipe costs more than the budget allows.

    found: as `costs` gives it
    Provided.
    """
    words = {"parameters": "parameters", "macs": "MACs for one image", "work": "MACs in the forward passes of a run"}
    for key, name in words.items():
        if found[key] > getattr(budget, key):
            raise ValueError(f"over budget: {found[key]:,} {name}, and {getattr(budget, key):,} are allowed")


def check_seeds(build, seed):
    """Raise ValueError if the weights of two seeds are alike: a network that was trained before, or one lucky draw.

    Weights that take one or two values (zeros, ones, a kernel that is the identity) may be the same.
    Provided.
    """
    import torch

    pairs = zip(network(build, seed).named_parameters(), network(build, seed + 1).parameters(), strict=True)
    for (name, one), other in pairs:
        if len(one.unique()) > 2:
            alike = torch.corrcoef(torch.stack([one.flatten(), other.flatten()]).detach().double())[0, 1]
            if alike.abs() > SAME and (one.numel() >= 32 or torch.equal(one, other)):
                raise ValueError(
                    f"build gives {name} the same weights, or nearly, for two seeds: draw them from torch's generator"
                )


def examples():
    """The training images and their labels, and those held out for the curve: x, y, (x, y), ready for a network.

    Provided.
    """
    import torch

    from cnnlib.data import load, to_float

    found = load("cifar10", "train")
    n = count(len(found.labels))
    x = torch.from_numpy(to_float(found.images[: n + HELD_OUT], MEAN, STD))
    y = torch.from_numpy(found.labels[: n + HELD_OUT]).long()
    return x[:n], y[:n], (x[n:], y[n:])


def metered(net, augment, budget):
    """A network and an augmentation that count what they do in training, and stop when the budget is spent.

    Returns the network in its wrapper, the ledger.Meter, and the augmentation, None if there is none.
    Provided.
    """
    import torch

    from cnnlib.ledger import Meter

    meter, start = Meter(), time.process_time()

    class Metered(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            if not self.training:
                return self.net(x)
            with meter:
                y = self.net(x)
            if meter.macs > SLACK * budget.work:
                raise ValueError(f"over budget: more than {budget.work:,} MACs in the forward passes of a run")
            if time.process_time() - start > budget.seconds:
                raise ValueError(f"too slow: one run took more than {budget.seconds:g} seconds of processor time")
            return y

    def metered_augment(x, draw):
        with meter:
            return augment(x, draw)

    return Metered(), meter, metered_augment if callable(augment) else augment


def classes(net, images):
    """What a network says of images, as class indices (N,).

    images: (N, 32, 32, 3) uint8
    Raises ValueError if it says something else of the first of them when they come in other batches.
    Provided.
    """
    import numpy as np
    import torch

    from cnnlib.data import to_float
    from cnnlib.train import predict

    x = torch.from_numpy(to_float(np.asarray(images), MEAN, STD))
    said = predict(net, x, batch_size=500).argmax(1)
    again = predict(net, x[:256].flip(0), batch_size=60).argmax(1).flip(0)
    changed = (said[:256] != again).sum().item()
    if changed > 0.02 * len(again):
        raise ValueError(
            f"what the network says of an image depends on the rest of its batch: {changed} of {len(again)} images get "
            "another class in other company"
        )
    return said.numpy()
