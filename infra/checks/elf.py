"""Checks that a function's binary runs where it is sent.

usage: elf.py FILE MACHINE GLIBC

MACHINE is `aarch64` or `x86_64`; GLIBC the newest version of the C library that the target has (provided.al2023: 2.34).
"""

import re
import sys

MACHINES = {183: "aarch64", 62: "x86_64"}  # e_machine, ELF specification


def version(text):
    return tuple(int(part) for part in text.split("."))


def main(path, machine, glibc):
    with open(path, "rb") as file:
        binary = file.read()
    if binary[:4] != b"\x7fELF":
        return f"{path}: not an ELF file"
    found = MACHINES.get(int.from_bytes(binary[18:20], "little"), "another machine")
    if found != machine:
        return f"{path}: built for {found}, expected {machine}"
    needed = {match.decode() for match in re.findall(rb"GLIBC_(\d+\.\d+(?:\.\d+)?)\0", binary)}
    newest = max(needed, key=version, default="0")
    if version(newest) > version(glibc):
        return f"{path}: needs glibc {newest}, the target has {glibc}"
    print(f"{path}: {found}, {len(binary):,} bytes, needs glibc {newest} (the target has {glibc})")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 4 else __doc__)
