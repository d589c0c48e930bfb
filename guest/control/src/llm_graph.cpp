// llmgraph: a graph like any other asks a model, and its sinks say what comes of it.
//
//   prompt (control-source) --1--> model (llm.generate) --2--> tokens (control-sink)
//                                                       --3--> text (control-sink)
#include <array>
#include <memory>
#include <new>

#include "graph_common.hpp"
#include "guest/control/buffer.hpp"
#include "guest/graph/operators/control.hpp"
#include "llm_commands.hpp"
#include "llm_common.hpp"
#include "utf8_stream.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

/// Who asks meanwhile is told that it is there; 'graph show llmgraph' shows it.
constexpr std::string_view kName = "llmgraph";
constexpr std::string_view kKeep = "64";
constexpr std::uint32_t kPrompt = 1;  ///< channels
constexpr std::uint32_t kTokens = 2;
constexpr std::uint32_t kText = 3;
/// Beside the text.
constexpr std::size_t kAnswerBytes = 1024;

/// Text at the end of a buffer; remembers whether there was no memory.
class Appended final : public kernel::TextOutput {
 public:
  Appended(Buffer& buffer, bool& failed) : buffer_(buffer), failed_(failed) {}
  void write(std::string_view text) override { failed_ |= !buffer_.append(std::as_bytes(std::span(text))); }

 private:
  Buffer& buffer_;
  bool& failed_;
};

using Digits = kernel::FixedText<24>;

Digits digits(std::uint64_t number) {
  Digits text;
  kernel::format_to(text, "{}", number);
  return text;
}

kernel::Outcome build(graph::Graph& graph, const Arguments& arguments) {
  const std::array<std::uint32_t, 1> prompt = {kPrompt};
  const std::array<std::uint32_t, 1> tokens = {kTokens};
  const std::array<std::uint32_t, 1> text = {kText};
  const std::array<std::uint32_t, 2> both = {kTokens, kText};
  const Digits prompt_bytes = digits(arguments.text("prompt").size());
  const std::array<graph::GivenParameter, 2> source = {{{"max_bytes", prompt_bytes.view()}, {"depth", "1"}}};
  const std::array<graph::GivenParameter, 1> sink = {{{"keep", kKeep}}};
  const Digits max_tokens = digits(arguments.number("max_tokens", 64));
  const Digits priority = digits(arguments.number("priority", 3));
  const Digits temperature = digits(arguments.number("temperature"));
  const Digits seed = digits(arguments.number("seed"));
  kernel::BoundedArray<graph::GivenParameter, graph::Parameters::kMaxParameters> model;
  bool fits = model.push_back({"model", arguments.text("model")}) &&
              model.push_back({"max_tokens", max_tokens.view()}) && model.push_back({"priority", priority.view()}) &&
              model.push_back({"temperature_milli", temperature.view()}) && model.push_back({"seed", seed.view()});
  for (const std::string_view name : {"stop", "pattern", "refused"}) {
    fits = fits && (!arguments.has(name) || model.push_back({name, arguments.text(name)}));
  }
  kernel::require(fits, "llm.generate has more parameters than an operator has");
  const graph::ChannelSpec channels[] = {{.id = kPrompt, .capacity = 1, .schema = graph::kSchemaText},
                                         {.id = kTokens, .capacity = 4, .schema = graph::kSchemaTokens},
                                         {.id = kText, .capacity = 4, .schema = graph::kSchemaText}};
  for (const graph::ChannelSpec& channel : channels) {
    if (const kernel::Outcome added = graph.add_channel(channel); !added) {
      return added;
    }
  }
  const graph::OperatorSpec operators[] = {
      {.id = 1, .name = "prompt", .kind = "control-source", .outputs = prompt, .parameters = source},
      {.id = 2,
       .name = "model",
       .kind = "llm.generate",
       .stage = graph::Stage::Model,
       .inputs = prompt,
       .outputs = both,
       .parameters = {model.begin(), model.size()}},
      {.id = 3,
       .name = "tokens",
       .kind = "control-sink",
       .stage = graph::Stage::Explain,
       .inputs = tokens,
       .parameters = sink},
      {.id = 4,
       .name = "text",
       .kind = "control-sink",
       .stage = graph::Stage::Explain,
       .inputs = text,
       .parameters = sink}};
  for (const graph::OperatorSpec& one : operators) {
    if (const kernel::Outcome added = graph.add_operator(one); !added) {
      return added;
    }
  }
  return {};
}

/// It is idle.
void remove_graph() {
  kernel::require(graph::graph_set().destroy(kName).has_value(), "a graph that does not run cannot be destroyed");
}

/// What comes of a run. One at a time: there is one graph of this name. Owns itself once the run has begun, and then
/// the graph, unless somebody destroys that between the run's end and the answer. In the loop's thread.
class LlmGraph final : public Operation, public graph::RunObserver, public graph::GraphWatcher {
 public:
  /// The graph is complete, and idle.
  explicit LlmGraph(const graph::GraphEntry& entry) : graph_(entry.graph.get()), runner_(entry.runner.get()) {
    live_ = this;
    for (graph::ControlTap* const tap : {&tokens_tap(), &text_tap()}) {
      kernel::require(tap->listen(arrivals_), "somebody listens to a graph that is being made");
    }
    graph_->watch(*this);
  }
  ~LlmGraph() {
    live_ = nullptr;
    if (graph_ != nullptr) {
      tokens_tap().unlisten();
      text_tap().unlisten();
      graph_->forget(*this);
      runner_->forget(*this);
    }
  }
  LlmGraph(const LlmGraph&) = delete;
  LlmGraph& operator=(const LlmGraph&) = delete;

  /// Begins the run, with the prompt and no more.
  kernel::Outcome start(std::string_view prompt) {
    graph::ControlFeed& feed = *graph::control_feed(*graph_->find_operator("prompt"));
    if (kernel::Outcome fed = feed.feed(std::as_bytes(std::span(prompt))); !fed) {
      return fed;
    }
    feed.end();
    kernel::Outcome started = runner_->start(graph::Runner::kForEver);
    if (started) {
      runner_->observe(*this);  // not before: a run for which there are no threads ends within start()
    }
    return started;
  }
  void wait(Caller& caller) {
    caller_ = &caller;
    caller.defer(*this);
  }

  /// Nobody waits any more: the run ends, and then all of it goes.
  void cancel() override {
    caller_ = nullptr;
    if (!has_ended_) {
      static_cast<void>(runner_->stop());  // it may be about to end by itself
    }
  }
  void run_ended() override {
    has_ended_ = true;
    take();
    kernel::work_queue().raise(answer_);
  }
  void graph_gone() override {
    tokens_tap().unlisten();
    text_tap().unlisten();
    graph_ = nullptr;
  }

 private:
  [[nodiscard]] graph::ControlTap& tokens_tap() const { return *graph::control_tap(*graph_->find_operator("tokens")); }
  [[nodiscard]] graph::ControlTap& text_tap() const { return *graph::control_tap(*graph_->find_operator("text")); }

  /// What has come meanwhile; what the run leaves is there until the next one.
  void take() {
    Appended out(text_, no_memory_);
    for (auto taken = text_tap().take(); taken.tensor; taken = text_tap().take()) {
      // Bytes that the model says as text.
      const std::span<const std::byte> data = taken.tensor.data();
      utf8_.add({reinterpret_cast<const char*>(data.data()), data.size()}, out);
      lost_ += taken.lost;
    }
    for (auto taken = tokens_tap().take(); taken.tensor; taken = tokens_tap().take()) {
      tokens_ += taken.tensor.data().size() / sizeof(llm::Token);
      lost_ += taken.lost;
    }
  }
  static void on_arrival(void* /*unused*/) {
    if (live_ != nullptr && !live_->has_ended_) {
      live_->take();
    }
  }

  /// The caller may go on at once, and ask again: so the graph goes before it is told.
  void answer() {
    std::unique_ptr<LlmGraph> self(this);
    Caller* const caller = caller_;
    const bool has_graph = graph_ != nullptr;
    const std::size_t size = text_.size() + std::size_t{4} * Utf8Stream::kMaxGrowth + kAnswerBytes;
    const std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[size]);
    CborWriter writer({memory.get(), memory == nullptr ? 0 : size});
    const std::expected<void, Refusal> told = tell(writer);
    self.reset();
    if (has_graph) {
      remove_graph();
    }
    if (caller != nullptr && told) {
      caller->complete(writer.written());
    } else if (caller != nullptr) {
      caller->fail(told.error());
    }
  }

  std::expected<void, Refusal> tell(CborWriter& writer) {
    if (graph_ == nullptr) {
      return refuse("graph-unknown", "", "there is no graph '{}'", kName);
    }
    const graph::RunReport report = runner_->report();
    if (report.end != graph::RunEnd::Finished) {
      return refuse("graph-failed", "", "graph '{}' has ended, {}: {}", kName, to_string(report.end), report.why);
    }
    Appended out(text_, no_memory_);
    utf8_.finish(out);
    ResultMap result(writer);
    // Bytes that were text.
    result.add("text", std::string_view(reinterpret_cast<const char*>(text_.bytes().data()), text_.size()));
    result.add("tokens", tokens_);
    result.add("lost", lost_);
    add_run(result, *graph::graph_set().find(kName));
    result.finish();
    if (no_memory_ || writer.overflowed()) {
      return refuse(error::kBusy, "", "no memory for what the graph says");
    }
    return {};
  }

  static constinit LlmGraph* live_;
  /// It may be raised once more when who listened has gone.
  static constinit kernel::WorkItem arrivals_;

  graph::Graph* graph_;  ///< null: it is gone
  graph::Runner* runner_;
  Caller* caller_ = nullptr;  ///< null: nobody waits any more
  bool has_ended_ = false;
  bool no_memory_ = false;
  Buffer text_;
  Utf8Stream utf8_;
  std::uint64_t tokens_ = 0;
  std::uint64_t lost_ = 0;  ///< parts that came faster than they were taken
  kernel::WorkItem answer_{[](void* self) { static_cast<LlmGraph*>(self)->answer(); }, this};
};

constinit LlmGraph* LlmGraph::live_ = nullptr;
constinit kernel::WorkItem LlmGraph::arrivals_(&LlmGraph::on_arrival, nullptr);

/// A graph that is complete and runs; or nothing stays.
std::expected<LlmGraph*, Refusal> make(const graph::GraphEntry& entry, const Arguments& arguments) {
  if (const kernel::Outcome built = build(*entry.graph, arguments); !built) {
    return refuse_graph(built.error());
  }
  std::unique_ptr<LlmGraph> made(new (std::nothrow) LlmGraph(entry));
  if (made == nullptr) {
    return refuse(error::kBusy, "", "no memory to wait for a graph");
  }
  if (const kernel::Outcome started = made->start(arguments.text("prompt")); !started) {
    return refuse_graph(started.error());
  }
  return made.release();
}

}  // namespace

HandlerResult handle_llmgraph(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  if (const auto there = require_llm(services); !there) {
    return std::unexpected(there.error());
  }
  if (graph::graph_set().find(kName) != nullptr) {
    return refuse(error::kBusy, "", "there is a graph '{}': somebody asks already, or made it", kName);
  }
  const auto entry = graph::graph_set().create({.name = kName}, std::nullopt);
  if (!entry) {
    return refuse_graph(entry.error());
  }
  const auto made = make(**entry, arguments);
  if (!made) {
    remove_graph();
    return std::unexpected(made.error());
  }
  (*made)->wait(caller);
  return Handled::Later;
}

}  // namespace guest::control
