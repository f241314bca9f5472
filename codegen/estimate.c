/* How much a kernel computes and moves, from its stages. */
#include "codegen/program.h"

#include "ir/math.h"
#include "ir/procedure.h"

enum { PROCEDURE_OPERATIONS = 32 }; /* per element it touches: a guess, for its loops depend on data */

/* Points of a reduction. An extent that differs from element to element (RoiAlign's bins) counts as a few: sizes are
 * told before there are elements. */
static Node *reduction_points(Ir *ir, const Node *reduction)
{
    enum { RAGGED = 4 };
    Node *points = index_const(ir, 1);
    for (int i = 0; i < reduction->axis_count; i++) {
        int count;
        Node *extent = reduction->axes[i]->inputs[0];
        Node **const nodes = nodes_topological(ir, &extent, 1, &count);
        bool ragged = false;
        for (int j = 0; j < count; j++)
            ragged = ragged || nodes[j]->op == OP_at || nodes[j]->op == OP_axis;
        points = index_mul(ir, points, ragged ? index_const(ir, RAGGED) : extent);
    }
    return points;
}

/* Operations of one element: a fold or contract multiplies what is inside it; index arithmetic is not counted. */
static Node *expression_flops(Ir *ir, Node *value)
{
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    NodeMap cost; /* of reductions' insides, so that they are not counted again outside */
    map_open(&cost, ir->arena);
    Node *total = index_const(ir, 0);
    for (int i = 0; i < count; i++) {
        Node *const node = nodes[i];
        if (node->type.dtype == DTYPE_INDEX || node->type.dtype == DTYPE_BOOL)
            continue;
        if (node->op == OP_contract || node->op == OP_fold) {
            Node *const times = reduction_points(ir, node);
            total = index_add(ir, total, index_mul(ir, times, index_const(ir, node->op == OP_contract ? 2 : 1)));
        } else if (op_is_scalar(node->op)) {
            total = index_add(ir, total, index_const(ir, math_is_transcendental(node->op) ? 16 : 1));
        }
    }
    return total;
}

Node *kernel_flops(Ir *ir, const Node *kernel)
{
    Node *total = index_const(ir, 0);
    const int buffers = kernel_is_procedure(kernel) ? kernel_buffer_count(kernel) : 0;
    for (int i = 0; i < buffers; i++)
        total =
            index_add(ir, total,
                      index_mul(ir, type_elements(ir, kernel->inputs[i]->type), index_const(ir, PROCEDURE_OPERATIONS)));
    for (int i = 0; i < kernel_stages(kernel)->count; i++) {
        const Node *const stage = kernel_stages(kernel)->nodes[i];
        Node *const points = axes_points(ir, stage->axes, stage->axis_count);
        total = index_add(ir, total, index_mul(ir, points, expression_flops(ir, stage_value(stage))));
    }
    return total;
}

Node *kernel_bytes(Ir *ir, const Node *kernel)
{
    Node *total = index_const(ir, 0);
    const int buffers = kernel_buffer_count(kernel);
    for (int i = 0; i < buffers; i++) {
        Node *const bits = index_mul(ir, type_elements(ir, kernel->inputs[i]->type),
                                     index_const(ir, dtype_info[kernel->inputs[i]->type.dtype].bits));
        total = index_add(ir, total, index_ceildiv(ir, bits, index_const(ir, 8)));
    }
    return total;
}
