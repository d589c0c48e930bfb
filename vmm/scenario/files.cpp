#include "vmm/scenario/files.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "abi/boot_config.hpp"
#include "file_problems.hpp"
#include "items.hpp"
#include "types.hpp"
#include "vmm/base/file.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;

const char* folder_of(NamedFile::Use use) {
  return use == NamedFile::Use::Program ? names::kProgramsFolder : names::kFilesFolder;
}

/// Of a name without the folder.
std::size_t max_stem(NamedFile::Use use) {
  const std::size_t whole = use == NamedFile::Use::Program ? names::kMaxProgramName : names::kMaxParameterText;
  return whole - std::strlen(folder_of(use));
}

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

bool is_good_stem(const std::string& stem, std::size_t max_bytes) {
  const auto is_allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !stem.empty() && stem != "." && stem != ".." && stem.size() <= max_bytes &&
         std::ranges::all_of(stem, is_allowed);
}

/// Reads files, and keeps what is wrong with them.
class FileReader {
 public:
  FileReader(const std::vector<NamedFile>& files, const FileLimits& limits) : files_(files), limits_(limits) {}

  /// False: there is no point in going on.
  bool read(std::size_t index) {
    const NamedFile& file = files_[index];
    const bool is_program = file.use == NamedFile::Use::Program;
    const std::string name = archive_name(file.use, file.path);
    if (contents_.contains(name)) return true;
    auto bytes = is_program ? read_program(file.path, limits_.program_bytes) : read_file(file.path, limits_.file_bytes);
    if (!bytes) {
      report({.file = index,
              .found = std::string(is_program ? "no program (" : "no file (") + bytes.error().message + ")",
              .allowed = is_program ? "an ELF executable for AArch64 of at most " + size_text(limits_.program_bytes)
                                    : "a file of at most " + size_text(limits_.file_bytes)});
      return true;
    }
    total_ += bytes->size();
    if (total_ > limits_.total_bytes) {
      report({.file = index,
              .found = std::to_string(total_) + " bytes with the files before it",
              .allowed = "at most " + size_text(limits_.total_bytes) + " of all files together"});
      return false;
    }
    contents_.emplace(name, *std::move(bytes));
    return true;
  }

  void report(const FileProblem& problem) {
    if (!problems_.empty()) problems_ += '\n';
    problems_ += files_[problem.file].place + ": found " + problem.found + ", allowed: " + problem.allowed;
  }

  [[nodiscard]] const std::string& problems() const { return problems_; }
  [[nodiscard]] std::map<std::string, std::string> take() && { return std::move(contents_); }

 private:
  const std::vector<NamedFile>& files_;
  const FileLimits& limits_;
  std::map<std::string, std::string> contents_;
  std::size_t total_ = 0;
  std::string problems_;  ///< a line each
};

}  // namespace

std::vector<NamedFile> named_files(const Scenario& scenario) {
  std::vector<NamedFile> files;
  const auto add = [&files](NamedFile::Use use, const std::string& path, const std::string& key,
                            const std::string& place) {
    files.push_back({.use = use, .path = path, .key = key, .place = place.empty() ? key : place});
  };
  for (std::size_t i = 0; i < scenario.tasks.size(); ++i) {
    if (const auto& program = scenario.tasks[i].program) {
      add(NamedFile::Use::Program, program->file, item_key("tasks", i) + ".program.file", program->place);
    }
  }
  for (std::size_t i = 0; i < scenario.graphs.size(); ++i) {
    const std::vector<Operator>& operators = scenario.graphs[i].operators;
    for (std::size_t j = 0; j < operators.size(); ++j) {
      const OperatorParameters& parameters = operators[j].parameters;
      if (parameters.file.empty()) continue;
      add(NamedFile::Use::Operator, parameters.file,
          item_key(item_key("graphs", i) + ".operators", j) + ".parameters." + names::kFileParameter, parameters.place);
    }
  }
  return files;
}

std::string archive_name(NamedFile::Use use, const std::string& path) {
  const std::filesystem::path file(path);
  const bool without_ending = use == NamedFile::Use::Program && file.extension() == ".elf";
  return folder_of(use) + (without_ending ? file.stem() : file.filename()).string();
}

std::vector<FileProblem> name_problems(const std::vector<NamedFile>& files) {
  std::vector<FileProblem> problems;
  std::map<std::string, std::string> path_of;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const NamedFile& file = files[i];
    const std::string name = archive_name(file.use, file.path);
    const auto [first, is_new] = path_of.try_emplace(name, file.path);
    if (const std::size_t max = max_stem(file.use); !is_good_stem(name.substr(std::strlen(folder_of(file.use))), max)) {
      problems.push_back({.file = i,
                          .found = file.path,
                          .allowed = "a file with a name of at most " + std::to_string(max) + " of A-Z a-z 0-9 . _ -" +
                                     (file.use == NamedFile::Use::Program ? ", without its .elf" : "")});
    } else if (!is_new && first->second != file.path) {
      problems.push_back({.file = i,
                          .found = file.path,
                          .allowed = "a file with a name of its own (" + first->second + " has this one)"});
    }
  }
  return problems;
}

Result<std::map<std::string, std::string>> read_files(const Scenario& scenario, const FileLimits& limits) {
  const std::vector<NamedFile> files = named_files(scenario);
  FileReader reader(files, limits);
  for (const FileProblem& problem : name_problems(files)) reader.report(problem);
  bool goes_on =
      reader.problems().empty();  // under a name that two files have, the first one's bytes would do for both
  for (std::size_t i = 0; i < files.size() && goes_on; ++i) goes_on = reader.read(i);
  if (!reader.problems().empty()) return fail(reader.problems(), abi::ExitCode::Usage);
  return std::move(reader).take();
}

}  // namespace vmm::scenario
