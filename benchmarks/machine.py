"""Play older processors and a busy machine: `python benchmarks/machine.py`, some five minutes on two cores.

The first table times a step of ResNet-18 on 32 images of 32x32, on one thread, in float32 and in bfloat16, while
ONEDNN_MAX_CPU_ISA hides instructions from the library that computes it. The last column is what `cnnlib.train.fit`
takes there for Config(precision="bfloat16"). Each figure comes from a process of its own: the median of its steps after
a first one that is not counted.

The second table times a step of TwoConvCNN on 128 images, on all threads, while none, one or two other processes keep a
core busy each, by what the threads do while they wait for one another: spin as PyTorch's OpenMP does by itself, spin
for fewer rounds (GOMP_SPINCOUNT), or sleep at once (OMP_WAIT_POLICY=PASSIVE). Each setting has a process of its own;
they take turns in blocks of a few steps, and a figure is the median over the blocks, with the lowest and the highest.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

import torch

from cnnlib import machine, train
from cnnlib.models import TwoConvCNN, resnet18
from cnnlib.train import Config, make_optimizer, train_epoch

LIMITS = ("AVX2", "AVX512_CORE", "AVX512_CORE_BF16", "none")
WAITS = {
    "by itself": {},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}
BUSY = ("idle", "one busy", "two busy")
OURS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")


def stepper(model, shape, config):
    """A function that takes one training step on made-up images and returns its seconds."""
    machine.keep_memory()
    model.to(memory_format=torch.channels_last)
    x, y, optimizer = torch.randn(shape), torch.arange(shape[0]) % 10, make_optimizer(model, config)

    def step():
        start = time.perf_counter()
        train_epoch(model, x, y, [torch.arange(len(y))], optimizer, [config.lr], config=config)
        return time.perf_counter() - start

    return step


def older(precision, most):
    """Print the seconds of a step of ResNet-18, and what fit would compute in: a worker."""
    torch.set_num_threads(1)
    told = "bfloat16" if machine.bfloat16_pays() else "float32"
    train.bfloat16_pays = lambda device="cpu": True  # here it is to be seen what it costs where it does not pay
    step = stepper(resnet18(), (32, 3, 32, 32), Config(optimizer="sgd", lr=0.01, precision=precision))
    step()
    end, times = time.perf_counter() + most, []
    while not times or (len(times) < 9 and time.perf_counter() < end):
        times.append(step())
    print(statistics.median(times), told)


def waiting(steps):
    """For each line of standard input, print the mean seconds of a few steps of TwoConvCNN: a worker."""
    step = stepper(TwoConvCNN(), (128, 1, 28, 28), Config())
    step()
    for _ in sys.stdin:
        print(sum(step() for _ in range(steps)) / steps, flush=True)


def environment(**settings):
    """This process's environment, with only those of our variables that are given."""
    return {key: value for key, value in os.environ.items() if key not in OURS} | settings


@contextmanager
def busy(count):
    """So many processes that keep a core busy each, within a `with` block."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def table(head, rows):
    """Print a table with columns wide enough for their longest entry."""
    widths = [max(len(str(row[k])) for row in [head, *rows]) for k in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(str(entry).ljust(width) for entry, width in zip(row, widths, strict=True)).rstrip())
    print(flush=True)


def by_instructions(most):
    """The first table."""
    rows = []
    for limit in LIMITS:
        row, told = [limit], None
        for precision in ("float32", "bfloat16"):
            command = [sys.executable, __file__, "--older", precision, "--most", str(most)]
            settings = {} if limit == "none" else {"ONEDNN_MAX_CPU_ISA": limit}
            done = subprocess.run(command, env=environment(**settings), check=True, capture_output=True, text=True)
            seconds, told = done.stdout.split()
            row.append(f"{float(seconds):.2f} s")
        rows.append([*row, told])
    table(["ONEDNN_MAX_CPU_ISA", "float32", "bfloat16", "fit takes"], rows)


def by_load(blocks, steps):
    """The second table."""
    command = [sys.executable, __file__, "--waiting", "--steps", str(steps)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = {name: subprocess.Popen(command, env=environment(**wait), **pipes) for name, wait in WAITS.items()}
    times = {name: [[] for _ in BUSY] for name in workers}
    try:
        for block in range(blocks + 1):  # the first one is not counted
            for count in range(len(BUSY)):
                with busy(count):
                    for name, worker in workers.items():
                        print(file=worker.stdin, flush=True)
                        seconds = float(worker.stdout.readline())
                        times[name][count] += [1000 * seconds] * (block > 0)
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()
    rows = [
        [name, *(f"{statistics.median(t):.0f} ms ({min(t):.0f} to {max(t):.0f})" for t in told)]
        for name, told in times.items()
    ]
    table(["threads wait", *BUSY], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="steps in a block of the second table")
    parser.add_argument("--most", type=float, default=12, help="seconds for a figure of the first table, warm-up apart")
    parser.add_argument("--older", help=argparse.SUPPRESS)
    parser.add_argument("--waiting", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.older:
        older(args.older, args.most)
    elif args.waiting:
        waiting(args.steps)
    else:
        print(f"{machine.processor()} ({' '.join(machine.flags())}), PyTorch {torch.__version__}\n", flush=True)
        by_instructions(args.most)
        by_load(args.blocks, args.steps)


if __name__ == "__main__":
    main()
