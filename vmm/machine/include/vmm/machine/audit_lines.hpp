// The lines of audit.jsonl (docs/audit.md, The file of a run), made of what the guest's `watch audit` sends:
//
//   {"audit":2,"before":H}                 the guest has started: what follows builds on H
//   {"sequence":N,...,"hash":H}            a record
//   {"lost":N,"before":H}                  so many records are missing; what follows builds on H
//   {"end":"shutdown","last":N,"hash":H}   how the guest ended, and its last record; behind "reboot" it starts again
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace vmm::machine {

/// Follows the chain as far as that takes: numbers and hashes are compared, not computed.
class AuditLines {
 public:
  static constexpr std::string_view kReboot = "reboot";
  /// What the monitor did not see to its end.
  static constexpr std::string_view kNotFollowed = "not-followed";

  /// @param restored the guest goes on from a snapshot: what it has written over is no loss of this run
  explicit AuditLines(bool restored) : restored_(restored) {}

  enum class Taken : std::uint8_t {
    All,
    NotOurs,   ///< it does not go on from what came before: the guest has started again. Nothing was taken
    Malformed  ///< no such event
  };
  /// Appends the lines of an event to `out`. Whatever the guest put into it.
  Taken take(const nlohmann::json& event, std::string& out);
  /// The guest has started again: ends its chain, and is ready for the next from record 1 on.
  void restart(std::string& out);
  /// Appends the last line, and before it what makes a file of it that is whole.
  void end(std::string_view how, std::string& out);

  /// Number of the record that is to come next.
  [[nodiscard]] std::uint64_t next() const { return last_ + 1; }
  /// Chains that were begun.
  [[nodiscard]] unsigned starts() const { return starts_; }

 private:
  void begin(const std::string& before, std::string& out);

  bool restored_;
  bool begun_ = false;
  unsigned starts_ = 0;
  std::uint64_t last_ = 0;
  std::string hash_ = std::string(64, '0');  ///< of the last record
};

}  // namespace vmm::machine
