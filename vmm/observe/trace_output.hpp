// The text of trace events, one a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace vmm::observe {

/// Processes of the file.
enum class TraceProcess : std::uint8_t { Cpus = 1, Graphs = 2, Npu = 3, Llm = 4, Control = 5, Host = 100 };

/// Appends `text` as JSON; what is not UTF-8 becomes U+FFFD.
void append_json_text(std::string_view text, std::string& out);

/// One event. Values are appended in the order of the calls.
class TraceEventText {
 public:
  /// @param phase of the Trace Event Format: 'X' slice, 'b' 'n' 'e' of what overlaps, 's' 't' 'f' flow, 'C' counter,
  ///   'i' instant, 'M' name of a track
  TraceEventText(char phase, TraceProcess process, std::string_view category, std::string_view name);

  TraceEventText& at(std::int64_t ns);
  TraceEventText& track(std::uint64_t tid);
  TraceEventText& lasts(std::int64_t ns);
  TraceEventText& id(std::uint64_t id);
  TraceEventText& raw(std::string_view members);  ///< ",\"s\":\"t\""
  TraceEventText& arg(std::string_view key, std::uint64_t value);
  TraceEventText& arg(std::string_view key, std::string_view value);
  TraceEventText& arg_hex(std::string_view key, std::uint64_t value);
  TraceEventText& args(const nlohmann::ordered_json& object);

  /// The text: this, and then its end.
  [[nodiscard]] std::string_view begin() const { return text_; }
  [[nodiscard]] std::string_view end() const { return has_arguments_ ? "}}" : "}"; }

 private:
  void key_of_argument(std::string_view key);

  std::string text_;
  bool has_arguments_ = false;
};

/// Gathers events into pieces. Past `max_bytes` it takes none and counts them.
class TraceOutput {
 public:
  using Sink = std::function<bool(std::string_view)>;

  TraceOutput(const Sink& sink, std::size_t max_bytes) : sink_(sink), max_bytes_(max_bytes) {}

  void event(const TraceEventText& event);
  /// The name of a track, which is written whatever the size: there is a bounded number of them.
  void name(TraceProcess process, std::string_view name);
  void name(TraceProcess process, std::uint64_t tid, std::string_view name);
  /// What stands around the events.
  void text(std::string_view text);
  /// Gives the rest to the sink. False: it, or a piece before it, was not taken.
  bool finish();

  [[nodiscard]] std::uint64_t events() const { return events_; }
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

 private:
  void line(const TraceEventText& event);
  void flush();

  const Sink& sink_;
  std::size_t max_bytes_;
  std::string pending_;
  std::size_t bytes_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t left_out_ = 0;
  bool any_ = false;
  bool good_ = true;
};

}  // namespace vmm::observe
