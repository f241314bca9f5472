/* Named devices: what people own, as a level and, for microcontrollers, the memory that there is. A device is a row.
 *
 * Sizes are those of the manufacturers' data sheets, the whole of the chip's: what a program needs besides the model is
 * the program's to subtract (--max-ram, --max-flash). Caches that cores share are told as one core's share. */
#include "targets/devices.h"

#define MACHINE "lathe-machine 1\n"

const TargetDevice target_devices[] = {
    {"skylake-avx512", "x86-64-v4", 0, 0, "servers and desktops with AVX-512, from 2017",
     MACHINE "l1 32768\nl2 1048576\nl3 1441792\n"},
    {"haswell", "x86-64-v3", 0, 0, "Intel from 2013, AMD Zen 1 to 3", MACHINE "l2 262144\n"},
    {"raspberry-pi-5", "aarch64", 0, 0, "64-bit system; four Cortex-A76",
     MACHINE "cores 4\nl1 65536\nl2 524288\nl3 524288\n"},
    {"raspberry-pi-4", "aarch64", 0, 0, "64-bit system; four Cortex-A72",
     MACHINE "cores 4\nl1 32768\nl2 262144\nl3 262144\n"},
    {"raspberry-pi-3", "aarch64", 0, 0, "64-bit system; four Cortex-A53",
     MACHINE "cores 4\nl1 32768\nl2 131072\nl3 131072\n"},
    {"raspberry-pi-2", "armv7-neon", 0, 0, "32-bit system; four Cortex-A7; also later ones with a 32-bit system",
     MACHINE "cores 4\nl1 32768\nl2 131072\nl3 131072\n"},
    {"beaglebone-ai", "armv7-neon", 0, 0, "two Cortex-A15", MACHINE "cores 2\nl1 32768\nl2 1048576\nl3 1048576\n"},
    {"jetson-nano", "aarch64", 0, 0, "the CPU: four Cortex-A57", MACHINE "cores 4\nl1 32768\nl2 524288\nl3 524288\n"},
    {"graviton", "aarch64", 0, 0, "AWS Graviton, all generations"},
    {"t4", "sm_75", 0, 0, "NVIDIA T4, GeForce RTX 20"},
    {"a100", "sm_80", 0, 0, "NVIDIA A100, A30"},
    {"rtx-3090", "sm_86", 0, 0, "GeForce RTX 30, NVIDIA A10, A40"},
    {"rtx-4090", "sm_89", 0, 0, "GeForce RTX 40, NVIDIA L4, L40"},
    {"h100", "sm_90", 0, 0, "NVIDIA H100, H200"},
    {"b200", "sm_100", 0, 0, "NVIDIA B200"},
    {"jetson-orin", "sm_87-aarch64", 0, 0, "the GPU of NVIDIA Jetson Orin, in a library for its ARM processor"},
    {"gh200", "sm_90-aarch64", 0, 0, "NVIDIA Grace Hopper"},
    {"rp2040", "cortex-m0plus", 264 << 10, 2 << 20, "Raspberry Pi Pico: two Cortex-M0+, flash of the board"},
    {"microbit", "cortex-m0plus", 16 << 10, 256 << 10, "BBC micro:bit of 2015, nRF51822"},
    {"microbit-v2", "cortex-m4f", 128 << 10, 512 << 10, "BBC micro:bit of 2020, nRF52833"},
    {"nrf52840", "cortex-m4f", 256 << 10, 1 << 20, "nRF52840 DK, Arduino Nano 33 BLE"},
    {"stm32g071", "cortex-m0plus", 36 << 10, 128 << 10, "NUCLEO-G071RB"},
    {"stm32f407", "cortex-m4f", 128 << 10, 1 << 20, "STM32F4DISCOVERY, without the 64 KiB that only the core sees"},
    {"stm32f446", "cortex-m4f", 128 << 10, 512 << 10, "NUCLEO-F446RE"},
    {"stm32l4r5", "cortex-m4f", 640 << 10, 2 << 20, "NUCLEO-L4R5ZI, the board of MLPerf Tiny"},
    {"stm32f746", "cortex-m7-sp", 320 << 10, 1 << 20, "STM32F746 Discovery"},
    {"stm32h743", "cortex-m7", 512 << 10, 2 << 20, "NUCLEO-H743ZI, the largest of its memories in one piece"},
    {"teensy-4.1", "cortex-m7", 512 << 10, 8126464, "i.MX RT1062: the half of its RAM next to the core"},
    {"corstone-300", "cortex-m55", 512 << 10, 512 << 10,
     "ARM's virtual platform and MPS3 AN547: tightly coupled memories"},
};
const int target_devices_count = sizeof target_devices / sizeof *target_devices;
