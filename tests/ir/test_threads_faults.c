/* links: lathe_ir */
/* Kernels of threads with a planted fault: each ends with an error that names it, in whatever order the threads run. */
#include "tests/ir/threads.h"

typedef struct Fault {
    const char *base, *from, *to; /* the first `from` of the program becomes `to` */
    int ends[3];         /* how it may end: which of two accesses that conflict comes first depends on the seed */
    const char *message; /* part of the message when it ends with ends[0] */
} Fault;
#define SMALL(text) SUM_HEAD text "    }\n}\n"
static const Fault faults[] = {
    /* copies land, but others read them without a barrier */
    {product_text,
     "                barrier\n                for %k",
     "                for %k",
     {INTERPRET_UNWRITTEN, INTERPRET_POISONED, INTERPRET_RACE},
     "never written, or by another thread with no barrier between"},
    /* the next copies overwrite what others still read */
    {product_text,
     "                }\n                barrier\n            }\n",
     "                }\n            }\n",
     {INTERPRET_RACE, INTERPRET_POISONED, INTERPRET_UNWRITTEN},
     "missing barrier: element"},
    {product_text, "copy_wait 1", "copy_wait 2", {INTERPRET_POISONED}, "no copy_wait of that thread has covered it"},
    {product_text,
     "                copy_commit\n",
     "",
     {INTERPRET_POISONED},
     "no copy_wait of that thread has covered it"},
    {product_text, "                copy_wait 1\n", "", {INTERPRET_POISONED}, "is still on its way to"},
    {product_text, "4*%thread %a", "4*%thread+2 %a", {INTERPRET_RANGE}, "which is no multiple of them"},
    {product_text,
     "(mul (mod %thread-32 4) 4)) 4",
     "(mul (mod %thread-32 4) 4) 3008) 4",
     {INTERPRET_RANGE},
     "copy_async of 4 elements at offset"},
    /* all blocks write the first tile */
    {product_text,
     "store %c (add (mul (add %r (floordiv %thread 4)) 64) %q",
     "store %c (add (mul (floordiv %thread 4) 64)",
     {INTERPRET_RACE},
     "two blocks touch element"},
    {sum_text, "        barrier\n", "", {INTERPRET_RACE, INTERPRET_UNWRITTEN}, "missing barrier: element"},
    {sum_text, "%m mask (eq (mod %thread 32) 0)", "%m", {INTERPRET_RACE}, "missing barrier: element"},
    {sum_text,
     "store %y %begin",
     "store %y 0",
     {INTERPRET_RACE},
     "two blocks touch element 0 of buffer y in one launch: store (line 30) by thread 0 of block"},
    {sum_text,
     "        barrier\n",
     "        if (lt %thread 64) {\n barrier\n }\n",
     {INTERPRET_DIVERGED},
     "waits at barrier"},
    {sum_text,
     "        barrier\n",
     "        if (lt %thread 64) {\n barrier\n } else {\n barrier\n }\n",
     {INTERPRET_DIVERGED},
     "waits at barrier"},
    {sum_text,
     "            %q = (shuffle 4 %p)\n",
     "            %q = (shuffle 4 %p)\n            if (ne %thread 9) {\n                %qq = (shuffle 4 %p)\n         "
     "   }\n",
     {INTERPRET_DIVERGED},
     NULL},
    {half_text,
     "            %s = (get %sum)\n            %d = (mma m16n8k16.f16.f32 (join %a0 %a1 %a2 %a3) (join %b0 %b1 %b2 "
     "%b3) %s)\n",
     "            %s = (get %sum)\n            var %e = %s\n            if (ne %thread 5) {\n"
     "                %f = (mma m16n8k16.f16.f32 (join %a0 %a1 %a2 %a3) (join %b0 %b1 %b2 %b3) %s)\n                "
     "set %e %f\n            }\n"
     "            %d = (get %e)\n",
     {INTERPRET_DIVERGED},
     "lanes of its warp"},
    {half_text,
     "            barrier\n",
     "",
     {INTERPRET_UNWRITTEN, INTERPRET_POISONED, INTERPRET_RACE},
     "never written, or by another thread with no barrier between"},
    /* a read after a write, a write after a read, a write after a write */
    {SMALL("store %part (mod %thread 8) 0:f32 mask (lt %thread 8) barrier store %part (mod %thread 8) 1:f32 mask (lt "
           "%thread 8) %v = (read f32 %part 7) store %y 0 %v mask (eq "
           "256*%begin+%thread 7)\n"),
     "",
     "",
     {INTERPRET_RACE, INTERPRET_UNWRITTEN},
     "missing barrier: element 7 of shared buffer part: "},
    {SMALL("store %part 7 1:f32 mask (eq %thread 7) barrier %v = (read f32 %part 7) store %part 7 %v mask (eq %thread "
           "3)\n"),
     "",
     "",
     {INTERPRET_RACE},
     "missing barrier: element 7 of shared buffer part: "},
    {SMALL("store %part 7 1:f32 mask (eq %thread 7) store %part 7 2:f32 mask (eq %thread 3)\n"),
     "",
     "",
     {INTERPRET_RACE},
     "missing barrier: element 7 of shared buffer part: store (line 6) by thread"},
    /* a shuffle orders registers of a warp, not shared memory */
    {SMALL("store %part 0 0:f32 mask (eq %thread 0) barrier store %part 0 1:f32 mask (eq %thread 0) %w = (shuffle 1 "
           "1:f32) %v = (read f32 %part 0) store %y 0 %v mask "
           "(eq 256*%begin+%thread 1)\n"),
     "",
     "",
     {INTERPRET_RACE, INTERPRET_UNWRITTEN},
     "missing barrier: element 0 of shared buffer part: "},
    /* memory of the model inside a block */
    {SMALL("if (eq %begin 0) { store %y 3 1:f32 mask (eq %thread 7) %v = (read f32 %y 3) store %y 4 %v mask (eq "
           "%thread 5) }\n"),
     "",
     "",
     {INTERPRET_RACE},
     "missing barrier: element 3 of buffer y: "},
    /* one block reads what another writes */
    {SMALL("store %y %begin 1:f32 mask (eq %thread 7) barrier if (eq %thread 7) { %v = (read f32 %y 0) store %part 0 "
           "%v }\n"),
     "",
     "",
     {INTERPRET_RACE},
     "two blocks touch element 0 of buffer y"},
    {SMALL("%v = (read f32 %part %thread (lt %thread 1) 0:f32) store %y %begin %v mask (eq %thread 0)\n"),
     "",
     "",
     {INTERPRET_UNWRITTEN},
     "of 8 elements (thread 0 of block"},
    /* what an earlier block left is not there for the next */
    {SMALL("if (eq %begin 3) { store %part 0 1:f32 mask (eq %thread 0) } %v = (read f32 %part 0 (eq %thread 0) "
           "0:f32) store %y %begin %v mask (eq %thread 0)\n"),
     "",
     "",
     {INTERPRET_UNWRITTEN},
     "reads what was never written"},
    {SMALL("store %part (cast index (load f32 %x 256*%begin+%thread)) 0:f32 mask (eq %thread 200)\n"),
     "",
     "",
     {INTERPRET_RANGE},
     "store of 1 elements at offset"},
    {SMALL("for %i in 0 .. 2 { copy_async %part 0 %x 4*%i mask (eq %thread 0) 4 }\n"),
     "",
     "",
     {INTERPRET_POISONED},
     "is still on its way to"},
    /* scratch of one thread */
    {"buffer %y : f32[8] output 0 \"y\" kernel k (%y) units 1 threads 32 { local %l : f32[4] body {\n"
     "store %l (mod %thread 4) 1:f32 %v = (read f32 %l 2) store %y 0 %v mask (eq %thread 0) } }",
     "",
     "",
     {INTERPRET_UNWRITTEN},
     "of buffer l reads what was never written"},
};

static bool may_end(const Fault *fault, int32_t ended)
{
    for (int i = 0; i < 3; i++)
        if (fault->ends[i] && fault->ends[i] == ended)
            return true;
    return false;
}

/* Memory for any of the programs, by the parameters' types. */
static float memory[8][4096];

static int32_t fault_run(const Loaded *loaded, int64_t blocks, uint64_t seed)
{
    void *buffers[8];
    uint64_t bytes[8];
    for (uint32_t i = 0; i < loaded->kernel->input_count; i++) {
        const Type type = loaded->kernel->inputs[i]->type;
        int64_t elements = 1, dim;
        for (int j = 0; j < type.rank && const_is_int(type.dims[j], &dim); j++)
            elements *= dim;
        buffers[i] = memory[i];
        bytes[i] = (uint64_t)elements * (uint64_t)dtype_info[type.dtype].bits / 8;
        if (type.dtype == DTYPE_F32)
            sum_fill(memory[i]);
        else
            memset(memory[i], 0, sizeof memory[i]);
    }
    return run(loaded, buffers, bytes, blocks, seed);
}

Test(threads_faults, planted_faults_are_reported_for_every_seed)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const Fault *const fault = &faults[i];
        Arena *const arena = arena_open(0, NULL, NULL);
        const char *const text = *fault->from ? replaced(arena, fault->base, fault->from, fault->to) : fault->base;
        const Loaded loaded = load(text);
        int64_t units;
        cr_assert(const_is_int(loaded.kernel->payload.kernel->units, &units));
        int first = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            const int32_t ended = fault_run(&loaded, units, (uint64_t)seed);
            cr_expect(may_end(fault, ended), "fault %zu, seed %d: %d, %s", i, seed, ended,
                      interpret_message(loaded.code));
            if (ended != fault->ends[0])
                continue;
            first++;
            if (fault->message)
                cr_expect_not_null(strstr(interpret_message(loaded.code), fault->message), "fault %zu, seed %d: %s", i,
                                   seed, interpret_message(loaded.code));
        }
        cr_expect_gt(first, 0, "fault %zu never ended as it mostly should:\n%s", i, text);
        arena_close(loaded.arena);
        arena_close(arena);
    }
}
