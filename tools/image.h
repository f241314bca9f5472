/* Images between decoder and tensor. */
#ifndef LATHE_TOOLS_IMAGE_H
#define LATHE_TOOLS_IMAGE_H

#include "tools/tensorfile.h"

enum { IMAGE_PIXELS_MOST = 64 << 20, IMAGE_SIDE_MOST = 1 << 16 };

typedef struct Image {
    int width, height;
    uint8_t *pixels; /* R, G, B, row by row; owned by the source's arena */
} Image;

bool png_decode(Image *image, const Source *source);
bool jpeg_decode(Image *image, const Source *source);

/* Scales one channel, `in` with `stride` bytes from one element to the next, to width x height floats.
 * Bilinear with half-pixel centres; where it shrinks, the triangle is as wide as the step, so that nothing is skipped.
 */
void resize_channel(float *out, int width, int height, const uint8_t *in, int stride, int in_width, int in_height,
                    float *scratch);
/* Elements of `scratch`. */
size_t resize_scratch(int width, int in_height);

#endif
