// Loader, JSON Schema, documentation and the scenarios in configs/ agree. With SIS_UPDATE set, what is generated is
// written into the tree first.
#include "vmm/scenario/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "vmm/scenario/load.hpp"

namespace vmm::scenario {
namespace {

const std::string kRoot = SIS_SOURCE_DIR;

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool updating() { return std::getenv("SIS_UPDATE") != nullptr; }

/// What stands between <!-- NAME: ... --> and <!-- /NAME -->, as offset and length.
std::pair<std::size_t, std::size_t> block(const std::string& text, const std::string& name) {
  const std::size_t start = text.find('\n', text.find("<!-- " + name + ':')) + 1;
  const std::size_t end = text.find("<!-- /" + name + " -->");
  if (start == 0 || end == std::string::npos || end < start) return {0, 0};
  return {start, end - start};
}

void expect_block(const std::string& path, const std::string& name, const std::string& wanted) {
  std::string text = contents(path);
  const auto [start, length] = block(text, name);
  ASSERT_NE(start, 0u) << "no block " << name;
  if (updating()) {
    text.replace(start, length, wanted);
    std::ofstream(path, std::ios::binary) << text;
    return;
  }
  EXPECT_EQ(text.substr(start, length), wanted);
}

TEST(SchemaTest, file_for_editors_is_the_generated_one) {
  const std::string path = kRoot + "/configs/scenario.schema.json";
  if (updating()) std::ofstream(path, std::ios::binary) << json_schema();
  EXPECT_EQ(contents(path), json_schema());
}

TEST(SchemaTest, tables_of_the_documentation_are_the_generated_ones) {
  expect_block(kRoot + "/docs/scenario.md", "option table", '\n' + option_table() + '\n');
  expect_block(kRoot + "/docs/scenario.md", "condition table", '\n' + condition_table() + '\n');
}

/// What the schema says of an option, the loader does: its default is accepted and is what an empty file has; values
/// beside the bounds are refused.
class SchemaAgreesTest : public testing::Test {
 protected:
  /// Calls `check` with the dotted path and the schema of each scalar option of a file.
  template <typename Check>
  static void for_each_option(const nlohmann::json& schema, const std::string& path, const Check& check) {
    for (const auto& [key, option] : schema.at("properties").items()) {
      const std::string name = path.empty() ? key : path + '.' + key;
      if (option.contains("properties")) {
        for_each_option(option, name, check);
      } else {
        check(name, option);
      }
    }
  }

  /// A file that sets one option: {a: {b: value}}.
  static Result<Scenario> load_with(const std::string& path, const std::string& value) {
    std::string yaml = value;
    std::string rest = path;
    while (!rest.empty()) {
      const std::size_t dot = rest.rfind('.');
      yaml = (dot == std::string::npos ? "" : "{") + rest.substr(dot + 1) + ": " + yaml +
             (dot == std::string::npos ? "" : "}");
      rest.resize(dot == std::string::npos ? 0 : dot);
    }
    return load_text("apiVersion: sis/v1\n" + yaml + '\n', "t.yaml");
  }

  const nlohmann::json schema_ = nlohmann::json::parse(json_schema());
};

TEST_F(SchemaAgreesTest, defaults_are_what_an_empty_file_has) {
  const Scenario empty = *load_text("apiVersion: sis/v1", "t.yaml");
  // A part of what is not there at all unless it is named.
  const Scenario observed = *load_text("apiVersion: sis/v1\nobserve: {}", "t.yaml");
  std::size_t count = 0;
  for_each_option(schema_, "", [&](const std::string& path, const nlohmann::json& option) {
    if (!option.contains("default")) return;
    const auto loaded = load_with(path, option.at("default").dump());
    ++count;
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(*loaded, path.starts_with("observe.") ? observed : empty) << path;
  });
  EXPECT_GE(count, 9u);
}

TEST_F(SchemaAgreesTest, bounds_and_choices_are_the_loaders) {
  std::size_t count = 0;
  for_each_option(schema_, "", [&](const std::string& path, const nlohmann::json& option) {
    if (option.contains("minimum")) {
      ++count;
      const auto min = option.at("minimum").get<std::int64_t>();
      const auto max = option.at("maximum").get<std::int64_t>();
      EXPECT_TRUE(load_with(path, std::to_string(min))) << path;
      EXPECT_TRUE(load_with(path, std::to_string(max))) << path;
      EXPECT_FALSE(load_with(path, std::to_string(min - 1))) << path;
      EXPECT_FALSE(load_with(path, std::to_string(max + 1))) << path;
    }
    if (option.contains("enum")) {
      ++count;
      for (const auto& choice : option.at("enum")) EXPECT_TRUE(load_with(path, choice.get<std::string>())) << path;
      EXPECT_FALSE(load_with(path, "something-else")) << path;
    }
  });
  EXPECT_GE(count, 7u);
}

TEST_F(SchemaAgreesTest, required_keys_are_the_loaders) {
  EXPECT_EQ(schema_.at("required"), (nlohmann::json{"apiVersion"}));
  EXPECT_EQ(schema_.at("definitions").at("request").at("required"), (nlohmann::json{"op"}));
}

std::vector<std::string> config_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot + "/configs")) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(ConfigsTest, every_scenario_loads_and_names_its_schema) {
  EXPECT_GE(config_names().size(), 6u);
  for (const std::string& name : config_names()) {
    const std::string path = kRoot + "/configs/" + name;
    const auto scenario = load_file(path);
    EXPECT_TRUE(scenario) << scenario.error().message;
    EXPECT_THAT(contents(path), testing::StartsWith("# yaml-language-server: $schema=scenario.schema.json\n"));
  }
}

/// The lines between ```yaml and ```.
std::vector<std::string> yaml_blocks(const std::string& markdown) {
  std::vector<std::string> blocks;
  for (std::size_t at = 0; (at = markdown.find("```yaml\n", at)) != std::string::npos;) {
    at += 8;
    const std::size_t end = markdown.find("\n```", at);
    blocks.push_back(markdown.substr(at, end - at + 1));
  }
  return blocks;
}

TEST(DocumentationTest, every_example_loads) {
  const auto blocks = yaml_blocks(contents(kRoot + "/docs/scenario.md"));
  EXPECT_GE(blocks.size(), 5u);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto scenario = load_text(blocks[i], "example-" + std::to_string(i + 1) + ".yaml");
    EXPECT_TRUE(scenario) << scenario.error().message << '\n' << blocks[i];
  }
}

TEST(DocumentationTest, errors_shown_are_those_that_come) {
  const auto scenario = load_text(
      "apiVersion: sis/v1\nmachine:\n  cpus: 99\n  memory: 256\nsteps:\n  - op: ping\n    timout: 5s\n", "broken.yaml");
  ASSERT_FALSE(scenario);
  EXPECT_THAT(contents(kRoot + "/docs/scenario.md"), testing::HasSubstr(scenario.error().message));
}

}  // namespace
}  // namespace vmm::scenario
