"""What the compiler made of the kernels, read from the installed modules with objdump and nm.

Each rule is a function of disassembled text: made-up text shows that it finds what it is there to find.
"""

import functools
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

import fastnet
from fastnet._core import cpu

X86 = platform.machine().lower() in ("x86_64", "amd64")
FOLDER = Path(cpu.__file__).parent
BUILDS = fastnet.isa.compiled()
DTYPES = ("float32", "float64")

PREFIXES = r"\{\w+\} |bnd |notrack |data16 |rep |repz |repnz |lock |cs "
FETCHING_L2 = r"^prefetcht1|^prfm pldl2keep"
FETCHING_L1 = r"^prefetcht0|^prfm pldl1keep"
FETCHING = rf"{FETCHING_L2}|{FETCHING_L1}"
READING_RAW_TABLES = (
    r"kernels_(encode_rows|gather_raw_lists|load_values)(\.\w+)*$"  # whose columns may be float32
)
MOST_IN_RAW_TABLES = 40  # instructions that widen in those functions: gcc 12 makes 4 to 38
WIDENING = r"^v?cvt(ss2sd|ps2pd)|^fcvtl|^fcvt d\d+, s\d+"

every_build = pytest.mark.parametrize("build", BUILDS)
fma_builds = pytest.mark.parametrize("build", [build for build in BUILDS if build in ("v3", "v4")])
every_dtype = pytest.mark.parametrize("real", DTYPES)
x86_only = pytest.mark.skipif(not X86, reason="reads x86-64 instructions")


class Instruction(NamedTuple):
    """One line of a disassembly."""

    address: int
    name: str
    operands: str

    def __str__(self) -> str:
        return f"{self.address:#x}: {self.name} {self.operands}"

    @property
    def jump_target(self) -> int | None:
        """Where a direct jump goes."""
        direct = re.match(r"([0-9a-f]+)\b", self.operands) if self.name.startswith("j") else None
        return int(direct[1], 16) if direct else None

    @property
    def is_vector_fma(self) -> bool:
        return re.match(r"vfn?m(add|sub)\d+p[sd]$", self.name) is not None

    def touches(self, *bases: str) -> bool:
        """Whether a vector register is read from or written to memory at one of these base registers."""
        memory = re.search(r"\((%\w+)", self.operands)
        vector = re.search(r"%[xyz]mm\d", self.operands)
        return memory is not None and memory[1] in bases and vector is not None

    @property
    def stores_vector(self) -> bool:
        return re.match(r"v?mov.*%[xyz]mm\d+,.*\(", f"{self.name} {self.operands}") is not None


def tool(*command: str) -> str:
    """Return the output of a program of binutils; skip where there is none."""
    if platform.system() != "Linux" or shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]} of binutils, on Linux")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def module_file(build: str, real: str) -> str:
    """Return the path of a kernel module."""
    (path,) = [path for path in FOLDER.glob(f"kernels_{build}_{real}.*") if path.suffix in (".so", ".pyd")]
    return str(path)


def functions(text: str) -> dict[str, list[Instruction]]:
    """Take the text of objdump -d apart: the instructions under each label."""
    found: dict[str, list[Instruction]] = {}
    body: list[Instruction] = []
    for line in text.splitlines():
        if label := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            body = found.setdefault(label[1], [])
        elif code := re.match(rf"\s*([0-9a-f]+):\t(?:{PREFIXES})*(\w\S*)\s*(.*?)\s*$", line):
            body.append(Instruction(int(code[1], 16), code[2], re.sub(r"\s*[<#].*", "", code[3])))
    return found


@functools.cache
def code_of(build: str, real: str) -> dict[str, list[Instruction]]:
    """Disassemble a kernel module."""
    return functions(tool("objdump", "-d", "--no-show-raw-insn", module_file(build, real)))


def all_code(code: dict[str, list[Instruction]]) -> list[Instruction]:
    return [instruction for body in code.values() for instruction in body]


def names(code: list[Instruction], pattern: str) -> list[str]:
    """Return the instructions whose name, or name and operands, match."""
    return [str(i) for i in code if re.search(pattern, f"{i.name} {i.operands}")]


def exported(text: str) -> set[str]:
    """Return the symbols that nm -D --defined-only lists, without those that linkers add by themselves."""
    symbols = {line.split()[-1].partition("@")[0] for line in text.splitlines() if line.strip()}
    return symbols - {"_init", "_fini", "_edata", "_end", "__bss_start"}


def innermost_loops(body: list[Instruction]) -> list[list[Instruction]]:
    """Return the code from each backward jump's target to the jump, unless another such span is inside."""
    at = {instruction.address: k for k, instruction in enumerate(body)}
    spans = {(at[i.jump_target], k) for k, i in enumerate(body) if at.get(i.jump_target, k + 1) <= k}
    inner = [s for s in spans if not any(s != t and s[0] <= t[0] and t[1] <= s[1] for t in spans)]
    return [body[start : end + 1] for start, end in sorted(inner)]


def k_loops(body: list[Instruction], least: int) -> list[list[Instruction]]:
    """Return the innermost loops of `least` products or more that store no vector, except on the stack."""
    stack = stack_registers(body)
    return [
        loop
        for loop in innermost_loops(body)
        if sum(i.is_vector_fma for i in loop) >= least
        and not any(i.stores_vector and not i.touches(*stack) for i in loop)
    ]


def stack_registers(body: list[Instruction]) -> tuple[str, ...]:
    """Return %rsp, and %rbp where a function makes it its frame pointer (elsewhere it may point to data)."""
    frame = any(i.name == "mov" and i.operands == "%rsp,%rbp" for i in body)
    return ("%rsp", "%rbp") if frame else ("%rsp",)


def spills(body: list[Instruction], least: int) -> list[str]:
    """Return what k loops move between vector registers and the stack, if more than one move in 8 products.

    The largest tiles need nearly every register, and gcc keeps an operand or two of a round on the stack: one
    move in 10 products at most. When it is the accumulators, it is one in 2 or more.
    """
    found = []
    for loop in k_loops(body, least):
        moves = [str(i) for i in loop if i.touches(*stack_registers(body))]
        if 8 * len(moves) > sum(i.is_vector_fma for i in loop):
            found += moves
    return found


def tiles(code: dict[str, list[Instruction]], kind: str = "") -> dict[str, tuple[int, list[Instruction]]]:
    """Return the literal tile functions, each with rows times vectors: the products of one k.

    kind: "" for the plain tiles, "fetching_" for those that fetch what comes next.
    """
    found = {}
    for name, body in code.items():
        if shape := re.fullmatch(rf"{kind}tile_(?:rows|cols)_(\d+)_(\d+)(?:\.\w+)*", name):
            found[name] = (int(shape[1]) * int(shape[2]), body)
    return found


# -------------------------------------------------------------------------------------- the installed modules


@every_build
def test_float32_kernels_never_widen_to_float64(build: str) -> None:
    code = code_of(build, "float32")
    values = {name: body for name, body in code.items() if re.search(READING_RAW_TABLES, name)}
    if not values:  # stripped of its symbols: no function has a name, so what those widen is counted
        assert 0 < len(names(all_code(code), WIDENING)) <= MOST_IN_RAW_TABLES
        return
    assert names(all_code({name: body for name, body in code.items() if name not in values}), WIDENING) == []
    assert names(all_code(values), WIDENING)  # they are still called so


@x86_only
@every_build
@every_dtype
def test_vector_registers_are_those_of_the_build(build: str, real: str) -> None:
    code = all_code(code_of(build, real))
    assert bool(names(code, "%zmm")) == (build == "v4")
    if build in ("portable", "v2"):
        assert names(code, "%ymm") == []
    else:
        assert names(code, "%ymm" if build == "v3" else "%zmm")


@x86_only
@every_build
@every_dtype
def test_fma_instructions_are_in_the_builds_that_promise_them(build: str, real: str) -> None:
    assert bool(names(all_code(code_of(build, real)), "^vfmadd")) == (build in ("v3", "v4"))


@every_build
@every_dtype
def test_a_kernel_module_exports_its_init_function_only(build: str, real: str) -> None:
    listing = tool("nm", "-D", "--defined-only", module_file(build, real))
    assert exported(listing) == {f"PyInit_kernels_{build}_{real}"}


@fma_builds
@every_dtype
def test_accumulators_of_every_tile_stay_in_registers(build: str, real: str) -> None:
    if ".debug_info" in tool("objdump", "-h", module_file(build, real)):
        pytest.skip("a FASTNET_DEBUG build: not optimised")
    code = code_of(build, real)
    if not (found := {**tiles(code), **tiles(code, "fetching_")}):
        pytest.skip("the module is stripped of its symbols")
    without = [name for name, (products, body) in found.items() if not k_loops(body, products)]
    assert without == [], "no k loop found"
    on_stack = {name: spills(body, products) for name, (products, body) in found.items()}
    assert {name: lines for name, lines in on_stack.items() if lines} == {}


def fetches(body: list[Instruction], products: int) -> list[tuple[int, int]]:
    """Count what each loop over k of four k's asks for: lines for L2, and lines for L1."""
    rounds = [loop for loop in k_loops(body, 4 * products) if loop]
    return [(len(names(loop, FETCHING_L2)), len(names(loop, FETCHING_L1))) for loop in rounds]


@fma_builds
@every_dtype
def test_fetching_tiles_fetch_in_small_steps(build: str, real: str) -> None:
    """In each round of four k's one line for L2 and one of C: 32 in 64 k's, and never a burst."""
    if ".debug_info" in tool("objdump", "-h", module_file(build, real)):
        pytest.skip("a FASTNET_DEBUG build: not optimised")
    if not (found := tiles(code_of(build, real), "fetching_")):
        pytest.skip("the module is stripped of its symbols")
    assert len(found) == 2 * (6 if build == "v4" else 3), "rows and columns of each height"
    wrong = {name: fetches(body, products) for name, (products, body) in found.items()}
    assert {name: steps for name, steps in wrong.items() if steps != [(1, 1)]} == {}
    outside = {name: len(names(body, FETCHING)) for name, (_, body) in found.items()}
    assert {name: count for name, count in outside.items() if count != 2} == {}, "outside the loop over k"


@every_build
@every_dtype
def test_plain_tiles_fetch_nothing(build: str, real: str) -> None:
    if not (found := tiles(code_of(build, real))):
        pytest.skip("the module is stripped of its symbols")
    assert {name: lines for name, (_, body) in found.items() if (lines := names(body, FETCHING))} == {}


# ------------------------------------------------------------------------------ the rules find what they seek

FUNCTION = """
0000000000001000 <tile_rows_2_2>:
    1000:\tpush   %rbp
    1001:\tmov    %rsp,%rbp
    1004:\tvmovups (%rcx),%zmm1
    100a:\tvfmadd231ps %zmm4,%zmm0,%zmm1
    1010:\tvbroadcastss (%rsi),%zmm0
    1016:\tvfmadd231ps (%rdx),%zmm0,%zmm1
    101c:\tvfmadd213ps 0x40(%rdx),%zmm0,%zmm2{%k1}
    1022:\tadd    $0x4,%rsi
    1026:\tSPILL
    102c:\tcmp    %rax,%rsi
    1030:\tjne    1010 <tile_rows_2_2+0x10>
    1032:\tdec    %rdi
    1036:\tjne    1004 <tile_rows_2_2+0x4>
    1038:\tvmovups %zmm1,(%rcx)
    103e:\tnotrack jmp *%rax
    1040:\tret

0000000000001050 <other>:
    1050:\tjmp    1000 <tile_rows_2_2>
    1052:\tlea    0x0(%rip),%rsp        # 1059 <other+0x9>
"""


def with_line(line: str) -> list[Instruction]:
    """Return FUNCTION's tile with one line of its inner loop replaced."""
    return functions(FUNCTION.replace("SPILL", line))["tile_rows_2_2"]


def test_functions_are_read_from_a_disassembly() -> None:
    code = functions(FUNCTION)
    assert list(code) == ["tile_rows_2_2", "other"]
    assert code["tile_rows_2_2"][5] == (0x1016, "vfmadd231ps", "(%rdx),%zmm0,%zmm1")
    assert code["tile_rows_2_2"][-2] == (0x103E, "jmp", "*%rax")
    assert code["other"] == [(0x1050, "jmp", "1000"), (0x1052, "lea", "0x0(%rip),%rsp")]
    assert len(all_code(code)) == 18
    assert [(name, products) for name, (products, _) in tiles(code).items()] == [("tile_rows_2_2", 4)]


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("cvtss2sd %xmm0,%xmm1", True),
        ("vcvtps2pd %ymm0,%zmm1", True),
        ("cvtss2sd 0x8(%rsp),%xmm1", True),
        ("fcvt d0, s1", True),
        ("fcvtl v0.2d, v1.2s", True),
        ("cvtsd2ss %xmm0,%xmm1", False),
        ("fcvt s0, d1", False),
        ("vcvtdq2ps %zmm0,%zmm1", False),
    ],
)
def test_widening_is_seen(line: str, seen: bool) -> None:
    assert bool(names(with_line(line), WIDENING)) == seen


def test_registers_and_fma_are_seen() -> None:
    code = with_line("vaddps %ymm1,%ymm2,%ymm3")
    assert len(names(code, "%ymm")) == 1
    assert len(names(code, "%zmm")) == 6
    assert len(names(code, "^vfmadd")) == 3
    assert names(with_line("nop"), "%ymm") == []


def test_fetching_is_seen() -> None:
    assert names(with_line("prefetcht1 (%r9)"), FETCHING_L2)
    assert names(with_line("prfm pldl2keep, [x3]"), FETCHING_L2)
    assert names(with_line("prefetcht0 (%r9)"), FETCHING_L2) == []
    assert names(with_line("prefetcht0 (%r9)"), FETCHING_L1)
    assert names(with_line("prfm pldl1keep, [x3]"), FETCHING)


@pytest.mark.parametrize(
    ("lines", "steps"),
    [
        (["nop"], (0, 0)),
        (["prefetcht1 (%r9)"], (1, 0)),
        (["prefetcht1 (%r9)", "prefetcht0 0x40(%r10)"], (1, 1)),
        (3 * ["prefetcht1 (%r9)"] + ["prefetcht0 (%r10)"], (3, 1)),
    ],
)
def test_fetches_in_a_round_are_counted(lines: list[str], steps: tuple[int, int]) -> None:
    products = 6 * ["vfmadd231ps %zmm4,%zmm0,%zmm1"]
    assert fetches(with_line("\n    1026:\t".join(products + lines)), 2) == [steps]


def test_a_fetch_outside_the_loop_is_no_step() -> None:
    text = FUNCTION.replace("vmovups (%rcx),%zmm1\n", "vmovups (%rcx),%zmm1\n    1008:\tprefetcht1 (%r9)\n")
    text = text.replace("SPILL", 6 * "vfmadd231ps %zmm4,%zmm0,%zmm1\n    1026:\t" + "nop")
    body = functions(text)["tile_rows_2_2"]
    assert fetches(body, 2) == [(0, 0)]
    assert len(names(body, FETCHING)) == 1


def test_a_second_exported_symbol_is_seen() -> None:
    init = "0000000000001120 T PyInit_kernels_v3_float32\n0000000000002000 T _init\n"
    assert exported(init) == {"PyInit_kernels_v3_float32"}
    assert exported(init + "0000000000003000 D kernels@@Base\n") == {"PyInit_kernels_v3_float32", "kernels"}


def test_innermost_loop_is_found() -> None:
    (loop,) = innermost_loops(with_line("nop"))
    assert (loop[0].address, loop[-1].address) == (0x1010, 0x1030)


@pytest.mark.parametrize(
    "line",
    [
        "vmovaps %zmm1,0x40(%rsp)",
        "vmovups 0x40(%rsp),%zmm1",
        "vmovaps %ymm1,-0x40(%rbp)",
        "vfmadd231ps 0x80(%rsp),%zmm0,%zmm3",
        "vmovupd %zmm1,0x40(%rsp,%rax,8)",
    ],
)
def test_a_spill_is_seen(line: str) -> None:
    assert spills(with_line(line), 2) == [f"0x1026: {' '.join(line.split())}"]


@pytest.mark.parametrize("line", ["nop", "mov 0x40(%rsp),%rax", "vmovups 0x40(%rdx),%zmm5", "push (%rbp)"])
def test_other_memory_is_no_spill(line: str) -> None:
    assert spills(with_line(line), 2) == []
    assert len(k_loops(with_line(line), 2)) == 1


def test_a_few_operands_on_the_stack_are_allowed() -> None:
    products = "vfmadd231ps %zmm4,%zmm0,%zmm1\n    1026:\t"
    assert spills(with_line(6 * products + "vmovups 0x40(%rsp),%zmm1"), 2) == []
    assert spills(with_line(5 * products + "vmovups 0x40(%rsp),%zmm1"), 2) != []


def test_rbp_is_the_stack_only_where_it_is_the_frame_pointer() -> None:
    body = [i for i in with_line("vmovups 0x40(%rbp),%zmm5") if i.operands != "%rsp,%rbp"]
    assert spills(body, 2) == []


@pytest.mark.parametrize(("line", "least"), [("nop", 3), ("vmovups %zmm1,(%rcx)", 2)])
def test_a_loop_of_other_work_is_no_k_loop(line: str, least: int) -> None:
    """Too few products, or results written to memory in every round: the loop of an activation."""
    assert k_loops(with_line(line), least) == []
