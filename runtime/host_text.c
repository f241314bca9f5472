/* UTF-8: see host_text.h. */
#include "runtime/host_text.h"

/* Code points from first to last, every `step`-th, map to themselves plus `distance`. */
typedef struct CaseRange {
    uint32_t first, last;
    int32_t distance, step;
} CaseRange;

/* Sections of their own: models that do not ask do not carry them. */
#define OWN_SECTION(name) __attribute__((section(".rodata." name)))

#include "runtime/host_case.inc"

uint32_t text_decode(const char **text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)*text;
    const int length = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf8 ? 4 : 0;
    uint32_t point = length == 1 ? at[0] : at[0] & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            ++*text;
            return TEXT_BROKEN;
        }
        point = point << 6 | (at[i] & 0x3f);
    }
    if (length == 0 || point < least[length] || point > 0x10ffff) {
        ++*text;
        return TEXT_BROKEN;
    }
    *text += length;
    return point;
}

uint32_t text_encode(uint32_t point, char bytes[4])
{
    if (point < 0x80) {
        bytes[0] = (char)point;
        return 1;
    }
    const uint32_t count = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (uint32_t i = count - 1; i > 0; i--, point >>= 6)
        bytes[i] = (char)(0x80 | (point & 0x3f));
    bytes[0] = (char)((0xf00u >> count & 0xff) | point);
    return count;
}

static uint32_t case_map(const CaseRange *ranges, uint32_t count, uint32_t point)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (ranges[middle].last < point)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == count || ranges[low].first > point || (point - ranges[low].first) % (uint32_t)ranges[low].step != 0)
        return point;
    return (uint32_t)((int32_t)point + ranges[low].distance);
}

uint32_t text_lower(uint32_t point)
{
    return case_map(lower_ranges, sizeof lower_ranges / sizeof *lower_ranges, point);
}

uint32_t text_upper(uint32_t point)
{
    return case_map(upper_ranges, sizeof upper_ranges / sizeof *upper_ranges, point);
}

/* What Python's str.isspace takes for white space. */
uint32_t text_blank(const char *text)
{
    const char *end = text;
    const uint32_t point = text_decode(&end);
    const bool blank = (point >= 9 && point <= 13) || (point >= 28 && point <= 32) || point == 0x85 || point == 0xa0 || point == 0x1680 ||
                       (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 || point == 0x202f || point == 0x205f ||
                       point == 0x3000;
    return blank ? (uint32_t)(end - text) : 0;
}
