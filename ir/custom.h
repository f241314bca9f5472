/* Operators of the user's own, from a file (docs/custom.md): each is an expansion into other operators, or stages.
 *
 *     operator com.example Swoosh {
 *         input %x
 *         attribute alpha 1.0
 *         let %gate = (Sigmoid (Mul %x @alpha))
 *         output (Mul %x %gate)
 *     }
 *     operator com.example RowMean {
 *         input %x : T[N,M]
 *         output %y : T[N]
 *         stage %y[%i] over (%i in N) = (div (fold sum lanes=1 (%j in M) (at %x %i %j)) (cast T M))
 *     }
 *
 * An expansion is built where its node is imported. Stages become an operator lathe_Stages, which carries the text as
 * an attribute, so that no table has to know it. */
#ifndef LATHE_IR_CUSTOM_H
#define LATHE_IR_CUSTOM_H

#include "ir/ir.h"

typedef struct CustomOperator CustomOperator;

/* The operators of some files; zero to begin with. */
typedef struct Customs {
    CustomOperator *first, *last;
} Customs;

/* Reads the text of a file, which must outlive the Ir, and adds its operators; false after a diagnostic with file and
 * line. */
bool customs_read(Ir *ir, const char *file, const char *text, size_t length, Customs *customs);
/* The object files that the definitions name for their functions, one after the other from 0 on; NULL behind the last.
 */
const char *customs_object(const Customs *customs, int number);
/* NULL: there is none. `customs` may be NULL. */
const CustomOperator *custom_find(const Customs *customs, const char *domain, const char *name);
/* The operator over these inputs (OP_omitted where absent); writes output_count nodes. False after a diagnostic. */
bool custom_make(Ir *ir, const CustomOperator *custom, Node *const *inputs, int input_count,
                 const Attribute *attributes, int attribute_count, Node **outputs, int output_count);

#endif
