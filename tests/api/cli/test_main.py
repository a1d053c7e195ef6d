"""The command `fastnet`: its exit codes, and that `python -m fastnet` is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastnet as fn
from fastnet import cli


def test_isa_tells_the_builds(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["isa"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["compiled", *fn.isa.compiled()],
        ["supported", *fn.isa.supported()],
        ["active", fn.isa.active()],
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["demo", "--epochs", "0"],
        ["demo", "--epochs", "two"],
        ["demo", "--batch-size", "-1"],
        ["demo", "--learning-rate", "nan"],
        ["demo", "--learning-rate", "0"],
        ["demo", "--seed", "-1"],
        ["demo", "--dtype", "float16"],
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: fastnet" in capsys.readouterr().err


def test_a_failure_exits_with_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["demo", "--dtype", "float32", "--learning-rate", "3e38", "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fastnet: error: fit diverged in epoch 1 of 100 with learning_rate=3e+38")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as if matplotlib were not installed
    assert cli.main(["demo", "--plot", "loss.png"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert 'pip install "fastnet-mlp[plot]"' in err


def test_python_m_fastnet_is_the_command() -> None:
    command = [sys.executable, "-m", "fastnet"]
    ran = subprocess.run(
        [*command, "demo", "--json", "--epochs", "5"],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert json.loads(ran.stdout)["epochs"] == 5
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"fastnet {fn.__version__}\n"
    assert (
        subprocess.run([*command, "demo", "--epochs", "0"], capture_output=True, check=False).returncode == 2
    )


@pytest.mark.parametrize("name", ["v9", "", "V3"])
def test_a_wrong_build_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    script = tmp_path / "fastnet"  # what pip makes of the entry point
    script.write_text("import sys\nfrom fastnet.cli import main\nsys.exit(main())\n")
    environment = {**os.environ, "FASTNET_ISA": name}
    for command in (["-m", "fastnet", "isa"], [str(script), "isa"]):
        ran = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)
        if not name:  # as if it were not set
            assert (ran.returncode, ran.stderr) == (0, "")
            continue
        assert ran.returncode == 1
        assert ran.stdout == ""
        assert ran.stderr.startswith("fastnet: error: FASTNET_ISA: ")
        assert repr(name) in ran.stderr
        assert len(ran.stderr.splitlines()) == 1
    command = [sys.executable, "-c", "import fastnet"]
    ran = subprocess.run(command, env={**environment, "FASTNET_ISA": "v9"}, capture_output=True, text=True)
    assert "ImportError" in ran.stderr
