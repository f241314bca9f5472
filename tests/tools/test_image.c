/* Images against Pillow: decoding, layouts, scaling, normalisation. */
/* links: lathe_tools_base */
#include "tests/tools/sample.h"

#include <math.h>

static HostTensor image_of(Bench *bench, const char *name, int dtype, int rank, const int64_t *dims,
                           const HostImageOptions *options)
{
    HostTensor tensor = {0};
    Source source;
    const HostSpec spec = {.name = "image", .kind = HOST_TENSOR, .dtype = dtype, .rank = rank, .dims = dims};
    cr_assert(
        source_open(&source, arena_format(bench->arena, SAMPLES "%s", name), 0, bench->arena, bench->diagnostics));
    cr_assert(image_read(&tensor, &source, &spec, options), "%s: %s", name, first_message(bench));
    source_close(&source);
    return tensor;
}

static void check_close(const char *name, const HostTensor *have, const HostTensor *want, double tolerance)
{
    cr_assert_eq(have->count, want->count, "%s: %lld elements, wanted %lld", name, (long long)have->count,
                 (long long)want->count);
    double worst = 0;
    for (int64_t i = 0; i < have->count; i++)
        worst = fmax(worst, fabs(host_element(have, i) - host_element(want, i)));
    cr_expect_leq(worst, tolerance, "%s: off by %g", name, worst);
}

/* NHWC of the same size has the pixels in the order of the file. JPEG decoders may differ in the last step. */
Test(image, decodes_what_pillow_decodes)
{
    static const struct {
        const char *name, *expected;
        int channels;
        double tolerance;
    } rows[] = {
        {"rgb.png", "rgb.expected.npy", 3, 0},         {"grey.png", "grey.expected.npy", 1, 0},
        {"palette.png", "palette.expected.npy", 3, 0}, {"alpha.png", "rgb.expected.npy", 3, 0},
        {"grey16.png", "grey16.expected.npy", 1, 0},   {"rgb.png", "grey.expected.npy", 1, 0},
        {"photo.jpg", "photo.jpg.expected.npy", 3, 2}, {"progressive.jpg", "photo.jpg.expected.npy", 3, 2},
        {"grey.jpg", "grey.jpg.expected.npy", 1, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        const int64_t dims[] = {-1, -1, -1, rows[i].channels};
        const HostTensor have = image_of(&bench, rows[i].name, ONNX_UINT8, 4, dims, &host_image_plain);
        const HostTensor want = sample_tensor(&bench, rows[i].expected, NULL);
        cr_expect_eq(have.dims[3], rows[i].channels);
        check_close(rows[i].name, &have, &want, rows[i].tolerance);
        bench_close(&bench);
    }
}

Test(image, scales_like_pillow_in_floating_point)
{
    static const int64_t smaller[] = {1, 3, 16, 24}, larger[] = {1, 3, 60, 55};
    Bench bench = bench_open();
    const HostTensor small = image_of(&bench, "photo.png", ONNX_FLOAT, 4, smaller, &host_image_plain);
    const HostTensor small_wanted = sample_tensor(&bench, "photo-smaller.expected.npy", NULL);
    check_close("smaller", &small, &small_wanted, 1e-3);
    const HostTensor large = image_of(&bench, "photo.png", ONNX_FLOAT, 4, larger, &host_image_plain);
    const HostTensor large_wanted = sample_tensor(&bench, "photo-larger.expected.npy", NULL);
    check_close("larger", &large, &large_wanted, 1e-3);
    bench_close(&bench);
}

Test(image, follows_layout_order_mean_and_scale)
{
    static const int64_t planes[] = {1, 3, 4, 5}, pixels[] = {4, 5, 3};
    Bench bench = bench_open();
    const HostTensor file = sample_tensor(&bench, "rgb.expected.npy", NULL); /* HWC */
    const HostImageOptions options = {.mean = {10, 20, 30}, .scale = {0.5, 2, 1}, .bgr = true};
    const HostTensor first = image_of(&bench, "rgb.png", ONNX_FLOAT, 4, planes, &options);
    const HostTensor last = image_of(&bench, "rgb.png", 10, 3, pixels, &host_image_plain);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 5; x++)
            for (int c = 0; c < 3; c++) {
                const double pixel = host_element(&file, (y * 5 + x) * 3 + 2 - c);
                const double want = (pixel - options.mean[c]) * options.scale[c];
                cr_expect_eq(host_element(&first, (c * 4 + y) * 5 + x), want);
                cr_expect_eq(host_element(&last, (y * 5 + x) * 3 + c), host_element(&file, (y * 5 + x) * 3 + c));
            }
    bench_close(&bench);
}

Test(image, refuses_what_no_image_fits)
{
    static const int64_t five[] = {1, 5, 4, 4}, batch[] = {2, 3, 4, 4}, huge[] = {1, 3, 60000, 60000};
    static const struct {
        int dtype, rank;
        const int64_t *dims;
        const char *message;
    } rows[] = {{ONNX_FLOAT, 4, five, "1 or 3 channels"},
                {ONNX_FLOAT, 4, batch, "is one image, but the model wants f32[2,3,4,4]"},
                {ONNX_FLOAT, 4, huge, "cannot be scaled to 60000 x 60000"},
                {7, 4, five, "wants i64"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        HostTensor tensor;
        Source source;
        const HostSpec spec = {.kind = HOST_TENSOR, .dtype = rows[i].dtype, .rank = rows[i].rank, .dims = rows[i].dims};
        cr_assert(source_open(&source, SAMPLES "rgb.png", 0, bench.arena, bench.diagnostics));
        cr_expect_not(image_read(&tensor, &source, &spec, &host_image_plain));
        cr_expect(said(&bench, rows[i].message), "%s", first_message(&bench));
        source_close(&source);
        bench_close(&bench);
    }
}

Test(image, that_is_cut_off_is_an_error)
{
    static const char *const names[] = {"photo.png", "photo.jpg", "progressive.jpg"};
    for (int n = 0; n < 3; n++)
        for (int part = 1; part < 8; part++) {
            Bench bench = bench_open();
            HostTensor tensor;
            Source source;
            cr_assert(source_open(&source, arena_format(bench.arena, SAMPLES "%s", names[n]), 0, bench.arena,
                                  bench.diagnostics));
            Source cut = source;
            cut.size = source.size * (size_t)part / 8;
            cr_expect_not(image_read(&tensor, &cut, NULL, &host_image_plain), "%s, %d eighths", names[n], part);
            cr_expect_eq(bench.diagnostics->error_count, 1);
            source_close(&source);
            bench_close(&bench);
        }
}
