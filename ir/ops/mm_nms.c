/* Choosing boxes as detectors of mmdeploy and TensorRT do: the best of every class, less those that overlap a better
 * one, and of these the best. All sizes are known beforehand: places that are not used are filled. */
#include "ir/ops/compose.h"
#include "ir/ops/lower.h"
#include "ir/ops/rules.h"

#include <math.h>
#include <string.h>

/* ---- which boxes stay: boxes [.., K, 4 or 5] and scores [.., K], best first; bool [.., K] ---- */

bool keep_boxes_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type boxes = infer_type(infer, 0), scores = infer_type(infer, 1);
    const bool rotated = attribute_int(infer->node, "rotated", 0) != 0;
    if (scores.rank < 1 || boxes.rank != scores.rank + 1 || boxes.dtype != scores.dtype ||
        dtype_info[scores.dtype].bits < 32)
        return infer_error(infer, "boxes %s do not fit scores %s", type_text(ir, boxes), type_text(ir, scores));
    for (int i = 0; i <= scores.rank; i++)
        if (!infer_same_dim(infer, boxes.dims[i], i < scores.rank ? scores.dims[i] : index_const(ir, rotated ? 5 : 4),
                            "boxes and scores"))
            return false;
    infer->types[0] = type_tensor(ir, DTYPE_BOOL, scores.rank, scores.dims);
    return true;
}

typedef struct Box {
    Node *part[5]; /* x1 y1 x2 y2, or x y w h angle */
} Box;

static Box box_at(Lower *lower, Node *const *axes, int rank, Node *k, int parts)
{
    Box box;
    Node *at[RANK_MAX];
    for (int i = 0; i < rank - 1; i++)
        at[i] = axes[i];
    at[rank - 1] = k;
    for (int i = 0; i < parts; i++) {
        at[rank] = index_const(lower->ir, i);
        box.part[i] = lower_at(lower, lower_in(lower, 0), at);
    }
    return box;
}

static Node *number(Ir *ir, const Node *like, double value)
{
    return const_float(ir, like->type.dtype, value);
}

static Node *product(Ir *ir, Node *a, Node *b)
{
    return scalar2(ir, OP_mul, a, b);
}

/* inter / (a + b - inter) > threshold, without the division. */
static Node *overlaps(Ir *ir, Node *inter, Node *a, Node *b, double threshold)
{
    Node *const all = scalar2(ir, OP_sub, scalar2(ir, OP_add, a, b), inter);
    Node *const real = scalar2(ir, OP_gt, all, number(ir, all, 0));
    return scalar2(ir, OP_and, real, scalar2(ir, OP_gt, inter, product(ir, all, number(ir, all, threshold))));
}

/* Corners; `pixels` 1 where a box of one pixel has equal ones. */
static Node *corners_overlap(Ir *ir, const Box *a, const Box *b, double pixels, double threshold)
{
    Node *size[3][2];
    for (int d = 0; d < 2; d++) {
        Node *const one = number(ir, a->part[0], pixels), *const zero = number(ir, a->part[0], 0);
        Node *const low = scalar2(ir, OP_max, a->part[d], b->part[d]), *const high = scalar2(ir, OP_min, a->part[2 + d],
                                                                                             b->part[2 + d]);
        size[0][d] = scalar2(ir, OP_max, zero, scalar2(ir, OP_add, scalar2(ir, OP_sub, high, low), one));
        size[1][d] = scalar2(ir, OP_add, scalar2(ir, OP_sub, a->part[2 + d], a->part[d]), one);
        size[2][d] = scalar2(ir, OP_add, scalar2(ir, OP_sub, b->part[2 + d], b->part[d]), one);
    }
    return overlaps(ir, product(ir, size[0][0], size[0][1]), product(ir, size[1][0], size[1][1]),
                    product(ir, size[2][0], size[2][1]), threshold);
}

/* The corners of `box` as the other sees them that stands at the origin without a turn. */
static void corners_of(Ir *ir, const Box *box, const Box *from, Node **x, Node **y)
{
    static const double side[4][2] = {{-0.5, -0.5}, {0.5, -0.5}, {0.5, 0.5}, {-0.5, 0.5}};
    Node *const dx = scalar2(ir, OP_sub, box->part[0], from->part[0]), *const dy = scalar2(ir, OP_sub, box->part[1],
                                                                                           from->part[1]);
    Node *const c = scalar1(ir, OP_cos, from->part[4]), *const s = scalar1(ir, OP_sin, from->part[4]);
    Node *const turn = scalar2(ir, OP_sub, box->part[4], from->part[4]), *const tc = scalar1(ir, OP_cos, turn),
                *const ts = scalar1(ir, OP_sin, turn);
    Node *const ox = scalar2(ir, OP_add, product(ir, c, dx), product(ir, s, dy)), *const oy = scalar2(
                                                                                      ir, OP_sub, product(ir, c, dy),
                                                                                      product(ir, s, dx));
    for (int i = 0; i < 4; i++) {
        Node *const u = product(ir, box->part[2], number(ir, dx, side[i][0])), *const v =
                                                                                   product(ir, box->part[3],
                                                                                           number(ir, dx, side[i][1]));
        x[i] = scalar2(ir, OP_add, ox, scalar2(ir, OP_sub, product(ir, tc, u), product(ir, ts, v)));
        y[i] = scalar2(ir, OP_add, oy, scalar2(ir, OP_add, product(ir, ts, u), product(ir, tc, v)));
    }
}

/* How much of the way p + t*v, t in 0..1, runs between -half and half in one direction: low and high are narrowed. */
static void clip_way(Ir *ir, Node *p, Node *v, Node *half, Node **low, Node **high)
{
    Node *const still = scalar2(ir, OP_eq, v, number(ir, v, 0)), *const step =
                                                                     scalar3(ir, OP_select, still, number(ir, v, 1), v);
    Node *const a = scalar2(ir, OP_div, scalar2(ir, OP_sub, scalar1(ir, OP_neg, half), p), step),
                *const b = scalar2(ir, OP_div, scalar2(ir, OP_sub, half, p), step);
    Node *const inside = scalar2(ir, OP_le, scalar1(ir, OP_abs, p), half);
    Node *const never =
        scalar3(ir, OP_select, inside, number(ir, v, 0), number(ir, v, 2)); /* 2: the way is nowhere inside */
    *low = scalar2(ir, OP_max, *low, scalar3(ir, OP_select, still, never, scalar2(ir, OP_min, a, b)));
    *high = scalar2(ir, OP_min, *high, scalar3(ir, OP_select, still, number(ir, v, 1), scalar2(ir, OP_max, a, b)));
}

/* The part of edge i of the corners x, y that lies in the box of half sizes hx, hy around the origin. */
static Node *share(Ir *ir, Node *const *x, Node *const *y, int i, Node *hx, Node *hy)
{
    const int next = (i + 1) % 4;
    Node *low = number(ir, hx, 0), *high = number(ir, hx, 1);
    clip_way(ir, x[i], scalar2(ir, OP_sub, x[next], x[i]), hx, &low, &high);
    clip_way(ir, y[i], scalar2(ir, OP_sub, y[next], y[i]), hy, &low, &high);
    return scalar2(ir, OP_max, scalar2(ir, OP_sub, high, low), number(ir, hx, 0));
}

/* Twice the area that a turned box shares with another is the sum of p x v over what of each one's edges lies in the
 * other. An edge that both have counts once: edges of a are held against b made a little larger, edges of b against a
 * made a little smaller. */
static Node *rotated_overlap(Ir *ir, const Box *a, const Box *b, double threshold)
{
    const double slack = 1e-5;
    Node *x[4], *y[4], *ox[4], *oy[4], *twice = NULL;
    corners_of(ir, a, b, x, y);
    corners_of(ir, b, a, ox, oy);
    Node *const half = number(ir, x[0], 0.5);
    Node *const ah = product(ir, a->part[3], half), *const aw = product(ir, a->part[2], half),
                *const bh = product(ir, b->part[3], half), *const bw = product(ir, b->part[2], half);
    Node *const area_a = product(ir, a->part[2], a->part[3]), *const area_b = product(ir, b->part[2], b->part[3]);
    Node *const all = scalar2(ir, OP_add, scalar2(ir, OP_add, aw, ah), scalar2(ir, OP_add, bw, bh)),
                *const extra = product(ir, all, number(ir, all, slack));
    for (int i = 0; i < 4; i++) {
        const int next = (i + 1) % 4;
        Node *const cross = scalar2(ir, OP_sub, product(ir, x[i], y[next]), product(ir, x[next], y[i]));
        Node *const own =
            product(ir, share(ir, x, y, i, scalar2(ir, OP_add, bw, extra), scalar2(ir, OP_add, bh, extra)), cross);
        Node *const other =
            product(ir, share(ir, ox, oy, i, scalar2(ir, OP_sub, aw, extra), scalar2(ir, OP_sub, ah, extra)),
                    product(ir, area_b, half));
        Node *const both = scalar2(ir, OP_add, own, other);
        twice = twice ? scalar2(ir, OP_add, twice, both) : both;
    }
    Node *const inter = scalar2(ir, OP_min, product(ir, twice, half), scalar2(ir, OP_min, area_a, area_b));
    return overlaps(ir, inter, area_a, area_b, threshold);
}

/* keep[k] = its score is above the threshold and no box before it that stays overlaps it too much. */
bool keep_boxes_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    const int rank = out->type.rank;
    const bool rotated = attribute_int(lower->node, "rotated", 0) != 0;
    const double threshold = attribute_float(lower->node, "iou_threshold", 0);
    Node *axes[RANK_MAX], *before[RANK_MAX];
    lower_axes(lower, out->type, axes);
    Node *const j = lower_axis(lower, "j", out->type.dims[rank - 1]), *const k = axes[rank - 1];
    for (int i = 0; i < rank; i++)
        before[i] = i == rank - 1 ? j : axes[i];
    const Box own = box_at(lower, axes, rank, k, rotated ? 5 : 4),
              other = box_at(lower, axes, rank, j, rotated ? 5 : 4);
    Node *const close =
        rotated ? rotated_overlap(ir, &other, &own, threshold)
                : corners_overlap(ir, &other, &own, attribute_int(lower->node, "pixels", 0) != 0 ? 1 : 0, threshold);
    Node *const never = const_bool(ir, false);
    Node *const beaten =
        guard_make(ir, scalar2(ir, OP_lt, j, k), guard_make(ir, at_make(ir, out, before), close, never), never);
    Node *const any = fold_make(ir, FOLD_OR, 1, &j, 1, beaten), *const score =
                                                                    lower_at(lower, lower_in(lower, 1), axes);
    Node *const good =
        scalar2(ir, OP_gt, score, number(ir, score, attribute_float(lower->node, "score_threshold", -INFINITY)));
    lower_define_ordered(lower, out, axes, rank, 1, axes, scalar2(ir, OP_and, good, scalar1(ir, OP_not, any)));
    return true;
}

/* ---- the operators ---- */

typedef struct Choice {
    int64_t classes_out, best, most; /* background class or -1; candidates of a class, 0: all; boxes of the result */
    double iou, score;
    bool rotated, pixels, clip;
    Node *boxes, *scores; /* [B, N, C or 1, 4 or 5], [B, N, C] */
} Choice;

typedef struct Chosen {
    Node *boxes, *scores, *classes, *places, *real; /* [B, most, ..]; real: bool, is it one? */
} Chosen;

static Node *top(Ir *ir, Node *x, Node *count, Node **places)
{
    Node *const made = x && count ? tensor_make(ir, OP_TopK, (Node *[]){x, count}, 2, 2, NULL, 0) : NULL;
    *places = made ? node_result(made, 1) : NULL;
    return made ? node_result(made, 0) : NULL;
}

/* min(wanted, dim) as a list of one; wanted 0: the dim. */
static Node *at_most(Ir *ir, int64_t wanted, Node *x, int64_t axis)
{
    Node *const dim = build_reshape(ir, build_dim(ir, x, axis), (int64_t[]){1}, 1);
    return wanted > 0 ? build2(ir, OP_Min, dim, constant_ints(ir, &wanted, 1)) : dim;
}

/* data[.., index, ..] with `batch` leading dims in common. */
static Node *gathered(Ir *ir, Node *data, Node *index, int64_t batch)
{
    return index ? build2_with(ir, OP_GatherND, data, build_unsqueeze(ir, index, (int64_t[]){index->type.rank}, 1),
                               attr_int(ir, "batch_dims", batch))
                 : NULL;
}

/* x with zeros up to `most` along axis 1. */
static Node *filled(Ir *ir, Node *x, int64_t most)
{
    int64_t have;
    if (!x || (const_is_int(x->type.dims[1], &have) && have == most))
        return x;
    Node *const missing =
        build2(ir, OP_Sub, constant_ints(ir, &most, 1), build_reshape(ir, build_dim(ir, x, 1), (int64_t[]){1}, 1));
    const int64_t zeros[RANK_MAX] = {0};
    Node *const parts[3] = {constant_ints(ir, zeros, x->type.rank + 1), missing,
                            constant_ints(ir, zeros, x->type.rank - 2)};
    Node *const padded = build2(ir, OP_Pad, build_cast(ir, x, x->type.dtype == DTYPE_BOOL ? DTYPE_U8 : x->type.dtype),
                                build_concat(ir, (Node **)parts, x->type.rank > 2 ? 3 : 2, 0));
    return build_cast(ir, padded, x->type.dtype);
}

static bool choose(Ir *ir, const Choice *by, Chosen *chosen)
{
    const int64_t parts = by->rotated ? 5 : 4;
    Node *places, *order;
    Node *const scores = build_transpose(ir, by->scores, (int64_t[]){0, 2, 1}, 3);
    Node *const best = top(ir, scores, at_most(ir, by->best, by->scores, 1), &places);
    if (!best)
        return false;
    Node *const boxes = index_is(by->boxes->type.dims[2], 1)
                            ? gathered(ir, build_squeeze(ir, by->boxes, 2), places, 1)
                            : gathered(ir, build_transpose(ir, by->boxes, (int64_t[]){0, 2, 1, 3}, 4), places, 2);
    const Attribute attributes[4] = {attr_float(ir, "iou_threshold", by->iou),
                                     attr_float(ir, "score_threshold", by->score), attr_int(ir, "rotated", by->rotated),
                                     attr_int(ir, "pixels", by->pixels)};
    Node *keep = boxes ? build(ir, OP_lathe_KeepBoxes, (Node *[]){boxes, best}, 2, attributes, 4) : NULL;
    if (by->classes_out >= 0 && keep) {
        Node *const classes = build_unsqueeze(ir, build_count(ir, build_dim(ir, by->scores, 2)), (int64_t[]){1}, 1);
        Node *const wanted =
            build1(ir, OP_Not, build2(ir, OP_Equal, classes, constant_scalar(ir, DTYPE_I64, (double)by->classes_out)));
        keep = build2(ir, OP_And, keep, wanted);
    }
    Node *const masked =
        keep ? build3(ir, OP_Where, keep, best, constant_scalar(ir, best->type.dtype, -INFINITY)) : NULL;
    Node *const flat = masked ? build_reshape(ir, masked, (int64_t[]){0, -1}, 2) : NULL;
    Node *const values = flat ? top(ir, flat, at_most(ir, by->most, flat, 1), &order) : NULL;
    if (!values)
        return false;
    Node *const width = build_dim(ir, best, 2), *const never = constant_scalar(ir, best->type.dtype, -INFINITY);
    Node *const real = build2(ir, OP_Greater, values, never), *const zero = constant_scalar(ir, best->type.dtype, 0);
    Node *picked = gathered(ir, build_reshape(ir, boxes, (int64_t[]){0, -1, parts}, 3), order, 1);
    if (by->clip && picked)
        picked = build3(ir, OP_Clip, picked, zero, constant_scalar(ir, best->type.dtype, 1));
    chosen->boxes = filled(
        ir, real ? build3(ir, OP_Where, build_unsqueeze(ir, real, (int64_t[]){2}, 1), picked, zero) : NULL, by->most);
    chosen->scores = filled(ir, real ? build3(ir, OP_Where, real, values, zero) : NULL, by->most);
    chosen->classes = filled(ir, build2(ir, OP_Div, order, width), by->most);
    chosen->places = filled(ir, gathered(ir, build_reshape(ir, places, (int64_t[]){0, -1}, 2), order, 1), by->most);
    chosen->real = filled(ir, real, by->most);
    return chosen->boxes && chosen->scores && chosen->classes && chosen->places && chosen->real;
}

/* An attribute under its name in exports or in the documentation. */
static double setting(const Node *node, const char *name, const char *other, double otherwise)
{
    for (int i = 0; i < 2; i++) {
        const Attribute *const found = attribute_find(node, i ? other : name);
        if (found)
            return found->kind == ATTRIBUTE_INT     ? (double)found->integer
                   : found->kind == ATTRIBUTE_FLOAT ? found->real
                                                    : otherwise;
    }
    return otherwise;
}

/* Boxes as [B, N, C or 1, parts], scores as [B, N, C]. */
static bool operands_read(Ir *ir, const Node *node, Choice *by)
{
    by->boxes = node->inputs[0];
    by->scores = node->inputs[1];
    if (by->boxes->type.rank == 3)
        by->boxes = build_unsqueeze(ir, by->boxes, (int64_t[]){2}, 1);
    if (by->scores->type.rank == 4)
        by->scores = build_squeeze(ir, by->scores, 2);
    if (!by->boxes || !by->scores || by->boxes->type.rank != 4 || by->scores->type.rank != 3)
        return compose_error(ir, "boxes must be [B, N, C, 4] and scores [B, N, C], not %s and %s",
                             type_text(ir, node->inputs[0]->type), type_text(ir, node->inputs[1]->type));
    if (by->most < 1 || by->most > INT32_MAX || by->best > INT32_MAX)
        return compose_error(ir, "the numbers of boxes are %lld and %lld", (long long)by->best, (long long)by->most);
    return true;
}

/* dets [B, most, parts + 1], labels i32 [B, most] (-1 where there is none) and, when asked for, the places of the
 * boxes. */
static bool batched(Ir *ir, const Node *node, bool rotated, Node **outputs)
{
    Chosen chosen;
    const bool normal = setting(node, "is_normalized", "isNormalized", 1) != 0;
    Choice by = {.classes_out = (int64_t)setting(node, "background_label_id", "backgroundLabelId", -1),
                 .best = (int64_t)setting(node, "topk", "topK", 0),
                 .most = (int64_t)setting(node, "keep_topk", "keepTopK", 0),
                 .iou = setting(node, "iou_threshold", "iouThreshold", 0.5),
                 .score = setting(node, "score_threshold", "scoreThreshold", 0),
                 .rotated = rotated,
                 .pixels = !normal && !rotated,
                 .clip = normal && !rotated && setting(node, "clip_boxes", "clipBoxes", 1) != 0};
    if (!operands_read(ir, node, &by) || !choose(ir, &by, &chosen))
        return false;
    Node *const none = constant_scalar(ir, DTYPE_I64, -1);
    outputs[0] =
        build_concat(ir, (Node *[]){chosen.boxes, build_unsqueeze(ir, chosen.scores, (int64_t[]){2}, 1)}, 2, 2);
    if (node->result_count > 1)
        outputs[1] = build_cast(ir, build3(ir, OP_Where, chosen.real, chosen.classes, none), DTYPE_I32);
    if (node->result_count > 2)
        outputs[2] = build_cast(ir, build3(ir, OP_Where, chosen.real, chosen.places, none), DTYPE_I32);
    return outputs[0] && (node->result_count < 2 || outputs[1]) && (node->result_count < 3 || outputs[2]);
}

bool trt_batched_nms_expand(Ir *ir, const Node *node, Node **outputs)
{
    return batched(ir, node, false, outputs);
}

bool trt_batched_rotated_nms_expand(Ir *ir, const Node *node, Node **outputs)
{
    return batched(ir, node, true, outputs);
}

/* Turned boxes [N, 5] with scores [N]: the places of those that stay, best first. */
bool nms_rotated_make(Ir *ir, const Node *node, Node **outputs)
{
    Node *const boxes = node->inputs[0], *const scores = node->inputs[1], *places;
    const Attribute attributes[2] = {attr_float(ir, "iou_threshold", attribute_float(node, "iou_threshold", 0.5)), attr_int(ir, "rotated", 1)};
    if (boxes->type.rank != 2 || scores->type.rank != 1)
        return compose_error(ir, "boxes must be [N, 5] and scores [N], not %s and %s", type_text(ir, boxes->type), type_text(ir, scores->type));
    Node *const best = top(ir, scores, at_most(ir, 0, scores, 0), &places), *const sorted = places ? build2(ir, OP_Gather, boxes, places) : NULL;
    Node *const keep = sorted ? build(ir, OP_lathe_KeepBoxes, (Node *[]){sorted, best}, 2, attributes, 2) : NULL;
    outputs[0] = keep ? build2(ir, OP_Compress, places, keep) : NULL;
    return outputs[0];
}

/* Centre and size to corners. */
static Node *corners(Ir *ir, Node *boxes)
{
    Node *parts[2];
    if (!boxes || !build_split(ir, boxes, -1, 2, parts))
        return NULL;
    Node *const half = build_number(ir, OP_Mul, parts[1], 0.5);
    return half ? build_concat(ir, (Node *[]){build2(ir, OP_Sub, parts[0], half), build2(ir, OP_Add, parts[0], half)},
                               2, -1)
                : NULL;
}

/* How many, boxes, scores and classes; places without a box hold 0. */
bool efficient_nms_expand(Ir *ir, const Node *node, Node **outputs)
{
    Chosen chosen;
    Choice by = {.classes_out = attribute_int(node, "background_class", -1),
                 .most = attribute_int(node, "max_output_boxes", 100),
                 .iou = attribute_float(node, "iou_threshold", 0.5),
                 .score = attribute_float(node, "score_threshold", 0.25)};
    if (attribute_int(node, "class_agnostic", 0) != 0)
        return refused(ir, REFUSED_NMS_AGNOSTIC);
    if (!operands_read(ir, node, &by))
        return false;
    if (attribute_int(node, "box_coding", 0) == 1 && !(by.boxes = corners(ir, by.boxes)))
        return false;
    if (attribute_int(node, "score_activation", 0) != 0 && !(by.scores = build1(ir, OP_Sigmoid, by.scores)))
        return false;
    if (!choose(ir, &by, &chosen))
        return false;
    Node *const counted = build2_with(ir, OP_ReduceSum, build_cast(ir, chosen.real, DTYPE_I32),
                                      constant_ints(ir, (int64_t[]){1}, 1), attr_int(ir, "keepdims", 1));
    Node *const all[4] = {
        counted, chosen.boxes, chosen.scores,
        build_cast(ir, build3(ir, OP_Where, chosen.real, chosen.classes, constant_scalar(ir, DTYPE_I64, 0)),
                   DTYPE_I32)};
    for (int i = 0; i < 4 && (i == 0 || i < node->result_count); i++)
        if (!(outputs[i] = all[i]))
            return false;
    return true;
}
