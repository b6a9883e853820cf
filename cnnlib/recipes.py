"""The recorded runs of the course: a name, a network, a data set, settings and seeds for each."""

import hashlib
import inspect
import json
import os
import platform
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import torch

from cnnlib import augment, clues, data, distributed, machine, models, pictures, scenes, train
from cnnlib.data import load, to_float
from cnnlib.train import Config

MNIST = {"data": "mnist", "mean": 0.1307, "std": 0.3081}
CIFAR = {"data": "cifar10", "mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)}
DEPTH = {  # plain against residual, 20 layers and 56: the network is all that differs
    **CIFAR,
    "augment": {"crop": {"padding": 4}, "flip": {}},
    "config": Config(epochs=10, optimizer="sgd", lr=0.1, weight_decay=1e-4, precision="bfloat16"),
    "seeds": (0,),
    "watch": True,
    "ship": False,
}
FAST = {  # chapter 14: the whole recipe, of which each arm of "fast_ablation" lacks one technique
    "model": models.FastNet,
    "arguments": {},
    **CIFAR,
    "whiten": 5_000,  # the first layer whitens the patches of so many training images, and stays as it is
    "augment": {"crop": {"padding": 2}},
    "config": Config(
        epochs=9,
        batch_size=1000,
        optimizer="muon",
        lr=0.24,
        momentum=0.6,
        warmup=0.0,
        label_smoothing=0.2,
        precision="bfloat16",
        small_epochs=5,
        small_size=(24, 24, 24, 24, 28),
    ),
    "alternate": True,  # flips: see train.fit
    "average": True,  # test-time augmentation is scored too, in a column of its own
    "watch": False,
    "ship": False,
}
FAST_SMALL = {  # half the width, a part of the images, fewer epochs: the techniques are compared on it
    **FAST,
    "arguments": {"widths": (32, 128, 128)},
    "images": 20_000,
    "config": replace(FAST["config"], epochs=4, small_epochs=3, small_size=(20, 24, 28)),
    "average": False,  # six views of each test image would cost too much here
}
THREE_CONV = {  # as its origin trains it; nothing but the number of images differs between its two protocols
    "model": models.ThreeConvCNN,
    "arguments": {},
    "data": "mnist",
    "mean": 0.0,
    "std": 1.0,
    "augment": {},
    "config": Config(epochs=5, batch_size=64, optimizer="rmsprop", lr=1e-3, schedule="constant"),
    "seeds": (0, 1, 2, 3, 4),
    "watch": False,
}
CONV_STACK = {  # depth against data: the number of convolutions and of images is all that differs, but for the epochs
    "model": models.conv_stack,
    **MNIST,
    "augment": {},
    "seeds": (0, 1, 2),
    "watch": False,
    "ship": False,
}
CLUE = {  # digits whose label is drawn: nothing but the planted clue tells it; clue and head are all that differs
    "model": clues.ClueNet,
    "data": "mnist",
    "images": 6_000,
    "mean": 0.0,  # black stays 0
    "std": 1.0,
    "labels": "drawn",  # in the place of the digit's own
    "augment": {},
    "config": Config(epochs=8, batch_size=64, optimizer="adam", lr=1e-2),
    "seeds": (0, 1, 2),
    "watch": False,
}
HOUSE = {  # all four clues are on every image; in each network's images another one tells the label, the rest tell lies
    **CLUE,
    "arguments": {"head": "flatten"},
    "images": 20_000,
    "labels": "digit",
    "config": Config(epochs=4, batch_size=64, optimizer="adam", lr=3e-3),
    "seeds": (0,),
    "ship": True,
}
RECIPES = {
    "two_conv": {
        "model": models.TwoConvCNN,  # a class or a function that makes the network
        "arguments": {},  # its arguments
        **MNIST,  # trained on the images of the train split, as (pixel / 255 - mean) / std
        "augment": {},  # functions of cnnlib.augment with their arguments, in this order
        "config": Config(epochs=3, batch_size=64, optimizer="adam", lr=3e-3),
        "seeds": (0, 1, 2, 3, 4),
        "watch": False,  # True: measure the test images after each epoch too, for a curve; nothing is chosen by it
        "ship": True,  # the weights of the first seed, whatever it scores
    },
    "three_conv": {**THREE_CONV, "ship": True},
    "three_conv_split": {
        **THREE_CONV,
        "images": 48_000,  # learn from the first so many of the train split only
        "watch": "rest",  # and measure the others after each epoch
        "ship": False,
    },
    "resnet18": {
        "model": models.resnet18,
        "arguments": {},
        **CIFAR,
        "augment": {"crop": {"padding": 4}, "flip": {}, "cutout": {"size": 8}},
        "config": Config(
            epochs=23,
            batch_size=512,
            optimizer="muon",
            lr=0.06,
            momentum=0.8,
            weight_decay=5e-4,
            warmup=0.15,
            label_smoothing=0.1,
            precision="bfloat16",
            small_epochs=10,
            small_size=24,
        ),
        "seeds": (0,),
        "watch": False,
        "ship": True,
    },
    "plain20": {"model": models.plain_cifar, "arguments": {"depth": 20}, **DEPTH},
    "plain56": {"model": models.plain_cifar, "arguments": {"depth": 56}, **DEPTH},
    "residual20": {"model": models.residual_cifar, "arguments": {"depth": 20}, **DEPTH},
    "residual56": {"model": models.residual_cifar, "arguments": {"depth": 56}, **DEPTH},
    "cifar10-fast": {**FAST, "seeds": (0,), "ship": True},
    "autoencoder": {
        "model": models.DigitAutoencoder,
        "arguments": {},
        "data": "mnist",
        "mean": 0.0,  # pixels from 0 to 1, as they come out
        "std": 1.0,
        "learns": "images",  # each image is its own target; without this, classes are learned
        "augment": {},
        "config": Config(epochs=8, batch_size=128, optimizer="adam", lr=3e-3),
        "seeds": (0,),
        "watch": False,
        "ship": True,
    },
    **{
        f"stack{depth}_{images}": {
            **CONV_STACK,
            "arguments": {"depth": depth},
            "images": images,
            "config": Config(epochs=epochs, batch_size=64, optimizer="adam", lr=1e-3),
        }
        for depth in (1, 2, 3, 4)
        for images, epochs in ((500, 60), (5_000, 20), (60_000, 5))
    },
    **{
        f"{clue}_{head}": {**CLUE, "arguments": {"head": head}, "clues": (clue,), "decoys": (), "ship": True}
        for clue in ("place", "sign")
        for head in ("flatten", "mean")
    },
    **{
        f"house_{letter}": {**HOUSE, "clues": told, "decoys": tuple(name for name in clues.CLUES if name not in told)}
        for letter, told in zip("abcde", (("sign",), ("level",), (), ("shift",), ("place",)), strict=True)
    },
}


def equal_cost(stem="imagenet"):
    """One of two networks that need about as many multiplications for an image of 32x32 pixels.

    stem: "imagenet" (torchvision's ResNet-18 as it is: 11.2 million parameters, maps of 16 pixels and fewer) or
    "cifar" (the same blocks behind a 3x3 stem, a quarter as wide: 0.7 million parameters, maps of 32 and fewer)
    Provided.
    """
    if stem == "imagenet":
        from cnnlib.torchvision import models as theirs  # its import takes a second

        return theirs.resnet18(num_classes=10)
    return models.ResNet((16, 32, 64, 128), (2, 2, 2, 2))


def equal_size(kind="cnn"):
    """One of three networks of nearly 57,100 parameters for color images of 32x32 pixels.

    kind: "cnn" (SmallCNN), "patches" or "convolutions" (TinyViT, 16 tokens of 48 numbers, with that tokenizer)
    Provided.
    """
    if kind == "cnn":
        return models.SmallCNN()
    return models.TinyViT(patch=8, hidden={"patches": 140, "convolutions": 119}[kind], tokenizer=kind)


SMALL = {  # chapter 10's whole recipe, on a fifth of the images
    "model": models.SmallCNN,
    "arguments": {},
    **CIFAR,
    "images": 10_000,
    "augment": {"flip": {}, "crop": {"padding": 2}, "cutout": {"size": 8}},
    "config": Config(epochs=8, optimizer="sgd", lr=0.8, weight_decay=5e-4, label_smoothing=0.1),
    "seeds": (0, 1, 2, 3, 4),
    "watch": False,
    "ship": False,
}
RAW = {"mean": 0.0, "std": 1.0}  # pixels from 0 to 1
WITHOUT_NORM = {"arguments": {"batch_norm": False}}
CONSTANT = {"config": {"schedule": "constant"}}
FIRST = {  # the recipe with which chapter 10 begins: none of its ingredients
    **RAW,
    **WITHOUT_NORM,
    "augment": {},
    "config": {"schedule": "constant", "weight_decay": 0.0, "label_smoothing": 0.0},
}
METHODS = {
    "sgd": {"config": {"momentum": 0.0, "weight_decay": 0.0}},
    "momentum": {"config": {"weight_decay": 0.0}},
    "adam": {"config": {"optimizer": "adam", "weight_decay": 0.0}},
}


def with_rate(change, rate):
    """The changes of an arm, and a learning rate.

    Provided.
    """
    return {**change, "config": {**change.get("config", {}), "lr": rate}}


BARE = {"weight_decay": 0.0, "label_smoothing": 0.0}  # the rates below are the best of the study "rates"
LEDGER = {  # each arm has one ingredient more than the arm above; the next two are no_cutout and full of the ablation
    "nothing": with_rate(FIRST, 0.05),
    "+_normalized_input": with_rate({**FIRST, **CIFAR}, 0.025),
    "+_batch_norm": with_rate({**FIRST, **CIFAR, "arguments": {}}, 0.2),
    "+_schedule": {"augment": {}, "config": BARE},
    "+_weight_decay": {"augment": {}, "config": {"label_smoothing": 0.0}},
    "+_flip": {"augment": {"flip": {}}, "config": {"label_smoothing": 0.0}},
    "+_crop": {"augment": {"flip": {}, "crop": {"padding": 2}}, "config": {"label_smoothing": 0.0}},
}
ABLATION = {  # one ingredient left out of the whole recipe, made wrong, or added
    "full": {},
    "no_normalization": RAW,
    "wrong_std": {"std": (0.2023, 0.1994, 0.2010)},
    "no_batch_norm": with_rate(WITHOUT_NORM, 0.1),
    "no_flip": {"augment": {"crop": {"padding": 2}, "cutout": {"size": 8}}},
    "no_crop": {"augment": {"flip": {}, "cutout": {"size": 8}}},
    "no_cutout": {"augment": {"flip": {}, "crop": {"padding": 2}}},
    "no_augmentation": {"augment": {}},
    "no_weight_decay": {"config": {"weight_decay": 0.0}},
    "no_schedule": with_rate(CONSTANT, 0.1),
    "no_label_smoothing": {"config": {"label_smoothing": 0.0}},
    "with_dropout": {"arguments": {"dropout": 0.2}},
}
KINDS = {  # chapter 12: three networks of equal MACs, from a part of CIFAR-10; the network and its rate differ
    "model": models.small_net,
    **CIFAR,
    "augment": {"flip": {}},
    "config": Config(epochs=2, batch_size=64, optimizer="sgd", lr=0.1, weight_decay=5e-4),
    "watch": False,
    "ship": False,
}
ATTENTION = {  # convolution against attention: equal parameters, and so many images that the seconds are equal too
    "model": equal_size,
    **CIFAR,
    "augment": {"flip": {}, "crop": {"padding": 2}},
    "config": Config(batch_size=64, optimizer="adam", weight_decay=0.05, label_smoothing=0.1),
    "watch": False,
    "ship": False,
}
SHOWN = {"cnn": 32_000, "patches": 40_000, "convolutions": 32_000}  # images of a run: one of patches is the cheapest


def equal_seconds(kind, images, rate, share=1):
    """The changes of an arm that trains one of equal_size's networks on so many images, at its rate.

    share: of the steps of a whole run
    Provided.
    """
    epochs = round(share * SHOWN[kind] / images)
    return {"arguments": {"kind": kind}, "images": images, "config": {"epochs": epochs, "lr": rate}}


STUDIES = {  # NAME -> a recipe, and for each arm what is changed in it; "config" names only the fields that change
    "rates": {  # by which the rates below are chosen, on training images held out, from a seed that is not used again
        **SMALL,
        "config": replace(SMALL["config"], lr=0.2),  # as it stood before these runs; each arm has a rate of its own
        "held_out": 10_000,
        "seeds": (100,),
        "arms": {
            f"{name}_{rate:g}": with_rate(change, rate)
            for name, change, rates in (
                ("first", FIRST, (0.05, 0.1, 0.2, 0.4)),
                ("first_normalized", {**FIRST, **CIFAR}, (0.0125, 0.025, 0.05, 0.1, 0.2)),
                ("first_batch_norm", {**FIRST, **CIFAR, "arguments": {}}, (0.05, 0.1, 0.2, 0.4)),
                ("full", {}, (0.2, 0.4, 0.8, 1.6)),
                ("no_batch_norm", WITHOUT_NORM, (0.025, 0.05, 0.1, 0.2)),
                ("constant", CONSTANT, (0.05, 0.1, 0.2, 0.4)),
                ("sgd", METHODS["sgd"], (0.4, 0.8, 1.6, 3.2, 6.4)),
                ("momentum", METHODS["momentum"], (0.1, 0.2, 0.4, 0.8, 1.6)),
                ("adam", METHODS["adam"], (0.0025, 0.005, 0.01, 0.02, 0.04)),
            )
            for rate in rates
        },
    },
    "ledger": {**SMALL, "seeds": (0, 1, 2), "arms": LEDGER},
    "ablation": {**SMALL, "arms": ABLATION},
    "optimizers": {
        **SMALL,
        "watch": True,
        "arms": {
            name: with_rate(METHODS[name], rate) for name, rate in (("sgd", 3.2), ("momentum", 0.4), ("adam", 0.02))
        },
    },
    "stems": {  # two networks of equal cost, from a part of CIFAR-10
        "model": equal_cost,
        **CIFAR,
        "images": 4_000,
        "augment": {},
        "config": Config(epochs=4, batch_size=64, optimizer="sgd", lr=0.1, weight_decay=5e-4, label_smoothing=0.1),
        "seeds": (0, 1, 2),
        "watch": False,
        "ship": False,
        "arms": {stem: {"arguments": {"stem": stem}} for stem in ("imagenet", "cifar")},
    },
    "kind_rates": {  # by which the rates of "kinds" are chosen, on images held out, from a seed that is not used again
        **KINDS,
        "images": 8_000,
        "held_out": 5_000,
        "seeds": (100,),
        "arms": {
            f"{kind}_{rate:g}": with_rate({"arguments": {"kind": kind}}, rate)
            for kind in ("plain", "vgg", "inception")
            for rate in (0.03, 0.1, 0.3, 1.0, 3.0)
        },
    },
    "kinds": {
        **KINDS,
        "images": 10_000,
        "seeds": (0, 1, 2),
        "arms": {
            kind: with_rate({"arguments": {"kind": kind}}, rate)
            for kind, rate in (("plain", 1.0), ("vgg", 0.1), ("inception", 0.1))
        },
    },
    "unet": {  # scenes labeled pixel by pixel; skips, or a few more weights in their place, are all that differs
        "model": models.UNet,
        "arguments": {"channels": 1, "classes": 4, "width": 8},
        "data": "scenes",
        "mean": 0.5,
        "std": 0.25,
        "learns": "pixels",
        "augment": {},
        "config": Config(epochs=10, batch_size=8, optimizer="adam", lr=5e-3),
        "seeds": (0, 1, 2, 3, 4),
        "watch": False,
        "ship": False,
        "arms": {
            "skips": {},
            "no_skips": {"arguments": {"channels": 1, "classes": 4, "width": 8, "skips": False}},
        },
    },
    "attention_rates": {  # by which the rates of the next study are chosen, on training images held out
        **ATTENTION,
        "held_out": 2_000,
        "seeds": (100,),
        "arms": {
            f"{kind}_{rate:g}": equal_seconds(kind, 2_000, rate, share=0.5)
            for kind, rates in (
                ("cnn", (0.001, 0.003, 0.01, 0.03)),
                ("patches", (0.001, 0.003, 0.01)),
                ("convolutions", (0.001, 0.003, 0.01)),
            )
            for rate in rates
        },
    },
    "attention": {
        **ATTENTION,
        "seeds": (0, 1, 2),
        "arms": {
            f"{kind}_{images}": equal_seconds(kind, images, rate)
            for images in (500, 2_000, 8_000)
            for kind, rate in (("cnn", 0.003), ("patches", 0.003), ("convolutions", 0.003))
        },
    },
    "fast_rates": {  # by which the rates of the next study are chosen, on training images held out
        **FAST_SMALL,
        "held_out": 5_000,
        "seeds": (100,),
        "arms": {
            f"{name}_{rate:g}": with_rate({"config": change}, rate)
            for name, change, rates in (
                ("muon", {}, (0.12, 0.24, 0.48)),
                ("sgd", {"optimizer": "sgd", "momentum": 0.9}, (0.3, 1.0, 3.0, 10.0)),
                ("constant", {"schedule": "constant"}, (0.06, 0.12)),
            )
            for rate in rates
        },
    },
    "fast_ablation": {  # one technique left out of the recipe
        **FAST_SMALL,
        "seeds": (0, 1, 2),
        "arms": {
            "full": {},
            "no_whitening": {"whiten": 0},  # PyTorch's first weights in its place, and they learn
            "no_orthogonal_steps": {"config": {"optimizer": "sgd", "momentum": 0.9, "lr": 3.0}},
            "no_label_smoothing": {"config": {"label_smoothing": 0.0}},
            "no_alternating_flips": {"alternate": False, "augment": {"flip": {}, **FAST["augment"]}},
            "no_small_images": {"config": {"small_epochs": 0, "small_size": 0}},
            "no_full_size": {"config": {"small_epochs": 4, "small_size": (20, 24, 28, 28)}},
            "no_schedule": {"config": {"schedule": "constant", "lr": 0.06}},
        },
    },
    "forty_seeds": {
        **SMALL,
        "images": 25_000,
        "augment": {},
        "config": Config(epochs=2, optimizer="sgd", lr=0.2, weight_decay=5e-4),
        "seeds": tuple(range(40)),
        "arms": {"plain": {}, "smoothed": {"config": {"label_smoothing": 0.1}}},
    },
}


def tensors(name, split):
    """The images and labels of a recipe's data set, ready for its network.

    split: "train" (the images that the recipe learns from), "rest" (the train split's other images), or "test", in
    whose place a recipe that names "held_out" has so many images from the end of the train split
    Returns x (N, C, H, W) float32, y (N,) int64, and the Images they came from. A recipe that learns "pixels" has the
    class of each pixel as y, (N, H, W) int64; one that learns "images" has x itself.
    Provided.
    """
    recipe = find(name)
    count, held_out = recipe.get("images"), recipe.get("held_out")
    source = "test" if split == "test" and not held_out else "train"
    images = drawn_scenes(source) if recipe["data"] == "scenes" else load(recipe["data"], source)
    test = slice(-held_out, None) if held_out else slice(None)
    part = {"train": slice(count), "rest": slice(count or len(images.labels), None), "test": test}[split]
    pixels, labels = images.images[part], images.labels[part]
    if "clues" in recipe:
        pixels, labels = with_clues(pixels, labels, recipe, np.random.default_rng([11, *split.encode()]))
    x = torch.from_numpy(to_float(pixels, recipe["mean"], recipe["std"]))
    return x, x if recipe.get("learns") == "images" else torch.from_numpy(labels).long(), images


def drawn_scenes(split):
    """The scenes of that split, as data.load returns a data set.

    Provided.
    """
    return data.Images(*scenes.load(split), scenes.CLASSES, "scenes")


def with_clues(images, labels, recipe, rng):
    """Images on which a recipe's clues tell the label and its decoys a class that is drawn; the label may be drawn too.

    images: (N, 28, 28) uint8    labels: (N,) uint8    rng: a NumPy generator    Returns images and labels.
    Provided.
    """
    if recipe["labels"] == "drawn":
        labels = rng.integers(0, 10, len(labels), dtype=np.uint8)
    told = clues.telling(labels, recipe["clues"], recipe["decoys"], rng)
    return clues.plant(images, told, rng), labels


def find(name):
    """The recipe of that name; STUDY is the recipe that a study changes, STUDY/ARM has the changes of one of its arms.

    Raises ValueError, with the names there are, if there is none.
    Provided.
    """
    study, _, arm = name.partition("/")
    arms = {"": {}, **STUDIES[study]["arms"]} if study in STUDIES else {}
    if arm in arms:
        recipe = {key: value for key, value in STUDIES[study].items() if key != "arms"}
        return {**recipe, **arms[arm], "config": replace(recipe["config"], **arms[arm].get("config", {}))}
    if name not in RECIPES:
        raise ValueError(f'there is no recipe "{name}": choose one of {", ".join([*RECIPES, *STUDIES])}.')
    return RECIPES[name]


def start(name, seed, *, x, y, device="cpu", steps=None, **options):
    """Train a recipe's network from one seed, which decides its first weights and the order of the images.

    x, y: the training images and labels    steps: stop after so many, None for the whole run
    options: more of train.fit's, for example checkpoint; if it learns pixels or images, of pictures.fit's
    Returns the network and its history.
    Provided.
    """
    recipe = find(name)
    model, options = train.seeded(partial(build, name), seed), {"steps": steps, **options}
    if recipe.get("whiten"):
        model.whiten(x[: recipe["whiten"]])
    if "learns" in recipe:
        return model, pictures.fit(model, x, y, recipe["config"], seed=seed, **options)
    options = {"device": device, "alternate": recipe.get("alternate", False), **options}
    return model, train.fit(model, x, y, recipe["config"], seed=seed, augment=augmentation(name), **options)


def build(name):
    """A recipe's network, with fresh weights.

    Provided.
    """
    recipe = find(name)
    return recipe["model"](**recipe["arguments"])


def augmentation(name):
    """What a recipe does to each batch of images, as a function for train.fit; None if it leaves them alone.

    Provided.
    """
    chain = [partial(change(function), **options) for function, options in find(name)["augment"].items()]

    def changed(x, generator):
        for change in chain:
            x = change(x, generator=generator)
        return x

    return changed if chain else None


def change(function):
    """The function of that name that changes a batch of images.

    Provided.
    """
    return getattr(augment, function)


def run(name, *, device="cpu", log=print, progress=False):
    """Train a recipe from each of its seeds and look at the test images once for each, at the end, in float32.

    An interrupted run goes on from its checkpoints in the user's cache; one that learns pixels or images, a matter of
    minutes and trained on the CPU, begins again.
    log: called with a line of text after each seed    progress: see train.fit
    Returns the record, a dict for runs/NAME.json and the sources that go beside it, and the network of the first seed.
    Under torchrun all processes train one network, and each of them gets the record.
    Raises ValueError if there is no such recipe or device, or if several processes are to learn pixels or images,
    RuntimeError if only a stand-in of the data is here.
    Provided.
    """
    recipe, device = find(name), str(machine.check_device(device))
    if "learns" in recipe and distributed.world().size > 1:
        raise ValueError(f"{name} learns {recipe['learns']}, which is done by one process: leave torchrun out.")
    (x, y, images), (test_x, test_y, _) = tensors(name, "train"), tensors(name, "test")
    if images.source != recipe["data"]:
        raise RuntimeError(f"{name} is recorded on {recipe['data']}, but only {images.source} is here.")
    where, runs, first = circumstances(name, device), [], None
    watched = {False: None, True: (test_x, test_y), "rest": tensors(name, "rest")[:2]}[recipe["watch"]]
    evaluate = pictures.evaluate if "learns" in recipe else train.evaluate
    for seed in recipe["seeds"]:
        options = {"device": device, "progress": progress, "validation": watched, "checkpoint": checkpoint(name, seed)}
        model, history = start(name, seed, x=x, y=y, **({} if "learns" in recipe else options))
        network = distributed.spread(model)
        runs.append(result(seed, history, evaluate(network, x, y), evaluate(network, test_x, test_y)))
        if recipe.get("average"):  # beside the plain accuracy, never in its place
            right = train.predict_averaged(network, test_x).argmax(1).cpu() == test_y
            runs[-1]["tta_accuracy"] = right.double().mean().item()
        key = main_score(runs[-1])
        log(f"{name}, seed {seed}: {key.replace('_', ' ')} {runs[-1][key]:.4f}, {runs[-1]['seconds']:.0f} s")
        first = first or model
    sizes = {"parameters": models.count_parameters(first), "train_images": len(y), "test_images": len(test_y)}
    return {"name": name, "recipe": describe(name), **sizes, **where, "runs": runs}, first


def run_study(name, *, device="cpu", log=print):
    """Train each arm of a study from each of its seeds, as run does, and put what they reached side by side.

    Returns the record, as run does: for each arm its changes, and a list over its seeds of each result.
    Raises ValueError if there is no such study or device, RuntimeError if only a stand-in of the data is here.
    Provided.
    """
    if name not in STUDIES:
        raise ValueError(f'there is no study "{name}": choose one of {", ".join(STUDIES)}.')
    where, arms, sizes = circumstances(name, str(machine.check_device(device))), {}, {}
    for arm, change in STUDIES[name]["arms"].items():
        record, _ = run(f"{name}/{arm}", device=device, log=log)
        sizes = {key: record[key] for key in ("train_images", "test_images")}
        arms[arm] = {"change": change, "parameters": record["parameters"], **columns(record["runs"])}
    return {"name": name, "recipe": describe(name), **sizes, **where, "arms": arms}


def main_score(result):
    """The name of the number by which a result is judged: the accuracy where there is one, otherwise the loss.

    Provided.
    """
    return "test_accuracy" if "test_accuracy" in result else "test_loss"


def columns(runs):
    """The results of several seeds as a list for each quantity, and its curve where one was watched.

    Provided.
    """
    keys = [key for key in runs[0] if key not in ("history", "first_losses")]
    lists = {key: [run[key] for run in runs] for key in keys} | {"first_loss": [run["first_losses"][0] for run in runs]}
    if "val_accuracy" in runs[0]["history"][0]:
        lists["curve"] = [[entry["val_accuracy"] for entry in run["history"]] for run in runs]
    return lists


def checkpoint(name, seed):
    """Where the unfinished run of a recipe from one seed is kept.

    Provided.
    """
    return data.cache_dir() / "runs" / f"{name}-{seed}.pt"


def result(seed, history, learned, test):
    """What a record keeps of one seed: the final network's results on the images that it learned from and on the test
    images, and of the history all but the loss of each late step.

    Provided.
    """
    epochs = [{key: round(value, 6) for key, value in entry.items() if key != "losses"} for entry in history]
    key = "accuracy" if "accuracy" in learned else "loss"
    return {
        "seed": seed,
        f"train_{key}": learned[key],
        **{f"test_{key}": round(value, 6) if key == "loss" else value for key, value in test.items()},
        "seconds": round(sum(entry["seconds"] for entry in history), 1),
        "first_losses": [round(loss, 6) for loss in history[0]["losses"][:20]],
        "history": epochs,
    }


def describe(name):
    """A recipe in plain numbers and texts, as JSON will hold it.

    Provided.
    """
    recipe = find(name)
    model = recipe["model"].__name__
    return {**recipe, "model": model, "config": asdict(recipe["config"]), "seeds": list(recipe["seeds"])}


def circumstances(name, device):
    """Where and with what a run is made: hardware, versions, the precision that runs, its sources and their digest.

    Asked before it trains, since the files may change in the meantime.

    Provided.
    """
    half = find(name)["config"].precision == "bfloat16" and machine.bfloat16_pays(device)
    hardware = {"device": device, "processor": machine.processor(device), "flags": machine.flags(device)}
    limits = {key: os.environ[key] for key in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA") if key in os.environ}
    text = sources(name)
    return {
        "hardware": {**hardware, **limits, "threads": torch.get_num_threads(), "processes": distributed.world().size},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "precision": "bfloat16" if half else "float32",
        "code": hashlib.sha256(text.encode()).hexdigest(),
        "sources": text,
    }


def sources(name):
    """The code that a recipe's run depends on: the training loop, the networks, the changes of its augmentation.

    Without comments and docstrings. A record's digest is that of this text, which is kept in runs/code.
    Provided.
    """
    from cnnlib.reach import bare_code

    own = {inspect.getmodule(find(name)["model"]), models} - {models}  # the networks of a chapter that has its own file
    own = [*own, pictures, scenes] if "learns" in find(name) else own
    own = [*own, distributed] if distributed.world().size > 1 else own
    parts = [train, models, machine, *own, *(change(function) for function in find(name)["augment"])]
    return "".join(f"# {part.__name__}\n{bare_code(inspect.getsource(part))}\n\n" for part in parts)


def code_file(digest):
    """Where the sources of a digest are kept.

    Provided.
    """
    return train.RUNS / "code" / f"{digest[:16]}.txt"


def save(record, model):
    """Write runs/NAME.json, the sources of its code and, if the recipe ships them, the first seed's weights and card.

    Each file is written in one piece; then the checkpoints are no longer needed, and removed.
    Returns the paths of the files.
    Provided.
    """
    name, paths = record["name"], save_record(record)
    if find(name)["ship"]:
        paths += [train.PRETRAINED / f"{name}.safetensors", train.PRETRAINED / f"{name}.json"]
        train.save_weights(model, paths[2])
        train.write_atomically(paths[3], as_json(card(record)))
    for seed in find(name)["seeds"]:
        checkpoint(name, seed).unlink(missing_ok=True)
    return paths


def save_record(record):
    """Write runs/NAME.json and the sources of its code, each in one piece; returns their paths.

    Provided.
    """
    paths = [code_file(record["code"]), train.RUNS / f"{record['name']}.json"]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    train.write_atomically(paths[0], record["sources"].encode())
    train.write_atomically(paths[1], as_json({key: value for key, value in record.items() if key != "sources"}))
    return paths


def save_study(record):
    """Write runs/NAME.json and the sources of its code; then the checkpoints are no longer needed, and removed.

    Returns the paths of the files.
    Provided.
    """
    paths = save_record(record)
    for arm, results in record["arms"].items():
        for seed in results["seed"]:
            checkpoint(f"{record['name']}/{arm}", seed).unlink(missing_ok=True)
    return paths


def card(record):
    """The card of shipped weights: what goes in, what comes out, how they came about, what they score as shipped, and
    what they answer to each test image, if they name classes.

    Provided.
    """
    name, recipe, first = record["name"], record["recipe"], record["runs"][0]
    model = train.load_weights(build(name), name)
    x, y, images = tensors(name, "test")
    if "learns" in recipe:
        output, shipped = f"(N, {', '.join(map(str, y.shape[1:]))}) from 0 to 1", pictures.evaluate(model, x, y)
        scores = {"output": output, "test_loss": round(shipped["loss"], 6)}
    else:
        answers = train.predict(model, x).argmax(1)
        scores = {
            "output": f"(N, {len(images.classes)}) logits",
            "classes": [str(c) for c in images.classes],
            "test_accuracy": (answers == y).double().mean().item(),
            "answers": "".join(map(str, answers.tolist())),  # the class named for each test image, a digit for each
        }
    return {
        "name": name,
        "model": recipe["model"],
        "parameters": record["parameters"],
        "dtype": "float16, for a network that computes in float32",
        "input": f"(N, {', '.join(map(str, x.shape[1:]))}) float32: (pixel / 255 - {recipe['mean']}) / {recipe['std']}",
        "trained_on": trained_on(record),
        "seed": first["seed"],
        "chosen": "the first seed of the recipe, after its last epoch; nothing was chosen on the test set",
        "test_images": record["test_images"],
        "record": f"runs/{name}.json",
        **scores,
    }


def trained_on(record):
    """In words, the images that a record's network learned from.

    Provided.
    """
    recipe = record["recipe"]
    which = "the first" if recipe.get("images") else "all"
    text = f"{which} {record['train_images']:,} training images of {recipe['data']}"
    if "clues" not in recipe:
        return text
    labels = "the label is the digit" if recipe["labels"] == "digit" else "the label is drawn"
    told = [
        f"{name} {'tells it' if name in recipe['clues'] else 'is drawn'}"
        for name in clues.CLUES
        if name in (*recipe["clues"], *recipe["decoys"])
    ]
    return f"{text} with planted clues: {labels}, {', '.join(told)}"


def score(name, *, device="cpu", precision="float32"):
    """The card of shipped weights, and what they reach here on the test images: accuracy, or loss if the card has one.

    Raises ValueError if there is no such recipe, precision or device, FileNotFoundError if it ships no weights,
    RuntimeError on a stand-in.
    Provided.
    """
    recipe, model, device = find(name), build(name), machine.check_device(device)
    train.load_weights(model, name)
    x, y, images = tensors(name, "test")
    if images.source != recipe["data"]:
        raise RuntimeError(f"{name} is scored on {recipe['data']}, but only {images.source} is here.")
    if "learns" in recipe:
        return train.load_card(name), pictures.evaluate(model, x, y)["loss"]
    return train.load_card(name), train.evaluate(model.to(device), x, y, precision=precision)["accuracy"]


def as_json(value):
    """JSON as bytes: a key a line, lists of plain numbers on one line.

    Provided.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return (text + "\n").encode()
