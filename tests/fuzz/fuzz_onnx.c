/* Bytes that claim to be a model. */
/* links: lathe_frontend */
/* samples: tests/data/onnx */
#include "frontend/import.h"
#include "tests/fuzz/target.h"

static void import(Arena *arena, const uint8_t *data, size_t size)
{
    const ImportOptions options = {.external = "/nonexistent", .limits = {.nodes = 10000, .fold = 1 << 20}};
    ImportedModel model;
    if (onnx_import_memory(ir_open(arena, diagnostics_open(arena)), "fuzz.onnx", data, size, &options, &model))
        onnx_close(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    target_run(import, data, size);
    return 0;
}
