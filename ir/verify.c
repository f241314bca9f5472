/* Graphs, kernels and modules: see verify.h. Pure nodes and places are verify_unit.c's, accesses verify_access.c's. */
#include "ir/verify.h"
#include "ir/kernel.h"
#include "ir/ops/ops.h"
#include "ir/unshare.h"
#include "ir/read.h"
#include "ir/verify_internal.h"

#include <string.h>

static Verifier verifier_open(Diagnostics *diagnostics)
{
    Verifier verifier = {.scratch = arena_open(0, NULL, NULL), .diagnostics = diagnostics};
    map_open(&verifier.blocks_of, verifier.scratch);
    map_open(&verifier.parameters, verifier.scratch);
    map_open(&verifier.written, verifier.scratch);
    return verifier;
}

static bool verifier_close(Verifier *verifier)
{
    arena_close(verifier->scratch);
    return verifier->wrong == 0;
}

/* ---- graphs ---- */

static bool knows_attribute(const OpRow *row, const Attribute *attribute)
{
    for (const AttributeRow *known = row->attributes; known && known->name; known++)
        if (strcmp(known->name, attribute->name) == 0)
            return known->kind == attribute->kind;
    return false;
}

static void check_operator(Verifier *verifier, const Node *node)
{
    const OpRow *const row = op_row(node);
    const int outputs = node->result_count > 1 ? node->result_count : 1;
    if ((int)node->input_count < row->input_min || (int)node->input_count > row->input_max)
        verify_wrong(verifier, node, "takes %d to %d inputs but has %u", row->input_min, row->input_max,
                     node->input_count);
    if (outputs > row->output_max)
        verify_wrong(verifier, node, "has at most %d outputs, not %d", row->output_max, outputs);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const Node *const input = node->inputs[i];
        const bool fits = row->meaning.form == MEANING_HOST ? input->type.rank != -1 : type_is_tensor(input->type);
        if (!is_omitted(input) && (!fits || input->type.dtype == DTYPE_NONE || input->result_count > 1))
            verify_wrong(verifier, node, "input %u is no tensor", i + 1);
    }
    for (int i = 0; i < node->attribute_count; i++) {
        if (!knows_attribute(row, &node->attributes[i]))
            verify_wrong(verifier, node, "has no attribute %s of this kind", node->attributes[i].name);
        if (i > 0 && strcmp(node->attributes[i - 1].name, node->attributes[i].name) >= 0)
            verify_wrong(verifier, node, "attributes are not sorted: %s", node->attributes[i].name);
    }
    const bool typed = row->meaning.form == MEANING_HOST ? node->type.rank != -1 : type_is_tensor(node->type);
    if (outputs == 1 && (!typed || node->type.dtype == DTYPE_NONE))
        verify_wrong(verifier, node, "has no type");
}

static void check_result(Verifier *verifier, const Node *node)
{
    const Node *const parent = node->input_count == 1 ? node->inputs[0] : NULL;
    if (!parent || node->payload.integer < 0 || node->payload.integer >= parent->result_count || !parent->results ||
        parent->results[node->payload.integer] != node)
        verify_wrong(verifier, node, "is no result of its operator");
}

static void check_outputs(Verifier *verifier, const Graph *graph)
{
    for (int i = 0; i < graph->output_count; i++)
        if (graph->outputs[i]->type.rank == -1 || graph->outputs[i]->type.dtype == DTYPE_NONE)
            verify_wrong(verifier, graph->outputs[i], "is output %d of a graph but no tensor", i + 1);
}

bool verify_graph(Ir *ir, const Graph *graph, Diagnostics *diagnostics)
{
    (void)ir;
    Verifier verifier = verifier_open(diagnostics);
    unit_open(&verifier, LEVEL_TENSOR);
    const int scope = plan_scope(verifier.plan, -1, -1), item = plan_item(verifier.plan, scope);
    for (int i = 0; i < graph->input_count; i++) {
        if (graph->inputs[i]->op != OP_input)
            verify_wrong(&verifier, graph->inputs[i], "stands among the inputs of a graph");
        unit_bind(&verifier, graph->inputs[i], scope, -1);
        plan_use_dims(verifier.plan, item, graph->inputs[i]->type);
    }
    for (int i = 0; i < graph->output_count; i++)
        plan_use(verifier.plan, item, graph->outputs[i]);
    unit_check(&verifier);
    check_outputs(&verifier, graph);
    for (int i = 0; i < plan_count(verifier.plan); i++) {
        const Node *const node = plan_at(verifier.plan, i)->node;
        if (op_is_tensor(node->op))
            check_operator(&verifier, node);
        if (node->op == OP_result)
            check_result(&verifier, node);
        for (int j = 0; j < node->attribute_count; j++)
            if (node->attributes[j].kind == ATTRIBUTE_GRAPH)
                check_outputs(&verifier, node->attributes[j].graph);
    }
    return verifier_close(&verifier);
}

/* ---- kernels ---- */

static void check_stage(Verifier *verifier, Node *stage)
{
    unit_open(verifier, LEVEL_STAGES);
    const int outer = plan_scope(verifier->plan, -1, -1), head = plan_item(verifier->plan, outer);
    const int inner = plan_scope(verifier->plan, outer, head), item = plan_item(verifier->plan, inner);
    verify_statement(verifier, stage);
    if (stage->op != OP_stage || stage->input_count < 2)
        return;
    for (int i = 0; i < stage->axis_count; i++) {
        unit_bind(verifier, stage->axes[i], inner, -1);
        for (uint32_t j = 0; j < stage->axes[i]->input_count; j++)
            plan_use(verifier->plan, head, stage->axes[i]->inputs[j]);
    }
    for (uint32_t i = 1; i < stage->input_count; i++)
        plan_use(verifier->plan, item, stage->inputs[i]);
    unit_check(verifier);
    verify_access(verifier, stage, inner, false);
}

/* Parameters: buffers, then symbols, none twice and none of them local. */
static void take_parameters(Verifier *verifier, Node *kernel)
{
    map_open(&verifier->parameters, verifier->scratch);
    bool symbols = false;
    for (uint32_t i = 0; i < kernel->input_count; i++) {
        const Node *const input = kernel->inputs[i];
        symbols = symbols || input->op == OP_symbol;
        if (input->op != (symbols ? OP_symbol : OP_buffer))
            verify_wrong(verifier, kernel, "parameter %u is %s: buffers come first, then symbols", i + 1,
                         op_name(input->op));
        else if (input->op == OP_buffer && place_is_inner(input->payload.buffer->place))
            verify_wrong(verifier, kernel, "parameter %u is a buffer of the kernel itself", i + 1);
        if (map_has(&verifier->parameters, input))
            verify_wrong(verifier, kernel, "parameter %u stands there twice", i + 1);
        map_set(&verifier->parameters, input, kernel->inputs[i]);
    }
}

static void take_written(Verifier *verifier, const Block *block, int depth)
{
    for (int i = 0; i < block->count && depth <= 64; i++) {
        const Node *const node = block->nodes[i];
        if ((node->op == OP_store || node->op == OP_scatter || node->op == OP_copy_async ||
             node->op == OP_tile_store) &&
            node->input_count)
            map_set(&verifier->written, node->inputs[0], node->inputs[0]);
        for (int j = 0; j < node->block_count; j++)
            take_written(verifier, node->blocks[j], depth + 1);
    }
}

/* What has to be seen before loops get variables of their own: statements that stand twice, loops inside their own
 * loop. */
static void check_identity(Verifier *verifier, const Block *block, NodeMap *open, int depth)
{
    for (int i = 0; i < block->count && depth <= 64; i++) {
        Node *const node = block->nodes[i];
        if (map_has(&verifier->blocks_of, node))
            verify_wrong(verifier, node, "stands in two blocks, or twice in one");
        map_set(&verifier->blocks_of, node, node);
        Node *const axis = node->op == OP_for && node->axis_count == 1 ? node->axes[0] : NULL;
        if (axis && map_get(open, axis))
            verify_wrong(verifier, axis, "%%%s is bound inside a loop over it", axis->payload.name);
        const bool opens = axis && !map_get(open, axis);
        if (opens)
            map_set(open, axis, axis);
        for (int j = 0; j < node->block_count; j++)
            check_identity(verifier, node->blocks[j], open, depth + 1);
        if (opens)
            map_set(open, axis, NULL);
    }
}

static void check_body(Verifier *verifier, const Block *shared)
{
    NodeMap open;
    map_open(&open, verifier->scratch);
    check_identity(verifier, shared, &open, 0);
    const Block *const body = block_unshared(verifier->scratch, shared);
    map_open(&verifier->written, verifier->scratch);
    take_written(verifier, body, 0);
    unit_open(verifier, LEVEL_KERNEL);
    verify_block(verifier, body, plan_scope(verifier->plan, -1, -1), (Context){false, false, 1});
    unit_check(verifier);
    verify_block_accesses(verifier, body, (Context){false, false, 1});
    verify_threads(verifier, body);
    for (int i = 0; i < plan_count(verifier->plan); i++) {
        const Node *const node = plan_at(verifier->plan, i)->node;
        int64_t ignored;
        for (int j = 0; node->op == OP_buffer && place_is_inner(node->payload.buffer->place) && j < node->type.rank;
             j++)
            if (!const_is_int(node->type.dims[j], &ignored))
                verify_wrong(verifier, node, "is local to a kernel: dim %d has to be constant", j + 1);
    }
    map_open(&verifier->written, verifier->scratch);
}

/* Steps stand together, and walk the same leading axes. */
static void check_steps(Verifier *verifier, const Block *stages)
{
    const Node *const first = stages->count ? stages->nodes[0] : NULL;
    for (int i = 1; i < stages->count; i++) {
        const Node *const stage = stages->nodes[i];
        if (first->op != OP_stage || stage->op != OP_stage || (!stage_is_step(first) && !stage_is_step(stage)))
            continue;
        bool same = stage->payload.integer == first->payload.integer;
        for (int j = 0; same && j < stage_step_axes(first); j++)
            same = j < stage->axis_count && j < first->axis_count && stage->axes[j] == first->axes[j];
        if (!same)
            verify_wrong(verifier, stage, "is a step with other leading axes than the first stage");
    }
}

static void check_kernel(Verifier *verifier, Node *kernel)
{
    if (kernel->op != OP_kernel || kernel->block_count < 1 || !kernel->payload.kernel) {
        verify_wrong(verifier, kernel, "is no kernel");
        return;
    }
    take_parameters(verifier, kernel);
    verifier->kernel = kernel;
    for (int i = 0; i < kernel_stages(kernel)->count; i++)
        check_stage(verifier, kernel_stages(kernel)->nodes[i]);
    check_steps(verifier, kernel_stages(kernel));
    Node *const units = kernel->payload.kernel->units;
    if (units && (units->type.dtype != DTYPE_INDEX || units->type.lanes != 1 || units->type.rank >= 0))
        verify_wrong(verifier, kernel, "counts its units in something that is no index");
    if (kernel_body(kernel))
        check_body(verifier, kernel_body(kernel));
    verifier->kernel = NULL;
}

bool verify_kernel(Ir *ir, Node *kernel, Diagnostics *diagnostics)
{
    (void)ir;
    Verifier verifier = verifier_open(diagnostics);
    check_kernel(&verifier, kernel);
    return verifier_close(&verifier);
}

/* ---- modules ---- */

/* Every axis of a blocked layout stands there once whole, or once outer and once inner with the same block. */
static void check_layout(Verifier *verifier, const Node *buffer)
{
    const Layout *const layout = &buffer->payload.buffer->layout;
    for (int axis = 0; layout->count && axis < buffer->type.rank; axis++) {
        int count[3] = {0}, block[3] = {0};
        for (int i = 0; i < layout->count; i++)
            if (layout->entries[i].axis == axis && layout->entries[i].part <= PART_INNER) {
                count[layout->entries[i].part]++;
                block[layout->entries[i].part] = layout->entries[i].block;
            }
        const bool whole = count[PART_WHOLE] == 1 && !count[PART_OUTER] && !count[PART_INNER];
        const bool split = !count[PART_WHOLE] && count[PART_OUTER] == 1 && count[PART_INNER] == 1 &&
                           block[PART_OUTER] > 0 && block[PART_OUTER] == block[PART_INNER];
        if (!whole && !split)
            verify_wrong(verifier, buffer, "the layout has axis %d neither once whole nor once split", axis);
    }
}

static void check_buffer(Verifier *verifier, NodeMap *known, Node *buffer)
{
    if (map_has(known, buffer))
        return;
    map_set(known, buffer, buffer);
    if (!type_is_tensor(buffer->type) || buffer->type.dtype == DTYPE_NONE)
        verify_wrong(verifier, buffer, "is of no tensor type");
    check_layout(verifier, buffer);
    int steps = 0;
    for (const Node *walk = buffer; walk && steps <= 1000; walk = walk->payload.buffer->alias)
        steps++;
    if (steps > 1000)
        verify_wrong(verifier, buffer, "is an alias of itself");
}

static void check_public(Verifier *verifier, NodeMap *known, Node *const *nodes, int count, Place place)
{
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op != OP_buffer || nodes[i]->payload.buffer->place != place ||
            nodes[i]->payload.buffer->number != i)
            verify_wrong(verifier, nodes[i], "is not %s %d of the module", place == PLACE_INPUT ? "input" : "output",
                         i);
        else
            check_buffer(verifier, known, nodes[i]);
    }
}

/* A launch gives its kernel as many buffers, of the same dtypes and ranks, as that has parameters. */
static void check_launch(Verifier *verifier, const Node *launch, const Node *kernel)
{
    const int wanted = kernel_buffer_count(kernel);
    if ((int)launch->input_count != wanted) {
        verify_wrong(verifier, launch, "%s takes %d buffers but gets %u", launch->payload.name, wanted,
                     launch->input_count);
        return;
    }
    for (int i = 0; i < wanted; i++) {
        const Node *const given = launch->inputs[i];
        if (given->op != OP_buffer || given->type.dtype != kernel->inputs[i]->type.dtype)
            verify_wrong(verifier, launch, "buffer %d of %s does not suit it", i + 1, launch->payload.name);
    }
}

/* Kernels by their interned names: binding a name to a node is what Names do. */
static void check_launches(Verifier *verifier, Ir *ir, const Module *module)
{
    Names *const kernels = names_open(verifier->scratch);
    int count = 0;
    for (int i = 0; i < module->body->count; i++) {
        Node *const node = module->body->nodes[i];
        const Name name = node->op == OP_kernel && node->payload.kernel ? node->payload.kernel->name : NULL;
        if (!name)
            continue;
        const Name interned = name_intern(ir->arena, name);
        if (names_find(kernels, interned))
            verify_wrong(verifier, node, "there are two kernels called %s", name);
        names_bind(kernels, interned, node);
        count++;
    }
    for (int i = 0; i < module->body->count; i++) {
        const Node *const node = module->body->nodes[i];
        if (node->op != OP_launch || !count)
            continue; /* a program may have left its kernels elsewhere */
        const Node *const kernel =
            node->payload.name ? names_find(kernels, name_intern(ir->arena, node->payload.name)) : NULL;
        if (kernel)
            check_launch(verifier, node, kernel);
        else
            verify_wrong(verifier, node, "no kernel is called %s", node->payload.name ? node->payload.name : "that");
    }
}

bool verify_module(Ir *ir, const Module *module, Diagnostics *diagnostics)
{
    Verifier verifier = verifier_open(diagnostics);
    NodeMap known;
    map_open(&known, verifier.scratch);
    check_public(&verifier, &known, module->inputs, module->input_count, PLACE_INPUT);
    check_public(&verifier, &known, module->outputs, module->output_count, PLACE_OUTPUT);
    unit_open(&verifier, LEVEL_STAGES | LEVEL_KERNEL | LEVEL_PROGRAM);
    verify_block(&verifier, module->body, plan_scope(verifier.plan, -1, -1), (Context){false, false, 0});
    unit_check(&verifier);
    for (int i = 0; i < module->body->count; i++) {
        Node *const node = module->body->nodes[i];
        for (uint32_t j = 0; j < node->input_count; j++)
            if (node->inputs[j]->op == OP_buffer)
                check_buffer(&verifier, &known, node->inputs[j]);
        if (node->op == OP_kernel)
            check_kernel(&verifier, node);
        else if (node->op != OP_launch && node->op != OP_check)
            verify_wrong(&verifier, node, "stands in a module");
    }
    check_launches(&verifier, ir, module);
    return verifier_close(&verifier);
}
