/* Inside of the `gpu contract` template: gpu_contract_plan.c decides, gpu_operand.c brings operands to shared memory,
 * gpu_contract.c multiplies in threads' registers, gpu_mma.c by matrix instructions of warps.
 *
 *     for unit in grid:  batch, tile of rows, tile of columns
 *         for each tile of k:  A[rows, k], B[k, columns] come to shared memory while the tile before is multiplied
 *             acc[r, v] = fma(A[r, k], B[k, v], acc[r, v]), k ascending
 *         Y[r, v] = epilogue(acc[r, v])
 *
 * Rows and columns outside of the matrices are read from the last ones instead and never written. So are k, which are
 * never used, or, by matrix instructions, zero on both sides. */
#ifndef LATHE_CODEGEN_GPU_CONTRACT_H
#define LATHE_CODEGEN_GPU_CONTRACT_H

#include "codegen/gpu.h"
#include "ir/mma.h"
#include "ir/roles.h"

enum { TILE_ROWS_MAX = 8, TILE_VECTORS_MAX = 2, WARP_SUMS_MAX = 16, FETCH_MAX = 64, STAGES_MAX = 4 };

/* The tile of a block; of a thread thread_rows x vectors x lanes of it, or, by matrix instructions, of a warp
 * warp_rows x warp_columns. */
typedef struct GpuTile {
    int rows, columns, depth;
    int thread_rows, vectors, lanes;
    int warp_rows, warp_columns; /* 0: no matrix instructions */
} GpuTile;

/* How one operand comes to shared memory. */
typedef struct GpuOperand {
    Node *value;       /* the contraction's operand; batch axes are replaced when the block is known */
    Node *const *axes; /* the output axes that count its lines: A's rows, B's column */
    int axis_count;
    Node *lines;  /* of the matrix */
    Node *first;  /* line of the block's tile */
    bool columns; /* this is B: k by k in shared memory; A lies line by line */
    bool panels;  /* a weight in panels [N/16][K][16] */
    bool async;   /* copied past the registers */
    bool along_k; /* neighbouring threads take neighbouring k, else neighbouring lines */
    int lanes;    /* elements of a copy: 1, or 16 bytes of them */
    int tile;     /* lines of the block's tile */
    int pitch;    /* elements of shared memory from one line (A) or k (B) to the next */
    Dtype dtype;  /* in shared memory */
    Node *shared;
    Node *vars[FETCH_MAX]; /* not async: what is on its way */
} GpuOperand;

typedef struct GpuContract {
    Ir *ir;
    Node *kernel;
    const TargetMachineInfo *target;
    Trial *trial; /* NULL: the cost model decides */
    ContractRoles roles;
    GpuTile tile;
    int threads, stages; /* stages: tiles of k in shared memory */
    const MmaRow *mma;   /* NULL: fused multiply-adds of threads */
    GpuOperand a, b;
    Node *k_tiles; /* how many */
    Node *thread;
    Node *batch[RANK_MAX]; /* indices of roles.batch */
} GpuContract;

/* Fills everything that does not depend on the block. False when the template cannot do the kernel, or others do it
 * better. */
bool gpu_contract_plan(GpuContract *contract, const ScheduleOptions *options);

/* Before the loop over k: room for what is on its way. */
void operand_open(GpuContract *contract, GpuOperand *operand, Block *block);
/* Starts to bring tile number `k_tile` of k to `slot`. */
void operand_fetch(GpuContract *contract, GpuOperand *operand, Block *block, Node *k_tile, Node *slot);
/* What was fetched by registers goes to its slot. */
void operand_land(GpuContract *contract, GpuOperand *operand, Block *block, Node *slot);
/* `lanes` elements of the tile in `slot`: along k for A, along columns for B. */
Node *operand_read(GpuContract *contract, const GpuOperand *operand, Block *block, Node *slot, Node *line, Node *k,
                   int lanes);

/* The loop over k around `multiply`, which adds tile number `k_tile` in `slot` to what it keeps in `context`. */
typedef void GpuMultiply(GpuContract *contract, void *context, Block *block, Node *slot, Node *k_tile);
void gpu_contract_loop(GpuContract *contract, Block *block, GpuMultiply *multiply, void *context);
/* The stage's own expression for `lanes` columns from `column` of one row, with the contraction replaced by `result`;
 * columns outside of the matrix are not written. */
void gpu_contract_result(GpuContract *contract, Block *block, Node *row, Node *column, Node *result);
/* The block of instructions that run when `row` is one of the matrix. */
Block *gpu_contract_rows(GpuContract *contract, Block *block, Node *row);
/* All products by matrix instructions, and the results. */
void gpu_mma_tile(GpuContract *contract, Block *block);

#endif
