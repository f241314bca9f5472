/* links: lathe_proof */
/* Masked loads and stores of several registers: lanes that are off touch no memory and lanes that are on have the
 * interpreter's values, however much is known of the mask. */
#include "tests/codegen/machine.h"
#include "tests/codegen/proof.h"

enum { LANES = 16, KNOWN = 5 };
static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F64, DTYPE_I32, DTYPE_I64, DTYPE_I8};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };
static const int known[KNOWN] = {1, 4, 8, 11, 15}; /* lanes that may be on */

typedef struct Shape {
    Dtype dtype;
    int known;
    int form;
} Shape;
enum { FORMS = 4 };

/* y[0..15] = the first `known` elements of x where a symbol says so, y itself from there on; the store is masked like
 * the load. */
static Node *make_kernel(Machine *machine, const Shape *shape, Node *x, Node *y)
{
    Ir *const ir = machine->ir;
    Node *const on = symbol_make(ir, name_intern(machine->arena, "on"));
    Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, LANES)});
    Node *const few = scalar2(ir, OP_lt, iota, splat_make(ir, index_const(ir, shape->known), LANES));
    Node *const condition = splat_make(ir, scalar2(ir, OP_gt, on, index_const(ir, 0)), LANES);
    Node *const zero = splat_make(ir, const_int(ir, shape->dtype, 0), LANES);
    Node *mask = scalar2(ir, OP_and, few, condition);
    if (shape->form == 1) /* what is known hides in a comparison with a symbol */
        mask = scalar2(ir, OP_and, few,
                       scalar2(ir, OP_lt, iota, splat_make(ir, index_mul(ir, on, index_const(ir, LANES)), LANES)));
    if (shape->form == 2)
        mask = scalar1(ir, OP_not, scalar2(ir, OP_or, scalar1(ir, OP_not, few), scalar1(ir, OP_not, condition)));
    Node *value = make_masked_load(machine, x, index_const(ir, 0), mask, zero);
    if (shape->form == 3)
        value = scalar3(ir, OP_select, condition, value, zero);
    Block *const body = block_make(ir);
    make_store(machine, body, y, index_const(ir, 0), value, mask);
    return machine_kernel(machine, "masked", body);
}

typedef struct Call {
    lathe_kernel *function;
    void *buffers[2];
    int64_t on;
} Call;

static void call(void *context)
{
    Call *const this = context;
    int32_t error = 0;
    this->function(this->buffers, &this->on, 0, 1, NULL, &error);
}

static void expect_same(Machine *machine, Node *kernel, lathe_kernel *function, const Shape *shape, int64_t on,
                        const char *target)
{
    Ir *const ir = machine->ir;
    const uint64_t bytes = (uint64_t)(shape->known * dtype_info[shape->dtype].bits / 8);
    Guarded x = guarded_open(bytes, true), y = guarded_open(bytes, true);
    uint8_t expected[LANES * 8], *buffers[2] = {x.data, expected};
    uint64_t state = (uint64_t)shape->known;
    int32_t error = 0;
    const void *fault = NULL;
    values_fill(ir, shape->dtype, x.data, bytes, VALUES_PLAIN, &state);
    memset(y.data, 7, bytes);
    memset(expected, 7, bytes);
    Call this = {function, {x.data, y.data}, on};
    cr_assert(run_guarded(call, &this, &fault), "%s, %s, %d lanes, form %d: memory behind the buffer was touched",
              target, dtype_info[shape->dtype].name, shape->known, shape->form);
    cr_assert_eq(interpret_run(interpret_compile(ir, kernel), (void *const *)buffers, (uint64_t[]){bytes, bytes}, &on,
                               0, 1, &error),
                 INTERPRET_OK);
    cr_assert_arr_eq(y.data, expected, bytes, "%s, %s, %d lanes, form %d", target, dtype_info[shape->dtype].name,
                     shape->known, shape->form);
    guarded_close(&x);
    guarded_close(&y);
}

Test(masks, lanes_that_are_off_touch_no_memory)
{
    const TargetMachineInfo *targets[8];
    const int target_total = machine_targets(targets);
    for (int t = 0; t < target_total; t++) {
        Machine *const machine = machine_open();
        Shape shapes[DTYPES * KNOWN * FORMS];
        int count = 0;
        for (int d = 0; d < DTYPES; d++)
            for (int k = 0; k < KNOWN; k++)
                for (int form = 0; form < FORMS; form++) {
                    Node *const x = machine_buffer(machine, "x", dtypes[d], known[k]), *const y = machine_buffer(
                                                                                           machine, "y", dtypes[d],
                                                                                           known[k]);
                    shapes[count] = (Shape){dtypes[d], known[k], form};
                    machine_add(machine, make_kernel(machine, &shapes[count], x, y), targets[t]);
                    count++;
                }
        machine_compile(machine, 0);
        machine_load(machine);
        for (int i = 0; i < count; i++)
            for (int64_t on = 0; on < 2; on++)
                expect_same(machine, machine->jobs[i].kernel, machine_function(machine, i), &shapes[i], on,
                            targets[t]->name);
        machine_close(machine);
    }
}
