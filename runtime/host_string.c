/* Host functions of strings: UTF-8 in, UTF-8 out. */
#include "runtime/host.h"
#include "runtime/host_text.h"
#include "runtime/libc.h"

/* --- two tensors, broadcast ------------------------------------------------------------------------------------------------- */

/* The dims of both together, and for each how far apart its elements are along them. */
typedef struct Pair {
    Value *inputs[2];
    int32_t rank;
    int64_t dims[RANK_MOST], pitch[2][RANK_MOST], position[RANK_MOST], at[2];
} Pair;

static int pair_open(Run *run, const lathe_step *step, Pair *pair)
{
    int code = run_want_tensor(run, step, 0, DTYPE_STRING, &pair->inputs[0]);
    if (code == LATHE_OK)
        code = run_want_tensor(run, step, 1, DTYPE_STRING, &pair->inputs[1]);
    if (code != LATHE_OK)
        return code;
    pair->rank = pair->inputs[0]->rank > pair->inputs[1]->rank ? pair->inputs[0]->rank : pair->inputs[1]->rank;
    if (pair->rank > RANK_MOST)
        return run_fail(run, step, LATHE_E_SHAPE, "rank %i is too large", (int64_t)pair->rank);
    int64_t pitch[2] = {1, 1};
    for (int32_t i = pair->rank - 1; i >= 0; i--) {
        int64_t dims[2];
        for (int k = 0; k < 2; k++) {
            const int32_t own = i - (pair->rank - pair->inputs[k]->rank);
            dims[k] = own >= 0 ? pair->inputs[k]->dims[own] : 1;
            pair->pitch[k][i] = dims[k] == 1 ? 0 : pitch[k];
            pitch[k] = (int64_t)((uint64_t)pitch[k] * (uint64_t)dims[k]); /* of an empty tensor the rest may be large */
        }
        if (dims[0] != dims[1] && dims[0] != 1 && dims[1] != 1)
            return run_fail(run, step, LATHE_E_SHAPE, "dim %i is %i in one input and %i in the other", (int64_t)i, dims[0], dims[1]);
        pair->dims[i] = dims[0] == 1 ? dims[1] : dims[0];
        pair->position[i] = 0;
    }
    pair->at[0] = pair->at[1] = 0;
    return LATHE_OK;
}

static void pair_next(Pair *pair)
{
    for (int32_t i = pair->rank - 1; i >= 0; i--) {
        for (int k = 0; k < 2; k++)
            pair->at[k] += pair->pitch[k][i];
        if (++pair->position[i] < pair->dims[i])
            return;
        for (int k = 0; k < 2; k++)
            pair->at[k] -= pair->pitch[k][i] * pair->dims[i];
        pair->position[i] = 0;
    }
}

/* Opens the pair and the result, whose `data` is NULL when nobody wants it. */
static int pair_start(Run *run, const lathe_step *step, int32_t dtype, Pair *pair, void **data)
{
    const int code = pair_open(run, step, pair);
    return code == LATHE_OK ? run_tensor(run, step, 0, dtype, pair->rank, pair->dims, data) : code;
}

int lathe_host_Equal(Run *run, const lathe_step *step)
{
    Pair pair;
    void *data;
    const int code = pair_start(run, step, DTYPE_BOOL, &pair, &data);
    if (code != LATHE_OK || data == NULL)
        return code;
    const int64_t count = elements_count(pair.rank, pair.dims);
    for (int64_t i = 0; i < count; i++, pair_next(&pair))
        ((unsigned char *)data)[i] = strcmp(string_at(pair.inputs[0], pair.at[0]), string_at(pair.inputs[1], pair.at[1])) == 0;
    return LATHE_OK;
}

int lathe_host_StringConcat(Run *run, const lathe_step *step)
{
    Pair pair;
    void *data;
    const int code = pair_start(run, step, DTYPE_STRING, &pair, &data);
    if (code != LATHE_OK || data == NULL)
        return code;
    const int64_t count = elements_count(pair.rank, pair.dims);
    for (int64_t i = 0; i < count; i++, pair_next(&pair)) {
        const char *first = string_at(pair.inputs[0], pair.at[0]), *second = string_at(pair.inputs[1], pair.at[1]);
        const size_t first_length = strlen(first), second_length = strlen(second);
        char *text = run_text(run, step, first_length + second_length);
        if (text == NULL) {
            for (; i < count; i++) /* nobody may see what is not there */
                ((uint64_t *)data)[i] = (uintptr_t)"";
            return LATHE_E_MEMORY;
        }
        memcpy(text, first, first_length);
        memcpy(text + first_length, second, second_length);
        ((uint64_t *)data)[i] = (uintptr_t)text;
    }
    return LATHE_OK;
}

/* --- split ------------------------------------------------------------------------------------------------------------------ */

/* Walks through the parts of a string. Without a delimiter parts are what stands between white space, as Python's str.split(). */
typedef struct Split {
    const char *delimiter;
    size_t delimiter_length;
    int64_t most; /* cuts that are left; -1: any number */
    const char *at; /* NULL: at the end */
} Split;

static const char *blanks_skip(const char *text)
{
    while (text_blank(text) > 0)
        text += text_blank(text);
    return text;
}

static Split split_open(const lathe_step *step, const char *text)
{
    const lathe_attribute *delimiter = step_attribute(step, "delimiter");
    const lathe_attribute *most = step_attribute(step, "maxsplit");
    Split split = {.delimiter = delimiter != NULL ? delimiter->string : NULL, .most = most != NULL ? most->integer : -1, .at = text};
    split.delimiter_length = split.delimiter != NULL ? strlen(split.delimiter) : 0;
    if (split.delimiter_length == 0) {
        split.at = blanks_skip(text);
        if (*split.at == '\0')
            split.at = NULL;
    }
    return split;
}

static const char *delimiter_find(const Split *split, const char *text)
{
    for (; *text != '\0'; text++) {
        size_t same = 0;
        while (same < split->delimiter_length && text[same] == split->delimiter[same])
            same++;
        if (same == split->delimiter_length)
            return text;
    }
    return NULL;
}

/* The next part, or NULL. */
static const char *split_next(Split *split, size_t *length)
{
    const char *part = split->at, *end = NULL;
    if (part == NULL)
        return NULL;
    if (split->delimiter_length > 0) {
        end = split->most != 0 ? delimiter_find(split, part) : NULL;
        split->at = end != NULL ? end + split->delimiter_length : NULL;
    } else if (split->most != 0) {
        end = part;
        while (*end != '\0' && text_blank(end) == 0)
            end++;
        split->at = blanks_skip(end);
        if (*split->at == '\0')
            split->at = NULL;
    } else {
        split->at = NULL;
    }
    split->most -= split->most > 0;
    *length = end != NULL ? (size_t)(end - part) : strlen(part);
    return part;
}

static int64_t split_count(const lathe_step *step, const char *text)
{
    Split split = split_open(step, text);
    size_t length;
    int64_t count = 0;
    while (split_next(&split, &length) != NULL)
        count++;
    return count;
}

/* An empty string has no part without a delimiter, and with one it is its only part. */
int lathe_host_StringSplit(Run *run, const lathe_step *step)
{
    Value *input;
    int64_t dims[RANK_MOST + 1], most = 0;
    void *parts, *counts;
    int code = run_want_tensor(run, step, 0, DTYPE_STRING, &input);
    if (code != LATHE_OK)
        return code;
    if (input->rank >= RANK_MOST)
        return run_fail(run, step, LATHE_E_SHAPE, "rank %i is too large", (int64_t)input->rank);
    for (int64_t i = 0; i < input->count; i++) {
        const int64_t count = split_count(step, string_at(input, i));
        most = count > most ? count : most;
    }
    for (int32_t i = 0; i < input->rank; i++)
        dims[i] = input->dims[i];
    dims[input->rank] = most;
    code = run_tensor(run, step, 0, DTYPE_STRING, input->rank + 1, dims, &parts);
    if (code == LATHE_OK)
        code = run_tensor(run, step, 1, DTYPE_INT64, input->rank, dims, &counts);
    if (code != LATHE_OK)
        return code;
    uint64_t *cells = parts;
    for (int64_t i = 0; cells != NULL && i < input->count * most; i++)
        cells[i] = (uintptr_t)"";
    for (int64_t i = 0; i < input->count; i++) {
        Split split = split_open(step, string_at(input, i));
        const char *part;
        size_t length;
        int64_t count = 0;
        for (; (part = split_next(&split, &length)) != NULL; count++) {
            char *text = cells != NULL ? run_text(run, step, length) : NULL;
            if (cells == NULL)
                continue;
            if (text == NULL)
                return LATHE_E_MEMORY;
            memcpy(text, part, length);
            cells[i * most + count] = (uintptr_t)text;
        }
        if (counts != NULL)
            ((int64_t *)counts)[i] = count;
    }
    return LATHE_OK;
}

/* --- normalizer ------------------------------------------------------------------------------------------------------------- */

typedef enum Case { CASE_NONE, CASE_LOWER, CASE_UPPER } Case;

static char *text_recase(Run *run, const lathe_step *step, const char *text, Case change)
{
    uint64_t length = 0;
    char bytes[4];
    for (const char *at = text; *at != '\0';)
        length += text_encode(change == CASE_UPPER ? text_upper(text_decode(&at)) : text_lower(text_decode(&at)), bytes);
    char *result = run_text(run, step, length);
    if (result == NULL)
        return NULL;
    char *to = result;
    for (const char *at = text; *at != '\0';) {
        const uint32_t point = text_decode(&at);
        const uint32_t count = text_encode(change == CASE_UPPER ? text_upper(point) : text_lower(point), bytes);
        memcpy(to, bytes, count);
        to += count;
    }
    return result;
}

static bool text_same(const char *left, const char *right, bool sensitive)
{
    if (sensitive)
        return strcmp(left, right) == 0;
    while (*left != '\0' && *right != '\0')
        if (text_lower(text_decode(&left)) != text_lower(text_decode(&right)))
            return false;
    return *left == *right;
}

static bool is_stopword(const lathe_step *step, const char *text, bool sensitive)
{
    const lathe_attribute *words = step_attribute(step, "stopwords");
    for (int64_t i = 0; words != NULL && i < words->count; i++)
        if (text_same(words->strings[i], text, sensitive))
            return true;
    return false;
}

/* Words that are no stopwords, in another case if that is wanted; without any an empty string is left. Rank 1, or 2 with one row. */
int lathe_host_StringNormalizer(Run *run, const lathe_step *step)
{
    Value *input;
    int code = run_want_tensor(run, step, 0, DTYPE_STRING, &input);
    if (code != LATHE_OK)
        return code;
    if (input->rank < 1 || input->rank > 2 || (input->rank == 2 && input->dims[0] != 1))
        return run_fail(run, step, LATHE_E_SHAPE, "the input has rank %i: [C] or [1,C] is wanted", (int64_t)input->rank);
    const lathe_attribute *action = step_attribute(step, "case_change_action");
    const char *wanted = action != NULL && action->string != NULL ? action->string : "NONE";
    const Case change = strcmp(wanted, "LOWER") == 0 ? CASE_LOWER : strcmp(wanted, "UPPER") == 0 ? CASE_UPPER : CASE_NONE;
    const bool sensitive = step_integer(step, "is_case_sensitive", 0) != 0;
    int64_t kept = 0, dims[2] = {1, 1};
    for (int64_t i = 0; i < input->count; i++)
        kept += !is_stopword(step, string_at(input, i), sensitive);
    dims[input->rank - 1] = kept > 0 ? kept : 1;
    void *data;
    code = run_tensor(run, step, 0, DTYPE_STRING, input->rank, dims, &data);
    if (code != LATHE_OK || data == NULL)
        return code;
    uint64_t *cells = data;
    cells[0] = (uintptr_t)"";
    for (int64_t i = 0, to = 0; i < input->count; i++) {
        const char *text = string_at(input, i);
        if (is_stopword(step, text, sensitive))
            continue;
        if (change != CASE_NONE)
            text = text_recase(run, step, text, change);
        if (text == NULL)
            return LATHE_E_MEMORY;
        cells[to++] = (uintptr_t)text;
    }
    return LATHE_OK;
}
