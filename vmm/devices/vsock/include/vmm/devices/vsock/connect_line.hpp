// The line that a client of the public socket starts with: "CONNECT <port>\n".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vmm::vsock {

/// Longest line, with its newline. "CONNECT 4294967294\n" has 19 bytes.
inline constexpr std::size_t kMaxConnectLineBytes = 32;

/// Parses the line byte by byte, however it is split. Exactly one space, decimal digits without sign, leading zeros
/// allowed within the line's limit, ports 0 to 2^32 - 2 (2^32 - 1 means "any port"), "\n" at the end.
class ConnectLine {
 public:
  enum class Status : std::uint8_t {
    Incomplete,
    Complete,
    NotConnect,  ///< does not begin with "CONNECT "
    BadPort,     ///< something other than digits, or none
    PortTooBig,
    TooLong,
  };

  /// Takes bytes up to the end of the line or the first error; the status stays what it is then.
  /// @return how many bytes were taken; those behind belong to the connection
  std::size_t feed(std::string_view bytes);

  [[nodiscard]] Status status() const { return status_; }
  [[nodiscard]] std::uint32_t port() const { return static_cast<std::uint32_t>(port_); }
  /// Bytes that may still belong to the line.
  [[nodiscard]] std::size_t room() const { return kMaxConnectLineBytes - taken_; }
  /// Any bytes yet?
  [[nodiscard]] bool started() const { return taken_ != 0; }
  /// What to tell the client about an error.
  [[nodiscard]] std::string_view problem() const;

 private:
  void take(char byte);

  Status status_ = Status::Incomplete;
  std::size_t taken_ = 0;
  std::uint64_t port_ = 0;
  bool has_digits_ = false;
};

}  // namespace vmm::vsock
