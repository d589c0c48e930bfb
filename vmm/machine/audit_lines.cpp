#include "vmm/machine/audit_lines.hpp"

#include <algorithm>

#include "abi/audit.hpp"

namespace vmm::machine {
namespace {

using nlohmann::json;

const std::string kZeros(2 * abi::audit::kHashBytes, '0');

std::string as_line(const json& value) { return value.dump(-1, ' ', true, json::error_handler_t::replace) + '\n'; }

const std::string* hash_in(const json& object, const char* key) {
  const auto found = object.find(key);
  const auto* const text = found == object.end() ? nullptr : found->get_ptr<const std::string*>();
  const bool is_hash = text != nullptr && text->size() == kZeros.size() &&
                       text->find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_hash ? text : nullptr;
}

std::uint64_t number_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || !found->is_number_unsigned() ? 0 : found->get<std::uint64_t>();
}

/// Records with numbers that follow on each other.
bool is_well_formed(const json& event) {
  if (!event.is_object()) return false;
  const auto records = event.find("records");
  if (hash_in(event, "before") == nullptr || records == event.end() || !records->is_array() || records->empty()) {
    return false;
  }
  std::uint64_t next = 0;
  return std::ranges::all_of(*records, [&](const json& record) {
    const std::uint64_t number = record.is_object() ? number_in(record, "sequence") : 0;
    const bool follows = number != 0 && (next == 0 || number == next) && hash_in(record, "hash") != nullptr;
    next = number + 1;
    return follows;
  });
}

}  // namespace

void AuditLines::begin(const std::string& before, std::string& out) {
  out += as_line({{"audit", abi::audit::kVersion}, {"before", before}});
  hash_ = before;
  begun_ = true;
  ++starts_;
}

AuditLines::Taken AuditLines::take(const json& event, std::string& out) {
  if (!is_well_formed(event)) return Taken::Malformed;
  const json& records = event["records"];
  const std::string& before = *hash_in(event, "before");
  const std::uint64_t first = number_in(records.front(), "sequence");
  if (!begun_) {
    begin(restored_ ? before : kZeros, out);
    if (restored_) last_ = first - 1;
  }
  // A gap in the numbers is one that the guest tells of: it counts what it has written over. (What this side drops is
  // a gap, too.)
  if (first > next()) {
    out += as_line({{"lost", first - next()}, {"before", before}});
  } else if (first < next() || before != hash_) {
    return Taken::NotOurs;
  }
  for (const json& record : records) out += as_line(record);
  last_ = number_in(records.back(), "sequence");
  hash_ = *hash_in(records.back(), "hash");
  return Taken::All;
}

void AuditLines::restart(std::string& out) {
  end(kReboot, out);
  restored_ = false;
  begun_ = false;
  last_ = 0;
  hash_ = kZeros;
}

void AuditLines::end(std::string_view how, std::string& out) {
  if (!begun_) begin(kZeros, out);
  out += as_line({{"end", how}, {"last", last_}, {"hash", hash_}});
}

}  // namespace vmm::machine
