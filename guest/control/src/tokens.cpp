// Tokens: made, listed, revoked.
#include <cstring>

#include "handlers.hpp"
#include "hex.hpp"
#include "secrets.hpp"

namespace guest::control {

namespace error = abi::control::error;
using abi::control::Rights;
using security::AuthorityError;
using security::Event;

namespace {

struct NamedRight {
  std::string_view name;
  Rights right;
};
constexpr NamedRight kRights[] = {{.name = "observe", .right = Rights::Observe},
                                  {.name = "submit", .right = Rights::Submit},
                                  {.name = "admin", .right = Rights::Admin}};

std::expected<Rights, Refusal> parse_rights(std::string_view text) {
  Rights rights = Rights::None;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    more = comma != std::string_view::npos;
    text.remove_prefix(more ? comma + 1 : text.size());
    Rights found = Rights::None;
    for (const NamedRight& known : kRights) {
      found = known.name == word ? known.right : found;
    }
    if (found == Rights::None) {
      return refuse(error::kBadArgument, "rights",
                    "rights: found '{}', allowed: observe, submit, admin, with commas between", kernel::escaped(word));
    }
    rights = rights | found;
  }
  return rights;
}

using RightsText = kernel::FixedText<32>;
RightsText text_of(Rights rights) {
  RightsText text;
  for (const NamedRight& known : kRights) {
    if (abi::control::allows(rights, known.right)) {
      kernel::format_to(text, "{}{}", text.view().empty() ? "" : ",", known.name);
    }
  }
  return text;
}

std::string_view field_of(AuthorityError authority_error) {
  switch (authority_error) {
    case AuthorityError::MoreRights:
    case AuthorityError::NoRights:
      return "rights";
    case AuthorityError::NoClock:
    case AuthorityError::Outlives:
      return "ttl_s";
    default:
      return "";
  }
}

/// Makes a token for who asks, and answers it.
HandlerResult answer_new_token(Services& services, const security::Authority::Wanted& wanted, std::string_view command,
                               ResultMap& result) {
  const auto token = services.authority.make(services.caller, wanted, services.unix_now_ns());
  if (!token) {
    return refuse_authority(token.error(), field_of(token.error()));
  }
  services.audit.add({.event = Event::TokenMade, .who = services.caller, .subject = token->id, .operation = command});
  std::array<std::uint8_t, sizeof(*token)> bytes{};
  std::memcpy(bytes.data(), &*token, bytes.size());
  kernel::FixedText<2 * sizeof(*token)> hex;
  write_hex(hex, bytes);
  result.add("id", token->id);
  result.add("rights", text_of(wanted.rights).view());
  result.add("expires_unix_ns", token->expires_unix_ns);
  result.add("token", hex.view());
  return Handled::Now;
}

}  // namespace

std::unexpected<Refusal> refuse_authority(AuthorityError authority_error, std::string_view field) {
  std::string_view code = error::kFailed;
  switch (authority_error) {
    case AuthorityError::Full:
      code = error::kBusy;
      break;
    case AuthorityError::MoreRights:
    case AuthorityError::Outlives:
      code = error::kForbidden;
      break;
    case AuthorityError::NoRights:
    case AuthorityError::Zero:
    case AuthorityError::Development:
    case AuthorityError::SameTwice:
      code = error::kBadArgument;
      break;
    case AuthorityError::NoKey:
    case AuthorityError::NoSeed:
    case AuthorityError::NoClock:
      break;
  }
  return refuse(code, field, "{}", security::to_string(authority_error));
}

HandlerResult handle_token_new(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto rights = parse_rights(arguments.text("rights"));
  if (!rights) {
    return std::unexpected(rights.error());
  }
  return answer_new_token(
      services,
      {.rights = *rights, .ttl_ns = arguments.number("ttl_s") * 1'000'000'000, .name = arguments.text("name")},
      "token new", result);
}

HandlerResult handle_ctlembed(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const Rights right = arguments.text("right") == "admin" ? Rights::Admin : Rights::Submit;
  return answer_new_token(services, {.rights = right, .name = "ctlembed"}, "ctlembed", result);
}

HandlerResult handle_token_list(Services& services, const Arguments&, Caller&, ResultMap& result) {
  const auto tokens = services.authority.tokens();
  CborWriter& writer = result.key_for("tokens");
  writer.array(tokens.size());
  for (const security::KnownToken& token : tokens) {
    ResultMap entry(writer);
    entry.add("id", token.fields.id);
    entry.add("rights", text_of(token.fields.rights).view());
    entry.add("expires_unix_ns", token.fields.expires_unix_ns);
    entry.add_bool("made_here", token.made_here);
    entry.add_bool("revoked", token.revoked);
    entry.add("uses", token.uses);
    if (token.parent) {
      entry.add("made_with", *token.parent);
    }
    if (!token.name.view().empty()) {
      entry.add("name", token.name.view());
    }
    entry.finish();
  }
  result.add("room_for", security::kMaxTokens);
  return Handled::Now;
}

HandlerResult handle_token_revoke(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto id = static_cast<std::uint32_t>(arguments.number("id"));
  const auto revoked = services.authority.revoke(id, services.unix_now_ns());
  if (!revoked) {
    return refuse_authority(revoked.error(), "");
  }
  services.audit.add(
      {.event = Event::TokenRevoked, .who = services.caller, .subject = id, .operation = "token revoke"});
  result.add("id", id);
  result.add_bool("known", revoked->known);
  result.add("revoked", revoked->count);
  return Handled::Now;
}

}  // namespace guest::control
