/* Writes text in the manner of Shakespeare, one character at a time.
 *
 *     shakespeare [SEED [LENGTH [TEXTS [TEMPERATURE]]]]
 *
 * The model maps the last characters (at most WINDOW) of every text to scores of the character that follows. One compiled library
 * serves any number of texts and any length: `dims` says how many there are in this call. The same seed gives the same texts. */
#include "shakespeare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order of vocabulary.json. */
static const char characters[] = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char prompt[] = "ROMEO:\n";

enum { WINDOW = 64, CHARACTERS = SHAKESPEARE_LOGITS_DIM2, TEXTS_MOST = 16, LENGTH_MOST = 100000 };

/* xorshift64*: a number from 0 to 1, the same everywhere. */
static double random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)(*state * UINT64_C(2685821657736338717) >> 11) * 0x1p-53;
}

/* A character by chance, in proportion to exp(score / temperature). */
static int draw(const float scores[CHARACTERS], double temperature, uint64_t *state)
{
    double weights[CHARACTERS], sum = 0, best = scores[0];
    for (int i = 1; i < CHARACTERS; i++)
        best = scores[i] > best ? scores[i] : best;
    for (int i = 0; i < CHARACTERS; i++)
        sum += weights[i] = exp((scores[i] - best) / temperature);
    double left = random_next(state) * sum;
    for (int i = 0; i < CHARACTERS - 1; i++)
        if ((left -= weights[i]) < 0)
            return i;
    return CHARACTERS - 1;
}

/* Adds one character to each of the texts, which stand one after the other with `room` tokens each and `used` tokens in use. */
static int step(lathe_context *context, int64_t *tokens, int texts, int room, int used, double temperature, uint64_t *state)
{
    static int64_t window[TEXTS_MOST * WINDOW];
    static float scores[TEXTS_MOST * WINDOW * CHARACTERS];
    const int length = used < WINDOW ? used : WINDOW;
    const shakespeare_dims dims = {.batch = texts, .seq = length};
    for (int i = 0; i < texts; i++)
        memcpy(window + i * length, tokens + i * room + used - length, (size_t)length * sizeof *window);
    const int code = shakespeare_run(context, &dims, window, scores);
    for (int i = 0; i < texts && code == LATHE_OK; i++)
        tokens[i * room + used] = draw(scores + (i * length + length - 1) * CHARACTERS, temperature, state);
    return code;
}

static int write_texts(lathe_context *context, int texts, int length, double temperature, uint64_t seed)
{
    const int start = (int)strlen(prompt), room = start + length;
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    int64_t *const tokens = calloc((size_t)texts * (size_t)room, sizeof *tokens);
    int code = tokens ? LATHE_OK : LATHE_E_MEMORY;
    for (int i = 0; i < texts && tokens; i++)
        for (int j = 0; j < start; j++)
            tokens[i * room + j] = strchr(characters, prompt[j]) - characters;
    for (int used = start; used < room && code == LATHE_OK; used++)
        code = step(context, tokens, texts, room, used, temperature, &state);
    for (int i = 0; i < texts && code == LATHE_OK; i++) {
        if (texts > 1)
            printf("%s---- %d ----\n", i ? "\n" : "", i + 1);
        for (int j = 0; j < room; j++)
            putchar(characters[tokens[i * room + j]]);
        putchar('\n');
    }
    free(tokens);
    return code;
}

int main(int argc, char **argv)
{
    const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    const int length = argc > 2 ? atoi(argv[2]) : 400;
    const int texts = argc > 3 ? atoi(argv[3]) : 1;
    const double temperature = argc > 4 ? atof(argv[4]) : 0.7;
    if (argc > 5 || length < 1 || length > LENGTH_MOST || texts < 1 || texts > TEXTS_MOST || !(temperature > 0)) {
        fprintf(stderr, "usage: shakespeare [SEED [LENGTH [TEXTS [TEMPERATURE]]]], at most %d texts\n", TEXTS_MOST);
        return 2;
    }
    int code;
    lathe_context *const context = shakespeare_open(NULL, &code);
    if (context && (code = write_texts(context, texts, length, temperature, seed)) != LATHE_OK)
        fprintf(stderr, "%s: %s\n", shakespeare_model.name, shakespeare_model.api->error_text(context));
    else if (!context)
        fprintf(stderr, "%s\n", shakespeare_model.api->code_text(code));
    shakespeare_close(context);
    return code == LATHE_OK ? 0 : 1;
}
