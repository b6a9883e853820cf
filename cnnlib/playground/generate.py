"""The generate playground in Python: generate.js, digits from two numbers, with the learner's own codes."""

import functools

import anywidget
import numpy as np
import traitlets
from safetensors.numpy import load_file

from cnnlib.ops import conv_transpose2d
from cnnlib.playground.digit import SIDE
from cnnlib.playground.files import PRETRAINED, module
from cnnlib.playground.kernel import custom_element, element_id, known_controls, written

REACH = 3  # the plane goes from -3 to 3 in both directions
MOST_CODES = 1000
CONTROLS = {"show"}


class GeneratePlayground(anywidget.AnyWidget):
    """Move a point over the plane of two numbers, and see the digit that the decoder paints from them.

    at: (first, second), from -3 to 3    image: (28, 28), what the decoder paints there, from 0 to 1
    codes: (M, 3), the two numbers of M images and their classes, or None
    What the learner changes on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("generate")
    at = traitlets.Tuple(traitlets.Float(), traitlets.Float(), default_value=(0.0, 0.0)).tag(sync=True)
    show = traitlets.Enum(["nothing", "map", "codes"], "nothing").tag(sync=True)
    codes = traitlets.Any(None, allow_none=True).tag(sync=True, to_json=lambda value, widget: rows(value))
    controls = traitlets.Unicode("show").tag(sync=True)
    label = traitlets.Unicode("Digits from two numbers").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("at")
    def _check_at(self, proposal):
        if not all(abs(value) <= REACH for value in proposal["value"]):
            raise ValueError(f"at is {proposal['value']}: want two numbers from -{REACH} to {REACH}")
        return proposal["value"]

    @traitlets.validate("codes")
    def _check_codes(self, proposal):
        return None if proposal["value"] is None else checked_codes(proposal["value"])

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], CONTROLS)

    @property
    def image(self):
        """(28, 28): what the decoder paints from the two numbers, from 0 to 1. Provided."""
        return decode(np.array([self.at]))[0]

    def __repr__(self):
        count = 0 if self.codes is None else len(self.codes)
        return f"GeneratePlayground(at={self.at}, {count} codes)"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def generate_playground(
    at=(0, 0), *, codes=None, labels=None, show="nothing", controls="show", name="", label="Digits from two numbers"
):
    """A playground in which two numbers become a digit: in JupyterLab a widget, in the book a part of the page.

    at: the two numbers, from -3 to 3
    show: what lies on the plane, "nothing", "map" (decoded digits) or "codes"
    codes: (M, 2), the numbers that the encoder gives M images, at most 1,000, and labels: (M,), their classes, 0 to 9;
    with them the page tells which of these images are nearest
    controls: what the reader may change, apart from the point: show
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a GeneratePlayground; its image and codes are arrays.
    Raises ValueError for a point off the plane, codes and labels that do not fit, or an unknown control.
    Provided.
    """
    if (codes is None) != (labels is None):
        raise ValueError("codes and labels go together: pass both, or neither")
    if codes is not None:
        codes, labels = np.asarray(codes, float), np.asarray(labels)
        if codes.ndim != 2 or codes.shape[1] != 2 or labels.shape != codes.shape[:1]:
            raise ValueError(f"codes have shape {codes.shape} and labels {labels.shape}: want (M, 2) and (M,)")
        codes = np.column_stack([codes, labels])
    options = {"controls": controls, "name": element_id(name), "label": label}
    return GeneratePlayground(at=tuple(map(float, at)), show=show, codes=codes, **options)


def checked_codes(codes):
    """Codes with their classes as a read-only array. Raises ValueError for what the page cannot show. Provided."""
    codes = np.array(codes, float)
    if codes.ndim != 2 or codes.shape[1] != 3 or not 0 < len(codes) <= MOST_CODES:
        raise ValueError(
            f"codes have shape {codes.shape}: want (M, 3), M from 1 to {MOST_CODES}. Try codes[:{MOST_CODES}]"
        )
    if not np.isfinite(codes).all() or not np.isin(codes[:, 2], range(10)).all():
        raise ValueError("codes hold a number that is not finite, or a class that is not 0 to 9")
    codes.flags.writeable = False
    return codes


def rows(codes):
    """What the page gets: a list of [first, second, class]. Provided."""
    return [] if codes is None else codes.tolist()


@functools.cache
def weights():
    """The decoder's weights by name, as float64 arrays. Provided."""
    found = load_file(PRETRAINED / "autoencoder.safetensors")
    return {name.removeprefix("decoder."): w.astype(float) for name, w in found.items() if name.startswith("decoder.")}


def decode(codes):
    """Images from their codes, as the decoder of models.DigitAutoencoder paints them, here with cnnlib.ops.

    codes: (N, 2)    Returns (N, 28, 28), from 0 to 1.
    Provided.
    """
    w, options = weights(), {"stride": 2, "padding": 1}
    small = np.maximum(codes @ w["0.weight"].T + w["0.bias"], 0).reshape(-1, 32, SIDE // 4, SIDE // 4)
    middle = np.maximum(conv_transpose2d(small, w["3.weight"], w["3.bias"], **options), 0)  # (N, 16, 14, 14)
    logits = conv_transpose2d(middle, w["5.weight"], w["5.bias"], **options)[:, 0]
    return 1 / (1 + np.exp(-logits))


def element(widget):
    """The widget as HTML for a page without Python: <cnn-generate ...> with its state as attributes. Provided."""
    attributes = {
        "id": widget.name,
        "at": "{:g},{:g}".format(*widget.at),
        "show": widget.show,
        "codes": "" if widget.codes is None else written(widget.codes.round(3), "{:.4g}"),
        "controls": widget.controls or " ",
        "label": widget.label,
    }
    return custom_element("cnn-generate", attributes, "A playground: a decoder paints a digit from two numbers.")
