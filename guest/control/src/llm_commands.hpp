// Commands of the LLM service, for the table (command_table.cpp).
#pragma once

#include "guest/graph/graph.hpp"
#include "guest/graph/operator.hpp"
#include "guest/llm/constraint/automaton.hpp"
#include "guest/llm/sampler/sampler.hpp"
#include "guest/llm/service/request.hpp"
#include "handlers.hpp"

namespace guest::control {

/// Longest prompt of a request: as much as fits a frame with the rest of it.
inline constexpr std::uint64_t kMaxPrompt = 49'152;
inline constexpr std::uint64_t kMaxTokens = 1'000'000;
/// No model has more tokens.
inline constexpr std::uint64_t kMaxTopK = 262'144;
/// Chunks of one answer of `llmpoll`: what the shell makes of them fits its 48 KiB.
inline constexpr std::uint64_t kMaxPollChunks = 256;
/// A character may be spread over so many.
inline constexpr std::uint64_t kMinPollChunks = 4;
inline constexpr std::uint64_t kMaxLlmNumber = std::uint64_t{1} << 62;

inline constexpr ArgumentSpec kLlmModel = {.name = "model",
                                           .type = ArgumentType::Text,
                                           .required = true,
                                           .min = 1,
                                           .max = llm::kMaxModelId,
                                           .help = "the id of a model, as tiny of models/tiny.gguf"};
inline constexpr ArgumentSpec kLlmId = {.name = "id",
                                        .type = ArgumentType::Integer,
                                        .max = kMaxLlmNumber,
                                        .help = "of a request of yours; the newest unless given, or 0"};

/// Of `llminfer` all, of `llmstream` all but the last.
inline constexpr ArgumentSpec kLlmInferArguments[] = {
    kLlmModel,
    {.name = "prompt",
     .type = ArgumentType::TextOrBytes,
     .required = true,
     .max = kMaxPrompt,
     .help = "what the answer goes on from; in quotes if it has blanks"},
    {.name = "max_tokens",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = kMaxTokens,
     .help = "of the answer, 64 unless given; so many are reserved of the budget"},
    {.name = "priority",
     .type = ArgumentType::Integer,
     .max = llm::RequestOptions::kMaxPriority,
     .help = "0 to 7, the larger the sooner; 3 unless given"},
    {.name = "deadline_ms",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = 86'400'000,
     .help = "the answer ends so long after its submission; no deadline unless given"},
    {.name = "max_cycles",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = kMaxLlmNumber,
     .help = "of the NPU's model, for the whole request; any number unless given"},
    {.name = "temperature",
     .type = ArgumentType::Decimal,
     .max = llm::Sampler::kMaxTemperatureMilli,
     .help = "0: always the likeliest token, which it is unless given"},
    {.name = "top_k",
     .type = ArgumentType::Integer,
     .max = kMaxTopK,
     .help = "chooses among so many likeliest tokens; 0, or not given: among all"},
    {.name = "top_p",
     .type = ArgumentType::Decimal,
     .min = 1,
     .max = 1'000,
     .help = "among the likeliest that have this probability together; 1 unless given"},
    {.name = "min_p",
     .type = ArgumentType::Decimal,
     .max = 1'000,
     .help = "among those that have this part of the likeliest one's probability; 0 unless given"},
    {.name = "repeat_penalty",
     .type = ArgumentType::Decimal,
     .min = llm::Sampler::kLeastPenaltyMilli,
     .max = llm::Sampler::kMaxPenaltyMilli,
     .help = "what tokens are punished by that were there lately; 1, or not given: nothing"},
    {.name = "repeat_window",
     .type = ArgumentType::Integer,
     .max = llm::Sampler::kMaxWindow,
     .help = "how many tokens are lately, 64 unless given"},
    {.name = "seed",
     .type = ArgumentType::Integer,
     .max = ~std::uint64_t{0},
     .help = "of the random numbers, 0 unless given: the same seed says the same"},
    {.name = "stop",
     .type = ArgumentType::Text,
     .min = 1,
     .max = 519,
     .help = "up to 8 words that end the answer, with | between them"},
    {.name = "pattern",
     .type = ArgumentType::Text,
     .min = 1,
     .max = llm::Automaton::kMaxPatternBytes,
     .help = "that the answer matches: characters, . [a-z] \\d \\w \\s ( ) | ? * + {m,n}"},
    {.name = "choices",
     .type = ArgumentType::Text,
     .min = 1,
     .max = 1'100,
     .help = "up to 64 texts, one of which is the answer, with | between them"},
    {.name = "session",
     .type = ArgumentType::Text,
     .min = 1,
     .max = 20,
     .help = "new: keep what was said in one; or the number of one, to go on behind it"},
    {.name = "wait",
     .type = ArgumentType::Bool,
     .help = "no: answer with the request's id, for 'llmpoll'; yes unless given"}};
static_assert(std::size(kLlmInferArguments) <= kMaxArguments);

inline constexpr ArgumentSpec kLlmPollArguments[] = {
    kLlmId,
    {.name = "from",
     .type = ArgumentType::Integer,
     .max = kMaxLlmNumber,
     .help = "number of the first piece, those before it are forgotten; unless given what was not given yet"},
    {.name = "max",
     .type = ArgumentType::Integer,
     .min = kMinPollChunks,
     .max = kMaxPollChunks,
     .help = "pieces of text, of up to 48 bytes each, 4 to 256; 64 unless given"}};
inline constexpr ArgumentSpec kLlmIdArguments[] = {kLlmId};
inline constexpr ArgumentSpec kLlmModelArguments[] = {kLlmModel};
inline constexpr ArgumentSpec kLlmBudgetArguments[] = {
    {.name = "tokens_per_period",
     .type = ArgumentType::Integer,
     .max = std::uint64_t{1} << 48,
     .help = "from now on; 0: any number. Needs rights of ADMIN"},
    {.name = "cycles_per_period",
     .type = ArgumentType::Integer,
     .max = kMaxLlmNumber,
     .help = "from now on; 0: any number. Needs rights of ADMIN"},
    {.name = "class", .type = ArgumentType::Text, .min = 1, .max = 16, .help = "of clients, whose tokens to change"}};

inline constexpr ArgumentSpec kAskArguments[] = {
    {.name = "question",
     .type = ArgumentType::Text,
     .required = true,
     .min = 1,
     .max = 1024,
     .help = "in quotes, as \"why was op b slower than op a?\""},
    {.name = "graph",
     .type = ArgumentType::Text,
     .min = 1,
     .max = graph::kMaxGraphName,
     .help = "whose operators are meant; those of all unless given"},
    {.name = "model",
     .type = ArgumentType::Text,
     .min = 1,
     .max = llm::kMaxModelId,
     .help = "the id of a model that was trained for this; sis-explain unless given"}};

inline constexpr Command kAskCommand = {
    .name = "ask",
    .help = "ask a model about the kernel's figures, and see what its answer rests on",
    .details =
        "holds: every part of the answer is so in the figures. What is not is marked. The model has to be loaded.",
    .arguments = kAskArguments,
    .rights = abi::control::Rights::Submit,
    .handler = handle_ask,
    .render = render_ask};
inline constexpr Command kLlmcancelCommand = {
    .name = "llmcancel",
    .help = "end a request to the LLM service",
    .details = "One that waits ends at once, one that runs within a step. What it has said can still be read.",
    .arguments = kLlmIdArguments,
    .rights = abi::control::Rights::Submit,
    .handler = handle_llmcancel};
inline constexpr Command kLlmctlBudgetCommand = {
    .name = "llmctl budget",
    .help = "what the LLM service may do in a period, and what is used of it; or change that",
    .details =
        "Tokens are reserved when a request is taken, and used as they come out. What was promised stays promised.",
    .arguments = kLlmBudgetArguments,
    .rights = abi::control::Rights::Observe,
    .handler = handle_llmctl_budget};
inline constexpr Command kLlmctlListCommand = {
    .name = "llmctl list",
    .help = "the models: those that are loaded, were refused, or lie in the boot archive",
    .details = "revision, name and wcet_cycles are what the manifest says; a model without one is not signed.",
    .arguments = {},
    .rights = abi::control::Rights::Observe,
    .handler = handle_llmctl_list};
inline constexpr Command kLlmctlLoadCommand = {
    .name = "llmctl load",
    .help = "load a model of the boot archive, if its package is accepted",
    .details = "Answers when every byte was verified and the model can be used. Goes on if nobody waits any more.",
    .arguments = kLlmModelArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_llmctl_load};
inline constexpr Command kLlmctlStatusCommand = {
    .name = "llmctl status",
    .help = "the LLM service: its limits, requests that wait, run and are kept, sessions",
    .details = "",
    .arguments = {},
    .rights = abi::control::Rights::Observe,
    .handler = handle_llmctl_status};
inline constexpr Command kLlmctlUnloadCommand = {.name = "llmctl unload",
                                                 .help = "take a model out of memory",
                                                 .details = "Refused while requests or sessions use it.",
                                                 .arguments = kLlmModelArguments,
                                                 .rights = abi::control::Rights::Admin,
                                                 .handler = handle_llmctl_unload};
inline constexpr ArgumentSpec kLlmGraphArguments[] = {
    kLlmModel,
    {.name = "prompt",
     .type = ArgumentType::TextOrBytes,
     .required = true,
     .min = 1,
     .max = kMaxPrompt,
     .help = "what the answer goes on from; in quotes if it has blanks"},
    {.name = "max_tokens",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = 131'072,
     .help = "of the answer, 64 unless given"},
    {.name = "priority",
     .type = ArgumentType::Integer,
     .max = llm::RequestOptions::kMaxPriority,
     .help = "0 to 7, the larger the sooner; 3 unless given"},
    {.name = "temperature",
     .type = ArgumentType::Decimal,
     .max = llm::Sampler::kMaxTemperatureMilli,
     .help = "0: always the likeliest token, which it is unless given"},
    {.name = "seed", .type = ArgumentType::Integer, .max = 1'000'000'000'000'000, .help = "0 unless given"},
    {.name = "stop",
     .type = ArgumentType::Text,
     .min = 1,
     .max = graph::ParameterSpec::kMaxText,
     .help = "a word that ends the answer"},
    {.name = "pattern",
     .type = ArgumentType::Text,
     .min = 1,
     .max = graph::ParameterSpec::kMaxText,
     .help = "that the answer matches"},
    {.name = "refused",
     .type = ArgumentType::Choice,
     .choices = "wait|fail",
     .help = "what a refusal for want of a budget or a place does; it waits unless given"}};
inline constexpr Command kLlmgraphCommand = {
    .name = "llmgraph",
    .help = "ask a model through a graph that is made for it",
    .details =
        "Makes the graph 'llmgraph', which any command of graphs shows: a control-source, llm.generate, and a "
        "control-sink each for tokens and text. It runs to its end, says what came out, and is destroyed.",
    .arguments = kLlmGraphArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_llmgraph,
    .render = render_llm_answer};
inline constexpr Command kLlminferCommand = {
    .name = "llminfer",
    .help = "ask a model, and wait for its answer",
    .details =
        "Greedy and reproducible unless told otherwise. The request is its connection's: it ends when that closes, or "
        "when who waits goes away.",
    .arguments = kLlmInferArguments,
    .rights = abi::control::Rights::Submit,
    .handler = handle_llminfer,
    .render = render_llm_answer};
inline constexpr Command kLlmjsonCommand = {.name = "llmjson",
                                            .help = "'llmstats' as one line of JSON, for scripts",
                                            .details = "",
                                            .arguments = {},
                                            .rights = abi::control::Rights::Observe,
                                            .handler = handle_llmjson,
                                            .render = render_llmjson};
inline constexpr Command kLlmpollCommand = {
    .name = "llmpoll",
    .help = "how a request is getting on, and what it has said",
    .details =
        "drained: all pieces that there are have been given; finished: no more will come. Without 'from' each piece is "
        "given once; 'next' is the number of the one behind the last.",
    .arguments = kLlmPollArguments,
    .rights = abi::control::Rights::Submit,
    .handler = handle_llmpoll,
    .render = render_llm_answer,
    .unrecorded = true};
inline constexpr Command kLlmreleaseCommand = {
    .name = "llmrelease",
    .help = "forget a request; one that has not ended is cancelled",
    .details = "Results that were read are forgotten by themselves when their places are needed.",
    .arguments = kLlmIdArguments,
    .rights = abi::control::Rights::Submit,
    .handler = handle_llmrelease};
inline constexpr Command kLlmstatsCommand = {
    .name = "llmstats",
    .help = "what the LLM service has done, and how long it took",
    .details =
        "Percentiles are upper bounds, at most 12.5 % too large, and are left out where there are too few samples.",
    .arguments = {},
    .rights = abi::control::Rights::Observe,
    .handler = handle_llmstats};
inline constexpr Command kLlmstreamCommand = {
    .name = "llmstream",
    .help = "ask a model, and get its answer as it comes",
    .details = "As 'llminfer'. A slow reader makes its own request wait, and no other.",
    .arguments = std::span(kLlmInferArguments).first<std::size(kLlmInferArguments) - 1>(),
    .rights = abi::control::Rights::Submit,
    .handler = handle_llmstream,
    .render = render_llm_end,
    .render_event = render_llm_piece,
    .ends = true};
inline constexpr Command kLlmsummaryCommand = {.name = "llmsummary",
                                               .help = "models, queue, budget and the last requests, in short",
                                               .details = "",
                                               .arguments = {},
                                               .rights = abi::control::Rights::Observe,
                                               .handler = handle_llmsummary};

}  // namespace guest::control
