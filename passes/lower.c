/* Lowering: every operator node becomes kernels of stages over buffers, in topological order. */
#include "ir/kernel.h"
#include "ir/map.h"
#include "ir/ops/lower.h"
#include "passes/pass.h"

#include <string.h>

typedef struct Lowerer {
    Ir *ir;
    const Graph *graph;
    Module *module;
    NodeMap buffers; /* tensor value -> buffer */
} Lowerer;

static Node *make_buffer(Lowerer *lowerer, const Node *value, Place place, int number, Name name)
{
    const Buffer buffer = {.name = name,
                           .place = place,
                           .number = number,
                           .constant = place == PLACE_WEIGHT ? value->payload.constant : NULL};
    return buffer_make(lowerer->ir, value->type, &buffer);
}

/* Output buffers are made first, so that the node that computes an output writes it directly. */
static void claim_outputs(Lowerer *lowerer)
{
    const Graph *const graph = lowerer->graph;
    Module *const module = lowerer->module;
    module->outputs = NEW_ARRAY(lowerer->ir->arena, Node *, (size_t)graph->output_count + 1);
    for (int i = 0; i < graph->output_count; i++) {
        Node *const value = graph->outputs[i];
        module->outputs[i] = make_buffer(lowerer, value, PLACE_OUTPUT, i, graph->output_names[i]);
        const bool computed = op_is_tensor(value->op) || value->op == OP_result;
        if (computed && !map_has(&lowerer->buffers, value))
            map_set(&lowerer->buffers, value, module->outputs[i]);
    }
}

static Node *buffer_of(Lowerer *lowerer, Node *value)
{
    if (is_omitted(value))
        return NULL;
    Node *const known = map_get(&lowerer->buffers, value);
    if (known)
        return known;
    Name name =
        value->where && value->where->node ? value->where->node : name_intern(lowerer->ir->arena, op_name(value->op));
    Place place = PLACE_TEMP;
    if (value->op == OP_constant) {
        place = PLACE_WEIGHT;
        name =
            value->payload.constant->name ? value->payload.constant->name : name_intern(lowerer->ir->arena, "constant");
    }
    Node *const buffer = make_buffer(lowerer, value, place, 0, name);
    map_set(&lowerer->buffers, value, buffer);
    return buffer;
}

static bool lower_one(Lowerer *lowerer, Node *node)
{
    Ir *const ir = lowerer->ir;
    Node **const inputs = NEW_ARRAY(ir->arena, Node *, node->input_count + 1);
    for (uint32_t i = 0; i < node->input_count; i++)
        inputs[i] = buffer_of(lowerer, node->inputs[i]);
    const int count = node->result_count > 1 ? node->result_count : 1;
    Node **const outputs = NEW_ARRAY(ir->arena, Node *, (size_t)count);
    for (int i = 0; i < count; i++)
        outputs[i] = buffer_of(lowerer, node_result(node, i));
    breadcrumb("lower", node->where ? node->where->node : NULL);
    ir->where = node->where;
    return node_lower(ir, node, inputs, outputs, lowerer->module->body);
}

/* An output that is an input, a constant or another output is copied. */
static void copy_outputs(Lowerer *lowerer)
{
    Ir *const ir = lowerer->ir;
    for (int i = 0; i < lowerer->graph->output_count; i++) {
        Node *const value = lowerer->graph->outputs[i];
        Node *const from = buffer_of(lowerer, value), *const to = lowerer->module->outputs[i];
        if (from == to)
            continue;
        const Node copy = {.op = OP_Identity, .type = value->type, .where = value->where};
        Lower lower = {.ir = ir, .node = &copy, .kernels = lowerer->module->body};
        Node *axes[RANK_MAX];
        lower_axes(&lower, to->type, axes);
        lower_define(&lower, to, axes, to->type.rank, at_make(ir, from, axes));
    }
}

/* "MatMul_3", in the fifth region of a script "MatMul_4_3". */
static void name_kernels(Ir *ir, const Compilation *compilation, Block *body)
{
    const char *const region = compilation->region ? arena_format(ir->arena, "_%d", compilation->region_number) : "";
    for (int i = 0; i < body->count; i++) {
        Kernel *const kernel = body->nodes[i]->payload.kernel;
        kernel->name = name_intern(ir->arena, arena_format(ir->arena, "%s%s_%d", kernel->name, region, i));
    }
}

/* Steps of a script and values that are no tensors have no stages. */
static bool check_regions(Ir *ir, const Graph *graph, Node *const *nodes, int count)
{
    for (int i = 0; i < count; i++)
        if (op_is_tensor(nodes[i]->op) && op_row(nodes[i])->meaning.form == MEANING_HOST)
            return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, nodes[i]->where, "%s is not supported here",
                              op_name(nodes[i]->op));
    for (int i = 0; i < graph->input_count; i++)
        if (!type_is_tensor(graph->inputs[i]->type))
            return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, NULL,
                              "the input \"%s\" is no tensor, which is not supported here",
                              diag_quote(ir->arena, graph->inputs[i]->payload.name, 100));
    return true;
}

bool pass_lower(PassContext *context)
{
    Compilation *const compilation = context->compilation;
    Ir *const ir = compilation->ir;
    const Graph *const graph = compilation->graph;
    int count;
    Node **const order = nodes_topological(ir, graph->outputs, graph->output_count, &count);
    if (!check_regions(ir, graph, order, count))
        return false;
    Module *const module = NEW(ir->arena, Module);
    Lowerer lowerer = {.ir = ir, .graph = graph, .module = module};
    map_open(&lowerer.buffers, ir->arena);
    module->name = graph->name;
    module->body = block_make(ir);
    module->input_count = graph->input_count;
    module->output_count = graph->output_count;
    module->input_names = graph->input_names;
    module->output_names = graph->output_names;
    module->inputs = NEW_ARRAY(ir->arena, Node *, (size_t)graph->input_count + 1);
    for (int i = 0; i < graph->input_count; i++) {
        module->inputs[i] = make_buffer(&lowerer, graph->inputs[i], PLACE_INPUT, i, graph->input_names[i]);
        map_set(&lowerer.buffers, graph->inputs[i], module->inputs[i]);
    }
    claim_outputs(&lowerer);
    for (int i = 0; i < count; i++)
        if (op_is_tensor(order[i]->op) && !lower_one(&lowerer, order[i]))
            return false;
    copy_outputs(&lowerer);
    name_kernels(ir, compilation, module->body);
    ir->where = NULL;
    compilation->module = module;
    return true;
}
