// The audit log: who was let in, who was not, and what was done with SUBMIT or ADMIN. The newest records in a ring, all
// of them in a chain of hashes (abi/audit.hpp).
//
// Runs in the main loop; who is elsewhere has an AuditQueue. Adding a record takes two blocks of SHA-256, one of the
// LLM service four.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "abi/audit.hpp"
#include "guest/kernel/clock.hpp"
#include "guest/kernel/intrusive_list.hpp"
#include "guest/security/authority.hpp"

namespace guest::security {

using abi::audit::Event;
using AuditHash = std::array<std::uint8_t, abi::audit::kHashBytes>;

/// What a connection or the console did.
struct AuditEntry {
  Event event = Event::CallDone;
  Principal who{};
  std::uint32_t subject = 0;
  std::uint32_t bytes = 0;
  std::string_view operation = {};  ///< at most 24 bytes
  std::string_view code = {};       ///< at most 24 bytes
};

class AuditLog {
 public:
  static constexpr std::size_t kCapacity = 1024;
  /// Records that may still come when a way is crowded and nobody takes requests any more: the ends of all requests to
  /// models that there can be, and of all connections (docs/audit.md, Who waits).
  static constexpr std::size_t kStillToCome = 256 + 192;

  struct Kept {
    abi::audit::Record record;
    AuditHash hash;
  };

  /// Who goes on from the log, or fills it.
  class Listener {
   public:
    /// In add(): there is one more. Adds none itself.
    virtual void on_record() {}
    /// The machine is about to be powered off or reset.
    virtual void on_power_off() = 0;
    /// Who makes records should wait: with many more now some of them could be lost on this way.
    [[nodiscard]] virtual bool is_crowded() const { return false; }
    /// There are records that it must have and has not had yet.
    [[nodiscard]] virtual bool is_behind() const { return false; }

    // The log's:
    kernel::ListLink<Listener> link;
    bool to_be_told = false;

   protected:
    ~Listener() = default;
  };

  explicit AuditLog(const kernel::Clock& clock) : clock_(clock) {}
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  /// `entry` happens now.
  void add(const AuditEntry& entry);
  /// The record gets the next number; all else is as it is in it.
  void append(const abi::audit::Record& record);

  /// Listeners are told in the order in which they came.
  void listen(Listener& listener) { listeners_.push_back(listener); }
  void forget(Listener& listener) { listeners_.remove(listener); }
  /// Tells all that the machine is about to be powered off or reset.
  void tell_power_off();

  /// Whether one of the listeners is. To be asked by who takes requests that leave records, before each of them.
  [[nodiscard]] bool is_crowded() const;
  [[nodiscard]] bool is_behind() const;

  /// Records ever added.
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::size_t kept() const { return count_ < kCapacity ? static_cast<std::size_t>(count_) : kCapacity; }
  [[nodiscard]] std::uint64_t overwritten() const { return count_ - kept(); }
  /// The record with this number; it is kept: overwritten() < sequence <= count().
  [[nodiscard]] const Kept& at(std::uint64_t sequence) const;
  /// The hash that the record with this number builds on: of the one before it, which may be the last overwritten.
  [[nodiscard]] const AuditHash& hash_before(std::uint64_t sequence) const;

 private:
  const kernel::Clock& clock_;
  kernel::IntrusiveList<Listener, &Listener::link> listeners_;
  std::uint64_t count_ = 0;
  AuditHash last_{};         ///< of the newest record
  AuditHash overwritten_{};  ///< of the newest that is kept no more
  std::array<Kept, kCapacity> ring_{};
};

}  // namespace guest::security
