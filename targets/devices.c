/* Named devices: what people own, as a level and, for microcontrollers, the memory that there is. A device is a row.
 *
 * Sizes are those of the manufacturers' data sheets, the whole of the chip's: what a program needs besides the model is
 * the program's to subtract (--max-ram, --max-flash). */
#include "targets/devices.h"

const TargetDevice target_devices[] = {
    {"skylake-avx512", "x86-64-v4", 0, 0, "servers and desktops with AVX-512, from 2017"},
    {"haswell", "x86-64-v3", 0, 0, "Intel from 2013, AMD Zen 1 to 3"},
    {"raspberry-pi-5", "aarch64", 0, 0, "64-bit system; four Cortex-A76"},
    {"raspberry-pi-4", "aarch64", 0, 0, "64-bit system; four Cortex-A72"},
    {"raspberry-pi-3", "aarch64", 0, 0, "64-bit system; four Cortex-A53"},
    {"raspberry-pi-2", "armv7-neon", 0, 0, "32-bit system; four Cortex-A7; also later ones with a 32-bit system"},
    {"beaglebone-ai", "armv7-neon", 0, 0, "two Cortex-A15"},
    {"jetson-nano", "aarch64", 0, 0, "the CPU: four Cortex-A57"},
    {"graviton", "aarch64", 0, 0, "AWS Graviton, all generations"},
    {"t4", "sm_75", 0, 0, "NVIDIA T4, GeForce RTX 20"},
    {"a100", "sm_80", 0, 0, "NVIDIA A100, A30"},
    {"rtx-3090", "sm_86", 0, 0, "GeForce RTX 30, NVIDIA A10, A40"},
    {"rtx-4090", "sm_89", 0, 0, "GeForce RTX 40, NVIDIA L4, L40"},
    {"h100", "sm_90", 0, 0, "NVIDIA H100, H200, GH200"},
    {"b200", "sm_100", 0, 0, "NVIDIA B200"},
};
const int target_devices_count = sizeof target_devices / sizeof *target_devices;
