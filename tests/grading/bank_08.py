"""Typical wrong answers to exercise 08: each loses points on every draw, and is told why."""

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


def paper(size, flat, parameters):
    """An answer to 08.1."""
    text = f"map_size = {size}\nflat = {flat}\nparameters = {parameters}"
    return {"answer-08-1": text, **QUICK}


def possible(body):
    """An answer to 08.2."""
    return {"answer-08-2": f"def possible(percent, n):\n    {body}", **QUICK}


def evaluate(body):
    """An answer to 08.3."""
    lines = "\n    ".join(body.strip().splitlines())
    return {"answer-08-3": f"def evaluate(model, x, y, batch_size):\n    {lines}", **QUICK}


def means(*, end="len(x)", logits="model(x[k : k + batch_size])"):
    """The body of `evaluate` that averages batches, its mode right."""
    return f"""
training = model.training
model.eval()
losses, accuracies = [], []
for k in range(0, {end}, batch_size):
    labels = y[k : k + batch_size]
    logits = {logits}
    losses.append(F.cross_entropy(logits, labels).item())
    accuracies.append((logits.argmax(1) == labels).double().mean().item())
model.train(training)
return float(np.mean(losses)), float(np.mean(accuracies))
"""


STILL_TRAINING = """
logits = model(x)
return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).double().mean().item()
"""
AT_ONCE = """
training = model.training
model.eval()
logits = model(x)
model.train(training)
return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).double().mean().item()
"""

FULL = """
training = model.training
model.eval()
loss, right = 0.0, 0.0
for k in range(0, len(x), batch_size):
    logits, labels = model(x[k : k + batch_size]), y[k : k + batch_size]
    loss += F.cross_entropy(logits, labels).item() * batch_size
    right += (logits.argmax(1) == labels).double().mean().item() * batch_size
model.train(training)
return loss / len(x), right / len(x)
"""
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

FLOOR = (
    "abs(int(float(percent) / 100 * n) * 100 / n - float(percent)) <= 0.5 * 10**-len(percent.partition('.')[2]) + 1e-9"
)

WRONG = [
    ("08.1", "padding assumed", paper((5, 7), 840, 46_303), "if the 5x5 convolution were padded"),
    ("08.1", "width first", paper((6, 4), 576, 33_103), "Height comes first"),
    ("08.1", "one pooling", paper((8, 12), 576, 33_103), "two poolings"),
    ("08.1", "one map only", paper((4, 6), 24, 33_103), "24 maps"),
    ("08.1", "16 maps flattened", paper((4, 6), 384, 33_103), "leave the second convolution"),
    ("08.1", "biases forgotten", paper((4, 6), 576, 33_006), "has a bias"),
    ("08.1", "filters of one channel", paper((4, 6), 576, 29_863), "all 16 channels"),
    ("08.1", "text", paper((4, 6), 576, "'33,103'"), "want a number"),
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
        "as found",
        evaluate(means(end="len(x) - batch_size + 1", logits="torch.softmax(model(x[k : k + batch_size]), 1)")),
        "wants logits",
    ),
    ("08.3", "mean of means", evaluate(means()), "short last batch counts as much"),
    ("08.3", "the last batch taken for a full one", evaluate(FULL), "weighs too much"),
    ("08.3", "end dropped", evaluate(means(end="len(x) - batch_size + 1")), "never seen"),
    (
        "08.3",
        "softmax left in",
        evaluate(AT_ONCE.replace("model(x)", "torch.softmax(model(x), 1)")),
        "softmax is inside it",
    ),
    (
        "08.3",
        "still training",
        evaluate(STILL_TRAINING),
        "training mode while measuring: got True",
    ),
    (
        "08.3",
        "mode not put back",
        evaluate(AT_ONCE.replace("model.train(training)\n", "")),
        "leaves in evaluation mode",
    ),
    (
        "08.3",
        "left training",
        evaluate(AT_ONCE.replace("model.train(training)", "model.train()")),
        "leaves in training mode",
    ),
    ("08.3", "percent", evaluate(AT_ONCE.replace(".mean().item()", ".mean().item() * 100")), "from 0 to 1"),
    (
        "08.3",
        "sum of losses",
        evaluate(AT_ONCE.replace("F.cross_entropy(logits, y)", "F.cross_entropy(logits, y, reduction='sum')")),
        "is a sum",
    ),
    (
        "08.3",
        "the course's own",
        evaluate("from cnnlib import train\nreturn tuple(train.evaluate(model, x, y).values())"),
        "does not allow",
    ),
    ("08.4", "untrained", {"answer-08-4": UNTRAINED + PREDICT}, "1 more from"),
    ("08.4", "a nearest neighbor behind two idle convolutions", {"answer-08-4": NEIGHBORS + PREDICT}, "without its"),
    ("08.4", "a nearest neighbor beside the network", {"answer-08-4": UNTRAINED + BESIDE}, "predict differs from net"),
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
    ("08.1", "shapes right, biases forgotten", paper((4, 6), 576, 33_006), 1),
    ("08.1", "parameters right, width first", paper((6, 4), 576, 33_103), 1),
    (
        "08.2",
        "right where nothing is rounded",
        possible("return any(abs(100 * k / n - float(percent)) < 1e-9 for k in range(n + 1))"),
        1,
    ),
    (
        "08.3",
        "averages right, still training",
        evaluate(STILL_TRAINING),
        1,
    ),
]
