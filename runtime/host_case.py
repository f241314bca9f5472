#!/usr/bin/env python3
"""Writes runtime/host_case.inc: how Unicode maps single code points to lower and upper case, in ranges."""
import os
import sys


def ranges(change):
    found = []
    for point in range(0x110000):
        text = change(chr(point)) if not 0xd800 <= point < 0xe000 else ""
        distance = ord(text) - point if len(text) == 1 else 0
        if not distance:
            continue
        first, last, before, step = found[-1] if found else (0, -9, 0, 0)
        if distance == before and point - last in (1, 2) and step in (0, point - last):
            found[-1] = (first, point, distance, point - last)
        else:
            found.append((point, point, distance, 0))
    return found


def write(file, name, found):
    file.write(f'OWN_SECTION("{name}") static const CaseRange {name}_ranges[] = {{\n')
    for first, last, distance, step in found:
        file.write(f"    {{0x{first:x}, 0x{last:x}, {distance}, {step or 1}}},\n")
    file.write("};\n")


path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "host_case.inc")
with open(path, "w") as file:
    file.write("/* Written by host_case.py. */\n")
    write(file, "lower", ranges(str.lower))
    write(file, "upper", ranges(str.upper))
