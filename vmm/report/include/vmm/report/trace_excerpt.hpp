// The part of a trace that fits into a page.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "vmm/base/result.hpp"

namespace vmm::report {

struct ExcerptLimits {
  std::size_t events = 12'000;
  std::size_t bytes = std::size_t{3} << 20;  ///< of their texts
  std::size_t event_bytes = 4096;            ///< of one; a longer one is left out
};

/// The earliest events of a trace in Chrome's trace-event format, each as it is in the file, and all names of threads
/// and processes: {"events_total", "left_out", "traceEvents": [...], "otherData": ...}.
/// @param text the file: JSON
/// Errors: it is no JSON, or no object with an array "traceEvents"; a sentence.
Result<std::string> trace_excerpt(std::string_view text, const ExcerptLimits& limits = {});

}  // namespace vmm::report
