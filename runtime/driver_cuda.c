/* Opening CUDA's driver, which need not be there. It is never closed: other code of the process may use it. */
#include "runtime/driver_cuda.h"
#include "runtime/internal.h"
#include "runtime/libc.h"

static const char library[] = "libcuda.so.1";

static const char *const symbols[] = {
#define CU(field, symbol, parameters) symbol,
    CU_FUNCTIONS
#undef CU
};
enum { SYMBOLS = sizeof symbols / sizeof symbols[0] };
_Static_assert(sizeof(Driver) == SYMBOLS * sizeof(void *), "the driver's functions are found as an array");

const char *driver_error(const Driver *driver, CuResult result)
{
    const char *name = NULL;
    return driver->error_name(result, &name) == CU_SUCCESS && name != NULL ? name : "an unknown error";
}

static int driver_start(const Driver *driver, char *message, size_t size)
{
    const CuResult result = driver->init(0);
    if (result == CU_SUCCESS)
        return LATHE_OK;
    text_format(message, size, "the CUDA driver does not start: %s (%i)", driver_error(driver, result), (int64_t)result);
    return result == CU_NO_DEVICE ? LATHE_E_NO_DEVICE : LATHE_E_DRIVER;
}

int driver_open(Driver *driver, char *message, size_t size)
{
    void *handle = dlopen(library, LIBC_BIND_NOW);
    if (handle == NULL) {
        text_format(message, size, "no CUDA driver: %s cannot be opened", library);
        return LATHE_E_DRIVER;
    }
    for (int i = 0; i < SYMBOLS; i++) {
        void *function = dlsym(handle, symbols[i]);
        if (function == NULL) {
            text_format(message, size, "the CUDA driver is too old: %s has no %s", library, symbols[i]);
            return LATHE_E_DRIVER;
        }
        memcpy((char *)driver + (size_t)i * sizeof function, &function, sizeof function);
    }
    return driver_start(driver, message, size);
}
