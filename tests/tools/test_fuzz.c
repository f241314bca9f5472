/* Broken files: every sample with bytes changed, cut and repeated, 2,000 times each, must give a value or one error and
 * never a crash. The changes are drawn by a generator with a fixed seed; run under address and undefined sanitizers
 * too. LATHE_FUZZ_ROUNDS changes the number. */
/* links: lathe_tools_base */
#include "tests/tools/sample.h"

#include <dirent.h>

enum { ROUNDS = 2000, SIZE_MOST = 1 << 16 };

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % below;
}

/* Changes 1 to 8 places; sometimes cuts the end off or repeats a piece. */
static size_t mutate(uint8_t *bytes, size_t size, uint64_t *state)
{
    static const uint8_t special[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, '(', '9'};
    for (uint32_t changes = 1 + draw(state, 8); changes > 0 && size > 0; changes--) {
        /* Half of the changes hit the front, where the headers stand. */
        const uint32_t reach = draw(state, 2) && size > 128 ? 128 : (uint32_t)size;
        uint8_t *const place = &bytes[draw(state, reach)];
        switch (draw(state, 4)) {
        case 0:
            *place ^= (uint8_t)(1u << draw(state, 8));
            break;
        case 1:
            *place = special[draw(state, sizeof special)];
            break;
        case 2:
            *place = (uint8_t)draw(state, 256);
            break;
        default:
            *place = (uint8_t)(*place + (draw(state, 2) ? 1 : -1));
        }
    }
    const uint32_t kind = draw(state, 16);
    if (kind == 0 && size > 1)
        return draw(state, (uint32_t)size);
    if (kind == 1 && size > 16 && size * 2 < SIZE_MOST) {
        const uint32_t from = draw(state, (uint32_t)size - 8);
        memmove(bytes + from + 8, bytes + from, size - from);
        return size + 8;
    }
    return size;
}

static void read_all_ways(const Source *source, const char *name, uint64_t round)
{
    static const int64_t small[] = {1, 3, 8, 8}, open[] = {-1, -1};
    const HostSpec specs[] = {{.name = "image", .kind = HOST_ABSENT, .rank = -1},
                              {.name = "image", .kind = HOST_TENSOR, .dtype = 16, .rank = 2, .dims = open},
                              {.name = "image", .kind = HOST_SEQUENCE, .rank = -1},
                              {.name = "image", .kind = HOST_OPTIONAL, .rank = -1}};
    HostTensor tensor;
    HostTensor *members;
    size_t count;
    HostValue value;
    if (strstr(name, ".npy"))
        npy_read(&tensor, source, &specs[round % 2]);
    else if (strstr(name, ".npz"))
        npz_read(&members, &count, source);
    else if (strstr(name, ".pb"))
        pb_read(&value, source, &specs[round % 4]);
    else if (strstr(name, ".wav"))
        wav_read(&tensor, source, round % 2 ? &specs[1] : NULL);
    else if (strstr(name, ".png") || strstr(name, ".jpg"))
        image_read(&tensor, source, &(HostSpec){.kind = HOST_TENSOR, .dtype = ONNX_FLOAT, .rank = 4, .dims = small},
                   &host_image_plain);
}

static void fuzz_file(const char *name, const uint8_t *bytes, size_t size)
{
    const char *const wish = getenv("LATHE_FUZZ_ROUNDS");
    const long rounds = wish ? atol(wish) : ROUNDS;
    uint64_t state = 1;
    for (const char *c = name; *c; c++)
        state = state * 31 + (uint8_t)*c;
    for (long round = 0; round < rounds; round++) {
        Bench bench = bench_open();
        uint8_t *const changed =
            malloc(size + 64); /* of its own, so that the sanitizer sees the first byte read too far */
        memcpy(changed, bytes, size);
        const size_t changed_size = mutate(changed, size, &state);
        uint8_t *const exact = malloc(changed_size ? changed_size : 1);
        memcpy(exact, changed, changed_size);
        const Source source = source_of_bytes(exact, changed_size, name, bench.arena, bench.diagnostics);
        read_all_ways(&source, name, (uint64_t)round);
        cr_assert_leq(bench.diagnostics->error_count, 1, "%s, round %ld: %d errors", name, round,
                      bench.diagnostics->error_count);
        free(exact);
        free(changed);
        bench_close(&bench);
    }
}

static void fuzz_suffix(const char *suffix)
{
    Bench bench = bench_open();
    DIR *const folder = opendir(SAMPLES);
    cr_assert(folder);
    int files = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (!path_has_suffix(entry->d_name, suffix) || strstr(entry->d_name, "expected"))
            continue;
        Source source;
        const char *const path = arena_format(bench.arena, SAMPLES "%s", entry->d_name);
        cr_assert(source_open(&source, path, SIZE_MOST, bench.arena, bench.diagnostics), "%s", first_message(&bench));
        fuzz_file(entry->d_name, source.bytes, source.size);
        source_close(&source);
        files++;
    }
    closedir(folder);
    cr_expect_gt(files, 0);
    bench_close(&bench);
}

Test(broken, npy)
{
    fuzz_suffix(".npy");
}

Test(broken, npz)
{
    fuzz_suffix(".npz");
}

Test(broken, pb)
{
    fuzz_suffix(".pb");
}

Test(broken, wav)
{
    fuzz_suffix(".wav");
}

Test(broken, png)
{
    fuzz_suffix(".png");
}

Test(broken, jpg)
{
    fuzz_suffix(".jpg");
}
