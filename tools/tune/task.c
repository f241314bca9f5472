/* Kernels as tasks: see task.h. Every launch of a kernel reads and writes other memory, so one launch's buffers stand
 * for all; what they hold is made up, but the same each time. */
#include "tools/tune/task.h"

#include "codegen/tuning.h"
#include "ir/kernel.h"
#include "ir/pack.h"
#include "ir/print.h"
#include "ir/roles.h"
#include "passes/access.h"

#include <stdlib.h>
#include <string.h>

enum { SYMBOL_TRIES = 4000 };
static const uint64_t bytes_most = UINT64_C(2) << 30, memory_most = UINT64_C(1) << 30;

static uint64_t next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* ---- symbols ---- */

bool symbols_choose(const Program *program, SymbolValue *values)
{
    static const int64_t usual[] = {64, 32, 16, 8, 4, 1, 128, 2, 3};
    bool fixed[1 << 10] = {false};
    const int count = program->symbol_count;
    if (count > (int)(sizeof fixed / sizeof *fixed))
        return false;
    for (int i = 0; i < count; i++)
        fixed[i] = values[i].value > 0;
    for (size_t size = 0; size < sizeof usual / sizeof *usual; size++) {
        for (int i = 0; i < count; i++)
            values[i].value = fixed[i] ? values[i].value : usual[size];
        if (program_allows(program, values))
            return true;
    }
    uint64_t state = 1;
    for (int tries = 0; tries < SYMBOL_TRIES; tries++) {
        for (int i = 0; i < count; i++)
            values[i].value = fixed[i] ? values[i].value : (int64_t)(next(&state) % 8);
        if (program_allows(program, values))
            return true;
    }
    return count == 0;
}

/* ---- memory ---- */

static uint64_t bytes_of(Ir *ir, Node *buffer, const SymbolValue *values, int count)
{
    const int64_t elements = index_evaluate(layout_elements(ir, buffer), values, count);
    return elements < 0 ? UINT64_MAX : pack_bytes(buffer->type.dtype, (uint64_t)elements);
}

static bool stage_reads(Ir *ir, const Node *kernel, const Node *root)
{
    const Block *const stages = kernel_stages(kernel);
    for (int i = 0; i < stages->count; i++) {
        Node *value = stage_value(stages->nodes[i]);
        int count;
        Node **const nodes = nodes_topological(ir, &value, 1, &count);
        for (int j = 0; j < count; j++)
            if (nodes[j]->op == OP_at && buffer_root(nodes[j]->inputs[0]) == root)
                return true;
    }
    return false;
}

static uint32_t root_flags(Ir *ir, const Node *kernel, Node *root, int buffers)
{
    uint32_t flags = stage_reads(ir, kernel, root) ? ROOT_READ : 0;
    for (int i = 0; i < buffers; i++)
        if (buffer_root(kernel->inputs[i]) == root && kernel_writes(kernel, kernel->inputs[i]))
            flags |= ROOT_WRITTEN;
    if (root->type.dtype == DTYPE_F32)
        flags |= ROOT_F32;
    if (root->payload.buffer->place != PLACE_WEIGHT && flags & ROOT_READ)
        flags |= ROOT_WARM;
    return flags;
}

static void find_roots(Ir *ir, TuneTask *task, const SymbolValue *values, int value_count)
{
    Node *const kernel = task->kernel;
    const int buffers = kernel_buffer_count(kernel);
    uint64_t total = 0;
    task->roots = NEW_ARRAY(ir->arena, RunnerRoot, (size_t)buffers + 1);
    task->root_buffers = NEW_ARRAY(ir->arena, Node *, (size_t)buffers + 1);
    task->buffer_roots = NEW_ARRAY(ir->arena, uint32_t, (size_t)buffers + 2);
    task->dims = NEW_ARRAY(ir->arena, int64_t, (size_t)kernel->input_count + 1);
    for (int i = 0; i < buffers; i++) {
        Node *const root = buffer_root(kernel->inputs[i]);
        uint32_t number = 0;
        while (number < task->facts.root_count && task->root_buffers[number] != root)
            number++;
        if (number == task->facts.root_count) {
            task->root_buffers[task->facts.root_count++] = root;
            task->roots[number] = (RunnerRoot){.bytes = bytes_of(ir, root, values, value_count),
                                               .flags = root_flags(ir, kernel, root, buffers)};
        }
        const uint64_t own = bytes_of(ir, kernel->inputs[i], values, value_count);
        if (own > task->roots[number].bytes)
            task->roots[number].bytes = own;
        task->buffer_roots[i] = number;
    }
    task->facts.buffer_count = (uint32_t)buffers;
    task->facts.dim_count = kernel->input_count - (uint32_t)buffers;
    for (uint32_t i = 0; i < task->facts.dim_count; i++) {
        task->dims[i] = index_evaluate(kernel->inputs[(uint32_t)buffers + i], values, value_count);
        if (task->dims[i] < 0)
            task->skipped = "a size has no value";
    }
    for (uint32_t i = 0; i < task->facts.root_count && !task->skipped; i++) {
        if (task->roots[i].bytes > bytes_most || (total += task->roots[i].bytes) > bytes_most)
            task->skipped = "its buffers are too large to try it";
    }
}

/* "m=3136 n=64 k=576": for people. */
static const char *describe_roles(Ir *ir, Node *kernel)
{
    ContractRoles roles;
    int64_t m, n, k;
    if (!contract_match(ir, kernel, &roles) || !const_is_int(roles.rows, &m) || !const_is_int(roles.columns, &n) ||
        !const_is_int(roles.depth, &k))
        return "";
    return arena_format(ir->arena, "m=%lld n=%lld k=%lld", (long long)m, (long long)n, (long long)k);
}

TuneTask *tasks_find(const Program *program, int level, int threads, const SymbolValue *values, int value_count,
                     int *count)
{
    Ir *const ir = program->ir;
    TuneTask *const tasks = NEW_ARRAY(ir->arena, TuneTask, (size_t)program->kernel_count + 1);
    for (int i = 0; i < program->kernel_count; i++) {
        TuneTask *const task = &tasks[i];
        task->kernel = program->kernels[i].stages;
        task->key = tuning_key(ir, task->kernel);
        task->text = program->kernels[i].key;
        task->name = program->kernels[i].name;
        task->roles = describe_roles(ir, task->kernel);
        task->best_ratio = 1;
        task->facts = (RunnerTask){.threads = (uint32_t)threads,
                                   .flush_bytes = (uint64_t)program->levels[level]->l2 * 2,
                                   .memory_bytes = memory_most};
        find_roots(ir, task, values, value_count);
        for (int j = 0; j < program->launch_count; j++)
            task->launches += program->launches[j].index == i;
    }
    *count = program->kernel_count;
    return tasks;
}

/* ---- contents ---- */

enum { TABLE = 256 };

/* Floats of [-1, 1]; integers small enough to be indices of nearly everything. */
static void make_up(Ir *ir, Dtype dtype, uint8_t *data, uint64_t bytes, uint64_t *state)
{
    const int bits = dtype_info[dtype].bits;
    const size_t size = bits < 8 ? 1 : (size_t)bits / 8;
    uint64_t table[TABLE];
    for (int i = 0; i < TABLE; i++) {
        const double real = (double)(next(state) >> 40) / (1 << 23) - 1;
        table[i] = dtype_is_float(dtype) && bits >= 8 ? const_float(ir, dtype, real)->payload.bits : next(state) % 2;
    }
    for (uint64_t at = 0; at + size <= bytes; at += size) {
        const uint64_t random = next(state);
        const float narrow = (float)((double)(random >> 40) / (1 << 23) - 1);
        memcpy(data + at, dtype == DTYPE_F32 ? (const void *)&narrow : (const void *)&table[random % TABLE], size);
    }
}

static size_t padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

static void put(uint8_t **at, const void *data, size_t bytes)
{
    if (bytes)
        memcpy(*at, data, bytes);
    *at += padded(bytes);
}

void *task_message(Ir *ir, const TuneTask *task, size_t *bytes)
{
    const RunnerTask *const facts = &task->facts;
    uint64_t state = 1;
    *bytes = padded(sizeof *facts) + facts->root_count * sizeof *task->roots +
             padded(facts->buffer_count * sizeof(uint32_t)) + facts->dim_count * sizeof(int64_t);
    for (uint32_t i = 0; i < facts->root_count; i++)
        *bytes += padded(task->roots[i].bytes);
    uint8_t *const message = calloc(1, *bytes + 1), *at = message;
    if (!message)
        return NULL;
    put(&at, facts, sizeof *facts);
    put(&at, task->roots, facts->root_count * sizeof *task->roots);
    put(&at, task->buffer_roots, facts->buffer_count * sizeof(uint32_t));
    put(&at, task->dims, facts->dim_count * sizeof(int64_t));
    for (uint32_t i = 0; i < facts->root_count; i++) {
        const Node *const root = task->root_buffers[i];
        const Buffer *const buffer = root->payload.buffer;
        if (buffer->place == PLACE_WEIGHT &&
            pack_bytes(root->type.dtype, pack_elements(root->type, &buffer->layout)) <= task->roots[i].bytes)
            constant_pack(buffer->constant, root->type, &buffer->layout, at);
        else
            make_up(ir, root->type.dtype, at, task->roots[i].bytes, &state);
        at += padded(task->roots[i].bytes);
    }
    return message;
}

/* ---- what was tried ---- */

bool task_seen(const TuneTask *task, const char *text)
{
    for (int i = 0; i < task->seen_count; i++)
        if (strcmp(task->seen[i], text) == 0)
            return true;
    return false;
}

void task_see(TuneTask *task, Arena *arena, const char *text)
{
    if (task->seen_count == task->seen_capacity) {
        const int capacity = task->seen_capacity * 2 + 64;
        const char **const seen = NEW_ARRAY(arena, const char *, (size_t)capacity);
        if (task->seen_count)
            memcpy(seen, task->seen, (size_t)task->seen_count * sizeof *seen);
        task->seen = seen;
        task->seen_capacity = capacity;
    }
    task->seen[task->seen_count++] = text;
}
