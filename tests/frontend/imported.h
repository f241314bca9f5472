/* What the importer's tests share: an import with its arena, and looking into its graph. */
#ifndef LATHE_TESTS_FRONTEND_IMPORTED_H
#define LATHE_TESTS_FRONTEND_IMPORTED_H

#include "frontend/import.h"
#include "ir/ops/ops.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

typedef struct Imported {
    Arena *arena;
    Ir *ir;
    ImportedModel model;
    bool good;
    int code;
    const char *text; /* of the first diagnostic, "" when there is none */
} Imported;

static inline Imported imported_open(void)
{
    Imported imported = {.arena = arena_open(0, NULL, NULL), .text = ""};
    imported.ir = ir_open(imported.arena, diagnostics_open(imported.arena));
    return imported;
}

static inline void imported_judge(Imported *imported, bool good)
{
    const Diagnostics *diagnostics = imported->ir->diagnostics;
    imported->good = good;
    imported->code = diagnostics->code;
    if (diagnostics->first)
        imported->text = diagnostics->first->text;
    cr_assert_eq(good, diagnostics->error_count == 0, "%s", imported->text);
    cr_assert_leq(diagnostics->error_count, 1, "more than one message: %s", imported->text);
}

static inline Imported import_path(const char *path, const ImportOptions *options)
{
    Imported imported = imported_open();
    imported_judge(&imported, onnx_import(imported.ir, path, options, &imported.model));
    return imported;
}

/* A model of tests/data/onnx, "good/dense" for example. */
static inline Imported import_file(const char *name, const ImportOptions *options)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/data/onnx/%s.onnx", SOURCE_DIR, name);
    return import_path(path, options);
}

static inline Imported import_bytes(const void *bytes, size_t size, const ImportOptions *options)
{
    Imported imported = imported_open();
    imported_judge(&imported, onnx_import_memory(imported.ir, "m.onnx", bytes, size, options, &imported.model));
    return imported;
}

static inline void imported_close(Imported *imported)
{
    onnx_close(&imported->model);
    arena_close(imported->arena);
}

static inline Node *output_of(const Imported *imported, int i)
{
    cr_assert(imported->good, "%s", imported->text);
    cr_assert_lt(i, imported->model.output_count);
    return imported->model.graph->outputs[i];
}

/* The bytes of a constant node, checked for their number. */
static inline const void *bytes_of(const Node *node, uint64_t bytes)
{
    cr_assert_eq(node->op, OP_constant);
    cr_assert_eq(node->payload.constant->bytes, bytes);
    return node->payload.constant->data;
}

static inline void assert_type(Imported *imported, Type type, const char *text)
{
    cr_assert_str_eq(type_text(imported->ir, type), text);
}

#endif
