/* A custom operator's stages: the operator lathe_Stages, which carries text, file and number of its definition. */
#include "ir/custom_internal.h"

#include "ir/kernel.h"
#include "ir/map.h"
#include "ir/ops/lower.h"
#include "ir/ops/rules.h"
#include "ir/verify.h"

#include <string.h>

void custom_attributes(Ir *ir, const CustomOperator *custom, const Attribute *attributes, Attribute all[4])
{
    double *const values = NEW_ARRAY(ir->arena, double, CUSTOM_ATTRIBUTES);
    for (int i = 0; i < custom->attribute_count; i++)
        values[i] = attributes[i].kind == ATTRIBUTE_INT ? (double)attributes[i].integer : attributes[i].real;
    all[0] = attr_string(ir, "text", "");
    all[0].string = name_intern_bytes(ir->arena, custom->text, custom->length);
    all[0].count = (int)custom->length;
    all[1] = attr_string(ir, "file", custom->file);
    all[2] = attr_int(ir, "number", custom->number);
    all[3] = (Attribute){.name = name_intern(ir->arena, "values"),
                         .kind = ATTRIBUTE_FLOATS,
                         .count = custom->attribute_count,
                         .reals = values};
}

static Node *stages_node(Ir *ir, const CustomOperator *custom, Node *const *inputs, int input_count,
                         const Attribute *attributes)
{
    Attribute all[4];
    custom_attributes(ir, custom, attributes, all);
    return tensor_make(ir, OP_lathe_Stages, inputs, input_count, custom->output_count, all, 4);
}

/* The definition that such a node carries. */
static const CustomOperator *stages_definition(Ir *ir, const Node *node)
{
    const Attribute *const text = attribute_find(node, "text");
    const int64_t number = attribute_int(node, "number", 0);
    Customs customs = {0};
    if (!text || !customs_read(ir, attribute_string(node, "file", ""), text->string, (size_t)text->count, &customs))
        return NULL;
    const CustomOperator *custom = customs.first;
    for (int64_t i = 0; i < number && custom; i++)
        custom = custom->next;
    return custom;
}

Use *custom_use_of(Ir *ir, const Node *node)
{
    const CustomOperator *const custom = stages_definition(ir, node);
    const Attribute *const values = attribute_find(node, "values");
    if (!custom || !custom->stages || (values ? values->count : 0) != custom->attribute_count)
        return NULL;
    Attribute *const attributes = NEW_ARRAY(ir->arena, Attribute, CUSTOM_ATTRIBUTES);
    for (int i = 0; i < custom->attribute_count; i++)
        attributes[i] = attr_float(ir, custom->attributes[i].name, values->reals[i]);
    return use_open(ir, custom, node->inputs, (int)node->input_count, attributes, custom->attribute_count);
}

bool custom_types(Use *use, Type *types)
{
    Cursor cursor = {use->custom->block, 0};
    bool good = true;
    int inputs = 0, outputs = 0;
    while (good && cursor_more(&cursor)) {
        const Sexpr *const at = cursor_peek(&cursor);
        Name name;
        cursor.at++;
        if (sexpr_is(at, "input"))
            good = use_input_bind(use, &cursor, inputs++);
        else if (sexpr_is(at, "output"))
            good = parse_name(&use->parser, &cursor, &name) && use_result_type(use, &cursor, &types[outputs++]);
        custom_statement_skip(&cursor);
    }
    return good;
}

bool stages_shape(Infer *infer)
{
    const Where *const where = infer->ir->where;
    Use *const use = custom_use_of(infer->ir, infer->node);
    Type types[CUSTOM_OUTPUTS];
    if (!use || use->custom->output_count != infer->output_count)
        return use ? infer_error(infer, "the definition has %d outputs, not %d", use->custom->output_count,
                                 infer->output_count)
                   : false;
    if (!custom_types(use, types))
        return false;
    memcpy(infer->types, types, (size_t)infer->output_count * sizeof *types);
    infer->ir->where = where;
    return true;
}

static void buffers_bind(Use *use, const Lower *lower, Cursor *cursor, const Sexpr *at, int *inputs, int *outputs,
                         bool *good)
{
    Name name;
    Type type;
    const bool input = sexpr_is(at, "input"), output = sexpr_is(at, "output");
    *good = parse_name(&use->parser, cursor, &name);
    if (!*good)
        return;
    if (input)
        names_bind(use->parser.environment.names, name, lower_in(lower, (*inputs)++));
    else if (output)
        names_bind(use->parser.environment.names, name, lower_out(lower, (*outputs)++));
    else if ((*good = use_result_type(use, cursor, &type)))
        names_bind(use->parser.environment.names, name,
                   lower_temp((Lower *)(uintptr_t)lower, name + 1, type.dtype, type.rank, type.dims));
}

/* Letters that stand for types become those types, everywhere in the definition, which was read for this node alone. */
static void variables_replace(Use *use)
{
    const Sexpr **const open = NEW_ARRAY(use->ir->arena, const Sexpr *, use->custom->length + 1);
    size_t count = 0;
    open[count++] = use->custom->block;
    while (count) {
        const Sexpr *const list = open[--count];
        for (int i = 0; i < list->count; i++) {
            Sexpr *const item = (Sexpr *)(uintptr_t)&list->items[i];
            if (item->kind == SEXPR_ATOM)
                *item = use_dtype_atom(use, item);
            else if (item->kind != SEXPR_STRING)
                open[count++] = item;
        }
    }
}

/* ---- accesses ---- */

static bool inside(Ir *ir, const Node *buffer, Node *const *indices)
{
    for (int i = 0; i < buffer->type.rank; i++) {
        const Node *const proof = lower_inside(ir, indices[i], buffer->type.dims[i]);
        if (proof->op != OP_const || !proof->payload.bits)
            return false;
    }
    return true;
}

/* Do all elements that the stage reads outside of guards, and those that it writes, provably exist? What a guard keeps
 * is its author's. */
static bool accesses_check(const Use *use, const Node *stage, const Sexpr *at)
{
    Ir *const ir = use->ir;
    NodeMap seen;
    map_open(&seen, ir->arena);
    if (!inside(ir, stage->inputs[0], stage->inputs + 2))
        return use_error(use, at, "the stage writes outside of %s, or where that cannot be ruled out",
                         stage->inputs[0]->payload.buffer->name);
    size_t capacity = 64, count = 0;
    const Node **open = NEW_ARRAY(ir->arena, const Node *, capacity);
    open[count++] = stage->inputs[1];
    while (count) {
        const Node *const node = open[--count];
        if (map_has(&seen, node))
            continue;
        map_set(&seen, node, (void *)(uintptr_t)node);
        if (node->op == OP_at && !inside(ir, node->inputs[0], node->inputs + 1))
            return use_error(use, at,
                             "an element outside of %s is read, or that cannot be ruled out: bound or guard the index",
                             node->inputs[0]->payload.buffer->name);
        if (count + node->input_count > capacity) {
            const Node **const more = NEW_ARRAY(ir->arena, const Node *, capacity * 2 + node->input_count);
            memcpy(more, open, count * sizeof *more);
            capacity = capacity * 2 + node->input_count;
            open = more;
        }
        for (uint32_t i = 0; i < node->input_count; i++)
            if (node->op != OP_guard || i != 1)
                open[count++] = node->inputs[i];
    }
    return true;
}

/* A stage of the text as a kernel of the model. */
static bool stage_lower(Use *use, Lower *lower, Cursor *cursor, const Sexpr *at)
{
    Ir *const ir = lower->ir;
    Block *const stages = block_make(ir);
    parser_place(&use->parser, at);
    if (!parse_stage(&use->parser, cursor, stages, at) || !accesses_check(use, stages->nodes[0], at))
        return false;
    Node *const kernel = kernel_make(ir, use->custom->name, stages);
    const Where **const wheres = NEW_ARRAY(ir->arena, const Where *, 2);
    wheres[0] = lower->node->where;
    kernel->payload.kernel->wheres = wheres;
    block_append(ir, lower->kernels, kernel);
    return verify_kernel(ir, kernel, ir->diagnostics);
}

bool stages_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Where *const where = ir->where;
    Use *const use = custom_use_of(ir, lower->node);
    Type types[CUSTOM_OUTPUTS];
    bool good = use && custom_types(use, types);
    if (!good)
        return false;
    names_enter(use->parser.environment.names); /* the names are buffers now */
    variables_replace(use);
    Cursor cursor = {use->custom->block, 0};
    int inputs = 0, outputs = 0;
    while (good && cursor_more(&cursor)) {
        const Sexpr *const at = cursor_peek(&cursor);
        cursor.at++;
        if (sexpr_is(at, "stage"))
            good = stage_lower(use, lower, &cursor, at);
        else if (!sexpr_is(at, "attribute"))
            buffers_bind(use, lower, &cursor, at, &inputs, &outputs, &good);
        if (good && cursor_more(&cursor) && sexpr_is(at, "stage") && !custom_statement_is(cursor_peek(&cursor)))
            good = use_error(use, cursor_peek(&cursor), "the stage goes on after its value");
        custom_statement_skip(&cursor);
    }
    ir->where = where;
    return good;
}

/* What is wrong with the stages is said when the model is read, once. */
static bool stages_try(Ir *ir, const Node *node, int output_count)
{
    const Buffer buffer = {.name = name_intern(ir->arena, "value"), .place = PLACE_TEMP};
    Node *inputs[CUSTOM_INPUTS], *outputs[CUSTOM_OUTPUTS];
    for (uint32_t i = 0; i < node->input_count; i++)
        inputs[i] = buffer_make(ir, node->inputs[i]->type, &buffer);
    for (int i = 0; i < output_count; i++)
        outputs[i] = buffer_make(ir, output_count > 1 ? node->results[i]->type : node->type, &buffer);
    return node->op != OP_lathe_Stages || node_lower(ir, node, inputs, outputs, block_make(ir));
}

Node *custom_stages_make(Ir *ir, const CustomOperator *custom, Node *const *inputs, int input_count,
                         const Attribute *attributes)
{
    Node *const node = stages_node(ir, custom, inputs, input_count, attributes);
    return node && stages_try(ir, node, custom->output_count) ? node : NULL;
}
