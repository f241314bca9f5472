/* Numbers that Fourier transforms are made of: factors, roots of unity, and the transform of Bluestein's chirp. */
#include "ir/ops/fourier.h"

#include <math.h>
#include <stdlib.h>

void root_of_unity(int64_t m, int64_t n, double *real, double *imaginary)
{
    static const long double half_pi = 1.57079632679489661923132169163975144L;
    m %= n;
    m += m < 0 ? n : 0;
    const int64_t quadrant = 4 * m / n, rest = 4 * m - quadrant * n;
    long double c = 1, s = 0;
    if (2 * rest <= n) { /* up to an eighth of a turn, where both functions are good */
        c = cosl(half_pi * (long double)rest / (long double)n);
        s = sinl(half_pi * (long double)rest / (long double)n);
    } else {
        c = sinl(half_pi * (long double)(n - rest) / (long double)n);
        s = cosl(half_pi * (long double)(n - rest) / (long double)n);
    }
    const long double turned[4][2] = {{c, s}, {-s, c}, {-c, -s}, {s, -c}};
    *real = (double)turned[quadrant][0];
    *imaginary = (double)turned[quadrant][1];
}

static int ascending(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* As many bins as factors up to 8 need at least; primes, the largest first, go to the smallest bin. */
bool fourier_factors(int64_t length, int *factors, int *count)
{
    enum { RADIX = 8, PRIME_MOST = 61 };
    int primes[64], prime_count = 0;
    *count = 1;
    factors[0] = (int)length;
    if (length <= RADIX)
        return true;
    int64_t rest = length;
    for (int p = 2; p <= PRIME_MOST; p++)
        for (; rest % p == 0; rest /= p)
            primes[prime_count++] = p;
    if (rest > 1)
        return false;
    for (int64_t reach = RADIX; reach < length; reach *= RADIX)
        ++*count;
    for (int i = 0; i < *count; i++)
        factors[i] = 1;
    for (int i = prime_count - 1; i >= 0; i--) {
        int least = 0;
        for (int j = 1; j < *count; j++)
            least = factors[j] < factors[least] ? j : least;
        factors[least] *= primes[i];
    }
    int used = 0;
    for (int i = 0; i < *count; i++)
        if (factors[i] > 1)
            factors[used++] = factors[i];
    *count = used;
    qsort(factors, (size_t)used, sizeof *factors, ascending);
    return true;
}

Node *fourier_table(const Fourier *fourier, int rank, const int64_t *dims, const double *values)
{
    Ir *const ir = fourier->lower->ir;
    Node *sizes[RANK_MAX];
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        sizes[i] = index_const(ir, dims[i]);
        count *= dims[i];
    }
    const size_t size = fourier->compute == DTYPE_F64 ? sizeof(double) : sizeof(float);
    void *const data = arena_alloc(ir->arena, (size_t)count * size);
    for (int64_t i = 0; i < count; i++)
        if (fourier->compute == DTYPE_F64)
            ((double *)data)[i] = values[i];
        else
            ((float *)data)[i] = (float)values[i];
    Constant *const constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = data, .bytes = (uint64_t)count * size, .name = name_intern(ir->arena, "roots")};
    const Buffer buffer = {.name = constant->name, .place = PLACE_WEIGHT, .constant = constant};
    return buffer_make(ir, type_tensor(ir, fourier->compute, rank, sizes), &buffer);
}

/* Iterative, by decimation in time: pairs in bit-reversed order, then butterflies of growing distance. */
void fourier_compute(double *pairs, int64_t count, int sign)
{
    for (int64_t i = 1, j = 0; i < count; i++) {
        int64_t bit = count >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j |= bit;
        for (int part = 0; i < j && part < 2; part++) {
            const double moved = pairs[2 * i + part];
            pairs[2 * i + part] = pairs[2 * j + part];
            pairs[2 * j + part] = moved;
        }
    }
    for (int64_t distance = 1; distance < count; distance *= 2)
        for (int64_t k = 0; k < distance; k++) {
            double c, s;
            root_of_unity(sign * k, 2 * distance, &c, &s);
            for (int64_t i = k; i < count; i += 2 * distance) {
                double *const a = pairs + 2 * i, *const b = a + 2 * distance;
                const double real = b[0] * c - b[1] * s, imaginary = b[0] * s + b[1] * c;
                b[0] = a[0] - real;
                b[1] = a[1] - imaginary;
                a[0] += real;
                a[1] += imaginary;
            }
        }
}
