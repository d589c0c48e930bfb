#include "legacy_socket.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "vmm/base/numbers.hpp"
#include "vmm/base/tcp_socket.hpp"
#include "vmm/base/unix_socket.hpp"

namespace vmm::machine {
namespace {

constexpr int kBacklog = 128;

Error cannot_listen(const std::string& where, int number, const std::string& hint) {
  const std::string message = "control.legacy_socket: cannot listen on " + where;
  if (number == EADDRINUSE) return Error{.message = message + ": " + hint, .exit_code = abi::ExitCode::Usage};
  return fail_errno(message, number, abi::ExitCode::Usage).error();
}

}  // namespace

Result<std::unique_ptr<LegacySocket>> LegacySocket::open(const scenario::LegacySocket& wanted,
                                                         const std::filesystem::path& run_dir) {
  return wanted.tcp.empty() ? open_unix(run_dir / wanted.unix_path) : open_tcp(wanted.tcp);
}

Result<std::unique_ptr<LegacySocket>> LegacySocket::open_unix(const std::filesystem::path& path) {
  std::string where = "unix:" + path.string();
  auto listener = listen_unix(path, kBacklog);
  if (!listener) {
    return std::unexpected(cannot_listen(where, listener.error(), "a file lies there already; move it away"));
  }
  return std::unique_ptr<LegacySocket>(new LegacySocket(std::move(*listener), std::move(where), path));
}

Result<std::unique_ptr<LegacySocket>> LegacySocket::open_tcp(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  const auto port = parse_whole<std::uint16_t>(std::string_view(address).substr(colon + 1));
  if (colon == std::string::npos || !port) return fail("control.legacy_socket: no port in " + address);
  auto listener = listen_on_loopback(*port, kBacklog);
  if (!listener) {
    return std::unexpected(cannot_listen("tcp:" + address, listener.error(), "another program has the port"));
  }
  const auto given = port_of(*listener);
  if (!given) return fail_errno("cannot find out the port of the legacy socket", given.error());
  std::string where = "tcp:" + address.substr(0, colon + 1) + std::to_string(*given);
  return std::unique_ptr<LegacySocket>(new LegacySocket(std::move(*listener), std::move(where), {}));
}

LegacySocket::LegacySocket(UniqueFd listener, std::string where, std::filesystem::path file)
    : listener_(std::move(listener)), where_(std::move(where)), file_(std::move(file)) {
  struct stat info{};
  if (file_.empty() || ::lstat(file_.c_str(), &info) != 0) return;
  file_device_ = info.st_dev;
  file_inode_ = info.st_ino;
}

LegacySocket::~LegacySocket() {
  if (file_.empty()) return;
  struct stat info{};
  const bool ours = ::lstat(file_.c_str(), &info) == 0 && info.st_dev == file_device_ && info.st_ino == file_inode_;
  if (ours) ::unlink(file_.c_str());
}

}  // namespace vmm::machine
