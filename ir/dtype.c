/* Facts about element types and operations, looked up from their tables. */
#include "ir/ir.h"
#include "ir/ops/ops.h"

#include <string.h>

#define NONE     CLASS_NONE
#define FLOAT    CLASS_FLOAT
#define SIGNED   CLASS_SIGNED
#define UNSIGNED CLASS_UNSIGNED
#define BOOL     CLASS_BOOL
#define INDEX    CLASS_INDEX
#define STRING   CLASS_STRING
const DtypeInfo dtype_info[DTYPE_COUNT] = {
#define DTYPE(enumerator, text, bits, kind, onnx, numpy) {text, bits, kind, onnx, numpy},
#include "ir/dtype.def"
#undef DTYPE
};
#undef NONE
#undef FLOAT
#undef SIGNED
#undef UNSIGNED
#undef BOOL
#undef INDEX
#undef STRING

const char *const fold_name[FOLD_KINDS] = {"sum", "prod",   "max",    "min",         "and",
                                           "or",  "argmax", "argmin", "argmax_last", "argmin_last"};

Dtype dtype_from_onnx(int onnx)
{
    for (int i = 1; i < DTYPE_COUNT; i++)
        if (onnx && dtype_info[i].onnx == onnx)
            return (Dtype)i;
    return DTYPE_NONE;
}

Dtype dtype_from_name(const char *name)
{
    for (int i = 1; i < DTYPE_COUNT; i++)
        if (strcmp(dtype_info[i].name, name) == 0)
            return (Dtype)i;
    return DTYPE_NONE;
}

Dtype dtype_compute(Dtype dtype)
{
    const DtypeInfo *const info = &dtype_info[dtype];
    if (info->kind == CLASS_FLOAT && info->bits < 32)
        return DTYPE_F32;
    if (info->bits < 8 && info->kind == CLASS_SIGNED)
        return DTYPE_I32;
    if (info->bits < 8 && info->kind == CLASS_UNSIGNED)
        return DTYPE_U32;
    if (info->kind == CLASS_STRING) /* a handle, which nobody looks into */
        return DTYPE_U64;
    return dtype;
}

typedef struct CoreRow {
    const char *text;
    OpKind kind;
    int levels;
} CoreRow;
#define T       LEVEL_TENSOR
#define S       LEVEL_STAGES
#define K       LEVEL_KERNEL
#define P       LEVEL_PROGRAM
#define PURE    KIND_PURE
#define UNIQUE  KIND_UNIQUE
#define ORDERED KIND_ORDERED
static const CoreRow rows[] = {
    [OP_NONE] = {"", KIND_PURE, 0},
#define CORE(enumerator, text, kind, levels) [OP_##enumerator] = {text, kind, levels},
#include "ir/core.def"
#undef CORE
#define SCALAR_OP(enumerator, text, arity, rule, classes) [OP_##enumerator] = {text, KIND_PURE, T | S | K | P},
#include "ir/scalar.def"
#undef SCALAR_OP
    [OP_SCALAR_END] = {"", KIND_PURE, 0},
};

const char *op_name(Op op)
{
    if (op_is_tensor(op))
        return op_rows[op - OP_TENSOR_FIRST].text;
    return rows[op].text ? rows[op].text : "";
}

Op op_from_name(const char *name, size_t length)
{
    for (int op = 1; op < OP_SCALAR_END; op++)
        if (rows[op].text && strlen(rows[op].text) == length && memcmp(rows[op].text, name, length) == 0)
            return (Op)op;
    for (int i = 0; i < OP_ROW_COUNT; i++)
        if (strlen(op_rows[i].text) == length && memcmp(op_rows[i].text, name, length) == 0)
            return (Op)(OP_TENSOR_FIRST + i);
    return OP_NONE;
}

OpKind op_kind(Op op)
{
    return op_is_tensor(op) ? KIND_PURE : rows[op].kind;
}

int op_levels(Op op)
{
    return op_is_tensor(op) ? LEVEL_TENSOR : rows[op].levels;
}
