/* The weights of a program, packed as the plan places them, piece by piece: memory does not grow with the model. */
#ifndef LATHE_CODEGEN_WEIGHTS_H
#define LATHE_CODEGEN_WEIGHTS_H

#include "codegen/program.h"

#include <stdio.h>

typedef struct WeightList {
    Node **buffers; /* in order of offset */
    int count;
    int64_t total;
    int workers; /* processes that may write them */
} WeightList;

/* Buffers of several regions may have the same place: equal bytes. */
WeightList weights_collect(Program *program);
/* Appends all bytes. The context is a WeightList, here and below; false with errno. */
bool weights_write(void *context, FILE *file);
/* Writes them from `offset` on into a file that is zero there. */
bool weights_fill(void *context, const char *path, uint64_t offset);

#endif
