#include "vmm/suite/scenario_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace vmm::suite {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class ScenarioFilesTest : public testing::Test {
 protected:
  ScenarioFilesTest() {
    std::string name = (fs::temp_directory_path() / "suite-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~ScenarioFilesTest() override { fs::remove_all(folder_); }

  void make(const std::string& name) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << "x";
  }

  std::vector<std::string> names(const std::vector<std::string>& below,
                                 const std::optional<std::string>& filter = std::nullopt) {
    const auto found = find(below, filter);
    std::vector<std::string> names;
    if (!found) return {found.error().message};
    for (const auto& each : *found) names.push_back(each.name);
    return names;
  }

  Result<std::vector<ScenarioFile>> find(const std::vector<std::string>& below,
                                         const std::optional<std::string>& filter = std::nullopt) {
    std::vector<std::string> paths;
    for (const auto& path : below) paths.push_back((folder_ / path).string());
    return find_scenarios(paths, filter);
  }

  std::string refusal(const std::vector<std::string>& below, const std::optional<std::string>& filter = std::nullopt) {
    const auto found = find(below, filter);
    if (found) return "accepted";
    EXPECT_EQ(found.error().exit_code, abi::ExitCode::Usage);
    return found.error().message;
  }

  fs::path folder_;
};

TEST_F(ScenarioFilesTest, folder_stands_for_its_scenarios_by_name_and_for_nothing_else) {
  for (const char* name : {"b.yaml", "a.yml", "notes.txt", "schema.json", "below/c.yaml"}) make(name);
  EXPECT_THAT(names({"."}), ElementsAre("a", "b"));
}

TEST_F(ScenarioFilesTest, files_come_in_the_given_order_and_once) {
  make("b.yaml");
  make("a.yaml");
  EXPECT_THAT(names({"b.yaml", ".", "./a.yaml"}), ElementsAre("b", "a"));
}

TEST_F(ScenarioFilesTest, names_are_unique) {
  make("a.yaml");
  make("x/a.yaml");
  make("y/a.yml");
  EXPECT_THAT(names({"a.yaml", "x", "y"}), ElementsAre("a", "a-2", "a-3"));
}

TEST_F(ScenarioFilesTest, filter_chooses_by_name_and_says_what_there_is_if_nothing_matches) {
  for (const char* name : {"vision-a.yaml", "vision-b.yaml", "hello.yaml"}) make(name);
  EXPECT_THAT(names({"."}, "vision-*"), ElementsAre("vision-a", "vision-b"));
  EXPECT_EQ(refusal({"."}, "v?"), "no scenario matches --filter 'v?'; there are hello, vision-a, vision-b");
}

TEST_F(ScenarioFilesTest, what_is_not_there_is_named) {
  EXPECT_THAT(refusal({"none.yaml"}), HasSubstr("/none.yaml: No such file or directory"));
  make("empty/notes.txt");
  EXPECT_THAT(refusal({"empty"}), HasSubstr("/empty: no file *.yaml or *.yml"));
}

}  // namespace
}  // namespace vmm::suite
