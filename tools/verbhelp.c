/* lathe help and lathe completion: texts made from the option table. */
#include "tools/verbs.h"

#include <string.h>

int verb_help(const Options *options)
{
    VerbId verb = VERB_NONE;
    const char *names[VERB_COUNT];
    for (int i = 0; i < VERB_COUNT; i++)
        names[i] = verb_rows[i].name;
    if (options->argument_count > 0) {
        const char *const name = options->arguments[0];
        for (int i = 0; i < VERB_COUNT; i++)
            if (strcmp(names[i], name) == 0)
                verb = (VerbId)i;
        if (verb == VERB_NONE) {
            diag_error(options->diagnostics, EXIT_USAGE, NULL, "'%s' is not a verb of lathe",
                       diag_quote(options->arena, name, 80));
            const char *const nearest = nearest_name(name, names, VERB_COUNT);
            if (nearest)
                diag_hint(options->diagnostics, "did you mean '%s'?", nearest);
            return EXIT_USAGE;
        }
    }
    if (option_given(options, OPTION_MARKDOWN))
        help_markdown(stdout);
    else if (option_given(options, OPTION_MAN))
        help_man(stdout, verb);
    else
        help_print(stdout, verb);
    return EXIT_OK;
}

int verb_completion(const Options *options)
{
    const char *const shell = options->arguments[0];
    if (completion_print(stdout, shell))
        return EXIT_OK;
    diag_error(options->diagnostics, EXIT_USAGE, NULL, "no completion for '%s': the shells are %s",
               diag_quote(options->arena, shell, 80), verb_rows[VERB_COMPLETION].arguments);
    return EXIT_USAGE;
}
