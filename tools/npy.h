/* What .npy and .npz share: the header of NumPy's array format. */
#ifndef LATHE_TOOLS_NPY_H
#define LATHE_TOOLS_NPY_H

#include "tools/tensorfile.h"

enum { NPY_HEADER_MOST = 2048 };

/* Fills `header` (version 1.0, padded to 64 bytes) and returns its length. */
size_t npy_header(char header[NPY_HEADER_MOST], const HostTensor *tensor);

#endif
