/* links: lathe_codegen lathe_ir lathe_targets */
#define _GNU_SOURCE
/* Weights objects, shared libraries, static libraries and single objects, loaded or linked and used. */
#include "tests/codegen/machine.h"

#include "codegen/elf.h"

#include <link.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

typedef struct Folder {
    Arena *arena;
    Diagnostics *diagnostics;
    char path[64];
} Folder;

static Folder folder_open(void)
{
    Folder folder = {.path = "/tmp/lathe-test-XXXXXX"};
    folder.arena = arena_open(0, NULL, NULL);
    folder.diagnostics = diagnostics_open(folder.arena);
    cr_assert_not_null(mkdtemp(folder.path));
    return folder;
}

static const char *in_folder(const Folder *folder, const char *name)
{
    return arena_format(folder->arena, "%s/%s", folder->path, name);
}

/* Runs a program by its argument vector; true when it exits with 0. */
static bool run(const char *const *arguments)
{
    pid_t child;
    int status;
    if (posix_spawnp(&child, arguments[0], NULL, NULL, (char *const *)(uintptr_t)arguments, environ) != 0)
        return false;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void folder_close(Folder *folder)
{
    cr_expect(run((const char *const[]){"rm", "-rf", folder->path, NULL}));
    arena_close(folder->arena);
}

static void no_errors(const Folder *folder)
{
    if (folder->diagnostics->error_count)
        diag_print(folder->diagnostics, stderr, false);
    cr_assert_eq(folder->diagnostics->error_count, 0);
}

static char *file_bytes(const Folder *folder, const char *path, size_t *bytes)
{
    FILE *const file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    char *const data = arena_alloc(folder->arena, *bytes + 1);
    cr_assert_eq(fread(data, 1, *bytes, file), *bytes);
    fclose(file);
    return data;
}

/* ---- an object of two blobs, one streamed ---- */

enum { STREAMED = 3 << 20 };

static bool stream(void *context, FILE *file)
{
    (void)context;
    uint32_t piece[1024];
    for (uint32_t i = 0; i < STREAMED / sizeof piece; i++) {
        for (uint32_t j = 0; j < 1024; j++)
            piece[j] = (i * 1024 + j) * 2654435761u;
        if (fwrite(piece, sizeof piece, 1, file) != 1)
            return false;
    }
    return true;
}

static const ElfBlob blobs[] = {
    {.section = ".rodata.lathe_note", .symbol = "a_note", .bytes = 6, .alignment = 1, .data = "hello"},
    {.section = ".rodata.lathe_weights",
     .symbol = "the_weights",
     .bytes = STREAMED,
     .alignment = 4096,
     .write = stream},
};

static const char *write_blobs(const Folder *folder)
{
    const char *const path = in_folder(folder, "weights.o");
    FILE *const file = fopen(path, "wb");
    cr_assert(elf_write(file, EM_X86_64, blobs, 2));
    fclose(file);
    return path;
}

static void show_symbols(const char *path)
{
    FILE *const file = fopen(path, "r+b");
    Elf64_Ehdr header;
    cr_assert_eq(fread(&header, sizeof header, 1, file), 1);
    for (int i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;
        fseek(file, (long)header.e_shoff + i * (long)sizeof section, SEEK_SET);
        cr_assert_eq(fread(&section, sizeof section, 1, file), 1);
        for (uint64_t j = 1; section.sh_type == SHT_SYMTAB && j < section.sh_size / sizeof(Elf64_Sym); j++) {
            fseek(file, (long)(section.sh_offset + j * sizeof(Elf64_Sym) + offsetof(Elf64_Sym, st_other)), SEEK_SET);
            fputc(STV_DEFAULT, file);
        }
    }
    fclose(file);
}

Test(link, weights_stream_into_an_object_that_loads)
{
    Folder folder = folder_open();
    const char *const object = write_blobs(&folder), *const library = in_folder(&folder, "w.so");
    show_symbols(object);
    const LinkInput input = {.path = object};
    const char *const exports[] = {"a_note", "the_weights"};
    link_shared(folder.diagnostics, &(LinkJob){&input, 1, exports, 2, library, false});
    no_errors(&folder);
    void *const handle = dlopen(library, RTLD_NOW);
    cr_assert_not_null(handle, "%s", dlerror());
    cr_expect_str_eq((const char *)dlsym(handle, "a_note"), "hello");
    const uint32_t *const weights = dlsym(handle, "the_weights");
    cr_assert_not_null(weights);
    cr_expect_eq((uintptr_t)weights % 4096, 0);
    for (uint32_t i = 0; i < STREAMED / 4; i++)
        cr_assert_eq(weights[i], i * 2654435761u);
    dlclose(handle);
    folder_close(&folder);
}

static bool stream_short(void *context, FILE *file)
{
    (void)context;
    return fputs("too little", file) != EOF;
}

Test(link, a_callback_that_writes_too_little_is_an_error)
{
    Folder folder = folder_open();
    FILE *const file = fopen(in_folder(&folder, "bad.o"), "wb");
    const ElfBlob blob = {.section = ".rodata.x", .symbol = "x", .bytes = 100, .alignment = 8, .write = stream_short};
    cr_expect_not(elf_write(file, EM_X86_64, &blob, 1));
    fclose(file);
    folder_close(&folder);
}

/* ---- code: a shared library with libm, static and object forms ---- */

/* out[u] = fmod(in[u], 3): calls libm's fmodf */
static ObjectBytes make_kernel(Machine *machine)
{
    Ir *const ir = machine->ir;
    Node *const in = machine_buffer(machine, "in", DTYPE_F32, 16), *const out =
                                                                       machine_buffer(machine, "out", DTYPE_F32, 16);
    Block *const body = block_make(ir), *const unit = block_make(ir);
    Node *const u = make_for(machine, body, "u", make_begin(machine), make_end(machine), 1, unit);
    make_store(machine, unit, out, u, scalar2(ir, OP_rem, make_load(machine, in, u, 1), const_float(ir, DTYPE_F32, 3)),
               NULL);
    machine_add(machine, machine_kernel(machine, "remainder", body), target_at(0));
    machine_compile(machine, 0);
    machine_show_symbols(machine->jobs[0].object);
    return machine->jobs[0].object;
}

/* Names in DT_NEEDED, joined with spaces; DT_SONAME would be listed too. */
static const char *needed(Arena *arena, void *handle)
{
    const struct link_map *map = NULL;
    dlinfo(handle, RTLD_DI_LINKMAP, &map);
    const char *strings = NULL, *text = "";
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_STRTAB)
            strings = (const char *)entry->d_un.d_ptr;
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_NEEDED || entry->d_tag == DT_SONAME)
            text = arena_format(arena, "%s%s%s", text, *text ? " " : "", strings + entry->d_un.d_val);
    return text;
}

Test(link, a_library_exports_what_is_named_and_needs_only_what_it_calls)
{
    Folder folder = folder_open();
    Machine *const machine = machine_open();
    const ObjectBytes object = make_kernel(machine);
    const char *const weights = write_blobs(&folder);
    show_symbols(weights);
    const LinkInput inputs[] = {{.data = object.data, .bytes = object.bytes}, {.path = weights}};
    const char *const exports[] = {"kernel_0"}, *const library = in_folder(&folder, "k.so");
    link_shared(folder.diagnostics, &(LinkJob){inputs, 2, exports, 1, library, false});
    no_errors(&folder);
    void *const handle = dlopen(library, RTLD_NOW);
    cr_assert_not_null(handle, "%s", dlerror());
    cr_expect_not_null(dlsym(handle, "kernel_0"));
    cr_expect_null(dlsym(handle, "the_weights"));
    cr_expect_str_eq(needed(folder.arena, handle), "libm.so.6");
    dlclose(handle);
    machine_close(machine);
    folder_close(&folder);
}

Test(link, the_same_inputs_give_the_same_bytes_and_leave_the_file_alone)
{
    Folder folder = folder_open();
    const LinkInput input = {.path = write_blobs(&folder)};
    static bool (*const linkers[])(Diagnostics *, const LinkJob *) = {link_shared, link_static, link_object};
    static const char *const names[] = {"x.so", "x.a", "x.o"};
    const char *const exports[] = {"the_weights"};
    for (int i = 0; i < 3; i++) {
        const char *const first = in_folder(&folder, names[i]);
        const char *const other = in_folder(&folder, arena_format(folder.arena, "other-%s", names[i]));
        struct stat before, after;
        size_t bytes[2];
        linkers[i](folder.diagnostics, &(LinkJob){&input, 1, exports, 1, first, false});
        linkers[i](folder.diagnostics, &(LinkJob){&input, 1, exports, 1, other, false});
        no_errors(&folder);
        const char *const one = file_bytes(&folder, first, &bytes[0]), *const two =
                                                                           file_bytes(&folder, other, &bytes[1]);
        cr_expect(bytes[0] == bytes[1] && memcmp(one, two, bytes[0]) == 0, "%s differs", names[i]);
        cr_assert_eq(stat(first, &before), 0);
        linkers[i](folder.diagnostics, &(LinkJob){&input, 1, exports, 1, first, false});
        cr_assert_eq(stat(first, &after), 0);
        cr_expect_eq(before.st_ino, after.st_ino);
    }
    folder_close(&folder);
}

static void collect_name(void *context, const char *name)
{
    const char **const names = context;
    *names = **names ? "several" : name;
}

Test(link, objects_of_two_models_stand_in_one_program)
{
    Folder folder = folder_open();
    Machine *const machine = machine_open();
    const ObjectBytes kernel = make_kernel(machine);
    /* Both "models" define the_weights and kernel_0; each keeps only its own name. */
    static const char *const kept[] = {"model_a", "model_b"};
    const char *outputs[2];
    for (int i = 0; i < 2; i++) {
        const ElfBlob own = {
            .section = ".rodata.own", .symbol = kept[i], .bytes = 2, .alignment = 1, .data = i ? "b" : "a"};
        const char *const path = in_folder(&folder, arena_format(folder.arena, "own%d.o", i));
        FILE *const file = fopen(path, "wb");
        cr_assert(elf_write(file, EM_X86_64, &own, 1));
        fclose(file);
        show_symbols(path);
        const LinkInput inputs[] = {
            {.data = kernel.data, .bytes = kernel.bytes}, {.path = write_blobs(&folder)}, {.path = path}};
        outputs[i] = in_folder(&folder, i ? "b.a" : "a.o");
        const LinkJob job = {inputs, 3, &kept[i], 1, outputs[i], false};
        cr_assert(i ? link_static(folder.diagnostics, &job) : link_object(folder.diagnostics, &job));
        no_errors(&folder);
    }
    const char *const source = in_folder(&folder, "main.c"), *const program = in_folder(&folder, "main");
    FILE *const file = fopen(source, "w");
    fputs("extern const char model_a[], model_b[];\nint main(void) { return !(model_a[0] == 'a' && model_b[0] == 'b'); "
          "}\n",
          file);
    fclose(file);
    cr_expect(run((const char *const[]){"cc", source, outputs[0], outputs[1], "-lm", "-o", program, NULL}));
    cr_expect(run((const char *const[]){program, NULL}));
    size_t bytes;
    const char *const object = file_bytes(&folder, outputs[0], &bytes);
    const char *globals = "";
    cr_assert(elf_globals(object, bytes, collect_name, &globals));
    cr_expect_str_eq(globals, "model_a");
    const char *const own = file_bytes(&folder, in_folder(&folder, "own0.o"), &bytes);
    cr_expect_eq(elf_loaded_bytes(own, bytes), 2, "the blob and nothing else");
    cr_expect_eq(elf_loaded_bytes("no object", 9), 9);
    machine_close(machine);
    folder_close(&folder);
}

/* ---- weights that are filled in after the link ---- */

static const char filling[] = "these bytes were not there when the library was linked";

static bool fill(void *context, const char *path, uint64_t offset)
{
    (void)context;
    FILE *const file = fopen(path, "r+b");
    const bool good = file && fseek(file, (long)offset, SEEK_SET) == 0 && fwrite(filling, sizeof filling, 1, file) == 1;
    return file && fclose(file) == 0 && good;
}

/* What linkers keep a place for is filled; where one does not, it says so and leaves nothing behind. */
Test(link, a_hole_is_filled_or_there_is_no_library)
{
    static const char *const programs[] = {"ld.lld", "mold", "ld", "cc"};
    const ElfBlob holes[] = {
        {.section = ".rodata.text", .symbol = "text", .bytes = 5, .alignment = 1, .data = "words"},
        {.section = ".rodata.hole", .symbol = "hole", .bytes = 3 << 20, .alignment = 4096, .hole = true},
        {.section = ".rodata.more", .symbol = "more", .bytes = 5, .alignment = 1, .data = "after"},
    };
    Folder folder = folder_open();
    const char *const object = in_folder(&folder, "hole.o");
    const char *const exports[] = {"text", "hole", "more"};
    FILE *const file = fopen(object, "wb");
    cr_assert(elf_write(file, EM_X86_64, holes, 3));
    cr_assert_lt(ftell(file), 4096 * 2, "a hole takes no room");
    fclose(file);
    show_symbols(object);
    int filled = 0, here = 0;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        setenv("LATHE_LINKER", programs[i], 1);
        if (!link_find(folder.arena))
            continue;
        LinkHole hole = {.symbol = "hole", .bytes = 3 << 20, .fill = fill};
        const LinkInput input = {.path = object};
        const char *const output = in_folder(&folder, arena_format(folder.arena, "hole%zu.so", i));
        const LinkJob job = {
            .inputs = &input, .input_count = 1, .exports = exports, .export_count = 3, .output = output, .hole = &hole};
        here++;
        const bool linked = link_shared(folder.diagnostics, &job);
        no_errors(&folder);
        cr_expect_eq(linked, !hole.no_place, "%s", programs[i]);
        cr_expect_eq(access(output, F_OK) == 0, linked, "%s", programs[i]);
        if (!linked)
            continue;
        filled++;
        void *const library = dlopen(output, RTLD_NOW | RTLD_LOCAL);
        cr_assert_not_null(library, "%s: %s", programs[i], dlerror());
        const char *const bytes = dlsym(library, "hole");
        cr_expect_str_eq(bytes, filling, "%s", programs[i]);
        cr_expect(bytes[sizeof filling] == 0 && bytes[(3 << 20) - 1] == 0, "%s", programs[i]);
        cr_expect_eq(memcmp(dlsym(library, "text"), "words", 5), 0, "%s", programs[i]);
        cr_expect_eq(memcmp(dlsym(library, "more"), "after", 5), 0, "%s", programs[i]);
        dlclose(library);
    }
    unsetenv("LATHE_LINKER");
    cr_expect(here == 0 || filled > 0, "none of %d linkers keeps a place", here);
    folder_close(&folder);
}

Test(link, a_library_without_room_has_no_place)
{
    Folder folder = folder_open();
    uint64_t offset;
    cr_expect_not(elf_place(in_folder(&folder, "nothing.so"), "hole", 1, &offset));
    const char *const path = in_folder(&folder, "text.so");
    FILE *const file = fopen(path, "wb");
    for (int i = 0; i < 100; i++)
        fputs("no library ", file);
    fclose(file);
    cr_expect_not(elf_place(path, "hole", 1, &offset));
    folder_close(&folder);
}

Test(link, every_linker_that_is_here_makes_a_library_that_loads)
{
    static const char *const programs[] = {"ld.lld", "mold", "ld", "cc", "clang"};
    Folder folder = folder_open();
    Machine *const machine = machine_open();
    const ObjectBytes object = make_kernel(machine);
    const LinkInput input = {.data = object.data, .bytes = object.bytes};
    const char *const exports[] = {"kernel_0"};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        setenv("LATHE_LINKER", programs[i], 1);
        if (!link_find(folder.arena))
            continue;
        const char *const library = in_folder(&folder, arena_format(folder.arena, "by%zu.so", i));
        cr_expect(link_shared(folder.diagnostics, &(LinkJob){&input, 1, exports, 1, library, true}), "%s", programs[i]);
        no_errors(&folder);
        void *const handle = dlopen(library, RTLD_NOW);
        cr_expect_not_null(handle, "%s", dlerror());
        cr_expect_str_eq(needed(folder.arena, handle), "libm.so.6", "%s", programs[i]);
        dlclose(handle);
        const char *const archive = in_folder(&folder, arena_format(folder.arena, "by%zu.a", i));
        cr_expect(link_static(folder.diagnostics, &(LinkJob){&input, 1, exports, 1, archive, false}), "%s",
                  programs[i]);
        no_errors(&folder);
    }
    machine_close(machine);
    folder_close(&folder);
}

Test(link, a_failing_linker_is_reported_and_leaves_nothing)
{
    Folder folder = folder_open();
    const LinkInput input = {.data = "no object", .bytes = 9};
    const char *const library = in_folder(&folder, "x.so");
    cr_expect_not(link_shared(folder.diagnostics, &(LinkJob){&input, 1, NULL, 0, library, false}));
    cr_expect_eq(folder.diagnostics->code, EXIT_BACKEND);
    cr_expect_neq(access(library, F_OK), 0);
    /* The folder is empty again: rmdir works. */
    cr_expect_eq(rmdir(folder.path), 0);
    setenv("LATHE_LINKER", "/nonexistent/linker", 1);
    cr_expect_not(link_shared(folder.diagnostics, &(LinkJob){&input, 1, NULL, 0, "/tmp/x.so", false}));
    cr_expect_not(link_shared(folder.diagnostics, &(LinkJob){&input, 1, NULL, 0, "/nonexistent/x.so", false}));
    arena_close(folder.arena);
}
