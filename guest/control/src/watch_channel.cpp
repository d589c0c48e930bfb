// A channel of a graph: its figures from time to time, and the tensors that a control-sink takes out of it.
//
//   graph's thread: control-sink --> [what it keeps]     raises `arrivals`
//   loop:           arrivals --> wake() of each watch --> on_turn(): take(), copy into an event, let go
//
// No reference to a tensor outlives a turn, and a graph that is destroyed says so before: nothing of it is used then.
#include <algorithm>

#include "graph_common.hpp"
#include "guest/graph/operators/control.hpp"
#include "guest/kernel/intrusive_list.hpp"
#include "subscription.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

constexpr std::uint64_t kIntervalMs = 1000;
/// Of a tensor, in an event; what is longer is cut.
constexpr std::size_t kMaxDataBytes = std::size_t{48} * 1024;
/// Sent in one turn: others have theirs in between.
constexpr unsigned kTensorsPerTurn = 16;

/// A name that is known for a schema; untyped and unknown ones have none.
void add_schema(ResultMap& result, const graph::Graph& graph, std::uint32_t schema) {
  result.add("schema", schema);
  if (const std::string_view name = graph.schemas().name_of(schema); !name.empty()) {
    result.add("schema_name", name);
  }
}

class ChannelWatch final : public Subscription, public graph::GraphWatcher {
 public:
  /// `tap`: null if the channel does not end in one; else this listens to it.
  ChannelWatch(Services& services, const Limits& limits, graph::Graph& graph, const graph::Channel& channel,
               graph::ControlTap* tap);
  /// A tensor has come to one of the taps. They cannot say to which: whoever listened may be gone by then.
  static void wake_all() {
    for (ChannelWatch* each = live_.front(); each != nullptr; each = Live::after(*each)) {
      each->wake();
    }
  }

 private:
  void on_turn(bool due) override {
    if (due) {
      send([this](ResultMap& event) { add_figures(event); });
    }
    unsigned sent = 0;
    while (sent < kTensorsPerTurn && tap_ != nullptr && can_send() && send_tensor()) {
      ++sent;
    }
    if (sent == kTensorsPerTurn) {
      wake();
    }
  }
  void on_end() override {
    if (graph_ != nullptr) {
      graph_->forget(*this);
    }
    let_go();
    live_.remove(*this);
  }
  void graph_gone() override {
    let_go();
    end_as_gone();
  }
  void let_go() {
    if (tap_ != nullptr) {
      tap_->unlisten();
    }
    tap_ = nullptr;
    graph_ = nullptr;
  }
  bool send_tensor();
  void add_figures(ResultMap& event) const;

  graph::Graph* graph_;  ///< null: it is gone
  const graph::Channel& channel_;
  graph::ControlTap* tap_;
  kernel::ListLink<ChannelWatch> live_link_;
  using Live = kernel::IntrusiveList<ChannelWatch, &ChannelWatch::live_link_>;
  static constinit Live live_;
};

constinit ChannelWatch::Live ChannelWatch::live_;
constinit kernel::WorkItem arrivals([](void*) { ChannelWatch::wake_all(); }, nullptr);

ChannelWatch::ChannelWatch(Services& services, const Limits& limits, graph::Graph& graph, const graph::Channel& channel,
                           graph::ControlTap* tap)
    : Subscription(services, limits), graph_(&graph), channel_(channel), tap_(tap) {
  graph.watch(*this);
  live_.push_back(*this);
}

void ChannelWatch::add_figures(ResultMap& event) const {
  event.add("kind", "figures");
  event.add("time_ns", services().clock.now_ns());
  add_metrics(event, channel_);
}

/// False: there is none.
bool ChannelWatch::send_tensor() {
  const graph::ControlTap::Taken taken = tap_->take();
  if (!taken.tensor) {
    return false;
  }
  lose(taken.lost);
  return send([&](ResultMap& event) {
    const graph::TensorInfo& info = taken.tensor.info();
    const std::span<const std::byte> data = taken.tensor.data();
    event.add("kind", "tensor");
    event.add("index", taken.index);
    event.add("dtype", to_string(info.dtype));
    CborWriter& shape = event.key_for("shape");
    shape.array(info.shape.rank);
    for (std::size_t i = 0; i < info.shape.rank; ++i) {
      shape.number(info.shape.dims[i]);
    }
    add_schema(event, *graph_, info.schema);
    event.add("sequence", info.sequence);
    event.add("timestamp_ns", info.timestamp_ns);
    event.add("origin", info.origin);
    event.add("bytes", data.size());
    event.key_for("data").bytes(data.first(std::min(data.size(), kMaxDataBytes)));
  });
}

}  // namespace

HandlerResult handle_watch_channel(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  const auto entry = find_graph(arguments);
  if (!entry) {
    return std::unexpected(entry.error());
  }
  graph::Graph& graph = *(*entry)->graph;
  const auto id = static_cast<std::uint32_t>(arguments.number("channel"));
  const graph::Channel* const channel = graph.find_channel(id);
  if (channel == nullptr) {
    return refuse("graph-unknown-channel", "channel", "graph '{}' has no channel {}", graph.name(), id);
  }
  graph::Operator* const consumer = graph.consumer_of(*channel);
  graph::ControlTap* const tap = consumer == nullptr ? nullptr : graph::control_tap(*consumer);
  const Subscription::Limits limits = Subscription::limits_of(arguments, kIntervalMs);
  if (tap == nullptr && limits.interval_ns == 0) {
    return refuse(error::kBadArgument, "interval_ms",
                  "interval_ms: found 0, allowed: 1 and more, as channel {} does not end in a control-sink", id);
  }
  if (tap != nullptr && !tap->listen(arrivals)) {
    return refuse(error::kBusy, "channel", "channel {} of graph '{}' is watched already: each tensor goes to one", id,
                  graph.name());
  }
  auto watching = subscribe<ChannelWatch>(services, caller, limits, graph, *channel, tap);
  if (!watching && tap != nullptr) {
    tap->unlisten();
  }
  return watching;
}

namespace {

/// Text as it is, of anything else the first bytes.
void render_data(kernel::TextOutput& output, const CborValue& event) {
  constexpr std::size_t kShown = 32;
  const std::span<const std::byte> data = find_cbor(event, "data")->content;
  const auto schema = find_cbor(event, "schema_name");
  if (schema && schema->text() == "text") {
    // Bytes as text: char may alias anything.
    output.write("  '");
    kernel::write_escaped(output, {reinterpret_cast<const char*>(data.data()), data.size()});
    output.write("'");
    return;
  }
  output.write("  ");
  for (const std::byte byte : data.first(std::min(data.size(), kShown))) {
    kernel::format_to(output, "{:02x}", std::to_integer<unsigned>(byte));
  }
  output.write(data.size() > kShown ? "..." : "");
}

}  // namespace

void render_channel_event(kernel::TextOutput& output, const CborValue& event) {
  if (find_cbor(event, "kind")->text() == "figures") {
    render_beside(output, event);
    return;
  }
  if (const auto lost = find_cbor(event, "lost")) {
    kernel::format_to(output, "({} lost)\n", lost->number);
  }
  kernel::format_to(output, "{}: {}[", find_cbor(event, "index")->number, find_cbor(event, "dtype")->text());
  CborItems dims(*find_cbor(event, "shape"));
  for (bool first = true; const auto dim = dims.next(); first = false) {
    kernel::format_to(output, "{}{}", first ? "" : "x", dim->number);
  }
  output.write("]");
  render_data(output, event);
  output.write("\n");
}

}  // namespace guest::control
