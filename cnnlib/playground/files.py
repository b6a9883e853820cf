"""Join the JavaScript files of a playground into one text: a module for JupyterLab, a script for the book."""

import re
from pathlib import Path

HERE = Path(__file__).parent
IMPORT = re.compile(r'^import .* from "\./(\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export .*\n", re.MULTILINE)


def sources(name):
    """The texts that make up the playground NAME: first the files that NAME.js imports, then NAME.js. Provided."""
    text = (HERE / f"{name}.js").read_text(encoding="utf-8")
    return [*((HERE / f"{other}.js").read_text(encoding="utf-8") for other in IMPORT.findall(text)), text]


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
