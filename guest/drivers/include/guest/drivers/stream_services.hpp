// Small services for tests and measurements of the stream transport, as they have been on every network: echo (RFC 862,
// port 7), discard (RFC 863, port 9), character generator (RFC 864, port 19). Only listened to when the boot
// configuration asks for them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guest/kernel/stream.hpp"

namespace guest::drivers {

/// Sends back what it gets; ends when the peer has ended and everything is back. Holds the peer back rather than bytes.
class EchoService final : public kernel::StreamListener, private kernel::StreamHandler {
 public:
  static constexpr std::uint32_t kPort = 7;
  kernel::StreamHandler* on_connect(kernel::Stream& stream, std::uint32_t peer_port) override;

 private:
  void on_readable(kernel::Stream& stream) override;
  void on_writable(kernel::Stream& stream) override;
  void on_closed(kernel::Stream& stream) override;
};

/// Reads everything and says nothing.
class DiscardService final : public kernel::StreamListener, private kernel::StreamHandler {
 public:
  static constexpr std::uint32_t kPort = 9;
  kernel::StreamHandler* on_connect(kernel::Stream& stream, std::uint32_t peer_port) override;

 private:
  void on_readable(kernel::Stream& stream) override;
  void on_writable(kernel::Stream& stream) override;
  void on_closed(kernel::Stream& stream) override;
};

/// Sends the pattern of RFC 864 until the peer takes no more: lines of 72 of the 95 printable characters and CR LF,
/// each line starting one character later than the one before. Large: give it static storage.
class CharacterGeneratorService final : public kernel::StreamListener {
 public:
  static constexpr std::uint32_t kPort = 19;
  static constexpr std::size_t kMaxStreams = 32;  ///< further ones are refused
  static constexpr std::size_t kLineBytes = 74;
  static constexpr std::size_t kPeriodBytes = 95 * kLineBytes;

  kernel::StreamHandler* on_connect(kernel::Stream& stream, std::uint32_t peer_port) override;
  /// The byte at `position` of every stream.
  [[nodiscard]] static char byte_at(std::uint64_t position);

 private:
  struct Session final : kernel::StreamHandler {
    void on_readable(kernel::Stream& stream) override;
    void on_writable(kernel::Stream& stream) override;
    void on_closed(kernel::Stream& stream) override;
    const CharacterGeneratorService* service = nullptr;
    std::size_t position = 0;  ///< in pattern_
    bool in_use = false;
  };
  void make_pattern();
  void generate(Session& session, kernel::Stream& stream) const;

  bool made_ = false;
  std::array<Session, kMaxStreams> sessions_;
  /// Ten periods, so that a packet of the largest size is one write.
  std::array<std::byte, 10 * kPeriodBytes> pattern_;
};

/// Listens on all three ports. False: one of them is taken or the transport's table is full.
struct StreamServices {
  EchoService echo;
  DiscardService discard;
  CharacterGeneratorService character_generator;
  bool listen(kernel::StreamTransport& transport);
};

}  // namespace guest::drivers
