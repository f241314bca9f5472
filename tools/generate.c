/* Inputs that need no file: random:SEED, zeros, ones.
 *
 * random is Philox4x32-10, so that every element follows from its position alone and every machine gives the same bits:
 * the key is SEED (low word, high word), the counter is (element / 4: low word, high word; number of the input: low,
 * high), and element i takes word i % 4. Of that word w: floats            w / 2^31 - 1, in [-1,1), rounded to nearest
 * even into the type (f32 takes the top 24 bits: exact) f8e8m0            2^-4 ... 2^3 8-bit integers    all values
 *   other integers    0 ... 9, or to the largest value if that is less; 0 or 1 where the spec wants them small
 *   bool              0 or 1 */
#include "tools/tensorfile.h"

#include "tools/options.h"

#include <math.h>
#include <string.h>

void philox(uint32_t words[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t key0 = key[0], key1 = key[1];
    uint32_t word0 = counter[0], word1 = counter[1], word2 = counter[2], word3 = counter[3];
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = UINT64_C(0xD2511F53) * word0;
        const uint64_t product1 = UINT64_C(0xCD9E8D57) * word2;
        word0 = (uint32_t)(product1 >> 32) ^ word1 ^ key0;
        word2 = (uint32_t)(product0 >> 32) ^ word3 ^ key1;
        word1 = (uint32_t)product1;
        word3 = (uint32_t)product0;
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    words[0] = word0;
    words[1] = word1;
    words[2] = word2;
    words[3] = word3;
}

static double random_number(const HostDtype *type, bool small, uint32_t word)
{
    if (type->class == HOST_CLASS_BOOL)
        return word & 1;
    if (type->class == HOST_CLASS_FLOAT || type->class == HOST_CLASS_COMPLEX) {
        if (strcmp(type->name, "f8e8m0") == 0)
            return ldexp(1, (int)(word % 8) - 4);
        return (double)(type->bits == 32 ? word & ~UINT32_C(0xff) : word) * 0x1p-31 - 1;
    }
    const bool is_signed = type->class == HOST_CLASS_SIGNED;
    if (type->bits == 8)
        return (double)(word % 256) - (is_signed ? 128 : 0);
    if (small)
        return word & 1;
    const int values = 1 << (type->bits < 5 ? type->bits - is_signed : 4);
    return word % (uint32_t)(values < 10 ? values : 10);
}

static void fill_random(HostTensor *tensor, bool small, uint64_t seed, uint64_t stream)
{
    const HostDtype *const type = host_dtype(tensor->dtype);
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t words[4] = {0};
    for (int64_t i = 0; i < tensor->count; i++) {
        const uint64_t block = (uint64_t)i / 4;
        const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                                     (uint32_t)(stream >> 32)};
        if (i % 4 == 0)
            philox(words, counter, key);
        const double number = random_number(type, small, words[i % 4]);
        if (tensor->dtype == ONNX_FLOAT)
            ((float *)tensor->data)[i] = (float)number;
        else
            host_element_set(tensor, i, number);
    }
}

/* "random:SEED" with a seed of 0 to 2^63-1. */
static bool random_seed(const char *text, int64_t *seed)
{
    return strncmp(text, "random:", 7) == 0 && text_to_integer(text + 7, seed) && *seed >= 0;
}

bool generator_is(const char *text)
{
    return strncmp(text, "random:", 7) == 0 || strcmp(text, "random") == 0 || strcmp(text, "zeros") == 0 ||
           strcmp(text, "ones") == 0;
}

bool generator_read(HostValue *value, const char *text, const HostSpec *spec, uint64_t stream, Arena *arena,
                    Diagnostics *diagnostics)
{
    const Source source = source_of_bytes(NULL, 0, text, arena, diagnostics);
    const char *const name = diag_quote(arena, spec->name ? spec->name : "", 80);
    const bool random = strncmp(text, "random", 6) == 0;
    int64_t seed = 0;
    if (random && !random_seed(text, &seed))
        return diag_error(diagnostics, EXIT_USAGE, NULL,
                          "'%s' needs a seed from 0 to 9223372036854775807, as in random:1",
                          diag_quote(arena, text, 80));
    const HostDtype *const type = host_dtype(spec->dtype);
    if (!type || spec->rank < 0 || (spec->kind != HOST_TENSOR && spec->kind != HOST_ABSENT))
        return diag_error(diagnostics, EXIT_USAGE, NULL,
                          "%s cannot fill the input \"%s\": it is not a tensor of known type and rank", text, name);
    if (type->class == HOST_CLASS_STRING && strcmp(text, "zeros") != 0)
        return diag_error(diagnostics, EXIT_USAGE, NULL, "%s cannot fill the input \"%s\": it holds strings", text,
                          name);
    const int64_t *const dims = spec->made ? spec->made : spec->dims;
    for (int i = 0; i < spec->rank; i++)
        if (dims[i] < 0) {
            diag_error(diagnostics, EXIT_USAGE, NULL,
                       "%s cannot fill the input \"%s\": dimension %d of %s is not known", text, name, i,
                       host_shape_text(arena, spec->dtype, spec->rank, dims));
            diag_hint(diagnostics, "give it with --dim or --shape");
            return false;
        }
    HostTensor tensor;
    if (!host_tensor_make(&tensor, &source, spec->dtype, spec->rank, dims))
        return false;
    tensor.name = spec->name;
    if (random)
        fill_random(&tensor, spec->small, (uint64_t)seed, stream);
    for (int64_t i = 0; strcmp(text, "ones") == 0 && i < tensor.count; i++)
        host_element_set(&tensor, i, 1);
    *value = host_value_of_tensor(tensor);
    return true;
}
