// The files that a scenario names, which go from the host into the boot archive: programs of tasks, what operators of
// graphs read, models and their manifests.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

struct FileLimits {
  std::size_t program_bytes = std::size_t{64} << 20;  ///< of each program
  std::size_t file_bytes = std::size_t{16} << 20;     ///< of each file of an operator
  std::size_t model_bytes = std::size_t{512} << 20;   ///< of each model
  std::size_t manifest_bytes = 1024;                  ///< of the manifest of a model
  std::size_t total_bytes = std::size_t{512} << 20;   ///< of all of them: they are in memory at once, as is the archive
};

/// A file, as one task, operator or model names it.
struct NamedFile {
  enum class Use { Program, Operator, Model };
  Use use;
  std::string path;  ///< on the host
  std::string key;   ///< "tasks[3].program.file"
  std::string
      place;  ///< for messages: "a.yaml:7:20: tasks[3].program.file"; the key, where there is no file that says it
};

/// All of them but the manifests of models: those of tasks, those of operators, models, in the order of the scenario.
std::vector<NamedFile> named_files(const Scenario& scenario);

/// Its name in the boot archive: "programs/hello" for .../hello.elf, "files/a.pgm" for .../a.pgm, "models/a.gguf" for
/// .../a.gguf.
std::string archive_name(NamedFile::Use use, const std::string& path);

/// Contents of the files by their names in the archive, with the manifest of each model, NAME.sig beside NAME.gguf,
/// which may be missing if the scenario allows unsigned ones. Each file is read once, and what was read is what was
/// checked. An error, with exit code Usage, has a line for each place that names a file that cannot be read, is too
/// large, is no 64-bit little-endian AArch64 executable where it is a program, or of which the name is not allowed or
/// that of another one: "hello.yaml:7:20: tasks[0].program.file: found no program (/a/b: it is no ELF file), allowed:
/// an ELF executable ...".
Result<std::map<std::string, std::string>> read_files(const Scenario& scenario, const FileLimits& limits = {});

}  // namespace vmm::scenario
