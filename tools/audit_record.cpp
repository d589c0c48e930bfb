// A line of JSON as the record that was hashed. A field that is missing, out of its range, or not of a record at all
// would not show in the hash, so it is refused here.
#include <sodium/crypto_hash_sha256.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <string_view>

#include "tools/audit_file.hpp"
#include "tools/text.hpp"

namespace sisctl {
namespace {

using abi::audit::Event;
using abi::audit::Record;
using nlohmann::json;

/// Takes the fields of a line one by one. The first problem stays.
class Fields {
 public:
  explicit Fields(const json& line) : line_(line) {}

  std::uint64_t number(const char* name, std::uint64_t max) {
    const json* const value = take(name);
    if (value == nullptr) return 0;
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() > max) {
      wrong(name, "an integer of at most " + std::to_string(max));
      return 0;
    }
    return value->get<std::uint64_t>();
  }
  template <typename T>
  T number(const char* name) {
    return static_cast<T>(number(name, std::numeric_limits<T>::max()));
  }
  template <std::size_t Size>
  void text(const char* name, char (&out)[Size]) {
    const json* const value = take(name);
    if (value == nullptr) return;
    const auto* const text = value->get_ptr<const std::string*>();
    if (text == nullptr || text->size() > Size || text->contains('\0')) {
      return wrong(name, "a text of at most " + std::to_string(Size) + " bytes");
    }
    std::ranges::copy(*text, out);
  }
  /// The place of a name in a list of them.
  std::uint8_t name(const char* field, std::span<const std::string_view> names) {
    const json* const value = take(field);
    if (value == nullptr) return 0;
    const auto* const text = value->get_ptr<const std::string*>();
    const auto found = text == nullptr ? names.end() : std::ranges::find(names, std::string_view(*text));
    if (found == names.end()) wrong(field, "one that this version knows");
    return static_cast<std::uint8_t>(found - names.begin());
  }
  void hash(const char* name, std::span<std::uint8_t, abi::audit::kHashBytes> out) {
    const json* const value = take(name);
    if (value != nullptr && !parse_audit_hash(*value, out)) wrong(name, "64 digits 0-9 a-f");
  }
  /// Nothing, if all was there and nothing else is.
  [[nodiscard]] std::optional<std::string> problem() const {
    if (!problem_.empty()) return problem_;
    for (const auto& [key, value] : line_.items()) {
      if (!taken_.contains(key)) return "'" + printable(key) + "' is no field of such a record";
    }
    return std::nullopt;
  }

 private:
  const json* take(const char* name) {
    taken_.insert(name);
    const auto found = line_.find(name);
    if (found != line_.end()) return &*found;
    if (problem_.empty()) problem_ = std::string(name) + " is missing";
    return nullptr;
  }
  void wrong(const char* name, const std::string& wanted) {
    if (problem_.empty()) problem_ = std::string(name) + ": found " + shown(line_[name]) + ", expected " + wanted;
  }
  static std::string shown(const json& value) {
    constexpr std::size_t kMaxShown = 60;
    const std::string text = printable(value.dump(-1, ' ', true, json::error_handler_t::replace));
    return text.size() <= kMaxShown ? text : text.substr(0, kMaxShown) + "...";
  }

  const json& line_;
  std::set<std::string, std::less<>> taken_;
  std::string problem_;
};

}  // namespace

std::expected<Record, std::string> audit_record_of(const json& line) {
  Fields fields(line);
  Record record = {};
  record.sequence = fields.number<std::uint64_t>("sequence");
  record.time_ns = fields.number<std::uint64_t>("time_ns");
  record.event = static_cast<std::uint8_t>(fields.name("event", abi::audit::kEventNames) + 1);
  record.rights = fields.number<std::uint8_t>("rights");
  record.caller = fields.name("caller", abi::audit::kCallerNames);
  record.status = fields.number<std::uint8_t>("status");
  record.connection = fields.number<std::uint32_t>("connection");
  record.token = fields.number<std::uint32_t>("token");
  record.subject = fields.number<std::uint32_t>("subject");
  record.bytes = fields.number<std::uint32_t>("bytes");
  fields.text("op", record.operation);
  fields.text("code", record.code);
  if (record.event == static_cast<std::uint8_t>(Event::Llm)) {
    record.tokens = fields.number<std::uint32_t>("tokens");
    record.request = fields.number<std::uint64_t>("request");
    record.submitted_ns = fields.number<std::uint64_t>("submitted_ns");
    record.began_ns = fields.number<std::uint64_t>("began_ns");
    record.ended_ns = fields.number<std::uint64_t>("ended_ns");
    record.fits_at_ns = fields.number<std::uint64_t>("fits_at_ns");
    fields.text("model", record.model);
    fields.hash("prompt_sha256", record.prompt_sha256);
  }
  AuditHash ignored;
  fields.hash("hash", ignored);
  if (auto problem = fields.problem()) return std::unexpected(std::move(*problem));
  return record;
}

AuditHash audit_hash_of(const Record& record, const AuditHash& before) {
  static_assert(crypto_hash_sha256_BYTES == abi::audit::kHashBytes);
  AuditHash hash;
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, before.data(), before.size());
  // unsigned char is what libsodium takes; it may alias any object.
  crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(&record),
                            abi::audit::hashed_bytes(static_cast<Event>(record.event)));
  crypto_hash_sha256_final(&state, hash.data());
  return hash;
}

bool parse_audit_hash(const json& value, std::span<std::uint8_t, abi::audit::kHashBytes> out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto* const text = value.get_ptr<const std::string*>();
  if (text == nullptr || text->size() != 2 * out.size() || text->find_first_not_of(kDigits) != std::string::npos) {
    return false;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::uint8_t>(kDigits.find((*text)[2 * i]) << 4 | kDigits.find((*text)[2 * i + 1]));
  }
  return true;
}

}  // namespace sisctl
