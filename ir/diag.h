/* Diagnostics: what is wrong with the model or the command, said once, with file, node and numbers.
 *
 * Three kinds of wrong, three mechanisms: the model or user is wrong -> diag_error, which records and returns false;
 * we are wrong -> BUG, which prints the breadcrumb and leaves with code 70; a run goes wrong -> a code of the runtime.
 */
#ifndef LATHE_IR_DIAG_H
#define LATHE_IR_DIAG_H

#include "ir/arena.h"

#include <stdbool.h>
#include <stdio.h>

/* Exit codes of the lathe program (public, they stay). */
enum {
    EXIT_OK = 0,
    EXIT_NEGATIVE = 1,
    EXIT_USAGE = 2,
    EXIT_UNSUPPORTED = 3,
    EXIT_MALFORMED = 4,
    EXIT_IO = 5,
    EXIT_BACKEND = 6,
    EXIT_DEVICE = 7,
    EXIT_LIMIT = 8,
    EXIT_INTERNAL = 70,
};

/* Where something stands in the user's model. Any field may be NULL or 0. */
typedef struct Where {
    Name file; /* model file as the user named it */
    Name node; /* ONNX node name */
    Name op;   /* ONNX operator type */
    int opset; /* version of the operator's domain */
    int line;  /* in text IR: 1-based line and column instead */
    int column;
} Where;

typedef enum Severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE, SEVERITY_HINT } Severity;

typedef struct Diagnostic {
    Severity severity;
    int code; /* exit code that an error stands for */
    const char *text;
    struct Diagnostic *next;
} Diagnostic;

typedef struct Diagnostics {
    Arena *arena;
    Diagnostic *first, *last;
    int error_count;
    int code; /* exit code of the first error, 0 when there is none */
} Diagnostics;

Diagnostics *diagnostics_open(Arena *arena);
/* Records an error and returns false, so that reporting and leaving are one line. `where` may be NULL. */
bool diag_error(Diagnostics *diagnostics, int code, const Where *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void diag_warning(Diagnostics *diagnostics, const Where *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A note or hint belongs to the diagnostic before it. */
void diag_note(Diagnostics *diagnostics, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diag_hint(Diagnostics *diagnostics, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Forgets what was recorded after the first error beyond `errors` of them, but for its notes: for steps whose parts
 * report each in its turn what is one mistake. */
void diag_keep_first(Diagnostics *diagnostics, int errors);
/* Prints everything recorded, one line each, control characters and invalid UTF-8 escaped, long names cut. */
void diag_print(const Diagnostics *diagnostics, FILE *file, bool color);
/* `text` with control characters escaped and cut to `limit` bytes, in the arena: for user names in messages. */
const char *diag_quote(Arena *arena, const char *text, size_t limit);

/* What the program is doing, for BUG and crash handlers: thread-local, static strings or arena names only. */
void breadcrumb(const char *pass, const char *node);
void breadcrumb_read(const char **pass, const char **node); /* of this thread; NULL: none */
_Noreturn void bug_at(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)

#endif
