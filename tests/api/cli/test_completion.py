"""`fastnet completion`: bash completes what the script says; the others name every option."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from fastnet import cli

Capture = pytest.CaptureFixture[str]


def script(shell: str, capsys: Capture) -> str:
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fastnet", "pre"], ["predict"]),
        (["fastnet", "train", "data.csv", "--tas"], ["--task"]),
        (["fastnet", "train", "--task", ""], ["classification", "regression"]),
        (["fastnet", "completion", "z"], ["zsh"]),
        (["fastnet", "train", "dat"], []),  # files follow, by -o default
    ],
)
def test_bash(words: list[str], expected: list[str], capsys: Capture) -> None:
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f'COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _fastnet; echo "${{COMPREPLY[@]}}"'
    ran = subprocess.run(
        ["bash", "--norc", "-c", script("bash", capsys) + ask], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == expected
    assert ran.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_option_is_there(shell: str, capsys: Capture) -> None:
    text = script(shell, capsys)
    for word in (
        "train",
        "predict",
        "info",
        "export",
        "selftest",
        "bench",
        "demo",
        "target",
        "probabilities",
    ):
        assert word in text


def test_another_shell(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["completion", "csh"])
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
