"""Two matrices in Python: matrices.js, convolution beside attention on a 6 x 6 image, with the learner's own arrays."""

import anywidget
import numpy as np
import traitlets

from cnnlib.ops import conv2d
from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, image_called, known_controls, matrix, written

SIDE, BRIGHTEST = 6, 9
CONTROLS = "pixel image kernel temperature bias heads"
IMAGES = {
    "patches": np.pad([[7, 7, 0, 0, 0], [7, 7, 0, 0, 0], [0, 0, 0, 7, 7], [0, 0, 0, 7, 7]], [(1, 1), (1, 0)]) + 1.0,
    "stripes": np.tile([0.0, 9], (6, 3)),
    "cross": np.where((np.arange(6)[:, None] == 2) | (np.arange(6) == 3), 7.0, 0),
    "constant": np.full((6, 6), 5.0),
}


class MatricesPlayground(anywidget.AnyWidget):
    """What each pixel of an image takes from each other one: convolution's matrix beside attention's.

    image: (6, 6), numbers from 0 to 9    kernel: (3, 3)    at: (row, column) of the output pixel whose rows are lit
    What the learner changes on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("matrices")
    image = traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist())
    kernel = traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist())
    temperature = traitlets.Float(8.0, min=1, max=1000).tag(sync=True)
    bias = traitlets.Float(0.0, min=0, max=1000).tag(sync=True)
    head = traitlets.Tuple(traitlets.Int(min=0, max=2), traitlets.Int(min=0, max=2), default_value=(1, 2)).tag(
        sync=True
    )
    heads = traitlets.Enum([1, 9], 1).tag(sync=True)
    at = traitlets.Tuple(traitlets.Int(min=0), traitlets.Int(min=0), default_value=(1, 2)).tag(sync=True)
    controls = traitlets.Unicode(CONTROLS).tag(sync=True)
    label = traitlets.Unicode("Two matrices").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("image")
    def _check_image(self, proposal):
        value = sized("image", image_called(proposal["value"], IMAGES, "(6, 6)"), SIDE)
        if value.min() < 0 or value.max() > BRIGHTEST:
            raise ValueError(f"image holds {value.min():g} to {value.max():g}: its numbers go from 0 to 9, so scale it")
        return value

    @traitlets.validate("kernel")
    def _check_kernel(self, proposal):
        return sized("kernel", proposal["value"], 3)

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], set(CONTROLS.split()))

    @property
    def convolution(self):
        """(36, 36): the convolution with padding 1; row i holds the weights of output pixel i. Provided."""
        lone = np.eye(SIDE**2).reshape(-1, 1, SIDE, SIDE)  # images with one pixel that is 1
        return conv2d(lone, self.kernel[None, None], padding=1).reshape(SIDE**2, SIDE**2).T

    @property
    def attention(self):
        """(36, 36): the head that is shown, rows that add up to 1; or nine, each times its kernel entry. Provided."""
        if self.heads == 1:
            return self._head(*self.head)
        inner = np.pad(np.ones((SIDE, SIDE), bool), 1).ravel()  # the ring's columns meet zeros only
        return sum(self.kernel[k, l] * self._head(k, l, ring=1)[:, inner] for k in range(3) for l in range(3))

    def _head(self, k, l, ring=0):
        sides = np.arange(SIDE + 2 * ring)
        places = np.stack(np.meshgrid(sides, sides, indexing="ij"), 2)
        inner = slice(ring, ring + SIDE)
        looked = places[inner, inner].reshape(-1, 1, 2) + np.array([k - 1, l - 1])
        off = looked - places.reshape(1, -1, 2)
        unlike = self.image.reshape(-1, 1) - np.pad(self.image, ring).reshape(1, -1)
        logits = -(unlike**2) / self.temperature - self.bias * (off**2).sum(2)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    def __repr__(self):
        head = f"head={self.head}" if self.heads == 1 else "heads=9"
        return f"MatricesPlayground(temperature={self.temperature:g}, bias={self.bias:g}, {head})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def matrices_playground(
    image="patches",
    kernel=((1 / 16, 1 / 8, 1 / 16), (1 / 8, 1 / 4, 1 / 8), (1 / 16, 1 / 8, 1 / 16)),
    *,
    temperature=8,
    bias=0,
    head=(1, 2),
    heads=1,
    at=(1, 2),
    controls=CONTROLS,
    name="",
    label="Two matrices",
):
    """A playground that lays convolution beside attention: in JupyterLab a widget, in the book a part of the page.

    image: (6, 6), numbers from 0 to 9, or "patches", "stripes", "cross", "constant"    kernel: (3, 3), over padding 1
    A head's logits are -(difference of two pixels)^2 / temperature - bias * (distance from where it looks)^2.
    temperature: 1 to 1000    bias: 0 to 1000; 100 makes a head a shift, from temperature 2 on
    head: (k, l), the kernel entry whose place the head looks at    heads: 1, or 9: each times its kernel entry, added
    at: (row, column), the output pixel whose rows are lit
    controls: what the reader may change, any of pixel (the output pixel), image, kernel, temperature, bias, heads
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a MatricesPlayground; its image, kernel, convolution and attention are arrays.
    Raises ValueError for an array of another shape, numbers that are not finite, or an unknown control.
    Provided.
    """
    options = {"temperature": temperature, "bias": bias, "head": tuple(head), "heads": heads, "at": tuple(at)}
    options |= {"controls": controls, "name": element_id(name), "label": label}
    return MatricesPlayground(image=image, kernel=kernel, **options)


def sized(name, value, side):
    """The value as a read-only matrix of side rows and columns. Raises ValueError for any other. Provided."""
    value = matrix(name, value, side)
    if value.shape != (side, side):
        raise ValueError(f"{name} has shape {value.shape}: pass ({side}, {side}), for example by cutting out a part")
    return value


def element(widget):
    """The widget as HTML for a page without Python: <cnn-matrices ...> with its state as attributes. Provided."""
    known = [name for name, image in IMAGES.items() if np.array_equal(image, widget.image)]
    attributes = {
        "id": widget.name,
        "image": known[0] if known else written(widget.image, "{!r}"),
        "kernel": written(widget.kernel, "{!r}"),
        **{name: f"{getattr(widget, name):.9g}" for name in ("temperature", "bias", "heads")},
        **{name: "{},{}".format(*getattr(widget, name)) for name in ("head", "at")},
        "controls": widget.controls,
        "label": widget.label,
    }
    fallback = "A playground: on a 6 x 6 image, convolution's 36 x 36 matrix of weights beside attention's."
    return custom_element("cnn-matrices", attributes, fallback)
