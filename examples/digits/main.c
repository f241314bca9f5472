/* Names a handwritten digit: reads an 8x8 image in NumPy's format, draws it, and prints what the compiled model thinks of it.
 *
 *     digits three.npy
 *
 * The model is C: one header and three functions, digits_open, digits_run and digits_close. */
#include "digits.h"

#include <stdio.h>

enum { SIDE = DIGITS_IMAGE_DIM2, CLASSES = DIGITS_SCORES_DIM1 };

/* The array of a version 1 file: ten bytes, of which the last two are the length of the description, the description, data. */
static int image_read(const char *path, float image[DIGITS_IMAGE_ELEMS])
{
    unsigned char start[10];
    FILE *const file = fopen(path, "rb");
    if (!file)
        return 0;
    int good = fread(start, 1, sizeof start, file) == sizeof start && start[0] == 0x93 && start[6] == 1 &&
               fseek(file, start[8] | start[9] << 8, SEEK_CUR) == 0 &&
               fread(image, sizeof *image, DIGITS_IMAGE_ELEMS, file) == DIGITS_IMAGE_ELEMS && fgetc(file) == EOF;
    for (int i = 0; i < DIGITS_IMAGE_ELEMS && good; i++)
        good = image[i] >= 0 && image[i] <= 255;
    fclose(file);
    return good;
}

static void image_draw(const float image[DIGITS_IMAGE_ELEMS])
{
    static const char shades[] = " .:-=+*#%@";
    for (int y = 0; y < SIDE; y++) {
        fputs("    ", stdout);
        for (int x = 0; x < SIDE; x++) {
            const int shade = (int)(image[y * SIDE + x] * 9 / 255);
            printf("%c%c", shades[shade], shades[shade]); /* a character is about twice as high as wide */
        }
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    float image[DIGITS_IMAGE_ELEMS], scores[DIGITS_SCORES_ELEMS];
    int error, best = 0;
    if (argc != 2 || !image_read(argv[1], image)) {
        fprintf(stderr, "usage: digits FILE.npy, an image of %dx%d float32 from 0 to 255\n", SIDE, SIDE);
        return 2;
    }
    lathe_context *const context = digits_open(NULL, &error);
    if (!context || digits_run(context, image, scores) != LATHE_OK) {
        fprintf(stderr, "%s\n", context ? digits_model.api->error_text(context) : digits_model.api->code_text(error));
        return 1;
    }
    image_draw(image);
    for (int i = 0; i < CLASSES; i++) {
        printf("%d %5.1f %% %.*s\n", i, 100 * scores[i], (int)(scores[i] * 40), "########################################");
        best = scores[i] > scores[best] ? i : best;
    }
    printf("this is a %d\n", best);
    digits_close(context);
    return 0;
}
