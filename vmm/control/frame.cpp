#include "vmm/control/frame.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

namespace vmm::control {
namespace {

namespace wire = abi::control;

constexpr std::size_t kHeaderBytes = sizeof(wire::FrameHeader);
constexpr std::size_t kIdBytes = sizeof(abi::Le32);

/// Walks a CBOR item before a tree is built of it and stops at what the protocol does not allow. The library's own
/// parser would take the last of two equal keys and nest as deep as the sender likes.
class BodyCheck {
 public:
  // Names and signatures are those that nlohmann::json::sax_parse calls.
  static bool null() { return true; }
  static bool boolean(bool /*value*/) { return true; }
  static bool number_integer(std::int64_t /*value*/) { return true; }
  static bool number_unsigned(std::uint64_t /*value*/) { return true; }
  static bool number_float(double /*value*/, const std::string& /*text*/) { return true; }
  static bool string(const std::string& /*value*/) { return true; }
  static bool binary(const std::vector<std::uint8_t>& /*value*/) { return true; }

  bool start_object(std::size_t /*elements*/) {
    keys_.emplace_back();
    return enter();
  }
  bool key(const std::string& name) {
    if (keys_.back().insert(name).second) return true;
    problem = "a map has the key '" + name + "' twice";
    return false;
  }
  bool end_object() {
    keys_.pop_back();
    --depth_;
    return true;
  }
  bool start_array(std::size_t /*elements*/) { return enter(); }
  bool end_array() {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*token*/, const nlohmann::json::exception& /*error*/) {
    problem = "malformed CBOR at byte " + std::to_string(position);
    return false;
  }

  std::string problem;

 private:
  bool enter() {
    if (++depth_ <= kMaxReplyDepth) return true;
    problem = "maps and arrays are nested deeper than " + std::to_string(kMaxReplyDepth);
    return false;
  }

  std::vector<std::set<std::string>> keys_;
  int depth_ = 0;
};

std::string hex_byte(unsigned value) {
  constexpr char kDigits[] = "0123456789abcdef";
  return {'0', 'x', kDigits[(value >> 4) & 0xF], kDigits[value & 0xF]};
}

/// What is wrong with a header from the guest, or nothing.
std::optional<std::string> header_problem(const wire::FrameHeader& header) {
  if (header.magic != wire::kMagic) {
    return "a frame starts with " + hex_byte(header.magic) + " instead of 'C' (" + hex_byte(wire::kMagic) + ")";
  }
  if (header.version != wire::kVersion1) {
    return "a frame has version " + std::to_string(header.version) + ", expected " + std::to_string(wire::kVersion1);
  }
  const auto command = static_cast<wire::Command>(header.command);
  if (command != wire::Command::Reply && command != wire::Command::Error && command != wire::Command::Event) {
    return "a frame has command " + hex_byte(header.command) + ", expected a reply, an error or an event";
  }
  if (header.flags != 0) return "a frame has flags " + hex_byte(header.flags) + ", expected 0";
  if (header.length > wire::kMaxPayloadBytes) {
    return "a frame announces " + std::to_string(header.length.value()) +
           " bytes, allowed: " + std::to_string(wire::kMaxPayloadBytes);
  }
  if (header.length <= kIdBytes) {
    return "a frame has a payload of " + std::to_string(header.length.value()) +
           " bytes, too short for an id and a map";
  }
  return std::nullopt;
}

}  // namespace

std::expected<std::vector<std::uint8_t>, std::string> encode_frame(wire::Command command, std::uint32_t id,
                                                                   const nlohmann::json& body,
                                                                   std::uint32_t max_payload) {
  const std::vector<std::uint8_t> cbor = nlohmann::json::to_cbor(body);
  if (max_payload < kIdBytes || cbor.size() > max_payload - kIdBytes) {
    return std::unexpected("the request has " + std::to_string(cbor.size() + kIdBytes) +
                           " bytes, allowed: " + std::to_string(max_payload));
  }
  const wire::FrameHeader header{.magic = wire::kMagic,
                                 .version = wire::kVersion1,
                                 .command = static_cast<std::uint8_t>(command),
                                 .flags = 0,
                                 .length = static_cast<std::uint32_t>(cbor.size() + kIdBytes)};
  const abi::Le32 wire_id = id;
  std::vector<std::uint8_t> frame(kHeaderBytes + kIdBytes + cbor.size());
  std::memcpy(frame.data(), &header, kHeaderBytes);
  std::memcpy(frame.data() + kHeaderBytes, &wire_id, kIdBytes);
  std::ranges::copy(cbor, frame.begin() + kHeaderBytes + kIdBytes);
  return frame;
}

void FrameReader::append(std::span<const std::uint8_t> bytes) {
  if (broken_) return;
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(start_));
  start_ = 0;
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

std::expected<std::optional<Frame>, std::string> FrameReader::next() {
  if (broken_) return std::unexpected(*broken_);
  const auto fail = [&](std::string problem) {
    broken_ = std::move(problem);
    return std::unexpected(*broken_);
  };
  // The first byte is judged at once: what is no frame at all (a banner, another protocol) may never reach 8 bytes.
  if (pending_bytes() > 0 && bytes_[start_] != wire::kMagic) {
    return fail(*header_problem({.magic = bytes_[start_], .version = 0, .command = 0, .flags = 0, .length = 0}));
  }
  if (pending_bytes() < kHeaderBytes) return std::nullopt;
  wire::FrameHeader header;
  std::memcpy(&header, bytes_.data() + start_, kHeaderBytes);
  if (auto problem = header_problem(header)) return fail(std::move(*problem));
  const std::size_t payload_bytes = header.length;
  if (pending_bytes() - kHeaderBytes < payload_bytes) return std::nullopt;
  const auto payload = std::span(bytes_).subspan(start_ + kHeaderBytes, payload_bytes);
  abi::Le32 id;
  std::memcpy(&id, payload.data(), kIdBytes);
  auto body = parse_body(payload.subspan(kIdBytes));
  if (!body) return fail("the frame for request " + std::to_string(id.value()) + ": " + body.error());
  start_ += kHeaderBytes + payload_bytes;
  return Frame{.command = static_cast<wire::Command>(header.command), .id = id, .body = std::move(*body)};
}

std::expected<nlohmann::json, std::string> parse_body(std::span<const std::uint8_t> cbor) {
  using nlohmann::json;
  try {
    BodyCheck check;
    if (!json::sax_parse(cbor.begin(), cbor.end(), &check, json::input_format_t::cbor)) {
      return std::unexpected(check.problem);
    }
    json body = json::from_cbor(cbor.begin(), cbor.end());
    if (!body.is_object()) return std::unexpected("the payload is not a map");
    // Throws when a text is not UTF-8, here, so that nobody who prints the reply later need fear it.
    static_cast<void>(body.dump());
    return body;
  } catch (const json::exception& error) {
    return std::unexpected("malformed CBOR: " + std::string(error.what()));
  }
}

}  // namespace vmm::control
