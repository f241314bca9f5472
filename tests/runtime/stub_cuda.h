/* A CUDA driver without a GPU, for tests: the functions that models use, in host memory. It is strict where the real one crashes or
 * forgives: every handle must be one that it gave and that still lives, every range must lie inside one allocation, calls that need
 * a current context must have one. What was wrong is counted, with the first as text.
 *
 * A kernel is a C function that the test registers under the kernel's entry name. The library's soname is libcuda.so.1: once a test
 * has opened it by path, whoever asks for the driver gets it. */
#ifndef LATHE_TEST_RUNTIME_STUB_CUDA_H
#define LATHE_TEST_RUNTIME_STUB_CUDA_H

#include <stddef.h>
#include <stdint.h>

/* parameters: as cuLaunchKernel gets them. */
typedef void StubKernel(void *context, const char *entry, unsigned blocks, unsigned threads, unsigned shared, void **parameters);

typedef struct Stub {
    void (*reset)(void);                                /* everything as if freshly loaded; live objects are forgotten */
    void (*devices)(int count, int sm);                 /* 80: compute capability 8.0 */
    void (*memory)(size_t bytes);                       /* of a device; more is out of memory */
    void (*refuse)(int binaries, int texts);            /* not 0: the code that loading such an image gives */
    void (*run)(StubKernel *kernel, void *context);     /* what launches call */
    void (*fail)(int call, int code);                   /* the call-th call from now, from 1, answers with code; 0: none */
    int (*calls)(void);                                 /* counted ones so far */
    int (*live)(void);                                  /* allocations, modules, streams and retained contexts that were not given back */
    int (*depth)(void);                                 /* contexts that this thread has pushed and not popped */
    int (*launches)(void);
    size_t (*allocated)(void);                          /* bytes that live */
    const char *(*wrong)(void);                         /* what was wrong first, NULL: nothing */
    size_t (*reach)(const void *address);               /* bytes from there to the end of its allocation; 0: in none */
} Stub;

typedef const Stub *StubGet(void); /* exported as stub_get */

#endif
