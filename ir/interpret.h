/* The interpreter of scheduled kernels: the oracle that every target must equal, bit for bit.
 *
 * A kernel's body is translated once into a flat list of instructions over registers (ir/machine.h); running it neither
 * recurses nor allocates in loops, and every access is checked against the size of its buffer. */
#ifndef LATHE_IR_INTERPRET_H
#define LATHE_IR_INTERPRET_H

#include "ir/ir.h"

/* How a run ended. Positive codes never occur; a failed `check` of the kernel is no failure of the run, see `error`
 * below. */
enum {
    INTERPRET_OK = 0,
    INTERPRET_RANGE = -1,     /* an access outside its buffer */
    INTERPRET_UNWRITTEN = -2, /* a local element was read before it was written (RunOptions.detect_unwritten) */
    INTERPRET_LIMIT = -3,     /* more work than RunOptions.work_limit */
    INTERPRET_STEP = -4,      /* a loop whose step is not positive */
    INTERPRET_MEMORY = -5,    /* no memory for registers, locals or buffers */
    INTERPRET_MODULE = -6,    /* the module cannot run: a kernel without body, an extent that has no value */
    INTERPRET_RACE = -7,      /* two threads touch an element and no barrier stands between, or two blocks */
    INTERPRET_POISONED = -8,  /* an asynchronous copy to the element is still under way */
    INTERPRET_DIVERGED = -9, /* not all threads of a block come to a barrier, not all lanes to an operation of a warp */
};

typedef struct RunOptions {
    int64_t work_limit;    /* of a run, or of a whole module, in units of about one scalar instruction; 0: none */
    int64_t *work_done;    /* interpret_module with a limit: where to add what was done of it; may be NULL */
    bool detect_unwritten; /* keep a bit per element of local buffers */
    int chunks;            /* interpret_module: into how many chunks each kernel is cut at most; 0: one */
    uint64_t seed;         /* of the order in which the threads and blocks of a kernel of threads run */
    bool ignore_races;     /* do not watch memory that threads or blocks share, nor asynchronous copies */
} RunOptions;

typedef struct Code Code;

/* Translates the body of a scheduled kernel; the code belongs to the Ir's arena. BUG when the body breaks the rules of
 * core.def. */
Code *interpret_compile(Ir *ir, Node *kernel);
/* Runs units begin..end-1; of a kernel of threads these are blocks of one launch. buffers and buffer_bytes: one per
 * buffer among the kernel's inputs, dims: one per symbol among them, in order. *error: set to the code of the first
 * failing `check` if it was 0. Returns INTERPRET_OK or how the run ended early. */
int32_t interpret_run(const Code *code, void *const *buffers, const uint64_t *buffer_bytes, const int64_t *dims,
                      int64_t begin, int64_t end, int32_t *error);
int32_t interpret_run_with(const Code *code, void *const *buffers, const uint64_t *buffer_bytes, const int64_t *dims,
                           int64_t begin, int64_t end, int32_t *error, const RunOptions *options);
/* What the last failed run of this code says: kernel, operation, offset and size. Belongs to the code. */
const char *interpret_message(const Code *code);

/* ---- whole modules ---- */

typedef struct SymbolValue {
    const Node *symbol;
    int64_t value;
} SymbolValue;

/* The value of an index expression over constants and symbols. INT64_MIN when a symbol has no value, something else
 * stands in it, or the value does not fit 64 bits. */
int64_t index_evaluate(Node *node, const SymbolValue *symbols, int count);

typedef struct Memory {
    void *data;
    uint64_t bytes;
} Memory;

/* Runs the kernels of a module in order over its buffers, temporaries living from first to last use. inputs and
 * outputs: by the numbers of their buffers, at least as large as the buffers' extents. A failure is told through the
 * Ir's diagnostics and returned; *error as in interpret_run. */
int32_t interpret_module(Ir *ir, const Module *module, const Memory *inputs, const Memory *outputs,
                         const SymbolValue *symbols, int symbol_count, const RunOptions *options, int32_t *error);

#endif
