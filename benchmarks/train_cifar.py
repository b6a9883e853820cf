"""Time a step of ResNet-18 the book's way and the usual way: `python benchmarks/train_cifar.py`.

Data are included. The usual way is the loop of many tutorials: a DataLoader with two workers, torchvision's transforms
on each image (crop, flip, ToTensor, Normalize), float32, PyTorch's default memory order. The book's way is
`cnnlib.train.fit`: crop and flip on whole batches, bfloat16, channels last, memory kept between steps. Both train the
same network on batches of 128 images of 32x32.

Each way has a process of its own, and the two take turns in blocks of a few steps. Beside each block of the book's
stands the rate of a 2048x2048 matrix product in bfloat16, in the same process: the share of it that a step reaches
counts the multiply-adds of the network's layers, 3 x 555,422,720 an image (forward, and twice that backward), and
nothing else. That product reads its operands from cache; batch normalization and ReLU, which read and write memory,
are in the step's time and not in its count.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

from cnnlib.augment import crop, flip
from cnnlib.data import load, to_float
from cnnlib.models import resnet18
from cnnlib.recipes import CIFAR
from cnnlib.train import Config, fit, keep_memory

MACS = 555_422_720  # of one image, forward
BATCH = 128
BOOK = Config(epochs=1, batch_size=BATCH, optimizer="sgd", lr=0.01, label_smoothing=0.1, precision="bfloat16")


def book(steps):
    """A function that takes so many steps, and one that measures the rate of a matrix product."""
    count = steps * BATCH
    images, model = load("cifar10", "train"), resnet18()
    x = torch.from_numpy(to_float(images.images[:count], CIFAR["mean"], CIFAR["std"]))
    y = torch.from_numpy(images.labels[:count]).long()
    a = torch.randn(2048, 2048).bfloat16()
    keep_memory()

    def product():
        times = []
        for _ in range(10):
            start = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - start)
        return 2 * 2048**3 / min(times)

    def augment(x, generator):
        return flip(crop(x, 4, generator=generator), generator=generator)

    return lambda: fit(model, x, y, BOOK, augment=augment), product


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
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args.steps)
        return
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
    print(f"bfloat16 product  {statistics.median(products):.0f} GFLOP a second")
    print(f"share of it       {statistics.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})")


if __name__ == "__main__":
    main()
