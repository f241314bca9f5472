/* What validate compares, and what it found: shared by the verb, its texts, and reduce. */
#ifndef LATHE_TOOLS_VALIDATE_H
#define LATHE_TOOLS_VALIDATE_H

#include "tools/difference.h"
#include "tools/interpreted.h"
#include "tools/session.h"

/* One value that was compared. */
typedef struct Verdict {
    Name name;
    const Where *where; /* of the node that makes it; NULL: an output of the model as it is compiled */
    const char *type;   /* "f32[1,3,N]" */
    const char *kinds;  /* NULL: type and shape are the reference's; else what is wrong with them */
    Difference difference;
    int input_count;
    const Name *inputs;
    const char **input_texts; /* "x: f32[2,2]  min 0 ...": of those that were there; NULL where it is not known */
} Verdict;
static inline bool verdict_wrong(const Verdict *verdict)
{
    return verdict->kinds || verdict->difference.beyond > 0;
}

typedef struct Validation {
    const Options *options;
    const char *path; /* of the model */
    Bound bound;
    const char *reference; /* folder; NULL: the interpreter */
    int verdict_count, verdict_capacity;
    Verdict *verdicts;    /* in the order of the nodes */
    const Verdict *first; /* the first that is wrong; NULL: none */
    int skipped;          /* values without a reference */
} Validation;

/* Reads the options; always to be followed by the others. */
bool validation_open(Validation *validation, const Options *options, const char *path);
/* Compares the model's outputs; false after a diagnostic (that something is wrong is none). */
bool validation_outputs(Validation *validation);
/* Compares every value between the nodes, until one is wrong. */
bool validation_nodes(Validation *validation);

#endif
