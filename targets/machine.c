/* Reading machine files: see machine.h. */
#include "targets/machine.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, WORD_MOST = 64, FIELDS_MOST = 64, SECTIONS_MOST = 64 };

const MachineField machine_fields[] = {
#define WHOLE(name, least, most, what)                                                                                 \
    {#name, what, offsetof(TargetMachineInfo, name), true, (double)(least), (double)(most)},
#define REAL(name, least, most, what) {#name, what, offsetof(TargetMachineInfo, name), false, least, most},
#include "targets/machine.def"
};
const int machine_field_count = sizeof machine_fields / sizeof *machine_fields;
_Static_assert(sizeof machine_fields / sizeof *machine_fields <= FIELDS_MOST,
               "a section remembers lines of all fields");

double machine_number(const TargetMachineInfo *level, const MachineField *field)
{
    const char *const at = (const char *)level + field->offset;
    int64_t whole;
    double real;
    if (!field->whole) {
        memcpy(&real, at, sizeof real);
        return real;
    }
    memcpy(&whole, at, sizeof whole);
    return (double)whole;
}

void machine_number_set(TargetMachineInfo *level, const MachineField *field, double number)
{
    char *const at = (char *)level + field->offset;
    const int64_t whole = (int64_t)number;
    if (field->whole)
        memcpy(at, &whole, sizeof whole);
    else
        memcpy(at, &number, sizeof number);
}

void machine_number_print(FILE *file, const TargetMachineInfo *level, const MachineField *field)
{
    const double number = machine_number(level, field);
    char text[32];
    snprintf(text, sizeof text, "%.15g", number);
    if (strtod(text, NULL) != number)
        snprintf(text, sizeof text, "%.17g", number);
    fprintf(file, "%s %s\n", field->name, text);
}

/* ---- reading ---- */

typedef struct Reader {
    Diagnostics *diagnostics;
    Where where;
    TargetChoice *choice;
    TargetMachineInfo *levels[TARGET_LEVELS_MAX]; /* the choice's own copies */
    const TargetMachineInfo *section;             /* the row that lines are about; NULL: every level */
    int lines[FIELDS_MOST];                       /* of this section: where a number was said; 0: nowhere */
    double numbers[FIELDS_MOST];
    const TargetMachineInfo *sections[SECTIONS_MOST]; /* that have begun */
    int section_lines[SECTIONS_MOST];
    int section_count;
} Reader;

#define WRONG(reader, ...) diag_error((reader)->diagnostics, EXIT_MALFORMED, &(reader)->where, __VA_ARGS__)

static const char *quoted(const Reader *reader, const char *text)
{
    return diag_quote(reader->diagnostics->arena, text, WORD_MOST);
}

/* The field called like that, NULL after a diagnostic. */
static const MachineField *field_called(Reader *reader, const char *name)
{
    for (int i = 0; i < machine_field_count; i++)
        if (strcmp(machine_fields[i].name, name) == 0)
            return &machine_fields[i];
    const char *nearest = machine_fields[0].name;
    int least = INT_MAX;
    for (int i = 0; i < machine_field_count; i++)
        target_nearer(name, machine_fields[i].name, &nearest, &least);
    WRONG(reader, "no number of a machine is called \"%s\"; did you mean \"%s\"?", quoted(reader, name), nearest);
    return NULL;
}

/* A number of the field, decimal. */
static bool read_number(Reader *reader, const MachineField *field, const char *text, double *number)
{
    char *end;
    *number = strtod(text, &end);
    if (end == text || *end || text[strspn(text, "0123456789.eE+-")] || !isfinite(*number))
        return WRONG(reader, "\"%s\" takes a number, not \"%s\"", field->name, quoted(reader, text));
    if (field->whole && *number != floor(*number))
        return WRONG(reader, "\"%s\" takes a whole number, not %s", field->name, quoted(reader, text));
    return (*number >= field->least && *number <= field->most) ||
           WRONG(reader, "\"%s\" is %s, which is not within %.15g to %.15g", field->name, quoted(reader, text),
                 field->least, field->most);
}

static bool assign(Reader *reader, const char *name, const char *text)
{
    double number;
    const MachineField *const field = field_called(reader, name);
    if (!field || !read_number(reader, field, text, &number))
        return false;
    const int index = (int)(field - machine_fields);
    if (reader->lines[index])
        return WRONG(reader, "\"%s\" is %.15g here and %.15g in line %d", name, number, reader->numbers[index],
                     reader->lines[index]);
    reader->lines[index] = reader->where.line;
    reader->numbers[index] = number;
    for (int i = 0; i < reader->choice->level_count; i++)
        if (!reader->section || strcmp(reader->section->name, reader->levels[i]->name) == 0)
            machine_number_set(reader->levels[i], field, number);
    return true;
}

/* "level NAME". */
static bool begin_section(Reader *reader, const char *name)
{
    const char *nearest = target_at(0)->name;
    int least = INT_MAX;
    reader->section = NULL;
    for (int i = 0; i < target_count(); i++) {
        target_nearer(name, target_at(i)->name, &nearest, &least);
        if (strcmp(name, target_at(i)->name) == 0)
            reader->section = target_at(i);
    }
    if (!reader->section)
        return WRONG(reader, "no level is called \"%s\"; did you mean \"%s\"?", quoted(reader, name), nearest);
    for (int i = 0; i < reader->section_count; i++)
        if (reader->sections[i] == reader->section)
            return WRONG(reader, "the numbers of \"%s\" begin here and in line %d", name, reader->section_lines[i]);
    if (reader->section_count == SECTIONS_MOST)
        return WRONG(reader, "more than %d levels", SECTIONS_MOST);
    reader->section_lines[reader->section_count] = reader->where.line;
    reader->sections[reader->section_count++] = reader->section;
    memset(reader->lines, 0, sizeof reader->lines);
    return true;
}

static bool read_words(Reader *reader, char *const *words, int count)
{
    if (count != 2)
        return WRONG(reader, "a line has a name and a number, this one %d words", count);
    if (reader->where.line == 1 && strcmp(words[0], "lathe-machine") == 0) {
        if (strcmp(words[1], "1") != 0)
            return WRONG(reader, "this is version %s of the format; this program reads version %d",
                         quoted(reader, words[1]), VERSION);
        return true;
    }
    return strcmp(words[0], "level") == 0 ? begin_section(reader, words[1]) : assign(reader, words[0], words[1]);
}

/* Splits the line in place. */
static bool read_line(Reader *reader, char *line)
{
    enum { WORDS_MOST = 3 };
    char *words[WORDS_MOST];
    int count = 0;
    line[strcspn(line, "#")] = 0;
    for (char *at = line + strspn(line, " \t\r"); *at; at += strspn(at, " \t\r")) {
        const size_t length = strcspn(at, " \t\r");
        if (count < WORDS_MOST)
            words[count] = at;
        count++;
        at += length;
        if (*at)
            *at++ = 0;
    }
    if (reader->where.line == 1 && (count == 0 || strcmp(words[0], "lathe-machine") != 0))
        return WRONG(reader, "a machine file begins with \"lathe-machine %d\", this one with \"%s\"", VERSION,
                     count ? quoted(reader, words[0]) : "");
    return count == 0 || read_words(reader, words, count);
}

bool machine_apply(Diagnostics *diagnostics, const char *name, const char *text, size_t size, TargetChoice *choice)
{
    Arena *const arena = diagnostics->arena;
    Reader reader = {.diagnostics = diagnostics, .choice = choice};
    reader.where = (Where){.file = name_intern(arena, name), .line = 1, .column = 1};
    if (size == 0 || memchr(text, 0, size))
        return WRONG(&reader, "this is no text of a machine");
    for (int i = 0; i < choice->level_count; i++)
        reader.levels[i] = arena_copy(arena, choice->levels[i], sizeof *choice->levels[i]);
    for (const char *at = text; at < text + size; reader.where.line++) {
        const char *const newline = memchr(at, '\n', (size_t)(text + size - at));
        const char *const end = newline ? newline : text + size;
        if (!read_line(&reader, arena_format(arena, "%.*s", (int)(end - at), at)))
            return false;
        at = newline ? newline + 1 : end;
    }
    for (int i = 0; i < choice->level_count; i++)
        choice->levels[i] = reader.levels[i];
    return true;
}
