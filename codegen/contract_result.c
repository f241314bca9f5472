/* Results of the contract template: the stage's expression around the sums of a tile, and where it goes. See
 * contract.h. */
#include "codegen/contract_emit.h"
#include "codegen/contract_window.h"

#include "ir/kernel.h"
#include "ir/loops.h"

enum { TOGETHER = 4 }; /* vectors of results whose long epilogues run side by side */

Node *contract_at_row(const Contract *c, const Corner *corner, Node *node, Node *row)
{
    if (c->read_a == READ_WINDOW)
        return contract_window_row(c, corner, node, row);
    return contract_flat_rows(c, node, index_add(c->ir, corner->row, row));
}

/* A vector of the tile's result: how it is made of the sums, and where it goes. */
typedef struct Result {
    StageEmitter emitter;
    Node *row, *value;
} Result;

static Result emit_result_value(Contract *c, Block *block, const Corner *corner, Node *row, int vector, Node *sum,
                                Node *mask)
{
    Ir *const ir = c->ir;
    Result result = {.emitter = stage_emitter(ir, c->kernel, block), .row = row};
    result.emitter.lane_axis = c->roles.n;
    result.emitter.lanes = PANEL;
    result.emitter.lane_base = index_add(ir, corner->column, index_const(ir, vector * PANEL));
    result.emitter.mask = mask;
    /* The contraction must survive the replacement of row axes: a stand-in takes its place first. */
    Node *stand_in = axis_make(ir, "sum", NULL);
    Node *const held = cast_make(ir, stand_in, c->roles.contract->type.dtype);
    Node *value = node_substitute(ir, stage_value(c->roles.stage), &c->roles.contract, (Node *const *)&held, 1);
    value = contract_at_row(c, corner, value, row);
    stage_preset(&result.emitter, held, sum);
    result.value = stage_emit(&result.emitter, value);
    return result;
}

static void emit_result_store(Contract *c, const Corner *corner, Result *result)
{
    const Node *const stage = c->roles.stage;
    Node *indices[RANK_MAX];
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = contract_at_row(c, corner, stage_indices(stage)[i], result->row);
    stage_emit_store(&result->emitter, stage_buffer(stage), indices, result->value);
}

void contract_emit_result(Contract *c, Block *block, const Corner *corner, Node *row, int vector, Node *sum, Node *mask)
{
    Result result = emit_result_value(c, block, corner, row, vector, sum, mask);
    emit_result_store(c, corner, &result);
}

/* Where the tile's sum of row r, vector v waits for its epilogue. */
static Node *sum_offset(const Contract *c, Node *row, int vector)
{
    Ir *const ir = c->ir;
    return index_add(ir, index_mul(ir, row, index_const(ir, c->tile.vectors * PANEL)), index_const(ir, vector * PANEL));
}

static Node *read_sum(Contract *c, Block *block, Node *row, int vector)
{
    Ir *const ir = c->ir;
    Node *const sum = node_make(ir, &(Node){.op = OP_read,
                                            .type = type_vector(c->sums->type.dtype, PANEL),
                                            .inputs = (Node *[]){c->sums, sum_offset(c, row, vector)},
                                            .input_count = 2});
    block_append(ir, block, sum);
    return sum;
}

void contract_emit_results_of_rows(Contract *c, Block *block, const Corner *corner, Node *row, int rows, int vectors,
                                   Node *const *masks)
{
    Ir *const ir = c->ir;
    Result results[TOGETHER * VECTORS_MAX];
    for (int i = 0; i < rows * vectors; i++) {
        Node *const number = index_add(ir, row, index_const(ir, i / vectors));
        Node *const sum = read_sum(c, block, number, i % vectors);
        results[i] = emit_result_value(c, block, corner, number, i % vectors, sum, masks[i % vectors]);
    }
    for (int i = 0; i < rows * vectors; i++)
        emit_result_store(c, corner, &results[i]);
}

/* A long epilogue needs registers of its own, and 28 copies of it are most of a kernel's code. The sums go to memory
 * that stays in L1, the epilogue is a loop over rows.
 */
void contract_emit_results_from_memory(Contract *c, Block *block, const Corner *corner, Tile tile,
                                       Node *const *accumulators, Node *const *masks)
{
    Ir *const ir = c->ir;
    for (int i = 0; i < tile.rows * tile.vectors; i++) {
        Node *const offset = sum_offset(c, index_const(ir, i / tile.vectors), i % tile.vectors);
        Node *const value = body_get(ir, block, accumulators[i]);
        block_append(
            ir, block,
            node_make(ir, &(Node){.op = OP_store, .inputs = (Node *[]){c->sums, offset, value}, .input_count = 3}));
    }
    const int at_once = TOGETHER / tile.vectors > 1 ? TOGETHER / tile.vectors : 1, left = tile.rows % at_once;
    Node *const row = axis_make(ir, "row", index_const(ir, tile.rows)), *const whole =
                                                                            index_const(ir, tile.rows - left);
    if (!index_is(whole, 0))
        contract_emit_results_of_rows(c, body_for(ir, block, row, index_const(ir, 0), whole, at_once), corner, row,
                                      at_once, tile.vectors, masks);
    contract_emit_results_of_rows(c, block, corner, whole, left, tile.vectors, masks);
}

void contract_emit_masks(Contract *c, const Corner *corner, int vectors, bool masked, Node **masks)
{
    Ir *const ir = c->ir;
    for (int v = 0; v < vectors && masked; v++) {
        Node *const first = index_add(ir, corner->column, index_const(ir, v * PANEL));
        Node *const last = index_add(ir, first, index_const(ir, PANEL - 1));
        if (index_range(ir, index_sub(ir, last, c->roles.columns)).high < 0)
            continue;
        Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, PANEL)});
        masks[v] = scalar2(ir, OP_lt, index_add(ir, iota, first), splat_make(ir, c->roles.columns, PANEL));
    }
}
