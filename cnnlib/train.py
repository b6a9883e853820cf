"""Training that can be trusted: settings, fit, evaluate, seeds; and the records and weights of finished runs."""

import json
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from cnnlib.checkpoints import identity, read_checkpoint, restore, save_checkpoint, write_atomically
from cnnlib.checks import (
    NotFinite,
    as_images,
    check_alternate,
    check_batches,
    check_choice,
    check_examples,
    check_held_out,
    check_number,
    check_run,
    check_whole,
    count_bad,
    try_augment,
)
from cnnlib.distributed import from_first, join, spread
from cnnlib.machine import bfloat16_pays, check_device, keep_memory, precision_here
from cnnlib.models import evaluating, training

PRETRAINED = Path(__file__).parent / "pretrained"
RUNS = Path(__file__).parent.parent / "runs"


@dataclass(frozen=True)
class Config:
    """The settings of one training run.

    Provided.
    """

    epochs: int = 3  # passes over the training images
    batch_size: int = 128  # images a step; the last batch of an epoch may be shorter
    optimizer: str = "adam"  # "adam", "sgd", "rmsprop" or "muon"
    lr: float = 1e-3  # peak of the learning rate
    momentum: float = 0.9  # for sgd and muon; adam's first beta and rmsprop's alpha take its value
    weight_decay: float = 0.0  # shrinks every weight by lr * weight_decay a step; with muon see Muon
    schedule: str = "triangle"  # "triangle", "cosine", "step" or "constant": see learning_rate
    warmup: float = 0.2  # share of all steps that the way up to the peak takes
    label_smoothing: float = 0.0  # share of the target that is dealt out evenly to all classes
    precision: str = "float32"  # "bfloat16": layers compute in half the bits, where it pays; weights stay in float32
    small_epochs: int = 0  # the first epochs see images shrunk to small_size pixels a side: quicker, and good enough
    small_size: int | tuple = 0  # a tuple has a side for each of these epochs


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
    alternate=False,
    keep="last",
    checkpoint=None,
    progress=False,
):
    """Train a network on whole tensors, in place; the same seed gives the same numbers on the same machine.

    x: (N, ...) float    y: (N,) class indices    validation: (x, y) of images held out, or None
    device: "cpu", "cuda" or "mps"    steps: stop after so many steps of the run, None for all of it
    augment: called with each batch of images and a torch.Generator, the only one to draw from, returns the batch to
    learn from; it is tried once on the first images, before the run
    alternate: True: each image is mirrored in every second epoch, before augment; whether in the first one is drawn
    keep: "last": the weights after the last epoch; "best": those of the epoch with the highest val_accuracy
    checkpoint: a file that is written after each epoch; if it is there already, the run goes on where it ended
    progress: a bar where there is a terminal, else a line an epoch
    Under torchrun all processes do one training together, see cnnlib.distributed: the same numbers up to rounding.
    Modules in evaluation mode stay in it, unless the whole network is; afterwards each is in the mode it was in.
    Returns the history, a dict an epoch: epoch, lr, losses (of each step), train_loss, train_accuracy, seconds,
    and with validation images val_loss, val_accuracy. Loss and accuracy are means over examples; accuracy is 0 to 1.
    Raises ValueError, before anything is changed, if an argument cannot be or the checkpoint belongs to another run,
    FloatingPointError if the loss is no longer finite (the weights are then the last finite ones), RuntimeError if
    the checkpoint is damaged.
    Built in chapter 07. Extended in chapter 08. Extended in chapter 14.
    """
    config, seed = check_run(model, config, keep, validation, seed, steps, augment), int(seed)
    world = join(device)  # of one process, unless torchrun has started more
    device, progress = check_device(device), progress and world.rank == 0
    x, y = check_examples(model, x, y)
    check_alternate(alternate, x)
    held_out = None if validation is None else check_held_out(model, validation)
    per_epoch = math.ceil(len(y) / config.batch_size)
    total = config.epochs * per_epoch
    last = total if steps is None else min(steps, total)
    tried = try_augment(augment, x[: config.batch_size])
    check_batches(model, **batches_to_check(tried, config, len(y), last >= per_epoch))
    if last == 0:
        return []
    config = replace(config, precision=precision_here(config.precision, device))
    augmented = tried if augment else None
    run = identity(model, x, y, config, seed, keep, held_out, augmented, alternate) if checkpoint else None
    state = from_first(read_checkpoint, checkpoint, run, last // per_epoch) if checkpoint else None
    keep_memory()  # up to here nothing has been changed
    model.to(device=device, memory_format=torch.channels_last)  # the same numbers, in an order that convolutions like
    x, y = x.to(device), y.to(device)
    optimizer = make_optimizer(model, config)
    draw = torch.Generator().manual_seed(seed)  # the order of the images, and what augmentation draws
    sides = small_sides(config)
    mirrored = torch.randint(2, (len(y),), generator=torch.Generator().manual_seed(seed)) if alternate else None
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(seed)  # dropout draws from torch's own generator: it is lent a seed and put back
        history, best = restore(state, model, optimizer, draw) if state else ([], None)
        network = spread(model)  # each process computes its share of a batch; here it is the network itself
        for first in range(len(history) * per_epoch, last, per_epoch):
            start = time.perf_counter()
            batches = torch.randperm(len(y), generator=draw).split(config.batch_size)
            batches = batches[: last - first]
            rates = [learning_rate(step, total, config) for step in range(first, first + len(batches))]
            entry = {"epoch": len(history) + 1, "lr": rates[-1]}
            options = {"config": config, "augment": augment, "draw": draw, "small": sides[len(history)]}
            options["mirrored"] = (mirrored + len(history)) % 2 == 1 if alternate else None
            with bar(batches, f"epoch {entry['epoch']}/{config.epochs}", progress) as shown:
                entry |= train_epoch(network, x, y, shown, optimizer, rates, **options)
            if held_out is not None:
                measured = evaluate(network, *held_out, precision=config.precision)
                entry |= {f"val_{key}": value for key, value in measured.items()}
            history.append({**entry, "seconds": time.perf_counter() - start})
            if keep == "best" and entry["val_accuracy"] > max((e["val_accuracy"] for e in history[:-1]), default=-1):
                best = {name: value.clone() for name, value in model.state_dict().items()}
            if checkpoint and world.rank == 0 and len(batches) == per_epoch:
                save_checkpoint(checkpoint, run, model, optimizer, draw, history, best)
            if progress:
                say(history[-1], config.epochs)
    if best is not None:
        model.load_state_dict(best)
    return history


def train_epoch(
    model, x, y, batches, optimizer, rates, *, config=DEFAULT, augment=None, draw=None, small=None, mirrored=None
):
    """Take one step for each batch of indices, at the learning rate that belongs to it.

    config: label_smoothing and precision are used    augment, draw: see fit    small: side to shrink the images to
    mirrored: (N,) bool, the images that are turned from left to right, or None
    Modules in evaluation mode stay in it, unless the whole network is; afterwards each is in the mode it was in.
    Returns losses (of each step) and train_loss, train_accuracy as means over the examples seen, in training mode.
    Raises FloatingPointError if the loss or a weight is no longer finite, and leaves what the step before had left.
    Built in chapter 07. Extended in chapter 08. Extended in chapter 14.
    """
    losses, total, correct, seen = [], 0.0, 0, 0
    with training(model):
        for indices, rate in zip(batches, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
            images = x[indices] if mirrored is None else mirror(x[indices], mirrored[indices])
            images = images if augment is None else augment(images, draw)
            images = shrink(images, small) if small else images
            where = f"at step {len(losses)} of this epoch, learning rate {rate:.3g}"
            with whole_step(model, where):
                logits = forward(model, images, config.precision)  # (N, classes)
                loss = F.cross_entropy(logits, y[indices], label_smoothing=config.label_smoothing)
                losses.append(finite(loss.item(), where, images))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += losses[-1] * len(indices)  # the last batch is shorter: it must count for less
            correct += (logits.argmax(1) == y[indices]).sum().item()
            seen += len(indices)
    return {"losses": losses, "train_loss": total / seen, "train_accuracy": correct / seen}


def forward(model, x, precision="float32"):
    """The logits of a batch; with "bfloat16" convolutions and products run in half the bits, where that pays.

    x: (N, ...) float, on the model's device    Returns (N, classes) float32, or float64 if the network is.
    Raises ValueError on another precision.
    Built in chapter 14.
    """
    check_choice("precision", precision)
    half = precision == "bfloat16" and bfloat16_pays(x.device)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
        logits = model(x)
    return logits.float() if logits.dtype == torch.bfloat16 else logits


def predict(model, x, *, batch_size=1000, precision="float32"):
    """The logits of all images, in evaluation mode and without gradients; each module's mode is put back afterwards.

    x: (N, ...) float    precision: see Config    Returns (N, classes) float, on the model's device.
    Raises ValueError if x is empty or not of the network's dtype, on another precision, on a batch size below 1.
    Built in chapter 08.
    """
    check_choice("precision", precision)
    x, batch_size = as_images(model, x), check_whole("batch_size", batch_size, least=1)
    device = next((p.device for p in model.parameters()), x.device)
    precision = precision_here(precision, device, again=False)
    with evaluating(model), torch.no_grad():
        return torch.cat([forward(model, part.to(device), precision) for part in x.split(batch_size)])


def evaluate(model, x, y, *, batch_size=1000, precision="float32"):
    """Loss and accuracy over all examples, each counted once, in evaluation mode; modes are put back afterwards.

    x: (N, ...) float    y: (N,) class indices    precision: see Config
    Returns {"loss": mean cross-entropy, "accuracy": 0 to 1}.
    Raises ValueError if x and y cannot be images and their labels, FloatingPointError if the loss is not finite.
    Built in chapter 07. Extended in chapter 08. Extended in chapter 14.
    """
    x, y = check_examples(model, x, y)
    logits = predict(model, x, batch_size=batch_size, precision=precision)
    y = y.to(logits.device)
    loss = finite(F.cross_entropy(logits, y).item(), "over these images", x)
    return {"loss": loss, "accuracy": (logits.argmax(1) == y).sum().item() / len(y)}


def predict_averaged(model, x, *, batch_size=1000, precision="float32"):
    """The logits of all images with test-time augmentation: a mean over six views of each image (Jordan 2024).

    The image itself counts one half, moved by one pixel up and left one quarter, down and right one quarter, and each
    of the three is seen as it is and mirrored. What comes in at a border is a reflection.
    x: (N, C, H, W) float    precision: see Config    Returns (N, classes) float, on the model's device.
    Raises ValueError as predict does, and if x is not (N, C, H, W) with H and W from 2 up.
    Built in chapter 14.
    """
    x = as_images(model, x)
    if x.dim() != 4 or min(x.shape[2:]) < 2:
        raise ValueError(f"x is {tuple(x.shape)}: images (N, C, H, W) of 2 pixels a side at least are wanted, to move.")
    options = {"batch_size": batch_size, "precision": precision}
    around = F.pad(x, (1, 1, 1, 1), mode="reflect")  # (N, C, H + 2, W + 2)
    views = {0.5: [x], 0.25: [around[:, :, 2:, 2:], around[:, :, :-2, :-2]]}
    return sum(
        share / 2 * (predict(model, view, **options) + predict(model, view.flip(3), **options))
        for share, same in views.items()
        for view in same
    )


def split(n, held_out, *, seed=0):
    """Divide the indices 0..n-1 at random into two parts that share none.

    Returns (n - held_out,) and (held_out,) int64, each in ascending order.
    Raises ValueError unless both are whole numbers and 0 < held_out < n.
    Built in chapter 08.
    """
    n, held_out = check_whole("n", n), check_whole("held_out", held_out)
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
    Raises ValueError on another schedule, or a warm-up outside 0 to 1.
    Built in chapter 08. Extended in chapter 10.
    """
    check_choice("schedule", config.schedule)
    check_number("warmup", config.warmup, most=1)
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "step":
        return config.lr * (1 if 2 * step < steps else 0.1 if 4 * step < 3 * steps else 0.01)
    peak = config.warmup * steps
    rise, left = (step + 1) / (peak + 1), (steps - step) / (steps - peak) if peak < steps else 1
    if config.schedule == "cosine":
        left = (1 - math.cos(math.pi * min(left, 1))) / 2
    return config.lr * min(rise, left)


def make_optimizer(model, config):
    """The optimizer that a Config names, over all parameters of a network.

    Raises ValueError on another name.
    Provided.
    """
    check_choice("optimizer", config.optimizer)
    options = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "adam":
        return torch.optim.AdamW(model.parameters(), betas=(config.momentum, 0.999), **options)
    options["momentum"] = config.momentum
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), nesterov=config.momentum > 0, **options)
    if config.optimizer == "rmsprop":  # 0.9 is Keras's rho; torch's own alpha is 0.99
        del options["momentum"]
        return torch.optim.RMSprop(model.parameters(), alpha=config.momentum, **options)
    return Muon(model.parameters(), **options)


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
    A Newton-Schulz iteration, which needs matrix products only, in bfloat16 where that pays; Jordan's three
    coefficients.
    Built in chapter 14.
    """
    x = update.flatten(1)
    x = x.bfloat16() if bfloat16_pays(x.device) else x.float()
    x = x / (x.norm() + 1e-7)  # now no singular value is above 1
    x = x.T if (tall := x.shape[0] > x.shape[1]) else x
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.T if tall else x).reshape(update.shape).to(update.dtype)


def batches_to_check(images, config, examples, whole_epoch):
    """What checks.check_batches has to look at: shrunken images, and all if one becomes a batch of its own.

    Provided.
    """
    sizes = [shrink(images, side) for side in {side for side in small_sides(config) if side}]
    if config.batch_size > 1 and not (whole_epoch and examples % config.batch_size == 1):
        return {"batches": sizes}
    sizes += [images] if config.small_epochs < config.epochs else []
    return {"batches": sizes, "examples": examples, "batch_size": config.batch_size}


def small_sides(config):
    """The side to which the images of each epoch are shrunk, None where they stay as they are: a list over the epochs.

    Provided.
    """
    sides, epochs = config.small_size, min(config.small_epochs, config.epochs)
    sides = sides[:epochs] if isinstance(sides, tuple) else (sides,) * epochs
    return [*sides] + [None] * (config.epochs - epochs)


def mirror(images, which):
    """Turn some images of a batch from left to right.

    images: (N, C, H, W) float    which: (N,) bool, on the CPU    Returns a tensor like images.
    Provided.
    """
    return torch.where(which.to(images.device)[:, None, None, None], images.flip(3), images)


def shrink(images, side):
    """Images scaled down to a square.

    images: (N, C, H, W) float    side: pixels, min(H, W) at most    Returns (N, C, side, side).
    Raises ValueError on other images, or a larger side.
    Provided.
    """
    if images.dim() != 4 or side > min(images.shape[2:]):
        raise ValueError(
            f"images {tuple(images.shape)} cannot be shrunk to {side} pixels a side (small_size): "
            "(N, C, H, W) is wanted, with H and W no smaller."
        )
    return F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


@contextmanager
def whole_step(model, where):
    """Within a `with` block a step is taken whole or not at all: after an error, weights and buffers are as before.

    where: the step in words, for a message
    Raises FloatingPointError if the step has made a weight, or a running statistic, nan or inf.
    Provided.
    """
    state = [p for p in model.parameters() if p.requires_grad] + list(model.buffers())
    before = [value.detach().clone() for value in state]
    try:
        yield
        if not all_finite(state) and all_finite(before):
            raise NotFinite(f"weights are nan or inf {where}: lower the rate. They are put back to what they were.")
    except BaseException:
        with torch.no_grad():
            for value, old in zip(state, before, strict=True):
                value.copy_(old)
        raise


def all_finite(tensors):
    """Whether no tensor holds nan or inf.

    Provided.
    """
    tensors = [t.detach() for t in tensors if t.is_floating_point()]
    if torch.stack([t.sum().double() for t in tensors]).isfinite().all():  # one pass; a sum may overflow, seldom
        return True
    return all(t.isfinite().all() for t in tensors)


def finite(loss, where, images):
    """The loss itself, if it is a finite number.

    where: of what, in words, for a message    images: the batch
    Raises FloatingPointError, which tells whether it lies with the images, if it is not.
    Provided.
    """
    if not math.isfinite(loss):
        bad = count_bad(images)
        why = f"{bad} of {len(images)} images hold nan or inf" if bad else "the network needs a lower rate"
        raise NotFinite(f"the loss is {loss} {where}: {why}.")
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
