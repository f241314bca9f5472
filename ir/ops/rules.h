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
bool gather_elements_shape(Infer *infer);
bool gather_elements_lower(Lower *lower);
bool gather_nd_shape(Infer *infer);
bool gather_nd_lower(Lower *lower);
bool reverse_sequence_shape(Infer *infer);
bool reverse_sequence_lower(Lower *lower);

/* conv.c, pool.c: windows */
bool conv_shape(Infer *infer);
bool conv_lower(Lower *lower);
bool pool_shape(Infer *infer);
bool max_pool_lower(Lower *lower);
bool average_pool_lower(Lower *lower);
bool global_pool_shape(Infer *infer);
bool global_average_pool_lower(Lower *lower);
bool global_max_pool_lower(Lower *lower);
bool lp_pool_shape(Infer *infer);
bool lp_pool_lower(Lower *lower);
bool global_lp_pool_shape(Infer *infer);
bool global_lp_pool_lower(Lower *lower);

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

/* bits.c: remainders, shifts, bits */
bool mod_lower(Lower *lower);
bool bit_shift_shape(Infer *infer);
bool bit_shift_lower(Lower *lower);
bool bit_cast_shape(Infer *infer);
bool bit_cast_lower(Lower *lower);
bool is_inf_lower(Lower *lower);
bool cast_like_shape(Infer *infer);
bool swiglu_shape(Infer *infer);

/* generate.c: what follows from the position */
bool trilu_shape(Infer *infer);
bool trilu_lower(Lower *lower);
bool eye_like_shape(Infer *infer);
bool eye_like_lower(Lower *lower);
bool one_hot_shape(Infer *infer);
bool one_hot_lower(Lower *lower);
bool window_shape(Infer *infer);
bool hann_window_lower(Lower *lower);
bool hamming_window_lower(Lower *lower);
bool blackman_window_lower(Lower *lower);
bool mel_weight_shape(Infer *infer);
bool mel_weight_lower(Lower *lower);

/* scatter.c: a copy that is changed at places */
bool scatter_elements_shape(Infer *infer);
bool scatter_elements_lower(Lower *lower);
bool scatter_nd_shape(Infer *infer);
bool scatter_nd_lower(Lower *lower);
bool tensor_scatter_shape(Infer *infer);
bool tensor_scatter_lower(Lower *lower);
bool max_unpool_shape(Infer *infer);
bool max_unpool_lower(Lower *lower);

/* rearrange.c: blocks, tiles, crops */
bool depth_to_space_shape(Infer *infer);
bool depth_to_space_lower(Lower *lower);
bool space_to_depth_shape(Infer *infer);
bool space_to_depth_lower(Lower *lower);
bool tile_shape(Infer *infer);
bool tile_lower(Lower *lower);
bool center_shape(Infer *infer);
bool center_lower(Lower *lower);

/* cumulate.c */
bool cumulate_shape(Infer *infer);
bool cum_sum_lower(Lower *lower);
bool cum_prod_lower(Lower *lower);

/* normalize.c: what other operators express */
bool rms_norm_shape(Infer *infer);
bool rms_norm_expand(Ir *ir, const Node *node, Node **outputs);
bool instance_norm_shape(Infer *infer);
bool instance_norm_expand(Ir *ir, const Node *node, Node **outputs);
bool group_norm_shape(Infer *infer);
bool group_norm_expand(Ir *ir, const Node *node, Node **outputs);
bool mean_variance_shape(Infer *infer);
bool mean_variance_expand(Ir *ir, const Node *node, Node **outputs);
bool lp_norm_shape(Infer *infer);
bool lp_norm_expand(Ir *ir, const Node *node, Node **outputs);
bool hardmax_lower(Lower *lower);
bool lrn_shape(Infer *infer);
bool lrn_lower(Lower *lower);

/* loss.c */
bool nll_loss_shape(Infer *infer);
bool nll_loss_lower(Lower *lower);
bool softmax_loss_shape(Infer *infer);
bool softmax_loss_expand(Ir *ir, const Node *node, Node **outputs);

/* quantize.c */
bool quantize_shape(Infer *infer);
bool quantize_lower(Lower *lower);
bool dequantize_shape(Infer *infer);
bool dequantize_lower(Lower *lower);
bool dynamic_quantize_shape(Infer *infer);
bool dynamic_quantize_lower(Lower *lower);

/* quantize_contract.c */
bool matmul_integer_shape(Infer *infer);
bool matmul_integer_lower(Lower *lower);
bool qlinear_matmul_shape(Infer *infer);
bool qlinear_matmul_lower(Lower *lower);
bool conv_integer_shape(Infer *infer);
bool conv_integer_lower(Lower *lower);
bool qlinear_conv_shape(Infer *infer);
bool qlinear_conv_lower(Lower *lower);

/* attention.c */
bool attention_shape(Infer *infer);
bool attention_lower(Lower *lower);
bool rotary_shape(Infer *infer);
bool rotary_lower(Lower *lower);

/* grid.c */
bool grid_sample_shape(Infer *infer);
bool grid_sample_lower(Lower *lower);
bool affine_grid_shape(Infer *infer);
bool affine_grid_lower(Lower *lower);

/* einsum.c */
bool einsum_shape(Infer *infer);
bool einsum_lower(Lower *lower);

/* spread.c: windows from the other side */
bool conv_transpose_shape(Infer *infer);
bool conv_transpose_lower(Lower *lower);
bool col2im_shape(Infer *infer);
bool col2im_lower(Lower *lower);

#endif
