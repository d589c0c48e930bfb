// Frames of the control protocol as bytes (abi/control.hpp): writing requests, and taking replies out of a stream whose
// bytes may come in any pieces. Everything read here was written by the guest, which may be hostile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "abi/control.hpp"

namespace vmm::control {

/// Deepest nesting of maps and arrays in a reply. The parser recurses, so without a bound a reply of 64 KiB could
/// exhaust the stack.
inline constexpr int kMaxReplyDepth = 16;

/// What a frame from the guest carries: a request's id and a CBOR map.
struct Frame {
  abi::control::Command command;  ///< Reply, Error or Event
  std::uint32_t id;
  nlohmann::json body;  ///< an object; every text in it is valid UTF-8
};

/// A request as bytes. `body` is an object. The error is a sentence: it does not fit into `max_payload` bytes.
std::expected<std::vector<std::uint8_t>, std::string> encode_frame(abi::control::Command command, std::uint32_t id,
                                                                   const nlohmann::json& body,
                                                                   std::uint32_t max_payload);

/// Cuts the bytes that the guest sent into frames. Holds at most one incomplete frame more than was appended.
class FrameReader {
 public:
  void append(std::span<const std::uint8_t> bytes);

  /// The next whole frame, or nothing when bytes are missing. The error is a sentence that says how the bytes break the
  /// protocol; after one the stream cannot be followed any further, and every later call returns it again.
  std::expected<std::optional<Frame>, std::string> next();

  /// Bytes of a frame that is not complete yet.
  [[nodiscard]] std::size_t pending_bytes() const { return bytes_.size() - start_; }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t start_ = 0;  ///< of the first byte in bytes_ that no frame has used
  std::optional<std::string> broken_;
};

/// One CBOR map as the protocol allows it: whole, text keys without duplicates, valid UTF-8, depth up to
/// kMaxReplyDepth. The error is a sentence.
std::expected<nlohmann::json, std::string> parse_body(std::span<const std::uint8_t> cbor);

}  // namespace vmm::control
