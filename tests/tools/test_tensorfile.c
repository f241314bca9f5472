/* Readers and writers of tensor files against samples that NumPy, ONNX and Python's wave made
 * (tests/data/tensorfiles/make.py). */
/* links: lathe_tools_base */
#include "tests/tools/sample.h"

#include <unistd.h>

static const double floats[] = {0.0, 1.0, -1.5, 0.5, 4.0, -6.0};
static const double signeds[] = {0, 1, -2, 3, 7, -8};
static const double unsigneds[] = {0, 1, 2, 3, 7, 15};
static const double bools[] = {0, 1, 1, 0, 0, 1};
static const double powers[] = {1, 2, 4, 0.5, 0.25, 8};
static const double unsigned2[] = {0, 1, 2, 3, 3, 0};
static const double signed2[] = {0, 1, -2, -1, 1, 0};

static void check_2x3(const char *name, const HostTensor *tensor, int dtype, const double *values)
{
    cr_expect_eq(tensor->dtype, dtype, "%s: dtype %d, wanted %d", name, tensor->dtype, dtype);
    cr_assert(tensor->rank == 2 && tensor->dims[0] == 2 && tensor->dims[1] == 3, "%s: shape", name);
    for (int i = 0; i < 6; i++)
        cr_expect_eq(host_element(tensor, i), values[i], "%s[%d] is %g, wanted %g", name, i, host_element(tensor, i),
                     values[i]);
}

typedef struct NumericRow {
    const char *name;
    int dtype;
    const double *values;
} NumericRow;

static const NumericRow npy_rows[] = {
    {"f32.npy", 1, floats},    {"f64.npy", 11, floats},    {"f16.npy", 10, floats},    {"i8.npy", 3, signeds},
    {"i16.npy", 5, signeds},   {"i32.npy", 6, signeds},    {"i64.npy", 7, signeds},    {"u8.npy", 2, unsigneds},
    {"u16.npy", 4, unsigneds}, {"u32.npy", 12, unsigneds}, {"u64.npy", 13, unsigneds}, {"bool.npy", 9, bools},
    {"c64.npy", 14, floats},   {"c128.npy", 15, floats},
};

Test(npy, reads_every_type_that_numpy_has)
{
    for (size_t i = 0; i < sizeof npy_rows / sizeof *npy_rows; i++) {
        Bench bench = bench_open();
        const HostTensor tensor = sample_tensor(&bench, npy_rows[i].name, NULL);
        check_2x3(npy_rows[i].name, &tensor, npy_rows[i].dtype, npy_rows[i].values);
        bench_close(&bench);
    }
}

/* Types that NumPy lacks come as bytes without a name; the model says which they are. */
Test(npy, reads_the_bytes_that_ml_dtypes_saves)
{
    static const NumericRow rows[] = {
        {"bf16.npy", 16, floats}, {"f8e4m3fn.npy", 17, floats}, {"f8e5m2.npy", 19, floats}, {"i4.npy", 22, signeds}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        const HostSpec spec = {.kind = HOST_TENSOR, .dtype = rows[i].dtype, .rank = -1};
        const HostTensor tensor = sample_tensor(&bench, rows[i].name, &spec);
        check_2x3(rows[i].name, &tensor, rows[i].dtype, rows[i].values);
        bench_close(&bench);
    }
}

Test(npy, reads_versions_orders_and_odd_shapes)
{
    static const char *const grids[] = {"version2.npy", "version3.npy", "fortran.npy"};
    Bench bench = bench_open();
    for (int g = 0; g < 3; g++) {
        const HostTensor tensor = sample_tensor(&bench, grids[g], NULL);
        cr_assert(tensor.rank == 3 && tensor.dims[0] == 2 && tensor.dims[1] == 3 && tensor.dims[2] == 4);
        for (int i = 0; i < 24; i++)
            cr_expect_eq(host_element(&tensor, i), i, "%s[%d]", grids[g], i);
    }
    const HostTensor scalar = sample_tensor(&bench, "scalar.npy", NULL);
    cr_expect(scalar.rank == 0 && scalar.count == 1 && host_element(&scalar, 0) == 2.5);
    const HostTensor empty = sample_tensor(&bench, "empty.npy", NULL);
    cr_expect(empty.rank == 3 && empty.count == 0 && empty.dims[1] == 0 && empty.bytes == 0);
    const HostTensor vector = sample_tensor(&bench, "vector.npy", NULL);
    cr_expect(vector.rank == 1 && vector.dims[0] == 3 && vector.dtype == 7);
    bench_close(&bench);
}

Test(npy, turns_text_arrays_into_strings)
{
    static const char *const wanted[2][3] = {{"ab", "", "xyz"}, {"Zürich", "", "\u20ac\U0001f600"}};
    static const char *const names[] = {"bytes.npy", "unicode.npy"};
    Bench bench = bench_open();
    for (int n = 0; n < 2; n++) {
        const HostTensor tensor = sample_tensor(&bench, names[n], NULL);
        cr_assert(tensor.dtype == ONNX_STRING && tensor.count == 3);
        for (int i = 0; i < 3; i++)
            cr_expect_str_eq(((const char **)tensor.data)[i], wanted[n][i]);
    }
    bench_close(&bench);
}

typedef struct RefusedRow {
    const char *name, *message;
} RefusedRow;

Test(files, that_cannot_be_read_say_why)
{
    static const RefusedRow rows[] = {
        {"big-endian.npy", "big-endian"}, {"structured.npy", "structured array"},
        {"object.npy", "Python objects"}, {"bf16.npy", "'<V2'"},
        {"bzip2.npz", "method 12"},       {"stored.npz", "2 members"},
        {"external.pb", "another file"},  {"cmyk.jpg", "4 components"},
        {"missing.npy", "cannot open"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        HostValue value;
        const char *const path = arena_format(bench.arena, SAMPLES "%s", rows[i].name);
        cr_expect_not(host_value_read(&value, path, NULL, &host_image_plain, bench.arena, bench.diagnostics), "%s",
                      rows[i].name);
        cr_expect(said(&bench, rows[i].message), "%s: %s", rows[i].name, first_message(&bench));
        cr_expect(said(&bench, rows[i].name), "%s: the message names the file", rows[i].name);
        cr_expect_eq(bench.diagnostics->error_count, 1, "%s: one error", rows[i].name);
        bench_close(&bench);
    }
}

/* Headers made by hand: each is wrong in one way, and none may reach memory that is not there. */
Test(npy, refuses_headers_that_lie)
{
    static const RefusedRow rows[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4)}", "64 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "exceeds 64 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "takes 12 bytes, but 8 follow"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "takes 4 bytes, but 8 follow"},
        {"{'descr': '<f4', 'fortran_order': False}", "lacks"},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}", "neither True nor False"},
        {"{'descr': '<q9', 'fortran_order': False, 'shape': (2,)}", "ONNX lacks"},
        {"{'descr': '', 'fortran_order': False, 'shape': (2,)}", "not understood"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2", "without an end"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "not made of numbers"},
        {"{'descr': '<f4", "structured"},
        {"", "not a dictionary"},
        {"{'color': 1}", "unknown key"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        const size_t length = strlen(rows[i].name);
        uint8_t bytes[200] = "\x93NUMPY\1";
        bytes[8] = (uint8_t)length;
        memcpy(bytes + 10, rows[i].name, length);
        const Source source = source_of_bytes(bytes, 10 + length + 8, "made.npy", bench.arena, bench.diagnostics);
        HostTensor tensor;
        cr_expect_not(npy_read(&tensor, &source, NULL), "%s", rows[i].name);
        cr_expect(said(&bench, rows[i].message), "%s: %s", rows[i].name, first_message(&bench));
        bench_close(&bench);
    }
}

Test(npz, reads_stored_deflated_and_zip64_members)
{
    static const char *const names[] = {"stored.npz", "deflated.npz", "zip64.npz"};
    for (int n = 0; n < 3; n++) {
        Bench bench = bench_open();
        Source source;
        HostTensor *members = NULL;
        size_t count = 0;
        cr_assert(
            source_open(&source, arena_format(bench.arena, SAMPLES "%s", names[n]), 0, bench.arena, bench.diagnostics));
        cr_assert(npz_read(&members, &count, &source), "%s: %s", names[n], first_message(&bench));
        source_close(&source);
        cr_assert_eq(count, 2);
        cr_expect_str_eq(members[0].name, "image");
        cr_expect_str_eq(members[1].name, "ids");
        for (int i = 0; i < 6; i++)
            cr_expect_eq(host_element(&members[0], i), i);
        cr_expect(members[1].dtype == 7 && host_element(&members[1], 1) == 8);
        bench_close(&bench);
    }
}

static const NumericRow pb_rows[] = {
    {"float", 1, floats},         {"double", 11, floats},
    {"float16", 10, floats},      {"bfloat16", 16, floats},
    {"float8e4m3fn", 17, floats}, {"float8e4m3fnuz", 18, floats},
    {"float8e5m2", 19, floats},   {"float8e5m2fnuz", 20, floats},
    {"float4e2m1", 23, floats},   {"float8e8m0", 24, powers},
    {"int8", 3, signeds},         {"int16", 5, signeds},
    {"int32", 6, signeds},        {"int64", 7, signeds},
    {"int4", 22, signeds},        {"int2", 26, signed2},
    {"uint8", 2, unsigneds},      {"uint16", 4, unsigneds},
    {"uint32", 12, unsigneds},    {"uint64", 13, unsigneds},
    {"uint4", 21, unsigneds},     {"uint2", 25, unsigned2},
    {"bool", 9, bools},           {"complex64", 14, floats},
    {"complex128", 15, floats},
};

Test(pb, reads_every_type_from_raw_and_typed_fields)
{
    static const char *const forms[] = {"raw", "typed"};
    for (size_t i = 0; i < 2 * sizeof pb_rows / sizeof *pb_rows; i++) {
        const NumericRow *row = &pb_rows[i / 2];
        Bench bench = bench_open();
        const char *const name = arena_format(bench.arena, "%s.%s.pb", row->name, forms[i % 2]);
        const HostTensor tensor = sample_tensor(&bench, name, NULL);
        check_2x3(name, &tensor, row->dtype, row->values);
        cr_expect_str_eq(tensor.name, "x");
        bench_close(&bench);
    }
}

Test(pb, reads_strings_and_odd_counts_of_small_types)
{
    Bench bench = bench_open();
    const HostTensor strings = sample_tensor(&bench, "strings.pb", NULL);
    cr_assert(strings.dtype == ONNX_STRING && strings.count == 3);
    cr_expect_str_eq(((const char **)strings.data)[0], "ab");
    cr_expect_str_eq(((const char **)strings.data)[1], "");
    cr_expect_str_eq(((const char **)strings.data)[2], "Zürich");
    const HostTensor odd = sample_tensor(&bench, "int4-odd.pb", NULL);
    static const double wanted[] = {1, 2, 3, -4, 5};
    cr_assert(odd.count == 5 && odd.bytes == 3);
    for (int i = 0; i < 5; i++)
        cr_expect_eq(host_element(&odd, i), wanted[i]);
    bench_close(&bench);
}

static HostValue sample_value(Bench *bench, const char *name, HostKind kind)
{
    HostValue value = {0};
    const HostSpec spec = {.kind = kind, .rank = -1};
    const char *const path = arena_format(bench->arena, SAMPLES "%s", name);
    cr_assert(host_value_read(&value, path, &spec, &host_image_plain, bench->arena, bench->diagnostics), "%s: %s", name,
              first_message(bench));
    return value;
}

Test(pb, reads_sequences_and_optionals)
{
    Bench bench = bench_open();
    const HostKind asked[] = {HOST_SEQUENCE, HOST_ABSENT}; /* told what it is, and guessing */
    for (int i = 0; i < 2; i++) {
        const HostValue sequence = sample_value(&bench, "sequence.pb", asked[i]);
        cr_assert(sequence.kind == HOST_SEQUENCE && sequence.item_count == 2 && sequence.item_kind == HOST_TENSOR);
        cr_expect(sequence.items[0].tensor.count == 2 && host_element(&sequence.items[0].tensor, 1) == 2);
        cr_expect(sequence.items[1].tensor.rank == 2 && host_element(&sequence.items[1].tensor, 0) == 3);
        const HostValue empty = sample_value(&bench, "sequence-empty.pb", asked[i]);
        cr_expect(empty.kind == HOST_SEQUENCE && empty.item_count == 0 && empty.item_kind == HOST_TENSOR);
    }
    const HostValue some = sample_value(&bench, "optional.pb", HOST_OPTIONAL);
    cr_assert(some.kind == HOST_OPTIONAL && some.item_count == 1 && some.items[0].kind == HOST_TENSOR);
    cr_expect_eq(host_element(&some.items[0].tensor, 0), 1);
    const HostValue list = sample_value(&bench, "optional-sequence.pb", HOST_OPTIONAL);
    cr_assert(list.item_count == 1 && list.items[0].kind == HOST_SEQUENCE && list.items[0].item_count == 2);
    const HostValue none = sample_value(&bench, "optional-none.pb", HOST_OPTIONAL);
    cr_expect(none.kind == HOST_OPTIONAL && none.item_count == 0);
    bench_close(&bench);
}

/* Messages by hand; the comment says which rule each breaks. */
Test(pb, refuses_messages_that_lie)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *message;
    } rows[] = {
        {"\x08\x03\x10\x01", 4, "takes 12 bytes, but 4"},                /* no values at all */
        {"\x08\x01\x10\x01\x4a\x02\x00\x00", 8, "takes 4 bytes, but 2"}, /* raw_data too short */
        {"\x08\x01\x10\x02\x2a\x02\x07\x01", 8, "more values than"},     /* int32_data 7, 1 for [1] */
        {"\x08\x01\x10\x02\x2a\x02\xac\x02", 8, "u8 cannot hold"},       /* int32_data 300 as u8 */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01", 13, "dimension 0 of size -1"},
        {"\x08\x01\x10\x63", 4, "data_type 99"},
        {"\x08\x01\x10\x01\x4a\x7f", 6, "broken"}, /* raw_data runs out of the file */
        {"\x08\x01\x10\x01\x25\x00\x00\x80\x3f\x4a\x04\x00\x00\x80\x3f", 15, "both in raw_data"},
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40\x10\x01", 22, "64 bits"},
        {"\x10\x01\x1a\x00", 4, "segment"},
        {"\x0b\x0c", 2, "broken"}, /* a group */
    };
    const HostSpec spec = {.kind = HOST_TENSOR, .rank = -1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        HostValue value;
        const Source source = source_of_bytes(rows[i].bytes, rows[i].size, "made.pb", bench.arena, bench.diagnostics);
        cr_expect_not(pb_read(&value, &source, &spec), "row %zu", i);
        cr_expect(said(&bench, rows[i].message), "row %zu: %s", i, first_message(&bench));
        bench_close(&bench);
    }
}

Test(raw, takes_type_and_shape_from_the_model)
{
    static const float values[] = {1, 2, 3, 4, 5, 6};
    static const int64_t open[] = {-1, 3}, fixed[] = {2, 2};
    Bench bench = bench_open();
    HostTensor tensor;
    const Source source = source_of_bytes(values, sizeof values, "x.raw", bench.arena, bench.diagnostics);
    const HostSpec good = {.kind = HOST_TENSOR, .dtype = ONNX_FLOAT, .rank = 2, .dims = open};
    cr_assert(raw_read(&tensor, &source, &good), "%s", first_message(&bench));
    cr_expect(tensor.dims[0] == 2 && host_element(&tensor, 5) == 6);
    const HostSpec bad = {.kind = HOST_TENSOR, .dtype = ONNX_FLOAT, .rank = 2, .dims = fixed};
    cr_expect_not(raw_read(&tensor, &source, &bad));
    cr_expect(said(&bench, "has 24 bytes, but f32[2,2] takes 16"), "%s", first_message(&bench));
    cr_expect_not(raw_read(&tensor, &source, NULL));
    bench_close(&bench);
}

Test(wav, becomes_samples)
{
    Bench bench = bench_open();
    const HostTensor mono = sample_tensor(&bench, "mono.wav", NULL);
    static const double mono_values[] = {0, 0.5, -1, 32767.0 / 32768};
    cr_assert(mono.rank == 2 && mono.dims[0] == 1 && mono.dims[1] == 4 && mono.dtype == ONNX_FLOAT);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(host_element(&mono, i), mono_values[i]);
    const HostTensor mixed = sample_tensor(&bench, "stereo.wav", NULL);
    cr_assert_eq(mixed.count, 2);
    cr_expect(host_element(&mixed, 0) == 0.5 && host_element(&mixed, 1) == -0.5);
    static const int64_t stereo_dims[] = {2, -1};
    const HostSpec two = {.kind = HOST_TENSOR, .dtype = ONNX_FLOAT, .rank = 2, .dims = stereo_dims};
    const HostTensor stereo = sample_tensor(&bench, "stereo.wav", &two);
    static const double stereo_values[] = {0.25, -1, 0.75, 0};
    for (int i = 0; i < 4; i++)
        cr_expect_eq(host_element(&stereo, i), stereo_values[i]);
    const HostTensor plain = sample_tensor(&bench, "float.wav", NULL);
    cr_expect(plain.count == 3 && host_element(&plain, 0) == 0.25 && host_element(&plain, 1) == -0.5 &&
              host_element(&plain, 2) == 1);
    bench_close(&bench);
}

/* Every sample written and read again is the same, in every format that holds it. */
Test(writers, give_back_what_was_read)
{
    static const char *const endings[] = {".npy", ".npz", ".pb"};
    char folder[] = "/tmp/lathe-test-XXXXXX";
    cr_assert(mkdtemp(folder));
    int written = 0;
    for (size_t i = 0; i < sizeof pb_rows / sizeof *pb_rows; i++)
        for (int e = 0; e < 3; e++) {
            Bench bench = bench_open();
            const HostTensor tensor =
                sample_tensor(&bench, arena_format(bench.arena, "%s.raw.pb", pb_rows[i].name), NULL);
            const HostValue value = host_value_of_tensor(tensor);
            const char *const path = arena_format(bench.arena, "%s/out%s", folder, endings[e]);
            const bool possible = e == 2 || npy_holds(&value);
            cr_expect_eq(host_value_write(path, &value, bench.arena, bench.diagnostics), possible, "%s %s",
                         pb_rows[i].name, endings[e]);
            HostValue again = {0};
            if (possible) {
                cr_assert(host_value_read(&again, path, NULL, &host_image_plain, bench.arena, bench.diagnostics),
                          "%s: %s", pb_rows[i].name, first_message(&bench));
                check_2x3(path, &again.tensor, pb_rows[i].dtype, pb_rows[i].values);
                cr_expect_arr_eq(again.tensor.data, tensor.data, tensor.bytes);
                written++;
                unlink(path);
            }
            bench_close(&bench);
        }
    cr_expect_eq(rmdir(folder), 0, "no temporary file stays behind");
    cr_expect_eq(written, 25 + 14 + 14, "all types as .pb, those of NumPy as .npy and .npz");
}

Test(writers, keep_sequences_optionals_and_strings)
{
    static const struct {
        const char *name;
        HostKind kind;
    } rows[] = {{"sequence.pb", HOST_SEQUENCE},      {"sequence-empty.pb", HOST_SEQUENCE},
                {"optional.pb", HOST_OPTIONAL},      {"optional-sequence.pb", HOST_OPTIONAL},
                {"optional-none.pb", HOST_OPTIONAL}, {"strings.pb", HOST_TENSOR}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        const HostValue value = sample_value(&bench, rows[i].name, rows[i].kind);
        char *bytes = NULL;
        size_t size = 0;
        FILE *const file = open_memstream(&bytes, &size);
        cr_assert(pb_write(file, &value));
        fclose(file);
        /* ONNX's own serializer wrote the sample with the same fields in the same order: the bytes agree. */
        Source sample;
        cr_assert(source_open(&sample, arena_format(bench.arena, SAMPLES "%s", rows[i].name), 0, bench.arena,
                              bench.diagnostics));
        cr_expect_eq(size, sample.size, "%s: %zu bytes, not %zu", rows[i].name, size, sample.size);
        cr_expect(size == sample.size && memcmp(bytes, sample.bytes, size) == 0, "%s", rows[i].name);
        source_close(&sample);
        free(bytes);
        bench_close(&bench);
    }
}

Test(check, compares_values_with_what_the_model_wants)
{
    static const int64_t dims[] = {-1, 3}, other[] = {2, 4};
    Bench bench = bench_open();
    const HostValue value = host_value_of_tensor(sample_tensor(&bench, "f32.npy", NULL));
    const HostSpec good = {.name = "image", .kind = HOST_TENSOR, .dtype = ONNX_FLOAT, .rank = 2, .dims = dims};
    const HostSpec shape = {.name = "image", .kind = HOST_TENSOR, .dtype = ONNX_FLOAT, .rank = 2, .dims = other};
    const HostSpec type = {.name = "image", .kind = HOST_TENSOR, .dtype = 11, .rank = -1};
    cr_expect(host_value_check(&value, &good, "f32.npy", bench.diagnostics));
    cr_expect_not(host_value_check(&value, &shape, "f32.npy", bench.diagnostics));
    cr_expect(said(&bench, "holds f32[2,3], but the input \"image\" is f32[2,4]"), "%s", first_message(&bench));
    cr_expect_not(host_value_check(&value, &type, "f32.npy", bench.diagnostics));
    cr_expect(said(&bench, "f64 of any shape"));
    bench_close(&bench);
}
