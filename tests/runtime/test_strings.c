/* Host functions of strings. Expected values are those of Python's str and re, where RE2 and Python agree. */
#include <criterion/criterion.h>

#include "runtime/host.h"
#include "scripts.h"

/* A model of one host step. */
static lathe_context *open_step(Scripted *model, lathe_host_function *host, int inputs, int outputs, const lathe_attribute *attributes, int count)
{
    static const int32_t slots[] = {0, 1, 2, 3};
    int error;
    scripted_open(model);
    scripted_step(model, 0, (lathe_step){.kind = LATHE_STEP_HOST, .host = host, .name = "S", .attributes = attributes, .attribute_count = count},
                  inputs, slots, outputs, slots + 2);
    scripted_body(model, 0, inputs, slots, outputs, slots + 2);
    scripted_close(model, (const Kind[]){S_1, S_1, S_1, S_1}, 1, 0);
    for (int i = 0; i < inputs; i++)
        model->forms[i] = LATHE_OPTIONAL; /* any dims */
    model->program.symbol_count = model->model.symbol_count = model->script.symbol_count = 0;
    model->program.instantiate = NULL;
    lathe_context *context = lathe_rt_open(&model->model, &(lathe_options){.size = sizeof(lathe_options), .threads = 1}, &error);
    cr_assert_not_null(context);
    return context;
}

static int run_step(lathe_context *context, const lathe_value *inputs, int input_count, lathe_value *outputs, int output_count)
{
    return lathe_rt_script_api.run_values(context, inputs, input_count, outputs, output_count);
}

static lathe_value strings(const char *const *texts, uint64_t *cells, int32_t rank, int64_t *dims)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    for (int64_t i = 0; i < count; i++)
        cells[i] = (uintptr_t)texts[i];
    return (lathe_value){.form = LATHE_TENSOR, .tensor = script_tensor(cells, 3, 64, rank, dims)};
}

static const char *text_at(const lathe_value *value, int64_t i)
{
    return (const char *)(uintptr_t)((const uint64_t *)value->tensor.data)[i];
}

/* --- regular expressions ---------------------------------------------------------------------------------------------------- */

static int matches(const char *pattern, const char *text)
{
    Scripted model;
    const lathe_attribute attribute = {.name = "pattern", .string = pattern};
    lathe_context *context = open_step(&model, lathe_host_RegexFullMatch, 1, 1, &attribute, 1);
    uint64_t cell;
    int64_t one = 1;
    const lathe_value input = strings(&text, &cell, 1, &one);
    lathe_value output;
    const int code = run_step(context, &input, 1, &output, 1);
    if (code != LATHE_OK && code != LATHE_E_ARGUMENT)
        cr_log_error("%s", lathe_rt_script_api.error_text(context));
    const int result = code == LATHE_OK ? *(const unsigned char *)output.tensor.data : code;
    lathe_rt_close(context);
    return result;
}

Test(strings, patterns_match_whole_texts)
{
    static const struct {
        const char *pattern, *yes, *no;
    } rows[] = {
        {"", "", "a"}, {"a", "a", "aa"}, {"abc", "abc", "abcd"}, {"a|bc", "bc", "ac"}, {"a|b|c", "c", "ab"}, {"(a|b)c", "bc", "b"},
        {"|a", "", "b"}, {"a*", "aaaa", "aab"}, {"a+", "a", ""}, {"a?b", "b", "aab"}, {"(ab)*", "abab", "aba"}, {"(a*)*", "aaa", "b"},
        {"(a*)+b", "aab", "aa"}, {"(?:a|b)+?c", "abac", "c"}, {"a{3}", "aaa", "aa"}, {"a{2,}", "aaaaa", "a"}, {"a{2,4}", "aaa", "aaaaa"},
        {"a{0,2}b", "b", "aaab"}, {"(ab|c){2}", "abc", "ab"}, {"a{0}b", "b", "ab"}, {"a{,2}", "a{,2}", "aa"}, {"x{1,2}{3}", "xxxxxx", "xx"},
        {".", "\xc3\xa9", "\n"}, {"(?s).", "\n", ""}, {"[a-c]+", "abcab", "abd"}, {"[^a-c]", "d", "b"}, {"[^a]", "\n", "a"}, {"[]a]+", "]a", "b"},
        {"[a-]", "-", "b"}, {"[\\]x]", "]", "\\"}, {"[\\d_]+", "12_3", "a"}, {"\\d{2}-\\w+", "42-a_1", "4-a"}, {"\\D\\S\\W", "a. ", "1a "},
        {"[[:alpha:]]+", "aZ", "a1"}, {"[[:^digit:]]", "x", "1"}, {"[\xce\xb1-\xcf\x89]+", "\xce\xb2\xce\xb3", "a"}, {"\\x41\\x{3b1}", "A\xce\xb1", "A"},
        {"(?i)stra\xc3\x9f""e", "STRA\xc3\x9f""E", "strasse"}, {"(?i)[a-c]+", "AbC", "D"}, {"(?i:a)b", "Ab", "AB"}, {"a(?i)b", "aB", "AB"},
        {"^a$", "a", "b"}, {"\\Aa\\z", "a", "b"}, {"a\\b.c", "a c", "abc"}, {"a\\Bbc", "abc", "a c"}, {"(?m)a$\n^b", "a\nb", "ab"},
        {"\\Qa.b*\\Ec", "a.b*c", "aXbc"}, {"(?P<name>a)b", "ab", "a"}, {"(?<name>a)b", "ab", "a"}, {"\\.\\*\\\\", ".*\\", "a"}, {"\\t\\n\\101", "\t\nA", "tnA"},
        {"(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "account@gmail.com", "account@hotmail.com"},
        {"(|a)+", "aa", "b"}, {"((((((((((a))))))))))", "a", "aa"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        cr_expect_eq(matches(rows[i].pattern, rows[i].yes), 1, "%s takes %s", rows[i].pattern, rows[i].yes);
        cr_expect_eq(matches(rows[i].pattern, rows[i].no), 0, "%s does not take %s", rows[i].pattern, rows[i].no);
    }
}

Test(strings, broken_patterns_are_refused)
{
    static const char *const rows[] = {"(", ")", "a)", "[a", "[b-a]", "*", "a{1001}", "a{3,2}", "\\", "\\1", "\\pL", "\\xg", "(?z)", "(?P<a", "[[:nix:]]",
                                       "((a{999}){999}){999}", "a\\", "[\\", "(?"};
    for (size_t i = 0; i < COUNT(rows); i++)
        cr_expect_eq(matches(rows[i], "a"), LATHE_E_ARGUMENT, "%s", rows[i]);
}

Test(strings, hard_patterns_take_linear_time)
{
    static char text[20001];
    memset(text, 'a', 20000);
    cr_expect_eq(matches("(a*)*(a*)*b", text), 0);
    cr_expect_eq(matches("(a|aa|aaa)*", text), 1);
    static char deep[4001]; /* groups within groups */
    memset(deep, '(', 2000);
    cr_expect_eq(matches(deep, text), LATHE_E_ARGUMENT);
}

/* --- the others ------------------------------------------------------------------------------------------------------------- */

Test(strings, concatenation_and_equality_broadcast)
{
    uint64_t a_cells[4], b_cells[4];
    int64_t a_dims[] = {2, 1}, b_dims[] = {2};
    const lathe_value inputs[] = {strings((const char *[]){"x", "\xc3\xa9"}, a_cells, 2, a_dims),
                                  strings((const char *[]){"", "x"}, b_cells, 1, b_dims)};
    Scripted model;
    lathe_value output;
    lathe_context *context = open_step(&model, lathe_host_StringConcat, 2, 1, NULL, 0);
    cr_assert_eq(run_step(context, inputs, 2, &output, 1), LATHE_OK);
    static const char *const expected[] = {"x", "xx", "\xc3\xa9", "\xc3\xa9x"};
    cr_assert(output.tensor.ndim == 2 && output.tensor.shape[0] == 2 && output.tensor.shape[1] == 2);
    for (int i = 0; i < 4; i++)
        cr_expect_str_eq(text_at(&output, i), expected[i]);
    lathe_rt_close(context);

    context = open_step(&model, lathe_host_Equal, 2, 1, NULL, 0);
    cr_assert_eq(run_step(context, inputs, 2, &output, 1), LATHE_OK);
    cr_expect_arr_eq(output.tensor.data, ((const unsigned char[]){0, 1, 0, 0}), 4);
    int64_t three = 3;
    uint64_t cells[3];
    const lathe_value wrong[] = {inputs[1], strings((const char *[]){"a", "b", "c"}, cells, 1, &three)};
    cr_expect_eq(run_step(context, wrong, 2, &output, 1), LATHE_E_SHAPE);
    cells[1] = 0;
    cr_expect_eq(run_step(context, wrong, 2, &output, 1), LATHE_E_NULL);
    lathe_rt_close(context);
}

static void expect_split(const char *text, const char *delimiter, int64_t most, int count, const char *const *expected)
{
    const lathe_attribute attributes[] = {{.name = "maxsplit", .integer = most}, {.name = "delimiter", .string = delimiter}};
    Scripted model;
    lathe_context *context = open_step(&model, lathe_host_StringSplit, 1, 2, attributes + (most < 0), (most >= 0) + (delimiter != NULL));
    const char *const texts[] = {text, ""};
    uint64_t cells[2];
    int64_t two = 2;
    const lathe_value input = strings(texts, cells, 1, &two);
    lathe_value outputs[2];
    cr_assert_eq(run_step(context, &input, 1, outputs, 2), LATHE_OK);
    const int64_t empty = delimiter != NULL && *delimiter != '\0';
    cr_expect_eq(((const int64_t *)outputs[1].tensor.data)[0], count, "'%s' has %lld parts", text, (long long)((const int64_t *)outputs[1].tensor.data)[0]);
    cr_expect_eq(((const int64_t *)outputs[1].tensor.data)[1], empty);
    const int64_t width = outputs[0].tensor.shape[1];
    cr_expect_eq(width, count > empty ? count : empty);
    for (int i = 0; i < count; i++)
        cr_expect_str_eq(text_at(&outputs[0], i), expected[i]);
    for (int64_t i = 0; i < width; i++)
        cr_expect_str_eq(text_at(&outputs[0], width + i), "");
    lathe_rt_close(context);
}

Test(strings, split_like_python)
{
    expect_split("a b  c", NULL, -1, 3, (const char *const[]){"a", "b", "c"});
    expect_split("  a b  c ", "", 1, 2, (const char *const[]){"a", "b  c "});
    expect_split(" \t\n", NULL, -1, 0, NULL);
    expect_split(" \xe3\x80\x80""a", NULL, -1, 1, (const char *const[]){"a"});
    expect_split("a,b,,c", ",", -1, 4, (const char *const[]){"a", "b", "", "c"});
    expect_split("a,b,,c", ",", 2, 3, (const char *const[]){"a", "b", ",c"});
    expect_split("a--b---c", "--", -1, 3, (const char *const[]){"a", "b", "-c"});
    expect_split(",a,", ",", -1, 3, (const char *const[]){"", "a", ""});
    expect_split("a b", NULL, 0, 1, (const char *const[]){"a b"});
}

static void expect_normal(const char *action, int64_t sensitive, int count, const char *const *texts, int kept, const char *const *expected)
{
    static const char *const stopwords[] = {"Monday", "\xc3\x89t\xc3\xa9"};
    const lathe_attribute attributes[] = {{.name = "case_change_action", .string = action}, {.name = "is_case_sensitive", .integer = sensitive},
                                          {.name = "stopwords", .strings = stopwords, .count = 2}};
    Scripted model;
    lathe_context *context = open_step(&model, lathe_host_StringNormalizer, 1, 1, attributes, 3);
    uint64_t cells[8];
    int64_t dims[] = {1, count};
    for (int rank = 1; rank <= 2; rank++) {
        const lathe_value input = strings(texts, cells, rank, dims + 2 - rank);
        lathe_value output;
        cr_assert_eq(run_step(context, &input, 1, &output, 1), LATHE_OK);
        cr_assert_eq(output.tensor.ndim, rank);
        cr_assert_eq(output.tensor.shape[rank - 1], kept);
        for (int i = 0; i < kept; i++)
            cr_expect_str_eq(text_at(&output, i), expected[i]);
    }
    lathe_rt_close(context);
}

Test(strings, normalizer)
{
    static const char *const days[] = {"monday", "tuesday", "Monday", "\xc3\xa9t\xc3\xa9", "\xce\xa3x"};
    expect_normal("NONE", 1, 5, days, 4, (const char *const[]){"monday", "tuesday", "\xc3\xa9t\xc3\xa9", "\xce\xa3x"});
    expect_normal("NONE", 0, 5, days, 2, (const char *const[]){"tuesday", "\xce\xa3x"});
    expect_normal("UPPER", 1, 5, days, 4, (const char *const[]){"MONDAY", "TUESDAY", "\xc3\x89T\xc3\x89", "\xce\xa3X"});
    expect_normal("LOWER", 0, 5, days, 2, (const char *const[]){"tuesday", "\xcf\x83x"});
    expect_normal("LOWER", 0, 1, days, 1, (const char *const[]){""});
}
