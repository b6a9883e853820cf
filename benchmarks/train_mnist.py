"""Train chapter 08's network the book's way and the usual way: `python benchmarks/train_mnist.py [--quick]`.

Both ways train the same TwoConvCNN on the same 60,000 images on the same number of threads. The usual way is the loop
of many tutorials: a Dataset that opens each image with PIL, ToTensor and Normalize on each, a DataLoader with batches
of 64, Adam at 0.001, in PyTorch's default memory order. It is stopped after the first epoch that ends with 99.0 % of
the test images right. The book's way, `cnnlib.train.fit`, has to say beforehand how long it will train, because its
learning rate ends at zero: what it scores at the end is what it scores. Its plans: one epoch and two, with label
smoothing, in float32 and in bfloat16 (quick on processors that multiply in bfloat16, slow on others), and the recipe of
chapter 08, three epochs with neither.

Seconds are those of training, without loading and without looking at the test images. Each run has a process of its
own; the two ways take turns, seed by seed. Stopping by the test set is part of asking "how long until"; no setting of
the book was chosen by it: those were chosen on 10,000 training images held out.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import torch
import torch.nn.functional as F

from cnnlib.data import load
from cnnlib.models import TwoConvCNN
from cnnlib.recipes import RECIPES, tensors
from cnnlib.train import Config, evaluate, fit, seeded

GOAL = 0.99
MOST = 12  # epochs that the usual way gets
QUICK = Config(epochs=1, batch_size=64, lr=3e-3, label_smoothing=0.1)
PLANS = {
    "1 epoch": QUICK,
    "1 epoch, bfloat16": replace(QUICK, precision="bfloat16"),
    "2 epochs, bfloat16": replace(QUICK, precision="bfloat16", epochs=2),
    "chapter 08": RECIPES["two_conv"]["config"],
}


def book(plan, seed):
    """Seconds and test accuracy of a run of the book's loop."""
    (x, y, _), (test_x, test_y, _) = tensors("two_conv", "train"), tensors("two_conv", "test")
    model = seeded(TwoConvCNN, seed)
    start = time.perf_counter()
    fit(model, x, y, PLANS[plan], seed=seed)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "epochs": PLANS[plan].epochs, "accuracy": evaluate(model, test_x, test_y)["accuracy"]}


def usual(seed):
    """Seconds, epochs and test accuracy of the tutorials' loop until the goal is reached."""
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    from cnnlib.torchvision import transforms

    class Digits(Dataset):
        """What torchvision's datasets.MNIST does, on the arrays that are already here."""

        def __init__(self, split, transform):
            self.images, self.transform = load("mnist", split), transform

        def __len__(self):
            return len(self.images.labels)

        def __getitem__(self, i):
            return self.transform(Image.fromarray(self.images.images[i])), int(self.images.labels[i])

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    train_loader = DataLoader(Digits("train", transform), batch_size=64, shuffle=True)
    test_loader = DataLoader(Digits("test", transform), batch_size=1000)
    torch.manual_seed(seed)
    model = TwoConvCNN()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    seconds, epochs, accuracy = 0.0, 0, 0.0
    while accuracy < GOAL and epochs < MOST:
        model.train()
        start = time.perf_counter()
        for x, y in train_loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        seconds += time.perf_counter() - start
        model.eval()
        with torch.no_grad():
            correct = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader)
        accuracy, epochs = correct / len(test_loader.dataset), epochs + 1
    return {"seconds": seconds, "epochs": epochs, "accuracy": accuracy}


def in_a_process(way, seed):
    """Run one way from one seed in a process of its own, and show what it says."""
    command = [sys.executable, __file__, "--run", way, str(seed)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"seed {seed}  {way:<18} {answer['seconds']:6.1f} s  {answer['epochs']} epochs  {answer['accuracy']:.2%}")
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed instead of five")
    parser.add_argument("--run", nargs=2, metavar=("WAY", "SEED"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        way, seed = args.run[0], int(args.run[1])
        print(json.dumps(usual(seed) if way == "usual" else book(way, seed)))
        return
    source = load("mnist", "test").source
    print(f"{source}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    runs = {way: [] for way in ["usual", *PLANS]}
    for seed in range(1 if args.quick else 5):
        for way, answers in runs.items():
            answers.append(in_a_process(way, seed))
    print(f"\n{'':<18} {'seconds':>8} {'test accuracy':>18} {'at 99.0 %':>10} {'usual / this':>13}")
    for way, answers in runs.items():
        seconds = statistics.median(a["seconds"] for a in answers)
        scores = [a["accuracy"] for a in answers]
        ratios = [u["seconds"] / a["seconds"] for u, a in zip(runs["usual"], answers, strict=True)]
        reached = f"{sum(s >= GOAL for s in scores)} of {len(scores)}"
        band = f"{min(scores):.2%} to {max(scores):.2%}"
        print(f"{way:<18} {seconds:8.1f} {band:>18} {reached:>10} {statistics.median(ratios):13.1f}")


if __name__ == "__main__":
    main()
