"""The pooling playground in Python: pooling.js with the learner's own arrays."""

import anywidget
import numpy as np
import traitlets

from cnnlib.ops import avg_pool2d, max_pool2d
from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, image_called, known_controls, matrix, written

LARGEST_IMAGE = 16  # rows or columns
CONTROLS = {"window", "image", "pixels", "pool", "size", "stride", "padding", "dilation", "shift"}
SIGNED = "3 -1 0 2 -4 1; -2 5 5 -3 0 -1; -6 -2 4 1 2 2; -1 -3 0 7 -2 -5; 2 2 -4 -1 6 -2; -3 0 1 -6 3 4"
STROKE = "0 0 0 0 0 0 0 0; 0 0 4 9 0 0 0 0; 0 0 7 8 0 0 0 0; 0 2 9 5 0 0 0 0; 0 5 9 1 0 0 0 0; 0 0 0 0 0 0 0 0"
IMAGES = {
    "signed": np.array([row.split() for row in SIGNED.split(";")], dtype=float),
    "sixteen": np.arange(1.0, 17).reshape(4, 4),
    "negative": -np.arange(1.0, 17).reshape(4, 4),
    "stroke": np.array([row.split() for row in STROKE.split(";")], dtype=float),
}


class PoolingPlayground(anywidget.AnyWidget):
    """Slide a pooling window over an image, change pixels, move the image, and see which outputs change.

    image: (H, W)    shift: columns by which the image has moved to the right, around the edge
    at: (row, column) of the output, where the window stands
    What the learner changes on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("pooling")
    image = traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist())
    pool = traitlets.Enum(["max", "average"], "max").tag(sync=True)
    size = traitlets.Int(2, min=1, max=5).tag(sync=True)
    stride = traitlets.Int(2, min=1, max=5).tag(sync=True)
    padding = traitlets.Int(0, min=0, max=2).tag(sync=True)
    dilation = traitlets.Int(1, min=1, max=3).tag(sync=True)
    shift = traitlets.Int(0, min=0, max=15).tag(sync=True)
    at = traitlets.Tuple(traitlets.Int(min=0), traitlets.Int(min=0), default_value=(0, 0)).tag(sync=True)
    controls = traitlets.Unicode("window pool").tag(sync=True)
    predict = traitlets.Bool(False).tag(sync=True)
    label = traitlets.Unicode("Pooling playground").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("image")
    def _check_image(self, proposal):
        return matrix("image", image_called(proposal["value"], IMAGES), LARGEST_IMAGE)

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], CONTROLS)

    @property
    def output(self):
        """(H', W'): what the pooling makes of the image where it stands now. Provided."""
        x = np.roll(self.image, self.shift, axis=1)[None, None]
        options = {"stride": self.stride, "padding": self.padding}
        if self.pool == "max":
            return max_pool2d(x, self.size, dilation=self.dilation, **options)[0, 0]
        return avg_pool2d(x, self.size, **options)[0, 0]

    def __repr__(self):
        H, W = self.image.shape
        options = f"size={self.size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}"
        return f"PoolingPlayground(image {H} x {W}, {self.pool}, {options})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def pooling_playground(
    image="signed",
    pool="max",
    *,
    size=2,
    stride=None,
    padding=0,
    dilation=1,
    shift=0,
    controls="window pool",
    at=(0, 0),
    predict=False,
    name="",
    label="Pooling playground",
):
    """A playground in which a pooling window slides over an image: in JupyterLab a widget, in the book part of a page.

    image: (H, W), at most 16 x 16, or "signed", "sixteen", "negative" (-1 to -16), "stroke"    pool: "max" or "average"
    size, stride, padding, dilation: as in torch.nn.functional.max_pool2d; stride None is size; average has no dilation
    shift: columns by which the image is moved to the right, around the edge
    controls: what the reader may change, any of window, image, pixels, pool, size, stride, padding, dilation, shift
    at: (row, column) of the output where the window stands first    predict: outputs stay covered until visited
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a PoolingPlayground; its image and output are arrays.
    Raises ValueError for an array that is no matrix of finite numbers, is too large, or for an unknown control.
    Provided.
    """
    options = {"stride": size if stride is None else stride, "padding": padding, "dilation": dilation, "shift": shift}
    options |= {"controls": controls, "predict": predict, "name": element_id(name), "label": label}
    return PoolingPlayground(image=image, pool=pool, size=size, at=tuple(at), **options)


def element(widget):
    """The widget as HTML for a page without Python: <cnn-pooling ...> with its state as attributes. Provided."""
    known = [name for name, image in IMAGES.items() if np.array_equal(image, widget.image)]
    numbers = ("size", "stride", "padding", "dilation", "shift")
    attributes = {
        "id": widget.name,
        "image": known[0] if known else written(widget.image, "{:.9g}"),
        "pool": widget.pool,
        **{name: getattr(widget, name) for name in numbers},
        "at": "{},{}".format(*widget.at),
        "controls": widget.controls,
        "predict": "true" if widget.predict else "",
        "label": widget.label,
    }
    H, W = widget.image.shape
    fallback = f"A playground: a {widget.size} x {widget.size} pooling window slides over a {H} x {W} image."
    return custom_element("cnn-pooling", attributes, fallback)
