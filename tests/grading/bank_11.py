"""Typical wrong answers to exercise 11: each loses points on every draw, and is told why."""

from slips import changed


def paper(slope=4, product=-5, fall=4, cam=0, largest=14):
    """An answer to 11.1."""
    text = f"slope = {slope}\nproduct = {product}\nfall = {fall}\ncam = {cam}\nlargest = {largest}"
    return {"answer-11-1": text}


def cover(*pairs):
    """An answer to 11.2."""
    return changed("answer-11-2", *pairs)


def cam(*pairs):
    """An answer to 11.3."""
    return changed("answer-11-3", *pairs)


def judge(*pairs):
    """An answer to 11.4."""
    return changed("answer-11-4", *pairs)


FILL = "np.reshape(fill, (C, 1, 1))"
ALPHA = "dense[target].reshape(N, F, -1).sum(2) / (H * W)"
FALL = "before - (says(network, dealt) == labels).mean()"
DEALT = "images[rng.permutation(len(images))][place]"
IN_CHAPTER = """def occlusion(score, x, size, stride, fill):
    size, stride, fill = size[0], stride[0], 0.0
    rows, columns = ((n - size) // stride + 1 for n in x.shape[1:])
    falls = []
    for place in range(rows * columns):
        i, j = (stride * k for k in divmod(place, columns))
        covered = x.copy()
        covered[:, i : i + size, j : j + size] = fill
        falls.append(score(x[None])[0] - score(covered[None])[0])
    return np.array(falls).reshape(rows, columns)

def heat(score, x, size, stride, fill):
    return occlusion(score, x, size, stride, fill)
"""
IN_TORCH = """import torch

def grad_cam(maps, dense, target):
    a = torch.tensor(maps, requires_grad=True)
    rows = torch.tensor(dense[target])
    z = (a.mean((2, 3)) * rows if dense.shape[1] == maps.shape[1] else a.flatten(1) * rows).sum()
    alpha = torch.autograd.grad(z, a)[0].mean((2, 3), keepdim=True)
    return torch.relu((alpha * a).sum(1)).detach().numpy()
"""
BY_WEIGHTS = """def reads(network, images, labels, patches):
    return [bool(network[:, i : i + h, j : j + w].any()) for i, j, h, w in patches]

def honest(networks, images, labels, patches):
    for number, network in enumerate(networks):
        if not any(reads(network, images, labels, patches)):
            return number
"""

WRONG = [
    ("11.1", "slope of the first channel", paper(slope=3), "larger of the two"),
    ("11.1", "sign of the slope kept", paper(slope=-4), "drops the sign"),
    ("11.1", "slopes added", paper(slope=7), "not a sum"),
    ("11.1", "signs lost in the product", paper(product=11), "signs and all"),
    ("11.1", "covered with 0", paper(fall=6), "covered with 1"),
    ("11.1", "rise in place of fall", paper(fall=-4), "before minus"),
    ("11.1", "slope of the place", paper(cam=24), "mean slope"),
    ("11.1", "no ReLU", paper(cam=-6), "below zero"),
    ("11.1", "CAM divided once more", paper(largest=0.4 / 35), "larger than Grad-CAM"),
    ("11.1", "CAM equal to Grad-CAM", paper(largest=0.4), "how many places"),
    ("11.1", "one side counted", paper(largest=2.8), "7x5"),
    (
        "11.2",
        "window hangs over the border",
        cover(("H - size[0] + 1", "H"), ("W - size[1] + 1", "W")),
        "never hangs",
    ),
    ("11.2", "one position too few", cover(("H - size[0] + 1", "H - size[0]")), ""),
    (
        "11.2",
        "rows and columns swapped",
        cover(
            ("    C, H, W = x.shape\n", "    C, H, W = x.shape\n    size, stride = size[::-1], stride[::-1]\n"),
        ),
        "(rows, columns)",
    ),
    ("11.2", "covered with 0", cover((FILL, "0")), "not with 0"),
    ("11.2", "one fill for all channels", cover((FILL, "fill[0]")), "fill of its own"),
    (
        "11.2",
        "rise in place of fall",
        cover(("score(x[None]) - score(np.array(images))", "score(np.array(images)) - score(x[None])")),
        "before minus",
    ),
    (
        "11.2",
        "covers pile up",
        cover(
            ("            covered = x.copy()\n", ""),
            ("    images = []\n", "    images, copy = [], x.copy()\n"),
            ("covered[:, rows, columns]", "copy[:, rows, columns]"),
            ("append(covered)", "append(copy.copy())"),
        ),
        "image as it was",
    ),
    ("11.2", "the image is painted over", cover(("covered = x.copy()", "covered = x")), ""),
    ("11.2", "pasted from the chapter", {"answer-11-2": IN_CHAPTER}, ""),
    ("11.2", "sum of the falls", cover(("total / np.maximum(count, 1)", "total")), "not their sum"),
    (
        "11.2",
        "divided by the window's pixels",
        cover(("total / np.maximum(count, 1)", "total / (size[0] * size[1])")),
        "number of windows",
    ),
    ("11.2", "0 / 0 where no window stands", cover(("np.maximum(count, 1)", "count")), ""),
    (
        "11.2",
        "the course's own",
        {"answer-11-2": "from cnnlib.explain import occlusion\nheat = occlusion"},
        "does not allow",
    ),
    ("11.3", "CAM", cam((ALPHA, "dense[target].reshape(N, F, -1).mean(2)")), "this is CAM"),
    (
        "11.3",
        "no ReLU",
        cam(('np.maximum(np.einsum("nf,nfhw->nhw", alpha, maps), 0)', 'np.einsum("nf,nfhw->nhw", alpha, maps)')),
        "below zero",
    ),
    ("11.3", "sum of the slopes", cam((" / (H * W)", " / (H * W if dense.shape[1] == F else 1)")), "not their sum"),
    (
        "11.3",
        "channels last in the flatten",
        cam(
            (
                ALPHA,
                "(dense[target].reshape(N, F, -1).sum(2) if dense.shape[1] == F else "
                "dense[target].reshape(N, H * W, F).sum(1)) / (H * W)",
            )
        ),
        "runs over F first",
    ),
    (
        "11.3",
        "each place its own slope",
        cam(
            (
                "    return np.maximum(",
                "    if dense.shape[1] > F:\n"
                "        return np.maximum((dense[target].reshape(maps.shape) * maps).sum(1), 0)\n"
                "    return np.maximum(",
            )
        ),
        "one weight",
    ),
    (
        "11.3",
        "slopes without signs",
        cam((ALPHA, "np.abs(dense[target]).reshape(N, F, -1).sum(2) / (H * W)")),
        "keep their signs",
    ),
    (
        "11.3",
        "divided by the largest value",
        cam(
            (
                '    return np.maximum(np.einsum("nf,nfhw->nhw", alpha, maps), 0)',
                '    found = np.maximum(np.einsum("nf,nfhw->nhw", alpha, maps), 0)\n'
                "    return found / found.max((1, 2), keepdims=True)",
            )
        ),
        "largest value",
    ),
    ("11.3", "one class for all images", cam(("dense[target]", "dense[target[:1]].repeat(N, 0)")), ""),
    ("11.3", "automatic gradients", {"answer-11-3": IN_TORCH}, "does not allow"),
    ("11.4", "blank patches", judge((DEALT, "0")), "patch of another image"),
    (
        "11.4",
        "answers that change",
        judge((FALL, "(says(network, images) != says(network, dealt)).mean()")),
        "look at the accuracy",
    ),
    (
        "11.4",
        "one patch at a time",
        judge(
            (
                "fall(network, images, labels, patches) <= 0.1",
                "max(fall(network, images, labels, [p]) for p in patches) <= 0.1",
            )
        ),
        "stand in for each other",
    ),
    (
        "11.4",
        "whole images dealt out",
        judge(
            (
                "dealt[place] = images[rng.permutation(len(images))][place]",
                "dealt = images[rng.permutation(len(images))]",
            )
        ),
        "",
    ),
    ("11.4", "weights looked at", {"answer-11-4": BY_WEIGHTS}, ""),
    ("11.4", "never nobody", judge(("    return None", "    return 0")), ""),
    (
        "11.4",
        "height and width swapped",
        judge(("for top, left, height, width in", "for top, left, width, height in")),
        "",
    ),
    ("11.4", "the images changed", judge(("images.copy()", "images")), ""),
    (
        "11.4",
        "the most accurate network",
        judge(("fall(network, images, labels, patches) <= 0.1", "(says(network, images) == labels).mean() > 0.99")),
        "",
    ),
]

HALF = [
    ("11.1", "pixels right, slope of the place", paper(cam=24), 1),
    ("11.1", "maps right, covered with 0", paper(fall=6), 1),
    ("11.2", "falls right, sum of them in the heat", cover(("total / np.maximum(count, 1)", "total")), 2),
    (
        "11.3",
        "CAM behind the mean, right behind the flatten",
        cam((" / (H * W)", " / (1 if dense.shape[1] == F else H * W)")),
        1,
    ),
    (
        "11.4",
        "one patch at a time",
        judge(
            (
                "fall(network, images, labels, patches) <= 0.1",
                "max(fall(network, images, labels, [p]) for p in patches) <= 0.1",
            )
        ),
        2,
    ),
    ("11.4", "never nobody", judge(("    return None", "    return 0")), 2),
]
