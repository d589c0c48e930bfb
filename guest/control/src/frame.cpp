#include "guest/control/frame.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace guest::control {

namespace ctl = abi::control;

std::size_t FrameAssembler::append(std::span<const std::byte> bytes) {
  std::size_t used = 0;
  if (state_ == State::NeedsBytes && header_bytes_ < sizeof(header_)) {
    used = std::min(bytes.size(), sizeof(header_) - header_bytes_);
    if (used > 0) {
      // The header is trivially copyable; its bytes may be filled piece by piece.
      std::memcpy(reinterpret_cast<std::byte*>(&header_) + header_bytes_, bytes.data(), used);
    }
    header_bytes_ += used;
    if (header_bytes_ == sizeof(header_)) {
      check_header();
    }
  }
  if (state_ != State::NeedsBytes || header_bytes_ < sizeof(header_)) {
    return used;
  }
  const std::size_t count = std::min(bytes.size() - used, payload_bytes() - payload_.size());
  if (!payload_.append(bytes.subspan(used, count))) {
    state_ = State::NoMemory;
    return used;
  }
  if (payload_.size() == payload_bytes()) {
    state_ = State::Complete;
  }
  return used + count;
}

void FrameAssembler::check_header() {
  if (header_.magic != ctl::kMagic) {
    error_ = {ctl::error::kMalformedFrame, "the first byte of a frame must be 'C' (0x43)"};
  } else if (!check_version()) {
    error_.code = ctl::error::kUnsupportedVersion;
  } else if (header_.length > limit_) {
    error_ = {ctl::error::kTooLarge, limit_ == ctl::kMaxPayloadBytes
                                         ? "a frame's payload is at most 65536 bytes"
                                         : "a frame's payload is at most 1024 bytes before a token was accepted"};
  } else {
    return;
  }
  state_ = State::Broken;
}

/// The first frame decides for all that follow.
bool FrameAssembler::check_version() {
  if (version_ && header_.version != *version_) {
    error_.message = *version_ == ctl::kVersion0 ? "the protocol version of this connection is 0"
                                                 : "the protocol version of this connection is 1";
    return false;
  }
  if (header_.version != ctl::kVersion0 && header_.version != ctl::kVersion1) {
    error_.message = "the protocol versions spoken here are 0 and 1";
    return false;
  }
  version_ = header_.version;
  return true;
}

Frame FrameAssembler::frame() const { return {header_, payload_.bytes()}; }

void FrameAssembler::take() {
  payload_.clear();
  header_bytes_ = 0;
  state_ = State::NeedsBytes;
}

std::expected<std::uint32_t, FrameError> read_request_id(const Frame& frame) {
  std::array<std::byte, sizeof(std::uint32_t)> raw{};
  if (frame.payload.size() < raw.size()) {
    return std::unexpected(FrameError{ctl::error::kMalformedFrame, "the payload is too short for a request id"});
  }
  std::copy_n(frame.payload.begin(), raw.size(), raw.begin());
  return std::bit_cast<abi::Le32>(raw).value();
}

void write_frame_prefix(std::span<std::byte, kFramePrefixBytes> out, ctl::Command command, std::uint32_t request_id,
                        std::size_t body_bytes) {
  const ctl::FrameHeader header{.magic = ctl::kMagic,
                                .version = ctl::kVersion1,
                                .command = static_cast<std::uint8_t>(command),
                                .flags = 0,
                                .length = static_cast<std::uint32_t>(sizeof(request_id) + body_bytes)};
  const abi::Le32 id = request_id;
  std::memcpy(out.data(), &header, sizeof(header));
  std::memcpy(out.data() + sizeof(header), &id, sizeof(id));
}

}  // namespace guest::control
