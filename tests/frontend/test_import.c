/* Models that must be imported, and what must come out. */
#include "imported.h"

#include <stdlib.h>

Test(import, names_shapes_and_weights)
{
    Imported imported = import_file("good/dense", NULL);
    Node *relu = output_of(&imported, 0);
    cr_assert_eq(relu->op, OP_Relu);
    Node *sum = relu->inputs[0], *product = sum->inputs[0];
    cr_assert_eq(sum->op, OP_Add);
    cr_assert_eq(product->op, OP_MatMul);
    cr_assert_eq(sum->inputs[1], imported.model.graph->inputs[1]);
    cr_assert_str_eq(product->where->node, "product");
    cr_assert_str_eq(product->where->op, "MatMul");
    cr_assert_eq(product->where->opset, 17);
    cr_assert_str_eq(sum->where->node, "s", "a node without a name goes by its first output");
    const float *weights = bytes_of(product->inputs[1], 12 * sizeof(float));
    for (int i = 0; i < 12; i++)
        cr_assert_eq(weights[i], (float)i);
    cr_assert_str_eq(product->inputs[1]->payload.constant->name, "w");
    cr_assert_eq(imported.model.input_count, 2);
    cr_assert_str_eq(imported.model.inputs[0].name, "x");
    cr_assert_str_eq(imported.model.outputs[0].name, "y");
    assert_type(&imported, imported.model.inputs[0].type, "f32[batch,3]");
    assert_type(&imported, imported.model.outputs[0].type, "f32[batch,4]");
    cr_assert_eq(imported.model.inputs[0].type.dims[0], imported.model.inputs[1].type.dims[0],
                 "one name is one symbol");
    cr_assert_eq(imported.model.dim_count, 1);
    cr_assert_str_eq(imported.model.name, "g");
    cr_assert_eq(imported.model.ir_version, 8);
    cr_assert_eq(imported.model.opset_count, 1);
    cr_assert_eq(imported.model.opsets[0].version, 17);
    cr_assert_eq(imported.model.file_count, 1);
    imported_close(&imported);
}

Test(import, unsorted_nodes_are_sorted)
{
    Imported imported = import_file("good/unsorted", NULL);
    cr_assert_eq(output_of(&imported, 0)->op, OP_Relu);
    cr_assert_eq(output_of(&imported, 0)->inputs[0]->op, OP_Neg);
    imported_close(&imported);
}

Test(import, inputs_with_a_default_are_constants)
{
    Imported imported = import_file("good/defaults", NULL);
    cr_assert_eq(output_of(&imported, 0)->inputs[1]->op, OP_constant);
    cr_assert_eq(imported.model.input_count, 1);
    cr_assert_eq(imported.model.metadata_count, 1);
    cr_assert_str_eq(imported.model.metadata[0].key, "author");
    cr_assert_str_eq(imported.model.metadata[0].value, "me");
    imported_close(&imported);
}

Test(import, dims_get_names_that_are_theirs)
{
    Imported imported = import_file("good/dims", NULL);
    const Type type = output_of(&imported, 0)->type;
    cr_assert_str_eq(type.dims[0]->payload.name, "x.dim0_", "x.dim0 is another dim in this model");
    cr_assert_str_eq(type.dims[1]->payload.name, "_1_x20x");
    cr_assert_str_eq(type.dims[2]->payload.name, "x.dim0");
    cr_assert(index_is(type.dims[3], 2));
    cr_assert_eq(imported.model.dim_count, 3);
    cr_assert_str_eq(imported.model.dims[1].name, "1 x");
    imported_close(&imported);
}

Test(import, options_fix_dims)
{
    const int64_t shape[] = {2, -1};
    const ShapeOption shapes[] = {{"x", 2, shape}};
    const DimOption dims[] = {{"batch", 5}};
    const struct {
        ImportOptions options;
        const char *type;
    } cases[] = {
        {{.shape_count = 1, .shapes = shapes}, "f32[2,4]"}, /* "batch" is bound everywhere */
        {{.dim_count = 1, .dims = dims}, "f32[5,4]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Imported imported = import_file("good/dense", &cases[i].options);
        assert_type(&imported, output_of(&imported, 0)->type, cases[i].type);
        assert_type(&imported, imported.model.inputs[1].type, cases[i].type);
        imported_close(&imported);
    }
}

Test(import, options_that_do_not_fit_are_usage_errors)
{
    const int64_t shape[] = {2, 3, 4};
    const ShapeOption unknown[] = {{"z", 2, shape}}, rank[] = {{"x", 3, shape}},
                      two[] = {{"x", 2, shape}, {"b", 2, shape + 1}};
    const DimOption dim[] = {{"time", 5}}, negative[] = {{"batch", -5}};
    const struct {
        ImportOptions options;
        const char *words;
    } cases[] = {
        {{.shape_count = 1, .shapes = unknown}, "the model has no input \"z\""},
        {{.shape_count = 1, .shapes = rank}, "value \"x\" has 2 dims, --shape gives 3"},
        {{.shape_count = 2, .shapes = two}, "the dim \"batch\" is given as 2 and as 3"},
        {{.dim_count = 1, .dims = dim}, "no input has a dim \"time\""},
        {{.dim_count = 1, .dims = negative}, "-5 is not a size"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Imported imported = import_file("good/dense", &cases[i].options);
        cr_assert_eq(imported.code, EXIT_USAGE);
        cr_assert(strstr(imported.text, cases[i].words), "%s", imported.text);
        imported_close(&imported);
    }
}

/* Each tensor holds the two values that make_models.py gave it, written here as the bytes of the format. */
Test(import, every_way_to_store_elements)
{
    const struct {
        Dtype dtype;
        int bytes;
        const void *data;
    } cases[] = {
        {DTYPE_F32, 8, (const float[]){1.5f, -2}},         {DTYPE_F64, 16, (const double[]){1.5, -2}},
        {DTYPE_I32, 8, (const int32_t[]){1, -2}},          {DTYPE_I64, 16, (const int64_t[]){1, -2}},
        {DTYPE_U8, 2, (const uint8_t[]){1, 254}},          {DTYPE_I8, 2, (const int8_t[]){1, -2}},
        {DTYPE_U32, 8, (const uint32_t[]){1, 0xfffffffe}}, {DTYPE_U64, 16, (const uint64_t[]){1, 0xfffffffffffffffe}},
        {DTYPE_BOOL, 2, (const uint8_t[]){1, 0}},          {DTYPE_I16, 4, (const int16_t[]){1, -2}},
        {DTYPE_U16, 4, (const uint16_t[]){1, 65534}},      {DTYPE_F16, 4, (const uint16_t[]){0x3e00, 0xc000}},
        {DTYPE_I4, 2, (const uint8_t[]){0xe1, 0x07}}, /* 1, -2, 7: low bits first */
        {DTYPE_F32, 8, (const float[]){1.5f, -2}},
    };
    Imported imported = import_file("good/types", NULL);
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        const Node *node = output_of(&imported, i);
        if (node->op == OP_Identity)
            node = node->inputs[0];
        cr_assert_eq(node->type.dtype, cases[i].dtype, "tensor %d", i);
        cr_assert_arr_eq(bytes_of(node, (uint64_t)cases[i].bytes), cases[i].data, (size_t)cases[i].bytes, "tensor %d",
                         i);
    }
    imported_close(&imported);
}

Test(import, constants_in_every_form)
{
    Imported imported = import_file("good/constants", NULL);
    const float real = 2.5f, reals[] = {1, 2};
    const int64_t integer = 7, integers[] = {3, 4, 5};
    const struct {
        const char *type;
        const void *data;
        size_t bytes;
    } cases[] = {{"f32[]", &real, 4}, {"f32[2]", reals, 8}, {"i64[]", &integer, 8}, {"i64[3]", integers, 24}};
    for (int i = 0; i < 4; i++) {
        assert_type(&imported, output_of(&imported, i)->type, cases[i].type);
        cr_assert_arr_eq(bytes_of(output_of(&imported, i), cases[i].bytes), cases[i].data, cases[i].bytes);
    }
    imported_close(&imported);
}

Test(import, sparse_tensors_are_made_dense)
{
    const float dense[8] = {[1] = 1.5f, [7] = -2};
    Imported imported = import_file("good/sparse", NULL);
    for (int i = 0; i < 2; i++) {
        const Node *node = output_of(&imported, i);
        if (node->op == OP_Identity)
            node = node->inputs[0];
        assert_type(&imported, node->type, "f32[2,4]");
        cr_assert_arr_eq(bytes_of(node, sizeof dense), dense, sizeof dense);
    }
    imported_close(&imported);
}

/* outer(p; k = 0.25) = inner(p; slope = k) + p, inner(a; slope) = -leaky(a; slope), called with k = 0.5 and without. */
Test(import, functions_are_inlined_with_their_attributes)
{
    Imported imported = import_file("good/functions", NULL);
    Node *second = output_of(&imported, 0);
    cr_assert_eq(second->op, OP_Add);
    cr_assert_eq(second->inputs[0]->op, OP_Neg);
    Node *leaky = second->inputs[0]->inputs[0];
    cr_assert_eq(leaky->op, OP_LeakyRelu);
    cr_assert_float_eq(attribute_float(leaky, "alpha", 0), 0.25, 0);
    cr_assert_str_eq(leaky->where->node, "second/again/leak");
    Node *first = second->inputs[1];
    cr_assert_eq(first->op, OP_Add);
    cr_assert_float_eq(attribute_float(first->inputs[0]->inputs[0], "alpha", 0), 0.5, 0);
    cr_assert_eq(first->inputs[1], imported.model.graph->inputs[0]);
    imported_close(&imported);
}

Test(import, if_with_a_constant_condition_is_its_branch)
{
    Imported imported = import_file("good/if", NULL); /* the other branch has an operator that nobody knows */
    cr_assert_eq(output_of(&imported, 0)->op, OP_Relu);
    cr_assert_eq(output_of(&imported, 0)->inputs[0], imported.model.graph->inputs[0]);
    imported_close(&imported);
}

Test(import, if_with_a_condition_of_the_run_chooses_between_both_branches)
{
    Imported imported = import_file("good/if_run", NULL);
    const Node *where = output_of(&imported, 0);
    cr_assert_eq(where->op, OP_Where);
    cr_assert_eq(where->inputs[0]->op, OP_Squeeze, "the condition is one element of rank 1");
    cr_assert_eq(where->inputs[1]->op, OP_Relu);
    cr_assert_eq(where->inputs[2]->op, OP_Neg);
    imported_close(&imported);
}

Test(import, loops_of_known_length_are_unrolled)
{
    static const int64_t last[] = {4, 13}, all[] = {1, 10, 2, 11, 4, 13}, sum[] = {6}, sums[] = {6, 5, 3};
    Imported imported = import_file("good/loop_numbers", NULL); /* its condition ends it after three of five */
    cr_assert_arr_eq(bytes_of(output_of(&imported, 0), sizeof last), last, sizeof last);
    cr_assert_arr_eq(bytes_of(output_of(&imported, 1), sizeof all), all, sizeof all);
    imported_close(&imported);
    imported = import_file("good/loop_once", NULL);
    cr_assert_eq(output_of(&imported, 0)->op, OP_Add);
    cr_assert_eq(output_of(&imported, 0)->inputs[0], imported.model.graph->inputs[0]);
    cr_assert_str_eq(output_of(&imported, 0)->where->node, "n[0]/b");
    imported_close(&imported);
    imported = import_file("good/scan_backwards", NULL);
    cr_assert_arr_eq(bytes_of(output_of(&imported, 0), sizeof sum), sum, sizeof sum);
    cr_assert_arr_eq(bytes_of(output_of(&imported, 1), sizeof sums), sums, sizeof sums);
    imported_close(&imported);
}

Test(import, odd_names_are_names)
{
    Imported imported = import_file("good/names", NULL);
    cr_assert_eq(output_of(&imported, 0)->op, OP_Neg);
    cr_assert_str_eq(imported.model.inputs[0].name, "a\nb");
    cr_assert_str_eq(imported.model.outputs[0].name, "\xc3\xa9");
    imported_close(&imported);
}

Test(import, omitted_inputs)
{
    Imported imported = import_file("good/optional", NULL);
    const Node *clip = output_of(&imported, 0);
    cr_assert_eq(clip->op, OP_Clip);
    cr_assert(is_omitted(clip->inputs[1]));
    cr_assert_eq(clip->inputs[2]->op, OP_constant);
    imported_close(&imported);
}

Test(import, limits_are_inclusive)
{
    static const char *const at_limit[] = {"good/rank_32", "good/nesting_64", "good/calls_64"};
    for (size_t i = 0; i < sizeof at_limit / sizeof *at_limit; i++) {
        Imported imported = import_file(at_limit[i], NULL);
        cr_assert_eq(output_of(&imported, 0)->op, OP_Relu, "%s", at_limit[i]);
        imported_close(&imported);
    }
}

Test(import, limits_are_options)
{
    const struct {
        ImportLimits limits;
        const char *words; /* NULL: accepted */
    } cases[] = {
        {{.nodes = 3}, NULL},   {{.nodes = 2}, "more than 2 nodes"},
        {{.name = 7}, NULL},    {{.name = 6}, "limit is 6"},
        {{.file = 4096}, NULL}, {{.file = 20}, "more than the limit of 20"},
        {{.inputs = 2}, NULL},  {{.inputs = 1}, "the node has 2 inputs, the limit is 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ImportOptions options = {.limits = cases[i].limits};
        Imported imported = import_file("good/dense", &options);
        cr_assert_eq(imported.good, cases[i].words == NULL, "case %zu: %s", i, imported.text);
        if (cases[i].words) {
            cr_assert_eq(imported.code, EXIT_LIMIT);
            cr_assert(strstr(imported.text, cases[i].words), "%s", imported.text);
        }
        imported_close(&imported);
    }
}

/* SHA-256 of a file as sha256sum gives it. */
Test(import, hash_of_the_file)
{
    char command[4200], expected[65] = "";
    snprintf(command, sizeof command, "sha256sum '%s/tests/data/onnx/good/dense.onnx'", SOURCE_DIR);
    FILE *pipe = popen(command, "r");
    cr_assert(pipe && fscanf(pipe, "%64s", expected) == 1);
    pclose(pipe);
    Imported imported = import_file("good/dense", NULL);
    cr_assert_str_eq(onnx_sha256(imported.ir, &imported.model), expected);
    imported_close(&imported);
}

Test(import, file_errors)
{
    Imported missing = import_path("/nonexistent/model.onnx", NULL);
    cr_assert_eq(missing.code, EXIT_IO);
    imported_close(&missing);
    Imported folder = import_path("/", NULL);
    cr_assert_eq(folder.code, EXIT_IO);
    imported_close(&folder);
}

/* A pipe cannot be mapped: it is read whole. */
Test(import, from_a_pipe)
{
    char command[4300], path[64];
    snprintf(command, sizeof command, "cat '%s/tests/data/onnx/good/dense.onnx'", SOURCE_DIR);
    FILE *pipe = popen(command, "r");
    cr_assert(pipe);
    snprintf(path, sizeof path, "/dev/fd/%d", fileno(pipe));
    Imported imported = import_path(path, NULL);
    cr_assert_eq(output_of(&imported, 0)->op, OP_Relu);
    imported_close(&imported);
    pclose(pipe);
}
