#include "files.hpp"

#include <filesystem>

#include "vmm/base/file.hpp"

namespace sis_model {
namespace {

constexpr std::size_t kMaxModelBytes = std::size_t{4} << 30;
constexpr std::size_t kMaxManifestFile = std::size_t{1} << 20;

}  // namespace

std::unexpected<Failure> unusable(std::string code, std::string message) {
  return std::unexpected(
      Failure{.exit_code = abi::ExitCode::Usage, .code = std::move(code), .message = std::move(message)});
}

std::unexpected<Failure> refused(const std::string& path, const guest::kernel::NamedError& error) {
  return std::unexpected(Failure{.exit_code = abi::ExitCode::Failed,
                                 .code = std::string(error.name),
                                 .message = path + ": " + std::string(error.detail.view())});
}

Outcome<std::string> read_whole(const std::string& path, std::size_t max_bytes) {
  auto text = vmm::read_file(path, max_bytes);
  if (!text) return unusable("file", std::move(text.error().message));
  return *std::move(text);
}

Outcome<std::string> read_model(const std::string& path) { return read_whole(path, kMaxModelBytes); }

Outcome<std::string> read_manifest(const std::string& path) { return read_whole(path, kMaxManifestFile); }

Outcome<> write_whole(const std::string& path, const std::string& text, bool force, unsigned mode) {
  std::error_code ignored;
  if (!force && std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) {
    return unusable("file", path + " is there already; --force replaces it");
  }
  auto written = force ? vmm::write_file(path, text, mode) : vmm::write_new_file(path, text, mode);
  if (!written) return unusable("file", std::move(written.error().message));
  return {};
}

std::string signature_path(const std::string& model) {
  return std::filesystem::path(model).replace_extension(".sig").string();
}

std::string stem_of(const std::string& model) { return std::filesystem::path(model).stem().string(); }

}  // namespace sis_model
