"""The compiled modules of fastnet; everything else about the package is in pyproject.toml.

Each Cython source is translated once, into build/cython. ``engine`` and ``cpu`` are compiled for the plain
baseline of the architecture. ``kernels`` is compiled once per instruction set and dtype, each time from a
stub that names the build and includes the one generated C file. (A source of its own gives each an object
file of its own, without which a parallel build goes wrong.)

What was made once is used again, also by another `pip install` from the same folder: the C sources in
build/cython and the compiled modules in build/modules. Whether they still hold is told by content, not by
dates: pip makes a new environment for each build, in which every file of NumPy and Cython is new. A module is
compiled if its C sources, the flags, the compiler, or the versions of Cython and NumPy have changed.
One build at a time works in a folder; another one waits for it.

Two environment variables are read:

FASTNET_BUILD_ISAS=v3,v4   build these instruction sets only (default: all of the architecture)
FASTNET_DEBUG=1            -O1 -g, with C assertions and Cython's bounds checks; blocks of products can be set
                           by environment variables (kernels/product.pxi)
FASTNET_DEBUG=blocks       optimised as ever, with those variables: to measure which blocks are best
"""

import hashlib
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable
from glob import glob
from pathlib import Path

import Cython
import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

CORE = "src/fastnet/_core"
GENERATED, KEPT = Path("build/cython"), Path("build/modules")
MOST_KEPT = 4  # of each module: for pip, in place, and two more
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
    CFLAGS = ["/O2", "/std:c11", "/experimental:c11atomics", "/fp:precise"]
    ALWAYS_INLINE = "__forceinline"
else:
    CFLAGS = ["-std=gnu11", "-fvisibility=hidden", *(["-O1", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-g0"])]
    CFLAGS += ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
    ALWAYS_INLINE = "inline __attribute__((always_inline))"
# Tables that unwind the stack are left out, a fiftieth of the wheel: only debuggers and profilers read them.
# Hardening, where gcc or clang make ELF files: tables of pointers are read-only once a module is loaded, and
# nothing names the folders of the build, so the same sources give the same bytes wherever they lie. engine
# and cpu check their stack and the C library's calls. The kernels do not: they hold no buffer whose length
# comes from outside, and a check in every tile would cost time. In place, the modules keep their symbols,
# which tests/core/test_codegen.py reads.
LDFLAGS: list[str] = []
CHECKED: list[str] = []
if PLATFORM.startswith("linux"):
    LDFLAGS = ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]
    CFLAGS += [f"-ffile-prefix-map={Path.cwd()}=.", *([] if DEBUG else ["-fno-asynchronous-unwind-tables"])]
    CHECKED = ["-fstack-protector-strong"]
    if not DEBUG:
        # what is no kernel takes as long with -O2, and 35 KB less
        CHECKED += ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-O2"]
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
        depends=[*glob(f"{CORE}/**/*.h", recursive=True), *depends],
    )


def digest(texts: Iterable[object], files: Iterable[Path | str] = ()) -> str:
    """Return the SHA-256 of some values and of the content of some files, with their names."""
    found = hashlib.sha256(repr(list(texts)).encode())
    for path in sorted(map(Path, files)):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"
        found.update(f"{path.as_posix()} {content}\n".encode())
    return found.hexdigest()


def replace(path: Path, content: bytes) -> None:
    """Write a file; whoever reads it meanwhile, or runs it, finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_bytes(content)
    if path.suffix == ".so":
        new.chmod(new.stat().st_mode | 0o111)  # as linkers leave it
    os.replace(new, path)


def wait_for_other_builds() -> object:
    """Return what keeps other builds out of this folder, as long as this process lives."""
    if fcntl is None:
        return None
    Path("build").mkdir(exist_ok=True)
    file = open("build/lock", "w")  # noqa: SIM115  # held until the process ends
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def compiler_version(compiler: str) -> str:
    """Return what the compiler calls itself; SystemExit says what brings one if there is none."""
    need = (
        "fastnet needs a C compiler and Python's headers: on Debian and Ubuntu apt install build-essential "
    )
    need += "python3-dev, on Fedora dnf install gcc python3-devel, on macOS xcode-select --install"
    if not MSVC and shutil.which(compiler) is None:
        raise SystemExit(f"{need} ({compiler} is not there)")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        raise SystemExit(f"{need} (Python.h is not there)")
    if MSVC:
        return compiler
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


class BuildExt(build_ext):
    """Translate the Cython sources, write the stubs, then compile in parallel."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.parallel is None:
            cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            self.parallel = min(cpus, 8)

    def run(self) -> None:
        self.for_development = bool(self.inplace) or self.editable_mode
        self.translate()
        # Kernels left by an earlier build would be installed with those of this one.
        wanted = {self.get_ext_fullpath(module.name) for module in KERNELS.values()}
        for old in set(glob(self.get_ext_fullpath("fastnet._core.kernels_*"))) - wanted:
            os.remove(old)
        super().run()

    def translate(self) -> None:
        """Make C of the Cython sources if they, Cython or NumPy have changed, and write the stubs."""
        sources = [
            path for kind in ("pyx", "pxd", "pxi") for path in glob(f"{CORE}/**/*.{kind}", recursive=True)
        ]
        key = digest([Cython.__version__, numpy.__version__, DIRECTIVES], sources)
        names = ("cpu", "engine", "kernels")
        results, record = [GENERATED / CORE / f"{name}.c" for name in names], GENERATED / "record.txt"
        if self.force or not record.exists() or record.read_text() != digest([key], results):
            print("fastnet: translating the core to C", flush=True)
            cythonize(
                [Extension(f"fastnet._core.{name}", [f"{CORE}/{name}.pyx"]) for name in names],
                build_dir=str(GENERATED),
                include_path=["src"],
                compiler_directives=DIRECTIVES,
                force=True,
            )
            replace(record, digest([key], results).encode())
        for (isa, dtype), module in KERNELS.items():
            lines = [
                f"#define PyInit_kernels PyInit_kernels_{isa}_{dtype}",
                f'#define FASTNET_ISA_NAME "{isa}"',
                f"#define FASTNET_REAL_IS_DOUBLE {int(dtype == 'float64')}",
                "#define FASTNET_PORTABLE" if isa == "portable" else "",
                '#include "kernels.c"',
            ]
            replace(Path(module.sources[0]), ("\n".join(lines) + "\n").encode())

    def build_extensions(self) -> None:
        # The Python of the build may link with a run path of its own, which another machine has no use for.
        if LDFLAGS:
            if not (self.for_development or DEBUG):
                self.compiler.linker_so.append("-Wl,-s")
            own = (sysconfig.get_config_var("LDSHARED") or "").split()
            rpaths = {flag for flag in own if flag.startswith("-Wl,-rpath")}
            self.compiler.linker_so = [flag for flag in self.compiler.linker_so if flag not in rpaths]
        command = ["MSVC"] if MSVC else [*self.compiler.compiler_so]
        self.tools = [compiler_version(command[0]), command, [] if MSVC else self.compiler.linker_so]
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        """Compile a module, unless one is kept that was made of the same things in the same way."""
        how = [*self.tools, Cython.__version__, numpy.__version__, self.for_development]
        how += [ext.extra_compile_args, ext.extra_link_args, sorted(ext.define_macros)]
        path = Path(self.get_ext_fullpath(ext.name))
        name, _, suffix = path.name.partition(".")
        kept = KEPT / f"{name}-{digest(how, [*ext.sources, *ext.depends])[:32]}.{suffix}"
        if kept.exists() and not self.force:
            print(f"fastnet: {ext.name} is there already", flush=True)
            os.utime(kept)
        else:
            print(f"fastnet: compiling {ext.name}", flush=True)
            path.unlink(missing_ok=True)  # setuptools would compare dates
            super().build_extension(ext)
            replace(kept, path.read_bytes())
            for old in sorted(KEPT.glob(f"{name}-*"), key=os.path.getmtime)[:-MOST_KEPT]:
                old.unlink()
        replace(path, kept.read_bytes())


KERNELS = {
    (isa, dtype): extension(
        f"kernels_{isa}_{dtype}", ISAS[isa], (f"{GENERATED}/{CORE}/kernels.c",), CYTHON_INLINE=ALWAYS_INLINE
    )
    for isa in wanted_isas()
    for dtype in ("float32", "float64")
}
LOCK = wait_for_other_builds()
setup(
    ext_modules=[
        *KERNELS.values(),
        extension("engine", ISAS["portable"] + CHECKED, NPY_NO_DEPRECATED_API="NPY_1_7_API_VERSION"),
        extension("cpu", ISAS["portable"] + CHECKED),
    ],
    cmdclass={"build_ext": BuildExt},
)
