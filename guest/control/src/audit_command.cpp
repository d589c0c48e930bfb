// The audit log: shown, and followed.
#include <algorithm>

#include "hex.hpp"
#include "security_commands.hpp"
#include "subscription.hpp"

namespace guest::control {

namespace {

using security::AuditHash;
using security::AuditLog;

constexpr std::uint64_t kDefaultRecords = 32;
constexpr std::uint64_t kIntervalMs = 100;
constexpr std::size_t kBatch = 16;  ///< records in one event

void add_hash(ResultMap& into, std::string_view key, const AuditHash& hash) {
  kernel::FixedText<2 * abi::audit::kHashBytes> text;
  write_hex(text, hash);
  into.add(key, text.view());
}

template <std::size_t Size>
std::string_view text_of(const char (&padded)[Size]) {
  return {padded, static_cast<std::size_t>(std::find(padded, padded + Size, '\0') - padded)};
}

void add_record(CborWriter& writer, const AuditLog::Kept& kept) {
  const abi::audit::Record& record = kept.record;
  ResultMap entry(writer);
  entry.add("sequence", record.sequence);
  entry.add("time_ns", record.time_ns);
  entry.add("event", security::to_string(static_cast<security::Event>(record.event)));
  entry.add("rights", record.rights);
  entry.add("connection", record.connection);
  entry.add("token", record.token);
  entry.add("subject", record.subject);
  entry.add("bytes", record.bytes);
  entry.add("op", text_of(record.operation));
  entry.add("code", text_of(record.code));
  add_hash(entry, "hash", kept.hash);
  entry.finish();
}

/// Looks from time to time, since a look costs next to nothing.
class AuditWatch final : public RingSubscription {
 public:
  AuditWatch(Services& services, const Limits& limits)
      : RingSubscription(services, limits), next_(services.audit.count() + 1) {}

 private:
  bool send_next() override {
    const AuditLog& log = services().audit;
    if (next_ <= log.overwritten()) {
      lose(log.overwritten() + 1 - next_);
      next_ = log.overwritten() + 1;
    }
    const std::uint64_t found = std::min({log.count() + 1 - next_, left(), std::uint64_t{kBatch}});
    if (found == 0) {
      return false;
    }
    const auto write = [&](ResultMap& event) {
      CborWriter& writer = event.key_for("records");
      writer.array(found);
      for (std::uint64_t i = 0; i < found; ++i) {
        add_record(writer, log.at(next_ + i));
      }
    };
    const bool sent = send(write, found);
    next_ += found;
    return sent && found == kBatch;
  }

  std::uint64_t next_;
};

std::uint64_t number_of(const CborValue& map, std::string_view key) { return find_cbor(map, key)->number; }

void render_record(kernel::TextOutput& output, const CborValue& record) {
  const std::uint64_t time_ns = number_of(record, "time_ns");
  kernel::format_to(output, "{:>6} {:>5}.{:06} {}", number_of(record, "sequence"), time_ns / 1'000'000'000,
                    time_ns % 1'000'000'000 / 1'000, find_cbor(record, "event")->text());
  if (const std::uint64_t connection = number_of(record, "connection"); connection != 0) {
    kernel::format_to(output, " connection={} token={}", connection, number_of(record, "token"));
  } else {
    output.write(" console");
  }
  if (const std::uint64_t subject = number_of(record, "subject"); subject != 0) {
    kernel::format_to(output, " subject={}", subject);
  }
  for (const std::string_view key : {std::string_view("op"), std::string_view("code")}) {
    if (const std::string_view text = find_cbor(record, key)->text(); !text.empty()) {
      kernel::format_to(output, " {}='{}'", key, kernel::escaped(text));
    }
  }
  kernel::format_to(output, " rights={} bytes={}\n", number_of(record, "rights"), number_of(record, "bytes"));
}

}  // namespace

HandlerResult handle_audit(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const AuditLog& log = services.audit;
  const std::uint64_t skip = std::min<std::uint64_t>(arguments.number("skip"), log.kept());
  const std::uint64_t count = std::min<std::uint64_t>(arguments.number("count", kDefaultRecords), log.kept() - skip);
  const std::uint64_t first = log.count() + 1 - skip - count;
  result.add("kept", log.kept());
  result.add("overwritten", log.overwritten());
  result.add("left_off", log.kept() - count);
  add_hash(result, "before", log.hash_before(first));
  CborWriter& writer = result.key_for("records");
  writer.array(count);
  for (std::uint64_t sequence = first; sequence < first + count; ++sequence) {
    add_record(writer, log.at(sequence));
  }
  return Handled::Now;
}

HandlerResult handle_watch_audit(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  return subscribe<AuditWatch>(services, caller, Subscription::limits_of(arguments, kIntervalMs));
}

void render_audit_records(kernel::TextOutput& output, const CborValue& event) {
  if (const auto lost = find_cbor(event, "lost")) {
    kernel::format_to(output, "({} lost)\n", lost->number);
  }
  CborItems items(*find_cbor(event, "records"));
  while (const auto record = items.next()) {
    render_record(output, *record);
  }
}

void render_audit(kernel::TextOutput& output, const CborValue& result) {
  render_audit_records(output, result);
  kernel::format_to(output, "{} more kept, {} overwritten\n", number_of(result, "left_off"),
                    number_of(result, "overwritten"));
}

}  // namespace guest::control
