/* Writing relocatable objects, ELF64 and ELF32. File layout: header, blobs, symbol table, strings, section
 * names, section headers. Everything is thought in the structs of ELF64; those of ELF32 are made and read at the edge.
 */
#include "codegen/elf.h"
#include "codegen/elf_class.h"

#include <stdlib.h>
#include <string.h>

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
    if (blob->hole)
        return true;
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
    const ElfClass *class;
    int machine;
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

static bool plan_open(Plan *plan, int machine, const ElfBlob *blobs, int count)
{
    size_t names = 128, strings = 1;
    for (int i = 0; i < count; i++) {
        names += strlen(blobs[i].section) + 4;
        strings += strlen(blobs[i].symbol) + 1;
    }
    *plan = (Plan){
        .class = elf_class_of(machine),
        .machine = machine,
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

static void plan_blobs(Plan *plan, const ElfBlob *blobs, int count)
{
    uint64_t position = plan->class->header;
    for (int i = 0; i < count; i++) {
        const uint64_t alignment = blobs[i].alignment ? blobs[i].alignment : 1;
        const bool large = is_large(plan->machine, &blobs[i]);
        position = round_up(position, alignment);
        plan->offsets[i] = position;
        plan->sections[i + 1] = (Elf64_Shdr){
            .sh_name = add_name(plan->names, &plan->names_bytes, large ? ".l" : "",
                                blobs[i].section + (large && blobs[i].section[0] == '.')),
            .sh_type = blobs[i].hole ? SHT_NOBITS : SHT_PROGBITS,
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
        position += blobs[i].hole ? 0 : blobs[i].bytes;
    }
    plan->symtab = round_up(position, 8);
}

static void plan_tables(Plan *plan, int count)
{
    const uint64_t symtab_bytes = ((uint64_t)count + 1) * plan->class->symbol;
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
        .sh_entsize = plan->class->symbol,
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

static bool put_header(const Plan *plan, FILE *file, uint64_t *position, int count)
{
    enum { ARM_EABI_5 = 0x05000000 };
    const Elf64_Ehdr wide = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_REL,
        .e_machine = (uint16_t)plan->machine,
        .e_version = EV_CURRENT,
        .e_shoff = plan->headers,
        .e_ehsize = (uint16_t)plan->class->header,
        .e_shentsize = (uint16_t)plan->class->section,
        .e_shnum = (uint16_t)plan->section_count,
        .e_shstrndx = (uint16_t)(count + 3),
    };
    if (!plan->class->narrow)
        return put(file, position, &wide, sizeof wide);
    Elf32_Ehdr narrow = {
        .e_type = wide.e_type,
        .e_machine = wide.e_machine,
        .e_version = wide.e_version,
        .e_shoff = (uint32_t)wide.e_shoff,
        .e_flags = plan->machine == EM_ARM ? ARM_EABI_5 : 0,
        .e_ehsize = wide.e_ehsize,
        .e_shentsize = wide.e_shentsize,
        .e_shnum = wide.e_shnum,
        .e_shstrndx = wide.e_shstrndx,
    };
    memcpy(narrow.e_ident, wide.e_ident, sizeof narrow.e_ident);
    narrow.e_ident[EI_CLASS] = ELFCLASS32;
    return put(file, position, &narrow, sizeof narrow);
}

static bool put_symbols(const Plan *plan, FILE *file, uint64_t *position, int count)
{
    for (int i = 0; i <= count; i++) {
        const Elf32_Sym narrow = elf_narrow_symbol(&plan->symbols[i]);
        const void *const data = plan->class->narrow ? (const void *)&narrow : &plan->symbols[i];
        if (!put(file, position, data, plan->class->symbol))
            return false;
    }
    return true;
}

static bool put_sections(const Plan *plan, FILE *file, uint64_t *position)
{
    for (int i = 0; i < plan->section_count; i++) {
        const Elf32_Shdr narrow = elf_narrow_section(&plan->sections[i]);
        const void *const data = plan->class->narrow ? (const void *)&narrow : &plan->sections[i];
        if (!put(file, position, data, plan->class->section))
            return false;
    }
    return true;
}

static bool plan_write(const Plan *plan, FILE *file, const ElfBlob *blobs, int count)
{
    uint64_t position = 0;
    if (!put_header(plan, file, &position, count))
        return false;
    for (int i = 0; i < count; i++)
        if (!pad_to(file, &position, plan->offsets[i]) || !put_blob(file, &position, &blobs[i]))
            return false;
    return pad_to(file, &position, plan->symtab) && put_symbols(plan, file, &position, count) &&
           put(file, &position, plan->strings, plan->strings_bytes) &&
           put(file, &position, plan->names, plan->names_bytes) && pad_to(file, &position, plan->headers) &&
           put_sections(plan, file, &position);
}

bool elf_write(FILE *file, int machine, const ElfBlob *blobs, int count)
{
    Plan plan;
    if (count < 0 || count > 60000 || !plan_open(&plan, machine, blobs, count))
        return false;
    plan_blobs(&plan, blobs, count);
    plan_tables(&plan, count);
    const bool written = (!plan.class->narrow || plan.headers < UINT32_MAX / 2) &&
                         plan_write(&plan, file, blobs, count) && fflush(file) == 0;
    plan_free(&plan);
    return written;
}
