/* links: lathe_ir */
/* Kernels of threads with lines missing, doubled or exchanged and numbers changed: text gives a kernel or an error,
 * what the verifier accepts runs to its end or to an error, and nothing crashes. */
#include "ir/kernel.h"
#include "ir/verify.h"
#include "tests/ir/threads.h"

#include <ctype.h>

enum { MUTATIONS = 2000, LINES_MAX = 128 };

static uint32_t draw(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

static int lines_of(char *text, char **lines)
{
    int count = 0;
    for (char *line = strtok(text, "\n"); line && count < LINES_MAX; line = strtok(NULL, "\n"))
        lines[count++] = line;
    return count;
}

/* One digit becomes another. */
static void change_letters(char *text, uint64_t *random)
{
    const size_t length = strlen(text), start = draw(random) % length;
    for (size_t i = 0; i < length; i++) {
        char *const at = &text[(start + i) % length];
        if (isdigit((unsigned char)*at)) {
            *at = (char)('0' + draw(random) % 10);
            return;
        }
    }
}

static const char *mutated(Arena *arena, const char *text, uint64_t *random)
{
    char *lines[LINES_MAX], *const copy = arena_format(arena, "%s", text);
    for (uint32_t i = draw(random) % 3; i > 0; i--)
        change_letters(copy, random);
    const int count = lines_of(copy, lines), one = (int)draw(random) % count, two = (int)draw(random) % count;
    const uint32_t kind = draw(random) % 5;
    const char *result = "";
    if (kind == 0) {
        char *const line = lines[one];
        lines[one] = lines[two];
        lines[two] = line;
    }
    for (int i = 0; i < count; i++) {
        if (kind == 1 && i == one)
            continue;
        result = arena_format(arena, "%s%s\n", result, lines[i]);
        if (kind == 2 && i == one)
            result = arena_format(arena, "%s%s\n", result, lines[two]);
    }
    return result;
}

static float memory[8][4096];

/* INTERPRET_MODULE when its parameters are not what this test can give. */
static int32_t run_limited(Ir *ir, Node *kernel)
{
    void *buffers[8];
    uint64_t bytes[8];
    int64_t units, dim;
    if (kernel->input_count > 8 || !kernel_body(kernel) || !kernel->payload.kernel->units ||
        !const_is_int(kernel->payload.kernel->units, &units) || units > 64)
        return INTERPRET_MODULE;
    for (uint32_t i = 0; i < kernel->input_count; i++) {
        const Type type = kernel->inputs[i]->type;
        if (kernel->inputs[i]->op != OP_buffer)
            return INTERPRET_MODULE;
        uint64_t elements = 1;
        for (int j = 0; j < type.rank && const_is_int(type.dims[j], &dim); j++)
            elements *= dim < 4096 ? (uint64_t)dim : 4096;
        buffers[i] = memory[i];
        bytes[i] = elements * (uint64_t)dtype_info[type.dtype].bits / 8;
        if (bytes[i] > sizeof memory[i])
            bytes[i] = sizeof memory[i];
    }
    int32_t error = 0;
    const RunOptions options = {.work_limit = 3000000, .detect_unwritten = true};
    return interpret_run_with(interpret_compile(ir, kernel), buffers, bytes, NULL, 0, units, &error, &options);
}

Test(threads_mutated, nothing_crashes)
{
    static const char *const bases[] = {product_text, sum_text, half_text};
    uint64_t random = 1;
    int ended[16] = {0}, refused = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        Arena *const arena = arena_open(0, NULL, NULL);
        Ir *const ir = ir_open(arena, diagnostics_open(arena));
        const char *const text = mutated(arena, bases[i % 3], &random);
        Node *const kernel = parse_kernel(ir, "mutated.ir", text, strlen(text));
        if (kernel && verify_kernel(ir, kernel, ir->diagnostics)) {
            const int32_t result = run_limited(ir, kernel);
            cr_assert(result <= 0 && result > -16, "%d\n%s", result, text);
            ended[-result]++;
        } else {
            cr_assert_gt(ir->diagnostics->error_count, 0, "%s", text);
            refused++;
        }
        arena_close(arena);
    }
    cr_expect_gt(refused, 100);
    cr_expect_gt(ended[-INTERPRET_OK], 100);
    cr_expect_gt(ended[-INTERPRET_RACE], 10);
    cr_expect_gt(ended[-INTERPRET_RANGE], 10);
    cr_expect_gt(ended[-INTERPRET_POISONED], 10);
}
