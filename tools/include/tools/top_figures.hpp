// What `sisctl top` shows: figures of the guest, from what it says at the begin and at the end of an interval.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tools/session.hpp"

namespace sisctl {

/// What the guest said of itself at one time: replies, unchecked.
struct TopSample {
  std::uint64_t uptime_ns = 0;
  nlohmann::json cpus;
  nlohmann::json sched;
  std::vector<nlohmann::json> graphs;  ///< of `graph stats`
};

/// Asks for all of it. A graph that goes meanwhile is left out.
Outcome<TopSample> take_sample(Session& session);

// Texts of these are the guest's: whoever shows them makes them harmless.
struct CpuFigures {
  std::uint64_t cpu = 0;
  bool online = false;
  std::uint64_t busy_permille = 0;
  double interrupts_per_s = 0;
  std::optional<std::uint64_t> stolen_permille;  ///< nothing: no hypervisor tells
};
struct ServerFigures {
  std::string name;
  std::optional<std::uint64_t> cpu;  ///< nothing: it has no promise
  std::string state;
  double budget_permille = 0;  ///< of what its budget allows in the interval, so much it had
  std::uint64_t jobs = 0;
  std::uint64_t misses = 0;
  std::uint64_t overruns = 0;
  std::uint64_t throttles = 0;
  std::optional<std::uint64_t> p99_ns;  ///< of responses
};
struct OperatorFigures {
  std::string graph;
  std::string name;
  std::uint64_t cpu = 0;
  double runs_per_s = 0;
  std::uint64_t runs = 0;
  std::optional<std::uint64_t> p50_ns;
  std::optional<std::uint64_t> p99_ns;
  std::uint64_t overruns = 0;
  std::uint64_t failures = 0;
};
struct ChannelFigures {
  std::string graph;
  std::uint64_t id = 0;
  std::uint64_t depth = 0;
  std::uint64_t capacity = 0;
  std::uint64_t high_water = 0;
  double sent_per_s = 0;
  std::uint64_t stalls = 0;
  std::uint64_t drops = 0;
};
struct ThreadFigures {
  std::uint64_t id = 0;
  std::string name;
  std::uint64_t cpu = 0;
  std::uint64_t permille = 0;
};

struct TopFigures {
  std::uint64_t uptime_ns = 0;
  std::uint64_t interval_ns = 0;
  std::vector<CpuFigures> cpus;
  std::vector<ServerFigures> servers;
  std::vector<OperatorFigures> operators;
  std::vector<ChannelFigures> channels;
  std::vector<ThreadFigures> threads;
};

/// `top`: what the guest replied to that between the two.
TopFigures figures_of(const TopSample& before, const nlohmann::json& top, const TopSample& after);

nlohmann::json json_of(const TopFigures& figures);

}  // namespace sisctl
