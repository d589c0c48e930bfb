// Files of packages on the host, and what is wrong with them.
#pragma once

#include <expected>
#include <span>
#include <string>

#include "abi/exit_code.hpp"
#include "guest/kernel/named_error.hpp"
#include "vmm/base/result.hpp"

namespace sis_model {

/// Why a command was not done.
struct Failure {
  abi::ExitCode exit_code;
  std::string code;  ///< stable: "file", "key", or that of a refusal, as "package-wrong-hash"
  std::string message;
};
template <typename T = void>
using Outcome = std::expected<T, Failure>;

/// A file, or what is given, cannot be used: exit code 2.
std::unexpected<Failure> unusable(std::string code, std::string message);
/// A package or a model in the file `path` is refused: exit code 1.
std::unexpected<Failure> refused(const std::string& path, const guest::kernel::NamedError& error);

Outcome<std::string> read_whole(const std::string& path, std::size_t max_bytes);
/// A model file; of at most 4 GiB, which is in memory at once.
Outcome<std::string> read_model(const std::string& path);
/// A manifest; of one that is too long so much is read that the parser sees that it is.
Outcome<std::string> read_manifest(const std::string& path);
/// Replaces a file only with `force`.
Outcome<> write_whole(const std::string& path, const std::string& text, bool force, unsigned mode = 0644);

/// a/b.gguf -> a/b.sig
std::string signature_path(const std::string& model);
/// a/b.gguf -> b
std::string stem_of(const std::string& model);

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace sis_model
