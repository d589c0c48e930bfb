// The host's side of the vsock device: the public Unix socket, its clients, and the sockets of the host's own services.
//
//   client: connect <path>, "CONNECT <port>\n"  ->  "OK <host port>\n" and then the connection's bytes
//                                               ->  "ERR <reason>\n" and the end
//   guest:  connects to host port P             ->  connected to "<path>_P"
//
// Other monitors only close the connection when it is refused. The ERR line breaks no client written for them, because
// a client has to treat everything but OK as failure, and it tells a person why.
//
// Clients are hostile: the line is bounded, parsed byte by byte, and must be complete in time; bytes behind it stay in
// the socket until the connection is made; clients are limited in number for each process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/devices/vsock/client_listener.hpp"
#include "vmm/devices/vsock/connect_line.hpp"
#include "vmm/devices/vsock/counters.hpp"
#include "vmm/devices/vsock/muxer.hpp"

namespace vmm::vsock {

struct HostSocketLimits {
  std::size_t clients_without_line = 2048;  ///< accepted, CONNECT not complete
  std::size_t clients_without_line_per_process = 1536;
  std::chrono::milliseconds line_time{10'000};    ///< from accept to the end of the CONNECT line
  std::optional<std::uint32_t> closed_port = {};  ///< of the guest, for which nobody may ask
};

/// Connects to "<path>_<port>".
class ServiceConnector final : public Connector {
 public:
  ServiceConnector(EventLoop& loop, std::string path) : loop_(loop), path_(std::move(path)) {}
  std::unique_ptr<Stream> connect(std::uint32_t port) override;

 private:
  EventLoop& loop_;
  std::string path_;
};

/// A Unix socket as a stream of the device. `fd` is non-blocking.
std::unique_ptr<Stream> make_socket_stream(EventLoop& loop, UniqueFd fd);
/// The same for a client that has not asked: nothing is said when it is connected, `refusal` and the reason when not.
std::unique_ptr<Stream> make_direct_stream(EventLoop& loop, UniqueFd fd, std::string refusal);

/// Listens on `path` (mode 0600), replacing a socket that lies there; something else that lies there is an error.
Result<UniqueFd> listen_for_clients(const std::string& path);

class HostSocket {
 public:
  /// Makes the socket; its file goes with this.
  /// @param muxer and counters outlive it
  static Result<std::unique_ptr<HostSocket>> listen(EventLoop& loop, const std::string& path,
                                                    const HostSocketLimits& limits, Muxer& muxer, Counters& counters);
  /// @param listener of listen_for_clients(); its file is somebody else's
  HostSocket(EventLoop& loop, UniqueFd listener, const HostSocketLimits& limits, Muxer& muxer, Counters& counters);
  /// Tells clients that have not completed their line.
  ~HostSocket();
  HostSocket(const HostSocket&) = delete;
  HostSocket& operator=(const HostSocket&) = delete;

 private:
  struct Client {
    UniqueFd fd;
    ConnectLine line;
    ClientId process;
    EventLoop::TimerId timer;
  };

  void own_file(const std::string& path);
  void add_client(UniqueFd fd);
  void read_line(int fd);
  void line_complete(int fd);
  void reject(int fd, std::string_view reason);
  void forget(int fd);

  EventLoop& loop_;
  ClientListener listener_;
  std::string path_;       ///< of the file that is to be removed; empty: none
  dev_t file_device_ = 0;  ///< identity of our socket's file, so that only that is removed
  ino_t file_inode_ = 0;
  HostSocketLimits limits_;
  Muxer& muxer_;
  Counters& counters_;
  std::map<int, Client> clients_;
  std::map<ClientId, std::size_t> per_process_;
};

}  // namespace vmm::vsock
