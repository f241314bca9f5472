/* The generated C header: see CONVENTIONS "Generated C header" for its shape. */
#include "codegen/model.h"

#include "codegen/embedded.h"
#include "codegen/text.h"
#include "runtime/embed.h"
#include "runtime/lathe_model.h"

#include <string.h>

/* As in the C locale, whatever the user's: in Turkish ones toupper leaves 'i' as it is. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

const char *c_identifier(Arena *arena, const char *text)
{
    const size_t length = strnlen(text, 200);
    char *const name = arena_alloc(arena, length + 2);
    size_t used = 0;
    if (length == 0 || is_digit(text[0]))
        name[used++] = '_';
    for (size_t i = 0; i < length; i++)
        name[used++] = is_letter(text[i]) || is_digit(text[i]) ? text[i] : '_';
    name[used] = 0;
    return name;
}

static const char *upper(Arena *arena, const char *text)
{
    char *const copy = arena_copy(arena, text, strlen(text) + 1);
    for (char *c = copy; *c; c++)
        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
    return copy;
}

/* C type of an element; types that C lacks travel as their bits. */
static const char *c_type(Dtype dtype)
{
    switch (dtype) {
    case DTYPE_F32:
        return "float";
    case DTYPE_F64:
        return "double";
    case DTYPE_I8:
        return "int8_t";
    case DTYPE_I16:
        return "int16_t";
    case DTYPE_I32:
        return "int32_t";
    case DTYPE_I64:
        return "int64_t";
    case DTYPE_U16:
    case DTYPE_F16:
    case DTYPE_BF16:
        return "uint16_t";
    case DTYPE_U32:
        return "uint32_t";
    case DTYPE_U64:
        return "uint64_t";
    case DTYPE_STRING:
        return "char *const";
    default:
        return "uint8_t";
    }
}

/* Text that may stand in a C comment. */
static const char *comment(Arena *arena, const char *text)
{
    char *const copy = arena_copy(arena, text, strlen(text) + 1);
    for (char *c = copy; *c; c++)
        if ((c[0] == '*' && c[1] == '/') || (c[0] == '/' && c[1] == '*') || (unsigned char)*c < 0x20 ||
            (unsigned char)*c >= 0x7f)
            *c = '_';
    return copy;
}

/* Identifiers of the tensors: reserved words and repeated names get a number. */
static const char **tensor_names(Arena *arena, const Module *module)
{
    static const char *const reserved[] = {
        "auto",   "break",    "case",     "char",     "const",   "continue", "default",   "do",       "double",
        "else",   "enum",     "extern",   "float",    "for",     "goto",     "if",        "inline",   "int",
        "long",   "register", "restrict", "return",   "short",   "signed",   "sizeof",    "static",   "struct",
        "switch", "typedef",  "union",    "unsigned", "void",    "volatile", "while",     "class",    "new",
        "delete", "this",     "template", "operator", "private", "public",   "protected", "virtual",  "namespace",
        "using",  "bool",     "true",     "false",    "context", "dims",     "and",       "or",       "not",
        "xor",    "export",   "try",      "catch",    "throw",   "friend",   "mutable",   "typename", "explicit"};
    const int count = module->input_count + module->output_count;
    const char **const names = NEW_ARRAY(arena, const char *, (size_t)count + 1);
    for (int i = 0; i < count; i++) {
        const bool input = i < module->input_count;
        names[i] = c_identifier(arena, input ? module->input_names[i] : module->output_names[i - module->input_count]);
        bool taken = false;
        for (size_t j = 0; j < sizeof reserved / sizeof *reserved; j++)
            taken = taken || strcmp(names[i], reserved[j]) == 0;
        for (int j = 0; j < i; j++)
            taken = taken || strcmp(names[i], names[j]) == 0;
        if (taken || names[i][0] == '_')
            names[i] = arena_format(arena, "t%d%s%s", i, names[i][0] == '_' ? "" : "_", names[i]);
    }
    return names;
}

static const char *shape_text(Arena *arena, Type type)
{
    const char *text =
        arena_format(arena, "%s%s[%s", form_text[type.form], dtype_info[type.dtype].name, type.rank < 0 ? "..." : "");
    for (int i = 0; i < type.rank; i++) {
        int64_t dim;
        const char *const separator = i ? "," : "";
        if (!type.dims[i])
            text = arena_format(arena, "%s%s...", text, separator);
        else if (const_is_int(type.dims[i], &dim))
            text = arena_format(arena, "%s%s%lld", text, separator, (long long)dim);
        else
            text = arena_format(arena, "%s%s%s", text, separator,
                                type.dims[i]->op == OP_symbol ? comment(arena, type.dims[i]->payload.name) : "...");
    }
    return arena_format(arena, "%s]", text);
}

static void tensor_macros(Text *text, Arena *arena, const char *prefix, const char *name, Type type)
{
    const char *const tensor = arena_format(arena, "%s_%s", prefix, upper(arena, name));
    int64_t dim, elements = 1;
    bool known = true;
    if (!type_is_tensor(type)) {
        text_add(text, "#define %s_DTYPE %d\n", tensor, dtype_info[type.dtype].onnx);
        return;
    }
    text_add(text, "#define %s_DTYPE %d\n#define %s_RANK %d\n", tensor, dtype_info[type.dtype].onnx, tensor, type.rank);
    for (int i = 0; i < type.rank; i++) {
        if (!type.dims[i] || !const_is_int(type.dims[i], &dim)) {
            known = false;
            continue;
        }
        text_add(text, "#define %s_DIM%d %lld\n", tensor, i, (long long)dim);
        elements *= dim;
    }
    if (known)
        text_add(text, "#define %s_ELEMS %lld\n", tensor, (long long)elements);
}

static bool dim_symbols(const Program *program)
{
    for (int i = 0; i < program->symbol_count; i++)
        if (!program->symbols[i].element)
            return true;
    return false;
}

static void write_dims(Text *text, Arena *arena, const Program *program, const char *prefix)
{
    if (!dim_symbols(program)) {
        text_add(text, "/* No symbolic dims: pass NULL. */\ntypedef struct %s_dims %s_dims;\n", prefix, prefix);
        return;
    }
    text_add(text, "/* The symbolic dims of the inputs. */\ntypedef struct %s_dims {\n", prefix);
    for (int i = 0; i < program->symbol_count; i++)
        if (!program->symbols[i].element)
            text_add(text, "    int64_t %s; /* dim %d of input %d */\n",
                     c_identifier(arena, arena_format(arena, "%s%s",
                                                      strlen(program->symbols[i].symbol->payload.name) ? "" : "d",
                                                      program->symbols[i].symbol->payload.name)),
                     program->symbols[i].position, program->symbols[i].input);
    text_add(text, "} %s_dims;\n", prefix);
}

static void write_functions(Text *text, const Program *program, const char *prefix, const char **names)
{
    const Module *const module = program->module;
    text_add(text, "/* options may be NULL: as many threads as the process may use. NULL with *error (may be NULL) set "
                   "to a LATHE_E_* code. */\n");
    text_add(
        text,
        "lathe_context *%s_open(const lathe_options *options, int *error);\nvoid %s_close(lathe_context *context);\n",
        prefix, prefix);
    const bool plain = program_plain(program);
    text_add(
        text,
        "/* Row-major tensors%s. 0 or a negative LATHE_E_*; %s_model.api->error_text(context) says more. One thread "
        "at a time per context. */\n",
        plain ? "" : ", or values of other forms. Outputs are the context's until its next run or close", prefix);
    text_add(text, "int %s_run(lathe_context *context", prefix);
    if (program->instantiate)
        text_add(text, ", const %s_dims *dims", prefix);
    for (int i = 0; i < module->input_count; i++)
        text_add(text, ", const %s *%s",
                 type_is_tensor(module->inputs[i]->type) ? c_type(module->inputs[i]->type.dtype) : "lathe_value",
                 names[i]);
    for (int i = 0; i < module->output_count && plain; i++)
        text_add(text, ", %s *%s", c_type(module->outputs[i]->type.dtype), names[module->input_count + i]);
    text_add(text, ");\n");
    if (!plain)
        text_add(
            text,
            "/* An output of the last run; NULL when there was none, or it failed. Sizes that only a run knows stand "
            "in it. */\nconst lathe_value *%s_output(lathe_context *context, int output);\n",
            prefix);
    if (program->instantiate)
        text_add(text,
                 "/* Elements of an output for these dims, or a negative code. */\nint64_t %s_output_elems(const "
                 "%s_dims *dims, int output);\n",
                 prefix, prefix);
}

/* ---- microcontrollers ---- */

/* The codes of runtime/lathe_model.h that entries without a runtime can give. */
static void write_codes(Text *text)
{
    text_add(text,
             "#if !defined(LATHE_MODEL_H) && !defined(LATHE_CODES)\n#define LATHE_CODES\nenum {\n"
             "    LATHE_OK = %d,\n"
             "    LATHE_E_NULL = %d,     /* a pointer that must not be NULL is NULL */\n"
             "    LATHE_E_ARGUMENT = %d, /* memory or a tensor is not aligned */\n"
             "    LATHE_E_MEMORY = %d,   /* the memory is too small */\n"
             "    LATHE_E_INDEX = %d     /* an index that was computed while running is out of range; the outputs hold "
             "nothing useful */\n};\n#endif\n\n",
             LATHE_OK, LATHE_E_NULL, LATHE_E_ARGUMENT, LATHE_E_MEMORY, LATHE_E_INDEX);
}

static void write_footprint(Text *text, const Footprint *footprint, const char *prefix, const char *macro)
{
    text_add(text,
             "/* Bytes. RAM: the workspace%s%s%s; inputs and outputs come on top. FLASH: code and constants of this "
             "library. STACK: what its functions\n"
             " * take below their caller. Functions of the compiler's own library (__aeabi_*) count in STACK, not in "
             "FLASH. */\n",
             footprint->workspace_is_static ? ", which is the library's own" : " that ",
             footprint->workspace_is_static ? "" : prefix, footprint->workspace_is_static ? "" : "_init wants");
    text_add(text, "#define %s_RAM_SIZE %lld\n#define %s_RAM_ALIGNMENT %d\n", macro, (long long)footprint->ram, macro,
             WORKSPACE_ALIGNMENT);
    text_add(text, "#define %s_WEIGHT_BYTES %lld\n", macro, (long long)footprint->weights);
    if (footprint->flash > 0) /* a header alone, without machine code, does not know them */
        text_add(text, "#define %s_FLASH_SIZE %lld\n#define %s_STACK_SIZE %lld\n", macro, (long long)footprint->flash,
                 macro, (long long)footprint->stack);
}

static void write_embedded_functions(Text *text, const Program *program, const char *prefix, const char *macro,
                                     const char **names)
{
    const Module *const module = program->module;
    text_add(text, "typedef struct %s_context %s_context;\n", prefix, prefix);
    if (program->footprint.workspace_is_static)
        text_add(
            text,
            "/* The library has its own memory: %s_init(NULL, 0, NULL). There is one context, and it needs no end. "
            "*/\n",
            prefix);
    else
        text_add(
            text,
            "/* memory: %s_RAM_SIZE bytes or more at a multiple of %s_RAM_ALIGNMENT, the context's until it is not "
            "used any more; there may be\n * several contexts. NULL with *error (may be NULL) set to a LATHE_E_* "
            "code. */\n",
            macro, macro);
    text_add(text, "%s_context *%s_init(void *memory, size_t size, int *error);\n", prefix, prefix);
    text_add(text,
             "/* Row-major tensors that do not overlap. 0 or a negative LATHE_E_*; one call at a time per context. "
             "*/\n");
    text_add(text, "int %s_run(%s_context *context", prefix, prefix);
    for (int i = 0; i < module->input_count; i++)
        text_add(text, ", const %s *%s", c_type(module->inputs[i]->type.dtype), names[i]);
    for (int i = 0; i < module->output_count; i++)
        text_add(text, ", %s *%s", c_type(module->outputs[i]->type.dtype), names[module->input_count + i]);
    text_add(text, ");\n");
}

const char *model_header(const Program *program, const ModelInfo *info)
{
    Arena *const arena = program->ir->arena;
    const bool bare = embedded(program);
    const Module *const module = program->module;
    const char *const prefix = info->prefix, *const macro = upper(arena, prefix);
    const char **const names = tensor_names(arena, module);
    Text text;
    text_open(&text);
    text_add(&text, "/* Generated by %s from %s (sha256 %s). Do not edit.\n *\n", info->tool,
             comment(arena, info->name), info->sha256);
    for (int i = 0; i < module->input_count; i++)
        text_add(&text, " * input  %s: %s\n", names[i], shape_text(arena, module->inputs[i]->type));
    for (int i = 0; i < module->output_count; i++)
        text_add(&text, " * output %s: %s\n", names[module->input_count + i],
                 shape_text(arena, module->outputs[i]->type));
    text_add(&text, " */\n#ifndef %s_H\n#define %s_H\n\n%s\n", macro, macro,
             bare ? "#include <stddef.h>\n#include <stdint.h>\n" : lathe_model_header);
    text_add(&text, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n#define %s_ABI 1\n", macro);
    if (bare) {
        write_codes(&text);
        write_footprint(&text, &program->footprint, prefix, macro);
    } else {
        text_add(&text,
                 "#define %s_ARENA_BYTES %lld /* intermediate results of one context; 0: depends on the dims */\n",
                 macro, (long long)(program->instantiate || program->regions ? 0 : program->compilation->arena_bytes));
        text_add(&text, "#define %s_WEIGHT_BYTES %lld\n", macro, (long long)program->compilation->weight_bytes);
    }
    for (int i = 0; i < module->input_count; i++)
        tensor_macros(&text, arena, macro, names[i], module->inputs[i]->type);
    for (int i = 0; i < module->output_count; i++)
        tensor_macros(&text, arena, macro, names[module->input_count + i], module->outputs[i]->type);
    text_add(&text, "\n");
    if (program->instantiate)
        write_dims(&text, arena, program, prefix);
    if (bare)
        write_embedded_functions(&text, program, prefix, macro, names);
    else
        write_functions(&text, program, prefix, names);
    if (!bare)
        text_add(&text,
                 "/* For generic hosts: names, types, shapes and functions of the model. */\nextern const "
                 "lathe_model_v1 %s_model;\n",
                 prefix);
    text_add(&text, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
    const char *const copy = arena_copy(arena, text.data, text.length + 1);
    text_close(&text);
    return copy;
}
