// JSON values as YAML that is pleasant to read.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace vmm::scenario {

/// Block style; texts that YAML could take for something else are in double quotes.
std::string write_yaml(const nlohmann::ordered_json& value);

}  // namespace vmm::scenario
