#include "observe_reader.hpp"

#include <algorithm>
#include <bit>

#include "abi/trace.hpp"

namespace guest::kernel {

namespace names = abi::boot_config;

std::string_view ObserveReader::path() const {
  constexpr std::string_view kPaths[] = {"/", "/observe", "/autorun"};
  return kPaths[static_cast<std::size_t>(node_)];
}

Outcome ObserveReader::begin_node() {
  if (node_ != Node::Outside) {
    return unknown_node();
  }
  node_ = cursor_.node_name() == names::kObserveNode ? Node::Observe : Node::Autorun;
  const auto bit = std::uint32_t{1} << static_cast<unsigned>(node_);
  if ((nodes_seen_ & bit) != 0) {
    return fail("tree-duplicate", "node {} is there twice", path());
  }
  nodes_seen_ |= bit;
  out_.observe.wanted = out_.observe.wanted || node_ == Node::Observe;
  return {};
}

Outcome ObserveReader::read_events() {
  std::uint32_t events = 0;
  if (const Outcome outcome = small(events, abi::trace::kMinEvents, abi::trace::kMaxEvents); !outcome) {
    return outcome;
  }
  if (!std::has_single_bit(events)) {
    return bad_value("a power of two");
  }
  out_.observe.trace_events = events;
  return {};
}

Outcome ObserveReader::read_groups() {
  static_assert(abi::trace::kAllGroups != 0);
  return small(out_.observe.trace_groups, 1, abi::trace::kAllGroups);
}

Outcome ObserveReader::read_lines() {
  const Bytes bytes = cursor_.value();
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());  // char aliases anything
  if (all.empty() || all.back() != '\0' || all.size() > names::kMaxLinesBytes ||
      static_cast<std::size_t>(std::ranges::count(all, '\0')) > names::kMaxLines) {
    return bad_value("1 to 64 lines, each ended by a NUL, of at most 8192 bytes in all");
  }
  for (std::string_view rest = all; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(line.size() + 1);
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
    if (line.empty() || line.size() > names::kMaxLineBytes || std::ranges::any_of(line, is_control)) {
      return bad_value("lines of 1 to 1024 bytes without control characters");
    }
  }
  out_.autorun.write(all);
  return {};
}

Outcome ObserveReader::end_node() {
  const Node ended = node_;
  if (ended == Node::Observe && (out_.observe.trace_events == 0) != (out_.observe.trace_groups == 0)) {
    return fail("tree-missing-property", "'{}' of {}",
                std::string_view(out_.observe.trace_events == 0 ? names::kTraceEvents : names::kTraceGroups), path());
  }
  if (ended == Node::Autorun && out_.autorun.view().empty()) {
    return fail("tree-missing-property", "'{}' of {}", std::string_view(names::kLines), path());
  }
  node_ = Node::Outside;
  return {};
}

const ObserveReader::Known ObserveReader::kKnown[] = {
    {Node::Observe, names::kMetricsNs, &ObserveReader::read_metrics},
    {Node::Observe, names::kTraceEvents, &ObserveReader::read_events},
    {Node::Observe, names::kTraceGroups, &ObserveReader::read_groups},
    {Node::Autorun, names::kLines, &ObserveReader::read_lines},
    {Node::Outside, {}, nullptr},
};

}  // namespace guest::kernel
