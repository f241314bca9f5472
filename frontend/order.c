/* An order of nodes in which every value is made before it is used. ONNX demands it of the file; files that lack it are
 * sorted. */
#include "frontend/importer.h"

#include <string.h>

typedef struct Uses {
    Importer *importer;
    const NameMap *makers; /* index + 1 of the node that makes a value */
    uint32_t *list;        /* nodes that a node needs */
    size_t count, capacity;
} Uses;

/* Names made inside a body and the bodies around it hide the outer ones. */
typedef struct Inside {
    const struct Inside *outer;
    NameMap names;
} Inside;

static bool hidden(const Inside *inside, Name name)
{
    for (; inside; inside = inside->outer)
        if (names_get(&inside->names, name))
            return true;
    return false;
}

static void use_add(Uses *uses, const Inside *inside, const Text *text)
{
    const Name name =
        text->len ? name_intern_bytes(uses->importer->ir->arena, (const char *)text->data, text->len) : NULL;
    const uintptr_t maker = name && !hidden(inside, name) ? (uintptr_t)names_get(uses->makers, name) : 0;
    if (!maker)
        return;
    if (uses->count == uses->capacity) {
        uses->capacity = uses->capacity ? uses->capacity * 2 : 64;
        uint32_t *larger = NEW_ARRAY(uses->importer->scratch, uint32_t, uses->capacity);
        if (uses->count)
            memcpy(larger, uses->list, uses->count * sizeof *larger);
        uses->list = larger;
    }
    uses->list[uses->count++] = (uint32_t)(maker - 1);
}

static void hide(Importer *importer, Inside *inside, const Text *text)
{
    if (text->len)
        names_set(&inside->names, name_intern_bytes(importer->ir->arena, (const char *)text->data, text->len), inside);
}

static void body_uses(Uses *uses, const Inside *outer, const Onnx__GraphProto *body);

/* Recursion is as deep as graphs stand in graphs, which the reader limits. */
static void node_uses(Uses *uses, const Inside *inside, const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_input; i++)
        use_add(uses, inside, &node->input[i]);
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->g)
            body_uses(uses, inside, node->attribute[i]->g);
}

static void body_uses(Uses *uses, const Inside *outer, const Onnx__GraphProto *body)
{
    Inside inside = {outer, {.arena = uses->importer->scratch}};
    for (size_t i = 0; i < body->n_input; i++)
        hide(uses->importer, &inside, &body->input[i]->name);
    for (size_t i = 0; i < body->n_initializer; i++)
        hide(uses->importer, &inside, &body->initializer[i]->name);
    for (size_t i = 0; i < body->n_node; i++)
        for (size_t k = 0; k < body->node[i]->n_output; k++)
            hide(uses->importer, &inside, &body->node[i]->output[k]);
    for (size_t i = 0; i < body->n_node; i++)
        node_uses(uses, &inside, body->node[i]);
    for (size_t i = 0; i < body->n_output; i++)
        use_add(uses, &inside, &body->output[i]->name);
}

static bool makers_collect(Importer *importer, const Context *context, const Scope *scope,
                           Onnx__NodeProto *const *nodes, size_t count, NameMap *makers)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < nodes[i]->n_output; k++) {
            const Name name = text_name(importer, &importer->file, &nodes[i]->output[k], "an output's name");
            if (!name)
                return false;
            if (*name && (names_get(&scope->values, name) || names_add(makers, name, (void *)(uintptr_t)(i + 1))))
                return diag_error(importer->diagnostics, EXIT_MALFORMED, node_where(importer, context, nodes[i]),
                                  "the value \"%s\" is made twice", diag_quote(importer->scratch, name, 100));
        }
    return true;
}

enum { WHITE, GREY, BLACK }; /* not seen, on the stack, in the order */

/* Depth first with a stack of our own; starts[i]..starts[i + 1] are the needs of node i. */
static bool sort(Importer *importer, const Context *context, Onnx__NodeProto *const *nodes, size_t count,
                 const Uses *uses, size_t *starts, uint32_t *order)
{
    size_t *next = arena_copy(importer->scratch, starts, count * sizeof *starts);
    uint32_t *stack = NEW_ARRAY(importer->scratch, uint32_t, count);
    uint8_t *color = NEW_ARRAY(importer->scratch, uint8_t, count);
    size_t depth = 0, done = 0;
    for (uint32_t root = 0; root < count; root++) {
        if (color[root] == WHITE) {
            stack[depth++] = root;
            color[root] = GREY;
        }
        while (depth) {
            const uint32_t node = stack[depth - 1];
            if (next[node] == starts[node + 1]) {
                color[node] = BLACK;
                order[done++] = node;
                depth--;
                continue;
            }
            const uint32_t need = uses->list[next[node]++];
            if (color[need] == GREY)
                return diag_error(importer->diagnostics, EXIT_MALFORMED, node_where(importer, context, nodes[need]),
                                  "the node needs its own result: the graph has a cycle");
            if (color[need] == WHITE) {
                stack[depth++] = need;
                color[need] = GREY;
            }
        }
    }
    return true;
}

bool nodes_order(Importer *importer, const Context *context, const Scope *scope, Onnx__NodeProto *const *nodes,
                 size_t count, uint32_t *order)
{
    NameMap makers = {.arena = importer->scratch};
    if (!makers_collect(importer, context, scope, nodes, count, &makers))
        return false;
    Uses uses = {.importer = importer, .makers = &makers};
    size_t *starts = NEW_ARRAY(importer->scratch, size_t, count + 1);
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
        node_uses(&uses, NULL, nodes[i]);
        starts[i + 1] = uses.count;
        for (size_t k = starts[i]; k < uses.count; k++)
            sorted &= uses.list[k] < i;
    }
    return sorted || sort(importer, context, nodes, count, &uses, starts, order);
}
