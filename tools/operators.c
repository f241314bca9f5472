/* lathe operators: what is known of every operator, from the tables; docs/operators.md is made by it. */
#include "tools/verbs.h"

#include "frontend/catalogue.h"
#include "ir/ops/refused.h"
#include "tools/answer.h"

#include <string.h>

/* Rows of ir/ops/ops.h's TypeSet. */
static const struct {
    const char *name, *types;
} type_sets[] = {
    [ANY_TYPE] = {"any", "every type but string"},
    [ANY_VALUE] = {"all", "every type, string too"},
    [NUMERIC] = {"numbers", "floats and integers of every width"},
    [FLOATS] = {"floats", "f64, f32, f16, bf16"},
    [INTEGERS] = {"integers", "signed and unsigned, of 2 to 64 bits"},
    [BOOLEAN_ONLY] = {"bool", "bool"},
    [ANY_FLOAT] = {"all floats", "floats of every width"},
};

static const struct {
    const char *name, *what, *where;
} forms[] = {
    [MEANING_SCALAR] = {"elementwise", "a formula over the elements, broadcast", "every target"},
    [MEANING_EXPAND] = {"expansion", "other operators, by text", "every target"},
    [MEANING_EXPAND_BY] = {"expansion", "other operators, chosen by its attributes", "every target"},
    [MEANING_LOWER] = {"stages", "a formula for each element of the result", "every target"},
    [MEANING_AT_ONCE] = {"expansion", "a count, and what fills as many elements", "CPUs with an operating system"},
    [MEANING_HOST] = {"step", "a step between the tensor regions of a model", "CPUs with an operating system"},
};

static const char *form_name(const OperatorFacts *facts)
{
    return facts->row       ? forms[facts->row->meaning.form].name
           : facts->newest  ? "older name"
           : facts->control ? "control flow"
                            : "-";
}

static const char *where_text(const OperatorFacts *facts)
{
    if (!operator_taken(facts))
        return "-";
    return facts->row ? forms[facts->row->meaning.form].where : "every target";
}

static const char *types_name(const OperatorFacts *facts)
{
    return facts->row ? type_sets[facts->row->types].name : "-";
}

/* "1 to 9", "from 13". */
static const char *opsets_text(Arena *arena, const OperatorFacts *facts)
{
    if (!facts->first)
        return *facts->domain ? "1" : "any";
    return facts->removed ? arena_format(arena, "%d to %d", facts->first, facts->removed - 1)
                          : arena_format(arena, "%d to %d", facts->first, NEWEST_OPSET);
}

static const char *raised_text(Arena *arena, const OperatorFacts *facts)
{
    const char *text = "";
    for (int i = 0; i < facts->raised_count; i++)
        text = arena_format(arena, "%s%s%d", text, i ? ", " : "", facts->raised[i]);
    return text;
}

static const char *arity_text(Arena *arena, int least, int most)
{
    return most >= INPUTS_MANY ? arena_format(arena, "%d or more", least)
           : least == most     ? arena_format(arena, "%d", least)
                               : arena_format(arena, "%d to %d", least, most);
}

static const char *const kind_name[] = {
    [ATTRIBUTE_INT] = "int",       [ATTRIBUTE_FLOAT] = "float",   [ATTRIBUTE_STRING] = "string",
    [ATTRIBUTE_INTS] = "ints",     [ATTRIBUTE_FLOATS] = "floats", [ATTRIBUTE_STRINGS] = "strings",
    [ATTRIBUTE_TENSOR] = "tensor", [ATTRIBUTE_GRAPH] = "graph",
};

/* "axis=-1", "mode=linear", "pads (ints)". */
static const char *attribute_text(Arena *arena, const AttributeRow *attribute)
{
    if (!attribute->has_default)
        return arena_format(arena, "%s (%s)", attribute->name, kind_name[attribute->kind]);
    if (attribute->kind == ATTRIBUTE_STRING)
        return arena_format(arena, "%s=%s", attribute->name, *attribute->string ? attribute->string : "\"\"");
    if (attribute->kind == ATTRIBUTE_INT)
        return arena_format(arena, "%s=%lld", attribute->name, (long long)attribute->integer);
    return arena_format(arena, "%s=%.9g", attribute->name, attribute->real);
}

static const char *attributes_text(Arena *arena, const OperatorFacts *facts)
{
    const char *text = "";
    for (const AttributeRow *row = facts->row ? facts->row->attributes : NULL; row && row->name; row++)
        text = arena_format(arena, "%s%s%s", text, *text ? ", " : "", attribute_text(arena, row));
    return text;
}

static const char *status_text(const OperatorFacts *facts)
{
    return facts->refused ? facts->refused : operator_taken(facts) ? "" : "not supported yet";
}

/* ---- for people ---- */

static void print_all(Arena *arena, const OperatorFacts *list, int count)
{
    printf("%-32s %-10s %-10s %-13s %s\n", "operator", "opsets", "types", "form", "");
    for (int i = 0; i < count; i++) {
        const char *const name =
            *list[i].domain ? arena_format(arena, "%s:%s", list[i].domain, list[i].name) : list[i].name;
        printf("%-32s %-10s %-10s %-13s %s\n", name, opsets_text(arena, &list[i]), types_name(&list[i]),
               form_name(&list[i]), status_text(&list[i]));
    }
}

static void print_one(Arena *arena, const OperatorFacts *facts)
{
    printf("operator    %s\n", facts->name);
    printf("domain      %s\n", *facts->domain ? facts->domain : "ai.onnx");
    if (!operator_taken(facts)) {
        printf("refused     %s\n", status_text(facts));
        return;
    }
    printf("opsets      %s\n", opsets_text(arena, facts));
    if (facts->raised_count)
        printf("raised      nodes of opsets below %s\n", raised_text(arena, facts));
    if (facts->newest)
        printf("becomes     %s\n", facts->newest);
    if (facts->row) {
        printf("inputs      %s\n", arity_text(arena, facts->row->input_min, facts->row->input_max));
        printf("outputs     %s\n", arity_text(arena, facts->row->output_min, facts->row->output_max));
        printf("types       %s: %s\n", types_name(facts), type_sets[facts->row->types].types);
        printf("attributes  %s\n", *attributes_text(arena, facts) ? attributes_text(arena, facts) : "none");
    }
    printf("form        %s\n", form_name(facts));
    if (facts->row && facts->row->meaning.text)
        printf("meaning     %s\n", facts->row->meaning.text);
    printf("runs on     %s\n", where_text(facts));
    for (int i = 0; i < REFUSED_COUNT; i++)
        if (refused_rows[i].what && strstr(refused_rows[i].op, facts->name) &&
            strcmp(refused_rows[i].domain, facts->domain) == 0)
            printf("refused     %s: %s\n", refused_rows[i].what, refused_rows[i].reason);
}

/* ---- docs/operators.md ---- */

static void markdown_head(void)
{
    puts("# Operators\n\n"
         "Made by `lathe operators --markdown` (`cmake --build build --target operators`); do not edit.\n\n"
         "`lathe operators NAME` says the same of one operator. *Opsets*: the versions of the operator set in which "
         "the operator exists and is\n"
         "taken; nodes of versions *raised below* are brought to the newest form when the model is read. *Types* are "
         "those of the first input:\n");
    for (size_t i = 0; i < sizeof type_sets / sizeof *type_sets; i++)
        printf("- %s: %s\n", type_sets[i].name, type_sets[i].types);
    puts("\n*Attributes* stand with their defaults. *Form* is how the operator is made, and says where it runs:\n");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (i != MEANING_EXPAND_BY)
            printf("- %s: %s; %s\n", forms[i].name, forms[i].what, forms[i].where);
    puts("- control flow: bodies are unrolled or stand in the graph where that is possible, and are steps elsewhere\n"
         "- older name: the operator has another name in the newest version\n\n"
         "*Every target* is the interpreter, CPUs with an operating system, microcontrollers and CUDA, within the "
         "limits of each\n"
         "([targets.md](targets.md)).");
}

static void markdown_operators(Arena *arena, const OperatorFacts *list, int count)
{
    for (int i = 0; i < count; i++) {
        const OperatorFacts *const facts = &list[i];
        if (i == 0 || strcmp(facts->domain, list[i - 1].domain) != 0)
            printf("\n## %s\n\n| operator | opsets | raised below | types | attributes | form "
                   "|\n|---|---|---|---|---|---|\n",
                   *facts->domain ? facts->domain : "ai.onnx");
        const char *const attributes = attributes_text(arena, facts);
        printf("| %s | %s | %s | %s | %s%s%s | %s |\n", facts->name, opsets_text(arena, facts),
               raised_text(arena, facts), types_name(facts), *attributes ? "`" : "", attributes, *attributes ? "`" : "",
               facts->newest           ? arena_format(arena, "older name of %s", facts->newest)
               : operator_taken(facts) ? form_name(facts)
               : facts->refused        ? "refused"
                                       : "not supported yet");
    }
}

static void markdown_refused(void)
{
    puts("\n## What is refused, and why\n\n`lathe compile` says the same words.\n\n| operator | what | why "
         "|\n|---|---|---|");
    for (int i = 0; i < REFUSED_COUNT; i++) {
        const RefusedRow *const row = &refused_rows[i];
        printf("| %s%s%s | %s | %s |\n", row->domain, *row->domain ? ":" : "", row->op,
               row->what ? row->what : "all of it", row->reason);
    }
}

/* ---- for programs ---- */

static void write_attribute(JsonWriter *json, const AttributeRow *row)
{
    json_object(json);
    json_field_string(json, "name", row->name);
    json_field_string(json, "kind", kind_name[row->kind]);
    json_key(json, "default");
    if (!row->has_default)
        json_null(json);
    else if (row->kind == ATTRIBUTE_INT)
        json_integer(json, row->integer);
    else if (row->kind == ATTRIBUTE_FLOAT)
        json_double(json, row->real);
    else
        json_string(json, row->string);
    json_close(json);
}

static void write_row(JsonWriter *json, const OpRow *row)
{
    json_field_integer(json, "since", row->since);
    json_field_integer(json, "inputs_least", row->input_min);
    json_field_integer(json, "inputs_most", row->input_max >= INPUTS_MANY ? -1 : row->input_max);
    json_field_integer(json, "outputs_least", row->output_min);
    json_field_integer(json, "outputs_most", row->output_max >= INPUTS_MANY ? -1 : row->output_max);
    json_key(json, "attributes");
    json_array(json);
    for (const AttributeRow *attribute = row->attributes; attribute->name; attribute++)
        write_attribute(json, attribute);
    json_close(json);
    json_field_string(json, "meaning", row->meaning.text);
}

static void write_operator(JsonWriter *json, Arena *arena, const OperatorFacts *facts)
{
    json_object(json);
    json_field_string(json, "domain", facts->domain);
    json_field_string(json, "name", facts->name);
    json_field_bool(json, "supported", operator_taken(facts));
    json_field_string(json, "refused", *status_text(facts) ? status_text(facts) : NULL);
    json_field_integer(json, "first", facts->first);
    json_field_integer(json, "removed", facts->removed);
    json_field_string(json, "raised_below", raised_text(arena, facts));
    json_field_string(json, "form", form_name(facts));
    json_field_string(json, "types", types_name(facts));
    if (facts->row)
        write_row(json, facts->row);
    json_close(json);
}

static bool write_answer(const Options *options, const OperatorFacts *list, int count)
{
    Answer answer;
    if (!answer_open(&answer, options, "lathe.operators/1"))
        return false;
    json_key(&answer.json, "operators");
    json_array(&answer.json);
    for (int i = 0; i < count; i++)
        write_operator(&answer.json, options->arena, &list[i]);
    json_close(&answer.json);
    return answer_close(&answer);
}

/* ---- the verb ---- */

/* The one that is named, "NAME" or "domain:NAME"; false after a usage error. */
static bool choose(const Options *options, const OperatorFacts **list, int *count)
{
    const char *const given = options->arguments[0], *const colon = strrchr(given, ':');
    const char *const name = colon ? colon + 1 : given;
    const char **const names = NEW_ARRAY(options->arena, const char *, (size_t)*count + 1);
    for (int i = 0; i < *count; i++) {
        const OperatorFacts *const facts = &(*list)[i];
        const bool domain = !colon || (strlen(facts->domain) == (size_t)(colon - given) &&
                                       strncmp(facts->domain, given, (size_t)(colon - given)) == 0);
        names[i] = facts->name;
        if (!domain || strcmp(facts->name, name) != 0)
            continue;
        *list = facts;
        *count = 1;
        return true;
    }
    const char *const nearest = nearest_name(name, names, *count);
    diag_error(options->diagnostics, EXIT_USAGE, NULL, "no operator is called '%s'",
               diag_quote(options->arena, given, 80));
    if (nearest)
        diag_hint(options->diagnostics, "did you mean '%s'?", nearest);
    return false;
}

int verb_operators(const Options *options)
{
    const OperatorFacts *list;
    int count = catalogue_read(options->arena, &list);
    if (option_given(options, OPTION_MARKDOWN)) {
        markdown_head();
        markdown_operators(options->arena, list, count);
        markdown_refused();
        return EXIT_OK;
    }
    const bool one = options->argument_count > 0;
    if (one && !choose(options, &list, &count))
        return options->diagnostics->code;
    if (answer_wants_text(options) && one)
        print_one(options->arena, list);
    else if (answer_wants_text(options))
        print_all(options->arena, list, count);
    return !answer_wants_json(options) || write_answer(options, list, count) ? EXIT_OK : options->diagnostics->code;
}
