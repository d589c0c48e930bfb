// The host's end of a vsock connection: any non-blocking byte stream.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "vmm/base/event_loop.hpp"

namespace vmm::vsock {

/// A non-blocking, full-duplex byte stream. Implemented by a Unix socket, and by a fake in tests. Destroying it closes
/// it.
class Stream {
 public:
  enum class Outcome : std::uint8_t {
    Done,        ///< `bytes` (at least one) were transferred
    WouldBlock,  ///< nothing now; an event follows if watched
    Closed,      ///< reading: the end of the stream; writing: nobody reads any more
    Failed,      ///< broken in both directions
  };
  struct Transfer {
    Outcome outcome;
    std::size_t bytes = 0;
  };

  virtual ~Stream() = default;
  /// Reads into / writes from these ranges, whose total size is not 0, with one attempt.
  virtual Transfer read(std::span<const iovec> to) = 0;
  virtual Transfer write(std::span<const iovec> from) = 0;
  /// The other side shall see the end of the stream.
  virtual void shutdown_write() = 0;
  /// What the other side still writes is refused.
  virtual void shutdown_read() = 0;

  /// From now on `callback` hears of what watch() asks for. Called once, before the first watch().
  virtual void attach(std::function<void(Events)> callback) = 0;
  virtual void watch(Interest interest) = 0;

  /// The guest accepted: tells the client, before any byte of the guest's.
  virtual void opened(std::uint32_t host_port) = 0;
  /// There will be no connection: tells the client why. The stream is destroyed next.
  virtual void refused(std::string_view reason) = 0;
};

}  // namespace vmm::vsock
