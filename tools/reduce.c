/* lathe reduce: delta debugging of a model that fails. */
#include "tools/verbs.h"

#include "frontend/shrink.h"
#include "tools/answer.h"
#include "tools/checkrun.h"
#include "tools/progress.h"
#include "tools/temporary.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXTENTS_MOST = 24 };

typedef struct Reduction {
    const Options *options;
    Ir *ir;
    Shrink *shrink;
    ShrinkChoice best;
    const char *command, *match; /* match: NULL, or what the check must say */
    const char *model;           /* the candidate's file */
    CheckResult whole;           /* what the check said of the whole model */
    double limit, end;           /* seconds of one check; when to stop */
    int checks;
    bool stopped; /* time is over, or after a diagnostic */
    Progress progress;
} Reduction;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- one candidate ---- */

static int nodes_of(const Reduction *reduction, const ShrinkChoice *choice)
{
    int count = 0;
    for (int i = 0; i < shrink_node_count(reduction->shrink); i++)
        count += choice->nodes[i];
    return count;
}

static bool file_write(const Reduction *reduction, const char *path, const void *bytes, size_t size)
{
    FileWriter writer;
    if (!file_writer_open(&writer, path, reduction->options->arena, reduction->options->diagnostics))
        return false;
    if (fwrite(bytes, 1, size, writer.file) == size)
        return file_writer_commit(&writer);
    file_writer_abandon(&writer);
    return diag_error(reduction->options->diagnostics, EXIT_IO, NULL, "%s: %s", path, strerror(errno));
}

/* "(Conv, opset" of the node that a message of ours names; NULL when there is none. */
static const char *operator_named(Arena *arena, const char *said)
{
    const char *const opset = strstr(said, ", opset ");
    const char *open = opset;
    while (open && open > said && *open != '(' && *open != '\n')
        open--;
    return open && *open == '(' ? arena_format(arena, "%.*s, opset", (int)(opset - open), open) : NULL;
}

static bool same_failure(const Reduction *reduction, const CheckResult *result)
{
    return result->status == reduction->whole.status && result->timed_out == reduction->whole.timed_out &&
           (!reduction->match || strstr(result->said, reduction->match));
}

/* Does this part fail the same way? Then it is the best so far. */
static bool attempt(Reduction *reduction, const ShrinkChoice *choice)
{
    const Options *const options = reduction->options;
    Arena *const arena = arena_open(0, NULL, NULL);
    CheckResult result;
    size_t size;
    bool fails = false;
    reduction->stopped = reduction->stopped || now() > reduction->end;
    const void *const bytes = reduction->stopped ? NULL : shrink_pack(reduction->shrink, arena, choice, &size);
    if (bytes) {
        reduction->checks++;
        reduction->stopped =
            !file_write(reduction, reduction->model, bytes, size) ||
            !check_run(&result, reduction->command, reduction->model, reduction->limit, arena, options->diagnostics);
        fails = !reduction->stopped && same_failure(reduction, &result);
        if (fails)
            reduction->best = *choice;
        progress_update(&reduction->progress, reduction->checks,
                        arena_format(arena, "%d nodes", nodes_of(reduction, &reduction->best)));
    }
    arena_close(arena);
    return fails;
}

static bool *list_copy(const Reduction *reduction, const bool *list, int count)
{
    return arena_copy(reduction->options->arena, list, (size_t)count + 1);
}

/* ---- lists ---- */

/* One of the lists of a choice, and what of it can be dropped. */
typedef struct Part {
    size_t offset; /* of the list in a ShrinkChoice */
    int count;
    bool (*uses)(const Shrink *shrink, const ShrinkChoice *choice, int i); /* NULL: all */
} Part;

static bool **part_list(ShrinkChoice *choice, const Part *part)
{
    return (bool **)(void *)((char *)choice + part->offset);
}

/* The positions that are still there and matter. */
static int part_members(const Reduction *reduction, const Part *part, int *members)
{
    ShrinkChoice best = reduction->best;
    int count = 0;
    for (int i = 0; i < part->count; i++)
        if ((*part_list(&best, part))[i] && (!part->uses || part->uses(reduction->shrink, &best, i)))
            members[count++] = i;
    return count;
}

/* A candidate without the members from..to, or, with `only`, without all the others. */
static bool attempt_members(Reduction *reduction, const Part *part, const int *members, int count, int from, int to,
                            bool only)
{
    ShrinkChoice choice = reduction->best;
    bool **const list = part_list(&choice, part);
    *list = list_copy(reduction, *list, part->count);
    for (int i = 0; i < count; i++)
        if ((i >= from && i < to) != only)
            (*list)[members[i]] = false;
    return attempt(reduction, &choice);
}

/* Delta debugging (Zeller, Hildebrandt 2002): pieces, then all but a piece, then smaller pieces. True when something
 * went. */
static bool part_reduce(Reduction *reduction, const Part *part)
{
    int *const members = NEW_ARRAY(reduction->options->arena, int, (size_t)part->count + 1);
    int count = part_members(reduction, part, members), pieces = 1;
    bool changed = false;
    while (count > 0 && !reduction->stopped) {
        bool found = false;
        for (int only = 1; only >= 0 && !found; only--)
            for (int i = pieces - 1; i >= 0 && !found && !(only && pieces < 3) && !reduction->stopped; i--) {
                const int from = (int)((int64_t)count * i / pieces), to = (int)((int64_t)count * (i + 1) / pieces);
                found = from < to && attempt_members(reduction, part, members, count, from, to, only != 0);
                if (found)
                    pieces = only ? 2 : pieces > 2 ? pieces - 1 : pieces;
            }
        changed = changed || found;
        if (found)
            count = part_members(reduction, part, members);
        else if (pieces >= count)
            break;
        else
            pieces = pieces * 2 < count ? pieces * 2 : count;
        pieces = pieces > count ? count : pieces;
    }
    return changed;
}

/* ---- dims and what is left ---- */

static void flags_reduce(Reduction *reduction)
{
    ShrinkChoice choice = reduction->best;
    choice.functions = false;
    attempt(reduction, &choice);
    choice = reduction->best;
    choice.inner_outputs = false;
    attempt(reduction, &choice);
}

/* The extents of inputs, the same everywhere: 1 in the place of 224. */
static bool dims_reduce(Reduction *reduction)
{
    int64_t extents[EXTENTS_MOST];
    bool changed = false;
    Arena *const arena = arena_open(0, NULL, NULL);
    size_t size;
    const bool packed = shrink_pack(reduction->shrink, arena, &reduction->best, &size) != NULL;
    const int count = packed ? shrink_extents(reduction->shrink, extents, EXTENTS_MOST) : 0;
    arena_close(arena);
    for (int i = 0; i < count; i++) {
        const int64_t smaller[] = {1, 2, 3, 4, extents[i] / 4, extents[i] / 2};
        for (size_t k = 0; k < sizeof smaller / sizeof *smaller && reduction->best.dim_count < 64; k++) {
            ShrinkChoice choice = reduction->best;
            choice.dims[choice.dim_count] = extents[i];
            choice.to[choice.dim_count++] = smaller[k];
            if (smaller[k] < 1 || smaller[k] >= extents[i] || !attempt(reduction, &choice))
                continue;
            changed = true;
            break;
        }
    }
    return changed;
}

/* Until nothing more goes away. */
static void reduce(Reduction *reduction)
{
    const Part nodes = {offsetof(ShrinkChoice, nodes), shrink_node_count(reduction->shrink), NULL};
    const Part constants = {offsetof(ShrinkChoice, constants), shrink_constant_count(reduction->shrink),
                            shrink_uses_constant};
    const Part attributes = {offsetof(ShrinkChoice, attributes), shrink_attribute_count(reduction->shrink),
                             shrink_uses_attribute};
    for (bool changed = true; changed && !reduction->stopped;) {
        changed = part_reduce(reduction, &nodes);
        changed = part_reduce(reduction, &constants) || changed;
        changed = part_reduce(reduction, &attributes) || changed;
        flags_reduce(reduction);
        changed = dims_reduce(reduction) || changed;
    }
}

/* ---- the verb ---- */

static bool output_write(Reduction *reduction, const char *output)
{
    const Options *const options = reduction->options;
    size_t size;
    const void *const bytes = shrink_pack(reduction->shrink, options->arena, &reduction->best, &size);
    return bytes && file_write(reduction, output, bytes, size);
}

static const char *default_command(const Options *options)
{
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        return NULL;
    path[length] = '\0';
    return arena_format(options->arena, "'%s' validate --per-node --progress none {model}", path);
}

/* What the whole model does is what its parts must do. */
static bool whole_check(Reduction *reduction, const char *path)
{
    const Options *const options = reduction->options;
    if (!check_run(&reduction->whole, reduction->command, path, reduction->end - now(), options->arena,
                   options->diagnostics))
        return false;
    if (reduction->whole.timed_out)
        return diag_error(options->diagnostics, EXIT_LIMIT, NULL,
                          "the check of the whole model takes longer than --timeout");
    if (reduction->whole.status == 0)
        return diag_error(options->diagnostics, EXIT_NEGATIVE, NULL,
                          "the check does not fail for %s: there is nothing to reduce", path);
    if (reduction->match && !strstr(reduction->whole.said, reduction->match))
        return diag_error(options->diagnostics, EXIT_NEGATIVE, NULL, "the check fails for %s, but does not say \"%s\"",
                          path, diag_quote(options->arena, reduction->match, 80));
    if (!reduction->match && !option_given(options, OPTION_CHECK))
        reduction->match = operator_named(options->arena, reduction->whole.said);
    reduction->limit = 10 + 5 * reduction->whole.seconds;
    ShrinkChoice all = shrink_all(reduction->shrink, options->arena);
    reduction->best = all;
    return attempt(reduction, &all) || reduction->options->diagnostics->error_count ||
           diag_error(options->diagnostics, EXIT_NEGATIVE, NULL,
                      "%s fails, but not when it is written anew without what Lathe does not read", path);
}

static bool answer(const Reduction *reduction, const char *output)
{
    const Options *const options = reduction->options;
    const int nodes = nodes_of(reduction, &reduction->best), before = shrink_node_count(reduction->shrink);
    if (answer_wants_text(options)) {
        printf("%s: %d of %d nodes fail the same way (exit status %d%s%s), after %d checks%s\n", output, nodes, before,
               reduction->whole.status, reduction->match ? ", saying " : "", reduction->match ? reduction->match : "",
               reduction->checks, reduction->stopped ? ": time is over" : "");
    }
    if (!answer_wants_json(options))
        return true;
    Answer json;
    if (!answer_open(&json, options, "lathe.reduce/1"))
        return false;
    json_field_integer(&json.json, "nodes", nodes);
    json_field_integer(&json.json, "nodes_before", before);
    json_field_integer(&json.json, "checks", reduction->checks);
    json_field_integer(&json.json, "status", reduction->whole.status);
    json_field_string(&json.json, "match", reduction->match);
    json_field_bool(&json.json, "complete", !reduction->stopped);
    return answer_close(&json);
}

static bool reduce_in(Reduction *reduction, const char *path, const char *output)
{
    const Options *const options = reduction->options;
    reduction->progress =
        progress_open(stderr, progress_mode(option_text(options, OPTION_PROGRESS), stderr), "checks", 0, NULL, NULL);
    bool good = whole_check(reduction, path);
    if (good)
        reduce(reduction);
    progress_close(&reduction->progress, NULL);
    good =
        good && options->diagnostics->error_count == 0 && output_write(reduction, output) && answer(reduction, output);
    return good;
}

int verb_reduce(const Options *options)
{
    const char *const path = options->arguments[0], *const output = option_text(options, OPTION_OUTPUT);
    const char *const base = getenv("TMPDIR");
    char *const folder = arena_format(options->arena, "%s/lathe-XXXXXX", base && *base ? base : "/tmp");
    if (!output)
        return diag_error(options->diagnostics, EXIT_USAGE, NULL, "reduce needs -o, the file for the smaller model"),
               EXIT_USAGE;
    Reduction reduction = {.options = options,
                           .ir = ir_open(options->arena, options->diagnostics),
                           .command = option_given(options, OPTION_CHECK) ? option_text(options, OPTION_CHECK)
                                                                          : default_command(options),
                           .match = option_text(options, OPTION_MATCH),
                           .end = now() + option_number(options, OPTION_TIMEOUT)};
    reduction.shrink = shrink_open(reduction.ir, path);
    if (!reduction.shrink)
        return options->diagnostics->code;
    bool good = reduction.command != NULL;
    if (!temporary_folder_make(folder))
        good = diag_error(options->diagnostics, EXIT_IO, NULL, "%s: %s", folder, strerror(errno));
    reduction.model = arena_format(options->arena, "%s/model.onnx", folder);
    good = good && reduce_in(&reduction, path, output);
    temporary_folder_remove(folder);
    shrink_close(reduction.shrink);
    return good ? EXIT_OK : options->diagnostics->code;
}
