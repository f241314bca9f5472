/* Images to tensors: decode, scale to the size that the model wants, (pixel - mean) * scale, in the model's layout and
 * type.
 *
 * Layout: rank 4 is NCHW when dimension 1 has 1 or 3 channels or is unknown, else NHWC when dimension 3 has; rank 3 is
 * the same without N; rank 2 is a grey image. Unknown height and width are those of the file. Grey is ITU-R 601 luma.
 */
#include "tools/image.h"

#include <string.h>

const HostImageOptions host_image_plain = {.scale = {1, 1, 1}};

typedef struct Layout {
    int rank;
    int64_t height, width; /* -1: as the image */
    int channels;
    bool channels_last;
} Layout;

static bool is_channels(int64_t dim)
{
    return dim == 1 || dim == 3;
}

static bool layout_of(Layout *layout, const Source *source, const HostSpec *spec)
{
    *layout = (Layout){.rank = 4, .height = -1, .width = -1, .channels = 3};
    if (!spec || spec->rank < 0)
        return true;
    layout->rank = spec->rank;
    const char *const shape = host_shape_text(source->arena, spec->dtype, spec->rank, spec->dims);
    if (spec->rank < 2 || spec->rank > 4 || (spec->rank == 4 && spec->dims[0] > 1) ||
        (spec->rank == 4 && spec->dims[0] == 0))
        return source_error(source, "is one image, but the model wants %s", shape);
    if (spec->rank == 2) {
        layout->channels = 1;
        layout->height = spec->dims[0];
        layout->width = spec->dims[1];
        return true;
    }
    const int64_t *const dims = spec->dims + spec->rank - 3;
    layout->channels_last = !is_channels(dims[0]) && is_channels(dims[2]);
    const int64_t channels = dims[layout->channels_last ? 2 : 0];
    if (channels >= 0 && !is_channels(channels))
        return source_error(source, "has 1 or 3 channels, but the model wants %s", shape);
    layout->channels = channels < 0 ? 3 : (int)channels;
    layout->height = dims[layout->channels_last ? 0 : 1];
    layout->width = dims[layout->channels_last ? 1 : 2];
    return true;
}

/* Overwrites the first byte of each pixel by the luma 0.299 R + 0.587 G + 0.114 B, in 16-bit fixed point. */
static void image_to_grey(Image *image)
{
    const size_t pixels = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < pixels; i++) {
        uint8_t *const pixel = image->pixels + i * 3;
        pixel[0] = (uint8_t)((pixel[0] * 19595u + pixel[1] * 38470u + pixel[2] * 7471u + 0x8000) >> 16);
    }
}

static void channel_store(HostTensor *tensor, const float *values, const Layout *layout, int channel,
                          const HostImageOptions *options)
{
    const int64_t count = tensor->count / layout->channels;
    for (int64_t i = 0; i < count; i++) {
        const double value = ((double)values[i] - options->mean[channel]) * options->scale[channel];
        host_element_set(tensor, layout->channels_last ? i * layout->channels + channel : channel * count + i, value);
    }
}

bool image_read(HostTensor *tensor, const Source *source, const HostSpec *spec, const HostImageOptions *options)
{
    const int dtype = spec && spec->dtype > 0 ? spec->dtype : ONNX_FLOAT;
    const HostDtype *const type = host_dtype(dtype);
    if (!type || (type->class != HOST_CLASS_FLOAT && type->bits != 8) || type->class == HOST_CLASS_BOOL)
        return source_error(source, "is an image, but the model wants %s", type ? type->name : "an unknown type");
    Layout layout;
    Image image;
    const bool png = source->size >= 4 && memcmp(source->bytes, "\x89PNG", 4) == 0;
    if (!layout_of(&layout, source, spec) || !(png ? png_decode(&image, source) : jpeg_decode(&image, source)))
        return false;
    const int64_t height = layout.height < 0 ? image.height : layout.height;
    const int64_t width = layout.width < 0 ? image.width : layout.width;
    if (height < 1 || width < 1 || height > IMAGE_SIDE_MOST || width > IMAGE_SIDE_MOST ||
        height * width > IMAGE_PIXELS_MOST)
        return source_error(source, "cannot be scaled to %lld x %lld pixels", (long long)width, (long long)height);
    const int64_t planes[] = {1, layout.channels, height, width};
    const int64_t pixels[] = {1, height, width, layout.channels};
    const int64_t *const dims = layout.rank == 2 || !layout.channels_last ? planes : pixels;
    if (!host_tensor_make(tensor, source, dtype, layout.rank, dims + 4 - layout.rank))
        return false;
    if (layout.channels == 1)
        image_to_grey(&image);
    float *const scratch = NEW_ARRAY(source->arena, float, resize_scratch((int)width, image.height));
    float *const scaled = NEW_ARRAY(source->arena, float, (size_t)(height * width));
    for (int channel = 0; channel < layout.channels; channel++) {
        const int from = layout.channels == 3 && options->bgr ? 2 - channel : channel;
        resize_channel(scaled, (int)width, (int)height, image.pixels + from, 3, image.width, image.height, scratch);
        channel_store(tensor, scaled, &layout, channel, options);
    }
    return true;
}
