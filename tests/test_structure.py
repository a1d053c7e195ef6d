"""The structure of the source: layers, circles of imports, private attributes, the length of files.

CONTRIBUTING.md draws the layers; the drawing is read here, so it cannot become false. All imports count:
those inside functions and those for type checkers too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastnet

ROOT = Path(__file__).parents[1]
SOURCE = Path(fastnet.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}

# Packages that are not needed by everybody, and the only files that may import them.
OPTIONAL = {
    "sklearn": ("sklearn/", "tabular/", "dask/", "exchange.py"),
    "dask": ("dask/",),
    "distributed": ("dask/",),
    "scipy": ("training/lbfgs.py", "sklearn/"),
    "torch": ("exchange.py",),
    "onnx": ("onnx/",),
    "matplotlib": ("plot/",),
    "rich": ("progress.py",),
    "tqdm": ("progress.py",),
    "IPython": ("progress.py",),
    "threadpoolctl": ("threads.py",),
    "joblib": ("sklearn/", "tabular/"),
    "pyarrow": ("cli/table_files.py", "streaming/spool.py"),
}
UPWARD = 4  # at most so many imports may point to a higher layer: each is named in CONTRIBUTING.md
CIRCLE = 4  # at most so many files may import one another in a circle
LINES = 400  # of code, docstrings not counted
PUBLIC_OF_NAMED_TUPLES = {"_replace", "_asdict", "_fields", "_make"}  # named so by Python


def name_of(path: Path) -> str:
    """Return the dotted name of a file, without `fastnet.`: "training.loop", or "files" for a package."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "fastnet"


MODULES = {name_of(path): path for path in FILES}


def imported(path: Path) -> Iterator[str]:
    """Give each module of fastnet that a file imports, wherever the import stands."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            if "fastnet" in names:
                yield "fastnet"
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found = {name.removeprefix("fastnet.") for name in names if name.startswith("fastnet.")}
        modules = {name for name in found if name in MODULES}
        # `from fastnet.files import container` is an import of files.container, not of the whole package
        yield from (name for name in modules if not any(other.startswith(f"{name}.") for other in modules))


IMPORTS = {name: sorted(set(imported(path)) - {name}) for name, path in MODULES.items()}


def circles(graph: dict[str, list[str]]) -> list[set[str]]:
    """Return the sets of modules each of which reaches every other."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for name in graph[waiting.pop()]:
                if name not in seen:
                    seen.add(name)
                    waiting.append(name)
        return seen

    reach = {name: reached(name) for name in graph}
    found: list[set[str]] = []
    for name in graph:
        circle = {other for other in reach[name] if name in reach[other]}
        if circle and circle not in found:
            found.append(circle)
    return found


def layers() -> dict[str, int]:
    """Return the layer of each module as CONTRIBUTING.md draws it: 0 is the lowest."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    block = re.search(r"<!-- layers -->\n+```\n(.*?)```", text, re.DOTALL)
    assert block, "CONTRIBUTING.md must hold the drawing of the layers behind <!-- layers -->"
    rows = [row.split(":", 1)[-1].split() for row in block[1].strip().splitlines()]
    return {name: height for height, names in enumerate(reversed(rows)) for name in names}


def layer_of(name: str, drawn: dict[str, int]) -> int | None:
    """Return the layer of a module, or of the package that it is in."""
    while name not in drawn and "." in name:
        name = name.rpartition(".")[0]
    return drawn.get(name)


def test_few_modules_lie_flat_in_the_package() -> None:
    flat = [path.name for path in SOURCE.glob("*.py")]
    assert len(flat) <= 28, flat


def test_circles_of_imports_are_small() -> None:
    assert [circle for circle in circles(IMPORTS) if len(circle) > CIRCLE] == []


def test_every_module_has_a_layer() -> None:
    drawn = layers()
    assert [name for name in MODULES if layer_of(name, drawn) is None] == []
    assert [name for name in drawn if name not in MODULES] == []


def test_imports_point_down() -> None:
    drawn = layers()
    text = (ROOT / "CONTRIBUTING.md").read_text()
    upward = [
        f"{name} → {other}"
        for name, others in IMPORTS.items()
        for other in others
        if (layer_of(other, drawn) or 0) > (layer_of(name, drawn) or 0)
    ]
    assert [arrow for arrow in upward if f"`{arrow}`" not in text] == []
    assert len(upward) <= UPWARD, upward


@pytest.mark.parametrize("package", OPTIONAL)
def test_optional_packages_are_imported_in_their_own_files_only(package: str) -> None:
    pattern = re.compile(rf"^\s*(import|from) {package}\b|import_module\(.{package}", re.MULTILINE)
    users = [str(path.relative_to(SOURCE)) for path in FILES if pattern.search(path.read_text())]
    assert [user for user in users if not user.startswith(OPTIONAL[package])] == []


OPTIONAL_USERS = {
    path: {package for package, users in OPTIONAL.items() if str(path.relative_to(SOURCE)).startswith(users)}
    for path in FILES
}


def private_attributes(path: Path) -> Iterator[str]:
    """Give each use of an underscore attribute that is not of the file's own classes or of a module."""
    tree = TREES[path]
    own = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("self", "cls")
    }
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    own |= {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for item in node.body
        for target in ast.walk(item)
        if isinstance(target, ast.Name)
    }
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not re.match(r"_[^_]", node.attr):
            continue
        if node.attr in own or node.attr in PUBLIC_OF_NAMED_TUPLES:
            continue
        if isinstance(node.value, ast.Name) and node.value.id in modules:
            continue  # an underscore module, or what a module keeps for its package
        yield f"{path.relative_to(SOURCE)}:{node.lineno} {ast.unparse(node)}"


def hooks_of_scikit_learn() -> set[str]:
    """Return the underscore names that scikit-learn's MLP itself has: a subclass works by them."""
    try:
        from sklearn.neural_network import _multilayer_perceptron, _stochastic_optimizers
    except ImportError:
        return set()
    texts = [Path(module.__file__).read_text() for module in (_multilayer_perceptron, _stochastic_optimizers)]
    others = {"_init_callback_context", "_bit_generator"}  # of its callbacks; of NumPy's RandomState
    return set(re.findall(r"\b_[a-z]\w*", "\n".join(texts))) | others


def test_no_file_reaches_into_the_private_attributes_of_another_class() -> None:
    pytest.importorskip("sklearn")
    hooks = hooks_of_scikit_learn()
    found = [
        use
        for path in FILES
        for use in private_attributes(path)
        if not ("sklearn" in OPTIONAL_USERS.get(path, ()) and use.rpartition(".")[2] in hooks)
    ]
    assert found == []


def code_lines(path: Path) -> int:
    """Return how many lines hold code: no docstrings, comments and empty lines."""
    tree, lines = ast.parse(path.read_text()), set()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0])
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node)
    }
    docstrings |= {id(node.value) for node in ast.walk(tree) if id(node) in docstrings}  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, (ast.stmt, ast.expr)) and id(node) not in docstrings:
            lines.add(node.lineno)
    return len(lines)


def test_files_are_short() -> None:
    files = [*FILES, *(ROOT / "tools").glob("*.py")]
    assert [(path.name, lines) for path in files if (lines := code_lines(path)) > LINES] == []


def test_a_class_lives_in_one_file() -> None:
    """No class is put together from mixins of other modules: a base is public, or stands in the same file."""
    for path in FILES:
        names = {node.name for node in ast.walk(TREES[path]) if isinstance(node, ast.ClassDef)}
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.ClassDef):
                private = [ast.unparse(base) for base in node.bases if ast.unparse(base).startswith("_")]
                assert [base for base in private if base not in names and "." not in base] == [], node.name


WITHOUT_A_TEST = {"fastnet", "__main__", "_version"}  # imported by every test; run by test_cli; a constant


def test_the_test_of_a_module_is_found_by_its_name() -> None:
    names = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    folders = {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()}
    missing = []
    for name, path in MODULES.items():
        if name in WITHOUT_A_TEST or name.startswith("_core"):
            continue
        package, _, leaf = name.rpartition(".")
        if leaf.startswith("_") and package in names:  # a private part of what one test file tests
            continue
        if not {leaf, leaf.strip("_")} & names and not (path.name == "__init__.py" and leaf in folders):
            missing.append(name)
    assert missing == []


# ---- the checks themselves notice what they are for


def test_a_circle_is_found() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [{"a", "b", "c"}]


def test_a_private_attribute_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = SOURCE / "made_up.py"
    text = "import os\nclass A:\n    def f(self, other):\n        return self._x, other._x, other._y, os._z\n"
    monkeypatch.setitem(TREES, path, ast.parse(text))
    assert list(private_attributes(path)) == ["made_up.py:4 other._y"]


def test_where_to_look_first_names_what_is_there() -> None:
    """The table in CONTRIBUTING.md: each file is there, and each name after it is defined in it."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = text.partition("\nWhere to look first")[2].partition("\n\nEvery `.pxi`")[0]
    cells = [cell for row in rows.splitlines() if row.startswith("| ") for cell in row.split("|")[2:4]][2:]
    core, found = ROOT / "src" / "fastnet" / "_core", 0
    for part in (part for cell in cells for part in cell.split(";")):
        file, *names = re.findall(r"`([^`]*)`", part) or [""]
        if not file:
            continue
        path = core / file if file.endswith(".pxi") else SOURCE / file
        if file.endswith(".pxi") and not core.is_dir():
            continue  # the sources of the core are not here: these are the tests of a wheel
        assert path.exists(), file
        for name in (last.rpartition(".")[2] for last in names):
            defined = rf"^\s*(?:class|def) {name}\b|^cdef [^(]*\b{name}(?: \"\w+\")?\("
            assert re.search(defined, path.read_text(), re.MULTILINE), f"{file} does not define {name}"
            found += 1
    assert found > (15 if core.is_dir() else 8)
