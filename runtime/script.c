/* Walking a script: steps in order, bodies within bodies. Depth is a stack of frames, as many as there are bodies: none runs inside
 * itself. */
#include "runtime/libc.h"
#include "runtime/script.h"

static const char *const form_texts[] = {"tensor", "sequence"};

/* --- what steps say --------------------------------------------------------------------------------------------------------- */

void run_name(Run *run, const lathe_step *step)
{
    const bool named = step != NULL && step->name != NULL;
    text_format(run->main->text, TEXT_SIZE, named ? "node '%s': " : "model '%s': ", named ? step->name : run->program->name);
}

static void slot_set(Run *run, int32_t slot, Value *value)
{
    if (slot == LATHE_NO_SLOT) {
        value_release(run, value);
        return;
    }
    Value *before = run->slots[slot];
    run->slots[slot] = value;
    value_release(run, before);
}

Value *run_value(const Run *run, const lathe_step *step, int input)
{
    const int32_t slot = input < step->input_count ? step->inputs[input] : LATHE_NO_SLOT;
    return slot == LATHE_NO_SLOT ? NULL : run->slots[slot];
}

void run_give(Run *run, const lathe_step *step, int output, Value *value)
{
    slot_set(run, output < step->output_count ? step->outputs[output] : LATHE_NO_SLOT, value);
}

bool run_is_last(const Run *run, const lathe_step *step, int input)
{
    const Value *value = run_value(run, step, input);
    if (value == NULL || value->references != 1 || value->borrowed)
        return false;
    for (int32_t i = 0; i < step->end_count; i++)
        if (step->ends[i] == step->inputs[input])
            return true;
    return false;
}

Value *run_take(Run *run, const lathe_step *step, int input)
{
    Value **slot = &run->slots[step->inputs[input]];
    Value *value = *slot;
    *slot = NULL;
    return value;
}

int run_tensor(Run *run, const lathe_step *step, int output, int32_t dtype, int32_t rank, const int64_t *dims, void **data)
{
    *data = NULL;
    const int32_t slot = output < step->output_count ? step->outputs[output] : LATHE_NO_SLOT;
    if (slot == LATHE_NO_SLOT)
        return LATHE_OK;
    const int32_t given = run->outputs[slot] - 1;
    void *memory = given >= 0 ? run->given[given] : NULL;
    if (memory != NULL && elements_bytes(elements_count(rank, dims), dtype_bits(dtype)) != (int64_t)run->given_bytes[given])
        memory = NULL; /* the end of the run tells what is wrong */
    Value *value = memory != NULL ? value_borrow(run, step, dtype, rank, dims, memory) : value_tensor(run, step, dtype, rank, dims);
    if (value == NULL)
        return LATHE_E_MEMORY;
    slot_set(run, slot, value);
    *data = value->data;
    return LATHE_OK;
}

int run_want_tensor(Run *run, const lathe_step *step, int input, int32_t dtype, Value **value)
{
    *value = run_value(run, step, input);
    if (*value == NULL || (*value)->form != LATHE_TENSOR)
        return run_fail(run, step, LATHE_E_ARGUMENT, "input %i is not there or no tensor", (int64_t)input);
    if (dtype != 0 && (*value)->dtype != dtype)
        return run_fail(run, step, LATHE_E_DTYPE, "input %i is %s but must be %s", (int64_t)input, text_of_dtype((*value)->dtype),
                        text_of_dtype(dtype));
    return LATHE_OK;
}

int run_want_sequence(Run *run, const lathe_step *step, int input, Value **value)
{
    *value = run_value(run, step, input);
    if (*value == NULL || (*value)->form != LATHE_SEQUENCE)
        return run_fail(run, step, LATHE_E_ARGUMENT, "input %i is not there or no sequence", (int64_t)input);
    return LATHE_OK;
}

/* An element as an integer: i64, i32, bool, or the bits of an f32. */
static bool element_read(const Value *value, int64_t position, int64_t *integer)
{
    if (value->form != LATHE_TENSOR || position < 0 || position >= value->count)
        return false;
    if (value->dtype == DTYPE_INT64)
        *integer = ((const int64_t *)value->data)[position];
    else if (value->dtype == DTYPE_INT32 || value->dtype == DTYPE_FLOAT)
        *integer = ((const int32_t *)value->data)[position];
    else if (value->dtype == DTYPE_BOOL)
        *integer = ((const unsigned char *)value->data)[position] != 0;
    else
        return false;
    return true;
}

int run_want_integer(Run *run, const lathe_step *step, int input, int64_t *integer)
{
    Value *value;
    const int code = run_want_tensor(run, step, input, 0, &value);
    if (code != LATHE_OK)
        return code;
    if (value->count != 1 || value->dtype == DTYPE_FLOAT || !element_read(value, 0, integer))
        return run_fail(run, step, LATHE_E_SHAPE, "input %i has %i elements of %s but must be one integer", (int64_t)input,
                        value->count, text_of_dtype(value->dtype));
    return LATHE_OK;
}

const lathe_attribute *step_attribute(const lathe_step *step, const char *name)
{
    for (int32_t i = 0; i < step->attribute_count; i++)
        if (strcmp(step->attributes[i].name, name) == 0)
            return &step->attributes[i];
    return NULL;
}

int64_t step_integer(const lathe_step *step, const char *name, int64_t otherwise)
{
    const lathe_attribute *attribute = step_attribute(step, name);
    return attribute != NULL ? attribute->integer : otherwise;
}

static int binds_set(Run *run, const lathe_step *step, const lathe_bind *binds, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const lathe_bind *bind = &binds[i];
        const Value *value = run->slots[bind->slot];
        int64_t *symbol = &run->symbols[bind->symbol];
        const bool is_dim = value != NULL && value->form == LATHE_TENSOR && !bind->element && bind->position < value->rank;
        if (is_dim)
            *symbol = value->dims[bind->position];
        else if (value == NULL || !bind->element || !element_read(value, bind->position, symbol))
            return run_fail(run, step, LATHE_E_SHAPE, "a value has no %s %i, which a shape depends on", bind->element ? "element" : "dim",
                            (int64_t)bind->position);
    }
    return LATHE_OK;
}

/* --- bodies ----------------------------------------------------------------------------------------------------------------- */

static int64_t body_number(const Run *run, const lathe_body *body)
{
    return body - run->script->bodies;
}

static Frame *frame_push(Run *run, int32_t body, const lathe_step *step)
{
    Frame *frame = &run->frames[run->depth++];
    *frame = (Frame){.body = &run->script->bodies[body], .step = step};
    return frame;
}

/* Results of a body stay in the slots that they have: a reference for whoever asks, and the body's own slots hold them no longer. */
static Value *body_result(const Run *run, const Frame *frame, int output)
{
    const int32_t slot = output < frame->body->output_count ? frame->body->outputs[output] : LATHE_NO_SLOT;
    return slot == LATHE_NO_SLOT ? NULL : value_retain(run->slots[slot]);
}

static void body_leave(Run *run, const Frame *frame)
{
    const int64_t number = body_number(run, frame->body);
    for (int32_t i = 0; i < frame->body->output_count; i++) {
        const int32_t slot = frame->body->outputs[i];
        if (slot != LATHE_NO_SLOT && run->homes[slot] == number)
            slot_set(run, slot, NULL);
    }
}

static int value_missing(Run *run, const lathe_step *step, const char *what)
{
    return run_fail(run, step, LATHE_E_ARGUMENT, "%s is not there", what);
}

static int slot_check(Run *run, const lathe_step *step, int32_t slot)
{
    const Value *value = slot == LATHE_NO_SLOT ? NULL : run->slots[slot];
    if (value == NULL || value->form == LATHE_NOTHING)
        return LATHE_OK;
    const lathe_slot *type = &run->script->slots[slot];
    if (value->form != type->form)
        return run_fail(run, step, LATHE_E_ARGUMENT, "a value is a %s but must be a %s", form_texts[value->form == LATHE_SEQUENCE],
                        form_texts[type->form == LATHE_SEQUENCE]);
    if (value->dtype != type->dtype && value->dtype != 0 && type->dtype != 0)
        return run_fail(run, step, LATHE_E_DTYPE, "a value is %s but must be %s", text_of_dtype(value->dtype), text_of_dtype(type->dtype));
    if (value->form != LATHE_TENSOR || type->rank < 0)
        return LATHE_OK;
    if (value->rank != type->rank)
        return run_fail(run, step, LATHE_E_SHAPE, "a value has rank %i but must have %i", (int64_t)value->rank, (int64_t)type->rank);
    for (int32_t i = 0; i < type->rank; i++)
        if (type->dims[i] >= 0 && value->dims[i] != type->dims[i])
            return run_fail(run, step, LATHE_E_SHAPE, "dim %i of a value is %i but must be %i", (int64_t)i, value->dims[i], type->dims[i]);
    return LATHE_OK;
}

/* Are the values in these slots what regions count on? Only what regions make is so by itself. */
static int slots_check(Run *run, const lathe_step *step, const int32_t *slots, int32_t count)
{
    int code = LATHE_OK;
    for (int32_t i = 0; i < count && code == LATHE_OK; i++)
        code = slot_check(run, step, slots[i]);
    return code;
}

/* The step is over. */
static int step_end(Run *run, const lathe_step *step)
{
    int code = step->kind == LATHE_STEP_REGION ? LATHE_OK : slots_check(run, step, step->outputs, step->output_count);
    if (code == LATHE_OK)
        code = binds_set(run, step, step->binds, step->bind_count);
    for (int32_t i = 0; i < step->end_count; i++)
        slot_set(run, step->ends[i], NULL);
    return code;
}

/* --- loops ------------------------------------------------------------------------------------------------------------------ */

static int32_t loop_carried(const lathe_step *step)
{
    return step->input_count - 2;
}

static int32_t loop_parts(const lathe_step *step)
{
    return step->output_count - loop_carried(step);
}

static void frame_drop(Run *run, Frame *frame)
{
    for (int32_t i = 0; frame->stacks != NULL && i < loop_parts(frame->step); i++)
        value_release(run, frame->stacks[i].value);
    for (int32_t i = 0; frame->carried != NULL && i < loop_carried(frame->step); i++)
        value_release(run, frame->carried[i]);
    heap_give(&run->heap, frame->stacks);
    heap_give(&run->heap, frame->carried);
    frame->stacks = NULL;
    frame->carried = NULL;
}

static int scalar_give(Run *run, const lathe_step *step, int32_t slot, int32_t dtype, int64_t integer)
{
    if (slot == LATHE_NO_SLOT)
        return LATHE_OK;
    const int64_t one = 1;
    Value *value = value_tensor(run, step, dtype, run->script->slots[slot].rank == 1, &one);
    if (value == NULL)
        return LATHE_E_MEMORY;
    if (dtype == DTYPE_INT64)
        *(int64_t *)value->data = integer;
    else
        *(unsigned char *)value->data = integer != 0;
    slot_set(run, slot, value);
    return LATHE_OK;
}

/* The values in `carried` go to the body, and the next iteration begins. */
static int loop_enter(Run *run, Frame *frame)
{
    const lathe_body *body = frame->body;
    for (int32_t i = 0; i < loop_carried(frame->step); i++) {
        Value *value = frame->carried[i];
        frame->carried[i] = NULL;
        slot_set(run, i + 2 < body->input_count ? body->inputs[i + 2] : LATHE_NO_SLOT, value);
    }
    int code = slots_check(run, frame->step, body->inputs, body->input_count);
    if (code != LATHE_OK)
        return code;
    if (frame->iteration >= run->loop_limit)
        return run_fail(run, frame->step, LATHE_E_STOPPED, "the loop wants more than %i iterations, the limit", run->loop_limit);
    code = scalar_give(run, frame->step, body->inputs[0], DTYPE_INT64, frame->iteration);
    if (code == LATHE_OK)
        code = scalar_give(run, frame->step, body->inputs[1], DTYPE_BOOL, 1);
    frame->at = 0;
    return code == LATHE_OK ? binds_set(run, frame->step, body->binds, body->bind_count) : code;
}

/* Memory for twice as many items, at first for all that the trip count promises, if these are few bytes. */
static int stack_grow(Run *run, const Frame *frame, Stack *stack, const Value *item)
{
    enum { PROMISED_BYTES = 1 << 22 };
    int64_t dims[RANK_MOST + 1], room = stack->items > 0 ? stack->items * 2 : 4;
    if (item->rank >= RANK_MOST)
        return run_fail(run, frame->step, LATHE_E_SHAPE, "a part has rank %i", (int64_t)item->rank);
    if (stack->items == 0 && frame->trips <= PROMISED_BYTES / (int64_t)(item->bytes + 1))
        room = frame->trips;
    dims[0] = room;
    for (int32_t i = 0; i < item->rank; i++)
        dims[i + 1] = item->dims[i];
    Value *value = value_tensor(run, frame->step, item->dtype, item->rank + 1, dims);
    if (value == NULL)
        return LATHE_E_MEMORY;
    if (stack->value != NULL)
        elements_copy(value->data, 0, stack->value->data, 0, stack->items * stack->each, dtype_bits(item->dtype));
    value_release(run, stack->value);
    stack->value = value;
    stack->each = item->count;
    return LATHE_OK;
}

static int stack_push(Run *run, const Frame *frame, Stack *stack, const Value *item)
{
    if (item == NULL || item->form != LATHE_TENSOR)
        return value_missing(run, frame->step, "a part of the loop's results");
    const Value *before = stack->value;
    bool same = before == NULL || (before->rank == item->rank + 1 && before->dtype == item->dtype);
    for (int32_t i = 0; before != NULL && same && i < item->rank; i++)
        same = before->dims[i + 1] == item->dims[i];
    if (!same)
        return run_fail(run, frame->step, LATHE_E_SHAPE, "the parts of iteration %i are not of the size of those before",
                        frame->iteration);
    const int code = before == NULL || stack->items == before->dims[0] ? stack_grow(run, frame, stack, item) : LATHE_OK;
    if (code == LATHE_OK)
        elements_copy(stack->value->data, stack->items++ * stack->each, item->data, 0, item->count, dtype_bits(item->dtype));
    return code;
}

/* No iteration: the dims that the compiler knows, 0 for the others. */
static Value *stack_empty(Run *run, const lathe_step *step, int32_t slot)
{
    const lathe_slot *type = &run->script->slots[slot];
    const int32_t rank = type->rank > 0 && type->rank <= RANK_MOST ? type->rank : 1;
    int64_t dims[RANK_MOST] = {0};
    for (int32_t i = 1; i < rank; i++)
        dims[i] = type->dims[i] > 0 ? type->dims[i] : 0;
    return value_tensor(run, step, type->dtype, rank, dims);
}

static int stack_give(Run *run, const lathe_step *step, Stack *stack, int output)
{
    const int32_t slot = step->outputs[output];
    if (slot == LATHE_NO_SLOT)
        return LATHE_OK;
    Value *value = stack->value;
    if (value == NULL) {
        value = stack_empty(run, step, slot);
        if (value == NULL)
            return LATHE_E_MEMORY;
    } else {
        value->dims[0] = stack->items;
        value->count = stack->items * stack->each;
        value->bytes = (uint64_t)elements_bytes(value->count, dtype_bits(value->dtype));
        stack->value = NULL;
    }
    run_give(run, step, output, value);
    return LATHE_OK;
}

/* `carried` and the stacks become the outputs. */
static int loop_end(Run *run, Frame *frame)
{
    const lathe_step *step = frame->step;
    const int32_t carried = loop_carried(step);
    int code = LATHE_OK;
    for (int32_t i = 0; i < carried; i++) {
        run_give(run, step, i, frame->carried[i]);
        frame->carried[i] = NULL;
    }
    for (int32_t i = 0; i < loop_parts(step) && code == LATHE_OK; i++)
        code = stack_give(run, step, &frame->stacks[i], carried + i);
    frame_drop(run, frame);
    run->depth--;
    return code == LATHE_OK ? step_end(run, step) : code;
}

static bool is_given(const Run *run, const lathe_step *step, int input)
{
    const Value *value = run_value(run, step, input);
    return value != NULL && value->form != LATHE_NOTHING;
}

static int loop_start(Run *run, const lathe_step *step)
{
    int64_t trips = INT64_MAX, condition = 1;
    int code = is_given(run, step, 0) ? run_want_integer(run, step, 0, &trips) : LATHE_OK;
    if (code == LATHE_OK && is_given(run, step, 1))
        code = run_want_integer(run, step, 1, &condition);
    if (code != LATHE_OK)
        return code;
    Frame *frame = frame_push(run, step->target, step);
    frame->trips = trips > 0 ? trips : 0;
    const uint64_t stacks = (uint64_t)loop_parts(step) * sizeof *frame->stacks;
    const uint64_t carried = (uint64_t)loop_carried(step) * sizeof *frame->carried;
    frame->stacks = heap_take(&run->heap, stacks);
    if (frame->stacks != NULL)
        memset(frame->stacks, 0, stacks);
    frame->carried = heap_take(&run->heap, carried);
    if (frame->carried != NULL)
        memset(frame->carried, 0, carried);
    if (frame->stacks == NULL || frame->carried == NULL)
        return run_fail(run, step, LATHE_E_MEMORY, "no memory for the loop");
    for (int32_t i = 0; i < loop_carried(step); i++)
        frame->carried[i] = value_retain(run_value(run, step, i + 2));
    return frame->trips == 0 || condition == 0 ? loop_end(run, frame) : loop_enter(run, frame);
}

/* The body is at its end. */
static int loop_next(Run *run, Frame *frame)
{
    const lathe_step *step = frame->step;
    const lathe_body *body = frame->body;
    const int32_t carried = loop_carried(step);
    int64_t condition = 1;
    if (body->outputs[0] != LATHE_NO_SLOT) {
        const Value *value = run->slots[body->outputs[0]];
        if (value == NULL || value->count != 1 || !element_read(value, 0, &condition))
            return value_missing(run, step, "the condition of the loop");
    }
    for (int32_t i = 0; i < carried; i++)
        frame->carried[i] = body_result(run, frame, i + 1);
    for (int32_t i = 0; i < loop_parts(step); i++) {
        const int32_t slot = body->outputs[1 + carried + i];
        const int code = stack_push(run, frame, &frame->stacks[i], slot == LATHE_NO_SLOT ? NULL : run->slots[slot]);
        if (code != LATHE_OK)
            return code;
    }
    body_leave(run, frame);
    frame->iteration++;
    return condition != 0 && frame->iteration < frame->trips ? loop_enter(run, frame) : loop_end(run, frame);
}

/* --- steps ------------------------------------------------------------------------------------------------------------------ */

static int if_start(Run *run, const lathe_step *step)
{
    int64_t condition;
    const int code = run_want_integer(run, step, 0, &condition);
    if (code != LATHE_OK)
        return code;
    const Frame *frame = frame_push(run, step->target + (condition == 0), step);
    return binds_set(run, step, frame->body->binds, frame->body->bind_count);
}

static int if_end(Run *run, Frame *frame)
{
    const lathe_step *step = frame->step;
    for (int32_t i = 0; i < step->output_count; i++)
        run_give(run, step, i, body_result(run, frame, i));
    body_leave(run, frame);
    run->depth--;
    return step_end(run, step);
}

static int copy_run(Run *run, const lathe_step *step)
{
    for (int32_t i = 0; i < step->output_count; i++)
        run_give(run, step, i, value_retain(run_value(run, step, i)));
    return LATHE_OK;
}

static int step_run(Run *run, const lathe_step *step)
{
    int code;
    switch (step->kind) {
    case LATHE_STEP_IF:
        return if_start(run, step);
    case LATHE_STEP_LOOP:
        return loop_start(run, step);
    case LATHE_STEP_REGION:
        code = region_run(run, step);
        break;
    case LATHE_STEP_COPY:
        code = copy_run(run, step);
        break;
    default:
        code = step->host(run, step);
    }
    return code == LATHE_OK ? step_end(run, step) : code;
}

static int frame_end(Run *run, Frame *frame)
{
    return frame->step->kind == LATHE_STEP_LOOP ? loop_next(run, frame) : if_end(run, frame);
}

static int bodies_run(Run *run)
{
    const Frame *model = frame_push(run, 0, NULL);
    int code = binds_set(run, NULL, model->body->binds, model->body->bind_count);
    while (code == LATHE_OK) {
        Frame *frame = &run->frames[run->depth - 1];
        if (run->stop != NULL && *run->stop != 0)
            return run_fail(run, NULL, LATHE_E_STOPPED, "the caller stopped the run");
        if (frame->at < frame->body->step_count)
            code = step_run(run, &frame->body->steps[frame->at++]);
        else if (frame->step == NULL)
            return LATHE_OK;
        else
            code = frame_end(run, frame);
    }
    return code;
}

int script_run(Run *run)
{
    run->depth = 0;
    int code = bodies_run(run);
    const lathe_body *model = &run->script->bodies[0];
    for (uint32_t i = 0; i < run->program->output_count && code == LATHE_OK; i++) {
        run->results[i] = value_retain(run->slots[model->outputs[i]]);
        if (run->results[i] == NULL)
            code = value_missing(run, NULL, run->program->outputs[i].name);
    }
    while (run->depth > 0)
        frame_drop(run, &run->frames[--run->depth]);
    for (uint32_t i = 0; i < run->script->slot_count; i++)
        slot_set(run, (int32_t)i, NULL);
    if (code != LATHE_OK)
        script_forget(run);
    return code;
}
