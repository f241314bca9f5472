/* How far two tensors of one type and shape are from each other. */
#ifndef LATHE_TOOLS_DIFFERENCE_H
#define LATHE_TOOLS_DIFFERENCE_H

#include "tools/tensorfile.h"

/* An element is beyond its bound when |got - wanted| > absolute + relative * |wanted|; of two NaN, or equal infinities,
 * nothing is. */
typedef struct Bound {
    double relative, absolute; /* negative: what suits the type (difference_bound) */
} Bound;

typedef struct Difference {
    int64_t beyond; /* elements beyond their bound */
    int64_t
        worst; /* position of the one that is furthest beyond, or else of the largest difference; -1: none differs */
    double got, wanted, absolute, relative,
        ulp; /* of that element; ulp: in units of the last place of the wanted one */
    Bound bound;
} Difference;

/* The bound for these wanted values: what is given, and else 0 for integers, and for floats a few quanta of the type,
 * relative to the element and, smaller, to the largest element, for sums cancel. */
Bound difference_bound(const HostTensor *wanted, Bound given);
/* Tensors of numbers, of the same type and shape. */
Difference tensor_difference(const HostTensor *got, const HostTensor *wanted, Bound bound);
bool tensor_same_kind(const HostTensor *a, const HostTensor *b);

#endif
