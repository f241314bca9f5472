/* Linking: the three outputs as steps over a folder of temporary files (codegen/scratch.h) and one linker program. */
#define _GNU_SOURCE /* dladdr */
#include "codegen/link.h"
#include "codegen/archive.h"
#include "codegen/elf.h"
#include "codegen/object.h"
#include "codegen/scratch.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#if defined(__x86_64__)
enum { OWN_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { OWN_MACHINE = EM_AARCH64 };
#else
enum { OWN_MACHINE = EM_NONE };
#endif

/* First found wins: fastest first. DRIVER programs are compilers that call the linker themselves. A name that starts
 * with '-' stands behind the machine's prefix, as in aarch64-linux-gnu-ld; `all` know every machine. */
typedef enum LinkerStyle { STYLE_LINKER, STYLE_DRIVER } LinkerStyle;
static const struct {
    const char *name;
    LinkerStyle style;
    bool all;
} linkers[] = {
    {"ld.lld", STYLE_LINKER, true}, {"ld.lld-22", STYLE_LINKER, true}, {"ld.lld-19", STYLE_LINKER, true},
    {"mold", STYLE_LINKER, true},   {"ld.bfd", STYLE_LINKER, false},   {"ld", STYLE_LINKER, false},
    {"cc", STYLE_DRIVER, false},    {"gcc", STYLE_DRIVER, false},      {"clang", STYLE_DRIVER, false},
    {"-ld", STYLE_LINKER, true},    {"-gcc", STYLE_DRIVER, true},
};

bool link_is_foreign(int machine)
{
    return machine != 0 && machine != OWN_MACHINE;
}

static bool is_foreign(const LinkJob *job)
{
    return link_is_foreign(job->machine);
}

const char *program_find(Arena *arena, const char *name)
{
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 ? arena_format(arena, "%s", name) : NULL;
    const char *path = getenv("PATH");
    if (!path || !*path)
        path = "/usr/local/bin:/usr/bin:/bin";
    for (; *path; path += *path == ':') {
        const size_t length = strcspn(path, ":");
        const char *const candidate = arena_format(arena, "%.*s/%s", (int)length, path, name);
        if (length && access(candidate, X_OK) == 0)
            return candidate;
        path += length;
    }
    return NULL;
}

static const char *linker_find(Arena *arena, bool foreign, const char *gnu)
{
    const char *const chosen = getenv("LATHE_LINKER");
    if (chosen && *chosen)
        return program_find(arena, chosen);
    for (size_t i = 0; i < sizeof linkers / sizeof *linkers; i++) {
        const bool prefixed = linkers[i].name[0] == '-';
        if ((foreign && !linkers[i].all) || (prefixed && !gnu))
            continue;
        const char *const name = prefixed ? arena_format(arena, "%s%s", gnu, linkers[i].name) : linkers[i].name;
        const char *const found = program_find(arena, name);
        if (found)
            return found;
    }
    return NULL;
}

const char *link_find(Arena *arena)
{
    return linker_find(arena, false, NULL);
}

static LinkerStyle linker_style(const char *path)
{
    const char *const slash = strrchr(path, '/');
    const char *const name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof linkers / sizeof *linkers; i++)
        if (strcmp(name, linkers[i].name) == 0)
            return linkers[i].style;
    /* "x86_64-linux-gnu-gcc-12", "clang-22": drivers; everything else takes a linker's arguments. */
    const bool driver = strstr(name, "gcc") || strstr(name, "clang") || strcmp(name, "c99") == 0;
    return driver ? STYLE_DRIVER : STYLE_LINKER;
}

/* ---- argument vectors ---- */

typedef struct Arguments {
    Arena *arena;
    const char **items;
    int count, capacity;
    LinkerStyle style;
} Arguments;

static void argument(Arguments *arguments, const char *text)
{
    if (arguments->count + 1 >= arguments->capacity) {
        const int capacity = arguments->capacity * 2 + 32;
        const char **const items = NEW_ARRAY(arguments->arena, const char *, capacity);
        if (arguments->count)
            memcpy(items, arguments->items, (size_t)arguments->count * sizeof *items);
        arguments->items = items;
        arguments->capacity = capacity;
    }
    arguments->items[arguments->count++] = text;
}

/* An option of the linker proper: drivers take it behind -Wl. */
static void option(Arguments *arguments, const char *text)
{
    argument(arguments, arguments->style == STYLE_DRIVER ? arena_format(arguments->arena, "-Wl,%s", text) : text);
}

static void option_z(Arguments *arguments, const char *keyword)
{
    if (arguments->style == STYLE_DRIVER) {
        argument(arguments, arena_format(arguments->arena, "-Wl,-z,%s", keyword));
        return;
    }
    argument(arguments, "-z");
    argument(arguments, keyword);
}

static const char *read_tail(Arena *arena, const char *path)
{
    enum { TAIL = 2000 };
    FILE *const file = fopen(path, "re");
    if (!file)
        return "";
    char text[TAIL + 1];
    const size_t length = fread(text, 1, TAIL, file);
    fclose(file);
    return diag_quote(arena, arena_format(arena, "%.*s", (int)length, text), TAIL);
}

static bool run(Diagnostics *diagnostics, const Scratch *scratch, const Arguments *arguments)
{
    const char *const log = scratch_path(scratch, "log");
    posix_spawn_file_actions_t actions;
    pid_t child = 0;
    int status = 0;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return diag_error(diagnostics, EXIT_BACKEND, NULL, "cannot start the linker: %s", strerror(errno));
    int failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    if (!failed)
        failed = posix_spawn(&child, arguments->items[0], &actions, NULL, (char *const *)arguments->items, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        return diag_error(diagnostics, EXIT_BACKEND, NULL, "cannot start %s: %s", arguments->items[0],
                          strerror(failed));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    diag_error(diagnostics, EXIT_BACKEND, NULL, "%s failed with %s %d: %s", arguments->items[0],
               WIFEXITED(status) ? "exit code" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
               read_tail(diagnostics->arena, log));
    diag_hint(diagnostics, "LATHE_LINKER=PROGRAM chooses another linker");
    return false;
}

static bool no_linker(Diagnostics *diagnostics, const LinkJob *job)
{
    if (!is_foreign(job))
        diag_error(diagnostics, EXIT_BACKEND, NULL, "no linker was found: looked for ld.lld, mold, ld and cc in PATH");
    else
        diag_error(diagnostics, EXIT_BACKEND, NULL,
                   "no linker for this target was found: looked for ld.lld, mold%s%s%s in PATH; the linker of this "
                   "machine knows this machine alone",
                   job->gnu ? " and " : "", job->gnu ? job->gnu : "", job->gnu ? "-ld" : "");
    diag_hint(diagnostics, is_foreign(job) ? "install lld, or set LATHE_LINKER to a linker that knows the target"
                                           : "install lld or binutils, or set LATHE_LINKER to a linker");
    return false;
}

static bool arguments_open(Arguments *arguments, Diagnostics *diagnostics, const LinkJob *job)
{
    Arena *const arena = diagnostics->arena;
    const char *const linker = linker_find(arena, is_foreign(job), job->gnu);
    const char *const chosen = getenv("LATHE_LINKER");
    if (!linker && chosen && *chosen)
        return diag_error(diagnostics, EXIT_BACKEND, NULL, "LATHE_LINKER names \"%s\", which cannot be run",
                          diag_quote(arena, chosen, 200));
    if (!linker)
        return no_linker(diagnostics, job);
    *arguments = (Arguments){.arena = arena, .style = linker_style(linker)};
    argument(arguments, linker);
    return true;
}

/* ---- inputs ---- */

/* Objects in memory become files "000001.o" ...: their order is the order on the command line. */
static bool add_inputs(Diagnostics *diagnostics, const Scratch *scratch, const LinkJob *job, Arguments *arguments)
{
    for (int i = 0; i < job->input_count; i++) {
        const LinkInput *const input = &job->inputs[i];
        if (input->path) {
            /* A name that starts with '-' would be an option. */
            argument(arguments,
                     input->path[0] == '-' ? arena_format(arguments->arena, "./%s", input->path) : input->path);
            continue;
        }
        const char *const path = scratch_path(scratch, arena_format(arguments->arena, "%06d.o", i));
        if (!scratch_write(path, input->data, input->bytes))
            return diag_error(diagnostics, EXIT_IO, NULL, "cannot write %s: %s", path, strerror(errno));
        argument(arguments, path);
    }
    return true;
}

/* The system's libc.so.6 and libm.so.6 as files: a linker without a driver does not know the folders. */
static const char *library_find(Arena *arena, const char *name)
{
    static const char *const folders[] = {"/lib/x86_64-linux-gnu",
                                          "/usr/lib/x86_64-linux-gnu",
                                          "/lib/aarch64-linux-gnu",
                                          "/usr/lib/aarch64-linux-gnu",
                                          "/lib64",
                                          "/usr/lib64",
                                          "/usr/lib",
                                          "/lib"};
    Dl_info info;
    if (dladdr((void *)(uintptr_t)&gnu_get_libc_version, &info) && info.dli_fname &&
        strstr(info.dli_fname, "libc.so")) {
        const int folder = (int)(strrchr(info.dli_fname, '/') ? strrchr(info.dli_fname, '/') - info.dli_fname : 0);
        const char *const path = arena_format(arena, "%.*s/%s", folder, info.dli_fname, name);
        if (folder && access(path, R_OK) == 0)
            return path;
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        const char *const path = arena_format(arena, "%s/%s", folders[i], name);
        if (access(path, R_OK) == 0)
            return path;
    }
    return NULL;
}

/* Links one stand-in and names it as an input. */
static bool add_stand_in(Diagnostics *diagnostics, const Scratch *scratch, const LinkStandIn *library,
                         Arguments *arguments)
{
    Arena *const arena = arguments->arena;
    Arguments own = {.arena = arena, .style = arguments->style};
    const char *const made = scratch_path(scratch, library->name);
    const char *const object = scratch_path(scratch, arena_format(arena, "%s.o", library->name));
    if (!scratch_write(object, library->object.data, library->object.bytes))
        return diag_error(diagnostics, EXIT_IO, NULL, "cannot write %s: %s", object, strerror(errno));
    argument(&own, arguments->items[0]);
    argument(&own, "-shared");
    if (own.style == STYLE_DRIVER)
        argument(&own, "-nostdlib");
    option(&own, arena_format(arena, "-soname=%s", library->name));
    argument(&own, "-o");
    argument(&own, made);
    argument(&own, object);
    argument(arguments, made);
    return run(diagnostics, scratch, &own);
}

static bool add_stand_ins(Diagnostics *diagnostics, const Scratch *scratch, const LinkJob *job, Arguments *arguments)
{
    option(arguments, "--as-needed");
    if (arguments->style == STYLE_DRIVER)
        argument(arguments, "-nostdlib");
    for (int i = 0; i < job->stand_in_count; i++)
        if (!add_stand_in(diagnostics, scratch, &job->stand_ins[i], arguments))
            return false;
    return true;
}

static void add_libraries(Arguments *arguments)
{
    option(arguments, "--as-needed");
    if (arguments->style == STYLE_DRIVER) {
        argument(arguments, "-nostdlib");
        argument(arguments, "-lm");
        argument(arguments, "-lc");
        return;
    }
    const char *const libm = library_find(arguments->arena, "libm.so.6");
    const char *const libc = library_find(arguments->arena, "libc.so.6");
    if (libm)
        argument(arguments, libm);
    if (libc)
        argument(arguments, libc);
}

static const char *version_script(const Scratch *scratch, const LinkJob *job)
{
    const char *const path = scratch_path(scratch, "exports");
    FILE *const file = fopen(path, "we");
    if (!file)
        return NULL;
    fputs("{\n", file);
    if (job->export_count)
        fputs("  global:\n", file);
    for (int i = 0; i < job->export_count; i++)
        fprintf(file, "    %s;\n", job->exports[i]);
    fputs("  local: *;\n};\n", file);
    const bool failed = ferror(file);
    return fclose(file) == 0 && !failed ? path : NULL;
}

/* ---- outputs ---- */

static bool finish(Diagnostics *diagnostics, Scratch *scratch, const LinkJob *job, const char *made, bool done)
{
    if (done && !scratch_commit(made, job->output))
        done = diag_error(diagnostics, EXIT_IO, NULL, "cannot write %s: %s",
                          diag_quote(diagnostics->arena, job->output, 400), strerror(errno));
    scratch_close(scratch);
    return done;
}

static bool start(Diagnostics *diagnostics, Scratch *scratch, const LinkJob *job)
{
    if (scratch_open(scratch, diagnostics->arena, job->output))
        return true;
    return diag_error(diagnostics, EXIT_IO, NULL, "cannot write beside %s: %s",
                      diag_quote(diagnostics->arena, job->output, 400), strerror(errno));
}

static bool shared_into(Diagnostics *diagnostics, const Scratch *scratch, const LinkJob *job, const char *made)
{
    Arguments arguments;
    if (!arguments_open(&arguments, diagnostics, job))
        return false;
    const char *const script = version_script(scratch, job);
    if (!script)
        return diag_error(diagnostics, EXIT_IO, NULL, "cannot write the list of symbols: %s", strerror(errno));
    argument(&arguments, "-shared");
    option(&arguments, "--build-id=none");
    option(&arguments, "--hash-style=gnu");
    option(&arguments, "--gc-sections");
    option(&arguments, "--no-undefined");
    option(&arguments, arena_format(arguments.arena, "--version-script=%s", script));
    option_z(&arguments, "noexecstack");
    option_z(&arguments, "relro");
    option_z(&arguments, "now");
    if (job->strip_debug)
        option(&arguments, "--strip-debug");
    argument(&arguments, "-o");
    argument(&arguments, made);
    if (!add_inputs(diagnostics, scratch, job, &arguments))
        return false;
    if (!is_foreign(job))
        add_libraries(&arguments);
    else if (!add_stand_ins(diagnostics, scratch, job, &arguments))
        return false;
    return run(diagnostics, scratch, &arguments);
}

static bool fill_hole(Diagnostics *diagnostics, const LinkJob *job, const char *made)
{
    LinkHole *const hole = job->hole;
    uint64_t offset;
    if (!hole)
        return true;
    hole->no_place = !elf_place(made, hole->symbol, hole->bytes, &offset);
    if (hole->no_place)
        return false;
    return hole->fill(hole->context, made, offset) ||
           diag_error(diagnostics, EXIT_IO, NULL, "weights cannot be written to %s: %s", made, strerror(errno));
}

bool link_shared(Diagnostics *diagnostics, const LinkJob *job)
{
    Scratch scratch;
    if (!start(diagnostics, &scratch, job))
        return false;
    const char *const made = scratch_path(&scratch, "made.so");
    return finish(diagnostics, &scratch, job, made,
                  shared_into(diagnostics, &scratch, job, made) && fill_hole(diagnostics, job, made));
}

/* Nothing unwinds through our functions, and every one of them would take 8 bytes of flash to say so. A word on stacks
 * would make linkers warn of all the objects of the program that have none. */
static bool leave_out_unwinding(const Scratch *scratch, Arguments *arguments)
{
    static const char script[] = "SECTIONS { /DISCARD/ : { *(.ARM.exidx*) *(.rel.ARM.exidx*) *(.note.GNU-stack) } }\n";
    const char *const path = scratch_path(scratch, "sections");
    argument(arguments, "-T");
    argument(arguments, path);
    return scratch_write(path, script, sizeof script - 1);
}

static bool read_made(Diagnostics *diagnostics, const LinkJob *job, const char *path)
{
    FILE *const file = fopen(path, "rbe");
    long bytes = -1;
    if (file && fseek(file, 0, SEEK_END) == 0)
        bytes = ftell(file);
    char *const data = bytes >= 0 ? arena_alloc(diagnostics->arena, (size_t)bytes + 1) : NULL;
    const bool good = data && fseek(file, 0, SEEK_SET) == 0 && fread(data, 1, (size_t)bytes, file) == (size_t)bytes;
    if (file)
        fclose(file);
    *job->made = (ObjectBytes){data, good ? (size_t)bytes : 0};
    return good || diag_error(diagnostics, EXIT_IO, NULL, "cannot read %s: %s", path, strerror(errno));
}

/* One object with only the exports visible, so that the objects of several models can stand in one program. */
static bool object_into(Diagnostics *diagnostics, const Scratch *scratch, const LinkJob *job, const char *made)
{
    Arguments arguments;
    if (!arguments_open(&arguments, diagnostics, job))
        return false;
    argument(&arguments, "-r");
    if (arguments.style == STYLE_DRIVER)
        argument(&arguments, "-nostdlib");
    if (job->strip_debug)
        option(&arguments, "--strip-debug");
    if (job->bare && !leave_out_unwinding(scratch, &arguments))
        return diag_error(diagnostics, EXIT_IO, NULL, "cannot write the linker's script: %s", strerror(errno));
    argument(&arguments, "-o");
    argument(&arguments, made);
    if (!add_inputs(diagnostics, scratch, job, &arguments) || !run(diagnostics, scratch, &arguments))
        return false;
    if (!elf_localize(made, job->exports, job->export_count))
        return diag_error(diagnostics, EXIT_BACKEND, NULL, "%s wrote something that is no ELF object",
                          arguments.items[0]);
    return !job->bare || read_made(diagnostics, job, made);
}

bool link_object(Diagnostics *diagnostics, const LinkJob *job)
{
    Scratch scratch;
    if (!start(diagnostics, &scratch, job))
        return false;
    const char *const made = scratch_path(&scratch, "made.o");
    return finish(diagnostics, &scratch, job, made, object_into(diagnostics, &scratch, job, made));
}

static bool static_into(Diagnostics *diagnostics, const Scratch *scratch, const LinkJob *job, const char *made)
{
    const char *const object = scratch_path(scratch, "made.o");
    if (!object_into(diagnostics, scratch, job, object))
        return false;
    FILE *const file = fopen(made, "we");
    if (!file)
        return diag_error(diagnostics, EXIT_IO, NULL, "cannot write %s: %s", made, strerror(errno));
    const bool written = archive_write(file, &(ArchiveMember){"model.o", object}, 1);
    if (fclose(file) != 0 || !written)
        return diag_error(diagnostics, EXIT_IO, NULL, "cannot write %s: %s", made, strerror(errno));
    return true;
}

bool link_static(Diagnostics *diagnostics, const LinkJob *job)
{
    Scratch scratch;
    if (!start(diagnostics, &scratch, job))
        return false;
    const char *const made = scratch_path(&scratch, "made.a");
    return finish(diagnostics, &scratch, job, made, static_into(diagnostics, &scratch, job, made));
}
