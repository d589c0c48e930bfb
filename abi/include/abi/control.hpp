// The control protocol between host programs and the guest's control server (docs/control-protocol.md).
//
// Every frame starts with the same eight bytes:
//
//   byte 0   1        2        3      4..7
//        'C' version  command  flags  payload length, u32 LE
//
// Version 1 payload: u32 LE request id, then one CBOR map (RFC 8949) with text keys.
// Version 0 payload: u64 LE token, then little-endian arguments; the answer is one line of text
// (docs/control-protocol-v0.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "abi/endian.hpp"

namespace abi::control {

/// vsock port of the control server.
inline constexpr std::uint32_t kPort = 5000;

/// vsock port of the control server for clients of the scenario's legacy socket: version 0 only.
inline constexpr std::uint32_t kLegacyPort = 5001;

inline constexpr std::uint8_t kMagic = 'C';
inline constexpr std::uint8_t kVersion0 = 0;
inline constexpr std::uint8_t kVersion1 = 1;

/// Longest payload (request id and CBOR map) of a version 1 frame, either way.
inline constexpr std::uint32_t kMaxPayloadBytes = 64 * 1024;

struct FrameHeader {
  std::uint8_t magic;    ///< kMagic
  std::uint8_t version;  ///< kVersion0 or kVersion1
  std::uint8_t command;  ///< Command, or of version 0 LegacyCommand
  std::uint8_t flags;    ///< 0; other values are refused
  Le32 length;           ///< bytes after the header
};
static_assert(sizeof(FrameHeader) == 8 && offsetof(FrameHeader, length) == 4);
static_assert(std::is_standard_layout_v<FrameHeader> && std::is_trivially_copyable_v<FrameHeader>);

/// Commands of version 1. The guest answers each Hello, Call and Cancel with one Reply or Error that
/// carries the request's id. A frame whose id cannot be read is answered with id 0 (kNoRequest).
enum class Command : std::uint8_t {
  Hello = 0x00,   ///< {token: bytes[, client: text]} -> {server, version, protocol, rights, max_payload}
  Call = 0x01,    ///< {op: text[, args: map]} -> {status: "ok", result: map}
  Cancel = 0x02,  ///< {id: uint}: cancel the named request of this connection
  Reply = 0x80,
  Error = 0x81,  ///< {status: "error", code: text, message: text[, field: text]}
  Event = 0x82,  ///< of a Call that has not been answered yet; a map that is the command's
};

inline constexpr std::uint32_t kNoRequest = 0;

/// Commands of version 0, with what follows the token: little-endian, not aligned.
enum class LegacyCommand : std::uint8_t {
  CreateGraph = 0x01,
  AddChannel = 0x02,           ///< u16 capacity
  AddOperator = 0x03,          ///< u32 id, u16 in, u16 out, u8 priority, u8 stage
  StartGraph = 0x04,           ///< u32 steps
  AddOperatorTyped = 0x05,     ///< as AddOperator, u32 in_schema, u32 out_schema
  EnableDeterministic = 0x06,  ///< u64 wcet_ns, u64 period_ns, u64 deadline_ns
  LlmLoad = 0x10,              ///< u64 wcet_cycles, which may be missing
  LlmInferStart = 0x11,        ///< u16 max_tokens, prompt
  LlmInferPoll = 0x12,         ///< u32 id, u16 max, which may be missing
  LlmCancel = 0x13,            ///< u32 id
};

/// Stable error codes, as the text of "code" in an Error.
namespace error {
inline constexpr char kMalformedFrame[] = "malformed-frame";
inline constexpr char kUnsupportedVersion[] = "unsupported-version";
inline constexpr char kUnknownCommand[] = "unknown-command";
inline constexpr char kTooLarge[] = "too-large";
inline constexpr char kMalformedCbor[] = "malformed-cbor";
inline constexpr char kUnauthenticated[] = "unauthenticated";
inline constexpr char kTokenInvalid[] = "token-invalid";
inline constexpr char kTokenExpired[] = "token-expired";
inline constexpr char kTokenRevoked[] = "token-revoked";
inline constexpr char kForbidden[] = "forbidden";
inline constexpr char kUnknownOp[] = "unknown-op";
inline constexpr char kMissingArgument[] = "missing-argument";
inline constexpr char kUnknownArgument[] = "unknown-argument";
inline constexpr char kBadArgument[] = "bad-argument";
inline constexpr char kNotFound[] = "not-found";
inline constexpr char kBusy[] = "busy";
inline constexpr char kCancelled[] = "cancelled";
inline constexpr char kFailed[] = "failed";
inline constexpr char kUnavailable[] = "unavailable";  ///< this kernel does not have what the command is about
/// Commands of graphs have codes of their own, which begin so (docs/graph.md).
inline constexpr char kGraphPrefix[] = "graph-";
/// So have packages of models (docs/models.md).
inline constexpr char kPackagePrefix[] = "package-";
inline constexpr char kModelPrefix[] = "gguf-";
}  // namespace error

/// Rights in a token, a bit mask.
enum class Rights : std::uint8_t {
  None = 0,
  Observe = 1 << 0,  ///< read state
  Submit = 1 << 1,   ///< start work
  Admin = 1 << 2,    ///< change the machine
  All = 7,
};
constexpr Rights operator|(Rights a, Rights b) {
  return static_cast<Rights>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool allows(Rights held, Rights needed) {
  return (static_cast<unsigned>(held) & static_cast<unsigned>(needed)) == static_cast<unsigned>(needed);
}

inline constexpr std::size_t kKeyBytes = 32;
inline constexpr std::size_t kMacBytes = 32;
inline constexpr std::uint8_t kTokenVersion = 1;

/// A capability: what its holder may do and until when. `mac` is HMAC-SHA-256 under the machine's key over
/// the bytes before it, so a holder cannot widen it.
struct Token {
  std::uint8_t version;  ///< kTokenVersion
  std::uint8_t rights;   ///< Rights
  Le16 reserved;         ///< 0
  Le32 id;               ///< for the audit log and for revocation
  Le64 expires_unix_ns;  ///< nanoseconds since the Unix epoch; 0: never
  std::uint8_t mac[kMacBytes];
};
inline constexpr std::size_t kTokenSignedBytes = 16;
static_assert(sizeof(Token) == 48 && offsetof(Token, mac) == kTokenSignedBytes);
static_assert(std::is_standard_layout_v<Token> && std::is_trivially_copyable_v<Token>);

}  // namespace abi::control
