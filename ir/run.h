/* Code that runs: what ir/interpret.c (the loop over instructions), ir/threads.c (the threads of a block) and
 * ir/races.c (who touched what) share. Private to them. */
#ifndef LATHE_IR_RUN_H
#define LATHE_IR_RUN_H

#include "ir/machine.h"

/* Who touched an element last. Stamps number the stretches between two barriers, of all blocks in the order in which
 * they run; 0: never. Two readers of one stretch suffice: whoever writes is not one of them. */
typedef struct Cell {
    uint32_t write_stamp, read_stamp;
    uint16_t writer, reader, other_reader; /* threads; other_reader: NO_THREAD or one more of the same stretch */
    uint16_t pending;                      /* a copy of this thread - 1 is under way: nobody may touch the element */
    uint32_t write_at, read_at, other_at;  /* instructions */
    uint32_t foreign_stamp, foreign_at;    /* one reader of an earlier block than read_stamp's */
    uint16_t foreign;
} Cell;
enum { NO_THREAD = UINT16_MAX };

/* A buffer as one run sees it. */
typedef struct View {
    uint8_t *data;
    uint64_t elements;
    uint8_t *written; /* a bit per element, or NULL */
    Cell *cells;      /* of a block's threads: one per element, or per byte where elements are smaller; or NULL */
    uint8_t cell_shift;
    bool shared;
} View;

typedef struct Group Group;

/* One flow of control: a chunk of a CPU's kernel, or a thread of a block. */
typedef struct Run {
    const Code *code;
    uint8_t *frame;
    View *views;
    int64_t work;
    bool limited;
    int32_t *error;
    uint8_t *locals, *written;
    size_t written_bytes;
    const Instruction *at; /* where it goes on, or what it waits at */
    Group *group;          /* NULL: no threads */
    uint16_t thread;
} Run;

/* Runs until the end or until a barrier or an operation of the warp, which it then waits at. */
enum { RUN_WAITS = 1 };
int32_t run_instructions(Run *run);
int32_t run_fail(const Code *code, int32_t result, const char *format, ...) __attribute__((format(printf, 3, 4)));
int32_t run_fail_access(const Run *run, const Instruction *instruction, int64_t offset, int32_t result);
/* Bytes for the registers, views and locals of a run, a multiple of 64; SIZE_MAX when there are too many. */
size_t run_bytes(const Code *code, const RunOptions *options);
/* Gives a run its part of memory, at a multiple of 64, and its views; those of shared buffers are left to the group. */
void run_open(Run *run, uint8_t *memory, void *const *buffers, const uint64_t *buffer_bytes, const RunOptions *options);
/* Registers and locals as they are before the first instruction. */
void run_begin(Run *run, const int64_t *dims, int64_t begin, int64_t end);
/* ir/tiles.c: one operation on tile registers. */
int32_t tile_run(const Run *run, const Instruction *instruction);
uint64_t run_elements(uint64_t bytes, int bits);
static inline size_t run_align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* ---- ir/threads.c ---- */
typedef struct Copy {
    uint64_t offset;
    int64_t number; /* of the group of copies that it belongs to */
    uint32_t at;
    uint16_t buffer;
    int elements;
} Copy;
typedef struct Thread {
    Run run;
    bool ended;
    int64_t closed; /* groups of copies */
    Copy *copies;   /* under way, in order */
    int copy_count, copy_capacity;
} Thread;
/* The threads of the block that runs now. */
struct Group {
    const Code *code;
    Thread *threads;
    int count;
    uint32_t stamp, first; /* of this stretch, and of the first stretch of this block */
    int64_t block;
    int64_t *blocks;        /* that have run: */
    uint32_t *block_firsts; /* their first stamps, ascending */
    int64_t block_count;
    uint64_t random;
    int *ready, ready_count; /* threads that may go on */
    int *arrived;            /* lanes that wait at an operation of the warp, per warp */
};
int32_t threads_run(const Code *code, void *const *buffers, const uint64_t *buffer_bytes, const int64_t *dims,
                    int64_t begin, int64_t end, int32_t *error, const RunOptions *options, int64_t *work_done);
int32_t threads_copy(const Run *run, const Instruction *instruction);
int32_t threads_wait(const Run *run, int64_t open);

/* ---- ir/races.c ---- */
/* May this thread read, or write, the element, and does it find what is meant? Remembers that it did. */
int32_t race_read(const Run *run, const View *view, const Instruction *instruction, uint64_t offset);
int32_t race_write(const Run *run, const View *view, const Instruction *instruction, uint64_t offset);
/* race_read is fine and has nothing to remember: this thread, or two others, read the element in this stretch. */
static inline bool race_read_again(const Run *run, const View *view, uint64_t offset)
{
    const Cell *const cell = &view->cells[offset >> view->cell_shift];
    const uint32_t stamp = run->group->stamp;
    return !cell->pending && cell->write_stamp >= run->group->first && cell->write_stamp != stamp &&
           cell->read_stamp == stamp && (cell->reader == run->thread || cell->other_reader != NO_THREAD);
}
/* The copy has been waited for: it counts as a write of now. */
void race_arrive(const Run *run, const View *view, uint64_t offset, uint32_t at);

#endif
