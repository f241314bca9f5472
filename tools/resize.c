/* Scaling of images: a separable triangle filter, first along rows, then along columns. See image.h. */
#include "tools/image.h"

#include <math.h>

/* The part of the input that one output position sees, and the weight that falls off linearly from its centre. */
typedef struct Window {
    int first, last; /* inclusive */
    double centre, support;
} Window;

static Window window_of(int position, int size, int in_size)
{
    const double scale = (double)in_size / size;
    Window window = {.centre = (position + 0.5) * scale - 0.5, .support = scale > 1 ? scale : 1};
    const int first = (int)floor(window.centre - window.support) + 1;
    const int last = (int)ceil(window.centre + window.support) - 1;
    window.first = first < 0 ? 0 : first;
    window.last = last > in_size - 1 ? in_size - 1 : last;
    return window;
}

static double weight_of(const Window *window, int position)
{
    const double distance = fabs(position - window->centre) / window->support;
    return distance < 1 ? 1 - distance : 0;
}

/* Weights are divided by their sum: at the borders the window is cut. */
static void resize_rows(float *out, int width, const uint8_t *in, int stride, int in_width, int rows)
{
    for (int x = 0; x < width; x++) {
        const Window window = window_of(x, width, in_width);
        double total = 0;
        for (int i = window.first; i <= window.last; i++)
            total += weight_of(&window, i);
        for (int y = 0; y < rows; y++) {
            const uint8_t *const row = in + (size_t)y * (size_t)in_width * (size_t)stride;
            double sum = 0;
            for (int i = window.first; i <= window.last; i++)
                sum += weight_of(&window, i) * row[(size_t)i * (size_t)stride];
            out[(size_t)y * (size_t)width + (size_t)x] = (float)(sum / total);
        }
    }
}

static void resize_columns(float *out, int width, int height, const float *in, int in_height)
{
    for (int y = 0; y < height; y++) {
        const Window window = window_of(y, height, in_height);
        double total = 0;
        for (int i = window.first; i <= window.last; i++)
            total += weight_of(&window, i);
        for (int x = 0; x < width; x++) {
            double sum = 0;
            for (int i = window.first; i <= window.last; i++)
                sum += weight_of(&window, i) * (double)in[(size_t)i * (size_t)width + (size_t)x];
            out[(size_t)y * (size_t)width + (size_t)x] = (float)(sum / total);
        }
    }
}

size_t resize_scratch(int width, int in_height)
{
    return (size_t)width * (size_t)in_height;
}

void resize_channel(float *out, int width, int height, const uint8_t *in, int stride, int in_width, int in_height,
                    float *scratch)
{
    resize_rows(scratch, width, in, stride, in_width, in_height);
    resize_columns(out, width, height, scratch, in_height);
}
