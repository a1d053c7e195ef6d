"""The choice of a build: at import, by FASTNET_ISA, by fastnet.isa.using."""

import importlib
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastnet
from fastnet._core import cpu

COMPILED = fastnet.isa.compiled()
SUPPORTED = fastnet.isa.supported()
ELSEWHERE = [name for name in ("portable", "v2", "v3", "v4", "neon") if name not in SUPPORTED]

# Imports fastnet as if the CPU had only the builds named on the command line.
IMPORT_ON_CPU = """
import sys, types
sys.modules["fastnet._core.cpu"] = types.SimpleNamespace(supported=lambda: tuple(sys.argv[1:]))
import fastnet
print(fastnet.isa.active(), *fastnet.isa.supported())
"""
IMPORT = "import fastnet; print(fastnet.isa.active())"


def run_python(code: str, *arguments: str, choice: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a new process with FASTNET_ISA set to ``choice``."""
    environment = {name: value for name, value in os.environ.items() if name != "FASTNET_ISA"}
    if choice is not None:
        environment["FASTNET_ISA"] = choice
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the message of the exception that ended a process."""
    assert result.returncode != 0, f"it went well: {result.stdout}"
    return result.stderr.strip().splitlines()[-1]


def test_the_fastest_supported_build_is_the_default() -> None:
    result = run_python(IMPORT)
    assert result.stdout.split() == [SUPPORTED[-1]], result.stderr


@pytest.mark.parametrize("name", SUPPORTED)
def test_environment_chooses(name: str) -> None:
    result = run_python(IMPORT, choice=name)
    assert result.stdout.split() == [name], result.stderr


@pytest.mark.parametrize("name", ["v9", "V4", "native", *ELSEWHERE])
def test_environment_naming_another_build_fails_at_import(name: str) -> None:
    message = last_line(run_python(IMPORT, choice=name))
    assert "FASTNET_ISA" in message
    assert repr(name) in message
    assert all(re.search(rf"\b{valid}\b", message) for valid in SUPPORTED), message


@pytest.mark.parametrize("count", range(1, len(SUPPORTED) + 1))
def test_a_lesser_cpu_gets_the_fastest_build_it_runs(count: int) -> None:
    result = run_python(IMPORT_ON_CPU, *SUPPORTED[:count])
    assert result.stdout.split() == [SUPPORTED[count - 1], *SUPPORTED[:count]], result.stderr


def test_a_compiled_build_that_the_cpu_lacks_fails_at_import() -> None:
    if len(COMPILED) == 1:
        pytest.skip("this installation holds one build only")
    *lesser, missing = COMPILED
    message = last_line(run_python(IMPORT_ON_CPU, *lesser, choice=missing))
    assert "FASTNET_ISA" in message
    assert repr(missing) in message
    assert all(re.search(rf"\b{valid}\b", message) for valid in lesser), message


def test_a_cpu_without_any_compiled_build_fails_at_import() -> None:
    message = last_line(run_python(IMPORT_ON_CPU))
    assert all(re.search(rf"\b{name}\b", message) for name in COMPILED), message


def test_compiled_is_what_lies_in_the_folder() -> None:
    files = [path for path in Path(cpu.__file__).parent.glob("kernels_*") if path.suffix in (".so", ".pyd")]
    modules = {path.name.partition(".")[0] for path in files}
    assert modules == {f"kernels_{name}_{dtype}" for name in COMPILED for dtype in ("float32", "float64")}


def test_supported_is_compiled_and_known_to_the_cpu() -> None:
    assert tuple(name for name in COMPILED if name in cpu.supported()) == SUPPORTED
    assert fastnet.isa.active() in SUPPORTED


def test_cpu_agrees_with_the_operating_system() -> None:
    """Linux names the features that both it and the CPU support."""
    info = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not info.exists():
        pytest.skip("needs Linux on x86-64")
    flags = set(re.search(r"^flags\s*:(.*)$", info.read_text(), re.MULTILINE)[1].split())
    levels = {
        "v2": "cx16 lahf_lm popcnt pni ssse3 sse4_1 sse4_2",
        "v3": "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave",
        "v4": "avx512f avx512bw avx512cd avx512dq avx512vl",
    }
    expected = ["portable"]
    for name, needed in levels.items():
        if not flags.issuperset(needed.split()):
            break
        expected.append(name)
    assert cpu.supported() == tuple(expected)


def test_every_supported_kernel_module_loads_and_shows_its_table_only(dtype) -> None:
    for name in SUPPORTED:
        module = importlib.import_module(f"fastnet._core.kernels_{name}_{dtype}")
        assert [attribute for attribute in vars(module) if not attribute.startswith("_")] == ["table"]
        assert type(module.table).__name__ == "PyCapsule"


def test_fixture_activates_its_build(isa: str) -> None:
    assert fastnet.isa.active() == isa


def test_fused_is_what_the_arithmetic_of_the_build_is(isa: str) -> None:
    assert fastnet.isa.fused() == (isa in ("v3", "v4", "neon") or (isa == "portable" and "neon" in COMPILED))


def test_using_returns_to_the_build_before() -> None:
    before = fastnet.isa.active()
    for name in SUPPORTED:
        with fastnet.isa.using(name):
            assert fastnet.isa.active() == name
            with fastnet.isa.using(SUPPORTED[0]):
                assert fastnet.isa.active() == SUPPORTED[0]
            assert fastnet.isa.active() == name
        assert fastnet.isa.active() == before


def test_using_returns_after_an_error() -> None:
    before = fastnet.isa.active()
    with pytest.raises(ZeroDivisionError), fastnet.isa.using(SUPPORTED[0]):
        _ = 1 / 0
    assert fastnet.isa.active() == before


@pytest.mark.parametrize("name", ["v9", "", *ELSEWHERE])
def test_using_another_name_is_an_error_and_changes_nothing(name: str) -> None:
    before = fastnet.isa.active()
    with pytest.raises(ValueError, match=re.escape(", ".join(SUPPORTED))), fastnet.isa.using(name):
        pass
    assert fastnet.isa.active() == before
