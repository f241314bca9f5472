/* Completion scripts for bash, zsh and fish, made from the option table. */
#include "tools/options.h"

#include <string.h>

static bool row_applies(const OptionRow *row, int verb)
{
    return verb == VERB_NONE ? row->section == SECTION_GLOBAL : (row->verbs >> verb & 1) != 0;
}

static bool takes_value(const OptionRow *row)
{
    return row->kind != KIND_FLAG && row->kind != KIND_COUNT && row->kind != KIND_MAYBE;
}

static bool has_choices(const OptionRow *row)
{
    return row->choices && row->kind != KIND_INTEGER;
}

/* Does a value name a file or folder? Everything else than numbers and choices may. */
static bool takes_file(const OptionRow *row)
{
    return row->argument && (strstr(row->argument, "FILE") || strstr(row->argument, "DIR") ||
                             strstr(row->argument, "OUT") || strstr(row->argument, "SOURCE"));
}

/* Words that a verb's own argument may be: "a|b|c" in small letters. */
static const char *argument_choices(int verb)
{
    const char *const arguments = verb_rows[verb].arguments;
    return *arguments >= 'a' && *arguments <= 'z' ? arguments : NULL;
}

static void words_print(FILE *file, const char *choices)
{
    for (; *choices; choices++)
        fputc(*choices == '|' ? ' ' : *choices, file);
}

static void verbs_print(FILE *file)
{
    for (int verb = 0; verb < VERB_COUNT; verb++)
        fprintf(file, "%s%s", verb ? " " : "", verb_rows[verb].name);
}

static void bash_options(FILE *file, int verb)
{
    const char *before = "";
    for (int id = 0; id < OPTION_COUNT; id++) {
        const OptionRow *row = &option_rows[id];
        if (!row_applies(row, verb))
            continue;
        if (row->letter) {
            fprintf(file, "%s-%c", before, row->letter);
            before = " ";
        }
        if (row->name) {
            fprintf(file, "%s--%s", before, row->name);
            before = " ";
        }
    }
}

static void bash_print(FILE *file)
{
    fputs("# bash completion for lathe; made by: lathe completion bash\n"
          "_lathe()\n{\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb= word\n"
          "    COMPREPLY=()\n"
          "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
          "        case $word in\n            ",
          file);
    for (int verb = 0; verb < VERB_COUNT; verb++)
        fprintf(file, "%s%s", verb ? "|" : "", verb_rows[verb].name);
    fputs(") verb=$word; break ;;\n        esac\n    done\n"
          "    [[ $current == = ]] && current=\n"
          "    [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    case $verb:$previous in\n",
          file);
    for (int verb = 0; verb <= VERB_COUNT; verb++)
        for (int id = 0; id < OPTION_COUNT; id++) {
            const OptionRow *row = &option_rows[id];
            if (!row->name || !has_choices(row) || !row_applies(row, verb))
                continue;
            fprintf(file, "        %s:--%s) COMPREPLY=($(compgen -W '", verb == VERB_COUNT ? "" : verb_rows[verb].name,
                    row->name);
            words_print(file, row->choices);
            fputs("' -- \"$current\")); return ;;\n", file);
        }
    fputs("    esac\n    case $verb in\n        '') COMPREPLY=($(compgen -W '", file);
    verbs_print(file);
    fputc(' ', file);
    bash_options(file, VERB_NONE);
    fputs("' -- \"$current\")) ;;\n", file);
    for (int verb = 0; verb < VERB_COUNT; verb++) {
        fprintf(file,
                "        %s)\n            if [[ $current == -* ]]; then\n                COMPREPLY=($(compgen -W '",
                verb_rows[verb].name);
        bash_options(file, verb);
        fputs("' -- \"$current\"))\n            else\n                COMPREPLY=($(compgen ", file);
        if (verb == VERB_HELP || argument_choices(verb)) {
            fputs("-W '", file);
            if (verb == VERB_HELP)
                verbs_print(file);
            else
                words_print(file, argument_choices(verb));
            fputs("' ", file);
        } else {
            fputs("-f ", file);
        }
        fputs("-- \"$current\"))\n            fi ;;\n", file);
    }
    fputs("    esac\n}\ncomplete -o filenames -F _lathe lathe\n", file);
}

/* Text between single quotes for zsh's _arguments and for fish; `special` characters get a backslash. */
static void quote_print(FILE *file, const char *text, const char *special, const char *quote)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs(quote, file);
        else if (strchr(special, *text))
            fprintf(file, "\\%c", *text);
        else
            fputc(*text, file);
    }
}

static void zsh_value(FILE *file, const OptionRow *row)
{
    if (row->kind == KIND_FLAG || row->kind == KIND_COUNT)
        return;
    fputs(row->kind == KIND_MAYBE ? "::" : ":", file);
    quote_print(file, row->argument, "[]:\\", "'\\''");
    fputc(':', file);
    if (has_choices(row)) {
        fputs(row->kind == KIND_LIST ? "_values -s , kind " : "(", file);
        words_print(file, row->choices);
        fputs(row->kind == KIND_LIST ? "" : ")", file);
    } else if (takes_file(row)) {
        fputs("_files", file);
    }
}

static void zsh_option(FILE *file, const OptionRow *row, bool letter)
{
    const bool again = row->kind == KIND_COUNT || row->kind == KIND_REPEATED || row->kind == KIND_LIST;
    fprintf(file, " \\\n                '%s", again ? "*" : "");
    if (letter)
        fprintf(file, "-%c%s", row->letter, takes_value(row) ? "+" : "");
    else
        fprintf(file, "--%s%s", row->name, takes_value(row) ? "=" : row->kind == KIND_MAYBE ? "=-" : "");
    fputc('[', file);
    quote_print(file, row->help, "[]:\\", "'\\''");
    fputc(']', file);
    zsh_value(file, row);
    fputc('\'', file);
}

static void zsh_verb(FILE *file, int verb)
{
    fprintf(file, "            %s)\n                _arguments -s -S", verb_rows[verb].name);
    for (int id = 0; id < OPTION_COUNT; id++) {
        const OptionRow *row = &option_rows[id];
        if (!row_applies(row, verb))
            continue;
        if (row->letter)
            zsh_option(file, row, true);
        if (row->name)
            zsh_option(file, row, false);
    }
    if (verb_rows[verb].most > 0) {
        fputs(" \\\n                ':argument:", file);
        if (verb == VERB_HELP || argument_choices(verb)) {
            fputc('(', file);
            if (verb == VERB_HELP)
                verbs_print(file);
            else
                words_print(file, argument_choices(verb));
            fputc(')', file);
        } else if (verb != VERB_TARGETS) {
            fputs("_files", file);
        }
        fputc('\'', file);
    }
    fputs(" ;;\n", file);
}

static void zsh_print(FILE *file)
{
    fputs("#compdef lathe\n# zsh completion for lathe; made by: lathe completion zsh\n"
          "_lathe()\n{\n    local -a verbs\n    local state line\n    verbs=(\n",
          file);
    for (int verb = 0; verb < VERB_COUNT; verb++) {
        fprintf(file, "        '%s:", verb_rows[verb].name);
        quote_print(file, verb_rows[verb].summary, ":\\", "'\\''");
        fputs("'\n", file);
    }
    fputs("    )\n    _arguments -C -s", file);
    for (int id = 0; id < OPTION_COUNT; id++) {
        const OptionRow *row = &option_rows[id];
        if (row->section != SECTION_GLOBAL)
            continue;
        if (row->letter)
            zsh_option(file, row, true);
        if (row->name)
            zsh_option(file, row, false);
    }
    fputs(" \\\n                '1:verb:->verb' '*::argument:->arguments'\n    case $state in\n"
          "    verb) _describe verb verbs ;;\n    arguments)\n        case $line[1] in\n",
          file);
    for (int verb = 0; verb < VERB_COUNT; verb++)
        zsh_verb(file, verb);
    fputs("        esac ;;\n    esac\n}\n_lathe \"$@\"\n", file);
}

static void fish_option(FILE *file, const OptionRow *row, const char *condition)
{
    fprintf(file, "complete -c lathe %s", condition);
    if (row->letter)
        fprintf(file, " -s %c", row->letter);
    if (row->name)
        fprintf(file, " -l %s", row->name);
    if (has_choices(row)) {
        fputs(row->kind == KIND_MAYBE ? " -fa '" : " -xa '", file);
        words_print(file, row->choices);
        fputc('\'', file);
    } else if (takes_value(row)) {
        fputs(takes_file(row) ? " -rF" : " -x", file);
    }
    fputs(" -d '", file);
    quote_print(file, row->help, "\\", "\\'");
    fputs("'\n", file);
}

static void fish_print(FILE *file)
{
    fputs("# fish completion for lathe; made by: lathe completion fish\n", file);
    for (int verb = 0; verb < VERB_COUNT; verb++) {
        fprintf(file, "complete -c lathe -n __fish_use_subcommand -fa %s -d '", verb_rows[verb].name);
        quote_print(file, verb_rows[verb].summary, "\\", "\\'");
        fputs("'\n", file);
    }
    for (int id = 0; id < OPTION_COUNT; id++) {
        const OptionRow *row = &option_rows[id];
        if (row->section == SECTION_GLOBAL) {
            fish_option(file, row, "");
            continue;
        }
        char condition[400] = "-n '__fish_seen_subcommand_from";
        size_t used = strlen(condition);
        for (int verb = 0; verb < VERB_COUNT; verb++)
            if (row_applies(row, verb) && used + 16 < sizeof condition)
                used += (size_t)snprintf(condition + used, sizeof condition - used, " %s", verb_rows[verb].name);
        snprintf(condition + used, sizeof condition - used, "'");
        fish_option(file, row, condition);
    }
    for (int verb = 0; verb < VERB_COUNT; verb++) {
        if (verb != VERB_HELP && !argument_choices(verb))
            continue;
        fprintf(file, "complete -c lathe -n '__fish_seen_subcommand_from %s' -fa '", verb_rows[verb].name);
        if (verb == VERB_HELP)
            verbs_print(file);
        else
            words_print(file, argument_choices(verb));
        fputs("'\n", file);
    }
}

bool completion_print(FILE *file, const char *shell)
{
    static const struct {
        const char *name;
        void (*print)(FILE *file);
    } shells[] = {{"bash", bash_print}, {"zsh", zsh_print}, {"fish", fish_print}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shells[i].name, shell) != 0)
            continue;
        shells[i].print(file);
        return true;
    }
    return false;
}
