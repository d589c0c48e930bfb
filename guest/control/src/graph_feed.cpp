// What the control plane feeds to a control-source.
#include <memory>
#include <new>
#include <optional>

#include "graph_common.hpp"
#include "guest/graph/operators/control.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

std::optional<unsigned> digit_of(char letter) {
  if (letter >= '0' && letter <= '9') {
    return static_cast<unsigned>(letter - '0');
  }
  const char lower = letter >= 'A' && letter <= 'F' ? static_cast<char>(letter - 'A' + 'a') : letter;
  return lower >= 'a' && lower <= 'f' ? std::optional(static_cast<unsigned>(lower - 'a') + 10) : std::nullopt;
}

std::expected<void, Refusal> feed_hex(graph::ControlFeed& feed, std::string_view digits) {
  const std::size_t size = digits.size() / 2;
  const std::unique_ptr<std::byte[]> bytes(new (std::nothrow) std::byte[size]);
  if (bytes == nullptr) {
    return refuse(error::kBusy, "", "no memory for {} bytes", size);
  }
  for (std::size_t i = 0; i < size; ++i) {
    const auto high = digit_of(digits[2 * i]);
    const auto low = digit_of(digits[2 * i + 1]);
    if (!high || !low) {
      return refuse(error::kBadArgument, "hex", "hex: found '{}', allowed: two digits of 0-9 a-f for each byte",
                    kernel::escaped(digits.substr(2 * i, 2)));
    }
    bytes[i] = static_cast<std::byte>(*high * 16 + *low);
  }
  if (digits.size() % 2 != 0) {
    return refuse(error::kBadArgument, "hex", "hex: found {} digits, allowed: two for each byte", digits.size());
  }
  if (const auto fed = feed.feed({bytes.get(), size}); !fed) {
    return refuse_graph(fed.error());
  }
  return {};
}

/// What was given, if anything was.
std::expected<void, Refusal> feed_given(graph::ControlFeed& feed, const Arguments& arguments) {
  if (arguments.has("hex")) {
    return feed_hex(feed, arguments.text("hex"));
  }
  if (arguments.has("data")) {
    if (const auto fed = feed.feed(std::as_bytes(std::span(arguments.text("data")))); !fed) {
      return refuse_graph(fed.error());
    }
  }
  return {};
}

}  // namespace

HandlerResult handle_graph_feed(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto entry = find_graph(arguments);
  if (!entry) {
    return std::unexpected(entry.error());
  }
  const graph::Graph& graph = *(*entry)->graph;
  const std::string_view name = arguments.text("operator");
  graph::Operator* const source = graph.find_operator(name);
  if (source == nullptr) {
    return refuse("graph-unknown-operator", "operator", "graph '{}' has no operator '{}'", graph.name(),
                  kernel::escaped(name));
  }
  graph::ControlFeed* const feed = graph::control_feed(*source);
  if (feed == nullptr) {
    return refuse(error::kBadArgument, "operator", "operator '{}' is of kind {}, allowed: one of kind control-source",
                  name, source->kind().name);
  }
  const bool end = arguments.flag("end");
  if (arguments.has("data") && arguments.has("hex")) {
    return refuse(error::kBadArgument, "hex", "hex: found with data, allowed: one of them");
  }
  if (!arguments.has("data") && !arguments.has("hex") && !end) {
    return refuse(error::kMissingArgument, "data", "data is missing: give data, hex, or end");
  }
  if (const auto fed = feed_given(*feed, arguments); !fed) {
    return std::unexpected(fed.error());
  }
  if (end) {
    feed->end();
  }
  (*entry)->runner->wake(*source);
  const graph::ControlFeed::State state = feed->state();
  result.add("queued", state.queued);
  result.add("capacity", state.capacity);
  result.add_bool("ended", state.ended);
  result.add("refused", state.refused);
  return Handled::Now;
}

}  // namespace guest::control
