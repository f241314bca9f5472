/* Writing and editing ELF64 relocatable objects. File layout: header, blobs, symbol table, strings, section names,
 * section headers. */
#include "codegen/elf.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t LARGE_BLOB = 1u << 30;
/* From the x86-64 ABI: the section may lie more than 2 GiB away from code. */
static const uint64_t FLAG_X86_64_LARGE = 0x10000000;

static uint64_t round_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

static bool pad_to(FILE *file, uint64_t *position, uint64_t target)
{
    static const char zeros[4096];
    while (*position < target) {
        const uint64_t piece = target - *position < sizeof zeros ? target - *position : sizeof zeros;
        if (fwrite(zeros, 1, piece, file) != piece)
            return false;
        *position += piece;
    }
    return true;
}

static bool put(FILE *file, uint64_t *position, const void *data, uint64_t bytes)
{
    *position += bytes;
    return bytes == 0 || fwrite(data, 1, bytes, file) == bytes;
}

static bool put_blob(FILE *file, uint64_t *position, const ElfBlob *blob)
{
    if (blob->data || blob->bytes == 0)
        return put(file, position, blob->data, blob->bytes);
    const off_t before = ftello(file);
    if (!blob->write(blob->context, file))
        return false;
    *position += blob->bytes;
    return before < 0 || ftello(file) - before == (off_t)blob->bytes;
}

/* Where everything stands; sections are: null, one per blob, .symtab, .strtab, .shstrtab, .note.GNU-stack. */
typedef struct Plan {
    uint64_t *offsets;     /* of blobs */
    char *names, *strings; /* section names and symbol names */
    uint64_t names_bytes, strings_bytes;
    Elf64_Shdr *sections;
    Elf64_Sym *symbols;
    int section_count;
    uint64_t symtab, strtab, shstrtab, headers;
} Plan;

static uint32_t add_name(char *table, uint64_t *bytes, const char *prefix, const char *name)
{
    const uint64_t at = *bytes;
    *bytes += (uint64_t)sprintf(table + at, "%s%s", prefix, name) + 1;
    return (uint32_t)at;
}

static bool is_large(int machine, const ElfBlob *blob)
{
    return machine == EM_X86_64 && blob->bytes >= LARGE_BLOB;
}

static void plan_free(Plan *plan)
{
    free(plan->offsets);
    free(plan->names);
    free(plan->strings);
    free(plan->sections);
    free(plan->symbols);
}

static bool plan_open(Plan *plan, const ElfBlob *blobs, int count)
{
    size_t names = 128, strings = 1;
    for (int i = 0; i < count; i++) {
        names += strlen(blobs[i].section) + 4;
        strings += strlen(blobs[i].symbol) + 1;
    }
    *plan = (Plan){
        .offsets = calloc((size_t)count + 1, sizeof(uint64_t)),
        .names = calloc(1, names),
        .strings = calloc(1, strings),
        .names_bytes = 1,
        .strings_bytes = 1,
        .section_count = count + 5,
        .sections = calloc((size_t)count + 5, sizeof(Elf64_Shdr)),
        .symbols = calloc((size_t)count + 1, sizeof(Elf64_Sym)),
    };
    if (plan->offsets && plan->names && plan->strings && plan->sections && plan->symbols)
        return true;
    plan_free(plan);
    return false;
}

static void plan_blobs(Plan *plan, int machine, const ElfBlob *blobs, int count)
{
    uint64_t position = sizeof(Elf64_Ehdr);
    for (int i = 0; i < count; i++) {
        const uint64_t alignment = blobs[i].alignment ? blobs[i].alignment : 1;
        const bool large = is_large(machine, &blobs[i]);
        position = round_up(position, alignment);
        plan->offsets[i] = position;
        plan->sections[i + 1] = (Elf64_Shdr){
            .sh_name = add_name(plan->names, &plan->names_bytes, large ? ".l" : "",
                                blobs[i].section + (large && blobs[i].section[0] == '.')),
            .sh_type = SHT_PROGBITS,
            .sh_flags = SHF_ALLOC | (large ? FLAG_X86_64_LARGE : 0),
            .sh_offset = position,
            .sh_size = blobs[i].bytes,
            .sh_addralign = alignment,
        };
        plan->symbols[i + 1] = (Elf64_Sym){
            .st_name = add_name(plan->strings, &plan->strings_bytes, "", blobs[i].symbol),
            .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
            .st_other = STV_HIDDEN,
            .st_shndx = (uint16_t)(i + 1),
            .st_size = blobs[i].bytes,
        };
        position += blobs[i].bytes;
    }
    plan->symtab = round_up(position, 8);
}

static void plan_tables(Plan *plan, int count)
{
    const uint64_t symtab_bytes = ((uint64_t)count + 1) * sizeof(Elf64_Sym);
    plan->strtab = plan->symtab + symtab_bytes;
    plan->shstrtab = plan->strtab + plan->strings_bytes;
    plan->sections[count + 1] = (Elf64_Shdr){
        .sh_name = add_name(plan->names, &plan->names_bytes, "", ".symtab"),
        .sh_type = SHT_SYMTAB,
        .sh_offset = plan->symtab,
        .sh_size = symtab_bytes,
        .sh_link = (uint32_t)count + 2,
        .sh_info = 1,
        .sh_addralign = 8,
        .sh_entsize = sizeof(Elf64_Sym),
    };
    plan->sections[count + 2] = (Elf64_Shdr){
        .sh_name = add_name(plan->names, &plan->names_bytes, "", ".strtab"),
        .sh_type = SHT_STRTAB,
        .sh_offset = plan->strtab,
        .sh_size = plan->strings_bytes,
        .sh_addralign = 1,
    };
    /* Without this empty section old linkers would ask for an executable stack. */
    plan->sections[count + 4] = (Elf64_Shdr){
        .sh_name = add_name(plan->names, &plan->names_bytes, "", ".note.GNU-stack"),
        .sh_type = SHT_PROGBITS,
        .sh_offset = plan->shstrtab,
        .sh_addralign = 1,
    };
    const uint32_t own_name = add_name(plan->names, &plan->names_bytes, "", ".shstrtab");
    plan->sections[count + 3] = (Elf64_Shdr){
        .sh_name = own_name,
        .sh_type = SHT_STRTAB,
        .sh_offset = plan->shstrtab,
        .sh_size = plan->names_bytes,
        .sh_addralign = 1,
    };
    plan->headers = round_up(plan->shstrtab + plan->names_bytes, 8);
}

static bool plan_write(const Plan *plan, FILE *file, int machine, const ElfBlob *blobs, int count)
{
    const Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_REL,
        .e_machine = (uint16_t)machine,
        .e_version = EV_CURRENT,
        .e_shoff = plan->headers,
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = (uint16_t)plan->section_count,
        .e_shstrndx = (uint16_t)(count + 3),
    };
    uint64_t position = 0;
    if (!put(file, &position, &header, sizeof header))
        return false;
    for (int i = 0; i < count; i++)
        if (!pad_to(file, &position, plan->offsets[i]) || !put_blob(file, &position, &blobs[i]))
            return false;
    return pad_to(file, &position, plan->symtab) &&
           put(file, &position, plan->symbols, ((uint64_t)count + 1) * sizeof(Elf64_Sym)) &&
           put(file, &position, plan->strings, plan->strings_bytes) &&
           put(file, &position, plan->names, plan->names_bytes) && pad_to(file, &position, plan->headers) &&
           put(file, &position, plan->sections, (uint64_t)plan->section_count * sizeof(Elf64_Shdr));
}

bool elf_write(FILE *file, int machine, const ElfBlob *blobs, int count)
{
    Plan plan;
    if (count < 0 || count > 60000 || !plan_open(&plan, blobs, count))
        return false;
    plan_blobs(&plan, machine, blobs, count);
    plan_tables(&plan, count);
    const bool written = plan_write(&plan, file, machine, blobs, count) && fflush(file) == 0;
    plan_free(&plan);
    return written;
}

/* ---- reading: every offset is checked, the file may come from any tool ---- */

typedef struct Image {
    char *bytes;
    uint64_t size;
    Elf64_Shdr *sections;
    int section_count;
    int symtab; /* section index */
    Elf64_Sym *symbols;
    uint64_t symbol_count;
    const char *strings;
    uint64_t strings_size;
} Image;

static bool inside(const Image *image, uint64_t offset, uint64_t bytes)
{
    return offset <= image->size && bytes <= image->size - offset;
}

static bool image_open(Image *image, void *bytes, uint64_t size)
{
    *image = (Image){.bytes = bytes, .size = size};
    const Elf64_Ehdr *const header = bytes;
    if (size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_type != ET_REL || header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff % 8 != 0 ||
        !inside(image, header->e_shoff, sizeof(Elf64_Shdr)))
        return false;
    image->sections = (Elf64_Shdr *)(image->bytes + header->e_shoff);
    /* With 65,280 sections and more the count stands in the first header. */
    const uint64_t count = header->e_shnum ? header->e_shnum : image->sections[0].sh_size;
    if (count > INT32_MAX || !inside(image, header->e_shoff, count * sizeof(Elf64_Shdr)))
        return false;
    image->section_count = (int)count;
    for (int i = 0; i < image->section_count; i++) {
        const Elf64_Shdr *const section = &image->sections[i];
        if (section->sh_type != SHT_SYMTAB)
            continue;
        if (section->sh_link >= count || section->sh_offset % 8 != 0 ||
            !inside(image, section->sh_offset, section->sh_size))
            return false;
        const Elf64_Shdr *const strings = &image->sections[section->sh_link];
        if (!inside(image, strings->sh_offset, strings->sh_size) || strings->sh_size == 0 ||
            image->bytes[strings->sh_offset + strings->sh_size - 1] != 0)
            return false;
        image->symtab = i;
        image->symbols = (Elf64_Sym *)(image->bytes + section->sh_offset);
        image->symbol_count = section->sh_size / sizeof(Elf64_Sym);
        image->strings = image->bytes + strings->sh_offset;
        image->strings_size = strings->sh_size;
        return true;
    }
    return false;
}

static const char *symbol_name(const Image *image, const Elf64_Sym *symbol)
{
    return symbol->st_name < image->strings_size ? image->strings + symbol->st_name : "";
}

static bool is_global_definition(const Elf64_Sym *symbol)
{
    const int binding = ELF64_ST_BIND(symbol->st_info);
    return symbol->st_shndx != SHN_UNDEF && (binding == STB_GLOBAL || binding == STB_WEAK);
}

bool elf_globals(const void *object, uint64_t bytes, void (*visit)(void *context, const char *name), void *context)
{
    Image image;
    if (!image_open(&image, (void *)(uintptr_t)object, bytes))
        return false;
    for (uint64_t i = 1; i < image.symbol_count; i++)
        if (is_global_definition(&image.symbols[i]))
            visit(context, symbol_name(&image, &image.symbols[i]));
    return true;
}

/* ---- making symbols local: locals come first in the table, so symbols move and relocations follow ---- */

static bool is_kept(const char *name, const char *const *keep, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(name, keep[i]) == 0)
            return true;
    return false;
}

/* New place of each symbol; returns how many are local. */
static uint64_t order_symbols(Image *image, const char *const *keep, int count, uint32_t *moved)
{
    uint64_t place = 0;
    for (uint64_t i = 0; i < image->symbol_count; i++) {
        Elf64_Sym *const symbol = &image->symbols[i];
        if (is_global_definition(symbol) && symbol->st_shndx != SHN_COMMON &&
            !is_kept(symbol_name(image, symbol), keep, count)) {
            symbol->st_info = ELF64_ST_INFO(STB_LOCAL, ELF64_ST_TYPE(symbol->st_info));
            symbol->st_other = STV_DEFAULT;
        }
        if (ELF64_ST_BIND(symbol->st_info) == STB_LOCAL)
            moved[i] = (uint32_t)place++;
    }
    const uint64_t locals = place;
    for (uint64_t i = 0; i < image->symbol_count; i++)
        if (ELF64_ST_BIND(image->symbols[i].st_info) != STB_LOCAL)
            moved[i] = (uint32_t)place++;
    return locals;
}

static bool move_words(Image *image, const Elf64_Shdr *section, const uint32_t *moved)
{
    if (section->sh_type != SHT_SYMTAB_SHNDX)
        return true;
    uint32_t *const words = (uint32_t *)(image->bytes + section->sh_offset);
    const uint64_t count = section->sh_size / sizeof *words;
    if (!inside(image, section->sh_offset, section->sh_size) || count < image->symbol_count)
        return false;
    uint32_t *const copy = malloc(count * sizeof *copy);
    if (!copy)
        return false;
    memcpy(copy, words, count * sizeof *copy);
    for (uint64_t i = 0; i < image->symbol_count; i++)
        words[moved[i]] = copy[i];
    free(copy);
    return true;
}

static bool move_references(Image *image, Elf64_Shdr *section, const uint32_t *moved)
{
    if (section->sh_link != (uint32_t)image->symtab)
        return true;
    if (section->sh_type == SHT_GROUP && section->sh_info < image->symbol_count)
        section->sh_info = moved[section->sh_info];
    if (section->sh_type != SHT_RELA)
        return move_words(image, section, moved);
    if (!inside(image, section->sh_offset, section->sh_size) || section->sh_offset % 8 != 0)
        return false;
    Elf64_Rela *const relocations = (Elf64_Rela *)(image->bytes + section->sh_offset);
    for (uint64_t i = 0; i < section->sh_size / sizeof *relocations; i++) {
        const uint64_t symbol = ELF64_R_SYM(relocations[i].r_info);
        if (symbol >= image->symbol_count)
            return false;
        relocations[i].r_info = ELF64_R_INFO((uint64_t)moved[symbol], ELF64_R_TYPE(relocations[i].r_info));
    }
    return true;
}

static bool image_localize(Image *image, const char *const *keep, int count)
{
    uint32_t *const moved = calloc(image->symbol_count + 1, sizeof *moved);
    Elf64_Sym *const copy = malloc((image->symbol_count + 1) * sizeof *copy);
    bool done = moved && copy;
    if (done) {
        image->sections[image->symtab].sh_info = (uint32_t)order_symbols(image, keep, count, moved);
        memcpy(copy, image->symbols, image->symbol_count * sizeof *copy);
        for (uint64_t i = 0; i < image->symbol_count; i++)
            image->symbols[moved[i]] = copy[i];
        for (int i = 0; i < image->section_count && done; i++)
            done = move_references(image, &image->sections[i], moved);
    }
    free(moved);
    free(copy);
    return done;
}

bool elf_localize(const char *path, const char *const *keep, int count)
{
    const int file = open(path, O_RDWR | O_CLOEXEC);
    struct stat facts;
    if (file < 0)
        return false;
    if (fstat(file, &facts) != 0 || facts.st_size <= 0) {
        close(file);
        return false;
    }
    void *const bytes = mmap(NULL, (size_t)facts.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (bytes == MAP_FAILED)
        return false;
    Image image;
    const bool done = image_open(&image, bytes, (uint64_t)facts.st_size) && image_localize(&image, keep, count);
    munmap(bytes, (size_t)facts.st_size);
    return done;
}
