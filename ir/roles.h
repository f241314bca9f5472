/* Roles of axes in a contraction: which output axes belong to one operand, which to the other. Layouts (weights in
 * panels, activations channels last) and the contract template both follow from them. */
#ifndef LATHE_IR_ROLES_H
#define LATHE_IR_ROLES_H

#include "ir/ir.h"

enum { PANEL = 16 }; /* columns of a weight panel: [N/16][K][16], one zmm, two ymm, four NEON registers a row */

typedef struct ContractRoles {
    Node *stage, *contract;
    Node *a, *b;           /* a: walked row by row; b: read in vectors along n */
    Node *n;               /* the output axis of b that vectors run along */
    Node *m[RANK_MAX];     /* output axes that b does not depend on, outermost first */
    Node *batch[RANK_MAX]; /* the other output axes */
    int m_count, batch_count;
    Node *weight;                 /* the constant that b reads with plain axes: it can be packed into panels; or NULL */
    bool weight_has_others;       /* dims along axes that are neither columns nor reduced */
    Node *fours;                  /* products of bytes: the reduced axis that goes in fours; NULL: others */
    int bound;                    /* leading axes of the stage that loops around bind: they have no role */
    Node *rows, *columns, *depth; /* extents of m (product), n, k (product) */
} ContractRoles;

/* Does the kernel consist of one stage around one contraction of floats (f32 accumulator), with an output axis for
 * vectors? */
bool contract_match(Ir *ir, const Node *kernel, ContractRoles *roles);
/* The same of one stage whose first `bound` axes are variables of loops around it; neither those nor axes that a step
 * runs in order along have a role. */
bool contract_match_stage(Ir *ir, Node *stage, int bound, ContractRoles *roles);
/* A contraction of bytes: the sum over k of (a - a_zero) * (b - b_zero) in i32. Where `inside` does not hold, the term
 * of a is 0. */
typedef struct ByteRoles {
    ContractRoles roles;   /* a and b: values of u8 or i8 */
    Node *inside;          /* NULL: everywhere */
    Node *a_zero, *b_zero; /* i32, free of reduced axes; NULL: 0. b's does not depend on rows, a's not on columns */
} ByteRoles;

/* Does the kernel consist of one stage around one such contraction? */
bool contract_match_bytes(Ir *ir, const Node *kernel, ByteRoles *bytes);
/* The panel layout of roles->weight: dims along other axes (groups, points of a transform) first, then columns in
 * blocks of PANEL, the reduced axes in order, and the column within its block. Products of bytes: the reduced axis
 * `fours` comes last, in fours of which each column has one. */
Layout panel_layout(const ContractRoles *roles);
/* The same without panels: other dims, the reduced axes in order, then the column, and nothing to fill. */
Layout columns_layout(const ContractRoles *roles);

#endif
