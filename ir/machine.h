/* The instruction machine behind interpret.h: what ir/translate.c writes, ir/peephole.c shortens and ir/interpret.c
 * runs.
 *
 * A register is a row of lanes in the frame, named by its byte offset. The frame starts with an image of constants,
 * then the dims, begin and end. Jumps are relative to the jumping instruction. */
#ifndef LATHE_IR_MACHINE_H
#define LATHE_IR_MACHINE_H

#include "ir/interpret.h"
#include "ir/rows.h"

typedef enum Opcode {
    CODE_STOP,
    CODE_ROW,    /* to = row(a, b, c) */
    CODE_COPY,   /* to + immediate = a, `lanes` bytes */
    CODE_REDUCE, /* to = halves of a by row, b is scratch of the same size */
    CODE_FOR,    /* to = a (lower); jump out unless to < b (upper); c: step */
    CODE_NEXT,   /* to += c; jump back while to < b; immediate: work of the body */
    CODE_AGAIN,  /* jump back; immediate: work of the body */
    CODE_JUMP,
    CODE_UNLESS, /* jump when a is false */
    CODE_BREAK,  /* jump when a is true */
    CODE_LOAD,   /* to = lanes elements of buffer at a; b mask (or none), c otherwise */
    CODE_GATHER, /* a: offsets */
    CODE_STORE,  /* buffer at a = b, c mask (or none) */
    CODE_SCATTER,
    CODE_TILE,  /* a tile operation: its number in immediate, its buffer at a */
    CODE_CHECK, /* error code immediate unless a */
    /* Threads of a block. The first three wait for others: see ir/threads.c. */
    CODE_BARRIER,
    CODE_SHUFFLE,    /* to = a of the lane with mask immediate, `lanes` bytes */
    CODE_MMA,        /* to = row immediate of mma.def of fragments a, b, c */
    CODE_COPY_ASYNC, /* `lanes` elements of buffer at a = those of buffer `immediate` at b, zeros unless c (or none) */
    CODE_COMMIT,
    CODE_WAIT, /* immediate: groups that may stay open */
    /* Scalars that index arithmetic and loops are made of, done in place instead of through a row of one lane. */
    CODE_ADD_64,
    CODE_SUB_64,
    CODE_MUL_64,
    CODE_MIN_64,
    CODE_MAX_64,
    CODE_LT_64,
    CODE_LE_64,
    CODE_EQ_64,
    CODE_ADD_F32,
    CODE_SUB_F32,
    CODE_MUL_F32,
    CODE_COUNT
} Opcode;

#define NO_REGISTER UINT32_MAX

typedef struct Instruction {
    uint16_t opcode;
    uint16_t buffer;
    int32_t lanes;
    uint32_t to, a, b, c; /* registers; NO_REGISTER when unused */
    int32_t jump;
    RowFunction *row;
    int64_t immediate;
    const Node *node; /* what it came from, for messages */
} Instruction;

typedef struct CodeBuffer {
    const Node *node;
    int bits;
    bool local;               /* declared by the kernel, shared ones included */
    bool shared;              /* by the threads of a block */
    bool stored;              /* the kernel writes it */
    int64_t elements, offset; /* of locals: extent, and bytes into the locals' (or the shared ones') block */
} CodeBuffer;

struct Code {
    Name name;
    Instruction *instructions;
    int count;
    const uint8_t *image;
    uint32_t image_bytes, frame_bytes;
    uint32_t begin, end, dims; /* registers; dims lie one after the other, 8 bytes each */
    uint32_t tiles;            /* where tile registers begin in the frame, if there are any */
    uint32_t thread;           /* register; NO_REGISTER when nothing asks for it */
    int threads;               /* of a block; 0: a kernel of a CPU */
    int dim_count;
    CodeBuffer *buffers; /* parameters first, then locals */
    int buffer_count, parameter_count;
    int64_t local_bytes, shared_bytes;
    int64_t work; /* of one pass through everything */
    char *message;
};
enum { CODE_MESSAGE_BYTES = 480 };

/* A register before it has its place in the frame. A view names part of another register. */
typedef struct Register {
    uint32_t base;
    int32_t offset, bytes;
    bool pinned;   /* its place is fixed: constants, dims, begin, end */
    bool variable; /* of a `var`: written more than once */
    uint32_t place;
    void *scope;
} Register;

typedef struct Listing {
    Instruction *instructions;
    int count, capacity;
} Listing;

/* ir/interpret.c: interpret_run_with, which also tells the work done when it returns INTERPRET_OK or INTERPRET_LIMIT.
 */
int32_t code_run(const Code *code, void *const *buffers, const uint64_t *buffer_bytes, const int64_t *dims,
                 int64_t begin, int64_t end, int32_t *error, const RunOptions *options, int64_t *work_done);
/* ir/peephole.c: reads of variables without a copy, results written straight into variables. Registers are numbers
 * here. */
void peephole_shorten(Listing *listing, Register *registers, int register_count, Arena *scratch);
/* ir/places.c: gives every register its place, reusing places of dead ones; returns the bytes of the frame. */
uint32_t places_assign(const Listing *listing, Register *registers, int register_count, uint32_t first, Arena *scratch);

#endif
