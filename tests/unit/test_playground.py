"""The playgrounds as Python objects and as files; what they do on a page is tested in tests/book."""

import importlib.util
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import traitlets

from cnnlib.ops import conv2d
from cnnlib.playground import KernelPlayground, kernel_playground
from cnnlib.playground.files import HERE, module, script
from cnnlib.playground.kernel import named_image
from cnnlib.viz import photo

EDGE = np.array([[1.0, 0.0, -1.0]] * 3)


def attributes(playground):
    """The attributes of the custom element in a playground's text/html."""
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, dict(attrs)))

    Reader().feed(playground._repr_mimebundle_()[0]["text/html"])
    assert [tag for tag, _ in found] == ["cnn-kernel", "p"]
    return found[0][1]


def read(matrix):
    return np.array([[float(number) for number in row.split()] for row in matrix.split(";")])


def test_the_ramp_gives_minus_six_everywhere():
    playground = kernel_playground("ramp", EDGE)
    np.testing.assert_array_equal(playground.output, np.full((3, 3), -6))
    np.testing.assert_array_equal(playground.patch, [[0, 1, 2], [5, 6, 7], [10, 11, 12]])


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (3, 2, 2), (2, 0, 3)])
def test_every_output_is_the_sum_of_patch_times_kernel(stride, padding, dilation):
    rng = np.random.default_rng(0)
    image, kernel = rng.normal(size=(9, 12)), rng.normal(size=(2, 3))
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    playground = kernel_playground(image, kernel, **options)
    np.testing.assert_array_equal(playground.output, conv2d(image[None, None], kernel[None, None], **options)[0, 0])
    for at in np.ndindex(playground.output.shape):
        playground.at = at
        assert (playground.patch * kernel).sum() == pytest.approx(playground.output[at])


def test_the_window_stays_on_the_image_when_the_output_shrinks():
    playground = kernel_playground("ramp", EDGE, at=(2, 2))
    playground.stride = 2
    np.testing.assert_array_equal(playground.patch, [[12, 13, 14], [17, 18, 19], [22, 23, 24]])


def test_integer_images_do_not_overflow():
    playground = kernel_playground(np.full((3, 3), 200, np.uint8), np.full((3, 3), 2, np.int8))
    assert playground.output.item() == 3600


def test_the_mime_bundle_carries_widget_element_and_text():
    bundle = kernel_playground()._repr_mimebundle_()[0]
    assert set(bundle) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert bundle["text/plain"] == "KernelPlayground(image 5 x 5, kernel 3 x 3, stride=1, padding=0, dilation=1)"


def test_the_element_holds_the_whole_set_up():
    image, kernel = np.random.default_rng(1).normal(size=(4, 6)), np.array([[1 / 3, -2, 0.1]])
    playground = kernel_playground(
        image, kernel, stride=2, padding=1, dilation=2, at=(1, 0), controls="window stride", name="mine", predict=True
    )
    found = attributes(playground)
    np.testing.assert_allclose(read(found.pop("image")), image, rtol=1e-8)
    np.testing.assert_array_equal(read(found.pop("kernel")), kernel)
    assert found == {
        "id": "mine",
        "stride": "2",
        "padding": "1",
        "dilation": "2",
        "at": "1,0",
        "controls": "window stride",
        "predict": "true",
        "label": "Kernel playground",
    }


def test_the_element_shows_what_was_changed_since():
    playground = kernel_playground("ramp", EDGE)
    playground.kernel = -EDGE
    playground.stride = 2
    assert attributes(playground)["kernel"] == "-1 0 1; -1 0 1; -1 0 1"
    assert attributes(playground)["stride"] == "2"


def test_two_equal_playgrounds_are_stored_alike():
    one, two = (kernel_playground("photo", EDGE)._repr_mimebundle_()[0]["text/html"] for _ in range(2))
    assert one == two
    assert len(one) < 600  # the photo by name, not by its pixels


def test_quotes_in_a_label_stay_inside_their_attribute():
    assert attributes(kernel_playground(label='a "b" <c>'))["label"] == 'a "b" <c>'


def test_what_the_page_sends_becomes_arrays():
    playground = kernel_playground()
    playground.set_state({"kernel": [[1, 2], [3, 4]], "at": [1, 1], "stride": 2})
    np.testing.assert_array_equal(playground.kernel, [[1, 2], [3, 4]])
    assert playground.at == (1, 1)
    assert playground.output.shape == (2, 2)


def test_what_is_assigned_is_sent_as_plain_numbers():
    playground = kernel_playground()
    playground.kernel = np.eye(2, dtype=np.float32)
    assert json.loads(json.dumps(playground.get_state(["kernel"]))) == {"kernel": [[1, 0], [0, 1]]}


def test_a_change_in_place_is_refused_because_the_page_would_not_see_it():
    with pytest.raises(ValueError, match="read-only"):
        kernel_playground().kernel[0, 0] = 5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image": np.zeros((3, 28, 28))}, r"image has shape \(3, 28, 28\).*one channel"),
        ({"image": np.zeros(5)}, r"image has shape \(5,\)"),
        ({"image": np.zeros((0, 5))}, r"image has shape \(0, 5\)"),
        ({"image": np.zeros((427, 640))}, r"\(427, 640\), at most \(96, 96\)"),
        ({"image": [[1.0, np.nan]]}, "1 numbers that are nan or infinite"),
        ({"image": "flower"}, "no image is called 'flower'.*ramp, step, dot, photo"),
        ({"kernel": np.ones((8, 3))}, r"\(8, 3\), at most \(7, 7\)"),
        ({"controls": "kernel windows"}, r"no control is called \['windows'\]"),
        ({"name": "1 st"}, "a letter, then letters"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        kernel_playground(**wrong)


@pytest.mark.parametrize("option", [{"stride": 0}, {"stride": 5}, {"padding": -1}, {"dilation": 0}])
def test_an_option_out_of_range_is_refused(option):
    with pytest.raises(traitlets.TraitError):
        kernel_playground(**option)


def test_the_photo_is_made_from_scikit_learns():
    np.testing.assert_array_equal(named_image("photo"), photo("china", crop=(20, 60, 240, 320), size=(48, 64)))


@pytest.mark.parametrize("name", [path.stem for path in HERE.glob("*.js") if "const FIELDS" in path.read_text("utf-8")])
def test_module_and_script_are_the_same_code(name):
    lines = (HERE / f"{name}.js").read_text(encoding="utf-8").splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    exports = [line for line in lines if line.startswith("export ")]
    own = [line for line in lines if line not in imports + exports]
    as_module, as_script = module(name), script(name)
    assert "\n".join(own) in as_module + "\n"
    assert "\n".join(own) in as_script
    assert not re.search(r"^import ", as_module, re.MULTILINE)
    assert set(exports) <= set(as_module.splitlines())
    assert not re.search(r"^(import|export)\b", as_script, re.MULTILINE)
    assert as_script.rstrip().endswith(f'define("cnn-{name}", render, FIELDS);\n}})();')


def test_the_code_a_playground_sends_is_small():
    assert len(script("kernel").encode()) < 80_000
    assert KernelPlayground._esm == module("kernel")


def test_a_playground_that_does_not_exist_stops_the_build():
    spec = importlib.util.spec_from_file_location("playgrounds", HERE.parents[1] / "_ext" / "playgrounds.py")
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    extension.add_scripts(None, "page", "", {"body": "<p>no playground, only `cnn-kernel` in the text</p>"}, None)
    with pytest.raises(extension.ExtensionError, match="page: <cnn-kernal> has no"):
        extension.add_scripts(None, "page", "", {"body": '<cnn-kernal stride="2"></cnn-kernal>'}, None)
