/* The lathe program: scans the command line, calls the verb, prints what was said, leaves with the code. */
#include "tools/leave.h"
#include "tools/runner/runner.h"
#include "tools/verbs.h"

#include <locale.h>
#include <string.h>
#include <unistd.h>

typedef int VerbFunction(const Options *options);

static VerbFunction *const functions[VERB_COUNT] = {
#define VERB(id, name, ...) [VERB_##id] = verb_##name,
#include "tools/options.def"
};

static int dispatch(const Options *options)
{
    if (option_given(options, OPTION_VERSION)) {
        puts("lathe " LATHE_VERSION);
        return EXIT_OK;
    }
    if (option_given(options, OPTION_SHOW_HELP)) {
        help_print(stdout, options->verb);
        return EXIT_OK;
    }
    if (options->verb == VERB_NONE) {
        help_print(stderr, VERB_NONE);
        return EXIT_USAGE;
    }
    return functions[options->verb](options);
}

/* The errors alone, without warnings, notes and hints. */
static Diagnostics errors_of(const Diagnostics *diagnostics)
{
    Diagnostics errors = {.arena = diagnostics->arena};
    for (const Diagnostic *diagnostic = diagnostics->first; diagnostic; diagnostic = diagnostic->next) {
        if (diagnostic->severity != SEVERITY_ERROR)
            continue;
        Diagnostic *const copy = NEW(errors.arena, Diagnostic);
        *copy = *diagnostic;
        copy->next = NULL;
        *(errors.last ? &errors.last->next : &errors.first) = copy;
        errors.last = copy;
    }
    return errors;
}

/* Messages follow the result; --quiet keeps the errors only. */
static void messages_print(const Options *options)
{
    const Diagnostics errors = errors_of(options->diagnostics);
    diag_print(option_given(options, OPTION_QUIET) ? &errors : options->diagnostics, stderr,
               color_wanted(options, stderr));
}

int main(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "lathe-runner") == 0) /* started by lathe tune, which has no other file to start */
        return runner_serve(STDIN_FILENO, STDOUT_FILENO);
    leave_cleanly();
    setlocale(LC_CTYPE, ""); /* for the character set alone: numbers keep their points */
    Arena *const arena = arena_open(0, NULL, NULL);
    Diagnostics *const diagnostics = diagnostics_open(arena);
    Options options;
    int code = EXIT_OK;
    if (options_parse(&options, argc, argv, arena, diagnostics))
        code = dispatch(&options);
    messages_print(&options);
    if (code == EXIT_OK && diagnostics->error_count > 0)
        code = diagnostics->code;
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK) {
        perror("lathe: standard output");
        code = EXIT_IO;
    }
    arena_close(arena);
    return code;
}
