"""Join the JavaScript files of a playground into one text: a module for JupyterLab, a script for the book."""

import base64
import json
import re
from pathlib import Path

HERE = Path(__file__).parent
PRETRAINED = HERE.parent / "pretrained"
IMPORT = re.compile(r'^import .* from "\./(\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export .*\n", re.MULTILINE)


def sources(name):
    """The texts that make up the playground NAME: first the files that NAME.js imports, then NAME.js. Provided."""
    text = source(name)
    return [*(source(other) for other in IMPORT.findall(text)), text]


def source(name):
    """The text of NAME.js: a file, or made here from what is kept elsewhere, so that there is one copy. Provided."""
    return MADE[name]() if name in MADE else (HERE / f"{name}.js").read_text(encoding="utf-8")


def network(name):
    """Shipped weights as bytes (safetensors), and what a page needs from their card to feed them and to speak of them.

    Returns a dict: weights, mean, std (of the images, scaled to 0..1), trained_on, test_accuracy.
    Provided.
    """
    card = json.loads((PRETRAINED / f"{name}.json").read_text(encoding="utf-8"))
    mean, std = re.search(r"/ 255 - ([\d.]+)\) / ([\d.]+)", card["input"]).groups()
    said = {key: card[key] for key in ("trained_on", "test_accuracy")}
    weights = (PRETRAINED / f"{name}.safetensors").read_bytes()
    return {"mean": float(mean), "std": float(std), **said, "weights": weights}


def network_data(name):
    """A module that holds a network as one constant, NETWORK, its weights in base64. Provided."""
    data = network(name)
    data["weights"] = base64.b64encode(data["weights"]).decode()
    return f"const NETWORK = {json.dumps(data)};\n\nexport {{ NETWORK }};\n"


def part_data(name, prefix, constant):
    """A module that holds, in base64, the weights of a network whose names begin with prefix. Provided."""
    data = base64.b64encode(part((PRETRAINED / f"{name}.safetensors").read_bytes(), prefix)).decode()
    return f'const {constant} = "{data}";\n\nexport {{ {constant} }};\n'


def part(weights, prefix):
    """Of a safetensors file, as bytes, the numbers whose names begin with prefix: a smaller one. Provided."""
    start = 8 + int.from_bytes(weights[:8], "little")
    table, kept, numbers = json.loads(weights[8:start]), {}, b""
    for name, one in table.items():
        if name.startswith(prefix):
            first, end = one["data_offsets"]
            kept[name] = one | {"data_offsets": [len(numbers), len(numbers) + end - first]}
            numbers += weights[start + first : start + end]
    head = json.dumps(kept).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + numbers


MADE = {  # modules that are no files
    "digit_data": lambda: network_data("two_conv"),
    "decoder_data": lambda: part_data("autoencoder", "decoder.", "DECODER"),
}


def module(name):
    """The playground as one ES module that imports nothing, as anywidget takes it. Provided."""
    return IMPORT.sub("", "\n".join(sources(name)))


def script(name):
    """The playground as a classic script that makes <cnn-NAME> alive.

    A page opened by double click (file://) may not load modules, so the book wraps the module in a function.
    Provided.
    """
    body = EXPORT.sub("", module(name))
    return f'(() => {{\n"use strict";\n{body}\ndefine("cnn-{name}", render, FIELDS);\n}})();\n'
