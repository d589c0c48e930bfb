#include "tools/metric_set.hpp"

namespace sisctl {

using nlohmann::json;

bool MetricSet::add(const json& event) {
  const json time_ns = event.value("time_ns", json());
  const json left_off = event.value("left_off", json());
  const auto part = event.find("metrics");
  if (!time_ns.is_number_unsigned() || !left_off.is_number_unsigned() || part == event.end() || !part->is_object()) {
    return false;
  }
  // Of the one before the rest was lost.
  if (time_ns != time_ns_) metrics_ = json::object();
  time_ns_ = time_ns.get<std::uint64_t>();
  metrics_.update(*part);
  complete_ = left_off == 0U;
  return true;
}

}  // namespace sisctl
