// What named items of a scenario have in common: servers, tasks, schemas, graphs and their operators.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "abi/boot_config.hpp"
#include "types.hpp"

namespace vmm::scenario {

/// 1 to `max_bytes` of A-Z a-z 0-9 . _ -
TypePtr<std::string> item_name(std::size_t max_bytes = abi::boot_config::kMaxItemName);

TypePtr<unsigned> cpu_number();

/// Of servers.
TypePtr<std::chrono::nanoseconds> budget_type();
TypePtr<std::chrono::nanoseconds> period_type();

/// budget <= deadline <= period; the types have seen to it that none is 0. `node` is the map with the three.
struct Promise {
  std::chrono::nanoseconds budget;
  std::chrono::nanoseconds period;
  std::chrono::nanoseconds deadline;
};
void check_promise(Problems& problems, const std::string& key, const Node& node, const Promise& promise);

/// The places of the items of a list in the file.
const std::vector<Node>& items_of(const Node& map, std::string_view key);

/// "graphs[3]"
std::string item_key(std::string_view list, std::size_t index);

/// Each item's `member` (option `option`, shown by `show`) is none of the others'; "a name of its own".
template <typename Item, typename Value, typename Show>
void check_unique(Problems& problems, const std::string& key, const std::vector<Node>& nodes,
                  const std::vector<Item>& items, const std::string& option, Value Item::* member, const Show& show) {
  std::map<Value, std::size_t> line_of;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Position at = place(nodes[i], option);
    const auto [first, is_new] = line_of.try_emplace(items[i].*member, at.line);
    if (!is_new) {
      problems.add(at, item_key(key, i) + '.' + option, show(items[i].*member),
                   (option == "id" ? "an " : "a ") + option + " of its own (line " + std::to_string(first->second) +
                       " has this one)");
    }
  }
}

template <typename Item>
void check_names(Problems& problems, const std::string& key, const std::vector<Node>& nodes,
                 const std::vector<Item>& items) {
  check_unique(problems, key, nodes, items, "name", &Item::name, [](const std::string& name) { return quote(name); });
}

template <typename Item>
void check_ids(Problems& problems, const std::string& key, const std::vector<Node>& nodes,
               const std::vector<Item>& items) {
  check_unique(problems, key, nodes, items, "id", &Item::id, [](unsigned id) { return std::to_string(id); });
}

/// `cpu` is what the item at `node` says, if anything.
void check_cpu(Problems& problems, const std::string& key, const Node& node, std::optional<unsigned> cpu,
               unsigned cpus);

}  // namespace vmm::scenario
