#include "guest/security/audit_log.hpp"

#include <sodium/crypto_hash_sha256.h>

#include <algorithm>

#include "guest/kernel/panic.hpp"

namespace guest::security {

static_assert(crypto_hash_sha256_BYTES == abi::audit::kHashBytes);

std::string_view to_string(Event event) {
  switch (event) {
    case Event::TokenAccepted:
      return "token-accepted";
    case Event::TokenRefused:
      return "token-refused";
    case Event::CallDone:
      return "call-done";
    case Event::CallRefused:
      return "call-refused";
    case Event::TokenMade:
      return "token-made";
    case Event::TokenRevoked:
      return "token-revoked";
    case Event::KeyRotated:
      return "key-rotated";
    case Event::LegacyTokenSet:
      return "legacy-token-set";
    case Event::LegacyTokenRemoved:
      return "legacy-token-removed";
  }
  return "unknown";
}

namespace {

void set_text(char (&out)[24], std::string_view text) {
  kernel::require(text.size() <= sizeof(out), "a name is longer than its place in an audit record");
  std::copy(text.begin(), text.end(), out);
}

}  // namespace

void AuditLog::add(const AuditEntry& entry) {
  ++count_;
  Kept& slot = ring_[(count_ - 1) % kCapacity];
  overwritten_ = slot.hash;  // zeros until the ring is full
  slot.record = {.sequence = count_,
                 .time_ns = clock_.now_ns(),
                 .event = static_cast<std::uint8_t>(entry.event),
                 .rights = static_cast<std::uint8_t>(entry.who.rights),
                 .reserved = 0,
                 .connection = entry.who.connection,
                 .token = entry.who.token.value_or(0),
                 .subject = entry.subject,
                 .bytes = entry.bytes,
                 .operation = {},
                 .code = {}};
  set_text(slot.record.operation, entry.operation);
  set_text(slot.record.code, entry.code);
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, last_.data(), last_.size());
  // unsigned char is what libsodium takes; it may alias any object.
  crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(&slot.record), abi::audit::kRecordBytes);
  crypto_hash_sha256_final(&state, last_.data());
  slot.hash = last_;
}

const AuditLog::Kept& AuditLog::at(std::uint64_t sequence) const {
  kernel::require(sequence > overwritten() && sequence <= count_, "an audit record that is not kept is asked for");
  return ring_[(sequence - 1) % kCapacity];
}

const AuditHash& AuditLog::hash_before(std::uint64_t sequence) const {
  return sequence - 1 > overwritten() ? at(sequence - 1).hash : overwritten_;
}

}  // namespace guest::security
