/* What the operators of ai.onnx.ml share. */
#ifndef LATHE_IR_OPS_ML_H
#define LATHE_IR_OPS_ML_H

#include "ir/ops/compose.h"

/* The features as [N, C] (or a row [1, C] of a list) in `dtype`; NULL after a message. */
Node *ml_features(Ir *ir, Node *x, Dtype dtype);
/* The attribute post_transform, as text or (TreeEnsemble) number, done to scores [N, E]. */
Node *ml_post_transform(Ir *ir, const char *name, Node *scores);
/* The same, of rows that may have one score only. */
Node *ml_single(Ir *ir, const char *name, Node *scores);
/* Labels of classes by their number (i64 [N]): from the ints or strings of two attributes, or the number itself. */
Node *ml_labels(Ir *ir, const Node *node, const char *ints, const char *strings, Node *numbers);
int ml_label_count(const Node *node, const char *ints, const char *strings);
/* A classifier's two outputs from scores [N, E] before their transform. */
bool ml_classify(Ir *ir, const Node *node, const char *ints, const char *strings, Node *scores, Node **outputs);
Node *constant_strings(Ir *ir, const Name *strings, int count);
/* The first (or, with `last`, the last) position along the last axis where x == constant; `count` where there is none.
 */
Node *ml_positions(Ir *ir, Node *x, Node *keys, int64_t count);

#endif
