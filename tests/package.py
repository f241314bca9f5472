#!/usr/bin/env python3
"""The installed package from a user's side: installs a build into an empty folder, then configures, builds and runs the examples
and a small project of its own against it, with Ninja and with make. A build that has nothing to do must do nothing; a changed model
or external data file must be compiled again.

    package.py BUILD_FOLDER SOURCE_FOLDER [GENERATOR]"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

BUILD, SOURCE = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
GENERATORS = sys.argv[3:] or ["Unix Makefiles"] + (["Ninja"] if shutil.which("ninja") else [])
COMPILING = "Compiling model"

# Every type of library, the other outputs, a model with external data, and models as part of a target.
PROJECT = """
cmake_minimum_required(VERSION 3.20)
project(User LANGUAGES C)
find_package(Lathe 0.1 CONFIG REQUIRED)
if(NOT Lathe_VERSION MATCHES "^0\\\\.1\\\\.")
  message(FATAL_ERROR "version ${Lathe_VERSION}")
endif()
foreach(type OBJECT STATIC SHARED)
  string(TOLOWER ${type} name)
  lathe_add_model(model_${name} MODEL "a model.onnx" TYPE ${type} PREFIX digits HEADER header LLVM_IR ir CPU x86-64-v3)
  add_executable(use_${name} main.c)
  target_link_libraries(use_${name} PRIVATE model_${name})
  file(APPEND ${CMAKE_BINARY_DIR}/outputs.txt "${header}\\n${ir}\\n")
endforeach()
lathe_add_model(model_module MODEL "a model.onnx" TYPE MODULE)
set_target_properties(model_module PROPERTIES PREFIX "")
lathe_add_model(model_external MODEL external.onnx)
file(WRITE ${CMAKE_BINARY_DIR}/two.c "#include \\"digits.h\\"\\n#include \\"external.h\\"\\nint main(void) { return digits_model.input_count != external_model.input_count; }\\n")
add_executable(use_two ${CMAKE_BINARY_DIR}/two.c)
configure_file("a model.onnx" ${CMAKE_BINARY_DIR}/digits.onnx COPYONLY)
lathe_target_models(use_two PRIVATE ${CMAKE_BINARY_DIR}/digits.onnx external.onnx)
"""


def run(*command, folder=None, expect=0):
    done = subprocess.run([str(c) for c in command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != expect:
        sys.exit(f"{' '.join(map(str, command))}\nexit status {done.returncode}, not {expect}\n{done.stdout}")
    return done.stdout


def require(condition, what, output=""):
    if not condition:
        sys.exit(f"{what}\n{output}")


def build(folder):
    return run("cmake", "--build", folder)


def configure(source, folder, generator, prefix, *options, expect=0):
    return run("cmake", "-S", source, "-B", folder, "-G", generator, f"-DCMAKE_PREFIX_PATH={prefix}", *options, expect=expect)


def check_idle(folder):
    output = build(folder)
    require(COMPILING not in output and "Building C object" not in output and "Linking" not in output, "not idle", output)


def check_example(source, folder, generator, prefix):
    configure(source, folder, generator, prefix)
    require(COMPILING in build(folder), "the model was not compiled")
    run("ctest", "--output-on-failure", folder=folder)
    check_idle(folder)
    next(source.glob("*.onnx")).touch()
    require(COMPILING in build(folder), "a newer model was not compiled again")
    run("cmake", "--build", folder, "--target", "clean")
    require(not [p for p in folder.glob("*.lathe/*")], "clean leaves files")
    require(COMPILING in build(folder), "the model was not compiled after clean")


def check_project(source, folder, generator, prefix):
    configure(source, folder, generator, prefix)
    build(folder)
    for name in ("use_object", "use_static", "use_shared"):
        require("this is a 7" in run(folder / name, source / "seven.npy"), name)
    run(folder / "use_two")
    for line in (folder / "outputs.txt").read_text().split("\n")[:-1]:
        require(pathlib.Path(line).exists(), f"{line} was not made")
    for library in ("libmodel_shared.so", "model_module.so"):
        output = run(prefix / "bin/lathe", "run", folder / library, "-i", source / "seven.npy")
        require("f32[1,10]" in output, f"{library} cannot be run", output)
    check_idle(folder)
    (source / "w.bin").touch()
    output = build(folder)
    require("model external.onnx" in output and "model a model.onnx" not in output, "a newer external data file", output)
    check_idle(folder)


# CMake's name of the processor, beginning of GNU's tools, emulator.
MACHINES = [
    ("aarch64", "aarch64-linux-gnu", "qemu-aarch64-static"),
    ("arm", "arm-linux-gnueabihf", "qemu-arm-static"),
]


def check_cross(source, folder, prefix, processor, gnu, emulator):
    """The example built for another machine by a toolchain file, its test run in an emulator."""
    folder.mkdir()
    toolchain = folder / "toolchain.cmake"
    toolchain.write_text(f"""
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR {processor})
set(CMAKE_C_COMPILER {gnu}-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR {emulator} -L /usr/{gnu})
""")
    configure(source, folder / "build", GENERATORS[0], prefix, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}")
    build(folder / "build")
    output = run("ctest", "--output-on-failure", folder=folder / "build")
    require("100% tests passed" in output and "No tests" not in output, f"{processor}: tests", output)
    print(f"{processor}: the example is built by a cross compiler, and its test passes in an emulator")


def main():
    with tempfile.TemporaryDirectory() as temporary:
        base = pathlib.Path(temporary).resolve() / "with space"
        prefix = base / "prefix"
        run("cmake", "--install", BUILD, "--prefix", prefix)
        for page in ("share/man/man1/lathe-compile.1", "share/bash-completion/completions/lathe", "lib/cmake/Lathe/LatheConfig.cmake"):
            require((prefix / page).stat().st_size > 100, page)
        for name in ("digits", "shakespeare"):
            shutil.copytree(SOURCE / "examples" / name, base / name)
        project = base / "project"
        project.mkdir()
        (project / "CMakeLists.txt").write_text(PROJECT)
        shutil.copy(base / "digits/main.c", project)
        shutil.copy(base / "digits/seven.npy", project)
        shutil.copy(base / "digits/digits.onnx", project / "a model.onnx")
        shutil.copy(SOURCE / "tests/data/onnx/external/plain.onnx", project / "external.onnx")
        (project / "w.bin").write_bytes(bytes(64))
        for generator in GENERATORS:
            for name in ("digits", "shakespeare"):
                check_example(base / name, base / f"{name} {generator}", generator, prefix)
            check_project(project, base / f"project {generator}", generator, prefix)
            print(f"{generator}: examples and project are built, run, and built again only where something changed")
        for processor, gnu, emulator in MACHINES:
            if shutil.which(f"{gnu}-gcc") and shutil.which(emulator):
                check_cross(base / "digits", base / f"cross {processor}", prefix, processor, gnu, emulator)
            else:
                print(f"{processor}: not tried, {gnu}-gcc or {emulator} is missing")
        # Never silently the host's code.
        output = configure(base / "digits", base / "cross", GENERATORS[0], prefix, "-DCMAKE_SYSTEM_NAME=Linux",
                           "-DCMAKE_SYSTEM_PROCESSOR=mystery", expect=1)
        require("no target of lathe is known for the processor \"mystery\"" in " ".join(output.split()), "unknown processor", output)
        output = configure(base / "digits", base / "other", GENERATORS[0], prefix, f"-DLathe_EXECUTABLE={base}/nowhere", expect=1)
        require("The program lathe is not where it was looked for" in " ".join(output.split()), "Lathe_EXECUTABLE", output)


if __name__ == "__main__":
    main()
