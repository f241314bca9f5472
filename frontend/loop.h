/* Loops of any kind - Loop, Scan, SequenceMap - as one: what happens in an iteration is the caller's to say. */
#ifndef LATHE_FRONTEND_LOOP_H
#define LATHE_FRONTEND_LOOP_H

#include "frontend/importer.h"

typedef struct LoopDraft LoopDraft;
/* One iteration: `condition` and `carried` are given and replaced by what the iteration makes of them, `parts` are
 * filled in. False after a diagnostic. May be called several times. */
typedef bool LoopIterate(const LoopDraft *draft, const Context *inside, Node *iteration, Node **condition,
                         Node **carried, Node **parts);

struct LoopDraft {
    const Control *control;
    LoopIterate *iterate;
    const void *data;         /* of `iterate` */
    Node *trip;               /* the number of iterations, an i64; omitted: no limit */
    Node *condition;          /* a bool; omitted: true */
    int condition_rank;       /* what an iteration takes it as */
    size_t carried, parts;    /* values from iteration to iteration; values of which every iteration gives a part */
    Node *const *initial;     /* the carried ones */
    const int64_t *axes;      /* along which the parts are put side by side; NULL: 0 */
    const int64_t *backwards; /* the last part first? NULL: no */
    Node **outputs;           /* carried and parts, to be filled in */
};

typedef enum Unrolled { UNROLL_DONE, UNROLL_FAILED, UNROLL_NOT } Unrolled;
/* Fills in the outputs when the number of iterations is known and small and so is the body; nothing is left of it when
 * not. */
Unrolled loop_unroll(const LoopDraft *draft);
/* Unrolls the loop where that is possible and pays, else makes a Loop. */
bool loop_run(const LoopDraft *draft);

#endif
