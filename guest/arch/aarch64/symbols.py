#!/usr/bin/env python3
"""Turns `nm` output into the kernel's symbol table (guest/kernel/symbols.hpp says what it looks like).

usage: symbols.py NM ELF OUTPUT.S
       symbols.py --check NM FIRST.elf SECOND.elf    the code of both links must lie at the same addresses
"""
import subprocess
import sys

BASE = 0xFFFF800000000000
# Marks, and the linker's detours around an erratum of the Cortex-A53: where one is needed depends on the address of
# data, so on the symbol table itself. They lie in room that both links have.
NO_FUNCTIONS = ("$", "e843419@")


def functions(nm, elf):
    """Function symbols as {offset: name}; the first name wins where several share an address."""
    lines = subprocess.run([nm, "-n", "--defined-only", elf], check=True, capture_output=True, text=True).stdout
    table = {}
    for line in lines.splitlines():
        address, kind, name = line.split(" ", 2)
        offset = int(address, 16) - BASE
        if kind in "tTwW" and not name.startswith(NO_FUNCTIONS) and 0 <= offset < 1 << 32 and name != "_text_end":
            table.setdefault(offset, name)
    return table


def write(table, path):
    names = [table[offset] for offset in sorted(table)]
    with open(path, "w", encoding="ascii") as out:
        out.write('.section .sis_symbols, "a"\n.balign 8\n')
        out.write(f".global sis_symbol_count\nsis_symbol_count:\n.quad {len(table)}\n")
        out.write(f".global sis_symbol_text_bytes\nsis_symbol_text_bytes:\n.quad {sum(len(n) + 1 for n in names)}\n")
        out.write(".global sis_symbol_entries\nsis_symbol_entries:\n")
        position = 0
        for offset, name in zip(sorted(table), names):
            out.write(f".long {offset:#x}, {position}\n")
            position += len(name) + 1
        out.write(".global sis_symbol_text\nsis_symbol_text:\n")
        for name in names:
            out.write(f'.asciz "{name}"\n')
        out.write('.section .note.GNU-stack, "", %progbits\n')


def main(arguments):
    if arguments[:1] == ["--check"]:
        nm, first, second = arguments[1:]
        if functions(nm, first) != functions(nm, second):
            sys.exit(f"symbols.py: code moved between {first} and {second}: the symbol table would be wrong")
        return
    nm, elf, output = arguments
    write(functions(nm, elf), output)


main(sys.argv[1:])
