// Any bytes: a pattern, or choices with a line each. What is made is bounded, has no dead ends, and reads the shortest
// text that it says there is.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "guest/llm/constraint/automaton.hpp"

namespace {

using guest::llm::Automaton;

void expect(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// From the start each state is reached, and from each one that accepts.
void check(const Automaton& automaton) {
  expect(automaton.states() <= Automaton::kMaxStates);
  std::vector<Automaton::State> found = {automaton.start()};
  std::vector<std::vector<Automaton::State>> before(automaton.states());
  std::vector<bool> seen(automaton.states());
  seen[automaton.start()] = true;
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      const Automaton::State next = automaton.next(found[i], static_cast<std::uint8_t>(byte));
      if (next == Automaton::kDead) {
        continue;
      }
      expect(next < automaton.states());
      before[next].push_back(found[i]);
      if (!seen[next]) {
        seen[next] = true;
        found.push_back(next);
      }
    }
  }
  std::vector<bool> good(automaton.states());
  std::vector<Automaton::State> ends;
  const auto mark = [&](Automaton::State state) {
    if (!good[state]) {
      good[state] = true;
      ends.push_back(state);
    }
  };
  std::ranges::for_each(found, [&](Automaton::State state) { automaton.accepts(state) ? mark(state) : void(); });
  for (std::size_t i = 0; i < ends.size(); ++i) {
    std::ranges::for_each(before[ends[i]], mark);
  }
  expect(ends.size() == found.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::vector<std::string_view> lines;
  for (std::size_t at = 0; data[0] == 'c' && at <= rest.size(); at = std::min(rest.find('\n', at), rest.size()) + 1) {
    lines.push_back(rest.substr(at, rest.find('\n', at) - at));
  }
  const auto made = data[0] == 'c' ? Automaton::of_choices(lines) : Automaton::of_pattern(rest);
  if (made) {
    check(*made);
  } else {
    expect(made.error().name.starts_with("llm-") && !made.error().detail.view().empty());
  }
  return 0;
}
