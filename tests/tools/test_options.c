/* The command line: scanning, values, suggestions, response files; the texts made from the table. */
/* links: lathe_tools_base */
#include "tests/tools/sample.h"
#include "tools/arguments.h"
#include "tools/options.h"

#include <math.h>
#include <unistd.h>

/* Scans "lathe " + line, split at spaces. */
static bool parse(Options *options, Bench *bench, const char *line)
{
    char *rest = arena_format(bench->arena, "lathe %s", line);
    char **arguments = NEW_ARRAY(bench->arena, char *, strlen(line) + 3);
    int count = 0;
    for (char *word; (word = strsep(&rest, " "));)
        if (*word)
            arguments[count++] = word;
    return options_parse(options, count, arguments, bench->arena, bench->diagnostics);
}

typedef struct WrongRow {
    const char *line;
    const char *message, *hint;
} WrongRow;

Test(options, wrong_ones_are_usage_errors_with_a_suggestion)
{
    static const WrongRow rows[] = {
        {"compile m.onnx --emmit so", "unknown option '--emmit' for lathe compile", "did you mean '--emit'?"},
        {"compile m.onnx --emi so", "unknown option '--emi'", "did you mean '--emit'?"},
        {"compile m.onnx --warmup 3", "unknown option '--warmup'", "'--warmup' is an option of: bench, profile"},
        {"--emit so compile m.onnx", "unknown option '--emit'", "stands after one of the verbs: compile"},
        {"--col never compile m.onnx", "unknown option '--col'", "did you mean '--color'?"},
        {"compile m.onnx --zzzzzz", "unknown option '--zzzzzz'", ""},
        {"compile m.onnx -z", "unknown option '-z'", ""},
        {"compile m.onnx -o", "--output needs a value: OUT", ""},
        {"compile m.onnx --target", "--target needs a value", ""},
        {"compile m.onnx --verify=yes", "--verify takes no value", ""},
        {"compile m.onnx --emit so,libs", "--emit cannot be 'libs'", ""},
        {"compile m.onnx --emit statik", "--emit cannot be 'statik'", "did you mean 'static'?"},
        {"compile m.onnx --emit so,,obj", "empty element", ""},
        {"compile m.onnx -O4", "-O is 4, but goes from 0 to 3", ""},
        {"compile m.onnx -Ofast", "-O needs an integer, not 'fast'", ""},
        {"compile m.onnx -j x", "--jobs needs an integer, not 'x'", ""},
        {"compile m.onnx --fuel 99999999999999999999", "--fuel needs an integer", ""},
        {"compile", "lathe compile needs MODEL", ""},
        {"compile a.onnx b.onnx", "'b.onnx' is one too many", ""},
        {"complie m.onnx", "'complie' is not a verb of lathe", "did you mean 'compile'?"},
        {"frobnicate", "'frobnicate' is not a verb", "lathe help lists the verbs"},
        {"bench m.so --min-time 2x", "a time such as", ""},
        {"bench m.so --fail-if 5", "a percentage such as +5%", ""},
        {"cache gc --max-size lots", "a size such as", ""},
        {"--color=maybe doctor", "--color cannot be 'maybe'", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        Options options;
        cr_expect_not(parse(&options, &bench, rows[i].line), "%s", rows[i].line);
        cr_expect(said(&bench, rows[i].message), "%s: %s", rows[i].line, first_message(&bench));
        cr_expect(said(&bench, rows[i].hint), "%s: %s", rows[i].line, first_message(&bench));
        cr_expect_eq(bench.diagnostics->code, EXIT_USAGE);
        cr_expect_eq(bench.diagnostics->error_count, 1, "%s: %d errors", rows[i].line, bench.diagnostics->error_count);
        bench_close(&bench);
    }
}

Test(options, stand_before_and_after_the_verb_and_its_model)
{
    static const char *const lines[] = {
        "-v --color=never compile m.onnx -o out.so -O3 --emit so,header --shape a=1x3 --shape b=? -j 4 -v",
        "compile --output out.so -v -vO3 --emit=so --emit header m.onnx --shape=a=1x3 --color never --shape b=? "
        "--jobs=4",
        "-v compile -v -O 3 --emit=so,header --shape=a=1x3 --color=always --color=never --shape b=? -j4 -oout.so -- "
        "m.onnx",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Bench bench = bench_open();
        Options options;
        cr_assert(parse(&options, &bench, lines[i]), "%s: %s", lines[i], first_message(&bench));
        cr_expect_eq(options.verb, VERB_COMPILE);
        cr_assert_eq(options.argument_count, 1);
        cr_expect_str_eq(options.arguments[0], "m.onnx");
        cr_expect_str_eq(option_text(&options, OPTION_OUTPUT), "out.so");
        cr_expect_eq(option_integer(&options, OPTION_LEVEL), 3);
        cr_expect_eq(option_integer(&options, OPTION_JOBS), 4);
        cr_expect_eq(option_count(&options, OPTION_VERBOSE), 2);
        cr_expect(option_list_has(&options, OPTION_EMIT, "so") && option_list_has(&options, OPTION_EMIT, "header"));
        cr_expect_not(option_list_has(&options, OPTION_EMIT, "obj"));
        cr_assert_eq(option_count(&options, OPTION_SHAPE), 2);
        cr_expect_str_eq(option_at(&options, OPTION_SHAPE, 1), "b=?");
        cr_expect(option_is(&options, OPTION_COLOR, "never"));
        bench_close(&bench);
    }
}

Test(options, have_initial_values)
{
    Bench bench = bench_open();
    Options options;
    cr_assert(parse(&options, &bench, "bench m.so --json"));
    cr_expect_eq(option_integer(&options, OPTION_WARMUP), 10);
    cr_expect_eq(option_number(&options, OPTION_MIN_TIME), 2);
    cr_expect_float_eq(option_number(&options, OPTION_FAIL_IF), 0.05, 1e-15);
    const char *const *percentiles = NULL;
    cr_assert_eq(option_list(&options, OPTION_PERCENTILES, &percentiles), 3);
    cr_expect_str_eq(percentiles[2], "99");
    cr_expect(option_given(&options, OPTION_JSON) && !option_text(&options, OPTION_JSON), "--json without a file");
    cr_expect_not(option_given(&options, OPTION_WARMUP));
    double mean[3] = {9, 9, 9};
    cr_expect(option_numbers(&options, OPTION_IMAGE_MEAN, mean, 3) && mean[2] == 0);
    bench_close(&bench);
}

Test(options, without_a_verb)
{
    static const char *const lines[] = {"", "--help", "-V", "-h"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Bench bench = bench_open();
        Options options;
        cr_expect(parse(&options, &bench, lines[i]), "%s", lines[i]);
        cr_expect_eq(options.verb, VERB_NONE);
        bench_close(&bench);
    }
    Bench bench = bench_open();
    Options options;
    cr_expect(parse(&options, &bench, "compile --help"), "help needs no model");
    cr_expect(option_given(&options, OPTION_SHOW_HELP));
    bench_close(&bench);
}

Test(values, are_read_from_text)
{
    static const struct {
        const char *text;
        double value;
    } durations[] = {{"2s", 2}, {"500ms", 0.5},  {"10m", 600},  {"1.5h", 5400},
                     {"3", 3},  {"20us", 20e-6}, {"1d", 86400}, {".5s", 0.5}},
      sizes[] = {{"0", 0}, {"64k", 65536}, {"1.5M", 1572864}, {"2GiB", 2147483648.0}, {"1T", 1099511627776.0},
                 {"7B", 7}};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        double seconds = -1;
        cr_expect(text_to_duration(durations[i].text, &seconds), "%s", durations[i].text);
        cr_expect_float_eq(seconds, durations[i].value, 1e-12, "%s is %g", durations[i].text, seconds);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t bytes = -1;
        cr_expect(text_to_size(sizes[i].text, &bytes), "%s", sizes[i].text);
        cr_expect_eq((double)bytes, sizes[i].value, "%s", sizes[i].text);
    }
    static const char *const wrong[] = {"", "s", "-1s", "1e400s", "0x10s", "1 s", "1s ", "nan", "inf", ".s", "1.2.3s"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double seconds;
        cr_expect_not(text_to_duration(wrong[i], &seconds), "'%s'", wrong[i]);
    }
    double fraction = 0;
    cr_expect(text_to_percent("+5%", &fraction) && fabs(fraction - 0.05) < 1e-15);
    cr_expect(text_to_percent("-2.5%", &fraction) && fabs(fraction + 0.025) < 1e-15);
    int64_t integer = 0;
    cr_expect(text_to_integer("-9223372036854775808", &integer) && integer == INT64_MIN);
    cr_expect_not(text_to_integer("9223372036854775808", &integer));
    cr_expect_not(text_to_integer("+1", &integer));
    cr_expect_not(text_to_integer(" 1", &integer));
}

Test(values, shapes_and_dims)
{
    Bench bench = bench_open();
    ShapeArgument shape;
    cr_assert(shape_argument_parse(&shape, "a=b=1x3x?x224", bench.arena, bench.diagnostics));
    cr_expect_str_eq(shape.input, "a=b");
    cr_expect(shape.rank == 4 && shape.dims[1] == 3 && shape.dims[2] == -1 && shape.dims[3] == 224);
    cr_assert(shape_argument_parse(&shape, "8x16", bench.arena, bench.diagnostics));
    cr_expect(!shape.input && shape.rank == 2);
    cr_assert(shape_argument_parse(&shape, "scalar=", bench.arena, bench.diagnostics));
    cr_expect_eq(shape.rank, 0);
    DimArgument dim;
    cr_assert(dim_argument_parse(&dim, "batch=1..32@8", bench.arena, bench.diagnostics));
    cr_expect_str_eq(dim.symbol, "batch");
    cr_expect(dim.minimum == 1 && dim.maximum == 32 && dim.best == 8);
    cr_assert(dim_argument_parse(&dim, "n=5", bench.arena, bench.diagnostics));
    cr_expect(dim.minimum == 5 && dim.maximum == 5 && dim.best == 5);
    cr_expect_eq(bench.diagnostics->error_count, 0);
    static const char *const wrong_shapes[] = {"", "a=1x", "a=x3", "a=1x-3", "a=1x3y", "a=99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong_shapes / sizeof *wrong_shapes; i++)
        cr_expect_not(shape_argument_parse(&shape, wrong_shapes[i], bench.arena, bench.diagnostics), "%s",
                      wrong_shapes[i]);
    static const char *const wrong_dims[] = {"",       "n",        "=3",      "n=",      "n=3..",
                                             "n=3..1", "n=1..3@9", "n=1..3@", "n=1..3z", "n=-1"};
    for (size_t i = 0; i < sizeof wrong_dims / sizeof *wrong_dims; i++)
        cr_expect_not(dim_argument_parse(&dim, wrong_dims[i], bench.arena, bench.diagnostics), "%s", wrong_dims[i]);
    cr_expect_eq((size_t)bench.diagnostics->error_count,
                 sizeof wrong_shapes / sizeof *wrong_shapes + sizeof wrong_dims / sizeof *wrong_dims);
    bench_close(&bench);
}

static const char *file_of(Bench *bench, const char *folder, const char *name, const char *text)
{
    const char *const path = arena_format(bench->arena, "%s/%s", folder, name);
    FILE *const file = fopen(path, "w");
    cr_assert(file);
    fputs(text, file);
    fclose(file);
    return path;
}

Test(response_files, are_expanded)
{
    char folder[] = "/tmp/lathe-test-XXXXXX";
    cr_assert(mkdtemp(folder));
    Bench bench = bench_open();
    Options options;
    const char *const inner =
        file_of(&bench, folder, "inner", "--prefix 'two words'\n--header \"a\\\"b\"\tback\\ slash.onnx");
    const char *const outer = file_of(&bench, folder, "outer", arena_format(bench.arena, "compile\n@%s", inner));
    cr_assert(parse(&options, &bench, arena_format(bench.arena, "@%s -v", outer)), "%s", first_message(&bench));
    cr_expect_str_eq(option_text(&options, OPTION_PREFIX), "two words");
    cr_expect_str_eq(option_text(&options, OPTION_HEADER), "a\"b");
    cr_expect_str_eq(options.arguments[0], "back slash.onnx");
    cr_assert(parse(&options, &bench, arena_format(bench.arena, "compile -- @%s", outer)), "%s", first_message(&bench));
    cr_expect_eq(options.arguments[0][0], '@', "after -- it is a file's name");
    cr_expect_eq(bench.diagnostics->error_count, 0);

    const char *const loop = arena_format(bench.arena, "%s/loop", folder);
    file_of(&bench, folder, "loop", arena_format(bench.arena, "@%s @%s @%s", loop, loop, loop));
    cr_expect_not(parse(&options, &bench, arena_format(bench.arena, "@%s", loop)));
    cr_expect(said(&bench, "nested deeper than 8"));
    const char *const open = file_of(&bench, folder, "open", "'never closed");
    cr_expect_not(parse(&options, &bench, arena_format(bench.arena, "@%s", open)));
    cr_expect(said(&bench, "never closed"));
    cr_expect_not(parse(&options, &bench, arena_format(bench.arena, "@%s/missing", folder)));
    cr_expect(said(&bench, "cannot open"));
    bench_close(&bench);
    cr_expect_eq(system(arena_format((bench = bench_open()).arena, "rm -r %s", folder)), 0);
    bench_close(&bench);
}

Test(color, follows_the_option_then_the_environment)
{
    static const struct {
        const char *line, *lathe, *no_color, *force;
        bool wanted;
    } rows[] = {
        {"doctor", NULL, NULL, NULL, false}, /* no terminal */
        {"doctor", NULL, NULL, "1", true},
        {"doctor", NULL, "1", "1", false},
        {"doctor", NULL, "", "1", true},
        {"doctor", NULL, NULL, "0", false},
        {"doctor", "always", "1", NULL, true},
        {"doctor --color never", "always", NULL, "1", false},
        {"--color=always doctor", NULL, "1", NULL, true},
        {"--color=auto doctor", NULL, NULL, "1", true},
    };
    FILE *const file = tmpfile();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const char *const names[] = {"LATHE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR"};
        const char *const values[] = {rows[i].lathe, rows[i].no_color, rows[i].force, NULL};
        for (int v = 0; v < 4; v++)
            values[v] ? setenv(names[v], values[v], 1) : unsetenv(names[v]);
        Bench bench = bench_open();
        Options options;
        cr_assert(parse(&options, &bench, rows[i].line));
        cr_expect_eq(color_wanted(&options, file), rows[i].wanted, "row %zu", i);
        bench_close(&bench);
    }
    fclose(file);
}

/* Within one verb every letter and every long name means one thing; rows are complete. */
Test(table, is_consistent)
{
    for (int a = 0; a < OPTION_COUNT; a++) {
        const OptionRow *first = &option_rows[a];
        const char *const name = first->name ? first->name : "-O";
        cr_expect(first->name || first->letter);
        cr_expect(first->help && *first->help, "%s", name);
        const bool plain = first->kind == KIND_FLAG || first->kind == KIND_COUNT;
        cr_expect_eq(plain, first->argument == NULL, "%s: an argument is named if there is one", name);
        cr_expect(first->kind != KIND_CHOICE || first->choices, "%s", name);
        cr_expect(first->kind != KIND_INTEGER || (first->choices && strstr(first->choices, "..")), "%s has a range",
                  name);
        for (int b = a + 1; b < OPTION_COUNT; b++) {
            const OptionRow *second = &option_rows[b];
            if (!(first->verbs & second->verbs & ((1u << VERB_COUNT) - 1)))
                continue;
            cr_expect(!first->letter || first->letter != second->letter, "-%c is %s and %s", first->letter, name,
                      second->name);
            cr_expect(!first->name || !second->name || strcmp(first->name, second->name) != 0, "%s twice", name);
        }
    }
}

/* Initial values pass the checks of their own rows. */
Test(table, initial_values_are_values)
{
    for (int id = 0; id < OPTION_COUNT; id++) {
        const OptionRow *row = &option_rows[id];
        if (!row->initial || !row->name)
            continue;
        int verb = 0;
        while (!(row->verbs >> verb & 1))
            verb++;
        Bench bench = bench_open();
        Options options;
        const char *const argument = verb_rows[verb].fewest ? "x" : "";
        const char *const line =
            arena_format(bench.arena, "%s %s --%s=%s", verb_rows[verb].name, argument, row->name, row->initial);
        cr_expect(parse(&options, &bench, line), "%s: %s", line, first_message(&bench));
        bench_close(&bench);
    }
}

/* Words drawn at random: a command line or one error, never a crash, and the getters hold afterwards. */
Test(options, any_words_are_a_command_line_or_an_error)
{
    static const char *const words[] = {
        "compile",   "run",          "bench",    "m.onnx",   "-o",      "-",          "--",      "--emit",
        "--emit=so", "so,obj",       "-O2",      "-O",       "-v",      "-vvv",       "--json",  "--json=",
        "--j",       "--=",          "--=x",     "-=",       "@",       "",           "-i",      "--input=",
        "--no",      "---",          "-vo",      "--fuel=1", "--dim",   "n=1..2",     "-q-",     "cache",
        "gc",        "help",         "--man",    "-hV",      "-j4",     "-j",         "4",       "--color",
        "never",     "--color=auto", "\xff\x01", "--\xff",   "inspect", "--min-time", "1e9999s", "--top",
        "--threads", "none",         "--t",      "-W",       "--cpu=,", "opt",        "%s%n"};
    enum { WORDS = sizeof words / sizeof *words };
    uint64_t state = 1;
    int good = 0;
    for (int round = 0; round < 20000; round++) {
        Bench bench = bench_open();
        char *arguments[12] = {arena_format(bench.arena, "lathe")};
        int count = 1;
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const int most = 1 + (int)(state >> 60) % 10;
        for (; count <= most; count++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
            arguments[count] = arena_format(bench.arena, "%s", words[(state >> 33) % WORDS]);
        }
        Options options;
        const bool parsed = options_parse(&options, count, arguments, bench.arena, bench.diagnostics);
        cr_assert_eq(parsed, bench.diagnostics->error_count == 0);
        cr_assert_leq(bench.diagnostics->error_count, 1);
        for (int id = 0; id < OPTION_COUNT && parsed; id++) {
            const char *const *elements = NULL;
            option_integer(&options, (OptionId)id);
            option_list(&options, (OptionId)id, &elements);
            cr_assert_leq(option_count(&options, (OptionId)id), most * 3);
        }
        good += parsed;
        bench_close(&bench);
    }
    cr_expect_gt(good, 100);
}

typedef void PrintFunction(FILE *file);

static char *printed(PrintFunction *print)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const file = open_memstream(&text, &size);
    print(file);
    fclose(file);
    return text;
}

static void all_helps(FILE *file)
{
    for (int verb = 0; verb <= VERB_COUNT; verb++)
        help_print(file, (VerbId)verb);
}

static void all_mans(FILE *file)
{
    for (int verb = 0; verb <= VERB_COUNT; verb++)
        help_man(file, (VerbId)verb);
}

static void bash_completion(FILE *file)
{
    completion_print(file, "bash");
}

static void zsh_completion(FILE *file)
{
    completion_print(file, "zsh");
}

static void fish_completion(FILE *file)
{
    completion_print(file, "fish");
}

Test(texts, name_every_verb_and_option)
{
    static const struct {
        PrintFunction *print;
        const char *dash; /* as the text writes it */
    } rows[] = {{all_helps, "--"},       {help_markdown, "--"},  {all_mans, "\\-\\-"},
                {bash_completion, "--"}, {zsh_completion, "--"}, {fish_completion, "-l "}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        char *const text = printed(rows[r].print);
        for (int id = 0; id < OPTION_COUNT; id++) {
            char option[80] = "";
            size_t used = (size_t)snprintf(option, sizeof option, "%s", rows[r].dash);
            for (const char *c = option_rows[id].name; c && *c; c++)
                used +=
                    (size_t)snprintf(option + used, sizeof option - used, "%s%c", *c == '-' && r == 2 ? "\\" : "", *c);
            cr_expect(!option_rows[id].name || strstr(text, option), "text %zu lacks %s", r, option);
        }
        for (int verb = 0; verb < VERB_COUNT; verb++)
            cr_expect(strstr(text, verb_rows[verb].name), "text %zu lacks %s", r, verb_rows[verb].name);
        free(text);
    }
}

Test(texts, are_no_wider_than_the_page)
{
    char *const text = printed(all_helps);
    bool examples = false;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        examples = strcmp(line, "Examples:") == 0 || (examples && line[0] == ' ');
        cr_expect(examples || strlen(line) <= 100, "%s", line);
        cr_expect(!*line || line[strlen(line) - 1] != ' ', "spaces at the end: '%s'", line);
    }
    free(text);
}

/* bash itself says whether the script is one, and completes by it. */
Test(texts, completion_works_in_bash)
{
    static const struct {
        const char *words, *wanted;
    } rows[] = {
        {"lathe com", "compile completion"},
        {"lathe compile --mat", "--math"},
        {"lathe compile --math ", "exact default fast"},
        {"lathe compile --threads n", "none"},
        {"lathe cache ", "stats gc"},
        {"lathe bench --threads", "--threads"},
        {"lathe --color a", "auto always"},
    };
    char path[] = "/tmp/lathe-test-XXXXXX";
    const int descriptor = mkstemp(path);
    cr_assert(descriptor >= 0);
    FILE *const file = fdopen(descriptor, "w");
    cr_assert(completion_print(file, "bash"));
    fclose(file);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        const char *const command =
            arena_format(bench.arena,
                         "bash -c 'source %s; COMP_LINE=\"%s\"; read -ra COMP_WORDS <<<\"$COMP_LINE\"; [[ $COMP_LINE "
                         "== *\" \" ]] && COMP_WORDS+=(\"\"); "
                         "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _lathe; echo \"${COMPREPLY[*]}\"'",
                         path, rows[i].words);
        FILE *const pipe = popen(command, "r");
        char line[400] = "";
        cr_expect(fgets(line, sizeof line, pipe));
        pclose(pipe);
        line[strcspn(line, "\n")] = '\0';
        cr_expect_str_eq(line, rows[i].wanted, "%s: %s", rows[i].words, line);
        bench_close(&bench);
    }
    unlink(path);
}

/* docs/cli.md is `lathe help --markdown`; LATHE_BLESS=1 writes it anew. */
Test(texts, reference_is_up_to_date)
{
    char *const text = printed(help_markdown);
    const char *const bless = getenv("LATHE_BLESS");
    if (bless && *bless == '1') {
        FILE *const file = fopen(SOURCE_DIR "/docs/cli.md", "w");
        cr_assert(file);
        fputs(text, file);
        fclose(file);
    }
    Bench bench = bench_open();
    Source source;
    cr_assert(source_open(&source, SOURCE_DIR "/docs/cli.md", 0, bench.arena, bench.diagnostics), "%s",
              first_message(&bench));
    cr_expect(source.size == strlen(text) && memcmp(source.bytes, text, source.size) == 0,
              "docs/cli.md differs from lathe help --markdown; run this test with LATHE_BLESS=1");
    source_close(&source);
    free(text);
    bench_close(&bench);
}
