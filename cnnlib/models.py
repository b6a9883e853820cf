"""The networks of the course, as torch.nn modules that return logits."""

import torch
import torch.nn.functional as F
from torch import nn


class TwoConvCNN(nn.Module):
    """Two convolutions, two dense layers: 421,642 parameters for gray images of 28x28.

    x: (N, 1, 28, 28) float    Returns logits (N, classes): softmax belongs to the loss.
    Raises ValueError if the images of x are not (1, 28, 28).
    Built in chapter 08.
    """

    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.fc1 = nn.Linear(64 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x):
        check_images(x, 1, 28, 28)
        x = F.relu(self.conv1(x))  # (N, 32, 28, 28)
        x = F.max_pool2d(x, 2)  # (N, 32, 14, 14)
        x = F.relu(self.conv2(x))  # (N, 64, 14, 14)
        x = F.max_pool2d(x, 2)  # (N, 64, 7, 7)
        x = torch.flatten(x, 1)  # (N, 3136)
        x = F.relu(self.fc1(x))  # (N, 128)
        return self.fc2(x)  # (N, 10)


def check_images(x, channels, height, width):
    """Raise ValueError, with both shapes and what to try, unless x is (N, channels, height, width).

    Provided.
    """
    want = (channels, height, width)
    if x.dim() == 4 and tuple(x.shape[1:]) == want:
        return
    got = f"x is {tuple(x.shape)} but this network wants (N, {channels}, {height}, {width})."
    if x.dim() == 4 and tuple(x.shape[1:]) == (height, width, channels):
        raise ValueError(f"{got} The channels are last: try x.permute(0, 3, 1, 2).")
    if tuple(x.shape[-2:]) == (height, width) and x.dim() == 3:
        raise ValueError(f"{got} An axis is missing: try x.unsqueeze(1) for N images, x.unsqueeze(0) for one.")
    if x.dim() == 4 and x.shape[1] != channels:
        raise ValueError(f"{got} It has {x.shape[1]} channels instead of {channels}: is this the right data set?")
    raise ValueError(got)


def count_parameters(model):
    """The number of trainable numbers in a network.

    Provided.
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
