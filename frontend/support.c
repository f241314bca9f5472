/* Before anything is built: which operators of the model are not supported, all at once; and does inlining end, within
 * the limits? */
#include "frontend/importer.h"
#include "ir/ops/ops.h"
#include "ir/ops/refused.h"

#include <stdio.h>
#include <string.h>

/* An operator that is not supported. */
typedef struct Refusal {
    const char *name;
    int opset;
    uint64_t count;
    const char *first;  /* node */
    const char *reason; /* NULL: none is known but that nobody has written it */
    struct Refusal *next;
} Refusal;

typedef struct Survey {
    Importer *importer;
    NameMap known; /* Refusal by operator; supported ones have the mark */
    Refusal *first, *last;
    int refusals;
    Refusal mark;
} Survey;
enum { REFUSALS_SHOWN = 20 };

static bool graph_survey(Survey *survey, const Context *context, Onnx__NodeProto *const *nodes, size_t count,
                         uint64_t *size);

static void refuse(Survey *survey, Name name, const char *reason, const Where *where)
{
    Importer *importer = survey->importer;
    Refusal *refusal = NEW(importer->scratch, Refusal);
    *refusal = (Refusal){.name = diag_quote(importer->scratch, name, 100),
                         .opset = where->opset,
                         .first = diag_quote(importer->scratch, where->node, 100),
                         .reason = reason};
    names_set(&survey->known, name, refusal);
    *(survey->last ? &survey->last->next : &survey->first) = refusal;
    survey->last = refusal;
    survey->refusals++;
}

/* The first node of every operator decides; the others are counted. */
static bool operator_survey(Survey *survey, const Context *context, const Onnx__NodeProto *node)
{
    Importer *importer = survey->importer;
    Diagnostics *diagnostics = importer->diagnostics;
    const Name op = text_name(importer, &importer->file, &node->op_type, "an operator's name");
    const Name domain = op ? text_name(importer, &importer->file, &node->domain, "a domain") : NULL;
    if (!domain)
        return false;
    const char *normal = domain_normal(domain);
    const int version = opset_version(context->opsets, normal);
    if (!*op)
        return diag_error(diagnostics, EXIT_MALFORMED, node_where(importer, context, node),
                          "the node has no operator type");
    if (!version)
        return diag_error(diagnostics, EXIT_MALFORMED, node_where(importer, context, node),
                          "the model does not import %s%s", *normal ? "the domain " : "the default operator set",
                          diag_quote(importer->scratch, normal, 100));
    const Name key =
        name_intern(importer->ir->arena, *normal ? arena_format(importer->scratch, "%s:%s", normal, op) : op);
    Refusal *known = names_get(&survey->known, key);
    if (!known) {
        const char *wrong;
        int since;
        const bool standard = !*normal && operator_exists(op, version, &wrong, &since);
        if (!*normal && !standard && since && !custom_find(importer->options->customs, normal, op))
            return diag_error(diagnostics, EXIT_MALFORMED, node_where(importer, context, node),
                              "%s in opset %d, and the model imports opset %d", wrong, since, version);
        const char *newest = *normal ? op : operator_newest(op);
        if (custom_find(importer->options->customs, normal, op) || op_find(normal, newest) != OP_NONE ||
            (standard && (strcmp(op, "Constant") == 0 || is_control(node))))
            names_add(&survey->known, key, &survey->mark);
        else
            refuse(survey, key, refused_reason(normal, op), node_where(importer, context, node));
        known = names_get(&survey->known, key);
    }
    known->count++;
    return true;
}

/* Every function is looked at once; `size` gets the nodes of one call. */
static bool function_survey(Survey *survey, const Context *context, const Onnx__NodeProto *node, Function *function,
                            uint64_t *size)
{
    Importer *importer = survey->importer;
    if (function->state == FUNCTION_OPEN)
        return diag_error(importer->diagnostics, EXIT_MALFORMED, node_where(importer, context, node),
                          "the function calls itself");
    if (context->depth >= importer->limits.nesting)
        return diag_error(importer->diagnostics, EXIT_LIMIT, node_where(importer, context, node),
                          "functions are nested more than %d deep", importer->limits.nesting);
    if (function->state == FUNCTION_NEW) {
        static const NameMap no_attributes;
        const Context inside = {&function->opsets, &no_attributes, "", context->depth + 1};
        function->state = FUNCTION_OPEN;
        if (!graph_survey(survey, &inside, function->proto->node, function->proto->n_node, &function->size))
            return false;
        function->state = FUNCTION_DONE;
    }
    if (__builtin_add_overflow(*size, function->size, size))
        *size = UINT64_MAX;
    return true;
}

/* Bodies are looked into, but not those of If: which one is needed may be known only later. Recursion is limited by the
 * reader (bodies) and by the check above (functions). */
static bool graph_survey(Survey *survey, const Context *context, Onnx__NodeProto *const *nodes, size_t count,
                         uint64_t *size)
{
    Importer *importer = survey->importer;
    for (size_t i = 0; i < count; i++) {
        ++*size;
        Function *function = function_find(importer, nodes[i]);
        if (!(function ? function_survey(survey, context, nodes[i], function, size)
                       : operator_survey(survey, context, nodes[i])))
            return false;
        for (size_t k = 0; k < nodes[i]->n_attribute; k++) {
            const Onnx__GraphProto *body = nodes[i]->attribute[k]->g;
            if (body && !is_if(nodes[i]) && !graph_survey(survey, context, body->node, body->n_node, size))
                return false;
        }
        if (*size > importer->limits.nodes)
            return diag_error(importer->diagnostics, EXIT_LIMIT, &importer->file,
                              "the model has more than %llu nodes when its functions are inlined",
                              (unsigned long long)importer->limits.nodes);
    }
    return true;
}

static bool report(const Survey *survey)
{
    Importer *importer = survey->importer;
    const char *list = "";
    int shown = 0;
    for (const Refusal *refusal = survey->first; refusal && shown < REFUSALS_SHOWN; refusal = refusal->next, shown++)
        list = arena_format(importer->scratch, "%s%s%s (opset %d, %llu node%s, first \"%s\"%s%s)", list,
                            shown ? ", " : "", refusal->name, refusal->opset, (unsigned long long)refusal->count,
                            refusal->count == 1 ? "" : "s", refusal->first, refusal->reason ? ": " : "",
                            refusal->reason ? refusal->reason : "");
    if (survey->refusals > shown)
        list = arena_format(importer->scratch, "%s and %d more", list, survey->refusals - shown);
    const char *nearest =
        survey->refusals == 1 && !operator_exists(survey->first->name, NEWEST_OPSET, &(const char *){0}, &(int){0})
            ? op_nearest(survey->first->name)
            : NULL;
    return diag_error(importer->diagnostics, EXIT_UNSUPPORTED, &importer->file, "%d operator%s not supported: %s%s%s%s",
                      survey->refusals, survey->refusals == 1 ? " is" : "s are", list, nearest ? "; did you mean " : "",
                      nearest ? nearest : "", nearest ? "?" : "");
}

bool nodes_supported(Importer *importer, const Context *context, const Onnx__GraphProto *graph)
{
    Survey survey = {.importer = importer, .known = {.arena = importer->scratch}};
    uint64_t size = 0;
    if (!graph_survey(&survey, context, graph->node, graph->n_node, &size))
        return false;
    return survey.refusals == 0 || report(&survey);
}
