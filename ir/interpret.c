/* Running code: one loop over instructions. Registers, locals and their written-bits are one block of memory per run.
 */
#include "ir/run.h"
#include "ir/scalar.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- failures ---- */

int32_t run_fail(const Code *code, int32_t result, const char *format, ...)
{
    const int used = snprintf(code->message, CODE_MESSAGE_BYTES, "kernel %.100s: ", code->name ? code->name : "?");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(code->message + used, (size_t)(CODE_MESSAGE_BYTES - used), format, arguments);
    va_end(arguments);
    return result;
}

int32_t run_fail_access(const Run *run, const Instruction *instruction, int64_t offset, int32_t result)
{
    const CodeBuffer *const buffer = &run->code->buffers[instruction->buffer];
    const Buffer *const payload = buffer->node->payload.buffer;
    char thread[64] = "";
    if (run->group)
        snprintf(thread, sizeof thread, " (thread %d of block %lld)", run->thread, (long long)run->group->block);
    return run_fail(run->code, result, "%s of %d elements at offset %lld of buffer %.60s %s %llu elements%s",
                    op_name(instruction->node->op),
                    instruction->opcode == CODE_GATHER || instruction->opcode == CODE_SCATTER ? 1 : instruction->lanes,
                    (long long)offset, payload->name ? payload->name : "?",
                    result == INTERPRET_RANGE ? "of"
                    : run->views[instruction->buffer].shared
                        ? "reads what was never written, or by another thread with no barrier between, of"
                        : "reads what was never written, of",
                    (unsigned long long)run->views[instruction->buffer].elements, thread);
}

/* ---- elements in memory ---- */

static bool is_packed(Dtype dtype)
{
    return dtype_info[dtype].bits < 8;
}

static uint8_t packed_get(const uint8_t *data, uint64_t offset, Dtype dtype)
{
    const int bits = dtype_info[dtype].bits, per_byte = 8 / bits;
    const int value =
        data[offset / (uint64_t)per_byte] >> (offset % (uint64_t)per_byte * (unsigned)bits) & ((1 << bits) - 1);
    const int sign = dtype_is_signed(dtype) ? 1 << (bits - 1) : 0;
    return (uint8_t)((value ^ sign) - sign);
}

static void packed_set(uint8_t *data, uint64_t offset, Dtype dtype, uint8_t value)
{
    const int bits = dtype_info[dtype].bits, per_byte = 8 / bits;
    const int shift = (int)(offset % (uint64_t)per_byte) * bits, mask = (1 << bits) - 1;
    uint8_t *const byte = data + offset / (uint64_t)per_byte;
    *byte = (uint8_t)((*byte & ~(mask << shift)) | (value & mask) << shift);
}

static void element_get(void *to, const View *view, uint64_t offset, Dtype dtype, int bytes)
{
    switch (bytes) {
    case 1:
        *(uint8_t *)to = is_packed(dtype)      ? packed_get(view->data, offset, dtype)
                         : dtype == DTYPE_BOOL ? view->data[offset] != 0
                                               : view->data[offset];
        return;
    case 2:
        memcpy(to, view->data + offset * 2, 2);
        return;
    case 4:
        memcpy(to, view->data + offset * 4, 4);
        return;
    default:
        memcpy(to, view->data + offset * 8, 8);
        return;
    }
}

static void element_put(const View *view, uint64_t offset, const void *from, Dtype dtype, int bytes)
{
    switch (bytes) {
    case 1:
        if (is_packed(dtype))
            packed_set(view->data, offset, dtype, *(const uint8_t *)from);
        else
            view->data[offset] = *(const uint8_t *)from;
        return;
    case 2:
        memcpy(view->data + offset * 2, from, 2);
        return;
    case 4:
        memcpy(view->data + offset * 4, from, 4);
        return;
    default:
        memcpy(view->data + offset * 8, from, 8);
        return;
    }
}

static bool is_written(const View *view, uint64_t offset)
{
    return !view->written || view->written[offset / 8] >> (offset % 8) & 1;
}

static void mark_written(const View *view, uint64_t offset)
{
    if (view->written)
        view->written[offset / 8] |= (uint8_t)(1 << (offset % 8));
}

/* Is the row 0..lanes-1 at `offset` inside? Written so that no sum overflows. */
static bool row_is_inside(const View *view, int64_t offset, int lanes)
{
    return offset >= 0 && (uint64_t)offset <= view->elements && view->elements - (uint64_t)offset >= (uint64_t)lanes;
}

/* ---- accesses ---- */

/* Lane by lane: masks, gathers, scatters, packed elements, watched locals. Masked-off lanes are not touched, nor are
 * their offsets read as places. */
static int32_t access_lanes(const Run *run, const Instruction *instruction, bool is_store)
{
    const View *const view = &run->views[instruction->buffer];
    const Dtype dtype = (Dtype)instruction->immediate;
    const int bytes = row_bytes(dtype);
    const bool indexed = instruction->opcode == CODE_GATHER || instruction->opcode == CODE_SCATTER;
    const uint32_t mask_place = is_store ? instruction->c : instruction->b;
    const uint8_t *const mask = mask_place == NO_REGISTER ? NULL : run->frame + mask_place;
    const int64_t *const offsets = (const int64_t *)(run->frame + instruction->a);
    uint8_t *const row = run->frame + (is_store ? instruction->b : instruction->to);
    const int64_t first = offsets[0];
    for (int i = 0; i < instruction->lanes; i++) {
        uint8_t *const lane = row + i * bytes;
        if (mask && !mask[i]) {
            if (!is_store)
                memmove(lane, run->frame + instruction->c + i * bytes, (size_t)bytes);
            continue;
        }
        int64_t offset = indexed ? offsets[i] : first;
        if (!indexed && __builtin_add_overflow(first, i, &offset))
            return run_fail_access(run, instruction, first, INTERPRET_RANGE);
        if (offset < 0 || (uint64_t)offset >= view->elements)
            return run_fail_access(run, instruction, offset, INTERPRET_RANGE);
        if (view->cells) {
            const int32_t result = (is_store ? race_write : race_read)(run, view, instruction, (uint64_t)offset);
            if (result)
                return result;
        }
        if (is_store) {
            element_put(view, (uint64_t)offset, lane, dtype, bytes);
            mark_written(view, (uint64_t)offset);
        } else {
            if (!is_written(view, (uint64_t)offset))
                return run_fail_access(run, instruction, offset, INTERPRET_UNWRITTEN);
            element_get(lane, view, (uint64_t)offset, dtype, bytes);
        }
    }
    return INTERPRET_OK;
}

/* All lanes of a row in a watched buffer. */
static int32_t row_touched(const Run *run, const View *view, const Instruction *instruction, uint64_t offset,
                           bool write)
{
    int32_t result = INTERPRET_OK;
    for (uint64_t i = offset; i < offset + (uint64_t)instruction->lanes && !result; i++)
        if (write)
            result = race_write(run, view, instruction, i);
        else if (!race_read_again(run, view, i))
            result = race_read(run, view, instruction, i);
    return result;
}

static int32_t load_row(const Run *run, const Instruction *instruction)
{
    const View *const view = &run->views[instruction->buffer];
    const Dtype dtype = (Dtype)instruction->immediate;
    const int64_t offset = *(const int64_t *)(run->frame + instruction->a);
    if (instruction->b != NO_REGISTER || view->written || is_packed(dtype) || dtype == DTYPE_BOOL)
        return access_lanes(run, instruction, false);
    if (!row_is_inside(view, offset, instruction->lanes))
        return run_fail_access(run, instruction, offset, INTERPRET_RANGE);
    const int32_t result = view->cells ? row_touched(run, view, instruction, (uint64_t)offset, false) : INTERPRET_OK;
    const int bytes = row_bytes(dtype);
    if (instruction->lanes == 1)
        element_get(run->frame + instruction->to, view, (uint64_t)offset, dtype, bytes);
    else
        memcpy(run->frame + instruction->to, view->data + (uint64_t)offset * (uint64_t)bytes,
               (size_t)(instruction->lanes * bytes));
    return result;
}

static int32_t store_row(const Run *run, const Instruction *instruction)
{
    const View *const view = &run->views[instruction->buffer];
    const Dtype dtype = (Dtype)instruction->immediate;
    const int64_t offset = *(const int64_t *)(run->frame + instruction->a);
    if (instruction->c != NO_REGISTER || view->written || is_packed(dtype))
        return access_lanes(run, instruction, true);
    if (!row_is_inside(view, offset, instruction->lanes))
        return run_fail_access(run, instruction, offset, INTERPRET_RANGE);
    const int32_t result = view->cells ? row_touched(run, view, instruction, (uint64_t)offset, true) : INTERPRET_OK;
    const int bytes = row_bytes(dtype);
    if (instruction->lanes == 1)
        element_put(view, (uint64_t)offset, run->frame + instruction->b, dtype, bytes);
    else
        memcpy(view->data + (uint64_t)offset * (uint64_t)bytes, run->frame + instruction->b,
               (size_t)(instruction->lanes * bytes));
    return result;
}

/* Lane j with lane j + half, until one lane is left; the halves go from scratch to scratch, one behind the other. */
static void reduce_row(uint8_t *frame, const Instruction *instruction)
{
    const int bytes = (int)instruction->immediate;
    const uint8_t *from = frame + instruction->a;
    uint8_t *to = frame + instruction->b;
    for (int half = instruction->lanes / 2; half > 0; half /= 2) {
        instruction->row(to, from, from + half * bytes, NULL, half);
        from = to;
        to += half * bytes;
    }
    memcpy(frame + instruction->to, from, (size_t)bytes);
}

/* ---- the loop ---- */

/* Places are used again for other types, and the compiler must not take that for an impossibility. */
typedef int64_t Whole __attribute__((may_alias));
typedef float Real __attribute__((may_alias));
#define INT64_AT(place)  (*(Whole *)(frame + (place)))
#define FLOAT_AT(place)  (*(Real *)(frame + (place)))
#define UINT64_AT(place) ((uint64_t)INT64_AT(place))

int32_t run_instructions(Run *run)
{
    uint8_t *const frame = run->frame;
    const Instruction *at = run->at;
    for (;; at++) {
        int32_t result = INTERPRET_OK;
        switch ((Opcode)at->opcode) {
        case CODE_STOP:
            return INTERPRET_OK;
        case CODE_ROW:
            at->row(frame + at->to, frame + at->a, frame + at->b, frame + at->c, at->lanes);
            break;
        case CODE_COPY:
            memcpy(frame + at->to + at->immediate, frame + at->a, (size_t)at->lanes);
            break;
        case CODE_REDUCE:
            reduce_row(frame, at);
            break;
        case CODE_FOR:
            if (INT64_AT(at->c) <= 0)
                return run_fail(run->code, INTERPRET_STEP, "the step of a loop is not positive");
            INT64_AT(at->to) = INT64_AT(at->a);
            if (INT64_AT(at->to) >= INT64_AT(at->b))
                at += at->jump - 1;
            break;
        case CODE_NEXT: {
            int64_t next;
            run->work -= at->immediate;
            if (__builtin_add_overflow(INT64_AT(at->to), INT64_AT(at->c), &next) || next >= INT64_AT(at->b))
                break;
            if (run->work < 0 && run->limited)
                return run_fail(run->code, INTERPRET_LIMIT, "more work than allowed");
            INT64_AT(at->to) = next;
            at += at->jump - 1;
            break;
        }
        case CODE_AGAIN:
            run->work -= at->immediate;
            if (run->work < 0 && run->limited)
                return run_fail(run->code, INTERPRET_LIMIT, "more work than allowed");
            at += at->jump - 1;
            break;
        case CODE_JUMP:
            at += at->jump - 1;
            break;
        case CODE_UNLESS:
            if (!frame[at->a])
                at += at->jump - 1;
            break;
        case CODE_BREAK:
            if (frame[at->a])
                at += at->jump - 1;
            break;
        case CODE_LOAD:
            result = load_row(run, at);
            break;
        case CODE_GATHER:
            result = access_lanes(run, at, false);
            break;
        case CODE_STORE:
            result = store_row(run, at);
            break;
        case CODE_SCATTER:
            result = access_lanes(run, at, true);
            break;
        case CODE_TILE:
            result = tile_run(run, at);
            break;
        case CODE_CHECK:
            if (!frame[at->a] && *run->error == 0)
                *run->error = (int32_t)at->immediate;
            break;
        case CODE_BARRIER:
        case CODE_SHUFFLE:
        case CODE_MMA:
            run->at = at;
            return RUN_WAITS;
        case CODE_COPY_ASYNC:
            result = threads_copy(run, at);
            break;
        case CODE_COMMIT:
            run->group->threads[run->thread].closed++;
            break;
        case CODE_WAIT:
            threads_wait(run, at->immediate);
            break;
        case CODE_ADD_64:
            INT64_AT(at->to) = (int64_t)(UINT64_AT(at->a) + UINT64_AT(at->b));
            break;
        case CODE_SUB_64:
            INT64_AT(at->to) = (int64_t)(UINT64_AT(at->a) - UINT64_AT(at->b));
            break;
        case CODE_MUL_64:
            INT64_AT(at->to) = (int64_t)(UINT64_AT(at->a) * UINT64_AT(at->b));
            break;
        case CODE_MIN_64:
            INT64_AT(at->to) = INT64_AT(at->a) < INT64_AT(at->b) ? INT64_AT(at->a) : INT64_AT(at->b);
            break;
        case CODE_MAX_64:
            INT64_AT(at->to) = INT64_AT(at->a) > INT64_AT(at->b) ? INT64_AT(at->a) : INT64_AT(at->b);
            break;
        case CODE_LT_64:
            frame[at->to] = INT64_AT(at->a) < INT64_AT(at->b);
            break;
        case CODE_LE_64:
            frame[at->to] = INT64_AT(at->a) <= INT64_AT(at->b);
            break;
        case CODE_EQ_64:
            frame[at->to] = INT64_AT(at->a) == INT64_AT(at->b);
            break;
        case CODE_ADD_F32:
            FLOAT_AT(at->to) = FLOAT_AT(at->a) + FLOAT_AT(at->b);
            break;
        case CODE_SUB_F32:
            FLOAT_AT(at->to) = FLOAT_AT(at->a) - FLOAT_AT(at->b);
            break;
        case CODE_MUL_F32:
            FLOAT_AT(at->to) = FLOAT_AT(at->a) * FLOAT_AT(at->b);
            break;
        case CODE_COUNT:
            BUG("kernel %s: no such instruction", run->code->name);
        }
        if (result != INTERPRET_OK)
            return result;
    }
}

/* ---- runs ---- */

/* Bits of watched locals, one after the other, whole 64-byte lines each. */
static uint64_t written_bytes(const Code *code)
{
    uint64_t bytes = 0;
    for (int i = code->parameter_count; i < code->buffer_count; i++)
        bytes += code->buffers[i].shared ? 0 : run_align((uint64_t)code->buffers[i].elements / 8 + 1);
    return bytes;
}

/* No view reaches beyond what fits 64-bit arithmetic on bits. */
uint64_t run_elements(uint64_t bytes, int bits)
{
    return bits >= 8                 ? bytes / ((uint64_t)bits / 8)
           : bytes > UINT64_MAX / 16 ? UINT64_MAX / 16
                                     : bytes * (8 / (uint64_t)bits);
}

size_t run_bytes(const Code *code, const RunOptions *options)
{
    const size_t fixed = run_align(code->frame_bytes) + run_align((size_t)code->buffer_count * sizeof(View)) +
                         (options->detect_unwritten ? written_bytes(code) : 0);
    return (uint64_t)code->local_bytes > SIZE_MAX - fixed - 64 ? SIZE_MAX
                                                               : run_align(fixed + (size_t)code->local_bytes);
}

void run_open(Run *run, uint8_t *memory, void *const *buffers, const uint64_t *buffer_bytes, const RunOptions *options)
{
    const Code *const code = run->code;
    run->frame = memory;
    run->views = (View *)(memory + run_align(code->frame_bytes));
    run->written = (uint8_t *)run->views + run_align((size_t)code->buffer_count * sizeof(View));
    run->written_bytes = options->detect_unwritten ? written_bytes(code) : 0;
    run->locals = run->written + run->written_bytes;
    uint8_t *written = run->written_bytes ? run->written : NULL;
    for (int i = 0; i < code->buffer_count; i++) {
        const CodeBuffer *const buffer = &code->buffers[i];
        run->views[i] = buffer->local
                            ? (View){.data = run->locals + buffer->offset, .elements = (uint64_t)buffer->elements}
                            : (View){.data = buffers[i], .elements = run_elements(buffer_bytes[i], buffer->bits)};
        if (!buffer->local || buffer->shared || !written)
            continue;
        run->views[i].written = written;
        written += run_align((uint64_t)buffer->elements / 8 + 1);
    }
}

void run_begin(Run *run, const int64_t *dims, int64_t begin, int64_t end)
{
    const Code *const code = run->code;
    memcpy(run->frame, code->image, code->image_bytes);
    memcpy(run->frame + code->begin, &begin, sizeof begin);
    memcpy(run->frame + code->end, &end, sizeof end);
    if (code->dim_count)
        memcpy(run->frame + code->dims, dims, (size_t)code->dim_count * sizeof *dims);
    memset(run->written, 0, run->written_bytes);
    memset(run->locals, 0xff, (size_t)code->local_bytes); /* NaN, so that what is read unwritten shows */
    run->at = code->instructions;
}

int32_t code_run(const Code *code, void *const *buffers, const uint64_t *buffer_bytes, const int64_t *dims,
                 int64_t begin, int64_t end, int32_t *error, const RunOptions *options, int64_t *work_done)
{
    if (code->threads)
        return threads_run(code, buffers, buffer_bytes, dims, begin, end, error, options, work_done);
    const size_t bytes = run_bytes(code, options);
    uint8_t *const block = bytes < SIZE_MAX - 64 ? malloc(bytes + 64) : NULL;
    if (!block)
        return run_fail(code, INTERPRET_MEMORY, "no memory for its registers and locals");
    int32_t ignored = 0;
    Run run = {.code = code,
               .work = options->work_limit - code->work,
               .limited = options->work_limit > 0,
               .error = error ? error : &ignored};
    run_open(&run, (uint8_t *)run_align((uintptr_t)block), buffers, buffer_bytes, options);
    run_begin(&run, dims, begin, end);
    const int32_t result = run_instructions(&run);
    *work_done = options->work_limit - run.work;
    free(block);
    return result;
}

int32_t interpret_run_with(const Code *code, void *const *buffers, const uint64_t *buffer_bytes, const int64_t *dims,
                           int64_t begin, int64_t end, int32_t *error, const RunOptions *options)
{
    int64_t work;
    return code_run(code, buffers, buffer_bytes, dims, begin, end, error, options, &work);
}

int32_t interpret_run(const Code *code, void *const *buffers, const uint64_t *buffer_bytes, const int64_t *dims,
                      int64_t begin, int64_t end, int32_t *error)
{
    return interpret_run_with(code, buffers, buffer_bytes, dims, begin, end, error, &(RunOptions){0});
}

const char *interpret_message(const Code *code)
{
    return code->message;
}
