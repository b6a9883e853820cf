"""Networks that answer with a picture, a class for each pixel or the image itself: how they train, what they score."""

import math
import time

import numpy as np
import torch
import torch.nn.functional as F

from cnnlib.models import evaluating, training
from cnnlib.scenes import count_pairs, dice, iou, near_borders
from cnnlib.train import DEFAULT, finite, learning_rate, make_optimizer


def fit(model, x, y, config=DEFAULT, *, seed=0, steps=None, look=None):
    """Train a network whose target is a picture, in place; the same seed gives the same numbers on the same machine.

    x: (N, C, H, W) float    y: (N, H, W) class indices, or (N, C, H, W) float for images: see picture_loss
    steps: stop after so many steps of the run    look: called with the network after each epoch, returns a dict
    Of config, epochs, batch_size, the optimizer's settings and the schedule are used.
    Returns the history, a dict an epoch: epoch, lr, losses (of each step), train_loss, seconds, and what look returned.
    Raises ValueError if x and y have no examples, or not equally many, FloatingPointError if the loss is not finite.
    Provided.
    """
    check_pairs(x, y)
    optimizer, history = make_optimizer(model, config), []
    draw = torch.Generator().manual_seed(seed)  # the order of the images
    total = config.epochs * math.ceil(len(x) / config.batch_size)
    last = total if steps is None else min(steps, total)
    step = 0
    while step < last:
        start, losses, sizes = time.perf_counter(), [], []
        with training(model):
            for indices in torch.randperm(len(x), generator=draw).split(config.batch_size)[: last - step]:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, total, config)
                loss = picture_loss(model(x[indices]), y[indices])
                losses.append(finite(loss.item(), f"at step {step}", x[indices]))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step, sizes = step + 1, [*sizes, len(indices)]
        entry = {"epoch": len(history) + 1, "lr": optimizer.param_groups[0]["lr"], "losses": losses}
        entry |= {"train_loss": float(np.average(losses, weights=sizes)), "seconds": time.perf_counter() - start}
        history.append(entry | (look(model) if look else {}))
    return history


def picture_loss(got, want):
    """The mean cross-entropy of all pixels if want holds their classes, their mean squared error if it is an image.

    got: (N, classes, H, W) logits, or (N, C, H, W)    want: (N, H, W) int64, or (N, C, H, W) float
    Provided.
    """
    return F.mse_loss(got, want) if want.is_floating_point() else F.cross_entropy(got, want)


def predict(model, x, *, batch_size=250):
    """What a network answers to all images, in evaluation mode and without gradients.

    x: (N, C, H, W) float    Returns (N, ...), logits (N, classes, H, W) for example.
    Provided.
    """
    with evaluating(model), torch.no_grad():
        return torch.cat([model(part) for part in x.split(batch_size)])


def evaluate(model, x, y, *, within=2):
    """The loss, and for classes their scores, over all pixels of all images, each counted once.

    x, y: see fit    within: how many pixels from a border a pixel may lie to count as near it
    Returns {"loss"} for images. For classes also accuracy, the share of pixels that are right, iou and dice, a list
    with a number for each class, and near_accuracy, near_iou, near_dice, the same near borders.
    Raises ValueError if x and y have no examples, or not equally many.
    Provided.
    """
    check_pairs(x, y)
    got = predict(model, x)
    scores = {"loss": picture_loss(got, y).item()}
    if y.is_floating_point():
        return scores
    labels, want, classes = got.argmax(1).numpy(), y.numpy(), got.shape[1]
    return (
        scores
        | label_scores(labels, want, classes)
        | {
            f"near_{key}": value
            for key, value in label_scores(labels, want, classes, near_borders(want, within)).items()
        }
    )


def label_scores(got, want, classes, where=None):
    """Accuracy, and IoU and Dice of each class, of labels against true labels.

    got, want: (N, H, W) class indices    where: (N, H, W) bool, the pixels that count; None for all
    Returns {"accuracy": 0 to 1, "iou": list, "dice": list}; a class that is in neither has nan.
    Provided.
    """
    pairs = count_pairs(got, want, classes, where)
    return {"accuracy": pairs.trace() / pairs.sum(), "iou": iou(pairs).tolist(), "dice": dice(pairs).tolist()}


def check_pairs(x, y):
    """Raise ValueError unless x and y hold equally many examples, and one at least.

    Provided.
    """
    if not len(x) == len(y) > 0:
        raise ValueError(f"x has {len(x)} examples and y has {len(y)}: equally many are needed, and one at least.")
