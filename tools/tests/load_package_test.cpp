// What `sisctl llm load-pkg` finds before it asks anybody, and what it draws.
#include "tools/load_package.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace sisctl {
namespace {

class PackageFilesTest : public ::testing::Test {
 protected:
  PackageFilesTest() {
    std::filesystem::create_directories(folder_);
    write("tiny.gguf", "GGUF");
  }
  ~PackageFilesTest() override { std::filesystem::remove_all(folder_); }
  PackageFilesTest(const PackageFilesTest&) = delete;
  PackageFilesTest& operator=(const PackageFilesTest&) = delete;

  void write(const std::string& name, const std::string& bytes) const { std::ofstream(folder_ / name) << bytes; }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// The request that begins the upload, or what is wrong.
  [[nodiscard]] std::string request(const LoadPackage& command) const {
    const auto files = find_package_files(command);
    if (!files) return files.error().message;
    nlohmann::json args = files->args;
    if (args.contains("manifest")) {
      const auto& bytes = args["manifest"].get_binary();
      args["manifest"] = std::string(bytes.begin(), bytes.end());
    }
    return args.dump();
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("sisctl-load-package-" + std::to_string(getpid()));
};

TEST_F(PackageFilesTest, manifest_lies_beside_the_model_or_is_named) {
  EXPECT_EQ(request({.file = path("tiny.gguf")}), R"({"id":"tiny","size":4})");
  EXPECT_EQ(request({.file = path("tiny.gguf"), .id = "x"}), R"({"id":"x","size":4})");
  write("other.sig", "other");
  EXPECT_EQ(request({.file = path("tiny.gguf"), .manifest = path("other.sig")}), R"({"manifest":"other","size":4})");
  write("tiny.sig", "signed");
  EXPECT_EQ(request({.file = path("tiny.gguf")}), R"({"manifest":"signed","size":4})");
  EXPECT_EQ(request({.file = path("tiny.gguf"), .id = "x"}), R"({"id":"x","manifest":"signed","size":4})");
}

TEST_F(PackageFilesTest, files_that_cannot_be_are_said) {
  EXPECT_EQ(request({.file = path("none.gguf")}), "cannot read '" + path("none.gguf") + "': No such file or directory");
  write("empty.gguf", "");
  EXPECT_EQ(request({.file = path("empty.gguf")}), "'" + path("empty.gguf") + "' is empty");
  EXPECT_EQ(request({.file = path("tiny.gguf"), .manifest = path("none.sig")}),
            "cannot read the manifest '" + path("none.sig") + "'");
  write("long.sig", std::string(1025, 'x'));
  EXPECT_EQ(request({.file = path("tiny.gguf"), .manifest = path("long.sig")}),
            "the manifest '" + path("long.sig") + "' is longer than 1024 bytes");
}

TEST(ProgressText, percent_and_rate) {
  using std::chrono::seconds;
  EXPECT_EQ(progress_text("m", 0, 2'000'000, seconds(0)), "m: 0 % of 2.0 MB");
  EXPECT_EQ(progress_text("m", 500'000, 2'000'000, seconds(2)), "m: 25 % of 2.0 MB, 0.2 MB/s");
  EXPECT_EQ(progress_text("m", 2'000'000, 2'000'000, seconds(1)), "m: 100 % of 2.0 MB, 2.0 MB/s");
}

}  // namespace
}  // namespace sisctl
