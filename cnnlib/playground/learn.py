"""Watch it learn, in Python: learn.js on generated shapes or on the learner's own images, its curves as arrays."""

import base64

import anywidget
import numpy as np
import traitlets

from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, known_controls

CONTROLS = "rate momentum batch normalization augmentation depth labels seed"
SIDE, FEWEST, MOST_IMAGES, MOST_CLASSES = 16, 40, 1500, 10


class LearnPlayground(anywidget.AnyWidget):
    """Watch a small convolutional network learn, on generated shapes or on one's own images.

    losses: (T,), of each step's batch    looks: (L, 3), step, loss and share right of the held-out images
    kernels: (8, 3, 3), of the first convolution    wrong: numbers of the held-out images with a wrong answer
    All are what the page sent when its training last paused; before that they are empty.
    Provided.
    """

    _esm = module("learn")
    rate = traitlets.Float(0.05, min=1e-4, max=10).tag(sync=True)
    momentum = traitlets.Float(0.9, min=0, max=0.99).tag(sync=True)
    batch = traitlets.Int(32, min=2, max=128).tag(sync=True)
    normalization = traitlets.Enum(["batch", "none"], "batch").tag(sync=True)
    augmentation = traitlets.Enum(["none", "shift", "flip", "shift and flip"], "none").tag(sync=True)
    depth = traitlets.Int(2, min=1, max=3).tag(sync=True)
    labels = traitlets.Enum(["true", "shuffled"], "true").tag(sync=True)
    seed = traitlets.Int(0, min=0, max=999).tag(sync=True)
    images, classes, names = (traitlets.Unicode("").tag(sync=True) for _ in range(3))
    controls = traitlets.Unicode(CONTROLS).tag(sync=True)
    label = traitlets.Unicode("Watch it learn").tag(sync=True)
    name = traitlets.Unicode("")
    losses, looks, kernels, wrong = (
        traitlets.Any(np.zeros(shape)).tag(sync=True, to_json=lambda value, widget: value.tolist())
        for shape in ((0,), (0, 3), (0, 3, 3), (0,))
    )

    @traitlets.validate("losses", "looks", "kernels")
    def _check_array(self, proposal):
        return np.array(proposal["value"], float)  # a loss that has overflowed comes as None: nan

    @traitlets.validate("wrong")
    def _check_wrong(self, proposal):
        return np.array(proposal["value"], int)

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], set(CONTROLS.split()))

    def __repr__(self):
        what = f"{len(self.classes)} images" if self.images else "shapes"
        setting = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("rate", "batch", "depth", "seed"))
        return f"LearnPlayground({what}, {setting})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def learn_playground(
    images=None,
    classes=None,
    *,
    names=None,
    rate=0.05,
    momentum=0.9,
    batch=32,
    normalization="batch",
    augmentation="none",
    depth=2,
    labels="true",
    seed=0,
    controls=CONTROLS,
    name="",
    label="Watch it learn",
):
    """A playground in which a small network learns: a widget in JupyterLab, in the book a part of the page.

    images: (N, 16, 16), 40 to 1500 of them, scaled from their least to their largest value into 256 levels; the last
        fifth is held out; None for shapes that are drawn at random
    classes: (N,) whole numbers from 0 to at most 9    names: a text for each class, without commas; digits if left out
    rate: 0.0001 to 10    momentum: 0 to 0.99    batch: images a step, 2 to 128    normalization: "batch" or "none"
    augmentation: "none", "shift", "flip" or "shift and flip"    depth: convolutions, 1 to 3
    labels: "true" or "shuffled"    seed: of shapes, first weights and order, 0 to 999
    controls: what the reader may change, any of these eight names
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a LearnPlayground; after training its losses, looks, kernels and wrong are arrays.
    Raises ValueError for images or classes that are not such, a batch larger than what is learned from, or an unknown
    control.
    Provided.
    """
    own = {} if images is None and classes is None else packed(images, classes, names)
    if own and batch > (room := len(own["classes"]) - len(own["classes"]) // 5):
        raise ValueError(f"batch {batch}, but there are {room} images to learn from: choose a smaller batch")
    setting = {"rate": rate, "momentum": momentum, "batch": batch, "normalization": normalization, "seed": seed}
    setting |= {"augmentation": augmentation, "depth": depth, "labels": labels}
    return LearnPlayground(**setting, **own, controls=controls, name=element_id(name), label=label)


def packed(images, classes, names=None):
    """Images and classes as the page takes them: bytes in base64, a digit an image, names with commas. Provided."""
    images, classes = np.asarray(images, float), np.asarray(classes)
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or not FEWEST <= len(images) <= MOST_IMAGES:
        raise ValueError(
            f"images have shape {images.shape}: pass (N, {SIDE}, {SIDE}), {FEWEST} to {MOST_IMAGES} of them"
        )
    if not np.isfinite(images).all() or np.ptp(images) == 0:
        raise ValueError("images hold nan or infinite numbers, or are all the same: pass finite pixels that differ")
    if classes.shape != (len(images),) or classes.dtype.kind not in "iu":
        raise ValueError(f"classes are {classes.dtype} {classes.shape}: pass {len(images)} whole numbers, one an image")
    if classes.min() < 0 or classes.max() >= MOST_CLASSES:
        raise ValueError(f"classes go from {classes.min()} to {classes.max()}: choose from 0 to {MOST_CLASSES - 1}")
    count = int(classes.max()) + 1
    names = [str(k) for k in range(count)] if names is None else [str(name) for name in names]
    if len(names) < count or len(names) > MOST_CLASSES or any("," in name for name in names):
        raise ValueError(f"{len(names)} names for {count} classes: pass one for each, without commas")
    levels = np.round(255 * (images - images.min()) / np.ptp(images)).astype(np.uint8)
    text = base64.b64encode(levels.tobytes()).decode()
    return {"images": text, "classes": "".join(map(str, classes)), "names": ",".join(names)}


def element(widget):
    """The widget as HTML for a page without Python: <cnn-learn ...> with its state as attributes. Provided."""
    attributes = {
        "id": widget.name,
        **{name: getattr(widget, name) for name in (*CONTROLS.split(), "images", "classes", "names")},
        "augmentation": widget.augmentation.replace(" ", "+"),
        "controls": widget.controls or " ",  # what is empty would be left out
        "label": widget.label,
    }
    what = f"{len(widget.classes)} images" if widget.images else "shapes that are drawn at random"
    return custom_element("cnn-learn", attributes, f"A playground: a small convolutional network learns {what}.")
