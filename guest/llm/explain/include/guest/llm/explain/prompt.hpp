// The prompt of sis-explain: figures as text, then a question (docs/explain.md, Prompts). tools/train/situation.py
// writes the same bytes.
//
//    o1.busy 71% o1.run 2.1ms o1.max 4.0ms o1.limit 1.0ms o1.over 12 o1.input c1
//    c1.writer o2 c1.reader o1 c1.top 8 c1.room 8 c1.stalled 120
//    s1.budget 2.0ms s1.period 10ms s1.jobs 500 s1.over 30 s1.missed 12 s1.throttled 31 s1.worst 12ms
//    audit.accepted 2 audit.refused 40 audit.links 5
//    npu.jobs 500 npu.missed 2 npu.top 8
//    llm.asked 12 llm.refused 3 llm.missed 1
//    ? why was op o1 slower than op o2 =
//
// is one, in one line; each word has one blank before it.
#pragma once

#include <cstddef>
#include <string_view>

#include "guest/kernel/format.hpp"
#include "guest/llm/explain/figures.hpp"

namespace guest::llm::explain {

/// Of a question after names have become labels; what is longer is cut.
inline constexpr std::size_t kMaxQuestion = 128;
/// No prompt has more bytes.
inline constexpr std::size_t kMaxPrompt = 2048;

/// All but the question.
void write_figures(kernel::TextOutput& out, const Figures& figures);

/// The question in the words that the model knows: in lower case, one blank between words, nothing but letters and
/// digits in them; a name of `figures` has become its label. A name that is also a common English word is taken for a
/// name only behind a word like "op", "server", "channel", "than", or at the end. A channel's name is its number behind
/// "channel". Words that look like a label and are no name are left out: they would mean another one.
/// @param question  any bytes
void write_question(kernel::TextOutput& out, const Figures& figures, std::string_view question);

/// Whether a word of the question is this name, in capitals or not.
bool mentions(std::string_view question, std::string_view name);

/// All of it.
void write_prompt(kernel::TextOutput& out, const Figures& figures, std::string_view question);

}  // namespace guest::llm::explain
