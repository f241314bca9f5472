/* Packing weights into files: see weights.h. */
#include "codegen/weights.h"

#include "ir/pack.h"
#include "passes/access.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int by_offset(const void *a, const void *b)
{
    const int64_t left = (*(Node *const *)a)->payload.buffer->offset,
                  right = (*(Node *const *)b)->payload.buffer->offset;
    return left < right ? -1 : left > right;
}

/* Buffers of several regions may have the same place: equal bytes. */
WeightList weights_collect(Program *program)
{
    Arena *const arena = program->ir->arena;
    WeightList list = {.total = program->compilation->weight_bytes};
    NodeMap seen;
    map_open(&seen, arena);
    size_t most = 1;
    for (int part = 0; part <= program->region_count; part++)
        for (int i = 0; i < program_part(program, part)->launch_count; i++)
            most += program_part(program, part)->launches[i].kernel->input_count;
    list.buffers = NEW_ARRAY(arena, Node *, most);
    for (int part = 0; part <= program->region_count; part++)
        for (int i = 0; i < program_part(program, part)->launch_count; i++) {
            const Node *const kernel = program_part(program, part)->launches[i].kernel;
            for (uint32_t j = 0; j < kernel->input_count; j++) {
                Node *const input = kernel->inputs[j];
                Node *const root = input->op == OP_buffer ? buffer_root(input) : NULL;
                if (!root || root->payload.buffer->place != PLACE_WEIGHT || map_has(&seen, root))
                    continue;
                map_set(&seen, root, root);
                list.buffers[list.count++] = root;
            }
        }
    qsort(list.buffers, (size_t)list.count, sizeof *list.buffers, by_offset);
    return list;
}

enum { PIECE = 1 << 20 };

static bool write_zeros(FILE *file, int64_t count)
{
    static const char zeros[4096];
    for (; count > 0; count -= (int64_t)sizeof zeros)
        if (fwrite(zeros, 1, (size_t)(count < (int64_t)sizeof zeros ? count : (int64_t)sizeof zeros), file) == 0)
            return false;
    return true;
}

/* Packs a constant piece by piece, so that memory does not grow with the model. */
static bool write_weight(FILE *file, const Node *buffer, char *piece, int64_t *written)
{
    const Buffer *const memory = buffer->payload.buffer;
    const uint64_t elements = pack_elements(buffer->type, &memory->layout);
    const uint64_t step = (uint64_t)PIECE * 8 / (uint64_t)dtype_info[buffer->type.dtype].bits;
    for (uint64_t first = 0; first < elements; first += step) {
        const uint64_t count = elements - first < step ? elements - first : step;
        const uint64_t bytes = pack_bytes(buffer->type.dtype, count);
        constant_pack_range(memory->constant, buffer->type, &memory->layout, first, count, piece);
        if (fwrite(piece, 1, bytes, file) != bytes)
            return false;
        *written += (int64_t)bytes;
    }
    return true;
}

bool weights_write(void *context, FILE *file)
{
    const WeightList *const list = context;
    char *const piece = malloc(PIECE + 64);
    int64_t written = 0;
    bool good = piece != NULL;
    for (int i = 0; i < list->count && good; i++) {
        const int64_t gap = list->buffers[i]->payload.buffer->offset - written;
        if (gap < 0)
            continue; /* its bytes are there already */
        good = write_zeros(file, gap);
        written += gap;
        good = good && write_weight(file, list->buffers[i], piece, &written);
    }
    free(piece);
    return good && write_zeros(file, list->total - written);
}

/* ---- weights that are written into what was linked ---- */

/* A share of the list. Gaps are zeros already. */
static bool fill_share(const WeightList *list, int first, int last, const char *path, uint64_t offset)
{
    FILE *const file = fopen(path, "r+be");
    char *const piece = malloc(PIECE + 64);
    int64_t written = 0;
    bool good = file && piece;
    for (int i = first; i < last && good; i++) {
        const int64_t at = list->buffers[i]->payload.buffer->offset;
        if (at < written)
            continue; /* its bytes are there already */
        written = at;
        good = fseeko(file, (off_t)offset + at, SEEK_SET) == 0 && write_weight(file, list->buffers[i], piece, &written);
    }
    if (file)
        good = fclose(file) == 0 && good;
    free(piece);
    return good;
}

/* The first buffer at `part` of `parts` of all bytes or behind. */
static int share_begin(const WeightList *list, int part, int parts)
{
    int i = 0;
    while (part > 0 && i < list->count &&
           (part == parts || list->buffers[i]->payload.buffer->offset < list->total / parts * part))
        i++;
    return i;
}

/* Packing takes longer than writing: processes share it. Those that cannot be started cost time alone. */
bool weights_fill(void *context, const char *path, uint64_t offset)
{
    const WeightList *const list = context;
    enum { PARTS = 4 };
    const int parts = list->workers > 1 && list->total > PARTS * PIECE * 8 ? PARTS : 1;
    pid_t children[PARTS] = {0};
    int failed = 0;
    for (int part = 1; part < parts; part++) {
        const int first = share_begin(list, part, parts), last = share_begin(list, part + 1, parts);
        children[part] = fork();
        if (children[part] == 0)
            _exit(fill_share(list, first, last, path, offset) ? 0 : errno ? errno : EIO);
        if (children[part] < 0 && !fill_share(list, first, last, path, offset))
            failed = errno;
    }
    if (!fill_share(list, 0, share_begin(list, 1, parts), path, offset))
        failed = errno;
    for (int part = 1; part < parts; part++) {
        int status = 0;
        while (children[part] > 0 && waitpid(children[part], &status, 0) < 0 && errno == EINTR)
            continue;
        if (status != 0)
            failed = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
    }
    errno = failed;
    return failed == 0;
}
