/* Binding of -i arguments to a model's inputs. */
#ifndef LATHE_TOOLS_INPUTS_H
#define LATHE_TOOLS_INPUTS_H

#include "tools/options.h"
#include "tools/tensorfile.h"

/* The image options of a command line; false: a usage error is recorded. */
bool image_options_read(HostImageOptions *image, const Options *options);

/* Fills `values` (one per spec) from the -i options:
 *   IN=SOURCE binds by name (IN counts as a name only if the model has such an input, so files may hold '=');
 *   SOURCE alone binds to the first input that is still free; an .npz with several members binds each by its name;
 *   a bare random:SEED, zeros or ones fills every input that is left over in the end; "none" leaves an optional input
 * out. Every value is checked against its spec. Inputs that nobody gave are errors unless optional. */
bool inputs_bind(HostValue *values, const HostSpec *specs, size_t count, const Options *options);

#endif
