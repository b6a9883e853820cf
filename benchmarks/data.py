"""Time augmentation on whole tensors beside torchvision's v2 transforms: `python benchmarks/data.py`.

Three ways to turn uint8 images into augmented, normalized float32 batches of 128, on the same images, on one thread:
cnnlib (`to_float` once, then crop and flip on whole batches), v2 on single tensors (one call an image, as a Dataset
does it) and v2 on whole batches (one draw for all 128 images: quick, but every image of a batch gets the same crop).
They take turns in one process; a figure is the median over the blocks. Reading the file is timed apart.
"""

import argparse
import statistics
import time

import torch

from cnnlib.augment import crop, flip
from cnnlib.data import load, to_float
from cnnlib.torchvision import v2

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
BATCH = 128


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--batches", type=int, default=20, help="batches in a block")
    args = parser.parse_args()
    torch.set_num_threads(1)

    read = seconds(lambda: load("cifar10", "train"))
    images = load("cifar10", "train")
    print(f"{images.source}: {len(images.labels):,} images read and verified in {read:.2f} s")
    count = min(args.batches * BATCH, len(images.labels))
    raw = torch.from_numpy(images.images[:count]).permute(0, 3, 1, 2).contiguous()
    chain = v2.Compose(
        [
            v2.RandomCrop(32, padding=4, padding_mode="reflect"),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    x = torch.from_numpy(to_float(images.images[:count], MEAN, STD))

    def ours():
        for batch in x.split(BATCH):
            flip(crop(batch, 4))

    def single():
        for batch in raw.split(BATCH):
            torch.stack([chain(image) for image in batch])

    def whole():
        for batch in raw.split(BATCH):
            chain(batch)

    ways = {
        "cnnlib, to_float once": lambda: to_float(images.images[:count], MEAN, STD),
        "cnnlib, crop and flip": ours,
        "v2, image by image": single,
        "v2, one draw a batch": whole,
    }
    times = {way: [] for way in ways}
    for run in ways.values():
        run()
    for _ in range(args.blocks):
        for way, run in ways.items():
            times[way].append(seconds(run))
    medians = {way: statistics.median(t) for way, t in times.items()}
    for way, median in medians.items():
        print(f"{way:<22} {count / median:10,.0f} images a second, {50_000 * median / count:6.2f} s for 50,000")
    ratios = [s / o for s, o in zip(times["v2, image by image"], times["cnnlib, crop and flip"], strict=True)]
    print(f"v2 image by image / cnnlib: {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
