"""What is looked at before a network trains or is measured, so that nothing goes wrong in the middle of a run."""

import math
import operator
from dataclasses import replace
from numbers import Real

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from cnnlib.machine import quoted
from cnnlib.models import evaluating, training

CHOICES = {
    "optimizer": ("adam", "sgd", "rmsprop", "muon"),
    "schedule": ("triangle", "cosine", "step", "constant"),
    "precision": ("float32", "bfloat16"),
    "keep": ("last", "best"),
}


class NotFinite(FloatingPointError, ValueError):
    """Images, weights or a loss hold nan or inf. It is both kinds of error, whichever a caller waits for.

    Provided.
    """


def check_choice(name, value):
    """Raise ValueError, with the values there are, unless a setting has one of its CHOICES.

    Provided.
    """
    if value not in CHOICES[name]:
        raise ValueError(f'{name} is "{value}": it must be {quoted(CHOICES[name])}.')


def check_whole(name, value, *, least=-(2**63), most=2**63 - 1):
    """The value as an int.

    Raises ValueError unless it is a whole number (what operator.index takes), and from least to most.
    Provided.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        bounds = f", {least} or more" if least >= 0 else ""
        raise ValueError(f"{name} is {value!r}: it must be a whole number{bounds}.")
    return number


def check_number(name, value, *, below=math.inf, most=math.inf):
    """Raise ValueError unless a value is a number, at least 0, less than below, and at most most.

    Provided.
    """
    if not isinstance(value, Real) or not (0 <= value < below and value <= most):
        end = f"less than {below:g}" if below < math.inf else f"{most:g}"
        raise ValueError(f"{name} is {value!r}: it must be a number from 0 to {end}.")


def check_config(config):
    """Raise ValueError, with the value and those that are possible, if a setting of a train.Config cannot be.

    Provided.
    """
    for name in ("optimizer", "schedule", "precision"):
        check_choice(name, getattr(config, name))
    for name in ("epochs", "batch_size"):
        check_whole(name, getattr(config, name), least=1)
    check_number("lr", config.lr, below=1e30)  # more cannot be computed with in float32
    check_number("weight_decay", config.weight_decay, below=1000)
    check_number("momentum", config.momentum, below=1)
    check_number("warmup", config.warmup, most=1)
    check_number("label_smoothing", config.label_smoothing, most=1)
    epochs = check_whole("small_epochs", config.small_epochs, least=0)
    sides = config.small_size if isinstance(config.small_size, tuple) else (config.small_size,) * epochs
    one = [check_whole("small_size", side, least=0) for side in (sides or (config.small_size,))]
    if bool(epochs) != all(one) or len(sides) != epochs:
        raise ValueError(
            f"small_epochs is {epochs} and small_size {config.small_size}: set both, or neither; "
            "a tuple needs a side for each of these epochs."
        )


def check_run(model, config, keep, validation, seed, steps, augment):
    """Look at the arguments of fit, but for images and labels.

    Returns the settings, with NumPy's numbers turned into Python's own.
    Raises ValueError, with what is possible, if one cannot be.
    Provided.
    """
    if not hasattr(config, "batch_size"):
        raise ValueError(f"config is a {type(config).__name__}: settings are made by Config(epochs=3, ...).")
    check_config(config)
    check_choice("keep", keep)
    if keep == "best" and validation is None:
        raise ValueError('keep is "best", which takes images held out to choose by: give validation=(x, y) as well.')
    check_whole("seed", seed, most=2**64 - 1)
    if steps is not None:
        check_whole("steps", steps, least=0)
    if augment is not None and not callable(augment):
        raise ValueError(f"augment is a {type(augment).__name__}: a function of images and a generator is wanted.")
    check_network(model)
    own = {name: value.item() for name, value in vars(config).items() if isinstance(value, np.generic)}
    return replace(config, **{**own, "small_size": plain_sides(config.small_size)})


def plain_sides(size):
    """A Config's small_size in Python's own whole numbers: one, or a tuple of them.

    Provided.
    """
    return tuple(map(int, size)) if isinstance(size, tuple) else int(size)


def check_alternate(alternate, x):
    """Raise ValueError unless alternate is True or False, and the images have columns to be mirrored if it is True.

    Provided.
    """
    if not isinstance(alternate, bool):
        raise ValueError(f"alternate is {alternate!r}: it must be True or False.")
    if alternate and x.dim() != 4:
        raise ValueError(f"x is {tuple(x.shape)}: with alternate, images (N, C, H, W) are wanted, to be mirrored.")


def check_network(model):
    """Raise ValueError unless a model is a network, with weights that can learn.

    Provided.
    """
    if isinstance(model, type):
        raise ValueError(f"model is the class {model.__name__}: make a network of it, {model.__name__}().")
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"model is a {type(model).__name__}: it must be a network, a torch.nn.Module.")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("no weight of the network can learn: it has none, or requires_grad is False for all of them.")
    if not all(p.isfinite().all() for p in model.parameters() if not is_lazy(p)):
        raise NotFinite("the network's weights hold nan or inf already: make the network anew.")


def check_examples(model, x, y):
    """Images and labels as tensors, the labels as int64, after a look at both.

    x: (N, ...) float    y: (N,) integers, 0 to classes - 1
    Raises ValueError, with the numbers and what to try, if they cannot be images and their labels for this network.
    Provided.
    """
    given, x, y = x, as_tensor("x", x), as_tensor("y", y)
    images, labels = (len(t) if t.dim() else 0 for t in (x, y))
    if images == 0 or images != labels:
        row = " Do they stand in a row? Try y[0]." if y.dim() == 2 and y.shape == (1, images) else ""
        raise ValueError(f"{images} images and {labels} labels: there must be as many labels as images, and some.{row}")
    x = as_images(model, given)
    if y.dim() != 1 or y.is_floating_point() or y.is_complex():
        raise ValueError(f"y is {tuple(y.shape)} {y.dtype}: labels are integers (N,). {label_advice(y)}")
    y, classes = y.long(), count_classes(model, x)
    low, high = y.min().item(), y.max().item()
    if low < 0 or high >= classes:
        raise ValueError(f"labels run from {low} to {high}, but the network has {classes} outputs: 0 to {classes - 1}.")
    return x, y


def label_advice(y):
    """What to try with labels y that are no integers (N,).

    Provided.
    """
    if y.dim() == 1:
        return "If they are whole numbers all the same, try y.long()."
    if y.dim() == 2 and y.shape[1] == 1:  # as Keras has those of CIFAR-10; argmax would make every label 0
        return "They stand in a column: try y[:, 0]" + (".long()." if y.is_floating_point() else ".")
    if y.numel() == len(y):
        return "One for each image is there: try y.flatten()."
    if y.dim() == 2:
        return "If one-hot, try y.argmax(1)."
    return "One label for each image is wanted, not one for each pixel."


def check_held_out(model, validation):
    """The images and labels of a validation as tensors, after a look at both.

    Raises ValueError if they are no such pair, or cannot be images and labels, NotFinite if the images hold nan or inf.
    Provided.
    """
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        raise ValueError(f"validation is a {type(validation).__name__}: a pair (x, y) of images and labels is wanted.")
    x, y = check_examples(model, *validation)
    if bad := count_bad(x):
        raise NotFinite(f"{bad} of the {len(x)} images held out hold nan or inf: repair them, or leave them out.")
    return x, y


def count_bad(images):
    """How many images hold nan or inf.

    Provided.
    """
    return 0 if images.sum().isfinite() else (~images.reshape(len(images), -1).isfinite().all(1)).sum().item()


def as_images(model, x):
    """Images as a tensor, after a look at them.

    x: (N, ...) float, of the same dtype as the network
    Raises ValueError, with what to try, if x is no such tensor or array.
    Provided.
    """
    array, x = isinstance(x, np.ndarray), as_tensor("x", x)
    if x.dim() == 0 or len(x) == 0:
        raise ValueError(f"x holds no images: its shape is {tuple(x.shape)}, and (N, ...) is wanted.")
    if not x.is_floating_point():
        raise ValueError(f"x is {x.dtype}, not float: scale the images first, with cnnlib.data.to_float.")
    wants = next((p.dtype for p in model.parameters() if p.is_floating_point()), x.dtype)
    if x.dtype != wants:
        name = str(wants).removeprefix("torch.")
        way = f'x.astype("{name}")' if array else "x.float()" if name == "float32" else f"x.to({wants})"
        raise ValueError(f"x is {x.dtype}, but the network computes in {wants}: try {way}.")
    return x


def as_tensor(name, value):
    """A tensor or an array as a tensor. Arrays that torch cannot share, or only with a warning, are copied.

    Raises ValueError if it holds no numbers, or is neither.
    Provided.
    """
    if isinstance(value, np.ndarray):
        shared = value.dtype.isnative and value.flags.writeable and all(step >= 0 for step in value.strides)
        value = value if shared else value.astype(value.dtype.newbyteorder("="))
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{name} is a {type(value).__name__}, and torch makes no numbers of it ({error}): "
            "a tensor or a NumPy array is wanted."
        ) from error


def count_classes(model, x):
    """How many logits a network gives for an image of x.

    Raises ValueError if it cannot read an image, or if its answer is no (N, classes).
    Provided.
    """
    try:
        logits = look(model, x[:1], evaluating)
    except RuntimeError as error:  # torch's own words; the networks of the course say it themselves, in a ValueError
        reason = str(error).splitlines()[0]
        raise ValueError(f"the network cannot read an image {tuple(x.shape[1:])}: {reason}.") from error
    if not isinstance(logits, torch.Tensor) or logits.dim() != 2 or len(logits) != 1:
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else f"a {type(logits).__name__}"
        raise ValueError(f"the network makes {got} of one image {tuple(x.shape[1:])}: logits (1, classes) are wanted.")
    return logits.shape[1]


def check_batches(model, batches, *, examples=None, batch_size=None):
    """Let a network see a batch of a run in training mode, so that it does not stop there after many steps.

    batches: images as the network gets them, a tensor for each size that comes up
    examples, batch_size: given if one image becomes a batch of its own
    Raises ValueError if it cannot train on such images, or on one at a time, as with batch normalization.
    Provided.
    """
    for images in batches:
        pair = images[[0, min(1, len(images) - 1)]]
        if reason := refusal(model, pair):
            raise ValueError(f"the network cannot train on images {tuple(images.shape[1:])}: {reason}")
        if examples and (reason := refusal(model, images[:1])):
            raise ValueError(f"the network cannot train on one image alone ({reason}). {advice(examples, batch_size)}")


def advice(examples, batch_size):
    """How to deal so many images out without a batch of one.

    Provided.
    """
    if examples == 1:
        return "There is only one: give it two at least."
    better = next(size for size in range(batch_size + 1, examples + 2) if examples % size != 1)
    out = ", or leave an image out: x[:-1], y[:-1]" if batch_size > 1 else ""
    return f"{examples} images in batches of {batch_size} leave it one: try batch_size={better}{out}."


def try_augment(augment, images):
    """What augmentation makes of the first images of a run, under a generator of its own.

    Returns a tensor; without augmentation, the images.
    Raises ValueError if it makes something that is not as many images of the same dtype.
    Provided.
    """
    if augment is None:
        return images
    with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
        torch.manual_seed(0)
        made = augment(images.clone(), torch.Generator().manual_seed(0))
    if not isinstance(made, torch.Tensor) or len(made) != len(images) or made.dtype != images.dtype:
        got = f"{tuple(made.shape)} {made.dtype}" if isinstance(made, torch.Tensor) else f"a {type(made).__name__}"
        raise ValueError(f"augment makes {got} of {tuple(images.shape)} {images.dtype}: as many images are wanted.")
    return made


def refusal(model, images):
    """Why a network cannot train on a batch, in its own words; None if it can.

    Provided.
    """
    try:
        look(model, images, training, network=model.forward)  # not model(images): a run's hooks are not for this
    except (ValueError, RuntimeError) as error:
        return str(error).splitlines()[0]


def look(model, images, mode, *, network=None):
    """What a network answers, in a mode, models.evaluating or training; nothing is changed by asking.

    Provided.
    """
    device = next((p.device for p in model.parameters()), images.device)
    with mode(model), torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        buffers = {name: value.clone() for name, value in model.named_buffers() if not is_lazy(value)}
        try:
            return (network or model)(images.to(device))
        finally:
            for name, value in model.named_buffers():
                if name in buffers:
                    value.copy_(buffers[name])
