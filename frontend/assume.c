/* If whose branches give tensors of different ranks, with a condition over symbolic dims: exporters write it for a
 * squeeze of a dim that may be 1. What comes after it is right for one of the ranks. When the model cannot be imported
 * without the rank, it is imported again as if the condition were false, then true, and the run checks that it is. */
#include "frontend/importer.h"
#include "ir/ops/ops.h"

enum { ASSUMPTIONS_MAX = 16, ATTEMPTS_MAX = 64 };

typedef struct Assumption {
    const Onnx__NodeProto *node;
    Name name; /* of the node with the path that leads to it */
    bool taken;
} Assumption;

struct Assumptions {
    Assumption list[ASSUMPTIONS_MAX];
    int count;
    NodeMap open;           /* Assumption by a result of such an If that is left to the run */
    const Assumption *want; /* the one that the import failed for */
};

void assume_open(Importer *importer)
{
    importer->assumptions = NEW(importer->scratch, struct Assumptions);
    map_open(&importer->assumptions->open, importer->scratch);
}

bool assume_known(const Control *control, Node *condition, bool *taken, bool *known)
{
    Importer *importer = control->importer;
    Ir *ir = importer->ir;
    *known = false;
    for (int i = 0; i < importer->assumptions->count && !*known; i++) {
        const Assumption *assumption = &importer->assumptions->list[i];
        *known = assumption->node == control->node && assumption->name == control->where->node;
        *taken = assumption->taken;
    }
    if (!*known)
        return true;
    Node *holds = *taken ? condition->contents[0] : scalar1(ir, OP_not, condition->contents[0]);
    const char *text =
        arena_format(ir->arena,
                     "%s: the model was compiled for dims with which the condition is %s: the branches "
                     "give tensors of different ranks; fix the dims when compiling",
                     diag_quote(importer->scratch, control->where->node, 100), *taken ? "true" : "false");
    return run_check(ir, holds, text) ||
           diag_error(importer->diagnostics, EXIT_UNSUPPORTED, control->where, "%s", text);
}

void assume_offer(const Control *control, Node *condition, Node *result)
{
    if (result->type.form != FORM_TENSOR || result->type.rank != RANK_UNKNOWN || !condition->contents)
        return;
    Importer *importer = control->importer;
    Assumption *assumption = NEW(importer->scratch, Assumption);
    *assumption = (Assumption){control->node, control->where->node, false};
    map_set(&importer->assumptions->open, result, assumption);
}

void assume_want(Importer *importer, Node *const *inputs, int count)
{
    for (int i = 0; i < count && !importer->assumptions->want; i++)
        importer->assumptions->want = map_get(&importer->assumptions->open, inputs[i]);
}

/* The next combination to try; false when there is none. */
static bool assume_next(struct Assumptions *assumptions)
{
    if (assumptions->want && assumptions->count < ASSUMPTIONS_MAX) {
        assumptions->list[assumptions->count++] = *assumptions->want;
        return true;
    }
    while (assumptions->count && assumptions->list[assumptions->count - 1].taken)
        assumptions->count--;
    if (assumptions->count)
        assumptions->list[assumptions->count - 1].taken = true;
    return assumptions->count;
}

Graph *model_graph_import(Importer *importer, const Context *context)
{
    Ir *ir = importer->ir;
    Diagnostics *diagnostics = importer->diagnostics;
    const Diagnostics before = *diagnostics;
    Diagnostics first = before;
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        Graph *graph = graph_import(importer, context, NULL, importer->model->graph);
        if (graph || (attempt == 0 && !importer->assumptions->want))
            return graph;
        first = attempt == 0 ? *diagnostics : first;
        if (diagnostics->code == EXIT_LIMIT || !assume_next(importer->assumptions))
            break;
        *diagnostics = before;
        if (before.last)
            before.last->next = NULL;
        ir->checks = NULL;
        ir->scope = 0;
        importer->assumptions->want = NULL;
    }
    *diagnostics = first;
    return NULL;
}
