#pragma once

#include <string_view>

namespace guest::llm {

/// SentencePiece's character for a space, U+2581.
inline constexpr std::string_view kSpacePiece = "\xE2\x96\x81";

}  // namespace guest::llm
