/* links: lathe_tools_base lathe_jansson
 * The lathe program from outside: exit codes, messages, JSON, determinism, and what is left behind. Commands run by
 * /bin/sh in a new folder; $L is the program, $D the models of tests/data/onnx. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as GCC says it */
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 }; /* crashes are the sanitizer's to report, and it reserves all addresses */
#else
enum { SANITIZED = 0 };
#endif

static char folder[] = "/tmp/lathe-test-XXXXXX";
static char said[1 << 20]; /* by the last command, both streams */

static void start(void)
{
    cr_assert(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    setenv("L", BINARY_DIR "/lathe", 1);
    setenv("D", SOURCE_DIR "/tests/data/onnx", 1);
    setenv("LATHE_CACHE_DIR", "cache", 1);
    setenv("LC_ALL", "C", 1);
}

static void end(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(chdir("/"), 0);
    cr_assert_eq(system(command), 0);
}

TestSuite(program, .init = start, .fini = end);

/* The command's exit code; what it says goes to `said`. */
static int sh(const char *format, ...)
{
    char command[4000];
    va_list arguments;
    va_start(arguments, format);
    const int length = snprintf(command, sizeof command, "exec 2>&1; ");
    vsnprintf(command + length, sizeof command - (size_t)length, format, arguments);
    va_end(arguments);
    FILE *const pipe = popen(command, "r");
    cr_assert(pipe);
    const size_t got = fread(said, 1, sizeof said - 1, pipe);
    said[got] = 0;
    const int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

typedef struct Case {
    const char *command;
    int code;
    const char *says; /* a part of it */
} Case;

static void check(const Case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int code = sh("%s", cases[i].command);
        cr_expect_eq(code, cases[i].code, "%s: left with %d, not %d: %s", cases[i].command, code, cases[i].code, said);
        cr_expect(strstr(said, cases[i].says), "%s: does not say '%s' but: %s", cases[i].command, cases[i].says, said);
    }
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

Test(program, wrong_usage_is_2_and_says_what_was_meant)
{
    static const Case cases[] = {
        {"$L", 2, "compile"},
        {"$L compil x", 2, "'compile'"},
        {"$L compile", 2, "MODEL"},
        {"$L compile $D/good/dense.onnx", 2, "-o"},
        {"$L compile $D/good/dense.onnx -o a.so -o b.so", 2, "one -o"},
        {"$L compile $D/good/dense.onnx -o a.so --emti so", 2, "emit"},
        {"$L compile $D/good/dense.onnx -o a.so --emit sow", 2, "so"},
        {"$L compile $D/good/dense.onnx -o a.so --prefix 7up", 2, "7up"},
        {"$L compile $D/good/dense.onnx -o a.so --prefix a-b", 2, "a-b"},
        {"$L compile $D/good/dense.onnx -o a.so --skip fsue", 2, "'fuse'"},
        {"$L compile $D/good/dense.onnx -o a.so --skip lower", 2, "lower"},
        {"$L compile $D/good/dense.onnx -o a.so --stop-after loewr", 2, "'lower'"},
        {"$L compile $D/good/dense.onnx -o a.so --dump-after lower,expnd", 2, "'expand'"},
        {"$L compile $D/good/dense.onnx -o a.so --cpu x86-64-v5", 2, "x86-64-v"},
        {"$L compile $D/good/dense.onnx -o a.so --dim nobody=3", 2, "nobody"},
        {"$L compile $D/good/dense.onnx -o a.so --dim batch=3..1", 2, "batch"},
        {"$L compile $D/good/dense.onnx -o a.so --shape x=1xq", 2, "1xq"},
        {"$L compile $D/good/dense.onnx -o - --emit so,header", 2, "standard output"},
        {"$L opt $D/good/dense.onnx --passes fsue", 2, "'fuse'"},
        {"$L opt $D/good/dense.onnx --passes plan", 2, "tensor graph"},
        {"$L bench $D/good/dense.onnx --percentiles 101", 2, "101"},
        {"$L bench $D/good/dense.onnx --fail-if +1%", 2, "--baseline"},
        {"$L run $D/good/dense.onnx", 2, "not given"},
        {"$L inspect", 2, "--host"},
        {"$L inspect --host $D/good/dense.onnx", 2, "not both"},
        {"$L targets x86-64-v33", 2, "x86-64-v3"},
    };
    CHECK(cases);
    cr_expect_eq(sh("ls -A | grep -v '^cache$'"), 1, "left behind: %s", said);
}

Test(program, every_kind_of_failure_has_its_code)
{
    static const Case cases[] = {
        {"$L compile $D/bad/unknown_op.onnx -o a.so", 3, "not supported"},
        {"$L compile $D/good/dense.onnx -o a.so --features +avx512fp16", 3, "--features"},
        {"$L compile $D/good/dense.onnx -o a.so --threads callback", 3, "callback"},
        {"$L compile $D/bad/truncated.onnx -o a.so", 4, "truncated.onnx"},
        {"$L compile $D/bad/text.onnx -o a.so", 4, "text.onnx"},
        {"$L run /dev/null -i random:1", 4, "null"},
        {"$L compile nobody.onnx -o a.so", 5, "nobody.onnx"},
        {"$L compile $D/good/dense.onnx -o nobody/a.so", 5, "nobody/a.so"},
        {"$L compile $D/good/dense.onnx -o .", 5, "folder"},
        {"LATHE_LINKER=/bin/false $L compile $D/good/dense.onnx -o a.so", 6, "/bin/false"},
        {"LATHE_LINKER=nobody $L compile $D/good/dense.onnx -o a.so", 6, "LATHE_LINKER"},
        {"LATHE_LINKER=nobody $L doctor", 6, "failed linker"},
        {"$L compile $D/bad/calls_65.onnx -o a.so", 8, "64"},
        {"$L compile $D/bad/function_bomb.onnx -o a.so", 8, "error"},
    };
    CHECK(cases);
    cr_expect_eq(sh("ls -A | grep -v '^cache$'"), 1, "left behind: %s", said);
}

Test(program, quiet_keeps_the_errors_alone)
{
    cr_expect_eq(sh("$L compile $D/good/dense.onnx -o a.so --skip fsue"), 2);
    cr_expect(strstr(said, "did you mean"), "%s", said);
    cr_expect_eq(sh("$L compile $D/good/dense.onnx -o a.so --skip fsue -q"), 2);
    cr_expect(strstr(said, "error: ") && !strstr(said, "did you mean"), "%s", said);
}

/* A driver that lacks a function stands in for every machine's: those without one and those with a GPU. */
Test(program, models_for_a_gpu_are_compiled_anywhere_and_say_what_they_miss)
{
    static const Case cases[] = {
        {"$L compile $D/good/dense.onnx -o gpu.so --target cuda:sm_80,sm_75", 0, "lathe: gpu.so: "},
        {"$L inspect gpu.so", 0, "sm_75: "},
        {"$L inspect gpu.so --json", 0, "\"images\""},
        {"LATHE_PTXAS=/nowhere $L compile $D/good/dense.onnx -o text.so --target a100", 0, "PTX alone"},
        {"$L inspect text.so", 0, "sm_80: 0 cubins, 1 texts"},
        {"$L compile $D/good/dense.onnx -o gpu.ptx --target h100 && cat gpu.ptx", 0, ".target sm_90"},
        {"$L compile $D/good/dense.onnx -o cpu.ptx", 2, "--emit ptx"},
        {"$L compile $D/good/dense.onnx -o gpu.o --target cuda:sm_80", 0, "lathe: gpu.o: "},
        {"$L compile $D/good/dense.onnx -o gpu.so --target cuda:sm_81", 2, "sm_80"},
        {"mkdir drivers && cp " BINARY_DIR "/runtime/old_cuda.so drivers/libcuda.so.1", 0, ""},
        {"LD_LIBRARY_PATH=drivers $L run gpu.so -i random:1 --shape x=2x3", 7, "too old"},
        {"LD_LIBRARY_PATH=drivers $L doctor", 0, "libcuda.so.1 is too old"},
        {"LATHE_PTXAS=/nowhere $L doctor", 0, "PTX alone"},
    };
    CHECK(cases);
}

Test(program, success_is_0)
{
    static const Case cases[] = {
        {"$L --version", 0, "lathe "},
        {"$L doctor", 0, "ok     model"},
        {"$L targets", 0, "x86-64-v3"},
        {"$L targets", 0, "haswell"},
        {"$L targets native", 0, "features"},
        {"$L targets haswell", 0, "Zen 1 to 3"},
        {"$L targets x86-64", 0, "x86-64-v4-amx,x86-64-v4,x86-64-v3"},
        {"$L inspect --host", 0, "processor"},
        {"$L inspect $D/good/dense.onnx", 0, "input      x: f32[batch,3]"},
        {"$L inspect $D/good/dense.onnx --ops", 0, "MatMul"},
        {"$L inspect $D/good/dense.onnx --tensors --memory --metadata", 0, "arena"},
        {"$L inspect $D/bad/unknown_op.onnx", 0, "not supported"},
        {"$L compile $D/good/dense.onnx -o dense.so", 0, "lathe: dense.so: "},
        {"$L compile $D/good/dense.onnx -o dense.so -q | wc -c", 0, "0"},
        {"ls dense.so dense.h dense.json", 0, "dense.json"},
        {"$L inspect dense.so", 0, "output     y: f32[batch,"},
        {"$L run dense.so -i random:1", 2, "--shape"},
        {"$L run dense.so -i random:1 --shape x=2x3", 0, "y: f32[2,4]"},
        {"$L run dense.so -i random:1 --dim batch=3", 0, "y: f32[3,4]"},
        {"$L run dense.so -i random:1 --dim bach=3", 2, "bach"},
        {"$L compile $D/good/dense.onnx -q -o null.so --target null && $L inspect null.so", 0, "null"},
        {"$L run dense.so -q -i random:1 --dim batch=3 -o dense && $L run null.so -q -i random:1 --dim batch=3 -o null "
         "&& "
         "cmp dense/output_0.npy null/output_0.npy && echo same",
         0, "same"},
        {"$L compile $D/good/dense.onnx -q -o dense.so --prefix lathe_x", 2, "lathe_x"},
        {"cp $D/good/dense.onnx lathe.onnx && $L compile lathe.onnx -q -o l.so && grep model_lathe_open l.h", 0, ""},
        {"$L bench dense.so --min-time 1ms --dim batch=4", 0, "batch=4"},
        {"$L profile dense.so --warmup 1 --trace trace.json", 0, "GFLOP/s"},
        {"$L profile dense.so --warmup 1", 0, "GB/s read from memory"},
        {"$L compile $D/good/dense.onnx --print-deps", 0, "dense.onnx"},
        {"$L compile $D/good/dense.onnx -q -o 'a b.so' --depfile d && cat d", 0, "a\\ b.so: "},
        {"$L compile $D/good/dense.onnx -q -o - --emit so | head -c 4", 0, "ELF"},
        {"$L compile $D/good/dense.onnx -q -o - --emit asm", 0, ".text"},
        {"$L compile $D/good/dense.onnx -q -o /dev/null --emit so && test -c /dev/null", 0, ""},
        /* A large model (by its doc_string), whose digest a process of its own computes. */
        {"{ cat $D/good/dense.onnx; printf '\\062\\200\\200\\200\\010'; head -c 16777216 /dev/zero | tr '\\0' a; } > "
         "big.onnx && "
         "$L compile big.onnx -q -o big.so && grep $(sha256sum < big.onnx | cut -c1-64) big.json",
         0, "model_sha256"},
    };
    CHECK(cases);
}

Test(program, a_range_of_a_dim_is_kept_by_the_compiled_model)
{
    cr_assert_eq(sh("$L compile $D/good/dense.onnx -q -o a.so --dim batch=2..4"), 0, "%s", said);
    cr_expect_eq(sh("$L bench a.so --min-time 1ms --dim batch=4"), 0, "%s", said);
    cr_expect_eq(sh("$L bench a.so --min-time 1ms --dim batch=5"), 4, "%s", said);
    cr_expect(strstr(said, "from 2 to 4"), "%s", said);
}

/* A machine file changes schedules, never what a model computes, and objects are cached under what was compiled. */
Test(program, numbers_of_a_machine_choose_schedules)
{
    static const Case cases[] = {
        {"printf 'lathe-machine 1\nl2 2048\ncores 1\n' > small; printf 'lathe-machine 1\nl2 8388608\n' > large", 0, ""},
        {"mkdir cold warm && for m in small large; do $L compile $D/good/dense.onnx -q -o cold/$m.so --machine $m "
         "--no-cache && "
         "$L compile $D/good/dense.onnx -q -o warm/$m.so --machine $m --cache-dir cache --depfile $m.d; done",
         0, ""},
        {"cmp cold/small.so warm/small.so && cmp cold/large.so warm/large.so && echo same", 0, "same"},
        {"cat small.d", 0, " \\\n  small\n"},
        {"for m in small large; do $L run warm/$m.so -q -i random:1 --dim batch=3 -o $m.out/; done; cmp "
         "small.out/output_0.npy large.out/output_0.npy && echo same",
         0, "same"},
        {"$L run $D/good/dense.onnx -i random:1 --dim batch=3 --machine small", 0, "y: f32[3,4]"},
        {"$L profile $D/good/dense.onnx --warmup 1 --machine large", 0, "GFLOP/s"},
        {"$L compile $D/good/dense.onnx -q -o a.so --machine nowhere", 5, "nowhere"},
        {"echo 'cores 4' > bad; $L compile $D/good/dense.onnx -q -o a.so --machine bad", 4, "bad:1:1: "},
        {"$L run $D/good/dense.onnx -i random:1 --machine bad", 4, "bad:1:1: "},
        {"$L doctor -o file", 2, "--calibrate"},
        {"$L targets raspberry-pi-5", 0, "524288"},
    };
    CHECK(cases);
}

/* What is measured can be read; where nothing can be measured, that is said. */
Test(program, a_machine_that_was_measured_is_read)
{
    const int code = sh("$L doctor --calibrate -o this.machine");
    if (code == 3 || code == 7)
        return;
    cr_assert_eq(code, 0, "%s", said);
    cr_expect_eq(sh("head -1 this.machine"), 0);
    cr_expect(strstr(said, "lathe-machine 1"), "%s", said);
    cr_expect_eq(sh("$L compile $D/good/dense.onnx -q -o a.so --machine this.machine"), 0, "%s", said);
}

Test(program, slower_than_the_baseline_is_1)
{
    cr_assert_eq(sh("$L bench $D/good/dense.onnx --min-time 1ms -q --json=now.json"), 0, "%s", said);
    cr_expect_eq(sh("echo '{\"schema\":\"lathe.bench/1\",\"median_ns\":0.001}' > fast; $L bench $D/good/dense.onnx "
                    "--min-time 1ms --baseline fast"),
                 1, "%s", said);
    cr_expect_eq(sh("echo '{\"schema\":\"lathe.bench/1\",\"median_ns\":1e15}' > slow; $L bench $D/good/dense.onnx "
                    "--min-time 1ms --baseline slow"),
                 0, "%s", said);
    cr_expect_eq(sh("echo '{' > broken; $L bench $D/good/dense.onnx --min-time 1ms --baseline broken"), 4, "%s", said);
}

/* ---- JSON ---- */

Test(program, every_json_is_one_object_with_its_schema)
{
    static const struct {
        const char *command, *schema;
    } cases[] = {
        {"$L targets --json", "lathe.targets/1"},
        {"$L doctor --json", "lathe.doctor/1"},
        {"$L inspect --host --json", "lathe.host/1"},
        {"$L inspect $D/good/dense.onnx --json --tensors --memory", "lathe.inspect/1"},
        {"$L inspect $D/good/names.onnx --json --tensors", "lathe.inspect/1"},
        {"$L inspect $D/bad/unknown_op.onnx --json", "lathe.inspect/1"},
        {"$L compile $D/good/dense.onnx -q -o d.so --json", "lathe.model/1"},
        {"cat d.json", "lathe.model/1"},
        {"$L inspect d.so --json", "lathe.library/1"},
        {"$L run d.so -i random:1 --dim batch=2 --json", "lathe.run/1"},
        {"$L bench d.so --min-time 1ms --json", "lathe.bench/1"},
        {"$L profile d.so --json", "lathe.profile/1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_error_t error;
        cr_expect_eq(sh("%s", cases[i].command), 0, "%s: %s", cases[i].command, said);
        json_t *const root = json_loads(said, JSON_REJECT_DUPLICATES, &error);
        cr_expect(root, "%s: line %d: %s: %s", cases[i].command, error.line, error.text, said);
        const char *const schema = json_string_value(json_object_get(root, "schema"));
        cr_expect(schema && strcmp(schema, cases[i].schema) == 0, "%s: schema %s", cases[i].command, schema);
        cr_expect(json_is_string(json_object_get(root, "tool_version")));
        json_decref(root);
    }
}

Test(program, a_trace_is_what_chrome_reads)
{
    json_error_t error;
    cr_assert_eq(sh("$L profile $D/good/dense.onnx --warmup 1 --trace t.json -q"), 0, "%s", said);
    json_t *const root = json_load_file("t.json", 0, &error), *const events = json_object_get(root, "traceEvents");
    cr_assert_gt(json_array_size(events), 0);
    for (size_t i = 0; i < json_array_size(events); i++) {
        json_t *const event = json_array_get(events, i);
        cr_expect_str_eq(json_string_value(json_object_get(event, "ph")), "X");
        cr_expect(json_is_number(json_object_get(event, "ts")) && json_is_number(json_object_get(event, "dur")));
    }
    json_decref(root);
}

/* ---- the same bytes ---- */

Test(program, compiling_twice_gives_the_same_bytes)
{
    static const char *const second[] = {
        "cp $D/good/dense.onnx .; LC_ALL=C.UTF-8 TZ=Asia/Tokyo",
        "cp $D/good/dense.onnx .; LC_ALL=de_DE.UTF-8 LATHE_COLOR=always",
        "cp $D/good/dense.onnx .; TMPDIR=. SOURCE_DATE_EPOCH=1",
    };
    static const char *const flags[] = {"-j1", "-j4 --no-cache", "-j3 --progress json"};
    cr_assert_eq(sh("mkdir a && cd a && $L compile $D/good/dense.onnx -o m.so --emit so,static,obj,llvm,kernels -q"), 0,
                 "%s", said);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(sh("rm -rf b; mkdir -p b/c && cd b/c && %s $L compile dense.onnx -o m.so --emit "
                        "so,static,obj,llvm,kernels -q %s",
                        second[i], flags[i]),
                     0, "%s", said);
        for (const char *const *file =
                 (const char *const[]){"m.so", "m.a", "m.o", "m.h", "m.json", "m.ll", "m.kernels", NULL};
             *file; file++)
            cr_expect_eq(sh("cmp a/%s b/c/%s", *file, *file), 0, "%d: %s", i, said);
    }
}

Test(program, outputs_that_would_be_the_same_stay_untouched)
{
    struct stat before, after;
    static const char *const files[] = {"m.so", "m.h", "m.json"};
    cr_assert_eq(
        sh("$L compile $D/good/dense.onnx -o m.so -q && touch -d 2001-02-03 m.so m.h m.json && cp -p m.so old.so"), 0,
        "%s", said);
    cr_assert_eq(stat("old.so", &before), 0);
    cr_assert_eq(sh("$L compile $D/good/dense.onnx -o m.so -q"), 0, "%s", said);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        cr_assert_eq(stat(files[i], &after), 0);
        cr_expect_eq(after.st_mtime, before.st_mtime, "%s was written again", files[i]);
    }
}

Test(program, text_form_goes_out_and_in)
{
    cr_assert_eq(sh("$L opt $D/good/dense.onnx -o a.ir && $L opt a.ir -o b.ir && cmp a.ir b.ir"), 0, "%s", said);
    cr_assert_eq(sh("$L opt $D/good/dense.onnx --passes expand,lower -o a.ir && $L opt a.ir -o b.ir && cmp a.ir b.ir"),
                 0, "%s", said);
    cr_assert_eq(sh("$L opt - --passes fuse -o c.ir < a.ir && $L opt $D/good/dense.onnx --passes expand,lower,fuse -o "
                    "d.ir && cmp c.ir d.ir"),
                 0, "%s", said);
    cr_expect_eq(sh("$L opt a.ir --passes fuse --fuel 0 -o e.ir && cmp a.ir e.ir"), 0, "%s", said);
}

Test(program, machine_code_and_interpreter_agree)
{
    cr_assert_eq(sh("$L run $D/good/functions.onnx -i random:1 -o a.npy -q && $L run $D/good/functions.onnx -i "
                    "random:1 -o b.npy --backend interpreter -q && cmp a.npy b.npy"),
                 0, "%s", said);
}

/* No GPU is needed: the interpreter runs its threads and watches what they touch. */
Test(program, schedules_for_a_gpu_give_the_bits_of_plain_loops)
{
    static const char *const models[] = {"digits/digits.onnx -i $E/digits/seven.npy",
                                         "shakespeare/shakespeare.onnx -i ones --shape tokens=1,9"};
    setenv("E", SOURCE_DIR "/examples", 1);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        cr_assert_eq(sh("$L run $E/%s -o a.npy -q --backend interpreter --math exact", models[i]), 0, "%s", said);
        for (int level = 75; level <= 80; level += 5)
            cr_expect_eq(sh("$L run $E/%s -o b.npy -q --backend interpreter --math exact --target cuda:sm_%d && cmp "
                            "a.npy b.npy",
                            models[i], level),
                         0, "%s", said);
    }
}

/* ---- too little memory ---- */

/* From where the program cannot even be loaded (127) to where nothing is amiss: success, the linker's failure, or the
 * limit, never a crash. */
Test(program, too_little_memory_is_said)
{
    for (int limit = 100000; limit <= 400000 && !SANITIZED; limit += 10000) {
        const int code =
            sh("mkdir -p out; (ulimit -v %d; $L compile $D/good/dense.onnx --no-cache -q -o out/m.so)", limit);
        cr_expect(code == 0 || code == 6 || code == 8 || code == 127, "%d KiB: left with %d: %s", limit, code, said);
        cr_expect_eq(sh("ls -A out | grep -v '^m\\.'"), 1, "%d KiB: left behind: %s", limit, said);
    }
}

/* ---- signals ---- */

static int entries(const char *path)
{
    int count = 0;
    DIR *const directory = opendir(path);
    cr_assert(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return count;
}

/* Starts a compilation, sends the signal after so many microseconds; the exit code. */
static int interrupt(int number, useconds_t wait)
{
    const pid_t process = fork();
    if (process == 0) {
        const int null = open("/dev/null", O_WRONLY);
        dup2(null, 2);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        execl(BINARY_DIR "/lathe", "lathe", "compile", SOURCE_DIR "/tests/data/onnx/good/dense.onnx", "--no-cache",
              "--emit", "so,static,obj,asm", "-o", "out/m.so", NULL);
        _exit(99);
    }
    int status;
    usleep(wait);
    kill(process, number);
    waitpid(process, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Whenever the signal comes: all outputs are there, or none, and nothing else. Before main has begun the system's own
 * way of ending holds. */
Test(program, nothing_stays_behind_after_a_signal)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGSEGV};
    enum { OUTPUTS = 6 };
    for (int round = 0; round < 60; round++) {
        const int number = numbers[round % (SANITIZED ? 3 : 4)];
        cr_assert_eq(sh("rm -rf out; mkdir out"), 0);
        const int code = interrupt(number, (useconds_t)(round * 2000));
        const int expected = number == SIGSEGV ? 70 : 128 + number;
        cr_expect(code == 0 || code == expected || code == 1000 + number, "after %d ms: left with %d", round * 2, code);
        const int left = entries("out");
        cr_expect(code == 0 ? left == OUTPUTS : left <= OUTPUTS, "after %d ms: %d files", round * 2, left);
        cr_expect_eq(sh("ls -A out | grep -v '^m\\.'"), 1, "after %d ms: left behind: %s", round * 2, said);
    }
}
