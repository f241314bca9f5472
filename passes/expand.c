/* Composite operators become other operators, until only those with a room or a scalar text are left. */
#include "ir/map.h"
#include "ir/ops/ops.h"
#include "ir/ops/scalar_text.h"
#include "passes/pass.h"

enum { ROUNDS_MAX = 16 }; /* expansions of expansions: deeper nesting would be a row that expands into itself */

static bool expand_one(Ir *ir, Node *node, Node **outputs)
{
    const Meaning *const meaning = &op_row(node)->meaning;
    breadcrumb("expand", node->where ? node->where->node : NULL);
    if (meaning->form == MEANING_EXPAND_BY)
        return meaning->expand(ir, node, outputs);
    outputs[0] = expand_text_build(ir, node);
    return outputs[0] != NULL;
}

static bool composite(const Node *node)
{
    return op_is_tensor(node->op) &&
           (op_row(node)->meaning.form == MEANING_EXPAND || op_row(node)->meaning.form == MEANING_EXPAND_BY);
}

static bool visit(Ir *ir, NodeMap *map, Node *node, bool *expanded)
{
    Node **const inputs = NEW_ARRAY(ir->arena, Node *, node->input_count + 1);
    bool changed = false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        inputs[i] = map_get(map, node->inputs[i]);
        changed = changed || inputs[i] != node->inputs[i];
    }
    ir->where = node->where;
    Node *const made = changed ? tensor_remake(ir, node, inputs) : node;
    if (!made)
        return false;
    const int count = node->result_count > 1 ? node->result_count : 1;
    Node **const outputs = NEW_ARRAY(ir->arena, Node *, (size_t)count);
    if (composite(made)) {
        *expanded = true;
        ir->where = node->where;
        if (!expand_one(ir, made, outputs))
            return false;
    } else {
        for (int i = 0; i < count; i++)
            outputs[i] = node_result(made, i);
    }
    map_set(map, node, outputs[0]);
    for (int i = 0; i < count && count > 1; i++)
        map_set(map, node->results[i], outputs[i]);
    return true;
}

static bool round_of(Compilation *compilation, bool *expanded)
{
    Ir *const ir = compilation->ir;
    Graph *const graph = compilation->graph;
    NodeMap map;
    map_open(&map, ir->arena);
    int count;
    Node **const order = nodes_topological(ir, graph->outputs, graph->output_count, &count);
    for (int i = 0; i < count; i++) {
        if (op_is_tensor(order[i]->op) ? !visit(ir, &map, order[i], expanded) : false)
            return false;
        if (!map_has(&map, order[i]))
            map_set(&map, order[i], order[i]);
    }
    Node **const outputs = NEW_ARRAY(ir->arena, Node *, (size_t)graph->output_count + 1);
    for (int i = 0; i < graph->output_count; i++)
        outputs[i] = map_get(&map, graph->outputs[i]);
    graph->outputs = outputs;
    return true;
}

bool pass_expand(PassContext *context)
{
    bool expanded = true;
    for (int round = 0; expanded; round++) {
        if (round == ROUNDS_MAX)
            BUG("operators expand without end");
        expanded = false;
        if (!round_of(context->compilation, &expanded))
            return false;
    }
    context->compilation->ir->where = NULL;
    return true;
}
