/* links: lathe_tune */
/* Tuning records: read back what is written, refuse what is damaged with file and line. */
#include "tools/tune/records.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char header[] =
    "{\"schema\":\"lathe.tuning/1\",\"tool_version\":\"9\",\"target\":\"v4\",\"features\":\"+a,+b\","
    "\"threads\":4,\"machine\":\"any\"}\n";
static const char kernel[] =
    "{\"kernel\":\"0123456789abcdef0123456789abcdef\",\"name\":\"conv\",\"template\":\"contract\","
    "\"space\":1,\"values\":{\"rows\":14,\"a\":\"packed\"},\"ns\":12,\"default_ns\":34}\n";

static char path[] = "/tmp/lathe-records-XXXXXX";
static Arena *arena;
static Diagnostics *diagnostics;

static void start(void)
{
    arena = arena_open(0, NULL, NULL);
    diagnostics = diagnostics_open(arena);
    const int file = mkstemp(path);
    cr_assert_geq(file, 0);
    close(file);
}

static void end(void)
{
    unlink(path);
    arena_close(arena);
}

TestSuite(records, .init = start, .fini = end);

static bool read_text(Tuning *tuning, const char *text, size_t length)
{
    FILE *const file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, length, file), length);
    fclose(file);
    return records_read(tuning, path, arena, diagnostics);
}

Test(records, sections_and_kernels_are_read)
{
    Tuning tuning;
    const char *const text =
        arena_format(arena, "%s%s\n  \n%s%s", header, kernel,
                     "{\"schema\":\"lathe.tuning/1\",\"target\":\"v3\",\"features\":\"\",\"threads\":1}\n",
                     "{\"kernel\":\"ffffffffffffffffffffffffffffffff\",\"template\":\"loops\","
                     "\"space\":2,\"values\":{},\"new\":[1,2]}");
    cr_assert(read_text(&tuning, text, strlen(text)));
    cr_assert_eq(tuning.count, 2);
    const TuningRecord *const first = &tuning.records[0], *const second = &tuning.records[1];
    cr_assert_str_eq(first->key, "0123456789abcdef0123456789abcdef");
    cr_assert_str_eq(first->target, "v4");
    cr_assert_str_eq(first->features, "+a,+b");
    cr_assert_eq(first->threads, 4);
    cr_assert_str_eq(first->template, "contract");
    cr_assert_eq(first->space, 1);
    cr_assert_eq(first->value_count, 2);
    cr_assert_str_eq(values_text(arena, first->values, 2), "{\"rows\":14,\"a\":\"packed\"}");
    cr_assert_str_eq(second->target, "v3");
    cr_assert_eq(second->space, 2);
    cr_assert_eq(second->value_count, 0);
}

typedef struct Row {
    const char *text, *said;
} Row;

#define HEADER "{\"schema\":\"lathe.tuning/1\",\"target\":\"v4\",\"features\":\"\",\"threads\":1}\n"
#define KEY    "{\"kernel\":\"0123456789abcdef0123456789abcdef\""
static const Row rows[] = {
    {"", "holds no tuning records"},
    {"\n\n", "holds no tuning records"},
    {"nonsense\n", ":1:1: error: is no JSON"},
    {HEADER "\n{\"kernel\"", ":3:1: error: is no JSON"},
    {HEADER "[1]\n", ":2:1: error: must be a JSON object"},
    {"{\"schema\":\"lathe.tuning/2\"}\n", ":1:1: error: has the schema \"lathe.tuning/2\""},
    {"{\"schema\":\"lathe.tuning/1\",\"target\":\"v4\",\"features\":\"\",\"threads\":0}\n",
     ":1:1: error: a header needs"},
    {KEY ",\"template\":\"loops\",\"space\":1,\"values\":{}}\n", ":1:1: error: a header with"},
    {HEADER "{\"kernel\":\"0123\"}\n", ":2:1: error: \"kernel\" must be 32 hexadecimal digits"},
    {HEADER KEY ",\"template\":\"loops\",\"values\":{}}\n", ":2:1: error: a kernel needs"},
    {HEADER KEY ",\"template\":\"loops\",\"space\":1}\n", ":2:1: error: \"values\" must be"},
    {HEADER KEY ",\"template\":\"loops\",\"space\":1,\"values\":{\"rows\":1.5}}\n", ":2:1: error: \"values\" must be"},
    {HEADER KEY ",\"template\":\"loops\",\"space\":1,\"values\":{\"rows\":1,\"rows\":2}}\n", ":2:1: error: is no JSON"},
    {HEADER KEY ",\"template\":\"a b\",\"space\":1,\"values\":{}}\n", ":2:1: error: a kernel needs"},
};

static const char *said(void)
{
    static char text[4096];
    FILE *const stream = fmemopen(text, sizeof text, "w");
    diag_print(diagnostics, stream, false);
    fclose(stream);
    return text;
}

Test(records, what_is_wrong_is_said_with_file_and_line)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Tuning tuning;
        diagnostics = diagnostics_open(arena);
        cr_expect_not(read_text(&tuning, rows[i].text, strlen(rows[i].text)), "%s", rows[i].text);
        cr_expect_eq(diagnostics->code, EXIT_MALFORMED);
        cr_expect_not_null(strstr(said(), path), "%s", said());
        cr_expect_not_null(strstr(said(), rows[i].said), "%s: %s", rows[i].text, said());
    }
}

Test(records, what_is_missing_is_an_error_of_input)
{
    Tuning tuning;
    cr_assert_not(records_read(&tuning, "/nowhere/at/all", arena, diagnostics));
    cr_assert_eq(diagnostics->code, EXIT_IO);
}

/* Bytes changed, removed, repeated: an error with a line, or records whose fields hold what they promise. */
Test(records, damaged_files_are_read_or_refused)
{
    enum { ROUNDS = 3000 };
    const char *const good = arena_format(arena, "%s%s%s", header, kernel, kernel);
    const size_t length = strlen(good);
    uint64_t state = 1;
    int refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        Arena *const outer = arena;
        arena = arena_open(0, NULL, NULL);
        diagnostics = diagnostics_open(arena);
        char *const text = arena_copy(arena, good, length + 1);
        size_t used = length;
        for (int edits = round % 4; edits >= 0 && used > 1; edits--) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            const size_t at = (size_t)(state >> 33) % used;
            if (state >> 20 & 1)
                text[at] = (char)(state >> 24);
            else if (state >> 21 & 1)
                used = at + 1;
            else
                memmove(text + at, text + at + 1, --used - at);
        }
        Tuning tuning;
        if (!read_text(&tuning, text, used)) {
            refused++;
            cr_assert_eq(diagnostics->code, EXIT_MALFORMED);
        }
        for (int i = 0; i < tuning.count && diagnostics->error_count == 0; i++) {
            cr_assert_eq(strlen(tuning.records[i].key), 32);
            cr_assert_geq(tuning.records[i].threads, 1);
            cr_assert_leq(tuning.records[i].value_count, DECISIONS_MAX);
        }
        arena_close(arena);
        arena = outer;
    }
    cr_assert_gt(refused, ROUNDS / 2);
    cr_assert_lt(refused, ROUNDS);
}
