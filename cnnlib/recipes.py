"""The recorded runs of the course: a name, a network, a data set, settings and seeds for each."""

import hashlib
import inspect
import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path

import torch

from cnnlib import train
from cnnlib.data import load, to_float
from cnnlib.models import TwoConvCNN, count_parameters
from cnnlib.train import Config

RECIPES = {
    "two_conv": {
        "model": TwoConvCNN,  # a class or a function without arguments that makes the network
        "data": "mnist",  # the network is trained on all images of the train split
        "mean": 0.1307,  # images are (pixel / 255 - mean) / std
        "std": 0.3081,
        "config": Config(epochs=3, batch_size=64, optimizer="adam", lr=3e-3),
        "seeds": (0, 1, 2, 3, 4),  # the weights of the first are shipped, whatever it scores
    },
}


def tensors(name, split):
    """The images and labels of a recipe's data set, ready for its network.

    Returns x (N, C, H, W) float32, y (N,) int64, and the Images they came from.
    Provided.
    """
    recipe = find(name)
    images = load(recipe["data"], split)
    x = torch.from_numpy(to_float(images.images, recipe["mean"], recipe["std"]))
    return x, torch.from_numpy(images.labels).long(), images


def find(name):
    """The recipe of that name.

    Raises ValueError, with the names there are, if there is none.
    Provided.
    """
    if name not in RECIPES:
        raise ValueError(f'there is no recipe "{name}": choose one of {", ".join(RECIPES)}.')
    return RECIPES[name]


def start(name, seed, *, x, y, device="cpu", steps=None):
    """Train a recipe's network from one seed, which decides its first weights and the order of the images.

    x, y: the training images and labels    steps: stop after so many, None for the whole run
    Returns the network and its history.
    Provided.
    """
    recipe = find(name)
    model = train.seeded(recipe["model"], seed)
    return model, train.fit(model, x, y, recipe["config"], seed=seed, device=device, steps=steps)


def run(name, *, device="cpu", log=print):
    """Train a recipe from each of its seeds and look at the test images once for each, at the end.

    log: called with a line of text after each seed
    Returns the record, a dict for runs/NAME.json, and the network of the first seed.
    Raises RuntimeError if only a stand-in of the data is here.
    Provided.
    """
    recipe = find(name)
    (x, y, images), (test_x, test_y, _) = tensors(name, "train"), tensors(name, "test")
    if images.source != recipe["data"]:
        raise RuntimeError(f"{name} is recorded on {recipe['data']}, but only {images.source} is here.")
    runs, first = [], None
    for seed in recipe["seeds"]:
        begin = time.perf_counter()
        model, history = start(name, seed, x=x, y=y, device=device)
        seconds = time.perf_counter() - begin
        test = train.evaluate(model, test_x, test_y)
        runs.append(result(seed, seconds, history, test))
        log(f"{name}, seed {seed}: test accuracy {test['accuracy']:.2%}, {seconds:.0f} s")
        first = first or model
    sizes = {"parameters": count_parameters(first), "train_images": len(y), "test_images": len(test_y)}
    return {"name": name, "recipe": describe(name), **sizes, **circumstances(name, device), "runs": runs}, first


def result(seed, seconds, history, test):
    """What a record keeps of one seed: the test result, and of the history all but the loss of each late step.

    Provided.
    """
    epochs = [{key: round(value, 6) for key, value in entry.items() if key != "losses"} for entry in history]
    return {
        "seed": seed,
        "test_accuracy": test["accuracy"],
        "test_loss": round(test["loss"], 6),
        "seconds": round(seconds, 1),
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
    """Where and with what a run was made: hardware, versions, and a digest of the code.

    Provided.
    """
    code = inspect.getsource(train) + inspect.getsource(find(name)["model"])
    return {
        "hardware": {"device": device, "processor": processor(device), "threads": torch.get_num_threads()},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "code": hashlib.sha256(code.encode()).hexdigest(),
    }


def processor(device="cpu"):
    """The name of the processor or the graphics card, as far as the system tells.

    Provided.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def save(record, model):
    """Write runs/NAME.json and the weights of the first seed with their card, each file in one piece.

    Returns the paths of the three files.
    Provided.
    """
    name = record["name"]
    paths = train.RUNS / f"{name}.json", train.PRETRAINED / f"{name}.safetensors", train.PRETRAINED / f"{name}.json"
    train.write_atomically(paths[0], as_json(record))
    train.save_weights(model, paths[1])
    train.write_atomically(paths[2], as_json(card(record)))
    return paths


def card(record):
    """The card of shipped weights: what goes in, what comes out, how they came about, and what they score as shipped.

    Provided.
    """
    name, recipe, first = record["name"], record["recipe"], record["runs"][0]
    model = train.load_weights(find(name)["model"](), name)
    x, y, images = tensors(name, "test")
    return {
        "name": name,
        "model": recipe["model"],
        "parameters": record["parameters"],
        "dtype": "float16, for a network that computes in float32",
        "input": f"(N, {', '.join(map(str, x.shape[1:]))}) float32: (pixel / 255 - {recipe['mean']}) / {recipe['std']}",
        "output": f"(N, {len(images.classes)}) logits",
        "classes": [str(c) for c in images.classes],
        "trained_on": f"all {record['train_images']:,} training images of {recipe['data']}",
        "seed": first["seed"],
        "chosen": "the first seed of the recipe, after its last epoch; nothing was chosen on the test set",
        "test_accuracy": train.evaluate(model, x, y)["accuracy"],
        "test_images": record["test_images"],
        "record": f"runs/{name}.json",
    }


def as_json(value):
    """JSON as bytes: a key a line, lists of plain numbers on one line.

    Provided.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return (text + "\n").encode()
