"""Several processes: the numbers of one, whatever the shares; a killed worker; one record; clear errors.

Two programs run under torchrun, each once: workers.py does all that the first tests look at, and killed.py trains a
recipe from the command line and loses a worker on the way. Everything is in float64, so that rounding is far from 1e-9.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from distributed_runs import CASES, Small, examples, train_case, train_recipe

from cnnlib import distributed
from cnnlib.distributed import World, share, step_seconds, world
from cnnlib.train import fit, seeded

HERE = Path(__file__).parent
NAMES = ("WORLD_SIZE", "RANK", "LOCAL_RANK")


def torchrun(*arguments, restarts=0):
    """Run distributed_runs.py in two processes on this machine; its exit code and what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE.parents[1]}{os.pathsep}{HERE}"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", str(restarts), str(HERE / "distributed_runs.py"), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes found: for each of them {case: results}."""
    folder = tmp_path_factory.mktemp("two")
    torchrun("cases", folder)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module", params=sorted(CASES))
def pair(request, two):
    """A case, what one process makes of it, and what each of the two did."""
    return CASES[request.param], train_case(**CASES[request.param]), [found[request.param] for found in two]


# Two processes, and one


def close(got, want):
    return torch.allclose(got, want, rtol=1e-9, atol=1e-11)


def test_two_processes_end_at_the_weights_and_statistics_of_one(pair):
    _, want, found = pair
    for got in found:
        assert got["state"].keys() == want["state"].keys()
        for name, value in want["state"].items():
            assert close(got["state"][name], value), name


def test_two_processes_report_the_losses_and_accuracies_of_one(pair):
    _, want, found = pair
    for entry, *others in zip(want["history"], *(got["history"] for got in found), strict=True):
        for other in others:
            assert other.keys() == entry.keys()
            assert close(torch.tensor(other["losses"]), torch.tensor(entry["losses"]))
            for key in entry.keys() - {"losses", "seconds"}:
                assert other[key] == pytest.approx(entry[key], rel=1e-9), key


def test_two_processes_have_the_very_same_weights(two):
    for name in CASES:
        first, second = (found[name]["state"] for found in two)
        assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_a_network_comes_back_as_the_plain_network_in_the_mode_it_was_in(pair):
    for got in pair[2]:
        assert got["modules"] == pair[1]["modules"]
        assert got["modes"] == pair[1]["modes"]


def test_shares_of_12_and_1_have_the_gradients_of_13(two):
    x, y = examples(13)
    model = seeded(Small, 0).double()
    F.cross_entropy(model(x), y).backward()
    for found in two:
        for got, p in zip(found["gradients of 12 and 1"]["gradients"], model.parameters(), strict=True):
            assert close(got, p.grad)


def test_the_mean_of_two_means_is_not_the_mean():
    """What comes out for shares of 12 and 1 without weights: far off; with weights 12/13 and 1/13 right."""
    x, y = examples(13)
    model = seeded(Small, 0).double()
    parameters = list(model.parameters())

    def gradient(part):
        loss = F.cross_entropy(model(x[part]), y[part])
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])

    whole, most, last = gradient(slice(None)), gradient(slice(12)), gradient(slice(12, None))
    assert close((12 * most + last) / 13, whole)
    assert ((most + last) / 2 - whole).norm() > 0.4 * whole.norm()


def test_the_sum_over_processes_sums_its_gradients_too(two):
    assert [found["sum"]["value"] for found in two] == [3.0, 3.0]
    assert [found["sum"]["gradient"] for found in two] == [30.0, 30.0]  # 10 from the first copy, 20 from the second


@pytest.mark.parametrize("n", [1, 2, 13, 1001])
def test_each_image_is_evaluated_once(two, n):
    x, y = examples(n, seed=5)
    model = seeded(Small, 0).double().eval()
    with torch.no_grad():
        logits = model(x)
    for found in two:
        got = found[f"evaluate {n}"]
        assert got["accuracy"] == (logits.argmax(1) == y).sum().item() / n
        assert got["loss"] == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-9)


def test_the_order_of_the_images_is_the_same_in_all_processes_and_another_in_each_epoch(two):
    orders = [found["order"] for found in two]
    assert orders[0] == orders[1]
    assert sorted(orders[0][0]) == sorted(orders[0][1]) == list(range(13))
    assert orders[0][0] != orders[0][1]


def test_a_loss_that_is_nan_stops_both_at_the_same_step_in_the_same_words(two):
    assert two[0]["nan"] == two[1]["nan"]
    assert "1 of 13 images hold nan or inf" in two[0]["nan"]


def test_only_the_first_process_reads_a_checkpoint_and_all_hear_of_it(two, tmp_path):
    assert [found["other run"] for found in two] == [two[0]["other run"]] * 2
    assert "belongs to another run: its seed is 1" in two[0]["other run"]
    assert [found["read by"] for found in two] == [[0], []]


def test_only_the_first_process_prints(two):
    assert [found["printed"] for found in two] == [True, False]


def test_pictures_are_learned_by_one_process(two):
    assert all("leave torchrun out" in found["pictures"] for found in two)


def test_another_device_is_refused(two):
    assert all('under torchrun it is "cpu", or "cuda"' in found["device"] for found in two)


# One process


def test_without_torchrun_nothing_is_done(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    model = Small()
    assert world() == distributed.join("mps") == World(rank=0, size=1)
    assert distributed.spread(model) is model
    assert distributed.from_first(int, "7") == 7
    with distributed.together():
        assert not torch.distributed.is_initialized()


def test_torchrun_with_one_process_is_one_process(monkeypatch):
    for name, value in zip(NAMES, "100", strict=True):
        monkeypatch.setenv(name, value)
    assert distributed.join() == World()
    assert not torch.distributed.is_initialized()


def set_world(monkeypatch, *values):
    for name, value in zip(NAMES, values, strict=True):
        monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "values", [("two", "0", "0"), ("2", "2", "0"), ("2", None, "0"), ("2", "0", None), ("0", "0", "0"), ("2", "0", "1")]
)
def test_an_environment_that_cannot_be_is_told_in_one_sentence(monkeypatch, values):
    set_world(monkeypatch, *values)
    with pytest.raises(ValueError, match=r"the environment says WORLD_SIZE=.*Start with torchrun") as caught:
        fit(Small(), *examples(4))
    assert "\n" not in str(caught.value)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    set_world(monkeypatch, "4", "3", "3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(
        ValueError, match=r"process 4 of this machine has no GPU of its own: there are 2\. Try torchrun"
    ):
        distributed.join("cuda")


@pytest.mark.parametrize(("n", "size"), [(13, 2), (128, 3), (5, 5), (1, 4)])
def test_shares_cover_each_row_once_and_differ_by_one_at_most(n, size):
    parts = [list(range(n))[share(n, World(rank, size))] for rank in range(size)]
    assert [row for part in parts for row in part] == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_normalizing_over_all_processes_is_torchs_in_one(monkeypatch):
    """The arithmetic of batch_norm, with a sum over one process: forward, backward and running statistics."""
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda x: None)
    for shape in [(5, 3, 4, 2), (6, 3)]:
        runs = []
        for function in (F.batch_norm, distributed.batch_norm):
            g = torch.Generator().manual_seed(1)
            x, w, b, dy = (torch.randn(s, generator=g, dtype=torch.float64) for s in (shape, 3, 3, shape))
            leaves = [t.requires_grad_() for t in (x, w, b)]
            mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
            y = function(x, mean, var, w, b, True, 0.3, 1e-3)
            y.backward(dy)
            runs.append([y.detach(), mean, var, *(t.grad for t in leaves)])
        assert all(close(got, want) for got, want in zip(*reversed(runs), strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_normalizing_half_the_bits_gives_half_the_bits_and_computes_in_float32(monkeypatch, dtype):
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda x: None)
    x = (100 + torch.randn(64, 3, 2, 2, generator=torch.Generator().manual_seed(0))).to(dtype)
    got = distributed.batch_norm(x, None, None, training=True)
    assert got.dtype == dtype
    assert torch.allclose(got.float(), F.batch_norm(x.float(), None, None, training=True), atol=0.02)


def test_torchs_own_normalization_across_processes_is_for_gpus_only(two):
    assert all("SyncBatchNorm expected input tensor to be on" in found["SyncBatchNorm"] for found in two)


# A worker is killed


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folders that a recipe left: trained in one process, in two, and in two of which one was killed."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two", "killed")]
    train_recipe(folders[0], monkeypatch := pytest.MonkeyPatch())
    monkeypatch.undo()
    torchrun("recipe", folders[1])
    _, told = torchrun("recipe", folders[2], "kill", restarts=1)
    assert "Signal 9 (SIGKILL)" in told or "exitcode: -9" in told
    return folders


def record(folder):
    found = json.loads((folder / "tiny.json").read_text(encoding="utf-8"))
    for run in found["runs"]:
        run.pop("seconds")
        for entry in run["history"]:
            entry.pop("seconds")
    return found


def test_a_killed_worker_costs_an_epoch_and_changes_no_number(killed):
    _, two, restarted = killed
    assert (restarted / "killed").read_text() == "epoch 2"
    assert record(restarted)["runs"] == record(two)["runs"]
    assert sorted(p.name for p in restarted.rglob("*.pt")) == []  # the run is over: no checkpoint is left


def test_after_the_kill_both_went_on_from_the_checkpoint(killed):
    told = sorted((killed[2] / "epochs").iterdir())
    assert [p.name for p in told] == ["0-0", "0-1", "1-0", "1-1"]  # life and rank
    steps = [len(p.read_text()) for p in told]
    assert steps[0] in (6, 7)  # an epoch of four batches and half of the second, where the other died
    assert steps[1] == 7
    assert steps[2] == steps[3] == 8  # the second epoch and the third, not the first


def test_the_record_is_that_of_one_process_and_says_how_many_there_were(killed):
    one, two = record(killed[0]), record(killed[1])
    assert [found["hardware"]["processes"] for found in (one, two)] == [1, 2]
    assert two.keys() == one.keys()
    for a, b in zip(one["runs"], two["runs"], strict=True):
        assert b["test_accuracy"] == a["test_accuracy"]
        assert b["first_losses"] == pytest.approx(a["first_losses"], abs=2e-5)


def test_the_sources_of_a_record_made_by_several_hold_the_module_that_let_them(killed):
    texts = [(folder / "code" / f"{record(folder)['code'][:16]}.txt").read_text() for folder in killed[:2]]
    assert ["# cnnlib.distributed" in text for text in texts] == [False, True]


# What it should cost


def test_the_model_of_a_step_by_hand():
    assert step_seconds(8.0, 1, size=100, bandwidth=10, latency=3) == 8
    assert step_seconds(8.0, 2, size=100, bandwidth=10, latency=3) == 4 + 10 + 3
    assert step_seconds(8.0, 8, size=100, bandwidth=10) == 1 + 17.5
