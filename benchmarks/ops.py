"""Time cnnlib.ops beside PyTorch and SciPy, layer by layer: `python benchmarks/ops.py [--quick]`.

Each library works in a process of its own, on the same number of threads, in float32. They take turns in short blocks
with a pause between them: in one process, or at once, their thread pools would fight. A block's time is its fastest
call. A ratio is PyTorch's time divided by ours in one block, so that both meet the same machine; the table shows the
median over the blocks, the lowest and the highest. "of product" is our rate divided by that of NumPy's own 1024x1024
matrix product, measured in the same block. "memory" is what a call takes at its peak, result included, divided by the
bytes of its input and output. SciPy has no batches of many-channel images: it convolves one image by FFT, and that is
scaled to the batch.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from dataclasses import dataclass

import numpy as np

PAUSE = 0.05  # seconds between blocks, for the other library's threads to fall asleep


@dataclass(frozen=True)
class Layer:
    """One layer to time. F is 0 for pooling, whose kind then says which."""

    name: str
    N: int  # images
    C: int  # channels
    H: int  # pixels along each side
    F: int  # filters
    K: int  # kernel, along each side
    stride: int = 1
    padding: int = 0
    groups: int = 1
    kind: str = "conv"

    @property
    def output(self):
        size = 1 + (self.H + 2 * self.padding - self.K) // self.stride
        return self.N, self.F or self.C, size, size

    @property
    def flops(self):
        """Floating-point operations of the forward pass, a multiply-add counted as two."""
        return 2 * math.prod(self.output) * self.C // self.groups * self.K**2 if self.F else 0


LAYERS = [
    Layer("first layer 1 to 32, 3x3", 64, 1, 28, 32, 3, padding=1),
    Layer("RGB 3 to 32, 3x3", 64, 3, 32, 32, 3, padding=1),
    Layer("32 to 32, 3x3", 32, 32, 28, 32, 3, padding=1),
    Layer("32 to 64, 3x3", 32, 32, 14, 64, 3, padding=1),
    Layer("64 to 64, 3x3", 32, 64, 28, 64, 3, padding=1),
    Layer("128 to 128, 3x3", 16, 128, 16, 128, 3, padding=1),
    Layer("256 to 256, 3x3", 16, 256, 8, 256, 3, padding=1),
    Layer("128 to 64, 1x1", 16, 128, 28, 64, 1),
    Layer("64 to 128, 3x3, stride 2", 32, 64, 28, 128, 3, stride=2, padding=1),
    Layer("32 to 64, 5x5", 32, 32, 14, 64, 5, padding=2),
    Layer("stem 3 to 64, 7x7, stride 2", 4, 3, 112, 64, 7, stride=2, padding=3),
    Layer("depthwise 64, 3x3", 32, 64, 28, 64, 3, padding=1, groups=64),
]
POOLS = [
    Layer("max-pool 2x2", 32, 32, 28, 0, 2, stride=2, kind="max"),
    Layer("max-pool 3x3, stride 2", 32, 64, 28, 0, 3, stride=2, padding=1, kind="max"),
    Layer("average pool 2x2", 32, 32, 28, 0, 2, stride=2, kind="avg"),
    Layer("average pool 3x3, stride 2", 32, 64, 28, 0, 3, stride=2, padding=1, kind="avg"),
]


def arrays(layer):
    """Input, kernels, bias and output gradient of a layer, the same in every process."""
    rng = np.random.default_rng(0)
    shapes = [(layer.N, layer.C, layer.H, layer.H), (layer.F, layer.C // layer.groups, layer.K, layer.K), (layer.F,)]
    return [rng.standard_normal(shape, dtype=np.float32) for shape in [*shapes, layer.output]]


def ours(layer):
    """The forward and the backward pass as functions without arguments."""
    from cnnlib import ops

    x, w, b, dy = arrays(layer)
    options = {"stride": layer.stride, "padding": layer.padding}
    if layer.kind == "conv":
        options["groups"] = layer.groups
        return lambda: ops.conv2d(x, w, b, **options), lambda: ops.conv2d_backward(dy, x, w, **options)
    pool, back = getattr(ops, f"{layer.kind}_pool2d"), getattr(ops, f"{layer.kind}_pool2d_backward")
    return lambda: pool(x, layer.K, **options), lambda: back(dy, x, layer.K, **options)


def torchs(layer):
    """The same in PyTorch; backward runs on a recorded forward pass, which is not timed."""
    import torch
    from torch.nn import functional

    x, w, b, dy = (torch.from_numpy(array) for array in arrays(layer))
    options = {"stride": layer.stride, "padding": layer.padding}
    if layer.kind == "conv":
        inputs, options["groups"] = [x, w, b], layer.groups
        run = lambda: functional.conv2d(*inputs, **options)  # noqa: E731
    else:
        inputs, pool = [x], getattr(functional, f"{layer.kind}_pool2d")
        run = lambda: pool(x, layer.K, **options)  # noqa: E731

    def forward():
        with torch.no_grad():
            return run()

    for array in inputs:
        array.requires_grad_()
    y = run()
    return forward, lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)


def scipys(layer):
    """The nearest thing in SciPy, forward only, on one image."""
    from scipy import ndimage, signal

    x, w, b, _ = arrays(layer)
    s, p, G = layer.stride, layer.padding, layer.groups
    x = np.pad(x[0], ((0, 0), (p, p), (p, p)))
    if layer.kind == "conv":
        x = x.reshape(G, 1, -1, *x.shape[1:])  # (G, 1, C/G, H, W)
        w = w.reshape(G, -1, *w.shape[1:])[..., ::-1, ::-1]  # (G, F/G, C/G, K, L)
        y = lambda: signal.fftconvolve(x, w, mode="valid", axes=(3, 4)).sum(2)  # noqa: E731
        return lambda: y().reshape(layer.F, *y().shape[2:])[:, ::s, ::s] + b[:, None, None], None
    pool = ndimage.maximum_filter if layer.kind == "max" else ndimage.uniform_filter
    return lambda: pool(x, (1, layer.K, layer.K), mode="constant")[:, ::s, ::s], None


LIBRARIES = {"ours": ours, "torch": torchs, "scipy": scipys}


def seconds_a_call(run, budget):
    """Time of the fastest call of those that fit into the budget, at least three, after two that warm up."""
    run(), run()
    times, end = [], time.perf_counter() + budget
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def product_rate(budget):
    """Floating-point operations a second of NumPy's own matrix product."""
    a = np.ones((1024, 1024), np.float32)
    return 2 * 1024**3 / seconds_a_call(lambda: a @ a, budget)


def peak_bytes(run):
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def work(library):
    """A worker: read one request a line, answer with one line: seconds of a call, forward and backward."""
    if library == "torch":
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    np.ones(
        31 << 18, np.float32
    )  # freed at once: from now on malloc, which is torch's too, keeps such blocks for reuse
    for line in sys.stdin:
        request = json.loads(line)
        passes = [run for run in LIBRARIES[library](Layer(**request["layer"])) if run]
        answer = {"seconds": [seconds_a_call(run, request["budget"]) for run in passes]}
        if library == "ours":
            answer["product"] = product_rate(request["budget"] / 2)
            answer["peak"] = [peak_bytes(run) for run in passes]
        print(json.dumps(answer), flush=True)


def start(library, threads):
    """A worker process, which sleeps until it is asked."""
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"]
    environment = os.environ | dict.fromkeys(names, str(threads))
    command = [sys.executable, os.path.abspath(__file__), "--worker", library]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(worker, layer, budget):
    time.sleep(PAUSE)
    print(json.dumps({"layer": vars(layer), "budget": budget}), file=worker.stdin, flush=True)
    return json.loads(worker.stdout.readline())


def measure(workers, layer, blocks, budget):
    """Three rows of the tables, as dicts: forward, backward, and both together."""
    answers = {"ours": [], "torch": []}
    for block in range(blocks):
        for library in sorted(answers, reverse=block % 2 == 1):  # now one first, now the other
            answers[library].append(ask(workers[library], layer, budget))
    ours, torchs = ([[*a["seconds"], sum(a["seconds"])] for a in answers[name]] for name in ("ours", "torch"))
    scipy = layer.N * ask(workers["scipy"], layer, budget)["seconds"][0]
    products = [answer["product"] for answer in answers["ours"]]
    x, _, _, dy = arrays(layer)
    peaks = [*answers["ours"][0]["peak"], max(answers["ours"][0]["peak"])]
    rows = []
    for i, name in enumerate(PASSES):
        o, t = [seconds[i] for seconds in ours], [seconds[i] for seconds in torchs]
        row = {"name": layer.name, "pass": name, "ours": statistics.median(o), "torch": statistics.median(t)}
        row["ratios"] = sorted(b / a for a, b in zip(o, t, strict=True))
        row["scipy"] = scipy if name == "forward" else 0
        row["share"] = statistics.median((i + 1) * layer.flops / a / p for a, p in zip(o, products, strict=True))
        row["memory"] = peaks[i] / (x.nbytes + dy.nbytes)
        rows.append(row)
    return rows


PASSES = ["forward", "backward", "both"]  # their work is 1, 2 and 3 times the flops of the layer
HEADER = """
| {:<28} | ours, ms | PyTorch, ms | ratio | (of the blocks) | SciPy, ms | of product | memory |
|{:-<30}|---------:|------------:|------:|----------------:|----------:|-----------:|-------:|"""


def line(row):
    scipy = f"{1e3 * row['scipy']:.0f}" if row["scipy"] else ""
    share = f"{row['share']:.0%}" if row["share"] else ""
    blocks = f"({row['ratios'][0]:.2f} to {row['ratios'][-1]:.2f})"
    ratio = statistics.median(row["ratios"])
    return (
        f"| {row['name']:<28} | {1e3 * row['ours']:8.2f} | {1e3 * row['torch']:11.2f} | {ratio:5.2f} | {blocks:>15} "
        f"| {scipy:>9} | {share:>10} | {row['memory']:5.1f}x |"
    )


def geometric_mean(rows):
    return math.exp(statistics.fmean(math.log(statistics.median(row["ratios"])) for row in rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter blocks: about half a minute")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="only the layers whose name contains this")
    parser.add_argument("--worker", choices=LIBRARIES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(options.worker)
    blocks, budget = (3, 0.05) if options.quick else (7, 0.12)
    workers = {library: start(library, options.threads) for library in LIBRARIES}
    print(f"float32, {options.threads} threads, {blocks} blocks of {budget} s; ratio above 1: faster than PyTorch")
    chosen = [layer for layer in LAYERS + POOLS if options.only in layer.name]
    rows = [row for layer in chosen for row in measure(workers, layer, blocks, budget)]
    for name in PASSES:
        print(HEADER.format(name, ""))
        for kind in (LAYERS, POOLS):
            names = {layer.name for layer in kind}
            group = [row for row in rows if row["pass"] == name and row["name"] in names]
            print(*map(line, group), sep="\n")
            if group:
                print(f"| {'geometric mean':<28} | {'':8} | {'':11} | {geometric_mean(group):5.2f} |" + " |" * 4)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()


if __name__ == "__main__":
    main()
