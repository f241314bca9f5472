/* See library.h. */
#include "tools/library.h"

#include "targets/target.h"
#include "tools/libraryvalues.h"
#include "tools/temporary.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool library_is(const char *path)
{
    unsigned char start[4] = {0};
    FILE *const file = fopen(path, "rb");
    if (!file)
        return false;
    const bool full = fread(start, 1, 4, file) == 4;
    fclose(file);
    return full && memcmp(start, "\177ELF", 4) == 0;
}

/* e_machine of a file of ELF; 0: it cannot be read. */
static int machine_of(const char *path)
{
    Elf64_Ehdr start; /* class by class the same up to e_machine */
    FILE *const file = fopen(path, "rb");
    const size_t least = offsetof(Elf64_Ehdr, e_machine) + sizeof start.e_machine;
    const bool full = file && fread(&start, 1, sizeof start, file) >= least;
    if (file)
        fclose(file);
    return full ? start.e_machine : 0;
}

/* The first family of compilers' targets with this machine; NULL: none. */
static const char *family_of(int machine)
{
    for (int i = 0; i < target_family_count(); i++)
        if (target_family_at(i)->elf_machine == machine)
            return target_family_at(i)->name;
    return NULL;
}

/* Is this the kind of machine that the program runs on? */
static bool is_this_machine(const Library *library, const char *what, int machine)
{
    const int own = machine_of("/proc/self/exe");
    if (machine == 0 || own == 0 || machine == own)
        return true;
    const char *const family = family_of(machine), *const here = family_of(own);
    return diag_error(library->diagnostics, EXIT_DEVICE, NULL,
                      "%s is for another machine: it holds code for %s, this is %s", what,
                      family ? family : arena_format(library->arena, "ELF machine %d", machine),
                      here ? here : arena_format(library->arena, "ELF machine %d", own));
}

static bool load(Library *library)
{
    if (!is_this_machine(library, library->path, machine_of(library->path)))
        return false;
    library->handle = dlopen(library->path, RTLD_NOW | RTLD_LOCAL);
    if (!library->handle)
        return diag_error(library->diagnostics, EXIT_MALFORMED, NULL, "%s cannot be loaded: %s", library->path,
                          dlerror());
    library->model = dlsym(library->handle, "lathe_model_v1");
    if (!library->model)
        return diag_error(library->diagnostics, EXIT_MALFORMED, NULL,
                          "%s is no compiled model: it has no symbol lathe_model_v1", library->path);
    if (library->model->abi != LATHE_MODEL_ABI)
        return diag_error(library->diagnostics, EXIT_MALFORMED, NULL, "%s has model ABI %u, this program knows %d",
                          library->path, library->model->abi, LATHE_MODEL_ABI);
    return true;
}

static Library library_make(const Options *options)
{
    return (Library){.arena = options->arena,
                     .diagnostics = options->diagnostics,
                     .heap_limit = (uint64_t)option_integer(options, OPTION_MAX_MEMORY)};
}

bool library_build(Library *library, Pipeline *pipeline)
{
    const Options *const options = pipeline->options;
    const char *const base = getenv("TMPDIR");
    char *const folder = arena_format(options->arena, "%s/lathe-XXXXXX", base && *base ? base : "/tmp");
    BuildFacts facts;
    *library = library_make(options);
    const TargetFamily *const family = pipeline->target.family;
    const int machine = family->host ? family->host->family->elf_machine : family->elf_machine;
    if (!is_this_machine(library, "the model with this --target", machine))
        return false;
    if (!pipeline_passes(pipeline) || !pipeline_program(pipeline))
        return false;
    if (!temporary_folder_make(folder))
        return diag_error(library->diagnostics, EXIT_IO, NULL, "%s: %s", folder, strerror(errno));
    library->path = arena_format(options->arena, "%s/model.so", folder);
    const bool good = pipeline_output(pipeline, OUTPUT_SHARED, library->path, &facts) && load(library);
    temporary_folder_remove(folder); /* the mapping keeps the library */
    return good;
}

static bool compile_and_load(Library *library, const Options *options, const char *path)
{
    Pipeline pipeline;
    const bool good = pipeline_open(&pipeline, options, path) && library_build(library, &pipeline);
    pipeline_close(&pipeline);
    return good;
}

bool library_open(Library *library, const Options *options, const char *path)
{
    *library = library_make(options);
    if (!library_is(path))
        return compile_and_load(library, options, path);
    /* dlopen looks for plain names in system folders */
    library->path = strchr(path, '/') ? path : arena_format(library->arena, "./%s", path);
    return load(library);
}

bool library_start(Library *library, int threads)
{
    int error = 0;
    char message[400] = "";
    const lathe_options options = {.size = sizeof options,
                                   .threads = threads,
                                   .message = message,
                                   .message_size = sizeof message,
                                   .heap_limit = library->heap_limit};
    breadcrumb("run", library->model->name); /* a crash from now on is the model's */
    library->context = library->model->api->open(library->model, &options, &error);
    const int exit_code = error == LATHE_E_MEMORY ? EXIT_LIMIT : EXIT_DEVICE;
    return library->context ||
           diag_error(library->diagnostics, exit_code, NULL, "%s cannot be opened: %s", library->model->name,
                      *message ? message : library->model->api->code_text(error));
}

void library_close(Library *library)
{
    if (library->context)
        library->model->api->close(library->context);
    breadcrumb(NULL, NULL);
    if (library->handle)
        dlclose(library->handle);
}

HostSpec *library_specs(const Library *library)
{
    const lathe_model_v1 *const model = library->model;
    HostSpec *const specs = NEW_ARRAY(library->arena, HostSpec, model->input_count + 1);
    for (uint32_t i = 0; i < model->input_count; i++) {
        const lathe_tensor_info *const info = &model->inputs[i];
        specs[i] = (HostSpec){name_intern(library->arena, info->name),
                              library_input_kind(library, i),
                              info->dtype,
                              info->rank,
                              info->dims,
                              info->optional != 0};
    }
    return specs;
}

bool library_run_failed(const Library *library, int code)
{
    const int exit_code = code == LATHE_E_MEMORY || code == LATHE_E_STOPPED ? EXIT_LIMIT : EXIT_MALFORMED;
    return diag_error(library->diagnostics, exit_code, NULL, "%s: %s", library->model->name,
                      library->model->api->error_text(library->context));
}

uint64_t tensor_bytes_add(uint64_t bytes, int bits, int rank, const int64_t *dims)
{
    uint64_t all = (uint64_t)bits;
    bool over = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] == 0)
            return bytes;
        over = over || (dims[i] > 0 && __builtin_mul_overflow(all, (uint64_t)dims[i], &all));
    }
    return over || __builtin_add_overflow(bytes, all / 8 + (all % 8 != 0), &bytes) ? UINT64_MAX : bytes;
}

bool memory_fits(const Options *options, const char *name, uint64_t bytes)
{
    const uint64_t limit = (uint64_t)option_integer(options, OPTION_MAX_MEMORY);
    if (bytes <= limit)
        return true;
    diag_error(options->diagnostics, EXIT_LIMIT, NULL,
               "%s: inputs, outputs and intermediate values take %llu bytes, the limit is %llu", name,
               (unsigned long long)bytes, (unsigned long long)limit);
    diag_hint(options->diagnostics, "--max-memory raises the limit");
    return false;
}

lathe_tensor *library_tensor(Arena *arena, const lathe_tensor_info *info, const HostValue *value)
{
    /* DLPack's type codes: 0 signed, 1 unsigned, 2 float, 4 bfloat, 6 bool; the small floats have one each. */
    static const struct {
        int onnx, code;
    } codes[] = {{1, 2},   {2, 1},   {3, 0},  {4, 1},  {5, 0},   {6, 0},   {7, 0},   {8, 3},
                 {9, 6},   {10, 2},  {11, 2}, {12, 1}, {13, 1},  {16, 4},  {17, 10}, {18, 11},
                 {19, 12}, {20, 13}, {21, 1}, {22, 0}, {23, 17}, {24, 14}, {25, 1},  {26, 0}};
    lathe_tensor *const tensor = NEW(arena, lathe_tensor);
    tensor->device.device_type = 1;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].onnx == info->dtype)
            tensor->dtype.code = (uint8_t)codes[i].code;
    tensor->dtype.bits = (uint8_t)info->bits;
    tensor->dtype.lanes = 1;
    tensor->ndim = value ? value->tensor.rank : info->rank;
    tensor->shape = value ? value->tensor.dims : NEW_ARRAY(arena, int64_t, (size_t)info->rank + 1);
    tensor->data = value ? value->tensor.data : NULL;
    return tensor;
}

static lathe_tensor **tensors_of(const Library *library, const lathe_tensor_info *infos, uint32_t count,
                                 const HostValue *values)
{
    lathe_tensor **const tensors = NEW_ARRAY(library->arena, lathe_tensor *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        tensors[i] = values && values[i].kind == HOST_ABSENT
                         ? NULL
                         : library_tensor(library->arena, &infos[i], values ? &values[i] : NULL);
    return tensors;
}

bool library_prepare(Library *library, const Options *options, const HostValue *inputs, HostValue *outputs)
{
    const lathe_model_v1 *const model = library->model;
    if (library_is_script(library))
        return library_values_prepare(library, options, inputs);
    library->in = tensors_of(library, model->inputs, model->input_count, inputs);
    library->out = tensors_of(library, model->outputs, model->output_count, NULL);
    const int code = model->api->output_dims_dl(library->context, library->in, (int)model->input_count, library->out,
                                                (int)model->output_count);
    if (code)
        return library_run_failed(library, code);
    uint64_t bytes = model->api->arena_bytes(library->context);
    for (uint32_t i = 0; i < model->input_count; i++)
        bytes = inputs[i].kind == HOST_TENSOR ? bytes + inputs[i].tensor.bytes : bytes;
    for (uint32_t i = 0; i < model->output_count; i++)
        bytes = tensor_bytes_add(bytes, model->outputs[i].bits, library->out[i]->ndim, library->out[i]->shape);
    if (!memory_fits(options, model->name, bytes))
        return false;
    for (uint32_t i = 0; i < model->output_count; i++) {
        const Source source = source_of_bytes(NULL, 0, model->outputs[i].name, library->arena, library->diagnostics);
        HostTensor tensor;
        if (!host_tensor_make(&tensor, &source, model->outputs[i].dtype, library->out[i]->ndim, library->out[i]->shape))
            return false;
        tensor.name = name_intern(library->arena, model->outputs[i].name);
        outputs[i] = host_value_of_tensor(tensor);
        outputs[i].name = tensor.name;
        library->out[i]->data = tensor.data;
    }
    return true;
}

bool library_run(Library *library)
{
    const lathe_model_v1 *const model = library->model;
    if (library->values_out)
        return library_values_run(library);
    const int code = model->api->run_dl(library->context, library->in, (int)model->input_count, library->out,
                                        (int)model->output_count);
    return code == 0 || library_run_failed(library, code);
}

bool library_collect(const Library *library, HostValue *outputs)
{
    return !library->values_out || library_values_collect(library, outputs);
}
