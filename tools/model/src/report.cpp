#include "report.hpp"

#include <algorithm>

#include "guest/kernel/format.hpp"
#include "keys.hpp"

namespace sis_model {
namespace {

class Line final : public guest::kernel::TextOutput {
 public:
  void write(std::string_view text) override { text_ += text; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string escaped(const std::string& text) {
  Line line;
  guest::kernel::write_escaped(line, text);
  return line.text();
}

}  // namespace

Json to_json(const guest::llm::package::Manifest& manifest) {
  return {{"id", manifest.id.view()},
          {"name", manifest.name.view()},
          {"revision", manifest.revision},
          {"context", manifest.context},
          {"vocabulary", manifest.vocabulary},
          {"quantisation", to_string(manifest.quantisation)},
          {"size", manifest.size},
          {"wcet-cycles", manifest.wcet_cycles},
          {"sha256", hex_text(manifest.sha256)},
          {"key", hex_text(manifest.key)}};
}

Json to_json(const guest::gguf::File& file, const guest::llm::package::ModelFacts& facts) {
  return {{"architecture", file.text("general.architecture").value_or("")},
          {"context", facts.context},
          {"vocabulary", facts.vocabulary},
          {"quantisation", to_string(facts.quantisation)},
          {"keys", file.keys().size()},
          {"tensors", file.tensors().size()}};
}

std::string lines_of(const Json& map) {
  std::size_t width = 0;
  for (const auto& [name, value] : map.items()) width = std::max(width, name.size());
  std::string lines;
  for (const auto& [name, value] : map.items()) {
    lines += name + std::string(width - name.size() + 2, ' ') +
             (value.is_string() ? escaped(value.get<std::string>()) : value.dump()) + '\n';
  }
  return lines;
}

std::string line_of(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'; }

}  // namespace sis_model
