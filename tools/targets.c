/* lathe targets: the machines that can be compiled for, the devices that are known by name, and what each implies. */
#include "tools/verbs.h"

#include "targets/machine.h"
#include "tools/answer.h"

#include <string.h>

static const char *const system_name[] = {
    [SYSTEM_HOSTED] = "hosted", [SYSTEM_FREESTANDING] = "freestanding", [SYSTEM_DEVICE] = "device"};
static const char *const system_meaning[] = {
    [SYSTEM_HOSTED] = "hosted: shared and static libraries, threads",
    [SYSTEM_FREESTANDING] = "freestanding: static libraries that need no operating system",
    [SYSTEM_DEVICE] = "device: kernels travel as data in a library of the host's",
};

static const char *size_text(Arena *arena, int64_t bytes)
{
    if (bytes == 0)
        return "-";
    return bytes % (1 << 20) ? arena_format(arena, "%lld KiB", (long long)bytes >> 10)
                             : arena_format(arena, "%lld MiB", (long long)bytes >> 20);
}

static const char *yes_no(bool answer)
{
    return answer ? "yes" : "no";
}

/* ---- all ---- */

static void print_all(Arena *arena)
{
    printf("%-12s %-14s %-13s %-8s %-10s %-6s %s\n", "family", "level", "system", "vectors", "registers", "masks",
           "here");
    for (int i = 0; i < target_count(); i++) {
        const TargetMachineInfo *const level = target_at(i);
        printf("%-12s %-14s %-13s %-8d %-10d %-6s %s\n", level->family->name, level->name,
               system_name[level->family->system], level->vector_bytes * 8, level->vector_registers,
               yes_no(level->masked), target_runs_here(level) ? "runs" : "no");
    }
    printf("\n%-20s %-14s %-10s %-10s %s\n", "device", "level", "RAM", "flash", "what it is");
    for (int i = 0; i < target_device_count(); i++) {
        const TargetDevice *const device = target_device_at(i);
        printf("%-20s %-14s %-10s %-10s %s\n", device->name, device->target, size_text(arena, device->ram),
               size_text(arena, device->flash), device->what);
    }
}

/* ---- one ---- */

static void print_level(const TargetMachineInfo *level)
{
    printf("\nlevel             %s\n", level->name);
    printf("triple            %s\n", level->triple);
    printf("tuned for         %s\n", level->cpu);
    printf("vector registers  %d of %d bits\n", level->vector_registers, level->vector_bytes * 8);
    printf("cheap masks       %s\n", yes_no(level->masked));
    printf("gather            %s\n", yes_no(level->gather));
    printf("tile registers    %s\n", yes_no(level->tiles));
    for (int i = 0; i < machine_field_count; i++)
        if (machine_number(level, &machine_fields[i]) != 0)
            printf("%-26s %-10.8g %s\n", machine_fields[i].name, machine_number(level, &machine_fields[i]),
                   machine_fields[i].what);
    printf("runs here         %s\n", yes_no(target_runs_here(level)));
    printf("features          %s\n", level->features);
}

static void print_choice(Arena *arena, const TargetChoice *choice)
{
    const TargetFamily *const family = choice->family;
    if (choice->device) {
        printf("device            %s: %s\n", choice->device->name, choice->device->what);
        if (choice->device->ram)
            printf("memory            %s of RAM, %s of flash\n", size_text(arena, choice->device->ram),
                   size_text(arena, choice->device->flash));
    }
    printf("family            %s: %s\n", family->name, family->what);
    printf("system            %s\n", system_meaning[family->system]);
    printf("pointers          %d bits\n", family->pointer_bits);
    if (family->host)
        printf("host              %s\n", family->host->name);
    printf("compiled unless told otherwise for %s\n", family->standard);
    for (int i = 0; i < choice->level_count; i++)
        print_level(choice->levels[i]);
}

/* ---- for programs ---- */

static void write_level(JsonWriter *json, const TargetMachineInfo *level)
{
    json_object(json);
    json_field_string(json, "name", level->name);
    json_field_string(json, "family", level->family->name);
    json_field_string(json, "system", system_name[level->family->system]);
    json_field_integer(json, "pointer_bits", level->family->pointer_bits);
    json_field_string(json, "triple", level->triple);
    json_field_string(json, "cpu", level->cpu);
    json_field_string(json, "features", level->features);
    json_field_integer(json, "vector_bytes", level->vector_bytes);
    json_field_integer(json, "vector_registers", level->vector_registers);
    json_field_bool(json, "masked", level->masked);
    json_field_bool(json, "gather", level->gather);
    json_field_bool(json, "tiles", level->tiles);
    json_field_integer(json, "l1_bytes", level->l1);
    json_field_integer(json, "l2_bytes", level->l2);
    json_field_integer(json, "l3_bytes", level->l3);
    json_key(json, "machine");
    json_object(json);
    for (int i = 0; i < machine_field_count; i++)
        if (machine_fields[i].whole)
            json_field_integer(json, machine_fields[i].name, (int64_t)machine_number(level, &machine_fields[i]));
        else
            json_field_double(json, machine_fields[i].name, machine_number(level, &machine_fields[i]));
    json_close(json);
    json_field_bool(json, "runs_here", target_runs_here(level));
    json_close(json);
}

static void write_device(JsonWriter *json, const TargetDevice *device)
{
    json_object(json);
    json_field_string(json, "name", device->name);
    json_field_string(json, "target", device->target);
    json_field_string(json, "what", device->what);
    if (device->ram) {
        json_field_integer(json, "ram_bytes", device->ram);
        json_field_integer(json, "flash_bytes", device->flash);
    }
    json_close(json);
}

static void write_answer(JsonWriter *json, const TargetChoice *choice)
{
    json_key(json, "targets");
    json_array(json);
    for (int i = 0; i < (choice ? choice->level_count : target_count()); i++)
        write_level(json, choice ? choice->levels[i] : target_at(i));
    json_close(json);
    json_key(json, "devices");
    json_array(json);
    for (int i = 0; i < target_device_count(); i++)
        if (!choice || choice->device == target_device_at(i))
            write_device(json, target_device_at(i));
    json_close(json);
}

int verb_targets(const Options *options)
{
    TargetChoice choice;
    Answer answer;
    const bool one = options->argument_count > 0;
    if (one && !target_choose(options->diagnostics, options->arguments[0], NULL, 0, &choice))
        return options->diagnostics->code;
    if (answer_wants_text(options)) {
        if (one)
            print_choice(options->arena, &choice);
        else
            print_all(options->arena);
    }
    if (!answer_wants_json(options))
        return EXIT_OK;
    if (!answer_open(&answer, options, "lathe.targets/1"))
        return options->diagnostics->code;
    write_answer(&answer.json, one ? &choice : NULL);
    return answer_close(&answer) ? EXIT_OK : options->diagnostics->code;
}
