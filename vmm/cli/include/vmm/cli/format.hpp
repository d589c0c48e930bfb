// Figures for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace vmm::cli {

/// "512 MiB", "1.5 GiB", "100 B".
std::string format_bytes(std::uint64_t bytes);

/// Three digits that mean something, with a unit: "12.3 ms", "1.02 s".
std::string format_duration(std::chrono::nanoseconds time);

/// Whole seconds that have passed: "12 s".
std::string format_seconds(std::chrono::nanoseconds time);

/// A machine's name made of any text: other characters become '-', "machine" if nothing is left.
std::string machine_name_from(const std::string& text);

}  // namespace vmm::cli
