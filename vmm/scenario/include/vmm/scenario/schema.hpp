// The format of scenarios, described for programs and for people from the table that the loader uses.
#pragma once

#include <string>

namespace vmm::scenario {

/// JSON Schema (draft 7) for editors: configs/scenario.schema.json.
std::string json_schema();

/// The option tables of docs/scenario.md, in Markdown.
std::string option_table();
std::string condition_table();

}  // namespace vmm::scenario
