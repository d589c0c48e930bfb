// The guest's console on the host: to a log, to whoever watches, and the way in for what is typed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/socket_stream.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::machine {

class UnixServer;

/// Serves console.sock and writes console.log.
///
/// Any number of clients up to kMaxClients may watch, and each may type; what several type at the same time is taken
/// piece by piece in the order in which it comes. A client gets the end of what was printed before it came, so that it
/// sees the prompt. A client that does not read is dropped when kMaxClientPending bytes wait for it: the guest never
/// waits for a client. What is typed faster than the guest reads stays in the client's socket.
class ConsoleHub {
 public:
  static constexpr std::size_t kMaxClients = 32;
  static constexpr std::size_t kMaxClientPending = std::size_t{256} * 1024;
  static constexpr std::size_t kReplayBytes = 4096;
  static constexpr std::uint64_t kMaxLogBytes = std::uint64_t{64} * 1024 * 1024;

  /// Types into the guest: takes bytes as far as there is room and returns their number.
  using Typing = std::function<std::size_t(std::string_view)>;

  static Result<std::unique_ptr<ConsoleHub>> create(EventLoop& loop, const std::filesystem::path& socket_path,
                                                    const std::filesystem::path& log_path, Typing typing);
  ~ConsoleHub();
  ConsoleHub(const ConsoleHub&) = delete;
  ConsoleHub& operator=(const ConsoleHub&) = delete;

  /// The guest has printed.
  void on_output(std::string_view bytes);

  /// The guest takes input again, after `typing` took less than all.
  void on_input_ready();

  /// Types on behalf of the monitor's own terminal; takes all. False: the guest is slower, wait with more until the
  /// callback of set_on_room().
  bool type(std::string_view bytes);
  void set_on_room(std::function<void()> on_room) { on_room_ = std::move(on_room); }

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t bytes_not_logged() const { return bytes_not_logged_; }
  /// Why the log could not be written, once.
  [[nodiscard]] const std::string& log_problem() const { return log_problem_; }

 private:
  struct Client {
    std::unique_ptr<SocketStream> stream;
    bool dropped = false;
  };

  ConsoleHub(EventLoop& loop, UniqueFd log, Typing typing);
  void on_client(UniqueFd socket);
  void write_log(std::string_view bytes);
  void drop_later(std::list<Client>::iterator client);
  void set_clients_reading(bool reading);

  EventLoop& loop_;
  UniqueFd log_;
  Typing typing_;
  std::function<void()> on_room_;
  std::unique_ptr<UnixServer> server_;
  std::list<Client> clients_;
  std::string replay_;
  std::string typed_;  ///< accepted and not yet taken by the guest
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_not_logged_ = 0;
  std::string log_problem_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace vmm::machine
