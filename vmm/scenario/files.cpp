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

using Use = NamedFile::Use;

const char* folder_of(Use use) {
  switch (use) {
    case Use::Program:
      return names::kProgramsFolder;
    case Use::Operator:
      return names::kFilesFolder;
    case Use::Model:
      return names::kModelsFolder;
  }
  return "";
}

/// Of a name without the folder; of a model's without the ending, too.
std::size_t max_stem(Use use) {
  switch (use) {
    case Use::Program:
      return names::kMaxProgramName - std::strlen(names::kProgramsFolder);
    case Use::Operator:
      return names::kMaxParameterText - std::strlen(names::kFilesFolder);
    case Use::Model:
      return names::kMaxModelName;
  }
  return 0;
}

/// What of a name in the archive the rules are about: without the folder, and of a model without the ending.
std::string stem_of(Use use, const std::string& archive_name) {
  std::string stem = archive_name.substr(std::strlen(folder_of(use)));
  if (use == Use::Model && stem.ends_with(names::kModelEnding)) {
    stem.resize(stem.size() - std::strlen(names::kModelEnding));
  }
  return stem;
}

/// What a file of that use should be called, and how it is said.
std::string name_rule(Use use) {
  const std::string rule = " of at most " + std::to_string(max_stem(use)) + " of A-Z a-z 0-9 . _ -";
  switch (use) {
    case Use::Program:
      return "a file with a name" + rule + ", without its .elf";
    case Use::Operator:
      return "a file with a name" + rule;
    case Use::Model:
      return "a file NAME.gguf, NAME" + rule + ", the first a letter or a digit";
  }
  return "";
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

/// What a model's id can be (docs/models.md).
bool is_good_model(const std::string& archive_name, const std::string& stem) {
  return archive_name.ends_with(names::kModelEnding) && !stem.starts_with('.') && !stem.starts_with('_') &&
         !stem.starts_with('-');
}

/// Reads files, and keeps what is wrong with them.
class FileReader {
 public:
  /// @param allow_unsigned models may be without manifest
  FileReader(const std::vector<NamedFile>& files, const FileLimits& limits, bool allow_unsigned)
      : files_(files), limits_(limits), allow_unsigned_(allow_unsigned) {}

  /// False: there is no point in going on.
  bool read(std::size_t index) {
    const NamedFile& file = files_[index];
    const std::string name = archive_name(file.use, file.path);
    if (contents_.contains(name)) return true;
    if (file.use == Use::Program) {
      return keep(index, name, read_program(file.path, limits_.program_bytes), "no program",
                  "an ELF executable for AArch64 of at most " + size_text(limits_.program_bytes));
    }
    const bool is_model = file.use == Use::Model;
    const std::size_t max_bytes = is_model ? limits_.model_bytes : limits_.file_bytes;
    return keep(index, name, read_file(file.path, max_bytes), is_model ? "no model" : "no file",
                (is_model ? "a model of at most " : "a file of at most ") + size_text(max_bytes)) &&
           (!is_model || !contents_.contains(name) || read_manifest(index));
  }

  void report(const FileProblem& problem) {
    if (!problems_.empty()) problems_ += '\n';
    problems_ += files_[problem.file].place + ": found " + problem.found + ", allowed: " + problem.allowed;
  }

  [[nodiscard]] const std::string& problems() const { return problems_; }
  [[nodiscard]] std::map<std::string, std::string> take() && { return std::move(contents_); }

 private:
  bool keep(std::size_t index, const std::string& name, Result<std::string> bytes, const std::string& what,
            const std::string& allowed) {
    if (!bytes) {
      report({.file = index, .found = what + " (" + bytes.error().message + ")", .allowed = allowed});
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

  /// Of the model with that index.
  bool read_manifest(std::size_t index) {
    const auto path = std::filesystem::path(files_[index].path).replace_extension(names::kSignatureEnding);
    std::error_code ignored;
    if (allow_unsigned_ && !std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) return true;
    return keep(index, names::kModelsFolder + path.filename().string(), read_file(path, limits_.manifest_bytes),
                "no manifest",
                "one of at most " + size_text(limits_.manifest_bytes) +
                    " beside the model, as sis-model sign writes it, or llm.allow_unsigned: true");
  }

  const std::vector<NamedFile>& files_;
  const FileLimits& limits_;
  const bool allow_unsigned_;
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
  for (std::size_t i = 0; i < scenario.llm.models.size(); ++i) {
    const Model& model = scenario.llm.models[i];
    add(NamedFile::Use::Model, model.file, item_key("llm.models", i) + ".file", model.place);
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
    const std::string stem = stem_of(file.use, name);
    const bool is_model = file.use == Use::Model;
    const auto [first, is_new] = path_of.try_emplace(name, file.path);
    if (!is_good_stem(stem, max_stem(file.use)) || (is_model && !is_good_model(name, stem))) {
      problems.push_back({.file = i, .found = file.path, .allowed = name_rule(file.use)});
    } else if (!is_new && (is_model || first->second != file.path)) {
      problems.push_back({.file = i,
                          .found = file.path,
                          .allowed = "a file with a name of its own (" + first->second + " has this one)"});
    }
  }
  return problems;
}

Result<std::map<std::string, std::string>> read_files(const Scenario& scenario, const FileLimits& limits) {
  const std::vector<NamedFile> files = named_files(scenario);
  FileReader reader(files, limits, scenario.llm.allow_unsigned);
  for (const FileProblem& problem : name_problems(files)) reader.report(problem);
  bool goes_on =
      reader.problems().empty();  // under a name that two files have, the first one's bytes would do for both
  for (std::size_t i = 0; i < files.size() && goes_on; ++i) goes_on = reader.read(i);
  if (!reader.problems().empty()) return fail(reader.problems(), abi::ExitCode::Usage);
  return std::move(reader).take();
}

}  // namespace vmm::scenario
