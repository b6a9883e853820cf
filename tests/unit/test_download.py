"""cnnlib.data fetching tiny sets from a host on 127.0.0.1 that behaves well or badly. No test needs the network."""

import gzip
import http.server
import io
import json
import pickle
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pooch
import pytest
from tinysets import assert_is, fill_cache, idx, left_in_cache, md5, only, origins, powerless, tar

from cnnlib import data

CERTIFICATE = Path(__file__).parent / "localhost.pem"  # of 127.0.0.1, signed by itself, and its key: for tests only
DIGESTS = dict(data.MD5)


# Downloads from a host that behaves


@pytest.mark.parametrize(("name", "k"), [("mnist", 0), ("mnist", 1), ("cifar10", 0), ("cifar10", 1)])
def test_each_origin_yields_the_same_arrays(monkeypatch, tiny, name, k):
    only(monkeypatch, name, k)
    for split in data.SPLITS:
        assert_is(data.load(name, split), tiny[name], split)
    assert left_in_cache() == [f"{name}.lock", f"{name}.npz"]


def test_a_set_is_fetched_once(monkeypatch, tiny, host):
    only(monkeypatch, "cifar10", 1)
    for _ in range(2):
        data.load("cifar10", "train")
        data.load("cifar10", "test")
    assert host.requests == ["/cifar10.tgz"]


def test_the_first_origin_serves_and_the_mirror_is_left_alone(tiny, host):
    data.download("cifar10")
    assert set(host.requests) == {"/cifar-10-binary.tar.gz"}


def test_fetching_needs_neither_torch_nor_torchvision(tiny, host):
    code = DRIVER + "assert not {'torch', 'torchvision'} & sys.modules.keys()"
    process = start(host, code=code)
    assert process.communicate(timeout=60)[0] == "cifar10\n"
    assert process.returncode == 0


def test_what_only_a_download_needs_is_not_loaded_before():
    code = "import sys, cnnlib.data; sys.exit(bool({'pooch', 'requests', 'certifi', 'filelock'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_of_a_download_nothing_is_said_but_where_from(tiny, host):
    assert start(host).communicate(timeout=60) == ("cifar10\n", f"Fetching CIFAR-10 from {host.url}/cifar10.tgz\n")


def test_pooch_is_left_as_it_was(tiny):
    data.download("mnist")
    assert (pooch.get_logger().disabled, pooch.get_logger().level) == (False, 0)


def test_the_digests_of_mnists_archives_are_those_that_torchvision_states():
    from cnnlib.torchvision import datasets

    assert {file: DIGESTS[file] for file in data.MNIST_FILES.values()} == dict(datasets.MNIST.resources)


def test_no_pickle_is_loaded_on_the_way(monkeypatch, tiny):
    def refuse(*args, **kwargs):
        raise AssertionError("a pickle was about to be loaded")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    data.download("cifar10")
    assert data.load("cifar10", "test").source == "cifar10"


def test_an_archive_writes_nothing_outside_the_cache(monkeypatch, tiny, host, tmp_path):
    only(monkeypatch, "cifar10", 1)
    evil = [("../../../evil.png", b"!"), (str(tmp_path / "evil.png"), b"!"), ("../train/../../evil.txt", b"!")]
    with tarfile.open(fileobj=io.BytesIO(host.files["/cifar10.tgz"])) as file:
        members = [(member.name, file.extractfile(member).read()) for member in file]
    host.files["/cifar10.tgz"] = tar(evil + members)
    data.download("cifar10")
    assert not list(tmp_path.rglob("evil*"))


def test_the_offline_switch_keeps_load_off_the_network(monkeypatch, tiny, host):
    monkeypatch.setenv("CNNLIB_OFFLINE", "1")
    assert data.load("mnist", "train").source.startswith("stand-in: ")
    with pytest.raises(RuntimeError, match="CNNLIB_OFFLINE forbids"):
        data.download("mnist")
    assert host.requests == []


def test_the_offline_switch_does_not_matter_to_a_set_in_the_cache(monkeypatch, tiny):
    monkeypatch.setenv("CNNLIB_OFFLINE", "1")
    fill_cache(tiny)
    assert data.load("mnist", "train").source == "mnist"


@pytest.fixture
def nameless(monkeypatch, tiny):
    """Hosts whose names nobody here can look up."""

    def look_up(host, port):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(data, "ORIGINS", {"mnist": ((data._mnist_files, "https://host.invalid/"),)})


def test_a_machine_without_a_network_says_so(monkeypatch, nameless):
    monkeypatch.setattr(data, "getproxies", lambda: {"no": "localhost"})
    with pytest.raises(RuntimeError, match=r"none of its hosts can be found: is this machine online.*set HTTPS_PROXY"):
        data.download("mnist")


def test_behind_a_proxy_a_name_need_not_be_known_here(monkeypatch, nameless):
    monkeypatch.setattr(data, "getproxies", lambda: {"https": "http://proxy.invalid:3128"})
    assert data._online("mnist")


# Downloads from a host that does not

BAD = ["wrong", "truncated", "missing", "hanging", "page", "portal", "empty", "words"]


@pytest.mark.parametrize("behavior", BAD)
def test_after_a_bad_origin_the_next_one_serves(monkeypatch, tiny, host, behavior):
    if behavior == "hanging":
        monkeypatch.setattr(data, "SILENCE", 1)
    host.behavior, host.behaves_on = behavior, "binary"
    assert_is(data.load("cifar10", "train"), tiny["cifar10"], "train")
    assert host.requests[-1] == "/cifar10.tgz"
    assert left_in_cache() == ["cifar10.lock", "cifar10.npz"]


@pytest.mark.parametrize("behavior", BAD)
@pytest.mark.parametrize("name", data.TITLES)
def test_if_every_origin_is_bad_nothing_is_kept_and_load_gives_the_stand_in(
    monkeypatch, tiny, host, capfd, name, behavior
):
    if behavior == "hanging":
        monkeypatch.setattr(data, "SILENCE", 1)
    host.behavior = behavior
    assert data.load(name, "test").source.startswith("stand-in: ")
    assert f"THIS IS NOT {data.TITLES[name]}: no host gave it (" in capfd.readouterr().err
    assert left_in_cache() == [f"{name}.lock"]


@pytest.mark.parametrize(
    ("k", "behavior", "words"),
    [
        (0, "wrong", "MD5 hash of downloaded file .* does not match"),
        (1, "wrong", "what came is damaged"),
        (0, "truncated", r"cifar-10-binary\.tar\.gz ended after [\d,]+ of [\d,]+ bytes"),
        (1, "truncated", r"cifar10\.tgz ended after [\d,]+ of [\d,]+ bytes"),
        (0, "missing", "Not Found"),
        (1, "missing", "Not Found"),
        (0, "hanging", "timed out"),
        (1, "hanging", r"timed out.*If this network has a proxy, set HTTPS_PROXY"),
        (0, "cut", r"without response.*may forbid the host"),
        (0, "page", r"a web page of 127\.0\.0\.1 came in place of the file.*open a web page in a browser, log in"),
        (1, "portal", r"a web page of 127\.0\.0\.1 came in place of the file.*open a web page in a browser, log in"),
        (0, "empty", r"its answer is empty.*open a web page in a browser, log in"),
        (1, "words", r"something else came .*which begins with b'Blocked.*ask those who run the network"),
    ],
)
def test_the_error_says_what_was_wrong_at_which_host(monkeypatch, tiny, host, k, behavior, words):
    if behavior == "hanging":
        monkeypatch.setattr(data, "SILENCE", 1)
    only(monkeypatch, "cifar10", k)
    host.behavior = behavior
    with pytest.raises(RuntimeError, match=rf"no host gave it \({host.url}/.*: .*{words}"):
        data.download("cifar10")


def test_a_refused_connection_is_named(monkeypatch, tiny):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        monkeypatch.setattr(data, "ORIGINS", {"mnist": ((data._mnist_files, url),)})
        with pytest.raises(RuntimeError, match=r"no host gave it .*refused.*If this network has a proxy"):
            data.download("mnist")


def test_an_archive_of_other_images_is_not_kept(monkeypatch, tiny, host):
    only(monkeypatch, "mnist", 1)
    file = data.MNIST_FILES["test_images"]
    host.files[f"/mirror/{file}"] = idx(tiny["mnist"]["test_images"] ^ 1)
    monkeypatch.setattr(data, "MD5", md5(host.files))
    with pytest.raises(RuntimeError, match="the SHA-256 of test_images is"):
        data.download("mnist")
    assert left_in_cache() == ["mnist.lock"]


def test_a_failed_download_is_not_tried_again_at_once(monkeypatch, tiny, host):
    only(monkeypatch, "cifar10", 1)
    host.behavior = "missing"
    data.load("cifar10", "train")
    data.load("cifar10", "test")
    assert len(host.requests) == 1
    monkeypatch.setattr(data, "PAUSE", 0)
    host.behavior = "right"
    assert data.load("cifar10", "train").source == "cifar10"


def test_strict_mode_turns_the_stand_in_into_an_error(monkeypatch, tiny, host):
    monkeypatch.setenv("CNNLIB_DATA_STRICT", "1")
    only(monkeypatch, "cifar10", 1)
    host.behavior = "missing"
    with pytest.raises(
        RuntimeError, match=r"CIFAR-10 cannot be had: no host gave it .*CNNLIB_DATA_STRICT allows no stand-in"
    ):
        data.load("cifar10", "train")


def test_a_changed_setting_is_tried_at_once(monkeypatch, tiny, host):
    only(monkeypatch, "cifar10", 1)
    host.behavior = "missing"
    data.load("cifar10", "train")
    host.behavior = "right"
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert data.load("cifar10", "train").source == "cifar10"


# Networks with something in the way


@pytest.fixture
def filtered(monkeypatch, tiny, host):
    """The host by https, with a certificate that nobody signed: as a school's filter shows one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    host.socket = context.wrap_socket(host.socket, server_side=True, do_handshake_on_connect=False)
    host.handle_error = lambda *_: None
    host.url = host.url.replace("http:", "https:")
    monkeypatch.setattr(data, "ORIGINS", origins(host))
    for variable in data.CERTIFICATES:
        monkeypatch.delenv(variable, raising=False)
    only(monkeypatch, "cifar10", 0)
    return host


def test_a_certificate_that_is_not_trusted_is_named_with_what_to_set(filtered):
    with pytest.raises(
        RuntimeError, match=r"its certificate is not trusted \(self.signed certificate\).*set SSL_CERT_FILE to it"
    ):
        data.download("cifar10")


@pytest.mark.parametrize("variable", data.CERTIFICATES)
def test_a_certificate_that_a_variable_names_is_trusted(monkeypatch, filtered, tiny, variable):
    monkeypatch.setenv(variable, str(CERTIFICATE))
    assert_is(data.load("cifar10", "test"), tiny["cifar10"], "test")


@pytest.mark.parametrize(("content", "problem"), [(None, "there"), (b"\x30\x82", "in PEM form")])
def test_a_variable_that_names_no_certificate_is_named(monkeypatch, filtered, tmp_path, content, problem):
    if content:
        (tmp_path / "school.cer").write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "school.cer"))
    with pytest.raises(RuntimeError, match=rf"SSL_CERT_FILE is .*school\.cer, and no certificate is {problem}"):
        data.download("cifar10")


@pytest.mark.parametrize("message", ["certificate is not yet valid", "certificate has expired"])
def test_a_certificate_out_of_its_time_asks_for_the_clock(message):
    assert data._certificate_advice(message) == "Is this computer's clock right?"


def test_pooch_itself_does_not_trust_what_this_machine_trusts(monkeypatch, filtered, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    url = f"{filtered.url}/cifar10.tgz"
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        pooch.HTTPDownloader()(url, tmp_path / "pooch", None)
    data._stream(url, tmp_path / "ours", None, patience=60)
    assert (tmp_path / "ours").read_bytes() == filtered.files["/cifar10.tgz"]


def test_pooch_itself_hears_nothing_of_a_host_that_trickles(monkeypatch, tiny, host, tmp_path):
    host.behavior, host.files["/drops"] = "slow", gzip.compress(b"")[:10] + bytes(790)  # 0.5 s for 100 of the bytes
    theirs, ours, update = [], [], data.Progress.update
    bar = SimpleNamespace(update=theirs.append, reset=lambda: None, close=lambda: None)
    monkeypatch.setattr(data.Progress, "update", lambda progress, n: ours.append(n) or update(progress, n))
    pooch.HTTPDownloader(progressbar=bar)(f"{host.url}/drops", tmp_path / "theirs", None)
    data._stream(f"{host.url}/drops", tmp_path / "ours", None, patience=60)
    assert len(theirs) == 2  # once all has come: a chunk, and the sum
    assert len(ours) > 20


class Proxy(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.send_error(407)

    def log_message(self, *args):
        pass


@pytest.fixture
def proxy(monkeypatch, tiny):
    """A proxy that wants a password, and hosts that can only be reached through it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(data, "ORIGINS", {"mnist": ((data._mnist_files, "https://host.invalid/"),)})
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_proxy_that_wants_a_password_is_named_and_ours_is_not_told(monkeypatch, proxy):
    monkeypatch.setenv("https_proxy", f"http://ada:secret@127.0.0.1:{proxy.server_port}")
    with pytest.raises(
        RuntimeError, match=r"407.*by way of the proxy 127\.0\.0\.1:\d+\)\. Check HTTPS_PROXY"
    ) as caught:
        data.download("mnist")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://127.0.0.1:port", "http://proxy.invalid:3128"])
def test_a_proxy_that_is_not_there_is_named(monkeypatch, proxy, address):
    monkeypatch.setenv("https_proxy", address)
    with pytest.raises(RuntimeError, match=rf"by way of the proxy {address[7:]}\)\. Check HTTPS_PROXY"):
        data.download("mnist")


# Slow hosts, and what is seen of a download


@pytest.fixture
def slow(monkeypatch, tiny, host):
    """The host, slow with archives that come in several pieces, and no patience with it while another is left."""
    monkeypatch.setattr(data, "GRACE", 0)
    monkeypatch.setattr(data, "PATIENCE", 0)
    padding = ("cifar10/padding", np.random.default_rng(0).bytes(300_000))
    for path in ("/cifar-10-binary.tar.gz", "/cifar10.tgz"):
        with tarfile.open(fileobj=io.BytesIO(host.files[path])) as file:
            host.files[path] = tar([padding] + [(member.name, file.extractfile(member).read()) for member in file])
    monkeypatch.setattr(data, "MD5", md5(host.files))
    host.behavior = "slow"
    return host


@pytest.mark.parametrize("k", [0, 1])
def test_a_slow_host_is_left_for_the_next(monkeypatch, tiny, slow, capfd, k):
    def patient(url, folder, patience):
        return data._cifar10_pngs(url, folder, float("inf"))

    next_one = (patient, f"{slow.url}/cifar10.tgz?next")
    slow.files["/cifar10.tgz?next"] = slow.files["/cifar10.tgz"]
    monkeypatch.setitem(data.ORIGINS, "cifar10", (data.ORIGINS["cifar10"][k], next_one))
    assert_is(data.load("cifar10", "train"), tiny["cifar10"], "train")
    assert "not from there: too slow, the rest would take" in capfd.readouterr().err
    assert slow.requests[-1] == "/cifar10.tgz?next"


@pytest.mark.parametrize("k", [0, 1])
def test_a_slow_host_serves_patiently_if_there_is_no_other(monkeypatch, tiny, slow, capfd, k):
    only(monkeypatch, "cifar10", k)
    assert_is(data.load("cifar10", "test"), tiny["cifar10"], "test")
    assert capfd.readouterr().err.count("Fetching CIFAR-10 from") == 2


class Clock:
    """Time as a test wants it."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(data.time, "monotonic", lambda: self.now)


def test_away_from_a_terminal_progress_is_a_line_every_five_seconds(monkeypatch, capfd):
    clock = Clock(monkeypatch)
    with data.Progress(30_000_000) as progress:
        for clock.now in (1, 2, 6, 7, 12):
            progress.update(3_000_000)
    assert capfd.readouterr().err == "  9.0 MB of 30.0 MB\n  15.0 MB of 30.0 MB\n"


def test_progress_copes_with_a_host_that_does_not_say_the_size(monkeypatch, capfd):
    clock = Clock(monkeypatch)
    with data.Progress(None, patience=1) as progress:
        for clock.now in (10, 100):
            progress.update(1_000_000)
    assert capfd.readouterr().err == "  1.0 MB\n  2.0 MB\n"


def test_on_a_terminal_progress_is_a_bar(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with data.Progress(1000, unit="B", unit_scale=True) as progress:
        progress.update(1000)
    assert "100%" in terminal.getvalue()


def test_a_host_is_too_slow_if_the_rest_would_outlast_the_patience(monkeypatch):
    clock = Clock(monkeypatch)
    progress = data.Progress(1_000_000, patience=600)
    clock.now = data.GRACE + 1.0
    progress.update(100_000)  # 21 s for a tenth: 189 s more
    clock.now = 100.0
    with pytest.raises(data.TooSlow, match="the rest would take 13 minutes"):
        progress.update(10_000)  # 100 s for 11 %: 809 s more
    progress.bar.close()


def test_a_host_is_not_judged_in_its_first_seconds(monkeypatch):
    clock = Clock(monkeypatch)
    with data.Progress(1_000_000, patience=600) as progress:
        clock.now = data.GRACE - 1.0
        progress.update(1)


# Killed, crowded, full

DRIVER = """
import json, signal, sys
from cnnlib import data
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits one that ignores it
settings = json.loads(sys.argv[1])
data.SHA256.update(settings["sha256"])
data.MD5 = settings["md5"]
data.SPACE = dict.fromkeys(data.SPACE, 1)
data.ORIGINS["cifar10"] = tuple((getattr(data, name), url) for name, url in settings["origins"])
data.SILENCE = 120
if settings["limit"]:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (settings["limit"], settings["limit"]))
print(data.load("cifar10", "train").source, flush=True)
"""


def start(host, *, limit=0, names=("_cifar10_pngs",), code=DRIVER, before=()):
    """Another process that loads the tiny CIFAR-10 from the host."""
    paths = {"_cifar10_pngs": "/cifar10.tgz", "_cifar10_records": "/cifar-10-binary.tar.gz"}
    settings = {"sha256": data.SHA256, "md5": data.MD5, "limit": limit}
    settings["origins"] = [(name, host.url + paths[name]) for name in names]
    return subprocess.Popen(
        [*before, sys.executable, "-W", "error", "-c", code, json.dumps(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_powerless(host, **environment):
    """What comes of it where permissions hold: (standard output, standard error)."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        return start(host, before=powerless()).communicate(timeout=60)


def half_way():
    """Whether a part of the archive is on disk, under whatever name."""
    return any((data.cache_dir() / "cifar10.part").glob("*"))


def wait_for(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("nothing came of it in a minute")


def test_a_download_killed_half_way_leaves_nothing_in_the_way(tiny, host):
    host.behavior = "hanging"
    first = start(host)
    wait_for(half_way)
    first.kill()
    first.communicate()
    assert half_way()
    assert left_in_cache() == ["cifar10.lock", "cifar10.part"]

    host.behavior = "right"
    assert start(host).communicate(timeout=60)[0] == "cifar10\n"
    assert left_in_cache() == ["cifar10.lock", "cifar10.npz"]
    assert data.status("cifar10")[1] == {"train": 7, "test": 4}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_interrupted_download_cleans_up(tiny, host):
    host.behavior = "hanging"
    process = start(host)
    wait_for(half_way)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert left_in_cache() == ["cifar10.lock"]


def test_two_processes_fetch_a_set_once(tiny, host):
    host.behavior = "hanging"
    first = start(host)
    wait_for(half_way)
    second = start(host)
    assert second.stderr.readline() == "Another process is fetching CIFAR-10: waiting for it.\n"
    host.go_on.set()
    assert [first.communicate(timeout=60)[0], second.communicate(timeout=60)[0]] == ["cifar10\n"] * 2
    assert host.requests == ["/cifar10.tgz"]


def blocked_cache(kind, tmp_path):
    """A cache folder in which nothing can be written, even by root."""
    if kind == "a file in its place":
        (tmp_path / "cnnlib").write_text("")
        return tmp_path
    if kind == "below a file":
        (tmp_path / "file").write_text("")
        return tmp_path / "file"
    if kind == "a dead link in its place":
        (tmp_path / "cnnlib").symlink_to(tmp_path / "gone")
        return tmp_path
    if not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    return Path("/proc")


@pytest.mark.parametrize("kind", ["a file in its place", "below a file", "a dead link in its place", "a system folder"])
def test_a_cache_that_cannot_be_written_is_named_before_anything_is_fetched(monkeypatch, tiny, host, tmp_path, kind):
    folder = blocked_cache(kind, tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    with pytest.raises(
        RuntimeError, match=rf"the cache folder {folder}.cnnlib cannot be written \(.*Set XDG_CACHE_HOME"
    ):
        data.download("mnist")
    assert data.load("mnist", "train").source.startswith("stand-in: ")
    assert host.requests == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions in another way")
@pytest.mark.parametrize(
    ("mode", "action"), [(0o500, r"cannot be written \(Permission denied\)"), (0o000, r"cannot be looked into \(Perm")]
)
def test_without_permission_the_stand_in_comes_and_its_notice_says_what_to_set(tiny, tmp_path, host, mode, action):
    (tmp_path / "cnnlib").mkdir(mode=mode)
    out, err = start_powerless(host, XDG_CACHE_HOME=str(tmp_path))
    assert out == "stand-in: generated shapes and textures\n"
    assert re.search(rf"THIS IS NOT CIFAR-10: the cache folder .*cnnlib {action}.*Set XDG_CACHE_HOME to a folder", err)
    assert host.requests == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions in another way")
def test_the_lock_of_another_user_is_named_and_the_stand_in_comes(tiny, tmp_path, host):
    (tmp_path / "cnnlib").mkdir()
    (tmp_path / "cnnlib" / "cifar10.lock").touch(mode=0o000)
    out, err = start_powerless(host, XDG_CACHE_HOME=str(tmp_path))
    assert out == "stand-in: generated shapes and textures\n"
    assert re.search(r"THIS IS NOT CIFAR-10: .*cifar10\.lock is another user's.*set XDG_CACHE_HOME to a folder", err)
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions in another way")
def test_what_another_user_left_half_done_is_named(tiny, tmp_path, host):
    (tmp_path / "cnnlib" / "cifar10.part").mkdir(parents=True)
    (tmp_path / "cnnlib" / "cifar10.part" / "cifar10.tgz").touch()
    (tmp_path / "cnnlib" / "cifar10.part").chmod(0o000)
    out, err = start_powerless(host, XDG_CACHE_HOME=str(tmp_path))
    assert out == "stand-in: generated shapes and textures\n"
    assert re.search(r"the cache folder .* cannot be written \(.*cifar10\.part.*\)\. Set XDG_CACHE_HOME", err)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions in another way")
def test_everybody_may_use_the_lock_of_a_cache_that_people_share(tiny):
    data.download("mnist")
    assert (data.cache_dir() / "mnist.lock").stat().st_mode & 0o777 == 0o666


def test_a_folder_in_the_place_of_the_file_is_named_before_anything_is_fetched(tiny, host):
    (data.cache_dir() / "mnist.npz").mkdir(parents=True)
    with pytest.raises(RuntimeError, match=r"mnist\.npz is a folder: remove it"):
        data.download("mnist")
    assert host.requests == []


def test_too_little_space_is_named_before_anything_is_fetched(monkeypatch, tiny, host):
    monkeypatch.setattr(data, "SPACE", {"mnist": 150e6})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**8))
    with pytest.raises(RuntimeError, match="has 100 MB free; the download needs 150 MB"):
        data.download("mnist")
    assert host.requests == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
@pytest.mark.parametrize("name", ["_cifar10_pngs", "_cifar10_records"])
@pytest.mark.parametrize("limit", [4_000, 25_000])  # bytes: too few for the archive; enough for it, not for the arrays
def test_a_disk_that_is_full_half_way_ends_the_download_cleanly(tiny, host, name, limit):
    sizes = [len(host.files[path]) for path in ("/cifar10.tgz", "/cifar-10-binary.tar.gz")]
    assert 4_000 < min(sizes) <= max(sizes) < 25_000 < sum(array.nbytes for array in tiny["cifar10"].values())
    out, err = start(host, limit=limit, names=[name, "_cifar10_pngs"]).communicate(timeout=60)
    assert out == "stand-in: generated shapes and textures\n"
    assert "takes no more data (File too large). Make room" in err
    assert err.count("Fetching") == 1  # another host would not help
    assert left_in_cache() == ["cifar10.lock"]
