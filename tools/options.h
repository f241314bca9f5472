/* The command line: verbs and options as options.def lists them, scanned into one `Options`.
 *
 * options_parse reads response files, finds the verb, scans by getopt_long, checks every value against its row and
 * records what is wrong as usage errors (exit code 2) with a suggestion. After it succeeded the getters cannot fail. */
#ifndef LATHE_TOOLS_OPTIONS_H
#define LATHE_TOOLS_OPTIONS_H

#include "ir/diag.h"

#ifndef LATHE_VERSION
#error "LATHE_VERSION is the project's version, which CMake gives"
#endif

typedef enum VerbId {
#define VERB(id, ...) VERB_##id,
#include "tools/options.def"
    VERB_COUNT,
    VERB_NONE = VERB_COUNT
} VerbId;

typedef enum OptionId {
#define OPTION(id, ...) OPTION_##id,
#include "tools/options.def"
    OPTION_COUNT
} OptionId;

typedef enum OptionKind {
    KIND_FLAG,
    KIND_COUNT,
    KIND_TEXT,
    KIND_INTEGER,
    KIND_SIZE,
    KIND_DURATION,
    KIND_PERCENT,
    KIND_CHOICE,
    KIND_LIST,
    KIND_REPEATED,
    KIND_MAYBE,
} OptionKind;

typedef enum OptionSection { SECTION_VERB, SECTION_MODEL, SECTION_TARGET, SECTION_GLOBAL, SECTION_COUNT } OptionSection;

typedef struct VerbRow {
    const char *name;
    const char *arguments;
    int fewest, most;
    const char *summary;
    const char *description;
    const char *examples;
} VerbRow;

typedef struct OptionRow {
    uint32_t verbs; /* a bit per VerbId */
    OptionSection section;
    char letter;
    const char *name;
    OptionKind kind;
    const char *argument;
    const char *initial;
    const char *choices;
    const char *help;
} OptionRow;

typedef struct StatusRow {
    int number;
    const char *meaning;
} StatusRow;

extern const VerbRow verb_rows[VERB_COUNT];
extern const OptionRow option_rows[OPTION_COUNT];
extern const StatusRow status_rows[];
extern const int status_row_count;
extern const char *const section_titles[SECTION_COUNT];

typedef struct OptionValues {
    const char **texts;
    int count;
} OptionValues;

typedef struct Options {
    VerbId verb;            /* VERB_NONE: only --help, --version or nothing was given */
    const char **arguments; /* positionals; the model is the first */
    int argument_count;
    OptionValues values[OPTION_COUNT];
    Arena *arena;
    Diagnostics *diagnostics;
} Options;

bool options_parse(Options *options, int argc, char **argv, Arena *arena, Diagnostics *diagnostics);

bool option_given(const Options *options, OptionId id);
int option_count(const Options *options, OptionId id);
/* The last value given, else the initial one, else NULL. */
const char *option_text(const Options *options, OptionId id);
const char *option_at(const Options *options, OptionId id, int index);
int64_t option_integer(const Options *options, OptionId id); /* INTEGER and SIZE */
double option_number(const Options *options, OptionId id);   /* DURATION in seconds, PERCENT as a fraction */
bool option_is(const Options *options, OptionId id, const char *choice);
/* The elements of all LIST values given (or of the initial one); returns their number. */
int option_list(const Options *options, OptionId id, const char *const **elements);
bool option_list_has(const Options *options, OptionId id, const char *element);
/* Exactly `count` numbers of a LIST, or one number that stands `count` times; anything else is a usage error. */
bool option_numbers(const Options *options, OptionId id, double *numbers, int count);

/* Values as text, also used by verbs for their own arguments. False when `text` is not one. */
bool text_to_integer(const char *text, int64_t *value);
bool text_to_size(const char *text, int64_t *bytes);
bool text_to_duration(const char *text, double *seconds);
bool text_to_percent(const char *text, double *fraction);
bool text_to_number(const char *text, double *value); /* finite, decimal, no spaces */
/* The candidate nearest to `text`, or NULL when none is near. */
const char *nearest_name(const char *text, const char *const *candidates, int count);

/* Expands @file arguments (white space separates; quotes and backslash as in a shell) up to "--". */
bool response_files_expand(int *argc, char ***argv, Arena *arena, Diagnostics *diagnostics);

/* Colour for `stream`: --color, LATHE_COLOR, NO_COLOR, CLICOLOR_FORCE or FORCE_COLOR, then a terminal that is not dumb.
 */
bool color_wanted(const Options *options, FILE *stream);

/* Everything below is generated from the table. */
void help_print(FILE *file, VerbId verb); /* VERB_NONE: the overview */
void help_markdown(FILE *file);
void help_man(FILE *file, VerbId verb);
bool completion_print(FILE *file, const char *shell); /* false: the shell is unknown */

#endif
