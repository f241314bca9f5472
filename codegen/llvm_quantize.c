/* Casts of what is quantised: values that were clamped by constants become whole numbers without the cast's own clamp,
 * and bytes that were whole f32 become those again without a way through integers. */
#include "codegen/emit.h"

#include <math.h>
#include <string.h>

typedef struct Bounds {
    double low, high;
} Bounds;

static bool constant_of(const Node *node, double *value)
{
    if (node->op != OP_const || node->type.dtype != DTYPE_F32)
        return false;
    const uint32_t bits = (uint32_t)node->payload.bits;
    float narrow;
    memcpy(&narrow, &bits, sizeof narrow);
    *value = narrow;
    return true;
}

/* A minimum and a maximum with constants: the value is NaN or between them. *inner: what they are of. */
static bool is_clamped(const Node *node, Bounds *bounds, const Node **inner)
{
    double bound;
    *bounds = (Bounds){-INFINITY, INFINITY};
    for (int step = 0; step < 2; step++, node = node->inputs[0]) {
        if ((node->op != OP_min && node->op != OP_max) || !constant_of(node->inputs[1], &bound))
            return false;
        if (node->op == OP_min)
            bounds->high = bound;
        else
            bounds->low = bound;
    }
    *inner = node;
    return bounds->low <= bounds->high && bounds->low >= -0x1p24 && bounds->high <= 0x1p24;
}

/* Has the value no fraction: a rounded one, or that and a whole constant, within bounds that are whole? */
static bool is_whole(const Node *node, const Bounds *bounds)
{
    double added;
    if (node->op == OP_add && constant_of(node->inputs[1], &added) && added == trunc(added) && fabs(added) < 0x1p16)
        node = node->inputs[0];
    return node->op == OP_round && bounds->low == trunc(bounds->low) && bounds->high == trunc(bounds->high);
}

/* NaN becomes 0. */
static LLVMValueRef number(Emitter *emitter, LLVMValueRef value)
{
    LLVMValueRef const ordered = LLVMBuildFCmp(emitter->builder, LLVMRealORD, value, value, "");
    return LLVMBuildSelect(emitter->builder, ordered, value, emit_real(LLVMTypeOf(value), 0), "");
}

/* The f32 that this byte was made of, when the byte has its value (but for the sign of 0 and NaN); NULL: another. */
static Node *whole_of_byte(const Node *byte)
{
    const Node *const integer = byte->op == OP_cast ? byte->inputs[0] : NULL, *inner;
    Bounds bounds;
    if (!integer || integer->op != OP_cast || integer->type.dtype != DTYPE_I32 ||
        integer->inputs[0]->type.dtype != DTYPE_F32 || !is_clamped(integer->inputs[0], &bounds, &inner) ||
        !is_whole(inner, &bounds))
        return NULL;
    const bool fits = byte->type.dtype == DTYPE_U8   ? bounds.low >= 0 && bounds.high <= 255
                      : byte->type.dtype == DTYPE_I8 ? bounds.low >= -128 && bounds.high <= 127
                                                     : false;
    return fits ? integer->inputs[0] : NULL;
}

LLVMValueRef emit_quantized(Emitter *emitter, const Node *cast, LLVMValueRef value)
{
    LLVMBuilderRef const builder = emitter->builder;
    const Node *inner;
    Bounds bounds;
    if (cast->type.dtype == DTYPE_I32 && cast->inputs[0]->type.dtype == DTYPE_F32 &&
        is_clamped(cast->inputs[0], &bounds, &inner))
        return LLVMBuildFPToSI(builder, number(emitter, value), emit_int_type(emitter, 32, emit_lanes(value)), "");
    Node *const whole = cast->type.dtype == DTYPE_F32 ? whole_of_byte(cast->inputs[0]) : NULL;
    if (!whole)
        return NULL;
    LLVMValueRef const real = number(emitter, emit_value(emitter, whole));
    return LLVMBuildFAdd(builder, real, emit_real(LLVMTypeOf(real), 0), ""); /* -0 is 0 */
}
