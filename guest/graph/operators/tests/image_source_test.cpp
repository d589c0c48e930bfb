// image-source: patterns, files, and the parser of those.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "../src/netpbm.hpp"
#include "guest/graph/operators/services.hpp"
#include "kind_fixture.hpp"

namespace guest::graph {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::span<const std::byte> as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

class Files final : public FileSource {
 public:
  [[nodiscard]] std::optional<std::span<const std::byte>> find(std::string_view name) const override {
    const auto found = files.find(std::string(name));
    return found == files.end() ? std::nullopt : std::optional(as_bytes(found->second));
  }
  std::map<std::string, std::string> files;
};

class ImageFile : public ::testing::Test {
 protected:
  ImageFile() { set_operator_services({.files = &files}); }
  ~ImageFile() override { set_operator_services({}); }
  Files files;
};

TEST_F(ImageFile, grey_is_a_tensor_of_two_dimensions) {
  files.files["a.pgm"] = std::string("P5 3 2 255\n") + "abcdef";
  KindFixture with("image-source", {{"file", "a.pgm"}, {"count", "2"}}, 0, 1);
  ASSERT_EQ(with.refusal, "");
  EXPECT_EQ(with.fire(), "ok");
  const TensorRef image = with.take();
  EXPECT_EQ(KindFixture::dims(image), (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(KindFixture::values<char>(image), (std::vector<char>{'a', 'b', 'c', 'd', 'e', 'f'}));
  EXPECT_EQ(with.fire(), "finished");
  EXPECT_EQ(with.graph->arena().statistics().bytes_copied, 12U);
}

TEST_F(ImageFile, colour_has_a_third_dimension) {
  files.files["a.ppm"] = std::string("P6\n1\n# two high\n2\n255\n") + "abcdef";
  KindFixture with("image-source", {{"file", "a.ppm"}}, 0, 1);
  ASSERT_EQ(with.fire(), "ok");
  EXPECT_EQ(KindFixture::dims(with.take()), (std::vector<std::uint32_t>{2, 1, 3}));
}

TEST_F(ImageFile, has_no_label) {
  files.files["a.pgm"] = std::string("P5 1 1 255\n") + "a";
  KindFixture with("image-source", {{"file", "a.pgm"}}, 0, 2);
  EXPECT_EQ(with.fire(), "graph-no-label: nobody knows the class of a file's image: expected 1 output");
}

TEST_F(ImageFile, that_cannot_be_is_refused_when_the_operator_is_added) {
  files.files["bad.pgm"] = "P5 1 1 255";
  EXPECT_EQ(KindFixture("image-source", {{"file", "none"}}, 0, 1).refusal,
            "graph-no-file: operator 'it' (image-source): there is no file 'none' in the boot archive");
  EXPECT_EQ(
      KindFixture("image-source", {{"file", "bad.pgm"}}, 0, 1).refusal,
      "graph-bad-image: operator 'it' (image-source): file 'bad.pgm': expected a blank, 255 as the largest sample "
      "and one blank before byte 10");
  EXPECT_EQ(KindFixture("image-source", {{"file", "bad.pgm"}, {"width", "3"}}, 0, 1).refusal,
            "graph-bad-parameter: operator 'it' (image-source): parameters 'file' and 'width' exclude each other");
  set_operator_services({});
  EXPECT_EQ(KindFixture("image-source", {{"file", "bad.pgm"}}, 0, 1).refusal,
            "graph-unavailable: operator 'it' (image-source): this kernel has no files for operators");
}

TEST(Netpbm, reads_every_blank_and_comments_between_numbers) {
  const std::string file = std::string("P5\t#x\n#y\n \v\f\r2 #P6\n1\n255\r") + "ab";
  const auto image = read_netpbm(as_bytes(file));
  ASSERT_TRUE(image) << image.error().detail.view();
  EXPECT_EQ(image->width, 2U);
  EXPECT_EQ(image->height, 1U);
  EXPECT_EQ(image->channels, 1U);
  EXPECT_EQ(std::to_integer<char>(image->samples[0]), 'a');
}

TEST(Netpbm, takes_the_largest_sides_there_may_be) {
  const std::string file = "P5 4096 4096 255\n" + std::string(4096 * 4096, 'x');
  EXPECT_TRUE(read_netpbm(as_bytes(file)));
}

TEST(Netpbm, says_what_it_expected_where) {
  const auto refusal = [](const std::string& file) {
    const auto image = read_netpbm(as_bytes(file));
    EXPECT_FALSE(image);
    return image ? std::string() : std::string(image.error().name) + ": " + std::string(image.error().detail.view());
  };
  for (const std::string other : {"", "P", "P4", "p5", "Q5 1 1 255\nx", "P1 1 1 1"}) {
    EXPECT_EQ(refusal(other), "graph-bad-image: expected P5 or P6 at byte 0") << other;
  }
  for (const std::string& side :
       {std::string("P5"), std::string("P51 1 255\nx"), std::string("P5 0 1 255\n"), std::string("P5 4097 1 255\nx"),
        std::string("P5 -1 1 255\nx"), std::string("P5 1"), std::string("P5 1 0 255\n"),
        std::string("P5 99999999999999999999 1 255\nx"), std::string("P5 #1 1 255")}) {
    EXPECT_THAT(refusal(side), StartsWith("graph-bad-image: expected a blank and a side of 1 to 4096 before byte "))
        << side;
  }
  for (const std::string largest : {"P5 1 1", "P5 1 1 ", "P5 1 1 1\nx", "P5 1 1 254\nx", "P5 1 1 256\nx",
                                    "P5 1 1 65535\nxx", "P5 1 1 255", "P5 1 1 255x"}) {
    EXPECT_THAT(refusal(largest), HasSubstr("255 as the largest sample")) << largest;
  }
  EXPECT_EQ(refusal("P6 1 2 255\nabcde"), "graph-bad-image: 5 bytes behind the header: expected 6, 1 by 2 of 3");
  EXPECT_EQ(refusal("P5 1 2 255\nabc"), "graph-bad-image: 3 bytes behind the header: expected 2, 1 by 2 of 1");
}

/// All images and labels of a run.
std::vector<std::vector<std::uint8_t>> images(const Values& parameters, int count, std::vector<std::uint32_t>& labels) {
  KindFixture with("image-source", parameters, 0, 2);
  EXPECT_EQ(with.refusal, "");
  std::vector<std::vector<std::uint8_t>> all;
  for (int i = 0; i < count; ++i) {
    EXPECT_EQ(with.fire(), "ok");
    all.push_back(KindFixture::values<std::uint8_t>(with.take(0)));
    labels.push_back(KindFixture::values<std::uint32_t>(with.take(1)).at(0));
  }
  return all;
}

TEST(Patterns, are_labelled_and_differ_from_one_image_to_the_next) {
  const std::map<std::string, std::uint32_t> classes = {
      {"gradient", 0}, {"checker", 1}, {"bars", 2}, {"circle", 3}, {"moving", 3}};
  for (const auto& [pattern, label] : classes) {
    std::vector<std::uint32_t> labels;
    const auto all = images({{"pattern", pattern}}, 4, labels);
    EXPECT_EQ(labels, std::vector<std::uint32_t>(4, label));
    EXPECT_NE(all[0], all[1]) << pattern;
    EXPECT_NE(all[2], all[3]) << pattern;
    std::vector<std::uint32_t> again;
    EXPECT_EQ(images({{"pattern", pattern}}, 4, again), all);
    EXPECT_NE(images({{"pattern", pattern}, {"seed", "1"}}, 4, again), all);
  }
  std::vector<std::uint32_t> labels;
  (void)images({{"pattern", "cycle"}}, 6, labels);
  EXPECT_EQ(labels, (std::vector<std::uint32_t>{0, 1, 2, 3, 0, 1}));
}

/// FNV-1a, 64 bits.
std::uint64_t sum_of(const std::vector<std::vector<std::uint8_t>>& images) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const auto& image : images) {
    for (const std::uint8_t byte : image) {
      sum = (sum ^ byte) * 0x100000001b3;
    }
  }
  return sum;
}

TEST(Patterns, are_those_of_the_program_that_trains_with_them) {
  // What tools/models/patterns.py draws: 16 images of a cycle, 16 by 16, seed 3, with and without noise.
  std::vector<std::uint32_t> labels;
  const Values size = {{"pattern", "cycle"}, {"width", "16"}, {"height", "16"}, {"seed", "3"}};
  EXPECT_EQ(sum_of(images(size, 16, labels)), 0x3f1f6ee7d0442762U);
  Values noisy = size;
  noisy.emplace_back("noise", "20");
  EXPECT_EQ(sum_of(images(noisy, 16, labels)), 0xe74cb981e1d6b82aU);
}

TEST(Patterns, of_every_size_have_every_element_drawn) {
  for (const std::string side : {"1", "3", "255", "257"}) {
    std::vector<std::uint32_t> labels;
    const auto all = images({{"pattern", "cycle"}, {"width", side}, {"height", "2"}, {"noise", "255"}}, 4, labels);
    EXPECT_EQ(all[0].size(), 2 * std::stoul(side));
  }
}

}  // namespace
}  // namespace guest::graph
