/* Rooms that operators have while a network is trained. */
#ifndef LATHE_IR_OPS_TRAINING_H
#define LATHE_IR_OPS_TRAINING_H

#include "ir/ops/lower.h"

/* BatchNormalization with training_mode: statistics of this batch, and the running ones brought up to date. */
bool batch_norm_train(Lower *lower);

#endif
