// ELF files made field by field, so that each can be wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace guest::process::testing {

// As in <elf.h>, which glibc has and the guest does not.
struct FileHeader {
  std::uint8_t ident[16] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
  std::uint16_t type = 2;
  std::uint16_t machine = 183;
  std::uint32_t version = 1;
  std::uint64_t entry = 0;
  std::uint64_t phoff = 64;
  std::uint64_t shoff = 0;
  std::uint32_t flags = 0;
  std::uint16_t ehsize = 64;
  std::uint16_t phentsize = 56;
  std::uint16_t phnum = 0;
  std::uint16_t shentsize = 64;
  std::uint16_t shnum = 0;
  std::uint16_t shstrndx = 0;
};
struct ProgramHeader {
  std::uint32_t type = 1;
  std::uint32_t flags = 5;
  std::uint64_t offset = 0;
  std::uint64_t vaddr = 0;
  std::uint64_t paddr = 0;
  std::uint64_t filesz = 0;
  std::uint64_t memsz = 0;
  std::uint64_t align = 0x1000;
};

/// A program of two segments: code at 0x400000 (the file's first page, headers included) with the entry at 0x400100,
/// data at 0x411ff8, of which 16 bytes are in the file and 0x3000 in memory.
struct ElfFile {
  FileHeader header;
  std::vector<ProgramHeader> programs;
  std::size_t size = 0x2008;

  ElfFile() {
    header.entry = 0x40'0100;
    programs.push_back({.flags = 5, .offset = 0, .vaddr = 0x40'0000, .filesz = 0x1000, .memsz = 0x1000});
    programs.push_back({.flags = 6, .offset = 0x1ff8, .vaddr = 0x41'1ff8, .filesz = 0x10, .memsz = 0x3000});
  }

  /// Byte n of what is no header is n modulo 251.
  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> out(size);
    for (std::size_t i = 0; i < size; ++i) {
      out[i] = static_cast<std::byte>(i % 251);
    }
    FileHeader filled = header;
    if (filled.phnum == 0) {
      filled.phnum = static_cast<std::uint16_t>(programs.size());
    }
    put(out, 0, &filled, sizeof(filled));
    for (std::size_t i = 0; i < programs.size(); ++i) {
      put(out, 64 + i * sizeof(ProgramHeader), &programs[i], sizeof(ProgramHeader));
    }
    return out;
  }

 private:
  static void put(std::vector<std::byte>& out, std::size_t at, const void* data, std::size_t count) {
    if (at < out.size()) {
      std::memcpy(&out[at], data, std::min(count, out.size() - at));
    }
  }
};

}  // namespace guest::process::testing
