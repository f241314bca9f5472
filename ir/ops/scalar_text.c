/* SCALAR and EXPAND rows: their text, read and built over given nodes. */
#include "ir/ops/scalar_text.h"

#include "ir/read.h"

#include <string.h>

static const char *const operand_names[] = {"x", "y", "z", "w"};

static void bind(Ir *ir, Names *names, const char *name, Node *node)
{
    names_bind(names, name_intern(ir->arena, name), node);
}

/* An attribute as a number, or no number. */
static bool attribute_number(const Attribute *attribute, double *value)
{
    if (attribute->kind == ATTRIBUTE_INT)
        *value = (double)attribute->integer;
    else if (attribute->kind == ATTRIBUTE_FLOAT)
        *value = attribute->real;
    return attribute->kind == ATTRIBUTE_INT || attribute->kind == ATTRIBUTE_FLOAT;
}

/* Names and text lie in scratch, which goes back to `mark`: of the millions of nodes of a large model each reads its
 * row's text. */
static Node *text_build(Ir *ir, const char *name, const char *meaning, Environment *environment, ArenaMark mark)
{
    Arena *const scratch = arena_scratch(ir->arena);
    environment->file = name;
    const Sexpr *const text = sexpr_read(scratch, ir->diagnostics, environment->file, meaning);
    Node *const made = text ? expression_build(ir, text, environment) : NULL;
    arena_reset(scratch, mark);
    return made;
}

Node *scalar_text_apply(Ir *ir, const char *name, const char *text, Node *x, double alpha, double beta)
{
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    Environment environment = {.names = names_open(arena_scratch(ir->arena))};
    bind(ir, environment.names, "x", x);
    bind(ir, environment.names, "@alpha", const_float(ir, x->type.dtype, alpha));
    bind(ir, environment.names, "@beta", const_float(ir, x->type.dtype, beta));
    return text_build(ir, name, text, &environment, mark);
}

Node *scalar_text_build(Ir *ir, const Node *node, Node *const *values, int count)
{
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    Environment environment = {.names = names_open(arena_scratch(ir->arena))};
    for (int i = 0; i < count && i < 4; i++)
        bind(ir, environment.names, operand_names[i], values[i]);
    for (int i = 0; i < node->attribute_count; i++) {
        double value;
        if (attribute_number(&node->attributes[i], &value))
            bind(ir, environment.names, arena_format(ir->arena, "@%s", node->attributes[i].name),
                 const_float(ir, values[0]->type.dtype, value));
    }
    return text_build(ir, op_name(node->op), op_row(node)->meaning.text, &environment, mark);
}

static Node *make_operator(void *context, Op op, Node **inputs, int count, int output_count,
                           const Attribute *attributes, int attribute_count)
{
    return tensor_make(context, op, inputs, count, output_count, attributes, attribute_count);
}

Node *expand_text_build(Ir *ir, const Node *node)
{
    const ArenaMark mark = arena_mark(arena_scratch(ir->arena));
    Environment environment = {.names = names_open(arena_scratch(ir->arena)),
                               .attributes = node->attributes,
                               .attribute_count = node->attribute_count,
                               .make_tensor = make_operator,
                               .context = ir,
                               .output_count = node->result_count};
    for (uint32_t i = 0; i < node->input_count && i < 4; i++)
        bind(ir, environment.names, operand_names[i], node->inputs[i]);
    for (int i = 0; i < node->attribute_count; i++) {
        double value;
        if (node->input_count && attribute_number(&node->attributes[i], &value))
            bind(ir, environment.names, arena_format(ir->arena, "@%s", node->attributes[i].name),
                 constant_scalar(ir, node->inputs[0]->type.dtype, value));
    }
    return text_build(ir, op_name(node->op), op_row(node)->meaning.text, &environment, mark);
}
