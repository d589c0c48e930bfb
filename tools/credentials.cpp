#include "tools/credentials.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <span>
#include <string_view>

#include "tools/text.hpp"
#include "vmm/base/file.hpp"
#include "vmm/control/client.hpp"
#include "vmm/machine/registry.hpp"

namespace sisctl {
namespace {

/// A file with a token has little more than its digits.
constexpr std::size_t kMaxTokenFile = 256;

std::unexpected<Failure> fail(ExitCode exit_code, std::string kind, std::string message) {
  return std::unexpected(Failure{.exit_code = exit_code, .kind = std::move(kind), .message = std::move(message)});
}

/// Two digits for each byte of `out`, no more and no fewer.
bool parse_hex(std::string_view text, std::span<unsigned char> out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (text.size() != 2 * out.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char lower = text[i] >= 'A' && text[i] <= 'F' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
    const std::size_t digit = kDigits.find(lower);
    if (digit == std::string_view::npos) return false;
    unsigned char& byte = out[i / 2];
    byte = static_cast<unsigned char>(std::size_t{byte} * 16 + digit);
  }
  return true;
}

Outcome<vmm::control::Key> read_key(const Target& target) {
  if (::access(target.key_path.c_str(), R_OK) != 0) {
    const int error = errno;
    return fail(ExitCode::CannotConnect, error == EACCES ? "no-permission" : "no-key",
                (error == EACCES ? "no permission to read" : "cannot read") + std::string(" the machine's key ") +
                    target.key_path + ": " + std::strerror(error) + "; give --key FILE or --token");
  }
  auto key = vmm::machine::read_control_key(target.key_path);
  if (!key) return fail(ExitCode::Usage, "bad-key", key.error().message);
  return *key;
}

/// Ids of tokens are for the audit log and for revocation: each run has its own. Those from 2^31 on are the guest's.
std::uint32_t random_id() { return std::random_device()() & 0x7fff'ffff; }

}  // namespace

Outcome<abi::control::Token> read_token(const std::string& text) {
  std::string digits = text;
  std::string where = "the token";
  if (text.starts_with('@')) {
    const auto file = vmm::read_file(text.substr(1), kMaxTokenFile);
    if (!file) return fail(ExitCode::Usage, "bad-token", file.error().message);
    digits = *file;
    digits.erase(digits.find_last_not_of(" \t\r\n") + 1);
    where = "the token in " + printable(text.substr(1));
  }
  std::array<unsigned char, sizeof(abi::control::Token)> bytes{};
  if (!parse_hex(digits, bytes)) {
    return fail(ExitCode::Usage, "bad-token",
                where + " has " + std::to_string(digits.size()) +
                    " characters, allowed: 96 hexadecimal digits, as `sisctl token new` answers them, or @FILE");
  }
  abi::control::Token token;
  std::memcpy(&token, bytes.data(), sizeof(token));
  return token;
}

Outcome<abi::control::Token> token_for(const Target& target) {
  if (!target.token.empty()) return read_token(target.token);
  const auto key = read_key(target);
  if (!key) return std::unexpected(key.error());
  // The token goes to the guest over this one connection and is kept nowhere, so it needs no end of its own; and the
  // guest's clock, which may run slower than ours, need not be asked.
  return vmm::control::make_token(*key, random_id(), abi::control::Rights::All, 0);
}

Outcome<void> keep_new_key(const Target& target, nlohmann::json& result) {
  const auto found = result.find("key");
  if (found == result.end()) return {};
  vmm::control::Key key{};
  if (!found->is_string() || !parse_hex(found->get<std::string>(), key)) {
    return fail(ExitCode::Protocol, "protocol", "the guest's new key is not 64 hexadecimal digits");
  }
  nlohmann::json paths = nlohmann::json::array();
  for (const std::string& path : {target.run_key_path, target.key_path}) {
    if (path.empty() || std::ranges::find(paths, nlohmann::json(path)) != paths.end()) continue;
    if (const auto written = vmm::write_file(path, std::as_bytes(std::span(key)), 0600); !written) {
      return fail(ExitCode::CannotConnect, "key-not-kept",
                  "the key was rotated, and the new one, " + found->get<std::string>() +
                      ", cannot be written: " + written.error().message);
    }
    paths.push_back(path);
  }
  result.erase("key");
  result["key_written_to"] = paths.size() == 1 ? paths[0] : paths;
  return {};
}

}  // namespace sisctl
