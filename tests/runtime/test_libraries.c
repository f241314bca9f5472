/* links: lathe_runtime dl */
/* Two libraries, each with its own runtime object inside, share the threads of one of them and unload. */
#include <criterion/criterion.h>
#include <dlfcn.h>

#include "fixture.h"

typedef struct Library {
    void *handle;
    const Dag *dag;
    int (*run)(lathe_context *, uint64_t);
} Library;

static Library library_load(const char *path, uint64_t seed)
{
    Library library = {.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    cr_assert_not_null(library.handle, "%s", dlerror());
    const Dag *(*open)(uint64_t);
    *(void **)&open = dlsym(library.handle, "library_open");
    *(void **)&library.run = dlsym(library.handle, "library_run");
    cr_assert(open != NULL && library.run != NULL);
    library.dag = open(seed);
    return library;
}

static lathe_context *library_context(const Library *library, lathe_pool *pool)
{
    int error;
    const lathe_options options = {.size = sizeof options, .pool = pool};
    lathe_context *context = library->dag->model.api->open(&library->dag->model, &options, &error);
    cr_assert_not_null(context, "error %d", error);
    return context;
}

Test(libraries, one_pool_for_two_runtimes)
{
    const Library a = library_load(BINARY_DIR "/runtime/runtime_library_a.so", 31);
    const Library b = library_load(BINARY_DIR "/runtime/runtime_library_b.so", 32);
    cr_assert_neq(a.dag->model.api, b.dag->model.api, "two runtimes");
    cr_expect_null(dlsym(a.handle, "lathe_rt_api"), "the runtime is hidden");
    int error;
    lathe_pool *pool = a.dag->model.api->pool_open(4, &error);
    cr_assert_not_null(pool);
    lathe_context *in_a = library_context(&a, pool), *in_b = library_context(&b, pool), *own = library_context(&b, NULL);
    for (uint64_t run = 0; run < 50; run++) {
        cr_expect_eq(a.run(in_a, run), 0);
        cr_expect_eq(b.run(in_b, run), 0);
        cr_expect_eq(b.run(own, run), 0);
    }
    cr_expect_eq(b.dag->model.api->pool_close(pool), LATHE_E_STATE);
    a.dag->model.api->close(in_a);
    b.dag->model.api->close(in_b);
    b.dag->model.api->close(own);
    cr_expect_eq(b.dag->model.api->pool_close(pool), LATHE_OK, "closed by the other library");
    cr_expect_eq(dlclose(b.handle), 0);
    cr_expect_eq(dlclose(a.handle), 0);
}
