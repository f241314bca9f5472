/* Golden files of passes: text IR in, passes, text IR out. And graphs run on the interpreter, for what passes promise
 * about numbers.
 *
 * A file under tests/data/passes says in its first lines which passes run and under which --math; then stands a graph,
 * a line
 * "; becomes", and what the passes make of it. Its name is the sentence that it proves. With LATHE_BLESS=1 in the
 * environment the second part is written anew: read the difference before it is kept. */
#ifndef TESTS_PASSES_GOLDEN_H
#define TESTS_PASSES_GOLDEN_H

#include "ir/interpret.h"
#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/map.h"
#include "ir/ops/ops.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/rows.h"
#include "ir/scalar.h"
#include "ir/verify.h"
#include "passes/pass.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN_FOLDER SOURCE_DIR "/tests/data/passes"
static const char golden_mark[] = "; becomes\n";

typedef struct Golden {
    const char *name, *path;
    const char *before; /* with its comments */
    const char *after;
    const char *passes[16];
    int pass_count;
    MathMode math;
    Dtype weights; /* "; weights: f16"; DTYPE_NONE without that line */
} Golden;

static inline const char *text_read(Arena *arena, const char *path)
{
    FILE *const file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    char *const text = arena_alloc(arena, 1 << 20);
    cr_assert_lt(fread(text, 1, (1 << 20) - 1, file), (1 << 20) - 1);
    fclose(file);
    return text;
}

/* The rest of the line that starts with "; key: ". */
static inline const char *golden_key(Arena *arena, const char *text, const char *key)
{
    const char *const line = strstr(text, arena_format(arena, "; %s: ", key));
    cr_assert_not_null(line, "a golden file says its %s", key);
    const char *const value = line + strlen(key) + 4;
    return arena_format(arena, "%.*s", (int)strcspn(value, "\n"), value);
}

static inline MathMode math_mode(const char *name)
{
    return strcmp(name, "fast") == 0 ? MATH_FAST : strcmp(name, "default") == 0 ? MATH_DEFAULT : MATH_EXACT;
}

static inline Golden golden_read(Arena *arena, const char *name)
{
    Golden golden = {.name = name_intern(arena, name), .path = arena_format(arena, GOLDEN_FOLDER "/%s", name)};
    const char *const text = text_read(arena, golden.path), *const mark = strstr(text, golden_mark);
    cr_assert_not_null(mark, "%s has no line '; becomes'", name);
    golden.before = arena_format(arena, "%.*s", (int)(mark - text), text);
    golden.after = mark + strlen(golden_mark);
    golden.math = math_mode(golden_key(arena, golden.before, "math"));
    if (strstr(golden.before, "; weights: "))
        golden.weights = dtype_from_name(golden_key(arena, golden.before, "weights"));
    char *passes = arena_format(arena, "%s", golden_key(arena, golden.before, "passes"));
    for (char *pass; (pass = strtok_r(passes, " ", &passes)) && golden.pass_count < 16;)
        golden.passes[golden.pass_count++] = pass;
    return golden;
}

static inline int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of all golden files, in order. */
static inline const char **golden_names(Arena *arena, int *count)
{
    const char **const names = NEW_ARRAY(arena, const char *, 1024);
    DIR *const folder = opendir(GOLDEN_FOLDER);
    cr_assert_not_null(folder);
    *count = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) && *count < 1024;) {
        const char *const dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".ir") == 0)
            names[(*count)++] = name_intern(arena, entry->d_name);
    }
    closedir(folder);
    qsort(names, (size_t)*count, sizeof *names, by_text);
    return names;
}

static inline bool golden_runs(const Golden *golden, const char *pass)
{
    for (int i = 0; i < golden->pass_count; i++)
        if (strcmp(golden->passes[i], pass) == 0)
            return true;
    return false;
}

static inline const char *first_error(const Ir *ir)
{
    return ir->diagnostics->first ? ir->diagnostics->first->text : "";
}

/* A graph from text in an Ir of its own; graph NULL when the text is none. Ends with
 * arena_close(compilation.ir->arena). */
static inline Compilation compilation_open(const char *file, const char *text, MathMode math)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Compilation compilation = {.ir = ir_open(arena, diagnostics_open(arena)), .level = 2, .math = math};
    compilation.target = target_find(compilation.ir->diagnostics, "x86-64-v3");
    compilation.graph = parse_graph(compilation.ir, file, text, strlen(text), NULL);
    return compilation;
}

/* ---- runs ---- */

typedef struct Results {
    int count;
    Dtype dtypes[32];
    int64_t elements[32];
    void *data[32];
} Results;

static inline uint64_t random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Values that arithmetic finds hard, or (plain) numbers from 0.5 to 2 and small integers. */
static inline void element_random(void *element, Dtype dtype, bool plain, uint64_t *state)
{
    static const double special[] = {0,     -0.0, 1,     -1,     0.5,      -0.5,      1.5,   2.5,
                                     -2.5,  6,    -7,    1e30,   -1e30,    1e-30,     1e-40, 3.4e38,
                                     127.5, 255,  65504, -32768, INFINITY, -INFINITY, NAN};
    const uint64_t random = random_next(state);
    if (dtype_is_float(dtype)) {
        double value = special[random % (sizeof special / sizeof *special)];
        if (plain || random >> 60 < 8)
            value = (plain ? 0.5 : -3) + (double)(random >> 11) * 0x1p-53 * (plain ? 1.5 : 6);
        uint64_t wide;
        memcpy(&wide, &value, sizeof wide);
        element_set(element, dtype, dtype == DTYPE_F64 ? wide : scalar_evaluate(OP_cast, dtype, DTYPE_F64, &wide));
        return;
    }
    const int bits = dtype_info[dtype].bits;
    uint64_t value = random >> (random >> 56 & 1 ? 8 : 60);
    if (!plain && random >> 57 < 16)
        value = random >> 57 & 1 ? (uint64_t)1 << (bits - 1) : ((uint64_t)1 << (bits - 1)) - 1;
    element_set(element, dtype, dtype == DTYPE_BOOL ? random & 1 : plain ? 1 + random % 7 : value);
}

/* Every symbol of the inputs' dims has its value by its first letter, so that names carry the size from test to test.
 */
static inline int symbols_choose(const Module *module, SymbolValue *symbols)
{
    int count = 0;
    for (int i = 0; i < module->input_count; i++)
        for (int j = 0; j < module->inputs[i]->type.rank; j++) {
            const Node *const dim = module->inputs[i]->type.dims[j];
            bool known = dim->op != OP_symbol;
            for (int k = 0; k < count && !known; k++)
                known = symbols[k].symbol == dim;
            if (!known && count < 16)
                symbols[count++] = (SymbolValue){dim, 1 + dim->payload.name[0] % 5};
        }
    return count;
}

static inline Memory memory_of(Arena *arena, Node *buffer, const SymbolValue *symbols, int symbol_count,
                               int64_t *elements)
{
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    *elements = index_evaluate(type_elements(ir, buffer->type), symbols, symbol_count);
    cr_assert_geq(*elements, 0);
    const size_t bytes = (size_t)*elements * (size_t)row_bytes(buffer->type.dtype);
    return (Memory){arena_alloc(arena, bytes + 64), bytes};
}

/* The module (stages, placed or not) with every kernel as plain loops, run over inputs that depend on `seed` alone. */
static inline Results module_run(const Compilation *compilation, uint64_t seed, bool plain)
{
    Ir *const ir = compilation->ir;
    Arena *const arena = ir->arena;
    Module module = *compilation->module;
    const LoopsSchedule schedule = {.lanes = 1024, .any_tail = true};
    module.body = block_make(ir);
    for (int i = 0; i < compilation->module->body->count; i++)
        block_append(ir, module.body, loops_schedule(ir, compilation->module->body->nodes[i], &schedule));
    SymbolValue symbols[16];
    const int symbol_count = symbols_choose(&module, symbols);
    Memory *const inputs = NEW_ARRAY(arena, Memory, (size_t)module.input_count + 1), outputs[32];
    Results results = {.count = module.output_count};
    int64_t elements;
    cr_assert_leq(module.output_count, 32);
    for (int i = 0; i < module.input_count; i++) {
        const Dtype dtype = module.inputs[i]->type.dtype;
        inputs[i] = memory_of(arena, module.inputs[i], symbols, symbol_count, &elements);
        for (int64_t j = 0; j < elements; j++)
            element_random((char *)inputs[i].data + j * row_bytes(dtype), dtype, plain, &seed);
    }
    for (int i = 0; i < module.output_count; i++) {
        outputs[i] = memory_of(arena, module.outputs[i], symbols, symbol_count, &results.elements[i]);
        results.data[i] = outputs[i].data;
        results.dtypes[i] = module.outputs[i]->type.dtype;
    }
    int32_t error = 0;
    const int32_t ended =
        interpret_module(ir, &module, inputs, outputs, symbols, symbol_count, &(RunOptions){0}, &error);
    cr_assert_eq(ended, INTERPRET_OK, "%s: %d %s", module.name ? module.name : "?", (int)ended, first_error(ir));
    return results;
}

static inline bool element_is_nan(Dtype dtype, uint64_t bits)
{
    return dtype_is_float(dtype) && scalar_evaluate(OP_isnan, DTYPE_BOOL, dtype, &bits);
}

/* The same bits, NaN for NaN; with a tolerance above 0 the same numbers, to that relative error. */
static inline void results_compare(const char *what, const Results *a, const Results *b, double tolerance)
{
    cr_assert_eq(a->count, b->count, "%s", what);
    for (int i = 0; i < a->count; i++) {
        const Dtype dtype = a->dtypes[i];
        cr_assert_eq(dtype, b->dtypes[i], "%s: output %d", what, i);
        cr_assert_eq(a->elements[i], b->elements[i], "%s: output %d", what, i);
        for (int64_t j = 0; j < a->elements[i]; j++) {
            const uint64_t x = element_bits((const char *)a->data[i] + j * row_bytes(dtype), dtype);
            const uint64_t y = element_bits((const char *)b->data[i] + j * row_bytes(dtype), dtype);
            if (x == y || (element_is_nan(dtype, x) && element_is_nan(dtype, y)))
                continue;
            double left, right;
            const uint64_t wide_x = scalar_evaluate(OP_cast, DTYPE_F64, dtype, &x),
                           wide_y = scalar_evaluate(OP_cast, DTYPE_F64, dtype, &y);
            memcpy(&left, &wide_x, sizeof left);
            memcpy(&right, &wide_y, sizeof right);
            const double distance = left > right ? left - right : right - left, size = left > 0 ? left : -left;
            cr_assert(tolerance > 0 && distance <= tolerance * (size + 1e-3),
                      "%s: output %d[%lld] is %.9g (%llx), not %.9g (%llx)", what, i, (long long)j, right,
                      (unsigned long long)y, left, (unsigned long long)x);
        }
    }
}

#endif
