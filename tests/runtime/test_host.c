/* What the runtime reads from its host: CPU features against the compiler's own detection, levels, control groups. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"
#include "runtime/internal.h"

static const lathe_api *const api = &lathe_rt_api;

Test(host, features_agree_with_the_compilers_detection)
{
    __builtin_cpu_init();
    const uint64_t features = cpu_features();
    cr_expect_eq((features & LATHE_CPU_AVX2) != 0,
                 __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"));
    cr_expect_eq((features & LATHE_CPU_AVX512) != 0, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"));
    cr_expect_eq((features & LATHE_CPU_AVX512_VNNI) != 0, __builtin_cpu_supports("avx512vnni") != 0);
    cr_expect_eq((features & LATHE_CPU_SSE42) != 0, __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"));
}

Test(host, the_linux_kernel_lists_the_same_features)
{
    static const struct {
        const char *flag;
        uint64_t feature;
    } rows[] = {{" avx_vnni ", LATHE_CPU_AVX_VNNI}, {" avx512_bf16 ", LATHE_CPU_AVX512_BF16},
                {" avx512_fp16 ", LATHE_CPU_AVX512_FP16}, {" amx_int8 ", LATHE_CPU_AMX_INT8}, {" amx_bf16 ", LATHE_CPU_AMX_BF16}};
    static char line[16384];
    FILE *file = fopen("/proc/cpuinfo", "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file) != NULL && strncmp(line, "flags", 5) != 0)
        ;
    fclose(file);
    line[strcspn(line, "\n")] = ' ';
    for (size_t i = 0; i < COUNT(rows); i++)
        cr_expect_eq((cpu_features() & rows[i].feature) != 0, strstr(line, rows[i].flag) != NULL, "%s", rows[i].flag);
}

/* --- levels ----------------------------------------------------------------------------------------------------------------- */

static const lathe_level levels[] = {
    {"future", UINT64_C(1) << 63, affine_kernels, 0},
    {"x86-64-v2", LATHE_CPU_SSE42, affine_kernels, 0},
    {"x86-64", 0, affine_kernels, 0},
};

static const char *level_opened(uint32_t first, uint32_t count, const char *variable, int *error, char *message)
{
    static char name[32];
    lathe_program program = affine_program;
    lathe_model_v1 model = affine_model;
    program.levels = levels + first;
    program.level_count = count;
    model.program = &program;
    if (variable != NULL)
        setenv("LATHE_CPU_LEVEL", variable, 1);
    else
        unsetenv("LATHE_CPU_LEVEL");
    const lathe_options options = {.size = sizeof options, .message = message, .message_size = message ? 100 : 0};
    lathe_context *context = lathe_rt_open(&model, &options, error);
    strcpy(name, api->level_name(context));
    lathe_rt_close(context);
    return name;
}

Test(host, the_best_level_that_runs_here)
{
    char message[100];
    int error;
    cr_expect_str_eq(level_opened(0, 3, NULL, &error, NULL), "x86-64-v2");
    cr_expect_str_eq(level_opened(0, 3, "x86-64", &error, NULL), "x86-64", "lowered");
    cr_expect_str_eq(level_opened(0, 3, "x86-64-v4", &error, NULL), "x86-64-v2");
    cr_expect_str_eq(level_opened(0, 3, "future", &error, NULL), "x86-64", "a level of the model takes the features outside of it away");
    cr_expect_str_eq(level_opened(0, 3, "nonsense", &error, NULL), "x86-64-v2");
    cr_expect_str_eq(level_opened(0, 1, NULL, &error, message), "");
    cr_expect_eq(error, LATHE_E_CPU);
    cr_expect_str_eq(message, "model 'affine' needs a CPU with future or better");
    cr_expect_str_eq(level_opened(1, 1, "x86-64", &error, NULL), "");
    cr_expect_eq(error, LATHE_E_CPU);
    cr_expect_null(affine_instance);
}

Test(host, amx_is_asked_for_where_the_cpu_has_it)
{
    static const lathe_level amx[] = {{"amx", LATHE_CPU_AMX_INT8, affine_kernels, 0}, {"x86-64", 0, affine_kernels, 0}};
    lathe_program program = affine_program;
    lathe_model_v1 model = affine_model;
    program.levels = amx;
    program.level_count = 2;
    model.program = &program;
    int error;
    unsetenv("LATHE_CPU_LEVEL");
    lathe_context *context = lathe_rt_open(&model, NULL, &error);
    cr_assert_not_null(context);
    if (!(cpu_features() & LATHE_CPU_AMX_INT8))
        cr_expect_str_eq(api->level_name(context), "x86-64");
    else if (strcmp(api->level_name(context), "amx") == 0) {
        /* ldtilecfg with one 16 x 64 tile, tilezero: a signal if the system had not granted the state */
        static const uint8_t config[64] = {[0] = 1, [16] = 64, [48] = 16};
        __asm__ volatile("ldtilecfg %0\n\ttilezero %%tmm0\n\ttilerelease" : : "m"(config));
    }
    lathe_rt_close(context);
}

/* --- control groups ----------------------------------------------------------------------------------------------------------- */

static char root[64];

static void write_file(const char *name, const char *content)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    fputs(content, file);
    fclose(file);
}

static const struct {
    const char *membership; /* /proc/self/cgroup */
    const char *files[6];   /* name, content, ... */
    int cpus;
} groups[] = {
    {"0::/\n", {NULL}, THREADS_MAX},
    {"0::/\n", {"cpu.max", "max 100000\n"}, THREADS_MAX},
    {"0::/\n", {"cpu.max", "200000 100000\n"}, 2},
    {"0::/a/b\n", {"a/b/cpu.max", "350000 100000\n"}, 3},
    {"0::/a/b\n", {"a/b/cpu.max", "800000 100000\n", "a/cpu.max", "50000 100000\n"}, 1},
    {"0::/a/b", {"a/cpu.max", "400000 100000\n", "a/b/cpu.max", "max 100000\n"}, 4},
    {"0::/not/here\n", {"cpu.max", "600000 100000\n"}, 6},
    {"5:cpu,cpuacct:/c\n", {"cpu,cpuacct/c/cpu.cfs_quota_us", "300000\n", "cpu,cpuacct/c/cpu.cfs_period_us", "100000\n"}, 3},
    {"7:memory:/m\n5:cpuacct,cpu:/c\n0::/\n", {"cpu/c/cpu.cfs_quota_us", "150000\n", "cpu/c/cpu.cfs_period_us", "50000\n"}, 3},
    {"5:cpu:/c\n", {"cpu/c/cpu.cfs_quota_us", "-1\n", "cpu/c/cpu.cfs_period_us", "100000\n"}, THREADS_MAX},
    {"5:cpuset:/c\n", {"cpu/c/cpu.cfs_quota_us", "100000\n", "cpu/c/cpu.cfs_period_us", "100000\n"}, THREADS_MAX},
    {"0::/\n", {"cpu.max", "200000 0\n"}, THREADS_MAX},
    {"0::/\n", {"cpu.max", "99999999999999999999999999 100000\n"}, THREADS_MAX},
    {"garbage\n:\n::\n0::", {"cpu.max", "rubbish"}, THREADS_MAX},
    {"", {"cpu.max", "100000 100000\n"}, THREADS_MAX},
};

Test(host, quotas_of_control_groups)
{
    for (size_t i = 0; i < COUNT(groups); i++) {
        char membership[128], command[128];
        strcpy(root, "/tmp/lathe-cgroup-XXXXXX");
        cr_assert_not_null(mkdtemp(root));
        write_file("membership", groups[i].membership);
        for (int k = 0; k + 1 < 6 && groups[i].files[k] != NULL; k += 2)
            write_file(groups[i].files[k], groups[i].files[k + 1]);
        snprintf(membership, sizeof membership, "%s/membership", root);
        cr_expect_eq(limits_quota(root, membership), groups[i].cpus, "case %d: %d", (int)i, limits_quota(root, membership));
        snprintf(command, sizeof command, "rm -r %s", root);
        cr_expect_eq(system(command), 0);
    }
    cr_expect_eq(limits_quota("/nowhere", "/nowhere"), THREADS_MAX);
    cr_expect_geq(limits_threads(), 1);
}

Test(host, a_thread_that_moved_may_use_the_same_cpus_as_before)
{
    static unsigned char before[CPUS_MAX / 8], after[CPUS_MAX / 8], all[CPUS_MAX / 8], here[CPUS_MAX / 8];
    const long bytes = syscall(SYS_sched_getaffinity, 0, sizeof before, before);
    const int cpu = sched_getcpu();
    cr_assert(bytes > 0 && cpu >= 0 && cpu < CPUS_MAX);
    here[cpu / 8] = (unsigned char)(1u << cpu % 8);
    limits_move(here);
    cr_expect_eq(syscall(SYS_sched_getaffinity, 0, sizeof after, after), bytes);
    cr_expect_arr_eq(after, before, (size_t)bytes);
    memset(all, 0xff, sizeof all); /* there is no other */
    limits_move(all);
    syscall(SYS_sched_getaffinity, 0, sizeof after, after);
    cr_expect_arr_eq(after, before, (size_t)bytes);
}
