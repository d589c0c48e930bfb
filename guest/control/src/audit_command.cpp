// The audit log: shown, and followed.
#include <algorithm>

#include "guest/kernel/bounded_array.hpp"
#include "guest/security/audit_queue.hpp"
#include "hex.hpp"
#include "security_commands.hpp"
#include "subscription.hpp"

namespace guest::control {

namespace {

using security::AuditHash;
using security::AuditLog;
using security::Event;

constexpr std::uint64_t kDefaultRecords = 32;
constexpr std::size_t kBatch = 16;  ///< records in one event
/// Who must have every record is waited for when so many are ready for it: one request may make as many, and those that
/// come without being asked for find room, too.
constexpr std::uint64_t kMostBehind = AuditLog::kCapacity / 4;
static_assert(2 * kMostBehind + security::AuditQueue::kCrowded + AuditLog::kStillToCome <= AuditLog::kCapacity);
/// And no longer than this after it has taken some: one that is stuck must not stop the machine.
constexpr std::uint64_t kPatienceNs = 2'000'000'000;

void add_hash(ResultMap& into, std::string_view key, std::span<const std::uint8_t, abi::audit::kHashBytes> hash) {
  kernel::FixedText<2 * abi::audit::kHashBytes> text;
  write_hex(text, hash);
  into.add(key, text.view());
}

template <std::size_t Size>
std::string_view text_of(const char (&padded)[Size]) {
  return {padded, static_cast<std::size_t>(std::find(padded, padded + Size, '\0') - padded)};
}

bool is_llm(const abi::audit::Record& record) { return record.event == static_cast<std::uint8_t>(Event::Llm); }

void add_llm(ResultMap& entry, const abi::audit::Record& record) {
  entry.add("request", record.request);
  entry.add("tokens", record.tokens);
  entry.add("submitted_ns", record.submitted_ns);
  entry.add("began_ns", record.began_ns);
  entry.add("ended_ns", record.ended_ns);
  entry.add("fits_at_ns", record.fits_at_ns);
  entry.add("model", text_of(record.model));
  add_hash(entry, "prompt_sha256", record.prompt_sha256);
}

void add_record(CborWriter& writer, const AuditLog::Kept& kept) {
  const abi::audit::Record& record = kept.record;
  ResultMap entry(writer);
  entry.add("sequence", record.sequence);
  entry.add("time_ns", record.time_ns);
  entry.add("event", abi::audit::to_string(static_cast<Event>(record.event)));
  entry.add("rights", record.rights);
  entry.add("caller", abi::audit::to_string(static_cast<abi::audit::CallerKind>(record.caller)));
  entry.add("status", record.status);
  entry.add("connection", record.connection);
  entry.add("token", record.token);
  entry.add("subject", record.subject);
  entry.add("bytes", record.bytes);
  entry.add("op", text_of(record.operation));
  entry.add("code", text_of(record.code));
  if (is_llm(record)) {
    add_llm(entry, record);
  }
  add_hash(entry, "hash", kept.hash);
  entry.finish();
}

class AuditWatch final : public RingSubscription, private AuditLog::Listener {
 public:
  /// `whole`: others wait, within limits, so that it misses none.
  AuditWatch(Services& services, const Limits& limits, std::uint64_t from, bool whole)
      : RingSubscription(services, limits), next_(from), whole_(whole), moved_ns_(services.clock.now_ns()) {
    services.audit.listen(*this);
  }

 private:
  void on_record() override {
    if (behind() == 1) {
      moved_ns_ = services().clock.now_ns();  // until now there was nothing to take
    }
    wake();
  }
  [[nodiscard]] std::uint64_t behind() const { return services().audit.count() + 1 - next_; }
  [[nodiscard]] bool is_awaited() const { return whole_ && services().clock.now_ns() - moved_ns_ < kPatienceNs; }
  [[nodiscard]] bool is_crowded() const override { return behind() > kMostBehind && is_awaited(); }
  [[nodiscard]] bool is_behind() const override { return behind() > 0 && is_awaited(); }
  /// What has no room in the connection now is not sent.
  void on_power_off() override {
    while (can_send() && send_next()) {
    }
  }
  void on_end() override { services().audit.forget(*this); }

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
      add_hash(event, "before", log.hash_before(next_));
      CborWriter& writer = event.key_for("records");
      writer.array(found);
      for (std::uint64_t i = 0; i < found; ++i) {
        add_record(writer, log.at(next_ + i));
      }
    };
    const bool sent = send(write, found);
    next_ += found;
    moved_ns_ = services().clock.now_ns();
    return sent && found == kBatch;
  }

  std::uint64_t next_;
  const bool whole_;
  std::uint64_t moved_ns_;  ///< when it took some, or was up to date
};

std::uint64_t number_of(const CborValue& map, std::string_view key) { return find_cbor(map, key)->number; }

void render_nonzero(kernel::TextOutput& output, const CborValue& record, std::string_view key) {
  if (const std::uint64_t number = number_of(record, key); number != 0) {
    kernel::format_to(output, " {}={}", key, number);
  }
}

void render_text(kernel::TextOutput& output, const CborValue& record, std::string_view key) {
  if (const std::string_view text = find_cbor(record, key)->text(); !text.empty()) {
    kernel::format_to(output, " {}='{}'", key, kernel::escaped(text));
  }
}

/// Of the prompt's hash the beginning: whole ones are for programs.
void render_llm(kernel::TextOutput& output, const CborValue& record) {
  constexpr std::size_t kHashDigits = 16;
  render_text(output, record, "model");
  for (const std::string_view key : {"request", "tokens", "submitted_ns", "began_ns", "ended_ns", "fits_at_ns"}) {
    render_nonzero(output, record, key);
  }
  kernel::format_to(output, " prompt_sha256={}..", find_cbor(record, "prompt_sha256")->text().substr(0, kHashDigits));
}

void render_record(kernel::TextOutput& output, const CborValue& record) {
  const std::uint64_t time_ns = number_of(record, "time_ns");
  kernel::format_to(output, "{:>6} {:>5}.{:06} {} {}", number_of(record, "sequence"), time_ns / 1'000'000'000,
                    time_ns % 1'000'000'000 / 1'000, find_cbor(record, "event")->text(),
                    find_cbor(record, "caller")->text());
  if (const std::uint64_t connection = number_of(record, "connection"); connection != 0) {
    kernel::format_to(output, "={} token={}", connection, number_of(record, "token"));
  }
  render_nonzero(output, record, "subject");
  render_text(output, record, "op");
  render_text(output, record, "code");
  kernel::format_to(output, " status={} rights={} bytes={}", number_of(record, "status"), number_of(record, "rights"),
                    number_of(record, "bytes"));
  if (find_cbor(record, "model")) {
    render_llm(output, record);
  }
  output.write("\n");
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

/// Not a chain: others lie in between.
HandlerResult handle_llmctl_audit(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const AuditLog& log = services.audit;
  const std::uint64_t count = arguments.number("count", kDefaultRecords);
  kernel::BoundedArray<std::uint64_t, kMaxAuditRecords> found;  ///< newest first
  std::uint64_t all = 0;
  for (std::uint64_t sequence = log.count(); sequence > log.overwritten(); --sequence) {
    if (is_llm(log.at(sequence).record)) {
      ++all;
      if (found.size() < count) {
        kernel::require(found.push_back(sequence), "more records than may be asked for");
      }
    }
  }
  result.add("left_off", all - found.size());
  result.add("overwritten", log.overwritten());
  CborWriter& writer = result.key_for("records");
  writer.array(found.size());
  for (std::size_t i = found.size(); i > 0; --i) {
    add_record(writer, log.at(found[i - 1]));
  }
  return Handled::Now;
}

HandlerResult handle_watch_audit(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  const std::uint64_t next = services.audit.count() + 1;
  const std::uint64_t from = arguments.number("from", next);
  if (from > next) {
    return refuse(abi::control::error::kBadArgument, "from", "{} is beyond the next record, allowed: 1 to {}", from,
                  next);
  }
  // No turn is due: it is told of each record.
  const Subscription::Limits limits{.interval_ns = 0, .count = arguments.number("count", Subscription::kEndless)};
  return subscribe<AuditWatch>(services, caller, limits, from, arguments.flag("whole"));
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
