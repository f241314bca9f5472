/* Gathering images: see images.h. */
#include "codegen/images.h"

#include "codegen/ptxas.h"

#include <string.h>

const char images_symbol[] = "lathe_images";

enum { ALIGNMENT = 64 };

typedef struct Gathered {
    char *bytes; /* NULL: only the size is wanted */
    int64_t used;
} Gathered;

/* Where the piece begins. A zero follows it, which texts need. */
static int64_t append(Gathered *gathered, ObjectBytes piece)
{
    const int64_t start = (gathered->used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (gathered->bytes)
        memcpy(gathered->bytes + start, piece.data, piece.bytes);
    gathered->used = start + (int64_t)piece.bytes + 1;
    return start;
}

static void gather(Program *program, const KernelJob *jobs, Gathered *gathered)
{
    for (int kernel = 0; kernel < program->kernel_count; kernel++)
        for (int level = 0; level < program->level_count; level++) {
            const int number = kernel * program->level_count + level;
            const DeviceImage image = device_image_unpack(jobs[number].object);
            const bool text = image.binary.bytes == 0 || level == program->level_count - 1;
            program->images[number] = (ProgramImage){
                .binary = image.binary.bytes ? append(gathered, image.binary) : -1,
                .text = text ? append(gathered, image.text) : -1,
            };
        }
}

ElfBlob images_collect(Program *program, const KernelJob *jobs)
{
    Arena *const arena = program->ir->arena;
    Gathered size = {0}, gathered = {0};
    program->images = NEW_ARRAY(arena, ProgramImage, (size_t)(program->kernel_count * program->level_count) + 1);
    gather(program, jobs, &size);
    gathered.bytes = arena_alloc(arena, (size_t)size.used + 1); /* zeroed */
    gather(program, jobs, &gathered);
    return (ElfBlob){.section = ".rodata.lathe_images",
                     .symbol = images_symbol,
                     .bytes = (uint64_t)(size.used ? size.used : 1),
                     .alignment = ALIGNMENT,
                     .data = gathered.bytes};
}
