/* A custom operator that is a function of the user's: a step of a script, lathe_External. Its results' dims are
 * formulas over the dims of its inputs, which a kernel (lathe_Dims) computes for the call. */
#include "ir/custom_internal.h"

#include "ir/ops/lower.h"
#include "ir/ops/rules.h"

#include <string.h>

bool dims_shape(Infer *infer)
{
    const Where *const where = infer->ir->where;
    const int64_t output = attribute_int(infer->node, "output", 0);
    Use *const use = custom_use_of(infer->ir, infer->node);
    Type types[CUSTOM_OUTPUTS];
    if (!use || output < 0 || output >= use->custom->output_count || !custom_types(use, types))
        return false;
    Node *const rank = index_const(infer->ir, types[output].rank);
    infer->types[0] = type_tensor(infer->ir, DTYPE_I64, 1, &rank);
    infer->ir->where = where;
    return true;
}

bool dims_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Where *const where = ir->where;
    const int64_t output = attribute_int(lower->node, "output", 0);
    Use *const use = custom_use_of(ir, lower->node);
    Type types[CUSTOM_OUTPUTS];
    Node *axis, *value = const_int(ir, DTYPE_I64, 0);
    if (!use || !custom_types(use, types))
        return false;
    lower_axes(lower, lower_out(lower, 0)->type, &axis);
    for (int i = 0; i < types[output].rank; i++)
        value = scalar3(ir, OP_select, scalar2(ir, OP_eq, axis, index_const(ir, i)),
                        cast_make(ir, types[output].dims[i], DTYPE_I64), value);
    ir->where = where;
    lower_define(lower, lower_out(lower, 0), &axis, 1, value);
    return true;
}

Node *custom_external_make(Ir *ir, const CustomOperator *custom, Node *const *inputs, int input_count,
                           const Attribute *attributes)
{
    const Where *const where = ir->where;
    Attribute carried[5];
    Type types[CUSTOM_OUTPUTS];
    Node *all[CUSTOM_INPUTS + CUSTOM_OUTPUTS];
    int64_t dtypes[CUSTOM_OUTPUTS];
    Use *const use = use_open(ir, custom, inputs, input_count, attributes, custom->attribute_count);
    if (!custom_types(use, types))
        return NULL;
    ir->where = where;
    if (input_count)
        memcpy(all, inputs, (size_t)input_count * sizeof *all);
    custom_attributes(ir, custom, attributes, carried);
    for (int i = 0; i < custom->output_count; i++) {
        carried[4] = attr_int(ir, "output", i);
        dtypes[i] = dtype_info[types[i].dtype].onnx;
        all[input_count + i] = tensor_make(ir, OP_lathe_Dims, inputs, input_count, 1, carried, 5);
        if (!all[input_count + i])
            return NULL;
    }
    const Attribute own[] = {attr_string(ir, "symbol", custom->external),
                             attr_ints(ir, "dtypes", dtypes, custom->output_count), carried[3]};
    return tensor_make_typed(ir, OP_lathe_External, all, input_count + custom->output_count, custom->output_count, own,
                             3, types);
}
