// A connected stream socket on an event loop, with a bounded buffer for what it does not take at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm {

/// Owns the socket. Belongs to the loop's thread. Callbacks may destroy the stream.
class SocketStream {
 public:
  struct Callbacks {
    std::function<void(std::string_view)> on_bytes;  ///< came in
    std::function<void()> on_closed;   ///< the other side is gone or broke; called once, nothing comes after it
    std::function<void()> on_drained;  ///< the buffer is empty again after send() took less than all; may be empty
  };

  /// @param max_pending bytes to hold for a socket that is full; send() takes no more
  /// Errors: the socket cannot be made non-blocking.
  static Result<std::unique_ptr<SocketStream>> create(EventLoop& loop, UniqueFd socket, std::size_t max_pending,
                                                      Callbacks callbacks);
  ~SocketStream();
  SocketStream(const SocketStream&) = delete;
  SocketStream& operator=(const SocketStream&) = delete;

  /// Sends now or later. Returns how many bytes it took, from the front; less than all when the buffer is full. A
  /// broken connection takes all: on_closed tells of it.
  std::size_t send(std::string_view bytes);

  /// Bytes taken and not yet written.
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }

  /// Switches reading off and on: who cannot pass on what comes lets the other side wait.
  void set_reading(bool reading);

  /// Reads nothing for a while, so that bytes gather: who writes single ones shall not wake us for each.
  void rest_reading(std::chrono::milliseconds pause);

  /// Reads what has come and not been seen, to the end of file or until nothing is there; for after the other side's
  /// process has ended.
  void read_rest();

  /// Writes what is pending as far as the socket takes it without waiting; for before closing it.
  void flush();

  /// Writes what is pending, and waits for a socket that is full as long as that takes.
  void drain();

 private:
  SocketStream(EventLoop& loop, UniqueFd socket, std::size_t max_pending, Callbacks callbacks);
  void on_events(Events events);
  bool read_once();
  void close();
  void update_interest();

  EventLoop& loop_;
  UniqueFd socket_;
  std::size_t max_pending_;
  Callbacks callbacks_;
  std::string pending_;
  bool reading_ = true;
  bool refused_some_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< false once destroyed
};

}  // namespace vmm
