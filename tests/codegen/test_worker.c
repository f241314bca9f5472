/* links: lathe_codegen lathe_ir lathe_targets */
#define _GNU_SOURCE
/* Worker processes, their second chance, and the cache of objects. */
#include "tests/codegen/machine.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>

enum { KERNELS = 12 };

/* out[u] = in[u] + number */
static Node *make_adder(Machine *machine, int number)
{
    Ir *const ir = machine->ir;
    Node *const in = machine_buffer(machine, "in", DTYPE_I32, 16), *const out =
                                                                       machine_buffer(machine, "out", DTYPE_I32, 16);
    Block *const body = block_make(ir), *const unit = block_make(ir);
    Node *const u = make_for(machine, body, "u", make_begin(machine), make_end(machine), 1, unit);
    make_store(machine, unit, out, u,
               scalar2(ir, OP_add, make_load(machine, in, u, 1), const_int(ir, DTYPE_I32, number)), NULL);
    return machine_kernel(machine, arena_format(machine->arena, "adder_%d", number), body);
}

static Machine *machine_of_adders(void)
{
    Machine *const machine = machine_open();
    for (int i = 0; i < KERNELS; i++)
        machine_add(machine, make_adder(machine, i), target_at(i % target_family_at(0)->level_count));
    return machine;
}

static void expect_adds(Machine *machine, int number, int added)
{
    int32_t in[16], out[16], error = 0;
    for (int i = 0; i < 16; i++)
        in[i] = i * i;
    const Node *const kernel = machine->jobs[number].kernel;
    void *const buffers[2] = {kernel->inputs[0]->payload.buffer->name[0] == 'i' ? in : out,
                              kernel->inputs[0]->payload.buffer->name[0] == 'i' ? out : in};
    machine_function(machine, number)(buffers, NULL, 0, 16, NULL, &error);
    for (int i = 0; i < 16; i++)
        cr_expect_eq(out[i], in[i] + added, "kernel %d: %d", number, out[i]);
}

static void expect_same_objects(const Machine *a, const Machine *b)
{
    for (int i = 0; i < KERNELS; i++)
        cr_expect(a->jobs[i].object.bytes == b->jobs[i].object.bytes &&
                      memcmp(a->jobs[i].object.data, b->jobs[i].object.data, a->jobs[i].object.bytes) == 0,
                  "object %d differs", i);
}

static int line_of(void *context, const Node *node)
{
    (void)context;
    return node->op == OP_kernel ? 1 : 2 + (int)node->op;
}

Test(worker, objects_do_not_depend_on_the_number_of_workers)
{
    static const LineTable lines = {"", "model.ir", line_of, NULL};
    Machine *machines[3];
    static const int workers[3] = {0, 1, 5};
    for (int i = 0; i < 3; i++) {
        machines[i] = machine_of_adders();
        cr_assert(compile_kernels(machines[i]->ir, machines[i]->jobs, KERNELS,
                                  &(WorkerOptions){.workers = workers[i], .lines = &lines}));
    }
    expect_same_objects(machines[0], machines[1]);
    expect_same_objects(machines[0], machines[2]);
    cr_expect_not_null(memmem(machines[0]->jobs[0].object.data, machines[0]->jobs[0].object.bytes, "model.ir", 8));
    for (int i = 0; i < 3; i++)
        machine_close(machines[i]);
}

/* ---- workers that die ---- */

typedef struct Plan {
    Machine *machine;
    int signal;  /* that kills the worker of every third kernel ... */
    bool always; /* ... also on its second chance */
    int fallbacks, progress;
} Plan;

static void plant_death(void *context, const KernelJob *job)
{
    const Plan *const plan = context;
    const int number = (int)(job - plan->machine->jobs);
    if (number % 3 != 1 || (job->fell_back && !plan->always))
        return;
    fprintf(stderr, "planted\n");
    raise(plan->signal);
}

/* The fallback adds 100 more, so that the test sees which schedule ran. */
static Node *plain(void *context, const KernelJob *job)
{
    Plan *const plan = context;
    plan->fallbacks++;
    return make_adder(plan->machine, (int)(job - plan->machine->jobs) + 100);
}

static void count_progress(void *context, int done, int total)
{
    Plan *const plan = context;
    cr_expect_eq(done, ++plan->progress);
    cr_expect_eq(total, KERNELS);
}

Test(worker, a_worker_that_dies_costs_one_retry_and_a_warning)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGKILL};
    for (int s = 0; s < 3; s++)
        for (int workers = 1; workers <= 4; workers += 3) {
            Machine *const machine = machine_of_adders();
            Plan plan = {machine, signals[s], false, 0, 0};
            const WorkerOptions options = {.workers = workers,
                                           .fallback = plain,
                                           .in_worker = plant_death,
                                           .progress = count_progress,
                                           .context = &plan};
            cr_assert(compile_kernels(machine->ir, machine->jobs, KERNELS, &options));
            cr_expect_eq(plan.fallbacks, KERNELS / 3);
            cr_expect_eq(plan.progress, KERNELS);
            cr_expect_eq(machine->diagnostics->error_count, 0);
            const char *const warning = machine->diagnostics->first->text;
            cr_expect(strstr(warning, "adder_") && strstr(warning, "planted"), "%s", warning);
            if (target_runs_here(target_at(target_family_at(0)->level_count - 1))) {
                machine_load(machine);
                for (int i = 0; i < KERNELS; i++)
                    expect_adds(machine, i, i % 3 == 1 ? i + 100 : i);
            }
            machine_close(machine);
        }
}

Test(worker, a_second_death_is_an_error_that_names_the_kernel)
{
    Machine *const machine = machine_of_adders();
    Plan plan = {machine, SIGABRT, true, 0, 0};
    const WorkerOptions options = {.workers = 2, .fallback = plain, .in_worker = plant_death, .context = &plan};
    cr_expect_not(compile_kernels(machine->ir, machine->jobs, KERNELS, &options));
    cr_expect_eq(machine->diagnostics->error_count, KERNELS / 3);
    cr_expect_eq(machine->diagnostics->code, EXIT_BACKEND);
    machine_close(machine);
}

static void spin(void *context, const KernelJob *job)
{
    (void)context;
    if (job->fell_back)
        return;
    for (volatile unsigned i = 0;; i++)
        continue;
}

Test(worker, a_kernel_that_takes_too_long_gets_the_plain_schedule)
{
    Machine *const machine = machine_open();
    machine_add(machine, make_adder(machine, 0), target_at(0));
    Plan plan = {.machine = machine};
    const WorkerOptions options = {
        .workers = 1, .cpu_seconds = 1, .fallback = plain, .in_worker = spin, .context = &plan};
    cr_expect(compile_kernels(machine->ir, machine->jobs, 1, &options));
    cr_expect(machine->jobs[0].fell_back);
    cr_expect_not_null(strstr(machine->diagnostics->first->text, "time limit"));
    machine_close(machine);
}

/* ---- cache ---- */

static void remove_folder(const char *path)
{
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    cr_expect_eq(system(command), 0);
}

Test(cache, a_key_gives_back_its_object_and_no_other_does)
{
    char path[] = "/tmp/lathe-test-XXXXXX";
    cr_assert_not_null(mkdtemp(path));
    Arena *const arena = arena_open(0, NULL, NULL);
    Cache *const cache = cache_open(arena, path);
    size_t bytes = 0;
    cr_expect_null(cache_get(cache, arena, "key", &bytes));
    cache_put(cache, "key", "object\0with zero", 16);
    const void *const object = cache_get(cache, arena, "key", &bytes);
    cr_assert_not_null(object);
    cr_expect(bytes == 16 && memcmp(object, "object\0with zero", 16) == 0);
    cr_expect_null(cache_get(cache, arena, "kez", &bytes));
    cr_expect_eq(cache_facts(cache).files, 1);
    cache_trim(cache, 0);
    cr_expect_eq(cache_facts(cache).files, 0);
    cr_expect_null(cache_get(cache, arena, "key", &bytes));
    remove_folder(path);
    arena_close(arena);
}

/* The one file below the cache's folder. */
static void only_file(const char *path, char *found, size_t size)
{
    for (int i = 0; i < 256; i++) {
        char folder[100];
        snprintf(folder, sizeof folder, "%s/%02x", path, i);
        DIR *const entries = opendir(folder);
        for (const struct dirent *entry = entries ? readdir(entries) : NULL; entry; entry = readdir(entries))
            if (entry->d_name[0] != '.')
                snprintf(found, size, "%s/%s", folder, entry->d_name);
        if (entries)
            closedir(entries);
    }
}

Test(cache, a_damaged_file_is_as_good_as_none)
{
    char path[] = "/tmp/lathe-test-XXXXXX", file_name[400] = "";
    cr_assert_not_null(mkdtemp(path));
    Arena *const arena = arena_open(0, NULL, NULL);
    Cache *const cache = cache_open(arena, path);
    size_t bytes, length;
    cache_put(cache, "the key", "0123456789", 10);
    only_file(path, file_name, sizeof file_name);
    struct stat facts;
    cr_assert_eq(stat(file_name, &facts), 0);
    cr_expect_eq(facts.st_mode & 0777, 0600);
    length = (size_t)facts.st_size;
    for (size_t at = 0; at < length; at++) { /* every byte matters */
        FILE *const file = fopen(file_name, "r+b");
        fseek(file, (long)at, SEEK_SET);
        const int old = fgetc(file);
        fseek(file, (long)at, SEEK_SET);
        fputc(old ^ 0x10, file);
        fclose(file);
        cr_expect_null(cache_get(cache, arena, "the key", &bytes), "byte %zu", at);
        cache_put(cache, "the key", "0123456789", 10);
        cr_expect_not_null(cache_get(cache, arena, "the key", &bytes));
    }
    for (size_t size = 0; size < length; size++) {
        cr_assert_eq(truncate(file_name, (off_t)size), 0);
        cr_expect_null(cache_get(cache, arena, "the key", &bytes), "%zu bytes", size);
        cache_put(cache, "the key", "0123456789", 10);
    }
    remove_folder(path);
    arena_close(arena);
}

Test(cache, a_folder_that_others_may_write_is_not_used)
{
    char path[] = "/tmp/lathe-test-XXXXXX";
    cr_assert_not_null(mkdtemp(path));
    Arena *const arena = arena_open(0, NULL, NULL);
    cr_assert_eq(chmod(path, 0777), 0);
    cr_expect_null(cache_open(arena, path));
    size_t bytes;
    cr_expect_null(cache_get(NULL, arena, "key", &bytes));
    cache_put(NULL, "key", "x", 1);
    cr_expect_eq(cache_facts(NULL).files, 0);
    remove_folder(path);
    arena_close(arena);
}

Test(cache, a_second_compile_takes_every_object_from_the_cache)
{
    char path[] = "/tmp/lathe-test-XXXXXX";
    cr_assert_not_null(mkdtemp(path));
    Machine *machines[3];
    for (int i = 0; i < 3; i++) {
        machines[i] = machine_of_adders();
        for (int j = 0; j < KERNELS; j++)
            machines[i]->jobs[j].key = arena_format(machines[i]->arena, "adder %d", j + (i == 2 && j == 4 ? 1000 : 0));
        const WorkerOptions options = {.workers = i, .cache = cache_open(machines[i]->arena, path)};
        cr_assert(compile_kernels(machines[i]->ir, machines[i]->jobs, KERNELS, &options));
        for (int j = 0; j < KERNELS; j++)
            cr_expect_eq(machines[i]->jobs[j].from_cache, i > 0 && !(i == 2 && j == 4), "compile %d, kernel %d", i, j);
    }
    expect_same_objects(machines[0], machines[1]);
    expect_same_objects(machines[0], machines[2]);
    for (int i = 0; i < 3; i++)
        machine_close(machines[i]);
    remove_folder(path);
}
