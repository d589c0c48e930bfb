// A line of `sisctl batch`: a request in words or in JSON, or nothing.
//
//   graph create demo --memory 65536      words, quoted as in the guest's shell: '...', "...", \x
//   {"op": "graph stats", "args": {"graph": "demo"}}
//   # a comment; one may also follow words
#pragma once

#include <expected>
#include <string>
#include <variant>
#include <vector>

#include "tools/guest_words.hpp"

namespace sisctl {

inline constexpr std::size_t kMaxBatchLine = std::size_t{64} * 1024;

/// Empty words: there is nothing on the line.
using BatchLine = std::variant<std::vector<std::string>, Request>;

/// What is wrong names the byte, from 0, where that is known.
std::expected<BatchLine, std::string> parse_batch_line(const std::string& line);

}  // namespace sisctl
