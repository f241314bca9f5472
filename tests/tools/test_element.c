/* Elements of every type as numbers, against ml_dtypes and NumPy, and the generator against its published test vectors.
 */
/* links: lathe_tools_base */
#include "tests/tools/sample.h"

#include <math.h>

static HostTensor member(Bench *bench, const char *file, const char *name)
{
    return sample_tensor(bench, file, &(HostSpec){.name = name_intern(bench->arena, name), .rank = -1});
}

static HostTensor tensor_of(Bench *bench, int dtype, int64_t count)
{
    HostTensor tensor = {0};
    const Source source = source_of_bytes(NULL, 0, "test", bench->arena, bench->diagnostics);
    cr_assert(host_tensor_make(&tensor, &source, dtype, 1, &count), "%s", first_message(bench));
    return tensor;
}

typedef struct FloatRow {
    const char *name;
    int dtype;
} FloatRow;

Test(element, decodes_every_pattern_of_the_8_bit_floats)
{
    static const FloatRow rows[] = {
        {"f8e4m3fn", 17}, {"f8e4m3fnuz", 18}, {"f8e5m2", 19}, {"f8e5m2fnuz", 20}, {"f8e8m0", 24}};
    Bench bench = bench_open();
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const HostTensor wanted = member(&bench, "decoded.npz", rows[r].name);
        HostTensor tensor = tensor_of(&bench, rows[r].dtype, 256);
        for (int i = 0; i < 256; i++)
            ((uint8_t *)tensor.data)[i] = (uint8_t)i;
        for (int i = 0; i < 256; i++) {
            const double have = host_element(&tensor, i), want = host_element(&wanted, i);
            cr_expect(have == want || (isnan(have) && isnan(want)), "%s: pattern %d is %g, wanted %g", rows[r].name, i,
                      have, want);
        }
    }
    bench_close(&bench);
}

Test(element, rounds_to_nearest_even_into_small_floats)
{
    static const FloatRow rows[] = {{"f16", 10},    {"bf16", 16},   {"f8e4m3fn", 17},  {"f8e4m3fnuz", 18},
                                    {"f8e5m2", 19}, {"f4e2m1", 23}, {"f8e5m2fnuz", 20}};
    Bench bench = bench_open();
    const HostTensor numbers = member(&bench, "rounded.npz", "numbers");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const HostTensor wanted = member(&bench, "rounded.npz", rows[r].name);
        HostTensor tensor = tensor_of(&bench, rows[r].dtype, numbers.count);
        for (int64_t i = 0; i < numbers.count; i++) {
            host_element_set(&tensor, i, host_element(&numbers, i));
            uint16_t bits = 0;
            if (tensor.bits >= 8)
                memcpy(&bits, (uint8_t *)tensor.data + i * tensor.bits / 8, (size_t)tensor.bits / 8);
            else
                bits = ((uint8_t *)tensor.data)[i / 2] >> (i % 2 * 4) & 15;
            cr_expect_eq(bits, host_element(&wanted, i), "%s: %.17g became %x, wanted %x", rows[r].name,
                         host_element(&numbers, i), bits, (unsigned)host_element(&wanted, i));
        }
    }
    bench_close(&bench);
}

/* Every number that a type has comes back as it was. */
Test(element, sets_what_it_reads_for_all_16_bit_patterns)
{
    static const int dtypes[] = {10, 16};
    Bench bench = bench_open();
    for (int d = 0; d < 2; d++) {
        HostTensor tensor = tensor_of(&bench, dtypes[d], 1);
        for (uint32_t pattern = 0; pattern < 65536; pattern++) {
            uint16_t bits = (uint16_t)pattern;
            memcpy(tensor.data, &bits, 2);
            const double value = host_element(&tensor, 0);
            host_element_set(&tensor, 0, value);
            memcpy(&bits, tensor.data, 2);
            cr_expect(bits == pattern || isnan(value), "%x came back as %x", pattern, bits);
        }
    }
    bench_close(&bench);
}

Test(element, saturates)
{
    static const struct {
        int dtype;
        double value, wanted;
    } rows[] = {
        {2, 300, 255}, {2, -1, 0},   {3, 200, 127},         {3, -200, -128},      {22, 9, 7},   {22, -9, -8},
        {21, 99, 15},  {26, -5, -2}, {6, 1e12, 2147483647}, {17, 1e6, 448},       {23, 100, 6}, {10, 1e6, INFINITY},
        {2, 2.5, 2},   {2, 3.5, 4},  {7, -9e18, -9e18},     {13, 1.8e19, 1.8e19}, {9, 0.5, 1},  {24, 3, 4},
    };
    Bench bench = bench_open();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        HostTensor tensor = tensor_of(&bench, rows[i].dtype, 3);
        host_element_set(&tensor, 1, rows[i].value);
        cr_expect_eq(host_element(&tensor, 1), rows[i].wanted, "type %d: %g became %g", rows[i].dtype, rows[i].value,
                     host_element(&tensor, 1));
        cr_expect(rows[i].dtype == 24 || (host_element(&tensor, 0) == 0 && host_element(&tensor, 2) == 0),
                  "neighbours stay");
    }
    bench_close(&bench);
}

/* Known answers of Random123's kat_vectors for philox4x32-10. */
Test(generator, is_philox4x32_10)
{
    static const struct {
        uint32_t counter[4], key[2], wanted[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t words[4];
        philox(words, rows[i].counter, rows[i].key);
        cr_expect_arr_eq(words, rows[i].wanted, sizeof words);
    }
}

Test(generator, fills_every_type_within_its_range)
{
    Bench bench = bench_open();
    const int64_t dims[] = {1000};
    for (int dtype = 1; dtype <= 26; dtype++) {
        const HostDtype *const type = host_dtype(dtype);
        const HostSpec spec = {.name = "x", .kind = HOST_TENSOR, .dtype = dtype, .rank = 1, .dims = dims};
        HostValue value;
        if (type->class == HOST_CLASS_STRING) {
            cr_expect_not(generator_read(&value, "random:1", &spec, 0, bench.arena, bench.diagnostics));
            continue;
        }
        cr_assert(generator_read(&value, "random:1", &spec, 0, bench.arena, bench.diagnostics), "%s: %s", type->name,
                  first_message(&bench));
        double smallest = INFINITY, largest = -INFINITY;
        for (int i = 0; i < 1000; i++) {
            smallest = fmin(smallest, host_element(&value.tensor, i));
            largest = fmax(largest, host_element(&value.tensor, i));
        }
        const bool real = type->class == HOST_CLASS_FLOAT || type->class == HOST_CLASS_COMPLEX;
        const double low = dtype == 24 ? 0.0625 : real ? -1 : dtype == 3 ? -128 : 0;
        const double high = dtype == 24 ? 8 : real || dtype == 9 ? 1 : type->bits == 8 ? 255 : 9;
        cr_expect(smallest >= low && largest <= high && largest > smallest, "%s: %g to %g", type->name, smallest,
                  largest);
        cr_assert(generator_read(&value, "ones", &spec, 0, bench.arena, bench.diagnostics));
        cr_expect_eq(host_element(&value.tensor, 999), 1, "%s", type->name);
    }
    bench_close(&bench);
}

Test(generator, integers_are_0_or_1_where_they_may_be_indices)
{
    Bench bench = bench_open();
    const int64_t dims[] = {1000};
    for (int dtype = 4; dtype <= 7; dtype++) { /* u16, i16, i32, i64 */
        const HostSpec spec = {
            .name = "x", .kind = HOST_TENSOR, .dtype = dtype, .rank = 1, .dims = dims, .small = true};
        HostValue value;
        int counts[2] = {0};
        cr_assert(generator_read(&value, "random:1", &spec, 0, bench.arena, bench.diagnostics));
        for (int i = 0; i < 1000; i++) {
            const double number = host_element(&value.tensor, i);
            cr_assert(number == 0 || number == 1, "type %d: %g", dtype, number);
            counts[(int)number]++;
        }
        cr_expect(counts[0] > 400 && counts[1] > 400, "type %d: %d zeros", dtype, counts[0]);
    }
    bench_close(&bench);
}

/* The first element follows from the published vector: 0x6627e8d5 with its low byte cleared, / 2^31, - 1. */
Test(generator, is_what_its_documentation_says)
{
    Bench bench = bench_open();
    const int64_t dims[] = {5}, open[] = {-1};
    const HostSpec spec = {.name = "x", .kind = HOST_TENSOR, .dtype = ONNX_FLOAT, .rank = 1, .dims = dims};
    HostValue value, other;
    cr_assert(generator_read(&value, "random:0", &spec, 0, bench.arena, bench.diagnostics));
    cr_expect_eq(host_element(&value.tensor, 0), (double)0x6627e800 / 2147483648.0 - 1);
    cr_expect_eq(host_element(&value.tensor, 3), (double)0x9b00db00 / 2147483648.0 - 1);
    cr_assert(generator_read(&other, "random:0", &spec, 1, bench.arena, bench.diagnostics));
    cr_expect_neq(host_element(&other.tensor, 0), host_element(&value.tensor, 0), "another input gets other numbers");
    const HostSpec unknown = {.name = "x", .kind = HOST_TENSOR, .dtype = ONNX_FLOAT, .rank = 1, .dims = open};
    cr_expect_not(generator_read(&value, "random:0", &unknown, 0, bench.arena, bench.diagnostics));
    cr_expect(said(&bench, "dimension 0 of f32[?] is not known"), "%s", first_message(&bench));
    cr_expect_not(generator_read(&value, "random:x", &spec, 0, bench.arena, bench.diagnostics));
    bench_close(&bench);
}
