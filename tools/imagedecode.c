/* PNG and JPEG to 8-bit RGB through libpng and libjpeg. Alpha and colour profiles are ignored, 16 bits are cut to 8.
 *
 * Both libraries report errors by a callback that must not return: it jumps back here, and becomes a diagnostic.
 * Everything that changes between setjmp and the jump stands in a struct, never in a local variable. */
#include "tools/image.h"

#include <jpeglib.h>
#include <png.h>
#include <setjmp.h>
#include <string.h>

enum { MESSAGE_SIZE = JMSG_LENGTH_MAX, CHUNK_MOST = 8 << 20, JPEG_SCANS_MOST = 500 };

static bool size_check(const Source *source, uint64_t width, uint64_t height)
{
    const bool good = width > 0 && height > 0 && width <= IMAGE_SIDE_MOST && height <= IMAGE_SIDE_MOST &&
                      width * height <= IMAGE_PIXELS_MOST;
    return good || diag_error(source->diagnostics, width && height ? EXIT_LIMIT : EXIT_MALFORMED, &source->where,
                              "is an image of %llu x %llu pixels, but at most %d in all are read",
                              (unsigned long long)width, (unsigned long long)height, IMAGE_PIXELS_MOST);
}

typedef struct PngDecoder {
    jmp_buf back;
    char message[MESSAGE_SIZE];
    const Source *source;
    size_t at;
    png_structp png;
    png_infop info;
    png_bytep *rows;
} PngDecoder;

static void png_failed(png_structp png, png_const_charp message)
{
    PngDecoder *const decoder = png_get_error_ptr(png);
    snprintf(decoder->message, sizeof decoder->message, "%s", message);
    longjmp(decoder->back, 1);
}

static void png_warned(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message; /* libpng warns of harmless profiles */
}

static void png_bytes(png_structp png, png_bytep out, size_t size)
{
    PngDecoder *const decoder = png_get_io_ptr(png);
    if (size > decoder->source->size - decoder->at)
        png_error(png, "the file ends too early");
    memcpy(out, decoder->source->bytes + decoder->at, size);
    decoder->at += size;
}

static bool png_decode_with(PngDecoder *decoder, Image *image)
{
    const Source *const source = decoder->source;
    if (setjmp(decoder->back))
        return source_error(source, "is no PNG image that can be read: %s",
                            diag_quote(source->arena, decoder->message, 120));
    png_set_read_fn(decoder->png, decoder, png_bytes);
    png_set_user_limits(decoder->png, IMAGE_SIDE_MOST, IMAGE_SIDE_MOST);
    png_set_chunk_malloc_max(decoder->png, CHUNK_MOST);
    png_set_crc_action(decoder->png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
    png_read_info(decoder->png, decoder->info);
    const png_uint_32 width = png_get_image_width(decoder->png, decoder->info);
    const png_uint_32 height = png_get_image_height(decoder->png, decoder->info);
    if (!size_check(source, width, height))
        return false;
    png_set_expand(decoder->png);
    png_set_strip_16(decoder->png);
    png_set_strip_alpha(decoder->png);
    png_set_gray_to_rgb(decoder->png);
    png_set_interlace_handling(decoder->png);
    png_read_update_info(decoder->png, decoder->info);
    const size_t row = png_get_rowbytes(decoder->png, decoder->info);
    if (row != (size_t)width * 3)
        return source_error(source, "is a PNG image whose rows have %zu bytes instead of %zu", row, (size_t)width * 3);
    *image = (Image){.width = (int)width, .height = (int)height, .pixels = arena_array(source->arena, height, row)};
    decoder->rows = NEW_ARRAY(source->arena, png_bytep, height);
    for (size_t y = 0; y < height; y++)
        decoder->rows[y] = image->pixels + y * row;
    png_read_image(decoder->png, decoder->rows);
    return true;
}

bool png_decode(Image *image, const Source *source)
{
    PngDecoder decoder = {.source = source};
    decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, png_failed, png_warned);
    decoder.info = decoder.png ? png_create_info_struct(decoder.png) : NULL;
    const bool good = decoder.info
                          ? png_decode_with(&decoder, image)
                          : diag_error(source->diagnostics, EXIT_LIMIT, &source->where, "no memory for libpng");
    if (decoder.png)
        png_destroy_read_struct(&decoder.png, &decoder.info, NULL);
    return good;
}

typedef struct JpegDecoder {
    jmp_buf back;
    char message[MESSAGE_SIZE];
    const Source *source;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    bool cut_short; /* the data ended too early; libjpeg would fill in grey */
    uint8_t *row;
} JpegDecoder;

static void jpeg_failed(j_common_ptr jpeg)
{
    JpegDecoder *const decoder = jpeg->client_data;
    jpeg->err->format_message(jpeg, decoder->message);
    longjmp(decoder->back, 1);
}

/* Warnings come through here with level -1: only those of missing data count. */
static void jpeg_warned(j_common_ptr jpeg, int level)
{
    JpegDecoder *const decoder = jpeg->client_data;
    if (level >= 0)
        return;
    char message[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, message);
    decoder->cut_short |= strstr(message, "Premature end") != NULL;
}

static void jpeg_silent(j_common_ptr jpeg)
{
    (void)jpeg;
}

/* A progressive file may hold thousands of scans, each over the whole image: hours of work in few bytes. */
static void jpeg_watch(j_common_ptr jpeg)
{
    JpegDecoder *const decoder = jpeg->client_data;
    if (jpeg->is_decompressor && decoder->jpeg.input_scan_number > JPEG_SCANS_MOST) {
        snprintf(decoder->message, sizeof decoder->message, "more than %d scans", JPEG_SCANS_MOST);
        longjmp(decoder->back, 1);
    }
}

static bool jpeg_decode_with(JpegDecoder *decoder, Image *image)
{
    const Source *const source = decoder->source;
    struct jpeg_decompress_struct *const jpeg = &decoder->jpeg;
    if (setjmp(decoder->back))
        return source_error(source, "is no JPEG image that can be read: %s",
                            diag_quote(source->arena, decoder->message, 120));
    jpeg_create_decompress(jpeg);
    jpeg->progress = &decoder->progress;
    jpeg_mem_src(jpeg, source->bytes, source->size);
    jpeg_read_header(jpeg, TRUE);
    if (!size_check(source, jpeg->image_width, jpeg->image_height))
        return false;
    if (jpeg->num_components != 1 && jpeg->num_components != 3)
        return source_error(source, "is a JPEG image with %d components (CMYK?); 1 and 3 are known",
                            jpeg->num_components);
    jpeg->out_color_space = JCS_RGB;
    jpeg_start_decompress(jpeg);
    *image = (Image){.width = (int)jpeg->output_width, .height = (int)jpeg->output_height};
    const size_t row = (size_t)jpeg->output_width * 3;
    image->pixels = arena_array(source->arena, jpeg->output_height, row);
    while (jpeg->output_scanline < jpeg->output_height) {
        decoder->row = image->pixels + jpeg->output_scanline * row;
        jpeg_read_scanlines(jpeg, &decoder->row, 1);
    }
    jpeg_finish_decompress(jpeg);
    return !decoder->cut_short || source_error(source, "is a JPEG image that ends too early");
}

bool jpeg_decode(Image *image, const Source *source)
{
    if (source->size == 0 || source->size > UINT32_MAX)
        return source_error(source, "has %zu bytes, which no JPEG image has", source->size);
    JpegDecoder decoder = {.source = source};
    decoder.jpeg.err = jpeg_std_error(&decoder.errors);
    decoder.jpeg.client_data = &decoder;
    decoder.errors.error_exit = jpeg_failed;
    decoder.errors.emit_message = jpeg_warned;
    decoder.errors.output_message = jpeg_silent;
    decoder.progress.progress_monitor = jpeg_watch;
    const bool good = jpeg_decode_with(&decoder, image);
    jpeg_destroy_decompress(&decoder.jpeg);
    return good;
}
