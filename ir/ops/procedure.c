/* Writing procedures: see procedure.h. */
#include "ir/ops/procedure.h"

#include "ir/loops.h"
#include "ir/procedure.h"

static Node *ordered(Procedure *procedure, const Node *draft)
{
    Node *const node = node_make(procedure->ir, draft);
    block_append(procedure->ir, procedure->block, node);
    return node;
}

static void enter(Procedure *procedure, Block *block, Block *other)
{
    if (procedure->depth == PROCEDURE_DEPTH)
        BUG("procedure %s nests deeper than %d", procedure->name, PROCEDURE_DEPTH);
    procedure->around[procedure->depth] = procedure->block;
    procedure->other[procedure->depth++] = other;
    procedure->block = block;
}

Procedure procedure_open(Lower *lower, const char *name, Node *units)
{
    Ir *const ir = lower->ir;
    Procedure procedure = {.lower = lower, .ir = ir, .name = name, .units = units, .body = block_make(ir)};
    procedure.unit = axis_make(ir, "unit", units);
    procedure.block = body_units(ir, procedure.body, procedure.unit);
    return procedure;
}

void procedure_close(Procedure *procedure)
{
    Ir *const ir = procedure->ir;
    if (procedure->depth)
        BUG("procedure %s leaves %d blocks open", procedure->name, procedure->depth);
    Node *const kernel = procedure_make(ir, name_intern(ir->arena, procedure->name), procedure->body, procedure->units,
                                        procedure->scratch);
    const Where **const wheres = NEW_ARRAY(ir->arena, const Where *, 2);
    wheres[0] = procedure->lower->node->where;
    kernel->payload.kernel->wheres = wheres;
    block_append(ir, procedure->lower->kernels, kernel);
}

Node *procedure_read_lanes(Procedure *procedure, Node *buffer, Node *offset, int lanes)
{
    Node *const value = ordered(procedure, &(Node){.op = OP_read,
                                                   .type = type_vector(buffer->type.dtype, lanes),
                                                   .inputs = (Node *[]){buffer, offset},
                                                   .input_count = 2});
    return cast_make(procedure->ir, value, dtype_compute(buffer->type.dtype));
}

Node *procedure_read(Procedure *procedure, Node *buffer, Node *offset)
{
    return procedure_read_lanes(procedure, buffer, offset, 1);
}

Node *procedure_read_index(Procedure *procedure, Node *buffer, Node *offset)
{
    return cast_make(procedure->ir, procedure_read(procedure, buffer, offset), DTYPE_INDEX);
}

void procedure_write(Procedure *procedure, Node *buffer, Node *offset, Node *value)
{
    Node *const stored = cast_make(procedure->ir, value, buffer->type.dtype);
    ordered(procedure, &(Node){.op = OP_store, .inputs = (Node *[]){buffer, offset, stored}, .input_count = 3});
}

Node *procedure_local(Procedure *procedure, const char *name, Dtype dtype, int64_t elements)
{
    Ir *const ir = procedure->ir;
    Node *const extent = index_const(ir, elements);
    return local_make(ir, name, type_tensor(ir, dtype, 1, &extent), &procedure->scratch);
}

Node *procedure_var(Procedure *procedure, Node *initial)
{
    return body_var(procedure->ir, procedure->block, initial);
}

Node *procedure_get(Procedure *procedure, Node *var)
{
    return body_get(procedure->ir, procedure->block, var);
}

void procedure_set(Procedure *procedure, Node *var, Node *value)
{
    body_set(procedure->ir, procedure->block, var, value);
}

void procedure_add(Procedure *procedure, Node *var, int64_t step)
{
    procedure_set(procedure, var,
                  index_add(procedure->ir, procedure_get(procedure, var), index_const(procedure->ir, step)));
}

Node *procedure_for(Procedure *procedure, const char *name, Node *from, Node *to)
{
    Node *const variable = axis_make(procedure->ir, name, NULL);
    enter(procedure, body_for(procedure->ir, procedure->block, variable, from, to, 1), NULL);
    return variable;
}

void procedure_loop(Procedure *procedure)
{
    Block *block = block_make(procedure->ir);
    ordered(procedure, &(Node){.op = OP_loop, .blocks = &block, .block_count = 1});
    enter(procedure, block, NULL);
}

void procedure_if(Procedure *procedure, Node *condition)
{
    Block *block = block_make(procedure->ir);
    ordered(procedure,
            &(Node){.op = OP_if, .inputs = &condition, .input_count = 1, .blocks = &block, .block_count = 1});
    enter(procedure, block, NULL);
}

void procedure_if_else(Procedure *procedure, Node *condition)
{
    Block *const blocks[2] = {block_make(procedure->ir), block_make(procedure->ir)};
    ordered(procedure, &(Node){.op = OP_if,
                               .inputs = &condition,
                               .input_count = 1,
                               .blocks = (Block **)(uintptr_t)blocks,
                               .block_count = 2});
    enter(procedure, blocks[0], blocks[1]);
}

void procedure_else(Procedure *procedure)
{
    procedure->block = procedure->other[procedure->depth - 1];
}

void procedure_end(Procedure *procedure)
{
    if (procedure->depth == 0)
        BUG("procedure %s ends a block that was never opened", procedure->name);
    procedure->block = procedure->around[--procedure->depth];
}

void procedure_break(Procedure *procedure, Node *condition)
{
    ordered(procedure, &(Node){.op = OP_break, .inputs = &condition, .input_count = 1});
}

void procedure_check(Procedure *procedure, Node *condition)
{
    ordered(procedure, &(Node){.op = OP_check, .inputs = &condition, .input_count = 1, .payload.integer = ERROR_INDEX});
}
