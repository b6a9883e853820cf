"""The digit playground in Python: digit.js, with the drawing and the network's answer as arrays."""

import functools
import json
import re

import anywidget
import numpy as np
import traitlets

from cnnlib import ops
from cnnlib.playground.files import HERE, module, network
from cnnlib.playground.kernel import custom_element, element_id

SIDE, BOX = 28, 20  # pixels: of an MNIST image, and of the longer side of a digit in it
PEN = 2.7  # pixels: with a pen this wide, our ten digits hold as much ink as MNIST's, 13 % of the image
FINE = 4  # each pixel is looked at in 4 x 4 places: covered by ink or not
LAYERS = {"conv1": 32, "pool1": 32, "conv2": 64, "pool2": 64}  # maps of each


class DigitPlayground(anywidget.AnyWidget):
    """Draw a digit and see what the network of chapter 08 makes of it, map by map.

    example: a drawing by name, or ""    strokes: lists of points (x, y) on a surface of 28 x 28
    image: (28, 28) uint8, what the network is shown; assign one of MNIST's to see how the network reads it
    What the learner draws on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("digit")
    example = traitlets.Unicode("").tag(sync=True)
    strokes = traitlets.Any([]).tag(sync=True)
    pixels = traitlets.Any(None, allow_none=True).tag(sync=True, to_json=lambda value, widget: listed(value))
    center = traitlets.Bool(True).tag(sync=True)
    map = traitlets.Unicode("conv1.0").tag(sync=True)
    label = traitlets.Unicode("Draw a digit").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("example")
    def _check_example(self, proposal):
        if proposal["value"] and proposal["value"] not in examples():
            raise ValueError(f"no example is called {proposal['value']!r}: there are {sorted(examples())}")
        return proposal["value"]

    @traitlets.validate("strokes")
    def _check_strokes(self, proposal):
        return checked_strokes(proposal["value"])

    @traitlets.validate("pixels")
    def _check_pixels(self, proposal):
        return None if proposal["value"] is None else checked_image(proposal["value"])

    @traitlets.validate("map")
    def _check_map(self, proposal):
        layer, _, k = proposal["value"].partition(".")
        if not k.isdecimal() or int(k) >= LAYERS.get(layer, 0):
            raise ValueError(f"no map is called {proposal['value']!r}: a layer of {LAYERS} and a number, as in conv2.5")
        return proposal["value"]

    @traitlets.observe("strokes", "example")
    def _replace(self, change):
        """What is assigned last is what is shown."""
        if change["new"]:
            self.pixels = None
            if change["name"] == "strokes":
                self.example = ""

    @property
    def drawing(self):
        """The strokes that are shown: those of the example, if one is chosen. Provided."""
        return examples()[self.example] if self.example else self.strokes

    @property
    def image(self):
        """(28, 28) uint8: what the network is shown. Provided."""
        if self.pixels is not None:
            return self.pixels
        return like_mnist(self.drawing) if self.center else rasterize(self.drawing)

    @image.setter
    def image(self, value):
        self.pixels = value

    @property
    def logits(self):
        """(10,): the network's answer, one logit for each digit. Provided."""
        return forward(self.image)

    @property
    def probabilities(self):
        """(10,): softmax of the logits. Provided."""
        return ops.softmax(self.logits)

    def __repr__(self):
        best = int(self.logits.argmax())
        return f"DigitPlayground(read as {best}, probability {self.probabilities[best]:.3f})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def digit_playground(example="", *, strokes=(), image=None, center=True, map="conv1.0", name="", label="Draw a digit"):
    """A playground in which the reader draws a digit and chapter 08's network reads it, every feature map shown.

    example: a drawing to start with, by name: "0" to "9" or another of the page's
    strokes: or one's own, a list of strokes, each a list of points (x, y) from 0 to 28
    image: or (28, 28) gray levels from 0 to 255
    center: scale and center the drawing as MNIST's digits are    map: the map shown large, as in "conv2.5"
    name: the element's id in the page; the page's address then holds example and map    label: for screen readers
    Returns a DigitPlayground; its image (28, 28), logits (10,) and probabilities (10,) are arrays.
    Raises ValueError for an unknown example or map, and for strokes or an image of the wrong form.
    Provided.
    """
    options = {"center": center, "map": map, "name": element_id(name), "label": label}
    return DigitPlayground(example=example, strokes=strokes, pixels=image, **options)


@functools.cache
def examples():
    """The drawings that the playground knows by name: a dict of strokes. Provided."""
    text = (HERE / "digit_examples.js").read_text(encoding="utf-8")
    return json.loads(re.search(r"= (\{.*?\n\});", text, re.DOTALL)[1])


def rasterize(strokes, *, pen=PEN, size=SIDE):
    """Draw strokes with a round pen on size x size pixels.

    strokes: points (x, y) in pixels    pen: its width in pixels
    Returns (size, size) uint8: 255 times the part of each pixel that is covered, seen in 4 x 4 places.
    Provided.
    """
    places = (np.arange(size * FINE) + 0.5) / FINE
    x, y = places, places[:, None]
    ink = np.zeros((size * FINE, size * FINE), bool)
    for stroke in strokes:
        for (ax, ay), (bx, by) in zip(stroke, stroke[1:] or stroke, strict=False):
            dx, dy = bx - ax, by - ay
            along = ((x - ax) * dx + (y - ay) * dy) / ((dx * dx + dy * dy) or 1)
            t = np.clip(along, 0, 1)
            ink |= (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2 <= pen * pen / 4
    counts = ink.reshape(size, FINE, size, FINE).sum((1, 3))
    return np.floor(255 * counts / FINE**2 + 0.5).astype(np.uint8)


def like_mnist(strokes):
    """Draw strokes as MNIST's digits are: the longer side 20 pixels, the center of mass in the middle of 28 x 28.

    The middle is pixel (14, 14), met to half a pixel, because the image is moved by whole pixels. The pen is as wide
    as MNIST's, however large the drawing was.
    Returns (28, 28) uint8.    Source: the MNIST page of LeCun, Cortes and Burges.
    Provided.
    """
    if not any(strokes):
        return np.zeros((SIDE, SIDE), np.uint8)
    points = np.concatenate([stroke for stroke in strokes if len(stroke)])
    low, longest = points.min(0), np.ptp(points, axis=0).max()
    scale = (BOX - PEN) / longest if longest > 0 else 1
    scaled = [[((x - low[0]) * scale + PEN / 2, (y - low[1]) * scale + PEN / 2) for x, y in one] for one in strokes]
    picture = rasterize(scaled)
    down, right = (middle_shift(picture.sum(axis)) for axis in (1, 0))
    return np.roll(picture, (down, right), (0, 1))


def middle_shift(mass):
    """By how many pixels to move ink at the edge so that its center of mass comes to pixel 14, but no ink gets lost."""
    center = (mass * np.arange(SIDE)).sum() / mass.sum()
    return int(np.clip(np.floor(SIDE / 2 - center + 0.5), 0, SIDE - 1 - np.flatnonzero(mass)[-1]))


def forward(image):
    """Run the shipped network of chapter 08 in NumPy, in float64.

    image: (28, 28) gray levels from 0 to 255    Returns logits (10,).
    Provided.
    """
    w, told = weights(), network("two_conv")
    x = (image[None, None] / 255 - told["mean"]) / told["std"]  # (1, 1, 28, 28)
    for layer in ("conv1", "conv2"):
        x = ops.relu(ops.conv2d(x, w[f"{layer}.weight"], w[f"{layer}.bias"], padding=1))
        x = ops.max_pool2d(x, 2)
    x = ops.relu(ops.linear(x.reshape(1, -1), w["fc1.weight"], w["fc1.bias"]))  # (1, 128)
    return ops.linear(x, w["fc2.weight"], w["fc2.bias"])[0]  # (10,)


@functools.cache
def weights():
    """The shipped weights by name: a length, a table in JSON and the numbers make a safetensors file. Provided."""
    data = network("two_conv")["weights"]
    start = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:start])
    table.pop("__metadata__", None)
    parts = {name: data[start + one["data_offsets"][0] : start + one["data_offsets"][1]] for name, one in table.items()}
    return {name: np.frombuffer(parts[name], "<f2").reshape(one["shape"]).astype(float) for name, one in table.items()}


def checked_strokes(value):
    """Strokes as lists of pairs of numbers.

    Raises ValueError if a stroke is not a list of points (x, y).
    Provided.
    """
    arrays = [np.asarray(stroke, dtype=float) for stroke in value]
    for k, stroke in enumerate(arrays):
        if stroke.ndim != 2 or stroke.shape[1] != 2 or not np.isfinite(stroke).all():
            raise ValueError(f"stroke {k} has shape {stroke.shape}: a stroke is a list of points (x, y), from 0 to 28")
    return [stroke.tolist() for stroke in arrays]


def checked_image(value):
    """An image as a read-only (28, 28) uint8 array.

    Raises ValueError for another shape, or for levels outside of 0 to 255.
    Provided.
    """
    value = np.array(value)
    if value.shape != (SIDE, SIDE):
        raise ValueError(f"image has shape {value.shape}, not ({SIDE}, {SIDE}): pass one gray image, as in images[0]")
    if not np.isfinite(value).all() or value.min() < 0 or value.max() > 255 or 0 < value.max() <= 1:
        raise ValueError(f"image goes from {value.min()} to {value.max()}, but gray levels go from 0 to 255")
    value = np.rint(value).astype(np.uint8)
    value.flags.writeable = False
    return value


def listed(value):
    """An array as lists of plain numbers, for the page; None stays None. Provided."""
    return None if value is None else value.tolist()


def element(widget):
    """The widget as HTML for a page without Python: <cnn-digit ...> with its state as attributes. Provided."""
    own = [" ".join(f"{x:g},{y:g}" for x, y in stroke) for stroke in widget.strokes]
    image = [] if widget.pixels is None else [" ".join(map(str, row)) for row in widget.pixels.tolist()]
    attributes = {
        "id": widget.name,
        "example": widget.example,
        "strokes": "" if widget.example else "; ".join(own),
        "pixels": "; ".join(image),
        "center": "on" if widget.center else "off",
        "map": widget.map,
        "label": widget.label,
    }
    return custom_element("cnn-digit", attributes, "A playground: draw a digit, and chapter 08's network reads it.")
