"""Where does it look? In Python: look.js on a digit or the learner's own image and network, its maps as arrays."""

import base64

import anywidget
import numpy as np
import traitlets
from safetensors.numpy import save

from cnnlib.playground.digit import SIDE, checked_image, examples, like_mnist, listed
from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, known_controls

CONTROLS = "image patch reader target size stride fill"
BODY = {"conv1.bias": (16,), "conv1.weight": (16, 1, 3, 3), "conv2.bias": (32,), "conv2.weight": (32, 16, 3, 3)}
FORMS = {  # the networks that the page can run: their weights by name
    "TwoConvCNN": {
        **{"conv1.bias": (32,), "conv1.weight": (32, 1, 3, 3), "conv2.bias": (64,), "conv2.weight": (64, 32, 3, 3)},
        **{"fc1.bias": (128,), "fc1.weight": (128, 3136), "fc2.bias": (10,), "fc2.weight": (10, 128)},
    },
    'ClueNet("flatten")': {**BODY, "fc.bias": (10,), "fc.weight": (10, 6272)},
    'ClueNet("mean")': {**BODY, "fc.bias": (10,), "fc.weight": (10, 32)},
}


class LookPlayground(anywidget.AnyWidget):
    """Cover parts of a digit, see the logit fall, and see the occlusion map and the saliency map of a network.

    image: (28, 28) uint8, with the patch    cover: (28, 28) bool, what the reader has covered; assign one to cover it
    logits: (2, 10), of the image as it is and as it is covered    slopes: (28, 28), the saliency map
    falls: (H', W'), the occlusion map, nan where the square has not been
    The last three are what the page sent last; before that they are empty.
    Provided.
    """

    _esm = module("look")
    example = traitlets.Unicode("").tag(sync=True)
    pixels = traitlets.Any(None, allow_none=True).tag(sync=True, to_json=lambda value, widget: listed(value))
    patch, target = (traitlets.Int(-1, min=-1, max=9).tag(sync=True) for _ in range(2))
    reader = traitlets.Enum(["digits", "own"], "digits").tag(sync=True)
    size, stride = (traitlets.Int(start, min=1, max=14).tag(sync=True) for start in (4, 2))
    fill = traitlets.Int(0, min=0, max=255).tag(sync=True)
    painted, own = (traitlets.Unicode("").tag(sync=True) for _ in range(2))
    called = traitlets.Unicode("your network").tag(sync=True)
    mean, std = (traitlets.Float(start).tag(sync=True) for start in (0.0, 1.0))
    controls = traitlets.Unicode(CONTROLS).tag(sync=True)
    label = traitlets.Unicode("Where does it look?").tag(sync=True)
    name = traitlets.Unicode("")
    logits, slopes, falls = (
        traitlets.Any(np.zeros(shape)).tag(sync=True, to_json=lambda value, widget: value.tolist())
        for shape in ((0, 10), (0, SIDE), (0, 0))
    )

    @traitlets.validate("example")
    def _check_example(self, proposal):
        if proposal["value"] and proposal["value"] not in examples():
            raise ValueError(
                f"no image is called {proposal['value']!r}: there are {sorted(examples())}, or pass (28, 28)"
            )
        return proposal["value"]

    @traitlets.validate("pixels")
    def _check_pixels(self, proposal):
        return None if proposal["value"] is None else checked_image(proposal["value"])

    @traitlets.validate("logits", "slopes", "falls")
    def _check_array(self, proposal):
        return np.array(proposal["value"], float)  # what has not been measured comes as None: nan

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], set(CONTROLS.split()))

    @property
    def image(self):
        """(28, 28) uint8: the image with its patch, nothing covered. Provided."""
        image = like_mnist(examples()[self.example]) if self.example else self.pixels.copy()
        if self.patch >= 0:
            image[1:3, 4 + 2 * self.patch : 6 + 2 * self.patch] = 255
        return image

    @property
    def cover(self):
        """(28, 28) bool: what the reader has covered. Provided."""
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(self.painted or "0" * 196), np.uint8))
        return bits.reshape(SIDE, SIDE).astype(bool)

    @cover.setter
    def cover(self, value):
        value = np.asarray(value)
        if value.shape != (SIDE, SIDE) or value.dtype != bool:
            raise ValueError(f"cover is {value.dtype} {value.shape}: pass bool ({SIDE}, {SIDE}), True where it covers")
        self.painted = np.packbits(value).tobytes().hex()

    def __repr__(self):
        what = f"digit {self.example}" if self.example else "an image"
        return f"LookPlayground({what}, patch={self.patch}, size={self.size}, stride={self.stride}, fill={self.fill})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def look_playground(
    image="7",
    *,
    patch=None,
    network=None,
    called="your network",
    mean=0.0,
    std=1.0,
    reader="digits",
    target=None,
    size=4,
    stride=2,
    fill=0,
    controls=CONTROLS,
    name="",
    label="Where does it look?",
):
    """A playground in which the reader covers parts of an image, sees the logit fall, and sees where a network looks.

    image: "0" to "9" or another of the page's drawings, or (28, 28) gray levels from 0 to 255
    patch: chapter 11's clue is planted for this class, 0 to 9; None for no patch
    network: one to read the image beside chapter 08's: a TwoConvCNN or ClueNet, or its state_dict
    called: its name on the page    mean, std: pixels from 0 to 1 reach it as (pixel - mean) / std
    reader: whose logit is shown, "digits" for chapter 08's network, "own" for yours
    target: the logit's class, 0 to 9; None for the network's answer
    size, stride: of the square and of its steps, 1 to 14 pixels    fill: the level that covers, 0 to 255
    controls: what the reader may change, any of these seven names, "reader" being the network
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    Returns a LookPlayground, whose slopes and falls are the maps of cnnlib.explain.saliency and occlusion.
    Raises ValueError for an unknown image or control, an image of the wrong form, or a network that is none of these.
    Provided.
    """
    shown = {"example": image} if isinstance(image, str) else {"pixels": image}
    if shown == {"example": ""} or image is None:
        raise ValueError(f"image is {image!r}: pass the name of a drawing, such as '7', or (28, 28) gray levels")
    if reader == "own" and network is None:
        raise ValueError('reader is "own", but there is no network of yours: pass network=')
    if not np.isfinite([mean, std]).all() or std <= 0:
        raise ValueError(f"mean is {mean} and std is {std}: pass finite numbers, std above 0")
    shown |= {} if network is None else {"own": packed(network), "called": called, "mean": mean, "std": std}
    numbers = {"patch": -1 if patch is None else patch, "target": -1 if target is None else target}
    options = {"size": size, "stride": stride, "fill": fill, "reader": reader, "controls": controls, "label": label}
    return LookPlayground(**shown, **numbers, **options, name=element_id(name))


def packed(network):
    """A network's weights as the page takes them: a safetensors file in base64, 16 bits a number if nothing is lost.

    Raises ValueError if it is no network that the page can run.
    Provided.
    """
    state = network.state_dict() if hasattr(network, "state_dict") else network
    arrays = {name: np.asarray(getattr(w, "cpu", lambda w=w: w)(), np.float32) for name, w in sorted(state.items())}
    shapes = {name: w.shape for name, w in arrays.items()}
    if shapes not in FORMS.values():
        raise ValueError(f"network has weights {shapes}: the page runs {', '.join(FORMS)}, each with 10 classes")
    if not all(np.isfinite(w).all() for w in arrays.values()):
        raise ValueError("network holds weights that are nan or infinite: has its training diverged?")
    with np.errstate(over="ignore"):
        halves = {name: w.astype(np.float16) for name, w in arrays.items()}
    exact = all((halves[name] == w).all() for name, w in arrays.items())
    return base64.b64encode(save(halves if exact else arrays)).decode()


def element(widget):
    """The widget as HTML for a page without Python: <cnn-look ...> with its state as attributes. Provided."""
    own = {name: getattr(widget, name) for name in ("own", "called", "mean", "std")} if widget.own else {}
    attributes = {
        "id": widget.name,
        **{name: getattr(widget, name) for name in ("example", "patch", "reader", "target", "size", "stride", "fill")},
        "painted": widget.painted,
        "pixels": "" if widget.pixels is None else " ".join(map(str, widget.pixels.ravel().tolist())),
        **own,
        "controls": widget.controls or " ",  # what is empty would be left out
        "label": widget.label,
    }
    return custom_element(
        "cnn-look", attributes, "A playground: cover parts of a digit, and see where a network looks."
    )
