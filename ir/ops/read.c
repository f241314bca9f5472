/* Reading what only a run knows: the elements of a small tensor become symbols (ir/script.h). */
#include "ir/ops/rules.h"

bool read_shape(Infer *infer)
{
    infer->types[0] = infer_type(infer, 0);
    return true;
}

static bool readable(Ir *ir, Type type)
{
    int64_t elements;
    const bool small = type_is_tensor(type) && const_is_int(type_elements(ir, type), &elements) && elements <= READ_MAX;
    return small &&
           (type.dtype == DTYPE_I64 || type.dtype == DTYPE_I32 || type.dtype == DTYPE_BOOL || type.dtype == DTYPE_F32);
}

/* "node.17[2]": of the node that made the tensor, for messages; the number makes it unique. Names without '[' are
 * sizes: symbols that are never negative (ir/index.c). */
static Node *element_symbol(Ir *ir, const Node *read, int64_t i, bool size)
{
    const Node *const tensor = read->inputs[0], *const maker = tensor->op == OP_result ? tensor->inputs[0] : tensor;
    const char *const given = tensor->op == OP_input                                      ? tensor->payload.name
                              : maker->where && maker->where->node && *maker->where->node ? maker->where->node
                                                                                          : op_name(maker->op);
    const char *const form = size ? "%s.%u.%lld" : "%s.%u[%lld]";
    char *const name = arena_format(ir->arena, form, given, read->id, (long long)i);
    for (char *c = name; size && *c; c++)
        *c = *c == '[' ? '_' : *c;
    return symbol_make(ir, name_intern(ir->arena, name));
}

static Node *read_tensor(Ir *ir, Node *tensor, bool sizes)
{
    if (tensor->contents || !readable(ir, tensor->type))
        return tensor;
    const Attribute attribute = attr_int(ir, "sizes", sizes);
    Node *const node = tensor_make(ir, OP_lathe_Read, &tensor, 1, 1, &attribute, 1);
    if (!node || node->contents)
        return node;
    int64_t elements;
    const_is_int(type_elements(ir, tensor->type), &elements);
    Node **const contents = NEW_ARRAY(ir->arena, Node *, (size_t)elements + 1);
    for (int64_t i = 0; i < elements; i++) {
        Node *const symbol = element_symbol(ir, node, i, sizes);
        contents[i] = tensor->type.dtype == DTYPE_F32    ? bitcast_make(ir, cast_make(ir, symbol, DTYPE_U32), DTYPE_F32)
                      : tensor->type.dtype == DTYPE_BOOL ? scalar2(ir, OP_ne, symbol, index_const(ir, 0))
                                                         : symbol;
    }
    node->contents = contents;
    return node;
}

Node *read_make(Ir *ir, Node *tensor)
{
    return read_tensor(ir, tensor, false);
}

Node *read_sizes_make(Ir *ir, Node *tensor)
{
    return read_tensor(ir, tensor, true);
}
