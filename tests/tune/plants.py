#!/usr/bin/env python3
"""Candidates that crash, hang, eat memory, compute nonsense, write beside their buffers or call the system: each costs one trial, is
reported as what it is and is not chosen.

    plants.py LATHE FOLDER RUNNER CC"""
import pathlib
import subprocess
import sys

import kit

HEAD = """
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
void kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error);
void (*const lathe_candidate)(void *const *, const int64_t *, int64_t, int64_t, void *, int32_t *) = kernel;
void kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{ (void)buffers, (void)dims, (void)begin, (void)end, (void)scratch, (void)error; %s }
%s
"""
# Name: body, more, what it may be reported as.
PLANTS = {
    "crash": ("*(volatile int *)8 = 1;", "", {"crash"}),
    "trap": ("__builtin_trap();", "", {"crash"}),
    "hang": ("for (volatile int i = 0;; i++) ;", "", {"hang"}),
    "wrong": ("", "", {"wrong"}),
    "hog": ("for (;;) { char *p = malloc(1 << 26); memset(p, 1, 1 << 26); }", "", {"forbidden", "memory", "crash", "bounds"}),
    "past": ("char *p = buffers[0]; for (int64_t i = 0;; i++) ((volatile char *)p)[i];", "", {"bounds"}),
    "leave": ("_exit(0);", "", {"crash"}),
    "unlink": ("unlink(\"%(victim)s\");", "", {"forbidden"}),
    "fork": ("while (fork() >= 0) ;", "", {"forbidden"}),
    "loading": ("", "__attribute__((constructor)) static void first(void) { abort(); }", {"crash"}),
    "huge": ("memset(huge, 1, 9);", "char huge[1ULL << 42];", {"load"}),
}


def build(folder, compiler, victim):
    folder.mkdir()
    for name, (body, more, _) in PLANTS.items():
        body = body.replace("%(victim)s", str(victim))
        text = HEAD.replace("%s", "\0").replace("\0", body, 1).replace("\0", more, 1)
        if name == "huge":  # declared before its use
            text = text.replace("void kernel", "extern char huge[];\nvoid kernel", 1)
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-mcmodel=large", "-w", "-x", "c", "-", "-o", folder / f"{name}.so"],
                       input=text.encode(), check=True)
    (folder / "garbage.so").write_bytes(b"this is no library\n" * 50)


def test(lathe, folder, runner, compiler):
    for threads in "1", "3":
        here = folder / threads
        here.mkdir()
        tune(kit.Place(lathe, here), here, runner, compiler, threads)


def tune(place, folder, runner, compiler, threads):
    plants, victim = folder / "plants", folder / "victim"
    victim.write_text("still here")
    build(plants, compiler, victim)
    wanted = {name: states for name, (_, _, states) in PLANTS.items()} | {"garbage": {"load"}}
    proxy = f"{sys.executable} {pathlib.Path(__file__).parent / 'plant_runner.py'} {runner} {plants}"
    trials, result = place.tune("--runner", proxy, "--trials", str(3 * len(wanted)), "--timeout", "10m", "--search", "random",
                                "--threads", threads)
    planted = dict(reversed(line.split("\t")) for line in (plants / "planted").read_text().splitlines())
    kit.check(set(planted.values()) == set(wanted), f"planted were only {set(planted.values())}")
    for trial in trials:
        plant = planted.get(trial["schedule"])
        states = wanted[plant] if plant and trial["number"] > 0 else {"ok"}
        kit.check(trial["state"] in states, f"{plant}: {trial}")
        kit.check(trial["state"] == "ok" or not trial["best"], f"{plant} was chosen: {trial}")
    chosen = {kernel["schedule"] for kernel in result["kernels"] if kernel["ns"] != kernel["default_ns"]}
    kit.check(not chosen & set(planted), f"{chosen & set(planted)} was chosen")
    kit.check(victim.read_text() == "still here", "a candidate removed a file")
    place.run("compile", place.model, "-q", "-o", "model.so", "--tuning", place.records)


kit.main(test)
