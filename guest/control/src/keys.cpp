// The machine's key, and the two tokens of protocol version 0. Secrets are shown when they are made, by fingerprint
// after that.
#include "handlers.hpp"
#include "hex.hpp"
#include "secrets.hpp"

namespace guest::control {

namespace error = abi::control::error;
using security::Event;
using security::Legacy;

namespace {

void add_fingerprint(ResultMap& result, const std::optional<std::uint64_t>& fingerprint) {
  result.add_bool("set", fingerprint.has_value());
  if (fingerprint) {
    kernel::FixedText<16> text;
    kernel::format_to(text, "{:016x}", *fingerprint);
    result.add("fingerprint", text.view());
  }
}

/// Of a token that was replaced or taken away.
HandlerResult changed(Services& services, Legacy which, ResultMap& result) {
  const auto fingerprint = services.authority.legacy_fingerprint(which);
  services.audit.add({.event = fingerprint ? Event::LegacyTokenSet : Event::LegacyTokenRemoved,
                      .who = services.caller,
                      .operation = which == Legacy::Admin ? "ctladmin" : "ctlsubmit"});
  add_fingerprint(result, fingerprint);
  return Handled::Now;
}

HandlerResult handle_legacy(Services& services, const Arguments& arguments, Legacy which, ResultMap& result) {
  const std::string_view wanted = arguments.text("token");
  if (!arguments.has("token")) {
    add_fingerprint(result, services.authority.legacy_fingerprint(which));
    return Handled::Now;
  }
  if (wanted == "rotate") {
    const auto token = services.authority.make_legacy(which, services.clock.now_ns());
    if (!token) {
      return refuse_authority(token.error(), "token");
    }
    kernel::FixedText<16> text;
    kernel::format_to(text, "{:016x}", *token);
    result.add("token", text.view());
    return changed(services, which, result);
  }
  std::optional<std::uint64_t> token;
  if (wanted != "off") {
    token = parse_hex_number(wanted);
    if (!token) {
      // Not what was given: it may be most of a secret.
      return refuse(error::kBadArgument, "token",
                    "token: found something else, allowed: rotate, off, 1 to 16 hexadecimal digits");
    }
  }
  if (const auto set = services.authority.set_legacy(which, token); !set) {
    return refuse_authority(set.error(), "token");
  }
  return changed(services, which, result);
}

}  // namespace

HandlerResult handle_ctladmin(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  return handle_legacy(services, arguments, Legacy::Admin, result);
}

HandlerResult handle_ctlsubmit(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  return handle_legacy(services, arguments, Legacy::Submit, result);
}

HandlerResult handle_ctlkey(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  if (!arguments.has("action")) {
    if (arguments.has("key")) {
      return refuse(error::kMissingArgument, "action", "a key is set by 'ctlkey rotate KEY'");
    }
    add_fingerprint(result, services.authority.key_fingerprint());
    return Handled::Now;
  }
  std::optional<security::Key> given;
  if (arguments.has("key") && !parse_hex(arguments.text("key"), given.emplace())) {
    return refuse(error::kBadArgument, "key", "key: found something else, allowed: 64 hexadecimal digits");
  }
  const auto key = services.authority.rotate(given, services.clock.now_ns());
  if (!key) {
    return refuse_authority(key.error(), "key");
  }
  services.audit.add({.event = Event::KeyRotated, .who = services.caller, .operation = "ctlkey"});
  kernel::FixedText<2 * abi::control::kKeyBytes> text;
  write_hex(text, *key);
  result.add("key", text.view());
  add_fingerprint(result, services.authority.key_fingerprint());
  return Handled::Now;
}

}  // namespace guest::control
