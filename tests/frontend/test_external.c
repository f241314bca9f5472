/* External data: what a model may name and what not. Files are made here; the models are those of
 * tests/data/onnx/external. */
#include "imported.h"

#include "frontend/importer.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *path_in(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void file_write(const char *name, int floats)
{
    FILE *file = fopen(path_in(name), "wb");
    for (int i = 0; i < floats; i++)
        fwrite(&(float){(float)i}, sizeof(float), 1, file);
    fclose(file);
}

static void model_copy(const char *name)
{
    char from[4096], bytes[4096];
    snprintf(from, sizeof from, "%s/tests/data/onnx/external/%s.onnx", SOURCE_DIR, name);
    FILE *source = fopen(from, "rb"), *target = fopen(path_in("model.onnx"), "wb");
    cr_assert(source && target);
    const size_t size = fread(bytes, 1, sizeof bytes, source);
    cr_assert_eq(fwrite(bytes, 1, size, target), size);
    fclose(source);
    fclose(target);
}

static void setup(void)
{
    strcpy(folder, "/tmp/lathe-external-XXXXXX");
    cr_assert(mkdtemp(folder));
    mkdir(path_in("sub"), 0700);
    mkdir(path_in("elsewhere"), 0700);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(external, .init = setup, .fini = teardown);

static Imported import_here(const char *name, const char *external)
{
    model_copy(name);
    return import_path(path_in("model.onnx"), &(ImportOptions){.external = external});
}

static void assert_weights(const Imported *imported, int first)
{
    const float *weights = bytes_of(output_of(imported, 0)->inputs[1], 64);
    for (int i = 0; i < 16; i++) {
        float weight;
        memcpy(&weight, weights + i, sizeof weight);
        cr_assert_eq(weight, (float)(first + i));
    }
}

Test(external, data_beside_the_model)
{
    file_write("w.bin", 16);
    Imported imported = import_here("plain", NULL);
    assert_weights(&imported, 0);
    cr_assert_eq(imported.model.file_count, 2);
    cr_assert_str_eq(imported.model.files[1], path_in("w.bin"));
    imported_close(&imported);
}

Test(external, part_of_a_file_in_a_folder)
{
    file_write("sub/w.bin", 20);
    Imported imported = import_here("part", NULL);
    assert_weights(&imported, 2);
    imported_close(&imported);
}

Test(external, locations_and_ranges_that_are_refused)
{
    static const struct {
        const char *name, *words;
    } cases[] = {
        {"parent", "leaves the model's folder"},
        {"hidden_parent", "leaves the model's folder"},
        {"absolute", "is not relative to the model's folder"},
        {"empty", "is empty"},
        {"none", "is not given"},
        {"nul", "holds a zero byte"},
        {"unknown_key", "a key other than location, offset, length and checksum"},
        {"key_twice", "a key twice"},
        {"length_short", "has 60 bytes but its shape and type need 64"},
        {"length_huge", "has 4611686018427387904 bytes but"},
        {"offset_past", "bytes 4096 to 4160 are asked of \"w.bin\", which has 64"},
        {"offset_wrap", "which has 64"},
        {"offset_huge", "not a number of bytes"},
        {"offset_negative", "not a number of bytes"},
        {"offset_word", "not a number of bytes"},
        {"folder", "is not a regular file"},
    };
    file_write("w.bin", 16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Imported imported = import_here(cases[i].name, NULL);
        cr_expect_eq(imported.code, EXIT_MALFORMED, "%s", cases[i].name);
        cr_expect(strstr(imported.text, cases[i].words), "%s: %s", cases[i].name, imported.text);
        imported_close(&imported);
    }
}

static void link_outside(void)
{
    file_write("elsewhere/real.bin", 16);
    cr_assert_eq(symlink("elsewhere/real.bin", path_in("w.bin")), 0);
}
static void link_to_device(void)
{
    cr_assert_eq(symlink("/dev/zero", path_in("w.bin")), 0);
}
static void link_to_itself(void)
{
    cr_assert_eq(symlink("w.bin", path_in("w.bin")), 0);
}
static void hard_link(void)
{
    file_write("elsewhere/real.bin", 16);
    cr_assert_eq(link(path_in("elsewhere/real.bin"), path_in("w.bin")), 0);
}
static void fifo(void)
{
    cr_assert_eq(mkfifo(path_in("w.bin"), 0600), 0);
}
static void a_folder(void)
{
    cr_assert_eq(mkdir(path_in("w.bin"), 0700), 0);
}
static void nothing(void)
{
}
static void too_short(void)
{
    file_write("w.bin", 15);
}

Test(external, files_that_are_refused)
{
    static const struct {
        void (*make)(void);
        const char *words;
    } cases[] = {
        {link_outside, "is a link"},
        {link_to_device, "is a link"},
        {link_to_itself, "is a link"},
        {hard_link, "more than one name"},
        {fifo, "not a regular file"},
        {a_folder, "not a regular file"},
        {nothing, "cannot be opened: No such file or directory"},
        {too_short, "which has 60"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cases[i].make();
        Imported imported = import_here("plain", NULL);
        cr_expect_eq(imported.code, cases[i].make == nothing ? EXIT_IO : EXIT_MALFORMED, "case %zu", i);
        cr_expect(strstr(imported.text, cases[i].words), "case %zu: %s", i, imported.text);
        imported_close(&imported);
        remove(path_in("w.bin"));
    }
}

/* A folder on the way that is a link is a link too. */
Test(external, linked_folders_are_refused)
{
    file_write("elsewhere/w.bin", 20);
    rmdir(path_in("sub"));
    cr_assert_eq(symlink("elsewhere", path_in("sub")), 0);
    Imported imported = import_here("part", NULL);
    cr_expect(strstr(imported.text, "is a link"), "%s", imported.text);
    imported_close(&imported);
}

Test(external, links_are_followed_in_a_folder_that_the_user_names)
{
    mkdir(path_in("cache"), 0700);
    file_write("elsewhere/real.bin", 16);
    cr_assert_eq(symlink("../elsewhere/real.bin", path_in("cache/w.bin")), 0);
    Imported imported = import_here("plain", path_in("cache"));
    assert_weights(&imported, 0);
    imported_close(&imported);
    remove(path_in("cache/w.bin"));
    cr_assert_eq(link(path_in("elsewhere/real.bin"), path_in("cache/w.bin")), 0);
    Imported hard = import_here("plain", path_in("cache"));
    assert_weights(&hard, 0);
    imported_close(&hard);
    Imported parent = import_here("parent", path_in("cache"));
    cr_expect(strstr(parent.text, "leaves"), "%s", parent.text);
    imported_close(&parent);
}

Test(external, models_in_memory_need_a_folder)
{
    char from[4096], bytes[4096];
    snprintf(from, sizeof from, "%s/tests/data/onnx/external/plain.onnx", SOURCE_DIR);
    FILE *file = fopen(from, "rb");
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    file_write("w.bin", 16);
    Imported without = import_bytes(bytes, size, NULL);
    cr_expect(strstr(without.text, "--external-data"), "%s", without.text);
    imported_close(&without);
    Imported with = import_bytes(bytes, size, &(ImportOptions){.external = folder});
    assert_weights(&with, 0);
    imported_close(&with);
}

/* Kernels without openat2: the same rules, folder by folder. */
Test(external, walking_has_the_same_rules)
{
    file_write("sub/w.bin", 20);
    file_write("w.bin", 16);
    cr_assert_eq(symlink("w.bin", path_in("link")), 0);
    cr_assert_eq(symlink("sub", path_in("linked")), 0);
    model_copy("plain");
    static const struct {
        const char *location, *words; /* NULL: opened */
    } cases[] = {
        {"w.bin", NULL},
        {"./w.bin", NULL},
        {"sub//w.bin", NULL},
        {"link", "is a link"},
        {"linked/w.bin", "Not a directory"},
        {"sub", "not a regular"},
        {"sub/", "not a regular"},
        {"none/w.bin", "No such file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena *arena = arena_open(0, NULL, NULL);
        Diagnostics *diagnostics = diagnostics_open(arena);
        Files *files = files_open(arena, diagnostics, path_in("model.onnx"), NULL, 1 << 20);
        files->walk = true;
        Onnx__StringStringEntryProto entry = ONNX__STRING_STRING_ENTRY_PROTO__INIT, *entries[] = {&entry};
        entry.key = (Text){8, (uint8_t *)(uintptr_t) "location"};
        entry.value = (Text){strlen(cases[i].location), (uint8_t *)(uintptr_t)cases[i].location};
        const uint8_t *data = external_data(files, NULL, "w", (ProtobufCMessage *const *)entries, 1, 64);
        cr_expect_eq(data != NULL, cases[i].words == NULL, "%s", cases[i].location);
        if (cases[i].words)
            cr_expect(diagnostics->first && strstr(diagnostics->first->text, cases[i].words), "%s: %s",
                      cases[i].location, diagnostics->first ? diagnostics->first->text : "");
        files_close(files);
        arena_close(arena);
    }
}
