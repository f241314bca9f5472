/* What a model file says about itself, without importing it: works for models that use what is not supported. */
#ifndef LATHE_FRONTEND_SURVEY_H
#define LATHE_FRONTEND_SURVEY_H

#include "frontend/import.h"

typedef struct SurveyedValue {
    Name name;
    const char *kind;    /* "tensor", "sequence", "optional", "map", "sparse tensor", "unknown" */
    Dtype dtype;         /* of tensors; DTYPE_NONE: unknown to us */
    int rank;            /* -1: not given */
    const int64_t *dims; /* -1: symbolic or unknown */
    const Name *symbols; /* names of symbolic dims, NULL elsewhere */
} SurveyedValue;

typedef struct SurveyedOperator {
    Name domain; /* "" is the default domain */
    Name op;
    int opset; /* 0: the model does not import the domain */
    int64_t count;
    bool supported;
    bool function; /* the model brings its meaning along */
    Name first;    /* name of the first node */
} SurveyedOperator;

typedef struct Survey {
    Name name, producer, producer_version;
    int64_t ir_version, model_version;
    int opset_count, input_count, output_count, operator_count, metadata_count;
    const ImportedOpset *opsets;
    const SurveyedValue *inputs, *outputs; /* without inputs that have an initializer */
    SurveyedOperator *operators;           /* by domain and name; bodies and functions are counted once */
    const ImportedText *metadata;
    int64_t node_count, initializer_count, function_count;
    uint64_t file_bytes;
    Name sha256;
} Survey;

/* Everything belongs to the Ir's arena. False after a diagnostic: the file cannot be read or is no model. */
bool onnx_survey(Ir *ir, const char *path, Survey *survey);

#endif
