/* The blocks of a launch, one after the other in seeded random order, and the threads of a block as coroutines: each
 * has a frame of its own and runs until it waits at a barrier or at an operation of its warp; who runs next is drawn.
 *
 * A barrier opens when all threads of the block wait at it, an operation of a warp happens when its 32 lanes wait at
 * it. When nobody can go on and somebody waits, control flow has diverged. */
#include "ir/kernel.h"
#include "ir/mma.h"
#include "ir/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- asynchronous copies ---- */

/* Neighbouring elements of packed types share a byte and so a cell. */
static uint64_t cell_step(const View *view)
{
    return UINT64_C(1) << view->cell_shift;
}

static bool copy_remember(Thread *thread, const Copy *copy)
{
    if (thread->copy_count == thread->copy_capacity) {
        const int capacity = thread->copy_capacity ? thread->copy_capacity * 2 : 16;
        Copy *const copies = realloc(thread->copies, (size_t)capacity * sizeof *copies);
        if (!copies)
            return false;
        thread->copies = copies;
        thread->copy_capacity = capacity;
    }
    thread->copies[thread->copy_count++] = *copy;
    return true;
}

/* One side of a copy: inside its buffer, and aligned to the size of the copy. */
static int32_t check_side(const Run *run, const Instruction *instruction, const View *view, int64_t offset)
{
    const int elements = instruction->lanes;
    if (offset < 0 || (uint64_t)offset > view->elements || view->elements - (uint64_t)offset < (uint64_t)elements)
        return run_fail(run->code, INTERPRET_RANGE,
                        "copy_async of %d elements at offset %lld of a buffer of %llu elements (thread %d)", elements,
                        (long long)offset, (unsigned long long)view->elements, run->thread);
    if (offset % elements)
        return run_fail(run->code, INTERPRET_RANGE,
                        "copy_async of %d elements at offset %lld, which is no multiple of them (thread %d)", elements,
                        (long long)offset, run->thread);
    return INTERPRET_OK;
}

int32_t threads_copy(const Run *run, const Instruction *instruction)
{
    const View *const to = &run->views[instruction->buffer], *const from = &run->views[instruction->immediate];
    const int64_t offset = *(const int64_t *)(run->frame + instruction->a);
    const int64_t source = *(const int64_t *)(run->frame + instruction->b);
    const bool present = instruction->c == NO_REGISTER || run->frame[instruction->c];
    const int bits = run->code->buffers[instruction->buffer].bits, elements = instruction->lanes;
    int32_t result = check_side(run, instruction, to, offset);
    if (!result && present)
        result = check_side(run, instruction, from, source);
    for (int i = 0; from->cells && present && i < elements && !result; i++)
        result = race_read(run, from, instruction, (uint64_t)source + (uint64_t)i);
    for (uint64_t i = 0; to->cells && i < (uint64_t)elements && !result; i += cell_step(to))
        result = race_write(run, to, instruction, (uint64_t)offset + i);
    if (result)
        return result;
    uint8_t *const data = to->data + (uint64_t)offset * (uint64_t)bits / 8;
    if (present)
        memcpy(data, from->data + (uint64_t)source * (uint64_t)bits / 8, (size_t)(elements * bits / 8));
    else
        memset(data, 0, (size_t)(elements * bits / 8));
    Thread *const thread = &run->group->threads[run->thread];
    const Copy copy = {(uint64_t)offset, thread->closed, (uint32_t)(instruction - run->code->instructions),
                       instruction->buffer, elements};
    if (to->cells && !copy_remember(thread, &copy))
        return run_fail(run->code, INTERPRET_MEMORY, "no memory for the copies under way");
    return INTERPRET_OK;
}

int32_t threads_wait(const Run *run, int64_t open)
{
    Thread *const thread = &run->group->threads[run->thread];
    int arrived = 0;
    for (; arrived < thread->copy_count && thread->copies[arrived].number < thread->closed - open; arrived++) {
        const Copy *const copy = &thread->copies[arrived];
        const View *const view = &run->views[copy->buffer];
        for (uint64_t i = 0; i < (uint64_t)copy->elements; i += cell_step(view))
            race_arrive(run, view, copy->offset + i, copy->at);
    }
    thread->copy_count -= arrived;
    if (arrived && thread->copy_count)
        memmove(thread->copies, thread->copies + arrived, (size_t)thread->copy_count * sizeof *thread->copies);
    return INTERPRET_OK;
}

/* ---- operations of warps ---- */

/* Results go to registers that no lane reads here: places that end at an instruction are not given to its result. */
static void shuffle(const Thread *lanes, const Instruction *instruction)
{
    const int mask = (int)instruction->immediate;
    for (int i = 0; i < WARP_LANES; i++)
        memcpy(lanes[i].run.frame + instruction->to, lanes[i ^ mask].run.frame + instruction->a,
               (size_t)instruction->lanes);
}

enum { MMA_SLOTS = 8, MMA_EDGE = 16 };

/* A matrix from the fragments of all lanes, as f32. */
static void gather_matrix(const Thread *lanes, uint32_t place, const MmaMap *map, Dtype dtype, bool narrow,
                          float matrix[MMA_EDGE][MMA_EDGE])
{
    const RowCast cast = row_cast(DTYPE_F32, dtype);
    for (int lane = 0; lane < WARP_LANES; lane++) {
        uint32_t slots[MMA_SLOTS];
        const void *from = lanes[lane].run.frame + place;
        for (int i = 0; i < cast.count; i++) {
            cast.steps[i](slots, from, NULL, NULL, map->slots);
            from = slots;
        }
        if (!cast.count)
            memcpy(slots, from, (size_t)map->slots * sizeof *slots);
        for (int slot = 0; slot < map->slots; slot++) {
            int row, column;
            const uint32_t bits = narrow ? slots[slot] & ~UINT32_C(0x1fff) : slots[slot];
            mma_place(map, lane, slot, &row, &column);
            memcpy(&matrix[row][column], &bits, sizeof bits);
        }
    }
}

static void mma(const Thread *lanes, const Instruction *instruction)
{
    const MmaRow *const row = mma_row(instruction->immediate);
    const bool narrow = row->operand == DTYPE_F32; /* tf32 */
    float a[MMA_EDGE][MMA_EDGE], b[MMA_EDGE][MMA_EDGE], c[MMA_EDGE][MMA_EDGE];
    gather_matrix(lanes, instruction->a, &row->a, row->operand, narrow, a);
    gather_matrix(lanes, instruction->b, &row->b, row->operand, narrow, b);
    gather_matrix(lanes, instruction->c, &row->c, row->accumulator, false, c);
    for (int i = 0; i < row->m; i++)
        for (int j = 0; j < row->n; j++)
            for (int k = 0; k < row->k; k++)
                c[i][j] += a[i][k] * b[k][j];
    for (int lane = 0; lane < WARP_LANES; lane++)
        for (int slot = 0; slot < row->c.slots; slot++) {
            int i, j;
            mma_place(&row->c, lane, slot, &i, &j);
            memcpy(lanes[lane].run.frame + instruction->to + 4 * slot, &c[i][j], sizeof c[i][j]);
        }
}

/* ---- who goes on ---- */

static uint64_t draw(uint64_t *random)
{
    *random += 0x9e3779b97f4a7c15u;
    uint64_t z = *random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void go_on(Group *group, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        group->threads[i].run.at++;
        group->ready[group->ready_count++] = i;
    }
}

/* "waits at barrier (line 3)", "has ended" */
static void standing_text(char text[static 80], const Thread *thread)
{
    const Node *const node = thread->ended ? NULL : thread->run.at->node;
    if (!node)
        snprintf(text, 80, "has ended");
    else if (node->where && node->where->line > 0)
        snprintf(text, 80, "waits at %s (line %d)", op_name(node->op), node->where->line);
    else
        snprintf(text, 80, "waits at %s", op_name(node->op));
}

/* Nobody can go on: names one who waits and one of those that it waits for in vain. */
static int32_t fail_diverged(const Group *group, int waiting)
{
    const Thread *const threads = group->threads;
    const bool warp = threads[waiting].run.at->opcode != CODE_BARRIER;
    const int first = warp ? waiting / WARP_LANES * WARP_LANES : 0, count = warp ? WARP_LANES : group->count;
    int other = first;
    while (other < first + count - 1 && !threads[other].ended && threads[other].run.at == threads[waiting].run.at)
        other++;
    char one[80], two[80];
    standing_text(one, &threads[waiting]);
    standing_text(two, &threads[other]);
    return run_fail(group->code, INTERPRET_DIVERGED, "block %lld: thread %d %s, which takes all %s, but thread %d %s",
                    (long long)group->block, waiting, one, warp ? "lanes of its warp" : "threads of the block", other,
                    two);
}

/* All lanes of the warp wait: for the same? */
static int32_t run_warp(Group *group, int warp)
{
    const int first = warp * WARP_LANES;
    const Instruction *const at = group->threads[first].run.at;
    for (int i = first; i < first + WARP_LANES; i++)
        if (group->threads[i].run.at != at)
            return fail_diverged(group, i);
    (at->opcode == CODE_SHUFFLE ? shuffle : mma)(&group->threads[first], at);
    group->arrived[warp] = 0;
    go_on(group, first, WARP_LANES);
    return INTERPRET_OK;
}

/* Nobody is ready: a barrier at which all wait opens. */
static int32_t open_barrier(Group *group, bool *done)
{
    const Thread *const threads = group->threads;
    int waiting = 0;
    while (waiting < group->count && threads[waiting].ended)
        waiting++;
    *done = waiting == group->count;
    if (*done)
        return INTERPRET_OK;
    for (int i = 0; i < group->count; i++)
        if (threads[i].ended || threads[i].run.at != threads[waiting].run.at ||
            threads[i].run.at->opcode != CODE_BARRIER) {
            while (threads[waiting].ended)
                waiting++;
            return fail_diverged(group, waiting);
        }
    group->stamp++;
    go_on(group, 0, group->count);
    return INTERPRET_OK;
}

static int32_t run_thread(Group *group, int number, int64_t *work)
{
    Thread *const thread = &group->threads[number];
    thread->run.work = *work;
    const int32_t result = run_instructions(&thread->run);
    *work = thread->run.work;
    if (result < 0)
        return result;
    thread->ended = result != RUN_WAITS;
    if (thread->ended || thread->run.at->opcode == CODE_BARRIER)
        return INTERPRET_OK;
    const int warp = number / WARP_LANES;
    if ((warp + 1) * WARP_LANES > group->count)
        return run_fail(group->code, INTERPRET_DIVERGED, "block %lld: the last warp has only %d lanes",
                        (long long)group->block, group->count % WARP_LANES);
    return ++group->arrived[warp] == WARP_LANES ? run_warp(group, warp) : INTERPRET_OK;
}

static int32_t run_block(Group *group, int64_t block, const int64_t *dims, int64_t *work)
{
    group->block = group->blocks[group->block_count] = block;
    group->first = group->block_firsts[group->block_count++] = ++group->stamp;
    group->ready_count = group->count;
    memset(group->arrived, 0, ((size_t)group->count / WARP_LANES + 1) * sizeof *group->arrived);
    for (int i = 0; i < group->count; i++) {
        Thread *const thread = &group->threads[i];
        thread->ended = false;
        thread->copy_count = 0;
        thread->closed = 0;
        const int64_t number = i;
        run_begin(&thread->run, dims, block, block + 1);
        if (group->code->thread != NO_REGISTER)
            memcpy(thread->run.frame + group->code->thread, &number, sizeof number);
        group->ready[i] = i;
    }
    *work -= group->code->work * group->count;
    if (*work < 0 && group->threads[0].run.limited)
        return run_fail(group->code, INTERPRET_LIMIT, "more work than allowed");
    for (bool done = false; !done;) {
        while (group->ready_count) {
            const int drawn = (int)(draw(&group->random) % (uint64_t)group->ready_count);
            const int number = group->ready[drawn];
            group->ready[drawn] = group->ready[--group->ready_count];
            const int32_t result = run_thread(group, number, work);
            if (result)
                return result;
        }
        const int32_t result = open_barrier(group, &done);
        if (result)
            return result;
    }
    return INTERPRET_OK;
}

/* ---- launches ---- */

/* Memory of a launch beside that of the threads' runs. */
typedef struct Launch {
    Group group;
    uint8_t *runs, *shared;
    Cell *shared_cells;
    Cell **cells; /* of parameters: those that name the same memory share them */
    bool *owned;
} Launch;

static uint64_t cell_count(uint64_t elements, int bits)
{
    return bits < 8 ? elements / (8 / (uint64_t)bits) + 1 : elements;
}

static uint8_t cell_shift(int bits)
{
    return bits == 4 ? 1 : bits == 2 ? 2 : 0;
}

static bool same_memory(const Launch *launch, void *const *buffers, int a, int b)
{
    const Code *const code = launch->group.code;
    return buffers[a] == buffers[b] && code->buffers[a].bits == code->buffers[b].bits;
}

/* Memory that the kernel writes, under whatever name, is watched. */
static bool open_cells(Launch *launch, void *const *buffers, const uint64_t *buffer_bytes)
{
    const Code *const code = launch->group.code;
    for (int i = 0; i < code->parameter_count; i++) {
        const int bits = code->buffers[i].bits;
        uint64_t bytes = 0;
        bool stored = false;
        for (int j = 0; j < code->parameter_count; j++) {
            stored = stored || (code->buffers[j].stored && buffers[j] == buffers[i]);
            if (!same_memory(launch, buffers, i, j))
                continue;
            bytes = buffer_bytes[j] > bytes ? buffer_bytes[j] : bytes;
            launch->cells[i] = launch->cells[i] ? launch->cells[i] : launch->cells[j];
        }
        if (!stored || launch->cells[i])
            continue;
        launch->cells[i] = calloc(cell_count(run_elements(bytes, bits), bits) + 1, sizeof(Cell));
        launch->owned[i] = true;
        if (!launch->cells[i])
            return false;
    }
    return true;
}

static uint64_t shared_cells(const Code *code)
{
    uint64_t count = 0;
    for (int i = code->parameter_count; i < code->buffer_count; i++)
        count += code->buffers[i].shared ? cell_count((uint64_t)code->buffers[i].elements, code->buffers[i].bits) : 0;
    return count;
}

static bool launch_open(Launch *launch, const Code *code, void *const *buffers, const uint64_t *buffer_bytes,
                        int64_t blocks, const RunOptions *options)
{
    const size_t count = (size_t)code->threads, bytes = run_bytes(code, options);
    Group *const group = &launch->group;
    group->code = code;
    group->count = code->threads;
    group->random = options->seed;
    group->threads = calloc(count, sizeof *group->threads);
    group->ready = calloc(count, sizeof *group->ready);
    group->arrived = calloc(count / WARP_LANES + 1, sizeof *group->arrived);
    group->blocks = calloc((size_t)blocks + 1, sizeof *group->blocks);
    group->block_firsts = calloc((size_t)blocks + 1, sizeof *group->block_firsts);
    launch->cells = calloc((size_t)code->parameter_count + 1, sizeof(Cell *));
    launch->owned = calloc((size_t)code->parameter_count + 1, sizeof *launch->owned);
    launch->runs = bytes < SIZE_MAX / count - 64 ? malloc(bytes * count + 64) : NULL;
    launch->shared = malloc((size_t)code->shared_bytes + 1);
    launch->shared_cells = options->ignore_races ? NULL : calloc(shared_cells(code) + 1, sizeof(Cell));
    return group->threads && group->ready && group->arrived && group->blocks && group->block_firsts && launch->cells &&
           launch->owned && launch->runs && launch->shared && (options->ignore_races || launch->shared_cells) &&
           (options->ignore_races || open_cells(launch, buffers, buffer_bytes));
}

static void launch_close(Launch *launch)
{
    Group *const group = &launch->group;
    for (int i = 0; launch->cells && launch->owned && i < group->code->parameter_count; i++)
        if (launch->owned[i])
            free(launch->cells[i]);
    for (int i = 0; group->threads && i < group->count; i++)
        free(group->threads[i].copies);
    void *const all[] = {group->threads, group->ready,  group->arrived, group->blocks,  group->block_firsts,
                         launch->cells,  launch->owned, launch->runs,   launch->shared, launch->shared_cells};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* The views of all threads: their own locals, and what is common to them. */
static void open_threads(Launch *launch, void *const *buffers, const uint64_t *buffer_bytes, int32_t *error,
                         const RunOptions *options)
{
    const Code *const code = launch->group.code;
    const size_t bytes = run_bytes(code, options);
    uint8_t *const runs = (uint8_t *)run_align((uintptr_t)launch->runs);
    for (int i = 0; i < launch->group.count; i++) {
        Run *const run = &launch->group.threads[i].run;
        *run = (Run){.code = code,
                     .limited = options->work_limit > 0,
                     .error = error,
                     .group = &launch->group,
                     .thread = (uint16_t)i};
        run_open(run, runs + (size_t)i * bytes, buffers, buffer_bytes, options);
        Cell *cells = launch->shared_cells;
        for (int j = 0; j < code->buffer_count; j++) {
            const CodeBuffer *const buffer = &code->buffers[j];
            View *const view = &run->views[j];
            view->cell_shift = cell_shift(buffer->bits);
            if (!buffer->local)
                view->cells = launch->cells[j];
            if (!buffer->shared)
                continue;
            *view = (View){.data = launch->shared + buffer->offset,
                           .elements = (uint64_t)buffer->elements,
                           .cells = cells,
                           .cell_shift = view->cell_shift,
                           .shared = true};
            cells = cells ? cells + cell_count(view->elements, buffer->bits) : NULL;
        }
    }
}

static int32_t run_blocks(Launch *launch, const int64_t *dims, int64_t begin, int64_t end, int64_t *work)
{
    Group *const group = &launch->group;
    const int64_t count = end > begin ? end - begin : 0;
    for (int64_t i = 0; i < count; i++)
        group->blocks[i] = begin + i;
    int32_t result = INTERPRET_OK;
    for (int64_t i = 0; i < count && !result; i++) { /* those that have run stand in front */
        const int64_t drawn = i + (int64_t)(draw(&group->random) % (uint64_t)(count - i));
        const int64_t block = group->blocks[drawn];
        group->blocks[drawn] = group->blocks[i];
        memset(launch->shared, 0xff, (size_t)group->code->shared_bytes);
        result = run_block(group, block, dims, work);
    }
    return result;
}

int32_t threads_run(const Code *code, void *const *buffers, const uint64_t *buffer_bytes, const int64_t *dims,
                    int64_t begin, int64_t end, int32_t *error, const RunOptions *options, int64_t *work_done)
{
    Launch launch = {0};
    launch.group.code = code;
    int32_t ignored = 0, result;
    int64_t work = options->work_limit;
    if (end - begin > INT32_MAX)
        return run_fail(code, INTERPRET_LIMIT, "more blocks than can run: %lld", (long long)(end - begin));
    if (launch_open(&launch, code, buffers, buffer_bytes, end > begin ? end - begin : 0, options)) {
        open_threads(&launch, buffers, buffer_bytes, error ? error : &ignored, options);
        result = run_blocks(&launch, dims, begin, end, &work);
    } else {
        result = run_fail(code, INTERPRET_MEMORY, "no memory for the threads of a block and what watches them");
    }
    launch_close(&launch);
    *work_done = options->work_limit - work;
    return result;
}
