// A connection as the HTTP library reads it, which is over at a set time and after so many bytes, however slowly or
// long its client talks.
#pragma once

#include <httplib.h>

#include <array>
#include <chrono>

namespace sis_web {

/// Does not own the socket. For one thread.
class DeadlineStream final : public httplib::Stream {
 public:
  using Clock = std::chrono::steady_clock;

  /// @param max_read bytes that the client may send in all
  DeadlineStream(socket_t socket, Clock::time_point deadline, std::size_t max_read)
      : socket_(socket), deadline_(deadline), left_(max_read) {}

  [[nodiscard]] bool is_readable() const override;
  [[nodiscard]] bool is_writable() const override;
  /// Waits for bytes until the deadline. -1: it is past, the client has sent too much, or the connection broke.
  ssize_t read(char* bytes, std::size_t size) override;
  ssize_t write(const char* bytes, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  [[nodiscard]] socket_t socket() const override { return socket_; }

 private:
  [[nodiscard]] bool wait_for(short events) const;
  [[nodiscard]] ssize_t fill();

  socket_t socket_;
  Clock::time_point deadline_;
  std::size_t left_;
  std::array<char, 4096> buffer_;  ///< the library reads single bytes
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace sis_web
