/* Numbers that sizes are made of, where their type is none that a run can read between two regions (ir/ops/read.c):
 * they are counted in stages and the count is read. */
#include "frontend/importer.h"
#include "ir/ops/build.h"
#include "ir/scalar.h"

#include <math.h>
#include <string.h>

static bool read_as_it_is(Dtype dtype)
{
    return dtype == DTYPE_I64 || dtype == DTYPE_I32 || dtype == DTYPE_F32;
}

/* The value of a constant of one element. */
static bool constant_value(Ir *ir, const Node *node, double *value)
{
    const Dtype dtype = node->type.dtype;
    if (node->op != OP_constant || !index_is(type_elements(ir, node->type), 1) || dtype_info[dtype].bits < 8 ||
        dtype == DTYPE_STRING || node->payload.constant->bytes < (uint64_t)dtype_info[dtype].bits / 8)
        return false;
    *value = const_as_double(const_bits(ir, type_scalar(dtype), element_bits(node->payload.constant->data, dtype)));
    return true;
}

static bool is_scalar(Ir *ir, const Node *node)
{
    return type_is_tensor(node->type) && node->type.rank <= 1 && index_is(type_elements(ir, node->type), 1);
}

/* Range of doubles, halves and small integers: lathe_RangeFill(start, delta, count). */
static bool range_settle(Draft *draft)
{
    Ir *ir = draft->importer->ir;
    Node *const *const in = draft->inputs;
    if (draft->input_count != 3 || draft->output_count != 1)
        return true; /* the row says what is wrong */
    for (int i = 0; i < 3; i++)
        if (is_omitted(in[i]) || !is_scalar(ir, in[i]) || in[i]->type.dtype != in[0]->type.dtype ||
            read_as_it_is(in[i]->type.dtype))
            return true;
    double value[3];
    Node *count = NULL;
    if (constant_value(ir, in[0], &value[0]) && constant_value(ir, in[1], &value[1]) &&
        constant_value(ir, in[2], &value[2])) {
        const double length = ceil((value[1] - value[0]) / value[2]);
        if (!(length < 1e15))
            return diag_error(draft->importer->diagnostics, EXIT_MALFORMED, draft->where, "Range has %g elements",
                              length);
        const int64_t known = length > 0 ? (int64_t)length : 0;
        count = constant_ints(ir, &known, 1);
    } else {
        Node *const counted = tensor_make(ir, OP_lathe_RangeCount, in, 3, 1, NULL, 0);
        count = counted ? read_sizes_make(ir, counted) : NULL;
    }
    draft->outputs = NEW_ARRAY(draft->importer->scratch, Node *, 1);
    Node *const inputs[3] = {in[0], in[2], count};
    draft->outputs[0] = count ? tensor_make(ir, OP_lathe_RangeFill, inputs, 3, 1, NULL, 0) : NULL;
    return draft->outputs[0];
}

/* The depth of OneHot may be of any type of numbers. */
static bool depth_settle(Draft *draft)
{
    Ir *ir = draft->importer->ir;
    double value;
    if (draft->input_count != 3 || is_omitted(draft->inputs[1]) || !is_scalar(ir, draft->inputs[1]) ||
        read_as_it_is(draft->inputs[1]->type.dtype) || draft->inputs[1]->contents)
        return true;
    if (constant_value(ir, draft->inputs[1], &value) && value > -1e15 && value < 1e15) {
        const int64_t depth = (int64_t)value;
        draft->inputs[1] = constant_ints(ir, &depth, 1);
        return true;
    }
    draft->inputs[1] = build_cast(ir, draft->inputs[1], DTYPE_I64);
    return draft->inputs[1];
}

/* The region of interest of Resize may be of any float type. */
static bool region_settle(Draft *draft)
{
    Ir *ir = draft->importer->ir;
    if (draft->input_count < 2 || is_omitted(draft->inputs[1]) || !type_is_tensor(draft->inputs[1]->type) ||
        !dtype_is_float(draft->inputs[1]->type.dtype) || draft->inputs[1]->type.dtype == DTYPE_F32)
        return true;
    draft->inputs[1] = build_cast(ir, draft->inputs[1], DTYPE_F32);
    return draft->inputs[1];
}

bool sizes_settle(Draft *draft)
{
    if (strcmp(draft->op, "Resize") == 0)
        return region_settle(draft);
    if (strcmp(draft->op, "Range") == 0)
        return range_settle(draft);
    return strcmp(draft->op, "OneHot") == 0 ? depth_settle(draft) : true;
}
