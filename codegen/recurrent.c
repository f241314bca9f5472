/* The recurrent template: see recurrent.h.
 *
 *     for unit in chunk:  a tile of rows: the sequences of the batch
 *         for each step in order:
 *             a stage around a product:  all columns of the tile, as the contract template multiplies
 *             any other stage:           row by row, in vectors
 *
 * A tile reads the weight once per step for all of its rows. Sums have one accumulator and k ascends, as in plain
 * loops: the bits do not depend on the tile. */
#include "codegen/recurrent.h"

#include "codegen/contract_plan.h"
#include "codegen/program.h"
#include "ir/kernel.h"
#include "ir/loops.h"

/* Rows of a tile: with four of them the weight is no longer what a step waits for, and a batch still makes units. */
enum { ROWS_USUAL = 4, ROWS_MOST = 6, PRODUCTS_MAX = 8 };

typedef struct Recurrent {
    Ir *ir;
    Node *kernel;
    const TargetMachineInfo *target;
    int rows;
    Node *sequence, *step;           /* the leading axes */
    Contract products[PRODUCTS_MAX]; /* of stages[i], in order */
    const Node *multiplied[PRODUCTS_MAX];
    int count;
} Recurrent;

static bool plan(Recurrent *recurrent, Trial *trial)
{
    Node *const kernel = recurrent->kernel;
    const Block *const stages = kernel_stages(kernel);
    if (!kernel_has_steps(kernel) || stage_step_axes(stages->nodes[0]) != 2 || stage_ordered(stages->nodes[0]) != 1)
        return false;
    recurrent->sequence = stages->nodes[0]->axes[0];
    recurrent->step = stages->nodes[0]->axes[1];
    int64_t batch = ROWS_USUAL;
    const bool known = const_is_int(recurrent->sequence->inputs[0], &batch);
    const int standard = batch < 1 ? 1 : batch <= ROWS_USUAL ? (int)batch : ROWS_USUAL;
    recurrent->rows = (int)suggest_int(trial, "rows", 1, known && batch < ROWS_MOST ? standard : ROWS_MOST, standard);
    for (int i = 0; i < stages->count; i++) {
        if (recurrent->count == PRODUCTS_MAX)
            return false;
        Contract *const product = &recurrent->products[recurrent->count];
        *product = (Contract){
            .ir = recurrent->ir, .kernel = kernel, .target = recurrent->target, .tile.rows = recurrent->rows};
        if (contract_plan_step(product, stages->nodes[i]))
            recurrent->multiplied[recurrent->count++] = stages->nodes[i];
    }
    return recurrent->count > 0;
}

static Contract *product_of(Recurrent *recurrent, const Node *stage)
{
    for (int i = 0; i < recurrent->count; i++)
        if (recurrent->multiplied[i] == stage)
            return &recurrent->products[i];
    return NULL;
}

/* A stage without product, for the rows of the tile one after the other. */
static void emit_rows(Recurrent *recurrent, Block *block, const Node *stage, Node *tile)
{
    Ir *const ir = recurrent->ir;
    Node *const height = index_const(ir, recurrent->rows), *const first = index_mul(ir, tile, height);
    Node *const last = index_min(ir, index_add(ir, first, height), recurrent->sequence->inputs[0]);
    const LoopsSchedule schedule = {.lanes =
                                        recurrent->target->vector_bytes < 4 ? 1 : recurrent->target->vector_bytes / 4};
    Block *const body = body_for(ir, block, recurrent->sequence, first, last, 1);
    loops_emit_within(ir, recurrent->kernel, body, stage, &schedule, 2);
}

Node *recurrent_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Recurrent recurrent = {.ir = ir, .kernel = kernel, .target = target};
    if (!plan(&recurrent, trial))
        return NULL;
    const Block *const stages = kernel_stages(kernel);
    Node *const zero = index_const(ir, 0), *const batch = recurrent.sequence->inputs[0];
    Node *const units = index_ceildiv(ir, batch, index_const(ir, recurrent.rows));
    Node *const tile = axis_make(ir, "unit", units);
    Block *const body = block_make(ir);
    Block *const block = body_for(ir, body_units(ir, body, tile), recurrent.step, zero, recurrent.step->inputs[0], 1);
    for (int i = 0; i < stages->count; i++) {
        Contract *const product = product_of(&recurrent, stages->nodes[i]);
        if (product)
            contract_emit_step(product, block, tile);
        else
            emit_rows(&recurrent, block, stages->nodes[i], tile);
    }
    const char *const text =
        arena_format(ir->arena, "recurrent rows=%d vectors=%d b=%s", recurrent.rows, recurrent.products[0].tile.vectors,
                     recurrent.products[0].read_b == READ_PANELS ? "panels" : "strided");
    return kernel_with_body(ir, kernel, body, units, text, kernel->payload.kernel->scratch);
}

bool recurrent_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Recurrent recurrent = {.ir = ir, .kernel = kernel, .target = target};
    int64_t flops, batch;
    if (!plan(&recurrent, trial))
        return false;
    if (!const_is_int(kernel_flops(ir, kernel), &flops))
        flops = 1000000;
    if (!const_is_int(recurrent.sequence->inputs[0], &batch) || batch < 1)
        batch = ROWS_USUAL;
    const int64_t units = (batch + recurrent.rows - 1) / recurrent.rows;
    /* A row alone waits for the weight: 16 operations a cycle; each row beside it hides more of that. */
    *cycles = (double)flops / (16.0 * recurrent.rows) / (double)(units < threads ? units : threads);
    return true;
}
