/* Dependencies between launches: see depend.h.
 *
 * Each launch touches ranges: (space, from, to) with a space per input, output, arena slot. A launch waits for the
 * nearest earlier launches that conflict and that it does not already reach through others. Looking back is bounded:
 * beyond the window a launch waits for the whole program so far, so the work stays linear for graphs of 100,000
 * launches. */
#include "codegen/depend.h"

#include "ir/kernel.h"
#include "passes/access.h"

#include <string.h>

enum { WINDOW = 256 };

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

/* One bit per launch of the window before a launch: those that it waits for, directly or through others. Bit 0 is the
 * one before. */
typedef struct Reach {
    uint64_t bits[WINDOW / 64];
    bool older; /* everything before the window too */
} Reach;

static bool reaches(const Reach *reach, int distance)
{
    return distance > WINDOW ? reach->older : reach->bits[(distance - 1) / 64] >> ((distance - 1) % 64) & 1;
}

static void reach_add(Reach *reach, int distance, const Reach *through)
{
    reach->bits[(distance - 1) / 64] |= (uint64_t)1 << ((distance - 1) % 64);
    for (int far = 1; far + distance <= WINDOW; far++)
        if (reaches(through, far))
            reach->bits[(far + distance - 1) / 64] |= (uint64_t)1 << ((far + distance - 1) % 64);
    reach->older = reach->older || through->older;
}

void launches_depend(Program *program)
{
    Arena *const arena = program->ir->arena;
    const int count = program->launch_count;
    Spans *const spans = NEW_ARRAY(arena, Spans, (size_t)count + 1);
    Reach *const reach = NEW_ARRAY(arena, Reach, (size_t)count + 1);
    for (int i = 0; i < count; i++) {
        ProgramLaunch *const launch = &program->launches[i];
        spans[i] = spans_of(program, launch->kernel);
        launch->deps_first = program->dep_refs.count;
        for (int distance = 1; distance <= WINDOW && distance <= i; distance++) {
            if (reaches(&reach[i], distance) || !conflict(&spans[i], &spans[i - distance]))
                continue;
            int_list_push(arena, &program->dep_refs, i - distance);
            reach_add(&reach[i], distance, &reach[i - distance]);
        }
        /* What lies beyond the window is waited for through a launch at its edge that waits for all before it. */
        if (i >= WINDOW && i % WINDOW == 0) {
            launch->deps_count = 0;
            program->dep_refs.count = launch->deps_first;
            for (int distance = WINDOW; distance >= 1; distance--)
                int_list_push(arena, &program->dep_refs, i - distance);
            memset(reach[i].bits, 0xff, sizeof reach[i].bits);
            reach[i].older = true;
        } else if (i > WINDOW && !reach[i].older) {
            const int edge = i / WINDOW * WINDOW;
            int_list_push(arena, &program->dep_refs, edge);
            reach_add(&reach[i], i - edge, &reach[edge]);
        }
        launch->deps_count = program->dep_refs.count - launch->deps_first;
    }
}
