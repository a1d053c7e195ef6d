"""The compiled modules of fastnet; everything else about the package is in pyproject.toml.

Each Cython source is translated once, into build/cython. ``engine`` and ``cpu`` are compiled for the plain
baseline of the architecture. ``kernels`` is compiled once per instruction set and dtype, each time from a
stub that names the build and includes the one generated C file. (A source of its own gives each an object
file of its own, without which a parallel build goes wrong.) Two environment variables are read:

FASTNET_BUILD_ISAS=v3,v4   build these instruction sets only (default: all of the architecture)
FASTNET_DEBUG=1            -O1 -g, with C assertions and Cython's bounds checks; blocks of products can be set
                           by environment variables (kernels/product.pxi)
FASTNET_DEBUG=blocks       optimised as ever, with those variables: to measure which blocks are best
"""

import os
import sysconfig
from glob import glob
from pathlib import Path

import Cython
import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = "src/fastnet/_core"
GENERATED = Path("build/cython")
TUNABLE = os.environ.get("FASTNET_DEBUG", "") not in ("", "0")
DEBUG = TUNABLE and os.environ["FASTNET_DEBUG"] != "blocks"
PLATFORM = sysconfig.get_platform()  # "linux-x86_64", "macosx-11.0-arm64", "win-amd64"
MSVC = PLATFORM.startswith("win")

# Name and flags of each build, slowest first. MSVC and macOS "universal2" have the portable one only.
ISAS: dict[str, list[str]] = {"portable": []}
if PLATFORM.endswith("-x86_64"):
    ISAS["portable"] = ["-march=x86-64"]
    ISAS["v2"] = ["-march=x86-64-v2"]
    ISAS["v3"] = ["-march=x86-64-v3"]
    ISAS["v4"] = ["-march=x86-64-v4", "-mprefer-vector-width=512"]
elif PLATFORM.endswith(("-aarch64", "-arm64")) and not MSVC:
    ISAS["neon"] = []  # in the baseline

# fastnet promises equal bits on every machine with fma: a product and a sum are fused where the source says
# so and nowhere else, and no flag may change a result. Never -ffast-math.
if MSVC:
    CFLAGS = ["/O2", "/std:c11", "/fp:precise"]
    ALWAYS_INLINE = "__forceinline"
else:
    CFLAGS = ["-std=gnu11", "-fvisibility=hidden", *(["-O1", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-g0"])]
    CFLAGS += ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
    ALWAYS_INLINE = "inline __attribute__((always_inline))"
# Hardening, where gcc or clang make ELF files: tables of pointers are read-only once a module is loaded, and
# nothing names the folders of the build, so the same sources give the same bytes wherever they lie. engine
# and cpu check their stack and the C library's calls. The kernels do not: they hold no buffer whose length
# comes from outside, and a check in every tile would cost time. In place, the modules keep their symbols,
# which tests/core/test_codegen.py reads.
LDFLAGS: list[str] = []
CHECKED: list[str] = []
if PLATFORM.startswith("linux"):
    LDFLAGS = ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]
    CFLAGS += [f"-ffile-prefix-map={Path.cwd()}=."]
    CHECKED = ["-fstack-protector-strong", *([] if DEBUG else ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"])]
if TUNABLE:
    CFLAGS += ["/DFASTNET_TUNABLE" if MSVC else "-DFASTNET_TUNABLE"]
DIRECTIVES = {"language_level": 3, "wraparound": False, "cdivision": True}
DIRECTIVES |= {"boundscheck": DEBUG, "initializedcheck": DEBUG}


def wanted_isas() -> list[str]:
    """Names in FASTNET_BUILD_ISAS, or all of this architecture."""
    names = os.environ.get("FASTNET_BUILD_ISAS", "").replace(",", " ").split()
    if unknown := sorted(set(names) - set(ISAS)):
        raise SystemExit(f"FASTNET_BUILD_ISAS: no {', '.join(unknown)} here; choose from {', '.join(ISAS)}")
    return names or list(ISAS)


def extension(name: str, flags: list[str], depends: tuple[str, ...] = (), **macros: str) -> Extension:
    """Describe one module of ``_core``; ``BuildExt`` makes its C source."""
    return Extension(
        f"fastnet._core.{name}",
        [f"{GENERATED}/{CORE}/{name}.c"],
        include_dirs=[
            *(f"{CORE}/{folder}" for folder in ("lanes", "kernels", "engine")),
            numpy.get_include(),
        ],
        define_macros=list(macros.items()),
        extra_compile_args=CFLAGS + flags,
        extra_link_args=LDFLAGS,
        depends=[f"{GENERATED}/config.txt", *glob(f"{CORE}/**/*.h", recursive=True), *depends],
    )


def write_if_changed(path: Path, text: str) -> bool:
    """Write ``text`` unless the file holds it already: its date then says when the content last changed."""
    if changed := not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return changed


class BuildExt(build_ext):
    """Translate the Cython sources, write the stubs, then compile in parallel."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.parallel is None:
            cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            self.parallel = min(cpus, 8)

    def build_extensions(self) -> None:
        # The Python of the build may link with a run path of its own, which another machine has no use for.
        if LDFLAGS:
            if not (self.for_development or DEBUG):
                self.compiler.linker_so.append("-Wl,-s")
            own = (sysconfig.get_config_var("LDSHARED") or "").split()
            rpaths = {flag for flag in own if flag.startswith("-Wl,-rpath")}
            self.compiler.linker_so = [flag for flag in self.compiler.linker_so if flag not in rpaths]
        super().build_extensions()

    def run(self) -> None:
        self.for_development = bool(self.inplace) or self.editable_mode
        config = repr((Cython.__version__, numpy.__version__, CFLAGS, CHECKED, LDFLAGS, ISAS, DIRECTIVES))
        force = write_if_changed(GENERATED / "config.txt", config) or self.force
        cythonize(
            [Extension(f"fastnet._core.{n}", [f"{CORE}/{n}.pyx"]) for n in ("cpu", "engine", "kernels")],
            build_dir=str(GENERATED),
            include_path=["src"],
            compiler_directives=DIRECTIVES,
            force=force,
        )
        for (isa, dtype), module in KERNELS.items():
            lines = [
                f"#define PyInit_kernels PyInit_kernels_{isa}_{dtype}",
                f'#define FASTNET_ISA_NAME "{isa}"',
                f"#define FASTNET_REAL_IS_DOUBLE {int(dtype == 'float64')}",
                "#define FASTNET_PORTABLE" if isa == "portable" else "",
                '#include "kernels.c"',
            ]
            write_if_changed(Path(module.sources[0]), "\n".join(lines) + "\n")
        # Kernels left by an earlier build would be installed with those of this one.
        wanted = {self.get_ext_fullpath(module.name) for module in KERNELS.values()}
        for old in set(glob(self.get_ext_fullpath("fastnet._core.kernels_*"))) - wanted:
            os.remove(old)
        super().run()


KERNELS = {
    (isa, dtype): extension(
        f"kernels_{isa}_{dtype}", ISAS[isa], (f"{GENERATED}/{CORE}/kernels.c",), CYTHON_INLINE=ALWAYS_INLINE
    )
    for isa in wanted_isas()
    for dtype in ("float32", "float64")
}
setup(
    ext_modules=[
        *KERNELS.values(),
        extension("engine", ISAS["portable"] + CHECKED, NPY_NO_DEPRECATED_API="NPY_1_7_API_VERSION"),
        extension("cpu", ISAS["portable"] + CHECKED),
    ],
    cmdclass={"build_ext": BuildExt},
)
