/* Packing walks the storage dims of a layout, outermost first, and copies innermost rows: by memcpy where they are
 * contiguous in the source, element by element otherwise, in tiles where rows and columns change places. */
#include "ir/pack.h"

#include <string.h>

enum { SHORT_ROW = 64 };

/* One storage dim. Stepping along it moves `stride` elements in the source and `step` along the logical `axis`. */
typedef struct Dim {
    int64_t extent, stride, step;
    int axis;
    bool padded; /* the axis' extent is no multiple of its block: positions beyond it are zeros */
} Dim;

typedef struct Packer {
    const uint8_t *data;
    Dtype dtype;
    int bits;
    int dim_count;
    Dim dims[RANK_MAX + 5];
    int64_t extents[RANK_MAX]; /* of the logical axes */
    int64_t index[RANK_MAX + 5];
} Packer;

static int64_t dim_of(Type type, int axis)
{
    int64_t extent;
    return const_is_int(type.dims[axis], &extent) && extent >= 0 ? extent : -1;
}

/* Extents of the storage dims; false when they are not constant or too many elements. */
static bool storage_dims(Type type, const Layout *layout, Dim *dims, int *count, uint64_t *elements)
{
    *count = layout->count ? layout->count : type.rank;
    *elements = 1;
    for (int i = 0; i < *count; i++) {
        const LayoutEntry entry = layout->count ? layout->entries[i] : (LayoutEntry){(uint8_t)i, PART_WHOLE, 0};
        const int64_t extent = dim_of(type, entry.axis), block = entry.block;
        if (extent < 0 || (entry.part != PART_WHOLE && block == 0))
            return false;
        dims[i] = (Dim){.axis = entry.axis, .extent = extent, .step = 1};
        if (entry.part == PART_OUTER) {
            dims[i].extent = extent / block + (extent % block != 0);
            dims[i].step = block;
        } else if (entry.part == PART_INNER) {
            dims[i].extent = block;
        }
        dims[i].padded = entry.part != PART_WHOLE && extent % block != 0;
        if (__builtin_mul_overflow(*elements, (uint64_t)dims[i].extent, elements))
            return false;
    }
    return true;
}

uint64_t pack_elements(Type type, const Layout *layout)
{
    Dim dims[RANK_MAX + 4];
    int count;
    uint64_t elements;
    return storage_dims(type, layout, dims, &count, &elements) ? elements : UINT64_MAX;
}

uint64_t pack_bytes(Dtype dtype, uint64_t elements)
{
    const unsigned bits = (unsigned)dtype_info[dtype].bits;
    uint64_t bytes;
    if (bits < 8)
        return elements / (8 / bits) + (elements % (8 / bits) != 0);
    return __builtin_mul_overflow(elements, (uint64_t)(bits / 8), &bytes) ? UINT64_MAX : bytes;
}

/* Neighbouring dims that are one stretch in the source become one dim. */
static void merge_dims(Packer *packer)
{
    int kept = 0;
    for (int i = 1; i < packer->dim_count; i++) {
        Dim *const outer = &packer->dims[kept];
        const Dim inner = packer->dims[i];
        if (!outer->padded && !inner.padded && outer->stride == inner.stride * inner.extent) {
            outer->extent *= inner.extent;
            outer->stride = inner.stride;
        } else {
            packer->dims[++kept] = inner;
        }
    }
    packer->dim_count = kept + 1;
}

static void packer_open(Packer *packer, const Constant *constant, Type type, const Layout *layout)
{
    uint64_t elements, source = 1;
    int64_t strides[RANK_MAX];
    *packer = (Packer){.data = constant->data, .dtype = type.dtype, .bits = dtype_info[type.dtype].bits};
    if (type.dtype == DTYPE_STRING || type.dtype == DTYPE_NONE ||
        !storage_dims(type, layout, packer->dims, &packer->dim_count, &elements))
        BUG("a constant of %s cannot be packed", dtype_info[type.dtype].name);
    for (int i = type.rank - 1; i >= 0; i--) {
        packer->extents[i] = dim_of(type, i);
        strides[i] = constant->splat ? 0 : (int64_t)source;
        source *= (uint64_t)packer->extents[i]; /* no larger than `elements` */
    }
    if (constant->bytes < pack_bytes(type.dtype, constant->splat ? 1 : source))
        BUG("a constant of %llu elements of %s has %llu bytes", (unsigned long long)source, dtype_info[type.dtype].name,
            (unsigned long long)constant->bytes);
    for (int i = 0; i < packer->dim_count; i++)
        packer->dims[i].stride = strides[packer->dims[i].axis] * packer->dims[i].step;
    if (packer->dim_count == 0) { /* a scalar is a row of one */
        packer->dims[0] = (Dim){.extent = 1, .stride = constant->splat ? 0 : 1, .step = 1, .axis = -1};
        packer->dim_count = 1;
    }
    merge_dims(packer);
}

/* ---- copying ---- */

/* Weights lie in the model's file wherever they happen to lie: elements are copied, not accessed. */
#define STRIDED_ROW(T)                                                                                                 \
    static void strided_##T(void *out, const void *in, int64_t stride, int64_t count)                                  \
    {                                                                                                                  \
        uint8_t *const to = out;                                                                                       \
        const uint8_t *const from = in;                                                                                \
        for (int64_t i = 0; i < count; i++)                                                                            \
            memcpy(to + i * (int64_t)sizeof(T), from + i * stride * (int64_t)sizeof(T), sizeof(T));                    \
    }
STRIDED_ROW(uint8_t)
STRIDED_ROW(uint16_t)
STRIDED_ROW(uint32_t)
STRIDED_ROW(uint64_t)
typedef void StridedRow(void *out, const void *in, int64_t stride, int64_t count);
static StridedRow *const strided_rows[] = {strided_uint8_t, strided_uint16_t, strided_uint32_t, strided_uint64_t};

static StridedRow *strided_row(int bytes)
{
    return strided_rows[bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3];
}

static uint8_t packed_get(const uint8_t *data, uint64_t offset, int bits)
{
    const unsigned per_byte = 8 / (unsigned)bits;
    return (uint8_t)(data[offset / per_byte] >> (offset % per_byte * (unsigned)bits) & ((1u << bits) - 1));
}

static bool is_aligned(uint64_t offset, int bits)
{
    return offset * (unsigned)bits % 8 == 0;
}

/* `count` elements from the source's `offset`; `out` holds zeros already when elements are below a byte. */
static void copy_row(const Packer *packer, uint8_t *out, uint64_t position, int64_t offset, int64_t stride,
                     int64_t count)
{
    const int bits = packer->bits;
    if (bits >= 8) {
        const size_t bytes = (size_t)bits / 8;
        const uint8_t *const from = packer->data + (size_t)offset * bytes;
        if (stride == 1)
            memcpy(out + position * bytes, from, (size_t)count * bytes);
        else
            strided_row((int)bytes)(out + position * bytes, from, stride, count);
        return;
    }
    if (stride == 1 && is_aligned((uint64_t)offset, bits) && is_aligned(position, bits) &&
        is_aligned((uint64_t)count, bits)) {
        memcpy(out + position * (unsigned)bits / 8, packer->data + (uint64_t)offset * (unsigned)bits / 8,
               (size_t)count * (unsigned)bits / 8);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const uint64_t bit = (position + (uint64_t)i) * (unsigned)bits;
        out[bit / 8] |= (uint8_t)(packed_get(packer->data, (uint64_t)(offset + i * stride), bits) << bit % 8);
    }
}

/* Rows whose neighbours in the source are the rows: read and written in tiles that stay in the nearest cache. */
static void copy_transposed(const Packer *packer, uint8_t *out, int64_t offset, int64_t rows, Dim row, Dim column)
{
    enum { TILE_ROWS = 16, TILE_LENGTH = 64 };
    const size_t bytes = (size_t)packer->bits / 8;
    StridedRow *const strided = strided_row((int)bytes);
    for (int64_t i = 0; i < row.extent; i += TILE_LENGTH)
        for (int64_t j = 0; j < rows; j += TILE_ROWS) {
            const int64_t width = row.extent - i < TILE_LENGTH ? row.extent - i : TILE_LENGTH;
            const int64_t height = rows - j < TILE_ROWS ? rows - j : TILE_ROWS;
            for (int64_t k = j; k < j + height; k++)
                strided(out + (size_t)(k * row.extent + i) * bytes,
                        packer->data + (size_t)(offset + i * row.stride + k * column.stride) * bytes, row.stride,
                        width);
        }
}

/* Short rows, many of them. */
static void copy_short_rows(const Packer *packer, uint8_t *out, int64_t offset, int64_t rows, Dim row, Dim column)
{
    const size_t bytes = (size_t)packer->bits / 8, length = (size_t)row.extent * bytes;
    StridedRow *const strided = strided_row((int)bytes);
    for (int64_t i = 0; i < rows; i++)
        strided(out + (size_t)i * length, packer->data + (size_t)(offset + i * column.stride) * bytes, row.stride,
                row.extent);
}

/* ---- walking ---- */

/* Where the row at `index` starts in the source, and how many of its elements lie inside all axes. */
static int64_t row_begin(const Packer *packer, int64_t *inside)
{
    const int last = packer->dim_count - 1;
    const Dim row = packer->dims[last];
    int64_t offset = 0, position[RANK_MAX] = {0};
    for (int i = 0; i < last; i++) {
        offset += packer->index[i] * packer->dims[i].stride;
        if (packer->dims[i].padded)
            position[packer->dims[i].axis] += packer->index[i] * packer->dims[i].step;
    }
    *inside = row.extent;
    for (int i = 0; i < last; i++)
        if (packer->dims[i].padded && position[packer->dims[i].axis] >= packer->extents[packer->dims[i].axis])
            *inside = 0;
    if (row.padded && *inside) {
        const int64_t left = packer->extents[row.axis] - position[row.axis];
        const int64_t steps = left <= 0 ? 0 : (left + row.step - 1) / row.step;
        *inside = steps < row.extent ? steps : row.extent;
    }
    return offset;
}

static void next_rows(Packer *packer, int64_t rows)
{
    int i = packer->dim_count - 2;
    for (; i >= 0; i--) {
        packer->index[i] += i == packer->dim_count - 2 ? rows : 1;
        if (packer->index[i] < packer->dims[i].extent)
            return;
        packer->index[i] = 0;
    }
}

/* Rows from here on, up to the end of the dim that they are counted by, that lie inside all axes and within `left`
 * elements; 0 when copying them together does not pay. */
static int64_t rows_together(const Packer *packer, uint64_t left)
{
    const int last = packer->dim_count - 1;
    if (last < 1 || packer->bits < 8)
        return 0;
    const Dim row = packer->dims[last], column = packer->dims[last - 1];
    if (row.extent >= SHORT_ROW && (column.stride != 1 || row.stride <= 1))
        return 0;
    const uint64_t whole = left / (uint64_t)row.extent;
    const int64_t open = column.extent - packer->index[last - 1];
    const int64_t rows = whole < (uint64_t)open ? (int64_t)whole : open;
    int64_t farthest[RANK_MAX] = {0};
    for (int i = 0; i <= last && rows > 0; i++) {
        const Dim dim = packer->dims[i];
        const int64_t index = i == last ? dim.extent - 1 : packer->index[i] + (i == last - 1 ? rows - 1 : 0);
        if (dim.padded && (farthest[dim.axis] += index * dim.step) >= packer->extents[dim.axis])
            return 0;
    }
    return rows;
}

void constant_pack_range(const Constant *constant, Type type, const Layout *layout, uint64_t first, uint64_t count,
                         void *out)
{
    Packer packer;
    uint8_t *const to = out;
    const uint64_t elements = pack_elements(type, layout);
    if (elements == UINT64_MAX || first > elements || count > elements - first ||
        !is_aligned(first, dtype_info[type.dtype].bits))
        BUG("elements %llu to %llu of a packed constant of %llu", (unsigned long long)first,
            (unsigned long long)(first + count), (unsigned long long)elements);
    if (count == 0)
        return;
    packer_open(&packer, constant, type, layout);
    const int last = packer.dim_count - 1;
    const int64_t length = packer.dims[last].extent;
    uint64_t rest = first / (uint64_t)length;
    for (int i = last - 1; i >= 0; rest /= (uint64_t)packer.dims[i].extent, i--)
        packer.index[i] = (int64_t)(rest % (uint64_t)packer.dims[i].extent);
    if (packer.bits < 8)
        memset(to, 0, pack_bytes(type.dtype, count));
    int64_t column = (int64_t)(first % (uint64_t)length);
    for (uint64_t done = 0; done < count;) {
        int64_t inside;
        const int64_t offset = row_begin(&packer, &inside);
        const int64_t rows = column == 0 && inside == length ? rows_together(&packer, count - done) : 0;
        if (rows > 0) {
            (length < SHORT_ROW ? copy_short_rows : copy_transposed)(
                &packer, to + done * (unsigned)packer.bits / 8, offset, rows, packer.dims[last], packer.dims[last - 1]);
            done += (uint64_t)(rows * length);
            next_rows(&packer, rows);
            continue;
        }
        const int64_t end = count - done < (uint64_t)(length - column) ? column + (int64_t)(count - done) : length;
        const int64_t copied = inside < end ? inside > column ? inside - column : 0 : end - column;
        if (copied > 0)
            copy_row(&packer, to, done, offset + column * packer.dims[last].stride, packer.dims[last].stride, copied);
        if (packer.bits >= 8)
            memset(to + (done + (uint64_t)copied) * (unsigned)packer.bits / 8, 0,
                   (size_t)(end - column - copied) * (unsigned)packer.bits / 8);
        done += (uint64_t)(end - column);
        column = 0;
        next_rows(&packer, 1);
    }
}

void constant_pack(const Constant *constant, Type type, const Layout *layout, void *out)
{
    constant_pack_range(constant, type, layout, 0, pack_elements(type, layout), out);
}
