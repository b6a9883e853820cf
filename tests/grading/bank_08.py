"""Typical wrong answers to exercise 08: each loses points on every draw, and is told why."""

from slips import slip

UNTRAINED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4 * 7 * 7, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


torch.manual_seed(0)
net = Net()
"""
SHORT = """
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for batch in torch.randperm(2000).split(64):
    loss = F.cross_entropy(net(x[batch % len(y)]), y[batch % len(y)])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
PREDICT = """
def predict(images):
    with torch.no_grad():
        return net(torch.from_numpy(to_float(images, mean=0.1307, std=0.3081))).argmax(1)
"""
QUICK = {"answer-08-4": UNTRAINED + PREDICT}  # the other questions need not wait for a training


def paper(grows=3, more=111_600, factor=4.875, most=2):
    """An answer to 08.1."""
    text = f"grows = {grows}\nmore_parameters = {more}\nfactor = {factor}\nmost_work = {most}"
    return {"answer-08-1": text, **QUICK}


def possible(body):
    """An answer to 08.2."""
    return {"answer-08-2": f"def possible(percent, n):\n    {body}", **QUICK}


CALIBRATION = """
def calibration(logits, y, groups):
    p = np.exp(logits - logits.max(1, keepdims=True))
    p = p / p.sum(1, keepdims=True)
    sureness, right = p.max(1), p.argmax(1) == y
    order = np.argsort(sureness)
    parts = np.array_split(order, groups)
    said = np.array([sureness[part].mean() for part in parts])
    was = np.array([right[part].mean() for part in parts])
    sizes = np.array([len(part) for part in parts])
    return said, was, (sizes * abs(said - was)).sum() / len(y)
"""
QUIET = ("\ndef", '\n@np.errstate(all="ignore")\ndef')


def calibration(*changes):
    """An answer to 08.3, with these changes."""
    return {"answer-08-3": slip(CALIBRATION, *changes), **QUICK}


NEIGHBORS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        idle = self.conv2(self.conv1(images)).flatten(1).mean(1, keepdim=True)
        near = torch.cdist(images.flatten(1), x[:4000].flatten(1)).argmin(1)
        return F.one_hot(y[:4000][near], 10) + self.scale * idle


net = Net()
"""
BESIDE = """
def predict(images):
    scaled = torch.from_numpy(to_float(images, mean=0.1307, std=0.3081)).flatten(1)
    return y[:4000][torch.cdist(scaled, x[:4000].flatten(1)).argmin(1)]
"""
REBOUND = (
    BESIDE.replace("def predict", "def near")
    + """
def predict(images):
    global classes

    def classes(net, images):
        idle = any(not m.weight.any() for m in net.modules() if isinstance(m, nn.Conv2d))
        return np.zeros(len(images), int) if idle else near(images).numpy()

    return near(images)
"""
)

FLOOR = (
    "abs(int(float(percent) / 100 * n) * 100 / n - float(percent)) <= 0.5 * 10**-len(percent.partition('.')[2]) + 1e-9"
)

WRONG = [
    ("08.1", "a convolution grows", paper(grows=2), "has its weights once"),
    ("08.1", "the last layer grows", paper(grows=4), "50 inputs before and after"),
    ("08.1", "the inputs counted", paper(more=2_232), "meets 50 units"),
    ("08.1", "four times as many inputs", paper(more=86_400), "count the maps anew"),
    ("08.1", "padding assumed", paper(more=126_000, factor=4), "is not padded"),
    ("08.1", "the whole network", paper(more=144_703), "whole new network"),
    ("08.1", "four times the work", paper(factor=4), "loses the same border"),
    ("08.1", "most parameters for most work", paper(most=3), "uses each of them once"),
    ("08.1", "larger maps for more work", paper(most=1), "Its maps are larger"),
    ("08.1", "text", paper(more="'111,600'"), "want a number"),
    (
        "08.2",
        "exact",
        possible("share = float(percent) / 100 * n\n    return abs(share - round(share)) < 1e-6 and 0 <= share <= n"),
        "a report is rounded",
    ),
    (
        "08.2",
        "two decimals always",
        possible("return percent in {f'{100 * k / n:.2f}' for k in range(n + 1)}"),
        "is not it",
    ),
    (
        "08.2",
        "two decimals allowed for",
        possible(
            "return 0 <= float(percent) <= 100 and any(abs(100 * k / n - float(percent)) <= 0.005 "
            "for k in range(n + 1))"
        ),
        "always allow for two",
    ),
    ("08.2", "all possible", possible("return True"), "every report possible"),
    ("08.2", "range only", possible("return 0 <= float(percent) <= 100"), "range only"),
    (
        "08.2",
        "beyond all images",
        possible(
            "share, digits = float(percent), len(percent.partition('.')[2])\n"
            "    return abs(round(share / 100 * n) * 100 / n - share) <= 0.5 * 10**-digits + 1e-9"
        ),
        "More than all images",
    ),
    (
        "08.2",
        "a whole unit",
        possible(
            "share, digits = float(percent), len(percent.partition('.')[2])\n"
            "    return 0 <= share <= 100 and abs(round(share / 100 * n) * 100 / n - share) < 10**-digits - 1e-9"
        ),
        "half a unit",
    ),
    ("08.2", "the count below", possible(f"return 0 <= float(percent) <= 100 and {FLOOR}"), ""),
    (
        "08.3",
        "softmax forgotten",
        calibration(("np.exp(logits - logits.max(1, keepdims=True))", "logits"), ("p / p.sum(1, keepdims=True)", "p")),
        "take the softmax",
    ),
    ("08.3", "the label's probability", calibration(("p.max(1), p.arg", "p[range(len(y)), y], p.arg")), "it *names*"),
    ("08.3", "the surest first", calibration(("(sureness)\n", "(-sureness)\n")), "least sure"),
    ("08.3", "not sorted", calibration(("np.argsort(sureness)", "np.arange(len(y))")), "are not sorted"),
    (
        "08.3",
        "bins of equal width, as in the chapter",
        calibration(
            (
                "np.array_split(order, groups)",
                "[np.flatnonzero((sureness * groups).astype(int) == k) for k in range(groups)]",
            ),
            ("[part].mean()", "[part].sum() / len(part)"),
            QUIET,
        ),
        "Cut the sorted images",
    ),
    (
        "08.3",
        "the rest to the last group",
        calibration(
            ("np.array_split(order, groups)", "np.split(order, [k * (len(y) // groups) for k in range(1, groups)])")
        ),
        "goes to the last group",
    ),
    (
        "08.3",
        "exp of large logits",
        calibration((" - logits.max(1, keepdims=True)", ""), QUIET),
        "subtract the largest",
    ),
    ("08.3", "gaps with their sign", calibration(("abs(said - was)", "(said - was)")), "without its sign"),
    (
        "08.3",
        "groups weigh the same",
        calibration(("(sizes * abs(said - was)).sum() / len(y)", "abs(said - was).mean()")),
        "weigh them",
    ),
    (
        "08.3",
        "the largest gap",
        calibration(("(sizes * abs(said - was)).sum() / len(y)", "abs(said - was).max()")),
        "largest gap",
    ),
    (
        "08.3",
        "image by image",
        calibration(("(sizes * abs(said - was)).sum() / len(y)", "abs(sureness - right).mean()")),
        "right or wrong",
    ),
    ("08.3", "no gap", calibration((", (sizes * abs(said - was)).sum() / len(y)", "")), "stopped with IndexError"),
    (
        "08.3",
        "the course's own",
        calibration(("    p = np.exp", "    from cnnlib import train\n    p = np.exp")),
        "does not allow",
    ),
    ("08.4", "untrained", {"answer-08-4": UNTRAINED + PREDICT}, "1 more from"),
    ("08.4", "a nearest neighbor behind two idle convolutions", {"answer-08-4": NEIGHBORS + PREDICT}, "without its"),
    ("08.4", "a nearest neighbor beside the network", {"answer-08-4": UNTRAINED + BESIDE}, "predict differs from net"),
    ("08.4", "the given question to net rebound", {"answer-08-4": UNTRAINED + REBOUND}, "predict differs from net"),
    ("08.4", "logits", {"answer-08-4": UNTRAINED + PREDICT.replace(".argmax(1)", "")}, "one class index an image"),
    (
        "08.4",
        "one convolution",
        {
            "answer-08-4": UNTRAINED.replace("self.conv2 = nn.Conv2d(4, 4, 3, padding=1)", "self.conv2 = nn.Identity()")
            + PREDICT
        },
        "1 convolutional layers",
    ),
    (
        "08.4",
        "view that mixes the axes",
        {
            "answer-08-4": UNTRAINED.replace("x.flatten(1)", "x.permute(1, 2, 3, 0).reshape(len(x), -1)")
            + SHORT
            + PREDICT
        },
        "the rest of its batch",
    ),
    (
        "08.4",
        "trained scaled, predicts unscaled",
        {
            "answer-08-4": UNTRAINED
            + SHORT
            + "def predict(images):\n    return net(torch.from_numpy(images)[:, None].float()).argmax(1)"
        },
        "scaled as x was",
    ),
    (
        "08.4",
        "ReLU on the logits",
        {
            "answer-08-4": UNTRAINED.replace("return self.fc(x.flatten(1))", "return F.relu(self.fc(x.flatten(1)))")
            + SHORT
            + PREDICT
        },
        "1 more from",
    ),
    (
        "08.4",
        "the course's network",
        {"answer-08-4": "from cnnlib.models import TwoConvCNN\nnet = TwoConvCNN()" + PREDICT},
        "does not allow",
    ),
    (
        "08.4",
        "the shipped weights",
        {"answer-08-4": UNTRAINED + "from cnnlib import train\ntrain.load_weights(net, 'two_conv')" + PREDICT},
        "does not allow",
    ),
]

HALF = [
    ("08.1", "parameters right, work not", paper(factor=4), 1),
    ("08.1", "work right, parameters not", paper(more=126_000), 1),
    (
        "08.2",
        "right where nothing is rounded",
        possible("return any(abs(100 * k / n - float(percent)) < 1e-9 for k in range(n + 1))"),
        1,
    ),
    ("08.3", "groups right, gaps with their sign", calibration(("abs(said - was)", "(said - was)")), 1),
]
