/* Where there is no libFuzzer: gives every file under the given folders to the target. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "tests/fuzz/target.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE_MOST = 1 << 20, FOLDERS_OPEN = 16 };

static int files;

static int replay(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)place;
    if (kind != FTW_F || about->st_size > SIZE_MOST)
        return 0;
    FILE *const file = fopen(path, "rb");
    const size_t size = (size_t)about->st_size;
    /* Of its own size, so that a sanitizer sees the first byte that is read too far. */
    uint8_t *const data = malloc(size ? size : 1);
    const size_t got = file && data ? fread(data, 1, size, file) : 0;
    if (file)
        fclose(file);
    LLVMFuzzerTestOneInput(data, got);
    free(data);
    files++;
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        nftw(argv[i], replay, FOLDERS_OPEN, FTW_PHYS);
    printf("%d files\n", files);
    return files == 0;
}
