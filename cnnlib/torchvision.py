"""torchvision's datasets, transforms and models, importable on every machine.

PyTorch's plain build for machines without a GPU, beside a torchvision that was built for GPUs, cannot load the compiled
operators of torchvision: `import torchvision` then stops at "operator torchvision::nms does not exist". This course
needs none of those operators. So its chapters write

    from cnnlib.torchvision import datasets, models, transforms, utils, v2

It is the plain import wherever that works. Where it does not, the two operators that torchvision looks for by name are
declared (their names and types, with no code behind them) and the import is tried again. The detection models, which
call them, stay out of reach there.
"""

import importlib
import sys

import torch

SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"  # of both operators


def import_torchvision():
    """Import torchvision, with the missing operators declared only if the plain import fails.

    Returns the module, and the declarations, which last as long as they are kept; None if they were not needed.
    Raises ImportError if torchvision is not installed, and whatever its second import raises.
    Provided.
    """
    try:
        return importlib.import_module("torchvision"), None
    except (RuntimeError, AttributeError):  # not ImportError: it is there, and fails on its operators
        _forget("torchvision")
        declared = _declare_operators()
        return importlib.import_module("torchvision"), declared


def _forget(package):
    """Remove a package and its modules from sys.modules: a failed import leaves half of them there."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def _declare_operators():
    """Tell PyTorch that torchvision::nms and torchvision::qnms exist."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(name + SIGNATURE)
    return library


torchvision, declared = import_torchvision()
datasets, models, transforms, utils = (
    torchvision.datasets,
    torchvision.models,
    torchvision.transforms,
    torchvision.utils,
)

v2 = importlib.import_module("torchvision.transforms.v2")  # torchvision does not import it by itself

__all__ = ["datasets", "models", "transforms", "utils", "v2"]
