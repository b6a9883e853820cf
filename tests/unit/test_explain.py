"""Explanations: analytic answers, torch's own slopes, and nothing left changed in the network."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import explain
from cnnlib.models import TwoConvCNN, resnet18
from cnnlib.torchvision import models as others
from cnnlib.train import seeded

GRADIENTS = (explain.saliency, explain.gradient_times_input)


class Linear(nn.Module):
    """Logits are weighted sums of the pixels: every explanation of it can be written down."""

    def __init__(self, c, h, w, classes=3):
        super().__init__()
        self.fc = nn.Linear(c * h * w, classes)
        self.shape = (classes, c, h, w)

    def forward(self, x):
        return self.fc(torch.flatten(x, 1))

    @property
    def weights(self):
        return self.fc.weight.detach().reshape(self.shape)


class Pooled(nn.Module):
    """A convolution, a ReLU in place, global average pooling and a dense layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        return self.fc(self.drop(self.relu(self.norm(self.conv(x))).mean((2, 3))))


def images(n=4, c=2, h=7, w=9, *, seed=0, dtype=torch.float32):
    return torch.randn(n, c, h, w, generator=torch.Generator().manual_seed(seed), dtype=dtype)


TARGET = torch.tensor([2, 0, 1, 2])


def everything(model, x, target, layer):
    """All five, as a dict."""
    return {
        "maps": explain.feature_maps(model, x, layer),
        "saliency": explain.saliency(model, x, target),
        "product": explain.gradient_times_input(model, x, target),
        "occlusion": explain.occlusion(model, x, target, size=3, stride=2),
        "cam": explain.grad_cam(model, x, target, layer),
    }


def test_on_a_linear_network_saliency_is_the_largest_weight():
    model, x = seeded(lambda: Linear(2, 7, 9), 0), images()
    assert torch.equal(explain.saliency(model, x, TARGET), model.weights[TARGET].abs().amax(1))


def test_on_a_linear_network_gradient_times_input_adds_up_to_the_logit_less_the_bias():
    model, x = seeded(lambda: Linear(2, 7, 9), 0), images()
    got = explain.gradient_times_input(model, x, TARGET)
    torch.testing.assert_close(got, (model.weights[TARGET] * x).sum(1))
    logits = model(x).detach()[torch.arange(4), TARGET]
    torch.testing.assert_close(got.sum((1, 2)), logits - model.fc.bias.detach()[TARGET])


@pytest.mark.parametrize(("size", "stride", "fill"), [(2, 1, 0.0), (3, 2, -1.5), (7, 3, 0.25)])
def test_on_a_linear_network_occlusion_is_what_the_covered_weights_contributed(size, stride, fill):
    model, x = seeded(lambda: Linear(2, 7, 9), 0).double(), images(dtype=torch.float64)
    got = explain.occlusion(model, x, TARGET, size=size, stride=stride, fill=fill)
    part = ((x - fill) * model.weights[TARGET]).sum(1, keepdim=True)
    want = F.conv2d(part, torch.ones(1, 1, size, size, dtype=torch.float64), stride=stride)[:, 0]
    assert got.shape == (4, (7 - size) // stride + 1, (9 - size) // stride + 1)
    torch.testing.assert_close(got, want)


def test_grad_cam_behind_global_average_pooling_is_cam_without_bias_over_the_places():
    model, x = seeded(Pooled, 1), images()
    got = explain.grad_cam(model, x, TARGET, model.relu)
    maps = explain.feature_maps(model, x, model.relu)
    cam = torch.einsum("nfhw,nf->nhw", maps, model.fc.weight.detach()[TARGET])
    torch.testing.assert_close(got * maps.shape[2] * maps.shape[3], F.relu(cam))
    assert (got > 0).any()


def test_a_map_without_evidence_stays_zero():
    model, x = seeded(Pooled, 1), images()
    nn.init.constant_(model.fc.weight, -1.0)
    assert not explain.grad_cam(model, x, TARGET, model.relu).any()
    nn.init.zeros_(model.fc.weight)
    assert not any(found.any() for name, found in everything(model, x, TARGET, model.relu).items() if name != "maps")


def test_maps_are_taken_before_a_relu_that_works_in_place():
    model, x = seeded(Pooled, 1), images()
    maps = explain.feature_maps(model, x, model.norm)
    assert (maps < 0).any()
    model.eval()
    assert torch.equal(maps, model.norm(model.conv(x)).detach())


def test_a_first_layer_in_place_leaves_the_images_alone():
    model = nn.Sequential(nn.ReLU(inplace=True), Linear(2, 7, 9))
    x = images()
    before = x.clone()
    everything_but_maps = [function(model, x, TARGET) for function in GRADIENTS]
    explain.feature_maps(model, x, model[0])
    assert torch.equal(x, before)
    assert all(torch.isfinite(found).all() for found in everything_but_maps)


@pytest.mark.parametrize(
    "target", [1, np.int64(1), [1, 1, 1, 1], np.ones(4, np.uint8), torch.ones(4, dtype=torch.int32)]
)
def test_a_target_may_be_a_number_a_list_an_array_or_a_tensor(target):
    model, x = seeded(Pooled, 1), images()
    want = everything(model, x, torch.ones(4, dtype=torch.int64), model.conv)
    got = everything(model, x, target, model.conv)
    assert all(torch.equal(got[name], want[name]) for name in want)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_slopes_are_found_whatever_the_callers_mode_and_come_detached(mode):
    model, x = seeded(Pooled, 1), images()
    want = everything(model, x, TARGET, model.conv)
    with mode():
        got = everything(model, x + 0, TARGET, model.conv)
    assert all(torch.equal(got[name], want[name]) and not got[name].requires_grad for name in want)


def test_frozen_weights_do_not_matter():
    model, x = seeded(Pooled, 1), images()
    want = everything(model, x, TARGET, model.conv)
    model.requires_grad_(False)
    got = everything(model, x, TARGET, model.conv)
    assert all(torch.equal(got[name], want[name]) for name in want)


def test_nothing_is_left_changed_in_the_network_or_the_images():
    model, x = seeded(Pooled, 1).train(), images().requires_grad_()
    model.norm.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    everything(model, x, TARGET, model.conv)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [m.training for m in model.children()] == [True, False, True, True, True]
    assert all(p.grad is None for p in model.parameters())
    assert x.grad is None
    assert not any(m._forward_hooks or m._backward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), random)


def test_after_an_error_half_way_hooks_are_gone_and_modes_are_back():
    model = seeded(Pooled, 1).train()
    with pytest.raises(RuntimeError):
        explain.grad_cam(model, images(c=3), 0, model.relu)
    with pytest.raises(ValueError, match="not maps"):
        explain.feature_maps(model, images(), model.fc)
    assert model.training
    assert model.norm.training
    assert not any(m._forward_hooks for m in model.modules())


def test_each_image_is_explained_as_if_it_were_alone():
    model, x = seeded(Pooled, 1), images()
    whole = everything(model, x, TARGET, model.conv)
    for k in range(4):
        alone = everything(model, x[k : k + 1], TARGET[k : k + 1], model.conv)
        for name, found in alone.items():
            torch.testing.assert_close(found[0], whole[name][k], msg=name)


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (others.resnet18, "layer4"),
        (others.vgg11, "features"),
        (others.densenet121, "features"),
        (others.mobilenet_v3_small, "features"),
        (others.squeezenet1_1, "features"),
        (others.convnext_tiny, "features"),
    ],
)
def test_networks_of_torchvision_are_explained(make, layer):
    model = seeded(lambda: make(weights=None, num_classes=7), 0).train()
    x = images(2, 3, 64, 80)
    layer = model.get_submodule(layer)
    maps, cam = explain.feature_maps(model, x, layer), explain.grad_cam(model, x, [6, 0], layer)
    assert cam.shape == (2, *maps.shape[2:])
    assert (cam >= 0).all()
    assert explain.saliency(model, x, 3).shape == explain.gradient_times_input(model, x, 3).shape == (2, 64, 80)
    assert explain.occlusion(model, x, 3, size=40, stride=20).shape == (2, 2, 3)
    assert model.training


def test_the_books_own_networks_are_explained():
    x = images(2, 1, 28, 28)
    model = seeded(TwoConvCNN, 0)
    assert explain.feature_maps(model, x, model.conv2).shape == (2, 64, 14, 14)
    model = seeded(resnet18, 0)
    found = everything(model, images(2, 3, 32, 32), [0, 9], model.stages)
    assert found["cam"].shape == (2, 4, 4)


MODEL = seeded(Pooled, 1)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda x: explain.feature_maps(MODEL, x, "conv"), "conv is not a module of this network"),
        (lambda x: explain.feature_maps(MODEL, x, nn.Conv2d(2, 5, 3)), "not a module"),
        (lambda x: explain.feature_maps(MODEL, x, MODEL.fc), "not maps"),
        (lambda x: explain.feature_maps(nn.Sequential(MODEL.relu, MODEL.relu), x, MODEL.relu), "instead of logits"),
        (lambda x: explain.saliency(nn.Conv2d(2, 5, 3), x, 0), "instead of logits"),
        (lambda x: explain.saliency(MODEL, x[0], 0), r"try x.unsqueeze\(0\)"),
        (lambda x: explain.saliency(MODEL, x.double(), 0), r"try x.to\(torch.float32\)"),
        (lambda x: explain.saliency(MODEL, (9 * x).byte(), 0), "uint8"),
        (lambda x: explain.saliency(MODEL, x, 3), "3 classes: 0 to 2"),
        (lambda x: explain.gradient_times_input(MODEL, x, [0, 1, 2, -1]), "holds -1"),
        (lambda x: explain.saliency(MODEL, x, [0, 1]), "x holds 4 images"),
        (lambda x: explain.saliency(MODEL, x, torch.zeros(4, 3)), r"argmax\(1\)"),
        (lambda x: explain.saliency(MODEL, x, "cat"), "class index"),
        (lambda x: explain.saliency(MODEL, x, None), "class index"),
        (lambda x: explain.occlusion(MODEL, x, 0, size=8, stride=1), "does not fit on images of 7x9"),
        (lambda x: explain.occlusion(MODEL, x, 0, size=0, stride=1), "size is 0"),
        (lambda x: explain.occlusion(MODEL, x, 0, size=2, stride=1.5), "stride is 1.5"),
    ],
)
def test_what_cannot_be_explained_is_met_with_a_sentence(call, told):
    with pytest.raises(ValueError, match=told):
        call(images())


def test_a_layer_that_runs_twice_or_never_is_met_with_a_sentence():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.idle, self.head = nn.ReLU(), nn.ReLU(), Linear(2, 7, 9)

        def forward(self, x):
            return self.head(self.relu(self.relu(x) - 1))

    model = Twice()
    with pytest.raises(ValueError, match="runs 2 times"):
        explain.feature_maps(model, images(), model.relu)
    with pytest.raises(ValueError, match="runs 0 times"):
        explain.grad_cam(model, images(), 0, model.idle)
