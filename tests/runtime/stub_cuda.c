/* See stub_cuda.h. One lock around everything: the tests' own threads call at the same time. */
#include "stub_cuda.h"

#include "runtime/driver_cuda.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { OBJECTS = 4096, DEPTH = 16, DEVICES = 8, ALIGNMENT = 256, CU_INVALID_VALUE = 1, CU_INVALID_CONTEXT = 201, CU_INVALID_HANDLE = 400,
       CU_NOT_FOUND = 500, CU_LAUNCH_FAILED = 719 };

typedef enum Kind { NOTHING, MEMORY, MODULE, FUNCTION, STREAM } Kind;

typedef struct Object {
    Kind kind;
    int device;
    char *data; /* MEMORY */
    size_t bytes;
    char entry[120]; /* FUNCTION */
    int module;
    int shared_most;
} Object;

static struct {
    pthread_mutex_t lock;
    Object objects[OBJECTS];
    int object_count, retained[DEVICES];
    int device_count, sm, started, calls, launches, fail_at, fail_code, refuse_binary, refuse_text;
    size_t memory_most, allocated;
    StubKernel *kernel;
    void *kernel_context;
    char wrong[300];
} stub = {.lock = PTHREAD_MUTEX_INITIALIZER, .device_count = 1, .sm = 80, .memory_most = (size_t)1 << 32};

static __thread int stack[DEPTH]; /* devices of contexts, as 1 + number */
static __thread int depth;

/* --- what is wrong ---------------------------------------------------------------------------------------------------------- */

static CuResult wrong(CuResult result, const char *function, const char *what)
{
    if (stub.wrong[0] == '\0')
        snprintf(stub.wrong, sizeof stub.wrong, "%s: %s", function, what);
    return result;
}

/* Takes the lock; not 0: the planted failure, or a rule of all calls is broken. */
static CuResult begin(const char *function, int needs_context)
{
    pthread_mutex_lock(&stub.lock);
    stub.calls++;
    if (stub.fail_at > 0 && --stub.fail_at == 0)
        return stub.fail_code;
    if (!stub.started && strcmp(function, "cuInit") != 0 && strcmp(function, "cuDriverGetVersion") != 0)
        return wrong(CU_NOT_INITIALIZED, function, "called before cuInit");
    if (needs_context && depth == 0)
        return wrong(CU_INVALID_CONTEXT, function, "no context is current");
    return CU_SUCCESS;
}

static CuResult end(CuResult result)
{
    pthread_mutex_unlock(&stub.lock);
    return result;
}

static Object *object_new(Kind kind)
{
    if (stub.object_count == OBJECTS) {
        fprintf(stderr, "stub: too many objects\n");
        abort();
    }
    Object *object = &stub.objects[stub.object_count++];
    *object = (Object){.kind = kind, .device = depth > 0 ? stack[depth - 1] : 0};
    return object;
}

/* Handles are numbers of objects, from 1, in the place of pointers. */
static void *handle_of(const Object *object)
{
    return (void *)(uintptr_t)(object - stub.objects + 1);
}

static Object *object_of(const void *handle, Kind kind)
{
    const uintptr_t number = (uintptr_t)handle;
    if (number < 1 || number > (uintptr_t)stub.object_count || stub.objects[number - 1].kind != kind)
        return NULL;
    return &stub.objects[number - 1];
}

static Object *memory_at(CuAddress address, size_t bytes)
{
    for (int i = 0; i < stub.object_count; i++) {
        Object *object = &stub.objects[i];
        const CuAddress first = (CuAddress)(uintptr_t)object->data;
        if (object->kind == MEMORY && address >= first && address - first <= object->bytes && bytes <= object->bytes - (address - first))
            return object;
    }
    return NULL;
}

/* The stream and ranges of a copy; device addresses are host addresses. */
static CuResult check_copy(const char *function, CuAddress a, CuAddress b, size_t bytes, CuStream stream)
{
    if (stream != NULL && object_of(stream, STREAM) == NULL)
        return wrong(CU_INVALID_HANDLE, function, "no such stream");
    if ((a != 0 && memory_at(a, bytes) == NULL) || (b != 0 && memory_at(b, bytes) == NULL))
        return wrong(CU_INVALID_VALUE, function, "the range is not inside one allocation");
    return CU_SUCCESS;
}

/* --- the driver ------------------------------------------------------------------------------------------------------------- */

EXPORT CuResult cuInit(unsigned flags)
{
    CuResult result = begin("cuInit", 0);
    if (result == CU_SUCCESS && flags != 0)
        result = wrong(CU_INVALID_VALUE, "cuInit", "flags are not 0");
    if (result == CU_SUCCESS && stub.device_count == 0)
        result = CU_NO_DEVICE;
    stub.started = stub.started || result == CU_SUCCESS;
    return end(result);
}

EXPORT CuResult cuDriverGetVersion(int *version)
{
    *version = 13000;
    return CU_SUCCESS;
}

EXPORT CuResult cuDeviceGetCount(int *count)
{
    const CuResult result = begin("cuDeviceGetCount", 0);
    *count = stub.device_count;
    return end(result);
}

static CuResult check_device(const char *function, CuDevice device)
{
    return device >= 0 && device < stub.device_count ? CU_SUCCESS : wrong(CU_INVALID_DEVICE, function, "no such device");
}

EXPORT CuResult cuDeviceGet(CuDevice *device, int ordinal)
{
    CuResult result = begin("cuDeviceGet", 0);
    if (result == CU_SUCCESS)
        result = check_device("cuDeviceGet", ordinal);
    *device = ordinal;
    return end(result);
}

EXPORT CuResult cuDeviceGetAttribute(int *value, int attribute, CuDevice device)
{
    CuResult result = begin("cuDeviceGetAttribute", 0);
    if (result == CU_SUCCESS)
        result = check_device("cuDeviceGetAttribute", device);
    *value = attribute == CU_COMPUTE_CAPABILITY_MAJOR ? stub.sm / 10 : attribute == CU_COMPUTE_CAPABILITY_MINOR ? stub.sm % 10 : -1;
    return end(result);
}

EXPORT CuResult cuDevicePrimaryCtxRetain(CuContext *context, CuDevice device)
{
    CuResult result = begin("cuDevicePrimaryCtxRetain", 0);
    if (result == CU_SUCCESS)
        result = check_device("cuDevicePrimaryCtxRetain", device);
    if (result == CU_SUCCESS) {
        stub.retained[device]++;
        *context = (CuContext)(uintptr_t)(device + 1);
    }
    return end(result);
}

EXPORT CuResult cuDevicePrimaryCtxRelease_v2(CuDevice device)
{
    CuResult result = begin("cuDevicePrimaryCtxRelease", 0);
    if (check_device("cuDevicePrimaryCtxRelease", device) == CU_SUCCESS && stub.retained[device]-- <= 0)
        result = wrong(CU_INVALID_CONTEXT, "cuDevicePrimaryCtxRelease", "released more often than retained");
    return end(result);
}

EXPORT CuResult cuCtxPushCurrent_v2(CuContext context)
{
    CuResult result = begin("cuCtxPushCurrent", 0);
    const uintptr_t number = (uintptr_t)context;
    if (result == CU_SUCCESS && (number < 1 || number > DEVICES || stub.retained[number - 1] <= 0))
        result = wrong(CU_INVALID_CONTEXT, "cuCtxPushCurrent", "the context is not retained");
    if (result == CU_SUCCESS && depth < DEPTH)
        stack[depth++] = (int)number;
    return end(result);
}

EXPORT CuResult cuCtxPopCurrent_v2(CuContext *context)
{
    CuResult result = begin("cuCtxPopCurrent", 1);
    if (depth > 0)
        *context = (CuContext)(uintptr_t)stack[--depth];
    return end(result);
}

EXPORT CuResult cuModuleLoadDataEx(CuModule *module, const void *image, unsigned count, int *options, void **values)
{
    CuResult result = begin("cuModuleLoadDataEx", 1);
    const int is_text = image != NULL && memcmp(image, "//", 2) == 0;
    const CuResult refused = is_text ? stub.refuse_text : stub.refuse_binary;
    if (result == CU_SUCCESS && image == NULL)
        result = wrong(CU_INVALID_IMAGE, "cuModuleLoadDataEx", "no image");
    if (result == CU_SUCCESS && refused != CU_SUCCESS) {
        for (unsigned i = 0; i < count; i++)
            if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
                strcpy(values[i], "stub: refused");
        result = refused;
    }
    if (result == CU_SUCCESS)
        *module = handle_of(object_new(MODULE));
    return end(result);
}

EXPORT CuResult cuModuleUnload(CuModule module)
{
    CuResult result = begin("cuModuleUnload", 1);
    Object *object = object_of(module, MODULE);
    if (object == NULL)
        return end(wrong(CU_INVALID_HANDLE, "cuModuleUnload", "no such module"));
    for (int i = 0; i < stub.object_count; i++)
        if (stub.objects[i].kind == FUNCTION && stub.objects[i].module == object - stub.objects)
            stub.objects[i].kind = NOTHING;
    object->kind = NOTHING;
    return end(result);
}

EXPORT CuResult cuModuleGetFunction(CuFunction *function, CuModule module, const char *name)
{
    CuResult result = begin("cuModuleGetFunction", 1);
    const Object *owner = object_of(module, MODULE);
    if (result == CU_SUCCESS && owner == NULL)
        result = wrong(CU_INVALID_HANDLE, "cuModuleGetFunction", "no such module");
    if (result == CU_SUCCESS) {
        Object *object = object_new(FUNCTION);
        object->module = (int)(owner - stub.objects);
        object->shared_most = 48 << 10;
        snprintf(object->entry, sizeof object->entry, "%s", name);
        *function = handle_of(object);
    }
    return end(result);
}

EXPORT CuResult cuFuncSetAttribute(CuFunction function, int attribute, int value)
{
    CuResult result = begin("cuFuncSetAttribute", 1);
    Object *object = object_of(function, FUNCTION);
    if (result == CU_SUCCESS && (object == NULL || attribute != CU_MAX_DYNAMIC_SHARED_SIZE_BYTES))
        result = wrong(CU_INVALID_VALUE, "cuFuncSetAttribute", "no such function or attribute");
    if (result == CU_SUCCESS)
        object->shared_most = value;
    return end(result);
}

EXPORT CuResult cuMemAlloc_v2(CuAddress *address, size_t bytes)
{
    CuResult result = begin("cuMemAlloc", 1);
    if (result == CU_SUCCESS && bytes == 0)
        result = wrong(CU_INVALID_VALUE, "cuMemAlloc", "no bytes are asked for");
    if (result == CU_SUCCESS && bytes > stub.memory_most - stub.allocated)
        result = CU_OUT_OF_MEMORY;
    if (result == CU_SUCCESS) {
        Object *object = object_new(MEMORY);
        object->bytes = bytes;
        if (posix_memalign((void **)&object->data, ALIGNMENT, bytes) != 0)
            abort();
        memset(object->data, 0xa5, bytes); /* a device's memory is not zero */
        stub.allocated += bytes;
        *address = (CuAddress)(uintptr_t)object->data;
    }
    return end(result);
}

EXPORT CuResult cuMemFree_v2(CuAddress address)
{
    CuResult result = begin("cuMemFree", 1);
    Object *object = memory_at(address, 0);
    if (object == NULL || (CuAddress)(uintptr_t)object->data != address || object->device != stack[depth > 0 ? depth - 1 : 0])
        return end(wrong(CU_INVALID_VALUE, "cuMemFree", "not the start of an allocation of the current context"));
    stub.allocated -= object->bytes;
    free(object->data);
    object->kind = NOTHING;
    return end(result);
}

EXPORT CuResult cuMemcpyHtoDAsync_v2(CuAddress to, const void *from, size_t bytes, CuStream stream)
{
    CuResult result = begin("cuMemcpyHtoDAsync", 1);
    if (result == CU_SUCCESS)
        result = check_copy("cuMemcpyHtoDAsync", to, 0, bytes, stream);
    if (result == CU_SUCCESS)
        memcpy((void *)(uintptr_t)to, from, bytes);
    return end(result);
}

EXPORT CuResult cuMemcpyDtoHAsync_v2(void *to, CuAddress from, size_t bytes, CuStream stream)
{
    CuResult result = begin("cuMemcpyDtoHAsync", 1);
    if (result == CU_SUCCESS)
        result = check_copy("cuMemcpyDtoHAsync", from, 0, bytes, stream);
    if (result == CU_SUCCESS)
        memcpy(to, (const void *)(uintptr_t)from, bytes);
    return end(result);
}

EXPORT CuResult cuMemcpyDtoDAsync_v2(CuAddress to, CuAddress from, size_t bytes, CuStream stream)
{
    CuResult result = begin("cuMemcpyDtoDAsync", 1);
    if (result == CU_SUCCESS)
        result = check_copy("cuMemcpyDtoDAsync", to, from, bytes, stream);
    if (result == CU_SUCCESS)
        memmove((void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes);
    return end(result);
}

EXPORT CuResult cuMemsetD32Async(CuAddress to, unsigned value, size_t words, CuStream stream)
{
    CuResult result = begin("cuMemsetD32Async", 1);
    if (result == CU_SUCCESS)
        result = check_copy("cuMemsetD32Async", to, 0, words * sizeof value, stream);
    for (size_t i = 0; i < words && result == CU_SUCCESS; i++)
        memcpy((char *)(uintptr_t)to + i * sizeof value, &value, sizeof value);
    return end(result);
}

EXPORT CuResult cuStreamCreate(CuStream *stream, unsigned flags)
{
    CuResult result = begin("cuStreamCreate", 1);
    (void)flags;
    if (result == CU_SUCCESS)
        *stream = handle_of(object_new(STREAM));
    return end(result);
}

EXPORT CuResult cuStreamDestroy_v2(CuStream stream)
{
    CuResult result = begin("cuStreamDestroy", 1);
    Object *object = object_of(stream, STREAM);
    if (object == NULL)
        return end(wrong(CU_INVALID_HANDLE, "cuStreamDestroy", "no such stream"));
    object->kind = NOTHING;
    return end(result);
}

EXPORT CuResult cuStreamSynchronize(CuStream stream)
{
    CuResult result = begin("cuStreamSynchronize", 1);
    if (result == CU_SUCCESS && stream != NULL && object_of(stream, STREAM) == NULL)
        result = wrong(CU_INVALID_HANDLE, "cuStreamSynchronize", "no such stream");
    return end(result);
}

EXPORT CuResult cuLaunchKernel(CuFunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                               unsigned block_z, unsigned shared, CuStream stream, void **parameters, void **extra)
{
    CuResult result = begin("cuLaunchKernel", 1);
    Object *object = object_of(function, FUNCTION);
    if (result == CU_SUCCESS && (object == NULL || extra != NULL || (stream != NULL && object_of(stream, STREAM) == NULL)))
        result = wrong(CU_INVALID_HANDLE, "cuLaunchKernel", "no such function or stream");
    if (result == CU_SUCCESS && (grid_x == 0 || grid_y != 1 || grid_z != 1 || block_x == 0 || block_x > 1024 || block_y != 1 || block_z != 1))
        result = wrong(CU_INVALID_VALUE, "cuLaunchKernel", "the grid or the block has a size that cannot be");
    if (result == CU_SUCCESS && shared > (unsigned)object->shared_most)
        result = wrong(CU_INVALID_VALUE, "cuLaunchKernel", "more shared memory than was asked for");
    if (result == CU_SUCCESS && stub.kernel == NULL)
        result = wrong(CU_NOT_FOUND, "cuLaunchKernel", "the test has registered no kernels");
    if (result != CU_SUCCESS)
        return end(result);
    stub.launches++;
    end(result);
    stub.kernel(stub.kernel_context, object->entry, grid_x, block_x, shared, parameters);
    return CU_SUCCESS;
}

EXPORT CuResult cuGetErrorName(CuResult error, const char **name)
{
    *name = error == CU_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_STUB";
    return CU_SUCCESS;
}

/* --- the test's side -------------------------------------------------------------------------------------------------------- */

static void stub_reset(void)
{
    pthread_mutex_lock(&stub.lock);
    for (int i = 0; i < stub.object_count; i++)
        if (stub.objects[i].kind == MEMORY)
            free(stub.objects[i].data);
    stub.object_count = stub.started = stub.calls = stub.launches = stub.fail_at = stub.refuse_binary = stub.refuse_text = 0;
    memset(stub.retained, 0, sizeof stub.retained);
    stub.device_count = 1;
    stub.sm = 80;
    stub.memory_most = (size_t)1 << 32;
    stub.allocated = 0;
    stub.wrong[0] = '\0';
    depth = 0;
    pthread_mutex_unlock(&stub.lock);
}

static void stub_devices(int count, int sm)
{
    stub.device_count = count;
    stub.sm = sm;
}

static void stub_memory(size_t bytes)
{
    stub.memory_most = bytes;
}

static void stub_refuse(int binaries, int texts)
{
    stub.refuse_binary = binaries;
    stub.refuse_text = texts;
}

static void stub_run(StubKernel *kernel, void *context)
{
    stub.kernel = kernel;
    stub.kernel_context = context;
}

static void stub_fail(int call, int code)
{
    stub.fail_at = call;
    stub.fail_code = code;
}

static int stub_calls(void)
{
    return stub.calls;
}

static int stub_live(void)
{
    int live = 0;
    for (int i = 0; i < stub.object_count; i++)
        live += stub.objects[i].kind == MEMORY || stub.objects[i].kind == MODULE || stub.objects[i].kind == STREAM;
    for (int i = 0; i < DEVICES; i++)
        live += stub.retained[i];
    return live;
}

static int stub_depth(void)
{
    return depth;
}

static int stub_launches(void)
{
    return stub.launches;
}

static size_t stub_allocated(void)
{
    return stub.allocated;
}

static const char *stub_wrong(void)
{
    return stub.wrong[0] != '\0' ? stub.wrong : NULL;
}

static size_t stub_reach(const void *address)
{
    pthread_mutex_lock(&stub.lock);
    const CuAddress at = (CuAddress)(uintptr_t)address;
    const Object *object = memory_at(at, 0);
    const size_t reach = object != NULL ? object->bytes - (size_t)(at - (CuAddress)(uintptr_t)object->data) : 0;
    pthread_mutex_unlock(&stub.lock);
    return reach;
}

EXPORT const Stub *stub_get(void);
EXPORT const Stub *stub_get(void)
{
    static const Stub functions = {stub_reset, stub_devices, stub_memory, stub_refuse, stub_run, stub_fail, stub_calls,
                                   stub_live, stub_depth, stub_launches, stub_allocated, stub_wrong, stub_reach};
    return &functions;
}
