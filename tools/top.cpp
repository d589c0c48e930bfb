// The live view has two threads: one asks the guest and waits for its answers, this one has the terminal, so that keys
// and a new size are served while the guest thinks.
#include "tools/top.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <ostream>
#include <thread>

#include "tools/top_keys.hpp"
#include "tools/top_view.hpp"
#include "vmm/base/event_loop.hpp"
#include "vmm/terminal/signals.hpp"
#include "vmm/terminal/terminal.hpp"

namespace sisctl {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

constexpr std::uint32_t kIntervalMs = 1000;
/// The age from which on a picture says how old it is.
constexpr std::chrono::seconds kStale{3};

/// One interval of the guest's: its figures at the end.
Outcome<TopFigures> watch(Session& session, TopSample& before, std::uint32_t ms) {
  const auto top = session.call("top", {{"ms", ms}});
  if (!top) return std::unexpected(top.error());
  auto after = take_sample(session);
  if (!after) return std::unexpected(after.error());
  TopFigures figures = figures_of(before, *top, *after);
  before = std::move(*after);
  return figures;
}

ExitCode show_once(const Context& context, Session& session, std::uint32_t ms) {
  auto before = take_sample(session);
  if (!before) return report(context, before.error());
  const auto figures = watch(session, *before, ms);
  if (!figures) return report(context, figures.error());
  if (context.options.json) {
    context.out << json_line(json_of(*figures));
    return ExitCode::Ok;
  }
  for (const Line& line : lines_of(*figures, View::All)) context.out << plain(line) << "\n";
  return ExitCode::Ok;
}

/// no-color.org: set and not empty means none.
bool wants_colour() {
  const char* const no = std::getenv("NO_COLOR");
  return no == nullptr || *no == '\0';
}

/// A terminal that knows no control sequences gets what a file gets.
bool is_dumb() {
  const char* const term = std::getenv("TERM");
  return term != nullptr && std::strcmp(term, "dumb") == 0;
}

class LiveTop {
 public:
  LiveTop(vmm::EventLoop& loop, Session& session) : loop_(loop), session_(session), colour_(wants_colour()) {}

  /// What ended it: a failure, a signal that is to end the program, or neither.
  struct End {
    std::optional<Failure> failure;
    int signal = 0;
    bool output_closed = false;
  };

  vmm::Result<End> run() {
    vmm::FullScreen screen;
    screen_ = &screen;
    terminal_ = std::make_unique<vmm::AttachedTerminal>(
        loop_, vmm::AttachedTerminal::Callbacks{.on_typed =
                                                    [this](std::string_view bytes) {
                                                      for (const Key& key : keys_.feed(bytes)) on_key(key);
                                                      return true;
                                                    },
                                                .on_leave = [this] { loop_.stop(); }});
    auto signals = vmm::SignalWatch::create(loop_, {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH},
                                            [this](int number) { on_signal(number); });
    if (!signals) return std::unexpected(signals.error());
    redraw();
    watch_age();
    std::thread asker([this] { ask(); });
    const auto ran = loop_.run();
    session_.interrupt();
    asker.join();
    terminal_.reset();
    if (!ran) return std::unexpected(ran.error());
    return std::move(end_);
  }

 private:
  /// In the other thread.
  void ask() {
    auto sample = take_sample(session_);
    while (sample) {
      auto figures = watch(session_, *sample, kIntervalMs);
      const bool failed = !figures;
      loop_.post([this, figures = std::move(figures)] { on_figures(figures); });
      if (failed) return;
    }
    loop_.post([this, failure = sample.error()] { on_figures(std::unexpected(failure)); });
  }

  void on_figures(const Outcome<TopFigures>& figures) {
    if (!figures) {
      end_.failure = figures.error();
      loop_.stop();
      return;
    }
    figures_ = *figures;
    answered_ = steady_clock::now();
    redraw();
  }

  /// Once a second: says of a picture that it has become old.
  void watch_age() {
    loop_.add_timer(std::chrono::seconds(1), [this] {
      if (steady_clock::now() - answered_ >= kStale) redraw();
      watch_age();
    });
  }

  void on_key(const Key& key) {
    using Kind = Key::Kind;
    const auto turn = [this](int by) {
      view_ = static_cast<View>((static_cast<int>(view_) + by + kViews) % kViews);
      first_ = 0;
    };
    switch (key.kind) {
      case Kind::Quit:
        return loop_.stop();
      case Kind::Interrupt:
        return on_signal(SIGINT);
      case Kind::Suspend:
        return on_signal(SIGTSTP);
      case Kind::Show:
        view_ = key.view;
        first_ = 0;
        break;
      case Kind::Left:
        turn(-1);
        break;
      case Kind::Right:
        turn(1);
        break;
      default:
        scroll(key.kind);
        break;
    }
    redraw();
  }

  void scroll(Key::Kind kind) {
    using Kind = Key::Kind;
    const Screen screen = size();
    const std::size_t page = std::max<std::size_t>(screen.rows / 2, 1);
    const std::size_t last = last_first(lines().size(), screen);
    first_ = std::min(first_, last);
    const std::size_t by = kind == Kind::PageUp || kind == Kind::PageDown ? page : 1;
    if (kind == Kind::Up || kind == Kind::PageUp) first_ -= std::min(first_, by);
    if (kind == Kind::Down || kind == Kind::PageDown) first_ = std::min(first_ + by, last);
    if (kind == Kind::Home) first_ = 0;
    if (kind == Kind::End) first_ = last;
  }

  void on_signal(int number) {
    if (number == SIGTSTP) {
      screen_->release();
      terminal_->release();
      ::raise(SIGSTOP);
    }
    if (number == SIGTSTP || number == SIGCONT) {
      terminal_->take();
      screen_->take();
    }
    if (number == SIGTSTP || number == SIGCONT || number == SIGWINCH) return redraw();
    end_.signal = number;
    loop_.stop();
  }

  [[nodiscard]] Screen size() const {
    const auto [columns, rows] = vmm::FullScreen::size();
    return {.columns = columns, .rows = rows, .colour = colour_};
  }

  [[nodiscard]] std::vector<Line> lines() const {
    if (!figures_) return {{{.text = "waiting for the guest's first second"}}};
    return lines_of(*figures_, view_);
  }

  [[nodiscard]] Piece status() const {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - answered_);
    if (age >= kStale) return {.text = "no answer for " + std::to_string(age.count()) + " s", .style = Style::Bad};
    return {.text = figures_ ? "up " + std::to_string(figures_->uptime_ns / 1'000'000'000) + " s" : ""};
  }

  void redraw() {
    if (vmm::write_output(draw(size(), session_.name(), view_, status(), lines(), first_))) return;
    end_.output_closed = true;
    loop_.stop();
  }

  vmm::EventLoop& loop_;
  Session& session_;
  bool colour_;
  vmm::FullScreen* screen_ = nullptr;
  std::unique_ptr<vmm::AttachedTerminal> terminal_;
  KeyReader keys_;
  View view_ = View::All;
  std::size_t first_ = 0;
  std::optional<TopFigures> figures_;
  steady_clock::time_point answered_ = steady_clock::now();
  End end_;
};

ExitCode show_live(const Context& context, Session& session) {
  const auto internal = [&](const vmm::Error& error) {
    return report(context, {.exit_code = ExitCode::Protocol, .kind = "internal", .message = error.message});
  };
  auto loop = vmm::EventLoop::create();
  if (!loop) return internal(loop.error());
  auto end = LiveTop(**loop, session).run();
  if (!end) return internal(end.error());
  // Whoever started the program sees that a signal ended it, as it would have without a screen to put back.
  if (end->signal != 0) ::raise(end->signal);
  if (end->failure) return report(context, *end->failure);
  if (end->output_closed) context.out.setstate(std::ios::badbit);
  return ExitCode::Ok;
}

}  // namespace

ExitCode run_top(const Context& context, const Top& top) {
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  const bool live = context.terminal && !context.options.json && top.ms == 0 && !is_dumb();
  return live ? show_live(context, *session) : show_once(context, *session, top.ms == 0 ? kIntervalMs : top.ms);
}

}  // namespace sisctl
