/* All scalar operations with the classes of types that they take, as ir/scalar.def has them. */
#ifndef LATHE_TESTS_CODEGEN_SCALARS_H
#define LATHE_TESTS_CODEGEN_SCALARS_H

#include "ir/ir.h"

enum { CLASS_F = 1, CLASS_I = 2, CLASS_B = 4 };

#define F CLASS_F
#define I CLASS_I
#define B CLASS_B
static const struct {
    Op op;
    int classes;
} rows[] = {
#define SCALAR_OP(enumerator, text, arity, rule, classes) {OP_##enumerator, classes},
#include "ir/scalar.def"
#undef SCALAR_OP
};
#undef F
#undef I
#undef B

static inline int class_of(Dtype dtype)
{
    return dtype == DTYPE_BOOL ? CLASS_B : dtype_is_float(dtype) ? CLASS_F : CLASS_I;
}

#endif
