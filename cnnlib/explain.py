"""What did the network look at? Feature maps, and four ways to ask which pixels speak for an answer."""

import operator

import numpy as np
import torch
import torch.nn.functional as F

from cnnlib.models import evaluating


def feature_maps(model, x, layer):
    """What a layer of a network says to a batch of images, before anything behind it changes it.

    x: (N, C, H, W) float    layer: a module of the model, for example model.conv1
    Returns (N, F, H', W').
    Raises ValueError if the layer is not in the model, does not run exactly once, or gives no maps.
    Built in chapter 11.
    """
    x = check_x(model, x)
    check_layer(model, layer)
    with torch.no_grad():
        _, maps = run(model, x, layer)
    return maps.detach().to(x.device)


def saliency(model, x, target):
    """How fast the target's logit changes with each pixel (Simonyan et al. 2014).

    x: (N, C, H, W) float    target: (N,) class indices, or one for all images
    Returns (N, H, W): the largest absolute slope over the channels, in logits per unit of x.
    Raises ValueError if x are no images for this network or target are no classes of it.
    Built in chapter 11.
    """
    x = check_x(model, x)
    _, slopes = slopes_of(model, x, target)
    return slopes.abs().amax(1).to(x.device)


def gradient_times_input(model, x, target):
    """The slope of the target's logit at each pixel, times the pixel (Shrikumar et al. 2016).

    x: (N, C, H, W) float    target: (N,) class indices, or one for all images
    Returns (N, H, W): the sum over the channels, in logits; without biases a ReLU network's logit is the sum of all.
    Raises ValueError if x are no images for this network or target are no classes of it.
    Built in chapter 11.
    """
    x = check_x(model, x)
    images, slopes = slopes_of(model, x, target)
    return (images * slopes).sum(1).to(x.device)


def occlusion(model, x, target, *, size, stride, fill=0.0):
    """By how much the target's logit falls when a square is covered, for each place of the square (Zeiler 2014).

    x: (N, C, H, W) float    target: (N,) class indices, or one for all images
    size, stride: of the square and of its steps, in pixels    fill: what covers it, in all channels
    Returns (N, H', W') in logits, H' = (H - size) // stride + 1: the square never hangs over the border.
    Raises ValueError if the square does not fit, x are no images for this network or target are no classes of it.
    Built in chapter 11.
    """
    x = check_x(model, x)
    size, stride = (whole(value, name) for value, name in ((size, "size"), (stride, "stride")))
    if size > min(x.shape[2:]):
        raise ValueError(f"a square of {size} pixels does not fit on images of {x.shape[2]}x{x.shape[3]}: take less.")
    target = check_target(target, len(x))
    rows, columns = ((side - size) // stride + 1 for side in x.shape[2:])
    with torch.no_grad():
        before = picked(run(model, x)[0], target)
        falls = []
        for place in range(rows * columns):
            top, left = (stride * k for k in divmod(place, columns))
            covered = x.detach().clone()
            covered[:, :, top : top + size, left : left + size] = fill
            falls.append(before - picked(run(model, covered)[0], target))
    return torch.stack(falls, 1).reshape(len(x), rows, columns).to(x.device)


def grad_cam(model, x, target, layer):
    """A layer's maps, each weighted by the mean slope of the target's logit over it, added; then ReLU (Selvaraju 2017).

    x: (N, C, H, W) float    target: (N,) class indices, or one for all images    layer: a module of the model
    Returns (N, H', W') at the layer's resolution, neither scaled nor enlarged, so that an empty map stays empty.
    With global average pooling and a dense layer behind the maps it is ReLU(CAM) / (H' W'), CAM taken without bias.
    Raises ValueError as feature_maps and saliency do.
    Built in chapter 11.
    """
    x = check_x(model, x)
    check_layer(model, layer)
    maps, slopes = slopes_of(model, x, target, layer)
    return F.relu((maps * slopes.mean((2, 3), keepdim=True)).sum(1)).to(x.device)


def slopes_of(model, x, target, layer=None):
    """The images, or a layer's maps, and the slope of each image's target logit with respect to them.

    Returns two tensors of one shape, detached, on the model's device. Nothing is left in any .grad.
    Provided.
    """
    target = check_target(target, len(x))
    with torch.inference_mode(False), torch.enable_grad():
        logits, leaf = run(model, x, layer)
        score = picked(logits, target).sum()  # each logit depends on its own image only
        if not score.requires_grad:
            raise ValueError("this network's logits have no slopes: does its forward switch gradients off?")
        (slopes,) = torch.autograd.grad(score, leaf, materialize_grads=True)
    return leaf.detach(), slopes


def run(model, x, layer=None):
    """One pass in evaluation mode, of which slopes can be taken at a leaf: the images, or the layer's maps.

    Returns the logits (N, classes) and the leaf, on the model's device. The hook is gone afterwards.
    Raises ValueError if the layer does not run exactly once or gives no maps, or the network returns no logits.
    Provided.
    """
    leaves = []

    def keep(_module, _inputs, output):
        if not torch.is_tensor(output) or output.dim() != 4:
            got = f"of shape {tuple(output.shape)}" if torch.is_tensor(output) else f"a {type(output).__name__}"
            raise ValueError(f"this layer's output is {got}, not maps (N, C, H, W): choose a layer before flatten.")
        leaves.append(output.detach().clone().requires_grad_(torch.is_grad_enabled()))
        return leaves[-1].clone()  # what follows may change its input in place

    first = next(model.parameters(), x)
    images = x.detach().to(first.device).clone().requires_grad_(layer is None and torch.is_grad_enabled())
    handle = layer.register_forward_hook(keep) if layer is not None else None
    try:
        with evaluating(model):
            logits = model(images.clone())
    finally:
        if handle:
            handle.remove()
    if not torch.is_tensor(logits) or logits.dim() != 2 or len(logits) != len(x):
        got = tuple(logits.shape) if torch.is_tensor(logits) else type(logits).__name__
        raise ValueError(f"the network returns {got} instead of logits ({len(x)}, classes).")
    if layer is not None and len(leaves) != 1:
        raise ValueError(f"this layer runs {len(leaves)} times in one pass: choose one that runs exactly once.")
    return logits, images if layer is None else leaves[0]


def picked(logits, target):
    """The target's logit of each image, (N,).

    Raises ValueError if a target is not one of the classes.
    Provided.
    """
    classes = logits.shape[1]
    if len(target) and not 0 <= int(target.min()) <= int(target.max()) < classes:
        wrong = int(target.max() if target.min() >= 0 else target.min())
        raise ValueError(f"target holds {wrong}, but this network has {classes} classes: 0 to {classes - 1}.")
    return logits[torch.arange(len(target), device=logits.device), target.to(logits.device)]


def check_target(target, n):
    """Class indices as a tensor (N,) int64; one whole number stands for all images.

    Raises ValueError, with what came and what to try, for anything else.
    Provided.
    """
    try:
        target = torch.as_tensor(np.asarray(target) if isinstance(target, list | tuple) else target)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"target is {target!r}: it must be a class index, or one for each of the images.") from None
    if target.dtype == torch.bool or target.is_floating_point() or target.is_complex():
        raise ValueError(f"target is {target.dtype}: class indices are whole numbers. Try logits.argmax(1).")
    if target.dim() == 0:
        target = target.expand(n)
    if target.shape != (n,):
        raise ValueError(f"target is {tuple(target.shape)}, but x holds {n} images: ({n},) class indices are wanted.")
    return target.long()


def check_x(model, x):
    """Images as a tensor (N, C, H, W), after a look at their shape and dtype.

    Raises ValueError, with what came and what to try, unless the network can read them.
    Provided.
    """
    x = torch.as_tensor(x)
    if x.dim() != 4:
        hint = " For one image try x.unsqueeze(0)." if x.dim() == 3 else ""
        raise ValueError(f"x is {tuple(x.shape)}: images are (N, C, H, W).{hint}")
    want = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    if not x.is_floating_point() or want not in (None, x.dtype):
        raise ValueError(f"x is {x.dtype}, but this network computes in {want}: try x.to({want}).")
    return x


def check_layer(model, layer):
    """Raise ValueError unless layer is a module of the model.

    Provided.
    """
    if not any(layer is module for module in model.modules()):
        name = layer if isinstance(layer, str) else type(layer).__name__
        names = ", ".join(name for name, _ in list(model.named_children())[:6])
        raise ValueError(f"{name} is not a module of this network: pass the module itself, of {names}.")


def whole(value, name):
    """A whole number of 1 or more.

    Raises ValueError for anything else.
    Provided.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}: it must be a whole number of pixels, 1 or more.")
    return number
