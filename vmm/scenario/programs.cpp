#include "vmm/scenario/programs.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "abi/boot_config.hpp"
#include "vmm/base/file.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;

/// The first look at a file; the guest checks all of it. System V ABI, "ELF Header".
Result<> check_header(const std::string& bytes) {
  Elf64_Ehdr header{};
  if (bytes.size() < sizeof(header)) return fail(std::to_string(bytes.size()) + " bytes: no ELF file is that short");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return fail("it is no ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != EM_AARCH64) {
    return fail("it is not for 64-bit little-endian AArch64 (class " + std::to_string(header.e_ident[EI_CLASS]) +
                ", byte order " + std::to_string(header.e_ident[EI_DATA]) + ", machine " +
                std::to_string(header.e_machine) + ")");
  }
  if (header.e_type != ET_EXEC) {
    return fail("it has type " + std::to_string(header.e_type) +
                ", expected 2, an executable at fixed addresses (-static -no-pie)");
  }
  return {};
}

Result<std::string> read_program(const std::string& path) {
  auto bytes = read_file(path, kMaxProgramBytes);
  if (!bytes) return bytes;
  if (auto checked = check_header(*bytes); !checked) return fail(path + ": " + checked.error().message);
  return bytes;
}

Result<> check_name(const UserProgram& program) {
  const std::string name = archive_name(program);
  const std::string stem = name.substr(std::strlen(names::kProgramsFolder));
  const auto is_allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (stem.empty() || stem == ".." || name.size() > names::kMaxProgramName || !std::ranges::all_of(stem, is_allowed)) {
    return fail(program.file + ": the name of a program's file has at most " +
                std::to_string(names::kMaxProgramName - std::strlen(names::kProgramsFolder)) +
                " characters of A-Z a-z 0-9 . _ -");
  }
  return {};
}

}  // namespace

std::string archive_name(const UserProgram& program) {
  const std::filesystem::path file(program.file);
  return names::kProgramsFolder + (file.extension() == ".elf" ? file.stem() : file.filename()).string();
}

Result<std::map<std::string, std::string>> read_programs(const Scenario& scenario) {
  std::map<std::string, std::string> contents;
  std::map<std::string, std::string> paths;
  for (const Task& task : scenario.tasks) {
    if (!task.program) continue;
    const std::string doing = "task '" + task.name + "': program.file";
    const auto refuse = [&](Error error) {
      error.exit_code = abi::ExitCode::Usage;
      return std::unexpected(std::move(error).because_of(doing));
    };
    if (auto checked = check_name(*task.program); !checked) return refuse(checked.error());
    const std::string name = archive_name(*task.program);
    const auto [known, is_new] = paths.try_emplace(name, task.program->file);
    if (!is_new && known->second != task.program->file) {
      return refuse({task.program->file + " and " + known->second + " have the same name"});
    }
    if (!is_new) continue;
    auto bytes = read_program(task.program->file);
    if (!bytes) return refuse(bytes.error());
    contents.emplace(name, *std::move(bytes));
  }
  return contents;
}

}  // namespace vmm::scenario
