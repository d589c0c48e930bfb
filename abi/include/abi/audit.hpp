// Records of the audit log and the chain of their hashes (docs/audit.md).
//
//   hash of record n = SHA-256(hash of record n - 1, the bytes of record n);  hash of record 0: 32 zero bytes
//
// Records count from 1. Who has one hash that it trusts can tell whether any record before it was changed, left out or
// put in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "abi/endian.hpp"

namespace abi::audit {

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
};

/// Texts are padded with NULs. No payload, argument or secret is ever in a record.
struct Record {
  Le64 sequence;
  Le64 time_ns;         ///< since reset
  std::uint8_t event;   ///< Event
  std::uint8_t rights;  ///< of who asked; of the token, where one was accepted
  Le16 reserved;        ///< 0
  Le32 connection;      ///< counts from 1; 0: the console
  Le32 token;           ///< id of the token that who asked has; 0: none
  Le32 subject;         ///< TokenMade, TokenRevoked: id of that token; else 0
  Le32 bytes;           ///< length of the request
  char operation[24];   ///< name of the command; empty: it did not come to that
  char code[24];        ///< of the error (abi::control::error); empty: none
};
static_assert(sizeof(Record) == 88 && offsetof(Record, operation) == 36 && offsetof(Record, code) == 60);
static_assert(std::is_standard_layout_v<Record> && std::is_trivially_copyable_v<Record>);

/// The bytes of a record that are hashed: all but the padding at its end.
inline constexpr std::size_t kRecordBytes = 84;

}  // namespace abi::audit
