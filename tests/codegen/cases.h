/* Random graphs for proofs: one or two operators of random sizes, with what fusion puts before and after them. A seed
 * gives the same graph everywhere. */
#ifndef LATHE_TESTS_CODEGEN_CASES_H
#define LATHE_TESTS_CODEGEN_CASES_H

#include "tests/codegen/proof.h"

typedef struct Random {
    Proof *proof;
    Ir *ir;
    Dtype dtype; /* of inputs and weights */
    uint64_t state;
    Node *inputs[8];
    Name names[8];
    int input_count, symbol_count;
    const char *text; /* the case in words */
} Random;
/* One operator; `symbolic`: per cent of extents that are symbols. */
typedef Node *Maker(Random *random, int symbolic);

int64_t case_between(Random *random, int64_t low, int64_t high);
bool case_chance(Random *random, int percent);
void case_tell(Random *random, const char *what, Node *node);
Node *case_given(Random *random, int rank, Node *const *dims);  /* an input */
Node *case_weight(Random *random, int rank, Node *const *dims); /* a constant */
Node *case_extent(Random *random, int64_t most, int symbolic);
Node *case_make(Random *random, Op op, Node *const *inputs, int count, const Attribute *attributes,
                int attribute_count);
/* What fusion may put behind an operator. */
Node *case_after(Random *random, Node *node);
Maker case_matmul, case_gemm, case_conv, case_recurrent;
/* Several operators that passes and templates take together (proof_networks.c). */
Maker case_window, case_transform, case_block, case_border, case_attention, case_rows, case_views;
Maker case_bytes; /* proof_bytes.c */
/* proof->compilation.graph becomes what `maker` makes of the seed. */
void case_build(Random *random, Proof *proof, Maker *maker, Dtype dtype, int symbolic, uint64_t seed);

#endif
