/* A plan: the program bound to the values of its symbols, to memory and to a number of threads.
 *
 * A static model has one plan, made when the context opens. A symbolic model makes one when other symbols arrive and keeps the
 * last few; the memory of a plan fits every instantiation, so only the arena can need to grow. */
#include "runtime/internal.h"
#include "runtime/libc.h"

static const double RANGE_SLACK = 1e-8; /* more than what rounding does to a range, less than what a byte is of a unit */

void *block_take(Block *block, uint64_t count, uint64_t size)
{
    const uint64_t offset = block->used;
    block->used += (count * size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    return block->base != NULL ? block->base + offset : NULL;
}

static void plan_layout(const Context *context, Plan *plan, Block *block)
{
    const lathe_program *program = context->program;
    const uint64_t launches = program->launch_count;
    const uint64_t shared = context->threads > 1 ? launches : 0; /* what only several walkers need */
    plan->symbols = block_take(block, program->symbol_count, sizeof *plan->symbols);
    plan->values = block_take(block, program->value_count, sizeof *plan->values);
    plan->dims = block_take(block, context->dim_count, sizeof *plan->dims);
    plan->pointers = block_take(block, context->pointer_count, sizeof *plan->pointers);
    plan->slot_offsets = block_take(block, program->slot_count, sizeof *plan->slot_offsets);
    plan->calls = block_take(block, launches, sizeof *plan->calls);
    plan->steps = block_take(block, shared, sizeof *plan->steps);
    plan->step_of_launch = block_take(block, shared, sizeof *plan->step_of_launch);
    plan->waited_by = block_take(block, shared, sizeof *plan->waited_by);
    plan->covered = block_take(block, shared, sizeof *plan->covered);
    plan->deps = block_take(block, shared + context->dep_count, sizeof *plan->deps);
    if (shared > 0 && program->dep_ranges != NULL)
        plan->spans = block_take(block, (uint64_t)context->dep_count * context->threads * SLICE_CHUNKS, sizeof *plan->spans);
    plan->words = block_take(block, shared * context->threads, CACHE_LINE);
    plan->seen_stride = (shared + 7) / 8 * 8;
    plan->seen = block_take(block, plan->seen_stride * context->threads, sizeof *plan->seen);
}

int plan_make(Context *context, Plan *plan)
{
    Block block = {NULL, 0};
    plan->owner = context;
    plan_layout(context, plan, &block);
    plan->memory = memory_aligned(block.used);
    if (plan->memory == NULL && block.used > 0)
        return context_fail(context, LATHE_E_MEMORY, "no memory for the plan of model '%s': %i bytes", context->program->name,
                            (int64_t)block.used);
    if (block.used > 0)
        memset(plan->memory, 0, block.used);
    block = (Block){plan->memory, 0};
    plan_layout(context, plan, &block);
    return LATHE_OK;
}

void plan_close(Plan *plan)
{
    free(plan->memory);
    plan->memory = NULL;
    plan->valid = false;
}

/* --- values ----------------------------------------------------------------------------------------------------------------- */

static int values_check(Context *context, const int64_t *values)
{
    const lathe_program *program = context->program;
    for (uint32_t i = 0; i < program->check_count; i++)
        if (values[program->checks[i].value] == 0)
            return context_fail(context, program->checks[i].code, "%s", program->checks[i].message);
    for (uint32_t i = 0; i < program->input_count + program->output_count; i++) {
        const bool input = i < program->input_count;
        const lathe_tensor_info *info = input ? &program->inputs[i] : &program->outputs[i - program->input_count];
        /* A script's outputs, and values that are no tensors, have the size -1: only a run knows it. */
        const bool known = program->script == NULL || (input && values[info->bytes_value] != -1);
        if (known && values[info->bytes_value] < 0)
            return context_fail(context, LATHE_E_SHAPE, "%s '%s' is too large: its size does not fit into 63 bits",
                                input ? "input" : "output", info->name);
    }
    return LATHE_OK;
}

static int values_fill(Context *context, Plan *plan, const int64_t *symbols)
{
    const lathe_program *program = context->program;
    if (program->symbol_count > 0)
        memcpy(plan->symbols, symbols, program->symbol_count * sizeof *symbols);
    if (program->value_count > 0)
        memcpy(plan->values, program->values, program->value_count * sizeof *plan->values);
    if (program->instantiate != NULL) {
        void *const buffers[] = {plan->values};
        int32_t error = 0;
        program->instantiate(buffers, plan->symbols, 0, 1, NULL, &error);
        if (error != 0)
            return context_fail(context, error, "%s for these dimensions", text_of_code(error));
    }
    return values_check(context, plan->values);
}

/* Offsets of the slots: those of the compiler, or the sum of the rounded sizes before. */
static int slots_place(Context *context, Plan *plan)
{
    const lathe_program *program = context->program;
    if (program->instantiate == NULL) {
        if (program->slot_count > 0)
            memcpy(plan->slot_offsets, program->slot_offset, program->slot_count * sizeof *plan->slot_offsets);
        plan->arena_bytes = program->slot_count > 0 ? (uint64_t)plan->values[program->arena_bytes_value] : 0;
        return LATHE_OK;
    }
    const int64_t most = INT64_MAX / 2;
    int64_t used = 0;
    for (uint32_t i = 0; i < program->slot_count; i++) {
        const int64_t bytes = plan->values[program->slot_bytes_value[i]];
        if (bytes < 0 || bytes > most - used)
            return context_fail(context, LATHE_E_MEMORY, "the intermediate results of model '%s' do not fit into memory for these "
                                "dimensions", program->name);
        plan->slot_offsets[i] = (uint64_t)used;
        used += (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    }
    plan->arena_bytes = (uint64_t)used;
    return LATHE_OK;
}

static void calls_fill(const Context *context, Plan *plan)
{
    const lathe_program *program = context->program;
    for (uint32_t i = 0; i < context->dim_count; i++)
        plan->dims[i] = plan->values[program->value_refs[i]];
    for (uint32_t i = 0; i < program->launch_count; i++) {
        const lathe_launch *launch = &program->launches[i];
        plan->calls[i] = (Call){
            .kernel = context->level->kernels != NULL ? context->level->kernels[launch->kernel] : NULL,
            .buffers = plan->pointers + launch->buffers_first,
            .dims = plan->dims + launch->dims_first,
            .units = plan->values[launch->units_value[context->level_index]],
        };
    }
}

void plan_bind_arena(Context *context, Plan *plan)
{
    if (plan->bound && plan->arena == context->arena)
        return;
    const lathe_program *program = context->program;
    for (uint32_t i = 0; i < context->pointer_count; i++) {
        const lathe_buffer *buffer = &program->buffers[program->buffer_refs[i]];
        if (buffer->place == LATHE_PLACE_WEIGHTS)
            plan->pointers[i] = (unsigned char *)(uintptr_t)context->weights + buffer->offset;
        else if (buffer->place == LATHE_PLACE_ARENA)
            plan->pointers[i] = (void *)(uintptr_t)((uintptr_t)context->arena + plan->slot_offsets[buffer->index] + buffer->offset);
    }
    plan->arena = context->arena;
    plan->bound = true;
}

/* --- steps ------------------------------------------------------------------------------------------------------------------ */

/* SLICE_CHUNKS chunks per thread; fewer where a chunk would be shorter than CHUNK_NS or a launch has not so many units. */
static void step_cut(Step *step, int64_t units, int64_t work, uint32_t threads)
{
    int64_t pieces = work / CHUNK_NS;
    if (pieces > units)
        pieces = units;
    if (pieces < 1)
        pieces = 1;
    step->slices = pieces < threads ? (uint32_t)pieces : threads;
    step->per_slice = pieces >= SLICE_CHUNKS * (int64_t)threads ? SLICE_CHUNKS : 1;
}

static bool step_wait_for(Plan *plan, Step *step, uint32_t waiter, uint32_t other)
{
    if (other == waiter || plan->waited_by[other] == waiter + 1)
        return false;
    plan->waited_by[other] = waiter + 1;
    plan->deps[step->deps_first + step->deps_count++] = other;
    return true;
}

static int64_t clamp_double(double value, int64_t most)
{
    return value <= 0 ? 0 : value >= (double)most ? most : (int64_t)value;
}

/* The chunk that has the unit: units are cut as in chunk_units. */
static uint32_t chunk_of_unit(int64_t units, uint32_t chunks, int64_t unit)
{
    uint32_t chunk = 0, above = chunks;
    while (above - chunk > 1) {
        const uint32_t middle = (chunk + above) / 2;
        if (chunk_units(units, chunks, middle) <= unit)
            chunk = middle;
        else
            above = middle;
    }
    return chunk;
}

/* What the chunks of a step wait for of another one, which has one launch; a chunk waits for one at least. */
static bool spans_fill(const Plan *plan, const Step *step, const Step *other, const lathe_range *range, Span *spans)
{
    const uint32_t chunks = step->slices * step->per_slice, others = other->slices * other->per_slice;
    const int64_t units = plan->calls[step->launch_first].units, most = plan->calls[other->launch_first].units - 1;
    uint32_t next = 0; /* of the other step's chunks, the first that none of the spans so far has */
    bool covered = true;
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        spans[chunk] = (Span){0, (uint16_t)(others - 1)};
        if (range != NULL && others > 1) {
            const double begin = (double)chunk_units(units, chunks, chunk), end = (double)chunk_units(units, chunks, chunk + 1);
            const int64_t first = clamp_double(range->slope * begin + range->low + 1 - RANGE_SLACK, most);
            const int64_t last = clamp_double(range->slope * (end - 1) + range->high + RANGE_SLACK, most);
            spans[chunk].first = (uint16_t)chunk_of_unit(most + 1, others, first < last ? first : last);
            spans[chunk].last = (uint16_t)chunk_of_unit(most + 1, others, last);
        }
        covered = covered && spans[chunk].first <= next;
        next = spans[chunk].last + 1u > next ? spans[chunk].last + 1u : next;
    }
    return covered && next == others;
}

/* What the step waits for because of one of its launches. */
static void step_add_deps(const Context *context, Plan *plan, uint32_t number, uint32_t launch, uint32_t *spans)
{
    const lathe_program *program = context->program;
    const lathe_launch *row = &program->launches[launch];
    Step *step = &plan->steps[number];
    const uint32_t chunks = step->slices * step->per_slice;
    const bool apart = program->dep_ranges != NULL && chunks > 1;
    if (apart)
        step->spans_first = *spans;
    for (uint32_t k = 0; k < row->deps_count; k++) {
        const uint32_t dep = row->deps_first + k, other = plan->step_of_launch[program->dep_refs[dep]];
        if (!step_wait_for(plan, step, number, other))
            continue;
        if (!apart) {
            plan->covered[other] = 1;
            continue;
        }
        const lathe_range *range = &program->dep_ranges[(uint64_t)context->level_index * program->dep_count + dep];
        const Step *waited = &plan->steps[other];
        plan->covered[other] |= spans_fill(plan, step, waited, waited->launch_count == 1 ? range : NULL, plan->spans + *spans);
        *spans += chunks;
    }
}

/* Launches in order, with small neighbours joined; what a step waits for follows from its launches. */
static void steps_fill(const Context *context, Plan *plan)
{
    const lathe_program *program = context->program;
    uint32_t count = 0, deps = 0, lines = 0, spans = 0;
    int64_t joined = JOIN_NS; /* work of the last step as far as it may grow; JOIN_NS: it may not */
    memset(plan->waited_by, 0, program->launch_count * sizeof *plan->waited_by);
    memset(plan->covered, 0, program->launch_count);
    plan->parallel = false;
    for (uint32_t i = 0; i < program->launch_count; i++) {
        const int64_t work = plan->values[program->launches[i].work_value];
        Step cut = {.launch_first = i, .launch_count = 1, .first_line = lines, .deps_first = deps, .spans_first = SPANS_NONE};
        step_cut(&cut, plan->calls[i].units, work, context->threads);
        const bool small = work < 2 * CHUNK_NS;
        if (small && joined < JOIN_NS) {
            plan->steps[count - 1].launch_count++;
            joined += work;
        } else {
            plan->steps[count++] = cut;
            lines += cut.slices;
            joined = small ? work : JOIN_NS;
        }
        plan->parallel |= cut.slices > 1;
        plan->step_of_launch[i] = count - 1;
        step_add_deps(context, plan, count - 1, i, &spans);
        deps = plan->steps[count - 1].deps_first + plan->steps[count - 1].deps_count;
    }
    plan->step_count = count;
    plan->last = (Step){.deps_first = deps, .spans_first = SPANS_NONE};
    for (uint32_t i = 0; i < count; i++)
        if (!plan->covered[i])
            plan->deps[plan->last.deps_first + plan->last.deps_count++] = i;

    /* All done in the last run, as far as the next one can tell. */
    const uint32_t done = (uint32_t)atomic_load(&plan->run) * 4 + 3;
    for (uint64_t line = 0; line < lines; line++)
        for (uint32_t k = 0; k < SLICE_CHUNKS; k++)
            atomic_store_explicit(&plan->words[line * LINE_WORDS + k], done, memory_order_relaxed);
    memset(plan->seen, 0, plan->seen_stride * context->threads * sizeof *plan->seen);
}

int plan_instantiate(Context *context, Plan *plan, const int64_t *symbols)
{
    plan->valid = false;
    plan->bound = false;
    int code = values_fill(context, plan, symbols);
    if (code == LATHE_OK)
        code = slots_place(context, plan);
    if (code != LATHE_OK)
        return code;
    calls_fill(context, plan);
    if (context->threads > 1)
        steps_fill(context, plan);
    plan->valid = true;
    return LATHE_OK;
}
