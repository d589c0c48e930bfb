#include "boot_observe.hpp"

#include <optional>

#include "boot_error.hpp"
#include "guest/arch/clock.hpp"
#include "guest/control/metric_history.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/trace.hpp"

namespace guest {
namespace {

constinit std::optional<control::MetricHistory> history;

}  // namespace

void start_trace(const kernel::ObserveConfig& config, std::uint32_t cpus) {
  if (config.trace_events == 0) {
    return;
  }
  if (!kernel::trace().reserve(kernel::kernel_pages(), arch::virtual_timer(), cpus, config.trace_events)) {
    refuse_boot(kernel::fail("observe-no-memory", "no memory for a trace of {} events on each of {} CPUs",
                             config.trace_events, cpus)
                    .error());
  }
  kernel::trace().record_groups(config.trace_groups);
}

void start_history(const kernel::ObserveConfig& config, control::Services& services) {
  if (config.metrics_ns == 0) {
    return;
  }
  if (!history.emplace(services).start(config.metrics_ns)) {
    refuse_boot(kernel::fail("observe-no-memory", "no memory for the history of the metrics").error());
  }
  services.history = &*history;
}

void freeze_observation(const kernel::ObserveConfig& config) {
  if (history) {
    history->freeze();
  }
  if (config.trace_events != 0) {
    kernel::trace().freeze();
  }
}

}  // namespace guest
