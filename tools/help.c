/* Explanations made from the option table: --help, the Markdown reference and the manual pages. */
#include "tools/options.h"

#include <string.h>

enum { WIDTH = 100, COLUMN = 30 };

static bool row_of(const OptionRow *row, OptionSection section, VerbId verb)
{
    return row->section == section && (verb == VERB_NONE ? section == SECTION_GLOBAL : (row->verbs >> verb & 1) != 0);
}

static bool section_empty(OptionSection section, VerbId verb)
{
    for (int id = 0; id < OPTION_COUNT; id++)
        if (row_of(&option_rows[id], section, verb))
            return false;
    return true;
}

/* "-o, --output OUT" into `text`. */
static void label_write(char *text, size_t size, const OptionRow *row)
{
    const char *const argument = row->argument ? row->argument : "";
    const char *const joint = row->kind == KIND_MAYBE ? "[=" : row->argument ? " " : "";
    const char *const close = row->kind == KIND_MAYBE ? "]" : "";
    if (row->letter && row->name)
        snprintf(text, size, "-%c, --%s%s%s%s", row->letter, row->name, joint, argument, close);
    else if (row->name)
        snprintf(text, size, "--%s%s%s%s", row->name, joint, argument, close);
    else
        snprintf(text, size, "-%c%s", row->letter, argument);
}

/* The help text with what the table adds to it: choices and the initial value. */
static void meaning_write(char *text, size_t size, const OptionRow *row)
{
    const bool choices = row->choices && row->kind != KIND_INTEGER;
    const int used = snprintf(text, size, "%s%s%s%s", row->help, choices ? " [" : "", choices ? row->choices : "",
                              choices ? "]" : "");
    if (row->initial && used > 0 && (size_t)used < size)
        snprintf(text + used, size - (size_t)used, " (initially %s)", row->initial);
}

/* Prints words of `text` between columns `indent` and WIDTH; `column` is where the line stands already. */
static void wrap(FILE *file, const char *text, int indent, int column)
{
    while (*text) {
        const int length = (int)strcspn(text, " \n");
        if (column > indent && column + 1 + length > WIDTH) {
            fprintf(file, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', file);
            column++;
        }
        fwrite(text, 1, (size_t)length, file);
        column += length;
        text += length;
        text += *text != '\0';
    }
    fputc('\n', file);
}

static void section_print(FILE *file, OptionSection section, VerbId verb)
{
    if (section_empty(section, verb))
        return;
    fprintf(file, "\n%s:\n", section_titles[section]);
    for (int id = 0; id < OPTION_COUNT; id++) {
        const OptionRow *row = &option_rows[id];
        if (!row_of(row, section, verb))
            continue;
        char label[120], meaning[600];
        label_write(label, sizeof label, row);
        meaning_write(meaning, sizeof meaning, row);
        const int shown = fprintf(file, "  %s%s", row->letter ? "" : "    ", label);
        fprintf(file, "%*s", shown + 2 > COLUMN ? 0 : COLUMN - shown, "");
        if (shown + 2 > COLUMN)
            fprintf(file, "\n%*s", COLUMN, "");
        wrap(file, meaning, COLUMN, COLUMN);
    }
}

/* One call per line of `examples`, with what stands around it. */
static void examples_print(FILE *file, const char *examples, const char *before)
{
    while (*examples) {
        const int length = (int)strcspn(examples, "\n");
        fprintf(file, "%s%.*s\n", before, length, examples);
        examples += length;
        examples += *examples != '\0';
    }
}

static void overview_print(FILE *file)
{
    fputs("Usage: lathe [global options] VERB [options] [arguments]\n\n"
          "An ahead-of-time compiler for machine-learning models: ONNX in, native code out.\n\nVerbs:\n",
          file);
    for (int verb = 0; verb < VERB_COUNT; verb++)
        fprintf(file, "  %-12s %s\n", verb_rows[verb].name, verb_rows[verb].summary);
    section_print(file, SECTION_GLOBAL, VERB_NONE);
    fputs("\n@FILE stands for the arguments in FILE; -- ends the options; - is standard input or output.\n"
          "lathe VERB --help explains a verb.\n\nExit status:\n",
          file);
    for (int i = 0; i < status_row_count; i++)
        fprintf(file, "  %3d  %s\n", status_rows[i].number, status_rows[i].meaning);
}

void help_print(FILE *file, VerbId verb)
{
    if (verb == VERB_NONE) {
        overview_print(file);
        return;
    }
    const VerbRow *row = &verb_rows[verb];
    fprintf(file, "Usage: lathe %s [options]%s%s\n\n", row->name, *row->arguments ? " " : "", row->arguments);
    fprintf(file, "lathe %s: %s.\n\n", row->name, row->summary);
    wrap(file, row->description, 0, 0);
    for (int section = 0; section < SECTION_COUNT; section++)
        section_print(file, (OptionSection)section, verb);
    fputs("\nExamples:\n", file);
    examples_print(file, row->examples, "  ");
}

static void markdown_section(FILE *file, OptionSection section, VerbId verb, const char *heading)
{
    if (section_empty(section, verb))
        return;
    fprintf(file, "%s\n", heading);
    for (int id = 0; id < OPTION_COUNT; id++) {
        const OptionRow *row = &option_rows[id];
        if (!row_of(row, section, verb))
            continue;
        char label[120];
        label_write(label, sizeof label, row);
        fprintf(file, "- `%s`: %s", label, row->help);
        if (row->choices && row->kind != KIND_INTEGER)
            fprintf(file, "; one of `%s`", row->choices);
        if (row->initial)
            fprintf(file, "; initially `%s`", row->initial);
        fputc('\n', file);
    }
    fputc('\n', file);
}

/* Options that several verbs share are explained once; the verbs refer to them. */
static VerbId first_verb_with(OptionSection section)
{
    for (int verb = 0; verb < VERB_COUNT; verb++)
        if (!section_empty(section, (VerbId)verb))
            return (VerbId)verb;
    return VERB_NONE;
}

void help_markdown(FILE *file)
{
    fputs("# Command line\n\nMade by `lathe help --markdown`; do not edit.\n\n"
          "    lathe [global options] VERB [options] [arguments]\n\n"
          "`--key value` and `--key=value` mean the same. `@FILE` stands for the arguments in FILE. `--` ends the "
          "options.\n"
          "`-` is standard input or output. Results go to standard output, everything else to standard error.\n\n",
          file);
    for (int verb = 0; verb < VERB_COUNT; verb++)
        fprintf(file, "- [%s](#%s): %s\n", verb_rows[verb].name, verb_rows[verb].name, verb_rows[verb].summary);
    fputc('\n', file);
    for (int verb = 0; verb < VERB_COUNT; verb++) {
        const VerbRow *row = &verb_rows[verb];
        fprintf(file, "## %s\n\n    lathe %s [options]%s%s\n\n%s\n\n", row->name, row->name, *row->arguments ? " " : "",
                row->arguments, row->description);
        markdown_section(file, SECTION_VERB, (VerbId)verb, "Options:\n");
        const bool model = !section_empty(SECTION_MODEL, (VerbId)verb);
        const bool target = !section_empty(SECTION_TARGET, (VerbId)verb);
        fprintf(file, "Also: %s%s[global options](#global-options).\n\n",
                model ? "[model options](#model-options), " : "", target ? "[target options](#target-options), " : "");
        fputs("Examples:\n\n", file);
        examples_print(file, row->examples, "    ");
        fputc('\n', file);
    }
    markdown_section(file, SECTION_MODEL, first_verb_with(SECTION_MODEL), "## Model options\n");
    markdown_section(file, SECTION_TARGET, first_verb_with(SECTION_TARGET), "## Target options\n");
    markdown_section(file, SECTION_GLOBAL, VERB_NONE, "## Global options\n");
    fputs("## Exit status\n\n", file);
    for (int i = 0; i < status_row_count; i++)
        fprintf(file, "- %d: %s\n", status_rows[i].number, status_rows[i].meaning);
}

/* Text for roff: backslashes and hyphens are escaped, so is a control character at the start of a line. */
static void roff_text(FILE *file, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", file);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", file);
        else if (*text == '-')
            fputs("\\-", file);
        else
            fputc(*text, file);
    }
}

static void man_section(FILE *file, OptionSection section, VerbId verb)
{
    if (section_empty(section, verb))
        return;
    fprintf(file, ".SH \"%s\"\n", section_titles[section]);
    for (int id = 0; id < OPTION_COUNT; id++) {
        const OptionRow *row = &option_rows[id];
        if (!row_of(row, section, verb))
            continue;
        char label[120], meaning[600];
        label_write(label, sizeof label, row);
        meaning_write(meaning, sizeof meaning, row);
        fputs(".TP\n\\fB", file);
        roff_text(file, label);
        fputs("\\fR\n", file);
        roff_text(file, meaning);
        fputs(".\n", file);
    }
}

static void man_overview(FILE *file)
{
    fputs(".SH NAME\nlathe \\- ahead\\-of\\-time compiler for machine\\-learning models\n"
          ".SH SYNOPSIS\n\\fBlathe\\fR [\\fIglobal options\\fR] \\fIVERB\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]\n"
          ".SH DESCRIPTION\nTurns ONNX models into native code. Results go to standard output, everything else to "
          "standard "
          "error.\n.SH VERBS\n",
          file);
    for (int verb = 0; verb < VERB_COUNT; verb++) {
        fprintf(file, ".TP\n\\fBlathe\\-%s\\fR(1)\n", verb_rows[verb].name);
        roff_text(file, verb_rows[verb].summary);
        fputc('\n', file);
    }
    man_section(file, SECTION_GLOBAL, VERB_NONE);
    fputs(".SH \"EXIT STATUS\"\n", file);
    for (int i = 0; i < status_row_count; i++) {
        fprintf(file, ".TP\n\\fB%d\\fR\n", status_rows[i].number);
        roff_text(file, status_rows[i].meaning);
        fputc('\n', file);
    }
    fputs(".SH ENVIRONMENT\n"
          ".TP\n\\fBLATHE_CACHE_DIR\\fR\nThe cache folder, unless \\-\\-cache\\-dir names one.\n"
          ".TP\n\\fBLATHE_COLOR\\fR\nauto, always or never, unless \\-\\-color is given; then \\fBNO_COLOR\\fR,\n"
          "\\fBCLICOLOR_FORCE\\fR and \\fBFORCE_COLOR\\fR count.\n",
          file);
}

void help_man(FILE *file, VerbId verb)
{
    fprintf(file, ".TH lathe%s%s 1 \"\" \"lathe %s\" \"User Commands\"\n", verb == VERB_NONE ? "" : "\\-",
            verb == VERB_NONE ? "" : verb_rows[verb].name, LATHE_VERSION);
    if (verb == VERB_NONE) {
        man_overview(file);
        return;
    }
    const VerbRow *row = &verb_rows[verb];
    fprintf(file, ".SH NAME\nlathe\\-%s \\- ", row->name);
    roff_text(file, row->summary);
    fprintf(file, "\n.SH SYNOPSIS\n\\fBlathe %s\\fR [\\fIoptions\\fR]%s\\fI%s\\fR\n.SH DESCRIPTION\n", row->name,
            *row->arguments ? " " : "", row->arguments);
    roff_text(file, row->description);
    fputc('\n', file);
    for (int section = 0; section < SECTION_COUNT; section++)
        man_section(file, (OptionSection)section, verb);
    fputs(".SH EXAMPLES\n.nf\n", file);
    roff_text(file, row->examples);
    fputs("\n.fi\n.SH \"SEE ALSO\"\n\\fBlathe\\fR(1)\n", file);
}
