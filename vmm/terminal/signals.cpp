#include "vmm/terminal/signals.hpp"

#include <atomic>
#include <csignal>

namespace vmm {
namespace {

// A signal handler can reach only what is global: the signals that came, a bit each, and whom to wake.
std::atomic<std::uint64_t> arrived{0};
std::atomic<const Notifier*> to_wake{nullptr};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<const Notifier*>::is_always_lock_free);

void on_signal_arrival(int number) {
  const int saved = errno;
  arrived.fetch_or(1ULL << number);
  if (const Notifier* notifier = to_wake.load()) notifier->signal();
  errno = saved;
}

}  // namespace

Result<std::unique_ptr<SignalWatch>> SignalWatch::create(EventLoop& loop, const std::vector<int>& signals,
                                                         std::function<void(int)> on_signal) {
  auto notifier = Notifier::create();
  if (!notifier) return std::unexpected(notifier.error());
  return std::unique_ptr<SignalWatch>(new SignalWatch(loop, std::move(*notifier), signals, std::move(on_signal)));
}

SignalWatch::SignalWatch(EventLoop& loop, Notifier notifier, std::vector<int> signals,
                         std::function<void(int)> on_signal)
    : loop_(loop), notifier_(std::move(notifier)), signals_(std::move(signals)), on_signal_(std::move(on_signal)) {
  arrived = 0;
  to_wake = &notifier_;
  loop_.add(notifier_.fd(), Interest::Read, [this](Events) {
    notifier_.drain();
    const std::uint64_t bits = arrived.exchange(0);
    for (const int number : signals_) {
      if ((bits >> number & 1) != 0) on_signal_(number);
    }
  });
  struct sigaction action{};
  action.sa_handler = on_signal_arrival;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : signals_) ::sigaction(number, &action, nullptr);
}

SignalWatch::~SignalWatch() {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (const int number : signals_) ::sigaction(number, &standard, nullptr);
  to_wake = nullptr;
  loop_.remove(notifier_.fd());
}

const char* signal_name(int number) {
  switch (number) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP";
    case SIGQUIT:
      return "SIGQUIT";
    default:
      return "a signal";
  }
}

void ignore_broken_pipes() { ::signal(SIGPIPE, SIG_IGN); }

}  // namespace vmm
