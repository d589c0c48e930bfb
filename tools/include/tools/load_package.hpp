// A package of a model on its way to the guest (docs/models.md, "Uploads").
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "tools/session.hpp"

namespace sisctl {

/// What `command` names, before anybody is asked: its files are there and can be such.
struct PackageFiles {
  std::string model;
  std::uint64_t size = 0;  ///< of the model, bytes
  nlohmann::json args;     ///< of the request that begins the upload: id, size, manifest
};
Outcome<PackageFiles> find_package_files(const LoadPackage& command);

/// How far an upload is, on one line without its end: "tiny.gguf: 42 % of 3.4 MB, 12.3 MB/s".
std::string progress_text(const std::string& name, std::uint64_t done, std::uint64_t total,
                          std::chrono::nanoseconds took);

/// Sends the files and prints what the guest says of the model when it has loaded it. Ctrl-C ends it, and the guest
/// keeps nothing.
ExitCode run_load_package(const Context& context, const LoadPackage& command);

}  // namespace sisctl
