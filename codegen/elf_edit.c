/* Reading and editing relocatable objects in place: every offset is checked, the file may come from any tool. */
#include "codegen/elf.h"
#include "codegen/elf_class.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Image {
    const ElfClass *class;
    char *bytes;
    uint64_t size;
    uint64_t headers; /* offset of the section headers */
    int section_count;
    int symtab; /* section index */
    uint64_t symbols, symbol_count;
    const char *strings;
    uint64_t strings_size;
} Image;

static bool inside(const Image *image, uint64_t offset, uint64_t bytes)
{
    return offset <= image->size && bytes <= image->size - offset;
}

/* Structs stand at any address in the file: they are copied. */
static Elf64_Shdr section_get(const Image *image, uint64_t i)
{
    Elf64_Shdr wide;
    Elf32_Shdr narrow;
    const char *const at = image->bytes + image->headers + i * image->class->section;
    if (!image->class->narrow) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return elf_wide_section(&narrow);
}

static void section_set(Image *image, uint64_t i, const Elf64_Shdr *section)
{
    const Elf32_Shdr narrow = elf_narrow_section(section);
    memcpy(image->bytes + image->headers + i * image->class->section,
           image->class->narrow ? (const void *)&narrow : section, image->class->section);
}

static Elf64_Sym symbol_get(const Image *image, uint64_t i)
{
    Elf64_Sym wide;
    Elf32_Sym narrow;
    const char *const at = image->bytes + image->symbols + i * image->class->symbol;
    if (!image->class->narrow) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return elf_wide_symbol(&narrow);
}

static void symbol_set(Image *image, uint64_t i, const Elf64_Sym *symbol)
{
    const Elf32_Sym narrow = elf_narrow_symbol(symbol);
    memcpy(image->bytes + image->symbols + i * image->class->symbol,
           image->class->narrow ? (const void *)&narrow : symbol, image->class->symbol);
}

/* Class and section headers; false: no little-endian file of this type. */
static bool image_headers(Image *image, int type)
{
    Elf64_Ehdr wide;
    Elf32_Ehdr narrow;
    if (image->size < sizeof wide || memcmp(image->bytes, ELFMAG, SELFMAG) != 0 || image->bytes[EI_DATA] != ELFDATA2LSB)
        return false;
    memcpy(&wide, image->bytes, sizeof wide);
    memcpy(&narrow, image->bytes, sizeof narrow);
    const bool is_narrow = image->bytes[EI_CLASS] == ELFCLASS32;
    image->class = is_narrow ? &elf_narrow : &elf_wide;
    image->headers = is_narrow ? narrow.e_shoff : wide.e_shoff;
    const uint64_t entry = is_narrow ? narrow.e_shentsize : wide.e_shentsize;
    if ((is_narrow ? narrow.e_type : wide.e_type) != type || (!is_narrow && image->bytes[EI_CLASS] != ELFCLASS64) ||
        entry != image->class->section || !inside(image, image->headers, entry))
        return false;
    /* With 65,280 sections and more the count stands in the first header. */
    uint64_t count = is_narrow ? narrow.e_shnum : wide.e_shnum;
    if (count == 0)
        count = section_get(image, 0).sh_size;
    image->section_count = (int)count;
    return count <= INT32_MAX && inside(image, image->headers, count * entry);
}

static bool image_open(Image *image, int type, void *bytes, uint64_t size)
{
    *image = (Image){.bytes = bytes, .size = size};
    if (!image_headers(image, type))
        return false;
    for (int i = 0; i < image->section_count; i++) {
        const Elf64_Shdr section = section_get(image, (uint64_t)i);
        if (section.sh_type != SHT_SYMTAB)
            continue;
        if (section.sh_link >= (uint64_t)image->section_count || !inside(image, section.sh_offset, section.sh_size))
            return false;
        const Elf64_Shdr strings = section_get(image, section.sh_link);
        if (!inside(image, strings.sh_offset, strings.sh_size) || strings.sh_size == 0 ||
            image->bytes[strings.sh_offset + strings.sh_size - 1] != 0)
            return false;
        image->symtab = i;
        image->symbols = section.sh_offset;
        image->symbol_count = section.sh_size / image->class->symbol;
        image->strings = image->bytes + strings.sh_offset;
        image->strings_size = strings.sh_size;
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
    if (!image_open(&image, ET_REL, (void *)(uintptr_t)object, bytes))
        return false;
    for (uint64_t i = 1; i < image.symbol_count; i++) {
        const Elf64_Sym symbol = symbol_get(&image, i);
        if (is_global_definition(&symbol))
            visit(context, symbol_name(&image, &symbol));
    }
    return true;
}

uint64_t elf_loaded_bytes(const void *object, uint64_t bytes)
{
    Image image;
    uint64_t sum = 0;
    if (!image_open(&image, ET_REL, (void *)(uintptr_t)object, bytes))
        return bytes;
    for (int i = 0; i < image.section_count; i++) {
        const Elf64_Shdr section = section_get(&image, (uint64_t)i);
        sum += section.sh_flags & SHF_ALLOC ? section.sh_size : 0;
    }
    return sum;
}

/* ---- making symbols local: locals come first in the table, so symbols move and relocations follow ---- */

static bool is_kept(const char *name, const char *const *keep, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(name, keep[i]) == 0)
            return true;
    return false;
}

/* Changes the symbols (a copy of the table) and gives each a new place; returns how many are local. */
static uint64_t order_symbols(const Image *image, Elf64_Sym *symbols, const char *const *keep, int count,
                              uint32_t *moved)
{
    uint64_t place = 0;
    for (uint64_t i = 0; i < image->symbol_count; i++) {
        Elf64_Sym *const symbol = &symbols[i];
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
        if (ELF64_ST_BIND(symbols[i].st_info) != STB_LOCAL)
            moved[i] = (uint32_t)place++;
    return locals;
}

static bool move_words(Image *image, const Elf64_Shdr *section, const uint32_t *moved)
{
    if (section->sh_type != SHT_SYMTAB_SHNDX)
        return true;
    const uint64_t count = section->sh_size / sizeof(uint32_t);
    if (!inside(image, section->sh_offset, section->sh_size) || count < image->symbol_count)
        return false;
    uint32_t *const words = malloc(count * 2 * sizeof *words), *const copy = words + count;
    if (!words)
        return false;
    char *const at = image->bytes + section->sh_offset;
    memcpy(words, at, count * sizeof *words);
    memcpy(copy, at, count * sizeof *copy);
    for (uint64_t i = 0; i < image->symbol_count; i++)
        words[moved[i]] = copy[i];
    memcpy(at, words, count * sizeof *words);
    free(words);
    return true;
}

/* r_info stands behind r_offset in all four forms of a relocation, a word wide each. */
static bool move_relocation(const Image *image, char *at, const uint32_t *moved)
{
    uint64_t wide;
    uint32_t narrow;
    if (image->class->narrow) {
        memcpy(&narrow, at + sizeof narrow, sizeof narrow);
        if (ELF32_R_SYM(narrow) >= image->symbol_count)
            return false;
        narrow = ELF32_R_INFO(moved[ELF32_R_SYM(narrow)], ELF32_R_TYPE(narrow));
        memcpy(at + sizeof narrow, &narrow, sizeof narrow);
        return true;
    }
    memcpy(&wide, at + sizeof wide, sizeof wide);
    if (ELF64_R_SYM(wide) >= image->symbol_count)
        return false;
    wide = ELF64_R_INFO((uint64_t)moved[ELF64_R_SYM(wide)], ELF64_R_TYPE(wide));
    memcpy(at + sizeof wide, &wide, sizeof wide);
    return true;
}

static bool move_references(Image *image, uint64_t number, const uint32_t *moved)
{
    Elf64_Shdr section = section_get(image, number);
    if (section.sh_link != (uint32_t)image->symtab)
        return true;
    if (section.sh_type == SHT_GROUP && section.sh_info < image->symbol_count) {
        section.sh_info = moved[section.sh_info];
        section_set(image, number, &section);
    }
    if (section.sh_type != SHT_RELA && section.sh_type != SHT_REL)
        return move_words(image, &section, moved);
    const uint64_t size = section.sh_type == SHT_RELA ? image->class->relocation_addend : image->class->relocation;
    if (!inside(image, section.sh_offset, section.sh_size))
        return false;
    for (uint64_t i = 0; i < section.sh_size / size; i++)
        if (!move_relocation(image, image->bytes + section.sh_offset + i * size, moved))
            return false;
    return true;
}

static bool image_localize(Image *image, const char *const *keep, int count)
{
    uint32_t *const moved = calloc(image->symbol_count + 1, sizeof *moved);
    Elf64_Sym *const symbols = malloc((image->symbol_count + 1) * sizeof *symbols);
    bool done = moved && symbols;
    if (done) {
        for (uint64_t i = 0; i < image->symbol_count; i++)
            symbols[i] = symbol_get(image, i);
        Elf64_Shdr table = section_get(image, (uint64_t)image->symtab);
        table.sh_info = (uint32_t)order_symbols(image, symbols, keep, count, moved);
        section_set(image, (uint64_t)image->symtab, &table);
        for (uint64_t i = 0; i < image->symbol_count; i++)
            symbol_set(image, moved[i], &symbols[i]);
        for (int i = 0; i < image->section_count && done; i++)
            done = move_references(image, (uint64_t)i, moved);
    }
    free(moved);
    free(symbols);
    return done;
}

/* Maps a file; *bytes is its length. NULL: it cannot be read, or is empty. */
static void *file_map(const char *path, bool write, size_t *bytes)
{
    const int file = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    struct stat facts;
    void *mapped = MAP_FAILED;
    if (file < 0)
        return NULL;
    if (fstat(file, &facts) == 0 && facts.st_size > 0) {
        *bytes = (size_t)facts.st_size;
        mapped = mmap(NULL, *bytes, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file, 0);
    }
    close(file);
    return mapped == MAP_FAILED ? NULL : mapped;
}

bool elf_localize(const char *path, const char *const *keep, int count)
{
    size_t bytes;
    void *const mapped = file_map(path, true, &bytes);
    Image image;
    if (!mapped)
        return false;
    const bool done = image_open(&image, ET_REL, mapped, bytes) && image_localize(&image, keep, count);
    munmap(mapped, bytes);
    return done;
}

/* ---- linked libraries ---- */

/* Is all of the symbol in a section that the file has bytes of? */
static bool image_place(const Image *image, const Elf64_Sym *symbol, uint64_t bytes, uint64_t *offset)
{
    if (symbol->st_shndx >= SHN_LORESERVE || symbol->st_shndx >= image->section_count)
        return false;
    const Elf64_Shdr section = section_get(image, symbol->st_shndx);
    const uint64_t from = symbol->st_value - section.sh_addr;
    *offset = section.sh_offset + from;
    return section.sh_type == SHT_PROGBITS && from <= section.sh_size && bytes <= section.sh_size - from &&
           inside(image, section.sh_offset, section.sh_size);
}

bool elf_place(const char *path, const char *symbol, uint64_t bytes, uint64_t *offset)
{
    size_t size;
    void *const mapped = file_map(path, false, &size);
    Image image;
    bool found = false;
    if (!mapped)
        return false;
    const bool opened = image_open(&image, ET_DYN, mapped, size);
    for (uint64_t i = 1; opened && i < image.symbol_count && !found; i++) {
        const Elf64_Sym entry = symbol_get(&image, i);
        found = entry.st_shndx != SHN_UNDEF && strcmp(symbol_name(&image, &entry), symbol) == 0 &&
                image_place(&image, &entry, bytes, offset);
    }
    munmap(mapped, size);
    return found;
}
