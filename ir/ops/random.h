/* Random numbers as arithmetic: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
 * 2011), a function of a key and a counter without state. The key is the node's seed, the counter the position of the
 * element in the output, so numbers do not depend on threads, targets or on what else a model computes.
 *
 * Key: the bits of a float seed and 0, or the low and the high half of an integer seed. Counter: the position's low and
 * high half, 0, 0. Every element has a block of four words of its own. Where a model gives no seed the importer does. */
#ifndef LATHE_IR_OPS_RANDOM_H
#define LATHE_IR_OPS_RANDOM_H

#include "ir/ops/lower.h"

/* The four words (u32) of element `counter` (an index) under the seed of the node that is being lowered. */
void random_words(const Lower *lower, Node *counter, Node **words);
/* In [0, 1), in the compute type of `dtype`: a multiple of 2^-24 from word 0 (f16: 2^-11, bf16: 2^-8, so that the values
 * are exact), for f64 one of 2^-53 from words 0 and 1. */
Node *random_uniform(Ir *ir, Dtype dtype, Node *const *words);
/* Of the standard normal distribution, in the compute type of `dtype`: sqrt(-2 ln u) cos(2 pi v) (Box and Muller), u from
 * word 0 and v from word 1, for f64 u from words 0 and 1 and v from words 2 and 3. */
Node *random_normal(Ir *ir, Dtype dtype, Node *const *words);
/* Row-major position of the element at `indices` in a tensor of `type`. */
Node *random_counter(Ir *ir, Type type, Node *const *indices);

#endif
