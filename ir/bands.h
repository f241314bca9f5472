/* Roles of the stages of a block of a mobile network: a product with every position alone (expand), a sum over a window
 * of each channel (depthwise), a product again (project). Pass `block` merges such kernels, the block template runs
 * them band by band. Expand or project may be missing. */
#ifndef LATHE_IR_BANDS_H
#define LATHE_IR_BANDS_H

#include "ir/windowindex.h"

typedef struct DepthwiseRoles {
    Node *stage, *contract;
    Node *at, *weights; /* what is read at each position (f32), without its guard; what it is multiplied with */
    int side;           /* which input of the contraction is read at positions */
    Node *channel;      /* the output axis that is also the position's channel */
    /* Rows, columns: the last two indices of `at`, the channel is the one before. The rest of an index is its offset,
     * and what is not within 0..ins-1 is zero. */
    WindowIndex way[2];
    int64_t offset[2], ins[2];
} DepthwiseRoles;

/* Is the stage such a sum, with extents that are known and borders of zeros? */
bool depthwise_match(Ir *ir, Node *stage, DepthwiseRoles *roles);
/* Is the stage a sum over windows of all channels, as a first layer is, whose rows may be made one by one? The channel
 * is a reduced axis then, or 0. */
bool expanding_window_match(Ir *ir, Node *stage, DepthwiseRoles *roles);

/* Bytes of f32 that a band of `rows` output rows needs at once: the positions that it reads and those that it leaves.
 */
int64_t depthwise_band_bytes(const DepthwiseRoles *roles, int64_t rows);

typedef struct BandRoles {
    Node *expand, *project; /* stages, NULL: missing */
    DepthwiseRoles depthwise;
    Node *batch; /* the first axis of all stages */
} BandRoles;

/* Is the kernel such a block, made by pass `block`: stages that share their first axis, each reading what the one
 * before left in a local buffer [channel, row, column]? */
bool bands_match(Ir *ir, const Node *kernel, BandRoles *roles);
/* Does the value of `stage` take every element of `from` from the stage's own position: rows and columns are those that
 * the stage stores at? */
bool stage_reads_own_position(Ir *ir, const Node *stage, const Node *from);

#endif
