/* A model on one GPU: what all its contexts there share. */
#ifndef LATHE_RUNTIME_MODEL_CUDA_H
#define LATHE_RUNTIME_MODEL_CUDA_H

#include "runtime/driver_cuda.h"
#include "runtime/internal.h"

typedef struct Kernel {
    CuModule module;
    CuFunction function;
} Kernel;

typedef struct DeviceModel {
    struct DeviceModel *next; /* of another device */
    int references;
    int process;              /* that made it: a driver does not survive a fork */
    int32_t ordinal;
    Driver driver;
    CuDevice device;
    CuContext context;        /* the primary one, which other code of the process uses too */
    uint32_t level;           /* index into program->levels */
    CuAddress weights;
    Kernel kernels[];         /* program->kernel_count */
} DeviceModel;

/* The model on that device, made by the first that asks. NULL: *code and context's text. */
DeviceModel *device_model_acquire(Context *context, int32_t ordinal, int *code);
void device_model_release(Context *context, DeviceModel *model);

/* LATHE_OK, or the code for what the driver answered, with a text: "the GPU has no memory for ...". */
int device_result(Context *context, const DeviceModel *model, CuResult result, const char *what);

#endif
