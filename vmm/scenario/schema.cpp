#include "vmm/scenario/schema.hpp"

#include "format.hpp"

namespace vmm::scenario {
namespace {

/// A cell must not end early.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? "\\|" : std::string(1, c);
  return out;
}

std::string table(const std::vector<OptionRow>& rows) {
  std::string out = "| key | allowed | default | meaning |\n|---|---|---|---|\n";
  for (const OptionRow& row : rows) {
    const std::string default_text =
        row.default_text.empty() || row.default_text == "required" ? row.default_text : '`' + row.default_text + '`';
    out += "| `" + row.key + "` | " + cell(row.allowed) + " | " + default_text + " | " + cell(row.help) + " |\n";
  }
  return out;
}

}  // namespace

std::string json_schema() {
  OrderedJson schema = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                        {"title", "SIS scenario"},
                        {"description", "A machine, control requests, and what must hold (docs/scenario.md)."}};
  schema.update(scenario_type()->schema());
  schema["definitions"] = {{"request", request_type()->schema()}, {"condition", condition_type()->schema()}};
  return schema.dump(2) + '\n';
}

std::string option_table() {
  std::vector<OptionRow> rows;
  scenario_type()->document("", rows);
  return table(rows);
}

std::string condition_table() {
  std::vector<OptionRow> rows;
  condition_type()->document("", rows);
  return table(rows);
}

}  // namespace vmm::scenario
