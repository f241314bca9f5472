/* WAV sound files: 16-bit integer and 32-bit float samples, any number of channels.
 *
 * Samples become f32 in [-1,1). A spec of rank 1 gets [n], of rank 2 [c,n], of rank 3 [1,c,n]; c is the model's number
 * of channels. When that is 1 (or unknown) and the file has more, they are averaged. The sampling rate is not
 * converted. */
#include "tools/tensorfile.h"

#include <string.h>

enum { PCM = 1, IEEE_FLOAT = 3, EXTENSIBLE = 0xfffe };
enum { FORMAT_SIZE = 16, EXTENSIBLE_SIZE = 40, CHANNELS_MOST = 64 };

static uint32_t little(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++)
        value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

typedef struct Sound {
    uint32_t format, channels, bits;
    const uint8_t *samples;
    size_t frames; /* samples per channel */
} Sound;

static bool format_read(Sound *sound, const Source *source, const uint8_t *chunk, size_t size)
{
    if (size < FORMAT_SIZE)
        return source_error(source, "has a fmt chunk of %zu bytes, but it needs %d", size, FORMAT_SIZE);
    sound->format = little(chunk, 2);
    sound->channels = little(chunk + 2, 2);
    sound->bits = little(chunk + 14, 2);
    if (sound->format == EXTENSIBLE && size >= EXTENSIBLE_SIZE)
        sound->format = little(chunk + 24, 2); /* the first two bytes of the sub-format's GUID */
    if (!(sound->format == PCM && sound->bits == 16) && !(sound->format == IEEE_FLOAT && sound->bits == 32))
        return source_error(source,
                            "has samples of format %u with %u bits; 16-bit PCM (1) and 32-bit float (3) are known",
                            sound->format, sound->bits);
    if (sound->channels < 1 || sound->channels > CHANNELS_MOST)
        return source_error(source, "has %u channels, but 1 to %d are possible", sound->channels, CHANNELS_MOST);
    return true;
}

static bool chunks_read(Sound *sound, const Source *source)
{
    const uint8_t *const bytes = source->bytes;
    if (source->size < 12 || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WAVE", 4) != 0)
        return source_error(source, "is no WAV file: it does not start with RIFF....WAVE");
    size_t at = 12;
    while (source->size - at >= 8) {
        const uint8_t *const chunk = bytes + at + 8;
        const size_t left = source->size - at - 8;
        size_t size = little(bytes + at + 4, 4);
        const bool data = memcmp(bytes + at, "data", 4) == 0;
        if (data && size == UINT32_MAX)
            size = left; /* written to a pipe: the length was not known */
        if (size > left)
            return source_error(source, "has a chunk of %zu bytes, but %zu follow", size, left);
        if (memcmp(bytes + at, "fmt ", 4) == 0 && !format_read(sound, source, chunk, size))
            return false;
        if (data) {
            sound->samples = chunk;
            sound->frames = size;
            break;
        }
        at += 8 + size;
        at += size % 2 && at < source->size; /* chunks stand at even places */
    }
    if (!sound->channels || !sound->samples)
        return source_error(source, "has no %s chunk", sound->channels ? "data" : "fmt");
    sound->frames /= sound->channels * sound->bits / 8;
    return true;
}

static float sample_of(const Sound *sound, size_t frame, uint32_t channel)
{
    const size_t position = frame * sound->channels + channel;
    if (sound->format == PCM) {
        int16_t sample;
        memcpy(&sample, sound->samples + position * 2, sizeof sample);
        return (float)sample / 32768.0f;
    }
    float sample;
    memcpy(&sample, sound->samples + position * 4, sizeof sample);
    return sample;
}

bool wav_read(HostTensor *tensor, const Source *source, const HostSpec *spec)
{
    Sound sound = {0};
    if (!chunks_read(&sound, source))
        return false;
    const int rank = spec && spec->rank >= 0 ? spec->rank : 2;
    if (rank < 1 || rank > 3)
        return source_error(source, "is sound, but the model wants a tensor of rank %d (1 to 3 can be)", rank);
    const int64_t wanted = spec && spec->rank >= 2 ? spec->dims[rank - 2] : 1;
    const int64_t channels = wanted < 0 ? 1 : wanted;
    if (channels != 1 && channels != (int64_t)sound.channels)
        return source_error(source, "has %u channels, but the model wants %lld", sound.channels, (long long)channels);
    const int64_t dims[] = {1, channels, (int64_t)sound.frames};
    if (!host_tensor_make(tensor, source, ONNX_FLOAT, rank, dims + 3 - rank))
        return false;
    float *const out = tensor->data;
    for (int64_t channel = 0; channel < channels; channel++)
        for (size_t frame = 0; frame < sound.frames; frame++) {
            float sum = 0;
            for (uint32_t i = 0; channels == 1 && i < sound.channels; i++)
                sum += sample_of(&sound, frame, i);
            out[(size_t)channel * sound.frames + frame] =
                channels == 1 ? sum / (float)sound.channels : sample_of(&sound, frame, (uint32_t)channel);
        }
    return true;
}
