"""The networks of the course, as torch.nn modules that return logits."""

from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn


class SimpleCNN(nn.Module):
    """One convolution, one dense layer: 54,410 parameters for gray images of 28x28.

    x: (N, 1, 28, 28) float    Returns logits (N, classes): softmax belongs to the loss.
    Raises ValueError if the images of x are not (1, 28, 28).
    Built in chapter 07.
    """

    def __init__(self, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(1, 32, 3)
        self.fc = nn.Linear(32 * 13 * 13, classes)

    def forward(self, x):
        check_images(x, 1, 28, 28)
        x = F.relu(self.conv(x))  # (N, 32, 26, 26)
        x = F.max_pool2d(x, 2)  # (N, 32, 13, 13)
        x = torch.flatten(x, 1)  # (N, 5408)
        return self.fc(x)  # (N, 10)


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


class ThreeConvCNN(nn.Module):
    """The classic Keras network for MNIST: 93,322 parameters for gray images of 28x28 (Chollet 2017, section 5.1).

    x: (N, 1, 28, 28) float    Returns logits (N, classes): softmax belongs to the loss.
    Raises ValueError if the images of x are not (1, 28, 28).
    Built in chapter 09.
    """

    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.fc1 = nn.Linear(64 * 3 * 3, 64)
        self.fc2 = nn.Linear(64, classes)

    def forward(self, x):
        check_images(x, 1, 28, 28)
        x = F.relu(self.conv1(x))  # (N, 32, 26, 26)
        x = F.max_pool2d(x, 2)  # (N, 32, 13, 13)
        x = F.relu(self.conv2(x))  # (N, 64, 11, 11)
        x = F.max_pool2d(x, 2)  # (N, 64, 5, 5)
        x = F.relu(self.conv3(x))  # (N, 64, 3, 3)
        x = torch.flatten(x, 1)  # (N, 576)
        x = F.relu(self.fc1(x))  # (N, 64)
        return self.fc2(x)  # (N, 10)


def conv_stack(depth, classes=10):
    """The first 1 to 4 of the 3x3 convolutions 32, 64, 64, 64, the first two with a pooling, then dense 64 and classes.

    x: (N, 1, 28, 28) float    Returns logits (N, classes). A depth of 3 is ThreeConvCNN.
    Raises ValueError on another depth.
    Built in chapter 09.
    """
    if depth not in (1, 2, 3, 4):
        raise ValueError(f"a depth of {depth}: it must be 1, 2, 3 or 4; then the maps are 1x1.")
    layers, maps, side = [], 1, 28
    for number, filters in enumerate((32, 64, 64, 64)[:depth]):
        layers += [nn.Conv2d(maps, filters, 3), nn.ReLU()]
        maps, side = filters, side - 2
        if number < 2:
            layers.append(nn.MaxPool2d(2))
            side //= 2
    layers += [nn.Flatten(), nn.Linear(maps * side * side, 64), nn.ReLU(), nn.Linear(64, classes)]
    return nn.Sequential(*layers)


class SmallCNN(nn.Module):
    """Three convolutions for small color images, the mean of each map, one dense layer: 57,130 parameters.

    x: (N, 3, H, W) float    Returns logits (N, classes).
    batch_norm: False leaves the normalization out and gives the convolutions biases instead: 56,970 parameters
    dropout: the share of the 64 means that is set to zero in training
    Raises ValueError if x is not (N, 3, H, W).
    Built in chapter 10.
    """

    def __init__(self, *, classes=10, batch_norm=True, dropout=0.0):
        super().__init__()
        norm = nn.BatchNorm2d if batch_norm else nn.Identity
        self.conv1 = nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=not batch_norm)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1, bias=not batch_norm)
        self.conv3 = nn.Conv2d(64, 64, 3, padding=1, bias=not batch_norm)
        self.bn1, self.bn2, self.bn3 = norm(32), norm(64), norm(64)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        check_images(x, 3)
        x = F.relu(self.bn1(self.conv1(x)))  # (N, 32, 16, 16) for images of 32x32
        x = F.max_pool2d(x, 2)  # (N, 32, 8, 8)
        x = F.relu(self.bn2(self.conv2(x)))  # (N, 64, 8, 8)
        x = F.max_pool2d(x, 2)  # (N, 64, 4, 4)
        x = F.relu(self.bn3(self.conv3(x)))  # (N, 64, 4, 4)
        return self.fc(self.dropout(x.mean((2, 3))))  # (N, classes)


def conv_relu(channels, filters, kernel=3, *, batch_norm=True):
    """A convolution that keeps height and width, batch normalization, and a ReLU, as a list of layers.

    kernel: odd    batch_norm: False leaves the normalization out and gives the convolution a bias
    The weights begin by He's rule, with a variance of 2 / (filters * kernel**2).
    Raises ValueError on an even kernel.
    Built in chapter 12.
    """
    if kernel % 2 == 0:
        raise ValueError(f"kernel is {kernel}: it must be odd, or no padding keeps height and width.")
    conv = nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=not batch_norm)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return [conv, nn.BatchNorm2d(filters), nn.ReLU()] if batch_norm else [conv, nn.ReLU()]


class VGG(nn.Module):
    """Stages of 3x3 convolutions, each stage closed by a max-pooling; then dense layers (Simonyan and Zisserman 2015).

    x: (N, 3, side, side) float; without hidden layers (N, 3, H, W)    Returns logits (N, classes).
    stages: for each stage the filters of its convolutions, such as ((64, 64), (128, 128))
    hidden: the units of the dense layers before the last, each with dropout; with none, the mean of each map is read
    batch_norm: True normalizes after each convolution, which then has no bias
    Raises ValueError if the stages, of which each halves the map, are more than side allows, or if x is not as above.
    Built in chapter 12.
    """

    def __init__(self, stages, *, classes=10, hidden=(), side=32, batch_norm=False):
        super().__init__()
        self.least, self.side = 2 ** len(stages), side if hidden else None
        if side < self.least:
            raise ValueError(
                f"{len(stages)} stages halve the map {len(stages)} times: want a side of {self.least} at least."
            )
        layers, channels = [], 3
        for widths in stages:
            for filters in widths:
                layers += conv_relu(channels, filters, batch_norm=batch_norm)
                channels = filters
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        head, units = [], channels * (side // self.least) ** 2 if hidden else channels
        for width in hidden:
            head += [nn.Linear(units, width), nn.ReLU(), nn.Dropout(0.5)]
            units = width
        self.head = nn.Sequential(*head, nn.Linear(units, classes))

    def forward(self, x):
        check_images(x, 3, self.side, self.side)
        if min(x.shape[2:]) < self.least:
            raise ValueError(
                f"x is {tuple(x.shape)}, too small to be halved so often: want {self.least} pixels at least."
            )
        x = self.features(x)  # (N, C, H / 2^stages, W / 2^stages)
        x = torch.flatten(x, 1) if self.side else x.mean((2, 3))
        return self.head(x)  # (N, classes)


def vgg16(classes=1000):
    """VGG-16: 13 convolutions and 3 dense layers, 138,357,544 parameters, 15.47 G MACs for a photo.

    x: (N, 3, 224, 224) float    Returns logits (N, classes).
    Built in chapter 12.
    """
    stages = (64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3
    return VGG(stages, classes=classes, hidden=(4096, 4096), side=224)


class InceptionBlock(nn.Module):
    """Four branches that read the same maps, with batch normalization, their outputs joined (Szegedy et al. 2015).

    x: (N, channels, H, W) float    Returns (N, one + three[1] + five[1] + pool, H, W).
    one: filters of the 1x1 convolution    pool: filters of the 1x1 convolution behind a 3x3 max-pooling of stride 1
    three, five: (filters of a 1x1 convolution, filters of the 3x3 or 5x5 convolution behind it)
    Raises ValueError if three or five is no pair, or if x is not (N, channels, H, W).
    The paper's block has no normalization. torchvision's has it, and a 3x3 convolution where the paper has 5x5.
    Built in chapter 12.
    """

    def __init__(self, channels, one, three, five, pool):
        super().__init__()
        for name, pair in (("three", three), ("five", five)):
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise ValueError(f"{name} is {pair}: it must be a pair, (filters of the 1x1, filters behind it).")
        self.channels = channels
        self.one = nn.Sequential(*conv_relu(channels, one, 1))
        self.three = nn.Sequential(*conv_relu(channels, three[0], 1), *conv_relu(*three, 3))
        self.five = nn.Sequential(*conv_relu(channels, five[0], 1), *conv_relu(*five, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *conv_relu(channels, pool, 1))

    def forward(self, x):
        check_images(x, self.channels)
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


def small_net(kind, classes=10):
    """One of three networks for small color images that need about as many MACs: 8.2 million at 32x32.

    kind: "plain" (one 5x5 convolution a stage), "vgg" (two 3x3 in its place) or "inception" (a block in its place, from
    the second stage on)
    x: (N, 3, H, W) float, from 8 pixels a side up    Returns logits (N, classes).
    Raises ValueError on another kind.
    Built in chapter 12.
    """
    if kind == "vgg":
        return VGG(((16, 16), (24, 24), (64, 64)), classes=classes, batch_norm=True)
    if kind == "plain":
        stages, maps = [conv_relu(3, 16, 5), conv_relu(16, 32, 5), conv_relu(32, 72, 5)], 72
    elif kind == "inception":
        blocks = InceptionBlock(16, 16, (24, 48), (8, 24), 16), InceptionBlock(104, 64, (48, 80), (8, 32), 32)
        stages, maps = [conv_relu(3, 16), *([block] for block in blocks)], 208
    else:
        raise ValueError(f'kind is "{kind}": it must be "plain", "vgg" or "inception".')
    body = [layer for stage in stages for layer in (*stage, nn.MaxPool2d(2))]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps, classes))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch normalization, and a shortcut around them (He et al. 2015).

    x: (N, channels, H, W) float    Returns (N, filters, ceil(H / stride), ceil(W / stride)), after the last ReLU.
    shortcut: where the shape stays, the input itself; where it changes, "projection" is a 1x1 convolution with batch
    normalization, "padding" takes every stride-th pixel and adds maps of zeros; "none" leaves it out everywhere.
    Raises ValueError on another shortcut.
    Built in chapter 13.
    """

    def __init__(self, channels, filters, stride=1, *, shortcut="projection"):
        super().__init__()
        if shortcut not in ("projection", "padding", "none"):
            raise ValueError(f'shortcut is "{shortcut}": it must be "projection", "padding" or "none".')
        self.conv1 = nn.Conv2d(channels, filters, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.new_maps, self.plain = stride, filters - channels, shortcut == "none"
        self.projection = None
        if shortcut == "projection" and (stride != 1 or filters != channels):
            conv = nn.Conv2d(channels, filters, 1, stride=stride, bias=False)
            self.projection = nn.Sequential(conv, nn.BatchNorm2d(filters))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))  # (N, filters, H', W')
        out = self.bn2(self.conv2(out))
        return F.relu(out if self.plain else out + self.shortcut(x))  # the sum first, then the ReLU

    def shortcut(self, x):
        if self.projection is not None:
            return self.projection(x)
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.new_maps)) if self.new_maps else x


class ResNet(nn.Module):
    """A 3x3 stem, stages of BasicBlocks, the mean of each map, one dense layer: a ResNet for small images.

    x: (N, 3, H, W) float    Returns logits (N, classes).
    widths: the maps of each stage    blocks: the blocks of each stage; each stage but the first halves height and width
    shortcut: "projection", "padding" or "none", as in BasicBlock
    Raises ValueError if x is not (N, 3, H, W).
    Built in chapter 13.
    """

    def __init__(self, widths, blocks, *, classes=10, shortcut="projection"):
        super().__init__()
        self.conv = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(widths[0])
        stages, channels = [], widths[0]
        for filters, count in zip(widths, blocks, strict=True):
            strides = [2 if stages else 1] + [1] * (count - 1)
            pairs = zip([channels] + [filters] * (count - 1), strides, strict=True)
            stages.append(nn.Sequential(*(BasicBlock(c, filters, stride, shortcut=shortcut) for c, stride in pairs)))
            channels = filters
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        check_images(x, 3)
        x = F.relu(self.bn(self.conv(x)))  # (N, widths[0], H, W)
        x = self.stages(x)  # (N, widths[-1], H / 2^(stages - 1), W / 2^(stages - 1))
        return self.fc(x.mean((2, 3)))  # (N, classes)


def resnet18(classes=10):
    """ResNet-18 in its form for CIFAR: 11,173,962 parameters, 555,422,720 MACs for an image of 32x32.

    x: (N, 3, H, W) float    Returns logits (N, classes).
    Built in chapter 13.
    """
    return ResNet((64, 128, 256, 512), (2, 2, 2, 2), classes=classes)


def residual_cifar(depth, classes=10):
    """He et al.'s residual network for CIFAR of depth 6n + 2, with shortcuts that have no weights.

    x: (N, 3, H, W) float    Returns logits (N, classes).
    Raises ValueError on another depth.
    Built in chapter 13.
    """
    return ResNet((16, 32, 64), blocks_of(depth), classes=classes, shortcut="padding")


def plain_cifar(depth, classes=10):
    """The same network as residual_cifar, the same weights to learn, without the shortcuts.

    x: (N, 3, H, W) float    Returns logits (N, classes).
    Raises ValueError on another depth.
    Built in chapter 13.
    """
    return ResNet((16, 32, 64), blocks_of(depth), classes=classes, shortcut="none")


def blocks_of(depth):
    """The blocks of each of the three stages of a CIFAR network: a stem, a dense layer, and two layers a block between.

    Raises ValueError unless depth is 6n + 2.
    Built in chapter 13.
    """
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"a depth of {depth} is not 6n + 2: try 8, 14, 20, 32, 44, 56 or 110.")
    return ((depth - 2) // 6,) * 3


class FastNet(nn.Module):
    """A network that is quick to train on CIFAR-10: patches whitened, then three pairs of 3x3 convolutions.

    x: (N, 3, H, W) float, H and W from 9 up    Returns logits (N, classes).
    widths: the maps of each pair    classes: as many logits
    Call `whiten` with training images before you train; then the first layer stays as it is.
    After the first convolution of a pair the map is halved. Each kernel begins as the identity on as many maps as it
    can, batch normalization has a shift and no scale, the head reads the largest number of each map and has no bias
    (Jordan 2024, whose network for the GPU this is; here the widths are ours).
    Raises ValueError on other images.
    Built in chapter 14.
    """

    def __init__(self, widths=(64, 256, 256), *, classes=10):
        super().__init__()
        self.first = nn.Conv2d(3, 24, 2)  # 12 directions of a patch of 2x2 colored pixels, and their opposites
        pairs = zip((24, *widths[:-1]), widths, strict=True)
        self.stages = nn.Sequential(*(fast_stage(channels, filters) for channels, filters in pairs))
        self.head = nn.Linear(widths[-1], classes, bias=False)

    def whiten(self, x, *, eps=5e-4):
        """Set the first layer so that its outputs on patches of these images are uncorrelated, each of variance 1.

        x: (N, 3, H, W) float, some thousand training images    eps: added to each variance, so that noise stays small
        The layer is frozen then, but for its bias.
        """
        check_images(x, 3)
        kernels = whitening_kernels(x, self.first.kernel_size, eps=eps)
        with torch.no_grad():
            self.first.weight.copy_(torch.cat([kernels, -kernels]))
            self.first.bias.zero_()
        self.first.weight.requires_grad_(False)

    def forward(self, x):
        check_images(x, 3)
        if min(x.shape[2:]) < 9:
            raise ValueError(f"x is {tuple(x.shape)}: this network halves its maps 3 times, and wants 9 pixels a side.")
        out = self.stages(F.gelu(self.first(x)))  # (N, widths[-1], H', W')
        return self.head(out.amax((2, 3))) / 9  # small logits at first: the loss begins at ln(classes)


def fast_stage(channels, filters):
    """Two 3x3 convolutions of FastNet, each with batch normalization and GELU, and a 2x2 max pooling after the first.

    Provided.
    """
    convolutions = [nn.Conv2d(size, filters, 3, padding=1, bias=False) for size in (channels, filters)]
    norms = [nn.BatchNorm2d(filters, eps=1e-12, momentum=0.4) for _ in convolutions]  # statistics of a few steps
    for convolution, norm in zip(convolutions, norms, strict=True):
        nn.init.dirac_(convolution.weight[: convolution.in_channels])  # the others stay as PyTorch draws them
        norm.weight.requires_grad_(False)
    first, second = zip(convolutions, norms, strict=True)
    return nn.Sequential(first[0], nn.MaxPool2d(2), first[1], nn.GELU(), *second, nn.GELU())


def whitening_kernels(x, size, *, eps=5e-4):
    """The kernels that make the patches of images white: a kernel for each direction in which the patches vary.

    x: (N, C, H, W) float    size: (K, L) of a patch    eps: added to each variance
    Returns (C K L, C, K, L): the eigenvectors of the patches' second moments, each divided by the square root of its
    eigenvalue + eps, the smallest eigenvalue first.
    Built in chapter 14.
    """
    channels, (rows, columns) = x.shape[1], size
    patches = x.unfold(2, rows, 1).unfold(3, columns, 1)  # (N, C, H', W', K, L)
    patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels * rows * columns).double()
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    kernels = vectors / (values + eps).sqrt()  # a column for each direction
    return kernels.T.reshape(-1, channels, rows, columns).to(x.dtype)


class DoubleConv(nn.Sequential):
    """Twice a 3x3 convolution, batch normalization and ReLU: what stands at each level of a U-Net.

    x: (N, channels, H, W) float    Returns (N, filters, H, W).
    Built in chapter 15.
    """

    def __init__(self, channels, filters):
        layers = []
        for maps in (channels, filters):
            conv = nn.Conv2d(maps, filters, 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(filters), nn.ReLU()]
        super().__init__(*layers)


class UNet(nn.Module):
    """Down three levels and up again, with the maps of the way down handed across (after Ronneberger et al. 2015).

    x: (N, channels, H, W) float, H and W from 16 up    Returns logits (N, classes, H, W), for each pixel.
    width: the maps of the first level, doubled at each level down
    skips: False hands nothing across; the way up then makes those maps itself, from below, with a few more weights
    Raises ValueError if x has other channels, or a side below 16.
    Built in chapter 15.
    """

    def __init__(self, channels, classes, *, width=16, skips=True):
        super().__init__()
        maps = [width, 2 * width, 4 * width, 8 * width]
        self.channels, self.skips = channels, skips
        self.down = nn.ModuleList(DoubleConv(*pair) for pair in zip([channels, *maps], maps, strict=False))
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for fine, coarse in zip(maps[-2::-1], maps[:0:-1], strict=True):
            made = fine if skips else 2 * fine
            self.up.append(nn.ConvTranspose2d(coarse, made, 4, stride=2, padding=1))  # 4 is divisible by 2
            self.merge.append(DoubleConv(2 * fine, fine))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        check_images(x, self.channels)
        if min(x.shape[2:]) < 16:
            raise ValueError(
                f"images of {x.shape[2]}x{x.shape[3]} are too small for three poolings: 16x16 is the least."
            )
        levels = []
        for block in self.down:
            x = block(F.max_pool2d(x, 2) if levels else x)
            levels.append(x)  # (N, width * 2^level, H / 2^level, W / 2^level), rounded down
        for up, merge, across in zip(self.up, self.merge, levels[-2::-1], strict=True):
            x = up(x, output_size=across.shape[2:])  # one of the two sizes that pool to x's
            x = merge(torch.cat([across, x], dim=1) if self.skips else x)
        return self.head(x)


class DigitAutoencoder(nn.Module):
    """A digit squeezed into two numbers by its encoder, and painted again from them by its decoder: 122,211 parameters.

    x: (N, 1, 28, 28) float, pixels from 0 to 1    Returns (N, 1, 28, 28), from 0 to 1; encoder(x) gives (N, 2).
    A batch normalization without weights keeps each of the two numbers near mean 0 and standard deviation 1.
    Raises ValueError if the images of x are not (1, 28, 28).
    Built in chapter 15.
    """

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 4, stride=2, padding=1),  # (N, 16, 14, 14)
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, stride=2, padding=1),  # (N, 32, 7, 7)
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 64),
            nn.ReLU(),
            nn.Linear(64, 2),
            nn.BatchNorm1d(2, affine=False),  # (N, 2)
        )
        self.decoder = nn.Sequential(
            nn.Linear(2, 32 * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (32, 7, 7)),
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),  # (N, 16, 14, 14)
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),  # (N, 1, 28, 28)
            nn.Sigmoid(),
        )

    def forward(self, x):
        check_images(x, 1, 28, 28)
        return self.decoder(self.encoder(x))


class SelfAttention(nn.Module):
    """Every token takes a weighted mean over all tokens, with weights that the tokens themselves decide.

    x: (N, T, width) float    Returns (N, T, width).
    heads: so many such means side by side, each over width / heads numbers
    Raises ValueError if width is no multiple of heads.
    Source: Vaswani et al. 2017.
    Built in chapter 16.
    """

    def __init__(self, width, heads):
        super().__init__()
        if width % heads:
            raise ValueError(f"width is {width}, which {heads} heads cannot share evenly: try a multiple of {heads}.")
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (N, heads, T, width / heads) each
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(n, tokens, width))


class ViTBlock(nn.Module):
    """Attention mixes the tokens, two dense layers then work on each token alone; both are added to what came in.

    x: (N, T, width) float    Returns (N, T, width).
    hidden: units of the first of the two dense layers
    Raises ValueError if width is no multiple of heads.
    Source: Dosovitskiy et al. 2021, where each half begins with a layer normalization.
    Built in chapter 16.
    """

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TinyViT(nn.Module):
    """A small vision transformer: the image as a row of tokens, blocks of attention, the mean token, one dense layer.

    x: (N, channels, size, size) float    Returns logits (N, classes).
    patch: side of the square of pixels that becomes one token    width: numbers of a token    depth: blocks
    hidden: units of each block's first dense layer, 2 * width if None
    tokenizer: "patches" makes each token from its own square; "convolutions" has 3x3 convolutions of stride 2 instead,
    which overlap and give as many tokens (Xiao et al. 2021)
    Raises ValueError if x is not (N, channels, size, size), if patch does not divide size or heads do not divide width,
    on another tokenizer, and if "convolutions" cannot halve their way to the patch.
    Source: Dosovitskiy et al. 2021; with a mean in place of their class token, as in Beyer et al. 2022.
    Built in chapter 16.
    """

    def __init__(
        self,
        *,
        channels=3,
        size=32,
        patch=4,
        width=48,
        depth=2,
        heads=4,
        hidden=None,
        classes=10,
        tokenizer="patches",
    ):
        super().__init__()
        if size % patch:
            raise ValueError(f"patches of {patch} pixels do not tile {size}: patch must divide size.")
        self.image = channels, size, size
        self.tokens = make_tokenizer(tokenizer, channels, patch, width)
        self.places = nn.Parameter(0.02 * torch.randn((size // patch) ** 2, width))  # one vector for each place
        self.blocks = nn.Sequential(*(ViTBlock(width, heads, hidden or 2 * width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        check_images(x, *self.image)
        x = self.tokens(x)  # (N, width, size / patch, size / patch)
        x = x.flatten(2).transpose(1, 2) + self.places  # (N, T, width)
        x = self.norm(self.blocks(x))  # (N, T, width)
        return self.fc(x.mean(1))  # (N, classes)


def make_tokenizer(kind, channels, patch, width):
    """The layer that turns an image into tokens: "patches" or "convolutions", as in TinyViT.

    Returns a module from (N, channels, H, W) to (N, width, H / patch, W / patch).
    Raises ValueError on another kind, or if patch is no power of two from 2 up and the kind is "convolutions".
    Built in chapter 16.
    """
    if kind == "patches":
        return nn.Conv2d(channels, width, patch, stride=patch)  # a dense layer on each square
    if kind != "convolutions":
        raise ValueError(f'tokenizer is "{kind}": it must be "patches" or "convolutions".')
    halvings = patch.bit_length() - 1
    if patch != 2**halvings or halvings == 0:
        raise ValueError(f"convolutions of stride 2 cannot make tokens of {patch} pixels: try 2, 4 or 8.")
    layers, maps = [], channels
    for left in reversed(range(halvings)):
        layers += [nn.Conv2d(maps, width >> left, 3, stride=2, padding=1), nn.ReLU()]
        maps = width >> left
    return nn.Sequential(*layers[:-1])


def check_images(x, channels, height=None, width=None):
    """Raise ValueError, with both shapes and what to try, unless x is (N, channels, height, width); None: any number.

    Provided.
    """
    sides = [(height or "H", height), (width or "W", width)]
    fits = x.dim() == 4 and x.shape[1] == channels
    if fits and all(side in (None, got) for (_, side), got in zip(sides, x.shape[2:], strict=True)):
        return
    got = f"x is {tuple(x.shape)} but this network wants (N, {channels}, {sides[0][0]}, {sides[1][0]})."
    if x.dim() == 4 and x.shape[3] == channels and x.shape[1] in (height, x.shape[2]):
        raise ValueError(f"{got} The channels are last: try x.permute(0, 3, 1, 2).")
    if x.dim() == 3 and (height is None or tuple(x.shape[1:]) == (height, width)):
        raise ValueError(f"{got} An axis is missing: try x.unsqueeze(1) for N images, x.unsqueeze(0) for one.")
    if x.dim() == 4 and x.shape[1] != channels:
        raise ValueError(f"{got} It has {x.shape[1]} channels instead of {channels}: is this the right data set?")
    raise ValueError(got)


def count_parameters(model):
    """The number of trainable numbers in a network.

    Provided.
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@contextmanager
def evaluating(model):
    """Evaluation mode within a `with` block; then each module is in the mode it was in before, after an error too.

    Provided.
    """
    with modes_put_back(model):
        model.eval()
        yield model


@contextmanager
def training(model):
    """Training mode within a `with` block; then each module is in the mode it was in before, after an error too.

    Modules that were put into evaluation mode stay in it, a batch normalization for example whose statistics are to
    stay. But a network that is in evaluation mode as a whole, as train.load_weights leaves it, trains as a whole.
    Provided.
    """
    with modes_put_back(model):
        if not any(module.training for module in model.modules()):
            model.train()
        yield model


@contextmanager
def modes_put_back(model):
    """After the `with` block, and after an error in it, each module is in the mode it was in before.

    Provided.
    """
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
