/* NonMaxSuppression: boxes in the order of their scores, without those that overlap one chosen before.
 *
 * Boxes become corners and areas once, for all classes. What a class's score threshold leaves stands in a heap, so that
 * no more is put in order than is looked at until enough boxes are chosen; a box is compared with the chosen ones only,
 * sixteen at a time. */
#include "ir/ops/build.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/ops/select.h"
#include "ir/ops/sort.h"

#include <math.h>

enum { INPUT_BOXES, INPUT_SCORES, INPUT_MOST, INPUT_OVERLAP, INPUT_SCORE, INPUTS };
enum { X_LOW, X_HIGH, Y_LOW, Y_HIGH, AREA, FACTS };
enum { BUCKETS = 256, BUCKETS_FEW = BUCKETS / 8, LANES = 16 };

/* Outputs: how many are chosen [1], where each class's begin [B * C + 1], the boxes chosen [B, C, S]. */
bool nms_select_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type boxes = infer_type(infer, INPUT_BOXES), scores = infer_type(infer, INPUT_SCORES);
    if (boxes.rank != 3 || scores.rank != 3 || boxes.dtype != scores.dtype)
        return infer_error(infer, "boxes are %s and scores %s: both must have three dims and one type",
                           type_text(ir, boxes), type_text(ir, scores));
    if (!infer_same_dim(infer, boxes.dims[2], index_const(ir, 4), "the last dim of the boxes") ||
        !infer_same_dim(infer, boxes.dims[0], scores.dims[0], "the batches of boxes and scores") ||
        !infer_same_dim(infer, boxes.dims[1], scores.dims[2], "the boxes of boxes and scores"))
        return false;
    for (int i = INPUT_MOST; i < INPUTS; i++)
        if (infer_has(infer, i) && (!index_is(type_elements(ir, infer_type(infer, i)), 1) ||
                                    infer_type(infer, i).dtype != (i == INPUT_MOST ? DTYPE_I64 : DTYPE_F32)))
            return infer_error(infer, "input %d must be one %s, not %s", i, i == INPUT_MOST ? "i64" : "f32",
                               type_text(ir, infer_type(infer, i)));
    Node *const one = index_const(ir, 1), *const classes = index_mul(ir, scores.dims[0], scores.dims[1]);
    infer->types[0] = type_tensor(ir, DTYPE_I64, 1, &one);
    infer->types[1] = type_tensor(ir, DTYPE_I64, 1, (Node *[]){index_add(ir, classes, one)});
    infer->types[2] = type_tensor(ir, position_dtype(ir, scores.dims[2]), 3, scores.dims);
    return true;
}

/* Corners and areas: [batch, fact, box]. */
static Node *define_facts(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const boxes = lower_in(lower, INPUT_BOXES);
    const bool center = attribute_int(lower->node, "center_point_box", 0) != 0;
    const Dtype dtype = dtype_compute(boxes->type.dtype);
    Node *const dims[3] = {boxes->type.dims[0], index_const(ir, FACTS), boxes->type.dims[1]};
    Node *const facts = lower_temp(lower, "boxes", dtype, 3, dims);
    for (int fact = 0; fact < FACTS; fact++) {
        Node *const batch = lower_axis(lower, "batch", dims[0]), *const box = lower_axis(lower, "box", dims[2]);
        Node *corner[4], *values[FACTS];
        for (int i = 0; i < 4; i++)
            corner[i] = lower_at(lower, boxes, (Node *[]){batch, box, index_const(ir, i)});
        for (int i = 0; i < 2; i++) { /* x, then y */
            Node *const first = corner[center ? i : 1 - i], *const second = corner[center ? i + 2 : 3 - i];
            Node *const half = scalar2(ir, OP_div, second, const_float(ir, dtype, 2));
            values[2 * i] = center ? scalar2(ir, OP_sub, first, half) : scalar2(ir, OP_min, first, second);
            values[2 * i + 1] = center ? scalar2(ir, OP_add, first, half) : scalar2(ir, OP_max, first, second);
        }
        values[AREA] = scalar2(ir, OP_mul, scalar2(ir, OP_sub, values[X_HIGH], values[X_LOW]),
                               scalar2(ir, OP_sub, values[Y_HIGH], values[Y_LOW]));
        lower_define_box(lower, facts, (Node *[]){batch, box}, 2, (Node *[]){batch, index_const(ir, fact), box},
                         values[fact]);
    }
    return facts;
}

typedef struct Nms {
    Lower *lower;
    Node *facts, *kept; /* [batch, fact, box]; the chosen ones of a class [class, block, fact, lane] */
    Node *next;         /* of lists of blocks of chosen boxes: [class, block] */
    Ranking ranking;
    Node *boxes; /* of a batch */
    Node *row;   /* of this class in scores, keys, items and selected */
    Node *box_base, *kept_base, *next_base;
    Node *selected, *counts;
} Nms;

/* At most so many boxes of this class: the input, 0 where it is not given. */
static Node *most_boxes(Procedure *p, const Nms *nms)
{
    Node *const zero = index_const(p->ir, 0);
    if (!lower_has(nms->lower, INPUT_MOST))
        return zero;
    return index_min(p->ir, procedure_read_index(p, lower_in(nms->lower, INPUT_MOST), zero), nms->boxes);
}

static Node *threshold(Procedure *p, const Nms *nms, int input, Dtype dtype)
{
    Node *const zero = index_const(p->ir, 0);
    if (!lower_has(nms->lower, input))
        return const_float(p->ir, dtype, 0);
    return cast_make(p->ir, procedure_read(p, lower_in(nms->lower, input), zero), dtype);
}

/* The boxes above the score threshold become items; the variable of their number. */
static Node *take_candidates(Procedure *p, const Nms *nms)
{
    Ir *const ir = p->ir;
    Node *const scores = lower_in(nms->lower, INPUT_SCORES), *const zero = index_const(ir, 0);
    Node *const least = threshold(p, nms, INPUT_SCORE, dtype_compute(scores->type.dtype));
    Node *const count = procedure_var(p, zero);
    Node *const box = procedure_for(p, "box", zero, nms->boxes);
    {
        const bool all = !lower_has(nms->lower, INPUT_SCORE);
        if (!all)
            procedure_if(p, scalar2(ir, OP_gt, procedure_read(p, scores, index_add(ir, nms->row, box)), least));
        Node *const place = procedure_get(p, count);
        ranking_put(p, &nms->ranking, place, box);
        procedure_set(p, count, index_add(ir, place, index_const(ir, 1)));
        if (!all)
            procedure_end(p);
    }
    procedure_end(p);
    return count;
}

/* Of the facts of a batch: fact by fact. */
static Node *box_fact(Procedure *p, const Nms *nms, int fact, Node *box)
{
    Node *const row = index_mul(p->ir, index_const(p->ir, fact), nms->boxes);
    return procedure_read(p, nms->facts, index_add(p->ir, nms->box_base, index_add(p->ir, row, box)));
}

/* Of the chosen ones: the sixteen of a block, fact by fact. */
static Node *kept_place(const Procedure *p, const Nms *nms, int fact, Node *block)
{
    Node *const row = index_add(p->ir, index_mul(p->ir, block, index_const(p->ir, FACTS)), index_const(p->ir, fact));
    return index_add(p->ir, nms->kept_base, index_mul(p->ir, row, index_const(p->ir, LANES)));
}

/* ---- buckets: chosen boxes by their left sides ---- */

/* A box overlaps only those whose left side is between its own, less the width of the widest, and its right side. Their
 * number in a list per stretch of x is small where boxes are spread; where they are not, one list is as good as none. A
 * list has its boxes in blocks of sixteen, so that a box is compared with as many at once; what is not filled of a
 * block is boxes without area. Sides that are no numbers fall into the first bucket, and overlap nothing. */
typedef struct Buckets {
    Node *heads;  /* the newest block of each list, and in `next` the one before each block; -1: none */
    Node *counts; /* boxes of each list */
    Node *origin, *scale;
    Node *widest, *blocks; /* variables */
} Buckets;

static Node *bucket_of(const Procedure *p, const Buckets *buckets, Node *x)
{
    Ir *const ir = p->ir;
    Node *const place = scalar2(ir, OP_mul, scalar2(ir, OP_sub, x, buckets->origin), buckets->scale);
    return index_max(ir, index_min(ir, cast_make(ir, place, DTYPE_INDEX), index_const(ir, BUCKETS - 1)),
                     index_const(ir, 0));
}

static Buckets buckets_open(Procedure *p, const Nms *nms, Node *count)
{
    Ir *const ir = p->ir;
    const Dtype dtype = nms->facts->type.dtype;
    Node *const zero = index_const(ir, 0);
    Buckets buckets = {.heads = procedure_local(p, "heads", DTYPE_I64, BUCKETS),
                       .counts = procedure_local(p, "in_list", DTYPE_I64, BUCKETS),
                       .widest = procedure_var(p, const_float(ir, dtype, 0)),
                       .blocks = procedure_var(p, zero)};
    Node *const i = procedure_for(p, "bucket", zero, index_const(ir, BUCKETS));
    procedure_write(p, buckets.heads, i, index_const(ir, -1));
    procedure_write(p, buckets.counts, i, zero);
    procedure_end(p);
    Node *const low = procedure_var(p, const_float(ir, dtype, INFINITY)), *const high = procedure_var(
                                                                              p, const_float(ir, dtype, -INFINITY));
    Node *const j = procedure_for(p, "candidate", zero, count);
    Node *const x = box_fact(p, nms, X_LOW, ranking_item(p, &nms->ranking, j));
    procedure_set(p, low, scalar2(ir, OP_min, procedure_get(p, low), x));
    procedure_set(p, high, scalar2(ir, OP_max, procedure_get(p, high), x));
    procedure_end(p);
    buckets.origin = procedure_get(p, low);
    Node *const range = scalar2(ir, OP_sub, procedure_get(p, high), buckets.origin);
    buckets.scale = scalar2(ir, OP_div, const_float(ir, dtype, BUCKETS), range);
    return buckets;
}

/* A block without boxes becomes the newest of the list. */
static void buckets_open_block(Procedure *p, const Nms *nms, const Buckets *buckets, Node *bucket)
{
    Ir *const ir = p->ir;
    Node *const block = procedure_get(p, buckets->blocks);
    Node *const none = splat_make(ir, const_float(ir, nms->facts->type.dtype, 0), LANES);
    procedure_write(p, nms->next, index_add(ir, nms->next_base, block),
                    procedure_read_index(p, buckets->heads, bucket));
    procedure_write(p, buckets->heads, bucket, block);
    for (int fact = 0; fact < FACTS; fact++)
        procedure_write(p, nms->kept, kept_place(p, nms, fact, block), none);
    procedure_add(p, buckets->blocks, 1);
}

static void buckets_add(Procedure *p, const Nms *nms, const Buckets *buckets, Node *const *box)
{
    Ir *const ir = p->ir;
    Node *const bucket = bucket_of(p, buckets, box[X_LOW]), *const count =
                                                                procedure_read_index(p, buckets->counts, bucket);
    Node *const lane = index_mod(ir, count, index_const(ir, LANES));
    procedure_if(p, scalar2(ir, OP_eq, lane, index_const(ir, 0)));
    buckets_open_block(p, nms, buckets, bucket);
    procedure_end(p);
    Node *const block = procedure_read_index(p, buckets->heads, bucket);
    for (int fact = 0; fact < FACTS; fact++)
        procedure_write(p, nms->kept, index_add(ir, kept_place(p, nms, fact, block), lane), box[fact]);
    procedure_write(p, buckets->counts, bucket, index_add(ir, count, index_const(ir, 1)));
    Node *const width = scalar2(ir, OP_sub, box[X_HIGH], box[X_LOW]);
    procedure_set(p, buckets->widest, scalar2(ir, OP_max, procedure_get(p, buckets->widest), width));
}

/* Do two boxes overlap by more than the limit? Boxes without area overlap nothing. */
static Node *overlap(Ir *ir, Node *const *a, Node *const *b, Node *limit)
{
    Node *const zero = const_float(ir, limit->type.dtype, 0);
    Node *const width =
        scalar2(ir, OP_sub, scalar2(ir, OP_min, a[X_HIGH], b[X_HIGH]), scalar2(ir, OP_max, a[X_LOW], b[X_LOW]));
    Node *const height =
        scalar2(ir, OP_sub, scalar2(ir, OP_min, a[Y_HIGH], b[Y_HIGH]), scalar2(ir, OP_max, a[Y_LOW], b[Y_LOW]));
    Node *const both = scalar2(ir, OP_mul, scalar2(ir, OP_max, width, zero), scalar2(ir, OP_max, height, zero));
    Node *const all = scalar2(ir, OP_sub, scalar2(ir, OP_add, a[AREA], b[AREA]), both);
    Node *const areas = scalar2(ir, OP_and, scalar2(ir, OP_gt, a[AREA], zero), scalar2(ir, OP_gt, b[AREA], zero));
    Node *const some = scalar2(ir, OP_and, scalar2(ir, OP_gt, both, zero), scalar2(ir, OP_gt, all, zero));
    Node *const much = scalar2(ir, OP_gt, scalar2(ir, OP_div, both, all), limit);
    return scalar2(ir, OP_and, scalar2(ir, OP_and, areas, some), much);
}

/* Compares with the boxes of a block; leaves the innermost loop when one of them overlaps. */
static void compare_block(Procedure *p, const Nms *nms, Node *const *box, Node *block, Node *limit, Node *apart)
{
    Ir *const ir = p->ir;
    Node *facts[FACTS];
    for (int fact = 0; fact < FACTS; fact++)
        facts[fact] = procedure_read_lanes(p, nms->kept, kept_place(p, nms, fact, block), LANES);
    Node *const any = node_make(ir, &(Node){.op = OP_reduce,
                                            .type = type_scalar(DTYPE_BOOL),
                                            .inputs = (Node *[]){overlap(ir, box, facts, limit)},
                                            .input_count = 1,
                                            .payload.fold = {FOLD_OR, 1}});
    procedure_set(p, apart, scalar1(ir, OP_not, any));
    procedure_break(p, scalar1(ir, OP_not, procedure_get(p, apart)));
}

/* Is the box apart from all that are chosen? A variable. Wide boxes go through all blocks in order, which is faster
 * than through most of the lists. */
static Node *is_apart(Procedure *p, const Nms *nms, const Buckets *buckets, Node *const *box, Node *limit)
{
    Ir *const ir = p->ir;
    const Dtype dtype = nms->facts->type.dtype;
    Node *const zero = index_const(ir, 0), *const one = index_const(ir, 1),
                *const apart = procedure_var(p, const_bool(ir, true));
    /* A little more than the widest: a width is rounded, a side less a width rounds as sides are ordered. */
    Node *const reach = scalar2(ir, OP_mul, procedure_get(p, buckets->widest), const_float(ir, dtype, 1.00001));
    Node *const first = bucket_of(p, buckets, scalar2(ir, OP_sub, box[X_LOW], reach)), *const last = bucket_of(
                                                                                           p, buckets, box[X_HIGH]);
    procedure_if_else(p, scalar2(ir, OP_gt, index_sub(ir, last, first), index_const(ir, BUCKETS_FEW)));
    Node *const each = procedure_for(p, "block", zero, procedure_get(p, buckets->blocks));
    compare_block(p, nms, box, each, limit, apart);
    procedure_end(p);
    procedure_else(p);
    Node *const bucket = procedure_for(p, "bucket", first, index_add(ir, last, one));
    Node *const place = procedure_var(p, procedure_read_index(p, buckets->heads, bucket));
    procedure_loop(p);
    {
        Node *const block = procedure_get(p, place);
        procedure_break(p, scalar2(ir, OP_lt, block, zero));
        compare_block(p, nms, box, block, limit, apart);
        procedure_set(p, place, procedure_read_index(p, nms->next, index_add(ir, nms->next_base, block)));
    }
    procedure_end(p);
    procedure_break(p, scalar1(ir, OP_not, procedure_get(p, apart)));
    procedure_end(p);
    procedure_end(p);
    return apart;
}

/* ---- choosing ---- */

/* The best of the candidates, which leaves the heap of `count`. */
static Node *take_best(Procedure *p, const Nms *nms, Node *count)
{
    Ir *const ir = p->ir;
    Node *const zero = index_const(ir, 0), *const rest = index_sub(ir, count, index_const(ir, 1));
    Node *const best = ranking_item(p, &nms->ranking, zero);
    ranking_put(p, &nms->ranking, zero, ranking_item(p, &nms->ranking, rest));
    heap_sift(p, &nms->ranking, zero, rest, true);
    return best;
}

static void choose(Procedure *p, const Nms *nms)
{
    Ir *const ir = p->ir;
    Node *const zero = index_const(ir, 0), *const one = index_const(ir, 1);
    Node *const most = most_boxes(p, nms), *const limit = threshold(p, nms, INPUT_OVERLAP, nms->facts->type.dtype);
    Node *const left = take_candidates(p, nms), *const chosen = procedure_var(p, zero);
    const Buckets buckets = buckets_open(p, nms, procedure_get(p, left));
    heap_build(p, &nms->ranking, procedure_get(p, left), true);
    procedure_loop(p);
    {
        Node *const count = procedure_get(p, left), *const done = procedure_get(p, chosen), *facts[FACTS];
        procedure_break(p, scalar2(ir, OP_or, scalar2(ir, OP_le, count, zero), scalar2(ir, OP_ge, done, most)));
        Node *const best = take_best(p, nms, count);
        procedure_set(p, left, index_sub(ir, count, one));
        for (int fact = 0; fact < FACTS; fact++)
            facts[fact] = box_fact(p, nms, fact, best);
        Node *const apart = is_apart(p, nms, &buckets, facts, limit);
        procedure_if(p, procedure_get(p, apart));
        buckets_add(p, nms, &buckets, facts);
        procedure_write(p, nms->selected, index_add(ir, nms->row, done), best);
        procedure_set(p, chosen, index_add(ir, done, one));
        procedure_end(p);
    }
    procedure_end(p);
    procedure_write(p, nms->counts, p->unit, procedure_get(p, chosen));
    Node *const unused = procedure_for(p, "unused", procedure_get(p, chosen), nms->boxes);
    procedure_write(p, nms->selected, index_add(ir, nms->row, unused), zero);
    procedure_end(p);
}

bool nms_select_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const scores = lower_in(lower, INPUT_SCORES);
    Node *const *const dims = scores->type.dims;
    Node *const rows = index_mul(ir, dims[0], dims[1]);
    Nms nms = {.lower = lower, .boxes = dims[2], .selected = lower_out(lower, 2)};
    nms.facts = define_facts(lower);
    Node *axes[3];
    lower_axes(lower, scores->type, axes);
    Node *const key = key_of(ir, lower_at(lower, scores, axes), true);
    Node *const keys = lower_temp(lower, "keys", key->type.dtype, 3, dims);
    lower_define(lower, keys, axes, 3, key);
    /* Each list has at most one block that is not full. */
    Node *const lanes = index_const(ir, LANES);
    Node *const blocks =
        index_min(ir, dims[2], index_add(ir, index_floordiv(ir, dims[2], lanes), index_const(ir, BUCKETS)));
    Node *const block = index_const(ir, FACTS * LANES);
    nms.kept = lower_temp(lower, "kept", nms.facts->type.dtype, 3, (Node *[]){rows, blocks, block});
    nms.next = lower_temp(lower, "next", nms.selected->type.dtype, 2, (Node *[]){rows, blocks});
    nms.counts = lower_temp(lower, "counts", DTYPE_I64, 1, &rows);
    Node *const items = lower_temp(lower, "items", nms.selected->type.dtype, 3, dims);
    Procedure p = procedure_open(lower, "nms", rows);
    Node *const facts = index_mul(ir, index_const(ir, FACTS), dims[2]);
    nms.row = index_mul(ir, p.unit, dims[2]);
    nms.box_base = index_mul(ir, index_floordiv(ir, p.unit, dims[1]), facts);
    nms.next_base = index_mul(ir, p.unit, blocks);
    nms.kept_base = index_mul(ir, nms.next_base, block);
    nms.ranking = (Ranking){keys, nms.row, index_const(ir, 1), items, nms.row};
    choose(&p, &nms);
    procedure_close(&p);
    starts_lower(lower, nms.counts, rows, lower_out(lower, 1), lower_out(lower, 0));
    return true;
}

/* ---- the result ---- */

/* Inputs: selected, starts, how many. */
bool nms_fill_shape(Infer *infer)
{
    Node *const size = size_read(infer, 2);
    if (!size)
        return false;
    infer->types[0] = type_tensor(infer->ir, DTYPE_I64, 2, (Node *[]){size, index_const(infer->ir, 3)});
    return true;
}

/* Rows of batch, class and box. */
bool nms_fill_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const selected = lower_in(lower, 0), *const starts = lower_in(lower, 1), *const out = lower_out(lower, 0);
    Node *const *const dims = selected->type.dims;
    Node *const zero = index_const(ir, 0), *const one = index_const(ir, 1), *const three = index_const(ir, 3);
    Procedure p = procedure_open(lower, "nms_fill", index_mul(ir, dims[0], dims[1]));
    Node *const start = procedure_read_index(&p, starts, p.unit);
    Node *const end = procedure_read_index(&p, starts, index_add(ir, p.unit, one));
    procedure_if(&p, scalar2(ir, OP_and, scalar2(ir, OP_ge, start, zero), scalar2(ir, OP_le, end, out->type.dims[0])));
    Node *const many = index_min(ir, index_sub(ir, end, start), dims[2]);
    Node *const i = procedure_for(&p, "i", zero, many);
    Node *const to = index_mul(ir, index_add(ir, start, i), three), *const batch = index_floordiv(ir, p.unit, dims[1]);
    procedure_write(&p, out, to, batch);
    procedure_write(&p, out, index_add(ir, to, one), index_sub(ir, p.unit, index_mul(ir, batch, dims[1])));
    procedure_write(&p, out, index_add(ir, to, index_const(ir, 2)),
                    procedure_read_index(&p, selected, index_add(ir, index_mul(ir, p.unit, dims[2]), i)));
    procedure_end(&p);
    procedure_end(&p);
    procedure_close(&p);
    return true;
}

bool nms_make(Ir *ir, const Node *node, Node **outputs)
{
    Node *const found = tensor_make(ir, OP_lathe_NmsSelect, node->inputs, (int)node->input_count, 3, node->attributes,
                                    node->attribute_count);
    Node *const size = found ? read_sizes_make(ir, node_result(found, 0)) : NULL;
    outputs[0] = size ? build3(ir, OP_lathe_NmsFill, node_result(found, 2), node_result(found, 1), size) : NULL;
    return outputs[0] != NULL;
}
