/* What is said between a test and the guest that calls kernels for it in an emulator: one request, one answer, in turn.
 * All numbers are 64 bits, little-endian; machines with other sizes of pointers agree.
 *
 * A request: CallRequest, a CallMemory for each memory, the number of its memory for each buffer, dims, pieces; then
 * the contents of every memory. The answer: CallAnswer, then the contents of the memories that are not read-only. */
#ifndef LATHE_TESTS_CROSS_CALL_H
#define LATHE_TESTS_CROSS_CALL_H

#include <stdint.h>

enum { CALL_GOOD, CALL_FAULT, CALL_OUTSIDE, CALL_MEMORIES_MOST = 128, CALL_LISTS_MOST = 1024 };

typedef struct CallRequest {
    uint64_t kernel; /* into the table of the library */
    uint64_t memories, buffers, dims, pieces, scratch;
} CallRequest;

typedef struct CallMemory {
    uint64_t bytes, read_only, at_end;
} CallMemory;

/* Units [from, to). */
typedef struct CallPiece {
    int64_t from, to;
} CallPiece;

typedef struct CallAnswer {
    uint64_t verdict; /* CALL_* */
    uint64_t memory;  /* where: its number, or the count of memories for scratch */
    int64_t offset;   /* of a fault from the start of that memory */
    int64_t error;    /* what the kernel said */
} CallAnswer;

#endif
