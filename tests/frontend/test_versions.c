/* Old operators against the newest: for each pair of models in tests/data/onnx/versions both must give the same graph.
 * The newer one of each pair is written by hand after the ONNX changelog; make_models.py compares their numbers where
 * it can. */
#include "imported.h"

#include <dirent.h>
#include <stdlib.h>

static bool constants_equal(const Node *a, const Node *b)
{
    const Constant *left = a->payload.constant, *right = b->payload.constant;
    return left->bytes == right->bytes && memcmp(left->data, right->data, left->bytes) == 0;
}

static bool attributes_equal(const Node *a, const Node *b)
{
    if (a->attribute_count != b->attribute_count)
        return false;
    for (int i = 0; i < a->attribute_count; i++) {
        const Attribute *left = &a->attributes[i], *right = &b->attributes[i];
        if (strcmp(left->name, right->name) != 0 || left->kind != right->kind || left->count != right->count)
            return false;
        if (left->kind == ATTRIBUTE_INT && left->integer != right->integer)
            return false;
        if (left->kind == ATTRIBUTE_FLOAT && left->real != right->real)
            return false;
        if (left->kind == ATTRIBUTE_STRING && strcmp(left->string, right->string) != 0)
            return false;
        if (left->kind == ATTRIBUTE_INTS &&
            memcmp(left->integers, right->integers, (size_t)left->count * sizeof *left->integers) != 0)
            return false;
    }
    return true;
}

/* The graphs are small and without many paths, so recursion over them is fine here. */
static bool same(Imported *one, const Node *a, Imported *two, const Node *b)
{
    if (a->op != b->op || a->input_count != b->input_count || a->result_count != b->result_count ||
        !attributes_equal(a, b))
        return false;
    if (a->op != OP_omitted && a->type.dtype && strcmp(type_text(one->ir, a->type), type_text(two->ir, b->type)) != 0)
        return false;
    if (a->op == OP_constant && !constants_equal(a, b))
        return false;
    if (a->op == OP_input && strcmp(a->payload.name, b->payload.name) != 0)
        return false;
    if (a->op == OP_result && a->payload.integer != b->payload.integer)
        return false;
    for (uint32_t i = 0; i < a->input_count; i++)
        if (!same(one, a->inputs[i], two, b->inputs[i]))
            return false;
    return true;
}

static void pair_check(const char *name)
{
    char old[300], new[300];
    snprintf(old, sizeof old, "versions/%s.old", name);
    snprintf(new, sizeof new, "versions/%s.new", name);
    Imported one = import_file(old, NULL), two = import_file(new, NULL);
    cr_expect(one.good, "%s", one.text);
    cr_expect(two.good, "%s", two.text);
    if (one.good && two.good) {
        cr_expect_eq(one.model.output_count, two.model.output_count);
        for (int i = 0; i < one.model.output_count; i++)
            cr_expect(same(&one, output_of(&one, i), &two, output_of(&two, i)), "%s: output %d is not the same graph",
                      name, i);
    }
    imported_close(&one);
    imported_close(&two);
}

Test(versions, every_pair_gives_the_same_graph)
{
    DIR *folder = opendir(SOURCE_DIR "/tests/data/onnx/versions");
    cr_assert(folder);
    int pairs = 0;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        const char *end = strstr(entry->d_name, ".old.onnx");
        if (!end)
            continue;
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)(end - entry->d_name), entry->d_name);
        pair_check(name);
        pairs++;
    }
    closedir(folder);
    cr_assert_geq(pairs, 49);
}
