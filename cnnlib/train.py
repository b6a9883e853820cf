"""Training that can be trusted: settings, fit, evaluate, seeds, checkpoints; and the records and weights of runs."""

import ctypes
import io
import json
import math
import os
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten

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
    optimizer: str = "adam"  # "adam", "sgd" or "muon"
    lr: float = 1e-3  # peak of the learning rate
    momentum: float = 0.9  # for sgd and muon; adam's first beta has the same value and meaning
    weight_decay: float = 0.0  # shrinks every weight by lr * weight_decay a step; with muon see Muon
    schedule: str = "triangle"  # "triangle", "cosine", "step" or "constant": see learning_rate
    warmup: float = 0.2  # share of all steps that the way up to the peak takes
    label_smoothing: float = 0.0  # share of the target that is dealt out evenly to all classes
    precision: str = "float32"  # "bfloat16": convolutions and products in half the bits; weights stay in float32
    small_epochs: int = 0  # the first epochs see images shrunk to small_size pixels a side: quicker, and good enough
    small_size: int = 0


DEFAULT = Config()


def fit(
    model,
    x,
    y,
    config=DEFAULT,
    *,
    validation=None,
    seed=0,
    device="cpu",
    steps=None,
    augment=None,
    keep="last",
    checkpoint=None,
    progress=False,
):
    """Train a network on whole tensors, in place; the same seed gives the same numbers on the same machine.

    x: (N, ...) float    y: (N,) class indices    validation: (x, y) of images held out, or None
    device: "cpu", "cuda" or "mps"    steps: stop after so many steps of the run, None for all of it
    augment: called with each batch of images and a torch.Generator to draw from, returns the batch to learn from
    keep: "last": the weights after the last epoch; "best": those of the epoch with the highest val_accuracy
    checkpoint: a file that is written after each epoch; if it is there already, the run goes on where it ended
    progress: a bar where there is a terminal, else a line an epoch
    Returns the history, a dict an epoch: epoch, lr, losses (of each step), train_loss, train_accuracy, seconds,
    and with validation images val_loss, val_accuracy. Loss and accuracy are means over examples; accuracy is 0 to 1.
    Raises ValueError if x and y cannot be images and their labels or the checkpoint belongs to another run,
    FloatingPointError if the loss is no longer finite, RuntimeError if the checkpoint is damaged.
    Built in chapter 07. Extended in chapter 08. Extended in chapter 14.
    """
    if keep not in ("last", "best") or (keep == "best" and validation is None):
        raise ValueError(f'keep is "{keep}": it must be "last", or with validation images "best".')
    keep_memory()
    model.to(device=device, memory_format=torch.channels_last)  # the same numbers, in an order that convolutions like
    x, y = check_examples(model, x, y)
    optimizer = make_optimizer(model, config)
    draw = torch.Generator().manual_seed(seed)  # the order of the images, and what augmentation draws
    per_epoch = math.ceil(len(y) / config.batch_size)
    total = config.epochs * per_epoch
    run = {"config": asdict(config), "seed": seed, "examples": len(y), "network": str(model)}
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(seed)  # dropout draws from torch's own generator: it is lent a seed and put back
        history, best = resume(checkpoint, run, model, optimizer, draw) if checkpoint else ([], None)
        for first in range(len(history) * per_epoch, min(total, steps or total), per_epoch):
            start = time.perf_counter()
            batches = torch.randperm(len(y), generator=draw).split(config.batch_size)
            batches = batches[: (steps or total) - first]
            rates = [learning_rate(step, total, config) for step in range(first, first + len(batches))]
            entry = {"epoch": len(history) + 1, "lr": rates[-1]}
            small = config.small_size if len(history) < config.small_epochs else None
            options = {"config": config, "augment": augment, "draw": draw, "small": small}
            with bar(batches, f"epoch {entry['epoch']}/{config.epochs}", progress) as shown:
                entry |= train_epoch(model, x, y, shown, optimizer, rates, **options)
            if validation is not None:
                measured = evaluate(model, *validation, precision=config.precision)
                entry |= {f"val_{key}": value for key, value in measured.items()}
            history.append({**entry, "seconds": time.perf_counter() - start})
            if keep == "best" and entry["val_accuracy"] > max((e["val_accuracy"] for e in history[:-1]), default=-1):
                best = {name: value.clone() for name, value in model.state_dict().items()}
            if checkpoint and len(batches) == per_epoch:
                save_checkpoint(checkpoint, run, model, optimizer, draw, history, best)
            if progress:
                say(history[-1], config.epochs)
    if best is not None:
        model.load_state_dict(best)
    return history


def train_epoch(model, x, y, batches, optimizer, rates, *, config=DEFAULT, augment=None, draw=None, small=None):
    """Take one step for each batch of indices, at the learning rate that belongs to it.

    config: label_smoothing and precision are used    augment, draw: see fit    small: side to shrink the images to
    Returns losses (of each step) and train_loss, train_accuracy as means over the examples seen, in training mode.
    Raises FloatingPointError if the loss is no longer finite.
    Built in chapter 07. Extended in chapter 08. Extended in chapter 14.
    """
    model.train()
    losses, total, correct, seen = [], 0.0, 0, 0
    for indices, rate in zip(batches, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        images = x[indices] if augment is None else augment(x[indices], draw)
        if small:
            images = F.interpolate(images, size=(small, small), mode="bilinear", antialias=True)
        logits = forward(model, images, config.precision)  # (N, classes)
        loss = F.cross_entropy(logits, y[indices], label_smoothing=config.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(finite(loss.item(), len(losses), rate))
        total += losses[-1] * len(indices)  # the last batch is shorter: it must count for less
        correct += (logits.argmax(1) == y[indices]).sum().item()
        seen += len(indices)
    return {"losses": losses, "train_loss": total / seen, "train_accuracy": correct / seen}


def forward(model, x, precision="float32"):
    """The logits of a batch; with "bfloat16" convolutions and products run in half the bits.

    x: (N, ...) float, on the model's device    Returns (N, classes) float32, or float64 if the network is.
    Raises ValueError on another precision.
    Built in chapter 14.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f'precision is "{precision}": it must be "float32" or "bfloat16".')
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        logits = model(x)
    return logits.float() if logits.dtype == torch.bfloat16 else logits


def predict(model, x, *, batch_size=1000, precision="float32"):
    """The logits of all images, in evaluation mode and without gradients; the model's mode is put back afterwards.

    x: (N, ...) float    precision: see Config    Returns (N, classes) float, on the model's device.
    Raises ValueError if x is empty, or on another precision.
    Built in chapter 08.
    """
    x = torch.as_tensor(x)
    if len(x) == 0:
        raise ValueError(f"x holds no images: its shape is {tuple(x.shape)}.")
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.no_grad():
        logits = torch.cat([forward(model, part.to(device), precision) for part in x.split(batch_size)])
    model.train(training)
    return logits


def evaluate(model, x, y, *, batch_size=1000, precision="float32"):
    """Loss and accuracy over all examples, each counted once, in evaluation mode.

    x: (N, ...) float    y: (N,) class indices    precision: see Config
    Returns {"loss": mean cross-entropy, "accuracy": 0 to 1}.
    Raises ValueError if x and y cannot be images and their labels.
    Built in chapter 07. Extended in chapter 08. Extended in chapter 14.
    """
    x, y = check_examples(model, x, y)
    logits = predict(model, x, batch_size=batch_size, precision=precision)
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

    "constant" stays at the peak; "step" stays there for half of the steps, then for a quarter at a tenth, and ends at
    a hundredth (He et al. 2015). "triangle" and "cosine" rise in a straight line for a share `warmup` of the steps,
    then fall to zero: "triangle" in a straight line (after Smith 2017, cyclical learning rates, with a single cycle),
    "cosine" along half a cosine (Loshchilov and Hutter 2017, without restarts).
    Raises ValueError on another schedule.
    Built in chapter 08. Extended in chapter 10.
    """
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "step":
        return config.lr * (1 if 2 * step < steps else 0.1 if 4 * step < 3 * steps else 0.01)
    if config.schedule not in ("triangle", "cosine"):
        raise ValueError(f'schedule is "{config.schedule}": it must be "triangle", "cosine", "step" or "constant".')
    peak = config.warmup * steps
    rise, left = (step + 1) / (peak + 1), (steps - step) / (steps - peak)
    if config.schedule == "cosine":
        left = (1 - math.cos(math.pi * min(left, 1))) / 2
    return config.lr * min(rise, left)


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
    if config.optimizer == "muon":
        return Muon(model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    raise ValueError(f'optimizer is "{config.optimizer}": it must be "adam", "sgd" or "muon".')


class Muon(torch.optim.Optimizer):
    """Nesterov's momentum, with the step of each kernel made nearly orthogonal (Jordan 2024, and his CIFAR-10 code).

    For networks that normalize after each convolution, so that the size of a kernel does not matter: before each step
    a kernel (F, C, K, L) is scaled to the norm sqrt(F), and then goes about lr in each direction. All other parameters
    take the plain step of momentum with four times the rate, and only they feel weight_decay. As in torch's optimizers
    a parameter without a gradient stays as it is. (torch.optim.Muon takes matrices only, and no kernels.)
    Built in chapter 14.
    """

    def __init__(self, parameters, *, lr, momentum=0.8, weight_decay=0.0):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                kernel, state = p.dim() == 4, self.state[p]
                gradient = p.grad if kernel else p.grad.add(p, alpha=group["weight_decay"])
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
                update = gradient.add(buffer, alpha=group["momentum"])  # Nesterov: look ahead by one step
                if kernel:
                    p.mul_(len(p) ** 0.5 / p.norm().clamp(min=1e-7))
                p.sub_(orthogonalize(update) if kernel else 4 * update, alpha=group["lr"])


def orthogonalize(update, *, steps=3):
    """Bring the singular values of an update near 1 and leave its directions: roughly the nearest orthogonal matrix.

    update: (F, ...), read as a matrix of F rows    Returns a tensor like update.
    Singular values above 2 % of the update's norm end between 0.6 and 1.3; three steps lift weaker ones some 40-fold.
    A Newton-Schulz iteration in bfloat16, which needs matrix products only; Jordan's three coefficients.
    Built in chapter 14.
    """
    x = update.flatten(1).bfloat16()
    x = x / (x.norm() + 1e-7)  # now no singular value is above 1
    x = x.T if (tall := x.shape[0] > x.shape[1]) else x
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.T if tall else x).reshape(update.shape).to(update.dtype)


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


def bar(batches, name, wanted):
    """The batches, wrapped in tqdm's progress bar: shown if wanted, and if there is a terminal to show it on.

    Provided.
    """
    from tqdm import tqdm

    return tqdm(batches, desc=name, leave=False, unit="batch", disable=None if wanted else True)


def say(entry, epochs):
    """Print one line about a finished epoch.

    Provided.
    """
    text = f"epoch {entry['epoch']}/{epochs}: loss {entry['train_loss']:.4f}, accuracy {entry['train_accuracy']:.2%}"
    if "val_loss" in entry:
        text += f", held out: loss {entry['val_loss']:.4f}, accuracy {entry['val_accuracy']:.2%}"
    print(f"{text}, {entry['seconds']:.0f} s", flush=True)


def save_checkpoint(path, run, model, optimizer, draw, history, best):
    """Write all that a run needs to go on after this epoch. A full disk costs the checkpoint, not the run.

    Provided.
    """
    state = {"run": run, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}
    state |= {"best": best, "draw": draw.get_state(), "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    content = io.BytesIO()
    torch.save(state, content)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getbuffer())
    except OSError as error:
        warnings.warn(
            f"no checkpoint of epoch {len(history)} at {path}: {error.strerror or error}. Training goes on; "
            "make room, or an interruption will cost the epochs since the last one.",
            RuntimeWarning,
            stacklevel=3,
        )


def resume(path, run, model, optimizer, draw):
    """Put a run back to where its checkpoint was written; without a file, leave everything at the start.

    Returns the history and the best weights so far.
    Raises RuntimeError if the file is damaged, ValueError if it belongs to another run; the file stays as it is.
    Provided.
    """
    if not Path(path).exists():
        return [], None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        saved = state["run"]
    except Exception as error:  # torch.load raises whatever the broken bytes lead it to
        problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        raise RuntimeError(
            f"the checkpoint {path} is damaged ({problem}). Move it away to train from the start."
        ) from error
    for key, value in run.items():
        if saved.get(key) != value:
            raise ValueError(
                f"the checkpoint {path} belongs to another run: its {key} is {shorten(str(saved.get(key)), 200)}, "
                f"this one's is {shorten(str(value), 200)}. Give this run another file, or move that one away."
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    draw.set_state(state["draw"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    return state["history"], state["best"]


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
