"""Writes tests/ir/op_detect_tables.h: operators of mmdeploy, mmcv and TensorRT's plugins, and those that ONNX has dropped.

Run from the root: python3 tests/ir/op_detect_tables.py > tests/ir/op_detect_tables.h
What ONNX has under another name is asked of its reference evaluator; turned regions and the choice of boxes are written down once more, the plain way.
"""
import math

import numpy as np
from onnx import ValueInfoProto, helper
from onnx.reference import ReferenceEvaluator

import family_cases
from family_cases import K, case, rng, write


def real(*shape, low=-2.0, high=2.0):
    return (np.round(family_cases.real(*shape, low=low, high=high) * 64) / 64).astype(np.float32)


def reference(op, *inputs, **attributes):
    names = [f"i{k}" for k in range(len(inputs))]
    values = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in zip(names, inputs)]
    graph = helper.make_graph([helper.make_node(op, names, ["o"], **attributes)], "g", values, [ValueInfoProto(name="o")])
    return ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])).run(None, dict(zip(names, inputs)))


# ---- under another name ----
X, GRID = real(1, 2, 5, 6), real(1, 3, 4, 2, low=-1.25, high=1.25)
for mode, name in enumerate(("linear", "nearest", "cubic")):
    for padding, fill in enumerate(("zeros", "border", "reflection")):
        case(f"grid-sampler-{name}-{fill}", "mmdeploy_grid_sampler", X, GRID, interpolation_mode=mode, padding_mode=padding, align_corners=1, tolerance=1e-4,
             expected=reference("GridSample", X, GRID, mode=name, padding_mode=fill, align_corners=1))
X, W, OFFSET, MASK, BIAS = real(1, 4, 5, 4), real(6, 2, 3, 3), real(1, 36, 5, 4), real(1, 18, 5, 4, low=0), real(6)
case("modulated-deform-conv", "mmdeploy_MMCVModulatedDeformConv2d", X, OFFSET, MASK, K(W), K(BIAS), stride=[1, 1], padding=[1, 1], dilation=[1, 1], groups=2,
     deform_groups=2, tolerance=1e-4, expected=reference("DeformConv", X, W, OFFSET, BIAS, MASK, pads=[1, 1, 1, 1], group=2, offset_group=2))
case("deform-conv", "mmcv_MMCVDeformConv2d", X, OFFSET, K(W), stride=[1, 1], padding=[1, 1], dilation=[1, 1], groups=2, deform_groups=2, tolerance=1e-4,
     expected=reference("DeformConv", X, W, OFFSET, pads=[1, 1, 1, 1], group=2, offset_group=2))
X, ROIS = real(2, 2, 7, 6), np.array([[0, 1, 2, 8, 9], [1, 4, 3, 7, 9]], np.float32)
case("mmcv-roi-align", "mmdeploy_MMCVRoIAlign", X, ROIS, output_height=3, output_width=4, sampling_ratio=2, spatial_scale=0.5, tolerance=1e-4,
     expected=reference("RoiAlign", X, ROIS[:, 1:], ROIS[:, 0].astype(np.int64), output_height=3, output_width=4, sampling_ratio=2, spatial_scale=0.5))


# ---- turned regions ----
def interpolated(image, y, x):
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right, dy, dx = min(top + 1, height - 1), min(left + 1, width - 1), y - top, x - left
    return (1 - dy) * ((1 - dx) * image[:, top, left] + dx * image[:, top, right]) + dy * ((1 - dx) * image[:, bottom, left] + dx * image[:, bottom, right])


def turned(x, rois, size, scale, ratio, aligned, clockwise):
    y = np.zeros((len(rois), x.shape[1], *size))
    for r, (batch, cx, cy, width, height, angle) in enumerate(rois.astype(np.float64)):
        cx, cy, extents = cx * scale - 0.5 * aligned, cy * scale - 0.5 * aligned, [height * scale, width * scale]
        if not aligned:
            extents = [max(e, 1) for e in extents]
        angle = -angle if clockwise else angle
        points = [ratio or math.ceil(e / s) for e, s in zip(extents, size)]
        for i, j in np.ndindex(*size):
            for p, q in np.ndindex(*points):
                down, across = [e * (-0.5 + (k + (n + 0.5) / c) / s) for e, k, n, c, s in zip(extents, (i, j), (p, q), points, size)]
                y[r, :, i, j] += interpolated(x[int(batch)], down * math.cos(angle) - across * math.sin(angle) + cy,
                                              down * math.sin(angle) + across * math.cos(angle) + cx)
            y[r, :, i, j] /= max(points[0] * points[1], 1)
    return [y.astype(np.float32)]


ROIS = np.array([[0, 6, 7, 8, 5, 0.4], [1, 4, 9, 7, 6, -1.25], [0, 0, 0, 5, 5, 2.5], [1, 13, 12, 20, 3, 0.1]], np.float32)
for ratio, aligned, clockwise in ((2, 1, 0), (0, 1, 1), (0, 0, 0)):
    case(f"roi-align-rotated-{ratio}-{aligned}", "mmdeploy_MMCVRoIAlignRotated", X, ROIS, output_height=2, output_width=3, spatial_scale=0.5,
         sampling_ratio=ratio, aligned=aligned, clockwise=clockwise, tolerance=1e-4, expected=turned(X, ROIS, (2, 3), 0.5, ratio, aligned, clockwise))


# ---- boxes ----
def polygon(box):
    x, y, w, h, angle = box
    c, s = math.cos(angle), math.sin(angle)
    return [(x + c * u * w - s * v * h, y + s * u * w + c * v * h) for u, v in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))]


def shared_area(a, b):
    """Of two turned boxes: the one is cut along the sides of the other."""
    left, knife = polygon(a), polygon(b)
    for (x1, y1), (x2, y2) in zip(knife, knife[1:] + knife[:1]):
        sides, rest = [(x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) for x, y in left], []
        for k, p in enumerate(left):
            n = (k + 1) % len(left)
            if sides[k] >= 0:
                rest.append(p)
            if sides[k] * sides[n] < 0:
                t = sides[k] / (sides[k] - sides[n])
                rest.append((p[0] + t * (left[n][0] - p[0]), p[1] + t * (left[n][1] - p[1])))
        left = rest
        if not left:
            return 0
    return abs(sum(p[0] * q[1] - q[0] * p[1] for p, q in zip(left, left[1:] + left[:1]))) / 2


def overlap(a, b, pixel):
    if len(a) == 5:
        shared = shared_area(a, b)
        return shared / (a[2] * a[3] + b[2] * b[3] - shared)
    shared = np.prod([max(0, min(a[2 + d], b[2 + d]) - max(a[d], b[d]) + pixel) for d in (0, 1)])
    return shared / (np.prod([a[2 + d] - a[d] + pixel for d in (0, 1)]) + np.prod([b[2 + d] - b[d] + pixel for d in (0, 1)]) - shared)


def choice(boxes, scores, best, most, iou, least, background=-1, pixel=0, clip=False, none=-1):
    batch, _, classes = scores.shape
    dets = np.zeros((batch, most, boxes.shape[-1] + 1), np.float32)
    labels, counts = np.full((batch, most), none, np.int32), np.zeros((batch, 1), np.int32)
    for b in range(batch):
        kept = []
        for c in set(range(classes)) - {background}:
            own = boxes[b, :, min(c, boxes.shape[2] - 1)]
            chosen = []
            for i in np.argsort(-scores[b, :, c], kind="stable")[:best]:
                if scores[b, i, c] > least and all(overlap(own[j].astype(float), own[i].astype(float), pixel) <= iou for j in chosen):
                    chosen.append(i)
            kept += [(scores[b, i, c], c, own[i]) for i in chosen]
        kept.sort(key=lambda k: -k[0])
        for k, (score, c, box) in enumerate(kept[:most]):
            dets[b, k], labels[b, k] = [*(np.clip(box, 0, 1) if clip else box), score], c
        counts[b] = min(len(kept), most)
    return dets, labels, counts


def some_boxes(count, classes, rotated):
    centre, size = rng.uniform(0, 16, (2, count, classes, 2)), rng.uniform(3, 9, (2, count, classes, 2))
    boxes = np.concatenate([centre, size, rng.uniform(-3, 3, (2, count, classes, 1))], -1) if rotated else np.concatenate([centre - size / 2, centre + size / 2], -1)
    boxes[:, 1] = boxes[:, 0]  # the same box twice: one of them goes
    return (np.round(boxes * 64) / 64).astype(np.float32)


SCORES = (rng.permutation(2 * 12 * 2).reshape(2, 12, 2) / 64).astype(np.float32)
for rotated in (False, True):
    for classes, best, most, background in ((1, 9, 8, -1), (2, 12, 30, 1)):
        boxes = some_boxes(12, classes, rotated)
        dets, labels, _ = choice(boxes, SCORES, best, most, 0.3, 0.2, background, 0 if rotated else 1)
        case(f"trt-batched-nms-{classes}{'-rotated' * rotated}", "mmdeploy_TRTBatchedRotatedNMS" if rotated else "mmdeploy_TRTBatchedNMS", boxes, SCORES, outputs=2,
             num_classes=2, background_label_id=background, iou_threshold=0.3, score_threshold=0.2, topk=best, keep_topk=most, is_normalized=0, clip_boxes=0,
             expected=[dets, labels])
boxes = some_boxes(12, 1, False)
dets, labels, counts = choice(boxes, SCORES, 12, 10, 0.3, 0.25, none=0)
case("efficient-nms", "TRT_EfficientNMS_TRT", boxes[:, :, 0], SCORES, outputs=4, iou_threshold=0.3, score_threshold=0.25, max_output_boxes=10,
     expected=[counts, dets[:, :, :4], dets[:, :, 4], labels])

# ---- dropped by ONNX ----
X = real(1, 2, 5, 6)
case("crop", "Crop", X, border=[1, 2, 3, 1], expected=[X[:, :, 2:4, 1:3]])
case("crop-to-size", "Crop", X, border=[1, 2, 0, 0], scale=[3, 4], expected=[X[:, :, 2:5, 1:5]])
case("parametric-softplus", "ParametricSoftplus", X, alpha=0.5, beta=2.0, expected=[0.5 * np.log1p(np.exp(2 * X))], tolerance=1e-5)
case("scaled-tanh", "ScaledTanh", X, alpha=0.5, beta=2.0, expected=[0.5 * np.tanh(2 * X)], tolerance=1e-5)
write(__file__)
