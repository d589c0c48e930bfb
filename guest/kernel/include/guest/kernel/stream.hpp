// Byte streams inside the kernel: what the vsock driver offers and the control server uses, so that neither
// knows the other and the server can be tested on the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace guest::kernel {

class Stream;

/// The user of one stream. Called from the kernel's main loop, never from an interrupt. A handler may call any function
/// of the stream, Stream::reset() included.
class StreamHandler {
 public:
  /// New bytes can be read, or the peer will send no more (Stream::receive_ended()).
  virtual void on_readable(Stream& stream) = 0;
  /// There is room to send again after a short write.
  virtual void on_writable(Stream& stream) = 0;
  /// The stream is gone; do not use it after this call. The last call for a stream.
  virtual void on_closed(Stream& stream) = 0;

 protected:
  ~StreamHandler() = default;
};

/// One connection. Owned by the driver; valid until on_closed() returns.
class Stream {
 public:
  /// Takes up to out.size() bytes; returns how many. Frees credit for the peer.
  virtual std::size_t read(std::span<std::byte> out) = 0;
  /// Sends what there is room for; returns how many bytes were taken. After a short write on_writable() follows.
  virtual std::size_t write(std::span<const std::byte> data) = 0;
  /// True once every byte of the peer has been read and it will send no more.
  [[nodiscard]] virtual bool receive_ended() const = 0;
  /// Closes in order: what was written is delivered first, then the connection ends. on_closed() follows.
  virtual void close() = 0;
  /// Ends at once and drops what was not delivered. on_closed() follows.
  virtual void reset() = 0;

 protected:
  ~Stream() = default;
};

/// Accepts connections to one port.
class StreamListener {
 public:
  /// The handler for a new stream, or null to refuse it. `peer_port` is the port on the host's side.
  virtual StreamHandler* on_connect(Stream& stream, std::uint32_t peer_port) = 0;

 protected:
  ~StreamListener() = default;
};

/// Something that hands connections to listeners by port.
class StreamTransport {
 public:
  /// Registers a listener before the transport starts. False: the port is taken or the table is full.
  virtual bool listen(std::uint32_t port, StreamListener& listener) = 0;

 protected:
  ~StreamTransport() = default;
};

}  // namespace guest::kernel
