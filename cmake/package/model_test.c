/* The test that TEST_DATA of lathe_add_model makes: runs a linked model on input_<i>.npy of a folder and compares with
 * output_<i>.npy. Integers and booleans must be equal; floats may differ by 1e-4 (float16: 1e-2) of the element and of the largest
 * element of the tensor; NaN equals NaN.
 *
 * Compiled with -DMODEL_HEADER="name.h" -DMODEL=name_model. */
#include MODEL_HEADER

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANK_MOST = 32, HEADER_MOST = 65535, ELEMENTS_MOST = 1 << 28 };

/* What NumPy calls it, ONNX's number, DLPack's code, bytes. */
typedef struct Dtype {
    const char *descr;
    int onnx, code, bytes;
} Dtype;
static const Dtype dtypes[] = {
    {"<f4", 1, 2, 4}, {"|u1", 2, 1, 1}, {"|i1", 3, 0, 1}, {"<u2", 4, 1, 2},  {"<i2", 5, 0, 2},  {"<i4", 6, 0, 4},
    {"<i8", 7, 0, 8}, {"|b1", 9, 6, 1}, {"<f2", 10, 2, 2}, {"<f8", 11, 2, 8}, {"<u4", 12, 1, 4}, {"<u8", 13, 1, 8},
};

typedef struct Array {
    const Dtype *dtype;
    lathe_tensor tensor;
    int64_t shape[RANK_MOST];
    int64_t count;
} Array;

static const Dtype *dtype_find(const char *header)
{
    const char *const at = strstr(header, "'descr': '");
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes && at; i++)
        if (strncmp(at + 10, dtypes[i].descr, 3) == 0 && at[13] == '\'')
            return &dtypes[i];
    return NULL;
}

/* The tuple behind 'shape'. */
static int shape_read(Array *array, const char *header)
{
    const char *at = strstr(header, "'shape': (");
    if (!at)
        return 0;
    array->count = 1;
    array->tensor.ndim = 0;
    for (at += 10; *at != ')'; at += strspn(at, ", ")) {
        char *end;
        const long long extent = strtoll(at, &end, 10);
        if (end == at || extent < 0 || array->tensor.ndim == RANK_MOST || (extent && array->count > ELEMENTS_MOST / extent))
            return 0;
        array->shape[array->tensor.ndim++] = extent;
        array->count *= extent;
        at = end;
    }
    return 1;
}

static int array_allocate(Array *array)
{
    array->tensor.device.device_type = 1;
    array->tensor.dtype.code = (uint8_t)array->dtype->code;
    array->tensor.dtype.bits = (uint8_t)(array->dtype->bytes * 8);
    array->tensor.dtype.lanes = 1;
    array->tensor.shape = array->shape;
    array->tensor.data = calloc((size_t)array->count + 1, (size_t)array->dtype->bytes);
    return array->tensor.data != NULL;
}

static int array_read_from(Array *array, FILE *file)
{
    static char header[HEADER_MOST + 1];
    unsigned char start[12] = {0};
    if (fread(start, 1, 10, file) != 10 || memcmp(start, "\x93NUMPY", 6) != 0 || start[6] < 1)
        return 0;
    if (start[6] > 1 && (fread(start + 10, 1, 2, file) != 2 || start[10] || start[11]))
        return 0;
    const size_t length = start[8] | (size_t)start[9] << 8;
    if (fread(header, 1, length, file) != length)
        return 0;
    header[length] = 0;
    array->dtype = dtype_find(header);
    return array->dtype && strstr(header, "'fortran_order': False") && shape_read(array, header) && array_allocate(array) &&
           fread(array->tensor.data, (size_t)array->dtype->bytes, (size_t)array->count, file) == (size_t)array->count;
}

static int array_read(Array *array, const char *folder, const char *kind, int number)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s_%d.npy", folder, kind, number);
    FILE *const file = fopen(path, "rb");
    const int good = file && array_read_from(array, file);
    if (file)
        fclose(file);
    if (!good)
        fprintf(stderr, "%s: %s\n", path, file ? "not an array of numbers in row-major order" : "cannot be read");
    return good;
}

static double half(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double sign = bits >> 15 ? -1 : 1;
    if (exponent == 31)
        return fraction ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static double element(const Array *array, int64_t i)
{
    const void *const data = array->tensor.data;
    return array->dtype->bytes == 4 ? ((const float *)data)[i] : array->dtype->bytes == 8 ? ((const double *)data)[i] : half(((const uint16_t *)data)[i]);
}

static int same(const Array *wanted, const Array *got, const char *name)
{
    if (got->tensor.ndim != wanted->tensor.ndim || memcmp(got->shape, wanted->shape, sizeof(int64_t) * (size_t)got->tensor.ndim) != 0 ||
        got->dtype != wanted->dtype) {
        fprintf(stderr, "%s: another type or shape than expected\n", name);
        return 0;
    }
    const int floats = wanted->dtype->code == 2;
    const double tolerance = wanted->dtype->bytes == 2 ? 1e-2 : 1e-4;
    double largest = 0;
    for (int64_t i = 0; floats && i < wanted->count; i++)
        if (isfinite(element(wanted, i)))
            largest = fmax(largest, fabs(element(wanted, i)));
    for (int64_t i = 0; i < wanted->count; i++) {
        const size_t bytes = (size_t)wanted->dtype->bytes;
        if (memcmp((char *)wanted->tensor.data + (size_t)i * bytes, (char *)got->tensor.data + (size_t)i * bytes, bytes) == 0)
            continue;
        const double a = floats ? element(wanted, i) : 0, b = floats ? element(got, i) : 0;
        if (floats && ((isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * (largest + fabs(a))))
            continue;
        fprintf(stderr, "%s: element %lld differs", name, (long long)i);
        fprintf(stderr, floats ? ": %.9g, expected %.9g\n" : "\n", b, a);
        return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    const lathe_model_v1 *const model = &MODEL;
    const int inputs = (int)model->input_count, outputs = (int)model->output_count;
    Array *const arrays = calloc((size_t)(inputs + 2 * outputs), sizeof *arrays), *const got = arrays + inputs, *const wanted = got + outputs;
    lathe_tensor **const tensors = calloc((size_t)(inputs + outputs), sizeof *tensors);
    if (argc != 2 || !arrays || !tensors)
        return 2;
    for (int i = 0; i < inputs; i++) {
        if (!array_read(&arrays[i], argv[1], "input", i))
            return 2;
        tensors[i] = &arrays[i].tensor;
    }
    for (int i = 0; i < outputs; i++) {
        if (!array_read(&wanted[i], argv[1], "output", i))
            return 2;
        got[i] = wanted[i];
        if (model->outputs[i].dtype != wanted[i].dtype->onnx || model->outputs[i].rank != wanted[i].tensor.ndim) {
            fprintf(stderr, "output_%d.npy: type or rank is not that of output %s\n", i, model->outputs[i].name);
            return 1;
        }
        got[i].tensor.shape = got[i].shape;
        tensors[inputs + i] = &got[i].tensor;
    }
    int code;
    lathe_context *const context = model->api->open(model, NULL, &code);
    if (!context) {
        fprintf(stderr, "%s: %s\n", model->name, model->api->code_text(code));
        return 1;
    }
    code = model->api->output_dims_dl(context, tensors, inputs, tensors + inputs, outputs);
    int good = code == LATHE_OK;
    for (int i = 0; i < outputs && good; i++) {
        got[i].count = 1;
        for (int j = 0; j < got[i].tensor.ndim; j++)
            good = (got[i].count *= got[i].shape[j]) <= ELEMENTS_MOST && good;
        good = good && array_allocate(&got[i]);
    }
    if (good)
        code = model->api->run_dl(context, tensors, inputs, tensors + inputs, outputs);
    if (code != LATHE_OK)
        fprintf(stderr, "%s: %s\n", model->name, model->api->error_text(context));
    good = good && code == LATHE_OK;
    for (int i = 0; i < outputs && good; i++)
        good = same(&wanted[i], &got[i], model->outputs[i].name);
    model->api->close(context);
    printf("%s: %s\n", model->name, good ? "the outputs are as expected" : "FAILED");
    return good ? 0 : 1;
}
