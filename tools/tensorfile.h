/* Tensors on the host as files hold them, and the readers and writers of those files.
 *
 * A HostValue is a tensor, a sequence, an optional, or nothing; a HostTensor carries the ONNX number of its type, so
 * that every ONNX type fits, also those that NumPy lacks. Types below 8 bits are packed as in ONNX raw_data: the first
 * element in the low bits. Strings are an array of pointers to text that ends in NUL. Everything lives in the arena
 * that the caller gives; data is aligned to 16 bytes and little-endian, as are all machines that this runs on.
 *
 * Readers trust nothing: sizes are checked before memory is taken, and what is wrong is one diagnostic that names the
 * file and both values. */
#ifndef LATHE_TOOLS_TENSORFILE_H
#define LATHE_TOOLS_TENSORFILE_H

#include "tools/file.h"

enum { HOST_RANK_MOST = 64 };

typedef enum HostKind { HOST_ABSENT, HOST_TENSOR, HOST_SEQUENCE, HOST_OPTIONAL } HostKind;

typedef enum HostClass {
    HOST_CLASS_NONE,
    HOST_CLASS_FLOAT,
    HOST_CLASS_SIGNED,
    HOST_CLASS_UNSIGNED,
    HOST_CLASS_BOOL,
    HOST_CLASS_INDEX, /* the compiler's own, in no file */
    HOST_CLASS_STRING,
    HOST_CLASS_COMPLEX,
} HostClass;

/* ONNX numbers of types that code here names. */
enum { ONNX_FLOAT = 1, ONNX_UINT8 = 2, ONNX_STRING = 8, ONNX_BOOL = 9, ONNX_COMPLEX64 = 14, ONNX_COMPLEX128 = 15 };

typedef struct HostDtype {
    const char *name;
    int number; /* of ONNX TensorProto.DataType */
    int bits;
    HostClass class;
    const char *numpy; /* descriptor of .npy, "" where NumPy lacks the type */
} HostDtype;

/* NULL when no such type is known. */
const HostDtype *host_dtype(int number);
const HostDtype *host_dtype_of_numpy(const char *descriptor);

typedef struct HostTensor {
    Name name; /* may be NULL */
    int dtype; /* ONNX number */
    int bits;
    int rank;
    int64_t *dims;
    int64_t count; /* elements */
    void *data;    /* never NULL; strings: const char *[] */
    size_t bytes;  /* of data */
} HostTensor;

typedef struct HostValue {
    HostKind kind;
    Name name;
    HostTensor tensor;       /* HOST_TENSOR */
    HostKind item_kind;      /* of sequences and optionals, also empty ones; HOST_ABSENT: not known */
    struct HostValue *items; /* the elements; of an optional at most one */
    size_t item_count;
} HostValue;

/* What the model wants at one place. -1 stands for unknown; dtype 0 too. */
typedef struct HostSpec {
    Name name;
    HostKind kind; /* HOST_ABSENT: not known */
    int dtype;
    int rank;
    const int64_t *dims;
    bool optional;       /* "none" is allowed */
    const int64_t *made; /* what a generator makes where dims are open; NULL: dims */
    bool small;          /* random integers are 0 or 1: as indices they are in range wherever two can be told apart */
} HostSpec;

/* Fills everything but the name; data is zeroed. Rank, dims and their product are checked, the message is the source's.
 */
bool host_tensor_make(HostTensor *tensor, const Source *source, int dtype, int rank, const int64_t *dims);
/* Bytes that `count` elements take, packed. False when that is more than memory can hold. */
bool host_bytes(int64_t count, int bits, size_t *bytes);
HostValue host_value_of_tensor(HostTensor tensor);
/* "f32[1,3,224,224]", "sequence of 2", "none". */
const char *host_type_text(Arena *arena, const HostValue *value);
const char *host_shape_text(Arena *arena, int dtype, int rank, const int64_t *dims);
/* Does the value suit what the model wants? Unknown parts match everything. The error names both. */
bool host_value_check(const HostValue *value, const HostSpec *spec, const char *file, Diagnostics *diagnostics);

/* Elements as numbers. Complex numbers give their real part; strings and out-of-range positions are a BUG. */
double host_element(const HostTensor *tensor, int64_t position);
/* Rounds to nearest even, saturates integers and types without infinity. */
void host_element_set(HostTensor *tensor, int64_t position, double value);

typedef struct HostImageOptions {
    double mean[3]; /* in the order of the channels that the model gets */
    double scale[3];
    bool bgr;
} HostImageOptions;
extern const HostImageOptions host_image_plain; /* mean 0, scale 1, rgb */

/* One reader per format, over the content of a file. `spec` may be NULL where it only helps. */
bool npy_read(HostTensor *tensor, const Source *source, const HostSpec *spec);
bool npz_read(HostTensor **members, size_t *count, const Source *source);
/* TensorProto, SequenceProto or OptionalProto: what spec->kind says, else a guess from the fields. */
bool pb_read(HostValue *value, const Source *source, const HostSpec *spec);
bool raw_read(HostTensor *tensor, const Source *source, const HostSpec *spec);
/* Samples in [-1,1) as f32[1,n], or as the spec's rank and channels want; several channels are averaged into one. */
bool wav_read(HostTensor *tensor, const Source *source, const HostSpec *spec);
/* PNG or JPEG, scaled to the spec's height and width: (pixel - mean) * scale in the spec's type and layout. */
bool image_read(HostTensor *tensor, const Source *source, const HostSpec *spec, const HostImageOptions *options);

bool npy_write(FILE *file, const HostTensor *tensor);
bool pb_write(FILE *file, const HostValue *value);
/* Members are stored, dates fixed: the same tensors give the same bytes. Every type must have a NumPy descriptor. */
bool npz_write(FILE *file, const HostTensor *members, size_t count);
/* Can .npy hold the value? */
bool npy_holds(const HostValue *value);

/* random:SEED, zeros, ones. The spec must know type and shape. `stream` tells inputs of one run apart (their number).
 */
bool generator_read(HostValue *value, const char *text, const HostSpec *spec, uint64_t stream, Arena *arena,
                    Diagnostics *diagnostics);
bool generator_is(const char *text);
/* Philox4x32-10 as published (Salmon et al., SC 2011): four words for one counter and key. */
void philox(uint32_t words[4], const uint32_t counter[4], const uint32_t key[2]);

/* Reads any file, by the end of its name; "-" and unknown names by their first bytes. `.npz` must have one member, or
 * one called like the spec. */
bool host_value_read(HostValue *value, const char *path, const HostSpec *spec, const HostImageOptions *image,
                     Arena *arena, Diagnostics *diagnostics);
/* Writes .npy, .npz or .pb by the end of the name (anything else: .npy); atomic. */
bool host_value_write(const char *path, const HostValue *value, Arena *arena, Diagnostics *diagnostics);

#endif
