// The history of the metrics: what changed from sample to sample.
#include <algorithm>

#include "guest/control/metric_history.hpp"
#include "subscription.hpp"

namespace guest::control {

namespace {

constexpr std::uint64_t kIntervalMs = 100;
/// Figures that one event holds: a frame has room for them. What is more comes in another one of the same time.
constexpr std::size_t kMaxFigures = 512;

class HistoryWatch final : public RingSubscription {
 public:
  HistoryWatch(Services& services, const Limits& limits, bool from_start)
      : RingSubscription(services, limits),
        history_(*services.history),
        cursor_(from_start ? history_.oldest() : history_.next()) {
    lose(from_start ? cursor_.number : 0);
  }

 private:
  /// Its next sample, or the next part of it.
  bool send_next() override {
    if (at_ == sample_.changes && !take_sample()) {
      return false;
    }
    const bool frozen = history_.frozen() && cursor_.number == history_.end();
    const std::size_t end = std::min(at_ + kMaxFigures, sample_.changes);
    const bool last_part = end == sample_.changes;
    const auto write = [&](ResultMap& event) {
      event.add("time_ns", sample_.time_ns);
      ResultMap metrics(event.key_for("metrics"));
      for (std::size_t i = at_; i < end; ++i) {
        metrics.add(history_.name(changes_[i].series), changes_[i].value);
      }
      metrics.finish();
      if (frozen && last_part) {
        event.add_bool("frozen", true);
      }
    };
    const bool sent = send(write, last_part ? 1 : 0);
    at_ = end;
    if (frozen && last_part) {
      end_as("frozen");
    }
    return sent;
  }

  bool take_sample() {
    if (cursor_.number < history_.begin()) {
      lose(history_.begin() - cursor_.number);
      cursor_ = history_.oldest();
      is_first_ = true;  // what was lost may have changed anything
    }
    if (cursor_.number == history_.end()) {
      return false;
    }
    sample_ = is_first_ ? history_.read_all(cursor_, changes_) : history_.read(cursor_, changes_);
    is_first_ = false;
    at_ = 0;
    return true;
  }

  const MetricHistory& history_;
  MetricHistory::Cursor cursor_;
  MetricHistory::Sample sample_;
  std::size_t at_ = 0;  ///< of the sample's changes, what is sent next
  bool is_first_ = true;
  MetricHistory::Change changes_[MetricHistory::kMaxSeries];
};

}  // namespace

HandlerResult handle_watch_history(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  if (services.history == nullptr) {
    return refuse(abi::control::error::kUnavailable, "", "this machine keeps no history: its scenario has no observe");
  }
  return subscribe<HistoryWatch>(services, caller, Subscription::limits_of(arguments, kIntervalMs),
                                 arguments.flag("from_start"));
}

}  // namespace guest::control
