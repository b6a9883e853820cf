"""The channels playground in Python: channels.js with the learner's own arrays."""

import anywidget
import numpy as np
import traitlets

from cnnlib.ops import conv2d
from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, known_controls, matrix, written

MOST = 4  # channels, and filters
LARGEST_IMAGE, LARGEST_KERNEL = 8, 5  # rows or columns
CONTROLS = {"window", "weights", "filters", "bias", "stride", "padding", "groups"}
DOT = np.pad([[1.0]], 1)
IMAGE = np.stack([np.arange(16.0).reshape(4, 4), np.full((4, 4), 2.0), 10 * np.eye(4)])
FILTERS = np.stack([[[[1, 0, -1]] * 3, np.ones((3, 3)), DOT], [DOT, 0 * DOT, -DOT]])


class ChannelsPlayground(anywidget.AnyWidget):
    """Slide filters over an image with several channels: partial sums, one a channel, are added, and then the bias.

    image: (C, H, W)    filters: (F, C, K, L); with groups, a filter's kernels for other groups are left out
    bias: (F,)    filter: the one whose partial sums are shown, from 0    at: (row, column) of the output
    What the learner changes on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("channels")
    image = traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist())
    filters = traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist())
    bias = traitlets.Any().tag(sync=True, to_json=lambda value, widget: value.tolist())
    stride = traitlets.Int(1, min=1, max=3).tag(sync=True)
    padding = traitlets.Int(0, min=0, max=2).tag(sync=True)
    groups = traitlets.Int(1, min=1, max=MOST).tag(sync=True)
    filter = traitlets.Int(0, min=0, max=MOST - 1).tag(sync=True)
    at = traitlets.Tuple(traitlets.Int(min=0), traitlets.Int(min=0), default_value=(0, 0)).tag(sync=True)
    controls = traitlets.Unicode("window weights bias").tag(sync=True)
    names = traitlets.Unicode("").tag(sync=True)
    predict = traitlets.Bool(False).tag(sync=True)
    label = traitlets.Unicode("Channels playground").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("image")
    def _check_image(self, proposal):
        return stack("image", proposal["value"], "channels, rows and columns", LARGEST_IMAGE)

    @traitlets.validate("filters")
    def _check_filters(self, proposal):
        return stack("filters", proposal["value"], "filters, channels, rows and columns", LARGEST_KERNEL)

    @traitlets.validate("bias")
    def _check_bias(self, proposal):
        return matrix("bias", [proposal["value"]], MOST)[0]

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], CONTROLS)

    @property
    def seen(self):
        """(F, C/groups, K, L): the kernels that are used, as torch.nn.functional.conv2d takes them.

        Raises ValueError if the groups do not divide channels and filters.
        Provided.
        """
        F, C = self.filters.shape[:2]
        if C % self.groups or F % self.groups:
            raise ValueError(f"{self.groups} groups cannot share {C} channels and {F} filters: take a divisor of both")
        D = C // self.groups
        first = np.arange(F) // (F // self.groups) * D  # the first channel of each filter's group
        return np.stack([kernels[c : c + D] for kernels, c in zip(self.filters, first, strict=True)])

    @property
    def output(self):
        """(F, H', W'): what the layer makes of the image. Raises ValueError if its parts do not fit. Provided."""
        options = {"stride": self.stride, "padding": self.padding, "groups": self.groups}
        return conv2d(self.image[None], self.seen, self.bias, **options)[0]

    def __repr__(self):
        (C, H, W), (F, _, K, L) = self.image.shape, self.filters.shape
        options = f"stride={self.stride}, padding={self.padding}, groups={self.groups}"
        return f"ChannelsPlayground({C} channels of {H} x {W}, {F} filters of {K} x {L}, {options})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def channels_playground(
    image=IMAGE,
    filters=FILTERS,
    bias=None,
    *,
    stride=1,
    padding=0,
    groups=1,
    controls="window weights bias",
    names="",
    filter=0,
    at=(0, 0),
    predict=False,
    name="",
    label="Channels playground",
):
    """A playground with a layer of several channels and filters: in JupyterLab a widget, in the book part of a page.

    image: (C, H, W), at most 4 x 8 x 8    filters: (F, C, K, L), at most 4 x 4 x 5 x 5    bias: (F,), None is zeros
    stride, padding, groups: as in conv2d, but that filters have all C kernels: those for other groups are left out
    controls: what the reader may change, any of window, weights, filters, bias, stride, padding, groups
    names: of the channels, with a space between    filter: the one whose partial sums are shown first, from 0
    at: (row, column) of the output where the window stands first    predict: outputs stay covered until visited
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a ChannelsPlayground; its image, filters, bias and output are arrays.
    Raises ValueError for arrays that do not fit each other, are too large or not finite, or for an unknown control.
    Provided.
    """
    bias = np.zeros(len(filters)) if bias is None else bias
    options = {"stride": stride, "padding": padding, "groups": groups, "controls": controls, "names": names}
    options |= {"filter": filter, "at": tuple(at), "predict": predict, "name": element_id(name), "label": label}
    made = ChannelsPlayground(image=image, filters=filters, bias=bias, **options)
    (C, F, B) = len(made.image), len(made.filters), len(made.bias)
    if made.filters.shape[1] != C:
        raise ValueError(f"image has {C} channels, a filter has {made.filters.shape[1]} kernels: pass (F, {C}, K, L)")
    if B != F:
        raise ValueError(f"bias has {B} numbers for {F} filters: pass one for each")
    return made


def stack(name, value, axes, largest):
    """The value as a read-only float64 array of matrices: to change a playground's array, assign a new one.

    axes: the names of its axes, the last two of which are at most `largest`, the others at most MOST
    Raises ValueError if it has other axes, is too large, or if `matrix` refuses one of its matrices.
    Provided.
    """
    value = np.array(value, dtype=np.float64)
    if value.ndim != len(axes.replace(" and", ",").split(",")) or 0 in value.shape:
        raise ValueError(f"{name} has shape {value.shape}: pass {axes}")
    if max(value.shape[:-2]) > MOST:
        raise ValueError(
            f"{name} has shape {value.shape}, at most {MOST} channels and filters can be shown: leave some out"
        )
    value = np.reshape([matrix(name, one, largest) for one in value.reshape(-1, *value.shape[-2:])], value.shape)
    value.flags.writeable = False
    return value


def element(widget):
    """The widget as HTML for a page without Python: <cnn-channels ...> with its state as attributes. Provided."""

    def stack(matrices, form):
        return ";; ".join(written(matrix, form) for matrix in matrices)

    attributes = {
        "id": widget.name,
        "image": stack(widget.image, "{:.9g}"),
        "filters": ";;; ".join(stack(one, "{!r}") for one in widget.filters),
        "bias": written(widget.bias[None], "{!r}"),
        **{name: getattr(widget, name) for name in ("stride", "padding", "groups", "filter")},
        "at": "{},{}".format(*widget.at),
        "controls": widget.controls,
        "names": widget.names,
        "predict": "true" if widget.predict else "",
        "label": widget.label,
    }
    (C, H, W), (F, _, K, L) = widget.image.shape, widget.filters.shape
    fallback = f"A playground: {F} filters of {C} x {K} x {L} slide over {C} channels of {H} x {W}."
    return custom_element("cnn-channels", attributes, fallback)
