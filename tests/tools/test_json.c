/* The JSON writer, and progress with a clock of the test's own. */
/* links: lathe_tools_base */
#include "tests/tools/sample.h"
#include "tools/json.h"
#include "tools/progress.h"

#include <locale.h>
#include <math.h>
#include <unistd.h>

Test(json, nests_and_escapes)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const file = open_memstream(&text, &size);
    JsonWriter json = json_writer(file, true);
    json_document(&json, "lathe.test/1", "0.1.0");
    json_key(&json, "list");
    json_array(&json);
    json_integer(&json, INT64_MIN);
    json_double(&json, 0.1);
    json_double(&json, NAN);
    json_bool(&json, true);
    json_string(&json, "a\"b\\c\n\x01\x7f\xff\xc0\x80\xed\xa0\x80 \xe2\x82\xac");
    json_string(&json, NULL);
    json_array(&json);
    json_close(&json);
    json_object(&json);
    json_close(&json);
    json_close(&json);
    json_field_bool(&json, "last", false);
    json_close(&json);
    fclose(file);
    cr_expect_str_eq(
        text, "{\"schema\":\"lathe.test/1\",\"tool_version\":\"0.1.0\",\"list\":[-9223372036854775808,0.1,null,true,"
              "\"a\\\"b\\\\c\\n\\u0001\\u007f\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
              "\xe2\x82\xac\","
              "null,[],{}],\"last\":false}\n");
    free(text);
}

Test(json, doubles_read_back_to_the_same_bits)
{
    static const double values[] = {0.1, 1.0 / 3, 1e300, 5e-324, 123456789012345678.0, -0.0, 1.7976931348623157e308,
                                    100, 1e21};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *const file = open_memstream(&text, &size);
        JsonWriter json = json_writer(file, true);
        json_double(&json, values[i]);
        fclose(file);
        const double back = strtod(text, NULL);
        cr_expect_eq(memcmp(&back, &values[i], sizeof back), 0, "%s", text);
        free(text);
    }
}

static double test_clock(void *context)
{
    return *(double *)context;
}

typedef struct Recorder {
    char *text;
    size_t size;
    FILE *file;
    double now;
} Recorder;

static void recorder_open(Recorder *recorder)
{
    *recorder = (Recorder){0};
    recorder->file = open_memstream(&recorder->text, &recorder->size);
}

static int count_of(const char *text, char wanted)
{
    int count = 0;
    for (; *text; text++)
        count += *text == wanted;
    return count;
}

Test(progress, bar_redraws_at_most_ten_times_a_second)
{
    Recorder recorder;
    recorder_open(&recorder);
    Progress progress = progress_open(recorder.file, PROGRESS_BAR, "tuning", 1000, test_clock, &recorder.now);
    for (int i = 1; i <= 1000; i++) {
        recorder.now += 0.001;
        progress_update(&progress, i, "best 1.9 ms");
    }
    progress_close(&progress, NULL);
    fclose(recorder.file);
    cr_expect_leq(count_of(recorder.text, '\r'), 12);
    cr_expect_geq(count_of(recorder.text, '\r'), 9);
    cr_expect_eq(count_of(recorder.text, '\n'), 1);
    cr_expect(strstr(recorder.text, "1000/1000, 1000/s"), "%s", recorder.text);
    cr_expect(strstr(recorder.text, "left, best 1.9 ms"));
    cr_expect(strstr(recorder.text, "##"), "ASCII in the C locale");
    free(recorder.text);
}

Test(progress, bar_has_blocks_in_a_utf8_locale)
{
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        cr_skip_test("there is no UTF-8 locale");
    Recorder recorder;
    recorder_open(&recorder);
    Progress progress = progress_open(recorder.file, PROGRESS_BAR, "tuning", 2, test_clock, &recorder.now);
    recorder.now = 1;
    progress_update(&progress, 1, NULL);
    fclose(recorder.file);
    cr_expect(strstr(recorder.text, "█") && !strchr(recorder.text, '#'), "%s", recorder.text);
    cr_expect(strstr(recorder.text, "1/2, 1.0/s, 0:01 left"), "%s", recorder.text);
    free(recorder.text);
}

Test(progress, plain_prints_a_line_per_ten_seconds_or_tenth)
{
    Recorder recorder;
    recorder_open(&recorder);
    Progress progress = progress_open(recorder.file, PROGRESS_PLAIN, "tuning", 0, test_clock, &recorder.now);
    for (int i = 1; i <= 100; i++) {
        recorder.now += 0.5; /* 50 seconds: five lines */
        progress_update(&progress, i, NULL);
    }
    fclose(recorder.file);
    cr_expect_eq(count_of(recorder.text, '\n'), 5, "%s", recorder.text);
    cr_expect_eq(strncmp(recorder.text, "[0:10] tuning: 20, 2.0/s\n", 25), 0, "%s", recorder.text);
    free(recorder.text);
    recorder_open(&recorder);
    progress = progress_open(recorder.file, PROGRESS_PLAIN, "tuning", 100, test_clock, &recorder.now);
    for (int i = 1; i <= 100; i++) {
        recorder.now += 0.2; /* 20 seconds, a tenth each two: ten lines */
        progress_update(&progress, i, NULL);
    }
    fclose(recorder.file);
    cr_expect_eq(count_of(recorder.text, '\n'), 10, "%s", recorder.text);
    free(recorder.text);
}

Test(progress, json_prints_lines_and_none_nothing)
{
    Recorder recorder;
    recorder_open(&recorder);
    Progress progress = progress_open(recorder.file, PROGRESS_JSON, "tuning", 4, test_clock, &recorder.now);
    recorder.now = 12.5;
    progress_update(&progress, 3, "x");
    fclose(recorder.file);
    cr_expect_str_eq(
        recorder.text,
        "{\"event\":\"progress\",\"label\":\"tuning\",\"done\":3,\"total\":4,\"elapsed_s\":12.5,\"note\":\"x\"}\n");
    free(recorder.text);
    recorder_open(&recorder);
    progress = progress_open(recorder.file, PROGRESS_NONE, "tuning", 4, test_clock, &recorder.now);
    recorder.now = 99;
    progress_update(&progress, 3, "x");
    progress_close(&progress, NULL);
    fclose(recorder.file);
    cr_expect_str_eq(recorder.text, "");
    free(recorder.text);
}

Test(progress, mode_follows_option_and_terminal)
{
    FILE *const file = tmpfile();
    cr_expect_eq(progress_mode("bar", file), PROGRESS_BAR);
    cr_expect_eq(progress_mode("none", file), PROGRESS_NONE);
    cr_expect_eq(progress_mode("auto", file), PROGRESS_PLAIN, "a file is no terminal");
    fclose(file);
}
