/* Copies that change nothing in memory: a kernel y[axes] = x[...] whose two linear offsets are the same expression
 * needs no code, its target becomes another name of the source's memory. Reshapes, most transposes next to layouts, and
 * slices of a first box end here; and a copy that is changed in places afterwards (a scatter), where nobody looks at
 * the source any more. */
#include "ir/kernel.h"
#include "passes/access.h"
#include "passes/pass.h"

typedef struct Aliaser {
    PassContext *context;
    Ir *ir;
    Accesses accesses;
    NodeMap first, last; /* root of buffers -> 1 + number of the first, the last kernel that touches it */
    NodeMap replaced;    /* buffer -> the buffer that stands for it now */
} Aliaser;

/* The buffer that a plain copy reads, when target and source stand at the same offsets; NULL otherwise. */
static Node *same_memory_source(Ir *ir, const Node *kernel)
{
    if (kernel_stages(kernel)->count != 1)
        return NULL;
    const Node *const stage = kernel_stages(kernel)->nodes[0];
    Node *const value = stage_value(stage), *const target = stage_buffer(stage);
    if (value->op != OP_at || value->type.dtype != target->type.dtype)
        return NULL;
    Node *const source = value->inputs[0];
    if (layout_elements(ir, source) != layout_elements(ir, target))
        return NULL;
    return layout_offset(ir, target, stage_indices(stage)) == layout_offset(ir, source, value->inputs + 1) ? source
                                                                                                           : NULL;
}

static Node *alias_of(Ir *ir, const Node *buffer, Node *root)
{
    Buffer copy = *buffer->payload.buffer;
    copy.alias = root;
    copy.place = PLACE_TEMP;
    copy.constant = NULL;
    return buffer_make(ir, buffer->type, &copy);
}

static bool written_once(const Aliaser *aliaser, const Node *buffer)
{
    return access_of(&aliaser->accesses, buffer).writers == 1;
}

/* Does the source, memory of our own, end with kernel `number`, where the target begins? Then what is written to the
 * target later may be written there. */
static bool goes_over(const Aliaser *aliaser, Node *source, Node *target, int number)
{
    const Node *const root = buffer_root(source);
    return root->payload.buffer->place == PLACE_TEMP && buffer_root(target) == target &&
           (intptr_t)map_get(&aliaser->last, root) == number + 1 &&
           (intptr_t)map_get(&aliaser->first, target) == number + 1;
}

static void note_touched(Aliaser *aliaser, const Node *kernel, int number)
{
    const int buffers = kernel_buffer_count(kernel);
    for (int i = 0; i < buffers; i++) {
        Node *const root = buffer_root(kernel->inputs[i]);
        if (!map_has(&aliaser->first, root))
            map_set(&aliaser->first, root, (void *)(intptr_t)(number + 1));
        map_set(&aliaser->last, root, (void *)(intptr_t)(number + 1));
    }
}

/* What stands for the target is needed as long as the target was. */
static void outlive(Aliaser *aliaser, const Node *root, const Node *target)
{
    if ((intptr_t)map_get(&aliaser->last, target) > (intptr_t)map_get(&aliaser->last, root))
        map_set(&aliaser->last, root, map_get(&aliaser->last, target));
}

/* Makes the copy unnecessary; false when it must stay. */
static bool take(Aliaser *aliaser, const Node *kernel, int number)
{
    Node *const source = same_memory_source(aliaser->ir, kernel);
    if (!source)
        return false;
    Node *const target = stage_buffer(kernel_stages(kernel)->nodes[0]);
    if (!written_once(aliaser, target) && !goes_over(aliaser, source, target, number))
        return false;
    Node *const root = buffer_root(source);
    const Place from = root->payload.buffer->place, to = target->payload.buffer->place;
    if (to == PLACE_TEMP && from != PLACE_LOCAL) {
        if (!pass_decide(aliaser->context))
            return false;
        map_set(&aliaser->replaced, target, alias_of(aliaser->ir, target, root));
        outlive(aliaser, root, target);
        return true;
    }
    return false;
}

/* Whole-module replacement after all decisions, in one sweep. */
bool pass_alias(PassContext *context)
{
    Ir *const ir = context->compilation->ir;
    Module *const module = context->compilation->module;
    Aliaser aliaser = {.context = context, .ir = ir, .accesses = accesses_of(ir, module->body)};
    map_open(&aliaser.replaced, ir->arena);
    map_open(&aliaser.first, ir->arena);
    map_open(&aliaser.last, ir->arena);
    for (int i = 0; i < module->body->count; i++)
        note_touched(&aliaser, module->body->nodes[i], i);
    Block *const body = block_make(ir);
    for (int i = 0; i < module->body->count; i++) {
        Node *const kernel = kernel_replace_buffers(ir, module->body->nodes[i], &aliaser.replaced);
        if (!take(&aliaser, kernel, i))
            block_append(ir, body, kernel);
    }
    module->body = body;
    return true;
}
