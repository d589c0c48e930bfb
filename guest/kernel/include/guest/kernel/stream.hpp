// Byte streams inside the kernel: what the vsock driver offers and the control server uses, so that neither
// knows the other and the server can be tested on the host.
//
//   on_connect() -> [ on_readable() | on_writable() ]* -> on_closed()
//
// Everything here is called from the kernel's main loop, never from an interrupt. No callback comes out of a call of
// the user: on_closed() after close() or reset(), and on_writable() after a short write(), follow later from the loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/status.hpp"

namespace guest::kernel {

class Stream;

/// The user of one stream. A handler may call any function of any stream, Stream::reset() included.
class StreamHandler {
 public:
  /// New bytes can be read, or the peer will send no more (Stream::receive_ended()). Bytes that are left unread stay,
  /// within the stream's window, and hold the peer back; there is no second call for them.
  virtual void on_readable(Stream& stream) = 0;
  /// There is room to send again after a short write, or it became clear that there never will be (send_ended()). For a
  /// stream from connect(): first of all, that it is open.
  virtual void on_writable(Stream& stream) = 0;
  /// The stream is gone; do not use it after this call. The last call for a stream. Bytes that were not read are lost.
  virtual void on_closed(Stream& stream) = 0;

 protected:
  ~StreamHandler() = default;
};

/// One connection. Owned by the transport; valid until on_closed() returns.
class Stream {
 public:
  /// Takes up to out.size() bytes; returns how many. Frees credit for the peer.
  virtual std::size_t read(std::span<std::byte> out) = 0;
  /// Bytes that can be read next, in place: valid until they are consumed or read, the stream is closed or reset, or
  /// the handler returns. May be fewer than have arrived; empty: nothing has.
  [[nodiscard]] virtual std::span<const std::byte> peek() = 0;
  /// Takes `count` bytes of what peek() returned. Frees credit for the peer.
  virtual void consume(std::size_t count) = 0;
  /// Sends what there is room for; returns how many bytes were taken (they are copied). After a short write
  /// on_writable() follows. One turn of a handler sends a bounded amount, so that streams share the way out.
  virtual std::size_t write(std::span<const std::byte> data) = 0;
  /// Nothing more will be written. The peer sees the end after what was written; reading goes on.
  virtual void finish_sending() = 0;
  /// True once every byte of the peer has been read and it will send no more.
  [[nodiscard]] virtual bool receive_ended() const = 0;
  /// True once nothing can be written any more: the peer takes no more, or this side has finished or closed.
  [[nodiscard]] virtual bool send_ended() const = 0;
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
  /// The handler for a new stream, or null to refuse it. `peer_port` is the port on the host's side. The stream can be
  /// written to and closed right away.
  virtual StreamHandler* on_connect(Stream& stream, std::uint32_t peer_port) = 0;

 protected:
  ~StreamListener() = default;
};

/// Something that hands connections to listeners by port.
class StreamTransport {
 public:
  /// Registers a listener. Before the transport starts, or a peer that is waiting already is refused. False: the port
  /// is taken or the table is full.
  virtual bool listen(std::uint32_t port, StreamListener& listener) = 0;
  /// Connects to a port of the host. on_writable() follows when it is open, on_closed() when it was refused. NoMemory:
  /// too many streams. Closed: the transport is not running.
  [[nodiscard]] virtual Result<Stream*> connect(std::uint32_t port, StreamHandler& handler) = 0;
  /// True: the peer has taken everything that was written (before a power-off).
  [[nodiscard]] virtual bool drained() = 0;

 protected:
  ~StreamTransport() = default;
};

}  // namespace guest::kernel
