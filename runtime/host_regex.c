/* Regular expressions as RE2 writes them: the program of a pattern.
 *
 * Jumps are relative, so that a part of the program stays right when it is moved or copied. Groups that are open stand on a stack. Not
 * known: classes of Unicode (\pL), \C. */
#include "runtime/host_regex.h"
#include "runtime/host_text.h"
#include "runtime/libc.h"

static bool regex_fail(Regex *regex, const char *why)
{
    if (regex->why == NULL)
        regex->why = why;
    return false;
}

/* --- code ------------------------------------------------------------------------------------------------------------------- */

static bool emit(Regex *regex, Operation operation, int32_t first, int32_t second)
{
    if (regex->count == CODE_MOST)
        return regex_fail(regex, "the pattern is too large");
    regex->code[regex->count++] = (Instruction){(int16_t)operation, (regex->flags & FLAG_FOLD) != 0, first, second};
    return true;
}

/* One instruction more before `at`; everything from there on is one piece. */
static bool insert(Regex *regex, int32_t at, Operation operation, int32_t first, int32_t second)
{
    if (!emit(regex, operation, first, second))
        return false;
    const Instruction made = regex->code[regex->count - 1];
    for (int32_t i = regex->count - 1; i > at; i--)
        regex->code[i] = regex->code[i - 1];
    regex->code[at] = made;
    return true;
}

static bool copy(Regex *regex, int32_t from, int32_t count)
{
    if (count > CODE_MOST - regex->count)
        return regex_fail(regex, "the pattern is too large");
    for (int32_t i = 0; i < count; i++)
        regex->code[regex->count++] = regex->code[from + i];
    return true;
}

static bool range_add(Regex *regex, uint32_t first, uint32_t last)
{
    if (first > last)
        return regex_fail(regex, "a range runs backwards");
    if (regex->range_count == RANGES_MOST)
        return regex_fail(regex, "the pattern is too large");
    regex->ranges[regex->range_count++] = (Range){first, last};
    return true;
}

/* --- repetition ------------------------------------------------------------------------------------------------------------- */

static bool maybe(Regex *regex, int32_t start)
{
    return insert(regex, start, SPLIT, 1, regex->count - start + 1);
}

static bool star(Regex *regex, int32_t start)
{
    const int32_t length = regex->count - start;
    return insert(regex, start, SPLIT, 1, length + 2) && emit(regex, JUMP, -length - 1, 0);
}

static bool plus(Regex *regex, int32_t start)
{
    return emit(regex, SPLIT, start - regex->count, 1);
}

/* least copies, then either any number, or each one more only after the one before. most -1: any number. */
static bool repeat(Regex *regex, int32_t start, int32_t least, int32_t most)
{
    const int32_t length = regex->count - start;
    if (most == 0) {
        regex->count = start;
        return true;
    }
    for (int32_t i = 1; i < least; i++)
        if (!copy(regex, start, length))
            return false;
    if (most < 0)
        return least == 0 ? star(regex, start) : plus(regex, regex->count - length);
    if (least == 0 && !maybe(regex, start))
        return false;
    const int32_t shift = least == 0;
    for (int32_t i = least > 0 ? least : 1; i < most; i++) {
        const int32_t here = regex->count;
        if (!copy(regex, start + shift, length) || !maybe(regex, here))
            return false;
    }
    return true;
}

static bool number_read(const char **at, int32_t *number)
{
    const char *begin = *at;
    *number = 0;
    for (; **at >= '0' && **at <= '9' && *number <= REPEAT_MOST; ++*at)
        *number = *number * 10 + (**at - '0');
    return *at > begin;
}

/* {3}, {3,}, {3,5}; anything else is text. */
static bool bounds_read(const char **at, int32_t *least, int32_t *most)
{
    const char *now = *at + 1;
    if (!number_read(&now, least))
        return false;
    *most = *least;
    if (*now == ',') {
        now++;
        if (!number_read(&now, most))
            *most = -1;
    }
    if (*now != '}')
        return false;
    *at = now + 1;
    return true;
}

static bool repetition(Regex *regex, bool *was)
{
    int32_t least = 0, most = -1;
    *was = true;
    if (*regex->at == '*') {
        regex->at++;
    } else if (*regex->at == '+') {
        least = 1;
        regex->at++;
    } else if (*regex->at == '?') {
        most = 1;
        regex->at++;
    } else if (*regex->at != '{' || !bounds_read(&regex->at, &least, &most)) {
        *was = false;
        return true;
    }
    if (*regex->at == '?') /* lazy: the same texts match as a whole */
        regex->at++;
    if (regex->atom < 0)
        return regex_fail(regex, "there is nothing to repeat");
    if (least > REPEAT_MOST || most > REPEAT_MOST || (most >= 0 && least > most))
        return regex_fail(regex, "a repetition is too large or runs backwards");
    return repeat(regex, regex->atom, least, most);
}

/* --- classes ---------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *pairs; /* first, last ... */
} class_names[] = {
    {"d", "09"}, {"s", "\t\n\f\r  "}, {"w", "09AZ__az"},
    {"alnum", "09AZaz"}, {"alpha", "AZaz"}, {"ascii", "\1\x7f"}, {"blank", "\t\t  "}, {"cntrl", "\1\x1f\x7f\x7f"},
    {"digit", "09"}, {"graph", "!~"}, {"lower", "az"}, {"print", " ~"}, {"punct", "!/:@[`{~"}, {"space", "\t\r  "},
    {"upper", "AZ"}, {"word", "09AZ__az"}, {"xdigit", "09AFaf"},
};

/* Ranges of the class called so, or of everything else. */
static bool named_add(Regex *regex, const char *name, size_t length, bool negated)
{
    for (size_t i = 0; i < sizeof class_names / sizeof *class_names; i++) {
        if (strlen(class_names[i].name) != length || memcmp(class_names[i].name, name, length) != 0)
            continue;
        uint32_t next = 0;
        for (const char *pair = class_names[i].pairs; *pair != '\0'; pair += 2) {
            const uint32_t first = (unsigned char)pair[0], last = (unsigned char)pair[1];
            if (!negated ? !range_add(regex, first, last) : first > next && !range_add(regex, next, first - 1))
                return false;
            next = last + 1;
        }
        return !negated || range_add(regex, next, POINT_MOST);
    }
    return regex_fail(regex, "a class is not known");
}

static int32_t digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hexadecimal(Regex *regex, uint32_t *point)
{
    const bool braces = *regex->at == '{';
    int count = 0;
    *point = 0;
    for (regex->at += braces; digit_of(*regex->at) >= 0 && count < (braces ? 6 : 2); regex->at++, count++)
        *point = *point * 16 + (uint32_t)digit_of(*regex->at);
    if (count == 0 || (!braces && count < 2) || (braces && *regex->at++ != '}') || *point > POINT_MOST)
        return regex_fail(regex, "\\x needs two digits, or up to six in braces");
    return true;
}

/* Behind a backslash: a character that stands for itself or for another. */
static bool escape(Regex *regex, uint32_t *point)
{
    static const char letters[] = "afnrtv", meanings[] = "\a\f\n\r\t\v";
    const char c = *regex->at;
    const char *const letter = c != '\0' ? strchr(letters, c) : NULL;
    if (c == 'x') {
        regex->at++;
        return hexadecimal(regex, point);
    }
    if (c >= '0' && c <= '7') {
        int count = 0;
        *point = 0;
        for (; count < 3 && *regex->at >= '0' && *regex->at <= '7'; count++)
            *point = *point * 8 + (uint32_t)(*regex->at++ - '0');
        return c == '0' || count > 1 || regex_fail(regex, "references to groups are not known");
    }
    if (letter != NULL) {
        *point = (unsigned char)meanings[letter - letters];
        regex->at++;
        return true;
    }
    if (c == '\0' || digit_of(c) >= 0 || (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z') || c == '_')
        return regex_fail(regex, c == 'p' || c == 'P' ? "classes of Unicode are not known" : "an escape is not known");
    *point = text_decode(&regex->at);
    return true;
}

static bool is_class_letter(char c, bool *negated)
{
    *negated = c == 'D' || c == 'S' || c == 'W';
    return *negated || c == 'd' || c == 's' || c == 'w';
}

static bool letter_class(Regex *regex, bool negated)
{
    const char lower = (char)(*regex->at++ | 0x20);
    return named_add(regex, &lower, 1, negated);
}

static bool class_member(Regex *regex)
{
    uint32_t first, last;
    bool negated;
    if (regex->at[0] == '[' && regex->at[1] == ':') {
        const char *begin = regex->at + 2, *end = begin;
        while (*end != '\0' && *end != ':' && *end != ']')
            end++;
        negated = *begin == '^';
        begin += negated;
        if (end[0] == ':' && end[1] == ']') {
            regex->at = end + 2;
            return named_add(regex, begin, (size_t)(end - begin), negated);
        }
    }
    if (regex->at[0] == '\\' && is_class_letter(regex->at[1], &negated)) {
        regex->at++;
        return letter_class(regex, negated);
    }
    for (int i = 0; i < 2; i++) {
        uint32_t *const point = i == 0 ? &first : &last;
        if (*regex->at == '\0')
            return regex_fail(regex, "a class has no end");
        if (*regex->at == '\\') {
            regex->at++;
            if (!escape(regex, point))
                return false;
        } else {
            *point = text_decode(&regex->at);
        }
        last = i == 0 ? first : last;
        if (regex->at[0] != '-' || regex->at[1] == ']' || regex->at[1] == '\0')
            break;
        regex->at += i == 0;
    }
    return range_add(regex, first, last);
}

static bool class_read(Regex *regex)
{
    const int32_t before = regex->range_count;
    const bool negated = *regex->at == '^';
    regex->at += negated;
    do {
        if (*regex->at == '\0')
            return regex_fail(regex, "a class has no end");
        if (!class_member(regex))
            return false;
    } while (*regex->at != ']');
    regex->at++;
    return emit(regex, negated ? NOT_CLASS : CLASS, before, regex->range_count - before);
}

/* --- groups ----------------------------------------------------------------------------------------------------------------- */

static bool group_open(Regex *regex)
{
    if (regex->depth == GROUPS_MOST)
        return regex_fail(regex, "groups are nested too deeply");
    regex->groups[regex->depth++] = (Group){regex->count, regex->count, -1, regex->flags};
    regex->atom = -1;
    return true;
}

static bool alternative_end(Regex *regex)
{
    Group *group = &regex->groups[regex->depth - 1];
    if (!insert(regex, group->alternative, SPLIT, 1, regex->count - group->alternative + 2))
        return false;
    const int32_t jump = regex->count;
    if (!emit(regex, JUMP, group->pending, 0))
        return false;
    group->pending = jump;
    group->alternative = regex->count;
    regex->atom = -1;
    return true;
}

static void group_close(Regex *regex)
{
    const Group *group = &regex->groups[--regex->depth];
    for (int32_t jump = group->pending; jump >= 0;) {
        const int32_t before = regex->code[jump].first;
        regex->code[jump].first = regex->count - jump;
        jump = before;
    }
    regex->atom = group->start;
    regex->flags = group->flags;
}

/* Behind "(?": flags, then ")" or ":"; or a name. */
static bool group_extra(Regex *regex)
{
    static const char letters[] = "imsU";
    if (*regex->at == 'P' || *regex->at == '<') {
        regex->at += *regex->at == 'P';
        const char *end = *regex->at == '<' ? strchr(regex->at, '>') : NULL;
        if (end == NULL || end == regex->at + 1)
            return regex_fail(regex, "the name of a group is broken");
        regex->at = end + 1;
        return group_open(regex);
    }
    int32_t flags = regex->flags;
    bool off = false;
    for (; *regex->at != ')' && *regex->at != ':'; regex->at++) {
        const char *letter = *regex->at != '\0' ? strchr(letters, *regex->at) : NULL;
        if (*regex->at == '-' && !off)
            off = true;
        else if (letter == NULL)
            return regex_fail(regex, "flags of a group are not known");
        else
            flags = off ? flags & ~(1 << (letter - letters)) : flags | 1 << (letter - letters);
    }
    if (*regex->at++ == ':' && !group_open(regex))
        return false;
    regex->flags = flags;
    regex->atom = -1;
    return true;
}

/* --- parser ----------------------------------------------------------------------------------------------------------------- */

static bool literal(Regex *regex, uint32_t point)
{
    return emit(regex, ONE, (int32_t)point, 0);
}

/* \Q ... \E: text that stands for itself. */
static bool quoted(Regex *regex)
{
    while (*regex->at != '\0' && !(regex->at[0] == '\\' && regex->at[1] == 'E')) {
        regex->atom = regex->count;
        if (!literal(regex, text_decode(&regex->at)))
            return false;
    }
    regex->at += *regex->at != '\0' ? 2 : 0;
    return true;
}

static bool backslash(Regex *regex)
{
    static const struct {
        char letter;
        Operation operation;
    } edges[] = {{'A', TEXT_BEGIN}, {'z', TEXT_END}, {'b', WORD_EDGE}, {'B', NO_WORD_EDGE}};
    bool negated;
    uint32_t point;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        if (*regex->at == edges[i].letter) {
            regex->at++;
            return emit(regex, edges[i].operation, 0, 0);
        }
    if (*regex->at == 'Q') {
        regex->at++;
        return quoted(regex);
    }
    if (is_class_letter(*regex->at, &negated)) {
        const int32_t before = regex->range_count;
        return letter_class(regex, negated) && emit(regex, CLASS, before, regex->range_count - before);
    }
    return escape(regex, &point) && literal(regex, point);
}

static bool dot(Regex *regex)
{
    const int32_t before = regex->range_count;
    const bool all = (regex->flags & FLAG_DOT_ALL) != 0;
    return range_add(regex, 0, all ? POINT_MOST : '\n' - 1) && (all || range_add(regex, '\n' + 1, POINT_MOST)) &&
           emit(regex, CLASS, before, regex->range_count - before);
}

static bool atom_read(Regex *regex)
{
    const bool lines = (regex->flags & FLAG_LINES) != 0;
    regex->atom = regex->count;
    const char c = *regex->at;
    switch (c) {
    case '\\':
        regex->at++;
        return backslash(regex);
    case '[':
        regex->at++;
        return class_read(regex);
    case '.':
        regex->at++;
        return dot(regex);
    case '^':
        regex->at++;
        return emit(regex, lines ? LINE_BEGIN : TEXT_BEGIN, 0, 0);
    case '$':
        regex->at++;
        return emit(regex, lines ? LINE_END : TEXT_END, 0, 0);
    default:
        return literal(regex, text_decode(&regex->at));
    }
}

static bool piece_read(Regex *regex)
{
    bool repeated;
    if (!repetition(regex, &repeated) || repeated)
        return regex->why == NULL;
    if (*regex->at == '|') {
        regex->at++;
        return alternative_end(regex);
    }
    if (*regex->at == '(') {
        regex->at++;
        if (*regex->at != '?')
            return group_open(regex);
        regex->at++;
        return group_extra(regex);
    }
    if (*regex->at != ')')
        return atom_read(regex);
    regex->at++;
    if (regex->depth == 1)
        return regex_fail(regex, "a group ends that did not begin");
    group_close(regex);
    return true;
}

bool regex_compile(Regex *regex, const char *pattern)
{
    regex->at = pattern;
    if (!group_open(regex))
        return false;
    while (*regex->at != '\0')
        if (!piece_read(regex))
            return false;
    if (regex->depth != 1)
        return regex_fail(regex, "a group has no end");
    group_close(regex);
    return emit(regex, MATCH, 0, 0);
}
