/* Host functions of sequences. An index counts from the end when it is negative. */
#include "runtime/host.h"
#include "runtime/libc.h"
#include "runtime/script.h"

static int index_read(Run *run, const lathe_step *step, int input, int64_t most, int64_t count, int64_t *index)
{
    const int code = run_want_integer(run, step, input, index);
    if (code != LATHE_OK)
        return code;
    const int64_t given = *index;
    if (*index < 0)
        *index += count;
    if (*index < 0 || *index > most)
        return run_fail(run, step, LATHE_E_INDEX, "position %i is outside of a sequence of %i", given, count);
    return LATHE_OK;
}

int lathe_host_SequenceEmpty(Run *run, const lathe_step *step)
{
    Value *sequence = value_sequence(run, step, (int32_t)step_integer(step, "dtype", DTYPE_FLOAT), 0);
    if (sequence == NULL)
        return LATHE_E_MEMORY;
    run_give(run, step, 0, sequence);
    return LATHE_OK;
}

int lathe_host_SequenceConstruct(Run *run, const lathe_step *step)
{
    Value *first;
    int code = run_want_tensor(run, step, 0, 0, &first);
    if (code != LATHE_OK)
        return code;
    Value *sequence = value_sequence(run, step, first->dtype, step->input_count);
    if (sequence == NULL)
        return LATHE_E_MEMORY;
    for (int i = 0; i < step->input_count && code == LATHE_OK; i++) {
        Value *item;
        code = run_want_tensor(run, step, i, first->dtype, &item);
        if (code == LATHE_OK)
            code = value_append(run, step, sequence, value_retain(item));
    }
    if (code == LATHE_OK)
        run_give(run, step, 0, sequence);
    else
        value_release(run, sequence);
    return code;
}

/* The sequence in input 0 to be changed: itself when nobody else wants it, else a copy of its list. */
static Value *sequence_own(Run *run, const lathe_step *step, const Value *sequence)
{
    if (run_is_last(run, step, 0))
        return run_take(run, step, 0);
    Value *copy = value_sequence(run, step, sequence->dtype, sequence->count + 1);
    for (int64_t i = 0; copy != NULL && i < sequence->count; i++)
        copy->items[copy->count++] = value_retain(sequence->items[i]);
    return copy;
}

int lathe_host_SequenceInsert(Run *run, const lathe_step *step)
{
    Value *sequence, *item;
    int code = run_want_sequence(run, step, 0, &sequence);
    if (code == LATHE_OK)
        code = run_want_tensor(run, step, 1, sequence->dtype, &item);
    if (code != LATHE_OK)
        return code;
    int64_t at = sequence->count;
    const Value *position = run_value(run, step, 2);
    if (position != NULL && position->form != LATHE_NOTHING)
        code = index_read(run, step, 2, sequence->count, sequence->count, &at);
    if (code != LATHE_OK)
        return code;
    value_retain(item);
    sequence = sequence_own(run, step, sequence);
    if (sequence == NULL) {
        value_release(run, item);
        return LATHE_E_MEMORY;
    }
    code = value_append(run, step, sequence, item);
    if (code != LATHE_OK) {
        value_release(run, sequence);
        return code;
    }
    for (int64_t i = sequence->count - 1; i > at; i--)
        sequence->items[i] = sequence->items[i - 1];
    sequence->items[at] = item;
    sequence->dtype = item->dtype;
    run_give(run, step, 0, sequence);
    return LATHE_OK;
}

int lathe_host_SequenceErase(Run *run, const lathe_step *step)
{
    Value *sequence;
    int code = run_want_sequence(run, step, 0, &sequence);
    if (code != LATHE_OK)
        return code;
    int64_t at = sequence->count - 1;
    const Value *position = run_value(run, step, 1);
    if (position != NULL && position->form != LATHE_NOTHING)
        code = index_read(run, step, 1, sequence->count - 1, sequence->count, &at);
    if (code != LATHE_OK)
        return code;
    if (at < 0)
        return run_fail(run, step, LATHE_E_INDEX, "there is nothing to erase in an empty sequence");
    sequence = sequence_own(run, step, sequence);
    if (sequence == NULL)
        return LATHE_E_MEMORY;
    value_release(run, sequence->items[at]);
    sequence->count--;
    for (int64_t i = at; i < sequence->count; i++)
        sequence->items[i] = sequence->items[i + 1];
    run_give(run, step, 0, sequence);
    return LATHE_OK;
}

int lathe_host_SequenceAt(Run *run, const lathe_step *step)
{
    Value *sequence;
    int64_t at;
    int code = run_want_sequence(run, step, 0, &sequence);
    if (code == LATHE_OK)
        code = index_read(run, step, 1, sequence->count - 1, sequence->count, &at);
    if (code == LATHE_OK)
        run_give(run, step, 0, value_retain(sequence->items[at]));
    return code;
}

int lathe_host_SequenceLength(Run *run, const lathe_step *step)
{
    Value *sequence;
    void *data;
    int code = run_want_sequence(run, step, 0, &sequence);
    if (code == LATHE_OK)
        code = run_tensor(run, step, 0, DTYPE_INT64, 0, NULL, &data);
    if (code == LATHE_OK && data != NULL)
        *(int64_t *)data = sequence->count;
    return code;
}

/* --- axes ------------------------------------------------------------------------------------------------------------------- */

static int axis_read(Run *run, const lathe_step *step, int32_t rank, int64_t *axis)
{
    const int64_t given = step_integer(step, "axis", 0);
    *axis = given < 0 ? given + rank : given;
    if (*axis < 0 || *axis >= rank)
        return run_fail(run, step, LATHE_E_SHAPE, "axis %i is outside of rank %i", given, (int64_t)rank);
    return LATHE_OK;
}

static int64_t product(const int64_t *dims, int64_t first, int64_t end)
{
    int64_t all = 1;
    for (int64_t i = first; i < end; i++)
        all *= dims[i];
    return all;
}

/* How a tensor is cut along an axis. sizes NULL: `each` and a rest. */
typedef struct Cut {
    int64_t axis, pieces, each;
    const Value *sizes;
    bool keeps; /* the axis; else pieces are of size 1 and lose it */
} Cut;

static int64_t integer_at(const Value *value, int64_t position)
{
    return value->dtype == DTYPE_INT64 ? ((const int64_t *)value->data)[position] : ((const int32_t *)value->data)[position];
}

static int64_t cut_size(const Cut *cut, int64_t piece, int64_t done, int64_t extent)
{
    if (cut->sizes != NULL)
        return integer_at(cut->sizes, piece);
    return extent - done < cut->each ? extent - done : cut->each;
}

static int cut_read(Run *run, const lathe_step *step, const Value *input, Cut *cut)
{
    *cut = (Cut){.each = 1};
    int code = axis_read(run, step, input->rank, &cut->axis);
    if (code != LATHE_OK)
        return code;
    const int64_t extent = input->dims[cut->axis];
    Value *split = run_value(run, step, 1);
    cut->keeps = (split != NULL && split->form == LATHE_TENSOR) || step_integer(step, "keepdims", 1) != 0;
    cut->pieces = extent;
    if (split == NULL || split->form != LATHE_TENSOR)
        return LATHE_OK;
    if (split->dtype != DTYPE_INT64 && split->dtype != DTYPE_INT32)
        return run_fail(run, step, LATHE_E_DTYPE, "the sizes of the pieces are %s but must be integers", text_of_dtype(split->dtype));
    if (split->rank == 0) {
        cut->each = integer_at(split, 0);
        if (cut->each <= 0)
            return run_fail(run, step, LATHE_E_SHAPE, "pieces of %i cannot be made", cut->each);
        cut->pieces = extent / cut->each + (extent % cut->each != 0);
        return LATHE_OK;
    }
    int64_t sum = 0;
    for (int64_t i = 0; i < split->count; i++) {
        const int64_t size = integer_at(split, i);
        if (size < 0 || size > extent - sum)
            return run_fail(run, step, LATHE_E_SHAPE, "piece %i of %i elements does not fit: the axis has %i", i, size, extent);
        sum += size;
    }
    if (sum != extent)
        return run_fail(run, step, LATHE_E_SHAPE, "the pieces have %i elements together, the axis %i", sum, extent);
    cut->sizes = split;
    cut->pieces = split->count;
    return LATHE_OK;
}

static Value *piece_make(Run *run, const lathe_step *step, const Value *input, const Cut *cut, int64_t first, int64_t size)
{
    int64_t dims[RANK_MOST];
    int32_t rank = 0;
    for (int32_t i = 0; i < input->rank; i++)
        if (cut->keeps || i != cut->axis)
            dims[rank++] = i == cut->axis ? size : input->dims[i];
    Value *piece = value_tensor(run, step, input->dtype, rank, dims);
    if (piece == NULL || piece->count == 0)
        return piece;
    const int64_t outer = product(input->dims, 0, cut->axis), inner = product(input->dims, cut->axis + 1, input->rank);
    const int64_t extent = input->dims[cut->axis];
    for (int64_t i = 0; i < outer; i++)
        elements_copy(piece->data, i * size * inner, input->data, (i * extent + first) * inner, size * inner, dtype_bits(input->dtype));
    return piece;
}

int lathe_host_SplitToSequence(Run *run, const lathe_step *step)
{
    Value *input;
    Cut cut;
    int code = run_want_tensor(run, step, 0, 0, &input);
    if (code == LATHE_OK)
        code = cut_read(run, step, input, &cut);
    if (code != LATHE_OK)
        return code;
    Value *sequence = value_sequence(run, step, input->dtype, cut.pieces);
    if (sequence == NULL)
        return LATHE_E_MEMORY;
    int64_t done = 0;
    for (int64_t i = 0; i < cut.pieces && code == LATHE_OK; i++) {
        const int64_t size = cut_size(&cut, i, done, input->dims[cut.axis]);
        code = value_append(run, step, sequence, piece_make(run, step, input, &cut, done, size));
        done += size;
    }
    if (code == LATHE_OK)
        run_give(run, step, 0, sequence);
    else
        value_release(run, sequence);
    return code;
}

/* --- concatenation ---------------------------------------------------------------------------------------------------------- */

/* Dims of the result: items agree but along the axis; with `fresh` in everything, and the axis is a new one. */
static int joined_dims(Run *run, const lathe_step *step, const Value *sequence, int64_t axis, bool fresh, int64_t *dims)
{
    const Value *first = sequence->items[0];
    for (int32_t i = 0, to = 0; i < first->rank; i++, to++) {
        if (fresh && i == axis)
            to++;
        dims[to] = first->dims[i];
    }
    if (fresh)
        dims[axis] = sequence->count;
    for (int64_t k = 1; k < sequence->count; k++) {
        const Value *item = sequence->items[k];
        bool same = item->rank == first->rank && item->dtype == first->dtype;
        for (int32_t i = 0; i < item->rank && same; i++)
            same = (!fresh && i == axis) || item->dims[i] == first->dims[i];
        if (!same)
            return run_fail(run, step, LATHE_E_SHAPE, "item %i does not fit to item 0: their ranks, types or dims differ", k);
        if (!fresh && __builtin_add_overflow(dims[axis], item->dims[axis], &dims[axis]))
            return run_fail(run, step, LATHE_E_SHAPE, "the result has more than 2^63 elements");
    }
    return LATHE_OK;
}

int lathe_host_ConcatFromSequence(Run *run, const lathe_step *step)
{
    Value *sequence;
    int64_t axis, dims[RANK_MOST + 1];
    void *data;
    const bool fresh = step_integer(step, "new_axis", 0) != 0;
    int code = run_want_sequence(run, step, 0, &sequence);
    if (code != LATHE_OK)
        return code;
    if (sequence->count == 0)
        return run_fail(run, step, LATHE_E_SHAPE, "an empty sequence cannot be concatenated");
    const Value *first = sequence->items[0];
    const int32_t rank = first->rank + fresh;
    code = axis_read(run, step, rank, &axis);
    if (code == LATHE_OK)
        code = joined_dims(run, step, sequence, axis, fresh, dims);
    if (code == LATHE_OK)
        code = run_tensor(run, step, 0, first->dtype, rank, dims, &data);
    if (code != LATHE_OK || data == NULL || elements_count(rank, dims) == 0)
        return code;
    const int64_t outer = product(dims, 0, axis), inner = product(dims, axis + 1, rank), whole = dims[axis] * inner;
    int64_t done = 0;
    for (int64_t k = 0; k < sequence->count; k++) {
        const Value *item = sequence->items[k];
        const int64_t run_of = (fresh ? 1 : item->dims[axis]) * inner;
        for (int64_t i = 0; i < outer; i++)
            elements_copy(data, i * whole + done, item->data, i * run_of, run_of, dtype_bits(item->dtype));
        done += run_of;
    }
    return LATHE_OK;
}
