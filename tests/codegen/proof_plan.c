/* Plans of memory and order: see proof.h. */
#include "tests/codegen/proof.h"

#include "ir/tiles.h"

#include "codegen/reach.h"
#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/map.h"
#include "ir/pack.h"
#include "passes/access.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what launches touch, from the program's own tables ---- */

typedef struct Touch {
    int place, index;
    int64_t from, to;
    bool write;
    Node *root;
} Touch;

static int64_t bytes_of(const Proof *proof, Node *buffer, const SymbolValue *symbols)
{
    const int64_t elements = index_evaluate(layout_elements(proof->ir, buffer), symbols, proof->program.symbol_count);
    return elements < 0 ? -1 : (int64_t)pack_bytes(buffer->type.dtype, (uint64_t)elements);
}

static Touch touch_of(const Proof *proof, const ProgramLaunch *launch, int parameter, const SymbolValue *symbols)
{
    const Program *const program = &proof->program;
    Node *const buffer = launch->kernel->inputs[parameter];
    const ProgramBuffer *const place = &program->buffers[program->buffer_refs.items[launch->buffers_first + parameter]];
    const int64_t bytes = bytes_of(proof, buffer, symbols);
    return (Touch){place->place,
                   place->index,
                   place->offset,
                   place->offset + (bytes < 0 ? 0 : bytes),
                   kernel_writes(launch->kernel, buffer),
                   buffer_root(buffer)};
}

static bool clash(const Touch *a, const Touch *b)
{
    return a->place == b->place && a->index == b->index && a->place != LATHE_PLACE_WEIGHTS && a->from < b->to &&
           b->from < a->to;
}

/* ---- dependencies ---- */

typedef struct Bits {
    uint64_t *words;
    size_t row;
} Bits;

static bool bit(const Bits *bits, int row, int column)
{
    return bits->words[(size_t)row * bits->row + (size_t)column / 64] >> (column % 64) & 1;
}

/* Row i: the launches that launch i waits for, through others too. */
static Bits reachable(const Program *program)
{
    Bits bits = {.row = (size_t)program->launch_count / 64 + 1};
    bits.words = calloc((size_t)program->launch_count + 1, bits.row * sizeof *bits.words);
    for (int i = 0; i < program->launch_count; i++)
        for (int j = 0; j < program->launches[i].deps_count; j++) {
            const int before = program->dep_refs.items[program->launches[i].deps_first + j];
            uint64_t *const to = bits.words + (size_t)i * bits.row;
            for (size_t word = 0; word < bits.row; word++)
                to[word] |= bits.words[(size_t)before * bits.row + word];
            to[before / 64] |= (uint64_t)1 << (before % 64);
        }
    return bits;
}

static bool waits(const Proof *proof, Touch *const *touches, const Bits *reach, int later, int earlier)
{
    const ProgramLaunch *const a = &proof->program.launches[later], *const b = &proof->program.launches[earlier];
    for (int i = 0; i < a->buffers_count; i++)
        for (int j = 0; j < b->buffers_count; j++) {
            const Touch *const left = &touches[later][i], *const right = &touches[earlier][j];
            if ((left->write || right->write) && clash(left, right) && !bit(reach, later, earlier)) {
                printf("FAIL %s: launch %d (%s) does not wait for %d (%s): %s and %s are the same memory\n",
                       proof->name, later, a->name, earlier, b->name, left->root->payload.buffer->name,
                       right->root->payload.buffer->name);
                return false;
            }
        }
    return true;
}

/* What a launch reads was written last by a launch that meant the same value. */
static bool holds_value(const Proof *proof, Touch *const *touches, int launch)
{
    const ProgramLaunch *const reader = &proof->program.launches[launch];
    for (int i = 0; i < reader->buffers_count; i++) {
        const Touch *const wanted = &touches[launch][i];
        if (wanted->place != LATHE_PLACE_ARENA || wanted->from == wanted->to)
            continue;
        for (int before = launch - 1, done = 0; before >= 0 && !done; before--)
            for (int j = 0; j < proof->program.launches[before].buffers_count; j++) {
                const Touch *const written = &touches[before][j];
                if (!written->write || !clash(wanted, written))
                    continue;
                if (written->root != wanted->root && !wanted->write) {
                    printf("FAIL %s: launch %d reads %s, which launch %d wrote over with %s\n", proof->name, launch,
                           wanted->root->payload.buffer->name, before, written->root->payload.buffer->name);
                    return false;
                }
                done = 1; /* an older writer of part of it is found by other readers */
            }
    }
    return true;
}

/* Every planned buffer lies inside its slot, and inputs and outputs are as large as their tensors. */
static bool fits(const Proof *proof, Touch *const *touches, const SymbolValue *symbols)
{
    const Program *const program = &proof->program;
    for (int i = 0; i < program->launch_count; i++)
        for (int j = 0; j < program->launches[i].buffers_count; j++) {
            const Touch *const touch = &touches[i][j];
            int64_t bytes = INT64_MAX;
            if (touch->place == LATHE_PLACE_ARENA)
                bytes = index_evaluate(program->values[program->slot_bytes_value[touch->index]], symbols,
                                       program->symbol_count);
            else if (touch->place == LATHE_PLACE_WEIGHTS)
                bytes = program->compilation->weight_bytes;
            else
                bytes = bytes_of(proof,
                                 touch->place == LATHE_PLACE_INPUT ? program->module->inputs[touch->index]
                                                                   : program->module->outputs[touch->index],
                                 symbols);
            if (touch->from < 0 || touch->to > bytes) {
                printf("FAIL %s: launch %d: %s has bytes %lld to %lld of %lld\n", proof->name, i,
                       touch->root->payload.buffer->name, (long long)touch->from, (long long)touch->to,
                       (long long)bytes);
                return false;
            }
        }
    return true;
}

/* Beyond this many launches only neighbours are held against each other. */
enum { NEAR = 3000 };

static bool plan_holds(const Proof *proof, const SymbolValue *symbols)
{
    const Program *const program = &proof->program;
    Touch **const touches = calloc((size_t)program->launch_count + 1, sizeof *touches);
    for (int i = 0; i < program->launch_count; i++) {
        touches[i] = calloc((size_t)program->launches[i].buffers_count + 1, sizeof **touches);
        for (int j = 0; j < program->launches[i].buffers_count; j++)
            touches[i][j] = touch_of(proof, &program->launches[i], j, symbols);
    }
    Bits reach = reachable(program);
    bool good = fits(proof, touches, symbols);
    for (int i = 0; i < program->launch_count && good; i++) {
        good = holds_value(proof, touches, i);
        for (int j = i - 1; j >= 0 && j > i - NEAR && good; j--)
            good = waits(proof, touches, &reach, i, j);
    }
    for (int i = 0; i < program->launch_count; i++)
        free(touches[i]);
    free(touches);
    free(reach.words);
    return good;
}

enum { SETS = 3 };

bool proof_plan(const Proof *proof)
{
    const int count = proof->program.symbol_count;
    SymbolValue *const sets = NEW_ARRAY(proof->arena, SymbolValue, (size_t)(SETS * count) + 1);
    const int set_count = proof_symbols(proof, sets, SETS);
    for (int i = 0; i < set_count; i++)
        if (!plan_holds(proof, sets + i * count))
            return false;
    return true;
}

/* ---- running in planned memory ---- */

typedef struct World {
    Proof *proof;
    int level;
    const SymbolValue *symbols;
    Memory *inputs, *outputs, *expected;
    uint8_t *weights, **slots;
    bool infinite; /* some weight is, or no number */
    int64_t *slot_bytes;
    Code **codes; /* by kernel */
    int64_t work;
    int32_t error;
} World;

static Memory *open_tensors(const Proof *proof, Node *const *buffers, int count, const SymbolValue *symbols)
{
    Memory *const memory = calloc((size_t)count + 1, sizeof *memory);
    for (int i = 0; i < count; i++) {
        const int64_t bytes = bytes_of(proof, buffers[i], symbols);
        memory[i] = (Memory){calloc(1, bytes < 0 ? 1 : (size_t)bytes + 1), bytes < 0 ? 0 : (uint64_t)bytes};
    }
    return memory;
}

static void close_tensors(Memory *memory, int count)
{
    for (int i = 0; i < count; i++)
        free(memory[i].data);
    free(memory);
}

/* Inputs hold random values, and the values of symbols that are elements of inputs. */
static void fill_inputs(World *world, uint64_t seed)
{
    const Program *const program = &world->proof->program;
    for (int i = 0; i < program->module->input_count; i++)
        values_fill(world->proof->ir, program->module->inputs[i]->type.dtype, world->inputs[i].data,
                    world->inputs[i].bytes, VALUES_PLAIN, &seed);
    for (int i = 0; i < program->symbol_count; i++) {
        const ProgramSymbol *const symbol = &program->symbols[i];
        const size_t size = (size_t)dtype_info[program->module->inputs[symbol->input]->type.dtype].bits / 8;
        const int64_t value = world->symbols[i].value;
        if (symbol->element)
            memcpy((uint8_t *)world->inputs[symbol->input].data + (size_t)symbol->position * size, &value, size);
    }
}

static void fill_weights(World *world)
{
    const Program *const program = &world->proof->program;
    world->weights = calloc(1, (size_t)program->compilation->weight_bytes + 1);
    NodeMap seen;
    map_open(&seen, world->proof->arena);
    for (int i = 0; i < program->launch_count; i++)
        for (int j = 0; j < program->launches[i].buffers_count; j++) {
            Node *const root = buffer_root(program->launches[i].kernel->inputs[j]);
            const Buffer *const buffer = root->payload.buffer;
            if (buffer->place != PLACE_WEIGHT || map_has(&seen, root))
                continue;
            map_set(&seen, root, root);
            constant_pack(buffer->constant, root->type, &buffer->layout, world->weights + buffer->offset);
            const Constant *const constant = buffer->constant;
            world->infinite |= constant->data && !values_finite(root->type.dtype, constant->data, constant->bytes);
        }
}

static void *address(const World *world, const ProgramBuffer *buffer)
{
    switch (buffer->place) {
    case LATHE_PLACE_INPUT:
        return world->inputs[buffer->index].data;
    case LATHE_PLACE_OUTPUT:
        return world->outputs[buffer->index].data;
    case LATHE_PLACE_WEIGHTS:
        return world->weights + buffer->offset;
    default:
        return world->slots[buffer->index] + buffer->offset;
    }
}

static int64_t launch_units(const World *world, const ProgramLaunch *launch)
{
    const Program *const program = &world->proof->program;
    return index_evaluate(program->values[launch->units_value[world->level]], world->symbols, program->symbol_count);
}

static int32_t run_piece(World *world, const ProgramLaunch *launch, int64_t begin, int64_t end)
{
    const Program *const program = &world->proof->program;
    const ProgramKernel *const kernel = &program->kernels[launch->index];
    void *buffers[64];
    uint64_t bytes[64];
    int64_t dims[64];
    if (launch->buffers_count > 64 || launch->dims_count > 64)
        return INTERPRET_LIMIT;
    for (int i = 0; i < launch->buffers_count; i++) {
        buffers[i] = address(world, &program->buffers[program->buffer_refs.items[launch->buffers_first + i]]);
        bytes[i] = (uint64_t)bytes_of(world->proof, launch->kernel->inputs[i], world->symbols);
    }
    for (int i = 0; i < launch->dims_count; i++)
        dims[i] = index_evaluate(program->values[program->value_refs.items[launch->dims_first + i]], world->symbols,
                                 program->symbol_count);
    if (!world->codes[launch->index])
        world->codes[launch->index] = interpret_compile(world->proof->ir, kernel->scheduled[world->level]);
    const RunOptions options = {.work_limit = world->work};
    const int32_t result =
        interpret_run_with(world->codes[launch->index], buffers, bytes, dims, begin, end, &world->error, &options);
    if (result != INTERPRET_OK && result != INTERPRET_LIMIT)
        printf("FAIL %s: launch %s: %s\n", world->proof->name, launch->name,
               interpret_message(world->codes[launch->index]));
    return result;
}

/* Launches run in pieces, as threads run them. */
typedef struct Piece {
    int launch;
    int64_t begin, end; /* units */
    bool done;
} Piece;

enum { PIECES = 5 };

static Piece *cut_launches(const World *world, int *count)
{
    const Program *const program = &world->proof->program;
    Piece *const pieces = calloc((size_t)program->launch_count * PIECES + 1, sizeof *pieces);
    *count = 0;
    for (int i = 0; i < program->launch_count; i++) {
        const int64_t units = launch_units(world, &program->launches[i]), cuts = units < PIECES ? units : PIECES;
        for (int64_t j = 0; j < cuts; j++)
            pieces[(*count)++] = (Piece){i, units * j / cuts, units * (j + 1) / cuts, false};
    }
    return pieces;
}

/* Must the piece wait for the other one, by this entry of dep_refs? */
static bool waits_for(const World *world, int dep, const Piece *piece, const Piece *other)
{
    const Program *const program = &world->proof->program;
    if (program->dep_refs.items[dep] != other->launch)
        return false;
    if (!program->dep_ranges)
        return true;
    const Reach *const range = &program->dep_ranges[dep * program->level_count + world->level];
    const double most = (double)launch_units(world, &program->launches[other->launch]) - 1;
    const double last = fmin(fmax(floor(range->slope * (double)(piece->end - 1) + range->high + 1e-8), 0), most);
    const double first = fmin(fmax(ceil(range->slope * (double)piece->begin + range->low - 1e-8), 0), last);
    return (double)other->begin <= last && (double)(other->end - 1) >= first;
}

static bool may_run(const World *world, const Piece *pieces, int count, const Piece *piece)
{
    const ProgramLaunch *const launch = &world->proof->program.launches[piece->launch];
    for (int i = 0; i < count && pieces[i].launch < piece->launch; i++)
        for (int j = 0; j < launch->deps_count && !pieces[i].done; j++)
            if (waits_for(world, launch->deps_first + j, piece, &pieces[i]))
                return false;
    return true;
}

/* The next piece among those that need not wait: seed 0 in order, 1 the latest possible, else a random one. */
static int next_piece(const World *world, const Piece *pieces, int count, uint64_t *seed)
{
    int chosen = -1, ready = 0;
    for (int i = 0; i < count; i++) {
        if (pieces[i].done || !may_run(world, pieces, count, &pieces[i]))
            continue;
        if (*seed == 0)
            return i;
        ready++;
        if (*seed == 1 || random_below(seed, ready) == 0)
            chosen = i;
    }
    return chosen;
}

static int32_t run_order(World *world, uint64_t seed)
{
    const Program *const program = &world->proof->program;
    int32_t result = INTERPRET_OK;
    int count;
    Piece *const pieces = cut_launches(world, &count);
    const int slots = program->compilation->slot_count ? program->compilation->slot_count : 1;
    for (int i = 0; i < slots; i++)
        memset(world->slots[i], 0xff, (size_t)world->slot_bytes[i]);
    for (int i = 0; i < program->module->output_count; i++)
        memset(world->outputs[i].data, 0xff, world->outputs[i].bytes);
    world->error = 0;
    for (int i = 0; i < count && result == INTERPRET_OK; i++) {
        const int next = next_piece(world, pieces, count, &seed);
        if (next < 0)
            BUG("the launches of %s wait for each other", world->proof->name);
        pieces[next].done = true;
        result = run_piece(world, &program->launches[pieces[next].launch], pieces[next].begin, pieces[next].end);
    }
    free(pieces);
    return result;
}

/* The same stages in plain schedules and memory of their own. */
static int32_t run_plain(World *world, int32_t *error)
{
    Ir *const ir = world->proof->ir;
    const Program *const program = &world->proof->program;
    Module module = *program->module;
    const LoopsSchedule rows = {.lanes = 1024, .any_tail = true};
    module.body = block_make(ir);
    for (int i = 0; i < module.output_count; i++)
        memset(world->expected[i].data, 0xff,
               world->expected[i].bytes); /* bits behind the last element of sub-byte types stay as they are */
    for (int i = 0; i < program->module->body->count; i++)
        block_append(ir, module.body, loops_schedule(ir, program->module->body->nodes[i], &rows));
    return interpret_module(ir, &module, world->inputs, world->expected, world->symbols, program->symbol_count,
                            &(RunOptions){.work_limit = world->work}, error);
}

static bool has_tiles(const World *world)
{
    const Program *const program = &world->proof->program;
    for (int i = 0; i < program->kernel_count; i++)
        if (kernel_has_tiles(program->kernels[i].scheduled[world->level]))
            return true;
    return false;
}

/* The first order is compared with the plain stages, which sums of tile registers are near to; then it is what the
 * others are compared with. */
static int compare_outputs(const World *world, uint64_t order)
{
    const bool nearly = order == 0 && has_tiles(world);
    const Program *const program = &world->proof->program;
    for (int i = 0; i < program->module->output_count; i++) {
        const Dtype dtype = program->module->outputs[i]->type.dtype;
        const uint64_t bytes = world->outputs[i].bytes;
        const int64_t element = /* infinite weights make NaN of what would be infinite */
            nearly && world->infinite
                ? -1
                : (nearly ? values_far(dtype, world->expected[i].data, world->outputs[i].data, bytes)
                          : values_differ(dtype, world->expected[i].data, world->outputs[i].data, bytes, false));
        if (nearly)
            memcpy(world->expected[i].data, world->outputs[i].data, bytes);
        if (element < 0)
            continue;
        printf("FAIL %s: output %d[%lld] in order %llu: %s, and %s in memory of its own\n", world->proof->name, i,
               (long long)element, (unsigned long long)order,
               value_text(world->proof->arena, dtype, world->outputs[i].data, element),
               value_text(world->proof->arena, dtype, world->expected[i].data, element));
        return 1;
    }
    return 0;
}

static bool run_orders(World *world, int orders, int *failures)
{
    const Program *const program = &world->proof->program;
    int32_t expected_error = 0;
    if (run_plain(world, &expected_error) != INTERPRET_OK)
        return false;
    for (int order = 0; order <= orders; order++) {
        const int32_t result = run_order(world, (uint64_t)order);
        if (result == INTERPRET_LIMIT)
            return false;
        if (result != INTERPRET_OK || (world->error != 0) != (expected_error != 0)) {
            printf("FAIL %s: order %d: error %d instead of %d\n", world->proof->name, order, world->error,
                   expected_error);
            ++*failures;
            return true;
        }
        const int wrong = expected_error ? 0 : compare_outputs(world, (uint64_t)order);
        *failures += wrong;
        if (wrong || program->launch_count < 3)
            break;
    }
    return true;
}

bool proof_orders(Proof *proof, int level, int orders, int64_t work, int *failures)
{
    const Program *const program = &proof->program;
    const int slots = program->compilation->slot_count ? program->compilation->slot_count : 1;
    SymbolValue *const symbols = NEW_ARRAY(proof->arena, SymbolValue, (size_t)program->symbol_count + 1);
    if (proof_symbols(proof, symbols, 1) == 0)
        return false;
    World world = {.proof = proof, .level = level, .symbols = symbols, .work = work};
    world.inputs = open_tensors(proof, program->module->inputs, program->module->input_count, symbols);
    world.outputs = open_tensors(proof, program->module->outputs, program->module->output_count, symbols);
    world.expected = open_tensors(proof, program->module->outputs, program->module->output_count, symbols);
    world.slots = calloc((size_t)slots, sizeof *world.slots);
    world.slot_bytes = calloc((size_t)slots, sizeof *world.slot_bytes);
    world.codes = calloc((size_t)program->kernel_count + 1, sizeof *world.codes);
    for (int i = 0; i < slots; i++) {
        world.slot_bytes[i] =
            index_evaluate(program->values[program->slot_bytes_value[i]], symbols, program->symbol_count);
        world.slots[i] = malloc((size_t)world.slot_bytes[i] + 1);
    }
    fill_inputs(&world, 1);
    fill_weights(&world);
    const bool whole = run_orders(&world, orders, failures);
    for (int i = 0; i < slots; i++)
        free(world.slots[i]);
    close_tensors(world.inputs, program->module->input_count);
    close_tensors(world.outputs, program->module->output_count);
    close_tensors(world.expected, program->module->output_count);
    free(world.slots);
    free(world.slot_bytes);
    free(world.codes);
    free(world.weights);
    return whole;
}
