"""Training that can be trusted: settings, fit, evaluate, seeds; and the records and weights of finished runs."""

import ctypes
import json
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

PRETRAINED = Path(__file__).parent / "pretrained"
RUNS = Path(__file__).parent.parent / "runs"


@dataclass(frozen=True)
class Config:
    """The settings of one training run.

    Provided.
    """

    epochs: int = 3  # passes over the training images
    batch_size: int = 128  # images a step; the last batch of an epoch may be shorter
    optimizer: str = "adam"  # "adam" or "sgd"
    lr: float = 1e-3  # peak of the learning rate
    momentum: float = 0.9  # for sgd; adam's first beta has the same value and meaning
    weight_decay: float = 0.0  # shrinks every weight by lr * weight_decay a step
    schedule: str = "triangle"  # "triangle": up to the peak, then down to zero; or "constant"
    warmup: float = 0.2  # share of all steps that the way up to the peak takes


DEFAULT = Config()


def fit(model, x, y, config=DEFAULT, *, validation=None, seed=0, device="cpu", steps=None):
    """Train a network on whole tensors, in place; the same seed gives the same numbers on the same machine.

    x: (N, ...) float    y: (N,) class indices    validation: (x, y) of images held out, or None
    steps: stop after so many steps of the run, None for all of it
    Returns the history, a dict an epoch: epoch, lr, losses (of each step), train_loss, train_accuracy, seconds,
    and with validation images val_loss, val_accuracy. Loss and accuracy are means over examples; accuracy is 0 to 1.
    Raises ValueError if x and y cannot be images and their labels, FloatingPointError if the loss is no longer finite.
    Built in chapter 07. Extended in chapter 08.
    """
    keep_memory()
    model.to(device=device, memory_format=torch.channels_last)  # the same numbers, in an order that convolutions like
    x, y = check_examples(model, x, y)
    optimizer = make_optimizer(model, config)
    order = torch.Generator().manual_seed(seed)
    per_epoch = math.ceil(len(y) / config.batch_size)
    total = config.epochs * per_epoch
    history = []
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(seed)  # dropout draws from torch's own generator: it is lent a seed and put back
        for first in range(0, min(total, steps or total), per_epoch):
            start = time.perf_counter()
            batches = torch.randperm(len(y), generator=order).split(config.batch_size)
            batches = batches[: (steps or total) - first]
            rates = [learning_rate(step, total, config) for step in range(first, first + len(batches))]
            entry = {"epoch": len(history) + 1, "lr": rates[-1], **train_epoch(model, x, y, batches, optimizer, rates)}
            if validation is not None:
                entry |= {f"val_{key}": value for key, value in evaluate(model, *validation).items()}
            history.append({**entry, "seconds": time.perf_counter() - start})
    return history


def train_epoch(model, x, y, batches, optimizer, rates):
    """Take one step for each batch of indices, at the learning rate that belongs to it.

    Returns losses (of each step) and train_loss, train_accuracy as means over the examples seen, in training mode.
    Raises FloatingPointError if the loss is no longer finite.
    Built in chapter 07. Extended in chapter 08.
    """
    model.train()
    losses, total, correct, seen = [], 0.0, 0, 0
    for indices, rate in zip(batches, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        logits = model(x[indices])  # (N, classes)
        loss = F.cross_entropy(logits, y[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(finite(loss.item(), len(losses), rate))
        total += losses[-1] * len(indices)  # the last batch is shorter: it must count for less
        correct += (logits.argmax(1) == y[indices]).sum().item()
        seen += len(indices)
    return {"losses": losses, "train_loss": total / seen, "train_accuracy": correct / seen}


def predict(model, x, *, batch_size=1000):
    """The logits of all images, in evaluation mode and without gradients; the model's mode is put back afterwards.

    x: (N, ...) float    Returns (N, classes) float, on the model's device.
    Raises ValueError if x is empty.
    Built in chapter 08.
    """
    x = torch.as_tensor(x)
    if len(x) == 0:
        raise ValueError(f"x holds no images: its shape is {tuple(x.shape)}.")
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(part.to(device)) for part in x.split(batch_size)])
    model.train(training)
    return logits


def evaluate(model, x, y, *, batch_size=1000):
    """Loss and accuracy over all examples, each counted once, in evaluation mode.

    x: (N, ...) float    y: (N,) class indices    Returns {"loss": mean cross-entropy, "accuracy": 0 to 1}.
    Raises ValueError if x and y cannot be images and their labels.
    Built in chapter 07. Extended in chapter 08.
    """
    x, y = check_examples(model, x, y)
    logits = predict(model, x, batch_size=batch_size)
    hits = logits.argmax(1) == y
    return {"loss": F.cross_entropy(logits, y).item(), "accuracy": hits.sum().item() / len(y)}


def split(n, held_out, *, seed=0):
    """Divide the indices 0..n-1 at random into two parts that share none.

    Returns (n - held_out,) and (held_out,) int64, each in ascending order.
    Raises ValueError unless 0 < held_out < n.
    Built in chapter 08.
    """
    if not 0 < held_out < n:
        raise ValueError(f"{held_out} of {n} images cannot be held out: both parts need at least one.")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return order[held_out:].sort().values, order[:held_out].sort().values


def seeded(make, seed):
    """Call make() with torch's global generator set to a seed, and put the generator back afterwards.

    For example seeded(TwoConvCNN, 0): layers draw their first weights from the global generator.
    Built in chapter 08.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def learning_rate(step, steps, config):
    """The learning rate of a step, 0 <= step < steps.

    "triangle" rises in a straight line for a share `warmup` of the steps, then falls in a straight line to zero
    (after Smith 2017, cyclical learning rates, with a single cycle); "constant" stays at the peak.
    Raises ValueError on another schedule.
    Built in chapter 08. Extended in chapter 10.
    """
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "triangle":
        peak = config.warmup * steps
        return config.lr * min((step + 1) / (peak + 1), (steps - step) / (steps - peak))
    raise ValueError(f'schedule is "{config.schedule}": it must be "triangle" or "constant".')


def make_optimizer(model, config):
    """The optimizer that a Config names, over all parameters of a network.

    Raises ValueError on another name.
    Provided.
    """
    if config.optimizer == "adam":
        return torch.optim.AdamW(
            model.parameters(), lr=config.lr, betas=(config.momentum, 0.999), weight_decay=config.weight_decay
        )
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay, nesterov=True
        )
    raise ValueError(f'optimizer is "{config.optimizer}": it must be "adam" or "sgd".')


def check_examples(model, x, y):
    """Images and labels as tensors on the model's device, the labels as int64, after a look at both.

    x: (N, ...) float    y: (N,) integers, 0 to classes - 1
    Raises ValueError, with the numbers and what to try, if they cannot be images and their labels.
    Provided.
    """
    device = next(model.parameters()).device
    x, y = torch.as_tensor(x, device=device), torch.as_tensor(y, device=device)
    if len(x) == 0 or len(x) != len(y):
        raise ValueError(f"{len(x)} images and {len(y)} labels: there must be as many labels as images, and some.")
    if not x.is_floating_point():
        raise ValueError(f"x is {x.dtype}, not float: scale the images first, with cnnlib.data.to_float.")
    if y.dim() != 1 or y.is_floating_point():
        raise ValueError(f"y is {tuple(y.shape)} {y.dtype}: labels are integers (N,). If one-hot, try y.argmax(1).")
    y, classes = y.long(), predict(model, x[:1]).shape[1]
    low, high = y.min().item(), y.max().item()
    if low < 0 or high >= classes:
        raise ValueError(f"labels run from {low} to {high}, but the network has {classes} outputs: 0 to {classes - 1}.")
    return x, y


def keep_memory():
    """Ask Linux's C library to keep freed memory for the next step instead of handing it back to the system.

    A training step frees and takes the same tens of megabytes again; without this, up to half of the time goes into
    the system's page tables. Other systems are left as they are.
    Provided.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: no block gets a mapping of its own, which would be undone when it is freed
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the top of the heap is not handed back either


def finite(loss, step, rate):
    """The loss itself, if it is a finite number.

    Raises FloatingPointError if it is not.
    Provided.
    """
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss is {loss} at step {step} of this epoch, learning rate {rate:.3g}: "
            "lower the rate, and look for inf or nan in the images."
        )
    return loss


def write_atomically(path, content):
    """Write bytes so that a reader finds the old file or the new one, never a half.

    Provided.
    """
    part = Path(path).with_name(f"{Path(path).name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def save_weights(model, path):
    """Write a network's weights as float16 safetensors.

    Provided.
    """
    from safetensors.torch import save

    write_atomically(path, save({name: value.half().cpu().contiguous() for name, value in model.state_dict().items()}))


def load_weights(model, name):
    """Put the shipped weights cnnlib/pretrained/NAME.safetensors into a network, and return it.

    Raises FileNotFoundError if there are none of that name, RuntimeError if they belong to another network.
    Provided.
    """
    from safetensors.torch import load_file

    model.load_state_dict(load_file(PRETRAINED / f"{name}.safetensors"))
    return model.eval()


def load_card(name):
    """The card of the weights cnnlib/pretrained/NAME: how they were trained, and what they score.

    Provided.
    """
    return json.loads((PRETRAINED / f"{name}.json").read_text(encoding="utf-8"))


def load_record(name):
    """The recorded run runs/NAME.json: recipe, hardware, versions, and for each seed its history and test result.

    Provided.
    """
    return json.loads((RUNS / f"{name}.json").read_text(encoding="utf-8"))
