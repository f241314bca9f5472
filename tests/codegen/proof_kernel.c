/* One kernel at a time, run in every way from the same contents: see proof.h. */
#include "tests/codegen/proof.h"

#include "ir/tiles.h"

#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/pack.h"
#include "passes/access.h"

#include <stdlib.h>
#include <string.h>

enum { SETS = 3 };

/* Memory that one or several parameters share. */
typedef struct Root {
    Node *buffer;
    Guarded memory;
    bool at_end;    /* of the memory: where it touches what is forbidden */
    uint8_t *start; /* contents before each run; NULL when the kernel only reads */
} Root;

typedef struct Experiment {
    Ir *ir;
    Node *kernel; /* any schedule of it: parameters are the same */
    const char *label;
    Root *roots;
    int root_count, buffer_count;
    void **buffers;
    uint64_t *bytes;
    int64_t *dims;
    Guarded scratch;
    bool flushes; /* the target takes denormals for zeros */
    int32_t error;
    uint64_t seed; /* of the order of threads and blocks */
} Experiment;

static uint64_t bytes_of(Ir *ir, Node *buffer, const SymbolValue *symbols, int count)
{
    const int64_t elements = index_evaluate(layout_elements(ir, buffer), symbols, count);
    return elements < 0 ? UINT64_MAX : pack_bytes(buffer->type.dtype, (uint64_t)elements);
}

static Root *root_of(Experiment *trial, Node *buffer)
{
    Node *const owner = buffer_root(buffer);
    for (int i = 0; i < trial->root_count; i++)
        if (trial->roots[i].buffer == owner)
            return &trial->roots[i];
    trial->roots[trial->root_count] = (Root){.buffer = owner};
    return &trial->roots[trial->root_count++];
}

static bool root_written(const Experiment *trial, const Root *root)
{
    for (int i = 0; i < trial->buffer_count; i++)
        if (buffer_root(trial->kernel->inputs[i]) == root->buffer &&
            kernel_writes(trial->kernel, trial->kernel->inputs[i]))
            return true;
    return false;
}

static void fill(Experiment *trial, Root *root, Values values, uint64_t *state)
{
    const Buffer *const buffer = root->buffer->payload.buffer;
    const Type type = root->buffer->type;
    if (buffer->place == PLACE_WEIGHT &&
        pack_bytes(type.dtype, pack_elements(type, &buffer->layout)) <= root->memory.bytes)
        constant_pack(buffer->constant, type, &buffer->layout, root->memory.data);
    else
        values_fill(trial->ir, type.dtype, root->memory.data, root->memory.bytes, values, state);
    if (trial->flushes)
        values_flush(type.dtype, root->memory.data, root->memory.bytes);
    if (!root_written(trial, root)) {
        guarded_protect(&root->memory, true);
        return;
    }
    root->start = malloc(root->memory.bytes + 1);
    memcpy(root->start, root->memory.data, root->memory.bytes);
}

static void experiment_close(Experiment *trial)
{
    for (int i = 0; i < trial->root_count; i++) {
        guarded_close(&trial->roots[i].memory);
        free(trial->roots[i].start);
    }
    guarded_close(&trial->scratch);
}

/* False when a size has no value for these symbols. */
static bool experiment_open(Experiment *trial, Ir *ir, Node *kernel, const SymbolValue *symbols, int symbol_count,
                            Values values, uint64_t seed, bool flushes)
{
    Arena *const arena = ir->arena;
    const int count = kernel_buffer_count(kernel), dims = (int)kernel->input_count - count;
    uint64_t largest[1 + 64] = {0};
    *trial = (Experiment){.ir = ir,
                          .kernel = kernel,
                          .flushes = flushes,
                          .buffer_count = count,
                          .roots = NEW_ARRAY(arena, Root, (size_t)count + 1),
                          .buffers = NEW_ARRAY(arena, void *, (size_t)count + 1),
                          .bytes = NEW_ARRAY(arena, uint64_t, (size_t)count + 1),
                          .dims = NEW_ARRAY(arena, int64_t, (size_t)dims + 1)};
    for (int i = 0; i < count; i++) {
        Root *const root = root_of(trial, kernel->inputs[i]);
        trial->bytes[i] = bytes_of(ir, kernel->inputs[i], symbols, symbol_count);
        const uint64_t owner = bytes_of(ir, root->buffer, symbols, symbol_count);
        if (trial->bytes[i] == UINT64_MAX || owner == UINT64_MAX || trial->root_count > 64)
            return false;
        uint64_t *const most = &largest[root - trial->roots];
        *most = trial->bytes[i] > *most ? trial->bytes[i] : *most;
        *most = owner > *most ? owner : *most;
    }
    for (int i = 0; i < dims; i++) {
        trial->dims[i] = index_evaluate(kernel->inputs[count + i], symbols, symbol_count);
        if (trial->dims[i] < 0)
            return false;
    }
    for (int i = 0; i < trial->root_count; i++) {
        trial->roots[i].at_end = values == VALUES_PLAIN;
        trial->roots[i].memory = guarded_open(largest[i], trial->roots[i].at_end);
        fill(trial, &trial->roots[i], values, &seed);
    }
    for (int i = 0; i < count; i++)
        trial->buffers[i] = root_of(trial, kernel->inputs[i])->memory.data;
    return true;
}

static void experiment_reset(Experiment *trial)
{
    for (int i = 0; i < trial->root_count; i++)
        if (trial->roots[i].start)
            memcpy(trial->roots[i].memory.data, trial->roots[i].start, trial->roots[i].memory.bytes);
    trial->error = 0;
}

/* What a run left in the buffers that the kernel writes. */
typedef struct Outcome {
    uint8_t **data;
    int32_t error;
} Outcome;

static Outcome experiment_take(const Experiment *trial)
{
    Outcome outcome = {.data = calloc((size_t)trial->root_count + 1, sizeof *outcome.data), .error = trial->error};
    for (int i = 0; i < trial->root_count; i++)
        if (trial->roots[i].start) {
            outcome.data[i] = malloc(trial->roots[i].memory.bytes + 1);
            memcpy(outcome.data[i], trial->roots[i].memory.data, trial->roots[i].memory.bytes);
        }
    return outcome;
}

static void outcome_close(const Experiment *trial, Outcome *outcome)
{
    for (int i = 0; i < trial->root_count; i++)
        free(outcome->data[i]);
    free(outcome->data);
}

/* ---- ways of running ---- */

/* Pieces [from, to) of the units, in the order in which they run. */
typedef CallPiece Piece;
enum { PIECES = 4 };

/* A kernel of a level: a function, or its number where it is called elsewhere. */
typedef struct MachineCode {
    lathe_kernel *function;
    Elsewhere *elsewhere;
    int number;
} MachineCode;

typedef struct MachineRun {
    Experiment *trial;
    lathe_kernel *function;
    const Piece *pieces;
} MachineRun;

static void run_machine(void *context)
{
    const MachineRun *const run = context;
    Experiment *const trial = run->trial;
    for (int i = 0; i < PIECES; i++) {
        memset(trial->scratch.data, 0xff, trial->scratch.bytes);
        if (run->pieces[i].from < run->pieces[i].to)
            run->function(trial->buffers, trial->dims, run->pieces[i].from, run->pieces[i].to, trial->scratch.data,
                          &trial->error);
    }
}

static const char *root_name(const Experiment *trial, uint64_t number)
{
    return number < (uint64_t)trial->root_count ? trial->roots[number].buffer->payload.buffer->name : "its scratch";
}

/* The same in an emulator. */
static bool machine_elsewhere(Experiment *trial, const MachineCode *code, const Piece *pieces)
{
    CallMemory memories[CALL_MEMORIES_MOST];
    void *data[CALL_MEMORIES_MOST];
    uint64_t owners[CALL_LISTS_MOST];
    CallAnswer answer = {0};
    for (int i = 0; i < trial->root_count; i++) {
        const Root *const root = &trial->roots[i];
        memories[i] = (CallMemory){root->memory.bytes, !root->start, root->at_end};
        data[i] = root->memory.data;
    }
    for (int i = 0; i < trial->buffer_count; i++)
        owners[i] = (uint64_t)(root_of(trial, trial->kernel->inputs[i]) - trial->roots);
    const CallRequest request = {.kernel = (uint64_t)code->number,
                                 .memories = (uint64_t)trial->root_count,
                                 .buffers = (uint64_t)trial->buffer_count,
                                 .dims = trial->kernel->input_count - (uint64_t)trial->buffer_count,
                                 .pieces = PIECES,
                                 .scratch = trial->scratch.bytes};
    if (!elsewhere_call(code->elsewhere, &request, memories, data, owners, trial->dims, pieces, &answer)) {
        printf("FAIL %s: the guest died\n", trial->label);
        return false;
    }
    trial->error = (int32_t)answer.error;
    if (answer.verdict == CALL_FAULT)
        printf("FAIL %s: machine code touched forbidden memory, byte %lld of %s\n", trial->label,
               (long long)answer.offset, root_name(trial, answer.memory));
    else if (answer.verdict == CALL_OUTSIDE)
        printf("FAIL %s: machine code wrote outside of %s\n", trial->label, root_name(trial, answer.memory));
    return answer.verdict == CALL_GOOD;
}

static bool machine(Experiment *trial, const MachineCode *code, const Piece *pieces)
{
    MachineRun run = {trial, code->function, pieces};
    const void *fault = NULL;
    experiment_reset(trial);
    if (code->elsewhere)
        return machine_elsewhere(trial, code, pieces);
    if (run_guarded(run_machine, &run, &fault)) {
        for (int i = 0; i < trial->root_count; i++)
            if (!guarded_intact(&trial->roots[i].memory)) {
                printf("FAIL %s: machine code wrote outside of buffer %s\n", trial->label,
                       trial->roots[i].buffer->payload.buffer->name);
                return false;
            }
        if (!guarded_intact(&trial->scratch))
            printf("FAIL %s: machine code wrote outside of its scratch\n", trial->label);
        return guarded_intact(&trial->scratch);
    }
    printf("FAIL %s: machine code touched forbidden memory", trial->label);
    for (int i = 0; i < trial->root_count; i++) {
        const Guarded *const memory = &trial->roots[i].memory;
        const int64_t offset = (const uint8_t *)fault - memory->data;
        if ((const uint8_t *)fault >= memory->map && (const uint8_t *)fault < memory->map + memory->map_bytes)
            printf(", byte %lld of the %llu of buffer %s%s", (long long)offset, (unsigned long long)memory->bytes,
                   trial->roots[i].buffer->payload.buffer->name, trial->roots[i].start ? "" : " (read-only)");
    }
    printf("\n");
    return false;
}

/* INTERPRET_OK, INTERPRET_LIMIT, or a failure that has been told. */
static int32_t interpret(Experiment *trial, Node *scheduled, const Piece *pieces, int64_t work)
{
    const Code *const code = interpret_compile(trial->ir, scheduled);
    const RunOptions options = {.work_limit = work, .detect_unwritten = true, .seed = trial->seed};
    experiment_reset(trial);
    for (int i = 0; i < PIECES; i++) {
        if (pieces[i].from >= pieces[i].to)
            continue;
        const int32_t result = interpret_run_with(code, trial->buffers, trial->bytes, trial->dims, pieces[i].from,
                                                  pieces[i].to, &trial->error, &options);
        if (result != INTERPRET_OK && result != INTERPRET_LIMIT)
            printf("FAIL %s: interpreter, schedule \"%s\": %s\n", trial->label, scheduled->payload.kernel->schedule,
                   interpret_message(code));
        if (result != INTERPRET_OK)
            return result;
    }
    return INTERPRET_OK;
}

/* Does the memory now hold what `outcome` says? */
/* nearly: the way they were run adds in another order. */
static bool same_or_near(const Experiment *trial, const Outcome *outcome, const char *what, bool nearly)
{
    if (trial->error != outcome->error) {
        printf("FAIL %s: %s: error codes %d and %d\n", trial->label, what, outcome->error, trial->error);
        return false;
    }
    for (int i = 0; i < trial->root_count; i++) {
        const Root *const root = &trial->roots[i];
        const Dtype dtype = root->buffer->type.dtype;
        if (!root->start)
            continue;
        const int64_t element =
            nearly ? values_far(dtype, outcome->data[i], root->memory.data, root->memory.bytes)
                   : values_differ(dtype, outcome->data[i], root->memory.data, root->memory.bytes, trial->flushes);
        if (element < 0)
            continue;
        printf("FAIL %s: %s: %s[%lld] is %s and %s\n", trial->label, what, root->buffer->payload.buffer->name,
               (long long)element, value_text(trial->ir->arena, dtype, outcome->data[i], element),
               value_text(trial->ir->arena, dtype, root->memory.data, element));
        return false;
    }
    return true;
}

static bool same(const Experiment *trial, const Outcome *outcome, const char *what)
{
    return same_or_near(trial, outcome, what, false);
}

/* Elements that are as they were at the start become so in `expected` too; how many are not. */
static int64_t keep_changed(const Root *root, uint8_t *expected)
{
    const int bits = dtype_info[root->buffer->type.dtype].bits;
    const size_t size = bits < 8 ? 1 : (size_t)bits / 8;
    int64_t changed = 0;
    for (uint64_t at = 0; root->start && at + size <= root->memory.bytes; at += size) {
        if (memcmp(root->memory.data + at, root->start + at, size) == 0)
            memcpy(expected + at, root->start + at, size);
        else
            changed++;
    }
    return changed;
}

/* ---- the proof ---- */

/* All units in four pieces, the last first. */
static void all_pieces(int64_t units, Piece *pieces)
{
    const int64_t cuts[PIECES + 1] = {0, units / 5, units / 2, units - units / 3, units};
    for (int i = 0; i < PIECES; i++)
        pieces[PIECES - 1 - i] = (Piece){cuts[i], cuts[i + 1]};
}

static void few_pieces(int64_t units, uint64_t seed, Piece *pieces)
{
    const int64_t any = random_below(&seed, units);
    pieces[0] = (Piece){units - 1, units};
    pieces[1] = (Piece){0, 1};
    pieces[2] = (Piece){any, any + 1 + (any + 1 < units)};
    pieces[3] = (Piece){0, 0};
}

typedef struct Case {
    Proof *proof;
    const ProgramKernel *kernel;
    const ProofOptions *options;
    Node *scheduled, *plain;
    MachineCode code; /* nothing: only the interpreter */
    bool has_code;
    const TargetMachineInfo *target;
    Tally *tally;
    bool compared, partly, failed;
    bool special; /* values that are not finite */
} Case;

/* Scheduled body (all units, or a few when that is too much) against the machine code. */
static void prove_body(Case *this, Experiment *trial, int64_t units, const Outcome *machine_outcome, const Piece *all)
{
    Piece pieces[PIECES];
    const int32_t result = interpret(trial, this->scheduled, all, this->options->work);
    if (result == INTERPRET_OK) {
        this->failed |= !same(trial, machine_outcome, "machine code and scheduled body");
        this->compared = true;
    } else if (result != INTERPRET_LIMIT) {
        this->failed = true;
    } else {
        few_pieces(units, (uint64_t)units, pieces);
        if (!machine(trial, &this->code, pieces)) {
            this->failed = true;
            return;
        }
        Outcome outcome = experiment_take(trial);
        const int32_t again = interpret(trial, this->scheduled, pieces, 4 * this->options->work);
        if (again == INTERPRET_OK)
            this->failed |= !same(trial, &outcome, "machine code and scheduled body, few units");
        this->failed |= again != INTERPRET_OK && again != INTERPRET_LIMIT;
        this->partly |= again == INTERPRET_OK;
        outcome_close(trial, &outcome);
    }
}

/* Some blocks of a GPU's kernel that is too much work as a whole: what they changed is what the plain stages give. */
static void prove_blocks(Case *this, Experiment *trial, int64_t units, int64_t plain_units)
{
    Piece pieces[PIECES], plain[PIECES];
    few_pieces(units, (uint64_t)units, pieces);
    all_pieces(plain_units, plain);
    const int32_t expected = interpret(trial, this->plain, plain, 20 * this->options->work);
    this->failed |= expected != INTERPRET_OK && expected != INTERPRET_LIMIT;
    if (expected != INTERPRET_OK)
        return;
    Outcome reference = experiment_take(trial);
    const int32_t result = interpret(trial, this->scheduled, pieces, 4 * this->options->work);
    this->failed |= result != INTERPRET_OK && result != INTERPRET_LIMIT;
    int64_t changed = 0;
    for (int i = 0; i < trial->root_count && result == INTERPRET_OK; i++)
        changed += keep_changed(&trial->roots[i], reference.data[i]);
    if (result == INTERPRET_OK) {
        this->failed |= !same(trial, &reference, "blocks and plain stages");
        if (changed == 0)
            printf("FAIL %s: no block changed anything\n", trial->label);
        this->failed |= changed == 0;
        this->partly = true;
    }
    outcome_close(trial, &reference);
}

/* All units at once have the bits that they have in pieces: how a launch is cut among threads changes nothing. */
static void prove_whole(Case *this, Experiment *trial, int64_t units, const Outcome *in_pieces)
{
    const Piece whole[PIECES] = {{0, units}};
    this->failed |=
        !machine(trial, &this->code, whole) || !same(trial, in_pieces, "machine code in pieces and at once");
}

static void prove(Case *this, Experiment *trial, int64_t units, int64_t plain_units)
{
    Piece all[PIECES], plain[PIECES];
    all_pieces(units, all);
    all_pieces(plain_units, plain);
    Outcome reference;
    if (this->has_code) {
        if (!machine(trial, &this->code, all)) {
            this->failed = true;
            return;
        }
        reference = experiment_take(trial);
        prove_whole(this, trial, units, &reference);
        prove_body(this, trial, units, &reference, all);
    } else {
        const int32_t result = interpret(trial, this->scheduled, all, this->options->work);
        this->failed |= result != INTERPRET_OK && result != INTERPRET_LIMIT;
        if (result == INTERPRET_LIMIT && this->target->gpu)
            prove_blocks(this, trial, units, plain_units);
        if (result != INTERPRET_OK)
            return;
        reference = experiment_take(trial);
    }
    /* Sums of tile registers have an order of their own, and what is not finite is NaN there. */
    const bool nearly = kernel_has_tiles(this->scheduled);
    const int32_t result =
        nearly && this->special ? INTERPRET_LIMIT : interpret(trial, this->plain, plain, this->options->work);
    if (result == INTERPRET_OK) {
        this->failed |=
            !same_or_near(trial, &reference,
                          this->has_code ? "machine code and plain stages" : "scheduled body and plain stages", nearly);
        this->compared |= !this->has_code;
    } else if (!nearly || !this->special) {
        this->failed |= result != INTERPRET_LIMIT;
        this->partly = true;
    }
    outcome_close(trial, &reference);
}

static void prove_round(Case *this, const SymbolValue *symbols, int symbol_count, Values values)
{
    Ir *const ir = this->proof->ir;
    Experiment trial;
    uint64_t seed = values + 1;
    for (const char *c = this->kernel->name; *c; c++)
        seed = seed * 31 + (unsigned char)*c;
    const int64_t units = index_evaluate(this->scheduled->payload.kernel->units, symbols, symbol_count);
    const int64_t plain_units = index_evaluate(this->plain->payload.kernel->units, symbols, symbol_count);
    if (experiment_open(&trial, ir, this->scheduled, symbols, symbol_count, values, seed, this->target->flushes) &&
        units >= 0 && plain_units >= 0) {
        trial.label =
            arena_format(ir->arena, "%s %s %s \"%s\"%s", this->proof->name, this->kernel->name, this->target->name,
                         this->scheduled->payload.kernel->schedule, values ? " special" : "");
        for (int i = 0; i < symbol_count; i++)
            trial.label = arena_format(ir->arena, "%s %s=%lld", trial.label, symbols[i].symbol->payload.name,
                                       (long long)symbols[i].value);
        trial.seed = this->options->seed + values;
        trial.scratch = guarded_open(((uint64_t)this->scheduled->payload.kernel->scratch + 63) / 64 * 64, true);
        this->special = values == VALUES_SPECIAL;
        for (int i = 0; i < trial.root_count; i++)
            this->special |=
                !trial.roots[i].start && !values_finite(trial.roots[i].buffer->type.dtype, trial.roots[i].memory.data,
                                                        trial.roots[i].memory.bytes);
        if (units > 0)
            prove(this, &trial, units, plain_units);
        else
            this->compared = true;
    }
    experiment_close(&trial);
}

/* The program's symbols as `set` has them, and those of the kernel that are the model's alone: what it reads on its
 * way. */
static SymbolValue *kernel_symbols(const Proof *proof, const Node *kernel, const SymbolValue *set, int *count)
{
    const int known = proof->program.symbol_count;
    SymbolValue *const all = NEW_ARRAY(proof->arena, SymbolValue, (size_t)known + kernel->input_count + 1);
    uint64_t seed = kernel->input_count;
    *count = 0;
    for (int i = 0; i < known; i++)
        all[(*count)++] = set[i];
    for (uint32_t i = 0; i < kernel->input_count; i++) {
        bool met = kernel->inputs[i]->op != OP_symbol;
        for (int j = 0; j < known; j++)
            met = met || set[j].symbol == kernel->inputs[i];
        if (!met)
            all[(*count)++] = (SymbolValue){kernel->inputs[i], 1 + random_below(&seed, 9)};
    }
    return all;
}

void proof_kernels(Proof *proof, int level, bool with_machine, const ProofOptions *options, Tally *tally)
{
    const Program *const program = &proof->program;
    SymbolValue *const sets = NEW_ARRAY(proof->arena, SymbolValue, (size_t)(SETS * program->symbol_count) + 1);
    const int set_count = proof_symbols(proof, sets, SETS);
    for (int i = 0; i < program->kernel_count; i++) {
        const ProgramKernel *const kernel = &program->kernels[i];
        if (options->only && !strstr(kernel->name, options->only))
            continue;
        const LoopsSchedule rows = {.lanes = 1024, .any_tail = true};
        Case this = {.proof = proof,
                     .kernel = kernel,
                     .options = options,
                     .tally = tally,
                     .scheduled = kernel->scheduled[level],
                     .plain = loops_schedule(proof->ir, kernel->stages, &rows),
                     .has_code = with_machine,
                     .target = proof->levels[level]};
        if (with_machine && proof->elsewhere[level])
            this.code = (MachineCode){.elsewhere = proof->elsewhere[level], .number = i};
        else if (with_machine)
            this.code = (MachineCode){.function = proof->functions[level][i]};
        for (int set = 0; set < set_count; set++) {
            int count;
            const SymbolValue *const symbols =
                kernel_symbols(proof, kernel->stages, sets + set * program->symbol_count, &count);
            for (int values = 0; values < options->rounds && values < VALUES_KINDS; values++)
                if (!this.failed)
                    prove_round(&this, symbols, count, (Values)values);
        }
        tally->kernels++;
        tally->failures += this.failed;
        tally->compared += this.compared && !this.partly;
        tally->partly += this.partly;
        tally->unproven += !this.compared && !this.partly && !this.failed;
        if (!this.compared && !this.partly && !this.failed)
            printf("LARGE %s %s %s \"%s\"\n", proof->name, kernel->name, proof->levels[level]->name,
                   this.scheduled->payload.kernel->schedule);
        fflush(stdout);
    }
}
