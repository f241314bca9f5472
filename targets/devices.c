/* Named devices: what people own, as a level and, for microcontrollers, the memory that there is. A device is a row.
 *
 * Sizes are those of the manufacturers' data sheets, the whole of the chip's: what a program needs besides the model is
 * the program's to subtract (--max-ram, --max-flash). */
#include "targets/devices.h"

const TargetDevice target_devices[] = {
    {"skylake-avx512", "x86-64-v4", 0, 0, "servers and desktops with AVX-512, from 2017"},
    {"haswell", "x86-64-v3", 0, 0, "Intel from 2013, AMD Zen 1 to 3"},
};
const int target_devices_count = sizeof target_devices / sizeof *target_devices;
