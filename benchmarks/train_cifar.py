"""Time a step of ResNet-18 the book's way and the usual way: `python benchmarks/train_cifar.py`.

Data are included. The usual way is the loop of many tutorials: a DataLoader with two workers, torchvision's transforms
on each image (crop, flip, ToTensor, Normalize), float32, PyTorch's default memory order. The book's way is
`cnnlib.train.fit`: crop and flip on whole batches, bfloat16, channels last, memory kept between steps. Both train the
same network on batches of 128 images of 32x32.

Each way has a process of its own, and the two take turns in blocks of a few steps. Beside each block of the book's
stands the rate of a 2048x2048 matrix product in bfloat16, in the same process: the share of it that a step reaches
counts the multiply-adds of the network's layers, 3 x 555,422,720 an image (forward, and twice that backward), and
nothing else. That product reads its operands from cache; batch normalization and ReLU, which read and write memory,
are in the step's time and not in its count. Where bfloat16 does not pay, both are in float32.

`--fast` times a step of chapter 14's FastNet on 250 images of 24 and of 32 pixels a side: as the book does it, and
with one thing changed: the usual memory order, the other precision, torch.compile (whose first call is told apart), in
turns. The other precision is bfloat16 where the book would not take it. `--json PATH` writes what was found.
`--whole` trains the recipe cifar10-fast from a seed that no record uses, and prints the seconds of training and what
the network scores on the test images, plain and over six views.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from cnnlib import recipes
from cnnlib.augment import crop, flip
from cnnlib.data import load, to_float
from cnnlib.ledger import ledger
from cnnlib.machine import bfloat16_pays, processor
from cnnlib.models import FastNet, resnet18
from cnnlib.recipes import CIFAR
from cnnlib.train import Config, evaluate, fit, keep_memory, predict_averaged, seeded

MACS = 555_422_720  # of one image, forward
BATCH = 128
FAST_BATCH = 250  # images of a step of FastNet
BOOK = Config(epochs=1, batch_size=BATCH, optimizer="sgd", lr=0.01, label_smoothing=0.1, precision="bfloat16")


def book(steps):
    """A function that takes so many steps, and one that measures the rate of a matrix product."""
    count = steps * BATCH
    images, model = load("cifar10", "train"), resnet18()
    x = torch.from_numpy(to_float(images.images[:count], CIFAR["mean"], CIFAR["std"]))
    y = torch.from_numpy(images.labels[:count]).long()
    keep_memory()

    def augment(x, generator):
        return flip(crop(x, 4, generator=generator), generator=generator)

    return lambda: fit(model, x, y, BOOK, augment=augment), product


def product():
    """Operations a second of a large matrix product, in bfloat16 where it pays, else in float32."""
    a = torch.randn(2048, 2048).to(torch.bfloat16 if bfloat16_pays() else torch.float32)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)


def fast(blocks):
    """What a step of FastNet takes, and with one thing changed, in turns: a dict for a JSON file."""
    keep_memory()
    book = {"order": torch.channels_last, "half": bfloat16_pays()}
    ways = {
        "as in the book": {},
        "the usual memory order": {"order": torch.contiguous_format},
        "bfloat16" if not book["half"] else "float32": {"half": not book["half"]},
        "torch.compile": {"compile": True},
    }
    found = {"processor": processor(), "threads": torch.get_num_threads(), "torch": torch.__version__, "sides": {}}
    for side in (24, 32):
        steps = {name: fast_step(side, **{**book, **way}) for name, way in ways.items()}
        first = {name: timed(step) for name, step in steps.items()}
        turns = [{name: timed(step) for name, step in steps.items()} for _ in range(blocks)]
        seconds = statistics.median(turn["as in the book"] for turn in turns)
        operations = 6 * ledger(FastNet(), (3, side, side)).macs * FAST_BATCH
        found["sides"][str(side)] = {
            "ms an image": 1e3 * seconds / FAST_BATCH,
            "share of a matrix product": operations / seconds / product(),
            "ways": {name: against_book(name, turns) | {"first call": first[name]} for name in ways},
        }
    return found


def against_book(name, turns):
    """A way's seconds by those of the book's in the same turn: the median and the band."""
    ratios = [turn[name] / turn["as in the book"] for turn in turns]
    return {"ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def show_fast(found):
    """Print what fast has found."""
    print(f"{found['processor']}, {found['threads']} threads, PyTorch {found['torch']}")
    for side, entry in found["sides"].items():
        share = entry["share of a matrix product"]
        print(f"{side}x{side}: {entry['ms an image']:.2f} ms an image, {share:.0%} of the rate of a matrix product")
        for name, row in entry["ways"].items():
            band = f"({row['lowest']:.2f} to {row['highest']:.2f})"
            print(f"  {name:22} {row['ratio']:6.2f} of the book's time {band}, first call {row['first call']:.1f} s")


def fast_step(side, *, order, half, compile=False):
    """A training step of FastNet on FAST_BATCH random images, as a function."""
    net = seeded(FastNet, 0).to(memory_format=order)
    x, y = torch.randn(FAST_BATCH, 3, side, side).contiguous(memory_format=order), torch.arange(FAST_BATCH) % 10
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    run = torch.compile(net) if compile else net

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = run(x)
        optimizer.zero_grad()
        F.cross_entropy(logits.float(), y).backward()
        optimizer.step()

    return step


def timed(step):
    """The seconds of a call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def whole(seed=1000):
    """Train the recipe cifar10-fast once; print its seconds and what it scores."""
    (x, y, _), (test_x, test_y, _) = (recipes.tensors("cifar10-fast", split) for split in ("train", "test"))
    model, history = recipes.start("cifar10-fast", seed, x=x, y=y, progress=True)
    averaged = (predict_averaged(model, test_x).argmax(1) == test_y).double().mean().item()
    plain = evaluate(model, test_x, test_y)["accuracy"]
    print(f"{sum(entry['seconds'] for entry in history):.0f} s: plain {plain:.2%}, over six views {averaged:.2%}")


def usual(steps):
    """The same with the tutorials' loop."""
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    from cnnlib.torchvision import transforms

    class Photos(Dataset):
        """What torchvision's datasets.CIFAR10 does, on the arrays that are already here."""

        def __init__(self):
            self.images = load("cifar10", "train")
            self.transform = transforms.Compose(
                [
                    transforms.RandomCrop(32, padding=4),
                    transforms.RandomHorizontalFlip(),
                    transforms.ToTensor(),
                    transforms.Normalize(CIFAR["mean"], CIFAR["std"]),
                ]
            )

        def __len__(self):
            return len(self.images.labels)

        def __getitem__(self, i):
            return self.transform(Image.fromarray(self.images.images[i])), int(self.images.labels[i])

    model = resnet18()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    loader = DataLoader(Photos(), batch_size=BATCH, shuffle=True, num_workers=2)
    batches = iter(loader)  # the workers go on from block to block, a few batches ahead

    def run():
        model.train()
        for _ in range(steps):
            x, y = next(batches)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    return run, None


def work(way, steps):
    """A worker: for each line it reads, take the steps and answer with images and operations a second."""
    run, product = {"book": book, "usual": usual}[way](steps)
    run()
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        answer = {"images": steps * BATCH / (time.perf_counter() - start)}
        if product:
            answer["product"] = product()
        print(json.dumps(answer), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="steps in a block")
    parser.add_argument("--fast", action="store_true", help="time FastNet's step instead")
    parser.add_argument("--json", help="with --fast: write what was measured here as well")
    parser.add_argument("--whole", action="store_true", help="train cifar10-fast once instead")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return work(args.worker, args.steps)
    if args.fast:
        show_fast(found := fast(args.blocks))
        if args.json:
            Path(args.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return None
    if args.whole:
        return whole()
    command = [sys.executable, __file__, "--steps", str(args.steps), "--worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = {way: subprocess.Popen([*command, way], **pipes) for way in ("book", "usual")}
    answers = {way: [] for way in workers}
    for _ in range(args.blocks):
        for way, worker in workers.items():
            print(file=worker.stdin, flush=True)
            answers[way].append(json.loads(worker.stdout.readline()))
    for worker in workers.values():
        worker.kill()
        worker.wait()
    print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}, {args.blocks} blocks of {args.steps} steps")
    for way, rows in answers.items():
        rates = [row["images"] for row in rows]
        print(f"{way:<6} {statistics.median(rates):6.0f} images a second ({min(rates):.0f} to {max(rates):.0f})")
    ratios = [b["images"] / u["images"] for b, u in zip(*answers.values(), strict=True)]
    shares = [6 * MACS * row["images"] / row["product"] for row in answers["book"]]
    products = [row["product"] / 1e9 for row in answers["book"]]
    print(f"book / usual      {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"matrix product    {statistics.median(products):.0f} GFLOP a second")
    print(f"share of it       {statistics.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})")


if __name__ == "__main__":
    main()
