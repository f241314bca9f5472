/* Shape rules and rooms that rows of ops.def name, by family. */
#ifndef LATHE_IR_OPS_RULES_H
#define LATHE_IR_OPS_RULES_H

#include "ir/ops/ops.h"

/* infer.c: rules that several operators share */
bool same_shape(Infer *infer);
bool broadcast_shape(Infer *infer);
bool compare_shape(Infer *infer);
bool test_shape(Infer *infer);
bool where_shape(Infer *infer);
bool pow_shape(Infer *infer);
bool slope_shape(Infer *infer);
bool clip_shape(Infer *infer);
bool cast_shape(Infer *infer);

/* elementwise.c */
bool max_lower(Lower *lower);
bool min_lower(Lower *lower);
bool sum_lower(Lower *lower);
bool mean_lower(Lower *lower);
bool clip_lower(Lower *lower);
bool cast_lower(Lower *lower);
bool pow_lower(Lower *lower);
bool gelu_expand(Ir *ir, const Node *node, Node **outputs);

/* view.c: operators that only move elements */
bool copy_lower(Lower *lower);
bool reshape_shape(Infer *infer);
bool flatten_shape(Infer *infer);
bool squeeze_shape(Infer *infer);
bool unsqueeze_shape(Infer *infer);
bool reshape_lower(Lower *lower);
bool transpose_shape(Infer *infer);
bool transpose_lower(Lower *lower);
bool expand_shape(Infer *infer);
bool expand_lower(Lower *lower);
bool concat_shape(Infer *infer);
bool concat_lower(Lower *lower);
bool split_shape(Infer *infer);
bool split_lower(Lower *lower);
bool slice_shape(Infer *infer);
bool slice_lower(Lower *lower);
bool pad_shape(Infer *infer);
bool pad_lower(Lower *lower);
bool dropout_shape(Infer *infer);
bool dropout_lower(Lower *lower);

/* shape.c: operators about shapes, and generators */
bool shape_shape(Infer *infer);
bool shape_lower(Lower *lower);
bool size_shape(Infer *infer);
bool size_lower(Lower *lower);
bool range_shape(Infer *infer);
bool range_lower(Lower *lower);
bool constant_of_shape_shape(Infer *infer);
bool constant_of_shape_lower(Lower *lower);
bool constant_shape(Infer *infer);
bool constant_expand(Ir *ir, const Node *node, Node **outputs);

/* gather.c */
bool gather_shape(Infer *infer);
bool gather_lower(Lower *lower);

/* conv.c, pool.c: windows */
bool conv_shape(Infer *infer);
bool conv_lower(Lower *lower);
bool pool_shape(Infer *infer);
bool max_pool_lower(Lower *lower);
bool average_pool_lower(Lower *lower);
bool global_pool_shape(Infer *infer);
bool global_average_pool_lower(Lower *lower);
bool global_max_pool_lower(Lower *lower);

/* matmul.c */
bool matmul_shape(Infer *infer);
bool matmul_lower(Lower *lower);
bool gemm_shape(Infer *infer);
bool gemm_lower(Lower *lower);

/* norm.c */
bool softmax_shape(Infer *infer);
bool softmax_lower(Lower *lower);
bool log_softmax_lower(Lower *lower);
bool batch_norm_shape(Infer *infer);
bool batch_norm_lower(Lower *lower);
bool layer_norm_shape(Infer *infer);
bool layer_norm_lower(Lower *lower);

/* reduce.c */
bool reduce_shape(Infer *infer);
bool reduce_sum_lower(Lower *lower);
bool reduce_mean_lower(Lower *lower);
bool reduce_max_lower(Lower *lower);
bool reduce_min_lower(Lower *lower);
bool reduce_prod_lower(Lower *lower);
bool reduce_l1_lower(Lower *lower);
bool reduce_l2_lower(Lower *lower);
bool reduce_sum_square_lower(Lower *lower);
bool reduce_log_sum_lower(Lower *lower);
bool reduce_log_sum_exp_lower(Lower *lower);
bool arg_shape(Infer *infer);
bool arg_max_lower(Lower *lower);
bool arg_min_lower(Lower *lower);

/* resize.c */
bool resize_shape(Infer *infer);
bool resize_lower(Lower *lower);

#endif
