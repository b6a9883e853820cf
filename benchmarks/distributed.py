"""What a second process costs and buys: `python benchmarks/distributed.py [--rounds 3] [--epochs 6] [--json PATH]`.

`cnnlib.train.fit` takes steps of 128 images of 32x32 in one process with one thread, in one process with two threads,
and, by torchrun, in two processes with one thread each. The three take turns, a process (or two) of its own each time.
Two networks: SmallCNN, whose step is short and whose gradients are few, and ResNet-18 of a quarter of its width.

Beside that stand the bytes of the gradients, the seconds in which gloo sums so many over two processes, the seconds of
a sum of one number, and how many sums a step asks for: two in each direction for each batch normalization, one in each
for the logits, one for each bucket of gradients. From these, cnnlib.distributed.step_seconds says what a step in two
processes should take, which is held against the one that was measured, and what eight GPUs or many machines would
make of ResNet-18. The bandwidths of that part are round numbers of data sheets, not measurements.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from functools import partial

import torch
import torch.distributed as dist

from cnnlib.distributed import join, step_seconds
from cnnlib.machine import processor
from cnnlib.models import ResNet, SmallCNN, count_parameters, resnet18
from cnnlib.train import Config, fit, seeded

NETWORKS = {"SmallCNN": SmallCNN, "quarter ResNet-18": partial(ResNet, (16, 32, 64, 128), (2, 2, 2, 2))}
WAYS = {"one process, one thread": (1, 1), "one process, two threads": (1, 2), "two processes": (2, 1)}
BATCH, STEPS = 128, 4  # images of a step, steps of an epoch; the first epoch warms up and is not counted
BUCKET = 25 * 2**20  # bytes of gradients that DistributedDataParallel sums at once
STEP = {"images": 128, "seconds": 0.010}  # of ResNet-18 on one GPU: assumed, so that the table can be worked out


def worker(name, epochs):
    """In one process, or in each of those that torchrun has started: time epochs of STEPS steps, and sums."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(STEPS * BATCH, 3, 32, 32, generator=generator)
    y = torch.randint(0, 10, (len(x),), generator=generator)
    model = seeded(NETWORKS[name], 0)
    world = join()
    config = Config(epochs=epochs, batch_size=BATCH, optimizer="sgd", lr=0.01)
    seconds = [entry["seconds"] / STEPS for entry in fit(model, x, y, config)[1:]]
    found = {"step": statistics.median(seconds)}
    if world.size > 1:
        found |= {"sum": sums(count_parameters(model)), "small sum": sums(1)}
    if world.rank == 0:
        print(json.dumps(found))


def sums(count, *, times=15):
    """The median seconds in which all processes sum so many numbers in float32."""
    values, taken = torch.ones(count), []
    for _ in range(times):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(values)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[3:])


def measure(name, way, epochs):
    """Run a worker in a process of its own, or in two."""
    processes, threads = WAYS[way]
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += [__file__, "--worker", name, "--epochs", str(epochs)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def sums_of_a_step(model):
    """How many sums over the processes a step asks for."""
    norms = sum(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in model.modules())
    return 4 * norms + 2 + math.ceil(4 * count_parameters(model) / BUCKET)


def compare(name, rounds, epochs):
    """All that is measured of a network, and what the model of a step makes of it."""
    runs = [{way: measure(name, way, epochs) for way in WAYS} for _ in range(rounds)]
    model = NETWORKS[name]()
    steps = {way: statistics.median(run[way]["step"] for run in runs) for way in WAYS}
    whole, small = (statistics.median(run["two processes"][key] for run in runs) for key in ("sum", "small sum"))
    size, count = 4 * count_parameters(model), sums_of_a_step(model)
    bandwidth = size / max(whole - small, 1e-9)  # of two processes each sends 2 (2 - 1) / 2 = once the gradients
    predicted = step_seconds(steps["one process, one thread"], 2, size=size, bandwidth=bandwidth, latency=count * small)
    return {
        "seconds of a step": steps,
        "lowest and highest": {way: [f(run[way]["step"] for run in runs) for f in (min, max)] for way in WAYS},
        "bytes of gradients": size,
        "seconds of their sum": whole,
        "seconds of a small sum": small,
        "sums in a step": count,
        "bytes a second": bandwidth,
        "predicted seconds in two processes": predicted,
    }


def outlook():
    """Speed-ups of ResNet-18 by the model, with STEP's seconds on one GPU and bandwidths of data sheets."""
    size = 4 * count_parameters(resnet18())
    links = {
        "8 GPUs, NVLink, 300 GB/s": (8, 300e9, 2e-5),
        "8 GPUs, PCIe, 12 GB/s": (8, 12e9, 2e-5),
        "8 machines, 100 Gbit/s": (8, 12.5e9, 1e-4),
        "64 machines, 100 Gbit/s": (64, 12.5e9, 5e-4),
        "8 machines, 1 Gbit/s": (8, 0.125e9, 1e-3),
    }
    table = {}
    for link, (n, bandwidth, latency) in links.items():
        same = step_seconds(STEP["seconds"], n, size=size, bandwidth=bandwidth, latency=latency)
        larger = step_seconds(STEP["seconds"] * n, n, size=size, bandwidth=bandwidth, latency=latency)
        table[link] = {
            "processes": n,
            "speed-up, same batch": STEP["seconds"] / same,
            "speed-up, n times the batch": STEP["seconds"] * n / larger,
        }
    return {"assumed": STEP, "bytes of gradients": size, "links": table}


def show(found):
    """Print what was measured, as ratios."""
    for name, one in found["networks"].items():
        steps, base = one["seconds of a step"], one["seconds of a step"]["one process, one thread"]
        print(f"{name}: {one['bytes of gradients'] / 1e6:.2f} MB of gradients, {one['sums in a step']} sums in a step")
        for way, seconds in steps.items():
            low, high = (BATCH / s for s in reversed(one["lowest and highest"][way]))
            rate = f"{BATCH / seconds:7.0f} images/s ({low:.0f} to {high:.0f})"
            print(f"  {way:25} {1000 * seconds:7.1f} ms a step, {rate}: {base / seconds:.2f} times one thread")
        told = f"{1000 * one['seconds of their sum']:.2f} ms for a sum of the gradients"
        print(f"  {told}, {1000 * one['seconds of a small sum']:.2f} ms for a sum of one number")
        predicted = one["predicted seconds in two processes"]
        print(
            f"  by the model {1000 * predicted:.1f} ms; measured is {steps['two processes'] / predicted:.2f} times that"
        )
    print(f"ResNet-18 by the model, if {STEP['images']} images take one GPU {1000 * STEP['seconds']:.0f} ms:")
    for link, row in found["outlook"]["links"].items():
        same, larger = row["speed-up, same batch"], row["speed-up, n times the batch"]
        print(
            f"  {link:25} {same:5.1f} times with the same batch, {larger:5.1f} with {row['processes']} times the batch"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6, help=f"of {STEPS} steps; the first one is not counted")
    parser.add_argument("--json", help="write what was measured here as well")
    parser.add_argument("--worker", choices=NETWORKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.epochs)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found = {"processor": processor(), "torch": torch.__version__, "load before": load, "rounds": args.rounds}
    found |= {"networks": {name: compare(name, args.rounds, args.epochs) for name in NETWORKS}, "outlook": outlook()}
    show(found)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            file.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
