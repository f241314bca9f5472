/* One element of scalar arithmetic: a row of one. See scalar.h. */
#include "ir/scalar.h"

#include "ir/rows.h"

#include <string.h>

static const uint8_t arities[] = {
#define SCALAR_OP(enumerator, text, arity, rule, classes) [OP_##enumerator - OP_SCALAR_FIRST] = arity,
#include "ir/scalar.def"
#undef SCALAR_OP
};

int scalar_arity(Op op)
{
    return arities[op - OP_SCALAR_FIRST];
}

bool scalar_can_evaluate(Op op)
{
    return op_is_scalar(op) && op < OP_exp;
}

uint64_t element_bits(const void *element, Dtype dtype)
{
    const bool is_signed = dtype_is_signed(dtype);
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    uint64_t whole;
    switch (row_bytes(dtype)) {
    case 1:
        memcpy(&byte, element, sizeof byte);
        return is_signed ? (uint64_t)(int8_t)byte : byte;
    case 2:
        memcpy(&half, element, sizeof half);
        return is_signed ? (uint64_t)(int16_t)half : half;
    case 4:
        memcpy(&word, element, sizeof word);
        return is_signed ? (uint64_t)(int32_t)word : word;
    default:
        memcpy(&whole, element, sizeof whole);
        return whole;
    }
}

void element_set(void *element, Dtype dtype, uint64_t bits)
{
    const uint8_t byte = (uint8_t)bits;
    const uint16_t half = (uint16_t)bits;
    const uint32_t word = (uint32_t)bits;
    const int bytes = row_bytes(dtype);
    memcpy(element,
           bytes == 1   ? (const void *)&byte
           : bytes == 2 ? (const void *)&half
           : bytes == 4 ? (const void *)&word
                        : &bits,
           (size_t)bytes);
}

static uint64_t evaluate_cast(Dtype result, Dtype operand, uint64_t bits)
{
    const RowCast cast = row_cast(result, operand);
    uint64_t from = 0, to = 0;
    element_set(&from, operand, bits);
    for (int i = 0; i < cast.count; i++) {
        cast.steps[i](&to, &from, NULL, NULL, 1);
        from = to;
    }
    return element_bits(&from, result);
}

static uint64_t evaluate_row(RowFunction *row, Op op, Dtype result, Dtype operand, const uint64_t *operands)
{
    uint64_t elements[3] = {0}, to = 0;
    const int arity = scalar_arity(op);
    for (int i = 0; i < arity; i++)
        element_set(&elements[i], op == OP_select && i == 0 ? DTYPE_BOOL : operand, operands[i]);
    row(&to, &elements[0], &elements[1], &elements[2], 1);
    return element_bits(&to, result);
}

uint64_t scalar_evaluate(Op op, Dtype result, Dtype operand, const uint64_t *operands)
{
    if (op == OP_cast)
        return evaluate_cast(result, operand, operands[0]);
    RowFunction *const row = row_find(op, operand);
    if (row)
        return evaluate_row(row, op, result, operand, operands);
    const Dtype compute = dtype_compute(operand);
    RowFunction *const compute_row = compute == operand ? NULL : row_find(op, compute);
    if (!compute_row)
        BUG("%s of %s cannot be evaluated", op_name(op), dtype_info[operand].name);
    uint64_t wide[3] = {0};
    for (int i = 0; i < scalar_arity(op); i++)
        wide[i] = evaluate_cast(compute, operand, operands[i]);
    if (result != operand)
        return evaluate_row(compute_row, op, result, compute, wide);
    return evaluate_cast(operand, compute, evaluate_row(compute_row, op, compute, compute, wide));
}
