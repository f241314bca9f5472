/* A script as text, for people and golden tests: bodies with their steps, then the regions as graphs. Nothing reads it
 * back. */
#include "ir/print.h"
#include "ir/script.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct Lines {
    Arena *arena;
    char *text;
    size_t length, capacity;
} Lines;

static void add(Lines *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(Lines *lines, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *const piece = arena_vformat(lines->arena, format, arguments);
    va_end(arguments);
    const size_t length = strlen(piece);
    if (lines->length + length + 1 > lines->capacity) {
        lines->capacity = 2 * (lines->length + length) + 256;
        char *const text = arena_alloc(lines->arena, lines->capacity);
        if (lines->length)
            memcpy(text, lines->text, lines->length);
        lines->text = text;
    }
    memcpy(lines->text + lines->length, piece, length + 1);
    lines->length += length;
}

static void add_slots(Lines *lines, const int *slots, int count)
{
    for (int i = 0; i < count; i++) {
        if (slots[i] == SLOT_NONE)
            add(lines, "%s-", i ? " " : "");
        else
            add(lines, "%ss%d", i ? " " : "", slots[i]);
    }
}

static void add_binds(Lines *lines, const ScriptBind *binds, int count)
{
    for (int i = 0; i < count; i++)
        add(lines, "    %s = %s %d of s%d\n", print_expression(lines->arena, binds[i].symbol),
            binds[i].element ? "element" : "dim", binds[i].position, binds[i].slot);
}

static void add_step(Lines *lines, const Step *step)
{
    add(lines, "  (");
    add_slots(lines, step->outputs, step->output_count);
    add(lines, ") = ");
    if (step->kind == STEP_REGION)
        add(lines, "region %d", step->target);
    else if (step->kind == STEP_IF)
        add(lines, "if body %d else body %d", step->target, step->target + 1);
    else if (step->kind == STEP_LOOP)
        add(lines, "loop body %d", step->target);
    else
        add(lines, "%s", step->host ? step->host : "copy");
    add(lines, " (");
    add_slots(lines, step->inputs, step->input_count);
    add(lines, ")");
    if (step->end_count)
        add(lines, " ends ");
    add_slots(lines, step->ends, step->end_count);
    add(lines, "\n");
    add_binds(lines, step->binds, step->bind_count);
}

const char *print_script(Arena *arena, const Script *script, size_t *length)
{
    Lines lines = {.arena = arena};
    for (int i = 0; i < script->body_count; i++) {
        const ScriptBody *const body = &script->bodies[i];
        add(&lines, "body %d (", i);
        add_slots(&lines, body->inputs, body->input_count);
        add(&lines, ")\n");
        add_binds(&lines, body->binds, body->bind_count);
        for (int j = 0; j < body->step_count; j++)
            add_step(&lines, &body->steps[j]);
        add(&lines, "  gives (");
        add_slots(&lines, body->outputs, body->output_count);
        add(&lines, ")\n");
    }
    for (int i = 0; i < script->slot_count; i++)
        add(&lines, "s%d: %s\n", i, print_type(arena, script->slots[i]));
    for (int i = 0; i < script->region_count; i++)
        add(&lines, "region %d of body %d at %d %s", i, script->regions[i].body, script->regions[i].time,
            print_graph(arena, script->regions[i].graph, NULL));
    if (length)
        *length = lines.length;
    return lines.text ? lines.text : "";
}
