// Who may do what: the machine's key, the tokens that were made under it or seen, which of them are revoked, and the
// two 64-bit tokens of protocol version 0.
//
//   bytes of a token --accept()--> Grant, kept by the connection --rights(), at every request--> what it gives now
//
// A grant is a value and never changes; that it has ended (revoked, its key rotated, expired) shows when its rights are
// asked for. So a revocation needs nobody's cooperation to take effect.
//
// All of it runs in the main loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "abi/control.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/format.hpp"
#include "guest/security/random.hpp"
#include "guest/security/token.hpp"

namespace guest::security {

using abi::control::Rights;

/// Tokens that are remembered. Those only seen make room for others; those made here or revoked do not before they
/// expire.
inline constexpr std::size_t kMaxTokens = 128;
inline constexpr std::size_t kMaxTokenName = 32;
/// Ids of the tokens that the machine makes start here, so that they are not those of programs on the host.
inline constexpr std::uint32_t kFirstOwnId = 0x8000'0001;

/// The 64-bit tokens of protocol version 0. Admin gives all rights, Submit gives OBSERVE and SUBMIT.
enum class Legacy : std::uint8_t { Admin, Submit };
/// The fixed one, "SS_CTRL!". All rights, only where the scenario publishes a socket for it.
inline constexpr std::uint64_t kDevelopmentToken = 0x5353'5F43'5452'4C21;

/// What an accepted token came to.
struct Grant {
  enum class Kind : std::uint8_t { Token, Legacy, Development };
  Kind kind = Kind::Token;
  Legacy legacy = Legacy::Admin;  ///< Kind::Legacy: which
  Rights rights = Rights::None;
  std::uint32_t token_id = 0;         ///< Kind::Token
  std::uint64_t expires_unix_ns = 0;  ///< 0: never
  std::uint64_t generation = 0;       ///< of the secret that it was accepted under
};

/// Who asks for something.
struct Principal {
  Rights rights = Rights::None;
  std::optional<std::uint32_t> token = std::nullopt;  ///< id; nothing: the console, or a token of version 0
  std::uint64_t expires_unix_ns = 0;                  ///< end of the rights; 0: never
  std::uint32_t connection = 0;                       ///< counts from 1; 0: the console
};

/// Why something was not made or not revoked.
enum class AuthorityError : std::uint8_t {
  NoKey,
  NoSeed,
  NoClock,
  Full,
  MoreRights,
  Outlives,
  NoRights,
  Zero,
  Development,
  SameTwice,
};
std::string_view to_string(AuthorityError error);

struct KnownToken {
  TokenFields fields;
  kernel::FixedText<kMaxTokenName> name;               ///< as its maker wanted; empty: none
  std::optional<std::uint32_t> parent = std::nullopt;  ///< id of the token that its maker had
  std::uint32_t uses = 0;                              ///< how often it was accepted
  std::uint64_t last_use = 0;                          ///< counts acceptances of all tokens
  bool made_here = false;
  bool revoked = false;
};

class Authority {
 public:
  /// Told when grants may have ended by revocation or rotation, in the middle of whatever does that.
  class Watcher {
   public:
    virtual void grants_changed() = 0;

   protected:
    ~Watcher() = default;
  };

  /// Without a `key` no token is accepted, without a `seed` no secret is made.
  Authority(const std::optional<Key>& key, const std::optional<Seed>& seed);
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;
  ~Authority();

  void set_watcher(Watcher* watcher) { watcher_ = watcher; }

  /// Checks a token of version 1 and remembers it. `unix_now_ns`: wall clock, 0 if unknown. Errors: all.
  std::expected<Grant, TokenError> accept(std::span<const std::byte, sizeof(abi::control::Token)> raw,
                                          std::uint64_t unix_now_ns);
  /// Checks a token of version 0, in constant time. The development token counts only if `development_allowed`.
  /// Error: Invalid.
  [[nodiscard]] std::expected<Grant, TokenError> accept_legacy(std::uint64_t token, bool development_allowed) const;
  /// What a grant gives now. Errors: Revoked, Expired.
  [[nodiscard]] std::expected<Rights, TokenError> rights(const Grant& grant, std::uint64_t unix_now_ns) const;

  struct Wanted {
    Rights rights = Rights::None;
    std::uint64_t ttl_ns = 0;  ///< 0: as long as its maker's
    std::string_view name = {};
  };
  /// Makes a token for `maker`, with no right that the maker lacks and not outliving its rights. It is revoked with the
  /// token that its maker had. Errors: NoKey, NoRights, MoreRights, NoClock (a ttl, and the time is unknown), Outlives,
  /// Full: makers without ADMIN are left only half of the table.
  std::expected<abi::control::Token, AuthorityError> make(const Principal& maker, const Wanted& wanted,
                                                          std::uint64_t unix_now_ns);

  struct Revoked {
    bool known = false;     ///< a token with this id was made here or seen
    std::size_t count = 0;  ///< tokens that it takes with it, those made by it included
  };
  /// Revokes every token with this id under the present key, and those that were made with them. Error: Full.
  std::expected<Revoked, AuthorityError> revoke(std::uint32_t id, std::uint64_t unix_now_ns);

  /// Replaces the key by `key`, or by a random one: whatever was issued under the old one is revoked. `now_ns`: any
  /// clock. Error: NoSeed.
  std::expected<Key, AuthorityError> rotate(const std::optional<Key>& key, std::uint64_t now_ns);

  /// Replaces a token of version 0; nothing: there is none from now on. Errors: Zero, Development, SameTwice: not to be
  /// guessed, and not to be mistaken for each other.
  std::expected<void, AuthorityError> set_legacy(Legacy which, const std::optional<std::uint64_t>& token);
  /// Replaces it by a random one. Error: NoSeed.
  std::expected<std::uint64_t, AuthorityError> make_legacy(Legacy which, std::uint64_t now_ns);

  /// Tells secrets apart without telling them: the first bytes of a hash. Nothing: there is no such secret.
  [[nodiscard]] std::optional<std::uint64_t> key_fingerprint() const;
  [[nodiscard]] std::optional<std::uint64_t> legacy_fingerprint(Legacy which) const;
  [[nodiscard]] std::span<const KnownToken> tokens() const { return {tokens_.begin(), tokens_.size()}; }

 private:
  struct LegacyToken {
    std::optional<std::uint64_t> token = std::nullopt;
    std::uint64_t generation = 0;
  };
  [[nodiscard]] const LegacyToken& legacy(Legacy which) const { return legacy_[static_cast<std::size_t>(which)]; }
  [[nodiscard]] bool matches(Legacy which, std::uint64_t token) const;
  [[nodiscard]] KnownToken* find(std::uint32_t id);
  [[nodiscard]] bool is_revoked(std::uint32_t id) const;
  KnownToken* room_for_one(std::uint64_t unix_now_ns);
  void remember(const TokenFields& fields, std::uint64_t unix_now_ns);
  [[nodiscard]] std::size_t kept() const;
  std::expected<std::uint64_t, AuthorityError> expiry_for(const Principal& maker, std::uint64_t ttl_ns,
                                                          std::uint64_t unix_now_ns) const;
  void mark_revoked(KnownToken& token);
  void tell();

  std::optional<Key> key_;
  std::uint64_t generation_ = 0;  ///< of the key
  std::optional<RandomBytes> random_;
  std::uint32_t next_id_ = kFirstOwnId;
  std::uint64_t acceptances_ = 0;
  std::size_t revoked_ = 0;  ///< so many of tokens_: mostly none, and then no request has to look
  kernel::BoundedArray<KnownToken, kMaxTokens> tokens_;
  LegacyToken legacy_[2];
  Watcher* watcher_ = nullptr;
};

}  // namespace guest::security
