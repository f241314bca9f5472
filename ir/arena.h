/* Arena: memory of one compilation, given back all at once.
 *
 * arena_alloc zeroes what it returns and never returns NULL: over the byte budget (or when the system has no more) it
 * calls the arena's handler, which must not return. Interned names live in the arena too and compare with ==. Not
 * thread-safe: one arena belongs to one compilation. */
#ifndef LATHE_IR_ARENA_H
#define LATHE_IR_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Arena Arena;
typedef const char *Name; /* interned: equal text is the same pointer within one arena */

/* Called when `wanted` more bytes would exceed `budget`; must not return (longjmp or exit). */
typedef void ArenaHandler(void *context, size_t wanted, size_t budget);

/* budget in bytes, 0 means no limit. handler NULL: prints one line and exits with code 8. */
Arena *arena_open(size_t budget, ArenaHandler *handler, void *context);
void arena_close(Arena *arena);
void *arena_alloc(Arena *arena, size_t bytes); /* zeroed, aligned to 16 */
/* count * size with an overflow check; overflow counts as over budget. */
void *arena_array(Arena *arena, size_t count, size_t size);
void *arena_copy(Arena *arena, const void *bytes, size_t count);
char *arena_format(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vformat(Arena *arena, const char *format, va_list arguments);
size_t arena_used(const Arena *arena);

/* A point to return to: everything allocated after the mark is given back (names interned since then stay). */
typedef struct ArenaMark {
    void *block;
    size_t used;
} ArenaMark;
ArenaMark arena_mark(const Arena *arena);
void arena_reset(Arena *arena, ArenaMark mark);

/* A second arena that counts against the budget of the first and ends with it: for work that marks, allocates and
 * resets while results go to the first. */
Arena *arena_scratch(Arena *arena);

Name name_intern(Arena *arena, const char *text);
Name name_intern_bytes(Arena *arena, const char *text, size_t length);

#define NEW(arena, T)              ((T *)arena_alloc((arena), sizeof(T)))
#define NEW_ARRAY(arena, T, count) ((T *)arena_array((arena), (count), sizeof(T)))

#endif
