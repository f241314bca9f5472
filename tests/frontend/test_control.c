/* Control flow and sequences that a run decides: the imported graphs, as texts beside the models. Numbers that only
 * make names unique are left out on both sides. */
#include "imported.h"

#include "ir/print.h"
#include "ir/verify.h"

#include <ctype.h>
#include <stdlib.h>

/* "y.dim1~21" and "%y_26" become "y.dim1~" and "%y_". */
static char *without_numbers(const char *text)
{
    char *const copy = malloc(strlen(text) + 1), *to = copy;
    for (const char *c = text; *c; c++) {
        *to++ = *c;
        if (*c == '~' || *c == '_')
            while (isdigit((unsigned char)c[1]))
                c++;
    }
    *to = 0;
    return copy;
}

static char *read_text(const char *path)
{
    FILE *const file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    char *const text = calloc(1, 1 << 16);
    cr_assert_lt(fread(text, 1, (1 << 16) - 1, file), (1 << 16) - 1);
    fclose(file);
    return text;
}

Test(control, graphs_are_those_of_the_texts)
{
    static const char *const names[] = {"if_shapes",    "if_squeeze",     "if_ranks",    "if_checked", "if_sequences",
                                        "loop_unknown", "loop_condition", "loop_65",     "loop_grows", "loop_in_loop",
                                        "scan_open",    "sequence_known", "sequence_map"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64], path[4096];
        snprintf(name, sizeof name, "good/%s", names[i]);
        Imported imported = import_file(name, NULL);
        cr_assert(imported.good, "%s", imported.text);
        cr_expect(verify_graph(imported.ir, imported.model.graph, imported.ir->diagnostics), "%s", names[i]);
        snprintf(path, sizeof path, "%s/tests/data/onnx/good/%s.ir", SOURCE_DIR, names[i]);
        char *const is = without_numbers(print_graph(imported.arena, imported.model.graph, NULL));
        char *const text = read_text(path), *const should = without_numbers(text);
        cr_expect_str_eq(is, should, "%s is\n%s", names[i], is);
        free(is);
        free(text);
        free(should);
        imported_close(&imported);
    }
}

/* What a body calls the width of its value is not what the loop leaves behind. */
Test(control, symbols_of_a_body_stay_inside)
{
    Imported imported = import_file("good/loop_grows", NULL);
    const Node *loop = output_of(&imported, 0)->inputs[0];
    cr_assert_eq(loop->op, OP_Loop);
    const Graph *body = attribute_find(loop, "body")->graph;
    const Node *inside = body->inputs[2]->type.dims[1], *outside = output_of(&imported, 0)->type.dims[1];
    cr_assert_eq(inside->op, OP_symbol);
    cr_assert_eq(outside->op, OP_symbol);
    cr_assert_neq(inside, outside);
    cr_assert_neq(body->scope, 0);
    imported_close(&imported);
}

/* Only the branch without the dim fits what follows: it is taken, and the run checks that the dim is 1. */
Test(control, ranks_are_assumed_where_the_model_needs_them)
{
    Imported imported = import_file("good/if_squeeze", NULL);
    cr_assert(imported.good, "%s", imported.text);
    const Node *concat = output_of(&imported, 0);
    cr_assert_eq(concat->inputs[0]->op, OP_Squeeze);
    const Node *m = imported.model.graph->inputs[0]->type.dims[1];
    const RunCheck *check = imported.ir->checks;
    while (check && !strstr(check->text, "the condition is true"))
        check = check->next;
    cr_assert_not_null(check, "nothing holds the run to the assumption");
    cr_expect(node_depends(imported.ir, check->condition, m));
    imported_close(&imported);
}
