"""The paint playground in Python: paint.js, transposed convolution, with the learner's own arrays."""

import anywidget
import numpy as np
import traitlets

from cnnlib.ops import conv_transpose2d
from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, image_called, known_controls, matrix, written

LARGEST_IMAGE, LARGEST_KERNEL = 8, 6  # rows or columns
CONTROLS = "window image kernel size stride padding output_padding dimensions counts constant"
IMAGES = {
    "ramp": np.arange(1.0, 21).reshape(4, 5),
    "ones": np.ones((4, 5)),
    "dot": np.pad([[1.0]], [(1, 2), (2, 2)]),
}


class PaintPlayground(anywidget.AnyWidget):
    """Input pixels paint the kernel, scaled by their number, onto the output, one after the other.

    image: (H, W)    kernel: (K, L)    at: (row, column) of the input, the last pixel that has painted
    dimensions: 2, or 1 for the image's first row and the kernel's middle row, K // 2
    What the learner changes on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("paint")
    image = traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist())
    kernel = traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist())
    stride = traitlets.Int(2, min=1, max=4).tag(sync=True)
    padding = traitlets.Int(0, min=0, max=4).tag(sync=True)
    output_padding = traitlets.Int(0, min=0, max=3).tag(sync=True)
    dimensions = traitlets.Int(2, min=1, max=2).tag(sync=True)
    show = traitlets.Enum(["values", "counts"], "values").tag(sync=True)
    draws = traitlets.Int(0, min=0, max=99).tag(sync=True)
    at = traitlets.Tuple(traitlets.Int(min=0), traitlets.Int(min=0), default_value=(0, 0)).tag(sync=True)
    controls = traitlets.Unicode("window kernel size stride").tag(sync=True)
    label = traitlets.Unicode("Paint and overlap").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("image")
    def _check_image(self, proposal):
        return matrix("image", image_called(proposal["value"], IMAGES), LARGEST_IMAGE)

    @traitlets.validate("kernel")
    def _check_kernel(self, proposal):
        return matrix("kernel", proposal["value"], LARGEST_KERNEL)

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], set(CONTROLS.split()))

    @property
    def output(self):
        """(H', W'): what all pixels have painted; in one dimension (1, W'). Provided."""
        return self._painted(self.image, self.kernel)

    @property
    def counts(self):
        """(H', W'): how often each output pixel is painted; in one dimension (1, W'). Provided."""
        return self._painted(np.ones_like(self.image), np.ones_like(self.kernel))

    def _painted(self, x, w):
        options = {"stride": self.stride, "padding": self.padding, "output_padding": self.output_padding}
        if self.dimensions == 1:
            x, w = x[:1], w[len(w) // 2 :][:1]
            plain = {"stride": 1, "padding": 0, "output_padding": 0}
            options = {name: (plain[name], value) for name, value in options.items()}
        return conv_transpose2d(x[None, None], w[None, None], **options)[0, 0]

    def __repr__(self):
        (H, W), (K, L) = self.image.shape, self.kernel.shape
        options = f"stride={self.stride}, padding={self.padding}, output_padding={self.output_padding}"
        return f"PaintPlayground(image {H} x {W}, kernel {K} x {L}, {options})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def paint_playground(
    image="ramp",
    kernel=((1, 1, 1), (1, 1, 1), (1, 1, 1)),
    *,
    stride=2,
    padding=0,
    output_padding=0,
    dimensions=2,
    show="values",
    draws=0,
    controls="window kernel size stride",
    at=(0, 0),
    name="",
    label="Paint and overlap",
):
    """A playground for transposed convolution: in JupyterLab a widget, in the book a part of the page.

    image: (H, W), at most 8 x 8, or "ramp" (1 to 20), "ones", "dot"    kernel: (K, L), at most 6 x 6
    stride, padding, output_padding: as in torch.nn.functional.conv_transpose2d    at: the last pixel that has painted
    dimensions: 1 shows the image's first row and the kernel's middle row
    show: "values", or "counts": how often each output pixel is painted
    draws: which random weights a constant image is sent through, 1 to 99, or 0 for none
    controls: what the reader may change, any of window (the pixel), image, kernel, size (of the kernel), stride,
    padding, output_padding, dimensions, counts, constant (the constant image)
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a PaintPlayground; its image, kernel, output and counts are arrays.
    Raises ValueError for an array that is no matrix of finite numbers, is too large, or for an unknown control.
    Provided.
    """
    options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dimensions": dimensions}
    options |= {"show": show, "draws": draws, "controls": controls, "name": element_id(name), "label": label}
    return PaintPlayground(image=image, kernel=kernel, at=tuple(at), **options)


def element(widget):
    """The widget as HTML for a page without Python: <cnn-paint ...> with its state as attributes. Provided."""
    known = [name for name, image in IMAGES.items() if np.array_equal(image, widget.image)]
    numbers = ("stride", "padding", "output_padding", "dimensions", "show", "draws")
    attributes = {
        "id": widget.name,
        "image": known[0] if known else written(widget.image, "{:.9g}"),
        "kernel": written(widget.kernel, "{!r}"),
        **{name: getattr(widget, name) for name in numbers},
        "at": "{},{}".format(*widget.at),
        "controls": widget.controls,
        "label": widget.label,
    }
    (H, W), (K, L) = widget.image.shape, widget.kernel.shape
    fallback = f"A playground: each pixel of a {H} x {W} image paints a {K} x {L} kernel onto the output."
    return custom_element("cnn-paint", attributes, fallback)
