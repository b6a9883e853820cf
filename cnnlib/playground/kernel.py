"""The kernel playground in Python: kernel.js with the learner's own arrays."""

import base64
import html
import re

import anywidget
import numpy as np
import traitlets

from cnnlib.ops import conv2d
from cnnlib.playground.files import HERE, module

LARGEST_IMAGE, LARGEST_KERNEL = 96, 7  # rows or columns
CONTROLS = {"window", "kernel", "image", "stride", "padding", "dilation", "size", "usage"}


class KernelPlayground(anywidget.AnyWidget):
    """Slide a kernel over an image and see what is multiplied, what is added, and where it goes.

    image: (H, W)    kernel: (K, L)    at: (row, column) of the output, where the window stands
    What the learner changes on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("kernel")
    image = traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist())
    kernel = traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist())
    stride = traitlets.Int(1, min=1, max=4).tag(sync=True)
    padding = traitlets.Int(0, min=0, max=4).tag(sync=True)
    dilation = traitlets.Int(1, min=1, max=4).tag(sync=True)
    at = traitlets.Tuple(traitlets.Int(min=0), traitlets.Int(min=0), default_value=(0, 0)).tag(sync=True)
    controls = traitlets.Unicode("kernel window").tag(sync=True)
    predict = traitlets.Bool(False).tag(sync=True)
    label = traitlets.Unicode("Kernel playground").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("image")
    def _check_image(self, proposal):
        value = proposal["value"]
        return matrix("image", named_image(value) if isinstance(value, str) else value, LARGEST_IMAGE)

    @traitlets.validate("kernel")
    def _check_kernel(self, proposal):
        return matrix("kernel", proposal["value"], LARGEST_KERNEL)

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], CONTROLS)

    @property
    def output(self):
        """(H', W'): what the kernel makes of the image. Provided."""
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        return conv2d(self.image[None, None], self.kernel[None, None], **options)[0, 0]

    @property
    def patch(self):
        """(K, L): the numbers under the window, zeros where it hangs over the edge. Provided."""
        top, left = (min(place, n - 1) * self.stride for place, n in zip(self.at, self.output.shape, strict=True))
        under = np.pad(self.image, self.padding)[top :: self.dilation, left :: self.dilation]
        return under[: self.kernel.shape[0], : self.kernel.shape[1]]

    def __repr__(self):
        (H, W), (K, L) = self.image.shape, self.kernel.shape
        options = f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}"
        return f"KernelPlayground(image {H} x {W}, kernel {K} x {L}, {options})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def kernel_playground(
    image="ramp",
    kernel=((1, 0, -1), (1, 0, -1), (1, 0, -1)),
    *,
    stride=1,
    padding=0,
    dilation=1,
    controls="kernel window",
    at=(0, 0),
    predict=False,
    name="",
    label="Kernel playground",
):
    """A playground in which a kernel slides over an image: in JupyterLab a widget, in the book a part of the page.

    image: (H, W), at most 96 x 96, or "ramp", "step", "dot", "photo"    kernel: (K, L), at most 7 x 7
    controls: what the reader may change, any of window, kernel, image, stride, padding, dilation, size, usage
    at: (row, column) of the output where the window stands first    predict: outputs stay covered until visited
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a KernelPlayground; its image, kernel, patch and output are arrays.
    Raises ValueError for an array that is no matrix of finite numbers, is too large, or for an unknown control.
    Provided.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "predict": predict}
    return KernelPlayground(
        image=image, kernel=kernel, at=tuple(at), controls=controls, name=element_id(name), label=label, **options
    )


def named_image(name):
    """(H, W): one of the images that the playground knows by name.

    "photo" is by danielbuechele, Flickr, Creative Commons BY 2.0 (scikit-learn's china.jpg), 48 x 64.
    Raises ValueError for a name it does not know.
    Provided.
    """
    if name == "ramp":
        return np.arange(25.0).reshape(5, 5)
    if name == "step":
        return np.where(np.arange(7) < 3, 0.0, 9.0) * np.ones((7, 1))
    if name == "dot":
        return np.pad([[1.0]], 3)
    if name == "photo":
        text = (HERE / "photo.js").read_text(encoding="utf-8")
        pixels = base64.b64decode("".join(re.findall(r'^ +"([^"]+)"', text, re.MULTILINE)))
        return np.frombuffer(pixels, np.uint8).reshape(48, 64).astype(float)
    raise ValueError(f"no image is called {name!r}: there are ramp, step, dot, photo, or pass an array (H, W)")


def image_called(value, images, shape="(H, W)"):
    """The value, or if it is a name, the image that has it in the dict `images`; an array may have this `shape`.

    Raises ValueError for a name that none of them has.
    Provided.
    """
    if not isinstance(value, str):
        return value
    if value not in images:
        raise ValueError(f"no image is called {value!r}: there are {', '.join(images)}, or pass an array {shape}")
    return images[value]


def matrix(name, value, largest):
    """The value as a read-only float64 matrix: to change a playground's array, assign a new one.

    Raises ValueError if it is no matrix of finite numbers, or has more than `largest` rows or columns.
    Provided.
    """
    value = np.array(value, dtype=np.float64)
    if value.ndim != 2 or 0 in value.shape:
        raise ValueError(f"{name} has shape {value.shape}: pass rows and columns, for example one channel, x[n, c]")
    if max(value.shape) > largest:
        raise ValueError(f"{name} has shape {value.shape}, at most ({largest}, {largest}) can be shown: cut out a part")
    if not np.isfinite(value).all():
        raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(value))} numbers that are nan or infinite")
    value.flags.writeable = False
    return value


def element(widget):
    """The widget as HTML for a page without Python: <cnn-kernel ...> with its state as attributes. Provided."""
    names = ("ramp", "step", "dot", "photo")
    known = [name for name in names if np.array_equal(named_image(name), widget.image)]
    attributes = {
        "id": widget.name,
        "image": known[0] if known else written(widget.image, "{:.9g}"),
        "kernel": written(widget.kernel, "{!r}"),
        **{name: getattr(widget, name) for name in ("stride", "padding", "dilation")},
        "at": "{},{}".format(*widget.at),
        "controls": widget.controls,
        "predict": "true" if widget.predict else "",
        "label": widget.label,
    }
    (H, W), (K, L) = widget.image.shape, widget.kernel.shape
    fallback = f"A playground: a {K} x {L} kernel slides over a {H} x {W} image."
    return custom_element("cnn-kernel", attributes, fallback)


def custom_element(tag, attributes, fallback):
    """A playground's HTML: attributes that are "" are left out, and without script the fallback is read. Provided."""
    text = " ".join(f'{name}="{html.escape(str(value))}"' for name, value in attributes.items() if value != "")
    alive = "It is alive in the book, and in JupyterLab once this cell has run."
    return f"<{tag} {text}><p>{fallback} {alive}</p></{tag}>"


def element_id(name):
    """The name as it was, if it can be the id of an element. Raises ValueError otherwise. Provided."""
    if not re.fullmatch(r"([A-Za-z][\w-]*)?", name):
        raise ValueError(f"name {name!r}: a letter, then letters, digits, - and _")
    return name


def known_controls(text, known):
    """The text as it was, if it names only controls that exist. Raises ValueError otherwise. Provided."""
    if unknown := set(text.split()) - known:
        raise ValueError(f"no control is called {sorted(unknown)}: there are {sorted(known)}")
    return text


def written(values, form):
    """A matrix as text: numbers with spaces between them, semicolons between rows. Provided."""

    def number(value):
        return str(int(value)) if value == int(value) else form.format(value)

    return "; ".join(" ".join(number(value) for value in row) for row in values.tolist())
