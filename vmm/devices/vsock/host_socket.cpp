#include "vmm/devices/vsock/host_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <string>

#include "vmm/base/unix_socket.hpp"

namespace vmm::vsock {
namespace {

constexpr int kBacklog = 1024;
/// Removes the socket that a dead owner of the run directory left; nothing but a socket.
Result<> remove_stale_socket(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno("cannot examine the vsock socket " + path);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return fail("cannot listen on " + path + ": a file that is not a socket lies there; move it away");
  }
  if (::unlink(path.c_str()) != 0) return fail_errno("cannot replace the old vsock socket " + path);
  return {};
}

Result<> check_path(const std::string& path) {
  if (path.empty()) return fail("the path of the vsock socket is empty");
#ifndef __linux__
  // On Linux a longer path is reached through its folder (vmm/base/unix_socket.hpp), as a client of ours does, too.
  constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;
  // Clients have to be able to name it, also with "_<port>" behind it.
  constexpr std::size_t kPortSuffix = sizeof("_4294967294") - 1;
  if (path.size() > kLongest - kPortSuffix) {
    return fail("the path of the vsock socket has " + std::to_string(path.size()) + " bytes: " + path +
                    ". A Unix socket's path may have " + std::to_string(kLongest) + ", less " +
                    std::to_string(kPortSuffix) + " for \"_<port>\": use a shorter run directory (--run-dir)",
                abi::ExitCode::Usage);
  }
#endif
  return {};
}

}  // namespace

std::unique_ptr<Stream> ServiceConnector::connect(std::uint32_t port) {
  auto fd = connect_unix(path_ + "_" + std::to_string(port), Blocking::No);
  if (!fd) return nullptr;
  return make_socket_stream(loop_, std::move(*fd));
}

Result<UniqueFd> listen_for_clients(const std::string& path) {
  if (auto done = check_path(path); !done) return std::unexpected(std::move(done.error()));
  auto listener = listen_unix(path, kBacklog);
  if (!listener && listener.error() == EADDRINUSE) {
    if (auto done = remove_stale_socket(path); !done) return std::unexpected(std::move(done.error()));
    listener = listen_unix(path, kBacklog);
  }
  if (!listener) return fail_errno("cannot listen on the vsock socket " + path, listener.error());
  return std::move(*listener);
}

Result<std::unique_ptr<HostSocket>> HostSocket::listen(EventLoop& loop, const std::string& path,
                                                       const HostSocketLimits& limits, Muxer& muxer,
                                                       Counters& counters) {
  auto listener = listen_for_clients(path);
  if (!listener) return std::unexpected(std::move(listener.error()));
  auto socket = std::make_unique<HostSocket>(loop, std::move(*listener), limits, muxer, counters);
  socket->own_file(path);
  return socket;
}

HostSocket::HostSocket(EventLoop& loop, UniqueFd listener, const HostSocketLimits& limits, Muxer& muxer,
                       Counters& counters)
    : loop_(loop),
      listener_(loop, std::move(listener), counters, [this](UniqueFd fd) { add_client(std::move(fd)); }),
      limits_(limits),
      muxer_(muxer),
      counters_(counters) {}

void HostSocket::own_file(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return;
  path_ = path;
  file_device_ = info.st_dev;
  file_inode_ = info.st_ino;
}

HostSocket::~HostSocket() {
  while (!clients_.empty()) reject(clients_.begin()->first, "the machine has stopped");
  if (path_.empty()) return;
  struct stat info{};
  const bool ours = ::lstat(path_.c_str(), &info) == 0 && info.st_dev == file_device_ && info.st_ino == file_inode_;
  if (ours) ::unlink(path_.c_str());
}

void HostSocket::add_client(UniqueFd fd) {
  const int number = fd.get();
  const ClientId process = process_of(number);
  const bool room = clients_.size() < limits_.clients_without_line &&
                    per_process_[process] < limits_.clients_without_line_per_process;
  ++per_process_[process];
  const auto timer = loop_.add_timer(limits_.line_time, [this, number] {
    ++counters_.connect_lines_timeout;
    reject(number, "no complete CONNECT line in time");
  });
  clients_.emplace(number, Client{.fd = std::move(fd), .line = {}, .process = process, .timer = timer});
  loop_.add(number, Interest::Read, [this, number](Events) { read_line(number); });
  if (!room) {
    ++counters_.clients_refused_quota;
    return reject(number, "too many clients without a CONNECT line");
  }
  read_line(number);  // the line is often there already
}

void HostSocket::read_line(int fd) {
  Client& client = clients_.at(fd);
  // Looked at first, then taken up to the end of the line: what follows must stay in the socket for the connection.
  std::array<char, kMaxConnectLineBytes> bytes;
  const ssize_t seen = ::recv(fd, bytes.data(), client.line.room(), MSG_PEEK);
  if (seen < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (seen <= 0) {
    ++counters_.connect_lines_abandoned;
    return forget(fd);
  }
  const std::size_t used = client.line.feed({bytes.data(), static_cast<std::size_t>(seen)});
  // Cannot come short: the bytes were just seen, and nobody else reads here.
  if (::recv(fd, bytes.data(), used, 0) != static_cast<ssize_t>(used)) return forget(fd);
  if (client.line.status() == ConnectLine::Status::Incomplete) return;
  if (client.line.status() == ConnectLine::Status::Complete) return line_complete(fd);
  ++counters_.connect_lines_bad;
  reject(fd, client.line.problem());
}

void HostSocket::line_complete(int fd) {
  Client& client = clients_.at(fd);
  const std::uint32_t port = client.line.port();
  if (limits_.closed_port == port) {
    ++counters_.clients_refused_closed_port;
    return reject(fd, "this port is reached by a socket of its own");
  }
  const ClientId process = client.process;
  UniqueFd owned = std::move(client.fd);
  forget(fd);
  muxer_.connect_from_host(make_socket_stream(loop_, std::move(owned)), port, process);
}

void HostSocket::reject(int fd, std::string_view reason) {
  UniqueFd owned = std::move(clients_.at(fd).fd);
  forget(fd);
  make_socket_stream(loop_, std::move(owned))->refused(reason);
}

void HostSocket::forget(int fd) {
  loop_.remove(fd);
  const auto found = clients_.find(fd);
  loop_.cancel_timer(found->second.timer);
  const auto process = per_process_.find(found->second.process);
  if (--process->second == 0) per_process_.erase(process);
  clients_.erase(found);
}

}  // namespace vmm::vsock
