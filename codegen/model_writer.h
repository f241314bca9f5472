/* While the tables of a model are written: shared by model.c and script.c. */
#ifndef LATHE_CODEGEN_MODEL_WRITER_H
#define LATHE_CODEGEN_MODEL_WRITER_H

#include "codegen/model.h"
#include "codegen/text.h"

typedef struct Writer {
    const Program *program; /* whose tables are written: the model or a region */
    const ModelInfo *info;
    Text body;    /* tables */
    Text strings; /* globals that tables point to */
    int string_count;
} Writer;

/* The name of a new constant that holds the text. */
const char *writer_string(Writer *writer, const char *text);
const char *writer_bytes(Writer *writer, const char *bytes, size_t count);
/* The name of a new array of i32 or i64, "null" when it is empty. */
const char *writer_ints(Writer *writer, const int *items, int count);
const char *writer_longs(Writer *writer, const int64_t *items, int count);

/* Types, declarations and tables of the steps between regions; @script is the whole. False after a diagnostic. */
bool script_write(Writer *writer, const Program *main);

#endif
