/* The part of CUDA's driver interface that models use, declared by ourselves after its public documentation, and found at run time:
 * no header and no library of CUDA is needed to compile or link a model. */
#ifndef LATHE_RUNTIME_DRIVER_CUDA_H
#define LATHE_RUNTIME_DRIVER_CUDA_H

#include <stddef.h>
#include <stdint.h>

typedef int CuResult; /* 0: good */
typedef int CuDevice;
typedef uint64_t CuAddress;
typedef struct CuContextState *CuContext;
typedef struct CuModuleState *CuModule;
typedef struct CuFunctionState *CuFunction;
typedef struct CuStreamState *CuStream;

enum {
    CU_SUCCESS = 0,
    CU_OUT_OF_MEMORY = 2,
    CU_NOT_INITIALIZED = 3,
    CU_NO_DEVICE = 100,
    CU_INVALID_DEVICE = 101,
    CU_INVALID_IMAGE = 200,
    CU_NO_BINARY_FOR_GPU = 209,
    CU_INVALID_PTX = 218,
    CU_JIT_COMPILER_NOT_FOUND = 221,
    CU_UNSUPPORTED_PTX_VERSION = 222,
    CU_JIT_COMPILATION_DISABLED = 223,
    CU_SYSTEM_NOT_READY = 802,
    /* attributes of a device */
    CU_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_COMPUTE_CAPABILITY_MINOR = 76,
    /* attribute of a function */
    CU_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
    /* options of the compiler of texts */
    CU_JIT_ERROR_LOG_BUFFER = 5,
    CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
    CU_STREAM_NON_BLOCKING = 1,
};

/* CU(field, symbol, parameters): the functions, by the names under which libcuda.so.1 exports them. */
#define CU_FUNCTIONS                                                                                                                    \
    CU(init, "cuInit", (unsigned flags))                                                                                                \
    CU(driver_version, "cuDriverGetVersion", (int *version))                                                                            \
    CU(device_count, "cuDeviceGetCount", (int *count))                                                                                  \
    CU(device_get, "cuDeviceGet", (CuDevice *device, int ordinal))                                                                      \
    CU(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, CuDevice device))                                          \
    CU(context_retain, "cuDevicePrimaryCtxRetain", (CuContext *context, CuDevice device))                                               \
    CU(context_release, "cuDevicePrimaryCtxRelease_v2", (CuDevice device))                                                              \
    CU(context_push, "cuCtxPushCurrent_v2", (CuContext context))                                                                        \
    CU(context_pop, "cuCtxPopCurrent_v2", (CuContext *context))                                                                         \
    CU(module_load, "cuModuleLoadDataEx", (CuModule *module, const void *image, unsigned count, int *options, void **values))           \
    CU(module_unload, "cuModuleUnload", (CuModule module))                                                                              \
    CU(module_function, "cuModuleGetFunction", (CuFunction *function, CuModule module, const char *name))                               \
    CU(function_set, "cuFuncSetAttribute", (CuFunction function, int attribute, int value))                                             \
    CU(memory_alloc, "cuMemAlloc_v2", (CuAddress *address, size_t bytes))                                                               \
    CU(memory_free, "cuMemFree_v2", (CuAddress address))                                                                                \
    CU(copy_in, "cuMemcpyHtoDAsync_v2", (CuAddress to, const void *from, size_t bytes, CuStream stream))                                \
    CU(copy_out, "cuMemcpyDtoHAsync_v2", (void *to, CuAddress from, size_t bytes, CuStream stream))                                     \
    CU(copy_within, "cuMemcpyDtoDAsync_v2", (CuAddress to, CuAddress from, size_t bytes, CuStream stream))                              \
    CU(fill_words, "cuMemsetD32Async", (CuAddress to, unsigned value, size_t words, CuStream stream))                                   \
    CU(stream_create, "cuStreamCreate", (CuStream *stream, unsigned flags))                                                             \
    CU(stream_destroy, "cuStreamDestroy_v2", (CuStream stream))                                                                         \
    CU(stream_wait, "cuStreamSynchronize", (CuStream stream))                                                                           \
    CU(launch, "cuLaunchKernel", (CuFunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,             \
                                  unsigned block_y, unsigned block_z, unsigned shared, CuStream stream, void **parameters,              \
                                  void **extra))                                                                                        \
    CU(error_name, "cuGetErrorName", (CuResult error, const char **name))

typedef struct Driver {
#define CU(field, symbol, parameters) CuResult(*field) parameters;
    CU_FUNCTIONS
#undef CU
} Driver;

/* Finds the driver and starts it. LATHE_OK, or LATHE_E_DRIVER or LATHE_E_NO_DEVICE with a message. */
int driver_open(Driver *driver, char *message, size_t size);
const char *driver_error(const Driver *driver, CuResult result); /* "CUDA_ERROR_OUT_OF_MEMORY" */

#endif
