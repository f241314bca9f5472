/* lathe doctor: is everything there that compiling and running a model needs? Ends with a model that is compiled and
 * run. */
#include "tools/verbs.h"

#include "codegen/link.h"
#include "codegen/ptxas.h"
#include "ir/ops/ops.h"
#include "tools/answer.h"
#include "tools/cachefolder.h"
#include "tools/host.h"
#include "tools/calibrate.h"
#include "tools/probe.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHECKS_MOST = 10, ELEMENTS = 8 };

typedef struct Check {
    const char *name, *detail;
    const char *hint; /* NULL: the check is passed */
    int code;
} Check;

typedef struct Doctor {
    const Options *options;
    Check checks[CHECKS_MOST];
    int count;
} Doctor;

static void found(Doctor *doctor, const char *name, const char *detail)
{
    doctor->checks[doctor->count++] = (Check){.name = name, .detail = detail};
}

static void missed(Doctor *doctor, const char *name, const char *detail, int code, const char *hint)
{
    doctor->checks[doctor->count++] = (Check){name, detail, hint, code};
}

static void check_processor(Doctor *doctor)
{
    Arena *const arena = doctor->options->arena;
    Diagnostics *const quiet = diagnostics_open(arena);
    const HostFacts host = host_facts(arena);
    const TargetMachineInfo *const native = target_find(quiet, "native");
    if (native)
        found(doctor, "processor", arena_format(arena, "%s, %d cores, level %s", host.cpu, host.cores, native->name));
    else
        missed(doctor, "processor", arena_format(arena, "%s runs none of the levels that Lathe compiles for", host.cpu),
               EXIT_DEVICE, "models can still be compiled here and run on a machine with AVX2 and FMA");
}

static void check_linker(Doctor *doctor)
{
    const char *const linker = link_find(doctor->options->arena), *const chosen = getenv("LATHE_LINKER");
    if (linker)
        found(doctor, "linker", linker);
    else if (chosen && *chosen)
        missed(doctor, "linker",
               arena_format(doctor->options->arena, "LATHE_LINKER=%s is no program",
                            diag_quote(doctor->options->arena, chosen, 200)),
               EXIT_BACKEND, "unset LATHE_LINKER, or let it name a linker such as ld.lld");
    else
        missed(doctor, "linker", "none of ld.lld, mold, ld, cc is in PATH", EXIT_BACKEND,
               "install lld or binutils, or set LATHE_LINKER");
}

/* Only models for NVIDIA GPUs need these two, so they cannot fail. */
static void check_cuda(Doctor *doctor)
{
    Arena *const arena = doctor->options->arena;
    Assembler assembler;
    int (*version)(int *) = NULL;
    int number = 0;
    const bool assembles = ptxas_find(arena, &assembler);
    found(doctor, "ptxas",
          assembles ? arena_format(arena, "%s, version %s", assembler.path, assembler.version)
                    : "none: models for NVIDIA GPUs carry PTX alone (PATH, LATHE_PTXAS)");
    void *const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (driver)
        *(void **)&version = dlsym(driver, "cuDriverGetVersion");
    if (version && version(&number) == 0)
        found(doctor, "driver", arena_format(arena, "libcuda.so.1, for CUDA %d.%d", number / 1000, number % 1000 / 10));
    else
        found(doctor, "driver",
              driver ? "libcuda.so.1 is too old" : "none: models for NVIDIA GPUs are compiled but not run here");
}

static void check_temporary(Doctor *doctor)
{
    const char *const given = getenv("TMPDIR"), *const folder = given && *given ? given : "/tmp";
    if (access(folder, W_OK | X_OK) == 0)
        found(doctor, "temporary", folder);
    else
        missed(doctor, "temporary", arena_format(doctor->options->arena, "%s cannot be written to", folder), EXIT_IO,
               "set TMPDIR to a folder of your own");
}

static void check_cache(Doctor *doctor)
{
    const char *const folder = cache_folder(doctor->options);
    if (option_given(doctor->options, OPTION_NO_CACHE))
        found(doctor, "cache", "switched off by --no-cache");
    else if (folder && cache_open(doctor->options->arena, folder))
        found(doctor, "cache", folder);
    else
        missed(
            doctor, "cache",
            folder ? arena_format(doctor->options->arena, "%s cannot be used", folder) : "there is no place for it",
            EXIT_IO,
            "it must be a folder that belongs to you and that nobody else may write to; LATHE_CACHE_DIR names another");
}

/* ---- the model: y = max(0, 2x + 1) ---- */

static Graph *make_graph(Ir *ir, const void *context)
{
    static const int64_t dims[] = {ELEMENTS};
    (void)context;
    Node *const x = probe_input(ir, 0, 1, dims);
    Node *const twice[] = {x, constant_scalar(ir, DTYPE_F32, 2)};
    Node *const product = tensor_make(ir, OP_Mul, twice, 2, 1, NULL, 0);
    Node *const more[] = {product, constant_scalar(ir, DTYPE_F32, 1)};
    Node *const sum = product ? tensor_make(ir, OP_Add, more, 2, 1, NULL, 0) : NULL;
    return probe_graph(ir, "doctor", &x, 1, sum ? tensor_make(ir, OP_Relu, &sum, 1, 1, NULL, 0) : NULL);
}

static bool run_model(Library *library, const char **wrong)
{
    static const float in[ELEMENTS] = {-3, -1, -0.5f, -0.25f, 0, 0.25f, 1, 1000},
                       expected[ELEMENTS] = {0, 0, 0, 0.5f, 1, 1.5f, 3, 2001};
    float out[ELEMENTS] = {0};
    const void *const inputs[] = {in};
    void *const outputs[] = {out};
    if (library->model->api->run(library->context, inputs, outputs, NULL) != 0)
        *wrong = library->model->api->error_text(library->context);
    else if (memcmp(out, expected, sizeof out) != 0)
        *wrong = "it computed other numbers than it should";
    return !*wrong;
}

static void check_model(Doctor *doctor)
{
    Options options = *doctor->options; /* the model's errors are this check's detail */
    Diagnostics *const quiet = diagnostics_open(options.arena);
    Library library;
    const char *wrong = NULL;
    options.diagnostics = quiet;
    const bool runs = probe_build(&options, "doctor", make_graph, NULL, &library) && library_start(&library, 1) &&
                      run_model(&library, &wrong);
    const char *const version =
        library.model ? arena_format(options.arena, "Relu(2 x + 1) is compiled and computes what it should") : "";
    if (runs)
        found(doctor, "model", version);
    else
        missed(doctor, "model",
               wrong          ? wrong
               : quiet->first ? quiet->first->text
                              : "it cannot be made",
               wrong         ? EXIT_DEVICE
               : quiet->code ? quiet->code
                             : EXIT_BACKEND,
               "see the checks above; if they are all passed, please report this");
    library_close(&library);
}

/* ---- the answer ---- */

static void print_text(const Doctor *doctor)
{
    const bool color = color_wanted(doctor->options, stdout);
    for (int i = 0; i < doctor->count; i++) {
        const Check *const check = &doctor->checks[i];
        const char *const paint = !color ? "" : check->hint ? "\033[1;31m" : "\033[1;32m";
        printf("%s%-6s%s %-10s %s\n", paint, check->hint ? "failed" : "ok", color ? "\033[0m" : "", check->name,
               check->detail);
        if (check->hint)
            printf("       hint: %s\n", check->hint);
    }
}

static bool write_json(const Doctor *doctor)
{
    Answer answer;
    if (!answer_open(&answer, doctor->options, "lathe.doctor/1"))
        return false;
    const HostFacts host = host_facts(doctor->options->arena);
    host_json(&answer.json, &host);
    json_key(&answer.json, "checks");
    json_array(&answer.json);
    for (int i = 0; i < doctor->count; i++) {
        const Check *const check = &doctor->checks[i];
        json_object(&answer.json);
        json_field_string(&answer.json, "name", check->name);
        json_field_bool(&answer.json, "ok", !check->hint);
        json_field_string(&answer.json, "detail", check->detail);
        if (check->hint)
            json_field_string(&answer.json, "hint", check->hint);
        json_close(&answer.json);
    }
    json_close(&answer.json);
    return answer_close(&answer);
}

int verb_doctor(const Options *options)
{
    Doctor doctor = {.options = options};
    if (option_given(options, OPTION_CALIBRATE))
        return calibrate(options) ? EXIT_OK : options->diagnostics->code;
    if (option_given(options, OPTION_OUTPUT)) {
        diag_error(options->diagnostics, EXIT_USAGE, NULL, "-o is for --calibrate: checks are printed");
        return EXIT_USAGE;
    }
    found(&doctor, "version", "lathe " LATHE_VERSION);
    found(&doctor, "back end", object_version(options->arena));
    check_processor(&doctor);
    check_linker(&doctor);
    check_cuda(&doctor);
    check_temporary(&doctor);
    check_cache(&doctor);
    check_model(&doctor);
    if (answer_wants_text(options))
        print_text(&doctor);
    if (answer_wants_json(options) && !write_json(&doctor))
        return options->diagnostics->code;
    /* A cache that cannot be used makes compiling slow, no more. */
    for (int i = 0; i < doctor.count; i++)
        if (doctor.checks[i].hint && strcmp(doctor.checks[i].name, "cache") != 0)
            return doctor.checks[i].code;
    return EXIT_OK;
}
