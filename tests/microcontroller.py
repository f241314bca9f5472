#!/usr/bin/env python3
"""Libraries for microcontrollers, as a user has them: compiled, linked with GNU's tools, run on emulated boards.

    microcontroller.py LATHE SOURCE_FOLDER CASE

Exit status 77: a tool is missing, which is named."""
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

LATHE, SOURCE = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
EXAMPLE, DIGITS = SOURCE / "examples/microcontroller", SOURCE / "examples/digits"
CROSS = "arm-none-eabi-"
# Board of QEMU: what lathe calls its core, and the compiler's flags for it.
BOARDS = {
    "microbit": ("cortex-m0plus", ["-mcpu=cortex-m0plus"]),
    "mps2-an385": ("cortex-m0plus", ["-mcpu=cortex-m0plus"]),
    "mps2-an386": ("cortex-m4f", ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]),
    "mps2-an500": ("cortex-m7", ["-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"]),
    "mps3-an547": ("cortex-m55", ["-mcpu=cortex-m55", "-mfloat-abi=hard"]),
}
CORES = sorted({core for core, _ in BOARDS.values()} | {"cortex-m7-sp"})


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            print(f"skipped: there is no {tool}")
            sys.exit(77)


def run(*command, expect=0, folder=None):
    done = subprocess.run([str(c) for c in command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280)
    if done.returncode != expect:
        sys.exit(f"{' '.join(map(str, command))}\nexit status {done.returncode}, not {expect}\n{done.stdout}")
    return done.stdout


def require(condition, what, output=""):
    if not condition:
        sys.exit(f"{what}\n{output}")


def compile_model(model, output, *options, expect=0):
    return run(LATHE, "compile", model, "-q", "--no-cache", "-o", output, *options, expect=expect)


def macros(header):
    return {name: int(value) for name, value in re.findall(r"^#define DIGITS_(\w+) (\d+)", header.read_text(), re.M)}


# ---- models, as bytes of protobuf ----


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value >= 128:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def node(op, inputs, outputs):
    return field(1, b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + field(3, outputs[0]) + field(4, op))


def value(name, dtype, dims):
    shape = b"".join(field(1, field(2, d) if isinstance(d, str) else field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, dtype) + field(2, shape)))


def tensor(name, dims, numbers):
    return field(5, b"".join(field(1, d) for d in dims) + field(2, 1) + field(8, name) + field(9, struct.pack(f"<{len(numbers)}f", *numbers)))


def model(path, nodes, inputs, outputs, weights=b""):
    graph = nodes + field(2, "g") + weights + b"".join(field(11, i) for i in inputs) + b"".join(field(12, o) for o in outputs)
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))
    return path


# ---- cases ----


def layers(work):
    """Two layers of equal shape: their weights differ, their code does not."""
    weights = tensor("w0", [8, 8], [i % 7 - 3 for i in range(64)]) + tensor("w1", [8, 8], [i % 5 - 2 for i in range(64)])
    nodes = node("MatMul", ["x", "w0"], ["a"]) + node("Relu", ["a"], ["b"]) + node("MatMul", ["b", "w1"], ["c"]) + node("Relu", ["c"], ["y"])
    return model(work / "layers.onnx", nodes, [value("x", 1, [4, 8])], [value("y", 1, [4, 8])], weights)


def gather(work):
    nodes = node("Gather", ["table", "which"], ["y"])
    return model(work / "gather.onnx", nodes, [value("which", 7, [3])], [value("y", 1, [3, 2])], tensor("table", [4, 2], range(8)))


def interpreted(work, core, *options):
    run(LATHE, "run", DIGITS / "digits.onnx", "-q", "-i", DIGITS / "three.npy", "-o", work / "expected.npy", "--backend", "interpreter",
        "--target", core, *options)
    data = (work / "expected.npy").read_bytes()
    return [f"{bits:x}" for bits in struct.unpack("<10I", data[-40:])]


def contribution(map_text, kinds):
    """Bytes of the archive's sections of these kinds, by the linker's map: ' .text.x  address  size  .../digits.a(model.o)'."""
    text = re.sub(r"^( \.\S+)\n +(?=0x)", r"\1 ", map_text[map_text.index("Linker script and memory map"):], flags=re.M)
    sizes = re.findall(r"^ (\.\S+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s+\S*digits\.a\(\S+\)$", text, re.M)
    return sum(int(size, 16) for name, size in sizes if name.startswith(kinds))


def example(work, board, *flags):
    build = work / ("build" + "".join(flags).replace("-", ""))
    return build, run("make", "-s", "-C", EXAMPLE, f"BOARD={board}", f"BUILD={build}", f"LATHE={LATHE}", f"FLAGS=-q --no-cache {' '.join(flags)}", "run")


def check_board(work, board, *flags):
    core = BOARDS[board][0]
    build, output = example(work, board, *flags)
    scores = re.search(r"^scores (.*)$", output, re.M)
    require("this is a 3" in output and scores, "the wrong digit", output)
    require(scores.group(1).split() == interpreted(work, core, *flags), f"{core}: other bits than the interpreter's", output)
    used, most = map(int, re.search(r"stack (\d+) bytes, at most (\d+)", output).groups())
    require(0 < used <= most, "more stack than stated", output)
    facts, report = macros(build / "digits.h"), json.loads((build / "digits.json").read_text())
    for name in "ram", "flash", "stack":
        require(facts[f"{name.upper()}_SIZE"] == report[f"{name}_bytes"], f"header and report differ in {name}", report)
    require(contribution((build / "digits.map").read_text(), (".text", ".rodata")) == facts["FLASH_SIZE"], "flash is not what the map says", facts)
    return build, facts


def board(work, name):
    need(CROSS + "gcc", "qemu-system-arm", "make")
    build, facts = check_board(work, name)
    core, flags = BOARDS[name]
    if core == "cortex-m0plus":
        thumb(build / "digits.a")
    sizes(work, core, flags)


def exact(work):
    """Without fma in hardware, every bit as everywhere else."""
    need(CROSS + "gcc", "qemu-system-arm", "make")
    check_board(work, "mps2-an385", "--math", "exact")
    require(interpreted(work, "cortex-m0plus", "--math", "exact") == interpreted(work, "x86-64-v3", "--math", "exact"), "exact is not exact")


def thumb(archive):
    """ARMv6-M has no instructions of 32 bits but bl, barriers and those for special registers."""
    listing = run(CROSS + "objdump", "-d", archive)
    long = {mnemonic for mnemonic in re.findall(r"^ +[0-9a-f]+:\t[0-9a-f]{4} [0-9a-f]{4} *\t(\S+)", listing, re.M)}
    require(listing.count("\t") > 1000 and long <= {"bl", "dmb", "dsb", "isb", "mrs", "msr"}, f"not of ARMv6-M: {long}")


def sizes(work, core, flags):
    """RAM and flash of a program with the library, and with its own workspace: the map's, with and without collection."""
    (work / "use.c").write_text('#include "digits.h"\nfloat image[DIGITS_IMAGE_ELEMS], scores[DIGITS_SCORES_ELEMS];\n'
                                "void start(void) { digits_run(digits_init(0, 0, 0), image, scores); }\n")
    compile_model(DIGITS / "digits.onnx", work / "digits.a", "--target", core, "--workspace", "static")
    facts = macros(work / "digits.h")
    for collect in "--no-gc-sections", "--gc-sections":
        run(CROSS + "gcc", *flags, "-mthumb", "-Os", "-ffreestanding", "-nostdlib", f"-Wl,{collect},-estart,-Map={work}/use.map,-Ttext=0",
            f"-I{work}", work / "use.c", work / "digits.a", "-lgcc", "-o", work / "use.elf")
        text = (work / "use.map").read_text()
        require(contribution(text, (".text", ".rodata")) == facts["FLASH_SIZE"], f"{collect}: flash is not what the map says", facts)
        require(contribution(text, (".bss", ".data")) == facts["RAM_SIZE"], f"{collect}: RAM is not what the map says", facts)


def limits(work):
    digits = DIGITS / "digits.onnx"
    compile_model(digits, work / "digits.a", "--target", "cortex-m4f")
    facts = macros(work / "digits.h")
    for option, size in ("--max-ram", facts["RAM_SIZE"]), ("--max-flash", facts["FLASH_SIZE"]):
        compile_model(digits, work / "fits.a", "--target", "cortex-m4f", option, size)
        said = compile_model(digits, work / "large.a", "--target", "cortex-m4f", option, size - 1, expect=8)
        require(str(size) in said and str(size - 1) in said and re.search(r'the largest is "[^"]+" \(\d+ bytes\)', said), "what is too large is not named", said)
        require(not (work / "large.a").exists() and not (work / "large.h").exists(), "a file was left behind")
    said = compile_model(digits, work / "large.a", "--target", "microbit", "--max-flash", "16K", expect=8)
    require("16384" in said, "the device's limit is not replaced", said)
    compile_model(digits, work / "a.so", "--target", "cortex-m4f", "--emit", "so", expect=2)
    compile_model(digits, work / "a.a", "--target", "x86-64", "--max-ram", "1M", expect=2)
    compile_model(digits, work / "a.a", "--target", "cortex-m", "--cpu", "cortex-m4f,cortex-m7", expect=2)
    symbolic = model(work / "symbolic.onnx", node("Relu", ["x"], ["y"]), [value("x", 1, ["batch", 4])], [value("y", 1, ["batch", 4])])
    said = compile_model(symbolic, work / "a.a", "--target", "cortex-m7", expect=3)
    require('"batch"' in said and "--dim" in said and "--shape" in said, "the symbol or the way out is not named", said)
    compile_model(symbolic, work / "a.a", "--target", "cortex-m7", "--dim", "batch=2")


def library(work):
    """What a library is made of: names, shared code, the header by C and C++."""
    compile_model(layers(work), work / "layers.a", "--target", "cortex-m0plus")
    kernels = [kernel["code"] for kernel in json.loads((work / "layers.json").read_text())["kernels"]]
    require(len(kernels) == 2 and len(set(kernels)) == 1, f"equal layers do not share their code: {kernels}")
    for core in CORES:
        first, second = work / "digits.a", work / "again.a"
        compile_model(DIGITS / "digits.onnx", first, "--target", core, "--prefix", "digits")
        compile_model(DIGITS / "digits.onnx", second, "--target", core, "--prefix", "digits")
        if shutil.which("nm"):
            names = run("nm", "-g", first).split("\n")
            defined = {line.split()[-1] for line in names if " T " in line or " D " in line or " R " in line or " B " in line}
            missing = {line.split()[-1] for line in names if " U " in line}
            require(defined == {"digits_init", "digits_run"}, f"{core} shows {defined}")
            require(all(re.match(r"__aeabi_|mem(cpy|set|move)$", name) for name in missing), f"{core} needs {missing}")
    (work / "use.c").write_text('#include "digits.h"\n#include "digits.h"\nint use(digits_context *c, float *x);\n'
                                "int use(digits_context *c, float *x) { return digits_run(c, x, x) + LATHE_E_MEMORY; }\n")
    for language in ["cc", "-x", "c", "-std=c99"], ["c++", "-x", "c++", "-std=c++11"]:
        if shutil.which(language[0]):
            run(*language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{work}", work / "use.c")


CODES = """
#include "board.h"
#include "gather.h"
static _Alignas(8) unsigned char memory[GATHER_RAM_SIZE + 8];
static float y[7];
int main(void)
{
    int error = 0;
    static int64_t which[4] = {0, 3, -4, 0};
    if (gather_init(memory + 4, GATHER_RAM_SIZE, &error) || error != LATHE_E_ARGUMENT) return 1;
    if (gather_init(0, GATHER_RAM_SIZE, &error) || error != LATHE_E_NULL) return 2;
    if (gather_init(memory, GATHER_RAM_SIZE - 1, &error) || error != LATHE_E_MEMORY) return 3;
    gather_context *context = gather_init(memory, GATHER_RAM_SIZE, &error);
    if (!context || error) return 4;
    if (gather_run(0, which, y) != LATHE_E_NULL || gather_run(context, 0, y) != LATHE_E_NULL || gather_run(context, which, 0) != LATHE_E_NULL) return 5;
    if (gather_run(context, which, (float *)((char *)y + 2)) != LATHE_E_ARGUMENT) return 6;
    if (gather_run(context, (int64_t *)((char *)which + 4), y) != LATHE_E_ARGUMENT) return 7;
    if (gather_run(context, which, y) != LATHE_OK || y[1] != 1 || y[2] != 6 || y[5] != 1 || y[6] != 0) return 8;
    which[1] = 4;
    if (gather_run(context, which, y) != LATHE_E_INDEX) return 9;
    which[1] = -5;
    if (gather_run(context, which, y) != LATHE_E_INDEX) return 10;
    which[1] = (int64_t)1 << 32;
    if (gather_run(context, which, y) != LATHE_E_INDEX) return 11;
    which[1] = 2;
    return gather_run(context, which, y) == LATHE_OK && y[2] == 4 && y[6] == 0 ? 0 : 12;
}
"""


def codes(work):
    """Wrong memory, wrong pointers and wrong indices are answers, on the smallest core and on a large one."""
    need(CROSS + "gcc", "qemu-system-arm", "make")
    (work / "codes.c").write_text(CODES)
    for name in "mps2-an385", "mps2-an386":
        core, flags = BOARDS[name]
        compile_model(gather(work), work / "gather.a", "--target", core)
        build, _ = example(work, name)
        run(CROSS + "gcc", *flags, "-mthumb", "-Os", "-std=c11", "-ffreestanding", "-nostdlib", f"-I{work}", f"-I{EXAMPLE}", "-T", build / "board.ld",
            work / "codes.c", EXAMPLE / "board.c", work / "gather.a", "-lgcc", "-o", work / "codes.elf")
        run("qemu-system-arm", "-M", name, "-display", "none", "-semihosting-config", "enable=on,target=native", "-kernel", work / "codes.elf")


FUNCTIONS = ["Sin", "Atan", "Tanh", "Erf", "Exp", "Log", "Sqrt", "Floor", "Ceil", "Round"]
RUN_FUNCTIONS = """
#include "board.h"
#include "functions.h"
static _Alignas(8) unsigned char memory[FUNCTIONS_RAM_SIZE];
static float y[{count}][16];
static const uint32_t bits[16] = {{{bits}}};
static __attribute__((noinline)) int run(functions_context *context)
{{
    enum {{ PAINTED = FUNCTIONS_STACK_SIZE + 512, PASSED = 4 * {count} }}; /* arguments on the stack are the caller's */
    uint32_t top, lowest;
    __asm__ volatile("mov %0, sp" : "=r"(top));
    for (lowest = top - PAINTED; lowest < top; lowest += 4)
        *(volatile uint32_t *)lowest = 0xdeadbeef;
    const int result = functions_run(context, (const float *)bits, {outputs});
    for (lowest = top - PAINTED; lowest < top && *(volatile uint32_t *)lowest == 0xdeadbeef;)
        lowest += 4;
    return result ? result : top - lowest > FUNCTIONS_STACK_SIZE + PASSED;
}}
int main(void)
{{
    functions_context *context = functions_init(memory, sizeof memory, 0);
    if (!context || run(context) != LATHE_OK)
        return 1;
    for (int i = 0; i < {count} * 16; i++) {{
        board_print_number(((const uint32_t *)y)[i], 16);
        board_print(" ");
    }}
    return 0;
}}
"""


def functions(work):
    """Functions that compute in f64 or round, on cores without instructions for either: the interpreter's bits."""
    need(CROSS + "gcc", "qemu-system-arm", "make")
    numbers = [0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.7, -3.7, 1e-30, 1e-42, 100.25, -1e9, 8388609.0, 0.99999994, 3e38, 1e30]
    nodes = b"".join(node(name, ["x"], [f"y{i}"]) for i, name in enumerate(FUNCTIONS)) + node("Pow", ["x", "x"], [f"y{len(FUNCTIONS)}"])
    count = len(FUNCTIONS) + 1
    made = model(work / "functions.onnx", nodes, [value("x", 1, [16])], [value(f"y{i}", 1, [16]) for i in range(count)])
    (work / "x.raw").write_bytes(struct.pack("<16f", *numbers))
    bits = ", ".join(f"{word}u" for word in struct.unpack("<16I", struct.pack("<16f", *numbers)))
    outputs = ", ".join(f"y[{i}]" for i in range(count))
    (work / "functions.c").write_text(RUN_FUNCTIONS.format(count=count, bits=bits, outputs=outputs))
    for name in "mps2-an385", "mps2-an386", "mps3-an547":
        core, flags = BOARDS[name]
        compile_model(made, work / "functions.a", "--target", core)
        (work / "out").mkdir(exist_ok=True)
        run(LATHE, "run", made, "-q", "-i", work / "x.raw", "-o", work / "out", "--backend", "interpreter", "--target", core)
        expected = [f"{word:x}" for i in range(count) for word in struct.unpack("<16I", (work / f"out/output_{i}.npy").read_bytes()[-64:])]
        build, _ = example(work, name)
        run(CROSS + "gcc", *flags, "-mthumb", "-Os", "-std=c11", "-ffreestanding", "-nostdlib", f"-I{work}", f"-I{EXAMPLE}", "-T", build / "board.ld",
            work / "functions.c", EXAMPLE / "board.c", work / "functions.a", "-lgcc", "-o", work / "functions.elf")
        got = run("qemu-system-arm", "-M", name, "-display", "none", "-semihosting-config", "enable=on,target=native", "-kernel", work / "functions.elf").split()
        for i in range(count * 16):
            both_nan = all((int(word, 16) & 0x7fffffff) > 0x7f800000 for word in (got[i], expected[i]))
            require(got[i] == expected[i] or both_nan, f"{core}: {(FUNCTIONS + ['Pow'])[i // 16]} of {numbers[i % 16]} is {got[i]}, not {expected[i]}")


RUN_SORTS = """#include "board.h"
#include "sorts.h"

static uint64_t memory[8192];
static const uint32_t x[] = {{{x}}}, z[] = {{{z}}}, d[] = {{{d}}};
static float best[15], most[400], y[2];
static int64_t places[15], order[400];

static void show(const void *data, int words)
{{
    for (int i = 0; i < words; i++) {{
        board_print_number(((const uint32_t *)data)[i], 16);
        board_print(" ");
    }}
}}

int main(void)
{{
    sorts_context *context = sorts_init(memory, sizeof memory, 0);
    if (!context || sorts_run(context, (const float *)x, (const float *)z, (const float *)d, best, places, most, order, y) != LATHE_OK)
        return 1;
    show(best, 15);
    show(places, 30);
    show(most, 400);
    show(order, 800);
    show(y, 2);
    return 0;
}}
"""


def sorts(work):
    """Kernels with loops that depend on data: a heap, a radix sort, pivots. The interpreter's bits."""
    need(CROSS + "gcc", "qemu-system-arm", "make")
    whole = lambda name, number: field(5, field(1, 1) + field(2, 7) + field(8, name) + field(9, struct.pack("<q", number)))
    nodes = node("TopK", ["x", "five"], ["best", "places"]) + node("TopK", ["z", "many"], ["most", "order"]) + node("Det", ["d"], ["y"])
    inputs = [value("x", 1, [3, 40]), value("z", 1, [2, 300]), value("d", 1, [2, 4, 4])]
    outputs = [value("best", 1, [3, 5]), value("places", 7, [3, 5]), value("most", 1, [2, 200]), value("order", 7, [2, 200]), value("y", 1, [2])]
    made = model(work / "sorts.onnx", nodes, inputs, outputs, whole("five", 5) + whole("many", 200))
    given = {name: [(i * 7919 + seed) % 257 / 8 - 16 for i in range(count)] for name, count, seed in (("x", 120, 1), ("z", 600, 2), ("d", 32, 3))}
    files = []
    for name, numbers in given.items():
        (work / f"{name}.raw").write_bytes(struct.pack(f"<{len(numbers)}f", *numbers))
        files += ["-i", f"{name}={work / f'{name}.raw'}"]
    words = {name: ", ".join(f"{word}u" for word in struct.unpack(f"<{len(n)}I", struct.pack(f"<{len(n)}f", *n))) for name, n in given.items()}
    (work / "sorts.c").write_text(RUN_SORTS.format(**words))
    for name in "mps2-an385", "mps2-an386":
        core, flags = BOARDS[name]
        compile_model(made, work / "sorts.a", "--target", core)
        (work / "out").mkdir(exist_ok=True)
        run(LATHE, "run", made, "-q", *files, "-o", work / "out", "--backend", "interpreter", "--target", core)
        expected = []
        for i, count in enumerate((15, 30, 400, 800, 2)):
            data = (work / f"out/output_{i}.npy").read_bytes()
            expected += [f"{word:x}" for word in struct.unpack(f"<{count}I", data[-4 * count:])]
        build, _ = example(work, name)
        run(CROSS + "gcc", *flags, "-mthumb", "-Os", "-std=c11", "-ffreestanding", "-nostdlib", f"-I{work}", f"-I{EXAMPLE}", "-T", build / "board.ld",
            work / "sorts.c", EXAMPLE / "board.c", work / "sorts.a", "-lgcc", "-o", work / "sorts.elf")
        got = run("qemu-system-arm", "-M", name, "-display", "none", "-semihosting-config", "enable=on,target=native", "-kernel", work / "sorts.elf").split()
        require(got == expected, f"{core}: other words than the interpreter's: {got[:8]}, not {expected[:8]}")


PROJECT = """
cmake_minimum_required(VERSION 3.20)
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_FLAGS_INIT "{flags}")
project(Board LANGUAGES C)
find_package(Lathe 0.1 CONFIG REQUIRED)
lathe_add_model(digits MODEL {model})
add_library(board STATIC use.c)
target_link_libraries(board PRIVATE digits)
"""


def cmake(work):
    """The package finds the core in the compiler's flags."""
    need(CROSS + "gcc", "cmake", "make")
    run("cmake", "--install", LATHE.parent, "--prefix", work / "prefix")
    (work / "use.c").write_text('#include "digits.h"\nint use(digits_context *c, float *x);\nint use(digits_context *c, float *x) { return digits_run(c, x, x); }\n')
    cores = {core: " ".join(["-mthumb"] + flags) for core, flags in BOARDS.values()}
    cores["cortex-m7-sp"] = "-mthumb -mcpu=cortex-m7 -mfpu=fpv5-sp-d16 -mfloat-abi=hard"
    for core, flags in cores.items():
        (work / "CMakeLists.txt").write_text(PROJECT.format(flags=flags, model=DIGITS / "digits.onnx"))
        run("cmake", "-S", work, "-B", work / core, "-G", "Unix Makefiles", f"-DCMAKE_PREFIX_PATH={work / 'prefix'}")
        run("cmake", "--build", work / core)
        report = json.loads(next((work / core).rglob("digits.json")).read_text())
        require(report["levels"] == [core], f"{flags} is taken for {report['levels']}")


def main():
    case = sys.argv[3]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        if case in BOARDS:
            board(work, case)
        else:
            {"exact": exact, "limits": limits, "library": library, "codes": codes, "cmake": cmake, "functions": functions, "sorts": sorts}[case](work)
    print("good")


main()
