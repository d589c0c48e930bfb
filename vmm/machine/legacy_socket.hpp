// The socket that a scenario publishes for clients of version 0 of the control protocol.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::machine {

/// Listens from open() on; who accepts is the back end's vsock device. Its file goes with this.
class LegacySocket {
 public:
  /// @param run_dir where a relative path lies
  /// Errors: what lies at the path already, a port that is taken.
  static Result<std::unique_ptr<LegacySocket>> open(const scenario::LegacySocket& wanted,
                                                    const std::filesystem::path& run_dir);
  ~LegacySocket();
  LegacySocket(const LegacySocket&) = delete;
  LegacySocket& operator=(const LegacySocket&) = delete;

  [[nodiscard]] int fd() const { return listener_.get(); }
  /// "unix:/run/m/v0.sock", "tcp:127.0.0.1:4000".
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  LegacySocket(UniqueFd listener, std::string where, std::filesystem::path file);
  static Result<std::unique_ptr<LegacySocket>> open_unix(const std::filesystem::path& path);
  static Result<std::unique_ptr<LegacySocket>> open_tcp(const std::string& address);

  UniqueFd listener_;
  std::string where_;
  std::filesystem::path file_;  ///< of a Unix socket; empty: TCP
  dev_t file_device_ = 0;       ///< identity of our socket's file, so that only that is removed
  ino_t file_inode_ = 0;
};

}  // namespace vmm::machine
