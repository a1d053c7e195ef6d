"""The HTTP example: started on the loopback address, asked well, badly and by many at once, and stopped."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnet as fn

EXAMPLE = Path(__file__).parents[2] / "examples" / "serve_fastapi.py"
ADDRESS = "127.0.0.1"

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")


class Server:
    """The example in a process of its own, with a model."""

    def __init__(self, net: fn.Network, folder: Path) -> None:
        path = folder / "model.safetensors"
        fn.save(net, path)
        command = [sys.executable, str(EXAMPLE), str(path), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("serving "), self.process.communicate(timeout=10)
        self.port = int(line.rsplit(":", 1)[1])
        end = time.monotonic() + 60
        while self.get("/ready")[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.02)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        return self.ask("GET", path)

    def predict(self, body: Any) -> tuple[int, Any]:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", "/predict", text, **{"Content-Type": "application/json"})

    def stop(self) -> str:
        """Stop it as an operator would, and return what it complained about."""
        self.process.send_signal(signal.SIGTERM)
        try:
            _, complaints = self.process.communicate(timeout=30)
        finally:
            self.process.kill()
        assert self.process.returncode in (0, -signal.SIGTERM)
        return complaints


def network() -> fn.Network:
    net = fn.Network([fn.Layer(3, 8), fn.Layer(8, 1)], seed=4, dtype="float32")
    net.classes, net.feature_names = ["no", "yes"], ["a", "b", "c"]
    return net


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(network(), tmp_path_factory.mktemp("served"))
    yield started
    assert started.stop() == ""


def rows(n: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 3, (n, 3)).astype(np.float32)


def test_it_lives_and_says_what_it_serves(server: Server) -> None:
    assert server.get("/health") == (200, {"status": "alive"})
    assert server.get("/ready") == (200, {"status": "ready"})
    status, about = server.get("/model")
    assert status == 200
    assert about["classes"] == ["no", "yes"]
    assert (about["inputs"], about["output"], about["feature_names"]) == (3, "binary", ["a", "b", "c"])


@pytest.mark.parametrize("n", [1, 2, 1000])
def test_it_answers_with_our_bits(server: Server, n: int) -> None:
    R = rows(n)
    status, got = server.predict({"rows": R.tolist()})
    P = network().predict_proba(R.T)[0]
    assert status == 200
    assert np.array_equal(np.float32([pair[1] for pair in got["probabilities"]]), P)
    assert got["labels"] == ["yes" if p > 0.5 else "no" for p in P]


BAD: dict[str, tuple[Any, int]] = {
    "no JSON": (b"{", 422),
    "not UTF-8": (b'{"rows": "\xff"}', 422),
    "empty": (b"", 422),
    "a list": ([[1.0, 2.0, 3.0]], 422),
    "no rows": ({"rows": []}, 422),
    "an empty row": ({"rows": [[]]}, 422),
    "a row too short": ({"rows": [[1.0, 2.0]]}, 422),
    "a row too long": ({"rows": [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]]}, 422),
    "text": ({"rows": [["1", 2.0, 3.0]]}, 422),
    "null": ({"rows": [[None, 2.0, 3.0]]}, 422),
    "boolean": ({"rows": [[True, 2.0, 3.0]]}, 422),
    "too deep": ({"rows": [[[1.0, 2.0, 3.0]]]}, 422),
    "NaN": (b'{"rows": [[NaN, 2.0, 3.0]]}', 422),
    "infinity": (b'{"rows": [[1e999, 2.0, 3.0]]}', 422),
    "too large for float32": ({"rows": [[1e39, 2.0, 3.0]]}, 422),
    "unknown field": ({"rows": [[1.0, 2.0, 3.0]], "more": 1}, 422),
    "too many rows": ({"rows": [[1.0, 2.0, 3.0]] * 4097}, 422),
    "too many bytes": (b" " * 4_000_001, 413),
    "very deep": (b'{"rows": ' + b"[" * 100_000, 422),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_are_refused(server: Server, case: str) -> None:
    body, expected = BAD[case]
    status, got = server.predict(body)
    assert status == expected
    assert got["detail"]
    if case in ("NaN", "infinity"):
        assert got["detail"][0]["type"] == "finite_number"
    assert server.predict({"rows": [[1.0, 2.0, 3.0]]})[0] == 200


def test_other_paths_and_methods(server: Server) -> None:
    assert server.get("/nothing")[0] == 404
    assert server.get("/predict")[0] == 405


def test_a_long_body_in_chunks_is_cut_off(server: Server) -> None:
    with socket.create_connection((ADDRESS, server.port), timeout=30) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent, answer = 0, b""
        try:
            for _ in range(100):
                connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                sent += 0x10000
        except OSError:
            pass  # it has hung up
        else:
            connection.sendall(b"0\r\n\r\n")
        answer = connection.recv(4096)
    assert sent > 4_000_000
    assert b" 413 " in answer
    assert server.get("/health")[0] == 200


def test_many_at_once(server: Server) -> None:
    def one(seed: int) -> bool:
        R = rows(1 + seed % 50, seed)
        status, got = server.predict({"rows": R.tolist()})
        P = network().predict_proba(R.T)[0]
        return status == 200 and np.array_equal(np.float32([pair[1] for pair in got["probabilities"]]), P)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(200)))


@pytest.mark.parametrize(
    ("last", "n_out", "classes", "expected"),
    [
        ("softmax", 3, ["a", "b", "c"], {"labels", "probabilities"}),
        ("sigmoid", 2, None, {"labels", "probabilities"}),
        ("identity", 2, None, {"predictions"}),
    ],
)
def test_other_outputs(last: str, n_out: int, classes: Any, expected: set[str]) -> None:
    import importlib.util

    specification = importlib.util.spec_from_file_location("serve_fastapi", EXAMPLE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["serve_fastapi"] = module  # pydantic looks types up there
    specification.loader.exec_module(module)
    net = fn.Network([fn.Layer(3, n_out, last)])
    net.classes = classes
    R = rows(5).astype(float)
    A = net.predict_proba(R.T).T
    got = module.answer(net.compile(), json.dumps({"rows": R.tolist()}).encode())
    assert got.keys() == expected
    if last == "softmax":
        assert got["labels"] == [classes[k] for k in A.argmax(axis=1)]
    elif last == "sigmoid":
        assert got["labels"] == [[k for k in range(2) if row[k] > 0.5] for row in A]
    assert list(got.values())[-1] == A.tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory: "),
        (b"nonsense", "the file must be at least 8 bytes long"),
        ("ensemble", "must hold a Network, got a Ensemble"),
    ],
)
def test_a_model_that_cannot_be_served_is_told_in_one_line(
    content: Any, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    if content == "ensemble":
        fn.save(fn.Ensemble([fn.Network([fn.Layer(2, 1)])]), path)
    elif content is not None:
        path.write_bytes(content[:7])
    ran = subprocess.run(
        [sys.executable, str(EXAMPLE), str(path), "--port", "0"], capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("serve_fastapi.py: error: ")
    assert message in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
