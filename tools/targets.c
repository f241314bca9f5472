/* lathe targets: the machines that can be compiled for, and what each implies. */
#include "tools/verbs.h"

#include "targets/target.h"
#include "tools/answer.h"

#include <string.h>

static void print_table(void)
{
    printf("%-12s %-26s %-8s %-10s %-6s %s\n", "name", "triple", "vectors", "registers", "masks", "here");
    for (int i = 0; i < target_count(); i++) {
        const TargetMachineInfo *const target = target_at(i);
        printf("%-12s %-26s %-8d %-10d %-6s %s\n", target->name, target->triple, target->vector_bytes * 8,
               target->vector_registers, target->masked ? "yes" : "no", target_runs_here(target) ? "runs" : "no");
    }
}

static void print_one(const TargetMachineInfo *target)
{
    printf("name              %s\n", target->name);
    printf("triple            %s\n", target->triple);
    printf("tuned for         %s\n", target->cpu);
    printf("vector registers  %d of %d bits\n", target->vector_registers, target->vector_bytes * 8);
    printf("cheap masks       %s\n", target->masked ? "yes" : "no");
    printf("gather            %s\n", target->gather ? "yes" : "no");
    printf("caches            %lld KiB, %lld KiB, %lld KiB of the last level per core\n", (long long)target->l1 >> 10,
           (long long)target->l2 >> 10, (long long)target->l3 >> 10);
    printf("runs here         %s\n", target_runs_here(target) ? "yes" : "no");
    printf("features          %s\n", target->features);
}

static void write_one(JsonWriter *json, const TargetMachineInfo *target)
{
    json_object(json);
    json_field_string(json, "name", target->name);
    json_field_string(json, "triple", target->triple);
    json_field_string(json, "cpu", target->cpu);
    json_field_string(json, "features", target->features);
    json_field_integer(json, "vector_bytes", target->vector_bytes);
    json_field_integer(json, "vector_registers", target->vector_registers);
    json_field_bool(json, "masked", target->masked);
    json_field_bool(json, "gather", target->gather);
    json_field_integer(json, "l1_bytes", target->l1);
    json_field_integer(json, "l2_bytes", target->l2);
    json_field_integer(json, "l3_bytes", target->l3);
    json_field_bool(json, "runs_here", target_runs_here(target));
    json_close(json);
}

int verb_targets(const Options *options)
{
    const TargetMachineInfo *one = NULL;
    Answer answer;
    if (options->argument_count > 0) {
        one = target_find(options->diagnostics, options->arguments[0]);
        if (!one)
            return options->diagnostics->code;
    }
    if (answer_wants_text(options)) {
        if (one)
            print_one(one);
        else
            print_table();
    }
    if (!answer_wants_json(options))
        return EXIT_OK;
    if (!answer_open(&answer, options, "lathe.targets/1"))
        return options->diagnostics->code;
    json_key(&answer.json, "targets");
    json_array(&answer.json);
    for (int i = 0; i < target_count(); i++)
        if (!one || one == target_at(i))
            write_one(&answer.json, target_at(i));
    json_close(&answer.json);
    return answer_close(&answer) ? EXIT_OK : options->diagnostics->code;
}
