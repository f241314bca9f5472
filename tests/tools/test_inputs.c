/* Binding of inputs, writing and summarising of outputs, and the cache. */
/* links: lathe_tools_base */
#include "tests/tools/sample.h"
#include "tools/cachefolder.h"
#include "tools/inputs.h"
#include "tools/outputs.h"
#include "tools/verbs.h"

#include <math.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static Options parsed(Bench *bench, int count, const char *const *words)
{
    char **arguments = NEW_ARRAY(bench->arena, char *, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        arguments[i] = arena_format(bench->arena, "%s", words[i]);
    Options options;
    cr_assert(options_parse(&options, count, arguments, bench->arena, bench->diagnostics), "%s", first_message(bench));
    return options;
}

#define PARSED(bench, ...)                                                                                             \
    parsed(bench, sizeof((const char *const[]){"lathe", __VA_ARGS__}) / sizeof(char *),                                \
           (const char *const[]){"lathe", __VA_ARGS__})

static const int64_t grid[] = {2, 3}, pair[] = {2};
static const HostSpec specs[] = {
    {.name = "image", .kind = HOST_TENSOR, .dtype = ONNX_FLOAT, .rank = 2, .dims = grid},
    {.name = "ids", .kind = HOST_TENSOR, .dtype = 7, .rank = 1, .dims = pair},
    {.name = "mask", .kind = HOST_TENSOR, .dtype = ONNX_BOOL, .rank = 1, .dims = pair, .optional = true},
};

Test(inputs, bind_by_name_by_place_and_by_filler)
{
    HostValue values[3];
    Bench bench = bench_open();
    Options options = PARSED(&bench, "run", "m.onnx", "-i", "ids=ones", "-i", SAMPLES "f32.npy");
    cr_assert(inputs_bind(values, specs, 3, &options), "%s", first_message(&bench));
    cr_expect_eq(host_element(&values[0].tensor, 2), -1.5);
    cr_expect_str_eq(values[0].name, "image");
    cr_expect_eq(host_element(&values[1].tensor, 1), 1);
    cr_expect_eq(values[2].kind, HOST_ABSENT);
    options = PARSED(&bench, "run", "m.onnx", "-i", SAMPLES "stored.npz", "-i", "mask=none");
    cr_assert(inputs_bind(values, specs, 3, &options), "%s", first_message(&bench));
    cr_expect(host_element(&values[0].tensor, 5) == 5 && host_element(&values[1].tensor, 0) == 7);
    options = PARSED(&bench, "run", "m.onnx", "-i", "random:7", "-i", "image=" SAMPLES "stored.npz");
    cr_assert(inputs_bind(values, specs, 3, &options), "%s", first_message(&bench));
    cr_expect(host_element(&values[0].tensor, 5) == 5 && host_element(&values[1].tensor, 0) < 10);
    bench_close(&bench);
}

Test(inputs, that_do_not_fit_are_errors)
{
    static const struct {
        const char *first, *second, *message;
    } rows[] = {
        {"image=zeros", "image=ones", "\"image\" is given twice"},
        {"image=zeros", "mask=zeros", "the input \"ids\", i64[2], is not given"},
        {"image=none", "random:1", "cannot be none"},
        {SAMPLES "i64.npy", "random:1", "holds i64[2,3], but the input \"image\" is f32[2,3]"},
        {"ids=" SAMPLES "f32.npy", "random:1", "holds f32[2,3], but the input \"ids\" is i64[2]"},
        {"sound=" SAMPLES "f32.npy", "random:1", "cannot open"},
        {SAMPLES "rounded.npz", "random:1", "the model has no such input"},
        {"random:-1", "zeros=x", "cannot open"},
        {"image=random:-1", "zeros", "needs a seed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        HostValue values[3];
        Bench bench = bench_open();
        Options options = PARSED(&bench, "run", "m.onnx", "-i", rows[i].first, "-i", rows[i].second);
        cr_expect_not(inputs_bind(values, specs, 3, &options), "row %zu", i);
        cr_expect(said(&bench, rows[i].message), "row %zu: %s", i, first_message(&bench));
        bench_close(&bench);
    }
}

Test(inputs, image_options_name_red_first_whatever_the_order)
{
    Bench bench = bench_open();
    HostImageOptions image;
    Options options =
        PARSED(&bench, "run", "m.onnx", "--image-mean", "1,2,3", "--image-scale", "0.5", "--image-order", "bgr");
    cr_assert(image_options_read(&image, &options));
    cr_expect(image.bgr && image.mean[0] == 3 && image.mean[2] == 1 && image.scale[1] == 0.5);
    options = PARSED(&bench, "run", "m.onnx", "--image-mean", "1,2");
    cr_expect_not(image_options_read(&image, &options));
    cr_expect(said(&bench, "takes 1 or 3 numbers, but has 2"));
    bench_close(&bench);
}

static void fill(Bench *bench, HostValue values[2])
{
    values[0] = host_value_of_tensor(sample_tensor(bench, "f32.npy", NULL));
    values[0].name = "scores/0";
    values[1] = host_value_of_tensor(sample_tensor(bench, "bfloat16.raw.pb", NULL));
    values[1].name = "half";
}

static bool exists(Bench *bench, const char *folder, const char *name)
{
    return access(arena_format(bench->arena, "%s/%s", folder, name), R_OK) == 0;
}

Test(outputs, go_to_a_folder_files_or_an_archive)
{
    char folder[] = "/tmp/lathe-test-XXXXXX";
    cr_assert(mkdtemp(folder));
    Bench bench = bench_open();
    HostValue values[2];
    fill(&bench, values);
    Options options = PARSED(&bench, "run", "m.onnx", "-o", arena_format(bench.arena, "%s/new", folder), "-o",
                             arena_format(bench.arena, "scores/0=%s/s.npy", folder));
    cr_assert(outputs_write(values, 2, &options), "%s", first_message(&bench));
    cr_expect(exists(&bench, folder, "new/output_0.npy") && exists(&bench, folder, "new/output_1.pb"));
    cr_expect(exists(&bench, folder, "new/names.json") && exists(&bench, folder, "s.npy"));
    options = PARSED(&bench, "run", "m.onnx", "-o", arena_format(bench.arena, "%s/one.npz", folder));
    cr_expect(outputs_write(values, 1, &options), "%s", first_message(&bench));
    cr_expect_not(outputs_write(values, 2, &options), ".npz cannot hold bf16");
    cr_expect(said(&bench, "cannot hold the output \"half\", bf16[2,3]"));
    options = PARSED(&bench, "run", "m.onnx", "-o", arena_format(bench.arena, "%s/x.npy", folder));
    cr_expect_not(outputs_write(values, 2, &options));
    cr_expect(said(&bench, "one file for 2 outputs"));
    cr_expect_eq(system(arena_format(bench.arena, "rm -r %s", folder)), 0);
    bench_close(&bench);
}

/* Build systems look at the time: what did not change is not touched. */
Test(outputs, that_are_the_same_stay_untouched)
{
    char folder[] = "/tmp/lathe-test-XXXXXX";
    cr_assert(mkdtemp(folder));
    Bench bench = bench_open();
    HostValue values[2];
    struct stat first, second, third;
    fill(&bench, values);
    const char *const path = arena_format(bench.arena, "%s/out.npy", folder);
    cr_assert(host_value_write(path, &values[0], bench.arena, bench.diagnostics));
    cr_assert_eq(stat(path, &first), 0);
    cr_assert(host_value_write(path, &values[0], bench.arena, bench.diagnostics));
    cr_assert_eq(stat(path, &second), 0);
    host_element_set(&values[0].tensor, 0, 9);
    cr_assert(host_value_write(path, &values[0], bench.arena, bench.diagnostics));
    cr_assert_eq(stat(path, &third), 0);
    cr_expect_eq(first.st_ino, second.st_ino);
    cr_expect_neq(first.st_ino, third.st_ino);
    cr_expect_eq(system(arena_format(bench.arena, "rm -r %s", folder)), 0);
    bench_close(&bench);
}

static char *summary_of(Bench *bench, const HostValue *value)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const file = open_memstream(&text, &size);
    output_summary(file, value, "y", bench->arena);
    fclose(file);
    return text;
}

Test(outputs, are_summarised)
{
    Bench bench = bench_open();
    HostValue values[2];
    fill(&bench, values);
    /* 0, 1, -1.5, 0.5, 4, -6: the mean is -2/6 */
    char *text = summary_of(&bench, &values[0]);
    cr_expect_str_eq(text, "y: f32[2,3]  min -6  max 4  mean -0.333333  [0, 1, -1.5, 0.5, 4, -6]\n");
    free(text);
    host_element_set(&values[0].tensor, 0, NAN);
    host_element_set(&values[0].tensor, 1, INFINITY);
    text = summary_of(&bench, &values[0]);
    cr_expect_str_eq(text, "y: f32[2,3]  min -6  max 4  mean -0.75  1 NaN  1 infinite  [nan, inf, -1.5, 0.5, 4, -6]\n");
    free(text);
    const HostValue strings = host_value_of_tensor(sample_tensor(&bench, "strings.pb", NULL));
    text = summary_of(&bench, &strings);
    cr_expect_str_eq(text, "y: string[3]  [\"ab\", \"\", \"Zürich\"]\n");
    free(text);
    bench_close(&bench);
}

Test(outputs, name_their_best_classes)
{
    Bench bench = bench_open();
    HostValue values[2];
    fill(&bench, values);
    char path[] = "/tmp/lathe-test-XXXXXX";
    const int descriptor = mkstemp(path);
    cr_assert_eq(write(descriptor, "cat\r\n dog \nbird", 15), 15);
    close(descriptor);
    Labels labels;
    cr_assert(labels_read(&labels, path, bench.arena, bench.diagnostics));
    cr_assert_eq(labels.count, 3);
    unlink(path);
    char *text = NULL;
    size_t size = 0;
    FILE *const file = open_memstream(&text, &size);
    output_classes(file, &values[0].tensor, &labels, 2, bench.arena);
    fclose(file);
    cr_expect_str_eq(text, "  row 0:\n    1. 1            class 1  dog\n    2. 0            class 0  cat\n"
                           "  row 1:\n    1. 4            class 1  dog\n    2. 0.5          class 0  cat\n");
    free(text);
    bench_close(&bench);
}

static void file_make(Bench *bench, const char *folder, const char *name, int bytes, int age)
{
    const char *const path = arena_format(bench->arena, "%s/%s", folder, name);
    FILE *const file = fopen(path, "w");
    cr_assert(file);
    fprintf(file, "%*s", bytes, "");
    fclose(file);
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= age;
    times[1] = times[0];
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

Test(cache, gc_removes_the_least_recently_used_and_only_from_its_own_folder)
{
    char folder[] = "/tmp/lathe-test-XXXXXX";
    cr_assert(mkdtemp(folder));
    Bench bench = bench_open();
    freopen("/dev/null", "w", stdout);
    mkdir(arena_format(bench.arena, "%s/sub", folder), 0777);
    file_make(&bench, folder, "old", 1000, 3000);
    file_make(&bench, folder, "sub/middle", 1000, 2000);
    file_make(&bench, folder, "new", 1000, 1000);
    Options options = PARSED(&bench, "cache", "gc", "--cache-dir", folder, "--max-size", "0");
    cr_expect_eq(verb_cache(&options), EXIT_USAGE, "a folder without the mark is left alone");
    cr_expect(exists(&bench, folder, "old"));
    bench.diagnostics = diagnostics_open(bench.arena);
    cr_assert(cache_folder_open(folder, bench.arena, bench.diagnostics));
    CacheListing listing;
    cr_assert(cache_list(&listing, folder, bench.arena, bench.diagnostics));
    cr_expect(listing.marked && listing.count == 3 && listing.bytes == 3000, "%zu files", listing.count);
    options = PARSED(&bench, "cache", "gc", "--cache-dir", folder, "--max-size", "0", "--dry-run");
    cr_expect_eq(verb_cache(&options), EXIT_OK);
    cr_expect(exists(&bench, folder, "old"));
    options = PARSED(&bench, "cache", "gc", "--cache-dir", folder, "--max-size", "2000B");
    cr_expect_eq(verb_cache(&options), EXIT_OK);
    cr_expect(!exists(&bench, folder, "old") && exists(&bench, folder, "sub/middle") && exists(&bench, folder, "new"));
    options = PARSED(&bench, "cache", "gc", "--cache-dir", folder, "--max-age", "1500s");
    cr_expect_eq(verb_cache(&options), EXIT_OK);
    cr_expect(!exists(&bench, folder, "sub/middle") && exists(&bench, folder, "new"));
    cr_expect(exists(&bench, folder, "CACHEDIR.TAG"), "the mark stays");
    cr_expect_eq(system(arena_format(bench.arena, "rm -r %s", folder)), 0);
    bench_close(&bench);
}

Test(cache, folder_follows_option_and_environment)
{
    Bench bench = bench_open();
    setenv("HOME", "/home/somebody", 1);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("LATHE_CACHE_DIR");
    Options options = PARSED(&bench, "cache", "stats");
    cr_expect_str_eq(cache_folder(&options), "/home/somebody/.cache/lathe");
    setenv("XDG_CACHE_HOME", "/var/cache", 1);
    cr_expect_str_eq(cache_folder(&options), "/var/cache/lathe");
    setenv("LATHE_CACHE_DIR", "/fast", 1);
    cr_expect_str_eq(cache_folder(&options), "/fast");
    options = PARSED(&bench, "cache", "stats", "--cache-dir", "here");
    cr_expect_str_eq(cache_folder(&options), "here");
    options = PARSED(&bench, "cache", "stats", "--no-cache");
    cr_expect_null(cache_folder(&options));
    bench_close(&bench);
}
