/* Models that must be refused: with which exit code, and what the one message must say. */
#include "imported.h"

static const struct {
    const char *name;
    int code;
    const char *words;
} cases[] = {
    {"empty", EXIT_MALFORMED, "the file is empty"},
    {"text", EXIT_MALFORMED, "not a valid ONNX file"},
    {"truncated", EXIT_MALFORMED, "not a valid ONNX file"},
    {"twice", EXIT_MALFORMED, "may stand once"},
    {"no_graph", EXIT_MALFORMED, "there is no graph"},
    {"no_opset", EXIT_MALFORMED, "imports no operator set"},
    {"opset_twice", EXIT_MALFORMED, "the operator set ai.onnx is imported twice"},
    {"opset_0", EXIT_MALFORMED, "in version 0"},
    {"opset_29", EXIT_UNSUPPORTED, "in version 29; the newest supported is 28"},
    {"ir_0", EXIT_MALFORMED, "the format version is 0"},
    {"ir_15", EXIT_UNSUPPORTED, "the format version is 15"},
    {"unknown_op", EXIT_UNSUPPORTED,
     "1 operator is not supported: Relux (opset 17, 2 nodes, first \"one\"); did you mean Relu?"},
    {"unknown_ops", EXIT_UNSUPPORTED,
     "2 operators are not supported: com.foo:Bar (opset 1, 2 nodes, first \"Bar_1\"), Baz (opset 17, 1 node, first "
     "\"q\")"},
    {"unknown_in_function", EXIT_UNSUPPORTED, "Quux (opset 17, 1 node, first \"deep\")"},
    {"empty_op", EXIT_MALFORMED, "node \"n\" (, opset 17): error: the node has no operator type"},
    {"domain_missing", EXIT_MALFORMED, "does not import the domain not.imported"},
    {"op_too_new", EXIT_MALFORMED, "the operator came in opset 20, and the model imports opset 13"},
    {"op_removed", EXIT_MALFORMED, "the operator was removed in opset 10, and the model imports opset 17"},
    {"cycle", EXIT_MALFORMED,
     "node \"first\" (Add, opset 17): error: the node needs its own result: the graph has a cycle"},
    {"self", EXIT_MALFORMED, "node \"n\" (Add, opset 17): error: the node needs its own result"},
    {"dangling", EXIT_MALFORMED, "node \"n\" (Add, opset 17): error: the input \"nowhere\" is made by no node"},
    {"output_missing", EXIT_MALFORMED, "the output \"y\" is made by no node"},
    {"output_twice", EXIT_MALFORMED, "the output \"y\" is there twice"},
    {"made_twice", EXIT_MALFORMED, "node \"n\" (Neg, opset 17): error: the value \"y\" is made twice"},
    {"shadows_input", EXIT_MALFORMED, "node \"n\" (Relu, opset 17): error: the value \"x\" is made twice"},
    {"input_twice", EXIT_MALFORMED, "the input \"x\" is there twice"},
    {"init_twice", EXIT_MALFORMED, "the value \"w\" is made twice"},
    {"no_outputs", EXIT_MALFORMED, "node \"n\" (Neg, opset 17): error: the node has no outputs"},
    {"input_no_type", EXIT_MALFORMED, "value \"x\" has no type"},
    {"input_no_shape", EXIT_UNSUPPORTED, "value \"x\" has no shape: give one with --shape"},
    {"input_type_99", EXIT_MALFORMED, "value \"x\" has the unknown element type 99"},
    {"input_sequence", EXIT_MALFORMED, "input 0 of Relu is sequence f32[4], not a tensor"},
    {"dim_negative", EXIT_MALFORMED, "value \"x\" has the negative dim -1"},
    {"dims_overflow", EXIT_MALFORMED, "value \"x\" has more bytes than 63 bits can count"},
    {"rank_33", EXIT_LIMIT, "value \"x\" has 33 dims, the limit is 32"},
    {"out_type", EXIT_MALFORMED, "output \"y\" is declared with element type 7 but is f32[4,4]"},
    {"out_rank", EXIT_MALFORMED, "output \"y\" is declared with 3 dims but is f32[4,4]"},
    {"out_dim", EXIT_MALFORMED, "output \"y\" is declared with dim 1 = 5 but is f32[4,4]"},
    {"init_none", EXIT_MALFORMED, "tensor \"w\" has 0 numbers but its shape and type need 16"},
    {"init_short", EXIT_MALFORMED, "tensor \"w\" has 63 bytes of raw data but its shape and type need 64"},
    {"init_long", EXIT_MALFORMED, "tensor \"w\" has 65 bytes of raw data but its shape and type need 64"},
    {"init_negative", EXIT_MALFORMED, "tensor \"w\" has the negative dim -4"},
    {"init_overflow", EXIT_MALFORMED, "tensor \"w\" has more bytes than 63 bits can count"},
    {"init_type_0", EXIT_MALFORMED, "tensor \"w\" has the unknown element type 0"},
    {"init_complex", EXIT_UNSUPPORTED, "tensor \"w\" has elements of type complex"},
    {"init_list_short", EXIT_MALFORMED, "tensor \"w\" has 15 numbers but its shape and type need 16"},
    {"init_two_places", EXIT_MALFORMED, "has data in a field that is not its type's"},
    {"init_wrong_list", EXIT_MALFORMED, "has data in a field that is not its type's"},
    {"init_does_not_fit", EXIT_MALFORMED, "holds a number that does not fit its type"},
    {"init_raw_string", EXIT_MALFORMED, "holds strings, which cannot be raw data"},
    {"attr_unknown", EXIT_MALFORMED, "node \"n\" (Relu, opset 17): error: Relu has no attribute 'banana'"},
    {"attr_twice", EXIT_MALFORMED, "attribute \"axis\" is given twice"},
    {"attr_unnamed", EXIT_MALFORMED, "an attribute has no name"},
    {"attr_lies", EXIT_MALFORMED, "attribute \"axis\" is declared as string but holds int"},
    {"attr_kind", EXIT_MALFORMED, "'axis' of Softmax has the wrong type"},
    {"attr_reference", EXIT_MALFORMED, "refers to an attribute of a function, but stands in none"},
    {"batchnorm_training", EXIT_UNSUPPORTED, "BatchNormalization in training is not supported"},
    {"constant_none", EXIT_MALFORMED, "a constant has no value"},
    {"constant_two", EXIT_MALFORMED, "a constant has two values"},
    {"sparse_range", EXIT_MALFORMED, "index 1 is out of range"},
    {"sparse_large", EXIT_LIMIT, "takes 17179869184 bytes when dense"},
    {"if_types", EXIT_MALFORMED, "output 0 of If is f32[4,4] in one branch and i64[2] in the other"},
    {"if_rank_used", EXIT_UNSUPPORTED,
     "node \"user\" (Relu, opset 17): error: the rank of input 0 of Relu is not known: If gives f32[4,4] or f32[]"},
    {"loop_long", EXIT_UNSUPPORTED, "Loop has 1099511627776 iterations, the limit is 16777216"},
    {"loop_endless", EXIT_UNSUPPORTED, "Loop never ends: nothing limits its iterations"},
    {"loop_stacks_sequence", EXIT_MALFORMED, "output 2 of the body is sequence f32[4,4], which cannot be stacked"},
    {"sequence_mixed", EXIT_MALFORMED, "i32[4,4] cannot be put into sequence f32[4,4]"},
    {"loop_type", EXIT_MALFORMED, "the carried value 0 is f32[4,4] before an iteration and i32[4,4] after it"},
    {"loop_inputs", EXIT_MALFORMED, "the body of Loop has 2 outputs, not 3"},
    {"scan_rank", EXIT_MALFORMED, "the axis of scanned input 0 is outside the rank of f32[4,4]"},
    {"if_one_branch", EXIT_MALFORMED, "If has no else_branch"},
    {"function_recursive", EXIT_MALFORMED, "the function calls itself"},
    {"function_bomb", EXIT_LIMIT, "more than 1000000 nodes when its functions are inlined"},
    {"function_twice", EXIT_MALFORMED, "the function \"f\" is there twice"},
    {"function_arguments", EXIT_MALFORMED, "the function has 1 inputs and 1 outputs but is called with 2 and 1"},
    {"function_output", EXIT_MALFORMED, "the function does not make its output \"b\""},
    {"nesting_65", EXIT_LIMIT, "graphs are nested more than 64 deep"},
    {"calls_65", EXIT_LIMIT, "functions are nested more than 64 deep"},
};

Test(refuse, every_case)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[128];
        snprintf(name, sizeof name, "bad/%s", cases[i].name);
        Imported imported = import_file(name, NULL);
        cr_expect_not(imported.good, "%s was accepted", cases[i].name);
        cr_expect_eq(imported.code, cases[i].code, "%s: code %d, not %d: %s", cases[i].name, imported.code,
                     cases[i].code, imported.text);
        cr_expect(strstr(imported.text, cases[i].words), "%s: %s", cases[i].name, imported.text);
        cr_expect(strstr(imported.text, ".onnx: "), "%s does not name the file: %s", cases[i].name, imported.text);
        imported_close(&imported);
    }
}
