/* lathe validate: is what the compiled model computes right, and if not, which node is wrong? */
#include "tools/validate.h"

#include "tools/answer.h"
#include "tools/outputs.h"
#include "tools/verbs.h"

#include <math.h>

/* ---- for people ---- */

static void print_wrong(const Options *options, const Verdict *verdict)
{
    Arena *const arena = options->arena;
    const Difference *const difference = &verdict->difference;
    if (verdict->where)
        printf("first wrong node  \"%s\" (%s, opset %d)\n", diag_quote(arena, verdict->where->node, 100),
               verdict->where->op, verdict->where->opset);
    printf("value             %s: %s\n", diag_quote(arena, verdict->name, 100), verdict->type);
    if (verdict->kinds) {
        printf("it                %s\n", verdict->kinds);
    } else {
        printf("beyond its bound  %lld elements; bound %.3g + %.3g * |wanted|\n", (long long)difference->beyond,
               difference->bound.absolute, difference->bound.relative);
        printf("worst             element %lld is %.9g, wanted %.9g: %.3g off, relative %.3g, %.4g ulp\n",
               (long long)difference->worst, difference->got, difference->wanted, difference->absolute,
               difference->relative, difference->ulp);
    }
    for (int i = 0; i < verdict->input_count; i++)
        printf("input             %s\n", verdict->input_texts[i]
                                             ? verdict->input_texts[i]
                                             : arena_format(arena, "%s (constant, or of an earlier batch)",
                                                            diag_quote(arena, verdict->inputs[i], 100)));
}

static void print_answer(const Validation *validation, bool per_node)
{
    double worst = 0;
    const Verdict *furthest = NULL;
    for (int i = 0; i < validation->verdict_count; i++)
        if (validation->verdicts[i].difference.worst >= 0 && validation->verdicts[i].difference.ulp >= worst) {
            furthest = &validation->verdicts[i];
            worst = furthest->difference.ulp;
        }
    printf("%d %s compared with %s", validation->verdict_count, per_node ? "values" : "outputs",
           validation->reference ? validation->reference : "the interpreter at -O0");
    printf(validation->skipped ? ", %d without a reference\n" : "\n", validation->skipped);
    if (validation->first)
        print_wrong(validation->options, validation->first);
    else if (furthest)
        printf("all within their bounds; the largest difference is %.3g (%.4g ulp) in %s\n",
               furthest->difference.absolute, furthest->difference.ulp,
               diag_quote(validation->options->arena, furthest->name, 100));
    else
        printf("all the same to the bit\n");
}

/* ---- for programs ---- */

static void write_number(JsonWriter *json, const char *key, double value)
{
    json_field_double(json, key, value); /* infinities are null */
}

static void write_verdict(JsonWriter *json, const Verdict *verdict)
{
    const Difference *const difference = &verdict->difference;
    json_object(json);
    json_field_string(json, "value", verdict->name);
    if (verdict->where) {
        json_field_string(json, "node", verdict->where->node);
        json_field_string(json, "operator", verdict->where->op);
    }
    json_field_string(json, "type", verdict->type);
    json_field_bool(json, "wrong", verdict_wrong(verdict));
    if (verdict->kinds)
        json_field_string(json, "kind", verdict->kinds);
    json_field_integer(json, "beyond", difference->beyond);
    if (difference->worst >= 0) {
        json_field_integer(json, "worst", difference->worst);
        write_number(json, "got", difference->got);
        write_number(json, "wanted", difference->wanted);
        write_number(json, "absolute", difference->absolute);
        write_number(json, "relative", difference->relative);
        write_number(json, "ulp", difference->ulp);
    }
    json_field_double(json, "rtol", difference->bound.relative);
    json_field_double(json, "atol", difference->bound.absolute);
    if (verdict->input_texts) {
        json_key(json, "inputs");
        json_array(json);
        for (int i = 0; i < verdict->input_count; i++)
            json_string(json, verdict->input_texts[i] ? verdict->input_texts[i] : verdict->inputs[i]);
        json_close(json);
    }
    json_close(json);
}

static bool write_answer(const Validation *validation)
{
    Answer answer;
    if (!answer_open(&answer, validation->options, "lathe.validate/1"))
        return false;
    JsonWriter *const json = &answer.json;
    json_field_bool(json, "right", validation->first == NULL);
    json_field_string(json, "reference", validation->reference);
    json_field_integer(json, "without_reference", validation->skipped);
    json_key(json, "first_wrong");
    if (validation->first)
        write_verdict(json, validation->first);
    else
        json_null(json);
    json_key(json, "values");
    json_array(json);
    for (int i = 0; i < validation->verdict_count; i++)
        write_verdict(json, &validation->verdicts[i]);
    json_close(json);
    return answer_close(&answer);
}

/* ---- the verb ---- */

/* The model as it is compiled, after its nodes one by one were right: what fusion makes of it may still be wrong. */
static bool whole_too(Validation *validation)
{
    const int before = validation->verdict_count;
    if (validation->first)
        return true;
    if (!validation_outputs(validation))
        return false;
    if (validation->first)
        diag_note(
            validation->options->diagnostics,
            "every node is right when its value is kept; the outputs are wrong when the model is compiled as it is");
    else
        validation->verdict_count = before;
    return true;
}

int verb_validate(const Options *options)
{
    Validation validation;
    const bool per_node = option_given(options, OPTION_PER_NODE);
    bool good = validation_open(&validation, options, options->arguments[0]);
    good =
        good && (per_node ? validation_nodes(&validation) && whole_too(&validation) : validation_outputs(&validation));
    if (good && validation.reference && validation.verdict_count == 0)
        good = diag_error(options->diagnostics, EXIT_IO, NULL, "%s has no file of any value of the model",
                          validation.reference);
    if (!good)
        return options->diagnostics->code;
    if (answer_wants_text(options))
        print_answer(&validation, per_node);
    if (answer_wants_json(options) && !write_answer(&validation))
        return options->diagnostics->code;
    return validation.first ? EXIT_NEGATIVE : EXIT_OK;
}
