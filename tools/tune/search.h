/* Which points of a kernel's space to try next. */
#ifndef LATHE_TOOLS_TUNE_SEARCH_H
#define LATHE_TOOLS_TUNE_SEARCH_H

#include "targets/target.h"
#include "tools/tune/task.h"

typedef enum SearchKind { SEARCH_EVOLUTIONARY, SEARCH_RANDOM, SEARCH_EXHAUSTIVE } SearchKind;

typedef struct Search {
    Ir *ir;
    const TargetMachineInfo *target;
    SearchKind kind;
    uint64_t seed;
    int threads;
    const volatile bool *stop;
} Search;

/* At most `most` points that were not tried, best first by the cost model (random: in random order). The first point of
 * every kernel is what the cost model takes, with all its values: *standard. Returns how many; fewer than `most` when
 * the space (or what was drawn of it) has no more; -1: stopped, or the space cannot be asked. */
int search_propose(const Search *search, const TuneTask *task, Arena *arena, Point *points, int most, Point *standard);

/* How many points the space has, thinned as `exhaustive` walks it; at most `most`. For --dry-run. */
int64_t search_count(const Search *search, const TuneTask *task, Arena *arena, int64_t most);

#endif
