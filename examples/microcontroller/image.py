#!/usr/bin/env python3
"""Writes an array of NumPy's format as a C header: image.py FILE.npy NAME > image.h"""
import struct
import sys

data = open(sys.argv[1], "rb").read()
start = 10 + struct.unpack("<H", data[8:10])[0]
values = struct.unpack(f"<{(len(data) - start) // 4}f", data[start:])
print(f"/* {sys.argv[1].split('/')[-1]} */")
print(f"static const float {sys.argv[2]}[] = {{")
for i in range(0, len(values), 8):
    print("    " + " ".join(f"{value:g}f,".replace("f,", ".0f,") if value == int(value) else f"{value!r}f," for value in values[i : i + 8]))
print("};")
