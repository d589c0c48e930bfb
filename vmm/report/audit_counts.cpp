#include "audit_counts.hpp"

#include <cstdint>
#include <nlohmann/json.hpp>

namespace vmm::report {
namespace {

using nlohmann::json;

/// Events have few names; of a file that is no audit log not every text becomes one.
constexpr std::size_t kMaxEventNames = 64;

class Counts {
 public:
  void take(const json& line) {
    if (line.contains("audit")) ++boots_;
    if (const auto lost = line.find("lost"); lost != line.end() && lost->is_number_unsigned()) {
      lost_ += lost->get<std::uint64_t>();
    }
    const auto event = line.find("event");
    if (event == line.end() || !event->is_string()) return;
    ++records_;
    const auto& name = event->get_ref<const std::string&>();
    if (events_.size() < kMaxEventNames || events_.contains(name)) {
      events_[name] = events_.value(name, std::uint64_t{0}) + 1;
    }
    if (const auto time = line.find("time_ns"); time != line.end() && time->is_number_unsigned()) {
      if (first_.is_null()) first_ = *time;
      last_ = *time;
    }
  }

  [[nodiscard]] json result() const {
    return {{"records", records_},     {"lost", lost_},         {"boots", boots_},
            {"first_time_ns", first_}, {"last_time_ns", last_}, {"events", events_}};
  }

 private:
  std::uint64_t records_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t boots_ = 0;
  json first_;
  json last_;
  json events_ = json::object();
};

}  // namespace

Result<std::string> audit_counts(std::string_view lines) {
  Counts counts;
  std::size_t number = 0;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const json line = json::parse(lines.substr(0, end), nullptr, false);
    ++number;
    if (!line.is_object()) return fail("line " + std::to_string(number) + ": expected a JSON object");
    counts.take(line);
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return counts.result().dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace vmm::report
