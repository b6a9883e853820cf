"""The gradient playground in Python: gradient.js with the learner's own arrays."""

import anywidget
import numpy as np
import traitlets

from cnnlib.ops import conv2d_backward, max_pool2d_backward, output_size
from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, known_controls, matrix, written

LARGEST = {"x": 8, "w": 5, "dy": 12}  # rows or columns
CONTROLS = {"pixel", "weight", "dy", "layer", "stride", "padding", "dilation"}


class GradientPlayground(anywidget.AnyWidget):
    """Choose a pixel or a weight, and see from which outputs its gradient comes and how it adds up.

    x: (H, W)    w: (K, L), of which max pooling takes only the size
    dy: (H', W'), cut or filled with zeros where the output has another shape
    What the learner changes on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("gradient")
    x, w, dy = (traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist()) for _ in range(3))
    layer = traitlets.Enum(["convolution", "max pooling"], "convolution").tag(sync=True)
    stride = traitlets.Int(1, min=1, max=3).tag(sync=True)
    padding = traitlets.Int(0, min=0, max=2).tag(sync=True)
    dilation = traitlets.Int(1, min=1, max=3).tag(sync=True)
    select = traitlets.Enum(["x", "w"], "x").tag(sync=True)
    pixel = traitlets.Tuple(traitlets.Int(min=0), traitlets.Int(min=0), default_value=(0, 0)).tag(sync=True)
    weight = traitlets.Tuple(traitlets.Int(min=0), traitlets.Int(min=0), default_value=(0, 0)).tag(sync=True)
    controls = traitlets.Unicode("pixel weight dy").tag(sync=True)
    predict = traitlets.Bool(False).tag(sync=True)
    label = traitlets.Unicode("Gradient playground").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("x", "w", "dy")
    def _check_matrix(self, proposal):
        name = proposal["trait"].name
        return matrix(name, proposal["value"], LARGEST[name])

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], CONTROLS)

    @property
    def dx(self):
        """(H, W): the gradient of x. Provided."""
        return self._gradients()[0]

    @property
    def dw(self):
        """(K, L): the gradient of w; zeros for max pooling, which has no weights. Provided."""
        return self._gradients()[1]

    def _gradients(self):
        x, w, options = self.x[None, None], self.w[None, None], self._options()
        rows, columns = (output_size(n, k, **options) for n, k in zip(self.x.shape, self.w.shape, strict=True))
        dy = np.zeros((1, 1, rows, columns))
        given = self.dy[:rows, :columns]
        dy[0, 0, : given.shape[0], : given.shape[1]] = given
        if self.layer == "max pooling":
            return max_pool2d_backward(dy, x, self.w.shape, **options)[0, 0], np.zeros_like(self.w)
        dx, dw, _ = conv2d_backward(dy, x, w, **options)
        return dx[0, 0], dw[0, 0]

    def _options(self):
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    def __repr__(self):
        (H, W), (K, L) = self.x.shape, self.w.shape
        options = ", ".join(f"{name}={value}" for name, value in self._options().items())
        return f"GradientPlayground({self.layer}, x {H} x {W}, w {K} x {L}, {options})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def gradient_playground(
    x,
    w=((1, 2), (3, 4)),
    dy=None,
    *,
    layer="convolution",
    stride=1,
    padding=0,
    dilation=1,
    controls="pixel weight dy",
    predict=False,
    select="x",
    pixel=(0, 0),
    weight=(0, 0),
    name="",
    label="Gradient playground",
):
    """A playground in which a gradient flows back: in JupyterLab a widget, in the book a part of the page.

    x: (H, W), at most 8 x 8    w: (K, L), at most 5 x 5    dy: (H', W'), ones if left out
    layer: "convolution", or "max pooling" with windows of w's size
    controls: what the reader may change, any of pixel, weight, dy, layer, stride, padding, dilation
    predict: no gradient is shown before the reader chooses
    select: what is chosen first, a pixel of "x" or a weight of "w"    pixel, weight: (row, column) of each
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a GradientPlayground; its x, w, dy, dx and dw are arrays.
    Raises ValueError for an array that is no matrix of finite numbers, is too large or too small, and for an
    unknown control.
    Provided.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    x, w = matrix("x", x, LARGEST["x"]), matrix("w", w, LARGEST["w"])
    if dy is None:
        dy = np.ones([output_size(n, k, **options) for n, k in zip(x.shape, w.shape, strict=True)])
    chosen = {"layer": layer, "select": select, "pixel": tuple(pixel), "weight": tuple(weight)}
    said = {"controls": controls, "predict": predict, "name": element_id(name), "label": label}
    return GradientPlayground(x=x, w=w, dy=dy, **options, **chosen, **said)


def element(widget):
    """The widget as HTML for a page without Python: <cnn-gradient ...> with its state as attributes. Provided."""
    attributes = {
        "id": widget.name,
        **{name: written(getattr(widget, name), "{!r}") for name in ("x", "w", "dy")},
        **{name: getattr(widget, name) for name in ("layer", "stride", "padding", "dilation", "select")},
        **{name: "{},{}".format(*getattr(widget, name)) for name in ("pixel", "weight")},
        "controls": widget.controls or " ",  # what is empty would be left out
        "predict": "true" if widget.predict else "",
        "label": widget.label,
    }
    fallback = f"A playground: the gradient of a {widget.layer} layer flows back to its input."
    return custom_element("cnn-gradient", attributes, fallback)
