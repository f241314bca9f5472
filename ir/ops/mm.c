/* mmdeploy and mmcv: sampling, deformable convolution and regions, by operators of the default domain. Boxes are chosen
 * in mm_nms.c. */
#include "ir/ops/compose.h"
#include "ir/ops/lower.h"
#include "ir/ops/rules.h"

#include <math.h>
#include <string.h>

/* ---- grid_sampler ---- */

bool mm_grid_sampler_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const char *const modes[] = {"linear", "nearest", "cubic"}, *const paddings[] = {"zeros", "border",
                                                                                            "reflection"};
    const int64_t mode = attribute_int(node, "interpolation_mode", 0), padding = attribute_int(node, "padding_mode", 0);
    if (mode < 0 || mode > 2 || padding < 0 || padding > 2)
        return compose_error(ir, "interpolation_mode %lld or padding_mode %lld is unknown", (long long)mode,
                             (long long)padding);
    const Attribute attributes[3] = {attr_int(ir, "align_corners", attribute_int(node, "align_corners", 0) != 0),
                                     attr_string(ir, "mode", modes[mode]),
                                     attr_string(ir, "padding_mode", paddings[padding])};
    outputs[0] = build(ir, OP_GridSample, node->inputs, 2, attributes, 3);
    return outputs[0];
}

/* ---- deformable convolution ---- */

static int64_t int_of(const Node *node, const char *const *names, int64_t otherwise)
{
    for (; *names; names++)
        if (attribute_find(node, *names))
            return attribute_int(node, *names, otherwise);
    return otherwise;
}

/* mask NULL: without modulation. */
static bool deform_build(Ir *ir, const Node *node, Node *mask, Node *weight, Node *bias, Node **outputs)
{
    static const char *const groups[] = {"groups", "group", NULL};
    static const char *const parts[] = {"deform_groups", "deformable_groups", "deformable_group", NULL};
    Attribute attributes[5];
    int counts[3];
    const int64_t *const strides = attribute_ints(node, "stride", &counts[0]),
                         *const pads = attribute_ints(node, "padding", &counts[1]),
                         *const dilations = attribute_ints(node, "dilation", &counts[2]);
    for (int i = 0; i < 3; i++)
        if (counts[i] != 0 && counts[i] != 2)
            return compose_error(ir, "stride, padding and dilation have %d, %d and %d elements, not 2", counts[0],
                                 counts[1], counts[2]);
    const int64_t p[2] = {pads ? pads[0] : 0, pads ? pads[1] : 0}, both[4] = {p[0], p[1], p[0], p[1]}, ones[2] = {1, 1};
    attributes[0] = attr_ints(ir, "strides", strides ? strides : ones, 2);
    attributes[1] = attr_ints(ir, "pads", both, 4);
    attributes[2] = attr_ints(ir, "dilations", dilations ? dilations : ones, 2);
    attributes[3] = attr_int(ir, "group", int_of(node, groups, 1));
    attributes[4] = attr_int(ir, "offset_group", int_of(node, parts, 1));
    Node *const none = omitted_make(ir);
    Node *const inputs[5] = {node->inputs[0], weight, node->inputs[1], bias ? bias : none, mask ? mask : none};
    outputs[0] = build(ir, OP_DeformConv, inputs, mask ? 5 : bias ? 4 : 3, attributes, 5);
    return outputs[0];
}

bool mm_modulated_deform_conv_expand(Ir *ir, const Node *node, Node **outputs)
{
    return deform_build(ir, node, node->inputs[2], node->inputs[3], compose_input(node, 4), outputs);
}

bool mm_deform_conv_expand(Ir *ir, const Node *node, Node **outputs)
{
    return deform_build(ir, node, NULL, node->inputs[2], NULL, outputs);
}

bool mm_instance_norm_expand(Ir *ir, const Node *node, Node **outputs)
{
    return compose_renamed(ir, node, OP_InstanceNormalization, outputs);
}

bool mm_scatter_nd_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const inputs[3] = {node->inputs[0], build_cast(ir, node->inputs[1], DTYPE_I64), node->inputs[2]};
    outputs[0] = build(ir, OP_ScatterND, inputs, 3, NULL, 0);
    return outputs[0];
}

/* ---- regions ---- */

/* Regions [R, 5] are a batch index and corners. */
bool mm_roi_align_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const rois = node->inputs[1];
    const char *const mode = attribute_string(node, "mode", "avg");
    if (rois->type.rank != 2)
        return compose_error(ir, "regions must be [R, 5], not %s", type_text(ir, rois->type));
    if (strcmp(mode, "avg") != 0)
        return refused(ir, REFUSED_MMCV_ALIGN);
    const Attribute attributes[5] = {
        attr_string(ir, "coordinate_transformation_mode",
                    attribute_int(node, "aligned", 1) ? "half_pixel" : "output_half_pixel"),
        attr_int(ir, "output_height", attribute_int(node, "output_height", 1)),
        attr_int(ir, "output_width", attribute_int(node, "output_width", 1)),
        attr_int(ir, "sampling_ratio", attribute_int(node, "sampling_ratio", 0)),
        attr_float(ir, "spatial_scale", attribute_float(node, "spatial_scale", 1))};
    Node *const places = build_cast(ir, build_pick(ir, rois, 1, 0), DTYPE_I64), *const corners =
                                                                                    build_slice(ir, rois, 1, 1, 5);
    outputs[0] = build(ir, OP_RoiAlign, (Node *[]){node->inputs[0], corners, places}, 3, attributes, 5);
    return outputs[0];
}

enum { R_BATCH, R_X, R_Y, R_WIDTH, R_HEIGHT, R_ANGLE, R_NUMBERS, SIZE_MOST = 1 << 12 };

bool roi_align_rotated_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), rois = infer_type(infer, 1);
    const int64_t height = attribute_int(infer->node, "output_height", 0),
                  width = attribute_int(infer->node, "output_width", 0),
                  ratio = attribute_int(infer->node, "sampling_ratio", 0);
    if (x.rank != 4 || rois.rank != 2 || rois.dtype != x.dtype ||
        !infer_same_dim(infer, rois.dims[1], index_const(ir, R_NUMBERS), "columns of the regions"))
        return infer_error(infer, "RoIAlignRotated takes [N,C,H,W] and regions [R,6], not %s and %s", type_text(ir, x),
                           type_text(ir, rois));
    if (height < 1 || width < 1 || height > SIZE_MOST || width > SIZE_MOST || ratio < 0 || ratio > SIZE_MOST)
        return infer_error(infer, "output_height, output_width and sampling_ratio are %lld, %lld and %lld",
                           (long long)height, (long long)width, (long long)ratio);
    infer->types[0] = type_tensor(ir, x.dtype, 4,
                                  (Node *[]){rois.dims[0], x.dims[1], index_const(ir, height), index_const(ir, width)});
    return true;
}

typedef struct Rotated {
    Ir *ir;
    Dtype dtype;
    Node *image; /* x[n, c] */
    Node *batch, *channel;
} Rotated;

static Node *real(const Rotated *of, double value)
{
    return const_float(of->ir, of->dtype, value);
}

/* One direction around a position: pixels and how near they are. Positions up to a pixel outside count as the border.
 */
static Node *pixel(const Rotated *of, Node *position, int axis, Node **low, Node **high)
{
    Ir *const ir = of->ir;
    Node *const extent = of->image->type.dims[axis], *const last = index_sub(ir, extent, index_const(ir, 1));
    Node *const top = cast_make(ir, last, of->dtype);
    Node *const inner = scalar2(ir, OP_min, scalar2(ir, OP_max, position, real(of, 0)), top), *const floor = scalar1(
                                                                                                  ir, OP_floor, inner);
    *low = index_max(ir, index_const(ir, 0), index_min(ir, cast_make(ir, floor, DTYPE_INDEX), last));
    *high = index_min(ir, index_add(ir, *low, index_const(ir, 1)), last);
    return scalar2(ir, OP_sub, inner, floor);
}

static Node *within(const Rotated *of, Node *position, int axis)
{
    Ir *const ir = of->ir;
    Node *const extent = cast_make(ir, of->image->type.dims[axis], of->dtype);
    return scalar2(ir, OP_and, scalar2(ir, OP_ge, position, real(of, -1)), scalar2(ir, OP_le, position, extent));
}

/* The image at a position between pixels; 0 beyond a pixel outside. */
static Node *sample(Lower *lower, const Rotated *of, Node *y, Node *x)
{
    Ir *const ir = of->ir;
    Node *rows[2], *columns[2], *value = NULL;
    Node *const down = pixel(of, y, 2, &rows[0], &rows[1]), *const across = pixel(of, x, 3, &columns[0], &columns[1]);
    for (int corner = 0; corner < 4; corner++) {
        Node *const wy = corner & 2 ? down : scalar2(ir, OP_sub, real(of, 1), down), *const wx =
                                                                                         corner & 1
                                                                                             ? across
                                                                                             : scalar2(ir, OP_sub,
                                                                                                       real(of, 1),
                                                                                                       across);
        Node *const at[4] = {of->batch, of->channel, rows[corner >> 1], columns[corner & 1]};
        Node *const term = scalar2(ir, OP_mul, scalar2(ir, OP_mul, wy, wx), lower_at(lower, of->image, at));
        value = value ? scalar2(ir, OP_add, value, term) : term;
    }
    return guard_make(ir, scalar2(ir, OP_and, within(of, y, 2), within(of, x, 3)), value, real(of, 0));
}

/* y[r, c, i, j] = mean over the points of bin (i, j) of the region, which is turned around its centre. */
bool roi_align_rotated_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const rois = lower_in(lower, 1), *const out = lower_out(lower, 0);
    const Dtype dtype = dtype_compute(x->type.dtype);
    const bool aligned = attribute_int(lower->node, "aligned", 1) != 0;
    const int64_t ratio = attribute_int(lower->node, "sampling_ratio", 0);
    Node *axes[4], *region[R_NUMBERS], *grid[2], *offset[2];
    lower_axes(lower, out->type, axes);
    for (int k = 0; k < R_NUMBERS; k++)
        region[k] = lower_at(lower, rois, (Node *[]){axes[0], index_const(ir, k)});
    Rotated of = {.ir = ir, .dtype = dtype, .image = x, .channel = axes[1]};
    of.batch = bound_make(ir, cast_make(ir, region[R_BATCH], DTYPE_INDEX), x->type.dims[0]);
    Node *const scale = real(&of, attribute_float(lower->node, "spatial_scale", 1));
    Node *reduced[2], *points[2];
    for (int d = 0; d < 2; d++) { /* 0 down, 1 across */
        Node *size = scalar2(ir, OP_mul, region[d ? R_WIDTH : R_HEIGHT], scale);
        if (!aligned)
            size = scalar2(ir, OP_max, size, real(&of, 1));
        Node *const bin = scalar2(ir, OP_div, size, cast_make(ir, out->type.dims[2 + d], dtype));
        Node *const count = ratio ? index_const(ir, ratio) : cast_make(ir, scalar1(ir, OP_ceil, bin), DTYPE_INDEX);
        points[d] =
            ratio ? count : index_max(ir, index_const(ir, 0), bound_make(ir, count, index_const(ir, SIZE_MOST)));
        reduced[d] = lower_axis(lower, d ? "q" : "p", points[d]);
        grid[d] = scalar2(ir, OP_div, bin, cast_make(ir, points[d], dtype));
        Node *const begin = scalar2(ir, OP_add, scalar2(ir, OP_mul, size, real(&of, -0.5)),
                                    scalar2(ir, OP_mul, cast_make(ir, axes[2 + d], dtype), bin));
        Node *const step =
            scalar2(ir, OP_mul, scalar2(ir, OP_add, cast_make(ir, reduced[d], dtype), real(&of, 0.5)), grid[d]);
        offset[d] = scalar2(ir, OP_add, begin, step);
    }
    const double turn = attribute_int(lower->node, "clockwise", 0) != 0 ? -1 : 1;
    Node *const angle = scalar2(ir, OP_mul, region[R_ANGLE], real(&of, turn)), *const shift =
                                                                                   real(&of, aligned ? 0.5 : 0);
    Node *const cosine = scalar1(ir, OP_cos, angle), *const sine = scalar1(ir, OP_sin, angle);
    Node *const cy = scalar2(ir, OP_sub, scalar2(ir, OP_mul, region[R_Y], scale), shift),
                *const cx = scalar2(ir, OP_sub, scalar2(ir, OP_mul, region[R_X], scale), shift);
    Node *const py =
        scalar2(ir, OP_add,
                scalar2(ir, OP_sub, scalar2(ir, OP_mul, offset[0], cosine), scalar2(ir, OP_mul, offset[1], sine)), cy);
    Node *const px =
        scalar2(ir, OP_add,
                scalar2(ir, OP_add, scalar2(ir, OP_mul, offset[0], sine), scalar2(ir, OP_mul, offset[1], cosine)), cx);
    Node *const sum = fold_make(ir, FOLD_SUM, 1, reduced, 2, sample(lower, &of, py, px));
    Node *const count = index_max(ir, index_const(ir, 1), index_mul(ir, points[0], points[1]));
    lower_define(lower, out, axes, 4, scalar2(ir, OP_div, sum, cast_make(ir, count, dtype)));
    return true;
}
