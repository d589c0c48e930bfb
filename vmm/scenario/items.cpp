#include "items.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;
using std::chrono_literals::operator""ns;
using std::chrono_literals::operator""us;

constexpr std::chrono::nanoseconds kMaxPeriod(names::kMaxPeriodNs);

std::string fine_text(std::chrono::nanoseconds value) {
  return fine_duration(0ns, kMaxPeriod)->write(value).get<std::string>();
}

}  // namespace

TypePtr<std::string> item_name(std::size_t max_bytes) {
  return text(
      {.max_bytes = max_bytes, .pattern = "[A-Za-z0-9][A-Za-z0-9._-]*", .words = "a name of A-Z a-z 0-9 . _ -"});
}

TypePtr<unsigned> cpu_number() { return integer<unsigned>(0, names::kMaxCpus - 1); }

TypePtr<std::chrono::nanoseconds> budget_type() { return fine_duration(1us, kMaxPeriod); }
TypePtr<std::chrono::nanoseconds> period_type() { return fine_duration(10us, kMaxPeriod); }

void check_promise(Problems& problems, const std::string& key, const Node& node, const Promise& promise) {
  if (promise.deadline > promise.period) {
    problems.add(place(node, "deadline"), key + ".deadline", fine_text(promise.deadline),
                 "at most the period of " + fine_text(promise.period));
  } else if (promise.budget > promise.deadline) {
    problems.add(place(node, "budget"), key + ".budget", fine_text(promise.budget),
                 "at most the deadline of " + fine_text(promise.deadline));
  }
}

const std::vector<Node>& items_of(const Node& map, std::string_view key) {
  static const std::vector<Node> kNone;
  const Node* const node = value_of(map, key);
  return node == nullptr ? kNone : node->items;
}

std::string item_key(std::string_view list, std::size_t index) {
  return std::string(list) + '[' + std::to_string(index) + ']';
}

void check_cpu(Problems& problems, const std::string& key, const Node& node, std::optional<unsigned> cpu,
               unsigned cpus) {
  if (cpu && *cpu >= cpus) {
    problems.add(place(node, "cpu"), key + ".cpu", std::to_string(*cpu),
                 "a CPU below machine.cpus, which is " + std::to_string(cpus));
  }
}

}  // namespace vmm::scenario
