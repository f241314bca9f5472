/* The function behind SortedRows of operators.custom. lathe_tensor comes with the header of every compiled model; it is DLPack's DLTensor. */
#include "model.h"

#include <string.h>

int sorted_rows(const lathe_tensor *inputs, int input_count, const lathe_tensor *outputs, int output_count, const double *values)
{
    if (input_count != 1 || output_count != 1)
        return 1;
    const int64_t rows = inputs[0].shape[0], columns = inputs[0].shape[1];
    const int descending = values[0] != 0;
    for (int64_t i = 0; i < rows; i++) {
        float *const row = (float *)outputs[0].data + i * columns;
        memcpy(row, (const float *)inputs[0].data + i * columns, (size_t)columns * sizeof *row);
        for (int64_t j = 1; j < columns; j++) {
            const float value = row[j];
            int64_t k = j;
            for (; k > 0 && (descending ? row[k - 1] < value : row[k - 1] > value); k--)
                row[k] = row[k - 1];
            row[k] = value;
        }
    }
    return 0;
}
