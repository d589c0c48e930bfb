// Lines of the kernel's log as they are written.
#include <algorithm>

#include "guest/control/utf8.hpp"
#include "guest/kernel/log_history.hpp"
#include "subscription.hpp"

namespace guest::control {

namespace {

/// Looks from time to time: lines are written under any lock, from where nobody can be woken.
constexpr std::uint64_t kIntervalMs = 100;

class LogWatch final : public RingSubscription {
 public:
  /// Lines of `level` and below; first the newest `last` of those that are kept.
  LogWatch(Services& services, const Limits& limits, kernel::Verbosity level, std::uint64_t last)
      : RingSubscription(services, limits), level_(level), place_(find_start(last)) {}

 private:
  static constexpr std::size_t kMaxLineBytes = 1024;

  std::optional<kernel::LogHistory::Line> find_from(std::uint64_t place, std::span<char> text) const {
    auto line = services().log_lines.read(place, text);
    while (line && line->level > level_) {
      line = services().log_lines.read(line->next, text);
    }
    return line;
  }

  std::uint64_t find_start(std::uint64_t last) const {
    const std::uint64_t end = services().log_lines.end();
    std::uint64_t kept = 0;
    for (auto line = find_from(0, {}); line && line->next <= end; line = find_from(line->next, {})) {
      ++kept;
    }
    if (last == 0 || kept == 0) {
      return end;
    }
    auto line = find_from(0, {});
    for (std::uint64_t passed = last; passed < kept && line; ++passed) {
      line = find_from(line->next, {});
    }
    return line ? line->begin : end;
  }

  bool send_next() override {
    kernel::LogHistory::Line line{};
    do {
      const auto next = services().log_lines.read(place_, text_);
      if (!next) {
        return false;
      }
      line = *next;
      lose(line.begin - place_);
      place_ = line.next;
    } while (line.level > level_);
    const std::string_view text = as_utf8({text_, line.bytes});
    return send([&](ResultMap& event) {
      event.add("level", to_string(line.level));
      event.add("line", text);
      if (line.cut()) {
        event.add_bool("cut", true);
      }
    });
  }

  /// Log lines may hold anything, and a cut may go through a character.
  static std::string_view as_utf8(std::span<char> text) {
    if (!is_utf8({text.data(), text.size()})) {
      std::ranges::replace_if(text, [](char byte) { return static_cast<unsigned char>(byte) >= 0x80; }, '?');
    }
    return {text.data(), text.size()};
  }

  const kernel::Verbosity level_;
  std::uint64_t place_;  ///< in the history
  char text_[kMaxLineBytes];
};

}  // namespace

HandlerResult handle_watch_log(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  auto level = kernel::Verbosity::Debug;
  (void)kernel::parse_verbosity(arguments.text("level", "debug"), level);  // one of the choices
  return subscribe<LogWatch>(services, caller, Subscription::limits_of(arguments, kIntervalMs), level,
                             arguments.number("last"));
}

void render_log_line(kernel::TextOutput& output, const CborValue& event) {
  if (const auto lost = find_cbor(event, "lost")) {
    kernel::format_to(output, "({} bytes lost)\n", lost->number);
  }
  write_visible(output, find_cbor(event, "line")->text());
  output.write("\n");
}

}  // namespace guest::control
