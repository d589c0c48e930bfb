#include "trace_output.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace vmm::observe {
namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10;

template <typename Number>
void append_number(Number value, std::string& out, int base = 10) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, base).ptr;
  out.append(digits.data(), end);
}

/// Microseconds with three decimals, exactly.
void append_microseconds(std::int64_t ns, std::string& out) {
  if (ns < 0) out += '-';
  // As unsigned, since the smallest number has no positive one.
  const std::uint64_t size = ns < 0 ? 0 - static_cast<std::uint64_t>(ns) : static_cast<std::uint64_t>(ns);
  append_number(size / 1000, out);
  const std::uint64_t rest = size % 1000;
  out += {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10),
          static_cast<char>('0' + rest % 10)};
}

}  // namespace

void append_json_text(std::string_view text, std::string& out) {
  const bool plain = std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  if (plain) {
    (out += '"').append(text) += '"';
  } else {
    out += nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  }
}

TraceEventText::TraceEventText(char phase, TraceProcess process, std::string_view category, std::string_view name) {
  text_.reserve(160);
  ((text_ += R"({"ph":")") += phase) += R"(","pid":)";
  append_number(static_cast<unsigned>(process), text_);
  if (!category.empty()) (text_ += R"(,"cat":")").append(category) += '"';
  text_ += R"(,"name":)";
  append_json_text(name, text_);
}

TraceEventText& TraceEventText::at(std::int64_t ns) {
  text_ += R"(,"ts":)";
  append_microseconds(ns, text_);
  return *this;
}

TraceEventText& TraceEventText::track(std::uint64_t tid) {
  text_ += R"(,"tid":)";
  append_number(tid, text_);
  return *this;
}

TraceEventText& TraceEventText::lasts(std::int64_t ns) {
  text_ += R"(,"dur":)";
  append_microseconds(ns, text_);
  return *this;
}

TraceEventText& TraceEventText::id(std::uint64_t id) {
  text_ += R"(,"id":"0x)";
  append_number(id, text_, 16);
  text_ += '"';
  return *this;
}

TraceEventText& TraceEventText::raw(std::string_view members) {
  text_ += members;
  return *this;
}

void TraceEventText::key_of_argument(std::string_view key) {
  text_ += std::exchange(has_arguments_, true) ? "," : R"(,"args":{)";
  append_json_text(key, text_);
  text_ += ':';
}

TraceEventText& TraceEventText::arg(std::string_view key, std::uint64_t value) {
  key_of_argument(key);
  append_number(value, text_);
  return *this;
}

TraceEventText& TraceEventText::arg(std::string_view key, std::string_view value) {
  key_of_argument(key);
  append_json_text(value, text_);
  return *this;
}

TraceEventText& TraceEventText::arg_hex(std::string_view key, std::uint64_t value) {
  key_of_argument(key);
  text_ += R"("0x)";
  append_number(value, text_, 16);
  text_ += '"';
  return *this;
}

TraceEventText& TraceEventText::args(const nlohmann::ordered_json& object) {
  for (const auto& [key, value] : object.items()) {
    key_of_argument(key);
    text_ += value.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  }
  return *this;
}

void TraceOutput::event(const TraceEventText& event) {
  // Once one has found no room none has: the file ends somewhere, and has no holes.
  if (left_out_ != 0 || bytes_ + event.begin().size() > max_bytes_) {
    ++left_out_;
    return;
  }
  ++events_;
  line(event);
}

void TraceOutput::name(TraceProcess process, std::string_view name) {
  line(TraceEventText('M', process, "", "process_name").arg("name", name));
}

void TraceOutput::name(TraceProcess process, std::uint64_t tid, std::string_view name) {
  line(TraceEventText('M', process, "", "thread_name").track(tid).arg("name", name));
}

void TraceOutput::line(const TraceEventText& event) {
  text(std::exchange(any_, true) ? ",\n" : "\n");
  text(event.begin());
  text(event.end());
}

void TraceOutput::text(std::string_view text) {
  bytes_ += text.size();
  pending_ += text;
  if (pending_.size() >= kPiece) flush();
}

void TraceOutput::flush() {
  good_ = good_ && sink_(pending_);
  pending_.clear();
}

bool TraceOutput::finish() {
  flush();
  return good_;
}

}  // namespace vmm::observe
