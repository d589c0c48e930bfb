// The page that shows a run, two runs, or a machine that runs: one HTML text with everything in it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "vmm/report/run_data.hpp"

namespace vmm::report {

/// The data object that the page draws, as JSON: {"format": "sis-report", "version": 1, "live": ..., "runs": [...]}.
/// @param runs one, or two that are compared
std::string data_json(std::span<const RunData> runs, bool live);

/// What the page may do, for a Content-Security-Policy: its own scripts and its own style, and nothing from anywhere. A
/// live page may ask the server that it came from.
std::string content_policy(bool live);

/// The page. `data` is of data_json(); nothing in it can become markup.
std::string page(std::string_view data, bool live);

}  // namespace vmm::report
