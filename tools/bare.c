/* What the command line says about microcontrollers: see pipeline.h. */
#include "tools/pipeline.h"

#include <string.h>

static const TargetMachineInfo *machine(const Pipeline *pipeline)
{
    return pipeline->target.levels[0];
}

/* What only makes sense for them. */
static bool refuse_for_others(const Pipeline *pipeline)
{
    static const OptionId ids[] = {OPTION_MAX_RAM, OPTION_MAX_FLASH, OPTION_WORKSPACE};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (option_given(pipeline->options, ids[i]))
            return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL, "--%s is for microcontrollers, which %s is not",
                              option_rows[ids[i]].name, machine(pipeline)->name);
    return true;
}

static bool refuse_for_bare(const Pipeline *pipeline)
{
    const Options *const options = pipeline->options;
    const char *const *kinds;
    const int count = option_list(options, OPTION_EMIT, &kinds);
    if (pipeline->target.level_count > 1)
        return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL,
                          "a microcontroller's library is for one core, not for %s and %s", machine(pipeline)->name,
                          pipeline->target.levels[1]->name);
    if (option_is(options, OPTION_COMPILE_THREADS, "callback"))
        return diag_error(pipeline->diagnostics, EXIT_UNSUPPORTED, NULL, "%s has no threads", machine(pipeline)->name);
    for (int i = 0; i < count; i++)
        if (strcmp(kinds[i], "so") == 0)
            return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL,
                              "%s has no shared libraries: --emit static or obj", machine(pipeline)->name);
    return true;
}

bool pipeline_bare(const Pipeline *pipeline)
{
    return machine(pipeline)->family->system == SYSTEM_FREESTANDING;
}

/* A limit that was given, else that of the device. */
static int64_t limit(const Pipeline *pipeline, OptionId id, int64_t device)
{
    return option_given(pipeline->options, id) ? option_integer(pipeline->options, id) : device;
}

bool pipeline_bare_options(Pipeline *pipeline)
{
    const TargetDevice *const device = pipeline->target.device;
    if (pipeline->options->verb != VERB_COMPILE)
        return true;
    if (!pipeline_bare(pipeline))
        return refuse_for_others(pipeline);
    pipeline->build.embedded =
        (EmbeddedOptions){.workspace_is_static = option_is(pipeline->options, OPTION_WORKSPACE, "static"),
                          .max_ram = limit(pipeline, OPTION_MAX_RAM, device ? device->ram : 0),
                          .max_flash = limit(pipeline, OPTION_MAX_FLASH, device ? device->flash : 0)};
    return refuse_for_bare(pipeline);
}
