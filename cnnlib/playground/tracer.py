"""The shape tracer in Python: tracer.js with the learner's own stack of layers, or their own nn.Sequential."""

import anywidget
import traitlets

from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, known_controls

CONTROLS = {"layers", "presets", "input", "code"}
MOST_LAYERS, LARGEST_INPUT = 24, 1024
KERNEL = ("kernel_size", 1, 31)
POOLING = (KERNEL, ("stride", 1, 31), ("padding", 0, 15))
KINDS = {  # the numbers of each kind in torch's order, each with its name there, the least and the largest
    "conv": (
        ("in_channels", 1, 4096),
        ("out_channels", 1, 4096),
        KERNEL,
        ("stride", 1, 16),
        ("padding", 0, 15),
        ("dilation", 1, 16),
        ("groups", 1, 4096),
        ("bias", 0, 1),
    ),
    "maxpool": POOLING,
    "avgpool": POOLING,
    "gap": (),
    "relu": (),
    "flatten": (),
    "linear": (("in_features", 1, 100_000_000), ("out_features", 1, 100_000_000), ("bias", 0, 1)),
}
USUAL = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": 1}
CLASSES = {
    "Conv2d": "conv",
    "MaxPool2d": "maxpool",
    "AvgPool2d": "avgpool",
    "AdaptiveAvgPool2d": "gap",
    "ReLU": "relu",
    "Flatten": "flatten",
    "Linear": "linear",
}
START = (
    ("conv", 1, 32, 3, 1, 1),
    ("relu",),
    ("maxpool", 2),
    ("conv", 32, 64, 3, 1, 1),
    ("relu",),
    ("maxpool", 2),
    ("flatten",),
    ("linear", 1600, 10),
)


class TracerPlayground(anywidget.AnyWidget):
    """Build a stack of layers, see each shape, parameter, multiply-add and field, and why a layer does not fit.

    layers: tuples as tracer_playground takes them, with nothing left out    input: (C, H, W)
    layer: the one that is looked at, counted from 1; 0 is the one that does not fit, or the last
    What the learner changes on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("tracer")
    layers = traitlets.Any().tag(sync=True)
    input = traitlets.Tuple(*[traitlets.Int(min=1, max=LARGEST_INPUT)] * 3, default_value=(1, 28, 28)).tag(sync=True)
    layer = traitlets.Int(0, min=0, max=MOST_LAYERS).tag(sync=True)
    controls = traitlets.Unicode("layers presets input code").tag(sync=True)
    predict = traitlets.Bool(False).tag(sync=True)
    label = traitlets.Unicode("Shape tracer").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("layers")
    def _check_layers(self, proposal):
        layers = [full(layer) for layer in listed(proposal["value"])]
        if not 1 <= len(layers) <= MOST_LAYERS:
            raise ValueError(f"{len(layers)} layers: there is room for 1 to {MOST_LAYERS}")
        return tuple(layers)

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], CONTROLS)

    def __repr__(self):
        return f"TracerPlayground(input {' x '.join(map(str, self.input))}, {len(self.layers)} layers)"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def tracer_playground(
    layers=START,
    *,
    input=(1, 28, 28),
    layer=0,
    controls="layers presets input code",
    predict=False,
    name="",
    label="Shape tracer",
):
    """A playground that traces shapes through a stack of layers: a widget in JupyterLab, in the book a figure.

    layers: an nn.Sequential of such layers, or up to 24 tuples: ("conv", in_channels, out_channels, kernel_size,
        stride, padding, dilation, groups, bias), ("maxpool", kernel_size, stride, padding), the same with "avgpool",
        ("linear", in_features, out_features, bias), ("relu",), ("flatten",) and ("gap",), global average pooling; what
        stands at the end of a tuple may be left out, and is then as in torch; bias is 1 or 0
    input: (C, H, W)    layer: the one looked at first, from 1; 0 is the one that does not fit, or the last
    controls: what the reader may do, any of layers (edit), presets, input, code (read and write PyTorch)
    predict: all numbers stay covered until asked for
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a TracerPlayground.
    Raises ValueError for a layer that is none of these, too many layers, or an unknown control.
    Provided.
    """
    options = {"controls": controls, "predict": predict, "name": element_id(name), "label": label}
    return TracerPlayground(layers=layers, input=tuple(input), layer=layer, **options)


def listed(layers):
    """Layers as tuples: those of an nn.Sequential are read, sequences within it too. Provided."""
    if not hasattr(layers, "named_children"):
        return layers
    return [layer for part in layers for layer in (listed(part) if hasattr(part, "append") else [described(part)])]


def described(part):
    """A torch module as a tuple. Raises ValueError if it, or one of its options, is not traced. Provided."""
    kind = CLASSES.get(type(part).__name__)
    if kind is None:
        raise ValueError(f"{part} is none of the layers that are traced: {', '.join(CLASSES)}")
    numbers = [one_number(getattr(part, name), part) for name, *_ in KINDS[kind]]
    untraced = {"padding_mode": "zeros", "ceil_mode": False, "output_size": 1, "start_dim": 1, "end_dim": -1}
    untraced |= {} if kind == "conv" else {"dilation": 1}
    for name, usual in untraced.items():
        value = getattr(part, name, usual)
        if (value if isinstance(value, str | bool) else one_number(value, part)) != usual:
            raise ValueError(f"{part}: its {name} is not traced")
    return (kind, *numbers)


def one_number(value, part):
    """An option of a module as one number: pairs must be equal, and a bias is 1 or 0. Provided."""
    if value is None or hasattr(value, "shape"):
        return int(value is not None)
    numbers = set(value) if isinstance(value, tuple | list) else {value}
    if len(numbers) != 1 or not isinstance(value := numbers.pop(), int):
        raise ValueError(f"{part}: windows are square here, and padding is a number")
    return value


def full(layer):
    """A layer with nothing left out. Raises ValueError if it is none, or a number is out of range. Provided."""
    kind, *given = layer
    if kind not in KINDS or len(given) > len(KINDS[kind]):
        raise ValueError(f"layer {layer}: the kinds are {', '.join(KINDS)}, each with its numbers in torch's order")
    values = dict(zip([name for name, *_ in KINDS[kind]], given, strict=False))
    for name, low, high in KINDS[kind]:
        usual = values.get("kernel_size") if name == "stride" and kind != "conv" else USUAL.get(name)
        value = values.setdefault(name, usual)
        if value is None:
            raise ValueError(f"layer {layer}: its {name} is missing")
        if value != int(value) or not low <= value <= high:
            raise ValueError(f"layer {layer}: {name} is {value}, not a whole number from {low} to {high}")
    return (kind, *(int(values[name]) for name, *_ in KINDS[kind]))


def element(widget):
    """The widget as HTML for a page without Python: <cnn-tracer ...> with its state as attributes. Provided."""
    attributes = {
        "id": widget.name,
        "layers": "; ".join(" ".join(map(str, layer)) for layer in widget.layers),
        "input": ",".join(map(str, widget.input)),
        "layer": widget.layer or "",
        "controls": widget.controls,
        "predict": "true" if widget.predict else "",
        "label": widget.label,
    }
    size = " x ".join(map(str, widget.input))
    fallback = f"A playground: {len(widget.layers)} layers on an input of {size}, with the shape that each gives out."
    return custom_element("cnn-tracer", attributes, fallback)
