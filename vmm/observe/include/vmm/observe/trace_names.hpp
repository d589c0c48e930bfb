// What the numbers in the events of a trace mean, as the guest's `trace names` says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace vmm::observe {

/// Names are the guest's: their number and length are bounded. What has no name is called by its number.
class TraceNames {
 public:
  static constexpr std::size_t kMaxNames = 8192;  ///< of each kind
  static constexpr std::size_t kMaxNameBytes = 64;

  /// {threads: {"3": name}, servers, models, ops, graphs: {"1": {name, operators: {"2": {name}}}}}, any of them absent.
  /// Adds to what there is: what has ended meanwhile keeps its name.
  void take(const nlohmann::json& reply);

  [[nodiscard]] std::string thread(std::uint64_t id) const { return find(threads_, id, "thread "); }
  [[nodiscard]] std::string server(std::uint64_t id) const { return find(servers_, id, "server "); }
  [[nodiscard]] std::string op(std::uint64_t number) const { return find(ops_, number, "command "); }
  [[nodiscard]] std::string graph(std::uint64_t id) const { return find(graphs_, id, "graph "); }
  [[nodiscard]] std::string graph_operator(std::uint64_t graph, std::uint64_t id) const;

 private:
  using Names = std::map<std::uint64_t, std::string>;

  static void take_names(const nlohmann::json& reply, const char* kind, Names& names);
  static std::string find(const Names& names, std::uint64_t number, const char* otherwise);
  void take_graph(std::uint64_t id, const nlohmann::json& graph);

  Names threads_;
  Names servers_;
  Names ops_;
  Names graphs_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> operators_;
};

}  // namespace vmm::observe
