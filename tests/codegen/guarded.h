/* Memory that no access may leave unseen. Knows nothing of the compiler: the guest of an emulator uses it too. */
#ifndef LATHE_TESTS_CODEGEN_GUARDED_H
#define LATHE_TESTS_CODEGEN_GUARDED_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes between two pages that cannot be touched, next to one of them. */
typedef struct Guarded {
    uint8_t *data, *map;
    uint64_t bytes, map_bytes;
} Guarded;
/* With `at_end` the first byte after the data cannot be touched, else the last byte before it. Exits when there is no
 * memory. */
Guarded guarded_open(uint64_t bytes, bool at_end);
void guarded_close(Guarded *memory);
/* From now on (until told otherwise) writing is a fault. */
void guarded_protect(const Guarded *memory, bool read_only);
/* Are the bytes between the data and the far page as they were? */
bool guarded_intact(const Guarded *memory);

/* Calls `function` and tells whether it ended without touching forbidden memory; *fault: the address otherwise. */
bool run_guarded(void (*function)(void *context), void *context, const void **fault);

#endif
