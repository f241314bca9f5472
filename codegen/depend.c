/* Dependencies between launches: see depend.h.
 *
 * Each launch touches ranges: (space, from, to) with a space per input, output, arena slot. A launch waits for the
 * nearest earlier launches that conflict and that are not done anyway when it starts. Looking back is bounded: beyond
 * the window a launch waits for the whole program so far, so the work stays linear for graphs of 100,000 launches.
 *
 * For near launches a range says which of their units a unit waits for, where sizes are known and what units touch can
 * be followed (reach.h). It follows from such a wait that all is done that any unit of the earlier launch has waited
 * for as a whole, but not that the earlier launch is. */
#include "codegen/depend.h"

#include "codegen/reach.h"
#include "ir/kernel.h"
#include "passes/access.h"

#include <math.h>
#include <string.h>

enum { WINDOW = 256, NEAR = 8, RANGES_MOST = 4096 };

typedef struct Span {
    int space;
    int64_t from, to;
    bool write;
} Span;

typedef struct Spans {
    Span *spans;
    int count;
} Spans;

static Span span_of(const Program *program, Node *buffer, bool write)
{
    Node *const root = buffer_root(buffer);
    const Buffer *const memory = root->payload.buffer;
    int64_t elements, bytes = INT64_MAX / 2;
    if (memory->place == PLACE_TEMP && program->compilation->slot_count == 0 &&
        const_is_int(layout_elements(program->ir, root), &elements))
        bytes = (elements * dtype_info[root->type.dtype].bits + 7) / 8;
    const int group = memory->place * (1 << 24);
    if (memory->place != PLACE_TEMP)
        return (Span){group + memory->number, 0, bytes, write};
    return (Span){group + memory->slot, memory->offset, memory->offset + bytes, write};
}

static Spans spans_of(const Program *program, const Node *kernel)
{
    const int buffers = kernel_buffer_count(kernel);
    Spans spans = {NEW_ARRAY(program->ir->arena, Span, (size_t)buffers + 1), 0};
    for (int i = 0; i < buffers; i++)
        if (buffer_root(kernel->inputs[i])->payload.buffer->place != PLACE_WEIGHT)
            spans.spans[spans.count++] = span_of(program, kernel->inputs[i], kernel_writes(kernel, kernel->inputs[i]));
    return spans;
}

static bool conflict(const Spans *a, const Spans *b)
{
    for (int i = 0; i < a->count; i++)
        for (int j = 0; j < b->count; j++) {
            const Span *const left = &a->spans[i], *const right = &b->spans[j];
            if (left->space == right->space && (left->write || right->write) && left->from < right->to &&
                right->from < left->to)
                return true;
        }
    return false;
}

/* One bit per launch of the window before a launch, bit 0 for the one before: launches that are done as a whole. */
typedef struct Done {
    uint64_t bits[WINDOW / 64];
    bool older; /* everything before the window too */
} Done;

static bool is_done(const Done *done, int distance)
{
    return distance > WINDOW ? done->older : done->bits[(distance - 1) / 64] >> ((distance - 1) % 64) & 1;
}

static void done_add(Done *done, int distance)
{
    done->bits[(distance - 1) / 64] |= (uint64_t)1 << ((distance - 1) % 64);
}

/* What is done for the launch so far away is done. */
static void done_through(Done *done, int distance, const Done *through)
{
    for (int far = 1; far + distance <= WINDOW; far++)
        if (is_done(through, far))
            done_add(done, far + distance);
    done->older = done->older || through->older;
}

typedef struct Depender {
    Program *program;
    Arena *arena;
    Spans *spans;
    Done *before;    /* per launch: what is done when any of its units starts */
    Done *after;     /* ... and when all of its units are done */
    Reach **reaches; /* per kernel and level */
    bool ranges;
} Depender;

/* ---- ranges ---- */

static int64_t launch_units(const Program *program, int launch, int level)
{
    int64_t units;
    return const_is_int(program->values[program->launches[launch].units_value[level]], &units) ? units : -1;
}

/* Sizes and units must be numbers, and the machine one of threads. */
static bool has_ranges(const Program *program)
{
    if (program->compilation->slot_count || program->launch_count > RANGES_MOST)
        return false;
    for (int level = 0; level < program->level_count; level++) {
        if (program->levels[level]->gpu || program->levels[level]->family->system == SYSTEM_FREESTANDING)
            return false;
        for (int i = 0; i < program->launch_count; i++)
            if (launch_units(program, i, level) < 1)
                return false;
    }
    return true;
}

static const Reach *launch_reach(Depender *depender, int launch, int level)
{
    const Program *const program = depender->program;
    const int kernel = program->launches[launch].index;
    Reach **const reach = &depender->reaches[kernel * program->level_count + level];
    if (!*reach)
        *reach =
            kernel_reach(program->ir, program->kernels[kernel].scheduled[level], launch_units(program, launch, level));
    return *reach;
}

static const ProgramBuffer *launch_buffer(const Program *program, const ProgramLaunch *launch, int buffer)
{
    return &program->buffers[program->buffer_refs.items[launch->buffers_first + buffer]];
}

/* Units u of the earlier launch that touch, at `earlier` + base, what unit v of the later one does, as a line over v:
 * they begin before its end and end behind its begin, all in whole bytes. */
static Reach pair_range(Reach earlier, Reach later, double base, double last)
{
    later = later.slope < 0 ? reach_sloped(later, 0, last) : later;
    if (!(earlier.slope > 0) || isinf(earlier.low) || isinf(earlier.high) || isinf(later.low) || isinf(later.high))
        return (Reach){0, -INFINITY, INFINITY};
    return (Reach){later.slope / earlier.slope, (later.low + 1 - base - earlier.high) / earlier.slope,
                   (later.high - 1 - base - earlier.low) / earlier.slope};
}

/* Which units of launch `other` those of `launch` wait for. False: all of them. */
static bool launch_range(Depender *depender, int launch, int other, int level, Reach *range)
{
    const Program *const program = depender->program;
    const ProgramLaunch *const row = &program->launches[launch], *const before = &program->launches[other];
    const Reach *const later = launch_reach(depender, launch, level), *const earlier =
                                                                          launch_reach(depender, other, level);
    const double last = (double)launch_units(program, launch, level) - 1;
    *range = (Reach){0, INFINITY, -INFINITY};
    for (int i = 0; i < row->buffers_count; i++)
        for (int j = 0; j < before->buffers_count; j++) {
            const ProgramBuffer *const a = launch_buffer(program, row, i), *const b = launch_buffer(program, before, j);
            const bool writes = kernel_writes(row->kernel, row->kernel->inputs[i]) ||
                                kernel_writes(before->kernel, before->kernel->inputs[j]);
            if (!writes || a->place != b->place || a->index != b->index || later[i].low > later[i].high ||
                earlier[j].low > earlier[j].high)
                continue;
            const Reach pair = pair_range(earlier[j], later[i], (double)(b->offset - a->offset), last);
            const double most = (double)launch_units(program, other, level) - 1;
            if (fmin(pair.low, pair.slope * last + pair.low) > most ||
                fmax(pair.high, pair.slope * last + pair.high) < 0)
                continue; /* they never meet */
            *range = range->low > range->high ? pair : reach_united(*range, pair, last);
        }
    const double first = fmax(range->low, range->slope * last + range->low);
    const double end = fmin(range->high, range->slope * last + range->high);
    return range->low <= range->high && (first > 0 || end < (double)launch_units(program, other, level) - 1);
}

/* Does every unit of the earlier launch belong to the range of some unit of the later one? */
static bool range_covers(const Program *program, Reach range, int launch, int other, int level)
{
    const double last = (double)launch_units(program, launch, level) - 1;
    const double most = (double)launch_units(program, other, level) - 1;
    return range.low <= 0 && range.slope * last + range.high >= most && range.slope <= range.high - range.low;
}

/* ---- waits ---- */

/* The range goes with the newest entry of dep_refs; NULL: the whole launch. */
static void range_push(Depender *depender, const Reach *ranges)
{
    static const Reach whole = {0, -1, 1e18};
    Program *const program = depender->program;
    const int levels = program->level_count, number = program->dep_refs.count - 1;
    if (program->dep_refs.capacity > program->range_capacity) {
        Reach *const grown = NEW_ARRAY(depender->arena, Reach, (size_t)program->dep_refs.capacity * (size_t)levels);
        if (number)
            memcpy(grown, program->dep_ranges, (size_t)(number * levels) * sizeof *grown);
        program->dep_ranges = grown;
        program->range_capacity = program->dep_refs.capacity;
    }
    for (int level = 0; level < levels; level++)
        program->dep_ranges[number * levels + level] = ranges ? ranges[level] : whole;
}

static void wait_for_all(Depender *depender, int launch, int distance)
{
    int_list_push(depender->arena, &depender->program->dep_refs, launch - distance);
    if (depender->ranges)
        range_push(depender, NULL);
    done_add(&depender->before[launch], distance);
    done_through(&depender->before[launch], distance, &depender->after[launch - distance]);
}

static void wait_for(Depender *depender, int launch, int distance)
{
    const Program *const program = depender->program;
    const int other = launch - distance;
    Reach ranges[LEVELS_MAX];
    bool apart = depender->ranges && distance <= NEAR, covers = true;
    for (int level = 0; level < program->level_count && apart; level++) {
        apart = launch_range(depender, launch, other, level, &ranges[level]);
        covers = covers && apart && range_covers(program, ranges[level], launch, other, level);
    }
    if (!apart) {
        wait_for_all(depender, launch, distance);
        return;
    }
    int_list_push(depender->arena, &depender->program->dep_refs, other);
    range_push(depender, ranges);
    done_through(&depender->before[launch], distance, &depender->before[other]);
    if (covers) {
        done_add(&depender->after[launch], distance);
        done_through(&depender->after[launch], distance, &depender->after[other]);
    }
}

static void done_join(Done *done, const Done *other)
{
    for (int i = 0; i < WINDOW / 64; i++)
        done->bits[i] |= other->bits[i];
    done->older = done->older || other->older;
}

static void launch_depend(Depender *depender, int i)
{
    Program *const program = depender->program;
    ProgramLaunch *const launch = &program->launches[i];
    launch->deps_first = program->dep_refs.count;
    /* What lies beyond the window is waited for through a launch at its edge that waits for all before it. */
    if (i >= WINDOW && i % WINDOW == 0) {
        for (int distance = WINDOW; distance >= 1; distance--)
            wait_for_all(depender, i, distance);
        depender->before[i].older = true;
    } else {
        for (int distance = 1; distance <= WINDOW && distance <= i; distance++)
            if (!is_done(&depender->before[i], distance) &&
                conflict(&depender->spans[i], &depender->spans[i - distance]))
                wait_for(depender, i, distance);
        if (i > WINDOW && !depender->before[i].older)
            wait_for_all(depender, i, i - i / WINDOW * WINDOW);
    }
    done_join(&depender->after[i], &depender->before[i]);
    launch->deps_count = program->dep_refs.count - launch->deps_first;
}

void launches_depend(Program *program)
{
    Arena *const arena = program->ir->arena;
    const int count = program->launch_count;
    const size_t kernels = (size_t)program->kernel_count * (size_t)program->level_count;
    Depender depender = {.program = program,
                         .arena = arena,
                         .spans = NEW_ARRAY(arena, Spans, (size_t)count + 1),
                         .before = NEW_ARRAY(arena, Done, (size_t)count + 1),
                         .after = NEW_ARRAY(arena, Done, (size_t)count + 1),
                         .reaches = NEW_ARRAY(arena, Reach *, kernels + 1),
                         .ranges = has_ranges(program)};
    for (int i = 0; i < count; i++) {
        depender.spans[i] = spans_of(program, program->launches[i].kernel);
        launch_depend(&depender, i);
    }
}
