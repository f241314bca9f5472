/* lathe_model.h alone, in the strictest C99 and in C++, next to DLPack's header and copied twice as generated headers do. */
#ifdef WITH_DLPACK
/* The declarations of dlpack.h, as far as they could clash. */
#define DLPACK_DLPACK_H_
#include <stdint.h>
typedef struct { int32_t device_type, device_id; } DLDevice;
typedef struct { uint8_t code, bits; uint16_t lanes; } DLDataType;
typedef struct {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} DLTensor;
#endif
#include "../../runtime/lathe_model.h"
#include "../../runtime/lathe_model.h"

int use(const lathe_model_v1 *model, lathe_tensor *input, lathe_tensor *output);

int use(const lathe_model_v1 *model, lathe_tensor *input, lathe_tensor *output)
{
    int error = LATHE_OK;
    lathe_options options = {sizeof(lathe_options), 1, 0, NULL, NULL, NULL, NULL, 0, 0, 0, NULL, 0, 0, NULL};
    lathe_context *context = model->api->open(model, &options, &error);
    if (context == NULL)
        return error;
    error = model->api->run_dl(context, &input, 1, &output, 1);
#ifdef WITH_DLPACK
    {
        DLTensor *same = input;
        error += model->api->run_dl(context, &same, 1, &output, 1);
    }
#endif
    model->api->close(context);
    return error;
}
