/* Who touched what: races between the threads of a block and between blocks, memory that a copy is still on its way to,
 * shared memory that nobody wrote.
 *
 * Two threads of a block may touch the same element, unless both read, only if a barrier stands between; two blocks of
 * a launch never. The order in which threads happen to run plays no role: of two accesses that conflict the later one
 * finds the earlier one, or one that conflicts likewise, in the element's cell. */
#include "ir/run.h"

#include <stdio.h>

/* ---- messages ---- */

static int64_t block_of(const Group *group, uint32_t stamp)
{
    int64_t low = 0, high = group->block_count;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (group->block_firsts[middle] <= stamp)
            low = middle;
        else
            high = middle;
    }
    return group->blocks[low];
}

/* "store (line 12)": the line is that of the kernel's text, where it came from one. */
static void operation_text(char text[static 64], const Instruction *instruction)
{
    const Node *const node = instruction->node;
    const int line = node->where ? node->where->line : 0;
    if (line > 0)
        snprintf(text, 64, "%s (line %d)", op_name(node->op), line);
    else
        snprintf(text, 64, "%s", op_name(node->op));
}

typedef struct Earlier {
    uint16_t thread;
    uint32_t stamp, at;
} Earlier;

static int32_t fail_race(const Run *run, const View *view, const Instruction *instruction, uint64_t offset,
                         Earlier earlier)
{
    const Group *const group = run->group;
    const Buffer *const buffer = run->code->buffers[view - run->views].node->payload.buffer;
    char now[64], before[64];
    operation_text(now, instruction);
    operation_text(before, &run->code->instructions[earlier.at]);
    const int64_t other = block_of(group, earlier.stamp);
    if (other != group->block)
        return run_fail(run->code, INTERPRET_RACE,
                        "two blocks touch element %llu of buffer %.60s in one launch: %s by thread %d of block %lld, "
                        "%s by thread %d of block %lld",
                        (unsigned long long)offset, buffer->name ? buffer->name : "?", before, earlier.thread,
                        (long long)other, now, run->thread, (long long)group->block);
    return run_fail(run->code, INTERPRET_RACE,
                    "missing barrier: element %llu of %s %.60s: %s by thread %d and %s by thread %d of block %lld",
                    (unsigned long long)offset, view->shared ? "shared buffer" : "buffer",
                    buffer->name ? buffer->name : "?", before, earlier.thread, now, run->thread,
                    (long long)group->block);
}

static int32_t fail_pending(const Run *run, const View *view, const Instruction *instruction, uint64_t offset,
                            const Cell *cell)
{
    const Buffer *const buffer = run->code->buffers[view - run->views].node->payload.buffer;
    char now[64], before[64];
    operation_text(now, instruction);
    operation_text(before, &run->code->instructions[cell->write_at]);
    return run_fail(run->code, INTERPRET_POISONED,
                    "%s by thread %d of block %lld touches element %llu of shared buffer %.60s, which %s of thread %d "
                    "is still on its way to: no copy_wait of that thread has covered it",
                    now, run->thread, (long long)run->group->block, (unsigned long long)offset,
                    buffer->name ? buffer->name : "?", before, cell->pending - 1);
}

/* ---- accesses ---- */

static Earlier writer_of(const Cell *cell)
{
    return (Earlier){cell->writer, cell->write_stamp, cell->write_at};
}

int32_t race_read(const Run *run, const View *view, const Instruction *instruction, uint64_t offset)
{
    Cell *const cell = &view->cells[offset >> view->cell_shift];
    const Group *const group = run->group;
    if (cell->pending)
        return fail_pending(run, view, instruction, offset, cell);
    if (cell->write_stamp == group->stamp) {
        if (cell->writer != run->thread)
            return fail_race(run, view, instruction, offset, writer_of(cell));
    } else if (cell->write_stamp < group->first) {
        if (view->shared)
            return run_fail_access(run, instruction, (int64_t)offset, INTERPRET_UNWRITTEN);
        if (cell->write_stamp)
            return fail_race(run, view, instruction, offset, writer_of(cell));
    }
    const uint32_t at = (uint32_t)(instruction - run->code->instructions);
    if (cell->read_stamp == group->stamp) {
        if (cell->reader != run->thread && cell->other_reader == NO_THREAD) {
            cell->other_reader = run->thread;
            cell->other_at = at;
        }
        return INTERPRET_OK;
    }
    if (cell->read_stamp && cell->read_stamp < group->first) {
        cell->foreign_stamp = cell->read_stamp;
        cell->foreign = cell->reader;
        cell->foreign_at = cell->read_at;
    }
    cell->read_stamp = group->stamp;
    cell->reader = run->thread;
    cell->other_reader = NO_THREAD;
    cell->read_at = at;
    return INTERPRET_OK;
}

/* A read that another thread or block has to be kept from; false when there is none. */
static bool find_reader(const Run *run, const View *view, const Cell *cell, Earlier *earlier)
{
    const Group *const group = run->group;
    if (cell->read_stamp == group->stamp && (cell->reader != run->thread || cell->other_reader != NO_THREAD)) {
        *earlier = cell->reader != run->thread ? (Earlier){cell->reader, cell->read_stamp, cell->read_at}
                                               : (Earlier){cell->other_reader, cell->read_stamp, cell->other_at};
        return true;
    }
    if (view->shared)
        return false;
    if (cell->read_stamp && cell->read_stamp < group->first) {
        *earlier = (Earlier){cell->reader, cell->read_stamp, cell->read_at};
        return true;
    }
    *earlier = (Earlier){cell->foreign, cell->foreign_stamp, cell->foreign_at};
    return cell->foreign_stamp != 0;
}

int32_t race_write(const Run *run, const View *view, const Instruction *instruction, uint64_t offset)
{
    Cell *const cell = &view->cells[offset >> view->cell_shift];
    const Group *const group = run->group;
    Earlier earlier;
    if (cell->pending)
        return fail_pending(run, view, instruction, offset, cell);
    const bool same_stretch = cell->write_stamp == group->stamp;
    if (same_stretch ? cell->writer != run->thread
                     : !view->shared && cell->write_stamp && cell->write_stamp < group->first)
        return fail_race(run, view, instruction, offset, writer_of(cell));
    if (find_reader(run, view, cell, &earlier))
        return fail_race(run, view, instruction, offset, earlier);
    cell->write_stamp = group->stamp;
    cell->writer = run->thread;
    cell->write_at = (uint32_t)(instruction - run->code->instructions);
    if (instruction->opcode == CODE_COPY_ASYNC)
        cell->pending = (uint16_t)(run->thread + 1);
    return INTERPRET_OK;
}

void race_arrive(const Run *run, const View *view, uint64_t offset, uint32_t at)
{
    Cell *const cell = &view->cells[offset >> view->cell_shift];
    cell->pending = 0;
    cell->write_stamp = run->group->stamp;
    cell->writer = run->thread;
    cell->write_at = at;
}
