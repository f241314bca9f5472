/* Named devices: what people own, as a level and, for microcontrollers, the memory that there is. A device is a row.
 *
 * Sizes are those of the manufacturers' data sheets, the whole of the chip's: what a program needs besides the model is
 * the program's to subtract (--max-ram, --max-flash). */
#include "targets/devices.h"

const TargetDevice target_devices[] = {
    {"skylake-avx512", "x86-64-v4", 0, 0, "servers and desktops with AVX-512, from 2017"},
    {"haswell", "x86-64-v3", 0, 0, "Intel from 2013, AMD Zen 1 to 3"},
    {"t4", "sm_75", 0, 0, "NVIDIA T4, GeForce RTX 20"},
    {"a100", "sm_80", 0, 0, "NVIDIA A100, A30"},
    {"rtx-3090", "sm_86", 0, 0, "GeForce RTX 30, NVIDIA A10, A40"},
    {"rtx-4090", "sm_89", 0, 0, "GeForce RTX 40, NVIDIA L4, L40"},
    {"h100", "sm_90", 0, 0, "NVIDIA H100, H200, GH200"},
    {"b200", "sm_100", 0, 0, "NVIDIA B200"},
};
const int target_devices_count = sizeof target_devices / sizeof *target_devices;
