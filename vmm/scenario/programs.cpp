#include "vmm/scenario/programs.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "abi/boot_config.hpp"
#include "program_problems.hpp"
#include "types.hpp"
#include "vmm/base/file.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;

constexpr std::size_t kMaxStem = names::kMaxProgramName - (sizeof(names::kProgramsFolder) - 1);

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

Result<std::string> read_program(const std::string& path, std::size_t max_bytes) {
  auto bytes = read_file(path, max_bytes);
  if (!bytes) return bytes;
  if (auto checked = check_header(*bytes); !checked) return fail(path + ": " + checked.error().message);
  return bytes;
}

std::string stem_of(const UserProgram& program) {
  return archive_name(program).substr(sizeof(names::kProgramsFolder) - 1);
}

bool is_good_stem(const std::string& stem) {
  const auto is_allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !stem.empty() && stem != "." && stem != ".." && stem.size() <= kMaxStem &&
         std::ranges::all_of(stem, is_allowed);
}

/// Reads the files of a scenario's tasks, and keeps what is wrong with them.
class ProgramReader {
 public:
  ProgramReader(const std::vector<Task>& tasks, const ProgramLimits& limits) : tasks_(tasks), limits_(limits) {}

  /// False: there is no point in going on.
  bool read(std::size_t task) {
    const UserProgram& program = *tasks_[task].program;
    const std::string name = archive_name(program);
    if (contents_.contains(name)) return true;
    auto bytes = read_program(program.file, limits_.file_bytes);
    if (!bytes) {
      report({.task = task,
              .found = "no program (" + bytes.error().message + ")",
              .allowed = "an ELF executable for AArch64 of at most " + size_text(limits_.file_bytes)});
      return true;
    }
    total_ += bytes->size();
    if (total_ > limits_.total_bytes) {
      report({.task = task,
              .found = std::to_string(total_) + " bytes with the programs before it",
              .allowed = "at most " + size_text(limits_.total_bytes) + " of all programs together"});
      return false;
    }
    contents_.emplace(name, *std::move(bytes));
    return true;
  }

  void report(const ProgramProblem& problem) {
    const std::string& place = tasks_[problem.task].program->place;
    if (!problems_.empty()) problems_ += '\n';
    problems_ += place.empty() ? program_key(problem.task) : place;
    problems_ += ": found " + problem.found + ", allowed: " + problem.allowed;
  }

  [[nodiscard]] const std::string& problems() const { return problems_; }
  [[nodiscard]] std::map<std::string, std::string> take() && { return std::move(contents_); }

 private:
  const std::vector<Task>& tasks_;
  const ProgramLimits& limits_;
  std::map<std::string, std::string> contents_;
  std::size_t total_ = 0;
  std::string problems_;  ///< a line each
};

}  // namespace

std::string archive_name(const UserProgram& program) {
  const std::filesystem::path file(program.file);
  return names::kProgramsFolder + (file.extension() == ".elf" ? file.stem() : file.filename()).string();
}

std::string program_key(std::size_t task) { return "tasks[" + std::to_string(task) + "].program.file"; }

std::vector<ProgramProblem> name_problems(const std::vector<Task>& tasks) {
  std::vector<ProgramProblem> problems;
  std::map<std::string, std::string> path_of;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (!tasks[i].program) continue;
    const std::string& file = tasks[i].program->file;
    const std::string stem = stem_of(*tasks[i].program);
    const auto [first, is_new] = path_of.try_emplace(stem, file);
    if (!is_good_stem(stem)) {
      problems.push_back({.task = i,
                          .found = file,
                          .allowed = "a file with a name of at most " + std::to_string(kMaxStem) +
                                     " of A-Z a-z 0-9 . _ -, without its .elf"});
    } else if (!is_new && first->second != file) {
      problems.push_back(
          {.task = i, .found = file, .allowed = "a file with a name of its own (" + first->second + " has this one)"});
    }
  }
  return problems;
}

Result<std::map<std::string, std::string>> read_programs(const Scenario& scenario, const ProgramLimits& limits) {
  ProgramReader reader(scenario.tasks, limits);
  for (const ProgramProblem& problem : name_problems(scenario.tasks)) reader.report(problem);
  bool goes_on =
      reader.problems().empty();  // under a name that two files have, the first one's bytes would do for both
  for (std::size_t i = 0; i < scenario.tasks.size() && goes_on; ++i) {
    goes_on = !scenario.tasks[i].program || reader.read(i);
  }
  if (!reader.problems().empty()) return fail(reader.problems(), abi::ExitCode::Usage);
  return std::move(reader).take();
}

}  // namespace vmm::scenario
