/* FlexAttention of ai.onnx.preview in two parts, between which the importer puts the bodies that modify scores and
 * probabilities. */
#ifndef LATHE_IR_OPS_FLEX_H
#define LATHE_IR_OPS_FLEX_H

#include "ir/ops/ops.h"

/* Q K^T, scaled (NULL: by 1 / sqrt(head size)), in the type that `precision` (an ONNX number, 0: f64 for f64, else f32)
 * says. NULL after a diagnostic. */
Node *flex_scores(Ir *ir, Node *q, Node *k, const double *scale, int64_t precision);
/* Softmax of scores along the keys. */
Node *flex_probabilities(Ir *ir, Node *scores);
/* Probabilities times V, in the type of V. */
Node *flex_output(Ir *ir, Node *probabilities, Node *v);
/* Inputs and attributes as they must be; `q`, `k`, `v` are the inputs. */
bool flex_check(Ir *ir, Node *q, Node *k, Node *v, int64_t precision);

#endif
