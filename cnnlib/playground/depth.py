"""The depth playground in Python: depth.js, whose curves and gradients are the learner's arrays."""

import anywidget
import numpy as np
import traitlets

from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, known_controls

CONTROLS = {"depth", "normalization", "rate", "seed"}
SHALLOWEST, DEEPEST = 4, 50  # layers


class DepthPlayground(anywidget.AnyWidget):
    """Train a plain and a residual network of the same depth and the same first weights, side by side.

    losses: (2, 2, T + 1), plain and residual, training and held out, before each of T steps and after the last
    gradients: (2, depth), the norm of each layer's weights' gradient after the last step
    Both are what the page sent when its training last paused; before that they hold no steps and no layers.
    Provided.
    """

    _esm = module("depth")
    depth = traitlets.Int(SHALLOWEST, min=SHALLOWEST, max=DEEPEST).tag(sync=True)
    normalization = traitlets.Enum(["batch", "none"], "batch").tag(sync=True)
    rate = traitlets.Float(0.03, min=1e-4, max=1).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=999).tag(sync=True)
    controls = traitlets.Unicode("depth normalization rate seed").tag(sync=True)
    label = traitlets.Unicode("Depth playground").tag(sync=True)
    name = traitlets.Unicode("")
    losses, gradients = (
        traitlets.Any(np.zeros(shape)).tag(sync=True, to_json=lambda value, widget: plain_numbers(value))
        for shape in [(2, 2, 0), (2, 0)]
    )

    @traitlets.validate("depth")
    def _check_depth(self, proposal):
        if proposal["value"] % 2:
            raise ValueError(f"depth {proposal['value']} is odd: a first layer, blocks of two layers, and a last layer")
        return proposal["value"]

    @traitlets.validate("losses", "gradients")
    def _check_array(self, proposal):
        return np.array(proposal["value"], float)  # a loss that has overflowed comes as None: nan

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], CONTROLS)

    def __repr__(self):
        setting = f"normalization={self.normalization!r}, rate={self.rate}, seed={self.seed}"
        return f"DepthPlayground({self.depth} layers, {setting})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def depth_playground(
    depth=4,
    *,
    normalization="batch",
    rate=0.03,
    seed=0,
    controls="depth normalization rate seed",
    name="",
    label="Depth playground",
):
    """A playground in which a plain and a residual network learn side by side: a widget in JupyterLab, a page's part.

    depth: layers with weights, an even number from 4 to 50    normalization: "batch", or "none"
    rate: of the descent, 0.0001 to 1    seed: of the points and the first weights, 0 to 999
    controls: what the reader may change, any of depth, normalization, rate, seed
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a DepthPlayground; after training in the page its losses and gradients are arrays.
    Raises ValueError for an odd depth and for an unknown control.
    Provided.
    """
    setting = {"depth": depth, "normalization": normalization, "rate": rate, "seed": seed}
    return DepthPlayground(**setting, controls=controls, name=element_id(name), label=label)


def plain_numbers(array):
    """The array as lists, with None for what is not finite, as JavaScript sends it. Provided."""
    return np.where(np.isfinite(array), array, None).tolist()


def element(widget):
    """The widget as HTML for a page without Python: <cnn-depth ...> with its state as attributes. Provided."""
    attributes = {
        "id": widget.name,
        **{name: getattr(widget, name) for name in ("depth", "normalization", "rate", "seed")},
        "controls": widget.controls or " ",  # what is empty would be left out
        "label": widget.label,
    }
    fallback = f"A playground: a plain and a residual network of {widget.depth} layers learn side by side."
    return custom_element("cnn-depth", attributes, fallback)
