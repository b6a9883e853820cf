"""The receptive field playground in Python: field.js with the learner's own stack of layers."""

import anywidget
import numpy as np
import traitlets

from cnnlib.ops import output_size
from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, known_controls

CONTROLS = {"unit", "layers", "presets", "input", "paths"}
MOST_LAYERS, LARGEST_INPUT = 8, 64
LOW, HIGH = (1, 1, 1, 0, 1), (512, 11, 11, 5, 8)  # channels, kernel, stride, padding, dilation


class FieldPlayground(anywidget.AnyWidget):
    """Stack layers, and see their shapes, parameters and receptive fields, and which pixels a unit sees.

    layers: tuples as field_playground takes them, with nothing left out    input: (C, H, W)
    layer: the one that is looked at, counted from 1; 0 is the last    at: (row, column) of a unit of its map
    What the learner changes on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("field")
    layers = traitlets.Any().tag(sync=True)
    input = traitlets.Tuple(*[traitlets.Int(min=1, max=LARGEST_INPUT)] * 3, default_value=(1, 28, 28)).tag(sync=True)
    layer = traitlets.Int(0, min=0, max=MOST_LAYERS).tag(sync=True)
    at = traitlets.Tuple(traitlets.Int(min=0), traitlets.Int(min=0), default_value=(0, 0)).tag(sync=True)
    controls = traitlets.Unicode("unit layers presets input paths").tag(sync=True)
    predict = traitlets.Bool(False).tag(sync=True)
    label = traitlets.Unicode("Receptive field playground").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("layers")
    def _check_layers(self, proposal):
        layers = proposal["value"]
        if not 1 <= len(layers) <= MOST_LAYERS:
            raise ValueError(f"{len(layers)} layers: there is room for 1 to {MOST_LAYERS}")
        return tuple(full(layer) for layer in layers)

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], CONTROLS)

    @property
    def windows(self):
        """(kernel, stride, padding, dilation) of each layer, as cnnlib.ledger.receptive_field takes them. Provided."""
        return [layer[2:] if layer[0] == "conv" else (*layer[1:], 1) for layer in self.layers]

    @property
    def seen(self):
        """(H, W) of bool: the pixels that unit `at` of the layer sees. Raises ValueError if one misfits. Provided."""
        windows = self.windows[: self.layer or None]
        rows, columns = (seen_along(windows, *axis) for axis in zip(self.input[1:], self.at, strict=True))
        return np.outer(rows, columns)

    def __repr__(self):
        return f"FieldPlayground(input {' x '.join(map(str, self.input))}, {len(self.layers)} layers)"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def field_playground(
    layers=(("conv", 32, 3, 1, 1), ("pool", 2), ("conv", 64, 3, 1, 1), ("pool", 2)),
    *,
    input=(1, 28, 28),
    layer=0,
    at=(0, 0),
    controls="unit layers presets input paths",
    predict=False,
    name="",
    label="Receptive field playground",
):
    """A playground in which one stacks layers and sees what a unit sees: a widget in JupyterLab, in the book a figure.

    layers: up to 8 of ("conv", channels, kernel, stride, padding, dilation) and ("pool", kernel, stride, padding);
        what stands at the end may be left out: stride 1, a pooling's its kernel, padding 0, dilation 1
    input: (C, H, W), at most 64 each    layer: the one looked at first, from 1; 0 is the last    at: a unit of its map
    controls: what the reader may do, any of unit (choose one), layers (edit), presets, input, paths (count them)
    predict: jump, field and drawing stay covered until asked for
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a FieldPlayground; its seen is an array, its windows are what cnnlib.ledger.receptive_field takes.
    Raises ValueError for a layer that is none, too many layers, or an unknown control.
    Provided.
    """
    options = {"controls": controls, "predict": predict, "name": element_id(name), "label": label}
    return FieldPlayground(layers=layers, input=tuple(input), layer=layer, at=tuple(at), **options)


def full(layer):
    """A layer with nothing left out. Raises ValueError if it is none, or a number is out of range. Provided."""
    kind, *numbers = layer
    least = {"conv": 2, "pool": 1}.get(kind)
    if least is None or not least <= len(numbers) <= least + (3 if kind == "conv" else 2):
        raise ValueError(f"layer {layer}: pass ('conv', channels, kernel, ...) or ('pool', kernel, ...)")
    channels, numbers = (numbers[0], numbers[1:]) if kind == "conv" else (1, numbers)
    usual = (numbers[0], 1 if kind == "conv" else numbers[0], 0, 1)
    numbers = (channels, *numbers, *usual[len(numbers) :])
    for value, low, high in zip(numbers, LOW, HIGH, strict=True):
        if value != int(value) or not low <= value <= high:
            raise ValueError(f"layer {layer}: {value} is not a whole number from {low} to {high}")
    channels, kernel, stride, padding, dilation = map(int, numbers)
    return (kind, channels, kernel, stride, padding, dilation) if kind == "conv" else (kind, kernel, stride, padding)


def seen_along(windows, size, place):
    """(size,) of bool: the pixels along one axis that reach number `place` of the last map. Provided."""
    sizes = [size]
    for window in windows:
        sizes.append(output_size(sizes[-1], *window))
    seen = np.arange(sizes[-1]) == min(place, sizes[-1] - 1)
    for (kernel, stride, padding, dilation), n in reversed(list(zip(windows, sizes, strict=False))):
        pixels = np.flatnonzero(seen)[:, None] * stride - padding + np.arange(kernel) * dilation
        seen = np.isin(np.arange(n), pixels)
    return seen


def element(widget):
    """The widget as HTML for a page without Python: <cnn-field ...> with its state as attributes. Provided."""
    attributes = {
        "id": widget.name,
        "layers": "; ".join(" ".join(map(str, layer)) for layer in widget.layers),
        "input": ",".join(map(str, widget.input)),
        "layer": widget.layer or "",
        "at": "{},{}".format(*widget.at),
        "controls": widget.controls,
        "predict": "true" if widget.predict else "",
        "label": widget.label,
    }
    H, W = widget.input[1:]
    fallback = f"A playground: {len(widget.layers)} layers on a {H} x {W} image, and the pixels that a unit sees."
    return custom_element("cnn-field", attributes, fallback)
