/* Bytes that claim to be a tensor, an archive of tensors, a sound or an image. */
/* links: lathe_tools_base */
/* samples: tests/data/tensorfiles */
#include "tests/fuzz/target.h"
#include "tools/tensorfile.h"

typedef void Reader(const Source *source);

static void npy(const Source *source)
{
    HostTensor tensor;
    npy_read(&tensor, source, NULL);
}

static void npz(const Source *source)
{
    HostTensor *members;
    size_t count;
    npz_read(&members, &count, source);
}

static void pb(const Source *source)
{
    static const HostSpec any = {.name = "any", .kind = HOST_TENSOR, .dtype = 1, .rank = -1};
    HostValue value;
    pb_read(&value, source, &any);
}

static void wav(const Source *source)
{
    HostTensor tensor;
    wav_read(&tensor, source, NULL);
}

static void image(const Source *source)
{
    static const int64_t dims[] = {1, 3, 8, 8};
    static const HostSpec spec = {.name = "image", .kind = HOST_TENSOR, .dtype = 1, .rank = 4, .dims = dims};
    HostTensor tensor;
    image_read(&tensor, source, &spec, &host_image_plain);
}

static Reader *const readers[] = {npy, npz, pb, wav, image};

static void read_all(Arena *arena, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        const Source source = source_of_bytes(data, size, "fuzz", arena, diagnostics_open(arena));
        readers[i](&source);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    target_run(read_all, data, size);
    return 0;
}
