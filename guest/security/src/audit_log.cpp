#include "guest/security/audit_log.hpp"

#include <sodium/crypto_hash_sha256.h>

#include <algorithm>

#include "guest/kernel/panic.hpp"

namespace guest::security {

static_assert(crypto_hash_sha256_BYTES == abi::audit::kHashBytes);

namespace {

void set_text(char (&out)[24], std::string_view text) {
  kernel::require(text.size() <= sizeof(out), "a name is longer than its place in an audit record");
  std::copy(text.begin(), text.end(), out);
}

}  // namespace

void AuditLog::add(const AuditEntry& entry) {
  using abi::audit::CallerKind;
  const bool console = entry.who.connection == 0;
  abi::audit::Record record = {};
  record.time_ns = clock_.now_ns();
  record.event = static_cast<std::uint8_t>(entry.event);
  record.rights = static_cast<std::uint8_t>(entry.who.rights);
  record.caller = static_cast<std::uint8_t>(console ? CallerKind::Console : CallerKind::Connection);
  record.status = entry.code.empty() ? abi::audit::kOk : abi::audit::kReject;
  record.connection = entry.who.connection;
  record.token = entry.who.token.value_or(0);
  record.subject = entry.subject;
  record.bytes = entry.bytes;
  set_text(record.operation, entry.operation);
  set_text(record.code, entry.code);
  append(record);
}

void AuditLog::append(const abi::audit::Record& record) {
  ++count_;
  Kept& slot = ring_[(count_ - 1) % kCapacity];
  overwritten_ = slot.hash;  // zeros until the ring is full
  slot.record = record;
  slot.record.sequence = count_;
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, last_.data(), last_.size());
  // unsigned char is what libsodium takes; it may alias any object.
  crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(&slot.record),
                            abi::audit::hashed_bytes(static_cast<Event>(record.event)));
  crypto_hash_sha256_final(&state, last_.data());
  slot.hash = last_;
  for (Listener* each = listeners_.front(); each != nullptr; each = listeners_.after(*each)) {
    each->on_record();
  }
}

/// Any of them may go, and take others with it, while one is told.
void AuditLog::tell_power_off() {
  for (Listener* each = listeners_.front(); each != nullptr; each = listeners_.after(*each)) {
    each->to_be_told = true;
  }
  Listener* next = listeners_.front();
  while (next != nullptr) {
    if (!next->to_be_told) {
      next = listeners_.after(*next);
      continue;
    }
    next->to_be_told = false;
    next->on_power_off();
    next = listeners_.front();
  }
}

bool AuditLog::is_crowded() const {
  for (const Listener* each = listeners_.front(); each != nullptr; each = listeners_.after(*each)) {
    if (each->is_crowded()) {
      return true;
    }
  }
  return false;
}

bool AuditLog::is_behind() const {
  for (const Listener* each = listeners_.front(); each != nullptr; each = listeners_.after(*each)) {
    if (each->is_behind()) {
      return true;
    }
  }
  return false;
}

const AuditLog::Kept& AuditLog::at(std::uint64_t sequence) const {
  kernel::require(sequence > overwritten() && sequence <= count_, "an audit record that is not kept is asked for");
  return ring_[(sequence - 1) % kCapacity];
}

const AuditHash& AuditLog::hash_before(std::uint64_t sequence) const {
  return sequence - 1 > overwritten() ? at(sequence - 1).hash : overwritten_;
}

}  // namespace guest::security
