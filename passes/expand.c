/* Composite operators become other operators, until only those with a room or a scalar text are left. */
#include "ir/map.h"
#include "ir/ops/ops.h"
#include "ir/ops/scalar_text.h"
#include "passes/pass.h"

enum { ROUNDS_MAX = 16 }; /* expansions of expansions: deeper nesting would be a row that expands into itself */

typedef struct Expander {
    Ir *ir;
    NodeMap map;     /* node -> what stands for it */
    NodeMap symbols; /* symbol in a type that was inferred anew -> what the new type has there */
    bool renamed, expanded;
} Expander;

/* A dim or element with the symbols of today. */
static Node *renamed(Expander *expander, Node *expression)
{
    Ir *const ir = expander->ir;
    if (!expander->renamed || !expression)
        return expression;
    Arena *const scratch = arena_scratch(ir->arena);
    const ArenaMark mark = arena_mark(scratch);
    int count, found = 0;
    Node **const nodes = nodes_in_scratch(ir, &expression, 1, &count);
    Node **const from = NEW_ARRAY(ir->arena, Node *, (size_t)count + 1),
                 **const to = NEW_ARRAY(ir->arena, Node *, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        if (map_has(&expander->symbols, nodes[i])) {
            from[found] = nodes[i];
            to[found++] = map_get(&expander->symbols, nodes[i]);
        }
    arena_reset(scratch, mark);
    return found ? node_substitute(ir, expression, from, to, found) : expression;
}

static Type type_renamed(Expander *expander, Type type)
{
    bool changed = false;
    Node *dims[RANK_MAX];
    for (int i = 0; i < type.rank; i++) {
        dims[i] = renamed(expander, type.dims[i]);
        changed = changed || dims[i] != type.dims[i];
    }
    Type result = type;
    if (changed)
        result.dims = arena_copy(expander->ir->arena, dims, (size_t)type.rank * sizeof *dims);
    return result;
}

static void rename_symbol(Expander *expander, Node *old, Node *now)
{
    if (!old || !now || old == now || old->op != OP_symbol)
        return;
    map_set(&expander->symbols, old, now);
    expander->renamed = true;
}

/* What is read from another node may have other symbols, or be known by now. */
static void rename_read(Expander *expander, const Node *old, const Node *now)
{
    int64_t elements;
    if (old == now || old->op != OP_lathe_Read || !const_is_int(type_elements(expander->ir, old->type), &elements))
        return;
    for (int64_t i = 0; i < elements; i++) {
        Node *const element = now->contents[i];
        rename_symbol(expander, content_symbol(old->contents[i]),
                      element->type.dtype == DTYPE_INDEX ? element : content_symbol(element));
    }
}

/* Bodies whose nodes have become others. */
static Attribute *attributes_remade(Expander *expander, const Node *node, bool *changed)
{
    Arena *const arena = expander->ir->arena;
    Attribute *const attributes = arena_copy(arena, node->attributes, node->attribute_count * sizeof *attributes);
    for (int i = 0; i < node->attribute_count; i++) {
        if (attributes[i].kind != ATTRIBUTE_GRAPH)
            continue;
        Graph *const body = arena_copy(arena, attributes[i].graph, sizeof *body);
        bool other = false;
        body->inputs = NEW_ARRAY(arena, Node *, (size_t)body->input_count + 1);
        body->outputs = NEW_ARRAY(arena, Node *, (size_t)body->output_count + 1);
        for (int j = 0; j < body->input_count; j++) {
            Node *const input = attributes[i].graph->inputs[j], *const now = map_get(&expander->map, input);
            body->inputs[j] = now ? now : input;
            other = other || body->inputs[j] != input;
        }
        for (int j = 0; j < body->output_count; j++) {
            body->outputs[j] = map_get(&expander->map, attributes[i].graph->outputs[j]);
            other = other || body->outputs[j] != attributes[i].graph->outputs[j];
        }
        if (other)
            attributes[i].graph = body;
        *changed = *changed || other;
    }
    return attributes;
}

/* The same operator over other inputs. Steps keep the types of their results: the symbols in them are their own. */
static Node *remake(Expander *expander, const Node *node, Node **inputs, const Attribute *attributes)
{
    Ir *const ir = expander->ir;
    const int count = node->result_count > 1 ? node->result_count : 1;
    if (node->op == OP_lathe_Read && inputs[0]->contents && dtype_is_integer(inputs[0]->type.dtype))
        return inputs[0];
    if (node->op == OP_lathe_Read)
        return tensor_remake(ir, node, inputs);
    if (op_row(node)->meaning.form != MEANING_HOST)
        return tensor_make(ir, node->op, inputs, (int)node->input_count, count, attributes, node->attribute_count);
    Type *const types = NEW_ARRAY(ir->arena, Type, (size_t)count);
    for (int i = 0; i < count; i++)
        types[i] = type_renamed(expander, node_result((Node *)(uintptr_t)node, i)->type);
    return tensor_make_typed(ir, node->op, inputs, (int)node->input_count, count, attributes, node->attribute_count,
                             types);
}

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

/* What a body is given has types of symbols that may have others' names now. */
static void visit_input(Expander *expander, Node *node)
{
    Ir *const ir = expander->ir;
    const Type type = type_renamed(expander, node->type);
    int64_t elements;
    Node *made = node;
    if (expander->renamed && type.rank >= 0 && !type_equal(type, node->type)) {
        made = node_make(ir, &(Node){.op = OP_input, .type = type, .payload.name = node->payload.name});
        made->contents = node->contents && const_is_int(type_elements(ir, type), &elements) ? node->contents : NULL;
    }
    map_set(&expander->map, node, made);
}

static bool visit(Expander *expander, Node *node)
{
    Ir *const ir = expander->ir;
    Node **const inputs = NEW_ARRAY(ir->arena, Node *, node->input_count + 1);
    bool changed = false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        inputs[i] = map_get(&expander->map, node->inputs[i]);
        changed = changed || inputs[i] != node->inputs[i];
    }
    const Attribute *const attributes = attributes_remade(expander, node, &changed);
    ir->where = node->where;
    ir->scope = node->scope; /* what stands for it belongs to the same body */
    Node *const made = changed ? remake(expander, node, inputs, attributes) : node;
    if (!made)
        return false;
    const int count = node->result_count > 1 ? node->result_count : 1;
    Node **const outputs = NEW_ARRAY(ir->arena, Node *, (size_t)count);
    if (composite(made)) {
        expander->expanded = true;
        ir->where = node->where;
        if (!expand_one(ir, made, outputs))
            return false;
    } else {
        for (int i = 0; i < count; i++)
            outputs[i] = node_result(made, i);
    }
    map_set(&expander->map, node, outputs[0]);
    for (int i = 0; i < count && count > 1; i++)
        map_set(&expander->map, node->results[i], outputs[i]);
    rename_read(expander, node, outputs[0]);
    return true;
}

static bool round_of(Compilation *compilation, Expander *expander)
{
    Ir *const ir = compilation->ir;
    Graph *const graph = compilation->graph;
    map_open(&expander->map, ir->arena);
    expander->expanded = false;
    int count;
    Node **const order = nodes_topological(ir, graph->outputs, graph->output_count, &count);
    for (int i = 0; i < count; i++) {
        if (op_is_tensor(order[i]->op) ? !visit(expander, order[i]) : false)
            return false;
        if (order[i]->op == OP_input)
            visit_input(expander, order[i]);
        if (!map_has(&expander->map, order[i]))
            map_set(&expander->map, order[i], order[i]);
    }
    Node **const outputs = NEW_ARRAY(ir->arena, Node *, (size_t)graph->output_count + 1);
    for (int i = 0; i < graph->output_count; i++)
        outputs[i] = map_get(&expander->map, graph->outputs[i]);
    graph->outputs = outputs;
    return true;
}

/* Checks of symbols that have another name now. */
static void rename_checks(Expander *expander)
{
    for (RunCheck *check = expander->ir->checks; check && expander->renamed; check = check->next)
        check->condition = renamed(expander, check->condition);
}

bool pass_expand(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    const uint32_t scope = ir->scope;
    Expander expander = {.ir = ir, .expanded = true};
    map_open(&expander.symbols, ir->arena);
    for (int round = 0; expander.expanded; round++) {
        if (round == ROUNDS_MAX)
            BUG("operators expand without end");
        if (!round_of(context->compilation, &expander))
            return false;
        rename_checks(&expander);
    }
    ir->where = NULL;
    ir->scope = scope;
    return true;
}
