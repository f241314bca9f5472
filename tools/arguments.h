/* Arguments with a form of their own: --shape IN=1x3x224x224 and --dim batch=1..32@8. */
#ifndef LATHE_TOOLS_ARGUMENTS_H
#define LATHE_TOOLS_ARGUMENTS_H

#include "ir/diag.h"

enum { SHAPE_RANK_MOST = 64 };

typedef struct ShapeArgument {
    Name input;                    /* NULL: "1x3x224x224" alone, for models with one input */
    int rank;                      /* "IN=" fixes a scalar: rank 0 */
    int64_t dims[SHAPE_RANK_MOST]; /* -1: "?", stays as the model has it */
} ShapeArgument;

/* The range of a symbolic dimension; one number is a range of one. `best` is what to optimise for, the maximum unless
 * said. */
typedef struct DimArgument {
    Name symbol;
    int64_t minimum, maximum, best;
} DimArgument;

bool shape_argument_parse(ShapeArgument *shape, const char *text, Arena *arena, Diagnostics *diagnostics);
bool dim_argument_parse(DimArgument *dim, const char *text, Arena *arena, Diagnostics *diagnostics);

#endif
