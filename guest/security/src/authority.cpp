#include "guest/security/authority.hpp"

#include <sodium/crypto_hash_sha256.h>
#include <sodium/utils.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "abi/endian.hpp"

namespace guest::security {

namespace {

/// The first bytes of SHA-256("sis-fingerprint" and the secret).
std::uint64_t fingerprint(std::span<const std::uint8_t> secret) {
  static constexpr std::uint8_t kLabel[] = {'s', 'i', 's', '-', 'f', 'i', 'n', 'g', 'e', 'r', 'p', 'r', 'i', 'n', 't'};
  std::array<std::uint8_t, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, kLabel, sizeof(kLabel));
  crypto_hash_sha256_update(&state, secret.data(), secret.size());
  crypto_hash_sha256_final(&state, hash.data());
  sodium_memzero(&state, sizeof(state));
  std::uint64_t first = 0;
  for (std::size_t i = 0; i < sizeof(first); ++i) {
    first = first << 8 | hash[i];  // in the order in which the hash is written down
  }
  return first;
}

std::array<std::uint8_t, 8> bytes_of(std::uint64_t value) {
  const abi::Le64 encoded = value;
  std::array<std::uint8_t, 8> bytes{};
  std::memcpy(bytes.data(), &encoded, sizeof(encoded));
  return bytes;
}

bool has_expired(std::uint64_t expires_unix_ns, std::uint64_t unix_now_ns) {
  return expires_unix_ns != 0 && unix_now_ns >= expires_unix_ns;
}

}  // namespace

std::string_view to_string(AuthorityError error) {
  switch (error) {
    case AuthorityError::NoKey:
      return "this machine has no control key, under which tokens are made; 'ctlkey rotate HEX' sets one";
    case AuthorityError::NoSeed:
      return "this machine was booted without a seed, so it cannot make secrets; give one in hex";
    case AuthorityError::NoClock:
      return "this machine does not know the time, so it cannot make a token that expires";
    case AuthorityError::Full:
      return "no room for another token: the table of 128 is full of tokens that were made or revoked; 'ctlkey rotate' "
             "revokes and forgets them all";
    case AuthorityError::MoreRights:
      return "a token cannot give rights that its maker does not have";
    case AuthorityError::Outlives:
      return "a token cannot last longer than the one that its maker has";
    case AuthorityError::NoRights:
      return "a token gives at least one right";
    case AuthorityError::Zero:
      return "a token of version 0 must not be 0";
    case AuthorityError::Development:
      return "the fixed development token is no secret";
    case AuthorityError::SameTwice:
      return "the ADMIN and the SUBMIT token must differ";
  }
  return "unknown";
}

Authority::Authority(const std::optional<Key>& key, const std::optional<Seed>& seed) : key_(key) {
  if (seed) {
    random_.emplace(*seed);
  }
}

Authority::~Authority() {
  if (key_) {
    sodium_memzero(key_->data(), key_->size());
  }
}

// ---- tokens of version 1 ----

std::expected<Grant, TokenError> Authority::accept(std::span<const std::byte, sizeof(abi::control::Token)> raw,
                                                   std::uint64_t unix_now_ns) {
  if (!key_) {
    return std::unexpected(TokenError::NoKey);
  }
  const auto token = check_token(raw, *key_, unix_now_ns);
  if (!token) {
    return std::unexpected(token.error());
  }
  if (is_revoked(token->id)) {
    return std::unexpected(TokenError::Revoked);
  }
  const TokenFields fields = {
      .id = token->id, .rights = static_cast<Rights>(token->rights), .expires_unix_ns = token->expires_unix_ns};
  remember(fields, unix_now_ns);
  return Grant{.kind = Grant::Kind::Token,
               .rights = fields.rights,
               .token_id = fields.id,
               .expires_unix_ns = fields.expires_unix_ns,
               .generation = generation_};
}

/// A token was accepted. One that finds no room is not remembered; revoke() needs its id only.
void Authority::remember(const TokenFields& fields, std::uint64_t unix_now_ns) {
  KnownToken* known = find(fields.id);
  if (known == nullptr) {
    known = room_for_one(unix_now_ns);
    if (known == nullptr) {
      return;
    }
    *known = KnownToken{};
  }
  if (!known->made_here) {
    known->fields = fields;  // programs on the host may give several tokens one id: the last
  }
  ++known->uses;
  known->last_use = ++acceptances_;
}

std::expected<Rights, TokenError> Authority::rights(const Grant& grant, std::uint64_t unix_now_ns) const {
  switch (grant.kind) {
    case Grant::Kind::Token:
      if (grant.generation != generation_ || is_revoked(grant.token_id)) {
        return std::unexpected(TokenError::Revoked);
      }
      if (has_expired(grant.expires_unix_ns, unix_now_ns)) {
        return std::unexpected(TokenError::Expired);
      }
      break;
    case Grant::Kind::Legacy:
      if (grant.generation != legacy(grant.legacy).generation) {
        return std::unexpected(TokenError::Revoked);
      }
      break;
    case Grant::Kind::Development:
      break;
  }
  return grant.rights;
}

std::expected<std::uint64_t, AuthorityError> Authority::expiry_for(const Principal& maker, std::uint64_t ttl_ns,
                                                                   std::uint64_t unix_now_ns) const {
  if (ttl_ns == 0) {
    return maker.expires_unix_ns;
  }
  if (unix_now_ns == 0) {
    return std::unexpected(AuthorityError::NoClock);
  }
  const std::uint64_t expires = unix_now_ns + ttl_ns;
  if (expires < unix_now_ns || (maker.expires_unix_ns != 0 && expires > maker.expires_unix_ns)) {
    return std::unexpected(AuthorityError::Outlives);
  }
  return expires;
}

std::expected<abi::control::Token, AuthorityError> Authority::make(const Principal& maker, const Wanted& wanted,
                                                                   std::uint64_t unix_now_ns) {
  if (!key_) {
    return std::unexpected(AuthorityError::NoKey);
  }
  if (wanted.rights == Rights::None) {
    return std::unexpected(AuthorityError::NoRights);
  }
  if (!abi::control::allows(maker.rights, wanted.rights)) {
    return std::unexpected(AuthorityError::MoreRights);
  }
  const auto expires = expiry_for(maker, wanted.ttl_ns, unix_now_ns);
  if (!expires) {
    return std::unexpected(expires.error());
  }
  const bool privileged = abi::control::allows(maker.rights, Rights::Admin);
  KnownToken* known = privileged || kept() < kMaxTokens / 2 ? room_for_one(unix_now_ns) : nullptr;
  if (known == nullptr) {
    return std::unexpected(AuthorityError::Full);
  }
  while (find(next_id_) != nullptr) {
    next_id_ = next_id_ == ~std::uint32_t{0} ? kFirstOwnId : next_id_ + 1;
  }
  *known = KnownToken{};
  known->fields = {.id = next_id_++, .rights = wanted.rights, .expires_unix_ns = *expires};
  next_id_ = std::max(next_id_, kFirstOwnId);  // it may have wrapped
  known->name.write(wanted.name);
  known->parent = maker.token;
  known->made_here = true;
  return make_token(known->fields, *key_);
}

// ---- the table ----

KnownToken* Authority::find(std::uint32_t id) {
  const auto found =
      std::find_if(tokens_.begin(), tokens_.end(), [id](const KnownToken& t) { return t.fields.id == id; });
  return found == tokens_.end() ? nullptr : found;
}

bool Authority::is_revoked(std::uint32_t id) const {
  return revoked_ > 0 && std::any_of(tokens_.begin(), tokens_.end(),
                                     [id](const KnownToken& t) { return t.revoked && t.fields.id == id; });
}

/// Tokens that do not make room for others.
std::size_t Authority::kept() const {
  return static_cast<std::size_t>(
      std::count_if(tokens_.begin(), tokens_.end(), [](const KnownToken& t) { return t.made_here || t.revoked; }));
}

/// A place to be overwritten: a new one, or that of an expired token, or of the one seen whose last use is the longest
/// ago. Null: there is none. What is overwritten no longer counts as revoked.
KnownToken* Authority::room_for_one(std::uint64_t unix_now_ns) {
  if (tokens_.push_back(KnownToken{})) {
    return tokens_.end() - 1;
  }
  KnownToken* oldest = nullptr;
  for (KnownToken& token : tokens_) {
    if (has_expired(token.fields.expires_unix_ns, unix_now_ns)) {
      oldest = &token;
      break;
    }
    if (!token.made_here && !token.revoked && (oldest == nullptr || token.last_use < oldest->last_use)) {
      oldest = &token;
    }
  }
  if (oldest != nullptr && oldest->revoked) {
    --revoked_;
  }
  return oldest;
}

// ---- revocation ----

void Authority::mark_revoked(KnownToken& token) {
  token.revoked = true;
  ++revoked_;
}

std::expected<Authority::Revoked, AuthorityError> Authority::revoke(std::uint32_t id, std::uint64_t unix_now_ns) {
  KnownToken* token = find(id);
  Revoked result{.known = token != nullptr, .count = 0};
  if (token == nullptr) {
    token = room_for_one(unix_now_ns);
    if (token == nullptr) {
      return std::unexpected(AuthorityError::Full);
    }
    *token = KnownToken{};
    token->fields.id = id;
  }
  const std::size_t before = revoked_;
  if (!token->revoked) {
    mark_revoked(*token);
  }
  // Children may stand before their parents: until a pass finds none.
  for (std::size_t last = 0; last != revoked_;) {
    last = revoked_;
    for (KnownToken& child : tokens_) {
      if (!child.revoked && child.parent && is_revoked(*child.parent)) {
        mark_revoked(child);
      }
    }
  }
  result.count = revoked_ - before;
  tell();
  return result;
}

std::expected<Key, AuthorityError> Authority::rotate(const std::optional<Key>& key, std::uint64_t now_ns) {
  if (!key && !random_) {
    return std::unexpected(AuthorityError::NoSeed);
  }
  Key next{};
  if (key) {
    next = *key;
  } else {
    random_->fill(next, bytes_of(now_ns));
  }
  key_ = next;
  ++generation_;
  tokens_.clear();
  revoked_ = 0;
  tell();
  return next;
}

void Authority::tell() {
  if (watcher_ != nullptr) {
    watcher_->grants_changed();
  }
}

// ---- tokens of version 0 ----

/// Takes as long for a wrong token as for the right one, and as long if there is none.
bool Authority::matches(Legacy which, std::uint64_t token) const {
  const auto given = bytes_of(token);
  const auto wanted = bytes_of(legacy(which).token.value_or(0));
  const bool equal = sodium_memcmp(given.data(), wanted.data(), given.size()) == 0;
  return equal && legacy(which).token.has_value();
}

std::expected<Grant, TokenError> Authority::accept_legacy(std::uint64_t token, bool development_allowed) const {
  const bool admin = matches(Legacy::Admin, token);
  const bool submit = matches(Legacy::Submit, token);
  if (admin || submit) {
    const Legacy which = admin ? Legacy::Admin : Legacy::Submit;
    return Grant{.kind = Grant::Kind::Legacy,
                 .legacy = which,
                 .rights = admin ? Rights::All : Rights::Observe | Rights::Submit,
                 .generation = legacy(which).generation};
  }
  if (development_allowed && token == kDevelopmentToken) {
    return Grant{.kind = Grant::Kind::Development, .rights = Rights::All};
  }
  return std::unexpected(TokenError::Invalid);
}

std::expected<void, AuthorityError> Authority::set_legacy(Legacy which, const std::optional<std::uint64_t>& token) {
  const Legacy other = which == Legacy::Admin ? Legacy::Submit : Legacy::Admin;
  if (token && *token == 0) {
    return std::unexpected(AuthorityError::Zero);
  }
  if (token && *token == kDevelopmentToken) {
    return std::unexpected(AuthorityError::Development);
  }
  if (token && legacy(other).token == token) {
    return std::unexpected(AuthorityError::SameTwice);
  }
  LegacyToken& slot = legacy_[static_cast<std::size_t>(which)];
  slot.token = token;
  ++slot.generation;
  tell();
  return {};
}

std::expected<std::uint64_t, AuthorityError> Authority::make_legacy(Legacy which, std::uint64_t now_ns) {
  if (!random_) {
    return std::unexpected(AuthorityError::NoSeed);
  }
  std::array<std::uint8_t, 8> bytes{};
  random_->fill(bytes, bytes_of(now_ns));
  abi::Le64 encoded;
  std::memcpy(&encoded, bytes.data(), sizeof(encoded));
  const std::uint64_t token = encoded;
  // Never by chance one of the three that are refused, in as many tries as machines live.
  const auto set = set_legacy(which, token);
  return set ? std::expected<std::uint64_t, AuthorityError>(token) : std::unexpected(set.error());
}

// ---- fingerprints ----

std::optional<std::uint64_t> Authority::key_fingerprint() const {
  return key_ ? std::optional(fingerprint(*key_)) : std::nullopt;
}

std::optional<std::uint64_t> Authority::legacy_fingerprint(Legacy which) const {
  const auto& token = legacy(which).token;
  return token ? std::optional(fingerprint(bytes_of(*token))) : std::nullopt;
}

}  // namespace guest::security
