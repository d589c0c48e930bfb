// The words of `sisctl llm ACTION ...`: nearly all are commands of the guest under shorter names.
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <vector>

#include "tools/options.hpp"

namespace sisctl {

/// The actions, sorted, with blanks between them.
std::string llm_actions();

/// Sets what `options` says of the command. `words`: what follows "llm". The error is a sentence.
///   load-pkg FILE   brings a package
///   infer --stream  is the guest's llmstream
///   load, list ...  are words of its llmctl
///   all others      are its commands of the name with "llm" before it
/// --json, anywhere before "--", is sisctl's. What takes a model's time may take `slow_timeout`.
std::expected<void, std::string> read_llm_words(const std::vector<std::string>& words, Options& options,
                                                std::chrono::milliseconds slow_timeout);

}  // namespace sisctl
