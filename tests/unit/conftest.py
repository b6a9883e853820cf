"""Tiny sets as if they were the real ones, and a host on 127.0.0.1 that serves them, well or badly."""

import hashlib
import http.server
import threading

import numpy as np
import pytest
from tinysets import archives, md5, origins, tiny_sets

from cnnlib import data

LOGIN = b"\r\n<!DOCTYPE html><title>Please log in</title>"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        host, content = self.server, self.server.files.get(self.path, LOGIN if self.path == "/login" else None)
        host.requests.append(self.path)
        behavior = host.behavior if host.behaves_on in self.path else "right"
        if content is None or behavior == "missing":
            self.send_error(404)
            return
        if behavior == "wrong":
            content = (
                content[: len(content) // 2]
                + bytes([content[len(content) // 2] ^ 1])
                + content[len(content) // 2 + 1 :]
            )
        if behavior == "portal" and self.path != "/login":
            self.send_response(302)
            self.send_header("Location", f"{host.url}/login")
            self.end_headers()
            return
        if behavior == "cut":
            return
        content = {"page": LOGIN, "portal": LOGIN, "empty": b"", "words": b"Blocked by policy 7"}.get(behavior, content)
        half = len(content) // 2
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content[:half])
            if behavior == "truncated":
                return
            if behavior == "hanging":  # says nothing more until the test is over
                host.go_on.wait(60)
            if behavior == "slow":  # a byte every 5 ms, 100 of them, then the rest
                for i in range(half, half + 100):
                    self.wfile.write(content[i : i + 1])
                    host.go_on.wait(0.005)
                half += 100
            self.wfile.write(content[half:])
        except OSError:
            pass  # the client has left

    def log_message(self, *args):
        pass


@pytest.fixture
def host():
    """A web server on 127.0.0.1 that serves the tiny archives, behaves as told and counts requests."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.requests = archives(tiny_sets()), []
    server.behavior, server.behaves_on = "right", ""  # on paths that contain this
    server.go_on = threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tiny(monkeypatch, tmp_path, host):
    """cnnlib.data as it would be if the tiny sets were the real ones, the host their only host, and the cache empty."""
    sets = tiny_sets()
    digests = {
        f"{n}/{k}": hashlib.sha256(a.tobytes()).hexdigest() for n, arrays in sets.items() for k, a in arrays.items()
    }
    monkeypatch.setattr(data, "SHA256", digests)
    monkeypatch.setattr(data, "MD5", md5(host.files))
    monkeypatch.setattr(data, "ORIGINS", origins(host))
    monkeypatch.setattr(data, "_failures", {})
    monkeypatch.setattr(data, "SPACE", {"mnist": 1, "cifar10": 1})
    for variable in ("CNNLIB_DATA", "CNNLIB_OFFLINE", "CNNLIB_DATA_STRICT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return sets


@pytest.fixture
def given(monkeypatch, tmp_path, tiny):
    """A folder that CNNLIB_DATA names, with both tiny sets in it."""
    folder = tmp_path / "given"
    folder.mkdir()
    for name, arrays in tiny.items():
        np.savez(folder / f"{name}.npz", **arrays)
    monkeypatch.setenv("CNNLIB_DATA", str(folder))
    return folder


@pytest.fixture
def offline(monkeypatch, tiny):
    monkeypatch.setenv("CNNLIB_OFFLINE", "1")
