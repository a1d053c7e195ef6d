"""Run tests on a build of the core that gcc's sanitizers or valgrind watch.

    python tools/sanitize.py address            reads and writes out of bounds, undefined behaviour
    python tools/sanitize.py threads            data races, in the tests of threads, predictors and fits
    python tools/sanitize.py valgrind           uses of memory that nobody wrote
    python tools/sanitize.py address --quick    the part that .ci/run calls (two minutes)
    python tools/sanitize.py address tests/core tests/files -k backward     these tests of pytest

`address` is AddressSanitizer with UndefinedBehaviorSanitizer, `threads` is ThreadSanitizer. Each kind has its
own copy of the sources, compiled with FASTNET_DEBUG=1 (-O1 -g, C assertions, Cython's bounds checks) under
build/sanitize, so a second call compiles only what has changed. The interpreter and NumPy are not
instrumented: what is found is in fastnet. Without a list of tests, `address` takes all of tests/core,
tests/training and tests/files (about 10 minutes), `threads` its list (about 5), `valgrind` a few trainings
(about 3).

Exit status: 0 nothing was found, 1 something was (the report names the function and the line of the generated
C), 2 it could not be built, 77 there is no gcc (or valgrind) here.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_TRIED = 77
OURS = re.compile(r"__pyx_|kernels|engine\.|fastnet")  # in a report of valgrind
FLAGS = {
    # Alignment is left on: the kernels use unaligned loads by name. float-cast-overflow is not in
    # "undefined".
    "address": "-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=undefined"
    " -fno-omit-frame-pointer -U_FORTIFY_SOURCE",
    "threads": "-fsanitize=thread -U_FORTIFY_SOURCE",
    "valgrind": "-fno-omit-frame-pointer",
}
ISAS = {"address": "v3,v4", "threads": "v3", "valgrind": "v3"}
LIBRARIES = {"address": ["libasan.so", "libubsan.so"], "threads": ["libtsan.so"], "valgrind": []}
VARIABLES = {
    # Python leaves memory to the end of the process by design, hence no search for leaks. A failing
    # allocation has to return NULL, as the system's does: the tests ask for MemoryError.
    "address": {
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    },
    "threads": {"TSAN_OPTIONS": "exitcode=66:report_signal_unsafe=0"},
    "valgrind": {"PYTHONMALLOC": "malloc"},
}
TESTS = {
    "address": ["tests/core", "tests/training", "tests/files"],
    "threads": [
        *("tests/api/test_threads.py", "tests/core/test_determinism.py", "tests/api/test_predictor.py"),
        *("tests/training/test_loop.py", "tests/api/test_network_weights.py", "tests/api/test_exclusive.py"),
    ],
}
QUICK = {
    "address": ["tests/helpers/golden.py"],
    "threads": ["tests/api/test_threads.py"],
}
LEFT_OUT = {
    # Two read the modules, in which the sanitizers' own instructions and libraries stand; two are of time.
    "address": [
        *("tests/core/test_codegen.py", "tests/core/test_hardening.py"),
        "tests/training/test_interrupts.py::test_a_long_epoch_notices_it_within_a_fifth_of_a_second",
        "tests/files/test_limits.py::test_npz_of_very_many_entries",
    ],
    # It counts the threads of the process; ThreadSanitizer has one of its own.
    "threads": [
        "tests/api/test_threads.py::test_a_forked_child_trains_and_predicts_after_its_parent_used_threads"
    ],
}
# A training of each kind of layer, loss and optimiser; valgrind makes a program some fifty times slower.
SMALL = """
import sys
sys.path.insert(0, "tests/helpers")
import golden

kept = golden.kept()
for name, run in golden.cases():
    if "one output" in name or "hidden tanh" in name or "weighted cross" in name or "batch of 1" in name:
        assert run() == kept[name], name
        print("valgrind:", name, flush=True)
"""


def compiled(kind: str, isas: str, folder: Path) -> Path:
    """Copy the sources, compile them in place with the sanitizer, and return the folder to import from."""
    skip = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "*.egg-info")
    for name in ("src", "tests", "tools", "docs", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip, dirs_exist_ok=True)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, folder)
    flags = {"CFLAGS": FLAGS[kind], "LDFLAGS": FLAGS[kind]}
    environment = os.environ | flags | {"FASTNET_DEBUG": "1", "FASTNET_BUILD_ISAS": isas}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, check=True, cwd=folder, env=environment, stdout=sys.stderr)
    return folder / "src"


def libraries(kind: str) -> str:
    """Return what has to be loaded before the interpreter starts, for LD_PRELOAD."""
    names = []
    for name in LIBRARIES[kind]:
        command = ["gcc", f"-print-file-name={name}"]
        names.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    return ":".join(names)


def main() -> int:
    """Build, run, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=list(FLAGS))
    parser.add_argument("--quick", action="store_true", help="the part that .ci/run calls")
    parser.add_argument("--isas", help="the builds to compile, as in FASTNET_BUILD_ISAS")
    parser.add_argument("--folder", type=Path, help="where to compile; default: build/sanitize/KIND")
    arguments, tests = parser.parse_known_args()
    kind = arguments.kind
    needed = ["gcc", "valgrind"] if kind == "valgrind" else ["gcc"]
    if missing := [name for name in needed if shutil.which(name) is None]:
        print(f"not tried: no {missing[0]} here", file=sys.stderr)
        return NOT_TRIED
    folder = (arguments.folder or ROOT / "build/sanitize" / kind).resolve()
    isas = arguments.isas or ISAS[kind]
    try:
        source = compiled(kind, isas, folder)
    except subprocess.CalledProcessError as error:
        print(f"sanitize: cannot compile: {error}", file=sys.stderr)
        return 2
    command = [sys.executable]
    if kind == "valgrind" and not tests:
        command += ["-c", SMALL]
    elif kind == "address" and arguments.quick:
        command += QUICK[kind]
    else:
        tests = QUICK[kind] if arguments.quick else tests or TESTS[kind]
        command += ["-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
        command += [f"--deselect={test}" for test in LEFT_OUT.get(kind, ())]
    for old in folder.glob("report*"):
        old.unlink()
    report = folder / "report"  # pytest would swallow what is written to stderr
    variables = VARIABLES[kind] | {"PYTHONPATH": str(source), "FASTNET_NUM_THREADS": "2"}
    if kind == "valgrind":
        command = ["valgrind", "-q", f"--log-file={report}.%p", "--num-callers=30", *command]
    else:
        variables["LD_PRELOAD"] = libraries(kind)
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
        if name in variables:
            variables[name] += f":log_path={report}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FASTNET_")}
    status = subprocess.run(command, cwd=folder, env=environment | variables).returncode
    found = "".join(path.read_text() for path in sorted(folder.glob("report*")))
    if kind == "valgrind":
        # What the interpreter itself does at its start is not ours: only reports that name fastnet count.
        found = "\n".join(part for part in found.split(" \n") if OURS.search(part))
    print(found, file=sys.stderr)
    status = status or bool(found)
    result = "something was found" if status else "nothing found"
    print(f"sanitize {kind} ({isas}): {result}", file=sys.stderr)
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
