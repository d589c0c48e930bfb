// Audit logs that have left their machine: are they what it recorded? (docs/audit.md)
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <istream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "abi/audit.hpp"

namespace sisctl {

/// What a whole file comes to.
struct AuditSummary {
  std::uint64_t records = 0;
  std::uint64_t starts = 0;  ///< of the guest: 1, and one for each reboot
  std::uint64_t first = 0;   ///< number of the first record, and of the last of the last start; 0: there is none
  std::uint64_t last = 0;
  std::string hash;  ///< of the last one, or the one that it would build on
  std::string end;   ///< how the guest ended: "shutdown", ...; empty: a saved answer, which does not say
};

/// The first line that is not as it was written.
struct AuditProblem {
  std::uint64_t line;  ///< counted from 1
  /// "not-json", "not-a-record", "changed", "wrong-sequence", "reordered", "missing", "lost", "truncated", for
  /// programs.
  std::string kind;
  std::string message;  ///< for people; printable
};

/// Checks audit.jsonl of a run directory, or an answer of `sisctl --json audit` that was saved.
std::expected<AuditSummary, AuditProblem> verify_audit(std::istream& in);

using AuditHash = std::array<std::uint8_t, abi::audit::kHashBytes>;
/// The record that a line stands for. Error: what is wrong with it, printable.
std::expected<abi::audit::Record, std::string> audit_record_of(const nlohmann::json& line);
/// Its hash, where `before` is that of the record before it.
AuditHash audit_hash_of(const abi::audit::Record& record, const AuditHash& before);
/// Of 64 digits 0-9 a-f. False: it is something else.
bool parse_audit_hash(const nlohmann::json& value, std::span<std::uint8_t, abi::audit::kHashBytes> out);

}  // namespace sisctl
