"""Messages about missing packages, and the name that this package has on the index."""

from __future__ import annotations

import re
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


def test_no_file_recommends_the_project_of_that_name() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    files = [path for path in [*files, *ROOT.glob("*.md"), ROOT / "pyproject.toml"] if path.is_file()]
    assert len(files) > 50
    found = {}
    for path in files:
        if path != Path(__file__) and "__pycache__" not in path.parts:
            found[str(path.relative_to(ROOT))] = strangers(path.read_text(encoding="utf-8", errors="replace"))
    assert {name: texts for name, texts in found.items() if texts} == {}


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
