/* links: lathe_codegen lathe_ir lathe_targets */
#define _GNU_SOURCE
/* Register tiles of a matrix product: the property that speed hangs on. Every tile that templates use must keep its
 * accumulators in registers: no vector register goes to the stack, and every multiply-add is one machine instruction.
 */
#include "tests/codegen/machine.h"

typedef struct Tile {
    const char *target;
    int rows, columns; /* columns in vectors */
    int lanes;
    bool symbolic; /* pitch and depth are a symbol */
} Tile;

static const Tile tiles[] = {
    {"x86-64-v4", 14, 2, 16, false}, {"x86-64-v4", 12, 2, 16, false}, {"x86-64-v4", 8, 3, 16, false},
    {"x86-64-v4", 9, 3, 16, false},  {"x86-64-v4", 6, 4, 16, false},  {"x86-64-v4", 1, 4, 16, false},
    {"x86-64-v4", 14, 2, 16, true},  {"x86-64-v4", 12, 2, 16, true},  {"x86-64-v4", 8, 3, 16, true},
    {"x86-64-v4", 6, 4, 16, true},   {"x86-64-v3", 6, 2, 8, false},   {"x86-64-v3", 4, 2, 8, false},
    {"x86-64-v3", 4, 3, 8, false},   {"x86-64-v3", 6, 2, 8, true},    {"x86-64-v3", 4, 3, 8, true},
    {"aarch64", 6, 1, 16, false},    {"aarch64", 4, 1, 16, false},    {"aarch64", 6, 1, 16, true},
    {"armv7-neon", 2, 1, 16, false}, {"armv7-neon", 2, 1, 16, true},
};
enum { TILES = sizeof tiles / sizeof *tiles, UNROLL = 4, PANEL = 16, UNITS = 3, DEPTH = 64 };

/* C[u*rows + i][j] = sum over k, ascending, of A[u*rows + i][k] * B[j/16][k][j%16]; A row-major, B in panels of 16
 * columns */
static Node *make_tile(Machine *machine, const Tile *tile)
{
    Ir *const ir = machine->ir;
    Node *const a = machine_buffer(machine, "A", DTYPE_F32, 1 << 20),
                *const b = machine_buffer(machine, "B", DTYPE_F32, 1 << 20),
                *const c = machine_buffer(machine, "C", DTYPE_F32, 1 << 20);
    Node *const depth = tile->symbolic ? symbol_make(ir, name_intern(machine->arena, "depth")) : index_const(ir, DEPTH);
    Block *const body = block_make(ir), *const unit = block_make(ir), *const inner = block_make(ir);
    Node *const u = make_for(machine, body, "u", make_begin(machine), make_end(machine), 1, unit);
    Node *sums[16][4];
    for (int i = 0; i < tile->rows; i++)
        for (int j = 0; j < tile->columns; j++)
            sums[i][j] = make_var(machine, unit, splat_make(ir, const_float(ir, DTYPE_F32, 0), tile->lanes));
    Node *const k = make_for(machine, unit, "k", index_const(ir, 0), depth, UNROLL, inner);
    Node *const first_row = index_mul(ir, u, index_const(ir, tile->rows));
    for (int step = 0; step < UNROLL; step++) {
        Node *const at = index_add(ir, k, index_const(ir, step));
        Node *columns[4];
        for (int j = 0; j < tile->columns; j++) {
            const int column = j * tile->lanes;
            Node *const panel = index_mul(ir, depth, index_const(ir, column / PANEL * PANEL));
            Node *const place =
                index_add(ir, index_mul(ir, at, index_const(ir, PANEL)), index_const(ir, column % PANEL));
            columns[j] = make_load(machine, b, index_add(ir, panel, place), tile->lanes);
        }
        for (int i = 0; i < tile->rows; i++) {
            Node *const row = index_mul(ir, index_add(ir, first_row, index_const(ir, i)), depth);
            Node *const value = splat_make(ir, make_load(machine, a, index_add(ir, row, at), 1), tile->lanes);
            for (int j = 0; j < tile->columns; j++)
                make_set(machine, inner, sums[i][j],
                         scalar3(ir, OP_fma, value, columns[j], make_get(machine, inner, sums[i][j])));
        }
    }
    const int width = tile->columns * tile->lanes;
    for (int i = 0; i < tile->rows; i++)
        for (int j = 0; j < tile->columns; j++) {
            Node *const row = index_mul(ir, index_add(ir, first_row, index_const(ir, i)), index_const(ir, width));
            make_store(machine, unit, c, index_add(ir, row, index_const(ir, j * tile->lanes)),
                       make_get(machine, unit, sums[i][j]), NULL);
        }
    return machine_kernel(machine, "tile", body);
}

static bool is_vector_spill(const char *line, size_t length)
{
    char text[200];
    snprintf(text, sizeof text, "%.*s", (int)length, line);
    if (strstr(text, "(%rsp") && strstr(text, "mm"))
        return true;
    /* ARM: LLVM says it in a comment; AArch64 also saves d8 to d15 and pairs of integers for its caller. */
    const bool vector = strstr(text, "\tq") || strstr(text, "\tvst") || strstr(text, "\tvld");
    return vector && (strstr(text, "Spill") || strstr(text, "Reload"));
}

static void expect_no_spills(Machine *machine, Node *kernel, const Tile *tile, const TargetMachineInfo *target)
{
    ObjectBytes text;
    const ObjectRequest request = {kernel, target, "tile", NULL, FORMAT_ASSEMBLY};
    cr_assert(object_make(machine->ir, machine->arena, &request, &text));
    int spills = 0, products = 0;
    for (const char *line = text.data; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const size_t length = strcspn(line, "\n");
        spills += is_vector_spill(line, length);
        products +=
            memmem(line, length, "vfmadd", 6) || memmem(line, length, "fmla", 4) || memmem(line, length, "vfma.f32", 8);
    }
    cr_expect_eq(spills, 0, "%s %dx%d%s: %d instructions move vectors to or from the stack", tile->target, tile->rows,
                 tile->columns * tile->lanes, tile->symbolic ? " symbolic" : "", spills);
    const int registers = tile->lanes * 4 > target->vector_bytes ? tile->lanes * 4 / target->vector_bytes : 1;
    cr_expect_eq(products, UNROLL * tile->rows * tile->columns * registers);
}

static void expect_products(Machine *machine, int number, const Tile *tile)
{
    static float a[UNITS * 16 * DEPTH], b[4 * PANEL * DEPTH], c[UNITS * 16 * 4 * PANEL];
    const int rows = UNITS * tile->rows, width = tile->columns * tile->lanes;
    for (int i = 0; i < rows * DEPTH; i++)
        a[i] = (float)(i * 7 % 23 - 11) * 0.13f;
    for (int i = 0; i < 4 * PANEL * DEPTH; i++)
        b[i] = (float)(i * 5 % 19 - 9) * 0.37f;
    const Node *const kernel = machine->jobs[number].kernel;
    void *buffers[3];
    for (int i = 0; i < 3; i++) {
        const char name = kernel->inputs[i]->payload.buffer->name[0];
        buffers[i] = name == 'A' ? a : name == 'B' ? b : c;
    }
    const int64_t depth = DEPTH;
    int32_t error = 0;
    machine_function(machine, number)(buffers, &depth, 0, UNITS, NULL, &error);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < width; j++) {
            float sum = 0;
            for (int k = 0; k < DEPTH; k++)
                sum = __builtin_fmaf(a[i * DEPTH + k], b[(j / PANEL * DEPTH + k) * PANEL + j % PANEL], sum);
            cr_assert(c[i * width + j] == sum, "tile %d: C[%d][%d] is %a, not %a", number, i, j, c[i * width + j], sum);
        }
}

Test(tile, accumulators_stay_in_registers_and_products_are_exact)
{
    Machine *const machine = machine_open();
    const Tile *loaded[TILES];
    for (int i = 0; i < TILES; i++) {
        const TargetMachineInfo *const target = target_find(machine->diagnostics, tiles[i].target);
        Node *const kernel = make_tile(machine, &tiles[i]);
        expect_no_spills(machine, kernel, &tiles[i], target);
        if (target_runs_here(target))
            loaded[machine_add(machine, kernel, target)] = &tiles[i];
    }
    if (machine->count) {
        machine_compile(machine, 0);
        machine_load(machine);
    }
    for (int i = 0; i < machine->count; i++)
        expect_products(machine, i, loaded[i]);
    machine_close(machine);
}
