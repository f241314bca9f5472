/* codegen_kernels: every kernel of models, machine code against interpreter, bit for bit; and the plan of memory and
 * order.
 *
 *     codegen_kernels [--level NAME] [-O N] [--work N] [--rounds N] [--only NAME] [--workers N]
 * [--orders N] [--no-machine] MODEL.onnx ...
 *
 * One line per failure and one per model; ends with 1 when anything failed. Models that are not supported are told and
 * passed over. A level that this machine does not run is run in an emulator; ends with 77 where that is missing,
 * unless --no-machine stands before it: then the interpreter alone runs the schedules. */
#include "tests/codegen/proof.h"

#include <stdlib.h>
#include <string.h>

typedef struct Settings {
    ProofOptions proof;
    int orders;
    bool machine;
} Settings;

/* Can the level be run, here or in an emulator? */
static bool can_run(const char *name)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    const TargetMachineInfo *const target = target_find(diagnostics_open(arena), name);
    const char *const missing = !target ? "such a level" : target_runs_here(target) ? NULL : elsewhere_missing(target);
    if (missing)
        printf("skipped: there is not %s to run %s\n", missing, name);
    arena_close(arena);
    return !missing;
}

static int prove_model(const char *path, const Settings *settings)
{
    Proof proof;
    Tally tally = {0};
    int failures = 0;
    if (!proof_import(&proof, path, &settings->proof) || !proof_program(&proof)) {
        printf("SKIP %s: %s\n", path, proof.diagnostics->first ? proof.diagnostics->first->text : "");
        proof_close(&proof);
        return 0;
    }
    failures += !proof_plan(&proof);
    for (int level = 0; level < proof.level_count; level++) {
        const bool reachable = target_runs_here(proof.levels[level]) || !elsewhere_missing(proof.levels[level]);
        const bool machine = settings->machine && reachable;
        if (machine && !proof_load(&proof, level, settings->proof.workers)) {
            diag_print(proof.diagnostics, stdout, false);
            failures++;
            continue;
        }
        proof_kernels(&proof, level, machine, &settings->proof, &tally);
    }
    const bool ordered =
        settings->orders > 0 && proof_orders(&proof, 0, settings->orders, settings->proof.work, &failures);
    failures += tally.failures;
    printf("%s %s: %d kernels on %d levels, %d launches: %d whole, %d in part, %d not compared, %d failures%s\n",
           failures ? "FAILED" : "ok", path, proof.program.kernel_count, proof.level_count, proof.program.launch_count,
           tally.compared, tally.partly, tally.unproven, failures, ordered ? ", orders" : "");
    fflush(stdout);
    proof_close(&proof);
    return failures;
}

int main(int count, char **arguments)
{
    Settings settings = {.proof = {.level = 2, .workers = 3, .work = 300000000, .rounds = 2}, .machine = true};
    int failures = 0;
    for (int i = 1; i < count; i++) {
        const char *const text = arguments[i], *const value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(text, "--no-machine") == 0) {
            settings.machine = false;
            continue;
        }
        if (text[0] != '-') {
            failures += prove_model(text, &settings);
            continue;
        }
        const struct {
            const char *name;
            int *number;
        } numbers[] = {{"-O", &settings.proof.level},
                       {"--workers", &settings.proof.workers},
                       {"--rounds", &settings.proof.rounds},
                       {"--orders", &settings.orders}};
        bool known = false;
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
            if (strcmp(text, numbers[j].name) == 0) {
                *numbers[j].number = atoi(value);
                known = true;
            }
        if (strcmp(text, "--level") == 0) {
            settings.proof.target = value;
            if (settings.machine && !can_run(value))
                return 77;
        } else if (strcmp(text, "--only") == 0)
            settings.proof.only = value;
        else if (strcmp(text, "--work") == 0)
            settings.proof.work = atoll(value);
        else if (!known) {
            fprintf(stderr, "codegen_kernels: unknown option %s\n", text);
            return 2;
        }
        i++;
    }
    return failures > 0;
}
