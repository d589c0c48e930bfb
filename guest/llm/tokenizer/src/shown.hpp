// What an error shows of a file's text.
#pragma once

#include "guest/kernel/format.hpp"

namespace guest::llm {

inline kernel::Escaped shown(std::string_view text) { return kernel::escaped(text.substr(0, 32)); }

}  // namespace guest::llm
