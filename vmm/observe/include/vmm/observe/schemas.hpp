// The JSON Schemas (draft 7) of the files of a run, as they lie in configs/.
#pragma once

#include <string_view>

namespace vmm::observe {

std::string_view metrics_schema();
std::string_view trace_schema();

}  // namespace vmm::observe
