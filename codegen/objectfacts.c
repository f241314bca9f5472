/* Reading ELF32 objects that LLVM or a linker has just made: see objectfacts.h. */
#include "codegen/objectfacts.h"

#include <elf.h>
#include <string.h>

typedef struct Image {
    const char *bytes;
    uint64_t size;
    const Elf32_Shdr *sections;
    int section_count;
    const Elf32_Sym *symbols;
    uint64_t symbol_count;
    const char *strings;
    uint64_t strings_size;
} Image;

static bool inside(const Image *image, uint64_t offset, uint64_t bytes)
{
    return offset <= image->size && bytes <= image->size - offset;
}

static bool image_open(Image *image, const ObjectBytes *object)
{
    const Elf32_Ehdr *const header = object->data;
    *image = (Image){.bytes = object->data, .size = object->bytes};
    if (object->bytes < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS32 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_type != ET_REL || header->e_shentsize != sizeof(Elf32_Shdr) || header->e_shoff % 4 != 0 ||
        !inside(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf32_Shdr)))
        return false;
    image->sections = (const Elf32_Shdr *)(image->bytes + header->e_shoff);
    image->section_count = header->e_shnum;
    for (int i = 0; i < image->section_count; i++) {
        const Elf32_Shdr *const section = &image->sections[i];
        if (section->sh_type != SHT_SYMTAB)
            continue;
        if (section->sh_link >= header->e_shnum || section->sh_offset % 4 != 0 ||
            !inside(image, section->sh_offset, section->sh_size))
            return false;
        const Elf32_Shdr *const strings = &image->sections[section->sh_link];
        if (!inside(image, strings->sh_offset, strings->sh_size) || strings->sh_size == 0 ||
            image->bytes[strings->sh_offset + strings->sh_size - 1] != 0)
            return false;
        image->symbols = (const Elf32_Sym *)(image->bytes + section->sh_offset);
        image->symbol_count = section->sh_size / sizeof(Elf32_Sym);
        image->strings = image->bytes + strings->sh_offset;
        image->strings_size = strings->sh_size;
    }
    return image->symbols != NULL;
}

static const char *symbol_name(const Image *image, const Elf32_Sym *symbol)
{
    return symbol->st_name < image->strings_size ? image->strings + symbol->st_name : "";
}

static bool is_frame(const Image *image, const Elf32_Sym *symbol)
{
    const char *const name = symbol_name(image, symbol);
    const size_t length = strlen(name), end = sizeof OBJECT_FRAME - 1;
    return symbol->st_shndx == SHN_ABS && length > end && strcmp(name + length - end, OBJECT_FRAME) == 0;
}

bool object_facts(const ObjectBytes *object, ObjectFacts *facts)
{
    Image image;
    *facts = (ObjectFacts){0};
    if (!image_open(&image, object))
        return false;
    for (int i = 0; i < image.section_count; i++) {
        const Elf32_Shdr *const section = &image.sections[i];
        if (section->sh_flags & SHF_ALLOC)
            *(section->sh_flags & SHF_WRITE ? &facts->writable : &facts->read_only) += section->sh_size;
    }
    return true;
}

bool object_undefined(const ObjectBytes *object, void (*visit)(void *context, const char *name), void *context)
{
    Image image;
    if (!image_open(&image, object))
        return false;
    for (uint64_t i = 1; i < image.symbol_count; i++)
        if (image.symbols[i].st_shndx == SHN_UNDEF && *symbol_name(&image, &image.symbols[i]))
            visit(context, symbol_name(&image, &image.symbols[i]));
    return true;
}

int64_t object_frame(const ObjectBytes *object, const char *function)
{
    Image image;
    const size_t length = strlen(function);
    if (!image_open(&image, object))
        return 0;
    for (uint64_t i = 1; i < image.symbol_count; i++) {
        const char *const name = symbol_name(&image, &image.symbols[i]);
        if (is_frame(&image, &image.symbols[i]) && strncmp(name, function, length) == 0 &&
            strcmp(name + length, OBJECT_FRAME) == 0)
            return image.symbols[i].st_value;
    }
    return 0;
}
