"""One training over several processes: each computes its part of every batch, and together they take the same step.

torchrun starts the processes and tells each, in its environment, who it is. Without torchrun there is one process,
and nothing here does anything. All processes draw the same order of images and the same augmentation for the whole
batch, so the batches are those of one process, and so are the numbers, up to rounding: losses, weights, running
statistics of batch normalization, dropout. Nothing is repeated to make the parts equal (as DistributedSampler does).
"""

import atexit
import os
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class World:
    """How many processes train together, which of them this is, and which among those of its machine.

    Provided.
    """

    rank: int = 0  # 0 to size - 1; the first one writes checkpoints, records and messages
    size: int = 1
    local_rank: int = 0  # on this machine; it decides which GPU is this process's own


def world():
    """The World that torchrun has told this process of, or one process.

    Raises ValueError if the environment contradicts itself.
    Provided.
    """
    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", 0)))
    told = {name: os.environ.get(name, "") for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK")}
    if not told["WORLD_SIZE"]:
        return World()
    whole = all(value.isdecimal() for value in told.values())
    size, rank, local = (int(value) for value in told.values()) if whole else (0, 0, 0)
    if not (whole and rank < size and local <= rank):
        given = ", ".join(f"{name}={value!r}" for name, value in told.items())
        raise ValueError(
            f"the environment says {given}: three whole numbers with LOCAL_RANK <= RANK < WORLD_SIZE are wanted. "
            "Start with torchrun, which sets them, or unset WORLD_SIZE to train in one process."
        )
    return World(rank, size, local)


def join(device="cpu"):
    """Connect this process with the others, if torchrun has started any, and give it a GPU if the device is "cuda".

    Returns the World. CPUs talk by gloo, GPUs by nccl. A second call changes nothing.
    Raises ValueError if there are more processes than GPUs here, or the device is another,
    RuntimeError if the others cannot be reached.
    Provided.
    """
    here, device = world(), str(device)
    if here.size == 1:
        return here
    if device not in ("cpu", "cuda"):
        raise ValueError(
            f'device is "{device}": under torchrun it is "cpu", or "cuda", of which each process takes one of its own.'
        )
    if device == "cuda" and here.local_rank >= (cards := torch.cuda.device_count()):
        raise ValueError(
            f'device is "cuda", and process {here.local_rank + 1} of this machine has no GPU of its own: there are '
            f'{cards}. Try torchrun --nproc-per-node {max(cards, 1)}, or the device "cpu".'
        )
    if device == "cuda":
        torch.cuda.set_device(here.local_rank)  # from here on "cuda" means this one
    if not dist.is_initialized():
        try:
            backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
            dist.init_process_group(backend, store=meeting_place(), rank=here.rank, world_size=here.size)
        except (RuntimeError, ValueError) as error:
            raise RuntimeError(f"process {here.rank} of {here.size} does not reach the others: {error}") from error
        atexit.register(leave)
    return here


def meeting_place():
    """The store in which the processes of this life find each other's addresses.

    After a restart torchrun hands the old store out again, with the addresses of the dead in it (pytorch issue 135712).
    On one machine the number of the restart keeps the lives apart. Several machines may count differently: start them
    with the sharing of the store switched off, as chapter 14 shows, and each life gets a store of its own.
    Provided.
    """
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://"))
    one_machine = os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]
    life = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if one_machine else "any"
    return dist.PrefixStore(f"life {life}", store)


def leave():
    """Take this process out of its world, if it is in one.

    Provided.
    """
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def together(device="cpu"):
    """Within a `with` block this process belongs to its world, see join; only the first one prints.

    Provided.
    """
    here = join(device)
    with ExitStack() as stack:
        stack.callback(leave)
        if here.rank > 0:
            stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        yield here


def share(n, here):
    """Which of n rows are a process's own: a slice. The shares of all processes cover each row once.

    Built in chapter 14.
    """
    return slice(n * here.rank // here.size, n * (here.rank + 1) // here.size)


class SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes, which each of them gets.

    Each copy of the sum may be used by its process, so the gradients of all copies add up on the way back.
    Provided.
    """

    @staticmethod
    def forward(ctx, x):
        """The sum of x over all processes."""
        x = x.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, dy):
        """The sum of all processes' gradients."""
        return SumOverProcesses.forward(ctx, dy)


def add_up(x):
    """The sum of a tensor over all processes, with a way back for its gradients; the same shape.

    Provided.
    """
    return SumOverProcesses.apply(x)


def spread(model):
    """A network that computes each batch on all processes; with one process, the network itself.

    Provided.
    """
    return Spread(model) if world().size > 1 else model


class Spread(nn.Module):
    """A network whose every process computes the logits of its share of a batch, and gets those of all images.

    images: the whole batch, the same on each process    Returns logits (N, classes) of the whole batch.
    So each process knows the loss of the whole batch, and a loss that is nan stops all of them at the same step. Each
    process's gradients come from its own images. As the losses of all processes add up, their sum is `size` times what
    it should be, and DistributedDataParallel divides by `size`: an image counts the same in a small share as in a large
    one. A batch with fewer images than processes is computed by all of them, whole.
    Provided.
    """

    def __init__(self, model):
        super().__init__()
        self.parallel = nn.parallel.DistributedDataParallel(model)
        self.parallel.broadcast_buffers = False  # in each step, that is: they are the same already
        self.training = self.parallel.training = model.training

    def forward(self, images):
        here = world()
        if len(images) < here.size:
            return self.parallel(images)
        own = share(len(images), here)
        with AcrossTheBatch(len(images), own):
            logits = self.parallel(images[own])
        logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
        whole = logits.new_zeros(len(images), *logits.shape[1:])
        whole[own] = logits
        return add_up(whole)


class AcrossTheBatch(TorchFunctionMode):
    """Within a `with` block batch normalization and dropout treat a share as the part of its batch that it is.

    They are the two functions in which an image's result depends on more than the image: on the statistics of the
    batch, and on its place in what is drawn. torch's SyncBatchNorm does the first for GPUs only.
    images: how many the whole batch has    own: the slice of them that is here
    Provided.
    """

    def __init__(self, images, own):
        super().__init__()
        self.images, self.own = images, own

    def __torch_function__(self, function, types, args=(), kwargs=None):
        replaced = {F.batch_norm: batch_norm, F.dropout: self.dropout}
        return replaced.get(function, function)(*args, **(kwargs or {}))

    def dropout(self, x, p=0.5, training=True, inplace=False):
        """Each process draws the zeros of the whole batch, so all generators stay alike, and takes its own part."""
        if not training or p == 0 or len(x) != self.own.stop - self.own.start:
            return F.dropout(x, p, training, inplace)
        last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        ones = x.new_ones(self.images, *x.shape[1:])
        ones = ones.contiguous(memory_format=torch.channels_last) if last else ones  # drawn in the order of memory
        return x * F.dropout(ones, p)[self.own]


def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """torch.nn.functional.batch_norm with the statistics of the batches of all processes.

    x: (N, C, ...), another N in each process    Returns a tensor like x; running statistics are updated in place.
    Provided.
    """
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    dtype, x = x.dtype, x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    over, row = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
    sums = add_up(torch.cat([x.sum(over), x.new_tensor([x.numel() / x.shape[1]])]))  # (C + 1,)
    count, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
    centered = x - mean.view(row)
    var = add_up(centered.square().sum(over)) / count  # two passes: the squares of large means would not cancel well
    if running_mean is not None:
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(var * count / (count - 1), momentum)
    scale = (var + eps).rsqrt() * (1 if weight is None else weight)
    y = centered * scale.view(row)
    return (y if bias is None else y + bias.view(row)).to(dtype)


def from_first(function, *args):
    """What function(*args) returns on the first process, which alone calls it, for each of them.

    Raises, on each process, what it raised.
    Provided.
    """
    here = world()
    if here.size == 1:
        return function(*args)
    told = [None, None]
    if here.rank == 0:
        try:
            told[0] = function(*args)
        except Exception as error:  # the others would wait for it forever
            told[1] = error
    dist.broadcast_object_list(told)
    if told[1] is not None:
        raise told[1]
    return told[0]


def step_seconds(compute, processes, *, size, bandwidth, latency=0.0):
    """How long a step takes in a model of data parallelism: the parts in parallel, then one sum of the gradients.

    compute: seconds of the step in one process    size: bytes of the gradients    latency: seconds, once a step
    bandwidth: bytes a second from a process to its neighbor in the ring; each sends 2 (n - 1) / n of the gradients
    Built in chapter 14.
    """
    traffic = 2 * (processes - 1) / processes * size
    return compute / processes + traffic / bandwidth + (latency if processes > 1 else 0)
