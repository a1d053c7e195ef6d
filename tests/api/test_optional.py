"""Messages about missing packages, and the name that this package has on the index."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from fastnet import _optional

ROOT = Path(__file__).parents[2]
FOLDERS = ["src", "docs", "examples", "tests", "benchmarks", "tools", ".ci"]
SUFFIXES = {".py", ".pyx", ".pxi", ".md", ".toml", ".ipynb", ".rst", ".txt", ".cfg", ""}
# an extra of `fastnet`, or its installation by name: that project is not ours
STRANGER = re.compile(
    r"\bfastnet\\?\[[a-z, ]+\\?\]|pip3? install [^\n`&#;|]*(?<![\w.=/-])fastnet(?![\w.*/-])"
)


def strangers(text: str) -> list[str]:
    return [found[0] for found in STRANGER.finditer(text)]


def test_the_pattern_finds_what_it_should() -> None:
    name = "fastnet"
    for text in (f'pip install "{name}[plot]"', f"pip install {name}", f"pip install -U numpy {name}\n"):
        assert strangers(text)
    for text in (
        f"pip install {name}-mlp",
        f'pip install "{name}-mlp[plot]"',
        f"pip install {name}_mlp-*.whl",
    ):
        assert not strangers(text)


def texts() -> dict[str, str]:
    """Return the text of each file in which a reader may find a command."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    files = [path for path in [*files, *ROOT.glob("*.md"), ROOT / "pyproject.toml"] if path.is_file()]
    assert len(files) > 50
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8", errors="replace")
        for path in files
        if path != Path(__file__) and "__pycache__" not in path.parts
    }


def test_no_file_recommends_the_project_of_that_name() -> None:
    found = {name: strangers(text) for name, text in texts().items()}
    assert {name: texts for name, texts in found.items() if texts} == {}


# A command in a text ends with its line, a back quote, a bracket that it did not open, or what the shell
# does next. Backslashes stand before quotes in notebooks.
COMMAND = re.compile(r"\bpip3? install ((?:\"[^\"\n]*\"|[^\s`#;|&)'\"]| (?![#;|&]))+)")
OURS = re.compile(
    r"(?:\.|fastnet-mlp|fastnet_mlp-\*\.whl|\$\(echo [^)]*(?:fastnet_mlp-|manylinux)\*\.whl\))"
    r"(?:\[([a-z,]+)\])?"
)
# Projects that no extra brings: the peers of the benchmarks, the programs of the drop-in's page, and tools.
# pip install --dry-run finds each of them on the index, and it is the well-known one.
OTHERS = {"atheris", "doubleml", "econml", "imbalanced-learn", "jax", "mapie", "numba", "selenium"}
OTHERS |= {"skl2onnx", "torch"}
PLACEHOLDERS = {"{requirement}", "{DISTRIBUTION}[{extra}]"}  # of `import_optional` and `install_hint`


def installed_by(text: str) -> list[str]:
    """Return what the commands in a text install, in their own words."""
    found = []
    for match in COMMAND.finditer(text.replace('\\"', '"').replace('$(echo "$work"', "$(echo $work")):
        words = shlex.split(match[1])
        for k, word in enumerate(words):
            if not word.startswith("-") and (k == 0 or words[k - 1] != "-r"):
                found.append(word)
    return found


def test_commands_are_read_from_texts() -> None:
    """Also from prose and from notebooks."""
    assert installed_by('after `pip install ".[cli]"`: more') == [".[cli]"]
    assert installed_by('pip install "a>=1" b-c && d; pip install -q -r file e # f') == ["a>=1", "b-c", "e"]
    assert installed_by('"needs `pip install \\".[sklearn,plot]\\"`."') == [".[sklearn,plot]"]
    assert installed_by("(pip install atheris), which") == ["atheris"]


def test_every_command_installs_this_project_or_one_that_is_known() -> None:
    """So a reader who copies a command never gets a stranger's project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    needed = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    known = {re.split(r"[\[<>=]", text)[0] for text in [*needed, *(x for xs in extras.values() for x in xs)]}
    commands = {name: installed_by(text) for name, text in texts().items() if not name.startswith("tests")}
    requirements = re.findall(r'requirement="([^"]+)"', "".join(texts().values()))
    assert sum(map(len, commands.values())) > 25  # 30 beside an installed wheel, without the benchmarks
    assert "skl2onnx" in requirements or not (ROOT / "src").exists()  # as beside an installed wheel
    commands["import_optional"] = requirements
    wrong = []
    for name, words in commands.items():
        for word in words:
            ours = OURS.fullmatch(word)
            if ours is not None:
                wrong += [
                    (name, word, extra) for extra in (ours[1] or "").split(",") if extra not in {"", *extras}
                ]
            elif word not in PLACEHOLDERS and re.split(r"[<>=]", word)[0] not in known | OTHERS:
                wrong.append((name, word, ""))
    assert wrong == []


def test_the_name_is_that_of_the_distribution_and_every_extra_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == _optional.DISTRIBUTION == "fastnet-mlp"
    package = Path(_optional.__file__).parent  # installed, perhaps
    source = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    named = set(re.findall(r"""extra="([\w,]+)"|advice\(['"](\w+)['"]\)""", source))
    extras = {extra for pair in named for extra in ",".join(pair).split(",") if extra}
    assert {"plot", "onnx", "lbfgs", "sklearn"} <= extras <= set(project["optional-dependencies"])


def test_a_missing_package_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(ImportError, match=r'^drawing needs matplotlib: pip install "fastnet-mlp\[plot\]"$'):
        _optional.import_optional("matplotlib.figure", "drawing", extra="plot")
    with pytest.raises(ImportError, match=r'^It needs no_such_package: pip install "other>=2"$'):
        _optional.import_optional("no_such_package", "It", requirement="other>=2")
