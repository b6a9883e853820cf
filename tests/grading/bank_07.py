"""Typical wrong answers to exercise 07: each loses points on every draw, and is told why."""


def paper(slope=36, **words):
    """An answer to 07.1: these words for A to E, else the right ones."""
    rows = tuple({"A": "conv", "B": "flatten", "C": "possible", "D": "pool", "E": "conv", **words}.values())
    return {"answer-07-1": f"rows = {rows}\nslope = {slope}"}


SIZE = "((H - K + 1) // 2) * ((W - L + 1) // 2)"


def network(*, conv="nn.Conv2d(channels, filters, kernel)", inputs=f"filters * {SIZE}", forward):
    """An answer to 07.2."""
    lines = "\n        ".join(forward.strip().splitlines())
    return {
        "answer-07-2": f"""class SmallCNN(nn.Module):
    def __init__(self, channels, size, filters, kernel, classes):
        super().__init__()
        (H, W), (K, L) = size, kernel
        self.conv = {conv}
        self.fc = nn.Linear({inputs}, classes)

    def forward(self, x):
        {lines}
"""
    }


def flattened(text):
    """A `forward` that flattens its maps like this, all else right."""
    return network(forward=f"maps = F.max_pool2d(F.relu(self.conv(x)), 2)\nreturn self.fc({text})")


def ending(text):
    """A `forward` with this around the right logits."""
    return network(forward=f"z = self.fc(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1))\nreturn {text}")


def evaluate(body):
    """An answer to 07.3."""
    lines = "\n    ".join(body.strip().splitlines())
    return {"answer-07-3": f"def evaluate(model, batches):\n    {lines}"}


TOGETHER = """
training = model.training
model.eval()
with torch.no_grad():
    logits = torch.cat([model(x) for x, _ in batches])
labels = torch.cat([y for _, y in batches])
model.train(training)
return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).double().mean().item()
"""
OF_MEANS = """
training = model.training
model.eval()
losses, hits = [], []
for x, y in batches:
    logits = model(x)
    losses.append(F.cross_entropy(logits, y).item())
    hits.append((logits.argmax(1) == y).double().mean().item())
model.train(training)
return sum(losses) / len(losses), sum(hits) / len(hits)
"""


def stirs(body):
    """An answer to 07.4."""
    lines = "\n    ".join(body.strip().splitlines())
    return {"answer-07-4": f"def stirs(model, x):\n    {lines}"}


FIRST = """
changed = x.clone()
changed[0] += 1
return bool(((model(changed) - model(x))[1:].abs() > 1e-9).any())
"""
EACH = """
for k in range(len(x)):
    changed = x.clone()
    changed[k] = CHANGE
    difference = (model(changed) - model(x)).abs()
    difference[k] = 0
    if difference.max() > LIMIT:
        return True
return False
"""


def each(change, limit="1e-9"):
    """An answer to 07.4 that changes each image in turn."""
    return stirs(EACH.replace("CHANGE", change).replace("LIMIT", limit))


ENDS = """
for k in (0, len(x) - 1):
    changed = x.clone()
    changed[k] += torch.randn(x.shape[1])
    difference = (model(changed) - model(x)).abs()
    difference[k] = 0
    if difference.max() > 1e-9:
        return True
return False
"""
ONE_LOOKED_AT = """
for k in range(1, len(x)):
    changed = x.clone()
    changed[k] += torch.randn(x.shape[1])
    if (model(changed) - model(x))[0].abs().max() > 1e-9:
        return True
return False
"""
FULL = """
training = model.training
model.eval()
loss = hits = n = 0
for x, y in batches:
    logits, n = model(x), n + len(y)
    loss += F.cross_entropy(logits, y).item() * len(batches[0][1])
    hits += (logits.argmax(1) == y).double().mean().item() * len(batches[0][1])
model.train(training)
return loss / n, hits / n
"""


def step(body):
    """An answer to 07.5."""
    lines = "\n    ".join(body.strip().splitlines())
    return {"answer-07-5": f"def train_step(model, x, y, optimizer):\n    {lines}"}


CORE = """
model.train()
loss = F.cross_entropy(model(x), y)
optimizer.zero_grad()
loss.backward()
optimizer.step()
return loss.item()
"""

REDEFINED = """
def measured(evaluate, w, mean, var, x, y, sizes, training):
    network = normed(w, mean, var).eval()
    logits, y = network(torch.as_tensor(x)), torch.as_tensor(y)
    told = {"training mode afterwards": training, "remembered mean": mean}
    right = (logits.argmax(1) == y).double().mean()
    return told | {"loss": F.cross_entropy(logits, y).item(), "accuracy": right.item()}
"""

WRONG = [
    ("07.1", "one channel thought enough", paper(A="possible"), "three channels"),
    ("07.1", "one map thought enough", paper(B="possible"), "how many maps"),
    ("07.1", "kernel not square taken for wrong", paper(B="conv"), "which kernel leaves 18"),
    ("07.1", "the row below blamed", paper(B="dense"), "fits the row above it"),
    ("07.1", "odd maps taken for wrong", paper(C="pool"), "drops an odd row"),
    ("07.1", "rounded up", paper(D="possible"), "D: 2x2 pooling drops"),
    ("07.1", "biases overlooked", paper(E="possible"), "a bias, too"),
    ("07.1", "all possible", paper(A="possible", B="possible", D="possible", E="possible"), "value 1 of 5"),
    ("07.1", "the gradient is replaced", paper(slope=12), "adds, it does not replace"),
    ("07.1", "never cleared", paper(slope=60), "Only later ones count"),
    ("07.2", "view that stirs the batch", flattened("maps.reshape(-1, len(x)).T"), "images of the batch are stirred"),
    ("07.2", "view of the batch last", flattened("maps.view(self.fc.in_features, -1).T"), "Flatten from axis 1"),
    (
        "07.2",
        "axes exchanged, then reshaped",
        flattened("maps.transpose(0, 1).reshape(len(x), -1)"),
        "axes were exchanged",
    ),
    ("07.2", "channels last", flattened("maps.permute(0, 2, 3, 1).reshape(len(x), -1)"), "channels first"),
    ("07.2", "flattened from axis 0", flattened("maps.flatten()"), "shapes cannot be multiplied"),
    ("07.2", "ReLU on the logits", ending("F.relu(z)"), "must be able to say no"),
    ("07.2", "softmax in the network", ending("torch.softmax(z, 1)"), "You return probabilities"),
    ("07.2", "log softmax in the network", ending("F.log_softmax(z, 1)"), "logarithms of probabilities"),
    (
        "07.2",
        "ReLU forgotten",
        network(forward="return self.fc(F.max_pool2d(self.conv(x), 2).flatten(1))"),
        "ReLU after the convolution is missing",
    ),
    (
        "07.2",
        "average pooling",
        network(forward="return self.fc(F.avg_pool2d(F.relu(self.conv(x)), 2).flatten(1))"),
        "Average pooling",
    ),
    (
        "07.2",
        "H and W swapped in the kernel",
        network(
            conv="nn.Conv2d(channels, filters, kernel[::-1])",
            forward="return self.fc(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1))",
        ),
        "conv.weight: the network has",
    ),
    (
        "07.2",
        "H meets L, W meets K",
        network(
            inputs="filters * ((H - L + 1) // 2) * ((W - K + 1) // 2)",
            forward="return self.fc(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1))",
        ),
        "fc.weight: the network has",
    ),
    (
        "07.2",
        "one padding for all",
        network(
            conv="nn.Conv2d(channels, filters, kernel, padding=1)",
            inputs="filters * ((H - K + 3) // 2) * ((W - L + 3) // 2)",
            forward="return self.fc(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1))",
        ),
        "fc.weight: the network has",
    ),
    ("07.3", "mean of batch means", evaluate(OF_MEANS), "average the batches"),
    (
        "07.3",
        "the given function written anew",
        {"answer-07-3": evaluate(OF_MEANS)["answer-07-3"] + REDEFINED},
        "average the batches",
    ),
    ("07.3", "the last batch taken for a full one", evaluate(FULL), "weighs too much"),
    ("07.3", "argmax over the wrong axis", evaluate(TOGETHER.replace("argmax(1)", "argmax(0)")), "the size of tensor"),
    (
        "07.3",
        "argmax over the wrong axis, batch by batch",
        evaluate(OF_MEANS.replace("argmax(1)", "argmax(0)")),
        "maximum along axis 1",
    ),
    (
        "07.3",
        "batch normalization in the wrong mode",
        evaluate(TOGETHER.replace("model.eval()", "model.train()")),
        "in training mode",
    ),
    ("07.3", "eval forgotten", evaluate(TOGETHER.replace("model.eval()\n", "")), "in training mode"),
    (
        "07.3",
        "mode not put back",
        evaluate(TOGETHER.replace("model.train(training)\n", "")),
        "leaves in evaluation mode",
    ),
    (
        "07.3",
        "left training",
        evaluate(TOGETHER.replace("model.train(training)", "model.train()")),
        "leaves in training mode",
    ),
    ("07.3", "last batch dropped", evaluate(TOGETHER.replace("in batches", "in batches[:-1]")), "never seen"),
    (
        "07.3",
        "softmax before the loss",
        evaluate(TOGETHER.replace("cross_entropy(logits", "cross_entropy(logits.softmax(1)")),
        "gets probabilities",
    ),
    (
        "07.3",
        "the course's own",
        evaluate("from cnnlib import train\nreturn tuple(train.evaluate(model, *batches[0]).values())"),
        "does not allow",
    ),
    ("07.4", "first image only", stirs(FIRST), "nobody looks at that one"),
    ("07.4", "first and last image only", stirs(ENDS), "in the middle sees its neighbor"),
    ("07.4", "one image looked at", stirs(ONE_LOOKED_AT), "in the middle sees its neighbor"),
    ("07.4", "sign turned, blank missed", each("-x[k]"), "one image of the batch is blank"),
    ("07.4", "set to zero, blank missed", each("0"), "one image of the batch is blank"),
    ("07.4", "tolerance too wide", each("x[k] + 1", "1e-2"), "slips through"),
    ("07.4", "shape only", stirs("return len(model(x)) != len(x)"), "every network sound"),
    (
        "07.4",
        "own logits counted",
        stirs("changed = x.clone()\nchanged[0] += 1\nreturn bool((model(changed) != model(x)).any())"),
        "every network stirred",
    ),
    (
        "07.4",
        "x changed in place",
        stirs("before = model(x)\nx[0] += 1\nreturn bool((model(x) - before)[1:].any())"),
        "",
    ),
    ("07.4", "reads the label", stirs("return model.kind != 'none'"), "does not allow"),
    ("07.5", "zero_grad forgotten", step(CORE.replace("optimizer.zero_grad()\n", "")), "old gradients are still there"),
    (
        "07.5",
        "cleared between backward and step",
        step(CORE.replace("optimizer.zero_grad()\nloss.backward()", "loss.backward()\noptimizer.zero_grad()")),
        "have not moved",
    ),
    ("07.5", "no step", step(CORE.replace("optimizer.step()\n", "")), "have not moved"),
    ("07.5", "softmax before the loss", step(CORE.replace("model(x)", "model(x).softmax(1)")), "gets probabilities"),
    ("07.5", "sum instead of mean", step(CORE.replace("(x), y", "(x), y, reduction='sum'")), "sum over the batch"),
    (
        "07.5",
        "loss measured after the step",
        step(CORE.replace("return loss.item()", "return F.cross_entropy(model(x), y).item()")),
        "after the step",
    ),
    ("07.5", "still evaluating", step(CORE.replace("model.train()\n", "")), "was used in it"),
    ("07.5", "ReLU on the logits", step(CORE.replace("model(x)", "F.relu(model(x))")), "difference"),
    ("07.5", "nothing returned", step(CORE.replace("return loss.item()", "")), ""),
]

HALF = [
    ("07.1", "rows right, gradient replaced", paper(slope=12), 1),
    ("07.1", "slope right, biases overlooked", paper(E="possible"), 1),
    (
        "07.2",
        "right where nothing is dropped",
        network(
            inputs="filters * ((H - K + 2) // 2) * ((W - L + 2) // 2)",
            forward="return self.fc(F.max_pool2d(F.relu(self.conv(x)), 2, ceil_mode=True).flatten(1))",
        ),
        1,
    ),
    ("07.3", "averages right, eval forgotten", evaluate(TOGETHER.replace("model.eval()\n", "")), 1),
    ("07.3", "modes right, mean of means", evaluate(OF_MEANS), 1),
    ("07.4", "first image only", stirs(FIRST), 1),
    ("07.5", "right for one step", step(CORE.replace("optimizer.zero_grad()\n", "")), 1),
]
