/* Writing ar files: magic, symbol index "/" (or "/SYM64/" from 4 GiB on), long names "//", members; each starts at an
 * even offset. */
#include "codegen/archive.h"
#include "codegen/elf.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 60, NAME_BYTES = 16 };

typedef struct Mapped {
    void *bytes;
    uint64_t size;
} Mapped;

/* Names of symbols, each with the member that defines it. */
typedef struct Symbols {
    char *text; /* NUL-terminated names one after the other */
    uint64_t text_bytes, text_capacity;
    uint32_t *members;
    uint64_t count, capacity;
    uint32_t member;
    bool failed;
} Symbols;

static bool grow(void **array, uint64_t *capacity, uint64_t wanted, size_t size)
{
    if (wanted <= *capacity)
        return true;
    const uint64_t grown = wanted * 2 + 64;
    void *const larger = realloc(*array, grown * size);
    if (!larger)
        return false;
    *array = larger;
    *capacity = grown;
    return true;
}

static void symbol_add(void *context, const char *name)
{
    Symbols *const symbols = context;
    const uint64_t bytes = strlen(name) + 1;
    void *text = symbols->text, *members = symbols->members;
    const bool room = grow(&text, &symbols->text_capacity, symbols->text_bytes + bytes, 1) &&
                      grow(&members, &symbols->capacity, symbols->count + 1, sizeof *symbols->members);
    symbols->text = text;
    symbols->members = members;
    if (!room) {
        symbols->failed = true;
        return;
    }
    memcpy(symbols->text + symbols->text_bytes, name, bytes);
    symbols->text_bytes += bytes;
    symbols->members[symbols->count++] = symbols->member;
}

static bool map_file(const char *path, Mapped *mapped)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    if (file < 0)
        return false;
    bool done = fstat(file, &facts) == 0 && facts.st_size > 0;
    if (done) {
        mapped->size = (uint64_t)facts.st_size;
        mapped->bytes = mmap(NULL, mapped->size, PROT_READ, MAP_PRIVATE, file, 0);
        done = mapped->bytes != MAP_FAILED;
    }
    close(file);
    return done;
}

static bool put_header(FILE *file, const char *name, uint64_t bytes)
{
    return fprintf(file, "%-16s%-12d%-6d%-6d%-8s%-10" PRIu64 "`\n", name, 0, 0, 0, "644", bytes) == HEADER_BYTES;
}

static bool put_padding(FILE *file, uint64_t bytes)
{
    return bytes % 2 == 0 || fputc('\n', file) != EOF;
}

static bool put_big_endian(FILE *file, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        if (fputc((int)(value >> (8 * i) & 255), file) == EOF)
            return false;
    return true;
}

static uint64_t even(uint64_t bytes)
{
    return bytes + bytes % 2;
}

static bool put_index(FILE *file, const Symbols *symbols, const uint64_t *offsets, int word)
{
    const uint64_t bytes = (uint64_t)word * (symbols->count + 1) + symbols->text_bytes;
    if (!put_header(file, word == 8 ? "/SYM64/" : "/", bytes) || !put_big_endian(file, symbols->count, word))
        return false;
    for (uint64_t i = 0; i < symbols->count; i++)
        if (!put_big_endian(file, offsets[symbols->members[i]], word))
            return false;
    return (symbols->text_bytes == 0 || fwrite(symbols->text, 1, symbols->text_bytes, file) == symbols->text_bytes) &&
           put_padding(file, bytes);
}

/* Every name goes into the table of long names: one form for all. */
static uint64_t names_bytes(const ArchiveMember *members, int count)
{
    uint64_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += strlen(members[i].name) + 2;
    return bytes;
}

static bool put_names(FILE *file, const ArchiveMember *members, int count)
{
    const uint64_t bytes = names_bytes(members, count);
    if (!put_header(file, "//", bytes))
        return false;
    for (int i = 0; i < count; i++)
        if (fprintf(file, "%s/\n", members[i].name) < 0)
            return false;
    return put_padding(file, bytes);
}

static uint64_t place_members(const ArchiveMember *members, const Mapped *files, int count, uint64_t symbol_bytes,
                              uint64_t *offsets)
{
    uint64_t position = 8 + HEADER_BYTES + even(symbol_bytes) + HEADER_BYTES + even(names_bytes(members, count));
    for (int i = 0; i < count; i++) {
        offsets[i] = position;
        position += HEADER_BYTES + even(files[i].size);
    }
    return position;
}

static bool put_members(FILE *file, const ArchiveMember *members, const Mapped *files, int count)
{
    uint64_t name_offset = 0;
    for (int i = 0; i < count; i++) {
        char name[NAME_BYTES + 8];
        snprintf(name, sizeof name, "/%" PRIu64, name_offset);
        name_offset += strlen(members[i].name) + 2;
        if (!put_header(file, name, files[i].size) || fwrite(files[i].bytes, 1, files[i].size, file) != files[i].size ||
            !put_padding(file, files[i].size))
            return false;
    }
    return fflush(file) == 0;
}

static bool write_all(FILE *file, const ArchiveMember *members, const Mapped *files, int count, const Symbols *symbols,
                      uint64_t *offsets)
{
    int word = 4;
    if (place_members(members, files, count, 4 * (symbols->count + 1) + symbols->text_bytes, offsets) > UINT32_MAX) {
        word = 8;
        place_members(members, files, count, 8 * (symbols->count + 1) + symbols->text_bytes, offsets);
    }
    return fputs("!<arch>\n", file) != EOF && put_index(file, symbols, offsets, word) &&
           put_names(file, members, count) && put_members(file, members, files, count);
}

bool archive_write(FILE *file, const ArchiveMember *members, int count)
{
    Mapped *const files = calloc((size_t)count + 1, sizeof *files);
    uint64_t *const offsets = calloc((size_t)count + 1, sizeof *offsets);
    Symbols symbols = {0};
    int mapped = 0;
    bool done = files && offsets;
    while (done && mapped < count && map_file(members[mapped].path, &files[mapped])) {
        symbols.member = (uint32_t)mapped;
        done = elf_globals(files[mapped].bytes, files[mapped].size, symbol_add, &symbols) && !symbols.failed;
        mapped++;
    }
    done = done && mapped == count && write_all(file, members, files, count, &symbols, offsets);
    for (int i = 0; i < mapped; i++)
        munmap(files[i].bytes, files[i].size);
    free(files);
    free(offsets);
    free(symbols.text);
    free(symbols.members);
    return done;
}
