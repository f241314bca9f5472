/* Layouts: where the element of logical indices stands in a buffer. */
#include "ir/ir.h"

static Node *part_extent(Ir *ir, const Node *buffer, const LayoutEntry *entry)
{
    Node *const whole = buffer->type.dims[entry->axis];
    switch (entry->part) {
    case PART_OUTER:
        return index_ceildiv(ir, whole, index_const(ir, entry->block));
    case PART_INNER:
        return index_const(ir, entry->block);
    default:
        return whole;
    }
}

static Node *part_index(Ir *ir, Node *index, const LayoutEntry *entry)
{
    switch (entry->part) {
    case PART_OUTER:
        return index_floordiv(ir, index, index_const(ir, entry->block));
    case PART_INNER:
        return index_mod(ir, index, index_const(ir, entry->block));
    default:
        return index;
    }
}

Node *layout_offset(Ir *ir, Node *buffer, Node *const *indices)
{
    const Layout *const layout = &buffer->payload.buffer->layout;
    Node *offset = index_const(ir, 0), *pitch = index_const(ir, 1);
    if (layout->count == 0) {
        for (int i = buffer->type.rank - 1; i >= 0; i--) {
            offset = index_add(ir, offset, index_mul(ir, indices[i], pitch));
            pitch = index_mul(ir, pitch, buffer->type.dims[i]);
        }
        return offset;
    }
    for (int i = layout->count - 1; i >= 0; i--) {
        const LayoutEntry *const entry = &layout->entries[i];
        offset = index_add(ir, offset, index_mul(ir, part_index(ir, indices[entry->axis], entry), pitch));
        pitch = index_mul(ir, pitch, part_extent(ir, buffer, entry));
    }
    return offset;
}

Node *layout_elements(Ir *ir, Node *buffer)
{
    const Layout *const layout = &buffer->payload.buffer->layout;
    if (layout->count == 0)
        return type_elements(ir, buffer->type);
    Node *elements = index_const(ir, 1);
    for (int i = 0; i < layout->count; i++)
        elements = index_mul(ir, elements, part_extent(ir, buffer, &layout->entries[i]));
    return elements;
}
