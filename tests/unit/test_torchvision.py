"""cnnlib.torchvision, each time in a fresh process: over the installed torchvision, and over doubles of one."""

import subprocess
import sys

DOUBLE = """
import sys
sys.torchvision_tries = getattr(sys, "torchvision_tries", 0) + 1
{body}
from torchvision import datasets, models, transforms, utils
"""
NEEDS_OPERATORS = """
import torch
import torchvision.half_done
assert not hasattr(torchvision.half_done, "old"), "a module of the failed import is still in use"
torchvision.half_done.old = True
for name in ("torchvision::nms", "torchvision::qnms"):
    torch.library.register_fake(name)(lambda dets, scores, iou_threshold: None)  # RuntimeError if there is none
"""
REPORT = """
import sys
from cnnlib.torchvision import datasets, models, transforms, utils, declared
import torch
print(sys.torchvision_tries, declared is not None, hasattr(torch.ops.torchvision, "nms"), datasets.__name__)
"""


def python(code, *, path=None):
    """Run code in a new process, a folder put first on its path. Warnings are errors."""
    first = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else ""
    return subprocess.run([sys.executable, "-W", "error", "-c", first + code], capture_output=True, text=True)


def double(folder, body):
    """Write a package torchvision that counts the tries to import it, and does what body says."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "transforms").mkdir()
    for name in ("datasets", "models", "transforms/__init__", "transforms/v2", "utils", "half_done"):
        (package / f"{name}.py").write_text("")
    (package / "__init__.py").write_text(DOUBLE.format(body=body))
    return folder


def test_the_installed_torchvision_can_be_used_whether_or_not_its_plain_import_works():
    code = """
try:
    import torchvision
    plain = True
except RuntimeError:
    plain = False
from cnnlib.torchvision import datasets, models, transforms, utils, v2, declared
from torchvision.models.feature_extraction import create_feature_extractor
assert plain == (declared is None)
image = datasets.FakeData(1, (3, 40, 30), transform=transforms.ToTensor())[0][0]
grid = utils.make_grid([v2.RandomHorizontalFlip(1.0)(image), image])
features = create_feature_extractor(models.resnet18(), ["layer1"])(image[None])
print(tuple(image.shape), tuple(grid.shape), tuple(features["layer1"].shape))
"""
    done = python(code)
    assert done.stdout == "(3, 40, 30) (3, 44, 66) (1, 64, 10, 8)\n", done.stderr


def test_missing_operators_are_declared_and_the_import_starts_anew(tmp_path):
    done = python(REPORT, path=double(tmp_path, NEEDS_OPERATORS))
    assert done.stdout == "2 True True torchvision.datasets\n", done.stderr


def test_a_torchvision_that_can_be_imported_is_left_alone(tmp_path):
    done = python(REPORT, path=double(tmp_path, ""))
    assert done.stdout == "1 False False torchvision.datasets\n", done.stderr


def test_a_missing_torchvision_is_an_import_error():
    done = python("import sys\nsys.modules['torchvision'] = None\nimport cnnlib.torchvision")
    assert "ModuleNotFoundError" in done.stderr


def test_a_torchvision_that_fails_for_another_reason_says_so(tmp_path):
    done = python(REPORT, path=double(tmp_path, "raise RuntimeError('something else')"))
    assert "RuntimeError: something else" in done.stderr
