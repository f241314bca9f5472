/* Lists of axes that an input tells: known at compile time, or elements of an input whose values only a run knows. Then
 * each axis has a condition over symbols, and what depends on the list becomes a choice. */
#ifndef LATHE_IR_OPS_AXES_H
#define LATHE_IR_OPS_AXES_H

#include "ir/ops/ops.h"

typedef struct AxisList {
    int count;               /* entries: known even when the axes are not */
    Node *entries[RANK_MAX]; /* the axes in the list's order, brought into 0..rank-1: indices */
    Node *listed[RANK_MAX];  /* is axis i in the list? bools */
} AxisList;

/* Reads input i as a list of axes of a tensor of `rank`: each in range, none twice (as checks of the run when
 * symbolic). False after a diagnostic, also when the elements do not follow from dims and inputs. */
bool infer_axis_list(const Infer *infer, int i, int rank, AxisList *list);
/* Is axis i listed, in a list that is known? */
static inline bool axis_listed(const AxisList *list, int i)
{
    int64_t value;
    return const_is_int(list->listed[i], &value) && value;
}
/* The `all` of axes that are not listed, in order: rest[0..rank-count-1]; their number. */
int axis_list_rest(Ir *ir, const AxisList *list, int rank, Node *const *all, Node **rest);
/* The other way: all[i] = `otherwise` where axis i is listed, else the next of rest. */
void axis_list_spread(Ir *ir, const AxisList *list, int rank, Node *const *rest, Node *otherwise, Node **all);
/* The list 0, 1, ... count-1: what is meant where no list is given. */
void axis_list_first(Ir *ir, int rank, int count, AxisList *list);
/* values[j] where the list's entry j is axis i, else `otherwise`. */
Node *axis_list_choose(Ir *ir, const AxisList *list, int i, Node *const *values, Node *otherwise);

#endif
