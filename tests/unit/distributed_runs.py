"""What test_distributed.py runs in one process and, by torchrun, in two: `distributed_runs.py cases|recipe FOLDER`."""

import contextlib
import io
import os
import signal
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import __main__, distributed, recipes, train
from cnnlib.data import Images
from cnnlib.distributed import add_up, join, spread, together
from cnnlib.train import Config, evaluate, fit, seeded


def examples(n, *, seed=0):
    """Images of a bright bar in one of four places: (n, 1, 8, 6) float64 and (n,)."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (n,), generator=generator)
    x = 0.5 * torch.randn(n, 1, 8, 6, generator=generator, dtype=torch.float64)
    for k, label in enumerate(y):
        x[k, 0, 2 * label : 2 * label + 2] += 1
    return x, y


def jitter(x, generator):
    """The images with noise that is drawn for the whole batch."""
    return x + 0.1 * torch.randn(x.shape, generator=generator, dtype=x.dtype)


class Small(nn.Module):
    """A network of every kind of layer that is used in the course: its batch may not be reshaped if it is empty."""

    def __init__(self, *, batch_norm=False, dropout=0.0):
        super().__init__()
        bias = not batch_norm  # before it a bias gets a gradient of 0 and some rounding
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, bias=bias)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=bias)
        self.norm1 = nn.BatchNorm2d(4) if batch_norm else nn.Identity()
        self.norm2 = nn.BatchNorm2d(4, momentum=None) if batch_norm else nn.Identity()
        self.norm3 = nn.BatchNorm1d(5) if batch_norm else nn.Identity()
        self.drop1, self.drop2 = nn.Dropout(dropout), nn.Dropout(dropout)
        self.fc1, self.fc2 = nn.Linear(48, 5, bias=bias), nn.Linear(5, 4)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        x = self.drop1(x + self.norm2(self.conv2(x)))
        x = F.max_pool2d(x, 2)
        x = self.norm3(self.fc1(x.reshape(len(x), -1)))
        return self.fc2(self.drop2(F.relu(x)))


CASES = {  # 13 images in batches of 5: shares of 2 and 3, and at the end of 1 and 2; 9 in batches of 4 leave one alone
    "plain": {"n": 13, "config": Config(epochs=2, batch_size=5, lr=0.05)},
    "one image alone": {"n": 9, "config": Config(epochs=2, batch_size=4, lr=0.05, optimizer="sgd")},
    "batch norm": {"n": 13, "config": Config(epochs=2, batch_size=5, lr=0.05, optimizer="sgd"), "batch_norm": True},
    "sgd, smoothing": {"n": 13, "config": Config(epochs=1, batch_size=7, optimizer="sgd", label_smoothing=0.2)},
    "dropout": {"n": 13, "config": Config(epochs=1, batch_size=5, lr=0.05), "dropout": 0.5, "batch_norm": True},
    "a frozen part": {
        "n": 13,
        "config": Config(epochs=1, batch_size=5, optimizer="sgd"),
        "batch_norm": True,
        "frozen": True,
    },
    "evaluation mode": {
        "n": 13,
        "config": Config(epochs=1, batch_size=5, optimizer="sgd"),
        "batch_norm": True,
        "asleep": True,
    },
}


def train_case(n, config, *, frozen=False, asleep=False, **options):
    """Train a network on n images, with augmentation and images held out; what came of it."""
    model = seeded(lambda: Small(**options), 0).double()
    if frozen:
        model.norm1.eval()
        model.conv1.requires_grad_(False)
    if asleep:
        model.eval()
    history = fit(model, *examples(n), config, seed=3, augment=jitter, validation=examples(7, seed=9), keep="best")
    modes = [module.training for module in model.modules()]
    return {"state": model.state_dict(), "history": history, "modules": str(model), "modes": modes}


def gradients_of_12_and_1():
    """The gradients that DistributedDataParallel leaves when the first process has 12 images and the second one."""
    x, y = examples(13)
    network, share = spread(seeded(Small, 0).double()), distributed.share
    distributed.share = lambda n, here: slice(0, 12) if here.rank == 0 else slice(12, 13)
    F.cross_entropy(network(x), y).backward()
    distributed.share = share
    return [p.grad for p in network.parameters()]


def summed(rank):
    """A sum over the processes of 1 and 2, of which one process takes 10 times the copy, the other 20 times."""
    x = torch.tensor(rank + 1.0, requires_grad=True)
    total = add_up(x)
    (10 * (rank + 1) * total).backward()
    return {"value": total.item(), "gradient": x.grad.item()}


def order_of_images():
    """For each of two epochs the images that the network is shown, by their number."""
    x, y = examples(13)
    x[:, 0, 0, 0] = torch.arange(13)
    seen = []

    def look(images, generator):
        seen.extend(images[:, 0, 0, 0].long().tolist())
        return images

    fit(seeded(Small, 0).double(), x, y, Config(epochs=2, batch_size=5), augment=look)
    return [seen[-26:-13], seen[-13:]]  # before that, fit has tried the first images


def nan():
    """The words with which a run ends whose images hold nan, in the second process's share."""
    x, y = examples(13)
    x[3] = torch.nan
    try:
        fit(seeded(Small, 0).double(), x, y, Config(epochs=1, batch_size=13))
    except FloatingPointError as error:
        return str(error)


def checkpoints(folder, rank):
    """The answer to a checkpoint of another run, and which processes read files."""
    read, original = [], train.read_checkpoint

    def noted(*args):
        read.append(rank)
        return original(*args)

    def run(seed):
        options = {"seed": seed, "checkpoint": folder / "run.pt"}
        fit(seeded(Small, 0).double(), *examples(9), Config(epochs=1, batch_size=4), **options)

    run(1)
    train.read_checkpoint = noted
    words = refused(run, 2)
    train.read_checkpoint = original
    return {"other run": words, "read by": read}


def refused(function, *args):
    """The words with which a call is refused."""
    try:
        function(*args)
    except ValueError as error:
        return str(error)


def cases(folder):
    """All that the tests look at, written to FOLDER/RANK.pt."""
    rank = int(os.environ["RANK"])
    results = {"device": refused(join, "mps")}
    results |= {name: train_case(**case) for name, case in CASES.items()}  # fit joins its world by itself
    results["gradients of 12 and 1"] = {"gradients": gradients_of_12_and_1()}
    results["sum"] = summed(rank)
    for n in (1, 2, 13, 1001):
        results[f"evaluate {n}"] = evaluate(spread(seeded(Small, 0).double()), *examples(n, seed=5))
    results |= {"order": order_of_images(), "nan": nan(), **checkpoints(folder, rank)}
    results["SyncBatchNorm"] = refused(nn.SyncBatchNorm(3), torch.ones(4, 3))
    results["pictures"] = refused(recipes.run, learns())
    with contextlib.redirect_stdout(io.StringIO()) as text, together():
        print("a word")
    results["printed"] = bool(text.getvalue())
    torch.save(results, folder / f"{rank}.pt")


def learns():
    """The name of a recipe that learns pixels or images."""
    return next(name for name, recipe in recipes.RECIPES.items() if "learns" in recipe)


def tiny():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(676, 10),
    )


def train_recipe(folder, patch, change=None):
    """python -m cnnlib train tiny, on 40 made-up images that pass for MNIST; files go into a folder."""
    entry = {"model": tiny, "arguments": {}, "data": "mnist", "mean": 0.5, "std": 0.25, "watch": False, "ship": True}
    config = Config(epochs=3, batch_size=12, lr=0.01)
    entry |= {"augment": {"crop": {"padding": 2}}, "config": config, "seeds": (7,)}
    patch.setitem(recipes.RECIPES, "tiny", entry)
    pixels = torch.randint(0, 256, (40, 28, 28), generator=torch.Generator().manual_seed(0)).to(torch.uint8).numpy()
    labels = (torch.arange(40) % 10).to(torch.uint8).numpy()
    patch.setattr(recipes, "load", lambda *_: Images(pixels, labels, tuple("0123456789"), "mnist"))
    patch.setattr(recipes.data, "cache_dir", lambda: folder / "cache")
    patch.setattr(train, "RUNS", folder)
    patch.setattr(train, "PRETRAINED", folder / "pretrained")
    (folder / "pretrained").mkdir(exist_ok=True)
    if change:
        patch.setattr(train, "forward", change(train.forward))
    return __main__.main(["train", "tiny"])


def watched(folder, kill):
    """train.forward, which leaves a mark for each step of this life and, if told, kills the second process."""
    life, rank = os.environ["TORCHELASTIC_RESTART_COUNT"], int(os.environ["RANK"])
    place = folder / "epochs" / f"{life}-{rank}"
    place.parent.mkdir(exist_ok=True)
    place.touch()

    def change(forward):
        def changed(model, x, precision="float32"):
            if model.training:
                with place.open("a") as file:
                    file.write(".")
                if kill and life == "0" and rank == 1 and len(place.read_text()) == 7:
                    (folder / "killed").write_text("epoch 2")
                    os.kill(os.getpid(), signal.SIGKILL)
            return forward(model, x, precision)

        return changed

    return change


if __name__ == "__main__":
    what, place = sys.argv[1], Path(sys.argv[2])
    if what == "cases":
        cases(place)
    else:
        import pytest

        sys.exit(train_recipe(place, pytest.MonkeyPatch(), watched(place, "kill" in sys.argv)))
