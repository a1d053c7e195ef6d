"""The pages of the API reference, written from ``__all__``: no public name can be forgotten."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
import types
from pathlib import Path

from sphinx.application import Sphinx

import fastnet

TITLES = {  # what these pages are called; a module that is not here gets its name
    "fastnet": "fastnet: networks, training, files",
    "fastnet.ensemble": "fastnet.ensemble: what an Ensemble is made of",
    "fastnet.tabular": "fastnet.tabular: tables with text and gaps",
    "fastnet.sklearn": "fastnet.sklearn: the drop-in for scikit-learn",
    "fastnet.dask": "fastnet.dask: L-BFGS over rows on several machines",
    "fastnet.optimizers": "fastnet.optimizers: SGD, Adam and others",
    "fastnet.losses": "fastnet.losses: what training makes small",
    "fastnet.metrics": "fastnet.metrics: accuracy, r2 and others",
    "fastnet.schedules": "fastnet.schedules: learning rates that change",
    "fastnet.functions": "fastnet.functions: the kernels one by one",
    "fastnet.callbacks": "fastnet.callbacks: functions called after each epoch",
    "fastnet.plot": "fastnet.plot: pictures with matplotlib",
    "fastnet.progress": "fastnet.progress: the bar of fits and predictions",
    "fastnet.onnx": "fastnet.onnx: export to ONNX",
    "fastnet.c_export": "fastnet.c_export: export to one C file",
    "fastnet.files": "fastnet.files: save and load",
    "fastnet.threads": "fastnet.threads: how many threads are used",
    "fastnet.isa": "fastnet.isa: which build runs",
    "fastnet.bench": "fastnet.bench: measuring the core",
    "fastnet.selftest": "fastnet.selftest: checking an installation",
    "fastnet.reference": "fastnet.reference: the same in plain NumPy",
}
LEFT_OUT = (
    "cli",
    "data",
    "demo",
    "layer",
    "metadata",
    "network",
)  # what else they have is for fastnet itself


def modules() -> list[str]:
    """Return the modules that have a page: those named above, and every public one with names of its own."""
    found = [name for name in TITLES if importlib.util.find_spec(name)]
    described = {
        id(getattr(importlib.import_module(module), name)) for module in found for name in names_of(module)
    }
    for module in pkgutil.iter_modules(fastnet.__path__, "fastnet."):
        last = module.name.rpartition(".")[2]
        if last.startswith("_") or last in LEFT_OUT or module.name in found:
            continue
        holder = importlib.import_module(module.name)
        if any(id(getattr(holder, name)) not in described for name in names_of(module.name)):
            found.append(module.name)
    return found


def names_of(module_name: str) -> list[str]:
    """Return the public names that a module's page describes: submodules have pages of their own."""
    module = importlib.import_module(module_name)
    names = [name for name in getattr(module, "__all__", ()) if not name.startswith("__")]
    left_out = types.ModuleType, types.UnionType  # a union of types is for hints: its parts are described
    return sorted(name for name in names if not isinstance(getattr(module, name), left_out))


def homes() -> dict[str, str]:
    """Return module.name for each public name, and where its page is: under the first module that has it."""
    first: dict[int, str] = {}
    found = {}
    for module_name in modules():
        module = importlib.import_module(module_name)
        for name in names_of(module_name):
            item = getattr(module, name)
            here = f"{module_name}.{name}"
            shared = inspect.isclass(item) or inspect.isfunction(item)
            found[here] = first.setdefault(id(item), here) if shared else here
    return found


def module_page(module_name: str, title: str, home: dict[str, str]) -> str:
    """Return the page of a module: its docstring, then a table whose names lead to pages of their own."""
    names = names_of(module_name)
    own = [name for name in names if home[f"{module_name}.{name}"] == f"{module_name}.{name}"]
    text = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {module_name}\n   :no-members:\n\n"
    if own:
        rows = "\n".join(f"   {name}" for name in own)
        text += f".. currentmodule:: {module_name}\n\n.. autosummary::\n   :toctree: ../names\n\n{rows}\n\n"
    if others := [home[f"{module_name}.{name}"] for name in names if name not in own]:
        text += f"It also holds {', '.join(f':py:obj:`{name}`' for name in others)}.\n"
    return text


def methods_of(found: type) -> list[str]:
    """Return the public methods and properties that a class has from this package."""
    names = []
    for name in dir(found):
        definer = next((base for base in found.__mro__ if name in vars(base)), object)
        item = vars(definer).get(name)
        described = callable(item) or isinstance(item, property | classmethod | staticmethod)
        if not name.startswith("_") and described and definer.__module__.startswith("fastnet"):
            function = getattr(item, "fget", None) or getattr(item, "__func__", item)
            if getattr(function, "__module__", "").startswith("fastnet") and function.__doc__:
                names.append(name)
    return names


def name_page(module_name: str, name: str) -> str:
    """Return the page of a class, a function or a constant."""
    found = getattr(importlib.import_module(module_name), name)
    kind, options = "data", ""
    if inspect.isclass(found):
        kind = "exception" if issubclass(found, BaseException) else "class"
        if methods := methods_of(found):
            options = f"   :members: {', '.join(methods)}\n"
    elif callable(found):
        kind = "function"
    title = f"{module_name}.{name}"
    head = f"{title}\n{'=' * len(title)}\n\n.. currentmodule:: {module_name}\n\n"
    return f"{head}.. auto{kind}:: {name}\n{options}"


def write_pages(docs: Path) -> None:
    """Write the pages whose text has changed, and remove those of names that are gone."""
    home = homes()
    wanted = {}
    for module_name in modules():
        title = TITLES.get(module_name, module_name)
        wanted[docs / "api" / "modules" / f"{module_name}.rst"] = module_page(module_name, title, home)
    for name in set(home.values()):
        module_name, _, last = name.rpartition(".")
        wanted[docs / "api" / "names" / f"{name}.rst"] = name_page(module_name, last)
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for folder in {path.parent for path in wanted}:
        for path in set(folder.glob("*.rst")) - wanted.keys():
            path.unlink()


def escape_shapes(app: Sphinx, what: str, name: str, item: object, options: object, lines: list[str]) -> None:
    """Escape attributes' underscores in shapes, as in (n, n_features_out_): RST takes them for links."""
    for k, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[k] = re.sub(r"\([^()`]*\)", lambda found: re.sub(r"_(?=[,)\s])", r"\\_", found[0]), line)


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks which there are."""
    write_pages(Path(app.srcdir))
    app.connect("autodoc-process-docstring", escape_shapes)  # after numpydoc, which is loaded before
    return {"parallel_read_safe": True}
