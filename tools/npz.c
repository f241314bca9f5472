/* NumPy's .npz: a zip of .npy files. Reads stored and deflated members and ZIP64; writes stored members.
 *
 * A zip can promise anything, so: the central directory and every member must lie inside the file, the packed sizes
 * together may not exceed it, an unpacked size may not exceed what deflate can reach (1032 to 1), and checksums must
 * agree. */
#include "tools/npy.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    COMMENT_MOST = 65535,
    DEFLATE_RATIO = 1032,
};
static const uint32_t END_MARK = 0x06054b50, END64_MARK = 0x06064b50, LOCATOR_MARK = 0x07064b50,
                      CENTRAL_MARK = 0x02014b50, LOCAL_MARK = 0x04034b50;

static uint64_t little(const uint8_t *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

typedef struct Directory {
    uint64_t count, size, offset;
} Directory;

static bool inside(const Source *source, uint64_t offset, uint64_t size)
{
    return offset <= source->size && size <= source->size - offset;
}

static bool directory_find(Directory *directory, const Source *source)
{
    if (source->size < END_SIZE)
        return source_error(source, "has %zu bytes, too few for a zip file", source->size);
    const uint8_t *end = source->bytes + source->size - END_SIZE;
    const uint8_t *const first = source->size > END_SIZE + COMMENT_MOST ? end - COMMENT_MOST : source->bytes;
    while (end >= first && little(end, 4) != END_MARK) {
        if (end == first)
            return source_error(source, "is no zip file, or its end is missing");
        end--;
    }
    *directory = (Directory){.count = little(end + 10, 2), .size = little(end + 12, 4), .offset = little(end + 16, 4)};
    const uint64_t place = (uint64_t)(end - source->bytes);
    if (place >= LOCATOR_SIZE && little(end - LOCATOR_SIZE, 4) == LOCATOR_MARK) {
        const uint64_t offset = little(end - LOCATOR_SIZE + 8, 8);
        if (!inside(source, offset, END64_SIZE) || little(source->bytes + offset, 4) != END64_MARK)
            return source_error(source, "has a zip64 end record that lies outside the file");
        const uint8_t *const end64 = source->bytes + offset;
        *directory =
            (Directory){.count = little(end64 + 32, 8), .size = little(end64 + 40, 8), .offset = little(end64 + 48, 8)};
    }
    if (!inside(source, directory->offset, directory->size) || directory->count > directory->size / CENTRAL_SIZE)
        return source_error(source, "has a zip directory of %llu entries in %llu bytes at %llu, but the file has %zu",
                            (unsigned long long)directory->count, (unsigned long long)directory->size,
                            (unsigned long long)directory->offset, source->size);
    return true;
}

typedef struct Member {
    const char *name;
    int flags, method;
    uint32_t checksum;
    uint64_t packed, unpacked, offset;
} Member;

/* The 64-bit sizes stand in extra field 1, in this order, each only if its 32-bit field is full. */
static bool member_zip64(Member *member, const uint8_t *extra, size_t size)
{
    uint64_t *const fields[] = {&member->unpacked, &member->packed, &member->offset};
    while (size >= 4) {
        const size_t length = little(extra + 2, 2);
        if (length > size - 4)
            return false;
        size_t at = 4;
        for (int i = 0; little(extra, 2) == 1 && i < 3; i++) {
            if (*fields[i] != UINT32_MAX)
                continue;
            if (at + 8 > length + 4)
                return false;
            *fields[i] = little(extra + at, 8);
            at += 8;
        }
        extra += length + 4;
        size -= length + 4;
    }
    return true;
}

/* Reads the central entry at `*at` and moves behind it. */
static bool member_read(Member *member, const Source *source, const Directory *directory, uint64_t *at)
{
    const uint64_t left = directory->offset + directory->size - *at;
    const uint8_t *const entry = source->bytes + *at;
    if (left < CENTRAL_SIZE || little(entry, 4) != CENTRAL_MARK)
        return source_error(source, "has a broken zip directory at byte %llu", (unsigned long long)*at);
    const size_t name = little(entry + 28, 2), extra = little(entry + 30, 2), comment = little(entry + 32, 2);
    if (left - CENTRAL_SIZE < name + extra + comment)
        return source_error(source, "has a zip directory that ends inside an entry, at byte %llu",
                            (unsigned long long)*at);
    *member = (Member){.name = name_intern_bytes(source->arena, (const char *)entry + CENTRAL_SIZE, name),
                       .flags = (int)little(entry + 8, 2),
                       .method = (int)little(entry + 10, 2),
                       .checksum = (uint32_t)little(entry + 16, 4),
                       .packed = little(entry + 20, 4),
                       .unpacked = little(entry + 24, 4),
                       .offset = little(entry + 42, 4)};
    *at += CENTRAL_SIZE + name + extra + comment;
    return member_zip64(member, entry + CENTRAL_SIZE + name, extra) ||
           source_error(source, "has a broken zip64 field for %s", diag_quote(source->arena, member->name, 80));
}

static bool member_check(const Member *member, const Source *source)
{
    const char *const name = diag_quote(source->arena, member->name, 80);
    if (member->flags & 1)
        return source_error(source, "the member %s is encrypted", name);
    if (member->method != 0 && member->method != 8)
        return source_error(source, "the member %s is packed by method %d; stored (0) and deflate (8) are known", name,
                            member->method);
    if (!inside(source, member->offset, LOCAL_SIZE) || little(source->bytes + member->offset, 4) != LOCAL_MARK)
        return source_error(source, "the member %s starts at byte %llu, where there is none", name,
                            (unsigned long long)member->offset);
    const bool possible =
        member->method == 0 ? member->unpacked == member->packed : member->unpacked / DEFLATE_RATIO <= member->packed;
    return possible || source_error(source, "the member %s has %llu bytes packed in %llu, which cannot be", name,
                                    (unsigned long long)member->unpacked, (unsigned long long)member->packed);
}

/* zlib counts in 32 bits, so input and output go in pieces. */
static bool inflate_all(uint8_t *out, uint64_t out_size, const uint8_t *in, uint64_t in_size)
{
    z_stream stream = {0};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return false;
    enum { PIECE = 1 << 30 };
    uint64_t in_left = in_size, out_left = out_size;
    stream.next_in = (Bytef *)in;
    stream.next_out = out;
    int state = Z_OK;
    while (state == Z_OK) {
        const uInt in_piece = in_left < PIECE ? (uInt)in_left : PIECE;
        const uInt out_piece = out_left < PIECE ? (uInt)out_left : PIECE;
        stream.avail_in = in_piece;
        stream.avail_out = out_piece;
        state = inflate(&stream, Z_NO_FLUSH);
        in_left -= in_piece - stream.avail_in;
        out_left -= out_piece - stream.avail_out;
    }
    inflateEnd(&stream);
    return state == Z_STREAM_END && in_left == 0 && out_left == 0;
}

static uint32_t checksum(uint32_t start, const void *bytes, size_t size)
{
    return (uint32_t)crc32_z(start, bytes, size);
}

static bool member_load(HostTensor *tensor, const Member *member, const Source *source)
{
    const char *const name = diag_quote(source->arena, member->name, 80);
    const uint8_t *const local = source->bytes + member->offset;
    const uint64_t start = member->offset + LOCAL_SIZE + little(local + 26, 2) + little(local + 28, 2);
    if (!inside(source, start, member->packed))
        return source_error(source, "the member %s has %llu bytes at %llu, but the file has %zu", name,
                            (unsigned long long)member->packed, (unsigned long long)start, source->size);
    const uint8_t *bytes = source->bytes + start;
    uint8_t *const unpacked = member->method == 8 ? malloc(member->unpacked ? member->unpacked : 1) : NULL;
    bool good = true;
    if (member->method == 8) {
        if (!unpacked)
            return diag_error(source->diagnostics, EXIT_LIMIT, &source->where, "no memory for the %llu bytes of %s",
                              (unsigned long long)member->unpacked, name);
        good = inflate_all(unpacked, member->unpacked, bytes, member->packed) ||
               source_error(source, "the member %s cannot be unpacked to its %llu bytes", name,
                            (unsigned long long)member->unpacked);
        bytes = unpacked;
    }
    if (good && checksum(0, bytes, member->unpacked) != member->checksum)
        good = source_error(source, "the member %s has the checksum %08x instead of %08x", name,
                            checksum(0, bytes, member->unpacked), member->checksum);
    if (good) {
        const char *const label = arena_format(source->arena, "%s/%s", source->where.file, name);
        const Source inner = source_of_bytes(bytes, member->unpacked, label, source->arena, source->diagnostics);
        good = npy_read(tensor, &inner, NULL);
    }
    free(unpacked);
    return good;
}

static bool name_is_npy(const char *name)
{
    return path_has_suffix(name, ".npy");
}

bool npz_read(HostTensor **members, size_t *count, const Source *source)
{
    Directory directory = {0};
    if (!directory_find(&directory, source))
        return false;
    *members = NEW_ARRAY(source->arena, HostTensor, directory.count ? directory.count : 1);
    *count = 0;
    uint64_t at = directory.offset, packed = 0;
    for (uint64_t i = 0; i < directory.count; i++) {
        Member member = {0};
        if (!member_read(&member, source, &directory, &at) || !member_check(&member, source))
            return false;
        if (member.packed > source->size - packed)
            return source_error(source, "its members take more bytes than the file's %zu: they overlap", source->size);
        packed += member.packed;
        if (!name_is_npy(member.name))
            continue;
        HostTensor *const tensor = &(*members)[*count];
        if (!member_load(tensor, &member, source))
            return false;
        tensor->name = name_intern_bytes(source->arena, member.name, strlen(member.name) - strlen(".npy"));
        for (size_t j = 0; j < *count; j++)
            if ((*members)[j].name == tensor->name)
                return source_error(source, "has the member %s twice", diag_quote(source->arena, member.name, 80));
        ++*count;
    }
    return true;
}

static size_t put(uint8_t *out, size_t at, uint64_t value, int count)
{
    for (int i = 0; i < count; i++)
        out[at + (size_t)i] = (uint8_t)(value >> (8 * i));
    return at + (size_t)count;
}

/* What local header and central entry share: from "version needed" to the length of the name. 1980-01-01 is the zip
 * epoch. */
static size_t put_common(uint8_t *out, size_t at, const Member *member, size_t name, size_t extra)
{
    const bool large = member->packed >= UINT32_MAX;
    at = put(out, at, large || extra ? 45 : 20, 2);
    at = put(out, at, 0, 2);    /* flags */
    at = put(out, at, 0, 2);    /* method: stored */
    at = put(out, at, 0, 2);    /* time */
    at = put(out, at, 0x21, 2); /* date */
    at = put(out, at, member->checksum, 4);
    at = put(out, at, large ? UINT32_MAX : member->packed, 4);
    at = put(out, at, large ? UINT32_MAX : member->unpacked, 4);
    at = put(out, at, name, 2);
    return put(out, at, extra, 2);
}

/* The zip64 field: both sizes when they are large, the offset when that is; 0 bytes when neither. */
static size_t put_zip64(uint8_t out[28], const Member *member, bool central)
{
    const bool large = member->packed >= UINT32_MAX;
    const bool far = central && member->offset >= UINT32_MAX;
    size_t at = 4;
    if (large) {
        at = put(out, at, member->unpacked, 8);
        at = put(out, at, member->packed, 8);
    }
    if (far)
        at = put(out, at, member->offset, 8);
    put(out, 0, 1, 2);
    put(out, 2, at - 4, 2);
    return large || far ? at : 0;
}

static bool local_write(FILE *file, const Member *member)
{
    uint8_t header[LOCAL_SIZE], extra[28];
    const size_t name = strlen(member->name);
    const size_t extra_size = put_zip64(extra, member, false);
    put_common(header, put(header, 0, LOCAL_MARK, 4), member, name, extra_size);
    return fwrite(header, 1, LOCAL_SIZE, file) == LOCAL_SIZE && fwrite(member->name, 1, name, file) == name &&
           fwrite(extra, 1, extra_size, file) == extra_size;
}

static bool central_write(FILE *file, const Member *member)
{
    uint8_t entry[CENTRAL_SIZE], extra[28];
    const size_t name = strlen(member->name);
    const size_t extra_size = put_zip64(extra, member, true);
    size_t at = put(entry, 0, CENTRAL_MARK, 4);
    at = put(entry, at, 45, 2); /* made by: version 4.5 */
    at = put_common(entry, at, member, name, extra_size);
    at = put(entry, at, 0, 8); /* comment, disk, internal attributes, and the low half of the external ones */
    at = put(entry, at, 0, 2);
    put(entry, at, member->offset >= UINT32_MAX ? UINT32_MAX : member->offset, 4);
    return fwrite(entry, 1, CENTRAL_SIZE, file) == CENTRAL_SIZE && fwrite(member->name, 1, name, file) == name &&
           fwrite(extra, 1, extra_size, file) == extra_size;
}

static bool end_write(FILE *file, uint64_t count, uint64_t offset, uint64_t size)
{
    uint8_t end[END64_SIZE + LOCATOR_SIZE + END_SIZE] = {0};
    size_t at = 0;
    const bool large = count >= UINT16_MAX || offset >= UINT32_MAX || size >= UINT32_MAX;
    if (large) {
        at = put(end, at, END64_MARK, 4);
        at = put(end, at, END64_SIZE - 12, 8);
        at = put(end, at, 45 | 45 << 16, 4);
        at = put(end, at, 0, 8); /* disks */
        at = put(end, at, count, 8);
        at = put(end, at, count, 8);
        at = put(end, at, size, 8);
        at = put(end, at, offset, 8);
        at = put(end, at, LOCATOR_MARK, 4);
        at = put(end, at, 0, 4);
        at = put(end, at, offset + size, 8);
        at = put(end, at, 1, 4);
    }
    at = put(end, at, END_MARK, 4);
    at = put(end, at, 0, 4);
    at = put(end, at, large ? UINT16_MAX : count, 2);
    at = put(end, at, large ? UINT16_MAX : count, 2);
    at = put(end, at, large ? UINT32_MAX : size, 4);
    at = put(end, at, large ? UINT32_MAX : offset, 4);
    at = put(end, at, 0, 2);
    return fwrite(end, 1, at, file) == at;
}

bool npz_write(FILE *file, const HostTensor *tensors, size_t count)
{
    Member *const members = calloc(count ? count : 1, sizeof *members);
    char(*const names)[256] = calloc(count ? count : 1, sizeof *names);
    uint64_t place = 0;
    bool good = members && names;
    for (size_t i = 0; good && i < count; i++) {
        char header[NPY_HEADER_MOST];
        const size_t length = npy_header(header, &tensors[i]);
        const int name = snprintf(names[i], sizeof names[i], "%s.npy", tensors[i].name);
        const uint32_t header_sum = checksum(0, header, length);
        members[i] = (Member){.name = names[i],
                              .checksum = checksum(header_sum, tensors[i].data, tensors[i].bytes),
                              .packed = length + tensors[i].bytes,
                              .unpacked = length + tensors[i].bytes,
                              .offset = place};
        uint8_t extra[28];
        good = name > 0 && (size_t)name < sizeof names[i] && local_write(file, &members[i]) &&
               npy_write(file, &tensors[i]);
        place += LOCAL_SIZE + (uint64_t)name + put_zip64(extra, &members[i], false) + members[i].packed;
    }
    const uint64_t offset = place;
    for (size_t i = 0; good && i < count; i++) {
        uint8_t extra[28];
        good = central_write(file, &members[i]);
        place += CENTRAL_SIZE + strlen(members[i].name) + put_zip64(extra, &members[i], true);
    }
    good = good && end_write(file, count, offset, place - offset);
    free(members);
    free(names);
    return good;
}
