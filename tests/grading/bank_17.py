"""Typical wrong answers to the capstone, and ways around its rules: each loses points, and is told why."""

from slips import slip

RANKS = """
def ranks(runs):
    def p_value(a, b):
        both, n = np.array([*a, *b]), len(a)
        real = abs(np.mean(a) - np.mean(b))
        count, ways = 0, 0
        for chosen in combinations(range(len(both)), n):
            first = both[list(chosen)]
            rest = np.delete(both, chosen)
            count += abs(first.mean() - rest.mean()) >= real - 1e-9
            ways += 1
        return count / ways

    order = sorted(range(len(runs)), key=lambda k: -np.mean(runs[k]))
    found, head, rank = [0] * len(runs), order[0], 1
    for place, k in enumerate(order, 1):
        if p_value(runs[head], runs[k]) < 0.01:
            head, rank = k, place
        found[k] = rank
    return found
"""
RECIPE = """
CONFIG = Config(epochs=1, batch_size=500, optimizer="adam", lr=0.01)


def build():
    return nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))


def augment(x, draw):
    return x
"""
NET = "nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))"
IN_BUILD = """
def build():
    net = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))
    {}
    return net
"""
HARDER = """
class Harder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 64, 3, padding=1), nn.Linear(64, 10)

    def forward(self, x):
        times = 4 if self.training else 1
        return sum(self.fc(self.conv(x).mean((2, 3))) for _ in range(times))


def build():
    return Harder()
"""
WRITTEN_OUT = """
class WrittenOut(nn.Module):
    def __init__(self):
        super().__init__()
        self.w, self.fc = nn.Parameter(torch.randn(48, 300) / 7), nn.Linear(300, 10)

    def forward(self, x):
        windows = F.unfold(x, 4).transpose(1, 2)
        return self.fc((windows @ self.w).relu().mean(1))


def build():
    return WrittenOut()
"""


def paper(parameters=5_418, macs=1_622_336, epochs=3, epochs_small=6):
    """The cell of 17.1. Provided."""
    names = ("parameters", "macs", "epochs", "epochs_small")
    values = (parameters, macs, epochs, epochs_small)
    return {"answer-17-1": "\n".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))}


def ranks(*pairs):
    """The cell of 17.2, with slips. Provided."""
    return {"answer-17-2": slip(RANKS, *pairs)}


def recipe(*pairs, also=""):
    """The cell of 17.3, a tiny recipe with slips; what is added stands last and wins. Provided."""
    return {"answer-17-3": slip(RECIPE, *pairs) + also}


def built(line):
    """The cell of 17.3 whose build does something more. Provided."""
    return recipe(also=IN_BUILD.format(line))


WRONG = [
    ("17.1", "biases forgotten", paper(parameters=5_360), "has a bias"),
    ("17.1", "gray images", paper(parameters=5_130), "3 channels"),
    ("17.1", "flattened", paper(parameters=87_018), "mean of each map"),
    ("17.1", "first layer only", paper(macs=442_368), "second convolution works"),
    ("17.1", "stride forgotten", paper(macs=5_161_280), "16x16"),
    ("17.1", "images for epochs", paper(epochs=36_983), "How often is that"),
    ("17.1", "rounded up", paper(epochs=4), "round down"),
    ("17.1", "by the side, not by the pixels", paper(epochs_small=4), "nine sixteenths"),
    ("17.2", "means decide", ranks(("if p_value(runs[head], runs[k]) < 0.01:", "if place > 1:")), "The means alone"),
    ("17.2", "one rank for all", ranks(("< 0.01", "< 0")), "All share a rank"),
    ("17.2", "5 percent", ranks(("< 0.01", "< 0.05")), "not 0.05"),
    (
        "17.2",
        "one-sided",
        ranks(
            ("real = abs(np.mean(a) - np.mean(b))", "real = np.mean(a) - np.mean(b)"),
            ("abs(first.mean() - rest.mean())", "first.mean() - rest.mean()"),
        ),
        "either direction",
    ),
    (
        "17.2",
        "neighbors",
        ranks(("        found[k] = rank", "        head = k\n        found[k] = rank")),
        "first of the rank",
    ),
    ("17.2", "ranks without gaps", ranks(("head, rank = k, place", "head, rank = k, rank + 1")), "comes rank 4"),
    ("17.2", "worst first", ranks(("key=lambda k: -np.mean", "key=lambda k: np.mean")), "highest mean"),
    ("17.2", "sorted", ranks(("return found", "return sorted(found)")), "in the order of the recipes"),
    ("17.3", "hardly trained", recipe(), "1 more from"),
    ("17.3", "too many epochs", recipe(("epochs=1", "epochs=900")), "MACs in the forward passes of a run"),
    (
        "17.3",
        "too many parameters",
        recipe((NET, "nn.Sequential(nn.Flatten(), nn.Linear(3072, 100))")),
        "307,300 parameters",
    ),
    (
        "17.3",
        "too many MACs for one image",
        recipe((NET, "nn.Sequential(nn.Conv2d(3, 256, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))")),
        "MACs for one image",
    ),
    (
        "17.3",
        "more work in training than the ledger sees",
        recipe(("epochs=1", "epochs=2"), also=HARDER),
        "over budget",
    ),
    ("17.3", "products written out", recipe(also=WRITTEN_OUT), "over budget"),
    ("17.3", "a seed of its own", built(f"torch.manual_seed(0)\n    net = {NET}"), "for two seeds"),
    (
        "17.3",
        "stored weights",
        built("net[3].weight.data = torch.sin(torch.arange(2560.0)).reshape(10, 256)"),
        "for two seeds",
    ),
    (
        "17.3",
        "stored numbers by the thousand",
        recipe(also=f"\nTABLE = {list(range(3000))}\n"),
        "only stored numbers are long",
    ),
    (
        "17.3",
        "trains on all images",
        built('from cnnlib.data import load\n    x = load("cifar10", "train")'),
        "uses `cnnlib.data",
    ),
    (
        "17.3",
        "remembers labels",
        recipe(also='from cnnlib.data import load\nTRUE = load("cifar10", "test").labels\n'),
        "uses `cnnlib.data",
    ),
    (
        "17.3",
        "trains by itself",
        built("F.cross_entropy(net(torch.rand(9, 3, 32, 32)), torch.arange(9)).backward()"),
        "`backward`",
    ),
    ("17.3", "an optimizer of its own", built("torch.optim.SGD(net.parameters(), 0.1)"), "`torch.optim`"),
    ("17.3", "a training inside", recipe(also="from cnnlib.capstone import retrain\n"), "`cnnlib.capstone.retrain`"),
    (
        "17.3",
        "settings that change",
        recipe(also="class Mine(Config):\n    pass\n\n\nCONFIG = Mine()\n"),
        "CONFIG is a Mine",
    ),
    (
        "17.3",
        "a function in place of its network",
        recipe(("def build():\n    return", "build =")),
        "build is a Sequential",
    ),
]

HALF = [
    ("17.1", "the network right, the epochs not", paper(epochs=4), 1),
    ("17.2", "two recipes right, a class not", ranks(("head, rank = k, place", "head, rank = k, rank + 1")), 1),
]
