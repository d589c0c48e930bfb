// Records of the audit log and the chain of their hashes (docs/audit.md).
//
//   hash of record n = SHA-256(hash of record n - 1, the bytes of record n that count);  of record 0: 32 zero bytes
//
// Records count from 1. Who has one hash that it trusts can tell whether any record before it was changed, left out or
// put in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <type_traits>

#include "abi/endian.hpp"

namespace abi::audit {

/// Of the layout below, and of how it is hashed. Version 1 ended after `code`, with 0 for `caller` and `status`.
inline constexpr std::uint32_t kVersion = 2;
inline constexpr std::size_t kHashBytes = 32;

enum class Event : std::uint8_t {
  TokenAccepted = 1,
  TokenRefused = 2,
  CallDone = 3,     ///< of a command that needs SUBMIT or ADMIN
  CallRefused = 4,  ///< any request that was answered with an error, or never
  TokenMade = 5,
  TokenRevoked = 6,
  KeyRotated = 7,
  LegacyTokenSet = 8,
  LegacyTokenRemoved = 9,
  Llm = 10,          ///< what the LLM service did or refused; `operation` says what
  RecordsLost = 11,  ///< `subject` records should be here, for which there was no room
};
inline constexpr std::string_view kEventNames[] = {
    "token-accepted",       "token-refused", "call-done",   "call-refused",
    "token-made",           "token-revoked", "key-rotated", "legacy-token-set",
    "legacy-token-removed", "llm",           "records-lost"};
/// "token-accepted", ...; "unknown".
constexpr std::string_view to_string(Event event) {
  const auto index = static_cast<std::size_t>(event) - 1;
  return index < std::size(kEventNames) ? kEventNames[index] : "unknown";
}

enum class CallerKind : std::uint8_t { Kernel = 0, Console = 1, Connection = 2, Graph = 3, Task = 4 };
inline constexpr std::string_view kCallerNames[] = {"kernel", "console", "connection", "graph", "task"};
/// "kernel", ...; "unknown".
constexpr std::string_view to_string(CallerKind kind) {
  const auto index = static_cast<std::size_t>(kind);
  return index < std::size(kCallerNames) ? kCallerNames[index] : "unknown";
}

// Bits of `status`.
inline constexpr std::uint8_t kOk = 1;
inline constexpr std::uint8_t kReject = 2;
inline constexpr std::uint8_t kDeadlineMiss = 4;
inline constexpr std::uint8_t kAllStatus = kOk | kReject | kDeadlineMiss;

/// Texts are padded with NULs. No payload, argument, prompt or secret is ever in a record.
struct Record {
  Le64 sequence;
  Le64 time_ns;         ///< when it happened, since reset
  std::uint8_t event;   ///< Event
  std::uint8_t rights;  ///< of who asked; of the token, where one was accepted
  std::uint8_t caller;  ///< CallerKind: who asked
  std::uint8_t status;  ///< kOk, kReject, kDeadlineMiss
  Le32 connection;      ///< of that kind, which one: counts from 1; 0: there is only one
  Le32 token;           ///< id of the token that who asked has; 0: none
  Le32 subject;         ///< TokenMade, TokenRevoked: id of that token; RecordsLost: how many; else 0
  Le32 bytes;           ///< length of the request; Llm: of the prompt
  char operation[24];   ///< name of the command, or Llm: of the operation; empty: it did not come to that
  char code[24];        ///< of the error (abi::control::error), or empty; Llm: "ok", the error, why it ended
  Le32 tokens;          ///< from here on of Llm, else 0. Asked for; of an end: that came out
  Le64 request;         ///< its id; 0: none
  Le64 submitted_ns;    ///< times of the request since reset; 0: not yet
  Le64 began_ns;        ///< its first step
  Le64 ended_ns;
  Le64 fits_at_ns;  ///< when a refused one would fit the budget; 0: nobody knows, or it was not that
  char model[32];   ///< characters that no id has are '?'; a longer one is cut
  std::uint8_t prompt_sha256[kHashBytes];  ///< zeros: it was refused before that was known
};
static_assert(sizeof(Record) == 192 && offsetof(Record, operation) == 36 && offsetof(Record, code) == 60);
static_assert(offsetof(Record, tokens) == 84 && offsetof(Record, request) == 88 && offsetof(Record, model) == 128);
static_assert(std::is_standard_layout_v<Record> && std::is_trivially_copyable_v<Record>);

/// How many bytes of a record are hashed: those up to `tokens`, of Llm all. So what most records cost is two blocks of
/// SHA-256.
constexpr std::size_t hashed_bytes(Event event) {
  return event == Event::Llm ? sizeof(Record) : offsetof(Record, tokens);
}

}  // namespace abi::audit
