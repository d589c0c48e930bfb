// The lines of audit.jsonl, of which a machine's monitor writes four kinds:
//
//   {"audit":2,"before":H}              the guest has started: what follows builds on H
//   {"sequence":N,...,"hash":H}         a record
//   {"lost":N,"before":H}               so many records are missing; what follows builds on H
//   {"end":"shutdown","last":N,"hash":H}      how the guest ended, and its last record; behind "reboot" it starts again
//
// A saved answer is one line: {"before":H,"records":[...],...}.
#include "tools/audit_file.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "tools/json_input.hpp"
#include "tools/text.hpp"

namespace sisctl {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;  ///< of a saved answer; other lines have less than 1 KiB
constexpr int kMaxDepth = 3;
constexpr AuditHash kZeros{};

std::string hex(const AuditHash& hash) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : hash) text.append({kDigits[byte >> 4], kDigits[byte & 15]});
  return text;
}

bool has_only(const json& line, std::initializer_list<const char*> keys) {
  return line.size() == keys.size() && std::ranges::all_of(keys, [&](const char* key) { return line.contains(key); });
}

class Verifier {
 public:
  explicit Verifier(std::istream& in) : in_(in) {}

  std::expected<AuditSummary, AuditProblem> run() {
    while (auto line = read_line()) {
      check(*line);
      if (problem_) return std::unexpected(std::move(*problem_));
    }
    if (number_ == 0) return fail("truncated", "the file is empty");
    if (state_ != State::Ended && state_ != State::Answer) {
      return fail(
          "truncated",
          "the file ends here without saying how the guest ended: it was cut off, or is still being written, or "
          "the monitor was killed");
    }
    if (lost_) return std::unexpected(std::move(*lost_));
    sum_.hash = hex(hash_);
    return sum_;
  }

 private:
  enum class State : std::uint8_t { Nothing, Chain, Rebooted, Ended, Answer };

  /// Nothing: there is none, or it is far too long (then check() is not to be asked).
  std::optional<std::string> read_line() {
    std::string line;
    for (int c = in_.get(); c != std::istream::traits_type::eof(); c = in_.get()) {
      if (c == '\n') {
        ++number_;
        return line;
      }
      line.push_back(static_cast<char>(c));
      if (line.size() > kMaxLineBytes) break;
    }
    if (line.empty()) return std::nullopt;
    ++number_;
    return line;
  }

  std::unexpected<AuditProblem> fail(const char* kind, std::string message) {
    return std::unexpected(AuditProblem{.line = number_, .kind = kind, .message = std::move(message)});
  }
  void set_problem(const char* kind, std::string message) {
    if (!problem_) problem_ = AuditProblem{.line = number_, .kind = kind, .message = std::move(message)};
  }

  void check(const std::string& text) {
    if (text.size() > kMaxLineBytes) return set_problem("not-json", "a line of more than 1 MiB");
    const auto line = parse_json(text, kMaxDepth);
    if (!line || !line->is_object()) {
      const std::string why = line ? "not a JSON object" : printable(line.error());
      // What breaks off in the middle of its last line was cut, not written so.
      return in_.eof() ? set_problem("truncated", "the last line breaks off: " + why) : set_problem("not-json", why);
    }
    if (state_ == State::Ended || state_ == State::Answer) {
      return set_problem("not-a-record", "nothing may follow the end");
    }
    if (line->contains("audit")) return check_start(*line);
    if (state_ == State::Nothing && line->contains("records")) return check_answer(*line);
    if (state_ != State::Chain) {
      return set_problem("truncated", "the line that begins a chain, {\"audit\", \"before\"}, should be here");
    }
    if (line->contains("sequence")) return check_record(*line);
    if (line->contains("lost")) return check_lost(*line);
    if (line->contains("end")) return check_end(*line);
    set_problem("not-a-record", "neither a record nor another line of an audit log");
  }

  void check_start(const json& line) {
    if (state_ == State::Chain)
      return set_problem("truncated", "the guest starts again, and no line says that it ended");
    if (!has_only(line, {"audit", "before"}) || !parse_audit_hash(line["before"], hash_)) {
      return set_problem("not-a-record", "expected {\"audit\": VERSION, \"before\": HASH}");
    }
    if (line["audit"] != abi::audit::kVersion) {
      return set_problem("not-a-record", "audit: found " + printable(line["audit"].dump()) + ", expected version " +
                                             std::to_string(abi::audit::kVersion));
    }
    if (state_ == State::Rebooted && hash_ != kZeros) {
      return set_problem("missing", "a guest that starts again begins with record 1, behind a hash of zeros");
    }
    state_ = State::Chain;
    ++sum_.starts;
    next_ = hash_ == kZeros ? std::optional<std::uint64_t>(1) : std::nullopt;
    last_ = 0;
  }

  void check_answer(const json& line) {
    if (!line.contains("before") || !parse_audit_hash(line["before"], hash_) || !line["records"].is_array()) {
      return set_problem("not-a-record", "expected {\"before\": HASH, \"records\": [...]}");
    }
    next_ = hash_ == kZeros ? std::optional<std::uint64_t>(1) : std::nullopt;
    sum_.starts = 1;
    answer_ = &line["records"];
    for (const json& record : line["records"]) {
      if (!record.is_object()) return set_problem("not-a-record", "a record is not an object");
      check_record(record);
      if (problem_) return;
    }
    answer_ = nullptr;
    state_ = State::Answer;
  }

  void check_record(const json& line) {
    const auto record = audit_record_of(line);
    if (!record) return set_problem("not-a-record", "a record whose " + record.error());
    const std::uint64_t sequence = record->sequence;
    if (sequence == 0 || (next_ && sequence != *next_)) return say_sequence(sequence);
    const AuditHash hash = audit_hash_of(*record, hash_);
    if (hex(hash) != line["hash"].get_ref<const std::string&>()) {
      return set_problem("changed",
                         "record " + std::to_string(sequence) +
                             " or its hash was changed: by what it says, behind the record before, the hash is " +
                             hex(hash));
    }
    hash_ = hash;
    last_ = sequence;
    next_ = sequence + 1;
    ++sum_.records;
    if (sum_.first == 0) sum_.first = sequence;
    sum_.last = sequence;
  }

  /// Which of several things a number that is not the next one means.
  void say_sequence(std::uint64_t found) {
    const std::uint64_t wanted = next_.value_or(1);
    const std::string both =
        "record " + std::to_string(found) + " stands where record " + std::to_string(wanted) + " should";
    if (found < wanted) {
      return found >= sum_.first && found != 0 ? set_problem("reordered", both + ": it is there twice, or was moved")
                                               : set_problem("wrong-sequence", both);
    }
    const AuditProblem here{.line = number_, .kind = {}, .message = {}};
    if (is_later(wanted)) {
      set_problem("reordered", both + ", which comes later");
    } else {
      set_problem("missing", both + ": " + std::to_string(found - wanted) + " of them are missing");
    }
    problem_->line = here.line;
  }

  bool is_later(std::uint64_t sequence) {
    const auto is_it = [&](const json& line) { return line.is_object() && line.value("sequence", json()) == sequence; };
    if (answer_ != nullptr) return std::ranges::any_of(*answer_, is_it);
    while (const auto text = read_line()) {
      const auto line = parse_json(*text, kMaxDepth);
      if (line && line->is_object() && line->contains("audit")) return false;  // of another start
      if (line && is_it(*line)) return true;
    }
    return false;
  }

  void check_lost(const json& line) {
    AuditHash before;
    if (!has_only(line, {"lost", "before"}) || !line["lost"].is_number_unsigned() ||
        !parse_audit_hash(line["before"], before)) {
      return set_problem("not-a-record", "expected {\"lost\": NUMBER, \"before\": HASH}");
    }
    // What was changed behind it matters more.
    if (!lost_) {
      lost_ = AuditProblem{.line = number_,
                           .kind = "lost",
                           .message = line["lost"].dump() +
                                      " records are missing: the guest wrote over them before they were read, or "
                                      "somebody put this line in their place"};
    }
    hash_ = before;
    last_ += line["lost"].get<std::uint64_t>();
    next_ = last_ + 1;
  }

  void check_end(const json& line) {
    AuditHash hash;
    const auto* const end = line["end"].get_ptr<const std::string*>();
    if (!has_only(line, {"end", "last", "hash"}) || end == nullptr || !line["last"].is_number_unsigned() ||
        !parse_audit_hash(line["hash"], hash)) {
      return set_problem("not-a-record", "expected {\"end\": TEXT, \"last\": NUMBER, \"hash\": HASH}");
    }
    if (line["last"] != last_ || hash != hash_) {
      return set_problem(
          "missing", "the last record was " + line["last"].dump() + ", here the last one is " + std::to_string(last_));
    }
    if (*end == "not-followed" && !lost_) {
      lost_ =
          AuditProblem{.line = number_,
                       .kind = "lost",
                       .message = "the monitor could not follow the log to its end: what it did not see is missing"};
    }
    sum_.end = printable(*end);
    state_ = *end == "reboot" ? State::Rebooted : State::Ended;
  }

  std::istream& in_;
  std::uint64_t number_ = 0;
  State state_ = State::Nothing;
  AuditHash hash_{};                   ///< that the next record builds on
  std::optional<std::uint64_t> next_;  ///< its number; nothing: any
  std::uint64_t last_ = 0;             ///< of this start; 0: none
  const json* answer_ = nullptr;       ///< the records of an answer
  AuditSummary sum_;
  std::optional<AuditProblem> lost_;
  std::optional<AuditProblem> problem_;
};

}  // namespace

std::expected<AuditSummary, AuditProblem> verify_audit(std::istream& in) { return Verifier(in).run(); }

}  // namespace sisctl
