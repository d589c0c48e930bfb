// Frames of the control protocol (abi/control.hpp), taken out of a byte stream whose bytes may come in any pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "abi/control.hpp"
#include "guest/control/buffer.hpp"

namespace guest::control {

/// Why a frame is not what the protocol allows: a code of abi::control::error and static text for people.
struct FrameError {
  std::string_view code;
  std::string_view message;
};

/// A frame whose header was checked. `payload` is a view into the assembler, valid until take() or reset().
struct Frame {
  abi::control::FrameHeader header;
  std::span<const std::byte> payload;
};

/// Collects the bytes of one frame at a time. All frames have the version of the first one. Memory grows with the bytes
/// that have arrived, never with what a header promises, and is at most abi::control::kMaxPayloadBytes.
class FrameAssembler {
 public:
  enum class State : std::uint8_t {
    NeedsBytes,
    Complete,  ///< frame() can be used; take() starts the next
    Broken,    ///< the stream cannot be followed any further; error() says why
    NoMemory,  ///< the payload found no memory; as final as Broken
  };

  /// Uses bytes up to the end of the current frame; returns how many. Nothing unless the state is NeedsBytes.
  std::size_t append(std::span<const std::byte> bytes);
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] Frame frame() const;
  [[nodiscard]] FrameError error() const { return error_; }
  /// The frame has been handled.
  void take();
  /// Longest payload of the frames that follow, bytes; at most abi::control::kMaxPayloadBytes, which is the default.
  void set_limit(std::uint32_t bytes) { limit_ = bytes; }
  /// Nothing: no frame has begun that has a version which is spoken here.
  [[nodiscard]] std::optional<std::uint8_t> version() const { return version_; }
  /// The only version that is spoken here; before the first frame.
  void set_version(std::uint8_t version) { version_ = version; }

 private:
  void check_header();
  [[nodiscard]] bool check_version();
  [[nodiscard]] std::size_t payload_bytes() const { return header_.length; }

  State state_ = State::NeedsBytes;
  std::uint32_t limit_ = abi::control::kMaxPayloadBytes;
  std::optional<std::uint8_t> version_;
  FrameError error_{};
  abi::control::FrameHeader header_{};
  std::size_t header_bytes_ = 0;
  Buffer payload_;
};

/// Splits the payload of a version 1 frame: its request id, and the checked CBOR map behind it.
std::expected<std::uint32_t, FrameError> read_request_id(const Frame& frame);

/// The header and the request id of a frame to send, 12 bytes; `body_bytes` of CBOR follow.
inline constexpr std::size_t kFramePrefixBytes = sizeof(abi::control::FrameHeader) + sizeof(std::uint32_t);
void write_frame_prefix(std::span<std::byte, kFramePrefixBytes> out, abi::control::Command command,
                        std::uint32_t request_id, std::size_t body_bytes);

}  // namespace guest::control
