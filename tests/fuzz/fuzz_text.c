/* Bytes that claim to be IR text of some level. */
/* links: lathe_ir */
/* samples: tests */
#include "ir/parse.h"
#include "tests/fuzz/target.h"

static void graph(Arena *arena, const uint8_t *data, size_t size)
{
    parse_graph(ir_open(arena, diagnostics_open(arena)), "fuzz.ir", (const char *)data, size, NULL);
}

static void module(Arena *arena, const uint8_t *data, size_t size)
{
    parse_module(ir_open(arena, diagnostics_open(arena)), "fuzz.ir", (const char *)data, size, NULL);
}

static void kernel(Arena *arena, const uint8_t *data, size_t size)
{
    parse_kernel(ir_open(arena, diagnostics_open(arena)), "fuzz.ir", (const char *)data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    target_run(graph, data, size);
    target_run(module, data, size);
    target_run(kernel, data, size);
    return 0;
}
