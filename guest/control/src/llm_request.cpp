// llminfer and llmstream: a request, and its answer.
#include <charconv>
#include <new>

#include "llm_answer.hpp"
#include "llm_commands.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

std::expected<void, Refusal> set_session(std::string_view said, llm::RequestOptions& options) {
  if (said == "new") {
    options.keep = llm::KeepSession::New;
    return {};
  }
  const auto parsed = std::from_chars(said.data(), said.data() + said.size(), options.session);
  if (parsed.ec != std::errc() || parsed.ptr != said.data() + said.size() || options.session == 0) {
    return refuse(error::kBadArgument, "session", "session: found '{}', allowed: new, or the number of a session",
                  kernel::escaped(said));
  }
  return {};
}

/// Words with '|' between them; the service says what is wrong with one.
std::expected<void, Refusal> set_stop_words(std::string_view said, llm::RequestOptions& options) {
  for (;;) {
    const std::size_t end = std::min(said.find('|'), said.size());
    if (!options.stop_words.push_back(said.substr(0, end))) {
      return refuse(error::kBadArgument, "stop", "stop: found more than {} words, with | between them",
                    llm::StopWords::kMaxWords);
    }
    if (end == said.size()) {
      return {};
    }
    said.remove_prefix(end + 1);
  }
}

using Choices = kernel::BoundedArray<std::string_view, llm::Automaton::kMaxChoices>;

/// Texts with '|' between them; the service says what is wrong with one.
std::expected<void, Refusal> set_choices(std::string_view said, Choices& choices, llm::RequestOptions& options) {
  for (;;) {
    const std::size_t end = std::min(said.find('|'), said.size());
    if (!choices.push_back(said.substr(0, end))) {
      return refuse(error::kBadArgument, "choices", "choices: found more than {} texts, with | between them",
                    Choices::capacity());
    }
    if (end == said.size()) {
      options.choices = {choices.begin(), choices.size()};
      return {};
    }
    said.remove_prefix(end + 1);
  }
}

llm::SamplerOptions sampler_of(const Arguments& arguments) {
  llm::SamplerOptions sampler;
  llm::numeric::Rules& rules = sampler.rules;
  const auto small = [&](std::string_view name, std::uint32_t fallback) {
    return static_cast<std::uint32_t>(arguments.number(name, fallback));
  };
  rules.temperature_milli = small("temperature", 0);
  rules.top_k = small("top_k", rules.top_k);
  rules.top_p_milli = small("top_p", rules.top_p_milli);
  rules.min_p_milli = small("min_p", rules.min_p_milli);
  rules.repetition_penalty_milli = small("repeat_penalty", rules.repetition_penalty_milli);
  sampler.repetition_window = small("repeat_window", sampler.repetition_window);
  sampler.seed = arguments.number("seed", sampler.seed);
  return sampler;
}

/// Texts are views of the arguments', and choices lie in `choices`.
std::expected<llm::RequestOptions, Refusal> options_of(const Arguments& arguments, Choices& choices) {
  llm::RequestOptions options;
  options.model = arguments.text("model");
  options.max_tokens = static_cast<std::uint32_t>(arguments.number("max_tokens", options.max_tokens));
  options.priority = static_cast<std::uint8_t>(arguments.number("priority", options.priority));
  options.deadline_ns = arguments.number("deadline_ms") * 1'000'000;
  options.max_cycles = arguments.number("max_cycles");
  options.sampler = sampler_of(arguments);
  options.pattern = arguments.text("pattern");
  options.read_later = true;  // the loop has others to answer
  std::expected<void, Refusal> set;
  if (arguments.has("session")) {
    set = set_session(arguments.text("session"), options);
  }
  if (set && arguments.has("stop")) {
    set = set_stop_words(arguments.text("stop"), options);
  }
  if (set && arguments.has("choices")) {
    set = set_choices(arguments.text("choices"), choices, options);
  }
  return set ? std::expected<llm::RequestOptions, Refusal>(options) : std::unexpected(set.error());
}

/// A request of whoever runs the handler; its id.
std::expected<llm::RequestId, Refusal> submit(Services& services, const Arguments& arguments,
                                              const llm::Caller& owner) {
  Choices choices;
  const auto options = options_of(arguments, choices);
  if (!options) {
    return std::unexpected(options.error());
  }
  if (const std::uint32_t connection = services.caller.connection;
      connection != 0 && !services.llm->note_connection(connection)) {
    return refuse(error::kBusy, "", "too many connections have submitted something");
  }
  const auto id = services.llm->service.submit(owner, arguments.text("prompt"), *options);
  return id ? std::expected<llm::RequestId, Refusal>(*id) : refuse_llm(id.error());
}

HandlerResult submit_and_wait(Services& services, const Arguments& arguments, Caller& caller, LlmAnswer::How how) {
  const llm::Caller owner = llm_caller(services);
  const auto id = submit(services, arguments, owner);
  if (!id) {
    return std::unexpected(id.error());
  }
  auto* const answer = new (std::nothrow) LlmAnswer(services, owner, *id, how);
  if (answer == nullptr) {
    static_cast<void>(services.llm->service.release(owner, *id));
    return refuse(error::kBusy, "", "no memory to wait for an answer");
  }
  answer->start(caller);
  return Handled::Later;
}

}  // namespace

HandlerResult handle_llminfer(Services& services, const Arguments& arguments, Caller& caller, ResultMap& result) {
  if (const auto there = require_llm(services); !there) {
    return std::unexpected(there.error());
  }
  if (arguments.flag("wait", true)) {
    return submit_and_wait(services, arguments, caller, LlmAnswer::How::Whole);
  }
  const auto id = submit(services, arguments, llm_caller(services));
  if (!id) {
    return std::unexpected(id.error());
  }
  result.add("id", *id);
  result.add("model", arguments.text("model"));
  return Handled::Now;
}

HandlerResult handle_llmstream(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  if (const auto there = require_llm(services); !there) {
    return std::unexpected(there.error());
  }
  return submit_and_wait(services, arguments, caller, LlmAnswer::How::Streamed);
}

}  // namespace guest::control
