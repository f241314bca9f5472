/* RegexFullMatch: runs the program of a pattern (host_regex.c), in time proportional to text times pattern. */
#include "runtime/host.h"
#include "runtime/host_regex.h"
#include "runtime/host_text.h"
#include "runtime/libc.h"

/* --- matching --------------------------------------------------------------------------------------------------------------- */

/* Instructions that wait for the next character, each once. */
typedef struct States {
    int32_t *list, *place; /* place[i]: where i stands in the list, if list[place[i]] is i */
    int32_t count;
} States;

typedef struct Matcher {
    const Regex *regex;
    States now, next;
    int32_t *stack;
    const char *begin;
} Matcher;

static bool states_add(States *states, int32_t at)
{
    const int32_t place = states->place[at];
    if (place >= 0 && place < states->count && states->list[place] == at)
        return false;
    states->place[at] = states->count;
    states->list[states->count++] = at;
    return true;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool edge_holds(Operation operation, const char *begin, const char *at)
{
    const bool edge = (at > begin && is_word(at[-1])) != is_word(*at);
    switch (operation) {
    case TEXT_BEGIN:
        return at == begin;
    case TEXT_END:
        return *at == '\0';
    case LINE_BEGIN:
        return at == begin || at[-1] == '\n';
    case LINE_END:
        return *at == '\0' || *at == '\n';
    case WORD_EDGE:
        return edge;
    default:
        return !edge;
    }
}

/* Everything that can be reached from `start` without a character. */
static void states_reach(Matcher *matcher, States *states, int32_t start, const char *at)
{
    int32_t depth = 0;
    if (states_add(states, start))
        matcher->stack[depth++] = start;
    while (depth > 0) {
        const int32_t here = matcher->stack[--depth];
        const Instruction *code = &matcher->regex->code[here];
        const bool edge = code->operation >= TEXT_BEGIN && code->operation <= NO_WORD_EDGE;
        if (code->operation == SPLIT && states_add(states, here + code->second))
            matcher->stack[depth++] = here + code->second;
        if ((code->operation == SPLIT || code->operation == JUMP) && states_add(states, here + code->first))
            matcher->stack[depth++] = here + code->first;
        if (edge && edge_holds((Operation)code->operation, matcher->begin, at) && states_add(states, here + 1))
            matcher->stack[depth++] = here + 1;
    }
}

static bool in_ranges(const Regex *regex, const Instruction *code, uint32_t point)
{
    for (int32_t i = 0; i < code->second; i++)
        if (point >= regex->ranges[code->first + i].first && point <= regex->ranges[code->first + i].last)
            return true;
    return false;
}

static bool takes(const Regex *regex, const Instruction *code, uint32_t point)
{
    const uint32_t lower = code->fold ? text_lower(point) : point, upper = code->fold ? text_upper(point) : point;
    if (code->operation == ONE) {
        const uint32_t own = (uint32_t)code->first;
        return point == own || (code->fold && (lower == text_lower(own) || upper == text_upper(own)));
    }
    const bool within = in_ranges(regex, code, point) || (code->fold && (in_ranges(regex, code, lower) || in_ranges(regex, code, upper)));
    return within == (code->operation == CLASS);
}

static bool regex_matches(Matcher *matcher, const char *text)
{
    matcher->begin = text;
    matcher->now.count = 0;
    states_reach(matcher, &matcher->now, 0, text);
    while (*text != '\0' && matcher->now.count > 0) {
        const uint32_t point = text_decode(&text);
        matcher->next.count = 0;
        for (int32_t i = 0; i < matcher->now.count; i++) {
            const int32_t here = matcher->now.list[i];
            const Instruction *code = &matcher->regex->code[here];
            if (code->operation <= NOT_CLASS && takes(matcher->regex, code, point))
                states_reach(matcher, &matcher->next, here + 1, text);
        }
        const States before = matcher->now;
        matcher->now = matcher->next;
        matcher->next = before;
    }
    for (int32_t i = 0; i < matcher->now.count; i++)
        if (matcher->regex->code[matcher->now.list[i]].operation == MATCH)
            return *text == '\0';
    return false;
}

/* --- the function ----------------------------------------------------------------------------------------------------------- */

static int tensor_match(Run *run, const lathe_step *step, const Regex *regex, const Value *input, int32_t *memory)
{
    void *data;
    const int code = run_tensor(run, step, 0, DTYPE_BOOL, input->rank, input->dims, &data);
    if (code != LATHE_OK || data == NULL)
        return code;
    const int32_t count = regex->count;
    memset(memory, 0, (size_t)count * 5 * sizeof *memory);
    Matcher matcher = {.regex = regex, .now = {memory, memory + count, 0}, .next = {memory + 2 * count, memory + 3 * count, 0},
                       .stack = memory + 4 * count};
    for (int64_t i = 0; i < input->count; i++)
        ((unsigned char *)data)[i] = regex_matches(&matcher, string_at(input, i));
    return LATHE_OK;
}

int lathe_host_RegexFullMatch(Run *run, const lathe_step *step)
{
    const lathe_attribute *pattern = step_attribute(step, "pattern");
    Value *input;
    int code = run_want_tensor(run, step, 0, DTYPE_STRING, &input);
    if (code != LATHE_OK)
        return code;
    if (pattern == NULL || pattern->string == NULL)
        return run_fail(run, step, LATHE_E_ARGUMENT, "there is no pattern");
    Regex regex = {.code = heap_take(&run->heap, CODE_MOST * sizeof *regex.code), .ranges = heap_take(&run->heap, RANGES_MOST * sizeof *regex.ranges),
                   .groups = heap_take(&run->heap, GROUPS_MOST * sizeof *regex.groups)};
    int32_t *memory = NULL;
    if (regex.code == NULL || regex.ranges == NULL || regex.groups == NULL)
        code = run_fail(run, step, LATHE_E_MEMORY, "no memory for the pattern");
    else if (!regex_compile(&regex, pattern->string))
        code = run_fail(run, step, LATHE_E_ARGUMENT, "the pattern '%s' is not understood at byte %i: %s", pattern->string,
                        (int64_t)(regex.at - pattern->string), regex.why);
    else if ((memory = heap_take(&run->heap, (uint64_t)regex.count * 5 * sizeof *memory)) == NULL)
        code = run_fail(run, step, LATHE_E_MEMORY, "no memory for %i states of the pattern", (int64_t)regex.count);
    else
        code = tensor_match(run, step, &regex, input, memory);
    heap_give(&run->heap, memory);
    heap_give(&run->heap, regex.groups);
    heap_give(&run->heap, regex.ranges);
    heap_give(&run->heap, regex.code);
    return code;
}
