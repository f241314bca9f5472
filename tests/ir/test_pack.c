/* Packing against the definition of layouts: element by element, from layout_offset's formula written out. */
#include "ir/pack.h"
#include "ir/scalar.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef struct Case {
    const char *what;
    Dtype dtype;
    int rank;
    int64_t dims[4];
    Layout layout;
} Case;

#define WHOLE(axis)                                                                                                    \
    {                                                                                                                  \
        axis, PART_WHOLE, 0                                                                                            \
    }
#define OUTER(axis, block)                                                                                             \
    {                                                                                                                  \
        axis, PART_OUTER, block                                                                                        \
    }
#define INNER(axis, block)                                                                                             \
    {                                                                                                                  \
        axis, PART_INNER, block                                                                                        \
    }
static const Case cases[] = {
    {"scalar", DTYPE_F32, 0, {0}, {0}},
    {"row-major", DTYPE_F32, 3, {3, 4, 5}, {0}},
    {"row-major i4", DTYPE_I4, 2, {3, 5}, {0}},
    {"empty", DTYPE_F32, 2, {0, 4}, {0}},
    {"transposed", DTYPE_F32, 2, {70, 130}, {2, {WHOLE(1), WHOLE(0)}}},
    {"transposed f64", DTYPE_F64, 2, {129, 67}, {2, {WHOLE(1), WHOLE(0)}}},
    {"transposed i8", DTYPE_I8, 2, {100, 33}, {2, {WHOLE(1), WHOLE(0)}}},
    {"transposed f16", DTYPE_F16, 2, {100, 33}, {2, {WHOLE(1), WHOLE(0)}}},
    {"transposed i4", DTYPE_I4, 2, {7, 9}, {2, {WHOLE(1), WHOLE(0)}}},
    {"transposed u2", DTYPE_U2, 2, {7, 9}, {2, {WHOLE(1), WHOLE(0)}}},
    {"transposed inside", DTYPE_F32, 3, {2, 80, 90}, {3, {WHOLE(0), WHOLE(2), WHOLE(1)}}},
    {"channels last", DTYPE_F32, 4, {4, 6, 3, 3}, {4, {WHOLE(0), WHOLE(2), WHOLE(3), WHOLE(1)}}},
    {"panel N/16 K 16", DTYPE_F32, 2, {5, 40}, {3, {OUTER(1, 16), WHOLE(0), INNER(1, 16)}}},
    {"panel N/16 K/4 16 4", DTYPE_I8, 2, {10, 40}, {4, {OUTER(1, 16), OUTER(0, 4), INNER(1, 16), INNER(0, 4)}}},
    {"panel without padding", DTYPE_F32, 2, {8, 32}, {3, {OUTER(1, 16), WHOLE(0), INNER(1, 16)}}},
    {"panel of i4", DTYPE_I4, 2, {5, 20}, {4, {OUTER(1, 8), OUTER(0, 2), INNER(1, 8), INNER(0, 2)}}},
    {"blocked rows", DTYPE_F32, 2, {10, 6}, {3, {OUTER(0, 4), WHOLE(1), INNER(0, 4)}}},
    {"outer innermost", DTYPE_F32, 2, {10, 6}, {3, {INNER(0, 4), WHOLE(1), OUTER(0, 4)}}},
};

static uint64_t get(const uint8_t *data, uint64_t i, int bits)
{
    if (bits < 8)
        return data[i * (unsigned)bits / 8] >> i * (unsigned)bits % 8 & ((1u << bits) - 1);
    uint64_t value = 0;
    memcpy(&value, data + i * (unsigned)bits / 8, (size_t)bits / 8);
    return value;
}

/* The element that stands at linear position `at` of the packed tensor: its source index, or -1 in the padding. */
static int64_t source_of(const Case *test, uint64_t at)
{
    int64_t position[4] = {0}, source = 0;
    const int count = test->layout.count ? test->layout.count : test->rank;
    for (int i = count - 1; i >= 0; i--) {
        const LayoutEntry entry =
            test->layout.count ? test->layout.entries[i] : (LayoutEntry){(uint8_t)i, PART_WHOLE, 0};
        const uint64_t dim = (uint64_t)test->dims[entry.axis], block = entry.block;
        const uint64_t extent = entry.part == PART_WHOLE   ? dim
                                : entry.part == PART_INNER ? block
                                                           : (dim + block - 1) / block;
        position[entry.axis] += (int64_t)(at % extent * (entry.part == PART_OUTER ? block : 1));
        at /= extent;
    }
    for (int i = 0; i < test->rank; i++) {
        if (position[i] >= test->dims[i])
            return -1;
        source = source * test->dims[i] + position[i];
    }
    return source;
}

static Type type_of(Ir *ir, const Case *test)
{
    Node *dims[4];
    for (int i = 0; i < test->rank; i++)
        dims[i] = index_const(ir, test->dims[i]);
    return type_tensor(ir, test->dtype, test->rank, dims);
}

static void check_elements(const Case *test, const uint8_t *source, bool splat, const uint8_t *packed, uint64_t first,
                           uint64_t count)
{
    const int bits = dtype_info[test->dtype].bits;
    for (uint64_t i = 0; i < count; i++) {
        const int64_t from = source_of(test, first + i);
        const uint64_t expected = from < 0 ? 0 : get(source, splat ? 0 : (uint64_t)from, bits);
        cr_assert_eq(get(packed, i, bits), expected, "%s: element %llu", test->what, (unsigned long long)(first + i));
    }
}

Test(pack, layouts_whole_and_in_pieces)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    srand(11);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Case *const test = &cases[i];
        const Type type = type_of(ir, test);
        uint64_t elements = 1;
        for (int j = 0; j < test->rank; j++)
            elements *= (uint64_t)test->dims[j];
        const uint64_t source_bytes = pack_bytes(test->dtype, elements);
        uint8_t *const source = malloc(source_bytes + 8);
        for (uint64_t j = 0; j < source_bytes + 8; j++)
            source[j] = (uint8_t)(rand() >> 7 | 1);
        const uint64_t packed_elements = pack_elements(type, &test->layout),
                       bytes = pack_bytes(test->dtype, packed_elements);
        cr_assert_geq(packed_elements, elements);
        uint8_t *const packed = malloc(bytes + 1);
        const unsigned per_byte = dtype_info[test->dtype].bits < 8 ? 8 / (unsigned)dtype_info[test->dtype].bits : 1;
        for (int splat = 0; splat < 2; splat++) {
            const Constant constant = {.data = source, .bytes = splat ? 8 : source_bytes, .splat = splat};
            memset(packed, 0xee, bytes + 1);
            constant_pack(&constant, type, &test->layout, packed);
            check_elements(test, source, splat, packed, 0, packed_elements);
            cr_assert_eq(packed[bytes], 0xee, "%s wrote too much", test->what);
            for (int piece = 0; piece < 20 && packed_elements; piece++) {
                const uint64_t first = (uint64_t)rand() % packed_elements / per_byte * per_byte;
                const uint64_t count = (uint64_t)rand() % (packed_elements - first + 1);
                const uint64_t piece_bytes = pack_bytes(test->dtype, count);
                memset(packed, 0xee, bytes + 1);
                constant_pack_range(&constant, type, &test->layout, first, count, packed);
                check_elements(test, source, splat, packed, first, count);
                cr_assert_eq(packed[piece_bytes], 0xee, "%s wrote too much", test->what);
            }
        }
        free(source);
        free(packed);
    }
    arena_close(arena);
}

Test(pack, sizes)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    const Layout panel = {3, {OUTER(1, 16), WHOLE(0), INNER(1, 16)}};
    cr_assert_eq(
        pack_elements(type_tensor(ir, DTYPE_F32, 2, (Node *[]){index_const(ir, 5), index_const(ir, 17)}), &panel), 160);
    cr_assert_eq(
        pack_elements(type_tensor(ir, DTYPE_F32, 2, (Node *[]){index_const(ir, INT64_MAX), index_const(ir, 17)}),
                      &panel),
        UINT64_MAX);
    cr_assert_eq(pack_elements(type_tensor(ir, DTYPE_F32, 1, (Node *[]){symbol_make(ir, name_intern(arena, "n"))}),
                               &(Layout){0}),
                 UINT64_MAX);
    cr_assert_eq(pack_bytes(DTYPE_I4, 5), 3);
    cr_assert_eq(pack_bytes(DTYPE_U2, 5), 2);
    cr_assert_eq(pack_bytes(DTYPE_F64, UINT64_MAX / 4), UINT64_MAX);
    arena_close(arena);
}
