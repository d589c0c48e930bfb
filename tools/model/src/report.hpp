// Results for people and for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "guest/gguf/file.hpp"
#include "guest/llm/package/manifest.hpp"
#include "guest/llm/package/model_facts.hpp"

namespace sis_model {

using Json = nlohmann::ordered_json;

/// With the fields' names in a manifest.
Json to_json(const guest::llm::package::Manifest& manifest);

/// What a model file says; `architecture` may hold any bytes.
Json to_json(const guest::gguf::File& file, const guest::llm::package::ModelFacts& facts);

/// A flat map as lines "name  value", values in one column; control characters escaped.
std::string lines_of(const Json& map);

/// One line of JSON; bytes that are no UTF-8 are replaced.
std::string line_of(const Json& value);

}  // namespace sis_model
