/* Scanning of the command line: see options.h. */
#include "tools/options.h"

#include <assert.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define V(id)     (1u << VERB_##id)
#define ALL_VERBS (~0u)

const VerbRow verb_rows[VERB_COUNT] = {
#define VERB(id, verb_name, verb_arguments, fewest_arguments, most_arguments, summary_text, description_text,          \
             example_text)                                                                                             \
    [VERB_##id] = {.name = #verb_name,                                                                                 \
                   .arguments = verb_arguments,                                                                        \
                   .fewest = fewest_arguments,                                                                         \
                   .most = most_arguments,                                                                             \
                   .summary = summary_text,                                                                            \
                   .description = description_text,                                                                    \
                   .examples = example_text},
#include "tools/options.def"
};

const OptionRow option_rows[OPTION_COUNT] = {
#define OPTION(id, verb_bits, section_id, letter_char, long_name, kind_id, argument_text, initial_text, choice_text,   \
               help_text)                                                                                              \
    [OPTION_##id] = {.verbs = verb_bits,                                                                               \
                     .section = SECTION_##section_id,                                                                  \
                     .letter = letter_char,                                                                            \
                     .name = long_name,                                                                                \
                     .kind = KIND_##kind_id,                                                                           \
                     .argument = argument_text,                                                                        \
                     .initial = initial_text,                                                                          \
                     .choices = choice_text,                                                                           \
                     .help = help_text},
#include "tools/options.def"
};

const StatusRow status_rows[] = {
#define STATUS(number, meaning) {number, meaning},
#include "tools/options.def"
};
const int status_row_count = sizeof status_rows / sizeof *status_rows;

const char *const section_titles[SECTION_COUNT] = {
    [SECTION_VERB] = "Options",
    [SECTION_MODEL] = "Model options",
    [SECTION_TARGET] = "Target options",
    [SECTION_GLOBAL] = "Global options",
};

static_assert(VERB_COUNT <= 32, "verbs are bits of a 32-bit set");

enum { LONG_BASE = 256 }; /* what getopt_long returns for long options: above every letter */

/* Is this row part of the command line of `verb`? In front of the verb only global options may stand. */
static bool row_applies(const OptionRow *row, VerbId verb)
{
    return verb == VERB_NONE ? row->section == SECTION_GLOBAL : (row->verbs >> verb & 1) != 0;
}

/* How the user would write the option: "--emit" or "-O". */
static const char *row_label(Arena *arena, const OptionRow *row)
{
    return row->name ? arena_format(arena, "--%s", row->name) : arena_format(arena, "-%c", row->letter);
}

static bool usage_error(const Options *options, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool usage_error(const Options *options, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vformat(options->arena, format, arguments);
    va_end(arguments);
    return diag_error(options->diagnostics, EXIT_USAGE, NULL, "%s", text);
}

static const char *quoted(const Options *options, const char *text)
{
    return diag_quote(options->arena, text, 80);
}

/* The tables that getopt_long wants for one verb. */
typedef struct Scanner {
    struct option *longs;
    char *letters;
    VerbId verb;
} Scanner;

static Scanner scanner_make(Arena *arena, VerbId verb)
{
    Scanner scanner = {.longs = NEW_ARRAY(arena, struct option, OPTION_COUNT + 1),
                       .letters = NEW_ARRAY(arena, char, 3 * OPTION_COUNT + 3),
                       .verb = verb};
    int longs = 0;
    char *letter = scanner.letters;
    if (verb == VERB_NONE)
        *letter++ = '+'; /* stop at the verb */
    *letter++ = ':';     /* a missing value is told apart from an unknown option */
    for (int id = 0; id < OPTION_COUNT; id++) {
        const OptionRow *row = &option_rows[id];
        if (!row_applies(row, verb))
            continue;
        const bool plain = row->kind == KIND_FLAG || row->kind == KIND_COUNT;
        if (row->name)
            scanner.longs[longs++] = (struct option){.name = row->name,
                                                     .has_arg = plain                     ? no_argument
                                                                : row->kind == KIND_MAYBE ? optional_argument
                                                                                          : required_argument,
                                                     .val = LONG_BASE + id};
        if (!row->letter)
            continue;
        *letter++ = row->letter;
        for (int colons = plain ? 0 : row->kind == KIND_MAYBE ? 2 : 1; colons > 0; colons--)
            *letter++ = ':';
    }
    return scanner;
}

/* The row behind what getopt_long returned or left in optopt; OPTION_COUNT when there is none. */
static OptionId scanner_find(const Scanner *scanner, int value)
{
    if (value >= LONG_BASE)
        return (OptionId)(value - LONG_BASE);
    for (int id = 0; id < OPTION_COUNT; id++)
        if (value && option_rows[id].letter == value && row_applies(&option_rows[id], scanner->verb))
            return (OptionId)id;
    return OPTION_COUNT;
}

/* Which verbs know the option that this one does not? Then a typing error is unlikely. */
static bool unknown_elsewhere(const Options *options, const char *name, size_t length)
{
    for (int id = 0; id < OPTION_COUNT; id++) {
        const OptionRow *row = &option_rows[id];
        if (!row->name || strlen(row->name) != length || memcmp(row->name, name, length) != 0)
            continue;
        const char *verbs = "";
        for (int verb = 0; verb < VERB_COUNT; verb++)
            if (row->verbs >> verb & 1)
                verbs = arena_format(options->arena, "%s%s%s", verbs, *verbs ? ", " : "", verb_rows[verb].name);
        diag_hint(options->diagnostics,
                  options->verb == VERB_NONE ? "'--%s' stands after one of the verbs: %s"
                                             : "'--%s' is an option of: %s",
                  row->name, verbs);
        return true;
    }
    return false;
}

static bool unknown_long(const Options *options, const Scanner *scanner, const char *typed)
{
    const size_t length = strcspn(typed + 2, "=");
    char *const name = arena_format(options->arena, "%.*s", (int)(length < 200 ? length : 200), typed + 2);
    const bool verb = options->verb != VERB_NONE;
    usage_error(options, "unknown option '--%s'%s%s", quoted(options, name), verb ? " for lathe " : "",
                verb ? verb_rows[options->verb].name : "");
    if (unknown_elsewhere(options, name, strlen(name)))
        return false;
    const char *names[OPTION_COUNT];
    int count = 0;
    for (const struct option *row = scanner->longs; row->name; row++)
        names[count++] = row->name;
    const char *nearest = nearest_name(name, names, count);
    if (nearest)
        diag_hint(options->diagnostics, "did you mean '--%s'?", nearest);
    return false;
}

/* `element` must be one of "a|b|c". */
static bool choice_check(const Options *options, const OptionRow *row, const char *element)
{
    char *const choices = arena_format(options->arena, "%s", row->choices);
    const char *names[32];
    int count = 0;
    char *rest = choices;
    for (char *name; (name = strsep(&rest, "|")) && count < 32;)
        names[count++] = name;
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], element) == 0)
            return true;
    usage_error(options, "%s cannot be '%s': it is one of %s", row_label(options->arena, row), quoted(options, element),
                row->choices);
    const char *nearest = nearest_name(element, names, count);
    if (nearest)
        diag_hint(options->diagnostics, "did you mean '%s'?", nearest);
    return false;
}

static bool integer_check(const Options *options, const OptionRow *row, const char *text)
{
    int64_t value = 0;
    if (!text_to_integer(text, &value))
        return usage_error(options, "%s needs an integer, not '%s'", row_label(options->arena, row),
                           quoted(options, text));
    char *end = NULL;
    const int64_t smallest = strtoll(row->choices, &end, 10);
    const int64_t largest = strtoll(end + 2, NULL, 10);
    if (value >= smallest && value <= largest)
        return true;
    return usage_error(options, "%s is %lld, but goes from %lld to %lld", row_label(options->arena, row),
                       (long long)value, (long long)smallest, (long long)largest);
}

static bool list_check(const Options *options, const OptionRow *row, const char *text)
{
    char *rest = arena_format(options->arena, "%s", text);
    for (char *element; (element = strsep(&rest, ","));) {
        if (!*element)
            return usage_error(options, "%s has an empty element in '%s'", row_label(options->arena, row),
                               quoted(options, text));
        if (row->choices && !choice_check(options, row, element))
            return false;
    }
    return true;
}

static bool value_check(const Options *options, const OptionRow *row, const char *text)
{
    int64_t integer = 0;
    double number = 0;
    const char *wanted = NULL;
    switch (row->kind) {
    case KIND_INTEGER:
        return integer_check(options, row, text);
    case KIND_CHOICE:
        return choice_check(options, row, text);
    case KIND_LIST:
        return list_check(options, row, text);
    case KIND_SIZE:
        wanted = text_to_size(text, &integer) ? NULL : "a size such as 64k or 1G";
        break;
    case KIND_DURATION:
        wanted = text_to_duration(text, &number) ? NULL : "a time such as 500ms, 2s or 10m";
        break;
    case KIND_PERCENT:
        wanted = text_to_percent(text, &number) ? NULL : "a percentage such as +5%";
        break;
    case KIND_TEXT:
    case KIND_REPEATED:
        wanted = *text ? NULL : "a value that is not empty";
        break;
    case KIND_FLAG:
    case KIND_COUNT:
    case KIND_MAYBE:
        break;
    }
    return !wanted ||
           usage_error(options, "%s needs %s, not '%s'", row_label(options->arena, row), wanted, quoted(options, text));
}

/* Appends a value; room doubles whenever the count reaches a power of two. */
static bool value_add(Options *options, OptionId id, const char *text)
{
    if (text && !value_check(options, &option_rows[id], text))
        return false;
    OptionValues *values = &options->values[id];
    if ((values->count & (values->count - 1)) == 0) {
        const char **larger = NEW_ARRAY(options->arena, const char *, values->count ? 2 * (size_t)values->count : 1);
        if (values->count)
            memcpy(larger, values->texts, (size_t)values->count * sizeof *larger);
        values->texts = larger;
    }
    values->texts[values->count++] = text;
    return true;
}

/* getopt_long completes abbreviations; names would then stay for ever in forms nobody wrote down, so only whole ones
 * count. */
static bool name_is_whole(const char *typed, const OptionRow *row)
{
    return row->name && strncmp(typed, "--", 2) == 0 && strcspn(typed + 2, "=") == strlen(row->name);
}

static bool scan_failed(const Options *options, const Scanner *scanner, int result, const char *typed)
{
    const OptionId id = scanner_find(scanner, optopt);
    if (id != OPTION_COUNT && optopt >= LONG_BASE && !name_is_whole(typed, &option_rows[id]))
        return unknown_long(options, scanner, typed);
    if (result == ':' && id != OPTION_COUNT)
        return usage_error(options, "%s needs a value: %s", row_label(options->arena, &option_rows[id]),
                           option_rows[id].argument);
    if (id != OPTION_COUNT && optopt >= LONG_BASE)
        return usage_error(options, "%s takes no value, but '%s' gives one",
                           row_label(options->arena, &option_rows[id]), quoted(options, typed));
    if (optopt == 0)
        return unknown_long(options, scanner, typed);
    const char letter[] = {(char)optopt, '\0'};
    return usage_error(options, "unknown option '-%s'", quoted(options, letter));
}

/* Scans argv[first..]; stops at the verb (VERB_NONE) or after the last argument. getopt starts at index 1: argv[first -
 * 1] stands for the program's name. */
static bool scan(Options *options, int argc, char **argv, int *next)
{
    const Scanner scanner = scanner_make(options->arena, options->verb);
    optind = 0; /* glibc: start anew, forget earlier scans */
    opterr = 0;
    for (;;) {
        const int before = optind ? optind : 1;
        const int result = getopt_long(argc, argv, scanner.letters, scanner.longs, NULL);
        if (result < 0)
            break;
        /* A long option is one argument, or two when its value stands apart: then it starts at optind - 2. */
        const bool apart = result >= LONG_BASE && optarg && optind >= 2 && optarg == argv[optind - 1];
        const char *typed = argv[optind - (apart ? 2 : 1) > 0 ? optind - (apart ? 2 : 1) : before];
        if (result == '?' || result == ':')
            return scan_failed(options, &scanner, result, typed);
        const OptionId id = scanner_find(&scanner, result);
        if (result >= LONG_BASE && !name_is_whole(typed, &option_rows[id]))
            return unknown_long(options, &scanner, typed);
        if (!value_add(options, id, optarg))
            return false;
    }
    *next = optind;
    return true;
}

static bool verb_find(Options *options, const char *name)
{
    const char *names[VERB_COUNT];
    for (int verb = 0; verb < VERB_COUNT; verb++) {
        names[verb] = verb_rows[verb].name;
        if (strcmp(name, names[verb]) == 0) {
            options->verb = (VerbId)verb;
            return true;
        }
    }
    usage_error(options, "'%s' is not a verb of lathe", quoted(options, name));
    const char *nearest = nearest_name(name, names, VERB_COUNT);
    diag_hint(options->diagnostics, nearest ? "did you mean '%s'?" : "lathe help lists the verbs", nearest);
    return false;
}

static bool arguments_check(const Options *options)
{
    const VerbRow *verb = &verb_rows[options->verb];
    if (option_given(options, OPTION_SHOW_HELP) || option_given(options, OPTION_VERSION))
        return true;
    if (options->argument_count < verb->fewest)
        return usage_error(options, "lathe %s needs %s", verb->name, verb->arguments);
    if (options->argument_count > verb->most)
        return usage_error(options, "lathe %s takes %d argument%s, '%s' is one too many", verb->name, verb->most,
                           verb->most == 1 ? "" : "s", quoted(options, options->arguments[verb->most]));
    return true;
}

bool options_parse(Options *options, int argc, char **argv, Arena *arena, Diagnostics *diagnostics)
{
    *options = (Options){.verb = VERB_NONE, .arena = arena, .diagnostics = diagnostics};
    if (!response_files_expand(&argc, &argv, arena, diagnostics))
        return false;
    int next = 0;
    if (!scan(options, argc, argv, &next))
        return false;
    if (next >= argc)
        return true;
    if (!verb_find(options, argv[next]))
        return false;
    argc -= next;
    argv += next;
    if (!scan(options, argc, argv, &next))
        return false;
    options->argument_count = argc - next;
    options->arguments = (const char **)argv + next;
    return arguments_check(options);
}

bool color_wanted(const Options *options, FILE *stream)
{
    const char *const asked[] = {option_given(options, OPTION_COLOR) ? option_text(options, OPTION_COLOR) : NULL,
                                 getenv("LATHE_COLOR")};
    for (int i = 0; i < 2; i++) {
        if (asked[i] && strcmp(asked[i], "always") == 0)
            return true;
        if (asked[i] && strcmp(asked[i], "never") == 0)
            return false;
    }
    const char *const off = getenv("NO_COLOR");
    if (off && *off)
        return false;
    static const char *const forces[] = {"CLICOLOR_FORCE", "FORCE_COLOR"};
    for (int i = 0; i < 2; i++) {
        const char *const force = getenv(forces[i]);
        if (force && *force && strcmp(force, "0") != 0)
            return true;
    }
    const char *const terminal = getenv("TERM");
    return isatty(fileno(stream)) && (!terminal || strcmp(terminal, "dumb") != 0);
}
